"""Noise, clean data, score, v and velocity as predictions of one thing, and the weights of their losses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy as sp

from .derivation import LINEAR_ODE, Derivation, equal, rule, same_integral, solves
from .domain import POSITIVE, REAL, UNIT, Domain
from .zero import REFUTED

_T, _X, _Y, _S, _E, _EHAT, _N, _LOW, _K = sp.symbols("t x y sigma e ehat D smin k")
_ALPHA, _SIGMA, _SD, _B, _V, _P, _Q, _M = (
    sp.Function(n) for n in ("alpha", "sigma", "sd", "B", "v", "p", "q", "m")
)
_HALF = sp.Rational(1, 2)
_DOMAIN = Domain(
    {
        _T: UNIT, _X: REAL, _Y: REAL, _E: REAL, _EHAT: REAL, _K: (1, sp.oo),
        **dict.fromkeys((_S, _N, _LOW), POSITIVE),
    },
    {**dict.fromkeys((_ALPHA, _SIGMA, _SD, _B, _P, _Q), "positive"), _V: "real", _M: "real"},
)  # fmt: skip


def loss_weights(wrong: str | None = None) -> Derivation:
    """The losses of noise, data, score, v and velocity are one loss up to a weight that depends on t alone."""
    a, s = _ALPHA(_T), _SIGMA(_T)
    at = a * _X + s * _E  # what the network sees
    data = (at - s * _EHAT) / a  # the prediction of x that a prediction of the noise is
    error = (_E - _EHAT) ** 2
    slope = (
        a.diff(_T) * s + s.diff(_T) * a
        if wrong == "velocity-sign"
        else a.diff(_T) * s - s.diff(_T) * a
    ) / a
    weights = {
        "clean data x": (a / s if wrong == "data-turned" else s / a) ** 2,
        "score −ε/σ": 1 / s if wrong == "score-no-square" else 1 / s**2,
        "v = αε − σx": ((a**2 + s**2) / a if wrong == "v-no-square" else (a**2 + s**2) ** 2 / a**2),
        "velocity α′x + σ′ε": slope**2,
    }  # fmt: skip
    pairs: dict[str, tuple[Any, Any]] = {
        "clean data x": (_X, data),
        "score −ε/σ": (-_E / s, -_EHAT / s),
        "v = αε − σx": (a * _E - s * _X, a * _EHAT - s * data),
        "velocity α′x + σ′ε": (
            a.diff(_T) * _X + s.diff(_T) * _E,
            a.diff(_T) * data + s.diff(_T) * _EHAT,
        ),
    }
    ratio = sp.log(a) - sp.log(s)
    steps = [
        equal("what is seen is kept by a prediction of x and of ε", a * data + s * _EHAT, at),
        *(
            equal(
                f"{name}: squared error over that of the noise", (truth - said) ** 2, weights[name] * error,
                because="the error is that of the noise times a factor of t alone",
            )
            for name, (truth, said) in pairs.items()
        ),
        equal(
            "the velocity weight by λ = log(α/σ)", ((a.diff(_T) * s - s.diff(_T) * a) / a) ** 2,
            (s * sp.Derivative(ratio, _T)) ** 2, because="it is positive where the ratio of signal to noise moves",
        ),
        rule(
            "the same best prediction", "the minimiser of each loss, for every positive weight of t",
            "the same affine function of E[ε|x_t]", by="the posterior mean minimises a mean square",
            hypotheses=("the network can be any function of x_t and t", "E|x|² is finite"),
        ),
    ]  # fmt: skip
    return Derivation(
        "loss-weights",
        title="the losses of noise, data, score, v and velocity",
        statement="For x_t = αx + σε and every α(t), σ(t) > 0 each prediction is an affine function of the others "
        "given x_t, and the squared errors are |x−x̂|² = (σ/α)²|ε−ε̂|², |s−ŝ|² = |ε−ε̂|²/σ², |v−v̂|² = "
        "((α²+σ²)/α)²|ε−ε̂|², |u−û|² = (σλ′)²|ε−ε̂|² with the velocity u = α′x + σ′ε and λ = log(α/σ).",
        formula=r"\|x-\hat x\|^2=\frac{\sigma^2}{\alpha^2}\|\epsilon-\hat\epsilon\|^2,\quad"
        r"\|s-\hat s\|^2=\frac{\|\epsilon-\hat\epsilon\|^2}{\sigma^2},\quad"
        r"\|v-\hat v\|^2=\frac{(\alpha^2+\sigma^2)^2}{\alpha^2}\|\epsilon-\hat\epsilon\|^2",
        domain=_DOMAIN,
        steps=steps,
        source="Salimans and Ho 2022; Kingma and Gao 2023",
        wrong=wrong,
        mutants={
            "data-turned": REFUTED, "score-no-square": REFUTED, "v-no-square": REFUTED, "velocity-sign": REFUTED,
        },
    )  # fmt: skip


def sde_weight(wrong: str | None = None) -> Derivation:
    """``1/E|grad log p(x_t|x_0)|^2 = sd(t)^2/D``, with the variance of every SDE."""
    normal = sp.exp(-(_E**2) / 2) / sp.sqrt(2 * sp.pi)
    s, b = _SD(_T), _B(_T)
    weight = (s if wrong == "no-square" else s**2) / _N
    v, rate = _V(_T), b.diff(_T)
    vp = sp.exp(-b / 2) if wrong == "vp-mean-for-variance" else sp.exp(-b)
    two = 1 if wrong == "ve-missing-two" else 2
    angle = sp.pi * _T / 2
    growth = 2 * _LOW**2 * sp.log(_K) * _K ** (2 * _T)
    kernels = (
        ("VP", -rate / 2, rate, 1 - vp, {b: 0}),
        ("sub-VP", -rate / 2, rate * (1 - sp.exp(-2 * b)), (1 - sp.exp(-b)) ** 2, {b: 0}),
        ("VE, σ from smin to k smin", 0, growth, _LOW**2 * (_K ** (two * _T) - 1), {}),
        ("dx = e^t dw", 0, sp.exp(2 * _T), (sp.exp(2 * _T) - 1) / 2, {}),
        ("cosine", -angle.diff(_T) * sp.tan(angle), 2 * angle.diff(_T) * sp.tan(angle), sp.sin(angle) ** 2, {}),
        ("straight path", -1 / (1 - _T), 2 * _T / (1 - _T), _T**2, {}),
    )  # fmt: skip
    steps = [
        equal(
            "the conditional score at x_t = m + sd ε",
            sp.diff(-((_Y - _X) ** 2) / (2 * s**2), _Y).subs(_Y, _X + s * _E), -_E / s,
            because="x is the mean m of x_t given x_0, in one coordinate",
        ),
        same_integral("E ε² = 1", _E**2 * normal, normal, flux={_E: -_E * normal}),
        equal(
            "so that the weight of D coordinates is", weight * (_N / s**2), 1,
            because="E|∇log p(x_t|x_0)|² = D/sd²",
        ),
    ]  # fmt: skip
    for name, f, g2, closed, start in kernels:
        # The variance is known as a function of B = int beta, which is zero at the start.
        moving = sp.diff(closed, _T) - 2 * f * closed - g2
        first = closed.xreplace(start) if start else closed.subs(_T, 0)
        step = solves(
            f"sd² of {name}", {v.diff(_T): 2 * f * v + g2}, {v: closed}, start={_T: 0}, initial={v: 0},
            hypotheses=(LINEAR_ODE, *(("B is ∫β from 0 to t",) if start else ())),
        )  # fmt: skip
        steps.append(replace(step, checks=(moving, first)) if start else step)
    return Derivation(
        "sde-weight",
        title="the weight that balances the continuous loss",
        statement="λ(t) = 1/E|∇log p(x_t|x_0)|² = sd(t)²/D in D dimensions, for every Gaussian kernel: 1 − e^{−B} "
        "(VP), (1 − e^{−B})² (sub-VP), smin²(k^{2t} − 1) (VE), (e^{2t} − 1)/2 (dx = e^t dw), sin²(πt/2) (cosine), t² "
        "(straight path), each over D.",
        formula=r"\lambda(t)=\frac{1}{E\|\nabla\log p(x_t\mid x_0)\|^2}=\frac{\mathrm{sd}(t)^2}{D}",
        domain=_DOMAIN,
        steps=steps,
        source="Song et al. 2021, Eq. 7 and appendix A",
        wrong=wrong,
        mutants={"no-square": REFUTED, "vp-mean-for-variance": REFUTED, "ve-missing-two": REFUTED},
    )


def denoiser_link(wrong: str | None = None) -> Derivation:
    """Noise predictor, denoiser and score of a noised law, and the denoising loss in each of them."""
    power = 1 if wrong == "no-square" else 2
    sign = -1 if wrong == "wrong-sign" else 1
    weight = (1 if wrong == "weight-without-half" else _HALF) / _S**2
    a = _ALPHA(_T)
    joint = _P(_X) * sp.exp(-((_Y - a * _X) ** 2) / (2 * _S**2)) / (sp.sqrt(2 * sp.pi) * _S)
    q, m = _Q(_Y), _M(_Y)
    score = sp.Derivative(sp.log(q), _Y)
    return Derivation(
        "denoiser-link",
        title="denoiser, noise predictor and score",
        statement="For x~ = αx + σε: the conditional score is ∇log q(x~|x) = (αx − x~)/σ² = −ε/σ; the best noise "
        "predictor is E[ε|x~] = −σ∇log q(x~), the score scaled by −σ; with s = −ε_θ/σ the denoising loss ½E|s − "
        "∇log q(x~|x)|² is 1/(2σ²) E|ε_θ − ε|². One coordinate is shown, and each is alike; m is E[ε|x~].",
        formula=r"E[\epsilon\mid\tilde x]=-\sigma\nabla\log q(\tilde x),\qquad"
        r"\frac12\left\|-\frac{\epsilon_\theta}\sigma-\nabla\log q(\tilde x\mid x)\right\|^2"
        r"=\frac{1}{2\sigma^2}\|\epsilon_\theta-\epsilon\|^2",
        domain=_DOMAIN,
        steps=(
            equal(
                "the conditional score", sp.Derivative(sp.log(joint), _Y), sign * (a * _X - _Y) / _S**power,
                because="the Gaussian kernel of x~ given x; α = 1 is additive noise",
            ),
            equal(
                "at x~ = αx + σε", ((a * _X - _Y) / _S**power).subs(_Y, a * _X + _S * _E), -_E / _S,
                because="for every draw; it is not the score of the noised law, which is its posterior mean",
            ),
            equal(
                "under the integral", -_S * sp.Derivative(joint, _Y), sign * (_Y - a * _X) / _S * joint,
                because="(x~ − αx)/σ is ε",
            ),
            rule(
                "integrated over x", "−σ ∂q/∂y", "q E[ε|y]", by="differentiation under the integral",
                hypotheses=("the Gaussian kernel dominates its derivative",),
            ),
            equal(
                "divided by q: the best noise predictor", m, -_S * score, using={q.diff(_Y): -sign * q * m / _S},
            ),
            equal(
                "and the best denoiser", (_Y - _S * m) / a, (_Y + _S**2 * score) / a,
                using={q.diff(_Y): -sign * q * m / _S}, because="αE[x|x~] = x~ − σE[ε|x~]: Tweedie's formula",
            ),
            equal(
                "the loss of s = −ε_θ/σ", (-_EHAT / _S + _E / _S) ** 2 / 2, weight * (_EHAT - _E) ** 2,
                because="ehat is the prediction; the weight is 1/(2σ²)",
            ),
        ),
        source="Vincent 2011, Sec. 4.2; Ho et al. 2020, Sec. 3.2",
        wrong=wrong,
        mutants={"no-square": REFUTED, "wrong-sign": REFUTED, "weight-without-half": REFUTED},
    )  # fmt: skip
