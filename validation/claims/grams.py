"""Inner products ``E f_i . f_j`` of score fields under a law: every quadratic objective is a combination of them.

Under the noised law ``x_t = a x_0 + sd eps`` the regression target ``-eps / sd`` is one of the fields. It is averaged
component by component: given the component k and ``x_t`` the noise is ``N(G (x_t - a mu_k), I - sd G)`` with
``G = sd (a^2 Sigma_k + sd^2 I)^-1``, so that neither a posterior nor a score of the library enters its moments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from ...numerics.divergence import exact_divergence
from ...numerics.estimate import Estimate, quadrature_estimate
from ...numerics.score_models import as_model
from ...theory.mixtures import Gaussian, GaussianMixture
from ...theory.protocols import Vector
from .averages import grid_means
from .fields import fields
from .laws import skewed_1d, skewed_2d

#: coefficients by name of a field
Mix = Mapping[str, float]

MODELS = ("linear", "bent", "rippled")
LAWS: Mapping[int, Callable[[], GaussianMixture]] = {1: skewed_1d, 2: skewed_2d}


@dataclass(frozen=True)
class Gram:
    """Inner products of named fields, and mean divergences of those that have one.

    Attributes:
        names: of the m fields.
        products: ``(m, m)``, ``E f_i . f_j``.
        errors: ``(m, m)``.
        slopes: ``(m,)``, ``E tr grad f_i``; NaN where it was not taken.
        slope_errors: ``(m,)``.
        nodes: points of the quadrature.
    """

    names: tuple[str, ...]
    products: Vector
    errors: Vector
    slopes: Vector
    slope_errors: Vector
    nodes: int

    def row(self, mix: Mix) -> Vector:
        """Coefficients in the order of the names."""
        out = np.zeros(len(self.names))
        for name, value in mix.items():
            out[self.names.index(name)] += value
        return out

    def inner(self, one: Mix, other: Mix) -> Estimate:
        """``E (sum_i a_i f_i) . (sum_j b_j f_j)``."""
        a, b = self.row(one), self.row(other)
        error = float(np.abs(a) @ self.errors @ np.abs(b))
        return quadrature_estimate(float(a @ self.products @ b), error, n=self.nodes)

    def square(self, mix: Mix) -> Estimate:
        """``E |sum_i a_i f_i|^2``."""
        return self.inner(mix, mix)

    def slope(self, mix: Mix) -> Estimate:
        """``E tr grad (sum_i a_i f_i)``."""
        kept = self.row(mix)
        used = kept != 0
        value = float(kept[used] @ self.slopes[used])
        error = float(np.abs(kept[used]) @ self.slope_errors[used])
        return quadrature_estimate(value, error, n=self.nodes)


def _entries(values: list[Vector]) -> Vector:
    """Products of all pairs of fields ``(n, d)``, shape ``(n, m (m + 1) / 2)``."""
    rows, cols = np.triu_indices(len(values))
    return np.stack([(values[i] * values[j]).sum(1) for i, j in zip(rows, cols, strict=True)], 1)


def _square(estimates: list[Estimate], m: int) -> tuple[Vector, Vector]:
    rows, cols = np.triu_indices(m)
    value, error = np.zeros((m, m)), np.zeros((m, m))
    value[rows, cols] = value[cols, rows] = [e.value for e in estimates]
    error[rows, cols] = error[cols, rows] = [e.half_width for e in estimates]
    return value, error


@cache
def clean(dim: int) -> Gram:
    """Fields under the data law of dimension ``dim``: ``score`` and the three models, with divergences."""
    law = LAWS[dim]()
    models = {"score": as_model(law), **fields(law)}

    def values(x: Vector) -> Vector:
        slopes = [exact_divergence(f, x).value for f in models.values()]
        columns = [_entries([f(x) for f in models.values()]), np.stack(slopes, 1)]
        return np.concatenate(columns, axis=1) * np.exp(law.log_prob(x))[:, None]

    found = grid_means(values, law)
    m = len(models)
    slopes = np.array([[e.value, e.half_width] for e in found[-m:]])
    return Gram(tuple(models), *_square(found[:-m], m), slopes[:, 0], slopes[:, 1], found[0].n)


@cache
def noised(dim: int, std: float, scale: float = 1.0) -> Gram:
    """Fields under ``x_t = scale x_0 + std eps``.

    ``score`` (of the law of ``x_t``), ``data`` (the score of the data law, at ``x_t``), ``wide`` (the score for
    ``1.5 std``), the three models, and ``target``, which is ``-eps / std``.
    """
    base = LAWS[dim]()
    law, wide = base.diffuse(scale, std**2), base.diffuse(scale, (1.5 * std) ** 2)
    models = fields(law)
    names = ("score", "data", "wide", *models, "target")
    parts = [
        (float(w), Gaussian(scale * mean, scale**2 * covariance + std**2 * np.eye(dim)))
        for w, mean, covariance in zip(base.weights, base.means, base.covariances, strict=True)
    ]

    def values(x: Vector) -> Vector:
        found = [f(x) for f in (law.score, base.score, wide.score, *models.values())]
        alone = _entries(found)
        total = np.zeros((len(x), len(names) * (len(names) + 1) // 2))
        _, cols = np.triu_indices(len(names))
        inner = cols < len(found)
        for weight, part in parts:
            density = weight * np.exp(part.log_prob(x))[:, None]
            inverse = np.linalg.inv(part.covariance)
            target = -(x - part.mean) @ inverse
            total[:, inner] += density * alone
            with_target = [(f * target).sum(1) for f in (*found, target)]
            with_target[-1] += dim / std**2 - np.trace(inverse)
            total[:, ~inner] += density * np.stack(with_target, 1)
        return total

    detail = float(np.sqrt(base.basis.eigenvalues().min()))
    estimates = grid_means(values, law, detail=detail)
    none = np.full(len(names), np.nan)
    return Gram(names, *_square(estimates, len(names)), none, none, estimates[0].n)
