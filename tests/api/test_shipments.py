"""Labels, packing slips and hand-over."""

import io

import pytest
from pypdf import PdfReader
from sqlalchemy import update

from db.shipments import Parcel
from domain.errors import NotFound, NotPaid
from domain.orders import HandOver
from integrations.errors import ProviderDown, Rejected, Throttled
from tests.api.conftest import Api
from tests.api.records import close, fulfilment


async def test_a_hand_over_reaches_the_order(api: Api) -> None:
    accepted = await api.place()
    part = await fulfilment(api.database, accepted["id"])
    response = await api.http.post(f"/v1/fulfilments/{part}/hand-over")
    assert (response.status_code, response.json()["status"]) == (200, "shipped")
    ((order, request, _),) = api.gateway.asked
    assert (order, request) == (accepted["id"], HandOver(part, "api:test shop"))


async def test_a_hand_over_is_refused_while_the_money_cannot_be_captured_and_then_tried_anew(api: Api) -> None:
    accepted = await api.place()
    part = await fulfilment(api.database, accepted["id"])
    for _ in range(2):
        api.gateway.refusals.append(NotPaid("The capture failed: insufficient funds."))
        response = await api.http.post(f"/v1/fulfilments/{part}/hand-over")
        assert (response.status_code, response.json()["code"]) == (409, "not_paid")
    for _ in range(2):
        assert (await api.http.post(f"/v1/fulfilments/{part}/hand-over")).status_code == 200
    keys = [key for _, _, key in api.gateway.asked]
    assert len(set(keys)) == 2  # a key used again would get the old refusal


async def test_a_hand_over_with_the_callers_key_keeps_that_key(api: Api) -> None:
    accepted = await api.place()
    part = await fulfilment(api.database, accepted["id"])
    for _ in range(2):
        await api.http.post(f"/v1/fulfilments/{part}/hand-over", headers={"Idempotency-Key": "scan-1"})
    assert [key for _, _, key in api.gateway.asked] == [f"hand-over:{part}:scan-1"] * 2


async def test_a_parcel_that_has_left_is_answered_from_its_record(api: Api) -> None:
    accepted = await api.place()
    part = await fulfilment(api.database, accepted["id"], status="delivered")
    await close(api.database, accepted["id"], "delivered")
    response = await api.http.post(f"/v1/fulfilments/{part}/hand-over")
    assert (response.status_code, response.json()["status"]) == (200, "delivered")
    assert api.gateway.asked == []


async def test_a_cancelled_parcel_must_not_leave(api: Api) -> None:
    accepted = await api.place()
    part = await fulfilment(api.database, accepted["id"], status="cancelled")
    response = await api.http.post(f"/v1/fulfilments/{part}/hand-over")
    assert (response.status_code, response.json()["code"]) == (409, "too_late")


async def test_an_order_that_has_just_ended_asks_for_patience(api: Api) -> None:
    accepted = await api.place()
    part = await fulfilment(api.database, accepted["id"])
    api.gateway.refusals.append(NotFound("running workflow of the order", accepted["id"]))
    response = await api.http.post(f"/v1/fulfilments/{part}/hand-over")
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")


async def test_an_unknown_fulfilment_is_a_404(api: Api) -> None:
    assert (await api.http.post("/v1/fulfilments/nothing/hand-over")).status_code == 404
    assert (await api.http.get("/v1/fulfilments/nothing/label")).status_code == 404


@pytest.mark.parametrize("form", ["pdf", "zpl", "png"])
async def test_a_label_comes_in_the_wanted_format(api: Api, form: str) -> None:
    accepted = await api.place()
    part = await fulfilment(api.database, accepted["id"])
    response = await api.http.get(f"/v1/fulfilments/{part}/label", params={"format": form})
    assert (response.status_code, response.text) == (200, f"label of shp_1 as {form}")
    assert response.headers["content-disposition"] == f'inline; filename="label-9400.{form}"'


async def test_a_label_that_is_not_bought_or_given_back_cannot_be_printed(api: Api) -> None:
    accepted = await api.place()
    part = await fulfilment(api.database, accepted["id"], labelled=False)
    response = await api.http.get(f"/v1/fulfilments/{part}/label")
    assert (response.status_code, response.json()["code"]) == (409, "nothing_to_print")
    async with api.database.transaction() as connection:
        await connection.execute(
            update(Parcel).values(label_url="https://labels.example/1.png", void_status="refunded")
        )
    assert (await api.http.get(f"/v1/fulfilments/{part}/label")).status_code == 409


async def test_a_carrier_in_trouble_asks_for_patience(api: Api) -> None:
    accepted = await api.place()
    part = await fulfilment(api.database, accepted["id"])
    path = f"/v1/fulfilments/{part}/label"
    api.carrier.failure = ProviderDown("easypost", "HTTP 500")
    assert (await api.http.get(path)).status_code == 503
    api.carrier.failure = Throttled("easypost", "HTTP 429", retry_after=12.4)
    assert (await api.http.get(path)).headers["retry-after"] == "12"
    api.carrier.failure = Rejected("easypost", "HTTP 422", status=422)
    assert (await api.http.get(path)).status_code == 409


async def test_a_packing_slip_names_order_sku_and_receiver(api: Api) -> None:
    accepted = await api.place()
    await fulfilment(api.database, accepted["id"])
    response = await api.http.get(accepted["links"]["packing_slip"])
    assert (response.status_code, response.headers["content-type"]) == (200, "application/pdf")
    text = PdfReader(io.BytesIO(response.content)).pages[0].extract_text()
    assert accepted["number"] in text
    assert "KETTLE" in text
    assert "Margaret Ellery" in text


async def test_an_order_without_fulfilments_has_no_packing_slip(api: Api) -> None:
    accepted = await api.place()
    response = await api.http.get(accepted["links"]["packing_slip"])
    assert (response.status_code, response.json()["code"]) == (409, "nothing_to_print")
