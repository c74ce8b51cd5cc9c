"""Diffusions of the line with state-dependent noise whose marginals are known.

===================  ====================  ========================  =========================================
diffusion            drift                 D = sigma^2               marginals
===================  ====================  ========================  =========================================
GeometricBrownian    mu x                  s^2 x^2                   lognormal from lognormal
CIR                  kappa (m - x)         s^2 x                     gamma from gamma of the same shape
StudentDiffusion     -kappa (x - m)        s^2 + r^2 (x - m)^2       Student t, stationary
===================  ====================  ========================  =========================================

In each the reversal without ``D'`` is wrong: these are the problems on which that shows.
"""

from __future__ import annotations

import math
from typing import Any

from ._checks import bad, parameter, positive
from .arrays import namespace
from .densities_1d import StudentT
from .densities_positive import Gamma, LogNormal
from .general import SDE


class GeometricBrownian(SDE):
    """``dx = rate x dt + volatility x dw`` on the positive half-line.

    ``log x_t = log x_0 + (rate - volatility^2/2) t + volatility w_t``, so that lognormal data stay lognormal.

    Raises:
        ValueError: a volatility or an end that is not positive.

    Reference:
        Black and Scholes 1973.
    """

    name = "geometric-brownian"

    def __init__(self, rate: float = 0.1, volatility: float = 0.5, *, t_max: float = 1.0) -> None:
        self.rate = float(parameter(rate, "rate", 0))
        self.volatility = positive(volatility, "volatility")
        super().__init__(
            lambda x, t: self.rate * x,
            lambda x, t: self.volatility * x,
            divergence=lambda x, t: 2 * self.volatility**2 * x,
            t_max=t_max,
        )

    def marginal(self, p: LogNormal, t: float) -> LogNormal:
        """Law of ``x_t`` for lognormal ``x_0``.

        Raises:
            ValueError: another law, or ``t`` out of range.
        """
        if not isinstance(p, LogNormal):
            raise bad("p", type(p).__name__, "a LogNormal", "its logarithm is Gaussian")
        at = float(self.check_time(float(t)))
        median = p.scale * math.exp((self.rate - 0.5 * self.volatility**2) * at)
        return LogNormal(median, math.sqrt(p.std**2 + self.volatility**2 * at))


class CIR(SDE):
    """``dx = rate (level - x) dt + volatility sqrt(x) dw`` on the positive half-line.

    With ``a = 2 rate level / volatility^2`` data of law Gamma(a, c_0) stay ``Gamma(a, c_t)``,
    ``c_t = c + (c_0 - c) e^{-rate t}``, ``c = volatility^2 / (2 rate)``: the Laplace transform of the transition
    multiplies ``(1 + c_0 u)^-a`` to ``(1 + c_t u)^-a``.

    Raises:
        ValueError: parameters that are not positive.

    Reference:
        Cox, Ingersoll and Ross 1985, Eqs. 17 and 18.
    """

    name = "cir"

    def __init__(
        self,
        rate: float = 1.5,
        level: float = 1.2,
        volatility: float = 0.9,
        *,
        t_max: float = 1.0,
    ) -> None:
        self.rate, self.level = positive(rate, "rate"), positive(level, "level")
        self.volatility = positive(volatility, "volatility")
        super().__init__(
            lambda x, t: self.rate * (self.level - x),
            lambda x, t: self.volatility * namespace(x).sqrt(x),
            divergence=lambda x, t: x * 0 + self.volatility**2,
            t_max=t_max,
        )

    @property
    def shape(self) -> float:
        """``a = 2 rate level / volatility^2``."""
        return 2 * self.rate * self.level / self.volatility**2

    @property
    def stationary(self) -> Gamma:
        """The limit law."""
        return Gamma(self.shape, 0.5 * self.volatility**2 / self.rate)

    def marginal(self, p: Gamma, t: float) -> Gamma:
        """Law of ``x_t`` for ``x_0`` of a gamma law with this diffusion's shape.

        Raises:
            ValueError: another law or shape, or ``t`` out of range.
        """
        if not isinstance(p, Gamma) or not math.isclose(p.shape, self.shape, rel_tol=1e-9):
            raise bad(
                "p", repr(p)[:60], f"a Gamma of shape {self.shape:.10g}", "only the scale is free"
            )
        decay = math.exp(-self.rate * float(self.check_time(float(t))))
        return Gamma(self.shape, self.stationary.scale * (1 - decay) + p.scale * decay)


class StudentDiffusion(SDE):
    """``dx = -rate (x - location) dt + sqrt(s^2 + r^2 (x - location)^2) dw``, a Pearson diffusion.

    ``D p`` has the logarithmic derivative ``2 b / D``, so that the stationary density is
    ``(1 + r^2 y^2 / s^2)^{-(1 + rate/r^2)}``: Student t with ``df = 1 + 2 rate/r^2`` and scale ``s / (r sqrt(df))``.

    Args:
        rate: of return.
        floor: s, noise at the location.
        growth: r, noise per distance from it.
        location: centre.
        t_max: end.

    Raises:
        ValueError: parameters that are not positive.

    Reference:
        Forman and Soerensen 2008, case 3 (Student diffusion).
    """

    name = "student-diffusion"

    def __init__(
        self,
        rate: float = 1.0,
        floor: float = 0.8,
        growth: float = 0.6,
        location: float = 0.7,
        *,
        t_max: float = 1.0,
    ) -> None:
        self.rate, self.floor = positive(rate, "rate"), positive(floor, "floor")
        self.growth = positive(growth, "growth")
        self.location = float(parameter(location, "location", 0))

        def squared(x: Any, t: Any) -> Any:
            return self.floor**2 + self.growth**2 * (x - self.location) ** 2

        super().__init__(
            lambda x, t: -self.rate * (x - self.location),
            lambda x, t: namespace(x).sqrt(squared(x, t)),
            divergence=lambda x, t: 2 * self.growth**2 * (x - self.location),
            t_max=t_max,
        )

    @property
    def stationary(self) -> StudentT:
        """The stationary law."""
        df = 1 + 2 * self.rate / self.growth**2
        return StudentT(df, self.location, self.floor / (self.growth * math.sqrt(df)))

    def marginal(self, p: StudentT, t: float) -> StudentT:
        """The stationary law itself, at every time.

        Raises:
            ValueError: ``p`` is another law, or ``t`` out of range.
        """
        self.check_time(float(t))
        own = self.stationary
        known = isinstance(p, StudentT) and all(
            math.isclose(getattr(p, k), getattr(own, k), rel_tol=1e-9, abs_tol=1e-12)
            for k in ("df", "location", "scale")
        )
        if not known:
            raise bad("p", repr(p)[:60], f"the stationary law {own!r}", "pass its .stationary")
        return own
