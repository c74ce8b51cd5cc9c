"""Covariances held in their eigenbasis, so that diffusing them costs nothing.

Component k has ``Sigma_k = U_k diag(lambda_k) U_k' + nu_k (I - U_k U_k')``. Four forms share it:

* full: ``U_k`` is ``(d, d)`` orthogonal, no ``nu``;
* diagonal: ``U_k = I`` (not stored), ``lambda_k`` is ``(d,)``;
* isotropic: ``U_k = I`` (not stored), ``lambda_k`` is ``(1,)`` and broadcasts;
* low rank: ``U_k`` is ``(d, r)`` with orthonormal columns, ``nu_k > 0`` is the isotropic rest.

``a^2 Sigma + v I`` keeps ``U`` and maps ``lambda -> a^2 lambda + v``, ``nu -> a^2 nu + v``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ._checks import bad, parameter
from .arrays import like, namespace
from .protocols import Array, Vector


@dataclass(frozen=True, slots=False)
class Eigenbasis:
    """K covariance matrices of size d.

    Attributes:
        dim: d.
        values: eigenvalues ``(K, r)``, ``(K, d)`` or ``(K, 1)``.
        vectors: eigenvectors in columns ``(K, d, r)``, or None for the identity.
        noise: ``(K,)`` variance of the directions outside ``vectors``, or None.
    """

    dim: int
    values: Vector
    vectors: Vector | None = None
    noise: Vector | None = None
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def size(self) -> int:
        """Number K of matrices."""
        return self.values.shape[0]

    @classmethod
    def from_covariances(
        cls, covariances: Any, dim: int, *, name: str = "covariances"
    ) -> Eigenbasis:
        """Reads ``(K, d, d)`` full, ``(K, d)`` variances or ``(K,)`` variances.

        Raises:
            ValueError: wrong shape, not symmetric, or not positive definite.
        """
        c = parameter(covariances, name, (1, 2, 3))
        if c.ndim < 3:
            if c.ndim == 2 and c.shape[1] != dim:
                raise bad(
                    name,
                    f"shape {c.shape}",
                    f"(K, {dim}) variances, (K,) variances or (K, {dim}, {dim})",
                    "match the dimension of the means",
                )
            if (c <= 0).any():
                raise bad(
                    name, f"smallest variance {c.min():g}", "positive variances", "drop or fix it"
                )
            return cls(dim, c.reshape(c.shape[0], -1))
        if c.shape[1:] != (dim, dim):
            raise bad(
                name, f"shape {c.shape}", f"(K, {dim}, {dim})", "match the dimension of the means"
            )
        scale = np.abs(c).max(axis=(1, 2))
        skew = np.abs(c - np.swapaxes(c, 1, 2)).max(axis=(1, 2))
        # A product A A' computed in float32 is symmetric to a few of its ulps; a typed one exactly.
        if (skew > 1e-6 * scale).any():
            k = int(np.argmax(skew / scale))
            raise bad(
                f"{name}[{k}]",
                f"asymmetry {skew[k]:.3g}",
                "a symmetric matrix",
                "use (C + C.T) / 2",
            )
        values, vectors = np.linalg.eigh((c + np.swapaxes(c, 1, 2)) / 2)
        # eigh is accurate to eps * d * largest: below that a positive eigenvalue is only noise.
        floor = np.finfo(np.float64).eps * dim * values[:, -1]
        if (values[:, 0] <= floor).any():
            k = int(np.argmin(values[:, 0] - floor))
            raise bad(
                f"{name}[{k}]",
                f"smallest eigenvalue {values[k, 0]:.3g} (largest {values[k, -1]:.3g})",
                "a positive definite matrix",
                "add a small multiple of the identity, or use GaussianMixture.low_rank",
            )
        return cls(dim, values, vectors)

    @classmethod
    def from_factors(cls, factors: Any, noise: Any, *, names: tuple[str, str]) -> Eigenbasis:
        """``Sigma_k = F_k F_k' + noise_k I`` from factors ``(K, d, r)`` and ``noise`` ``(K,)``.

        Raises:
            ValueError: wrong shapes, or noise that is not positive.
        """
        f = parameter(factors, names[0], 3)
        nu = parameter(noise, names[1], 1)
        if nu.shape[0] != f.shape[0]:
            raise bad(
                names[1],
                f"{nu.shape[0]} entries",
                f"{f.shape[0]}, one a component",
                "match lengths",
            )
        if (nu <= 0).any():
            raise bad(
                names[1], f"smallest entry {nu.min():g}", "positive variances", "use a small noise"
            )
        dim = f.shape[1]
        u, s, _ = np.linalg.svd(f, full_matrices=False)
        if u.shape[2] == dim:  # as many factors as dimensions: the rest is empty
            return cls(dim, s**2 + nu[:, None], u)
        return cls(dim, s**2 + nu[:, None], u, nu)

    def diffuse(self, scale: float, variance: float) -> Eigenbasis:
        """``scale^2 Sigma + variance I``, same eigenvectors."""
        noise = None if self.noise is None else scale**2 * self.noise + variance
        return Eigenbasis(self.dim, scale**2 * self.values + variance, self.vectors, noise)

    @property
    def isotropic(self) -> bool:
        """Whether every matrix is a multiple of the identity by its form."""
        return self.vectors is None and self.values.shape[1] == 1 and self.dim > 1

    def eigenvalues(self) -> Vector:
        """All eigenvalues, shape ``(K, d)``."""
        if self.noise is not None:
            rest = np.repeat(self.noise[:, None], self.dim - self.values.shape[1], axis=1)
            return np.concatenate([self.values, rest], axis=1)
        return np.broadcast_to(self.values, (self.size, self.dim))

    @cached_property
    def log_det(self) -> Vector:
        """``log det Sigma_k``, shape ``(K,)``."""
        return np.log(self.eigenvalues()).sum(axis=1)

    def trace(self, f: Callable[[Vector], Vector]) -> Vector:
        """``tr f(Sigma_k)``, shape ``(K,)``."""
        return f(self.eigenvalues()).sum(axis=1)

    def matrix(self, f: Callable[[Vector], Vector] = lambda v: v) -> Vector:
        """``f(Sigma_k)`` as dense matrices, shape ``(K, d, d)``."""
        eye = np.eye(self.dim)
        if self.vectors is None:
            return f(np.broadcast_to(self.values, (self.size, self.dim)))[:, :, None] * eye
        out = (self.vectors * f(self.values)[:, None, :]) @ np.swapaxes(self.vectors, 1, 2)
        if self.noise is not None:
            inside = self.vectors @ np.swapaxes(self.vectors, 1, 2)
            out = out + f(self.noise)[:, None, None] * (eye - inside)
        return out

    def apply(self, f: Callable[[Vector], Vector], y: Array) -> Array:
        """``f(Sigma_k) y_k`` for ``y`` of shape ``(K, n, d)``; the result has the same shape."""
        xp = namespace(y)
        gains = like(f(self.values)[:, None, :], y)
        if self.vectors is None:
            return y * gains
        u = self._vectors_like(y)
        inner = xp.matmul(y, u)
        out = xp.matmul(inner * gains, xp.matrix_transpose(u))
        if self.noise is not None:
            rest = like(f(self.noise)[:, None, None], y)
            out = out + (y - xp.matmul(inner, xp.matrix_transpose(u))) * rest
        return out

    def coordinates(self, y: Array) -> tuple[Array, Array | None]:
        """Eigen-coordinates ``U_k' y_k`` ``(K, n, r)`` and the rest of ``y`` outside ``U_k``."""
        xp = namespace(y)
        if self.vectors is None:
            return y, None
        u = self._vectors_like(y)
        inner = xp.matmul(y, u)
        if self.noise is None:
            return inner, None
        return inner, y - xp.matmul(inner, xp.matrix_transpose(u))

    def mahalanobis(self, y: Array) -> Array:
        """``y' Sigma_k^{-1} y`` for ``y`` of shape ``(K, n, d)``, shape ``(K, n)``."""
        xp = namespace(y)
        inner, rest = self.coordinates(y)
        out = xp.sum(inner * inner * like(1 / self.values[:, None, :], y), axis=-1)
        if rest is not None and self.noise is not None:
            out = out + xp.sum(rest * rest, axis=-1) * like(1 / self.noise[:, None], y)
        return out

    def _vectors_like(self, y: Array) -> Array:
        # Moving (K, d, d) for every block of rows would cost more than the product itself.
        if isinstance(y, np.ndarray) and y.dtype == np.float64:
            return self.vectors
        xp = namespace(y)
        from .arrays import device

        key = (xp.__name__, str(y.dtype), str(device(y)))
        if key not in self._cache:
            self._cache[key] = like(self.vectors, y)
        return self._cache[key]
