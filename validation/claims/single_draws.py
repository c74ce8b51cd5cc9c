"""Ledger, the score of one draw of the noise: O12, O23 and O26."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...numerics.objectives_denoising import DSM
from ...numerics.rng import draw
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .averages import KURTOSIS, drawn_mean, largest, number_of, shown
from .conditional_scores import PLAIN, POINTS, PRESERVING, mean_checks
from .derivatives import gradient, log_kernel
from .equivalence import posterior_trace
from .grams import LAWS, noised
from .laws import skewed_8d
from .tools import EPS, agreement, named

EVERY = "'for every draw': a mean square difference of zero (within 1e-6 of the mean square of the right side)"


def _every_draw(factor: float, kernel: tuple[float, float]) -> Check:
    """``E|grad log q(x_t) - factor (-eps/sd)|^2`` over ``E|eps/sd|^2``, d = 1 and 2."""

    def check(ctx: Context) -> Evidence:
        scale, std = kernel
        gaps = []
        for dim in LAWS:
            gap = noised(dim, std, scale).square({"score": 1.0, "target": -factor})
            gaps.append(gap * (std**2 / dim))
        text = ", ".join(f"{gap.value:.4f}" for gap in gaps)
        message = f"mean square difference over that of eps / sd is {text} (d = 1, 2)"
        return largest(gaps, 1.0, 1e-6, ctx, message)

    return check


def _share(factor: float, kernel: tuple[float, float]) -> Check:
    """That mean square difference against ``factor a^2 E tr Cov[x_0|x_t] / (d sd^2)``, d = 1 and 2."""

    def check(ctx: Context) -> Evidence:
        scale, std = kernel
        rests = []
        for dim in LAWS:
            gap = noised(dim, std, scale).square({"score": 1.0, "target": -1.0}) * (std**2 / dim)
            spread = posterior_trace(dim, std, scale)
            rests.append(gap - spread * (factor * scale**2 / (dim * std**2)))
        message = "that share less a^2 E tr Cov[x_0|x_t] / (d sd^2)"
        return largest(rests, 1.0, 1e-6, ctx, message, deciding=False)

    return check


def _every_draw_drawn(factor: float, kernel: tuple[float, float], denoiser: bool = False) -> Check:
    """The same on draws in eight dimensions, the score by the denoiser where that is the claim."""

    def check(ctx: Context) -> Evidence:
        scale, std = kernel
        base = skewed_8d()
        objective = DSM(base, scale, std**2)

        def values(x0: Vector, eps: Vector) -> Vector:
            x = scale * x0 + std * eps
            link = (scale * base.denoiser(x, scale, std**2) - x) / std**2 if denoiser else None
            s = objective.marginal.score(x) if link is None else link
            return ((s + factor * eps / std) ** 2).sum(1)

        found = drawn_mean(values, objective, ctx) * (std**2 / 8)
        return shown(found, (0.0, 1e-6), ctx, "relative mean square difference, d = 8")

    return check


def _one_draw(
    formula: Callable[[Vector, Vector, Vector, float], Vector], scale: float = 1.0
) -> Check:
    """Derivative of the log-kernel at draws against a formula, by reverse-mode differentiation.

    Args:
        formula: ``(x_0, x_t, eps, std)``.
        scale: a.
    """

    def check(ctx: Context) -> Evidence:
        gaps = []
        for base in (*(law() for law in LAWS.values()), skewed_8d()):
            for std in (0.01, 0.5, 10.0):
                x0 = draw(base, 200, rng=ctx.rng)
                eps = ctx.rng.standard_normal(x0.shape)
                x = scale * x0 + std * eps
                truth = gradient(log_kernel(scale * x0, std), x)
                gaps.append(std * np.abs(formula(scale * x0, x, eps, std) - truth).max())
        return agreement(
            np.array(gaps),
            np.zeros(len(gaps)),
            # x_t - a x_0 loses eps |x_t| / sd against a difference of size sd
            bound=64 * EPS * 10 / 0.01,
            tolerance=1e-9,
            n=200 * len(gaps),
            message="sd times the gap to the derivative of log q(x_t|x_0), sd = 0.01, 0.5, 10, d = 1, 2, 8",
        )

    return check


def _complex_step(formula: Callable[[Vector, Vector, Vector, float], Vector]) -> Check:
    """The same by a complex step ``Im log q(x~ + i h e_k | x) / h``, which has no truncation error to speak of."""

    def check(ctx: Context) -> Evidence:
        base, h, gaps = skewed_8d(), 1e-30, []
        for std in (0.01, 0.5, 10.0):
            x0 = draw(base, 200, rng=ctx.rng)
            eps = ctx.rng.standard_normal(x0.shape)
            x = x0 + std * eps
            steps = x[:, None, :] + 1j * h * np.eye(8)
            truth = (-0.5 * ((steps - x0[:, None, :]) ** 2).sum(-1) / std**2).imag / h
            gaps.append(std * np.abs(formula(x0, x, eps, std) - truth).max())
        return agreement(
            np.array(gaps),
            np.zeros(3),
            bound=64 * EPS * 10 / 0.01,
            tolerance=1e-9,
            n=600,
            message="sd times the gap to the derivative by complex steps, d = 8",
        )

    return check


def _from_points(x0: Vector, x: Vector, eps: Vector, std: float) -> Vector:
    return (x0 - x) / std**2


def _from_noise(x0: Vector, x: Vector, eps: Vector, std: float) -> Vector:
    return -eps / std


def _backwards(x0: Vector, x: Vector, eps: Vector, std: float) -> Vector:
    return (x - x0) / std**2


def _variance_for_deviation(x0: Vector, x: Vector, eps: Vector, std: float) -> Vector:
    return -eps / std**2


def _deviation_for_variance(x0: Vector, x: Vector, eps: Vector, std: float) -> Vector:
    return (x0 - x) / std


def _for_every_draw(
    id: str, statement: str, right: str, kernel: tuple[float, float], **parts: Any
) -> Claim:
    """A score of the noised law said to equal that of one draw, and the two sentences that hold instead."""
    checks, mutants = mean_checks(kernel)
    drawn = id == "O23"
    return Claim(
        id,
        statement,
        checks={
            "quadrature": _every_draw(1.0, kernel),
            "draws": _every_draw_drawn(1.0, kernel, drawn),
            "share": _share(1.0, kernel),
        },
        mutants={
            "quadrature": [
                named(_every_draw(-1.0, kernel), "sign"),
                named(_every_draw(1 / kernel[1], kernel), "variance-for-deviation"),
            ],
            "draws": [named(_every_draw_drawn(-1.0, kernel, drawn), "sign")],
            "share": [named(_share(0.5, kernel), "half-the-spread")],
        },
        assumptions=(
            EVERY,
            f"skewed mixtures, scale {kernel[0]:.3f}, deviation {kernel[1]:.3f}",
            KURTOSIS,
        ),
        finding=lambda e: (
            f"Not for one draw: the {e['quadrature'].message}, and {number_of(e['draws']):.3f} in eight "
            f"dimensions; {e['share'].message}."
        ),
        role="printed",
        group="ledger",
        correction=Claim(
            id,
            right,
            checks={**checks, "one-draw": _one_draw(_from_noise, kernel[0])},
            mutants={
                **mutants,
                "one-draw": [
                    named(_one_draw(_variance_for_deviation, kernel[0]), "variance-for-deviation"),
                    named(_one_draw(_backwards, kernel[0]), "sign"),
                ],
            },
            assumptions=(
                POINTS,
                "in eight dimensions along two fields",
                KURTOSIS,
            ),
            group="ledger",
        ),
        **parts,
    )


def _twenty_sixth() -> Claim:
    wrong = {"sign": _backwards, "sigma-for-its-square": _deviation_for_variance}
    return Claim(
        "O26",
        r"$\nabla\log q(\tilde x \mid x) = (x - \tilde x)/\sigma^2 = -\varepsilon/\sigma$",
        checks={
            "points": _one_draw(_from_points),
            "noise": _one_draw(_from_noise),
            "complex-step": _complex_step(_from_points),
        },
        mutants={
            "points": [named(_one_draw(f), k) for k, f in wrong.items()],
            "noise": [named(_one_draw(_variance_for_deviation), "variance-for-deviation")],
            "complex-step": [named(_complex_step(f), k) for k, f in wrong.items()],
        },
        source=("000", "001", "003"),
        assumptions=(
            "the gradient is in x~; 200 draws at each of three noise levels, d = 1, 2, 8",
        ),
        role="printed",
        group="ledger",
    )


CLAIMS: tuple[Claim, ...] = (
    _for_every_draw(
        "O12",
        r"the score of the forward-noised law is $\nabla\log q(x_t) = -\varepsilon/\sqrt{1 - \bar\alpha_t}$, for "
        r"every draw",
        r"$\nabla\log q(x_t \mid x_0) = -\varepsilon/\sqrt{1 - \bar\alpha_t}$ for every draw, and $\nabla\log q(x_t)$ "
        r"is its mean given $x_t$",
        PRESERVING,
        source=("002",),
    ),
    _for_every_draw(
        "O23",
        r"from the denoiser link, $s(\tilde x) = (\hat x - \tilde x)/\sigma^2 = -\varepsilon/\sigma$, for every draw",
        r"$s(\tilde x) = (\hat x - \tilde x)/\sigma^2 = E[-\varepsilon/\sigma \mid \tilde x]$; for one draw "
        r"$-\varepsilon/\sigma$ is $\nabla\log q(\tilde x \mid x)$",
        PLAIN,
        source=("000",),
    ),
    _twenty_sixth(),
)
