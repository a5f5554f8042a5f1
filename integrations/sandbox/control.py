"""The sandbox's own controls: dials, call log, books, webhooks, and a page for people."""

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from integrations.sandbox.calls import FILTERS
from integrations.sandbox.provider import Provider, Sandbox
from integrations.sandbox.webhooks import Signature

TEMPLATES = Path(__file__).with_name("templates")
AHEAD = "clock:ahead_seconds"
"""the setting that keeps how wrong the clock is"""
_PAGE_ROWS = 25
_MOST_ROWS = 1000
_MOST_AHEAD = 86_400

Endpoint = Callable[[Request], Awaitable[Response]]


class BadControl(Exception):
    """A control request that makes no sense; answered with ``status`` and ``{"error": message}``."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def guarded(endpoint: Endpoint) -> Endpoint:
    """Answer a `BadControl` raised by the endpoint as JSON; for the vendors' own controls too."""

    async def safe(request: Request) -> Response:
        try:
            return await endpoint(request)
        except BadControl as bad:
            return JSONResponse({"error": bad.message}, bad.status)

    return safe


async def read_body(request: Request) -> dict[str, Any]:
    """The request's JSON object, ``{}`` when empty. Raises `BadControl` (400) for anything else."""
    raw = await request.body()
    try:
        body = json.loads(raw) if raw else {}
    except ValueError as error:
        raise BadControl(400, "the body is not JSON") from error
    if not isinstance(body, dict):
        raise BadControl(400, "the body is not a JSON object")
    return body


def routes(sandbox: Sandbox, providers: Sequence[Provider]) -> list[BaseRoute]:
    """Everything under ``/control``, the health check and the page."""
    controls = Controls(sandbox, providers)
    table: list[tuple[str, str, Endpoint]] = [
        ("GET", "/", controls.page),
        ("GET", "/healthz", controls.health),
        ("GET", "/control/dials", controls.all_dials),
        ("GET", "/control/dials/{provider}", controls.show_dials),
        ("PUT", "/control/dials/{provider}", controls.turn_dials),
        ("DELETE", "/control/dials/{provider}", controls.reset_dials),
        ("GET", "/control/clock", controls.show_clock),
        ("PUT", "/control/clock", controls.set_clock),
        ("GET", "/control/calls", controls.list_calls),
        ("GET", "/control/calls/count", controls.count_calls),
        ("GET", "/control/books", controls.kinds),
        ("GET", "/control/books/{kind}", controls.list_objects),
        ("GET", "/control/books/{kind}/{id}", controls.show_object),
        ("GET", "/control/summary", controls.summary),
        ("GET", "/control/webhooks", controls.list_webhooks),
        ("POST", "/control/webhooks/redeliver/{event_id}", controls.redeliver),
        ("POST", "/control/events", controls.send_event),
        ("POST", "/control/reset", controls.reset),
    ]
    return [Route(path, guarded(endpoint), methods=[method]) for method, path, endpoint in table]


class Controls:
    """The endpoints of the controls."""

    def __init__(self, sandbox: Sandbox, providers: Sequence[Provider]) -> None:
        self._sandbox = sandbox
        self._providers = {provider.name: provider for provider in providers}
        self._pages = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)

    async def health(self, _: Request) -> Response:
        """200 once the books can be read."""
        self._sandbox.books.kinds()
        return JSONResponse({"status": "ok", "providers": sorted(self._providers)})

    async def all_dials(self, _: Request) -> Response:
        """The dials of every vendor."""
        return JSONResponse({name: self._dials_of(name) for name in self._providers})

    async def show_dials(self, request: Request) -> Response:
        """One vendor's dials."""
        return JSONResponse(self._dials_of(self._vendor(request.path_params["provider"]).name))

    async def turn_dials(self, request: Request) -> Response:
        """Change the dials that the body names."""
        name = self._vendor(request.path_params["provider"]).name
        try:
            self._sandbox.dials.update(name, await read_body(request))
        except (ValidationError, TypeError) as error:
            raise BadControl(422, str(error)) from error
        return JSONResponse(self._dials_of(name))

    async def reset_dials(self, request: Request) -> Response:
        """Back to good behaviour."""
        name = self._vendor(request.path_params["provider"]).name
        self._sandbox.dials.reset(name)
        return JSONResponse(self._dials_of(name))

    async def show_clock(self, _: Request) -> Response:
        """How wrong the vendors' clock is."""
        return JSONResponse({"ahead_seconds": self._sandbox.clock.ahead})

    async def set_clock(self, request: Request) -> Response:
        """Set the vendors' clock ``{"ahead_seconds": n}`` wrong: behind where it is negative, right again with 0.

        It says another time from now on; parcels travel, and refunds settle, no sooner and no later for it.
        """
        ahead = (await read_body(request)).get("ahead_seconds")
        if isinstance(ahead, bool) or not isinstance(ahead, int | float) or not abs(ahead) <= _MOST_AHEAD:
            raise BadControl(422, f"ahead_seconds is a number from -{_MOST_AHEAD} to {_MOST_AHEAD}")
        with self._sandbox.books.transaction():
            self._sandbox.books.set_setting(AHEAD, float(ahead))
            self._sandbox.books.shift(ahead - self._sandbox.clock.ahead)
        self._sandbox.clock.ahead = float(ahead)
        return await self.show_clock(request)

    async def list_calls(self, request: Request) -> Response:
        """The newest calls that match the query."""
        filters = _call_filters(request)
        return JSONResponse({"calls": self._sandbox.calls.list(limit=_limit(request), **filters)})

    async def count_calls(self, request: Request) -> Response:
        """How many calls match the query."""
        return JSONResponse(self._sandbox.calls.count(**_call_filters(request)))

    async def kinds(self, _: Request) -> Response:
        """The kinds of objects on the books and how many there are."""
        return JSONResponse(self._sandbox.books.kinds())

    async def list_objects(self, request: Request) -> Response:
        """Objects of a kind, newest first; any other query parameter is a top-level field to match."""
        wanted = {name: value for name, value in request.query_params.items() if name != "limit"}
        found = [
            obj
            for obj in self._sandbox.books.find(request.path_params["kind"])
            if all(_shown(obj.get(name)) == value for name, value in wanted.items())
        ]
        return JSONResponse({"count": len(found), "data": found[: _limit(request)]})

    async def show_object(self, request: Request) -> Response:
        """One object."""
        kind, object_id = request.path_params["kind"], request.path_params["id"]
        found = self._sandbox.books.get(kind, object_id)
        if found is None:
            raise BadControl(404, f"no {kind} {object_id} on the books")
        return JSONResponse(found)

    async def summary(self, _: Request) -> Response:
        """Counts and sums per vendor, and the state of the webhooks."""
        return JSONResponse(self._summary())

    async def list_webhooks(self, request: Request) -> Response:
        """Registered endpoints (without secrets) and the newest deliveries."""
        endpoints = [
            {"id": e.id, "provider": e.provider, "url": e.url, "events": e.events, "enabled": e.enabled}
            for name in self._providers
            for e in self._sandbox.webhooks.endpoints(name)
        ]
        event_id = request.query_params.get("event_id")
        deliveries = self._sandbox.webhooks.deliveries(event_id, limit=_limit(request))
        return JSONResponse({"endpoints": endpoints, "deliveries": deliveries})

    async def redeliver(self, request: Request) -> Response:
        """Send an event again, whatever became of it."""
        queued = self._sandbox.webhooks.redeliver(request.path_params["event_id"])
        if not queued:
            raise BadControl(404, f"no delivery of {request.path_params['event_id']} on the books")
        return JSONResponse({"queued": queued})

    async def send_event(self, request: Request) -> Response:
        """Send a hand-made event: ``{provider, type, object, signature?}`` or ``{provider, event, signature?}``."""
        body = await read_body(request)
        provider = self._vendor(str(body.get("provider")))
        event = self._event(provider, body)
        kind = str(event.get("type") or event.get("description"))
        try:
            signature = Signature(body.get("signature", "valid"))
        except ValueError as error:
            raise BadControl(422, f"signature is one of {[s.value for s in Signature]}") from error
        queued = self._sandbox.webhooks.send(provider.name, event["id"], kind, event, signature=signature)
        return JSONResponse({"event": event, "queued": queued})

    async def reset(self, _: Request) -> Response:
        """Empty the books, reset dials and clock; only the webhook targets given at the start stay."""
        self._sandbox.books.wipe()
        self._sandbox.clock.ahead = 0.0
        for name in self._providers:
            self._sandbox.dials.reset(name)
        return JSONResponse({"status": "empty"})

    async def page(self, _: Request) -> Response:
        """The books for people."""
        shelves = [
            {"vendor": provider.name, "shelf": shelf, "rows": self._rows(shelf.kind)}
            for provider in self._providers.values()
            for shelf in provider.shelves
        ]
        template = self._pages.get_template("books.html")
        dials = {name: self._dials_of(name) for name in self._providers}
        calls = self._sandbox.calls.list(limit=_PAGE_ROWS)
        return HTMLResponse(template.render(shelves=shelves, summary=self._summary(), calls=calls, dials=dials))

    def _rows(self, kind: str) -> list[dict[str, Any]]:
        return self._sandbox.books.list(kind, limit=_PAGE_ROWS)[0]

    def _summary(self) -> dict[str, Any]:
        vendors = {name: provider.summary() for name, provider in self._providers.items()}
        return {**vendors, "webhooks": self._sandbox.webhooks.counts()}

    def _dials_of(self, name: str) -> dict[str, Any]:
        return self._sandbox.dials.get(name).model_dump(mode="json")

    def _vendor(self, name: str) -> Provider:
        provider = self._providers.get(name)
        if provider is None:
            raise BadControl(404, f"no vendor is called {name!r}; there are {sorted(self._providers)}")
        return provider

    def _event(self, provider: Provider, body: dict[str, Any]) -> dict[str, Any]:
        event = body.get("event")
        if isinstance(event, dict) and isinstance(event.get("id"), str):
            return event
        obj = body.get("object")
        if not isinstance(obj, dict) or not isinstance(body.get("type"), str):
            raise BadControl(422, "give either an event with an id, or a type and an object")
        return provider.compose_event(body["type"], obj)


def _limit(request: Request) -> int:
    try:
        return max(1, min(_MOST_ROWS, int(request.query_params.get("limit", "100"))))
    except ValueError as error:
        raise BadControl(422, "limit is a number") from error


def _call_filters(request: Request) -> dict[str, Any]:
    filters: dict[str, Any] = {name: value for name, value in request.query_params.items() if name != "limit"}
    unknown = set(filters) - set(FILTERS)
    if unknown:
        raise BadControl(422, f"calls can be filtered by {list(FILTERS)}, not by {sorted(unknown)}")
    if "deed" in filters:
        filters["deed"] = filters["deed"] in ("1", "true")
    return filters


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
