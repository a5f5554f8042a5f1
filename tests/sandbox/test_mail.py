"""The mail sandbox keeps what it accepts, shows it, and misbehaves as dialled."""

import asyncio
import smtplib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx2
import pytest

from local.ports import free_port

ROOT = Path(__file__).parents[2]


class MailServer:
    """The real process, startable again on the same data and ports."""

    def __init__(self, data: Path) -> None:
        self.data, self.smtp, self.web = data, free_port(), free_port()
        self.http = httpx2.Client(base_url=f"http://127.0.0.1:{self.web}", timeout=10)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "integrations.sandbox.mail", "--smtp-port", str(self.smtp)]
        command += ["--http-port", str(self.web), "--data", str(self.data)]
        self.process = subprocess.Popen(command, cwd=ROOT)
        _until(self._healthy)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def send(self, mail: EmailMessage) -> None:
        with smtplib.SMTP("127.0.0.1", self.smtp, timeout=10) as client:
            client.send_message(mail)

    def find(self, **search: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get("/api/messages", params=search).json()
        return found

    def dial(self, **dials: Any) -> None:
        assert self.http.put("/api/dials", json=dials).status_code == 200

    def _healthy(self) -> bool:
        try:
            return self.http.get("/healthz").status_code == 200
        except httpx2.TransportError:
            return False


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    server = MailServer(tmp_path_factory.mktemp("mail"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(running: MailServer) -> MailServer:
    running.http.delete("/api/dials")
    running.http.delete("/api/messages")
    running.http.delete("/api/calls")
    return running


def test_an_accepted_mail_is_found_by_recipient_subject_and_message_id(server: MailServer) -> None:
    server.send(_mail(to="ann@example.com", subject="Your order has shipped", message_id="<o-1.shipped@shop>"))
    server.send(_mail(to="bob@example.com", subject="Refund", message_id="<o-2.refund@shop>"))
    assert server.find()["total"] == 2
    assert [m["subject"] for m in server.find()["messages"]] == ["Refund", "Your order has shipped"]
    for search in ({"to": "ANN@example.com"}, {"subject": "shipped"}, {"message_id": "o-1.shipped@shop"}):
        found = server.find(**search)
        assert (found["total"], found["messages"][0]["message_id"]) == (1, "<o-1.shipped@shop>")


def test_a_mail_is_shown_with_its_parts_headers_and_attachments(server: MailServer) -> None:
    mail = _mail(subject="您的订单已发货", message_id="<o-3@shop>")
    mail.add_alternative("<p>已发货 <img src='cid:logo'></p>", subtype="html")
    html = mail.get_body(("html",))
    assert isinstance(html, EmailMessage)
    html.add_related(b"\x89PNG", "image", "png", cid="<logo>")
    mail.add_attachment(b"%PDF-1.4 slip", maintype="application", subtype="pdf", filename="slip.pdf")
    server.send(mail)
    mail_id = server.find()["messages"][0]["id"]
    shown = server.http.get(f"/api/messages/{mail_id}").json()
    assert shown["subject"] == "您的订单已发货"
    assert "data:image/png;base64,iVBORw" in shown["html"]
    assert ["Message-ID", "<o-3@shop>"] in shown["headers"]
    assert [(file["filename"], file["content_type"]) for file in shown["attachments"]] == [
        ("slip.pdf", "application/pdf")
    ]
    assert server.http.get(shown["attachments"][0]["url"]).content == b"%PDF-1.4 slip"
    assert b"Message-ID: <o-3@shop>" in server.http.get(f"/api/messages/{mail_id}/raw").content


def test_the_pages_list_search_and_show_mails_without_trusting_them(server: MailServer) -> None:
    mail = _mail(subject="<script>alert(1)</script>", text="tracking code 9400")
    mail.add_alternative("<h1>On its way</h1><script>parent.document.body.remove()</script>", subtype="html")
    server.send(mail)
    server.send(_mail(subject="Another one"))
    mailbox = server.http.get("/", params={"q": "9400"}).text
    assert "&lt;script&gt;alert(1)" in mailbox
    assert "Another one" not in mailbox
    mail_id = server.find(subject="alert")["messages"][0]["id"]
    page = server.http.get(f"/messages/{mail_id}").text
    assert '<iframe sandbox="allow-popups' in page
    assert "tracking code 9400" in page
    body = server.http.get(f"/messages/{mail_id}/html")
    assert "On its way" in body.text
    assert body.headers["content-security-policy"].startswith("sandbox allow-popups ")
    assert server.http.get("/messages/none").status_code == 404


def test_a_message_id_sent_twice_counts_as_two_deliveries(server: MailServer) -> None:
    for _ in range(2):
        server.send(_mail(message_id="<o-4.shipped@shop>"))
    found = server.find(message_id="<o-4.shipped@shop>")
    assert (found["total"], found["messages"][0]["deliveries"]) == (2, 2)


def test_a_refused_recipient_gets_550_and_the_others_their_mail(server: MailServer) -> None:
    server.dial(refuse_recipients=["Gone@example.com"])
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
        server.send(_mail(to="gone@example.com"))
    assert refusal.value.recipients["gone@example.com"][0] == 550
    server.send(_mail(to="ann@example.com"))
    assert [m["rcpt_tos"] for m in server.find()["messages"]] == [["ann@example.com"]]


def test_a_temporary_refusal_keeps_nothing(server: MailServer) -> None:
    server.dial(temporary_rate=1)
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        server.send(_mail())
    assert (refusal.value.smtp_code, server.find()["total"]) == (451, 0)


def test_a_lost_answer_has_kept_the_mail(server: MailServer) -> None:
    server.dial(lost_answer_next=1)
    with pytest.raises(smtplib.SMTPServerDisconnected):
        server.send(_mail(message_id="<o-5@shop>"))
    server.send(_mail(message_id="<o-5@shop>"))
    assert [m["answered"] for m in server.find(message_id="<o-5@shop>")["messages"]] == [True, False]
    log = server.http.get("/api/calls", params={"message_id": "o-5@shop"}).json()
    assert [call["outcome"] for call in log["calls"]] == ["accepted", "lost_answer"]
    assert log["outcomes"] == {"accepted": 1, "lost_answer": 1}


def test_a_connection_dropped_before_the_answer_can_also_keep_nothing(server: MailServer) -> None:
    server.dial(drop_before_next=1)
    with pytest.raises(smtplib.SMTPServerDisconnected):
        server.send(_mail())
    assert server.find()["total"] == 0


async def test_an_asynchronous_client_sees_garbage_and_then_a_good_server(server: MailServer) -> None:
    server.dial(garbage_next=1)
    with pytest.raises(aiosmtplib.SMTPException):
        await aiosmtplib.send(_mail(), hostname="127.0.0.1", port=server.smtp)
    await aiosmtplib.send(_mail(), hostname="127.0.0.1", port=server.smtp)
    assert await asyncio.to_thread(lambda: server.find()["total"]) == 1


def test_a_server_that_is_away_refuses_and_comes_back_on_the_same_port(server: MailServer) -> None:
    with smtplib.SMTP("127.0.0.1", server.smtp, timeout=10) as client:
        client.noop()
        server.dial(away=True)
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.noop()
    with pytest.raises(ConnectionRefusedError):
        server.send(_mail())
    server.dial(away="busy")
    with pytest.raises(smtplib.SMTPConnectError) as busy:
        server.send(_mail())
    assert busy.value.smtp_code == 421
    server.dial(away="here")
    server.send(_mail())
    assert server.find()["total"] == 1


def test_latency_delays_the_answer(server: MailServer) -> None:
    server.dial(latency_ms=150)
    before = time.monotonic()
    server.send(_mail())
    assert time.monotonic() - before >= 0.15


def test_a_login_is_welcome_but_not_needed(server: MailServer) -> None:
    with smtplib.SMTP("127.0.0.1", server.smtp, timeout=10) as client:
        client.login("shop", "anything")
        client.send_message(_mail())
    assert server.find()["total"] == 1


@pytest.mark.parametrize("dials", [{"temporary_rate": 2}, {"lost_answer": 1}, {"away": "perhaps"}])
def test_a_dial_that_does_not_exist_is_an_error(server: MailServer, dials: dict[str, Any]) -> None:
    assert server.http.put("/api/dials", json=dials).status_code == 422
    assert server.http.get("/api/dials").json()["away"] == "here"


def test_what_is_asked_wrongly_or_for_what_is_not_there_is_refused_with_a_reason(server: MailServer) -> None:
    for path, status in {
        "/api/messages?limit=1001": 422,
        "/api/messages?skip=-1": 422,
        "/api/calls?outcome=perhaps": 422,
        "/?skip=some": 422,
        "/api/messages/none": 404,
        "/api/messages/none/raw": 404,
        "/api/nothing": 404,
    }.items():
        answer = server.http.get(path)
        assert (answer.status_code, bool(answer.json()["detail"])) == (status, True), path
    for body in (b"[]", b"no JSON"):
        assert server.http.put("/api/dials", content=body).status_code == 422


def test_mails_and_dials_survive_a_kill(tmp_path: Path) -> None:
    server = MailServer(tmp_path)
    server.start()
    server.send(_mail(message_id="<o-6@shop>"))
    server.dial(lost_answer_next=3)
    server.kill()
    server.start()
    try:
        assert [m["message_id"] for m in server.find()["messages"]] == ["<o-6@shop>"]
        assert server.http.get("/api/dials").json()["lost_answer_next"] == 3
        assert b"A plain text." in server.http.get(f"/api/messages/{server.find()['messages'][0]['id']}/raw").content
    finally:
        server.kill()


def test_mails_of_a_folder_that_has_them_in_files_are_taken_in(tmp_path: Path) -> None:
    server = MailServer(tmp_path)
    server.start()
    server.send(_mail(message_id="<o-7@shop>"))
    [kept] = server.find()["messages"]
    raw = server.http.get(f"/api/messages/{kept['id']}/raw").content
    server.kill()
    with closing(sqlite3.connect(tmp_path / "mail.sqlite")) as books, books:
        books.execute("DELETE FROM letters")
    (tmp_path / "messages").mkdir()
    (tmp_path / "messages" / f"{kept['id']}.eml").write_bytes(raw)
    (tmp_path / "messages" / "half.eml").write_bytes(b"never acknowledged")
    server.start()
    try:
        assert server.http.get(f"/api/messages/{kept['id']}/raw").content == raw
        assert not (tmp_path / "messages").exists()
    finally:
        server.kill()


def _mail(
    *,
    to: str = "ann@example.com",
    subject: str = "Hello",
    message_id: str = "<m@shop>",
    text: str = "A plain text.",
) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"], mail["Message-ID"] = (
        "Shop <shop@example.com>",
        to,
        subject,
        message_id,
    )
    mail.set_content(text)
    return mail


def _until(ready: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def test_a_mail_is_kept_as_it_was_written_whatever_stands_around_its_dots(server: MailServer) -> None:
    letters = {
        "dots": (b"Subject: dots\r\n\r\n..\r\n...two\r\nend.\r\n.", b"\r\n"),
        "first": (b"..begins\r\n", b".\r\n"),
        "empty": (b".", b"\r\n"),
    }
    kept = {}
    with smtplib.SMTP("127.0.0.1", server.smtp, timeout=10) as client:
        client.ehlo()
        for name, pieces in letters.items():
            assert _begin(client) == 354
            for piece in pieces:
                client.send(piece)
            code, reply = client.getreply()
            assert code == 250
            kept[name] = server.http.get(f"/api/messages/{reply.decode().split()[-1]}/raw").content
    assert kept == {"dots": b"Subject: dots\r\n\r\n.\r\n..two\r\nend.\r\n", "first": b".begins\r\n", "empty": b""}


def test_what_is_sent_ahead_waits_for_its_turn(server: MailServer) -> None:
    with smtplib.SMTP("127.0.0.1", server.smtp, timeout=10) as client:
        client.ehlo()
        assert _begin(client) == 354
        client.send(b"Subject: one\r\n\r\nHello.\r\n.\r\nVRFY <a@example.com>\r\nNOOP\r\n")
        assert [client.getreply()[0] for _ in range(3)] == [250, 252, 250]


def test_a_line_that_is_too_long_is_refused_and_the_next_mail_is_taken(server: MailServer) -> None:
    with smtplib.SMTP("127.0.0.1", server.smtp, timeout=10) as client:
        client.ehlo()
        for length, answer in ((1000, 500), (999, 250)):
            assert _begin(client) == 354
            client.send(b"x" * length + b"\r\n.\r\n")
            assert client.getreply()[0] == answer
        assert client.docmd("DATA")[0] == 503


def _begin(client: smtplib.SMTP) -> int:
    client.mail("a@example.com")
    client.rcpt("b@example.com")
    return client.docmd("DATA")[0]
