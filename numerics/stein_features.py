"""Functions of mean zero by construction: the Langevin generator of a law applied to test functions.

For ``L u = Delta u + s . grad u`` with the score ``s`` of p, ``E_p L u = int div(p grad u) = 0`` whenever ``p grad u``
decays. Where the terms of an identity are themselves of the form ``m . s + div m``, they are a combination of few of
these. Weights, means and covariances of a mixture enter, through code of its own: a wrong score
in the terms cannot cancel itself.

References: Assaraf and Caffarel 1999; Oates, Girolami and Chopin 2017 (control functionals).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from typing import Any

import numpy as np
from scipy import special

from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Vector
from .features import (
    Features,
    cf_features,
    default_features,
    fourier_grid,
    mixture_of,
    rao_features,
)

_MOST = 6  #: components up to which neighbours and bumps are fewer than a small pilot
_SPACINGS = {1: (1.0, 0.5), 2: (1.0, 0.8)}  #: of bumps, by dimension
_WAVES = 40
_REACH = 3.0  #: standard deviations of a component that its bumps cover


@dataclass(frozen=True)
class _Frame:
    """A mixture in the coordinates ``z_k = W_k (x - mu_k)`` of its components, ``W_k Sigma_k W_k' = I``."""

    log_norm: Vector
    means: Vector
    white: Vector  # (K, d, d)
    trace: Vector  # of -Sigma_k^{-1}, (K,)

    @classmethod
    def of(cls, law: GaussianMixture) -> _Frame:
        covariances = np.asarray(law.covariances)
        white = np.asarray(np.linalg.inv(np.linalg.cholesky(covariances)), dtype=np.float64)
        half = np.log(np.diagonal(white, axis1=1, axis2=2)).sum(axis=1)
        return cls(
            np.log(np.asarray(law.weights)) + half,
            np.asarray(law.means),
            white,
            -(white**2).sum(axis=(1, 2)),
        )

    def at(self, x: Vector) -> _Point:
        z = np.einsum("kij,knj->kni", self.white, x[None] - self.means[:, None])
        r = special.softmax(self.log_norm[:, None] - 0.5 * (z * z).sum(axis=-1), axis=0)
        pull = -np.einsum("kij,kni->knj", self.white, z)
        s = np.einsum("kn,knj->nj", r, pull)
        curve = (pull * pull).sum(axis=-1) + self.trace[:, None]
        return _Point(z, r, pull, s, (r * curve).sum(axis=0) - (s * s).sum(axis=1))


@dataclass(frozen=True)
class _Point:
    """``z_k``, posterior weights, ``g_k = grad log N_k``, ``s`` and ``div s`` at n points."""

    z: Vector
    r: Vector
    pull: Vector
    score: Vector
    divergence: Vector


def neighbour_features(law: GaussianMixture, size: float = 0.3) -> Features:
    """``L log q`` for mixtures ``q`` near the law, one parameter moved at a time, and for the law itself.

    Log-weights move by +-1, means by ``size`` standard deviations, covariances by ``exp(size A)`` with ``A`` one
    entry of a symmetric matrix. Differences of the ``log q`` stay as tame as a score in tails and at the borders of
    components, where derivatives of ``log p`` by parameters do not.
    """
    frames = [_Frame.of(law), *(_Frame.of(q) for q in _neighbours(law, size))]

    def evaluate(x: Vector) -> Vector:
        points = [frame.at(x) for frame in frames]
        s = points[0].score
        return np.stack([q.divergence + (q.score * s).sum(axis=1) for q in points], axis=1)

    return Features(evaluate, len(frames), "Stein, neighbours")


def _neighbours(law: GaussianMixture, size: float) -> Iterator[GaussianMixture]:
    weights, means = np.asarray(law.weights), np.asarray(law.means)
    covariances = np.asarray(law.covariances)
    one = np.eye(law.dim)
    for k, sign in product(range(law.components), (1.0, -1.0)):
        if law.components > 1:
            moved = weights * np.where(np.arange(law.components) == k, math.exp(sign), 1.0)
            yield GaussianMixture(moved / moved.sum(), means, covariances)
        root = np.linalg.cholesky(covariances[k])
        for i in range(law.dim):
            other = means.copy()
            other[k] += sign * size * root[:, i]
            yield GaussianMixture(weights, other, covariances)
        for i, j in combinations_with_replacement(range(law.dim), 2):
            entry = sign * size * (np.outer(one[i], one[j]) + np.outer(one[j], one[i]))
            lam, turn = np.linalg.eigh(0.5 * entry)
            factor = root @ (turn * np.exp(lam)) @ turn.T @ root.T
            wider = covariances.copy()
            wider[k] = 0.5 * (factor + factor.T)
            yield GaussianMixture(weights, means, wider)


def bump_features(law: GaussianMixture, spacing: float) -> Features:
    """``L u`` for ``u = exp(-|z_k - c|^2 / (2 l^2))``, ``l = spacing``, ``c`` on a lattice in every component.

    ``L u = u [(y'M y - l^2 tr M)/l^4 - y . W s / l^2]`` with ``y = z_k - c`` and ``M = W W'``.
    """
    frame, dim = _Frame.of(law), int(law.dim)
    steps = math.floor(_REACH / spacing)
    axis = spacing * np.arange(-steps, steps + 1)
    grid = np.stack(np.meshgrid(*[axis] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
    centres = grid[(grid**2).sum(axis=1) <= _REACH**2 + 1e-9]
    square = spacing**2

    def evaluate(x: Vector) -> Vector:
        at = frame.at(x)
        found = []
        for k, white in enumerate(frame.white):
            metric, drift = white @ white.T, at.score @ white.T
            z = at.z[k]
            distance = ((z[:, None] - centres) ** 2).sum(axis=-1)
            stretched = z @ metric
            quadratic = (
                (stretched * z).sum(axis=1)[:, None]
                - 2 * stretched @ centres.T
                + ((centres @ metric) * centres).sum(axis=1)
            )
            along = (z * drift).sum(axis=1)[:, None] - drift @ centres.T
            inner = (quadratic / square - np.trace(metric) - along) / square
            found.append(np.exp(-0.5 * distance / square) * inner)
        return np.concatenate(found, axis=1)

    return Features(evaluate, law.components * len(centres), f"Stein, bumps {spacing:g} apart")


def identity_features(law: Any) -> list[Features]:
    """Families for identities under ``law``: those of :func:`default_features` up to quadratic ones, and Stein's.

    Only mixtures of one and two dimensions have the latter: of other laws the score is known by the tested code alone.
    """
    families, mixture = default_features(law), mixture_of(law)
    if mixture is None or law.dim > max(_SPACINGS) or mixture.components > _MOST:
        return families
    stein, fine = neighbour_features(mixture), _SPACINGS[law.dim]
    near = stein + rao_features(mixture, 2)
    waves = cf_features(mixture, fourier_grid(mixture, _WAVES))
    wide = stein + rao_features(mixture, 4) + waves
    bumps = [bump_features(mixture, s) for s in fine]
    return [*families[1:5:3], near, near + bumps[0], *(wide + b for b in bumps)]
