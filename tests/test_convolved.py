"""Convolved laws against mpmath at 50 digits, plane sums, closed forms and their own identities."""

from __future__ import annotations

import itertools
import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scoreproof.numerics import Convolved
from scoreproof.numerics import latent as latent_module
from scoreproof.theory import (
    Banana,
    DoubleWell,
    Funnel,
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
LAWS = LINE | PLANE
KERNELS = [(1.0, 1e-16), (0.99, 1e-4), (0.8, 0.4), (0.5, 30.0), (0.0067, 1.0)]
EPS = np.finfo(float).eps


def gap(value, truth, unit):
    """Largest difference in units of the derived error ``unit``; at most one is agreement."""
    return float(np.max(np.abs(value - truth) / unit))


def precise_log(base) -> Any:
    """``log p_0`` in mpmath."""
    b, m = mp.mpf(base.scale), mp.mpf(base.location)
    if isinstance(base, Laplace):
        return lambda s: -abs(s - m) / b - mp.log(2 * b)
    if isinstance(base, Uniform):
        return lambda s: -mp.log(b)
    if isinstance(base, Logistic):
        return lambda s: -abs(s - m) / b - 2 * mp.log1p(mp.exp(-abs(s - m) / b)) - mp.log(b)
    nu = mp.mpf(base.df)
    constant = mp.loggamma((nu + 1) / 2) - mp.loggamma(nu / 2) - mp.log(nu * mp.pi) / 2 - mp.log(b)
    return lambda s: constant - (nu + 1) / 2 * mp.log1p(((s - m) / b) ** 2 / nu)


def precise(base, a, v, x):
    """``log p_t``, score and curvature at one point, by Gauss-Legendre panels at 50 digits."""
    a, v, x = mp.mpf(a), mp.mpf(v), mp.mpf(x)
    log, sd = precise_log(base), mp.sqrt(v)
    low, high = (mp.mpf(e) if math.isfinite(e) else None for e in base.support)
    joint = lambda s: log(s) - (x - a * s) ** 2 / (2 * v)  # noqa: E731
    # Panels of one noise sd (or law width) around both centres; what is beyond cannot matter.
    marks = {mp.mpf(b) for b in base.breaks}
    # Outside an end the posterior decays over a small part of the noise.
    marks |= {
        b + sign * sd / a / mp.mpf(k)
        for b in list(marks)
        for sign in (-1, 1)
        for k in (25, 8, 3, 1)
    }
    for centre, unit in ((x / a, sd / a), (mp.mpf(base.anchors[0][0]), mp.mpf(base.scale))):
        marks |= {
            centre + unit * k for k in (*range(-8, 9, 2), -14, 14, -30, 30, -60, 60, -200, 200)
        }
    # The posterior's mode may be away from both: Newton from the noise centre.
    mode = x / a
    for _ in range(60):
        h = min(sd / a, mp.mpf(base.scale)) * mp.mpf("1e-12")
        first = (joint(mode + h) - joint(mode - h)) / (2 * h)
        bend = (joint(mode + h) - 2 * joint(mode) + joint(mode - h)) / h**2
        mode = mode - first / bend if bend < 0 else mode
    width = min(sd / a, mp.mpf(base.scale))
    marks |= {mode + width * k for k in (-16, -8, -4, -2, 0, 2, 4, 8, 16)}
    cuts = sorted(m for m in marks if (low is None or m > low) and (high is None or m < high))
    cuts = ([low] if low is not None else []) + cuts + ([high] if high is not None else [])
    top = max(joint(c) for c in cuts)
    nodes, weights = GAUSS
    z = first = second = mp.mpf(0)
    for c, d in itertools.pairwise(cuts):
        half = (d - c) / 2
        if max(joint(c), joint(d), joint(c + half)) < top - 110 or half == 0:
            continue
        for node, weight in zip(nodes, weights, strict=True):
            s = c + half * (1 + node)
            mass = half * weight * mp.exp(joint(s) - top)
            pull = (a * s - x) / v
            z, first, second = z + mass, first + mass * pull, second + mass * pull**2
    score = first / z
    value = mp.log(z) + top - mp.log(2 * mp.pi * v) / 2
    return float(value), float(score), float(second / z - score**2 - 1 / v)


def _gauss(order=40):
    with mp.workdps(50):
        roots = np.polynomial.legendre.leggauss(order)[0]
        nodes, weights = [], []
        for r in roots:
            x = mp.findroot(lambda t: mp.legendre(order, t), mp.mpf(float(r)))
            slope = order * (mp.legendre(order - 1, x) - x * mp.legendre(order, x)) / (1 - x * x)
            nodes.append(x)
            weights.append(2 / ((1 - x * x) * slope**2))
    return nodes, weights


GAUSS = _gauss()


def units(law, x, score, bend):
    """Error allowed in ``log p``, score and curvature.

    The nodes' weights carry a relative error e = relative_error (rounding included), so means of a term
    move by 2e times its size. Terms of the score are below the smaller of 1 / sd and the law's own scores, plus
    the answer; those of the curvature their squares. Half an ulp of x moves the results by their derivative.
    """
    e = 2 * law.relative_error(x[:, None]) + 16 * EPS
    own = 2 / (law.scale * min(w for _, w in law.base.anchors))
    size = np.abs(score) + min(2 / math.sqrt(law.variance), own)
    shift = 2 * EPS * np.abs(x)
    return (
        e + shift * (np.abs(score) + 1 / (1 + np.abs(x))),
        e * size + shift * np.abs(bend),
        e * (size**2 + np.abs(bend)) + shift * size * np.abs(bend) * 4,
    )


@pytest.mark.parametrize(("a", "v"), KERNELS)
@pytest.mark.parametrize("name", LINE)
def test_line_against_fifty_digits(name, a, v):
    base = LINE[name]
    law = Convolved(base, a, v)
    sd = math.sqrt(a * a * base.covariance[0, 0] + v)
    centre = a * float(base.mean[0])
    x = centre + sd * np.array([-40.0, -0.9, 0.07, 1.6, 40.0])
    if name == "uniform":  # at the ends of the support, inside and 40 noise sds outside
        s = math.sqrt(v)
        x = np.array(
            [a * -0.6 - 40 * s, a * -0.6 + 0.3 * s, a * 0.4, a * 2.1 - s, a * 2.1 + 40 * s]
        )
    with mp.workdps(50):
        truth = np.array([precise(base, a, v, float(y)) for y in x])
    log_unit, score_unit, bend_unit = units(law, x, truth[:, 1], truth[:, 2])
    if name == "uniform" and v < 1e-3:  # the ends a low, a high are rounded: half an ulp of x / sd
        blur = 8 * EPS / math.sqrt(v) * 42
        log_unit, score_unit = log_unit + 42 * blur, score_unit + 42 * blur / math.sqrt(v)
        bend_unit = bend_unit + 42**2 * blur / v
    points = x[:, None]
    assert gap(law.log_prob(points), truth[:, 0], log_unit) < 1
    score, bend = law.score(points)[:, 0], law.hessian(points)[:, 0, 0]
    assert gap(score, truth[:, 1], score_unit) < 1
    assert gap(bend, truth[:, 2], bend_unit) < 1
    assert np.array_equal(law.divergence(points), bend)
    # Mutants of one per cent and of the sign, through the same comparison.
    assert gap(1.01 * score, truth[:, 1], score_unit) > 1
    assert gap(-score, truth[:, 1], score_unit) > 1
    assert (law.relative_error(points) < 1e-11).all()


def plane_reference(base, a, v, x, step):
    """``log p_t``, score and Hessian by trapezoidal sums over ``x_0`` on one grid a point.

    Cells follow the noise where it is narrow, else the law; exact but for terms like exp(-(2 pi / step)^2 / 2).
    """
    sd = math.sqrt(v)
    if sd / a < 0.05:
        z = np.arange(-9, 9, step)
        offset = np.stack(np.meshgrid(z, z), axis=-1).reshape(-1, 2)
        x0 = (x - sd * offset) / a
        delta, cell = -sd * offset, (step * sd / a) ** 2
    else:
        if isinstance(base, Funnel):
            step = 0.4 * step  # wide necks need x_2 finer than the noise
            first = np.arange(-11, 11, step) * 0.3 * 1.2 * 3 + base.location[0]
            t = np.arange(-12, 12, step) * 1.0
            second = base.location[1] + np.exp(first[:, None] / 2) * t
            cells = np.exp(first / 2)[:, None] * step**2 * 1.08 + 0 * t
            x0 = np.stack(np.broadcast_arrays(first[:, None], second), axis=-1).reshape(-1, 2)
            cell = cells.ravel()
        else:
            first, second = np.arange(-9, 9, 0.4 * step), np.arange(-60, 8, 0.4 * step)
            x0 = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
            cell = (0.4 * step) ** 2
        delta = a * x0 - x
    log = base.log_prob(x0) - (delta**2).sum(axis=1) / (2 * v) - math.log(2 * math.pi * v)
    weight = np.exp(log - log.max()) * cell
    total = weight.sum()
    weight = weight / total
    pull = delta / v
    score = weight @ pull
    off = pull - score
    hessian = np.einsum("i,ij,ik->jk", weight, off, off) - np.eye(2) / v
    return math.log(total) + log.max(), score, hessian


@pytest.mark.parametrize(("a", "v"), [(0.99, 1e-4), (0.8, 0.4), (0.5, 30.0)])
@pytest.mark.parametrize("name", PLANE)
def test_plane_against_sums_over_the_plane(name, a, v):
    base = PLANE[name]
    law = Convolved(base, a, v)
    sd = np.sqrt(np.diag(law.covariance))
    x = law.mean + sd * np.array([[0.4, -0.7], [-1.3, 0.6], [1.1, 1.9]])
    log, score, hessian = law.log_prob(x), law.score(x), law.hessian(x)
    for i in range(len(x)):
        fine, rough = (plane_reference(base, a, v, x[i], step) for step in (0.25, 0.33))
        # The finer sum errs by far less than it differs from the rougher; 1e-13 |.| bounds rounding of
        # 1e5 terms, times 1 / sd for each power of the pull.
        pull = 1 / math.sqrt(v)
        for value, truth, coarse, power in zip(
            (log[i], score[i], hessian[i]), fine, rough, (0, 1, 2), strict=True
        ):
            unit = np.max(np.abs(np.asarray(truth) - coarse)) + 1e-12 * (1 + pull**power)
            unit = unit + 1e-12 * np.max(np.abs(truth))
            assert gap(value, truth, unit) < 1
            assert unit < 1e-5 * (1 + pull**power + np.max(np.abs(truth)))
            if power == 1:
                assert gap(1.01 * value, truth, unit) > 1
                assert gap(-value, truth, unit) > 1


@pytest.mark.parametrize("name", [*PLANE, "logistic", "student"])
def test_tiny_noise_leaves_the_law(name):
    """``score_t = score_0 + O(v)`` at scale 1: at v = 1e-16 only rounding is left."""
    base = LAWS[name]
    law = Convolved(base, 1.0, 1e-16)
    x = np.asarray(
        base.transport(np.array([0.1, 0.6, 0.9]), np.array([[0.3, -1.1]] * 3)[:, : base.dim])
    )
    # Rounding of the weights, 2e-14, times the terms, plus v times third derivatives (below 1e6).
    score, hessian = base.score(x), base.hessian(x)
    size = 1e-13 * (1 + np.abs(score).max() ** 2 + np.abs(hessian).max())
    assert gap(law.log_prob(x), base.log_prob(x), size) < 1
    assert gap(law.score(x), score, size) < 1
    assert gap(law.hessian(x), hessian, size * (1 + np.abs(score).max())) < 1


@pytest.mark.parametrize(("a", "v"), KERNELS)
def test_far_tails_of_the_double_well(a, v):
    """A product law: its first factor at 40 sd against 50 digits."""
    base = PLANE["double well"]
    law = Convolved(base, a, v)
    sd = np.sqrt(np.diag(law.covariance))
    h, tilt, c, w = (mp.mpf(t) for t in (base.height, base.tilt, base.location[0], base.width))
    x = law.mean + 40 * sd * np.array([[1.0, 0.5], [-1.0, 1.0]])
    for point, log, score in zip(x, law.log_prob(x), law.score(x), strict=True):
        with mp.workdps(50):
            am, vm, y = mp.mpf(a), mp.mpf(v), mp.mpf(float(point[0]))

            def joint(s, am=am, vm=vm, y=y):
                q = (s - c) / w
                return -h * (q * q - 1) ** 2 + tilt * q - (y - am * s) ** 2 / (2 * vm)

            def slope(s, am=am, vm=vm, y=y):
                q = (s - c) / w
                return -4 * h * q * (q * q - 1) / w + tilt / w + am * (y - am * s) / vm

            # The posterior is unimodal here: bisect its slope, then panels of its own width.
            low, high = sorted((c, y / am + mp.sign(y) * mp.mpf("1e-3")))
            for _ in range(200):
                low, high = (
                    ((low + high) / 2, high)
                    if slope((low + high) / 2) > 0
                    else (low, (low + high) / 2)
                )
            bend = 4 * h * (3 * ((low - c) / w) ** 2 - 1) / w**2 + am**2 / vm
            width = 1 / mp.sqrt(bend)
            z = first = mp.mpf(0)
            for k in range(-8, 8):
                for node, weight in zip(*GAUSS, strict=True):
                    s = low + width * 2 * (k + (1 + node) / 2)
                    mass = weight * width * mp.exp(joint(s) - joint(low))
                    z, first = z + mass, first + mass * (am * s - y) / vm
            second = (am * mp.mpf(base.std)) ** 2 + vm
            off = mp.mpf(float(point[1])) - am * mp.mpf(base.location[1])
            constant = mp.mpf(base._table.log_z) + mp.log(w)
            truth = mp.log(z) + joint(low) - constant - mp.log(2 * mp.pi * vm) / 2
            truth += -(off**2) / (2 * second) - mp.log(2 * mp.pi * second) / 2
            truths = np.array([float(first / z), float(-off / second)])
        # |log p| reaches 1e6 here: its own rounding, and that of x times the score.
        unit = 32 * EPS * (np.abs(float(truth)) + np.abs(point * truths).sum() + 10)
        assert gap(log, float(truth), unit) < 1
        unit = 1e-13 * np.abs(truths) + 64 * EPS * np.abs(point / v if v > 1 else truths)
        # Weights of nodes come from differences of logs of this size, each with relative error eps.
        unit = unit + 64 * EPS * (1 + abs(float(truth))) * np.abs(truths)
        assert gap(score, truths, unit) < 1


@pytest.mark.parametrize("name", [*PLANE, "logistic", "student"])
def test_both_forms_of_the_derivatives_agree(name, monkeypatch):
    """Tweedie's formula and integration by parts, where neither has the advantage."""
    base = LAWS[name]
    width = min(w for _, w in base.anchors)
    law = Convolved(base, 0.9, (0.9 * width) ** 2)
    rng = np.random.default_rng(3)
    x = law.draw_with(50, rng)
    answers = []
    for pick in (lambda t, p, s: t, lambda t, p, s: p):
        monkeypatch.setattr(latent_module, "_choose", pick)
        answers.append((law.score(x), law.hessian(x)))
    # Terms of both forms are below 60 / width (far points of the banana and the funnel included) and its
    # square; weights carry 2 relative_error.
    e = 2 * law.relative_error(x).max() + 32 * EPS
    (s1, h1), (s2, h2) = answers
    assert gap(s1, s2, e * 60 / width) < 1
    assert gap(h1, h2, e * (60 / width) ** 2) < 1


@pytest.mark.parametrize(("name", "ratio"), [("laplace", 4.0), ("uniform", 0.5)])
def test_closed_form_meets_quadrature(name, ratio):
    base = LINE[name]
    law = Convolved(base, 0.8, (ratio * 0.8 * base.scale * 0.999) ** 2)
    other = Convolved(base, 0.8, law.variance)
    other.__dict__["_closed"] = False
    assert law._closed
    sd = math.sqrt(float(law.covariance[0, 0]))
    x = law.mean + sd * np.linspace(-12, 12, 41)[:, None]
    e = 2 * law.relative_error(x) + 2 * other.relative_error(x)
    v = law.variance
    # The closed curvature is a difference of terms of size 1 / scale^2 resp. |x|^2 / v^2.
    size = 40 / math.sqrt(v) + 1 / (0.8 * base.scale)
    assert gap(law.log_prob(x), other.log_prob(x), e) < 1
    assert gap(law.score(x)[:, 0], other.score(x)[:, 0], e * size) < 1
    assert gap(law.hessian(x)[:, 0, 0], other.hessian(x)[:, 0, 0], e * size**2) < 1
    assert gap(law.denoiser(x)[:, 0], other.denoiser(x)[:, 0], e * size * v / 0.8) < 1
    assert gap(law.cdf(x), other.cdf(x), 4 * e) < 1


@pytest.mark.parametrize(("a", "v"), KERNELS)
@pytest.mark.parametrize("name", LAWS)
def test_denoiser_is_tweedie(name, a, v):
    law = Convolved(LAWS[name], a, v)
    x = law.draw_with(40, np.random.default_rng(9))
    tweedie = (x + v * law.score(x)) / a
    # v score is at most |x| + a |x_0|: both are known to e.
    e = 4 * law.relative_error(x).max() + 16 * EPS
    unit = e * (np.abs(x).max() + v * np.abs(law.score(x)).max() + 1) / a
    assert gap(law.denoiser(x), tweedie, unit) < 1
    if v > 1e-3:
        assert gap(law.denoiser(x) * 1.01 + 0.01, tweedie, unit) > 1
