"""The implicit score matching identity, for every density and every field."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import Derivation, equal, same_integral
from .domain import REAL, Domain
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
