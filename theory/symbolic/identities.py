"""Implicit and sliced score matching, for every density and every field."""

from __future__ import annotations

from itertools import product
from typing import Any

import sympy as sp

from .derivation import Derivation, equal, rule, same_integral
from .domain import REAL, Domain, Expr
from .zero import REFUTED

SMOOTH = "p is positive and smooth, s is smooth, and all expectations are finite"
FLUX = "p s tends to zero at infinity faster than the area of spheres grows"


def ism(wrong: str | None = None) -> Derivation:
    """``E|s - grad log p|^2 = E[|s|^2 + 2 tr grad s] + C`` in every dimension.

    By the typical coordinate i of d, and with all coordinates written out for d = 1, 2, 3.
    """
    two: Any = {"missing-two": 1, "wrong-sign": -2}.get(wrong or "", 2)
    fisher = 1 if wrong == "fisher-sign" else -1
    x = sp.symbols("x y z")
    p = sp.Function("p")
    s = [sp.Function(f"s{k}") for k in (1, 2, 3)]
    steps = []
    names = [
        "the term of coordinate i (here x, with all others as parameters)",
        "d = 1",
        "d = 2",
        "d = 3",
    ]
    for name, d, size in zip(names, (1, 1, 2, 3), (3, 1, 2, 3), strict=True):
        at = x[:size]
        P, S = p(*at), [f(*at) for f in s[:d]]
        left = sp.Add(*(P * (S[i] - P.diff(x[i]) / P) ** 2 for i in range(d)))
        right = sp.Add(*(P * (S[i] ** 2 + two * S[i].diff(x[i])) for i in range(d)))
        right -= fisher * sp.Add(*(P.diff(x[i]) ** 2 / P for i in range(d)))
        flux = {x[i]: -2 * P * S[i] for i in range(d)}
        steps.append(
            same_integral(
                name, left, right, flux=flux, hypotheses=(FLUX,),
                because="p|s − ∇log p|² and p(|s|² + 2 tr ∇s) + |∇p|²/p differ by the divergence of −2 p s",
            )
        )  # fmt: skip
    P, S = p(*x), s[0](*x)
    steps.insert(
        0,
        equal(
            "the cross term, coordinate i",
            P * S * sp.Derivative(sp.log(P), x[0]),
            sp.Derivative(P * S, x[0]) - P * S.diff(x[0]) * (-1 if wrong == "wrong-sign" else 1),
            because="p ∂log p = ∂p, and the product rule",
        ),
    )
    return Derivation(
        "ism",
        title="implicit score matching",
        statement="E|s − ∇log p|² = E[|s|² + 2 tr ∇s] + C with C = E|∇log p|², for every field s and every "
        "dimension: each coordinate contributes one term, and the sum over i finishes it.",
        formula=r"E_p\|s-\nabla\log p\|^2 = E_p\left[\|s\|^2 + 2\,\mathrm{tr}\,\nabla s\right]"
        r" + E_p\|\nabla\log p\|^2",
        domain=Domain(dict.fromkeys(x, REAL), {p: "positive", **dict.fromkeys(s, "real")}),
        steps=steps,
        hypotheses=(SMOOTH,),
        source="Hyvärinen 2005, Theorem 1",
        wrong=wrong,
        mutants={"missing-two": REFUTED, "wrong-sign": REFUTED, "fisher-sign": REFUTED},
    )


def ssm(wrong: str | None = None) -> Derivation:
    """Sliced score matching is implicit score matching if and only if the second moment of v is the identity."""
    x = sp.symbols("x y z")
    v = sp.symbols("v1:4")
    p = sp.Function("p")
    s = [sp.Function(f"s{k}") for k in (1, 2, 3)]
    c: Any = sp.Matrix(3, 3, lambda i, j: sp.Symbol(f"c{min(i, j) + 1}{max(i, j) + 1}"))
    half = 1 if wrong == "missing-half" else sp.Rational(1, 2)
    P, S = p(*x), [f(*x) for f in s]
    jacobian: Any = sp.Matrix(S).jacobian(sp.Matrix(x))
    pairs = [(i, j) for i in range(3) for j in range(3)]
    term = {(i, j): jacobian[i, j] + S[i] * S[j] / 2 for i, j in pairs}

    def sliced(direction: Any) -> Expr:
        return (direction.T * jacobian * direction)[0] + half * (direction.T * sp.Matrix(S))[
            0
        ] ** 2

    implicit = sp.Add(*(term[i, i] for i in range(3)))
    scale = sp.Rational(1, 3) if wrong == "unit-sphere" else 1
    moments = {c[i, j]: scale if i == j else 0 for i, j in pairs}
    mean = sp.Add(*(c[i, j] * term[i, j] for i, j in pairs))
    delta = sp.Add(*((c[i, j] - int(i == j)) * term[i, j] for i, j in pairs))
    signs = [sp.Matrix(w) for w in product((-1, 1), repeat=3)]
    return Derivation(
        "ssm",
        title="sliced score matching",
        statement="E_v E_p[vᵀ(∇s)v + ½(vᵀs)²] = E_p[tr ∇s + ½|s|²] = ½ E_p|s − ∇log p|² − C for every field s if and "
        "only if E[v vᵀ] = I, C free of s. Written out for d = 3 with v independent of x; the (i, j) summand is the "
        "same in every dimension.",
        formula=r"E_vE_p\left[v^{\top}(\nabla s)v+\frac12(v^{\top}s)^2\right]=E_p\left[\mathrm{tr}\,\nabla s"
        r"+\frac12\|s\|^2\right]\iff E[vv^{\top}]=I",
        domain=Domain(
            dict.fromkeys((*x, *v, *c.free_symbols), REAL), {p: "positive", **dict.fromkeys(s, "real")}
        ),
        steps=(
            equal(
                "a quadratic form in v", sliced(sp.Matrix(v)),
                sp.Add(*(v[i] * v[j] * term[i, j] for i, j in pairs)),
                because="each pair (i, j) contributes v_i v_j (∂_j s_i + s_i s_j / 2)",
            ),
            rule(
                "averaged over v", "E_v of v_i v_j", "c_ij, the second moments of v",
                by="linearity of the mean", hypotheses=("v is independent of x and E|v|² is finite",),
            ),
            equal(
                "with second moments c", mean, implicit + delta,
                because="the difference is a combination of the terms with coefficients c_ij − δ_ij, which a field "
                "can choose freely: it vanishes for every s only if c is the identity",
            ),
            equal("with c the identity", mean.xreplace(moments), implicit),
            equal(
                "for random signs, all eight of them averaged", sp.Add(*map(sliced, signs)) / 8, implicit,
                because="the Rademacher law satisfies the condition",
            ),
            same_integral(
                "the implicit loss is the explicit one, coordinate i (here x)",
                P * (S[0] - P.diff(x[0]) / P) ** 2 / 2,
                P * (S[0].diff(x[0]) + S[0] ** 2 / 2) + P.diff(x[0]) ** 2 / (2 * P),
                flux={x[0]: -P * S[0]}, hypotheses=(FLUX,),
            ),
        ),
        hypotheses=(SMOOTH,),
        source="Song et al. 2019, Eqs. 7 and 8",
        wrong=wrong,
        mutants={"unit-sphere": REFUTED, "missing-half": REFUTED},
    )  # fmt: skip
