"""Ledger, the implicit loss of a finite sample: O4."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...numerics.objectives import ISM
from ...numerics.rng import draw
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .averages import KURTOSIS, drawn_mean, largest
from .fields import linear
from .grams import LAWS, clean
from .laws import skewed_8d, tilted_gaussian
from .tools import certified, named, number


def _sample_loss(slope: float, limit: float) -> Check:
    """Sample mean of ``|s|^2 + slope tr grad s`` for a linear model against the exact population loss."""

    def check(ctx: Context) -> Evidence:
        law, model = skewed_8d(), linear(8)
        loss = ISM(law, factor=1.0, trace=slope)
        shift, gain = model(np.zeros((1, 8)))[0], model(np.eye(8)) - model(np.zeros((8, 8)))
        mean = shift + law.mean @ gain
        square = float(mean @ mean + np.trace(gain.T @ law.covariance @ gain))
        exact = square + limit * float(np.trace(gain))
        found = drawn_mean(lambda x: loss.terms(model, x) - exact, loss, ctx, most=0)
        message = f"sample loss minus the exact population loss {exact:.4f}, relative to E|s|^2"
        return largest([found], square, 0.1, ctx, message)

    return check


def _population_minimiser(slope: float) -> Check:
    """Minimiser of ``E|s|^2 + slope E tr grad s`` over the span of four fields that holds the score."""

    def check(ctx: Context) -> Evidence:
        worst, error, texts, nodes = 0.0, 0.0, [], 0
        for dim in LAWS:
            g = clean(dim)
            theta = -0.5 * slope * np.linalg.solve(g.products, g.slopes)
            off = theta - g.row({"score": 1.0})
            distance = float(off @ g.products @ off / g.products[0, 0])
            noise = float(np.linalg.cond(g.products) * g.errors.max() / g.products[0, 0])
            worst, error = max(worst, distance), max(error, 4 * noise)
            nodes += g.nodes
            texts.append(f"{theta[0]:.4f} (d = {dim})")
        return number(
            worst,
            error=error,
            allowed=(-1e-3, 1e-3),
            kind="quadrature",
            n=nodes,
            message=f"the minimiser over four fields is {', '.join(texts)} times the score; squared distance "
            f"{worst:.3g} E|grad log p|^2",
        )

    return check


def _sample_minimiser(slope: float) -> Check:
    """Minimiser of the sample loss over affine fields on Gaussian draws, in units where Sigma = I.

    It is ``-(slope/2) W^-1 (y - m)`` with sample covariance W and mean m. By Davidson and Szarek (2001, Theorem
    2.13) the roots of the eigenvalues of W are within ``(sqrt d + t) / sqrt(n - 1)`` of one, and ``|m|`` within
    ``(sqrt d + t) / sqrt n`` of zero, each tail at most ``exp(-t^2/2)``: that bounds the distance to the limit.
    """

    def check(ctx: Context) -> Evidence:
        law = tilted_gaussian()
        n, d = ctx.budget, law.dim
        root = np.linalg.cholesky(law.covariance)
        y = np.linalg.solve(root, (draw(law, n, rng=ctx.rng) - law.mean).T).T
        inverse = np.linalg.inv(np.cov(y.T))
        off = np.eye(d) - 0.5 * slope * inverse
        shift = 0.5 * slope * inverse @ y.mean(axis=0)
        distance = math.sqrt((np.sum(off**2) + shift @ shift) / d)
        t = math.sqrt(2 * math.log(3 / ctx.level))
        eta = (math.sqrt(d) + t) / math.sqrt(n - 1)
        wide = (1 - eta) ** -2
        radius = 0.5 * abs(slope) * math.hypot(wide - 1, wide * eta / math.sqrt(d))
        message = (
            f"minimiser over affine fields from {n} draws: rms distance to the score is "
            f"{distance:.3f} of that of s = 0"
        )
        return certified(distance, radius, 0.3, ctx, n=n, message=message)

    return check


def _fourth(slope: float, **parts: Any) -> Claim:
    wrong = {"no-trace": 0.0, "trace-with-a-minus": -slope}
    if slope == 2.0:
        wrong["trace-without-the-two"] = 1.0
    trace = r"\mathrm{tr}(\nabla s)" if slope == 1 else r"2\,\mathrm{tr}(\nabla s)"
    return Claim(
        "O4",
        rf"the finite-sample implicit loss, mean of $|s|^2 + {trace}$, converges to the population loss as $n$ "
        r"grows and its minimiser to the score",
        checks={
            "loss": _sample_loss(slope, slope),
            "minimiser": _population_minimiser(slope),
            "sample-minimiser": _sample_minimiser(slope),
        },
        mutants={
            "loss": [
                named(_sample_loss(slope, 0.0), "limit-without-trace"),
                named(_sample_loss(slope, 3 * slope), "limit-with-three-traces"),
            ],
            "minimiser": [named(_population_minimiser(v), k) for k, v in wrong.items()],
            "sample-minimiser": [named(_sample_minimiser(v), k) for k, v in wrong.items()],
        },
        assumptions=(
            "a linear model in eight dimensions for the loss; affine models on a tilted Gaussian, and the span "
            "of four fields on skewed mixtures, for the minimiser",
            "the population loss is the mean of the same expression, met within 0.1 E|s|^2; the limit of the "
            "minimiser is within 0.3 of the score, relative to the score's own root mean square",
            KURTOSIS,
        ),
        group="ledger",
        finding=lambda e: (
            f"{e['minimiser'].message[0].upper()}{e['minimiser'].message[1:]}; {e['loss'].message}."
        ),
        **parts,
    )


def sample_claim() -> Claim:
    """O4."""
    return _fourth(1.0, source=("001",), role="printed", correction=_fourth(2.0))
