"""Copies of the sources: the builds that workers are upgraded to."""

import shutil
from pathlib import Path

ROOMS = ("activities", "api", "console", "db", "domain", "integrations", "local", "runtime", "templates", "workflows")
PROGRAMS = ("worker.py", "server.py", "pyproject.toml")

_STORY, _ENDING = Path("workflows/orders/workflow.py"), Path("workflows/orders/ending.py")
_BEGINS = "            self._desk.check()\n            plan = await self._reservation.reserve()\n"
_ENDS = '        self._journal.move_to(status)\n        self._journal.wait_for("the last e-mail to go out"'
_STEP = """        if workflow.patched("{name}"):
            await workflow.sleep(0.05, summary="A step that only the new build has")
"""


class SourceError(Exception):
    """The order's story has changed, and the place for the new step with it: see `patch`."""


def copy_sources(source: Path, to: Path) -> Path:
    """What Waybill's processes run from, copied from ``source``."""
    for room in ROOMS:
        shutil.copytree(source / room, to / room, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for program in PROGRAMS:
        shutil.copy(source / program, to / program)
    return to


def patch(build: Path, *, number: int) -> None:
    """Give the order's workflow two more steps, gated as a release would: one where it begins, one where it ends.

    Raises SourceError where the workflow does not read as expected.
    """
    begin, end = (_STEP.format(name=f"drill-{number}-{where}") for where in ("begins", "ends"))
    indented = "".join(f"    {line}\n" for line in begin.splitlines())
    for file, place, step in ((_STORY, _BEGINS, indented), (_ENDING, _ENDS, end)):
        text = (build / file).read_text(encoding="utf-8")
        if text.count(place) != 1:
            raise SourceError(f"{file} has {text.count(place)} places for the step of a new build")
        (build / file).write_text(text.replace(place, step + place), encoding="utf-8")
