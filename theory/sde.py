"""Linear diffusions ``dx = f(t) x dt + g(t) dw`` with their exact two-time Gaussian kernels.

``x_t`` given ``x_s`` is ``N(scale x_s, variance I)`` with

    scale(t, s) = exp(int_s^t f),   variance(t, s) = int_s^t scale(t, r)^2 g(r)^2 dr.

With ``alpha(t) = scale(t, 0)`` and ``sigma(t)^2 = variance(t, 0)`` this is equivalent to
``f = alpha'/alpha``, ``g^2 = (sigma^2)' - 2 f sigma^2`` (Song et al. 2021, App. B; Karras et al. 2022,
App. B.2). Differences of exponentials are written with ``expm1`` so that they hold at t = 1e-12.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import is_array_api_obj

from ._checks import bad, positive
from .arrays import namespace
from .protocols import Array


@dataclass(frozen=True)
class Kernel:
    """Gaussian transition: mean ``scale * x``, covariance ``variance * I``."""

    scale: Array
    variance: Array

    @property
    def std(self) -> Array:
        """Square root of the variance."""
        if is_array_api_obj(self.variance):
            return namespace(self.variance).sqrt(self.variance)
        return math.sqrt(self.variance)


def _xp(*times: Array) -> Any:
    """Elementary functions for numbers and arrays alike."""
    arrays = [t for t in times if is_array_api_obj(t)]
    return namespace(*arrays) if arrays else math


class LinearSDE:
    """``dx = drift(t) x dt + diffusion(t) dw``; the kernel is found by quadrature.

    Args:
        drift: f, a function of a number t.
        diffusion: g, a function of a number t.
        t_max: end of the time interval.

    Subclasses override :meth:`drift`, :meth:`diffusion` and :meth:`kernel` with closed forms.
    """

    t_max: float
    name: str = "linear"

    def __init__(
        self, drift: Callable[[Any], Any], diffusion: Callable[[Any], Any], *, t_max: float = 1.0
    ) -> None:
        for argument, f in (("drift", drift), ("diffusion", diffusion)):
            if not callable(f):
                raise bad(argument, type(f).__name__, "a function of t", f"pass lambda t: {f}")
        self._drift, self._diffusion = drift, diffusion
        self.t_max = positive(t_max, "t_max")

    def check_time(self, t: Array, argument: str = "t") -> Array:
        """Refuses times outside ``[0, t_max]``.

        Raises:
            ValueError: some entry is negative, beyond ``t_max`` or NaN.
        """
        if is_array_api_obj(t):
            if str(getattr(t, "device", "")) == "meta":
                return t
            xp = namespace(t)
            slack = 1 + 1e-6 if t.dtype != xp.float64 else 1 + 1e-12
            if bool(xp.all((t >= 0) & (t <= self.t_max * slack))):
                return t
            got = f"values in [{float(xp.min(t)):.6g}, {float(xp.max(t)):.6g}]"
        else:
            t = float(t)
            if 0 <= t <= self.t_max * (1 + 1e-12):
                return t
            got = f"{t:.6g}"
        raise bad(
            argument, got, f"times in [0, {self.t_max:g}]", "t = 0 is data, t = t_max is noise"
        )

    def drift(self, t: Array) -> Array:
        """f(t), the factor of x, in the shape of ``t``."""
        return self._f(self.check_time(t))

    def diffusion(self, t: Array) -> Array:
        """g(t), in the shape of ``t``."""
        return self._g(self.check_time(t))

    def kernel(self, t: Array, s: Array = 0.0) -> Kernel:
        """Law of ``x_t`` given ``x_s``, ``0 <= s <= t <= t_max``.

        Raises:
            ValueError: times out of range or out of order.
        """
        self._order(t, s)
        return self._kernel(t, s)

    def _f(self, t: Array) -> Array:
        return self._drift(t)

    def _g(self, t: Array) -> Array:
        return self._diffusion(t)

    def _kernel(self, t: Array, s: Array) -> Kernel:
        from scipy import integrate

        def one(a: float, b: float) -> tuple[float, float]:
            if b == a:
                return 1.0, 0.0
            log_scale = lambda r: integrate.quad(self._drift, r, b, epsabs=0, epsrel=1e-13)[0]  # noqa: E731
            inner = lambda r: math.exp(2 * log_scale(r)) * self._diffusion(r) ** 2  # noqa: E731
            return math.exp(log_scale(a)), integrate.quad(inner, a, b, epsabs=0, epsrel=1e-12)[0]

        if not is_array_api_obj(t) and not is_array_api_obj(s):
            return Kernel(*one(float(s), float(t)))
        xp = _xp(t, s)
        reference = t if is_array_api_obj(t) else s
        pairs = np.broadcast(np.asarray(s, dtype=float), np.asarray(t, dtype=float))
        out = np.array([one(float(a), float(b)) for a, b in pairs]).reshape(*pairs.shape, 2)
        make = lambda v: xp.asarray(v, dtype=reference.dtype)  # noqa: E731
        return Kernel(make(out[..., 0]), make(out[..., 1]))

    def _order(self, t: Array, s: Array) -> None:
        self.check_time(t)
        self.check_time(s, "s")
        late = s > t
        if (bool(_xp(late).any(late)) if is_array_api_obj(late) else late) and not (
            str(getattr(late, "device", "")) == "meta"
        ):
            raise bad(
                "s", "a time after t", "s <= t", "swap them: the kernel runs from data to noise"
            )

    @property
    def prior_variance(self) -> float:
        """Variance of the usual prior ``N(0, prior_variance I)`` at ``t_max``."""
        return float(self.kernel(self.t_max).variance)

    @staticmethod
    def from_kernel(
        scale: Callable[[Any], Any], std: Callable[[Any], Any], t_max: float = 1.0
    ) -> LinearSDE:
        """The diffusion with ``x_t = scale(t) x_0 + std(t) eps``: ``f = (log scale)'``, and g to match."""
        from ._from_kernel import KernelSDE

        return KernelSDE(scale, std, t_max)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(t_max={self.t_max:g})"


class VP(LinearSDE):
    """Variance preserving: ``f = -beta/2``, ``g = sqrt(beta)``, ``beta`` linear in t on [0, 1].

    ``scale = exp(-B/2)``, ``variance = 1 - exp(-B)`` with ``B = int_s^t beta`` (Song et al. 2021, Eq. 29).
    """

    name = "vp"

    def __init__(self, beta_min: float = 0.1, beta_max: float = 20.0) -> None:
        self.beta_min, self.beta_max = (
            positive(beta_min, "beta_min"),
            positive(beta_max, "beta_max"),
        )
        self.t_max = 1.0

    def beta(self, t: Array) -> Array:
        """``beta(t)``."""
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def integrated_beta(self, t: Array, s: Array) -> Array:
        """``B = int_s^t beta``, without cancellation for ``t`` near ``s``."""
        return (t - s) * (self.beta_min + (self.beta_max - self.beta_min) * (t + s) / 2)

    def _f(self, t: Array) -> Array:
        return -0.5 * self.beta(t)

    def _g(self, t: Array) -> Array:
        return _xp(t).sqrt(self.beta(t))

    def _kernel(self, t: Array, s: Array) -> Kernel:
        b = self.integrated_beta(t, s)
        xp = _xp(b)
        return Kernel(xp.exp(-0.5 * b), -xp.expm1(-b))

    @property
    def prior_variance(self) -> float:
        """One: the stationary variance."""
        return 1.0


class VE(LinearSDE):
    """Variance exploding: ``f = 0``, ``sigma(t)^2 = sigma_min^2 [(sigma_max/sigma_min)^(2t) - 1]``."""

    name = "ve"

    def __init__(self, sigma_min: float = 0.01, sigma_max: float = 50.0) -> None:
        self.sigma_min = positive(sigma_min, "sigma_min")
        self.sigma_max = positive(sigma_max, "sigma_max")
        self.t_max = 1.0
        self._rate = 2 * math.log(self.sigma_max / self.sigma_min)

    def _f(self, t: Array) -> Array:
        return t * 0

    def _g(self, t: Array) -> Array:
        return self.sigma_min * math.sqrt(self._rate) * _xp(t).exp(0.5 * self._rate * t)

    def _kernel(self, t: Array, s: Array) -> Kernel:
        xp = _xp(t, s)
        grown = xp.exp(self._rate * s) if is_array_api_obj(s) else math.exp(self._rate * s)
        return Kernel(
            (t - s) * 0 + 1.0, self.sigma_min**2 * grown * xp.expm1(self._rate * (t - s))
        )
