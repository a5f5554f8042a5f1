"""`python -m drill` kills anything at random and proves that no order suffers. The last line is JSON.

Status 0 where every law holds, 1 where one was broken, 2 where it could not start, 130 where it was interrupted.
"""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.live import Live

from drill.board import live_view, plain_line, show_verdict
from drill.page import write_page
from drill.run import FOLDER, Run
from drill.settings import Settings
from drill.verdict import reach
from local import supplier
from local.processes import shown
from local.terminal import run

PICTURE_EVERY = 0.5
LINE_EVERY = 10.0


async def main() -> int:
    """One drill."""
    console = Console(highlight=False)
    settings = Settings.from_environment(os.environ)
    told: list[str] = []
    lacking = supplier.missing()
    drill = Run(settings, environment=os.environ, say=told.append, supplied=not lacking)
    console.print(f"SEED={settings.seed}: {settings.orders} orders, {len(drill.drill.faults)} faults.")
    if lacking:
        console.print(f"No order goes through a supplier's portal: {lacking} is not here.")
    picture = asyncio.create_task(_picture(console, drill))
    try:
        over = await drill.go()
    finally:
        picture.cancel()
        with suppress(asyncio.CancelledError):
            await picture
    verdict = reach(over)
    page = FOLDER / "verdict.html"
    await asyncio.to_thread(write_page, verdict, page)
    await asyncio.to_thread(_keep_log, told, FOLDER / "logs" / "supervisor.log")
    show_verdict(console, verdict, page=shown(page))
    sys.stdout.write(verdict.line + "\n")
    return 0 if verdict.holds else 1


async def _picture(console: Console, drill: Run) -> None:
    if not console.is_terminal:
        while True:
            await asyncio.sleep(LINE_EVERY)
            console.print(plain_line(drill.drill), soft_wrap=True)
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while True:
            live.update(live_view(drill.drill), refresh=True)
            await asyncio.sleep(PICTURE_EVERY)


def _keep_log(lines: list[str], path: Path) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run(main))
