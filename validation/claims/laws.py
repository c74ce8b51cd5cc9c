"""The laws on which the ledger is decided: skewed, off-centre, anisotropic.

A symmetric unit Gaussian hides errors of sign and scale; none of these does.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ...theory.mixtures import Gaussian, GaussianMixture
from ...theory.protocols import Vector


@cache
def skewed_1d() -> GaussianMixture:
    """Three unequal components on the line."""
    return GaussianMixture([0.5, 0.3, 0.2], [[-1.2], [0.4], [2.1]], [[0.09], [0.25], [0.5]])


@cache
def skewed_2d() -> GaussianMixture:
    """Three tilted components in the plane, off-centre."""
    covariances = [[[0.5, 0.3], [0.3, 0.4]], [[0.2, -0.1], [-0.1, 0.6]], [[1.0, 0.2], [0.2, 0.15]]]
    return GaussianMixture([0.45, 0.35, 0.2], [[1.0, -0.5], [-1.2, 0.8], [0.3, 2.0]], covariances)


@cache
def skewed_8d() -> GaussianMixture:
    """Three components in eight dimensions with eigenvalues from 0.05 to 2 in rotated axes."""
    rng = np.random.default_rng(20240508)
    rotations = np.linalg.qr(rng.standard_normal((3, 8, 8)))[0]
    spectrum = np.geomspace(0.05, 2.0, 8)
    covariances = np.einsum("kij,j,klj->kil", rotations, spectrum, rotations)
    return GaussianMixture([0.5, 0.3, 0.2], 1.5 * rng.standard_normal((3, 8)), covariances)


@cache
def tilted_gaussian() -> Gaussian:
    """A Gaussian in three dimensions with condition number about 60, off-centre."""
    root = np.array([[1.2, 0.0, 0.0], [0.7, 0.5, 0.0], [-0.4, 0.3, 0.25]])
    return Gaussian([1.5, -0.7, 0.4], root @ root.T)


def points_of(law: GaussianMixture, n: int = 64, *, reach: float = 3.0) -> Vector:
    """``n`` fixed points spread over the law and its near tails, shape ``(n, d)``.

    They are exact draws of the law from a fixed stream, pushed away from the mean by up to ``reach``.
    """
    rng = np.random.default_rng(7)
    draws = law.transport(rng.random(n), rng.standard_normal((n, law.dim)))
    return law.mean + (draws - law.mean) * np.linspace(0.1, reach, n)[:, None]
