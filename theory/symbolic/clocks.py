"""Changes of clock and of scale: VP as VE, and the noise of ``e^t dw`` as geometric levels."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import Derivation, equal, positive_step, rule, solves
from .domain import POSITIVE, REAL, UNIT, Domain
from .kernels import BETA, MEAN, VARIANCE, B, T
from .zero import REFUTED

_R, _M0, _V0, _S, _H, _K = sp.symbols("r m_r v_0 S h k")
_BETA, _BAR, _E, _Q = sp.symbols("b alphabar E q")


def ve_and_vp(wrong: str | None = None) -> Derivation:
    """``x / a(t)`` of the VP process is the VE process with ``sigma^2 = e^B - 1``, as a law of paths; chains alike."""
    power = {"no-rescaling": 0, "scale-squared": 2}.get(wrong or "", 1)

    def level(scale2: Any) -> Any:
        """sigma^2 of VE for a squared scale of VP."""
        return 1 - scale2 if wrong == "clock-without-scale" else (1 - scale2) / scale2

    m, v = MEAN(T), VARIANCE(T)
    gone = B(T) - B(_R)
    early, late = sp.exp(-B(_R)), sp.exp(-B(T))  # squared scales
    kept, added = sp.exp(-gone / 2), 1 - sp.exp(-gone)
    next_bar = (1 - _BETA) * _BAR
    clock = {B(T).diff(T): BETA(T)}
    return Derivation(
        "ve-and-vp",
        title="VE and VP are one process after a change of scale and clock",
        statement="For every β, y = x/a(t) with a = e^{−B/2}, B = ∫₀ᵗ β, turns dx = −½βx dt + √β dw into dy = "
        "√(dσ²/dt) dw with σ² = (1 − a²)/a² = e^B − 1, as a law of paths and for every law at t = 0; backwards β = d "
        "log(1 + σ²)/dt. So do the chains: y_i = x_i/√ᾱ_i of DDPM is the SMLD chain with σ_i² = (1 − ᾱ_i)/ᾱ_i. In x "
        "itself they differ.",
        formula=r"y=\frac{x}{a(t)},\quad a=e^{-B/2},\quad \sigma^2=\frac{1-a^2}{a^2}:\qquad dx=-\tfrac12\beta x\,dt"
        r"+\sqrt\beta\,dw\iff dy=\sqrt{\frac{d\sigma^2}{dt}}\,dw",
        domain=Domain(
            {T: POSITIVE, _R: POSITIVE, _M0: REAL, _BETA: UNIT, _BAR: UNIT},
            {BETA: "positive", B: "real", MEAN: "real", VARIANCE: "positive"},
        ),
        steps=(
            solves(
                "the VP process from r to t, mean", {m.diff(T): -BETA(T) * m / 2}, {m: kept * _M0},
                start={T: _R}, initial={m: _M0}, using=clock,
            ),
            solves(
                "the VP process from r to t, variance", {v.diff(T): -BETA(T) * v + BETA(T)}, {v: added},
                start={T: _R}, initial={v: 0}, using=clock, because="given the state at r",
            ),
            equal(
                "y has the mean of VE: it is kept",
                kept * early ** sp.Rational(power, 2) / late ** sp.Rational(power, 2), 1,
                because="the factor from y at r to the mean of y at t",
            ),
            equal(
                "y has the variance of VE: the growth of σ²", added / late**power, level(late) - level(early),
                because="σ² = (1 − a²)/a² at t and at r",
            ),
            rule(
                "all times", "one transition, and y = x at t = 0", "the law of the whole path", relation="gives",
                by="the Markov property of Gaussian processes", hypotheses=("β is positive and integrable, B(0) = 0",),
            ),
            equal(
                "its noise", sp.Derivative(level(late), T), BETA(T) / late, using=clock,
                because="g² of VE is dσ²/dt, that of VP over a²",
            ),
            equal("backwards, from σ² to β", sp.Derivative(sp.log(1 + level(late)), T), BETA(T), using=clock),
            equal(
                "a step of DDPM in y: the mean is kept",
                sp.sqrt(1 - _BETA) * _BAR ** sp.Rational(power, 2) / next_bar ** sp.Rational(power, 2), 1,
                because="b is β_i, ᾱ is that before the step, (1 − b)ᾱ that after",
            ),
            equal("a step of DDPM in y: the variance of SMLD", _BETA / next_bar**power, level(next_bar) - level(_BAR)),
        ),
        source="Song et al. 2021, appendix B; Karras et al. 2022, appendix C.1",
        wrong=wrong,
        mutants={"no-rescaling": REFUTED, "scale-squared": REFUTED, "clock-without-scale": REFUTED},
    )  # fmt: skip


def geometric_levels(wrong: str | None = None) -> Derivation:
    """The noise of ``dx = e^t dw`` against levels in geometric progression: where it is exact."""
    already = sp.Integer(1) if wrong == "unit-noise" else sp.Rational(1, 2)
    v, growth = VARIANCE(T), (sp.exp(2 * T) - 1) / 2

    def time(level: Any) -> Any:
        """When the noise has a variance."""
        return sp.log(1 + 2 * level) * (1 if wrong == "time-doubled" else sp.Rational(1, 2))

    def ratio(start: Any) -> Any:
        return (start + growth.subs(T, T + _H)) / (start + growth)

    beyond = (
        0 if wrong == "geometric-from-clean-data" else (1 - sp.exp(-2 * _H)) / (sp.exp(2 * T) - 1)
    )
    percent = sp.Rational(1, 1000 if wrong == "within-a-thousandth" else 100)
    return Derivation(
        "geometric-levels",
        title="the noise of dx = eᵗ dw and geometric levels",
        statement="dx = eᵗ dw has the noise variance (e^{2t} − 1)/2. It has any level σ² at the time t = ½ log(1 + "
        "2σ²), so in particular those of a geometric progression. At equal steps h of time the variances grow by "
        "e^{2h}[1 + (1 − e^{−2h})/(e^{2t} − 1)] a step: geometric in the limit t → ∞, with a ratio of levels within "
        "1 % of e^h from t = 2 on; and exactly geometric if the data carry noise of variance ½ already.",
        formula=r"\frac{\sigma^2(t+h)}{\sigma^2(t)}=e^{2h}\left[1+\frac{1-e^{-2h}}{e^{2t}-1}\right]",
        domain=Domain(
            {T: POSITIVE, _V0: POSITIVE, _S: POSITIVE, _H: POSITIVE, _K: POSITIVE, _E: (53, sp.oo), _Q: UNIT},
            {VARIANCE: "positive"},
        ),
        steps=(
            solves(
                "the variance", {v.diff(T): sp.exp(2 * T)}, {v: _V0 + growth}, start={T: 0}, initial={v: _V0},
            ),
            equal("the time of a level S = σ²", growth.subs(T, time(_S)), _S),
            equal(
                "from a level to the next of a progression with ratio k", growth.subs(T, time(_K**2 * _S)),
                _K**2 * growth.subs(T, time(_S)),
            ),
            equal("equal steps, from clean data", ratio(0), sp.exp(2 * _H) * (1 + beyond)),
            equal("equal steps, from data with noise of variance ½", ratio(already), sp.exp(2 * _H)),
            positive_step(
                "the ratio of levels is below 1.01 e^h from t = 2 on", (1 + percent) ** 2 - 1 - (1 - _Q) / (_E - 1),
                because="E is e^{2t}, more than 2.7⁴ > 53; q is e^{−2h}",
            ),
            positive_step("and above e^h", (1 - _Q) / (_E - 1)),
        ),
        source="Song et al. 2021, Sec. 3.1",
        wrong=wrong,
        mutants={
            "geometric-from-clean-data": REFUTED, "unit-noise": REFUTED, "time-doubled": REFUTED,
            "within-a-thousandth": REFUTED,
        },
    )  # fmt: skip
