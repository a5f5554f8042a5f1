"""What providers tell us: events that are recorded once and may wake an order."""

from dataclasses import dataclass
from enum import StrEnum

from domain.shipments import Whereabouts


class EventTopic(StrEnum):
    """What an event is about."""

    PAYMENT = "payment"
    DISPUTE = "dispute"
    TRACKING = "tracking"
    PORTAL = "portal"
    """a supplier's portal may be visited again"""
    OTHER = "other"


class InboxStatus(StrEnum):
    """Where an event stands with us."""

    STORED = "stored"
    APPLIED = "applied"
    PARKED = "parked"
    """belongs to no order of ours (yet)"""
    IGNORED = "ignored"


@dataclass(frozen=True)
class ProviderEvent:
    """A verified event, as the inbox keeps it.

    ``subject`` is the provider's id of the payment, shipment or tracker; ``order_id`` what its metadata names;
    ``moves_money`` whether money changed hands, ``ends_hold`` whether a hold on the customer's money is over.
    """

    provider: str
    event_id: str
    type: str
    topic: EventTopic
    subject: str | None = None
    order_id: str | None = None
    moves_money: bool = False
    ends_hold: bool = False


@dataclass(frozen=True)
class Wake:
    """The signal that an event sends to an order's workflow.

    The event itself is not believed: ``where`` is what the carrier said when it was asked on account of it. Without
    that, the workflow asks. ``disputed``: a person must decide about a dispute before anything more leaves.
    ``stray``: the tracking code of a parcel that travels although its label was given back.
    """

    provider: str
    event_id: str
    topic: EventTopic
    parcel_id: str | None = None
    where: Whereabouts | None = None
    disputed: bool = False
    stray: str | None = None
