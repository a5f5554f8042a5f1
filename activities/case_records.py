"""The record of a case about an order: what every step of it writes, and the order's timeline beside it."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol, TypeVar

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.projections import waiting_json
from activities.refunds import open_about
from activities.refusals import Refusal, refusal_of
from db import exceptions, orders
from db.base import Database
from db.cases import Cases
from domain.errors import Conflict, InvalidClaim, InvalidExchange, InvalidRefund, InvalidReturn, TooLate
from domain.exceptions import Action, ExceptionKind
from domain.notifications import NoticeKind
from domain.orders import derived_id
from domain.waiting import Waiting

_ANSWERS = (Conflict, InvalidReturn, InvalidClaim, InvalidExchange, InvalidRefund)
"""what a step can be refused for"""


class Stands(Protocol):
    """Where a case stands."""

    @property
    def waiting(self) -> Waiting:
        """What it waits for."""

    @property
    def over(self) -> bool:
        """Whether nothing of it is left to do."""


class Stepping(Protocol):
    """A step that somebody makes, ``at`` that moment; ``why`` he makes it."""

    @property
    def at(self) -> datetime:
        """When."""

    @property
    def by(self) -> str:
        """Who."""

    @property
    def why(self) -> str:
        """Why."""


@dataclass(frozen=True)
class CaseKind:
    """One kind of case: what people call it, its records, and the exception of one whose customer cannot be told."""

    noun: str
    cases: Cases
    untold: ExceptionKind


@dataclass(frozen=True)
class Case(ABC):
    """A case, locked together with its order."""

    kind: ClassVar[CaseKind]

    row: Row[Any]

    @abstractmethod
    def standing_with(self, values: Mapping[str, Any]) -> Stands:
        """Where it stands once ``values`` are written."""


AnyCase = TypeVar("AnyCase", bound=Case)


async def locked_row(connection: AsyncConnection, kind: CaseKind, name: str, *, lock: bool) -> Row[Any]:
    """A case's record. With ``lock`` nobody else can move it or its order's money until the transaction ends."""
    row = await kind.cases.find(connection, name)
    if row is not None and lock:
        # Always before the case's own row, so that nobody waits in a ring.
        await orders.lock(connection, row.order_id)
        row = await kind.cases.find(connection, name, lock=True)
    if row is None:
        raise LookupError(f"a step of a {kind.noun} without a record")
    return row


async def once(
    database: Database,
    find: Callable[[AsyncConnection, str, bool], Awaitable[AnyCase]],
    name: str,
    do: Callable[[AsyncConnection, AnyCase], Awaitable[None]],
) -> tuple[AnyCase, Refusal | None]:
    """Do something with a case in one transaction, while nobody else does; the case after it, or why it was refused."""
    refusal = None
    try:
        async with database.transaction() as connection:
            await do(connection, await find(connection, name, True))
    except _ANSWERS as error:  # an answer; nothing is written
        refusal = refusal_of(error)
    async with database.reading() as connection:
        return await find(connection, name, False), refusal


async def move(
    connection: AsyncConnection,
    case: Case,
    status: StrEnum,
    event: dict[str, Any],
    *,
    letter: NoticeKind | None = None,
    link: str | None = None,
    **values: Any,
) -> None:
    """Let a case stand in ``status``; an exception about it is over by that. ``link`` leads on from the timeline."""
    more = {"status": status.value, **values}
    if status.value != case.row.status:
        more |= {"since": event["at"], "patient_since": event["at"]}
        if case.row.exception_id is not None:
            await resolve(connection, case, "resolved_itself", by="waybill", why="", at=event["at"])
            more |= {"trouble": None, "exception_id": None}
    if letter is not None:
        more["letters"] = [*more.get("letters", case.row.letters), letter.value]
    await write(connection, case, more, event)
    await tell_order(connection, case.kind.noun, dict(case.row._mapping), event, link=link)


async def write(
    connection: AsyncConnection, case: Case, values: Mapping[str, Any], event: dict[str, Any] | None
) -> None:
    """Write a case's columns, with what follows of them: what it waits for, and whether it is over."""
    standing = case.standing_with(values)
    more = {**values, "waiting": waiting_json(standing.waiting), "revision": case.row.revision + 1}
    if standing.over and case.row.closed_at is None:
        more["closed_at"] = await orders.clock(connection)
    await case.kind.cases.change(connection, case.row.id, more)
    if event is not None:
        await case.kind.cases.add_event(connection, case.row.id, event)


async def trouble(
    connection: AsyncConnection,
    case: Case,
    kind: ExceptionKind,
    reason: str,
    actions: tuple[Action, ...],
    event: dict[str, Any],
) -> None:
    """Have a person see to a case; one about which a person has been asked already stays as it is."""
    if case.row.exception_id is not None:
        return
    number = case.row.troubles + 1
    name = derived_id(case.row.id, f"exception:{number}")
    facts = {case.kind.noun: case.row.id, "number": case.row.number}
    await open_about(connection, case.row.order_id, name, kind, reason, actions, facts)
    values = {"trouble": kind.value, "exception_id": name, "troubles": number}
    await write(connection, case, values, {**event, "key": f"trouble:{number}", "kind": "trouble", "text": reason})


async def decide(
    connection: AsyncConnection, case: Case, step: Stepping, exception_id: str, action: Action
) -> dict[str, Any] | None:
    """Close the exception about a case that a person has decided; the event of it, None if that was done before.

    Raises TooLate where nobody waits for this decision.
    """
    known = await exceptions.find(connection, exception_id)
    if known is not None and known.resolution == action:
        return None
    if case.row.exception_id != exception_id:
        told = f"The {case.kind.noun} has moved on: nobody waits for this decision any more."
        raise TooLate(told)
    await resolve(connection, case, action.value, by=step.by, why=step.why, at=step.at)
    text = f"{step.by} decided: {action}." + (f" {step.why}" if step.why else "")
    return event_of(f"decided:{case.row.troubles}", step, text)


async def resolve(connection: AsyncConnection, case: Case, how: str, *, by: str, why: str, at: datetime) -> None:
    """Close the exception that is open about a case."""
    await exceptions.resolve(connection, case.row.exception_id, resolution=how, by=by, note=why, at=at)
    await exceptions.refresh_attention(connection, case.row.order_id)


async def note_told(connection: AsyncConnection, case: Case, letter: NoticeKind, why: str) -> None:
    """Note that the customer was sent a letter, or, where there is a ``why``, that a person has to tell him."""
    if letter.value not in case.row.letters:
        return
    if why:
        told = f"The customer could not be told about {case.kind.noun} {case.row.number}: {why}. "
        name = derived_id(case.row.id, f"exception:untold:{letter}")
        facts = {case.kind.noun: case.row.id, "number": case.row.number, "letter": letter.value}
        reason = f"{told}Tell him in another way, then skip."
        await open_about(connection, case.row.order_id, name, case.kind.untold, reason, (Action.SKIP,), facts)
    left = [one for one in case.row.letters if one != letter.value]
    await write(connection, case, {"letters": left}, None)


async def tell_order(
    connection: AsyncConnection,
    noun: str,
    row: Mapping[str, Any],
    event: Mapping[str, Any],
    *,
    link: str | None = None,
) -> None:
    """Put what happened to a case on its order's timeline."""
    entry = {
        "key": f"{noun}-{row['number']}-{event['key']}",
        "at": event["at"],
        "kind": f"{noun}_{event['kind']}",
        "text": f"{noun.capitalize()} {row['number']}: {event['text']}",
        "actor": event["actor"],
        "link": link,
    }
    await orders.add_entries(connection, row["order_id"], [entry])


def event_of(key: str, step: Stepping, text: str) -> dict[str, Any]:
    """The event of a step, once for ``key``, whose first word is its kind."""
    return {"key": key, "at": step.at, "kind": key.partition(":")[0], "text": text, "actor": step.by, "entered": None}


def units(count: int) -> str:
    """So many units, in words."""
    return "1 unit" if count == 1 else f"{count} units"
