"""The error budget: links by two routes, differences that add up, the price of score errors in closed form."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scoreproof.numerics import (
    DDIM,
    Ancestral,
    Chain,
    EigenLaw,
    EulerMaruyama,
    GaussianReverse,
    Heun,
    LogSNRGrid,
    Refused,
    exact_reverse,
    exact_sensitivity,
)
from scoreproof.numerics.error_budget import Stage, band_edges, tangent_w2, w2_between
from scoreproof.numerics.gaussian_law import run
from scoreproof.theory import EDM, VP, Gaussian, SubVP
from scoreproof.validation import PROBLEMS, Problem, Report, check_sampler, error_budget
from scoreproof.validation.sampler_checks.erring import Erring, rounded_to

LAW = Gaussian([1.5, -0.8], [[1.1, 0.55], [0.55, 0.4]])
PLANE = Problem("plane", LAW, EDM(sigma_max=20.0), t_min=0.02)
USUAL = Problem("usual", LAW, VP(), t_min=1e-3, start="prior")
EPS = np.finfo(float).eps


def solved(solver, change=lambda x: x):
    def sampler(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        return change(solver.sample(problem.score, problem.sde, x, problem.times(steps), rng=rng))

    return sampler


def reverse_of(problem):
    return GaussianReverse(EigenLaw.of(problem.law), problem.sde)


def names(budget):
    return [link.name for link in budget.links]


@pytest.mark.parametrize("problem", [PLANE, USUAL], ids=lambda p: p.name)
@pytest.mark.parametrize(
    ("solver", "step", "eta"),
    [(DDIM(), "ddim", 0.0), (Ancestral(), "ancestral", 1.0), (Heun("sigma"), "heun_sigma", 0.0)],
)
def test_the_links_are_those_of_the_closed_recursions(problem, solver, step, eta):
    found = error_budget(solved(solver), problem, 24, bands=0)
    reverse = reverse_of(problem)
    t, s = problem.t_max, problem.t_min
    start = reverse.marginal(t)
    if problem.start == "prior":
        start = EigenLaw(
            0 * start.mean, 0 * start.mean + problem.sde.kernel(t).variance, start.vectors
        )
    exact = start
    # the exact reversal again, as the limit of many exact steps
    for a, b in pairwise(np.linspace(t, s, 7)):
        exact = exact.push(exact_reverse(reverse, float(a), float(b), eta=eta))
    laws = [
        reverse.target,
        reverse.marginal(s),
        exact,
        run(start, getattr(reverse, step), problem.times(24)),
    ]
    assert names(found) == ["truncation", "start", "discretisation"]
    assert found.eta == eta
    for link, (before, after) in zip(found.links, pairwise(laws), strict=True):
        # rounding of 24 steps, and that of square roots of nearly equal laws
        assert link.w2 == pytest.approx(after.w2(before), rel=1e-8, abs=1e-10)
        assert np.abs(link.mean - (after.mean - before.mean)).max() < 1e-10
        assert np.abs(np.diag(link.spread) - (after.variance - before.variance)).max() < 1e-10
    assert found.whole.w2 == pytest.approx(laws[-1].w2(laws[0]), rel=1e-8)


def test_differences_add_up_and_the_whole_is_at_most_the_sum():
    found = error_budget(solved(DDIM()), USUAL, 12, score_error=0.03, dtype="bfloat16", bands=0)
    assert names(found)[3:] == ["score", "rounding"]
    # sums of five differences of numbers of size one
    assert np.abs(sum(k.mean for k in found.links) - found.whole.mean).max() < 64 * EPS
    assert np.abs(sum(k.spread for k in found.links) - found.whole.spread).max() < 64 * EPS
    assert found.whole.w2 <= sum(k.w2 for k in found.links)
    # errors that cancel: a score that is too small undoes what few steps do to the variance
    healed = error_budget(solved(DDIM()), PLANE, 12, score_error=-0.05, bands=0)
    assert healed.whole.w2 < 0.7 * healed.links[2].w2


def test_every_cause_shows_in_its_own_link():
    def w2(sampler=None, problem=USUAL, **given):
        found = error_budget(sampler or solved(DDIM()), problem, 16, bands=0, **given)
        return np.array([k.w2 for k in found.links])

    plain = w2()
    exact_start = w2(problem=Problem("m", LAW, VP(), t_min=1e-3))
    early_end = w2(problem=Problem("e", LAW, VP(), t_min=1e-2, start="prior"))
    shifted = w2(solved(DDIM(), lambda x: x + 0.3))
    assert plain[1] > 1e-4
    assert exact_start[1] < 1e-12
    assert exact_start[0] == plain[0]
    assert early_end[0] > 5 * plain[0]
    assert shifted[2] > plain[2] + 0.2
    assert (shifted[:2] == plain[:2]).all()
    erring = w2(score_error=lambda x, t: 0.02 * x)
    assert (erring[:3] == plain).all()
    assert erring[3] > 1e-3
    # an error that is none costs nothing
    assert w2(score_error=0.0)[3] < 1e-12


def test_another_reverse_family_is_seen_in_the_link_of_the_start():
    flow, sde = (
        error_budget(solved(DDIM()), USUAL, 16, bands=0, eta=eta).links[1] for eta in (0, 1)
    )
    # the reverse SDE forgets where it started, the flow does not
    assert flow.w2 > 100 * sde.w2


@pytest.mark.parametrize(
    "sde", [VP(), SubVP(), EDM(sigma_max=20.0)], ids=lambda s: type(s).__name__
)
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_the_exact_reversal_is_the_limit_of_small_steps(sde, eta):
    reverse = GaussianReverse(EigenLaw.of(LAW), sde)
    t, s = 0.5 * sde.t_max, 0.1 * sde.t_max
    exact = exact_reverse(reverse, t, s, eta=eta)
    ends = []
    for n in (400, 800):
        gain, noise = np.ones(2), np.zeros(2)
        for a, b in pairwise(np.linspace(t, s, n + 1)):
            step = reverse.euler_maruyama(float(a), float(b), eta=eta)
            gain, noise = step.gain * gain, step.gain**2 * noise + step.noise
        ends.append(np.stack([gain, noise]))
    wanted = np.stack([exact.gain, exact.noise])
    rest = 2 * ends[1] - ends[0] - wanted
    # one extrapolation of a first-order rule: what is left is of second order, (1/800)^2 times moderate constants
    assert np.abs(rest).max() < 2e-3 * np.abs(wanted).max()
    assert np.abs(rest).max() < 0.1 * np.abs(ends[1] - wanted).max()
    kept = reverse.marginal(t).push(exact)
    assert kept.w2(reverse.marginal(s)) < 1e-13


def test_bands_add_up_to_a_score_that_errs_everywhere():
    sampler = solved(Ancestral())
    found = error_budget(sampler, PLANE, 16, bands=5).sensitivity
    assert found is not None
    eps = 1e-4
    up, down = (
        error_budget(sampler, PLANE, 16, score_error=e, bands=0).chain.stages[-1]
        for e in (eps, -eps)
    )
    # to first order in eps the bands do not meet; the quotients are off by eps^2 and by rounding over eps
    assert (
        np.abs(found.spread.sum(axis=0) - (up.covariance - down.covariance) / (2 * eps)).max()
        < 1e-7
    )
    assert np.abs(found.mean.sum(axis=0) - (up.mean - down.mean) / (2 * eps)).max() < 1e-7
    # a band that is left out is missed
    assert np.abs(found.spread[1:].sum(axis=0) - found.spread.sum(axis=0)).max() > 1e-3


@pytest.mark.parametrize(
    ("solver", "eta", "steps"), [(Heun("sigma"), 0.0, 162), (Ancestral(), 1.0, 1200)]
)
def test_the_price_of_score_errors_is_that_of_continuous_time(solver, eta, steps):
    reverse = reverse_of(PLANE)
    edges = band_edges(reverse, PLANE.t_max, PLANE.t_min, 3)
    exact = exact_sensitivity(reverse, edges, eta=eta)
    grid = LogSNRGrid(PLANE.sde, PLANE.t_max, PLANE.t_min).times(steps)
    step, start = solver.step, reverse.marginal(PLANE.t_max)
    eps = 1e-3
    for k in range(3):
        ends = []
        for e in (eps, -eps):
            law = start
            for t, s in pairwise(grid):
                inside = edges[k + 1] < (t + s) / 2 <= edges[k]
                law = law.push(_step(step, reverse, float(t), float(s), e if inside else 0.0))
            ends.append(law)
        slope = (ends[0].variance - ends[1].variance) / (2 * eps)
        wanted = np.diag(start.vectors.T @ exact.spread[k] @ start.vectors)
        # steps are log(1000)/1200 and log(1000)/162 wide in log sigma; their first and second powers, times two
        assert np.abs(slope / wanted - 1).max() < (1.2e-2 if eta else 4e-3)
    # the whole range in closed form for the flow: -v log(v_T / v_0) - 2 log a
    if not eta:
        first, last = reverse.marginal(PLANE.t_max), reverse.marginal(PLANE.t_min)
        total = np.diag(start.vectors.T @ exact.spread.sum(axis=0) @ start.vectors)
        assert total == pytest.approx(
            -last.variance * np.log(first.variance / last.variance), rel=1e-10
        )


def _step(step, reverse, t, s, eps):
    """A solver's step as an affine map, with the score times ``1 + eps``, in eigen-coordinates."""

    class Fixed(np.random.Generator):
        def __init__(self, z):
            super().__init__(np.random.PCG64(0))
            self.z = z

        def standard_normal(self, size=None, dtype=np.float64, out=None):
            return self.z

    from scoreproof.numerics import Affine

    def score(x, at):
        law = reverse.marginal(at)
        return -(1 + eps) * (x - law.mean) / law.variance

    one, zero = np.ones((1, 2)), np.zeros((1, 2))
    rows = [
        step(x, t, s, score=score, sde=reverse.sde, rng=Fixed(z))
        for x, z in ((zero, zero), (one, zero), (zero, one))
    ]
    base, moved, noisy = (r[0] for r in rows)
    return Affine(moved - base, base, (noisy - base) ** 2)


def test_the_price_is_the_distance_that_the_law_moves():
    c = np.array([[1.1, 0.55], [0.55, 0.4]])
    mean, spread, eps = np.array([0.3, -0.2]), np.array([[0.5, -0.3], [-0.3, 0.2]]), 1e-5
    a, b = Stage("a", np.zeros(2), c), Stage("b", eps * mean, c + eps * spread)
    # the next term is of relative size eps over the smallest eigenvalue
    assert w2_between(a, b) / eps == pytest.approx(tangent_w2(mean, spread, c), rel=1e-3)


def test_torch_samplers_have_the_same_budget():
    ours = error_budget(solved(DDIM()), PLANE, 12, score_error=0.02, bands=2)
    theirs = error_budget(solved(DDIM()), PLANE, 12, score_error=0.02, bands=2, backend="torch")
    assert [k.w2 for k in theirs.links] == pytest.approx(
        [k.w2 for k in ours.links], rel=1e-8, abs=1e-12
    )
    assert ours.sensitivity is not None and theirs.sensitivity is not None
    assert theirs.sensitivity.cost == pytest.approx(ours.sensitivity.cost, rel=1e-6)


def test_numbers_are_rounded_as_in_torch():
    x = np.concatenate(
        [
            np.random.default_rng(3).standard_normal(2000)
            * 10.0 ** np.arange(-10, 10).repeat(100),
            [0.0, -0.0, np.inf, 1 + 2.0**-8, 1 + 3 * 2.0**-8],
        ]
    )
    for dtype in ("bfloat16", "float32"):
        theirs = torch.from_numpy(x).to(torch.float32).to(getattr(torch, dtype)).to(torch.float64)
        assert (rounded_to(x, dtype) == theirs.numpy()).all()
        assert (rounded_to(torch.from_numpy(x), dtype).numpy() == theirs.numpy()).all()


def test_rounding_costs_what_the_bits_say():
    coupled = {}
    for dtype in ("float32", "bfloat16"):
        link = error_budget(solved(DDIM()), PLANE, 16, dtype=dtype, bands=0).links[-1]
        assert link.name == "rounding"
        assert link.w2 <= link.high
        coupled[dtype] = link.high
    # the units of rounding are 2^-24 and 2^-8; the errors of both are the same multiple, up to chance
    assert coupled["bfloat16"] / coupled["float32"] == pytest.approx(2.0**16, rel=0.5)


def test_an_erring_score_errs_in_all_four_forms():
    erring = Erring.added(USUAL, lambda x, t: 0.1 * x + t)
    x, t = np.random.default_rng(1).standard_normal((5, 2)), np.array([0.1, 0.1, 0.5, 0.7, 1.0])
    off = 0.1 * x + t[:, None]
    kernel = USUAL.sde.kernel(t)
    a, v = kernel.scale[:, None], kernel.variance[:, None]
    g2 = USUAL.sde.diffusion(t)[:, None] ** 2
    for field, pull in (
        ("score", 1.0),
        ("noise", -np.sqrt(v)),
        ("denoiser", v / a),
        ("velocity", -g2 / 2),
    ):
        gap = getattr(erring, field)(x, t) - getattr(USUAL, field)(x, t)
        # rounding of the two values
        assert np.abs(gap - pull * off).max() < 1e-12
    assert erring.evaluations == 4


def test_the_report_says_the_budget(tmp_path):
    report = check_sampler(solved(DDIM()), problems=[USUAL], steps=(8, 16, 32, 64), tolerance=0.1)
    laws = report.find("law")
    for verdict in laws:
        budget = error_budget(solved(DDIM()), USUAL, verdict.subject["steps"], bands=0)
        assert budget.sentence() in verdict.finding
    charted = [v for v in laws if v.figure]
    assert [v.subject["steps"] for v in charted] == [32, 64]
    chart: Any = charted[0].figure
    assert chart["panels"][-1]["title"].startswith("What a score error costs")
    assert [p["kind"] for p in chart["panels"]] == ["bars", "bars", "bars", "lines"]
    # stacked bars add up to the difference of the whole, to the four digits that are kept
    budget = error_budget(solved(DDIM()), USUAL, 32, bands=0)
    piles = np.sum([s["values"] for s in chart["panels"][1]["series"]], axis=0)
    assert piles == pytest.approx(np.diag(budget.whole.spread) / budget.chain.variances, rel=1e-3)
    assert Report.from_json(report.to_json()).to_json() == report.to_json()
    page = (report.save(tmp_path) / "index.html").read_text()
    assert f"{budget.sentence()}." in page  # for readers who cannot see the chart
    assert "figure could not" not in page


def test_the_budget_prints_and_draws():
    budget = error_budget(
        solved(EulerMaruyama()), PLANE, 40, score_error=0.01, dtype="float32", bands=2
    )
    text = str(budget)
    assert all(
        name in text for name in ("truncation", "start", "score", "rounding", "whole", "at most")
    )
    assert max(map(len, text.splitlines())) <= 80
    assert budget.svg.count("<svg") == len(budget.figure["panels"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"problem": "nowhere"}, "problem: got 'nowhere'"),
        ({"problem": "mixture-1d"}, "Gaussian data"),
        ({"steps": 0}, "steps: got 0"),
        ({"score_error": "much"}, "score_error: got 'much'"),
        ({"score_error": np.nan}, "score_error: got nan"),
        ({"dtype": "float16"}, "dtype: got 'float16'"),
        ({"bands": -1}, "bands: got -1"),
        ({"budget": 3}, "budget: got 3"),
    ],
)
def test_arguments_that_cannot_be(given, words):
    given = {"problem": "gaussian-2d", "steps": 8} | given
    with pytest.raises(ValueError, match=words):
        error_budget(solved(DDIM()), **given)


def test_what_is_not_affine_is_refused():
    with pytest.raises(Refused, match="superposition"):
        error_budget(solved(DDIM(), lambda x: np.clip(x, -2, 2)), PLANE, 8)
    with pytest.raises(Refused, match="superposition"):
        error_budget(solved(DDIM()), PLANE, 8, score_error=lambda x, t: 0.1 * np.tanh(x))
    with pytest.raises(ValueError, match="stages: got 1"):
        Chain.of([Stage("data", np.zeros(1), np.eye(1))])
    assert "gaussian-8d" in PROBLEMS


def test_noise_that_is_multiplied_by_zero_is_none():
    def idle(problem, n, *, steps, rng):
        x = solved(DDIM())(problem, n, steps=steps, rng=rng)
        return x + 0.0 * rng.standard_normal(x.shape)

    assert error_budget(idle, PLANE, 8, bands=0).eta == 0.0
    line = PROBLEMS["mixture-1d"]
    report = check_sampler(idle, problems=[line], steps=(32,), tolerance=0.4)
    assert report.find("law")[0].evidence[0].kind == "quadrature"
    assert report.find("equivariant")[0].outcome == "SUPPORTED"
    assert report.find("order")[0].outcome == "SUPPORTED"
