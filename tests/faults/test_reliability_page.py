"""docs/reliability.md names for each promise a test, and the test is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def _tests(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_the_page_names_exists() -> None:
    assert len(NAMED) > 30
    assert [f"{path}::{name}" for path, name in NAMED if name not in _tests(path)] == []


def test_every_promise_names_its_test() -> None:
    promises = PAGE.partition("## What is promised")[2].partition("## What is not promised")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(rows) == len(NAMED)
    assert [row for row in rows if not re.search(r"\| `tests/[^`]+::test_\w+` \|$", row)] == []
