"""Kernels on arrays of every library, without values, and differentiated."""

from __future__ import annotations

import array_api_strict as strict
import numpy as np
import pytest
import torch

from .examples_sdes import EXAMPLES, Example

EPS = np.finfo(float).eps
NAMES = sorted(EXAMPLES)


def allowed(example: Example) -> float:
    """Relative rounding error of a kernel entry.

    At most 12 roundings of half an ulp or library calls of one ulp, and an exponential multiplies the
    relative error of its argument (up to four roundings) by that argument.
    """
    return max(example.numeric, (12 + 4 * example.exponent) * EPS)


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
