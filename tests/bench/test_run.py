"""The whole bench in small, and what it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = {
    "ORDERS": "6",
    "IN_FLIGHT": "3",
    "WAITING": "10",
    "RATE": "10",
    "LISTED": "2000",
    "LOOKS": "24",
    "RESERVATIONS": "20",
}


def bench(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_wrong_setting_is_told_before_anything_starts() -> None:
    ended = bench(ORDERS="lots")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "ORDERS must be a number from 1 to 10000000, not 'lots'.\n"


def test_another_command_is_refused() -> None:
    ended = bench("huge")
    assert (ended.returncode, ended.stderr) == (2, "usage: python -m bench [large | portals]\n")


@pytest.mark.fuzz
def test_a_small_run_measures_everything() -> None:
    ended = bench(**SMALL)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    *_, last = ended.stdout.splitlines()
    measures = json.loads(last)
    assert list(measures) == [
        *("events_per_order", "executions_per_order", "orders_per_second", "floor_per_second", "ratio"),
        *("cpu_ms_per_order", "accept_p50_ms", "accept_p99_ms", "start_p50_ms", "worker_mb", "list_p50_ms"),
        *("search_p50_ms", "stack_mb"),
        *("reservations_per_second", "pg_floor", "hot_sku_per_second", "hot_sku_floor", "route_ms"),
    ]
    assert measures["executions_per_order"] == 1
    assert 20 < measures["events_per_order"] < 200
    assert list(measures["cpu_ms_per_order"]) == ["total", "temporal", "worker", "web", "postgres", "sandbox"]
    assert all(part > 0 for part in measures["cpu_ms_per_order"].values())
    assert all(measures[name] > 0 for name in measures if name != "cpu_ms_per_order")


@pytest.mark.fuzz
def test_a_small_run_over_a_portal_counts_its_orders_in_the_portals_own_books() -> None:
    ended = bench("portals", JOBS="2")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    measured = json.loads(ended.stdout.splitlines()[-1])["portals"]
    assert [each["visits"] for each in measured] == [1, 2, 4]
    assert all(value > 0 for each in measured for value in each.values())
