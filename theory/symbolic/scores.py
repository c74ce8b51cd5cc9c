"""Scores in closed form: up to a constant factor, of a Gaussian, of a mixture."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import Derivation, equal, rule
from .domain import POSITIVE, REAL, Domain
from .zero import REFUTED

_X = sp.symbols("x y z")
_MU = sp.symbols("mu1:4")
_C, _Z, _L = sp.symbols("c Z L0")
_P, _E = sp.Function("p"), sp.Function("E")
_PARTS = [sp.Function(f"p{k}") for k in (1, 2, 3)]
_W = sp.symbols("pi1:4")
_SIGMA = {(i, j): sp.Symbol(f"S{i + 1}{j + 1}") for i in range(3) for j in range(i, 3)}
_PREC = {(i, j): sp.Symbol(f"L{i + 1}{j + 1}") for i in range(3) for j in range(i, 3)}
_DOMAIN = Domain(
    {
        **dict.fromkeys((*_X, *_MU, _L, *_SIGMA.values(), *_PREC.values()), REAL),
        **dict.fromkeys((_C, _Z, *_W), POSITIVE),
    },
    {_P: "positive", _E: "real", **dict.fromkeys(_PARTS, "positive")},
)


def scale_free(wrong: str | None = None) -> Derivation:
    """``grad log(c p) = grad log p``, and the score of ``exp(-E)/Z`` is ``-grad E``."""
    p, energy = _P(*_X), _E(*_X)
    sign = 1 if wrong == "wrong-sign" else -1
    scaled = p**_C if wrong == "power" else _C * p
    norm = _Z if wrong == "log-partition-left" else 1
    steps = []
    for v in _X:
        steps += [
            equal(
                f"a constant factor, coordinate {v}", sp.Derivative(sp.log(scaled), v), sp.Derivative(sp.log(p), v),
                because="log(c p) = log c + log p, and log c has no derivative",
            ),
            equal(
                f"an energy, coordinate {v}", sp.Derivative(sp.log(sp.exp(-energy) / _Z), v),
                sign * energy.diff(v) / norm, because="log Z has no derivative",
            ),
        ]  # fmt: skip
    return Derivation(
        "scale-free",
        title="the score does not see the normalising constant",
        statement="∇log(c p) = ∇log p for every c > 0, and the score of p = exp(−E)/Z is −∇E, for every positive p "
        "and every E: three coordinates are written out, and each is alike.",
        formula=r"\nabla\log(c\,p)=\nabla\log p,\qquad \nabla\log\frac{e^{-E}}{Z}=-\nabla E",
        domain=_DOMAIN,
        steps=steps,
        hypotheses=("p and E are differentiable, p is positive",),
        source="Hyvärinen 2005, Sec. 2",
        wrong=wrong,
        mutants={"wrong-sign": REFUTED, "power": REFUTED, "log-partition-left": REFUTED},
    )


def _symmetric(entries: dict[tuple[int, int], sp.Symbol], d: int) -> sp.Matrix:
    return sp.Matrix(d, d, lambda i, j: entries[min(i, j), max(i, j)])


def gaussian_score(wrong: str | None = None) -> Derivation:
    """The score of ``N(mu, Sigma)`` is ``-Sigma^-1 (x - mu)``."""
    factor = {"wrong-sign": 1, "missing-two": -sp.Rational(1, 2)}.get(wrong or "", -1)
    steps = []
    # A pair (j, k) of the quadratic form that holds the coordinate i, and the square.
    y, lam = [a - m for a, m in zip(_X, _MU, strict=True)], _symmetric(_PREC, 3)
    steps.append(
        equal(
            "the terms of the quadratic form that hold coordinate i (here x), with one other coordinate",
            sp.Derivative(-(lam[0, 0] * y[0] ** 2 + 2 * lam[0, 1] * y[0] * y[1]) / 2, _X[0]),
            factor * (lam[0, 0] * y[0] + lam[0, 1] * y[1]),
            because="L = Σ⁻¹ is symmetric; the sum over the other coordinates gives the entry i of −L(x − μ)",
        )
    )
    for d in (1, 2, 3):
        shift = sp.Matrix(y[:d])
        cov = _symmetric(_SIGMA, d)
        inverse = cov.adjugate() / cov.det()
        taken = cov if wrong == "no-inverse" else inverse
        log = _L - (shift.T * inverse * shift)[0] / 2
        gradient = sp.Matrix([sp.diff(log, v) for v in _X[:d]])
        steps.append(
            equal(
                f"d = {d}, with the inverse of the covariance written out", gradient, factor * taken * shift,
                because="log p = constant − ½ (x−μ)ᵀ Σ⁻¹ (x−μ)",
            )
        )  # fmt: skip
        if d > 1:
            steps.append(equal(f"d = {d}, that it is the inverse", cov * inverse, sp.eye(d)))
    return Derivation(
        "gaussian-score",
        title="the score of a Gaussian",
        statement="The score of N(μ, Σ) is −Σ⁻¹(x − μ): by the typical coordinate for every dimension, and with the "
        "inverse written out for d = 1, 2, 3.",
        formula=r"\nabla\log N(x;\mu,\Sigma)=-\Sigma^{-1}(x-\mu)",
        domain=_DOMAIN,
        steps=steps,
        hypotheses=("Σ is symmetric and positive definite",),
        source="Hyvärinen 2005, Sec. 3.1",
        wrong=wrong,
        mutants={"wrong-sign": REFUTED, "missing-two": REFUTED, "no-inverse": REFUTED},
    )


def mixture_score(wrong: str | None = None) -> Derivation:
    """The score of a mixture is the posterior mean of the scores of its components."""
    steps = []
    for k, size in ((2, 3), (3, 2)):
        at = _X[:size]
        parts = [f(*at) for f in _PARTS[:k]]
        total = sp.Add(*(w * f for w, f in zip(_W, parts, strict=False)))
        weight: list[Any] = [w * f / total for w, f in zip(_W, parts, strict=False)]
        if wrong == "prior-weights":
            weight = [w / sp.Add(*_W[:k]) for w in _W[:k]]
        if wrong == "no-weights-in-posterior":
            weight = [f / sp.Add(*parts) for f in parts]
        if wrong == "sum-of-scores":
            weight = [sp.Integer(1)] * k
        steps.append(equal(f"{k} posterior weights add up to 1", sp.Add(*weight), 1))
        steps += [
            equal(
                f"{k} components, coordinate {v} of {size}", sp.Derivative(sp.log(total), v),
                sp.Add(*(a * sp.Derivative(sp.log(f), v) for a, f in zip(weight, parts, strict=True))),
                because="∂p_k = p_k ∂log p_k, each divided by the sum",
            )
            for v in at
        ]  # fmt: skip
    m1, m2 = _MU[0], _MU[1]
    s1, s2 = _C, _Z  # standard deviations of two normal components
    x = _X[0]
    normal = [
        w * sp.exp(-((x - m) ** 2) / (2 * s**2)) / s
        for w, m, s in zip(_W, (m1, m2), (s1, s2), strict=False)
    ]
    share: list[Any] = [f / sp.Add(*normal) for f in normal]
    if wrong == "prior-weights":
        share = [w / (_W[0] + _W[1]) for w in _W[:2]]
    steps.append(
        equal(
            "two normal components on the line", sp.Derivative(sp.log(sp.Add(*normal)), x),
            -share[0] * (x - m1) / s1**2 - share[1] * (x - m2) / s2**2,
            because="c and Z are the standard deviations here",
        )
    )  # fmt: skip
    steps.append(
        rule(
            "any number of components", "the same with a sum over k", "linearity of the derivative in p",
            by="linearity", hypotheses=("finitely many components, each positive and differentiable",),
        )
    )  # fmt: skip
    return Derivation(
        "mixture-score",
        title="the score of a mixture",
        statement="∇log Σ π_k p_k = Σ w_k ∇log p_k with w_k = π_k p_k / Σ π_j p_j, for all positive components; for "
        "Gaussian ones ∇log p_k = −Σ_k⁻¹(x − μ_k).",
        formula=r"\nabla\log\sum_k\pi_kp_k=\sum_k w_k(x)\,\nabla\log p_k,\quad w_k=\frac{\pi_kp_k}{\sum_j\pi_jp_j}",
        domain=_DOMAIN,
        steps=steps,
        source="Bishop 2006, Sec. 9.2",
        wrong=wrong,
        mutants={
            "prior-weights": REFUTED,
            "no-weights-in-posterior": REFUTED,
            "sum-of-scores": REFUTED,
        },
    )
