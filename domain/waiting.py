"""The one sentence that every order can answer with: what it waits for, on whom, since when, until when, what then."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Party(StrEnum):
    """On whom an order waits."""

    WAYBILL = "waybill"
    CUSTOMER = "customer"
    PAYMENT_PROVIDER = "payment_provider"
    CARRIER = "carrier"
    WAREHOUSE = "warehouse"
    SUPPLIER = "supplier"
    OPERATOR = "operator"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Waiting:
    """What an order waits for.

    ``what`` completes "Waiting for …" ("the first carrier scan of parcel 1"), or is a whole statement when ``on`` is
    nobody ("Delivered"). ``until`` is when patience ends and ``then`` what happens at that moment; both may be absent
    where a person decides. Instants are aware UTC.
    """

    what: str
    on: Party
    since: datetime
    until: datetime | None = None
    then: str | None = None

    @property
    def sentence(self) -> str:
        """The wait as one English sentence, the same in the API, the console and the Temporal UI."""
        if self.on is Party.NOBODY:
            return f"{self.what}, {_clock(self.since)}."
        words = f"Waiting for {self.what} (on {_WHO[self.on]}) since {_clock(self.since)}"
        if self.until is not None:
            words += f", until {_clock(self.until)}"
        if self.then:
            words += f"; then {self.then}"
        return f"{words}."


_WHO = {
    Party.WAYBILL: "Waybill itself",
    Party.CUSTOMER: "the customer",
    Party.PAYMENT_PROVIDER: "the payment provider",
    Party.CARRIER: "the carrier",
    Party.WAREHOUSE: "the warehouse",
    Party.SUPPLIER: "the supplier",
    Party.OPERATOR: "an operator",
    Party.NOBODY: "nobody",
}


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
