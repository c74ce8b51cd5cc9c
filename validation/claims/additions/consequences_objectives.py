"""What a sampler returns whose score was trained as the refuted sentences on objectives say."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from scipy import linalg, special

from ....theory.protocols import Vector
from ...claim import Check, Context
from ...evidence import Evidence
from ..fields import fields
from ..grams import clean
from ..laws import skewed_1d, tilted_gaussian
from ..off_manifold import REACH, SAMPLES, THICKNESS, objective_parts, untrained
from ..tools import EPS, number
from . import Addition
from .tools import consequence

STD = 0.3  #: of the noise under which a score is learned
SIGMAS = np.geomspace(50.0, 0.01, 401)  #: levels of a flow from noise to data


def _moments(covariance: Vector, mean: Vector) -> Vector:
    """``E z z'`` of ``z = (1, x)``."""
    z = np.concatenate([[1.0], mean])
    second = np.outer(z, z)
    second[1:, 1:] += covariance
    return second


def _returned(gain: Vector) -> Vector:
    """Stationary covariance of ``dX = (b - A X) dt + sqrt(2) dW``: ``A C + C A' = 2 I``."""
    return linalg.solve_continuous_lyapunov(gain, 2 * np.eye(len(gain)))


def _ratios(covariance: Vector) -> Vector:
    """Variances along the axes of the tilted Gaussian over its own, the narrowest first."""
    values, vectors = np.linalg.eigh(tilted_gaussian().covariance)
    return np.einsum("ik,ij,jk->k", vectors, covariance, vectors) / values


def _implicit(slope: float) -> Check:
    """Variance that Langevin dynamics returns with the affine minimiser of ``E|s|^2 + slope E tr grad s``: twice."""

    def check(ctx: Context) -> Evidence:
        law = tilted_gaussian()
        # s = B z: the derivative 2 B E z z' + slope [0 | I] vanishes
        unit = np.eye(4)[1:]
        b = -0.5 * slope * unit @ np.linalg.inv(_moments(law.covariance, law.mean))
        gain = -b[:, 1:]
        share = float(np.trace(gain @ law.covariance) / 3)
        found = _ratios(_returned(gain))
        worst = float(found[np.abs(found - 2).argmax()])
        return number(
            worst,
            error=1e4 * EPS * float(np.linalg.cond(law.covariance)),
            allowed=(2 - 1e-6, 2 + 1e-6),
            n=3,
            message=f"The best affine score under the printed loss is {share:.2f} times the true one, and Langevin "
            f"dynamics with it returns {worst:.2f} times the variance of the data, in every direction.",
        )

    return check


def _power_of(power: float) -> float:
    """Variance of the law proportional to ``p^power``, p the skewed mixture on the line."""
    x = np.linspace(-25.0, 25.0, 20_001)
    weight = np.exp(power * skewed_1d().log_prob(x[:, None]))
    weight /= weight.sum()
    return float(weight @ (x - weight @ x) ** 2)


def _sampled(slope: float) -> Check:
    """Variance returned with the limit of the fits on samples, over four fields that hold the score.

    The stationary law of ``dX = s dt + sqrt(2) dW`` is ``exp(int s)``, summed up here from the fields; predicted is
    that of ``sqrt(p)``.
    """

    def check(ctx: Context) -> Evidence:
        law, g = skewed_1d(), clean(1)
        theta = -0.5 * slope * np.linalg.solve(g.products, g.slopes)
        x = np.linspace(-25.0, 25.0, 20_001)
        points = x[:, None]
        columns = [law.score(points), *(f(points) for f in fields(law).values())]
        field = np.concatenate(columns, axis=1) @ theta
        step = x[1] - x[0]
        rise = np.concatenate([[0.0], np.cumsum(0.5 * (field[1:] + field[:-1])) * step])
        weight = np.exp(rise - rise.max())
        weight /= weight.sum()
        found = float(weight @ (x - weight @ x) ** 2) / float(law.covariance[0, 0])
        expected = _power_of(0.5) / float(law.covariance[0, 0])
        return number(
            found,
            error=1e-3
            * step,  # of the trapezoidal rule: the step squared times the curvature of the field
            allowed=(0.999 * expected, 1.001 * expected),
            kind="quadrature",
            n=len(x),
            message=f"However large the sample, the fit under the printed loss tends to {theta[0]:.3f} times the "
            f"score; Langevin dynamics with it draws from p^{theta[0]:.3f}, which for a mixture on the line has "
            f"{found:.2f} times the variance of the data.",
        )

    return check


def _slope_at(std: float, share: float) -> float:
    """Slope of the best affine model of ``-eps / sigma`` from ``x + share sigma eps``, by Gauss-Hermite sums."""
    law = skewed_1d()
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)  # exact for second moments
    weights = weights / weights.sum()
    deviations = np.sqrt(law.covariances[:, 0, 0])
    x = law.means[:, :1, None] + deviations[:, None, None] * nodes[:, None]
    mass = law.weights[:, None, None] * weights[:, None] * weights
    at, goal = x + share * std * nodes, np.broadcast_to(-nodes / std, mass.shape)
    centred = at - float((mass * at).sum())
    return float((mass * centred * goal).sum() / (mass * centred**2).sum())


def _flow(share: float) -> Check:
    """Variance that the probability flow returns with the minimiser of the loss, over that of the data.

    With a model at the clean point it is that of the prior: the noise has no correlation with what the model sees.
    """

    def check(ctx: Context) -> Evidence:
        v, top = float(skewed_1d().covariance[0, 0]), float(SIGMAS[0]) ** 2
        gain, largest = 1.0, 0.0
        for now, then in pairwise(SIGMAS):
            slope = _slope_at(float(now), share)
            largest = max(largest, abs(slope) * (v + float(now) ** 2))
            gain *= 1 + 0.5 * float(now**2 - then**2) * slope
        found = gain**2 * top / v
        return number(
            found,
            error=1e-9 * found,
            allowed=(0.999 * top / v, 1.001 * top / v),
            n=len(SIGMAS) - 1,
            message=f"Trained at the clean point, the best affine model has at most {largest:.3f} of the slope of "
            f"the score at any level: the flow returns the variance of its prior, {gain**2 * top:.0f}, {found:.0f} "
            "times that of the data.",
        )

    return check


def _denoised(std: float) -> Check:
    """Variance in the narrowest direction with the affine minimiser of the denoising loss: ``1 + sigma^2 / v``."""

    def check(ctx: Context) -> Evidence:
        law = tilted_gaussian()
        second = _moments(law.covariance + std**2 * np.eye(3), law.mean)
        # E (-eps/sigma) z' = [0 | -I]
        gain = (np.eye(4)[1:] @ np.linalg.inv(second))[:, 1:]
        found = float(_ratios(_returned(gain))[0])
        narrow = float(np.linalg.eigvalsh(law.covariance)[0])
        expected = 1 + STD**2 / narrow
        return number(
            found,
            error=1e4 * EPS * found * float(np.linalg.cond(law.covariance)),
            allowed=(0.999 * expected, 1.001 * expected),
            n=3,
            message=f"Langevin dynamics with the minimiser of the denoising loss at sigma = {std:g} draws from the "
            f"noised law; on a Gaussian its variance in the narrowest direction is {found:.2f} times that of the "
            "data.",
        )

    return check


def _missed(cut: float, power: float) -> Check:
    """Objective of a model that is exact within ``cut`` thicknesses and zero beyond, over that of ``s = 0``.

    Predicted is the tail of a chi-square with three degrees; what the score holds along the line adds a percent.
    """

    def check(ctx: Context) -> Evidence:
        inner, outer = objective_parts(untrained, cut, power)
        found = outer.value / (outer.value + inner.value)
        expected = float(special.gammaincc(1.5, 0.5 * REACH**2))
        return number(
            found,
            error=(outer.half_width + found * inner.half_width) / (outer.value + inner.value),
            allowed=(0.97 * expected, 1.03 * expected),
            kind="quadrature",
            n=outer.n,
            message=f"A model that is exact where {SAMPLES:,} samples lie and zero off the line, from {cut:.2g} "
            f"thicknesses ({cut * THICKNESS:.2g}) on, raises the objective by {found:.2%} of that of s = 0: "
            "training does not mend it, and a chain that starts there feels no pull.",
        )

    return check


def _twice(check: Callable[[float], Check], printed: float, **wrong: float) -> Addition:
    """A check of one number, with the versions that take another."""
    return consequence(
        check(printed), wrong=[(k.replace("_", "-"), check(v)) for k, v in wrong.items()]
    )


ADDED: dict[str, Addition] = {
    "O2": _twice(_implicit, 1.0, trace_taken_twice=2.0, trace_halved=0.5),
    "O4": _twice(_sampled, 1.0, trace_taken_twice=2.0, trace_halved=0.5),
    "O14": _twice(_flow, 0.0, at_the_noisy_point=1.0, half_the_noise=0.5),
    "O22": _twice(_denoised, STD, score_of_the_data_law=0.0, half_the_noise=STD / 2),
    "O27": consequence(
        _missed(REACH, 1.0),
        wrong=[("without-the-density", _missed(REACH, 0.0)), ("near-the-line", _missed(1.0, 1.0))],
    ),
}
