"""Critically damped Langevin diffusion: data x coupled to a velocity v, and noise enters v alone.

    dx = beta v / M dt,    dv = -beta x dt - Gamma beta v / M dt + sqrt(2 Gamma beta) dw,    Gamma^2 = 4 M

Its matrix has the one eigenvalue ``-1/sqrt(M)`` and is not diagonalisable, so that the kernel is an exponential
times polynomials: with ``u = int_s^t beta / sqrt(M)`` and ``m = sqrt(M)``

    exp = e^-u [[1 + u, u/m], [-u m, 1 - u]]
    S_xx = 1 - e^-2u (1 + 2u + 2u^2),   S_xv = 2 m u^2 e^-2u,   S_vv = M [1 - e^-2u (1 - 2u + 2u^2)].

``S_xx`` is of order ``4/3 u^3``: it is the regularised incomplete gamma function ``P(3, 2u)``, whose series has
terms of one sign. The determinant is ``M`` times ``1 - e^-2u (2 + 4u^2) + e^-4u``, of order ``4/3 u^4``.

Reference:
    Dockhorn, Vahdat and Kreis 2022, Eqs. 5 and 6 and App. B.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._checks import bad, positive
from ._rows import per_row
from .arrays import as_points, is_array, namespace
from .eigenbasis import Eigenbasis
from .general import SDE
from .linear import functions
from .mixtures import Gaussian, GaussianMixture
from .protocols import Array, Vector
from .schedules import LinearBeta

_TERMS = 24  #: of the series on [0, 2], where 2^24 3!/27! = 1e-20


@dataclass(frozen=True)
class CoupledKernel:
    """Gaussian transition of (x, v), the same in every coordinate: 2x2 blocks times the identity.

    Attributes:
        factors: ``(xx, xv, vx, vv)``; the mean of ``x_t`` is ``xx x_s + xv v_s``, that of ``v_t`` ``vx x_s + vv v_s``.
        spreads: ``(xx, xv, vv)``, the entries of the covariance.
        determinant: of the covariance, without cancellation.
    """

    factors: tuple[Array, Array, Array, Array]
    spreads: tuple[Array, Array, Array]
    determinant: Array

    @property
    def scale(self) -> Array:
        """Matrix of the mean, shape ``(..., 2, 2)``."""
        return _square(*self.factors)

    @property
    def covariance(self) -> Array:
        """Shape ``(..., 2, 2)``."""
        xx, xv, vv = self.spreads
        return _square(xx, xv, xv, vv)

    @property
    def cholesky(self) -> Array:
        """Lower triangular ``L`` with ``L L' = covariance``, shape ``(..., 2, 2)``; zero at ``t = s``."""
        xx, xv, _ = self.spreads
        root = functions(xx).sqrt
        safe = _positive(xx)
        return _square(root(xx), xx * 0, xv / root(safe), root(self.determinant / safe))


class CriticallyDamped(SDE):
    """The diffusion of (x, v) of this module on [0, t_max]; a state is ``(x, v)`` side by side, ``(..., 2 d)``.

    Data are ``x_0``; the initial velocity is ``N(0, gamma M I)``, independent. Stationary law
    ``N(0, I) x N(0, M I)``.

    Args:
        beta_min: ``beta(0)``.
        beta_max: ``beta(t_max)``, linear between; None for a constant beta.
        mass: M, which sets ``Gamma = 2 sqrt(M)``.
        gamma: initial variance of the velocity over M, zero allowed.
        t_max: end.

    Raises:
        ValueError: values that are not positive, or a negative gamma.

    Reference:
        Dockhorn et al. 2022; the defaults are theirs.
    """

    name = "critically-damped"

    def __init__(
        self,
        beta_min: float = 4.0,
        beta_max: float | None = None,
        *,
        mass: float = 0.25,
        gamma: float = 0.04,
        t_max: float = 1.0,
    ) -> None:
        self.beta_min = positive(beta_min, "beta_min")
        self.beta_max = self.beta_min if beta_max is None else positive(beta_max, "beta_max")
        self.mass, self.t_max = positive(mass, "mass"), positive(t_max, "t_max")
        self.gamma = float(gamma)
        if not 0 <= self.gamma < math.inf:
            raise bad("gamma", f"{self.gamma:g}", "a number >= 0", "0.04 is usual")
        self.friction = 2 * math.sqrt(self.mass)
        # The schedule runs on [0, 1]: its time is t / t_max.
        self._beta = LinearBeta(self.beta_min, self.beta_max)

    def beta(self, t: Array) -> Array:
        """``beta(t)``, in the shape of ``t``."""
        return self._beta.beta(self.check_time(t) / self.t_max)

    def kernel(self, t: Array, s: Array = 0.0) -> CoupledKernel:
        """Law of ``(x_t, v_t)`` given ``(x_s, v_s)``, ``0 <= s <= t <= t_max``; ``t`` and ``s`` broadcast.

        Raises:
            ValueError: times out of range or out of order, or of different libraries, dtypes or devices.
        """
        t, s = self._order(t, s)
        m = math.sqrt(self.mass)
        # t - s is taken before anything is rounded.
        u = (t - s) * self._beta.beta(0.5 * (t + s) / self.t_max) / m
        xp = functions(u)
        e, e2 = xp.exp(-u), xp.exp(-2 * u)
        factors = ((1 + u) * e, u * e / m, -u * m * e, (1 - u) * e)
        slow = self.mass * (2 * u * (1 - u) * e2 - xp.expm1(-2 * u))
        spreads = (_third(2 * u), 2 * m * u**2 * e2, slow)
        return CoupledKernel(factors, spreads, spreads[0] * slow - spreads[1] ** 2)

    def data_kernel(self, t: Array) -> CoupledKernel:
        """Law of ``(x_t, v_t)`` given ``x_0`` alone, the velocity integrated out: use the first column of ``scale``.

        Raises:
            ValueError: times out of range.
        """
        k = self.kernel(t)
        (_, xv, _, vv), (a, b, c), start = k.factors, k.spreads, self.gamma * self.mass
        spreads = (a + start * xv**2, b + start * xv * vv, c + start * vv**2)
        # det(S + w e e') = det S + w e' adj(S) e; the correlation of S is at most sqrt(3)/2.
        added = start * (xv**2 * c - 2 * xv * vv * b + vv**2 * a)
        return CoupledKernel(k.factors, spreads, k.determinant + added)

    def drift(self, x: Array, t: Array) -> Array:
        """``beta (v/M, -x - Gamma v/M)``, shape ``(..., 2 d)``.

        Args:
            x: states ``(..., 2 d)``.
            t: a time, or one a row, shape ``(...)``.

        Raises:
            ValueError: times out of range, or states of odd length.
        """
        x, t = self._ready(x, t)
        d = _half(x)
        position, velocity = x[..., :d], x[..., d:] / self.mass
        beta = per_row(self.beta(t), x)
        moved = namespace(x).concat([velocity, -position - self.friction * velocity], axis=-1)
        return beta * moved

    def diffusion(self, x: Array, t: Array) -> Array:
        """Diagonal of sigma: 0 for x and ``sqrt(2 Gamma beta)`` for v, shape ``(..., 2 d)``."""
        x, t = self._ready(x, t)
        d, beta = _half(x), per_row(self.beta(t), x)
        noise = functions(beta).sqrt(2 * self.friction * beta)
        return namespace(x).concat([x[..., :d] * 0, x[..., d:] * 0 + noise], axis=-1)

    def divergence(self, x: Array, t: Array) -> Array:
        """Zero: the diffusion does not depend on the state."""
        return self._ready(x, t)[0] * 0

    def marginal(self, p: GaussianMixture, t: float) -> GaussianMixture:
        """Joint law of ``(x_t, v_t)`` for ``x_0 ~ p``: a mixture in ``2 d`` dimensions with score and transport.

        An eigenvalue ``l`` of ``Sigma_k`` gives the block ``l c c' + K``, where ``c`` is the first column of the
        kernel's matrix and K the covariance given ``x_0``. Its smaller eigenvalue is the determinant over the larger.

        Raises:
            ValueError: ``p`` is no Gaussian mixture, ``t`` out of range, or a law without density (t = 0, gamma = 0).
        """
        if not isinstance(p, GaussianMixture):
            got = type(p).__name__
            raise bad("p", got, "a Gaussian or a GaussianMixture", "fit one with GaussianMixture")
        k = self.data_kernel(float(t))
        if not k.determinant >= 0 or not k.spreads[2] > 0:
            raise bad(
                "t", f"{float(t):g}", "t > 0, since v_0 is a point for gamma = 0", "raise gamma"
            )
        down, across = k.factors[0], k.factors[2]
        xx, xv, vv = k.spreads
        values, vectors = _full(p.basis)
        block = (xx + values * down**2, xv + values * down * across, vv + values * across**2)
        # det(K + l c c') as above.
        gained = down**2 * vv - 2 * down * across * xv + across**2 * xx
        size, turn = _eigen(block, k.determinant + values * gained)
        # Eigenvector j of Sigma_k and column i of the block's rotation: (turn_xi, turn_vi) times it.
        joint = turn[:, :, None, :, :] * vectors.swapaxes(1, 2)[:, :, :, None, None]
        n, d = values.shape
        columns = joint.transpose(0, 3, 2, 1, 4).reshape(n, 2 * d, 2 * d)
        means = np.concatenate([down * p.means, across * p.means], axis=1)
        basis = Eigenbasis(2 * d, size.reshape(n, 2 * d), columns)
        return GaussianMixture.from_basis(p.weights, means, basis)

    def prior(self, dim: int) -> Gaussian:
        """The stationary law ``N(0, I) x N(0, M I)`` for data of dimension ``dim``."""
        return Gaussian(np.zeros(2 * dim), np.repeat([1.0, self.mass], dim))

    def __repr__(self) -> str:
        shown = f"{self.beta_min:g}" + (
            "" if self.beta_max == self.beta_min else f", {self.beta_max:g}"
        )
        return f"CriticallyDamped({shown}, mass={self.mass:g}, gamma={self.gamma:g})"


def _third(y: Array) -> Array:
    """``P(3, y) = 1 - e^-y (1 + y + y^2/2)``: its series below 2, where the difference loses digits."""
    xp = functions(y)
    if not is_array(y):
        return _series(y) * math.exp(-y) if y < 2 else 1 - math.exp(-y) * (1 + y + 0.5 * y**2)
    near = y < 2
    small = _series(xp.where(near, y, y * 0 + 2))
    decay = xp.exp(-y)
    return xp.where(near, small * decay, 1 - decay * (1 + y + 0.5 * y**2))


def _series(y: Array) -> Array:
    """``sum_{k >= 3} y^k / k!``."""
    tail: Any = 1.0
    for k in range(_TERMS + 3, 3, -1):
        tail = 1 + y / k * tail
    return y**3 / 6 * tail


def _square(a: Array, b: Array, c: Array, d: Array) -> Array:
    entries = [v if is_array(v) else np.asarray(v, dtype=np.float64) for v in (a, b, c, d)]
    xp = namespace(*entries)
    flat = xp.stack(entries, axis=-1)
    return xp.reshape(flat, (*flat.shape[:-1], 2, 2))


def _positive(x: Array) -> Array:
    """``x``, with one in the place of zero."""
    if not is_array(x):
        return x if x > 0 else 1.0
    return namespace(x).where(x == 0, x * 0 + 1, x)


def _half(x: Array) -> int:
    if x.shape[-1] % 2:
        got = f"shape {tuple(x.shape)}"
        raise bad("x", got, "states (..., 2 d), x and v side by side", "append the velocities")
    return as_points(x, x.shape[-1]).shape[-1] // 2


def _full(basis: Eigenbasis) -> tuple[Vector, Vector]:
    """All eigenvalues ``(K, d)`` and eigenvectors in columns ``(K, d, d)``."""
    if basis.vectors is None:
        eye = np.broadcast_to(np.eye(basis.dim), (basis.size, basis.dim, basis.dim))
        return basis.eigenvalues(), eye
    if basis.noise is None:
        return basis.values, basis.vectors
    # The complement of the few stored directions, completed by an orthogonal basis.
    rest = [np.linalg.svd(u, full_matrices=True)[0][:, u.shape[1] :] for u in basis.vectors]
    return basis.eigenvalues(), np.concatenate([basis.vectors, np.stack(rest)], axis=2)


def _eigen(block: tuple[Vector, Vector, Vector], det: Vector) -> tuple[Vector, Vector]:
    """Eigenvalues ``(K, d, 2)`` and rotations ``(K, d, 2, 2)`` of symmetric 2x2 blocks with known determinants."""
    a, b, c = np.broadcast_arrays(*block)
    half = 0.5 * np.arctan2(2 * b, a - c)
    cos, sin = np.cos(half), np.sin(half)
    large = 0.5 * (a + c + np.hypot(a - c, 2 * b))
    rotation = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    return np.stack([large, det / large], -1), rotation
