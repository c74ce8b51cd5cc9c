"""Ledger, losses over several noise levels: O14 and O15."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...numerics.control_variates import Part, controlled_sum
from ...numerics.estimate import Estimate
from ...numerics.objectives_denoising import DSM
from ...numerics.objectives_multilevel import MultiLevelDSM
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .averages import KURTOSIS, TOLERANCE, affordable, hull, largest, number_of, shown
from .fields import bent, zero
from .grams import LAWS, MODELS, noised
from .laws import skewed_1d, skewed_8d
from .tools import named, number

LEVELS = (0.3, 0.7, 1.5)
WEIGHTINGS: Mapping[str, Callable[[float], float]] = {
    "sigma^2": lambda s: s**2,
    "one": lambda s: 1.0,
    "1/sigma": lambda s: 1 / s,
    "sigma^4": lambda s: s**4,
    "uneven": lambda s: 0.05 + 10 * abs(math.sin(7 * s)),
}


def _truths(
    base: Any, power: float = 1.0, factor: float = 1.0
) -> Callable[[Vector, float], Vector]:
    """``(x, sigma) -> factor * grad log q`` at the noise level ``power * sigma`` (zero: of the data law)."""
    laws = {s: base.diffuse(1.0, (power * s) ** 2) for s in LEVELS}
    return lambda x, sigma: factor * laws[sigma].score(x)


def _against_zero(power: float, factor: float, drawn: bool, at_clean: bool) -> Check:
    """``[L(s) - L(0)] / L(0)`` of the loss over three levels with weights ``sigma^2``: below zero for a minimiser."""

    def check(ctx: Context) -> Evidence:
        base = skewed_8d() if drawn else skewed_1d()
        loss = MultiLevelDSM(base, LEVELS, at_clean=at_clean)
        score = _truths(base, power, factor)
        size = float(base.dim)  # L(0) with these weights
        if not drawn:
            found = loss.quadrature(score) - loss.quadrature(lambda x, s: np.zeros_like(x))
        else:
            parts = []
            for level, sigma, weight in zip(loss.levels, LEVELS, loss.lambdas, strict=True):

                def values(
                    x0: Vector, eps: Vector, level: DSM = level, s: float = sigma
                ) -> Vector:
                    mine = level.terms(lambda x: score(x, s), x0, eps)
                    return mine - level.terms(zero(), x0, eps)

                families = affordable(level)
                parts.append(Part(values, level.sampling, families, float(weight) / 3))
            n = min(ctx.budget, max(15_000, ctx.budget // 6))
            found = controlled_sum(parts, n=n, rng=ctx.rng, level=ctx.level)
        message = f"loss of the scores minus that of s = 0, relative, d = {base.dim}"
        return shown(found * (1 / size), (-math.inf, 0.0), ctx, message)

    return check


def _zero_checks(at_clean: bool) -> tuple[dict[str, Check], dict[str, list[Check]]]:
    checks = {
        "quadrature": _against_zero(1.0, 1.0, False, at_clean),
        "draws": _against_zero(1.0, 1.0, True, at_clean),
    }
    mutants = {
        "quadrature": [
            named(_against_zero(1.0, -1.0, False, at_clean), "sign"),
            named(_against_zero(1.0, 3.0, False, at_clean), "three-times-the-score"),
        ],
        "draws": [named(_against_zero(1.0, 3.0, True, at_clean), "three-times-the-score")],
    }
    return checks, mutants


def _weighted_excess(truth: str, weightings: tuple[str, ...] = tuple(WEIGHTINGS)) -> Check:
    """``L(s) - L(truth) - mean_i lambda_i E|s - truth|^2`` for every weighting and model, d = 1 and 2."""

    def check(ctx: Context) -> Evidence:
        rests, units = [], []
        for dim in LAWS:
            for name in weightings:
                weights = [WEIGHTINGS[name](s) for s in LEVELS]
                for model in MODELS:
                    pieces = []
                    for std, weight in zip(LEVELS, weights, strict=True):
                        g = noised(dim, std)
                        gain = g.square({model: 1.0, "target": -1.0}) - g.square(
                            {truth: 1.0, "target": -1.0}
                        )
                        rest = gain - g.square({model: 1.0, truth: -1.0})
                        pieces.append(rest * (weight / 3))
                    rests.append(pieces[0] + pieces[1] + pieces[2])
                    units.append(sum(w * dim / s**2 for s, w in zip(LEVELS, weights, strict=True)))
        message = (
            f"L(s) - L(s*) - weighted E|s - s*|^2, {len(weightings)} weightings, three models"
        )
        return largest(rests, units, TOLERANCE, ctx, message)

    return check


def _least_gain(sign: float) -> Check:
    """Smallest relative excess ``L(s) / L(s*) - 1`` over weightings and models, with weights ``sign lambda``."""

    def check(ctx: Context) -> Evidence:
        found: list[Estimate] = []
        for dim in LAWS:
            for weighting in WEIGHTINGS.values():
                best = sum(
                    weighting(s) * noised(dim, s).square({"score": 1.0, "target": -1.0}).value
                    for s in LEVELS
                )
                for model in MODELS:
                    gains = [
                        (
                            noised(dim, s).square({model: 1.0, "target": -1.0})
                            - noised(dim, s).square({"score": 1.0, "target": -1.0})
                        )
                        * (sign * weighting(s) / best)
                        for s in LEVELS
                    ]
                    found.append(gains[0] + gains[1] + gains[2])
        message = "smallest relative excess over weightings and models"
        return shown(hull(found, min), (0.0, math.inf), ctx, message)

    return check


def _drawn_weighted(power: float, weighting: str) -> Check:
    """The excess on draws in eight dimensions for one weighting and one model."""

    def check(ctx: Context) -> Evidence:
        base = skewed_8d()
        weights = [WEIGHTINGS[weighting](s) for s in LEVELS]
        loss = MultiLevelDSM(base, LEVELS, weights)
        truth, parts, unit = _truths(base, power), [], 0.0
        for level, sigma, weight in zip(loss.levels, LEVELS, weights, strict=True):

            def values(x0: Vector, eps: Vector, level: DSM = level, s: float = sigma) -> Vector:
                x = x0 + s * eps
                best = truth(x, s)
                gain = level.terms(bent(8), x0, eps) - level.terms(lambda _: best, x0, eps)
                return gain - ((bent(8)(x) - best) ** 2).sum(1)

            families = affordable(level)
            parts.append(Part(values, level.sampling, families, weight / 3))
            unit += weight * base.dim / sigma**2 / 3
        n = min(ctx.budget, max(15_000, ctx.budget // 6))
        found = controlled_sum(parts, n=n, rng=ctx.rng, level=ctx.level)
        message = f"L(s) - L(s*) - weighted E|s - s*|^2, weighting {weighting}, d = 8"
        return largest([found], unit, 0.1, ctx, message)

    return check


def _shared(model: str) -> Check:
    """Best factor of one model for all levels together: largest over smallest of the weightings, in the plane.

    ``sum_i lambda_i E|c f - target|^2`` is least at ``c = sum lambda_i E f . target / sum lambda_i E|f|^2``.
    """

    def check(ctx: Context) -> Evidence:
        found, rough, nodes = [], [], 0
        for weighting in WEIGHTINGS.values():
            pairs = []
            for s in LEVELS:
                g = noised(2, s)
                pairs.append(
                    (g.inner({model: 1.0}, {"target": 1.0}), g.square({model: 1.0}), weighting(s))
                )
                nodes += g.nodes
            top, bottom = (sum(p[2] * p[k].value for p in pairs) for k in (0, 1))
            wide = [sum(p[2] * p[k].half_width for p in pairs) for k in (0, 1)]
            found.append(top / bottom)
            rough.append(abs(wide[0] / top) + wide[1] / bottom)
        ratio = max(found) / min(found)
        factors = ", ".join(f"{c:.3f} ({k})" for c, k in zip(found, WEIGHTINGS, strict=True))
        piece = number(
            ratio,
            error=ratio * 2 * max(rough),
            allowed=(1.1, math.inf),
            kind="quadrature",
            n=nodes,
            message=f"one factor of a linear model shared by {len(LEVELS)} levels is best at {factors}",
        )
        return replace(piece, deciding=False)

    return check


def _fifteenth_checks() -> tuple[dict[str, Check], dict[str, list[Check]]]:
    checks = {
        "excess": _weighted_excess("score"),
        "least": _least_gain(1.0),
        "draws": _drawn_weighted(1.0, "uneven"),
    }
    mutants = {
        "excess": [
            named(_weighted_excess("data"), "score-of-the-data-law"),
            named(_weighted_excess("wide"), "score-of-another-level"),
        ],
        "least": [
            named(_least_gain(-1.0), "negative-weights"),
        ],
        "draws": [
            named(_drawn_weighted(0.0, "uneven"), "score-of-the-data-law"),
            named(_drawn_weighted(0.4, "uneven"), "score-of-another-level"),
        ],
    }
    return checks, mutants


def _fourteenth() -> Claim:
    checks, mutants = _zero_checks(at_clean=True)
    right, wrong = _zero_checks(at_clean=False)
    more, more_wrong = _fifteenth_checks()
    return Claim(
        "O14",
        r"$\frac1L\sum_i \lambda_i E|s(x, i) - (x - \tilde x_i)/\sigma_i^2|^2$, $s$ taken at the clean $x$, is "
        r"minimised by $s(\cdot, i) = \nabla\log q_{\sigma_i}$",
        checks=checks,
        mutants=mutants,
        source=("001",),
        assumptions=(
            "three levels, weights sigma^2; a minimiser is at least as good as s = 0",
            KURTOSIS,
        ),
        finding=lambda e: (
            "At the clean x the noise is independent of what the model sees, and s = 0 does better: the scores "
            "are worse by "
            f"{100 * number_of(e['quadrature']):.1f} % (d = 1) and "
            f"{100 * number_of(e['draws']):.1f} % (d = 8)."
        ),
        role="printed",
        group="ledger",
        correction=Claim(
            "O14",
            r"$\frac1L\sum_i \lambda_i E|s(\tilde x_i, i) - (x - \tilde x_i)/\sigma_i^2|^2$, $s$ taken at the noisy "
            r"$\tilde x_i$, is minimised by $s(\cdot, i) = \nabla\log q_{\sigma_i}$",
            checks={**right, "excess": more["excess"], "draws-excess": more["draws"]},
            mutants={
                **wrong,
                "excess": more_wrong["excess"],
                "draws-excess": more_wrong["draws"],
            },
            assumptions=(
                f"levels {LEVELS}",
                KURTOSIS,
            ),
            group="ledger",
        ),
    )


def _fifteenth() -> Claim:
    checks, mutants = _fifteenth_checks()
    return Claim(
        "O15",
        r"the multi-level loss with $s$ taken at $\tilde x_i$ is minimised by $\nabla\log q_{\sigma_i}$, for every "
        r"positive weighting $\lambda$",
        checks={**checks, "shared": _shared("linear")},
        mutants={
            **mutants,
            "shared": [named(_shared("score"), "a-model-that-holds-the-scores")],
        },
        source=("000", "004"),
        assumptions=(
            f"levels {LEVELS}; weightings sigma^2, 1, 1/sigma, sigma^4 and an uneven one",
            "a model may choose its value at each level freely",
            KURTOSIS,
        ),
        finding=lambda e: (
            r"$L(s) - L(s^*) = \frac1L\sum_i\lambda_i E|s_i - s^*_i|^2$ for every weighting "
            f"(gap {e['excess'].value:.0e}), so each level is minimised by itself and the weights do not matter; "
            f"{e['least'].message}. They do as soon as levels share parameters that cannot give every score: "
            f"{e['shared'].message}."
        ),
        role="printed",
        group="ledger",
    )


CLAIMS: tuple[Claim, ...] = (_fourteenth(), _fifteenth())
