"""Every table, imported in one place so that migrations see them all."""

from db.audit import Decode
from db.base import Base
from db.catalogue import Sku, Warehouse
from db.evidence import Evidence
from db.exceptions import ExceptionRecord
from db.identity import ApiKey
from db.inbox import InboxEvent
from db.notifications import Notification
from db.orders import Order, OrderLine, TimelineEntry
from db.payments import Payment, PaymentEvent
from db.portals import PortalOrderRecord, PortalRecord
from db.restores import Restore
from db.routing import LabelCost, PostalRegion, Routed, RoutingDecision, RuleSetRecord
from db.shipments import Fulfilment, FulfilmentLine, Parcel, ParcelEvent
from db.stock import Movement, Reservation, Sale, StockLevel
from db.stock_alerts import StockAlert
from db.stock_checks import Checkpoint

__all__ = [
    "ApiKey",
    "Base",
    "Checkpoint",
    "Decode",
    "Evidence",
    "ExceptionRecord",
    "Fulfilment",
    "FulfilmentLine",
    "InboxEvent",
    "LabelCost",
    "Movement",
    "Notification",
    "Order",
    "OrderLine",
    "Parcel",
    "ParcelEvent",
    "Payment",
    "PaymentEvent",
    "PortalOrderRecord",
    "PortalRecord",
    "PostalRegion",
    "Reservation",
    "Restore",
    "Routed",
    "RoutingDecision",
    "RuleSetRecord",
    "Sale",
    "Sku",
    "StockAlert",
    "StockLevel",
    "TimelineEntry",
    "Warehouse",
]
