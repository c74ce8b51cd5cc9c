"""Ledger, explicit, implicit and sliced score matching: O1 to O5 and O25."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...numerics.objective_constants import fisher_information
from ...numerics.objectives import ESM, ISM
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence, interval
from ..report.pictures import listed
from .averages import KURTOSIS, TOLERANCE, drawn_mean, information_bound, largest, shown
from .fields import bent, fields, rippled, zero
from .grams import LAWS, MODELS, clean
from .laws import skewed_1d, skewed_8d
from .sample_loss import sample_claim
from .slices import sliced_claim
from .tools import EPS, named

DRAWN = (
    0.02  #: tolerance on draws, relative to the bound sum_k w_k tr Sigma_k^-1 of E|grad log p|^2
)
DECAY = "smooth positive densities that decay: skewed mixtures in one, two and eight dimensions"
EQUAL = "equal: within 1e-6 of E|grad log p|^2 by quadrature, on draws within 2 % of sum_k w_k tr Sigma_k^-1"
MODELS_READ = "'every model': a linear one, one with a hidden layer, one 10 % off the truth; no gradient fields"


@dataclass(frozen=True)
class Form:
    """``explicit E|s - grad log p|^2`` beside ``square E|s|^2 + slope E tr grad s``."""

    explicit: float
    square: float
    slope: float


HALVED = Form(0.5, 0.5, 1.0)
PRINTED = Form(1.0, 1.0, 1.0)
FULL = Form(1.0, 1.0, 2.0)


def _gaps(form: Form) -> Check:
    """``ESM - ISM`` for every model, against that of the first, in one and two dimensions."""

    def check(ctx: Context) -> Evidence:
        rests, units, texts = [], [], []
        for dim in LAWS:
            g = clean(dim)
            gaps = [
                g.square({name: 1.0, "score": -1.0}) * form.explicit
                - g.square({name: 1.0}) * form.square
                - g.slope({name: 1.0}) * form.slope
                for name in MODELS
            ]
            rests += [gap - gaps[0] for gap in gaps[1:]]
            units += [form.explicit * g.products[0, 0]] * (len(gaps) - 1)
            texts.append(", ".join(f"{gap.value:.4f}" for gap in gaps) + f" (d = {dim})")
        message = f"explicit minus implicit loss of three models is {'; '.join(texts)}; relative differences"
        return largest(rests, units, TOLERANCE, ctx, message)

    return check


def _drawn_gaps(form: Form) -> Check:
    """``[ESM - ISM](s) - [ESM - ISM](0)`` on common draws in eight dimensions."""

    def check(ctx: Context) -> Evidence:
        law = skewed_8d()
        explicit = ESM(law, factor=form.explicit)
        implicit = ISM(law, factor=form.square, trace=form.slope / form.square)
        rests = []
        for model in (bent(8), rippled(law)):

            def values(x: Vector, model: Any = model) -> Vector:
                first = explicit.terms(model, x) - implicit.terms(model, x)
                return first - explicit.terms(zero(), x)

            rests.append(drawn_mean(values, implicit, ctx, pieces=2, most=140))
        unit = form.explicit * information_bound(law)
        message = "explicit minus implicit loss, two models against s = 0, d = 8"
        return largest(rests, unit, DRAWN, ctx, message)

    return check


def _value(form: Form, constant: float) -> Check:
    """The gap against ``constant E|grad log p|^2``, with the objectives of the library, on the line."""

    def check(ctx: Context) -> Evidence:
        law = skewed_1d()
        information = fisher_information(law)
        rests = [
            ESM(law, factor=form.explicit).quadrature(model)
            - ISM(law, factor=form.square, trace=form.slope / form.square).quadrature(model)
            - information * constant
            for model in fields(law).values()
        ]
        message = f"gap minus {constant:g} E|grad log p|^2 (which is {information.value:.6f}), three models"
        return largest(rests, information.value, TOLERANCE, ctx, message)

    return check


def _implicit_mutants(right: Form) -> dict[str, Form]:
    return {
        "trace-halved": Form(right.explicit, right.square, right.slope / 2),
        "trace-with-a-minus": Form(right.explicit, right.square, -right.slope),
        "square-doubled": Form(right.explicit, 2 * right.square, right.slope),
    }


def _equivalence(
    id: str, statement: str, form: Form, wrong: Mapping[str, Form], **parts: Any
) -> Claim:
    return Claim(
        id,
        statement,
        checks={"quadrature": _gaps(form), "draws": _drawn_gaps(form)},
        mutants={
            "quadrature": [named(_gaps(f), k) for k, f in wrong.items()],
            "draws": [named(_drawn_gaps(f), k) for k, f in list(wrong.items())[:1]],
        },
        assumptions=(DECAY, MODELS_READ, EQUAL, KURTOSIS),
        group="ledger",
        **parts,
    )


def _first() -> Claim:
    base = _equivalence("O1", "-", HALVED, _implicit_mutants(HALVED))
    return Claim(
        "O1",
        r"$\frac12 E_p|s - \nabla\log p|^2 = E_p[\mathrm{tr}(\nabla s) + \frac12|s|^2] + \mathrm{const}$",
        checks={**base.checks, "value": _value(HALVED, 0.5)},
        mutants={
            **base.mutants,
            "value": [
                named(_value(HALVED, 1.0), "constant-without-the-half"),
                named(_value(PRINTED, 1.0), "trace-without-the-two"),
            ],
        },
        source=("000", "002"),
        assumptions=(DECAY, MODELS_READ, EQUAL, KURTOSIS),
        finding=lambda e: (
            f"The constant is half the Fisher information of p: {e['value'].message}."
        ),
        role="printed",
        group="ledger",
    )


def _one_parameter(ctx: Context) -> dict[str, Any]:
    """Losses of ``s = theta grad log p`` on the line."""
    g = clean(1)
    theta = np.linspace(-0.2, 1.6, 37)
    information, trace = g.products[0, 0], g.slopes[0]
    explicit = (1 - theta) ** 2 * information
    printed, right = (
        theta**2 * information + slope * theta * trace + information for slope in (1.0, 2.0)
    )
    curves = (
        ("explicit loss", explicit, "line"),
        (r"printed: $|s|^2 + \mathrm{tr}$, plus $C$", printed, "dashed"),
        (r"with $2\,\mathrm{tr}$, plus $C$", right, "points"),
    )
    return {
        "kind": "lines",
        "title": r"Losses of $s = \theta\,\nabla\log p$",
        "alt": "The printed implicit loss has its minimum at half the score, the explicit one at the score",
        "caption": r"$C = E|\nabla\log p|^2$. The printed loss is least at $\theta = 1/2$.",
        "xlabel": r"$\theta$",
        "ylabel": "loss",
        "series": [
            {"label": label, "x": listed(theta), "y": listed(y), "style": style}
            for label, y, style in curves
        ],
    }


def _second() -> Claim:
    wrong = {"no-trace": Form(1.0, 1.0, 0.0), "trace-with-a-minus": Form(1.0, 1.0, -1.0)}
    return _equivalence(
        "O2",
        r"$E_p|s - \nabla\log p|^2 = E_p[|s|^2 + \mathrm{tr}(\nabla s)] + C$ with $C$ free of $s$",
        PRINTED,
        wrong,
        source=("001",),
        role="printed",
        finding=lambda e: (
            f"The difference depends on the model: {e['quadrature'].message}. Integration by parts gives "
            "the trace a factor 2."
        ),
        figure=_one_parameter,
        correction=_equivalence(
            "O2",
            r"$E_p|s - \nabla\log p|^2 = E_p[|s|^2 + 2\,\mathrm{tr}(\nabla s)] + C$ with $C$ free of $s$",
            FULL,
            _implicit_mutants(FULL),
            finding=lambda e: e["quadrature"].message + ".",
        ),
    )


def _lowest(slope: float, expected: float) -> Check:
    """``E|s|^2 + slope E tr grad s`` at the score, over ``E|grad log p|^2``: it has to be ``expected``."""

    def check(ctx: Context) -> Evidence:
        rests, units, shares = [], [], []
        for dim in LAWS:
            g = clean(dim)
            loss = g.square({"score": 1.0}) + g.slope({"score": 1.0}) * slope
            information = g.square({"score": 1.0})
            rests.append(loss - information * expected)
            units.append(information.value)
            shares.append(f"{loss.value:.4f} (d = {dim})")
        message = f"implicit loss at the score: {', '.join(shares)}; distance from {expected:g} E|grad log p|^2"
        return largest(rests, units, TOLERANCE, ctx, message)

    return check


def _taken_once(slope: float) -> Check:
    """With the trace taken once the loss is zero at the score and ``-E|grad log p|^2 / 4`` at half of it."""

    def check(ctx: Context) -> Evidence:
        rests, units = [], []
        for dim in LAWS:
            g = clean(dim)
            information = g.square({"score": 1.0})
            for share, expected in ((1.0, 0.0), (0.5, -0.25)):
                loss = g.square({"score": share}) + g.slope({"score": share}) * slope
                rests.append(loss - information * expected)
                units.append(information.value)
        message = "with the trace taken once: loss zero at the score, -E|grad log p|^2 / 4 at half the score"
        return largest(rests, units, TOLERANCE, ctx, message, deciding=False)

    return check


def _lower(slope: float) -> Check:
    """The least implicit loss over models, in units of ``E|grad log p|^2``: below zero."""

    def check(ctx: Context) -> Evidence:
        g = clean(2)
        losses = {
            name: g.square({name: 1.0}) + g.slope({name: 1.0}) * slope
            for name in ("score", *MODELS)
        }
        best = min(losses, key=lambda name: losses[name].value)
        least = losses[best] * (1 / g.products[0, 0])
        return shown(
            least, (-math.inf, -0.1), ctx, f"least loss of four models in the plane ({best})"
        )

    return check


def _third() -> Claim:
    return Claim(
        "O3",
        r"in $E|s|^2 + 2 E\,\mathrm{tr}(\nabla s) + C$ the constant is $C = E_p|\nabla\log p|^2$; the implicit "
        r"loss does not in general have minimum zero",
        checks={
            "constant": _value(FULL, 1.0),
            "draws": _drawn_gaps(FULL),
            "at-the-score": _lowest(2.0, -1.0),
            "minimum": _lower(2.0),
            "taken-once": _taken_once(1.0),
        },
        mutants={
            "constant": [
                named(_value(FULL, 0.5), "half-the-constant"),
                named(_value(FULL, -1.0), "constant-with-a-minus"),
            ],
            "draws": [named(_drawn_gaps(PRINTED), "trace-without-the-two")],
            "at-the-score": [
                named(_lowest(1.0, -1.0), "trace-without-the-two"),
                named(_lowest(2.0, 0.0), "minimum-zero"),
            ],
            "minimum": [named(_lower(-2.0), "trace-with-a-minus")],
            "taken-once": [named(_taken_once(2.0), "trace-taken-twice")],
        },
        source=("001",),
        assumptions=(
            DECAY,
            MODELS_READ,
            EQUAL,
            "the implicit loss is E|s|^2 + 2 E tr grad s, without the constant",
            "'not zero': below -0.1 E|grad log p|^2",
            KURTOSIS,
        ),
        finding=lambda e: (
            f"At the score the loss is -E|grad log p|^2: {e['at-the-score'].message}. As in the boxed formula, "
            f"{e['taken-once'].message}."
        ),
        role="printed",
        group="ledger",
    )


def _by_parts(factor: float, name: str = "quadrature") -> Check:
    """``E s . grad log p + factor E tr grad s``, by quadrature or on draws."""

    def on_grids(ctx: Context) -> Evidence:
        rests, units = [], []
        for dim in LAWS:
            g = clean(dim)
            for model in MODELS:
                product = g.inner({"score": 1.0}, {model: 1.0})
                rests.append(product + g.slope({model: 1.0}) * factor)
                units.append(g.products[0, 0])
        message = "E s . grad log p + E tr grad s over E|grad log p|^2, three models, d = 1 and 2"
        return largest(rests, units, TOLERANCE, ctx, message)

    def on_draws(ctx: Context) -> Evidence:
        law = skewed_8d()
        rests = []
        for model in (bent(8), rippled(law)):

            def values(x: Vector, model: Any = model) -> Vector:
                return (model(x) * law.score(x)).sum(1) + factor * model.divergence(x)

            rests.append(drawn_mean(values, ESM(law), ctx, pieces=2, most=140))
        message = "E s . grad log p + E tr grad s, two models, d = 8"
        return largest(rests, information_bound(law), DRAWN, ctx, message)

    return on_grids if name == "quadrature" else on_draws


def _boundary(term: float) -> Check:
    """Exp(1), whose density is one at its edge: ``E s p'/p + E s' = -p(0) s(0)``; exact for polynomials."""

    def check(ctx: Context) -> Evidence:
        rests, error = [], 0.0
        for nodes in (20, 10):
            x, w = np.polynomial.laguerre.laggauss(nodes)
            terms = w * (-(1.3 + 0.5 * x - 0.2 * x**2) + 0.5 - 0.4 * x)
            rests.append(float(terms.sum()))
            # Nodes and weights are rounded as well.
            error += 64 * EPS * float(np.abs(terms).sum())
        rest = rests[0]
        return interval(
            "",
            "quadrature",
            rest + term * 1.3,
            abs(rest - rests[1]) + error,
            (-1e-9, 1e-9),
            deciding=False,
            n=20,
            message=f"on the exponential law, s(0) = 1.3: E s . grad log p + E tr grad s = {rest:.4f}",
        )

    return check


CLAIMS: tuple[Claim, ...] = (
    _first(),
    _second(),
    _third(),
    sample_claim(),
    sliced_claim(),
    Claim(
        "O25",
        r"$E_p[s \cdot \nabla\log p] = -E_p[\mathrm{tr}\,\nabla s]$",
        checks={
            "quadrature": _by_parts(1.0),
            "draws": _by_parts(1.0, "draws"),
            "boundary": _boundary(1.0),
        },
        mutants={
            "quadrature": [named(_by_parts(-1.0), "sign"), named(_by_parts(0.5), "half")],
            "draws": [named(_by_parts(-1.0, "draws"), "sign")],
            "boundary": [named(_boundary(0.0), "no-boundary-term")],
        },
        source=("001",),
        assumptions=(
            DECAY,
            MODELS_READ,
            EQUAL,
            "p s vanishes at infinity; the law with an edge does not decide",
            KURTOSIS,
        ),
        finding=lambda e: (
            "Where p s does not vanish at the boundary, its outward flux is left: "
            f"{e['boundary'].message} = -p(0) s(0), so that explicit and implicit losses differ by a term "
            "that depends on s."
        ),
        role="printed",
        group="ledger",
    ),
)
