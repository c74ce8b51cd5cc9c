"""Reversal in time: the family of every eta, the probability flow, and state-dependent diffusion.

The law p of the forward process satisfies ``p_t = -sum (f_i p)_i + 1/2 sum (D_ij p)_ij``. A process that runs
backwards with drift b (per forward time) and noise matrix E has the laws p if ``p_t = -sum (b_i p)_i - 1/2
sum (E_ij p)_ij``. Both sides are sums over coordinates or pairs, so that the typical summand proves every
dimension.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import Derivation, equal, rule
from .domain import REAL, UNIT, Domain, Expr
from .zero import REFUTED

DENSITY = "p is positive and smooth and solves the Fokker-Planck equation of the forward process"
UNIQUE = "the Fokker-Planck equation of the reversed process has one solution with the given law at the end"
_X = sp.symbols("x y z")
_T = sp.Symbol("t")
_P, _G, _ETA = sp.Function("p"), sp.Function("g"), sp.Function("eta")
_F = [sp.Function(f"f{k}") for k in (1, 2, 3)]
_D = {(i, j): sp.Function(f"D{i + 1}{j + 1}") for i in range(3) for j in range(i, 3)}
_DOMAIN = Domain(
    {**dict.fromkeys(_X, REAL), _T: UNIT},
    {_P: "positive", **dict.fromkeys((_G, _ETA, *_F, *_D.values()), "real")},
)


def _reverse(
    name: str, wrong: str | None, eta: Any, half: Any, sign: int, **about: Any
) -> Derivation:
    p, g = _P(*_X, _T), _G(_T)
    steps = []
    for k, d in (
        ("the summand of coordinate i (here x, with all others as parameters)", 1),
        ("d = 2", 2),
        ("d = 3", 3),
    ):
        score = [sp.Derivative(sp.log(p), v) for v in _X[:d]]
        f = [fi(*_X, _T) for fi in _F[:d]]
        b = [fi - sign * half * g**2 * si for fi, si in zip(f, score, strict=True)]
        forward = sp.Add(
            *(-(fi * p).diff(v) + g**2 * p.diff(v, 2) / 2 for fi, v in zip(f, _X, strict=False))
        )
        backward = sp.Add(*(
            -sp.Derivative(bi * p, v) - eta**2 * g**2 * p.diff(v, 2) / 2 for bi, v in zip(b, _X, strict=False)
        ))  # fmt: skip
        steps.append(
            equal(k, backward, forward, because="p ∂log p = ∂p turns the score into diffusion")
        )
    steps.append(
        rule(
            "equal equations, equal laws", "law of the reversed process at t", "p(·, t)",
            by="uniqueness of the Fokker-Planck equation", hypotheses=(UNIQUE,),
        )
    )  # fmt: skip
    return Derivation(
        name, domain=_DOMAIN, steps=steps, hypotheses=(DENSITY,), wrong=wrong, **about
    )


def reverse_sde(wrong: str | None = None) -> Derivation:
    """Drift ``f - (1 + eta^2)/2 g^2 score``, noise ``eta g``, run backwards: the laws of the forward SDE."""
    eta = _ETA(_T)
    half = {"half-score": sp.Rational(1, 2), "full-score": 1}.get(wrong or "", (1 + eta**2) / 2)
    return _reverse(
        "reverse-sde", wrong, eta, half, -1 if wrong == "wrong-sign" else 1,
        title="reverse-time family for every η",
        statement="For every η(t), f(x, t), g(t): dx = [f − (1+η²)/2 g² ∇log p] dt + η g dw, run backwards in time "
        "from p at the end, has the law p(·, t) of the forward SDE at every t. η = 1 is the reverse SDE, η = 0 the "
        "probability flow.",
        formula=r"dx = \left[f-\frac{1+\eta^2}{2}g^2\nabla\log p_t\right]dt+\eta\,g\,d\bar w",
        source="Anderson 1982; Song et al. 2021, Eq. 6; Zhang and Chen 2021",
        mutants={"half-score": REFUTED, "full-score": REFUTED, "wrong-sign": REFUTED},
    )  # fmt: skip


def probability_flow(wrong: str | None = None) -> Derivation:
    """``dx/dt = f - 1/2 g^2 score`` transports the marginals of the forward SDE."""
    half = {"full-score": 1, "no-score": 0}.get(wrong or "", sp.Rational(1, 2))
    return _reverse(
        "probability-flow", wrong, sp.Integer(0), half, -1 if wrong == "wrong-sign" else 1,
        title="probability flow",
        statement="The ordinary differential equation dx/dt = f − ½ g² ∇log p has the marginals of the forward SDE, "
        "in both directions of time. With the full score and no noise (the reverse SDE with its noise dropped) it "
        "has not.",
        formula=r"\frac{dx}{dt} = f-\frac12 g^2\nabla\log p_t",
        source="Song et al. 2021, Eq. 13",
        mutants={"full-score": REFUTED, "no-score": REFUTED, "wrong-sign": REFUTED},
    )  # fmt: skip


def reverse_general(wrong: str | None = None) -> Derivation:
    """Reversal with a diffusion matrix ``D(x, t) = G G^T``: the drift carries the divergence of D."""
    p, general = _P(*_X, _T), _ETA(_T)
    divergence = {"no-divergence": 0, "half-divergence": sp.Rational(1, 2)}.get(wrong or "", 1)

    def entry(i: int, j: int) -> Expr:
        return _D[min(i, j), max(i, j)](*_X, _T)

    def pair(i: int, j: int, eta: Any = general) -> tuple[Any, Any]:
        """Backward and forward summand of one ordered pair."""
        dij = entry(i, j)
        weight = sp.Rational(1, 2) if wrong == "half-score" else (1 + eta**2) / 2
        b = -weight * (divergence * dij.diff(_X[j]) + dij * sp.Derivative(sp.log(p), _X[j]))
        twice = (dij * p).diff(_X[i], _X[j]) / 2
        return -sp.Derivative(b * p, _X[i]) - eta**2 * twice, twice

    def drift(i: int) -> Expr:
        return -(_F[i](*_X, _T) * p).diff(_X[i])

    steps = [
        equal("the summand of a pair i ≠ j (here x, y)", *pair(0, 1)),
        equal("the summand of i = j (here x); this is also d = 1, with g² = D", *pair(0, 0)),
        equal("the reverse SDE (η = 1), a pair i ≠ j", *pair(0, 1, sp.Integer(1))),
        equal("the reverse SDE (η = 1), i = j", *pair(0, 0, sp.Integer(1))),
    ]
    for d in (2, 3):
        sums = [pair(i, j) for i in range(d) for j in range(d)]
        drifts = sp.Add(*map(drift, range(d)))
        left, right = (sp.Add(*(s[k] for s in sums)) + drifts for k in (0, 1))
        steps.append(equal(f"d = {d}, all {d * d} pairs with the drift", left, right))
    steps.append(
        rule(
            "equal equations, equal laws", "law of the reversed process at t", "p(·, t)",
            by="uniqueness of the Fokker-Planck equation", hypotheses=(UNIQUE,),
        )
    )  # fmt: skip
    return Derivation(
        "reverse-general",
        title="reversal with state-dependent diffusion",
        statement="With D(x, t) = G Gᵀ the reversed drift is b_i = f_i − (1+η²)/2 Σ_j [∂_j D_ij + D_ij ∂_j log p], "
        "the noise η G. The divergence of D is needed: for a scalar g(x, t) it is the term (g²)_x. The sum over pairs "
        "finishes every dimension.",
        formula=r"b = f-\frac{1+\eta^2}{2}\left[\nabla\cdot D+D\,\nabla\log p_t\right],\quad D=GG^{\top}",
        domain=_DOMAIN,
        steps=steps,
        hypotheses=(DENSITY, "D is smooth and symmetric"),
        source="Anderson 1982; Haussmann and Pardoux 1986",
        wrong=wrong,
        mutants={"no-divergence": REFUTED, "half-divergence": REFUTED, "half-score": REFUTED},
    )
