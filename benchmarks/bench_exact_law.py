"""The exact law of a sampler's output beside one plain call of the sampler with as many rows.

Run ``python benchmarks/bench_exact_law.py``. Wanted: at most 1.3 for every step count and library.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from _timing import side_by_side
from scoreproof.numerics.designed_noise import tapped
from scoreproof.numerics.exact_law import Observed, affine_law
from scoreproof.numerics.noise_log import NoiseLog, Plan
from scoreproof.numerics.rng import normal_like
from scoreproof.theory import EDM, VP, Gaussian
from scoreproof.validation import PROBLEMS, Problem
from threadpoolctl import threadpool_limits


def euler_maruyama(problem: Problem, n: int, *, steps: int, rng: Any) -> Any:
    """A sampler as users write them."""
    x, times = problem.prior(n, rng=rng), problem.times(steps)
    for t, s in pairwise(times):
        f, g = float(problem.sde.drift(t)), float(problem.sde.diffusion(t))
        drift = f * x - g**2 * problem.score(x, float(t))
        x = x + drift * (s - t) + g * np.sqrt(t - s) * normal_like(x, rng=rng)
    return x


def ddim(problem: Problem, n: int, *, steps: int, rng: Any) -> Any:
    """The deterministic one, in denoiser form."""
    x, times = problem.prior(n, rng=rng), problem.times(steps)
    for t, s in pairwise(times):
        now, then = problem.sde.kernel(t), problem.sde.kernel(s)
        data = problem.denoiser(x, float(t))
        noise = (x - float(now.scale) * data) / float(now.std)
        x = float(then.scale) * data + float(then.std) * noise
    return x


def generator(backend: str) -> Any:
    """A fresh generator of the library."""
    if backend == "numpy":
        return np.random.default_rng(0)
    import torch

    return torch.Generator().manual_seed(0)


def bench(sampler: Callable[..., Any], problem: Problem, steps: int, backend: str) -> None:
    """One row of the table; the ordinary call belongs to the check of finite output, and costs nothing here."""

    def run(rows: int, plan: Plan | None) -> Observed:
        log = NoiseLog(rows, plan)
        with tapped(generator(backend), log) as given:
            out = sampler(problem, rows, steps=steps, rng=given)
        return Observed(np.asarray(out).reshape(rows, -1), log)

    ordinary = run(37, None)
    rows = affine_law(run, ordinary).rows
    times = side_by_side(
        {
            "exact": lambda: affine_law(run, ordinary).gap(problem.law).w2(),
            "plain": lambda: sampler(problem, rows, steps=steps, rng=generator(backend)),
        },
        repeats=25 if rows < 2000 else 3,
    )
    name = f"{problem.name}, {sampler.__name__}, {backend}, {steps} steps, {rows} rows"
    print(name)
    print(times.line("exact", "plain"))
    least = min(times.seconds["exact"]) / min(times.seconds["plain"])
    print(f"  the fastest of each: {least:.2f}  wanted: at most 1.3")


def wide(dim: int) -> Problem:
    """A rotated Gaussian of many dimensions."""
    rng = np.random.default_rng(1)
    axes = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    covariance = (axes * np.geomspace(0.02, 2.0, dim)) @ axes.T
    law = Gaussian(rng.standard_normal(dim), (covariance + covariance.T) / 2)
    return Problem(f"gaussian-{dim}d", law, VP() if dim > 64 else EDM(), t_min=1e-2)


def main() -> None:
    """All rows."""
    with threadpool_limits(limits=1):
        for backend in ("numpy", "torch"):
            for problem in (PROBLEMS["gaussian-2d"], PROBLEMS["gaussian-8d"], wide(64)):
                for steps in (8, 128):
                    for sampler in (euler_maruyama, ddim):
                        bench(sampler, problem, steps, backend)


if __name__ == "__main__":
    main()
