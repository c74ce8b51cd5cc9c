"""What is known of ``x_0`` once ``x = scale x_0 + sqrt(variance) z`` is seen."""

from __future__ import annotations

from dataclasses import dataclass

from ._checks import bad, parameter
from .arrays import namespace
from .protocols import Array


@dataclass(frozen=True, eq=False)
class Posterior:
    """Law of ``x_0`` given ``x_t``: a Gaussian mixture per point.

    Attributes:
        weights: ``(..., K)``.
        means: ``(..., K, d)``.
        covariances: ``(K, d, d)``, the same at every point.
    """

    weights: Array
    means: Array
    covariances: Array

    @property
    def mean(self) -> Array:
        """``m = sum_k r_k m_k``, shape ``(..., d)``."""
        xp = namespace(self.means)
        return xp.sum(self.weights[..., None] * self.means, axis=-2)

    @property
    def covariance(self) -> Array:
        """Law of total covariance, ``sum_k r_k [C_k + (m_k - m)(m_k - m)']``, shape ``(..., d, d)``."""
        xp = namespace(self.means)
        off = self.means - self.mean[..., None, :]
        between = xp.matmul(xp.matrix_transpose(off * self.weights[..., None]), off)
        size, dim = self.covariances.shape[0], self.covariances.shape[-1]
        within = xp.matmul(self.weights, xp.reshape(self.covariances, (size, dim * dim)))
        return between + xp.reshape(within, between.shape)


def perturbation(scale: float, variance: float) -> tuple[float, float]:
    """Checks the two numbers of ``scale x + sqrt(variance) z``.

    Raises:
        ValueError: a number that is not finite, a negative variance, or both zero (a constant).
    """
    a, v = float(parameter(scale, "scale", 0)), float(parameter(variance, "variance", 0))
    if v < 0:
        raise bad("variance", f"{v:g}", "zero or more", "pass sd**2")
    if a == 0 and v == 0:
        raise bad("variance", "0 with scale 0", "a positive variance", "the result has no density")
    return a, v
