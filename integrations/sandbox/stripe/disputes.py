"""Disputes: opened by a test card or by hand, answered with evidence, closed by hand."""

from integrations.sandbox.provider import Answer, Call, Object
from integrations.sandbox.stripe import objects
from integrations.sandbox.stripe.errors import invalid, unexpected
from integrations.sandbox.stripe.form import Params
from integrations.sandbox.stripe.lists import Pages, show
from integrations.sandbox.stripe.till import Cause, Till

_DAYS_TO_ANSWER = 9
_MOST_EVIDENCE = 150_000
OPEN = ("needs_response", "warning_needs_response", "under_review", "warning_under_review")
_INQUIRY = "warning_"


def open_dispute(till: Till, charged: Object, reason: str, cause: Cause, *, inquiry: bool = False) -> Object:
    """The cardholder disputes the charge: the money is withdrawn until it is decided. An ``inquiry`` only asks.

    Source: docs.stripe.com/disputes/how-disputes-work (inquiries can be refunded, and withdraw nothing).
    """
    now = till.now()
    due_by = now + _DAYS_TO_ANSWER * 24 * 3600
    dispute = objects.dispute(till.new_id("dp"), charged, reason, created=now, due_by=due_by)
    if inquiry:
        dispute |= {"status": f"{_INQUIRY}needs_response", "is_charge_refundable": True}
        dispute["payment_method_details"]["card"]["case_type"] = "inquiry"
    charged["disputed"] = True
    till.save(charged)
    till.save(dispute)
    till.tell("charge.dispute.created", dispute, cause)
    if not inquiry:
        till.tell("charge.dispute.funds_withdrawn", dispute, cause)
    return dispute


def close_dispute(till: Till, dispute: Object, status: str, cause: Cause) -> Object:
    """Decide a dispute as ``won`` or ``lost``, an inquiry as ``warning_closed``; a won one gives the money back."""
    before = {"status": dispute["status"]}
    dispute["status"] = status
    till.save(dispute)
    till.tell("charge.dispute.closed", dispute, cause, before)
    if status == "won":
        till.tell("charge.dispute.funds_reinstated", dispute, cause)
    return dispute


class Disputes:
    """The operations on disputes."""

    def __init__(self, till: Till, pages: Pages) -> None:
        self._till, self._pages = till, pages

    def retrieve(self, call: Call) -> Answer:
        """GET /v1/disputes/{id}."""
        params = Params(call, ())
        return Answer(body=show(self._till, self._load(call), params.expand))

    def list(self, call: Call) -> Answer:
        """GET /v1/disputes."""
        return self._pages.answer(call, "dispute", filters=("payment_intent", "charge"))

    def update(self, call: Call) -> Answer:
        """POST /v1/disputes/{id}: evidence, and whether to submit it (the default)."""
        params = Params(call, ("evidence", "submit", "metadata"))
        dispute = self._load(call)
        evidence = {name: str(value) for name, value in (params.mapping("evidence") or {}).items()}
        for name in evidence:
            if name not in objects.EVIDENCE:
                raise invalid(f"Received unknown parameter: evidence[{name}]", code="parameter_unknown")
        if sum(map(len, evidence.values())) > _MOST_EVIDENCE:
            raise invalid(f"Evidence can hold {_MOST_EVIDENCE} characters in sum.", param="evidence")
        if evidence and dispute["status"] not in OPEN:
            raise unexpected("This dispute is closed.", code=None)
        before = {"status": dispute["status"]}
        dispute["metadata"] = params.metadata(dispute["metadata"])
        dispute["evidence"] |= evidence
        if evidence and params.flag("submit", default=True):
            dispute["evidence_details"] |= {"has_evidence": True}
            dispute["evidence_details"]["submission_count"] += 1
            inquiry = _INQUIRY if dispute["status"].startswith(_INQUIRY) else ""
            dispute["status"] = f"{inquiry}under_review"
        self._till.save(dispute)
        self._till.tell("charge.dispute.updated", dispute, Cause.of(call), before)
        return Answer(body=show(self._till, dispute, params.expand))

    def close(self, call: Call) -> Answer:
        """POST /v1/disputes/{id}/close: accept the loss."""
        params = Params(call, ())
        dispute = self._load(call)
        if dispute["status"] not in OPEN:
            raise unexpected("This dispute is already closed.", code="dispute_already_closed")
        return Answer(body=show(self._till, close_dispute(self._till, dispute, "lost", Cause.of(call)), params.expand))

    def _load(self, call: Call) -> Object:
        return self._till.load("dispute", call.path_params["id"])
