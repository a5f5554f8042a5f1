"""Objects have the fields that the vendor's own published examples have."""

from typing import Any

import pytest
import stripe

from integrations.sandbox.stripe.form import parse
from integrations.sandbox.stripe.till import sign
from integrations.sandbox.webhooks import Outgoing
from tests.integrations.fixtures import needs_fixtures, recorded
from tests.sandbox.servers import RunningSandbox

ONLY_WHEN_EXPANDED = {"charge": {"refunds"}}


def shown(sandbox: RunningSandbox, vendor: stripe.StripeClient, payment: Any) -> dict[str, dict[str, Any]]:
    vendor.v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/", "enabled_events": ["charge.failed"]})
    customer = vendor.v1.customers.create({"email": "ada@example.com"})
    payment |= {"customer": customer.id, "payment_method": "pm_card_createDispute"}
    intent = vendor.v1.payment_intents.create(payment)
    vendor.v1.payment_intents.capture(intent.id, {"amount_to_capture": 4000})
    lists: dict[str, Any] = {
        "payment_intent": vendor.v1.payment_intents,
        "charge": vendor.v1.charges,
        "refund": vendor.v1.refunds,
        "dispute": vendor.v1.disputes,
        "event": vendor.v1.events,
        "webhook_endpoint": vendor.v1.webhook_endpoints,
        "customer": vendor.v1.customers,
    }
    found = {kind: service.list().data[0].to_dict() for kind, service in lists.items()}
    method = vendor.v1.payment_methods.retrieve(found["payment_intent"]["payment_method"])
    return found | {"payment_method": method.to_dict()}


@needs_fixtures
def test_no_field_of_the_published_examples_is_missing(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    examples = recorded("stripe/objects.json")
    for kind, obj in shown(sandbox, vendor, card_payment).items():
        missing = set(examples[kind]) - set(obj) - ONLY_WHEN_EXPANDED.get(kind, set())
        assert not missing, f"{kind} lacks {sorted(missing)}"
        assert not [name for name in obj if name.startswith("_")], f"{kind} shows what is the sandbox's own"


@needs_fixtures
def test_the_card_of_a_charge_has_every_published_field(
    sandbox: RunningSandbox, vendor: stripe.StripeClient, card_payment: Any
) -> None:
    example = recorded("stripe/objects.json")["charge"]["payment_method_details"]["card"]
    charge = shown(sandbox, vendor, card_payment)["charge"]
    assert set(example) <= set(charge["payment_method_details"]["card"])


@needs_fixtures
def test_the_signature_is_the_one_of_the_published_vector() -> None:
    vector = recorded("vectors.json")["stripe"]
    outgoing = Outgoing(vector["body"].encode(), vector["secret"], "http://x", vector["timestamp"] + 0.9)
    assert sign(outgoing)["Stripe-Signature"] == vector["Stripe-Signature"]


@pytest.mark.parametrize(
    ("encoded", "tree"),
    [
        ("a=1&b[c]=2&b[d][e]=3", {"a": "1", "b": {"c": "2", "d": {"e": "3"}}}),
        ("x[0]=a&x[1]=b&y[]=c&y[]=d", {"x": ["a", "b"], "y": ["c", "d"]}),
        ("m=&n=%C3%BC+%26", {"m": "", "n": "ü &"}),
    ],
)
def test_nested_forms_are_read_as_the_vendor_reads_them(encoded: str, tree: dict[str, Any]) -> None:
    assert parse(encoded) == tree
