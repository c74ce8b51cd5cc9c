"""Every closed form of a mixture at 50 digits where doubles are short: tails, tiny times, thin covariances."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scoreproof.theory import EDM, VE, VP, GaussianMixture, PointMasses, SubVP, marginal

EPS = np.finfo(np.float64).eps
WEIGHTS = np.array([0.15, 0.6, 0.25])
MEANS = np.array([[2.0, -1.0, 0.5], [-1.5, 3.0, 0.0], [0.3, 0.4, -4.0]])
DIFFUSIONS = {"VP": VP(), "VE": VE(), "SubVP": SubVP(), "EDM": EDM(sigma_max=20.0)}
TIMES = (1e-8, 1e-3, 0.4, 1.0)  # parts of t_max


def law(thin: float) -> GaussianMixture:
    """Diagonal covariances: the variances are those that are given, to the last digit."""
    return GaussianMixture(
        WEIGHTS, MEANS, np.array([[thin, 0.3, 2.0], [1.0, thin, 0.1], [0.5] * 3])
    )


def exact(p: GaussianMixture, x: np.ndarray, a: float, v: float) -> dict[str, np.ndarray]:
    """Everything about ``x = a x_0 + sqrt(v) eps`` at one point from dense formulas, 50 digits."""
    d = p.dim
    with mp.workdps(50):
        here: Any = mp.matrix([mp.mpf(float(c)) for c in x])
        a, v = mp.mpf(a), mp.mpf(v)
        logs, pulls, precisions, means, spreads = [], [], [], [], []
        for w, mu, c in zip(p.weights, p.means, p.covariances, strict=True):
            centre, sigma = mp.matrix(mu.tolist()), mp.matrix(c.tolist())
            precision = mp.inverse(a**2 * sigma + v * mp.eye(d))
            off = here - a * centre
            pull = -precision * off
            logs.append(
                mp.log(mp.mpf(w))
                + (off.T * pull)[0] / 2
                + mp.log(mp.det(precision / (2 * mp.pi))) / 2
            )
            gain = a * sigma * precision
            means.append(centre + gain * off)
            spreads.append(sigma - a * gain * sigma)
            pulls.append(pull)
            precisions.append(precision)
        top = max(logs)
        total = sum(mp.exp(one - top) for one in logs)
        r = [mp.exp(one - top) / total for one in logs]

        def mean(parts: list[Any]) -> Any:
            return sum((q * one for q, one in zip(r, parts, strict=True)), parts[0] * 0)

        score, clean = mean(pulls), mean(means)
        hessian = (
            mean([s * s.T - q for s, q in zip(pulls, precisions, strict=True)]) - score * score.T
        )
        spread = mean([m * m.T + c for m, c in zip(means, spreads, strict=True)]) - clean * clean.T
        trace = sum(hessian[i, i] for i in range(d))
        found = {
            "log_prob": mp.matrix([top + mp.log(total)]),
            "score": score,
            "hessian": hessian,
            "divergence": mp.matrix([trace]),
            "responsibilities": mp.matrix(r),
            "denoiser": clean,
            "posterior_covariance": spread,
        }
        return {k: np.array(m.tolist(), dtype=np.float64).squeeze() for k, m in found.items()}


def measured(p: GaussianMixture, x: np.ndarray, a: float, v: float) -> dict[str, np.ndarray]:
    q = p.diffuse(a, v)
    clean = {n: getattr(q, n)(x) for n in ("log_prob", "score", "hessian", "divergence")}
    posterior = {n: getattr(p, n)(x, a, v) for n in ("denoiser", "posterior_covariance")}
    return {**clean, **posterior, "responsibilities": q.responsibilities(x)}


def slack(p: GaussianMixture, x: np.ndarray, a: float, v: float) -> float:
    """Rounding of the logits, the largest relative error that the weights can have.

    ``x - a mu`` is off by 2 u (|x| + |a mu|) in each coordinate, so a square ``off^2 / s`` by
    4 u (|x| + |a mu|) |off| / s and by a few u of itself; ``d`` of them and the constants add up. Components
    that are e^-60 below the largest have no say.
    """
    spread = a**2 * np.stack([np.diag(c) for c in p.covariances]) + v
    off = np.abs(x - a * p.means)
    size = np.abs(x) + np.abs(a * p.means)
    terms = (4 * size * off / spread + 8 * off**2 / spread).sum(axis=1) / 2
    logs = p.diffuse(a, v).component_log_prob(x)
    constants = 8 * (p.dim + np.abs(np.log(spread)).sum(axis=1))
    return float(EPS * (terms + constants)[logs > logs.max() - 60].max())


def compare(p: GaussianMixture, x: np.ndarray, a: float, v: float) -> None:
    want, got = exact(p, x, a, v), measured(p, x, a, v)
    e = slack(p, x, a, v)
    spread = a**2 * np.stack([np.diag(c) for c in p.covariances]) + v
    heavy = p.diffuse(a, v).responsibilities(x) > np.exp(-60)
    size = np.abs(x) + np.abs(a * p.means)
    pull = float((np.abs(x - a * p.means) / spread)[heavy].max())
    lost = float((size / spread)[heavy].max())  # times a rounding: what a pull can be off by
    curved = float(1 / spread[heavy].min()) + pull**2
    gain = float((a * np.stack([np.diag(c) for c in p.covariances]) / spread).max())
    away = float(np.abs(p.means).max() + gain * np.abs(x - a * p.means).max())
    # Averages of terms of that size under weights off by 2 e, of terms off by some roundings.
    bounds = {
        "log_prob": 4 * e,
        "score": 8 * e * pull + 16 * EPS * lost,
        "hessian": 32 * e * curved + 64 * EPS * (lost * pull + curved),
        "divergence": 96 * e * curved + 192 * EPS * (lost * pull + curved),
        "responsibilities": 8 * e,
        "denoiser": 16 * e * away + 32 * EPS * (away + gain * float(size.max())),
        "posterior_covariance": 64 * e * away**2
        + 64 * EPS * (away + gain * float(size.max())) ** 2,
    }
    for name, bound in bounds.items():
        assert np.abs(got[name] - want[name]).max() <= bound, (name, bound)


@pytest.mark.parametrize("thin", [0.2, 1e-12])
@pytest.mark.parametrize("part", TIMES)
@pytest.mark.parametrize("key", DIFFUSIONS)
def test_all_closed_forms(key: str, part: float, thin: float) -> None:
    p, sde = law(thin), DIFFUSIONS[key]
    kernel = sde.kernel(part * sde.t_max)
    a, v = float(kernel.scale), float(kernel.variance)
    width = np.sqrt(a**2 * np.diag(p.covariance) + v)
    rng = np.random.default_rng(7)
    for far in (0.0, 1.0, 40.0):
        direction = rng.standard_normal(3)
        x = a * p.mean + far * width * direction / np.abs(direction).max()
        compare(p, x, a, v)


def test_the_bounds_notice_a_wrong_formula() -> None:
    """A variance off by 1e-9, a tenth of a millionth of a noise level: seen at each of the three places."""
    p = law(0.2)
    for far in (1.0, 40.0):
        x = p.mean + far * np.sqrt(np.diag(p.covariance)) * np.array([1.0, -0.3, 0.5])
        want, got = exact(p, x, 0.8, 0.4), measured(p, x, 0.8, 0.4 * (1 + 1e-9))
        assert np.abs(got["score"] - want["score"]).max() > 1e-11
        with pytest.raises(AssertionError):
            assert np.abs(got["log_prob"] - want["log_prob"]) <= 4 * slack(p, x, 0.8, 0.4)


@pytest.mark.parametrize("part", TIMES)
def test_point_masses_far_away(part: float) -> None:
    """The data set at 40 noise levels beyond its points: the nearest ones alone count."""
    points = np.random.default_rng(8).standard_normal((12, 3)) * [1.0, 0.2, 3.0] + [2.0, -1.0, 0.5]
    p, sde = PointMasses(points), VP()
    kernel = sde.kernel(part)
    a, v = float(kernel.scale), float(kernel.variance)
    x = a * points[3] + 40 * np.sqrt(v + a**2 * points.var(axis=0)) * np.array([0.7, -1.0, 0.4])
    here = marginal(p, sde, part)
    with mp.workdps(50):
        offs = [
            [mp.mpf(a) * mp.mpf(float(c)) - mp.mpf(float(b)) for c, b in zip(y, x, strict=True)]
            for y in points
        ]
        logs = [-sum(o * o for o in off) / (2 * mp.mpf(v)) for off in offs]
        mass = [mp.exp(one - max(logs)) for one in logs]
        want = [
            float(sum(m * o[i] for m, o in zip(mass, offs, strict=True)) / sum(mass) / mp.mpf(v))
            for i in range(3)
        ]
        value = float(
            max(logs) + mp.log(sum(mass) / 12) - mp.mpf(1.5) * mp.log(2 * mp.pi * mp.mpf(v))
        )
    size = float(np.abs(x).max() + np.abs(points).max())
    # squares are summed from differences: off by a rounding of |x| |x - y| / v, of which the weights feel e
    e = 16 * EPS * (1 + size * float(np.abs(x - a * points).max()) / v)
    far = float(np.abs(x - a * points).max()) / v
    np.testing.assert_allclose(here.log_prob(x), value, rtol=0, atol=e)
    # Weights that are off by a factor 1 + e move the mean by e times what lies beside the nearest point.
    apart = a * float(np.abs(points[:, None] - points[None]).max()) / v
    beside = 1 - 1 / float(sum(mass))
    np.testing.assert_allclose(
        here.score(x), want, rtol=0, atol=e * beside * apart + 16 * EPS * far
    )
