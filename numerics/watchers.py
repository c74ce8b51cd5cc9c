"""Running sums behind the families of e-processes: what is kept of every batch, in memory that does not grow."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from ..theory.protocols import Vector
from . import e_processes as ep
from . import tilts
from .views import COORDINATES, View

_MEMORIES = (4, 16, 64)
_SLOPES = np.array([0.02, 0.05, 0.12, 0.3, -0.02, -0.05, -0.12, -0.3])
#: prior standard deviations of regression slopes
_PRIORS = np.square([0.3, 0.1, 0.04, 0.015, 0.006])[:, None]
_NEAR = 10.0
_SHAPES = 16  #: coordinates up to which densities of any shape are tried for each
#: shifts and logarithms of stretches of a component
_MOVES = tuple(s * 0.02 * 1.7**k for k in range(6) for s in (1, -1))
#: weights: one axis of a component moved, stretched; a component stretched; all of them; noise added to all
_KINDS = np.array([0.44, 0.22, 0.14, 0.1, 0.1])
#: of the sizes: the smallest take more draws than most runs have
_SIZED = np.repeat([0.5, 0.8, 1.0, 1.3, 1.4, 1.0], 2)
_FAR = 12.0
#: Ratios are kept above one unit of rounding, where ``1 - r`` would be zero: their mean grows by no more than that.
_LEAST = 2.0**-53
_MOST = 700.0  #: logarithms of ratios, below overflow
_PARTS = np.array([0.04, 0.08, 0.16, 0.3, 0.5, 0.75, 0.98])


class Memory:
    """Dependence of a draw on those before it.

    ``lag`` is an AR(1) likelihood ratio. ``memory`` regresses each draw on the mean of the last 4, 16 or 64: given the
    past, ``z_i`` is N(0, I), and with ``m_i`` known before it comes,
    ``exp(t z_i' m_i - t^2 |m_i|^2 / 2)`` has mean one; a normal prior for ``t`` closes the mixture.
    """

    def __init__(self, dim: int) -> None:
        self.sums = np.zeros((3, dim))
        self.pairs = 0
        self._past = np.zeros((0, dim))
        self._cross = np.zeros(len(_MEMORIES))
        self._square = np.zeros(len(_MEMORIES))

    def add(self, z: Vector) -> None:
        """Adds rows ``(n, d)``."""
        n = len(z)
        kept = len(self._past)
        chain = np.concatenate([self._past, z])
        first = max(kept - 1, 0)
        early, late = chain[first:-1], chain[first + 1 :]
        for row, (a, b) in enumerate(((early, late), (early, early), (late, late))):
            self.sums[row] += np.einsum("ij,ij->j", a, b)
        self.pairs += len(late)
        total = np.concatenate([np.zeros((1, chain.shape[1])), np.cumsum(chain, axis=0)])
        for k, width in enumerate(_MEMORIES):
            start = max(kept, width)
            if start < kept + n:
                mean = (total[start:-1] - total[start - width : -1 - width]) / width
                self._cross[k] += np.einsum("ij,ij->", mean, chain[start:])
                self._square[k] += np.einsum("ij,ij->", mean, mean)
        self._past = chain[-_MEMORIES[-1] :].copy()

    def log_e(self) -> dict[str, float]:
        """Families ``lag`` and ``memory``."""
        return {
            "lag": ep.lag(*self.sums, n=self.pairs),
            "memory": ep.log_mean(regressions(self._cross, self._square)),
        }


def regressions(cross: Vector, square: Vector) -> Vector:
    """``log E`` of slopes with normal priors from ``sum y x`` and ``sum x^2``; first axis: priors.

    ``t^2 C^2 / (2 (1 + t^2 Q)) - log(1 + t^2 Q) / 2``
    """
    t2 = _PRIORS.reshape(-1, *([1] * np.ndim(cross)))
    return t2 * cross**2 / (2 * (1 + t2 * square)) - np.log1p(t2 * square) / 2


class Curvature:
    """Mean and spread of one coordinate as a function of another, beyond what covariances see.

    Given ``z_i``, ``z_j`` is N(0, 1): ``exp(t z_j h - t^2 h^2 / 2)`` with ``h = z_i^2 - 1`` has mean one, and so
    has the ratio of ``N(0, e^{t z_i})`` to N(0, 1) at ``z_j`` (``z_i`` cut off at +-10). Both are averaged over
    ordered pairs.
    """

    def __init__(self, dim: int) -> None:
        self._cross = np.zeros((dim, dim))
        self._square = np.zeros(dim)
        self._gain = np.zeros((len(_SLOPES), dim, dim))
        self._sums = np.zeros(dim)
        self._off = ~np.eye(dim, dtype=bool)

    def add(self, z: Vector) -> None:
        """Adds rows ``(n, d)``."""
        squares = z * z
        h = squares - 1
        self._cross += h.T @ z
        self._square += np.einsum("ij,ij->j", h, h)
        near = np.clip(z, -_NEAR, _NEAR)
        self._sums += near.sum(axis=0)
        for k, t in enumerate(_SLOPES):
            self._gain[k] -= np.expm1(-t * near).T @ squares

    def log_e(self) -> float:
        """Family ``curvature``."""
        bent = regressions(
            self._cross, np.repeat(self._square[:, None], len(self._square), axis=1)
        )
        spread = (self._gain - _SLOPES[:, None, None] * self._sums[:, None]) / 2
        return ep.log_mean([ep.log_mean(bent[:, self._off]), ep.log_mean(spread[:, self._off])])

    def worst(self) -> tuple[int, int]:
        """Coordinates i and j such that j depends most on i."""
        bent = self._cross / np.sqrt(np.maximum(self._square, 1.0))[:, None]
        spread = (self._gain - _SLOPES[:, None, None] * self._sums[:, None]) / 2
        score = np.maximum(bent**2 / 2, spread.max(axis=0)) * self._off
        i, j = np.unravel_index(int(np.argmax(score)), score.shape)
        return int(i), int(j)


class Histograms:
    """Cells of coordinates, projections, the radius and (on the line) the draw under the law as a whole.

    Attributes:
        columns: counts of coordinates, then projections, ``(m, cells)``; None before the first draw.
        radius: counts of ``|z|^2``, ``(1, cells)``.
        whole: counts of the draws under the law as a whole, ``(1, cells)``; None where coordinates say the same.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._normal, self._mixed = tilts.normal_tilts(), tilts.whole_tilts()
        self._radial = tilts.radius_tilts(dim) if dim > 1 else None
        self.columns: Vector | None = None
        self._ends = tilts.radius_ends(dim)
        self.radius = np.zeros((1, len(tilts.MASS)))
        self.whole: Vector | None = None

    def add(self, view: View) -> None:
        """Adds one batch."""
        y = view.columns[:, view.followed]
        counts = tilts.cells(view.grid, y, tilts.NORMAL)
        self.columns = counts if self.columns is None else self.columns + counts
        if self._radial is not None:
            square = view.squares[:, None]
            self.radius += tilts.cells(view.radius_grid, square, self._ends)
        if view.whole is not None:
            u = special.ndtr(view.whole)
            counts = tilts.cells(tilts.fine(u), view.whole, tilts.NORMAL)
            self.whole = counts if self.whole is None else self.whole + counts

    def log_e(self) -> dict[str, float]:
        """Families ``histogram``, ``marginals``, ``projections``, ``radius histogram``, ``quantiles``."""
        if self.columns is None:
            return {}
        followed = self.columns[: min(self.dim, COORDINATES)]
        few = len(followed) <= _SHAPES
        out = {"marginals": ep.log_mean(self._normal.log_e(followed, any_shape=few))}
        if self._radial is not None:
            rest = self.columns[len(followed) :]
            out["histogram"] = float(self._normal.log_e(followed.sum(axis=0)[None])[0])
            out["projections"] = ep.log_mean(self._normal.log_e(rest, any_shape=False))
            out["radius histogram"] = float(self._radial.log_e(self.radius)[0])
        if self.whole is not None:
            out["quantiles"] = float(self._mixed.log_e(self.whole)[0])
        return out

    def worst(self) -> tuple[Vector, str]:
        """Counts of the column that its own e-process finds worst, and its name."""
        assert self.columns is not None
        first = min(self.dim, COORDINATES)
        names = [
            f"coordinate {j}" if j < first else f"projection {j - first}"
            for j in range(len(self.columns))
        ]
        rows = self.columns
        if self.whole is not None:
            rows, names = self.whole, ["whole"]
        elif first > 1:
            rows = np.concatenate([rows, rows[:first].sum(axis=0)[None]])
            names.append("pooled")
        k = int(np.argmax(self._normal.log_e(rows, any_shape=False)))
        return rows[k], names[k]


class Mixing:
    """Mass moved between two components, without drawing labels: ``q = p + t w_i (p_j - p_i)``.

    The likelihood ratio of one draw is ``1 + t w_i (r_j / w_j - r_i / w_i)``, for all ordered pairs and several t.
    """

    def __init__(self, weights: Vector) -> None:
        i, j = np.nonzero(~np.eye(len(weights), dtype=bool))
        self._moves = np.zeros((len(weights), len(i)))
        self._moves[j, np.arange(len(i))] = weights[i]
        self._moves[i, np.arange(len(i))] = -weights[i]
        self._logs = np.zeros((len(_PARTS), len(i)))

    def add(self, ratios: Vector) -> None:
        """Adds posterior weights over weights, ``(n, K)``."""
        gain = ratios @ self._moves
        for k, part in enumerate(_PARTS):
            self._logs[k] += np.log1p(part * gain).sum(axis=0)

    def log_e(self) -> float:
        """Family ``mixing``."""
        return ep.log_mean(self._logs)


class Refits:
    """One component moved or stretched, without drawing labels; all of them stretched alike; noise added to all.

    With ``z_k`` the draw as component k whitens it and ``g`` the ratio of ``N(t, 1)`` or ``N(0, s^2)`` to N(0, 1)
    along one axis (or of ``N(0, s^2 I)`` to N(0, I)), the density ``p + w_k p_k (g - 1)`` has the likelihood ratio
    ``1 + r_k (g(z_k) - 1)``, and ``sum_k w_k p_k g`` has ``sum_k r_k g(z_k)``. Noise that is left over, or that lacks,
    adds ``eps lambda_min`` to all eigenvalues of all components.

    Args:
        weights: ``(K,)``.
        spectra: eigenvalues of the components in the order of their whitened coordinates, ``(K, d)``.
    """

    def __init__(self, weights: Vector, spectra: Vector) -> None:
        self.weights, self._part = weights, spectra.min() / spectra
        k, dim = spectra.shape
        self._axes = np.zeros((2, len(_MOVES), k, dim))
        self._whole = np.zeros((len(_MOVES), k))
        self._all = np.zeros(len(_MOVES))
        self._noise = np.zeros(len(_MOVES))

    def add(self, each: Vector, ratios: Vector) -> None:
        """Adds ``(n, K, d)`` whitened draws and ``(n, K)`` posterior weights over weights."""
        r, d = ratios * self.weights, each.shape[2]
        z = np.clip(each, -_FAR, _FAR)
        squares = z * z
        total = squares.sum(axis=2)
        for m, t in enumerate(_MOVES):
            rate = -math.expm1(-2 * t) / 2  # (1 - 1/s^2) / 2 with s = e^t
            moved, stretched = np.exp(t * z - t * t / 2), np.exp(rate * squares - t)
            for row, g in enumerate((moved, stretched)):
                gain = np.maximum(r[:, :, None] * (g - 1), _LEAST - 1)
                self._axes[row, m] += np.log1p(gain).sum(axis=0)
            g = np.exp(np.minimum(rate * total - d * t, _MOST))
            self._whole[m] += np.log1p(np.maximum(r * (g - 1), _LEAST - 1)).sum(axis=0)
            self._all[m] += np.log(np.maximum((r * g).sum(axis=1), _LEAST)).sum()
            v = 1 + math.expm1(2 * t) * self._part
            g = np.exp((squares * (1 - 1 / v) - np.log(v)).sum(axis=2) / 2)
            self._noise[m] += np.log(np.maximum((r * g).sum(axis=1), _LEAST)).sum()

    def log_e(self) -> float:
        """Family ``refits``."""
        groups = (*self._axes, self._whole, self._all, self._noise)
        logs = np.array([ep.log_mean(_weighted(v)) for v in groups])
        return float(np.logaddexp.reduce(logs + np.log(_KINDS)))


def _weighted(logs: Vector) -> Vector:
    """Logarithms whose mean is that of the given ones with the weights of the sizes along the first axis."""
    return logs + np.log(_SIZED / _SIZED.mean()).reshape(-1, *([1] * (logs.ndim - 1)))


class Triples:
    """Signs of products of three coordinates are fair coins."""

    def __init__(self, dim: int) -> None:
        i, j, k = np.meshgrid(*[np.arange(dim)] * 3, indexing="ij")
        chosen = (i < j) & (j < k)
        self._which = i[chosen], j[chosen], k[chosen]
        self.heads = np.zeros(int(chosen.sum()))
        self.n = 0

    def add(self, z: Vector) -> None:
        """Adds rows ``(n, d)``."""
        down = z <= 0
        i, j, k = self._which
        self.heads += (~(down[:, i] ^ down[:, j] ^ down[:, k])).sum(axis=0)
        self.n += len(z)

    def log_e(self) -> float:
        """Family ``triples``."""
        return ep.coins(self.heads, self.n)

    def worst(self) -> tuple[tuple[int, int, int], float]:
        """The triple whose share of positive products is farthest from one half, and that share."""
        at = int(np.argmax(np.abs(self.heads - self.n / 2)))
        i, j, k = (int(axis[at]) for axis in self._which)
        return (i, j, k), float(self.heads[at] / self.n)
