"""Power of ``check_identity`` by draws alone against a trace of implicit score matching that is 1 % off.

Run ``python benchmarks/bench_identity.py --seeds 100``: ten minutes on one core; ``--dims 2`` leaves one dimension
out, ``--page FILE`` puts what is printed into that page. For a model m of the score s of p,

    |m|^2/2 + c div m + |s|^2/2 - |m - s|^2/2  =  m . s + c div m

has mean zero for c = 1 (implicit and explicit score matching differ by a constant; Hyvärinen 2005, Theorem 1). The
check gets c = 1.01 (power), and c = 1 (false alarms). In one and two dimensions quadrature decides; what is counted
here is the outcome of the piece of evidence that comes from draws, pilot included in the budget.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from page import replace
from scoreproof.theory import GaussianMixture
from scoreproof.validation import Outcome, check_identity
from threadpoolctl import threadpool_limits

LEVEL = 1e-3
TOLERANCE = 1e-6  #: of the identity, whose defect is some 1e-2
BUDGETS = {1: 1_000, 2: 5_000}
LAWS = {
    1: GaussianMixture([0.5, 0.3, 0.2], [[-1.2], [0.4], [2.1]], [0.09, 0.25, 0.5]),
    2: GaussianMixture(
        [0.45, 0.35, 0.2],
        [[1.0, -0.5], [-1.2, 0.8], [0.3, 2.0]],
        [[[0.5, 0.3], [0.3, 0.4]], [[0.2, -0.1], [-0.1, 0.6]], [[1.0, 0.2], [0.2, 0.15]]],
    ),
}


@dataclass(frozen=True)
class Network:
    """``m = A (x - b) + W' (c * tanh(W x + a))``: a layer of tanh beside a linear map, drawn once.

    It lies in the span of no family of features.
    """

    dim: int
    width: int = 12

    def _parts(self) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng(self.dim)
        w = 1.5 * rng.standard_normal((self.width, self.dim))
        return w, rng.uniform(-2, 2, self.width), rng.standard_normal(self.width) / self.width

    def score(self, x: np.ndarray) -> np.ndarray:
        """``m``, shape ``(n, d)``."""
        w, a, c = self._parts()
        return -0.8 * (x - 0.2) + (np.tanh(x @ w.T + a) * c) @ w

    def divergence(self, x: np.ndarray) -> np.ndarray:
        """``div m``, shape ``(n,)``."""
        w, a, c = self._parts()
        slope = 1 / np.cosh(x @ w.T + a) ** 2
        return -0.8 * self.dim + slope @ (c * (w * w).sum(axis=1))


def misfit(law: GaussianMixture) -> GaussianMixture:
    """The mixture with weights, means and covariances all a little off: a model that is nearly trained."""
    weights = 0.8 * law.weights + 0.2 / law.components
    shift = 0.1 * np.random.default_rng(law.dim).standard_normal(law.means.shape)
    return GaussianMixture(weights, law.means + shift, 1.15 * law.covariances)


def models(dim: int) -> dict[str, Any]:
    """Model name -> object with ``score`` and ``divergence``."""
    return {"mixture": misfit(LAWS[dim]), "network": Network(dim)}


def trace_identity(law: Any, model: Any, factor: float) -> Callable[[np.ndarray], np.ndarray]:
    """``|m|^2/2 + factor div m + |s|^2/2 - |m - s|^2/2``, shape ``(n,)``."""

    def terms(x: np.ndarray) -> np.ndarray:
        m, s = model.score(x), law.score(x)
        squares = (m * m + s * s - (m - s) ** 2).sum(axis=1)
        return 0.5 * squares + factor * model.divergence(x)

    return terms


def refuted(dim: int, model: Any, factor: float, seeds: range, budget: int) -> tuple[int, float]:
    """Number of seeds refuted by draws, and the median half width."""
    law, count, widths = LAWS[dim], 0, []
    for seed in seeds:
        verdict = check_identity(
            trace_identity(law, model, factor),
            law,
            tolerance=TOLERANCE,
            budget=budget,
            false_alarm=LEVEL,
            seed=seed,
        )
        (drawn,) = (e for e in verdict.evidence if e.kind == "confidence")
        assert drawn.n is not None and drawn.n <= budget and drawn.measured is not None
        count += drawn.outcome is Outcome.REFUTED
        widths.append(0.5 * (drawn.measured.high - drawn.measured.low))
    return count, float(np.median(widths))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--dims", nargs="*", type=int, default=list(BUDGETS))
    parser.add_argument("--page", type=Path, default=None)
    chosen = parser.parse_args()
    seeds = range(chosen.first, chosen.first + chosen.seeds)
    lines = [
        f"level {LEVEL:g}, tolerance {TOLERANCE:g}, {len(seeds)} seeds; wanted: 90 % refuted at c = 1.01"
    ]
    print(lines[0])
    with threadpool_limits(limits=1):
        for dim in chosen.dims:
            for name, model in models(dim).items():
                for factor in (1.01, 1.0):
                    start = time.process_time()
                    count, width = refuted(dim, model, factor, seeds, BUDGETS[dim])
                    each = (time.process_time() - start) / len(seeds)
                    lines.append(
                        f"  {dim}-D {name}, c = {factor:g}, {BUDGETS[dim]:,} draws: {count} of {len(seeds)} refuted, "
                        f"half width {width:.2g}, {each:.2f} s a run"
                    )
                    print(lines[-1], flush=True)
                    if chosen.page:  # what is done so far
                        text = "\n".join(lines)
                        replace(chosen.page, "identity", f"```\n{text}\n```")


if __name__ == "__main__":
    main()
