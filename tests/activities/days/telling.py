"""What the provider tells by webhook: late, in any order, several times, or never."""

from datetime import UTC, datetime

from hypothesis import strategies as st
from hypothesis.stateful import rule

from activities.inbox import Inbox
from db import inbox
from domain.inbox import EventTopic, ProviderEvent, Wake
from integrations.sandbox.stripe.till import sign
from integrations.sandbox.webhooks import Outgoing
from tests.activities.days.day import PICKS
from tests.activities.days.judging import Judging
from tests.activities.days.shop import WEBHOOK_SECRET
from tests.activities.post import no_return

_PATH = "/webhooks/stripe"
_TIMES = st.integers(1, 2)


class Telling(Judging):
    """The events of the day lie at the provider until they are let go. Those that never are, were lost."""

    @rule(picks=st.lists(PICKS, min_size=1, max_size=3), times=_TIMES)
    def some_events_arrive(self, picks: list[int], times: int) -> None:
        """What they tell of may be over by now."""
        kept = list(self._kept())
        self._let_go([kept[pick % len(kept)] for pick in picks] if kept else [], times)

    @rule(topic=st.sampled_from([EventTopic.PAYMENT, EventTopic.DISPUTE]), times=_TIMES)
    def all_events_about_something_arrive(self, topic: EventTopic, times: int) -> None:
        """The newest first. After that we know what the provider knows."""
        self._let_go([id for id, event in self._kept().items() if event.topic is topic], times)
        if topic is EventTopic.DISPUTE:
            self.its_disputes_are_known()
        if topic is EventTopic.PAYMENT:
            assert not self.dark

    # --- how ---------------------------------------------------------------------------------------------------------

    def _kept(self) -> dict[str, ProviderEvent]:
        """The events that have not arrived, by id, newest first."""
        found = self.shop.books.events(self._page)
        return {id: self._read(found[id]) for id in reversed(found) if id not in self._arrived}

    def _read(self, body: bytes) -> ProviderEvent:
        """As the web process reads what the provider has signed."""
        now = datetime.now(UTC)
        signed = sign(Outgoing(body, WEBHOOK_SECRET, f"http://127.0.0.1{_PATH}", now.timestamp()))
        headers = {name.lower(): value for name, value in signed.items()}
        return self.shop.stripe().parse_webhook(body, headers, path=_PATH, now=now)

    def _let_go(self, ids: list[str], times: int) -> None:
        self.befall("*", None)
        woken = self.do(self._hear([self.shop.books.events(self._page)[id] for id in ids for _ in range(times)]))
        self._arrived.update(ids)
        if woken:
            self.everything_is_asked_for()

    async def _hear(self, bodies: list[bytes]) -> bool:
        """Store events as they come in, and let the relay apply them; whether the order's workflow was woken."""
        events = [self._read(body) for body in bodies]
        for event, body in zip(events, bodies, strict=True):
            async with self.database.statement() as connection:
                await inbox.store(connection, [{**vars(event), "topic": event.topic.value, "body": body}])
        woken = False

        async def wake(order_id: str, wake: Wake) -> bool:
            nonlocal woken
            woken = woken or wake.topic is EventTopic.PAYMENT
            return True

        await Inbox(self.database, {"stripe": self.shop.stripe()}, {}, wake, no_return).apply_due()
        payments = [event for event in events if event.topic is EventTopic.PAYMENT]  # a dispute says nothing of refunds
        self.dark -= {event.subject for event in payments if event.moves_money}
        return woken
