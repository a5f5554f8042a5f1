"""What the API needs of the workflows."""

from typing import Protocol

from domain.changes.awaited import WithdrawChange
from domain.changes.wish import OrderChange
from domain.claims import ClaimApproval, ClaimWish, OpenClaim
from domain.claims import Standing as ClaimStanding
from domain.exceptions import Resolution
from domain.exchanges import ExchangeWish, OpenExchange
from domain.exchanges import Standing as ExchangeStanding
from domain.holds import Hold, ReleaseHold
from domain.inbox import Wake
from domain.orders import Answer, CancelRequest, HandOver, PlacedOrder
from domain.portals import TakeOver
from domain.rejections import Rejection
from domain.return_units import Inspection, ReturnReceipt
from domain.returns import OpenReturn, ReturnWish
from domain.returns import Standing as ReturnStanding
from domain.transfers import CancelWish, ExpectWish, OpenTransfer, Receipt, SendWish, Standing, Wish
from workflows.money.refund import PayRefund


class OrderGateway(Protocol):
    """Starts orders and passes people's wishes on to them.

    ``key`` names the wish: the same one, sent again, gets the first answer. `cancel`, `change`, `hand_over`, `hold`,
    `release` and `resolve` raise NotFound where no such order runs, and Conflict, TooLate, OnHold or NotPaid where the
    order refuses; all raise Unavailable where nobody answers in time, after which the same call may be repeated.
    """

    async def start(self, placed: PlacedOrder) -> None:
        """Start an order; one that has started stays as it is."""

    async def cancel(self, order_id: str, request: CancelRequest, *, key: str) -> Answer:
        """Cancel what has not been handed over."""

    async def hand_over(self, order_id: str, request: HandOver, *, key: str) -> Answer:
        """Note that a fulfilment's parcels are the carrier's; its money is captured first."""

    async def reject(self, order_id: str, rejection: Rejection, *, key: str) -> Answer:
        """Take units from a fulfilment that its warehouse does not ship, and find another place."""

    async def change(self, order_id: str, change: OrderChange, *, key: str) -> Answer:
        """Change what was placed, as a preview has shown it."""

    async def withdraw_change(self, order_id: str, wish: WithdrawChange, *, key: str) -> Answer:
        """Withdraw a change that waits for its payment. Raises TooLate, NotFound, Unavailable."""

    async def take_over(self, order_id: str, wish: TakeOver, *, key: str) -> Answer:
        """Note that a person has ordered a fulfilment with its supplier."""

    async def restart(self, placed: PlacedOrder) -> None:
        """Start an order anew whose workflow was ended in Temporal; Conflict if it runs, or ended by itself."""

    async def resolve(self, order_id: str, resolution: Resolution, *, key: str) -> Answer:
        """Pass on a person's decision about an exception."""

    async def hold(self, order_id: str, hold: Hold, *, key: str) -> Answer:
        """Stop an order before its next irrevocable step."""

    async def release(self, order_id: str, release: ReleaseHold, *, key: str) -> Answer:
        """Pass on somebody's agreement to a hold's release."""

    async def wake(self, order_id: str, wake: Wake) -> bool:
        """Tell an order that a provider has news; False if its workflow has ended."""


class TransferGateway(Protocol):
    """Starts transfers and passes people's wishes on to them.

    ``key`` names the wish, as with orders. All raise Unavailable where nobody answers in time; wishes raise NotFound
    where no such transfer runs, and Conflict or its kinds where the transfer refuses.
    """

    async def start(self, opened: OpenTransfer) -> None:
        """Start a transfer; one that runs stays as it is."""

    async def ready(self, transfer_id: str, wish: Wish, *, key: str) -> Standing:
        """Keep its units from sale."""

    async def send(self, transfer_id: str, wish: SendWish, *, key: str) -> Standing:
        """Its goods leave."""

    async def receive(self, transfer_id: str, receipt: Receipt, *, key: str) -> Standing:
        """Book what arrived."""

    async def cancel(self, transfer_id: str, wish: CancelWish, *, key: str) -> Standing:
        """Cancel it."""

    async def expect(self, transfer_id: str, wish: ExpectWish, *, key: str) -> Standing:
        """Expect its goods at another moment."""


class ReturnGateway(Protocol):
    """Starts returns and passes people's wishes on to them.

    ``key`` names the wish, as with orders. All raise Unavailable where nobody answers in time; wishes raise NotFound
    where no such return runs, and InvalidReturn, Conflict or its kinds where the return refuses.
    """

    async def start(self, opened: OpenReturn) -> None:
        """Start a return; one that runs stays as it is."""

    async def approve(self, return_id: str, wish: ReturnWish, *, key: str) -> ReturnStanding:
        """Take it."""

    async def refuse(self, return_id: str, wish: ReturnWish, *, key: str) -> ReturnStanding:
        """Do not take it."""

    async def withdraw(self, return_id: str, wish: ReturnWish, *, key: str) -> ReturnStanding:
        """The customer keeps everything."""

    async def receive(self, return_id: str, receipt: ReturnReceipt, *, key: str) -> ReturnStanding:
        """Book what arrived."""

    async def inspect(self, return_id: str, inspection: Inspection, *, key: str) -> ReturnStanding:
        """Book what was found."""

    async def decide(self, return_id: str, decision: Resolution, *, key: str) -> ReturnStanding:
        """Pass on what a person decided about an exception of it."""


class ClaimGateway(Protocol):
    """Starts claims and passes people's wishes on to them.

    ``key`` names the wish, as with orders. All raise Unavailable where nobody answers in time; wishes raise NotFound
    where no such claim runs, and Conflict or its kinds where the claim refuses.
    """

    async def start(self, opened: OpenClaim) -> None:
        """Start a claim; one that runs stays as it is."""

    async def approve(self, claim_id: str, approval: ClaimApproval, *, key: str) -> ClaimStanding:
        """Refund or replace what is claimed; also raises InvalidRefund."""

    async def refuse(self, claim_id: str, wish: ClaimWish, *, key: str) -> ClaimStanding:
        """Settle nothing."""

    async def withdraw(self, claim_id: str, wish: ClaimWish, *, key: str) -> ClaimStanding:
        """Nothing is claimed any more."""

    async def decide(self, claim_id: str, decision: Resolution, *, key: str) -> ClaimStanding:
        """Pass on what a person decided about an exception of it."""


class ExchangeGateway(Protocol):
    """Starts exchanges and passes people's wishes on to them.

    ``key`` names the wish, as with orders. All raise Unavailable where nobody answers in time; wishes raise NotFound
    where no such exchange runs, and Conflict or its kinds where the exchange refuses.
    """

    async def start(self, opened: OpenExchange) -> None:
        """Start an exchange; one that runs stays as it is."""

    async def withdraw(self, exchange_id: str, wish: ExchangeWish, *, key: str) -> ExchangeStanding:
        """Send nothing; what comes back is refunded."""

    async def decide(self, exchange_id: str, decision: Resolution, *, key: str) -> ExchangeStanding:
        """Pass on what a person decided about an exception of it."""


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
