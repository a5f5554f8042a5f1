"""Reading a mail: its parts as a person sees them."""

import base64
import re
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import lru_cache

_POLICY = default.clone(header_factory=lru_cache(maxsize=256)(default.header_factory))
"""What the standard library has read from a header serves again; it would read it anew whenever it is asked for."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attached file; `index` is its place among the attachments of its mail, from 0."""

    index: int
    filename: str
    content_type: str
    content: bytes

    @property
    def size(self) -> int:
        """Bytes, decoded."""
        return len(self.content)


class Letter:
    """A mail parsed from its wire form. Missing parts read as "" (text, headers) or None (HTML)."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._mail = message_from_bytes(raw, policy=_POLICY)

    @property
    def message_id(self) -> str:
        """The Message-ID header with its angle brackets."""
        return str(self._mail["Message-ID"] or "").strip()

    @property
    def subject(self) -> str:
        """The decoded Subject."""
        return str(self._mail["Subject"] or "")

    @property
    def sender(self) -> str:
        """The decoded From."""
        return str(self._mail["From"] or "")

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All headers in their order, decoded."""
        return [(name, str(value)) for name, value in self._mail.items()]

    @property
    def text(self) -> str:
        """The plain text part."""
        part = self._mail.get_body(("plain",))
        return _text_of(part) if isinstance(part, EmailMessage) else ""

    @property
    def has_html(self) -> bool:
        """Whether there is an HTML part."""
        return self._mail.get_body(("html",)) is not None

    @property
    def html(self) -> str | None:
        """The HTML part, with the pictures that the mail carries put in place of their `cid:` links."""
        part = self._mail.get_body(("html",))
        if not isinstance(part, EmailMessage):
            return None
        pictures = self._pictures()
        return re.sub(r"cid:([^\"'\s)>]+)", lambda match: pictures.get(match[1], match[0]), _text_of(part))

    @property
    def attachments(self) -> list[Attachment]:
        """The attached files, in their order."""
        parts = [part for part in self._mail.iter_attachments() if isinstance(part, EmailMessage)]
        return [_attachment(index, part) for index, part in enumerate(parts)]

    def _pictures(self) -> dict[str, str]:
        found = {}
        for part in self._mail.walk():
            if part.get_content_maintype() == "image" and part["Content-ID"]:
                content = base64.b64encode(_bytes_of(part)).decode()
                found[str(part["Content-ID"]).strip("<> ")] = f"data:{part.get_content_type()};base64,{content}"
        return found


def _attachment(index: int, part: EmailMessage) -> Attachment:
    name = part.get_filename() or f"part-{index + 1}"
    return Attachment(index, name, part.get_content_type(), _bytes_of(part))


def _bytes_of(part: EmailMessage) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else part.as_bytes()


def _text_of(part: EmailMessage) -> str:
    content = _bytes_of(part)
    try:
        return content.decode(part.get_content_charset("utf-8"), errors="replace")
    except LookupError:  # a charset that nobody knows
        return content.decode("utf-8", errors="replace")
