"""Distances of Gaussians to Gaussians, without the cancellation of the textbook forms.

With ``C = Sigma + D`` and ``(Sigma^{1/2} C Sigma^{1/2})^{1/2} = Sigma + K`` in the eigenbasis of ``Sigma``, the
optimal map from ``N(mu, Sigma)`` to ``N(m, C)`` is ``I + Sigma^{-1/2} K Sigma^{-1/2}``, so that

    W2^2 = |m - mu|^2 + |Sigma^{-1/2} K|_F^2,    Sigma K + K Sigma + K^2 = Sigma^{1/2} D Sigma^{1/2}.

``tr (C + Sigma - 2 (...)^{1/2})`` loses half of the digits when the laws are near; here small D gives small K.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..theory._checks import bad, parameter
from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Vector

_CORRECTIONS = (
    2  #: Newton steps on the quadratic equation of K; one removes the rounding of the root
)


@dataclass(frozen=True)
class GaussianGap:
    """How far ``N(mean, covariance)`` is from a Gaussian reference, in the eigenbasis of the reference.

    Attributes:
        mean: ``U' (m - mu)``, ``(d,)``.
        spread: ``U' (C - Sigma) U``, ``(d, d)``.
        variances: eigenvalues of ``Sigma``, ``(d,)``.
        vectors: U, ``(d, d)``.
    """

    mean: Vector
    spread: Vector
    variances: Vector
    vectors: Vector

    @classmethod
    def between(cls, mean: Vector, covariance: Vector, reference: GaussianMixture) -> GaussianGap:
        """From ``mean`` ``(d,)`` and ``covariance`` ``(d, d)`` to a Gaussian of one component.

        Raises:
            ValueError: a reference of more components, or shapes that do not match.
        """
        if reference.components != 1:
            raise bad("reference", f"{reference.components} components", "one", "pass a Gaussian")
        m, c = parameter(mean, "mean", 1), parameter(covariance, "covariance", 2)
        if m.shape != (reference.dim,) or c.shape != (reference.dim, reference.dim):
            got = f"shapes {m.shape} and {c.shape}"
            raise bad("mean, covariance", got, f"dimension {reference.dim}", "match the reference")
        values, vectors = _axes(reference)
        off = vectors.T @ (c - reference.covariances[0]) @ vectors
        return cls(vectors.T @ (m - reference.means[0]), (off + off.T) / 2, values, vectors)

    @property
    def size(self) -> float:
        """``sqrt(tr Sigma)``: W2 of the reference to a point at its mean."""
        return float(np.sqrt(self.variances.sum()))

    def w2(self) -> float:
        """Wasserstein-2 distance (Bures metric; Givens & Shortt 1984)."""
        k = self._shift_of_root()
        spread = (k / np.sqrt(self.variances)[:, None]) ** 2
        return float(np.sqrt((self.mean**2).sum() + spread.sum()))

    @property
    def w2_error(self) -> float:
        """Bound on the rounding of :meth:`w2` beyond that of its inputs: a singular C costs half of the digits."""
        least = np.linalg.eigvalsh(self.spread + np.diag(self.variances))[0]
        return 1e-7 * self.size if least < 1e-6 * self.variances[-1] else 0.0

    def kl(self) -> float:
        """``KL(N(m, C) || N(mu, Sigma))`` in nats, infinite where C is singular.

        With e the eigenvalues of ``Sigma^{-1/2} C Sigma^{-1/2} - I``: ``1/2 [sum(e - log(1 + e)) + |z|^2]``.
        """
        root = np.sqrt(self.variances)
        e = np.linalg.eigvalsh(self.spread / np.outer(root, root)).astype(np.float64)
        if (e <= -1 + 8 * np.finfo(float).eps * len(e)).any():
            return float("inf")
        return float(0.5 * (_excess(e).sum() + ((self.mean / root) ** 2).sum()))

    def mean_errors(self) -> Vector:
        """Signed errors of the mean along the eigen-directions, in standard deviations, ``(d,)``."""
        return self.mean / np.sqrt(self.variances)

    def variance_errors(self) -> Vector:
        """Signed relative errors of the variance along the eigen-directions, ``(d,)``."""
        return np.diag(self.spread) / self.variances

    def _shift_of_root(self) -> Vector:
        root = np.sqrt(self.variances)
        f = self.spread * (root[:, None] * root)
        pairs = self.variances[:, None] + self.variances
        values, v = np.linalg.eigh(f + np.diag(self.variances**2))
        s = np.sqrt(np.maximum(values, 0.0))
        k = (v * s) @ v.T - np.diag(self.variances)
        # The root is not smooth where C is singular: no correction there.
        sums = s[:, None] + s
        inverse = np.where(sums > 1e-7 * root.max() ** 2, 1 / np.maximum(sums, 1e-300), 0.0)
        for _ in range(_CORRECTIONS):
            # The residual is formed from D itself, so its digits are those of D.
            residual = f - pairs * k - k @ k
            k = k + v @ (inverse * (v.T @ residual @ v)) @ v.T
        return (k + k.T) / 2


def w2_gaussian(mean: Vector, covariance: Vector, reference: GaussianMixture) -> float:
    """W2 of ``N(mean, covariance)`` to a Gaussian reference, see :class:`GaussianGap`."""
    return GaussianGap.between(mean, covariance, reference).w2()


def kl_gaussian(mean: Vector, covariance: Vector, reference: GaussianMixture) -> float:
    """KL divergence of ``N(mean, covariance)`` from a Gaussian reference, see :class:`GaussianGap`."""
    return GaussianGap.between(mean, covariance, reference).kl()


def _axes(law: GaussianMixture) -> tuple[Vector, Vector]:
    basis = law.basis
    if basis.vectors is not None and basis.noise is None:
        return basis.values[0], basis.vectors[0]
    return np.linalg.eigh(law.covariances[0])


def _excess(e: Vector) -> Vector:
    """``e - log(1 + e)`` without cancellation near zero."""
    small = np.abs(e) < 1e-2
    x = np.where(small, e, 0.0)
    # Nine terms of the series: the tenth is below 1e-18 relative to the first at 1e-2.
    series = sum((-1) ** n * x**n / n for n in range(10, 1, -1))
    return np.where(small, series, e - np.log1p(np.where(small, 0.0, e)))
