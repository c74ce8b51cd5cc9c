"""Ledger, conditional means of the score and of the noise: O11 and O13."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ...numerics.objectives_denoising import DSM
from ...theory.protocols import Vector
from ...theory.sde import VP
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .averages import KURTOSIS, TOLERANCE, drawn_mean, largest
from .derivatives import gradient
from .fields import bent, linear
from .grams import LAWS
from .laws import points_of, skewed_8d
from .tools import EPS, agreement, named

#: scale and standard deviation of a variance-preserving kernel, and of plain noise
KERNEL = VP().kernel(0.25)
PRESERVING = float(KERNEL.scale), float(KERNEL.std)
PLAIN = 1.0, 0.6

POINTS = "at 48 points spread over the noised law out to two and a half of its standard deviations, d = 1 and 2"


def posterior_mean(dim: int, x: Vector, scale: float, std: float) -> tuple[Vector, Vector]:
    """``E[x_0 | scale x_0 + std eps = x]`` by the trapezoidal rule over ``x_0``, and a bound on its error.

    Straight from Bayes' rule with the densities of ``x_0`` and of the noise; d <= 2.
    """
    base = LAWS[dim]()
    spread = 11 * np.sqrt(np.array([c.diagonal() for c in base.covariances]))
    low, high = (base.means - spread).min(axis=0), (base.means + spread).max(axis=0)
    found = []
    for count in {1: (1201, 1601), 2: (161, 211)}[dim]:
        axes = [np.linspace(a, b, count) for a, b in zip(low, high, strict=True)]
        y = np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=1)
        prior = base.log_prob(y)
        y, prior = y[prior > -60], prior[prior > -60]
        square = ((x[:, None, :] - scale * y[None]) ** 2).sum(-1)
        logs = prior - 0.5 * square / std**2
        weights = np.exp(logs - logs.max(axis=1, keepdims=True))
        found.append(weights @ y / weights.sum(axis=1, keepdims=True))
    coarse, fine = found
    return fine, np.abs(fine - coarse) + 64 * EPS * (1 + np.abs(fine))


@cache
def _at_points(dim: int, kernel: tuple[float, float]) -> tuple[Vector, Vector, float, Vector]:
    """Points of the noised law, ``E[x_0 | x_t]`` and its error there, and the derivative of ``log q``."""
    scale, std = kernel
    law = LAWS[dim]().diffuse(scale, std**2)
    x = points_of(law, 48, reach=2.5)
    centre, error = posterior_mean(dim, x, scale, std)
    return x, centre, float(error.max()), gradient(law.log_prob, x)


def _conditional(
    quantity: Callable[[Vector, Vector, float, float], Vector],
    claimed: Callable[[Vector, Vector, float, float], Vector],
    kernel: tuple[float, float],
    what: str,
) -> Check:
    """A conditional mean, linear in ``E[x_0 | x_t]``, against a function of the score of the noised law.

    Args:
        quantity: ``(x_t, E[x_0 | x_t], scale, std)``, the conditional mean.
        claimed: ``(x_t, grad log q(x_t), scale, std)``.
        kernel: scale and standard deviation.
        what: words for the message.
    """

    def check(ctx: Context) -> Evidence:
        scale, std = kernel
        left, right, bounds = [], [], []
        for dim in LAWS:
            x, centre, error, score = _at_points(dim, kernel)
            left.append(quantity(x, centre, scale, std).ravel())
            right.append(claimed(x, score, scale, std).ravel())
            bounds.append(error * max(1.0, scale, scale / std**2))
        return agreement(
            np.concatenate(left),
            np.concatenate(right),
            bound=max(bounds) + 1e4 * EPS,
            tolerance=TOLERANCE,
            kind="quadrature",
            message=f"{what}, {POINTS}",
        )

    return check


def _orthogonal(claimed: Callable[[Vector, float], Vector], kernel: tuple[float, float]) -> Check:
    """``E h(x_t) . (eps - claimed(score))`` along two fields on draws in eight dimensions, over sqrt(d E|h|^2).

    It vanishes for every h exactly if ``claimed`` is the conditional mean of the noise.
    """

    def check(ctx: Context) -> Evidence:
        scale, std = kernel
        base = skewed_8d()
        objective = DSM(base, scale, std**2)
        law = objective.marginal
        rests, units = [], []
        for h in (linear(8), bent(8)):
            size = float(
                np.sqrt(8 * np.mean(np.sum(h(points_of(objective.marginal, 512)) ** 2, 1)))
            )

            def values(x0: Vector, eps: Vector, h: Any = h) -> Vector:
                x = scale * x0 + std * eps
                return (h(x) * (eps - claimed(law.score(x), std))).sum(1)

            rests.append(drawn_mean(values, objective, ctx, pieces=2))
            units.append(size)
        message = "noise minus its claimed conditional mean, along two fields, d = 8"
        return largest(rests, units, 0.05, ctx, message)

    return check


def _score_of_mean(x: Vector, centre: Vector, scale: float, std: float) -> Vector:
    """``E[grad log q(x_t|x_0) | x_t]``."""
    return (scale * centre - x) / std**2


def _noise_of_mean(x: Vector, centre: Vector, scale: float, std: float) -> Vector:
    """``E[eps | x_t]``."""
    return (x - scale * centre) / std


def _mean(x: Vector, centre: Vector, scale: float, std: float) -> Vector:
    return centre


def _score(x: Vector, score: Vector, scale: float, std: float) -> Vector:
    return score


def _tweedie(power: float, sign: float = 1.0) -> Callable[..., Vector]:
    return lambda x, score, scale, std: (x + sign * std**power * score) / scale


def _scaled(power: float, sign: float = -1.0) -> Callable[..., Vector]:
    return lambda x, score, scale, std: sign * std**power * score


def _scaled_noise(power: float, sign: float = -1.0) -> Callable[[Vector, float], Vector]:
    return lambda score, std: sign * std**power * score


def _twice(score: Vector, std: float) -> Vector:
    return -2 * std * score


def mean_checks(kernel: tuple[float, float]) -> tuple[dict[str, Check], dict[str, list[Check]]]:
    """That the score of the noised law is the conditional mean of that of one draw."""
    what = "E[grad log q(x_t|x_0) | x_t] by quadrature against the derivative of log q(x_t)"

    def one(claimed: Callable[..., Vector]) -> Check:
        return _conditional(_score_of_mean, claimed, kernel, what)

    checks = {
        "conditional-mean": one(_score),
        "draws": _orthogonal(_scaled_noise(1.0), kernel),
    }
    mutants = {
        "conditional-mean": [
            named(one(_scaled(0.0)), "sign"),
            named(one(_scaled(1.0, 1.0)), "score-times-sd"),
        ],
        "draws": [
            named(_orthogonal(_twice, kernel), "doubled"),
            named(_orthogonal(_scaled_noise(1.0, 1.0), kernel), "sign"),
        ],
    }
    return checks, mutants


def _eleventh() -> Claim:
    checks, mutants = mean_checks(PLAIN)
    what = "E[x | x~] by quadrature against x~ + sigma^2 grad log q(x~)"

    def denoiser(power: float, sign: float = 1.0) -> Check:
        return _conditional(_mean, _tweedie(power, sign), PLAIN, what)

    return Claim(
        "O11",
        r"$\nabla\log q_\sigma(\tilde x) = E[\nabla\log q(\tilde x \mid x) \mid \tilde x]$; the optimal denoiser is "
        r"$\tilde x + \sigma^2 \nabla\log q_\sigma(\tilde x)$",
        checks={**checks, "denoiser": denoiser(2.0)},
        mutants={
            **mutants,
            "denoiser": [
                named(denoiser(1.0), "sigma-for-its-square"),
                named(denoiser(2.0, -1.0), "sign"),
            ],
        },
        source=("000", "001", "003"),
        assumptions=(
            f"sigma = 0.6; {POINTS}; in eight dimensions along two fields",
            "'optimal': least mean square error, which the conditional mean has",
            KURTOSIS,
        ),
        role="printed",
        group="ledger",
    )


def _thirteenth() -> Claim:
    what = "E[eps | x_t] by quadrature against -sd grad log q(x_t)"

    def one(power: float, sign: float = -1.0) -> Check:
        return _conditional(_noise_of_mean, _scaled(power, sign), PRESERVING, what)

    return Claim(
        "O13",
        r"the optimal noise predictor is the score scaled by $-\sqrt{1 - \bar\alpha_t}$",
        checks={
            "conditional-mean": one(1.0),
            "draws": _orthogonal(_scaled_noise(1.0), PRESERVING),
        },
        mutants={
            "conditional-mean": [
                named(one(2.0), "variance-for-deviation"),
                named(one(1.0, 1.0), "sign"),
                named(one(0.0), "no-scale"),
            ],
            "draws": [
                named(_orthogonal(_scaled_noise(1.0, 1.0), PRESERVING), "sign"),
                named(_orthogonal(_twice, PRESERVING), "doubled"),
            ],
        },
        source=("002",),
        assumptions=(
            "'optimal': least E|eps_theta(x_t) - eps|^2, which the conditional mean of eps has",
            f"{POINTS}, sd = {PRESERVING[1]:.3f}; in eight dimensions along two fields",
            KURTOSIS,
        ),
        role="printed",
        group="ledger",
    )


CLAIMS: tuple[Claim, ...] = (_eleventh(), _thirteenth())
