"""Real images: the 1,797 digits as a law, whose diffused score, denoiser and reversal are known exactly.

The data set itself is the law: ``p_t`` is a mixture of 1,797 equal Gaussians around the scaled images, its
score is what a network that learned this data set perfectly would return.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...models.data import DIGIT_SHAPE, digit_images
from ...numerics.estimate import mean_estimate
from ...theory.diffusions import VP
from ...theory.empirical import PointMasses
from ...theory.marginals import Marginal, marginal
from ...theory.mixtures import Gaussian
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence, interval
from .derivatives import gradient
from .tools import EPS, agreement, named

TIMES = (1e-4, 1e-2, 0.1, 0.4, 1.0)
FEW = 5000  #: draws that show a gross defect


def diffused_digits(t: float) -> Marginal:
    """The law of the noised digits at time ``t`` under VP."""
    return marginal(PointMasses(digit_images()), VP(), t)


def _noised(t: float, n: int, rng: np.random.Generator) -> tuple[Vector, Vector, Vector]:
    """``x_0``, ``eps`` and ``x_t`` of ``n`` digits, each ``(n, 64)``."""
    kernel = VP().kernel(t)
    images = digit_images()
    x0 = images[rng.integers(len(images), size=n)]
    eps = rng.standard_normal(x0.shape)
    return x0, eps, kernel.scale * x0 + kernel.std * eps


def _direct(x: Vector, t: float) -> tuple[Vector, Vector]:
    """Posterior mean and variance (its trace) of ``x_0`` given ``x_t``, from differences to every image."""
    kernel, images = VP().kernel(t), digit_images()
    means, traces = np.empty_like(x), np.empty(len(x))
    for i, row in enumerate(x):
        square = ((row - kernel.scale * images) ** 2).sum(axis=1)
        weights = np.exp(-(square - square.min()) / (2 * kernel.variance))
        weights /= weights.sum()
        means[i] = weights @ images
        traces[i] = weights @ ((images - means[i]) ** 2).sum(axis=1)
    return means, traces


def _score(variance_power: float = 1.0) -> Check:
    """The closed score against ``(a E[x_0|x_t] - x_t) / sd^2`` from plain differences, at five times."""

    def check(ctx: Context) -> Evidence:
        gaps = []
        for t in TIMES:
            _, _, x = _noised(t, 24, ctx.rng)
            kernel = VP().kernel(t)
            means, _ = _direct(x, t)
            formula = (kernel.scale * means - x) / kernel.variance**variance_power
            truth = diffused_digits(t).score(x)
            gaps.append(float(np.abs(formula - truth).max() / np.abs(truth).max()))
        return agreement(
            np.array(gaps),
            np.zeros(len(gaps)),
            # the logits are differences of squares of size up to 64 / sd^2, and sd^2 is 1e-5 at the start
            bound=64 * EPS * 64 / float(VP().kernel(TIMES[0]).variance),
            tolerance=1e-5,
            n=24 * len(TIMES) * 64,
            message=f"largest relative gap of the score over five times: {max(gaps):.2g}",
        )

    return check


def _differentiated(sign: float = 1.0) -> Check:
    """The closed score against the derivative of ``log p_t`` by reverse-mode differentiation."""

    def check(ctx: Context) -> Evidence:
        gaps = []
        for t in TIMES[1:]:
            _, _, x = _noised(t, 24, ctx.rng)
            law = diffused_digits(t)
            truth = law.score(x)
            slope = sign * gradient(law.log_prob, x)
            gaps.append(float(np.abs(slope - truth).max() / np.abs(truth).max()))
        return agreement(
            np.array(gaps),
            np.zeros(len(gaps)),
            bound=64 * EPS * 64 / float(VP().kernel(TIMES[1]).variance),
            tolerance=1e-6,
            n=24 * len(gaps) * 64,
            message=f"largest relative gap to the derivative of log p_t: {max(gaps):.2g}",
        )

    return check


def _tweedie(power: float = 1.0, factor: float = 1.0) -> Check:
    """``(x_t + sd^2 score) / a`` against the posterior mean from plain differences."""

    def check(ctx: Context) -> Evidence:
        gaps, bounds = [], []
        for t in TIMES:
            _, _, x = _noised(t, 24, ctx.rng)
            kernel = VP().kernel(t)
            means, _ = _direct(x, t)
            tweedie = (
                x + factor * kernel.variance**power * diffused_digits(t).score(x)
            ) / kernel.scale
            gaps.append(float(np.abs(tweedie - means).max()))
            bounds.append(64 * EPS * (64 / float(kernel.variance) + 8 / float(kernel.scale)))
        return agreement(
            np.array(gaps),
            np.zeros(len(gaps)),
            bound=max(bounds),
            tolerance=1e-5,
            n=24 * len(TIMES) * 64,
            message=f"largest gap between Tweedie's denoiser and the posterior mean: {max(gaps):.2g}",
        )

    return check


def _model(t: float) -> Gaussian:
    """A score model for DSM: the Gaussian with the digits' own two moments, diffused to time t."""
    images = digit_images()
    covariance = np.cov(images.T) + 1e-3 * np.eye(64)
    kernel = VP().kernel(t)
    return Gaussian(images.mean(axis=0), covariance).diffuse(kernel.scale, kernel.variance)  # type: ignore[return-value]


def _dsm(t: float, target: float = 1.0, constant: float = 1.0, most: int = 20_000) -> Check:
    """``DSM - ESM - C`` relative to ``C``, with ``C = a^2/(2 sd^4) E tr Cov[x_0 | x_t]``.

    The difference of the two losses draw by draw is ``(s* - g).(2 s - s* - g)/2`` with g the conditional score.
    """

    def check(ctx: Context) -> Evidence:
        n = min(ctx.budget, most)
        kernel, law, model = VP().kernel(t), diffused_digits(t), _model(t)
        _, eps, x = _noised(t, n, ctx.rng)
        g, s, true = -target * eps / kernel.std, model.score(x), law.score(x)
        dsm, esm = 0.5 * ((s - g) ** 2).sum(1), 0.5 * ((s - true) ** 2).sum(1)
        # d + v div(score) = (a^2/v) tr Cov[x_0|x_t]: second-order Tweedie, on the same draws
        spread = 0.5 * (64 + kernel.variance * law.divergence(x)) / kernel.variance
        scale = float(spread.mean())
        found = mean_estimate((dsm - esm - constant * spread) / scale, level=ctx.level)
        return interval(
            "",
            "confidence",
            found.value,
            found.half_width,
            (-0.05, 0.05),
            level=ctx.level,
            n=n,
            detectable=found.detectable,
            seed=ctx.seed,
            message=f"(DSM - ESM - C)/C = {found.value:+.4f} at t = {t:g}, C = {scale:.4g}",
        )

    return check


def _sheet(ctx: Context) -> Mapping[str, Any]:
    """Contact sheet: digits, noised at three levels, and the exact denoiser's answer."""
    images = digit_images()
    pick = images[:10]
    rng = np.random.default_rng(3)
    eps = rng.standard_normal(pick.shape)
    rows = [{"label": "data", "images": _pixels(pick)}]
    for t in (0.1, 0.25, 0.45):
        kernel = VP().kernel(t)
        noisy = kernel.scale * pick + kernel.std * eps
        ratio = kernel.std / kernel.scale
        rows.append({"label": f"noise {ratio:.2f}", "images": _pixels(noisy / kernel.scale)})
        rows.append({"label": "denoised", "images": _pixels(diffused_digits(t).denoiser(noisy))})
    low, high = float(images.min()), float(images.max())
    return {
        "kind": "images",
        "title": "Digits, noised and denoised by the exact score",
        "alt": "Ten digits; three noise levels, each with the exact posterior mean below",
        "rows": rows,
        "vmin": low,
        "vmax": high,
    }


def _pixels(rows: Vector) -> list[Any]:
    return np.round(rows.reshape(-1, *DIGIT_SHAPE[1:]), 3).tolist()


SUBJECT = {"problem": "digits", "data": "1,797 images of 8 x 8 pixels"}
_SOURCE = ("Vincent 2011", "Efron 2011", "Karras et al. 2022, App. B.3")

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "digits-score",
        r"the score of the diffused data set is $(a\,\mathbb{E}[x_0|x_t] - x_t)/\sigma_t^2$ at every $t$",
        checks={"differences": _score(), "derivative": _differentiated()},
        mutants={
            "differences": [named(_score(0.5), "deviation-for-variance")],
            "derivative": [named(_differentiated(-1.0), "sign")],
        },
        source=_SOURCE,
        assumptions=("at five times from 1e-4 to 1, 24 noised digits each",),
        group="digits",
        subject=SUBJECT,
    ),
    Claim(
        "digits-dsm",
        r"$J_{DSM}(s) = J_{ESM}(s) + C$ with $C = \frac{a^2}{2\sigma_t^4}\,\mathbb{E}\,tr\,Cov[x_0|x_t]$",
        checks={"early": _dsm(0.2), "late": _dsm(0.4)},
        mutants={
            "early": [named(_dsm(0.2, target=-1.0, most=FEW), "sign-of-the-target")],
            "late": [
                named(_dsm(0.4, constant=2.0, most=FEW), "constant-doubled"),
                named(
                    _dsm(0.4, target=float(VP().kernel(0.4).std), most=FEW), "target-not-divided"
                ),
            ],
        },
        source=("Vincent 2011, Eq. 11",),
        assumptions=(
            "s is the score of the Gaussian with the moments of the digits; the gap is relative to C, tolerance 5 %",
            "the interval assumes a bound on the kurtosis of the differences",
        ),
        group="digits",
        subject=SUBJECT,
    ),
    Claim(
        "digits-tweedie",
        r"Tweedie's denoiser $(x_t + \sigma_t^2 s(x_t))/a$ is the posterior mean $\mathbb{E}[x_0|x_t]$",
        checks={"denoiser": _tweedie()},
        mutants={
            "denoiser": [
                named(_tweedie(power=0.5), "deviation-for-variance"),
                named(_tweedie(factor=-1.0), "sign"),
            ]
        },
        source=_SOURCE,
        assumptions=("at five times from 1e-4 to 1, 24 noised digits each",),
        group="digits",
        subject=SUBJECT,
        figure=_sheet,
    ),
)
