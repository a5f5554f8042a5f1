"""The faults that a tester can dial in: what a mail server does on a bad day."""

import random
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Rate = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class Away(StrEnum):
    """Whether the server is there: `here`, `refused` (nothing listens), `busy` (421 at the greeting)."""

    HERE = "here"
    REFUSED = "refused"
    BUSY = "busy"


class Fault(StrEnum):
    """What happens to one mail after its last line has come in."""

    DROP_BEFORE = "drop_before"
    TEMPORARY = "temporary"
    GARBAGE = "garbage"
    LOST_ANSWER = "lost_answer"


def _away(value: object) -> object:
    if isinstance(value, bool):
        return Away.REFUSED if value else Away.HERE
    return value


class Settings(BaseModel):
    """Every dial. Rates are probabilities per mail, 0 to 1; `*_next` counts mails down, then falls silent.

    `refuse_recipients` are whole addresses, answered 550. `temporary` is a 451 before anything is kept.
    `lost_answer` keeps the mail and cuts the connection before the 250; `drop_before` cuts it with nothing
    kept; `garbage` answers something that is no SMTP, nothing kept. `latency_ms` delays the answer to a mail.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    refuse_recipients: list[str] = []
    temporary_rate: Rate = 0
    temporary_next: Count = 0
    lost_answer_rate: Rate = 0
    lost_answer_next: Count = 0
    drop_before_rate: Rate = 0
    drop_before_next: Count = 0
    garbage_rate: Rate = 0
    garbage_next: Count = 0
    latency_ms: Count = 0
    away: Annotated[Away, BeforeValidator(_away)] = Away.HERE
    seed: int | None = None


class Dials:
    """The dials of one server, kept in a file so that a restart finds them as they were left."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.settings = Settings.model_validate_json(path.read_bytes()) if path.exists() else Settings()
        self._chance = random.Random(self.settings.seed)  # noqa: S311 - faults, not secrets

    def change(self, changes: dict[str, object]) -> Settings:
        """Turn the named dials and leave the others.

        Raises `pydantic.ValidationError` for an unknown dial or a bad value; then nothing is changed.
        """
        settings = Settings.model_validate({**self.settings.model_dump(), **changes})
        if "seed" in changes:
            self._chance = random.Random(settings.seed)  # noqa: S311 - faults, not secrets
        self.settings = settings
        self._save()
        return settings

    def reset(self) -> Settings:
        """Everything back to a good day."""
        self.settings = Settings()
        self._save()
        return self.settings

    def refuses(self, address: str) -> bool:
        """Whether this recipient gets a 550."""
        return address.lower() in {refused.lower() for refused in self.settings.refuse_recipients}

    def next_fault(self) -> Fault | None:
        """What happens to the mail now at the door; uses up one of a `*_next` count."""
        for fault in Fault:
            if (left := getattr(self.settings, f"{fault}_next")) > 0:
                self.change({f"{fault}_next": left - 1})
                return fault
        return next((fault for fault in Fault if self._strikes(fault)), None)

    def _strikes(self, fault: Fault) -> bool:
        rate: float = getattr(self.settings, f"{fault}_rate")
        return rate > 0 and self._chance.random() < rate

    def _save(self) -> None:
        partial = self._path.with_suffix(".new")
        partial.write_text(self.settings.model_dump_json(indent=1))
        partial.replace(self._path)
