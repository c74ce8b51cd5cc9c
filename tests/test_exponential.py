"""Exponential integrators: published coefficients, exact flow maps, orders of whole runs and of single steps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scoreproof.numerics import (
    DDIM,
    EigenLaw,
    ExponentialMultistep,
    ExponentialSinglestep,
    GaussianReverse,
    LogSNRGrid,
    Rule,
    UniformGrid,
)
from scoreproof.numerics.exponential import combine
from scoreproof.theory import VE, VP, Gaussian, GaussianMixture, StraightPath, marginal

from .impulses import Impulses

EPS = np.finfo(np.float64).eps
TARGET = Gaussian([1.0, -2.0, 0.5], [[1.2, 0.5, 0.1], [0.5, 0.6, -0.2], [0.1, -0.2, 0.3]])
LAW = EigenLaw.of(TARGET)
#: with the first and last times of a run
SDES = {
    "vp": (VP(), 1.0, 0.01),
    "ve": (VE(0.02, 3.0), 1.0, 0.05),
    "straight": (StraightPath(0.05), 0.95, 0.02),
}
NOISE, TIME = Rule("noise"), Rule("noise", "time")
#: solver, order of the whole run
SOLVERS = {
    "multistep-1": (ExponentialMultistep(1), 1),
    "multistep-2": (ExponentialMultistep(2), 2),
    "multistep-3": (ExponentialMultistep(3), 3),
    "multistep-4": (ExponentialMultistep(4), 4),
    "multistep-2-noise": (ExponentialMultistep(2, NOISE), 2),
    "multistep-2-lower": (ExponentialMultistep(2, start="lower"), 2),
    "multistep-3-lower": (ExponentialMultistep(3, start="lower"), 2),
    "corrected-1": (ExponentialMultistep(1, corrector=True), 2),
    "corrected-2": (ExponentialMultistep(2, corrector=True), 3),
    "corrected-3": (ExponentialMultistep(3, corrector=True), 4),
    "deis-3": (ExponentialMultistep(3, TIME), 3),
    "adams-bashforth-3": (ExponentialMultistep(3, Rule("noise", "noise-level")), 3),
    "singlestep-1": (ExponentialSinglestep(1), 1),
    "singlestep-2": (ExponentialSinglestep(2), 2),
    "singlestep-2-end": (ExponentialSinglestep(2, nodes=(1.0,)), 2),
    "singlestep-3": (ExponentialSinglestep(3), 3),
    "singlestep-3-noise": (ExponentialSinglestep(3, NOISE), 3),
}


def score_of(law, sde):
    known = {}

    def score(x, t):
        if t not in known:
            known[t] = marginal(law, sde, t)
        return known[t].score(x)

    return score


def flow(x, sde, t, s):
    """Exact probability-flow map of the Gaussian."""
    move, u = GaussianReverse(LAW, sde).flow(t, s), LAW.vectors
    return ((x @ u) * move.gain + move.shift) @ u.T


def errors(solver, sde, top, end, steps, grid=LogSNRGrid, rng=None):
    """Signed errors of some points against the exact map, in the eigenbasis."""
    score, found = score_of(TARGET, sde), []
    x = np.random.default_rng(3).standard_normal((6, 3)) * 1.3 + 0.4
    for n in steps:
        out = solver.sample(score, sde, x, grid(sde, top, end).times(n), rng=rng)
        found.append((out - flow(x, sde, top, end)) @ LAW.vectors)
    return np.array(found)


@pytest.mark.parametrize("key", SDES)
@pytest.mark.parametrize("name", SOLVERS)
def test_order_of_the_whole_run_is_the_declared_one(name, key):
    solver, order = SOLVERS[name]
    assert solver.order == order and solver.deterministic
    sde, top, end = SDES[key]
    gaps = errors(solver, sde, top, end, (64, 128, 256, 512))
    sizes = np.sqrt((gaps**2).mean(axis=(1, 2)))
    local = np.log2(sizes[:-1] / sizes[1:])
    # local orders p + c h + ...: the change halves with each doubling. A leading term that is small against the
    # next one shows a higher order first and comes down to p from above.
    slack = 1.5 * abs(local[-1] - local[-2]) + 0.05
    assert local[-1] >= order - slack, (local, order)
    if "lower" in name and order == 2 and key == "ve":
        assert local[-1] <= 2.3  # the first step of order 1 takes over
    if name in ("multistep-1", "multistep-2", "singlestep-2", "singlestep-1"):
        assert abs(local[-1] - order) <= slack


def test_a_formula_of_lower_order_is_told_from_the_declared_one():
    """The mutants of the test above: half of the difference term, the previous time, the wrong variable."""

    class Half(Rule):
        def weights(self, t, s, nodes, sde):
            w = super().weights(t, s, nodes, sde)
            if len(w) == 1:
                return w
            shift = np.array([0.5, -0.5]) @ (w - np.array([w.sum(), 0.0])) / 2
            return w + np.array([-shift, shift])

    class Late(Rule):
        def weights(self, t, s, nodes, sde):
            late = [t, *(n + 0.3 * (t - n) for n in nodes[1:])]
            return super().weights(t, s, late, sde)

    for rule in (Half(), Late()):
        sde, top, end = SDES["vp"]
        gaps = errors(ExponentialMultistep(2, rule), sde, top, end, (64, 128, 256))
        sizes = np.sqrt((gaps**2).mean(axis=(1, 2)))
        assert np.log2(sizes[-2] / sizes[-1]) < 1.5


@pytest.mark.parametrize("rule", [Rule(), NOISE, TIME])
def test_order_one_is_ddim(rule):
    for sde, top, end in SDES.values():
        times, x = LogSNRGrid(sde, top, end).times(7), np.linspace(-2, 3, 12).reshape(4, 3)
        ours = ExponentialMultistep(1, rule).sample(score_of(TARGET, sde), sde, x, times)
        other = DDIM().sample(score_of(TARGET, sde), sde, x, times)
        # clean data divides by alpha_1 = 0.0066 of VP and multiplies back: 150 roundings of a sum of size 10
        assert np.abs(ours - other).max() <= 1e4 * EPS


def half_log_snr(sde, t):
    return -np.log(float(sde.noise_level(t)))


@pytest.mark.parametrize("key", SDES)
def test_published_coefficients(key):
    """DPM-Solver-2 (Lu et al. 2022a, Algorithm 1) and two steps in lambda by hand, in closed form."""
    sde, top, end = SDES[key]
    t, r, s = (float(v) for v in LogSNRGrid(sde, top, end).times(6)[2:5])
    h, h0 = (half_log_snr(sde, b) - half_log_snr(sde, a) for a, b in ((r, s), (t, r)))
    scale, spread = float(sde.kernel(s).scale), float(sde.kernel(s).std)
    # int e^(lambda - lambda_s) and of (lambda - lambda_r) e^(lambda - lambda_s) over the step from r
    flat, slope = -np.expm1(-h), h + np.expm1(-h)
    data = scale * np.array([flat + slope / h0, -slope / h0])
    assert np.abs(Rule().weights(r, s, [r, t], sde) - data).max() <= 1e-13
    flat, slope = np.expm1(h), np.expm1(h) - h
    noise = -spread * np.array([flat + slope / h0, -slope / h0])
    got = NOISE.weights(r, s, [r, t], sde)
    assert np.abs(got - noise).max() <= 1e-13 * np.abs(noise).max()
    # Adams-Bashforth: weights of two steps in kappa
    k = [float(sde.noise_level(u)) for u in (t, r, s)]
    step, ratio = k[2] - k[1], (k[2] - k[1]) / (k[1] - k[0])
    plain = scale * step * np.array([1 + ratio / 2, -ratio / 2])
    got = Rule("noise", "noise-level").weights(r, s, [r, t], sde)
    assert np.abs(got - plain).max() <= 1e-13 * np.abs(plain).max()


@pytest.mark.parametrize("rule", [Rule(eta=1.0), Rule("noise", eta=1.0), Rule(eta=0.5)])
@pytest.mark.parametrize("key", SDES)
def test_linear_parts_keep_the_marginal_of_a_point(rule, key):
    """Data at one point: the prediction is exact, so every step gives ``N(alpha_s x0, sd_s^2)`` exactly."""
    sde, top, end = SDES[key]
    point = np.array([0.7])

    def score(x, t):
        kernel = sde.kernel(t)
        return -(x - float(kernel.scale) * point) / float(kernel.variance)

    t, s = (float(v) for v in LogSNRGrid(sde, top, end).times(3)[1:3])
    now, then = sde.kernel(t), sde.kernel(s)
    rows = np.array([[0.0], [1.0]]) * float(now.std) + float(now.scale) * point
    known = [rule.predict(rows, t, score=score, sde=sde)]
    out = combine(rule, rows, t, s, known, [t], sde, None)
    spread = rule.noise(t, s, sde)
    # noise: only the data form has a constant prediction; the noise form is exact to first order alone
    mean, gain = out[0, 0], out[1, 0] - out[0, 0]
    if rule.prediction == "data":
        assert abs(mean - float(then.scale) * point[0]) <= 1e-12
        assert abs(gain**2 + spread**2 - float(then.variance)) <= 1e-12
    else:
        assert abs(mean - float(then.scale) * point[0]) <= 1e-12


def variance_error(solver, sde, top, end, n, variance=0.3):
    """Relative error of the output variance of a Gaussian in one dimension, exactly."""
    law = Gaussian([0.0], [[variance]])
    rows = np.zeros((n + 2, 1))
    rows[0] = 1.0
    times = LogSNRGrid(sde, top, end).times(n)
    out = solver.sample(score_of(law, sde), sde, rows, times, rng=Impulses())[:, 0]
    first, last = (float(marginal(law, sde, t).covariance[0, 0]) for t in (top, end))
    return (out[0] ** 2 * first + (out[1:] ** 2).sum()) / last - 1


@pytest.mark.parametrize(("steps", "order"), [(1, 1), (2, 2), (3, 2)], ids=["one", "two", "three"])
@pytest.mark.parametrize("rule", [Rule(eta=1.0), Rule("noise", eta=1.0), Rule(eta=0.5)])
def test_weak_order_with_noise(rule, steps, order):
    """The noise of the step before enters through the difference, so two steps reach order 2, three no more."""
    solver = ExponentialMultistep(steps, rule)
    assert solver.order == order and not solver.deterministic
    sde, top, end = SDES["vp"]
    gaps = np.abs([variance_error(solver, sde, top, end, n) for n in (256, 512, 1024)])
    local = np.log2(gaps[:-1] / gaps[1:])
    slack = 1.5 * abs(local[1] - local[0]) + 0.05
    assert abs(local[1] - order) <= slack, local


def test_a_last_step_to_zero_noise_is_of_order_one():
    sde = VP()
    score = score_of(GaussianMixture([0.6, 0.4], [[-1.0], [0.8]], [0.2, 0.05]), sde)
    x = np.linspace(-2, 2, 9)[:, None]
    times = UniformGrid(1.0).times(12)
    for rule in (Rule(), NOISE, TIME, Rule(eta=1.0)):
        rng = np.random.default_rng(0)
        out = ExponentialMultistep(2, rule).sample(score, sde, x, times, rng=rng)
        assert np.isfinite(out).all()
        near = ExponentialSinglestep(2, rule).sample(score, sde, x, times, rng=rng)
        assert np.isfinite(near).all()


def test_evaluations_are_one_a_step():
    sde, top, end = SDES["vp"]
    calls = []

    def score(x, t):
        calls.append(t)
        return marginal(TARGET, sde, t).score(x)

    times = LogSNRGrid(sde, top, end).times(8)
    x = np.zeros((2, 3))
    ExponentialMultistep(3, start="lower").sample(score, sde, x, times)
    assert len(calls) == len(set(calls)) == 9  # one at the start, one after each step
    calls.clear()
    ExponentialSinglestep(3).sample(score, sde, x, times)
    assert len(calls) == 24 and all(a > b for a, b in pairwise(calls))


def test_tensors_give_the_same_numbers():
    torch = pytest.importorskip("torch")
    sde, top, end = SDES["vp"]
    times = LogSNRGrid(sde, top, end).times(9)
    x = np.linspace(-2, 3, 12).reshape(4, 3)

    def torch_score(y, t):
        return torch.as_tensor(marginal(TARGET, sde, t).score(y.numpy()))

    for solver in (ExponentialMultistep(3, corrector=True), ExponentialSinglestep(3)):
        ours = solver.sample(score_of(TARGET, sde), sde, x, times)
        there = solver.sample(
            torch_score,
            sde,
            torch.as_tensor(x),
            times,
        )
        assert torch.is_tensor(there) and np.abs(there.numpy() - ours).max() <= 1e-12


BAD: Any = "score"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Rule(BAD), "prediction: got 'score'"),
        (lambda: Rule(variable=BAD), "variable: got 'score'"),
        (lambda: Rule(eta=-1.0), "eta: got -1"),
        (lambda: ExponentialMultistep(5), "steps: got 5"),
        (lambda: ExponentialMultistep(2, start=BAD), "start: got 'score'"),
        (lambda: ExponentialMultistep(2, Rule(eta=1.0), corrector=True), "corrector: got True"),
        (lambda: ExponentialSinglestep(4), "stages: got 4"),
        (lambda: ExponentialSinglestep(3, nodes=(0.5,)), "2 increasing shares"),
        (lambda: Rule().weights(0.1, 0.0, [0.1, 0.2], VP()), "one node"),
    ],
)
def test_bad_arguments_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_noise_needs_a_generator():
    sde, top, end = SDES["vp"]
    with pytest.raises(ValueError, match="rng: got None"):
        ExponentialMultistep(2, Rule(eta=1.0)).sample(
            score_of(TARGET, sde), sde, np.zeros((2, 3)), LogSNRGrid(sde, top, end).times(4)
        )
