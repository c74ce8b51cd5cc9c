"""How entropy and divergence change along Fokker-Planck flows."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import DECAY, Derivation, equal, rule, same_integral
from .domain import POSITIVE, REAL, Domain
from .zero import REFUTED

EXCHANGE = "the time derivative passes under the integral"
_X = sp.symbols("x y z")
_T, _V = sp.symbols("t v")
_P, _Q, _G = sp.Function("p"), sp.Function("q"), sp.Function("g")
_F = [sp.Function(f"f{k}") for k in (1, 2, 3)]
_B = [sp.Function(f"b{k}") for k in (1, 2, 3)]
_DOMAIN = Domain(
    {**dict.fromkeys(_X, REAL), _T: POSITIVE, _V: POSITIVE},
    {_P: "positive", _Q: "positive", **dict.fromkeys((_G, *_F, *_B), "real")},
)


def de_bruijn(wrong: str | None = None) -> Derivation:
    """The entropy of a noised law grows at half its Fisher information per noise variance."""
    half: Any = {"no-half": 1, "wrong-sign": -sp.Rational(1, 2)}.get(
        wrong or "", sp.Rational(1, 2)
    )
    heat = 1 if wrong == "heat-without-half" else sp.Rational(1, 2)
    x, y = _X[0], _X[1]
    kernel = sp.exp(-((y - x) ** 2) / (2 * _V)) / sp.sqrt(2 * sp.pi * _V)
    at = (y, _V)
    steps = [
        equal(
            "the Gaussian kernel solves the heat equation", sp.Derivative(kernel, _V),
            heat * sp.Derivative(kernel, (y, 2)),
            because="v = σ² is the variance of the noise, which acts as time; in d dimensions the kernel is a product",
        ),
        rule(
            "and so does every noised law", "∂q/∂v", "½ Δq", by="differentiation under the integral",
            hypotheses=("q(·, v) is the law of x + √v ε for v > 0",),
        ),
        equal(
            "the integrand of the entropy moves as", sp.Derivative(-_Q(*at) * sp.log(_Q(*at)), _V),
            -(1 + sp.log(_Q(*at))) * _Q(*at).diff(_V),
        ),
    ]  # fmt: skip
    for name, d in (
        ("the term of coordinate i (here x, with all others as parameters)", 1),
        ("d = 2", 2),
        ("d = 3", 3),
    ):
        q = _Q(*_X, _V)
        laplacian = sp.Add(*(q.diff(c, 2) for c in _X[:d]))
        steps.append(
            same_integral(
                name, -(1 + sp.log(q)) * heat * laplacian,
                half * q * sp.Add(*(sp.Derivative(sp.log(q), c) ** 2 for c in _X[:d])),
                flux={c: -(1 + sp.log(q)) * q.diff(c) / 2 for c in _X[:d]},
                because="on the left ∂q/∂v stands as ½ Δq; the last term is the divergence of −½(1 + log q)∇q",
                hypotheses=(DECAY, EXCHANGE),
            )
        )  # fmt: skip
    return Derivation(
        "de-bruijn",
        title="de Bruijn's identity",
        statement="For x + σε the entropy H of the law q obeys dH/d(σ²) = ½ E|∇log q|², for every law of x and in "
        "every dimension: each coordinate contributes one term.",
        formula=r"\frac{dH(q_\sigma)}{d\sigma^2}=\frac12E_{q_\sigma}\|\nabla\log q_\sigma\|^2",
        domain=_DOMAIN,
        steps=steps,
        source="Stam 1959 (after de Bruijn)",
        wrong=wrong,
        mutants={"no-half": REFUTED, "wrong-sign": REFUTED, "heat-without-half": REFUTED},
    )


def kl_flow(wrong: str | None = None) -> Derivation:
    """Along two Fokker-Planck flows the divergence falls by the squared difference of the scores."""
    factor: Any = {"missing-half": 1, "wrong-sign": -sp.Rational(1, 2)}.get(
        wrong or "", sp.Rational(1, 2)
    )
    at = (*_X, _T)
    p, q, g2 = _P(*at), _Q(*at), _G(_T) ** 2
    ratio = sp.log(p) - sp.log(q)
    law = q if wrong == "other-law" else p
    steps = [
        equal(
            "the integrand moves as", sp.Derivative(p * ratio, _T),
            (1 + ratio) * p.diff(_T) - p / q * q.diff(_T),
        )
    ]  # fmt: skip
    for name, d, drifts in (
        ("the term of coordinate i (here x, with all others as parameters)", 1, _F),
        ("d = 2", 2, _F),
        ("d = 3", 3, _F),
        ("with drifts f and b that differ, coordinate i (here x)", 1, _B),
    ):
        left, right, flux = [], [], {}
        for k, x in enumerate(_X[:d]):
            f, b = _F[k](*at), drifts[k](*at)
            flow_p = f * p - g2 * p.diff(x) / 2  # p_t = -div of it
            flow_q = b * q - g2 * q.diff(x) / 2
            apart = sp.Derivative(sp.log(p), x) - sp.Derivative(sp.log(q), x)
            left.append(-(1 + ratio) * flow_p.diff(x) + p / q * flow_q.diff(x))
            right.append(-factor * g2 * law * apart**2 + (f - b) * p * apart)
            flux[x] = -(1 + ratio) * flow_p + p / q * flow_q
        steps.append(
            same_integral(
                name, sp.Add(*left), sp.Add(*right), flux=flux, hypotheses=(DECAY, EXCHANGE),
                because="on the left p_t and q_t stand as the Fokker-Planck equations give them",
            )
        )  # fmt: skip
    return Derivation(
        "kl-flow",
        title="the Kullback-Leibler divergence along two flows",
        statement="If p and q solve Fokker-Planck equations with the same f(x, t) and g(t), then d/dt KL(p‖q) = "
        "−½ g² E_p|∇log p − ∇log q|². If q has another drift b, then E_p[(f − b)·(∇log p − ∇log q)] is added. Each "
        "coordinate contributes one term.",
        formula=r"\frac{d}{dt}\mathrm{KL}(p_t\|q_t)=-\frac{g^2}{2}E_{p_t}\|\nabla\log p_t-\nabla\log q_t\|^2",
        domain=_DOMAIN,
        steps=steps,
        hypotheses=("p and q are positive and smooth and solve their Fokker-Planck equations",),
        source="Song et al. 2021 (maximum likelihood training), proof of Theorem 1",
        wrong=wrong,
        mutants={"missing-half": REFUTED, "wrong-sign": REFUTED, "other-law": REFUTED},
    )
