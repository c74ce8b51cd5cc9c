"""The score of one draw of the noise, and how it differs from the score of the noised law."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .denoising import EXCHANGE
from .derivation import Derivation, equal, positive_step, rule
from .domain import POSITIVE, REAL, Domain
from .zero import REFUTED

_AT = sp.symbols("x1:4")
_TO = sp.symbols("y1:4")
_X, _Y, _E, _A, _S, _V = sp.symbols("x y e a sigma v")
_XX, _XE, _EE = sp.symbols("E_xx E_xe E_ee")  # second moments of a datum and the noise
_P, _Q, _M = (sp.Function(n) for n in ("p", "q", "m"))
_DOMAIN = Domain(
    {
        **dict.fromkeys((*_AT, *_TO, _X, _Y, _E, _XX, _XE, _EE), REAL),
        **dict.fromkeys((_A, _S, _V), POSITIVE),
    },
    {_P: "positive", _Q: "positive", _M: "real"},
)


def kernel_score(wrong: str | None = None) -> Derivation:
    """``grad log q(x~|x) = (x - x~)/sigma^2 = -eps/sigma``, the gradient in ``x~``."""
    power = 1 if wrong == "sigma-for-its-square" else 2
    sign = -1 if wrong == "wrong-sign" else 1
    noise = _S**2 if wrong == "variance-for-deviation" else _S
    distance = sp.Add(*((b - a) ** 2 for a, b in zip(_AT, _TO, strict=True)))
    density = sp.exp(-distance / (2 * _S**2)) / (sp.sqrt(2 * sp.pi) * _S) ** 3
    steps = [
        equal(
            f"d = 3, y for x~, coordinate {k}", sp.Derivative(sp.log(density), b), sign * (a - b) / _S**power,
            because="the other coordinates and the constant have no derivative in this one",
        )
        for k, (a, b) in enumerate(zip(_AT, _TO, strict=True), start=1)
    ]  # fmt: skip
    steps.append(
        equal(
            "at x~ = x + σε", sign * (_X - _Y) / _S**power, -_E / noise, using={_Y: _X + _S * _E},
            because="each coordinate, for every draw e of the noise",
        )
    )  # fmt: skip
    return Derivation(
        "kernel-score",
        title="the score of the Gaussian kernel",
        statement="∇log q(x~|x) = (x − x~)/σ² = −ε/σ for x~ = x + σε, the gradient taken in x~: written out for d "
        "= 3, and in every dimension each coordinate is alike.",
        formula=r"\nabla_{\tilde x}\log q(\tilde x\mid x)=\frac{x-\tilde x}{\sigma^2}=-\frac{\epsilon}{\sigma}",
        domain=_DOMAIN,
        steps=steps,
        source="Vincent 2011, Sec. 4.2",
        wrong=wrong,
        mutants={
            "sigma-for-its-square": REFUTED, "wrong-sign": REFUTED, "variance-for-deviation": REFUTED,
        },
    )  # fmt: skip


def one_draw(wrong: str | None = None) -> Derivation:
    """``-eps/sigma`` is the score given x; the score of the noised law is its mean given ``x~``."""
    sign = -1 if wrong == "wrong-sign" else 1
    noise = _S**2 if wrong == "variance-for-deviation" else _S
    var = _A**2 * _V + _S**2
    joint = _P(_X) * sp.exp(-((_Y - _A * _X) ** 2) / (2 * _S**2)) / (sp.sqrt(2 * sp.pi) * _S)
    q, m = _Q(_Y), _M(_Y)
    at = _A * _X + _S * _E
    score = sp.diff(-(_Y**2) / (2 * var), _Y).subs(_Y, at)
    gap: Any = _A * (_A * _V * _E - _S * _X) / (_S * var)
    share = 0 if wrong == "every-draw" else 1

    def mean(e: Any) -> Any:
        """Mean of a quadratic form in x and e, by their second moments."""
        poly = sp.Poly(sp.expand(e), _X, _E)
        named: dict[Any, Any] = {(2, 0): _XX, (1, 1): _XE, (0, 2): _EE}
        return sp.Add(*(c * named[powers] for powers, c in poly.terms()))

    moments = {_XX: _V, _XE: 0, _EE: 1}

    return Derivation(
        "one-draw",
        title="the score of one draw and that of the noised law",
        statement="For x~ = ax + σε: ∇log q(x~|x) = −ε/σ for every draw, and ∇log q(x~) = E[−ε/σ | x~], that is (aE[x|"
        "x~] − x~)/σ², for every law of x. Draw by draw the two differ: for x ~ N(0, v) by a(ave − σx)/(σw) with "
        "w = a²v + σ², in mean square by a²v/(σ²w), which is a² Var[x|x~]/σ⁴. One coordinate, m is E[x|x~].",
        formula=r"\nabla\log q(\tilde x\mid x)=-\frac{\epsilon}{\sigma},\qquad"
        r"\nabla\log q(\tilde x)=E\left[-\frac{\epsilon}{\sigma}\,\Big|\,\tilde x\right]",
        domain=_DOMAIN,
        steps=(
            equal(
                "the conditional score", sp.Derivative(sp.log(joint), _Y), sign * (_A * _X - _Y) / _S**2,
                because="p(x) has no derivative in y = x~",
            ),
            equal("for a draw", (_A * _X - _Y) / _S**2, -_E / noise, using={_Y: at}),
            equal(
                "under the integral over x", sp.Derivative(joint, _Y), sign * (_A * _X - _Y) / _S**2 * joint,
                because="the joint density times the conditional score",
            ),
            rule(
                "integrated over x", "∂q/∂y", "q E[∇log q(y|x) | y], the mean of −ε/σ given x~ = y",
                by="differentiation under the integral", hypotheses=(EXCHANGE,),
            ),
            equal(
                "the score by the denoiser", sp.Derivative(sp.log(q), _Y), (_A * m - _Y) / _S**2,
                using={q.diff(_Y): sign * q * (_A * m - _Y) / _S**2},
            ),
            equal(
                "for x ~ N(0, v): the score at x~ less that of the draw", score - (-_E / _S), share * gap,
                because="q is N(0, w) with w = a²v + σ²",
            ),
            equal(
                "it has mean zero given x~: uncorrelated with it", mean(gap * at), 0, using=moments,
                because="both are Gaussian, so that uncorrelated is independent",
            ),
            equal(
                "its mean square", mean((score + _E / _S) ** 2), share * _A**2 * _V / (_S**2 * var),
                using=moments,
            ),
            equal(
                "is the posterior variance", _A**2 * _V / (_S**2 * var), _A**2 / _S**4 / (1 / _V + _A**2 / _S**2),
                because="Var[x|x~] = 1/(1/v + a²/σ²)",
            ),
            positive_step("and not zero", _A**2 * _V / (_S**2 * var)),
        ),
        source="Vincent 2011, Sec. 4.2; Efron 2011, Eq. 1.4",
        wrong=wrong,
        mutants={"every-draw": REFUTED, "wrong-sign": REFUTED, "variance-for-deviation": REFUTED},
    )  # fmt: skip
