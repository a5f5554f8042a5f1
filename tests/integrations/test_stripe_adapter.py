"""What Stripe's answers mean: states, declines, and errors that say what to do next."""

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from domain.money import Money
from domain.payments import PaymentStatus, RefundStatus
from integrations.errors import (
    OutcomeUnknown,
    ProviderDown,
    ProviderError,
    Rejected,
    Throttled,
    Unreachable,
)
from integrations.payments.provider import Authorisation
from integrations.payments.stripe.adapter import MOST_PAGES, Stripe
from tests.integrations.answers import Reply, Script, Watch, reply
from tests.integrations.fixtures import needs_fixtures, recorded

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EUR_50 = Money(5000, "EUR")
ORDER = Authorisation(order_id="o-1", order_number="W-1001", amount=EUR_50, method="pm_1")


def intent(status: str = "requires_capture", **changes: Any) -> dict[str, Any]:
    base = {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 5000,
        "amount_capturable": 5000 if status == "requires_capture" else 0,
        "amount_received": 5000 if status == "succeeded" else 0,
        "currency": "eur",
        "status": status,
        "metadata": {"order_id": "o-1"},
        "latest_charge": None,
    }
    return {**base, **changes}


def charge(**card: Any) -> dict[str, Any]:
    details = {"card": card, "type": "card"}
    return {"id": "ch_1", "amount": 5000, "amount_refunded": 700, "payment_method_details": details}


def error(kind: str = "invalid_request_error", **fields: Any) -> dict[str, Any]:
    return {"error": {"type": kind, "message": "No such customer: 'jane@example.com'", **fields}}


DECLINED = error(
    "card_error",
    code="card_declined",
    decline_code="insufficient_funds",
    payment_intent={"id": "pi_1", "object": "payment_intent", "status": "requires_payment_method"},
)
DECLINED["error"]["message"] = "Your card has insufficient funds."


def stripe(*replies: Reply, watch: Watch | None = None) -> tuple[Stripe, Script]:
    script = Script(list(replies))
    adapter = Stripe(
        base_url="http://stripe.test/",
        api_key="sk_test_1",
        webhook_secrets=["whsec_1"],
        client=script.client(),
        observe=watch or Watch(),
    )
    return adapter, script


async def test_an_authorisation_holds_the_sum_under_its_key_and_names_only_the_order() -> None:
    adapter, script = stripe(reply(200, intent(latest_charge=charge(capture_before=1767830400))))
    state = await adapter.authorise(ORDER, key="o-1:authorise:1")
    assert (state.status, state.capturable, state.order_id) == (PaymentStatus.AUTHORISED, EUR_50, "o-1")
    assert state.capture_before == datetime(2026, 1, 8, tzinfo=UTC)
    sent = script.requests[0]
    assert sent.headers["idempotency-key"] == "o-1:authorise:1"
    assert sent.headers["authorization"] == "Bearer sk_test_1"
    assert str(sent.url) == "http://stripe.test/v1/payment_intents"
    assert script.form() == {
        "amount": "5000",
        "currency": "eur",
        "capture_method": "manual",
        "confirm": "true",
        "payment_method": "pm_1",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
        "description": "Order W-1001",
        "metadata[order_id]": "o-1",
        "expand[0]": "latest_charge",
    }


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("requires_payment_method", PaymentStatus.REQUIRES_METHOD),
        ("requires_confirmation", PaymentStatus.PENDING),
        ("requires_action", PaymentStatus.REQUIRES_ACTION),
        ("processing", PaymentStatus.PROCESSING),
        ("requires_capture", PaymentStatus.AUTHORISED),
        ("succeeded", PaymentStatus.CAPTURED),
        ("canceled", PaymentStatus.CANCELLED),
    ],
)
async def test_every_status_of_stripe_has_one_of_ours(theirs: str, ours: PaymentStatus) -> None:
    adapter, _ = stripe(reply(200, intent(theirs)))
    assert (await adapter.retrieve("pi_1")).status is ours


async def test_the_charge_tells_of_refunds_and_of_captures_in_parts() -> None:
    adapter, _ = stripe(reply(200, intent("succeeded", latest_charge=charge(multicapture={"status": "available"}))))
    state = await adapter.retrieve("pi_1")
    assert (state.charge, state.refunded, state.multicapture) == ("ch_1", Money(700, "EUR"), True)


@pytest.mark.parametrize(("status", "captured"), [("canceled", 0), ("succeeded", 3000)])
async def test_a_released_hold_is_no_refund(status: str, captured: int) -> None:
    released = {**charge(), "amount_refunded": 5000 - captured}
    adapter, _ = stripe(reply(200, intent(status, amount_received=captured, latest_charge=released)))
    assert (await adapter.retrieve("pi_1")).refunded == Money(0, "EUR")


@pytest.mark.parametrize(
    ("action", "url"),
    [
        ({"type": "redirect_to_url", "redirect_to_url": {"url": "https://bank.test/3ds"}}, "https://bank.test/3ds"),
        (
            {"type": "use_stripe_sdk", "use_stripe_sdk": {"stripe_js": "https://hooks.test/3ds"}},
            "https://hooks.test/3ds",
        ),
        ({"type": "use_stripe_sdk", "use_stripe_sdk": {}}, None),
        ({"type": "redirect_to_url", "redirect_to_url": {"url": "javascript:alert(1)"}}, None),
    ],
)
async def test_where_the_customer_must_act_the_address_is_told(action: dict[str, Any], url: str | None) -> None:
    adapter, _ = stripe(reply(200, intent("requires_action", next_action=action)))
    state = await adapter.authorise(ORDER, key="k")
    assert (state.status, state.action_url) == (PaymentStatus.REQUIRES_ACTION, url)


async def test_a_declined_card_is_an_answer_with_its_reason() -> None:
    adapter, script = stripe(reply(402, DECLINED), reply(200, intent("requires_payment_method")))
    state = await adapter.authorise(ORDER, key="k")
    assert state.status is PaymentStatus.REQUIRES_METHOD
    assert state.decline is not None
    assert (state.decline.code, state.decline.message) == ("insufficient_funds", "Your card has insufficient funds.")
    assert script.paths == ["POST /v1/payment_intents", "GET /v1/payment_intents/pi_1"]


async def test_a_replayed_decline_does_not_hide_that_the_customer_has_paid_since() -> None:
    adapter, _ = stripe(reply(402, DECLINED, idempotent_replayed="true"), reply(200, intent("requires_capture")))
    state = await adapter.authorise(ORDER, key="k")
    assert (state.status, state.decline) == (PaymentStatus.AUTHORISED, None)


async def test_an_old_decline_is_forgotten_once_the_payment_is_held() -> None:
    adapter, _ = stripe(reply(200, intent("requires_capture", last_payment_error=DECLINED["error"])))
    assert (await adapter.retrieve("pi_1")).decline is None


async def test_a_capture_that_the_bank_declines_leaves_the_hold_and_says_why() -> None:
    adapter, _ = stripe(reply(402, DECLINED), reply(200, intent("requires_capture")))
    state = await adapter.capture("pi_1", EUR_50, key="k")
    assert state.status is PaymentStatus.AUTHORISED
    assert state.decline is not None


async def test_a_decline_without_a_payment_is_a_refusal() -> None:
    adapter, _ = stripe(reply(402, error("card_error", code="card_declined")))
    with pytest.raises(Rejected) as caught:
        await adapter.authorise(ORDER, key="k")
    assert (caught.value.status, caught.value.code) == (402, "card_declined")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(400, error(param="amount")), Rejected),
        (reply(401, error()), Rejected),
        (reply(402, error()), Rejected),
        (reply(403, error()), Rejected),
        (reply(404, error(code="resource_missing")), Rejected),
        (reply(409, error(code="idempotency_key_in_use")), ProviderDown),
        (reply(400, error(), stripe_should_retry="true"), ProviderDown),
        (reply(424, error()), ProviderDown),
        (reply(429, error(code="rate_limit"), retry_after="7"), Throttled),
        (reply(500, error("api_error")), ProviderDown),
        (reply(503, b"<html>"), ProviderDown),
        (reply(200, b"<html>"), OutcomeUnknown),
        (reply(200, b"[]"), OutcomeUnknown),
        (reply(200, {"id": "pi_1"}), OutcomeUnknown),
        (reply(200, intent("brand_new_status")), OutcomeUnknown),
        (reply(200, intent(latest_charge="ch_1")), OutcomeUnknown),
        (reply(200, intent(currency="zzz")), OutcomeUnknown),
        (reply(200, intent(amount=True)), OutcomeUnknown),
        (httpx2.ConnectError("refused"), Unreachable),
        (httpx2.ConnectTimeout("slow"), Unreachable),
        (httpx2.PoolTimeout("busy"), Unreachable),
        (httpx2.ReadTimeout("slow"), OutcomeUnknown),
        (httpx2.ReadError("reset"), OutcomeUnknown),
        (httpx2.RemoteProtocolError("cut"), OutcomeUnknown),
    ],
)
async def test_every_failure_says_what_to_do_next(answer: Reply, kind: type[ProviderError]) -> None:
    adapter, _ = stripe(answer)
    with pytest.raises(ProviderError) as caught:
        await adapter.authorise(ORDER, key="k")
    assert type(caught.value) is kind
    assert "jane" not in str(caught.value)


async def test_a_refusal_carries_codes_and_the_request_id_and_nothing_that_was_typed() -> None:
    said = error(code="jane@example.com", param="metadata[order_id]")
    adapter, _ = stripe(reply(400, said, request_id="req_9"))
    with pytest.raises(Rejected) as caught:
        await adapter.authorise(ORDER, key="k")
    assert str(caught.value) == "stripe: HTTP 400 invalid_request_error metadata[order_id] req_9"


async def test_a_stored_500_is_told_from_a_fresh_one() -> None:
    fresh, _ = stripe(reply(500, error("api_error")))
    stored, _ = stripe(reply(500, error("api_error"), idempotent_replayed="true"))
    with pytest.raises(ProviderDown) as first:
        await fresh.capture("pi_1", EUR_50, key="k")
    with pytest.raises(ProviderDown) as again:
        await stored.capture("pi_1", EUR_50, key="k")
    assert (first.value.replayed, again.value.replayed) == (False, True)


async def test_a_throttled_call_says_how_long_to_wait() -> None:
    adapter, _ = stripe(reply(429, error(), retry_after="7"))
    with pytest.raises(Throttled) as caught:
        await adapter.retrieve("pi_1")
    assert caught.value.retry_after == 7


MOVED_ON = error(code="payment_intent_unexpected_state")


@pytest.mark.parametrize(
    ("now", "ours"), [("succeeded", PaymentStatus.CAPTURED), ("canceled", PaymentStatus.CANCELLED)]
)
@pytest.mark.parametrize("step", ["capture", "void"])
async def test_a_payment_already_at_its_end_is_answered_as_it_is(step: str, now: str, ours: PaymentStatus) -> None:
    adapter, _ = stripe(reply(400, MOVED_ON), reply(200, intent(now)))
    state = await (adapter.void("pi_1", key="k") if step == "void" else adapter.capture("pi_1", EUR_50, key="k"))
    assert state.status is ours


async def test_a_payment_that_cannot_be_captured_yet_is_a_refusal() -> None:
    adapter, _ = stripe(reply(400, MOVED_ON), reply(200, intent("requires_action")))
    with pytest.raises(Rejected):
        await adapter.capture("pi_1", EUR_50, key="k")


async def test_confirming_a_confirmed_payment_answers_it_as_it_is() -> None:
    adapter, script = stripe(reply(400, MOVED_ON), reply(200, intent("requires_capture")))
    assert (await adapter.confirm("pi_1", key="k", method="pm_2")).status is PaymentStatus.AUTHORISED
    assert script.form()["payment_method"] == "pm_2"


async def test_looking_up_reads_all_pages_and_keeps_the_orders_own() -> None:
    other = intent(id="pi_2", metadata={"order_id": "o-2"}, latest_charge="ch_9")
    pages = [
        reply(200, {"data": [intent(id="pi_3"), other], "has_more": True}),
        reply(200, {"data": [intent(id="pi_1")], "has_more": False}),
    ]
    adapter, script = stripe(*pages)
    found = await adapter.find("o-1", since=NOW)
    assert [state.reference for state in found] == ["pi_3", "pi_1"]
    asked = script.requests[1].url.params
    assert (asked["created[gte]"], asked["starting_after"]) == ("1767225600", "pi_2")


async def test_a_look_up_without_end_goes_to_a_person_and_never_says_nothing_was_found() -> None:
    adapter, script = stripe(reply(200, {"data": [intent(id="pi_2", metadata={})], "has_more": True}))
    with pytest.raises(Rejected) as caught:
        await adapter.find("o-1", since=NOW)
    assert caught.value.code == "too_many"
    assert len(script.requests) == MOST_PAGES


@pytest.mark.parametrize("reference", ["", "../refunds", "pi_1/cancel", "pi 1", "pi_1?x=1", ".."])
async def test_a_malformed_id_never_becomes_a_path(reference: str) -> None:
    adapter, script = stripe(reply(200, intent()))
    with pytest.raises(Rejected):
        await adapter.retrieve(reference)
    assert script.requests == []


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("pending", RefundStatus.PENDING),
        ("requires_action", RefundStatus.PENDING),
        ("succeeded", RefundStatus.SUCCEEDED),
        ("failed", RefundStatus.FAILED),
        ("canceled", RefundStatus.CANCELLED),
    ],
)
async def test_a_refund_names_its_order_and_tells_how_it_stands(theirs: str, ours: RefundStatus) -> None:
    answer = {"id": "re_1", "amount": 700, "currency": "eur", "status": theirs, "failure_reason": None}
    adapter, script = stripe(reply(200, answer))
    state = await adapter.refund("pi_1", Money(700, "EUR"), order_id="o-1", key="k")
    assert (state.status, state.amount) == (ours, Money(700, "EUR"))
    assert script.form() == {"payment_intent": "pi_1", "amount": "700", "metadata[order_id]": "o-1"}


async def test_every_call_is_observed_with_its_outcome() -> None:
    watch = Watch()
    adapter, _ = stripe(
        reply(402, DECLINED), reply(200, intent("requires_payment_method")), reply(500, {}), watch=watch
    )
    await adapter.authorise(ORDER, key="k")
    with pytest.raises(ProviderDown):
        await adapter.retrieve("pi_1")
    assert watch.seen == [("stripe", "authorise", "ok"), ("stripe", "retrieve", "ok"), ("stripe", "retrieve", "down")]


@needs_fixtures
async def test_stripes_own_example_objects_can_be_read() -> None:
    examples = recorded("stripe/objects.json")
    adapter, _ = stripe(reply(200, {**examples["payment_intent"], "latest_charge": examples["charge"]}))
    state = await adapter.retrieve("pi_1")
    assert (state.amount, state.status, state.multicapture) == (
        Money(1099, "USD"),
        PaymentStatus.REQUIRES_METHOD,
        False,
    )
    ours = {**examples["refund"], "metadata": {"order_id": "o-1"}}
    refunds, _ = stripe(reply(200, {"data": [ours, examples["refund"]], "has_more": False}))
    assert [r.status for r in await refunds.refunds("pi_1")] == [RefundStatus.SUCCEEDED]
