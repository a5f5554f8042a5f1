"""API keys, scopes, and what notifications are called."""

import re

from domain.identity import Scope, hash_api_key, new_api_key
from domain.notifications import message_id


def test_no_two_api_keys_are_alike_and_each_has_256_random_bits() -> None:
    keys = {new_api_key() for _ in range(50)}
    assert len(keys) == 50
    assert all(re.fullmatch(r"wb_[A-Za-z0-9_-]{43}", key) for key in keys)


def test_of_a_key_only_a_hash_is_kept() -> None:
    key = new_api_key()
    assert hash_api_key(key) == hash_api_key(key) != hash_api_key(new_api_key())
    assert re.fullmatch(r"[0-9a-f]{64}", hash_api_key(key))
    assert key not in hash_api_key(key)


def test_every_scope_names_a_noun_and_what_may_be_done_with_it() -> None:
    assert all(re.fullmatch(r"[a-z]+:(read|write|grant|pay|override|decide)", scope) for scope in Scope)


def test_a_notification_has_the_same_message_id_on_every_attempt() -> None:
    assert message_id("n-1", "shop.example") == message_id("n-1", "shop.example") == "<n-1@shop.example>"
