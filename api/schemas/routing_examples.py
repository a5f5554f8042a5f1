"""Examples of what routing reads and answers."""

from typing import Any

_EXCLUSION = {"country": "US", "prefix": "995", "warehouse": "EDI"}
_RULES: list[Any] = [
    {"kind": "excluded_regions", "exclusions": [_EXCLUSION]},
    {"kind": "ships_complete", "exclusions": []},
    {"kind": "nearest", "exclusions": []},
    {"kind": "priority", "exclusions": []},
]
RULE_SET_IN: dict[str, Any] = {
    "channel": "webshop",
    "name": "Nearest first",
    "rules": _RULES,
    "split_above": 50000,
    "currency": "USD",
}
RULE_SET: dict[str, Any] = {
    "id": "2f1b0c9e-9a53-5d0e-8f64-57a1b1110002",
    "version": 2,
    "status": "draft",
    **RULE_SET_IN,
    "created_by": "api:shop",
    "created_at": "2024-05-02T09:00:00Z",
    "activated_by": None,
    "activated_at": None,
    "retired_at": None,
}
REGION_IN: dict[str, Any] = {"country": "US", "prefixes": ["040", "041"], "latitude": 43.66, "longitude": -70.26}
REGION = {"region": "maine-south", **REGION_IN}
DECISION: dict[str, Any] = {
    "rule_set": "2f1b0c9e-9a53-5d0e-8f64-57a1b1110002",
    "version": 2,
    "warehouses": ["EDI"],
    "split": False,
    "decided_by": "nearest",
    "sentences": ["EDI: has everything; 1st by distance (412 km).", "RNO: 2nd by distance (4190 km; EDI: 412 km)."],
    "allocations": [{"line": 1, "sku": "COF-KETTLE-09", "warehouse": "EDI", "quantity": 1}],
    "shortages": [],
    "candidates": [
        {
            "warehouse": "EDI",
            "fate": "chosen",
            "reason": "EDI: has everything; 1st by distance (412 km).",
            "verdicts": [{"rule": "nearest", "rank": 1, "says": "412 km"}],
        },
        {
            "warehouse": "RNO",
            "fate": "outranked",
            "reason": "RNO: 2nd by distance (4190 km; EDI: 412 km).",
            "verdicts": [{"rule": "nearest", "rank": 2, "says": "4190 km"}],
        },
    ],
}
FIGURES: dict[str, Any] = {
    "orders": 50,
    "short": 0,
    "split": 3,
    "split_rate": 0.06,
    "parcels": 53,
    "costs": [{"minor": 43190, "currency": "USD"}],
    "priced_parcels": 53,
    "mean_km": 610.4,
    "measured_parcels": 53,
}
