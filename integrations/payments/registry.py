"""The payment providers that there are, by name. A new one is one new adapter and one line here."""

from collections.abc import Callable, Mapping, Sequence

import httpx2

from integrations.breaker import Breaker
from integrations.observing import Observe, unobserved
from integrations.payments.provider import PaymentProvider
from integrations.payments.stripe.adapter import Stripe

PAYMENT_PROVIDERS: Mapping[str, Callable[..., PaymentProvider]] = {Stripe.name: Stripe}
"""Name -> adapter. The name is what the records and the webhooks' paths say."""


def payment_provider(
    name: str,
    *,
    base_url: str,
    api_key: str,
    webhook_secrets: Sequence[str],
    client: httpx2.AsyncClient,
    multicapture: bool = False,
    observe: Observe = unobserved,
    breaker: Breaker | None = None,
) -> PaymentProvider:
    """The provider called ``name``. Raises ValueError for an unknown name, a missing key or a bad URL.

    There is no default: whoever wires a process says which provider, where, and with which key.
    """
    adapter = PAYMENT_PROVIDERS.get(name)
    if adapter is None:
        raise ValueError(f"no payment provider is called {name!r}; there are: {', '.join(PAYMENT_PROVIDERS)}")
    return adapter(
        base_url=base_url,
        api_key=api_key,
        webhook_secrets=webhook_secrets,
        client=client,
        multicapture=multicapture,
        observe=observe,
        breaker=breaker,
    )
