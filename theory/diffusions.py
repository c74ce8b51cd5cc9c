"""The named diffusions, each with its exact two-time kernel.

Every difference of exponentials or squares is written as a product or with ``expm1``, so that variances keep
full relative precision at t = 1e-12 and for s close to t.
"""

from __future__ import annotations

import math
from typing import Any

from ._checks import bad, positive
from .linear import Kernel, LinearSDE, functions, quotient
from .protocols import Array
from .schedules import BetaSchedule, CosineBeta, LinearBeta, StepBeta


class VP(LinearSDE):
    """Variance preserving: ``f = -beta/2``, ``g = sqrt(beta)`` on [0, 1].

    ``scale = exp(-B/2)``, ``variance = 1 - exp(-B)`` with ``B = int_s^t beta``. The constructor takes ``beta``
    linear in t; :meth:`constant`, :meth:`cosine` and :meth:`from_betas` are the other schedules.

    Args:
        beta_min: ``beta(0)``.
        beta_max: ``beta(1)``.

    Raises:
        ValueError: values that are not positive.

    Reference:
        Song et al. 2021, Eqs. 11 and 29.
    """

    name = "vp"
    t_max = 1.0
    schedule: BetaSchedule

    def __init__(self, beta_min: float = 0.1, beta_max: float = 20.0) -> None:
        low, high = positive(beta_min, "beta_min"), positive(beta_max, "beta_max")
        self._use(LinearBeta(low, high), "vp", f"VP(beta_min={low:g}, beta_max={high:g})")

    @classmethod
    def constant(cls, beta: float) -> VP:
        """``beta`` the same at all times.

        Raises:
            ValueError: ``beta`` is not positive.
        """
        b = positive(beta, "beta")
        return cls.__new__(cls)._use(LinearBeta(b, b), "vp-constant", f"VP.constant({b:g})")

    @classmethod
    def cosine(cls, s: float = 0.008, *, beta_max: float = 999.0) -> VP:
        """``scale(t) = cos(u(t))/cos(u(0))``, ``u = (pi/2)(t + s)/(1 + s)``, with beta cut at ``beta_max``.

        From the time where ``beta = pi/(1+s) tan u`` reaches ``beta_max`` (about ``1 - 2/beta_max``) beta is
        constant; before, the kernel is the cosine ratio exactly.

        Raises:
            ValueError: parameters that are not positive, or ``beta_max`` below ``beta(0)``.

        Reference:
            Nichol and Dhariwal 2021, Eq. 17.
        """
        schedule = CosineBeta(positive(s, "s"), positive(beta_max, "beta_max"))
        if not schedule.beta_max > schedule.beta_min:
            least = f"more than beta(0) = {schedule.beta_min:.4g}"
            raise bad("beta_max", f"{schedule.beta_max:g}", least, "the default is 999")
        shown = f"VP.cosine(s={schedule.s:g}, beta_max={schedule.beta_max:g})"
        return cls.__new__(cls)._use(schedule, "vp-cosine", shown)

    @classmethod
    def from_betas(cls, betas: Any) -> VP:
        """The piecewise constant ``beta(t)`` whose kernel at ``t = i/N`` is that of a discrete chain.

        ``x_i = sqrt(1 - beta_i) x_{i-1} + sqrt(beta_i) z``, ``i = 1 .. N``: here ``beta(t) = -N log(1 - beta_i)``
        on ``((i-1)/N, i/N]``, so that ``scale(i/N)^2 = prod_{j <= i} (1 - beta_j)``.

        Args:
            betas: ``(N,)``, each in ``[0, 1)``.

        Raises:
            ValueError: entries outside ``[0, 1)``, all zero, or not finite.

        Reference:
            Ho et al. 2020, Eqs. 2 and 4.
        """
        steps = StepBeta(betas)
        span = f"{steps.betas.min():g}..{steps.betas.max():g}"
        shown = f"VP.from_betas({steps.size} steps, {span})"
        return cls.__new__(cls)._use(steps, "vp-discrete", shown)

    def _use(self, schedule: BetaSchedule, name: str, shown: str) -> VP:
        self.schedule, self.name, self._repr = schedule, name, shown
        return self

    def beta(self, t: Array) -> Array:
        """``beta(t)``, in the shape of ``t``.

        Raises:
            ValueError: times out of range.
        """
        return self.schedule.beta(self.check_time(t))

    def integrated_beta(self, t: Array, s: Array = 0.0) -> Array:
        """``B = int_s^t beta``, without cancellation for ``t`` near ``s``.

        Raises:
            ValueError: times out of range or out of order.
        """
        return self.schedule.integral(*self._order(t, s))

    @property
    def prior_variance(self) -> float:
        """One: the stationary variance."""
        return 1.0

    def _f(self, t: Array) -> Array:
        return -0.5 * self.schedule.beta(t)

    def _g(self, t: Array) -> Array:
        return functions(t).sqrt(self.schedule.beta(t))

    def _kernel(self, t: Array, s: Array) -> Kernel:
        return Kernel(*self.schedule.decay(t, s))

    def _rates(self, t: Array, kernel: Kernel) -> tuple[Array, Array]:
        half, a = 0.5 * self.schedule.beta(t), kernel.scale
        return -half * a, quotient(half * a**2, kernel.std)

    def _time(self, level: Array) -> Array:
        return self.schedule.time(functions(level).log1p(level**2))

    def __repr__(self) -> str:
        return self._repr


class SubVP(LinearSDE):
    """``f = -beta/2``, ``g^2 = beta (1 - exp(-2 B))`` with ``B = int_0^t beta``, beta linear on [0, 1].

    ``scale = r = exp(-(B_t - B_s)/2)`` and, with ``E = exp(-B)``,
    ``variance = (1 - E_t)^2 - r^2 (1 - E_s)^2 = (1 - r)(1 + r E_s)[(1 - E_t) + r (1 - E_s)]``.

    Raises:
        ValueError: values that are not positive.

    Reference:
        Song et al. 2021, Eqs. 12 and 29.
    """

    name = "sub-vp"
    t_max = 1.0
    _shown = ("beta_min", "beta_max")

    def __init__(self, beta_min: float = 0.1, beta_max: float = 20.0) -> None:
        self.beta_min = positive(beta_min, "beta_min")
        self.beta_max = positive(beta_max, "beta_max")
        self._beta = LinearBeta(self.beta_min, self.beta_max)

    @property
    def prior_variance(self) -> float:
        """One: the variance that ``(1 - E)^2`` tends to."""
        return 1.0

    def _f(self, t: Array) -> Array:
        return -0.5 * self._beta.beta(t)

    def _g(self, t: Array) -> Array:
        xp = functions(t)
        return xp.sqrt(self._beta.beta(t) * -xp.expm1(-2 * self._beta.integral(t, 0.0)))

    def _kernel(self, t: Array, s: Array) -> Kernel:
        half = 0.5 * self._beta.integral(t, s)
        full_t, full_s = self._beta.integral(t, 0.0), self._beta.integral(s, 0.0)
        r, lost = functions(half).exp(-half), -functions(half).expm1(-half)
        gone_t, gone_s = -functions(full_t).expm1(-full_t), -functions(full_s).expm1(-full_s)
        return Kernel(r, lost * (1 + r * (1 - gone_s)) * (gone_t + r * gone_s))

    def _rates(self, t: Array, kernel: Kernel) -> tuple[Array, Array]:
        beta, a = self._beta.beta(t), kernel.scale
        return -0.5 * beta * a, beta * a**2

    def _time(self, level: Array) -> Array:
        return self._beta.time(2 * functions(level).asinh(0.5 * level))


class VE(LinearSDE):
    """Variance exploding: ``f = 0``, ``g = sigma_min k^t sqrt(2 log k)``, ``k = sigma_max/sigma_min``, on [0, 1].

    With ``sigma(t) = sigma_min k^t`` the kernel has ``variance = sigma(t)^2 - sigma(s)^2``: it is zero at t = 0,
    where ``x_0`` is data. The usual prior is ``N(0, sigma_max^2 I)``, larger by ``sigma_min^2``.

    Raises:
        ValueError: levels that are not positive or not increasing.

    Reference:
        Song et al. 2021, Eqs. 29 and 30.
    """

    name = "ve"
    t_max = 1.0
    _shown = ("sigma_min", "sigma_max")

    def __init__(self, sigma_min: float = 0.01, sigma_max: float = 50.0) -> None:
        self.sigma_min = positive(sigma_min, "sigma_min")
        self.sigma_max = positive(sigma_max, "sigma_max")
        if not self.sigma_max > self.sigma_min:
            wanted = f"more than sigma_min = {self.sigma_min:g}"
            raise bad("sigma_max", f"{self.sigma_max:g}", wanted, "swap the two")
        self._growth = 2 * math.log(self.sigma_max / self.sigma_min)

    @property
    def prior_variance(self) -> float:
        """``sigma_max^2``."""
        return self.sigma_max**2

    def _f(self, t: Array) -> Array:
        return t * 0

    def _g(self, t: Array) -> Array:
        return self.sigma_min * math.sqrt(self._growth) * functions(t).exp(0.5 * self._growth * t)

    def _kernel(self, t: Array, s: Array) -> Kernel:
        step, start = (
            self._growth * (t - s),
            self.sigma_min**2 * functions(s).exp(self._growth * s),
        )
        return Kernel(step * 0 + 1.0, start * functions(step).expm1(step))

    def _time(self, level: Array) -> Array:
        return functions(level).log1p((level / self.sigma_min) ** 2) / self._growth


class OU(LinearSDE):
    """Ornstein-Uhlenbeck: ``dx = -theta x dt + sigma dw``.

    ``scale = exp(-theta (t - s))``, ``variance = sigma^2/(2 theta) (1 - exp(-2 theta (t - s)))``.

    Args:
        theta: rate of return.
        sigma: noise; the default has stationary law ``N(0, I)`` for ``theta = 1``.
        t_max: end; the default ``5/theta`` leaves ``scale = 0.0067``.

    Raises:
        ValueError: values that are not positive.

    Reference:
        Uhlenbeck and Ornstein 1930.
    """

    name = "ou"
    _shown = ("theta", "sigma", "t_max")

    def __init__(
        self, theta: float = 1.0, sigma: float = math.sqrt(2), *, t_max: float | None = None
    ) -> None:
        self.theta, self.sigma = positive(theta, "theta"), positive(sigma, "sigma")
        self.t_max = 5 / self.theta if t_max is None else positive(t_max, "t_max")
        self._stationary = self.sigma**2 / (2 * self.theta)

    @property
    def prior_variance(self) -> float:
        """The stationary variance ``sigma^2/(2 theta)``."""
        return self._stationary

    def _f(self, t: Array) -> Array:
        return t * 0 - self.theta

    def _g(self, t: Array) -> Array:
        return t * 0 + self.sigma

    def _kernel(self, t: Array, s: Array) -> Kernel:
        step = self.theta * (t - s)
        xp = functions(step)
        return Kernel(xp.exp(-step), -self._stationary * xp.expm1(-2 * step))

    def _rates(self, t: Array, kernel: Kernel) -> tuple[Array, Array]:
        a = kernel.scale
        return -self.theta * a, quotient(0.5 * self.sigma**2 * a**2, kernel.std)

    def _time(self, level: Array) -> Array:
        return functions(level).log1p(level**2 / self._stationary) / (2 * self.theta)


class EDM(LinearSDE):
    """``f = 0``, ``g = sqrt(2 t)``: the time is the noise level, ``sigma = t``; ``variance = t^2 - s^2``.

    Raises:
        ValueError: ``sigma_max`` is not positive.

    Reference:
        Karras et al. 2022, Sec. 3 (schedule ``sigma(t) = t``, ``s(t) = 1``).
    """

    name = "edm"
    _shown = ("sigma_max",)

    def __init__(self, sigma_max: float = 80.0) -> None:
        self.sigma_max = self.t_max = positive(sigma_max, "sigma_max")

    def _f(self, t: Array) -> Array:
        return t * 0

    def _g(self, t: Array) -> Array:
        return functions(t).sqrt(2 * t)

    def _kernel(self, t: Array, s: Array) -> Kernel:
        return Kernel((t - s) * 0 + 1.0, (t - s) * (t + s))

    def _rates(self, t: Array, kernel: Kernel) -> tuple[Array, Array]:
        return t * 0, t * 0 + 1.0

    def _time(self, level: Array) -> Array:
        return level


class StraightPath(LinearSDE):
    """``x_t = (1 - t) x_0 + t eps``: ``f = -1/(1 - t)``, ``g^2 = 2 t/(1 - t)`` on ``[0, 1 - delta]``.

    ``scale = (1 - t)/(1 - s)``, ``variance = (t - s)[t (1 - s) + s (1 - t)]/(1 - s)^2``. The drift is singular at
    t = 1, where the usual prior ``N(0, I)`` is exact; starting it at ``1 - delta`` leaves the bias of
    ``scale = delta`` and ``std = 1 - delta``.

    Args:
        delta: distance of ``t_max`` from 1.

    Raises:
        ValueError: ``delta`` outside (0, 1).

    Reference:
        Liu et al. 2023, Eq. 1; Lipman et al. 2023, Eq. 20 with ``sigma_min = 0`` (their time runs the other way).
    """

    name = "straight-path"
    _shown = ("delta",)

    def __init__(self, delta: float = 1e-3) -> None:
        self.delta = positive(delta, "delta")
        if self.delta >= 1:
            raise bad("delta", f"{self.delta:g}", "a number in (0, 1)", "the default is 1e-3")
        self.t_max = 1 - self.delta

    @property
    def prior_variance(self) -> float:
        """One: the variance at t = 1."""
        return 1.0

    def _f(self, t: Array) -> Array:
        return -1 / (1 - t)

    def _g(self, t: Array) -> Array:
        return functions(t).sqrt(2 * t / (1 - t))

    def _kernel(self, t: Array, s: Array) -> Kernel:
        rest = 1 - s
        return Kernel((1 - t) / rest, (t - s) * (t * rest + s * (1 - t)) / rest**2)

    def _rates(self, t: Array, kernel: Kernel) -> tuple[Array, Array]:
        return t * 0 - 1.0, t * 0 + 1.0

    def _time(self, level: Array) -> Array:
        return level / (1 + level)


class ExponentialNoise(LinearSDE):
    """``dx = e^t dw``: ``f = 0``, ``g = e^t``, ``variance = e^(2s) (e^(2(t-s)) - 1)/2``.

    Raises:
        ValueError: ``t_max`` is not positive.
    """

    name = "exponential-noise"

    def __init__(self, t_max: float = 1.0) -> None:
        self.t_max = positive(t_max, "t_max")

    def _f(self, t: Array) -> Array:
        return t * 0

    def _g(self, t: Array) -> Array:
        return functions(t).exp(t)

    def _kernel(self, t: Array, s: Array) -> Kernel:
        start, step = 0.5 * functions(s).exp(2 * s), 2 * (t - s)
        return Kernel(step * 0 + 1.0, start * functions(step).expm1(step))

    def _time(self, level: Array) -> Array:
        return 0.5 * functions(level).log1p(2 * level**2)
