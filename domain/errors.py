"""The tree of business errors.

```
WaybillError                     code, HTTP status, the field at fault
├── InvalidOrder            422  the payload is well-formed but says something impossible
│   ├── UnknownSku
│   ├── WrongTotal
│   └── UnknownCurrency
├── InvalidRefund           422  the refund says something impossible
├── InvalidChange           422  the change of an order says something impossible, or nothing
├── InvalidReturn           422  the return says something impossible
├── InvalidClaim            422  the claim says something impossible
├── InvalidExchange         422  the exchange says something impossible
├── NotFound                404  no such order, fulfilment, exception, SKU, warehouse
├── Conflict                409
│   ├── AlreadyPlaced            same channel and reference, another body
│   ├── KeyReused                same idempotency key, another body
│   ├── TooLate                  the order's stage no longer allows it
│   ├── OnHold                   a hold stands: nothing leaves before it is released
│   ├── NotEnoughUnits           a level has not the units that an entry takes
│   ├── MoreThanSent             a receipt of a transfer or return has more than is on the way
│   ├── MoreThanDelivered        a return has more than was delivered and not returned
│   ├── MoreThanShipped          a claim has more than was shipped and neither returned nor claimed
│   ├── NotReturnable            the rules do not take this SKU back
│   ├── WindowOver               it was delivered too long ago to be returned
│   ├── CannotBeBundle           a SKU that has stock, is waited for, or is a part of a bundle
│   ├── OrderMoved               the order is not what a preview of its change rested on
│   ├── PaymentMissing           a change costs more, and does not say how that is paid
│   ├── ChangeAwaited            another change of the order waits for its payment
│   ├── ChangeWithdrawn          the customer did not pay for the change
│   ├── NotInStock               units that a change adds are not there
│   ├── UnknownPortal            no worker has been given a portal of that name
│   ├── RefundTooLarge           more than was captured and not given back
│   ├── UnitsReplaced            a refund for units that a claim has had replaced
│   ├── Disputed                 hand-over refused: the customer's bank disputes the payment
│   └── NotPaid                  hand-over refused: the money could not be captured
├── Unauthorised            401
├── Forbidden               403  the key lacks a scope
├── PayloadTooLarge         413
└── Unavailable             503  try again; carries seconds to wait
```

Each carries a stable ``code`` (never changed once published) and its HTTP status; the API renders them as RFC 9457
problem details and the guide lists them.
"""

from collections.abc import Sequence


class WaybillError(Exception):
    """Something the caller can understand and act on.

    ``field`` names the part of the request at fault as a dotted path (``lines[0].sku``), or is None.
    """

    code = "error"
    status = 500
    title = "Something went wrong"

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


class InvalidOrder(WaybillError):
    """The order says something impossible."""

    code = "invalid_order"
    status = 422
    title = "The order is not valid"


class UnknownSku(InvalidOrder):
    """A line names a SKU that the catalogue does not have."""

    code = "unknown_sku"
    title = "Unknown SKU"

    def __init__(self, sku: str, *, field: str | None = None) -> None:
        super().__init__(f"The catalogue has no active SKU {sku!r}. Create it first or correct the line.", field=field)


class WrongTotal(InvalidOrder):
    """The total given is not the sum of lines and shipping."""

    code = "wrong_total"
    title = "The total does not add up"


class UnknownCurrency(InvalidOrder):
    """The currency is not an ISO 4217 code."""

    code = "unknown_currency"
    title = "Unknown currency"

    def __init__(self, currency: str, *, field: str = "currency") -> None:
        super().__init__(f"{currency!r} is not a currency of ISO 4217.", field=field)


class InvalidRefund(WaybillError):
    """The refund says something impossible."""

    code = "invalid_refund"
    status = 422
    title = "The refund is not valid"


class InvalidChange(WaybillError):
    """The change of an order says something impossible, or nothing."""

    code = "invalid_change"
    status = 422
    title = "The change is not valid"


class InvalidReturn(WaybillError):
    """The return says something impossible."""

    code = "invalid_return"
    status = 422
    title = "The return is not valid"


class InvalidClaim(WaybillError):
    """The claim says something impossible."""

    code = "invalid_claim"
    status = 422
    title = "The claim is not valid"


class InvalidExchange(WaybillError):
    """The exchange says something impossible."""

    code = "invalid_exchange"
    status = 422
    title = "The exchange is not valid"


class NotFound(WaybillError):
    """What was asked for does not exist."""

    code = "not_found"
    status = 404
    title = "Not found"

    def __init__(self, what: str, key: str) -> None:
        super().__init__(f"There is no {what} {key!r}.")


class Conflict(WaybillError):
    """The request contradicts what is already so."""

    code = "conflict"
    status = 409
    title = "Conflict"


class AlreadyPlaced(Conflict):
    """The channel has already placed an order under this reference, with another body."""

    code = "already_placed"
    title = "Another order has this reference"


class KeyReused(Conflict):
    """The idempotency key was used for another request."""

    code = "idempotency_key_reused"
    title = "The idempotency key was used for another request"


class TooEarly(Conflict):
    """The order or fulfilment has not come to the stage in which this can be done."""


class TooLate(Conflict):
    """The order or fulfilment has passed the stage in which this could be done."""

    code = "too_late"
    title = "The order has moved on"


class NotPaid(Conflict):
    """Hand-over is refused because the money could not be captured."""

    code = "not_paid"
    title = "The payment could not be captured"


class OnHold(Conflict):
    """A hold stands on the order or the fulfilment."""

    code = "on_hold"
    title = "The order is held"


class Disputed(Conflict):
    """Hand-over is refused because a dispute of the payment waits for a person's decision."""

    code = "disputed"
    title = "The payment is disputed"


class OrderMoved(Conflict):
    """An order is not any more what a preview of its change has rested on; the detail says what moved."""

    code = "order_moved"
    title = "The order has moved since the preview"


class PaymentMissing(Conflict):
    """The change costs more than is held, and it does not say how the customer pays the difference."""

    code = "payment_missing"
    title = "Say how the difference is paid"


class ChangeAwaited(Conflict):
    """Another change of the order waits for the customer's payment."""

    code = "change_awaits_payment"
    title = "Another change waits for its payment"


class ChangeWithdrawn(Conflict):
    """The change waited for the customer's payment, which did not come."""

    code = "change_withdrawn"
    title = "The change was withdrawn"


class NotInStock(Conflict):
    """Units that a change adds are not there."""

    code = "not_in_stock"
    title = "There are not enough units"


class RefundTooLarge(Conflict):
    """More than was captured, is not given back, and is not promised to another refund."""

    code = "refund_too_large"
    title = "That much cannot be refunded"


class UnitsReplaced(Conflict):
    """A refund is for units in whose place a claim has sent others."""

    code = "units_replaced"
    title = "These units were replaced"


class NotEnoughUnits(Conflict):
    """Lines of an entry take units that are promised, or not there. ``lines`` has the index and the reason of each."""

    code = "not_enough_units"
    title = "The level has not enough units"

    def __init__(self, lines: Sequence[tuple[int, str]]) -> None:
        super().__init__(lines[0][1], field=f"lines[{lines[0][0]}]")
        self.lines = tuple(lines)


class MoreThanSent(Conflict):
    """A receipt has more than is on the way, an inspection more than is there. ``faults``: field and reason of each."""

    code = "more_than_sent"
    title = "More was received than is on the way"

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        super().__init__(faults[0][1], field=faults[0][0])
        self.faults = tuple(faults)


class MoreThanDelivered(Conflict):
    """More is to be returned than was delivered and not returned. ``faults`` has the field and the reason of each."""

    code = "more_than_delivered"
    title = "More is to be returned than was delivered"

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        super().__init__(faults[0][1], field=faults[0][0])
        self.faults = tuple(faults)


class MoreThanShipped(Conflict):
    """More is claimed than was shipped and neither returned nor claimed. ``faults``: field and reason of each."""

    code = "more_than_shipped"
    title = "More is claimed than was shipped"

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        super().__init__(faults[0][1], field=faults[0][0])
        self.faults = tuple(faults)


class NotReturnable(Conflict):
    """The channel's rules do not take this SKU back."""

    code = "not_returnable"
    title = "This cannot be returned"


class WindowOver(Conflict):
    """It was delivered too long ago to be returned."""

    code = "return_window_over"
    title = "It is too late to return this"


class CannotBeBundle(Conflict):
    """The SKU has stock of its own, is waited for, or is a part of a bundle."""

    code = "cannot_be_bundle"
    title = "The SKU cannot be a bundle"


class UnknownPortal(Conflict):
    """No worker has been given a portal of this name."""

    code = "unknown_portal"
    title = "Unknown portal"

    def __init__(self, portal: str) -> None:
        super().__init__(
            f"No worker knows a portal {portal!r}. Give it to one in PORTALS first, or correct the name.",
            field="portal",
        )


class Unauthorised(WaybillError):
    """No valid credential came with the request."""

    code = "unauthorised"
    status = 401
    title = "A valid API key is needed"


class Forbidden(WaybillError):
    """The credential lacks the scope."""

    code = "missing_scope"
    status = 403
    title = "The API key lacks a scope"


class PayloadTooLarge(WaybillError):
    """The request body is larger than accepted."""

    code = "payload_too_large"
    status = 413
    title = "The body is too large"


class Unavailable(WaybillError):
    """A part that is needed does not answer now; the same request may be repeated after ``retry_after`` seconds."""

    code = "unavailable"
    status = 503
    title = "Not available right now"

    def __init__(self, detail: str, *, retry_after: int = 5) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
