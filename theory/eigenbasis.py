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
from .arrays import device, like, namespace
from .protocols import Array, Vector


@dataclass(frozen=True, eq=False)
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
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False)  #: vectors by device

    @property
    def size(self) -> int:
        """Number K of matrices."""
        return self.values.shape[0]

    @classmethod
    def from_covariances(
        cls, covariances: Any, dim: int, size: int | None, *, name: str = "covariances"
    ) -> Eigenbasis:
        """Reads ``(K, d, d)`` full, ``(K, d)`` variances or ``(K,)`` variances.

        Args:
            covariances: the matrices; without the leading axis if ``size`` is None.
            dim: d.
            size: K, or None for a single matrix.
            name: what messages call it.

        Raises:
            ValueError: wrong shape, not symmetric, or not positive definite.
        """
        lead = "" if size is None else "K, "
        c = parameter(covariances, name, (0, 1, 2) if size is None else (1, 2, 3))
        c = c[None] if size is None else c
        if size is not None and c.shape[0] != size:
            raise bad(name, f"{c.shape[0]} entries", f"{size}, one a mean", "match the means")

        def label(k: int) -> str:
            return name if size is None else f"{name}[{k}]"

        if c.ndim < 3:
            if c.ndim == 2 and c.shape[1] != dim:
                raise bad(
                    name,
                    f"shape {c.shape if lead else c.shape[1:]}",
                    f"({lead}{dim}) variances, ({lead}{dim}, {dim}) or one variance each",
                    "match the dimension of the means",
                )
            if (c <= 0).any():
                raise bad(
                    name, f"smallest variance {c.min():g}", "positive variances", "drop or fix it"
                )
            return cls(dim, c.reshape(c.shape[0], -1))
        if c.shape[1:] != (dim, dim):
            raise bad(
                name,
                f"shape {c.shape if lead else c.shape[1:]}",
                f"({lead}{dim}, {dim})",
                "match the dimension of the means",
            )
        scale = np.abs(c).max(axis=(1, 2))
        skew = np.abs(c - np.swapaxes(c, 1, 2)).max(axis=(1, 2))
        # A product A A' computed in float32 is symmetric to a few of its ulps; a typed one exactly.
        if (skew > 1e-6 * scale).any():
            k = int(np.argmax(skew / scale))
            raise bad(
                label(k),
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
                label(k),
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
        values = scale**2 * self.values + variance
        return Eigenbasis(self.dim, values, self.vectors, noise, self._cache)

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

    @cached_property
    def condition(self) -> float:
        """Largest ratio of two eigenvalues of one matrix."""
        values = self.values if self.noise is None else np.c_[self.values, self.noise]
        return float((values.max(axis=1) / values.min(axis=1)).max())

    def take(self, k: int) -> Eigenbasis:
        """The k-th matrix alone."""
        pick = slice(k, k + 1)
        vectors = None if self.vectors is None else self.vectors[pick]
        noise = None if self.noise is None else self.noise[pick]
        return Eigenbasis(self.dim, self.values[pick], vectors, noise)

    def apply(self, f: Callable[[Vector], Vector], y: Array) -> Array:
        """``f(Sigma_k) y_k`` for ``y`` of shape ``(K, n, d)``; the result has the same shape."""
        noise = None if self.noise is None else f(self.noise)
        return self.filter(y, f(self.values), noise)[0]

    def filter(self, y: Array, gains: Vector, noise_gain: Vector | None) -> tuple[Array, Array]:
        """``G_k y_k`` and ``y_k' Sigma_k^{-1} y_k`` from one pass through the eigenbasis.

        The square is summed in eigen-coordinates: its relative error grows like the root of the condition
        number, that of ``y' (Sigma^{-1} y)`` like the condition number itself.

        Args:
            y: ``(K, n, d)``.
            gains: eigenvalues of ``G_k``, in the shape of ``values``.
            noise_gain: eigenvalue of ``G_k`` outside ``vectors``, in the shape of ``noise``.

        Returns:
            ``G y`` ``(K, n, d)`` and the square ``(K, n)``.
        """
        xp = namespace(y)
        inner, rest = self.coordinates(y)
        square = self._square(inner, rest)
        out = inner * like(gains[:, None, :], y)
        if self.vectors is None:
            return out, square
        out = xp.matmul(out, xp.matrix_transpose(self._vectors_like(y)))
        if rest is not None and noise_gain is not None:
            out = out + rest * like(noise_gain[:, None, None], y)
        return out, square

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
        return self._square(*self.coordinates(y))

    def _square(self, inner: Array, rest: Array | None) -> Array:
        # Dividing by the root before squaring keeps float32 inside its range.
        xp = namespace(inner)
        white = inner * like(1 / np.sqrt(self.values[:, None, :]), inner)
        out = xp.sum(white * white, axis=-1)
        if rest is not None and self.noise is not None:
            outside = like(1 / np.sqrt(self.noise[:, None, None]), inner) * rest
            out = out + xp.sum(outside * outside, axis=-1)
        return out

    def _vectors_like(self, y: Array) -> Array:
        # Moving (K, d, d) for every block of rows would cost more than the product itself.
        if isinstance(y, np.ndarray) and y.dtype == np.float64:
            return self.vectors
        key = (namespace(y).__name__, str(y.dtype), str(device(y)))
        if key not in self._cache:
            self._cache[key] = like(self.vectors, y)
        return self._cache[key]
