"""Linear diffusions ``dx = f(t) x dt + g(t) dw`` with their exact two-time Gaussian kernels.

``x_t`` given ``x_s`` is ``N(scale x_s, variance I)`` with

    scale(t, s) = exp(int_s^t f),   variance(t, s) = int_s^t scale(t, r)^2 g(r)^2 dr.

With ``alpha(t) = scale(t, 0)`` and ``sigma(t)^2 = variance(t, 0)`` this is equivalent to
``f = alpha'/alpha``, ``g^2 = (sigma^2)' - 2 f sigma^2 = alpha^2 (sigma^2 / alpha^2)'`` (Song et al. 2021,
App. B; Karras et al. 2022, App. B.2). Times are numbers, or arrays of any array-API library.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._checks import bad, positive
from ._timewise import evaluate, integrate, on_meta, tabulate
from .arrays import is_array, namespace
from .clock import Clock
from .protocols import Array


@dataclass(frozen=True)
class Kernel:
    """Gaussian transition: mean ``scale * x``, covariance ``variance * I``."""

    scale: Array
    variance: Array

    @property
    def std(self) -> Array:
        """Square root of the variance."""
        return functions(self.variance).sqrt(self.variance)


@dataclass(frozen=True)
class Interpolant(Kernel):
    """``x_t = alpha x_0 + sigma eps`` at one time, with the time derivatives of both coefficients.

    Attributes:
        scale: ``alpha``.
        variance: ``sigma^2``.
        scale_rate: ``alpha' = f alpha``.
        std_rate: ``sigma' = f sigma + g^2 / (2 sigma)``; infinite where sigma starts like sqrt(t).
    """

    scale_rate: Array
    std_rate: Array


def functions(*times: Array) -> Any:
    """Elementary functions (``exp``, ``sqrt``, ...) for numbers and arrays alike."""
    arrays = [t for t in times if is_array(t)]
    return namespace(*arrays) if arrays else math


def quotient(a: Array, b: Array) -> Array:
    """``a / b`` for ``a >= 0`` and ``b >= 0``; infinite where ``b`` is zero."""
    if not is_array(b):
        return a / b if b else math.inf
    xp = namespace(b)
    zero = b == 0
    return xp.where(zero, xp.full_like(b, math.inf), a / xp.where(zero, xp.ones_like(b), b))


class LinearSDE(Clock):
    """``dx = drift(t) x dt + diffusion(t) dw`` on ``[0, t_max]``, ``x_0`` data.

    The kernel is found by adaptive quadrature: relative error about 1e-13 for smooth coefficients, and never an
    estimate above 1e-8; jumps and integrable singularities are allowed. Arrays of times are handled one distinct time
    after the other; gradients in t are exact to first order.

    Args:
        drift: f, a function of a number t (if it takes arrays too, they are passed as they are).
        diffusion: g, likewise.
        t_max: end of the time interval.

    Subclasses override ``_f``, ``_g``, ``_kernel`` with closed forms; the public methods check times.

    Raises:
        ValueError: coefficients that are not callable, or ``t_max`` not positive.
    """

    t_max: float
    name: str = "linear"
    _shown: tuple[str, ...] = ("t_max",)
    _two_time: Callable[[float, float], tuple[float, float]] | None = None

    def __init__(
        self, drift: Callable[[Any], Any], diffusion: Callable[[Any], Any], *, t_max: float = 1.0
    ) -> None:
        for argument, f in (("drift", drift), ("diffusion", diffusion)):
            if not callable(f):
                raise bad(argument, type(f).__name__, "a function of t", f"pass lambda t: {f}")
        self._drift, self._diffusion = drift, diffusion
        self.t_max = positive(t_max, "t_max")

    @staticmethod
    def from_kernel(
        scale: Callable[[float], float], std: Callable[[float], float], t_max: float = 1.0
    ) -> LinearSDE:
        """The diffusion with ``x_t = scale(t) x_0 + std(t) eps``.

        ``f = (log scale)'`` and ``g^2 = scale^2 (std^2 / scale^2)'``, differentiated by local Chebyshev
        interpolation (relative error about 1e-11 for analytic functions). The kernel from s to t is
        ``scale(t)/scale(s)``, ``std(t)^2 - (scale(t)/scale(s))^2 std(s)^2``; where that difference
        cancels, g^2 is integrated instead.

        Args:
            scale: alpha, a function of a number with ``scale(0) = 1``, positive on ``[0, t_max]``.
            std: sigma, a function of a number with ``std(0) = 0``.
            t_max: end of the time interval.

        Raises:
            ValueError: ``scale(0) != 1``, ``std(0) != 0``, ``scale <= 0`` or ``std < 0`` somewhere, not
                smooth, or ``std / scale`` decreasing somewhere (no diffusion has ``g^2 < 0``).

        Reference:
            Karras et al. 2022, Eqs. 24 and 28.
        """
        from ._from_kernel import differentiated

        end = positive(t_max, "t_max")
        drift, diffusion, two_time = differentiated(scale, std, end)
        sde = LinearSDE(drift, diffusion, t_max=end)
        sde.name, sde._two_time = "from_kernel", two_time
        return sde

    def drift(self, t: Array) -> Array:
        """f(t), the factor of x, in the shape of ``t``.

        Raises:
            ValueError: times out of range.
        """
        return self._f(self.check_time(t))

    def diffusion(self, t: Array) -> Array:
        """g(t), in the shape of ``t``.

        Raises:
            ValueError: times out of range.
        """
        return self._g(self.check_time(t))

    def kernel(self, t: Array, s: Array = 0.0) -> Kernel:
        """Law of ``x_t`` given ``x_s``, ``0 <= s <= t <= t_max``; ``t`` and ``s`` broadcast.

        Raises:
            ValueError: times out of range or out of order, or of different libraries, dtypes or devices.
        """
        return self._kernel(*self._order(t, s))

    def interpolant(self, t: Array) -> Interpolant:
        """``alpha, sigma^2, alpha', sigma'`` at ``t``, see :class:`Interpolant`.

        Raises:
            ValueError: times out of range.
        """
        t = self.check_time(t)
        kernel = self._kernel(t, 0.0)
        return Interpolant(kernel.scale, kernel.variance, *self._rates(t, kernel))

    def noise_level(self, t: Array) -> Array:
        """``sigma(t) / alpha(t)``, nondecreasing in t, in the shape of ``t``."""
        kernel = self.kernel(t)
        return kernel.std / kernel.scale

    def log_snr(self, t: Array) -> Array:
        """``log(alpha^2 / sigma^2)`` in the shape of ``t``; infinite at ``t = 0``."""
        kernel = self.kernel(t)
        xp = functions(kernel.variance)
        return 2 * xp.log(kernel.scale) + xp.log(
            quotient(kernel.variance * 0 + 1, kernel.variance)
        )

    def time_of_noise_level(self, level: Array) -> Array:
        """The t with ``sigma(t) / alpha(t) = level``: inverse of :meth:`noise_level`.

        Closed form for the named diffusions, a bracketed root (relative error 1e-13) otherwise.

        Args:
            level: a number or an array, between zero and ``noise_level(t_max)``.

        Raises:
            ValueError: a level that is negative, NaN or not reached on ``[0, t_max]``.
        """
        top = float(self.noise_level(self.t_max))
        if is_array(level):
            xp = namespace(level)
            if not xp.isdtype(level.dtype, "real floating"):
                raise bad("level", f"dtype {level.dtype}", "real levels", "convert it to float")
            slack = 1 + 1e-5 if level.dtype != xp.float64 else 1 + 1e-10
            if not on_meta(level) and not bool(xp.all((level >= 0) & (level <= top * slack))):
                raise self._no_level(f"[{float(xp.min(level))}, {float(xp.max(level))}]", top)
            t = self._time(level)
            return xp.where(t > self.t_max, xp.full_like(t, self.t_max), t)
        level = float(level)
        if not 0 <= level <= top * (1 + 1e-10):
            raise self._no_level(f"{level:.6g}", top)
        return min(float(self._time(level)), self.t_max)

    def time_of_log_snr(self, value: Array) -> Array:
        """The t with ``log_snr(t) = value``: inverse of :meth:`log_snr`.

        Raises:
            ValueError: a value that is not reached on ``[0, t_max]``.
        """
        return self.time_of_noise_level(functions(value).exp(-0.5 * value))

    @property
    def prior_variance(self) -> float:
        """Variance of the usual prior ``N(0, prior_variance I)`` at ``t_max``."""
        return float(self.kernel(self.t_max).variance)

    @property
    def prior_std(self) -> float:
        """Standard deviation of the usual prior."""
        return math.sqrt(self.prior_variance)

    def _f(self, t: Array) -> Array:
        return evaluate(self._drift, t, "drift")

    def _g(self, t: Array) -> Array:
        return evaluate(self._diffusion, t, "diffusion")

    def _kernel(self, t: Array, s: Array) -> Kernel:
        def one(late: float, early: float) -> tuple[float, float]:
            if late <= early:
                return 1.0, 0.0
            if self._two_time is not None:
                return self._two_time(late, early)
            return integrate(self._drift, self._diffusion, late, early)[:2]

        return Kernel(*tabulate(one, self._drift, self._diffusion, t, s))

    def _rates(self, t: Array, kernel: Kernel) -> tuple[Array, Array]:
        f, g, sigma = self._f(t), self._g(t), kernel.std
        return f * kernel.scale, f * sigma + quotient(0.5 * g**2, sigma)

    def _time(self, level: Array) -> Array:
        from ._timewise import bracketed

        return bracketed(lambda t: float(self.noise_level(t)), self.t_max, level)

    def _no_level(self, got: str, top: float) -> ValueError:
        wanted = f"sigma / alpha in [0, {top:.6g}]"
        return bad("level", got, wanted, "these are the levels reached on [0, t_max]")

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name):g}" for name in self._shown)
        return f"{type(self).__name__}({shown})"
