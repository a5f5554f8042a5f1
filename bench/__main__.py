"""`python -m bench` measures everything; `python -m bench large` lists and searches over a million orders as well.

`python -m bench portals` measures visits to a supplier's portal.

The last line is JSON. The status is 0 once everything was measured: goals missed are marked, and fail nothing.
"""

import json
import os
import sys

from rich.console import Console

from bench.portals import portals
from bench.report import reading_rows, table
from bench.run import lists, measure, running
from bench.settings import LARGE, Settings
from local.processes import LocalError
from local.terminal import CANNOT_START, run


async def everything() -> int:
    """`make bench`."""
    console = Console(highlight=False)
    async with running(Settings.from_environment(os.environ), os.environ, console) as bench:
        measures = await measure(bench)
    console.print(table(measures.rows))
    sys.stdout.write(measures.line + "\n")
    return 0


async def large() -> int:
    """`make bench-large`: lists and searches over the usual archive and over one of a million orders, side by side."""
    console = Console(highlight=False)
    settings = Settings.from_environment(os.environ)
    if settings.listed >= LARGE:
        raise LocalError(f"LISTED is where bench-large begins, and must be below {LARGE:,}.")
    async with running(settings, os.environ, console) as bench:
        listed, searched = await lists(bench, count=settings.listed)
        more, harder = await lists(bench, count=LARGE - settings.listed, first=settings.listed)
    rows = [
        *reading_rows(listed.p50, searched.p50, over=f" over {settings.listed:,}"),
        *reading_rows(more.p50, harder.p50, over=f" over {LARGE:,}"),
    ]
    console.print(table(rows))
    pair = {"list_p50_ms": [listed.p50, more.p50], "search_p50_ms": [searched.p50, harder.p50]}
    found = {name: [round(each, 1) for each in values] for name, values in pair.items()}
    sys.stdout.write(json.dumps({"orders": [settings.listed, LARGE], **found}) + "\n")
    return 0


COMMANDS = {(): everything, ("large",): large, ("portals",): portals}


def main(arguments: list[str]) -> int:
    """Status 2 where there is no such command or a setting is wrong."""
    command = COMMANDS.get(tuple(arguments))
    if command is None:
        sys.stderr.write("usage: python -m bench [large | portals]\n")
        return CANNOT_START
    return run(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
