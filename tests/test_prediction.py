"""Conversions between predictions against their definitions on random clean data and noise."""

from __future__ import annotations

import itertools
import math
from typing import Any

import array_api_strict as strict
import mpmath as mp
import numpy as np
import pytest
import torch
from scoreproof.theory import (
    EDM,
    VE,
    VP,
    GaussianMixture,
    Interpolant,
    Kernel,
    Prediction,
    StraightPath,
    convert,
    loss_weight,
    marginal,
    probability_flow,
)

from .examples_sdes import DIGITS, EXAMPLES

EPS = np.finfo(float).eps
PAIRS = list(itertools.product(Prediction, Prediction))
LAW = GaussianMixture([0.3, 0.7], [[-1.0, 0.4], [1.7, 0.2]], [[0.2, 1.1], [0.6, 0.05]])


def pair(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clean data (skewed, off-centre) and noise, ``(6, 3)`` each."""
    rng = np.random.default_rng(seed)
    return rng.exponential(1.5, size=(6, 3)) - 0.4, rng.standard_normal((6, 3))


def definition(which: Prediction, at: Interpolant, x0, eps):
    """The target by its definition."""
    return {
        Prediction.NOISE: lambda: eps,
        Prediction.X0: lambda: x0,
        Prediction.SCORE: lambda: -eps / at.std,
        Prediction.V: lambda: at.scale * eps - at.std * x0,
        Prediction.VELOCITY: lambda: at.scale_rate * x0 + at.std_rate * eps,
    }[which]()


def pivot(which: Prediction, at: Interpolant) -> float:
    """``alpha q - sigma p`` of the linear form ``p x_0 + q eps``."""
    p, q = definition(which, at, 1.0, 0.0), definition(which, at, 0.0, 1.0)
    return at.scale * q - at.std * p


def rounding(source: Prediction, target: Prediction, at: Interpolant, x0, eps) -> float:
    """Error of a conversion: EPS times the terms it adds, through ``D_target / D_source``.

    The value and x carry the rounding of their own definition; ten operations follow.
    """
    x = at.scale * abs(x0) + at.std * abs(eps)
    p, q = definition(source, at, 1.0, 0.0), definition(source, at, 0.0, 1.0)
    p_to, q_to = definition(target, at, 1.0, 0.0), definition(target, at, 0.0, 1.0)
    terms = abs(p * x0) + abs(q * eps)
    ahead = abs(pivot(source, at))
    mixed = (abs(p_to * q) + abs(q_to * p)) / ahead
    gain = (abs(at.scale * q_to) + abs(at.std * p_to)) / ahead
    return 20 * EPS * float((gain * terms + mixed * x).max())


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@pytest.mark.parametrize("part", [1e-6, 0.1, 0.6, 1.0])
def test_all_pairs_against_the_definition_and_back(name, part):
    sde = EXAMPLES[name].sde
    at = sde.interpolant(part * sde.t_max)
    x0, eps = pair()
    x = at.scale * x0 + at.std * eps
    for source, target in PAIRS:
        value, want = definition(source, at, x0, eps), definition(target, at, x0, eps)
        got = convert(value, x, at, source=source, target=target)
        slack = rounding(source, target, at, x0, eps)
        assert np.allclose(got, want, rtol=0, atol=slack), (source, target)
        back = convert(got, x, at, source=target, target=source)
        # The error on the way there comes back multiplied by D_source / D_target.
        growth = abs(pivot(source, at) / pivot(target, at))
        slack = slack * growth + rounding(target, source, at, x0, eps)
        assert np.allclose(back, value, rtol=0, atol=slack), (source, target)


@pytest.mark.parametrize("t", [1e-12, 1e-8, 1e-3, 0.5, 0.999])
@pytest.mark.parametrize("sde", [VP(), VP.cosine(), VE(), StraightPath()], ids=lambda s: s.name)
def test_well_conditioned_conversions_keep_all_digits_at_both_ends(sde, t):
    # From v to anything but the score nothing is divided by a small number; from noise to score, and back,
    # there is one division. The truth is computed from the same float inputs in high precision.
    at = sde.interpolant(t)
    x0, eps = 0.7, -1.3
    with mp.workdps(DIGITS):
        a, v = mp.mpf(float(at.scale)), mp.mpf(float(at.variance))
        sd = mp.sqrt(v)
        value, x = np.array([float(a * eps - sd * x0)]), np.array([float(a * x0 + sd * eps)])
        true_x0 = (a * mp.mpf(x[0]) - sd * mp.mpf(value[0])) / (a**2 + v)
        true_eps = (sd * mp.mpf(x[0]) + a * mp.mpf(value[0])) / (a**2 + v)
        scale_x0 = (a * abs(x[0]) + sd * abs(value[0])) / (a**2 + v)
        scale_eps = (sd * abs(x[0]) + a * abs(value[0])) / (a**2 + v)
    got = convert(value, x, at, source="v", target="x0")
    assert abs(got[0] - float(true_x0)) <= 10 * EPS * float(scale_x0)
    got = convert(value, x, at, source="v", target="noise")
    assert abs(got[0] - float(true_eps)) <= 10 * EPS * float(scale_eps)
    score = convert(np.array([eps]), x, at, source="noise", target="score")
    assert score[0] == pytest.approx(-eps / at.std, rel=2 * EPS)
    assert convert(score, x, at, source="score", target="noise")[0] == pytest.approx(
        eps, rel=4 * EPS
    )


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_conditional_means_obey_the_same_relations(name):
    sde = EXAMPLES[name].sde
    t = {"edm": 0.01, "ve": 0.6}.get(name, 0.4) * sde.t_max
    p_t, at = marginal(LAW, sde, t), sde.interpolant(t)
    x = np.random.default_rng(4).normal(size=(7, 2))
    score, denoised, flow = p_t.score(x), p_t.denoiser(x), probability_flow(LAW, sde)(x, t)
    # Second routes: Tweedie against conditioning, and f x - g^2 score / 2 against alpha' x0 + sigma' eps.
    slack: dict[str, Any] = {"rtol": 1e-9 if EXAMPLES[name].numeric else 1e-11, "atol": 1e-11}
    size = float(abs(flow).max())
    assert np.allclose(convert(score, x, at, source="score", target="x0"), denoised, **slack)
    assert np.allclose(convert(denoised, x, at, source="x0", target="score"), score, **slack)
    for source, value in (("score", score), ("x0", denoised)):
        got = convert(value, x, at, source=source, target="velocity")
        assert np.allclose(got / size, flow / size, **slack)
    eps = -at.std * score
    got = convert(flow, x, at, source="velocity", target="v")
    assert np.allclose(got, at.scale * eps - at.std * denoised, **slack)


def test_velocity_of_the_straight_path_is_noise_minus_data():
    x0, eps = pair()
    for t in (0.0, 0.3, 0.999):
        at = StraightPath().interpolant(t)
        x = (1 - t) * x0 + t * eps
        got = convert(eps - x0, x, at, source="velocity", target="x0")
        assert np.allclose(got, x0, rtol=0, atol=20 * EPS * abs(x0).max())
        assert at.scale_rate == -1 and at.std_rate == 1


def test_v_is_the_rotation_of_salimans_and_ho():
    # With alpha = cos phi, sigma = sin phi, v is dx/dphi.
    x0, eps = pair()
    phi, h = 0.7, 1e-5
    at = Kernel(math.cos(phi), math.sin(phi) ** 2)
    path = lambda u: math.cos(u) * x0 + math.sin(u) * eps  # noqa: E731
    got = convert(x0, path(phi), at, source="x0", target="v")
    # Central difference: h^2 / 6 times |x| < 6, and EPS |x| / h.
    assert np.allclose(got, (path(phi + h) - path(phi - h)) / (2 * h), rtol=0, atol=7e-10)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@pytest.mark.parametrize("part", [1e-4, 0.5, 1.0])
def test_loss_weights_are_the_ratio_of_squared_errors(name, part):
    sde = EXAMPLES[name].sde
    at = sde.interpolant(part * sde.t_max)
    x0, eps = pair()
    x = at.scale * x0 + at.std * eps
    wrong_x0 = x0 + pair(1)[0]
    wrong_eps = (x - at.scale * wrong_x0) / at.std
    for source, target in PAIRS:
        errors = [
            ((definition(w, at, wrong_x0, wrong_eps) - definition(w, at, x0, eps)) ** 2).sum()
            for w in (source, target)
        ]
        weight = loss_weight(at, source=source, target=target)
        # wrong_eps loses up to |x| / (sigma |x0 error|) digits against the noise; sigma >= 1e-3 here but for VE.
        slack = 1e-9 if at.std > 1e-3 else 1e-6
        assert weight == pytest.approx(errors[1] / errors[0], rel=slack), (source, target)
        inverse = loss_weight(at, source=target, target=source)
        assert weight * inverse == pytest.approx(1, rel=40 * EPS)


def test_known_loss_weights():
    at = VP().interpolant(0.4)
    snr = at.scale**2 / at.variance
    assert loss_weight(at, source="x0", target="noise") == pytest.approx(snr, rel=8 * EPS)
    # Salimans and Ho 2022: the v loss is the x0 loss with weight SNR + 1.
    assert loss_weight(at, source="x0", target="v") == pytest.approx(snr + 1, rel=8 * EPS)
    assert loss_weight(at, source="score", target="noise") == at.variance
    assert loss_weight(at, source="v", target="v") == 1


@pytest.mark.parametrize(
    "mutant",
    [
        lambda v, x, a, s: (x - s * v) * a,
        lambda v, x, a, s: (x + s * v) / a,
        lambda v, x, a, s: x - s * v,
        lambda v, x, a, s: (x - s**2 * v) / a,
        lambda v, x, a, s: (x - s * v) / a**2,
    ],
)
def test_the_definition_refuses_wrong_conversions(mutant):
    at = VP().interpolant(0.4)
    x0, eps = pair()
    x = at.scale * x0 + at.std * eps
    slack = rounding(Prediction.NOISE, Prediction.X0, at, x0, eps)
    assert not np.allclose(mutant(eps, x, at.scale, at.std), x0, rtol=0, atol=1e9 * slack)


@pytest.mark.parametrize(
    ("mutant", "target"),
    [
        (lambda at, x0, eps: at.scale * x0 - at.std * eps, "v"),
        (lambda at, x0, eps: at.std * eps - at.scale * x0, "v"),
        (lambda at, x0, eps: eps / at.std, "score"),
        (lambda at, x0, eps: -eps / at.variance, "score"),
        (lambda at, x0, eps: x0 - eps, "velocity"),
    ],
)
def test_the_conversion_refuses_wrong_definitions(mutant, target):
    at = StraightPath().interpolant(0.4)
    x0, eps = pair()
    x = at.scale * x0 + at.std * eps
    got = convert(eps, x, at, source="noise", target=target)
    assert abs(got - mutant(at, x0, eps)).max() > 0.1


def test_one_level_a_row_and_every_library():
    sde, (x0, eps) = VP(), pair()
    t = np.array([1e-4, 0.1, 0.2, 0.5, 0.9, 1.0])
    at = sde.interpolant(t)
    x = at.scale[:, None] * x0 + at.std[:, None] * eps
    for source, target in PAIRS:
        rows = [sde.interpolant(float(r)) for r in t]
        value = np.stack([definition(source, a, x0[i], eps[i]) for i, a in enumerate(rows)])
        want = np.stack([definition(target, a, x0[i], eps[i]) for i, a in enumerate(rows)])
        slack = max(rounding(source, target, a, x0[i], eps[i]) for i, a in enumerate(rows))
        for xp in (np, torch, strict):
            level = sde.interpolant(xp.asarray(t))
            got = convert(xp.asarray(value), xp.asarray(x), level, source=source, target=target)
            assert np.allclose(np.asarray(got), want, rtol=0, atol=slack)
            weight = loss_weight(level, source=source, target=target)
            one = [loss_weight(a, source=source, target=target) for a in rows]
            assert np.allclose(np.asarray(weight), one, rtol=1e-13)
        grid = convert(
            value.reshape(2, 3, 3),
            x.reshape(2, 3, 3),
            sde.interpolant(t.reshape(2, 3)),
            source=source,
            target=target,
        )
        assert np.allclose(grid.reshape(6, 3), want, rtol=0, atol=slack)


def test_torch_dtypes_gradients_and_meta():
    sde, (x0, eps) = VP(), pair()
    at = sde.interpolant(0.3)
    x = at.scale * x0 + at.std * eps
    for source, target in PAIRS:
        value = torch.tensor(definition(source, at, x0, eps), dtype=torch.float32).requires_grad_()
        out = convert(
            value, torch.tensor(x, dtype=torch.float32), at, source=source, target=target
        )
        assert out.dtype == torch.float32
        (slope,) = torch.autograd.grad(out.sum(), value)
        assert np.allclose(
            slope.numpy() ** 2, loss_weight(at, source=source, target=target), rtol=100 * 2.0**-24
        )
        empty = torch.empty((6, 3), device="meta")
        level = sde.interpolant(torch.empty(6, device="meta"))
        assert convert(empty, empty, level, source=source, target=target).device.type == "meta"


def test_what_stays_possible_at_the_singular_ends():
    x0, eps = pair()
    noise_only, clean = Kernel(0.0, 1.0), Kernel(1.0, 0.0)
    assert np.allclose(convert(-x0, eps, noise_only, source="v", target="x0"), x0)
    assert np.allclose(convert(-eps, eps, noise_only, source="score", target="noise"), eps)
    assert np.allclose(convert(eps, x0, clean, source="noise", target="x0"), x0)
    assert np.allclose(convert(eps, x0, clean, source="v", target="noise"), eps)
    assert loss_weight(clean, source="noise", target="x0") == 0
    at = EDM().interpolant(0.0)
    assert np.allclose(convert(eps, x0, at, source="velocity", target="noise"), eps)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda v, k: convert(v, v, k, source="eps", target="x0"), "source: got 'eps'"),
        (lambda v, k: convert(v, v, k, source="x0", target="data"), "target: got 'data'"),
        (lambda v, k: convert(v, v[:2], k, source="x0", target="v"), "value: got shape"),
        (
            lambda v, k: convert(v, v, k, source="x0", target="velocity"),
            "target: got velocity without",
        ),
        (
            lambda v, k: convert(v, v, k, source="velocity", target="x0"),
            "source: got velocity without",
        ),
        (
            lambda v, k: loss_weight(k, source="velocity", target="x0"),
            "source: got velocity without",
        ),
        (
            lambda v, k: convert(v, v, Kernel(0.0, 1.0), source="noise", target="x0"),
            "kernel: got a singular conversion with noise, wanted alpha > 0",
        ),
        (
            lambda v, k: convert(v, v, Kernel(0.0, 1.0), source="score", target="v"),
            "kernel: got a singular conversion with noise, wanted alpha > 0",
        ),
        (
            lambda v, k: convert(v, v, Kernel(1.0, 0.0), source="x0", target="noise"),
            "kernel: got a singular conversion with x0, wanted sigma > 0",
        ),
        (
            lambda v, k: convert(v, v, Kernel(1.0, 0.0), source="v", target="score"),
            "kernel: got a singular conversion with score, wanted sigma > 0",
        ),
        (
            lambda v, k: convert(v, v, VP().interpolant(0.0), source="noise", target="velocity"),
            "target: got velocity where sigma' is infinite",
        ),
        (
            lambda v, k: convert(
                v, v, VP().interpolant(np.zeros(6)), source="velocity", target="v"
            ),
            "source: got velocity where sigma' is infinite",
        ),
        (
            lambda v, k: convert(v, v, VP().kernel(np.full(5, 0.2)), source="noise", target="v"),
            "kernel: got shape",
        ),
        (
            lambda v, k: loss_weight(VP().kernel(np.zeros(2)), source="noise", target="score"),
            "kernel: got a singular conversion with score",
        ),
        (
            lambda v, k: convert(v, torch.tensor(v), k, source="x0", target="v"),
            "x: got arrays of different",
        ),
        (
            lambda v, k: convert(v, v.astype(np.float32), k, source="x0", target="v"),
            "value: got dtype float64",
        ),
        (
            lambda v, k: convert(
                torch.tensor(v), torch.tensor(v, device="meta"), k, source="x0", target="v"
            ),
            "value: got device cpu",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(call, words):
    with pytest.raises(ValueError, match="; ") as caught:
        call(pair()[0], VP().kernel(0.3))
    assert str(caught.value).startswith(words) and "\n" not in str(caught.value)


def test_nan_propagates():
    x0, eps = pair()
    x0[2, 1] = np.nan
    out = convert(eps, x0, VP().kernel(0.3), source="noise", target="x0")
    assert np.isnan(out[2, 1]) and np.isnan(out).sum() == 1
