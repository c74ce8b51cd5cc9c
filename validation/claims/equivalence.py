"""Ledger, what the denoising loss is equal to: O9, O10 and O22."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ...numerics.estimate import Estimate
from ...numerics.objectives import ESM
from ...numerics.objectives_denoising import DSM
from ...numerics.score_models import ScoreModel
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report.pictures import listed
from .averages import (
    KURTOSIS,
    TOLERANCE,
    drawn_mean,
    grid_means,
    information_bound,
    largest,
    number_of,
    ratio,
    shown,
)
from .denoising import DRAWN, DRAWN_STD, SMOOTH, STDS, THREE
from .fields import bent, rippled
from .grams import LAWS, MODELS, clean, noised
from .laws import skewed_8d
from .tools import named, number


@cache
def posterior_trace(dim: int, std: float, scale: float = 1.0) -> Estimate:
    """``E tr Cov[x_0 | x_t]`` by quadrature over ``x_t``, d <= 2."""
    base = LAWS[dim]()
    law = base.diffuse(scale, std**2)

    def values(x: Vector) -> Vector:
        spread = np.trace(base.posterior_covariance(x, scale, std**2), axis1=-2, axis2=-1)
        return (spread * np.exp(law.log_prob(x)))[:, None]

    return grid_means(values, law)[0]


def _equality(constant: str, target: float = -1.0) -> Check:
    """``E|s - target|^2 - E|s - s*|^2 - C`` over ``d / sigma^2`` for every model, d = 1 and 2.

    ``constant``: ``none``; ``posterior`` ``E tr Cov / sigma^4``; ``fisher`` ``d/sigma^2 - E|s*|^2``; ``same``, the
    value for the first model; ``power`` and ``half``, wrong ones.
    """

    def check(ctx: Context) -> Evidence:
        rests, units, texts = [], [], []
        for dim in LAWS:
            for std in STDS:
                g = noised(dim, std)
                gaps = [
                    g.square({name: 1.0, "target": target}) - g.square({name: 1.0, "score": -1.0})
                    for name in MODELS
                ]
                spread = posterior_trace(dim, std)
                fixed = {
                    "none": spread * 0.0,
                    "posterior": spread * std**-4,
                    "fisher": -(g.square({"score": 1.0}) - dim / std**2),
                    "same": gaps[0],
                    "power": spread * std**-2,
                    "half": spread * (0.5 * std**-4),
                }[constant]
                kept = gaps[1:] if constant == "same" else gaps
                rests += [gap - fixed for gap in kept]
                units += [dim / std**2] * len(kept)
                texts.append(f"{gaps[0].value:.5g} (d = {dim}, sigma = {std:g})")
        message = f"denoising minus explicit loss is {', '.join(texts)}; relative rest"
        return largest(rests, units, TOLERANCE, ctx, message)

    return check


def _drawn_equality(constant: str, target: float = -1.0) -> Check:
    """The same on draws in eight dimensions."""

    def check(ctx: Context) -> Evidence:
        base, std = skewed_8d(), DRAWN_STD
        objective = DSM(base, 1.0, std**2, factor=1.0)
        noisy = objective.marginal
        rests = []
        for model in (bent(8), rippled(noisy)):

            def values(x0: Vector, eps: Vector, model: ScoreModel = model) -> Vector:
                x, goal = x0 + std * eps, -target * eps / std
                s, truth = model(x), noisy.score(x)
                gap = ((s + goal) ** 2).sum(1) - ((s - truth) ** 2).sum(1)
                if constant == "same":
                    return gap - (goal**2).sum(1) + (truth**2).sum(1)
                if constant == "none":
                    return gap
                spread = base.posterior_covariance(x, 1.0, std**2)
                weight = {"posterior": std**-4, "power": std**-2}[constant]
                return gap - weight * np.trace(spread, axis1=-2, axis2=-1)

            rests.append(drawn_mean(values, objective, ctx, pieces=2))
        message = "denoising minus explicit loss and constant, over d / sigma^2, two models, d = 8"
        return largest(rests, 8 / std**2, DRAWN, ctx, message)

    return check


def _with_constant(id: str, **parts: Any) -> Claim:
    """Denoising loss = explicit loss on the noised law + C, with C in closed form."""
    return Claim(
        id,
        r"$E|s(\tilde x) - \nabla\log q(\tilde x \mid x)|^2 = E_q|s - \nabla\log q_\sigma|^2 + C$ with "
        r"$C = \sigma^{-4} E\,\mathrm{tr}\,\mathrm{Cov}[x \mid \tilde x]$, free of $s$",
        checks={
            "quadrature": _equality("posterior"),
            "information": _equality("fisher"),
            "draws": _drawn_equality("posterior"),
        },
        mutants={
            "quadrature": [
                named(_equality("power"), "sigma-to-minus-two"),
                named(_equality("half"), "half-the-constant"),
            ],
            "information": [named(_equality("fisher", 1.0), "target-with-a-plus")],
            "draws": [
                named(_drawn_equality("power"), "sigma-to-minus-two"),
                named(_drawn_equality("posterior", 1.0), "target-with-a-plus"),
            ],
        },
        assumptions=(
            SMOOTH,
            THREE,
            KURTOSIS,
        ),
        group="ledger",
        finding=lambda e: (
            f"{e['quadrature'].message} for C = E tr Cov[x|x~] / sigma^4, and {number_of(e['information']):.2g} "
            "for the same constant written d / sigma^2 - E|grad log q_sigma|^2."
        ),
        **parts,
    )


def _ninth() -> Claim:
    return Claim(
        "O9",
        r"$E_q|s - \nabla\log q_\sigma|^2 = E|s(\tilde x) - \nabla\log q(\tilde x \mid x)|^2$, with no constant, for "
        r"$p$ not a point mass",
        checks={"quadrature": _equality("none"), "draws": _drawn_equality("none")},
        mutants={
            "quadrature": [
                named(_equality("none", 1.0), "target-with-a-plus"),
                named(_equality("none", -2.0), "target-doubled"),
            ],
            "draws": [named(_drawn_equality("none", 1.0), "target-with-a-plus")],
        },
        source=("001",),
        assumptions=(
            SMOOTH,
            THREE,
            KURTOSIS,
        ),
        finding=lambda e: (
            f"The two sides differ: {e['quadrature'].message}; the gap, E tr Cov[x|x~] / sigma^4, vanishes only "
            "for a point mass."
        ),
        role="printed",
        group="ledger",
        correction=_with_constant("O9"),
    )


def _tenth() -> Claim:
    full = _with_constant("O10")
    return Claim(
        "O10",
        r"$E_q|s - \nabla\log q_\sigma|^2$ and $E|s(\tilde x) - \nabla\log q(\tilde x \mid x)|^2$ are equal up to a "
        r"constant that does not depend on $s$",
        checks={
            "quadrature": _equality("same"),
            "draws": _drawn_equality("same"),
            "constant": full.checks["quadrature"],
            "information": full.checks["information"],
        },
        mutants={
            "quadrature": [
                named(_equality("same", 1.0), "target-with-a-plus"),
                named(_equality("same", -0.5), "target-halved"),
            ],
            "draws": [named(_drawn_equality("same", 1.0), "target-with-a-plus")],
            "constant": list(full.mutants["quadrature"]),
            "information": list(full.mutants["information"]),
        },
        source=("003", "004"),
        assumptions=(
            SMOOTH,
            THREE,
            KURTOSIS,
        ),
        finding=lambda e: (
            f"C = E tr Cov[x|x~] / sigma^4 = d / sigma^2 - E|grad log q_sigma|^2: {e['constant'].message}."
        ),
        role="printed",
        group="ledger",
    )


@cache
def _left(dim: int, std: float) -> Estimate:
    """``E_p|grad log q_sigma - grad log p|^2 / E_p|grad log p|^2`` by quadrature, d <= 2."""
    base = LAWS[dim]()
    law = base.diffuse(1.0, std**2)

    def values(x: Vector) -> Vector:
        truth = base.score(x)
        both = ((law.score(x) - truth) ** 2).sum(1), (truth**2).sum(1)
        return np.stack(both, 1) * np.exp(base.log_prob(x))[:, None]

    return ratio(*grid_means(values, base))


def _on_data(stds: tuple[float, ...]) -> Check:
    """Explicit loss under p that the minimiser of the denoising loss leaves, relative to that of ``s = 0``."""

    def check(ctx: Context) -> Evidence:
        found = [_left(dim, std) for dim in LAWS for std in stds]
        texts = [f"{e.value:.3g}" for e in found]
        message = f"at sigma = {', '.join(map(str, stds))}, d = 1 then 2, the minimiser leaves {', '.join(texts)}"
        return largest(found, 1.0, 1e-6, ctx, message)

    return check


def _drawn_on_data(std: float) -> Check:
    def check(ctx: Context) -> Evidence:
        law = skewed_8d()
        noisy = law.diffuse(1.0, std**2)

        def values(x: Vector) -> Vector:
            return ((noisy.score(x) - law.score(x)) ** 2).sum(1)

        found = drawn_mean(values, ESM(law), ctx) * (1 / information_bound(law))
        return shown(
            found, (0.0, 0.01), ctx, f"relative loss left in eight dimensions, sigma = {std:g}"
        )

    return check


def _differences(on_data: bool, share: float = 1.0) -> Check:
    """``E|s - target|^2 - share E|s - truth|^2`` over models, under p or under the noised law."""

    def check(ctx: Context) -> Evidence:
        rests, units, texts = [], [], []
        for dim in LAWS:
            for std in STDS:
                g = noised(dim, std)
                under = clean(dim) if on_data else g
                gaps = [
                    g.square({name: 1.0, "target": -1.0})
                    - under.square({name: 1.0, "score": -1.0}) * share
                    for name in ("linear", "bent")
                ]
                rests.append(gaps[1] - gaps[0])
                units.append(dim / std**2)
                texts.append(f"{gaps[0].value:.4g} and {gaps[1].value:.4g}")
        message = (
            f"denoising minus explicit loss of two models: {'; '.join(texts)}; relative difference"
        )
        return largest(rests, units, TOLERANCE, ctx, message)

    return check


def _rate(low: float, high: float) -> Check:
    """Order in sigma of what the minimiser leaves under p."""

    def check(ctx: Context) -> Evidence:
        orders = []
        for dim in LAWS:
            fine, coarse = _left(dim, 0.01), _left(dim, 0.02)
            orders.append(float(np.log2(coarse.value / fine.value)))
        error = max(_left(d, 0.01).half_width / _left(d, 0.01).value for d in LAWS) * 4
        worst = max(orders, key=lambda order: abs(order - 4))
        return number(
            worst,
            error=error,
            allowed=(low, high),
            kind="quadrature",
            n=4,
            message=f"the loss left under p falls as sigma to the power {worst:.3f} at sigma = 0.01",
        )

    return check


def _loss_left(ctx: Context) -> dict[str, Any]:
    stds = np.geomspace(0.02, 2.0, 13)
    return {
        "kind": "lines",
        "title": r"Explicit loss on $p$ left by the score of $q_\sigma$",
        "alt": "The score of the noised law misses that of the data law by a share that grows with the noise",
        "caption": r"Relative to $E_p|\nabla\log p|^2$; it falls as $\sigma^4$, and is not zero.",
        "xlabel": r"$\sigma$",
        "ylabel": "relative loss",
        "xscale": "log",
        "yscale": "log",
        "slopes": [4],
        "series": [
            {
                "label": f"d = {dim}",
                "x": listed(stds),
                "y": listed([_left(dim, float(s)).value for s in stds]),
                "style": "line+points",
            }
            for dim in LAWS
        ],
    }


def _twenty_second() -> Claim:
    return Claim(
        "O22",
        r"denoising score matching is a cheaper equivalent of score matching on the data law itself",
        checks={
            "minimiser": _on_data((0.1, 0.3)),
            "draws": _drawn_on_data(0.5),
            "difference": _differences(on_data=True),
        },
        mutants={
            "minimiser": [named(_on_data((0.7, 1.5)), "more-noise")],
            "draws": [named(_drawn_on_data(1.5), "more-noise")],
            "difference": [named(_differences(on_data=True, share=0.5), "half-the-loss")],
        },
        source=("002",),
        assumptions=(
            "'equivalent': the same minimiser, hence an explicit loss on p of zero there, and losses that differ "
            "by a constant; the cost is not at issue",
            "small noise: sigma = 0.1 and 0.3 in one and two dimensions, 0.5 in eight",
            KURTOSIS,
        ),
        finding=lambda e: (
            f"The minimiser is the score of q_sigma: {e['minimiser'].message} of the explicit loss on p; in eight "
            f"dimensions {number_of(e['draws']):.3g}."
        ),
        figure=_loss_left,
        role="printed",
        group="ledger",
        correction=Claim(
            "O22",
            r"denoising score matching is equivalent to score matching on $q_\sigma = p * N(0, \sigma^2 I)$; on $p$ "
            r"its minimiser leaves an explicit loss of order $\sigma^4$",
            checks={
                "difference": _differences(on_data=False),
                "draws": _drawn_equality("same"),
                "rate": _rate(3.9, 4.1),
            },
            mutants={
                "difference": [
                    named(_differences(on_data=True), "on-the-data-law"),
                    named(_differences(on_data=False, share=0.5), "half-the-loss"),
                ],
                "draws": [named(_drawn_equality("same", 1.0), "target-with-a-plus")],
                "rate": [named(_rate(1.9, 2.1), "order-two")],
            },
            assumptions=(
                SMOOTH,
                THREE,
                "the order between sigma = 0.01 and 0.02, within 0.1",
                KURTOSIS,
            ),
            group="ledger",
            finding=lambda e: e["rate"].message + ".",
        ),
    )


CLAIMS: tuple[Claim, ...] = (_ninth(), _tenth(), _twenty_second())
