"""Refusals in the vendor's words. Source: docs.stripe.com/api/errors and docs.stripe.com/error-codes."""

from typing import Any

from integrations.sandbox.provider import Answer, Call, FaultAnswer, Refused

_WORDING = {
    401: ("invalid_request_error", None, "Invalid API Key provided."),
    402: ("card_error", "card_declined", "Your card was declined."),
    403: ("invalid_request_error", None, "The provided key does not have access to this resource."),
    404: ("invalid_request_error", "resource_missing", "No such resource."),
    409: ("invalid_request_error", "lock_timeout", "This object cannot be accessed right now; try again shortly."),
    429: ("invalid_request_error", "rate_limit", "Request rate limit exceeded."),
}
_BROKEN = ("api_error", None, "An unknown error occurred.")


def error_answer(
    status: int,
    kind: str,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    **extra: Any,
) -> Answer:
    """The error body: ``kind`` is its ``type``; absent fields are left out, as the vendor does."""
    error: dict[str, Any] = {"type": kind, "message": message}
    if code is not None:
        error |= {"code": code, "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"}
    if param is not None:
        error["param"] = param
    return Answer(status=status, body={"error": error | extra})


def invalid(message: str, *, code: str | None = None, param: str | None = None) -> Refused:
    """400 for a parameter that makes no sense; not kept under the caller's key."""
    return Refused(error_answer(400, "invalid_request_error", message, code=code, param=param))


def unexpected(message: str, *, code: str | None, param: str | None = None, **extra: Any) -> Refused:
    """400 for what the object's state forbids; found while executing, so kept under the caller's key."""
    answer = error_answer(400, "invalid_request_error", message, code=code, param=param, **extra)
    return Refused(answer, executed=True)


def missing(kind: str, object_id: str, *, status: int = 404, param: str = "id") -> Refused:
    """No such object."""
    message = f"No such {kind}: '{object_id}'"
    return Refused(error_answer(status, "invalid_request_error", message, code="resource_missing", param=param))


def unknown_path(call: Call) -> Answer:
    """404 for a path that the vendor does not have, or that the sandbox does not stand in for."""
    path = call.path.removeprefix("/stripe")
    message = f"Unrecognized request URL ({call.method}: {path})."
    return error_answer(404, "invalid_request_error", message)


def fault_answer(_: Call, fault: FaultAnswer) -> Answer:
    """An error that a dial asks for."""
    kind, code, message = _WORDING.get(fault.status, _BROKEN)
    answer = error_answer(fault.status, kind, fault.message or message, code=fault.code or code)
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return Answer(status=answer.status, body=answer.body, headers=headers)


def money(amount: int, currency: str) -> str:
    """An amount of minor units as the vendor words it: ``$20.00``, ``€20.00``, ``20.00 pln``, ``500 jpy``."""
    if currency in ("jpy", "krw", "vnd", "clp", "isk"):
        return f"{amount} {currency}"
    plain = f"{amount // 100}.{amount % 100:02d}"
    sign = {"usd": "$", "eur": "€", "gbp": "£"}.get(currency)
    return f"{sign}{plain}" if sign else f"{plain} {currency}"
