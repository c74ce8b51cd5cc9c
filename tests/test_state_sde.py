"""Diffusions with state-dependent noise: the divergence of D, the reversal, and the solvable problems."""

from __future__ import annotations

import math
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest
import torch
from scipy.integrate import quad, solve_ivp
from scoreproof.theory import (
    CIR,
    SDE,
    VP,
    Gamma,
    GaussianMixture,
    GeometricBrownian,
    LogNormal,
    StudentDiffusion,
    marginal,
    probability_flow,
    reverse_drift,
)

GBM = GeometricBrownian(0.3, 0.6, t_max=2.0)
ROOT = CIR(1.5, 1.2, 0.9)
STUDENT = StudentDiffusion(1.0, 0.8, 0.6, 0.7)
#: diffusion, law of x_0, points, and a time
SOLVABLE = {
    "geometric": (GBM, LogNormal(1.3, 0.4), np.array([0.2, 0.7, 1.1, 2.5, 6.0]), 0.8),
    "cir": (ROOT, Gamma(ROOT.shape, 0.6), np.array([0.1, 0.5, 1.2, 2.2, 4.0]), 0.3),
    "student": (STUDENT, STUDENT.stationary, np.array([-4.0, -0.6, 0.7, 1.9, 5.5]), 0.5),
}
NAMES = sorted(SOLVABLE)
PLANE = GaussianMixture(
    [0.35, 0.65],
    [[1.5, -0.4], [-0.8, 1.1]],
    [[[0.5, 0.3], [0.3, 0.4]], [[1.2, -0.2], [-0.2, 0.3]]],
)
LAWS = {
    "lognormal": LogNormal(1.3, 0.7),
    "gamma": Gamma(2.6, 0.8),
    "gamma-steep": Gamma(1.0, 0.5),
}


def matrix_noise(x, t):
    """A 2 x 3 matrix that depends on both coordinates and on time."""
    xp: Any = torch if isinstance(x, torch.Tensor) else np
    a, b = x[..., 0], x[..., 1]
    one = a * 0 + 1
    rows = [
        [one + 0.3 * xp.sin(a + 2 * b), 0.4 * b, one * 0.2],
        [0.5 * a * b, one * (1 + t), xp.cos(a)],
    ]
    return xp.stack([xp.stack(r, -1) for r in rows], -2)


def matrix_divergence(x, t):
    """``div D`` of :func:`matrix_noise`, by hand."""
    a, b = x[..., 0], x[..., 1]
    s = 1 + 0.3 * np.sin(a + 2 * b)
    c = 0.3 * np.cos(a + 2 * b)
    q = 1 + t
    # D_11 = s^2 + .16 b^2 + .04, D_12 = .5 s a b + .4 b q + .2 cos a, D_22 = .25 a^2 b^2 + q^2 + cos^2 a
    first = 2 * s * c + (0.5 * 2 * c * a * b + 0.5 * s * a + 0.4 * q)
    second = (0.5 * c * a * b + 0.5 * s * b - 0.2 * np.sin(a)) + 0.5 * a**2 * b
    return np.stack([first, second], -1)


def test_divergence_of_a_matrix():
    sde = SDE(lambda x, t: -x, matrix_noise)
    x = np.random.default_rng(0).normal(size=(3, 7, 2)) * 1.4
    exact = matrix_divergence(x, 0.3)
    # Four differences, first step .02 (1 + |x|): the h^8 term leaves 1e-12, rounding 1e-16 * 8 / .0025.
    np.testing.assert_allclose(sde.divergence(x, 0.3), exact, atol=1e-9)
    tensors = sde.divergence(torch.tensor(x), 0.3)
    np.testing.assert_allclose(tensors.numpy(), exact, atol=1e-13)
    single = sde.divergence(x.astype(np.float32), 0.3)
    assert single.dtype == np.float32
    assert np.abs(single - exact).max() < 5e-3
    given = SDE(lambda x, t: -x, matrix_noise, divergence=matrix_divergence)
    np.testing.assert_array_equal(given.divergence(x, 0.3), exact)


def test_shapes_of_the_noise():
    x = np.random.default_rng(0).normal(size=(5, 2))
    pull = np.random.default_rng(1).normal(size=(5, 2))
    number = SDE(lambda x, t: -x, lambda x, t: 0.7)
    rows = SDE(lambda x, t: -x, lambda x, t: 1 + x[..., 0] ** 2)
    diagonal = SDE(lambda x, t: -x, lambda x, t: 1 + x**2)
    matrix = SDE(lambda x, t: -x, matrix_noise)
    np.testing.assert_allclose(number.spread(x, 0.1, pull), 0.49 * pull)
    np.testing.assert_allclose(rows.spread(x, 0.1, pull), (1 + x[:, :1] ** 2) ** 2 * pull)
    np.testing.assert_allclose(diagonal.spread(x, 0.1, pull), (1 + x**2) ** 2 * pull)
    s = matrix_noise(x, 0.1)
    dense = np.einsum("nim,njm,nj->ni", s, s, pull)
    np.testing.assert_allclose(matrix.spread(x, 0.1, pull), dense, atol=1e-13)
    np.testing.assert_array_equal(number.divergence(x, 0.1), 0 * x)
    hand = np.stack([4 * x[:, 0] * (1 + x[:, 0] ** 2), 0 * x[:, 0]], 1)
    np.testing.assert_allclose(rows.divergence(x, 0.1), hand, atol=1e-8)
    np.testing.assert_allclose(diagonal.divergence(x, 0.1), 4 * x * (1 + x**2), atol=1e-8)


def equilibrium(noise):
    """The reversible diffusion with stationary law PLANE and any noise: ``b = (div D + D s)/2``."""
    bare = SDE(lambda x, t: x * 0, noise)
    return SDE(
        lambda x, t: 0.5 * (bare.divergence(x, t) + bare.spread(x, t, PLANE.score(x))), noise
    )


@pytest.mark.parametrize("noise", [matrix_noise, lambda x, t: 0.5 + x**2, lambda x, t: 0.8])
def test_a_reversible_diffusion_does_not_flow(noise):
    sde = equilibrium(noise)
    x = torch.tensor(np.random.default_rng(5).normal(size=(9, 2)))
    score = lambda y, t: PLANE.score(y)  # noqa: E731
    b = sde.drift(x, 0.2)
    assert float(b.abs().max()) > 1
    # Rounding of D s, some 100.
    assert float(probability_flow(score, sde)(x, 0.2).abs().max()) < 1e-12
    np.testing.assert_allclose(reverse_drift(score, sde)(x, 0.2), -b, atol=1e-12)


def defect(sde, law, t, drift, share, x) -> float:
    """``d_t p + (b p)' + (share/2)(D p)''`` over p, relative to its largest term; derivatives by autograd."""
    y = torch.tensor(x[:, None], requires_grad=True)

    def slope(field):
        return torch.autograd.grad(field.sum(), y, create_graph=True)[0]

    def density(r):
        return sde.marginal(law, r).log_prob(y).exp()[:, None]

    def change(h):
        return ((density(t + h) - density(t - h)) / (2 * h)).detach()

    h = 0.01 * t
    first, second, third = (change(h / 2**k) for k in range(3))
    rate = (16 * (4 * third - second) / 3 - (4 * second - first) / 3) / 15
    p = density(t)
    spread = 0.5 * slope(slope(sde.diffusion(y, t) ** 2 * p)).detach()
    moved = slope(drift(y, t) * p).detach()
    rest = (rate + moved + share * spread) / p.detach()
    size = (torch.stack([rate, moved, spread]) / p.detach()).abs().max()
    return float(rest.abs().max() / size)


@pytest.mark.parametrize("name", NAMES)
def test_marginals_solve_their_equation_forward_and_backward(name):
    sde, law, x, t = SOLVABLE[name]
    # Richardson leaves 1e-9 of the largest term.
    assert defect(sde, law, t, sde.drift, -1.0, x) < 1e-7
    for eta in (0.0, 0.7, 1.0):
        assert defect(sde, law, t, reverse_drift(law, sde, eta), eta**2, x) < 1e-7


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kept", [(1.0, 0.0), (0.5, 1.0), (1.0, -1.0), (0.5, 0.0)])
def test_wrong_reversals_are_refused(name, kept):
    sde, law, x, t = SOLVABLE[name]

    def drift(y, r):
        s = sde.marginal(law, r).score(y)
        return sde.drift(y, r) - kept[0] * sde.spread(y, r, s) - kept[1] * sde.divergence(y, r)

    assert defect(sde, law, t, drift, 1.0, x) > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_closed_divergence_agrees_with_the_derivative(name):
    sde, _, x, t = SOLVABLE[name]
    bare = SDE(sde._drift, sde._diffusion)
    points = np.abs(x[:, None]) + 0.5
    for y, slack in ((points, 1e-8), (torch.tensor(points), 1e-13)):
        want, got = sde.divergence(y, t), bare.divergence(y, t)
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), atol=slack)


@pytest.mark.parametrize("name", ["geometric", "cir"])
def test_the_flow_carries_quantiles(name):
    sde, law, _, _ = SOLVABLE[name]
    u = np.array([0.02, 0.3, 0.5, 0.9, 0.99])
    start, end = sde.marginal(law, 1.0).quantile(u), sde.marginal(law, 0.05).quantile(u)
    flow = probability_flow(law, sde)
    out = solve_ivp(
        lambda t, y: flow(y[:, None], float(t))[:, 0],
        (1.0, 0.05),
        start[:, 0],
        method="DOP853",
        rtol=1e-10,
        atol=1e-12,
    ).y[:, -1]
    np.testing.assert_allclose(out, end[:, 0], rtol=1e-8)


def test_cir_against_its_moments():
    """``m' = k (l - m)``, ``(m_2)' = 2 k l m - 2 k m_2 + s^2 m`` from the generator."""
    law = Gamma(ROOT.shape, 0.6)
    m, second = law.mean[0], law.covariance[0, 0] + law.mean[0] ** 2
    out = solve_ivp(
        lambda t, y: [
            1.5 * (1.2 - y[0]),
            2 * 1.5 * 1.2 * y[0] - 3 * y[1] + 0.81 * y[0],
        ],
        (0, 0.7),
        [m, second],
        rtol=1e-12,
        atol=1e-14,
        method="DOP853",
    ).y[:, -1]
    end = ROOT.marginal(law, 0.7)
    assert end.mean[0] == pytest.approx(out[0], rel=1e-10)
    assert end.covariance[0, 0] + end.mean[0] ** 2 == pytest.approx(out[1], rel=1e-10)


@pytest.mark.parametrize("name", sorted(LAWS))
def test_positive_laws(name):
    p = LAWS[name]
    integral = quad(
        lambda v: math.exp(p.log_prob(np.array([v]))), 0, 60, points=[0.3, 2], limit=400
    )
    assert integral[0] == pytest.approx(1, abs=1e-7)
    first = quad(
        lambda v: v * math.exp(p.log_prob(np.array([v]))), 0, 90, points=[0.3, 2], limit=400
    )
    assert first[0] == pytest.approx(p.mean[0], rel=1e-5)
    x = np.array([[0.05], [0.4], [1.7], [6.0]])
    y = torch.tensor(x, requires_grad=True)
    (s,) = torch.autograd.grad(p.log_prob(y).sum(), y, create_graph=True)
    np.testing.assert_allclose(s.detach().numpy(), p.score(x), rtol=1e-12)
    if s.requires_grad and name != "gamma-steep":
        (h,) = torch.autograd.grad(s.sum(), y)
        np.testing.assert_allclose(h.numpy()[:, 0], p.divergence(x), rtol=1e-11, atol=1e-13)
    u = np.array([1e-6, 0.1, 0.5, 0.99])
    np.testing.assert_allclose(p.cdf(p.quantile(u)), u, rtol=1e-10)
    outside = np.array([[-1.0], [0.0], [np.nan], [1.0]])
    logs = p.log_prob(outside)
    assert logs[0] == logs[1] == -np.inf and np.isnan(logs[2]) and np.isfinite(logs[3])
    assert np.isnan(p.score(outside)[:3]).all() and np.isfinite(p.score(outside)[3]).all()
    assert np.isfinite(p.hessian(x)).all() and p.hessian(x).shape == (4, 1, 1)


@pytest.mark.parametrize("name", NAMES)
def test_every_library_gives_the_numbers(name):
    sde, law, x, t = SOLVABLE[name]
    points = x[:, None].astype(np.float32).astype(float)
    process = reverse_drift(law, sde)
    want = process(points, t)
    for make, slack in (
        (torch.tensor, 1e-12),
        (strict.asarray, 1e-12),
        (lambda a: torch.tensor(a, dtype=torch.float32), 1e-5),
    ):
        y = make(points)
        out = process(y, t)
        assert out.dtype == y.dtype and tuple(out.shape) == points.shape
        np.testing.assert_allclose(np.asarray(out), want, rtol=slack, atol=slack)
        rowwise = process(y, y[:, 0] * 0 + t)
        np.testing.assert_allclose(np.asarray(rowwise), want, rtol=10 * slack, atol=10 * slack)
    y = torch.tensor(points, requires_grad=True)
    (g,) = torch.autograd.grad(process(y, t).sum(), y)
    assert torch.isfinite(g).all()
    assert sde.drift(torch.empty((3, 1), device="meta"), t).device.type == "meta"


def test_a_linear_diffusion_in_the_general_form():
    vp, t = VP(), 0.4
    sde = SDE(lambda x, r: vp.drift(r) * x, lambda x, r: vp.diffusion(r))
    x = np.random.default_rng(5).normal(size=(6, 2))
    score = lambda y, r: marginal(PLANE, vp, float(r)).score(y)  # noqa: E731
    for eta in (0.0, 1.0, 2.0):
        linear, general = reverse_drift(PLANE, vp, eta), reverse_drift(score, sde, eta)
        np.testing.assert_allclose(general(x, t), linear(x, t), rtol=1e-12, atol=1e-12)
        assert general.noise(x, t) == pytest.approx(linear.noise(t))


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: SDE(1.0, lambda x, t: x), "drift"),  # pyright: ignore
        (lambda: SDE(lambda x, t: x, lambda x, t: x, divergence=3), "divergence"),  # pyright: ignore
        (lambda: SDE(lambda x, t: x, lambda x, t: x, t_max=0), "t_max"),
        (lambda: SDE(lambda x, t: x[:2], lambda x, t: x).drift(np.ones((3, 2)), 0.1), "drift"),
        (
            lambda: SDE(lambda x, t: x, lambda x, t: x[:2]).diffusion(np.ones((3, 2)), 0.1),
            "diffusion",
        ),
        (lambda: SDE(lambda x, t: x, lambda x, t: x).drift(np.ones((3, 2)), np.ones(2)), "t:"),
        (lambda: GBM.drift(np.ones((3, 1)), 2.5), "t:"),
        (lambda: GBM.drift(3.0, 0.5), "x:"),
        (lambda: GBM.marginal(Gamma(1, 1), 0.1), "p:"),  # pyright: ignore
        (lambda: ROOT.marginal(Gamma(1, 1), 0.1), "p:"),
        (lambda: reverse_drift(PLANE, SDE(lambda x, t: x, lambda x, t: x)), "p:"),
        (lambda: reverse_drift(PLANE, 3), "sde:"),  # pyright: ignore
        (lambda: reverse_drift(LogNormal(1, 1), GBM, -1.0), "eta:"),
    ],
)
def test_bad_input(call, named):
    with pytest.raises(ValueError, match=f"{named}.*got .*, wanted .*;"):
        call()
