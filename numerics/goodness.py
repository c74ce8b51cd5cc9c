"""The refuting machine: e-processes against "the draws are independent and exactly from p".

Labels and normals of exact draws have known laws (:mod:`.gaussianise`). A family of closed-form e-processes
(:mod:`.e_processes`) watches each way in which samplers go wrong; their average is one e-process, and
``P(sup_n E_n >= 1/alpha) <= alpha`` whenever one looks. Everything is kept in running sums.

Directions learned from *past* batches are predictable, so that projections of the next batch on them are N(0, 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from ..theory.protocols import Vector
from . import e_processes as ep
from .effects import View

_DENSE = 128  #: largest dimension for which the full scatter matrix is kept
_TRIPLES = 12  #: largest dimension in which all sign triples are followed
_CELLS = 20_000  #: largest K d for which components are followed one by one
_HISTOGRAMS = 64  #: coordinates in the pooled histogram
_TAILS = (1e-5, 1e-4, 1e-3, 1e-2)
_BINS = np.sort(np.r_[_TAILS, np.arange(1, 20) / 20, 1 - np.asarray(_TAILS)])
_MASS = np.diff(np.r_[0.0, _BINS, 1.0])


@dataclass
class _Learned:
    """Sums along directions that were chosen before the batch came."""

    n: int = 0
    along_mean: float = 0.0
    squares: Vector = field(default_factory=lambda: np.zeros(2))


class RefutingMachine:
    """Average of e-processes, updated by batches.

    Args:
        weights: exact label probabilities ``(K,)``.
        dim: number of normals a draw.
        error: relative error e of the density behind the map; the e-value is divided by ``(1 + e)^n``.
    """

    def __init__(self, weights: Vector, dim: int, *, error: float = 0.0) -> None:
        self.weights, self.dim, self.error = weights, dim, error
        self.n = 0
        self.families: dict[str, float] = {}  #: log E of every family at the last look
        self.others: dict[
            str, float
        ] = {}  #: log E of e-processes kept elsewhere, on the same draws
        self.log_e = 0.0  #: log of the average at the last look
        self.peak = 0.0  #: its supremum over looks
        self.leading = ""  #: the family that was largest at the supremum
        self.sums = np.zeros(dim)
        self.squares = np.zeros(dim)
        self._counts = np.zeros(len(weights))
        d, k = dim, len(weights)
        self._scatter = np.zeros((d, d)) if 2 <= d <= _DENSE else None
        followed = k > 1 and 0 < k * d <= _CELLS
        self._parts = np.zeros((2, k, d)) if followed else None
        self._triples = _triples(d) if 3 <= d <= _TRIPLES else None
        self._heads = np.zeros(0 if self._triples is None else len(self._triples))
        self._bins: Vector = np.zeros((0, len(_MASS)))
        self._pooled = np.zeros(len(_MASS))
        self._radius = np.zeros(len(_MASS))
        self._lag = np.zeros((3, d))
        self._pairs = 0
        self._last: Vector | None = None
        self._learned = _Learned()

    def update(self, view: View) -> float:
        """Adds one batch and looks; returns the supremum of ``log E`` so far."""
        self.add(view)
        return self.look()

    def add(self, view: View) -> None:
        """Adds one batch without looking."""
        self._learn(view.z)
        self._add(view)

    def refuted(self, level: float) -> bool:
        """Whether the supremum has reached ``1/level``."""
        return self.peak >= -math.log(level)

    def _learn(self, z: Vector) -> None:
        if self.n == 0 or self.dim < 2:
            return
        size = float(np.linalg.norm(self.sums))
        direction = self.sums / size if size > 0 else np.eye(1, self.dim)[0]
        self._learned.n += len(z)
        self._learned.along_mean += float((z @ direction).sum())
        if self._scatter is not None:
            _, axes = np.linalg.eigh(self._scatter)
            self._learned.squares += np.square(z @ axes[:, [0, -1]]).sum(axis=0)

    def _add(self, view: View) -> None:
        z, n = view.z, len(view.labels)
        self.n += n
        self._counts += np.bincount(view.labels, minlength=len(self.weights))
        if not self.dim:
            return
        self.sums += z.sum(axis=0)
        self.squares += np.einsum("ij,ij->j", z, z)
        if self._scatter is not None:
            self._scatter += z.T @ z
        if self._parts is not None:
            for k in np.unique(view.labels):
                mine = z[view.labels == k]
                self._parts[0, k] += mine.sum(axis=0)
                self._parts[1, k] += np.einsum("ij,ij->j", mine, mine)
        if self._triples is not None:
            signs = np.where(z > 0, 1, -1).astype(np.int8)
            i, j, k = self._triples.T
            self._heads += (signs[:, i] * signs[:, j] * signs[:, k] > 0).sum(axis=0)
        self._histograms(view)
        chain = z if self._last is None else np.concatenate([self._last, z])
        self._lag += np.stack(
            [
                np.einsum("ij,ij->j", chain[:-1], chain[1:]),
                np.einsum("ij,ij->j", chain[:-1], chain[:-1]),
                np.einsum("ij,ij->j", chain[1:], chain[1:]),
            ]
        )
        self._pairs += len(chain) - 1
        self._last = z[-1:].copy()

    def _histograms(self, view: View) -> None:
        edges = special.ndtri(_BINS)
        shown = view.columns[:, self.dim :]
        self._pooled += _binned(view.z[:, :_HISTOGRAMS], edges).sum(axis=0)
        if shown.shape[1]:
            counts = _binned(shown, edges)
            self._bins = counts if len(self._bins) == 0 else self._bins + counts
            square = np.einsum("ij,ij->i", view.z, view.z)
            self._radius += _binned(square[:, None], special.chdtri(self.dim, 1 - _BINS))[0]

    def look(self) -> float:
        """Computes all families; returns the supremum of ``log E`` so far."""
        d, n, out = self.dim, self.n, {}
        if len(self.weights) > 1:
            out["labels"] = float(ep.labels(self._counts, self.weights))
        if d:
            out["means"] = ep.log_mean(ep.means(self.sums, n))
            out["scales"] = ep.log_mean(ep.scales(self.squares, n))
            out["histogram"] = float(ep.labels(self._pooled, _MASS))
            out["lag"] = ep.lag(*self._lag, n=self._pairs)
        if d > 1:
            out["radius"] = ep.scales(self.squares.sum()[None], n * d)[0]
            out["radius histogram"] = float(ep.labels(self._radius, _MASS))
            out["projections"] = ep.log_mean(ep.labels(self._bins, _MASS))
        if self._scatter is not None:
            out["covariance"] = ep.covariance(self._scatter, n)
            out["pairs"] = ep.pairs(self._scatter, n)
        if self._parts is not None:
            size = self._counts[:, None]
            out["components"] = ep.log_mean(
                [*ep.means(self._parts[0], size), *ep.scales(self._parts[1], size)]
            )
        if self._triples is not None:
            out["triples"] = ep.coins(self._heads, n)
        if d > 1:
            learned = self._learned
            out["learned mean"] = ep.means(np.array([learned.along_mean]), learned.n)[0]
            if self._scatter is not None:
                out["learned scale"] = ep.scales(learned.squares, learned.n)[0]
        out |= self.others
        self.families = out
        self.log_e = ep.log_mean(list(out.values())) - n * math.log1p(self.error)
        if self.log_e > self.peak:
            self.peak = self.log_e
            self.leading = max(out, key=lambda name: out[name])
        return self.peak


def _triples(d: int) -> np.ndarray:
    i, j, k = np.meshgrid(*[np.arange(d)] * 3, indexing="ij")
    chosen = (i < j) & (j < k)
    return np.stack([i[chosen], j[chosen], k[chosen]], axis=1)


def _binned(y: Vector, edges: Vector) -> Vector:
    """Counts ``(m, bins)`` of columns ``(n, m)`` between edges."""
    cell = np.searchsorted(edges, y.ravel()).reshape(y.shape)
    cell += np.arange(y.shape[1]) * (len(edges) + 1)
    flat = np.bincount(cell.ravel(), minlength=y.shape[1] * (len(edges) + 1))
    return flat.reshape(y.shape[1], -1).astype(float)
