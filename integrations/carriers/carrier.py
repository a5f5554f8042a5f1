"""What every carrier's adapter can do."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.inbox import ProviderEvent
from domain.orders import Address
from domain.shipments import LabelFormat, Shipment, ShipmentRequest, Tracking


@dataclass(frozen=True)
class LabelFile:
    """The label as a file."""

    format: LabelFormat
    media_type: str
    content: bytes


class Carrier(Protocol):
    """One carrier system. All methods raise the tree of `integrations.errors`.

    Creating a shipment costs nothing and buying a label does; they are separate steps, and nothing is bought without a
    look at the shipment first.
    """

    name: str

    async def create(self, request: ShipmentRequest) -> Shipment:
        """Create a shipment and get its rates."""

    async def find(self, our_reference: str, *, since: datetime) -> list[Shipment]:
        """Shipments that carry our reference, created at or after ``since``, newest first."""

    async def retrieve(self, reference: str) -> Shipment:
        """What the carrier system says now."""

    async def buy(self, reference: str, rate: str, *, unseen: bool = False) -> Shipment:
        """Buy the label for a rate. One already bought is answered as it is; never buys twice.

        ``unseen``: nobody else knows the shipment yet, so that there is no need to look at it first.
        """

    async def void(self, reference: str) -> Shipment:
        """Ask for the label's price back. Asking again is harmless; ``refund_status`` tells."""

    async def label(self, reference: str, format: LabelFormat) -> LabelFile:
        """The label in the wanted format."""

    async def track(self, tracker: str) -> Tracking:
        """Where the parcel is now, with all events so far."""

    async def start_tracking(self, tracking_code: str, carrier: str) -> Tracking:
        """Follow a parcel whose label came without a tracker; the same code gives the same tracker."""

    async def verify(self, address: Address) -> str | None:
        """What is wrong with an address, in words; None if the carrier delivers there."""

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], *, path: str, now: datetime) -> ProviderEvent:
        """Verify and read a webhook; ``headers`` have lower-case names. Raises BadSignature or BadPayload."""

    def parse_tracking(self, body: bytes) -> Tracking | None:
        """The tracking that a verified webhook body tells of; None if it tells of something else."""
