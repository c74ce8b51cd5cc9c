"""Divergence of a vector field: declared, by differences, by autograd, by probes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scoreproof.numerics import substream
from scoreproof.numerics.divergence import (
    directional,
    exact_divergence,
    hutch_pp,
    hutchinson,
    probes,
)
from scoreproof.numerics.score_models import ScoreModel, as_model, torch_model
from scoreproof.theory import GaussianMixture

LAW = GaussianMixture(
    [0.3, 0.7], [[-2.0, 1.0, 0.2], [1.0, -0.3, 0.5]], [[0.4, 1.0, 0.2], [1.1, 0.3, 0.7]]
)
POINTS = substream(0, "points").standard_normal((200, 3)) * 1.5


def test_differences_agree_with_the_closed_form_within_their_error():
    found = exact_divergence(lambda x: LAW.score(x), POINTS)
    off = np.abs(found.value - LAW.divergence(POINTS))
    assert np.all(off <= 5 * found.error + 1e-13)
    # Central differences of a smooth field in float64: eps^(6/7) of the field's size or better.
    assert np.max(found.error) < 1e-8
    assert exact_divergence(LAW, POINTS).evaluations == 1


def test_differences_scale_with_a_narrow_field():
    narrow = GaussianMixture([1.0], [[0.3, 0.3]], [[1e-6, 4e-6]])
    x = 0.3 + 1e-3 * substream(1, "narrow").standard_normal((50, 2))
    found = exact_divergence(lambda y: narrow.score(y), x, step=1e-3)
    # Linear field: the exact value is -(1e6 + 2.5e5); rounding of x + h leaves eps * |x| / h of it.
    assert np.all(np.abs(found.value + 1.25e6) <= 5 * found.error)
    assert np.max(found.error) < 1.0


def test_mutant_divergence_is_outside_its_error():
    found = exact_divergence(lambda x: LAW.score(x), POINTS)
    assert np.mean(np.abs(1.001 * LAW.divergence(POINTS) - found.value) > 100 * found.error) > 0.99


def test_autograd_agrees_with_differences_and_closed_form():
    torch = pytest.importorskip("torch")
    model = torch_model(lambda x: torch.tanh(x) @ torch.ones(3, 3, dtype=x.dtype) - x**3)
    plain = ScoreModel(model.value)
    exact = np.sum(1 / np.cosh(POINTS) ** 2 - 3 * POINTS**2, axis=1)
    # Both sides are sums of three terms of size up to 100.
    np.testing.assert_allclose(exact_divergence(model, POINTS).value, exact, rtol=0, atol=1e-12)
    found = exact_divergence(plain, POINTS)
    assert np.all(np.abs(found.value - exact) <= 5 * found.error + 1e-12)
    v = np.random.default_rng(0).standard_normal(POINTS.shape)
    by_autograd, by_steps = directional(model, POINTS, v)[0], directional(plain, POINTS, v)
    assert np.all(np.abs(by_autograd - by_steps[0]) <= 5 * by_steps[1] + 1e-12)


@pytest.mark.parametrize("probe", ["rademacher", "gaussian"])
@pytest.mark.statistical
def test_probes_are_unbiased_with_the_stated_variance(probe):
    x = np.repeat(POINTS[:1], 20_000, axis=0)
    rng = substream(2, probe)
    found = hutchinson(LAW, x, rng=rng, probe=probe).value
    a = LAW.hessian(POINTS[:1])[0]
    off = a - np.diag(np.diag(a)) if probe == "rademacher" else a
    variance = 2 * np.sum(off**2)
    z = (found.mean() - np.trace(a)) / np.sqrt(variance / len(x))
    assert abs(z) < stats.norm.isf(1e-8)
    # The variance of a sample variance is at most (kurtosis - 1)/n; quadratic forms have kurtosis <= 15.
    assert abs(found.var() / variance - 1) < 6 * np.sqrt(14 / len(x))


@pytest.mark.statistical
def test_hutch_pp_is_unbiased_and_beats_hutchinson_on_decaying_spectra():
    d = 30
    g = substream(3, "spectrum")
    q = np.linalg.qr(g.standard_normal((d, d)))[0]
    j = (q * 2.0 ** -np.arange(d)) @ q.T
    field = ScoreModel(lambda x: x @ j.T, jvp=lambda x, v: v @ j.T)
    x = np.zeros((2000, d))
    better = hutch_pp(field, x, rng=g, count=15)
    plain = hutchinson(field, x, rng=g, count=15)
    z = (better.value.mean() - np.trace(j)) / (better.value.std() / np.sqrt(len(x)))
    assert abs(z) < 6.5
    # Beyond the five directions of the sketch at most 2^-5 of the spectrum is left to probes, if the sketch
    # is perfect; a random one loses a factor of a few, so a quarter of Hutchinson's deviation is safe.
    assert better.value.std() < 0.25 * plain.value.std()


def test_probe_laws_and_refusals():
    v = probes("sphere", 500, 4, substream(4))
    # Each row is divided by its own norm: four squares and a root, a few ulps.
    np.testing.assert_allclose(np.sum(v * v, axis=1), 1, rtol=0, atol=1e-14)
    with pytest.raises(ValueError, match="probe: got 'cube'"):
        probes("cube", 5, 2, substream(0))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="count: got 2"):
        hutch_pp(LAW, POINTS, rng=substream(0), count=2)
    with pytest.raises(ValueError, match="score: got"):
        as_model(3)
    with pytest.raises(ValueError, match="score: got shape"):
        exact_divergence(lambda x: x[:, 0], POINTS)
