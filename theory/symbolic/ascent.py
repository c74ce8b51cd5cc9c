"""Where the arrows of a score point: up the logarithm of the density, not at a mode."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import Derivation, equal, greater, rule
from .domain import POSITIVE, REAL, Domain
from .zero import REFUTED

_X = sp.symbols("x y z")
_U = sp.symbols("u1:4")
_S = sp.symbols("s1:4")
_T = sp.Symbol("t")
_K, _R, _H = sp.symbols("k r h")
_PHI = sp.Function("phi")
_DOMAIN = Domain(
    {
        **dict.fromkeys((*_X, *_U, *_S, _T), REAL),
        _H: POSITIVE,
        _K: (1, sp.oo),
        _R: (sp.Rational(5, 2), sp.oo),
    },
    {_PHI: "real"},
)


def quadratic_ascent(wrong: str | None = None) -> Derivation:
    """The gradient of ``-x1^2 - x2^2`` is twice the score of ``N(0, I)``."""
    sign = 1 if wrong == "descent" else -1
    factor = 1 if wrong == "equal-lengths" else 2
    x, y = _X[:2]
    f = sign * (x**2 + y**2)
    log = -(x**2 + y**2) / 2 - sp.log(2 * sp.pi)
    slope = sp.Matrix([f.diff(v) for v in (x, y)])
    score = sp.Matrix([log.diff(v) for v in (x, y)])
    return Derivation(
        "quadratic-ascent",
        title="the gradient of a quadratic and the score of a normal law",
        statement="The gradient of f(x) = −x₁² − x₂² is twice the score −x of N(0, I) at every x: they have one "
        "direction, and lengths in the ratio 2.",
        formula=r"\nabla f=2\,\nabla\log N(x;0,I)",
        domain=_DOMAIN,
        steps=(
            equal("the score of N(0, I)", score, sp.Matrix([-x, -y])),
            equal("the gradient is twice the score", slope, factor * score),
            equal(
                "their inner product", (slope.T * score)[0], factor * (x**2 + y**2),
                because="positive for every x but 0, where both vanish",
            ),
            equal(
                "the cosine is one: its numerator and denominator, squared", (slope.T * score)[0] ** 2,
                (slope.T * slope)[0] * (score.T * score)[0],
            ),
        ),
        source="Hyvärinen 2005, Sec. 2",
        wrong=wrong,
        mutants={"descent": REFUTED, "equal-lengths": REFUTED},
    )  # fmt: skip


def _dot(a: Any, b: Any) -> Any:
    return sp.Add(*(v * w for v, w in zip(a, b, strict=True)))


def steepest_ascent(wrong: str | None = None) -> Derivation:
    """The score is the direction of steepest ascent, up to ``arcsin((k-1)/(k+1))`` off the way to a mode."""
    back = -1 if wrong == "descent" else 1
    share = sp.Rational(1, 2) if wrong == "half-the-score" else 1
    moved = {v: v + _T * u for v, u in zip(_X, _U, strict=True)}
    quadratic = -(_X[0] ** 2 / _K + _X[1] ** 2) / 2
    rise = sp.Derivative(quadratic.xreplace(moved), _T)
    pairs = ((0, 1), (0, 2), (1, 2))
    cross = sp.Add(*((_U[i] * _S[j] - _U[j] * _S[i]) ** 2 for i, j in pairs))
    x, y = _X[:2]
    s, g = (-x / _K, -y), (-x, -y)  # score and the way to the mode
    sine = (s[0] * g[1] - s[1] * g[0]) ** 2
    whole = _dot(s, s) * _dot(g, g)
    top = ((_K - 1) / (_K + 1)) ** 2
    if wrong == "ratio-of-the-deviations":
        top = ((sp.sqrt(_K) - 1) / (sp.sqrt(_K) + 1)) ** 2
    worst = {x: _R * _H, y: _H, _K: _R**2}
    off = [v.xreplace(worst) for v in (s[1] * g[0] - s[0] * g[1], _dot(s, g))]
    if wrong == "toward-the-mode":
        off.reverse()
    phi = _PHI(_T)
    return Derivation(
        "steepest-ascent",
        title="the direction of the score",
        statement="log p rises along a unit vector u at the rate u·s, fastest along s. For a Gaussian with variances "
        "k > 1 and 1 the sine of the angle between s and the way to the mode is at most (k−1)/(k+1), attained at "
        "x = √k y; so for k > 25/4 some arrows are more than 45° off the mode and every small region about it. "
        "If log p is concave, with mode m, then s·(m − x) ≥ log p(m) − log p(x).",
        formula=r"\frac{d}{dt}\log p(x+tu)\Big|_{t=0}=u\cdot s,\qquad\sin\angle(s,m-x)\le\frac{k-1}{k+1}",
        domain=_DOMAIN,
        steps=(
            rule(
                "along a line", "d/dt log p(x + t u) at t = 0", "u·∇log p(x)", by="the chain rule",
                hypotheses=("p is positive and differentiable",),
            ),
            equal(
                "for a Gaussian with variances k and 1", rise,
                back * share * _dot(_U[:2], s), using={_T: 0},
                because="the rate is u·s with s = −(x/k, y)",
            ),
            equal(
                "fastest along s: |u|²|s|² − (u·s)²", _dot(_U, _U) * _dot(_S, _S) - _dot(_U, _S) ** 2, cross,
                because="a sum of squares, which vanishes only for u along s: u·s ≤ |s| for unit u",
            ),
            equal(
                "the angle to the mode at 0: sin² times both squared lengths", sine, ((_K - 1) / _K * x * y) ** 2,
                because="the cross product of s = −(x/k, y) and −(x, y)",
            ),
            equal(
                "it is below ((k−1)/(k+1))² times them, by", top * whole - sine,
                ((_K - 1) / (_K + 1) * (x**2 - _K * y**2) / _K) ** 2,
                because="a square, zero where x² = k y²",
            ),
            greater(
                "at x = rh, y = h for k = r², r > 5/2: the arrow is "
                + ("within" if wrong == "toward-the-mode" else "more than") + " 45° off the mode",
                *off,
                because="sine and cosine of the angle, each times the two lengths",
            ),
            equal(
                "on the way from x to m, φ(t) = log p(x + t(m − x))", sp.Derivative((1 - _T) * phi.diff(_T) + phi, _T),
                back * (1 - _T) * phi.diff(_T, 2),
                because="from 0 to 1: φ(1) − φ(0) − φ′(0) is the integral of (1 − t)φ″, negative if log p is concave, "
                "and φ′(0) = s·(m − x)",
            ),
        ),
        source="Hyvärinen 2005, Sec. 2; Boyd and Vandenberghe 2004, Sec. 3.1.3",
        wrong=wrong,
        mutants={
            "toward-the-mode": REFUTED, "descent": REFUTED, "half-the-score": REFUTED,
            "ratio-of-the-deviations": REFUTED,
        },
    )  # fmt: skip
