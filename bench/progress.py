"""What the bench shows while it runs: a bar for each stage in a terminal, else a line now and then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Advance = Callable[[int], None]
PLAIN_LINE_EVERY_SECONDS = 5.0


class Stages:
    """Shows one stage after the other."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Advance]:
        """Show a stage of ``total`` steps; what is given back is called with the number of steps just done."""
        if not self._console.is_terminal:
            yield self._plain(title, total)
            return
        columns = (TextColumn(f"{title:<46}"), BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn())
        # Drawing takes processor time that the measured processes need: twice a second is enough.
        with Progress(*columns, console=self._console, refresh_per_second=2) as bars:
            task = bars.add_task(title, total=total)
            yield lambda steps: bars.advance(task, steps)

    def _plain(self, title: str, total: int) -> Advance:
        done, said = 0, monotonic()
        self._console.print(f"{title} …")

        def advance(steps: int) -> None:
            nonlocal done, said
            done += steps
            if done >= total or monotonic() - said > PLAIN_LINE_EVERY_SECONDS:
                self._console.print(f"{title}: {done} of {total}")
                said = monotonic()

        return advance
