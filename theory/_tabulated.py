"""A smooth one-dimensional density known up to its constant, normalised by Gauss-Legendre panels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .protocols import Vector

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


class Tabulated:
    """``p(s) = exp(log_f(s)) / Z`` on ``[low, high]``, which must hold all mass but ``1e-300``.

    Args:
        log_f: log-density without its constant, vectorised, analytic on the interval.
        low: left end.
        high: right end.
        panels: number of equal panels with 12 nodes each.
        edges: ends of other panels, increasing from ``low`` to ``high``.

    Attributes:
        log_z: ``log Z``.
        error: relative change of ``Z`` when the panels are halved in number.
    """

    def __init__(
        self,
        log_f: Callable[[Vector], Vector],
        low: float,
        high: float,
        *,
        panels: int = 192,
        edges: Vector | None = None,
    ) -> None:
        self._log_f = log_f
        self._edges = np.linspace(low, high, panels + 1) if edges is None else edges
        values = self._log_f(self._grid(self._edges))
        self._top = float(values.max())
        mass = self._masses(self._edges)
        total = mass.sum()
        self.log_z = float(np.log(total)) + self._top
        self.error = float(abs(self._masses(self._edges[::2]).sum() / total - 1))
        self._below = np.concatenate([[0.0], np.cumsum(mass)]) / total
        self._above = np.concatenate([np.cumsum(mass[::-1])[::-1], [0.0]]) / total

    def expectation(self, g: Callable[[Vector], Vector]) -> float:
        """``E g(s)`` on the panels."""
        s = self._grid(self._edges)
        weight = np.exp(self._log_f(s) - self.log_z) * self._half(self._edges)
        return float(((weight * g(s)) @ _WEIGHTS).sum())

    def cdf(self, s: Vector) -> Vector:
        """``P(S <= s)``, in the shape of ``s``; the lower tail keeps its relative accuracy."""
        y = np.clip(s, self._edges[0], self._edges[-1])
        at = np.clip(np.searchsorted(self._edges, y, side="right") - 1, 0, len(self._edges) - 2)
        return self._below[at] + self._partial(self._edges[at], y)

    def above(self, s: Vector) -> Vector:
        """``P(S > s)``, in the shape of ``s``; the upper tail keeps its relative accuracy."""
        y = np.clip(s, self._edges[0], self._edges[-1])
        at = np.clip(np.searchsorted(self._edges, y, side="right") - 1, 0, len(self._edges) - 2)
        return self._above[at + 1] + self._partial(y, self._edges[at + 1])

    def quantile(self, u: Vector) -> Vector:
        """The inverse of :meth:`cdf`, by safeguarded Newton steps from the panel that holds ``u``."""
        flat = np.asarray(u, dtype=np.float64).ravel()
        # The nearer tail is inverted, so that neither tail loses relative accuracy.
        upper = flat > 0.5
        last = len(self._edges) - 2
        at = np.clip(np.searchsorted(self._below, flat, side="right") - 1, 0, last)
        from_top = len(self._above) - np.searchsorted(self._above[::-1], 1 - flat, side="left") - 1
        at = np.where(upper, np.clip(from_top, 0, last), at)
        left, right = self._edges[at], self._edges[at + 1]
        low, high, start = left.copy(), right.copy(), left
        s = 0.5 * (left + right)
        for _ in range(60):
            inside = self._partial(start, s)
            excess = np.where(
                upper, 1 - flat - (self._above[at] - inside), self._below[at] + inside - flat
            )
            high = np.where(excess > 0, s, high)
            low = np.where(excess <= 0, s, low)
            with np.errstate(all="ignore"):
                step = s - excess / np.exp(self._log_f(s) - self.log_z)
            new = np.where((step > low) & (step < high), step, 0.5 * (low + high))
            done = np.abs(new - s) <= 4e-16 * (np.abs(new) + (right - left))
            s = new
            if done.all():
                break
        return np.where(np.isnan(flat), np.nan, s).reshape(np.shape(u))

    def _partial(self, start: Vector, stop: Vector) -> Vector:
        half = 0.5 * (stop - start)
        nodes = (start + half)[..., None] + half[..., None] * _NODES
        return half * (np.exp(self._log_f(nodes) - self.log_z) @ _WEIGHTS)

    def _masses(self, edges: Vector) -> Vector:
        values = np.exp(self._log_f(self._grid(edges)) - self._top)
        return (values * self._half(edges)) @ _WEIGHTS

    @staticmethod
    def _half(edges: Vector) -> Vector:
        return 0.5 * np.diff(edges)[:, None]

    @classmethod
    def _grid(cls, edges: Vector) -> Vector:
        return 0.5 * (edges[1:] + edges[:-1])[:, None] + cls._half(edges) * _NODES
