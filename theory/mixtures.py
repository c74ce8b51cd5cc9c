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
from functools import cached_property
from typing import Any, Self

import numpy as np

from ._checks import bad, parameter, simplex
from .arrays import (
    as_points,
    device,
    host,
    like,
    logsumexp,
    namespace,
    softmax,
    take_rows,
    uniforms_and_normals,
)
from .eigenbasis import Eigenbasis
from .fast_score import pays, precision_score
from .posteriors import Posterior, perturbation
from .protocols import Array, Vector
from .quantiles import mixture_cdf, mixture_quantile

_BLOCK = 1 << 18  #: entries of one (K, rows, d) working array: fits a second-level cache


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
        basis = Eigenbasis.from_covariances(covariances, mu.shape[1], mu.shape[0])
        self._set(w, mu, basis)

    def _set(self, weights: Vector, means: Vector, basis: Eigenbasis) -> None:
        self.weights, self.means, self.basis = weights, means, basis

    @classmethod
    def from_basis(cls, weights: Vector, means: Vector, basis: Eigenbasis) -> Self:
        """A mixture from covariances that are already in their eigenbasis; nothing is checked."""
        law = cls.__new__(cls)
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
        if (basis.size, basis.dim) != mu.shape:
            got = f"{basis.size} entries of dimension {basis.dim}"
            raise bad("factors", got, f"{mu.shape[0]} of {mu.shape[1]}", "match the means")
        return GaussianMixture.from_basis(w, mu, basis)

    @property
    def dim(self) -> int:
        """Dimension d."""
        return self.means.shape[1]

    @property
    def components(self) -> int:
        """Number K of components."""
        return self.means.shape[0]

    @property
    def mean(self) -> Vector:
        """``sum_k w_k mu_k``, shape ``(d,)``."""
        return self.weights @ self.means

    @cached_property
    def covariances(self) -> Vector:
        """Dense ``Sigma_k``, shape ``(K, d, d)``."""
        return self.basis.matrix()

    @property
    def covariance(self) -> Vector:
        """``sum_k w_k [Sigma_k + (mu_k - mean)(mu_k - mean)']``, shape ``(d, d)``."""
        return self._covariance

    @cached_property
    def _covariance(self) -> Vector:
        centred = self.means - self.mean
        between = (centred * self.weights[:, None]).T @ centred
        return np.tensordot(self.weights, self.covariances, axes=1) + between

    def diffuse(self, scale: float, variance: float) -> Self:
        """Law of ``scale x + sqrt(variance) z``: the same eigenvectors, new eigenvalues.

        Raises:
            ValueError: a negative variance, numbers that are not finite, or both zero.
        """
        a, v = perturbation(scale, variance)
        return self.from_basis(self.weights, a * self.means, self.basis.diffuse(a, v))

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
        return self._rows(x, lambda y: softmax(self._log_joint(y)), (self.components,))

    def score(self, x: Array) -> Array:
        """``sum_k r_k(x) (-Sigma_k^{-1} (x - mu_k))``, shape ``(..., d)``."""
        full = self.basis.vectors is not None and self.basis.noise is None
        if full and isinstance(x, np.ndarray) and x.dtype == np.float64:
            flat = as_points(x, self.dim).reshape(-1, self.dim)
            if pays(flat.shape[0], self.dim, self.basis.condition):
                out = precision_score(flat, self._log_constants, self.means, self._precisions)
                return out.reshape(x.shape)
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
            variance: sd^2, zero or more.
        """
        given = self._given(scale, variance)
        size = self.components
        weights = self._rows(x, lambda y: given(y)[0], (size,))
        means = self._rows(x, lambda y: given(y)[1], (size, self.dim))
        return Posterior(weights, means, like(self._spread(scale, variance), weights))

    def denoiser(self, x: Array, scale: float, variance: float) -> Array:
        """``E[x_0 | x]``, shape ``(..., d)``: the mean of :meth:`posterior`, in bounded memory."""
        given = self._given(scale, variance)

        def block(y: Array) -> Array:
            r, means = given(y)
            return namespace(y).sum(r[..., None] * means, axis=1)

        return self._rows(x, block, (self.dim,))

    def posterior_covariance(self, x: Array, scale: float, variance: float) -> Array:
        """``Cov[x_0 | x]``, shape ``(..., d, d)``, by the law of total covariance."""
        given, spread = self._given(scale, variance), self._spread(scale, variance)

        def block(y: Array) -> Array:
            return Posterior(*given(y), like(spread, y)).covariance

        return self._rows(x, block, (self.dim, self.dim), width=self.dim**2)

    def _spread(self, scale: float, variance: float) -> Vector:
        a, v = perturbation(scale, variance)
        return self.basis.matrix(lambda s: v * s / (a**2 * s + v))

    def _given(self, scale: float, variance: float) -> Callable[[Array], tuple[Array, Array]]:
        """Maps ``(n, d)`` to posterior weights ``(n, K)`` and means ``(n, K, d)``."""
        a, v = perturbation(scale, variance)
        diffused, basis = self.diffuse(a, v), self.basis
        gains = a * basis.values / diffused.basis.values
        rest = None
        if basis.noise is not None and diffused.basis.noise is not None:
            rest = a * basis.noise / diffused.basis.noise

        def given(y: Array) -> tuple[Array, Array]:
            xp = namespace(y)
            gained, square = diffused.basis.filter(diffused._off(y), gains, rest)
            means = xp.permute_dims(gained + like(self.means[:, None, :], y), (1, 0, 2))
            return softmax(diffused._join(square)), means

        return given

    def transport(self, u: Array, z: Array) -> Array:
        """Exact draws ``mu_c + Sigma_c^{1/2} z`` with ``c`` the component that ``u`` falls into.

        Args:
            u: ``(n,)``, uniform on (0, 1).
            z: ``(n, d)``, standard normal, of the dtype and device of ``u``.

        Returns:
            ``(n, d)``.

        Raises:
            ValueError: shapes that do not match, or a mixture of libraries, dtypes or devices.
        """
        xp = uniforms_and_normals(u, z, self.dim)
        if self.components == 1:
            return self.basis.apply(np.sqrt, z[None, ...])[0, ...] + like(self.means[0], z)
        labels = xp.searchsorted(like(np.cumsum(self.weights)[:-1], u), u, side="right")
        shift = xp.take(like(self.means, z), labels, axis=0)
        if self.basis.vectors is None:
            return shift + z * xp.take(like(np.sqrt(self.basis.values), z), labels, axis=0)
        if (
            str(device(z)) == "meta"
        ):  # no labels to sort by: shape, dtype and device are all there is
            return shift + self.basis.take(0).apply(np.sqrt, z[None, ...])[0, ...]
        picked = host(labels)
        order = np.argsort(picked, kind="stable")
        ends = np.searchsorted(picked[order], np.arange(self.components + 1))
        sorted_z = take_rows(z, order)
        parts = [
            self.basis.take(k).apply(np.sqrt, sorted_z[None, ends[k] : ends[k + 1], :])[0, ...]
            for k in range(self.components)
            if ends[k + 1] > ends[k]
        ]
        if not parts:
            return shift
        return shift + take_rows(xp.concat(parts, axis=0), np.argsort(order))

    def cdf(self, x: Array) -> Vector:
        """Distribution function for ``d = 1`` (numpy), shape ``(...)`` for ``x`` ``(..., 1)``.

        Raises:
            ValueError: in more than one dimension, or for other arrays than numpy's.
        """
        one = self._one_dimensional("cdf", x)
        return self._rows(x, lambda y: mixture_cdf(y[:, 0], *one), ())

    def quantile(self, u: Array) -> Vector:
        """Inverse of :meth:`cdf` for ``d = 1`` (numpy), shape ``(..., 1)`` for ``u`` ``(...)``.

        Raises:
            ValueError: in more than one dimension, other arrays than numpy's, or u outside [0, 1].
        """
        one = self._one_dimensional("quantile", u)
        if ((u < 0) | (u > 1)).any():
            raise bad("u", f"{np.nanmin(u):g} to {np.nanmax(u):g}", "[0, 1]", "pass probabilities")
        return self._rows(u[..., None], lambda p: mixture_quantile(p[:, 0], *one)[:, None], (1,))

    def _one_dimensional(self, what: str, x: Array) -> tuple[Vector, Vector, Vector]:
        if self.dim != 1:
            got = f"a law of dimension {self.dim}"
            raise bad(what, got, "dimension 1", "use project(direction) first")
        if not isinstance(x, np.ndarray):
            raise bad(what, type(x).__name__, "a numpy array", "convert it with numpy.asarray")
        return self.weights, self.means[:, 0], np.sqrt(self.basis.eigenvalues()[:, 0])

    @cached_property
    def _precisions(self) -> Vector:
        return self.basis.matrix(lambda v: 1 / v)

    @cached_property
    def _log_constants(self) -> Vector:
        half = 0.5 * (self.dim * math.log(2 * math.pi) + self.basis.log_det)
        return np.log(self.weights) - half

    def _off(self, y: Array) -> Array:
        return y[None, ...] - like(self.means[:, None, :], y)

    def _join(self, square: Array) -> Array:
        xp = namespace(square)
        constants = like(self._log_constants[:, None], square)
        return xp.permute_dims(constants - 0.5 * square, (1, 0))

    def _log_joint(self, y: Array) -> Array:
        return self._join(self.basis.mahalanobis(self._off(y)))

    def _pulled(self, y: Array) -> tuple[Array, Array, Array]:
        """Responsibilities ``(n, K)``, component scores ``(K, n, d)``, score ``(n, d)``."""
        xp = namespace(y)
        b = self.basis
        rest = None if b.noise is None else -1 / b.noise
        pull, square = b.filter(self._off(y), -1 / b.values, rest)
        r = softmax(self._join(square))
        s = xp.sum(xp.permute_dims(r, (1, 0))[..., None] * pull, axis=0)
        return r, pull, s

    def _rows(
        self, x: Array, block: Callable[[Array], Array], tail: tuple[int, ...], width: int = 0
    ) -> Array:
        """Applies ``block`` to blocks of rows of bounded memory and restores the shape of ``x``."""
        y = as_points(x, self.dim)
        xp = namespace(y)
        flat = xp.reshape(y, (-1, self.dim))
        rows = max(32 if not width else 1, _BLOCK // (self.components * self.dim + width))
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
        basis = Eigenbasis.from_covariances(covariance, mu.shape[0], None, name="covariance")
        self._set(np.ones(1), mu[None], basis)
