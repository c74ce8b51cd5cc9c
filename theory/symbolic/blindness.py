"""What score matching does not see: the weights of modes that are far apart."""

from __future__ import annotations

import sympy as sp

from .derivation import Derivation, equal, rule
from .domain import POSITIVE, REAL, Domain
from .zero import REFUTED

_X, _A, _B, _S = sp.symbols("x a b s")
_V, _K, _F, _G = sp.symbols("v k f g")
_P = sp.Function("p")
_DOMAIN = Domain(
    {
        **dict.fromkeys((_X, _A, _B, _S), REAL), **dict.fromkeys((_V, _F, _G), POSITIVE), _K: (1, sp.oo),
    },
    {_P: "positive"},
)  # fmt: skip


def blind_weights(wrong: str | None = None) -> Derivation:
    """The loss of the score with wrong weights is at most ``c D^2 exp(-D^2/8) / v``."""
    eighth = {"exponent-doubled": 4, "exponent-halved": 16}.get(wrong or "", 8)
    f, g, k = _F**2, _G**2, _K  # the two terms of p, f + g; their roots are F and G
    exponents = [-((_X - m) ** 2) / (2 * _V) for m in (_A, _B)]
    right = f / (f + g)
    model = k * f / (k * f + g)
    slope = 1 if wrong == "slope-without-variance" else _V
    mix = -right * (_X - _A) / _V - (1 - right) * (_X - _B) / _V
    off = -model * (_X - _A) / _V - (1 - model) * (_X - _B) / _V
    error = (f + g) * (model - right) ** 2
    bound = (k - 1) ** 2 * _F * _G / (8 * k)
    lower = 8 * k * (k * f + g) ** 2 * (f + g)  # its denominators, positive
    score = sp.Derivative(sp.log(_P(_X)), _X)
    gap = lower * (bound - error)
    power = 2 if wrong == "density-squared" else 1
    return Derivation(
        "blind-weights",
        title="score matching does not see the weights of far modes",
        statement="E_p|s − ∇log p|² weighs an error at x by p(x). For p = w N(m1, v) + (1−w) N(m2, v) and the score "
        "of the same mixture with odds k times those of p, k > 1, it is at most D² e^{−D²/8} (k−1)²√(w(1−w))/(8kv) "
        "with D = |m1 − m2|/√v: it tends to 0 as the modes part, however wrong the weights. a and b are m1 and m2 "
        "along the line through them; f² and g² are w N(m1, v) and (1−w) N(m2, v) at x. Exchange the modes for k < 1.",
        formula=r"E_p\|s_k-\nabla\log p\|^2\le\frac{(k-1)^2\sqrt{w(1-w)}}{8k}\,\frac{D^2}v\,e^{-D^2/8}",
        domain=_DOMAIN,
        steps=(
            equal(
                "how the loss moves with the value s of the field at x", sp.Derivative(_P(_X) * (_S - score) ** 2, _S),
                2 * _P(_X) ** power * (_S - score), because="with twice the error there, weighed by the density",
            ),
            equal(
                "the two scores differ by the difference of the posterior weights", off - mix,
                (model - right) * (_A - _B) / slope,
                because="squared, (m1 − m2)²/v² = D²/v times the square of that difference",
            ),
            equal(
                "p times its square", error, (k - 1) ** 2 * f**2 * g**2 / ((k * f + g) ** 2 * (f + g)),
            ),
            equal(
                "is below (k−1)² f g/(8k), by", gap,
                (k - 1) ** 2 * _F * _G
                * ((k * f + g) ** 2 * (f + g) - 8 * k * _F**3 * _G**3),
                because="times 8k(kf² + g²)²(f² + g²)",
            ),
            equal(
                "which is not negative", (k * f + g) ** 2 * (f + g) - 8 * k * _F**3 * _G**3,
                (k * f - g) ** 2 * (f + g) + 4 * k * f * g * (_F - _G) ** 2,
                because="a sum of two squares times positive terms",
            ),
            equal(
                "the exponent of f g: about the middle of the modes", sp.Add(*exponents) / 2,
                -((_X - (_A + _B) / 2) ** 2) / (2 * _V) - (_A - _B) ** 2 / (eighth * _V),
                because="f g is √(w(1−w)) N(x; (m1 + m2)/2, v) e^{−D²/8}, and integrates to √(w(1−w)) e^{−D²/8}",
            ),
            rule(
                "as D → ∞", "D² e^{−D²/8}", "0", relation="tends to", by="the series of the exponential",
                hypotheses=("w, k and v are fixed",),
            ),
        ),
        source="Song and Ermon 2019, Sec. 3.2.2; Wenliang and Kanagawa 2020",
        wrong=wrong,
        mutants={
            "density-squared": REFUTED, "exponent-doubled": REFUTED, "exponent-halved": REFUTED,
            "slope-without-variance": REFUTED,
        },
    )  # fmt: skip
