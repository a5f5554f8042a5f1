"""A mail is sent once, says who it is from and what it is, and a lost answer is told from a refusal."""

import asyncio
import email
from datetime import timedelta
from email.message import EmailMessage
from email.policy import default as reading

import pytest

from integrations.errors import OutcomeUnknown, ProviderDown, ProviderError, Rejected, Unreachable
from integrations.mail.mailer import Mail
from integrations.mail.smtp import Smtp, Tls
from tests.integrations.answers import Watch
from tests.integrations.mail_server import DROP, SILENCE, MailServer, mail_server

MAIL = Mail(
    message_id="<n-1@shop.example>",
    to="jane@example.com",
    to_name="Jane Roe",
    subject="Your order W-1001",
    text="Dear Jane,\n.\nit is on its way.\n",
    html="<p>It is on its way.</p>",
    language="en",
)


def smtp(
    port: int, *, seconds: float = 5, watch: Watch | None = None, sender: str = "Shop <shop@shop.example>"
) -> Smtp:
    return Smtp(
        host="127.0.0.1",
        port=port,
        username=None,
        password=None,
        tls=Tls.NONE,
        sender=sender,
        timeout=timedelta(seconds=seconds),
        observe=watch or Watch(),
    )


async def send(server: MailServer, mail: Mail = MAIL, *, seconds: float = 5, watch: Watch | None = None) -> None:
    mailer = smtp(server.port, seconds=seconds, watch=watch)
    try:
        await mailer.send(mail)
    finally:
        await mailer.aclose()


def received(server: MailServer, n: int = 0) -> EmailMessage:
    content = server.mails[n].removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
    message = email.message_from_bytes(content, policy=reading)
    assert isinstance(message, EmailMessage)
    return message


def changed(**fields: str) -> Mail:
    return Mail(**{**MAIL.__dict__, **fields})


async def test_a_mail_arrives_whole_with_all_that_it_must_say_of_itself() -> None:
    async with mail_server() as server:
        await send(server)
    message = received(server)
    assert message["Message-ID"] == "<n-1@shop.example>"
    assert (message["From"], message["To"]) == ("Shop <shop@shop.example>", "Jane Roe <jane@example.com>")
    assert (message["Content-Language"], message["Auto-Submitted"]) == ("en", "auto-generated")
    assert message["Date"].datetime.tzinfo is not None
    assert message.get_content_type() == "multipart/alternative"
    parts = [part.get_content().replace("\r\n", "\n") for part in message.iter_parts()]
    assert parts == ["Dear Jane,\n.\nit is on its way.\n", "<p>It is on its way.</p>\n"]
    assert "MAIL FROM:<shop@shop.example>" in server.commands


async def test_a_mail_in_chinese_survives_servers_that_know_only_ascii() -> None:
    async with mail_server() as server:
        await send(server, changed(subject="您的订单", text="亲爱的\n", to_name="王芳", language="zh-CN"))
    assert server.mails[0].isascii()
    message = received(server)
    assert (message["Subject"], message["To"].addresses[0].display_name) == ("您的订单", "王芳")
    assert message["Content-Language"] == "zh-CN"


async def test_mails_share_one_connection_even_when_sent_at_once() -> None:
    async with mail_server() as server:
        mailer = smtp(server.port)
        await asyncio.gather(*(mailer.send(changed(message_id=f"<n-{n}@shop.example>")) for n in range(5)))
        await mailer.aclose()
    assert (server.connections, len(server.mails)) == (1, 5)


async def test_a_connection_that_the_server_dropped_is_opened_anew() -> None:
    async with mail_server() as server:
        mailer = smtp(server.port)
        await mailer.send(MAIL)
        server.cut()
        await mailer.send(MAIL)
        await mailer.aclose()
    assert (server.connections, len(server.mails)) == (2, 2)


async def test_a_connection_that_the_server_closes_with_421_is_opened_anew() -> None:
    async with mail_server({"MAIL": ["250 go on", "421 idle for too long"]}) as server:
        mailer = smtp(server.port)
        await mailer.send(MAIL)
        await mailer.send(MAIL)
        await mailer.aclose()
    assert (server.connections, len(server.mails)) == (2, 2)


async def test_a_connection_that_the_server_closes_after_a_refusal_is_opened_anew() -> None:
    async with mail_server({"RCPT": ["550 no such mailbox"], "RSET": ["421 idle for too long"]}) as server:
        mailer = smtp(server.port)
        with pytest.raises(Rejected):
            await mailer.send(MAIL)
        await mailer.send(MAIL)
        await mailer.aclose()
    assert (server.connections, len(server.mails)) == (2, 1)


async def test_a_sender_who_is_put_off_on_an_open_connection_is_not_asked_for_again() -> None:
    async with mail_server({"MAIL": ["250 go on", "451 later"]}) as server:
        mailer = smtp(server.port)
        await mailer.send(MAIL)
        with pytest.raises(ProviderDown):
            await mailer.send(MAIL)
        await mailer.send(MAIL)
        await mailer.aclose()
    assert (server.connections, len(server.mails)) == (1, 2)


async def test_after_a_refused_recipient_the_next_mail_goes_over_the_same_connection() -> None:
    async with mail_server({"RCPT": ["550 no such mailbox"]}) as server:
        mailer = smtp(server.port)
        with pytest.raises(Rejected):
            await mailer.send(MAIL)
        await mailer.send(MAIL)
        await mailer.aclose()
    assert (server.connections, len(server.mails)) == (1, 1)


@pytest.mark.parametrize(
    ("step", "answer", "kind"),
    [
        ("GREET", "421 busy", ProviderDown),
        ("GREET", "554 go away", Rejected),
        ("GREET", DROP, Unreachable),
        ("MAIL", DROP, ProviderDown),
        ("MAIL", "451 later", ProviderDown),
        ("MAIL", "550 not you", Rejected),
        ("RCPT", DROP, ProviderDown),
        ("RCPT", "450 <jane@example.com> greylisted", ProviderDown),
        ("RCPT", "550 <jane@example.com> no such mailbox", Rejected),
        ("RCPT", "hello jane@example.com", ProviderDown),
        ("DATA", DROP, ProviderDown),
        ("DATA", "451 later", ProviderDown),
        ("DATA", "554 no", Rejected),
        ("END", DROP, OutcomeUnknown),
        ("END", "451 later", ProviderDown),
        ("END", "421 closing", ProviderDown),
        ("END", "554 spam from jane@example.com", Rejected),
        ("END", "<html>502</html>", OutcomeUnknown),
    ],
)
async def test_every_failure_says_whether_the_mail_may_have_gone(
    step: str, answer: str, kind: type[ProviderError]
) -> None:
    watch = Watch()
    async with mail_server({step: [answer]}) as server:
        with pytest.raises(ProviderError) as caught:
            await send(server, watch=watch)
        assert type(caught.value) is kind
        assert "jane" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert watch.seen[0][2] != "ok"
        await send(server)


@pytest.mark.parametrize(
    ("step", "kind"), [("GREET", Unreachable), ("RCPT", ProviderDown), ("DATA", ProviderDown), ("END", OutcomeUnknown)]
)
async def test_a_silent_server_is_waited_for_no_longer_than_set(step: str, kind: type[ProviderError]) -> None:
    async with mail_server({step: [SILENCE]}) as server:
        with pytest.raises(ProviderError) as caught:
            await send(server, seconds=0.3)
        assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("step", "answer", "left_alone"),
    [
        ("MAIL", "451 later", True),
        ("RCPT", "421 closing", True),
        ("END", DROP, True),
        ("RCPT", "450 greylisted", False),
        ("RCPT", "550 no such mailbox", False),
        ("END", "554 spam", False),
    ],
)
async def test_a_server_that_fails_again_and_again_is_left_alone_but_not_for_what_it_refuses(
    step: str, answer: str, left_alone: bool
) -> None:
    async with mail_server({step: [answer] * 10}) as server:
        mailer = smtp(server.port)
        for _ in range(10):
            with pytest.raises(ProviderError):
                await mailer.send(MAIL)
        if left_alone:
            with pytest.raises(Unreachable, match="smtp: left alone after 10 failures"):
                await mailer.send(MAIL)
        else:
            await mailer.send(MAIL)
        await mailer.aclose()
    assert server.commands.count("MAIL FROM:<shop@shop.example>") == (10 if left_alone else 11)


async def test_a_send_that_is_cancelled_leaves_no_half_dialogue_behind() -> None:
    async with mail_server({"RCPT": [SILENCE]}) as server:
        mailer = smtp(server.port)
        sending = asyncio.create_task(mailer.send(MAIL))
        async with asyncio.timeout(5):
            await server.silent.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await mailer.send(MAIL)
        await mailer.aclose()
    assert (server.connections, len(server.mails)) == (2, 1)


async def test_where_nothing_listens_the_mail_cannot_have_gone() -> None:
    async with mail_server() as server:
        pass
    with pytest.raises(Unreachable):
        await send(server)


@pytest.mark.parametrize("step", [("RCPT", "recipient"), ("MAIL", "sender"), ("END", "content")])
async def test_a_refusal_says_what_is_refused(step: tuple[str, str]) -> None:
    async with mail_server({step[0]: ["550 no"]}) as server:
        with pytest.raises(Rejected) as caught:
            await send(server)
    assert (caught.value.status, caught.value.code) == (550, step[1])


@pytest.mark.parametrize("field", ["to_name", "subject"])
@pytest.mark.parametrize("break_", ["\r\n", "\n", "\r", "\u2028", "\x00"])
async def test_what_a_customer_typed_cannot_add_a_header(field: str, break_: str) -> None:
    async with mail_server() as server:
        await send(server, changed(**{field: f"Jane{break_}Bcc: all@example.com"}))
    message = received(server)
    assert "Bcc" not in message
    assert [command for command in server.commands if command.startswith("RCPT")] == ["RCPT TO:<jane@example.com>"]


@pytest.mark.parametrize(
    "address",
    ["", "jane", "@example.com", "jane@", "a@b\r\nRCPT TO:<x@y.z>", "jane@example.com, eve@example.com", "a b@c.d"],
)
async def test_what_is_no_address_is_refused_before_any_server_hears_of_it(address: str) -> None:
    async with mail_server() as server:
        with pytest.raises(Rejected) as caught:
            await send(server, changed(to=address))
    assert caught.value.code == "recipient"
    assert "jane" not in str(caught.value)
    assert server.connections == 0


async def test_a_malformed_message_id_is_refused() -> None:
    async with mail_server() as server:
        with pytest.raises(Rejected):
            await send(server, changed(message_id="<n-1@shop>\r\nBcc: <all@example.com>"))


async def test_a_domain_beyond_ascii_goes_out_in_ascii() -> None:
    async with mail_server() as server:
        await send(server, changed(to="jane@bücher.example"))
    assert "RCPT TO:<jane@xn--bcher-kva.example>" in server.commands


async def test_a_mailbox_beyond_ascii_needs_a_server_that_takes_it() -> None:
    async with mail_server() as server:
        await send(server, changed(to="jürgen@example.com"))
    assert "MAIL FROM:<shop@shop.example> SMTPUTF8" in server.commands
    async with mail_server({"EHLO": ["250 mail.test"]}) as plain:
        with pytest.raises(Rejected):
            await send(plain, changed(to="jürgen@example.com"))


async def test_a_password_goes_over_no_unsecured_line() -> None:
    with pytest.raises(ValueError, match="unsecured"):
        Smtp(host="mail.example.com", port=25, username="u", password="p", tls=Tls.NONE, sender="a@b.example")


async def test_without_starttls_nothing_is_sent_where_it_is_asked_for() -> None:
    async with mail_server() as server:
        mailer = Smtp(
            host="127.0.0.1", port=server.port, username=None, password=None, tls=Tls.STARTTLS, sender="a@b.example"
        )
        with pytest.raises(Unreachable):
            await mailer.send(MAIL)
    assert not any(command.startswith("MAIL") for command in server.commands)
