"""One batch of labels and normals as both machines see it; what both need is computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from ..theory.protocols import Vector
from .gaussianise import Gaussianised

GRID = 2048  #: cells of a distribution function; the slack is half a thousandth
PROJECTIONS = 32
COORDINATES = 64  #: coordinates whose distribution functions are followed


@dataclass(frozen=True)
class View:
    """One batch as the machines see it.

    Attributes:
        labels: ``(n,)``.
        z: ``(n, d)``.
        columns: coordinates and projections, ``(n, m)``.
        whole: the normal score of the draw under the law as a whole, ``(n, 1)``, where that is not ``z`` itself.
        ratios: ``r_k(x) / w_k``, ``(n, K)``, where there are few components.
        each: the draw as every component whitens it, ``(n, K, d)``, where dimensions are few too.
    """

    labels: np.ndarray
    z: Vector
    columns: Vector
    whole: Vector | None = None
    ratios: Vector | None = None
    each: Vector | None = None

    @cached_property
    def followed(self) -> np.ndarray:
        """Indices of the columns whose distribution functions are followed."""
        d = self.z.shape[1]
        return np.r_[0 : min(d, COORDINATES), d : self.columns.shape[1]]

    @cached_property
    def levels(self) -> Vector:
        """``Phi`` of the followed columns."""
        return special.ndtr(self.columns[:, self.followed])

    @cached_property
    def grid(self) -> Vector:
        """Counts ``(followed, GRID)`` of :attr:`levels`."""
        return histogram(self.levels)

    @cached_property
    def squares(self) -> Vector:
        """``|z|^2``, ``(n,)``."""
        return np.einsum("ij,ij->i", self.z, self.z)

    @cached_property
    def radii(self) -> Vector:
        """``P(chi2_d <= |z|^2)``, ``(n, 1)``."""
        return special.chdtr(self.z.shape[1], self.squares)[:, None]

    @cached_property
    def radius_grid(self) -> Vector:
        """Counts ``(1, GRID)`` of :attr:`radii`."""
        return histogram(self.radii)


@dataclass(frozen=True)
class Directions:
    """Coordinates and fixed random unit vectors ``(d, r)``, drawn once from the seed of the run."""

    vectors: Vector

    @classmethod
    def drawn(cls, dim: int, rng: np.random.Generator) -> Directions:
        """32 uniform directions where there is more than one dimension, else none."""
        raw = rng.standard_normal((dim, PROJECTIONS if dim > 1 else 0))
        return cls(raw / np.linalg.norm(raw, axis=0))

    def view(self, batch: Gaussianised) -> View:
        """Coordinates first, projections after them."""
        columns = np.concatenate([batch.z, batch.z @ self.vectors], axis=1)
        return View(batch.labels, batch.z, columns, batch.whole, batch.ratios, batch.each)


def histogram(u: Vector) -> Vector:
    """Counts ``(m, grid)`` of probabilities ``(n, m)``."""
    cell = np.minimum((u * GRID).astype(np.int64), GRID - 1)
    cell += np.arange(u.shape[1]) * GRID
    flat = np.bincount(cell.ravel(), minlength=u.shape[1] * GRID)
    return flat.reshape(u.shape[1], GRID).astype(float)


class Sketch:
    """How often one coordinate fell into cells of width 5e-4: the column of draws in memory that does not grow."""

    REACH, WIDTH = 8.0, 5e-4  #: draws beyond count as just this far

    def __init__(self) -> None:
        self.values = np.arange(-self.REACH, self.REACH + self.WIDTH / 2, self.WIDTH)
        self.counts = np.zeros(len(self.values))

    def add(self, z: Vector) -> None:
        """Adds ``(n,)``."""
        at = (np.clip(z, -self.REACH, self.REACH) + self.REACH) / self.WIDTH
        cells = np.rint(at).astype(np.int64)
        self.counts += np.bincount(cells, minlength=len(self.values))
