"""docs/libraries.md has a line for every direct dependency, and none for anything else."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SECTIONS = {
    "Running": PROJECT["dependencies"],
    "The stack on one machine (`local`)": PROJECT["optional-dependencies"]["local"],
    "Traces (`traces`)": PROJECT["optional-dependencies"]["traces"],
    "Portals (`portals`)": PROJECT["optional-dependencies"]["portals"],
    "Developing (`dev`)": PROJECT["optional-dependencies"]["dev"],
}


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=;! ]", requirement, maxsplit=1)[0] for requirement in requirements}


def _section(title: str) -> str:
    text = (ROOT / "docs" / "libraries.md").read_text(encoding="utf-8")
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_every_dependency_has_its_line_in_its_section() -> None:
    told = {title: re.findall(r"^\| `([\w.-]+)` \|", _section(title), re.MULTILINE) for title in SECTIONS}
    assert {title: sorted(names) for title, names in told.items()} == {
        title: sorted(_names(requirements)) for title, requirements in SECTIONS.items()
    }


def test_every_line_says_why_and_what_lost() -> None:
    rows = [line.strip("|").split("|") for title in SECTIONS for line in _section(title).splitlines() if "| `" in line]
    assert [row[0] for row in rows if len(row) != 3 or not all(cell.strip() for cell in row)] == []
