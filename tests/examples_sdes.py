"""The diffusions that every law of the tests is applied to.

``alpha`` and ``variance`` are the textbook formulas of ``x_t`` given ``x_0``, written naively for mpmath: with 80
digits, cancellation does not matter, so they judge the stable forms of the package.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
from scoreproof.theory import (
    EDM,
    OU,
    VE,
    VP,
    ExponentialNoise,
    LinearSDE,
    StraightPath,
    SubVP,
    cosine_betas,
)
from scoreproof.theory.schedules import CosineBeta

DIGITS = 80


@dataclass(frozen=True)
class Example:
    """A diffusion and its textbook kernel.

    Attributes:
        sde: the object under test.
        alpha: mean factor of x_t given x_0, for an mpf.
        variance: variance of x_t given x_0, for an mpf.
        exponent: largest argument of an exponential in the kernel, which multiplies rounding errors.
        breaks: times at which the coefficients jump.
        numeric: the kernel is found numerically, with this relative error.
    """

    sde: LinearSDE
    alpha: Callable[[Any], Any]
    variance: Callable[[Any], Any]
    exponent: float
    breaks: tuple[float, ...] = ()
    numeric: float = 0.0

    def two_time(self, t: float, s: float) -> tuple[Any, Any]:
        """Scale and variance of x_t given x_s in high precision."""
        with mp.workdps(DIGITS):
            late, early = mp.mpf(t), mp.mpf(s)
            scale = self.alpha(late) / self.alpha(early)
            return scale, self.variance(late) - scale**2 * self.variance(early)


def _preserving(integral: Callable[[Any], Any]) -> dict[str, Any]:
    return {
        "alpha": lambda t: mp.exp(-integral(t) / 2),
        "variance": lambda t: 1 - mp.exp(-integral(t)),
    }


def _linear(low: float, high: float) -> Callable[[Any], Any]:
    return lambda t: mp.mpf(low) * t + (mp.mpf(high) - mp.mpf(low)) * t**2 / 2


def _cosine(s: float, top: float) -> Callable[[Any], Any]:
    def integral(t: Any) -> Any:
        s_, top_ = mp.mpf(s), mp.mpf(top)
        rate = mp.pi / 2 / (1 + s_)
        cut = (mp.pi / 2 - mp.atan(2 * rate / top_)) / rate - s_
        inside = min(t, cut)
        ratio = mp.cos(rate * (inside + s_)) / mp.cos(rate * s_)
        return -2 * mp.log(ratio) + top_ * max(t - cut, 0)

    return integral


def _steps(betas: np.ndarray) -> Callable[[Any], Any]:
    def integral(t: Any) -> Any:
        total, n = mp.mpf(0), len(betas)
        for i, b in enumerate(betas):
            left = mp.mpf(i / n)
            total += -mp.log1p(-mp.mpf(float(b))) * min(max((t - left) * n, 0), 1)
        return total

    return integral


BETAS = np.minimum(cosine_betas(8), 0.9)  # skewed, coarse, with a clipped end

EXAMPLES: dict[str, Example] = {
    "vp": Example(VP(), **_preserving(_linear(0.1, 20.0)), exponent=10.1),
    "vp-falling": Example(VP(9.0, 0.5), **_preserving(_linear(9.0, 0.5)), exponent=4.8),
    "vp-constant": Example(VP.constant(3.0), **_preserving(lambda t: 3 * t), exponent=3),
    "vp-cosine": Example(VP.cosine(), **_preserving(_cosine(0.008, 999.0)), exponent=14),
    "vp-cosine-cut": Example(
        VP.cosine(0.05, beta_max=12.0),
        **_preserving(_cosine(0.05, 12.0)),
        exponent=6,
        breaks=(CosineBeta(0.05, 12.0).cut,),
    ),
    "vp-steps": Example(
        VP.from_betas(BETAS),
        **_preserving(_steps(BETAS)),
        exponent=5,
        breaks=tuple(i / 8 for i in range(1, 8)),
    ),
    "sub-vp": Example(
        SubVP(),
        alpha=lambda t: mp.exp(-_linear(0.1, 20.0)(t) / 2),
        variance=lambda t: (1 - mp.exp(-_linear(0.1, 20.0)(t))) ** 2,
        exponent=10.1,
    ),
    "ve": Example(
        VE(),
        alpha=lambda t: mp.mpf(1),
        variance=lambda t: mp.mpf(0.01) ** 2 * ((mp.mpf(50) / mp.mpf(0.01)) ** (2 * t) - 1),
        exponent=17.1,
    ),
    "ou": Example(
        OU(1.5, 0.7, t_max=2.5),
        alpha=lambda t: mp.exp(-mp.mpf(1.5) * t),
        variance=lambda t: mp.mpf(0.7) ** 2 / 3 * (1 - mp.exp(-3 * t)),
        exponent=7.5,
    ),
    "edm": Example(EDM(), alpha=lambda t: mp.mpf(1), variance=lambda t: t**2, exponent=0),
    "straight": Example(
        StraightPath(), alpha=lambda t: 1 - t, variance=lambda t: t**2, exponent=0
    ),
    "exponential": Example(
        ExponentialNoise(2.0),
        alpha=lambda t: mp.mpf(1),
        variance=lambda t: (mp.exp(2 * t) - 1) / 2,
        exponent=4,
    ),
    "quadrature": Example(
        LinearSDE(lambda t: -(t**2) - 0.2, lambda t: 1 + 0.5 * t, t_max=1.5),
        alpha=lambda t: mp.exp(-(t**3) / 3 - mp.mpf(0.2) * t),
        variance=lambda t: mp.quad(
            lambda r: mp.exp(2 * (r**3 - t**3) / 3 + 2 * mp.mpf(0.2) * (r - t)) * (1 + r / 2) ** 2,
            [0, t],
        ),
        exponent=3,
        numeric=1e-12,
    ),
    "from-kernel": Example(
        LinearSDE.from_kernel(
            lambda t: float(np.cos(t)), lambda t: float(np.sin(t) * (1 + t)), t_max=1.3
        ),
        alpha=mp.cos,
        variance=lambda t: (mp.sin(t) * (1 + t)) ** 2,
        exponent=1,
        numeric=1e-10,
    ),
}
