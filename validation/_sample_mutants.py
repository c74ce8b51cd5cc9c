"""Mutants of the check of samples: draws already obtained, corrupted by more than the check may overlook.

A direction is shifted or stretched, a label loses or gains weight, rows are repeated, each by the tolerance and twice
the smallest excess that is seen; the corrupted numbers go through the same statistics. Nothing is drawn
again and user code is not called.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import special

from ..numerics import e_processes as ep
from ..numerics.effects import CLIP, Effect, EffectSums, View
from ..numerics.ties import TieCounter
from ..theory.protocols import Vector
from .evidence import Outcome
from .verdict import Mutant

_POWER = -float(special.ndtri(1e-4))
_LARGEST = {"mean": CLIP - 1, "variance": 8.0}  #: clipping hides what is larger


def bounded_mutants(
    sums: EffectSums,
    column: Vector,
    effects: list[Effect],
    *,
    level: float,
    tolerance: float,
    refuted: bool,
) -> list[Mutant]:
    """Mean, scale and weight corrupted, judged by the supporting machine.

    Args:
        sums: running sums of the draws.
        column: first normal of each draw, ``(n,)``; empty for laws of atoms.
        effects: families as measured on the draws.
        level: level of the look.
        tolerance: allowed size of effects.
        refuted: whether the draws were refuted already; corrupting one direction leaves the others as they are.
    """
    seen = {e.name: e.detectable for e in effects}
    out = []

    def judge(name: str, size: float, largest: float, wrong: Callable[[], EffectSums]) -> None:
        if size > largest:
            out.append(_weak(name, size, largest))
            return
        high = any(e.low > tolerance for e in wrong().effects(level, tolerance))
        outcome = Outcome.REFUTED if high or refuted else Outcome.SUPPORTED
        out.append(
            Mutant(name=name, outcome=outcome, check="effects", message=f"corrupted by {size:.3g}")
        )

    def one(z: Vector) -> EffectSums:
        part = EffectSums(np.ones(1), 1, error=sums.error, members=sums.members)
        part.update(View(np.zeros(len(z), dtype=np.int64), z[:, None], z[:, None]))
        return part

    if "mean" in seen:
        size = tolerance + 2 * seen["mean"]
        sign = 1.0 if column.mean() >= 0 else -1.0
        judge("shifted", size, _LARGEST["mean"], lambda: one(column + sign * size))
        stretch = tolerance + 2 * seen["variance"]
        now = float(np.mean(column**2))
        factor = math.sqrt((1 + stretch) / min(now, 1.0)) if now > 0 else 1.0
        judge("stretched", stretch, _LARGEST["variance"], lambda: one(column * factor))
    if "weights" in seen:
        size = tolerance + 2 * seen["weights"]
        counts = _reweighted(sums.counts, sums.weights, size)

        def moved() -> EffectSums:
            part = EffectSums(sums.weights, 0, error=sums.error, members=sums.members)
            part.n, part.counts = sums.n, counts
            return part

        judge("reweighted", size, _room(sums.weights), moved)
    return out


def repeated_mutant(rows: Vector) -> Mutant:
    """Each row twice: the counter of ties must find all of them."""
    counter = TieCounter(rows.shape[1])
    counter.update(np.repeat(rows, 2, axis=0))
    found = counter.ties().rows
    outcome = Outcome.REFUTED if found >= len(rows) else Outcome.SUPPORTED
    return Mutant(
        name="repeated", outcome=outcome, check="repeats", message=f"{found} repeats found"
    )


def exact_mutants(
    sums: EffectSums, column: Vector, *, families: int, level: float, penalty: float
) -> list[Mutant]:
    """Mean and weight corrupted by twice what the e-process sees; all other families count as zero.

    Args:
        sums: running sums of the draws.
        column: first normal of each draw.
        families: number of families in the average.
        level: level of the test.
        penalty: logarithm by which a numerical density divides the e-value.
    """
    needed = -math.log(level) + math.log(families) + penalty
    n, out = sums.n, []

    def add(name: str, size: float, largest: float, log_e: Callable[[], float]) -> None:
        if not size <= largest:
            out.append(_weak(name, size, largest))
            return
        said = log_e()
        outcome = Outcome.REFUTED if said >= needed else Outcome.UNDECIDED
        text = f"corrupted by {size:.3g}: log10 e {(said - math.log(families)) / math.log(10):.1f}"
        out.append(Mutant(name=name, outcome=outcome, check="exact", message=text))

    if len(column):
        total = float(column.sum())
        size = 2 * exact_shift(n, sums.dim, needed)
        away = abs(total) + n * size
        add("shifted", size, math.inf, lambda: _shift_e(away, n, sums.dim))
    if len(sums.weights) > 1:
        size = 2 * exact_weight(n, sums.weights, needed)
        counts = _reweighted(sums.counts, sums.weights, size)
        add(
            "reweighted", size, _room(sums.weights), lambda: float(ep.labels(counts, sums.weights))
        )
    return out


def exact_shift(n: int, dim: int, needed: float) -> float:
    """Smallest shift of one direction that the family ``means`` refutes with probability 1 - 1e-4."""
    reach = needed + math.log(2)
    return _first(lambda s: _shift_e(n * s - _POWER * math.sqrt(n), n, dim) >= reach, top=1e3)


def exact_weight(n: int, weights: Vector, needed: float) -> float:
    """Smallest change of one weight that the family ``labels`` refutes with probability 1 - 1e-4."""

    def seen(size: float) -> bool:
        k = int(np.argmax(weights))
        down = weights[k] >= size
        spread = _POWER * math.sqrt(weights[k] * (1 - weights[k]) / n) if down else 0.0
        counts = _reweighted(n * weights, weights, max(size - spread, 0.0))
        return float(ep.labels(counts, weights)) >= needed

    return _first(seen, top=1.0)


def _shift_e(total: float, n: int, dim: int) -> float:
    sums = np.zeros(dim)
    sums[0] = max(total, 0.0)
    return float(np.logaddexp(*ep.means(sums, n)) - math.log(2))


def _first(seen: Callable[[float], bool], *, top: float) -> float:
    if not seen(top):
        return math.inf
    low, high = 0.0, top
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high


def _room(weights: Vector) -> float:
    """Largest change that one weight can suffer."""
    return max(float(weights.max()), 1 - float(weights.min()))


def _reweighted(counts: Vector, weights: Vector, size: float) -> Vector:
    """Counts in which one label is off by ``size``: the heaviest loses, or else the lightest gains."""
    n = counts.sum()
    down = weights.max() >= size
    k = int(np.argmax(weights)) if down else int(np.argmin(weights))
    target = n * (weights[k] - size if down else min(weights[k] + size, 1.0))
    # Whatever the draws lost already stays lost.
    target = min(target, counts[k]) if down else max(target, counts[k])
    rest = np.delete(counts, k)
    share = np.delete(weights, k) if rest.sum() == 0 else rest
    out = np.insert((n - target) * share / max(share.sum(), 1e-300), k, target)
    return np.rint(np.asarray(out, dtype=np.float64))


def _weak(name: str, size: float, largest: float) -> Mutant:
    return Mutant(
        name=name,
        outcome=Outcome.UNDECIDED,
        check="effects",
        underpowered=True,
        message=f"n too small: only defects of {size:.3g} are sure to be seen, and {largest:.3g} is the largest",
    )
