"""What buyers, issuers and the vendor's staff do elsewhere: controls to play their parts, and the 3-D Secure page.

- ``POST /control/stripe/payment_intents/{id}/pay`` ``{"payment_method": "pm_card_visa", "return_url"?}``
- ``POST /control/stripe/payment_intents/{id}/complete_action`` ``{"succeed": true}``
- ``POST /control/stripe/payment_intents/{id}/lapse``: the hold runs out now
- ``POST /control/stripe/payment_intents/{id}/dispute`` ``{"reason": "fraudulent", "inquiry"?: true}``
- ``POST /control/stripe/disputes/{id}/close`` ``{"status": "won"}`` (or ``lost``; of an inquiry ``warning_closed``)
- ``POST /control/stripe/refunds/{id}/settle`` ``{"status": "failed", "failure_reason"?}``
"""

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from integrations.sandbox.control import TEMPLATES, BadControl, guarded, read_body
from integrations.sandbox.provider import Answer, Object, Refused
from integrations.sandbox.stripe.charging import AUTHENTICATION_FAILED, Charging
from integrations.sandbox.stripe.disputes import OPEN, close_dispute, open_dispute
from integrations.sandbox.stripe.intents import Intents
from integrations.sandbox.stripe.refunds import Refunds
from integrations.sandbox.stripe.till import NAME, Cause, Till, public

Deed = Callable[[Object, dict[str, Any]], Answer | None]


def buyer_routes(till: Till, intents: Intents, charging: Charging, refunds: Refunds) -> Sequence[BaseRoute]:
    """The controls and pages, mounted at the root."""
    buyers = Buyers(till, intents, charging, refunds)
    intent, page = "/control/stripe/payment_intents/{id}", f"/{NAME}/pages/authenticate/{{id}}"
    table = [
        (f"{intent}/pay", "payment_intent", buyers.pay),
        (f"{intent}/complete_action", "payment_intent", buyers.complete_action),
        (f"{intent}/lapse", "payment_intent", buyers.lapse),
        (f"{intent}/dispute", "payment_intent", buyers.dispute),
        ("/control/stripe/disputes/{id}/close", "dispute", buyers.close_dispute),
        ("/control/stripe/refunds/{id}/settle", "refund", buyers.settle_refund),
    ]
    return [
        *(Route(path, guarded(buyers.control(kind, deed)), methods=["POST"]) for path, kind, deed in table),
        Route(page, guarded(buyers.show_page), methods=["GET"]),
        Route(page, guarded(buyers.answer_page), methods=["POST"]),
    ]


class Buyers:
    """The parts that others play."""

    def __init__(self, till: Till, intents: Intents, charging: Charging, refunds: Refunds) -> None:
        self._till, self._intents, self._charging, self._refunds = till, intents, charging, refunds
        self._pages = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)

    def control(self, kind: str, deed: Deed) -> Callable[[Request], Any]:
        """An endpoint that does the deed to the object in the path and shows what became of it."""

        async def endpoint(request: Request) -> Response:
            body = await read_body(request)
            return self._perform(kind, request.path_params["id"], deed, body)

        return endpoint

    def pay(self, intent: Object, body: dict[str, Any]) -> Answer | None:
        """The buyer chooses a card and confirms."""
        method, return_url = body.get("payment_method"), body.get("return_url")
        if not isinstance(method, str):
            raise BadControl(422, "payment_method is the id, test token or number of a card")
        return self._intents.pay(intent, method, Cause(), return_url=return_url)

    def complete_action(self, intent: Object, body: dict[str, Any]) -> Answer | None:
        """The cardholder passes or fails 3-D Secure."""
        succeed = body.get("succeed")
        if not isinstance(succeed, bool):
            raise BadControl(422, "succeed is true or false")
        if intent["status"] != "requires_action":
            raise BadControl(409, f"the payment intent is {intent['status']}, not requires_action")
        if succeed:
            return self._charging.authorise(intent, Cause())
        return self._charging.fail(intent, AUTHENTICATION_FAILED, Cause(), charge=False)

    def lapse(self, intent: Object, _: dict[str, Any]) -> None:
        """The hold runs out now."""
        if intent["status"] != "requires_capture":
            raise BadControl(409, f"the payment intent is {intent['status']}, not requires_capture")
        intent["_lapses_at"] = self._till.clock()
        self._till.save(intent)
        self._charging.lapse_due(intent["_lapses_at"])

    def dispute(self, intent: Object, body: dict[str, Any]) -> None:
        """The cardholder disputes what was captured."""
        charged = self._till.books.get("charge", intent["latest_charge"] or "")
        if charged is None or not charged["amount_captured"] or charged["disputed"]:
            raise BadControl(409, "nothing was captured, or it is disputed already")
        inquiry = body.get("inquiry", False)
        if not isinstance(inquiry, bool):
            raise BadControl(422, "inquiry is true or false")
        open_dispute(self._till, charged, str(body.get("reason", "fraudulent")), Cause(), inquiry=inquiry)

    def close_dispute(self, dispute: Object, body: dict[str, Any]) -> None:
        """The bank decides."""
        ends = ("warning_closed",) if dispute["status"].startswith("warning_") else ("won", "lost")
        if body.get("status") not in ends:
            raise BadControl(422, f"status is {' or '.join(ends)}")
        if dispute["status"] not in OPEN:
            raise BadControl(409, f"the dispute is {dispute['status']}")
        close_dispute(self._till, dispute, body["status"], Cause())

    def settle_refund(self, refund: Object, body: dict[str, Any]) -> None:
        """The refund succeeds, fails or is cancelled, even after it had succeeded."""
        if body.get("status") not in ("succeeded", "failed", "canceled"):
            raise BadControl(422, "status is succeeded, failed or canceled")
        if refund["status"] in ("failed", "canceled"):
            raise BadControl(409, f"the refund is {refund['status']}")
        if "failure_reason" in body:
            refund["failure_reason"] = body["failure_reason"]
        self._refunds.settle(refund, body["status"], Cause())

    async def show_page(self, request: Request) -> Response:
        """The page where a cardholder passes or fails 3-D Secure."""
        intent = self._load("payment_intent", request.path_params["id"])
        return HTMLResponse(self._pages.get_template("authenticate.html").render(intent=intent))

    async def answer_page(self, request: Request) -> Response:
        """What the cardholder pressed; goes back to the shop where it left a ``return_url``."""
        intent = self._load("payment_intent", request.path_params["id"])
        form = await request.form()
        succeed = form.get("outcome") == "pass"
        redirect = (intent["next_action"] or {}).get("redirect_to_url") or {}
        self._perform("payment_intent", intent["id"], self.complete_action, {"succeed": succeed})
        if not redirect.get("return_url"):
            return RedirectResponse(request.url.path, 303)
        return RedirectResponse(_back_to(redirect["return_url"], intent, succeed), 303)

    def _perform(self, kind: str, object_id: str, deed: Deed, body: dict[str, Any]) -> Response:
        try:
            with self._till.books.transaction():
                failure = deed(self._load(kind, object_id), body)
        except Refused as refusal:
            failure = refusal.answer
        if failure is not None:
            return JSONResponse(json.loads(failure.payload), failure.status)
        return JSONResponse(public(self._load(kind, object_id)))

    def _load(self, kind: str, object_id: str) -> Object:
        found = self._till.books.get(kind, object_id)
        if found is None:
            raise BadControl(404, f"no {kind} {object_id} on the books")
        return found


def _back_to(return_url: str, intent: Object, succeed: bool) -> str:
    query = urlencode(
        {
            "payment_intent": intent["id"],
            "payment_intent_client_secret": intent["client_secret"],
            "redirect_status": "succeeded" if succeed else "failed",
        }
    )
    return f"{return_url}{'&' if urlsplit(return_url).query else '?'}{query}"
