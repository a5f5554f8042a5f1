"""Mails and passwords go over secured lines, to servers that can prove who they are."""

import asyncio
import ssl
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from integrations.errors import Rejected, Unreachable
from integrations.mail.mailer import Mail
from integrations.mail.smtp import Smtp, Tls
from tests.integrations.certificates import self_signed
from tests.integrations.mail_server import MailServer, mail_server

MAIL = Mail(message_id="<n-1@shop.example>", to="jane@example.com", to_name="Jane", subject="Hello", text="Hello\n")
OFFERS = ["250-mail.test\r\n250-STARTTLS\r\n250 AUTH PLAIN", "250-mail.test\r\n250 AUTH PLAIN"]


async def send(server: MailServer, tls: Tls) -> None:
    mailer = Smtp(
        host="127.0.0.1", port=server.port, username="shop", password="secret", tls=tls, sender="shop@shop.example"
    )
    try:
        await mailer.send(MAIL)
    finally:
        await mailer.aclose()


class Kept:
    """Notes whether a mail was begun."""

    heard_of_a_mail = False

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """A mail begins."""
        self.heard_of_a_mail = True
        return "250 fine"


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's certificate that this machine trusts, as its environment says."""
    context, trusted = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    return context


async def test_with_starttls_the_password_waits_until_the_line_is_secured(certificate: ssl.SSLContext) -> None:
    async with mail_server({"EHLO": OFFERS.copy()}, starttls=certificate) as server:
        await send(server, Tls.STARTTLS)
    verbs = [command.split()[0] for command in server.commands]
    assert verbs[:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]
    assert len(server.mails) == 1


async def test_with_tls_the_line_is_secured_from_the_start(certificate: ssl.SSLContext) -> None:
    async with mail_server({"EHLO": OFFERS[1:]}, tls=certificate) as server:
        await send(server, Tls.TLS)
    assert "STARTTLS" not in server.commands
    assert len(server.mails) == 1


async def test_a_refused_password_is_told_as_such(certificate: ssl.SSLContext) -> None:
    async with mail_server({"EHLO": OFFERS[1:], "AUTH": ["535 no"]}, tls=certificate) as server:
        with pytest.raises(Rejected) as caught:
            await send(server, Tls.TLS)
    assert (caught.value.status, caught.value.code) == (535, "login")


async def test_a_server_that_cannot_prove_who_it_is_gets_neither_password_nor_mail(tmp_path: Path) -> None:
    stranger, _ = self_signed(tmp_path)
    async with mail_server({"EHLO": OFFERS[1:]}, tls=stranger) as server:
        with pytest.raises(Unreachable):
            await send(server, Tls.TLS)
    assert server.commands == []


async def test_nor_does_one_that_fails_to_prove_it_after_starttls(tmp_path: Path) -> None:
    stranger, _ = self_signed(tmp_path)
    kept = Kept()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: SMTP(kept, tls_context=stranger, loop=loop), "127.0.0.1", 0)
    async with listening:
        with pytest.raises(Unreachable):
            await send(MailServer(port=listening.sockets[0].getsockname()[1]), Tls.STARTTLS)
    assert not kept.heard_of_a_mail
