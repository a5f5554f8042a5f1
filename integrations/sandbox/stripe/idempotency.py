"""Idempotency keys the vendor's way. Source: docs.stripe.com/api/idempotent_requests.

The first result of a POST is kept with its status, also a 500; kept results are replayed with
``Idempotent-Replayed: true`` until the window is over. What fails validation, or collides with a request in
flight, is not kept. A key used with another path or other parameters is refused.
"""

import hashlib
import json

from integrations.sandbox.provider import Answer, Call, Refused, Sandbox
from integrations.sandbox.stripe.dials import StripeDials
from integrations.sandbox.stripe.errors import error_answer, invalid
from integrations.sandbox.stripe.form import parse

_LONGEST_KEY = 255
_HINT = "Try using a key other than '{key}' if you meant to execute a different request."


class Keys:
    """Keeps first answers on the books."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def key(self, call: Call) -> str | None:
        """The key of a POST; other methods have none."""
        key = call.headers.get("idempotency-key") if call.method == "POST" else None
        if key is not None and len(key) > _LONGEST_KEY:
            raise invalid(f"Idempotency keys can be at most {_LONGEST_KEY} characters long.")
        return key or None

    def recall(self, call: Call, key: str) -> Answer | None:
        """The kept answer, if the window is still open."""
        books = self._sandbox.books
        rows = books.execute("SELECT * FROM answers WHERE provider = ? AND key = ?", (call.provider, key))
        if not rows:
            return None
        row = rows[0]
        window = self._sandbox.dials.read(call.provider, StripeDials).idempotency_window_seconds
        if call.at - row["at"] >= window:
            books.execute("DELETE FROM answers WHERE provider = ? AND key = ?", (call.provider, key))
            return None
        self._compare(call, key, row["fingerprint"])
        headers = {"Idempotent-Replayed": "true"}
        if row["status"] >= 500:
            headers["Stripe-Should-Retry"] = "false"
        return Answer(status=row["status"], body=bytes(row["body"]), headers=headers)

    def keep(self, call: Call, key: str, answer: Answer) -> None:
        """Keep the first answer."""
        self._sandbox.books.execute(
            "INSERT OR REPLACE INTO answers (provider, key, fingerprint, at, status, body) VALUES (?, ?, ?, ?, ?, ?)",
            (call.provider, key, _fingerprint(call), call.at, answer.status, answer.payload),
        )

    def in_flight(self, call: Call, key: str) -> Answer:
        """409 while the first request still runs."""
        message = (
            "There is currently another in-progress request using this Idempotent Key"
            f" (that probably means you submitted twice, and the other request is still going through): {key}."
        )
        return error_answer(409, "idempotency_error", message, code="idempotency_key_in_use")

    def _compare(self, call: Call, key: str, fingerprint: str) -> None:
        path, digest = json.loads(fingerprint)
        own_path, own_digest = json.loads(_fingerprint(call))
        if path != own_path:
            wrong = f"for the same endpoint they were first used for ('{path}' vs '{own_path}')."
        elif digest != own_digest:
            wrong = "with the same parameters they were first used with."
        else:
            return
        message = f"Keys for idempotent requests can only be used {wrong} {_HINT.format(key=key)}"
        raise Refused(error_answer(400, "idempotency_error", message))


def _fingerprint(call: Call) -> str:
    parameters = json.dumps(parse(call.body.decode("utf-8", "replace")), sort_keys=True)
    digest = hashlib.sha256(parameters.encode()).hexdigest()
    return json.dumps([call.path.removeprefix("/stripe"), digest])
