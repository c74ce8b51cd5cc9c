"""The two ends of a diffusion: starting the reversal from a fixed prior, and stopping it before t = 0."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .chain_limits import expansion
from .derivation import DECAY, Derivation, equal, positive_step, rule, same_integral
from .domain import POSITIVE, REAL, Domain
from .zero import REFUTED

_X, _M, _V, _S, _U, _A, _Q, _N = sp.symbols("x m v s u A M n")
_X0, _SCALE, _SD, _EPS, _BETA, _T, _K, _D = sp.symbols("x_0 a sigma epsilon beta t k d")
_RHO = sp.Function("rho")
_HALF = sp.Rational(1, 2)


def prior_bound(wrong: str | None = None) -> Derivation:
    """``KL(p_T || N(0, s^2)) <= 1/2 [a^2 E x_0^2 / s^2 + v/s^2 - 1 - log(v/s^2)]`` for every law of the data."""
    signal: Any = 0 if wrong == "signal-left-out" else 1
    half: Any = 1 if wrong == "no-half" else _HALF
    density = sp.exp(-((_X - _M) ** 2) / (2 * _V)) / sp.sqrt(2 * sp.pi * _V)
    ratio = -sp.log(_V / _S**2) / 2 - (_X - _M) ** 2 / (2 * _V) + _X**2 / (2 * _S**2)
    value = half * (signal * _M**2 / _S**2 + _V / _S**2 - 1 - sp.log(_V / _S**2))
    flux = (
        (_X - _M) * density / 2
        - _V * (_X - _M) * density / (2 * _S**2)
        - _V * _M * density / _S**2
    )
    rest = -sp.log(1 - _A)
    limit = sp.Rational(2 if wrong == "twice-as-close" else 4, 5000)  # 2 (1/50)^2
    preserving = half * (signal * _A * _Q + (1 - _A) - 1 + rest)
    fat = _A / (1 - _A)
    gap = _SCALE * _X0 + _SD * _EPS - _S * _EPS
    return Derivation(
        "prior-bound",
        title="how far x_T is from a fixed prior",
        statement="For x_T = a x₀ + noise of variance v and the prior N(0, s²), in each coordinate: KL(p_T‖prior) ≤ "
        "½[a²E x₀²/s² + v/s² − 1 − log(v/s²)] and W2² ≤ a²E x₀² + (√v − s)², for every law of x₀. The exact reversal "
        "from the prior returns a law no farther from that of the data, in total variation and in this divergence. "
        "With s² = v (VE, e^t dw) KL is at most a²E x₀²/(2v); for VP with A = a² = e^{−B} at most ½A E x₀² + A²/4 + "
        "O(A³). With E x₀² ≤ 1 the total variation is below 0.02 once A < 1/650 (VP), or once v > 625 with a = 1 and "
        "s² = v.",
        formula=r"\mathrm{KL}\left(p_T\,\|\,N(0,s^2)\right)\le\frac12\left[\frac{a^2E\,x_0^2}{s^2}+\frac v{s^2}-1"
        r"-\log\frac v{s^2}\right]",
        domain=Domain(
            {
                **dict.fromkeys((_X, _M, _U, _X0, _EPS), REAL), **dict.fromkeys((_S, _SD, _SCALE, _Q), POSITIVE),
                _V: POSITIVE, _A: (0, sp.Rational(1, 650)), _N: (625, sp.oo),
            }
        ),
        steps=(
            equal(
                "log of N(m, v) over the prior", sp.log(density) - sp.log(density.subs(_M, 0).subs(_V, _S**2)), ratio,
                because="given x₀ the law of x_T is N(m, v) with m = a x₀",
            ),
            same_integral(
                "its divergence from the prior", density * ratio, density * value, flux={_X: flux},
                hypotheses=(DECAY,),
                because="the mean of (x − m)² is v, that of x² is v + m²",
            ),
            rule(
                "averaged over x₀", "KL(p_T‖prior)", "the mean of that, with E m² = a²E x₀²", relation="is at most",
                by="convexity of the divergence", hypotheses=("E x₀² is finite",),
            ),
            equal(
                "a coupling of x_T = a x₀ + σε with sε", gap**2,
                _SCALE**2 * _X0**2 + (_SD - _S) ** 2 * _EPS**2 + 2 * _SCALE * (_SD - _S) * _X0 * _EPS,
                because="σ² = v; the mean of the last term is zero, and that of ε² is one: a bound on W2²",
            ),
            rule(
                "what the reversal returns", "its divergence and total variation from the data",
                "those of the prior from p_T", relation="are at most",
                by="the data processing inequality; total variation is at most √(KL/2) (Pinsker)",
                hypotheses=("the reversal is exact",),
            ),
            expansion("VP, s = 1, v = 1 − A", preserving, _A, (0, _Q / 2, sp.Rational(1, 4)), because="M is E x₀²"),
            equal(
                "the slope of A/(1 − A) + log(1 − A)", sp.Derivative(fat - rest, _A), _A / (1 - _A) ** 2,
                because="it is positive: −log(1 − A) is below A/(1 − A)",
            ),
            positive_step(
                "VP: twice 0.02² is above the bound for A < 1/650, M = 1", limit - half * fat,
                because="the bound is below ½(A M − A + A/(1 − A)), and M = 1",
            ),
            positive_step("a = 1 and s² = v: above M/(2v) for v > 625, M = 1", limit - half / _N, because="n is v"),
        ),
        source="by the divergence of two normal laws; Pinsker's inequality",
        wrong=wrong,
        mutants={"signal-left-out": REFUTED, "no-half": REFUTED, "twice-as-close": REFUTED},
    )  # fmt: skip


def stopping_early(wrong: str | None = None) -> Derivation:
    """Data on a subspace at a noise level: the score across is ``-n/sigma^2``, the bias of stopping ``sigma^2``."""
    power = 1 if wrong == "rate-of-sigma" else 2
    u, n = _X, _N
    variance = _SD**2
    across = sp.exp(-(n**2) / (2 * variance)) / sp.sqrt(2 * sp.pi * variance)
    density = _RHO(u) * across
    moved = variance / 2 if wrong == "bias-halved" else variance
    size = 1 / variance**2 if wrong == "fourth-power" else 1 / variance
    gap = _SCALE * _X0 + _SD * _EPS - _X0
    return Derivation(
        "stopping-early",
        title="the score near a subspace, and the bias of stopping before t = 0",
        statement="For data on a subspace of dimension d − k in d dimensions, x_t = a x₀ + σε has the score −n/σ² in "
        "each of the k coordinates n across: at a fixed point off the subspace it grows like 1/σ², in mean square "
        "like k/σ², and it is finite for σ > 0. The law of x_t has W2² ≥ kσ² from that of the data, and ≤ (1 − "
        "a)²E|x₀|² + dσ². Whatever the level, the mean square score across times the mean square displacement across "
        "is k².",
        formula=r"\partial_n\log p_t=-\frac n{\sigma^2},\quad E\|\nabla_n\log p_t\|^2=\frac k{\sigma^2},\quad "
        r"k\sigma^2\le W_2^2(p_t,p_0)\le(1-a)^2E\|x_0\|^2+d\,\sigma^2",
        domain=Domain(
            {**dict.fromkeys((u, n, _X0, _EPS), REAL), **dict.fromkeys((_SCALE, _SD, _BETA, _T, _K, _D), POSITIVE)},
            {_RHO: "positive"},
        ),
        steps=(
            equal(
                "the score across", sp.Derivative(sp.log(density), n), -n / _SD**power,
                because="the noise across is independent of the part inside: the law is ρ(u) N(n; 0, σ²)",
            ),
            equal(
                "the score inside does not see n", sp.Derivative(sp.log(density), u),
                sp.Derivative(sp.log(_RHO(u)), u),
            ),
            same_integral(
                "its mean square, one coordinate across", density * (n / variance) ** 2, density * size,
                flux={n: -n * density / variance}, hypotheses=(DECAY,),
            ),
            expansion(
                "for VP with constant β, σ² near t = 0", 1 - sp.exp(-_BETA * _T), _T, (0, _BETA),
                because="so that the mean square grows like k/(βt)",
            ),
            same_integral(
                "the mean square displacement across", density * n**2, density * moved,
                flux={n: -variance * n * density},
                hypotheses=(DECAY,),
            ),
            rule(
                "every coupling with the data", "the mean square distance", "that to the subspace, kσ²",
                relation="is at least", by="definition of W2",
                hypotheses=("the data lie in the subspace and E|x₀|² is finite",),
            ),
            equal(
                "the coupling by the noising itself, one coordinate", gap**2,
                (1 - _SCALE) ** 2 * _X0**2 + variance * _EPS**2 - 2 * (1 - _SCALE) * _SD * _X0 * _EPS,
                because="the mean of ε is zero, that of ε² one: an upper bound",
            ),
            equal("the trade", (_K * size) * (_K * moved), _K**2),
        ),
        hypotheses=("ρ, the law inside, has a smooth positive density",),
        source="by the product form of the noised law",
        wrong=wrong,
        mutants={"rate-of-sigma": REFUTED, "fourth-power": REFUTED, "bias-halved": REFUTED},
    )  # fmt: skip
