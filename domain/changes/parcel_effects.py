"""What becomes of an order whose parcel is split, ships short, or goes out from another warehouse.

The rules for one parcel, beside those for the order as a whole (`effects_of`): same facts in, same kind of effects out.
Where units may go, and what a shelf has, only the database knows: `placed`, `moved` and `with_shelves` add that.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from domain.changes.effects import BEFORE_PACKING, Effects, Facts, LabelEffect, Released, effects_of
from domain.changes.money import money_effect
from domain.changes.parcel import Move, ParcelEdit, ParcelEffect, ShelfEffect, ShortShip, Split, Unplaced
from domain.changes.wish import Edits, LineEdit, Share, Stage
from domain.errors import Conflict, InvalidChange, OnHold, TooEarly, TooLate
from domain.money import Money
from domain.orders import OrderStatus
from domain.picking import goods, misfit, picked, without
from domain.rejections import RejectionReason, Rest, counted_skus, fault, given_back, kept_units, shelf_change
from domain.stock import Allocation
from domain.stock_entries import Level

_PACKING = frozenset({OrderStatus.FULFILLING, OrderStatus.PARTLY_SHIPPED})


def effects_of_edits(edits: Edits, facts: Facts) -> Effects:
    """What a change does, of the order as a whole or of one parcel. Raises what those raise."""
    return effects_of(edits, facts) if edits.parcel is None else parcel_effects(edits.parcel, facts)


def parcel_effects(edit: ParcelEdit, facts: Facts) -> Effects:
    """What an edit of a parcel does, but for where its units go and what it tells of shelves.

    Raises InvalidChange, TooEarly, TooLate, OnHold or Conflict where it cannot be made.
    """
    share = _share(edit.fulfilment_id, facts)
    if isinstance(edit, Split):
        return _split(edit, share, facts)
    if isinstance(edit, ShortShip):
        return _short(edit, share, facts)
    return _emptied(edit, share, facts)


def with_shelves(effects: Effects, edit: ShortShip, ships: Sequence[Allocation], levels: Sequence[Level]) -> Effects:
    """The same, with what the warehouse tells of its shelves; ``levels`` are those of ``gone_skus``, in that order."""
    rejection = edit.rejection()
    gone = given_back(rejection, ships)
    counted, kept = counted_skus(rejection, gone), kept_units(rejection, ships)
    shelves = []
    for sku, level in zip(gone_skus(edit, ships), levels, strict=True):
        units = sum(a.quantity for a in gone if a.sku == sku)
        found = shelf_change(edit.reason, level, units=units, kept=kept.get(sku, 0), counted=counted.get(sku))
        if found is not None:
            change = found[1]
            on_hand, damaged = level.on_hand + change.on_hand, level.damaged + change.damaged
            shelves.append(ShelfEffect(sku, gone[0].warehouse, level.on_hand, on_hand, level.damaged, damaged))
    return replace(effects, parcel=replace(_of(effects), shelves=tuple(shelves)))


def gone_skus(edit: ShortShip, ships: Sequence[Allocation]) -> list[str]:
    """The SKUs of which a parcel that ships ``ships`` is short."""
    return sorted({a.sku for a in given_back(edit.rejection(), ships)})


def placed(
    effects: Effects, reserved: Sequence[Allocation], waiting: Sequence[Unplaced], promised_at: datetime | None
) -> Effects:
    """The same, with where the units go that a parcel is short of, and those that wait."""
    said = _of(effects).said
    for warehouse in dict.fromkeys(a.warehouse for a in reserved):
        said += f" {warehouse} ships {goods([a for a in reserved if a.warehouse == warehouse])} instead."
    for one in waiting:
        said += f" {one.quantity} × {one.sku} waits for stock{f' at {_listed(one.at)}' if one.at else ''}."
    return replace(
        effects,
        reserved=tuple(reserved),
        routed_to=tuple(dict.fromkeys((*effects.ships_from, *(a.warehouse for a in reserved)))),
        promised_after=_later(effects.promised_after, promised_at),
        parcel=replace(_of(effects), said=said, waiting=tuple(waiting)),
    )


def moved(effects: Effects, share: Share, reserved: Sequence[Allocation], promised_at: datetime | None) -> Effects:
    """The same, with where a parcel ships from instead."""
    others = tuple(dict.fromkeys(a.warehouse for a in reserved))
    said = f"Parcel {share.number} ships from {_listed(others)} instead of {share.allocations[0].warehouse}."
    return replace(
        effects,
        reserved=tuple(reserved),
        routed_to=others,
        promised_after=_later(effects.promised_after, promised_at),
        parcel=ParcelEffect(said),
    )


def share_of(fulfilment_id: str, facts: Facts) -> Share:
    """The parcel that an edit is about."""
    share = next((share for share in facts.shares if share.fulfilment_id == fulfilment_id), None)
    if share is None:
        raise TooLate("Nothing ships in this parcel any more.")
    return share


def _share(fulfilment_id: str, facts: Facts) -> Share:
    """The same, if something may still be done with it."""
    status = facts.status.replace("_", " ")
    if facts.status in BEFORE_PACKING:
        raise TooEarly(f"The order is {status}: it has no parcels yet.")
    share = share_of(fulfilment_id, facts)
    if share.stage is Stage.LEFT:
        raise TooLate(f"Parcel {share.number} has left.")
    if facts.status not in _PACKING:
        raise TooLate(f"The order is {status}: nothing can be done with its parcels any more.")
    if share.portal is not None:
        raise Conflict(f"Parcel {share.number} is a supplier's, who sends what is ordered: it can only be rejected.")
    if share.held:
        raise OnHold(f"A hold stands on parcel {share.number}: its goods must not leave in another one.")
    return share


def _split(edit: Split, share: Share, facts: Facts) -> Effects:
    wrong = misfit(edit.lines, share.allocations)
    if wrong is not None:
        raise InvalidChange(wrong[1], field=wrong[0])
    divided = picked(edit.lines, share.allocations)
    kept = without(share.allocations, divided)
    if not kept or not divided:
        raise InvalidChange("Both parcels must ship something.", field="lines")
    said = f"Parcel {share.number} was split: {goods(divided)} in a parcel of their own."
    return _unchanged(share, facts, kept, ParcelEffect(said, divided))


def _short(edit: ShortShip, share: Share, facts: Facts) -> Effects:
    if edit.reason is RejectionReason.TOO_BUSY:
        raise InvalidChange("A warehouse that is too busy rejects a parcel; nothing is missing in it.", field="reason")
    wrong = fault(edit.rejection(), share.allocations)
    if wrong is not None or not edit.lines:
        field, why = wrong or ("lines", "Say which units are missing.")
        raise InvalidChange(why, field=field)
    gone = given_back(edit.rejection(), share.allocations)
    kept = without(share.allocations, gone)
    said = f"Parcel {share.number} ships {'short' if kept else 'nothing'}: {goods(gone)} missing."
    effects = _unchanged(share, facts, kept, ParcelEffect(said))
    effects = replace(effects, stock=_released(share, gone))
    return _dropped(effects, gone, facts) if edit.rest is Rest.DROP else effects


def _dropped(effects: Effects, gone: Sequence[Allocation], facts: Facts) -> Effects:
    """The same, with an order that has these units no more: it costs less just as by a change of its lines."""
    lines = {line.number: line for line in facts.content.lines}
    bundle = next((a.line for a in gone if lines[a.line].parts), None)
    if bundle is not None:
        raise InvalidChange(f"Line {bundle} is a bundle, of which only whole ones can be dropped: change the order.")
    less = effects_of(Edits(tuple(LineEdit(a.line, lines[a.line].quantity - a.quantity) for a in gone)), facts)
    total = Money(less.after.total, less.after.currency)
    said = f"{_of(effects).said.rstrip('.')}, and taken off the order, which comes to {total} now."
    parcel = replace(_of(effects), said=said)
    return replace(effects, after=less.after, lines=less.lines, money=less.money, parcel=parcel)


def _emptied(edit: Move, share: Share, facts: Facts) -> Effects:
    if edit.warehouse == share.allocations[0].warehouse:
        raise InvalidChange(f"Parcel {share.number} ships from there already.", field="warehouse")
    effects = _unchanged(share, facts, (), ParcelEffect(""))
    return replace(effects, stock=_released(share, share.allocations))


def _unchanged(share: Share, facts: Facts, kept: Sequence[Allocation], parcel: ParcelEffect) -> Effects:
    """An order of which nothing but one parcel becomes another: what that ``kept`` is labelled anew."""
    content = facts.content
    waiting = (share for share in facts.shares if share.stage is not Stage.LEFT)
    ships_from = tuple(dict.fromkeys(a.warehouse for share in waiting for a in share.allocations))
    label = LabelEffect(share.fulfilment_id, share.number, replaced=bool(kept))
    return Effects(
        before=content,
        after=content,
        lines=(),
        money=money_effect(content.total, content.total, content.currency, facts.paid),
        stock=(),
        labels=(label,) if share.stage is Stage.LABELLED else (),
        stops=(share.fulfilment_id,),
        promised_before=facts.promised_at,
        promised_after=facts.promised_at,
        ships_from=ships_from,
        routed_to=ships_from,
        staying={share.fulfilment_id: tuple(kept)},
        parcel=parcel,
    )


def _released(share: Share, gone: Sequence[Allocation]) -> tuple[Released, ...]:
    return tuple(Released(share.fulfilment_id, share.number, a.line, a.sku, a.warehouse, a.quantity) for a in gone)


def _of(effects: Effects) -> ParcelEffect:
    if effects.parcel is None:
        raise LookupError("effects on no parcel")
    return effects.parcel


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    """The later promise; an order that was promised nothing is not promised anything by this."""
    return one if one is None or other is None else max(one, other)


def _listed(places: Sequence[str]) -> str:
    return " and ".join(places)
