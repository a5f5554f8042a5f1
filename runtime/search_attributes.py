"""The search attributes of an order in Temporal, in one place. No personal data: they are stored in clear."""

SEARCH_ATTRIBUTES: dict[str, str] = {
    "OrderStatus": "Keyword",
    "Channel": "Keyword",
    "Warehouse": "KeywordList",
    "Carrier": "Keyword",
    "NeedsAttention": "Bool",
    "PromisedBy": "Datetime",
}
"""Name -> type, as the Temporal CLI spells it."""
