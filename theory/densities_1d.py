"""Laws of one dimension without closed diffusion: Laplace, uniform, logistic, Student t.

Each is a standard law of ``z = (x - location) / scale``; the classes give ``log p``, its first two
derivatives and the distribution function in ``z``, the base class does the rest. ``log_prob``,
``score``, ``hessian`` and ``divergence`` run on every array library; ``cdf``, ``quantile`` and
``transport`` are numpy float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from ._checks import bad, parameter, positive
from .arrays import as_points, namespace
from .protocols import Array, Vector


class LocationScale:
    """Base of the one-dimensional laws: density ``f((x - location) / scale) / scale``.

    Attributes:
        location: origin of the standard variable.
        scale: its unit, positive.
        breaks: points where the density or a derivative of it jumps.
        support: ends of the interval on which the density is positive.
        anchors: ``(centre, width)`` pairs that tell a quadrature where the mass is.
    """

    dim = 1

    def __init__(self, location: Any, scale: Any) -> None:
        self.location = float(parameter(location, "location", 0))
        self.scale = positive(scale, "scale")

    @property
    def breaks(self) -> tuple[float, ...]:
        """Kinks and jumps of the density; none here."""
        return ()

    @property
    def support(self) -> tuple[float, float]:
        """The whole line."""
        return (-math.inf, math.inf)

    @property
    def anchors(self) -> tuple[tuple[float, float], ...]:
        """The centre and its width."""
        return ((self.location, self.scale),)

    @property
    def mean(self) -> Vector:
        """``E x``, shape ``(1,)``."""
        return np.array([self.location])

    @property
    def covariance(self) -> Vector:
        """``Var x``, shape ``(1, 1)``."""
        return np.array([[self.scale**2 * self._variance()]])

    def log_prob(self, x: Array) -> Array:
        """``log f(z) - log scale``, shape ``(...)`` for ``x`` of shape ``(..., 1)``.

        Raises:
            ValueError: ``x`` is not of shape ``(..., 1)``.
        """
        return self._log(self._standard(x)) - math.log(self.scale)

    def score(self, x: Array) -> Array:
        """``(log f)'(z) / scale``, shape ``(..., 1)``."""
        return self._first(self._standard(x))[..., None] / self.scale

    def hessian(self, x: Array) -> Array:
        """``(log f)''(z) / scale^2``, shape ``(..., 1, 1)``."""
        return self.divergence(x)[..., None, None]

    def divergence(self, x: Array) -> Array:
        """``(log f)''(z) / scale^2``, shape ``(...)``."""
        return self._second(self._standard(x)) / self.scale**2

    def cdf(self, x: Any) -> Vector:
        """``P(X <= x)`` in numpy float64, shape ``(...)`` for ``x`` of shape ``(..., 1)``."""
        y = as_points(np.asarray(x, dtype=np.float64), 1)
        return self._cdf((y[..., 0] - self.location) / self.scale)

    def quantile(self, u: Any) -> Vector:
        """The inverse of :meth:`cdf`: ``u`` of shape ``(...)`` gives ``x`` of shape ``(..., 1)``.

        Values of ``u`` outside [0, 1] give NaN; 0 and 1 give the ends of the support.
        """
        level = np.asarray(u, dtype=np.float64)
        level = np.where((level >= 0) & (level <= 1), level, np.nan)
        return (self.location + self.scale * self._quantile(level))[..., None]

    def transport(self, u: Any, z: Any) -> Vector:
        """Exact draws ``(n, 1)``: the quantiles of ``u`` ``(n,)``; ``z`` is not used.

        A uniform of exactly zero, which generators can return, counts as ``2^-54``.
        """
        return self.quantile(np.maximum(np.asarray(u, dtype=np.float64), 2.0**-54))

    def _standard(self, x: Array) -> Array:
        return (as_points(x, 1)[..., 0] - self.location) / self.scale

    def _variance(self) -> float:
        raise AttributeError("_variance")

    def _log(self, z: Array) -> Array:
        raise AttributeError("_log")

    def _first(self, z: Array) -> Array:
        raise AttributeError("_first")

    def _second(self, z: Array) -> Array:
        raise AttributeError("_second")

    def _cdf(self, z: Vector) -> Vector:
        raise AttributeError("_cdf")

    def _quantile(self, u: Vector) -> Vector:
        raise AttributeError("_quantile")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(location={self.location:g}, scale={self.scale:g})"


class Laplace(LocationScale):
    """``p(x) = exp(-|x - location| / scale) / (2 scale)``.

    The score jumps at the location, where it is 0 by convention; ``hessian`` is the derivative almost
    everywhere, which is 0. As a distribution the second derivative of ``log p`` has the extra part
    ``-(2 / scale) delta(x - location)``, of mean ``-1 / scale^2``: implicit score matching needs it.

    Args:
        location: centre.
        scale: positive; the variance is ``2 scale^2``.
    """

    @property
    def breaks(self) -> tuple[float, ...]:
        """The kink at the location."""
        return (self.location,)

    def _variance(self) -> float:
        return 2.0

    def _log(self, z: Array) -> Array:
        return -namespace(z).abs(z) - math.log(2)

    def _first(self, z: Array) -> Array:
        return -namespace(z).sign(z)

    def _second(self, z: Array) -> Array:
        # Zero, but NaN where z is NaN: infinite z has curvature zero as well.
        xp = namespace(z)
        return xp.where(xp.isnan(z), z, xp.zeros_like(z))

    def _cdf(self, z: Vector) -> Vector:
        half = 0.5 * np.exp(-np.abs(z))
        return np.where(z < 0, half, 1 - half)

    def _quantile(self, u: Vector) -> Vector:
        with np.errstate(divide="ignore"):
            return np.where(u < 0.5, np.log(2 * u), -np.log(2 * (1 - u)))


class Uniform(LocationScale):
    """The uniform law on ``[low, high]``.

    ``log_prob`` is ``-inf`` off the support. The score is 0 on it and NaN off it, since there is no
    density to differentiate. As a distribution the score has point parts at both ends, which no
    pointwise value shows: integration by parts against this law leaves boundary terms.

    Args:
        low: lower end.
        high: upper end, above ``low``.

    Raises:
        ValueError: ends that are not finite or not in order.
    """

    def __init__(self, low: Any, high: Any) -> None:
        self.low = float(parameter(low, "low", 0))
        self.high = float(parameter(high, "high", 0))
        if not self.high > self.low:
            raise bad("high", f"{self.high:g}", f"a number above low = {self.low:g}", "swap them")
        super().__init__(self.low, self.high - self.low)

    @property
    def breaks(self) -> tuple[float, ...]:
        """Both ends."""
        return (self.low, self.high)

    @property
    def support(self) -> tuple[float, float]:
        """``(low, high)``."""
        return (self.low, self.high)

    @property
    def anchors(self) -> tuple[tuple[float, float], ...]:
        """The midpoint and a quarter of the length."""
        return ((0.5 * (self.low + self.high), 0.25 * self.scale),)

    @property
    def mean(self) -> Vector:
        """The midpoint, shape ``(1,)``."""
        return np.array([self.low + 0.5 * self.scale])

    def _variance(self) -> float:
        return 1 / 12

    def _inside(self, z: Array, outside: float) -> Array:
        xp = namespace(z)
        zero = xp.zeros_like(z)
        value = xp.where((z >= 0) & (z <= 1), zero, zero + outside)
        return xp.where(xp.isnan(z), z, value)

    def _log(self, z: Array) -> Array:
        return self._inside(z, -math.inf)

    def _first(self, z: Array) -> Array:
        return self._inside(z, math.nan)

    def _second(self, z: Array) -> Array:
        return self._inside(z, math.nan)

    def _cdf(self, z: Vector) -> Vector:
        return np.clip(z, 0.0, 1.0)

    def _quantile(self, u: Vector) -> Vector:
        return u

    def __repr__(self) -> str:
        return f"Uniform(low={self.low:g}, high={self.high:g})"


class Logistic(LocationScale):
    """``p(x) = exp(-z) / (scale (1 + exp(-z))^2)``; score ``-tanh(z / 2) / scale``.

    Args:
        location: centre.
        scale: positive; the variance is ``pi^2 scale^2 / 3``.
    """

    def _variance(self) -> float:
        return math.pi**2 / 3

    def _log(self, z: Array) -> Array:
        xp = namespace(z)
        size = xp.abs(z)
        return -size - 2 * xp.log1p(xp.exp(-size))

    def _first(self, z: Array) -> Array:
        return -namespace(z).tanh(z / 2)

    def _second(self, z: Array) -> Array:
        # -sech^2(z/2)/2, where 1 - tanh^2 would lose every digit in the tail.
        xp = namespace(z)
        raised = xp.exp(-xp.abs(z))
        return -2 * raised / (1 + raised) ** 2

    def _cdf(self, z: Vector) -> Vector:
        return special.expit(z)

    def _quantile(self, u: Vector) -> Vector:
        return special.logit(u)


class StudentT(LocationScale):
    """``p(x) ~ (1 + z^2 / df)^(-(df + 1) / 2)``; score ``-(df + 1) z / (df + z^2) / scale``.

    Args:
        df: degrees of freedom, positive; the mean exists above 1, the variance above 2.
        location: centre.
        scale: positive.
    """

    def __init__(self, df: Any, location: Any, scale: Any) -> None:
        self.df = positive(df, "df")
        super().__init__(location, scale)
        half = 0.5 * self.df
        self._constant = float(
            special.gammaln(half + 0.5) - special.gammaln(half) - 0.5 * math.log(math.pi * self.df)
        )

    @property
    def mean(self) -> Vector:
        """The location, shape ``(1,)``.

        Raises:
            ValueError: ``df <= 1``, where no mean exists.
        """
        if self.df <= 1:
            raise bad("df", f"{self.df:g}", "df > 1 for a mean", "use quantile(0.5), the median")
        return super().mean

    def _variance(self) -> float:
        if self.df <= 2:
            raise bad(
                "df", f"{self.df:g}", "df > 2 for a variance", "use quantiles to state a width"
            )
        return self.df / (self.df - 2)

    def _log(self, z: Array) -> Array:
        return self._constant - 0.5 * (self.df + 1) * namespace(z).log1p(z * z / self.df)

    def _first(self, z: Array) -> Array:
        return -(self.df + 1) * z / (self.df + z * z)

    def _second(self, z: Array) -> Array:
        square = z * z
        # Divided twice, since the square of the denominator overflows before its value matters.
        return -(self.df + 1) * ((self.df - square) / (self.df + square)) / (self.df + square)

    def _cdf(self, z: Vector) -> Vector:
        return special.stdtr(self.df, z)

    def _quantile(self, u: Vector) -> Vector:
        z = special.stdtrit(self.df, u)
        # The inverse is off, or infinite, in far lower tails: there log F is a power law in |z|, found from
        # the first term of the tail by Newton steps in log |z|.
        far = (u > 0) & (u < 1e-8)
        goal = np.log(np.where(far, u, 1e-8))
        log_size = (self._constant + 0.5 * (self.df - 1) * math.log(self.df) - goal) / self.df
        for _ in range(6):
            guess = -np.exp(np.minimum(log_size, 350.0))
            log_tail = np.log(np.maximum(special.stdtr(self.df, guess), 5e-324))
            slope = np.exp(self._log(guess) - log_tail) * guess
            log_size = log_size + np.where(log_size < 350.0, (goal - log_tail) / slope, 0.0)
        with np.errstate(over="ignore"):
            return np.where(far, -np.exp(log_size), z)

    def __repr__(self) -> str:
        return f"StudentT(df={self.df:g}, location={self.location:g}, scale={self.scale:g})"
