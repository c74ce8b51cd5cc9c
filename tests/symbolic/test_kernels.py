"""The proved closed forms against the numeric ones of the diffusions, and kernels that a user asks for."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from scoreproof.theory import EDM, OU, VE, VP, ExponentialNoise, StraightPath, SubVP
from scoreproof.theory.symbolic import POSITIVE, kernel_of, sde_of, user_kernels
from scoreproof.theory.symbolic._limits import Answers
from scoreproof.theory.symbolic.coupled import (
    GAMMA,
    MASS,
    START,
    drift,
    mean_map,
    noise_covariance,
)  # fmt: skip
from scoreproof.theory.symbolic.kernels import KERNELS, B, T
from sympy import Rational as Q
from sympy import cos, exp, pi, sin, sqrt, tan

t, a, b, k = sp.symbols("t a b k")
EPS = float(np.finfo(np.float64).eps)

# Diffusion, name of its proved kernel, values of the parameters by name, largest exponent in the kernel.
NUMERIC = {
    "vp-linear": (VP(0.1, 20.0), {"beta_0": 0.1, "beta_1": 20.0}, 10.1),
    "vp-falling": (VP(9.0, 0.5), {"beta_0": 9.0, "beta_1": 0.5}, 4.8),
    "vp-constant": (VP.constant(3.0), {"beta_0": 3.0}, 3),
    "sub-vp-linear": (SubVP(0.1, 20.0), {"beta_0": 0.1, "beta_1": 20.0}, 10.1),
    "cosine": (VP.cosine(0.008), {"s": 0.008}, 14),
    "ve": (VE(0.01, 50.0), {"sigma_min": 0.01, "k": (50, 0.01)}, 17.1),
    "ou": (OU(1.5, 0.7, t_max=2.5), {"theta": 1.5, "sigma": 0.7}, 7.5),
    "edm": (EDM(), {}, 0),
    "straight-path": (StraightPath(), {}, 0),
    "exponential-noise": (ExponentialNoise(2.0), {}, 4),
}
TIMES = (1e-9, 1e-3, 0.17, 0.5, 0.83, 0.99)


def exact(value):
    """The rational number that a float is, or the quotient of two."""
    return (
        exact(value[0]) / exact(value[1])
        if isinstance(value, tuple)
        else sp.Rational(*float(value).as_integer_ratio())
    )


@pytest.mark.parametrize("name", NUMERIC)
def test_numeric_kernels_agree_with_the_proved_ones(name):
    sde, values, exponent = NUMERIC[name]
    kernel = KERNELS["vp-linear" if name == "vp-falling" else name]
    named = {s.name: s for s in kernel.symbols}
    put = {named[key]: exact(value) for key, value in values.items()}
    for time in TIMES:
        at = {**put, T: exact(time)}
        with mp.workdps(80):
            scale = mp.mpf(sp.N(kernel.scale.xreplace(at), 80, maxn=400)._mpf_)
            variance = mp.mpf(sp.N(kernel.variance.xreplace(at), 80, maxn=400)._mpf_)
            found = sde.kernel(time)
            # An argument of size E, rounded, moves an exponential by E ulps; a few operations besides.
            bound = (16 + 4 * exponent) * EPS
            assert abs(mp.mpf(found.scale) / scale - 1) < bound
            assert abs(mp.mpf(found.variance) / variance - 1) < bound


@pytest.mark.parametrize("name", NUMERIC)
def test_numeric_coefficients_agree_with_the_proved_ones(name):
    sde, values, exponent = NUMERIC[name]
    kernel = KERNELS["vp-linear" if name == "vp-falling" else name]
    named = {s.name: s for s in kernel.symbols}
    put = {named[key]: exact(value) for key, value in values.items()}
    for time in TIMES[1:]:
        at = {**put, T: exact(time)}
        f = float(sp.N(sp.sympify(kernel.f).xreplace(at), 40))
        g = math.sqrt(float(sp.N(sp.sympify(kernel.g2).xreplace(at), 40)))
        # tan near its pole multiplies the rounding of its argument by 1 / (pi/2 - u), below 200 here.
        bound = (16 + 4 * exponent + (400 if name == "cosine" else 0)) * EPS
        assert sde.drift(time) == pytest.approx(f, rel=bound, abs=0)
        assert sde.diffusion(time) == pytest.approx(g, rel=bound)


def test_matrix_kernel_agrees_with_a_series():
    """exp(F B) and the covariance integral by their power series in 50 digits."""
    gamma, clock = Q(7, 5), Q(9, 10)
    at = {GAMMA: gamma}
    f = drift().xreplace(at)
    series, term = sp.eye(2), sp.eye(2)
    for n in range(1, 60):
        term = term * f * clock / n
        series += term
    assert max(abs(v) for v in sp.N(mean_map(clock).xreplace(at) - series, 50)) < 1e-40
    # Sigma(B) = sum_n B^(n+1)/(n+1)! L^n(Q) with L(S) = F S + S F^T.
    q = sp.diag(0, 2 * gamma)
    total, term = sp.zeros(2, 2), q * clock
    for n in range(1, 80):
        total += term
        term = (f * term + term * f.T) * clock / (n + 1)
    assert max(abs(v) for v in sp.N(noise_covariance(clock).xreplace(at) - total, 50)) < 1e-40
    assert MASS.xreplace(at) == gamma**2 / 4 and START.shape == (2, 2) and B(0) != 0


FOUND = {
    "vp": ((-a / 2, a), {"parameters": {a: POSITIVE}}, exp(-a * t / 2), 1 - exp(-a * t)),
    "ve": ((0, k ** (2 * t)), {"parameters": {k: (1, sp.oo)}}, 1, (k ** (2 * t) - 1) / (2 * sp.log(k))),
    "straight": ((-1 / (1 - t), 2 * t / (1 - t)), {}, 1 - t, t**2),
    "cosine": (
        (-pi / 4 * tan(pi * t / 4), pi / 2 * tan(pi * t / 4)), {}, cos(pi * t / 4), sin(pi * t / 4) ** 2,
    ),
    "bridge": (
        (-1 / (2 - t), 1), {}, 1 - t / 2, t * (2 - t) / 2,
    ),
    "bridge-with-a-logarithm": (
        (-1 / (2 - t), 2 - t), {}, 1 - t / 2, (2 - t) ** 2 * (sp.log(2) - sp.log(2 - t)),
    ),
}  # fmt: skip


@pytest.fixture
def here(monkeypatch):
    """The search in this process: a new interpreter a test would take longer than the search."""

    def run(limit, module, function, arguments):
        return Answers(tuple(getattr(user_kernels, function)(*arguments)))

    monkeypatch.setattr(user_kernels, "within", run)


def test_the_search_in_a_subprocess():
    found = kernel_of(-1, 2, t, timeout=60)
    assert found.status == "PROVED"
    assert found.kernel is not None and not found.kernel.variance.has(sp.Integral)


@pytest.mark.parametrize("name", FOUND)
def test_kernel_of_a_given_diffusion(name, here):
    (f, g2), keywords, scale, variance = FOUND[name]
    found = kernel_of(f, g2, t, **keywords)
    assert found.status == "PROVED", found.reason
    assert found.kernel is not None and found.derivation is not None
    gaps = found.kernel.scale - scale, found.kernel.variance - variance
    assert [abs(sp.N(g.subs({a: Q(3, 2), k: 5, t: Q(1, 3)}), 30)) < 1e-25 for g in gaps] == [
        True,
        True,
    ]
    assert "PROVED" in found.derivation.text()
    assert not found.kernel.variance.has(sp.I)  # log(t - 2) is not left to be cancelled


def test_without_a_closed_form_the_integrals_stand():
    found = kernel_of(-(t**2) - Q(1, 5), (1 + t / 2) ** 2, t, timeout=0.01)
    assert found.status == "PROVED"
    assert found.kernel is not None and found.kernel.variance.has(sp.Integral)


def test_a_given_closed_form_is_proved_or_not():
    right = kernel_of(-1, 2, t, scale=exp(-t), variance=1 - exp(-2 * t))
    assert right.status == "PROVED"
    for scale, variance in (
        (exp(-t), 1 - exp(-t)),
        (exp(t), 1 - exp(-2 * t)),
        (2 * exp(-t), 1 - exp(-2 * t)),
    ):
        wrong = kernel_of(-1, 2, t, scale=scale, variance=variance)
        assert (wrong.status, "REFUTED" in wrong.reason) == ("UNKNOWN", True)


@pytest.mark.parametrize(
    ("f", "g2", "keywords"),
    [
        (-4 / (1 - 2 * t), 1, {}),  # not integrable at t = 1/2
        (1 / (2 * t - 1), 1, {}),
        (-4 / (b - t), 1, {"parameters": {b: POSITIVE}}),  # nor at t = b
        (1 / t, 1, {}),  # nor at zero
        (-1 / t, 1, {}),
        (0, 1 / t, {}),
        (0, 1 / (1 - 2 * t) ** 2, {}),
    ],
)
def test_kernels_that_do_not_exist_are_not_proved(f, g2, keywords, here):
    found = kernel_of(f, g2, t, **keywords)
    assert found.status == "UNKNOWN"
    assert found.reason


DIFFUSIONS = {
    "straight": (1 - t, t, {}, -1 / (1 - t), 2 * t / (1 - t)),
    "trigonometric": (
        cos(pi * t / 2),
        sin(pi * t / 2),
        {},
        -pi / 2 * tan(pi * t / 2),
        pi * tan(pi * t / 2),
    ),
    "edm": (sp.Integer(1), t, {}, sp.Integer(0), 2 * t),
    "ou": (exp(-t), sqrt(1 - exp(-2 * t)), {"t_max": sp.oo}, sp.Integer(-1), sp.Integer(2)),
    "with-parameter": (exp(-a * t), t, {"parameters": {a: POSITIVE}}, -a, 2 * t * (1 + a * t)),
}


@pytest.mark.parametrize("name", DIFFUSIONS)
def test_diffusion_of_a_given_kernel(name):
    alpha, sigma, keywords, f, g2 = DIFFUSIONS[name]
    found = sde_of(alpha, sigma, t, **keywords)
    assert found.status == "PROVED", found.reason
    assert found.kernel is not None
    at = {a: Q(3, 2), t: Q(1, 3)}
    gaps = found.kernel.f - f, found.kernel.g2 - g2
    assert [abs(sp.N(g.subs(at), 30)) < 1e-25 for g in gaps] == [True, True]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: kernel_of(a, 1, t), "symbol a"),
        (lambda: kernel_of(0.5, 1, t), "float"),
        (lambda: kernel_of(0, t - Q(1, 2), t), "g2: got g\\^2 < 0"),
        (lambda: kernel_of(0, 1, t, scale=1), "both or none"),
        (lambda: kernel_of(0, 1, t, timeout=-1), "timeout"),
        (lambda: kernel_of(0, 1, sp.Symbol("t", integer=True)), "assumption"),
        (lambda: sde_of(sp.Integer(2), t, t), "alpha\\(0\\)"),
        (lambda: sde_of(sp.Integer(1), 1 + t, t), "sigma\\(0\\)"),
        (lambda: sde_of(1 - 2 * t, t, t), "alpha: got a negative"),
        (lambda: sde_of(1 - t, t * (1 - t) ** 2, t), "sigma: got g\\^2 < 0"),
        (lambda: sde_of(sp.Integer(1), a * t, t), "symbol a"),
    ],
)
def test_bad_diffusions_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_scale_that_touches_zero_is_not_proved():
    assert sde_of((1 - 2 * t) ** 2, sp.Integer(0) + t * (1 - 2 * t) ** 2, t).status == "UNKNOWN"
