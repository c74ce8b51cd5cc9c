"""The command line: ``scoreproof validate``, ``claims``, ``derive``, ``check-sampler``, ``compare``, ``report``.

Nothing heavy is imported at the top, so that help and refusals come at once. Exit status: 0 all that
is required is supported, 1 something is refuted, 2 usage, 3 something is undecided, 4 user code
failed, 130 interrupted.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from .cli_compare import compare
from .cli_options import integer as _integer
from .cli_options import number as _number
from .cli_options import seconds as _seconds
from .cli_scoreboard import scoreboard

if TYPE_CHECKING:
    from .claim import Claim

OUT = Path("scoreproof-report")
_INTERRUPTED = 130
_SEVERAL = {"allow_extra_args": True}  #: an option may take several values: `--only A B`

# The two bases are not exported under a name that all releases of typer share.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
_ClickException: type[Exception] = _UsageError.__bases__[0]

app = typer.Typer(
    name="scoreproof",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the report.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")
]


def _version(wanted: bool) -> None:
    if wanted:
        from .provenance import version

        typer.echo(f"scoreproof {version()}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Checks score-based diffusion models: their formulas, their samplers, their networks.

    Seven things to do: `scoreproof validate` decides every claim and writes a report;
    `scoreproof claims` lists the claims with their last outcomes;
    `scoreproof derive NAME` proves a formula step by step;
    `scoreproof check-sampler TARGET` holds a sampler against exact truth;
    `scoreproof compare TARGET TARGET` draws error against work;
    `scoreproof scoreboard` holds every sampler of four libraries against it;
    `scoreproof report FILE` makes the page of a stored report again.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command(context_settings=_SEVERAL)
def validate(
    context: typer.Context,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="ID|GROUP|MODULE:OBJECT ...",
            help="Ids, groups (ledger, digits, laws, network), or claims of your own "
            "(module:object, path.py:object); default: every claim.",
        ),
    ] = None,
    profile: Annotated[
        str, typer.Option(metavar="quick|standard|deep", help="How many draws a check may take.")
    ] = "standard",
    out: Out = OUT,
    seed: Annotated[
        int,
        typer.Option(
            metavar="N", parser=_integer("seed"), help="The same seed, the same numbers."
        ),
    ] = 0,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N", parser=_integer("jobs"), help="Worker processes; default: one a core."
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SEC", parser=_seconds, help="Seconds a claim; default: no limit."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run in --out.")
    ] = False,
    json: Json = False,
) -> None:
    """Decide claims and write a report.

    Exit status: 0 supported, 1 refuted, 3 undecided, 4 user code failed, 2 usage.
    """
    from . import provenance
    from .cli_progress import display
    from .own_claims import claims_at
    from .runner import run_claims

    names = context.args
    if names and not only:
        _refuse(f"arguments: got {names[0]!r}, wanted options only; write --only {names[0]}")
    wanted = [part for name in [*(only or []), *names] for part in name.split(",") if part]
    if only and not wanted:
        _refuse("only: got an empty name, wanted ids or groups; `scoreproof claims` lists the ids")
    chosen: list[str | Claim] = []
    for part in wanted:
        chosen += claims_at(part) if ":" in part else [part]
    workers = provenance.cores() if jobs is None else jobs
    shown = display()
    try:
        with shown:
            report = run_claims(
                chosen or None,
                profile=profile,
                seed=seed,
                timeout=timeout,
                out=out,
                resume=resume,
                jobs=workers,
                memory=_memory(workers),
                progress=shown,
            )
    except KeyboardInterrupt:
        again = shlex.join(["scoreproof", *_arguments])
        again += "" if "--resume" in _arguments else " --resume"
        _say(f"interrupted: {shown.state} in {out / 'journal.jsonl'}; go on with: {again}")
        raise typer.Exit(_INTERRUPTED) from None
    page = f"page: {out / 'index.html'}"
    if json:
        _print(report.to_json())
        _say(page)
    else:
        _print(str(report))
        _print(page)
    raise typer.Exit(report.exit_status)


@app.command()
def claims(out: Out = OUT, json: Json = False) -> None:
    """List the claims, with the outcomes of the last report in --out."""
    from .cli_ledger import as_json, table

    _print(as_json(out) if json else table(out))


@app.command()
def derive(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A derivation; without it, the list.")
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX source.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Every derivation; needs --html.")] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="DIR", help="Write pages, NAME.html, into DIR."),
    ] = None,
    json: Json = False,
) -> None:
    """Print a derivation, step by step, every step checked by machine.

    Exit status: 0 proved, 1 refuted, 3 not decided, 2 usage.
    """
    from .cli_derive import listed, pages, shown

    if html is not None or every:
        if html is None:
            _refuse("all: got --all without --html, wanted a folder for the pages; add --html DIR")
        if latex or json:
            _refuse("html: got --html with --latex or --json, wanted one form; run it twice")
        if every == (name is not None):
            got = f"{name!r} and --all" if every else "no name"
            _refuse(f"html: got {got}, wanted one derivation or all; pass NAME or --all")
        worst = 0
        for line, status in pages(html, name):
            _print(line)
            worst = worst if worst == 1 else status or worst
        raise typer.Exit(worst)
    if latex and json:
        _refuse("latex: got --latex and --json, wanted one of the two; the JSON holds the LaTeX")
    if name is None:
        _print(listed(as_json=json))
        return
    text, status = shown(name, latex=latex, as_json=json)
    _print(text)
    raise typer.Exit(status)


@app.command("check-sampler", context_settings=_SEVERAL)
def check_sampler(
    context: typer.Context,
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="module:function, path.py:function, diffusers:ClassName?key=value&key=value, "
            "k_diffusion:sample_x, azula:ClassName or torchsde:method.",
        ),
    ],
    steps: Annotated[
        list[str] | None,
        typer.Option("--steps", metavar="N ...", help="Step counts; default: 8,16,32,64,128."),
    ] = None,
    problem: Annotated[
        list[str] | None,
        typer.Option(
            "--problem", metavar="NAME ...", help="Named problems; default: three small ones."
        ),
    ] = None,
    order: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            parser=_number("order"),
            help="Order of the formula; default: what the library's documentation declares.",
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            metavar="X", parser=_number("tolerance"), help="Allowed at the largest step count."
        ),
    ] = 0.05,
    seed: Annotated[
        int,
        typer.Option(
            metavar="N", parser=_integer("seed"), help="The same seed, the same numbers."
        ),
    ] = 0,
    timeout: Annotated[
        float,
        typer.Option(metavar="SEC", parser=_seconds, help="Seconds a call of the sampler."),
    ] = 600.0,
    out: Out = OUT,
    json: Json = False,
) -> None:
    """Check a sampler, fed with exact scores, against the exact law of what it should return.

    Exit status: 0 supported, 1 refuted, 3 undecided, 4 the sampler failed, 2 usage.
    """
    from .cli_samplers import check

    made = check(
        target,
        context.args,
        steps=steps or [],
        problems=problem or [],
        order=order,
        tolerance=tolerance,
        seed=seed,
        timeout=timeout,
        out=out,
        say=_say,
    )
    page = f"page: {out / 'index.html'}"
    if json:
        _print(made.to_json())
        _say(page)
    else:
        _print(str(made))
        _print(page)
    raise typer.Exit(made.exit_status)


app.command()(compare)


@app.command()
def report(
    file: Annotated[Path, typer.Argument(metavar="report.json", help="A stored report.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where to write; default: beside the file."),
    ] = None,
    json: Json = False,
) -> None:
    """Make the page and the tables of a stored report again."""
    from .report.files import load, save

    stored = load(file)
    folder = out or (file if file.is_dir() else file.parent)
    save(stored, folder)
    if json:
        _print(stored.to_json())
        return
    _print(str(stored))
    _print(f"page: {folder / 'index.html'}")


_arguments: list[str] = []
app.command()(scoreboard)


def _memory(workers: int) -> int | None:
    """What a worker may take: its part of the machine, and enough for a small run in any case."""
    from .provenance import memory

    total = memory()
    return None if total is None else max(total // max(workers, 1), 2 << 30)


def _print(text: str) -> None:
    """Standard output; a reader who has left (``| head``) does not change the exit status."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _refuse(message: str) -> NoReturn:
    raise typer.BadParameter(message)


def _one_line(error: BaseException) -> str:
    say = getattr(error, "format_message", error.__str__)
    text = " ".join(str(say()).split())
    text = re.sub(r"^Invalid value(?: for '[^']*')?: ", "", text)
    wants_help = isinstance(error, _UsageError) and ";" not in text
    return f"error: {text.rstrip('.')}; see --help" if wants_help else f"error: {text}"


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs the command line and leaves the process with its exit status."""
    _arguments[:] = sys.argv[1:] if arguments is None else arguments
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        status = app(args=list(_arguments), prog_name="scoreproof", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        _say("interrupted")
        status = _INTERRUPTED
    except (ValueError, _ClickException) as error:
        _say(_one_line(error))
        status = 2
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
