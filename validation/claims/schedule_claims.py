"""Ledger, schedules: D11 (geometric levels), D12 (SMLD and DDPM)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...theory.diffusions import EDM, VE, VP, ExponentialNoise
from ...theory.discrete import cosine_betas, linear_betas, sigmas_of_betas
from ...theory.protocols import Vector
from ...theory.sde import LinearSDE
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .tools import EPS, agreement, named, number


def _clock(time_of: Callable[[Vector], Vector]) -> Check:
    """Levels of ``dx = e^t dw`` at chosen times against a geometric progression."""

    def check(ctx: Context) -> Evidence:
        levels = np.geomspace(0.01, 20.0, 12)
        got = np.array(
            [float(ExponentialNoise(8.0).kernel(float(t)).std) for t in time_of(levels)]
        )
        return agreement(
            got / levels,
            np.ones(12),
            bound=64 * EPS,
            tolerance=1e-9,
            message=f"levels reached over the geometric ones: {got[0] / levels[0]:.6g} at the smallest, "
            f"{got[-1] / levels[-1]:.6g} at the largest",
        )

    return check


def _steady(sde: LinearSDE, start: float, step: float = 0.25) -> Check:
    """Ratio of successive levels at equal steps from ``start`` on, over ``e^step``."""

    def check(ctx: Context) -> Evidence:
        times = start + step * np.arange(13)
        levels = np.array([float(sde.kernel(float(t)).std) for t in times])
        ratio = levels[1:] / levels[:-1] / math.exp(step)
        worst = float(ratio[np.argmax(np.abs(ratio - 1))])
        return number(
            worst - 1,
            error=64 * EPS,
            allowed=(-0.01, 0.01),
            n=12,
            message=f"from t = {start:g} on the levels grow by {worst:.5g} times e^h a step at worst",
        )

    return check


def _with_noise(already: float) -> Check:
    """The same ratio from t = 0 on for data that carry noise of variance ``already``."""

    def check(ctx: Context) -> Evidence:
        times = 0.25 * np.arange(17)
        v = np.array([float(ExponentialNoise(5.0).kernel(float(t)).variance) for t in times])
        levels = np.sqrt(already + v)
        ratio = levels[1:] / levels[:-1] / math.exp(0.25)
        return agreement(
            ratio,
            np.ones(16),
            bound=64 * EPS,
            tolerance=1e-9,
            message=f"ratio of successive levels over e^h, with variance {already:g} at t = 0: "
            f"{ratio[0]:.6g} at first",
        )

    return check


def _eleventh() -> Claim:
    noise = ExponentialNoise(8.0)
    return Claim(
        "D11",
        r"perturbing by $dx = e^t dw$ is analogous to levels $\sigma_1 < \dots < \sigma_L$ in geometric progression",
        checks={
            "clock": _clock(lambda s: 0.5 * np.log1p(2 * s**2)),
            "late": _steady(noise, 2.0),
            "exact": _with_noise(0.5),
        },
        mutants={
            "clock": [
                named(_clock(lambda s: np.log(s) + 5), "logarithm-of-the-level"),
                named(_clock(lambda s: np.log1p(s**2)), "variance-e-to-the-t"),
            ],
            "late": [
                named(_steady(noise, 0.1), "from-the-start"),
                named(_steady(EDM(10.0), 2.0), "variance-t-squared"),
            ],
            "exact": [
                named(_with_noise(0.05), "nearly-clean-data"),
                named(_with_noise(1.0), "unit-variance"),
            ],
        },
        source=("001",),
        assumptions=(
            "the source says that the variance grows exponentially, and 'analogous'; this is read as: there are "
            "times at which the noise has exactly the given geometric levels, and at equal steps of time the ratio "
            "of successive levels is constant within 1 % from t = 2 on",
        ),
        finding=lambda evidence: (
            r"The levels are $\sigma(t)^2 = (e^{2t} - 1)/2$. They are geometric at equal steps exactly for data that "
            r"already carry noise of variance $\frac12$, and else in the limit alone: the ratio is $e^h[1 + "
            r"\frac12 e^{-2t}(1 - e^{-2h}) + \dots]$, infinite at $t = 0$; "
            + evidence["late"].message
            + r". Any levels are met at the times $t_i = \frac12\log(1 + 2\sigma_i^2)$."
        ),
        role="printed",
        group="ledger",
    )


def _chains() -> dict[str, VP]:
    return {
        "linear": VP(),
        "cosine": VP.cosine(),
        "discrete": VP.from_betas(linear_betas(40, last=0.3)),
    }


def _two_times(power: float, clock: Callable[[float, float], float]) -> Check:
    """Kernel of ``x_t / scale^power`` under VP against that of VE at the times when VE has the level ``clock``."""

    def check(ctx: Context) -> Evidence:
        ve = VE(sigma_min=0.01, sigma_max=1000.0)
        gaps = []
        for vp in _chains().values():
            for t, s in ((0.3, 0.1), (0.7, 0.3), (0.9, 0.85), (0.5, 0.01)):
                late, early, step = vp.kernel(t), vp.kernel(s), vp.kernel(t, s)
                unit = late.scale**power
                mine = step.scale * early.scale**power / unit, step.variance / unit**2
                times = [
                    float(ve.time_of_noise_level(clock(float(k.scale), float(k.std))))
                    for k in (late, early)
                ]
                theirs = ve.kernel(*times)
                gaps += [mine[0] / theirs.scale - 1, mine[1] / theirs.variance - 1]
        rest = np.array(gaps)
        return agreement(
            rest,
            np.zeros_like(rest),
            # a time is inverted to some units in the last place, and levels grow by 23 times that
            bound=1e-11,
            tolerance=1e-8,
            message=f"two-time kernels of the rescaled VP process and of VE: largest relative gap "
            f"{np.abs(rest).max():.2g}; three schedules, four pairs of times",
        )

    return check


def _same_chain(levels: Callable[[Vector], Vector], power: float = 1.0) -> Check:
    """Every step of the DDPM chain in ``y = x / sqrt(alpha_bar)^power`` against the step of an SMLD chain."""

    def check(ctx: Context) -> Evidence:
        gaps = []
        for betas in (linear_betas(), cosine_betas(200)):
            scale = np.sqrt(np.cumprod(1 - betas))
            before = np.concatenate([[1.0], scale[:-1]])
            sigmas = np.concatenate([[0.0], levels(betas)])
            mean = np.sqrt(1 - betas) * (before / scale) ** power
            added = betas / scale ** (2 * power)
            gaps += [mean - 1, added / np.diff(sigmas**2) - 1]
        rest = np.concatenate(gaps)
        return agreement(
            rest,
            np.zeros_like(rest),
            bound=1e-9,  # differences of squares that grow by 1e-4 a step lose four digits of thirteen
            tolerance=1e-6,
            message=f"factor of the mean and added variance of each step: largest gap {np.abs(rest).max():.2g}; "
            "1,000 linear and 200 cosine steps",
        )

    return check


def _preserved(betas: Vector) -> Vector:
    """Levels of the unscaled chain, ``sqrt(1 - alpha_bar)``."""
    return np.sqrt(-np.expm1(np.cumsum(np.log1p(-betas))))


def _twelfth() -> Claim:
    return Claim(
        "D12",
        r"SMLD and DDPM are discretisations of the same underlying process",
        checks={
            "process": _two_times(1.0, lambda a, sd: sd / a),
            "chain": _same_chain(sigmas_of_betas),
        },
        mutants={
            "process": [
                named(_two_times(0.0, lambda a, sd: sd / a), "no-rescaling"),
                named(_two_times(1.0, lambda a, sd: sd), "clock-without-scale"),
                named(_two_times(2.0, lambda a, sd: sd / a), "scale-squared"),
            ],
            "chain": [
                named(_same_chain(sigmas_of_betas, power=0.0), "no-rescaling"),
                named(_same_chain(_preserved), "levels-of-the-unscaled-chain"),
            ],
        },
        source=("004",),
        assumptions=(
            "the source calls the methods 'different discretizations of the same underlying continuous process' and "
            "'closely related'; 'the same process' is read as: the same law of the whole path after a rescaling of x "
            "and a change of clock that do not depend on the data",
            "without the rescaling the two limits differ, VE and VP: that reading is the mutant 'no-rescaling'",
        ),
        finding=lambda evidence: (
            r"With $y = x/\alpha(t)$ and the clock $\sigma = \mathrm{sd}(t)/\alpha(t)$ the VP process is the VE "
            r"process, as a law of paths: "
            f"{evidence['process'].message}. The chains themselves are one: "
            r"$y_i = x_i/\sqrt{\bar\alpha_i}$ is the SMLD chain with $\sigma_i^2 = (1 - \bar\alpha_i)/\bar\alpha_i$, "
            f"step by step ({evidence['chain'].value:.1e}). In x itself they are not."
        ),
        role="printed",
        group="ledger",
    )


CLAIMS: tuple[Claim, ...] = (_eleventh(), _twelfth())
