"""The record of a return: read as its workflow knows it, written with all that a step changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.projections import waiting_json
from activities.refunds import open_about
from db import exceptions, orders
from db import returns as records
from domain.exceptions import Action, ExceptionKind
from domain.notifications import NoticeKind
from domain.orders import derived_id
from domain.return_rules import ReturnReason, ReturnRule
from domain.return_units import ReturnLine
from domain.returns import LabelState, OpenReturn, ReturnStatus, Standing, check_follows

RULE: TypeAdapter[ReturnRule] = TypeAdapter(ReturnRule)


@dataclass(frozen=True)
class Case:
    """A return with its lines, locked together with its order."""

    row: Row[Any]
    lines: tuple[ReturnLine, ...]

    @property
    def status(self) -> ReturnStatus:
        """Where it stands."""
        return ReturnStatus(self.row.status)

    @property
    def standing(self) -> Standing:
        """The same for its workflow."""
        return standing_of(dict(self.row._mapping), self.lines)

    @property
    def rule(self) -> ReturnRule:
        """The rule that it was asked for under."""
        return RULE.validate_python(self.row.rule)

    @property
    def reason(self) -> ReturnReason:
        """Why it is sent back."""
        return ReturnReason(self.row.reason)

    def expects(self, following: ReturnStatus, what: str) -> None:
        """Raise TooLate or Conflict unless it may come to stand in ``following``."""
        check_follows(self.row.number, self.status, following, what)


def standing_of(row: Mapping[str, Any], lines: Sequence[ReturnLine]) -> Standing:
    """Where a return stands, by its record's columns."""
    return Standing(
        status=ReturnStatus(row["status"]),
        warehouse=row["warehouse"],
        since=row["since"],
        patient_since=row["patient_since"],
        expected=sum(line.expected for line in lines),
        uninspected=sum(line.uninspected for line in lines),
        label=LabelState(row["label"]),
        attempt=row["label_attempt"],
        send_by=row["send_by"],
        trouble=None if row["trouble"] is None else ExceptionKind(row["trouble"]),
        letters=tuple(NoticeKind(letter) for letter in row["letters"]),
        revision=row["revision"],
    )


async def open_return(connection: AsyncConnection, row: Row[Any]) -> OpenReturn:
    """What a return's workflow starts with, by its record."""
    lines = await records.lines(connection, row.id)
    return OpenReturn(row.id, row.number, row.order_id, standing_of(dict(row._mapping), lines))


async def find_case(connection: AsyncConnection, return_id: str, *, lock: bool = False) -> Case:
    """A return. With ``lock`` nobody else can move it or its order's money until the transaction ends."""
    row = await records.find(connection, return_id)
    if row is not None and lock:
        await orders.lock(
            connection, row.order_id
        )  # always before the return's own row, so that nobody waits in a ring
        row = await records.find(connection, return_id, lock=True)
    if row is None:
        raise LookupError("a step of a return without a record")
    return Case(row, tuple(await records.lines(connection, return_id)))


async def move(
    connection: AsyncConnection,
    case: Case,
    status: ReturnStatus,
    event: dict[str, Any],
    *,
    lines: Sequence[ReturnLine] | None = None,
    letter: NoticeKind | None = None,
    **values: Any,
) -> None:
    """Let a return stand in ``status``. An exception about it is over by that, and a label that is not bought too."""
    more = {"status": status.value, **values}
    if status is not case.status:
        more |= {"since": event["at"], "patient_since": event["at"]}
        if case.row.exception_id is not None:
            await _over(connection, case, event["at"])
            more |= {"trouble": None, "exception_id": None}
        if case.row.label == LabelState.WANTED and status is not ReturnStatus.APPROVED:
            more.setdefault("label", LabelState.UNWANTED.value)  # its purchase may be on the way
    if letter is not None:
        more["letters"] = [*more.get("letters", case.row.letters), letter.value]
    await write(connection, case, more, event, lines=lines)
    await tell_order(connection, dict(case.row._mapping), event)


async def write(
    connection: AsyncConnection,
    case: Case,
    values: dict[str, Any],
    event: dict[str, Any] | None,
    *,
    lines: Sequence[ReturnLine] | None = None,
) -> None:
    """Write a return's columns, with what follows of them: what it waits for, and whether it is over."""
    after = case.lines if lines is None else lines
    standing = standing_of({**case.row._mapping, **values}, after)
    more = {**values, "waiting": waiting_json(standing.waiting), "revision": case.row.revision + 1}
    if standing.over and case.row.closed_at is None:
        more["closed_at"] = await orders.clock(connection)
    changed = [line for line, before in zip(after, case.lines, strict=True) if line != before]
    await records.save(connection, case.row.id, more, changed)
    if event is not None:
        await records.add_event(connection, case.row.id, event)


async def trouble(
    connection: AsyncConnection,
    case: Case,
    kind: ExceptionKind,
    reason: str,
    actions: tuple[Action, ...],
    event: dict[str, Any],
) -> None:
    """Have a person see to a return; one about which a person has been asked already stays as it is."""
    if case.row.exception_id is not None:
        return
    number = case.row.troubles + 1
    name = derived_id(case.row.id, f"exception:{number}")
    facts = {"return": case.row.id, "number": case.row.number}
    await open_about(connection, case.row.order_id, name, kind, reason, actions, facts)
    values = {"trouble": kind.value, "exception_id": name, "troubles": number}
    await write(connection, case, values, {**event, "key": f"trouble:{number}", "kind": "trouble", "text": reason})


async def tell_order(connection: AsyncConnection, row: Mapping[str, Any], event: dict[str, Any]) -> None:
    """Put what happened to a return on its order's timeline."""
    entry = {
        "key": f"return-{row['number']}-{event['key']}",
        "at": event["at"],
        "kind": f"return_{event['kind']}",
        "text": f"Return {row['number']}: {event['text']}",
        "actor": event["actor"],
    }
    await orders.add_entries(connection, row["order_id"], [entry])


async def _over(connection: AsyncConnection, case: Case, at: datetime) -> None:
    told = {"resolution": "resolved_itself", "by": "waybill", "note": ""}
    await exceptions.resolve(connection, case.row.exception_id, **told, at=at)
    await exceptions.refresh_attention(connection, case.row.order_id)
