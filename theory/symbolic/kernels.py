"""Perturbation kernels ``x_t | x_0 ~ N(alpha x_0, sigma^2 I)`` of linear diffusions, each proved by certificate.

A closed form is right if its moments solve ``m' = f m``, ``v' = 2 f v + g^2`` from every m_0 and v_0; how it was
found does not matter. ``B`` is the integral of an undefined ``beta``: ``B' = beta``, ``B(0) = 0``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from .derivation import Derivation, Step, equal, rule, solves
from .domain import POSITIVE, REAL, UNIT, Domain, Interval
from .zero import REFUTED

GAUSSIAN = "f and g are locally integrable and square integrable, so that x_t given x_0 is Gaussian with these moments"
T = sp.Symbol("t")
M0, V0 = sp.symbols("m_0 v_0")
MEAN, VARIANCE, BETA, B = (sp.Function(n) for n in ("m", "v", "beta", "B"))
CLOCK = {B(T).diff(T): BETA(T), B(0): sp.Integer(0)}


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A linear diffusion ``dx = f x dt + g dw`` with a closed form of its kernel.

    Attributes:
        f: drift factor.
        g2: square of the diffusion coefficient.
        scale: alpha, factor of the mean.
        variance: sigma^2, noise variance.
        symbols: intervals of t and of the parameters.
        functions: signs of undefined functions.
        using: hypotheses as replacements.
        t: the time.
    """

    f: Any
    g2: Any
    scale: Any
    variance: Any
    symbols: Mapping[sp.Symbol, Interval]
    functions: Mapping[Any, str] = field(default_factory=dict)
    using: Mapping[Any, Any] = field(default_factory=dict)
    t: sp.Symbol = T

    @property
    def domain(self) -> Domain:
        """Symbols of the kernel and of the initial moments."""
        return Domain({**self.symbols, M0: REAL, V0: POSITIVE}, self.functions)


def certificate(kernel: Kernel, wrong: str | None = None) -> tuple[Step, ...]:
    """The steps that prove a kernel; ``wrong`` is one of :func:`mutants`."""
    t = kernel.t
    m, v = MEAN(t), VARIANCE(t)
    f = 2 * kernel.f if wrong == "drift-doubled" else kernel.f
    g2 = kernel.g2 / 2 if wrong == "noise-halved" else kernel.g2
    sigma2 = {
        "noise-doubled": 2 * kernel.variance,
        "std-for-variance": sp.sqrt(kernel.variance),
    }.get(wrong or "", kernel.variance)
    return (
        rule(
            "the law", "x_t given x_0", "N(m, v)", by="linearity of the diffusion", hypotheses=(GAUSSIAN,),
            relation="is", because="with the equations of the moments that follow",
        ),
        solves(
            "the mean", {m.diff(t): f * m}, {m: kernel.scale * M0}, start={t: 0}, initial={m: M0}, using=kernel.using,
        ),
        solves(
            "the variance, from any initial variance", {v.diff(t): 2 * f * v + g2},
            {v: kernel.scale**2 * V0 + sigma2}, start={t: 0}, initial={v: V0}, using=kernel.using,
            because="v_0 = 0 gives the kernel; residual and initial value are zero",
        ),
    )  # fmt: skip


def mutants(kernel: Kernel) -> dict[str, Any]:
    """Wrong kernels, all of which a point refutes."""
    found = {"noise-halved": REFUTED, "noise-doubled": REFUTED, "std-for-variance": REFUTED}
    return found if kernel.f == 0 else {**found, "drift-doubled": REFUTED}


def alpha_sigma(wrong: str | None = None) -> Derivation:
    """The lemma from which every schedule follows: f and g from undefined alpha and sigma."""
    alpha, sigma = sp.Function("alpha"), sp.Function("sigma")
    a, s = alpha(T), sigma(T)
    f = a.diff(T) / a
    g2 = (s**2).diff(T) - {"half-drift": 1}.get(wrong or "", 2) * f * s**2
    if wrong == "no-drift":
        g2 = (s**2).diff(T)
    kernel = Kernel(
        f=f, g2=g2, scale=a, variance=s**2, symbols={T: POSITIVE}, functions={alpha: "positive", sigma: "real"},
        using={alpha(0): sp.Integer(1), sigma(0): sp.Integer(0)},
    )  # fmt: skip
    return Derivation(
        "alpha-sigma",
        title="every schedule: f and g from α and σ",
        statement="For smooth α > 0 and σ with α(0) = 1, σ(0) = 0: dx = f x dt + g dw with f = α'/α and "
        "g² = (σ²)' − 2 f σ² has the kernel N(α x₀, σ² I), wherever g² ≥ 0. Also g² = α² (σ²/α²)'.",
        formula=r"f=\frac{\alpha'}{\alpha},\quad g^2=(\sigma^2)'-2f\sigma^2=\alpha^2\left(\frac{\sigma^2}{\alpha^2}"
        r"\right)'",
        domain=kernel.domain,
        steps=(
            *certificate(kernel),
            equal("the noise as growth of σ²/α²", g2, a**2 * sp.Derivative(s**2 / a**2, T)),
        ),
        hypotheses=("σ²/α² does not decrease, so that g² ≥ 0",),
        source="Song et al. 2021, App. B; Karras et al. 2022, App. B.2",
        wrong=wrong,
        mutants={"half-drift": REFUTED, "no-drift": REFUTED},
    )  # fmt: skip


_b0, _b1, _s, _k, _lo, _theta, _sigma = sp.symbols("beta_0 beta_1 s k sigma_min theta sigma")
_GENERAL = {"symbols": {T: UNIT}, "functions": {BETA: "positive", B: "real"}, "using": CLOCK}
_LINEAR_B = _b0 * T + (_b1 - _b0) * T**2 / 2
_ANGLE = sp.pi / 2 * (T + _s) / (1 + _s)
_RATE = sp.pi / (1 + _s) * sp.tan(_ANGLE)
_COS2 = (sp.cos(_ANGLE) / sp.cos(_ANGLE.subs(T, 0))) ** 2


def _preserving(beta: Any, integral: Any, **about: Any) -> Kernel:
    return Kernel(
        f=-beta / 2, g2=beta, scale=sp.exp(-integral / 2), variance=1 - sp.exp(-integral), **about
    )


def _below(beta: Any, integral: Any, **about: Any) -> Kernel:
    e = sp.exp(-integral)
    return Kernel(
        f=-beta / 2,
        g2=beta * (1 - e**2),
        scale=sp.exp(-integral / 2),
        variance=(1 - e) ** 2,
        **about,
    )


_ZERO, _ONE = sp.Integer(0), sp.Integer(1)
_BETAS = {T: UNIT, _b0: POSITIVE, _b1: POSITIVE}

#: Named closed forms. ``vp`` and ``sub-vp`` hold for every beta; the instances are the library's schedules.
KERNELS: dict[str, Kernel] = {
    "vp": _preserving(BETA(T), B(T), **_GENERAL),
    "vp-linear": _preserving(_LINEAR_B.diff(T), _LINEAR_B, symbols=_BETAS),
    "vp-constant": _preserving(_b0, _b0 * T, symbols={T: POSITIVE, _b0: POSITIVE}),
    "sub-vp": _below(BETA(T), B(T), **_GENERAL),
    "sub-vp-linear": _below(_LINEAR_B.diff(T), _LINEAR_B, symbols=_BETAS),
    "cosine": Kernel(
        f=-_RATE / 2, g2=_RATE, scale=sp.cos(_ANGLE) / sp.cos(_ANGLE.subs(T, 0)), variance=1 - _COS2,
        symbols={T: UNIT, _s: POSITIVE},
    ),
    "ve": Kernel(
        f=_ZERO, g2=2 * sp.log(_k) * _lo**2 * _k ** (2 * T), scale=_ONE, variance=_lo**2 * (_k ** (2 * T) - 1),
        symbols={T: UNIT, _k: (1, sp.oo), _lo: POSITIVE},
    ),
    "ou": Kernel(
        f=-_theta, g2=_sigma**2, scale=sp.exp(-_theta * T),
        variance=_sigma**2 / (2 * _theta) * (1 - sp.exp(-2 * _theta * T)),
        symbols={T: POSITIVE, _theta: POSITIVE, _sigma: POSITIVE},
    ),
    "edm": Kernel(f=_ZERO, g2=2 * T, scale=_ONE, variance=T**2, symbols={T: POSITIVE}),
    "straight-path": Kernel(f=-1 / (1 - T), g2=2 * T / (1 - T), scale=1 - T, variance=T**2, symbols={T: UNIT}),
    "exponential-noise": Kernel(
        f=_ZERO, g2=sp.exp(2 * T), scale=_ONE, variance=(sp.exp(2 * T) - 1) / 2, symbols={T: POSITIVE}
    ),
}  # fmt: skip
