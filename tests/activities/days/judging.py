"""How a day ends: nothing is left that neither goes on by itself nor waits for somebody who is named."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from activities.projections import WAITING
from domain import claims, exchanges, returns
from domain.exceptions import ExceptionKind
from domain.orders import ENDED, OrderStatus
from domain.payments import PaymentStatus
from domain.waiting import Party
from tests.activities.days.day import Day

_ENDED = {status.value for status in (*returns.ENDED, *claims.ENDED, *exchanges.OVER)}
_PARTIES = {party.value for party in Party if party is not Party.NOBODY}


class Judging(Day):
    """No more webhooks come: what was lost is found by the comparison, as it is in the night."""

    def it_has_ended_or_waits_for_somebody(self) -> None:
        """Of what is open, somebody knows."""
        self.do(self.world.execute(_NIGHT, id=self.order))
        self.the_comparison_is_made()
        self.its_disputes_are_known()
        self.do(self.publish())
        found, books = self.do(self.world.row(_OPEN, id=self.order, change=self._awaited)), self.books()
        asked = _rows(found.exceptions)
        assert all(one.reason and one.actions for one in asked), asked
        assert found.needs_attention is bool(asked)
        ours, theirs = self.do(self.money()).refunded, books.refunded
        told = ExceptionKind.MONEY_DIFFERS in {one.kind for one in asked}
        assert told is (ours != theirs), f"refunded: ledger {ours}, provider {theirs}; people are asked: {asked}"
        for case in _rows(found.cases):
            waits = case.waiting["on"] in _PARTIES and case.waiting["sentence"].startswith("Waiting for ")
            assert waits is not (case.status in _ENDED), case
        assert found.awaits is (self.awaits is not None)
        self._its_own_sentence_says_so(found, asked)
        unpaid = {change for change, state in self.states.items() if state.status is PaymentStatus.REQUIRES_METHOD}
        assert {row.change_id for row in _rows(found.customers)} == unpaid

    def _its_own_sentence_says_so(self, found: Any, asked: Sequence[Any]) -> None:
        """What the order itself answers: that it has ended, or whom it waits for; and he has been told."""
        waiting = WAITING.validate_python({name: said for name, said in found.waiting.items() if name != "sentence"})
        assert found.waiting["sentence"] == waiting.sentence
        assert OrderStatus(found.status) is self.status
        over = self.status in ENDED and self.awaits is None
        assert (waiting.on is Party.NOBODY) is over, waiting
        assert waiting.sentence.startswith("Waiting for ") is not over
        if self.status is OrderStatus.CANCELLING:  # what is given back by itself is given back by now
            assert waiting.on is Party.OPERATOR, waiting
        if waiting.on is Party.OPERATOR:
            assert asked or found.held, waiting
        if waiting.on is Party.CUSTOMER:
            assert found.customers, waiting

    def the_comparison_is_made(self) -> int:
        """The differences that it finds, or would if no step were being made."""
        raise NotImplementedError

    def its_disputes_are_known(self) -> None:
        """The ledger has them, and a person is asked about each that is not decided, or lost."""
        raise NotImplementedError

    @property
    def _awaited(self) -> str:
        return "" if self.awaits is None else self.awaits[0].change.id


def _rows(found: Sequence[dict[str, Any]] | None) -> list[Any]:
    return [SimpleNamespace(**row) for row in found or ()]


# What the provider has refused is taken for a step that is being made, for an hour.
_NIGHT = (
    "UPDATE payment_events SET intended_at = intended_at - interval '2 hours' "
    "WHERE at IS NULL AND payment_id IN (SELECT id FROM payments WHERE order_id = :id)"
)
_OPEN = """
SELECT needs_attention, status, waiting,
    EXISTS (SELECT FROM holds WHERE order_id = o.id AND released_at IS NULL) AS held,
    (SELECT json_agg(e) FROM exceptions e WHERE order_id = o.id AND status = 'open') AS exceptions,
    (SELECT json_agg(c) FROM (
        SELECT status, waiting FROM returns WHERE order_id = o.id
        UNION ALL SELECT status, waiting FROM claims WHERE order_id = o.id
        UNION ALL SELECT status, waiting FROM exchanges WHERE order_id = o.id
    ) c) AS cases,
    EXISTS (
        SELECT FROM awaited_changes
        WHERE order_id = o.id AND id = CAST(:change AS text) AND status = 'awaiting' AND until > now()
    ) AS awaits,
    (SELECT json_agg(p) FROM payments p WHERE order_id = o.id AND awaiting_customer) AS customers
FROM orders o WHERE id = :id
"""
