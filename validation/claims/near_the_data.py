"""Ledger, near the data: D10, the score that diverges as t -> 0 and the bias of stopping before.

For data on a subspace of dimension r in d dimensions and ``x_t = a x_0 + sd eps`` the law of ``x_t`` is a product, of
the diffused law in the subspace and ``N(0, sd^2 I)`` across it. Hence, exactly and at every t,

    E|grad log p_t|^2 = (d - r)/sd^2 + I(p_t in the subspace),
    W2(p_t, p_0)^2 = (d - r) sd^2 + W2(p_t, p_0 in the subspace)^2,

the second because no coupling changes the part across, and the best one of the parts within costs nothing there.
Within the subspace smooth data give a bounded score, and a bias of order ``sd^2`` and ``1 - a``, so that for small t

    E|grad log p_t|^2 = (d - r)/sd^2 + O(1),   W2(p_t, p_0)^2 = (d - r) sd^2 + (1 - a)^2 E|x_0|^2 + ...:

the root mean square of the score times the bias tends to ``d - r`` where ``1 - a`` is smaller than sd (VP, VE, EDM).
Under sub-VP ``1 - a`` is about ``sd/2``, and the shrinking of the data counts as much as the noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from ...numerics.estimate import Estimate, quadrature_estimate
from ...numerics.gaussian_law import EigenLaw
from ...numerics.objective_constants import fisher_information
from ...numerics.quadrature import expectation
from ...theory.mixtures import Gaussian, GaussianMixture
from ...theory.sde import EDM, VE, VP, LinearSDE, SubVP
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report import listed
from .averages import hull, shown
from .tools import EPS, agreement, named, number

#: diffusions, and the power of t in which the variance starts
STARTS: Mapping[str, tuple[LinearSDE, int]] = {
    "VP": (VP(), 1),
    "VE": (VE(), 1),
    "sub-VP": (SubVP(), 2),
    "EDM": (EDM(), 2),
}
NEAR = 1e-3  #: standard deviation of the noise at which the limits are read
DIRECTION = np.array([0.8, 0.6])


@cache
def _inside() -> GaussianMixture:
    """Three unequal components: coordinates of the data along their line."""
    return GaussianMixture([0.5, 0.3, 0.2], [[-1.2], [0.4], [2.1]], [[0.09], [0.25], [0.5]])


def _on_a_line(scale: float, variance: float, thickness: float) -> GaussianMixture:
    """``x_t`` for that mixture on a tilted line in the plane, or on one blurred to a thickness."""
    law = _inside()
    factors = np.sqrt(law.basis.eigenvalues())[:, :, None] * DIRECTION[:, None]
    noise = np.full(law.components, (scale * thickness) ** 2 + variance)
    return GaussianMixture.low_rank(
        law.weights, scale * law.means * DIRECTION, scale * factors, noise
    )


def _sheet(thickness: float) -> EigenLaw:
    """A Gaussian on a tilted plane in five dimensions, off-centre, in its eigenbasis."""
    turn = np.linalg.qr(np.random.default_rng(20240613).standard_normal((5, 5)))[0]
    variance = np.array([1.7, 0.3, 0.0, 0.0, 0.0]) + thickness**2
    return EigenLaw(np.array([0.8, -0.4, 0.0, 0.0, 0.0]), variance, turn)


@cache
def _information(kind: str, sde: LinearSDE, t: float, thickness: float) -> Estimate:
    """``E|grad log p_t|^2`` from the score in all dimensions."""
    kernel = sde.kernel(t)
    a, v = float(kernel.scale), float(kernel.variance)
    if kind == "line":
        blurred = _on_a_line(a, v, thickness)
        found = expectation(
            lambda x: np.sum(blurred.score(x) ** 2, axis=1), blurred, tolerance=1e-6
        )
        return quadrature_estimate(found.value, found.error, n=found.evaluations)
    law = _sheet(thickness).diffuse(a, v)
    return fisher_information(Gaussian(*law.gaussian()))


@cache
def _bias(kind: str, sde: LinearSDE, t: float, thickness: float) -> Estimate:
    """``W2(p_t, p_0)``."""
    kernel = sde.kernel(t)
    a, v = float(kernel.scale), float(kernel.variance)
    if kind == "sheet":
        start = _sheet(thickness)
        value = start.diffuse(a, v).w2(start)
        return quadrature_estimate(value, 1e3 * EPS * value + 1e-14, n=1)
    thick, wide = thickness**2, (a * thickness) ** 2 + v
    # difference of the deviations across, without cancellation
    across = (wide - thick) / (math.sqrt(wide) + thickness)
    start, end = _inside().diffuse(1.0, thick), _inside().diffuse(a, wide)
    fine, coarse = (_transport(start, end, h) for h in (0.03, 0.04))
    value = math.hypot(across, fine)
    return quadrature_estimate(value, abs(fine - coarse) * fine / value + 1e-12, n=700)


def _transport(p: GaussianMixture, q: GaussianMixture, h: float) -> float:
    """W2 on the line, ``int (T(x) - x)^2 p(x) dx`` with ``F_q(T(x)) = F_p(x)``, for q close to p."""
    x = np.arange(-5.0, 8.0, h) + 0.37 * h
    density = np.exp(p.log_prob(x[:, None]))
    # Beyond, a rounding of F would move T by more than it moves; the mass there is below 1e-12.
    x, density = x[density > 1e-12, None], density[density > 1e-12]
    moved, level = x.copy(), p.cdf(x)
    for _ in range(4):  # Newton from x, to which T is close
        moved -= ((q.cdf(moved) - level) / np.exp(q.log_prob(moved)))[:, None]
    return math.sqrt(float(h * density @ (moved - x)[:, 0] ** 2))


CODIMENSION = {"line": 1, "sheet": 3}
DIMENSION = {"line": 2, "sheet": 5}
SQUARE = {
    "line": float((_inside().mean ** 2 + np.diag(_inside().covariance))[0]),
    "sheet": 1.7 + 0.3 + 0.8**2 + 0.4**2,
}  #: E|x_0|^2


def _time(sde: LinearSDE, std: float) -> float:
    """The time at which the noise, relative to the data, has that standard deviation."""
    return float(sde.time_of_noise_level(std))


def _split(across: Mapping[str, int], within: float = 1.0) -> Check:
    """``E|grad log p_t|^2`` over ``(d - r)/sd^2 + I(within)``, two noise levels, two diffusions."""

    def check(ctx: Context) -> Evidence:
        rests, bounds, nodes = [], [], 0
        for name in ("VP", "sub-VP"):
            sde = STARTS[name][0]
            for std in (0.3, NEAR):
                t = _time(sde, std)
                kernel = sde.kernel(t)
                a, v = float(kernel.scale), float(kernel.variance)
                inner = {
                    "line": fisher_information(_inside().diffuse(a, v)).value,
                    "sheet": 1 / (a**2 * 1.7 + v) + 1 / (a**2 * 0.3 + v),
                }
                for kind, codimension in across.items():
                    found = _information(kind, sde, t, 0.0)
                    rests.append(found.value / (codimension / v + within * inner[kind]) - 1)
                    bounds.append(found.half_width / found.value)
                    nodes += found.n
        return agreement(
            np.array(rests),
            np.zeros(len(rests)),
            # the covariance of the sheet is assembled and taken apart, with condition number up to 2e6
            bound=max(bounds) + 2e6 * 16 * EPS,
            tolerance=1e-6,
            kind="quadrature",
            n=nodes,
            message="E|score|^2 against (d - r)/sd^2 plus the information within the subspace, relative",
        )

    return check


def _growth(thickness: float = 0.0, power: float = 1.0) -> Check:
    """``-d log E|score|^2 / d log t`` near zero over the power in which the variance starts: one."""

    def check(ctx: Context) -> Evidence:
        found = []
        for name, (sde, order) in STARTS.items():
            t = 1e-3 if name == "EDM" else 1e-5
            # the plane by quadrature under one diffusion, in closed form under all of them
            for kind in ("line", "sheet") if name == "VP" else ("sheet",):
                early, late = (_information(kind, sde, s, thickness) for s in (t / 2, t))
                slope = math.log2(early.value / late.value) / order
                error = 2 * (early.half_width / early.value + late.half_width / late.value)
                found.append(quadrature_estimate(slope, error + 1e-7, n=early.n + late.n))
        slopes = [e - power for e in found]
        apart = hull([*slopes, *(-e for e in slopes)], max)
        size = _information("sheet", VP(), 1e-5, thickness).value
        message = (
            f"largest gap of the exponent of E|score|^2 in t to {power:g} times that of the variance (VP at t = 1e-5, "
            f"d = 5, r = 2: root mean square {math.sqrt(size):.4g})"
        )
        return shown(apart, (-math.inf, 0.02), ctx, message)

    return check


def _first_order(kind: str, sde: LinearSDE, t: float, codimension: int, shrinks: bool) -> float:
    """``sqrt((d - r) sd^2 + (1 - a)^2 E|x_0|^2)``, or without the second term."""
    kernel = sde.kernel(t)
    shrunk = (1 - float(kernel.scale)) ** 2 * SQUARE[kind] if shrinks else 0.0
    return math.sqrt(codimension * float(kernel.variance) + shrunk)


def _lost(
    codimension: Mapping[str, int], *, thickness: float = 0.0, shrinks: bool = True
) -> Check:
    """``W2(p_t, p_0)`` over its first order, where the noise has standard deviation 1e-3, four diffusions."""

    def check(ctx: Context) -> Evidence:
        found = []
        for sde, _ in STARTS.values():
            t = _time(sde, NEAR)
            for kind, c in codimension.items():
                unit = _first_order(kind, sde, t, c, shrinks)
                found.append(_bias(kind, sde, t, thickness) * (1 / unit) - 1.0)
        apart = hull([*found, *(-e for e in found)], max)
        message = (
            f"W2(p_t, p_0) over its first order in the noise, at sd = {NEAR:g}, less one, largest"
        )
        return shown(apart, (-math.inf, 2e-3), ctx, message)

    return check


def _trade(codimension: Mapping[str, int], thickness: float = 0.0) -> Check:
    """Root mean square of the score times the bias, over ``d - r``, where sd = 1e-3; VP, VE and EDM."""

    def check(ctx: Context) -> Evidence:
        products, errors = [], []
        for name in ("VP", "VE", "EDM"):
            sde = STARTS[name][0]
            t = _time(sde, NEAR)
            for kind, c in codimension.items():
                score, bias = _information(kind, sde, t, thickness), _bias(kind, sde, t, thickness)
                value = math.sqrt(score.value) * bias.value / c
                rough = score.half_width / score.value + bias.half_width / bias.value
                products.append(value)
                errors.append(value * rough + 1e-9)
        k = int(np.argmax(np.abs(np.array(products) - 1)))
        return number(
            products[k],
            error=max(errors),
            allowed=(1 - 1e-3, 1 + 1e-3),
            kind="quadrature",
            n=len(products),
            message=f"root mean square of the score times W2(p_t, p_0), over d - r: {products[k]:.6f} at sd = "
            f"{NEAR:g}",
        )

    return check


def _both(ctx: Context) -> Mapping[str, Any]:
    """Root mean square of the score and bias of stopping against t, for data on the plane in five dimensions."""
    t = np.geomspace(1e-6, 1.0, 40)
    series, values = [], {"score": _information, "bias": _bias}
    for colour, name in enumerate(("VP", "VE")):
        sde = STARTS[name][0]
        for what, style in (("score", "line"), ("bias", "dashed")):
            found = np.array([values[what]("sheet", sde, float(s), 0.0).value for s in t])
            y = np.sqrt(found) if what == "score" else found
            label = "rms score" if what == "score" else "W2 to the data"
            series.append(
                {
                    "label": f"{name}, {label}",
                    "x": listed(t),
                    "y": listed(y),
                    "style": style,
                    "colour": colour,
                }
            )
    return {
        "kind": "lines",
        "title": "Stopping at t: size of the score and bias",
        "alt": "The root mean square of the score falls with t like one over the noise while the bias of stopping "
        "there grows like the noise",
        "xlabel": "t",
        "xscale": "log",
        "yscale": "log",
        "series": series,
    }


def _figures(sde: LinearSDE, t: float) -> str:
    score = math.sqrt(_information("sheet", sde, t, 0.0).value)
    return f"t = {t:g} gives {score:.3g} and {_bias('sheet', sde, t, 0.0).value:.2g}"


def _finding(evidence: Mapping[str, Evidence]) -> str:
    vp = "; ".join(_figures(VP(), t) for t in (1e-5, 1e-3))
    ve = "; ".join(_figures(VE(), t) for t in (1e-5, 1e-3))
    return (
        "E|score|^2 = (d - r)/sd^2 plus a bounded part and W2(p_t, p_0)^2 = (d - r) sd^2 + (1 - a)^2 E|x_0|^2 to "
        "first order. So the root mean square of the score times the bias tends to d - r under VP, VE and EDM "
        f"({evidence['trade'].value:.6f} of it at sd = {NEAR:g}), and to more under sub-VP, where 1 - a is sd/2; sd "
        "goes to zero like sqrt(t) under VP and VE, like t under sub-VP and EDM. Rms score and bias, "
        f"d = 5, r = 2: VP {vp}; VE {ve}. Data that fill the space have a bounded score and a bias of second order."
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "D10",
        r"as $t \to 0$ the score of data on a manifold diverges; stopping at $t > 0$ trades that for a bias",
        checks={
            "split": _split(CODIMENSION),
            "growth": _growth(),
            "bias": _lost(CODIMENSION),
            "trade": _trade(CODIMENSION),
        },
        mutants={
            "split": [
                named(_split(DIMENSION), "dimension-for-codimension"),
                named(_split(CODIMENSION, within=0.0), "nothing-within"),
            ],
            "growth": [
                named(_growth(thickness=0.1), "data-fill-the-space"),
                named(_growth(power=2.0), "twice-the-exponent"),
            ],
            "bias": [
                named(_lost(DIMENSION), "dimension-for-codimension"),
                named(_lost(CODIMENSION, thickness=0.1), "data-fill-the-space"),
                named(_lost(CODIMENSION, shrinks=False), "shrinking-of-the-data-left-out"),
            ],
            "trade": [
                named(_trade(DIMENSION), "dimension-for-codimension"),
                named(_trade(CODIMENSION, thickness=0.1), "data-fill-the-space"),
            ],
        },
        source=("004",),
        assumptions=(
            "the text says that 'the score can diverge' and that 'truncating the process helps stabilize training "
            "and sampling'; read as: the mean square of the score goes to infinity as t goes to zero, while at t > 0 "
            "it is finite and the law is off from that of the data (W2)",
            "the manifold is a linear subspace: a mixture on a line in the plane, a Gaussian on a plane in five "
            "dimensions; a curved one adds terms of lower order",
        ),
        finding=_finding,
        figure=_both,
        role="printed",
        group="ledger",
    ),
)
