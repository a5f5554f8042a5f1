"""Every error as RFC 9457 problem details: `application/problem+json` with a stable code."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from api.errors import Fault, InvalidJson, InvalidRequest, OfHttp, UnsupportedMediaType
from db.faults import FAULTS, is_away
from domain.errors import (
    MoreThanDelivered,
    MoreThanSent,
    MoreThanShipped,
    NotEnoughUnits,
    PayloadTooLarge,
    Unauthorised,
    Unavailable,
    WaybillError,
)

MEDIA_TYPE = "application/problem+json"
REQUEST_ID = "waybill.request_id"
"""where the request's id is in the ASGI scope"""

_LOG = structlog.get_logger("waybill.api")


class Detail(BaseModel):
    """One fault of several."""

    field: str | None = Field(description="Where, as a dotted path: `lines[0].sku`.")
    detail: str = Field(description="What is wrong, in a sentence.")
    code: str = Field(description="A stable code.")


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:waybill:problem:unknown_sku",
                    "title": "Unknown SKU",
                    "status": 422,
                    "detail": "The catalogue has no active SKU 'MUG-03'. Create it first or correct the line.",
                    "code": "unknown_sku",
                    "field": "lines[0].sku",
                    "errors": [],
                    "instance": "/v1/orders",
                    "request_id": "5f0c3f5e9d7a4f1f8a0b7c1d2e3f4a5b",
                }
            ]
        }
    )

    type: str = Field(description="The kind of problem as a URN that ends with `code`.")
    title: str = Field(description="The kind of problem in a few words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What went wrong this time, in a sentence for people.")
    code: str = Field(description="A stable code for programs; the guide lists all of them.")
    field: str | None = Field(description="The part of the request at fault, as a dotted path; null if none is.")
    errors: list[Detail] = Field(description="All faults, where there are several.")
    instance: str = Field(description="The path that was asked for.")
    request_id: str = Field(description="Names this request in the logs.")


Draw = Callable[[Request, WaybillError], Response | None]
"""an error as a page; None where it is to be told as a problem"""


def install(app: FastAPI, draw: Draw) -> None:
    """Make ``app`` answer every error with a problem, but for those that ``draw`` makes a page of."""
    app.state.draw = draw
    app.exception_handler(WaybillError)(_business)
    app.exception_handler(RequestValidationError)(_malformed)
    app.exception_handler(HTTPException)(_http)
    for fault in FAULTS:
        app.exception_handler(fault)(_database)


def problem_response(request: Request, error: WaybillError, *, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to ``error``."""
    app = request.scope.get("app")  # what surrounds an application serves without it, too
    drawn: Response | None = None if app is None else app.state.draw(request, error)
    if drawn is not None:
        return drawn
    problem = Problem(
        type=f"urn:waybill:problem:{error.code}",
        title=error.title,
        status=error.status,
        detail=_printable(error.detail),
        code=error.code,
        field=None if error.field is None else _printable(error.field),
        errors=[Detail(field=_printable(f.field or "") or None, detail=f.detail, code=f.code) for f in _faults(error)],
        instance=_printable(request.url.path),
        request_id=str(request.scope.get(REQUEST_ID, "")),
    )
    return JSONResponse(
        problem.model_dump(),
        status_code=error.status,
        headers={**_headers(error), **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def _faults(error: WaybillError) -> Sequence[Fault]:
    if isinstance(error, NotEnoughUnits):
        return [Fault(f"lines[{index}]", text, error.code) for index, text in error.lines]
    if isinstance(error, MoreThanSent | MoreThanDelivered | MoreThanShipped):
        return [Fault(where, text, error.code) for where, text in error.faults]
    return error.faults if isinstance(error, InvalidRequest) else ()


def internal_error(request: Request) -> Response:
    """The answer to what nobody expected. It tells nothing but the request's id."""
    return problem_response(request, _Internal("The request failed on our side; the request id finds it in the logs."))


class _Internal(WaybillError):
    code = "internal_error"


def _headers(error: WaybillError) -> dict[str, str]:
    if isinstance(error, Unavailable):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, Unauthorised):
        return {"WWW-Authenticate": 'Bearer realm="waybill"'}
    return {}


async def _business(request: Request, error: WaybillError) -> Response:
    return problem_response(request, error)


async def _malformed(request: Request, error: RequestValidationError) -> Response:
    return problem_response(request, _explain(request, error.errors()))


def _explain(request: Request, faults: Sequence[Any]) -> WaybillError:
    if any(fault["type"] == "json_invalid" for fault in faults):
        return InvalidJson("The body is not valid JSON.")
    whole_body = any(fault["loc"] == ("body",) for fault in faults)
    if whole_body and request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return UnsupportedMediaType("Send the body as JSON, with the header Content-Type: application/json.")
    return InvalidRequest([Fault(_path(fault["loc"]), _words(fault), _code(fault)) for fault in faults])


def _path(location: Sequence[str | int]) -> str | None:
    """``("body", "lines", 0, "sku")`` as ``lines[0].sku``."""
    path = ""
    for part in location[1:]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or None


def _words(fault: Mapping[str, Any]) -> str:
    match fault["type"]:
        case "extra_forbidden":
            return "There is no such field."
        case "missing":
            return "This field is required."
        case _:
            message = str(fault["msg"]).removeprefix("Value error, ")
            return message if message.endswith(".") else f"{message}."


def _code(fault: Mapping[str, Any]) -> str:
    match fault["type"]:
        case "extra_forbidden":
            return "unknown_field"
        case "missing":
            return "missing_field"
        case _:
            return "invalid_field"


async def _http(request: Request, error: HTTPException) -> Response:
    return problem_response(request, _of_status(error), headers=error.headers)


def _of_status(error: HTTPException) -> WaybillError:
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return PayloadTooLarge(str(error.detail))
    return OfHttp(status, _STATUS_DETAILS.get(status, f"{status.phrase}."))


_STATUS_DETAILS = {
    HTTPStatus.BAD_REQUEST: "The body cannot be read.",
    HTTPStatus.NOT_FOUND: "There is nothing at this address.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not know the method; the header Allow lists those it knows.",
}


async def _database(request: Request, error: Exception) -> Response:
    if not is_away(error):
        raise error
    _LOG.warning("database_away", error=type(error).__name__)
    return problem_response(request, Unavailable("The database does not answer right now.", retry_after=2))


def _printable(text: str) -> str:
    """``text`` without what cannot be sent as UTF-8."""
    return text.encode("utf-8", "replace").decode()
