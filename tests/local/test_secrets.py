"""The local stack's secrets are made once and belong to their owner alone."""

import base64
from dataclasses import asdict
from pathlib import Path

from local.secrets import Secrets


def test_a_restart_finds_the_same_secrets(tmp_path: Path) -> None:
    assert Secrets.kept_in(tmp_path / "secrets") == Secrets.kept_in(tmp_path / "secrets")


def test_two_stacks_share_no_secret(tmp_path: Path) -> None:
    one, other = (asdict(Secrets.kept_in(tmp_path / name)) for name in ("one", "other"))
    assert not set(one.values()) & set(other.values())


def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    Secrets.kept_in(tmp_path / "secrets")
    files = list((tmp_path / "secrets").iterdir())
    assert len(files) == 8
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_the_key_ring_holds_one_key_of_32_bytes(tmp_path: Path) -> None:
    name, _, key = Secrets.kept_in(tmp_path / "secrets").encryption_keys.partition(":")
    assert name
    assert len(base64.b64decode(key, validate=True)) == 32


def test_a_printed_traceback_shows_no_secret(tmp_path: Path) -> None:
    secrets = Secrets.kept_in(tmp_path / "secrets")
    assert not any(value in repr(secrets) for value in asdict(secrets).values())
