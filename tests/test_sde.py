"""Kernels against their definition, by routes that share no formula with the package."""

from __future__ import annotations

import itertools
import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import torch
from scipy.integrate import quad, solve_ivp
from scoreproof.theory import (
    EDM,
    OU,
    VE,
    VP,
    ExponentialNoise,
    Kernel,
    LinearSDE,
    StraightPath,
    SubVP,
    cosine_betas,
    linear_betas,
)
from scoreproof.theory.schedules import CosineBeta, StepBeta

from .examples_sdes import BETAS, DIGITS, EXAMPLES, Example

EPS = np.finfo(float).eps
NAMES = sorted(EXAMPLES)
CLOSED = [name for name in NAMES if not EXAMPLES[name].numeric]
SMOOTH = [name for name in NAMES if not EXAMPLES[name].breaks]
TIMES = (1e-12, 1e-8, 1e-4, 0.01, 0.13, 0.37, 0.74, 0.97, 1.0)  # parts of t_max


def allowed(example: Example) -> float:
    """Relative rounding error of a kernel entry.

    At most 12 roundings of half an ulp or library calls of one ulp, and an exponential multiplies the
    relative error of its argument (up to four roundings) by that argument.
    """
    return max(example.numeric, (12 + 4 * example.exponent) * EPS)


def off(got: float, true: Any) -> float:
    """Relative error of ``got``, computed in high precision."""
    with mp.workdps(DIGITS):
        return float(abs(mp.mpf(float(got)) - true) / abs(true))


@pytest.mark.parametrize("name", NAMES)
def test_kernel_from_data_to_the_last_digits(name):
    example = EXAMPLES[name]
    for part in TIMES:
        t = part * example.sde.t_max
        kernel = example.sde.kernel(t)
        scale, variance = example.two_time(t, 0.0)
        assert off(kernel.scale, scale) <= allowed(example), t
        assert off(kernel.variance, variance) <= allowed(example), t
        assert off(kernel.std, mp.sqrt(variance)) <= allowed(example), t


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gap", [1e-12, 1e-6, 1e-2, 0.6])
def test_kernel_between_close_times_to_the_last_digits(name, gap):
    example = EXAMPLES[name]
    for part in (0.05, 0.37, 0.8, 1.0):
        t = part * example.sde.t_max
        s = t * (1 - gap)
        kernel = example.sde.kernel(t, s)
        scale, variance = example.two_time(t, s)
        # t - s is exact for floats within a factor of two; otherwise it is one more rounding.
        assert off(kernel.scale, scale) <= allowed(example), (t, s)
        assert off(kernel.variance, variance) <= allowed(example), (t, s)


@pytest.mark.parametrize("name", NAMES)
def test_drift_and_diffusion_are_derivatives_of_the_textbook_kernel(name):
    example = EXAMPLES[name]
    # f and g^2 of a function known to e by local interpolation: about 1e4 e (measured 1e-11).
    slack = 1e-9 if example.numeric else (12 + 4 * example.exponent) * EPS
    for part in (1e-6, 0.01, 0.131, 0.37, 0.74, 0.97):
        t = part * example.sde.t_max
        with mp.workdps(50):
            at = mp.mpf(t)

            # mpmath's own step is too coarse beside the cut of the cosine schedule.
            def slope(function, at=at):
                return mp.diff(function, at, h=mp.mpf(10) ** -22)

            f = slope(lambda r: mp.log(example.alpha(r)))
            g2 = example.alpha(at) ** 2 * slope(
                lambda r: example.variance(r) / example.alpha(r) ** 2
            )
            # log(scale) near zero is known to EPS absolutely, so its numerical slope is too.
            floor = 1e-2 / example.sde.t_max if example.numeric else 0
            assert abs(example.sde.drift(t) - f) <= slack * (abs(f) + floor) + 1e-300
            # The central difference itself is off by about 1e-28 / 1e-22 of the function's size.
            assert abs(example.sde.diffusion(t) ** 2 - g2) <= (2 * slack + 1e-15) * abs(g2)


def moment_defect(sde: LinearSDE, kernel, t: float) -> tuple[float, float]:
    """``m' - f m`` and ``v' - 2 f v - g^2``, relative, by Richardson extrapolated differences."""
    s, h = 0.2 * sde.t_max, 0.004 * sde.t_max
    f, g = float(sde.drift(t)), float(sde.diffusion(t))

    def slope(get, step):
        return (get(kernel(t + step, s)) - get(kernel(t - step, s))) / (2 * step)

    def richardson(get):
        first, second, third = (slope(get, h / 2**k) for k in range(3))
        a, b = (4 * second - first) / 3, (4 * third - second) / 3
        return (16 * b - a) / 15

    here = kernel(t, s)
    terms = abs(2 * f * here.variance) + g**2
    return (
        abs(richardson(lambda k: k.scale) - f * here.scale) / (abs(f) * here.scale + 1),
        abs(richardson(lambda k: k.variance) - 2 * f * here.variance - g**2) / terms,
    )


# Truncation h^6 times the seventh derivative over 7! 64: rates up to 20/t_max give (20 * 0.004)^6 / 64 = 4e-9;
# rounding EPS / h = 6e-14.
MOMENT_SLACK = 1e-8


@pytest.mark.parametrize("name", SMOOTH)
def test_moment_equations_by_finite_differences(name):
    sde = EXAMPLES[name].sde
    for part in (0.31, 0.5, 0.9):
        assert max(moment_defect(sde, sde.kernel, part * sde.t_max)) <= MOMENT_SLACK


@pytest.mark.parametrize(
    "mutant",
    [
        lambda k: Kernel(k.scale**2, k.variance),
        lambda k: Kernel(k.scale, k.variance * 1.001),
        lambda k: Kernel(k.scale, k.std),
        lambda k: Kernel(1.0, k.variance),
    ],
)
def test_moment_equations_refuse_wrong_kernels(mutant):
    sde = VP()
    assert max(moment_defect(sde, lambda t, s: mutant(sde.kernel(t, s)), 0.5)) > 1e-4


@pytest.mark.parametrize("name", CLOSED)
def test_moment_equations_by_an_ode_solver(name):
    example = EXAMPLES[name]
    sde = example.sde
    s, t = 0.013 * sde.t_max, 0.93 * sde.t_max
    m, v = 1.0, 0.0
    edges = [s, *(b for b in example.breaks if s < b < t), t]
    for a, b in itertools.pairwise(edges):
        inner = (b - a) * 1e-13  # the coefficients jump at the edges
        out = solve_ivp(
            lambda r, y, a=a, b=b, inner=inner: [
                (f := sde.drift(min(max(r, a + inner), b - inner))) * y[0],
                2 * f * y[1] + sde.diffusion(min(max(r, a + inner), b - inner)) ** 2,
            ],
            (a, b),
            [m, v],
            method="DOP853",
            rtol=1e-11,
            atol=1e-14,
        )
        m, v = out.y[:, -1]
    kernel = sde.kernel(t, s)
    # About 1e2 steps, each with a local error of 1e-11 (absolute 1e-14 on the small scale of VP).
    assert abs(m / kernel.scale - 1) <= 1e-9
    assert abs(v / kernel.variance - 1) <= 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_chapman_kolmogorov(name):
    example = EXAMPLES[name]
    for parts in ((1.0, 0.4, 0.1), (0.9, 0.89, 0.0), (0.3, 0.3, 0.2), (0.5, 1e-9, 1e-12)):
        t, s, r = (part * example.sde.t_max for part in parts)
        outer, first, second = (example.sde.kernel(*q) for q in ((t, r), (s, r), (t, s)))
        scale = second.scale * first.scale
        variance = second.scale**2 * first.variance + second.variance
        # Three kernels, of positive terms: three times the error of one, and three roundings.
        slack = 3 * allowed(example) + 3 * EPS
        assert scale == pytest.approx(outer.scale, rel=slack, abs=0)
        assert variance == pytest.approx(outer.variance, rel=slack, abs=0)


@pytest.mark.parametrize("name", CLOSED)
def test_kernel_is_the_quadrature_of_its_definition(name):
    example = EXAMPLES[name]
    sde = example.sde
    t, s = 0.9 * sde.t_max, 0.2 * sde.t_max
    edges = [s, *(b for b in example.breaks if s < b < t), t]
    pieces = list(itertools.pairwise(edges))
    exponent = sum(quad(sde.drift, a, b, epsabs=1e-14, epsrel=1e-12)[0] for a, b in pieces)
    variance = sum(
        quad(
            lambda r: sde.kernel(t, r).scale ** 2 * sde.diffusion(r) ** 2,
            a,
            b,
            epsabs=0,
            epsrel=1e-12,
        )[0]
        for a, b in pieces
    )
    kernel = sde.kernel(t, s)
    # Ten times the tolerance asked of each of at most eight pieces.
    assert abs(math.log(kernel.scale) - exponent) <= 1e-10
    assert abs(variance / kernel.variance - 1) <= 1e-11 + allowed(example)


@pytest.mark.parametrize("name", NAMES)
def test_interpolant_rates_are_derivatives(name):
    example = EXAMPLES[name]
    slack = 1e-9 if example.numeric else (20 + 4 * example.exponent) * EPS
    for part in (1e-6, 0.131, 0.74, 0.97):
        t = part * example.sde.t_max
        at = example.sde.interpolant(t)
        with mp.workdps(50):
            step = mp.mpf(10) ** -22
            alpha = mp.diff(example.alpha, mp.mpf(t), h=step)
            sigma = mp.diff(lambda r: mp.sqrt(example.variance(r)), mp.mpf(t), h=step)
            floor = 1e-2 / example.sde.t_max if example.numeric else 0
            assert abs(at.scale_rate - alpha) <= slack * (abs(alpha) + floor) + 1e-300
            assert abs(at.std_rate - sigma) <= (slack + 1e-15) * abs(sigma)


def test_the_rate_of_sigma_at_time_zero():
    assert VP().interpolant(0.0).std_rate == math.inf
    assert VP().interpolant(np.zeros(2)).std_rate.tolist() == [math.inf] * 2
    assert EDM().interpolant(0.0).std_rate == 1
    assert StraightPath().interpolant(0.0).std_rate == 1


@pytest.mark.parametrize("name", NAMES)
def test_times_of_noise_levels(name):
    example = EXAMPLES[name]
    sde = example.sde
    for part in (1e-9, 1e-3, 0.2, 0.61, 0.999, 1.0):
        t = part * sde.t_max
        level, snr = sde.noise_level(t), sde.log_snr(t)
        assert level == pytest.approx(sde.kernel(t).std / sde.kernel(t).scale, rel=2 * EPS)
        assert snr == pytest.approx(-2 * math.log(level), rel=8 * EPS, abs=8 * EPS)
        # dt = level dlevel / (g^2 / 2 alpha^2): the error of the level, through the slope of the inverse.
        slope = level**2 * 2 * sde.kernel(t).scale ** 2 / sde.diffusion(t) ** 2
        slack = (4 * allowed(example) + 1e-13 * bool(example.numeric)) * (slope + t)
        assert abs(sde.time_of_noise_level(level) - t) <= slack
        # exp(-snr/2) adds the rounding of snr itself.
        assert abs(sde.time_of_log_snr(snr) - t) <= slack + abs(snr) * EPS * (slope + t)
    times = np.array([0.0, 0.1, 0.7]) * sde.t_max
    back = sde.time_of_noise_level(sde.noise_level(times))
    assert np.allclose(back, times, rtol=1e-9, atol=0)
    back = sde.time_of_noise_level(sde.noise_level(torch.tensor(times)))
    assert np.allclose(np.asarray(back), times, rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_limits(name):
    sde = EXAMPLES[name].sde
    kernel = sde.kernel(0.0)
    assert (kernel.scale, kernel.variance) == (1, 0)
    kernel = sde.kernel(0.4 * sde.t_max, 0.4 * sde.t_max)
    assert (kernel.scale, kernel.variance) == (1, 0)
    assert sde.log_snr(0.0) == math.inf and sde.noise_level(0.0) == 0
    assert sde.prior_std == pytest.approx(math.sqrt(sde.prior_variance))
    levels = sde.noise_level(np.linspace(0, sde.t_max, 7))
    assert (np.diff(levels) > 0).all()


def test_published_constants():
    # Song et al. 2021: beta from 0.1 to 20 leaves exp(-int beta) = 4.3186e-5, five printed digits.
    assert VP().kernel(1.0).scale ** 2 == pytest.approx(4.3186e-5, abs=0.5e-9)
    assert VE().kernel(1.0).variance == pytest.approx(50**2 - 0.01**2, rel=40 * EPS)
    assert SubVP().kernel(1.0).std == pytest.approx(1 - 4.3186e-5, abs=1e-9)
    assert EDM().kernel(80.0).std == 80
    assert ExponentialNoise().kernel(1.0).variance == pytest.approx(
        (math.e**2 - 1) / 2, rel=4 * EPS
    )
    assert OU().prior_variance == pytest.approx(1, rel=2 * EPS)
    assert VE().prior_std == 50 and VP().prior_std == 1 and StraightPath().prior_std == 1


@pytest.mark.parametrize("betas", [linear_betas(), cosine_betas(), BETAS, np.array([0.0, 0.3])])
def test_from_betas_is_the_discrete_chain_at_the_grid_points(betas):
    sde, n = VP.from_betas(betas), len(betas)
    with mp.workdps(DIGITS):
        alpha_bar = [mp.mpf(1)]
        for b in betas:
            alpha_bar.append(alpha_bar[-1] * (1 - mp.mpf(float(b))))
        exponent = float(-mp.log(alpha_bar[-1]))
        for j, i in ((n, 0), (1, 0), (n, n - 1), (n // 2, 0), (n, n // 2), (n // 2 + 1, n // 2)):
            kernel = sde.kernel(j / n, i / n)
            ratio = alpha_bar[j] / alpha_bar[i]
            slack = (12 + 4 * exponent) * EPS
            assert off(kernel.scale, mp.sqrt(ratio)) <= slack
            assert kernel.variance == 0 if ratio == 1 else off(kernel.variance, 1 - ratio) <= slack
    # One step of the chain after the other: m <- sqrt(1 - beta) m, v <- (1 - beta) v + beta.
    m, v = 1.0, 0.0
    grid = sde.kernel(np.arange(1, n + 1) / n)
    for i, b in enumerate(betas):
        m, v = math.sqrt(1 - b) * m, (1 - b) * v + b
        slack = (12 + 4 * exponent + 3 * (i + 1)) * EPS  # three roundings a step
        assert grid.scale[i] == pytest.approx(m, rel=slack)
        assert grid.variance[i] == pytest.approx(v, rel=slack, abs=1e-300)
    chain = StepBeta(betas)
    assert np.allclose(chain.alpha_bar, [float(a) for a in alpha_bar], rtol=4 * exponent * EPS)
    assert chain.beta(np.array([1.0]))[0] == pytest.approx(-n * math.log1p(-betas[-1]))


def test_discrete_schedules():
    assert linear_betas(1000)[[0, -1]].tolist() == [1e-4, 0.02]
    betas = cosine_betas(1000)
    t = np.arange(1001) / 1000
    f = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
    # The naive ratio loses about EPS / f near the end, where f = 2e-6; the clip hides the last step.
    assert np.allclose(betas, np.minimum(1 - f[1:] / f[:-1], 0.999), rtol=1e-8, atol=1e-9)
    continuous = VP.cosine().kernel(0.5).scale ** 2
    assert np.prod(1 - betas[:500]) == pytest.approx(continuous, rel=500 * 4 * EPS)


def test_cosine_is_the_ratio_of_cosines_before_the_cut_and_bounded_after():
    sde = VP.cosine()
    cut = CosineBeta(0.008, 999.0).cut
    assert 0.99 < cut < 1
    # beta = pi tan(.)/(1 + s) has relative slope of about 999 there: 1e-9 in t is 1e-6 in beta.
    assert sde.beta(cut * (1 - 1e-9)) == pytest.approx(999, rel=1e-5)
    assert sde.beta(1.0) == 999 and sde.kernel(1.0).scale > 0
    u = [0.5 * math.pi * (t + 0.008) / 1.008 for t in (0.6, 0.0)]
    assert sde.kernel(0.6).scale == pytest.approx(math.cos(u[0]) / math.cos(u[1]), rel=8 * EPS)
