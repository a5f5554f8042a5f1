"""A `Mail` as the bytes that go over the wire (RFC 5322, RFC 2045, RFC 3834).

Nothing that a customer typed can add a header: names and subjects lose their control characters, addresses must be
addresses, and a line break that is left in spite of that is refused. All is ASCII, since a server need not offer
8BITMIME and a mail must not change its bytes on the way; only names before the @ may not be (RFC 6531).

It is written down here because the standard library parses again every header that it is given, which takes it ten
times as long.
"""

import re
from binascii import b2a_qp
from datetime import datetime
from email.errors import HeaderParseError, MessageError
from email.header import Header
from email.headerregistry import Address
from email.utils import format_datetime, parseaddr, quote

from integrations.errors import Rejected
from integrations.mail.mailer import Mail

NAME = "smtp"

_EOL = "\r\n"
# Quoted-printable holds no such thing, since there "=" goes before two digits or the end of a line (RFC 2045, 6.7).
_BOUNDARY = "=_waybill_alternative"
_SHORT = 60
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]+")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9._+=-]+@[A-Za-z0-9.-]+>")
_PLAIN_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_PLAIN_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_UTF8_LOCAL = re.compile(r"[\w!#$%&'*+/=?^`{|}~.-]+")
_HOST = re.compile(r"[A-Za-z0-9.-]+")
_LANGUAGE = re.compile(r"[A-Za-z0-9-]{1,35}")


def parse_sender(sender: str) -> Address:
    """``Shop <shop@example.com>`` or a bare address. Raises ValueError."""
    name, spec = parseaddr(sender)
    try:
        return _address(name, spec)
    except (HeaderParseError, IndexError, ValueError):
        raise ValueError("the sender is not an e-mail address") from None


def parse_recipient(mail: Mail) -> Address:
    """Whom it is for. Raises Rejected, without quoting the address."""
    try:
        return _address(_clean(mail.to_name), mail.to)
    except (HeaderParseError, IndexError, ValueError):
        # "from None", here and below: the cause quotes the address, and causes are logged with the error.
        raise Rejected(NAME, "the recipient is not an e-mail address", status=553, code="recipient") from None


def compose(mail: Mail, *, sender: Address, recipient: Address, date: datetime) -> bytes:
    """The whole mail. Raises Rejected where it cannot be one."""
    if not _MESSAGE_ID.fullmatch(mail.message_id) or not _LANGUAGE.fullmatch(mail.language):
        raise Rejected(NAME, "the Message-ID or the language is malformed", status=550, code="content")
    try:
        headers = _headers(mail, sender=sender, recipient=recipient, date=date)
        return _EOL.join((headers, _body(mail))).encode("utf-8" if needs_utf8(sender, recipient) else "ascii")
    except (MessageError, ValueError):
        raise Rejected(NAME, "the mail cannot be put into words of RFC 5322", status=550, code="content") from None


def needs_utf8(*addresses: Address) -> bool:
    """Whether the server must speak SMTPUTF8 (RFC 6531): only for names before the @ beyond ASCII."""
    return not all(address.addr_spec.isascii() for address in addresses)


def _headers(mail: Mail, *, sender: Address, recipient: Address, date: datetime) -> str:
    return _EOL.join(
        (
            f"Message-ID: {mail.message_id}",
            f"Date: {format_datetime(date)}",
            f"From: {_mailbox(sender)}",
            f"To: {_mailbox(recipient)}",
            f"Subject: {_words(_clean(mail.subject), 'Subject')}",
            "Auto-Submitted: auto-generated",
            f"Content-Language: {mail.language}",
            "MIME-Version: 1.0",
        )
    )


def _mailbox(address: Address) -> str:
    if not address.display_name:
        return address.addr_spec
    name = address.display_name
    quoted = name.isascii() and len(name) <= _SHORT
    shown = f'"{quote(name)}"' if quoted else Header(name, "utf-8", header_name="From").encode(linesep=_EOL)
    gap = " " if len(shown) + len(address.addr_spec) < _SHORT else f"{_EOL} "
    return f"{shown}{gap}<{address.addr_spec}>"


def _words(text: str, header: str) -> str:
    """Text as it is where it is short and plain, else in encoded words (RFC 2047) on as many lines as it takes."""
    if text.isascii() and len(text) <= _SHORT and "=?" not in text:
        return text
    return Header(text, "utf-8", header_name=header).encode(linesep=_EOL)


def _body(mail: Mail) -> str:
    plain = _part(mail.text, "plain")
    if mail.html is None:
        return plain
    kind = f'Content-Type: multipart/alternative; boundary="{_BOUNDARY}"'
    parts = (f"--{_BOUNDARY}{_EOL}{part}" for part in (plain, _part(mail.html, "html")))
    return _EOL.join((kind, "", *parts, f"--{_BOUNDARY}--", ""))


def _part(text: str, subtype: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n") + "\n"
    encoded = b2a_qp(lines.encode("utf-8"), istext=True).decode("ascii").replace("\n", _EOL)
    kind = f'Content-Type: text/{subtype}; charset="utf-8"'
    return _EOL.join((kind, "Content-Transfer-Encoding: quoted-printable", "", encoded))


def _address(name: str, spec: str) -> Address:
    """The address, its domain in ASCII (IDNA) so that any server can route it."""
    local, at, domain = spec.strip().rpartition("@")
    if not (local and at and domain) or _CONTROLS.search(spec) or " " in spec:
        raise ValueError("no address")
    host = domain if domain.isascii() else domain.encode("idna").decode()
    if _PLAIN_LOCAL.fullmatch(local) and _PLAIN_HOST.fullmatch(host):
        return Address(display_name=name, username=local, domain=host)
    if local.isascii():
        return Address(display_name=name, addr_spec=f"{local}@{host}")
    # The standard library reads no mailbox beyond ASCII from one string, and would check nothing of two.
    if not _UTF8_LOCAL.fullmatch(local) or not _HOST.fullmatch(host):
        raise ValueError("no address")
    return Address(display_name=name, username=local, domain=host)


def _clean(text: str) -> str:
    return _CONTROLS.sub(" ", text).strip()
