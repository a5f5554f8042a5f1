"""What a hold stops and what its release lets go on, in words and for each parcel."""

from datetime import UTC, datetime

from domain.changes.wish import Share, Stage
from domain.holds import Hold, HoldReason
from domain.orders import OrderStatus
from domain.standstills import said, steps_that_go_on, stops_of

AT = datetime(2024, 5, 2, tzinfo=UTC)
SHARES = [Share("a", 1, Stage.PLANNED, ()), Share("b", 2, Stage.LABELLED, ()), Share("c", 3, Stage.LEFT, ())]


def hold(id: str, fulfilment: str | None = None) -> Hold:
    return Hold(id, HoldReason.OPERATOR, "Ann", AT, fulfilment_id=fulfilment)


def test_a_hold_stops_what_has_not_left() -> None:
    stops = stops_of(SHARES, [], [hold("1")])
    assert [stop.stopped_after for stop in stops] == [True, True, False]
    assert said(stops, missing=0) == "It stops the label of parcel 1 and the hand-over of parcel 2."


def test_a_release_lets_go_on_what_no_other_hold_stops() -> None:
    stops = stops_of(SHARES, [hold("1"), hold("2", "b")], [hold("2", "b")])
    assert [stop.held_by for stop in stops] == [(), ("2",), ()]
    assert said(stops, missing=0) == "It goes on with the label of parcel 1."
    assert said(stops, missing=1) == "Nothing goes on yet: it takes the agreement of 1 more."


def test_before_there_are_parcels_only_what_can_be_undone_goes_on() -> None:
    (stop,) = stops_of([], [], [hold("1")])
    assert said([stop], missing=0) == "It stops the label of every parcel."
    assert steps_that_go_on(OrderStatus.AWAITING_PAYMENT) == ("payment",)
