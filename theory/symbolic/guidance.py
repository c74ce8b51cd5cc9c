"""Guidance: Bayes' rule for scores, and why the guided field does not sample the tilted law.

In the example p = N(0, 1), the label is x with noise, which leaves x the variance v, and S is the variance of the
noise that a VE process adds.
"""

from __future__ import annotations

import sympy as sp

from .chain_limits import expansion
from .derivation import Derivation, equal, positive_step, rule, solves
from .domain import POSITIVE, REAL, UNIT, Domain
from .zero import REFUTED

_X = sp.symbols("x y z")
_GAMMA, _OMEGA, _Z, _V, _S, _D, _M = sp.symbols("gamma w Z v S d m")
_P, _L, _W = sp.Function("p"), sp.Function("L"), sp.Function("V")


def guidance(wrong: str | None = None) -> Derivation:
    """The conditional score by Bayes, and classifier guidance as classifier-free guidance."""
    p, label = _P(*_X), _L(*_X)
    given = p * label / _Z
    sign = -1 if wrong == "wrong-sign" else 1
    weight = {"weight-off-by-one": 1 + _GAMMA}.get(wrong or "", _GAMMA)
    minus = {"weights-not-one": _GAMMA}.get(wrong or "", 1 - _GAMMA)
    steps = []
    for v in _X:
        prior, classifier = sp.Derivative(sp.log(p), v), sp.Derivative(sp.log(label), v)
        conditional = sp.Derivative(sp.log(given), v)
        steps += [
            equal(
                f"Bayes' rule, coordinate {v}", conditional, prior + sign * classifier,
                because="p(x|y) = p(x) p(y|x) / p(y), and p(y) is free of x; L is p(y|x), Z is p(y)",
            ),
            equal(
                f"the two guided fields, coordinate {v}", minus * prior + weight * conditional,
                prior + _GAMMA * classifier,
                because="(1−γ)∇log p + γ∇log p(·|y) = ∇log p + γ∇log p(y|·)",
            ),
            equal(
                f"with the weight w = γ − 1, coordinate {v}", (1 + _OMEGA) * conditional - _OMEGA * prior,
                prior + (1 + sign * _OMEGA) * classifier,
                because="the other usual convention is the same family",
            ),
        ]  # fmt: skip
    return Derivation(
        "guidance",
        title="guidance with and without a classifier",
        statement="At every noise level ∇log p(x|y) = ∇log p(x) + ∇log p(y|x), so that (1−γ)∇log p + γ∇log p(·|y) and "
        "∇log p + γ∇log p(y|·) are one field, for every γ; (1+w)∇log p(·|y) − w∇log p is that field with γ = 1 + w.",
        formula=r"(1-\gamma)\nabla\log p(x)+\gamma\nabla\log p(x\mid y)=\nabla\log p(x)+\gamma\nabla\log p(y\mid x)",
        domain=Domain(
            {**dict.fromkeys((*_X, _GAMMA, _OMEGA), REAL), _Z: POSITIVE},
            {_P: "positive", _L: "positive"},
        ),
        steps=steps,
        hypotheses=(
            "p(x) and p(y|x) are positive and differentiable in x, both at the same noise level",
        ),
        source="Dhariwal and Nichol 2021, Sec. 4; Ho and Salimans 2021, Eq. 6",
        wrong=wrong,
        mutants={"wrong-sign": REFUTED, "weight-off-by-one": REFUTED, "weights-not-one": REFUTED},
    )


def guidance_tilt(wrong: str | None = None) -> Derivation:
    """The guided field is not the score of the diffused tilted law, and does not sample the tilted law."""
    g, v, u, x = _GAMMA, _V, _Z, _X[0]
    tilted = v / (v + g * (1 - v))
    curve = (1 - g) / (1 + _S) + g / (v + _S)  # minus the slope of the guided field
    below = (1 + _S) * (v + _S) * (v + _S * (v + g * (1 - v)))
    gap = g * (g - 1) * (1 - v) ** 2 * _S / below
    if wrong == "field-is-the-score":
        gap = sp.Integer(0)
    guided = -(1 - g) * x / (1 + _S) - g * (x - (1 - v) * _M) / (v + _S)
    score = -(x - g * (1 - v) * _M / (v + g * (1 - v))) / (tilted + _S)
    w = _W(_S)
    flow = tilted + _S if wrong == "flow-samples-the-tilt" else (v + _S) ** g * (1 + _S) ** (1 - g)
    scale = (1 - v) * (2 * g if wrong == "noise-dropped" else 2 * g - 1)
    noisy = ((1 + _S) * (v + _S) - (v + _S) ** (2 * g) * (1 + _S) ** (2 - 2 * g)) / scale
    share = (1 + v * u) / (1 + u)
    narrow = v * (1 - v) ** 2 / (2 - v)
    ends = "the guided flow or SDE is solved exactly and starts at infinite noise, where all these laws agree"
    return Derivation(
        "guidance-tilt",
        title="guided sampling does not draw from the tilted law",
        statement="For p = N(0, 1), a label y = x + noise that leaves x the variance v given y, and noise of variance "
        "S added (VE): the guided field (1−γ)∇log p_S + γ∇log p_S(·|y) and the score of the diffused tilted law "
        "p p(y|·)^γ agree at S = 0 alone. The guided flow ends with variance v^γ, the guided reverse SDE with v(1 − "
        "v^(2γ−1)) / ((1−v)(2γ−1)), and the tilted law has v/(v + γ(1−v)): for every γ > 1 the guided flow is too "
        "narrow. m is the observed y.",
        formula=r"\mathrm{Var}_{\mathrm{flow}}=v^{\gamma}\ne\frac{v}{v+\gamma(1-v)}=\mathrm{Var}_{\mathrm{tilted}}"
        r"\qquad(\gamma\ne0,1)",
        domain=Domain(
            {x: REAL, _M: REAL, g: (1, sp.oo), _D: UNIT, v: UNIT, u: POSITIVE, _S: POSITIVE}, {_W: "real"}
        ),
        steps=(
            equal(
                "guided field minus score of the diffused tilted law", guided - score, -gap * (x - (1 + _S) * _M),
                because="the laws are p_S = N(0, 1+S), p_S(·|y) = N((1−v)y, v+S), and the tilted one, N(γ(1−v)y, v) "
                "with mean and variance over v + γ(1−v), diffused",
            ),
            equal("difference of their slopes", curve - 1 / (tilted + _S), gap),
            positive_step("it is not zero for γ > 1", gap, because="at every S > 0; it vanishes for S = 0"),
            positive_step(
                "and of the other sign for 0 < γ < 1", (-g * (g - 1) * (1 - v) ** 2 * _S / below).subs(g, _D),
                because="d is γ here",
            ),
            solves(
                "variance along the guided flow dx/dS = −½ field", {w.diff(_S): curve * w}, {w: flow},
                start={_S: 0}, initial={w: v**g},
                because="linear in x, so that the law stays Gaussian; V is its variance",
            ),
            expansion(
                "the start of the flow: its variance over that of the diffused tilted law, with S = 1/Z",
                share**g * (u + 1) / (tilted * u + 1), u, (1,), because="they agree where S is infinite",
            ),
            solves(
                "variance along the guided reverse SDE", {w.diff(_S): 2 * curve * w - 1}, {w: noisy},
                start={_S: 0}, initial={w: v * (1 - v ** (2 * g - 1)) / ((1 - v) * (2 * g - 1))},
            ),
            equal(
                "its variance over S, with S = 1/Z", u * noisy.subs(_S, 1 / u),
                (1 + u) * (1 + v * u) * (1 - share ** (2 * g - 1)) / (u * scale),
            ),
            expansion(
                "the start of the SDE", 1 - share ** (2 * g - 1), u, (0, scale),
                because="so that its variance over S tends to 1 at Z = 0, as that of the tilted law; every other "
                "solution grows like S²",
            ),
            rule(
                "the flow is too narrow", "log variance of the flow at S = 0",
                "that of the tilted law less the integral of the difference of slopes, which is positive for γ > 1",
                by="integration in S", hypotheses=(ends,),
            ),
            equal("for γ = 2: variance of the tilted law minus that of the flow", tilted.subs(g, 2) - v**2, narrow),
            positive_step("which is positive", narrow),
            equal(
                "for γ = 2: variance of the tilted law minus that of the SDE",
                tilted.subs(g, 2) - v * (1 - v**3) / (3 * (1 - v)), narrow * (1 + v) / 3,
            ),
            positive_step("which is positive too", narrow * (1 + v) / 3),
        ),
        source="Bradley and Nakkiran 2024, Sec. 3",
        wrong=wrong,
        mutants={"field-is-the-score": REFUTED, "flow-samples-the-tilt": REFUTED, "noise-dropped": REFUTED},
    )  # fmt: skip
