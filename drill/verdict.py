"""What came of a drill: which laws held, how soon orders moved again, and one line of JSON."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bench.arithmetic import percentile
from drill.laws import Breach, Case, judge
from drill.laws.notifications import Repeated, repeated
from drill.laws.workflows import Recovery, recoveries
from drill.run import Drill

AROUND = 15.0
"""seconds around a breach in which a fault is told of"""
MOST_TOLD = 12
"""breaches that are told in full"""


@dataclass(frozen=True)
class Told:
    """A breach with what helps to understand it: the order's timeline and the faults around."""

    breach: Breach
    number: str
    shape: str
    timeline: tuple[str, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """The outcome. ``laws`` has the breaches of every law; it holds where there are none."""

    drill: Drill
    case: Case
    laws: Mapping[str, list[Breach]]
    recoveries: list[Recovery]
    repeated: list[Repeated]

    @property
    def broken(self) -> int:
        """How many laws were broken."""
        return sum(bool(breaches) for breaches in self.laws.values())

    @property
    def holds(self) -> bool:
        """Whether every law holds, and every order that was to be placed was accepted."""
        return self.broken == 0

    @property
    def line(self) -> str:
        """The last line that a drill prints."""
        drill = self.drill
        memory = [round(mb) for _, mb in drill.memory]
        return json.dumps(
            {
                "seed": drill.settings.seed,
                "orders": len(drill.accepted),
                "faults": len(self.done),
                "lasted_s": round(drill.lasted),
                "moved_again_s": [round(percentile(self.recovered, share), 1) for share in (0.5, 1.0)]
                if self.recovered
                else [],
                "twice": len(self.repeated),
                "memory_mb": [memory[0], max(memory), memory[-1]] if memory else [],
                "findings": len(drill.findings),
                "broken": self.broken,
                "holds": self.holds,
            }
        )

    @property
    def done(self) -> list[str]:
        """The kinds of the faults that were really injected."""
        return [each.fault.kind.value for each in self.drill.injected if not each.skipped]

    @property
    def kinds(self) -> Counter[str]:
        """How many faults of each kind."""
        return Counter(self.done)

    @property
    def ends(self) -> Counter[str]:
        """How many orders ended how, or stand where."""
        return Counter(row["status"] for _, row in self.case.orders())

    @property
    def recovered(self) -> list[float]:
        """Seconds from a fault's mending to the first order that moved."""
        return [each.took.total_seconds() for each in self.recoveries if each.took is not None]

    def recovery(self, share: float) -> str:
        """A percentile of the times of recovery, in words."""
        return f"{percentile(self.recovered, share):.1f} s" if self.recovered else "nothing had to move"

    def told(self) -> list[Told]:
        """The breaches to be told, not too many."""
        found = [breach for breaches in self.laws.values() for breach in breaches]
        return [_told(self, breach) for breach in found[:MOST_TOLD]]


def reach(drill: Drill) -> Verdict:
    """Judge a drill that is over. Raises ValueError for one whose books were not read."""
    if drill.books is None:
        raise ValueError("the drill has no books yet")
    lives = {life.id: life for life in drill.accepted}
    case = Case(lives, drill.books, drill.received, tuple(drill.injected))
    laws = judge(case)
    never = [life for life in drill.lives if not life.id]
    laws["whoever asked was answered"] += [
        Breach("whoever asked was answered", f"order {life.number} was never accepted: {life.trouble}")
        for life in never
    ]
    return Verdict(drill, case, laws, recoveries(case), repeated(case))


def _told(verdict: Verdict, breach: Breach) -> Told:
    life = verdict.case.lives.get(breach.order_id)
    if life is None:
        return Told(breach, "", "", (), _faults(verdict, [breach.at] if breach.at else []))
    lines = verdict.case.books.of("timeline", breach.order_id)
    number = next(row["number"] for row in verdict.case.books.tables["orders"] if row["id"] == life.id) if lines else ""
    heard = [(each.at, f"asked to {each.what.replace('_', ' ')}: {each.status}") for each in life.heard]
    happened = sorted([*((line["at"], line["text"]) for line in lines), *heard])
    moments = [breach.at] if breach.at else [at for at, _ in happened]
    story = tuple(f"{at:%H:%M:%S.%f}"[:-3] + f"  {text}" for at, text in happened)
    return Told(breach, number, life.shape, story, _faults(verdict, moments))


def _faults(verdict: Verdict, moments: list[datetime]) -> tuple[str, ...]:
    near = (
        each
        for each in verdict.drill.injected
        if any(each.around(at, seconds=AROUND) for at in moments if at is not None)
    )
    return tuple(f"{each.began:%H:%M:%S} to {_end(each.mended)}  {each.fault.told}" for each in near)


def _end(mended: datetime | None) -> str:
    return "the end" if mended is None else f"{mended:%H:%M:%S}"


def seconds(took: timedelta | None) -> str:
    """A time of recovery in words."""
    return "nothing had to move" if took is None else f"{took.total_seconds():.1f} s"
