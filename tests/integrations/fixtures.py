"""Recorded answers and signature vectors of the real providers, where they lie beside the project."""

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "fixtures"

needs_fixtures = pytest.mark.skipif(not FOLDER.is_dir(), reason="the recorded fixtures are not on this machine")


def recorded(name: str) -> Any:
    """The JSON of one recorded file."""
    return json.loads((FOLDER / name).read_text())


def recorded_text(name: str) -> str:
    """One recorded file as it is."""
    return (FOLDER / name).read_text()
