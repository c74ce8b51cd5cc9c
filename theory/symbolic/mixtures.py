"""The Fokker-Planck equation of diffused mixtures: logarithmic form for a component, linearity for the rest."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import Derivation, equal, rule
from .domain import POSITIVE, REAL, Domain, Expr
from .zero import REFUTED

_X, _Y, _T = sp.symbols("x y t")
_F, _G2, _M, _N, _V, _C = (sp.Function(k) for k in ("f", "g2", "m", "n", "v", "c"))
_L = {(i, j): sp.Function(f"L{i + 1}{j + 1}") for i in range(2) for j in range(i, 2)}
_LOG, _Q, _R = sp.Function("l"), sp.Function("q"), sp.Function("r")


def _residual(q: Any, f: Any, g2: Any) -> Expr:
    """``q_t + (f x q)_x - g^2/2 q_xx``."""
    return q.diff(_T) + (f * _X * q).diff(_X) - g2 / 2 * q.diff(_X, 2)


def fokker_planck(wrong: str | None = None) -> Derivation:
    """Diffused mixtures solve the Fokker-Planck equation of any linear diffusion."""
    f, g2, m, n, v = _F(_T), _G2(_T), _M(_T), _N(_T), _V(_T)
    noise = {"noise-doubled": 2, "noise-halved": sp.Rational(1, 2)}.get(wrong or "", 1)
    kernel = {m.diff(_T): f * m, v.diff(_T): 2 * f * v + noise * g2}
    log = -((_X - m) ** 2) / (2 * v) - sp.log(2 * sp.pi * v) / 2
    l_ = _LOG(_X, _T)
    slope = l_.diff(_X)
    square = 0 if wrong == "no-square" else slope**2
    q, r = _Q(_X, _T), _R(_X, _T)
    w, u = sp.symbols("w u")

    def log_form(e: Any) -> Expr:
        return e.diff(_T) + f + f * _X * e.diff(_X) - g2 / 2 * (e.diff(_X, 2) + e.diff(_X) ** 2)

    # Two coordinates with a full precision matrix L: L' = -2 f L - g^2 L^2 since L^-1 solves S' = 2 f S + g^2 I.
    precision: Any = sp.Matrix(2, 2, lambda i, j: _L[min(i, j), max(i, j)](_T))
    rate = -2 * f * precision - noise * g2 * precision * precision
    centred = sp.Matrix([_X - m, _Y - n])
    half_log_det = _C(_T)
    log2 = half_log_det - (centred.T * precision * centred)[0] / 2
    moving = {precision[i, j].diff(_T): rate[i, j] for i, j in _L}
    full = {
        **moving,
        m.diff(_T): f * m,
        n.diff(_T): f * n,
        half_log_det.diff(_T): -2 * f - noise * g2 * precision.trace() / 2,
    }
    grad = [log2.diff(k) for k in (_X, _Y)]
    plane = log2.diff(_T) + 2 * f + f * (_X * grad[0] + _Y * grad[1])
    plane -= g2 / 2 * (log2.diff(_X, 2) + log2.diff(_Y, 2) + grad[0] ** 2 + grad[1] ** 2)
    det, trace = precision.det(), (precision.inv() * rate).trace() / 2
    return Derivation(
        "fokker-planck",
        title="Fokker-Planck equation of diffused mixtures",
        statement="For every f(t), g(t)² and every mixture Σ w_k N(μ_k, Σ_k): with m' = f m and S' = 2 f S + g² I for "
        "each component, q = Σ w_k N(m_k, S_k) solves q_t = −div(f x q) + ½ g² Δq. Shown for one coordinate (an axis "
        "of the eigenbasis of Σ_k, which the diffusion keeps) and in the plane with a full precision matrix L = S⁻¹.",
        formula=r"\partial_t q=-\nabla\cdot(f\,x\,q)+\frac12g^2\Delta q,\quad q=\sum_kw_k\,N(m_k,S_k)",
        domain=Domain(
            {**dict.fromkeys((_X, _Y), REAL), _T: POSITIVE, w: POSITIVE, u: POSITIVE},
            {_V: "positive", _Q: "positive", _R: "positive",
             **dict.fromkeys((_F, _G2, _M, _N, _C, _LOG, *_L.values()), "real")},
        ),
        steps=(
            equal(
                "the equation for l = log q", _residual(sp.exp(l_), f, g2),
                sp.exp(l_) * (l_.diff(_T) + f + f * _X * slope - g2 / 2 * (l_.diff(_X, 2) + square)),
                because="q = e^l; every exponential is gone from the bracket",
            ),
            equal(
                "one component, one coordinate", log_form(log), 0, using=kernel,
                because="l is the logarithm of N(m, v) with m' = f m and v' = 2 f v + g²",
            ),
            equal(
                "the logarithm of the determinant moves as the trace", sp.Derivative(sp.log(det), _T) / 2,
                trace, using=moving, because="Jacobi's formula; c below is ½ log det L",
            ),
            equal("its rate in closed form", trace, -2 * f - noise * g2 * precision.trace() / 2),
            equal("one component in the plane, full covariance", plane, 0, using=full),
            equal(
                "linearity", _residual(w * q + u * r, f, g2), w * _residual(q, f, g2) + u * _residual(r, f, g2),
                because="so that every finite mixture of solutions is one",
            ),
            rule(
                "any law of the data", "∫ p(x_0) N(α x_0, σ² I) dx_0", "a solution too",
                relation="is", by="linearity under the integral",
                hypotheses=("for continuous mixtures: differentiation passes under the integral over x_0",),
            ),
        ),
        hypotheses=("components have positive definite covariances",),
        source="Song et al. 2021, App. D.1; Risken 1989, Ch. 5",
        wrong=wrong,
        mutants={"noise-doubled": REFUTED, "noise-halved": REFUTED, "no-square": REFUTED},
    )  # fmt: skip
