"""The setting PORTALS: a JSON array with one object for each supplier portal. It holds log-ins, so it is a secret.

```json
[{"name": "northgate", "adapter": "northgate", "base_url": "https://portal.supplier.example",
  "username": "buyer@shop.example", "password": "…", "totp": "base32, where there is a second factor",
  "concurrency": 2, "settles_within": "PT2M", "zone": "Europe/Berlin", "open": ["mo-fr 07:00-19:00"],
  "maintenance": ["su 02:00-04:00"], "closed": ["2026-12-24T20:00+01:00/2026-12-27T06:00+01:00"]}]
```
"""

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from domain.portals import Timetable, parse_closure, parse_span
from integrations.portals.account import PortalAccount
from integrations.portals.totp import decoded


class _Portal(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
    adapter: str
    base_url: str
    username: Annotated[str, Field(min_length=1)]
    password: Annotated[str, Field(min_length=1)]
    totp: str = ""
    concurrency: Annotated[int, Field(ge=1, le=32)] = 2
    settles_within: Annotated[timedelta, Field(ge=timedelta(0))] = PortalAccount.settles_within
    zone: str = "UTC"
    open: list[str] = []
    maintenance: list[str] = []
    closed: list[str] = []

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("it must be an address, such as https://portal.supplier.example")
        return value

    @field_validator("totp")
    @classmethod
    def _secret(cls, value: str) -> str:
        if value:
            decoded(value)
        return value

    @field_validator("zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, LookupError):
            raise ValueError("it must be a time zone, such as Europe/Berlin") from None
        return value

    @field_validator("open", "maintenance")
    @classmethod
    def _spans(cls, value: list[str]) -> list[str]:
        for text in value:
            parse_span(text)
        return value

    @field_validator("closed")
    @classmethod
    def _closures(cls, value: list[str]) -> list[str]:
        for text in value:
            parse_closure(text)
        return value

    def account(self) -> PortalAccount:
        timetable = Timetable(
            self.zone,
            tuple(map(parse_span, self.open)),
            tuple(map(parse_span, self.maintenance)),
            tuple(map(parse_closure, self.closed)),
        )
        return PortalAccount(
            name=self.name,
            adapter=self.adapter,
            base_url=self.base_url,
            username=self.username,
            password=self.password,
            totp=self.totp,
            concurrency=self.concurrency,
            settles_within=self.settles_within,
            timetable=timetable,
        )


_ALL: TypeAdapter[list[_Portal]] = TypeAdapter(list[_Portal])


def parse_accounts(text: str) -> tuple[PortalAccount, ...]:
    """The accounts that the setting names. Raises ValueError with one sentence that repeats no value."""
    try:
        portals = _ALL.validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise ValueError(f"{place or 'it'}: {fault['msg'].removeprefix('Value error, ')}") from None
    names = [portal.name for portal in portals]
    if len(set(names)) < len(names):
        raise ValueError("two portals have the same name")
    return tuple(portal.account() for portal in portals)
