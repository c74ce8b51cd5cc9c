"""One dimension: laws of discretised samplers by quadrature of transition kernels, and wrong shapes."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from scoreproof.theory import VP, marginal
from scoreproof.theory.densities_1d import Laplace, StudentT, Uniform

from .entry import Entry, density_entry, draws_of
from .limits import absent_size, line_moments, seen_size
from .targets import line

_NODES = 901


class GridLaw:
    """A density on a uniform grid, linear between its nodes.

    Args:
        x: nodes.
        density: values, normalised here.
    """

    dim = 1

    def __init__(self, x: np.ndarray, density: np.ndarray) -> None:
        self.x = x
        f = np.maximum(density, 1e-300)
        cells = np.diff(x) * (f[1:] + f[:-1]) / 2
        self.density = f / cells.sum()
        self._below = np.concatenate([[0.0], np.cumsum(cells / cells.sum())])

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """``log p`` of ``(n, 1)``; the logarithm is linear between nodes."""
        return np.interp(x[..., 0], self.x, np.log(self.density), left=-np.inf, right=-np.inf)

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draws by inversion; within a cell the density is linear."""
        u = rng.random(n) * self._below[-1]
        k = np.clip(np.searchsorted(self._below, u, side="right") - 1, 0, len(self.x) - 2)
        left, right, width = self.density[k], self.density[k + 1], np.diff(self.x)[k]
        rest = u - self._below[k]
        # left s + (right - left) s^2 / (2 width) = rest, in the form that does not cancel
        root = np.sqrt(np.maximum(left**2 + 2 * (right - left) * rest / width, 0))
        return (self.x[k] + 2 * rest / (left + root))[:, None]


def _kernel(x: np.ndarray, to: np.ndarray, sd: float) -> np.ndarray:
    """Transition densities ``(from, to)`` of ``to + sd z``, times the width of a cell."""
    k = np.exp(-0.5 * ((x[None] - to[:, None]) / sd) ** 2)
    return k / k.sum(axis=1, keepdims=True)


def unadjusted(h: float) -> GridLaw:
    """Stationary law of ``x + h s(x) + sqrt(2 h) z``."""
    x = np.linspace(-5.5, 6.5, _NODES)
    p = line()
    kernel = _kernel(x, x + h * p.score(x[:, None])[:, 0], math.sqrt(2 * h))
    f = np.exp(p.log_prob(x[:, None]))
    f /= f.sum()
    for _ in range(16):  # kernel^(2^k), so that modes that hardly mix are mixed
        kernel = kernel @ kernel
    return GridLaw(x, f @ kernel)


def reverse(
    steps: int, *, late: float = 0.0, factor: float = 1.0, clip: float = math.inf
) -> GridLaw:
    """Euler-Maruyama in reverse time under VP, from the exact marginal at t = 1 to t = .02.

    Args:
        steps: number of steps, quadratic in time.
        late: part of a step by which the score lags behind.
        factor: of the score.
        clip: bound of the clean-data prediction.
    """
    x = np.linspace(-7, 7.5, _NODES)
    sde, p = VP(), line()
    times = np.linspace(1.0, math.sqrt(0.02), steps + 1) ** 2
    f = np.exp(marginal(p, sde, 1.0).log_prob(x[:, None]))
    f /= f.sum()
    for t, s in pairwise(times):
        h, beta = t - s, 0.1 + 19.9 * t
        at = min(t + late * h, 1.0)
        score = factor * marginal(p, sde, at).score(x[:, None])[:, 0]
        if math.isfinite(clip):
            kernel = sde.kernel(at)
            a, v = float(kernel.scale), float(kernel.variance)
            clean = np.clip((x + v * score) / a, -clip, clip)
            score = (a * clean - x) / v
        f = f @ _kernel(x, x + h * beta * (0.5 * x + score), math.sqrt(beta * h))
    return GridLaw(x, f)


def _reversed(name: str, words: str, **options: Any) -> Callable[[], Entry]:
    def build() -> Entry:
        # the noise that is left at the end is part of the target
        p, q = marginal(line(), VP(), 0.02).law, reverse(**options)
        found = line_moments(p, q, -6.5, 7.0)
        return Entry(
            name, p, draws_of(q), words, q, found, min(found.size, absent_size(p, q, -6.5, 7.0))
        )

    return build


def _ula() -> Entry:
    p, q = line(), unadjusted(0.01)
    words = "unadjusted Langevin, h = .01"
    return density_entry("ula_line", words, p, q, moments=line_moments(p, q, -5, 6))


def _between(
    name: str, words: str, p: Any, q: Any, low: float, high: float
) -> Callable[[], Entry]:
    return lambda: density_entry(name, words, p, q, moments=line_moments(p, q, low, high))


class _Skewed:
    """A standard normal tilted by ``1 + a He_3(z)/sqrt(6)``, positive where it matters; target: N(.5, .49)."""

    dim = 1

    def __init__(self, a: float) -> None:
        x = np.linspace(-4.3, 4.3, 4001)
        tilt = np.maximum(1 + a * (x**3 - 3 * x) / math.sqrt(6), 0.05)
        self._law = GridLaw(0.5 + 0.7 * x, np.exp(-(x**2) / 2) * tilt)

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        return self._law.log_prob(x)

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return self._law.sample(n, rng)


def _skewed() -> Entry:
    from scoreproof.theory import Gaussian

    p, q = Gaussian([0.5], [[0.49]]), _Skewed(0.05)
    moments = line_moments(p, q, 0.5 - 0.7 * 4.3, 0.5 + 0.7 * 4.3)
    return density_entry(
        "skewed", "skewness .12 with right mean and variance", p, q, moments=moments
    )


def _uniform() -> Entry:
    q = Uniform(-0.5, 2.01)
    words = "upper end 2.01, not 2"
    return Entry(
        "uniform_edge", Uniform(-0.5, 2.0), draws_of(q), words, q, None, seen_size(0.01 / 2.51)
    )


BUILDERS: tuple[Callable[[], Entry], ...] = (
    _ula,
    _reversed("late_line", "score of the step before, 120 steps", steps=120, late=1.0),
    _reversed("few_line", "60 Euler steps", steps=60),
    _reversed("clipped_clean", "clean data clipped at 3.2", steps=120, clip=3.2),
    _reversed("score_102_line", "score 2 % too large, 200 steps", steps=200, factor=1.02),
    _skewed,
    _between(
        "laplace_wide", "scale 3 % too large", Laplace(0.7, 0.5), Laplace(0.7, 0.515), -12, 14
    ),
    _between(
        "student_tail",
        "6 degrees of freedom, not 5",
        StudentT(5.0, 0.5, 0.7),
        StudentT(6.0, 0.5, 0.7),
        -80,
        81,
    ),
    _uniform,
)
