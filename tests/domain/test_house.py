"""What the rooms may import, and what the rules may know."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "domain").glob("*.py"))


def imported(tree: ast.Module) -> set[str]:
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("file", RULES, ids=lambda path: path.stem)
def test_the_rules_import_nothing_but_the_standard_library(file: Path) -> None:
    strangers = {name.partition(".")[0] for name in imported(ast.parse(file.read_text()))}
    assert strangers <= sys.stdlib_module_names | {"domain"}


@pytest.mark.parametrize("file", RULES, ids=lambda path: path.stem)
def test_no_rule_looks_at_a_clock(file: Path) -> None:
    calls = {
        n.func.attr
        for n in ast.walk(ast.parse(file.read_text()))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)
    }
    assert not calls & {"now", "utcnow", "today", "time", "monotonic", "sleep"}


def test_every_room_imports_only_what_stands_below_it() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
