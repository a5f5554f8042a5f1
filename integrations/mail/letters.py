"""A `Mail` as the bytes that go over the wire (RFC 5322, RFC 2045, RFC 3834).

Nothing that a customer typed can add a header: names and subjects lose their control characters, addresses must be
addresses, and the standard library refuses line breaks in whatever is left.
"""

import re
from datetime import datetime
from email.errors import HeaderParseError, MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from integrations.errors import Rejected
from integrations.mail.mailer import Mail

NAME = "smtp"

# 7bit: a server need not offer 8BITMIME, and a mail must not change its bytes on the way.
_POLICY = SMTP.clone(cte_type="7bit")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]+")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9._+=-]+@[A-Za-z0-9.-]+>")
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
        return _message(mail, sender=sender, recipient=recipient, date=date).as_bytes()
    except (MessageError, ValueError):
        raise Rejected(NAME, "the mail cannot be put into words of RFC 5322", status=550, code="content") from None


def needs_utf8(*addresses: Address) -> bool:
    """Whether the server must speak SMTPUTF8 (RFC 6531): only for names before the @ beyond ASCII."""
    return not all(address.addr_spec.isascii() for address in addresses)


def _message(mail: Mail, *, sender: Address, recipient: Address, date: datetime) -> EmailMessage:
    policy = _POLICY.clone(utf8=needs_utf8(sender, recipient))
    message = EmailMessage(policy=policy)
    message["Message-ID"] = mail.message_id
    message["Date"] = format_datetime(date)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = _clean(mail.subject)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
    # Last: the two calls above take away whatever begins with "Content-".
    message["Content-Language"] = mail.language
    return message


def _address(name: str, spec: str) -> Address:
    """The address, its domain in ASCII (IDNA) so that any server can route it."""
    local, at, domain = spec.strip().rpartition("@")
    if not (local and at and domain) or _CONTROLS.search(spec) or " " in spec:
        raise ValueError("no address")
    host = domain if domain.isascii() else domain.encode("idna").decode()
    if local.isascii():
        return Address(display_name=name, addr_spec=f"{local}@{host}")
    # The standard library reads no mailbox beyond ASCII from one string, and would check nothing of two.
    if not _UTF8_LOCAL.fullmatch(local) or not _HOST.fullmatch(host):
        raise ValueError("no address")
    return Address(display_name=name, username=local, domain=host)


def _clean(text: str) -> str:
    return _CONTROLS.sub(" ", text).strip()
