"""Stein identities: what a score alone says of draws.

For a smooth bounded field ``f``, ``E_p[div f + f . s] = 0`` with ``s = grad log p`` (Stein 1972), and no normalising
constant is needed. Along a direction ``v``, with ``f = psi v``,

    A psi = v . grad psi + psi (v . s),    E_p (A psi)^2 = E_p[(v . grad psi)^2 - psi^2 v' H v],    H = grad s,

by a second use of the identity: an exact variance that holds no square of the score. It is bounded by
``sup (v . grad psi)^2 + sup psi^2 F``, ``F`` a bound on ``E_p max(-v' H v, 0)``.

What a score cannot see: the weights of separated modes change the score only where the density is negligible
(Wenliang and Kanagawa 2020). A Stein check never supports a law.

References: Gorham and Mackey 2015; Chwialkowski, Strathmann and Gretton 2016; Liu, Lee and Jordan 2016.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Vector

_FREQUENCIES = (0.5, 1.0, 2.0)  #: in units of one over the standard deviation
_DIRECTIONS = 16  #: random directions besides at most as many coordinates


@dataclass(frozen=True)
class Frame:
    """Affine coordinates ``y = (x - centre) @ whiten`` in which draws have mean zero and covariance I.

    Attributes:
        centre: ``(d,)``.
        whiten: symmetric ``Cov^{-1/2}``, ``(d, d)``.
        unwhiten: its inverse; the score in the new coordinates is ``s @ unwhiten``.
    """

    centre: Vector
    whiten: Vector
    unwhiten: Vector

    @classmethod
    def of(cls, x: Vector) -> Frame:
        """From a pilot ``(n, d)``; directions without spread keep a unit of the largest one's 1e-8."""
        centre = x.mean(axis=0)
        values, axes = np.linalg.eigh(np.atleast_2d(np.cov(x.T)))
        roots = np.sqrt(np.maximum(values, 1e-16 * max(float(values.max()), 1e-300)))
        return cls(centre, (axes / roots) @ axes.T, (axes * roots) @ axes.T)

    def points(self, x: Vector) -> Vector:
        """``y`` of points ``(n, d)``."""
        return (x - self.centre) @ self.whiten

    def scores(self, s: Vector) -> Vector:
        """Scores with respect to ``y`` of scores with respect to ``x``, ``(n, d)``."""
        return s @ self.unwhiten


class SteinTerms:
    """Terms ``A psi_j(x)`` of a fixed family of fields, all of mean zero under the law.

    Along coordinates and random directions ``u`` of the frame: ``psi = 1`` (shifts), ``psi = t / sqrt(1 + t^2)`` with
    ``t = u . y`` (scales), and ``sin(w t)``, ``cos(w t)`` for three frequencies.

    Args:
        frame: affine coordinates, chosen before the draws that are tested.
        rng: generator of the random directions.
    """

    def __init__(self, frame: Frame, rng: np.random.Generator) -> None:
        d = len(frame.centre)
        raw = rng.standard_normal((d, _DIRECTIONS if d > 1 else 0))
        raw /= np.linalg.norm(raw, axis=0)
        self.frame = frame
        self.directions = np.concatenate([np.eye(d)[:, :_DIRECTIONS], raw], axis=1)
        m = self.directions.shape[1]
        self.names = [
            f"{name} along direction {j}"
            for name in ("shift", "scale", *_waves())
            for j in range(m)
        ]
        slopes = [0.0, 1.0, *(w for w in _FREQUENCIES for _ in range(2))]
        self._slope = np.repeat(np.asarray(slopes), m)

    def __call__(self, x: Vector, s: Vector) -> Vector:
        """Terms ``(n, J)`` from points and scores ``(n, d)``."""
        t = self.frame.points(x) @ self.directions
        along = self.frame.scores(s) @ self.directions
        root = np.sqrt(1 + t * t)
        parts = [along, t / root * along + root**-3]
        for w in _FREQUENCIES:
            wave, other = np.sin(w * t), np.cos(w * t)
            parts += [wave * along + w * other, other * along - w * wave]
        return np.concatenate(parts, axis=1)

    def second_moments(self, curvature: Vector) -> Vector:
        """Bounds ``sup (v . grad psi)^2 + F_v`` on ``E (A psi_j)^2``, shape ``(J,)``; every ``|psi| <= 1``.

        Args:
            curvature: bounds ``F_v`` along :attr:`directions`, shape ``(m,)``.
        """
        return self._slope**2 + np.tile(curvature, len(self._slope) // len(curvature))

    def curvature(self, hessian: Vector) -> Vector:
        """``mean max(-v' H v, 0)`` along :attr:`directions` from Hessians ``(n, d, d)`` of ``log p`` at draws."""
        v = self.frame.unwhiten @ self.directions
        along = np.einsum("dj,nde,ej->nj", v, hessian, v)
        return np.maximum(-along, 0.0).mean(axis=0)


def _waves() -> list[str]:
    return [f"{kind} {w:g}" for w in _FREQUENCIES for kind in ("sine", "cosine")]


class Witness:
    """The Stein kernel against past draws: ``h(x) = mean_i k_p(x_i, x)``, of mean zero under the law.

    With the inverse multiquadric ``k(x, y) = (1 + |x - y|^2 / c^2)^{-1/2}`` in the frame,

        k_p(x, y) = s(x).s(y) k + s(x).grad_y k + s(y).grad_x k + tr grad_x grad_y k.

    Its square under the law is not known; a bound on it must come from elsewhere.

    Args:
        frame: affine coordinates.
        x: past draws ``(m, d)``.
        s: their scores.
    """

    def __init__(self, frame: Frame, x: Vector, s: Vector) -> None:
        self.frame = frame
        self._y, self._s = frame.points(x), frame.scores(s)

    def __call__(self, x: Vector, s: Vector) -> Vector:
        """``h`` at new draws, shape ``(n,)``."""
        kernel = stein_kernel(self.frame.points(x), self.frame.scores(s), self._y, self._s)
        return kernel.mean(axis=1)


def stein_kernel(x: Vector, s: Vector, y: Vector, r: Vector) -> Vector:
    """Stein kernel ``k_p`` of the inverse multiquadric with ``c^2 = d``, shape ``(n, m)``.

    Args:
        x: points ``(n, d)``.
        s: scores at ``x``.
        y: points ``(m, d)``.
        r: scores at ``y``.

    Reference: Gorham and Mackey 2017 (why this kernel controls convergence).
    """
    d = x.shape[1]
    square = (x * x).sum(1)[:, None] + (y * y).sum(1)[None] - 2 * x @ y.T
    q = 1 + np.maximum(square, 0.0) / d
    # grad_y k = (x - y) / d q^{-3/2} = -grad_x k
    sx, sy = (s * x).sum(1)[:, None] - s @ y.T, x @ r.T - (y * r).sum(1)[None]
    cross = (sx - sy) / d * q**-1.5
    trace = q**-1.5 - 3 * (q - 1) / d * q**-2.5
    return s @ r.T * q**-0.5 + cross + trace


def kernel_stein_discrepancy(
    x: Vector, score: Callable[[Vector], Vector], *, most: int = 2000
) -> tuple[float, float]:
    """Square of the kernel Stein discrepancy as a U-statistic, and its standard error where the draws are wrong.

    Args:
        x: draws ``(n, d)``.
        score: ``(n, d) -> (n, d)``.
        most: draws used at most; the cost is their square.

    Returns:
        Estimate of ``E k_p(X, X')`` and ``2 sd(h) / sqrt(n)``. Zero means no difference that a score sees.

    Raises:
        ValueError: less than two draws.
    """
    if x.ndim != 2 or len(x) < 2:
        raise bad("x", x.shape, "at least two draws, shape (n, d)", "draw more")
    x = x[:most]
    frame = Frame.of(x)
    y, s = frame.points(x), frame.scores(np.asarray(score(x)))
    kernel = stein_kernel(y, s, y, s)
    n = len(x)
    np.fill_diagonal(kernel, 0.0)
    rows = kernel.sum(axis=1) / (n - 1)
    return float(rows.mean()), 2 * float(rows.std()) / math.sqrt(n)
