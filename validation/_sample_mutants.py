"""Mutants of the check of samples: draws already obtained, corrupted by more than the check may overlook.

For every family of effects the draws are corrupted by the tolerance and twice the smallest excess that is seen, and
go through the same statistics; the mutant is refuted only if its own family sees it. Draws that are refuted already
would hide that: then exact draws of labels and normals are corrupted in their place. Nothing is drawn from
user code again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from ..numerics import e_processes as ep
from ..numerics.effects import (
    CLIP,
    Effect,
    EffectSums,
    cumulated_room,
    radius_effect,
    weight_room,
)
from ..numerics.goodness import RefutingMachine
from ..numerics.ties import TieCounter
from ..numerics.views import GRID, Sketch
from ..theory.protocols import Vector
from ._sample_run import excess_share
from .evidence import Outcome
from .verdict import Mutant

_ROWS = 1 << 16
_POWER = -float(special.ndtri(1e-4))
_NAMES = {
    "mean": "shifted",
    "variance": "stretched",
    "cdf": "mass-moved",
    "radius": "radius-shrunk",
    "beyond": "outliers",
    "neighbours": "paired",
    "weights": "reweighted",
    "cumulated": "carried-over",
}


@dataclass(frozen=True)
class Stream:
    """What mutants corrupt.

    Attributes:
        sums: running sums of the draws.
        column: the first normals of all draws; empty for laws of atoms.
    """

    sums: EffectSums
    column: Sketch

    def exact(self, rng: np.random.Generator) -> Stream:
        """As many exact labels, normals and squared lengths, for draws that are refuted already."""
        sums, n = self.sums, self.sums.n
        part = EffectSums(sums.weights, sums.dim, error=sums.error, members=sums.members)
        part.n, part.counts = n, rng.multinomial(n, sums.weights).astype(float)
        column = Sketch()
        if sums.dim:
            for start in range(0, n, _ROWS):
                column.add(rng.standard_normal(min(_ROWS, n - start)))
            part.replace(
                rng.multinomial(n, np.full(GRID, 1 / GRID)),
                rng.binomial(sums.pairs[1].astype(int), 0.5),
                sums.pairs[1],
            )
        return Stream(part, column)


def bounded_mutants(
    stream: Stream, effects: list[Effect], *, level: float, tolerance: float
) -> list[Mutant]:
    """Every family corrupted, judged by the supporting machine.

    Args:
        stream: draws, or exact ones in their place.
        effects: families as measured on the draws.
        level: level of the look.
        tolerance: allowed size of effects.
    """
    out = []
    for e in effects:
        size = tolerance + 2 * e.detectable
        if not e.sees_mutants(tolerance):
            out.append(_weak(e.name, size, e.largest))
            continue
        found = _corrupted(stream, e.name, size, level, tolerance)
        said = f"corrupted by {size:.3g}, seen as {found.value:.3g}, at least {found.low:.3g}"
        outcome = Outcome.REFUTED if found.low > tolerance else Outcome.SUPPORTED
        out.append(Mutant(name=_NAMES[e.name], outcome=outcome, check=e.name, message=said))
    return out


def _corrupted(stream: Stream, family: str, size: float, level: float, tolerance: float) -> Effect:
    """The family as measured on corrupted draws."""
    sums, z, counts = stream.sums, stream.column.values, stream.column.counts
    if family == "radius":
        at = (np.arange(GRID) + 0.5) / GRID
        values, moved = _moved(at, sums.radii, 0.5 * (1 - size), 0.5 / GRID, size)
        cell = np.minimum((values * GRID).astype(np.int64), GRID - 1)
        grid = np.bincount(cell, weights=moved, minlength=GRID).astype(np.float64)
        return radius_effect(grid, sums, level)
    if family in ("weights", "cumulated"):
        part = EffectSums(sums.weights, 0, error=sums.error, members=sums.members)
        shifted = _reweighted if family == "weights" else _carried_over
        part.n, part.counts = sums.n, shifted(sums.counts, sums.weights, size)
    else:
        pairs, n = sums.pairs, counts.sum()
        if family == "mean":
            z = z + math.copysign(size, float(np.clip(z, -CLIP, CLIP) @ counts))
        elif family == "variance":
            z = z * _stretch(float(np.minimum(z**2, CLIP**2) @ counts / n), size)
        elif family == "cdf":
            z, counts = _moved(z, counts, float(special.ndtri(0.5 * (1 - size))), -4.0, size)
        elif family == "beyond":
            z, counts = np.append(z, CLIP + 1.0), np.append(counts * (1 - size), size * n)
        else:
            pairs = _paired(pairs, size)
        part = EffectSums.weighted(z, counts, pairs, error=sums.error, members=sums.members)
    return next(e for e in part.effects(level, tolerance) if e.name == family)


def _stretch(now: float, size: float) -> float:
    """Factor that takes a mean square ``now`` to at least ``1 + size``."""
    return math.sqrt((1 + size) / min(now, 1.0)) if now > 0 else 1.0


def _moved(y: Vector, counts: Vector, end: float, to: float, size: float) -> tuple[Vector, Vector]:
    """Draws above the quantile ``end`` of ``(1 - size)/2`` carried to ``to`` below it, as many as make ``size``."""
    above = y > end
    total, there = counts.sum(), counts[above].sum()
    missing = min(max(0.5 * (1 + size) * total - (total - there), 0.0), there)
    left = np.where(above, counts * (1 - missing / max(there, 1.0)), counts)
    return np.append(y, to), np.append(left, missing)


def _paired(pairs: Vector, size: float) -> Vector:
    """Second draws of pairs given the sign of the first, until a share 1/2 + ``size`` of pairs agrees."""
    same, of = pairs
    return np.stack([np.maximum(same, np.ceil((0.5 + size) * of)), of])


def repeated_mutant(
    rows: Vector, counter: TieCounter, *, level: float, tolerance: float
) -> Mutant:
    """Each row so often that the share of copies exceeds the tolerance.

    Args:
        rows: draws, ``(n, d)``.
        counter: a fresh counter of ties.
        level: level at which a share of copies is judged.
        tolerance: allowed share.
    """
    times = int(2 / (1 - tolerance)) + 1
    counter.update(np.repeat(rows, times, axis=0))
    share = excess_share(counter, level)
    return Mutant(
        name="repeated",
        outcome=Outcome.REFUTED if share > tolerance else Outcome.SUPPORTED,
        check="repeats",
        message=f"each of {len(rows)} draws {times} times: a share {share:.3g} repeats",
    )


def exact_mutants(
    stream: Stream, ties: TieCounter | None, machine: RefutingMachine, *, level: float
) -> list[Mutant]:
    """Mean, weight and repeats corrupted by twice what the e-process sees; all other families count as zero.

    Args:
        stream: the draws.
        ties: a counter of rows that were repeated; None for laws of atoms.
        machine: the e-process.
        level: level of the test.
    """
    sums = stream.sums
    n, out = sums.n, []

    def add(
        name: str, size: float, largest: float, log_e: Callable[[], float], needed: float
    ) -> None:
        if not size <= largest:
            out.append(_weak(name, size, largest))
            return
        said = log_e() - needed - math.log(level)
        outcome = Outcome.REFUTED if said >= -math.log(level) else Outcome.UNDECIDED
        text = f"corrupted by {size:.3g}: log10 e {said / math.log(10):.1f}"
        out.append(Mutant(name=name, outcome=outcome, check="exact", message=text))

    if sums.dim:
        total = float(machine.sums[0])
        needed = price(machine, "means", level)
        size = 2 * exact_shift(n, sums.dim, needed)
        away = abs(total) + n * size
        add("shifted", size, math.inf, lambda: _shift_e(away, n, sums.dim), needed)
    if len(sums.weights) > 1:
        needed = price(machine, "labels", level)
        size = 2 * exact_weight(n, sums.weights, needed)
        counts = _reweighted(sums.counts, sums.weights, size)
        add(
            "reweighted",
            size,
            weight_room(sums.weights),
            lambda: _labels_e(counts, sums.weights),
            needed,
        )
    if ties is not None:
        copies = ties.rows / max(ties.n, 1)
        needed = price(machine, "repeats", level)
        add("repeated", copies, 1.0, lambda: ties.log_e()["repeats"], needed)
    return out


def price(machine: RefutingMachine, family: str, level: float) -> float:
    """``log E`` with which one family alone refutes: the level, its share, and the error of the map."""
    return -math.log(level) - machine.share(family) + machine.n * math.log1p(machine.error)


def exact_shift(n: int, dim: int, needed: float) -> float:
    """Smallest shift of one direction that the family ``means`` refutes with probability 1 - 1e-4."""
    return _first(lambda s: _shift_e(n * s - _POWER * math.sqrt(n), n, dim) >= needed, top=1e3)


def exact_weight(n: int, weights: Vector, needed: float) -> float:
    """Smallest change of one weight that the family ``labels`` refutes with probability 1 - 1e-4."""

    def seen(size: float) -> bool:
        k = int(np.argmax(weights))
        down = weights[k] >= size
        spread = _POWER * math.sqrt(weights[k] * (1 - weights[k]) / n) if down else 0.0
        counts = _reweighted(n * weights, weights, max(size - spread, 0.0))
        return _labels_e(counts, weights) >= needed

    return _first(seen, top=1.0)


def _shift_e(total: float, n: int, dim: int) -> float:
    sums = np.zeros(dim)
    sums[0] = max(total, 0.0)
    # one of at most three members of the family
    return ep.means(sums, n)[0] - math.log(3)


def _labels_e(counts: Vector, weights: Vector) -> float:
    # one of two members of the family
    return float(ep.labels(counts, weights)) - math.log(2)


def _first(seen: Callable[[float], bool], *, top: float) -> float:
    if not seen(top):
        return math.inf
    low, high = 0.0, top
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high


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


def _carried_over(counts: Vector, weights: Vector, size: float) -> Vector:
    """Counts in which the sum of the first weights that has the most room is off by ``size``."""
    n, k = counts.sum(), cumulated_room(weights)[1]
    truth, now = float(weights[:k].sum()), float(counts[:k].sum())
    # Whatever the draws lost or gained already stays so.
    target = min(n * (truth - size), now) if truth > 0.5 else max(n * (truth + size), now)
    parts = (counts[:k], weights[:k], target), (counts[k:], weights[k:], n - target)
    return np.rint(np.concatenate([_shared(c if c.sum() else w, m) for c, w, m in parts]))


def _shared(part: Vector, total: float) -> Vector:
    whole = float(part.sum())
    return part * (max(total, 0.0) / whole) if whole > 0 else part


def _weak(family: str, size: float, largest: float) -> Mutant:
    return Mutant(
        name=_NAMES.get(family, family),
        outcome=Outcome.UNDECIDED,
        check=family if family in _NAMES else "exact",
        underpowered=True,
        message=f"n too small: only defects of {size:.3g} are sure to be seen, and {largest:.3g} is the largest",
    )
