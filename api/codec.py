"""The codec endpoint: lets the Temporal UI show what is encrypted. It decodes, never encodes, and keeps a log.

The UI sends no credentials of its own, so the token is in the address; browsers are kept to the UI's origin.
"""

import hmac
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Header, Request, Response
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payloads

from api.errors import BadRequest
from api.services import Services, Wired
from db import audit
from domain.errors import NotFound

MAX_BYTES = 16_000_000
"""of a request: the UI sends a page of a history at once"""

router = APIRouter(prefix="/codec", include_in_schema=False)

_KEY_ID = "encryption-key-id"


@router.options("/{token}/decode")
async def preflight(token: str, request: Request, wired: Wired) -> Response:
    """Tell a browser whether a page of the caller's origin may ask."""
    _require(token, wired)
    headers = _cors(request, wired) | {
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "content-type, x-namespace",
        "Access-Control-Max-Age": "600",
    }
    return Response(status_code=204, headers=headers)


@router.post("/{token}/decode")
async def decode(
    token: str, request: Request, wired: Wired, x_namespace: Annotated[str, Header(max_length=200)] = ""
) -> Response:
    """Decrypt payloads, and write down that somebody did."""
    _require(token, wired)
    try:
        wanted = Parse(await request.body(), Payloads())
    except (ParseError, DecodeError, UnicodeDecodeError) as error:
        raise BadRequest("The body is not Temporal's payloads as JSON.") from error
    keys = sorted({p.metadata[_KEY_ID].decode("ascii", "replace") for p in wanted.payloads if _KEY_ID in p.metadata})
    opened = await wired.decode(wanted.payloads)
    async with wired.database.transaction() as connection:
        await audit.record_decode(
            connection,
            actor=request.client.host if request.client else "unknown",
            namespace=x_namespace,
            origin=request.headers.get("origin", "")[:200],
            payloads=len(wanted.payloads),
            key_ids=",".join(keys)[:500],
        )
    body = MessageToJson(Payloads(payloads=opened))
    return Response(body, media_type="application/json", headers=_cors(request, wired))


def _require(token: str, wired: Services) -> None:
    if not hmac.compare_digest(token.encode("utf-8", "replace"), wired.codec_token.encode()):
        raise NotFound("page", "codec")


def _cors(request: Request, wired: Services) -> dict[str, str]:
    ui = urlsplit(wired.temporal_ui)
    origin = f"{ui.scheme}://{ui.netloc}"
    allowed = {"Access-Control-Allow-Origin": origin} if request.headers.get("origin") == origin else {}
    return {"Vary": "Origin", **allowed}
