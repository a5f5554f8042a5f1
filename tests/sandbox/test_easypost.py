"""The EasyPost sandbox takes the vendor's own client, and keeps its books whatever happens."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from easypost.errors.api.http_error import HttpError
from easypost.errors.api.internal_server_error import InternalServerError
from easypost.errors.api.invalid_request_error import InvalidRequestError
from easypost.errors.api.json_error import JsonError
from easypost.errors.api.not_found_error import NotFoundError
from easypost.errors.api.unauthorized_error import UnauthorizedError

from tests.sandbox.easypost_process import BERLIN, CUSTOMER, CUSTOMS, FIXTURES, PARCEL, SHOP, Sandbox, until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("books"))
    sandbox.start()
    yield sandbox
    sandbox.kill()


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    return running


def code_of(refusal: pytest.ExceptionInfo[Any]) -> str:
    code: str = error_of(refusal)["error"]["code"]
    return code


def error_of(refusal: pytest.ExceptionInfo[Any]) -> Any:
    return json.loads(refusal.value.http_body)


def recorded(name: str) -> Any:
    path = FIXTURES / "easypost" / name
    if not path.exists():
        pytest.skip("the recorded answers are not on this machine")
    return json.loads(path.read_text())


# Rates


def test_a_parcel_is_rated_by_several_carriers_in_strings_of_money(sandbox: Sandbox) -> None:
    shipment = sandbox.shipment()
    prices = {(rate.carrier, rate.service): rate.rate for rate in shipment.rates}
    assert prices["USPS", "GroundAdvantage"] == "8.20"
    assert prices["USPS", "Priority"] == "11.01"
    assert prices["USPS", "Express"] == "51.20"
    assert {carrier for carrier, _ in prices} == {"USPS", "UPS", "FedEx"}
    assert shipment.usps_zone == 4
    assert shipment.lowest_rate().rate == "8.20"
    assert [(m.carrier, m.type) for m in shipment.messages] == [("DHLExpress", "rate_error")]


def test_heavier_and_farther_costs_more(sandbox: Sandbox) -> None:
    def cheapest(**changes: Any) -> Decimal:
        return Decimal(sandbox.shipment(**changes).lowest_rate().rate)

    maine = {**CUSTOMER, "city": "Bangor", "state": "ME", "zip": "04401"}
    assert cheapest(parcel={"weight": 8}) < cheapest() < cheapest(to_address=maine)
    assert cheapest() < cheapest(parcel={**PARCEL, "weight": 200})


def test_a_parcel_abroad_has_other_services_and_needs_customs_papers(sandbox: Sandbox) -> None:
    shipment = sandbox.shipment(to_address=BERLIN)
    assert {"PriorityMailInternational", "ExpressWorldwide"} <= {rate.service for rate in shipment.rates}
    with pytest.raises(InvalidRequestError) as refusal:
        sandbox.client.shipment.buy(shipment.id, rate=shipment.lowest_rate())
    assert code_of(refusal) == "SHIPMENT.POSTAGE.FAILURE"
    papered = sandbox.bought(to_address=BERLIN, customs_info=CUSTOMS)
    assert papered.tracking_code
    assert papered.customs_info.customs_items[0].value == "10.00"


def test_a_shop_in_germany_ships_in_euros(sandbox: Sandbox) -> None:
    shop = {"company": "Laden", "street1": "Jungfernstieg 1", "city": "Hamburg", "zip": "20095", "country": "DE"}
    assert {r.currency for r in sandbox.shipment(from_address=shop, to_address=BERLIN).rates} == {"EUR"}
    paris = {**BERLIN, "city": "Paris", "zip": "75001", "country": "FR"}
    assert sandbox.bought(from_address=shop, to_address=paris).selected_rate.carrier == "UPS"


def test_a_carrier_that_cannot_rate_says_so(sandbox: Sandbox) -> None:
    sandbox.dial(carriers_down=["UPS"])
    heavy = sandbox.shipment(parcel={"weight": 71 * 16})
    assert {message.carrier for message in heavy.messages} == {"USPS", "UPS", "DHLExpress"}
    assert {rate.carrier for rate in heavy.rates} == {"FedEx"}


def test_an_address_that_nobody_finds_has_no_rates(sandbox: Sandbox) -> None:
    nowhere = {**CUSTOMER, "street1": "000 unknown street", "city": "Not A City", "state": "ZZ", "zip": "00001"}
    shipment = sandbox.shipment(to_address=nowhere)
    assert shipment.rates == []
    assert all(message.message.startswith("to_address") for message in shipment.messages)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "to_address"),
        ({"to_address": CUSTOMER, "from_address": SHOP}, "parcel"),
        ({"to_address": CUSTOMER, "from_address": SHOP, "parcel": {"weight": 0}}, "weight"),
        ({"to_address": CUSTOMER, "from_address": SHOP, "parcel": {"weight": 5, "length": 3}}, "parcel"),
        ({"to_address": {"zip": 90277}, "from_address": SHOP, "parcel": PARCEL}, "zip"),
    ],
)
def test_a_shipment_that_makes_no_sense_is_refused_by_field(sandbox: Sandbox, body: dict[str, Any], field: str) -> None:
    answer = sandbox.http.post(
        "/easypost/v2/shipments", json={"shipment": {"reference": "o-0", **body}}, auth=("EZTKtest", "")
    )
    assert answer.status_code == 422
    assert answer.json()["error"]["errors"][0]["field"] == field
    assert answer.headers["x-ep-request-uuid"]


def test_a_blank_request_is_refused_in_the_recorded_words(sandbox: Sandbox) -> None:
    answer = sandbox.http.post("/easypost/v2/shipments", json={}, auth=("EZTKtest", ""))
    assert (answer.status_code, answer.json()) == (
        422,
        {
            "error": {
                "code": "PARAMETER.REQUIRED",
                "message": "Missing required parameter.",
                "errors": [{"field": "shipment", "message": "cannot be blank"}],
            }
        },
    )


def test_rerating_gives_fresh_rates_and_old_ones_cannot_be_bought(sandbox: Sandbox) -> None:
    shipment = sandbox.shipment()
    fresh = sandbox.client.shipment.regenerate_rates(shipment.id)["rates"]
    assert {rate.rate for rate in fresh} == {rate.rate for rate in shipment.rates}
    with pytest.raises(NotFoundError):
        sandbox.client.shipment.buy(shipment.id, rate=shipment.rates[0])
    assert sandbox.client.shipment.buy(shipment.id, rate=fresh[0]).postage_label


# Buying


def test_a_bought_shipment_has_label_code_tracker_and_fee(sandbox: Sandbox) -> None:
    shipment = sandbox.bought(reference="o-1")
    assert shipment.selected_rate.service == "GroundAdvantage"
    assert (len(shipment.tracking_code), shipment.tracking_code[:2]) == (22, "94")
    assert (shipment.tracker.tracking_code, shipment.tracker.status) == (shipment.tracking_code, "unknown")
    assert [(fee.type, fee.amount) for fee in shipment.fees] == [("PostageFee", "8.20000")]
    assert sandbox.client.shipment.retrieve("o-1").tracking_code == shipment.tracking_code


def test_buying_twice_gives_one_label(sandbox: Sandbox) -> None:
    before = sandbox.http.get("/control/summary").json()["easypost"]["labels"]
    shipment = sandbox.bought()
    with pytest.raises(InvalidRequestError) as refusal:
        sandbox.client.shipment.buy(shipment.id, rate=shipment.rates[1])
    assert code_of(refusal) == "SHIPMENT.POSTAGE.EXISTS"
    assert sandbox.client.shipment.retrieve(shipment.id).tracking_code == shipment.tracking_code
    assert sandbox.http.get("/control/summary").json()["easypost"]["labels"] == before + 1


def test_a_lost_answer_after_buying_leaves_exactly_one_label(sandbox: Sandbox) -> None:
    shipment = sandbox.shipment()
    before = sandbox.http.get("/control/summary").json()["easypost"]["labels"]
    sandbox.dial(fail_next=[{"operation": "shipments.buy", "status": "lost_answer"}])
    with pytest.raises(HttpError):
        sandbox.client.shipment.buy(shipment.id, rate=shipment.rates[0])
    assert sandbox.client.shipment.retrieve(shipment.id).postage_label
    with pytest.raises(InvalidRequestError):
        sandbox.client.shipment.buy(shipment.id, rate=shipment.rates[0])
    assert sandbox.http.get("/control/summary").json()["easypost"]["labels"] == before + 1


def test_a_call_dropped_before_the_deed_buys_nothing(sandbox: Sandbox) -> None:
    shipment = sandbox.shipment()
    sandbox.dial(fail_next=[{"operation": "shipments.buy", "status": "drop_before"}])
    with pytest.raises(HttpError):
        sandbox.client.shipment.buy(shipment.id, rate=shipment.rates[0])
    assert sandbox.client.shipment.retrieve(shipment.id).postage_label is None
    assert sandbox.client.shipment.buy(shipment.id, rate=shipment.rates[0]).postage_label


def test_a_dialled_error_speaks_the_vendors_words(sandbox: Sandbox) -> None:
    shipment = sandbox.shipment()
    fault = {"operation": "shipments.buy", "status": 422, "code": "SHIPMENT.POSTAGE.NO_RESPONSE", "deed": True}
    sandbox.dial(fail_next=[fault, {"operation": "*", "status": 500}, {"operation": "*", "status": "garbage"}])
    with pytest.raises(InvalidRequestError) as refusal:
        sandbox.client.shipment.buy(shipment.id, rate=shipment.rates[0])
    assert code_of(refusal) == "SHIPMENT.POSTAGE.NO_RESPONSE"
    with pytest.raises(InternalServerError):
        sandbox.client.shipment.retrieve(shipment.id)
    with pytest.raises(JsonError):
        sandbox.client.shipment.retrieve(shipment.id)
    assert sandbox.client.shipment.retrieve(shipment.id).postage_label


def test_a_purchase_can_outlive_its_call_and_a_second_one_must_wait(sandbox: Sandbox) -> None:
    shipment = sandbox.shipment()
    sandbox.dial(purchase_seconds=0.4)
    codes = []
    for _ in range(2):
        with pytest.raises(InvalidRequestError) as refusal:
            sandbox.client.shipment.buy(shipment.id, rate=shipment.rates[0])
        codes.append(code_of(refusal))
    assert codes == ["SHIPMENT.POSTAGE.TIMED_OUT", "SHIPMENT.PURCHASE.IN_PROGRESS"]
    assert sandbox.client.shipment.retrieve(shipment.id).postage_label is None
    until(lambda: sandbox.client.shipment.retrieve(shipment.id).postage_label)
    assert sandbox.client.shipment.retrieve(shipment.id).selected_rate.id == shipment.rates[0].id


def test_an_unknown_rate_and_a_carrier_that_is_down_cannot_be_bought(sandbox: Sandbox) -> None:
    shipment = sandbox.shipment()
    with pytest.raises(NotFoundError):
        sandbox.client.shipment.buy(shipment.id, rate={"id": "rate_none"})
    with pytest.raises(InvalidRequestError) as blank:
        sandbox.client.shipment.buy(shipment.id)
    assert code_of(blank) == "PARAMETER.REQUIRED"
    sandbox.dial(carriers_down=["USPS"])
    with pytest.raises(InvalidRequestError) as failure:
        sandbox.client.shipment.buy(shipment.id, rate=shipment.lowest_rate(["USPS"]))
    assert code_of(failure) == "SHIPMENT.POSTAGE.FAILURE"


def test_one_call_can_create_and_buy(sandbox: Sandbox) -> None:
    shipment = sandbox.shipment(service="NextDayAir")
    assert (shipment.selected_rate.carrier, shipment.tracking_code[:2]) == ("UPS", "1Z")


def test_insurance_is_charged_and_kept(sandbox: Sandbox) -> None:
    shipment = sandbox.shipment()
    insured = sandbox.client.shipment.buy(shipment.id, rate=shipment.rates[0], insurance="249.99")
    assert insured.insurance == "249.99"
    assert [(fee.type, fee.amount) for fee in insured.fees][1] == ("InsuranceFee", "1.24995")
    later = sandbox.client.shipment.insure(sandbox.bought().id, amount="100")
    assert later.insurance == "100.00"


def test_while_one_purchase_runs_a_second_is_turned_away(sandbox: Sandbox) -> None:
    shipment = sandbox.shipment()
    sandbox.dial(fail_next=[{"operation": "shipments.buy", "status": "slow", "seconds": 0.5}])
    with ThreadPoolExecutor() as threads:
        first = threads.submit(sandbox.client.shipment.buy, shipment.id, rate=shipment.rates[0])
        until(lambda: sandbox.client.shipment.retrieve(shipment.id).postage_label)
        with pytest.raises(InvalidRequestError) as refusal:
            sandbox.client.shipment.buy(shipment.id, rate=shipment.rates[0])
        assert code_of(refusal) == "SHIPMENT.PURCHASE.IN_PROGRESS"
        assert first.result().postage_label


# Answers as recorded


@pytest.mark.parametrize("name", ["shipments-create.json", "shipments-buy.json", "shipments-label.json"])
def test_a_shipment_has_the_recorded_fields(sandbox: Sandbox, name: str) -> None:
    wanted = recorded(name)
    shipment = sandbox.shipment(customs_info=CUSTOMS)
    if name != "shipments-create.json":
        shipment = sandbox.client.shipment.buy(shipment.id, rate=shipment.rates[0])
    shown = shipment.to_dict()
    assert shown.keys() == wanted.keys()
    for part in ("to_address", "parcel", "customs_info", "postage_label", "selected_rate"):
        assert (shown[part] or {}).keys() == (wanted[part] or {}).keys()
    assert shown["rates"][0].keys() == wanted["rates"][0].keys()


def test_a_tracker_has_the_recorded_fields(sandbox: Sandbox) -> None:
    wanted = recorded("trackers-create.json")
    tracker = sandbox.client.tracker.create(tracking_code="EZ1000000001", carrier="USPS").to_dict()
    assert tracker.keys() - wanted.keys() == {"fees"}
    assert wanted.keys() <= tracker.keys()
    assert tracker["tracking_details"][0].keys() == wanted["tracking_details"][0].keys()
    assert tracker["carrier_detail"].keys() == wanted["carrier_detail"].keys()


def test_a_return_travels_back_from_the_customer(sandbox: Sandbox) -> None:
    shipment = sandbox.bought(is_return=True)
    zpl = sandbox.client.shipment.label(shipment.id, file_format="ZPL").postage_label.label_zpl_url
    text = sandbox.http.get(zpl).text
    assert text.index("Elizabeth Swan") < text.index("SHIP TO:") < text.index("417 Montgomery Street")
    assert shipment.tracker.is_return
    assert shipment.to_address.name == "Elizabeth Swan"


# Addresses


def test_a_real_address_is_tidied_and_nonsense_is_refused(sandbox: Sandbox) -> None:
    verified = sandbox.client.address.create_and_verify(**CUSTOMER)
    assert (verified.street1, verified.zip[:6]) == ("179 N HARBOR DR", "90277-")
    assert verified.verifications.delivery.success
    nowhere = {"street1": "000 unknown street", "city": "Not A City", "state": "ZZ", "zip": "00001"}
    with pytest.raises(InvalidRequestError) as refusal:
        sandbox.client.address.create_and_verify(**nowhere)
    assert error_of(refusal) == recorded("addresses-create-and-verify.json")
    lenient = sandbox.client.address.create(verify=True, **nowhere)
    assert lenient.verifications.delivery.errors[0].code == "E.ADDRESS.NOT_FOUND"
    with pytest.raises(InvalidRequestError):
        sandbox.client.address.create(verify_strict=True, **nowhere)
    with pytest.raises(InvalidRequestError):
        sandbox.client.address.verify(lenient.id)


def test_a_known_address_can_be_used_by_its_id(sandbox: Sandbox) -> None:
    address = sandbox.client.address.create(**CUSTOMER)
    assert sandbox.shipment(to_address=address).to_address.id == address.id


# Lists, keys, restart


def test_lists_are_paged_newest_first_and_show_what_was_bought(sandbox: Sandbox) -> None:
    bought = [sandbox.bought().id for _ in range(3)]
    open_one = sandbox.shipment().id
    page = sandbox.client.shipment.all(page_size=2)
    assert [shipment.id for shipment in page["shipments"]] == bought[:0:-1]
    following = sandbox.client.shipment.get_next_page(page, page_size=1)
    assert [shipment.id for shipment in following["shipments"]] == bought[:1]
    unbought = sandbox.client.shipment.all(page_size=1, purchased="false")
    assert [shipment.id for shipment in unbought["shipments"]] == [open_one]
    newer = sandbox.client.shipment.all(page_size=5, after_id=bought[0])
    assert [shipment.id for shipment in newer["shipments"]] == bought[:0:-1]


def test_a_call_without_a_key_is_unauthorised(sandbox: Sandbox) -> None:
    assert sandbox.http.get("/easypost/v2/shipments").status_code == 401
    assert sandbox.http.get("/easypost/v2/shipments", auth=("EZTKtest", "")).status_code == 200
    assert sandbox.http.get("/easypost/v2/nothing", auth=("EZTKtest", "")).status_code == 404


def test_books_survive_a_kill_and_a_set_key_is_the_only_one(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, SANDBOX_EASYPOST_API_KEY="EZTKours")
    sandbox.start()
    try:
        with pytest.raises(UnauthorizedError):
            sandbox.shipment()
        sandbox.client = sandbox.client_with("EZTKours")
        shipment = sandbox.bought()
        sandbox.kill()
        sandbox.start()
        kept = sandbox.client.shipment.retrieve(shipment.id)
        assert (kept.tracking_code, kept.tracker.id) == (shipment.tracking_code, shipment.tracker.id)
        with pytest.raises(InvalidRequestError) as refusal:
            sandbox.client.shipment.buy(shipment.id, rate=shipment.rates[0])
        assert code_of(refusal) == "SHIPMENT.POSTAGE.EXISTS"
    finally:
        sandbox.kill()
