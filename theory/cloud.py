"""A data set as arrays: points, weights and what posterior weights need of them, beside any ``x``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from .arrays import device, is_torch_array, like, namespace
from .protocols import Array, Vector

GATHERED = 1 << 21  #: entries of gathered differences held at a time (16 MB)


class Cloud:
    """The arrays of a data set: points ``(K, d)``, weights ``(K,)``, and what the logits need of them."""

    def __init__(self, points: Vector, weights: Vector) -> None:
        self.points, self.weights = points, weights
        self.size, self.dim = points.shape
        self.mean = weights @ points
        norms = np.einsum("kd,kd->k", points, points)
        # A second copy only where it pays: with the mean inside a few spreads nothing cancels.
        far = self.mean @ self.mean > 16 * (weights @ norms - self.mean @ self.mean)
        self.shift = self.mean if far else np.zeros(self.dim)
        self.centred = points - self.shift if far else points
        self.norms = np.einsum("kd,kd->k", self.centred, self.centred) if far else norms
        self.radius = math.sqrt(self.norms.max())
        self.log_weights = np.log(weights)
        self._held: dict[Any, tuple[Array, ...]] = {}

    @cached_property
    def covariance(self) -> Vector:
        """``(d, d)``."""
        out = np.zeros((self.dim, self.dim))
        for cut in slices(self.size, max(1, GATHERED // self.dim)):
            off = self.points[cut] - self.mean
            out += (off * self.weights[cut, None]).T @ off
        return out

    def held(self, x: Array) -> tuple[Array, Array, Array, Array]:
        """Points, centred points, squared norms and log weights beside ``x``."""
        parts = (self.points, self.centred, self.norms, self.log_weights)
        if isinstance(x, np.ndarray):
            return parts
        key = (namespace(x).__name__, str(device(x)))
        if key not in self._held:
            points = self._beside(self.points, x)
            centred = points if self.centred is self.points else self._beside(self.centred, x)
            self._held[key] = (points, centred, like(self.norms, x), like(self.log_weights, x))
        return self._held[key]  # pyright: ignore[reportReturnType]

    def _beside(self, data: Vector, x: Array) -> Array:
        if is_torch_array(x) and str(device(x)) == "cpu":
            return namespace(x).asarray(data)  # shares the memory, which nothing writes to
        return like(data, x)


def two_product(a: float, y: Array) -> tuple[Array, Array]:
    """``high + low = a y`` exactly, without a fused multiply-add (Dekker 1971, Veltkamp's splitting)."""
    high = a * y
    if a == 1.0:
        return high, y * 0.0
    a_top = _top(a)
    y_top = _top(y)
    a_low, y_low = a - a_top, y - y_top
    return high, ((a_top * y_top - high) + a_top * y_low + a_low * y_top) + a_low * y_low


def _top(y: Array) -> Array:
    shifted = 134217729.0 * y  # 2^27 + 1
    return shifted - (shifted - y)


def slices(n: int, step: int) -> Iterator[slice]:
    """Consecutive slices of at most ``step`` that cover ``range(n)``."""
    return (slice(i, min(i + step, n)) for i in range(0, n, step))
