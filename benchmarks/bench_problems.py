"""``check_samples`` with its defaults on exact draws of every problem, and on the shipped mutants of each.

Run ``python benchmarks/bench_problems.py``; ``--only NAME ...`` chooses problems, ``--seeds N`` the number of seeds.
Wanted: SUPPORTED under every seed, not refuted as exact, and every mutant refuted.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from page import replace
from scoreproof.numerics import draw
from scoreproof.validation import PROBLEMS, Outcome, check_samples
from threadpoolctl import threadpool_limits


def main() -> None:
    """Prints one line a problem and seed; ends with status 1 unless all are supported."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=None)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--page", type=Path, default=None)
    chosen = parser.parse_args()
    names = chosen.only or list(PROBLEMS)
    failed, lines = 0, []
    lines.append(
        f"{'problem':16s} {'d':>5s} {'seed':>4s} {'outcome':10s} {'draws':>8s} {'log10 e':>8s} {'CPU':>7s} mutants"
    )
    print(lines[0])
    for name in names:
        law = PROBLEMS[name].law

        def sampler(n: int, *, rng: np.random.Generator, law: object = law) -> np.ndarray:
            return np.asarray(draw(law, n, rng=rng))

        for seed in range(chosen.first, chosen.first + chosen.seeds):
            start = time.process_time()
            with threadpool_limits(limits=1):
                verdict = check_samples(sampler, law, seed=seed)
            seconds = time.process_time() - start
            found = next((e.log10_e for e in verdict.evidence if e.check == "exact"), None)
            killed = sum(m.outcome is Outcome.REFUTED for m in verdict.mutants)
            good = verdict.outcome is Outcome.SUPPORTED and not verdict.exact_refuted
            failed += not good
            lines.append(
                f"{name:16s} {law.dim:5d} {seed:4d} {verdict.outcome:10s} {verdict.samples_used:8d} "
                f"{found if found is not None else float('nan'):8.2f} {seconds:6.2f}s "
                f"{killed} of {len(verdict.mutants)} refuted"
                + ("" if good else f"  <- {verdict.finding}")
            )
            print(lines[-1], flush=True)
    lines.append("every problem supported" if not failed else f"{failed} runs not supported")
    print(lines[-1])
    if chosen.page:
        text = "\n".join(lines)
        replace(chosen.page, "problems", f"```\n{text}\n```")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
