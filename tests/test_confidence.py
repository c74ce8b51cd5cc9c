"""Bounds that hold at every n: closed forms against independent routes, and coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats
from scoreproof.numerics import confidence as ci

LEVEL = 0.05
RUNS = 400
#: failures beyond this have probability < 1e-7 if the level is kept
MOST = int(stats.binom.isf(1e-7, RUNS, LEVEL))


@pytest.mark.parametrize("n", [5, 60, 900])
@pytest.mark.parametrize("level", [0.2, 1e-3, 1e-6])
def test_dkw_against_the_exact_law_of_the_distance(n: int, level: float) -> None:
    radius = ci.dkw_radius(n, level)
    assert stats.kstwo.sf(radius, n) <= level
    assert stats.ksone.sf(ci.dkw_radius(n, level, sides=1), n) <= level
    # Massart's constant is the right one: a band a fifth narrower fails more often than allowed.
    if n > 50:
        assert stats.kstwo.sf(0.8 * radius, n) > level
    radius *= 0.99  # off the grid of sizes, where rounding decides
    m = ci.dkw_samples(radius, level)
    assert ci.dkw_radius(m, level) <= radius < ci.dkw_radius(m - 1, level)


@pytest.mark.parametrize(("successes", "n"), [(0, 40), (1, 40), (17, 40), (39, 40), (40, 40)])
def test_clopper_pearson_inverts_the_binomial_tails(successes: int, n: int) -> None:
    level = 1e-4
    low = float(ci.bernoulli_lower(successes, n, level))
    high = float(ci.bernoulli_upper(successes, n, level))
    # betaincinv and the binomial tail agree to about 1e-12 relative; 1e-9 leaves room for conditioning.
    if successes > 0:
        assert stats.binom.sf(successes - 1, n, low) == pytest.approx(level, rel=1e-9)
    else:
        assert low == 0
    if successes < n:
        assert stats.binom.cdf(successes, n, high) == pytest.approx(level, rel=1e-9)
    else:
        assert high == 1
    both = ci.bernoulli_interval(successes, n, 2 * level)
    assert both[0] == low
    assert both[1] == high


def _skewed(rng: np.random.Generator, n: int) -> np.ndarray:
    """In [0, 1], mean 1/26, skewness about 2."""
    return rng.beta(0.4, 10.0, size=n)


def test_betting_bound_is_the_root_of_the_wealth_and_never_beyond_it() -> None:
    rng = np.random.default_rng(3)
    y = _skewed(rng, 3000)
    level, sd = 1e-5, 0.06
    sums = ci.PowerSums.of(y[:, None], 0.05)
    rate = ci.betting_rate(len(y), sd, 1.0, level)

    def wealth(m: float) -> float:
        return float(np.log1p(-rate * (y - m)).sum() + np.log(level))

    root = float(optimize.bisect(wealth, y.mean(), y.mean() + 0.2 / rate, xtol=1e-13))  # pyright: ignore[reportArgumentType]
    bound = float(ci.betting_upper(sums, (0.0, 1.0), sd, level)[0])
    # The quartic bounds the logarithm: never below the root, and above it by the fourth-order term, of relative
    # size kappa lam^2 E(y-m)^4 / Var <= kappa beta^2 < 0.1 of the radius here.
    assert root - 1e-12 <= bound <= root + 0.1 * (root - y.mean())
    lower = float(ci.betting_lower(sums, (0.0, 1.0), sd, level)[0])
    mirrored = ci.betting_upper(ci.PowerSums.of(1 - y[:, None], 0.95), (0.0, 1.0), sd, level)
    assert lower == pytest.approx(1 - float(mirrored[0]), abs=1e-12)


@pytest.mark.parametrize("n", [200, 2000])
def test_coverage_for_skewed_draws_whatever_spread_is_expected(n: int) -> None:
    rng = np.random.default_rng(11)
    truth = 0.4 / 10.4
    y = np.stack([_skewed(rng, n) for _ in range(RUNS)], axis=1)
    sums = ci.PowerSums.of(y, 0.04)
    for sd in (0.02, 0.06, 0.5):
        assert (ci.betting_upper(sums, (0, 1), sd, LEVEL) < truth).sum() <= MOST
        assert (ci.betting_lower(sums, (0, 1), sd, LEVEL) > truth).sum() <= MOST
    radius = ci.empirical_bernstein_radius(y.var(axis=0, ddof=1), n, 1.0, LEVEL)
    assert (np.abs(y.mean(axis=0) - truth) > radius).sum() <= MOST
    # The wrong mean is excluded: the bounds are not just wide.
    tight = ci.betting_upper(sums, (0, 1), 0.06, LEVEL)
    assert (tight < truth + 0.06).mean() > 0.9


def test_sums_of_two_halves_are_the_sums_of_the_whole() -> None:
    y = np.random.default_rng(0).random((100, 3))
    whole = ci.PowerSums.of(y, 0.4)
    parts = ci.PowerSums.of(y[:30], 0.4) + ci.PowerSums.of(y[30:], 0.4)
    # sums of 100 numbers below one: rounding below 100 ulps
    np.testing.assert_allclose(parts.sums, whole.sums, atol=100 * 2.3e-16 * 100)
    assert parts.n == 100
    np.testing.assert_allclose(parts.mean, y.mean(axis=0), atol=1e-14)


def test_normal_mixture_sequence_is_never_crossed_too_often() -> None:
    rng = np.random.default_rng(5)
    n = np.arange(1, 1501)
    paths = np.cumsum(rng.standard_normal((RUNS, len(n))), axis=1) / n
    radius = ci.normal_mixture_radius(n, 1.0, LEVEL, tuned=300)
    assert (np.abs(paths) > radius).any(axis=1).sum() <= MOST
    # A naive 5 % interval at every n is crossed far more often.
    assert (np.abs(paths) > 1.96 / np.sqrt(n)).any(axis=1).sum() > 3 * MOST
    # Near its tuned size it is within 1.8 of the fixed-n width: (1 + log terms)^1/2.
    assert radius[299] < 1.8 * 1.96 / np.sqrt(300)


@pytest.mark.parametrize(
    "call",
    [
        lambda: ci.dkw_radius(0, 0.1),
        lambda: ci.dkw_radius(10, 1.5),
        lambda: ci.dkw_samples(-1.0, 0.1),
        lambda: ci.empirical_bernstein_radius(1.0, 1, 1.0, 0.1),
        lambda: ci.bernoulli_upper(1, 0, 0.1),
    ],
)
def test_bad_arguments(call) -> None:
    with pytest.raises(ValueError, match="wanted"):
        call()
