"""Webhooks: targets, events on the books, and both signatures the vendor puts on a delivery."""

import hmac
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import urlsplit

from integrations.sandbox.easypost.wire import MODE, NAME, body_of, invalid, iso, missing, not_found, part, public
from integrations.sandbox.provider import Answer, Call, Object, Operation, Sandbox
from integrations.sandbox.webhooks import Endpoint, Outgoing

EVENT = "easypost_event"
HOOK = "easypost_webhook"
_USER = "user_00000000000000000000000000sandbox"


def sign(outgoing: Outgoing) -> dict[str, str]:
    """The headers of one delivery: V1 over the body, V2 over time, method, path and body.

    V1 as in EasyPost's Python client (`util.validate_webhook`); V2 (`X-Timestamp` in RFC 2822) as its help
    centre names the headers and independent implementations compute them.
    """
    key = unicodedata.normalize("NFKD", outgoing.secret).encode()
    timestamp, path = formatdate(outgoing.sent_at), urlsplit(outgoing.url).path or "/"
    return {
        "X-Hmac-Signature": _digest(key, outgoing.body),
        "X-Timestamp": timestamp,
        "X-Path": path,
        "X-Hmac-Signature-V2": _digest(key, f"{timestamp}POST{path}".encode() + outgoing.body),
    }


def _digest(key: bytes, message: bytes) -> str:
    return "hmac-sha256-hex=" + hmac.digest(key, message, "sha256").hex()


class Events:
    """The events of the vendor: kept, sent to every target, and read again."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    @property
    def operations(self) -> list[Operation]:
        """What the vendor offers for events."""
        return [
            Operation("events.list", "GET", "/events", self._list),
            Operation("events.retrieve", "GET", "/events/{id}", self._retrieve),
            Operation("events.payloads", "GET", "/events/{id}/payloads", self._payloads),
            Operation("events.payload", "GET", "/events/{id}/payloads/{payload}", self._payload),
        ]

    def send(
        self,
        description: str,
        result: Object,
        *,
        previous: Object | None = None,
        request_id: str | None = None,
    ) -> None:
        """Keep an event about ``result`` and queue it for every target, inside the current transaction."""
        event = self.compose(description, result, previous=previous)
        kept = {name: value for name, value in event.items() if name != "result"}
        self._sandbox.books.put(EVENT, event["id"], kept)
        self._sandbox.webhooks.send(NAME, event["id"], description, event, request_id=request_id)

    def compose(self, description: str, result: Object, *, previous: Object | None = None) -> Object:
        """A new event as its webhook body, not yet sent."""
        now = iso(self._sandbox.clock()).replace("Z", ".000Z")
        return {
            "description": description,
            "mode": MODE,
            "previous_attributes": previous or {},
            "created_at": now,
            "pending_urls": [endpoint.url for endpoint in self._endpoints() if endpoint.enabled],
            "completed_urls": [],
            "updated_at": now,
            "id": self._sandbox.books.new_id("evt", hexadecimal=True),
            "user_id": _USER,
            "status": "pending",
            "object": "Event",
            "result": result,
        }

    def _list(self, call: Call) -> Answer:
        events, more = page_of(self._sandbox, EVENT, call)
        return Answer(body={"events": [self._shown(event) for event in events], "has_more": more})

    def _retrieve(self, call: Call) -> Answer:
        return Answer(body=self._shown(self._need(call.path_params["id"])))

    def _payloads(self, call: Call) -> Answer:
        return Answer(body={"payloads": self._payloads_of(self._need(call.path_params["id"]))})

    def _payload(self, call: Call) -> Answer:
        payloads = self._payloads_of(self._need(call.path_params["id"]))
        found = [payload for payload in payloads if payload["id"] == call.path_params["payload"]]
        if not found:
            raise not_found()
        return Answer(body=found[0])

    def _need(self, event_id: str) -> Object:
        event = self._sandbox.books.get(EVENT, event_id)
        if event is None:
            raise not_found()
        return event

    def _shown(self, event: Object) -> Object:
        urls = {endpoint.id: endpoint.url for endpoint in self._endpoints()}
        deliveries = self._sandbox.webhooks.deliveries(event["id"])
        done = {d["endpoint_id"] for d in deliveries if d["state"] == "done"}
        pending = {d["endpoint_id"] for d in deliveries} - done
        failed = any(d["state"] == "given_up" and d["endpoint_id"] in pending for d in deliveries)
        status = "failed" if failed else "pending" if pending else "completed"
        return {
            **public(event),
            "status": status,
            "pending_urls": sorted(urls[target] for target in pending & urls.keys()),
            "completed_urls": sorted(urls[target] for target in done & urls.keys()),
        }

    def _payloads_of(self, event: Object) -> list[Object]:
        urls = {endpoint.id: endpoint.url for endpoint in self._endpoints()}
        sql = "SELECT body FROM deliveries WHERE event_id = ? LIMIT 1"
        rows = self._sandbox.books.execute(sql, (event["id"],))
        body = bytes(rows[0]["body"]).decode() if rows else ""
        deliveries = self._sandbox.webhooks.deliveries(event["id"])
        return [_payload(delivery, urls.get(delivery["endpoint_id"]), body) for delivery in deliveries]

    def _endpoints(self) -> list[Endpoint]:
        return self._sandbox.webhooks.endpoints(NAME)


class Hooks:
    """The webhook endpoints of the vendor's API."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    @property
    def operations(self) -> list[Operation]:
        """What the vendor offers for webhooks."""
        return [
            Operation("webhooks.create", "POST", "/webhooks", self._create),
            Operation("webhooks.list", "GET", "/webhooks", self._list),
            Operation("webhooks.retrieve", "GET", "/webhooks/{id}", self._retrieve),
            Operation("webhooks.update", "PATCH", "/webhooks/{id}", self._update),
            Operation("webhooks.delete", "DELETE", "/webhooks/{id}", self._delete),
        ]

    def _create(self, call: Call) -> Answer:
        given = part(body_of(call), "webhook")
        if not given.get("url"):
            raise missing("url")
        if urlsplit(str(given["url"])).scheme not in ("http", "https"):
            raise invalid("url", "must be an HTTP address")
        endpoint = Endpoint(
            id=self._sandbox.books.new_id("hook", hexadecimal=True),
            provider=NAME,
            url=str(given["url"]),
            secret=str(given.get("webhook_secret") or ""),
            headers=_headers(given.get("custom_headers")),
        )
        self._sandbox.books.put(HOOK, endpoint.id, {"id": endpoint.id, "created_at": iso(call.at)})
        self._sandbox.webhooks.register(endpoint)
        return Answer(status=201, body=self._shown(endpoint))

    def _list(self, call: Call) -> Answer:
        endpoints = self._sandbox.webhooks.endpoints(NAME)
        return Answer(body={"webhooks": [self._shown(endpoint) for endpoint in endpoints]})

    def _retrieve(self, call: Call) -> Answer:
        return Answer(body=self._shown(self._need(call)))

    def _update(self, call: Call) -> Answer:
        """Enable it again, and change the secret or the headers where they are given."""
        body, old = body_of(call), self._need(call)
        given = body["webhook"] if isinstance(body.get("webhook"), dict) else body
        headers = given.get("custom_headers")
        endpoint = Endpoint(
            id=old.id,
            provider=NAME,
            url=old.url,
            secret=str(given.get("webhook_secret") or old.secret),
            headers=old.headers if headers is None else _headers(headers),
        )
        self._sandbox.webhooks.register(endpoint)
        return Answer(body=self._shown(endpoint))

    def _delete(self, call: Call) -> Answer:
        endpoint = self._need(call)
        self._sandbox.webhooks.unregister(endpoint.id)
        self._sandbox.books.delete(HOOK, endpoint.id)
        return Answer(body={})

    def _need(self, call: Call) -> Endpoint:
        for endpoint in self._sandbox.webhooks.endpoints(NAME):
            if endpoint.id == call.path_params["id"]:
                return endpoint
        raise not_found()

    def _shown(self, endpoint: Endpoint) -> Object:
        record = self._sandbox.books.get(HOOK, endpoint.id) or {}
        return {
            "id": endpoint.id,
            "object": "Webhook",
            "mode": MODE,
            "url": endpoint.url,
            "created_at": record.get("created_at"),
            "disabled_at": None,
            "custom_headers": [{"name": name, "value": value} for name, value in endpoint.headers.items()],
        }


def page_of(sandbox: Sandbox, kind: str, call: Call, **equals: Any) -> tuple[list[Object], bool]:
    """One page of a list as the query asks (``page_size``, ``before_id``, ``after_id``, ``*_datetime``)."""
    query = call.query
    bounds = [query.get(name) for name in ("before_id", "after_id")]
    if any(cursor and sandbox.books.get(kind, cursor) is None for cursor in bounds):
        raise not_found()
    return sandbox.books.list(
        kind,
        limit=_page_size(query.get("page_size")),
        starting_after=bounds[0] or None,
        ending_before=bounds[1] or None,
        since=instant(query.get("start_datetime"), "start_datetime"),
        until=instant(query.get("end_datetime"), "end_datetime"),
        **equals,
    )


def instant(text: str | None, field: str) -> float | None:
    """Unix seconds of an ISO 8601 instant in a query, or None without one. Raises `Refused` (422)."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as fault:
        raise invalid(field, "is not an ISO 8601 instant") from fault
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _page_size(text: str | None) -> int:
    try:
        size = int(text or 20)
    except ValueError as fault:
        raise invalid("page_size", "is not a number") from fault
    if not 1 <= size <= 100:
        raise invalid("page_size", "must be between 1 and 100")
    return size


def _headers(given: object) -> dict[str, str]:
    if given is None:
        return {}
    rows: Sequence[Any] = given if isinstance(given, list) else [given]
    if not all(isinstance(row, dict) and row.get("name") for row in rows):
        raise invalid("custom_headers", "must be a list of names and values")
    return {str(row["name"]): str(row.get("value") or "") for row in rows}


def _payload(delivery: Object, url: str | None, body: str) -> Object:
    status, due = str(delivery["last_status"] or ""), iso(delivery["due_at"])
    return {
        "id": f"payload_{delivery['id']:032x}",
        "object": "Payload",
        "created_at": due,
        "updated_at": due,
        "request_url": url,
        "request_headers": {"Content-Type": "application/json; charset=utf-8"},
        "request_body": body,
        "response_code": int(status) if status.isdigit() else None,
        "response_headers": {},
        "response_body": None if status.isdigit() else status,
        "total_time": None,
    }
