"""``scoreproof scoreboard``: progress on standard error, the summary on standard output."""

from __future__ import annotations

import json as encoder
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

_INTERRUPTED = 130


def _jobs(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise typer.BadParameter(
            f"jobs: got {text!r}, wanted a positive integer; pass e.g. --jobs 2"
        )
    return int(text)


def scoreboard(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder of the page and the JSON.")
    ] = Path("docs"),
    jobs: Annotated[
        int | None,
        typer.Option(metavar="N", parser=_jobs, help="Worker processes; default: one a core."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="LIBRARY", help="diffusers, k_diffusion, azula or torchsde."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the rows that lie in --out.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")
    ] = False,
) -> None:
    """Measure every sampler of four libraries over the matrix of its options.

    Exit status: 0 done, 2 usage.
    """
    from .scoreboard import run_scoreboard

    try:
        board = run_scoreboard(out, jobs=jobs, only=only, resume=resume, progress=_progress())
    except KeyboardInterrupt:
        typer.echo("interrupted: rows are kept; go on with --resume", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    page = f"page: {out / 'scoreboard.html'}"
    typer.echo(encoder.dumps(board, indent=1) if json else summary(board))
    typer.echo(page, err=json)


def _progress() -> Callable[[int, int, dict[str, Any]], None]:
    """Says every twentieth row, or one a minute."""
    begun = last = time.perf_counter()

    def progress(done: int, whole: int, row: dict[str, Any]) -> None:
        nonlocal last
        now = time.perf_counter()
        if done % 20 and now - last < 60 and done != whole:
            return
        last = now
        said = f"{done} of {whole} configurations, {now - begun:.0f} s; last {row['target']}"
        typer.echo(said, err=True)

    return progress


def summary(board: dict[str, Any]) -> str:
    """The counts of a board as lines of text."""
    said = board["summary"]
    lines = [f"{said['configurations']} configurations"]
    lines += [f"  {name}: {count}" for name, count in said["statuses"].items()]
    lines += [f"  accused, {name}: {count}" for name, count in said["accused_by_class"].items()]
    lines += [f"{one['title']} ({len(one['rows'])})" for one in board["defects"]]
    return "\n".join(lines)
