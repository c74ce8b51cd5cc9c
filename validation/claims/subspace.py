"""Ledger, data on a subspace: S6, the rate at which the score across it grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from ...theory.empirical import PointMasses
from ...theory.mixtures import GaussianMixture
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report.pictures import listed
from .averages import TOLERANCE, grid_means, largest, number_of
from .tools import EPS, agreement, named, number

LEVELS = (1e-6, 1e-4, 1e-2, 0.3, 2.0)
SPAN = f"sigma from {LEVELS[0]:g} to {LEVELS[-1]:g}"
INSIDE = np.array([[0.5, -1.0], [-0.8, 0.7]])  #: means of the components, in the plane
ROOTS = np.array(
    [[[0.9, 0.0], [0.4, 0.3]], [[0.3, 0.2], [0.0, 0.6]]]
)  #: roots of their covariances
RADIUS = 1.3  #: of the ring


@cache
def axes() -> tuple[Vector, Vector]:
    """Orthonormal bases of a tilted plane in five dimensions and of what is across: ``(5, 2)``, ``(5, 3)``."""
    q = np.linalg.qr(np.random.default_rng(11).standard_normal((5, 5)))[0]
    return q[:, :2], q[:, 2:]


def on_plane(std: float, weights: tuple[float, ...] = (0.6, 0.4)) -> GaussianMixture:
    """One or two tilted components on a plane in five dimensions, off the origin, plus noise ``std``."""
    along, across = axes()
    count = len(weights)
    means = INSIDE[:count] @ along.T + across @ [0.2, -0.4, 0.7]
    return GaussianMixture.low_rank(weights, means, along @ ROOTS[:count], [std**2] * count)


def on_line(std: float) -> tuple[GaussianMixture, Vector, Vector]:
    """Two components on a tilted line in the plane plus noise ``std``, with the line's direction and normal."""
    u, normal = np.array([0.8, 0.6]), np.array([-0.6, 0.8])
    means = np.outer([-1.0, 1.2], u) + np.array([0.3, -0.4])
    factors = np.array([0.8, 0.4])[:, None, None] * u[:, None]
    return GaussianMixture.low_rank([0.6, 0.4], means, factors, [std**2, std**2]), u, normal


def _at_points(power: float, inside: bool = False) -> Check:
    """The score across the plane (or ``inside`` it) against ``-offset / sigma^power``, relative to its size."""

    def check(ctx: Context) -> Evidence:
        along, across = axes()
        rng = np.random.default_rng(5)
        offset = 0.3 + rng.random((12, 3))
        gaps, reach = [], 0.0
        for std in LEVELS:
            law = on_plane(std)
            x = law.means[0] + 2 * rng.standard_normal((12, 2)) @ along.T + offset @ across.T
            found = law.score(x) @ (along if inside else across)
            printed = -offset[:, : found.shape[1]] / std**power
            size = np.linalg.norm(offset, axis=1, keepdims=True) / std**2
            gaps.append((np.abs(found - printed) / size).ravel())
            reach = max(reach, float(np.abs(x).max()))
        gap = np.concatenate(gaps)
        return agreement(
            gap,
            np.zeros_like(gap),
            # coordinates of x in the tilted basis round to eps |x|, beside offsets above a half
            bound=256 * EPS * reach,
            tolerance=1e-9,
            message=f"score across a plane in five dimensions against -offset/sigma^{power:g}, "
            f"relative, {SPAN}: largest gap {gap.max():.2g}",
        )

    return check


def _thick(thickness: float, limit: float = 1.0) -> Check:
    """The same for data with a thickness across: largest size over all noise levels, over r/thickness^2 for 0.1."""

    def check(ctx: Context) -> Evidence:
        _, across = axes()
        offset = np.array([0.4, -0.2, 0.5])
        sizes = []
        for std in LEVELS:
            law = on_plane(float(np.hypot(thickness, std)))
            found = law.score((law.means[0] + across @ offset)[None]) @ across
            sizes.append(float(np.linalg.norm(found) / np.linalg.norm(offset)) * 0.1**2)
        piece = number(
            max(sizes),
            error=1e-9 * max(sizes),
            allowed=(0.0, limit + 1e-6),
            n=len(LEVELS),
            message=f"for data of thickness {thickness:g} across, {SPAN}, it is at most {max(sizes):.4g} times "
            "r/0.1^2",
        )
        return replace(piece, deciding=False)

    return check


def _mean_square(power: float, dims: int = 3) -> Check:
    """``E|s across|^2`` for a Gaussian on a plane in five dimensions against ``dims / sigma^power``."""

    def check(ctx: Context) -> Evidence:
        along, across = axes()
        gaps = []
        for std in LEVELS:
            law = on_plane(std, (1.0,))
            # The score is linear: its values at unit offsets from the mean are the rows of a matrix.
            rows = law.score(law.mean + np.eye(5)) @ across
            square = ((along @ ROOTS[0]).T @ rows) ** 2
            found = square.sum() + std**2 * (rows**2).sum()
            gaps.append(abs(float(found) * std**2 - dims * std ** (2 - power)))
        return agreement(
            np.array(gaps),
            np.zeros(len(gaps)),
            bound=1024 * EPS,  # five unit offsets from a mean of size one, in a tilted basis
            tolerance=1e-9,
            message=f"sigma^2 E|s across|^2 against {dims} sigma^{2 - power:g}, codimension 3, "
            f"{SPAN}: largest gap {max(gaps):.2g}",
        )

    return check


def _mixture_square(power: float) -> Check:
    """The same for a mixture on a line in the plane, by quadrature."""

    def check(ctx: Context) -> Evidence:
        rests = []
        for std in (0.15, 0.5):
            law, _, normal = on_line(std)

            def values(x: Vector, law: GaussianMixture = law, normal: Vector = normal) -> Vector:
                return ((law.score(x) @ normal) ** 2 * np.exp(law.log_prob(x)))[:, None]

            rests.append(grid_means(values, law)[0] * std**2 - std ** (2 - power))
        message = f"sigma^2 E|s across|^2 against sigma^{2 - power:g}, mixture on a line"
        return largest(rests, 1.0, TOLERANCE, ctx, message)

    return check


def _ring(power: float) -> Check:
    """``sigma^power |s| / distance - 1`` for data spread evenly over a circle, at points off it."""

    def check(ctx: Context) -> Evidence:
        std, count = 0.01, 8192  # spacing a tenth of sigma: as good as a continuous circle
        angle = 2 * np.pi * np.arange(count) / count
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        centre = np.array([0.4, -0.7])
        law = PointMasses(centre + RADIUS * circle).diffuse(1.0, std**2)
        distance = np.array([-0.6, -0.2, -0.1, 0.1, 0.3, 0.8])
        x = centre + (RADIUS + distance)[:, None] * circle[[3, 900, 2222, 4000, 5555, 7000]]
        size = np.linalg.norm(law.score(x), axis=1)
        gap = float(np.abs(std**power * size / np.abs(distance) - 1).max())
        # The curvature adds -1/(2 rho) to the score; its expansion goes on with sigma^2 / rho^3.
        curved = std**2 / (2 * (RADIUS + distance) * np.abs(distance))
        return number(
            gap,
            error=1e-9,  # rounding of weights with exponents of up to distance^2 / sigma^2 = 6,400
            allowed=(0.0, 0.01),
            n=len(x),
            message=f"sigma^{power:g} |s| / distance differs from 1 by at most {gap:.3g} off a circle "
            f"of radius {RADIUS:g}, sigma = {std:g}; -1/(2 rho) accounts for {curved.max():.3g}",
        )

    return check


def growth(ctx: Context) -> Mapping[str, Any]:
    """The score across the plane against sigma: at a point, and in mean square."""
    _, across = axes()
    stds = np.geomspace(1e-3, 1.0, 25)
    point = on_plane(1.0).means[0] + 0.5 * across[:, 0]
    fixed = [np.linalg.norm(on_plane(s).score(point) @ across) for s in stds]
    return {
        "kind": "lines",
        "title": "Score across a plane in five dimensions",
        "alt": "Two straight lines on log axes: at a fixed point slope minus two, in mean square minus one",
        "xlabel": r"$\sigma$",
        "xscale": "log",
        "yscale": "log",
        "series": [
            {"label": "at distance 0.5", "x": listed(stds), "y": listed(fixed)},
            {"label": "root mean square", "x": listed(stds), "y": listed(np.sqrt(3) / stds)},
        ],
    }


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "S6",
        r"for data on a linear subspace the score of $q_\sigma$ across the subspace grows without bound as "
        r"$\sigma \to 0$",
        checks={
            "point": _at_points(2.0),
            "square": _mean_square(2.0),
            "mixture": _mixture_square(2.0),
            "ring": _ring(2.0),
            "thick": _thick(0.1),
        },
        mutants={
            "point": [
                named(_at_points(1.0), "one-over-sigma"),
                named(_at_points(2.0, inside=True), "inside-the-subspace"),
            ],
            "square": [
                named(_mean_square(4.0), "rate-of-a-fixed-point"),
                named(_mean_square(2.0, dims=5), "dimension-for-codimension"),
            ],
            "mixture": [
                named(_mixture_square(4.0), "rate-of-a-fixed-point"),
                named(_mixture_square(1.0), "one-over-root-sigma"),
            ],
            "ring": [named(_ring(1.0), "one-over-sigma"), named(_ring(3.0), "cube-of-sigma")],
            "thick": [
                named(_thick(0.0), "no-thickness"),
                named(_thick(0.1, limit=0.5), "half-the-bound"),
            ],
        },
        source=("000", "003"),
        assumptions=(
            "at a fixed point off the subspace, and in root mean square under the noised law; on the subspace "
            "itself the score across it is zero at every noise level",
            "decided on tilted mixtures: a plane in five dimensions, a line in the plane; a circle stands for "
            "the curved manifolds of the sources",
        ),
        finding=lambda e: (
            "The noised law is the product of its part along the subspace and N(0, sigma^2 I) across it, so the "
            "score across is exactly -r/sigma^2 at distance r, whatever the law on the subspace "
            f"(gap {number_of(e['point']):.1g}), and sqrt(codimension)/sigma in root mean square "
            f"(gap {number_of(e['square']):.1g}). Near a curved manifold the first holds to leading order: "
            f"{e['ring'].message}. Data that fill the space have no such growth: {e['thick'].message}."
        ),
        figure=growth,
        role="printed",
        group="ledger",
    ),
)
