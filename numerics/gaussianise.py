"""Draws to labels and normals whose law is known exactly, in any dimension.

For a mixture draw a label ``c`` from the posterior weights ``r_k(x)`` and set
``z = Sigma_c^{-1/2} (x - mu_c)``. If ``x ~ p`` then ``c ~ weights`` and ``z ~ N(0, I_d)`` independently, because
``(c, x)`` has the joint law under which ``p`` is its marginal. Every statistic of ``(c, z)`` then has an exact
law at any number of draws. One-dimensional laws go through their distribution function,
``z = Phi^{-1}(F(x))``; point masses have labels only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..theory._checks import bad
from ..theory.chains import Chain
from ..theory.densities_2d import Ring
from ..theory.densities_positive import Gamma, LogNormal
from ..theory.empirical import DiffusedPoints, PointMasses
from ..theory.guidance import ClassMixture
from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Vector
from .convolved import Convolved
from .drifts import LineDrifts
from .line_density import convolved_line
from .quantile_table import QuantileTable
from .rosenblatt import ChainNormals, normal_of, ring_normals
from .rosenblatt_diffused import USEFUL, plane_map

FEW = 6  #: components up to which posterior weights are handed on
SOME = 64  #: components up to which alternatives on the line follow from the score of the law
FLAT = 3  #: dimensions up to which draws are whitened by every component
_BLOCK = 1 << 22  #: entries of one (rows, K) array of posterior weights
_FAR = 1e5  #: |z| beyond which a draw counts as just this far; never reached by N(0, 1)
_SLACK = 1e-5  #: a draw this near to an atom, relative to the spread of the atoms, is that atom


@dataclass(frozen=True)
class Gaussianised:
    """Labels and normals of a batch.

    Attributes:
        labels: ``(n,)``.
        z: ``(n, d)``; ``d`` is zero for laws of atoms.
        whole: ``Phi^{-1}(F(x))``, ``(n, 1)``, of mixtures on the line; N(0, 1) under the law, not independent of z.
        ratios: ``r_k(x) / w_k``, ``(n, K)``, of mixtures with few components; of mean one under the law.
        each: the draw as every component whitens it, ``(n, K, d)``, of mixtures with few components in few dimensions.
    """

    labels: np.ndarray[Any, np.dtype[np.int64]]
    z: Vector
    whole: Vector | None = None
    ratios: Vector | None = None
    each: Vector | None = None


@dataclass(frozen=True)
class Frame:
    """What the law singles out among whitened directions.

    Attributes:
        spectrum: eigenvalues behind the whitened coordinates, ``(d,)``; of mixtures their geometric means.
        axes: ``Sigma^{-1/2} e_j sd_j`` in rows, ``(d, d)``: where z moves if coordinate j of x moves by its standard
            deviation. None for mixtures.
        mean: ``Sigma^{-1/2} mu``, ``(d,)``; None for mixtures.
        spectra: eigenvalues of every component, ``(K, d)``.
        line: alternatives to a mixture on the line; None elsewhere.
    """

    spectrum: Vector
    axes: Vector | None
    mean: Vector | None
    spectra: Vector
    line: LineDrifts | None = None


class Gaussianiser(Protocol):
    """A fixed map from draws of one law to labels and normals."""

    @property
    def weights(self) -> Vector:
        """Exact probabilities of the labels, shape ``(K,)``; zero for "no atom at all"."""
        ...

    @property
    def dim(self) -> int:
        """Number of normals that come out of each draw."""
        ...

    @property
    def error(self) -> float:
        """Relative error of the density of ``z`` for exact draws; zero where the map is exact."""
        ...

    @property
    def frame(self) -> Frame | None:
        """Special directions, where the law has some."""
        ...

    def __call__(self, x: Vector, *, rng: np.random.Generator) -> Gaussianised:
        """Labels and normals of the draws ``x`` of shape ``(n, d)``."""
        ...


def gaussianiser(law: Any) -> Gaussianiser:
    """The exact map for ``law``.

    Mixtures, also of classes (and marginals whose law is one), diffused point masses, point masses, one-dimensional
    laws with ``cdf``, the laws of the plane of :mod:`scoreproof.theory`, both diffused by quadrature too, and laws
    that offer ``normalise(x) -> z``, the inverse of an exact transport.

    Raises:
        ValueError: no exact map is known for this law.
    """
    inner = law
    while not isinstance(inner, GaussianMixture) and hasattr(inner, "kernel"):
        if not hasattr(inner, "law"):
            break
        inner = inner.law
    if isinstance(inner, GaussianMixture):
        return _Mixture(inner)
    if isinstance(inner, PointMasses):
        return _Atoms(inner.points, inner.weights)
    if isinstance(inner, DiffusedPoints):
        return _Diffused(inner)
    if isinstance(inner, Chain):
        return _Transported(2, ChainNormals(inner))
    if isinstance(inner, Ring):
        ring = inner
        return _Transported(2, lambda x: ring_normals(ring, x))
    if hasattr(inner, "normalise"):
        return _Transported(inner.dim, inner.normalise)
    if isinstance(inner, ClassMixture):
        return _Mixture(_flattened(inner))
    if isinstance(inner, Convolved) and isinstance(inner.base, Gamma | LogNormal):
        line = convolved_line(inner)
        if line.error < USEFUL:
            return _Transported(1, lambda x: line.normal(x[:, 0])[:, None], error=line.error)
    if isinstance(inner, Convolved) and inner.dim == 1:
        table = QuantileTable(inner)
        return _Transported(1, table, error=table.error)
    plane = plane_map(inner) if isinstance(inner, Convolved) else None
    if plane is not None:
        return _Transported(2, plane, error=plane.error)
    if hasattr(inner, "cdf") and inner.dim == 1:
        return _Quantile(inner)
    raise bad(
        "target",
        type(law).__name__,
        "a mixture, (diffused) point masses, a one-dimensional law with cdf, or a law with normalise(x)",
        "no exact Gaussianisation for this law is known",
    )


def _flattened(law: ClassMixture) -> GaussianMixture:
    """All components of all classes as one mixture."""
    weights = [p * part.weights for p, part in zip(law.probabilities, law.laws, strict=True)]
    means = np.concatenate([part.means for part in law.laws])
    diagonal = all(part.basis.vectors is None for part in law.laws)
    spread = [
        np.broadcast_to(part.basis.values, part.means.shape) if diagonal else part.covariances
        for part in law.laws
    ]
    return GaussianMixture(np.concatenate(weights), means, np.concatenate(spread))


def _pick(r: Vector, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
    """One label a row from posterior weights ``(n, K)``."""
    u = rng.random(r.shape[0])
    below = np.cumsum(r, axis=1)
    # The last partial sum may fall short of one by rounding.
    labels = (u[:, None] * below[:, -1:] > below).sum(axis=1)
    return np.minimum(labels, r.shape[1] - 1).astype(np.int64)


def _tame(z: Vector) -> Vector:
    return np.clip(np.nan_to_num(z, nan=_FAR, posinf=_FAR, neginf=-_FAR), -_FAR, _FAR)


class _Mixture:
    """Posterior label, then whitening along the principal axes of its component.

    The axes are taken in order of eigenvalue, so that defects that live in the small (or large) eigen-directions of
    every component add up.
    """

    error = 0.0

    def __init__(self, law: GaussianMixture) -> None:
        self.law = law
        self.weights, self.dim = law.weights, law.dim
        self.frame = _frame(law)

    def __call__(self, x: Vector, *, rng: np.random.Generator) -> Gaussianised:
        n, k = x.shape[0], self.law.components
        labels = np.zeros(n, dtype=np.int64)
        ratios = np.empty((n, k)) if 1 < k <= FEW else None
        if k > 1:
            rows = max(1, _BLOCK // k)
            with np.errstate(
                all="ignore"
            ):  # draws from outer space overflow; they are tamed below
                for i in range(0, n, rows):
                    r = self.law.responsibilities(x[i : i + rows])
                    r = np.where(np.isfinite(r).all(axis=1, keepdims=True), r, self.weights)
                    labels[i : i + rows] = _pick(r, rng)
                    if ratios is not None:
                        ratios[i : i + rows] = r / self.weights
        each = None
        if ratios is not None and self.dim <= FLAT:
            each = np.stack(
                [_tame(self._white(j, x - self.law.means[j])) for j in range(k)], axis=1
            )
        z = np.empty((n, self.dim))
        for j in np.unique(labels):
            mine = labels == j if k > 1 else slice(None)
            z[mine] = self._white(int(j), x[mine] - self.law.means[j])
        whole = None
        if k > 1 and self.dim == 1:
            whole = _tame(normal_of(np.asarray(self.law.cdf(x)).reshape(-1, 1)))
        return Gaussianised(labels, _tame(z), whole, ratios, each)

    def _white(self, k: int, off: Vector) -> Vector:
        basis = self.law.basis
        if basis.vectors is None:
            return off / np.sqrt(basis.values[k])
        inner = off @ basis.vectors[k]
        if basis.noise is None:
            return inner / np.sqrt(basis.values[k])
        # Low rank: no axes outside the factors, so the symmetric root in the given coordinates.
        root = 1 / np.sqrt(basis.noise[k])
        return off * root + (inner * (1 / np.sqrt(basis.values[k]) - root)) @ basis.vectors[k].T


def _frame(law: GaussianMixture) -> Frame | None:
    """Directions of coordinates and of the mean, in the axes of :meth:`_Mixture._white`."""
    basis = law.basis
    if basis.noise is not None:
        return None
    spectra = basis.eigenvalues()
    spectrum = np.exp(np.log(spectra).mean(axis=0))
    if law.components > 1:
        line = LineDrifts(law) if law.dim == 1 and law.components <= SOME else None
        return Frame(spectrum, None, None, spectra, line)
    root = np.sqrt(spectrum)
    vectors = np.eye(law.dim) if basis.vectors is None else basis.vectors[0]
    axes = vectors / root * np.sqrt((vectors**2 @ spectrum)[:, None])
    return Frame(spectrum, axes, law.means[0] @ vectors / root, spectra)


class _Diffused:
    """Diffused point masses: an isotropic mixture with one component a data point."""

    error, frame = 0.0, None

    def __init__(self, law: Any) -> None:
        self.law, self.dim = law, law.dim
        self.points = np.asarray(law.points, dtype=np.float64)
        self.weights = np.asarray(law.weights, dtype=np.float64)

    def __call__(self, x: Vector, *, rng: np.random.Generator) -> Gaussianised:
        rows = max(1, _BLOCK // len(self.weights))
        labels = np.empty(x.shape[0], dtype=np.int64)
        with np.errstate(all="ignore"):
            for i in range(0, x.shape[0], rows):
                r = np.asarray(self.law.responsibilities(x[i : i + rows]))
                r = np.where(np.isfinite(r).all(axis=1, keepdims=True), r, self.weights)
                labels[i : i + rows] = _pick(r, rng)
        z = (x - self.law.scale * self.points[labels]) / np.sqrt(self.law.variance)
        return Gaussianised(labels, _tame(z))


class _Atoms:
    """Point masses: the label of the atom that the draw is; the last label means none of them."""

    error, frame = 0.0, None
    dim = 0

    def __init__(self, points: Vector, weights: Vector) -> None:
        _, at, where = np.unique(
            points.astype(np.float64), axis=0, return_index=True, return_inverse=True
        )
        merged = np.bincount(where.ravel(), weights=weights, minlength=len(at))
        # The order of the data is kept: sums of its first weights tell more than those of sorted points.
        order = np.argsort(at)
        self.points = points[at[order]].astype(np.float64)
        self.weights = np.append(merged[order], 0.0)
        self._slack = _SLACK * max(float(np.abs(self.points).max()), np.finfo(np.float64).tiny)

    def __call__(self, x: Vector, *, rng: np.random.Generator) -> Gaussianised:
        labels = np.empty(x.shape[0], dtype=np.int64)
        rows = max(1, _BLOCK // len(self.points))
        squares = (self.points**2).sum(axis=1)
        for i in range(0, x.shape[0], rows):
            block = x[i : i + rows]
            nearest = np.argmin(squares - 2 * block @ self.points.T, axis=1)
            off = np.abs(block - self.points[nearest]).max(axis=1)
            labels[i : i + rows] = np.where(off <= self._slack, nearest, len(self.points))
        return Gaussianised(labels, np.empty((x.shape[0], 0)))


class _Quantile:
    """``z = Phi^{-1}(F(x))``, through the upper tail where that is the smaller one."""

    dim, error, frame = 1, 0.0, None
    weights = np.ones(1)

    def __init__(self, law: Any) -> None:
        self.law = law

    def __call__(self, x: Vector, *, rng: np.random.Generator) -> Gaussianised:
        u = np.asarray(self.law.cdf(x), dtype=np.float64).reshape(-1, 1)
        z = normal_of(u)
        outside = (u <= 0) | (u >= 1)
        if outside.any() and hasattr(self.law, "log_prob"):
            # Outside the support the law has no mass: such a draw must not pass for a tail.
            empty = np.isneginf(np.asarray(self.law.log_prob(x)).reshape(-1, 1))
            z = np.where(empty, np.where(u <= 0, -_FAR, _FAR), z)
        return Gaussianised(np.zeros(x.shape[0], dtype=np.int64), _tame(z))


class _Transported:
    """Laws with the inverse of an exact transport, ``normalise(x) ~ N(0, I)``."""

    weights, frame = np.ones(1), None

    def __init__(
        self, dim: int, normalise: Callable[[Vector], Vector], *, error: float = 0.0
    ) -> None:
        self.dim, self.error, self._normalise = dim, error, normalise

    def __call__(self, x: Vector, *, rng: np.random.Generator) -> Gaussianised:
        z = np.asarray(self._normalise(x), dtype=np.float64)
        return Gaussianised(np.zeros(x.shape[0], dtype=np.int64), _tame(z))
