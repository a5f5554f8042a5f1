"""What of portals works without a browser: codes, log-ins, settings, and one line about what is missing."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from integrations.portals.browser import BrowserMissing, Chromium, find_chromium
from integrations.portals.office import Office
from integrations.portals.registry import ADAPTERS, adapter
from integrations.portals.sessions import Sessions
from integrations.portals.totp import code, decoded
from runtime.portal_accounts import parse_accounts
from tests.runtime.conftest import GOOD
from tests.supplier import BUYER, Supplier, needs_chromium

ROOT = Path(__file__).parents[2]
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.mark.parametrize(
    ("at", "digits"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_are_those_of_the_rfc(at: int, digits: str) -> None:
    assert code(RFC_SECRET, at) == digits


def test_a_secret_may_be_written_as_portals_show_it() -> None:
    assert decoded("jbsw y3dp-ehpk 3pxp") == decoded("JBSWY3DPEHPK3PXP")
    for bad in ("", "ABC", "JBSWY3DPEHPK3PX!", "1" * 16):
        with pytest.raises(ValueError, match="one-time passwords"):
            decoded(bad)


def test_a_log_in_that_was_renewed_by_somebody_else_is_not_dropped() -> None:
    sessions = Sessions()
    old, new = {"cookies": ["old"]}, {"cookies": ["new"]}
    sessions.keep("northgate", old)
    sessions.keep("northgate", new)
    sessions.drop("northgate", old)
    assert sessions.get("northgate") == new
    sessions.drop("northgate", new)
    assert sessions.get("northgate") is None


def test_a_broken_file_of_a_log_in_counts_as_none(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    (tmp_path / "northgate.json").write_text("{")
    assert sessions.get("northgate") is None
    sessions.keep("northgate", {"cookies": []})
    assert Sessions(tmp_path).get("northgate") == {"cookies": []}


def test_every_adapter_is_called_what_the_registry_calls_it() -> None:
    assert {name: kind.name for name, kind in ADAPTERS.items()} == {name: name for name in ADAPTERS}
    with pytest.raises(ValueError, match="there are: northgate"):
        adapter("southgate")


def test_an_account_with_an_unknown_adapter_is_refused_at_the_start() -> None:
    account = parse_accounts(
        '[{"name": "x", "adapter": "nope", "base_url": "https://p.example", "username": "u", "password": "p"}]'
    )
    with pytest.raises(ValueError, match="no portal adapter is called 'nope'"):
        Office(Chromium(Path("/nowhere")), account, Sessions())


def test_no_secret_of_an_account_is_in_its_text() -> None:
    assert not any(secret in repr(BUYER) for secret in BUYER.secrets)


def test_a_missing_browser_is_told_in_one_line() -> None:
    with pytest.raises(BrowserMissing, match=r"^Portals need Chromium: /nowhere/chromium is no program\. .*$"):
        find_chromium("/nowhere/chromium")


async def test_a_browser_that_does_not_start_is_told_in_one_line(tmp_path: Path) -> None:
    program = tmp_path / "chromium"
    await asyncio.to_thread(program.write_text, "#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(BrowserMissing) as caught:
        async with Chromium(program, sandbox=False):
            pass
    assert "does not start" in str(caught.value)
    assert "\n" not in str(caught.value)


def worker(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "worker.py", "--queue", "portals"],
        cwd=ROOT,
        env={**os.environ, **GOOD, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_portal_worker_without_chromium_says_what_to_install() -> None:
    done = worker(CHROMIUM_PATH="/nowhere/chromium")
    assert done.returncode == 2
    assert done.stderr == (
        "The worker cannot start:\nPortals need Chromium: /nowhere/chromium is no program. Install it, or name it with "
        "CHROMIUM_PATH.\n"
    )


def test_a_portal_worker_without_playwright_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "playwright").mkdir()
    (tmp_path / "playwright" / "__init__.py").write_text(
        "raise ModuleNotFoundError('No module named playwright', name='playwright')"
    )
    done = worker(PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("The worker cannot start:\nPortals need the package `playwright`")


def test_everything_else_runs_without_playwright() -> None:
    rooms = "server, worker, runtime.worker, runtime.web, activities.portals"
    program = f"import sys; sys.modules['playwright'] = None; import {rooms}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def check(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runtime.portal_check", *arguments],
        cwd=ROOT,
        env={**os.environ, "CHROMIUM_SANDBOX": "off", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def portals(supplier: Supplier) -> str:
    account = supplier.account
    names = ("name", "adapter", "base_url", "username", "password", "totp")
    return json.dumps([{name: getattr(account, name) for name in names}])


@needs_chromium
async def test_a_check_names_every_part_that_is_there_and_every_one_that_is_not(
    supplier: Supplier, tmp_path: Path
) -> None:
    whole = await asyncio.to_thread(check, "northgate", "--sku", "MUG-01", PORTALS=portals(supplier))
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert '  ok       button "Place order"\n' in whole.stdout
    await supplier.turn(button_renamed="summary")
    arguments = ("northgate", "--sku", "MUG-01", "--pictures", str(tmp_path / "pictures"))
    broken = await asyncio.to_thread(check, *arguments, PORTALS=portals(supplier))
    assert broken.returncode == 1
    assert '  MISSING  button "Place order"\n' in broken.stdout
    assert "It ended early: northgate: summary" in broken.stdout
    assert not any(secret in broken.stdout + broken.stderr for secret in supplier.account.secrets)
    assert len(list((tmp_path / "pictures").iterdir())) > 5
    assert await supplier.orders() == []


def test_a_check_of_a_portal_that_is_not_set_up_says_so() -> None:
    done = check("southgate")
    assert done.returncode == 2
    assert "no portal is called 'southgate'; PORTALS has: none" in done.stderr
