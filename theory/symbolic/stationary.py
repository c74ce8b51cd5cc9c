"""Langevin dynamics: stationarity of both conventions, and the exact bias of the discrete chain on a Gaussian."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import Derivation, equal, positive_step, rule
from .domain import POSITIVE, REAL, UNIT, Domain, Expr
from .zero import REFUTED

_X = sp.symbols("x y z")
_P = sp.Function("p")
_A, _D, _H, _V, _V0, _TH, _E = sp.symbols("a d h v V theta epsilon")


def langevin(wrong: str | None = None) -> Derivation:
    """``dX = a grad log p dt + sqrt(2 a) dw`` leaves p stationary for every a > 0."""
    p = _P(*_X)
    gain = {"half-drift": sp.Rational(1, 2), "drift-doubled": 2}.get(wrong or "", 1)
    noise = sp.Rational(1, 2) if wrong == "noise-halved" else 1

    def side(size: int, drift: Any, square: Expr) -> Expr:
        """Fokker-Planck right-hand side at p in the first coordinates, drift times the score."""
        return sp.Add(*(
            -sp.Derivative(gain * drift * sp.Derivative(sp.log(p), k) * p, k) + noise * square / 2 * p.diff(k, 2)
            for k in _X[:size]
        ))  # fmt: skip

    half = sp.Rational(1, 2)
    return Derivation(
        "langevin",
        title="stationarity of Langevin dynamics, both conventions",
        statement="The Fokker-Planck right-hand side of dX = ∇log p dt + √2 dw, and of dX = ½ ∇log p dt + dw, "
        "vanishes at p, for every positive smooth p and every dimension; likewise dX = a ∇log p dt + √(2a) dw for "
        "every a > 0. Convergence to p is not claimed.",
        formula=r"-\nabla\cdot(a\,p\,\nabla\log p)+a\,\Delta p=0",
        domain=Domain({**dict.fromkeys(_X, REAL), _A: POSITIVE}, {_P: "positive"}),
        steps=(
            equal("a, coordinate by coordinate (here x)", side(1, _A, 2 * _A), 0, because="p ∂log p = ∂p"),
            equal("the convention of √2, d = 3", side(3, 1, sp.Integer(2)), 0),
            equal("the convention of ½, d = 3", side(3, half, sp.Integer(1)), 0),
            rule(
                "a density whose right-hand side vanishes", "the law started at p", "p at all times", relation="is",
                by="uniqueness of the Fokker-Planck equation",
                hypotheses=("the Fokker-Planck equation has one solution: no mass is lost at infinity",),
            ),
        ),
        hypotheses=("p is positive and twice differentiable",),
        source="Langevin 1908; Roberts and Tweedie 1996; Song and Ermon 2019, Eq. 4",
        wrong=wrong,
        mutants={"half-drift": REFUTED, "drift-doubled": REFUTED, "noise-halved": REFUTED},
    )  # fmt: skip


def ula(wrong: str | None = None) -> Derivation:
    """The unadjusted chain ``x + d s(x) + sqrt(2 d) z`` on a Gaussian: stationary variance and stability."""
    bias = {"bias-doubled": 1, "no-bias": 0}.get(wrong or "", sp.Rational(1, 2))
    limit = 4 if wrong == "threshold-doubled" else 2
    stationary = _V / (1 - bias * _D / _V)
    rate = (1 - _D / _V) ** 2

    log_density = -((_X[0] - _X[1]) ** 2) / (2 * _V)

    def step(variance: Any) -> Expr:
        return rate * variance + 2 * _D

    inside, outside = {_D: limit * _V * _TH}, {_D: limit * _V * (1 + _E)}
    return Derivation(
        "ula",
        title="unadjusted Langevin on a Gaussian: bias and threshold",
        statement="On N(μ, Σ), along an eigendirection of variance v, the chain x + d s(x) + √(2d) z has stationary "
        "variance v/(1 − d/(2v)), reached geometrically with factor (1 − d/v)² if and only if 0 < d < 2v. In the "
        "convention x + (h/2) s + √h z that is v/(1 − h/(4v)) and 0 < h < 4v.",
        formula=r"V_\infty=\frac{v}{1-d/(2v)},\quad V_{k+1}-V_\infty=\left(1-\frac dv\right)^2(V_k-V_\infty),\quad"
        r"0<d<2v",
        domain=Domain(
            {_D: POSITIVE, _H: POSITIVE, _V: POSITIVE, _V0: REAL, _TH: UNIT, _E: POSITIVE, _X[0]: REAL, _X[1]: REAL}
        ),
        steps=(
            equal(
                "one step of the chain is affine", _X[0] + _D * log_density.diff(_X[0]),
                _X[1] + (1 - _D / _V) * (_X[0] - _X[1]),
                because="y is the mean; the variance V goes to (1 − d/v)² V + 2 d",
            ),
            equal("the fixed point", step(stationary), stationary, because="the stationary variance"),
            equal("the distance from it", step(_V0) - stationary, rate * (_V0 - stationary)),
            equal("the bias", stationary - _V, bias * _D / (1 - bias * _D / _V), because="d/2 to first order"),
            equal(
                "in the convention x + (h/2) s + √h z", stationary.subs(_D, _H / 2), _V / (1 - _H / (4 * _V)),
                because="d = h/2, so that 0 < d < 2v is 0 < h < 4v",
            ),
            equal("the contraction", 1 - rate, _D / _V * (2 - _D / _V), because="positive if and only if d < 2v"),
            positive_step("stable: d = 2v θ with 0 < θ < 1", (1 - rate).subs(inside)),
            positive_step("divergent: d = 2v (1 + ε) with ε > 0", (rate - 1).subs(outside)),
        ),
        source="Roberts and Tweedie 1996, Sec. 3.2; Wibisono 2018",
        wrong=wrong,
        mutants={"bias-doubled": REFUTED, "no-bias": REFUTED, "threshold-doubled": REFUTED},
    )  # fmt: skip
