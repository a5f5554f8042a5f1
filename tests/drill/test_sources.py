"""The builds to which a drill upgrades the workers."""

import ast
from pathlib import Path

import pytest

from drill.sources import SourceError, copy_sources, patch

ROOT = Path(__file__).parents[2]
STORY, ENDING = Path("workflows/orders/workflow.py"), Path("workflows/orders/ending.py")


def test_a_build_has_two_more_steps_each_gated_by_a_name_of_its_own(tmp_path: Path) -> None:
    build = copy_sources(ROOT, tmp_path / "build")
    patch(build, number=2)
    patch(build, number=3)
    texts = [(build / file).read_text(encoding="utf-8") for file in (STORY, ENDING)]
    for text in texts:
        ast.parse(text)
    gates = [f'workflow.patched("drill-{number}-{where}")' for number in (2, 3) for where in ("begins", "ends")]
    assert ["".join(texts).count(gate) for gate in gates] == [1, 1, 1, 1]
    assert (build / "worker.py").exists()
    assert "drill" not in (ROOT / STORY).read_text(encoding="utf-8")


def test_a_workflow_that_reads_otherwise_is_refused(tmp_path: Path) -> None:
    build = copy_sources(ROOT, tmp_path / "build")
    (build / STORY).write_text("pass\n", encoding="utf-8")
    with pytest.raises(SourceError, match="0 places"):
        patch(build, number=2)
