"""Streams of correct samplers through the refuting machine: how high its e-value ever gets.

Run ``python benchmarks/bench_false_alarms.py --runs 10000``. Each stream has 8,000 draws and a look after every seven
per cent; ``P(sup E >= 1/alpha) <= alpha``, so that the count at level alpha is at most binomial.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from bank import correct
from scipy import stats
from scoreproof.validation import check_samples
from threadpoolctl import threadpool_limits

ALPHA = 1e-4
LEVELS = (1e-1, 1e-2, 1e-3, ALPHA)
#: controls and how often they come in a hundred streams: the cheap ones oftener
MIX = {
    "exact_gaussian1": 20,
    "exact_line": 15,
    "exact_laplace": 15,
    "exact_float32": 5,
    "exact_atoms": 10,
    "exact_plane": 5,
    "exact_gaussian10": 14,
    "other_root": 5,
    "exact_banana": 5,
    "exact_modes8": 3,
    "exact_gaussian64": 2,
    "exact_modes64": 1,
}


def peaks(runs: int, draws: int, first: int) -> dict[str, list[float]]:
    """``log10 sup E`` of every stream, by control."""
    entries = {e.name: e for e in correct() if e.name in MIX}
    order = [name for name, share in MIX.items() for _ in range(share)]
    np.random.default_rng(0).shuffle(order)
    out: dict[str, list[float]] = {name: [] for name in MIX}
    start = time.perf_counter()
    for k in range(runs):
        e = entries[order[k % len(order)]]
        verdict = check_samples(
            e.draw,
            e.target,
            exact=True,
            budget=draws,
            false_alarm=ALPHA,
            seed=first + k,
            dtype="float32" if e.single else "float64",
        )
        said = next(v for v in verdict.evidence if v.check == "exact")
        assert said.log10_e is not None
        out[e.name].append(said.log10_e)
        if (k + 1) % 1000 == 0:
            print(f"  {k + 1} streams, {time.perf_counter() - start:.0f} s", flush=True)
    return out


def main() -> None:
    """Prints counts beside what the binomial allows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--draws", type=int, default=8_000)
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    chosen = parser.parse_args()
    with threadpool_limits(limits=1):
        found = peaks(chosen.runs, chosen.draws, chosen.seed)
    every = np.concatenate([np.asarray(v) for v in found.values()])
    print(f"{len(every)} streams of {chosen.draws} draws, largest log10 e {every.max():.2f}")
    for level in LEVELS:
        count = int((every >= -np.log10(level)).sum())
        most = int(stats.binom.isf(1e-3, len(every), level))
        fine = "allowed" if count <= most else "TOO MANY"
        print(
            f"  level {level:g}: {count} false alarms; at most {most} with probability .999: {fine}"
        )
    for name, values in found.items():
        if values:
            print(f"  {name}: {len(values)} streams, largest log10 e {max(values):.2f}")


if __name__ == "__main__":
    main()
