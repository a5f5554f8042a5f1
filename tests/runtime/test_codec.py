"""The codec: what Temporal stores for us can be read with our keys and by nobody else."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload

from runtime.codec import ENCODING, KEY_ID, EncryptionCodec, UnknownKey

OLD, NEW = os.urandom(32), os.urandom(32)
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"email": "ada@customer.example"}')


@given(st.lists(st.tuples(st.binary(max_size=64), st.binary(max_size=16)), max_size=4))
async def test_what_was_encrypted_comes_back_whole(parts: list[tuple[bytes, bytes]]) -> None:
    codec = EncryptionCodec({"k1": NEW})
    payloads = [Payload(metadata={"encoding": encoding}, data=data) for data, encoding in parts]
    sealed = await codec.encode(payloads)
    assert len(sealed) == len(payloads)
    assert await codec.decode(sealed) == payloads


async def test_nothing_of_the_payload_shows_but_the_name_of_the_key() -> None:
    (sealed,) = await EncryptionCodec({"k1": NEW}).encode([PLAIN])
    assert dict(sealed.metadata) == {"encoding": ENCODING, KEY_ID: b"k1"}
    assert not any(word in sealed.SerializeToString() for word in (b"ada", b"json/plain"))


async def test_the_same_payload_never_looks_the_same() -> None:
    codec = EncryptionCodec({"k1": NEW})
    assert len({p.data for p in await codec.encode([PLAIN] * 20)}) == 20


async def test_after_a_new_key_came_first_the_old_ones_still_open() -> None:
    before = await EncryptionCodec({"old": OLD}).encode([PLAIN])
    rotated = EncryptionCodec({"new": NEW, "old": OLD})
    assert await rotated.decode(before) == [PLAIN]
    (sealed,) = await rotated.encode([PLAIN])
    assert sealed.metadata[KEY_ID] == b"new"


async def test_a_key_that_left_the_ring_is_named() -> None:
    sealed = await EncryptionCodec({"old": OLD}).encode([PLAIN])
    with pytest.raises(UnknownKey, match="no key 'old'"):
        await EncryptionCodec({"new": NEW}).decode(sealed)


async def test_another_key_under_the_same_name_does_not_open() -> None:
    sealed = await EncryptionCodec({"k1": OLD}).encode([PLAIN])
    with pytest.raises(UnknownKey, match="does not open with key 'k1'"):
        await EncryptionCodec({"k1": NEW}).decode(sealed)


@given(st.data())
async def test_an_altered_payload_is_refused(data: st.DataObject) -> None:
    codec = EncryptionCodec({"k1": NEW})
    (sealed,) = await codec.encode([PLAIN])
    at = data.draw(st.integers(0, len(sealed.data) - 1))
    altered = bytearray(sealed.data)
    altered[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(UnknownKey):
        await codec.decode([Payload(metadata=sealed.metadata, data=bytes(altered))])


@pytest.mark.parametrize("length", [0, 5, 12, 27])
async def test_a_payload_that_was_cut_off_is_refused(length: int) -> None:
    codec = EncryptionCodec({"k1": NEW})
    (sealed,) = await codec.encode([PLAIN])
    with pytest.raises(UnknownKey):
        await codec.decode([Payload(metadata=sealed.metadata, data=sealed.data[:length])])


async def test_a_payload_under_another_keys_name_is_refused() -> None:
    codec = EncryptionCodec({"k1": NEW, "k2": NEW})
    (sealed,) = await codec.encode([PLAIN])
    with pytest.raises(UnknownKey):
        await codec.decode([Payload(metadata={"encoding": ENCODING, KEY_ID: b"k2"}, data=sealed.data)])


async def test_what_somebody_else_wrote_is_passed_over() -> None:
    foreign = [PLAIN, Payload(), Payload(metadata={"encoding": b"binary/null"})]
    assert await EncryptionCodec({"k1": NEW}).decode(foreign) == foreign
