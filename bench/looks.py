"""What people ask of the lists of orders, and how long the answers take over HTTP, one question after the other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle, islice
from random import Random
from time import perf_counter

import httpx2

from bench.archive import FAMILY, GIVEN, Sample
from bench.arithmetic import p50
from bench.progress import Advance
from local.catalogue import SKUS
from local.processes import LocalError

Parameters = dict[str, str | list[str]]
SEED = 7


@dataclass(frozen=True)
class Look:
    """One question: ``kind`` groups those alike."""

    kind: str
    parameters: Parameters


@dataclass(frozen=True)
class Looked:
    """How long each answer took, in milliseconds, by kind of question."""

    milliseconds: dict[str, list[float]]

    @property
    def p50(self) -> float:
        """Over all questions."""
        return p50([each for kind in self.milliseconds.values() for each in kind])

    @property
    def by_kind(self) -> dict[str, float]:
        """The median of each kind, the slowest first."""
        medians = {kind: p50(values) for kind, values in self.milliseconds.items()}
        return dict(sorted(medians.items(), key=lambda item: -item[1]))


def list_looks(sample: Sample, *, now: datetime, count: int) -> list[Look]:
    """``count`` questions as a back office asks them: the newest first of all, then filters of every kind."""
    chance = Random(SEED)

    def day() -> Parameters:
        start = now - timedelta(days=chance.randrange(2, 360))
        return {"placed_from": start.isoformat(), "placed_to": (start + timedelta(days=1)).isoformat()}

    kinds: dict[str, Callable[[], Parameters]] = {
        "the newest": lambda: {},
        "those to be handed over": lambda: {"status": "fulfilling"},
        "those that wait for somebody": lambda: {"status": ["awaiting_payment", "awaiting_stock"]},
        "the delivered": lambda: {"status": "delivered"},
        "those that need attention": lambda: {"needs_attention": "true"},
        "one channel": lambda: {"channel": chance.choice(("webshop", "marketplace", "phone"))},
        "one channel, shipped": lambda: {"channel": "phone", "status": "shipped"},
        "one customer": lambda: {"customer": chance.choice(sample.emails).upper()},
        "one SKU": lambda: {"sku": chance.choice(SKUS).sku},
        "one day": day,
        "one day, cancelled": lambda: {**day(), "status": "cancelled"},
        "the oldest": lambda: {"oldest_first": "true"},
    }
    return _mixed(kinds, count)


def search_looks(sample: Sample, *, count: int) -> list[Look]:
    """``count`` searches: exact ones as people paste them, names common and rare, SKUs, and what is not there."""
    chance = Random(SEED)

    def name() -> str:
        return f"{chance.choice(GIVEN)} {chance.choice(FAMILY)}"

    kinds: dict[str, Callable[[], str]] = {
        "an order number": lambda: chance.choice(sample.numbers),
        "a reference": lambda: chance.choice(sample.references),
        "an e-mail address": lambda: chance.choice(sample.emails),
        "a rare name": lambda: chance.choice(sample.rare_names),
        "a common name": lambda: chance.choice(FAMILY[:20]),
        "given and family name": name,
        "a name half typed": lambda: chance.choice(FAMILY)[:4],
        "a SKU": lambda: chance.choice(SKUS).sku,
        "a SKU and a name": lambda: f"{chance.choice(SKUS).sku} {chance.choice(FAMILY)}",
        "a Chinese name": lambda: chance.choice(("王小雨", "李伟", "陈思远", "刘洋")),
        "what is not there": lambda: f"zq{chance.randrange(10**6)}xw",
    }
    return _mixed({kind: _searching(text) for kind, text in kinds.items()}, count)


async def look(http: httpx2.AsyncClient, looks: Sequence[Look], *, advance: Advance) -> Looked:
    """Ask every question once, and go on to a second page where there is one. Raises LocalError for a refusal."""
    taken: dict[str, list[float]] = {}
    for one in looks:
        page = await _timed(http, one, taken)
        if page is not None and len(taken[one.kind]) % 2:
            await _timed(http, Look(one.kind, {**one.parameters, "cursor": page}), taken)
        advance(1)
    return Looked(taken)


async def _timed(http: httpx2.AsyncClient, look: Look, taken: dict[str, list[float]]) -> str | None:
    began = perf_counter()
    response = await http.get("/v1/orders", params=look.parameters)
    taken.setdefault(look.kind, []).append((perf_counter() - began) * 1000)
    if not response.is_success:
        raise LocalError(f"A list of orders ({look.kind}) was answered {response.status_code}: {response.text[:300]}")
    cursor: str | None = response.json()["next_cursor"]
    return cursor


def _searching(text: Callable[[], str]) -> Callable[[], Parameters]:
    return lambda: {"q": text()}


def _mixed(kinds: dict[str, Callable[[], Parameters]], count: int) -> list[Look]:
    def turns() -> Iterator[Look]:
        for kind in cycle(kinds):
            yield Look(kind, kinds[kind]())

    return list(islice(turns(), count))
