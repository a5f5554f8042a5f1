"""EasyPost as a `Carrier`.

EasyPost has no idempotency keys. Creating a shipment costs nothing; buying its label does, so a look at the shipment
comes before every purchase, and whatever leaves the outcome open is raised as `OutcomeUnknown`: the next attempt looks
again. A shipment holds one label at most, and EasyPost itself refuses a second purchase (SHIPMENT.POSTAGE.EXISTS).
"""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import httpx2

from domain.inbox import ProviderEvent
from domain.orders import Address
from domain.shipments import LabelFormat, Shipment, ShipmentRequest, Tracking
from integrations.breaker import Breaker
from integrations.carriers.carrier import LabelFile
from integrations.carriers.easypost import objects
from integrations.carriers.easypost.objects import NAME, Json
from integrations.carriers.easypost.webhooks import read_event, read_tracking
from integrations.errors import OutcomeUnknown, ProviderError, Rejected
from integrations.http import TOTAL, Answer, Caller, Request, failure, require_base_url, safe_id, unreadable, word
from integrations.observing import Observe, unobserved
from integrations.signatures import verify_easypost

PAGE = 100
MOST_PAGES = 25

_BOUGHT_ALREADY = "SHIPMENT.POSTAGE.EXISTS"
# The carrier was asked and has not answered yet: the label may be bought any moment.
_STILL_OPEN = frozenset({"SHIPMENT.PURCHASE.IN_PROGRESS", "SHIPMENT.POSTAGE.TIMED_OUT", "SHIPMENT.POSTAGE.NO_RESPONSE"})
_REFUND_ASKED = frozenset({"submitted", "refunded"})
_FILES = {
    LabelFormat.PNG: ("image/png", b"\x89PNG\r\n\x1a\n"),
    LabelFormat.PDF: ("application/pdf", b"%PDF-"),
    LabelFormat.ZPL: ("application/zpl", b"^XA"),
}


class EasyPost:
    """The adapter. ``base_url`` ends in ``/v2``; ``timeout`` bounds each call. ``client`` stays the caller's to close.

    With no ``webhook_secrets`` every webhook is refused. Raises ValueError for a base URL or key that cannot work.
    """

    name = NAME

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        webhook_secrets: Sequence[str],
        client: httpx2.AsyncClient,
        observe: Observe = unobserved,
        timeout: timedelta = TOTAL,
        breaker: Breaker | None = None,
    ) -> None:
        if not api_key:
            raise ValueError("easypost: an API key is needed")
        self._base = require_base_url(NAME, base_url)
        basic = base64.b64encode(f"{api_key}:".encode()).decode()
        self._headers = {"Authorization": f"Basic {basic}"}
        self._secrets = tuple(webhook_secrets)
        self._caller = Caller(
            provider=NAME, client=client, breaker=breaker or Breaker(NAME), timeout=timeout, observe=observe
        )

    async def create(self, request: ShipmentRequest) -> Shipment:
        """Create a shipment and get its rates."""
        body = objects.shipment_body(request)
        return objects.shipment(await self._call("create", "POST", "/shipments", json=body))

    async def find(self, our_reference: str, *, since: datetime) -> list[Shipment]:
        """Shipments that carry our reference, created at or after ``since``, newest first.

        Raises Rejected where more than 2500 shipments would have to be read: then a person must look.
        """
        found: dict[str, Json] = {}
        # Whether `purchased=false` means "all" or "only those not bought" is told differently; both lists cover either.
        for purchased in ("true", "false"):
            async for obj in self._list(since, purchased=purchased):
                if obj.get("reference") == our_reference:
                    found[objects.field(obj, "id", str)] = obj
        newest_first = sorted(found.values(), key=lambda obj: str(obj.get("created_at")), reverse=True)
        return [objects.shipment(obj) for obj in newest_first]

    async def retrieve(self, reference: str) -> Shipment:
        """What EasyPost says now."""
        return objects.shipment(await self._shipment("retrieve", reference))

    async def buy(self, reference: str, rate: str, *, unseen: bool = False) -> Shipment:
        """Buy the label for a rate, after a look unless it is ``unseen``. One already bought is answered as it is."""
        before = None if unseen else await self.retrieve(reference)
        if before is not None and before.label is not None:
            return before
        try:
            bought = await self._call(
                "buy", "POST", f"/shipments/{safe_id(NAME, reference)}/buy", json={"rate": {"id": rate}}
            )
        except Rejected as refusal:
            if refusal.code != _BOUGHT_ALREADY:
                raise
            return await self._bought(reference)
        shipment = objects.shipment(bought)
        if shipment.label is None:
            raise OutcomeUnknown(NAME, "the purchase was answered without a label")
        return shipment

    async def void(self, reference: str) -> Shipment:
        """Ask for the label's price back. One without a label, or asked for already, is answered as it is."""
        before = await self.retrieve(reference)
        if before.label is None or before.refund_status in _REFUND_ASKED:
            return before
        path = f"/shipments/{safe_id(NAME, reference)}/refund"
        return objects.shipment(await self._call("void", "POST", path))

    async def label(self, reference: str, format: LabelFormat) -> LabelFile:
        """The label in the wanted format. Raises Rejected where none has been bought."""
        obj = await self._shipment("label", reference)
        if objects.shipment(obj).label is None:
            raise Rejected(NAME, "no label has been bought", status=409, code="no_label")
        url = objects.label_url(obj, format) or await self._convert(reference, format)
        return await self._download(url, format)

    async def track(self, tracker: str) -> Tracking:
        """Where the parcel is now, with all events so far."""
        return objects.tracking(await self._call("track", "GET", f"/trackers/{safe_id(NAME, tracker)}"))

    async def start_tracking(self, tracking_code: str, carrier: str) -> Tracking:
        """Follow a parcel whose label came without a tracker; the same code gives the same tracker."""
        body = {"tracker": {"tracking_code": tracking_code, "carrier": carrier}}
        return objects.tracking(await self._call("start_tracking", "POST", "/trackers", json=body))

    async def verify(self, address: Address) -> str | None:
        """What EasyPost's delivery verification says against an address; None if it passes."""
        body = {"address": objects.address_body(address), "verify": True}
        return objects.verification(await self._call("verify", "POST", "/addresses", json=body))

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], *, path: str, now: datetime) -> ProviderEvent:
        """Verify and read a webhook; ``path`` is that of the URL registered. Raises BadSignature or BadPayload."""
        verify_easypost(body, headers, secrets=self._secrets, path=path, now=now)
        return read_event(body)

    def parse_tracking(self, body: bytes) -> Tracking | None:
        """The tracking of a verified webhook body; None if it tells of something else. Raises BadPayload."""
        return read_tracking(body)

    async def _bought(self, reference: str) -> Shipment:
        shipment = await self.retrieve(reference)
        if shipment.label is None:
            raise OutcomeUnknown(NAME, "a label is said to exist and is not shown yet")
        return shipment

    async def _convert(self, reference: str, format: LabelFormat) -> str:
        path = f"/shipments/{safe_id(NAME, reference)}/label"
        obj = await self._call("convert", "GET", path, params={"file_format": format.value.upper()})
        url = objects.label_url(obj, format)
        if url is None:
            raise unreadable(NAME, f"no label as {format.value}")
        return url

    async def _download(self, url: str, format: LabelFormat) -> LabelFile:
        """The file behind a label's URL, fetched without our key: it lies with another host."""
        media_type, mark = _FILES[format]
        content = await self._caller.call(Request(operation="download", method="GET", url=url), _read_file)
        if mark not in content[:1024]:
            raise unreadable(NAME, f"the label's file is no {format.value}")
        return LabelFile(format, media_type, content)

    async def _shipment(self, operation: str, reference: str) -> Json:
        return await self._call(operation, "GET", f"/shipments/{safe_id(NAME, reference)}")

    async def _list(self, since: datetime, *, purchased: str) -> AsyncIterator[Json]:
        start = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        params = {"start_datetime": start, "page_size": str(PAGE), "purchased": purchased}
        for _ in range(MOST_PAGES):
            page = await self._call("find", "GET", "/shipments", params=params)
            shipments = objects.field(page, "shipments", list)
            for obj in shipments:
                if not isinstance(obj, dict):
                    raise unreadable(NAME, "a list's item")
                yield obj
            if not page.get("has_more") or not shipments:
                return
            params["before_id"] = objects.field(shipments[-1], "id", str)
        raise Rejected(NAME, f"find: more than {PAGE * MOST_PAGES} shipments", status=200, code="too_many")

    async def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Json | None = None,
    ) -> Json:
        request = Request(
            operation=operation,
            method=method,
            url=self._base + path,
            headers=self._headers,
            params=params,
            json=json,
        )
        return await self._caller.call(request, _read)


def _read(answer: Answer) -> Json:
    body = answer.json()
    if not answer.ok:
        raise _failure(answer, body)
    if body is None:
        raise unreadable(NAME, "not JSON")
    return body


def _read_file(answer: Answer) -> bytes:
    if not answer.ok:
        raise failure(NAME, answer, detail="label file")
    return answer.body


def _failure(answer: Answer, body: Json | None) -> ProviderError:
    """The error for a refusal, from codes, field names and ids: EasyPost's messages can quote addresses."""
    error = (body or {}).get("error")
    error = error if isinstance(error, dict) else {}
    code = word(error.get("code"))
    words = [code, *_fields(error), word(answer.headers.get("x-ep-request-uuid"))]
    detail = " ".join(w for w in words if w)
    if code in _STILL_OPEN:
        return OutcomeUnknown(NAME, f"HTTP {answer.status} {detail}")
    return failure(NAME, answer, detail=detail, code=code)


def _fields(error: Json) -> list[str | None]:
    errors = error.get("errors")
    found = errors if isinstance(errors, list) else []
    return [word(item.get("field")) for item in found[:5] if isinstance(item, dict)]
