"""The perturbation kernels of the library's diffusions as derivations."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import Derivation, equal
from .kernels import BETA, KERNELS, B, T, certificate, mutants


def _derivation(
    name: str, wrong: str | None, extra: tuple[Any, ...] = (), **about: Any
) -> Derivation:
    kernel = KERNELS[name]
    return Derivation(
        name, domain=kernel.domain, steps=(*certificate(kernel, wrong), *extra), wrong=wrong, mutants=mutants(kernel),
        **about,
    )  # fmt: skip


def _instance(general: str, name: str, wrong: str | None, text: str, **about: Any) -> Derivation:
    """The kernel of a special beta, with its clock and its agreement with the general form."""
    kernel, parent = KERNELS[name], KERNELS[general]
    integral = -2 * kernel.scale.args[0]  # scale = exp(-B/2)
    put = {B(T): integral, BETA(T): sp.diff(integral, T)}
    extra = (
        equal(
            "the general variance with this B",
            parent.variance.xreplace(put),
            kernel.variance,
            because=text,
        ),
        equal("the general noise with this beta", parent.g2.xreplace(put), kernel.g2),
    )
    return _derivation(name, wrong, extra, **about)


def vp(wrong: str | None = None) -> Derivation:
    """Variance preserving, for every beta."""
    kernel = KERNELS["vp"]
    return _derivation(
        "vp", wrong,
        (equal("unit variance is kept", kernel.scale**2 + kernel.variance, 1, because="hence the name"),),
        title="variance-preserving kernel for every β",
        statement="dx = −½ β x dt + √β dw has the kernel N(e^{−B/2} x₀, (1 − e^{−B}) I) with B = ∫₀ᵗ β, for every "
        "β ≥ 0; data of variance one keep it.",
        formula=r"x_t\mid x_0\sim N\left(e^{-B/2}x_0,\ (1-e^{-B})I\right),\quad B=\int_0^t\beta",
        hypotheses=("β is integrable, B(t) = ∫₀ᵗ β, so that B' = β and B(0) = 0",),
        source="Song et al. 2021, Eqs. 11 and 29",
    )  # fmt: skip


def vp_linear(wrong: str | None = None) -> Derivation:
    """Variance preserving with beta linear in t."""
    return _instance(
        "vp", "vp-linear", wrong, "B is the integral of β₀ + (β₁ − β₀) t",
        title="variance-preserving kernel, β linear",
        statement="With β(t) = β₀ + (β₁ − β₀) t: B = β₀ t + (β₁ − β₀) t²/2 in the kernel of vp.",
        formula=r"B=\beta_0t+\frac{(\beta_1-\beta_0)t^2}{2}",
        source="Song et al. 2021, Eq. 33",
    )  # fmt: skip


def vp_constant(wrong: str | None = None) -> Derivation:
    """Variance preserving with constant beta."""
    return _instance(
        "vp", "vp-constant", wrong, "B = β₀ t",
        title="variance-preserving kernel, β constant",
        statement="With β constant the kernel is N(e^{−βt/2} x₀, (1 − e^{−βt}) I), an Ornstein-Uhlenbeck process.",
        formula=r"x_t\mid x_0\sim N\left(e^{-\beta t/2}x_0,\ (1-e^{-\beta t})I\right)",
    )  # fmt: skip


def sub_vp(wrong: str | None = None) -> Derivation:
    """Sub-VP, for every beta."""
    kernel, full = KERNELS["sub-vp"], KERNELS["vp"]
    below = sp.exp(-B(T)) * (1 - sp.exp(-B(T)))
    return _derivation(
        "sub-vp", wrong,
        (equal("below the variance-preserving one", full.variance - kernel.variance, below, because="≥ 0, as B ≥ 0"),),
        title="sub-VP kernel for every β",
        statement="dx = −½ β x dt + √(β (1 − e^{−2B})) dw has the kernel N(e^{−B/2} x₀, (1 − e^{−B})² I), for every "
        "β ≥ 0; its variance is below that of the variance-preserving diffusion.",
        formula=r"x_t\mid x_0\sim N\left(e^{-B/2}x_0,\ (1-e^{-B})^2I\right)",
        hypotheses=("β is integrable, B(t) = ∫₀ᵗ β, so that B' = β and B(0) = 0",),
        source="Song et al. 2021, Eqs. 12 and 29",
    )  # fmt: skip


def sub_vp_linear(wrong: str | None = None) -> Derivation:
    """Sub-VP with beta linear in t."""
    return _instance(
        "sub-vp", "sub-vp-linear", wrong, "B is the integral of β₀ + (β₁ − β₀) t",
        title="sub-VP kernel, β linear",
        statement="With β(t) = β₀ + (β₁ − β₀) t: B = β₀ t + (β₁ − β₀) t²/2 in the kernel of sub-vp.",
        formula=r"B=\beta_0t+\frac{(\beta_1-\beta_0)t^2}{2}",
        source="Song et al. 2021, App. C",
    )  # fmt: skip


def cosine(wrong: str | None = None) -> Derivation:
    """The cosine schedule, before its clipping."""
    kernel = KERNELS["cosine"]
    return _derivation(
        "cosine", wrong, (equal("unit variance is kept", kernel.scale**2 + kernel.variance, 1),),
        title="cosine schedule",
        statement="With u = (π/2)(t + s)/(1 + s) and β = π/(1+s) tan u: dx = −½ β x dt + √β dw has the kernel "
        "N(α x₀, (1 − α²) I), α = cos u(t) / cos u(0), for t < 1, where β is not cut.",
        formula=r"\alpha(t)=\frac{\cos u(t)}{\cos u(0)},\quad u(t)=\frac{\pi}{2}\frac{t+s}{1+s}",
        source="Nichol and Dhariwal 2021, Eq. 17",
    )  # fmt: skip


def ve(wrong: str | None = None) -> Derivation:
    """Variance exploding, geometric levels."""
    return _derivation(
        "ve", wrong,
        title="variance-exploding kernel",
        statement="dx = σ_min kᵗ √(2 log k) dw with k = σ_max/σ_min has the kernel N(x₀, σ_min² (k²ᵗ − 1) I): the "
        "variance is σ(t)² − σ(0)² with σ(t) = σ_min kᵗ.",
        formula=r"x_t\mid x_0\sim N\left(x_0,\ \sigma_{\min}^2(k^{2t}-1)I\right)",
        source="Song et al. 2021, Eqs. 29 and 30",
    )  # fmt: skip


def ou(wrong: str | None = None) -> Derivation:
    """Ornstein-Uhlenbeck."""
    return _derivation(
        "ou", wrong,
        title="Ornstein-Uhlenbeck kernel",
        statement="dx = −θ x dt + σ dw has the kernel N(e^{−θt} x₀, σ²/(2θ) (1 − e^{−2θt}) I).",
        formula=r"x_t\mid x_0\sim N\left(e^{-\theta t}x_0,\ \frac{\sigma^2}{2\theta}(1-e^{-2\theta t})I\right)",
        source="Uhlenbeck and Ornstein 1930",
    )  # fmt: skip


def edm(wrong: str | None = None) -> Derivation:
    """Time is the noise level."""
    return _derivation(
        "edm", wrong,
        title="EDM kernel, σ(t) = t",
        statement="dx = √(2t) dw has the kernel N(x₀, t² I).",
        formula=r"x_t\mid x_0\sim N(x_0,\ t^2I)",
        source="Karras et al. 2022, Sec. 3",
    )  # fmt: skip


def straight_path(wrong: str | None = None) -> Derivation:
    """The straight path between data and noise."""
    return _derivation(
        "straight-path", wrong,
        title="straight path (flow matching, rectified flow)",
        statement="x_t = (1 − t) x₀ + t ε has at every t < 1 the law of dx = −x/(1−t) dt + √(2t/(1−t)) dw.",
        formula=r"f=-\frac{1}{1-t},\quad g^2=\frac{2t}{1-t}",
        source="Liu et al. 2023, Eq. 1; Lipman et al. 2023, Eq. 20",
    )  # fmt: skip


def exponential_noise(wrong: str | None = None) -> Derivation:
    """``dx = e^t dw``."""
    v = KERNELS["exponential-noise"].variance
    return _derivation(
        "exponential-noise", wrong, (equal("its growth", sp.Derivative(v, T), sp.exp(2 * T)),),
        title="kernel of dx = eᵗ dw",
        statement="dx = eᵗ dw has the kernel N(x₀, (e^{2t} − 1)/2 I), which grows as e^{2t}.",
        formula=r"x_t\mid x_0\sim N\left(x_0,\ \frac{e^{2t}-1}{2}I\right)",
    )  # fmt: skip
