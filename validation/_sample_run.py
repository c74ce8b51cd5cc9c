"""One stream of draws through both machines, batch by batch, until it is decided or ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..numerics.effects import Directions, Effect, EffectSums
from ..numerics.gaussianise import Gaussianiser
from ..numerics.goodness import RefutingMachine
from ..numerics.rng import draw as draw_law
from ..numerics.rng import substream
from ..numerics.ties import TieCounter, Ties
from ..theory.empirical import PointMasses
from ..theory.protocols import Vector

LOOKS = ((1 / 8, 0.1), (1 / 3, 0.1), (1.0, 0.8))  #: part of the draws, share of the level
_CELLS = 1 << 19  #: numbers handled at a time


@dataclass
class Batches:
    """Where draws come from: ``sizes`` of the calls and the function that makes them."""

    sizes: list[int]
    make: Callable[[int, int], tuple[Vector, bool]]


@dataclass
class Run:
    """One stream of draws through both machines."""

    shape: Gaussianiser
    target: Any
    tolerance: float
    exact: bool
    false_alarm: float
    seed: int
    single: bool
    n: int = 0
    effects: list[Effect] = field(default_factory=list)
    looked: int = 0  #: draws at the last look of the supporting machine
    level: float = 0.0  #: level of that look
    repeats: Ties | None = None
    expected: int = 0  #: rows that repeat among as many exact draws of the same precision

    def __post_init__(self) -> None:
        weights, d = self.shape.weights, self.shape.dim
        self.rng = substream(self.seed, "labels")
        self.directions = Directions.drawn(d, substream(self.seed, "directions"))
        self.sums = EffectSums(weights, d, error=self.shape.error)
        self.refuting = RefutingMachine(weights, d, error=self.shape.error)
        # A law of atoms repeats its draws by right.
        atoms = isinstance(self.target, PointMasses)
        self.ties = None if atoms else TieCounter(int(self.target.dim))
        self.column: list[Vector] = []
        self.rows: Vector = np.zeros((0, 1))

    def go(self, batches: Batches) -> None:
        """Reads batches until decided or until they end."""
        ends = np.cumsum(batches.sizes)
        looks: dict[int, float] = {}
        for part, share in LOOKS:
            k = int(np.searchsorted(ends, part * ends[-1] * (1 - 1e-9)))
            looks[k] = looks.get(k, 0.0) + share
        for k, size in enumerate(batches.sizes):
            x, single = batches.make(k, size)
            self.single = self.single or single
            self._add(x)
            if k in looks or k % 4 == 0:
                self._count_ties()
            if k in looks:
                self.looked, self.level = self.n, looks[k] * self.false_alarm
                self.effects = self.sums.effects(self.level, self.tolerance)
            if self._decided(looked=k in looks):
                return

    def _add(self, x: Vector) -> None:
        if not len(self.rows):
            self.rows = x
        if self.ties is not None:
            self.ties.update(x)
        step = max(64, _CELLS // (self.shape.dim + self.directions.vectors.shape[1] + 1))
        for i in range(0, len(x), step):
            view = self.directions.view(self.shape(x[i : i + step], rng=self.rng))
            self.sums.update(view)
            self.refuting.add(view)
            if self.shape.dim:
                self.column.append(view.z[:, 0].copy())
        self.refuting.look()
        self.n += len(x)

    def _count_ties(self) -> None:
        if self.ties is None:
            return
        found = self.ties.ties()
        if found.rows and (self.single or self.ties.single):
            exact = draw_law(self.target, self.n, rng=substream(self.seed, "ties"))
            reference = TieCounter(exact.shape[1])
            reference.update(np.asarray(exact).astype(np.float32).astype(np.float64))
            self.expected = reference.ties().rows
        self.repeats = found

    @property
    def tied(self) -> bool:
        """Whether draws repeat in a way that exact draws never do."""
        found = self.repeats
        if found is None:
            return False
        # One uniform of 53 bits a draw ties once in a million runs; twice never.
        least = 2 if int(self.target.dim) == 1 else 1
        coarse = self.single or (self.ties is not None and self.ties.single)
        if coarse:
            least = 10 * (self.expected + 10)
        return found.rows >= least or found.heap is not None

    @property
    def repeated_share(self) -> float:
        """Share of draws that repeat an earlier one, beyond what rounding explains."""
        return max(self.repeats.rows - self.expected, 0) / self.n if self.repeats else 0.0

    def _decided(self, *, looked: bool) -> bool:
        if self.exact:
            return self.tied or self.refuting.refuted(self.false_alarm)
        if not looked:
            return False
        within = all(e.high <= self.tolerance for e in self.effects)
        beyond = any(e.low > self.tolerance for e in self.effects)
        return within or beyond or self.repeated_share > self.tolerance
