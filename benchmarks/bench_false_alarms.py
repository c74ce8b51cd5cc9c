"""Streams of correct samplers through the refuting machine: how high its e-value ever gets.

Run ``python benchmarks/bench_false_alarms.py --runs 10000 --jobs 2``: some 20 minutes on two cores. Each stream has
8,000 draws and a look after every five per cent; ``P(sup E >= 1/alpha) <= alpha``, so that the count at level alpha
is at most binomial. The effects, their mutants and the evidence of ``check_samples`` are left out; that the e-value is
the same as its own is measured on one stream of every control.
"""

from __future__ import annotations

import argparse
import math
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from page import replace
from scipy import stats
from stream import peak, whole
from threadpoolctl import threadpool_limits

ALPHA = 1e-4
LEVELS = (1e-1, 1e-2, 1e-3, ALPHA)
CHUNK = 100  #: streams that a process takes at a time
#: controls and how often they come in a hundred streams: the cheap ones oftener
MIX = {
    "exact_gaussian1": 18,
    "exact_line": 13,
    "exact_laplace": 12,
    "exact_student": 4,
    "exact_uniform": 3,
    "exact_float32": 5,
    "exact_atoms": 8,
    "exact_plane": 4,
    "exact_overlapping": 2,
    "exact_gaussian10": 10,
    "exact_steps": 3,
    "other_root": 3,
    "exact_banana": 4,
    "exact_ring": 3,
    "exact_convolved": 2,
    "exact_modes8": 3,
    "exact_gaussian64": 2,
    "exact_modes64": 1,
}


def chunk(names: list[str], draws: int, first: int) -> list[float]:
    """Peaks of consecutive seeds."""
    with threadpool_limits(limits=1):
        return [peak(name, draws, first + k, ALPHA) for k, name in enumerate(names)]


def peaks(runs: int, draws: int, first: int, jobs: int, seconds: float) -> dict[str, list[float]]:
    """``log10 sup E`` of every stream, by control."""
    order = [name for name, share in MIX.items() for _ in range(share)]
    np.random.default_rng(0).shuffle(order)
    names = [order[k % len(order)] for k in range(runs)]
    parts = [names[i : i + CHUNK] for i in range(0, runs, CHUNK)]
    out: dict[str, list[float]] = {name: [] for name in MIX}
    start = time.perf_counter()
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        seeds = range(first, first + runs, CHUNK)
        done = pool.map(chunk, parts, [draws] * len(parts), seeds)
        for k, (part, found) in enumerate(zip(parts, done, strict=True)):
            for name, value in zip(part, found, strict=True):
                out[name].append(value)
            if time.perf_counter() - start > seconds:
                pool.shutdown(cancel_futures=True)
                break
            if (k + 1) % 2 == 0:
                every = [v for values in out.values() for v in values]
                print(
                    f"  {len(every)} streams, {time.perf_counter() - start:.0f} s, largest log10 e {max(every):.2f}",
                    flush=True,
                )
    return out


def report(found: dict[str, list[float]], draws: int) -> str:
    """Counts beside what the binomial allows."""
    every = np.concatenate([np.asarray(v) for v in found.values()])
    lines = [f"{len(every)} streams of {draws} draws, largest log10 e {every.max():.2f}"]
    for level in LEVELS:
        count = int((every >= -np.log10(level)).sum())
        most = int(stats.binom.isf(1e-3, len(every), level))
        fine = "allowed" if count <= most else "TOO MANY"
        lines.append(
            f"  level {level:g}: {count} false alarms; at most {most} with probability .999: {fine}"
        )
    lines += [
        f"  {name}: {len(values)} streams, largest log10 e {max(values):.2f}"
        for name, values in found.items()
        if values
    ]
    return "\n".join(lines)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--draws", type=int, default=8_000)
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--seconds", type=float, default=math.inf, help="report what is done by then"
    )
    parser.add_argument("--page", type=Path, default=None)
    chosen = parser.parse_args()
    with threadpool_limits(limits=1):
        gap = max(abs(peak(name, 2_000, 1, ALPHA) - whole(name, 2_000, 1, ALPHA)) for name in MIX)
    print(f"largest difference from check_samples in log10 e, one stream a control: {gap:.1e}")
    found = peaks(chosen.runs, chosen.draws, chosen.seed, max(1, chosen.jobs), chosen.seconds)
    text = report(found, chosen.draws)
    print(text)
    if chosen.page:
        replace(chosen.page, "alarms", f"```\n{text}\n```")


if __name__ == "__main__":
    main()
