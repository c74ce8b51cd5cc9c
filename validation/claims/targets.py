"""Ledger, what a network predicts: O19, losses on noise, clean data and score under weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...theory.linear import Interpolant, LinearSDE
from ...theory.prediction import convert, loss_weight
from ...theory.protocols import Vector
from ...theory.sde import EDM, OU, VE, VP, StraightPath, SubVP
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report.pictures import listed
from .averages import number_of
from .tools import EPS, agreement, named

SDES: tuple[LinearSDE, ...] = (
    VP(),
    SubVP(),
    VE(),
    OU(theta=1.5, sigma=1.2),
    EDM(),
    StraightPath(),
)
TIMES = (0.05, 0.3, 0.7, 0.95)  #: shares of the length of a diffusion
PRINTED = ("noise", "x0", "score")
OTHERS = ("v", "velocity")
FITTED = (0.1, 0.25, 0.4, 0.6)  #: times of VP that share the parameters of a model
Weight = Callable[[Interpolant, str, str], Any]


def _by_hand(k: Interpolant, source: str, target: str) -> Any:
    """Weights from the size of an error in the clean data that belongs to each: ``x0 = (x - sigma eps) / alpha``."""
    a, s, da, ds = k.scale, k.std, k.scale_rate, k.std_rate
    clean = {
        "x0": 1.0,
        "noise": s / a,
        "score": s**2 / a,
        "v": s / (a**2 + s**2),
        "velocity": s / (a * ds - s * da),
    }
    return (clean[source] / clean[target]) ** 2


def _inverse(k: Interpolant, source: str, target: str) -> Any:
    return 1 / _by_hand(k, source, target)


def _root(k: Interpolant, source: str, target: str) -> Any:
    return _by_hand(k, source, target) ** 0.5


def _without_scale(k: Interpolant, source: str, target: str) -> Any:
    return _by_hand(k, source, target) * k.scale**2


def _one(k: Interpolant, source: str, target: str) -> Any:
    return 1.0


def _pointwise(weight: Weight, names: tuple[str, ...]) -> Check:
    """``|error of target|^2 / (w |error of source|^2) - 1`` for arbitrary predictions, every pair of targets."""

    def check(ctx: Context) -> Evidence:
        rng = np.random.default_rng(9)
        x0, eps, wild = rng.standard_normal((3, 40, 3))
        gaps, rounding, count = [], 0.0, 0
        for sde, share in itertools.product(SDES, TIMES):
            k = sde.interpolant(share * sde.t_max)
            a, s = float(k.scale), float(k.std)
            truth = {
                "x0": x0,
                "noise": eps,
                "score": -eps / s,
                "v": a * eps - s * x0,
                "velocity": float(k.scale_rate) * x0 + float(k.std_rate) * eps,
            }
            x = a * x0 + s * eps
            for source, target in itertools.permutations(names, 2):
                # a prediction that is off by about its own size
                made = truth[source] + np.linalg.norm(truth[source]) * wild
                found = convert(made, x, k, source=source, target=target)
                size = ((found - truth[target]) ** 2).sum(1)
                whole = float(weight(k, source, target)) * ((made - truth[source]) ** 2).sum(1)
                gaps.append(float(np.abs(size / whole - 1).max()))
                # converting cancels the part of x; what is left is this much smaller
                lost = np.abs(found).max() / np.sqrt(size.min()) + np.abs(x).max() / s
                rounding = max(rounding, 64 * EPS * float(lost))
                count += size.size
        return agreement(
            np.array(gaps),
            np.zeros(len(gaps)),
            bound=rounding,
            tolerance=1e-6,
            n=count,
            message=f"|error of target|^2 over w |error of source|^2 for {', '.join(names)}, six "
            f"diffusions at four times, arbitrary predictions: off by at most {max(gaps):.2g}",
        )

    return check


def _library(weight: Weight) -> Check:
    """The weights of the library against those by hand."""

    def check(ctx: Context) -> Evidence:
        gaps = [
            float(loss_weight(k, source=a, target=b)) / float(weight(k, a, b)) - 1
            for sde, share in itertools.product(SDES, TIMES)
            for k in (sde.interpolant(share * sde.t_max),)
            for a, b in itertools.permutations((*PRINTED, *OTHERS), 2)
        ]
        return agreement(
            np.array(gaps),
            np.zeros(len(gaps)),
            # alpha s' - s alpha' loses a digit or two where the two terms are close
            bound=1e4 * EPS,
            tolerance=1e-9,
            message=f"loss_weight against the ratio of errors of the clean data: off by at most "
            f"{max(map(abs, gaps)):.2g}",
        )

    return check


def _fits(target: str, weight: Weight) -> Vector:
    """Least squares: the noise model ``a + b x``, shared by four times, fitted to the loss on ``target``.

    The expectation over ``x0 ~ N(0.4, 0.5^2)`` and eps is a Gauss-Hermite sum, exact for squares of forms.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    z0, eps = (v.ravel() for v in np.meshgrid(nodes, nodes))
    mass = np.outer(weights, weights).ravel()
    rows, goals = [], []
    for t in FITTED:
        k = VP().interpolant(t)
        a, s = float(k.scale), float(k.std)
        x0 = 0.4 + 0.5 * z0
        x = a * x0 + s * eps
        # the model's prediction of the target is linear in (a, b): an offset and two slopes
        to = {"noise": 1.0, "score": -1 / s, "x0": -s / a}[target]
        offset = x / a if target == "x0" else np.zeros_like(x)
        truth = {"noise": eps, "score": -eps / s, "x0": x0}[target]
        unit = np.sqrt(mass * float(weight(k, target, "noise")))
        rows.append(unit[:, None] * to * np.stack([np.ones_like(x), x], 1))
        goals.append(unit * (truth - offset))
    return np.linalg.lstsq(np.concatenate(rows), np.concatenate(goals), rcond=None)[0]


def _minimiser(weight: Weight) -> Check:
    """The best shared model of the noise, by the loss on each target with the weights of the noise loss."""

    def check(ctx: Context) -> Evidence:
        plain = _fits("noise", _one)
        found = [_fits(name, weight) for name in ("x0", "score")]
        gap = np.array(found) - plain
        text = ", ".join(f"({a:.4f}, {b:.4f})" for a, b in (plain, *found))
        return agreement(
            gap,
            np.zeros_like(gap),
            bound=1e4 * EPS,  # condition of the least squares, some hundreds
            tolerance=1e-9,
            n=9 * len(FITTED),
            message=f"best noise model a + b x shared by four noise levels, by the loss on noise, clean data and "
            f"score: {text}",
        )

    return check


def _weights_drawn(ctx: Context) -> Mapping[str, Any]:
    times = np.linspace(0.02, 1.0, 60)
    kernels = [VP().interpolant(float(t)) for t in times]
    return {
        "kind": "lines",
        "title": "Weights that turn the loss on the noise into another, VP",
        "alt": "The weights of score and clean data cross where signal and noise are equal",
        "xlabel": "t",
        "yscale": "log",
        "series": [
            {
                "label": name,
                "x": listed(times),
                "y": [listed(float(loss_weight(k, source="noise", target=name))) for k in kernels],
            }
            for name in ("score", "x0", "v")
        ],
    }


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "O19",
        "noise, clean-data and score prediction are the same problem under suitable loss weights",
        checks={
            "errors": _pointwise(_by_hand, PRINTED),
            "all": _pointwise(_by_hand, (*PRINTED, *OTHERS)),
            "library": _library(_by_hand),
            "minimiser": _minimiser(_by_hand),
        },
        mutants={
            "errors": [
                named(_pointwise(_inverse, PRINTED), "weights-inverted"),
                named(_pointwise(_without_scale, PRINTED), "scale-left-out"),
            ],
            "all": [named(_pointwise(_root, (*PRINTED, *OTHERS)), "root-of-the-weights")],
            "library": [named(_library(_root), "root-of-the-weights")],
            "minimiser": [
                named(_minimiser(_one), "no-weights"),
                named(_minimiser(_inverse), "weights-inverted"),
            ],
        },
        source=("004",),
        assumptions=(
            "'the same problem': equal losses for every prediction and every draw, so equal minimisers and "
            "gradients",
            "VP, sub-VP, VE, OU, EDM and the straight path between 5 % and 95 % of their length: at the ends, where "
            "the noise or the signal vanishes, the weights are zero or infinite",
        ),
        finding=lambda e: (
            "An error of the noise by e is one of the score by e/sigma and one of the clean data by "
            "e sigma/alpha, so the loss on the score is 1/sigma^2, that on the clean data sigma^2/alpha^2 times "
            f"that on the noise, for every draw (gap {number_of(e['errors']):.1g}); v and the velocity of the flow "
            "are two more of them. Without the weights the problems differ once a model is restricted."
        ),
        figure=_weights_drawn,
        role="printed",
        group="ledger",
    ),
)
