"""How the tests read the documents."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide.md"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")


def read(path: Path = GUIDE) -> str:
    """The text of a document."""
    return path.read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return [body for name, body in _FENCE.findall(text) if name == language]


def section(text: str, heading: str) -> str:
    """What stands under a heading, to the next one of the same or a higher level."""
    level = heading.partition(" ")[0]
    begin = text.index(f"\n{heading}\n") + len(heading) + 2
    following = re.compile(rf"^#{{1,{len(level)}}} ", re.MULTILINE).search(text, begin)
    return text[begin : following.start() if following else len(text)]


def table(text: str, first_heading: str) -> list[list[str]]:
    """The rows of the one table whose first column has this heading; cells without their spaces."""
    lines = text.splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith(f"| {first_heading} |")) + 2
    rows = []
    for line in lines[begin:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" |")])
    return rows


def names(cell: str) -> list[str]:
    """What stands between backticks in a cell."""
    return _CODE.findall(cell)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings."""
    found: dict[str, int] = {}
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found[anchor] = found.get(anchor, 0) + 1
    return {anchor if n == 0 else f"{anchor}-{n}" for anchor, times in found.items() for n in range(times)}
