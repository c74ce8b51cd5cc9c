"""``scoreproof compare``: several targets, one problem, a table and a page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..theory._checks import bad
from .cli_options import integer, seconds

if TYPE_CHECKING:
    from .compare import Point


def compare(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="TARGET ...", help="Samplers, as for check-sampler."),
    ],
    steps: Annotated[
        list[str] | None,
        typer.Option("--steps", metavar="N,N", help="Step counts; default: 8,16,32,64,128."),
    ] = None,
    problem: Annotated[str, typer.Option(metavar="NAME", help="A named problem.")] = "gaussian-2d",
    rows: Annotated[
        int,
        typer.Option(metavar="N", parser=integer("rows"), help="Draws of a run that is timed."),
    ] = 1000,
    seed: Annotated[
        int,
        typer.Option(metavar="N", parser=integer("seed"), help="The same seed, the same numbers."),
    ] = 0,
    timeout: Annotated[
        float, typer.Option(metavar="SEC", parser=seconds, help="Seconds a call of a sampler.")
    ] = 600.0,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the page.")] = Path(
        "scoreproof-compare"
    ),
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")
    ] = False,
) -> None:
    """Compare samplers: error against evaluations and seconds.

    Exit status: 0 measured, 4 a sampler failed, 2 usage.
    """
    from .compare import compare as run

    words = [part for word in (steps or []) for part in word.split(",") if part]
    wrong = [word for word in words if not word.isdigit()]
    if wrong:
        raise bad("steps", repr(wrong[0]), "positive integers", "pass e.g. --steps 8,16,32")
    begun = time.perf_counter()

    def say(point: Point) -> None:
        told = f"error {point.error:.3g}" if point.known else point.how
        spent = time.perf_counter() - begun
        typer.echo(f"{spent:7.1f} s  {point.target}, {point.steps} steps: {told}"[:160], err=True)

    named = {"steps": [int(word) for word in words]} if words else {}
    found = run(
        targets,
        problem=problem,
        rows=rows,
        seed=seed,
        timeout=timeout,
        progress=say,
        **named,  # type: ignore[arg-type]
    )
    page = found.save(out) / "compare.html"
    print(found.to_json() if json else str(found))
    typer.echo(f"page: {page}", err=json)
    raise typer.Exit(4 if any(p.seconds != p.seconds for p in found.points) else 0)
