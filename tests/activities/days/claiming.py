"""What customers claim: lost, damaged, missing. A claim is settled once: by money, or by the same goods once more."""

from datetime import UTC, datetime

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from activities.case_steps import CaseStep
from activities.claim_requests import claim
from activities.claims import ApproveClaim
from domain.claims import ClaimApproval, ClaimedLine, ClaimKind, ClaimRequest, Remedy
from domain.errors import WaybillError
from tests.activities.days.day import PICKS
from tests.activities.days.returning import TIMES, Returning

_LINES = st.lists(st.builds(ClaimedLine, st.integers(1, 2), st.integers(1, 2)), min_size=1, max_size=2)
_DECISIONS = st.sampled_from([None, *Remedy, *Remedy, "refuse", "withdraw"])


class Claiming(Returning):
    """Claiming, deciding, and what comes of a replacement."""

    @precondition(lambda self: self.left)
    @rule(kind=st.sampled_from(ClaimKind), lines=_LINES, decision=_DECISIONS, times=TIMES)
    def units_are_claimed(
        self, kind: ClaimKind, lines: list[ClaimedLine], decision: Remedy | str | None, times: int
    ) -> None:
        request = ClaimRequest(self.name(), kind, tuple(lines), "In pieces.")

        async def claimed() -> str:
            async with self.database.transaction() as connection:
                row, _ = await claim(connection, self.order, request, actor="Ada", at=_now())
                return str(row.id)

        try:
            self.claims.append(self.do(claimed()))
        except WaybillError:
            return
        if decision is not None:
            self.a_claim_is_decided(-1, decision, None, times)

    @precondition(lambda self: self.claims)
    @rule(
        pick=PICKS,
        decision=st.sampled_from([*Remedy, "refuse", "withdraw"]),
        amount=st.sampled_from([None, None, 100]),
        times=TIMES,
    )
    def a_claim_is_decided(self, pick: int, decision: Remedy | str, amount: int | None, times: int) -> None:
        """By several who decide alike, one after the other."""
        one = self.claims[pick % len(self.claims)] if pick >= 0 else self.claims[-1]
        before = self.do(self._given(one))
        for _ in range(times):
            self.do(self._decide_claim(one, decision, amount, before[2]))
        refunds, orders, replacements = self.do(self._given(one))
        assert refunds - before[0] + orders - before[1] <= 1
        assert replacements - before[2] == orders - before[1]

    @precondition(lambda self: self.claims)
    @rule(pick=PICKS, arrives=st.booleans(), times=TIMES)
    def a_replacement_ends(self, pick: int, arrives: bool, times: int) -> None:
        """It arrives, and the claim is closed; or it is never sent, and the claim is decided anew."""
        one = self.claims[pick % len(self.claims)]
        self.do(self.end_linked("claims", one, arrives=arrives))
        told = [self.do(self.shop.claims.look(CaseStep(one, _now(), "waybill"))) for _ in range(times)]
        assert all(outcome == told[0] for outcome in told)

    async def _decide_claim(self, one: str, decision: Remedy | str, amount: int | None, replacements: int) -> None:
        step = CaseStep(one, _now(), "Ann", "It was worn.")
        if decision == "refuse":
            await self.shop.claims.refuse(step)
        elif decision == "withdraw":
            await self.shop.claims.withdraw(step)
        else:
            approval = ClaimApproval("Ann", Remedy(decision), amount if decision is Remedy.REFUND else None)
            await self.shop.claims.approve(ApproveClaim(one, _now(), approval, replacements))

    async def _given(self, one: str) -> tuple[int, int, int]:
        """Refunds, and orders that replace something, of the whole day; and the replacements of this claim."""
        row = await self.world.row(_GIVEN, id=self.order, claim=one)
        return row.refunds, row.orders, row.replacements


def _now() -> datetime:
    return datetime.now(UTC)


_GIVEN = """
SELECT (SELECT count(*) FROM refunds WHERE order_id = :id AND part_of IS NULL) AS refunds,
    (SELECT count(*) FROM orders o JOIN claims c ON o.origin->>'id' = c.id WHERE c.order_id = :id) AS orders,
    (SELECT replacements FROM claims WHERE id = :claim) AS replacements
"""
