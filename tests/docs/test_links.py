"""Every link between the documents leads somewhere."""

import re
from pathlib import Path

import pytest

from tests.docs.reading import ROOT, anchors, read

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")])
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def _links(document: Path) -> list[str]:
    found = [a or b for a, b in _LINK.findall(_FENCE.sub("", read(document)))]
    return [link for link in found if not link.startswith(("http://", "https://", "mailto:"))]


def _broken(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    if not target.exists():
        return True
    return bool(anchor) and (target.suffix != ".md" or anchor not in anchors(read(target)))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    assert [link for link in _links(document) if _broken(document, link)] == []


def test_every_image_is_shown_somewhere() -> None:
    images = {path.resolve() for path in (ROOT / "docs" / "images").iterdir()}
    shown = {(document.parent / link).resolve() for document in DOCUMENTS for link in _links(document)}
    assert images <= shown


def test_every_decision_is_in_the_list_and_has_its_headings() -> None:
    folder = ROOT / "docs" / "adr"
    decisions = sorted(folder.glob("0*.md"))
    assert [path.name for path in decisions] == re.findall(
        r"^\| \[\d{4}\]\(([^)]+)\)", read(folder / "README.md"), re.M
    )
    for path in decisions:
        text = read(path)
        assert text.startswith(f"# {path.name[:4]} · "), path.name
        assert re.findall(r"^## (.+)$", text, re.M) == ["Context", "Decision", "Consequences", "Alternatives"], (
            path.name
        )
