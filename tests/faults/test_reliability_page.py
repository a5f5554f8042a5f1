"""docs/reliability.md names for each promise a test, and the test is there and runs where the page says."""

import ast
import re
from functools import cache
from pathlib import Path

from tests.portals.conftest import DAILY

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
# Nothing before a test means `make test`.
NAMED = re.findall(r"\| (?:`make ([\w-]+)`: )?`(tests/[\w/]+\.py)::(\w+)` \|$", PAGE, re.MULTILINE)


@cache
def _tests(path: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def _runs_in(path: str, name: str) -> str:
    """The command that runs a test, by its mark; where only some of its parameters are marked, `make test` runs it."""
    if path.startswith("tests/portals/") and name not in DAILY:
        return "fuzz"
    if "pytest.mark.fuzz" not in map(ast.unparse, _tests(path)[name].decorator_list):
        return "test"
    return "test-mutants" if path.startswith("tests/mutants/") else "fuzz"


def test_every_test_that_the_page_names_exists() -> None:
    assert len(NAMED) > 30
    assert [f"{path}::{name}" for _, path, name in NAMED if name not in _tests(path)] == []


def test_every_test_runs_where_the_page_says() -> None:
    said = {f"{path}::{name}": command or "test" for command, path, name in NAMED}
    assert said == {f"{path}::{name}": _runs_in(path, name) for _, path, name in NAMED}


def test_every_promise_names_its_test() -> None:
    promises = PAGE.partition("## What is promised")[2].partition("## What is not promised")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(rows) == len(NAMED)
    assert [row for row in rows if not re.search(r"\| (`make [\w-]+`: )?`tests/[^`]+::test_\w+` \|$", row)] == []
