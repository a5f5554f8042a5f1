"""EasyPost's events (docs.easypost.com/docs/events): ``description`` names the kind, ``result`` is the object."""

import json

from domain.inbox import EventTopic, ProviderEvent
from domain.shipments import Tracking
from integrations.carriers.easypost.objects import NAME, Json, tracking
from integrations.errors import BadPayload, OutcomeUnknown


def read_event(body: bytes) -> ProviderEvent:
    """A verified body; the subject is the id of the tracker, or of whatever object it is about. Raises BadPayload."""
    event = _parse(body)
    result = event.get("result")
    subject = result.get("id") if isinstance(result, dict) else None
    return ProviderEvent(
        provider=NAME,
        event_id=event["id"],
        type=event["description"],
        topic=EventTopic.TRACKING if _about_tracking(event) else EventTopic.OTHER,
        subject=subject if isinstance(subject, str) else None,
    )


def read_tracking(body: bytes) -> Tracking | None:
    """The tracking that a verified body tells of; None where it tells of something else. Raises BadPayload."""
    event = _parse(body)
    if not _about_tracking(event):
        return None
    result = event.get("result")
    if not isinstance(result, dict):
        raise BadPayload(NAME, "a tracker event without a tracker")
    try:
        return tracking(result)
    except OutcomeUnknown as error:
        raise BadPayload(NAME, error.detail) from error


def _parse(body: bytes) -> Json:
    try:
        event = json.loads(body)
    except ValueError as error:
        raise BadPayload(NAME, "the body is not JSON") from error
    if not isinstance(event, dict) or not all(
        isinstance(event.get(name), str) and event[name] for name in ("id", "description")
    ):
        raise BadPayload(NAME, "the event has no id or description")
    return event


def _about_tracking(event: Json) -> bool:
    return str(event["description"]).startswith("tracker.")
