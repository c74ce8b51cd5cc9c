"""The exact probability-flow map of a problem: truth for pathwise errors and for distilled models."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import integrate

from ..numerics.convolved import Convolved
from ..theory._checks import bad
from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Diffusible, Vector

if TYPE_CHECKING:
    from .problems import Problem

_ROWS = 64  #: rows that share their step sizes
_TINY = 1e-290  #: tails below this have lost digits to underflow


def flow_map(problem: Problem, x: Vector, t: float, s: float) -> Vector:
    """Carries ``x`` ``(n, d)`` from time ``t`` to ``s`` along ``dx/dt = f x - g^2/2 score``.

    * One Gaussian: ``mu_s + U diag(sqrt(lambda_s / lambda_t)) U' (x - mu_t)``, since the flow of a
      Gaussian is the monotone map between its marginals along each eigendirection.
    * One dimension: ``F_s^{-1}(F_t(x))``, upper tails mirrored so that they keep their digits.
    * Otherwise :func:`integrate_flow`.

    Raises:
        ValueError: times out of range.
        ArithmeticError: the integrator gave up.
    """
    for name, value in (("t", t), ("s", s)):
        if not 0 < value <= problem.sde.t_max * (1 + 1e-12):
            raise bad(
                name,
                f"{value:g}",
                f"a time in (0, {problem.sde.t_max:g}]",
                "the flow need not exist at t = 0: stop at t_min",
            )
    if t == s or not len(x):
        return x.copy()
    start, end = problem.marginal(t).law, problem.marginal(s).law
    if isinstance(start, GaussianMixture) and start.components == 1:
        basis = start.basis
        ratio = np.sqrt(end.basis.values / basis.values)
        noise = None if basis.noise is None else np.sqrt(end.basis.noise / basis.noise)
        stretch = type(basis)(basis.dim, ratio, basis.vectors, noise)
        return stretch.apply(lambda v: v, (x - start.mean)[None])[0] + end.mean
    if problem.dim == 1 and hasattr(start, "cdf") and hasattr(end, "quantile"):
        return _by_levels(problem, start, end, x, t, s)
    return integrate_flow(problem, x, t, s)


def integrate_flow(problem: Problem, x: Vector, t: float, s: float) -> Vector:
    """The flow map of ``x`` ``(n, d)`` by DOP853 with relative tolerance 1e-11, for any law.

    With ``u = x / alpha`` and ``k = sd / alpha`` the flow is ``du / d log k = -k^2 grad log q_k(u)`` with ``q_k``
    the law of ``x_0 + k z``: the diffusion has dropped out, and with it every kink of its schedule.

    Raises:
        ArithmeticError: the integrator gave up, with its reason.

    Reference: Karras et al. 2022, Eq. 4 and App. B.
    """
    law = problem.law
    early, late = problem.sde.kernel(t), problem.sde.kernel(s)
    span = tuple(float(np.log(k.std) - np.log(k.scale)) for k in (early, late))

    def velocity(at: float, flat: Vector) -> Vector:
        variance = float(np.exp(2 * at))
        noisy = (
            law.diffuse(1.0, variance)
            if isinstance(law, Diffusible)
            else Convolved(law, 1.0, variance)
        )
        return (-variance * noisy.score(flat.reshape(-1, problem.dim))).ravel()

    start = x / float(early.scale)
    parts = [_solve(velocity, start[i : i + _ROWS], span) for i in range(0, len(x), _ROWS)]
    return float(late.scale) * np.concatenate(parts) if parts else x.copy()


def _solve(
    velocity: Callable[[float, Vector], Vector], u: Vector, span: tuple[float, ...]
) -> Vector:
    solved = integrate.solve_ivp(
        velocity, span, u.ravel(), method="DOP853", rtol=1e-11, atol=1e-13
    )
    if not solved.success:
        low, high = sorted(span)
        raise ArithmeticError(
            f"probability flow at log noise levels {low:.4g} to {high:.4g}: {solved.message}"
        )
    return solved.y[:, -1].reshape(u.shape)


def _by_levels(problem: Problem, start: Any, end: Any, x: Vector, t: float, s: float) -> Vector:
    """``F_s^{-1}(F_t(x))`` for ``x`` ``(n, 1)``, each row in its nearer tail."""
    out = np.empty_like(x)
    level = start.cdf(x)
    upper = level > 0.5
    out[~upper] = end.quantile(level[~upper])
    (begin, sign, origin), (finish, _, target) = _mirrored(start), _mirrored(end)
    level[upper] = begin.cdf(origin + sign * x[upper])
    out[upper] = sign * (finish.quantile(level[upper]) - target)
    far = level < _TINY
    if far.any():
        out[far] = integrate_flow(problem, x[far], t, s)
    return out


def _mirrored(law: Any) -> tuple[Any, float, float]:
    """A law, a sign and an origin: ``P(X > x)`` is the cdf of that law at ``origin + sign x``."""
    if isinstance(law, GaussianMixture):
        return law.project([-1.0]), -1.0, 0.0
    # The other one-dimensional laws are even about their median.
    return law, -1.0, 2 * float(law.quantile(np.array([0.5]))[0, 0])
