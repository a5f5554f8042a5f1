"""The threads of Temporal's SDK."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.sdk_threads import NUMBER

_COUNT = """
from pathlib import Path
from temporalio.runtime import Runtime
from runtime.sdk_threads import spare_threads

spare_threads()
before = len(list(Path("/proc/self/task").iterdir()))
Runtime.default()
print(len(list(Path("/proc/self/task").iterdir())) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
@pytest.mark.parametrize(("asked", "threads"), [(None, "1"), ("3", "3")])
def test_the_sdk_has_one_thread_unless_the_environment_names_another_number(asked: str | None, threads: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != NUMBER}
    environment |= {} if asked is None else {NUMBER: asked}
    counted = subprocess.run(
        [sys.executable, "-c", _COUNT], env=environment, capture_output=True, text=True, check=True
    )
    assert counted.stdout.strip() == threads
