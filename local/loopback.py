"""HTTP on this machine, where no certificates are needed."""

import ssl
from typing import Any

import httpx2

# Reading the certificates that browsers trust takes longer than a call, and a server that starts is asked many times.
_TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def loopback_client(**options: Any) -> httpx2.AsyncClient:
    """A client for servers on this machine; ``options`` are httpx2's. Proxies are passed over, https is refused."""
    return httpx2.AsyncClient(verify=_TRUSTS_NOBODY, trust_env=False, **options)
