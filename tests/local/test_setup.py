"""How the virtual environment gets its packages."""

from pathlib import Path

import pytest

from local.setup import fetch_uv, pips_settings


def test_uv_looks_where_pip_is_told_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.example/simple")
    monkeypatch.setenv("PIP_CERT", "/etc/ssl/example.pem")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    settings = pips_settings()
    assert settings["UV_DEFAULT_INDEX"] == "https://packages.example/simple"
    assert settings["SSL_CERT_FILE"] == "/etc/ssl/example.pem"


def test_without_an_index_there_is_no_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    assert fetch_uv(tmp_path) is None
    assert (tmp_path / "uv.txt").read_text(encoding="utf-8").startswith("uv==")
