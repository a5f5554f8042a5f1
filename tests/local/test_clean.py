"""`make clean` removes data, but not under a running stack."""

import subprocess
import sys
from pathlib import Path

from local.stack import hold

PROGRAM = Path(__file__).resolve().parents[2] / "local" / "clean.py"


def cleaned(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", PROGRAM], cwd=folder, capture_output=True, text=True, check=False)


def test_data_and_caches_go_and_the_rest_stays(tmp_path: Path) -> None:
    for folder in (".waybill/up/logs", ".mypy_cache", "domain"):
        (tmp_path / folder).mkdir(parents=True)
    hold(tmp_path / ".waybill" / "up")()
    assert cleaned(tmp_path).returncode == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["domain"]


def test_data_of_a_running_stack_stay(tmp_path: Path) -> None:
    (tmp_path / ".waybill" / "up").mkdir(parents=True)
    release = hold(tmp_path / ".waybill" / "up")
    refused = cleaned(tmp_path)
    release()
    assert refused.returncode == 2
    assert refused.stderr.startswith("The stack on .waybill/up is running (pid ")
    assert (tmp_path / ".waybill" / "up").exists()
