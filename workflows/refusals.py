"""How the refusal of an update becomes an error of the domain again, on the caller's side."""

from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from domain.errors import (
    AlreadyPlaced,
    Conflict,
    InvalidClaim,
    InvalidExchange,
    InvalidRefund,
    InvalidReturn,
    KeyReused,
    MoreThanSent,
    NotEnoughUnits,
    RefundTooLarge,
    TooLate,
    WaybillError,
)

_ANSWERS: dict[str, type[WaybillError]] = {
    kind.code: kind
    for kind in (
        *(Conflict, KeyReused, TooLate, RefundTooLarge, AlreadyPlaced),
        *(InvalidReturn, InvalidClaim, InvalidExchange, InvalidRefund),
    )
}


def refusal_error(error: WorkflowUpdateFailedError) -> WaybillError:
    """What a workflow of a case answered, as its caller is told."""
    cause = error.cause
    if not isinstance(cause, ApplicationError):
        return TooLate("It ended meanwhile.")
    field, faults = (*cause.details, None, [])[:2]
    if cause.type == NotEnoughUnits.code:
        return NotEnoughUnits([(int(where[len("lines[") : -1]), text) for where, text in faults])
    if cause.type == MoreThanSent.code:
        return MoreThanSent([(where, text) for where, text in faults])
    return _ANSWERS.get(cause.type or "", TooLate)(cause.message, field=field)
