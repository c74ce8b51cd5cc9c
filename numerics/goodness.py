"""The refuting machine: e-processes against "the draws are independent and exactly from p".

Labels and normals of exact draws have known laws (:mod:`.gaussianise`). A family of closed-form e-processes
(:mod:`.e_processes`, :mod:`.e_directions`, :mod:`.tilts`, :mod:`.watchers`) watches each way in which samplers
go wrong; their average with fixed weights is one e-process, and ``P(sup_n E_n >= 1/alpha) <= alpha`` whenever
one looks. Everything is kept in running sums.

Directions learned from *past* batches are predictable, so that projections of the next batch on them are N(0, 1).
"""

from __future__ import annotations

import math

import numpy as np

from ..theory.protocols import Vector
from . import e_directions as ed
from . import e_processes as ep
from .blocks import Blocks
from .drifts_gaussian import GaussianDrifts
from .family_weights import shares
from .gaussianise import Frame
from .views import View
from .watchers import Curvature, Histograms, Memory, Mixing, Refits, Triples

_DENSE = 128  #: largest dimension for which the full scatter matrix is kept
_TRIPLES = 12  #: largest dimension in which all sign triples are followed
_CURVED = 24  #: largest dimension in which each coordinate is regressed on every other
_CELLS = 20_000  #: largest K d for which components are followed one by one

#: weights of what may be wrong with one component: a mean, all means, a variance, all variances, all of them alike
_KINDS = np.array([0.3, 0.15, 0.25, 0.1, 0.2])

#: relative changes of one label weight
_FACTORS = tuple(0.02 * 1.6**k for k in range(12))


class RefutingMachine:
    """Average of e-processes, updated by batches.

    Args:
        weights: exact label probabilities ``(K,)``.
        dim: number of normals a draw.
        error: relative error e of the density behind the map; the e-value is divided by ``(1 + e)^n``.
        frame: directions that the law singles out.
    """

    def __init__(
        self, weights: Vector, dim: int, *, error: float = 0.0, frame: Frame | None = None
    ) -> None:
        self.weights, self.dim, self.error, self.frame = weights, dim, error, frame
        self.n = 0
        self.families: dict[str, float] = {}  #: log E of every family at the last look
        #: log E of e-processes kept elsewhere, on the same draws
        self.others: dict[str, float] = {}
        self.log_e = 0.0  #: log of the average at the last look
        self.peak = 0.0  #: its supremum over looks
        self.leading = ""  #: the family that said most at the supremum
        d, k = dim, len(weights)
        self.sums = np.zeros(d)
        self.squares = np.zeros(d)
        self.counts = np.zeros(k)
        self._shares = shares(k, d)
        self.scatter = np.zeros((d, d)) if 2 <= d <= _DENSE else None
        self.parts = np.zeros((2, k, d)) if k > 1 and 0 < k * d <= _CELLS else None
        self.triples = Triples(d) if 3 <= d <= _TRIPLES else None
        self._memory = Memory(d) if d else None
        self.blocks = Blocks(d) if d else None
        self.histograms = Histograms(d) if d else None
        self.curvature = Curvature(d) if 2 <= d <= _CURVED else None
        self._mixing: Mixing | None = None
        self._refits: Refits | None = None
        self._drifts: GaussianDrifts | None = None
        if frame is not None and frame.mean is not None:
            self._drifts = GaussianDrifts(frame.spectrum, frame.mean)
        self._learned = np.zeros(4)  # draws, along the mean, squares along the extreme axes

    @property
    def memory_sums(self) -> Vector:
        """Sums of products of neighbours, and of squares of the earlier and the later one, ``(3, d)``."""
        assert self._memory is not None
        return self._memory.sums

    def update(self, view: View) -> float:
        """Adds one batch and looks; returns the supremum of ``log E`` so far."""
        self.add(view)
        return self.look()

    def refuted(self, level: float) -> bool:
        """Whether the supremum has reached ``1/level``."""
        return self.peak >= -math.log(level)

    def share(self, family: str) -> float:
        """Logarithm of the weight of a family at the last look."""
        return math.log(self._shares[family] / sum(self._shares[name] for name in self.families))

    def add(self, view: View) -> None:
        """Adds one batch without looking."""
        z, n = view.z, len(view.labels)
        self._learn(z)
        self.n += n
        self.counts += np.bincount(view.labels, minlength=len(self.weights))
        if view.ratios is not None:
            self._mixing = self._mixing or Mixing(self.weights)
            self._mixing.add(view.ratios)
            if view.each is not None:
                if self._refits is None:
                    alike = np.ones((len(self.weights), self.dim))
                    spectra = alike if self.frame is None else self.frame.spectra
                    self._refits = Refits(self.weights, spectra)
                self._refits.add(view.each, view.ratios)
        if not self.dim:
            return
        assert self._memory is not None and self.histograms is not None
        self.sums += z.sum(axis=0)
        self.squares += np.einsum("ij,ij->j", z, z)
        if self.scatter is not None:
            self.scatter += z.T @ z
        if self.parts is not None:
            for k in np.unique(view.labels):
                mine = z[view.labels == k]
                self.parts[0, k] += mine.sum(axis=0)
                self.parts[1, k] += np.einsum("ij,ij->j", mine, mine)
        for watcher in (self.triples, self._memory, self.blocks, self.curvature):
            if watcher is not None:
                watcher.add(z)
        self.histograms.add(view)

    def _learn(self, z: Vector) -> None:
        if self.n == 0 or self.dim < 2:
            return
        size = float(np.linalg.norm(self.sums))
        direction = self.sums / size if size > 0 else np.eye(1, self.dim)[0]
        self._learned[0] += len(z)
        self._learned[1] += float((z @ direction).sum())
        if self.scatter is not None:
            _, axes = np.linalg.eigh(self.scatter)
            self._learned[2:] += np.square(z @ axes[:, [0, -1]]).sum(axis=0)

    def look(self) -> float:
        """Computes all families; returns the supremum of ``log E`` so far."""
        out: dict[str, float] = {}
        if len(self.weights) > 1:
            out["labels"] = ep.log_mean([ep.labels(self.counts, self.weights), self._moved()])
        if self._mixing is not None:
            out["mixing"] = self._mixing.log_e()
        if self._refits is not None:
            out["refits"] = self._refits.log_e()
        if self.dim:
            out |= self._sizes()
        if self._drifts is not None:
            out["drifts"] = self._drifts.log_e(self.sums, self.squares, self.n)
        elif self.frame is not None and self.frame.line is not None:
            assert self.histograms is not None and self.histograms.whole is not None
            out["drifts"] = self.frame.line.log_e(self.histograms.whole[0])
        if self.parts is not None:
            out["components"] = self._components()
        if self.histograms is not None and self._memory is not None:
            out |= self.histograms.log_e() | self._memory.log_e()
        if self.blocks is not None:
            self.blocks.close()
            out["blocks"] = self.blocks.log_e()
        if self.dim > 1:  # before the second batch these are one: the weights never change
            n, along, *squares = self._learned
            out["learned mean"] = ep.means(np.array([along]), n)[0]
            if self.scatter is not None:
                out["learned scale"] = ep.scales(np.array(squares), n)[0]
        if self.scatter is not None:
            out |= self._directions(self.scatter)
        if self.triples is not None:
            out["triples"] = self.triples.log_e()
        out |= self.others
        self.families = out
        share = np.array([self._shares[name] for name in out])
        logs = np.array(list(out.values())) + np.log(share / share.sum())
        self.log_e = float(np.logaddexp.reduce(logs)) - self.n * math.log1p(self.error)
        if self.log_e > self.peak:
            self.peak = self.log_e
            self.leading = list(out)[int(np.argmax(logs))]
        return self.peak

    def _moved(self) -> float:
        """Labels: each weight off by a factor, the others in proportion."""
        w = self.weights[self.weights > 0]
        c, n = self.counts[self.weights > 0], self.counts.sum()
        if len(w) < 2 or c.sum() < n:
            return math.inf if c.sum() < n else 0.0
        factor = 1 + np.r_[_FACTORS, -np.asarray([f for f in _FACTORS if f < 1])][:, None]
        fits = factor * w < 1
        up = np.where(fits, factor, 1.0)
        rest = (1 - up * w) / (1 - w)
        logs = c * np.log(up) + (n - c) * np.log(rest)
        return ep.log_mean(logs)

    def _sizes(self) -> dict[str, float]:
        """Means and variances."""
        n, d = self.n, self.dim
        out: dict[str, float] = {}
        means = [ep.means(self.sums, n)[0]]
        if d > 1:
            out["all means"] = ed.spread_mean(self.sums, n)
        frame = self.frame
        if d > 1 and frame is not None and frame.axes is not None and frame.mean is not None:
            pulled = frame.axes @ self.sums
            means.append(ed.along(pulled, np.linalg.norm(frame.axes, axis=1), n))
            power = frame.spectrum ** np.array([0.0, 0.5, -0.5, 1.0, -1.0])[:, None]
            v = frame.mean * power
            norms = np.linalg.norm(v, axis=1)
            if norms.min() > 0:
                means.append(ed.along(v @ self.sums, norms, n))
        one = ep.scales(self.squares, n)[0]
        out |= {"means": ep.log_mean(means), "scales": one}
        if d > 1:
            out["scales"] = ep.log_mean([one, one, ed.spread_scales(self.squares, n)])
            out["radius"] = ep.scales(self.squares.sum()[None], n * d)[0]
            if frame is not None:
                pulled = frame.mean if frame.mean is not None and frame.mean.any() else None
                out["profiles"] = ed.profiles(
                    self.squares, frame.spectrum, n, sums=self.sums, mean=pulled
                )
        return out

    def _components(self) -> float:
        """Each component by itself, and all of them together with the labels."""
        assert self.parts is not None
        size = self.counts[:, None]
        found = []
        for logs in (ep.shift_logs(self.parts[0], size), ep.scale_logs(self.parts[1], size)):
            found.append(ep.averaged(logs.transpose(0, 2, 1).reshape(-1, len(size))))
            found.append(ep.averaged(logs.sum(axis=2)))
        found.append(ep.averaged(ep.scale_logs(self.parts[1].sum(axis=1), size[:, 0] * self.dim)))
        each = ep.averaged(np.array(found) + np.log(_KINDS)[:, None] + math.log(len(_KINDS)))
        both = float((np.logaddexp(0, each) - math.log(2)).sum())
        joint = both + float(ep.labels(self.counts, self.weights))
        return ep.log_mean([ep.log_mean(each), joint])

    def _directions(self, scatter: Vector) -> dict[str, float]:
        """Covariances between directions, known and unknown."""
        n = self.n
        out = {
            "covariance": ep.covariance(scatter, n),
            "pairs": ep.pairs(scatter, n),
            "one direction": ed.one_direction(np.linalg.eigvalsh(scatter).clip(min=0), n),
        }
        if self.curvature is not None:
            out["curvature"] = self.curvature.log_e()
        if self.frame is not None and self.frame.axes is not None:
            axes = self.frame.axes
            bent = ed.bent_pairs(scatter, axes, n)
            out["coordinates"] = ep.log_mean([bent, bent, ed.noisy_axes(scatter, axes, n)])
        return out
