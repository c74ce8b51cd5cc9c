"""Denoising score matching and Tweedie's formulas: scores of a noised law as posterior moments.

One coordinate y of ``x~ = x + sigma eps`` is written out; r stands for the squared distance in all others, on
which nothing depends. The density p of the data is written for readability: any law will do.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import Derivation, equal, rule
from .domain import POSITIVE, REAL, Domain, Expr
from .zero import REFUTED

EXCHANGE = (
    "differentiation in x~ passes under the integral over x (the Gaussian kernel dominates it)"
)
_X, _Y, _S, _R = sp.symbols("x y sigma r")
_U, _W = sp.symbols("u w")  # a second coordinate of x and of x~
_P, _Q, _M, _N, _MM, _F = (sp.Function(name) for name in ("p", "q", "m", "n", "M", "s"))


def _kernel(*pairs: tuple[Any, Any]) -> Expr:
    distance = sp.Add(_R, *((b - a) ** 2 for a, b in pairs))
    return sp.exp(-distance / (2 * _S**2)) / (sp.sqrt(2 * sp.pi) * _S)


_DOMAIN = Domain(
    {_X: REAL, _Y: REAL, _U: REAL, _W: REAL, _S: POSITIVE, _R: POSITIVE},
    {_P: "positive", _Q: "positive", **dict.fromkeys((_M, _N, _MM, _F), "real")},
)


def tweedie(wrong: str | None = None) -> Derivation:
    """``E[x | x~] = x~ + sigma^2 grad log q(x~)``, coordinate by coordinate."""
    square = _S if wrong == "no-square" else _S**2
    sign = -1 if wrong == "wrong-sign" else 1
    joint = _P(_X) * _kernel((_X, _Y))
    q, m = _Q(_Y), _M(_Y)
    return Derivation(
        "tweedie",
        title="Tweedie's formula, first order",
        statement="For x~ = x + σ ε with ε ~ N(0, I) the posterior mean is E[x|x~] = x~ + σ² ∇log q(x~), for "
        "every law of x and in every dimension.",
        formula=r"E[x\mid\tilde x] = \tilde x + \sigma^2\nabla\log q_\sigma(\tilde x)",
        domain=_DOMAIN,
        steps=(
            equal(
                "under the integral, one coordinate", square * sp.Derivative(joint, _Y), sign * (_X - _Y) * joint,
                because="the derivative of a Gaussian density in its argument; q is the integral of p k over x",
            ),
            rule(
                "integrated over x", "σ² ∂q/∂y = ∫ (x − y) p(x) k(y − x) dx", "q (m − y), m = E[x|y]",
                by="differentiation under the integral", hypotheses=(EXCHANGE,),
            ),
            equal(
                "divided by q", _Y + square * sp.Derivative(sp.log(q), _Y), m,
                using={q.diff(_Y): sign * q * (m - _Y) / _S**2},
                because="this is the coordinate y of the formula",
            ),
        ),
        source="Robbins 1956; Efron 2011, Eq. 1.4",
        wrong=wrong,
        mutants={"no-square": REFUTED, "wrong-sign": REFUTED},
    )  # fmt: skip


def tweedie_2(wrong: str | None = None) -> Derivation:
    """``Cov[x | x~] = sigma^2 I + sigma^4 hess log q(x~)``, entry by entry."""
    fourth = _S**2 if wrong == "square-for-fourth" else _S**4
    identity = 0 if wrong == "no-identity" else 1
    sign = -1 if wrong == "wrong-sign" else 1
    joint = _P(_X, _U) * _kernel((_X, _Y), (_U, _W))
    q, m, n, mm = (f(_Y, _W) for f in (_Q, _M, _N, _MM))
    first = {q.diff(_Y): q * (m - _Y) / _S**2, q.diff(_W): q * (n - _W) / _S**2}
    mixed = q * (mm - _Y * n - _W * m + _Y * _W) / _S**4
    square = q * (mm - 2 * _Y * m + _Y**2) / _S**4 - q / _S**2
    return Derivation(
        "tweedie-2",
        title="Tweedie's formula, second order",
        statement="For x~ = x + σ ε with ε ~ N(0, I) the posterior covariance is Cov[x|x~] = σ² I + σ⁴ ∇²log q(x~),"
        " for every law of x: y and w are two coordinates of x~, x and u those of x.",
        formula=r"\mathrm{Cov}[x\mid\tilde x] = \sigma^2 I + \sigma^4\nabla^2\log q_\sigma(\tilde x)",
        domain=_DOMAIN,
        steps=(
            equal(
                "under the integral, two coordinates", fourth * sp.Derivative(joint, _Y, _W),
                (_X - _Y) * (_U - _W) * joint,
            ),
            equal(
                "under the integral, one coordinate twice", _S**4 * sp.Derivative(joint, (_Y, 2)),
                ((_X - _Y) ** 2 - identity * _S**2) * joint,
            ),
            rule(
                "integrated over x and u", "σ⁴ q_yw and σ⁴ q_yy",
                "q E[(x−y)(u−w)|x~] and q E[(x−y)²|x~] − σ² q; M is E[x u|x~], or E[x²|x~]",
                by="differentiation under the integral", hypotheses=(EXCHANGE,),
            ),
            equal(
                "entry off the diagonal", sign * fourth * sp.Derivative(sp.log(q), _Y, _W), mm - m * n,
                using={q.diff(_Y, _W): mixed, **first},
                because="m and n are the posterior means of x and u, so that the right side is their covariance",
            ),
            equal(
                "entry on the diagonal", identity * _S**2 + sign * _S**4 * sp.Derivative(sp.log(q), (_Y, 2)),
                mm - m**2, using={q.diff(_Y, 2): square, **first}, because="the posterior variance of x",
            ),
        ),
        source="Efron 2011, Eq. 1.4; Meng et al. 2021, Theorem 1",
        wrong=wrong,
        mutants={"square-for-fourth": REFUTED, "no-identity": REFUTED, "wrong-sign": REFUTED},
    )  # fmt: skip


def dsm(wrong: str | None = None) -> Derivation:
    """Denoising score matching is explicit score matching of the noised law plus a constant in closed form."""
    target = (_Y - _X if wrong == "target-sign" else _X - _Y) / _S**2
    fourth = _S**2 if wrong == "square-for-fourth" else _S**4
    constant = 0 if wrong == "no-constant" else 1
    joint = _P(_X) * _kernel((_X, _Y))
    s, q, m, mm = _F(_Y), _Q(_Y), _M(_Y), _MM(_Y)
    score = sp.Derivative(sp.log(q), _Y)
    moment = (mm - 2 * _Y * m + _Y**2) / _S**4  # of the target given y
    return Derivation(
        "dsm",
        title="denoising score matching",
        statement="E|s(x~) − ∇log k(x~|x)|² = E|s(x~) − ∇log q(x~)|² + C with C = E tr Cov[x|x~] / σ⁴, which is free "
        "of s, for every field s, every law of x and every dimension: one coordinate y of x~ is shown, and the sum "
        "over coordinates finishes it. M is E[x²|x~] of that coordinate, m is E[x|x~].",
        formula=r"E\|s(\tilde x)-\nabla\log k(\tilde x\mid x)\|^2 = E\|s(\tilde x)-\nabla\log q_\sigma(\tilde x)\|^2"
        r" + \frac{1}{\sigma^4}E\,\mathrm{tr}\,\mathrm{Cov}[x\mid\tilde x]",
        domain=_DOMAIN,
        steps=(
            equal(
                "the conditional score", sp.Derivative(sp.log(_kernel((_X, _Y))), _Y), target,
                because="the Gaussian kernel k of x~ given x",
            ),
            equal(
                "the square opened under the joint law", joint * (s - target) ** 2,
                joint * s**2 - 2 * s * sp.Derivative(joint, _Y) + joint * target**2,
                because="k times its score is the derivative of k",
            ),
            rule(
                "integrated over x", "∫ of the right side dx",
                "q s² − 2 s ∂q/∂y + q E[target²|y]", by="differentiation under the integral", hypotheses=(EXCHANGE,),
            ),
            equal(
                "completed to the explicit loss, with the second moment of the target",
                q * s**2 - 2 * s * q.diff(_Y) + q * moment,
                q * (s - score) ** 2 + constant * q * (moment - score**2),
                because="s stands in the first term alone: the second is the constant",
            ),
            equal(
                "the constant is a posterior variance", q * (moment - score**2), q * (mm - m**2) / fourth,
                using={q.diff(_Y): q * (m - _Y) / _S**2},
                because="Tweedie's formula for the score of q; the integral over y is E Var[x|x~] / σ⁴",
            ),
        ),
        hypotheses=("all expectations are finite",),
        source="Vincent 2011, Sec. 4.2 and appendix (there without the constant)",
        wrong=wrong,
        mutants={"target-sign": REFUTED, "square-for-fourth": REFUTED, "no-constant": REFUTED},
    )  # fmt: skip
