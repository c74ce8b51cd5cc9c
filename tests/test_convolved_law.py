"""Convolved laws as laws: distribution functions, draws, diffusion by name, shapes and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate
from scoreproof.numerics import Convolved, diffused, draw
from scoreproof.theory import (
    VE,
    VP,
    Banana,
    DoubleWell,
    Energy,
    Funnel,
    Gaussian,
    GaussianMixture,
    Laplace,
    Logistic,
    Ring,
    StudentT,
    Uniform,
)

LINE = {
    "laplace": Laplace(0.7, 0.45),
    "uniform": Uniform(-0.6, 2.1),
    "logistic": Logistic(-1.2, 0.35),
    "student": StudentT(3.5, 0.4, 1.3),
}
PLANE = {
    "double well": DoubleWell(1.4, 0.6, location=(0.4, -0.7), width=1.3, std=0.6),
    "banana": Banana((0.5, -0.8), (1.3, 0.3), slope=0.4, bend=-0.7),
    "funnel": Funnel(1.2, location=(-0.3, 0.9)),
    "ring": Ring(1.4, 0.3, centre=(0.8, -0.5)),
}
EPS = np.finfo(float).eps


def gap(value, truth, unit):
    """Largest difference in units of the derived error ``unit``; at most one is agreement."""
    return float(np.max(np.abs(value - truth) / unit))


@pytest.mark.parametrize(("a", "v"), [(1.0, 1e-16), (0.8, 0.4), (0.5, 30.0)])
@pytest.mark.parametrize("name", LINE)
def test_cdf_and_quantile(name, a, v):
    law = Convolved(LINE[name], a, v)
    u = np.array([1e-30, 1e-6, 0.03, 0.4, 0.5, 0.8, 1 - 1e-6])
    x = law.quantile(u)
    assert x.shape == (7, 1)
    # The rounding of x moves log F by |x| eps times the hazard, for 8 ulps; the rest is the rounding of F.
    hazard = np.exp(law.log_prob(x)) / np.minimum(law.cdf(x), 1 - law.cdf(x) + EPS)
    side = np.minimum(u, 1 - u)
    unit = side * (16 * EPS * np.abs(x[:, 0]) * hazard + 1e-12) + 4 * EPS
    unit[0] = u[0] * (16 * EPS * np.abs(x[0, 0]) * hazard[0] + 1e-12)
    assert gap(law.cdf(x), u, unit) < 1
    # Sides of the midpoint must not be mixed up: differences are integrals of the density.
    if v > 1e-3:
        for i, j in ((1, 2), (2, 3), (3, 5)):
            value, error = integrate.quad(
                lambda s: math.exp(float(law.log_prob(np.array([s])))),
                x[i, 0],
                x[j, 0],
                epsrel=1e-10,
            )
            assert abs(value - (u[j] - u[i])) <= 4 * error + 1e-11
    assert law.quantile(0.0)[0] == -np.inf and law.quantile(1.0)[0] == np.inf


@pytest.mark.statistical
@pytest.mark.parametrize("name", LINE)
def test_draws_follow_the_cdf(name):
    """Dvoretzky-Kiefer-Wolfowitz with Massart's constant at false alarm 1e-9."""
    law = Convolved(LINE[name], 0.8, 0.2)
    n = 20_000
    x = draw(law, n, rng=np.random.default_rng(21))
    u = np.sort(law.cdf(x))
    radius = math.sqrt(math.log(2 / 1e-9) / (2 * n))
    grid = (np.arange(n) + 1) / n
    assert np.maximum(np.abs(grid - u), np.abs(grid - 1 / n - u)).max() < radius
    wrong = np.sort(Convolved(LINE[name], 0.8, 1.2).cdf(x))
    assert np.abs(grid - wrong).max() > radius


@pytest.mark.statistical
@pytest.mark.parametrize("name", PLANE)
def test_draws_of_the_plane_have_the_moments(name):
    """6 standard errors: 2e-9 a comparison by the central limit theorem."""
    law = Convolved(PLANE[name], 0.8, 0.2)
    n = 20_000
    x = draw(law, n, rng=np.random.default_rng(22))
    assert (np.abs(x.mean(axis=0) - law.mean) < 6 * np.sqrt(np.diag(law.covariance) / n)).all()
    square = (x - law.mean) ** 2
    error = square.std(axis=0) / math.sqrt(n)
    assert (np.abs(square.mean(axis=0) - np.diag(law.covariance)) < 6 * error).all()


def test_diffused_picks_the_form():
    mixture = GaussianMixture([0.3, 0.7], [[0.0], [2.0]], [0.5, 0.2])
    assert isinstance(diffused(mixture, VP(), 0.3).law, GaussianMixture)
    base = LINE["logistic"]
    p = diffused(base, VP(), 0.3)
    kernel = VP().kernel(0.3)
    assert isinstance(p.law, Convolved) and p.base is base
    assert (p.kernel.scale, p.kernel.variance) == (kernel.scale, kernel.variance)
    x = np.array([[-1.0], [0.4]])
    assert np.array_equal(p.score(x), Convolved(base, kernel.scale, kernel.variance).score(x))
    assert np.array_equal(p.denoiser(x), p.law.denoiser(x))
    assert draw(p, 3, rng=np.random.default_rng(0)).shape == (3, 1)
    start = diffused(base, VP(), 0.0)
    assert start.law is base and np.array_equal(start.denoiser(x), x)
    assert draw(start, 3, rng=np.random.default_rng(0)).shape == (3, 1)
    with pytest.raises(ValueError, match="t"):
        diffused(base, VE(), 1.5)


def test_shapes_and_nan():
    law = Convolved(PLANE["ring"], 0.9, 0.1)
    x = np.random.default_rng(0).standard_normal((2, 3, 2))
    x[1, 1, 0] = np.nan
    for method, tail in (
        ("log_prob", ()),
        ("score", (2,)),
        ("hessian", (2, 2)),
        ("divergence", ()),
        ("denoiser", (2,)),
        ("relative_error", ()),
    ):
        got = getattr(law, method)(x)
        assert got.shape == (2, 3, *tail)
        assert np.isnan(got[1, 1]).all() and np.isfinite(np.delete(got.reshape(6, -1), 4, 0)).all()
    assert law.score(np.zeros((0, 2))).shape == (0, 2)
    centre = law.mean[None]
    assert np.array_equal(law.score(centre), np.zeros((1, 2)))
    assert np.isfinite(law.hessian(centre)).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Convolved(Laplace(0, 1), 0.0, 1.0), "scale: got 0"),
        (lambda: Convolved(Laplace(0, 1), 1.0, 0.0), "variance: got 0"),
        (lambda: Convolved(Laplace(0, 1), 1.0, float("nan")), "variance"),
        (lambda: Convolved(Gaussian([0.0], [1.0]), 1.0, 1.0), "base: got Gaussian.*base.diffuse"),
        (lambda: Convolved(Energy(lambda x: x[..., 0], 1), 1.0, 1.0), "base: got Energy"),
        (lambda: Convolved(Laplace(0, 1), 1, 1).score(np.zeros((3, 2))), "x: got shape"),
        (lambda: Convolved(Laplace(0, 1), 1, 1).score(torch.zeros(3, 1)), "x: got Tensor"),
        (lambda: Convolved(Ring(), 1, 1).cdf(np.zeros((3, 2))), "cdf: got a law of dimension 2"),
        (lambda: Convolved(Laplace(0, 1), 1, 1).quantile(1.1), "u: got 1.1"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
