"""The equation of the score itself, and the likelihood along the probability flow."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import Derivation, equal, rule
from .domain import REAL, UNIT, Domain
from .zero import REFUTED

DENSITY = "p is positive and smooth and solves the Fokker-Planck equation of the forward process"
_X = sp.symbols("x y z")
_T = sp.Symbol("t")
_P, _G, _LOG = sp.Function("p"), sp.Function("g"), sp.Function("l")
_F = [sp.Function(f"f{k}") for k in (1, 2, 3)]
_AT = (*_X, _T)
_DOMAIN = Domain(
    {**dict.fromkeys(_X, REAL), _T: UNIT},
    {_P: "positive", **dict.fromkeys((_G, _LOG, *_F), "real")},
)


def _drift(d: int) -> list[Any]:
    return [f(*_AT) for f in _F[:d]]


def score_fokker_planck(wrong: str | None = None) -> Derivation:
    """The score solves ``s_t = grad(g^2/2 (div s + |s|^2) - f.s - div f)``."""
    square = 0 if wrong == "no-square" else 1
    spread = 0 if wrong == "no-divergence-of-drift" else 1
    half = 1 if wrong == "missing-half" else sp.Rational(1, 2)
    p, log, g2 = _P(*_AT), _LOG(*_AT), _G(_T) ** 2
    steps = []
    for d in (1, 2, 3):
        at, f = _X[:d], _drift(d)
        forward = sp.Add(
            *(-(fi * p).diff(x) + g2 * p.diff(x, 2) / 2 for fi, x in zip(f, at, strict=True))
        )
        s = [sp.Derivative(sp.log(p), x) for x in at]
        inner = sp.Add(*(
            half * g2 * (sp.Derivative(sp.log(p), (x, 2)) + square * si**2) - fi * si - spread * fi.diff(x)
            for x, fi, si in zip(at, f, s, strict=True)
        ))  # fmt: skip
        steps.append(
            equal(
                f"d = {d}: the equation of log p",
                forward / p,
                inner,
                because="p_t / p = ∂log p/∂t, with p_t as the Fokker-Planck equation gives it",
            )
        )
    for d in (1, 2, 3):
        at, f = _X[:d], _drift(d)
        inner = sp.Add(*(
            half * g2 * (log.diff(x, 2) + square * log.diff(x) ** 2) - fi * log.diff(x) - spread * fi.diff(x)
            for x, fi in zip(at, f, strict=True)
        ))  # fmt: skip
        opened = sp.Add(*(
            g2 * (log.diff(_X[0], x, 2) / 2 + log.diff(x) * log.diff(_X[0], x))
            - fi.diff(_X[0]) * log.diff(x) - fi * log.diff(_X[0], x) - fi.diff(_X[0], x)
            for x, fi in zip(at, f, strict=True)
        ))  # fmt: skip
        steps.append(
            equal(
                f"d = {d}: coordinate x of the score",
                sp.Derivative(inner, _X[0]),
                opened,
                because="l is log p; its second derivatives commute, so that ∂ᵢs_j = ∂_j sᵢ",
            )
        )
    return Derivation(
        "score-fokker-planck",
        title="the Fokker-Planck equation of the score",
        statement="For every f(x, t) and g(t) the score s = ∇log p of dx = f dt + g dw solves ∂s/∂t = ∇[½g²(div s + "
        "|s|²) − f·s − div f]. Written out for d = 1, 2, 3; each term is a sum over coordinates.",
        formula=r"\partial_ts=\nabla\left[\frac{g^2}{2}\left(\nabla\cdot s+\|s\|^2\right)"
        r"-f\cdot s-\nabla\cdot f\right]",
        domain=_DOMAIN,
        steps=steps,
        hypotheses=(DENSITY,),
        source="Lai et al. 2023",
        wrong=wrong,
        mutants={"no-square": REFUTED, "no-divergence-of-drift": REFUTED, "missing-half": REFUTED},
    )


def likelihood(wrong: str | None = None) -> Derivation:
    """The score at all times gives the likelihood, by the divergence along the probability flow."""
    half = {"full-score": 1}.get(wrong or "", sp.Rational(1, 2))
    sign = 1 if wrong == "wrong-sign" else -1
    spread = 0 if wrong == "no-divergence-of-drift" else 1
    p, g2 = _P(*_AT), _G(_T) ** 2
    steps = []
    for name, d in (
        ("the term of coordinate i (here x, with all others as parameters)", 1),
        ("d = 2", 2),
        ("d = 3", 3),
    ):
        at, f = _X[:d], _drift(d)
        score = [sp.Derivative(sp.log(p), x) for x in at]
        v = [fi - half * g2 * si for fi, si in zip(f, score, strict=True)]
        forward = sp.Add(
            *(-(fi * p).diff(x) + g2 * p.diff(x, 2) / 2 for fi, x in zip(f, at, strict=True))
        )
        along = forward / p + sp.Add(*(vi * si for vi, si in zip(v, score, strict=True)))
        lost = sp.Add(*(
            spread * fi.diff(x) - g2 / 2 * sp.Derivative(sp.log(p), (x, 2)) for fi, x in zip(f, at, strict=True)
        ))  # fmt: skip
        steps.append(
            equal(
                name,
                along,
                sign * lost,
                because="left: ∂log p/∂t by the Fokker-Planck equation, plus v·∇log p, the rate along dx/dt = v; "
                "right: −div v with v = f − ½g²∇log p",
            )
        )
    steps.append(
        rule(
            "integrated along the flow", "log p(x(0), 0)", "log p(x(T), T) + ∫ div v dt from 0 to T",
            by="the fundamental theorem of calculus",
            hypotheses=("the flow dx/dt = v has one solution from x(0) up to T", "p at T is known"),
        )
    )  # fmt: skip
    return Derivation(
        "likelihood",
        title="the likelihood from the score",
        statement="Along the probability flow dx/dt = v = f − ½g²∇log p, d/dt log p(x(t), t) = −div v = −div f + "
        "½g² div s: the scores at all t and the law at T give log p at 0. The score at t = 0 alone gives it up to a "
        "constant only.",
        formula=r"\log p_0(x_0)=\log p_T(x_T)+\int_0^T\nabla\cdot\left(f-\frac12g^2\nabla\log p_t\right)(x_t)\,dt",
        domain=_DOMAIN,
        steps=steps,
        hypotheses=(DENSITY,),
        source="Chen et al. 2018, Theorem 1; Song et al. 2021, Eq. 39",
        wrong=wrong,
        mutants={"full-score": REFUTED, "wrong-sign": REFUTED, "no-divergence-of-drift": REFUTED},
    )
