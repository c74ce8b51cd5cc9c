"""The output law of a deterministic sampler in one dimension, for any target, without sampling.

A deterministic sampler maps starting points to outputs, ``y = T(x)``. Pushing quantiles of the start through
it gives the quantiles of the output where T is monotone; where T folds (two-stage rules do at few steps)
outputs are sorted with their weights. Levels are normal, ``u = Phi(s)`` with equidistant s, so that averages
over u are trapezoid sums of smooth functions that vanish at both ends; every second node gives the error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from ..theory._checks import bad
from ..theory.empirical import DiffusedPoints
from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Vector

_REACH = 7.0  #: the mass beyond is 2.6e-12
_ATOMS = 2000  #: points of a data set that are still taken as a mixture
_NODES = 1024  #: intervals; a multiple of 4, so that coarser rules are among its nodes


@dataclass(frozen=True)
class Levels:
    """Normal levels with weights.

    Attributes:
        s: ``(m,)``, increasing.
        u: ``Phi(s)``.
        weights: of the trapezoid rule for averages over u, sum one.
    """

    s: Vector
    u: Vector
    weights: Vector

    @classmethod
    def of(cls, intervals: int = _NODES) -> Levels:
        """``intervals + 1`` levels.

        Raises:
            ValueError: an odd number of intervals, or fewer than eight.
        """
        if intervals < 8 or intervals % 2:
            raise bad("intervals", intervals, "an even number, 8 or more", "pass e.g. 1024")
        s = np.linspace(-_REACH, _REACH, intervals + 1)
        density = np.exp(-(s**2) / 2)
        return cls(s, special.ndtr(s), density / density.sum())

    def coarse(self) -> Levels:
        """Every second level."""
        w = self.weights[::2]
        return Levels(self.s[::2], self.u[::2], w / w.sum())


@dataclass(frozen=True)
class Distance:
    """A number with the estimate of its error."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Pushforward:
    """The output law against a target.

    Attributes:
        w1: Wasserstein-1 distance.
        w2: Wasserstein-2 distance.
        kolmogorov: largest distance of the distribution functions.
        mean: of the output.
        std: of the output.
        folds: intervals on which the map decreases.
    """

    w1: Distance
    w2: Distance
    kolmogorov: Distance
    mean: float
    std: float
    folds: int


def with_quantiles(law: Any) -> Any:
    """A one-dimensional law, or what it wraps, with ``quantile`` and ``cdf``; a diffused data set as a mixture.

    Raises:
        ValueError: a law without quantiles, or of another dimension.
    """
    inner = law if hasattr(law, "quantile") else getattr(law, "law", law)
    if law.dim == 1 and isinstance(inner, DiffusedPoints) and len(inner.weights) <= _ATOMS:
        variances = np.full(len(inner.weights), inner.variance)
        return GaussianMixture(inner.weights, inner.scale * inner.points, variances)
    if law.dim != 1 or not hasattr(inner, "quantile"):
        raise bad("law", repr(law), "a one-dimensional law with quantiles", "draw from it instead")
    return inner


def start_points(law: Any, levels: Levels) -> Vector:
    """Quantiles of a one-dimensional law at the levels, ``(m, 1)``.

    Raises:
        ValueError: a law without quantiles, or of another dimension.
    """
    inner = with_quantiles(law)
    return np.asarray(inner.quantile(levels.u), dtype=np.float64).reshape(-1, 1)


def pushforward(
    f: Callable[[Vector], Vector], start: Vector, target: Any, levels: Levels
) -> Pushforward:
    """Pushes starting points through a map and compares with a target.

    Args:
        f: ``(m, 1) -> (m, 1)``.
        start: quantiles of the start law at ``levels``, ``(m, 1)``.
        target: one-dimensional law with ``quantile`` and ``cdf``.
        levels: as for ``start``.
    """
    return against(np.asarray(f(start), dtype=np.float64)[:, 0], target, levels)


def against(y: Vector, target: Any, levels: Levels) -> Pushforward:
    """Distances of the law with the quantiles, or outputs at the levels, ``y`` ``(m,)`` to the target."""
    law = with_quantiles(target)
    fine, coarse = _numbers(y, law, levels), _numbers(y[::2], law, levels.coarse())
    mean = float(levels.weights @ y)
    std = float(np.sqrt(levels.weights @ (y - mean) ** 2))
    # The half rule errs more than the whole one, so that their difference bounds its error; what lies beyond the
    # last level weighs as if it were twice as far off.
    ends = np.abs(y[[0, -1]] - np.asarray(law.quantile(levels.u[[0, -1]]))[:, 0]).max()
    beyond = 2 * float(special.ndtr(-_REACH))
    rounding = 64 * np.finfo(float).eps * (1 + abs(mean) + std)
    w1 = _with_error(fine[0], abs(fine[0] - coarse[0]) + 2 * ends * beyond + rounding)
    square = abs(fine[1] - coarse[1]) + 4 * ends**2 * beyond + rounding**2
    w2 = Distance(
        float(np.sqrt(fine[1])),
        max(0.0, float(np.sqrt(max(fine[1] - square, 0.0))) - rounding),
        float(np.sqrt(fine[1] + square)) + rounding,
    )
    ks = _with_error(fine[2], abs(fine[2] - coarse[2]) + beyond + rounding)
    return Pushforward(w1, w2, ks, mean, std, int((np.diff(y) < 0).sum()))


def _numbers(y: Vector, law: Any, levels: Levels) -> tuple[float, float, float]:
    """W1, the square of W2, and the Kolmogorov distance by the rule of the levels."""
    u, w = levels.u, levels.weights
    if (np.diff(y) < 0).any():
        order = np.argsort(y, kind="stable")
        y, w = y[order], w[order]
        u = np.cumsum(w) - w / 2
    gap = y - np.asarray(law.quantile(u), dtype=np.float64).reshape(-1)
    height = np.abs(u - np.asarray(law.cdf(y[:, None]), dtype=np.float64).reshape(-1))
    return float(w @ np.abs(gap)), float(w @ gap**2), float(height.max())


def _with_error(value: float, error: float) -> Distance:
    return Distance(value, max(0.0, value - error), value + error)
