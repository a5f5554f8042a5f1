"""The one way to a transfer's workflow for everybody outside it: start it, ask it."""

from temporalio.common import SearchAttributePair

from domain.transfers import CancelWish, ExpectWish, OpenTransfer, Receipt, SendWish, Standing, Wish
from workflows.case_gateway import CaseGateway
from workflows.orders import attributes
from workflows.stock.transfer import TransferWorkflow


class TransferGateway(CaseGateway[Standing]):
    """Starts and updates transfers' workflows; waits a bounded time for each."""

    noun = "transfer"

    async def start(self, opened: OpenTransfer) -> None:
        """Start a transfer's workflow, or leave the one that runs. Raises Unavailable if Temporal does not answer."""
        standing = opened.standing
        await self._start(
            TransferWorkflow.run,
            opened,
            summary=f"{opened.number} · {standing.source} to {standing.destination}",
            details=f"Transfer **{opened.number}** from {standing.source} to {standing.destination}",
            attributes=[
                SearchAttributePair(attributes.WAREHOUSE, [standing.source, standing.destination]),
                SearchAttributePair(attributes.NEEDS_ATTENTION, standing.late),
            ],
        )

    async def ready(self, transfer_id: str, wish: Wish, *, key: str) -> Standing:
        """Keep its units from sale. Raises NotEnoughUnits, TooLate, NotFound, Unavailable."""
        return await self._ask(transfer_id, TransferWorkflow.ready, wish, key)

    async def send(self, transfer_id: str, wish: SendWish, *, key: str) -> Standing:
        """Its goods leave. Raises Conflict, TooLate, NotFound, Unavailable."""
        return await self._ask(transfer_id, TransferWorkflow.send, wish, key)

    async def receive(self, transfer_id: str, receipt: Receipt, *, key: str) -> Standing:
        """Book what arrived. Raises MoreThanSent, KeyReused, Conflict, TooLate, NotFound, Unavailable."""
        return await self._ask(transfer_id, TransferWorkflow.receive, receipt, key)

    async def cancel(self, transfer_id: str, wish: CancelWish, *, key: str) -> Standing:
        """Cancel it. Raises Conflict, TooLate, NotFound, Unavailable."""
        return await self._ask(transfer_id, TransferWorkflow.cancel, wish, key)

    async def expect(self, transfer_id: str, wish: ExpectWish, *, key: str) -> Standing:
        """Expect its goods at another moment. Raises TooLate, NotFound, Unavailable."""
        return await self._ask(transfer_id, TransferWorkflow.expect, wish, key)
