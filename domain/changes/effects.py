"""What a change of an order does to lines, money, stock, promise and labels.

A preview and its application ask the same function with the same facts, so that what was shown is what happens.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from domain.changes.money import MoneyEffect, Paid, money_effect
from domain.changes.parcel import ParcelEffect
from domain.changes.wish import Basis, Content, Edits, LineEdit, Share, Stage
from domain.errors import Conflict, InvalidChange, RefundTooLarge, TooEarly, TooLate
from domain.money import Money
from domain.orders import Line, OrderStatus
from domain.promises import carrier_days
from domain.stock import Allocation

_PACKING = frozenset({OrderStatus.FULFILLING, OrderStatus.PARTLY_SHIPPED, OrderStatus.SHIPPED})
BEFORE_PACKING = frozenset({OrderStatus.ACCEPTED, OrderStatus.AWAITING_STOCK, OrderStatus.AWAITING_PAYMENT})
"""Before it is paid: what it costs is asked for then, as it is then."""
_WHATEVER_IS_ASKED = 2**62


@dataclass(frozen=True)
class Facts:
    """What is so of an order, as far as a change depends on it.

    ``promised_at`` is when it should be at the door, ``leaves_anew`` when it leaves if it is packed from now on;
    ``refunded_lines`` are those that refunds were granted for, ``refundable`` is what more can be given back.
    ``payments`` are its own, without one that a change waits for. ``last_line`` is the highest number that a line of it
    ever had: refunds and returns are about numbers, so that none is given to another line.
    """

    status: OrderStatus
    content: Content
    basis: Basis
    shares: tuple[Share, ...]
    promised_at: datetime | None = None
    leaves_anew: datetime | None = None
    refunded_lines: frozenset[int] = frozenset()
    refundable: int = 0
    payments: tuple[Paid, ...] = ()
    last_line: int = 0

    @property
    def paid(self) -> tuple[Paid, ...]:
        """Its payments, the first one first; where none is known, one that fits. Before it is paid that follows it."""
        total = self.content.total
        if self.status in BEFORE_PACKING:
            return (Paid(None, total, held=_WHATEVER_IS_ASKED),)
        taken = total if self.basis.captured else 0
        return self.payments or (Paid(None, total, total - taken, taken),)


@dataclass(frozen=True)
class LineEffect:
    """What becomes of a line. Totals in minor units."""

    line: int
    sku: str
    quantity_before: int
    quantity_after: int
    total_before: int
    total_after: int


@dataclass(frozen=True)
class Released:
    """Units that a fulfilment does not ship any more, and that can be sold again."""

    fulfilment_id: str
    parcel: int
    line: int
    sku: str
    warehouse: str
    quantity: int


@dataclass(frozen=True)
class LabelEffect:
    """A label that is given back; ``replaced`` by a new one, or not because nothing is left in the parcel."""

    fulfilment_id: str
    parcel: int
    replaced: bool


@dataclass(frozen=True)
class Effects:
    """All that a change does. ``stops`` are the fulfilments whose contents or label become others.

    ``ships_from`` and ``routed_to`` are the warehouses, as it is and as routing would choose them now.
    """

    before: Content
    after: Content
    lines: tuple[LineEffect, ...]
    money: MoneyEffect
    stock: tuple[Released, ...]
    labels: tuple[LabelEffect, ...]
    stops: tuple[str, ...]
    promised_before: datetime | None
    promised_after: datetime | None
    ships_from: tuple[str, ...] = ()
    routed_to: tuple[str, ...] = ()
    reserved: tuple[Allocation, ...] = ()
    """units taken from other warehouses instead, where the order is routed again"""
    added: tuple[Allocation, ...] = ()
    """units that the order gets besides, each warehouse's in a parcel of their own"""
    held: tuple[Allocation, ...] = ()
    """where all of it is held afterwards, if it is not paid yet and its units become others"""
    reach: tuple[Allocation, ...] = ()
    """where all of it can be held as soon as it is changed, if it waits for stock; nothing if it waits on"""
    expected_at: datetime | None = None
    """when all of it is expected to leave, if it waits for stock and what it gets besides is promised by this"""
    staying: Mapping[str, tuple[Allocation, ...]] = field(default_factory=dict)
    """what each of ``stops`` ships afterwards"""
    parcel: ParcelEffect | None = None
    """what is done with one parcel, where the change is about that alone"""

    @property
    def more(self) -> dict[tuple[int, str], int]:
        """Units that the order gets besides, by line and SKU."""
        return more_units(self.before, self.after)

    @property
    def goes_elsewhere(self) -> bool:
        """Whether a label that was bought before is good for nothing any more."""
        return _goes_elsewhere(self.before, self.after)


def effects_of(edits: Edits, facts: Facts) -> Effects:
    """What a change does to an order.

    Raises InvalidChange, TooEarly, TooLate, RefundTooLarge or Conflict where it cannot be made.
    """
    before = facts.content
    after = _edited(before, edits, max([facts.last_line, *(line.number for line in before.lines)]))
    _check(before, after, facts)
    released = _released(before, after, facts)
    elsewhere = _goes_elsewhere(before, after)
    waiting = [share for share in facts.shares if share.stage is not Stage.LEFT]
    stops = [share for share in waiting if elsewhere or share.fulfilment_id in {r.fulfilment_id for r in released}]
    staying = {share.fulfilment_id: _without(share, released) for share in stops}
    ships_from = tuple(dict.fromkeys(a.warehouse for share in waiting for a in share.allocations))
    return Effects(
        before=before,
        after=after,
        lines=_line_effects(before.lines, after.lines),
        money=_money(before, after, facts),
        stock=released,
        labels=tuple(
            LabelEffect(share.fulfilment_id, share.number, replaced=bool(staying[share.fulfilment_id]))
            for share in stops
            if share.stage is Stage.LABELLED
        ),
        stops=tuple(share.fulfilment_id for share in stops),
        promised_before=facts.promised_at,
        promised_after=_promise(before, after, facts),
        ships_from=ships_from,
        routed_to=ships_from,
        staying=staying,
    )


def rerouted(effects: Effects, facts: Facts, reserved: Sequence[Allocation], promised_at: datetime | None) -> Effects:
    """The same, with everything that is still in warehouses shipped from others instead. No parcel may have a label."""
    waiting = (share for share in facts.shares if share.fulfilment_id in effects.staying)
    released = tuple(
        Released(share.fulfilment_id, share.number, a.line, a.sku, a.warehouse, a.quantity)
        for share in waiting
        for a in share.allocations
    )
    staying: dict[str, tuple[Allocation, ...]] = dict.fromkeys(effects.stops, ())
    return replace(effects, stock=released, reserved=tuple(reserved), staying=staying, promised_after=promised_at)


def said(effects: Effects) -> str:
    """The line of the timeline. The address, which is personal, is not quoted."""
    if effects.parcel is not None:
        return effects.parcel.said
    before, after, parts = effects.before, effects.after, []
    for line in effects.lines:
        more = line.quantity_after - line.quantity_before
        units = f"{abs(more)} × {line.sku} {'more' if more > 0 else 'less'}"
        parts.append(units if more else f"another price for {line.sku}")
    if before.shipping_address != after.shipping_address:
        parts.append("another address")
    if before.shipping_service != after.shipping_service:
        parts.append(f"{after.shipping_service} instead of {before.shipping_service}")
    if before.shipping_charge != after.shipping_charge:
        parts.append("another shipping charge")
    if effects.reserved:
        parts.append(f"shipped from {' and '.join(effects.routed_to)} instead of {' and '.join(effects.ships_from)}")
    other = effects.money.credited or effects.money.invoiced
    owed = f" It comes to {Money(after.total, after.currency)} now." if other else ""
    return f"The order was changed: {', '.join(parts)}.{owed}"


def _edited(before: Content, edits: Edits, last: int) -> Content:
    wanted = {edit.line: (index, edit) for index, edit in enumerate(edits.lines)}
    if len(wanted) < len(edits.lines):
        raise InvalidChange("A line is named twice.", field="lines")
    known = {line.number for line in before.lines}
    for number, (index, _) in wanted.items():
        if number not in known:
            raise InvalidChange(f"The order has no line {number}.", field=f"lines[{index}].line")
    lines = (_line(line, *wanted[line.number]) if line.number in wanted else line for line in before.lines)
    return replace(
        before,
        lines=(*(line for line in lines if line.quantity), *_new_lines(edits, last)),
        shipping_address=edits.shipping_address or before.shipping_address,
        shipping_service=edits.shipping_service or before.shipping_service,
        shipping_charge=before.shipping_charge if edits.shipping_charge is None else edits.shipping_charge,
    )


def _line(line: Line, index: int, edit: LineEdit) -> Line:
    units = line.quantity if edit.quantity is None else edit.quantity
    changed = replace(
        line,
        quantity=units,
        unit_price=line.unit_price if edit.unit_price is None else edit.unit_price,
        discount=line.discount * units // line.quantity if edit.discount is None else edit.discount,
        tax=line.tax * units // line.quantity if edit.tax is None else edit.tax,
    )
    if changed.total < 0:
        raise InvalidChange(f"Line {line.number} would come to less than nothing.", field=f"lines[{index}].discount")
    return changed


def _new_lines(edits: Edits, last: int) -> Iterator[Line]:
    for index, new in enumerate(edits.add):
        line = Line(last + 1 + index, new.sku, new.quantity, new.unit_price, new.discount, new.tax, new.parts)
        if line.total < 0:
            raise InvalidChange(f"{new.sku} would come to less than nothing.", field=f"add[{index}].discount")
        yield line


def more_units(before: Content, after: Content) -> dict[tuple[int, str], int]:
    """Units that ``after`` has and ``before`` has not, by line and SKU."""
    had, has = units_of(before), units_of(after)
    return {place: units - had.get(place, 0) for place, units in has.items() if units > had.get(place, 0)}


def units_of(content: Content) -> dict[tuple[int, str], int]:
    """What is taken from the shelves for an order, by line and SKU."""
    return {(line.number, sku): units for line in content.lines for sku, units in line.units.items()}


def _check(before: Content, after: Content, facts: Facts) -> None:
    """Raise what speaks against a change as a whole."""
    stage = facts.status.replace("_", " ")
    if before == after:
        raise InvalidChange("Nothing would be different.")
    if facts.status not in _PACKING | BEFORE_PACKING:
        raise TooLate(f"The order is {stage}: it can no longer be changed.")
    if any(share.stage is Stage.LEFT for share in facts.shares) and _goes_elsewhere(before, after):
        raise TooLate("Something of the order has left: neither address nor service can be changed any more.")
    if (before.lines, before.shipping_charge) == (after.lines, after.shipping_charge):
        return
    if facts.status is OrderStatus.ACCEPTED:
        raise TooEarly("The order is being reserved: its lines can be changed in a moment.")
    waits = facts.status is OrderStatus.AWAITING_STOCK
    if waits and any(one.held or one.taken for one in facts.payments) and more_units(before, after):
        raise TooEarly("The order is paid and waits for stock: more can be added once it is reserved again.")
    if facts.status in BEFORE_PACKING and facts.basis.captured:
        raise TooEarly("The order's payment is being looked at: its lines can be changed after that.")
    if facts.status is OrderStatus.SHIPPED and more_units(before, after):
        raise TooLate("Everything of the order has left: place another order for more.")
    _check_money(before, after, facts)


def _check_money(before: Content, after: Content, facts: Facts) -> None:
    if not after.lines or after.total <= 0:
        raise InvalidChange("That would leave nothing of the order: cancel it.")
    changed = {line.number for line in before.lines} - {line.number for line in after.lines if line in before.lines}
    for number in sorted(changed & facts.refunded_lines):
        raise Conflict(f"Units of line {number} were refunded: give back more of it by a refund.")
    if _money(before, after, facts).refund > facts.refundable:
        most = Money(facts.refundable, before.currency)
        raise RefundTooLarge(f"Only {most} of the order's money is left to refund.")


def _money(before: Content, after: Content, facts: Facts) -> MoneyEffect:
    return money_effect(before.total, after.total, before.currency, facts.paid)


def _goes_elsewhere(before: Content, after: Content) -> bool:
    """Whether a label of before is good for nothing any more."""
    return (before.shipping_address, before.shipping_service) != (after.shipping_address, after.shipping_service)


def _released(before: Content, after: Content, facts: Facts) -> tuple[Released, ...]:
    """Units that are not shipped any more: first those without a place, then of parcels without a label, last first."""
    kept = {line.number: line.units for line in after.lines}
    waiting = sorted(
        (share for share in facts.shares if share.stage is not Stage.LEFT),
        key=lambda share: (share.stage is Stage.LABELLED, -share.number),
    )
    found: list[Released] = []
    for line in before.lines:
        for sku, units in line.units.items():
            less = max(0, units - kept.get(line.number, {}).get(sku, 0))
            less -= min(less, units - sum(a.quantity for a in _of(facts.shares, line.number, sku)))
            for share in waiting:
                for a in _of([share], line.number, sku):
                    quantity = min(less, a.quantity)
                    less -= quantity
                    if quantity:
                        place = (share.fulfilment_id, share.number, line.number, sku, a.warehouse)
                        found.append(Released(*place, quantity))
            if less:
                raise TooLate(f"{less} × {sku} of line {line.number} left already: give the money back by a refund.")
    return tuple(found)


def _of(shares: Sequence[Share], line: int, sku: str) -> Iterator[Allocation]:
    return (a for share in shares for a in share.allocations if (a.line, a.sku) == (line, sku))


def _without(share: Share, released: Sequence[Released]) -> tuple[Allocation, ...]:
    gone = {(r.line, r.sku): r.quantity for r in released if r.fulfilment_id == share.fulfilment_id}
    left = (replace(a, quantity=a.quantity - gone.get((a.line, a.sku), 0)) for a in share.allocations)
    return tuple(a for a in left if a.quantity)


def _line_effects(before: Sequence[Line], after: Sequence[Line]) -> tuple[LineEffect, ...]:
    kept, found = {line.number: line for line in after}, []
    for line in before:
        now = kept.get(line.number)
        if now != line:
            quantity, total = (0, 0) if now is None else (now.quantity, now.total)
            found.append(LineEffect(line.number, line.sku, line.quantity, quantity, line.total, total))
    known = {line.number for line in before}
    new = (line for line in after if line.number not in known)
    return (*found, *(LineEffect(line.number, line.sku, 0, line.quantity, 0, line.total) for line in new))


def _promise(before: Content, after: Content, facts: Facts) -> datetime | None:
    """The warehouse's part stays as it was promised, unless that is past; the carrier's is the new service's."""
    promised = facts.promised_at
    if promised is None or before.shipping_service == after.shipping_service:
        return promised
    leaves = promised - timedelta(days=carrier_days(before.shipping_service))
    if leaves < facts.basis.at and facts.leaves_anew is not None:
        leaves = facts.leaves_anew
    return leaves + timedelta(days=carrier_days(after.shipping_service))
