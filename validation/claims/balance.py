"""Ledger, weights that balance a loss over noise levels and times: O17 and O18."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from scipy import integrate

from ...numerics.estimate import Estimate
from ...numerics.objectives_denoising import DSM
from ...numerics.objectives_multilevel import MultiLevelDSM, WeightedDSM
from ...theory.protocols import Vector
from ...theory.sde import EDM, OU, VE, VP, ExponentialNoise, LinearSDE, StraightPath, SubVP
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report.pictures import listed
from .averages import KURTOSIS, TOLERANCE, drawn_mean, hull, largest, number_of, shown
from .equivalence import posterior_trace
from .fields import zero
from .grams import LAWS, noised
from .laws import skewed_1d, skewed_8d
from .score_sizes import RANGE, information, widest
from .tools import agreement, named

ORDER = "'the same order of magnitude': largest over smallest at most 10"


def _least_loss(dim: int, std: float) -> Estimate:
    """``E|s* - target|^2 = E tr Cov[x|x~] / sigma^4`` at the optimum, without cancellation."""
    return posterior_trace(dim, std) * std**-4


def _spread_at_optimum(power: float) -> Check:
    """Largest over smallest ``sigma^power L`` at the optimum, over levels, d = 1 and 2."""

    def check(ctx: Context) -> Evidence:
        found, texts = [], []
        for dim in LAWS:
            values = [_least_loss(dim, std) * std**power for std in RANGE]
            found.append(widest(values))
            texts.append(f"from {values[0].value:.4g} to {values[-1].value:.3g} (d = {dim})")
        worst = hull(found, max)
        message = (
            f"at the optimum sigma^{power:g} L goes {', '.join(texts)}; largest over smallest"
        )
        return shown(worst, (0.0, 10.0), ctx, message)

    return check


def _drawn_spread(power: float) -> Check:
    """The same between the two ends of the range on draws in eight dimensions."""

    def check(ctx: Context) -> Evidence:
        found = []
        for std in (RANGE[0], RANGE[-1]):
            loss = DSM(skewed_8d(), 1.0, std**2, factor=1.0)

            def values(*draws: Vector, loss: DSM = loss) -> Vector:
                return loss.terms(loss.marginal, *draws)

            found.append(drawn_mean(values, loss, ctx, pieces=2) * std**power)
        message = f"at the optimum sigma^{power:g} L in d = 8, largest over smallest"
        return shown(widest(found), (0.0, 10.0), ctx, message)

    return check


def _zero_model(power: float) -> Check:
    """Largest over smallest ``sigma^power L`` of ``s = 0``, with the loss of the library."""

    def check(ctx: Context) -> Evidence:
        values = []
        for std in (0.01, 1.0, 50.0):
            loss = MultiLevelDSM(skewed_1d(), [std], [std**power])
            values.append(loss.quadrature(lambda x, s: np.zeros_like(x)))
        message = (
            f"for s = 0, sigma^{power:g} L is {', '.join(f'{v.value:.4g}' for v in values)}; ratio"
        )
        return shown(widest(values), (0.0, 10.0), ctx, message)

    return check


def _constant(power: float) -> Check:
    """``sigma^power L(0) / D`` against one on draws in eight dimensions."""

    def check(ctx: Context) -> Evidence:
        rests = []
        for std in (0.05, 1.0, 20.0):
            loss = DSM(skewed_8d(), 1.0, std**2, factor=1.0)
            found = drawn_mean(lambda *a, f=loss: f.terms(zero(), *a), loss, ctx, pieces=3)
            rests.append(found * (std**power / 8) - 1.0)
        return largest(rests, 1.0, 0.05, ctx, "sigma^2 L / D - 1 for s = 0, d = 8")

    return check


def _closed_form(power: float) -> Check:
    """``sigma^2 L = D - sigma^2 E|grad log q|^2`` against ``E tr Cov[x|x~] / sigma^power``, over D."""

    def check(ctx: Context) -> Evidence:
        rests = []
        for dim in LAWS:
            for std in (0.05, 0.2, 1.0, 5.0):
                direct = dim - information(dim, std) * std**2
                rests.append((direct - posterior_trace(dim, std) * std**-power) * (1 / dim))
        message = "D - sigma^2 E|grad log q|^2 against E tr Cov[x|x~] / sigma^2, over D"
        return largest(rests, 1.0, TOLERANCE, ctx, message)

    return check


def _ends(small: float, large: float) -> Check:
    """Weighted loss at the optimum against ``D`` at the lowest level and ``tr Cov[x] / sigma^2`` at the highest."""

    def check(ctx: Context) -> Evidence:
        rests = []
        for dim, law in LAWS.items():
            total = float(np.trace(law().covariance))
            low, high = RANGE[0], RANGE[-1]
            rests.append(_least_loss(dim, low) * (low**2 / (small * dim)) - 1.0)
            rests.append(_least_loss(dim, high) * (high**4 / (large * total)) - 1.0)
        message = "weighted loss at the optimum over D at sigma = 0.01 and over tr Cov[x] / sigma^2 at 50"
        return largest(rests, 1.0, 0.02, ctx, message)

    return check


def _curves(ctx: Context) -> dict[str, Any]:
    stds = np.geomspace(0.01, 50, 19)
    series = [
        {
            "label": f"at the optimum, D = {dim}",
            "x": listed(stds),
            "y": listed([_least_loss(dim, float(s)).value * s**2 / dim for s in stds]),
            "style": "line",
        }
        for dim in LAWS
    ]
    flat = {"label": "s = 0", "x": listed(stds), "y": [1.0] * len(stds), "style": "dashed"}
    return {
        "kind": "lines",
        "title": r"Weighted loss $\sigma^2 L / D$ at each noise level",
        "alt": "The weighted loss of the zero model is constant; at the optimum it falls with the noise",
        "caption": r"At the optimum $\sigma^2 L = \sigma^{-2} E\,\mathrm{tr}\,\mathrm{Cov}[x \mid \tilde x]$.",
        "xlabel": r"$\sigma$",
        "ylabel": r"$\sigma^2 L / D$",
        "xscale": "log",
        "yscale": "log",
        "slopes": [-2],
        "series": [*series, flat],
    }


def _seventeenth() -> Claim:
    return Claim(
        "O17",
        r"with $\lambda_i = \sigma_i^2$ the weighted loss $\lambda_i L_i$ has the same order of magnitude at all "
        r"levels, at the optimum and for the zero model",
        checks={
            "optimum": _spread_at_optimum(2.0),
            "draws": _drawn_spread(2.0),
            "zero-model": _zero_model(2.0),
        },
        mutants={
            "optimum": [
                named(_spread_at_optimum(0.0), "no-weight"),
                named(_spread_at_optimum(1.0), "weight-sigma"),
            ],
            "draws": [named(_drawn_spread(0.0), "no-weight")],
            "zero-model": [
                named(_zero_model(1.0), "weight-sigma"),
                named(_zero_model(0.0), "no-weight"),
            ],
        },
        source=("000", "001"),
        assumptions=(
            ORDER,
            "sigma from 0.01 to 50 on skewed mixtures of standard deviation one to two",
            KURTOSIS,
        ),
        finding=lambda e: (
            f"{e['zero-model'].message} (d = 1); {e['optimum'].message}, "
            f"and in eight dimensions {number_of(e['draws']):.3g}."
        ),
        figure=_curves,
        role="printed",
        group="ledger",
        correction=Claim(
            "O17",
            r"with $\lambda_i = \sigma_i^2$ the weighted loss of $s = 0$ is $D$ at every level; at the optimum it is "
            r"$D - \sigma^2 E|\nabla\log q_\sigma|^2 = \sigma^{-2} E\,\mathrm{tr}\,\mathrm{Cov}[x \mid \tilde x]$, "
            r"from $D$ for small noise down to $\mathrm{tr}\,\mathrm{Cov}[x]/\sigma^2$ for large",
            checks={
                "zero-model": _constant(2.0),
                "closed-form": _closed_form(2.0),
                "ends": _ends(1.0, 1.0),
            },
            mutants={
                "zero-model": [named(_constant(1.0), "weight-sigma")],
                "closed-form": [
                    named(_closed_form(4.0), "sigma-to-minus-four"),
                    named(_closed_form(1.0), "sigma-to-minus-one"),
                ],
                "ends": [named(_ends(2.0, 1.0), "twice-D"), named(_ends(1.0, 0.5), "half-spread")],
            },
            assumptions=(
                "the two limits within 2 % at sigma = 0.01 and 50",
                KURTOSIS,
            ),
            group="ledger",
        ),
    )


def _integral(low: float, high: float) -> Callable[[Vector], Vector]:
    return lambda t: low * t + 0.5 * (high - low) * t * t


def _cosine(t: Vector) -> Vector:
    def angle(u: Vector | float) -> Any:
        return 0.5 * math.pi * (u + 0.008) / 1.008

    return 1 - (np.cos(angle(t)) / np.cos(angle(0.0))) ** 2


_B = _integral(0.1, 20.0)
FRACTIONS = np.array([0.02, 0.1, 0.3, 0.6, 0.9])

#: name -> diffusion, variance of x_t given x_0 written out by hand, the same in words
TABLE: Mapping[str, tuple[LinearSDE, Callable[[Vector], Vector], str]] = {
    "VP": (VP(), lambda t: 1 - np.exp(-_B(t)), "1 - e^-B(t)"),
    "VP, constant": (VP.constant(3.0), lambda t: 1 - np.exp(-3 * t), "1 - e^(-beta t)"),
    "VP, cosine": (VP.cosine(), _cosine, "1 - (cos u(t) / cos u(0))^2"),
    "sub-VP": (SubVP(), lambda t: (1 - np.exp(-_B(t))) ** 2, "(1 - e^-B(t))^2"),
    "VE": (
        VE(0.01, 50.0),
        lambda t: 1e-4 * (5000.0 ** (2 * t) - 1),
        "sigma(t)^2 - sigma(0)^2",
    ),
    "OU": (
        OU(0.7, 1.1),
        lambda t: 1.21 / 1.4 * (1 - np.exp(-1.4 * t)),
        "sigma^2 (1 - e^(-2 theta t)) / (2 theta)",
    ),
    "EDM": (EDM(), lambda t: t * t, "t^2"),
    "straight path": (StraightPath(), lambda t: t * t, "t^2"),
    "e^t dw": (ExponentialNoise(), lambda t: 0.5 * (np.exp(2 * t) - 1), "(e^(2t) - 1) / 2"),
}


@cache
def _solved(name: str) -> Vector:
    """Variance of ``x_t`` given ``x_0`` at :data:`FRACTIONS` of the end, from its moment equation."""
    sde = TABLE[name][0]
    times = FRACTIONS * sde.t_max

    def slope(t: float, v: Vector) -> Vector:
        return 2 * float(sde.drift(t)) * v + float(sde.diffusion(t)) ** 2

    return integrate.solve_ivp(
        slope,
        (0.0, float(times[-1])),
        [0.0],
        method="DOP853",
        t_eval=times,
        rtol=1e-11,
        atol=1e-14,
    ).y[0]


def _weights(power: float, shape: Callable[[Vector], Vector] | None = None) -> Check:
    """``lambda(t) E|grad log q(x_t|x_0)|^2`` for ``lambda = variance^power / D`` against one, every diffusion.

    The second moment is ``D / v(t)`` with v from the moment equation ``v' = 2 f v + g^2`` of the drift and noise.
    """

    def check(ctx: Context) -> Evidence:
        products = []
        for name, (sde, closed, _) in TABLE.items():
            times = FRACTIONS * sde.t_max
            solved = _solved(name)
            variance = closed(times) if shape is None else shape(times)
            products.append(variance**power / solved)
        found = np.concatenate(products)
        return agreement(
            found,
            np.ones(found.size),
            # tolerance of the integrator, a thousandfold
            bound=1e-8,
            tolerance=TOLERANCE,
            kind="quadrature",
            n=found.size,
            message=f"lambda times the second moment of the target, {len(TABLE)} diffusions at five times",
        )

    return check


def _drawn_weights(power: float) -> Check:
    """Continuous loss of ``s = 0`` with ``lambda = variance^power / D`` on draws: one if it is balanced at all t."""

    def check(ctx: Context) -> Evidence:
        rests = []
        names = ("VP", "straight path", "e^t dw")
        for name in names:
            sde, closed, _ = TABLE[name]
            loss = WeightedDSM(
                skewed_8d(), sde, lambda t, f=closed: f(t) ** power / 8, t_min=1e-3, factor=1.0
            )
            n = min(ctx.budget // len(names), 12_000)
            level = ctx.level / len(names)
            found = loss.estimate(
                lambda x, t: np.zeros_like(x),
                n=n,
                rng=ctx.rng,
                level=level,
            )
            rests.append(found - 1.0)
        message = f"continuous loss of s = 0 less one, d = 8, diffusions {', '.join(names)}"
        return largest(rests, 1.0, 0.15, ctx, message)

    return check


def _at_optimum(optimal: bool) -> Check:
    """Largest over smallest weighted loss of the optimal (or the zero) model over t, VP on the line."""

    def check(ctx: Context) -> Evidence:
        values, sde = [], VP()
        for t in (0.001, 0.01, 0.1, 0.3, 0.6, 1.0):
            kernel = sde.kernel(t)
            a, std = float(kernel.scale), float(kernel.std)
            if optimal:
                values.append(posterior_trace(1, std, a) * (a / std) ** 2)
            else:
                values.append(noised(1, std, a).square({"target": 1.0}) * std**2)
        message = "under VP at the optimum, largest over smallest weighted loss over t"
        return shown(widest(values), (10.0, math.inf), ctx, message, deciding=False)

    return check


def _eighteenth() -> Claim:
    return Claim(
        "O18",
        r"$\lambda(t) = 1 / E|\nabla\log p(x_t \mid x_0)|^2$ balances the continuous loss; it is "
        r"$\mathrm{sd}(t)^2 / D$",
        checks={
            "closed-form": _weights(1.0),
            "draws": _drawn_weights(1.0),
            "optimum": _at_optimum(True),
        },
        mutants={
            "closed-form": [
                named(_weights(0.5), "deviation-for-variance"),
                named(_weights(1.0, lambda t: t), "one-formula-for-all"),
            ],
            "draws": [named(_drawn_weights(2.0), "variance-squared")],
            "optimum": [named(_at_optimum(False), "zero-model")],
        },
        source=("001",),
        assumptions=(
            "'balances': the weighted second moment of the regression target, which is the loss of s = 0, is one "
            "at all t; the loss at the optimum does not decide",
            KURTOSIS,
        ),
        finding=lambda e: (
            "lambda D = "
            + "; ".join(f"{words} ({name})" for name, (_, _, words) in TABLE.items())
            + f". At the optimum the weighted loss is not balanced: {e['optimum'].message}."
        ),
        role="printed",
        group="ledger",
    )


CLAIMS: tuple[Claim, ...] = (_seventeenth(), _eighteenth())
