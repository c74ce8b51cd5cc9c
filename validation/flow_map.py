"""The exact probability-flow map of a problem: truth for pathwise errors and for distilled models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import integrate

from ..theory.protocols import Vector

if TYPE_CHECKING:
    from .problems import Problem


def flow_map(problem: Problem, x: Vector, t: float, s: float) -> Vector:
    """Carries ``x`` ``(n, d)`` from time ``t`` to ``s`` along ``dx/dt = f x - g^2/2 score``.

    * One Gaussian: ``mu_s + U diag(sqrt(lambda_s / lambda_t)) U' (x - mu_t)``, since the flow of a
      Gaussian is the monotone map between its marginals along each eigendirection.
    * One dimension: ``F_s^{-1}(F_t(x))``.
    * Otherwise DOP853 with relative tolerance 1e-11 in float64.
    """
    if t == s:
        return x.copy()
    start, end = problem.marginal(t), problem.marginal(s)
    basis = getattr(getattr(start, "law", None), "basis", None)
    if basis is not None and basis.size == 1:
        ratio = np.sqrt(end.law.basis.values / start.law.basis.values)
        noise = None
        if basis.noise is not None:
            noise = np.sqrt(end.law.basis.noise / start.law.basis.noise)
        stretch = type(basis)(basis.dim, ratio, basis.vectors, noise)
        return stretch.apply(lambda v: v, (x - start.mean)[None])[0] + end.mean
    if problem.dim == 1 and hasattr(start.law, "cdf") and hasattr(end.law, "quantile"):
        return end.law.quantile(start.law.cdf(x))

    def velocity(at: float, y: Vector) -> Vector:
        rows = y.reshape(x.shape)
        f, g = float(problem.sde.drift(at)), float(problem.sde.diffusion(at))
        return (f * rows - 0.5 * g**2 * problem.marginal(at).score(rows)).ravel()

    solved = integrate.solve_ivp(velocity, (t, s), x.ravel(), method="DOP853", rtol=1e-11, atol=1e-13)
    return solved.y[:, -1].reshape(x.shape)
