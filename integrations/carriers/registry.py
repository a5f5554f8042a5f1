"""The carriers that there are, by name. A new one is one new adapter and one line here."""

from collections.abc import Callable, Mapping, Sequence

import httpx2

from integrations.breaker import Breaker
from integrations.carriers.carrier import Carrier
from integrations.carriers.easypost.adapter import EasyPost
from integrations.observing import Observe, unobserved

CARRIERS: Mapping[str, Callable[..., Carrier]] = {EasyPost.name: EasyPost}
"""Name -> adapter. The name is what the records and the webhooks' paths say."""


def carrier(
    name: str,
    *,
    base_url: str,
    api_key: str,
    webhook_secrets: Sequence[str],
    client: httpx2.AsyncClient,
    observe: Observe = unobserved,
    breaker: Breaker | None = None,
) -> Carrier:
    """The carrier called ``name``. Raises ValueError for an unknown name, a missing key or a bad URL.

    There is no default: whoever wires a process says which carrier, where, and with which key.
    """
    adapter = CARRIERS.get(name)
    if adapter is None:
        raise ValueError(f"no carrier is called {name!r}; there are: {', '.join(CARRIERS)}")
    return adapter(
        base_url=base_url,
        api_key=api_key,
        webhook_secrets=webhook_secrets,
        client=client,
        observe=observe,
        breaker=breaker,
    )
