"""The dials: how a vendor misbehaves, set over HTTP while it runs and kept on disk.

`PUT /control/dials/{provider}` changes the fields it names, `GET` shows all, `DELETE` resets. Scripted faults in
``fail_next`` come before rates, are spent in order, and are taken off the list when spent.
"""

import random
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from integrations.sandbox.books import Books

Rate = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
D = TypeVar("D", bound="Dials")


class Mishap(StrEnum):
    """What can befall a call other than an error answer.

    drop_before: connection closed, deed not done. lost_answer: deed done, then closed without a byte.
    timeout: no deed, no answer until the caller gives up. slow: deed done, answered late.
    hang_after: deed done, no answer until the caller gives up. garbage: deed done, answer unreadable.
    """

    DROP_BEFORE = "drop_before"
    LOST_ANSWER = "lost_answer"
    TIMEOUT = "timeout"
    SLOW = "slow"
    HANG_AFTER = "hang_after"
    GARBAGE = "garbage"


class Fault(BaseModel):
    """One scripted fault for an operation (``*`` = any): an HTTP status, or a mishap.

    With ``deed`` an error status is answered although the deed was done. ``seconds`` is for ``slow``.
    """

    model_config = ConfigDict(extra="forbid")

    operation: str = "*"
    status: Annotated[int, Field(ge=400, le=599)] | Mishap
    times: Annotated[int, Field(ge=1)] = 1
    deed: bool = False
    seconds: Seconds | None = None
    retry_after: Annotated[int, Field(ge=0)] | None = None
    code: str | None = None
    message: str | None = None


class WebhookDials(BaseModel):
    """How webhooks misbehave. Backoff of the n-th retry is ``retry_base_seconds * 2^(n-1)``.

    lost_rate: never sent. doubled_rate: sent twice. late_seconds: sent that much later. reordered: every other
    event is overtaken by the next. early: sent before the API answers. delay_ms: the usual way after the answer.
    """

    model_config = ConfigDict(extra="forbid")

    lost_rate: Rate = 0
    doubled_rate: Rate = 0
    late_seconds: Seconds = 0
    reordered: bool = False
    reorder_seconds: Seconds = 0.5
    early: bool = False
    delay_ms: Annotated[int, Field(ge=0)] = 50
    retry_base_seconds: Seconds = 1
    retry_limit: Annotated[int, Field(ge=0)] = 12
    timeout_seconds: Annotated[float, Field(gt=0)] = 10


class Dials(BaseModel):
    """The dials every vendor has; a vendor with more of them subclasses this and installs its class."""

    model_config = ConfigDict(extra="forbid")

    latency_ms: Annotated[int, Field(ge=0)] = 0
    latency_jitter_ms: Annotated[int, Field(ge=0)] = 0
    error_rate: Rate = 0
    error_status: Annotated[int, Field(ge=400, le=599)] = 500
    retry_after_seconds: Annotated[int, Field(ge=0)] | None = None
    lost_answer_rate: Rate = 0
    drop_before_rate: Rate = 0
    garbage_rate: Rate = 0
    slow_seconds: Seconds = 5
    hang_seconds: Seconds = 120
    away: bool = False
    seed: int | None = None
    fail_next: list[Fault] = Field(default_factory=list)
    webhooks: WebhookDials = Field(default_factory=WebhookDials)


class DialBoard:
    """The dials of all vendors. With a ``seed`` the n-th call of an operation meets the same fate each time."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._models: dict[str, type[Dials]] = {}
        self._drawn: Counter[tuple[str, str]] = Counter()
        self._chance = random.Random()  # noqa: S311 - misbehaviour, not secrets

    def install(self, provider: str, model: type[Dials]) -> None:
        """Name the class of a vendor's dials; done once by its ``build``."""
        self._models[provider] = model

    @property
    def providers(self) -> list[str]:
        """The vendors that have dials."""
        return sorted(self._models)

    def get(self, provider: str) -> Dials:
        """A vendor's dials as set now. Raises `KeyError` for a vendor that has none."""
        return self.read(provider, self._models[provider])

    def read(self, provider: str, model: type[D]) -> D:
        """The dials as the vendor's own class."""
        name = _name(provider)
        return self._books.kept((name, model), lambda: model.model_validate(self._books.setting(name) or {}))

    def update(self, provider: str, patch: dict[str, Any]) -> Dials:
        """Change the named dials. Raises pydantic's `ValidationError` on unknown names or bad values."""
        model = self._models[provider]
        stored = self.get(provider).model_dump(mode="json")
        hooks = {**stored["webhooks"], **patch.get("webhooks", {})}
        dials = model.model_validate({**stored, **patch, "webhooks": hooks})
        self._store(provider, dials)
        if "seed" in patch:
            self._restart_draws(provider)
        return dials

    def reset(self, provider: str) -> Dials:
        """Back to good behaviour."""
        if provider not in self._models:
            raise KeyError(provider)
        self._books.set_setting(_name(provider), None)
        self._restart_draws(provider)
        return self.get(provider)

    def fate(self, provider: str, operation: str) -> Fault | None:
        """What befalls this call: the next scripted fault, else what the rates say, else nothing."""
        dials = self.get(provider)
        if dials.away:
            return Fault(status=Mishap.DROP_BEFORE)
        scripted = self._take_scripted(provider, dials, operation)
        return scripted or self._by_chance(provider, dials, operation)

    def draw(self, provider: str, purpose: str) -> Callable[[], float]:
        """A source of numbers in [0, 1) for one decision, repeatable where a seed is set."""
        seed = self.get(provider).seed
        if seed is None:
            return self._chance.random
        self._drawn[provider, purpose] += 1
        return random.Random(f"{seed}:{purpose}:{self._drawn[provider, purpose]}").random  # noqa: S311

    def _take_scripted(self, provider: str, dials: Dials, operation: str) -> Fault | None:
        for at, fault in enumerate(dials.fail_next):
            if fault.operation in ("*", operation):
                left = fault.model_copy(update={"times": fault.times - 1})
                rest = [*dials.fail_next[:at], *([left] if left.times else []), *dials.fail_next[at + 1 :]]
                self._store(provider, dials.model_copy(update={"fail_next": rest}))
                return fault
        return None

    def _by_chance(self, provider: str, dials: Dials, operation: str) -> Fault | None:
        number = self.draw(provider, operation)
        odds: list[tuple[float, int | Mishap]] = [
            (dials.drop_before_rate, Mishap.DROP_BEFORE),
            (dials.error_rate, dials.error_status),
            (dials.lost_answer_rate, Mishap.LOST_ANSWER),
            (dials.garbage_rate, Mishap.GARBAGE),
        ]
        hit = next((status for rate, status in odds if number() < rate), None)
        return None if hit is None else Fault(status=hit)

    def _store(self, provider: str, dials: Dials) -> None:
        self._books.set_setting(_name(provider), dials.model_dump(mode="json"))

    def _restart_draws(self, provider: str) -> None:
        for key in [key for key in self._drawn if key[0] == provider]:
            del self._drawn[key]


def _name(provider: str) -> str:
    return f"dials:{provider}"
