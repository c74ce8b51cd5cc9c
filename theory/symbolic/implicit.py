"""What the implicit loss is least at, with its trace taken twice and once; integration by parts with an edge."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import Derivation, equal, rule, same_integral
from .domain import POSITIVE, REAL, Domain
from .identities import FLUX, SMOOTH
from .zero import REFUTED

_X = sp.symbols("x y z")
_A, _B, _M, _W, _K = sp.symbols("a b m w k")
_P = sp.Function("p")
_S = [sp.Function(f"s{k}") for k in (1, 2, 3)]
_DOMAIN = Domain(
    {**dict.fromkeys((*_X, _A, _B, _M, _K), REAL), _W: POSITIVE},
    {_P: "positive", **dict.fromkeys(_S, "real")},
)
_NAMES = ("the term of coordinate i (here x, with all others as parameters)", "d = 2", "d = 3")


def implicit_minimum(wrong: str | None = None) -> Derivation:
    """The least implicit loss is ``-E|grad log p|^2``, at the score; with the trace taken once, at half of it."""
    two: Any = {"missing-two": 1, "wrong-sign": -2}.get(wrong or "", 2)
    least = 0 if wrong == "minimum-zero" else -1
    steps = []
    for name, d in zip(_NAMES, (1, 2, 3), strict=True):
        P, S = _P(*_X), [f(*_X) for f in _S[:d]]
        score = [P.diff(v) / P for v in _X[:d]]
        loss = sp.Add(*(P * (s**2 + two * s.diff(v)) for s, v in zip(S, _X, strict=False)))
        best = sp.Add(*(P * ((s - g) ** 2 + least * g**2) for s, g in zip(S, score, strict=True)))
        steps.append(
            same_integral(
                name, loss, best, flux={v: 2 * P * s for s, v in zip(S, _X, strict=False)},
                hypotheses=(FLUX,),
                because="the square is completed by the divergence of 2 p s: s stands in (s − ∇log p)² alone",
            )
        )  # fmt: skip
    P, s = _P(*_X), _S[0](*_X)
    g = P.diff(_X[0]) / P
    fit = -two / (2 * _W)
    steps += [
        same_integral(
            "at the score itself, coordinate i", P * (g**2 + two * sp.Derivative(g, _X[0])), least * P * g**2,
            flux={_X[0]: 2 * P * g}, hypotheses=(FLUX,),
            because="negative, unless the score vanishes everywhere: the minimum is not zero",
        ),
        same_integral(
            "with the trace taken once, coordinate i", P * (s**2 + s.diff(_X[0])),
            P * ((s - g / 2) ** 2 - g**2 / 4), flux={_X[0]: P * s}, hypotheses=(FLUX,),
            because="that loss is least at half the score, where it is −¼E|∇log p|², and zero at the score",
        ),
        equal(
            "affine fields a(x − m) + b on a sample with mean m and variance w", _A**2 * _W + _B**2 + two * _A,
            _W * (_A + 1 / _W) ** 2 + _B**2 - 1 / _W,
            because="the mean over the sample of |s|² + 2 tr ∇s: least at b = 0 and a = −1/w",
        ),
        equal(
            "which is the score of the Gaussian with the moments of the sample", fit * (_X[0] - _M),
            sp.diff(-((_X[0] - _M) ** 2) / (2 * _W), _X[0]),
            because="as the sample grows, w becomes the variance of the law: the score if the law is Gaussian",
        ),
        rule(
            "means over a sample", "the mean of |s|² + 2 tr ∇s over n draws, and its minimiser",
            "the population loss, and its minimiser", relation="converge to", by="the uniform law of large numbers",
            hypotheses=("the fields are a compact family with an integrable bound, and hold the score",),
        ),
    ]  # fmt: skip
    return Derivation(
        "implicit-minimum",
        title="the minimum of the implicit loss",
        statement="E[|s|² + 2 tr ∇s] = E|s − ∇log p|² − E|∇log p|² for every field s and every dimension: it is least "
        "at the score, where it is −E|∇log p|² and so in general not zero. With the trace taken once it is least at "
        "½∇log p. Its mean over a sample of a Gaussian has the score of the fitted Gaussian as its affine minimiser.",
        formula=r"E_p\left[\|s\|^2+2\,\mathrm{tr}\,\nabla s\right]=E_p\|s-\nabla\log p\|^2-E_p\|\nabla\log p\|^2",
        domain=_DOMAIN,
        steps=steps,
        hypotheses=(SMOOTH,),
        source="Hyvärinen 2005, Theorems 1 and 2",
        wrong=wrong,
        mutants={"missing-two": REFUTED, "wrong-sign": REFUTED, "minimum-zero": REFUTED},
    )


def by_parts(wrong: str | None = None) -> Derivation:
    """``E s . grad log p = -E tr grad s``, and the boundary term of a law with an edge."""
    factor: Any = {"wrong-sign": 1, "half": -sp.Rational(1, 2)}.get(wrong or "", -1)
    edge = 0 if wrong == "no-edge" else 1
    steps = []
    for name, d in zip(_NAMES, (1, 2, 3), strict=True):
        P, S = _P(*_X), [f(*_X) for f in _S[:d]]
        pairs = list(zip(S, _X, strict=False))
        steps.append(
            same_integral(
                name, sp.Add(*(P * s * sp.Derivative(sp.log(P), v) for s, v in pairs)),
                sp.Add(*(factor * P * s.diff(v) for s, v in pairs)),
                flux={v: P * s for s, v in pairs}, hypotheses=(FLUX,),
            )
        )  # fmt: skip
    x = _X[0]
    exponential = sp.exp(-x)
    s1 = _S[0](x)
    field = _A + _B * x + _K * x**2
    total = -(_A + _B + 2 * _K) + _B + 2 * _K  # E s p'/p + E s' with E x = 1, E x² = 2
    steps += [
        rule(
            "a law on x > 0 whose density does not vanish at 0", "∫ (p s)′ over x > 0", "−p(0) s(0)",
            by="the fundamental theorem of calculus", hypotheses=("p s tends to 0 for large x",),
            because="so that E[s p′/p] = −E[s′] − p(0)s(0): the outward flux at the edge is left",
        ),
        equal(
            "the exponential law, p = e⁻ˣ", sp.Derivative(exponential * s1, x), exponential * (s1.diff(x) - s1),
            because="s p′ + s′ p, where p′/p = −1",
        ),
        equal(
            "its moments, E x = 1 and E x² = 2",
            sp.Matrix([sp.Derivative(-(x + 1) * exponential, x), sp.Derivative(-(x**2 + 2 * x + 2) * exponential, x)]),
            sp.Matrix([x * exponential, x**2 * exponential]),
            because="antiderivatives that tend to 0 for large x, and are −1 and −2 at 0",
        ),
        equal(
            "and s = a + bx + kx²: E[s p′/p] + E[s′]", total, -edge * field.subs(x, 0),
            because="E x = 1 and E x² = 2; what is left is −p(0)s(0) = −a",
        ),
    ]  # fmt: skip
    return Derivation(
        "by-parts",
        title="integration by parts of a field against the score",
        statement="E_p[s·∇log p] = −E_p[tr ∇s] for every field s and every dimension, if p s vanishes at infinity. "
        "On a law with an edge its outward flux is left: −p(0)s(0) for x > 0.",
        formula=r"E_p[s\cdot\nabla\log p]=-E_p[\mathrm{tr}\,\nabla s]",
        domain=_DOMAIN,
        steps=steps,
        hypotheses=(SMOOTH,),
        source="Hyvärinen 2005, proof of Theorem 1",
        wrong=wrong,
        mutants={"wrong-sign": REFUTED, "half": REFUTED, "no-edge": REFUTED},
    )
