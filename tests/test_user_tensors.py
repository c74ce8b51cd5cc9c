"""Tensors that hold no plain numbers come out as ERROR, wherever user code hands them over."""

from __future__ import annotations

import pytest
import torch
from scoreproof.theory import VP, Gaussian
from scoreproof.validation import (
    Outcome,
    Problem,
    check_chains,
    check_identity,
    check_kernel,
    check_sampler,
    check_samples,
)

LAW = Gaussian([1.0, -0.5], [[1.0, 0.3], [0.3, 0.5]])


def _meta(n, *shape):
    return torch.empty(n, *shape, device="meta")


def _sparse(n, *shape):
    return torch.ones(n, *shape).to_sparse()


@pytest.mark.parametrize("make", [_meta, _sparse])
def test_tensors_without_plain_numbers_are_errors(make):
    verdicts = [
        check_samples(lambda n, *, rng: make(n, 2), LAW, budget=200),
        check_samples(make(200, 2), LAW, budget=200),
        check_identity(lambda x: make(len(x)), LAW, tolerance=0.1, budget=200),
        check_chains(lambda m, n, *, rng: make(m, n, 2), LAW, budget=(8, 8)),
        check_chains(make(8, 8, 2), LAW),
        check_kernel(lambda x, *, rng: make(len(x), 2), LAW, budget=200),
    ]
    for verdict in verdicts:
        assert verdict.outcome is Outcome.ERROR
        assert "wanted a dense tensor with data" in str(verdict)


def test_a_sampler_that_returns_one_is_an_error_and_the_rest_goes_on():
    def sampler(problem, n, *, steps, rng):
        return _meta(n, 2) if steps == 2 else problem.prior(n, rng=rng)

    problem = Problem("tilted", LAW, VP(), t_min=1e-3)
    report = check_sampler(sampler, problems=[problem], steps=(2, 4), budget=200)
    assert report.outcome is Outcome.ERROR
    assert report.exit_status == 4
    assert report.find("law", steps=4)


@pytest.mark.parametrize("field", ["score", "denoiser", "noise", "velocity"])
def test_a_time_without_a_value_is_refused_in_one_line(field):
    problem = Problem("tilted", LAW, VP(), t_min=1e-3)
    with pytest.raises(ValueError, match=r"t: got Tensor on meta, wanted a number with a value"):
        getattr(problem, field)(torch.zeros(3, 2), torch.tensor(0.5, device="meta"))
