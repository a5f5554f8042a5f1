"""Search attributes of an order, typed. They are stored in clear: no personal data."""

from temporalio.common import SearchAttributeKey

STATUS = SearchAttributeKey.for_keyword("OrderStatus")
CHANNEL = SearchAttributeKey.for_keyword("Channel")
WAREHOUSE = SearchAttributeKey.for_keyword_list("Warehouse")
CARRIER = SearchAttributeKey.for_keyword("Carrier")
NEEDS_ATTENTION = SearchAttributeKey.for_bool("NeedsAttention")
PROMISED_BY = SearchAttributeKey.for_datetime("PromisedBy")
