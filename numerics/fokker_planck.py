"""Fokker-Planck equations in one and two dimensions, conservatively.

    dp/dt = -div(b p) + D lap p,    b = b(x, t),  D = D(t) = g^2 / 2,

on a box with walls that nothing crosses. Between neighbouring nodes i, j at distance h the flux is

    J = (D / h) [B(-w) p_i - B(w) p_j],    B(w) = w / (e^w - 1),    w = int_i^j b.dl / D

(Scharfetter & Gummel 1969; Chang & Cooper 1970): the exact flux for a constant b between the nodes. It
vanishes exactly when ``log p_j - log p_i = w``, so for ``b = D grad log p`` the nodal values of p are stationary
to rounding and the quadrature of w. Rates to neighbours are never negative, so backward Euler keeps p
non-negative at any step; TR-BDF2 is of second order and damps the stiff part but may undershoot. The
scheme is of second order in h for D > 0. With D = 0 (probability flow) the flux is the central one:
second order, positivity not kept, and useless once mass piles up at a wall. In between, where
``|b| h`` is well above D, it degrades to first-order upwinding. Mass leaves through no wall and is
conserved to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import sparse
from scipy.sparse import linalg as sparse_linalg

from ..theory._checks import bad
from ..theory.protocols import Vector
from .estimate import Estimate, quadrature_estimate
from .fokker_planck_grid import Edges, Grid
from .scharfetter_gummel import Rates, assemble, edge_rates, symmetric_top

Drift = Callable[[Vector, float], Vector]  #: ``(x (n, d), t) -> b(x, t) (n, d)``
Method = Literal["tr-bdf2", "backward-euler"]

_GAMMA = 2 - math.sqrt(2)  #: for which both stages of TR-BDF2 share one matrix
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Evolution:
    """A density with the change that halving both steps made.

    Attributes:
        density: nodal values at the end, from the finer run, in the shape of the grid.
        error: ``|fine - coarse|`` at the nodes: about three times the error of a second-order run,
            about once that of backward Euler.
        l1: the integral of ``error``.
        mass_defect: change of the total mass.
    """

    density: Vector
    error: Vector
    l1: float
    mass_defect: float


class FokkerPlanck:
    """``dp/dt = -div(b p) + D lap p`` on a box; see :class:`FokkerPlanck1D`, :class:`FokkerPlanck2D`.

    Args:
        drift: b, ``(x (n, d), t) -> (n, d)``.
        diffusion: D, a number or a function of t; not negative.
        grid: the nodes.
        nodes: Gauss points for ``int b.dl`` on an edge.
        steady: whether b and D do not depend on t, so that one factorisation serves all steps.

    Not checked: whether the box holds the mass, i.e. whether the walls are felt.
    """

    def __init__(
        self,
        drift: Drift,
        diffusion: float | Callable[[float], float],
        grid: Grid,
        *,
        nodes: int = 4,
        steady: bool = False,
    ) -> None:
        self._drift, self._diffusion, self.grid = drift, diffusion, grid
        self.nodes, self.steady = nodes, steady

    def diffusion(self, t: float) -> float:
        """D(t).

        Raises:
            ValueError: negative or not finite.
        """
        d = float(self._diffusion(t) if callable(self._diffusion) else self._diffusion)
        if not (math.isfinite(d) and d >= 0):
            raise bad("diffusion", f"{d:g} at t = {t:g}", "zero or more", "it is g^2 / 2")
        return d

    def operator(self, t: float = 0.0) -> sparse.csc_matrix:
        """L of ``dp/dt = L p`` on flat nodal values, ``(n, n)``; ``volumes @ L = 0``."""
        return assemble(self.grid, self._rates(t))

    def residual(self, density: Vector, t: float = 0.0) -> Vector:
        """``dp/dt`` at the nodes, in the shape of the grid."""
        p = self._density(density)
        return (self.operator(t) @ p.ravel()).reshape(p.shape)

    def stationarity_defect(self, density: Vector, t: float = 0.0) -> float:
        """``int |dp/dt| dx / int p dx``: the rate at which ``density`` is being changed."""
        p = self._density(density)
        return self.grid.mass(np.abs(self.residual(p, t))) / self.grid.mass(p)

    def rounding(self, t: float = 0.0) -> float:
        """Size of the rounding error of :meth:`stationarity_defect`: ``32 eps max |L_ii|``.

        A rate is a sum of at most 2 d + 1 terms, each the product of a handful of rounded factors.
        """
        return 32 * _EPS * float(np.abs(self.operator(t).diagonal()).max())

    def evolve(
        self,
        p0: Vector | Callable[[Vector], Vector],
        t0: float,
        t1: float,
        *,
        steps: int,
        method: Method = "tr-bdf2",
    ) -> Vector:
        """Nodal density at ``t1``.

        Args:
            p0: density at ``t0``: nodal values, or a function of points ``(n, d) -> (n,)``.
            t0: start.
            t1: end, later than ``t0``.
            steps: equal time steps.
            method: ``"tr-bdf2"`` (second order) or ``"backward-euler"`` (first order, keeps ``p >= 0``).

        Returns:
            Density in the shape of the grid; its error is found by :meth:`evolve_refined`.

        Raises:
            ValueError: times out of order, no step, a density of the wrong shape, an unknown method.

        Reference: Bank et al. 1985 (TR-BDF2); Hosea & Shampine 1996.
        """
        if not t1 > t0 or int(steps) != steps or steps < 1:
            raise bad(
                "steps", f"{steps} from {t0:g} to {t1:g}", "t0 < t1 and a step", "swap times"
            )
        if method not in ("tr-bdf2", "backward-euler"):
            raise bad("method", repr(method), '"tr-bdf2" or "backward-euler"', "pick one")
        start = p0(self.grid.points).reshape(self.grid.shape) if callable(p0) else p0
        p = self._density(start).ravel()
        h = (t1 - t0) / steps
        advance = self._tr_bdf2 if method == "tr-bdf2" else self._backward_euler
        ready: dict[str, Any] = {}
        for k in range(steps):
            p = advance(p, t0 + k * h, h, ready)
        return p.reshape(self.grid.shape)

    def evolve_refined(
        self,
        p0: Callable[[Vector], Vector],
        t0: float,
        t1: float,
        *,
        steps: int,
        method: Method = "tr-bdf2",
    ) -> Evolution:
        """The density of the refined run (half the spacing, half the step) and what refining changed.

        Args:
            p0: density at ``t0``, a function of points ``(n, d) -> (n,)``.
            t0: start.
            t1: end.
            steps: time steps of the coarse run.
            method: as in :meth:`evolve`.
        """
        coarse = self.evolve(p0, t0, t1, steps=steps, method=method)
        finer = self.refined()
        full = finer.evolve(p0, t0, t1, steps=2 * steps, method=method)
        fine = full[(slice(None, None, 2),) * self.grid.dim]
        change = np.abs(fine - coarse)
        before = finer.grid.mass(p0(finer.grid.points).reshape(finer.grid.shape))
        return Evolution(fine, change, self.grid.mass(change), finer.grid.mass(full) - before)

    def stationary(self, t: float = 0.0) -> Vector:
        """The density with ``L p = 0`` and mass one, for the coefficients at time ``t``.

        Raises:
            ValueError: D = 0, where there is none or many.
        """
        d = self._positive_diffusion(t)
        if self.grid.dim == 1:
            # One dimension, no flux: log p rises by w on every edge.
            rise = np.cumsum(self._log_rise(self.grid.edges[0], t) / d)
            log_p = np.concatenate([[0.0], rise])
            p = np.exp(log_p - log_p.max())
            return p / self.grid.mass(p)
        system = self.operator(t).tolil()
        scale = float(np.abs(system.diagonal()).max())
        volumes = self.grid.volumes.ravel()
        # The balance of one node follows from all others: the mass takes its place. It sits in the
        # middle, where p is not tiny, or the last digits of the whole would hang on a tail.
        row = int(np.ravel_multi_index(tuple(n // 2 for n in self.grid.shape), self.grid.shape))
        system[row, :] = volumes / volumes.max() * scale
        right = np.zeros(volumes.size)
        right[row] = scale / volumes.max()
        return np.asarray(sparse_linalg.spsolve(system.tocsc(), right)).reshape(self.grid.shape)

    def spectral_gap(self, t: float = 0.0) -> Estimate:
        """Smallest positive rate of decay to equilibrium, for a drift that is a gradient.

        The operator is similar to the symmetric S with the same diagonal and off the diagonal
        ``sqrt(L_ij L_ji)``, whose largest eigenvalue is 0; the gap is minus the second. The error is the
        change from h to h/2 (three times the error left, as the order is 2) plus rounding.

        Raises:
            ValueError: D = 0, or a drift that is no gradient, for which S is not similar to L.
        """
        coarse, fine = self._gap(t), self.refined()._gap(t)
        rounding = self.refined().rounding(t)
        return quadrature_estimate(
            fine, abs(fine - coarse) + rounding, n=int(np.prod(self.refined().grid.shape))
        )

    def refined(self) -> FokkerPlanck:
        """The same equation on a grid of half the spacing."""
        return FokkerPlanck(
            self._drift,
            self._diffusion,
            self.grid.refined(),
            nodes=self.nodes,
            steady=self.steady,
        )

    def _log_rise(self, edge: Edges, t: float) -> Vector:
        """``int b.dl`` from the lower to the upper node of every edge."""
        roots, weights = np.polynomial.legendre.leggauss(self.nodes)
        start = self.grid.points[edge.left]
        total = np.zeros(edge.left.size)
        for r, w in zip((roots + 1) / 2, weights / 2, strict=True):
            at = start.copy()
            at[:, edge.axis] += r * edge.length
            b = np.asarray(self._drift(at, t), dtype=np.float64)
            if b.shape != at.shape:
                raise bad("drift", f"shape {b.shape}", f"{at.shape}", "return b at every point")
            total += w * edge.length * b[:, edge.axis]
        return total

    def _rates(self, t: float) -> list[Rates]:
        d = self.diffusion(t)
        return [edge_rates(e, self._log_rise(e, t), d) for e in self.grid.edges]

    def _gap(self, t: float) -> float:
        d = self._positive_diffusion(t)
        extent = max(b - a for a, b in zip(self.grid.low, self.grid.high, strict=True))
        second, first = symmetric_top(self.grid, self._rates(t), shift=0.1 * d / extent**2)
        # The quadrature of w leaves a loop defect far below this in a gradient field.
        if abs(first) > 1e-6 * abs(second) + self.rounding(t):
            raise bad(
                "drift",
                f"largest symmetrised eigenvalue {first:.3g} beside {second:.3g}",
                "a gradient field, for which it is 0",
                "raise nodes or refine the grid if the drift is one",
            )
        return first - second

    def _backward_euler(self, p: Vector, t: float, h: float, ready: dict[str, Any]) -> Vector:
        return self._factor(t + h, h, ready)(p)

    def _tr_bdf2(self, p: Vector, t: float, h: float, ready: dict[str, Any]) -> Vector:
        middle, g = t + _GAMMA * h, _GAMMA
        slope = self._operator_for(t, ready) @ p
        inner = self._factor(middle, g * h / 2, ready)(p + g * h / 2 * slope)
        known = (inner - (1 - g) ** 2 * p) / (g * (2 - g))
        return self._factor(t + h, g * h / 2, ready)(known)

    def _operator_for(self, t: float, ready: dict[str, Any]) -> sparse.csc_matrix:
        # The operator at the end of a step is that at the start of the next one.
        if "operator" not in ready or not (self.steady or ready["time"] == t):
            ready["operator"], ready["time"] = self.operator(t), t
        return ready["operator"]

    def _factor(self, t: float, w: float, ready: dict[str, Any]) -> Callable[[Vector], Vector]:
        if self.steady and "solve" in ready:
            return ready["solve"]
        n = self.grid.volumes.size
        operator = self._operator_for(t, ready)
        ready["solve"] = sparse_linalg.splu(sparse.identity(n, format="csc") - w * operator).solve
        return ready["solve"]

    def _positive_diffusion(self, t: float) -> float:
        d = self.diffusion(t)
        if d == 0:
            raise bad("diffusion", "0", "a positive number", "a pure drift has no unique density")
        return d

    def _density(self, density: Vector) -> Vector:
        p = np.asarray(density, dtype=np.float64)
        if p.shape != self.grid.shape:
            raise bad("density", f"shape {p.shape}", f"{self.grid.shape}", "give nodal values")
        return p


class FokkerPlanck1D(FokkerPlanck):
    """One dimension.

    Args:
        drift: b, ``(x (n, 1), t) -> (n, 1)``.
        diffusion: D, a number or a function of t.
        low: left wall.
        high: right wall.
        cells: intervals.
        nodes: Gauss points on an edge.
        steady: whether b and D do not depend on t.

    Raises:
        ValueError: walls out of order or fewer than two cells.
    """

    def __init__(
        self,
        drift: Drift,
        diffusion: float | Callable[[float], float],
        *,
        low: float,
        high: float,
        cells: int,
        nodes: int = 4,
        steady: bool = False,
    ) -> None:
        grid = Grid.box(low, high, cells, 1)
        super().__init__(drift, diffusion, grid, nodes=nodes, steady=steady)


class FokkerPlanck2D(FokkerPlanck):
    """Two dimensions; corners and cells are numbers or pairs.

    Args:
        drift: b, ``(x (n, 2), t) -> (n, 2)``.
        diffusion: D, a number or a function of t.
        low: lower corner.
        high: upper corner.
        cells: intervals along each axis.
        nodes: Gauss points on an edge.
        steady: whether b and D do not depend on t.

    Raises:
        ValueError: corners out of order or fewer than two cells.
    """

    def __init__(
        self,
        drift: Drift,
        diffusion: float | Callable[[float], float],
        *,
        low: Any,
        high: Any,
        cells: Any,
        nodes: int = 4,
        steady: bool = False,
    ) -> None:
        grid = Grid.box(low, high, cells, 2)
        super().__init__(drift, diffusion, grid, nodes=nodes, steady=steady)
