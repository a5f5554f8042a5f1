"""The drill itself: a short one holds, and with a bug planted it does not."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from drill.faults import Fault, Kind
from drill.run import Run
from drill.settings import Settings
from drill.sources import copy_sources
from drill.verdict import reach
from local import supplier
from tests.drill.bugs import BUGS, Bug, dial
from tests.mutants.mutants import plant

ROOT = Path(__file__).parents[2]
SEED, ORDERS = 20260504, 12
RICH = 276
"""a seed that draws in 25 s: PostgreSQL, a web process and a worker killed at once, Temporal killed, a worker frozen,
wires cut and left half open, a carrier who hangs and is away; and orders sent back, added to, cancelled, handed over"""
PATIENCE = 25.0
"""seconds that a drill with a bug waits for orders that will never end"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="waybill-drill-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)
        yield Path(made)


async def test_a_short_drill_holds(folder: Path) -> None:
    said: list[str] = []
    settings = Settings(seed=RICH, orders=ORDERS, seconds=25)
    drill = await Run(settings, environment=os.environ, say=said.append, folder=folder / "drill").go()
    verdict = reach(drill)
    broken = {name: found for name, found in verdict.laws.items() if found}
    assert verdict.holds, (broken, [told.timeline for told in verdict.told()], said)
    assert len(drill.accepted) == ORDERS
    assert len(verdict.done) >= 7
    assert verdict.recovered, "no order ever moved after a fault"


@pytest.mark.fuzz
@pytest.mark.skipif(bool(supplier.missing()), reason="a supplier's portal is not visited without a browser")
async def test_a_drill_of_suppliers_portals_holds_whatever_becomes_of_workers_browsers_and_site(folder: Path) -> None:
    faults = [
        dial("portal", seconds=20, fail_next=[{"operation": "orders.submit", "status": "hang_after", "times": 2}]),
        Fault(number=2, at=8, kind=Kind.KILL, seconds=1, targets=("portals-1",)),
        Fault(number=3, at=14, kind=Kind.BROWSER, seconds=0, targets=("portals-2",)),
        Fault(number=4, at=18, kind=Kind.HALF_OPEN, seconds=8, targets=("portals-1", "sandbox")),
        Fault(number=5, at=24, kind=Kind.FREEZE, seconds=12, targets=("portals-2",)),
        Fault(number=6, at=30, kind=Kind.KILL, seconds=3, targets=("portals-1", "postgres")),
    ]
    run = Run(
        Settings(seed=SEED, orders=8, seconds=45),
        environment=os.environ,
        say=print,
        folder=folder / "drill",
        only=("supplied", "cancelled_supplied"),
        faults=faults,
        supplied=True,
    )
    drill = await run.go()
    verdict = reach(drill)
    broken = {name: found for name, found in verdict.laws.items() if found}
    assert verdict.holds, (broken, [told.timeline for told in verdict.told()])
    assert drill.books is not None
    assert drill.books.objects["portal_order"], "nothing was ordered in the portal"


def test_a_wrong_setting_is_told_before_anything_starts() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "drill"],
        cwd=ROOT,
        env={**os.environ, "FAULTS": "gremlins"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "FAULTS knows" in ended.stderr


@pytest.mark.fuzz
def test_the_command_ends_with_one_line_of_json_and_status_0_where_everything_holds() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "drill"],
        cwd=ROOT,
        env={**os.environ, "SEED": "8", "ORDERS": "20"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    last = json.loads(ended.stdout.splitlines()[-1])
    assert (ended.returncode, last["holds"], last["seed"], last["orders"]) == (0, True, 8, 20), ended.stdout
    assert (ROOT / ".waybill" / "drill" / "verdict.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_every_bug_still_has_its_place(tmp_path: Path) -> None:
    for number, bug in enumerate(BUGS):
        path = tmp_path / str(number) / bug.mutant.path
        path.parent.mkdir(parents=True)
        path.write_bytes((ROOT / bug.mutant.path).read_bytes())
        plant(tmp_path / str(number), bug.mutant)


@pytest.mark.fuzz
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.mutant.law)
async def test_the_drill_catches_a_planted_bug(folder: Path, bug: Bug) -> None:
    if bug.supplied and (lacking := supplier.missing()):
        pytest.skip(f"a supplier's portal is not visited without {lacking}")
    source = await asyncio.to_thread(copy_sources, ROOT, folder / "source")
    plant(source, bug.mutant)
    settings = Settings(seed=SEED, orders=bug.orders, seconds=bug.seconds)
    run = Run(
        settings,
        environment=os.environ,
        say=print,
        folder=folder / "drill",
        source=source,
        only=bug.shapes,
        faults=list(bug.faults),
        patience=PATIENCE,
        supplied=bug.supplied,
    )
    verdict = reach(await run.go())
    assert verdict.laws[bug.law], {name: found for name, found in verdict.laws.items() if found}


@pytest.mark.fuzz
async def test_the_faults_that_are_hard_to_inject_really_are(folder: Path) -> None:
    faults = [
        Fault(number=1, at=4, kind=Kind.UPGRADE, seconds=0),
        Fault(number=2, at=6, kind=Kind.CLOCK, seconds=8, ahead=-600),
        Fault(number=3, at=12, kind=Kind.DISK, seconds=6),
        Fault(number=4, at=14, kind=Kind.HALF_OPEN, seconds=8, targets=("worker-1", "temporal")),
    ]
    settings = Settings(seed=SEED, orders=10, seconds=24)
    run = Run(
        settings, environment=os.environ, say=print, folder=folder / "drill", only=("single", "split"), faults=faults
    )
    verdict = reach(await run.go())
    assert verdict.holds, {name: found for name, found in verdict.laws.items() if found}
    assert sorted(verdict.done) == ["clock", "disk", "half_open", "upgrade"]
    assert "File too large" in (folder / "drill" / "logs" / "postgres.log").read_text(errors="replace")
    assert "waybill/drill-2 is current now" in (folder / "drill" / "logs" / "version.log").read_text()
