"""Ledger, Langevin dynamics with many small steps: L12, what their number has to do with their size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...numerics.gaussian_law import Affine, EigenLaw, ula_affine
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report.pictures import listed
from .laws import tilted_gaussian
from .tools import EPS, agreement, named, number

STEP = 1e-6
NEAR = 0.01  #: W2 over the root of the trace of the covariance
Couplings = Mapping[str, Callable[[float], float]]
PRINTED: Couplings = {
    "step^-1/2": lambda h: h**-0.5,
    "1/step": lambda h: 1 / h,
    "step^-3/2": lambda h: h**-1.5,
    "step^-2": lambda h: h**-2.0,
}
GROWING: Couplings = {
    "log(1/step)^2 / step": lambda h: math.log(1 / h) ** 2 / h,
    "step^-3/2": lambda h: h**-1.5,
    "step^-2": lambda h: h**-2.0,
}
SHORT: Couplings = {"1/step": lambda h: 1 / h}


def power(move: Affine, n: int) -> Affine:
    """``n`` times the same affine step, by squaring."""
    one = np.ones_like(move.gain)
    out = Affine(one, 0 * one, 0 * one)
    while n:
        if n & 1:
            out = out.then(move)
        move, n = move.then(move), n >> 1
    return out


def _start(target: EigenLaw) -> EigenLaw:
    """``N(0, 0.04 I)``: narrow, and off the centre of the target."""
    return EigenLaw(0 * target.mean, np.full_like(target.variance, 0.04), target.vectors)


def distance(step: float, count: float, *, pull: float = 1.0, noise: float = 1.0) -> float:
    """Relative W2 to p after ``count`` steps ``x + step s + sqrt(2 step) z`` on a tilted Gaussian, exactly."""
    target = EigenLaw.of(tilted_gaussian())
    move = ula_affine(target, step=step)
    move = Affine(1 - pull * (1 - move.gain), pull * move.shift, noise * move.noise)
    law = _start(target).push(power(move, round(count)))
    return law.w2(target) / math.sqrt(float(target.variance.sum()))


def _coupled(couplings: Couplings, *, pull: float = 1.0, noise: float = 1.0) -> Check:
    """Largest distance to p, over couplings of number and step, at the smallest step."""

    def check(ctx: Context) -> Evidence:
        ends = {
            k: distance(STEP, count(STEP), pull=pull, noise=noise)
            for k, count in couplings.items()
        }
        worst = max(ends.values())
        text = ", ".join(f"{k} {value:.3g}" for k, value in ends.items())
        return number(
            worst,
            # a power of n of a rounded gain is off by n eps while it is not yet zero, n step up to some tens
            error=64 * EPS / STEP,
            allowed=(0.0, NEAR),
            n=sum(round(count(STEP)) for count in couplings.values()),
            message=f"W2 to p over the root of its variance at step {STEP:g}, by number of steps: {text}",
        )

    return check


def exact_square(step: float, count: int, bias: bool = True, discrete: bool = True) -> float:
    """The printed formula for W2^2 after ``count`` steps."""
    target = EigenLaw.of(tilted_gaussian())
    v, start = target.variance, _start(target)
    # log1p keeps the digits of 1 - step/v when the step is small
    kept = np.exp(count * np.log1p(-step / v)) if discrete else np.exp(-count * step / v)
    still = v / (1 - step / (2 * v)) if bias else v
    spread = still + kept**2 * (start.variance - still)
    off = kept * (start.mean - target.mean)
    return float((off**2 + (np.sqrt(spread) - np.sqrt(v)) ** 2).sum())


def _formula(**wrong: bool) -> Check:
    """The law carried step by step against the formula, relative."""

    def check(ctx: Context) -> Evidence:
        gaps = []
        size = float(EigenLaw.of(tilted_gaussian()).variance.sum())
        for step, count in ((0.02, 10), (0.02, 10**6), (1e-3, 3000), (1e-5, 40_000)):
            gaps.append(
                exact_square(step, count, **wrong) / (distance(step, count) ** 2 * size) - 1
            )
        return agreement(
            np.array(gaps),
            np.zeros(len(gaps)),
            # powers of rounded gains, and the difference of two roots close to each other
            bound=1e-7,
            tolerance=1e-5,
            message="W2^2 of the chain against the formula for four pairs of step and number, relative: largest gap "
            f"{max(map(abs, gaps)):.2g}",
        )

    return check


def best(count: float) -> tuple[float, float]:
    """The step with the smallest distance after ``count`` steps, and that distance."""
    widest = float(EigenLaw.of(tilted_gaussian()).variance.max())
    steps: Vector = widest / count * np.geomspace(1.0, 40.0, 120)
    found = [distance(float(h), count) for h in steps]
    k = int(np.argmin(found))
    return float(steps[k]), float(found[k])


def _best(exponent: float) -> Check:
    """``K^exponent / log K`` times the smallest distance after K steps: largest over smallest, K to 10^9."""

    def check(ctx: Context) -> Evidence:
        counts = [1e5, 1e7, 1e9]
        found = [best(k) for k in counts]
        scaled = [d * k**exponent / math.log(k) for (_, d), k in zip(found, counts, strict=True)]
        text = ", ".join(
            f"{d:.3g} at K = {k:.0e}" for (_, d), k in zip(found, counts, strict=True)
        )
        return number(
            max(scaled) / min(scaled),
            error=0.01,  # steps are tried three per cent apart, at a flat minimum
            allowed=(1.0 - 0.01, 1.5),
            n=360,
            message=f"smallest distance over all steps {text}; times K^{exponent:g} / log K it is "
            + ", ".join(f"{v:.3g}" for v in scaled),
        )

    return check


def _drawn(ctx: Context) -> Mapping[str, Any]:
    steps = np.geomspace(1e-6, 1e-2, 25)
    return {
        "kind": "lines",
        "title": "Distance to p as the step goes to zero",
        "alt": "With 1/step steps the distance stays, with fewer it is that of the start, with more it vanishes",
        "xlabel": "step",
        "ylabel": "W2, relative",
        "xscale": "log",
        "yscale": "log",
        "slopes": [1],
        "series": [
            {
                "label": f"{name} steps",
                "x": listed(steps),
                "y": listed(np.array([distance(float(h), count(float(h))) for h in steps])),
            }
            for name, count in PRINTED.items()
        ],
    }


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "L12",
        r"the chain $x + \Delta t\, s + \sqrt{2 \Delta t}\, z$ converges to $p$ as $\Delta t \to 0$ and the number of "
        r"steps $K \to \infty$",
        checks={"joint": _coupled(PRINTED)},
        mutants={
            "joint": [
                named(_coupled({"step^-2": PRINTED["step^-2"]}, noise=0.5), "noise-halved"),
                named(_coupled({"step^-2": PRINTED["step^-2"]}, pull=2.0), "score-doubled"),
            ]
        },
        source=("001",),
        assumptions=(
            r"a joint limit, as printed: every sequence with $\Delta t \to 0$ and $K \to \infty$",
            f"'converges': W2 below {NEAR:.0%} of the root of the trace of the covariance at step {STEP:g}; shown "
            "on a tilted Gaussian, started from a narrow law off its centre",
        ),
        finding=lambda e: (
            f"{e['joint'].message}. With K = 1/step the total time is one whatever the step, and the distance stays "
            "where the diffusion is at that time. Taken one after the other, first the number of steps and then the "
            "step, the limits do give p, by the formula of the correction."
        ),
        figure=_drawn,
        role="printed",
        group="ledger",
        correction=Claim(
            "L12",
            r"it converges if $\Delta t \to 0$ and $K \Delta t \to \infty$: for $\mathcal{N}(\mu, \Sigma)$, with "
            r"$r = (1 - \Delta t/v)^K$, $v_\infty = v/(1 - \Delta t/(2v))$ along an eigendirection of variance $v$, "
            r"$W_2^2 = \sum r^2 (m_0 - \mu)^2 + (\sqrt{v_\infty + r^2 (v_0 - v_\infty)} - \sqrt v)^2$; with the best "
            r"step it falls like $\log K / K$",
            checks={
                "coupled": _coupled(GROWING),
                "formula": _formula(),
                "best": _best(1.0),
            },
            mutants={
                "coupled": [
                    named(_coupled(SHORT), "total-time-one"),
                    named(_coupled(GROWING, noise=1.2), "noise-times-1.2"),
                ],
                "formula": [
                    named(_formula(bias=False), "without-the-bias"),
                    named(_formula(discrete=False), "decay-of-the-diffusion"),
                ],
                "best": [
                    named(_best(0.5), "one-over-root-K"),
                    named(_best(2.0), "one-over-K-squared"),
                ],
            },
            assumptions=(
                "a tilted Gaussian in three dimensions; the numbers of steps are "
                f"{', '.join(GROWING)}",
            ),
            group="ledger",
        ),
    ),
)
