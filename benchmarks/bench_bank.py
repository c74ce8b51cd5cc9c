"""How many draws refute each sampler of the bank, beside the sizes that no test can beat.

Run ``python benchmarks/bench_bank.py --runs 10 --jobs 2``; ``--only NAME ...`` or ``--quick`` choose rows. Numbers
depend on the seeds alone, not on the number of processes. ``--out DIR`` keeps what was measured in ``bank.json``
there; a row that is there with these seeds is not run again. ``--page FILE`` puts the table into that page.

A defect has the same outcome under all seeds if every run is refuted within the budget that ``check_samples`` allows
itself for the target; a correct sampler, if no run is.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bank import Entry, correct, defects, find
from jobs import in_order
from page import replace
from stream import default_budget, stream

ALPHA = 1e-3
_SLACK = 1.6  #: runs of defects end at this multiple of the limit, or at the default budget if that is larger
QUICK = [
    "mean_axis10",
    "mean_dense64",
    "cov_random64_p10",
    "pair_pixels10",
    "weights_plane",
    "mode_lost",
    "late_line",
    "outliers10",
    "xor10",
    "twice",
    "clipped",
    "score_half",
    "exact_plane",
    "exact_gaussian64",
]


@dataclass(frozen=True)
class Row:
    """Stopping numbers of one sampler; infinite for runs that did not stop."""

    entry: Entry
    stops: list[float]
    families: list[str]
    seconds: float
    budget: int  #: that ``check_samples`` allows itself

    @property
    def refuted(self) -> int:
        """Runs refuted within the default budget."""
        return sum(s <= self.budget for s in self.stops)

    @property
    def same(self) -> bool:
        """Whether every seed gives the right outcome within the default budget."""
        return self.refuted == (len(self.stops) if self.entry.defect else 0)

    @property
    def median(self) -> float:
        """Median stopping number."""
        return _quantile(self.stops, 0.5)

    @property
    def p90(self) -> float:
        """Nine of ten runs stop by it."""
        return _quantile(self.stops, 0.9)

    @property
    def ratio(self) -> float:
        """Median over the Neyman-Pearson size."""
        return self.median / self.entry.size if self.entry.size else math.nan

    @property
    def reached(self) -> bool:
        """Whether nine of ten runs stop by the limit."""
        return self.p90 <= self.entry.limit


def _quantile(values: list[float], q: float) -> float:
    """The smallest number by which a share ``q`` of the runs has stopped."""
    return sorted(values)[max(0, math.ceil(q * len(values) - 1e-9) - 1)]


def measure(name: str, runs: int, first: int) -> dict[str, Any]:
    """``runs`` streams with seeds of their own."""
    entry, start, stops, families = find(name), time.process_time(), [], []
    budget = default_budget(name)
    most = max(budget, int(_SLACK * entry.limit)) if entry.defect else budget
    for seed in range(first, first + runs):
        found = stream(name, most, seed, ALPHA)
        stops.append(found.n if found.refuting.refuted(ALPHA) else None)
        families.append(found.refuting.leading)
    return {
        "first": first,
        "stops": stops,
        "families": families,
        "seconds": time.process_time() - start,
        "budget": budget,
    }


def as_row(entry: Entry, found: dict[str, Any]) -> Row:
    """What :func:`measure` returned, beside its sampler."""
    stops = [math.inf if s is None else float(s) for s in found["stops"]]
    return Row(entry, stops, found["families"], found["seconds"], found["budget"])


def measured(
    entries: list[Entry], runs: int, first: int, jobs: int, kept: dict[str, Any]
) -> Iterator[Row]:
    """The rows in order; ``kept`` has those that need not be run, and gets the others."""
    todo = [e.name for e in entries if not _fits(kept.get(e.name), runs, first)]
    results = in_order(measure, [(name, runs, first) for name in todo], jobs)
    for entry in entries:
        if entry.name in todo:
            kept[entry.name] = next(results)
        yield as_row(entry, kept[entry.name])


def _fits(found: dict[str, Any] | None, runs: int, first: int) -> bool:
    return (
        found is not None
        and "budget" in found
        and found["first"] == first
        and len(found["stops"]) == runs
    )


def line(row: Row) -> str:
    """One line of the table."""
    e = row.entry
    cells = [
        f"{e.name:18s} {e.target.dim:3d}",
        f"{e.moments.kl:8.1e}" if e.moments else " " * 8,
        f"{e.size or '':>7}",
        f"{e.blind or '':>7}",
        f"{_shown(row.median):>7} {_shown(row.p90):>7}",
        f"{row.ratio:6.2f}" if e.size and e.size >= 500 else " " * 6,
        f"{row.p90 / e.limit:5.2f}" + (" " if row.reached else "*") if e.defect else "      ",
        f"{row.refuted:3d}/{len(row.stops)}{' ' if row.same else '!'}",
        f"{row.seconds / len(row.stops):6.2f}s",
        max(row.families, key=row.families.count),
    ]
    return " ".join(cells)


def _shown(n: float) -> str:
    return "never" if math.isinf(n) else f"{int(n)}"


HEAD = f"{'sampler':18s} {'d':>3s} {'KL':>8s} {'NP':>7s} {'blind':>7s} {'median':>7s} {'p90':>7s} {'m/NP':>6s} p90/l"
HEAD += " refuted  CPU    found by"


def summary(rows: list[Row]) -> str:
    """What the table comes to."""
    wrong = [r for r in rows if r.entry.defect]
    fine = [r for r in rows if not r.entry.defect]
    ratios = [r.ratio for r in wrong if r.entry.size and r.entry.size >= 500]
    late = [r.entry.name for r in wrong if not r.reached]
    alarms = sum(r.refuted for r in fine)
    text = (
        f"{len(wrong)} defects, {sum(r.reached for r in wrong)} with nine of ten runs within the larger of 500, "
        "2.5 NP and 1.5 blind"
    )
    if ratios:
        text += f"; median of (median / NP) where NP >= 500: {np.median(ratios):.2f}"
    if late:
        text += f"; not reached: {', '.join(late)}"
    if fine:
        text += f"\n\n{len(fine)} correct samplers, {alarms} false alarms in {sum(len(r.stops) for r in fine)} runs"
    other = [r.entry.name for r in rows if not r.same]
    text += (
        f"\n\nthe same outcome under all seeds within the default budget: {sum(r.same for r in wrong)} of "
        f"{len(wrong)} defects (REFUTED), {sum(r.same for r in fine)} of {len(fine)} correct samplers (not refuted)"
    )
    return text + (f"; not so: {', '.join(other)}" if other else "")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    parser.add_argument("--only", nargs="*", default=None)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--jobs", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--page", type=Path, default=None)
    chosen = parser.parse_args()
    names = QUICK if chosen.quick else chosen.only
    entries = [e for e in (*defects(), *correct()) if not names or e.name in names]
    kept = kept_rows(chosen.out)
    rows = []
    print(f"alpha = {ALPHA:g}, {chosen.runs} runs each; * marks rows beyond the limit\n{HEAD}")
    for row in measured(entries, chosen.runs, chosen.seed, chosen.jobs, kept):
        rows.append(row)
        print(line(row), flush=True)
        if chosen.out:
            chosen.out.mkdir(parents=True, exist_ok=True)
            (chosen.out / "bank.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")
    print(summary(rows))
    if chosen.page:
        replace(chosen.page, "bank", f"{table(rows)}\n\n{summary(rows)}")


def table(rows: list[Row]) -> str:
    """The table as Markdown."""
    head = (
        "| sampler | defect | d | KL | NP | blind | median | 90 % | median / NP | 90 % / limit | refuted "
        "| found by |\n" + "|---" * 12 + "|\n"
    )
    return head + "\n".join(_cells(r) for r in rows)


def _cells(r: Row) -> str:
    e = r.entry
    cells = (
        e.name,
        e.defect or "none",
        e.target.dim,
        f"{e.moments.kl:.1e}" if e.moments else "",
        e.size or "",
        e.blind or "",
        _shown(r.median),
        _shown(r.p90),
        f"{r.ratio:.2f}" if e.size and e.size >= 500 else "",
        f"{r.p90 / e.limit:.2f}{'' if r.reached else ' *'}" if e.defect else "",
        f"{r.refuted} of {len(r.stops)}",
        max(r.families, key=r.families.count) if e.defect else "",
    )
    return "| " + " | ".join(str(c) for c in cells) + " |"


def kept_rows(out: Path | None) -> dict[str, Any]:
    """What ``--out`` has kept, by sampler."""
    path = out / "bank.json" if out else None
    return json.loads(path.read_text(encoding="utf-8")) if path and path.exists() else {}


if __name__ == "__main__":
    main()
