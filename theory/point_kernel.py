"""Posterior weights of a data set under Gaussian noise, exact down to variances far below rounding.

For ``x = a y_J + sqrt(v) z`` the logits are ``l_j = log w_j - |x - a y_j|^2 / (2 v)``. Up to a term that all j
share they are ``log w_j + (a / v) xi . eta_j - (a^2 / 2v) |eta_j|^2`` with ``xi = x - a c``, ``eta_j = y_j - c``:
one matrix product. It cancels: the logits are off by about ``eps a |eta| (2 |xi| + a |eta|) / v``. Rows where
that exceeds :data:`ACCEPTED` are done again from exact differences ``x - a y_j``, over those j whose logit is
within reach of the largest by a rigorous bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .arrays import device, host, like, logsumexp, namespace, softmax, take_rows
from .cloud import GATHERED, Cloud, slices, two_product
from .protocols import Array, Vector

ACCEPTED = 1e-10  #: error of a logit that the product form may make
_EPS = float(np.finfo(np.float64).eps)
_LOGITS = 1 << 24  #: logits held at a time (128 MB)
_COLUMNS = (
    1024  #: points per block: 256 rows of logits (2 MB) stay in cache between the two passes
)


Indices = np.ndarray[Any, np.dtype[Any]]


class Group(NamedTuple):
    """Rows to redo: row numbers ``(n,)``, candidates ``(n, m)``, which of them count ``(n, m)``."""

    rows: Indices
    picks: Indices
    valid: Indices


@dataclass(frozen=True, eq=False)
class Moments:
    """Of the data point y given x: ``log p(x)`` up to the normal constant, ``E y``, ``E[a y] - x``, spread.

    Attributes:
        log_mass: ``(n,)``, ``log sum_j exp l_j``.
        mean: ``(n, d)`` or None.
        lag: ``(n, d)`` or None.
        spread: trace ``(n,)`` or matrix ``(n, d, d)`` of the covariance of y, or None.
    """

    log_mass: Array
    mean: Array = None
    lag: Array = None
    spread: Array = None


@dataclass(frozen=True, eq=False)
class PointKernel:
    """Posterior weights and moments of the points of ``cloud`` given ``x = scale y + sqrt(variance) z``."""

    cloud: Cloud
    scale: float
    variance: float

    def blocks(self, x: Array) -> Iterator[Array]:
        """Row blocks of ``x`` ``(n, d)`` whose logits fit the memory bound; one empty block if n is 0."""
        rows = max(1, _LOGITS // self.cloud.size)
        for cut in slices(x.shape[0], rows) if x.shape[0] else [slice(0, 0)]:
            yield x[cut, :]

    def weights(self, x: Array) -> Array:
        """``softmax_j l_j`` for ``x`` ``(n, d)`` float64, shape ``(n, K)``."""
        xp = namespace(x)
        logits, groups, _ = self._logits(x)
        parts = []
        for rows, picks, valid in groups:
            r = softmax(self._exact(take_rows(x, rows), picks, valid))
            for k in range(len(rows)):
                # Everything that is not picked points at one appended zero: a scatter by gathering.
                slot = np.full(self.cloud.size, picks.shape[1])
                slot[picks[k, valid[k]]] = np.flatnonzero(valid[k])
                padded = xp.concat([r[k, :], xp.zeros_like(r[k, :1])])
                parts.append(take_rows(padded, slot)[None, :])
        rest = _rest(x.shape[0], groups)
        return _merge(
            softmax(logits if rest is None else take_rows(logits, rest)), parts, groups, rest
        )

    def moments(self, x: Array, order: int, *, full: bool = False) -> Moments:
        """Moments of the data point given ``x`` ``(n, d)`` float64, up to ``order`` 0, 1 or 2."""
        logits, groups, xi = self._logits(x)
        rest = _rest(x.shape[0], groups)
        if rest is None:
            return self._dense(logits, xi, order, full)
        dense = self._dense(take_rows(logits, rest), take_rows(xi, rest), order, full)
        parts = [self._sparse(take_rows(x, g.rows), g.picks, g.valid, order, full) for g in groups]
        merged = [
            None if old is None else _merge(old, [getattr(p, name) for p in parts], groups, rest)
            for name, old in vars(dense).items()
        ]
        return Moments(*merged)

    def _centred(self, x: Array) -> Array:
        if not self.cloud.shift.any():
            return x
        high, low = two_product(self.scale, self.cloud.shift)
        return (x - like(high, x)) - like(low, x)

    def _logits(self, x: Array) -> tuple[Array, list[Group], Array]:
        """Logits ``(n, K)`` of the product form, rows to redo with their candidates, and ``xi``."""
        cloud, a, v = self.cloud, self.scale, self.variance
        xp = namespace(x)
        xi = self._centred(x)
        _, centred, norms, log_weights = cloud.held(x)
        if isinstance(x, np.ndarray):
            logits = np.empty((x.shape[0], cloud.size))
            bias = log_weights - norms * (a * a / (2 * v))
            pulled = xi * (a / v)
            for cut in slices(cloud.size, _COLUMNS):
                np.matmul(pulled, centred[cut].T, out=logits[:, cut])
                logits[:, cut] += bias[cut]
        else:
            bias = log_weights - norms * (a * a / (2 * v))
            logits = xp.matmul(xi * (a / v), xp.matrix_transpose(centred)) + bias[None, :]
        if str(device(x)) == "meta":
            return logits, [], xi
        size = host(xp.sqrt(xp.sum(xi * xi, axis=-1)))
        reach = abs(a) * cloud.radius
        error = _EPS * reach * (2 * size + reach) / v
        rows = np.flatnonzero((error > ACCEPTED) & np.isfinite(error))
        if not rows.size:
            return logits, [], xi
        # What is left out has at most K exp(-reach) of the mass, times the largest squared lag in units of v.
        beyond = 37 + math.log(cloud.size) + np.log1p((size[rows] + reach) ** 2 / v)
        window = beyond + 2 * (cloud.dim + 4) * error[rows]
        chosen = []
        for i, width in zip(rows, window, strict=True):
            line = host(logits[int(i), :])
            chosen.append(np.flatnonzero(line >= line.max() - width))
        return logits, _groups(rows, chosen, cloud.dim), xi

    def _dense(self, logits: Array, xi: Array, order: int, full: bool) -> Moments:
        cloud, a = self.cloud, self.scale
        xp = namespace(xi)
        _, centred, norms, _ = cloud.held(xi)
        if isinstance(xi, np.ndarray):
            lse, first, square = _weigh(logits, centred, norms, order)
        else:
            lse, r = logsumexp(logits), softmax(logits)
            first = xp.matmul(r, centred) if order else None
            square = xp.matmul(r, norms) if order == 2 else None
            logits = r
        log_mass = lse - xp.sum(xi * xi, axis=-1) / (2 * self.variance)
        if first is None:
            return Moments(log_mass)
        mean, lag = first + like(cloud.shift, xi), a * first - xi
        if square is None:
            return Moments(log_mass, mean, lag)
        if not full:
            return Moments(log_mass, mean, lag, square - xp.sum(first * first, axis=-1))
        spread = []
        for i in range(xi.shape[0]):
            second = xp.zeros((cloud.dim, cloud.dim), dtype=xi.dtype, device=device(xi))
            for cut in slices(cloud.size, max(1, GATHERED // cloud.dim)):
                off = centred[cut, :] - first[i, :][None, :]
                second = second + xp.matmul(
                    xp.matrix_transpose(off * logits[i, cut][:, None]), off
                )
            spread.append(second)
        return Moments(
            log_mass, mean, lag, xp.stack(spread) if spread else xi[:, :, None] * xi[:, None, :]
        )

    def _lags(self, x: Array, picks: Indices) -> Array:
        """``a y_j - x`` for gathered j, exact up to one rounding: ``(n, m, d)``."""
        points = self.cloud.held(x)[0]
        xp = namespace(x)
        gathered = take_rows(points, picks.reshape(-1))
        high, low = two_product(self.scale, xp.reshape(gathered, (*picks.shape, self.cloud.dim)))
        return (high - x[:, None, :]) + low

    def _exact(self, x: Array, picks: Indices, valid: Indices) -> Array:
        """Logits from differences, ``(n, m)``; minus infinity where ``valid`` is False."""
        xp = namespace(x)
        parts = []
        for cut in self._columns(picks):
            white = self._lags(x, picks[:, cut]) / math.sqrt(self.variance)
            square = xp.sum(white * white, axis=-1)
            log_weights = like(self.cloud.log_weights[picks[:, cut]], x)
            masked = like(np.where(valid[:, cut], 0.0, -np.inf), x)
            parts.append(log_weights - 0.5 * square + masked)
        return parts[0] if len(parts) == 1 else xp.concat(parts, axis=1)

    def _sparse(self, x: Array, picks: Indices, valid: Indices, order: int, full: bool) -> Moments:
        xp = namespace(x)
        logits = self._exact(x, picks, valid)
        log_mass = logsumexp(logits)
        if not order:
            return Moments(log_mass)
        r = softmax(logits)
        points = self.cloud.held(x)[0]
        lag, mean = xp.zeros_like(x), xp.zeros_like(x)
        for cut in self._columns(picks):
            share = r[:, cut][:, :, None]
            lag = lag + xp.sum(share * self._lags(x, picks[:, cut]), axis=1)
            gathered = take_rows(points, picks[:, cut].reshape(-1))
            mean = mean + xp.sum(
                share * xp.reshape(gathered, (x.shape[0], -1, x.shape[1])), axis=1
            )
        if order == 1:
            return Moments(log_mass, mean, lag)
        spread: Array = 0.0
        for cut in self._columns(picks):
            off = (self._lags(x, picks[:, cut]) - lag[:, None, :]) / self.scale
            share = off * r[:, cut][:, :, None]
            if full:
                spread = spread + xp.matmul(xp.matrix_transpose(share), off)
            else:
                spread = spread + xp.sum(xp.sum(share * off, axis=-1), axis=-1)
        return Moments(log_mass, mean, lag, spread)

    def _columns(self, picks: Indices) -> list[slice]:
        n, m = picks.shape
        return list(slices(m, max(1, GATHERED // (n * self.cloud.dim))))


def _weigh(
    logits: Vector, centred: Vector, norms: Vector, order: int
) -> tuple[Vector, Vector | None, Vector | None]:
    """Turns ``logits`` into normalised weights in place; returns log-sum, first moment, mean square."""
    top = np.full(logits.shape[0], -np.inf)
    for cut in slices(logits.shape[1], _COLUMNS):
        np.maximum(top, logits[:, cut].max(axis=1), out=top)
    total = np.zeros(logits.shape[0])
    first = np.zeros((logits.shape[0], centred.shape[1])) if order else None
    square = np.zeros(logits.shape[0]) if order == 2 else None
    for cut in slices(logits.shape[1], _COLUMNS):
        block = logits[:, cut]
        block -= top[:, None]
        # exp(-600) counts for nothing; numbers below 1e-308 would be several times slower to work with.
        np.maximum(block, -600.0, out=block)
        np.exp(block, out=block)
        total += block.sum(axis=1)
        if first is not None:
            first += block @ centred[cut]
        if square is not None:
            square += block @ norms[cut]
    if order == 2:
        logits /= total[:, None]
    if first is not None:
        first /= total[:, None]
    if square is not None:
        square /= total
    return top + np.log(total), first, square


def _groups(rows: Indices, chosen: list[Indices], dim: int) -> list[Group]:
    """Rows with similar numbers of candidates together, padded, so that gathering them stays bounded."""
    counts = np.array([len(c) for c in chosen])
    order = np.argsort(counts, kind="stable")
    out, start = [], 0
    while start < len(order):
        fit = (np.arange(len(order) - start) + 1) * counts[order[start:]] * dim <= GATHERED
        stop = start + max(1, int(fit.sum()))
        mine = order[start:stop]
        picks = np.zeros((len(mine), counts[mine].max()), dtype=np.int64)
        valid = np.arange(picks.shape[1]) < counts[mine, None]
        picks[valid] = np.concatenate([chosen[i] for i in mine])
        out.append(Group(rows[mine], picks, valid))
        start = stop
    return out


def _rest(n: int, groups: list[Group]) -> Indices | None:
    """Rows in no group, or None where there are no groups."""
    if not groups:
        return None
    return np.setdiff1d(np.arange(n), np.concatenate([g.rows for g in groups]))


def _merge(dense: Array, parts: list[Array], groups: list[Group], rest: Indices | None) -> Array:
    """Rows ``rest`` from ``dense`` and those of ``groups`` from ``parts``, in their old order."""
    if rest is None:
        return dense
    order = np.concatenate([rest, *(g.rows for g in groups)])
    return take_rows(namespace(dense).concat([dense, *parts], axis=0), np.argsort(order))
