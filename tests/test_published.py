"""The table of Pierret & Galerne: the engine against the paper's recursions, the reader of digits, the page."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scoreproof.numerics import Refused, probe
from scoreproof.numerics.coordinate_law import coordinate_step
from scoreproof.theory import VP, Gaussian
from scoreproof.validation import Outcome, Problem
from scoreproof.validation import published as pg
from scoreproof.validation.published_numbers import COLUMNS, CONTINUOUS, DISCRETE, allowed

VALUES = np.array([5.0, 1.3, 1.0, 0.4, 0.02])
IMAGES = pg.Images.of(VALUES)
NAMED = "SCOREPROOF_CIFAR10_EIGENVALUES"


def _beta(t):
    return 0.05 + 9.95 * t


def _b(t):
    return 0.05 * t + 9.95 * t**2 / 2


def _l(t):
    return np.exp(-2 * _b(t)) * VALUES + -np.expm1(-2 * _b(t))


def by_recursion(scheme, eps, steps, start):
    """W2 by the recursions that the paper prints, one eigenvalue each."""
    times = np.linspace(1.0, eps, steps + 1)
    v = _l(1.0) if start == "p_T" else np.ones_like(VALUES)
    for t, s in pairwise(times):
        h, b, now = t - s, _beta(t), _l(t)
        d = _b(t) - _b(s)
        if scheme == "EM":
            v = (1 + h * b * (1 - 2 / now)) ** 2 * v + 2 * h * b
        elif scheme == "EI":
            v = (1 + np.expm1(d) * (1 - 2 / now)) ** 2 * v + np.expm1(2 * d)
        elif scheme == "DDPM":
            bd = 2 * h * b
            v = (1 - bd / now) ** 2 / (1 - bd) * v + bd
        else:
            # y' = b (1 - 1/l) y backwards in time, deviations only
            k = [b * (1 - 1 / now)]
            mid, end = (_beta(r) * (1 - 1 / _l(r)) for r in ((t + s) / 2, s))
            if scheme == "Euler":
                gain = 1 + h * k[0]
            elif scheme == "Heun":
                gain = 1 + h / 2 * (k[0] + end * (1 + h * k[0]))
            else:
                k2 = mid * (1 + h / 2 * k[0])
                k3 = mid * (1 + h / 2 * k2)
                k4 = end * (1 + h * k3)
                gain = 1 + h / 6 * (k[0] + 2 * k2 + 2 * k3 + k4)
            v = gain**2 * v
    return float(np.linalg.norm(np.sqrt(v) - np.sqrt(VALUES)))


@pytest.mark.parametrize("scheme", pg.SCHEMES)
@pytest.mark.parametrize("eps", [1e-3, 0.05])
def test_the_engine_agrees_with_the_recursions_of_the_paper(scheme, eps):
    for start, value in zip(pg.STARTS, IMAGES.run(scheme, eps, 40), strict=True):
        # forty steps in float64, steps of the flow with gains up to some tens
        assert value == pytest.approx(by_recursion(scheme, eps, 40, start), rel=1e-9)


@pytest.mark.parametrize("scheme", ["EM", "DDPM", "Heun"])
def test_the_engine_agrees_with_a_whole_run_in_full_dimension(scheme):
    eps, steps = 1e-3, 30
    axes = np.linalg.qr(np.random.default_rng(5).standard_normal((5, 5)))[0]
    law = Gaussian(np.zeros(5), (axes * VALUES) @ axes.T)
    problem = Problem("turned", law, VP(), t_min=eps)
    times = np.linspace(1.0, eps, steps + 1)

    def sampler(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        return pg.SCHEMES[scheme].sample(problem.score, problem.sde, x, times, rng=rng)

    found = probe(sampler, problem, steps, rng=np.random.default_rng(0)).gap(law).w2()
    assert found == pytest.approx(IMAGES.run(scheme, eps, steps)[0], rel=1e-8)


def test_exact_reversals_are_those_of_the_paper():
    eps = 1e-3
    last, first = _l(eps), _l(1.0)
    sde = last + np.exp(-2 * (_b(1.0) - _b(eps))) * last**2 / first * (1 / first - 1)
    root = np.sqrt(VALUES)
    for equation, variances in (("SDE", (last, sde)), ("ODE", (last, last / first))):
        wanted = [np.linalg.norm(np.sqrt(v) - root) for v in variances]
        assert IMAGES.exact(equation, eps) == pytest.approx(wanted, rel=1e-10)
    # at the data themselves, started exactly, nothing is left
    assert IMAGES.exact("ODE", 0.0)[0] < 1e-14


def test_printed_digits_are_read_as_they_are_printed():
    assert allowed("0.16") == pytest.approx((0.155, 0.165))
    assert allowed("0.10") == pytest.approx((0.095, 0.105))
    assert allowed("4.1E-3") == pytest.approx((4.05e-3, 4.15e-3))
    assert allowed("6.7E-04") == pytest.approx((6.65e-4, 6.75e-4))
    assert allowed("0") == (0.0, 0.0)
    assert sum(len(w.split()) for row in DISCRETE.values() for w in row) == 128
    assert sum(len(w.split()) for w in CONTINUOUS.values()) == 12
    assert all(len(row) == len(COLUMNS) for row in DISCRETE.values())


def test_coordinates_that_lean_on_each_other_are_refused():
    with pytest.raises(Refused, match="every coordinate alone"):
        coordinate_step(lambda x, rng: x[:, ::-1] + x, 4)
    with pytest.raises(Refused, match="every coordinate alone"):
        coordinate_step(lambda x, rng: np.tanh(x), 4)
    with pytest.raises(Refused, match="more than once"):
        coordinate_step(
            lambda x, rng: rng.standard_normal(x.shape) + rng.standard_normal(x.shape), 4
        )


def test_other_eigenvalues_give_another_table(monkeypatch):
    rows = {("EM", "1e-3"): DISCRETE["EM", "1e-3"]}
    monkeypatch.setattr(pg, "DISCRETE", rows)
    monkeypatch.setattr(pg, "CONTINUOUS", {("ODE", "1e-3"): "0.18 0.19"})
    monkeypatch.setattr(pg, "COLUMNS", (20, 30, 40, 50))
    report = pg.pierret_galerne(VALUES)
    assert [v.outcome for v in report.verdicts] == [Outcome.REFUTED] * 2
    # the same numbers printed: supported, and with the two wrong protocols refuted
    words = tuple(
        " ".join(f"{w:.3f}" for w in IMAGES.run("EM", 1e-3, n - 1)) for n in (20, 30, 40, 50)
    )
    monkeypatch.setattr(pg, "DISCRETE", {("EM", "1e-3"): words})
    monkeypatch.setattr(
        pg,
        "CONTINUOUS",
        {("ODE", "1e-3"): " ".join(f"{w:.3f}" for w in IMAGES.exact("ODE", 1e-3))},
    )
    again = pg.pierret_galerne(VALUES)
    assert [v.outcome for v in again.verdicts] == [Outcome.SUPPORTED] * 2
    assert [m.name for v in again.verdicts for m in v.mutants] == [
        "without-the-factor-2",
        "without-the-factor-2",
        "one-step-less",
    ]


@pytest.mark.parametrize("values", [[], [np.nan], [1.0, -0.5]])
def test_what_are_no_eigenvalues(values):
    with pytest.raises(ValueError, match="values: got shape"):
        pg.Images.of(values)


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get(NAMED), reason="needs the eigenvalues of the CIFAR-10 covariance"
)
def test_the_page_is_that_of_the_eigenvalues():
    from scoreproof.validation.published_page import page

    report = pg.pierret_galerne(np.load(os.environ[NAMED]))
    assert all(not v.broken for v in report.verdicts)
    stored = Path(__file__).parent.parent / "docs" / "pierret_galerne.md"
    assert page(report) == stored.read_text(encoding="utf-8")
