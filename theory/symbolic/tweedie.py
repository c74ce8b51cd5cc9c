"""Tweedie's formulas: the score and the Hessian of a noised law as posterior moments."""

from __future__ import annotations

import sympy as sp

from .derivation import Derivation, equal, rule
from .domain import POSITIVE, REAL, Domain
from .zero import REFUTED

EXCHANGE = (
    "differentiation in x~ passes under the integral over x (the Gaussian kernel dominates it)"
)


def tweedie(wrong: str | None = None) -> Derivation:
    """``E[x | x~] = x~ + sigma^2 grad log q(x~)``, coordinate by coordinate."""
    y, x, sigma, rest = sp.symbols("y x sigma r")
    p, q, m = sp.Function("p"), sp.Function("q"), sp.Function("m")
    power = 1 if wrong == "no-square" else 2
    sign = -1 if wrong == "wrong-sign" else 1
    # The kernel with all other coordinates in r.
    kernel = sp.exp(-((y - x) ** 2 + rest) / (2 * sigma**2))
    joint = p(x) * kernel
    return Derivation(
        "tweedie",
        title="Tweedie's formula, first order",
        statement="For x~ = x + σ ε the posterior mean is E[x|x~] = x~ + σ² ∇log q(x~), for every law p of x "
        "and every dimension: y is one coordinate of x~, x the same of x, r the squared distance in all others.",
        formula=r"E[x\mid\tilde x] = \tilde x + \sigma^2\nabla\log q_\sigma(\tilde x)",
        domain=Domain(
            {x: REAL, y: REAL, sigma: POSITIVE, rest: REAL}, {p: "positive", q: "positive", m: "real"}
        ),
        steps=(
            equal(
                "the integrand: the kernel turns a derivative into a factor",
                sigma**power * joint.diff(y),
                sign * (x - y) * joint,
                because="the derivative of a Gaussian density in its argument",
            ),
            rule(
                "integrated over x", "σ² ∂q/∂y = ∫ (x − y) p(x) k(y − x) dx", "q (E[x|y] − y)",
                by="differentiation under the integral", hypotheses=(EXCHANGE,),
            ),
            equal(
                "divided by q",
                y + sigma**power * sp.log(q(y)).diff(y),
                m(y),
                using={q(y).diff(y): sign * q(y) * (m(y) - y) / sigma**2},
                because="m is the posterior mean",
            ),
        ),
        hypotheses=("p may be any law: a density is written for readability",),
        source="Robbins 1956; Efron 2011, Eq. 1.4",
        wrong=wrong,
        mutants={"no-square": REFUTED, "wrong-sign": REFUTED},
    )  # fmt: skip
