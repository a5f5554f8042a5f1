"""Dataclasses as JSON through pydantic, whose schemas are made once for each process."""

from functools import cache, lru_cache
from typing import Any

from pydantic import TypeAdapter
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    JSONPlainPayloadConverter,
)

_TYPES = 256


class WaybillPayloadConverter(CompositePayloadConverter):
    """Temporal's converter for pydantic. That one makes its schemas anew for every workflow, at milliseconds each.

    The SDK makes one of these twice for each step of a workflow; the parts, which know nothing of it, are the same.
    """

    def __init__(self) -> None:
        super().__init__(*_parts())


@cache
def _parts() -> tuple[EncodingPayloadConverter, ...]:
    json = _KeptSchemas()
    kept = DefaultPayloadConverter.default_encoding_payload_converters
    return tuple(json if isinstance(each, JSONPlainPayloadConverter) else each for each in kept)


class _KeptSchemas(PydanticJSONPlainPayloadConverter):
    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        return _schema(Any if type_hint is None else type_hint).validate_json(payload.data)


@lru_cache(maxsize=_TYPES)
def _schema(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
