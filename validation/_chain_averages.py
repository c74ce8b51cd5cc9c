"""Means over every chain of bounded functions: independent draws, whatever happens within a chain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from ..numerics import confidence as ci
from ..numerics.rng import substream
from ..numerics.views import Directions
from ..theory.protocols import Vector
from .evidence import Outcome
from .verdict import Mutant

_CLIP = 3.0  #: a smaller range than for independent draws: chains are dear
_LEVELS = np.arange(1, 8) / 8
_POWER = -float(special.ndtri(1e-4))
_FLAT = 2 * _CLIP * math.exp(-(_CLIP**2) / 2) / math.sqrt(2 * math.pi)
#: ``E min(Z^2, 9)`` for Z ~ N(0, 1)
_SQUARE = float(1 - 2 * special.ndtr(-_CLIP) - _FLAT + 2 * _CLIP**2 * special.ndtr(-_CLIP))


@dataclass(frozen=True)
class Family:
    """The largest effect of a kind, over chains."""

    name: str
    value: float
    low: float
    high: float
    detectable: float
    bounds: tuple[float, float]
    truth: float
    unit: float
    column: Vector  #: the averages of one member, one a chain


@dataclass(frozen=True)
class Averages:
    """Means over every chain of bounded functions whose mean under the target is known, ``(chains, m)``."""

    parts: dict[str, tuple[Vector, Vector, tuple[float, float], float]]

    @classmethod
    def of(cls, x: Vector, shape: Any, seed: int) -> Averages:
        chains, draws, d = x.shape
        flat = shape(x.reshape(-1, d), rng=substream(seed, "labels"))
        parts: dict[str, tuple[Vector, Vector, tuple[float, float], float]] = {}
        weights = np.asarray(shape.weights)
        if len(weights) > 1:
            hot = flat.labels.reshape(chains, draws, 1) == np.arange(len(weights))
            parts["weights"] = hot.mean(axis=1), weights, (0.0, 1.0), 1.0
        if shape.dim:
            directions = Directions.drawn(shape.dim, substream(seed, "directions"))
            y = directions.view(flat).columns.reshape(chains, draws, -1)
            ends = special.ndtri(_LEVELS)
            below = np.concatenate([(y <= e).mean(axis=1) for e in ends], axis=1)
            clipped = np.clip(y, -_CLIP, _CLIP)
            m = y.shape[2]
            parts["cdf"] = below, np.repeat(_LEVELS, m), (0.0, 1.0), 1.0
            parts["mean"] = clipped.mean(axis=1), np.zeros(m), (-_CLIP, _CLIP), 1.0
            square = (clipped**2).mean(axis=1)
            parts["variance"] = square, np.full(m, _SQUARE), (0.0, _CLIP**2), _SQUARE
        return cls(parts)

    @property
    def members(self) -> int:
        """Number of effects over which a level is split."""
        return sum(a.shape[1] for a, _, _, _ in self.parts.values())

    def families(self, level: float) -> list[Family]:
        """Every kind of effect with its bounds."""
        out = []
        for name, (a, truth, bounds, unit) in self.parts.items():
            value, low, high = _bounds(a - truth, bounds, level, self.members, truth)
            spread = float((a - truth).std(axis=0).max())
            radius = ci.betting_radius(
                len(a), _sd(spread), bounds[1] - bounds[0], level / (2 * self.members)
            )
            seen = radius + _POWER * spread / math.sqrt(len(a))
            worst = int(np.abs((a - truth).mean(axis=0)).argmax())
            out.append(
                Family(
                    name,
                    value / unit,
                    low / unit,
                    high / unit,
                    seen / unit,
                    bounds,
                    float(truth[worst]),
                    unit,
                    a[:, worst],
                )
            )
        return out

    def mutant(self, f: Family, level: float, tolerance: float) -> Mutant:
        """One member's averages moved by the tolerance and twice what is detectable, within their range."""
        size = (tolerance + 2 * f.detectable) * f.unit
        room = max(f.bounds[1] - f.truth, f.truth - f.bounds[0])
        if size > 0.9 * room:
            return Mutant(
                name="moved",
                outcome=Outcome.UNDECIDED,
                check=f.name,
                underpowered=True,
                message=f"{len(f.column)} chains are too few: only defects of {size / f.unit:.3g} are sure to be seen",
            )
        up = f.bounds[1] - f.truth > f.truth - f.bounds[0]
        far = f.bounds[1] if up else f.bounds[0]
        centred = f.column - f.column.mean() + f.truth
        # Mixed with the far end of the range, averages stay inside it.
        share = size / abs(far - f.truth)
        wrong = (1 - share) * np.clip(centred, *f.bounds) + share * far
        _, low, _ = _bounds(
            (wrong - f.truth)[:, None], f.bounds, level, self.members, np.array([f.truth])
        )
        return Mutant(
            name="moved",
            outcome=Outcome.REFUTED if low / f.unit > tolerance else Outcome.SUPPORTED,
            check=f.name,
            message=f"moved by {size / f.unit:.3g}, at least {low / f.unit:.3g}",
        )


def _sd(spread: float) -> float:
    return max(spread, 1e-3)


def _bounds(
    gap: Vector, bounds: tuple[float, float], level: float, members: int, truth: Vector
) -> tuple[float, float, float]:
    """Largest absolute mean of ``gap`` and its bounds; the bets are sized on the first tenth of the chains."""
    pilot = max(len(gap) // 10, 2)
    spread = _sd(float(gap[:pilot].std(axis=0).max()))
    rest = gap[pilot:]
    low, high, each = 0.0, 0.0, level / (2 * members)
    for at in np.unique(truth):
        sums = ci.PowerSums.of(rest[:, truth == at], 0.0)
        ends = (bounds[0] - float(at), bounds[1] - float(at))
        down = ci.betting_lower(sums, ends, spread, each)
        up = ci.betting_upper(sums, ends, spread, each)
        low = max(low, float(down.max()), float((-up).max()))
        top = ci.betting_upper(sums, ends, spread, level / 2)
        bottom = ci.betting_lower(sums, ends, spread, level / 2)
        high = max(high, float(top.max()), float((-bottom).max()))
    value = float(np.abs(rest.mean(axis=0)).max())
    return value, min(low, value), max(high, value)


def needed(f: Family, tolerance: float, n: int) -> str:
    if f.low > tolerance or f.high <= tolerance:
        return ""
    gap = abs(tolerance - f.value)
    if gap < 0.02 * tolerance:
        return "; the effect is at the tolerance itself"
    width = max(f.high - f.value, f.value - f.low)
    return f"; about {math.ceil(n * max((width / gap) ** 2, width / gap) * 1.2):,} chains would decide"
