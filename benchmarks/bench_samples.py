"""Cost of the statistics of ``check_samples`` beside the draws and one matrix product, and its memory.

Run ``python benchmarks/bench_samples.py``; ``--memory`` leaves the times out. Wanted: below 2 seconds at n = 64,000,
d = 64 on one core, and memory that does not grow once the table of fingerprints is full, after a million draws.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc

import numpy as np
from _timing import side_by_side
from bank.targets import gaussian, line, modes, plane
from scoreproof.numerics import draw
from scoreproof.validation import check_samples
from threadpoolctl import threadpool_limits

_N = 64_000


def speed(repeats: int) -> None:
    """Seconds at 64,000 draws, and ratios to drawing them and to ``n d^2`` multiplications."""
    print(f"n = {_N:,}, one core; wanted at d = 64: below 2 s")
    for name, law in (
        ("line, 3 components", line()),
        ("plane, 3 components", plane()),
        ("Gaussian, d = 10", gaussian(10)),
        ("Gaussian, d = 64", gaussian(64)),
        ("5 components, d = 64", modes(64, 5)),
    ):
        x = np.asarray(draw(law, _N, rng=np.random.default_rng(1)))
        square = np.eye(law.dim)
        times = side_by_side(
            {
                "exact": lambda x=x, law=law: check_samples(x, law, exact=True, budget=_N),
                "tolerance": lambda x=x, law=law: check_samples(x, law, budget=_N),
                "draws": lambda law=law: draw(law, _N, rng=np.random.default_rng(1)),
                "product": lambda x=x, square=square: x @ square,
            },
            repeats=repeats,
        )
        print(name)
        for route in ("exact", "tolerance"):
            per = 1e6 * times.median(route) / _N
            print(f"  {route}: {times.median(route):.2f} s, {per:.1f} us a draw")
            print(times.line(route, "draws"))
            print(times.line(route, "product"))


def memory() -> None:
    """Most bytes held in a run: of a million draws, which fill the table of fingerprints, and of four million."""
    law, peaks = gaussian(10), []
    print(
        "memory: peak of a run (blocks of draws included), d = 10; wanted: the same at 1 and 4 million"
    )
    for n in (256_000, 1_024_000, 4_096_000):

        def source(m: int, *, rng: np.random.Generator) -> np.ndarray:
            return np.asarray(draw(law, m, rng=rng))

        tracemalloc.start()
        start = time.perf_counter()
        check_samples(source, law, exact=True, budget=n)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        peaks.append(peak)
        print(
            f"  n = {n:,}: {peak / 1e6:.1f} MB ({time.perf_counter() - start:.1f} s while traced)"
        )
    print(f"  {peaks[-1] / peaks[-2]:.2f} times as much for four times as many")


def main() -> None:
    """Runs both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="memory alone")
    chosen = parser.parse_args()
    with threadpool_limits(limits=1):
        if not chosen.memory:
            speed(chosen.repeats)
        memory()


if __name__ == "__main__":
    main()
