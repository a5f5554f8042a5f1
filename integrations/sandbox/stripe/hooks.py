"""Webhook endpoints and events. Source: docs.stripe.com/api/webhook_endpoints and /api/events."""

import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit

from integrations.sandbox.provider import Answer, Call, Object, Sandbox
from integrations.sandbox.stripe.errors import invalid
from integrations.sandbox.stripe.form import Params
from integrations.sandbox.stripe.lists import Pages, bounds, limit_of, page_of, read_page, show
from integrations.sandbox.stripe.till import NAME, Till
from integrations.sandbox.webhooks import Endpoint


class Hooks:
    """Webhook endpoints; the secret is shown once, on creation."""

    def __init__(self, sandbox: Sandbox, till: Till, pages: Pages) -> None:
        self._webhooks, self._till, self._pages = sandbox.webhooks, till, pages

    def create(self, call: Call) -> Answer:
        """POST /v1/webhook_endpoints."""
        params = Params(call, ("url", "enabled_events", "api_version", "description", "metadata", "connect"))
        url = _checked(params.required("url"))
        events = params.texts("enabled_events")
        if not events:
            raise invalid("Missing required param: enabled_events.", code="parameter_missing")
        secret = f"whsec_{secrets.token_urlsafe(24)}"
        endpoint: Object = {
            "id": self._till.new_id("we"),
            "object": "webhook_endpoint",
            "api_version": params.text("api_version"),
            "application": None,
            "created": self._till.now(),
            "description": params.text("description"),
            "enabled_events": events,
            "livemode": False,
            "metadata": params.metadata({}),
            "status": "enabled",
            "url": url,
            "_secret": secret,
        }
        self._save(endpoint)
        return Answer(body=show(self._till, endpoint, params.expand) | {"secret": secret})

    def retrieve(self, call: Call) -> Answer:
        """GET /v1/webhook_endpoints/{id}."""
        params = Params(call, ())
        return Answer(body=show(self._till, self._load(call), params.expand))

    def list(self, call: Call) -> Answer:
        """GET /v1/webhook_endpoints."""
        return self._pages.answer(call, "webhook_endpoint")

    def update(self, call: Call) -> Answer:
        """POST /v1/webhook_endpoints/{id}."""
        params = Params(call, ("url", "enabled_events", "disabled", "description", "metadata"))
        endpoint = self._load(call)
        if "url" in params:
            endpoint["url"] = _checked(params.required("url"))
        endpoint["enabled_events"] = params.texts("enabled_events") or endpoint["enabled_events"]
        if "disabled" in params:
            endpoint["status"] = "disabled" if params.flag("disabled", default=False) else "enabled"
        if "description" in params:
            endpoint["description"] = params.text("description")
        endpoint["metadata"] = params.metadata(endpoint["metadata"])
        self._save(endpoint)
        return Answer(body=show(self._till, endpoint, params.expand))

    def delete(self, call: Call) -> Answer:
        """DELETE /v1/webhook_endpoints/{id}."""
        endpoint = self._load(call)
        self._webhooks.unregister(endpoint["id"])
        self._till.books.delete("webhook_endpoint", endpoint["id"])
        return Answer(body={"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True})

    def _save(self, endpoint: Object) -> None:
        self._till.save(endpoint)
        events, enabled = tuple(endpoint["enabled_events"]), endpoint["status"] == "enabled"
        self._webhooks.register(
            Endpoint(endpoint["id"], NAME, endpoint["url"], endpoint["_secret"], events=events, enabled=enabled)
        )

    def _load(self, call: Call) -> Object:
        return self._till.load("webhook_endpoint", call.path_params["id"])


class Events:
    """Events, also for fetching those whose webhook was missed."""

    def __init__(self, till: Till) -> None:
        self._till = till

    def retrieve(self, call: Call) -> Answer:
        """GET /v1/events/{id}."""
        params = Params(call, ())
        event = self._till.load("event", call.path_params["id"])
        return Answer(body=show(self._till, event, params.expand))

    def list(self, call: Call) -> Answer:
        """GET /v1/events by type, time, and whether every delivery succeeded; newest first."""
        params = Params(call, ("type", "types", "created", "delivery_success", "limit", "starting_after"))
        types = set(params.texts("types") or [])
        if wanted := params.text("type"):
            types.add(wanted)
        success = params.flag("delivery_success", default=True) if "delivery_success" in params else None
        limit = limit_of(params)
        matching: list[Object] = []
        for event in self._newest_first(params):
            if types and event["type"] not in types:
                continue
            if success is None or self._till.delivered(event["id"]) == success:
                matching.append(event)
            if len(matching) > limit:
                break
        return page_of(call, matching[:limit], more=len(matching) > limit)

    def _newest_first(self, params: Params) -> Iterator[Object]:
        since, until = bounds(params)
        after, more = params.text("starting_after"), True
        while more:
            page, more = read_page(self._till, "event", starting_after=after, since=since, until=until)
            yield from page
            after = page[-1]["id"] if page else None


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise invalid("Invalid URL: An explicit scheme (such as https) must be provided.", param="url")
    return url
