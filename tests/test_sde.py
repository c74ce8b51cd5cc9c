"""Kernels against their definition, by routes that share no formula with the package."""

from __future__ import annotations

import itertools
import math

import array_api_strict as strict
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
from scoreproof.theory.schedules import StepBeta

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


def off(got: float, true: object) -> float:
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
def test_arrays_of_every_library_give_the_numbers(name):
    example = EXAMPLES[name]
    sde = example.sde
    times = np.array([[1e-9, 0.02], [0.37, 0.95]]) * sde.t_max
    s = 1e-10 * sde.t_max
    want = [[sde.kernel(float(t), s) for t in row] for row in times]
    scale = np.array([[k.scale for k in row] for row in want])
    variance = np.array([[k.variance for k in row] for row in want])
    for xp, dtype in ((np, np.float64), (torch, torch.float64), (strict, strict.float64)):
        t = xp.asarray(times, dtype=dtype)
        for kernel in (sde.kernel(t, s), sde.kernel(t, xp.asarray(s, dtype=dtype))):
            assert kernel.scale.dtype == dtype and kernel.scale.shape == t.shape
            # The libraries' exp and sin differ by an ulp or two.
            assert np.allclose(np.asarray(kernel.scale), scale, rtol=allowed(example), atol=0)
            assert np.allclose(
                np.asarray(kernel.variance), variance, rtol=allowed(example), atol=0
            )
        for method in (sde.drift, sde.diffusion, sde.log_snr, sde.noise_level):
            got = method(t)
            one_by_one = np.array([[method(float(v)) for v in row] for row in times])
            assert got.dtype == dtype and got.shape == t.shape
            assert np.allclose(np.asarray(got), one_by_one, rtol=2 * allowed(example), atol=1e-13)
    single = torch.tensor(times, dtype=torch.float32)
    kernel = sde.kernel(single)
    rounded = sde.kernel(np.asarray(single, dtype=np.float64))
    assert kernel.variance.dtype == torch.float32
    # float32 roundings instead of float64 ones, in the same formulas.
    slack = (12 + 4 * example.exponent) * np.finfo(np.float32).eps
    assert np.allclose(kernel.scale, rounded.scale, rtol=slack, atol=0)
    assert np.allclose(kernel.variance, rounded.variance, rtol=slack, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_no_values_are_needed_on_the_meta_device(name):
    sde = EXAMPLES[name].sde
    t = torch.empty((3, 2), device="meta", dtype=torch.float32)
    kernel, at = sde.kernel(t), sde.interpolant(t)
    for out in (kernel.scale, kernel.std, sde.drift(t), sde.diffusion(t), sde.log_snr(t)):
        assert out.device.type == "meta" and out.shape == (3, 2) and out.dtype == torch.float32
    for out in (at.scale_rate, at.std_rate, sde.time_of_noise_level(t)):
        assert out.device.type == "meta" and out.shape == (3, 2)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_in_both_times(name):
    example = EXAMPLES[name]
    sde = example.sde
    t = (torch.tensor([0.31, 0.62, 0.9], dtype=torch.float64) * sde.t_max).requires_grad_()
    s = (torch.tensor([0.1, 0.6, 0.2], dtype=torch.float64) * sde.t_max).requires_grad_()
    kernel = sde.kernel(t, s)
    a, v = kernel.scale.detach(), kernel.variance.detach()
    f, g = (np.array([c(r) for r in t.tolist()]) for c in (sde.drift, sde.diffusion))
    f0, g0 = (np.array([c(r) for r in s.tolist()]) for c in (sde.drift, sde.diffusion))
    dt, ds = torch.autograd.grad(
        kernel.variance.sum(), (t, s), retain_graph=True, allow_unused=True
    )
    # Autograd differentiates the same formulas: some tens of roundings, terms of one sign but 2 f v.
    slack = 1e-12 + 100 * example.numeric
    size = abs(2 * f * np.asarray(v)) + g**2
    assert (abs(np.asarray(dt) - (2 * f * np.asarray(v) + g**2)) <= slack * size).all()
    # Autograd in s subtracts terms of the size of the variance times its rate of growth.
    size = g0**2 + np.asarray(v) * (1 + example.exponent) / sde.t_max
    assert (abs(np.asarray(ds) + np.asarray(a) ** 2 * g0**2) <= slack * size).all()
    if kernel.scale.requires_grad:
        dt, ds = torch.autograd.grad(kernel.scale.sum(), (t, s))
        assert (abs(np.asarray(dt) - f * np.asarray(a)) <= slack * (1 + abs(f))).all()
        assert (abs(np.asarray(ds) + f0 * np.asarray(a)) <= slack * (1 + abs(f0))).all()


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
    cut = sde.schedule.cut
    assert 0.99 < cut < 1
    assert sde.beta(cut * (1 - 1e-9)) == pytest.approx(999, rel=1e-5)
    assert sde.beta(1.0) == 999 and sde.kernel(1.0).scale > 0
    u = [0.5 * math.pi * (t + 0.008) / 1.008 for t in (0.6, 0.0)]
    assert sde.kernel(0.6).scale == pytest.approx(math.cos(u[0]) / math.cos(u[1]), rel=8 * EPS)


@pytest.mark.parametrize("name", ["vp", "sub-vp", "ou", "edm", "straight", "exponential"])
def test_numerical_kernels_reproduce_the_named_ones(name):
    sde = EXAMPLES[name].sde
    by_quadrature = LinearSDE(sde.drift, sde.diffusion, t_max=sde.t_max)
    by_derivative = LinearSDE.from_kernel(
        lambda t: sde.kernel(t).scale, lambda t: sde.kernel(t).std, sde.t_max
    )
    for t, s in ((0.5, 0.0), (0.95, 0.31), (0.42, 0.41999)):
        t, s = t * sde.t_max, s * sde.t_max
        want = sde.kernel(t, s)
        for other in (by_quadrature, by_derivative):
            got = other.kernel(t, s)
            # 1e-12 asked of the quadrature; 1e-11 stated for differentiation.
            assert got.scale == pytest.approx(want.scale, rel=1e-10)
            assert got.variance == pytest.approx(want.variance, rel=1e-10)
        assert by_derivative.drift(t) == pytest.approx(sde.drift(t), rel=1e-9, abs=1e-10)
        assert by_derivative.diffusion(t) == pytest.approx(sde.diffusion(t), rel=1e-9)


def test_quadrature_takes_jumps_and_integrable_singularities():
    jump = LinearSDE(lambda t: -1.0 if t < 0.3 else -4.0, lambda t: 1.0 if t < 0.3 else 2.0)
    m = math.exp(-0.3 - 0.8)
    v = math.exp(-1.6) * -math.expm1(-0.6) / 2 - 4 * math.expm1(-1.6) / 8
    assert jump.kernel(0.5).scale == pytest.approx(m, rel=1e-9)
    assert jump.kernel(0.5).variance == pytest.approx(v, rel=1e-8)
    root = LinearSDE(lambda t: -0.5 / math.sqrt(t), lambda t: t**-0.25)
    assert root.kernel(1.0).scale == pytest.approx(math.exp(-1), rel=1e-8)
    assert root.kernel(1.0).variance == pytest.approx(1 - math.exp(-2), rel=1e-8)
    with pytest.raises(ValueError, match="drift: got an integral over"):
        LinearSDE(lambda t: -1 / t, lambda t: 1.0).kernel(1.0)


def test_names_and_representations():
    for example in EXAMPLES.values():
        assert isinstance(example.sde.name, str) and "\n" not in repr(example.sde)
    assert repr(VP()) == "VP(beta_min=0.1, beta_max=20)"
    assert repr(VP.cosine()) == "VP.cosine(s=0.008, beta_max=999)"
    assert repr(VP.from_betas(linear_betas())) == "VP.from_betas(1000 steps, 0.0001..0.02)"
    assert repr(OU(2.0, 1.0)) == "OU(theta=2, sigma=1, t_max=2.5)"
    assert len({e.sde.name for e in EXAMPLES.values()}) >= 11


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "t",
    [
        -0.1,
        1e9,
        math.nan,
        "noon",
        None,
        np.array([0.1, -1.0]),
        np.array([np.nan]),
        torch.tensor(1e9),
    ],
)
def test_times_out_of_range_are_refused(name, t):
    sde = EXAMPLES[name].sde
    for method in (sde.drift, sde.diffusion, sde.kernel, sde.interpolant, sde.log_snr):
        with pytest.raises(ValueError, match=r"^t: got .*, wanted .*; .*$") as caught:
            method(t)
        assert "\n" not in str(caught.value)


def test_more_refusals_of_times():
    sde = VP()
    with pytest.raises(ValueError, match=r"t: got 1\.5, wanted times in \[0, 1\]; t = 0 is data"):
        sde.kernel(1.5)
    with pytest.raises(ValueError, match="s: got a time after t"):
        sde.kernel(0.2, 0.3)
    with pytest.raises(ValueError, match="s: got a time after t"):
        sde.kernel(np.array([0.2, 0.4]), 0.3)
    with pytest.raises(ValueError, match="different libraries"):
        sde.kernel(np.array([0.2]), torch.tensor([0.1]))
    with pytest.raises(ValueError, match="s: got dtype"):
        sde.kernel(torch.tensor([0.2]), torch.tensor([0.1], dtype=torch.float64))
    with pytest.raises(ValueError, match="t: got dtype"):
        sde.kernel(np.array([0.2 + 0j]))
    assert sde.kernel(np.array([0, 1])).variance.dtype == np.float64
    for level in (-1.0, 1e9, math.nan, np.array([1e9]), np.array([1, 2])):
        with pytest.raises(ValueError, match="level: got"):
            sde.time_of_noise_level(level)


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: VP(0.0, 1.0), "beta_min"),
        (lambda: VP(0.1, math.nan), "beta_max"),
        (lambda: VP.constant(-1.0), "beta"),
        (lambda: VP.cosine(s=0.0), "s"),
        (lambda: VP.cosine(beta_max=1e-3), "beta_max"),
        (lambda: VP.from_betas([0.1, 1.0]), "betas"),
        (lambda: VP.from_betas([0.0, 0.0]), "betas"),
        (lambda: VP.from_betas([]), "betas"),
        (lambda: VP.from_betas([[0.1]]), "betas"),
        (lambda: SubVP(-1.0), "beta_min"),
        (lambda: VE(1.0, 0.5), "sigma_max"),
        (lambda: OU(0.0, 1.0), "theta"),
        (lambda: OU(t_max=-1.0), "t_max"),
        (lambda: EDM(math.inf), "sigma_max"),
        (lambda: StraightPath(1.0), "delta"),
        (lambda: ExponentialNoise(0.0), "t_max"),
        (lambda: LinearSDE(1.0, lambda t: t), "drift"),
        (lambda: LinearSDE(lambda t: t, lambda t: t, t_max=0.0), "t_max"),
        (lambda: LinearSDE(lambda t: "a", lambda t: t).drift(0.5), "drift"),
        (lambda: LinearSDE.from_kernel(1.0, lambda t: t), "scale"),
        (lambda: LinearSDE.from_kernel(lambda t: 2.0, lambda t: t), r"scale\(0\)"),
        (lambda: LinearSDE.from_kernel(lambda t: 1.0, lambda t: 1 + t), r"std\(0\)"),
        (lambda: LinearSDE.from_kernel(lambda t: 1 - t, lambda t: t), "scale"),
        (lambda: LinearSDE.from_kernel(lambda t: 1.0, lambda t: t * (1 - t)), "std"),
        (lambda: LinearSDE.from_kernel(lambda t: 1.0, lambda t: -t), "std"),
        (
            lambda: LinearSDE.from_kernel(
                lambda t: 1.0, lambda t: t * (1 + 0.01 * math.sin(1e9 * t))
            ),
            "std",
        ),
        (lambda: linear_betas(0), "steps"),
        (lambda: cosine_betas(2.5), "steps"),
    ],
)
def test_parameters_are_refused_in_one_line(make, argument):
    with pytest.raises(ValueError, match=rf"^{argument}.*: got .*, wanted .*; .*$") as caught:
        make()
    assert "\n" not in str(caught.value)
