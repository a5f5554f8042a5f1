"""What is broken, when, for how long: a schedule drawn from a seed, the same every time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from random import Random
from typing import Any

from drill.links import Wire

WEBS = ("web-1", "web-2")
WORKERS = ("worker-1", "worker-2")
PORTAL_WORKERS = ("portals-1", "portals-2")
SERVERS = ("temporal", "postgres", "sandbox", "mail")
PROCESSES = (*WEBS, *WORKERS, *SERVERS)
WIRES = (
    *((program, server) for program in (*WEBS, *WORKERS) for server in ("postgres", "temporal")),
    *((worker, server) for worker in WORKERS for server in ("sandbox", "mail")),
    ("sandbox", "web"),
)
"""who calls whom; a link stands between any two"""
PORTAL_WIRES = tuple((worker, server) for worker in PORTAL_WORKERS for server in ("postgres", "temporal", "sandbox"))
LONGEST_FREEZE = 30.0
CLOCK_OFF = 600.0
GAP = (1.5, 6.0)
"""seconds between the beginnings of two faults"""
FIRST_AT = 4.0
MOST_UPGRADES = 2


class Kind(StrEnum):
    """The kinds of faults. Those from ``cut`` to ``half_open`` befall a link, ``providers`` are the sandbox's dials."""

    KILL = "kill"
    FREEZE = "freeze"
    CUT = "cut"
    SLOW = "slow"
    HALF_OPEN = "half_open"
    PROVIDERS = "providers"
    MAILBOX = "mailbox"
    DISK = "disk"
    CLOCK = "clock"
    UPGRADE = "upgrade"
    BROWSER = "browser"
    """the browser of a portal worker is killed, and the worker is not"""


_LINKS = {Kind.CUT: Wire.CUT, Kind.SLOW: Wire.SLOW, Kind.HALF_OPEN: Wire.HALF_OPEN}
_TARGETS = frozenset({"web", "worker", "portals", *SERVERS})
WORDS = frozenset({*(kind.value for kind in Kind), *_TARGETS, "links"})
"""what FAULTS may name"""


@dataclass(frozen=True)
class Town:
    """What may be broken: the processes, the wires between them, whose dials may be turned, how often each kind comes.

    With suppliers there are portal workers and their browsers as well; without them a seed draws what it drew before.
    """

    processes: tuple[str, ...]
    wires: tuple[tuple[str, str], ...]
    vendors: tuple[str, ...]
    bag: Mapping[Kind, int]


def town(*, supplied: bool) -> Town:
    """What a drill has, with suppliers' portals or without."""
    if not supplied:
        return Town(PROCESSES, WIRES, ("stripe", "easypost"), _BAG)
    bag = {**_BAG, Kind.BROWSER: 2}
    return Town((*PROCESSES, *PORTAL_WORKERS), (*WIRES, *PORTAL_WIRES), ("stripe", "easypost", "portal"), bag)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault: it begins ``at`` seconds into the drill and lasts ``seconds``.

    ``targets`` are processes, or the two ends of a link. ``delay`` is a slow link's, ``ahead`` the clock's, both in
    seconds. ``dials`` go to ``vendor`` as they are.
    """

    number: int
    at: float
    kind: Kind
    seconds: float
    targets: tuple[str, ...] = ()
    delay: float = 0.0
    ahead: float = 0.0
    vendor: str = ""
    dials: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> frozenset[str]:
        """By which words of FAULTS it is called: its kind, and what it kills or freezes, or that it is a link's."""
        if self.kind in _LINKS:
            return frozenset({self.kind.value, "links"})
        called = {target.partition("-")[0] for target in self.targets}
        return frozenset({self.kind.value, *called})

    @property
    def wire(self) -> Wire:
        """What becomes of the link."""
        return _LINKS[self.kind]

    @property
    def told(self) -> str:
        """The fault in words."""
        where = (" to " if self.kind in _LINKS else ", ").join(self.targets)
        more = {
            Kind.SLOW: f", {self.delay * 1000:.0f} ms a piece",
            Kind.PROVIDERS: f"{self.vendor}: {_spelled(self.dials)}",
            Kind.MAILBOX: _spelled(self.dials),
            Kind.DISK: "the disk of the database's log is full",
            Kind.CLOCK: f"the sandbox's clock {self.ahead:+.0f} s",
            Kind.UPGRADE: "the workers, one after the other, to a build with another workflow",
        }.get(self.kind, "")
        lasts = "" if self.kind is Kind.UPGRADE else f", {self.seconds:.0f} s"
        return f"{self.kind.replace('_', ' ')} {where}{more}{lasts}"


def schedule(seed: int, *, seconds: float, wanted: frozenset[str] = frozenset(), supplied: bool = False) -> list[Fault]:
    """All faults of a drill, by the time of their beginning. ``wanted`` are words of which a fault must have one.

    Every kind comes before any comes again; which process, which link and which moment is drawn.
    """
    chance = Random(f"faults:{seed}")  # noqa: S311 - to be repeated, not to be secret
    drawn = _drawn(chance, wanted, town(supplied=supplied))
    faults: list[Fault] = []
    at = FIRST_AT
    while at < seconds:
        make = next(drawn, None)
        if make is None:
            break
        faults.append(make(number=len(faults) + 1, at=at))
        at += chance.uniform(*GAP)
    return faults


Make = Callable[..., Fault]


def _drawn(chance: Random, wanted: frozenset[str], here: Town) -> Iterator[Make]:
    """Kinds without end, as from a bag that is filled again when it is empty; upgrades a few times only."""
    upgrades = 0
    while True:
        bag = [kind for kind, times in here.bag.items() for _ in range(times)]
        chance.shuffle(bag)
        found = 0
        for kind in bag:
            if kind is Kind.UPGRADE and upgrades == MOST_UPGRADES:
                continue
            fields = _draw(chance, kind, wanted, here)
            if fields is None:
                continue
            found += 1
            upgrades += kind is Kind.UPGRADE
            yield partial(Fault, kind=kind, **fields)
        if not found:
            return


def _draw(chance: Random, kind: Kind, wanted: frozenset[str], here: Town) -> dict[str, Any] | None:
    """A fault of the kind with a word that is wanted; None where there is none."""
    for _ in range(60):
        fields = _FIELDS[kind](chance, here)
        if not wanted or Fault(number=0, at=0, kind=kind, **fields).words & wanted:
            return fields
    return None


def _kill(chance: Random, here: Town) -> dict[str, Any]:
    several = chance.choice((1, 1, 1, 2, 3))
    return {
        "targets": tuple(sorted(chance.sample(here.processes, several))),
        "seconds": chance.choice((0.0, 1.0, 3.0, 8.0)),
    }


def _freeze(chance: Random, here: Town) -> dict[str, Any]:
    return {"targets": (chance.choice(here.processes),), "seconds": round(chance.uniform(1, LONGEST_FREEZE), 1)}


def _link(chance: Random, here: Town) -> dict[str, Any]:
    return {"targets": chance.choice(here.wires), "seconds": round(chance.uniform(2, 15), 1)}


def _slow(chance: Random, here: Town) -> dict[str, Any]:
    return {**_link(chance, here), "delay": chance.choice((0.05, 0.3, 1.5))}


def _providers(chance: Random, here: Town) -> dict[str, Any]:
    vendor = chance.choice(here.vendors)
    dials = chance.choice(_SITE if vendor == "portal" else _MISBEHAVIOUR)
    return {"vendor": vendor, "dials": dials, "seconds": round(chance.uniform(4, 15), 1)}


def _mailbox(chance: Random, here: Town) -> dict[str, Any]:
    return {"dials": chance.choice(_MAILBOX), "seconds": round(chance.uniform(4, 12), 1)}


def _disk(chance: Random, here: Town) -> dict[str, Any]:
    return {"seconds": round(chance.uniform(3, 8), 1)}


def _clock(chance: Random, here: Town) -> dict[str, Any]:
    return {"ahead": chance.choice((CLOCK_OFF, -CLOCK_OFF)), "seconds": round(chance.uniform(6, 15), 1)}


def _upgrade(chance: Random, here: Town) -> dict[str, Any]:
    return {"seconds": 0.0}


def _browser(chance: Random, here: Town) -> dict[str, Any]:
    return {"targets": (chance.choice(PORTAL_WORKERS),), "seconds": 0.0}


def _spelled(dials: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in dials.items())


_FIELDS: Mapping[Kind, Callable[[Random, Town], dict[str, Any]]] = {
    Kind.KILL: _kill,
    Kind.FREEZE: _freeze,
    Kind.CUT: _link,
    Kind.SLOW: _slow,
    Kind.HALF_OPEN: _link,
    Kind.PROVIDERS: _providers,
    Kind.MAILBOX: _mailbox,
    Kind.DISK: _disk,
    Kind.CLOCK: _clock,
    Kind.UPGRADE: _upgrade,
    Kind.BROWSER: _browser,
}
_BAG = {
    Kind.KILL: 6,
    Kind.FREEZE: 3,
    Kind.CUT: 2,
    Kind.SLOW: 1,
    Kind.HALF_OPEN: 2,
    Kind.PROVIDERS: 5,
    Kind.MAILBOX: 1,
    Kind.DISK: 1,
    Kind.CLOCK: 1,
    Kind.UPGRADE: 1,
}
_BROKEN = {"operation": "*", "status": 500, "deed": True, "times": 4}
_MISBEHAVIOUR: tuple[Mapping[str, Any], ...] = (
    {"error_rate": 0.5, "error_status": 503},
    {"error_rate": 0.4, "error_status": 500},
    {"error_rate": 0.5, "error_status": 429, "retry_after_seconds": 1},
    {"latency_ms": 1500, "latency_jitter_ms": 2000},
    {"lost_answer_rate": 0.6},
    {"drop_before_rate": 0.5},
    {"garbage_rate": 0.5},
    {"away": True},
    {"fail_next": [_BROKEN]},
    {"fail_next": [{"operation": "*", "status": "hang_after", "times": 2}]},
    {"webhooks": {"lost_rate": 0.7}},
    {"webhooks": {"doubled_rate": 0.8, "reordered": True, "reorder_seconds": 2}},
    {"webhooks": {"late_seconds": 6}},
    {"webhooks": {"early": True, "doubled_rate": 0.5}},
)
_SITE: tuple[Mapping[str, Any], ...] = (
    {"error_rate": 0.3, "error_status": 503},
    {"latency_ms": 600, "latency_jitter_ms": 900},
    {"lost_answer_rate": 0.3},
    {"drop_before_rate": 0.3},
    {"away": True},
    {"maintenance": True},
    {"session_lost": "orders.submit"},
    {"fail_next": [{"operation": "orders.submit", "status": "hang_after", "times": 2}]},
    {"fail_next": [{"operation": "orders.submit", "status": "lost_answer", "times": 2}]},
)
"""what a supplier's web site does on a bad day"""
_MAILBOX: tuple[Mapping[str, Any], ...] = (
    {"lost_answer_rate": 0.5},
    {"drop_before_rate": 0.5},
    {"temporary_rate": 0.6},
    {"garbage_rate": 0.5},
    {"away": "refused"},
    {"away": "busy"},
    {"latency_ms": 2500},
)
