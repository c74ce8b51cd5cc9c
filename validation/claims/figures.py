"""Numbers for the pictures of the ledger: a field, marginals over time, ladders of errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...numerics.gaussian_law import EigenLaw, ula_stationary
from ...theory.diffusions import VP
from ...theory.marginals import marginal
from ...theory.mixtures import Gaussian
from ...theory.protocols import Vector
from ..claim import Context
from ..report import listed
from .laws import skewed_1d, skewed_2d

TIMES = (1e-3, 0.05, 0.15, 0.3, 0.8)


def score_field(ctx: Context) -> Mapping[str, Any]:
    """The score of the tilted mixture in the plane over contours of its log-density."""
    law = skewed_2d()
    x, y = np.linspace(-3.2, 3.2, 17), np.linspace(-2.6, 3.6, 17)
    points = np.stack(np.meshgrid(x, y), axis=-1)
    score = law.score(points)
    return {
        "kind": "field",
        "title": "Score of a mixture in the plane",
        "alt": "Arrows of the score over contours of the log-density of three tilted components",
        "x": listed(x),
        "y": listed(y),
        "u": listed(score[..., 0]),
        "v": listed(score[..., 1]),
        "density": listed(law.log_prob(points)),
    }


def marginals_over_time(ctx: Context) -> Mapping[str, Any]:
    """Exact densities of a skewed mixture under VP at five times, and their scores."""
    x = np.linspace(-3.5, 4.0, 151)
    laws = [(t, marginal(skewed_1d(), VP(), t)) for t in TIMES]

    def series(values: Any) -> list[dict[str, Any]]:
        return [
            {"label": f"t = {t:g}", "x": listed(x), "y": listed(values(p, x[:, None]))}
            for t, p in laws
        ]

    return {
        "kind": "panels",
        "title": "From data to noise and back",
        "panels": [
            {
                "kind": "lines",
                "title": "Density $p_t$",
                "alt": "Densities of a skewed mixture at five times, ending near the standard normal",
                "xlabel": "x",
                "series": series(lambda p, y: np.exp(p.log_prob(y))),
            },
            {
                "kind": "lines",
                "title": "Score of $p_t$",
                "alt": "Scores of the same law at the same times, becoming the straight line -x",
                "xlabel": "x",
                "ylim": [-12, 12],
                "series": series(lambda p, y: p.score(y)[:, 0]),
            },
        ],
    }


def chain_bias(target: Gaussian, scale: float) -> Any:
    """Excess of the stationary variance against the step; ``scale`` is d over the step shown."""

    def figure(ctx: Context) -> Mapping[str, Any]:
        law = EigenLaw.of(target)
        steps: Vector = np.geomspace(1e-3, 1.9 * float(law.variance.min()), 40)
        excess = np.array([ula_stationary(law, step=d).variance / law.variance - 1 for d in steps])
        return {
            "kind": "lines",
            "title": "Stationary variance of the chain: relative excess",
            "alt": "Relative excess of the stationary variance against the step, growing without bound",
            "xlabel": "step",
            "xscale": "log",
            "yscale": "log",
            "slopes": [1],
            "series": [
                {"label": f"variance {v:.3g}", "x": listed(steps / scale), "y": listed(e)}
                for v, e in zip(law.variance, excess.T, strict=True)
            ],
        }

    return figure


def ladder(title: str, alt: str, errors: Mapping[str, tuple[Vector, Vector]], xlabel: str) -> Any:
    """Errors against the step or the number of steps, on two log axes."""

    def figure(ctx: Context) -> Mapping[str, Any]:
        return {
            "kind": "lines",
            "title": title,
            "alt": alt,
            "xlabel": xlabel,
            "xscale": "log",
            "yscale": "log",
            "series": [
                {"label": name, "x": listed(x), "y": listed(y), "style": "line+points"}
                for name, (x, y) in errors.items()
            ],
        }

    return figure
