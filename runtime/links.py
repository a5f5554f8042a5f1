"""Links: signed ones to an order's page, which whoever has one can read for 90 days; and to the Temporal UI."""

from collections.abc import Sequence
from datetime import timedelta

from itsdangerous import BadSignature, TimestampSigner

from runtime.settings import Settings

VALID_FOR = timedelta(days=90)
_SALT = "order-page"


class OrderLinks:
    """Makes and checks the links. The first of ``secrets`` signs, all of them verify, so that one can be replaced."""

    def __init__(self, public_url: str, secrets: Sequence[str]) -> None:
        self._public_url = public_url.rstrip("/")
        # The library signs with its last key and tries them all.
        self._signer = TimestampSigner(list(reversed(secrets)), salt=_SALT)

    def url(self, order_id: str) -> str:
        """The address of the order's page, with a token that is valid from now on."""
        token = self._signer.sign(order_id).decode().removeprefix(f"{order_id}.")
        return f"{self._public_url}/orders/{order_id}?token={token}"

    def verify(self, order_id: str, token: str) -> bool:
        """Whether ``token`` opens the page of ``order_id``."""
        try:
            self._signer.unsign(f"{order_id}.{token}", max_age=int(VALID_FOR.total_seconds()))
        except (BadSignature, UnicodeError):
            return False
        return True


def workflows_url(settings: Settings) -> str:
    """Where the Temporal UI shows workflows, each under its id."""
    return f"{settings.temporal_ui_url.rstrip('/')}/namespaces/{settings.temporal_namespace}/workflows"
