"""Families of the refuting machine: each is a likelihood ratio of densities, compared with one that is written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats
from scoreproof.numerics import draw, tilts
from scoreproof.numerics import e_directions as ed
from scoreproof.numerics import e_processes as ep
from scoreproof.numerics import watchers as w
from scoreproof.numerics.family_weights import SHARES
from scoreproof.numerics.gaussianise import gaussianiser
from scoreproof.numerics.goodness import RefutingMachine
from scoreproof.numerics.views import Directions, Sketch
from scoreproof.theory import Gaussian, GaussianMixture

LINE = GaussianMixture([0.5, 0.3, 0.2], [[-1.2], [0.4], [2.1]], [0.09, 0.25, 0.5])
PLANE = GaussianMixture(
    [0.6, 0.3, 0.1],
    [[0, 0], [3, 1], [-2, 2.0]],
    [[[1, 0.5], [0.5, 0.8]], [[0.3, -0.1], [-0.1, 0.5]], [[0.4, 0], [0, 0.2]]],
)


def test_integral_over_the_sphere() -> None:
    a = np.array([[2.0, -1.0], [40.0, 3.0], [0.0, -700.0]])
    # d = 2: e^{(a + b)/2} I_0((a - b)/2)
    half, mean = (a[:, 0] - a[:, 1]) / 2, a.mean(axis=1)
    closed = mean + np.log(special.ive(0, half)) + half
    # the quadrature converges to 3e-10
    np.testing.assert_allclose(ed.sphere_average(a), closed, atol=1e-9)
    for d in (2, 3, 7, 64, 130):
        np.testing.assert_allclose(ed.sphere_average(np.full((1, d), 2.5)), 2.5, atol=1e-9)
        one = np.zeros((2, d))
        one[:, 0] = 3.0, -80.0
        # one exponent: Kummer's function
        closed = np.log([special.hyp1f1(0.5, d / 2, v) for v in (3.0, -80.0)])
        np.testing.assert_allclose(ed.sphere_average(one), closed, atol=1e-8)


def _scatter(z: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.eigvalsh(z.T @ z), dtype=np.float64)


def test_one_direction_has_mean_one_and_sees_it() -> None:
    rng = np.random.default_rng(3)
    values = []
    for _ in range(2000):
        z = rng.standard_normal((12, 3))
        values.append(math.exp(ed.one_direction(_scatter(z), 12)))
    # terms below e^-3 are left out: the mean is at most one; its standard error is below 0.02
    assert 0.85 < np.mean(values) < 1.08
    z = rng.standard_normal((20_000, 8))
    v = np.ones(8) / math.sqrt(8)
    wide = z + (math.sqrt(1.15) - 1) * np.outer(z @ v, v)
    assert ed.one_direction(_scatter(z), 20_000) < 5
    assert ed.one_direction(_scatter(wide), 20_000) > 20


@pytest.mark.parametrize("law", [LINE, PLANE, Gaussian(np.zeros(64), np.eye(64))], ids=str)
@pytest.mark.parametrize("factor", [1e-3, 40.0, 1e8])
def test_draws_far_from_the_law_give_finite_ratios_and_are_refuted(law, factor) -> None:
    rng = np.random.default_rng(4)
    shape = gaussianiser(law)
    machine = RefutingMachine(shape.weights, shape.dim, frame=shape.frame)
    directions = Directions.drawn(shape.dim, rng)
    for _ in range(3):
        x = factor * np.asarray(draw(law, 200, rng=rng))
        machine.update(directions.view(shape(x, rng=rng)))
    assert machine.refuted(1e-6)
    assert not any(math.isnan(v) for v in machine.families.values())


def _ratio(z: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    d = z.shape[1]
    q = stats.multivariate_normal(mean, covariance)  # pyright: ignore
    p = stats.multivariate_normal(np.zeros(d), np.eye(d))  # pyright: ignore
    return float((q.logpdf(z) - p.logpdf(z)).sum())


def test_known_directions_are_ratios_of_normal_densities() -> None:
    z = np.random.default_rng(2).standard_normal((25, 3)) * 1.1 + 0.1
    n, sums, squares, scatter = 25, z.sum(axis=0), (z**2).sum(axis=0), z.T @ z
    axes = np.array([[1.0, 0.5, 0], [0, 1.2, -0.4], [0.3, 0, 2.0]])
    eye = np.eye(3)
    # sums of 25 logarithms of densities: rounding of 1e-13
    logs = []
    for i, j in ((0, 1), (0, 2), (1, 2)):
        a, b = axes[i], axes[j]
        for bend in np.r_[ed.BENDS, -np.asarray(ed.BENDS)]:
            t = bend / np.linalg.norm(a) / np.linalg.norm(b)
            logs.append(_ratio(z, 0 * sums, eye + t * (np.outer(a, b) + np.outer(b, a))))
    assert ed.bent_pairs(scatter, axes, n) == pytest.approx(ep.log_mean(logs), abs=1e-10)
    logs = []
    for v in axes / np.linalg.norm(axes, axis=1, keepdims=True):
        for t in np.r_[ed.SHIFTS, -np.asarray(ed.SHIFTS)]:
            logs.append(_ratio(z, t * v, eye))
    said = ed.along(axes @ sums, np.linalg.norm(axes, axis=1), n)
    assert said == pytest.approx(ep.log_mean(logs), abs=1e-10)
    logs = []
    for v in axes / np.linalg.norm(axes, axis=1, keepdims=True):
        for c in np.r_[ed.CHANGES[2:], -np.asarray(ed.CHANGES[2:])]:
            logs.append(_ratio(z, 0 * sums, eye + c * np.outer(v, v)))
    assert ed.noisy_axes(scatter, axes, n) == pytest.approx(ep.log_mean(logs), abs=1e-10)
    # d = 3, one length only: the prior N(0, t^2/d I) makes sums N(0, n (1 + n t^2/d))
    t2 = np.square([0.01 * 3**0.25 * 1.4**k for k in range(9)]) / 3
    logs = [
        (stats.norm.logpdf(sums, 0, np.sqrt(n + n * n * v)) - stats.norm.logpdf(sums, 0, 5)).sum()
        for v in t2
    ]
    assert ed.spread_mean(sums, n) == pytest.approx(ep.log_mean(logs), abs=1e-10)
    del squares


def test_profiles_have_mean_one_with_and_without_means() -> None:
    rng = np.random.default_rng(5)
    spectrum, mean = np.array([0.1, 0.5, 2.0]), np.array([1.0, -0.5, 0.3])
    plain, pulled = [], []
    for _ in range(3000):
        z = rng.standard_normal((15, 3))
        squares, sums = (z**2).sum(axis=0), z.sum(axis=0)
        plain.append(math.exp(ed.profiles(squares, spectrum, 15)))
        pulled.append(math.exp(ed.profiles(squares, spectrum, 15, sums=sums, mean=mean)))
    for values in (plain, pulled):
        # the mean of 3000 values; large ones are rare, so that it falls short of one rather than exceeds it
        assert 0.8 < np.mean(values) < 1.1


def test_cells_and_tree() -> None:
    rng = np.random.default_rng(1)
    y = rng.standard_normal((30_000, 3)) * 1.4
    direct = [
        np.bincount(np.searchsorted(tilts.NORMAL, c, side="right"), minlength=len(tilts.MASS))
        for c in y.T
    ]
    found = tilts.cells(tilts.fine(special.ndtr(y)), y, tilts.NORMAL)
    np.testing.assert_array_equal(found, direct)
    assert tilts.MASS.sum() == pytest.approx(1, abs=1e-12)
    # mean one under the null: one draw in each cell, and all pairs of cells. Beta functions of 1e7 keep 1e-8.
    one = np.eye(len(tilts.MASS))
    for family in (tilts.normal_tilts(), tilts.whole_tilts(), tilts.radius_tilts(5)):
        assert tilts.MASS @ np.exp(family.log_e(one)) == pytest.approx(1, abs=1e-8)
        pair = (one[:, None] + one[None]).reshape(-1, len(tilts.MASS))
        both = np.outer(tilts.MASS, tilts.MASS).ravel()
        assert both @ np.exp(family.log_e(pair)) == pytest.approx(1, abs=1e-8)
    assert tilts.normal_tilts().log_e(found)[0] > 100


def test_mixing_and_refits_are_ratios_of_densities() -> None:
    rng = np.random.default_rng(6)
    for law in (LINE, PLANE):
        x = np.asarray(draw(law, 200, rng=rng))
        shape = gaussianiser(law)
        batch = shape(x, rng=rng)
        assert batch.ratios is not None and batch.each is not None
        base = law.log_prob(x)
        mixing = w.Mixing(law.weights)
        mixing.add(batch.ratios)
        logs = []
        for part in w._PARTS:
            for i in range(3):
                for j in range(3):
                    if i != j:
                        moved = law.weights.copy()
                        moved[j] += part * law.weights[i]
                        moved[i] -= part * law.weights[i]
                        q = GaussianMixture(moved, law.means, law.covariances)
                        logs.append((q.log_prob(x) - base).sum())
        # sums of 200 logarithms: rounding of 1e-12
        assert mixing.log_e() == pytest.approx(ep.log_mean(logs), abs=1e-9)
        assert shape.frame is not None
        refits = w.Refits(law.weights, shape.frame.spectra)
        refits.add(batch.each, batch.ratios)
        values, vectors = np.linalg.eigh(law.covariances)
        stretched, shifted, whole, every, noise = [], [], [], [], []
        for t in w._MOVES:
            scaled = GaussianMixture(law.weights, law.means, law.covariances * math.exp(2 * t))
            every.append((scaled.log_prob(x) - base).sum())
            added = math.expm1(2 * t) * values.min() * np.eye(law.dim)
            q = GaussianMixture(law.weights, law.means, law.covariances + added)
            noise.append((q.log_prob(x) - base).sum())
            for k in range(3):
                c = law.covariances.copy()
                c[k] *= math.exp(2 * t)
                q = GaussianMixture(law.weights, law.means, c)
                whole.append((q.log_prob(x) - base).sum())
                for j in range(law.dim):
                    v = vectors[k][:, j]
                    c, mu = law.covariances.copy(), law.means.copy()
                    c[k] += math.expm1(2 * t) * values[k, j] * np.outer(v, v)
                    mu[k] += t * math.sqrt(values[k, j]) * v
                    q = GaussianMixture(law.weights, law.means, c)
                    stretched.append((q.log_prob(x) - base).sum())
                    # a move of either sign is among the alternatives, so that the sign of the axis does not matter
                    q = GaussianMixture(law.weights, mu, law.covariances)
                    shifted.append((q.log_prob(x) - base).sum())
        weights = np.repeat([0.5, 0.8, 1.0, 1.3, 1.4, 1.0], 2) / 12
        logs = [
            ep.averaged(np.reshape(g, (12, -1)).T) + np.log(weights)
            for g in (shifted, stretched, whole, every, noise)
        ]
        groups = np.logaddexp.reduce(logs, axis=1)
        weighted = np.logaddexp.reduce(groups + np.log([0.44, 0.22, 0.14, 0.1, 0.1]))
        assert refits.log_e() == pytest.approx(weighted, abs=1e-9)


def test_memory_is_the_same_in_one_batch_or_many() -> None:
    z = np.random.default_rng(7).standard_normal((700, 2))
    whole, parts = w.Memory(2), w.Memory(2)
    whole.add(z)
    for part in np.split(z, [1, 5, 70, 71, 300]):
        parts.add(part)
    for name, value in whole.log_e().items():
        # the order of additions differs
        assert parts.log_e()[name] == pytest.approx(value, abs=1e-9)
    # written out for the mean of the last four
    means = np.stack([z[i - 4 : i].mean(axis=0) for i in range(4, 700)])
    assert whole._cross[0] == pytest.approx((means * z[4:]).sum(), abs=1e-9)
    assert whole._square[0] == pytest.approx((means**2).sum(), abs=1e-9)


def test_curvature_sees_bends_and_names_them() -> None:
    rng = np.random.default_rng(8)
    z = rng.standard_normal((6000, 4))
    fine, bent, wide = (w.Curvature(4) for _ in range(3))
    fine.add(z)
    y = z.copy()
    y[:, 3] += 0.1 * (z[:, 1] ** 2 - 1)
    bent.add(y)
    y = z.copy()
    y[:, 0] *= np.exp(0.1 * z[:, 2])
    wide.add(y)
    assert fine.log_e() < 5
    assert bent.log_e() > 15
    assert bent.worst() == (1, 3)
    assert wide.log_e() > 15
    # E z_0^2 z_2 is off: either may be said to depend on the other
    assert set(wide.worst()) == {0, 2}


def test_weights_of_the_families_never_change() -> None:
    rng = np.random.default_rng(9)
    for law in (LINE, PLANE, Gaussian(np.ones(4), np.diag([0.1, 0.5, 1.0, 3.0]))):
        shape = gaussianiser(law)
        machine = RefutingMachine(shape.weights, shape.dim, frame=shape.frame)
        directions = Directions.drawn(shape.dim, rng)
        names = []
        for _ in range(3):
            x = np.asarray(draw(law, 300, rng=rng))
            machine.update(directions.view(shape(x, rng=rng)))
            names.append(tuple(machine.families))
        assert len(set(names)) == 1
        assert set(names[0]) <= set(SHARES)
        total = sum(math.exp(machine.share(name)) for name in names[0])
        assert total == pytest.approx(1, abs=1e-12)


def test_directions_are_learned_from_past_batches_alone() -> None:
    rng = np.random.default_rng(11)
    shape = gaussianiser(Gaussian(np.zeros(3), np.eye(3)))
    machine = RefutingMachine(shape.weights, 3, frame=shape.frame)
    directions = Directions.drawn(3, rng)
    first, second = rng.standard_normal((2, 40, 3)) + 0.2
    machine.update(directions.view(shape(first, rng=rng)))
    # nothing was known before the first batch: no bets, whatever it holds
    assert machine.families["learned mean"] == machine.families["learned scale"] == 0.0
    machine.update(directions.view(shape(second, rng=rng)))
    way = first.sum(axis=0) / np.linalg.norm(first.sum(axis=0))
    mean = ep.means(np.array([(second @ way).sum()]), 40)[0]
    axes = np.linalg.eigh(first.T @ first)[1][:, [0, -1]]
    scale = ep.scales(((second @ axes) ** 2).sum(axis=0), 40)[0]
    # sums of 40 terms: rounding of 1e-14
    assert machine.families["learned mean"] == pytest.approx(mean, abs=1e-11)
    assert machine.families["learned scale"] == pytest.approx(scale, abs=1e-11)


def test_a_sketch_keeps_the_column() -> None:
    z = np.random.default_rng(10).standard_normal(5000)
    sketch = Sketch()
    sketch.add(z[:2000])
    sketch.add(z[2000:])
    assert sketch.counts.sum() == 5000
    # every draw moves by half a cell at most
    assert sketch.values @ sketch.counts / 5000 == pytest.approx(z.mean(), abs=Sketch.WIDTH / 2)
