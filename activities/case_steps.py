"""What the workflows of claims and exchanges ask of their records."""

from dataclasses import dataclass
from datetime import datetime

from domain.exceptions import Action
from domain.notifications import NoticeKind


@dataclass(frozen=True)
class CaseStep:
    """Somebody wants a case moved on, ``at`` that moment. ``why`` is needed to refuse it."""

    case_id: str
    at: datetime
    by: str
    why: str = ""


@dataclass(frozen=True)
class DecideCase:
    """Somebody decides an exception about a case."""

    case_id: str
    at: datetime
    by: str
    why: str
    exception_id: str
    action: Action


@dataclass(frozen=True)
class CaseTold:
    """The customer was sent a letter, or could not be: ``why`` then says so."""

    case_id: str
    at: datetime
    by: str
    why: str
    letter: NoticeKind
