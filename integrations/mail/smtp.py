"""Mail over SMTP (RFC 5321): one connection, kept and reused, and exact about what a lost answer means.

A mail is the server's once it has answered the end of the data. Whatever goes wrong before the last byte is sent leaves
nothing behind and may be repeated; a connection lost between the last byte and the answer leaves the outcome open.

| what happened | error |
|---|---|
| nothing listens, no connection or TLS in time | Unreachable |
| 4xx at any step, connection lost or time over before the end of the data | ProviderDown |
| 5xx at any step | Rejected, see below |
| connection lost, time over or garbage after the end of the data | OutcomeUnknown |

A Rejected carries the SMTP code as ``status``, and as ``code`` what is refused: ``recipient``, ``sender``, ``login``,
``content`` or ``command``. No error quotes the server: its words usually repeat the recipient's address.

A server that fails again and again is left alone for a while by a circuit breaker. Neither a Rejected counts for it nor
a 4xx for a recipient: mailboxes are full, and new senders put off, while the server is well.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from enum import StrEnum
from functools import partial

import aiosmtplib

from integrations.breaker import Breaker
from integrations.errors import OutcomeUnknown, ProviderDown, ProviderError, Rejected, Unreachable
from integrations.http import CONNECT, TOTAL
from integrations.mail.letters import NAME, compose, needs_utf8, parse_recipient, parse_sender
from integrations.mail.mailer import AboutTo, Mail, at_once
from integrations.observing import Observe, observed, unobserved

_LEADING_DOT = re.compile(rb"(?m)^\.")
_GO_AHEAD = 354
_CLOSING = 421

_REFUSED: dict[type[aiosmtplib.SMTPResponseException], str] = {
    aiosmtplib.SMTPRecipientRefused: "recipient",
    aiosmtplib.SMTPSenderRefused: "sender",
    aiosmtplib.SMTPAuthenticationError: "login",
    aiosmtplib.SMTPDataError: "content",
}


class Tls(StrEnum):
    """How the connection is secured: not at all, upgraded after the greeting (587), or from the start (465)."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class Step(StrEnum):
    """How far a delivery has come."""

    CONNECT = "connect"
    ENVELOPE = "envelope"
    SENT = "sent"
    """the end of the data has left us: from here on the server may have the mail"""


@dataclass
class _Progress:
    step: Step = Step.CONNECT


class Smtp:
    """One mail server. ``sender`` is ``Name <address>`` or an address; ``timeout`` bounds each send, waiting included.

    Mails go one after the other over one connection. Raises ValueError for settings that cannot work.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        username: str | None,
        password: str | None,
        tls: Tls,
        sender: str,
        timeout: timedelta = TOTAL,
        observe: Observe = unobserved,
        breaker: Breaker | None = None,
    ) -> None:
        if not host:
            raise ValueError("smtp: a host is needed")
        if username and tls is Tls.NONE and host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("smtp: a password goes over no unsecured line; set STARTTLS or TLS")
        self._sender = parse_sender(sender)
        self._client = aiosmtplib.SMTP(
            hostname=host,
            port=port,
            username=username or None,
            password=password or None,
            use_tls=tls is Tls.TLS,
            start_tls=tls is Tls.STARTTLS,
            local_hostname=self._sender.domain,
            timeout=timeout.total_seconds(),
        )
        self._connect_seconds = min(CONNECT, timeout).total_seconds()
        self._timeout = timeout
        self._observe = observe
        self._breaker = breaker or Breaker(NAME)
        self._line = asyncio.Lock()
        self._clean = False
        """the last mail on the open connection went well: the next one may begin at once"""

    async def send(self, mail: Mail, *, about_to: AboutTo = at_once) -> None:
        """Hand ``mail`` to the server. Raises as the table above says."""
        recipient = parse_recipient(mail)
        content = compose(mail, sender=self._sender, recipient=recipient, date=datetime.now(UTC))
        progress = _Progress()
        with observed(self._observe, NAME, "send"), self._breaker.guarding(), _explained(progress):
            async with asyncio.timeout(self._timeout.total_seconds()), self._line:
                await self._deliver(recipient, content, progress, about_to)

    async def aclose(self) -> None:
        """Say good-bye to the server, if it is still there."""
        async with self._line:
            if self._client.is_connected:
                try:
                    await self._client.quit(timeout=1)
                except (aiosmtplib.SMTPException, OSError):
                    self._client.close()

    async def _deliver(self, recipient: Address, content: bytes, progress: _Progress, about_to: AboutTo) -> None:
        clean, self._clean = self._clean and self._client.is_connected, False
        try:
            if not clean:
                await self._connected()
            progress.step = Step.ENVELOPE
            await self._submit(recipient, content, progress, about_to, probing=clean)
            self._clean = True
        except aiosmtplib.SMTPResponseException as error:
            if error.code == _CLOSING or not 400 <= error.code < 600:
                self._client.close()
            raise  # else the server has just said no: the next mail begins with RSET on the same connection
        except BaseException:
            # Whatever else ends a dialogue midway, time over and cancelling included, leaves the line out of step.
            self._client.close()
            raise

    async def _connected(self) -> None:
        """Begin anew on the connection on which a mail was refused, or open one."""
        if self._client.is_connected:
            try:
                await self._client.rset(timeout=self._connect_seconds)
            except aiosmtplib.SMTPException:
                self._client.close()
            else:
                return
        await self._client.connect(timeout=self._connect_seconds)

    async def _submit(
        self, recipient: Address, content: bytes, progress: _Progress, about_to: AboutTo, *, probing: bool
    ) -> None:
        options = ["SMTPUTF8"] if needs_utf8(self._sender, recipient) else []
        encoding = "utf-8" if options else "ascii"
        if options:
            await self._require_utf8()
        begin = partial(self._client.mail, self._sender.addr_spec, options=options, encoding=encoding)
        if probing:
            await self._probe(begin)
        else:
            await begin()
        await self._client.rcpt(recipient.addr_spec, encoding=encoding)
        await self._data(content, progress, about_to)

    async def _probe(self, begin: Callable[..., Awaitable[object]]) -> None:
        """Begin on the open connection, or where the server has left it, on a new one."""
        try:
            await begin(timeout=self._connect_seconds)
        except aiosmtplib.SMTPException as error:
            if not _gone(error):
                raise
            self._client.close()
            await self._client.connect(timeout=self._connect_seconds)
            await begin()

    async def _require_utf8(self) -> None:
        if self._client.is_ehlo_or_helo_needed:
            await self._client.ehlo()
        if not self._client.supports_extension("smtputf8"):
            raise Rejected(NAME, "the server takes no addresses beyond ASCII", status=553, code="recipient")

    async def _data(self, content: bytes, progress: _Progress, about_to: AboutTo) -> None:
        """DATA in two halves. `aiosmtplib.SMTP.data` is one step, in which a loss before and after look the same."""
        ready = await self._client.execute_command(b"DATA")
        if ready.code != _GO_AHEAD:
            raise aiosmtplib.SMTPDataError(ready.code, ready.message)
        await about_to()
        protocol = self._client.protocol
        if protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("connection lost")
        ending = b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n"
        protocol.write(_LEADING_DOT.sub(b"..", content) + ending)
        progress.step = Step.SENT
        done = await protocol.read_response(timeout=self._timeout.total_seconds())
        if not 200 <= done.code < 300:
            raise aiosmtplib.SMTPDataError(done.code, done.message)


def _gone(error: aiosmtplib.SMTPException) -> bool:
    """Whether the server has left, with a word or, as with idle connections, without."""
    return not isinstance(error, aiosmtplib.SMTPResponseException) or error.code == _CLOSING


@contextmanager
def _explained(progress: _Progress) -> Iterator[None]:
    """Turn what SMTP and sockets raise into the tree of `integrations.errors`."""
    try:
        yield
    except aiosmtplib.SMTPResponseException as error:
        # "from None": the cause's text may name the recipient, and causes are logged with the error.
        raise _refusal(error, progress.step) from None
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        raise _loss(type(error).__name__, progress.step) from None


def _refusal(error: aiosmtplib.SMTPResponseException, step: Step) -> ProviderError:
    what = _REFUSED.get(type(error), "command")
    if 400 <= error.code < 500:
        this_one = what == "recipient" and error.code != _CLOSING
        return ProviderDown(NAME, f"{error.code} {what} at {step}", this_one=this_one)
    if 500 <= error.code < 600:
        return Rejected(NAME, f"{error.code} {what} at {step}", status=error.code, code=what)
    return _loss("garbage", step)


def _loss(what: str, step: Step) -> ProviderError:
    match step:
        case Step.CONNECT:
            return Unreachable(NAME, f"{what} at connect")
        case Step.ENVELOPE:
            return ProviderDown(NAME, f"{what} before the end of the data")
        case Step.SENT:
            return OutcomeUnknown(NAME, f"{what} after the end of the data")
