"""E-processes for a density of one variable that is off smoothly, or heavy in its tails, from counts in fixed cells.

A variable that is N(0, 1) (or chi-square) under the null falls into ``cells`` of known mass ``p_b``. Against each
alternative mass ``q_b`` the counts have the likelihood ratio ``prod_b (q_b / p_b)^{N_b}``, a martingale; and a tree
of halvings whose shares have beta priors gives one in closed form for densities of any smooth shape (Polya tree,
Lavine 1992; prior shares tighten fourfold from level to level, as those of a smooth density do).
"""

from __future__ import annotations

import numpy as np
from scipy import special

from ..theory.protocols import Vector

_FINE = 64  #: equal cells; the outer ones are divided further
_TAILS = (1e-6, 1e-5, 1e-4, 5e-4, 1e-3, 2e-3, 4e-3, 8e-3)
#: upper ends of the cells, as probabilities of the null
EDGES = np.sort(np.r_[_TAILS, np.arange(1, _FINE) / _FINE, 1 - np.asarray(_TAILS)])
MASS = np.diff(np.r_[0.0, EDGES, 1.0])
_UPPER = 1 - EDGES
NORMAL = special.ndtri(EDGES)  #: the same in units of N(0, 1)
_LEVELS = 6
_STRENGTHS = np.array([8.0 * 5.0**k for k in range(6)])
_TILTS = np.r_[[0.01 * 1.5**k for k in range(10)], [-0.01 * 1.5**k for k in range(10)]]
_ORDERS = 8


def cells(grid: Vector, values: Vector, ends: Vector) -> Vector:
    """Counts ``(m, cells)`` of one batch.

    Args:
        grid: counts ``(m, g)`` of the probabilities of the null in g equal cells, g a multiple of 64.
        values: the variables, ``(n, m)``; only the few in tails are looked at.
        ends: upper ends of all cells but the last, in units of the variables.
    """
    m, first = grid.shape[0], len(_TAILS)
    out = np.zeros((m, len(MASS)))
    out[:, first + 1 : -first - 1] = grid.reshape(m, _FINE, -1).sum(axis=2)[:, 1:-1]
    low, high = ends[: first + 1], ends[-first - 1 :]
    flat = values.ravel()
    for at, edges, part in (
        (np.flatnonzero(flat < low[-1]), low[:-1], slice(0, first + 1)),
        (np.flatnonzero(flat >= high[0]), high[1:], slice(len(MASS) - first - 1, len(MASS))),
    ):
        cell = np.searchsorted(edges, flat[at], side="right") + (at % m) * (first + 1)
        out[:, part] = np.bincount(cell, minlength=m * (first + 1)).reshape(m, first + 1)
    return out


class Tilts:
    """Fixed alternatives to the cell masses: exponential tilts by polynomials of the normal score, and others.

    Args:
        groups: further alternatives: the weight of a group, and its cell masses ``(k, cells)``.
        fixed: weight of all these against that of the tree of halvings.
    """

    def __init__(self, groups: list[tuple[float, Vector]], *, fixed: float = 0.75) -> None:
        self._fixed = fixed
        basis = _polynomials(_ORDERS)
        logs = (_TILTS[:, None, None] * basis).reshape(-1, len(MASS))
        rows = [logs - np.log(np.exp(logs) @ MASS)[:, None]]
        # Low orders are likelier.
        weight = np.tile(1.0 / np.arange(1, _ORDERS + 1), len(_TILTS))
        share = 1 - sum(part for part, _ in groups)
        weights = [share * weight / weight.sum()]
        for part, masses in groups:
            q = masses / masses.sum(axis=1, keepdims=True)
            rows.append(np.log(np.maximum(q, 1e-300) / MASS))
            weights.append(np.full(len(masses), part / len(masses)))
        self._logs = np.concatenate(rows).T
        self._weight = np.log(np.concatenate(weights))

    def log_e(self, counts: Vector, *, any_shape: bool = True) -> Vector:
        """``log E`` of counts ``(m, cells)``, shape ``(m,)``: fixed alternatives, and the tree."""
        logs = counts @ self._logs + self._weight
        top = logs.max(axis=1)
        fixed = np.log(np.exp(logs - top[:, None]).sum(axis=1)) + top
        if not any_shape:
            return fixed
        return np.logaddexp(fixed + np.log(self._fixed), tree(counts) + np.log1p(-self._fixed))


def _polynomials(orders: int) -> Vector:
    """Polynomials in the normal score of a cell, degrees 1 to ``orders``, orthonormal; ``(k, cells)``."""
    points = special.ndtri(np.cumsum(MASS) - MASS / 2)
    powers = np.vander(points, orders + 1, increasing=True)
    q, _ = np.linalg.qr(powers * np.sqrt(MASS)[:, None])
    return (q / np.sqrt(MASS)[:, None]).T[1:]


def tree(counts: Vector) -> Vector:
    """``log E`` of a tree of halvings on the equal cells, averaged over the strength of its priors, ``(m,)``."""
    starts = np.searchsorted(EDGES, np.arange(_FINE) / _FINE, side="right")
    level = np.add.reduceat(counts, starts, axis=1)
    logs = np.zeros((len(_STRENGTHS), len(counts)))
    for depth in range(_LEVELS - 1, -1, -1):
        left, right = level[:, 0::2], level[:, 1::2]
        total = left + right
        a = (_STRENGTHS * 4.0**depth)[:, None, None]
        logs += (
            special.betaln(a + left, a + right) - special.betaln(a, a) + total * np.log(2)
        ).sum(axis=2)
        level = total
    return special.logsumexp(logs, axis=0) - np.log(len(logs))


def normal_tilts() -> Tilts:
    """Alternatives to N(0, 1): polynomial tilts, rare wide draws, Student tails, tails that are lighter or heavier."""
    return _normal_tilts(wide=0.12, student=0.22, cut=0.2, heavy=0.06)


def whole_tilts() -> Tilts:
    """The same for mixtures on the line as a whole, whose other shapes follow from their score (:mod:`.drifts`)."""
    return _normal_tilts(wide=0.04, student=0.08, cut=0.46, heavy=0.04)


def _normal_tilts(*, wide: float, student: float, cut: float, heavy: float) -> Tilts:
    ends = np.r_[-np.inf, NORMAL, np.inf]
    rare = [
        _masses(special.ndtr(ends / s), w)
        for w in (0.003, 0.01, 0.03, 0.1)
        for s in (1.5, 2.0, 3.0)
    ]
    tails = [
        np.diff(special.stdtr(df, ends / scale))
        for df in (5.0, 10.0, 20.0, 40.0, 80.0)
        for scale in (1.0, np.sqrt((df - 2) / df))
    ]
    piled, gone, doubled = _tails()
    return Tilts(
        [
            (wide, np.asarray(rare)),
            (student, np.asarray(tails)),
            (cut / 2, piled),
            (cut / 2, gone),
            (heavy, doubled),
        ]
    )


def radius_tilts(dim: int) -> Tilts:
    """Alternatives to chi-square with ``dim`` degrees of freedom: tilts, rare draws that lie too far or too near."""
    ends = np.r_[0.0, radius_ends(dim), np.inf]
    far = 1 + np.array([2.0, 4.0, 8.0]) / np.sqrt(dim)
    factors = np.unique(np.r_[1.25, 1.5, 2.0, 3.0, 0.5, far])
    rare = [
        _masses(special.chdtr(dim, ends / s**2), w) for w in (0.003, 0.01, 0.03) for s in factors
    ]
    return Tilts([(0.7, np.asarray(rare))], fixed=0.9)


def _tails() -> tuple[Vector, Vector, Vector]:
    """Tails beyond a quantile that hold a tenth of what they should, on one side or both, or twice of it.

    What a tail lacks lies on the same side between its quantile and that of twice the probability (in the next cell
    at least), where clipped draws are found after a little noise (first array, one side only), or everywhere (second
    array, with both sides).
    """
    piled, gone, doubled = [], [], []
    below = np.cumsum(MASS)
    for k in range(2, len(_TAILS) + 2):
        left = np.arange(len(MASS)) <= k
        near = ~left & ((below < 2.01 * below[k]) | (np.arange(len(MASS)) == k + 1))
        for where, pile in ((left, near), (left[::-1], near[::-1])):
            out = np.where(where, 0.1 * MASS, MASS)
            gone.append(out.copy())
            out[pile] *= 1 + 0.9 * MASS[where].sum() / MASS[pile].sum()
            piled.append(out)
            doubled.append(np.where(where, 2 * MASS, MASS))
        both = left | left[::-1]
        gone.append(np.where(both, 0.1 * MASS, MASS))
        doubled.append(np.where(both, 2 * MASS, MASS))
    return np.asarray(piled), np.asarray(gone), np.asarray(doubled)


def radius_ends(dim: int) -> Vector:
    """Ends of the cells of a chi-square with ``dim`` degrees of freedom."""
    return special.chdtri(dim, _UPPER)


def _masses(other: Vector, share: float) -> Vector:
    """Cell masses of ``(1 - share) p + share q`` from the distribution function of q at the ends of the cells."""
    return (1 - share) * MASS + share * np.diff(other)


def fine(u: Vector) -> Vector:
    """Counts ``(m, 64)`` of probabilities ``(n, m)`` in equal cells."""
    cell = np.minimum((u * _FINE).astype(np.int64), _FINE - 1) + np.arange(u.shape[1]) * _FINE
    return np.bincount(cell.ravel(), minlength=u.shape[1] * _FINE).reshape(-1, _FINE).astype(float)
