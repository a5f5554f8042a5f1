"""Errors of HTTP itself, beside the business errors of `domain.errors`.

```
WaybillError
├── OfHttp                  4xx  no such address, a method that it does not know
├── BadRequest              400  the request cannot be read at all
│   ├── InvalidJson
│   └── BadWebhook               a webhook that cannot be understood
├── ForgedWebhook           400  a webhook whose signature is missing, wrong or too old
├── UnsupportedMediaType    415  the body is not JSON
├── InvalidRequest          422  fields are missing, unknown or malformed; lists every fault
└── NothingToPrint          409  there is no label or slip (yet)
```
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from domain.errors import Conflict, Unavailable, WaybillError


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a request: where (``field`` as a dotted path), what, and its stable code."""

    field: str | None
    detail: str
    code: str


class OfHttp(WaybillError):
    """What HTTP itself refuses; code and title are the status's own (`not_found`, `method_not_allowed`)."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status, self.title, self.code = status.value, status.phrase, status.name.lower()


class BadRequest(WaybillError):
    """The request cannot be read."""

    code = "bad_request"
    status = 400
    title = "The request cannot be read"


class InvalidJson(BadRequest):
    """The body is not JSON, whatever its header says."""

    code = "invalid_json"
    title = "The body is not valid JSON"


class BadWebhook(BadRequest):
    """A signed webhook that is no event."""

    code = "bad_webhook"
    title = "The webhook cannot be understood"


class ForgedWebhook(WaybillError):
    """A webhook that proves nothing."""

    code = "bad_signature"
    status = 400
    title = "The webhook's signature is not valid"


class UnsupportedMediaType(WaybillError):
    """The body is of another kind than JSON."""

    code = "unsupported_media_type"
    status = 415
    title = "The body must be JSON"


class InvalidRequest(WaybillError):
    """A payload with one or more faults; the first names the problem's field."""

    code = "invalid_request"
    status = 422
    title = "The request is not valid"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(faults[0].detail, field=faults[0].field)
        self.faults = tuple(faults)
        # Where all faults are of one kind, the problem is of that kind.
        kinds = {fault.code for fault in faults}
        if len(kinds) == 1:
            self.code = faults[0].code


def not_running(number: str) -> Unavailable:
    """The answer where an order that is open in its record has no workflow now."""
    return Unavailable(
        f"Order {number} does not run now: it has just ended and its record is being written, or it was ended in "
        "Temporal, and then its exception must be decided first.",
        retry_after=2,
    )


class NothingToPrint(Conflict):
    """A document is asked for before there is anything to put on it, or after it lost its meaning."""

    code = "nothing_to_print"
    title = "There is nothing to print"
