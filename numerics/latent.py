"""What conditioning on ``x = a x_0 + sd z`` needs of a law whose ``x_0`` hangs on one number s.

Each class gives, for rows of points, the log-integrand over s (relative to an origin c, so that
``s = c + rho`` and ``a s - x`` lose no digits when sd is far below the rounding of x), panels that
follow the peaks, and posterior means from which :mod:`convolved` assembles score and Hessian.

For small noise derivatives come from integration by parts, ``grad log p_t = E[g | x] / a`` with
``g = grad log p_0``; for large noise from Tweedie's formula ``E[a x_0 - x | x] / v``. Both are exact;
every row takes the one whose terms are smaller, since those cancel less.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from ..theory.chains import LOG_2PI, Chain, gaussian_factor
from ..theory.densities_1d import StudentT
from ..theory.densities_2d import Banana, Funnel, Ring
from ..theory.protocols import Vector
from .kronrod import Posterior

_NEAR = np.array([0.0, 3.0, 6.0, 9.0, 16.0, 48.0])  #: panel ends around the noise, in its sd
_WIDE = np.array([0.0, 2.0, 5.0, 10.0, 25.0, 60.0])  #: panel ends around the law, in its widths


def _both(offsets: Vector) -> Vector:
    return np.concatenate([-offsets[:0:-1], offsets])


class Latent:
    """Rows of points of one convolved law.

    Args:
        base: the law of ``x_0``.
        a: scale.
        v: variance of the noise.
        position: ``(n,)`` the coordinate of x that the noise kernel over s is about.
        rest: ``(n,)`` the other coordinate, where there is one.
    """

    support = (-math.inf, math.inf)

    def __init__(
        self, base: Any, a: float, v: float, position: Vector, rest: Vector | None = None
    ) -> None:
        self.base, self.a, self.v, self.sd = base, a, v, math.sqrt(v)
        self.position = position
        self.rest = np.zeros_like(position) if rest is None else rest
        # Origin x / a for noise narrower than the law, else the law's centre; but a tail of powers has its
        # posterior at x / a wherever x is far out, and there the difference to the centre loses digits.
        centre = base.anchors[0][0]
        near = np.full(position.shape, self.sd < a * min(width for _, width in base.anchors))
        if isinstance(base, StudentT):
            near |= np.abs(position - a * centre) > 100 * self.sd
        self.origin = np.where(near, position / a, centre)
        self.offset = np.where(near, 0.0, a * centre - position)

    def edges(self) -> Vector:
        """Sorted panel ends ``(n, m)``, relative to the origin."""
        sd = self.sd / self.a
        peak = (-self.offset / self.a)[:, None]
        points = [peak + sd * _both(_NEAR)]
        for centre, width in self.base.anchors:
            at = (centre - self.origin)[:, None]
            points += [at + width * _both(_WIDE), at + sd * np.array([-48.0, 48.0])]
        for at, width in self.hints():
            points.append((at - self.origin)[:, None] + width[:, None] * _both(_WIDE[:4]))
        edges = np.sort(np.concatenate(points, axis=1), axis=1)
        # Ends much closer than the narrower scale only cost time; the last one stays.
        gap = 0.5 * min(3 * sd, *(2 * width for _, width in self.base.anchors))
        for j in range(1, edges.shape[1] - 1):
            close = edges[:, j] - edges[:, j - 1] < gap
            edges[:, j] = np.where(close, edges[:, j - 1], edges[:, j])
        breaks = [(b - self.origin)[:, None] for b in getattr(self.base, "breaks", ())]
        if breaks:
            edges = np.sort(np.concatenate([edges, *breaks], axis=1), axis=1)
        low, high = ((end - self.origin)[:, None] for end in self.support)
        return np.clip(edges, low, high)

    def hints(self) -> list[tuple[Vector, Vector]]:
        """More centres and widths, a row each."""
        return []

    def residual(self, rho: Vector, row: Any) -> Vector:
        """``a s - x`` along the latent coordinate."""
        return self.a * rho + self.offset[row]

    def kernel(self, rho: Vector, row: Any) -> Vector:
        """Log of the noise density."""
        z = self.residual(rho, row) / self.sd
        return -0.5 * (z * z + (LOG_2PI + math.log(self.v)))

    def kernel_slope(self, rho: Vector, row: Any) -> Vector:
        """Derivative of :meth:`kernel` in s."""
        return (-self.a / self.v) * self.residual(rho, row)


def _choose(tweedie: Vector, parts: Vector, size: tuple[Vector, Vector]) -> Vector:
    """The answer with the smaller terms, row by row."""
    return np.where(size[0] <= size[1], tweedie, parts)


class LineLatent(Latent):
    """One-dimensional laws; s is ``x_0``."""

    def __init__(self, base: Any, a: float, v: float, x: Vector) -> None:
        super().__init__(base, a, v, x[:, 0])
        self.support = base.support
        self.smooth = not base.breaks

    def log_integrand(self, rho: Vector, row: Any, slope: bool) -> tuple[Vector, Vector | None]:
        """``log p_0(s) + log N(x; a s, v)``."""
        # Ends that touch the support from outside by rounding belong to it.
        s = np.clip(self.origin[row] + rho, *self.support)[..., None]
        log = self.kernel(rho, row) + self.base.log_prob(s)
        if not slope:
            return log, None
        return log, self.kernel_slope(rho, row) + self.base.score(s)[..., 0]

    def score(self, nodes: Posterior) -> Vector:
        """Score ``(n, 1)`` of the convolved law."""
        delta = self.residual(nodes.nodes, nodes.row[:, None])
        score = nodes.mean(delta) / self.v
        if self.smooth:
            g = self.base.score(self._latent(nodes))[..., 0]
            size = (nodes.mean(np.abs(delta)) / self.v, nodes.mean(np.abs(g)) / self.a)
            score = _choose(score, nodes.mean(g) / self.a, size)
        return score[:, None]

    def hessian(self, nodes: Posterior) -> Vector:
        """Hessian ``(n, 1, 1)`` of the convolved law."""
        spread = nodes.variance(self.residual(nodes.nodes, nodes.row[:, None])) / self.v
        bend = (spread - 1) / self.v
        if self.smooth:
            s = self._latent(nodes)
            h, variance = self.base.divergence(s), nodes.variance(self.base.score(s)[..., 0])
            size = ((spread + 1) / self.v, (nodes.mean(np.abs(h)) + variance) / self.a**2)
            bend = _choose(bend, (nodes.mean(h) + variance) / self.a**2, size)
        return bend[:, None, None]

    def denoiser(self, nodes: Posterior) -> Vector:
        """``E[x_0 | x]``, shape ``(n, 1)``."""
        return (self.origin + nodes.mean(nodes.nodes))[:, None]

    def _latent(self, nodes: Posterior) -> Vector:
        return (self.origin[nodes.row][:, None] + nodes.nodes)[..., None]


class TailLatent(LineLatent):
    """``P(x_t <= x) = a int F_0(s) N(x; a s, v) ds``: the log of the base's cdf replaces its density."""

    def __init__(
        self, base: Any, a: float, v: float, x: Vector, log_cdf: Callable[[Vector], Any]
    ) -> None:
        super().__init__(base, a, v, x)
        self.support = (base.support[0], math.inf)
        self._log_cdf = log_cdf

    def log_integrand(self, rho: Vector, row: Any, slope: bool) -> tuple[Vector, Vector | None]:
        """``log F_0(s) + log N(x; a s, v) + log a``."""
        s = self.origin[row] + rho
        tail = self._log_cdf(s)
        log = self.kernel(rho, row) + tail + math.log(self.a)
        if not slope:
            return log, None
        with np.errstate(over="ignore", invalid="ignore"):
            rise = np.nan_to_num(np.exp(self.base.log_prob(s[..., None]) - tail))
        return log, self.kernel_slope(rho, row) + rise


class ChainLatent(Latent):
    """Chains ``pi(s) N(x_2; m(s), V(s))``: given s, the second coordinate stays Gaussian with noise."""

    base: Chain

    def __init__(self, base: Chain, a: float, v: float, x: Vector) -> None:
        super().__init__(base, a, v, x[:, 0], x[:, 1])
        if isinstance(base, Funnel):  # exp(s) stays a double
            self.support = (-700.0, 700.0)

    def hints(self) -> list[tuple[Vector, Vector]]:
        """Where the second coordinate of x points to, in s."""
        y = self.rest / self.a
        if isinstance(self.base, Funnel):
            at = np.log(np.maximum((y - self.base.location[1]) ** 2, 1e-300))
            return [(at, np.full_like(at, 1.5))]
        if isinstance(self.base, Banana) and self.base.bend != 0:
            p, q = 0.5 * self.base.slope / self.base.bend, self.base.bend
            rise = (y - self.base.location[1]) / q + self.base.std[0] ** 2 + p * p
            reach = np.sqrt(np.maximum(rise, 0.0))
            blur = math.sqrt(self.base.std[1] ** 2 + self.v / self.a**2) / abs(q)
            width = blur / (2 * reach + math.sqrt(blur))
            vertex = self.base.location[0] - p
            return [(vertex + reach, width), (vertex - reach, width)]
        return []

    def factor(self, rho: Vector, row: Any) -> tuple[Vector, ...]:
        """``log N(x_2; a m(s), a^2 V(s) + v)`` and its derivatives."""
        mean, variance = self.base.second(self.origin[row] + rho)
        a = self.a
        noisy = (a**2 * variance[0] + self.v, a**2 * variance[1], a**2 * variance[2])
        return gaussian_factor(self.rest[row], tuple(a * m for m in mean), noisy)

    def log_integrand(self, rho: Vector, row: Any, slope: bool) -> tuple[Vector, Vector | None]:
        """``log pi(s) + log N(x_1; a s, v) + log N(x_2; a m(s), a^2 V(s) + v)``."""
        log = self.kernel(rho, row)
        s = self.origin[row] + rho
        if not slope:
            mean, variance = self.base.second(s)
            noisy = self.a**2 * variance[0] + self.v
            off = self.rest[row] - self.a * mean[0]
            log += self.base.first(s)[0] - 0.5 * (np.log(noisy) + off * off / noisy + LOG_2PI)
            return log, None
        first, factor = self.base.first(s), self.factor(rho, row)
        return log + first[0] + factor[0], self.kernel_slope(rho, row) + first[1] + factor[1]

    def score(self, nodes: Posterior) -> Vector:
        """Score ``(n, 2)`` of the convolved law."""
        row = nodes.row[:, None]
        delta, factor = self.residual(nodes.nodes, row), self.factor(nodes.nodes, row)
        g = self.base.first(self.origin[row] + nodes.nodes)[1] + factor[1]
        size = (nodes.mean(np.abs(delta)) / self.v, nodes.mean(np.abs(g)) / self.a)
        along = _choose(nodes.mean(delta) / self.v, nodes.mean(g) / self.a, size)
        return np.stack([along, nodes.mean(factor[2])], axis=-1)

    def hessian(self, nodes: Posterior) -> Vector:
        """Hessian ``(n, 2, 2)`` of the convolved law."""
        row = nodes.row[:, None]
        delta = self.residual(nodes.nodes, row)
        _, g_s, y, g_ss, y_s, y_y = self.factor(nodes.nodes, row)
        first = self.base.first(self.origin[row] + nodes.nodes)
        g, h = first[1] + g_s, first[2] + g_ss
        off_y, spread = nodes.centred(y), nodes.variance(delta) / self.v
        variance = nodes.variance(g)
        bend = _choose(
            (spread - 1) / self.v,
            (nodes.mean(h) + variance) / self.a**2,
            ((spread + 1) / self.v, (nodes.mean(np.abs(h)) + variance) / self.a**2),
        )
        cross = _choose(
            nodes.mean(nodes.centred(delta) * off_y) / self.v,
            (nodes.mean(nodes.centred(g) * off_y) + nodes.mean(y_s)) / self.a,
            (nodes.mean(np.abs(delta)) / self.v, nodes.mean(np.abs(g)) / self.a),
        )
        across = nodes.mean(y_y) + nodes.mean(off_y**2)
        return np.stack([np.stack([bend, cross], -1), np.stack([cross, across], -1)], -2)

    def denoiser(self, nodes: Posterior) -> Vector:
        """``E[x_0 | x]``, shape ``(n, 2)``: the second part is linear given s."""
        row = nodes.row[:, None]
        mean, variance = self.base.second(self.origin[row] + nodes.nodes)
        gain = self.a * variance[0] / (self.a**2 * variance[0] + self.v)
        second = mean[0] + gain * (self.rest[row] - self.a * mean[0])
        return np.stack([self.origin + nodes.mean(nodes.nodes), nodes.mean(second)], axis=-1)


class RingLatent(Latent):
    """The ring: s is the radius of ``x_0``; its angle given s is von Mises about the direction of x.

    With ``k = a s |x| / v``: ``E cos = I_1/I_0 = A``, ``E sin^2 = A / k``.
    """

    support = (0.0, math.inf)

    def __init__(self, base: Ring, a: float, v: float, x: Vector) -> None:
        off = x - a * np.array(base.centre)
        radius = np.linalg.norm(off, axis=1)
        super().__init__(base, a, v, radius)
        self.direction = off / np.where(radius > 0, radius, 1.0)[:, None]

    def log_integrand(self, rho: Vector, row: Any, slope: bool) -> tuple[Vector, Vector | None]:
        """``log 2 pi s p_0(s) + log N_2(|x| - a s; v) + log (exp(-k) I_0(k))``."""
        s = np.maximum(self.origin[row] + rho, 1e-300)
        first = self.base.log_radius(s)
        pull = self.a * self.position[row] / self.v
        log = self.kernel(rho, row) + first[0] + np.log(s * special.i0e(pull * s))
        log += 0.5 * (LOG_2PI - math.log(self.v))
        if not slope:
            return log, None
        rise = first[1] + 1 / s + pull * (_bessel(pull * s)[0] - 1)
        return log, self.kernel_slope(rho, row) + rise

    def score(self, nodes: Posterior) -> Vector:
        """Score ``(n, 2)`` of the convolved law."""
        return self._radial_score(nodes, *self._angles(nodes)[:2])[:, None] * self.direction

    def hessian(self, nodes: Posterior) -> Vector:
        """Hessian ``(n, 2, 2)`` of the convolved law: one value along the radius, one across."""
        a, v = self.a, self.v
        s, cos, sin2 = self._angles(nodes)
        cos2 = 1 - sin2
        blur = np.maximum(cos2 - cos * cos, 0.0)
        _, g, h = self.base.log_radius(s)
        turn = g / np.maximum(s, 1e-300)
        spread = (nodes.variance(a * s * cos) + nodes.mean((a * s) ** 2 * blur)) / v
        variance = nodes.variance(g * cos) + nodes.mean(g * g * blur)
        bend = nodes.mean(h * cos2 + turn * sin2)
        radial = _choose(
            (spread - 1) / v,
            (bend + variance) / a**2,
            ((spread + 1) / v, (np.abs(bend) + variance) / a**2),
        )
        spread, variance = nodes.mean((a * s) ** 2 * sin2) / v, nodes.mean(g * g * sin2)
        bend = nodes.mean(h * sin2 + turn * cos2)
        across = _choose(
            (spread - 1) / v,
            (bend + variance) / a**2,
            ((spread + 1) / v, (np.abs(bend) + variance) / a**2),
        )
        outer = self.direction[:, :, None] * self.direction[:, None, :]
        return across[:, None, None] * np.eye(2) + (radial - across)[:, None, None] * outer

    def denoiser(self, nodes: Posterior) -> Vector:
        """``E[x_0 | x]``, shape ``(n, 2)``."""
        s, cos, _ = self._angles(nodes)
        return np.array(self.base.centre) + nodes.mean(s * cos)[:, None] * self.direction

    def _radial_score(self, nodes: Posterior, s: Vector, cos: Vector) -> Vector:
        delta = self.residual(nodes.nodes, nodes.row[:, None]) - self.a * s * (1 - cos)
        g = self.base.log_radius(s)[1]
        size = (nodes.mean(np.abs(delta)) / self.v, nodes.mean(np.abs(g) * cos) / self.a)
        return _choose(nodes.mean(delta) / self.v, nodes.mean(g * cos) / self.a, size)

    def _angles(self, nodes: Posterior) -> tuple[Vector, Vector, Vector]:
        """The radius at the nodes, with the mean cosine and squared sine of the angle given it."""
        row = nodes.row[:, None]
        s = self.origin[row] + nodes.nodes
        return s, *_bessel(self.a * s * self.position[row] / self.v)


def _bessel(k: Vector) -> tuple[Vector, Vector]:
    """``A = I_1(k) / I_0(k)`` and ``A / k``, whose limit at zero is one half."""
    ratio = special.i1e(k) / special.i0e(k)
    return ratio, np.where(k > 1e-5, ratio / np.maximum(k, 1e-300), 0.5 - k * k / 16)
