"""Ledger, sliced score matching: O5."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from ...numerics.divergence import directional, exact_divergence
from ...numerics.estimate import Estimate
from ...numerics.objectives import ISM, SSM
from ...numerics.score_models import ScoreModel
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .averages import KURTOSIS, TOLERANCE, drawn_mean, grid_means, largest, number_of
from .fields import bent, linear, outward, rippled
from .laws import skewed_2d, skewed_8d
from .tools import named

_ROOT = np.sqrt(2.0)
_ANGLES = np.pi * (np.arange(8) + 0.3) / 4
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(3)
_PLANE = np.array([[1.0, 0.0], [0.0, 1.0]])

#: laws of the direction in the plane by nodes and weights, each exact for polynomials of degree two
DIRECTIONS: Mapping[str, tuple[Vector, Vector]] = {
    "rademacher": (np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]]), np.full(4, 0.25)),
    "gaussian": (
        np.array([[a, b] for a in _NODES for b in _NODES]),
        np.outer(_WEIGHTS, _WEIGHTS).ravel() / _WEIGHTS.sum() ** 2,
    ),
    "circle": (np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1), np.full(8, 0.125)),
    "uneven": (_ROOT * _PLANE, np.array([0.9, 0.1])),
    "one-axis": (_PLANE[:1], np.ones(1)),
}
ISOTROPIC = ("rademacher", "gaussian")


def _first_only(law: Any) -> ScoreModel:
    """The score with its second coordinate left out."""
    keep = np.array([1.0, 0.0])
    return ScoreModel(
        lambda x: law.score(x) * keep,
        jvp=lambda x, v: (
            np.einsum("nij,nj->ni", law.hessian(x), np.broadcast_to(v, x.shape)) * keep
        ),
    )


def _models() -> Mapping[str, ScoreModel]:
    law = skewed_2d()
    return {
        "linear": linear(2),
        "bent": bent(2),
        "rippled": rippled(law),
        "first-only": _first_only(law),
    }


@cache
def _table(directions: str) -> dict[tuple[str, str], Estimate]:
    """Means over the plane and the directions, by ``(model, term)``.

    Terms: ``slope`` ``v'(grad s) v``, ``square`` ``(v's)^2``, ``cross`` ``(v's)(v' grad log p)``, ``truth``
    ``(v' grad log p)^2``; ``trace`` and ``norm`` are those of the implicit loss, ``reach`` is ``E|grad log p|^2``.
    """
    law, models = skewed_2d(), _models()
    nodes, weights = DIRECTIONS[directions]
    keys = [
        (name, term) for name in models for term in ("slope", "square", "cross", "trace", "norm")
    ]
    keys += [("score", "truth"), ("score", "reach"), ("score", "slope")]

    def values(x: Vector) -> Vector:
        truth, columns = law.score(x), []
        for model in models.values():
            s = model(x)
            slope, square, cross = (np.zeros(len(x)) for _ in range(3))
            for v, w in zip(nodes, weights, strict=True):
                slope += w * (directional(model, x, np.broadcast_to(v, x.shape))[0] @ v)
                square += w * (s @ v) ** 2
                cross += w * (s @ v) * (truth @ v)
            units = [directional(model, x, np.broadcast_to(e, x.shape))[0] @ e for e in _PLANE]
            columns += [slope, square, cross, units[0] + units[1], (s * s).sum(1)]
        along = truth @ nodes.T
        curved = np.einsum("nij,vi,vj,v->n", law.hessian(x), nodes, nodes, weights)
        columns += [(along**2) @ weights, (truth * truth).sum(1), curved]
        return np.stack(columns, 1) * np.exp(law.log_prob(x))[:, None]

    return dict(zip(keys, grid_means(values, law), strict=True))


def _equal(
    laws: tuple[str, ...], slope: float = 1.0, factor: float = 1.0, *, deciding: bool = True
) -> Check:
    """``factor E_v[slope v'(grad s) v + (v's)^2 / 2]`` against ``E[tr grad s + |s|^2 / 2]`` in the plane."""

    def check(ctx: Context) -> Evidence:
        rests, unit = [], 1.0
        for name in laws:
            t = _table(name)
            unit = t["score", "reach"].value
            for model in ("linear", "bent", "rippled"):
                sliced = t[model, "slope"] * slope + t[model, "square"] * 0.5
                implicit = t[model, "trace"] + t[model, "norm"] * 0.5
                rests.append(sliced * factor - implicit)
        message = f"sliced minus implicit loss over E|grad log p|^2, directions {', '.join(laws)}"
        return largest(rests, unit, TOLERANCE, ctx, message, deciding=deciding)

    return check


def _stationary(laws: tuple[str, ...], slope: float = 1.0) -> Check:
    """First variation of the sliced loss at the score, along each model, for any law of v."""

    def check(ctx: Context) -> Evidence:
        rests, unit = [], 1.0
        for name in laws:
            t = _table(name)
            unit = t["score", "reach"].value
            rests += [t[m, "slope"] * slope + t[m, "cross"] for m in ("linear", "bent", "rippled")]
        message = f"first variation of the sliced loss at the score, directions {', '.join(laws)}"
        return largest(rests, unit, TOLERANCE, ctx, message, deciding=False)

    return check


def _blind(law: str) -> Check:
    """Sliced loss of the score without its second coordinate, minus that of the score."""

    def check(ctx: Context) -> Evidence:
        t = _table(law)
        without = t["first-only", "slope"] + t["first-only", "square"] * 0.5
        whole = t["score", "slope"] + t["score", "truth"] * 0.5
        unit = t["score", "reach"].value
        missed = 0.5 * (unit - t["first-only", "norm"].value)
        message = (
            f"directions {law}: a model that misses half of E|s - grad log p|^2 = {missed:.3f} has a sliced loss "
            "that differs from the best, relatively, by"
        )
        return largest([without - whole], unit, TOLERANCE, ctx, message, deciding=False)

    return check


def _drawn(probe: Any, slope: float = 1.0) -> Check:
    """Sliced against implicit loss on exact draws of x and v in eight dimensions."""

    def check(ctx: Context) -> Evidence:
        law = skewed_8d()
        sliced, implicit = SSM(law, probe=probe), ISM(law)
        rests, units = [], []
        for model in (outward(8), bent(8)):

            def values(x: Vector, v: Vector, model: ScoreModel = model) -> Vector:
                along = slope * np.sum(v * directional(model, x, v)[0], axis=1)
                return along + 0.5 * np.sum(v * model(x), axis=1) ** 2 - implicit.terms(model, x)

            rests.append(drawn_mean(values, sliced, ctx, pieces=2, most=140))
            size = float(np.mean(model(law.means) ** 2)) * 8
            units.append(size + abs(float(exact_divergence(model, law.means).value.mean())))
        message = f"sliced minus implicit loss, two models, d = 8, {probe if isinstance(probe, str) else 'uneven'}"
        return largest(rests, units, 0.2, ctx, message)

    return check


def sliced_claim() -> Claim:
    """O5."""
    return Claim(
        "O5",
        r"sliced score matching, $E_v[v'(\nabla s)v + \frac12(v's)^2]$ over random directions $v$, is equivalent "
        r"to the implicit loss",
        checks={
            "quadrature": _equal(ISOTROPIC),
            "draws": _drawn("rademacher"),
            "sphere": _equal(("circle",), factor=2.0, deciding=False),
            "minimiser": _stationary(("rademacher", "circle", "uneven")),
            "blind": _blind("one-axis"),
        },
        mutants={
            "quadrature": [
                named(_equal(("circle",)), "unit-directions-without-d"),
                named(_equal(("uneven",)), "uneven-directions"),
                named(_equal(ISOTROPIC, slope=0.5), "slope-halved"),
            ],
            "draws": [
                named(_drawn("sphere"), "unit-directions-without-d"),
                named(_drawn("rademacher", slope=-1.0), "slope-with-a-minus"),
            ],
            "sphere": [named(_equal(("circle",), deciding=False), "factor-left-out")],
            "minimiser": [named(_stationary(("uneven",), slope=2.0), "slope-doubled")],
            "blind": [named(_blind("rademacher"), "all-directions")],
        },
        source=("004",),
        assumptions=(
            "the law of v has E v v' = I, as the usual Gaussian and Rademacher directions have",
            "'equivalent': equal for every model; decided for three models in the plane with exact averages over "
            "v, and for two in eight dimensions on draws",
            KURTOSIS,
        ),
        finding=lambda e: (
            "E v v' = I gives equality "
            f"({number_of(e['quadrature']):.1e}); unit vectors give the implicit loss divided by d "
            f"({number_of(e['sphere']):.1e} after the factor); three laws with E v v' positive definite keep the "
            f"minimiser ({number_of(e['minimiser']):.1e}); if it is singular the loss is blind across: "
            f"{e['blind'].message}."
        ),
        role="printed",
        group="ledger",
    )
