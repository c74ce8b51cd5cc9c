"""Ledger, how large scores and regression targets are: O16 and O24."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np

from ...numerics.estimate import Estimate, exact_estimate
from ...numerics.objectives import ESM
from ...numerics.objectives_denoising import DSM
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .averages import KURTOSIS, TOLERANCE, drawn_mean, grid_means, hull, largest, ratio, shown
from .equivalence import posterior_trace
from .fields import zero
from .grams import LAWS, noised
from .laws import skewed_8d
from .tools import named

RANGE = (
    0.01,
    0.05,
    0.2,
    1.0,
    5.0,
    50.0,
)  #: noise levels from far below the data's scale to far above
SPAN = "sigma from 0.01 to 50, on skewed mixtures in one, two and eight dimensions"


@cache
def information(dim: int, std: float) -> Estimate:
    """``E|grad log q_sigma|^2`` by quadrature, d <= 2."""
    law = LAWS[dim]().diffuse(1.0, std**2)
    return grid_means(
        lambda x: ((law.score(x) ** 2).sum(1) * np.exp(law.log_prob(x)))[:, None], law
    )[0]


def drawn_information(std: float, ctx: Context, pieces: int) -> Estimate:
    """The same in eight dimensions on draws."""
    law = skewed_8d().diffuse(1.0, std**2)
    return drawn_mean(lambda x: (law.score(x) ** 2).sum(1), ESM(law), ctx, pieces=pieces, most=0)


def widest(values: list[Estimate]) -> Estimate:
    """Largest over smallest of positive numbers."""
    return ratio(hull(values, max), replace(hull(values, min), n=0))


def _chain(which: str) -> Check:
    """Largest ``|log2|`` of the ratio of two of the three quantities said to be about equal.

    ``energy`` is ``E|s|^2`` at the optimum, ``printed`` ``E|x~ - x|^2 / sigma^2 = D``, ``root`` ``sqrt(D) / sigma``,
    ``square`` ``D / sigma^2``.
    """

    def check(ctx: Context) -> Evidence:
        first, second = which.split("/")
        sizes, worst, where = [], 0.0, ""
        for dim in (*LAWS, 8):
            for std in RANGE:
                values = {
                    "printed": lambda d=dim, s=std: exact_estimate(float(d)),
                    "root": lambda d=dim, s=std: exact_estimate(math.sqrt(d) / s),
                    "square": lambda d=dim, s=std: exact_estimate(d / s**2),
                    "energy": lambda d=dim, s=std: (
                        information(d, s) if d < 8 else drawn_information(s, ctx, len(RANGE))
                    ),
                }
                r = ratio(values[first](), values[second]())
                ends = math.log2(r.low) if r.low > 0 else -math.inf, math.log2(r.high)
                low = 0.0 if ends[0] <= 0 <= ends[1] else min(map(abs, ends))
                size, high = abs(math.log2(r.value)), max(map(abs, ends))
                width = high - low if math.isfinite(high) else math.inf
                sizes.append(Estimate(size, low, high, r.level, r.n, r.kind, width))
                if size >= worst:
                    worst, where = size, f"{r.value:.4g} at D = {dim}, sigma = {std:g}"
        message = f"{first} over {second} is {where}; |log2|"
        return shown(hull(sizes, max), (0.0, 1.0), ctx, message)

    return check


def _moments(kind: str, power: float) -> Check:
    """``E|grad log q(x~|x)|^2`` (or with the posterior's share) against ``D / sigma^power``, relative."""

    def check(ctx: Context) -> Evidence:
        rests = []
        for dim in LAWS:
            for std in (0.3, 0.7, 1.5):
                g = noised(dim, std)
                if kind == "target":
                    found = g.square({"target": 1.0})
                else:
                    found = information(dim, std) + posterior_trace(dim, std) * std**-4
                rests.append(found * (std**2 / dim) - std ** (2 - power))
        message = {
            "target": "E|grad log q(x~|x)|^2 against D / sigma^2, relative",
            "both": "E|grad log q|^2 + E tr Cov[x|x~] / sigma^4 against D / sigma^2, relative",
        }[kind]
        return largest(rests, 1.0, TOLERANCE, ctx, message)

    return check


def _drawn_target(power: float) -> Check:
    """The second moment of the target of the library's own loss on draws: its value at ``s = 0``."""

    def check(ctx: Context) -> Evidence:
        rests = []
        for std in (0.05, 1.0, 20.0):
            loss = DSM(skewed_8d(), 1.0, std**2, factor=1.0)
            found = drawn_mean(lambda *a, f=loss: f.terms(zero(), *a), loss, ctx, pieces=3)
            rests.append(found * (std**2 / 8) - std ** (2 - power))
        message = "E|grad log q(x~|x)|^2 against D / sigma^2, relative, d = 8"
        return largest(rests, 1.0, 0.05, ctx, message)

    return check


def target_claim(id: str, statement: str) -> Claim:
    """What holds of the size of the regression target and of the score."""
    return Claim(
        id,
        statement,
        checks={
            "target": _moments("target", 2.0),
            "score": _moments("both", 2.0),
            "draws": _drawn_target(2.0),
        },
        mutants={
            "target": [named(_moments("target", 1.0), "one-over-sigma")],
            "score": [
                named(_moments("both", 1.0), "one-over-sigma"),
                named(_moments("both", 0.0), "no-sigma"),
            ],
            "draws": [named(_drawn_target(1.0), "one-over-sigma")],
        },
        assumptions=(
            "sigma = 0.3, 0.7, 1.5 in one and two dimensions; 0.05, 1, 20 in eight",
            KURTOSIS,
        ),
        group="ledger",
    )


def _sixteenth() -> Claim:
    return Claim(
        "O16",
        r"$E|s(\cdot, i)|^2 \approx \frac{1}{\sigma_i^2} E|\tilde x - x|^2 \approx \sqrt D/\sigma_i$, within a "
        r"factor 2 for all $\sigma$ and $D$, so proportional to $1/\sigma_i$",
        checks={
            "first": _chain("energy/printed"),
            "second": _chain("printed/root"),
            "ends": _chain("energy/root"),
        },
        mutants={
            "first": [named(_chain("energy/square"), "square-of-the-deviation")],
            "second": [named(_chain("root/square"), "root-against-square")],
            "ends": [named(_chain("square/root"), "square-for-the-score")],
        },
        source=("001",),
        assumptions=(
            SPAN,
            "the score is the optimal one; 'about': |log2 of the ratio| at most 1",
            KURTOSIS,
        ),
        finding=lambda e: f"{e['first'].message}; {e['second'].message}; {e['ends'].message}.",
        role="printed",
        group="ledger",
        correction=target_claim(
            "O16",
            r"$E|\nabla\log q(\tilde x \mid x)|^2 = \sigma^{-4} E|\tilde x - x|^2 = D/\sigma^2$ for every "
            r"$\sigma$ and $D$; the optimal score has $E|s|^2 = D/\sigma^2 - \sigma^{-4} "
            r"E\,\mathrm{tr}\,\mathrm{Cov}[x \mid \tilde x]$",
        ),
    )


def _constancy(power: float, drawn: bool, target: bool = False) -> Check:
    """Largest over smallest ``sigma^power rms|grad log q_sigma|`` over the range of levels."""

    def check(ctx: Context) -> Evidence:
        pairs, squares, texts = ((8,) if drawn else tuple(LAWS)), [], []
        for dim in pairs:
            values = []
            for std in RANGE:
                size = drawn_information(std, ctx, len(RANGE)) if drawn else information(dim, std)
                values.append(size * std ** (2 * power))
            squares.append(widest(values))
            ends = math.sqrt(values[0].value), math.sqrt(values[-1].value)
            texts.append(f"from {ends[0]:.4g} to {ends[1]:.4g} (D = {dim})")
        worst = hull(squares, max)
        value, low, high = (math.sqrt(v) for v in (worst.value, worst.low, worst.high))
        root = Estimate(
            value, low, high, worst.level, worst.n, worst.kind, high - low, worst.assumption
        )
        message = (
            f"sigma^{power:g} rms|grad log q_sigma| goes {', '.join(texts)}; largest over smallest"
        )
        return shown(root, (0.0, 2.0), ctx, message)

    return check


def _twenty_fourth() -> Claim:
    return Claim(
        "O24",
        r"the norm of $\nabla\log p_\sigma$ is proportional to $1/\sigma$",
        checks={"quadrature": _constancy(1.0, False), "draws": _constancy(1.0, True)},
        mutants={
            "quadrature": [
                named(_constancy(2.0, False), "one-over-sigma-squared"),
                named(_constancy(0.0, False), "constant"),
            ],
            "draws": [named(_constancy(0.0, True), "constant")],
        },
        source=("000",),
        assumptions=(
            SPAN,
            "root mean square norm; 'proportional': sigma times it within a factor 2",
            KURTOSIS,
        ),
        finding=lambda e: (
            f"Between sigma = {RANGE[0]:g} and {RANGE[-1]:g} {e['quadrature'].message}; it would be constant."
        ),
        role="printed",
        group="ledger",
        correction=target_claim(
            "O24",
            r"the root mean square norm of $\nabla\log q(\tilde x \mid x)$ is exactly $\sqrt D/\sigma$; that of "
            r"$\nabla\log q_\sigma$ is $(D/\sigma^2 - \sigma^{-4} "
            r"E\,\mathrm{tr}\,\mathrm{Cov}[x \mid \tilde x])^{1/2}$",
        ),
    )


CLAIMS: tuple[Claim, ...] = (_sixteenth(), _twenty_fourth())
