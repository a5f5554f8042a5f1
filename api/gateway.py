"""What the API needs of the workflows."""

from collections.abc import Sequence
from typing import Protocol

from domain.exceptions import Resolution
from domain.inbox import Wake
from domain.orders import Answer, CancelRequest, HandOver, PlacedOrder
from workflows.money.refund import PayRefund


class OrderGateway(Protocol):
    """Starts orders and passes people's wishes on to them.

    ``key`` names the wish: the same one, sent again, gets the first answer. `cancel`, `hand_over` and `resolve` raise
    NotFound where no such order runs, and Conflict, TooLate or NotPaid where the order refuses; all raise Unavailable
    where nobody answers in time, after which the same call may be repeated.
    """

    async def start(self, placed: PlacedOrder) -> None:
        """Start an order; one that has started stays as it is."""

    async def cancel(self, order_id: str, request: CancelRequest, *, key: str) -> Answer:
        """Cancel what has not been handed over."""

    async def hand_over(self, order_id: str, request: HandOver, *, key: str) -> Answer:
        """Note that a fulfilment's parcels are the carrier's; its money is captured first."""

    async def restart(self, placed: PlacedOrder) -> None:
        """Start an order anew whose workflow was ended in Temporal; Conflict if it runs, or ended by itself."""

    async def resolve(self, order_id: str, resolution: Resolution, *, key: str) -> Answer:
        """Pass on a person's decision about an exception."""

    async def wake(self, order_id: str, wake: Wake) -> bool:
        """Tell an order that a provider has news; False if its workflow has ended."""

    async def stock_arrived(self, order_ids: Sequence[str]) -> None:
        """Tell orders that wait for stock that some has come."""


class MoneyGateway(Protocol):
    """Starts what has to do with money beside orders: each thing once at a time.

    All raise Unavailable where Temporal does not answer.
    """

    async def compare_all(self) -> None:
        """Compare all orders' ledgers with their providers now, unless that is being done."""

    async def compare(self, order_id: str) -> None:
        """Compare one order's ledger with its provider now."""

    async def pay(self, refund: PayRefund) -> None:
        """Pay a refund by the decision that was taken; one that is being paid stays as it is."""
