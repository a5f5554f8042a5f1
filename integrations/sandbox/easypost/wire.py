"""The vendor's manner of writing: times, errors, private fields, reading of request bodies."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any

from integrations.sandbox.provider import Answer, Call, Object, Refused

MODE = "test"
NAME = "easypost"


def iso(at: float) -> str:
    """Unix seconds as the vendor writes an instant."""
    return _second(math.floor(at))


@lru_cache(maxsize=64)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def money(amount: Decimal, places: str = "0.01") -> str:
    """An amount as the vendor writes it: a string with two decimals (fees have five)."""
    return str(amount.quantize(Decimal(places), ROUND_HALF_UP))


def public(obj: Object) -> Object:
    """The object without the fields that only the sandbox knows (they begin with an underscore)."""
    return {name: value for name, value in obj.items() if not name.startswith("_")}


def error(status: int, code: str, message: str, errors: Sequence[Any] = ()) -> Answer:
    """An error as the vendor words it. The sandbox's own wording stands where no recorded one is known."""
    return Answer(status=status, body={"error": {"code": code, "message": message, "errors": list(errors)}})


def refused(status: int, code: str, message: str, errors: Sequence[Any] = ()) -> Refused:
    """The same as an exception: nothing is put on the books."""
    return Refused(error(status, code, message, errors))


def not_found() -> Refused:
    """404: the id is not on the books."""
    return refused(404, "NOT_FOUND", "The requested resource could not be found.")


def missing(field: str) -> Refused:
    """422: a required parameter is absent or blank."""
    errors = [{"field": field, "message": "cannot be blank"}]
    return refused(422, "PARAMETER.REQUIRED", "Missing required parameter.", errors)


def invalid(field: str, message: str) -> Refused:
    """422: a parameter makes no sense."""
    return refused(422, "PARAMETER.INVALID", "Invalid parameter.", [{"field": field, "message": message}])


def body_of(call: Call) -> Object:
    """The request's JSON object. Raises `Refused` (400) for anything else."""
    try:
        body = call.json()
    except ValueError as fault:
        raise refused(400, "BAD_REQUEST", "The request body is not valid JSON.") from fault
    if not isinstance(body, dict):
        raise refused(400, "BAD_REQUEST", "The request body is not a JSON object.")
    return body


def part(body: Object, field: str) -> Object:
    """A required object inside a body. Raises `Refused` (422) where it is absent, blank or no object."""
    value = body.get(field)
    if not value:
        raise missing(field)
    if not isinstance(value, dict):
        raise invalid(field, "must be an object")
    return value


def amount(value: object, field: str) -> Decimal:
    """A positive amount given as string or number. Raises `Refused` (422) for anything else."""
    try:
        number = Decimal(str(value))
    except ArithmeticError as fault:
        raise invalid(field, "is not a number") from fault
    if not number.is_finite() or number <= 0:
        raise invalid(field, "must be greater than zero")
    return number
