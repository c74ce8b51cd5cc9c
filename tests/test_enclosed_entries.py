"""Enclosures of the ledger's entries, second routes to what they use, and what happens without python-flint."""

from __future__ import annotations

import importlib
import json
import math
import os
import subprocess
import sys
import textwrap
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate
from scoreproof.numerics.enclosure_laws import ExactMixture
from scoreproof.numerics.enclosure_models import PolynomialScore, RationalScore
from scoreproof.numerics.enclosure_noise import enclose_dsm, enclose_dsm_constant
from scoreproof.numerics.enclosure_objectives import (
    enclose,
    enclose_information,
    enclose_mean,
)
from scoreproof.numerics.enclosure_points import (
    enclose_log_density,
    enclose_posterior_mean,
    enclose_score,
)
from scoreproof.numerics.objectives import ESM, ISM
from scoreproof.theory import GaussianMixture
from scoreproof.validation.claim import Context
from scoreproof.validation.claims import CLAIMS
from scoreproof.validation.claims.additions import enclosed_dynamics, enclosed_laws
from scoreproof.validation.evidence import Outcome

pytest.importorskip("flint")

MODULES = ("objectives", "scores", "posteriors", "levels", "dynamics", "laws")
ENTRIES = {
    id: added
    for name in MODULES
    for id, added in importlib.import_module(
        f"scoreproof.validation.claims.additions.enclosed_{name}"
    ).ADDED.items()
}
LAW = ExactMixture.make(["0.3", "0.7"], ["-3/2", 1], ["1/4", "9/16"])
FLOATS = GaussianMixture([0.3, 0.7], [[-1.5], [1.0]], [0.25, 0.5625])


def context(profile):
    return Context(np.random.default_rng(0), 1e-9, 1000, profile=profile)


@pytest.mark.parametrize("profile", ["quick", "standard"])
@pytest.mark.parametrize("id", ENTRIES)
def test_what_is_corrected_is_refuted_as_printed_and_mutants_always(id, profile):
    added, ctx = ENTRIES[id], context(profile)
    # An entry has a correction exactly where its printed sentence fails.
    assert (added.corrected is not None) == (CLAIMS[id].correction is not None)
    sides = [(added, Outcome.REFUTED if added.corrected else Outcome.SUPPORTED)]
    sides += [(added.corrected, Outcome.SUPPORTED)] if added.corrected else []
    for side, wanted in sides:
        for name, check in side.checks.items():
            piece = check(ctx)
            assert piece.kind == "enclosure" and piece.outcome is wanted, piece.message
            assert len(side.mutants[name]) >= 2
            for mutant in side.mutants[name]:
                assert mutant(ctx).outcome is Outcome.REFUTED, mutant.__name__


def test_deep_means_a_hundred_digits_where_something_is_equal():
    for check in (
        enclosed_dynamics.reversal(1, 1),
        enclosed_laws.guided(field="tilted"),
        enclosed_laws.likelihood(),
    ):
        piece = check(context("deep"))
        assert piece.outcome is Outcome.SUPPORTED and piece.measured is not None
        assert -1e-100 < piece.measured.low <= 0 <= piece.measured.high < 1e-100


# Second routes.


def test_returned_variances_against_the_moment_equation():
    for v in (0.25, 2.25):
        for score, noise in ((1.0, 1), (0.5, 1), (0.5, 0), (1.0, 0), (0.0, 1)):

            def right(u, w, v=v, score=score, noise=noise):
                # Towards the data u falls: dw/d(-u) = (1 - 2 score / V) w + noise.
                return -((1 - 2 * score / (1 + (v - 1) * math.exp(-u))) * w + noise)

            end = [1 + (v - 1) * math.exp(-3)]
            route = integrate.solve_ivp(
                right, (3, 0), end, method="DOP853", rtol=1e-11, atol=1e-13
            )
            ball = enclosed_dynamics.returned(Fraction(v), Fraction(score), noise, 15)
            # Far above what the solver was asked for, over three units of time.
            assert abs(ball.value / route.y[0, -1] - 1) < 1e-8


def test_returned_variances_in_closed_form():
    one = enclosed_dynamics.returned(Fraction(1), Fraction(1, 2), 1, 30)
    assert one.contains(4) and one.narrow  # w = 1 + B(T) for the standard Gaussian
    v, r = 2.25, math.exp(-3)
    half = v * (1 - math.log(r * v) + math.log1p(r * (v - 1)))
    none = r * v**2 / (1 + r * (v - 1))
    for score, noise, closed in ((Fraction(1, 2), 1, half), (Fraction(1), 0, none)):
        ball = enclosed_dynamics.returned(Fraction(9, 4), score, noise, 20)
        assert abs(ball.value / closed - 1) < 1e-14  # rounding of a few float64 operations


def test_the_guided_flow_returns_what_the_closed_form_says():
    piece = enclosed_laws.guided()(context("quick"))
    free, given, tilted = 2.0, 1 / (1 / 2 + 4 / 3), 1 / (1 / 2 + 4)

    def factor(v):  # exp(int_0^5 du / V(u))
        return (math.exp(5) + v - 1) / v

    start = 1 + (tilted - 1) * math.exp(-5)
    closed = math.exp(5) * factor(free) ** 2 / factor(given) ** 3 * start / tilted
    assert abs(piece.value + 1 - closed) < 1e-13  # rounding


def test_points_against_the_library_in_float64():
    for x in (-2.0, 0.3, 4.5):
        point = np.array([[x]])
        assert abs(enclose_score(LAW, x).value - FLOATS.score(point)[0, 0]) < 1e-13
        assert abs(enclose_log_density(LAW, x).value - FLOATS.log_prob(point)[0]) < 1e-13


@pytest.mark.parametrize("x", [-4.0, 0.3, 2.5, 9.0])
def test_posterior_means_against_quadrature(x):
    def weight(y):
        p = math.exp(FLOATS.log_prob(np.array([[y]]))[0])
        return p * math.exp(-((x - 0.8 * y) ** 2) / 0.72)

    ends = {"points": [-1.5, 1.0, 6.0], "limit": 400, "epsabs": 0, "epsrel": 1e-11}
    mass = integrate.quad(weight, -12, 12, **ends)[0]
    for coefficients in ((0, 1), (1, "-1/2", "1/3")):
        c = [float(Fraction(k)) for k in coefficients]
        top = integrate.quad(lambda y, c=c: weight(y) * np.polyval(c[::-1], y), -12, 12, **ends)[0]
        ball = enclose_posterior_mean(
            LAW, x, scale="4/5", variance="9/25", coefficients=coefficients
        )
        assert ball.narrow and abs(ball.value - top / mass) < 1e-8 * (1 + abs(ball.value))


def test_posterior_means_far_out_keep_their_digits():
    # One Gaussian: the posterior mean is affine, and the likelihood at 20 is about exp(-150).
    one = ExactMixture.make([1], ["1/3"], ["3/4"])
    ball = enclose_posterior_mean(one, 20, variance="1/2")
    assert ball.narrow and ball.contains(
        (Fraction(1, 3) / 2 + 20 * Fraction(3, 4)) / Fraction(5, 4)
    )


def test_posterior_mean_of_noise_without_variance_is_refused():
    with pytest.raises(ValueError, match="variance"):
        enclose_posterior_mean(LAW, 0, variance=0)


# Models of every family.


def trained(*sizes, steps):
    """A network of torch, its weights after a little denoising score matching."""
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(3)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    parts = []
    for a, b in pairwise(sizes):
        layer = torch.nn.Linear(a, b)
        with torch.no_grad():
            layer.weight.copy_(normal(b, a) / math.sqrt(a))
            layer.bias.copy_(0.1 * normal(b))
        parts += [layer, torch.nn.Tanh()]
    net = torch.nn.Sequential(*parts[:-1])
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(steps):
        left = torch.rand(512, 1, generator=generator) < 0.3
        x = torch.where(left, -1.5 + 0.5 * normal(512, 1), 1 + 0.75 * normal(512, 1))
        eps = normal(512, 1)
        loss = ((net(x + 0.5 * eps) + eps / 0.5) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net


FAMILIES = {
    "linear": (lambda: PolynomialScore(["1/4", "-5/4"]), 30),
    "polynomial": (lambda: PolynomialScore(["1/4", -1, 0, "-1/8"]), 30),
    "rational": (lambda: RationalScore([1, -1], [1, 0, 1]), 30),
    "1-8-1": (lambda: trained(1, 8, 1, steps=60), 30),
    "1-64-64-1": (lambda: trained(1, 64, 64, 1, steps=60), 15),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_objectives_and_their_constants(family):
    make, digits = FAMILIES[family]
    model = make()
    explicit, implicit = (enclose(f(LAW), model, digits=digits) for f in (ESM, ISM))
    information = enclose_information(LAW, digits=digits)
    rest = explicit - implicit - information * "1/2"
    assert rest.contains(0) and rest.digits >= digits - 1
    # With the trace once, as one text prints it, the constant is another.
    printed = enclose_mean(LAW, model, "implicit", trace=1, digits=digits) * "1/2"
    assert (explicit - printed - information * "1/2").excludes(0)
    denoising = enclose_dsm(LAW, model, variance="1/4", digits=digits)
    noised = enclose(ESM(LAW.diffuse(1, "1/4")), model, digits=digits)
    constant = enclose_dsm_constant(LAW, variance="1/4", digits=digits)
    rest = denoising - noised - constant
    assert rest.contains(0) and rest.digits >= digits - 1
    assert (denoising - noised).excludes(0)
    wrong = enclose_dsm(LAW, model, variance="1/4", target=-1, digits=digits)
    assert (wrong - noised - constant).excludes(0)


def test_training_reached_the_weights_that_are_enclosed():
    before, after = trained(1, 64, 64, 1, steps=0), trained(1, 64, 64, 1, steps=60)
    losses = [enclose_dsm(LAW, net, variance="1/4", digits=10) for net in (before, after)]
    assert losses[1].high < losses[0].low


# Without python-flint.

WITHOUT = textwrap.dedent("""
    import importlib.util, json, sys
    sys.modules["flint"] = None
    from scoreproof.validation.runner import run_claims
    from scoreproof.theory.symbolic.catalogue import derive

    report = run_claims(["O2", "L4"], profile="quick")
    names = ("ism", "tweedie", "sub-vp", "reverse-sde", "fourier-features")
    found = {}
    for name in names:
        made = derive(name)
        found[name] = [made.status, [derive(name, wrong=w).status for w in made.mutants]]
    try:
        from scoreproof.numerics.enclosure import library
        library()
        said = ""
    except ImportError as error:
        said = str(error)
    print(json.dumps({
        "verdicts": [
            [v.claim, str(v.outcome), [e.kind for e in v.evidence], list(v.survivors), list(v.assumptions)]
            for top in report.verdicts for v in top.nested()
        ],
        "not_checked": [[n.claim, n.reason] for n in report.not_checked],
        "text": report.text() if hasattr(report, "text") else "",
        "derivations": found,
        "said": said,
    }))
""")


@pytest.fixture(scope="module")
def without():
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, env=env, timeout=600
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout.splitlines()[-1])


def test_without_python_flint_the_other_kinds_decide_the_same(without):
    outcomes = [(claim, outcome) for claim, outcome, *_ in without["verdicts"]]
    assert outcomes == [
        ("O2", "REFUTED"),
        ("O2", "SUPPORTED"),
        ("L4", "REFUTED"),
        ("L4", "SUPPORTED"),
    ]
    for claim, _, kinds, survivors, assumptions in without["verdicts"]:
        assert "enclosure" not in kinds and survivors == []
        assert "proof" in kinds or claim != "O2"
        assert any("pip install python-flint" in text for text in assumptions)


def test_without_python_flint_it_is_said_what_is_missing(without):
    assert [claim for claim, _ in without["not_checked"]] == ["O2", "L4"]
    assert all("pip install python-flint" in reason for _, reason in without["not_checked"])
    assert "python-flint, which is missing; run pip install python-flint" in without["said"]


def test_without_python_flint_derivations_are_proved_and_their_mutants_refuted(without):
    for status, wrong in without["derivations"].values():
        assert status == "PROVED" and set(wrong) == {"REFUTED"}


def test_ground_types_of_python_prove_the_same():
    code = (
        "import sympy; from sympy.external.gmpy import GROUND_TYPES; assert GROUND_TYPES == 'python';"
        "from scoreproof.theory.symbolic.catalogue import derive;"
        "d = derive('dsm'); assert d.status == 'PROVED';"
        "assert all(derive('dsm', wrong=w).status == s for w, s in d.mutants.items())"
    )
    env = {**os.environ, "SYMPY_GROUND_TYPES": "python"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=600
    )
    assert run.returncode == 0, run.stderr[-2000:]
