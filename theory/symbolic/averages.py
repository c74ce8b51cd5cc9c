"""Two facts of training: averaged iterates on a quadratic, and the kernel of random Fourier features."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import Derivation, equal, positive_step, rule, same_integral, solves
from .domain import POSITIVE, REAL, UNIT, Domain
from .zero import REFUTED

_U, _M, _N, _S, _T, _R, _W, _X = sp.symbols("u m n s t r w x")
_PHI = sp.Function("phi")


def ema(wrong: str | None = None) -> Derivation:
    """On a quadratic an exponential moving average has a smaller stationary variance than the iterate."""
    a = 1 - _U  # factor of one step; u is the learning rate times the curvature
    plain = _N / (1 - a**2)
    cross = sp.Integer(0) if wrong == "no-correlation" else (1 - _M) * plain / (1 - _M * a)
    factor = (1 - _M) * (1 + _M * a) / ((1 + _M) * (1 - _M * a))
    if wrong == "as-if-independent":
        factor = (1 - _M) / (1 + _M)
    if wrong == "window-squared":
        factor = ((1 - _M) / (1 + _M)) ** 2
    smooth = factor * plain
    gain = 2 * _M * _U / ((1 + _M) * (1 - _M * a))
    return Derivation(
        "ema",
        title="an exponential moving average lowers the stationary variance",
        statement="For θ ← aθ + noise of variance n (gradient steps on a quadratic, a = 1 − u with u = learning rate "
        "× curvature in (0, 2)) and the average θ̄ ← mθ̄ + (1−m)θ, 0 < m < 1, the stationary variances are V = "
        "n/(1−a²) and V̄ = V (1−m)(1+ma)/((1+m)(1−ma)) < V. In d dimensions this holds along every eigenvector.",
        formula=r"\bar V=V\,\frac{(1-m)(1+ma)}{(1+m)(1-ma)},\quad V=\frac{n}{1-a^2},\quad a=1-u",
        domain=Domain({_U: (0, 2), _M: UNIT, _N: POSITIVE}),
        steps=(
            equal("the iterate: V = a²V + n", a**2 * plain + _N, plain),
            equal(
                "the covariance C of average and iterate: C = maC + (1−m)V",
                _M * a * cross + (1 - _M) * plain, cross,
                because="θ̄ and θ of the next step are mθ̄ + (1−m)(aθ + noise) and aθ + noise, and a²V + n = V",
            ),
            equal(
                "the average: V̄ = m²V̄ + 2m(1−m)aC + (1−m)²V",
                _M**2 * smooth + 2 * _M * (1 - _M) * a * cross + (1 - _M) ** 2 * plain, smooth,
                because="E[θ̄ (aθ + noise)] = aC",
            ),
            equal("what is gained: 1 − V̄/V", 1 - factor, gain),
            positive_step("it is positive for every u in (0, 2)", gain),
            positive_step("and V̄ is positive", (1 - _M) * (1 + _M * a) / ((1 + _M) * (1 - _M * a))),
            rule(
                "from any start", "variances of θ and θ̄ after many steps", "V and V̄",
                by="linear recursions with factors a², ma and m² below 1 in size",
                hypotheses=("noises of different steps are uncorrelated, with mean zero and variance n",),
            ),
        ),
        source="Polyak and Juditsky 1992; Mandt et al. 2017",
        wrong=wrong,
        mutants={"no-correlation": REFUTED, "as-if-independent": REFUTED, "window-squared": REFUTED},
    )  # fmt: skip


def fourier_features(wrong: str | None = None) -> Derivation:
    """``E[gamma(t).gamma(r)] = exp(-2 pi^2 s^2 (t - r)^2)``, by the characteristic function of a normal law."""
    turn: Any = {"no-two-pi": 1, "missing-two": sp.pi}.get(wrong or "", 2 * sp.pi)
    density = sp.exp(-(_W**2) / (2 * _S**2)) / (sp.sqrt(2 * sp.pi) * _S)
    phi, closed = _PHI(_X), sp.exp(-(_S**2) * _X**2 / 2)
    if wrong == "variance-for-deviation":
        closed = sp.exp(-_S * _X**2 / 2)
    angles = 2 * sp.pi * _T * _W, 2 * sp.pi * _R * _W
    return Derivation(
        "fourier-features",
        title="the kernel of random Fourier features",
        statement="For γ(t) = [sin 2πtW, cos 2πtW] with W ~ N(0, s²), γ(t)·γ(r) depends on t − r alone for every W, "
        "and its mean is exp(−2π²s²(t − r)²). Several frequencies multiply it by their number.",
        formula=r"E\,\gamma(t)\cdot\gamma(r)=e^{-2\pi^2s^2(t-r)^2}",
        domain=Domain(
            {_W: REAL, _X: REAL, _T: REAL, _R: REAL, _S: POSITIVE}, {_PHI: "real"}
        ),
        steps=(
            equal(
                "the inner product for one frequency",
                sp.sin(angles[0]) * sp.sin(angles[1]) + sp.cos(angles[0]) * sp.cos(angles[1]),
                sp.cos(turn * (_T - _R) * _W),
            ),
            same_integral(
                "the characteristic function φ(x) = E cos(xW) has φ′ = −s²xφ",
                sp.Derivative(sp.cos(_X * _W) * density, _X), -(_S**2) * _X * sp.cos(_X * _W) * density,
                flux={_W: _S**2 * sp.sin(_X * _W) * density},
                because="integration by parts in w (Stein): w k = −s² k′ for the density k of W",
                hypotheses=("the derivative in x passes under the integral (w k is integrable)",),
            ),
            solves(
                "which is solved by", {phi.diff(_X): -(_S**2) * _X * phi}, {phi: closed},
                start={_X: 0}, initial={phi: 1},
            ),
            equal(
                "at x = 2π(t − r)", closed.subs(_X, turn * (_T - _R)),
                sp.exp(-2 * sp.pi**2 * _S**2 * (_T - _R) ** 2),
            ),
        ),
        source="Rahimi and Recht 2007; Tancik et al. 2020",
        wrong=wrong,
        mutants={"no-two-pi": REFUTED, "missing-two": REFUTED, "variance-for-deviation": REFUTED},
    )  # fmt: skip
