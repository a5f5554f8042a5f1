"""What customers and operators are told, once each."""

from enum import StrEnum


class NoticeKind(StrEnum):
    """The e-mails a customer can get about an order."""

    BACKORDERED = "backordered"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    CHANGED = "changed"
    CHANGE_TO_PAY = "change_to_pay"
    """a change costs more, and the customer has something to do to pay that"""
    CHANGE_WITHDRAWN = "change_withdrawn"
    """it was not paid, or could not be made any more"""
    CHANGE_CALLED_OFF = "change_called_off"
    """somebody has withdrawn it"""
    RETURN_REQUESTED = "return_requested"
    RETURN_APPROVED = "return_approved"
    RETURN_REFUSED = "return_refused"
    RETURN_RECEIVED = "return_received"
    RETURN_SETTLED = "return_settled"
    RETURN_EXPIRED = "return_expired"
    CLAIM_RECEIVED = "claim_received"
    CLAIM_REFUSED = "claim_refused"
    CLAIM_REFUNDED = "claim_refunded"
    CLAIM_REPLACED = "claim_replaced"
    EXCHANGE_REQUESTED = "exchange_requested"
    EXCHANGE_ORDERED = "exchange_ordered"
    EXCHANGE_REFUNDED = "exchange_refunded"
    EXCHANGE_ENDED = "exchange_ended"


ABOUT_RETURNS = frozenset(kind for kind in NoticeKind if kind.value.startswith("return_"))
"""Those about a return; its id is the subject."""
ABOUT_CLAIMS = frozenset(kind for kind in NoticeKind if kind.value.startswith("claim_"))
"""Those about a claim; its id is the subject."""
ABOUT_EXCHANGES = frozenset(kind for kind in NoticeKind if kind.value.startswith("exchange_"))
"""Those about an exchange; its id is the subject."""
ABOUT_CASES = ABOUT_RETURNS | ABOUT_CLAIMS | ABOUT_EXCHANGES


ABOUT_DIFFERENCES = frozenset({NoticeKind.CHANGE_TO_PAY, NoticeKind.CHANGE_WITHDRAWN, NoticeKind.CHANGE_CALLED_OFF})
"""Those about a change that costs more; its id is the subject."""


class NotificationStatus(StrEnum):
    """Where the sending of one e-mail stands."""

    INTENDED = "intended"
    SENT = "sent"
    REPEATED = "repeated"
    """sent again because the mail server's first answer was lost: the customer may have it twice"""
    UNCONFIRMED = "unconfirmed"
    """sent again, and never confirmed: the customer may have it twice or not at all, and a person decides"""
    REFUSED = "refused"
    """the mail server refuses this recipient for good"""


def message_id(notification_id: str, domain: str) -> str:
    """The Message-ID of a notification (RFC 5322, 3.6.4), the same on every attempt: a repeat can be dropped."""
    return f"<{notification_id}@{domain}>"
