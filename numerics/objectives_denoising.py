"""Denoising score matching: ``c E |s(x_t) - grad log q(x_t | x_0)|^2`` and its two deterministic companions.

Reference:
    Vincent 2011, Eq. 9.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..theory._checks import bad, positive
from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Vector
from .estimate import Estimate
from .features import (
    Features,
    fourier_grid,
    hermite_features,
    mixture_of,
    moment_features,
    noised_cf_features,
    products,
    rao_features,
)
from .objectives import MOST_FEATURES, SingleObjective, integrate
from .proposals import Sampling, law_sampling, normal_sampling
from .score_models import as_model


@dataclass(frozen=True)
class DSM(SingleObjective):
    """``c E |s(x_t) - target|^2`` with ``x_t = a x_0 + sd eps`` and ``target = grad log q(x_t | x_0) = -eps / sd``.

    Attributes:
        base: law of ``x_0``.
        scale: a.
        variance: ``sd^2``.
        factor: c.
        target: ``(x_0, eps) -> (n, d)`` in the place of ``-eps / sd``.
        at_clean: the model is evaluated at ``x_0``, not at ``x_t``.
    """

    base: Any
    scale: float = 1.0
    variance: float = 1.0
    factor: float = 0.5
    target: Callable[[Vector, Vector], Vector] | None = None
    at_clean: bool = False

    def __post_init__(self) -> None:
        positive(self.variance, "variance")
        positive(self.scale, "scale")

    @property
    def std(self) -> float:
        """``sd``."""
        return math.sqrt(self.variance)

    @cached_property
    def marginal(self) -> Any:
        """The law ``q_t`` of ``x_t``."""
        return self.base.diffuse(self.scale, self.variance)

    @property
    def sampling(self) -> Sampling:
        """Rows ``(x_0, eps)``."""
        return law_sampling(self.base) * normal_sampling(self.base.dim)

    @property
    def key(self) -> tuple[Any, ...]:
        """The laws of x_0 and of eps."""
        return (("law", id(self.base)), ("normal", self.base.dim))

    def noised(self, x0: Vector, eps: Vector) -> Vector:
        """``x_t = a x_0 + sd eps``, ``(n, d)``."""
        return self.scale * x0 + self.std * eps

    def features(self) -> list[Features]:
        """Polynomials of ``(x_0, eps)`` per component, and waves of ``x_t`` times polynomials of ``eps``."""
        return self._families

    @cached_property
    def _families(self) -> list[Features]:
        return dsm_features(self.base, self.scale, self.variance)

    def contributions(self, score: Any, *draws: Vector) -> tuple[Vector, Vector]:
        """``c |s(x_t) - target|^2``."""
        x0, eps = draws
        at = x0 if self.at_clean else self.noised(x0, eps)
        goal = -eps / self.std if self.target is None else np.asarray(self.target(x0, eps))
        off = as_model(score)(at) - goal
        return self.factor * np.sum(off * off, axis=1), np.zeros(len(x0))

    def quadrature(self, score: Any) -> Estimate:
        """See :meth:`Objective.quadrature`."""
        return integrate_noised(lambda *draws: self.contributions(score, *draws)[0], self.base)


def integrate_noised(values: Callable[[Vector, Vector], Vector], base: Any) -> Estimate:
    """``E f(x_0, eps)`` by quadrature over ``x_0`` and a Gauss-Hermite rule over ``eps``; d <= 2.

    The error adds that of the outer rule and the change when the inner rule is refined.
    """
    d = base.dim
    sizes = {1: (64, 96), 2: (12, 20)}
    if d not in sizes:
        raise bad("base", f"dimension {d}", "dimension 1 or 2", "use estimate")

    def inner(size: int) -> Callable[[Vector], tuple[Vector, Vector]]:
        nodes, weights = np.polynomial.hermite_e.hermegauss(size)
        weights = weights / weights.sum()
        grid = np.array(np.meshgrid(*[nodes] * d)).reshape(d, -1).T
        product = np.prod(np.array(np.meshgrid(*[weights] * d)).reshape(d, -1), axis=0)
        # Nodes of weight 1e-20 and less cannot be seen, but a polynomial there could overflow.
        keep = product > 1e-22
        grid, product = grid[keep], product[keep]

        def mean(x0: Vector) -> tuple[Vector, Vector]:
            rows = max(1, 200_000 // len(grid))
            out = np.empty(len(x0))
            for i in range(0, len(x0), rows):
                block = x0[i : i + rows]
                both = np.repeat(block, len(grid), axis=0), np.tile(grid, (len(block), 1))
                out[i : i + rows] = values(*both).reshape(len(block), -1) @ product
            return out, np.zeros(len(x0))

        return mean

    tolerance = 1e-10 if d == 1 else 1e-8
    coarse, fine = (integrate(inner(m), base, tolerance=tolerance) for m in sizes[d])
    return fine.widened(abs(fine.value - coarse.value))


def dsm_features(base: Any, scale: float, variance: float) -> list[Features]:
    """Families for functions of independent ``(x_0, eps)``, exact by independence alone."""
    d = base.dim
    noise = [hermite_features(d, 2, diagonal=True).of(1), hermite_features(d, 2).of(1)]
    law = mixture_of(base)
    if law is None:
        found = [*noise, *(products(moment_features(base, 1).of(0), f) for f in noise)]
        return [f for f in found if f.size <= MOST_FEATURES]
    joint = _joint(law)
    found = [noise[0], noise[1]]
    found += [products(moment_features(law, 1).of(0), noise[0])]
    found += [products(moment_features(law, 2).of(0), noise[1])]
    law_t = law.diffuse(scale, variance)
    for diagonal in (True, False):
        mixed = rao_features(law_t, 2, diagonal=diagonal)
        found.append(_noised(mixed, scale, variance) + noise[0])
    if joint is not None:
        found += [_on_pair(rao_features(joint, g)) for g in (1, 2, *((4,) if d == 1 else ()))]
        waves = noised_cf_features(law, scale, variance, fourier_grid(law_t, 24 if d == 1 else 40))
        if d <= 3:
            found += [found[-1] + waves]
    return sorted((f for f in found if f.size <= MOST_FEATURES), key=lambda f: f.size)


def _joint(law: GaussianMixture) -> GaussianMixture | None:
    """Law of ``(x_0, eps)`` as a mixture in twice the dimension; None where that is too large."""
    d, k = law.dim, law.components
    if d > 16 or k > 40:
        return None
    covariances = np.zeros((k, 2 * d, 2 * d))
    covariances[:, :d, :d] = law.covariances
    covariances[:, d:, d:] = np.eye(d)
    means = np.concatenate([law.means, np.zeros((k, d))], axis=1)
    return GaussianMixture(law.weights, means, covariances)


def _on_pair(family: Features) -> Features:
    """Features of one array of twice the dimension, as features of its two halves."""
    inner = family.evaluate
    return replace(family, evaluate=lambda a, b: inner(np.concatenate([a, b], axis=1)))


def _noised(family: Features, scale: float, variance: float) -> Features:
    """Features of ``x_t`` as features of ``(x_0, eps)``: the law of a sum of independent parts is known."""
    inner, sd = family.evaluate, math.sqrt(variance)
    return replace(family, evaluate=lambda x0, eps: inner(scale * x0 + sd * eps))
