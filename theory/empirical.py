"""A data set as a law, and its diffused marginals: the exact optimal denoiser of the data.

For ``x = a y_J + sqrt(v) z`` with J drawn by the weights, and ``m(x) = E[y_J | x]``, ``C(x) = Cov[y_J | x]``:

* ``log p = logsumexp_j [log w_j - |x - a y_j|^2 / (2 v)] - (d/2) log(2 pi v)``
* ``s = (a m - x) / v``
* ``grad s = a^2 C / v^2 - I / v``

which is the mixture's formula with components ``N(a y_j, v I)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._checks import bad, parameter, positive, simplex
from .arrays import as_points, device, like, namespace, uniforms_and_normals
from .cloud import Cloud
from .point_kernel import PointKernel
from .posteriors import perturbation
from .protocols import Array, Vector


class DiffusedPoints:
    """Law of ``scale y_J + sqrt(variance) z``: isotropic components on a data set, streamed.

    Made by :meth:`PointMasses.diffuse`. All sums run in float64 whatever the dtype of ``x``, because the
    logits of 32-bit distances would be off by about ``d 6e-8 / variance``; results have the dtype of ``x``.

    Args:
        cloud: the data set.
        scale: a.
        variance: v, positive.
    """

    def __init__(self, cloud: Cloud, scale: float, variance: float) -> None:
        self.cloud, self.scale = cloud, float(scale)
        self.variance = positive(variance, "variance")
        self._kernel = PointKernel(cloud, self.scale, self.variance)

    @property
    def points(self) -> Vector:
        """The data y, ``(K, d)``, read-only."""
        view = self.cloud.points.view()
        view.setflags(write=False)
        return view

    @property
    def weights(self) -> Vector:
        """Their weights, ``(K,)``."""
        return self.cloud.weights

    @property
    def dim(self) -> int:
        """Dimension d."""
        return self.cloud.dim

    @property
    def mean(self) -> Vector:
        """``a sum_j w_j y_j``, shape ``(d,)``."""
        return self.scale * self.cloud.mean

    @property
    def covariance(self) -> Vector:
        """``a^2 Cov y + v I``, shape ``(d, d)``."""
        return self.scale**2 * self.cloud.covariance + self.variance * np.eye(self.dim)

    def log_prob(self, x: Array) -> Array:
        """``log p(x)``, shape ``(...)``.

        Raises:
            ValueError: ``x`` is not of shape ``(..., d)``, or its device has no float64.
        """
        constant = 0.5 * self.dim * math.log(2 * math.pi * self.variance)
        return self._rows(x, lambda y: self._kernel.moments(y, 0).log_mass - constant, ())

    def score(self, x: Array) -> Array:
        """``(a m(x) - x) / v``, shape ``(..., d)``."""
        return self._rows(x, lambda y: self._kernel.moments(y, 1).lag / self.variance, (self.dim,))

    def divergence(self, x: Array) -> Array:
        """``a^2 tr C(x) / v^2 - d / v``, shape ``(...)``."""
        gain, rest = (self.scale / self.variance) ** 2, self.dim / self.variance
        return self._rows(x, lambda y: gain * self._kernel.moments(y, 2).spread - rest, ())

    def hessian(self, x: Array) -> Array:
        """``a^2 C(x) / v^2 - I / v``, shape ``(..., d, d)``."""
        gain, rest = (self.scale / self.variance) ** 2, np.eye(self.dim) / self.variance

        def block(y: Array) -> Array:
            return gain * self._kernel.moments(y, 2, full=True).spread - like(rest, y)

        return self._rows(x, block, (self.dim, self.dim))

    def responsibilities(self, x: Array) -> Array:
        """Posterior weights of the data points, shape ``(..., K)``."""
        return self._rows(x, self._kernel.weights, (self.cloud.size,))

    def point_mean(self, x: Array) -> Array:
        """``m(x) = E[y_J | x]``, shape ``(..., d)``."""
        return self._rows(x, lambda y: self._kernel.moments(y, 1).mean, (self.dim,))

    def point_covariance(self, x: Array) -> Array:
        """``C(x) = Cov[y_J | x]``, shape ``(..., d, d)``."""
        shape = (self.dim, self.dim)
        return self._rows(x, lambda y: self._kernel.moments(y, 2, full=True).spread, shape)

    def diffuse(self, scale: float, variance: float) -> DiffusedPoints:
        """Law of ``scale x + sqrt(variance) z``, of the same form.

        Raises:
            ValueError: a negative variance, numbers that are not finite, or both zero.
        """
        a, v = perturbation(scale, variance)
        return DiffusedPoints(self.cloud, a * self.scale, a**2 * self.variance + v)

    def denoiser(self, x: Array, scale: float, variance: float) -> Array:
        """``E[x_0 | x]`` for ``x_0`` from this law and ``x = scale x_0 + sqrt(variance) z``, ``(..., d)``."""
        return self.posterior(x, scale, variance).mean

    def posterior_covariance(self, x: Array, scale: float, variance: float) -> Array:
        """``Cov[x_0 | x]`` in the setting of :meth:`denoiser`, shape ``(..., d, d)``."""
        return self.posterior(x, scale, variance).covariance

    def posterior(self, x: Array, scale: float, variance: float) -> PointPosterior:
        """Law of ``x_0`` given ``x`` in the setting of :meth:`denoiser`; computed when asked."""
        a, v = perturbation(scale, variance)
        return _posterior(self.cloud, x, (self.scale, self.variance), (a, v))

    def transport(self, u: Array, z: Array) -> Array:
        """Exact draws ``a y_J + sqrt(v) z`` with J the point that ``u`` falls on.

        Args:
            u: ``(n,)``, uniform on (0, 1).
            z: ``(n, d)``, standard normal, of the dtype and device of ``u``.

        Returns:
            ``(n, d)``.

        Raises:
            ValueError: shapes that do not match, or a mixture of libraries, dtypes or devices.
        """
        return self.scale * _picked(self.cloud, u, z) + math.sqrt(self.variance) * z

    def _rows(self, x: Array, block: Callable[[Array], Array], tail: tuple[int, ...]) -> Array:
        """Applies ``block`` to float64 row blocks and restores shape and dtype of ``x``."""
        y = as_points(x, self.dim)
        xp = namespace(y)
        if str(device(y)).startswith("mps"):
            raise bad("x", f"device {device(y)}", "a device with float64", "move x to the CPU")
        flat = xp.astype(xp.reshape(y, (-1, self.dim)), xp.float64, copy=False)
        parts = [block(rows) for rows in self._kernel.blocks(flat)]
        out = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
        return xp.reshape(xp.astype(out, y.dtype, copy=False), (*y.shape[:-1], *tail))

    def __repr__(self) -> str:
        return (
            f"DiffusedPoints(points={self.cloud.size}, dim={self.dim}, variance={self.variance:g})"
        )


class PointMasses:
    """``sum_j w_j delta(y - y_j)``: a data set as a law. It has no density; its diffusions have.

    Args:
        points: ``(K, d)``.
        weights: ``(K,)``, positive, sum one; equal by default.

    Raises:
        ValueError: no points, points that are not ``(K, d)`` or not finite, weights off the simplex.
    """

    def __init__(self, points: Any, weights: Any = None) -> None:
        y = parameter(points, "points", 2)
        y.setflags(write=True)  # our own copy; torch shares only memory that it may write to
        size = y.shape[0]
        w = np.full(size, 1 / size) if weights is None else simplex(weights, "weights", size)
        self.cloud = Cloud(y, w)

    @property
    def points(self) -> Vector:
        """The data y, ``(K, d)``, read-only."""
        view = self.cloud.points.view()
        view.setflags(write=False)
        return view

    @property
    def weights(self) -> Vector:
        """Their weights, ``(K,)``."""
        return self.cloud.weights

    @property
    def dim(self) -> int:
        """Dimension d."""
        return self.cloud.dim

    @property
    def mean(self) -> Vector:
        """``sum_j w_j y_j``, shape ``(d,)``."""
        return self.cloud.mean

    @property
    def covariance(self) -> Vector:
        """``sum_j w_j (y_j - mean)(y_j - mean)'``, shape ``(d, d)``."""
        return self.cloud.covariance

    def diffuse(self, scale: float, variance: float) -> DiffusedPoints | PointMasses:
        """Law of ``scale y + sqrt(variance) z``; point masses again where ``variance`` is zero.

        Raises:
            ValueError: a negative variance, numbers that are not finite, or both zero.
        """
        a, v = perturbation(scale, variance)
        if v == 0:
            return self if a == 1 else PointMasses(a * self.points, self.weights)
        return DiffusedPoints(self.cloud, a, v)

    def denoiser(self, x: Array, scale: float, variance: float) -> Array:
        """``E[y | x]`` for ``x = scale y + sqrt(variance) z``, shape ``(..., d)``.

        Raises:
            ValueError: ``variance`` is not positive.
        """
        return self.posterior(x, scale, variance).mean

    def posterior_covariance(self, x: Array, scale: float, variance: float) -> Array:
        """``Cov[y | x]`` in the setting of :meth:`denoiser`, shape ``(..., d, d)``."""
        return self.posterior(x, scale, variance).covariance

    def posterior(self, x: Array, scale: float, variance: float) -> PointPosterior:
        """Law of the data point given ``x`` in the setting of :meth:`denoiser`; computed when asked."""
        a, _ = perturbation(scale, variance)
        return _posterior(self.cloud, x, (1.0, 0.0), (a, positive(variance, "variance")))

    def transport(self, u: Array, z: Array) -> Array:
        """Exact draws: the point that ``u`` ``(n,)`` falls on; ``z`` ``(n, d)`` gives dtype and device.

        Raises:
            ValueError: shapes that do not match, or a mixture of libraries, dtypes or devices.
        """
        return _picked(self.cloud, u, z)

    def log_prob(self, x: Array) -> Array:
        """No density: raises ValueError."""
        raise self._atoms("log_prob")

    def score(self, x: Array) -> Array:
        """No density: raises ValueError."""
        raise self._atoms("score")

    def divergence(self, x: Array) -> Array:
        """No density: raises ValueError."""
        raise self._atoms("divergence")

    def hessian(self, x: Array) -> Array:
        """No density: raises ValueError."""
        raise self._atoms("hessian")

    def _atoms(self, method: str) -> ValueError:
        remedy = "use diffuse(scale, variance) or marginal(p, sde, t) with t > 0"
        return bad(method, "point masses", "a law with a density", remedy)

    def __repr__(self) -> str:
        return f"PointMasses(points={self.cloud.size}, dim={self.dim})"


@dataclass(frozen=True, eq=False)
class PointPosterior:
    """Law of ``x_0`` given ``x``: components ``N(shrink y_j + gain x, rest I)``; nothing is computed early.

    Attributes:
        law: law of ``x``.
        x: ``(..., d)``.
        shrink: factor of the data points.
        gain: factor of x.
        rest: variance inside a component; zero for point masses.
    """

    law: DiffusedPoints
    x: Array
    shrink: float
    gain: float
    rest: float

    @property
    def weights(self) -> Array:
        """``(..., K)``."""
        return self.law.responsibilities(self.x)

    @property
    def means(self) -> Array:
        """``(..., K, d)``: for few ``x`` only, it holds a copy of the data for each."""
        return self.shrink * like(self.law.points, self.x) + self.gain * self.x[..., None, :]

    @property
    def mean(self) -> Array:
        """``shrink m(x) + gain x``, shape ``(..., d)``."""
        centre = self.law.point_mean(self.x)
        if self.shrink == 1 and self.gain == 0:
            return centre
        return self.shrink * centre + self.gain * self.x

    @property
    def covariance(self) -> Array:
        """``shrink^2 C(x) + rest I``, shape ``(..., d, d)``."""
        spread = self.law.point_covariance(self.x)
        return self.shrink**2 * spread + like(self.rest * np.eye(self.law.dim), spread)


def _posterior(
    cloud: Cloud, x: Array, inner: tuple[float, float], outer: tuple[float, float]
) -> PointPosterior:
    (b, w), (a, v) = inner, outer
    total = a**2 * w + v
    law = DiffusedPoints(cloud, a * b, total)
    return PointPosterior(law, x, b * v / total, a * w / total, w * v / total)


def _picked(cloud: Cloud, u: Array, z: Array) -> Array:
    xp = uniforms_and_normals(u, z, cloud.dim)
    edges = like(np.cumsum(cloud.weights)[:-1], u)
    labels = xp.searchsorted(edges, u, side="right")
    if isinstance(z, np.ndarray):
        return cloud.points[labels].astype(z.dtype, copy=False)
    return xp.take(like(cloud.points, z), labels, axis=0)
