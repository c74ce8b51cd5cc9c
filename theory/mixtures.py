"""Gaussians and Gaussian mixtures: every quantity that score-based models need, in closed form.

With posterior weights ``r_k(x) = w_k N(x; mu_k, Sigma_k) / p(x)`` and component scores
``s_k = -Sigma_k^{-1} (x - mu_k)``:

* ``log p = logsumexp_k [log w_k + log N(x; mu_k, Sigma_k)]``
* ``s = sum_k r_k s_k``
* ``grad s = sum_k r_k (s_k - s)(s_k - s)' - sum_k r_k Sigma_k^{-1}`` (no cancellation of squares)
* ``x_0`` given ``x_t = a x_0 + sd eps`` is a mixture again: weights ``r_k`` of the diffused law, means
  ``mu_k + a Sigma_k S_k^{-1} (x_t - a mu_k)``, covariances ``sd^2 Sigma_k S_k^{-1}``, with
  ``S_k = a^2 Sigma_k + sd^2 I``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import special

from ._checks import bad, parameter, simplex
from .arrays import as_points, like, logsumexp, namespace
from .eigenbasis import Eigenbasis
from .protocols import Array, Vector

_BLOCK = 1 << 18  #: entries of one (K, rows, d) working array: fits a second-level cache


@dataclass(frozen=True)
class Posterior:
    """Law of ``x_0`` given ``x_t``: a Gaussian mixture per point.

    Attributes:
        weights: ``(..., K)``.
        means: ``(..., K, d)``.
        covariances: ``(K, d, d)``, the same at every point.
    """

    weights: Array
    means: Array
    covariances: Array


class GaussianMixture:
    """``p(x) = sum_k w_k N(x; mu_k, Sigma_k)``.

    Args:
        weights: ``(K,)``, positive, sum one.
        means: ``(K, d)``.
        covariances: ``(K, d, d)`` full, ``(K, d)`` variances of the coordinates, or ``(K,)``
            variances of isotropic components.

    Raises:
        ValueError: shapes that do not match, weights off the simplex, covariances that are not
            symmetric positive definite, or entries that are not finite.
    """

    weights: Vector
    means: Vector
    basis: Eigenbasis

    def __init__(self, weights: Any, means: Any, covariances: Any) -> None:
        mu = parameter(means, "means", 2)
        w = simplex(weights, "weights", mu.shape[0])
        basis = Eigenbasis.from_covariances(covariances, mu.shape[1])
        self._set(w, mu, basis)

    def _set(self, weights: Vector, means: Vector, basis: Eigenbasis) -> None:
        if basis.size != means.shape[0]:
            raise bad(
                "covariances", f"{basis.size} entries", f"{means.shape[0]}", "match the means"
            )
        self.weights, self.means, self.basis = weights, means, basis

    @classmethod
    def from_basis(cls, weights: Vector, means: Vector, basis: Eigenbasis) -> GaussianMixture:
        """A mixture from covariances that are already in their eigenbasis; nothing is checked."""
        law = GaussianMixture.__new__(GaussianMixture)
        law._set(weights, means, basis)
        return law

    @classmethod
    def low_rank(cls, weights: Any, means: Any, factors: Any, noise: Any) -> GaussianMixture:
        """Components ``Sigma_k = F_k F_k' + noise_k I`` with ``factors`` ``(K, d, r)``, ``noise`` ``(K,)``.

        Raises:
            ValueError: shapes that do not match, or noise that is not positive.
        """
        mu = parameter(means, "means", 2)
        w = simplex(weights, "weights", mu.shape[0])
        basis = Eigenbasis.from_factors(factors, noise, names=("factors", "noise"))
        if basis.dim != mu.shape[1]:
            raise bad("factors", f"dimension {basis.dim}", f"{mu.shape[1]}", "match the means")
        return cls.from_basis(w, mu, basis)

    @property
    def dim(self) -> int:
        """Dimension d."""
        return self.means.shape[1]

    @property
    def components(self) -> int:
        """Number K of components."""
        return self.means.shape[0]

    @cached_property
    def mean(self) -> Vector:
        """``sum_k w_k mu_k``, shape ``(d,)``."""
        return self.weights @ self.means

    @cached_property
    def covariances(self) -> Vector:
        """Dense ``Sigma_k``, shape ``(K, d, d)``."""
        return self.basis.matrix()

    @cached_property
    def covariance(self) -> Vector:
        """``sum_k w_k [Sigma_k + (mu_k - mean)(mu_k - mean)']``, shape ``(d, d)``."""
        centred = self.means - self.mean
        between = (centred * self.weights[:, None]).T @ centred
        return np.tensordot(self.weights, self.covariances, axes=1) + between

    def diffuse(self, scale: float, variance: float) -> GaussianMixture:
        """Law of ``scale x + sqrt(variance) z``: the same eigenvectors, new eigenvalues."""
        return self.from_basis(
            self.weights, scale * self.means, self.basis.diffuse(scale, variance)
        )

    def project(self, direction: Any) -> GaussianMixture:
        """One-dimensional law of ``direction' x``.

        Raises:
            ValueError: wrong length or a zero vector.
        """
        v = parameter(direction, "direction", 1)
        if v.shape[0] != self.dim or not v.any():
            raise bad(
                "direction", f"shape {v.shape}", f"({self.dim},) and not zero", "pass a direction"
            )
        along = np.broadcast_to(v, (self.components, 1, self.dim))
        variances = (self.basis.apply(lambda s: s, along)[:, 0, :] * v).sum(axis=1)
        return GaussianMixture(self.weights, (self.means @ v)[:, None], variances)

    def log_prob(self, x: Array) -> Array:
        """``log p(x)``, shape ``(...)``.

        Raises:
            ValueError: ``x`` is not of shape ``(..., d)``.
        """
        return self._rows(x, lambda y: logsumexp(self._log_joint(y)), ())

    def component_log_prob(self, x: Array) -> Array:
        """``log w_k + log N(x; mu_k, Sigma_k)``, shape ``(..., K)``."""
        return self._rows(x, self._log_joint, (self.components,))

    def responsibilities(self, x: Array) -> Array:
        """Posterior weights ``r_k(x)``, shape ``(..., K)``."""
        return self._rows(x, lambda y: _softmax(self._log_joint(y)), (self.components,))

    def score(self, x: Array) -> Array:
        """``sum_k r_k(x) (-Sigma_k^{-1} (x - mu_k))``, shape ``(..., d)``."""
        return self._rows(x, lambda y: self._pulled(y)[2], (self.dim,))

    def hessian(self, x: Array) -> Array:
        """``sum_k r_k [(s_k - s)(s_k - s)' - Sigma_k^{-1}]``, shape ``(..., d, d)``."""

        def block(y: Array) -> Array:
            xp = namespace(y)
            r, s_k, s = self._pulled(y)
            off = s_k - s[None, ...]
            spread = xp.matmul(
                xp.permute_dims(off * xp.permute_dims(r, (1, 0))[..., None], (1, 2, 0)),
                xp.permute_dims(off, (1, 0, 2)),
            )
            precision = like(self._precisions.reshape(self.components, -1), y)
            return spread - xp.reshape(xp.matmul(r, precision), spread.shape)

        return self._rows(x, block, (self.dim, self.dim), width=self.dim**2)

    def divergence(self, x: Array) -> Array:
        """``sum_k r_k [|s_k - s|^2 - tr Sigma_k^{-1}]``, shape ``(...)``."""

        def block(y: Array) -> Array:
            xp = namespace(y)
            r, s_k, s = self._pulled(y)
            off = s_k - s[None, ...]
            square = xp.permute_dims(xp.sum(off * off, axis=-1), (1, 0))
            trace = like(self.basis.trace(lambda v: 1 / v), y)
            return xp.sum(r * (square - trace), axis=-1)

        return self._rows(x, block, ())

    def posterior(self, x: Array, scale: float, variance: float) -> Posterior:
        """Law of ``x_0 ~ self`` given ``scale x_0 + sqrt(variance) z = x``.

        Args:
            x: ``(..., d)``.
            scale: a.
            variance: sd^2, positive.
        """
        y = as_points(x, self.dim)
        xp = namespace(y)
        flat = xp.reshape(y, (-1, self.dim))
        diffused = self.diffuse(scale, variance)
        gained = self.basis.apply(
            lambda v: scale * v / (scale**2 * v + variance),
            flat[None, ...] - like(scale * self.means[:, None, :], flat),
        )
        means = xp.permute_dims(gained + like(self.means[:, None, :], flat), (1, 0, 2))
        spread = self.basis.matrix(lambda v: variance * v / (scale**2 * v + variance))
        shape = (*y.shape[:-1], self.components)
        return Posterior(
            xp.reshape(diffused.responsibilities(flat), shape),
            xp.reshape(means, (*shape, self.dim)),
            like(spread, flat),
        )

    def transport(self, u: Array, z: Array) -> Array:
        """Exact draws ``(n, d)``: ``u ~ U(0,1)`` ``(n,)`` picks the component, ``z ~ N(0, I)`` fills it."""
        xp = namespace(z)
        edges = like(np.cumsum(self.weights)[:-1], u)
        labels = xp.sum(xp.astype(u[:, None] > edges[None, :], xp.int64), axis=1)
        out = xp.zeros_like(z)
        for k in range(self.components):
            mine = xp.astype(labels == k, z.dtype)[:, None]
            root = self._component(k).basis.apply(np.sqrt, z[None, ...])[0, ...]
            out = out + mine * (root + like(self.means[k], z))
        return out

    def cdf(self, x: Array) -> Array:
        """Distribution function for ``d = 1`` (numpy), shape ``(...)``.

        Raises:
            ValueError: in more than one dimension.
        """
        self._one_dimensional("cdf")
        y = as_points(x, 1)
        z = (np.asarray(y) - self.means[:, 0]) / np.sqrt(self.basis.eigenvalues()[:, 0])
        return special.ndtr(z) @ self.weights

    def _one_dimensional(self, what: str) -> None:
        if self.dim != 1:
            raise bad(
                what,
                f"a law of dimension {self.dim}",
                "dimension 1",
                "use project(direction) first",
            )

    def _component(self, k: int) -> GaussianMixture:
        b = self.basis
        pick = Eigenbasis(
            b.dim,
            b.values[k : k + 1],
            None if b.vectors is None else b.vectors[k : k + 1],
            None if b.noise is None else b.noise[k : k + 1],
        )
        return self.from_basis(np.ones(1), self.means[k : k + 1], pick)

    @cached_property
    def _precisions(self) -> Vector:
        return self.basis.matrix(lambda v: 1 / v)

    @cached_property
    def _log_constants(self) -> Vector:
        half = 0.5 * (self.dim * math.log(2 * math.pi) + self.basis.log_det)
        return np.log(self.weights) - half

    def _off(self, y: Array) -> Array:
        return y[None, ...] - like(self.means[:, None, :], y)

    def _log_joint(self, y: Array) -> Array:
        xp = namespace(y)
        square = self.basis.mahalanobis(self._off(y))
        return xp.permute_dims(like(self._log_constants[:, None], y) - 0.5 * square, (1, 0))

    def _pulled(self, y: Array) -> tuple[Array, Array, Array]:
        """Responsibilities ``(n, K)``, component scores ``(K, n, d)``, score ``(n, d)``."""
        xp = namespace(y)
        off = self._off(y)
        pull = -self.basis.apply(lambda v: 1 / v, off)
        square = -xp.sum(off * pull, axis=-1)
        log_joint = like(self._log_constants[:, None], y) - 0.5 * square
        r = _softmax(xp.permute_dims(log_joint, (1, 0)))
        s = xp.sum(xp.permute_dims(r, (1, 0))[..., None] * pull, axis=0)
        return r, pull, s

    def _rows(
        self, x: Array, block: Callable[[Array], Array], tail: tuple[int, ...], width: int = 0
    ) -> Array:
        """Applies ``block`` to blocks of rows of bounded memory and restores the shape of ``x``."""
        y = as_points(x, self.dim)
        xp = namespace(y)
        flat = xp.reshape(y, (-1, self.dim))
        rows = max(1, _BLOCK // (self.components * self.dim + width))
        n = flat.shape[0]
        parts = (
            [block(flat[i : min(i + rows, n), :]) for i in range(0, n, rows)]
            if n
            else [block(flat)]
        )
        out = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
        return xp.reshape(out, (*y.shape[:-1], *tail))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(components={self.components}, dim={self.dim})"


class Gaussian(GaussianMixture):
    """``N(mean, covariance)``: a mixture of one component.

    Args:
        mean: ``(d,)``.
        covariance: ``(d, d)``, ``(d,)`` variances, or one variance.

    Raises:
        ValueError: shapes that do not match, or a covariance that is not positive definite.
    """

    def __init__(self, mean: Any, covariance: Any) -> None:
        mu = parameter(mean, "mean", 1)
        c = parameter(covariance, "covariance", (0, 1, 2))
        basis = Eigenbasis.from_covariances(c[None], mu.shape[0], name="covariance")
        self._set(np.ones(1), mu[None], basis)


def _softmax(log_joint: Array) -> Array:
    xp = namespace(log_joint)
    shifted = log_joint - xp.max(log_joint, axis=-1, keepdims=True)
    raised = xp.exp(shifted)
    return raised / xp.sum(raised, axis=-1, keepdims=True)
