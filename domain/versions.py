"""Versions of an order: what each of them says, and where two differ."""

from collections.abc import Mapping
from typing import Any


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Where two contents differ: field, before and after. A line is named by its number: ``lines[2].quantity``."""
    one, other = _flat(before), _flat(after)
    return [
        (name, one.get(name), other.get(name)) for name in sorted({*one, *other}) if one.get(name) != other.get(name)
    ]


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in content.items():
        if name == "lines":
            flat |= {f"lines[{line['number']}].{key}": line[key] for line in value for key in line if key != "number"}
        elif isinstance(value, Mapping):
            flat |= {f"{name}.{key}": part for key, part in value.items()}
        else:
            flat[name] = value
    return flat
