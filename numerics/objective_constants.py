"""The constants that tie the objectives together, and differences of objectives.

* ``ESM - ISM = c E|grad log p|^2`` (Hyvaerinen 2005, Theorem 1);
* ``DSM - ESM(q_t) = C = c (E|grad log q(x_t | x_0)|^2 - E|grad log q_t|^2) = c (d / v - I(q_t))``, and by the
  law of total variance ``C = c (a^2 / v^2) E tr Cov[x_0 | x_t]``: no score enters the second form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Vector
from .control_variates import Part, controlled_mean, controlled_sum
from .estimate import Estimate, exact_estimate
from .features import mixture_of
from .objectives import Objective, SingleObjective, integrate
from .objectives_denoising import DSM

_BLOCK = 1 << 21  #: entries of the covariances of one block of points

#: from common draws to the arrays of one objective
Rows = Callable[..., tuple[Vector, ...]]
_Placed = tuple[SingleObjective, Rows]


def fisher_information(
    law: Any,
    *,
    n: int = 200_000,
    rng: np.random.Generator | None = None,
    level: float = 1e-9,
) -> Estimate:
    """``I(p) = E_p |grad log p|^2``.

    Closed form ``tr Sigma^{-1}`` for a Gaussian, quadrature for d <= 2, else Monte Carlo with control
    variates from ``n`` draws of ``rng``.

    Raises:
        ValueError: d > 2, not Gaussian, and no generator.
    """
    mixture = mixture_of(law)
    if mixture is not None and mixture.components == 1:
        return exact_estimate(float(mixture.basis.trace(lambda v: 1 / v)[0]))

    def square(x: Vector) -> Vector:
        return np.sum(np.asarray(law.score(x)) ** 2, axis=1)

    if law.dim <= 2:
        return integrate(lambda x: (square(x), np.zeros(len(x))), law)
    return controlled_mean(square, law, n=n, rng=_generator(rng), level=level)


def posterior_spread(
    base: Any,
    scale: float,
    variance: float,
    *,
    n: int = 200_000,
    rng: np.random.Generator | None = None,
    level: float = 1e-9,
) -> Estimate:
    """``E tr Cov[x_0 | x_t]``, the least mean squared error of a denoiser of ``x_t = a x_0 + sd eps``.

    From the posterior mixture: ``tr Cov = sum_k r_k (tr C_k + |m_k|^2) - |sum_k r_k m_k|^2``.

    Args:
        base: law of ``x_0`` with a closed posterior.
        scale: a.
        variance: ``sd^2``.
        n: draws, for d > 2.
        rng: generator, for d > 2.
        level: false-alarm rate, for d > 2.
    """

    def trace(x: Vector) -> Vector:
        rows = max(1, _BLOCK // base.dim**2)
        blocks = [x[i : i + rows] for i in range(0, len(x), rows)]
        return np.concatenate([_spread(base.posterior(y, scale, variance)) for y in blocks])

    law = base.diffuse(scale, variance)
    if base.dim <= 2:
        return integrate(lambda x: (trace(x), np.zeros(len(x))), law)
    return controlled_mean(trace, law, n=n, rng=_generator(rng), level=level)


def _spread(given: Any) -> Vector:
    """``tr Cov`` of a posterior, ``(n,)``."""
    if not hasattr(given, "covariances"):  # point masses: one covariance a row
        return np.trace(np.asarray(given.covariance), axis1=-2, axis2=-1)
    weights, means = np.asarray(given.weights), np.asarray(given.means)
    inner = np.trace(np.asarray(given.covariances), axis1=-2, axis2=-1)
    centre = np.sum(weights[..., None] * means, axis=-2, keepdims=True)
    between = np.sum((means - centre) ** 2, axis=-1)
    return np.sum(weights * (inner + between), axis=-1)


def dsm_constant(
    base: Any,
    scale: float,
    variance: float,
    *,
    factor: float = 0.5,
    route: str = "posterior",
    n: int = 200_000,
    rng: np.random.Generator | None = None,
    level: float = 1e-9,
) -> Estimate:
    """``C = DSM(s) - ESM(s; q_t)``, the same for every s.

    Args:
        base: law of ``x_0``.
        scale: a.
        variance: ``v = sd^2``.
        factor: c of the two objectives.
        route: ``posterior``: ``c (a/v)^2 E tr Cov[x_0 | x_t]``; ``fisher``: ``c (d/v - I(q_t))``.
        n: draws, for d > 2.
        rng: generator, for d > 2.
        level: false-alarm rate, for d > 2.
    """
    if route == "posterior":
        spread = posterior_spread(base, scale, variance, n=n, rng=rng, level=level)
        return factor * (scale / variance) ** 2 * spread
    if route != "fisher":
        raise bad("route", repr(route), "posterior or fisher", "correct it")
    law = base.diffuse(scale, variance)
    return factor * (base.dim / variance - fisher_information(law, n=n, rng=rng, level=level))


def paired(
    objective_a: Objective,
    objective_b: Objective,
    score_a: Any,
    score_b: Any,
    *,
    n: int,
    rng: np.random.Generator,
    level: float,
    control_variates: bool = True,
    common: bool | None = None,
) -> Estimate:
    """``J_a(s_a) - J_b(s_b)`` with one interval.

    Where both are expectations over the same arrays, or one over arrays that the other's draws contain
    (``x_t`` for DSM and an objective of ``DSM.marginal``), the difference is taken draw by draw:
    ``Var(f - g) <= 2 Var f + 2 Var g``, so that n common draws are never worse than n/2 for each.
    Otherwise each has draws of its own.

    Args:
        objective_a: first objective.
        objective_b: second objective.
        score_a: its score.
        score_b: its score.
        n: draws in all.
        rng: generator.
        level: false-alarm rate of the interval.
        control_variates: False for plain Monte Carlo.
        common: True to insist on common draws, False to forbid them.

    Raises:
        ValueError: ``common=True`` for objectives over different draws.
    """
    pair = _shared(objective_a, objective_b)
    if common and pair is None:
        raise bad("common", True, "objectives over the same draws", "leave it out")
    if pair is None or common is False:
        first = objective_a.parts(score_a, control_variates=control_variates)
        second = objective_b.parts(score_b, control_variates=control_variates)
        minus = [Part(p.values, p.sampling, p.features, -p.weight) for p in second]
        return controlled_sum([*first, *minus], n=n, rng=rng, level=level)
    (a, rows_a), (b, rows_b), longer = pair

    def values(*draws: Vector) -> tuple[Vector, Vector]:
        f, f_error = a.contributions(score_a, *rows_a(*draws))
        g, g_error = b.contributions(score_b, *rows_b(*draws))
        return f - g, f_error + g_error

    families = longer.features() if control_variates else []
    part = Part(values, longer.sampling, families)
    return controlled_sum([part], n=n, rng=rng, level=level)


def _shared(a: Objective, b: Objective) -> tuple[_Placed, _Placed, SingleObjective] | None:
    """Both with their rows among common draws, and the objective whose draws those are."""
    if not isinstance(a, SingleObjective) or not isinstance(b, SingleObjective):
        return None
    for longer, shorter in ((a, b), (b, a)):
        rows = _rows_within(shorter, longer)
        if rows is not None:
            own: Rows = lambda *draws: draws  # noqa: E731
            return ((a, own), (b, rows), a) if longer is a else ((a, rows), (b, own), b)
    return None


def _rows_within(shorter: SingleObjective, longer: SingleObjective) -> Rows | None:
    size = len(shorter.key)
    if longer.key[:size] == shorter.key:
        return lambda *draws: draws[:size]
    if isinstance(longer, DSM) and shorter.key == (("law", id(longer.marginal)),):
        return lambda x0, eps: (longer.noised(x0, eps),)
    return None


def _generator(rng: np.random.Generator | None) -> np.random.Generator:
    if rng is None:
        raise bad(
            "rng", None, "a generator, since d > 2 needs draws", "pass substream(seed, name)"
        )
    return rng
