"""Ledger, where score matching does not look: O21, mixtures whose weights it cannot see."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special

from ...numerics.estimate import Estimate, quadrature_estimate
from ...theory.mixtures import GaussianMixture
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report.pictures import listed
from .averages import shown
from .laws import skewed_1d
from .tools import agreement, named

VARIANCE = 0.6
TRUE, WRONG = 0.3, 0.8  #: weight of the left mode in the data and in the model
FAR = 12.0  #: distance of the modes in standard deviations
CENTRE = 0.7


def _two(weight: float, distance: float) -> GaussianMixture:
    half = 0.5 * distance * math.sqrt(VARIANCE)
    return GaussianMixture(
        [weight, 1 - weight], [[CENTRE - half], [CENTRE + half]], [VARIANCE] * 2
    )


def _divergence(distance: float, power: float = 1.0) -> tuple[Estimate, Estimate]:
    """``int p^power |grad log p - grad log q|^2`` and ``int p^power |grad log p|^2``: the trapezoidal rule."""
    p, q = _two(TRUE, distance), _two(WRONG, distance)
    sd = math.sqrt(VARIANCE)
    end = (0.5 * distance + 9) * sd
    found = []
    for h in (0.02, 0.03):
        x = CENTRE + np.arange(-end, end, h * sd)[:, None]
        mass = np.exp(power * p.log_prob(x)) * h * sd
        true, model = p.score(x), q.score(x)
        found.append((mass @ (true - model) ** 2, mass @ true**2))
    fine, coarse = (np.array(f).ravel() for f in found)
    # differences of scores where both are of the size of x / v round to this
    error = np.abs(fine - coarse) + 1e-12 * np.abs(fine) + 1e-28
    n = int(2 * end / (0.02 * sd))
    return (
        quadrature_estimate(float(fine[0]), float(error[0]), n=n),
        quadrature_estimate(float(fine[1]), float(error[1]), n=n),
    )


def _unseen(distance: float, power: float = 1.0) -> Check:
    """The loss of the score of the wrong weights, over that of s = 0."""

    def check(ctx: Context) -> Evidence:
        loss, whole = _divergence(distance, power)
        share = loss * (1 / whole.value)
        message = (
            f"modes {distance:g} standard deviations apart, weights {TRUE:g} and {1 - TRUE:g} taken for {WRONG:g} and "
            f"{1 - WRONG:.1g}: the loss, in units of that of s = 0"
        )
        return shown(share, (0.0, 1e-6), ctx, message)

    return check


def constant() -> float:
    """``int (r(y; w) - r(y; w'))^2 [w e^{-y/2} + (1 - w) e^{y/2}] dy``, r the posterior weight of the left mode."""
    y = np.arange(-90.0, 90.0, 0.02)
    posterior = [special.expit(math.log(w / (1 - w)) - y) for w in (TRUE, WRONG)]
    height = TRUE * np.exp(-y / 2) + (1 - TRUE) * np.exp(y / 2)
    return float(((posterior[0] - posterior[1]) ** 2 * height).sum() * 0.02)


def _law(formula: Callable[[float], float]) -> Check:
    """The loss against a formula of the distance in standard deviations, relative, at three distances."""

    def check(ctx: Context) -> Evidence:
        distances = (10.0, 12.0, 14.0)
        losses = [_divergence(d)[0] for d in distances]
        ratios = [f.value / formula(d) for f, d in zip(losses, distances, strict=True)]
        error = max(f.half_width / formula(d) for f, d in zip(losses, distances, strict=True))
        return agreement(
            np.array(ratios),
            np.ones(3),
            bound=error,
            # the next term is of relative size (pi / distance)^2 / 2
            tolerance=0.05,
            kind="quadrature",
            n=sum(f.n for f in losses),
            message="loss of the wrong weights over the formula at distances 10, 12, 14: "
            + ", ".join(f"{r:.4g}" for r in ratios),
        )

    return check


def formula(distance: float) -> float:
    """``c D exp(-D^2/8) / (sqrt(2 pi) v)``: the loss to leading order in 1/D."""
    size = constant() * distance / (math.sqrt(2 * math.pi) * VARIANCE)
    return size * math.exp(-(distance**2) / 8)


def _weighing(power: float) -> Check:
    """What a narrow error at x adds to the loss, over ``p(x)^power`` times its own square, for many x."""

    def check(ctx: Context) -> Evidence:
        law, width = skewed_1d(), 0.01
        places = np.array([-4.0, -2.5, -1.2, -0.3, 0.4, 1.4, 2.1, 4.0, 7.0])
        found = []
        for h in (0.5, 0.7):
            offsets = np.arange(-12.0, 12.0 + h, h)
            at = places[:, None] + width * offsets
            p = np.exp(law.log_prob(at[..., None]))
            bump = np.exp(-0.5 * offsets**2) ** 2
            found.append((p * bump).sum(1) / bump.sum())
        height = np.exp(law.log_prob(places[:, None]))
        gap = found[0] / height**power - 1
        lowest = float(height.min())
        return agreement(
            gap,
            np.zeros_like(gap),
            bound=float(np.abs(found[0] / found[1] - 1).max()),
            tolerance=0.01,  # the density changes by its curvature over the width of the error
            kind="quadrature",
            n=places.size * 49,
            message=f"what a narrow error adds over p^{power:g} times its square, at nine places with densities "
            f"down to {lowest:.2g}, relative: largest gap {np.abs(gap).max():.2g}",
        )

    return check


def _drawn(ctx: Context) -> Mapping[str, Any]:
    distances = np.linspace(2.0, 14.0, 25)
    loss = np.array([_divergence(float(d))[0].value for d in distances])
    whole = np.array([_divergence(float(d))[1].value for d in distances])
    law = np.array([formula(float(d)) for d in distances])
    return {
        "kind": "lines",
        "title": "Loss of the score with the wrong weights",
        "alt": "The loss falls like a Gaussian function of the distance while the weights stay as wrong",
        "xlabel": "distance of the modes, standard deviations",
        "yscale": "log",
        "series": [
            {
                "label": "loss over that of s = 0",
                "x": listed(distances),
                "y": listed(loss / whole),
            },
            {
                "label": "formula",
                "x": listed(distances),
                "y": listed(law / whole),
                "style": "dashed",
            },
        ],
        "levels": [{"y": WRONG - TRUE, "label": "error of the weights"}],
    }


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "O21",
        "score matching weighs errors by $p$, so it is blind where $p$ is small",
        checks={"weights": _weighing(1.0), "unseen": _unseen(FAR), "rate": _law(formula)},
        mutants={
            "weights": [
                named(_weighing(0.0), "every-place-alike"),
                named(_weighing(2.0), "density-squared"),
            ],
            "unseen": [
                named(_unseen(3.0), "modes-that-touch"),
                named(_unseen(FAR, 0.0), "without-the-density"),
            ],
            "rate": [
                named(_law(lambda d: formula(d) * math.exp(-(d**2) / 8)), "twice-the-exponent"),
                named(_law(lambda d: formula(d) / d), "factor-of-the-distance"),
            ],
        },
        source=("001",),
        assumptions=(
            "'blind': a model whose weights are off by one half has a loss below 1e-6 of that of s = 0",
            f"two modes of variance {VARIANCE:g} with weights {TRUE:g} and {1 - TRUE:g}; the exact explicit loss",
        ),
        finding=lambda e: (
            f"{e['unseen'].message.rstrip()}. At a distance of D standard deviations, variance v, it is c D "
            f"exp(-D^2/8) / (sqrt(2 pi) v) to leading order, c = {constant():.4g} for these weights "
            f"({e['rate'].message}), however wrong the weights."
        ),
        figure=_drawn,
        role="printed",
        group="ledger",
    ),
)
