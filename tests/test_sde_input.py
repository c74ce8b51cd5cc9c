"""Numerical kernels against named ones, printed forms, and refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scoreproof.theory import (
    EDM,
    OU,
    VE,
    VP,
    ExponentialNoise,
    LinearSDE,
    StraightPath,
    SubVP,
    cosine_betas,
    linear_betas,
)

from .examples_sdes import EXAMPLES

NAMES = sorted(EXAMPLES)


def wrong(value: Any) -> Any:
    """An argument of a type that the signature forbids."""
    return value


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
        (lambda: LinearSDE(wrong(1.0), lambda t: t), "drift"),
        (lambda: LinearSDE(lambda t: t, lambda t: t, t_max=0.0), "t_max"),
        (lambda: LinearSDE(lambda t: "a", lambda t: t).drift(0.5), "drift"),
        (lambda: LinearSDE.from_kernel(wrong(1.0), lambda t: t), "scale"),
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
        (lambda: cosine_betas(wrong(2.5)), "steps"),
    ],
)
def test_parameters_are_refused_in_one_line(make, argument):
    with pytest.raises(ValueError, match=rf"^{argument}.*: got .*, wanted .*; .*$") as caught:
        make()
    assert "\n" not in str(caught.value)
