"""The exact score as a module, its controlled defects, and the image data that packages ship."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scoreproof.models.corrupt import Biased, Blurred, Scaled, TimeDropped, TimeSwapped
from scoreproof.models.data import digit_images, digit_mixture, photo_mixture, photo_patches
from scoreproof.models.oracle import Oracle
from scoreproof.validation import PROBLEMS


@pytest.fixture
def problem():
    return PROBLEMS["digits-10"]


def _look(problem, t=0.3, n=200):
    x = torch.tensor(problem.data(n, t=t, rng=np.random.default_rng(0)))
    return x, torch.full((n,), t, dtype=torch.float64)


def _relative(network, problem, t=0.3):
    x, time = _look(problem, t)
    truth = problem.score(x, t)
    with torch.no_grad():
        return float(((network(x, time) - truth) ** 2).sum() / (truth**2).sum())


def test_the_oracle_is_a_module_like_any_other(problem):
    oracle = Oracle(problem)
    x, t = _look(problem)
    assert torch.equal(oracle(x, t), problem.score(x, 0.3))
    assert oracle(x.float(), t.float()).dtype == torch.float32
    oracle(x, t).square().mean().backward()
    (gain,) = oracle.parameters()
    # the derivative of (gain s)^2 at gain 1 is 2 s^2: twice the mean, but for rounding of 12,800 terms
    mean = float(problem.score(x, 0.3).square().mean())
    assert gain.grad is not None
    assert float(gain.grad) == pytest.approx(2 * mean, rel=1e-12)
    assert set(oracle.state_dict()) == {"gain"}


def test_defects_have_the_size_that_is_stated(problem):
    exact = Oracle(problem)
    assert _relative(exact, problem) == 0
    assert _relative(Scaled(exact, 0.7), problem) == pytest.approx(0.09, rel=1e-12)
    assert _relative(Biased(exact, 0.4), problem) == pytest.approx(0.16, rel=1e-12)
    dropped = TimeDropped(exact, 0.05, 0.5)
    assert _relative(dropped, problem) == 1
    assert _relative(dropped, problem, 0.6) == 0
    assert _relative(dropped, problem, 0.04) == 0
    swapped = TimeSwapped(exact, problem.t_min, problem.t_max)
    middle = 0.5 * (problem.t_min + problem.t_max)
    assert _relative(swapped, problem) > 0.05
    # the middle of the clock is its own mirror image, to the rounding of t
    assert _relative(swapped, problem, middle) < 1e-20
    assert _relative(Blurred(exact), problem) > 0.05


def test_dropped_times_may_differ_row_by_row(problem):
    x, t = _look(problem, n=4)
    t = torch.tensor([0.01, 0.1, 0.4, 0.9], dtype=torch.float64)
    out = TimeDropped(Oracle(problem), 0.05, 0.5)(x, t)
    assert [bool(row.any()) for row in out] == [True, False, False, True]


def test_a_constant_image_has_no_high_frequencies():
    constant = torch.ones((2, 1, 8, 8), dtype=torch.float64)
    blurred = Blurred(lambda x, t: x)(constant, torch.zeros(2))
    assert torch.allclose(blurred, constant, rtol=1e-15, atol=0)
    spot = torch.zeros((1, 1, 5, 5), dtype=torch.float64)
    spot[0, 0, 2, 2] = 9
    assert float(Blurred(lambda x, t: x)(spot, torch.zeros(1))[0, 0, 1:4, 1:4].sum()) == 9


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TimeSwapped(lambda x, t: x, 1.0, 0.5), "t_min, t_max: got 1.0, 0.5"),
        (lambda: TimeDropped(lambda x, t: x, 0.5, 0.5), "low, high: got 0.5, 0.5"),
        (
            lambda: Blurred(lambda x, t: x)(torch.zeros((2, 4)), torch.zeros(2)),
            "x: got shape (2, 4)",
        ),
        (lambda: digit_mixture(0), "components: got 0"),
        (lambda: digit_mixture(5000), "components: got 5000"),
    ],
)
def test_refusals(make, words):
    with pytest.raises(ValueError, match="wanted") as raised:
        make()
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_digits_are_scaled_as_stated():
    images = digit_images()
    assert images.shape == (1797, 64)
    # sums of 115,008 terms of size one: their means are good to 1e-13
    assert abs(images.mean()) < 1e-12
    assert images.std() == pytest.approx(0.5, rel=1e-12)
    with pytest.raises(ValueError, match="read-only"):
        images[0, 0] = 1
    law = digit_mixture(10)
    assert (law.components, law.dim) == (10, 64)
    # EM keeps the sample mean: each step's weighted means average to it
    assert np.allclose(law.mean, images.mean(axis=0), rtol=0, atol=1e-10)
    # and the sample covariance, plus the regularisation 1e-3 on its diagonal
    spread = np.cov(images.T, bias=True) + 1e-3 * np.eye(64)
    assert np.allclose(law.covariance, spread, rtol=0, atol=1e-10)


def test_photographs_keep_mean_and_trace_of_their_patches():
    patches, law = photo_patches(), photo_mixture()
    assert patches.shape[1] == 3072
    assert patches.min() >= -1
    assert patches.max() <= 1
    assert np.allclose(law.mean, patches.mean(axis=0), rtol=0, atol=1e-10)
    values = np.asarray(law.basis.values)
    assert values.min() > 0
    # probabilistic PCA keeps the trace of each cluster, and clusters add their means: the total is the sample's
    total = patches.var(axis=0).sum()
    between = float(law.weights @ np.square(law.means - law.mean).sum(axis=1))
    noise = np.asarray(law.basis.noise)
    factors = values.reshape(law.components, -1)
    within = factors.sum(axis=1) + noise.ravel() * (law.dim - factors.shape[1])
    assert float(law.weights @ within) + between == pytest.approx(total, rel=1e-10)
