"""The SMTP side: accept, keep, answer, and misbehave as dialled."""

import asyncio
import functools
import secrets
from collections.abc import Callable
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session, syntax

from integrations.sandbox.mail.dials import Away, Dials, Fault
from integrations.sandbox.mail.reading import Letter
from integrations.sandbox.mail.store import Call, MailStore, Outcome

HOSTNAME = "mail.sandbox"
BUSY = "421 4.3.2 mail.sandbox is not available, try again later"
_LONGEST_LINE = 999
_CHUNK = 2**20
_END_OF_DATA = b"\r\n.\r\n"
GARBAGE = b"\x16\x03\x01 <html>502 Bad Gateway</html>"


class Postmaster:
    """What the server does with each command (`handle_*` is the interface of aiosmtpd)."""

    def __init__(self, store: MailStore, dials: Dials) -> None:
        self._store = store
        self._dials = dials

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        """Take or refuse one recipient."""
        if self._dials.refuses(address):
            reply = f"550 5.1.1 <{address}> no such mailbox here"
            call = Call(_peer(session), envelope.mail_from or "", (address,), Outcome.RECIPIENT_REFUSED, reply)
            return await self._answer(call)
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(rcpt_options)
        return "250 2.1.5 Recipient ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str | bytes:
        """Keep the mail on disk, then answer, unless a dial says otherwise."""
        await asyncio.sleep(self._dials.settings.latency_ms / 1000)
        letter, fault = Letter(_content(envelope)), self._dials.next_fault()
        note = functools.partial(_call, session, envelope, letter)
        match fault:
            case Fault.TEMPORARY:
                return await self._answer(note(Outcome.TEMPORARY, "451 4.3.0 Try again later"))
            case Fault.GARBAGE:
                await self._answer(note(Outcome.GARBAGE, GARBAGE.decode("latin-1")))
                return GARBAGE
            case Fault.DROP_BEFORE:
                await self._answer(note(Outcome.DROPPED_BEFORE, ""))
                return _hang_up(server)
        mail_id = secrets.token_hex(8)
        if fault is Fault.LOST_ANSWER:
            await asyncio.to_thread(self._store.keep, mail_id, letter, note(Outcome.LOST_ANSWER, "", mail_id))
            return _hang_up(server)
        reply = f"250 2.0.0 Kept as {mail_id}"
        await asyncio.to_thread(self._store.keep, mail_id, letter, note(Outcome.ACCEPTED, reply, mail_id))
        return reply

    async def _answer(self, call: Call) -> str:
        await asyncio.to_thread(self._store.note, call)
        return call.reply


def _call(
    session: Session, envelope: Envelope, letter: Letter, outcome: Outcome, reply: str, mail_id: str | None = None
) -> Call:
    sender, recipients = envelope.mail_from or "", tuple(envelope.rcpt_tos)
    return Call(_peer(session), sender, recipients, outcome, reply, letter.message_id, letter.subject, mail_id)


class Listener:
    """The listening socket, which can be taken away and brought back on the same port."""

    def __init__(self, store: MailStore, dials: Dials, *, host: str, port: int) -> None:
        self._store = store
        self._dials = dials
        self._address = (host, port)
        self._postmaster = Postmaster(store, dials)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.WriteTransport] = set()
        self._notes: set[asyncio.Future[None]] = set()

    async def apply(self) -> None:
        """Listen or not, as the `away` dial says; going away also cuts the connections that are open."""
        away = self._dials.settings.away
        if away is Away.REFUSED:
            await self.close()
        elif self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._connection, *self._address)
        if away is not Away.HERE:
            self._cut()

    async def close(self) -> None:
        """Stop listening and cut what is open."""
        if self._server is not None:
            self._server.close()
            self._cut()
            await self._server.wait_closed()
            self._server = None

    def _cut(self) -> None:
        for transport in list(self._open):
            transport.abort()

    def _connection(self) -> asyncio.Protocol:
        if self._dials.settings.away is Away.BUSY:
            return _BusyLine(self._note_busy)
        return _Line(self._postmaster, self._open)

    def _note_busy(self, peer: str) -> None:
        note = asyncio.get_running_loop().run_in_executor(
            None, self._store.note, Call(peer, "", (), Outcome.BUSY, BUSY)
        )
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)


class _Line(SMTP):
    """One SMTP connection. Any user and password are taken: a sandbox has no secrets to check."""

    def __init__(self, postmaster: Postmaster, lines: set[asyncio.WriteTransport]) -> None:
        super().__init__(
            postmaster,
            hostname=HOSTNAME,
            ident="Waybill sandbox mail",
            enable_SMTPUTF8=True,
            auth_require_tls=False,
            authenticator=_welcome,
            loop=asyncio.get_running_loop(),
        )
        self._lines = lines
        self._own: asyncio.WriteTransport | None = None
        self._read_address = functools.lru_cache(maxsize=64)(super()._getaddr)

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        return self._read_address(arg)  # a shop's own comes with every mail

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._own = cast("asyncio.WriteTransport", transport)
        self._lines.add(self._own)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._own is not None:
            self._lines.discard(self._own)
        super().connection_lost(error)

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:
        """As in the base class, but for all lines at once: a mail has two hundred."""
        if await self.check_helo_needed() or await self.check_auth_needed("DATA"):
            return
        if self.envelope is None or not self.envelope.rcpt_tos:
            await self.push("503 Error: need RCPT command")
        elif arg:
            await self.push("501 Syntax: DATA")
        else:
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            await self._take(self.envelope, await self._data())

    async def _data(self) -> bytes:
        """What comes until a line with a lone dot; what the sender has already sent after that waits for its turn."""
        data, end = bytearray(b"\r\n"), -1  # as if a line had just ended: the first may be the dot
        while end < 0:
            seen = max(0, len(data) - len(_END_OF_DATA))
            try:
                data += await self._reader.read(_CHUNK)
            except asyncio.CancelledError:  # the connection is lost
                self._writer.close()
                raise
            end = data.find(_END_OF_DATA, seen)
        self._reader.feed_data(bytes(data[end + len(_END_OF_DATA) :]))
        return bytes(data[: end + 2])

    async def _take(self, envelope: Envelope, data: bytes) -> None:
        reply: Any
        if self.data_size_limit and len(data) > self.data_size_limit:
            reply = "552 Error: Too much mail data"
        elif max(map(len, data.split(b"\r\n"))) > _LONGEST_LINE:
            reply = "500 Line too long (see RFC5321 4.5.3.1.6)"
        else:
            envelope.content = envelope.original_content = data.replace(b"\r\n.", b"\r\n")[2:]
            reply = await self._call_handler_hook("DATA")
        self.envelope = self._create_envelope()
        await self.push(reply)


class _BusyLine(asyncio.Protocol):
    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.WriteTransport", transport).write(BUSY.encode() + b"\r\n")
        self._note(str(transport.get_extra_info("peername")))
        transport.close()


def _welcome(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword) -> AuthResult:
    return AuthResult(success=True)


def _hang_up(server: SMTP) -> str:
    """Cut the connection; what is returned goes nowhere, since the socket is gone."""
    if server.transport is not None:
        cast("asyncio.WriteTransport", server.transport).abort()
    return "421 4.4.2 connection lost"


def _content(envelope: Envelope) -> bytes:
    content = envelope.content
    return content if isinstance(content, bytes) else (content or "").encode()


def _peer(session: Session) -> str:
    return str(session.peer)
