"""The discrete chains of DDPM and SMLD against the VP and VE processes that they tend to.

S(t) is the variance sigma(t)^2 of SMLD; a, b, c are the value and the first two derivatives of the rate beta of
the VP process at the time t of the step, so that a polynomial in h has the expansion of any smooth rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp

from .derivation import Derivation, Step, equal, positive_step, rule, solves
from .domain import POSITIVE, REAL, UNIT, Domain
from .zero import REFUTED

SMOOTH_RATE = "β is positive and twice continuously differentiable on [0, T], and h β < 1"
_H, _T, _R, _U, _X, _Z = sp.symbols("h t r u x z")
_A, _B, _C = sp.symbols("a b c")
_S, _V, _BETA, _I, _BAR = (sp.Function(n) for n in ("S", "v", "beta", "I", "alphabar"))
_HALF = sp.Rational(1, 2)
_DOMAIN = Domain(
    {_H: POSITIVE, _T: POSITIVE, _R: UNIT, _U: UNIT, _X: REAL, _Z: REAL, _A: POSITIVE, _B: REAL, _C: REAL},
    {_S: "positive", _V: "positive", _BETA: "positive", _I: "positive", _BAR: "positive"},
)  # fmt: skip


def expansion(
    name: str, expr: sp.Expr, h: sp.Symbol, coefficients: Sequence[Any], *, because: str = ""
) -> Step:
    """The expansion of an expression at ``h = 0``, with a remainder of the next order."""
    order = len(coefficients)
    checks = tuple(
        sp.diff(expr, h, k).subs(h, 0) / sp.factorial(k) - c for k, c in enumerate(coefficients)
    )
    terms = [c * h**k for k, c in enumerate(coefficients) if c != 0]
    return Step(
        name=name,
        shown=((expr, sp.Add(*terms, sp.Order(h**order), evaluate=False)),),
        checks=checks,
        because=because,
        by="Taylor's theorem",
    )


def ddpm_limit(wrong: str | None = None) -> Derivation:
    """The DDPM chain tends to the VP process at first order in the step; the leading error is explicit."""
    square: Any = {"no-square-term": 0, "wrong-sign": -1}.get(wrong or "", 1)
    slope = 0 if wrong == "no-end-rate" else 1
    step = _A + _B * _H + _C * _H**2 / 2  # the rate at t + h
    passed = _A * _H + _B * _H**2 / 2 + _C * _H**3 / 6  # its integral from t to t + h
    mean = sp.sqrt(1 - _H * step), sp.exp(-passed / 2)
    spread = _H * step, 1 - sp.exp(-passed)
    beta, bar, total = _BETA(_T), _BAR(_T), _I(_T)
    lost = sp.log(1 - _H * step) + passed
    shift = total + slope * (beta - _R)
    return Derivation(
        "ddpm-limit",
        title="DDPM tends to the VP process, at first order",
        statement="The chain x ← √(1−β_k) x + √β_k z with β_k = h β(t_k) has, at t = kh, the kernel N(√ᾱ x₀, 1−ᾱ) "
        "with log ᾱ = −∫β − (h/2)[∫β² + β(t) − β(0)] + O(h²): it tends to the VP process dx = −½βx dt + √β dw "
        "at first order in h, and is not exact at the grid points. With 1−β_k = exp(−∫β) over the step it is exact. "
        "a, b, c are β, β′, β″ at the start of a step; β is taken at its end, as in the source.",
        formula=r"\log\bar\alpha_k = -\int_0^{t}\beta\,ds-\frac h2\left[\int_0^t\beta^2ds+\beta(t)-\beta(0)\right]"
        r"+O(h^2)",
        domain=_DOMAIN,
        steps=(
            equal(
                "the kernel of the chain keeps the form N(√ᾱ x₀, 1−ᾱ)",
                (1 - _R) * (1 - bar) + _R, 1 - (1 - _R) * bar,
                because="r is β_k: the variance 1−ᾱ becomes 1−(1−r)ᾱ, and the mean factor is multiplied by √(1−r)",
            ),
            expansion(
                "one step of the chain: mean factor", mean[0], _H, (1, -_A / 2),
                because="the drift −½βx of the process; the rate at the end of the step is a + bh + ch²/2",
            ),
            expansion("one step of the chain: variance", spread[0], _H, (0, _A), because="the noise g² = β"),
            expansion(
                "mean factor, chain minus process", mean[0] - mean[1], _H, (0, 0, -(square * _A**2 + slope * _B) / 4),
                because="the process multiplies x by exp(−½∫β) and adds noise of variance 1 − exp(−∫β)",
            ),
            expansion(
                "variance, chain minus process", spread[0] - spread[1], _H, (0, 0, (_A**2 + _B) / 2),
            ),
            expansion(
                "log ᾱ, chain minus process", lost, _H, (0, 0, -(square * _A**2 + slope * _B) / 2),
                because="log(1−β_k) against −∫β over the step: the local error is of order h²",
            ),
            rule(
                "added over t/h steps", "Σ h² (β² + β′)/2 over the steps", "(h/2) ∫(β² + β′) ds + O(h²)",
                by="convergence of Riemann sums", hypotheses=(SMOOTH_RATE,),
            ),
            equal(
                "the sum in closed form, with I = ∫β² and r = β(0)", sp.Derivative(shift, _T) / 2,
                (beta**2 + beta.diff(_T)) / 2, using={total.diff(_T): beta**2},
                because="its derivative is the local term, and it is zero at t = 0",
            ),
            equal(
                "a chain that is exact", sp.log(1 - (1 - sp.exp(-_A * _H))), -_A * _H,
                because="for β_k = 1 − exp(−∫β) log ᾱ changes by −∫β, and β_k is the variance of the process over "
                "the step; ah is ∫β over the step here",
            ),
        ),
        source="Song et al. 2021, appendix B (there without a rate)",
        wrong=wrong,
        mutants={"no-square-term": REFUTED, "wrong-sign": REFUTED, "no-end-rate": REFUTED},
    )  # fmt: skip


def smld_limit(wrong: str | None = None) -> Derivation:
    """The SMLD chain is the VE process at its grid points, exactly."""
    variance = _S(_T)
    sigma = sp.sqrt(variance)
    rates = {
        "rate-of-sigma": sp.Derivative(sigma, _T) ** 2,
        "missing-two": sigma * sp.Derivative(sigma, _T),
    }
    rate = rates.get(wrong or "", variance.diff(_T))
    taken = _S(_T) - _S(_R)
    return Derivation(
        "smld-limit",
        title="SMLD is the VE process at its grid points",
        statement="The chain x ← x + √(σ²(t_k) − σ²(t_{k−1})) z is the process dx = √(dσ²/dt) dw at t_k: the two have "
        "the same transitions, with no error in the step, while DDPM differs from its process at first order. S is "
        "σ² as a function of time, and a step leads from r to t.",
        formula=r"x_k=x_{k-1}+\sqrt{\sigma^2(t_k)-\sigma^2(t_{k-1})}\,z_k\quad\text{is}\quad "
        r"dx=\sqrt{\frac{d\sigma^2}{dt}}\,dw\ \text{at}\ t_k",
        domain=_DOMAIN,
        steps=(
            equal(
                "the noise of the process", rate, 2 * sigma * sp.Derivative(sigma, _T),
                because="g² = dσ²/dt = 2σσ′, which is not (dσ/dt)²",
            ),
            solves(
                "variance of the process from r to t", {_V(_T).diff(_T): rate}, {_V(_T): taken},
                start={_T: _R}, initial={_V(_T): 0},
                because="the unknown is the variance given the state at r, in every coordinate",
            ),
            equal(
                "the same as that of the chain", taken, sp.sqrt(_S(_T) - _S(_R)) ** 2,
                because="both transitions are Gaussian with the state at r as mean, so that they are one law",
            ),
            rule(
                "all grid points", "one transition", "the law of all x_k together",
                by="the Markov property", hypotheses=("both start from the same law; the noises are independent",),
            ),
        ),
        hypotheses=("σ is increasing and continuously differentiable",),
        source="Song et al. 2021, appendix B",
        wrong=wrong,
        mutants={"rate-of-sigma": REFUTED, "missing-two": REFUTED},
    )  # fmt: skip


def euler_step(wrong: str | None = None) -> Derivation:
    """One Euler-Maruyama step against the transitions of SMLD and DDPM: both differ at order h^2."""
    eighth = {"quarter": sp.Rational(1, 4), "wrong-sign": -sp.Rational(1, 8)}.get(
        wrong or "", sp.Rational(1, 8)
    )
    half = 1 if wrong == "missing-half" else _HALF
    rate, second = _A, _B  # of sigma^2
    smld = rate * _H + second * _H**2 / 2 + _C * _H**3 / 6
    kept = sp.sqrt(1 - _U)
    gap = sp.sqrt(1 - _A * _H) - (1 - _A * _H / 2)
    exact = sp.exp(-_A * _H / 2) - (1 - _A * _H / 2)
    return Derivation(
        "euler-step",
        title="how far one Euler-Maruyama step is from SMLD and DDPM",
        statement="Over a step h, Euler-Maruyama of the VE process has the mean of SMLD, and its variance is smaller "
        "by ½ (σ²)″ h² + O(h³). Euler-Maruyama of the VP process has the variance of DDPM exactly, and its mean "
        "factor is larger by (1 − √(1−βh))²/2 = β²h²/8 + O(h³). It is smaller than that of the process itself by the "
        "same leading term. Here a, b, c are the first three derivatives of σ² at t, or a is β; u is βh.",
        formula=r"\sqrt{1-\beta h}-\left(1-\frac{\beta h}2\right)=-\frac12\left(1-\sqrt{1-\beta h}\right)^2"
        r"=-\frac{\beta^2h^2}{8}+O(h^3)",
        domain=_DOMAIN,
        steps=(
            expansion(
                "VE: variance of SMLD minus that of Euler-Maruyama", smld - rate * _H, _H, (0, 0, half * second),
                because="σ²(t+h) − σ²(t) against g²h with g² = (σ²)′",
            ),
            equal(
                "VP: mean factor of Euler-Maruyama minus that of DDPM, exactly",
                1 - _U / 2 - kept, (1 - kept) ** 2 / 2,
                because="u = βh; the variances are both βh, so that the mean alone differs",
            ),
            positive_step("a step of Euler-Maruyama keeps more of x", (_U / (1 + kept)) ** 2 / 2),
            equal("where 1 − √(1−u) is", 1 - kept, _U / (1 + kept)),
            expansion("VP: mean factor of DDPM minus that of Euler-Maruyama", gap, _H, (0, 0, -eighth * _A**2)),
            expansion(
                "VP: mean factor of the process minus that of Euler-Maruyama", exact, _H, (0, 0, eighth * _A**2),
                because="for a constant rate: Euler-Maruyama lies midway between DDPM and the process",
            ),
            expansion(
                "VP: variance of the process minus that of Euler-Maruyama and DDPM", 1 - sp.exp(-_A * _H) - _A * _H,
                _H, (0, 0, -half * _A**2),
            ),
        ),
        hypotheses=("σ² is three times, β once continuously differentiable; DDPM has β_k = h β(t_k)",),
        source="Song et al. 2021, appendix E",
        wrong=wrong,
        mutants={"quarter": REFUTED, "wrong-sign": REFUTED, "missing-half": REFUTED},
    )  # fmt: skip
