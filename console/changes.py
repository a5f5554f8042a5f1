"""Changing an order on its page: units, address and service. Only what was altered in the form is asked for."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from console.forms import object_in
from console.previews import Deed
from templates.console_order import ADDRESS, ChangeEffects, SeenOrder


def _wish(fields: Mapping[str, str], order: SeenOrder) -> dict[str, Any]:
    """What differs from what the form was drawn with, laid over the order as it is: the rest is as others have left it.

    Raises ValueError where nothing differs, or somebody else has altered the same meanwhile.
    """
    seen, now = object_in(fields, "seen"), order.form_values
    altered = {name: fields[name].strip() for name in now if name in fields and fields[name].strip() != seen.get(name)}
    if not altered:
        raise ValueError("Nothing was altered in the form.")
    moved = [name for name in altered if now[name] != seen.get(name)]
    if moved:
        others = ", ".join(f"{name.replace('_', ' ')}: {now[name]!r}" for name in moved)
        raise ValueError(f"Somebody else has changed the same meanwhile ({others}). Look again.")
    wish: dict[str, Any] = {}
    lines = {name: units for name, units in altered.items() if name.startswith("quantity-")}
    if lines:
        wish["lines"] = [
            {"line": int(name.partition("-")[2]), "quantity": _units(units)} for name, units in lines.items()
        ]
    if altered.keys() & set(ADDRESS):
        wish["shipping_address"] = {name: altered.get(name, now[name]) or None for name in ADDRESS}
    if "service" in altered:
        wish["shipping_service"] = altered["service"]
    reason = fields.get("reason", "").strip()
    return {**wish, "reason": reason} if reason else wish


def _units(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ValueError(f"{text!r} is no number of units.")
    return int(text)


CHANGE = Deed("changes", _wish, TypeAdapter(ChangeEffects).validate_python, lambda _: "changed")
