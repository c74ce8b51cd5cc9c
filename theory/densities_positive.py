"""Laws on the positive half-line: lognormal and gamma, the marginals of diffusions that stay positive.

Both are laws of ``z = x / scale``; off the support ``log_prob`` is ``-inf`` and the derivatives are NaN, since
there is no density to differentiate.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from ._checks import positive
from .arrays import namespace
from .densities_1d import LocationScale
from .protocols import Array, Vector


class _Positive(LocationScale):
    """Base: the support is ``(0, inf)``."""

    def __init__(self, scale: Any) -> None:
        super().__init__(0.0, scale)

    @property
    def breaks(self) -> tuple[float, ...]:
        """The origin."""
        return (0.0,)

    @property
    def support(self) -> tuple[float, float]:
        """``(0, inf)``."""
        return (0.0, math.inf)

    @property
    def anchors(self) -> tuple[tuple[float, float], ...]:
        """Mean and standard deviation."""
        return ((float(self.mean[0]), math.sqrt(float(self.covariance[0, 0]))),)

    def _mean(self) -> float:
        raise AttributeError("_mean")

    @property
    def mean(self) -> Vector:
        """``E x``, shape ``(1,)``."""
        return np.array([self.scale * self._mean()])

    @staticmethod
    def _inside(z: Array) -> Array:
        """``z`` where it is positive, one elsewhere: a point at which every formula has a value."""
        return namespace(z).where(z > 0, z, z * 0 + 1)

    @staticmethod
    def _outside(z: Array, value: Array, replaced: float) -> Array:
        xp = namespace(z)
        return xp.where(z > 0, value, xp.where(xp.isnan(z), z, xp.full_like(z, replaced)))


class LogNormal(_Positive):
    """``log x ~ N(log scale, std^2)``; with ``u = log z / std^2`` the score is ``-(1 + u) / x``.

    Args:
        scale: the median, positive.
        std: standard deviation of ``log x``, positive.
    """

    def __init__(self, scale: Any, std: Any) -> None:
        super().__init__(scale)
        self.std = positive(std, "std")

    def _mean(self) -> float:
        return math.exp(0.5 * self.std**2)

    def _variance(self) -> float:
        return math.expm1(self.std**2) * math.exp(self.std**2)

    def _log(self, z: Array) -> Array:
        log = namespace(z).log(self._inside(z))
        constant = math.log(self.std) + 0.5 * math.log(2 * math.pi)
        return self._outside(z, -0.5 * (log / self.std) ** 2 - log - constant, -math.inf)

    def _first(self, z: Array) -> Array:
        y = self._inside(z)
        return self._outside(z, -(1 + namespace(z).log(y) / self.std**2) / y, math.nan)

    def _second(self, z: Array) -> Array:
        y = self._inside(z)
        pulled = 1 + (namespace(z).log(y) - 1) / self.std**2
        return self._outside(z, pulled / y**2, math.nan)

    def _cdf(self, z: Vector) -> Vector:
        with np.errstate(divide="ignore"):
            return special.ndtr(np.log(np.maximum(z, 0.0)) / self.std)

    def _quantile(self, u: Vector) -> Vector:
        return np.exp(self.std * special.ndtri(u))

    def __repr__(self) -> str:
        return f"LogNormal(scale={self.scale:g}, std={self.std:g})"


class Gamma(_Positive):
    """``p(x) ~ z^(shape - 1) exp(-z)``; score ``((shape - 1)/z - 1) / scale``.

    Args:
        shape: positive; the density is bounded from 1 on.
        scale: positive; the mean is ``shape * scale``.
    """

    def __init__(self, shape: Any, scale: Any) -> None:
        super().__init__(scale)
        self.shape = positive(shape, "shape")

    def _mean(self) -> float:
        return self.shape

    def _variance(self) -> float:
        return self.shape

    def _log(self, z: Array) -> Array:
        y = self._inside(z)
        value = (self.shape - 1) * namespace(z).log(y) - y - math.lgamma(self.shape)
        return self._outside(z, value, -math.inf)

    def _first(self, z: Array) -> Array:
        return self._outside(z, (self.shape - 1) / self._inside(z) - 1, math.nan)

    def _second(self, z: Array) -> Array:
        return self._outside(z, -(self.shape - 1) / self._inside(z) ** 2, math.nan)

    def _cdf(self, z: Vector) -> Vector:
        return special.gammainc(self.shape, np.maximum(z, 0.0))

    def _quantile(self, u: Vector) -> Vector:
        return special.gammaincinv(self.shape, u)

    def __repr__(self) -> str:
        return f"Gamma(shape={self.shape:g}, scale={self.scale:g})"
