"""Functions of mean zero by construction: the Langevin generator of a law applied to test functions.

For ``L u = Delta u + s . grad u`` with the score ``s`` of p, ``E_p L u = int div(p grad u) = 0`` whenever ``p grad u``
decays. Where the terms of an identity are themselves of the form ``m . s + div m``, that is what they are a combination
of, and a combination of few. Weights, means and covariances of a mixture enter, through code of its own: a wrong score
in the terms cannot cancel itself.

References: Assaraf and Caffarel 1999; Oates, Girolami and Chopin 2017 (control functionals).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Vector
from .features import Features, _multi_indices

_REACH = 3.0  #: standard deviations of a component that its bumps cover


@dataclass(frozen=True)
class _Frame:
    """A mixture in the coordinates ``z_k = W_k (x - mu_k)`` of its components, ``W_k Sigma_k W_k' = I``."""

    log_norm: Vector
    means: Vector
    white: Vector  # (K, d, d)

    @classmethod
    def of(cls, law: GaussianMixture) -> _Frame:
        covariances = np.asarray(law.covariances)
        white = np.linalg.inv(np.linalg.cholesky(covariances))
        half = np.log(np.diagonal(white, axis1=1, axis2=2)).sum(axis=1)
        return cls(np.log(np.asarray(law.weights)) + half, np.asarray(law.means), white)

    def at(self, x: Vector) -> _Point:
        z = np.einsum("kij,knj->kni", self.white, x[None] - self.means[:, None])
        r = special.softmax(self.log_norm[:, None] - 0.5 * (z * z).sum(axis=-1), axis=0)
        pull = -np.einsum("kij,kni->knj", self.white, z)
        trace = -(self.white**2).sum(axis=(1, 2))
        s = np.einsum("kn,knj->nj", r, pull)
        square = (pull * pull).sum(axis=-1)
        divergence = (r * (trace[:, None] + square)).sum(axis=0) - (s * s).sum(axis=1)
        return _Point(z, r, pull, square + trace[:, None], s, divergence)


@dataclass(frozen=True)
class _Point:
    """``z_k``, posterior weights, ``g_k = grad log N_k``, ``|g_k|^2 + div g_k``, ``s`` and ``div s`` at n points."""

    z: Vector
    r: Vector
    pull: Vector
    curve: Vector
    score: Vector
    divergence: Vector


def tangent_features(law: GaussianMixture, degree: int = 2) -> Features:
    """``L u`` for ``u = log p`` and ``u = r_k H_a(z_k)``, ``|a| <= degree``, the derivatives of ``log p`` by parameters.

    They span, to first order, the identities of every mixture near the law. With ``g_k = grad log N_k``,

        L (r_k h) = r_k [Delta h + (2 g_k - s) . grad h + h (|g_k|^2 + div g_k - g_k . s - div s)].
    """
    frame, dim = _Frame.of(law), int(law.dim)
    indices = [(), *_multi_indices(dim, degree, False)]
    parts = law.components * len(indices)

    def evaluate(x: Vector) -> Vector:
        at = frame.at(x)
        out = np.empty((len(x), parts + 1))
        out[:, -1] = at.divergence + (at.score**2).sum(axis=1)
        column = 0
        for k, white in enumerate(frame.white):
            drift = (2 * at.pull[k] - at.score) @ white.T
            rest = at.curve[k] - (at.pull[k] * at.score).sum(axis=1) - at.divergence
            metric = white @ white.T
            table = _hermite(at.z[k], degree)
            for index in indices:
                out[:, column] = at.r[k] * _generator(table, index, metric, drift, rest)
                column += 1
        return out

    return Features(evaluate, parts + 1, f"Stein, posterior weights x Hermite {degree}")


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


def _hermite(z: Vector, degree: int) -> list[Vector]:
    """Normalised Hermite polynomials ``He_j(z) / sqrt(j!)``, ``j <= degree``, each ``(n, d)``."""
    table = [np.ones_like(z), z]
    for g in range(1, degree):
        table.append((z * table[g] - math.sqrt(g) * table[g - 1]) / math.sqrt(g + 1))
    return table


def _generator(
    table: list[Vector],
    index: tuple[tuple[int, int], ...],
    metric: Vector,
    drift: Vector,
    rest: Vector,
) -> Vector:
    """``sum M_ij d_ij h + drift . grad h + rest h`` for a product ``h`` of Hermite polynomials, ``h_j' = sqrt(j) h_{j-1}``."""

    def derived(*by: int) -> Vector | float:
        value: Vector | float = 1.0
        for i, power in index:
            order = by.count(i)
            if order > power:
                return 0.0
            factor = math.sqrt(math.perm(power, order))
            value = value * (factor * table[power - order][:, i])
        return value

    total = rest * derived()
    used = [i for i, _ in index]
    for i in used:
        total = total + drift[:, i] * derived(i)
        for j in used:
            total = total + metric[i, j] * derived(i, j)
    return total
