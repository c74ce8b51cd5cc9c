"""What the refuted sentences on dynamics and guidance do to who uses them as printed.

Each is a number that a sampler built on the printed sentence returns, computed from the equations of its law and
predicted in closed form; among the mutants is the corrected sentence, whose sampler does not return it.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import integrate

from ....numerics.gaussian_law import EigenLaw, ula_affine
from ....theory.densities_positive import Gamma
from ....theory.diffusions import VP
from ....theory.protocols import Vector
from ....theory.solvable import CIR
from ...claim import Check, Context
from ...evidence import Evidence
from .. import guidance_runs, step_counts
from ..langevin import TARGET
from ..laws import tilted_gaussian
from ..tools import EPS, number
from . import Addition
from .tools import consequence

START, END = 1.0, 1e-3


def _too_wide(step: float, chain: str, *, times: float = 1.0, corrected: bool = False) -> Check:
    """Excess of the stationary variance of a chain in the narrowest direction, after 2^40 steps.

    The prediction is ``1 / (1 - d/(2v)) - 1`` for ``x + d s + sqrt(2d) z``.

    Args:
        step: d of the prediction.
        chain: the step in the convention of the text.
        times: the chain runs with ``times d``.
        corrected: take its variance for what the correction says, v / (1 - d/(2v)), not for v.
    """

    def check(ctx: Context) -> Evidence:
        target = EigenLaw.of(TARGET)
        move = ula_affine(target, step=times * step)
        for _ in range(40):
            move = move.then(move)
        v = float(target.variance.min())
        excess = 1 / (1 - step / (2 * v)) - 1
        held = v * (1 + excess) if corrected else v
        found = float(target.push(move).variance.min()) / held - 1
        smaller = step / (2 * v) * 1.01 / 0.01  # 1/(1 - d/(2v)) is 1.01 at d = 2v 0.01/1.01
        return number(
            found,
            error=64 * EPS / (times * step),
            allowed=((1 - 1e-6) * excess, (1 + 1e-6) * excess),
            n=2**40,
            message=f"The chain with {chain}, taken for exact, returns draws whose variance is {found:.1%} too large "
            f"in the narrowest direction (of variance {v:.3g}), however long it runs. An excess of 1 % there asks "
            f"for steps {smaller:.0f} times smaller, or for a Metropolis correction.",
        )

    return check


def _stays(count: str, *, pull: float = 1.0) -> Check:
    """Distance to p of the chain at the smallest step, against that of the diffusion at time one."""

    def check(ctx: Context) -> Evidence:
        h = step_counts.STEP
        number_of = {**step_counts.PRINTED, **step_counts.GROWING}[count]
        first, found = (step_counts.distance(s, number_of(s), pull=pull) for s in (1e-2, h))
        target = EigenLaw.of(tilted_gaussian())
        kept = np.exp(-1 / target.variance)
        # of W2^2 of the diffusion, started from N(0, 0.04 I)
        spread = np.sqrt(target.variance + kept**2 * (0.04 - target.variance))
        square = (kept * target.mean) ** 2 + (spread - np.sqrt(target.variance)) ** 2
        limit = math.sqrt(float(square.sum() / target.variance.sum()))
        return number(
            found,
            error=64 * EPS / h,
            # of first order in the step
            allowed=((1 - 100 * h) * limit, (1 + 100 * h) * limit),
            n=round(number_of(h)),
            message=f"Who shrinks the step from 0.01 to {h:g} and takes 1/step steps stays {found:.3f} standard "
            f"deviations of p away from p (W2; {first:.3f} before): the error is that of the diffusion stopped at "
            "time one, and only a longer total time lowers it.",
        )

    return check


def _predicted(c: float, eta: float, q: Vector) -> Vector:
    """Variance that the reversal with factors c and eta returns, over that of the data.

    With ``q = corr(x_0, x_t)^2``, ``dq = -q g^2/v dt``, and ``k = 2c - 1`` it is ``q^k + eta^2 (1 - q^k)/k``: one
    where ``eta^2 = k``, and ``1 - eta^2 log q`` for ``k = 0``.

    Args:
        c: factor of the score.
        eta: factor of the noise.
        q: at the time where the reversal starts.
    """
    k = 2 * c - 1
    grown = -np.log(q) if k == 0 else -np.expm1(k * np.log(q)) / k
    return q**k + eta**2 * grown


def _returned(
    printed: tuple[float, float], told: str, *, used: tuple[float, float] | None = None
) -> Check:
    """Variance that a reversal of VP returns for a tilted Gaussian, from the moment equation.

    Args:
        printed: factors of score and noise for which the prediction is made.
        told: what happens, after the numbers.
        used: those with which the process runs.
    """

    def check(ctx: Context) -> Evidence:
        c, eta = printed if used is None else used
        sde, data = VP(), EigenLaw.of(TARGET)

        def variance(t: float) -> Vector:
            kernel = sde.kernel(t)
            return data.diffuse(float(kernel.scale), float(kernel.variance)).variance

        def right(t: float, y: Vector) -> Vector:
            g2 = float(sde.diffusion(t)) ** 2
            return 2 * (float(sde.drift(t)) + c * g2 / variance(t)) - eta**2 * g2 * np.exp(-y)

        first, last = variance(START), variance(END)
        coarse, fine = (
            integrate.solve_ivp(
                right, (START, END), np.log(first), method="DOP853", rtol=r, atol=r
            ).y[:, -1]
            for r in (1e-7, 1e-9)
        )
        found = np.exp(fine) / last
        link = float(sde.kernel(START, END).scale)
        predicted = _predicted(*printed, link**2 * last / first)
        k = int(np.argmax(np.abs(found / predicted - 1)))
        return number(
            float(found[k]),
            error=float(found[k] * (10 * np.abs(fine - coarse)[k] + 1e-9)),
            allowed=((1 - 1e-5) * float(predicted[k]), (1 + 1e-5) * float(predicted[k])),
            kind="quadrature",
            message=told.format(low=found.min(), high=found.max()),
        )

    return check


HALF = (
    "A sampler that halves the score in the reverse SDE returns {low:.1f} and {high:.1f} times the variance of the "
    "data in two directions (VP, beta 0.1 to 20): 1 - log corr(x_0, x_T)^2, so the more the longer the data were "
    "noised. Means come out right."
)
COLLAPSE = (
    "A sampler that only drops the noise of the reverse SDE returns {low:.1e} and {high:.1e} times the variance of "
    "the data in two directions (VP, beta 0.1 to 20): its draws collapse. On Gaussian data each is E[x_0 | x_T], "
    "with corr(x_0, x_T)^2 of the variance."
)


def _rates(divergence: float, *, score: float = 1.0) -> Check:
    """Mean that the reversal of CIR returns without ``D'``, from its affine drift.

    The prediction: too low by ``(volatility^2 / rate) (c_0/c_T) (1 - e^{-rate T})``, ``c_t`` the scale of the law.
    """

    def check(ctx: Context) -> Evidence:
        sde = CIR(1.5, 1.2, 0.9)
        law = Gamma(sde.shape, 0.6)

        def right(tau: float, mean: Vector) -> Vector:
            x, t = mean[:, None], 1.0 - tau
            s = sde.marginal(law, t).score(x)
            push = score * sde.spread(x, t, s) + divergence * sde.divergence(x, t)
            return (push - sde.drift(x, t))[:, 0]

        last = sde.marginal(law, 1.0)
        coarse, fine = (
            integrate.solve_ivp(
                right, (0, 1), [float(last.mean[0])], method="DOP853", rtol=r, atol=r
            ).y[0, -1]
            for r in (1e-7, 1e-9)
        )
        truth, found = float(law.mean[0]), float(fine)
        lost = sde.volatility**2 / sde.rate * law.scale / last.scale * -math.expm1(-sde.rate)
        return number(
            found - truth,
            error=10 * abs(found - float(coarse)) + 1e-9,
            allowed=(-lost - 1e-6, -lost + 1e-6),
            kind="quadrature",
            message=f"Run backwards without the divergence of D, an interest rate model (CIR) of mean {truth:.3f} "
            f"comes back with mean {found:.3f}, {1 - found / truth:.0%} too low. In the long run the "
            "loss tends to volatility^2/rate times the ratio of the scales at start and end.",
        )

    return check


VALLEY = -0.65  #: between the modes of the first class


def _weights(field: str) -> Check:
    """Weight of the left mode under the guided flow, against the ends of 121 paths."""

    def check(ctx: Context) -> Evidence:
        predicted = guidance_runs.share_below(guidance_runs.PRINTED, VALLEY)
        coarse, found = (guidance_runs.share_by_path(field, VALLEY, rtol=r) for r in (1e-4, 1e-6))
        tilted = guidance_runs.tilted_share(VALLEY)
        return number(
            found,
            error=abs(found - coarse) + 1e-6,
            allowed=(predicted - 2e-3, predicted + 2e-3),
            kind="quadrature",
            message=f"Guidance with weight {guidance_runs.WEIGHT:g}, solved exactly, puts {found:.1%} of the draws "
            f"into the left mode of a class with two, where the tilted law has {tilted:.1%}: the mode that the "
            "classifier likes less is nearly lost, though its draws look right.",
        )

    return check


ADDED: dict[str, Addition] = {
    "L4": consequence(
        _too_wide(0.1, "d = 0.1"),
        wrong=[
            ("corrected-variance", _too_wide(0.1, "d = 0.1", corrected=True)),
            ("half-the-step", _too_wide(0.1, "d = 0.1", times=0.5)),
            ("step-to-zero", _too_wide(0.1, "d = 0.1", times=1e-6)),
        ],
    ),
    "L5": consequence(
        _too_wide(0.05, "h = 0.1"),
        wrong=[
            ("corrected-variance", _too_wide(0.05, "h = 0.1", corrected=True)),
            ("other-convention", _too_wide(0.05, "h = 0.1", times=2.0)),
            ("step-to-zero", _too_wide(0.05, "h = 0.1", times=1e-6)),
        ],
    ),
    "L12": consequence(
        _stays("1/step"),
        wrong=[
            ("corrected-total-time-growing", _stays("log(1/step)^2 / step")),
            ("total-time-to-zero", _stays("step^-1/2")),
            ("score-times-1.2", _stays("1/step", pull=1.2)),
        ],
    ),
    "D3": consequence(
        _returned((0.5, 1.0), HALF),
        wrong=[
            ("corrected-whole-score", _returned((0.5, 1.0), HALF, used=(1.0, 1.0))),
            ("noise-dropped", _returned((0.5, 1.0), HALF, used=(0.5, 0.0))),
        ],
    ),
    "D5": consequence(
        _returned((1.0, 0.0), COLLAPSE),
        wrong=[
            ("corrected-half-the-score", _returned((1.0, 0.0), COLLAPSE, used=(0.5, 0.0))),
            ("noise-kept", _returned((1.0, 0.0), COLLAPSE, used=(1.0, 1.0))),
        ],
    ),
    "D9": consequence(
        _rates(0.0),
        wrong=[
            ("corrected-with-the-divergence", _rates(1.0)),
            ("divergence-halved", _rates(0.5)),
            ("score-halved", _rates(0.0, score=0.5)),
        ],
    ),
    "G3": consequence(
        _weights(guidance_runs.PRINTED),
        wrong=[
            ("corrected-noised-tilted-law", _weights(guidance_runs.EXACT)),
            ("weight-one", _weights("conditional")),
        ],
    ),
}
