"""How the sandbox was started."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class FixedHook:
    """A webhook target given at the start, beside those registered over HTTP."""

    provider: str
    url: str
    secret: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``data`` is the folder of the books; ``public_url`` is what links in answers begin with.

    An API key of None accepts every key of the vendor's test shape.
    """

    data: Path
    public_url: str
    hooks: tuple[FixedHook, ...] = ()
    api_keys: dict[str, str] = field(default_factory=dict)
