"""What every payment provider's adapter does, against a server over HTTP."""

from datetime import timedelta

import pytest

from domain.inbox import EventTopic
from domain.money import Money
from domain.payments import PaymentState, PaymentStatus, RefundStatus
from integrations.errors import OutcomeUnknown, ProviderDown, Rejected, Throttled
from integrations.payments.provider import Authorisation
from tests.integrations.stand_ins import PaymentBench, now

EUR_50 = Money(5000, "EUR")
NOTHING = Money(0, "EUR")


async def authorise(
    bench: PaymentBench, order_id: str, *, method: str | None = None, amount: Money = EUR_50, key: str = "authorise:1"
) -> PaymentState:
    wanted = Authorisation(order_id, order_number="W-1", amount=amount, method=method or bench.good)
    return await bench.provider.authorise(wanted, key=f"{order_id}:{key}")


async def capture(bench: PaymentBench, state: PaymentState, *, minor: int = 5000, key: str = "1") -> PaymentState:
    return await bench.provider.capture(state.reference, Money(minor, "EUR"), key=f"{state.order_id}:capture:{key}")


async def test_a_hold_is_placed_in_full_and_says_when_it_lapses(payments: PaymentBench, order_id: str) -> None:
    state = await authorise(payments, order_id)
    assert (state.status, state.amount, state.capturable) == (PaymentStatus.AUTHORISED, EUR_50, EUR_50)
    assert (state.captured, state.refunded, state.order_id) == (NOTHING, NOTHING, order_id)
    assert state.capture_before is not None
    assert state.capture_before > now() + timedelta(days=1)
    assert await payments.provider.retrieve(state.reference) == state


async def test_the_same_key_holds_the_money_once(payments: PaymentBench, order_id: str) -> None:
    first, again = await authorise(payments, order_id), await authorise(payments, order_id)
    assert first == again
    assert len(await payments.provider.find(order_id, since=now() - timedelta(hours=1))) == 1


async def test_the_same_key_for_another_sum_is_refused(payments: PaymentBench, order_id: str) -> None:
    await authorise(payments, order_id)
    with pytest.raises(Rejected):
        await authorise(payments, order_id, amount=Money(6000, "EUR"))


async def test_a_declined_card_is_an_answer_and_another_card_can_follow(payments: PaymentBench, order_id: str) -> None:
    state = await authorise(payments, order_id, method=payments.declined)
    assert state.status is PaymentStatus.REQUIRES_METHOD
    assert state.decline is not None
    assert state.decline.code == payments.decline_code
    assert state.capturable == NOTHING
    paid = await payments.provider.confirm(state.reference, key=f"{order_id}:confirm:1", method=payments.good)
    assert (paid.status, paid.decline) == (PaymentStatus.AUTHORISED, None)


async def test_a_repeated_decline_is_the_same_answer(payments: PaymentBench, order_id: str) -> None:
    first = await authorise(payments, order_id, method=payments.declined)
    assert await authorise(payments, order_id, method=payments.declined) == first


async def test_a_card_that_wants_proof_waits_for_the_customer(payments: PaymentBench, order_id: str) -> None:
    state = await authorise(payments, order_id, method=payments.proof)
    assert (state.status, state.capturable) == (PaymentStatus.REQUIRES_ACTION, NOTHING)
    await payments.prove(state.reference)
    assert (await payments.provider.retrieve(state.reference)).status is PaymentStatus.AUTHORISED


async def test_another_amount_is_asked_for_until_the_customer_has_paid(payments: PaymentBench, order_id: str) -> None:
    state = await authorise(payments, order_id, method=payments.proof)
    for _ in range(2):
        now_asked = await payments.provider.reprice(state.reference, Money(6200, "EUR"), key=f"{order_id}:reprice:1")
        assert (now_asked.amount, now_asked.status) == (Money(6200, "EUR"), PaymentStatus.REQUIRES_ACTION)
    await payments.prove(state.reference)
    assert (await payments.provider.retrieve(state.reference)).capturable == Money(6200, "EUR")
    with pytest.raises(Rejected):
        await payments.provider.reprice(state.reference, EUR_50, key=f"{order_id}:reprice:2")


async def test_a_payment_that_the_shop_left_unconfirmed_is_adopted(payments: PaymentBench, order_id: str) -> None:
    reference = await payments.create_unconfirmed(order_id, 5000, "EUR")
    assert (await payments.provider.retrieve(reference)).status is PaymentStatus.PENDING
    state = await payments.provider.confirm(reference, key=f"{order_id}:confirm:1")
    assert (state.status, state.order_id, state.capturable) == (PaymentStatus.AUTHORISED, order_id, EUR_50)
    again = await payments.provider.confirm(reference, key=f"{order_id}:confirm:2")
    assert again.status is PaymentStatus.AUTHORISED


async def test_capturing_takes_the_sum_once(payments: PaymentBench, order_id: str) -> None:
    held = await authorise(payments, order_id)
    taken = await capture(payments, held)
    assert (taken.status, taken.captured, taken.capturable) == (PaymentStatus.CAPTURED, EUR_50, NOTHING)
    assert (await capture(payments, held)).captured == EUR_50
    assert (await capture(payments, held, key="2")).captured == EUR_50


async def test_capturing_less_releases_the_rest(payments: PaymentBench, order_id: str) -> None:
    taken = await capture(payments, await authorise(payments, order_id), minor=3000)
    assert (taken.status, taken.captured, taken.capturable) == (PaymentStatus.CAPTURED, Money(3000, "EUR"), NOTHING)


async def test_more_than_is_held_cannot_be_captured(payments: PaymentBench, order_id: str) -> None:
    held = await authorise(payments, order_id)
    with pytest.raises(Rejected):
        await capture(payments, held, minor=5001)


async def test_a_released_hold_stays_released(payments: PaymentBench, order_id: str) -> None:
    held = await authorise(payments, order_id)
    for n in (1, 1, 2):
        state = await payments.provider.void(held.reference, key=f"{order_id}:void:{n}")
        assert (state.status, state.capturable) == (PaymentStatus.CANCELLED, NOTHING)
    assert (await capture(payments, held)).status is PaymentStatus.CANCELLED


async def test_what_is_captured_cannot_be_released(payments: PaymentBench, order_id: str) -> None:
    held = await authorise(payments, order_id)
    await capture(payments, held)
    state = await payments.provider.void(held.reference, key=f"{order_id}:void:1")
    assert (state.status, state.captured) == (PaymentStatus.CAPTURED, EUR_50)


async def test_a_hold_that_lapsed_is_cancelled(payments: PaymentBench, order_id: str) -> None:
    held = await authorise(payments, order_id)
    await payments.lapse(held.reference)
    lapsed = await payments.provider.retrieve(held.reference)
    assert (lapsed.status, lapsed.refunded) == (PaymentStatus.CANCELLED, NOTHING)
    assert await payments.provider.refunds(held.reference) == []
    assert (await capture(payments, held)).status is PaymentStatus.CANCELLED


async def test_refunds_add_up_and_none_is_given_twice(payments: PaymentBench, order_id: str) -> None:
    taken = await capture(payments, await authorise(payments, order_id))
    for n, minor in ((1, 1000), (2, 500), (2, 500)):
        state = await payments.provider.refund(
            taken.reference, Money(minor, "EUR"), order_id=order_id, key=f"{order_id}:refund:{n}"
        )
        assert (state.status, state.amount.minor) == (RefundStatus.SUCCEEDED, minor)
    assert [refund.amount.minor for refund in await payments.provider.refunds(taken.reference)] == [500, 1000]
    assert (await payments.provider.retrieve(taken.reference)).refunded == Money(1500, "EUR")


async def test_more_than_was_captured_is_not_given_back(payments: PaymentBench, order_id: str) -> None:
    taken = await capture(payments, await authorise(payments, order_id))
    with pytest.raises(Rejected):
        await payments.provider.refund(taken.reference, Money(5001, "EUR"), order_id=order_id, key=f"{order_id}:r:1")
    assert await payments.provider.refunds(taken.reference) == []


async def test_looking_up_finds_the_orders_payments_newest_first(payments: PaymentBench, order_id: str) -> None:
    await authorise(payments, f"{order_id}-other")
    first = await authorise(payments, order_id, method=payments.declined)
    second = await authorise(payments, order_id, key="authorise:2")
    found = await payments.provider.find(order_id, since=now() - timedelta(hours=1))
    assert {state.reference for state in found} == {first.reference, second.reference}
    assert await payments.provider.find(order_id, since=now() + timedelta(hours=1)) == []


async def test_an_unknown_payment_is_refused(payments: PaymentBench) -> None:
    with pytest.raises(Rejected) as caught:
        await payments.provider.retrieve("pi_nowhere")
    assert caught.value.status == 404


@pytest.mark.parametrize("mishap", ["lost_answer", "garbage"])
async def test_after_a_lost_answer_the_same_key_takes_the_money_once(
    payments: PaymentBench, order_id: str, mishap: str
) -> None:
    held = await authorise(payments, order_id)
    await payments.mood.next_calls(payments.operations["capture"], mishap)
    with pytest.raises(OutcomeUnknown):
        await capture(payments, held)
    assert (await payments.provider.retrieve(held.reference)).captured == EUR_50
    assert (await capture(payments, held)).captured == EUR_50


async def test_after_a_dropped_request_the_same_key_does_the_deed(payments: PaymentBench, order_id: str) -> None:
    held = await authorise(payments, order_id)
    await payments.mood.next_calls(payments.operations["capture"], "drop_before")
    with pytest.raises(OutcomeUnknown):
        await capture(payments, held)
    assert (await payments.provider.retrieve(held.reference)).captured == NOTHING
    assert (await capture(payments, held)).captured == EUR_50


async def test_a_provider_that_never_answers_is_given_up_in_time(payments: PaymentBench, order_id: str) -> None:
    held = await authorise(payments, order_id)
    await payments.mood.next_calls(payments.operations["retrieve"], "timeout")
    asked = now()
    with pytest.raises(OutcomeUnknown):
        await payments.provider.retrieve(held.reference)
    assert now() - asked < timedelta(seconds=5)


async def test_a_throttled_call_says_how_long_to_wait(payments: PaymentBench, order_id: str) -> None:
    await payments.mood.next_calls(payments.operations["authorise"], 429, retry_after=7)
    with pytest.raises(Throttled) as caught:
        await authorise(payments, order_id)
    assert caught.value.retry_after == 7
    assert (await authorise(payments, order_id)).status is PaymentStatus.AUTHORISED


async def test_a_stored_failure_comes_again_until_a_look_up_allows_a_new_key(
    payments: PaymentBench, order_id: str
) -> None:
    await payments.mood.next_calls(payments.operations["authorise"], 500)
    with pytest.raises(ProviderDown) as first:
        await authorise(payments, order_id)
    with pytest.raises(ProviderDown) as again:
        await authorise(payments, order_id)
    assert (first.value.replayed, again.value.replayed) == (False, True)
    assert await payments.provider.find(order_id, since=now() - timedelta(hours=1)) == []
    assert (await authorise(payments, order_id, key="authorise:2")).status is PaymentStatus.AUTHORISED


async def test_events_are_signed_and_name_payment_and_order(payments: PaymentBench, order_id: str) -> None:
    held = await authorise(payments, order_id)
    await capture(payments, held)
    told = await payments.event(lambda event: event.order_id == order_id and event.moves_money)
    assert (told.topic, told.subject, told.provider) == (EventTopic.PAYMENT, held.reference, payments.provider.name)
