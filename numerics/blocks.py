"""Draws that are made in blocks and share something there: part of their noise, or a sum that is too even.

In a block of c draws the coordinates of exact draws are independent N(0, 1). The alternative has the covariance
``(1 - r) I + r 1 1'`` between the draws of a block, in every coordinate, with eigenvalues ``1 + (c - 1) r`` along the
sum and ``1 - r`` elsewhere: with the sum S of the block and the sum Q of its squares, over all d coordinates,

    log E = -d [(c - 1) log(1 - r) + log(1 + (c - 1) r)] / 2 + Q / 2 - [Q - r |S|^2 / (1 + (c - 1) r)] / (2 (1 - r)).

A block may be cut short: its first draws have the same ratio with their own c. Blocks begin with every call of the
sampler, or go on through all of them; lengths are those that people write down.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..theory.protocols import Vector
from .e_processes import log_mean

LENGTHS = (2, 4, 5, 8, 10, 16, 20, 25, 32, 50, 64, 100, 128, 200, 256, 500, 512, 1000)
#: excess of the variance of the sum of a full block; batches centred by their own mean have nearly -1
EXCESSES = (0.3, 1.0, 3.0, -0.9)
_MOST = 0.8  #: correlation of two draws of one block


class Blocks:
    """Blocks of every length, with either beginning.

    Args:
        dim: d.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._length = np.asarray(LENGTHS, dtype=np.float64)
        self._share = np.minimum(np.asarray(EXCESSES)[:, None] / (self._length - 1), _MOST)
        self._done = np.zeros(
            (2, len(EXCESSES), len(LENGTHS))
        )  # log E of the blocks that are over
        # the open blocks: draws, sums of their squares, sums
        self._size, self._square = np.zeros((2, 2, len(LENGTHS)))
        self._sum = np.zeros((2, len(LENGTHS), dim))

    def add(self, z: Vector) -> None:
        """Adds rows ``(n, d)`` of one call."""
        n = len(z)
        total = np.concatenate([np.zeros((1, self._dim)), np.cumsum(z, axis=0)])
        squares = np.concatenate([[0.0], np.cumsum(np.einsum("ij,ij->i", z, z))])
        for way in range(2):
            blocks, q, along = np.zeros((3, len(LENGTHS)))
            last = np.zeros(len(LENGTHS), dtype=np.int64)
            for k, length in enumerate(LENGTHS):
                first = length - int(self._size[way, k])
                cut = np.concatenate([[0], np.arange(first, n + 1, length)])
                blocks[k], last[k] = len(cut) - 1, cut[-1]
                if len(cut) > 1:
                    sums = np.diff(total[cut], axis=0)
                    sums[0] += self._sum[way, k]
                    q[k] = squares[cut[-1]] + self._square[way, k]
                    along[k] = np.einsum("ij,ij->", sums, sums)
            over = blocks > 0
            self._done[way] += self._logs(blocks, self._length, q, along)
            self._size[way] = np.where(over, 0, self._size[way]) + n - last
            self._square[way] = np.where(over, 0, self._square[way]) + squares[-1] - squares[last]
            self._sum[way] = np.where(over[:, None], 0, self._sum[way]) + total[-1] - total[last]

    def close(self) -> None:
        """The call is over: blocks that begin with calls end here."""
        self._done[0] += self._open()[0]
        self._size[0], self._square[0], self._sum[0] = 0, 0, 0

    def log_e(self) -> float:
        """Family ``blocks``."""
        return log_mean(self._done + self._open())

    def worst(self) -> tuple[int, float]:
        """Length of the blocks that say most, and the correlation of two draws there; of calls cut short, at most."""
        logs = (self._done + self._open()).max(axis=0)
        i, k = np.unravel_index(int(np.argmax(logs)), logs.shape)
        return LENGTHS[int(k)], float(self._share[i, k])

    def _open(self) -> Vector:
        along = np.einsum("wkd,wkd->wk", self._sum, self._sum)
        rows = (self._size, self._square, along)
        return np.stack([self._logs(1.0, *(row[way] for row in rows)) for way in range(2)])

    def _logs(self, blocks: Any, c: Vector, squares: Vector, along: Vector) -> Vector:
        """Sums over ``blocks`` blocks of c draws each, ``(excesses, lengths)``; c may be zero."""
        r = self._share
        rest, whole = 1 - r, 1 + (c - 1) * r
        constant = blocks * self._dim * ((c - 1) * np.log(rest) + np.log(whole))
        return (squares - constant - (squares - r * along / whole) / rest) / 2
