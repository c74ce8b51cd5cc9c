"""Adaptive Gauss-Kronrod quadrature of many positive peaked integrands at once, in the log domain.

Row i has its own integrand ``exp(L_i(s))`` on its own panels. Panels whose tangents show that they may
hide a peak are halved first; then every panel is integrated with the pair (10, 21) of Piessens et
al. (1983, QUADPACK), and halved until the pair agrees. All rows advance together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..theory.protocols import Vector

_HALF_NODES = np.array(
    [
        0.995657163025808080735527280689003,
        0.973906528517171720077964012084452,
        0.930157491355708226001207180059508,
        0.865063366688984510732096688423493,
        0.780817726586416897063717578345042,
        0.679409568299024406234327365114874,
        0.562757134668604683339000099272694,
        0.433395394129247190799265943165784,
        0.294392862701460198131126603103866,
        0.148874338981631210884826001129720,
    ]
)
_HALF_WEIGHTS = np.array(
    [
        0.011694638867371874278064396062192,
        0.032558162307964727478818972459390,
        0.054755896574351996031381300244580,
        0.075039674810919952767043140916190,
        0.093125454583697605535065465083366,
        0.109387158802297641899210590325805,
        0.123491976262065851077958109585166,
        0.134709217311473325928054001771707,
        0.142775938577060080797094273138717,
        0.147739104901338491374841515972068,
    ]
)
#: nodes and weights of the 21-point Kronrod rule on [-1, 1]; odd positions are the 10-point Gauss rule
NODES = np.concatenate([-_HALF_NODES, [0.0], _HALF_NODES[::-1]])
WEIGHTS = np.concatenate(
    [_HALF_WEIGHTS, [0.149445554002916905664936468389821], _HALF_WEIGHTS[::-1]]
)
GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(10)[1]

_NEGLIGIBLE = 40.0  #: panels whose bound is this far below the peak (in logs) are dropped: 4e-18
_HIDDEN = 20.0  #: a panel whose inside may exceed its ends by more than this (in logs) is halved
_TOLERANCE = (
    2e-11  #: of the pair's difference, for which the 21-point rule itself errs below 1e-15
)
_EPS = float(np.finfo(np.float64).eps)

#: ``(L, dL/ds)`` at ``s`` for the given rows; the slope may be None where it is not wanted
LogIntegrand = Callable[[Vector, Any, bool], tuple[Vector, Vector | None]]


@dataclass(frozen=True)
class Posterior:
    """Nodes and weights, for every row, of the probability law with density ``exp(L_i) / Z_i``.

    Attributes:
        row: ``(P,)`` row of each panel.
        nodes: ``(P, 21)``.
        weights: ``(P, 21)``, sum one over the panels of a row.
        log_total: ``(n,)`` ``log Z_i``.
        error: ``(n,)`` estimated relative error of ``Z_i``, rounding included.
    """

    row: Any
    nodes: Vector
    weights: Vector
    log_total: Vector
    error: Vector

    def mean(self, values: Vector) -> Vector:
        """``E values`` for every row, from values at the nodes ``(P, 21)``, shape ``(n,)``."""
        sums = (self.weights * values).sum(axis=1)
        return np.bincount(self.row, sums, len(self.log_total)).astype(np.float64)

    def centred(self, values: Vector) -> Vector:
        """Values minus the mean of their row, ``(P, 21)``."""
        return values - self.mean(values)[self.row][:, None]

    def variance(self, values: Vector) -> Vector:
        """``Var values`` for every row, without a difference of squares, shape ``(n,)``."""
        return self.mean(self.centred(values) ** 2)


def posterior(log_integrand: LogIntegrand, edges: Vector) -> Posterior:
    """Integrates ``exp(L_i)`` over ``[edges[i, 0], edges[i, -1]]``.

    Args:
        log_integrand: ``f(s, rows, slope) -> (L, L')``; ``rows`` broadcasts against ``s``.
        edges: ``(n, m)`` sorted panel ends; repeated ends are empty panels.
    """
    n = edges.shape[0]
    row, left, right = _scan(log_integrand, edges)
    log_total = np.full(n, -np.inf)
    loss = np.zeros(n)
    kept: list[tuple[Any, Vector, Vector, Vector]] = []
    for last in [*([False] * 40), True]:
        half = 0.5 * (right - left)
        nodes = (0.5 * (left + right))[:, None] + half[:, None] * NODES
        logs = log_integrand(nodes, row[:, None], False)[0]
        peak = np.maximum(logs.max(axis=1), -1e300)
        values = np.exp(logs - peak[:, None])
        full = half * (values @ WEIGHTS)
        off = np.abs(half * (values[:, 1::2] @ GAUSS_WEIGHTS) - full)
        with np.errstate(divide="ignore"):
            sums = _add_logs(log_total, row, np.log(full) + peak)
        share = np.exp(peak - sums[row])
        # |L| carries a relative rounding error, which turns into noise of the integrand.
        noise = _EPS * (8 + np.abs(peak)) * full * share
        difference = off * share
        done = ~(difference > np.maximum(_TOLERANCE, 4 * noise)) | last
        small = np.minimum(difference, (200 * difference) ** 1.5) + noise
        loss += np.bincount(row[done], small[done], n)
        scaled = values[done] * (half[done, None] * WEIGHTS)
        kept.append((row[done], nodes[done], scaled, peak[done]))
        with np.errstate(divide="ignore"):
            log_total = _add_logs(log_total, row[done], (np.log(full) + peak)[done])
        if done.all():
            break
        row, left, right = _halve(row[~done], left[~done], right[~done])
    rows = np.concatenate([k[0] for k in kept])
    peaks = np.concatenate([k[3] for k in kept])
    weights = np.concatenate([k[2] for k in kept]) * np.exp(peaks - log_total[rows])[:, None]
    return Posterior(rows, np.concatenate([k[1] for k in kept]), weights, log_total, loss)


def _halve(row: Any, left: Vector, right: Vector) -> tuple[Any, Vector, Vector]:
    middle = 0.5 * (left + right)
    return np.tile(row, 2), np.concatenate([left, middle]), np.concatenate([middle, right])


def _add_logs(base: Vector, row: Any, logs: Vector) -> Vector:
    """``log(exp(base) + sum of exp(logs) by row)``."""
    top = base.copy()
    np.maximum.at(top, row, logs)
    top = np.where(np.isfinite(top), top, 0.0)
    total = np.exp(base - top) + np.bincount(row, np.exp(logs - top[row]), len(base))
    with np.errstate(divide="ignore"):
        return top + np.log(total)


def _scan(log_integrand: LogIntegrand, edges: Vector) -> tuple[Any, Vector, Vector]:
    """Panels that can hold mass, none of which hides a peak that its ends do not show."""
    n, m = edges.shape
    logs, slopes = log_integrand(edges, np.arange(n)[:, None], True)
    assert slopes is not None
    top = np.maximum(logs.max(axis=1), -1e300)
    row: Any = np.repeat(np.arange(n), m - 1)
    # Rows: s, L and L' at the left end, then at the right end.
    panels = np.stack(
        [
            a[:, cut].ravel()
            for cut in (slice(None, -1), slice(1, None))
            for a in (edges, logs, slopes)
        ]
    )
    solid = panels[3] > panels[0]
    row, panels = row[solid], panels[:, solid]
    settled: list[tuple[Any, Vector]] = []
    for _ in range(200):
        ends_top = np.maximum(panels[1], panels[4])
        bound = _tangent_bound(panels, ends_top)
        keep = bound > top[row] - _NEGLIGIBLE
        middle = 0.5 * (panels[0] + panels[3])
        hidden = np.where(keep, bound, 0.0) - np.where(keep, ends_top, 0.0) > _HIDDEN
        halve = keep & hidden & (middle > panels[0]) & (middle < panels[3])
        rest = keep & ~halve
        settled.append((row[rest], panels[[0, 3]][:, rest]))
        if not halve.any():
            break
        row, panels, middle = row[halve], panels[:, halve], middle[halve]
        at_middle, turn = log_integrand(middle, row, True)
        assert turn is not None
        np.maximum.at(top, row, at_middle)
        cut = np.stack([middle, at_middle, turn])
        row = np.tile(row, 2)
        panels = np.concatenate([np.append(panels[:3], cut, 1), np.append(cut, panels[3:], 1)])
    left, right = np.concatenate([ends for _, ends in settled], axis=1)
    return np.concatenate([r for r, _ in settled]), left, right


def _tangent_bound(panels: Vector, ends_top: Vector) -> Vector:
    """Where the two tangents meet, an upper bound of a concave L; the larger end otherwise."""
    left, at_left, rise, right, at_right, fall = panels
    with np.errstate(all="ignore"):
        width = right - left
        t = (at_right - at_left - fall * width) / (rise - fall)
        peaked = (rise > 0) & (fall < 0) & (t > 0) & (t < width)
        return np.where(peaked, at_left + rise * t, ends_top)
