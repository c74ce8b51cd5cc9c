"""Which values have come before, in memory that does not grow with the number of values.

Every value is known by a fingerprint of 64 bits that a mixing function has made uniform. All are kept until a table
is full; from then on values are watched whose fingerprint lies below a threshold ``T``, which is halved whenever the
table is full again: a value is either watched, with all its later repeats, or not at all. Values that have repeated
are kept whatever their fingerprint, until they alone fill half of the table; from then on they are thinned in the
same way by a threshold of their own. So a value that returns often is found by its first repeats and counted in full.

Whether the next draw is a counted repeat is decided by the table, that is by the past: the sum of the probabilities
of the values in it bounds the probability of that event, and a count with this compensator is as valid as a count of
all repeats. A repeat is counted with the inverse of the probability that its value is watched, so that
:attr:`RowHashes.repeats` estimates the number of all repeats (Horvitz and Thompson 1952); it is exact until the
table is full for the first time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..theory.protocols import Vector

Keys = np.ndarray[Any, np.dtype[np.uint64]]

CAPACITY = 1 << 20  #: values in the table, of 24 bytes each
_GAPS = 64  #: distances between copies that are counted
_ROUND_UP = 1 + 2.0**-22  #: keeps a bound that is stored in single precision a bound


class RowHashes:
    """A table of values seen so far.

    Args:
        capacity: largest number of values in it.

    Attributes:
        n: rows so far.
        found: rows that equal an earlier one in the table.
        repeats: estimate of the number of rows that equal any earlier one; equals ``found`` while ``share`` is 1.
        share: part of all values that is watched.
        first: indices of the first repeat found and of its original.
        expected: bounds on the compensator of ``found``, in float64 and in float32, ``(2,)``.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.n = self.found = 0
        self.repeats, self.share = 0.0, 1.0
        self.first: tuple[int, int] | None = None
        self.expected = np.zeros(2)
        self._repeated_share = 1.0  # the same for values that have repeated
        self._keys: Keys = np.zeros(0, np.uint64)  # increasing
        self._last = np.zeros(0, np.int64)
        self._weight = np.zeros(0, np.float32)  # of a repeat; zero for values that came once
        self._single = np.zeros(0, np.float32)  # probability in float32
        # That of float64 is never subtracted when values are dropped: it is next to nothing, and a bound stays one.
        self._mass = np.zeros(2)
        self._gaps: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def update(self, keys: Keys, mass: Vector) -> None:
        """Adds rows.

        Args:
            keys: fingerprints ``(n,)``.
            mass: bounds ``(2, n)`` on the probability that a draw equals the row, in float64 and in float32.
        """
        step = max(1, self.capacity // 4)
        for i in range(0, len(keys), step):
            self._block(mixed(keys[i : i + step]), mass[:, i : i + step])

    def _block(self, keys: Keys, mass: Vector) -> None:
        n = len(keys)
        order = np.argsort(keys, kind="stable")
        sorted_keys, rows = keys[order], order + self.n
        start = np.r_[True, sorted_keys[1:] != sorted_keys[:-1]]
        values = sorted_keys[start]
        size = np.diff(np.r_[np.flatnonzero(start), n])
        at = np.minimum(np.searchsorted(self._keys, values), max(len(self._keys) - 1, 0))
        known = self._keys[at] == values if len(self._keys) else np.zeros(len(values), bool)
        watched = known | _below(values, self.share)
        of_watched = np.repeat(watched, size)
        heads = mass[:, order[start]]
        if self.share < 1:
            counted = np.empty(n, bool)
            counted[order] = of_watched
            mass = np.where(counted, mass, 0.0)
        later = np.arange(n - 1, -1, -1.0)
        # A row may equal those of the table, and the watched ones before it in its own block.
        self.expected += n * self._mass + mass @ later

        earlier = np.empty(n, np.int64)
        earlier[1:] = rows[:-1]
        earlier[start] = np.where(known, self._last[at] if len(self._keys) else 0, -1)
        copies = of_watched & (earlier >= 0)
        self._found(rows[copies], earlier[copies])

        times = size - ~known  # repeats of each value in this block
        new_weight = np.float32(1 / self.share)
        weight = np.where(known, self._weight[at] if len(self._keys) else 0, 0).astype(np.float32)
        weight = np.where((weight == 0) & (times > 0), new_weight, weight)
        self.repeats += float((weight * times)[watched].sum(dtype=np.float64))
        last = rows[np.r_[np.flatnonzero(start)[1:], n] - 1]
        if known.any():
            self._last[at[known]] = last[known]
            self._weight[at[known]] = weight[known]
        fresh = watched & ~known
        self._insert(values[fresh], last[fresh], weight[fresh], heads[1, fresh])
        self._mass += heads[:, fresh].sum(axis=1)
        self.n += n
        while len(self._keys) > self.capacity:
            self._thin()

    def _insert(
        self, keys: Keys, last: np.ndarray, weight: np.ndarray, single: np.ndarray
    ) -> None:
        at = np.searchsorted(self._keys, keys)
        self._keys = np.insert(self._keys, at, keys)
        self._last = np.insert(self._last, at, last)
        self._weight = np.insert(self._weight, at, weight)
        self._single = np.insert(self._single, at, single * _ROUND_UP)

    def _thin(self) -> None:
        repeated = self._weight > 0
        self.share /= 2
        if 2 * int(repeated.sum()) > self.capacity:
            self._repeated_share /= 2
        # A value that passes the lower threshold passes the higher one.
        self._repeated_share = max(self._repeated_share, self.share)
        keep = _below(self._keys, self.share)
        keep |= repeated & _below(self._keys, self._repeated_share)
        self._keys, self._last = self._keys[keep], self._last[keep]
        self._weight, self._single = self._weight[keep], self._single[keep]
        lowest = np.float32(1 / self._repeated_share)
        self._weight = np.where(self._weight > 0, np.maximum(self._weight, lowest), self._weight)
        self._mass[1] = self._single.sum(dtype=np.float64)

    def _found(self, copies: np.ndarray, originals: np.ndarray) -> None:
        if not len(copies):
            return
        self.found += len(copies)
        if self.first is None:
            k = int(np.argmin(copies))
            self.first = (int(copies[k]), int(originals[k]))
        gaps, often = np.unique(copies - originals, return_counts=True)
        for gap, count in _largest(gaps, often).items():
            self._gaps[gap] = self._gaps.get(gap, 0) + count
        if len(self._gaps) > _GAPS:
            self._gaps = _largest(np.array(list(self._gaps)), np.array(list(self._gaps.values())))

    @property
    def period(self) -> int:
        """The distance of more than half of the repeats found from their originals; 0 without one."""
        if not self._gaps:
            return 0
        gap = max(self._gaps, key=lambda g: self._gaps[g])
        return gap if 2 * self._gaps[gap] > self.found else 0


def _largest(gaps: np.ndarray, often: np.ndarray) -> dict[int, int]:
    """Counters of the most frequent gaps, each too small by a 64th of the total at most (Misra and Gries 1982)."""
    less = 0
    if len(gaps) > _GAPS:
        less = int(np.partition(often, -_GAPS - 1)[-_GAPS - 1])
    keep = often > less
    return dict(zip(gaps[keep].tolist(), (often[keep] - less).tolist(), strict=True))


def _below(keys: Keys, share: float) -> np.ndarray:
    """Whether a uniform fingerprint lies in the lower ``share``, a power of 1/2."""
    if share == 1.0:
        return np.ones(len(keys), bool)
    return keys < np.uint64(int(2.0**64 * share))


def mixed(keys: Keys) -> Keys:
    """One to one, and every bit of the result depends on every bit of the key (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        z = keys + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
