"""Who may enter: names, passwords, second factors (RFC 6238), and the sessions of those who are in."""

import base64
import hashlib
import hmac
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import SimpleCookie

from integrations.sandbox.portal.dials import NAME
from integrations.sandbox.portal.pages import PREFIX, Pages, form_of, go
from integrations.sandbox.provider import Answer, Call, Object, Operation, Refused, Sandbox

SESSION = "portal_session"
_CODE = "portal_code"
_COOKIE = "northgate"
_STEP = 30
_OPEN = frozenset({"login.show", "login.send", "verify.show", "verify.send", "unknown"})

PageHandler = Callable[[Call, Object], Answer]


@dataclass(frozen=True)
class Account:
    """A buyer. ``totp`` is the secret of the second factor in base32, as the portal showed it when it was set up."""

    user: str
    password: str
    totp: str


ACCOUNTS = {
    account.user: account
    for account in (
        Account("buyer@shop.example", "northgate-sandbox", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"),
        Account("second@shop.example", "northgate-sandbox", "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU"),
    )
}
"""The sandbox's own accounts. They open nothing else."""


class Accounts:
    """Signing in and out."""

    def __init__(self, sandbox: Sandbox, pages: Pages) -> None:
        self._sandbox, self._books, self._pages = sandbox, sandbox.books, pages

    @property
    def operations(self) -> list[Operation]:
        """What the pages of the log-in do."""
        return [
            Operation("login.show", "GET", "/login", self.show_login),
            Operation("login.send", "POST", "/login", self.send_login),
            Operation("verify.show", "GET", "/verify", self.show_verify),
            Operation("verify.send", "POST", "/verify", self.send_verify),
            Operation("logout", "POST", "/logout", self.inside(self.log_out)),
        ]

    def authorise(self, call: Call) -> None:
        """Raises `Refused` while the portal is down, and for whoever is not signed in where that is needed."""
        dials = self._pages.dials
        if dials.maintenance:
            text = "Northgate is down for maintenance. Please come back later."
            raise Refused(self._pages.notice("Down for maintenance", text, status=503, retry_after=600))
        session = self._session(call)
        if session is not None and dials.session_lost and dials.session_lost == call.operation:
            self._books.delete(SESSION, session["id"])
            self._sandbox.dials.update(NAME, {"session_lost": ""})
            session = None
        if call.operation not in _OPEN and (session is None or not session["verified"]):
            raise Refused(go("/login"))

    def inside(self, handler: PageHandler) -> Callable[[Call], Answer]:
        """``handler`` with the visitor's session; a form that does not come from a page of that session is refused."""

        def checked(call: Call) -> Answer:
            session = self._session(call)
            if session is None:
                raise Refused(go("/login"))
            if call.method != "GET" and not self._ours(call, session):
                raise Refused(self._pages.notice("Form expired", "Please open the page again.", status=403))
            return handler(call, session)

        return checked

    def show_login(self, call: Call) -> Answer:
        """The first page of the log-in."""
        session = self._new_session(call)
        return self._pages.page("login", headers={"Set-Cookie": _cookie(session["id"])}, form=session, user="")

    def send_login(self, call: Call) -> Answer:
        """Check name and password."""
        session = self._session(call)
        if session is None or not self._ours(call, session):
            raise Refused(self._pages.notice("Form expired", "Please open the page again.", status=403))
        form = form_of(call)
        account = ACCOUNTS.get(form.get("username", ""))
        if account is None or not hmac.compare_digest(account.password, form.get("password", "")):
            alert = "User name or password is wrong."
            raise Refused(
                self._pages.page("login", status=401, alert=alert, form=session, user=form.get("username", ""))
            )
        self._books.put(SESSION, session["id"], {**session, "user": account.user})
        return go("/verify")

    def show_verify(self, call: Call) -> Answer:
        """The second page of the log-in."""
        session = self._session(call)
        if session is None or not session["user"]:
            return go("/login")
        return self._pages.page("verify", form=session)

    def send_verify(self, call: Call) -> Answer:
        """Check the second factor. A code counts once, as the RFC wants it."""
        session = self._session(call)
        if session is None or not session["user"]:
            return go("/login")
        if not self._ours(call, session):
            raise Refused(self._pages.notice("Form expired", "Please open the page again.", status=403))
        code, account = form_of(call).get("code", ""), ACCOUNTS[session["user"]]
        now = int(call.at) // _STEP
        step = next((each for each in (now, now - 1) if hmac.compare_digest(code_at(account.totp, each), code)), None)
        used = f"{account.user}:{step}"
        if step is None or (self._books.get(_CODE, used) and not self._pages.dials.totp_reuse):
            alert = "This code is wrong." if step is None else "This code was used already. Wait for the next one."
            raise Refused(self._pages.page("verify", status=401, alert=alert, form=session))
        self._books.put(_CODE, used, {"id": used})
        # A session gets another name once its visitor is known, so that nobody can have planted it.
        known: Object = {
            **session,
            "id": secrets.token_urlsafe(24),
            "verified": True,
            "csrf": secrets.token_urlsafe(24),
        }
        self._books.delete(SESSION, session["id"])
        self._books.put(SESSION, known["id"], known)
        return go("/orders", cookie=_cookie(known["id"]))

    def log_out(self, call: Call, session: Object) -> Answer:
        """Forget the session."""
        self._books.delete(SESSION, session["id"])
        return go("/login", cookie=_cookie("", age=0))

    def _new_session(self, call: Call) -> Object:
        session: Object = {
            "id": secrets.token_urlsafe(24),
            "csrf": secrets.token_urlsafe(24),
            "user": "",
            "verified": False,
            "began_at": call.at,
        }
        self._books.put(SESSION, session["id"], session)
        return session

    def _session(self, call: Call) -> Object | None:
        morsel = SimpleCookie(call.headers.get("cookie", "")).get(_COOKIE)
        session = self._books.get(SESSION, morsel.value) if morsel else None
        if session is None or call.at - session["began_at"] > self._pages.dials.session_seconds:
            return None
        return session

    def _ours(self, call: Call, session: Object) -> bool:
        return hmac.compare_digest(form_of(call).get("csrf", ""), session["csrf"])


def code_at(secret: str, step: int) -> str:
    """The six digits of a time step: RFC 4226, section 5.3, over HMAC-SHA-1."""
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def _cookie(value: str, *, age: int | None = None) -> str:
    lasting = "" if age is None else f"; Max-Age={age}"
    return f"{_COOKIE}={value}; Path={PREFIX}; HttpOnly; SameSite=Lax{lasting}"
