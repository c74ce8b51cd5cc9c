"""What common tests see of the bank with the draws after which ``check_samples`` has stopped, at the level .001.

Run ``python benchmarks/bench_baselines.py --every 1 --runs 10 --jobs 2``. The number of draws of a row is that at
which ``check_samples(..., exact=True, false_alarm=1e-3)`` stopped in nine of ten runs of ``bench_bank.py`` (rows
where it did not stop get its whole budget). Every test, ``check_samples`` too, then reads so many draws under ten
other seeds, the same draws for all; what is counted is in how many of them it rejects. ``--every k`` takes the
defects 0, k, 2 k, ... of the bank. Correct samplers are read to 4,000 draws. ``--bank DIR`` takes the numbers of
draws from what ``bench_bank.py --out DIR`` kept, ``--tests KEY ...`` leaves the other tests out, ``--page FILE`` puts
the table into that page.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import baselines as b
import numpy as np
from bank import Entry, defects, find
from bank.entry import draws_of
from bench_bank import ALPHA, as_row, kept_rows, measure
from jobs import in_order
from marginal_cdfs import Coordinates
from page import replace
from scoreproof.numerics.rng import substream
from scoreproof.theory import PointMasses
from scoreproof.theory.densities_1d import Uniform
from scoreproof.validation.sample_checks import batch_edges
from stream import stream

CONTROLS = ("exact_line", "exact_plane", "exact_gaussian10", "exact_modes8", "exact_gaussian64")
_CONTROL_DRAWS = 4_000
_OTHER = 1_000  #: first seed of the runs that are compared

TESTS = {
    "ours": "check_samples",
    "ks": "Kolmogorov-Smirnov",
    "ad": "Anderson-Darling",
    "dkwm": "DKWM band",
    "mmd": "MMD",
    "mmd_f": "MMD, Fourier",
    "energy": "energy distance",
    "ksd": "KSD",
    "logistic": "C2ST logistic",
    "mlp": "C2ST MLP",
}
CAPPED = ("mmd", "energy", "ksd")


@dataclass(frozen=True)
class Compared:
    """One row: rejections of every test (None where it does not apply) and median seconds of processor time."""

    name: str
    n: int
    runs: int
    rejected: dict[str, int | None]
    seconds: dict[str, float]


def draws(entry: Entry, n: int, seed: int) -> np.ndarray:
    """The draws that ``check_samples`` reads."""
    sizes = np.diff(batch_edges(n, int(entry.target.dim), exact=True)).tolist()
    parts = [entry.draw(m, rng=substream(seed, "draws", k)) for k, m in enumerate(sizes)]
    return np.concatenate([np.asarray(p, dtype=np.float64) for p in parts])


@cache
def _coordinates(name: str) -> Coordinates:
    return Coordinates.of(find(name).target)


def _tests(entry: Entry, n: int, seed: int) -> dict[str, Callable[[], bool]]:
    """Name -> test of the draws of that seed; those that do not apply to the target are left out."""
    x, law, p = draws(entry, n, seed), _coordinates(entry.name), entry.target
    y = np.asarray(draws_of(p)(n, rng=substream(seed, "reference")))

    pairs = cache(lambda: b.Pairs(x, y))

    def rng() -> np.random.Generator:
        return substream(seed, "permutations")

    out: dict[str, Callable[[], bool]] = {
        "ours": lambda: stream(entry.name, n, seed, ALPHA).refuting.refuted(ALPHA),
        "ks": lambda: b.kolmogorov_smirnov(x, law),
        "ad": lambda: b.anderson_darling(x, law),
        "dkwm": lambda: b.dkwm(x, law),
        "mmd": lambda: pairs().mmd(rng()),
        "mmd_f": lambda: b.mmd_features(x, y, rng()),
        "energy": lambda: pairs().energy(rng()),
        "ksd": lambda: b.stein(x, y, p.score, rng()),
        "logistic": lambda: b.classifier("logistic", x, y, rng()),
        "mlp": lambda: b.classifier("mlp", x, y, rng()),
    }
    if law.discrete:  # atoms have no density
        del out["ad"], out["ksd"]
    elif isinstance(p, Uniform):  # nor has a jump of the density a Stein identity
        del out["ksd"]
    assert not law.discrete or isinstance(p, PointMasses)
    return out


def compare(name: str, runs: int, n: int | None, keys: list[str]) -> Compared:
    """``runs`` seeds of one sampler by the tests named; ``n`` is measured unless given."""
    entry = find(name)
    if n is None:
        n = _stopped(measure(name, runs, 0), entry)
    rejected: dict[str, int | None] = dict.fromkeys(keys)
    times: dict[str, list[float]] = {key: [] for key in keys}
    for seed in range(_OTHER, _OTHER + runs):
        for key, test in _tests(entry, n, seed).items():
            if key not in keys:
                continue
            start = time.process_time()
            rejected[key] = (rejected[key] or 0) + bool(test())
            times[key].append(time.process_time() - start)
    seconds = {key: float(np.median(v)) if v else math.nan for key, v in times.items()}
    return Compared(name, n, runs, rejected, seconds)


def _stopped(found: dict[str, Any], entry: Entry) -> int:
    row = as_row(entry, found)
    return int(row.p90 if math.isfinite(row.p90) else row.budget)


def _named(rows: list[Compared]) -> dict[str, str]:
    return {key: TESTS[key] for key in rows[0].rejected}


def table(rows: list[Compared]) -> str:
    """Markdown: rejections by row, and seconds."""
    named = _named(rows)
    head = f"| sampler | draws | {' | '.join(named.values())} |\n" + "|---" * (len(named) + 2)
    lines = [f"{head}|"]
    for r in rows:
        cells = [_cell(r, key) for key in named]
        lines.append(f"| {r.name} | {r.n} | {' | '.join(cells)} |")
    times = [f"{np.nanmedian([r.seconds[key] for r in rows]):.2f} s" for key in named]
    most = [f"{np.nanmax([r.seconds[key] for r in rows]):.1f} s" for key in named]
    lines.append(f"| *seconds a run, median row* | | {' | '.join(times)} |")
    lines.append(f"| *seconds a run, slowest row* | | {' | '.join(most)} |")
    return "\n".join(lines)


def _cell(r: Compared, key: str) -> str:
    count = r.rejected[key]
    if count is None:
        return ""
    return f"{count}{' *' if key in CAPPED and r.n > b.CAP else ''}"


def seen(rows: list[Compared], key: str) -> int:
    """Rows rejected in more than half of the runs."""
    return sum(2 * (r.rejected[key] or 0) > r.runs for r in rows)


def power(rows: list[Compared], key: str) -> float:
    """Mean share of rejections; a test that does not apply rejects nothing."""
    return float(np.mean([(r.rejected[key] or 0) / r.runs for r in rows]))


def conclusion(rows: list[Compared]) -> str:
    """Both tables of sums: all rows, and those where no test was capped."""
    few = [r for r in rows if r.n <= b.CAP]
    lines = [
        f"| test | of {len(rows)} defects seen | mean power "
        f"| of {len(few)} with at most {b.CAP:,} draws seen | mean power |",
        "|---" * 5 + "|",
    ]
    for key, name in _named(rows).items():
        cells = [f"{seen(part, key)} | {power(part, key):.2f}" for part in (rows, few) if part]
        lines.append(f"| {name}{' *' if key in CAPPED else ''} | {' | '.join(cells)} |")
    said = ", ".join(f"{name} {seen(rows, key)}" for key, name in _named(rows).items())
    return "\n".join(lines) + f"\n\nof {len(rows)} defects, seen with equal draws by: {said}"


def controls(rows: list[Compared]) -> str:
    """Rejections of correct samplers."""
    runs = sum(r.runs for r in rows)
    counts = ", ".join(
        f"{name} {sum(r.rejected[key] or 0 for r in rows)}" for key, name in _named(rows).items()
    )
    return f"{len(rows)} correct samplers, {runs} runs of {_CONTROL_DRAWS:,} draws, rejected by: {counts}"


def _show(r: Compared) -> None:
    cells = [f"{v if v is not None else '-'!s:>3}" for v in r.rejected.values()]
    slow = max(r.seconds.values(), key=lambda s: 0 if math.isnan(s) else s)
    print(f"{r.name:18s} {r.n:7d} {' '.join(f'{c:>8}' for c in cells)}  {slow:5.1f}s", flush=True)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=None)
    parser.add_argument("--tests", nargs="*", choices=list(TESTS), default=list(TESTS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--bank", type=Path, default=None)
    parser.add_argument("--page", type=Path, default=None)
    chosen = parser.parse_args()
    names = chosen.only or [e.name for e in defects()[:: chosen.every]]
    print(
        f"defects {', '.join(names) if chosen.only else f'0, {chosen.every}, {2 * chosen.every}, ... of the bank'}: "
        f"{len(names)} rows, {chosen.runs} runs each, level {b.LEVEL:g}; "
        f"MMD, energy and KSD read at most {b.CAP:,} draws"
    )
    print(f"{'sampler':18s} {'draws':>7s} {' '.join(f'{k:>8}' for k in chosen.tests)}  slowest")
    kept, keys = kept_rows(chosen.bank), [key for key in TESTS if key in chosen.tests]
    calls: list[tuple[Any, ...]] = [
        (name, chosen.runs, _stopped(kept[name], find(name)) if name in kept else None, keys)
        for name in names
    ]
    calls += [(name, chosen.runs, _CONTROL_DRAWS, keys) for name in CONTROLS]
    rows = []
    for row in in_order(compare, calls, chosen.jobs):
        rows.append(row)
        _show(row)
    wrong, fine = rows[: len(names)], rows[len(names) :]
    text = f"{conclusion(wrong)}\n\n{controls(fine)}\n\n{table(rows)}"
    print(text)
    if chosen.page:
        replace(chosen.page, "baselines", text)


if __name__ == "__main__":
    main()
