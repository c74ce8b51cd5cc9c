"""Real images: the 1,797 digits as a law, whose diffused score, denoiser and reversal are known exactly.

The data set itself is the law: ``p_t`` is a mixture of 1,797 equal Gaussians around the scaled images, its
score is what a network that learned this data set perfectly would return.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from ...models.data import DIGIT_SHAPE, digit_images, digit_mixture
from ...numerics.confidence import bernoulli_interval
from ...numerics.estimate import mean_estimate
from ...numerics.solver_grids import KarrasGrid
from ...numerics.solvers import DDIM, Ancestral, Solver
from ...theory.diffusions import VP
from ...theory.empirical import PointMasses
from ...theory.marginals import Marginal, marginal
from ...theory.mixtures import Gaussian
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Allowed, Evidence, Measured, Outcome, interval
from ..sample_checks import check_samples
from .derivatives import gradient
from .tools import EPS, agreement, named

TIMES = (1e-4, 1e-2, 0.1, 0.4, 1.0)
STEPS, STOPS = 40, (8, 16, 24, 32, 40)
DRAWS, FEW = 4500, 1500
T_MIN = 1e-4
TOLERANCE = 0.4


def _law(t: float) -> Marginal:
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
            truth = _law(t).score(x)
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
            law = _law(t)
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
            tweedie = (x + factor * kernel.variance**power * _law(t).score(x)) / kernel.scale
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


def _dsm(t: float, target: float = 1.0, constant: float = 1.0) -> Check:
    """``DSM - ESM - C`` relative to ``C``, with ``C = a^2/(2 sd^4) E tr Cov[x_0 | x_t]``.

    The difference of the two losses draw by draw is ``(s* - g).(2 s - s* - g)/2`` with g the conditional score.
    """

    def check(ctx: Context) -> Evidence:
        n = min(ctx.budget, 20_000)
        kernel, law, model = VP().kernel(t), _law(t), _model(t)
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
            detectable=0.05 + found.detectable,
            seed=ctx.seed,
            message=f"(DSM - ESM - C)/C = {found.value:+.4f} at t = {t:g}, C = {scale:.4g}",
        )

    return check


def _worst(pieces: list[tuple[float, Evidence]], ctx: Context, n: int) -> Evidence:
    """The piece that decides: worst outcome, then largest share of its allowed interval."""

    def badness(item: tuple[float, Evidence]) -> tuple[int, float]:
        m, a = item[1].measured, item[1].allowed
        return item[1].outcome.severity, m.high / a.high if m and a and a.high > 0 else 0.0

    t, worst = max(pieces, key=badness)
    return Evidence(
        check="",
        kind="confidence",
        measured=worst.measured or Measured(0.0, 0.0, 0.0),
        allowed=worst.allowed or Allowed(0.0, 0.0),
        level=ctx.level,
        n=n,
        detectable=worst.detectable,
        seed=ctx.seed,
        message=f"worst of {len(pieces)} effects over five times: {worst.check} at t = {t:.4g}. {worst.message}",
    )


def _recovers(
    solver: Solver, field: Callable[[Vector, float], Vector], n: int, shift: int = 0
) -> Check:
    """Draws of ``p_1`` carried back by ``solver`` against the exact marginals at five times.

    Args:
        solver: a reverse-time solver.
        field: the score that it is given.
        n: draws.
        shift: grid points by which the marginals are mislabelled (a mutant).
    """

    def check(ctx: Context) -> Evidence:
        sde = VP()
        grid = KarrasGrid(sde, 1.0, T_MIN).times(STEPS)
        x = _law(1.0).transport(ctx.rng.random(n), ctx.rng.standard_normal((n, 64)))
        pieces: list[tuple[float, Evidence]] = []
        for k, (t, s) in enumerate(pairwise(grid), start=1):
            x = solver.step(x, float(t), float(s), score=field, sde=sde, rng=ctx.rng)
            if k not in STOPS:
                continue
            at = float(grid[max(k - shift, 0)])
            verdict = check_samples(
                x, _law(at), tolerance=TOLERANCE, false_alarm=ctx.level / len(STOPS), seed=ctx.seed
            )
            mine = [(at, e) for e in verdict.evidence if e.kind == "confidence" and e.deciding]
            pieces += mine
            if any(e.outcome is Outcome.REFUTED for _, e in mine):
                break  # the worst is known
        return _worst(pieces, ctx, n)

    return check


def _true_score(x: Vector, t: float) -> Vector:
    return _law(t).score(x)


def _half_score(x: Vector, t: float) -> Vector:
    return 0.5 * _law(t).score(x)


def _late_score(x: Vector, t: float) -> Vector:
    return _law(min(1.0, 1.3 * t)).score(x)


def _returns(population: bool) -> Check:
    """Share of draws of the flow that end at a training image: nearest below a third of second nearest."""

    def check(ctx: Context) -> Evidence:
        n, sde, images = 400, VP(), digit_images()
        law = marginal(digit_mixture(10), sde, 1.0) if population else _law(1.0)

        def field(x: Vector, t: float) -> Vector:
            return marginal(digit_mixture(10), sde, t).score(x) if population else _law(t).score(x)

        x = law.transport(ctx.rng.random(n), ctx.rng.standard_normal((n, 64)))
        x = DDIM().sample(field, sde, x, KarrasGrid(sde, 1.0, T_MIN).times(STEPS), rng=ctx.rng)
        distances = np.sqrt(
            np.maximum((x**2).sum(1)[:, None] - 2 * x @ images.T + (images**2).sum(1), 0.0)
        )
        nearest = np.partition(distances, 1, axis=1)[:, :2]
        hits = int((nearest[:, 0] < nearest[:, 1] / 3).sum())
        low, high = (float(v) for v in bernoulli_interval(hits, n, ctx.level))
        return Evidence(
            check="",
            kind="confidence",
            measured=Measured(hits / n, low, high),
            allowed=Allowed(0.9, 1.0),
            level=ctx.level,
            n=n,
            detectable=1 - low,
            seed=ctx.seed,
            message=f"{hits} of {n} draws lie within a third of the distance to the second nearest image",
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
        rows.append({"label": "denoised", "images": _pixels(_law(t).denoiser(noisy))})
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


_SUBJECT = {"problem": "digits", "data": "1,797 images of 8 x 8 pixels"}
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
        subject=_SUBJECT,
    ),
    Claim(
        "digits-dsm",
        r"$J_{DSM}(s) = J_{ESM}(s) + C$ with $C = \frac{a^2}{2\sigma_t^4}\,\mathbb{E}\,tr\,Cov[x_0|x_t]$",
        checks={"early": _dsm(0.2), "late": _dsm(0.4)},
        mutants={
            "early": [named(_dsm(0.2, target=-1.0), "sign-of-the-target")],
            "late": [
                named(_dsm(0.4, constant=2.0), "constant-doubled"),
                named(_dsm(0.4, target=float(VP().kernel(0.4).std)), "target-not-divided"),
            ],
        },
        source=("Vincent 2011, Eq. 11",),
        assumptions=(
            "s is the score of the Gaussian with the moments of the digits; the gap is relative to C, tolerance 5 %",
            "the interval assumes a bound on the kurtosis of the differences",
        ),
        group="digits",
        subject=_SUBJECT,
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
        subject=_SUBJECT,
        figure=_sheet,
    ),
    Claim(
        "digits-reverse-sde",
        r"the reverse SDE started at $p_T$ recovers the marginals of the digits at five times",
        checks={"marginals": _recovers(Ancestral(), _true_score, DRAWS)},
        mutants={"marginals": [named(_recovers(Ancestral(), _half_score, FEW), "score-halved")]},
        source=("Anderson 1982", "Ho et al. 2020, Eq. 7"),
        assumptions=(
            f"{STEPS} ancestral steps, even in the seventh root of the noise-to-signal ratio, down to t = 1e-4",
            f"tolerance {TOLERANCE}: probability for weights and distribution functions, standard deviations for "
            "means, relative for variances",
        ),
        group="digits",
        subject=_SUBJECT,
    ),
    Claim(
        "digits-flow",
        r"the probability flow started at $p_T$ recovers the marginals of the digits at five times",
        checks={"marginals": _recovers(DDIM(), _true_score, DRAWS)},
        mutants={
            "marginals": [
                named(_recovers(DDIM(), _late_score, FEW), "score-of-a-later-time"),
                named(_recovers(DDIM(), _true_score, FEW, shift=8), "marginals-of-another-time"),
            ]
        },
        source=("Song et al. 2021, Eq. 13", "Song, Meng & Ermon 2021, Eq. 12"),
        assumptions=(
            f"{STEPS} steps of DDIM, even in the seventh root of the noise-to-signal ratio, down to t = 1e-4",
            f"tolerance {TOLERANCE}: probability for weights and distribution functions, standard deviations for "
            "means, relative for variances",
        ),
        group="digits",
        subject=_SUBJECT,
    ),
    Claim(
        "digits-memorised",
        "a sampler with the exact score of the data set returns training images only",
        checks={"share": _returns(False)},
        mutants={"share": [named(_returns(True), "score-of-a-population")]},
        source=("Gu et al. 2023",),
        assumptions=(
            "'only' is certified as: more than 90 % of draws, from 400 draws of which none fails",
        ),
        finding=lambda evidence: evidence["share"].message + ".",
        group="digits",
        subject=_SUBJECT,
    ),
)
