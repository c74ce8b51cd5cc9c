"""Drift and diffusion coefficients of forward and reversed diffusions, as the Fokker-Planck solver takes them."""

from __future__ import annotations

from collections.abc import Callable

from ..theory.protocols import Array, Vector
from ..theory.sde import LinearSDE
from .fokker_planck import Drift


def forward_coefficients(sde: LinearSDE) -> tuple[Drift, Callable[[float], float]]:
    """``b = f(t) x`` and ``D = g(t)^2 / 2`` of the forward diffusion."""
    return (
        lambda x, t: float(sde.drift(t)) * x,
        lambda t: 0.5 * float(sde.diffusion(t)) ** 2,
    )


def reverse_coefficients(
    score: Callable[[Array, float], Array], sde: LinearSDE, *, eta: float = 1.0, t_max: float
) -> tuple[Drift, Callable[[float], float]]:
    """Drift and D of the reverse family in the clock ``tau = t_max - t``, which runs upwards.

    ``b(x, tau) = -f x + (1 + eta^2)/2 g^2 score(x, t)``, ``D = eta^2 g^2 / 2``.

    Args:
        score: ``(x, t) -> grad log p_t(x)``.
        sde: the forward diffusion.
        eta: 1 the reverse SDE, 0 the probability flow.
        t_max: the forward time at ``tau = 0``.

    Reference: Anderson 1982; Song et al. 2021, Eq. 6 and 13.
    """

    def drift(x: Vector, tau: float) -> Vector:
        t = max(t_max - tau, 0.0)
        g2 = float(sde.diffusion(t)) ** 2
        return -float(sde.drift(t)) * x + (1 + eta**2) / 2 * g2 * score(x, t)

    def diffusion(tau: float) -> float:
        return 0.5 * (eta * float(sde.diffusion(max(t_max - tau, 0.0)))) ** 2

    return drift, diffusion
