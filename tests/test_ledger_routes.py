"""Formulas found by the ledger, by a second route each: other integrals, other recursions, draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, linalg, special
from scoreproof.numerics.gaussian_law import EigenLaw, ula_affine, ula_law
from scoreproof.numerics.langevin import ula_step
from scoreproof.numerics.rng import draw
from scoreproof.theory import PointMasses
from scoreproof.validation.claims import (
    annealing,
    blindness,
    limits,
    mixing,
    off_manifold,
    step_counts,
    subspace,
    tails,
)
from scoreproof.validation.claims.laws import tilted_gaussian


def test_a_fine_circle_of_points_has_the_score_of_a_ring():
    """Bessel functions: ``s = -rho/sigma^2 + (R/sigma^2) I1(z)/I0(z)``, ``z = rho R / sigma^2``."""
    radius, std = 1.3, 0.1
    angle = 2 * np.pi * np.arange(2048) / 2048
    law = PointMasses(radius * np.stack([np.cos(angle), np.sin(angle)], 1)).diffuse(1.0, std**2)
    rho = np.array([0.4, 1.1, 1.25, 1.6, 2.4])
    z = rho * radius / std**2
    exact = (-rho + radius * special.ive(1, z) / special.ive(0, z)) / std**2
    found = law.score(np.stack([rho, 0 * rho], 1))
    # distances of order one over sigma^2 = 0.01, and exponents of some hundreds
    assert np.abs(found[:, 0] - exact).max() < 1e-10
    assert np.abs(found[:, 1]).max() < 1e-10


def test_the_share_across_is_that_of_draws():
    n = 200_000
    law = subspace.on_plane(off_manifold.THICKNESS)
    _, across = subspace.axes()
    x = draw(law, n, rng=np.random.default_rng(1))
    away = np.linalg.norm((x - law.means[0]) @ across, axis=1) / off_manifold.THICKNESS
    square = ((law.score(x) @ across) ** 2).sum(1)
    share = square[away > 2.5].sum() / square.sum()
    # five standard errors of a share of 0.28 with weights of mean 3 and deviation 2.4
    assert abs(share - off_manifold._gamma(3, 2.5)) < 5 * 0.7 / math.sqrt(n)


def test_densities_fall_as_far_as_they_should():
    law = tails.skewed_1d()
    low, high = law.log_prob(tails._places(law))
    assert (low - high) / math.log(10) == pytest.approx(6.0, abs=1e-9)


def test_the_loss_of_the_wrong_weights_by_adaptive_quadrature():
    p, q = (blindness._two(w, 12.0) for w in (blindness.TRUE, blindness.WRONG))

    def term(x):
        at = np.array([[x]])
        return float(np.exp(p.log_prob(at))[0] * (p.score(at) - q.score(at))[0, 0] ** 2)

    centre = blindness.CENTRE
    direct = integrate.quad(term, centre - 3, centre + 3, epsabs=0, epsrel=1e-10, limit=200)[0]
    found = blindness._divergence(12.0)[0]
    # the claim's quadrature is asked for eight digits, the direct one for ten
    assert found.value == pytest.approx(direct, rel=1e-6)


def test_the_relaxation_time_from_the_integral_over_the_valley():
    """``1 / gap`` is close to ``w w' int dx / q`` between the modes, an integral without any spectrum."""
    width, ratio = mixing.WIDTH, 10.0
    law = mixing._noised(ratio * width)

    def rise(x):
        return float(np.exp(-law.log_prob(np.array([[x]])))[0])

    half = 0.45 * ratio * width
    valley = integrate.quad(rise, 0.7 - half, 0.7 + half, epsrel=1e-9, limit=200)[0]
    time = mixing.WEIGHT * (1 - mixing.WEIGHT) * valley
    # both leave out terms of relative order gap times the time within a mode
    assert 1 / mixing.gap(ratio * width).value == pytest.approx(time, rel=0.02)
    assert mixing.formula(ratio * width, width) == pytest.approx(time, rel=0.02)


def test_powers_of_a_step_are_the_steps():
    target = EigenLaw.of(tilted_gaussian())
    start = step_counts._start(target)
    one = ula_law(target, start, step=0.01, n_steps=77)
    two = start.push(step_counts.power(ula_affine(target, step=0.01), 77))
    # 77 roundings of numbers of order one
    assert np.abs(one.mean - two.mean).max() < 1e-13
    assert np.abs(one.variance - two.variance).max() < 1e-13


def test_the_linear_law_is_that_of_the_closed_form():
    law = tilted_gaussian()
    inverse = np.linalg.inv(law.covariance)
    white = np.linalg.inv(np.linalg.cholesky(law.covariance))
    for pull, turn, noise in ((1.0, 0.0, 1.0), (1.0, 0.7, 1.0), (0.0, 1.0, 0.0)):
        # with p stationary, covariances differ from that of p by E (C - Sigma) E'
        decay = linalg.expm(-0.9 * (pull * np.eye(3) + turn * limits.TURN) @ inverse)
        off = np.linalg.norm(white @ decay @ law.mean)
        spread = white @ decay @ (0.04 * np.eye(3) - law.covariance) @ decay.T @ white.T
        defect, found = limits.linear_law(pull, turn, noise, 0.9)
        assert defect < 1e-13
        # thirty doublings of a step whose rounding is 2^30 eps of its effect
        assert found == pytest.approx(max(off, np.abs(spread).max()), rel=1e-6)


def test_annealed_draws_have_the_weights_of_the_diffusion():
    base, rng, n = annealing._two_modes(), np.random.default_rng(5), 10_000
    x = rng.standard_normal((n, 1))
    for std in annealing.ladder(annealing.LARGEST):
        law, step = base.diffuse(1.0, float(std) ** 2), annealing.RATIO * float(std) ** 2
        for _ in range(annealing.STEPS):
            x = ula_step(law.score, x, step=step, rng=rng)
    _, weight = annealing.mixture_end(annealing.LARGEST, 1.0, 288)
    # five standard errors of a share of a quarter, and as much again for steps that are not small
    assert abs(float((x < 0.5).mean()) - weight) < 10 * math.sqrt(0.19 / n)
