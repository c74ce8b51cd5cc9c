"""Discrete schedules against printed numbers, and against the diffusions that they are limits of."""

from __future__ import annotations

import numpy as np
import pytest
from scoreproof.theory import (
    EDM,
    VE,
    VP,
    cosine_betas,
    karras_sigmas,
    linear_betas,
    smld_sigmas,
)
from scoreproof.theory.discrete import betas_of_sigmas, linear_limit, sigmas_of_betas

EPS = np.finfo(float).eps
#: Karras et al. 2022: 18 steps, rho 7, from 80 to 0.002, to the digits printed.
PRINTED = (
    *("80", "57.586", "40.786", "28.375", "19.352", "12.910", "8.4009", "5.3152", "3.2568"),
    *("1.9233", "1.0882", ".58535", ".29644", ".1395", ".05995", ".02293", ".00753", ".002"),
)


def test_the_printed_karras_levels():
    got = karras_sigmas(17, sigma_min=0.002, sigma_max=80.0)
    for value, text in zip(got, PRINTED, strict=True):
        digits = len(text.partition(".")[2])
        assert abs(value - float(text)) <= 0.5 * 10.0**-digits * (1 + 1e-9), text


def test_karras_levels_are_times_of_the_edm_diffusion():
    levels = karras_sigmas(17, sigma_min=0.002, sigma_max=80.0)
    times = EDM(80.0).time_of_noise_level(levels)
    np.testing.assert_allclose(times, levels, rtol=1e-14)
    np.testing.assert_allclose(EDM(80.0).kernel(levels).std, levels, rtol=1e-14)


def test_smld_levels_are_those_of_ve_at_its_grid():
    levels = smld_sigmas(50, sigma_min=0.02, sigma_max=30.0)
    assert (levels[0], levels[-1]) == (0.02, 30.0)
    np.testing.assert_allclose(levels[1:] / levels[:-1], (30 / 0.02) ** (1 / 49), rtol=1e-13)
    variance = VE(0.02, 30.0).kernel(np.linspace(0, 1, 50)).variance
    # The chain adds sigma_i^2 - sigma_1^2; at i = 2 the difference costs a factor of 3.
    np.testing.assert_allclose(variance[1:], levels[1:] ** 2 - levels[0] ** 2, rtol=1e-13)
    assert variance[0] == 0


def test_the_ddpm_chain_tends_to_its_limit_at_order_one():
    limit = linear_limit(1000)
    assert (limit.schedule.beta(0.0), limit.schedule.beta(1.0)) == pytest.approx((0.1, 20.0))
    target = limit.kernel(1.0).scale
    assert target**2 == pytest.approx(4.3186e-5, rel=1e-4)  # printed: e^{-int beta}
    errors = []
    for n in (4000, 8000, 16000):
        betas = linear_betas(n, first=0.1 / n, last=20 / n)
        errors.append(VP.from_betas(betas).kernel(1.0).scale / target - 1)
    orders = np.log2(np.abs(errors[:-1]) / np.abs(errors[1:]))
    # The next term of the series is O(1/N^2): 100/N relative.
    np.testing.assert_allclose(orders, 1.0, atol=0.03)
    thousand = VP.from_betas(linear_betas(1000)).kernel(1.0).scale
    assert 0.9 < thousand / target < 0.99  # 1000 steps are some 4 % away


def test_the_cosine_chain_is_exact_at_its_grid():
    n, s = 200, 0.008
    chain, limit = VP.from_betas(cosine_betas(n, s=s)), VP.cosine(s)
    t = np.arange(1, n) / n
    # 200 factors, each to a rounding or two.
    np.testing.assert_allclose(chain.kernel(t).scale, limit.kernel(t).scale, rtol=1e-12)


@pytest.mark.parametrize("betas", [linear_betas(60), cosine_betas(25), np.array([0.3, 0.0, 0.9])])
def test_a_ddpm_chain_is_an_smld_chain(betas):
    sigmas = sigmas_of_betas(betas)
    alpha_bar = np.cumprod(1 - betas)
    # alpha_bar falls to 1e-5 and less: the division keeps relative precision.
    np.testing.assert_allclose(sigmas**2, (1 - alpha_bar) / alpha_bar, rtol=1e-11)
    # y_i = y_{i-1} + sqrt(beta_i / alpha_bar_i) z
    np.testing.assert_allclose(
        np.diff(np.concatenate([[0], sigmas**2])), betas / alpha_bar, rtol=1e-9, atol=1e-15
    )
    np.testing.assert_allclose(betas_of_sigmas(sigmas), betas, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: smld_sigmas(1), "levels"),
        (lambda: smld_sigmas(2.5), "levels"),  # pyright: ignore
        (lambda: smld_sigmas(4, sigma_min=3.0, sigma_max=2.0), "sigma_max"),
        (lambda: karras_sigmas(0, sigma_min=0.1, sigma_max=1.0), "steps"),
        (lambda: karras_sigmas(3, sigma_min=2.0, sigma_max=1.0), "sigma_min"),
        (lambda: linear_limit(1000, first=-1.0), "first"),
        (lambda: sigmas_of_betas([0.5, 1.0]), "betas"),
        (lambda: betas_of_sigmas([1.0, 0.5]), "sigmas"),
    ],
)
def test_bad_input(call, named):
    with pytest.raises(ValueError, match=f"{named}.*got .*, wanted .*;"):
        call()
