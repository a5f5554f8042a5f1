"""Form bodies with nested keys (``metadata[order]=1``, ``expand[0]=x``, ``types[]=a``), and checked reading."""

import re
from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qsl

from integrations.sandbox.provider import Call
from integrations.sandbox.stripe.errors import invalid

_PART = re.compile(r"\[([^\]]*)\]")
_METADATA_KEYS = 50
_METADATA_KEY_LENGTH = 40
_METADATA_VALUE_LENGTH = 500


def parse(encoded: str) -> dict[str, Any]:
    """Nested dicts and lists from form encoding; every leaf is text."""
    tree: dict[str, Any] = {}
    for key, value in parse_qsl(encoded, keep_blank_values=True):
        name, _, rest = key.partition("[")
        _plant(tree, [name, *_PART.findall("[" + rest if rest else "")], value)
    return {name: _lists(value) for name, value in tree.items()}


def _plant(tree: dict[str, Any], path: list[str], value: str) -> None:
    for at, part in enumerate(path):
        part = part or str(len(tree))
        if at == len(path) - 1:
            tree[part] = value
            return
        branch = tree.setdefault(part, {})
        if not isinstance(branch, dict):
            raise invalid(f"Invalid object: {path[0]}", param=path[0])
        tree = branch


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    grown = {name: _lists(inner) for name, inner in value.items()}
    return list(grown.values()) if grown and all(name.isdigit() for name in grown) else grown


class Params:
    """One call's parameters. Each reader raises `Refused` (400) with the vendor's wording on bad input."""

    def __init__(self, call: Call, allowed: Collection[str]) -> None:
        encoded = call.query_string if call.method == "GET" else call.body.decode("utf-8", "replace")
        self._values = parse(encoded)
        self.expand = self._expand()
        for name in self._values:
            if name not in allowed:
                raise invalid(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, *, choices: Collection[str] | None = None) -> str | None:
        """Text, or None where absent or unset with an empty value."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise invalid(f"Invalid string: {value}", param=name)
        if choices is not None and value not in choices:
            listed = ", ".join(sorted(choices))
            raise invalid(f"Invalid {name}: must be one of {listed}", param=name)
        return value

    def required(self, name: str) -> str:
        """Text that must be there."""
        value = self.text(name)
        if value is None:
            raise invalid(f"Missing required param: {name}.", code="parameter_missing", param=name)
        return value

    def integer(self, name: str, *, least: int) -> int | None:
        """A whole number of at least ``least``, or None where absent."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?\d{1,18}", value):
            raise invalid(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
        if int(value) < least:
            message = f"This value must be greater than or equal to {least}."
            raise invalid(message, code="parameter_invalid_integer", param=name)
        return int(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """A boolean written as ``true`` or ``false``."""
        value = self.text(name)
        if value is None:
            return default
        if value not in ("true", "false"):
            raise invalid(f"Invalid boolean: {value}", param=name)
        return value == "true"

    def is_mapping(self, name: str) -> bool:
        """Whether the parameter came as a nested object."""
        return isinstance(self._values.get(name), dict)

    def mapping(self, name: str) -> dict[str, Any] | None:
        """A nested object, or None where absent."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, dict):
            raise invalid("Invalid object", param=name)
        return value

    def texts(self, name: str) -> list[str] | None:
        """A list of texts, or None where absent."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise invalid("Invalid array", param=name)
        return value

    def metadata(self, before: dict[str, str]) -> dict[str, str]:
        """The metadata after this call: merged into ``before``, an empty value removes its key."""
        if self._values.get("metadata") == "":
            return {}
        merged = before | {key: str(value) for key, value in (self.mapping("metadata") or {}).items()}
        merged = {key: value for key, value in merged.items() if value != ""}
        if len(merged) > _METADATA_KEYS:
            raise invalid(f"Metadata can hold up to {_METADATA_KEYS} keys.", param="metadata")
        for key, value in merged.items():
            if len(key) > _METADATA_KEY_LENGTH or len(value) > _METADATA_VALUE_LENGTH:
                raise invalid(f"Metadata is too long at {key[:_METADATA_KEY_LENGTH]}.", param="metadata")
        return merged

    def _expand(self) -> tuple[str, ...]:
        value = self._values.pop("expand", [])
        if not isinstance(value, list):
            raise invalid("Invalid array", param="expand")
        return tuple(str(path) for path in value)
