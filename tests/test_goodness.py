"""E-processes: closed forms against integrals, mean one under the null, calibration; exact maps to normals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, special, stats
from scoreproof.numerics import draw
from scoreproof.numerics import e_processes as ep
from scoreproof.numerics.convolved import Convolved
from scoreproof.numerics.effect_plans import samples_for
from scoreproof.numerics.effects import CLIP, EffectSums
from scoreproof.numerics.gaussianise import gaussianiser
from scoreproof.numerics.goodness import RefutingMachine
from scoreproof.numerics.rosenblatt import ChainNormals, ring_normals
from scoreproof.numerics.ties import TieCounter
from scoreproof.numerics.views import Directions, View
from scoreproof.theory import VP, Energy, Gaussian, GaussianMixture, PointMasses, marginal
from scoreproof.theory.densities_1d import Laplace, Logistic, StudentT, Uniform
from scoreproof.theory.densities_2d import Banana, DoubleWell, Funnel, Ring

SKEWED = GaussianMixture([0.5, 0.3, 0.2], [[-1.2], [0.4], [2.1]], [0.09, 0.25, 0.5])
PLANE = GaussianMixture(
    [0.6, 0.3, 0.1],
    [[0, 0], [3, 1], [-2, 2.0]],
    [[[1, 0.5], [0.5, 0.8]], [[0.3, -0.1], [-0.1, 0.5]], [[0.4, 0], [0, 0.2]]],
)


def test_means_and_scales_are_the_integrals_that_they_close() -> None:
    z = np.random.default_rng(1).standard_normal(40) * 1.2 + 0.2
    s, q, n = z.sum(), (z**2).sum(), len(z)
    shifts, scales = [], []
    for tau in ep.SHIFTS:
        shifts.append(
            integrate.quad(
                lambda m, tau=tau: math.exp(m * s - n * m * m / 2) * stats.norm.pdf(m, 0, tau),
                -12 * tau,
                12 * tau,
                epsabs=0,
            )[0]
        )
    for a in ep.SHAPES:
        # in t = log v the integrand is smooth and vanishes at both ends: the trapezoid rule is spectral
        t = np.linspace(-14, 14, 20_001) / math.sqrt(a)
        v = np.exp(t)
        prior = a * math.log(a) - special.gammaln(a) - a * t - a / v
        scales.append(np.trapezoid(np.exp(prior - n * t / 2 + q / 2 * (1 - 1 / v)), t))
    # quad is asked for 1.5e-8 relative; log-gamma of 3e4 is 3e5, of which an ulp is 6e-11.
    assert ep.means(np.array([s]), n)[0] == pytest.approx(math.log(np.mean(shifts)), abs=1e-6)
    assert ep.scales(np.array([q]), n)[0] == pytest.approx(math.log(np.mean(scales)), abs=1e-6)


def test_counts_and_coins_have_mean_one_under_the_null_by_enumeration() -> None:
    w, n = np.array([0.2, 0.5, 0.3]), 7
    total = 0.0
    for i in range(n + 1):
        for j in range(n + 1 - i):
            c = np.array([i, j, n - i - j], dtype=float)
            mass = stats.multinomial.pmf(c, n, w)
            total += mass * math.exp(float(ep.labels(c, w)))
    # sums of 36 products of gamma functions with errors of some 1e-14 each
    assert total == pytest.approx(1, abs=1e-10)
    heads = np.arange(12)
    e = [math.exp(ep.coins(np.array([float(h)]), 11)) for h in heads]
    assert stats.binom.pmf(heads, 11, 0.5) @ e == pytest.approx(1, abs=1e-10)
    assert ep.labels(np.array([3.0, 1.0]), np.array([1.0, 0.0])) == math.inf


def test_pairs_and_lag_are_likelihood_ratios_of_bivariate_normals() -> None:
    z = np.random.default_rng(2).standard_normal((30, 2))
    null = stats.norm.logpdf(z).sum()
    direct = []
    for rho in ep.PAIRED:
        joint = stats.multivariate_normal(cov=np.array([[1, rho], [rho, 1]]))  # pyright: ignore
        direct.append(joint.logpdf(z).sum() - null)
    # sums of 30 logarithms: rounding of 1e-13
    assert ep.pairs(z.T @ z, 30) == pytest.approx(ep.log_mean(direct), abs=1e-11)
    y = z[:, 0]
    chain = []
    for rho in ep.CORRELATIONS:
        step = stats.norm.logpdf(y[1:], rho * y[:-1], math.sqrt(1 - rho**2))
        chain.append((step - stats.norm.logpdf(y[1:])).sum())
    sums = [np.array([v]) for v in (y[:-1] @ y[1:], y[:-1] @ y[:-1], y[1:] @ y[1:])]
    assert ep.lag(*sums, n=29) == pytest.approx(ep.log_mean(chain), abs=1e-11)


def test_covariance_has_mean_one_and_is_the_one_dimensional_integral() -> None:
    n, values = 6, []
    for factor in (2.0, 20.0, 200.0, 2e3, 2e4):
        nu = 2 * factor
        a = nu / 2

        def log_e(q: float, a: float = a) -> float:
            gain = a * math.log(a) - special.gammaln(a) + special.gammaln(a + n / 2)
            return float(gain - (a + n / 2) * math.log(a + q / 2) + q / 2)

        values.append(log_e(9.0))
    assert ep.covariance(np.array([[9.0]]), n) == pytest.approx(ep.log_mean(values), abs=1e-9)

    def mean_term(q: float) -> float:
        return float(stats.chi2.pdf(q, n)) * math.exp(ep.covariance(np.array([[q]]), n))

    # the wide priors have tails like a power: what the cut at 1e3 loses is positive and below a tenth
    total = integrate.quad(mean_term, 0, 200, limit=200)[0]
    total += integrate.quad(mean_term, 200, 1e3, limit=200)[0]
    assert total <= 1 + 1e-6
    assert total > 0.9


def _peak(law, x: np.ndarray, batches: int, rng: np.random.Generator) -> float:
    shape = gaussianiser(law)
    machine = RefutingMachine(shape.weights, shape.dim, error=shape.error, frame=shape.frame)
    directions = Directions.drawn(shape.dim, rng)
    for part in np.array_split(x, batches):
        machine.update(directions.view(shape(part, rng=rng)))
    return machine.peak


@pytest.mark.statistical
def test_calibration_of_the_average() -> None:
    streams, rng, peaks = 100, np.random.default_rng(8), []
    for _ in range(streams):
        peaks.append(_peak(PLANE, draw(PLANE, 400, rng=rng), 5, rng))
    for e in (10, 20):
        allowed = stats.binom.isf(1e-7, streams, 1 / e)
        assert (np.asarray(peaks) >= math.log(e)).sum() <= allowed
    # The same streams with weights .45 .45 .10 are seen: the machine is not just silent.
    other = GaussianMixture([0.45, 0.45, 0.1], PLANE.means, PLANE.covariances)
    assert _peak(PLANE, draw(other, 2000, rng=rng), 4, rng) > math.log(1e6)


@pytest.mark.statistical
@pytest.mark.parametrize(
    "law",
    [
        SKEWED,
        GaussianMixture.low_rank([0.7, 0.3], np.eye(2, 5), np.ones((2, 5, 1)), [0.2, 0.1]),
        GaussianMixture([0.4, 0.6], [[1.0, 2, 3], [0, 0, 1]], [[1.0, 2, 0.1], [0.3, 0.3, 3]]),
        marginal(PLANE, VP(), 0.3),
        marginal(PointMasses(np.random.default_rng(0).random((40, 3))), VP(), 0.2),
        PointMasses([[0.0, 1], [2, 3], [0, 1], [5, 5]], [0.1, 0.4, 0.2, 0.3]),
        Laplace(0.7, 0.5),
        StudentT(5.0, 0.5, 0.7),
        Uniform(-0.5, 2.0),
        Convolved(Laplace(0.7, 0.5), 0.9, 0.1),
        Banana(),
        Funnel(),
        DoubleWell(),
        Ring(),
    ],
    ids=lambda law: repr(law)[:24],
)
def test_exact_draws_of_every_law_become_labels_and_normals(law) -> None:
    rng = np.random.default_rng(21)
    # P(peak >= log 1e6) <= 1e-6 for each of these
    assert _peak(law, np.asarray(draw(law, 3000, rng=rng)), 3, rng) < math.log(1e6)
    # The same draws 20 % too wide are refuted (atoms: are no atoms).
    x = np.asarray(draw(law, 6000, rng=rng))
    assert _peak(law, law.mean + 1.25 * (x - law.mean), 3, rng) > math.log(1e6)


def test_maps_of_the_plane_invert_the_transports() -> None:
    rng = np.random.default_rng(4)
    u, z = rng.random(400), rng.standard_normal((400, 2))
    for law in (Banana(), Funnel()):
        back = ChainNormals(law)(law.transport(u, z))
        # the panels carry F to 1e-14; Phi^{-1} divides by phi(4.5) > 1e-5
        np.testing.assert_allclose(back, z, atol=1e-8)
    well = DoubleWell()
    back = ChainNormals(well)(np.asarray(well.transport(u, z)))
    np.testing.assert_allclose(special.ndtr(back[:, 0]), u, atol=1e-10)
    ring = Ring()
    x = ring.transport(u, z)
    np.testing.assert_allclose(special.ndtr(ring_normals(ring, x)[:, 0]), u, atol=1e-10)


def test_table_of_a_numerical_law_against_its_distribution_function() -> None:
    law = Convolved(Logistic(-0.8, 0.4), 0.8, 0.04)
    shape = gaussianiser(law)
    x = np.linspace(-6, 6, 41)[:, None]
    z = shape(x, rng=np.random.default_rng(0)).z[:, 0]
    # relative errors of the density integrate to the same relative error of F at most
    np.testing.assert_allclose(special.ndtr(z), law.cdf(x), rtol=shape.error + 1e-12)
    assert 0 < shape.error < 1e-4


def test_draws_beyond_the_support_or_out_of_range_are_far_away() -> None:
    rng = np.random.default_rng(0)
    z = gaussianiser(Uniform(0.0, 1.0))(np.array([[-0.1], [0.5], [1.2]]), rng=rng).z
    assert z[0, 0] < -1e4
    assert abs(z[1, 0]) < 1e-12
    assert z[2, 0] > 1e4
    far = gaussianiser(PLANE)(np.full((2, 2), 1e200), rng=rng)
    assert np.isfinite(far.z).all()
    atoms = PointMasses([[0.0, 1], [2, 3]])
    assert gaussianiser(atoms)(np.array([[2.0, 3], [1, 1]]), rng=rng).labels.tolist() == [1, 2]
    with pytest.raises(ValueError, match="no exact Gaussianisation"):
        gaussianiser(Energy(lambda x: x[..., 0] ** 2, 1))


@pytest.mark.statistical
@pytest.mark.parametrize("dim", [1, 6])
def test_effects_of_exact_normals_are_certified_at_the_planned_size(dim: int) -> None:
    rng = np.random.default_rng(dim)
    level, tolerance = 1e-6, 0.1
    n = samples_for(np.array([0.7, 0.3]), dim, tolerance=tolerance, level=level)
    directions = Directions.drawn(dim, rng)
    sums = EffectSums(np.array([0.7, 0.3]), dim)
    z = rng.standard_normal((n, dim))
    labels = (rng.random(n) < 0.3).astype(np.int64)
    view = View(labels, z, np.concatenate([z, z @ directions.vectors], axis=1))
    for k in range(0, n, 5000):
        sums.update(View(labels[k : k + 5000], z[k : k + 5000], view.columns[k : k + 5000]))
    effects = {e.name: e for e in sums.effects(level, tolerance)}
    assert len(effects) == (8 if dim > 1 else 7)
    for e in effects.values():
        assert e.low <= e.value <= e.high <= tolerance
        assert e.low == 0
    # A second route to the numbers: direct statistics of all draws.
    clipped = np.clip(view.columns, -CLIP, CLIP)
    assert effects["mean"].value == pytest.approx(np.abs(clipped.mean(axis=0)).max(), abs=1e-12)
    worst = max(stats.kstest(c, "norm").statistic for c in view.columns.T[:3])
    # the grid misses less than one cell of 1/2048
    assert effects["cdf"].value >= worst - 1 / 2048 - 1e-12
    square = (clipped**2).mean(axis=0)
    # the mean square of a normal clipped at six is below one by 4e-9
    assert effects["variance"].value == pytest.approx(np.abs(square - 1).max(), abs=1e-8)


def test_ties() -> None:
    rng = np.random.default_rng(9)
    x = rng.standard_normal((1000, 3))
    counter = TieCounter(3)
    counter.update(x)
    assert counter.ties().rows == 0
    assert counter.ties().heap is None
    counter.update(x[300:400])
    found = counter.ties()
    assert (found.rows, found.first, found.period) == (100, (1000, 300), 700)
    clipped = TieCounter(2)
    clipped.update(np.minimum(rng.standard_normal((1000, 2)), 1.5))
    heap = clipped.ties().heap
    assert heap is not None
    assert heap[1] == 1.5
    assert heap[2] > 20


def test_ties_of_exact_draws_follow_from_the_spacing_of_floating_point_numbers() -> None:
    rng = np.random.default_rng(4)
    # Far from the origin a float64 is coarse: about n^2/2 * 0.28 * 2^-32 = 0.8 pairs of these are equal.
    far = Gaussian([2.0**20], [[1.0]])
    repeated, bounds = [], []
    for _ in range(16):
        counter = TieCounter(1, far.log_prob)
        for _ in range(4):
            counter.update(2.0**20 + rng.standard_normal((40_000, 1)))
        assert counter.log_e()["repeats"] < np.log(1e6)
        repeated.append(counter.rows)
        bounds.append(counter.expected)
    # Cells are counted doubly; the mean of 16 Poisson counts of mean 0.6 has a deviation of 0.2.
    assert np.mean(bounds) == pytest.approx(1.26, rel=0.1)
    assert np.mean(repeated) < np.mean(bounds)
    rounded = TieCounter(1, far.log_prob)
    rounded.update(np.round(rng.standard_normal((20_000, 1)) + 2.0**20, 6))
    assert rounded.log_e()["repeats"] > np.log(1e12)


def test_one_copied_row_refutes_in_two_dimensions_and_collisions_are_paid_for() -> None:
    law = Gaussian([3.0, -1.0], [[2.0, 0.3], [0.3, 0.1]])
    x = law.transport(np.zeros(20_000), np.random.default_rng(5).standard_normal((20_000, 2)))
    counter = TieCounter(2, law.log_prob)
    counter.update(x)
    # Every pair of rows costs a collision of fingerprints, 2^-64, and next to nothing besides.
    assert counter.expected == pytest.approx(
        20_000 * 19_999 / 2 * 2.0**-64, rel=1e-3
    )  # what else may tie is a thousand times rarer
    assert counter.log_e()["repeats"] < 0.1
    counter.update(x[:1])
    assert counter.log_e()["repeats"] > np.log(1e8)


def test_many_hits_of_an_extreme_value_are_no_accident() -> None:
    rng = np.random.default_rng(6)
    law = Gaussian([0.0, 0.0], [[1.0, 0.2], [0.2, 1.0]])
    for single in (False, True):
        counter = TieCounter(2, law.log_prob, single=single)
        x = rng.standard_normal((60_000, 2))
        counter.update(x.astype(np.float32).astype(float) if single else x)
        assert counter.log_e()["heaps"] < np.log(10.0)
        clipped = TieCounter(2, law.log_prob, single=single)
        clipped.update(np.minimum(x, 2.0 + 0.5 * np.arange(2)))
        assert clipped.log_e()["heaps"] > np.log(1e12)


def test_rare_events_have_an_e_process_and_a_ceiling() -> None:
    rng = np.random.default_rng(7)
    for rate in (1e-3, 0.3, 20.0):
        counts = rng.poisson(rate, size=20_000)
        # E <= 1 under the null; Markov's inequality for the mean of many of them is far from tight.
        assert np.mean([np.exp(ep.rare(int(c), rate)) for c in counts[:2000]]) < 1.5
        ceiling = ep.rare_ceiling(rate, 1e-3)
        # 20,000 draws exceed a level of 1e-3 twenty times on average, sixty times with probability below 1e-11.
        assert (counts >= ceiling).sum() < 60
    assert ep.rare(2, 1e-6) > np.log(1e9)
