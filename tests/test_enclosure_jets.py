"""Enclosed means of polynomials in the density, its logarithm, the score and its slope, against quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from scoreproof.numerics import ExactMixture, enclose_entropy, enclose_information
from scoreproof.numerics.enclosure_jets import enclose_jets
from scoreproof.numerics.quadrature import expectation
from scoreproof.theory import GaussianMixture

pytest.importorskip("flint")
X = sp.Symbol("x", real=True)
LAW = ExactMixture.make(["0.5", "0.3", "0.2"], ["-1.25", "0.5", "2.125"], ["0.125", "0.25", "0.5"])
FLOATING = GaussianMixture([0.5, 0.3, 0.2], [[-1.25], [0.5], [2.125]], [0.125, 0.25, 0.5])


def test_known_means():
    one = sp.Integer(1)
    fisher = enclose_jets(LAW, {(0, 0, 2, 0): one}, X, digits=25)
    assert (fisher - enclose_information(LAW, digits=25)).contains(0) and fisher.narrow
    bent = enclose_jets(LAW, {(0, 0, 0, 1): -one}, X, digits=25)
    assert (fisher - bent).contains(0)
    entropy = enclose_jets(LAW, {(0, 1, 0, 0): -one}, X, digits=20)
    assert (entropy - enclose_entropy(LAW, digits=20)).contains(0)


def test_a_mean_of_all_of_them_is_that_of_quadrature():
    terms = {(1, 1, 1, 1): sp.tanh(X), (0, 0, 3, 0): 1 / (1 + X**2), (2, 0, 0, 0): sp.Integer(3)}

    def values(x):
        v = x[:, 0]
        p, log = np.exp(FLOATING.log_prob(x)), FLOATING.log_prob(x)
        s, slope = FLOATING.score(x)[:, 0], FLOATING.divergence(x)
        return p * log * s * slope * np.tanh(v) + s**3 / (1 + v**2) + 3 * p**2

    ball = enclose_jets(LAW, terms, X, digits=15)
    found = expectation(values, FLOATING)
    # The quadrature's own error, and weights rounded to float64.
    assert math.isclose(ball.value, found.value, abs_tol=1e-9 + found.error) and ball.narrow


def test_what_grows_too_fast_is_refused():
    with pytest.raises(ValueError, match="no polynomial bound is known"):
        enclose_jets(LAW, {(0, 0, 0, 0): sp.exp(X**2)}, X)
