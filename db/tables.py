"""Every table, imported in one place so that migrations see them all."""

from db.audit import Decode
from db.awaited_changes import AwaitedChange
from db.base import Base
from db.bundles import BundlePart
from db.called_off_labels import CalledOffLabel
from db.catalogue import Sku, Warehouse
from db.claims import Claim, ClaimEvent, ClaimLine
from db.disputes import Dispute
from db.evidence import Evidence
from db.exceptions import ExceptionRecord
from db.exchanges import Exchange, ExchangeEvent
from db.holds import HoldRecord, HoldRuleVersion
from db.identity import ApiKey
from db.inbox import InboxEvent
from db.label_costs import LabelCost
from db.ledger import Ledger
from db.money_checks import MoneyCheck
from db.notifications import Notification
from db.orders import Order, OrderLine, TimelineEntry
from db.payments import Payment, PaymentEvent
from db.portal_items import PortalItem
from db.portals import PortalOrderRecord, PortalRecord
from db.refunds import Refund
from db.rejections import RejectionLine, RejectionRecord
from db.restores import Restore
from db.return_labels import ReturnLabel
from db.return_rules import ReturnRuleVersion
from db.returns import Return, ReturnEvent, ReturnLine
from db.routing import PostalRegion, Routed, RoutingDecision, RuleSetRecord
from db.shipments import Fulfilment, FulfilmentLine, Parcel, ParcelEvent
from db.stock import Movement, Reservation, Sale, StockLevel
from db.stock_alerts import StockAlert
from db.stock_checks import Checkpoint
from db.stock_queues import QueueCall, Wait
from db.transfers import Transfer, TransferEvent, TransferLine
from db.versions import OrderVersion

__all__ = [
    "ApiKey",
    "AwaitedChange",
    "Base",
    "BundlePart",
    "CalledOffLabel",
    "Checkpoint",
    "Claim",
    "ClaimEvent",
    "ClaimLine",
    "Decode",
    "Dispute",
    "Evidence",
    "ExceptionRecord",
    "Exchange",
    "ExchangeEvent",
    "Fulfilment",
    "FulfilmentLine",
    "HoldRecord",
    "HoldRuleVersion",
    "InboxEvent",
    "LabelCost",
    "Ledger",
    "MoneyCheck",
    "Movement",
    "Notification",
    "Order",
    "OrderLine",
    "OrderVersion",
    "Parcel",
    "ParcelEvent",
    "Payment",
    "PaymentEvent",
    "PortalItem",
    "PortalOrderRecord",
    "PortalRecord",
    "PostalRegion",
    "QueueCall",
    "Refund",
    "RejectionLine",
    "RejectionRecord",
    "Reservation",
    "Restore",
    "Return",
    "ReturnEvent",
    "ReturnLabel",
    "ReturnLine",
    "ReturnRuleVersion",
    "Routed",
    "RoutingDecision",
    "RuleSetRecord",
    "Sale",
    "Sku",
    "StockAlert",
    "StockLevel",
    "TimelineEntry",
    "Transfer",
    "TransferEvent",
    "TransferLine",
    "Wait",
    "Warehouse",
]
