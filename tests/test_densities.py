"""The laws of one and two dimensions against autograd, quadrature, mpmath and their own draws."""

from __future__ import annotations

import itertools
import math

import array_api_strict
import mpmath as mp
import numpy as np
import pytest
import torch
from scipy import integrate, special
from scoreproof.theory import (
    Banana,
    DoubleWell,
    Energy,
    Funnel,
    Laplace,
    Logistic,
    Ring,
    StudentT,
    Uniform,
)
from scoreproof.theory.protocols import Distribution, Transportable

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
LAWS = LINE | PLANE
EPS = np.finfo(float).eps


def points(law, n=64):
    rng = np.random.default_rng(5)
    x = law.transport(rng.random(n), rng.standard_normal((n, law.dim)))
    return np.asarray(x)


def autograd(law, x):
    """Gradient of ``log_prob`` and Jacobian of ``score``, by torch."""
    y = torch.tensor(x, requires_grad=True)
    (gradient,) = torch.autograd.grad(law.log_prob(y).sum() + 0 * y.sum(), y)
    score = law.score(y) + 0 * y
    rows = [
        torch.autograd.grad(score[:, i].sum(), y, retain_graph=True)[0] for i in range(law.dim)
    ]
    return gradient.numpy(), torch.stack(rows, 1).numpy()


def disagreement(value, truth):
    """Largest difference relative to the size of the whole field at the point."""
    axes = tuple(range(1, truth.ndim))
    size = np.sqrt((truth**2).sum(axis=axes)) + 1
    return float((np.sqrt(((value - truth) ** 2).sum(axis=axes)) / size).max())


# Each derivative is a polynomial of degree < 8 in numbers below 30, formed in fewer than 64 operations.
ROUNDING = 64 * 30 * EPS


@pytest.mark.parametrize("name", LAWS)
def test_score_and_hessian_are_the_derivatives(name):
    law = LAWS[name]
    x = points(law)
    gradient, jacobian = autograd(law, x)
    assert disagreement(law.score(x), gradient) < ROUNDING
    assert disagreement(law.hessian(x), jacobian) < ROUNDING
    trace = np.trace(jacobian, axis1=1, axis2=2)[:, None]
    assert disagreement(law.divergence(x)[:, None], trace) < ROUNDING


@pytest.mark.parametrize("name", [n for n in LAWS if n != "uniform"])
@pytest.mark.parametrize("factor", [-1.0, 1.01])
def test_mutants_of_the_score_are_caught(name, factor):
    law = LAWS[name]
    x = points(law)
    assert disagreement(factor * law.score(x), autograd(law, x)[0]) > 1e3 * ROUNDING


@pytest.mark.parametrize("name", LAWS)
def test_far_tails_are_finite_and_consistent(name):
    law = LAWS[name]
    if name == "uniform":
        return
    x = np.asarray(law.mean) + 40 * np.sqrt(np.diag(law.covariance)) * np.array([[1.0], [-1.0]])
    assert np.isfinite(law.log_prob(x)).all()
    gradient, jacobian = autograd(law, x)
    # Relative now: entries reach 1e8, so the size of the field carries the bound.
    assert disagreement(law.score(x), gradient) < ROUNDING
    assert disagreement(law.hessian(x), jacobian) < ROUNDING


@pytest.mark.parametrize("name", LAWS)
def test_every_library_gives_the_same_numbers(name):
    law = LAWS[name]
    x = points(law, 7).reshape(7, 1, law.dim)
    strict, tensor = array_api_strict.asarray(x), torch.tensor(x)
    for method in ("log_prob", "score", "hessian", "divergence"):
        here = getattr(law, method)(x)
        # Elementary functions of the libraries differ by up to 4 ulp each.
        slack = 64 * EPS * (1 + np.abs(here))
        assert (np.abs(np.asarray(getattr(law, method)(strict)) - here) <= slack).all()
        assert (np.abs(getattr(law, method)(tensor).numpy() - here) <= slack).all()
        half = getattr(law, method)(tensor.to(torch.float32))
        assert half.dtype == torch.float32
        empty = getattr(law, method)(torch.empty((3, law.dim), device="meta"))
        assert empty.device.type == "meta" and tuple(empty.shape) == (3, *here.shape[2:])
    assert isinstance(law, Distribution) and isinstance(law, Transportable)


def line_integral(law, g, low=-math.inf, high=math.inf):
    low, high = max(low, law.support[0]), min(high, law.support[1])
    cuts = [low, *(b for b in (*law.breaks, float(law.quantile(0.5)[0])) if low < b < high), high]
    density = lambda s: g(s) * math.exp(float(law.log_prob(np.array([s]))))  # noqa: E731
    parts = [
        integrate.quad(density, a, b, epsabs=1e-13, epsrel=1e-11, limit=400)
        for a, b in itertools.pairwise(cuts)
    ]
    return sum(p[0] for p in parts), sum(p[1] for p in parts) + 1e-12


@pytest.mark.parametrize("name", LINE)
def test_mass_and_moments_of_the_line(name):
    law = LINE[name]
    centre = float(law.mean[0])
    for g, truth in (
        (lambda s: 1.0, 1.0),
        (lambda s: s - centre, 0.0),
        (lambda s: (s - centre) ** 2, float(law.covariance[0, 0])),
    ):
        value, error = line_integral(law, g)
        assert abs(value - truth) <= 2 * error


def plane_sum(law, step):
    """Trapezoidal sums of mass and moments; spectrally exact for smooth densities that decay."""
    if isinstance(law, Funnel):
        # In t = (x_2 - location) exp(-x_1 / 2) the window is the same at every x_1.
        first = np.arange(-13, 13, step) * 1.2 + law.location[0]
        t = np.arange(-13, 13, step)
        second = law.location[1] + np.exp(first[:, None] / 2) * t
        cell = 1.2 * step**2 * np.exp(first[:, None] / 2)
    else:
        first = np.arange(-13, 13, step * 0.3)[:, None]
        second, cell = np.arange(-130, 14, step * 0.3), 0.09 * step**2
    x = np.stack(np.broadcast_arrays(np.reshape(first, (-1, 1)), second), axis=-1)
    weight = np.exp(law.log_prob(x)) * cell
    mean = np.einsum("ij,ijk->k", weight, x)
    off = x - law.mean
    return weight.sum(), mean, np.einsum("ij,ijk,ijl->kl", weight, off, off)


@pytest.mark.parametrize("name", PLANE)
def test_mass_and_moments_of_the_plane(name):
    law = PLANE[name]
    mass, mean, covariance = plane_sum(law, 0.25)
    coarse = plane_sum(law, 0.35)
    # Error of the finer sum: far below its difference from the coarser one; 1e-11 bounds the rounding
    # of a million terms and the window.
    for fine, rough, truth in zip(
        (mass, mean, covariance), coarse, (1.0, law.mean, law.covariance), strict=True
    ):
        assert np.abs(fine - truth).max() <= np.abs(fine - rough).max() + 1e-11
        assert np.abs(fine - rough).max() < 1e-6


def test_double_well_constant_is_refined():
    assert PLANE["double well"].normalisation_error < 1e-14


@pytest.mark.parametrize("name", LINE)
def test_cdf_is_the_integral_and_quantile_its_inverse(name):
    law = LINE[name]
    for u in (0.003, 0.2, 0.5, 0.77, 0.999):
        x = law.quantile(u)
        assert x.shape == (1,)
        # Derivative of the cdf times the rounding of x, and that of the cdf itself.
        slack = 8 * EPS * (1 + abs(float(x[0])) * math.exp(float(law.log_prob(x))))
        assert abs(float(law.cdf(x)) - u) <= slack
        value, error = line_integral(law, lambda s: 1.0, high=float(x[0]))
        assert abs(value - u) <= 2 * error
    assert np.isnan(law.quantile(1.5)).all() and np.isnan(law.quantile(np.nan)).all()


@pytest.mark.parametrize("name", LINE)
def test_transport_of_a_midpoint_grid(name):
    law = LINE[name]
    u = (np.arange(1001) + 0.5) / 1001
    x = law.transport(u, np.zeros((1001, 1)))
    assert x.shape == (1001, 1)
    assert np.abs(law.cdf(x) - u).max() < 16 * EPS
    assert np.isfinite(law.transport(np.array([0.0]), np.zeros((1, 1)))).all()


def test_far_lower_tails_keep_their_digits():
    mp.mp.dps = 50
    for z in (-40.0, -600.0):
        laplace = mp.exp(mp.mpf(z)) / 2
        logistic = 1 / (1 + mp.exp(-mp.mpf(z)))
        # The argument is rounded: |z| ulps of the exponential.
        bound = 4 * EPS * abs(z)
        assert abs(float(Laplace(0.0, 1.0).cdf(np.array([z])) / laplace - 1)) < bound
        assert abs(float(Logistic(0.0, 1.0).cdf(np.array([z])) / logistic - 1)) < bound
    for df in (1.0, 2.5, 7.0, 30.5):
        law = StudentT(df, 0.0, 1.0)
        for u in (1e-300, 1e-150, 1e-20, 0.01):
            z = mp.mpf(float(law.quantile(u)[0]))
            half = mp.mpf(df) / 2
            tail = mp.betainc(half, mp.mpf(1) / 2, 0, df / (df + z * z), regularized=True) / 2
            # The tail is z^-df: df ulps of z, with the accuracy of the special function, 1e-14.
            assert abs(float(tail / mp.mpf(u) - 1)) < 1e-14 * (df + 4) + 700 * EPS * df


@pytest.mark.parametrize("name", ["banana", "funnel"])
def test_transport_has_the_density(name):
    """``log p(T(z)) = log N(z; 0, I) - log |det T'(z)|``, exactly."""
    law = PLANE[name]
    z = np.random.default_rng(1).standard_normal((200, 2)) * 2
    x = law.transport(np.zeros(200), z)
    _, variance = law.second(x[:, 0])
    jacobian = math.log(law.std[0]) + 0.5 * np.log(variance[0])
    truth = -0.5 * (z**2).sum(axis=1) - math.log(2 * math.pi) - jacobian
    # z comes back from x with an absolute error of about |x| eps / std, which log p multiplies by |z|.
    noise = EPS * (np.abs(x).sum(axis=1) + 4) / np.sqrt(variance[0]) * 8 * (1 + np.abs(z).max())
    assert (np.abs(law.log_prob(x) - truth) <= noise * 4).all()
    tensor = law.transport(torch.zeros(200), torch.tensor(z))
    assert np.abs(tensor.numpy() - x).max() < 1e-13 * np.abs(x).max()


def test_transport_of_the_double_well():
    law = PLANE["double well"]
    for u in (1e-12, 0.03, 0.4, 0.8, 1 - 1e-9):
        x = law.transport(np.array([u]), np.array([[0.3, -1.7]]))[0]
        assert x[1] == law.location[1] - 1.7 * law.std
        side = (-np.inf, x[0]) if u < 0.5 else (x[0], np.inf)
        low, high = np.clip(side, -4.0, 5.0)
        tail, error = integrate.quad(
            lambda s: math.exp(float(law.first(np.array(s))[0])), low, high, epsrel=1e-12
        )
        # Relative in the nearer tail: quantiles there must not be rounded to the panel.
        assert abs(tail / min(u, 1 - u) - 1) < 1e-10 + error / min(u, 1 - u)


def test_transport_of_the_ring():
    law = PLANE["ring"]
    for u in (1e-10, 0.2, 0.5, 0.9, 1 - 1e-9):
        x = law.transport(np.array([u]), np.array([[0.6, -0.8]]))[0]
        off = x - np.array(law.centre)
        r = float(np.linalg.norm(off))
        assert np.abs(off / r - [0.6, -0.8]).max() < 8 * EPS / min(r, 1)
        density = lambda s: 2 * math.pi * s * math.exp(float(law.log_radius(np.array(s))[0]))  # noqa: E731
        low, high = (0.0, r) if u < 0.5 else (r, 6.0)
        tail, _ = integrate.quad(density, low, high, epsrel=1e-12, epsabs=0)
        # r^2 is found from r^2 / tau to rounding: near the centre that is eps alpha / u of the mass.
        assert abs(tail / min(u, 1 - u) - 1) < 1e-10 + 100 * EPS / min(u, 1 - u)


@pytest.mark.statistical
@pytest.mark.parametrize("name", LAWS)
def test_draws_have_the_moments(name):
    """A sanity check: 6 standard errors, 2e-9 a comparison by the central limit theorem."""
    law = LAWS[name]
    rng = np.random.default_rng(11)
    n = 40_000
    x = np.asarray(law.transport(rng.random(n), rng.standard_normal((n, law.dim))))
    error = np.sqrt(np.diag(law.covariance) / n)
    assert (np.abs(x.mean(axis=0) - law.mean) < 6 * error).all()
    if name != "student":  # its fourth moment is infinite
        off = (x - law.mean) ** 2
        spread = off.std(axis=0) / math.sqrt(n)
        assert (np.abs(off.mean(axis=0) - np.diag(law.covariance)) < 6 * spread).all()


def test_conventions_at_kinks_and_ends():
    laplace, uniform = LINE["laplace"], LINE["uniform"]
    assert laplace.score(np.array([0.7]))[0] == 0
    off = np.array([[-0.7], [2.2]])
    assert (uniform.log_prob(off) == -np.inf).all() and np.isnan(uniform.score(off)).all()
    assert (uniform.score(np.array([[0.1], [2.0]])) == 0).all()
    for law in LAWS.values():
        nan = np.full((1, law.dim), np.nan)
        assert np.isnan(law.log_prob(nan)).all() and np.isnan(law.score(nan)).all()
        assert np.isnan(law.divergence(nan)).all() and np.isnan(law.hessian(nan)).any()


def test_moments_of_heavy_tails_are_refused():
    with pytest.raises(ValueError, match=r"df: got 1, .*median"):
        _ = StudentT(1.0, 0.0, 1.0).mean
    with pytest.raises(ValueError, match=r"df: got 2, .*quantiles"):
        _ = StudentT(2.0, 0.0, 1.0).covariance


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: Laplace(0.0, 0.0), "scale"),
        (lambda: Laplace(float("nan"), 1.0), "location"),
        (lambda: Logistic(0.0, -2.0), "scale"),
        (lambda: StudentT(-1.0, 0.0, 1.0), "df"),
        (lambda: StudentT(3.0, [0.0], 1.0), "location"),
        (lambda: Uniform(1.0, 1.0), "high"),
        (lambda: Uniform(0.0, float("inf")), "high"),
        (lambda: DoubleWell(0.0), "height"),
        (lambda: DoubleWell(location=(0.0, 1.0, 2.0)), "location"),
        (lambda: Banana(std=(1.0, 0.0)), "std"),
        (lambda: Banana(bend="x"), "bend"),
        (lambda: Funnel(float("nan")), "std"),
        (lambda: Ring(1.0, -0.1), "width"),
        (lambda: Ring(centre=(0.0, float("inf"))), "centre"),
    ],
)
def test_bad_parameters_name_the_argument(make, argument):
    with pytest.raises(ValueError, match=rf"^{argument}: got .*wanted .*;"):
        make()


@pytest.mark.parametrize("name", LAWS)
def test_wrong_shapes_are_refused(name):
    law = LAWS[name]
    for method in ("log_prob", "score", "hessian", "divergence"):
        with pytest.raises(ValueError, match="x: got shape"):
            getattr(law, method)(np.zeros((4, law.dim + 1)))


def quartic(x):
    """``(x_1^2 - 1)^2 + x_1 x_2 / 2 + 2 x_2^2``, in any library."""
    a, b = x[..., 0], x[..., 1]
    return (a**2 - 1) ** 2 + 0.5 * a * b + 2 * b**2


def quartic_gradient(x):
    a, b = x[..., 0], x[..., 1]
    return np.stack([4 * a * (a**2 - 1) + 0.5 * b, 0.5 * a + 4 * b], axis=-1)


def test_energy_derivatives_by_three_routes():
    x = np.random.default_rng(2).standard_normal((30, 2)) * 1.5
    given = Energy(quartic, 2, gradient=quartic_gradient)
    plain = Energy(quartic, 2)
    truth = -quartic_gradient(x)
    assert np.array_equal(given.score(x), truth)
    assert np.array_equal(given.log_density(x), -quartic(x))
    tensor = torch.tensor(x, requires_grad=True)
    assert disagreement(plain.score(tensor).detach().numpy(), truth) < ROUNDING
    second = plain.divergence(tensor)
    (third,) = torch.autograd.grad(second.sum(), tensor)
    # div score = -(12 a^2 - 4) - 4, so its gradient is (-24 a, 0): gradients pass through.
    assert disagreement(third.numpy(), np.stack([-24 * x[:, 0], 0 * x[:, 0]], -1)) < ROUNDING
    # A quartic has no fifth derivative: only rounding is left, 2e-16 |E| / h.
    rounding = 4 * EPS * (np.abs(quartic(x)) + 10)[:, None] / 1e-3
    assert (np.abs(plain.score(x) - truth) <= rounding).all()
    assert (np.abs(plain.score(x) - truth) <= plain.score_error(x) + rounding).all()
    exact = np.zeros((30, 2, 2))
    exact[:, 0, 0], exact[:, 1, 1] = -(12 * x[:, 0] ** 2 - 4), -4.0
    exact[:, 0, 1] = exact[:, 1, 0] = -0.5
    assert disagreement(given.hessian(x), exact) < 1e-10  # 4 eps |gradient| / h, as above
    assert np.array_equal(given.divergence(x), np.trace(given.hessian(x), axis1=1, axis2=2))
    assert disagreement(plain.hessian(torch.tensor(x)).numpy(), exact) < ROUNDING
    assert not plain.score(torch.tensor(x)).requires_grad


def test_energy_refusals():
    plain = Energy(quartic, 2)
    x = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"log_prob: got an Energy.*log_density"):
        plain.log_prob(x)
    with pytest.raises(ValueError, match=r"gradient: got none.*pass gradient="):
        plain.score(array_api_strict.asarray(x))
    with pytest.raises(ValueError, match="energy: got an answer of shape"):
        Energy(lambda y: y, 2).log_density(x)
    with pytest.raises(ValueError, match="gradient: got an answer of shape"):
        Energy(quartic, 2, gradient=quartic).score(x)
    with pytest.raises(ValueError, match="energy: got int"):
        Energy(3, 2)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="dim: got 0"):
        Energy(quartic, 0)
    assert not hasattr(plain, "transport")


def test_truncated_normal_moment_of_the_ring():
    law = PLANE["ring"]
    alpha = law.radius / (2 * law.width)
    hazard = math.exp(-0.5 * alpha**2) / math.sqrt(2 * math.pi) / special.ndtr(alpha)
    second = law.radius**2 + 2 * law.radius * law.width * hazard
    assert law.covariance[0, 0] == pytest.approx(second / 2, rel=8 * EPS)
