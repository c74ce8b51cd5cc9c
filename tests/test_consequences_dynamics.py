"""Second routes to the numbers that the refuted sentences on dynamics and guidance lead to.

Mostly simulations. Their errors are five standard errors, which chance exceeds once in two million tests, plus what
the step adds.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scoreproof.numerics.rng import draw
from scoreproof.theory import VP, GaussianMixture
from scoreproof.theory.densities_positive import Gamma
from scoreproof.theory.marginals import marginal
from scoreproof.theory.solvable import CIR
from scoreproof.validation import CLAIMS, Outcome
from scoreproof.validation.claim import Context
from scoreproof.validation.claims import guidance_runs
from scoreproof.validation.claims.additions.tools import CONSEQUENCE
from scoreproof.validation.claims.langevin import TARGET
from scoreproof.validation.claims.laws import tilted_gaussian

ENTRIES = ("L4", "L5", "L12", "D3", "D5", "D9", "G3")


def told(name):
    """The number of a consequence."""
    ctx = Context(rng=np.random.default_rng(0), level=1e-8, budget=1000)
    piece = CLAIMS[name].checks[CONSEQUENCE](ctx)
    assert piece.outcome is Outcome.SUPPORTED and not piece.deciding
    return piece.value


@pytest.mark.parametrize("name", ENTRIES)
def test_the_corrected_formula_does_not_lead_there(name):
    ctx = Context(rng=np.random.default_rng(0), level=1e-8, budget=1000)
    wrong = {m.__name__: m for m in CLAIMS[name].mutants[CONSEQUENCE]}
    assert len(wrong) >= 2 and sum(k.startswith("corrected") for k in wrong) == 1
    for mutant in wrong.values():
        piece = mutant(ctx)
        assert piece.outcome is Outcome.REFUTED


@pytest.mark.parametrize(("name", "d"), [("L4", 0.1), ("L5", 0.05)])
def test_excess_of_the_chain_in_draws(name, d):
    rng = np.random.default_rng(1)
    values, vectors = np.linalg.eigh(TARGET.covariance)
    n = 40_000
    x = TARGET.mean + rng.standard_normal((n, 2)) * np.sqrt(values) @ vectors.T
    for _ in range(30):  # the narrow direction forgets its start by (1 - d/v)^2 <= .4 a step
        x = x + d * TARGET.score(x) + math.sqrt(2 * d) * rng.standard_normal(x.shape)
    ratio = float(np.var((x - TARGET.mean) @ vectors[:, 0])) / values[0]
    # the variance of a Gaussian sample has relative standard error sqrt(2/n)
    assert abs(ratio - 1 - told(name)) < 5 * ratio * math.sqrt(2 / n) + 1e-9


def test_distance_at_total_time_one_in_draws():
    rng = np.random.default_rng(2)
    p, n, h = tilted_gaussian(), 10_000, 5e-3
    x = 0.2 * rng.standard_normal((n, 3))
    for _ in range(round(1 / h)):
        x = x + h * p.score(x) + math.sqrt(2 * h) * rng.standard_normal(x.shape)
    values, vectors = np.linalg.eigh(p.covariance)
    z = (x - p.mean) @ vectors  # both laws are Gaussian in these axes
    square = z.mean(0) ** 2 + (z.std(0) - np.sqrt(values)) ** 2
    found = math.sqrt(float(square.sum() / values.sum()))
    # W2 moves by at most the error of a mean and of a deviation in each axis; the step adds its own size
    assert abs(found - told("L12")) < 5 * math.sqrt(3 / n) + h


@pytest.mark.parametrize(("name", "c", "eta"), [("D3", 0.5, 1.0), ("D5", 1.0, 0.0)])
def test_variance_of_the_printed_reversal_in_draws(name, c, eta):
    rng = np.random.default_rng(3)
    sde, n = VP(), 4000
    times = np.geomspace(1.0, 1e-3, 601)
    x = draw(marginal(TARGET, sde, 1.0).law, n, rng=rng)
    for t, s in pairwise(times):
        g2, score = float(sde.diffusion(t)) ** 2, marginal(TARGET, sde, t).score(x)
        x = x - (t - s) * (float(sde.drift(t)) * x - c * g2 * score)
        x = x + eta * math.sqrt(g2 * (t - s)) * rng.standard_normal(x.shape)
    values, vectors = np.linalg.eigh(TARGET.covariance)
    ratio = np.var(x @ vectors, axis=0) / values
    nearest = float(ratio[np.argmin(np.abs(np.log(ratio / told(name))))])
    # Euler's rule with 600 steps of a hundredth of t each; D5 decays by e^12, which it gets within a fifth
    assert abs(math.log(nearest / told(name))) < 5 * math.sqrt(2 / n) + (0.05 if eta else 0.3)


def test_collapse_of_a_mixture_too():
    """Not only Gaussian data: what is left of two modes after dropping the noise."""
    law = GaussianMixture([0.3, 0.7], [[-1.5], [1.0]], [0.1, 0.3])
    sde, times = VP(), np.geomspace(1.0, 1e-3, 401)
    x = draw(marginal(law, sde, 1.0).law, 200, rng=np.random.default_rng(4))
    for t, s in pairwise(times):
        g2 = float(sde.diffusion(t)) ** 2
        x = x - (t - s) * (float(sde.drift(t)) * x - g2 * marginal(law, sde, t).score(x))
    assert float(np.var(x)) < 1e-2 * float(law.covariance[0, 0])


def test_mean_of_the_reversed_rate_in_draws():
    rng = np.random.default_rng(5)
    sde, n, steps = CIR(1.5, 1.2, 0.9), 20_000, 400
    law = Gamma(sde.shape, 0.6)
    last = sde.marginal(law, 1.0)
    x, h = rng.gamma(sde.shape, last.scale, (n, 1)), 1.0 / steps
    for k in range(steps):
        t = 1.0 - k * h
        push = sde.spread(x, t, sde.marginal(law, t).score(x)) - sde.drift(x, t)
        noise = sde.volatility * np.sqrt(x * h) * rng.standard_normal(x.shape)
        x = np.abs(x + h * push + noise)  # reflected where a step crosses zero
    found = float(x.mean()) - float(law.mean[0])
    # Euler's rule is off by a few steps times the mean, which is about three
    assert abs(found - told("D9")) < 5 * float(x.std()) / math.sqrt(n) + 6 * h


def test_mode_under_guidance_in_draws():
    rng = np.random.default_rng(6)
    law = guidance_runs.classes_1d().guided(guidance_runs.LABEL, guidance_runs.WEIGHT)
    sde, n = VP(), 4000
    x, times = rng.standard_normal((n, 1)), np.geomspace(1.0, guidance_runs.NEAR, 201)
    for t, s in pairwise(times):
        kernel = sde.kernel(float(t))
        score = law.diffuse(float(kernel.scale), float(kernel.variance)).score(x)
        x = x - (t - s) * (float(sde.drift(t)) * x - 0.5 * float(sde.diffusion(t)) ** 2 * score)
    share, expected = float((x < -0.65).mean()), told("G3")
    # 200 Euler steps of two per cent of t each move the edge of the mode by less than a hundredth of the draws
    assert abs(share - expected) < 5 * math.sqrt(expected * (1 - expected) / n) + 0.01
