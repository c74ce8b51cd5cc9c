"""Ledger, networks: N2, the kernel of random Fourier features of time.

``sin a sin b + cos a cos b = cos(a - b)``, so that for every draw of the frequencies

    gamma(t) . gamma(t') = sum_i cos(2 pi W_i (t - t')),   i = 1, ..., D/2,

and its mean is the characteristic function of ``W ~ N(0, s^2)`` at ``2 pi (t - t')``: ``exp(-2 pi^2 s^2 (t-t')^2)`` a
frequency. Its variance is ``(1 - exp(-4 pi^2 s^2 (t-t')^2))^2 / 2`` a frequency.

Reference:
    Rahimi & Recht 2007; Tancik et al. 2020.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...numerics.estimate import mean_estimate
from ...numerics.quadrature import expectation
from ...theory.mixtures import Gaussian
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report import listed
from .averages import KURTOSIS, largest
from .tools import EPS, agreement, named

#: (t, t') off every symmetry, with differences from a fifth of the kernel's width to twice it
PAIRS = ((0.37, 0.33), (0.90, 0.75), (0.05, 0.12), (0.62, 0.60), (0.15, 0.41))
SCALES = (0.5, 1.0, 2.0)
FREQUENCIES = 128  #: D/2

Embedding = Callable[[Vector, Vector], Vector]
Kernel = Callable[[float, float], float]


def _fourier(t: Vector, w: Vector) -> Vector:
    """``[sin 2 pi t W, cos 2 pi t W]``: ``t`` and ``w`` broadcast, the pair on a new last axis."""
    angle = 2 * np.pi * t * w
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1)


def _sines_only(t: Vector, w: Vector) -> Vector:
    angle = 2 * np.pi * t * w
    return np.stack([np.sin(angle), np.sin(2 * angle)], axis=-1)


def _two_draws(t: Vector, w: Vector) -> Vector:
    """Sine and cosine at frequencies of their own: right on average, not draw by draw."""
    return np.stack([np.sin(2 * np.pi * t * w), np.cos(2 * np.pi * t * np.roll(w, 1))], axis=-1)


def _gaussian_kernel(s: float, gap: float) -> float:
    return math.exp(-2 * (math.pi * s * gap) ** 2)


def _without_two_pi(s: float, gap: float) -> float:
    return math.exp(-0.5 * (s * gap) ** 2)


def _laplace_kernel(s: float, gap: float) -> float:
    return math.exp(-2 * math.pi * s * abs(gap))


def _shifted(embedding: Embedding) -> Check:
    """``gamma(t + c) . gamma(t' + c) / (D/2)`` over shifts c, for every one of several draws of W."""

    def check(ctx: Context) -> Evidence:
        w = ctx.rng.standard_normal((20, FREQUENCIES))
        shifts = np.linspace(-0.3, 0.5, 9)
        products, widest = [], 0.0
        for s in SCALES:
            for t, u in PAIRS:
                a, b = (embedding((shifts + v)[:, None, None], s * w) for v in (t, u))
                products.append(np.sum(a * b, axis=(2, 3)) / FREQUENCIES)
                widest = max(widest, 2 * np.pi * s * float(np.abs(w).max()))
        found = np.stack(products)
        # An angle is rounded to eps times its size, and the product inherits that.
        return agreement(
            found,
            np.broadcast_to(found[:, :1], found.shape),
            bound=8 * EPS * (1 + widest),
            tolerance=1e-9,
            message=f"change of the inner product, a frequency, when both times are shifted alike: 20 draws of "
            f"{FREQUENCIES} frequencies, {len(PAIRS)} pairs of times, {len(SCALES)} scales",
        )

    return check


def _mean(embedding: Embedding, kernel: Kernel) -> Check:
    """``E gamma(t) . gamma(t')`` a frequency by quadrature over ``W ~ N(0, s^2)`` against the kernel."""

    def check(ctx: Context) -> Evidence:
        times = np.array(PAIRS)
        found, wanted, errors, nodes = [], [], [], 0
        for s in SCALES:
            integral = expectation(
                lambda w: np.sum(embedding(times[:, 0], w) * embedding(times[:, 1], w), axis=-1),
                Gaussian([0.0], [s**2]),
            )
            found.append(integral.value)
            wanted.append([kernel(s, t - u) for t, u in PAIRS])
            errors.append(float(np.max(integral.error)))
            nodes += integral.evaluations
        return agreement(
            np.array(found),
            np.array(wanted),
            bound=max(errors) + 16 * EPS,
            tolerance=1e-8,
            kind="quadrature",
            n=nodes,
            message="mean inner product, a frequency, against exp(-2 pi^2 s^2 (t - t')^2)",
        )

    return check


def _drawn(embedding: Embedding, kernel: Kernel) -> Check:
    """The same from drawn frequencies, with a confidence interval for each pair; ``s = 1``."""

    def check(ctx: Context) -> Evidence:
        n = max(16_000, ctx.budget // 6)
        w = ctx.rng.standard_normal(n)
        gaps = []
        for t, u in PAIRS:
            values = np.sum(embedding(np.array(t), w) * embedding(np.array(u), w), axis=-1)
            estimate = mean_estimate(values, level=ctx.level / len(PAIRS))
            gaps.append(estimate - kernel(1.0, t - u))
        message = (
            f"mean over {n} drawn frequencies against the kernel, {len(PAIRS)} pairs of times"
        )
        return replace(
            largest(gaps, 1.0, 0.1, ctx, message), n=n
        )  # every pair from the same draws

    return check


def _spread(formula: Kernel) -> Check:
    """Standard deviation of ``cos(2 pi W (t - t'))`` by quadrature against a formula in the kernel."""

    def check(ctx: Context) -> Evidence:
        gaps = np.array([t - u for t, u in PAIRS])
        found, wanted, errors, nodes = [], [], [], 0
        for s in SCALES:
            mean = np.array([_gaussian_kernel(s, g) for g in gaps])
            integral = expectation(
                lambda w, m=mean: (np.cos(2 * np.pi * w * gaps) - m) ** 2, Gaussian([0.0], [s**2])
            )
            found.append(integral.value)
            wanted.append([formula(s, g) ** 2 for g in gaps])
            errors.append(float(np.max(integral.error)))
            nodes += integral.evaluations
        return agreement(
            np.array(found),
            np.array(wanted),
            bound=max(errors) + 16 * EPS,
            tolerance=1e-8,
            kind="quadrature",
            n=nodes,
            message="variance of one frequency's share against (1 - k^2)^2 / 2, k the kernel",
        )

    return check


def _one_share(s: float, gap: float) -> float:
    return (1 - _gaussian_kernel(s, gap) ** 2) / math.sqrt(2)


def _curves(ctx: Context) -> Mapping[str, Any]:
    """The kernel for ``s = 1`` and what one draw of a few frequencies gives in its place."""
    gap = np.linspace(0, 0.8, 161)
    w = ctx.rng.standard_normal(FREQUENCIES)
    exact = np.array([_gaussian_kernel(1.0, g) for g in gap])
    spread = np.array([_one_share(1.0, g) for g in gap]) / math.sqrt(FREQUENCIES)
    shown = np.cos(2 * np.pi * gap[:, None] * w).mean(axis=1)
    return {
        "kind": "lines",
        "title": "Inner product of Fourier features of two times",
        "alt": "A Gaussian kernel in the difference of the times with a band of two standard deviations, and "
        "one draw of 128 frequencies inside it",
        "xlabel": "t - t'",
        "series": [
            {
                "label": "mean, two standard deviations",
                "x": listed(gap),
                "y": listed(exact),
                "low": listed(exact - 2 * spread),
                "high": listed(exact + 2 * spread),
            },
            {
                "label": f"one draw, {FREQUENCIES} frequencies",
                "x": listed(gap),
                "y": listed(shown),
                "style": "dashed",
            },
        ],
    }


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "N2",
        r"inner products of the features $\gamma(t) = [\sin 2\pi t W, \cos 2\pi t W]$, $W \sim \mathcal{N}(0, s^2)$, "
        r"depend, in mean, on $t - t'$ alone",
        checks={
            "shift": _shifted(_fourier),
            "kernel": _mean(_fourier, _gaussian_kernel),
            "draws": _drawn(_fourier, _gaussian_kernel),
            "spread": _spread(_one_share),
        },
        mutants={
            "shift": [
                named(_shifted(_sines_only), "sines-only"),
                named(_shifted(_two_draws), "frequencies-not-shared"),
            ],
            "kernel": [
                named(_mean(_fourier, _without_two_pi), "two-pi-left-out"),
                named(_mean(_fourier, _laplace_kernel), "exponential-kernel"),
                named(_mean(_sines_only, _gaussian_kernel), "sines-only"),
            ],
            "draws": [
                named(_drawn(_fourier, _without_two_pi), "two-pi-left-out"),
                named(_drawn(_sines_only, _gaussian_kernel), "sines-only"),
            ],
            "spread": [
                named(_spread(lambda s, g: _one_share(s, g) * math.sqrt(2)), "not-halved"),
                named(_spread(lambda s, g: math.sqrt(0.5)), "without-the-kernel"),
            ],
        },
        source=("001",),
        assumptions=(
            "the text gives the features and calls them 'similar to a positional encoding, generalized to "
            "continuous domains'; read as: the inner product is a function of the difference of the times",
            KURTOSIS,
        ),
        finding=lambda evidence: (
            "Every draw of W has the property, not only the mean: shifting both times changes the inner product "
            f"by {evidence['shift'].value:.0e}. In mean it is D/2 times exp(-2 pi^2 s^2 (t - t')^2), off by "
            f"{evidence['kernel'].value:.0e} by quadrature: a Gaussian kernel of width 1/(2 pi s); the share of one "
            "frequency varies about it with standard deviation (1 - k^2)/sqrt(2), k the kernel."
        ),
        figure=_curves,
        role="printed",
        group="ledger",
    ),
)
