"""What a vendor's stand-in consists of: its operations, its way of signing, and its way of saying no.

A vendor is one function ``build(sandbox: Sandbox) -> Provider``, named in ``registry.py``. Everything that happens
between the socket and the handler (call log, faults, latency, idempotency, transaction, lost answers) is the
core's business and the same for all vendors.

A handler is a plain synchronous function ``(call: Call) -> Answer``. The core runs it inside one transaction of
the books: what it put down and the webhooks it sent stand or fall together. It refuses by raising `Refused`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl

from starlette.routing import BaseRoute

if TYPE_CHECKING:
    from integrations.sandbox.books import Books
    from integrations.sandbox.calls import CallLog
    from integrations.sandbox.clock import Clock
    from integrations.sandbox.dials import DialBoard
    from integrations.sandbox.settings import Settings
    from integrations.sandbox.webhooks import Outgoing, Webhooks

Object = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request as a handler sees it. Header names are lower case; ``at`` is unix seconds of arrival."""

    provider: str
    operation: str
    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes
    path_params: Mapping[str, str]
    request_id: str
    base_url: str
    at: float

    @property
    def query(self) -> dict[str, str]:
        """The query parameters; of a repeated one the last."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    def json(self) -> Any:
        """The body as JSON, ``{}`` when it is empty. Raises `ValueError` where it is not JSON."""
        return json.loads(self.body) if self.body else {}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What goes back over the wire: dicts and lists as JSON, text and bytes as they are."""

    status: int = 200
    body: Object | list[Any] | str | bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    @cached_property
    def payload(self) -> bytes:
        """The body's bytes."""
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode()
        return b"" if self.body is None else json.dumps(self.body).encode()


class Refused(Exception):
    """The vendor says no: nothing is put on the books, and ``answer`` goes back.

    ``executed`` tells an idempotent vendor to keep the answer under the caller's key all the same
    (a refusal after validation, such as a wrong state); a validation failure is not kept.
    """

    def __init__(self, answer: Answer, *, executed: bool = False) -> None:
        super().__init__(f"{answer.status} {answer.body!r}")
        self.answer = answer
        self.executed = executed


@dataclass(frozen=True, kw_only=True)
class FaultAnswer:
    """An error that a dial asks for, to be worded the vendor's way."""

    status: int
    code: str | None = None
    message: str | None = None
    retry_after: int | None = None


@dataclass(frozen=True)
class Operation:
    """One thing the vendor can do: its name (as dials and call log know it), route and handler.

    ``path`` is relative to the vendor's prefix, in Starlette's notation: ``/v1/refunds/{id}``.
    Where two paths overlap, the first in the list wins.
    """

    name: str
    method: str
    path: str
    handler: Callable[[Call], Answer]


class Idempotency(Protocol):
    """How a vendor treats repeated keys. A vendor without keys has none of it."""

    def key(self, call: Call) -> str | None:
        """The caller's key, or None. Raises `Refused` where the key itself is bad."""

    def recall(self, call: Call, key: str) -> Answer | None:
        """The first answer under this key, or None. Raises `Refused` where the parameters differ."""

    def keep(self, call: Call, key: str, answer: Answer) -> None:
        """Keep the first answer; called inside the transaction that did the deed."""

    def in_flight(self, call: Call, key: str) -> Answer:
        """What a second caller hears while the first still runs."""


@dataclass(frozen=True)
class Shelf:
    """A kind of object shown on the page of the books, with the top-level fields in its columns."""

    kind: str
    title: str
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A vendor's stand-in, complete.

    name: as dials, calls and control know it; prefix: where it is mounted, e.g. ``/easypost/v2``.
    authorise: raises `Refused` on a bad key. render_fault: words a fault the vendor's way.
    unknown: the answer to a path nobody serves. sign: headers of a webhook attempt.
    compose_event: an event object of this type around this object, for hand-made events.
    tick: called several times a second, inside a transaction, with unix seconds: what ripens by itself.
    summary: counts and sums for `GET /control/summary`. extra_routes: pages and controls of its own,
    mounted at the root.
    """

    name: str
    prefix: str
    operations: Sequence[Operation]
    authorise: Callable[[Call], None]
    render_fault: Callable[[Call, FaultAnswer], Answer]
    unknown: Callable[[Call], Answer]
    sign: "Callable[[Outgoing], dict[str, str]]"
    compose_event: Callable[[str, Object], Object]
    summary: Callable[[], Object]
    response_headers: Callable[[Call], dict[str, str]] = lambda call: {}
    tick: Callable[[float], None] | None = None
    idempotency: Idempotency | None = None
    shelves: Sequence[Shelf] = ()
    extra_routes: Sequence[BaseRoute] = ()


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """The core's services, handed to every vendor's ``build``.

    ``clock`` gives unix seconds. All of it lives on one event loop; handlers never await.
    """

    settings: "Settings"
    books: "Books"
    dials: "DialBoard"
    calls: "CallLog"
    webhooks: "Webhooks"
    clock: "Clock"
