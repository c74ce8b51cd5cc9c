"""The law of ``x_t`` and everything that conditioning on it gives.

With ``x_t = a x_0 + sd eps``: Tweedie's formula ``E[x_0 | x_t] = (x_t + sd^2 score_t(x_t)) / a`` and its
second order ``Cov[x_0 | x_t] = (sd^2 / a^2) (I + sd^2 hessian_t(x_t))`` (Efron 2011; Robbins 1956).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._checks import bad
from .protocols import Array, Diffusible, Vector
from .sde import Kernel, LinearSDE


@dataclass(frozen=True)
class Marginal:
    """The law of ``x_t`` when ``x_0 ~ base``.

    Attributes:
        base: law of ``x_0``.
        law: law of ``x_t``, in closed form.
        kernel: mean factor and variance of ``x_t`` given ``x_0``.
    """

    base: Any
    law: Any
    kernel: Kernel

    @property
    def dim(self) -> int:
        """Dimension d."""
        return self.law.dim

    @property
    def mean(self) -> Vector:
        """``E x_t``, shape ``(d,)``."""
        return self.law.mean

    @property
    def covariance(self) -> Vector:
        """``Cov x_t``, shape ``(d, d)``."""
        return self.law.covariance

    def log_prob(self, x: Array) -> Array:
        """``log p_t(x)``, shape ``(...)``."""
        return self.law.log_prob(x)

    def score(self, x: Array) -> Array:
        """``grad log p_t(x)``, shape ``(..., d)``."""
        return self.law.score(x)

    def hessian(self, x: Array) -> Array:
        """``grad grad log p_t(x)``, shape ``(..., d, d)``."""
        return self.law.hessian(x)

    def divergence(self, x: Array) -> Array:
        """Trace of :meth:`hessian`, shape ``(...)``."""
        return self.law.divergence(x)

    def transport(self, u: Array, z: Array) -> Array:
        """Exact draws of ``x_t``, see :class:`Transportable`."""
        return self.law.transport(u, z)

    def posterior(self, x: Array) -> Any:
        """Law of ``x_0`` given ``x_t = x``, with ``weights``, ``means``, ``mean`` and ``covariance``."""
        return self.base.posterior(x, self.kernel.scale, self.kernel.variance)

    def denoiser(self, x: Array) -> Array:
        """``E[x_0 | x_t = x]``, shape ``(..., d)``, by conditioning (no division by a small scale)."""
        return self.base.denoiser(x, self.kernel.scale, self.kernel.variance)

    def posterior_covariance(self, x: Array) -> Array:
        """``Cov[x_0 | x_t = x]``, shape ``(..., d, d)``, by conditioning."""
        return self.base.posterior_covariance(x, self.kernel.scale, self.kernel.variance)


def marginal(p: Any, sde: LinearSDE, t: float) -> Marginal:
    """The law of ``x_t`` for ``x_0 ~ p`` under ``sde``.

    Raises:
        ValueError: ``t`` out of range, or a law without closed diffusion.
    """
    if not isinstance(p, Diffusible):
        raise bad(
            "p",
            type(p).__name__,
            "a law with closed diffusion (mixtures, point masses)",
            "use scoreproof.numerics.Convolved, or Problem, which does so by itself",
        )
    kernel = sde.kernel(float(t))
    return Marginal(p, p.diffuse(float(kernel.scale), float(kernel.variance)), kernel)
