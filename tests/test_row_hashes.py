"""Repeated draws in bounded memory: what thinning of fingerprints keeps, and that it raises no false alarm."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scoreproof.numerics.row_hashes import RowHashes
from scoreproof.numerics.ties import TieCounter
from scoreproof.theory import Gaussian
from scoreproof.validation._sample_run import excess_share

PLANE = Gaussian([3.0, -1.0], [[2.0, 0.3], [0.3, 0.1]])


def _rows(n: int, seed: int) -> np.ndarray:
    return np.asarray(
        PLANE.transport(np.zeros(n), np.random.default_rng(seed).standard_normal((n, 2)))
    )


def test_memory_does_not_grow() -> None:
    rng, table = np.random.default_rng(1), RowHashes()
    nothing = np.zeros((2, 250_000))
    held, peaks = [], []
    tracemalloc.start()
    for k in range(16):
        if k == 4:
            tracemalloc.reset_peak()
        table.update(rng.integers(0, 2**63, 250_000, dtype=np.uint64), nothing)
        if k in (3, 15):
            now, peak = tracemalloc.get_traced_memory()
            held.append(now)
            peaks.append(peak)
    tracemalloc.stop()
    # a million rows fill 24 MB, a table that is full 24 bytes times 2^20; the peak adds one block and one copy
    assert table.n == 4_000_000
    assert len(table) <= 2**20
    assert held[1] <= 24 * 2**20 + 1_000_000
    assert peaks[1] <= 1.15 * peaks[0]


def test_a_fixed_seed_is_found_although_few_rows_are_watched() -> None:
    x = _rows(40_000, 2)
    counter = TieCounter(2, PLANE.log_prob, capacity=1 << 12)
    for _ in range(4):
        counter.update(x)
        if counter.rows == 0:
            assert counter.log_e()["repeats"] < 0.1
    assert counter.log_e()["repeats"] > np.log(1e12)
    found = counter.ties()
    assert found.first is not None
    assert found.first[0] - found.first[1] == found.period == 40_000
    # 120,000 repeats of 40,000 values, at least 1,024 of which are watched: a deviation of a 32nd, here four of them
    assert counter.repeats == pytest.approx(120_000, rel=0.125)


def test_short_periods_are_counted_in_full() -> None:
    block = _rows(250, 3)
    counter = TieCounter(2, PLANE.log_prob, capacity=1 << 10)
    counter.update(np.tile(block, (400, 1)))
    assert counter.rows == counter.repeats == 99_750
    assert counter.ties().period == 250


@pytest.mark.parametrize("seed", range(3))
def test_a_value_that_returns_often_is_counted_in_full(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = _rows(100_000, seed)
    same = rng.random(len(x)) < 0.06
    x[same] = [2.5, float(seed)]  # another fingerprint under each seed
    counter = TieCounter(2, PLANE.log_prob, capacity=1 << 12)
    for part in np.array_split(x, 40):
        counter.update(part)
    assert counter.repeats == counter.rows == same.sum() - 1
    assert excess_share(counter, 1e-6) == pytest.approx(0.06, abs=0.004)  # five deviations


def test_the_number_of_repeats_is_estimated_where_most_values_repeat() -> None:
    rng = np.random.default_rng(4)
    picked = rng.integers(0, 30_000, 90_000)
    counter = TieCounter(2, PLANE.log_prob, capacity=1 << 12)
    for part in np.array_split(_rows(30_000, 5)[picked], 30):
        counter.update(part)
    right = len(picked) - len(np.unique(picked))
    assert counter.rows < right / 3
    # some 2,000 values are watched to the end, with two repeats each: a deviation of 2 %, here five of them
    assert counter.repeats == pytest.approx(right, rel=0.1)


def test_rounding_repeats_by_right_and_thinning_raises_no_alarm() -> None:
    law = Gaussian([1.0], [[1.0]])
    found, bounds = [], []
    for seed in range(12):
        counter = TieCounter(1, law.log_prob, single=True, capacity=1 << 13)
        rng = np.random.default_rng(seed)
        for _ in range(10):
            x = 1.0 + rng.standard_normal((20_000, 1))
            counter.update(x.astype(np.float32).astype(np.float64))
            assert counter.log_e()["repeats"] < np.log(1e3)
        found.append(counter.rows)
        bounds.append(counter.expected)
        assert counter.repeats > counter.rows
        assert excess_share(counter, 1e-6) == 0
    # The bound counts cells doubly and the bits of the generator besides: it holds, and is no idle one.
    assert 5 < np.mean(found) < np.mean(bounds) < 20 * np.mean(found)
