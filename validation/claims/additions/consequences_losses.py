"""What somebody misreads or misweights who takes the refuted sentences on losses and on sizes of scores as printed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ....numerics.estimate import Estimate
from ....numerics.gaussian_law import EigenLaw, ula_affine
from ....theory.mixtures import Gaussian
from ...claim import Check, Context
from ...evidence import Evidence
from ..averages import ratio
from ..conditional_scores import PLAIN, PRESERVING
from ..equivalence import posterior_trace
from ..grams import Gram, noised
from ..laws import tilted_gaussian
from ..noise_levels import LEVELS
from ..score_sizes import RANGE, information
from ..tools import EPS, number
from . import Addition
from .tools import consequence

DIM = 2  #: of the skewed mixture on which losses are read
STD = 0.3
SHORT = 0.1  #: step of Langevin dynamics in units of sigma^2


def _near(value: float, share: float = 1e-3) -> tuple[float, float]:
    return (1 - share) * value, (1 + share) * value


def _shown(found: Estimate, allowed: tuple[float, float], message: str) -> Evidence:
    return number(
        found.value,
        error=found.half_width,
        allowed=allowed,
        kind="quadrature",
        n=found.n,
        message=message,
    )


def _shares(power: float) -> Check:
    """Share of the lowest level in the loss of ``s = 0`` with weights ``sigma^2`` and a prefactor ``sigma^power``.

    Each level is one without the prefactor, so that the shares are those of ``sigma^power``.
    """

    def check(ctx: Context) -> Evidence:
        losses = [noised(1, s).square({"target": 1.0}) * s ** (2 + power) for s in LEVELS]
        found = ratio(losses[0], losses[0] + losses[1] + losses[2])
        weights = np.array(LEVELS) ** -2.0
        shown = ", ".join(f"{s:g}" for s in LEVELS)
        return _shown(
            found,
            _near(float(weights[0] / weights.sum())),
            f"With weights sigma^2, which balance the levels {shown}, the printed prefactor gives the lowest level "
            f"{found.value:.0%} of the loss of s = 0 instead of {1 / len(LEVELS):.0%}.",
        )

    return check


def _read(off: Callable[[Gram], Estimate]) -> Check:
    """Value of the loss at the exact score, over the mean square of the score.

    Predicted from the posterior, ``sigma^-4 E tr Cov[x|x~]``; as an error it would be zero.
    """

    def check(ctx: Context) -> Evidence:
        g = noised(DIM, STD)
        found = ratio(off(g), information(DIM, STD))
        constant = posterior_trace(DIM, STD).value * STD**-4 / information(DIM, STD).value
        return _shown(
            found,
            _near(constant),
            f"Who reads the denoising loss as the error of the model finds {found.value:.2f} times the mean square "
            f"of the score for the exact score itself (sigma = {STD:g}, d = {DIM}), whose error is zero.",
        )

    return check


def _without_constant(g: Gram) -> Estimate:
    return g.square({"score": 1.0, "target": -1.0}) - posterior_trace(DIM, STD) * STD**-4


def _floor(share: float, target: float = 1.0) -> Check:
    """Loss a dimension of the best noise predictor, ``a^2 E tr Cov[x_0|x_t] / (d sd^2)``.

    Args:
        share: of the score in the predictor ``-sd (share score + (1 - share) target)``; below one it has seen eps.
        target: factor of the noise that is to be predicted.
    """

    def check(ctx: Context) -> Evidence:
        scale, std = PRESERVING
        g = noised(DIM, std, scale)
        mix = {"score": share, "target": (1 - share) - target}
        found = g.square(mix) * (std**2 / DIM)
        expected = posterior_trace(DIM, std, scale).value * scale**2 / (DIM * std**2)
        return _shown(
            found,
            _near(expected),
            f"The best predictor of the noise keeps a loss of {found.value:.3f} a dimension, where predicting zero "
            f"has one (sd = {std:.2g}, d = {DIM}): who trains on towards the noise of every draw memorises the "
            "sample.",
        )

    return check


def _drawn_score(mix: dict[str, float]) -> Check:
    """Mean square error of ``-eps / sigma`` as the score, relative: ``d / (sigma^2 E|s|^2) - 1``."""

    def check(ctx: Context) -> Evidence:
        scale, std = PLAIN
        g = noised(DIM, std, scale)
        found = ratio(g.square(mix), information(DIM, std))
        expected = DIM / std**2 / information(DIM, std).value - 1
        return _shown(
            found,
            _near(expected),
            f"-eps/sigma of one draw, taken for the score, is off by {math.sqrt(found.value):.0%} of the score's "
            f"root mean square (sigma = {std:g}, d = {DIM}); {math.ceil(found.value / SHORT**2)} independent draws "
            f"given the same noisy point have to be averaged to bring that to {SHORT:.0%}.",
        )

    return check


def _weighted(power: float) -> Check:
    """Loss of ``s = 0`` at the lowest level over that at the highest, with weights ``sigma^power``."""

    def check(ctx: Context) -> Evidence:
        low, high = RANGE[0], RANGE[-1]
        found = ratio(
            noised(1, low).square({"target": 1.0}) * low**power,
            noised(1, high).square({"target": 1.0}) * high**power,
        )
        return _shown(
            found,
            _near(high / low),
            f"Weights proportional to sigma, the inverse of the printed size, leave the level {low:g} with "
            f"{found.value:.0f} times the loss of the level {high:g} for s = 0, instead of the same.",
        )

    return check


def _optimum(dim: int, std: float) -> float:
    """``sigma^2 L`` at the optimum."""
    return posterior_trace(dim, std).value / std**2


def _taken_as_trained(loss: Callable[[int, float], float]) -> Check:
    """Error of the score at the highest level when its weighted loss is as large as that of the lowest at its optimum.

    ``(sigma^2 L - sigma^2 L*) / (sigma^2 E|s*|^2)``: about one, the error of ``s = 0``.
    """

    def check(ctx: Context) -> Evidence:
        low, high = RANGE[0], RANGE[-1]
        size = information(DIM, high)
        excess = loss(DIM, low) - _optimum(DIM, high)
        found = size.half_width / size.value
        value = excess / (high**2 * size.value)
        return number(
            value,
            error=4 * found * value + 1e-9,
            allowed=(0.99, 1.01),
            kind="quadrature",
            n=size.n,
            message="A model whose weighted loss is the same at all levels, that of the optimum at sigma = "
            f"{low:g}, is off at sigma = {high:g} by {value:.1%} of the score's mean square: it has learned "
            "nothing there.",
        )

    return check


def _closed(dim: int, std: float) -> float:
    """The optimum of the highest level in the place of that of the lowest."""
    return _optimum(dim, RANGE[-1])


def _halving(law: EigenLaw, step: Callable[[float], float], std: float) -> float:
    """Steps of Langevin dynamics on ``law`` noised by ``std`` that halve the largest distance from the mean."""
    gain = ula_affine(law.diffuse(1.0, std**2), step=step(std)).gain
    return math.log(0.5) / math.log1p(float(np.max(gain)) - 1)


def _steps(law: Gaussian, step: Callable[[float], float]) -> Check:
    """Steps that halve the distance at the lowest level over those at the highest.

    With steps ``c sigma^2`` they are as ``-log(1 - c sigma^2 / (v + sigma^2))``: ``(1 + v / sigma^2)`` times more for
    small sigma, v the largest variance.
    """

    def check(ctx: Context) -> Evidence:
        low, high = RANGE[0], RANGE[-1]
        inner = EigenLaw.of(law)
        few, many = (_halving(inner, step, s) for s in (high, low))
        v = float(np.linalg.eigvalsh(tilted_gaussian().covariance)[-1])
        expected = (1 + v / low**2) * -math.log1p(-SHORT) / SHORT
        return number(
            many / few,
            error=64 * EPS * many**2,  # one less a gain of nearly one
            allowed=_near(expected, 0.01),
            n=2,
            message=f"Steps proportional to sigma^2, made for a score of size 1/sigma, take {many:,.0f} iterations "
            f"to halve the distance from the mean at sigma = {low:g} and {few:.0f} at {high:g}, on a Gaussian.",
        )

    return check


def _scaled(std: float) -> float:
    return SHORT * std**2


def _for_the_size(std: float) -> float:
    v = float(np.linalg.eigvalsh(tilted_gaussian().covariance)[-1])
    return SHORT * (v + std**2)


def _value_at_score(g: Gram) -> Estimate:
    return g.square({"score": 1.0, "target": -1.0})


def _target_with_a_plus(g: Gram) -> Estimate:
    return g.square({"score": 1.0, "target": 1.0})


ADDED: dict[str, Addition] = {
    "O7": consequence(
        _shares(-2.0),
        wrong=[("without-the-prefactor", _shares(0.0)), ("sigma-to-the-first", _shares(-1.0))],
    ),
    "O9": consequence(
        _read(_value_at_score),
        wrong=[
            ("constant-taken-off", _read(_without_constant)),
            ("target-with-a-plus", _read(_target_with_a_plus)),
        ],
    ),
    "O12": consequence(
        _floor(1.0),
        wrong=[("score-of-the-draw", _floor(0.0)), ("target-with-a-plus", _floor(1.0, -1.0))],
    ),
    "O16": consequence(
        _weighted(1.0), wrong=[("weight-sigma-squared", _weighted(2.0)), ("none", _weighted(0.0))]
    ),
    "O17": consequence(
        _taken_as_trained(_optimum),
        wrong=[
            ("optimum-of-its-own-level", _taken_as_trained(_closed)),
            ("twice-the-loss", _taken_as_trained(lambda dim, std: 2 * _optimum(dim, std))),
        ],
    ),
    "O23": consequence(
        _drawn_score({"score": 1.0, "target": -1.0}),
        wrong=[
            ("conditional-mean", _drawn_score({"score": 0.0})),
            ("sign", _drawn_score({"score": 1.0, "target": 1.0})),
        ],
    ),
    "O24": consequence(
        _steps(tilted_gaussian(), _scaled),
        wrong=[
            ("steps-for-the-size", _steps(tilted_gaussian(), _for_the_size)),
            ("nearly-a-point", _steps(Gaussian([1.5, -0.7, 0.4], 1e-8 * np.eye(3)), _scaled)),
        ],
    ),
}
