"""The reverse family leaves every marginal where it is: Fokker-Planck, pointwise, by independent derivatives."""

from __future__ import annotations

import math
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scoreproof.theory import (
    EDM,
    OU,
    VE,
    VP,
    Gaussian,
    GaussianMixture,
    StraightPath,
    SubVP,
    gaussian_flow,
    marginal,
    probability_flow,
    reverse_drift,
)

from .examples_sdes import EXAMPLES

EPS = np.finfo(float).eps

SKEWED = GaussianMixture(
    [0.15, 0.6, 0.25],
    [[1.5, -0.4], [-0.8, 2.1], [0.3, 0.2]],
    [[[0.5, 0.3], [0.3, 0.4]], [[1.2, -0.2], [-0.2, 0.1]], [[0.3, 0.0], [0.0, 0.9]]],
)
ONE = GaussianMixture([0.3, 0.7], [[-1.0], [1.7]], [0.2, 0.6])
LAWS = {"plane": SKEWED, "line": ONE}
# Noise of the size of the data, so that no term of the equation is negligible.
SDES = {
    "vp": (VP(), 0.3),
    "sub-vp": (SubVP(), 0.3),
    "cosine": (VP.cosine(), 0.5),
    "ve": (VE(), 0.55),
    "ou": (OU(1.5, 0.7, t_max=2.5), 0.6),
    "edm": (EDM(), 0.9),
    "straight": (StraightPath(), 0.45),
}


def wrong(value: Any) -> Any:
    """An argument of a type that the signature forbids."""
    return value


def points(dim: int) -> np.ndarray:
    """Off-centre points, some far out."""
    return (
        np.random.default_rng(5).normal(0.4, 1.6, size=(12, dim))
        * np.linspace(0.3, 2.5, 12)[:, None]
    )


def fokker_planck_defect(p, sde, t, drift, noise) -> float:
    """``d_t log p + div b + b . s + (noise^2/2)(div s + |s|^2)`` relative to its largest term.

    The time derivative is a Richardson difference of ``log p_t``, the divergence of the drift autograd of
    the drift as it is called, and the score autograd of ``log p_t``: no formula of the score is used.
    """
    x = torch.tensor(points(p.dim)).requires_grad_()
    law = marginal(p, sde, t)
    (score,) = torch.autograd.grad(law.log_prob(x).sum(), x, create_graph=True)

    def divergence(field):
        rows = [
            torch.autograd.grad(field[:, i].sum(), x, retain_graph=True)[0][:, i]
            for i in range(p.dim)
        ]
        return torch.stack(rows).sum(0).detach()

    def change(h):
        ahead, behind = (marginal(p, sde, t + e).log_prob(x.detach()) for e in (h, -h))
        return (ahead - behind) / (2 * h)

    h = 0.01 * t
    first, second, third = (change(h / 2**k) for k in range(3))
    rate = (16 * (4 * third - second) / 3 - (4 * second - first) / 3) / 15
    b = drift(x, t)
    terms = [
        rate,
        divergence(b),
        (b * score).sum(-1).detach(),
        0.5 * noise(t) ** 2 * (divergence(score) + (score**2).sum(-1).detach()),
    ]
    return float(abs(torch.stack(terms).sum(0)).max() / torch.stack(terms).abs().max())


# Richardson: h = t/100 leaves about (20 h)^6 / 1e4 = 1e-9 of the largest term; rounding |log p| EPS / h = 1e-12.
SLACK = 1e-7


@pytest.mark.parametrize("law", sorted(LAWS))
@pytest.mark.parametrize("name", sorted(SDES))
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0, 1.8])
def test_every_member_of_the_family_moves_the_marginals_alike(name, law, eta):
    sde, t = SDES[name]
    process = reverse_drift(LAWS[law], sde, eta)
    assert fokker_planck_defect(LAWS[law], sde, t, process, process.noise) <= SLACK


def test_the_forward_diffusion_satisfies_the_same_check():
    # Forward in time the noise term enters with the other sign: b = f x, noise^2 -> -g^2.
    sde, t = SDES["vp"]
    forward = lambda x, r: sde.drift(r) * x  # noqa: E731
    assert fokker_planck_defect(SKEWED, sde, t, forward, lambda r: 1j * sde.diffusion(r)) <= SLACK


MUTANTS = {
    "half the score": lambda f, g, s, x, eta: f * x - 0.25 * (1 + eta**2) * g**2 * s,
    "wrong sign": lambda f, g, s, x, eta: f * x + 0.5 * (1 + eta**2) * g**2 * s,
    "g not squared": lambda f, g, s, x, eta: f * x - 0.5 * (1 + eta**2) * g * s,
    "no g": lambda f, g, s, x, eta: f * x - 0.5 * (1 + eta**2) * s,
    "no drift": lambda f, g, s, x, eta: -0.5 * (1 + eta**2) * g**2 * s,
    "full score in the flow": lambda f, g, s, x, eta: f * x - g**2 * s,
    "eta not squared": lambda f, g, s, x, eta: f * x - 0.5 * (1 + eta) * g**2 * s,
    "score one per cent off": lambda f, g, s, x, eta: f * x - 0.505 * (1 + eta**2) * g**2 * s,
}


@pytest.mark.parametrize("mutant", sorted(MUTANTS))
@pytest.mark.parametrize("law", sorted(LAWS))
def test_the_check_refuses_wrong_drifts(mutant, law):
    sde, t = SDES["vp"]
    p, eta = LAWS[law], 0.5

    def drift(x, r):
        f, g = sde.drift(r), sde.diffusion(r)
        return MUTANTS[mutant](f, g, marginal(p, sde, r).score(x), x, eta)

    defect = fokker_planck_defect(p, sde, t, drift, lambda r: eta * sde.diffusion(r))
    assert defect > 1e-3


def test_dropping_the_noise_is_refused():
    process = reverse_drift(SKEWED, VP(), 1.0)
    assert fokker_planck_defect(SKEWED, VP(), 0.3, process, lambda r: 0.0) > 1e-3


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_definition_on_every_diffusion(name):
    sde, x = EXAMPLES[name].sde, points(2)
    for part in (0.0, 0.01, 0.37, 1.0):
        t = part * sde.t_max
        s = marginal(SKEWED, sde, t).score(x)
        f, g = sde.drift(t), sde.diffusion(t)
        for eta in (0.0, 0.7):
            want = f * x - 0.5 * (1 + eta**2) * g**2 * s
            got = reverse_drift(SKEWED, sde, eta)(x, t)
            assert np.allclose(got, want, rtol=8 * EPS, atol=8 * EPS * abs(want).max())
    assert probability_flow(SKEWED, sde).eta == 0


LOW_RANK = GaussianMixture.low_rank(
    [0.4, 0.6],
    np.random.default_rng(1).normal(size=(2, 5)),
    np.random.default_rng(2).normal(size=(2, 5, 2)),
    [0.1, 0.3],
)
SHAPES = {
    "full": SKEWED,
    "low rank": LOW_RANK,
    "isotropic": GaussianMixture([0.3, 0.7], [[0.0, 1, 2], [2, -1, 0]], [0.4, 1.5]),
    "diagonal": GaussianMixture([0.3, 0.7], [[0.0, 1], [2, -1]], [[0.4, 1.5], [3, 0.01]]),
    "one": Gaussian([0.7], [[0.3]]),
}


@pytest.mark.parametrize("form", sorted(SHAPES))
def test_one_time_a_row_is_every_row_at_its_time(form):
    p, sde = SHAPES[form], VP()
    x = points(p.dim).reshape(3, 4, p.dim)
    t = np.random.default_rng(3).permutation(np.repeat([1e-3, 0.1, 0.5, 0.9], 3)).reshape(3, 4)
    process = reverse_drift(p, sde, 0.7)
    want = np.stack([[process(x[i, j], float(t[i, j])) for j in range(4)] for i in range(3)])
    # Two orders of the same sums over K, d <= 5 terms, with eigenvalue spreads below 1e3.
    slack: dict[str, Any] = dict(rtol=1e-12, atol=1e-12 * abs(want).max())
    assert np.allclose(process(x, t), want, **slack)
    hidden = type("Law", (), {"marginal": lambda self, r: marginal(p, sde, r)})()
    assert np.allclose(reverse_drift(hidden, sde, 0.7)(x, t), want, **slack)
    for xp in (torch, strict):
        got = process(xp.asarray(x), xp.asarray(t))
        assert np.allclose(np.asarray(got), want, **slack)
        got = reverse_drift(hidden, sde, 0.7)(xp.asarray(x), xp.asarray(t))
        assert np.allclose(np.asarray(got), want, **slack)


def test_gradients_flow_in_x_and_in_times_a_row():
    sde, t0 = VP(), np.array([0.2, 0.5, 0.8])
    x = torch.tensor(points(2)[:3]).requires_grad_()
    t = torch.tensor(t0).requires_grad_()
    flow = probability_flow(SKEWED, sde)
    gx, gt = torch.autograd.grad(flow(x, t).sum(), (x, t))
    h = 1e-4
    x0 = x.detach().numpy()

    def central(call):
        # Richardson: error h^4 times the fifth derivative (below 1e5 at these times) and EPS / h.
        return (8 * (call(h / 2) - call(-h / 2)) - (call(h) - call(-h))) / (6 * h)

    in_time = central(lambda e: flow(x0, t0 + e).sum(-1))
    assert np.allclose(gt.numpy(), in_time, rtol=1e-7, atol=1e-7)
    for i in range(2):
        step = np.eye(2)[i]
        got = central(lambda e, step=step: flow(x0 + e * step, t0).sum(-1))
        assert np.allclose(gx[:, i].numpy(), got, rtol=1e-7, atol=1e-7)
    meta = flow(torch.empty((3, 2), device="meta"), torch.empty(3, device="meta"))
    assert meta.device.type == "meta" and meta.shape == (3, 2)


def test_a_score_function_may_stand_for_the_law():
    sde, x = VE(), points(2)
    score = lambda y, t: -y / (1 + sde.kernel(t).variance)  # noqa: E731
    law = Gaussian([0.0, 0.0], np.eye(2))
    for eta in (0.0, 1.0):
        got, want = reverse_drift(score, sde, eta)(x, 0.4), reverse_drift(law, sde, eta)(x, 0.4)
        assert np.allclose(got, want, rtol=8 * EPS, atol=0)
    assert np.allclose(reverse_drift(score, sde).score(x, 0.4), score(x, 0.4))


def test_marginals_are_remembered_in_bounded_memory():
    made = []

    class Counted:
        def marginal(self, t):
            made.append(t)
            return marginal(SKEWED, VP(), t)

    flow = probability_flow(Counted(), VP())
    x = points(2)
    for _ in range(3):
        flow(x, 0.25)
        flow(x, np.full(len(x), 0.5))
    assert made == [0.25, 0.5]
    for t in np.linspace(0.1, 0.9, 200):
        flow(x, float(t))
    assert len(flow._kept) <= 64


GAUSSIANS = {
    "full": Gaussian([1.0, -2.0, 0.3], [[1.2, 0.5, 0.1], [0.5, 0.4, 0.0], [0.1, 0.0, 2.0]]),
    "thin": Gaussian([0.4, 1.0], [[1.0, 0.999], [0.999, 1.0]]),
    "isotropic": Gaussian([0.4, 1.0], 0.3),
    "low rank": GaussianMixture.low_rank(
        [1.0], [[1.0, 2, 3, 4]], LOW_RANK.means[:1, :4, None], [0.2]
    ),
}


@pytest.mark.parametrize("name", ["vp", "vp-cosine", "sub-vp", "ve", "ou", "edm", "straight"])
@pytest.mark.parametrize("law", sorted(GAUSSIANS))
def test_gaussian_flow_is_the_solution_of_the_probability_flow(name, law):
    p, sde = GAUSSIANS[law], EXAMPLES[name].sde
    # EDM and VE levels of the size of the data; ends apart enough that the flow is far from the identity.
    parts = (
        (0.6, 0.02)
        if name not in ("edm", "ve")
        else (0.03, 0.001)
        if name == "edm"
        else (0.7, 0.3)
    )
    t, s = (part * sde.t_max for part in parts)
    x = points(p.dim)[:3]
    flow = probability_flow(p, sde)
    out = solve_ivp(
        lambda r, y: flow(y.reshape(x.shape), r).ravel(),
        (t, s),
        x.ravel(),
        method="DOP853",
        rtol=1e-12,
        atol=1e-13,
    )
    want = out.y[:, -1].reshape(x.shape)
    step = gaussian_flow(p, sde, t, s)
    # Local errors of 1e-12 on some hundred steps.
    assert np.allclose(step(x), want, rtol=1e-10, atol=1e-10)
    assert abs(want - x).max() > 0.05
    assert np.allclose(x @ step.matrix.T + step.shift, step(x), rtol=1e-12, atol=1e-12)
    back = gaussian_flow(p, sde, s, t)
    assert np.allclose(back(step(x)), x, rtol=1e-12, atol=1e-12)


def test_gaussian_flow_carries_the_marginals():
    p, sde = GAUSSIANS["full"], VP()
    for t, s in ((1.0, 0.0), (0.2, 0.9), (0.5, 1e-9)):
        step = gaussian_flow(p, sde, t, s)
        early, late = marginal(p, sde, s), marginal(p, sde, t)
        assert np.allclose(
            step.matrix @ late.covariance @ step.matrix.T, early.covariance, rtol=0, atol=1e-13
        )
        assert np.allclose(step.matrix @ late.mean + step.shift, early.mean, rtol=0, atol=1e-13)
    x = points(3)
    halves = gaussian_flow(p, sde, 0.5, 0.1)(gaussian_flow(p, sde, 0.9, 0.5)(x))
    assert np.allclose(halves, gaussian_flow(p, sde, 0.9, 0.1)(x), rtol=1e-13, atol=1e-13)
    tensor = gaussian_flow(p, sde, 0.9, 0.1)(torch.tensor(x))
    assert np.allclose(tensor.numpy(), gaussian_flow(p, sde, 0.9, 0.1)(x), rtol=1e-13, atol=1e-13)


ELSEWHERE = torch.full((12,), 0.5, dtype=torch.float64, device="meta")


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda x: reverse_drift(3.0, VP()), "p"),
        (lambda x: reverse_drift(SKEWED, wrong("vp")), "sde"),
        (lambda x: reverse_drift(SKEWED, VP(), -0.1), "eta"),
        (lambda x: reverse_drift(SKEWED, VP(), math.nan), "eta"),
        (lambda x: reverse_drift(SKEWED, VP(), wrong("one")), "eta"),
        (lambda x: reverse_drift(SKEWED, VP())(x, 1.5), "t"),
        (lambda x: reverse_drift(SKEWED, VP())(x, np.full(3, 0.5)), "t"),
        (lambda x: reverse_drift(SKEWED, VP())(x, np.full((12, 1), 0.5)), "t"),
        (lambda x: reverse_drift(SKEWED, VP())(x[:, :1], 0.5), "x"),
        (lambda x: reverse_drift(SKEWED, VP())(x, torch.full((12,), 0.5)), "x"),
        (lambda x: reverse_drift(SKEWED, VP())(x, np.full(12, 0.5, dtype=np.float32)), "t"),
        (lambda x: probability_flow(SKEWED, VP())(torch.tensor(x), torch.full((12,), 0.5)), "t"),
        (lambda x: probability_flow(SKEWED, VP())(torch.tensor(x), ELSEWHERE), "t"),
        (lambda x: gaussian_flow(SKEWED, VP(), 1.0, 0.5), "p"),
        (lambda x: gaussian_flow(ONE, VP(), 1.0, 0.5), "p"),
        (lambda x: gaussian_flow(GAUSSIANS["full"], VP(), 1.0, -0.5), "t"),
        (lambda x: gaussian_flow(GAUSSIANS["full"], VP(), 1.0, 0.5)(x), "x"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, argument):
    with pytest.raises(ValueError, match=rf"^{argument}: got .*, wanted .*; .*$") as caught:
        call(points(2))
    assert "\n" not in str(caught.value)


def test_nan_in_x_propagates_in_its_own_row():
    x = points(2)
    x[3, 0] = np.nan
    out = reverse_drift(SKEWED, VP())(x, 0.4)
    assert np.isnan(out[3]).all() and np.isfinite(np.delete(out, 3, axis=0)).all()
