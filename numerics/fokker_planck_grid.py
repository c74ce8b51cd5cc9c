"""Rectangular node grids with the dual cells on which a conservative scheme balances its fluxes.

Nodes are equally spaced and include the walls; the cell of a node reaches half-way to its neighbours, so
the volumes are trapezoid weights and the nodes of a grid are every second node of the refined one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..theory._checks import bad, parameter
from ..theory.protocols import Vector


@dataclass(frozen=True)
class Edges:
    """Neighbouring pairs of nodes along one axis.

    Attributes:
        axis: the axis.
        left: flat indices of the lower nodes ``(m,)``.
        right: flat indices of the upper nodes ``(m,)``.
        length: distance h of the nodes.
        area: size of the dual face ``(m,)``, 1 in one dimension.
    """

    axis: int
    left: np.ndarray
    right: np.ndarray
    length: float
    area: Vector


@dataclass(frozen=True)
class Grid:
    """A box of nodes in one or two dimensions.

    Attributes:
        low: lower corner ``(d,)``.
        high: upper corner ``(d,)``.
        cells: intervals along each axis ``(d,)``; there is one node more.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    cells: tuple[int, ...]

    @classmethod
    def box(cls, low: object, high: object, cells: object, dim: int) -> Grid:
        """A box from numbers or sequences of length ``dim``.

        Raises:
            ValueError: corners that do not match or are not ordered, or fewer than two cells.
        """
        a, b, n = (
            np.broadcast_to(parameter(v, name, (0, 1)), (dim,))
            if parameter(v, name, (0, 1)).size in (1, dim)
            else _wrong_size(v, name, dim)
            for v, name in ((low, "low"), (high, "high"), (cells, "cells"))
        )
        if (b <= a).any():
            raise bad("high", f"{b}", f"more than low = {a} on every axis", "swap the corners")
        if (n < 2).any() or (n != np.round(n)).any():
            raise bad("cells", f"{n}", "two or more intervals on every axis", "pass integers")
        return cls(tuple(map(float, a)), tuple(map(float, b)), tuple(map(int, n)))

    @property
    def dim(self) -> int:
        """Dimension d."""
        return len(self.cells)

    @property
    def shape(self) -> tuple[int, ...]:
        """Nodes along each axis."""
        return tuple(n + 1 for n in self.cells)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance h of the nodes along each axis."""
        ends = zip(self.low, self.high, self.cells, strict=True)
        return tuple((b - a) / n for a, b, n in ends)

    @cached_property
    def axes(self) -> tuple[Vector, ...]:
        """Coordinates of the nodes along each axis."""
        ends = zip(self.low, self.high, self.cells, strict=True)
        return tuple(np.linspace(a, b, n + 1) for a, b, n in ends)

    @cached_property
    def points(self) -> Vector:
        """All nodes ``(n, d)`` in C order."""
        return np.stack(np.meshgrid(*self.axes, indexing="ij"), axis=-1).reshape(-1, self.dim)

    @cached_property
    def volumes(self) -> Vector:
        """Sizes of the dual cells, in the shape of the grid."""
        return _outer(*[_trapezoid(n, h) for n, h in zip(self.shape, self.spacing, strict=True)])

    @cached_property
    def edges(self) -> tuple[Edges, ...]:
        """The neighbouring pairs along each axis."""
        index = np.arange(int(np.prod(self.shape))).reshape(self.shape)
        out = []
        for k, (n, h) in enumerate(zip(self.shape, self.spacing, strict=True)):
            weights = [_trapezoid(m, w) for m, w in zip(self.shape, self.spacing, strict=True)]
            weights[k] = np.ones(n - 1)
            out.append(
                Edges(
                    k,
                    np.take(index, range(n - 1), axis=k).ravel(),
                    np.take(index, range(1, n), axis=k).ravel(),
                    h,
                    _outer(*weights).ravel(),
                )
            )
        return tuple(out)

    def mass(self, density: Vector) -> float:
        """``sum_i V_i p_i``, the trapezoid rule."""
        return float((self.volumes * density).sum())

    def refined(self) -> Grid:
        """Twice the cells; its every second node is a node of this grid."""
        return Grid(self.low, self.high, tuple(2 * n for n in self.cells))


def _trapezoid(nodes: int, h: float) -> Vector:
    weights = np.full(nodes, h)
    weights[[0, -1]] = h / 2
    return weights


def _outer(*factors: Vector) -> Vector:
    out = factors[0]
    for f in factors[1:]:
        out = out[..., None] * f
    return out


def _wrong_size(value: object, name: str, dim: int) -> Vector:
    raise bad(name, f"{value}", f"one number or {dim}", "give one a coordinate")
