"""Every table, imported in one place so that migrations see them all."""

from db.audit import Decode
from db.base import Base
from db.catalogue import Sku, Warehouse
from db.exceptions import ExceptionRecord
from db.identity import ApiKey
from db.inbox import InboxEvent
from db.notifications import Notification
from db.orders import Order, OrderLine, TimelineEntry
from db.payments import Payment, PaymentEvent
from db.shipments import Fulfilment, FulfilmentLine, Parcel, ParcelEvent
from db.stock import Movement, Reservation, StockLevel

__all__ = [
    "ApiKey",
    "Base",
    "Decode",
    "ExceptionRecord",
    "Fulfilment",
    "FulfilmentLine",
    "InboxEvent",
    "Movement",
    "Notification",
    "Order",
    "OrderLine",
    "Parcel",
    "ParcelEvent",
    "Payment",
    "PaymentEvent",
    "Reservation",
    "Sku",
    "StockLevel",
    "TimelineEntry",
    "Warehouse",
]
