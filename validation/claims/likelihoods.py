"""Ledger, likelihood: D14, the density from the scores alone.

Along the probability flow ``d log p_t(x_t)/dt = -div v_t(x_t)`` with ``v = f x - g^2/2 s``: the scores carry the
log-density from one time to another, and what they start from is the law at the last time. That law needs no
knowledge of the data either: it tends to the prior as the noise grows; and in principle one score is enough, since
it is the density up to a constant and the constant is fixed by the integral.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from scipy import integrate, special

from ...numerics.likelihood import Likelihood, flow_log_likelihood
from ...theory.marginals import marginal
from ...theory.mixtures import GaussianMixture
from ...theory.protocols import Vector
from ...theory.sde import VE, VP, LinearSDE
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report import listed
from .laws import points_of, skewed_1d, skewed_2d, skewed_8d
from .tools import EPS, agreement, named, number

POINTS = 16
#: enough noise that the law at the last time is N(0, I) to a few 1e-5 in the mean, whatever the data
LONG = VP(0.1, 40.0)
TOLERANCE = 2e-3  #: nats; the slightest defect of the mutants is ten times that

LAWS: Mapping[int, Callable[[], GaussianMixture]] = {2: skewed_2d, 8: skewed_8d}


class _Scaled:
    """The marginals of a law with the score, and its divergence, multiplied by a factor."""

    def __init__(self, law: GaussianMixture, sde: LinearSDE, factor: float) -> None:
        self._law, self._sde, self._factor = law, sde, factor

    def marginal(self, t: float) -> Any:
        p_t = marginal(self._law, self._sde, t)
        factor = self._factor

        class Field:
            def score(self, x: Vector) -> Vector:
                return factor * p_t.score(x)

            def divergence(self, x: Vector) -> Vector:
                return factor * p_t.divergence(x)

        return Field()


@cache
def _carried(dim: int, sde: LinearSDE, factor: float = 1.0) -> tuple[Vector, Likelihood]:
    """Fixed points, and the likelihood along the flow of the scaled scores from the usual prior."""
    law = LAWS[dim]()
    x = points_of(law, POINTS, reach=2.0)
    field = law if factor == 1.0 else _Scaled(law, sde, factor)
    rtol = 1e-4 if factor != 1.0 else (1e-7 if dim == 8 else 1e-6)
    return x, flow_log_likelihood(field, sde, x, rtol=rtol, atol=rtol / 100)


def _flow(volume: float = 1.0, factor: float = 1.0) -> Check:
    """``log N(x_T; 0, I) + volume * (change of log-volume)`` along the flow, against ``log p_0``; d = 8."""

    def check(ctx: Context) -> Evidence:
        x, found = _carried(8, LONG, factor)
        off = found.value + (volume - 1) * found.change - skewed_8d().log_prob(x)
        return agreement(
            off,
            np.zeros(POINTS),
            bound=float(found.error.max()),
            tolerance=TOLERANCE,
            kind="quadrature",
            n=found.evaluations,
            message="log p_0 in 8 dimensions, from the scores and N(0, I) at the end of VP up to beta = 40, is off "
            f"by {float(np.abs(off).max()):.1e} nats at most",
        )

    return check


COMMON = {"VP up to beta = 20": VP(), "VE up to sigma = 50": VE()}


def _last_law(usual: bool, volume: float = 1.0) -> Check:
    """The same under the common settings, in the plane, from the exact last law or the usual prior."""

    def check(ctx: Context) -> Evidence:
        law, rests, bounds, said, calls = skewed_2d(), [], [], [], 0
        for name, sde in COMMON.items():
            x, found = _carried(2, sde)
            truth = law.log_prob(x)
            last = marginal(law, sde, sde.t_max).log_prob(found.end)
            exact = last + volume * found.change
            off = found.value - truth
            rests.append(off if usual else exact - truth)
            bounds.append(float(found.error.max()))
            said.append(f"{float(np.abs(off).max()):.2g} nats under {name}")
            calls += found.evaluations
        return agreement(
            np.concatenate(rests),
            np.zeros(2 * POINTS),
            bound=max(bounds),
            tolerance=TOLERANCE,
            kind="quadrature",
            n=calls,
            message="with the exact law at t = 1 the scores give log p_0 in the plane; the usual prior in its "
            f"place is off by up to {' and '.join(said)}",
        )

    return check


def _one_level(factor: float = 1.0, normalised: bool = True) -> Check:
    """``int s - log int exp(int s)`` on the line, from the score of the data alone, against ``log p_0``."""

    def check(ctx: Context) -> Evidence:
        law = skewed_1d()
        rows = []
        for cells in (2000, 4000):
            x = np.linspace(-5.0, 8.0, cells + 1)
            height = integrate.cumulative_simpson(
                factor * law.score(x[:, None])[:, 0], x=x, initial=0.0
            )
            height -= height.max()
            # trapezoidal rule of a smooth function that vanishes at both ends
            total = np.log(np.exp(height).sum() * (x[1] - x[0])) if normalised else 0.0
            rows.append((height - total)[:: cells // 500])
        keep = slice(100, 350)
        error = float(np.abs(rows[1] - rows[0])[keep].max())
        points = np.linspace(-5.0, 8.0, 501)[keep, None]
        return agreement(
            rows[1][keep],
            law.log_prob(points),
            bound=error + 64 * EPS * 100,
            tolerance=1e-6,
            kind="quadrature",
            n=6000,
            message="log p_0 on the line from its score at t = 0 alone, integrated and normalised",
        )

    return check


PIECES, SHARE = (
    ((-2.0, -1.0), (0.5, 2.0)),
    0.3,
)  #: data uniform on two intervals, and the share of the first


def _two_pieces(at_zero: bool = False, share: float = SHARE) -> Check:
    """Share of the first interval, from the score of the noised law alone: integrated, normalised, its mean taken.

    Args:
        at_zero: use the score of the data on the intervals, which is zero, in place of that of the noised law.
        share: of the law that the score is taken of.
    """

    def check(ctx: Context) -> Evidence:
        std = 0.3
        centres = [0.5 * (a + b) for a, b in PIECES]

        def score(x: Vector) -> Vector:
            q, slope = np.zeros_like(x), np.zeros_like(x)
            for (a, b), w in zip(PIECES, (share, 1 - share), strict=True):
                q += w * (special.ndtr((b - x) / std) - special.ndtr((a - x) / std)) / (b - a)
                edges = [np.exp(-0.5 * ((x - c) / std) ** 2) for c in (a, b)]
                slope += w * (edges[0] - edges[1]) / ((b - a) * std * np.sqrt(2 * np.pi))
            return slope / q

        found = []
        for cells in (1000, 2000):
            x = np.linspace(-4.0, 4.0, cells + 1)
            if at_zero:
                mass = np.array([float(a <= v <= b) for v in x for a, b in PIECES])
                mass = mass.reshape(len(x), 2).sum(1)
            else:
                height = integrate.cumulative_simpson(score(x), x=x, initial=0.0)
                mass = np.exp(height - height.max())
            mean = float(x @ mass / mass.sum())
            found.append((centres[1] - mean) / (centres[1] - centres[0]))
        piece = number(
            found[1],
            error=abs(found[1] - found[0]) + 1e-8,
            allowed=(SHARE - 1e-5, SHARE + 1e-5),
            kind="quadrature",
            n=3000,
            message=f"for data on two intervals the score at noise {std:g} returns the share {found[1]:.6f} of the "
            f"first, which is {SHARE:g}",
        )
        return replace(piece, deciding=False)

    return check


def _along(ctx: Context) -> Mapping[str, Any]:
    """Log-density on a line through the plane, exact and by the flow under two schedules."""
    law = skewed_2d()
    at = np.linspace(-3.5, 3.5, 41)
    x = law.mean + at[:, None] * np.array([0.8, -0.6])
    right = flow_log_likelihood(law, LONG, x, rtol=1e-4, atol=1e-6)
    wrong = right.value - right.change
    return {
        "kind": "lines",
        "title": "Log-density from the scores",
        "alt": "Exact log-density of a mixture along a line, the values from the flow on it, and the prior at "
        "the end points alone far below",
        "xlabel": "distance along a line through the mean",
        "series": [
            {"label": "exact", "x": listed(at), "y": listed(law.log_prob(x))},
            {
                "label": "from the scores along the flow",
                "x": listed(at),
                "y": listed(right.value),
                "style": "points",
            },
            {
                "label": "without the change of volume",
                "x": listed(at),
                "y": listed(wrong),
                "style": "dashed",
            },
        ],
    }


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "D14",
        "the score at all $t$ is enough for the likelihood",
        checks={
            "flow": _flow(),
            "last-law": _last_law(False),
            "one-level": _one_level(),
            "pieces": _two_pieces(),
        },
        mutants={
            "flow": [
                named(_flow(volume=0.0), "volume-left-out"),
                named(_flow(volume=-1.0), "sign-of-the-volume"),
                named(_flow(factor=2.0), "score-not-halved"),
            ],
            "last-law": [
                named(_last_law(True), "usual-prior"),
                named(_last_law(False, volume=0.9), "volume-times-0.9"),
            ],
            "pieces": [
                named(_two_pieces(at_zero=True), "score-of-the-data"),
                named(_two_pieces(share=0.31), "another-share"),
            ],
            "one-level": [
                named(_one_level(factor=0.5), "score-halved"),
                named(_one_level(normalised=False), "not-normalised"),
            ],
        },
        source=("004",),
        assumptions=(
            "read as: $\\log p_0(x)$ follows from the functions $\\nabla\\log p_t$, $0 \\le t \\le T$, the forward "
            "diffusion and nothing else about the data",
            "densities are positive, so that one score determines one density",
            "decided on mixtures in 1, 2 and 8 dimensions under VP and VE",
        ),
        finding=lambda evidence: (
            f"{evidence['flow'].message}; no law of the data at the end is needed where the noise has forgotten "
            f"the data; {evidence['last-law'].message}; one score, normalised, is enough in principle (on the "
            f"line off by {evidence['one-level'].value:.0e}): the scores at the other times replace the "
            "normalising integral. Where the density is not positive the score at t = 0 is not enough: on separate "
            f"pieces it is the same for all shares; those at t > 0 are, {evidence['pieces'].message}."
        ),
        figure=_along,
        role="printed",
        group="ledger",
    ),
)
