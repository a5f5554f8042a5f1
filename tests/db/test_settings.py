"""One-off commands find their settings where web and worker find them."""

import subprocess
import sys
from pathlib import Path

import pytest

from db.settings import setting

ROOT = Path(__file__).parents[2]


def test_a_variable_comes_before_a_file_and_an_empty_one_counts_as_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "database_url").write_text("postgresql://file/waybill\n")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "")
    assert setting("DATABASE_URL") == "postgresql://file/waybill"
    monkeypatch.setenv("DATABASE_URL", "postgresql://variable/waybill")
    assert setting("DATABASE_URL") == "postgresql://variable/waybill"
    assert setting("FIRST_API_KEY") == ""


def test_the_jobs_of_production_read_their_secret_files(tmp_path: Path, shop_url: str) -> None:
    (tmp_path / "database_url").write_text(shop_url + "\n")
    (tmp_path / "first_api_key").write_text("wb_" + "k" * 40 + "\n")
    for command in (("db.migrate",), ("api.first_key",), ("db.restored", "2026-03-01T12:00:00Z")):
        run = subprocess.run(
            [sys.executable, "-m", *command],
            env={"SECRETS_DIR": str(tmp_path)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("instant", [[], ["yesterday"], ["2026-03-01T12:00:00"], ["2999-01-01T00:00:00Z"]])
def test_a_restore_is_told_with_an_instant_that_has_been(instant: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "db.restored", *instant],
        env={"DATABASE_URL": "postgresql://127.0.0.1:1/waybill"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert "not in the future" in run.stderr
