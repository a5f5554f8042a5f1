"""The record of a return: read as its workflow knows it, written with all that a step changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pydantic import TypeAdapter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities import case_records
from activities.case_records import Case, CaseKind, locked_row
from db import returns as records
from domain.exceptions import ExceptionKind
from domain.notifications import NoticeKind
from domain.return_rules import ReturnReason, ReturnRule
from domain.return_units import ReturnLine
from domain.returns import LabelState, OpenReturn, ReturnStatus, Standing, check_follows

RULE: TypeAdapter[ReturnRule] = TypeAdapter(ReturnRule)
RETURNS = CaseKind("return", records.CASES, ExceptionKind.RETURN_UNTOLD)


@dataclass(frozen=True)
class ReturnCase(Case):
    """A return with its lines, locked together with its order."""

    kind: ClassVar[CaseKind] = RETURNS

    lines: tuple[ReturnLine, ...]

    @property
    def status(self) -> ReturnStatus:
        """Where it stands."""
        return ReturnStatus(self.row.status)

    @property
    def standing(self) -> Standing:
        """The same for its workflow."""
        return self.standing_with({})

    @property
    def rule(self) -> ReturnRule:
        """The rule that it was asked for under."""
        return RULE.validate_python(self.row.rule)

    @property
    def reason(self) -> ReturnReason:
        """Why it is sent back."""
        return ReturnReason(self.row.reason)

    def standing_with(self, values: Mapping[str, Any]) -> Standing:
        """Where it stands once ``values`` are written."""
        return standing_of({**self.row._mapping, **values}, self.lines)

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


async def find_case(connection: AsyncConnection, return_id: str, lock: bool = False) -> ReturnCase:
    """A return. With ``lock`` nobody else can move it or its order's money until the transaction ends."""
    row = await locked_row(connection, RETURNS, return_id, lock=lock)
    return ReturnCase(row, tuple(await records.lines(connection, return_id)))


async def move(
    connection: AsyncConnection,
    case: ReturnCase,
    status: ReturnStatus,
    event: dict[str, Any],
    *,
    lines: Sequence[ReturnLine] | None = None,
    letter: NoticeKind | None = None,
    **values: Any,
) -> None:
    """Let a return stand in ``status``. An exception about it is over by that, and a label that is not bought too."""
    wanted = case.row.label == LabelState.WANTED
    if status is not case.status and wanted and status is not ReturnStatus.APPROVED:
        values.setdefault("label", LabelState.UNWANTED.value)  # its purchase may be on the way
    after = await _with_lines(connection, case, lines)
    told = letter if case.row.tell_customer else None
    await case_records.move(connection, after, status, event, letter=told, **values)


async def _with_lines(connection: AsyncConnection, case: ReturnCase, lines: Sequence[ReturnLine] | None) -> ReturnCase:
    if lines is None:
        return case
    changed = [line for line, before in zip(lines, case.lines, strict=True) if line != before]
    await records.save_lines(connection, case.row.id, changed)
    return replace(case, lines=tuple(lines))
