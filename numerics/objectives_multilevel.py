"""Denoising score matching over many noise levels: discrete (NCSN) and continuous in time.

References:
    Song & Ermon 2019, Eq. 6 (levels); Song et al. 2021, Eq. 7 (continuous time).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..theory._checks import bad, parameter
from ..theory.protocols import Vector
from .control_variates import Part
from .estimate import Estimate
from .features import (
    Features,
    hermite_features,
    legendre_features,
    mixture_of,
    products,
    rao_features,
)
from .objectives import Objective
from .objectives_denoising import DSM, integrate_noised
from .proposals import Sampling, law_sampling, normal_sampling

_STRATA = 8


@dataclass(frozen=True)
class MultiLevelDSM(Objective):
    """``(1/L) sum_i lambda_i c E |s(x + sigma_i eps, sigma_i) + eps/sigma_i|^2``; c is one, as printed.

    The score is called as ``s(x, sigma)`` with a number ``sigma``.

    Attributes:
        law: law of x.
        sigmas: ``(L,)`` noise levels.
        weights: ``(L,)`` lambda_i; None: ``sigma_i^2``.
        factor: c.
        at_clean: the model is evaluated at the clean x.
    """

    law: Any
    sigmas: Sequence[float]
    weights: Sequence[float] | None = None
    factor: float = 1.0
    at_clean: bool = False

    def __post_init__(self) -> None:
        sigmas = parameter(self.sigmas, "sigmas", 1)
        if (sigmas <= 0).any():
            raise bad("sigmas", f"smallest {sigmas.min():g}", "positive levels", "drop zero noise")
        if len(self.lambdas) != len(sigmas):
            raise bad("weights", f"{len(self.lambdas)}", f"{len(sigmas)} weights", "one a level")

    @property
    def lambdas(self) -> Vector:
        """``lambda_i``, shape ``(L,)``."""
        if self.weights is None:
            return np.square(parameter(self.sigmas, "sigmas", 1))
        return parameter(self.weights, "weights", 1)

    @cached_property
    def levels(self) -> tuple[DSM, ...]:
        """The objective of each level, without its weight."""
        return tuple(
            DSM(self.law, 1.0, float(s) ** 2, factor=self.factor, at_clean=self.at_clean)
            for s in self.sigmas
        )

    def parts(self, score: Any, *, control_variates: bool = True) -> list[Part]:
        """One part a level, with draws of its own."""
        found = []
        for sigma, weight, dsm in zip(self.sigmas, self.lambdas, self.levels, strict=True):
            (part,) = dsm.parts(_at(score, float(sigma)), control_variates=control_variates)
            found.append(replace(part, weight=float(weight) / len(self.levels)))
        return found

    def quadrature(self, score: Any) -> Estimate:
        """The sum of the quadratures of the levels; d <= 2."""
        pieces = [
            dsm.quadrature(_at(score, float(sigma))) * (float(weight) / len(self.levels))
            for sigma, weight, dsm in zip(self.sigmas, self.lambdas, self.levels, strict=True)
        ]
        return sum(pieces[1:], start=pieces[0])


@dataclass(frozen=True)
class WeightedDSM(Objective):
    """``E_t lambda(t) c E |s(x_t, t) + eps / sd(t)|^2`` for ``x_t = a(t) x_0 + sd(t) eps`` and random t.

    The score is called as ``s(x, t)`` with t of shape ``(n,)``. The law of t is given by its quantile
    function; draws are stratified in it.

    Attributes:
        base: law of ``x_0``.
        sde: the linear diffusion.
        weighting: lambda, a function of t ``(n,)``; None: ``sd(t)^2``.
        t_min: smallest time, positive.
        t_max: largest time; None: that of the diffusion.
        quantile: ``u -> t`` of the law of t; None: uniform on ``[t_min, t_max]``.
        factor: c.
    """

    base: Any
    sde: Any
    weighting: Callable[[Vector], Vector] | None = None
    t_min: float = 1e-3
    t_max: float | None = None
    quantile: Callable[[Vector], Vector] | None = None
    factor: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.t_min < self.end <= self.sde.t_max * (1 + 1e-12):
            got = f"[{self.t_min:g}, {self.end:g}]"
            raise bad("t_min, t_max", got, f"times in (0, {self.sde.t_max:g}]", "reorder them")

    @property
    def end(self) -> float:
        """The largest time."""
        return float(self.sde.t_max if self.t_max is None else self.t_max)

    def times(self, u: Vector) -> Vector:
        """Times at probabilities ``u``."""
        if self.quantile is not None:
            return np.asarray(self.quantile(u), dtype=np.float64)
        return self.t_min + (self.end - self.t_min) * u

    def terms(self, score: Any, u: Vector, x0: Vector, eps: Vector) -> Vector:
        """``lambda(t) c |s(x_t, t) + eps / sd(t)|^2`` at ``t = times(u)``, ``(n,)``."""
        t = self.times(u)
        kernel = self.sde.kernel(t)
        a, variance = np.asarray(kernel.scale), np.asarray(kernel.variance)
        sd = np.sqrt(variance)[:, None]
        off = np.asarray(score(a[:, None] * x0 + sd * eps, t), dtype=np.float64) + eps / sd
        weight = variance if self.weighting is None else np.asarray(self.weighting(t))
        return self.factor * weight * np.sum(off * off, axis=1)

    def parts(self, score: Any, *, control_variates: bool = True) -> list[Part]:
        """One part a stratum of t."""
        rows = law_sampling(self.base) * normal_sampling(self.base.dim)
        families = self._families if control_variates else []
        found = []
        for i in range(_STRATA):

            def values(w: Vector, x0: Vector, eps: Vector, i: int = i) -> Vector:
                return self.terms(score, (i + w) / _STRATA, x0, eps)

            found.append(Part(values, _uniform() * rows, families, 1 / _STRATA))
        return found

    @cached_property
    def _families(self) -> list[Features]:
        """Functions of ``(w, x_0, eps)``, w uniform within a stratum, exact by independence."""
        d = self.base.dim
        time = legendre_features(3).of(0)
        noise = [hermite_features(d, 2, diagonal=diagonal).of(2) for diagonal in (True, False)]
        found = [products(time, noise[0])]
        law = mixture_of(self.base)
        if law is not None:
            for degree in (1, 2):
                clean = rao_features(law, degree, diagonal=d > 3).of(1)
                both = products(clean, noise[1] if d <= 3 else noise[0])
                found += [both, products(time, both)]
        return sorted((f for f in found if f.size <= 500), key=lambda f: f.size)

    def quadrature(self, score: Any) -> Estimate:
        """Gauss-Legendre in u over the quadrature of each time; d <= 2."""
        coarse, fine = (self._legendre(score, m) for m in (12, 18))
        return fine.widened(abs(fine.value - coarse.value))

    def _legendre(self, score: Any, count: int) -> Estimate:
        nodes, weights = np.polynomial.legendre.leggauss(count)
        pieces = []
        for node, weight in zip(0.5 * (nodes + 1), 0.5 * weights, strict=True):

            def values(x0: Vector, eps: Vector, u: float = float(node)) -> Vector:
                return self.terms(score, np.full(len(x0), u), x0, eps)

            pieces.append(integrate_noised(values, self.base) * float(weight))
        return sum(pieces[1:], start=pieces[0])


def _at(score: Any, sigma: float) -> Callable[[Vector], Vector]:
    return lambda x: score(x, sigma)


def _uniform() -> Sampling:
    def rows(n: int, rng: np.random.Generator) -> tuple[Vector]:
        return (rng.random(n),)

    return Sampling(rows, rows, lambda u: np.zeros(len(u)))
