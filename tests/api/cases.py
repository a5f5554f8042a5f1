"""Stand-ins for the workflows of cases, as far as the API can tell: they take what they are told, and remember it."""

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from domain.claims import ClaimApproval, ClaimWish, OpenClaim
from domain.claims import Standing as ClaimStanding
from domain.errors import WaybillError
from domain.exceptions import Resolution
from domain.exchanges import ExchangeWish, OpenExchange
from domain.exchanges import Standing as ExchangeStanding
from domain.return_units import Inspection, ReturnReceipt
from domain.returns import OpenReturn, ReturnWish
from domain.returns import Standing as ReturnStanding
from domain.transfers import CancelWish, ExpectWish, OpenTransfer, Receipt, SendWish, Standing, Wish

Opened = TypeVar("Opened", OpenTransfer, OpenReturn, OpenClaim, OpenExchange)
Stands = TypeVar("Stands", Standing, ReturnStanding, ClaimStanding, ExchangeStanding)


@dataclass
class FakeCases(Generic[Opened, Stands]):
    """Any kind of them."""

    started: list[Opened] = field(default_factory=list)
    asked: list[tuple[str, object, str]] = field(default_factory=list)
    refusals: list[WaybillError] = field(default_factory=list)
    """raised one after the other by what is asked next"""
    away: WaybillError | None = None
    """raised by every start"""

    async def start(self, opened: Opened) -> None:
        if self.away is not None:
            raise self.away
        self.started.append(opened)

    def _answer(self, name: str, wish: object, key: str) -> Stands:
        if self.refusals:
            raise self.refusals.pop(0)
        self.asked.append((name, wish, key))
        last: Any = self.started[-1]
        standing: Stands = last.standing
        return standing


class FakeTransfers(FakeCases[OpenTransfer, Standing]):
    """The transfers."""

    async def ready(self, transfer_id: str, wish: Wish, *, key: str) -> Standing:
        return self._answer(transfer_id, wish, key)

    async def send(self, transfer_id: str, wish: SendWish, *, key: str) -> Standing:
        return self._answer(transfer_id, wish, key)

    async def receive(self, transfer_id: str, receipt: Receipt, *, key: str) -> Standing:
        return self._answer(transfer_id, receipt, key)

    async def cancel(self, transfer_id: str, wish: CancelWish, *, key: str) -> Standing:
        return self._answer(transfer_id, wish, key)

    async def expect(self, transfer_id: str, wish: ExpectWish, *, key: str) -> Standing:
        return self._answer(transfer_id, wish, key)


class FakeReturns(FakeCases[OpenReturn, ReturnStanding]):
    """The returns."""

    async def approve(self, return_id: str, wish: ReturnWish, *, key: str) -> ReturnStanding:
        return self._answer(return_id, wish, key)

    async def refuse(self, return_id: str, wish: ReturnWish, *, key: str) -> ReturnStanding:
        return self._answer(return_id, wish, key)

    async def withdraw(self, return_id: str, wish: ReturnWish, *, key: str) -> ReturnStanding:
        return self._answer(return_id, wish, key)

    async def receive(self, return_id: str, receipt: ReturnReceipt, *, key: str) -> ReturnStanding:
        return self._answer(return_id, receipt, key)

    async def inspect(self, return_id: str, inspection: Inspection, *, key: str) -> ReturnStanding:
        return self._answer(return_id, inspection, key)

    async def decide(self, return_id: str, decision: Resolution, *, key: str) -> ReturnStanding:
        return self._answer(return_id, decision, key)


class FakeClaims(FakeCases[OpenClaim, ClaimStanding]):
    """The claims."""

    async def approve(self, claim_id: str, approval: ClaimApproval, *, key: str) -> ClaimStanding:
        return self._answer(claim_id, approval, key)

    async def refuse(self, claim_id: str, wish: ClaimWish, *, key: str) -> ClaimStanding:
        return self._answer(claim_id, wish, key)

    async def withdraw(self, claim_id: str, wish: ClaimWish, *, key: str) -> ClaimStanding:
        return self._answer(claim_id, wish, key)

    async def decide(self, claim_id: str, decision: Resolution, *, key: str) -> ClaimStanding:
        return self._answer(claim_id, decision, key)


class FakeExchanges(FakeCases[OpenExchange, ExchangeStanding]):
    """The exchanges."""

    async def withdraw(self, exchange_id: str, wish: ExchangeWish, *, key: str) -> ExchangeStanding:
        return self._answer(exchange_id, wish, key)

    async def decide(self, exchange_id: str, decision: Resolution, *, key: str) -> ExchangeStanding:
        return self._answer(exchange_id, decision, key)
