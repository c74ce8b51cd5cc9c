"""Stein terms, their exact second moments, the kernel, and bets that are fair."""

from __future__ import annotations

import numpy as np
import pytest
from scoreproof.numerics import draw
from scoreproof.numerics.bets import BoundedBets, VarianceBets
from scoreproof.numerics.quadrature import expectation
from scoreproof.numerics.stein import (
    Frame,
    SteinTerms,
    Witness,
    kernel_stein_discrepancy,
    stein_kernel,
)
from scoreproof.theory import GaussianMixture

PLANE = GaussianMixture(
    [0.7, 0.3], [[-1.0, 0.5], [2.0, 1.0]], [[[0.5, 0.1], [0.1, 0.2]], [[0.3, 0.0], [0.0, 0.8]]]
)


@pytest.fixture
def terms():
    rng = np.random.default_rng(1)
    return SteinTerms(Frame.of(draw(PLANE, 2000, rng=rng)), rng)


def test_a_frame_whitens(terms):
    rng = np.random.default_rng(2)
    x = draw(PLANE, 500, rng=rng)
    frame = Frame.of(x)
    y = frame.points(x)
    assert np.abs(y.mean(axis=0)).max() < 1e-12
    assert np.abs(np.cov(y.T) - np.eye(2)).max() < 1e-10
    # A score is a gradient: along the new coordinates it changes log p by the same amount.
    s = rng.standard_normal((500, 2))
    move = rng.standard_normal((500, 2))
    assert (frame.scores(s) * (move @ frame.whiten)).sum(1) == pytest.approx((s * move).sum(1))


@pytest.mark.parametrize("j", [0, 20, 77, 130])
def test_terms_have_mean_zero_and_the_exact_second_moment(terms, j):
    """Quadrature against the identity, and the second moment against its form without a squared score."""

    def values(x):
        return terms(x, PLANE.score(x))[:, j]

    mean = expectation(values, PLANE)
    assert (
        abs(mean.value) <= mean.error + 1e-9
    )  # quadrature reaches some 1e-10 of terms of size one
    square = expectation(lambda x: values(x) ** 2, PLANE)
    m = terms.directions.shape[1]
    kind, along = divmod(j, m)
    v = terms.frame.unwhiten @ terms.directions[:, along]

    def other(x):
        t = terms.frame.points(x) @ terms.directions[:, along]
        psi, slope = _psi(kind, t)
        return slope**2 - psi**2 * np.einsum("d,nde,e->n", v, PLANE.hessian(x), v)

    exact = expectation(other, PLANE)
    assert square.value == pytest.approx(exact.value, abs=square.error + exact.error + 1e-8)

    def positive(x):
        h = np.einsum("d,nde,e->n", v, PLANE.hessian(x), v)
        return np.maximum(-h, 0.0)

    # The kink costs quadrature some digits; a thousandth is added.
    curvature = np.full(m, 1.001 * expectation(positive, PLANE).value)
    assert square.value <= terms.second_moments(curvature)[j]


def _psi(kind, t):
    if kind == 0:
        return np.ones_like(t), np.zeros_like(t)
    if kind == 1:
        return t / np.sqrt(1 + t * t), (1 + t * t) ** -1.5
    w = (0.5, 1.0, 2.0)[(kind - 2) // 2]
    if kind % 2 == 0:
        return np.sin(w * t), w * np.cos(w * t)
    return np.cos(w * t), -w * np.sin(w * t)


def test_the_kernel_is_that_of_its_definition():
    rng = np.random.default_rng(3)
    x, s, y, r = (rng.standard_normal((n, 2)) for n in (4, 4, 3, 3))
    h = 1e-4

    def k(a, b):
        return (1 + ((a - b) ** 2).sum() / 2) ** -0.5

    def one(a, sa, b, rb):
        e = h * np.eye(2)
        ga = np.array([(k(a + d, b) - k(a - d, b)) / (2 * h) for d in e])
        gb = np.array([(k(a, b + d) - k(a, b - d)) / (2 * h) for d in e])
        mixed = sum(
            k(a + d, b + d) - k(a + d, b - d) - k(a - d, b + d) + k(a - d, b - d) for d in e
        )
        return sa @ rb * k(a, b) + sa @ gb + rb @ ga + mixed / (4 * h * h)

    direct = [
        [one(a, sa, b, rb) for b, rb in zip(y, r, strict=True)] for a, sa in zip(x, s, strict=True)
    ]
    # second differences with step 1e-4 round to 1e-16/1e-8
    assert np.abs(stein_kernel(x, s, y, r) - direct).max() < 1e-6


@pytest.mark.statistical
def test_kernel_discrepancy_and_witness_see_a_shift():
    rng = np.random.default_rng(4)
    x = draw(PLANE, 1500, rng=rng)
    fine, error = kernel_stein_discrepancy(x, PLANE.score)
    # Under the law the U-statistic is degenerate: far below its error under an alternative.
    assert abs(fine) < error
    wrong, error = kernel_stein_discrepancy(x + 0.3, PLANE.score)
    assert wrong > 4 * error
    with pytest.raises(ValueError, match="two draws"):
        kernel_stein_discrepancy(x[:1], PLANE.score)
    frame = Frame.of(x[:500])
    witness = Witness(frame, x[:500] + 0.3, PLANE.score(x[:500] + 0.3))
    there = witness(x[500:] + 0.3, PLANE.score(x[500:] + 0.3))
    here = witness(x[500:], PLANE.score(x[500:]))
    assert there.mean() > 6 * there.std() / np.sqrt(1000)
    assert abs(here.mean()) < 6 * here.std() / np.sqrt(1000)


def test_fair_bets_gain_nothing_on_average():
    """The expectation of one factor is one, exactly, for the law with the largest second moment allowed."""
    for v in (0.3, 4.0):
        bets = VarianceBets(np.array([v]))
        size = np.sqrt(v)
        factors = []
        for y in (size, -size):
            one = VarianceBets(np.array([v]))
            one.update(np.array([[y]]))
            factors.append(np.exp(one._log - one._paid))
        assert np.mean(factors, axis=0) == pytest.approx(1.0, abs=1e-14)
        assert bets.log_e == 0.0
    bounded = [BoundedBets(2.0, 1) for _ in range(2)]
    for bets, y in zip(bounded, (2.0, -2.0), strict=True):
        bets.update(np.array([[y]]))
    assert np.mean([np.exp(b._log) for b in bounded], axis=0) == pytest.approx(1.0, abs=1e-14)
    with pytest.raises(ValueError, match="second"):
        VarianceBets(np.array([0.0]))
    with pytest.raises(ValueError, match="bound"):
        BoundedBets(0.0, 1)


@pytest.mark.statistical
def test_bets_see_a_mean_and_stay_silent_without():
    rng = np.random.default_rng(5)
    y = rng.standard_t(5, size=(4000, 3)) * np.sqrt(3 / 5)  # variance one, heavy tails
    bets = VarianceBets(np.ones(3))
    bets.update(y)
    assert bets.log_e < np.log(1e3)
    bets.update(y + 0.2)
    assert bets.log_e > np.log(1e6)
    assert bets.logs.shape == (3,)
