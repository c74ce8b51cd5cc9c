"""Chains and kernels: valid under dependence, exact nulls, right ones pass and wrong ones do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from scoreproof.numerics import draw
from scoreproof.numerics.langevin import mala_step, ula_step
from scoreproof.numerics.mcmc import effective_sample_size, kernel_ranks, rank_rhat
from scoreproof.theory import GaussianMixture
from scoreproof.validation import Outcome, check_chains, check_kernel, check_samples

PLANE = GaussianMixture(
    [0.7, 0.3], [[-1.0, 0.5], [2.0, 1.0]], [[[0.5, 0.1], [0.1, 0.2]], [[0.3, 0.0], [0.0, 0.8]]]
)


def mala(x, *, rng):
    return mala_step(PLANE, x, step=0.1, rng=rng)[0]


def ula(x, *, rng):
    return ula_step(PLANE.score, x, step=0.1, rng=rng)


def run(step, *, start=None):
    def chains(m, n, *, rng):
        x = draw(PLANE, m, rng=rng) if start is None else np.tile(start, (m, 1))
        out = []
        for _ in range(n):
            x = step(x, rng=rng)
            out.append(x)
        return np.stack(out, axis=1)

    return chains


@pytest.mark.statistical
def test_chains_in_equilibrium_are_supported_and_biased_ones_refuted():
    fine = check_chains(run(mala), PLANE, tolerance=0.15, budget=(3000, 20))
    assert fine.outcome is Outcome.SUPPORTED, str(fine)
    assert all(m.outcome is Outcome.REFUTED for m in fine.mutants)
    biased = check_chains(run(ula), PLANE, tolerance=0.1, budget=(3000, 20))
    assert biased.outcome is Outcome.REFUTED
    assert biased.diagnosis is not None
    assert biased.diagnosis.cause == "variance"
    stuck = check_chains(
        run(mala, start=[2.0, 1.0]), PLANE, tolerance=0.15, budget=(1500, 10), burn=5
    )
    assert stuck.outcome is Outcome.REFUTED
    # The same draws taken as independent are refuted for their dependence.
    x = run(mala)(40, 200, rng=np.random.default_rng(0)).reshape(-1, 2)
    assert check_samples(x, PLANE, exact=True).outcome is Outcome.REFUTED


def test_few_chains_are_undecided_and_say_how_many_are_needed():
    verdict = check_chains(run(mala), PLANE, budget=(4, 50))
    assert verdict.outcome is Outcome.UNDECIDED
    assert any("chains would decide" in e.message for e in verdict.evidence)
    beside = {e.check: e for e in verdict.evidence if not e.deciding}
    assert set(beside) == {"r-hat", "effective-size"}


@pytest.mark.parametrize("bad", ["shape", "nan", "raises"])
def test_chains_that_fail_are_errors(bad):
    def chains(m, n, *, rng):
        if bad == "raises":
            raise RuntimeError("no")
        x = np.zeros((m, n, 3 if bad == "shape" else 2))
        x[0, 0, 0] = np.nan
        return x

    assert check_chains(chains, PLANE, budget=(8, 8)).outcome is Outcome.ERROR


@pytest.mark.statistical
def test_reversible_kernels_are_supported_and_biased_ones_refuted():
    fine = check_kernel(mala, PLANE)
    assert fine.outcome is Outcome.SUPPORTED, str(fine)
    assert fine.mutants[0].outcome is Outcome.REFUTED
    assert fine.exact_refuted is False
    wrong = check_kernel(ula, PLANE, exact=True)
    assert wrong.outcome is Outcome.REFUTED
    assert wrong.mutants[0].outcome is Outcome.REFUTED
    assert wrong.diagnosis is not None
    silent = check_kernel(mala, PLANE, exact=True, budget=5000)
    assert silent.outcome is Outcome.UNDECIDED


def test_a_kernel_that_fails_is_an_error():
    def broken(x, *, rng):
        return x[:-1]

    assert check_kernel(broken, PLANE, budget=200).outcome is Outcome.ERROR
    with pytest.raises(ValueError, match="kernel"):
        check_kernel(3, PLANE)  # type: ignore[arg-type]


@pytest.mark.statistical
def test_ranks_are_uniform_for_a_kernel_known_in_closed_form():
    """An autoregression on the line is reversible with respect to N(0, 1); another spread is not invariant."""
    line = GaussianMixture([1.0], [[0.0]], [1.0])

    def step(spread):
        def kernel(x, *, rng):
            return 0.8 * x + spread * 0.6 * rng.standard_normal(x.shape)

        return kernel

    found = {}
    for spread in (1.0, 1.2):
        ranks = kernel_ranks(
            step(spread),
            line,
            20_000,
            length=5,
            statistics=[lambda x: x[:, 0] ** 2],
            rng=np.random.default_rng(1),
        )
        found[spread] = stats.chisquare(np.bincount(ranks[:, 0], minlength=5)).pvalue
    assert found[1.0] > 1e-6
    assert found[1.2] < 1e-12


def test_constant_statistics_break_ties_at_random():
    ranks = kernel_ranks(
        mala,
        PLANE,
        5000,
        length=4,
        statistics=[lambda x: 0 * x[:, 0]],
        rng=np.random.default_rng(2),
    )
    counts = np.bincount(ranks[:, 0], minlength=4)
    assert len(counts) == 4
    assert stats.chisquare(counts).pvalue > 1e-6
    for kwargs, name in (({"length": 1}, "length"), ({"statistics": []}, "statistics")):
        given = {"length": 3, "statistics": [lambda x: x[:, 0]]} | kwargs
        with pytest.raises(ValueError, match=name):
            kernel_ranks(mala, PLANE, 5, rng=np.random.default_rng(0), **given)  # type: ignore[arg-type]


def test_diagnostics_of_chains():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((4, 500, 2))
    x[:, :, 1] = np.repeat(rng.standard_normal((4, 50)), 10, axis=1)
    size = effective_sample_size(x)
    # Ten copies of each draw are worth a tenth; the estimate is good to a factor of two.
    assert size[1] < 2 * size[0] / 10 < 4 * size[1]
    assert (rank_rhat(x) < 1.05).all()
    x[0] += 3
    assert (rank_rhat(x) > 1.1).all()
    with pytest.raises(ValueError, match="chains"):
        rank_rhat(x[:1])
    with pytest.raises(ValueError, match="chains"):
        effective_sample_size(x[0])


def test_bad_arguments_are_refused_by_name():
    line = GaussianMixture([1.0], [[0.0]], [1.0])

    def chains(m, n, *, rng):
        return rng.standard_normal((m, n, 1))

    kernels: tuple[tuple[dict[str, Any], str], ...] = (
        ({"budget": 0}, "budget"),
        ({"budget": 2.5}, "budget"),
        ({"states": 1}, "states"),
        ({"false_alarm": 2.0}, "false_alarm"),
        ({"tolerance": 0.7}, "tolerance"),
    )
    for wrong, name in kernels:
        with pytest.raises(ValueError, match=name):
            check_kernel(lambda x, *, rng: x, line, **wrong)
    runs: tuple[tuple[dict[str, Any], str], ...] = (
        ({"budget": 7}, "budget"),
        ({"budget": (0, 5)}, "budget"),
        ({"budget": (9, 9), "burn": 9}, "burn"),
        ({"false_alarm": 0.0}, "false_alarm"),
    )
    for wrong, name in runs:
        with pytest.raises(ValueError, match=name):
            check_chains(chains, line, **wrong)


def test_missing_diagnostics_are_said(monkeypatch):
    import importlib.util

    from scoreproof.validation import chain_checks

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install" in chain_checks._missing(np.zeros((4, 9, 1)))
    assert "two chains" in chain_checks._missing(np.zeros((1, 9, 1)))
