"""Histories made fit for keeping: decrypted, and free of what names a machine."""

import re
import socket
from collections.abc import Iterator

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHistory

from runtime.codec import EncryptionCodec
from tests.street import ROOT

_PORT = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?")
_WORKER = re.compile(rf"\d+@{re.escape(socket.gethostname())}")
_FOLDERS = re.compile(r"(/[\w.+-]+)+/(?=(site-packages|lib/python[\d.]+)/)")


async def scrubbed(history: WorkflowHistory) -> WorkflowHistory:
    """The same history with payloads in plain JSON, and without hosts, ports and folders."""
    codec = EncryptionCodec({"test": b"0123456789abcdef0123456789abcdef"})
    for event in history.events:
        for payload in payloads_of(event):
            payload.CopyFrom((await codec.decode([payload]))[0])
            payload.data = _clean(payload.data.decode()).encode()
        _scrub_texts(event)
    return history


def payloads_of(message: Message) -> Iterator[Payload]:
    """Every payload in a message, however deep."""
    for part in _parts(message):
        if isinstance(part, Payload):
            yield part
        else:
            yield from payloads_of(part)


def _parts(message: Message) -> Iterator[Message]:
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            yield from (part for part in value.values() if isinstance(part, Message))
        elif isinstance(value, Message):
            yield value
        else:
            yield from value


def _scrub_texts(message: Message) -> None:
    for field, value in message.ListFields():
        if isinstance(value, str):
            setattr(message, field.name, _clean(value))
    for part in _parts(message):
        if not isinstance(part, Payload):
            _scrub_texts(part)


def _clean(text: str) -> str:
    text = _WORKER.sub("worker", text).replace(socket.gethostname(), "host")
    text = _PORT.sub("sandbox.example", text)
    return _FOLDERS.sub("", text.replace(f"{ROOT}/", ""))
