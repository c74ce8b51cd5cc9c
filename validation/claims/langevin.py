"""Ledger, Langevin dynamics: L4 to L7 (chains with a step), L11 (conventions)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...numerics.confidence import dkw_radius
from ...numerics.gaussian_law import EigenLaw, ula_affine, ula_law
from ...numerics.langevin import mala_log_ratio, mala_step, ula_step
from ...numerics.rng import draw
from ...theory.mixtures import Gaussian
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .figures import chain_bias
from .laws import skewed_1d, skewed_2d, tilted_gaussian
from .tools import EPS, agreement, certified, named, number

DOUBLINGS = 40
LogRatio = Callable[..., Vector]
TARGET = Gaussian([1.5, -0.4], [[0.9, 0.3], [0.3, 0.25]])


def _variance_of_chain(
    step: float, formula: Callable[[Vector, float], Vector], tolerance: float, spread: float = 1.0
) -> Check:
    """Exact law of 2^40 steps of ``x + d s + sqrt(2 d spread) z`` against a formula for its variance."""

    def check(ctx: Context) -> Evidence:
        target = EigenLaw.of(TARGET)
        move = ula_affine(target, step=step)
        move = type(move)(move.gain, move.shift, spread * move.noise)
        for _ in range(DOUBLINGS):  # the affine map composed with itself: 2^40 steps
            move = move.then(move)
        law = target.push(move)
        gap = law.variance / formula(target.variance, step) - 1
        worst = float(gap[np.argmax(np.abs(gap))])
        return number(
            worst,
            error=64
            * EPS
            / min(1.0, step),  # a contraction by 1 - step/lambda sums its rounding errors
            allowed=(-tolerance, tolerance),
            n=2**DOUBLINGS,
            message=f"relative excess of the stationary variance at step {step:g}: {worst:+.4g}",
        )

    return check


def _target_variance(v: Vector, d: float) -> Vector:
    return v


def _ula_variance(v: Vector, d: float) -> Vector:
    return v / (1 - d / (2 * v))


def _exactness(id: str, chain: str, bias: str, source: tuple[str, ...], step: float) -> Claim:
    """The claim that a chain with a finite step is exactly stationary at p, and what holds instead."""
    wrong = {
        "noise-halved": _variance_of_chain(step, _target_variance, 1e-9, spread=0.5),
        "noise-doubled": _variance_of_chain(step, _target_variance, 1e-9, spread=2.0),
    }
    other = {
        "target-variance": _variance_of_chain(step, _target_variance, 1e-9),
        "first-order-only": _variance_of_chain(step, lambda v, d: v + d / 2, 1e-9),
    }
    return Claim(
        id,
        rf"the stationary distribution of {chain} is exactly $p$",
        checks={"variance": _variance_of_chain(step, _target_variance, 1e-9)},
        mutants={"variance": [named(f, k) for k, f in wrong.items()]},
        source=source,
        assumptions=("a step that is not zero; shown on a tilted Gaussian in two dimensions",),
        correction=Claim(
            id,
            rf"for $\mathcal{{N}}(\mu, \Sigma)$ the stationary variance of {chain} along an eigendirection of "
            rf"variance $v$ is exactly {bias}, so it is $p$ only in the limit of step zero",
            checks={"variance": _variance_of_chain(step, _ula_variance, 1e-9)},
            mutants={"variance": [named(f, k) for k, f in other.items()]},
            group="ledger",
        ),
        finding=lambda evidence: evidence["variance"].message,
        figure=chain_bias(TARGET, 1.0 if id == "L4" else 0.5),
        role="printed",
        group="ledger",
    )


def _small_step(scale: float) -> Check:
    return _variance_of_chain(1e-4 * scale, _target_variance, 1e-3)


def _threshold(factor: float) -> Check:
    """Smallest step h of ``x + (h/2) s + sqrt(h) z`` at which the chain stops contracting."""

    def check(ctx: Context) -> Evidence:
        target = EigenLaw.of(TARGET)
        low, high = 0.0, 100.0
        for _ in range(80):
            middle = 0.5 * (low + high)
            gain = ula_affine(target, step=middle / 2).gain
            low, high = (middle, high) if float(np.abs(gain).max()) < 1 else (low, middle)
        expected = factor * float(target.variance.min())
        return number(
            low / expected - 1,
            error=16 * EPS * 100 / expected,
            allowed=(-1e-9, 1e-9),
            n=80,
            message=f"the chain diverges from h = {low:.6g}; the smallest variance is "
            f"{target.variance.min():.6g}",
        )

    return check


def _diverges(step: float) -> Check:
    def check(ctx: Context) -> Evidence:
        target = EigenLaw.of(TARGET)
        law = ula_law(target, target, step=step / 2, n_steps=200)
        growth = float(law.variance.max() / target.variance.max())
        return number(
            np.log10(growth),
            error=200 * 16 * EPS,  # a few operations in each of 200 steps
            allowed=(3.0, np.inf),
            n=200,
            message=f"variance grew by 10^{np.log10(growth):.1f} in 200 steps of h = {step:g}",
        )

    return check


def _balance(log_ratio: LogRatio, step: float = 0.4) -> Check:
    """Detailed balance ``p(x) q(x, y) a(x, y) = p(y) q(y, x) a(y, x)`` with densities from the definition."""

    def check(ctx: Context) -> Evidence:
        law = skewed_2d()
        rng = ctx.rng
        x = draw(law, 2000, rng=rng)
        y = x + step * law.score(x) + np.sqrt(2 * step) * rng.standard_normal(x.shape)

        def flow(a: Vector, b: Vector) -> Vector:
            q = -((b - a - step * law.score(a)) ** 2).sum(1) / (4 * step)
            return law.log_prob(a) + q + np.minimum(0.0, log_ratio(law, a, b, step=step))

        there, back = flow(x, y), flow(y, x)
        size = 1 + float(np.abs(there).max())
        return agreement(
            there / size,
            back / size,
            bound=256 * EPS,
            tolerance=1e-9,
            message="log of the flow from x to y against that from y to x, 2,000 pairs",
        )

    return check


def _metropolis_only(law: Any, x: Vector, y: Vector, *, step: float) -> Vector:
    return law.log_prob(y) - law.log_prob(x)


def _wrong_scale(law: Any, x: Vector, y: Vector, *, step: float) -> Vector:
    return mala_log_ratio(law, x, y, step=2 * step)


def _invariance(
    corrected: bool, step: float = 0.3, log_ratio: LogRatio = mala_log_ratio, n: int = 60_000
) -> Check:
    """Exact draws stay exact under 20 steps: sup-distance of their CDF, with a DKW band."""

    def check(ctx: Context) -> Evidence:
        law = skewed_1d()
        x = draw(law, n, rng=ctx.rng)  # the band of 60,000 leaves half of the tolerance
        for _ in range(20):
            if log_ratio is not mala_log_ratio:
                y = ula_step(law.score, x, step=step, rng=ctx.rng)
                kept = np.log(ctx.rng.random(n)) >= log_ratio(law, x, y, step=step)
                x = np.where(kept[:, None], x, y)
            elif corrected:
                x, _ = mala_step(law, x, step=step, rng=ctx.rng)
            else:
                x = ula_step(law.score, x, step=step, rng=ctx.rng)
        u = np.sort(law.cdf(x))
        grid = np.arange(n) / n
        distance = float(max((u - grid).max(), (grid + 1 / n - u).max()))
        radius = dkw_radius(n, ctx.level)
        message = f"sup-distance {distance:.4f} of the CDF after 20 steps of size {step:g}"
        return certified(distance, radius, 0.03, ctx, n=n, message=message)

    return check


def _conventions(factor: float) -> Check:
    def check(ctx: Context) -> Evidence:
        law = tilted_gaussian()
        rng = ctx.rng
        x, z, d = draw(law, 200, rng=rng), rng.standard_normal((200, 3)), 0.07
        h = factor * d
        one = x + d * law.score(x) + np.sqrt(2 * d) * z
        other = x + (h / 2) * law.score(x) + np.sqrt(h) * z
        return agreement(
            one,
            other,
            bound=32 * EPS * float(np.abs(one).max()),
            tolerance=1e-10,
            message="one step in each convention, the same noise",
        )

    return check


CLAIMS: tuple[Claim, ...] = (
    _exactness("L4", r"$x + d\,s(x) + \sqrt{2d}\,z$", r"$v / (1 - d/(2v))$", ("002",), step=0.1),
    _exactness(
        "L5", r"$x + \frac{h}{2} s(x) + \sqrt{h}\,z$", r"$v / (1 - h/(4v))$", ("003",), step=0.05
    ),
    Claim(
        "L6",
        r"for small steps the chain $x + \frac{h}{2} s + \sqrt{h} z$ samples $p$ approximately; too large a step "
        r"biases it or makes it diverge",
        checks={
            "small": _small_step(1.0),
            "bias": _variance_of_chain(0.1, _ula_variance, 1e-9),
            "threshold": _threshold(4.0),
            "diverges": _diverges(0.6),
        },
        mutants={
            "small": [
                named(_small_step(500.0), "large-step"),
                named(
                    _variance_of_chain(1e-4, _target_variance, 1e-3, spread=1.01),
                    "noise-times-1.01",
                ),
            ],
            "bias": [
                named(_variance_of_chain(0.1, lambda v, d: v / (1 - d / v), 1e-9), "bias-doubled"),
                named(_variance_of_chain(0.1, lambda v, d: v + d / 2, 1e-9), "first-order-only"),
            ],
            "threshold": [
                named(_threshold(2.0), "other-convention"),
                named(_threshold(8.0), "doubled"),
            ],
            "diverges": [
                named(_diverges(0.3), "step-below-the-threshold"),
                named(_diverges(0.53), "step-just-below-the-threshold"),
            ],
        },
        source=("000",),
        assumptions=(
            "shown on a tilted Gaussian; 'approximately' means a variance within 0.1 % at h = 2e-4",
            "'too large' means h = 0.2 for the bias and h = 0.6 for divergence",
        ),
        finding=lambda evidence: (
            "For a Gaussian the stationary variance along a direction of variance v is v / (1 - h/(4v)), and "
            f"the chain is stable for h < 4 min v: {evidence['threshold'].message}."
        ),
        role="printed",
        group="ledger",
    ),
    Claim(
        "L7",
        r"a Metropolis-Hastings correction leaves $p$ exactly stationary",
        checks={"balance": _balance(mala_log_ratio), "draws": _invariance(True)},
        mutants={
            "balance": [
                named(_balance(_metropolis_only), "proposal-left-out"),
                named(_balance(_wrong_scale), "proposal-of-another-step"),
            ],
            "draws": [
                named(_invariance(False, n=20_000), "no-correction"),
                named(_invariance(True, 0.3, _metropolis_only, 20_000), "proposal-left-out"),
            ],
        },
        source=("000",),
        assumptions=("detailed balance on a mixture in the plane; draws on one on the line",),
        finding=lambda evidence: (
            f"Flows balance to {evidence['balance'].value:.1g} pair by pair, at any step. The ratio needs the density "
            r"of the proposal, $x + d\,s(x) + \sqrt{2d}\,z$, both ways, since its drift depends on where it starts."
        ),
        role="printed",
        group="ledger",
    ),
    Claim(
        "L11",
        r"the step conventions $(d, \sqrt{2d})$ and $(h/2, \sqrt{h})$ are one scheme, $h = 2d$",
        checks={"step": _conventions(2.0)},
        mutants={
            "step": [named(_conventions(1.0), "h-is-d"), named(_conventions(0.5), "h-is-half-d")]
        },
        source=("000", "001", "004"),
        assumptions=("the same noise is used in both",),
        role="printed",
        group="ledger",
    ),
)
