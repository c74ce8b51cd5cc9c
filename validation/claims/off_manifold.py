"""Ledger, clean data near a manifold: O27, where the objective has its weight."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from ...numerics.estimate import Estimate, quadrature_estimate
from ...theory.mixtures import Gaussian, GaussianMixture
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .averages import hull, shown
from .subspace import axes, on_line, on_plane
from .tools import agreement, named

THICKNESS = 0.05
SAMPLES = 60_000
#: distance, in thicknesses, beyond which one of the samples is expected
REACH = float(special.ndtri(1 - 0.5 / SAMPLES))
Error = Callable[[GaussianMixture, Vector], Vector]


def untrained(law: GaussianMixture, x: Vector) -> Vector:
    """Error of the model ``s = 0``."""
    return -law.score(x)


def _fitted(law: GaussianMixture, x: Vector) -> Vector:
    return Gaussian(law.mean, law.covariance).score(x) - law.score(x)


def _tripled(law: GaussianMixture, x: Vector) -> Vector:
    return 2 * law.score(x)


ERRORS: tuple[Error, ...] = (untrained, _fitted, _tripled)


def objective_parts(error: Error, cut: float, power: float) -> tuple[Estimate, Estimate]:
    """``int p^power |error|^2`` within ``cut`` thicknesses of the line and beyond, up to 14 of them."""
    law, u, normal = on_line(THICKNESS)
    found = []
    for size in (32, 48):
        roots, weights = np.polynomial.legendre.leggauss(size)
        a = np.linspace(-6.0, 6.0, 4 * size)
        row = []
        for low, high in ((0.0, cut), (cut, 14.0)):
            r = THICKNESS * (low + (high - low) * (roots + 1) / 2)
            w = THICKNESS * (high - low) / 2 * weights
            signed = np.concatenate([r, -r])
            x = law.mean + a[:, None, None] * u + signed[:, None] * normal
            values = np.exp(power * law.log_prob(x)) * (error(law, x) ** 2).sum(-1)
            row.append(float((values @ np.concatenate([w, w])).sum() * (a[1] - a[0])))
        found.append(row)
    n = 2 * 4 * 48 * 48
    pairs = zip(*found, strict=True)
    inner, outer = (quadrature_estimate(fine, abs(fine - rough), n=n) for rough, fine in pairs)
    return inner, outer


def _share(cut: float = REACH, power: float = 1.0) -> Check:
    """Largest share of the objective, over three models, that comes from beyond ``cut`` thicknesses."""

    def check(ctx: Context) -> Evidence:
        shares = []
        for error in ERRORS:
            inner, outer = objective_parts(error, cut, power)
            low = outer.low / (outer.low + inner.high)
            high = outer.high / (outer.high + inner.low)
            value = outer.value / (outer.value + inner.value)
            shares.append(Estimate(value, low, high, 0.0, outer.n, "quadrature", high - low))
        message = (
            f"largest share of the objective beyond {cut:.3g} thicknesses of the line, where one of "
            f"{SAMPLES:,} samples lies, over three models"
        )
        return shown(hull(shares, max), (0.5, 1.0), ctx, message)

    return check


def _formula(share: Callable[[float, float], float], kept: float = 1.0) -> Check:
    """Share of ``E|s across|^2`` beyond R against a formula of codimension and ``R / thickness``."""

    def check(ctx: Context) -> Evidence:
        _, across = axes()
        plane = on_plane(THICKNESS, (1.0,))
        line, _, normal = on_line(THICKNESS)
        gaps, errors, count = [], [], 0
        for law, away, codimension in ((line, normal, 1), (plane, across[:, 0], 3)):
            for cut in (1.0, 2.5, REACH):
                ratios = []
                for size in (40, 60):
                    roots, weights = np.polynomial.legendre.leggauss(size)
                    total = []
                    for low, high in ((0.0, cut), (cut, 14.0)):
                        r = low + (high - low) * (roots + 1) / 2
                        x = law.means[0] + THICKNESS * r[:, None] * away
                        square = (law.score(x) @ away) ** (2 * kept)
                        values = r ** (codimension - 1) * np.exp(law.log_prob(x)) * square
                        total.append(float(values @ weights) * (high - low))
                    ratios.append(total[1] / sum(total))
                    count += 2 * size
                expected = share(codimension, cut)
                gaps.append(ratios[1] / expected - 1)
                errors.append(abs(ratios[1] - ratios[0]) / expected + 1e-12)
        return agreement(
            np.array(gaps),
            np.zeros(len(gaps)),
            bound=max(errors),
            tolerance=1e-6,
            kind="quadrature",
            n=count,
            message=f"share of E|s across|^2 beyond 1, 2.5 and {REACH:.3g} thicknesses against the "
            f"formula, codimension 1 and 3, relative: largest gap {max(map(abs, gaps)):.2g}",
        )

    return check


def _blind(power: float) -> Check:
    """What an error as large as the score's root mean square, beyond the samples only, adds to the objective."""

    def check(ctx: Context) -> Evidence:
        whole = sum(p.value for p in objective_parts(untrained, REACH, power))

        def constant(law: GaussianMixture, x: Vector) -> Vector:
            return np.broadcast_to([1.0, 0.0], x.shape)

        inner, outer = objective_parts(constant, REACH, power)
        # the error has size one; in units of the mean square score it adds its share of the mass
        added = outer * (1 / (inner.value + outer.value))
        message = (
            f"an error of the size of the score (mean square {whole:.4g}) beyond {REACH:.3g} "
            "thicknesses adds, relative"
        )
        return shown(added, (0.0, 1e-4), ctx, message)

    return check


def _gamma(codimension: float, cut: float) -> float:
    return float(special.gammaincc(codimension / 2 + 1, cut**2 / 2))


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "O27",
        "on clean data near a manifold the objective is dominated by the off-manifold region",
        checks={"share": _share()},
        mutants={
            "share": [
                named(_share(power=2.0), "density-squared"),
                named(_share(cut=2 * REACH), "region-farther-away"),
            ]
        },
        source=("000",),
        assumptions=(
            r"the objective is $E_p|s - \nabla\log p|^2$; the density is positive: a line in the plane with "
            f"Gaussian thickness {THICKNESS:g}",
            f"'off-manifold': where one of {SAMPLES:,} samples is expected, 'there are no training samples'; "
            "'dominated': more than half",
            "models: s = 0, the score of the Gaussian with the same two moments, three times the score",
        ),
        finding=lambda e: (
            f"{e['share'].message}; an average over samples is not dominated by a region that holds none of "
            "them. The model is free there because the weight is missing, not because it is large."
        ),
        role="printed",
        group="ledger",
        correction=Claim(
            "O27",
            r"the objective leaves the off-manifold region out: for data of Gaussian thickness $\tau$ about a "
            r"subspace of codimension $k$ the part of $E|\nabla\log p|^2$ across it that lies farther than "
            r"$R$ is $\Gamma(\frac k2 + 1, \frac{R^2}{2\tau^2}) / \Gamma(\frac k2 + 1)$, and an error of "
            r"size $B$ there adds $B^2 P(r > R)$",
            checks={"share": _formula(_gamma), "blind": _blind(1.0)},
            mutants={
                "share": [
                    named(_formula(lambda k, r: _gamma(k - 2, r)), "share-of-the-mass"),
                    named(_formula(_gamma, 0.0), "errors-of-one-size"),
                ],
                "blind": [
                    named(_blind(0.0), "without-the-density"),
                    named(_blind(0.1), "weight-nearly-flat"),
                ],
            },
            assumptions=(
                f"thickness {THICKNESS:g}, a line in the plane and a plane in five dimensions",
            ),
            group="ledger",
        ),
    ),
)
