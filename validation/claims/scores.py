"""Ledger, scores: S1 to S3 and S7, what the score of a density is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .derivatives import gradient
from .figures import score_field
from .laws import points_of, skewed_1d, skewed_2d, skewed_8d, tilted_gaussian
from .tools import EPS, agreement, named, number

CONSTANTS = (1e-3, 0.5, 7.0, 1e5)


def _rounding(score: Vector, condition: float = 1.0) -> float:
    """Rounding of two routes to a score: some dozens of operations, each relative to the largest entry."""
    return 256 * EPS * condition * (1 + float(np.abs(score).max()))


def _scaled(log_density: Callable[[Any, float], Any]) -> Check:
    def check(ctx: Context) -> Evidence:
        law = skewed_2d()
        x = points_of(law)
        truth = law.score(x)
        routes = [gradient(lambda y, c=c: log_density(law.log_prob(y), c), x) for c in CONSTANTS]
        return agreement(
            np.stack(routes),
            np.stack([truth] * len(CONSTANTS)),
            # exp and log of the density lose eps * |log p|, which stays below 1e2 at these points
            bound=100 * _rounding(truth),
            tolerance=1e-8,
            message="gradient of log(c p) by differentiation against the closed score, four values of c",
        )

    return check


def _energy(sign: float) -> Check:
    def check(ctx: Context) -> Evidence:
        law = skewed_8d()
        x = points_of(law)
        # E = -log p + log Z with an arbitrary Z: only grad E may enter.
        slope = gradient(lambda y: -law.log_prob(y) + np.log(3.7), x)
        truth = law.score(x)
        return agreement(
            sign * slope,
            truth,
            bound=_rounding(truth, 40.0),
            tolerance=1e-8,
            message="minus the gradient of the energy against the score, in eight dimensions",
        )

    return check


def _gaussian(matrix: Callable[[Vector], Any], shift: float = 1.0) -> Check:
    def check(ctx: Context) -> Evidence:
        law = tilted_gaussian()
        x = points_of(law)
        formula = -(x - shift * law.mean) @ matrix(law.covariance)
        truth = gradient(law.log_prob, x)
        return agreement(
            formula,
            truth,
            bound=_rounding(truth, 64.0),
            tolerance=1e-8,
            message="the printed formula against the derivative of log p for a tilted, off-centre Gaussian",
        )

    return check


def _mixture(weighting: str) -> Check:
    def check(ctx: Context) -> Evidence:
        gaps, truths = [], []
        for law in (skewed_1d(), skewed_2d(), skewed_8d()):
            x = points_of(law)
            off = x[:, None, :] - law.means
            # Densities and inverses straight from the definition, not from the closed forms of the library.
            inverse = np.linalg.inv(law.covariances)
            square = np.einsum("nki,kij,nkj->nk", off, inverse, off)
            heights = np.exp(-0.5 * square) / np.sqrt(np.linalg.det(2 * np.pi * law.covariances))
            joint = law.weights * heights
            posterior = joint / joint.sum(axis=1, keepdims=True)
            weights = {
                "posterior": posterior,
                "prior": np.broadcast_to(law.weights, posterior.shape),
                "density": heights / heights.sum(axis=1, keepdims=True),
            }[weighting]
            formula = -np.einsum("nk,kij,nkj->ni", weights, inverse, off)
            truth = gradient(law.log_prob, x)
            truths.append(float(np.abs(truth).max()))
            gaps.append(float(np.abs(formula - truth).max()))
        return agreement(
            np.array(gaps),
            np.zeros(len(gaps)),
            bound=256 * EPS * 64 * max(truths),
            tolerance=1e-8,
            message="posterior-weighted component scores against the derivative of log p, d = 1, 2, 8",
        )

    return check


def _quadratic(sign: float, variances: tuple[float, float] = (1.0, 1.0)) -> Check:
    """Smallest cosine between the gradient of f and the score of ``N(0, diag(variances))``."""

    def check(ctx: Context) -> Evidence:
        x = points_of(skewed_2d())
        slope = sign * gradient(lambda y: -(y**2).sum(-1), x)
        score = -x / np.array(variances)
        cosine = (
            (slope * score).sum(1) / np.linalg.norm(slope, axis=1) / np.linalg.norm(score, axis=1)
        )
        worst = float(cosine.min())
        return number(
            worst,
            error=32 * EPS,
            allowed=(1 - 1e-9, 1 + 1e-9),
            n=len(x),
            message=f"smallest cosine between the gradient of f and the score of "
            f"N(0, diag({variances[0]:g}, {variances[1]:g})): {worst:.4g}",
        )

    return check


def _unequal(formula: Callable[[float], float]) -> Check:
    """Smallest cosine of ``-x`` and the score ``-x / (k, 1)`` against a formula in k; does not decide."""

    def check(ctx: Context) -> Evidence:
        angles = np.linspace(0.0, np.pi / 2, 200_001)
        x = np.stack([np.cos(angles), np.sin(angles)], 1)
        gaps, found = [], []
        for k in (2.0, 4.0, 30.0):
            score = x / np.array([k, 1.0])
            found.append(float(((x * score).sum(1) / np.linalg.norm(score, axis=1)).min()))
            gaps.append(found[-1] - formula(k))
        piece = agreement(
            np.array(gaps),
            np.zeros(3),
            bound=1e-8,  # flat at its minimum, where the angles are 8e-6 apart
            tolerance=1e-6,
            message="for variances of ratio 2, 4 and 30 the cosine goes down to "
            + ", ".join(f"{c:.4f}" for c in found),
        )
        return replace(piece, deciding=False)

    return check


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "S1",
        r"$\nabla_x \log(c\,p(x)) = \nabla_x \log p(x)$ for every $c > 0$; for $p = e^{-E}/Z$ the score is "
        r"$-\nabla E$, free of $Z$",
        checks={
            "constant": _scaled(lambda log_p, c: (c * log_p.exp()).log()),
            "energy": _energy(-1.0),
        },
        mutants={
            "constant": [named(_scaled(lambda log_p, c: c * log_p), "c-in-the-exponent")],
            "energy": [named(_energy(1.0), "plus-gradient")],
        },
        source=("000", "001", "003", "004"),
        assumptions=(
            "decided on a tilted mixture in two dimensions and one in eight, c from 1e-3 to 1e5",
        ),
        role="printed",
        group="ledger",
    ),
    Claim(
        "S2",
        r"the score of $\mathcal{N}(\mu, \Sigma)$ is $-\Sigma^{-1}(x - \mu)$",
        checks={"formula": _gaussian(np.linalg.inv)},
        mutants={
            "formula": [
                named(_gaussian(lambda c: c), "covariance-not-inverted"),
                named(_gaussian(np.linalg.inv, -1.0), "sign-of-the-mean"),
                named(_gaussian(lambda c: np.diag(1 / np.diag(c))), "diagonal-only"),
            ]
        },
        source=("000",),
        assumptions=(
            "decided on a tilted Gaussian in three dimensions, at 64 points out to three sigma",
        ),
        role="printed",
        group="ledger",
    ),
    Claim(
        "S3",
        r"the score of a Gaussian mixture is $\sum_k w_k(x)\,(-\Sigma_k^{-1}(x-\mu_k))$ with $w_k(x)$ the "
        r"posterior weight of component $k$",
        checks={"formula": _mixture("posterior")},
        mutants={
            "formula": [
                named(_mixture("prior"), "prior-weights"),
                named(_mixture("density"), "weights-without-prior"),
            ]
        },
        source=("000",),
        assumptions=("decided on mixtures in one, two and eight dimensions",),
        figure=score_field,
        role="printed",
        group="ledger",
    ),
    Claim(
        "S7",
        r"for $\mathcal{N}(0, I)$ the gradient of $f(x) = -x_1^2 - x_2^2$ points along the score",
        checks={
            "cosine": _quadratic(1.0),
            "unequal": _unequal(lambda k: 2 * np.sqrt(k) / (k + 1)),
        },
        mutants={
            "cosine": [
                named(_quadratic(-1.0), "descent"),
                named(_quadratic(1.0, (4.0, 1.0)), "other-variances"),
            ],
            "unequal": [
                named(_unequal(lambda k: 1.0), "one-for-all"),
                named(_unequal(lambda k: 2 / (k + 1)), "root-left-out"),
            ],
        },
        source=("002",),
        assumptions=("'along' means a cosine of one; the lengths differ by a factor of two",),
        finding=lambda evidence: (
            "The gradient is twice the score. It needs a mean of zero and equal variances: "
            f"{evidence['unequal'].message}, which is "
            r"$2\sqrt k/(k+1)$."
        ),
        role="printed",
        group="ledger",
    ),
)
