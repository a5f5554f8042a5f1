"""What the supplier sells and where to: everything that looks like an item number, to every country."""

import re
from collections.abc import Mapping

from babel import Locale

_ITEM = re.compile(r"[A-Z0-9][A-Z0-9._-]{1,39}")
COUNTRIES: Mapping[str, str] = {
    code: name
    for code, name in sorted(Locale("en").territories.items(), key=lambda pair: pair[1])
    if re.fullmatch(r"[A-Z]{2}", code) and code not in {"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"}
}
"""ISO 3166-1 code -> name."""
SHIPPING = {"standard": "Standard delivery", "express": "Express delivery"}
ADDRESS = (
    ("name", "Name", True),
    ("company", "Company", False),
    ("street1", "Street", True),
    ("street2", "Address line 2", False),
    ("postal_code", "Postal code", True),
    ("city", "City", True),
    ("state", "State or region", False),
    ("country", "Country", True),
    ("phone", "Phone", False),
)
"""Field, label, and whether it must be filled in."""


def fault_of(item: str, quantity: str, sold_out: list[str]) -> str:
    """What is wrong with a line of the order form; empty if nothing is."""
    if not _ITEM.fullmatch(item):
        return f"We do not know the item {item}."
    if not re.fullmatch(r"[1-9]\d{0,4}", quantity):
        return f"The quantity of {item} must be a number from 1 to 99999."
    return f"Item {item} is out of stock: 0 available." if item in sold_out else ""
