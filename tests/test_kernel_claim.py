"""Claims of users on diffusions and interpolants: four routes that never disagree, and refusals."""

from __future__ import annotations

import time

import numpy as np
import pytest
import sympy as sp
from scoreproof.validation import kernel_claim, run_claims
from scoreproof.validation.claim import Context, decide
from scoreproof.validation.evidence import Outcome

t, b, c = sp.symbols("t b c")
U = sp.pi * t / 2
ROUTES = ("proof", "enclosure", "quadrature", "draws")

#: name: (f, g2, scale, variance, t_max, parameters)
KERNELS = {
    "cosine": (-sp.pi / 2 * sp.tan(U), sp.pi * sp.tan(U), sp.cos(U), sp.sin(U) ** 2, sp.Rational(9, 10), {}),
    "ou": (-b, 2 * b, sp.exp(-b * t), 1 - sp.exp(-2 * b * t), 3, {b: sp.Rational(1, 2)}),
    "path": (-1 / (1 - t), 2 * t / (1 - t), 1 - t, t**2, sp.Rational(4, 5), {}),
    "ve": (sp.Integer(0), 2 * t, sp.Integer(1), t**2, 4, {}),
    "growing": (1 / (1 + t), sp.Integer(1), 1 + t, t * (1 + t), 2, {}),
    "warped": (
        -t, 2 * t * (1 + sp.exp(-(t**2))), sp.exp(-(t**2) / 2), 1 - sp.exp(-(t**2)) + t**2 * sp.exp(-(t**2)), 1, {},
    ),
}  # fmt: skip


def claim(name="cosine", **changes):
    f, g2, scale, variance, t_max, parameters = KERNELS[name]
    given = {
        "time": t, "f": f, "g2": g2, "scale": scale, "variance": variance, "t_max": t_max, "parameters": parameters,
        "wrong": {"half-noise": {"g2": g2 / 2}, "more": {"variance": variance * sp.Rational(5, 4)}},
    }  # fmt: skip
    return kernel_claim(name, "a sentence", **(given | changes))


def outcomes(one, profile="quick", seed=0):
    verdict = decide(one, level=1e-6, profile=profile, seed=seed)
    return verdict, {e.check: e.outcome for e in verdict.evidence}


def context(seed):
    return Context(np.random.default_rng(seed), 1e-7, 16_000, profile="quick", seed=seed)


@pytest.mark.parametrize("name", KERNELS)
def test_four_routes_agree_on_right_and_wrong_kernels(name):
    own = claim(name)
    verdict, kinds = outcomes(own)
    assert kinds == dict.fromkeys(ROUTES, Outcome.SUPPORTED), str(verdict)
    assert {m.outcome for m in verdict.mutants} == {Outcome.REFUTED} and len(verdict.mutants) == 8
    assert verdict.outcome is Outcome.SUPPORTED
    # Another seed says the same.
    assert own.checks["draws"](context(1)).outcome is Outcome.SUPPORTED


@pytest.mark.parametrize("name", KERNELS)
def test_a_claim_of_a_wrong_kernel_is_refuted_by_all_four(name):
    f, g2, scale, variance, _, _ = KERNELS[name]
    changes = {
        "scale": scale**2 + t / 3,
        "variance": variance * (1 + t / 2),
        "f": f + sp.Rational(1, 3),
        "g2": 2 * g2,
    }
    for wrong, formula in changes.items():
        one = claim(name, **{wrong: formula}, wrong={"far": {"variance": variance * 9}})
        found = {kind: check(context(2)).outcome for kind, check in one.checks.items()}
        assert found == dict.fromkeys(ROUTES, Outcome.REFUTED), wrong


REFUSED = {
    "g2: got -2": {"g2": sp.Integer(-2)},
    "variance at t = 0: got 1, wanted 0": {"variance": 1 + t},
    "scale at t = 0: got 2, wanted 1": {"scale": 2 * sp.cos(U)},
    "scale at t = 0: got": {"scale": sp.log(t)},
    "variance: got -0.0": {"variance": -(t**2)},
    "variance: got 0 at": {"variance": sp.Integer(0)},
    "f: got no finite value at t = 1": {"t_max": 1},
    "f: got no finite value": {"f": 1 / (t - sp.Rational(9, 20))},
    "f: got the symbol c": {"f": c * t},
    "f: got the float 0.5": {"f": 0.5 * t},
    "t_max: got oo": {"t_max": sp.oo},
    "t_max: got 0.9": {"t_max": 0.9},
    "time: got 2": {"time": 2},
    "parameters[b]: got 0": {"parameters": {b: 0}},
    "wrong: got none": {"wrong": {}},
    "wrong['w']: got {}": {"wrong": {"w": {}}},
    "wrong['w']: got {'sigma'": {"wrong": {"w": {"sigma": t}}},
    "wrong['w']: got the formulas themselves": {"wrong": {"w": {"variance": sp.sin(U) ** 2}}},
    "wrong['w'] g2: got -": {"wrong": {"w": {"g2": -t}}},
    "wrong['w'] variance: got the symbol c": {"wrong": {"w": {"variance": c}}},
    "tolerance: got 0": {"tolerance": 0},
}


@pytest.mark.parametrize("told", REFUSED)
def test_refusals_name_argument_what_came_what_was_wanted_and_the_remedy(told):
    with pytest.raises(ValueError) as caught:
        claim(**REFUSED[told])
    text = str(caught.value)
    assert told in text and all(part in text for part in (", wanted ", "; "))


def test_a_pole_between_the_times_that_are_looked_at_is_refused():
    pole = sp.Rational(9, 10) * sp.Rational(31, 100)
    with pytest.raises(ValueError, match="f, g2: got no kernel"):
        claim(f=-sp.pi / 2 * sp.tan(U) + sp.Rational(1, 10**9) / (t - pole) ** 2)


def test_a_time_limit_leaves_undecided_with_the_reason():
    one = claim()
    verdict = decide(one, level=1e-6, profile="quick", deadline=time.monotonic() - 1)
    assert {e.outcome for e in verdict.evidence if e.check != "quadrature"} == {Outcome.UNDECIDED}
    assert verdict.outcome is Outcome.UNDECIDED and "time limit" in verdict.explain()
    soon = Context(np.random.default_rng(0), 1e-7, 1000, time.monotonic() + 0.2)
    piece = one.checks["proof"](soon)  # cut short in its subprocess
    assert piece.outcome is Outcome.UNDECIDED and "time limit" in piece.message
    enough = Context(np.random.default_rng(0), 1e-7, 1000, time.monotonic() + 60)
    assert one.checks["proof"](enough).outcome is Outcome.SUPPORTED


def test_without_python_flint_the_other_routes_run(monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == "flint" else real(n, *a)
    )
    verdict, kinds = outcomes(claim("ou"))
    assert "enclosure" not in kinds and "draws" in kinds
    assert any("python-flint is missing" in a for a in verdict.assumptions)


def test_what_balls_do_not_know_is_left_out_and_said():
    f = -sp.Derivative(sp.log(sp.gamma(1 + t)), t).doit()
    scale = 1 / sp.gamma(1 + t)
    one = claim(f=f, g2=-2 * f * t + 1, scale=scale, variance=t, t_max=sp.Rational(1, 4))
    assert "enclosure" not in one.checks and any(
        "not run: enclosure" in a for a in one.assumptions
    )


def test_it_travels_to_a_worker():
    report = run_claims(claim("ou"), profile="quick", jobs=1, timeout=120)
    assert report.outcome is Outcome.SUPPORTED
    assert not any("cannot be pickled" in a for a in report.verdicts[0].assumptions)
