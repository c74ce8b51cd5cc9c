"""Derivations of the entries on dynamics against numbers found by another route, and what their statements need."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import quad
from scoreproof.theory import VP, ExponentialNoise
from scoreproof.theory.mixtures import GaussianMixture
from scoreproof.theory.symbolic import derive
from scoreproof.theory.symbolic.zero import is_zero
from scoreproof.validation.claims import CLAIMS
from scoreproof.validation.claims.mixing import WEIGHT, gap

LAW = GaussianMixture([0.3, 0.7], [[-1.5], [1.0]], [0.25, 0.5625])
ROUNDING = 1e-9  # relative: adaptive quadrature to 1e-11, or recursions of some thousand steps


def mean(f):
    """E f(x, score) under LAW by adaptive quadrature; the tails beyond 9 are below 1e-20."""

    def term(x):
        at = np.array([[x]])
        return float(np.exp(LAW.log_prob(at))[0] * f(x, float(LAW.score(at)[0, 0])))

    return quad(term, -9, 9, epsabs=1e-12, epsrel=1e-11, limit=200)[0]


def test_a_step_raises_the_second_moment():
    d = 0.2
    change = mean(lambda x, s: (x + d * s) ** 2 + 2 * d - x**2)
    assert change == pytest.approx(d**2 * mean(lambda x, s: s**2), rel=ROUNDING)
    assert change > 0.05


def test_a_rotation_keeps_p_and_its_distance():
    mutant = derive("langevin-limit", wrong="stationarity-alone")
    assert [c.step.name for c in mutant.checked if c.status == "REFUTED"] == [
        "but its distance ½∫p(h − 1)² does not fall"
    ]


def test_both_limits_with_bounded_time():
    v, mu, m0, v0, tau = 0.8, 0.3, -1.1, 2.0, 0.7
    off = []
    for steps in (2000, 4000):
        d, m, variance = tau / steps, m0, v0
        for _ in range(steps):
            m, variance = m - d * (m - mu) / v, (1 - d / v) ** 2 * variance + 2 * d
        limit = mu + np.exp(-tau / v) * (m0 - mu), v + np.exp(-2 * tau / v) * (v0 - v)
        off.append(max(abs(m - limit[0]), abs(variance - limit[1])))
    # The error is of first order in the step, with a factor of order one here.
    assert off[0] < 5e-4
    assert off[1] == pytest.approx(off[0] / 2, rel=0.01)


@pytest.mark.parametrize("widths", [3.0, 5.0, 7.0])
def test_relaxation_time_is_above_the_bound_of_the_valley(widths):
    width = 0.5
    distance = widths * width
    bound = WEIGHT * (1 - WEIGHT) * width**2 * np.sqrt(np.pi / 2)
    bound *= np.exp((distance - 2 * width) ** 2 / (8 * width**2))
    found = gap(distance, width)
    assert 1 / (found.value + found.half_width) > bound


def test_steps_without_noise_stop_at_an_inflection():
    """Why all critical points must be nondegenerate: log p has the slope -x (x - 2)^2, and its only mode at 0."""

    def slope(x):
        return -x * (x - 2) ** 2

    x = np.linspace(2.1, 3.0, 10)
    for _ in range(100_000):
        x = x + 0.02 * slope(x)
    assert np.all((x > 2) & (x < 2.001))
    h = 1e-4  # central difference of a cubic: h^2 is what is left
    assert (slope(h) - slope(-h)) / (2 * h) == pytest.approx(-4, abs=2e-8)  # nondegenerate


def test_annealing_ends_within_its_bound():
    v, kappa, n = 0.7, 0.2, 40
    levels = np.geomspace(6.0, 0.05, 12) ** 2
    variance, off = 1.0, []
    for square in levels:
        d, target = kappa * square, v + square
        for _ in range(n):
            variance = (1 - d / target) ** 2 * variance + 2 * d
        off.append(variance - target)
    for m, square in enumerate(levels[:-1]):
        own = kappa / (2 - kappa) * (v + square)
        assert off[-1] <= max(off[m], own) + square - levels[-1]
        assert off[-1] >= min(0.0, off[m])


def test_divergence_from_a_prior_is_below_the_bound():
    a, v, s2 = 0.4, 0.6, 1.3
    noised = LAW.diffuse(a, v)

    def term(x):
        log_p = float(noised.log_prob(np.array([[x]]))[0])
        return np.exp(log_p) * (log_p + 0.5 * np.log(2 * np.pi * s2) + x**2 / (2 * s2))

    found = quad(term, -9, 9, epsabs=1e-12)[0]
    second = mean(lambda x, s: x**2)
    bound = 0.5 * (a**2 * second / s2 + v / s2 - 1 - np.log(v / s2))
    assert 0 < found < bound
    point = 0.5 * (a**2 * 0.5**2 / s2 + v / s2 - 1 - np.log(v / s2))  # equality for a point
    exact = quad(
        lambda x: (
            np.exp(-((x - 0.5 * a) ** 2) / (2 * v))
            / np.sqrt(2 * np.pi * v)
            * (0.5 * np.log(s2 / v) - (x - 0.5 * a) ** 2 / (2 * v) + x**2 / (2 * s2))
        ),
        -9,
        9,
        epsabs=1e-12,
    )[0]
    assert exact == pytest.approx(point, rel=ROUNDING)


def test_levels_of_exponential_noise():
    noise, h = ExponentialNoise(8.0), 0.4
    for t in (0.3, 2.0, 4.0):
        ratio = float(noise.kernel(t + h).variance / noise.kernel(t).variance)
        growth = np.exp(2 * h) * (1 + np.expm1(-2 * h) / -np.expm1(2 * t))
        assert ratio == pytest.approx(growth, rel=ROUNDING)
        assert (np.sqrt(ratio) < 1.01 * np.exp(h)) == (t >= 2)


def test_rescaled_vp_has_the_transitions_of_ve():
    vp = VP(0.2, 9.0)
    early, late = 0.3, 0.8
    step, a, b = vp.kernel(late, early), vp.kernel(early), vp.kernel(late)
    level = [float(k.variance / k.scale**2) for k in (a, b)]
    assert float(step.scale * a.scale / b.scale) == pytest.approx(1, rel=ROUNDING)
    assert float(step.variance / b.scale**2) == pytest.approx(level[1] - level[0], rel=ROUNDING)


def test_score_of_a_noised_tilted_gaussian():
    """p = N(0, 1), L = exp(-(x - m)^2/(2r)): the tilted law is Gaussian, and E[L^gamma | x_t] by quadrature."""
    m, r, g, noise, h = 0.9, 0.6, 2.5, 0.5, 1e-4
    precision = 1 + g / r
    centre, variance = (g * m / r) / precision, 1 / precision

    def power(x):
        posterior = 1 / (1 + 1 / noise)
        nodes, weights = np.polynomial.hermite_e.hermegauss(60)
        x0 = posterior * x / noise + np.sqrt(posterior) * nodes
        return weights @ np.exp(-g * (x0 - m) ** 2 / (2 * r)) / weights.sum()

    for x in (-0.7, 1.4):
        slope = (np.log(power(x + h)) - np.log(power(x - h))) / (2 * h)
        # Central differences of a quadratic logarithm: rounding over h.
        assert -x / (1 + noise) + slope == pytest.approx(
            -(x - centre) / (variance + noise), abs=1e-9
        )


def test_functions_at_two_points_are_told_apart():
    text = derive("smld-limit").text()
    assert "S(t)" in text and "S(r)" in text
    t, r = sp.symbols("t r")
    made = derive("smld-limit")
    function = next(f for f in made.domain.functions if f.__name__ == "S")
    found = is_zero(function(t) - function(r), domain=made.domain)
    assert found.status == "REFUTED" and set(found.witness or {}) == {"S(t)", "S(r)"}


DYNAMICS = [
    *(f"L{k}" for k in range(1, 13)),
    *(f"D{k}" for k in range(1, 15)),
    *("G1", "G2", "G3", "N1", "N2"),
]


@pytest.mark.parametrize("id", DYNAMICS)
def test_every_entry_has_a_derivation(id):
    assert CLAIMS.derivations[id]
    claim = CLAIMS[id]
    assert any(name.startswith("proof") for name in claim.checks)
    if claim.correction is not None:
        assert any(name.startswith("proof") for name in claim.correction.checks)
