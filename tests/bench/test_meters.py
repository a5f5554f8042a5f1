"""Processor time and memory as Linux tells them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from time import process_time

import pytest

from bench import meters
from bench.meters import Reading
from local.processes import LocalError

BUSY = "import sys\nfor number in range(3_000_000): number * number\nprint('done', flush=True)\nsys.stdin.read()"


@pytest.fixture
def busy_child() -> Iterator[int]:
    """A child that has worked for a while and now waits."""
    with subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child.pid


def test_the_four_times_of_a_process_are_found_behind_any_name() -> None:
    stat = "42 (a) b (c)) S 1 42 42 0 -1 4194304 900 800 0 0 10 20 300 4000 20 0 1 0 77 1000 50"
    assert meters.parse_ticks(stat) == 4330


def test_a_field_is_read_in_kilobytes() -> None:
    status = "Name:\tworker\nVmRSS:\t  180224 kB\nRssAnon:\t  90112 kB\n"
    assert meters.parse_field(status, "VmRSS") == 180224
    assert meters.parse_field(status, "VmSwap") == 0


def test_the_time_of_a_child_counts_while_it_lives_and_after_it_has_ended(busy_child: int) -> None:
    used = meters.processor_seconds(busy_child)
    assert used > 0
    assert busy_child in meters.family(os.getpid())
    with_child = meters.processor_seconds(os.getpid())
    assert with_child >= process_time() + used - 0.1


def test_memory_is_that_of_this_process() -> None:
    assert 10 < meters.resident_mb(os.getpid()) < 5000
    assert 10 < meters.shared_out_mb(os.getpid()) < 5000


def test_a_process_that_is_gone_has_used_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert meters.processor_seconds(child.pid) == 0


def test_what_was_spent_lies_between_two_readings() -> None:
    before = Reading({"web": 7, "worker": 8}, {"web": 1.0, "worker": 2.0})
    after = Reading({"web": 7, "worker": 8}, {"web": 1.5, "worker": 4.0})
    assert meters.spent(before, after) == {"web": 0.5, "worker": 2.0}


def test_a_process_that_was_started_again_spoils_the_measurement() -> None:
    before = Reading({"web": 7, "worker": 8}, {"web": 1.0, "worker": 2.0})
    after = Reading({"web": 7, "worker": 9}, {"web": 1.5, "worker": 0.1})
    with pytest.raises(LocalError, match="worker was started again"):
        meters.spent(before, after)
