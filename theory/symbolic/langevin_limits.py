"""What Langevin dynamics tends to: the process in time, the chain in its step, and why one step is never exact."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .chain_limits import expansion
from .derivation import DECAY, Derivation, Step, equal, positive_step, rule, same_integral, solves
from .domain import POSITIVE, REAL, Domain
from .entropy_flow import EXCHANGE
from .zero import REFUTED

_X = sp.symbols("x y z")
_T, _C, _V, _D, _H, _TAU, _E = sp.symbols("t C v d h tau epsilon")
_MU, _M0, _V0, _R = sp.symbols("mu m_0 V_0 r")
_P, _RATIO, _U, _W, _M = (sp.Function(n) for n in ("p", "h", "u", "w", "m"))
_HALF = sp.Rational(1, 2)


def langevin_limit(wrong: str | None = None) -> Derivation:
    """``dX = grad log p dt + sqrt(2) dw`` converges to p; a process that only leaves p stationary need not."""
    pull = 2 if wrong == "score-doubled" else 1
    speed = 4 if wrong == "rate-doubled" else 2
    p, h, u = _P(*_X), _RATIO(*_X), _U(*_X)

    def generator(f: Any, d: int) -> Any:
        return sp.Add(
            *(f.diff(v, 2) + pull * sp.Derivative(sp.log(p), v) * f.diff(v) for v in _X[:d])
        )

    steps: list[Step] = []
    for name, d in (("coordinate i (here x, with all others as parameters)", 1), ("d = 3", 3)):
        at = _X[:d]
        forward = sp.Add(*(
            -sp.Derivative(pull * p * h * sp.Derivative(sp.log(p), v), v) + sp.Derivative(p * h, (v, 2)) for v in at
        ))  # fmt: skip
        dissipation = sp.Add(*(h.diff(v) ** 2 for v in at))
        steps += [
            equal(
                f"the density p h moves by p L h, {name}", forward, p * generator(h, d),
                because="h = p_t/p is the density relative to p, and L h = Δh + ∇log p·∇h: the Fokker-Planck equation "
                "becomes ∂h/∂t = L h",
            ),
            same_integral(
                f"L is symmetric in mean squares under p, {name}", p * u * generator(h, d),
                -p * sp.Add(*(u.diff(v) * h.diff(v) for v in at)), flux={v: p * u * h.diff(v) for v in at},
                because="the right side is symmetric in u and h, and not positive for u = h",
            ),
            same_integral(
                f"the distance ½∫p(h − 1)² falls by ∫p|∇h|², {name}", p * (h - 1) * generator(h, d), -p * dissipation,
                flux={v: p * (h - 1) * h.diff(v) for v in at}, hypotheses=(DECAY, EXCHANGE),
                because="it stops falling only where ∇h = 0, that is h = 1",
            ),
            same_integral(
                f"the divergence KL(p h ‖ p) falls by the Fisher divergence, {name}",
                p * (1 + sp.log(h)) * generator(h, d),
                -p * h * sp.Add(*(sp.Derivative(sp.log(h), v) ** 2 for v in at)),
                flux={v: p * (1 + sp.log(h)) * h.diff(v) for v in at}, hypotheses=(DECAY, EXCHANGE),
            ),
        ]  # fmt: skip
    x, y = _X[:2]
    turned = {x: p.diff(y), y: -p.diff(x)}  # p J grad log p with J a quarter turn
    decay = sp.exp(-speed * _T / _C)
    w = _W(_T)
    rest = (
        -p * (h.diff(x) ** 2 + h.diff(y) ** 2) if wrong == "stationarity-alone" else sp.Integer(0)
    )
    normal = -((x - _MU) ** 2) / (2 * _V)
    steps += [
        rule(
            "the limit", "h at time t, in mean square under p", "its mean 1 as t → ∞", relation="tends to",
            by="the spectral theorem: functions with ∫p|∇h|² = 0 are constant",
            hypotheses=(
                "p is smooth, positive and integrable on the whole space: then L is essentially self-adjoint in mean "
                "squares under p, and no mass is lost (Bakry, Gentil and Ledoux 2014, Sec. 3.2; Grigor'yan 1999)",
                "the law has a density at some time; those with ∫p h² finite are dense, and ∫p|h| does not grow, so "
                "that all of them converge",
            ),
        ),
        solves(
            "the rate under a Poincaré inequality ∫p(h − 1)² ≤ C ∫p|∇h|²", {w.diff(_T): -2 * w / _C}, {w: decay},
            start={_T: 0}, initial={w: 1},
            because="w bounds ∫p(h − 1)² relative to its start, by Gronwall's inequality",
            hypotheses=("for the rate alone: p has a Poincaré constant C; heavy tails have none",),
        ),
        equal(
            "for a normal law with variance v, C = v is attained by x − μ",
            sp.diff(x - _MU, x, 2) + pull * sp.diff(normal, x) * sp.diff(x - _MU, x), -(x - _MU) / _V,
        ),
        equal(
            "stationarity alone: dX = J∇log p dt, J a quarter turn, leaves p stationary as well",
            sp.Add(*(-sp.Derivative(f, v) for v, f in turned.items())), 0,
        ),
        same_integral(
            "but its distance ½∫p(h − 1)² does not fall",
            -(h - 1) * sp.Add(*(f * h.diff(v) for v, f in turned.items())), rest,
            flux={v: -f * (h - 1) ** 2 / 2 for v, f in turned.items()}, hypotheses=(DECAY, EXCHANGE),
        ),
    ]  # fmt: skip
    return Derivation(
        "langevin-limit",
        title="Langevin dynamics converges to p",
        statement="For every smooth positive density p on the whole space, the law p_t of dX = ∇log p dt + √2 dw "
        "tends to p: with h = p_t/p, ½∫p(h − 1)² falls at the rate ∫p|∇h|², which vanishes for h = 1 alone, and "
        "KL(p_t‖p) falls at the rate E|∇log h|². With a Poincaré constant C of p, ∫p(h − 1)² falls like e^{−2t/C}. "
        "That p is stationary does not suffice: dX = J∇log p dt with J antisymmetric leaves p stationary and does "
        "not converge.",
        formula=r"\frac{d}{dt}\,\frac12\int p\,(h-1)^2=-\int p\,\|\nabla h\|^2,\quad h=\frac{p_t}{p}"
        r"\ \Rightarrow\ p_t\to p",
        domain=Domain(
            {**dict.fromkeys((*_X, _MU), REAL), **dict.fromkeys((_T, _C, _V), POSITIVE)},
            {_P: "positive", _RATIO: "positive", _U: "real", _W: "positive"},
        ),
        steps=steps,
        source="Bakry, Gentil and Ledoux 2014, Secs. 3.2 and 4.2; Grigor'yan 1999",
        wrong=wrong,
        mutants={"stationarity-alone": REFUTED, "score-doubled": REFUTED, "rate-doubled": REFUTED},
    )  # fmt: skip


def langevin_step(wrong: str | None = None) -> Derivation:
    """A step of the unadjusted chain raises the second moment of every p by ``d^2 E|score|^2``."""
    p = _P(*_X)
    power = 1 if wrong == "first-order" else 2
    noise = _HALF if wrong == "noise-halved" else sp.Integer(1)
    z, start, score = sp.symbols("zeta a s")
    steps: list[Step] = [
        equal(
            "the square after a step", (start + _D * score + sp.sqrt(2 * _D) * z) ** 2,
            (start + _D * score) ** 2 + 2 * sp.sqrt(2 * _D) * z * (start + _D * score) + 2 * _D * z**2,
            because="ζ is the noise of the step, a the coordinate before it, s the score there",
        ),
        rule(
            "averaged over the noise", "its change over a step", "2 d a s + d² s² + 2 d",
            by="E ζ = 0 and E ζ² = 1", hypotheses=("the noise is independent of x",),
        ),
    ]  # fmt: skip
    for chain, step, size in (
        ("x + d s + √(2d) z", _D, _D),
        ("x + (h/2) s + √h z", _H / 2, _H / 2),
    ):
        for name, dim in (("coordinate i (here x)", 1), ("d = 3", 3)):
            at = _X[:dim]
            s = [sp.Derivative(sp.log(p), v) for v in at]
            change = sp.Add(*(
                p * ((v + step * si) ** 2 + noise * 2 * step - v**2) for v, si in zip(at, s, strict=True)
            ))  # fmt: skip
            claimed = sp.Add(*(size**power * p * si**2 for si in s))
            steps.append(
                same_integral(
                    f"the mean change under p of {chain}, {name}", change, claimed,
                    flux={v: 2 * step * v * p for v in at},
                    because="x p s = x ∂p is −p up to a divergence, so that the terms of first order cancel",
                )
            )  # fmt: skip
    if wrong == "stationary":
        steps.append(equal("p is stationary, so that the change is zero", _D**2 * _E**2, 0))
    steps.append(
        positive_step(
            "it is positive where the score is not zero",
            _D**2 * _E**2,
            because="ε is the size of the score",
        )
    )
    return Derivation(
        "langevin-step",
        title="no step of the unadjusted chain leaves p stationary",
        statement="For every density p with finite second moment and Fisher information and every step d > 0, the "
        "second moment of x + d s(x) + √(2d) z for x from p exceeds that of p by d² E|s|² > 0; that of x + (h/2) s(x) "
        "+ √h z by (h²/4) E|s|². So p is not stationary for the chain.",
        formula=r"E\left\|x+d\,s(x)+\sqrt{2d}\,z\right\|^2-E\|x\|^2=d^2\,E_p\|\nabla\log p\|^2>0",
        domain=Domain(
            {**dict.fromkeys((*_X, z, start, score), REAL), **dict.fromkeys((_D, _H, _E), POSITIVE)},
            {_P: "positive"},
        ),
        steps=steps,
        hypotheses=("p is positive and smooth with finite E|x|² and E|∇log p|²",),
        source="by Stein's identity E[x·∇log p] = −d; cf. Roberts and Tweedie 1996, Sec. 1.3",
        wrong=wrong,
        mutants={"stationary": REFUTED, "first-order": REFUTED, "noise-halved": REFUTED},
    )  # fmt: skip


def joint_limit(wrong: str | None = None) -> Derivation:
    """On a Gaussian the chain tends to its target if ``d -> 0`` and ``K d -> oo``, not if ``K d`` stays bounded."""
    bias = 1 if wrong == "bias-doubled" else _HALF
    speed = 1 if wrong == "rate-halved" else 2
    stationary = _V / (1 - bias * _D / _V)
    after = stationary + _R**2 * (_V0 - stationary)
    mean = _MU + _R * (_M0 - _MU)
    factor = 1 - _D / _V
    left = sp.exp(-speed * _TAU / _V) * (_V0 - _V)
    aside = sp.exp(-_TAU / _V) * (_M0 - _MU)
    both = wrong != "both-limits-suffice"
    w, m = _W(_TAU), _M(_TAU)
    return Derivation(
        "joint-limit",
        title="step to zero and number of steps to infinity",
        statement="On N(μ, Σ), along an eigendirection of variance v, K steps x + d s(x) + √(2d) z from N(m₀, V₀) "
        "give mean μ + r(m₀ − μ) and variance V∞ + r²(V₀ − V∞) with r = (1 − d/v)^K, V∞ = v/(1 − d/(2v)). If d → 0 "
        "and K d → ∞ they tend to those of the target. If d → 0 and K → ∞ with K d → τ they tend to those of the "
        "process at time τ: variance v + e^{−2τ/v}(V₀ − v), mean μ + e^{−τ/v}(m₀ − μ).",
        formula=r"d\to0,\ K\to\infty,\ Kd\to\tau:\quad \mathrm{Var}\,x_K\to v+e^{-2\tau/v}(V_0-v)\ne v",
        domain=Domain(
            {**dict.fromkeys((_MU, _M0, _V0, _R), REAL), **dict.fromkeys((_D, _V, _TAU, _E), POSITIVE)},
            {_W: "positive", _M: "real"},
        ),
        steps=(
            equal(
                "one more step, variance", factor**2 * after + 2 * _D,
                stationary + (factor * _R) ** 2 * (_V0 - stationary),
                because="r becomes (1 − d/v) r; r = 1 at the start",
            ),
            equal("one more step, mean", mean - _D * (mean - _MU) / _V, _MU + factor * _R * (_M0 - _MU)),
            expansion(
                "the logarithm of the factor", sp.log(factor), _D, (0, -1 / _V), because="so K log(1 − d/v) → −τ/v",
            ),
            rule(
                "for bounded time", "r = (1 − d/v)^K", "e^{−τ/v}", relation="tends to", by="continuity of exp",
                hypotheses=("d → 0 and K d → τ, while K → ∞",),
            ),
            solves(
                "there the variance is that of the process at time τ", {w.diff(_TAU): 2 - 2 * w / _V},
                {w: _V + (left if both else 0)}, start={_TAU: 0}, initial={w: _V0},
                because="so that both limits without K d → ∞ leave e^{−2τ/v} of how far it was from the target",
            ),
            solves(
                "and so is the mean", {m.diff(_TAU): -(m - _MU) / _V}, {m: _MU + (aside if both else 0)},
                start={_TAU: 0}, initial={m: _M0},
            ),
            positive_step("what is left does not vanish: of the variance, for V₀ = v + ε", left.subs(_V0, _V + _E)),
            positive_step("and of the mean, for m₀ = μ + ε", aside.subs(_M0, _MU + _E)),
            rule(
                "for growing time", "|r|", "e^{−K d/v}, which tends to 0 if K d → ∞", relation="is at most",
                by="1 − u ≤ e^{−u}", hypotheses=("d < v, which d → 0 ensures in the end",),
            ),
            expansion(
                "the squared W2 distance that the bias leaves", (sp.sqrt(stationary) - sp.sqrt(_V)) ** 2, _D,
                (0, 0, 1 / (16 * _V)),
                because="with r = 0 the mean is μ, and W2² = (m − μ)² + (√V − √v)² in each direction",
            ),
        ),
        hypotheses=("the start is Gaussian with a covariance that commutes with Σ",),
        source="Roberts and Tweedie 1996, Sec. 3.2; Wibisono 2018",
        wrong=wrong,
        mutants={"both-limits-suffice": REFUTED, "bias-doubled": REFUTED, "rate-halved": REFUTED},
    )  # fmt: skip
