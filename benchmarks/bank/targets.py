"""Targets of the bank: off-centre, skewed, anisotropic, in 1 to 64 dimensions."""

from __future__ import annotations

from functools import cache

import numpy as np
from scoreproof.theory import Gaussian, GaussianMixture


@cache
def line() -> GaussianMixture:
    """Three unequal, partly overlapping components on the line."""
    return GaussianMixture([0.5, 0.3, 0.2], [[-1.2], [0.4], [2.1]], [0.09, 0.25, 0.5])


@cache
def plane() -> GaussianMixture:
    """Three tilted components of weights .6, .3, .1."""
    covariances = [[[1, 0.5], [0.5, 0.8]], [[0.3, -0.1], [-0.1, 0.5]], [[0.4, 0], [0, 0.2]]]
    return GaussianMixture([0.6, 0.3, 0.1], [[0, 0], [3, 1], [-2, 2.0]], covariances)


@cache
def overlapping() -> GaussianMixture:
    """Two components in the plane whose labels can hardly be told from a draw."""
    covariances = [[[1.0, 0.4], [0.4, 0.7]], [[0.8, -0.2], [-0.2, 0.9]]]
    return GaussianMixture([0.65, 0.35], [[0.3, -0.2], [1.6, 0.9]], covariances)


def _axes(dim: int, seed: int, count: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.linalg.qr(rng.standard_normal((count, dim, dim)))[0]


@cache
def spectrum(dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvectors in columns and increasing eigenvalues of :func:`gaussian`."""
    return _axes(dim, 10 + dim)[0], np.geomspace(0.05, 4.0, dim)


@cache
def gaussian(dim: int) -> Gaussian:
    """Eigenvalues from .05 to 4 in rotated axes, off-centre."""
    axes, values = spectrum(dim)
    mean = np.random.default_rng(dim).standard_normal(dim)
    return Gaussian(mean, (axes * values) @ axes.T)


@cache
def modes(dim: int, count: int) -> GaussianMixture:
    """Mixtures with spectra from .02 to 2 in axes of their own and weights in proportion to 1, 2, 3, ..."""
    axes = _axes(dim, 640 + dim, count)
    covariances = (axes * np.geomspace(0.02, 2.0, dim)) @ axes.transpose(0, 2, 1)
    means = 0.9 * np.random.default_rng(dim).standard_normal((count, dim))
    weights = np.arange(1, count + 1)
    return GaussianMixture(weights / weights.sum(), means, covariances)


def whitened(dim: int, mean: np.ndarray | None, covariance: np.ndarray | None) -> Gaussian:
    """The Gaussian whose draws, whitened along the axes of :func:`gaussian`, have this mean and covariance."""
    axes, values = spectrum(dim)
    root = axes * np.sqrt(values)
    shift = np.zeros(dim) if mean is None else mean
    inner = np.eye(dim) if covariance is None else covariance
    return Gaussian(gaussian(dim).mean + root @ shift, root @ inner @ root.T)


def unit(dim: int, seed: int) -> np.ndarray:
    """A random unit vector."""
    v = np.random.default_rng(seed).standard_normal(dim)
    return v / np.linalg.norm(v)
