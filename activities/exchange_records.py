"""The record of an exchange, as its workflow knows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.case_records import Case, CaseKind, locked_row
from db import exchanges as records
from domain.exceptions import ExceptionKind
from domain.exchanges import Back, ExchangeStatus, Facts, OpenExchange, Ships, Standing, back_by
from domain.linked_orders import Linked
from domain.notifications import NoticeKind
from domain.orders import OrderStatus
from domain.returns import LabelState, ReturnStatus

EXCHANGES = CaseKind("exchange", records.CASES, ExceptionKind.EXCHANGE_UNTOLD)


@dataclass(frozen=True)
class ExchangeCase(Case):
    """An exchange, locked together with its order; ``ordered`` is the number of the order of what is sent."""

    kind: ClassVar[CaseKind] = EXCHANGES

    ordered: str | None

    @property
    def status(self) -> ExchangeStatus:
        """Where it stands."""
        return ExchangeStatus(self.row.status)

    @property
    def standing(self) -> Standing:
        """The same for its workflow."""
        return self.standing_with({})

    @property
    def facts(self) -> Facts:
        """What its next move depends on."""
        row = self.row
        linked = None
        if row.linked_id is not None:
            closed = row.linked_closed_at is not None
            linked = Linked(row.linked_id, row.linked_number, OrderStatus(row.linked_status), closed)
        return Facts(
            status=self.status,
            ships=Ships(row.ships),
            back=back_of(row._mapping),
            linked=linked,
            credit=row.credit,
            worth=row.worth,
            accepted=row.accepted,
            troubled=row.exception_id is not None,
        )

    def standing_with(self, values: Mapping[str, Any]) -> Standing:
        """Where it stands once ``values`` are written."""
        return standing_of({**self.row._mapping, **values}, self.ordered)


def back_of(row: Mapping[Any, Any]) -> Back:
    """How its return stands, by an exchange's record."""
    return Back(row["return_number"], ReturnStatus(row["return_status"]), LabelState(row["return_label"]))


def standing_of(row: Mapping[str, Any], ordered: str | None) -> Standing:
    """Where an exchange stands, by its record's columns."""
    days, accepted = row["back_days"], row["accepted"]
    return Standing(
        status=ExchangeStatus(row["status"]),
        since=row["since"],
        patient_since=row["patient_since"],
        returned=row["return_number"],
        ordered=ordered,
        back_by=back_by(Ships(row["ships"]), back_of(row), since=row["patient_since"], days=days, accepted=accepted),
        trouble=None if row["trouble"] is None else ExceptionKind(row["trouble"]),
        letters=tuple(NoticeKind(letter) for letter in row["letters"]),
        revision=row["revision"],
    )


async def open_exchange(connection: AsyncConnection, row: Row[Any]) -> OpenExchange:
    """What an exchange's workflow starts with, by its record."""
    return OpenExchange(row.id, row.number, row.order_id, standing_of(dict(row._mapping), row.linked_number))


async def find_exchange(connection: AsyncConnection, exchange_id: str, lock: bool = False) -> ExchangeCase:
    """An exchange. With ``lock`` nobody else can move it, its return, or its order's money meanwhile."""
    row = await locked_row(connection, EXCHANGES, exchange_id, lock=lock)
    return ExchangeCase(row, row.linked_number)
