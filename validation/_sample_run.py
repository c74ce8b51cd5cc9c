"""One stream of draws through both machines, batch by batch, until it is decided or ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..numerics.e_processes import rare_ceiling
from ..numerics.effects import Effect, EffectSums
from ..numerics.gaussianise import Gaussianiser
from ..numerics.goodness import RefutingMachine
from ..numerics.rng import substream
from ..numerics.ties import TieCounter, Ties
from ..numerics.views import Directions, Sketch
from ..theory.empirical import PointMasses
from ..theory.protocols import Vector

LOOKS = ((1 / 8, 0.1), (1 / 3, 0.1), (1.0, 0.79))  #: part of the draws, share of the level
_REPEATS = 0.01  #: share of the level spent on repeated draws, over all looks
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

    def __post_init__(self) -> None:
        weights, d = self.shape.weights, self.shape.dim
        self.rng = substream(self.seed, "labels")
        self.directions = Directions.drawn(d, substream(self.seed, "directions"))
        self.sums = EffectSums(weights, d, error=self.shape.error)
        self.refuting = RefutingMachine(weights, d, error=self.shape.error, frame=self.shape.frame)
        # A law of atoms repeats its draws by right.
        atoms = isinstance(self.target, PointMasses)
        self.ties = None if atoms else self.counter()
        self.sketch = Sketch()
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
            self.add(x, single)
            if k in looks:
                self.looked, self.level = self.n, looks[k] * self.false_alarm
                self.effects = self.sums.effects(self.level, self.tolerance)
            if self._decided(looked=k in looks):
                return

    def counter(self) -> TieCounter:
        """A counter of ties that holds draws against the law at the precision of this stream."""
        return TieCounter(
            int(self.target.dim), getattr(self.target, "log_prob", None), single=self.single
        )

    def add(self, x: Vector, single: bool) -> None:
        """Adds one batch ``(n, d)``; the refuting machine looks."""
        if not len(self.rows):
            self.rows = x
        self.single = self.single or single
        if self.ties is not None:
            self.ties.said_single = self.single
            self.ties.update(x)
            self.refuting.others = self.ties.log_e()
        step = max(64, _CELLS // (self.shape.dim + self.directions.vectors.shape[1] + 1))
        for i in range(0, len(x), step):
            view = self.directions.view(self.shape(x[i : i + step], rng=self.rng))
            self.sums.update(view)
            self.refuting.add(view)
            if self.shape.dim:
                self.sketch.add(view.z[:, 0])
        self.refuting.look()
        self.n += len(x)

    @property
    def tied(self) -> bool:
        """Whether ties alone refute exactness."""
        machine = self.refuting
        logs = [v + machine.share(name) for name, v in machine.others.items()]
        return bool(logs) and max(logs) >= -np.log(self.false_alarm)

    @property
    def repeats_level(self) -> float:
        """Level at which repeated draws are judged at one look."""
        return self.false_alarm * _REPEATS / len(LOOKS)

    @property
    def repeated_share(self) -> float:
        """Share of draws that repeat an earlier one, beyond what exact draws may."""
        return 0.0 if self.ties is None else excess_share(self.ties, self.repeats_level)

    def found(self) -> Ties | None:
        """Which draws repeat."""
        return None if self.ties is None else self.ties.ties()

    def _decided(self, *, looked: bool) -> bool:
        if self.exact:
            return self.refuting.refuted(self.false_alarm)
        if not looked:
            return False
        within = all(e.high <= self.tolerance for e in self.effects)
        beyond = any(e.low > self.tolerance for e in self.effects)
        if beyond or self.repeated_share > self.tolerance:
            return True
        # A look that decides must also be able to show a defect in every family that can have one.
        return within and all(
            e.sees_mutants(self.tolerance) for e in self.effects if e.largest > self.tolerance
        )


def excess_share(ties: TieCounter, level: float) -> float:
    """Share of repeated draws beyond the number that exact ones reach with probability ``level``."""
    beyond = max(ties.rows - rare_ceiling(ties.expected, level), 0)
    return beyond / ties.rows * ties.repeats / ties.n if beyond else 0.0
