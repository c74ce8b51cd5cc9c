"""The exponentially fitted flux between neighbouring nodes, and the matrices made of it.

``J = (D / h) [B(-w) p_i - B(w) p_j]`` with ``B(w) = w / (e^w - 1)`` and ``w = int_i^j b.dl / D`` is the exact flux for
a drift that is constant between the nodes (Scharfetter & Gummel 1969; Chang & Cooper 1970).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import linalg, sparse
from scipy.sparse import linalg as sparse_linalg

from ..theory.protocols import Vector
from .fokker_planck_grid import Edges, Grid


class Rates(NamedTuple):
    """Mass flow over every edge of an axis: ``up`` per lower density, ``down`` per upper density."""

    up: Vector
    down: Vector


def bernoulli(w: Vector) -> Vector:
    """``B(w) = w / (e^w - 1)``, with ``B(0) = 1``; underflows to 0 for large w, is ``-w`` for large -w."""
    # Beyond 700 the exponential overflows while B is below 1e-300.
    safe = np.clip(w, -700.0, 700.0)
    small = np.abs(safe) < 1e-8
    out = np.where(small, 1 - safe / 2, safe / np.expm1(np.where(small, 1.0, safe)))
    return np.where(w < -700, -w, np.where(w > 700, 0.0, out))


def edge_rates(edge: Edges, rise: Vector, diffusion: float) -> Rates:
    """Rates of the edges for ``rise = int b.dl``; the central flux ``b (p_i + p_j) / 2`` for D = 0."""
    if diffusion == 0:
        half = edge.area * rise / (2 * edge.length)
        return Rates(half, -half)
    w = rise / diffusion
    scale = edge.area * diffusion / edge.length
    return Rates(scale * bernoulli(-w), scale * bernoulli(w))


def assemble(grid: Grid, rates: Sequence[Rates]) -> sparse.csc_matrix:
    """L of ``dp/dt = L p`` on flat nodal values; the mass ``volumes @ p`` is conserved.

    Args:
        grid: the nodes.
        rates: one entry an axis.
    """
    rows, columns, values = [], [], []
    volumes = grid.volumes.ravel()
    for edge, (up, down) in zip(grid.edges, rates, strict=True):
        for node, sign in ((edge.left, -1.0), (edge.right, 1.0)):
            rows += [node, node]
            columns += [edge.left, edge.right]
            values += [sign * up / volumes[node], -sign * down / volumes[node]]
    n = volumes.size
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csc_matrix(entries, shape=(n, n))


def symmetric_top(grid: Grid, rates: Sequence[Rates], *, shift: float) -> tuple[float, float]:
    """The two largest eigenvalues of the symmetric S similar to L, the smaller one first.

    S has the diagonal of L and ``sqrt(L_ij L_ji)`` off it, so no equilibrium density, which underflows
    in the tails, is needed. It is similar to L exactly when the discrete drift is a gradient.

    Args:
        grid: the nodes.
        rates: one entry an axis.
        shift: a small positive number; eigenvalues nearest to it are sought.
    """
    volumes = grid.volumes.ravel()
    diagonal = assemble(grid, rates).diagonal()
    across = [
        np.sqrt(up * down / (volumes[e.left] * volumes[e.right]))
        for e, (up, down) in zip(grid.edges, rates, strict=True)
    ]
    n = diagonal.size
    if grid.dim == 1:
        pair = linalg.eigh_tridiagonal(
            diagonal, across[0], eigvals_only=True, select="i", select_range=(n - 2, n - 1)
        )
    else:
        index = [np.concatenate([getattr(e, k) for e in grid.edges]) for k in ("left", "right")]
        upper = sparse.csc_matrix((np.concatenate(across), tuple(index)), shape=(n, n))
        symmetric = upper + upper.T + sparse.diags(diagonal, format="csc")
        start = np.linspace(1.0, 2.0, n)  # a fixed start: the same bits every time
        pair = np.sort(
            sparse_linalg.eigsh(symmetric, k=2, sigma=shift, v0=start, return_eigenvectors=False)
        )
    return float(pair[0]), float(pair[1])
