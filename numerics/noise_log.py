"""What a sampler drew in one call, and noise that is designed instead of random.

Row i of a batch gets a unit impulse in the i-th noise coordinate: if the sampler is an affine map of its noise,
one call returns the whole map. The first row gets no noise, the last rows random combinations, on which
superposition is checked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..theory.protocols import Vector

#: Combinations at 4.5 standard deviations come with both signs: one-sided clipping shows in one of the two.
FAR = 4.5
_PAIRS = 8
NUDGE = 2.0**-27  #: relative, far below what float32 resolves and far above float64
#: (which random vector, factor): two of ordinary size, pairs far out, and two nudged copies.
COMBINATIONS = (
    (0, 1.0),
    (1, 1.0),
    *((2 + k, sign * FAR) for k in range(_PAIRS) for sign in (1.0, -1.0)),
    (2, FAR * (1 + NUDGE)),
    (3, FAR * (1 + NUDGE)),
)
NUDGED = ((2, len(COMBINATIONS) - 2), (4, len(COMBINATIONS) - 1))  #: (row, its nudged copy)
_VECTORS = 2 + _PAIRS
_PICKED = np.array([k for k, _ in COMBINATIONS])
_FACTORS = np.array([[factor] for _, factor in COMBINATIONS])
_KEPT = 1 << 22  #: numbers of recorded noise that are kept


@dataclass(frozen=True)
class Plan:
    """Which row gets an impulse in which coordinate.

    Attributes:
        rows: rows of the batch.
        low: first noise coordinate of this batch.
        high: one beyond the last.
        total: coordinates in all.
        seed: entropy of the combinations, the same for all batches of one map.
        thorough: torch is listened to at the level of dispatch, which finds every draw and costs time.
    """

    rows: int
    low: int
    high: int
    total: int
    seed: int
    thorough: bool = False

    @property
    def impulses(self) -> slice:
        """Rows with one impulse each."""
        return slice(1, 1 + self.high - self.low)

    @property
    def combinations(self) -> slice:
        """Rows with random combinations; rows after them repeat the first."""
        first = 1 + self.high - self.low
        return slice(first, first + len(COMBINATIONS))


def rows_for(impulses: int) -> int:
    """Rows of a batch with so many impulses."""
    return 1 + impulses + len(COMBINATIONS)


@dataclass
class Drawn:
    """One draw of normals.

    Attributes:
        axis: where the rows are.
        rest: shape of one row.
        start: whether it made the starting points.
        values: noise ``(rows, coordinates)`` of a recorded call, None beyond the memory that is kept.
    """

    axis: int
    rest: tuple[int, ...]
    start: bool
    values: Vector | None

    @property
    def coordinates(self) -> int:
        """Numbers a row."""
        return math.prod(self.rest)


@dataclass
class NoiseLog:
    """The draws of one call; with a plan it says what they shall be.

    Attributes:
        rows: rows of the batch.
        plan: None records what is drawn.
        draws: draws of normals, in order.
        others: randomness of other kinds, and draws without a clear axis of rows.
    """

    rows: int
    plan: Plan | None = None
    draws: list[Drawn] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    idle: bool = False  #: uniforms are drawn that nothing depends on
    start: bool = False
    heard: bool = False  #: whether something real was drawn
    quick: bool = False  #: whether draws may have passed unheard
    coordinates: int = 0  #: noise coordinates a row, so far
    _kept: int = 0

    @cached_property
    def combinations(self) -> Vector:
        """Noise of the rows of combinations, ``(., total)``."""
        assert self.plan is not None  # only designed calls have them
        rng = np.random.default_rng(self.plan.seed)
        return rng.standard_normal((_VECTORS, self.plan.total))[_PICKED] * _FACTORS

    def _add(self, drawn: Drawn) -> None:
        self.draws.append(drawn)
        self.coordinates += drawn.coordinates

    def other(self, what: str) -> None:
        """Notes randomness that is no draw of normals."""
        self.heard = True
        if not self.idle and what not in self.others:
            self.others.append(what)

    def wanted(self, shape: tuple[int, ...]) -> Vector | None:
        """Designed standard normals of a shape, or None where real ones shall be drawn."""
        if self.plan is None:
            return None
        axis = self._axis(shape)
        if axis is None:
            return None
        plan, rows = self.plan, self.rows
        rest = (*shape[:axis], *shape[axis + 1 :])
        size, offset = math.prod(rest), self.coordinates
        z = np.zeros((rows, size))
        first, last = max(plan.low, offset), min(plan.high, offset + size)
        if first < last:
            # One impulse a row, along a diagonal.
            diagonal = (1 + first - plan.low) * size + first - offset
            z.reshape(-1)[diagonal : diagonal + (last - first) * (size + 1) : size + 1] = 1.0
        if offset + size <= plan.total:  # a call that draws more is refused by whoever compares it
            z[plan.combinations] = self.combinations[:, offset : offset + size]
        self._add(Drawn(axis, rest, self.start, None))
        z = z.reshape((rows, *rest))
        return np.moveaxis(z, 0, axis) if axis else z

    def note(self, z: Vector) -> None:
        """Keeps normals that were drawn."""
        if self.plan is not None:  # they had no clear axis, which is noted
            return
        axis = self._axis(z.shape)
        if axis is None:
            return
        values = np.moveaxis(z, axis, 0)
        self._kept += values.size
        kept = self._kept <= _KEPT
        keep = values.reshape(self.rows, -1).astype(np.float64) if kept else None
        self._add(Drawn(axis, values.shape[1:], self.start, keep))

    def _axis(self, shape: tuple[int, ...]) -> int | None:
        axes = [k for k, size in enumerate(shape) if size == self.rows]
        # The first axis is the batch by convention; elsewhere it must be the only one of that length.
        if axes and (axes[0] == 0 or len(axes) == 1):
            return axes[0]
        self.other(
            f"normals of shape {tuple(map(int, shape))}, without one axis for the {self.rows} rows"
        )
        return None


def listener() -> NoiseLog | None:
    """The log that listens here, if any."""
    return _LISTENING.get()


_LISTENING: ContextVar[NoiseLog | None] = ContextVar("noise log", default=None)


@contextmanager
def listening(log: NoiseLog) -> Iterator[NoiseLog]:
    """Makes ``log`` known to :func:`drawing`."""
    token = _LISTENING.set(log)
    try:
        yield log
    finally:
        _LISTENING.reset(token)


@contextmanager
def drawing(*, start: bool, idle_uniforms: bool) -> Iterator[None]:
    """Tells a log, if one listens, what the draws inside are for.

    Args:
        start: they make starting points.
        idle_uniforms: uniforms are drawn, but the result does not depend on them.
    """
    log = _LISTENING.get()
    if log is None:
        yield
        return
    before = log.start, log.idle
    log.start, log.idle = start, idle_uniforms
    try:
        yield
    finally:
        log.start, log.idle = before
