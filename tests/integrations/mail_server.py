"""A mail server that answers as a test says, and hangs up where it says so."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

DROP = ""
"""In place of an answer: the connection is cut."""

SILENCE = "..."
"""In place of an answer: nothing, until the caller gives up."""

_USUAL = {
    "GREET": "220 mail.test ESMTP",
    "EHLO": "250-mail.test\r\n250 SMTPUTF8",
    "DATA": "354 go ahead",
    "END": "250 kept",
    "QUIT": "221 bye",
    "STARTTLS": "220 go ahead",
    "AUTH": "235 welcome",
}


@dataclass
class MailServer:
    """``answers`` maps a command (``GREET``, ``MAIL``, ``END``...) to its next answers; after those, the usual one."""

    answers: dict[str, list[str]] = field(default_factory=dict)
    mails: list[bytes] = field(default_factory=list)
    """every mail that came in whole, whatever was answered"""
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    secrets: ssl.SSLContext | None = None
    """the server's certificate, where it can be asked to STARTTLS"""
    silent: asyncio.Event = field(default_factory=asyncio.Event)
    """set once a caller waits for an answer that does not come"""
    _open: list[asyncio.StreamWriter] = field(default_factory=list)

    def cut(self) -> None:
        """Cut every connection that is open."""
        for writer in self._open:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self._open.append(writer)
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the caller has gone, or was cut off
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = await self._say("GREET", reader, writer)
        while answer is not None and (line := await reader.readline()):
            verb = line.split()[0].decode().upper()
            self.commands.append(line.decode().strip())
            answer = await self._say(verb, reader, writer)
            if verb == "STARTTLS" and self.secrets is not None:
                await writer.start_tls(self.secrets)
            if verb == "DATA" and answer == _USUAL["DATA"]:
                self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
                answer = await self._say("END", reader, writer)

    async def _say(self, verb: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str | None:
        """The answer given, None where the line is cut."""
        scripted = self.answers.get(verb)
        answer = scripted.pop(0) if scripted else _USUAL.get(verb, "250 fine")
        if answer == SILENCE:
            self.silent.set()
            await reader.read()
        if answer in (SILENCE, DROP):
            return None
        writer.write(answer.encode() + b"\r\n")
        await writer.drain()
        return answer


@asynccontextmanager
async def mail_server(
    answers: dict[str, list[str]] | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
) -> AsyncIterator[MailServer]:
    """A server on a free port of this machine."""
    server = MailServer(answers=answers or {}, secrets=starttls)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        server.cut()
