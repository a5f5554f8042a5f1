"""The vendor misbehaves as dialled, and the call log tells what really happened."""

import threading
import time
from typing import Any

import httpx2
import pytest
import stripe

from tests.sandbox.servers import KEY, RunningSandbox, until

BEARER = {"Authorization": f"Bearer {KEY}"}
CREATE = {"amount": 5000, "currency": "eur"}


def intents_on_the_books(sandbox: RunningSandbox) -> int:
    count: int = sandbox.view("books/payment_intent")["count"]
    return count


def last_call(sandbox: RunningSandbox) -> dict[str, Any]:
    call: dict[str, Any] = sandbox.view("calls?limit=1")["calls"][0]
    return call


def test_a_lost_answer_looks_like_a_broken_connection_though_the_deed_is_done(
    sandbox: RunningSandbox, vendor: stripe.StripeClient
) -> None:
    sandbox.fail_next("payment_intents.create", "lost_answer")
    with pytest.raises(stripe.APIConnectionError):
        vendor.v1.payment_intents.create({"amount": 5000, "currency": "eur"})
    assert intents_on_the_books(sandbox) == 1
    assert (last_call(sandbox)["status"], last_call(sandbox)["deed"]) == ("lost", True)


def test_a_dropped_call_looks_the_same_but_nothing_was_done(
    sandbox: RunningSandbox, vendor: stripe.StripeClient
) -> None:
    sandbox.fail_next("payment_intents.create", "drop_before")
    with pytest.raises(stripe.APIConnectionError):
        vendor.v1.payment_intents.create({"amount": 5000, "currency": "eur"})
    assert intents_on_the_books(sandbox) == 0
    assert (last_call(sandbox)["status"], last_call(sandbox)["deed"]) == ("dropped", False)


def test_a_lost_answer_is_not_a_single_byte(sandbox: RunningSandbox) -> None:
    sandbox.fail_next("payment_intents.create", "lost_answer")
    with pytest.raises(httpx2.RemoteProtocolError, match="without sending a response"):
        sandbox.http.post("/stripe/v1/payment_intents", data=CREATE, headers=BEARER)


def test_garbage_comes_after_the_deed(sandbox: RunningSandbox, vendor: stripe.StripeClient) -> None:
    sandbox.fail_next("payment_intents.create", "garbage")
    with pytest.raises(stripe.APIError, match="Invalid response body"):
        vendor.v1.payment_intents.create({"amount": 5000, "currency": "eur"})
    assert intents_on_the_books(sandbox) == 1


@pytest.mark.parametrize(("mishap", "done"), [("timeout", 0), ("hang_after", 1)])
def test_a_hanging_vendor_answers_nothing_until_the_caller_gives_up(
    sandbox: RunningSandbox, mishap: str, done: int
) -> None:
    sandbox.fail_next("payment_intents.create", mishap)
    with pytest.raises(httpx2.ReadTimeout):
        sandbox.http.post("/stripe/v1/payment_intents", data=CREATE, headers=BEARER, timeout=0.3)
    until(lambda: last_call(sandbox)["status"] == "hung")
    assert intents_on_the_books(sandbox) == done
    assert last_call(sandbox)["deed"] == bool(done)


def test_a_slow_answer_comes_in_the_end(sandbox: RunningSandbox, vendor: stripe.StripeClient) -> None:
    sandbox.fail_next("payment_intents.create", "slow", seconds=0.3)
    began = time.monotonic()
    vendor.v1.payment_intents.create({"amount": 5000, "currency": "eur"})
    assert time.monotonic() - began >= 0.3


def test_latency_delays_every_call(sandbox: RunningSandbox, vendor: stripe.StripeClient) -> None:
    sandbox.dial(latency_ms=120)
    began = time.monotonic()
    vendor.v1.payment_intents.list()
    assert time.monotonic() - began >= 0.12


def test_while_the_vendor_is_away_connections_are_closed(sandbox: RunningSandbox, vendor: stripe.StripeClient) -> None:
    sandbox.dial(away=True)
    with pytest.raises(stripe.APIConnectionError):
        vendor.v1.payment_intents.list()
    sandbox.dial(away=False)
    assert vendor.v1.payment_intents.list().data == []


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, stripe.APIError),
        (503, stripe.APIError),
        (429, stripe.RateLimitError),
        (401, stripe.AuthenticationError),
        (409, stripe.APIError),
    ],
)
def test_an_error_answer_is_worded_the_vendors_way(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, status: int, error: type[stripe.StripeError]
) -> None:
    sandbox.fail_next("*", status)
    with pytest.raises(error) as caught:
        vendor.v1.payment_intents.create({"amount": 5000, "currency": "eur"})
    assert caught.value.http_status == status
    assert intents_on_the_books(sandbox) == 0


def test_a_rate_limit_says_when_to_come_back(sandbox: RunningSandbox) -> None:
    sandbox.fail_next("*", 429, retry_after=7)
    answer = sandbox.http.get("/stripe/v1/payment_intents", headers=BEARER)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


def test_an_error_answer_may_hide_a_deed(sandbox: RunningSandbox, vendor: stripe.StripeClient) -> None:
    sandbox.fail_next("payment_intents.create", 500, deed=True)
    with pytest.raises(stripe.APIError):
        vendor.v1.payment_intents.create({"amount": 5000, "currency": "eur"})
    assert intents_on_the_books(sandbox) == 1


def test_a_scripted_fault_waits_for_its_operation_and_is_spent_after_so_many_times(
    sandbox: RunningSandbox, vendor: stripe.StripeClient
) -> None:
    sandbox.fail_next("payment_intents.list", 503, times=2)
    vendor.v1.payment_intents.create({"amount": 5000, "currency": "eur"})
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            vendor.v1.payment_intents.list()
    assert len(vendor.v1.payment_intents.list().data) == 1
    assert sandbox.view("dials/stripe")["fail_next"] == []


def outcomes(sandbox: RunningSandbox, calls: int) -> list[int]:
    return [sandbox.http.get("/stripe/v1/charges", headers=BEARER).status_code for _ in range(calls)]


def test_a_seed_makes_chance_repeatable(sandbox: RunningSandbox) -> None:
    sandbox.dial(seed=7, error_rate=0.5, error_status=503)
    first = outcomes(sandbox, 20)
    sandbox.dial(seed=7)
    assert outcomes(sandbox, 20) == first
    assert {200, 503} == set(first)


def test_dials_are_reset_as_a_whole(sandbox: RunningSandbox) -> None:
    sandbox.dial(error_rate=1, webhooks={"lost_rate": 1})
    assert sandbox.view("dials/stripe")["webhooks"]["lost_rate"] == 1
    sandbox.http.delete("/control/dials/stripe").raise_for_status()
    dials = sandbox.view("dials/stripe")
    assert (dials["error_rate"], dials["webhooks"]["lost_rate"]) == (0, 0)


def test_changing_one_webhook_dial_leaves_the_others(sandbox: RunningSandbox) -> None:
    sandbox.dial(webhooks={"lost_rate": 0.25})
    sandbox.dial(webhooks={"early": True})
    webhooks = sandbox.view("dials/stripe")["webhooks"]
    assert (webhooks["lost_rate"], webhooks["early"]) == (0.25, True)


@pytest.mark.parametrize("wrong", [{"error_rate": 2}, {"no_such_dial": 1}, {"fail_next": [{"status": "sulk"}]}])
def test_a_dial_that_makes_no_sense_is_refused(sandbox: RunningSandbox, wrong: dict[str, Any]) -> None:
    assert sandbox.http.put("/control/dials/stripe", json=wrong).status_code == 422
    assert sandbox.http.put("/control/dials/nobody", json={}).status_code == 404


def test_the_call_log_counts_deeds_and_keys(sandbox: RunningSandbox, vendor: stripe.StripeClient) -> None:
    for _ in range(2):
        vendor.v1.payment_intents.create({"amount": 5000, "currency": "eur"}, {"idempotency_key": "k-1"})
    vendor.v1.payment_intents.list()
    counted = sandbox.view("calls/count?provider=stripe&operation=payment_intents.create&idempotency_key=k-1")
    assert (counted["count"], counted["deeds"]) == (2, 1)
    assert sandbox.view("calls/count")["operations"]["stripe:payment_intents.list"] == 1
    assert sandbox.http.get("/control/calls?colour=red").status_code == 422


def test_an_unknown_path_is_refused_and_logged(sandbox: RunningSandbox) -> None:
    answer = sandbox.http.post("/stripe/v1/nonsense", headers=BEARER)
    assert answer.status_code == 404
    assert "Unrecognized request URL (POST: /v1/nonsense)" in answer.json()["error"]["message"]
    assert last_call(sandbox)["operation"] == "unknown"


def test_callers_do_not_wait_for_each_other(sandbox: RunningSandbox, vendor: stripe.StripeClient) -> None:
    sandbox.fail_next("payment_intents.create", "slow", seconds=1)
    slow = threading.Thread(target=vendor.v1.payment_intents.create, args=({"amount": 5000, "currency": "eur"},))
    slow.start()
    until(lambda: intents_on_the_books(sandbox) == 1)
    began = time.monotonic()
    vendor.v1.payment_intents.list()
    assert time.monotonic() - began < 0.5
    slow.join()


def test_the_page_shows_the_books_to_people(sandbox: RunningSandbox, vendor: stripe.StripeClient) -> None:
    intent = vendor.v1.payment_intents.create({"amount": 5000, "currency": "eur", "metadata": {"order": "<b>o-1</b>"}})
    page = sandbox.http.get("/").text
    assert intent.id in page
    assert "<b>o-1</b>" not in page


def test_the_books_are_read_by_field(sandbox: RunningSandbox, vendor: stripe.StripeClient) -> None:
    intent = vendor.v1.payment_intents.create({"amount": 5000, "currency": "eur"})
    vendor.v1.payment_intents.create({"amount": 600, "currency": "usd"})
    found = sandbox.view("books/payment_intent?currency=eur&amount=5000")
    assert [obj["id"] for obj in found["data"]] == [intent.id]
    assert sandbox.view(f"books/payment_intent/{intent.id}")["amount"] == 5000
    assert sandbox.http.get("/control/books/payment_intent/pi_none").status_code == 404
