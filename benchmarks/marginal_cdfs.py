"""Exact distribution functions of the coordinates of the bank's targets, and draws mapped through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import special
from scoreproof.numerics.rosenblatt import ChainNormals
from scoreproof.theory import GaussianMixture, PointMasses
from scoreproof.theory.chains import Chain
from scoreproof.theory.densities_2d import Ring

Cdf = Callable[[np.ndarray], np.ndarray]
_NODES = 4001


@dataclass(frozen=True)
class Coordinates:
    """``F_j`` of every coordinate of a law, ``(n,) -> (n,)``, continuous from the right.

    Mixtures and laws of the line have them in closed form. The second coordinate of a chain is integrated over the
    first, that of a ring over its radius, by 4,001 nodes: far below the ``1/sqrt(n)`` that a test can see.
    """

    cdfs: list[Cdf]
    discrete: bool

    @classmethod
    def of(cls, law: Any) -> Coordinates:
        """Those of a target of the bank."""
        inner = law
        while not isinstance(inner, GaussianMixture) and hasattr(inner, "law"):
            inner = inner.law
        if isinstance(inner, GaussianMixture):
            return cls([partial(_of_line, inner.project(e)) for e in np.eye(inner.dim)], False)
        if isinstance(inner, PointMasses):
            return cls([partial(_of_atoms, p, inner.weights) for p in inner.points.T], True)
        if isinstance(inner, Chain):
            return cls([partial(_first, ChainNormals(inner)), partial(_second, inner)], False)
        if isinstance(inner, Ring):
            return cls([partial(_of_ring, inner, j) for j in range(2)], False)
        return cls([partial(_of_line, inner)], False)

    def uniforms(self, x: np.ndarray) -> list[np.ndarray]:
        """``F_j(x_j)``, one array a coordinate."""
        return [f(column) for f, column in zip(self.cdfs, x.T, strict=True)]


def _of_line(law: Any, x: np.ndarray) -> np.ndarray:
    return np.asarray(law.cdf(x[:, None])).reshape(-1)


def _of_atoms(values: np.ndarray, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    order = np.argsort(values)
    below = np.concatenate([[0.0], np.cumsum(weights[order])])
    return below[np.searchsorted(values[order], x, side="right")]


def _first(normals: ChainNormals, x: np.ndarray) -> np.ndarray:
    return special.ndtr(normals(np.stack([x, np.zeros_like(x)], axis=1))[:, 0])


def _second(law: Chain, x: np.ndarray) -> np.ndarray:
    centre, width = law.anchors[0]
    s = np.linspace(centre - 10 * width, centre + 10 * width, _NODES)
    p = np.exp(np.asarray(law.first(s)[0]))
    (mean, *_), (variance, *_) = law.second(s)
    sd = np.sqrt(variance)
    return _tabled(lambda y: special.ndtr((y - mean) / sd) @ p / p.sum(), x)


def _of_ring(law: Ring, j: int, x: np.ndarray) -> np.ndarray:
    levels = (np.arange(_NODES) + 0.5) / _NODES
    ahead = np.tile([1.0, 0.0], (_NODES, 1))
    r = (law.transport(levels, ahead) - law.centre)[:, 0]
    at = law.centre[j]
    return _tabled(lambda y: 1 - np.arccos(np.clip((y - at) / r, -1, 1)).mean() / np.pi, x)


def _tabled(f: Callable[[float], float], x: np.ndarray) -> np.ndarray:
    """Linear interpolation between the values at 4,001 quantiles of x, its ends included."""
    grid = np.unique(np.quantile(x, np.linspace(0, 1, _NODES)))
    return np.interp(x, grid, np.array([f(float(y)) for y in grid]))
