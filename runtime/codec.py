"""Encryption of everything that Temporal stores for us: inputs, results, summaries, failure texts."""

import os
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
_NONCE_BYTES = 12


class UnknownKey(Exception):
    """A payload was encrypted under a key that is not in the ring, or was altered. Names the key's id."""


class EncryptionCodec(PayloadCodec):
    """AES-256-GCM under a ring of keys: the first key encrypts, every key decrypts.

    A key is retired by putting a new one first; it may leave the ring once no retained history names it. The key's id
    travels in the metadata and is bound to the ciphertext.
    """

    def __init__(self, ring: Mapping[str, bytes]) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in ring.items()}
        self._current = next(iter(ring))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt each payload whole, its own metadata included."""
        return [self._encrypt(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt the payloads that are ours and pass over the rest. Raises UnknownKey."""
        return [self._decrypt(p) if p.metadata.get("encoding") == ENCODING else p for p in payloads]

    def _encrypt(self, payload: Payload) -> Payload:
        nonce = os.urandom(_NONCE_BYTES)
        bound = self._current.encode()
        sealed = self._ciphers[self._current].encrypt(nonce, payload.SerializeToString(), bound)
        return Payload(metadata={"encoding": ENCODING, KEY_ID: bound}, data=nonce + sealed)

    def _decrypt(self, payload: Payload) -> Payload:
        bound = payload.metadata.get(KEY_ID, b"")
        key_id = bound.decode("ascii", "replace")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise UnknownKey(f"no key {key_id!r} in ENCRYPTION_KEYS")
        try:
            opened = cipher.decrypt(payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:], bound)
        except (InvalidTag, ValueError):  # ValueError: it is too short to hold a nonce
            raise UnknownKey(f"the payload does not open with key {key_id!r}") from None
        return Payload.FromString(opened)
