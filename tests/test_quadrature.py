"""Integrals and expectations: the error that is reported bounds the error that is made."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scoreproof.numerics import Convolved, diffused, expectation, integrate
from scoreproof.numerics.kronrod import NODES, WEIGHTS
from scoreproof.theory import (
    VP,
    Banana,
    DoubleWell,
    Funnel,
    Gaussian,
    GaussianMixture,
    Laplace,
    Logistic,
    PointMasses,
    Ring,
    StudentT,
    Uniform,
)

EPS = np.finfo(float).eps
MIXTURE = GaussianMixture(
    [0.2, 0.5, 0.3],
    [[0.0, 1.0], [3.0, -1.0], [-2.0, -2.0]],
    [[[1.0, 0.3], [0.3, 0.5]], [[0.2, 0.0], [0.0, 0.1]], [[0.7, -0.2], [-0.2, 0.3]]],
)
LAWS = {
    "mixture": MIXTURE,
    "line mixture": GaussianMixture([0.2, 0.8], [[-0.4], [3.0]], [0.01, 0.5]),
    "logistic": Logistic(-1.2, 0.35),
    "student": StudentT(5.5, 0.4, 1.3),
    "double well": DoubleWell(1.4, 0.6, location=(0.4, -0.7), width=1.3, std=0.6),
    "banana": Banana((0.5, -0.8), (1.3, 0.3), slope=0.4, bend=-0.7),
    "funnel": Funnel(1.2, location=(-0.3, 0.9)),
    "ring": Ring(1.4, 0.3, centre=(0.8, -0.5)),
    "noisy laplace": Convolved(Laplace(0.7, 0.45), 0.8, 0.2),
    "noisy uniform": Convolved(Uniform(-0.6, 2.1), 0.8, 3.0),
    "noisy student": Convolved(StudentT(5.5, 0.4, 1.3), 0.8, 0.01),
    "noisy well": Convolved(DoubleWell(), 0.8, 0.3),
    "noisy banana": Convolved(Banana(), 0.8, 0.05),
    "noisy funnel": Convolved(Funnel(), 0.8, 1.0),
    "noisy ring": Convolved(Ring(), 0.8, 0.05),
    "diffused": diffused(MIXTURE, VP(), 0.2),
}


def test_kronrod_rule_is_exact_to_its_degree():
    for degree in range(32):
        truth = 2 / (degree + 1) if degree % 2 == 0 else 0.0
        # 21 products of numbers below one.
        assert abs(WEIGHTS @ NODES**degree - truth) < 21 * EPS
    assert abs(WEIGHTS @ NODES**32 - 2 / 33) > 1e-12


KNOWN = [
    (lambda x: np.exp(-0.5 * x * x), -math.inf, math.inf, (), math.sqrt(2 * math.pi)),
    (lambda x: 1 / (1 + x * x), -math.inf, math.inf, (), math.pi),
    (lambda x: (1 + np.abs(x)) ** -2.5, -math.inf, math.inf, (0.0,), 4 / 3),
    (lambda x: np.exp(-x), 0.0, math.inf, (), 1.0),
    (lambda x: np.exp(x), -math.inf, 1.0, (), math.e),
    (lambda x: np.abs(x - 1 / 3), 0.0, 1.0, (), 5 / 18),
    (lambda x: np.where(x > 0.3, 1.0, 0.0), 0.0, 1.0, (), 0.7),
    (lambda x: np.where(x > 0.3, 1.0, 0.0), 0.0, 1.0, (0.3,), 0.7),
    (lambda x: 1 / np.sqrt(x), 0.0, 1.0, (), 2.0),
    (lambda x: np.cos(40 * x), 0.0, 2.0, (), math.sin(80.0) / 40),
    (
        lambda x: np.exp(-0.5 * ((x - 7) / 1e-3) ** 2),
        0.0,
        20.0,
        (7.0,),
        1e-3 * math.sqrt(2 * math.pi),
    ),
]


@pytest.mark.parametrize("case", range(len(KNOWN)))
def test_reported_error_bounds_the_true_one(case):
    f, low, high, breaks, truth = KNOWN[case]
    got = integrate(f, low, high, breaks=breaks)
    assert abs(got.value - truth) <= got.error
    # Forty halvings leave 2^-20 of an inverse square root.
    assert got.error < 2e-6 and got.evaluations > 0


def test_columns_and_nan():
    got = integrate(lambda x: np.stack([np.ones_like(x), x], axis=-1), 0.0, 3.0)
    assert np.abs(got.value - [3.0, 4.5]).max() <= got.error.max()
    bad = integrate(lambda x: np.where(x > 2.9, np.inf, x), 0.0, 3.0)
    assert math.isnan(bad.value) and math.isnan(bad.error)
    for law in (MIXTURE, LAWS["ring"], LAWS["logistic"]):
        lost = expectation(lambda x: np.where(x[:, 0] > 0.1, np.nan, 1.0), law)
        assert math.isnan(lost.value) and math.isnan(lost.error)


def moments(x):
    square = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    return np.concatenate([np.ones((len(x), 1)), x, square], axis=1)


@pytest.mark.parametrize("name", LAWS)
def test_moments(name):
    law = LAWS[name]
    got = expectation(moments, law)
    mean, covariance = np.asarray(law.mean), np.asarray(law.covariance)
    truth = np.concatenate([[1.0], mean, (covariance + np.outer(mean, mean)).ravel()])
    # Densities of convolved laws carry 1e-12 of their own; closed moments their rounding.
    slack = 2e-12 * (1 + np.abs(truth))
    assert (np.abs(got.value - truth) <= got.error + slack).all()
    assert (got.error <= 1e-8 * (1 + np.abs(truth))).all()
    wrong = truth * 1.01
    assert (np.abs(got.value - wrong) > got.error + slack).any()


@pytest.mark.parametrize(
    "name", [n for n in LAWS if n not in ("noisy well", "noisy banana", "noisy funnel")]
)
def test_integration_by_parts(name):
    """``E |s|^2 + E div s = 0`` for laws without kinks, and not for wrong scores."""
    law = LAWS[name]

    def terms(x):
        square, divergence = (law.score(x) ** 2).sum(axis=1), law.divergence(x)
        return np.stack(
            [
                square + divergence,
                1.01**2 * square + 1.01 * divergence,
                square - divergence,
                square,
            ],
            axis=1,
        )

    got = expectation(terms, law)
    slack = got.error + 4e-12 * got.value[3]
    assert abs(got.value[0]) <= slack[0]
    assert got.error[3] < 1e-7 * got.value[3]
    # Mutants: the score off by one per cent, and with its sign flipped.
    assert abs(got.value[1]) > slack[1] and abs(got.value[2]) > slack[2]


def test_kinks_leave_what_their_docstrings_say():
    laplace = Laplace(0.7, 0.45)
    got = expectation(lambda x: laplace.score(x)[:, 0] ** 2 + laplace.divergence(x), laplace)
    assert abs(got.value - 1 / 0.45**2) <= got.error + 8 * EPS / 0.45**2
    uniform = Uniform(-0.6, 2.1)
    got = expectation(lambda x: np.exp(x[:, 0]), uniform)
    truth = (math.exp(2.1) - math.exp(-0.6)) / 2.7
    assert abs(got.value - truth) <= got.error


def test_a_jump_is_slow_and_says_so():
    """A discontinuity that no panel knows: the error that is reported stays above the one made."""
    truth = 0.5 * math.erfc(0.3 / math.sqrt(2))
    for law in (Gaussian([0.0], [1.0]), Gaussian([0.0, 0.0], [1.0, 1.0])):
        got = expectation(lambda x: (x[:, 0] > 0.3).astype(float), law)
        assert abs(got.value - truth) <= 10 * got.error
        assert got.error > 1e-9


def test_point_masses():
    law = PointMasses([[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]], [0.2, 0.3, 0.5])
    got = expectation(moments, law)
    assert np.abs(got.value[1:3] - law.mean).max() <= got.error.max()
    noisy = diffused(law, VP(), 0.3)
    got = expectation(moments, noisy)
    assert np.abs(got.value[1:3] - noisy.mean).max() <= got.error.max() + 4 * EPS


def test_heavy_tails_without_moments():
    law = StudentT(1.5, 0.4, 1.3)
    got = expectation(lambda x: np.tanh(x[:, 0] - 0.4), law)
    assert abs(got.value) <= got.error + 1e-14
    mass = expectation(lambda x: np.ones(len(x)), law)
    assert abs(mass.value - 1) <= mass.error


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: integrate(np.exp, 1.0, 0.0), "high: got 0"),
        (lambda: integrate(np.exp, 0.0, math.nan), "high: got nan"),
        (lambda: integrate(np.exp, width=0.0), "width: got 0"),
        (lambda: integrate(lambda x: 1.0, 0.0, 1.0), "f: got values of shape"),
        (lambda: expectation(np.exp, Gaussian([0.0] * 3, [1.0] * 3)), "law: got dimension 3"),
        (lambda: expectation(lambda x: x[:1], MIXTURE), "f: got values of shape"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
