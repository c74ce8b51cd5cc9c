"""How much of the score a reversed process needs for the noise that it has: half scores and dropped noise."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import Derivation, equal, rule, solves
from .domain import POSITIVE, REAL, Domain
from .reversal import DENSITY, UNIQUE
from .zero import REFUTED

_X = sp.symbols("x y z")
_T, _C, _ETA = sp.symbols("t c eta")
_P, _G, _W = sp.Function("p"), sp.Function("g"), sp.Function("w")
_F = [sp.Function(f"f{k}") for k in (1, 2, 3)]
_HALF = sp.Rational(1, 2)


def reverse_drift(wrong: str | None = None) -> Derivation:
    """Drift ``f - c g^2 score`` with noise ``eta g``, run backwards, needs ``c = (1 + eta^2)/2``."""
    p, g = _P(*_X, _T), _G(_T)
    balance = _ETA**2 if wrong == "noise-counted-twice" else (1 + _ETA**2) / 2
    stochastic = _HALF if wrong == "half-score-full-noise" else sp.Integer(1)
    deterministic = sp.Integer(1) if wrong == "full-score-no-noise" else _HALF

    def sides(d: int, share: Any, noise: Any) -> tuple[Any, Any]:
        """Rates of p by the reversed and by the forward equation, in the first d coordinates."""
        backward, forward = [], []
        for fi, v in zip(_F[:d], _X[:d], strict=True):
            f = fi(*_X, _T)
            b = f - share * g**2 * sp.Derivative(sp.log(p), v)
            backward.append(-sp.Derivative(b * p, v) - noise**2 * g**2 * p.diff(v, 2) / 2)
            forward.append(-(f * p).diff(v) + g**2 * p.diff(v, 2) / 2)
        return sp.Add(*backward), sp.Add(*forward)

    steps = []
    for name, d in (
        ("what is left, coordinate i (here x, with all others as parameters)", 1),
        ("what is left, d = 3", 3),
    ):
        backward, forward = sides(d, _C, _ETA)
        rest = (_C - balance) * g**2 * sp.Add(*(p.diff(v, 2) for v in _X[:d]))
        steps.append(
            equal(
                name, backward - forward, rest,
                because="p ∂log p = ∂p: the score acts on p as diffusion, so that too much or too little of it is "
                "left as a multiple of Δp",
            )
        )  # fmt: skip
    steps.append(
        rule(
            "what is left vanishes for no other c", "Δp = 0 at all x", "p is constant", relation="gives",
            by="Liouville's theorem for positive harmonic functions",
            hypotheses=("g does not vanish, and p has mass one on the whole space, so that it is not constant",),
        )
    )  # fmt: skip
    for name, share, noise in (
        ("the reverse SDE: whole score, noise g", stochastic, 1),
        ("the reverse ODE: half the score, no noise", deterministic, 0),
    ):
        steps.append(
            equal(
                f"{name}, coordinate i (here x, with all others as parameters)",
                *sides(1, share, sp.Integer(noise)),
            )
        )
    steps.append(
        rule(
            "equal equations, equal laws", "law of the reversed process at t", "p(·, t)",
            by="uniqueness of the Fokker-Planck equation", hypotheses=(UNIQUE,),
        )
    )  # fmt: skip
    w = _W(_T)
    for name, share, noise, ends in (
        ("the reverse SDE returns", stochastic, 1, sp.Integer(1)),
        ("the reverse ODE returns", deterministic, 0, sp.Integer(1)),
        ("half the score with all of the noise returns", _HALF, 1, 1 + _T),
        ("the whole score without noise returns", 1, 0, sp.exp(-_T)),
    ):
        steps.append(
            solves(
                f"for N(0, 1) and dx = −½x dt + dw, {name} the variance",
                {w.diff(_T): 2 * (_HALF - share) * w + noise**2}, {w: ends}, start={_T: 0}, initial={w: 1},
                because="every p(·, s) is N(0, 1), so that the drift is ½y − c y in the time that runs backwards; t "
                "is how long it ran",
            )
        )  # fmt: skip
    return Derivation(
        "reverse-drift",
        title="the share of the score that reversed noise needs",
        statement="Backwards in time, drift f − c g²∇log p with noise η g changes p at a rate that is off by "
        "(c − (1+η²)/2) g² Δp, so that it has the laws of the forward process if and only if c = (1+η²)/2: the whole "
        "score with the noise g, half the score without noise. In the example N(0, 1) under dx = −½x dt + dw, half "
        "the score with all of the noise returns the variance 1 + T, the whole score without noise e^{−T}, in place "
        "of 1.",
        formula=r"\left(c-\frac{1+\eta^2}{2}\right)g^2\Delta p=0\iff c=\frac{1+\eta^2}{2}",
        domain=Domain(
            {**dict.fromkeys((*_X, _C, _ETA), REAL), _T: POSITIVE},
            {_P: "positive", _W: "positive", **dict.fromkeys((_G, *_F), "real")},
        ),
        steps=steps,
        hypotheses=(DENSITY,),
        source="Anderson 1982; Song et al. 2021, Eqs. 6 and 13",
        wrong=wrong,
        mutants={
            "half-score-full-noise": REFUTED,
            "full-score-no-noise": REFUTED,
            "noise-counted-twice": REFUTED,
        },
    )
