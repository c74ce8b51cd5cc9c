"""What denoising losses are least at: with the field taken at the noisy point, at the clean one, and on the data law.

One coordinate is written out: y of ``x~ = x + sigma e`` and x of the data.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from .denoising import EXCHANGE
from .derivation import DECAY, Derivation, equal, positive_step, rule, same_integral
from .domain import POSITIVE, REAL, Domain
from .zero import REFUTED

_X, _Y, _E, _F, _EHAT = sp.symbols("x y e f ehat")
_S, _V, _T, _A, _B, _MU, _L1, _L2 = sp.symbols("sigma v t a b mu lambda1 lambda2")
_P, _Q, _R, _M, _N, _FIELD, _OTHER, _BEST = (
    sp.Function(n) for n in ("p", "q", "r", "M", "N", "s", "u", "g")
)
_HALF = sp.Rational(1, 2)
_NORMAL = sp.exp(-(_E**2) / 2) / sp.sqrt(2 * sp.pi)
_KERNEL = sp.exp(-((_Y - _X) ** 2) / (2 * _S**2)) / (sp.sqrt(2 * sp.pi) * _S)
_DOMAIN = Domain(
    {
        **dict.fromkeys((_X, _Y, _E, _F, _EHAT, _MU), REAL),
        **dict.fromkeys((_S, _V, _T, _A, _B, _L1, _L2), POSITIVE),
    },
    {
        **dict.fromkeys((_P, _Q, _R), "positive"),
        **dict.fromkeys((_M, _N, _FIELD, _OTHER, _BEST), "real"),
    },
)


def denoising_minimum(wrong: str | None = None) -> Derivation:
    """The denoising loss at ``x~`` exceeds its value at the score of ``q_sigma`` by ``E|s - score|^2``."""
    sign = -1 if wrong == "target-sign" else 1
    share = _HALF if wrong == "half-left-out" else 1
    weight = -_L2 if wrong == "negative-weight" else _L2
    joint = _P(_X) * _KERNEL
    s, q, m2 = _FIELD(_Y), _Q(_Y), _M(_Y)
    score = sp.Derivative(sp.log(q), _Y)

    def loss(field: Any) -> Any:
        return q * field**2 - sign * 2 * field * q.diff(_Y) + q * m2

    u, second = _OTHER(_Y), sp.Derivative(sp.log(_R(_Y)), _Y)

    def other(field: Any) -> Any:
        r = _R(_Y)
        return r * field**2 - sign * 2 * field * r.diff(_Y) + r * _N(_Y)

    return Derivation(
        "denoising-minimum",
        title="the minimiser of the denoising loss",
        statement="E|s(x~) − ∇log k(x~|x)|² exceeds its value at s = ∇log q_σ by E|s(x~) − ∇log q_σ(x~)|², for every "
        "field s, every law of x and every dimension: the score of q_σ is the minimiser. At several levels, with s "
        "free at each, the losses weighted by any positive λ are least at ∇log q of each level.",
        formula=r"E\|s-\nabla\log k\|^2-E\|\nabla\log q_\sigma-\nabla\log k\|^2=E\|s-\nabla\log q_\sigma\|^2",
        domain=_DOMAIN,
        steps=(
            equal(
                "the target is the conditional score (x − x~)/σ²", sp.Derivative(joint, _Y),
                sign * (_X - _Y) / _S**2 * joint,
            ),
            rule(
                "averaged over x at x~ = y", "∫ p k (s − target)² dx", "q s² − 2 s ∂q/∂y + q M",
                by="differentiation under the integral", hypotheses=(EXCHANGE,),
                because="M is E[target²|y]",
            ),
            equal(
                "the excess over the score of q", loss(s) - loss(score), share * q * (s - score) ** 2,
                because="M, which is free of s, has gone; the sum over coordinates and the integral over y finish it",
            ),
            equal(
                "two levels with weights λ1 and λ2, the second with u, r, N for s, q, M",
                _L1 * (loss(s) - loss(score)) + weight * (other(u) - other(second)),
                _L1 * share * q * (s - score) ** 2 + weight * _R(_Y) * (u - second) ** 2,
                because="each level has a field of its own; more levels are alike",
            ),
            positive_step(
                "positive where the errors, here of sizes a and b, are not zero", _L1 * _A**2 + weight * _B**2,
            ),
        ),
        hypotheses=("all expectations are finite", "s is free at each level"),
        source="Vincent 2011, Sec. 4.2; Song and Ermon 2019, Eqs. 5 and 6",
        wrong=wrong,
        mutants={"target-sign": REFUTED, "half-left-out": REFUTED, "negative-weight": REFUTED},
    )  # fmt: skip


def denoising_forms(wrong: str | None = None) -> Derivation:
    """``J = 1/2 E|s(x + sigma e) + e/sigma|^2``, and ``1/(2 sigma^2) E|e_theta - e|^2``."""
    front: Any = {"sigma-squared-below": 1 / (2 * _S**2), "no-half": 1}.get(wrong or "", _HALF)
    sign = -1 if wrong == "noise-with-a-minus" else 1
    weight: Any = {"weight-without-half": 1 / _S**2, "weight-sigma": 1 / (2 * _S)}.get(
        wrong or "", 1 / (2 * _S**2)
    )
    target = sp.diff(-((_Y - _X) ** 2) / (2 * _S**2), _Y)
    at = {_Y: _X + _S * _E}
    return Derivation(
        "denoising-forms",
        title="the denoising loss written with the noise",
        statement="J = ½E|s(x~) − ∇log k(x~|x)|² is ½E|s(x + σε) + ε/σ|² for every σ, and with s = −ε_θ/σ it is "
        "1/(2σ²) E|ε_θ(x + σε) − ε|²: for every draw, in every coordinate. f is the value of s at x + σε, ehat that "
        "of ε_θ.",
        formula=r"\frac12\|s(\tilde x)-\nabla\log k(\tilde x\mid x)\|^2=\frac12\|s(x+\sigma\epsilon)"
        r"+\epsilon/\sigma\|^2=\frac1{2\sigma^2}\|\epsilon_\theta-\epsilon\|^2",
        domain=_DOMAIN,
        steps=(
            equal(
                "the law of ε", _KERNEL * _S, _NORMAL, using=at,
                because="k(x~|x) dx~ is the standard normal density of ε times dε, dx~ = σ dε",
            ),
            equal("the conditional score at x~ = x + σε", target, -sign * _E / _S, using=at),
            equal(
                "the loss of a draw", (_F - target) ** 2 / 2, front * (_F + sign * _E / _S) ** 2, using=at,
                because="no further factor of σ: the target holds all of it",
            ),
            equal(
                "with s = −ε_θ/σ", (-_EHAT / _S - target) ** 2 / 2, weight * (_EHAT - sign * _E) ** 2,
                using=at,
            ),
        ),
        source="Vincent 2011, Sec. 4.2; Ho et al. 2020, Eq. 14",
        wrong=wrong,
        mutants={
            "sigma-squared-below": REFUTED, "no-half": REFUTED, "noise-with-a-minus": REFUTED,
            "weight-without-half": REFUTED, "weight-sigma": REFUTED,
        },
    )  # fmt: skip


def clean_input(wrong: str | None = None) -> Derivation:
    """With s taken at the clean x the loss is least at ``s = 0``, since the noise has mean zero there."""
    best: Any = _BEST(_X) if wrong == "score-is-minimiser" else sp.Integer(0)
    cross = 1 if wrong == "noise-with-a-mean" else 0
    power = 1 if wrong == "no-square" else 2
    s = _FIELD(_X)

    def loss(field: Any) -> Any:
        return field**2 + 1 / _S**power + cross * 2 * field / _S

    return Derivation(
        "clean-input",
        title="a denoising loss with the field at the clean point",
        statement="E|s(x) − (x − x~)/σ²|² = E|s(x)|² + D/σ² for x~ = x + σε: with s taken at the clean x, every level "
        "is least at s = 0 and not at the score of q_σ, for every law of x. One coordinate is shown.",
        formula=r"E\|s(x)-(x-\tilde x)/\sigma^2\|^2=E\|s(x)\|^2+\frac D{\sigma^2}",
        domain=_DOMAIN,
        steps=(
            equal("the target for a draw", (_X - (_X + _S * _E)) / _S**2, -_E / _S),
            same_integral(
                "averaged over ε at a clean x", (s + _E / _S) ** 2 * _NORMAL, loss(s) * _NORMAL,
                flux={_E: -(2 * s / _S + _E / _S**2) * _NORMAL}, hypotheses=("ε is independent of x",),
                because="E ε = 0 and E ε² = 1",
            ),
            equal(
                "the excess over the minimiser" + (" g" if best else " 0"), loss(s) - loss(best), (s - best) ** 2,
                because="so that any other field is worse by its mean square under p, the score by E|∇log q|²",
            ),
        ),
        source="Song and Ermon 2019, Eq. 5, where s is taken at the noisy point",
        wrong=wrong,
        mutants={"score-is-minimiser": REFUTED, "noise-with-a-mean": REFUTED, "no-square": REFUTED},
    )  # fmt: skip


def noised_minimiser(wrong: str | None = None) -> Derivation:
    """The score of ``q_sigma`` is not that of p: its explicit loss under p is of order ``sigma^4``."""
    heat = 1 if wrong == "heat-without-half" else _HALF
    power = 1 if wrong == "order-two" else 2
    z = _X - _MU
    data, noised = -z / _V, -z / (_V + _T)
    gap = sp.Integer(0) if wrong == "same-minimiser" else z * _T / (_V * (_V + _T))
    density = sp.exp(-(z**2) / (2 * _V))  # of N(mu, v), up to its constant
    left = _T**power / (_V * (_V + _T) ** 2)
    q = _Q(_X, _T)
    slope = sp.Derivative(sp.log(q), _X)
    curved = q.diff(_X, 2) / 2
    flowing = sp.exp(-((_Y - _X) ** 2) / (2 * _T)) / sp.sqrt(_T)
    return Derivation(
        "noised-minimiser",
        title="the minimiser of denoising score matching on the data law",
        statement="The score of q_σ, which minimises the denoising loss, is not that of p: on N(μ, v), t = σ², they "
        "differ by (x − μ)t/(v(v + t)), and the explicit loss that is left under p is t²/(v(v + t)²) a coordinate, of "
        "order σ⁴. For every p the score moves with t at the rate ½∂(q″/q), so that the loss left is "
        "σ⁴/4 E|∇(Δp/p)|² to leading order.",
        formula=r"E_p\|\nabla\log q_\sigma-\nabla\log p\|^2=\frac{\sigma^4}{v(v+\sigma^2)^2}\quad"
        r"\text{on } N(\mu,v)",
        domain=_DOMAIN,
        steps=(
            equal(
                "the two scores on a Gaussian", noised - data, gap,
                because="q_σ is N(μ, v + t); the score of p is −(x − μ)/v",
            ),
            same_integral(
                "the explicit loss left under p", (noised - data) ** 2 * density, left * density,
                flux={_X: -(_T**2) * z / (_V * (_V + _T) ** 2) * density},
                because="E (x − μ)² = v, by parts",
            ),
            positive_step("it is positive", left),
            equal(
                "its order in t = σ²", left, _T**2 / _V**3 * (_V / (_V + _T)) ** 2,
                because="t²/v³ times a factor that tends to 1 as t → 0",
            ),
            equal(
                "the noised density moves by heat flow", sp.Derivative(flowing, _T),
                heat * sp.Derivative(flowing, (_Y, 2)), because="the Gaussian kernel, up to a constant",
            ),
            equal(
                "so that the score of every noised law moves as", sp.Derivative(slope, _T),
                heat * sp.Derivative(q.diff(_X, 2) / q, _X),
                using={
                    q.diff(_T): curved, q.diff(_X, _T): curved.diff(_X),
                },
                because="with q_t = ½ q_xx; the score is off by t times this at t = 0",
            ),
            rule(
                "squared and averaged under p", "E_p|∇log q_σ − ∇log p|²", "σ⁴/4 E_p|∇(Δp/p)|² + o(σ⁴)",
                by="Taylor's theorem in t", hypotheses=("p is smooth and the remainder is dominated", DECAY),
            ),
        ),
        source="Vincent 2011, Sec. 4.2",
        wrong=wrong,
        mutants={"same-minimiser": REFUTED, "order-two": REFUTED, "heat-without-half": REFUTED},
    )  # fmt: skip
