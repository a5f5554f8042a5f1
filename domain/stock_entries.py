"""What people and programs enter into the stock's books, and which change of the level each entry makes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from domain.stock import MovementKind


class EntryKind(StrEnum):
    """What is entered. The value begins the cause of its movements: `count:…`."""

    RECEIPT = "receipt"
    RETURN = "return"
    ADJUSTMENT = "adjustment"
    COUNT = "count"
    WRITE_OFF = "write_off"
    DAMAGE = "damage"
    MENDING = "mending"
    ANNOUNCEMENT = "announcement"


@dataclass(frozen=True)
class Level:
    """Units of a SKU in a warehouse, as an entry finds them."""

    on_hand: int = 0
    reserved: int = 0
    damaged: int = 0
    incoming: int = 0

    @property
    def free(self) -> int:
        """Whole units that are promised to nobody; safety stock is no promise."""
        return self.on_hand - self.reserved - self.damaged


@dataclass(frozen=True)
class Change:
    """What an entry does to a level."""

    on_hand: int = 0
    damaged: int = 0
    incoming: int = 0


@dataclass(frozen=True)
class EntryLine:
    """One line of an entry.

    ``units`` are those that were received, returned, counted, written off, damaged or mended, or by how many on hand or
    incoming changes (adjustments and announcements may be negative). ``damaged``: the units are damaged ones.
    ``announced``: the received units were announced before.
    """

    sku: str
    units: int
    damaged: bool = False
    announced: bool = False

    @property
    def entered(self) -> str:
        """The line in one word, the same for the same entry."""
        marks = [name for name in ("damaged", "announced") if getattr(self, name)]
        return ",".join([f"quantity={self.units}", *marks])


@dataclass(frozen=True)
class Entry:
    """A delivery, a count, … of one warehouse. All lines count, or none."""

    kind: EntryKind
    warehouse: str
    reference: str
    reason: str
    actor: str
    lines: tuple[EntryLine, ...] = field(default=())

    @property
    def cause(self) -> str:
        """What its movements name as their cause."""
        return f"{self.kind.value}:{self.reference}"

    @property
    def movement(self) -> MovementKind:
        """The kind of its movements."""
        return _RULES[self.kind][0]


class Impossible(Exception):
    """An entry that the level does not allow; the text says why. ``promised``: it would take promised units."""

    def __init__(self, text: str, *, promised: bool = False) -> None:
        super().__init__(text)
        self.promised = promised


def plan(kind: EntryKind, line: EntryLine, level: Level) -> Change:
    """The change that a line makes. Raises Impossible."""
    return _RULES[kind][1](line, level)


def _receipt(line: EntryLine, level: Level) -> Change:
    arrived = min(line.units, level.incoming) if line.announced else 0
    return Change(on_hand=line.units, incoming=-arrived)


def _return(line: EntryLine, _: Level) -> Change:
    return Change(on_hand=line.units, damaged=line.units if line.damaged else 0)


def _adjustment(line: EntryLine, level: Level) -> Change:
    if -line.units > level.free:
        raise _promised(level, f"{-line.units} units cannot be taken away")
    return Change(on_hand=line.units)


def _count(line: EntryLine, level: Level) -> Change:
    # A count is of everything on the shelf; of damaged units there cannot be more than of all.
    return Change(on_hand=line.units - level.on_hand, damaged=min(0, line.units - level.damaged))


def _write_off(line: EntryLine, level: Level) -> Change:
    if line.damaged:
        _needs_damaged(line, level)
        return Change(on_hand=-line.units, damaged=-line.units)
    if line.units > level.free:
        raise _promised(level, f"{line.units} whole units cannot be written off")
    return Change(on_hand=-line.units)


def _damage(line: EntryLine, level: Level) -> Change:
    whole = max(0, level.on_hand - level.damaged)
    if line.units > whole:
        raise Impossible(f"{line.units} units cannot be damaged: {whole} whole ones are on hand.")
    return Change(damaged=line.units)


def _mending(line: EntryLine, level: Level) -> Change:
    _needs_damaged(line, level)
    return Change(damaged=-line.units)


def _announcement(line: EntryLine, level: Level) -> Change:
    if level.incoming + line.units < 0:
        raise Impossible(f"{-line.units} units cannot be called off: {level.incoming} are announced.")
    return Change(incoming=line.units)


def _needs_damaged(line: EntryLine, level: Level) -> None:
    if line.units > level.damaged:
        raise Impossible(f"{line.units} damaged units are not there: {level.damaged} are.")


def _promised(level: Level, what: str) -> Impossible:
    free = max(0, level.free)
    text = f"{what}: of {level.on_hand} on hand {level.reserved} are promised to orders and {level.damaged} damaged, "
    return Impossible(
        f"{text}which leaves {free}. Cancel orders first, or enter what you count on the shelf.",
        promised=level.reserved > 0,
    )


_RULES: Mapping[EntryKind, tuple[MovementKind, Callable[[EntryLine, Level], Change]]] = {
    EntryKind.RECEIPT: (MovementKind.RECEIVED, _receipt),
    EntryKind.RETURN: (MovementKind.RETURNED, _return),
    EntryKind.ADJUSTMENT: (MovementKind.ADJUSTED, _adjustment),
    EntryKind.COUNT: (MovementKind.COUNTED, _count),
    EntryKind.WRITE_OFF: (MovementKind.WRITTEN_OFF, _write_off),
    EntryKind.DAMAGE: (MovementKind.DAMAGED, _damage),
    EntryKind.MENDING: (MovementKind.MENDED, _mending),
    EntryKind.ANNOUNCEMENT: (MovementKind.ANNOUNCED, _announcement),
}
