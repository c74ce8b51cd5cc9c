"""The scoreboard: every sampler of the libraries with the matrix of its options, measured and judged.

Rows are measured in worker processes, each under a limit of time, and kept as they come, so that an interrupted
run goes on where it stood. What accuses a row is computed from its numbers alone; causes that were looked up by
hand only explain.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

from ..theory._checks import bad
from . import provenance
from ._scoreboard_options import configurations

SCHEMA = "scoreproof.scoreboard/1"
NAME = "scoreboard"
LIMIT = 180.0  #: seconds a configuration
_PACKAGES = {
    "diffusers": "diffusers",
    "k_diffusion": "k-diffusion",
    "azula": "azula",
    "torchsde": "torchsde",
}


def run_scoreboard(
    out: str | Path = "docs",
    *,
    jobs: int | None = None,
    only: str | None = None,
    resume: bool = False,
    limit: float = LIMIT,
    targets: Iterable[str] | None = None,
    progress: Callable[[int, int, dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Measures all configurations, judges them and writes ``scoreboard.html`` and ``scoreboard.json``.

    Args:
        out: folder.
        jobs: worker processes; one a core by default.
        only: one library.
        resume: take over the rows of an interrupted or earlier run in ``out`` with the same releases.
        limit: seconds a configuration.
        targets: these alone, for tests.
        progress: told of ``(done, all, row)``.

    Returns:
        What the JSON holds.

    Raises:
        ValueError: an unknown library, none that is installed, or a folder that cannot be written.
    """
    from ._scoreboard_page import render
    from ._scoreboard_rules import judged

    started, begun = provenance.now(), time.perf_counter()
    wanted = list(targets) if targets is not None else configurations(only)
    releases = {k: provenance.version(v) for k, v in _PACKAGES.items()}
    missing = sorted({t.split(":")[0] for t in wanted if releases[t.split(":")[0]] is None})
    if missing:
        raise bad("scoreboard", f"no {', '.join(missing)}", "the libraries", "run `make peers`")
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise bad(
            "out", f"{str(folder)!r} ({error.strerror})", "a folder", "name another"
        ) from None
    key = {"schema": SCHEMA, "version": provenance.version(), "releases": releases}
    journal = folder / f"{NAME}.jsonl"
    rows, spent = _kept(journal, folder / f"{NAME}.json", key) if resume else ({}, 0.0)
    left = [target for target in wanted if target not in rows]
    with journal.open("w", encoding="utf-8") as stream:

        def write(entry: dict[str, Any]) -> None:
            stream.write(json.dumps(plain(entry)) + "\n")
            stream.flush()

        write(key)
        for row in rows.values():
            write({"row": row, "spent": spent})
        for row in _measured(left, jobs or provenance.cores(), limit):
            rows[row["target"]] = row
            write({"row": row, "spent": spent + time.perf_counter() - begun})
            if progress is not None:
                progress(len(rows), len(wanted), row)
    ordered = [plain(rows[target]) for target in wanted if target in rows]
    board = {
        "schema": SCHEMA,
        "provenance": {
            **provenance.provenance(
                seed=0, started=started, seconds=spent + time.perf_counter() - begun
            ),
            "releases": releases,
        },
        **judged([{k: v for k, v in row.items() if k != "seconds"} for row in ordered]),
    }
    (folder / f"{NAME}.json").write_text(json.dumps(board, indent=1) + "\n", encoding="utf-8")
    (folder / f"{NAME}.html").write_text(render(board, folder), encoding="utf-8")
    journal.unlink()
    return board


def _measured(targets: list[str], jobs: int, limit: float) -> Iterable[dict[str, Any]]:
    """Rows as they come; a configuration that is stopped or loses its process says so in its row."""
    from ._scoreboard_row import measure
    from .isolation import Pool

    if not targets:
        return
    pool = Pool(jobs, timeout=limit)
    whole = False
    try:
        waiting = {pool.submit(measure, target): target for target in targets}
        for future in as_completed(waiting):
            target = waiting[future]
            try:
                yield future.result()
            except Exception as error:
                library, _, rest = target.partition(":")
                said = {"at": "run", "kind": "stopped", "type": type(error).__name__}
                yield {
                    "target": target,
                    "library": library,
                    "name": rest.split("?")[0],
                    "failures": [{**said, "message": str(error)[:300], "place": ""}],
                }
        whole = True
    finally:
        pool.shutdown(wait=whole, cancel_futures=not whole)


def _kept(
    journal: Path, board: Path, key: dict[str, Any]
) -> tuple[dict[str, dict[str, Any]], float]:
    """Rows of an interrupted run with the same releases, else of a finished one, and the seconds that they took."""
    rows: dict[str, dict[str, Any]] = {}
    spent = 0.0
    if board.is_file() and not journal.is_file():
        stored = json.loads(board.read_text("utf-8"))
        before = stored.get("provenance", {})
        found = {
            "schema": stored.get("schema"),
            "version": before.get("version"),
            "releases": before.get("releases"),
        }
        if found == key:
            rows = {row["target"]: row for row in stored.get("rows", ())}
            spent = float(before.get("seconds", 0.0))
    if journal.is_file():
        lines = journal.read_text("utf-8").splitlines()
        entries = [entry for line in lines if (entry := _line(line)) is not None]
        if entries and entries[0] == key:
            for entry in entries[1:]:
                rows[entry["row"]["target"]] = entry["row"]
                spent = max(spent, float(entry["spent"]))
    return rows, spent


def _line(line: str) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except ValueError:  # torn by a kill
        return None


def plain(value: Any) -> Any:
    """Numbers of eight digits; those that are not finite as strings, as in all reports."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    # Eight digits: more are rounding, which differs between machines.
    return float(f"{value:.8g}") if isinstance(value, float) else value
