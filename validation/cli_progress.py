"""Progress of a run on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Self

from .evidence import Outcome

if TYPE_CHECKING:
    from .runner import Progress

_COLOURS = {
    Outcome.SUPPORTED: "green",
    Outcome.REFUTED: "red",
    Outcome.UNDECIDED: "yellow",
    Outcome.ERROR: "bold red",
}


class Lines:
    """One plain line a verdict."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._last: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @property
    def state(self) -> str:
        """How far the run is, in words."""
        if self._last is None:
            return "no verdict yet"
        return f"{self._last.done} of {self._last.total} verdicts are"

    def __call__(self, progress: Progress) -> None:
        """Takes the state of the run and shows what is new in it."""
        first = self._last is None
        self._last = progress
        if first and progress.resumed:
            self.write(f"resumed: {progress.resumed} of {progress.total} verdicts are there")
        verdict = progress.verdict
        if verdict is not None:
            width = len(str(progress.total))
            seconds = time.perf_counter() - self._start
            count = f"[{progress.done:{width}d}/{progress.total}]"
            self.write(
                f"{count} {verdict.claim:<18} {verdict.outcome:<9} {seconds:7.1f} s",
                verdict.outcome,
            )
        self.update(progress)

    def write(self, line: str, outcome: Outcome | None = None) -> None:
        """Prints a line."""
        print(line, file=sys.stderr, flush=True)

    def update(self, progress: Progress) -> None:
        """Shows what is running."""


class Bar(Lines):
    """The same lines above a bar with the claims at work."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
        )
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: Any = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def write(self, line: str, outcome: Outcome | None = None) -> None:
        """Prints a line above the bar, in the colour of the outcome."""
        style = _COLOURS[outcome] if outcome is not None else None
        self._bar.console.print(line, style=style, markup=False, highlight=False)

    def update(self, progress: Progress) -> None:
        """Moves the bar."""
        if self._task is None:
            self._task = self._bar.add_task("", total=progress.total)
        running = " ".join(progress.running[:4])
        self._bar.update(self._task, completed=progress.done, description=running)


def display() -> Lines:
    """What fits standard error: a bar on a terminal, plain lines elsewhere."""
    return Bar() if sys.stderr.isatty() else Lines()
