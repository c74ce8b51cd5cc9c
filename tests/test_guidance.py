"""Guided fields: Bayes' rule at every noise level by differentiation, and what a guided sampler returns."""

from __future__ import annotations

import array_api_strict as strict
import numpy as np
import pytest
import torch
from scipy.integrate import quad, solve_ivp
from scoreproof.theory import (
    VE,
    VP,
    ClassMixture,
    Gaussian,
    GaussianMixture,
    GaussianObservation,
    Guided,
    PointMasses,
    marginal,
    probability_flow,
    reverse_drift,
)

EPS = float(np.finfo(float).eps)
RNG = np.random.default_rng(8)
LINE = ClassMixture(
    [0.3, 0.7],
    [
        GaussianMixture([0.4, 0.6], [[-1.5], [0.2]], [0.2, 0.5]),
        GaussianMixture([0.5, 0.5], [[0.9], [2.4]], [0.1, 0.6]),
    ],
)
PLANE = ClassMixture(
    [0.2, 0.5, 0.3],
    [
        Gaussian([1.5, -0.4], [[0.5, 0.3], [0.3, 0.4]]),
        GaussianMixture([0.3, 0.7], [[-0.8, 2.1], [0.1, 0.3]], [[0.3, 0.9], [1.1, 0.2]]),
        GaussianMixture.low_rank([1.0], [[0.3, 0.2]], [[[0.8], [0.5]]], [0.2]),
    ],
)
LAWS = {"line": LINE, "plane": PLANE}
OBSERVED = GaussianObservation(Gaussian([0.6, -1.0], [[1.2, 0.4], [0.4, 0.5]]), [1.4, 0.3], 0.35)


def draws(law, n=40):
    return law.transport(RNG.random(n), RNG.standard_normal((n, law.dim)))


def whole(law: ClassMixture) -> GaussianMixture:
    """All components in one mixture, classes forgotten."""
    pairs = list(zip(law.probabilities, law.laws, strict=True))
    return GaussianMixture(
        np.concatenate([pi * m.weights for pi, m in pairs]),
        np.concatenate([m.means for _, m in pairs]),
        np.concatenate([m.covariances for _, m in pairs]),
    )


@pytest.mark.parametrize("name", sorted(LAWS))
def test_the_law_is_the_mixture_of_its_classes(name):
    law, other = LAWS[name], whole(LAWS[name])
    x = draws(law)
    # Two forms of one sum: some tens of roundings of terms up to 100.
    for method in ("log_prob", "score", "hessian", "divergence"):
        np.testing.assert_allclose(
            getattr(law, method)(x), getattr(other, method)(x), atol=2e-11, err_msg=method
        )
    np.testing.assert_allclose(law.mean, other.mean, atol=1e-13)
    np.testing.assert_allclose(law.covariance, other.covariance, atol=1e-13)
    noised, same = law.diffuse(0.6, 0.4), other.diffuse(0.6, 0.4)
    np.testing.assert_allclose(noised.score(x), same.score(x), atol=1e-12)


@pytest.mark.parametrize("name", sorted(LAWS))
def test_classifier_by_differentiation(name):
    law = LAWS[name].diffuse(0.8, 0.3)
    x = torch.tensor(draws(law), requires_grad=True)
    logs = law.log_classifier(x)
    np.testing.assert_allclose(logs.detach().exp().sum(-1).numpy(), 1.0, rtol=1e-14)
    for y in range(law.classes):
        (slope,) = torch.autograd.grad(logs[:, y].sum(), x, retain_graph=True)
        got = law.classifier_score(x.detach(), y)
        np.testing.assert_allclose(got.numpy(), slope.numpy(), atol=1e-11)
        bayes = law.conditional(y).score(x) - law.score(x)
        np.testing.assert_allclose(got.numpy(), bayes.detach().numpy(), atol=1e-12)
        for w in (-1.0, 0.0, 0.5, 1.0, 4.0):
            field = law.guided(y, w).score(x.detach())
            direct = law.score(x) + w * slope
            np.testing.assert_allclose(field.numpy(), direct.detach().numpy(), atol=1e-10)
            tilted = law.log_tilted(x, y, w)
            (slope_of_tilted,) = torch.autograd.grad(tilted.sum(), x, retain_graph=True)
            # At one noise level the guided field is the score of the tilted law.
            np.testing.assert_allclose(slope_of_tilted.numpy(), field.numpy(), atol=1e-10)


def test_the_noisy_classifier_is_a_posterior_mean():
    """``p(y|x_t) = E[p(y|x_0) | x_t]``, integrated over x_0."""
    a, v = 0.7, 0.45
    noised = LINE.diffuse(a, v)
    for x in (-1.0, 0.4, 1.8):

        def weight(z, x=x):
            prior = np.exp(LINE.log_prob(np.array([z])))
            return prior * np.exp(-0.5 * (x - a * z) ** 2 / v)

        def labelled(z, weight=weight):
            return weight(z) * np.exp(LINE.log_classifier(np.array([z]))[1])

        top, bottom = (quad(f, -7, 8, limit=200, epsabs=1e-13)[0] for f in (labelled, weight))
        got = np.exp(noised.log_classifier(np.array([x]))[1])
        assert got == pytest.approx(top / bottom, rel=1e-10)


def test_certain_classes_keep_their_gradient():
    """Far out on one side the classifier's score decays; its difference form is rounding only."""
    x = np.array([[-9.0]])
    got = LINE.classifier_score(x, 0)
    logs = LINE.log_classifier(x)[0]
    assert logs[1] < -20
    r = np.exp(logs[1])
    difference = LINE.laws[0].score(x) - LINE.laws[1].score(x)
    np.testing.assert_allclose(got, r * difference, rtol=1e-12)


@pytest.mark.parametrize("name", sorted(LAWS))
def test_transport_is_exact(name):
    law, n = LAWS[name], 200_000
    rng = np.random.default_rng(1)
    x = law.transport(rng.random(n), rng.standard_normal((n, law.dim)))
    # Five standard errors of a mean.
    spread = np.sqrt(np.diag(law.covariance))
    assert (np.abs(x.mean(0) - law.mean) < 5 * spread / np.sqrt(n)).all()
    assert np.abs(np.cov(x.T) - law.covariance).max() < 0.03
    edge = np.array([0.0, 1 - 1e-16, law.probabilities[0]])
    assert np.isfinite(law.transport(edge, np.zeros((3, law.dim)))).all()


def affine(process, t_end, dim, start=1.0):
    """Matrix and shift of the flow of an affine field, from the images of dim + 1 points."""
    points = np.concatenate([np.zeros((1, dim)), np.eye(dim)])
    out = solve_ivp(
        lambda t, y: process(y.reshape(-1, dim), float(t)).ravel(),
        (start, t_end),
        points.ravel(),
        method="DOP853",
        rtol=1e-11,
        atol=1e-13,
    ).y[:, -1].reshape(-1, dim)  # fmt: skip
    return (out[1:] - out[0]).T, out[0]


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 3.0])
def test_guided_flow_of_a_gaussian_in_closed_form(weight):
    """The flow multiplies a variance by ``(S_0/S_T)^(1-w) (C_0/C_T)^w`` along each eigendirection."""
    sde, end = VP(), 1e-4
    matrix, _ = affine(probability_flow(OBSERVED.guided(weight), sde), end, 2)
    values, vectors = np.linalg.eigh(OBSERVED.law.covariances[0])

    def variance(start, t):
        k = sde.kernel(t)
        return k.scale**2 * start + k.variance

    inner = values * OBSERVED.noise / (values + OBSERVED.noise)
    ratio = (variance(values, end) / variance(values, 1.0)) ** (1 - weight)
    ratio = ratio * (variance(inner, end) / variance(inner, 1.0)) ** weight
    np.testing.assert_allclose(
        matrix, (vectors * np.sqrt(ratio)) @ vectors.T, rtol=1e-8, atol=1e-9
    )
    tilted = OBSERVED.tilted(weight).covariances[0]
    same = np.allclose(matrix @ matrix.T, tilted, rtol=5e-3, atol=2e-3)
    assert same == (weight in (0.0, 1.0))


@pytest.mark.parametrize("weight", [-0.2, 0.5, 1.0, 3.0])
def test_tilted_gaussian(weight):
    p, w = OBSERVED.tilted(weight), weight
    x = RNG.normal(size=(30, 2))
    direct = OBSERVED.law.log_prob(x) + w * OBSERVED.log_likelihood(x)
    gap = p.log_prob(x) - direct
    np.testing.assert_allclose(gap, gap[0], atol=1e-11)
    np.testing.assert_allclose(p.score(x), OBSERVED.guided(w).score(x), atol=1e-11)


def test_guided_fields_run_backwards():
    field = PLANE.guided(1, 2.5)
    x, sde, t = draws(PLANE, 8), VE(0.1, 5.0), 0.4
    law = marginal(PLANE, sde, t).law
    s = law.score(x) + 2.5 * law.classifier_score(x, 1)
    got = reverse_drift(field, sde)(x, t)
    np.testing.assert_allclose(got, -(float(sde.diffusion(t)) ** 2) * s, rtol=1e-9, atol=1e-10)
    rows = reverse_drift(field, sde)(x, np.full(8, t))
    np.testing.assert_allclose(rows, got, rtol=1e-12)
    points = PointMasses(RNG.normal(size=(9, 2)))
    mixed = Guided(points, points, 3.0).diffuse(1.0, 0.5)
    np.testing.assert_allclose(mixed.score(x), points.diffuse(1.0, 0.5).score(x), atol=1e-10)


@pytest.mark.parametrize("name", sorted(LAWS))
def test_every_library_gives_the_numbers(name):
    law = LAWS[name]
    x = draws(law, 12).astype(np.float32).astype(float)
    u, z = RNG.random(12).astype(np.float32).astype(float), RNG.standard_normal((12, law.dim))
    z = z.astype(np.float32).astype(float)
    for make, eps in (
        (torch.tensor, EPS),
        (strict.asarray, EPS),
        (lambda a: torch.tensor(a, dtype=torch.float32), float(np.finfo(np.float32).eps)),
        (lambda a: np.asarray(a, dtype=np.float32), float(np.finfo(np.float32).eps)),
    ):
        calls = {
            "log_prob": lambda y, law=law: law.log_prob(y),
            "score": lambda y, law=law: law.score(y),
            "hessian": lambda y, law=law: law.hessian(y),
            "divergence": lambda y, law=law: law.divergence(y),
            "log_classifier": lambda y, law=law: law.log_classifier(y),
            "classifier_score": lambda y, law=law: law.classifier_score(y, 1),
            "guided": lambda y, law=law: law.guided(0, 3.0).score(y),
            "log_tilted": lambda y, law=law: law.log_tilted(y, 0, 3.0),
        }
        for what, call in calls.items():
            want, out = call(x), call(make(x))
            assert out.dtype == make(x).dtype and tuple(out.shape) == want.shape, what
            slack = 2e4 * eps * max(1.0, float(np.abs(want).max()))
            np.testing.assert_allclose(np.asarray(out), want, rtol=0, atol=slack, err_msg=what)
        drawn = law.transport(make(u), make(z))
        np.testing.assert_allclose(np.asarray(drawn), law.transport(u, z), atol=200 * eps)
    empty = torch.empty((4, law.dim), device="meta")
    assert law.guided(0, 2.0).score(empty).device.type == "meta"
    assert law.hessian(empty).shape == (4, law.dim, law.dim)
    y = torch.tensor(x, requires_grad=True)
    (g,) = torch.autograd.grad(law.guided(0, 2.0).score(y).sum(), y)
    assert float(g.abs().max()) > 0


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: ClassMixture([1.0], []), "laws"),
        (lambda: ClassMixture([0.5, 0.5], [Gaussian([0.0], 1.0), 3]), "laws"),  # pyright: ignore
        (lambda: ClassMixture([1.0, 0.5], LINE.laws), "probabilities"),
        (lambda: ClassMixture([0.5, 0.5], [LINE.laws[0], PLANE.laws[0]]), "laws"),
        (lambda: LINE.conditional(2), "label"),
        (lambda: LINE.guided(True, 1.0), "label"),
        (lambda: LINE.guided(0, np.inf), "weight"),
        (lambda: Guided(LINE, 3.0, 1.0), "conditional"),
        (lambda: Guided(LINE, PLANE, 1.0), "conditional"),
        (lambda: GaussianObservation(whole(LINE), [0.0], 1.0), "law"),
        (lambda: GaussianObservation(Gaussian([0.0], 1.0), [0.0, 1.0], 1.0), "value"),
        (lambda: GaussianObservation(Gaussian([0.0], 1.0), [0.0], 0.0), "noise"),
        (lambda: OBSERVED.tilted(-2.0), "weight"),
    ],
)
def test_bad_input(call, named):
    with pytest.raises(ValueError, match=f"{named}.*got .*, wanted .*;"):
        call()
