"""The matrix kernel of critically damped Langevin diffusion, by certificate.

``dx = M^-1 v beta dt``, ``dv = -x beta dt - Gamma M^-1 v beta dt + sqrt(2 Gamma beta) dw`` with ``Gamma^2 = 4 M``,
one coordinate and its velocity; ``B`` is the integral of beta.
"""

from __future__ import annotations

import sympy as sp

from .derivation import LINEAR_ODE, Derivation, Step, differences, equal, rule
from .domain import POSITIVE, REAL, Domain, Expr
from .kernels import BETA, CLOCK, GAUSSIAN, B, T
from .zero import REFUTED

GAMMA = sp.Symbol("Gamma")
_S = sp.symbols("s_xx s_xv s_vv")
START = sp.Matrix([[_S[0], _S[1]], [_S[1], _S[2]]])  #: covariance of (x_0, v_0)
MASS = GAMMA**2 / 4
STATIONARY = sp.diag(1, MASS)


def drift() -> sp.Matrix:
    """F of ``d(x, v) = beta F (x, v) dt + ...``."""
    return sp.Matrix([[0, 1 / MASS], [-1, -GAMMA / MASS]])


def mean_map(clock: Expr) -> sp.Matrix:
    """``exp(F B) = e^{-2B/Gamma} (I + B N)`` with ``N = F + (2/Gamma) I``, ``N^2 = 0``."""
    nilpotent = drift() + 2 / GAMMA * sp.eye(2)
    return sp.exp(-2 * clock / GAMMA) * (sp.eye(2) + clock * nilpotent)


def noise_covariance(clock: Expr) -> sp.Matrix:
    """Covariance of (x_t, v_t) from a point, entries in closed form."""
    b = clock / GAMMA
    e = sp.exp(-4 * b)
    xx = 1 - e * (1 + 4 * b + 8 * b**2)
    xv = 4 * GAMMA * b**2 * e
    vv = MASS * (1 - e * (1 - 4 * b + 8 * b**2))
    return sp.Matrix([[xx, xv], [xv, vv]])


def critically_damped(wrong: str | None = None) -> Derivation:
    """Mean map and covariance of critically damped Langevin diffusion, for every beta and every start."""
    clock = B(T)
    friction = 4 if wrong == "friction-doubled" else 2
    f = drift()
    noise = sp.diag(0, (1 if wrong == "noise-halved" else 2) * GAMMA)
    mean = sp.exp(-friction * clock / GAMMA) * (sp.eye(2) + clock * (f + 2 / GAMMA * sp.eye(2)))
    if wrong == "no-shear":
        mean = sp.exp(-2 * clock / GAMMA) * sp.eye(2)
    covariance = mean * START * mean.T + noise_covariance(clock)
    nilpotent = f + 2 / GAMMA * sp.eye(2)
    rates = BETA(T) * (f * covariance + covariance * f.T + noise)
    steps = (
        rule(
            "the law", "(x_t, v_t) given (x_0, v_0)", "N(Φ (x_0, v_0), Σ)", relation="is",
            by="linearity of the diffusion", hypotheses=(GAUSSIAN,),
            because="with Φ' = β F Φ and Σ' = β (F Σ + Σ Fᵀ + G Gᵀ)",
        ),
        equal(
            "one eigenvalue, twice: the damping is critical", nilpotent**2, sp.zeros(2, 2),
            because="F + (2/Γ) I is nilpotent, so that exp(F B) is e^{−2B/Γ} times a polynomial",
        ),
        Step(
            name="the mean map", shown=((sp.Symbol("Phi"), mean),), using=CLOCK,
            checks=(
                *differences(mean.diff(T), BETA(T) * f * mean),
                *differences(mean.subs(T, 0), sp.eye(2)),
            ),
            because="Φ' = β F Φ and Φ(0) = I", by="uniqueness of the initial value problem", hypotheses=(LINEAR_ODE,),
        ),
        Step(
            name="the covariance, from any covariance s of (x_0, v_0)",
            shown=((sp.Symbol("Sigma"), sp.Symbol("Phi s Phi^T + K")), (sp.Symbol("K"), noise_covariance(clock))),
            using=CLOCK,
            checks=(*differences(covariance.diff(T), rates), *differences(covariance.subs(T, 0), START)),
            because="the Lyapunov equation Σ' = β (F Σ + Σ Fᵀ + G Gᵀ) has residual zero, and Σ(0) = s",
            by="uniqueness of the initial value problem", hypotheses=(LINEAR_ODE,),
        ),
        equal(
            "the stationary law", f * STATIONARY + STATIONARY * f.T + noise, sp.zeros(2, 2),
            because="diag(1, M) solves the Lyapunov equation: data of variance one with velocities N(0, M) keep it",
        ),
        equal(
            "the distance from it", noise_covariance(clock),
            STATIONARY - mean_map(clock) * STATIONARY * mean_map(clock).T,
        ),
    )  # fmt: skip
    return Derivation(
        "critically-damped",
        title="matrix kernel of critically damped Langevin",
        statement="For Γ² = 4M and every β: (x, v) given (x₀, v₀) is Gaussian with mean Φ (x₀, v₀), Φ = e^{−2B/Γ} "
        "(I + B (F + 2/Γ I)), and covariance K = diag(1, M) − Φ diag(1, M) Φᵀ; from a covariance s of (x₀, v₀) it is "
        "Φ s Φᵀ + K. F has the rows (0, 1/M) and (−1, −Γ/M), and B is the integral of β.",
        formula=r"\Phi=e^{-2B/\Gamma}\left(I+B\left(F+\frac{2}{\Gamma}I\right)\right),\quad"
        r"\Sigma=\Phi s\Phi^{\top}+\mathrm{diag}(1,M)-\Phi\,\mathrm{diag}(1,M)\,\Phi^{\top}",
        domain=Domain(
            {T: POSITIVE, GAMMA: POSITIVE, **dict.fromkeys(_S, REAL)}, {BETA: "positive", B: "real"}
        ),
        steps=steps,
        hypotheses=("β is integrable, B(t) = ∫₀ᵗ β, so that B' = β and B(0) = 0",),
        source="Dockhorn et al. 2022, Sec. 3 and App. B.1",
        wrong=wrong,
        mutants={"friction-doubled": REFUTED, "noise-halved": REFUTED, "no-shear": REFUTED},
    )  # fmt: skip
