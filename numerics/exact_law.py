"""The exact output law of a sampler that is an affine map of its noise, read off without sampling.

With a Gaussian target the exact score is affine, so almost every sampler is

    x_0 = b + A z_T + sum_k G_k z_k,    z independent standard normals,

and its output is ``N(b, A A' + sum_k G_k G_k')``. Rows of a batch do not see each other: one unit impulse a row
returns the whole map in one call. Nothing is assumed: superposition is checked at 4.5 standard deviations, and
the map must predict an ordinary call, of another size and with real noise, row by row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..theory.arrays import host
from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Vector
from .designed_noise import tapped
from .distances import GaussianGap
from .noise_log import COMBINATIONS, FAR, NUDGE, NUDGED, NoiseLog, Plan, rows_for

MOST = 2_000_000_000  #: numbers in all rows together
_CELLS = 1 << 22  #: numbers in the rows of one call
_KEPT = 1 << 24  #: entries of a map that is kept, beyond its covariance
_ROWS = 37  #: of the ordinary call; no step count and no dimension, so that its axis is known

#: Relative departure from superposition: float64 stays below the first, float32 below the second.
_DOUBLE, _SINGLE = 1e-9, 1e-4
_DEAF = 0.3  #: share of the response to a nudge that is missing where numbers are float32


class Refused(Exception):
    """The exact law cannot be had; the message says why, for a report."""


@dataclass(frozen=True)
class Observed:
    """One call of a sampler: output ``(n, d)`` and what it drew."""

    output: Vector
    log: NoiseLog


#: ``(rows, plan) -> Observed``: one call of the sampler on designed noise.
Call = Callable[[int, Plan], Observed]


@dataclass(frozen=True)
class AffineLaw:
    """The output law ``N(offset, covariance)`` and the map that makes it.

    Attributes:
        offset: ``(d,)``, the output without noise, which is the mean.
        covariance: ``(d, d)``.
        defect: largest departure from superposition over all checks, in units of the output.
        single: whether numbers inside the sampler are float32.
        rows: rows of the batches that were spent.
        responses: the map, one noise coordinate a row, ``(k, d)``; None where it is too large to keep.
        draws: coordinates of every draw, and whether it made the starting points.
        compared: whether the map was held against an ordinary call; not where its noise is too much to keep.
    """

    offset: Vector
    covariance: Vector
    defect: float
    single: bool
    rows: int
    responses: Vector | None = None
    draws: tuple[tuple[int, bool], ...] = ()
    compared: bool = True

    @cached_property
    def start(self) -> Vector | None:
        """A, ``(d, k)``: response to the normals that the starting points are made of."""
        parts = self._parts(start=True)
        if parts is None:
            return None
        return np.concatenate([np.zeros((len(self.offset), 0)), *parts], axis=1)

    @cached_property
    def gains(self) -> tuple[Vector, ...] | None:
        """G_k, ``(d, .)``, one a draw on the way."""
        parts = self._parts(start=False)
        return None if parts is None else tuple(parts)

    def _parts(self, *, start: bool) -> list[Vector] | None:
        if self.responses is None:
            return None
        ends = np.cumsum([0, *(size for size, _ in self.draws)])
        return [
            self.responses[ends[k] : ends[k + 1]].T
            for k, (_, made_start) in enumerate(self.draws)
            if made_start is start
        ]

    @property
    def mean(self) -> Vector:
        """Mean of the output, ``(d,)``."""
        return self.offset

    @property
    def radius(self) -> float:
        """Bound on the error of W2 that rounding makes, in units of the output.

        An error matrix ``E`` of the map moves W2 by at most ``|E|_F``; combinations at 4.5 standard deviations
        show ``|E z|``, whose root mean square over such z is ``4.5 |E|_F`` and at most ``sqrt(d)`` times the largest
        coordinate, the defect. Taken twice, and the rounding of sums of squares besides.
        """
        d = len(self.offset)
        size = float(np.abs(self.offset).max() + np.sqrt(np.trace(self.covariance)))
        return float(2 * np.sqrt(d) * self.defect / FAR + 16 * d * np.finfo(float).eps * size)

    def gap(self, reference: GaussianMixture) -> GaussianGap:
        """W2, KL and signed errors by eigen-direction against a Gaussian."""
        return GaussianGap.between(self.offset, self.covariance, reference)


def probe(
    sampler: Callable[..., Any], problem: Any, steps: int, *, rng: Any, seed: int = 0
) -> AffineLaw:
    """The exact law of ``sampler(problem, n, steps=..., rng=...)``.

    Args:
        sampler: as for ``check_sampler``.
        problem: with a Gaussian data law, so that scores are affine.
        steps: number of steps.
        rng: numpy generator, or torch generator for a sampler on tensors.
        seed: entropy of the combinations.

    Raises:
        Refused: other randomness, rows that depend on each other, a map that is not affine, too large a map.
    """

    def run(rows: int, plan: Plan | None) -> Observed:
        log = NoiseLog(rows, plan)
        with tapped(rng, log) as given:
            out = sampler(problem, rows, steps=steps, rng=given)
        return Observed(np.asarray(host(out), dtype=np.float64).reshape(rows, -1), log)

    return affine_law(run, run(_ROWS, None), seed=seed)


def affine_law(call: Call, ordinary: Observed, *, seed: int = 0) -> AffineLaw:
    """The law from designed calls, held against an ordinary one.

    Args:
        call: runs the sampler on a plan.
        ordinary: one call without a plan, recorded.
        seed: entropy of the combinations.

    Raises:
        Refused: see :func:`probe`.
    """
    _no_others(ordinary.log)
    dim, total = ordinary.output.shape[1], ordinary.log.coordinates
    if total * dim > MOST:
        raise Refused(
            f"{total} noise coordinates in {dim} dimensions are more than {MOST:.0e} numbers"
        )
    kept = total * dim <= _KEPT
    sums = _Sums(dim, ordinary)
    spent, low = 0, 0
    while low < total or not spent:
        high = min(total, low + max(1, _CELLS // dim - rows_for(0)))
        rows = _no_other_length(rows_for(high - low), ordinary.log)
        plan = Plan(rows, low, high, total, seed)
        seen = call(rows, plan)
        if seen.log.quick and seen.log.coordinates != ordinary.log.coordinates:
            plan = replace(plan, thorough=True)
            seen = call(rows, plan)
        _same_draws(seen.log, ordinary.log)
        sums.add(plan, seen, kept)
        spent, low = spent + rows, high
    defect, single = sums.judge()
    draws = tuple((draw.coordinates, draw.start) for draw in ordinary.log.draws)
    whole = sums.responses() if kept else None
    return AffineLaw(
        sums.base, sums.covariance, defect, single, spent, whole, draws, sums.compared
    )


class _Sums:
    """What is gathered over batches of impulses."""

    def __init__(self, dim: int, ordinary: Observed) -> None:
        self.base = np.zeros(dim)
        self.covariance = np.zeros((dim, dim))
        self._ordinary = ordinary
        self._noise = _values(ordinary.log)
        self._predicted = np.zeros((len(COMBINATIONS), dim))
        self._expected = np.zeros_like(ordinary.output)
        self._parts: list[Vector] = []
        self._far = np.zeros((0, dim))
        self._moved = 0.0

    @property
    def compared(self) -> bool:
        """Whether the noise of the ordinary call is there."""
        return self._noise is not None

    def add(self, plan: Plan, seen: Observed, kept: bool) -> None:
        """One batch."""
        base = seen.output[0]
        if self._far.size:
            self._moved = max(self._moved, float(np.abs(base - self.base).max()))
        else:
            self.base, self._far = base, seen.output[plan.combinations] - base
        response = seen.output[plan.impulses] - base  # (k, d), one noise coordinate a row
        self.covariance += response.T @ response
        picked = slice(plan.low, plan.high)
        self._predicted += seen.log.combinations[:, picked] @ response
        if self._noise is not None:
            self._expected += self._noise[:, picked] @ response
        if kept:
            self._parts.append(response)

    def judge(self) -> tuple[float, bool]:
        """Largest defect of superposition, and whether it is that of float32."""
        size = float(max(np.abs(self._far).max(), np.abs(self.base).max(), 1e-300))
        off = float(np.abs(self._far - self._predicted).max())
        single = off > _DOUBLE * size and self._deaf()
        limit = (_SINGLE if single else _DOUBLE) * size
        if not off <= limit:
            raise Refused(
                f"not affine in its noise: at 4.5 standard deviations superposition fails by {off / size:.2g} of "
                "the size of the output (clipping, thresholds and adaptive steps do this)"
            )
        plain = self._moved
        if self._noise is not None:
            gap = self._ordinary.output - self.base - self._expected
            plain = max(plain, float(np.abs(gap).max()))
        if not plain <= limit:
            raise Refused(
                f"an ordinary call is off the map of its noise by {plain / size:.2g} of the size of the output: "
                "rows depend on each other, or there is randomness besides the normals of the generator"
            )
        return max(off, plain), single

    def _deaf(self) -> bool:
        """Whether a nudge below the resolution of float32 is not answered in proportion."""
        for row, copy in NUDGED:
            wanted = NUDGE * self._predicted[row]
            missing = self._far[copy] - self._far[row] - wanted
            if np.linalg.norm(missing) <= _DEAF * np.linalg.norm(wanted):
                return False
        return True

    def responses(self) -> Vector:
        """The whole map, ``(k, d)``."""
        return self._parts[0] if len(self._parts) == 1 else np.concatenate(self._parts)


def _values(log: NoiseLog) -> Vector | None:
    parts = [draw.values for draw in log.draws if draw.values is not None]
    if len(parts) < len(log.draws):
        return None
    return np.concatenate([np.zeros((log.rows, 0)), *parts], axis=1)


def _no_others(log: NoiseLog) -> None:
    if log.others:
        raise Refused(f"randomness other than normals, one row each: {', '.join(log.others[:3])}")


def _same_draws(log: NoiseLog, ordinary: NoiseLog) -> None:
    _no_others(log)
    here, there = ([(d.axis, d.rest) for d in one.draws] for one in (log, ordinary))
    if here != there:
        raise Refused(
            f"draws depend on the number of rows or on the noise: {len(there)} draws in one call, {len(here)} in "
            "another, or other shapes"
        )


def _no_other_length(rows: int, log: NoiseLog) -> int:
    """More rows until no other axis of a draw has that length."""
    taken = {length for draw in log.draws for length in draw.rest}
    while rows in taken:
        rows += 1
    return rows
