"""Claims of users on means: three kinds of evidence that never disagree, refusals, limits, transport."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pytest
import sympy as sp
from scoreproof.numerics import ExactMixture
from scoreproof.theory import Gaussian, GaussianMixture, Logistic, PointMasses, StudentT
from scoreproof.theory.densities_positive import Gamma
from scoreproof.validation import mean_claim, run_claims
from scoreproof.validation.claim import Context, decide
from scoreproof.validation.evidence import Outcome

x, y, c = sp.symbols("x y c")
p, s, L = sp.Function("p"), sp.Function("s"), sp.Function("L")
P, S = p(x), s(x)
R = sp.log(P).diff(x)
W = 1 / (1 + x**2)
LAW = GaussianMixture([0.7, 0.3], [[-1.0], [2.0]], [0.5, 0.8])
PLANE = GaussianMixture(
    [0.6, 0.4], [[-1.0, 0.5], [1.5, 1.0]], [[[0.5, 0.2], [0.2, 0.8]], [[0.7, -0.1], [-0.1, 0.4]]]
)
MODEL = {S: sp.tanh(x) - x / 2}

#: name: (left, right, wrong, flux)
IDENTITIES = {
    "by-parts": (S * R, -S.diff(x), S.diff(x), P * S),
    "ism": ((S - R) ** 2 / 2, S**2 / 2 + S.diff(x) + R**2 / 2, S**2 / 2 + R**2 / 2, -P * S),
    "weighted": (
        W * (S - R) ** 2,
        W * (S**2 + R**2) + 2 * (W * S).diff(x),
        W * (S**2 + R**2 + 2 * S.diff(x)),
        -2 * W * P * S,
    ),
    "score-mean": (R, 0, sp.Rational(1, 2), P),
    "position": (x * R, -1, 1, x * P),
    "information": (R**2, -R.diff(x), R.diff(x), P.diff(x)),
    "third-power": (x**3 * R, -3 * x**2, -2 * x**2, x**3 * P),
    "curvature": (P.diff(x, 2) / P, 0, 1, P.diff(x)),
    "stein": (S.diff(x) * R, -S.diff(x, 2), S.diff(x, 2), P * S.diff(x)),
    "entropy": (sp.log(P) * R, 0, R**2, P * sp.log(P) - P),
    "kinetic": (S * S.diff(x) + S**2 * R / 2, 0, S**2, P * S**2 / 2),
    "oscillating": (sp.sin(x) * R, -sp.cos(x), sp.cos(x), sp.sin(x) * P),
}  # fmt: skip


def claim(name="by-parts", **changes):
    left, right, wrong, flux = IDENTITIES[name]
    given = {
        "left": left, "right": right, "flux": flux, "density": P, "law": LAW, "model": MODEL,
        "wrong": {"wrong": wrong},
    }  # fmt: skip
    return mean_claim(name, "a sentence", **(given | changes))


def context(seed):
    return Context(np.random.default_rng(seed), 1e-7, 16_000, profile="quick", seed=seed)


def outcomes(one, profile="quick", seed=0):
    verdict = decide(one, level=1e-6, profile=profile, seed=seed)
    kinds = {e.check: e.outcome for e in verdict.evidence}
    return verdict, kinds, {m.check: m.outcome for m in verdict.mutants}


KINDS = ("proof", "enclosure", "draws")


@pytest.mark.parametrize("name", IDENTITIES)
def test_three_kinds_agree_on_right_and_wrong_identities(name):
    own = claim(name)
    verdict, kinds, mutants = outcomes(own)
    assert kinds == dict.fromkeys(KINDS, Outcome.SUPPORTED), str(verdict)
    assert mutants == dict.fromkeys(KINDS, Outcome.REFUTED), str(verdict)
    assert verdict.outcome is Outcome.SUPPORTED
    drawn = next(e for e in verdict.evidence if e.check == "draws")
    assert drawn.level > 0 and drawn.n == 16_000 and drawn.seed == 0 and drawn.detectable
    # Another seed says the same.
    wrong = own.mutants["draws"][0]
    assert own.checks["draws"](context(1)).outcome is Outcome.SUPPORTED
    assert wrong(context(2)).outcome is Outcome.REFUTED


@pytest.mark.parametrize("name", IDENTITIES)
def test_a_claim_of_a_wrong_identity_is_refuted_by_all_three(name):
    wrong = IDENTITIES[name][2]
    own = claim(name, right=wrong, wrong={"far": wrong + x**2 + 7})
    found = {kind: check(context(3)).outcome for kind, check in own.checks.items()}
    assert found == dict.fromkeys(KINDS, Outcome.REFUTED)


def test_another_flux_refutes_nothing():
    verdict, kinds, _ = outcomes(claim("ism", flux=-2 * P * S))
    assert kinds["proof"] is Outcome.UNDECIDED and kinds["enclosure"] is Outcome.SUPPORTED
    assert verdict.outcome is Outcome.UNDECIDED
    assert "correct the flux" in verdict.explain()
    printed = " ".join(str(run_claims(claim("ism", flux=-2 * P * S), profile="quick")).split())
    assert "UNDECIDED" in printed and "do not differ by the divergence of this flux" in printed


def test_log_densities_and_parameters():
    d = sp.exp(L(x))
    own = mean_claim(
        "tilted", "E c s (log p)' = -c E s'", left=c * S * L(x).diff(x), right=-c * S.diff(x), flux=c * d * S,
        density=d, law=LAW, model={S: sp.sin(x)}, parameters={c: sp.Rational(3, 2)}, wrong={"half": -S.diff(x) / 2},
    )  # fmt: skip
    verdict, kinds, _ = outcomes(own)
    assert verdict.outcome is Outcome.SUPPORTED and set(kinds) == {"proof", "enclosure", "draws"}


def test_two_dimensions_without_balls():
    q, u, v = p(x, y), sp.Function("u")(x, y), sp.Function("v")(x, y)
    own = mean_claim(
        "plane", "E s . grad log p = -E div s", left=(u * q.diff(x) + v * q.diff(y)) / q,
        right=-u.diff(x) - v.diff(y), flux=[q * u, q * v], density=q, law=PLANE,
        model={u: sp.tanh(x + y), v: x - y / 2}, wrong={"one-term": -u.diff(x), "sign": u.diff(x) + v.diff(y)},
    )  # fmt: skip
    verdict, kinds, _ = outcomes(own)
    assert kinds == {"proof": Outcome.SUPPORTED, "draws": Outcome.SUPPORTED}, str(verdict)
    assert verdict.outcome is Outcome.SUPPORTED
    assert any("not run: enclosure" in a and "dimension" in a for a in verdict.assumptions)


def test_without_python_flint_the_other_kinds_run(monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == "flint" else real(n, *a)
    )
    verdict, kinds, _ = outcomes(claim())
    assert set(kinds) == {"proof", "draws"} and verdict.outcome is Outcome.SUPPORTED
    assert any("python-flint is missing" in a for a in verdict.assumptions)


def test_draws_of_a_sampler_stand_in_for_those_of_the_law():
    def right(n, *, rng):
        return LAW.transport(rng.random(n), rng.standard_normal((n, 1)))

    def stretched(n, *, rng):
        return 1.3 * right(n, rng=rng)

    own = {"right": sp.Integer(0), "left": S * R + S.diff(x), "wrong": {"two": sp.Integer(2)}}
    assert outcomes(claim(sampler=right, **own), "standard")[0].outcome is Outcome.SUPPORTED
    verdict, kinds, _ = outcomes(claim(sampler=stretched, **own), "standard")
    assert kinds["draws"] is Outcome.REFUTED and kinds["enclosure"] is Outcome.SUPPORTED
    assert verdict.outcome is Outcome.REFUTED


def test_a_law_whose_flux_does_not_vanish_is_never_supported():
    half_line = Gamma(1.0, 1.0)
    own = claim(law=half_line, model={S: sp.cos(x)}, wrong={"sign": S.diff(x) + 3})
    verdict, kinds, _ = outcomes(own)
    assert kinds == {"proof": Outcome.UNDECIDED, "draws": Outcome.REFUTED}, str(verdict)
    assert verdict.outcome is Outcome.REFUTED
    assert any("flux jumps by 1" in a for a in verdict.assumptions)
    # The same law where the field vanishes at the end of the half-line.
    fine = claim(law=half_line, model={S: x}, wrong={"sign": S.diff(x)})
    assert outcomes(fine)[0].outcome is Outcome.SUPPORTED


def test_a_smooth_law_of_another_family():
    verdict, kinds, _ = outcomes(claim(law=Logistic(0.3, 0.8), model={S: sp.sin(x) + x}))
    assert kinds == {"proof": Outcome.SUPPORTED, "draws": Outcome.SUPPORTED}, str(verdict)


#: false identities whose flux would not be proved to decay, since only the proof knows the third derivative
HIDDEN = {
    "1/p": (P.diff(x, 4) / P + 2 / sp.sqrt(sp.pi) * sp.exp(-(x**2)) / P, P.diff(x, 3) + sp.erf(x)),
    "1/x": (P.diff(x, 4) / P + sp.atan(1 / x) * R - W, P.diff(x, 3) + sp.atan(1 / x) * P),
    "exp(x**2)": ((sp.exp(x**2) * P.diff(x, 3)).diff(x) / P, sp.exp(x**2) * P.diff(x, 3)),
    "Piecewise": (
        sp.Piecewise((1, x > 0), (0, True)) * P.diff(x, 4) / P, sp.Piecewise((1, x > 0), (0, True)) * P.diff(x, 3),
    ),
    "Derivative(floor(x), x)": (sp.floor(x) * R, sp.floor(x).diff(x) * P),
}  # fmt: skip


@pytest.mark.parametrize("told", HIDDEN)
def test_a_flux_that_does_not_decay_cannot_hide_behind_a_third_derivative(told):
    left, flux = HIDDEN[told]
    with pytest.raises(ValueError, match="left: got") as caught:
        claim(left=left, right=0, flux=flux, wrong={"one": 1})
    if "Derivative" not in told:
        assert told in str(caught.value)
    # The flux alone is refused too.
    with pytest.raises(ValueError, match="flux: got"):
        claim(flux=flux)


def test_an_identity_of_high_order_has_a_proof_only_and_none_where_the_law_ends():
    told = {"left": x * P.diff(x, 4) / P + P.diff(x, 3) / P, "right": 0, "flux": x * P.diff(x, 3)}
    verdict, kinds, _ = outcomes(claim(**told, wrong={"one": 1}))
    assert kinds == {"proof": Outcome.SUPPORTED} and verdict.outcome is Outcome.SUPPORTED
    half_line = Gamma(1.0, 1.0)
    told |= {"left": P.diff(x, 4) / P, "flux": P.diff(x, 3)}  # its mean under this law is 1
    verdict, kinds, _ = outcomes(claim(**told, law=half_line, wrong={"two": 2}))
    assert kinds == {"proof": Outcome.UNDECIDED}
    assert any("flux may jump" in a for a in verdict.assumptions)


REFUSED = {
    "left: got the symbol c": {"left": c * S * R},
    "left: got the function u(x)": {"left": sp.Function("u")(x) * R},
    "wrong['wrong']: got the symbol c": {"wrong": {"wrong": c * S}},
    "right: got the float 0.5": {"right": 0.5 * S},
    "left: got s(-x)": {"left": s(-x) * R},
    "right: got shape (2, 1), wanted shape () like left": {"right": sp.Matrix([S, S])},
    "left: got shape (2, 1), wanted a scalar": {
        "left": sp.Matrix([S, S]), "right": sp.Matrix([S, S]), "wrong": {"w": sp.Matrix([S, R])},
    },
    "model[s(x)]: got exp(x**2/4), not known": {"model": {S: sp.exp(x**2 / 4)}},
    "model[s(x)]: got Abs(x), not known": {"model": {S: sp.Abs(x)}},
    "model[s(x)]: got 1/x, not known": {"model": {S: 1 / x}},
    "left: got exp(x**2)": {"left": sp.exp(x**2) * R, "right": 0, "wrong": {"one": 1}},
    "model: got s(y)": {"model": {s(y): y}},
    "density: got p(-x)": {"density": p(-x)},
    "law: got dimension 2, wanted 1": {"law": PLANE},
    "law: got StudentT": {"law": StudentT(3.0, 0.0, 1.0)},
    "law: got float": {"law": 2.0},
    "law: got PointMasses": {"law": PointMasses([[0.0], [1.0]])},
    "density: got p(x, x), wanted p(x) or exp(L(x))": {"density": p(x, sp.Symbol("x", real=True))},
    "flux: got 2 components, wanted 1": {"flux": [P * S, P]},
    "flux: got exp(x**2)": {"flux": P * sp.exp(x**2)},
    "wrong: got none": {"wrong": {}},
    "wrong['same']: got the right side itself": {"wrong": {"same": -S.diff(x)}},
    "tolerance: got -1": {"tolerance": -1.0},
    "wrong['wrong']: got what is the right side for this model": {"model": {S: sp.Integer(0)}},
    "wrong: got list": {"wrong": [S]},
    "model[s(x)]: got I, not known": {"model": {S: sp.I * x}},
    "left: got 1/score_x, not known": {"left": 1 / R},
    "sampler: got int": {"sampler": 3},
    "parameters[c]: got 0.5": {"parameters": {c: 0.5}},
    "parameters: got x": {"parameters": {x: 1}},
    "left: got 'p of x": {"left": "p of x"},
}  # fmt: skip


@pytest.mark.parametrize("told", REFUSED)
def test_refusals_name_argument_what_came_what_was_wanted_and_the_remedy(told):
    with pytest.raises(ValueError) as caught:
        claim(**REFUSED[told])
    text = str(caught.value)
    assert text.startswith(told.partition(",")[0]) and all(
        part in text for part in (", wanted ", "; ")
    )
    assert told in text


def test_a_time_limit_leaves_undecided_with_the_reason():
    own = claim("weighted")
    verdict = decide(own, level=1e-6, profile="quick", deadline=time.monotonic() - 1)
    assert {e.outcome for e in verdict.evidence} == {Outcome.UNDECIDED}
    assert verdict.outcome is Outcome.UNDECIDED and "time limit" in verdict.explain()
    soon = Context(np.random.default_rng(0), 1e-7, 1000, time.monotonic() + 0.2, profile="deep")
    piece = own.checks["proof"](soon)  # cut short in its subprocess
    assert piece.outcome is Outcome.UNDECIDED and "time limit" in piece.message
    soon = Context(np.random.default_rng(0), 1e-7, 1000, time.monotonic() + 0.02, profile="deep")
    piece = own.checks["enclosure"](soon)  # cut short between two evaluations
    assert piece.outcome is Outcome.UNDECIDED and "stopped at the time limit" in piece.message


def test_a_wrong_formula_near_the_right_one_is_left_to_the_balls():
    near = -S.diff(x) * sp.Rational(999, 1000)
    verdict, _, _ = outcomes(claim(wrong={"near": near, "far": S.diff(x)}))
    assert verdict.outcome is Outcome.SUPPORTED
    assert sum(m.check == "draws" for m in verdict.mutants) == 1
    assert any("draws do not see 'near'" in a for a in verdict.assumptions)


def test_it_travels_to_workers_and_comes_back_in_every_form_of_report(tmp_path):
    own = claim("weighted")
    here = run_claims(own, profile="quick", out=tmp_path / "here")
    away = run_claims(only=[own], profile="quick", out=tmp_path / "away", jobs=1, timeout=120)
    one, other = (r.verdicts[0] for r in (here, away))
    assert not any("cannot be pickled" in a for a in other.assumptions)
    assert [e.value for e in one.evidence if e.kind == "confidence"] == [
        e.value for e in other.evidence if e.kind == "confidence"
    ]
    assert one.outcome is other.outcome is Outcome.SUPPORTED
    stored = json.loads((tmp_path / "away" / "report.json").read_text())
    assert stored["verdicts"][0]["claim"] == "weighted"
    assert "weighted" in (tmp_path / "away" / "index.html").read_text()


def test_the_command_line_takes_a_module_and_an_object(tmp_path, capfd):
    from scoreproof.validation.cli import main

    file = tmp_path / "mine_to_check.py"
    file.write_text(
        "import sympy as sp\n"
        "from scoreproof.theory import Gaussian\n"
        "from scoreproof.validation import mean_claim\n"
        "x, p = sp.Symbol('x'), sp.Function('p')\n"
        "own = mean_claim('position', 'E x p.log = -1', left=x * sp.log(p(x)).diff(x), right=-1,\n"
        "    flux=x * p(x), density=p(x), law=Gaussian([0.4], [[2.0]]), wrong={'sign': 1})\n"
        "several = [own]\n"
    )
    for target in (f"{file}:own", f"{file}:several"):
        with pytest.raises(SystemExit) as left:
            main(
                ["validate", "--only", target, "--profile", "quick", "--out", str(tmp_path / "o")]
            )
        assert left.value.code == 0
        assert "position" in capfd.readouterr().out
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(SystemExit) as left:
            main(
                [
                    "validate",
                    "--only",
                    "mine_to_check:own",
                    "--profile",
                    "quick",
                    "--out",
                    str(tmp_path / "o"),
                ]
            )
    finally:
        sys.path.remove(str(tmp_path))
    assert left.value.code == 0
    for target in (
        f"{file}:none",
        "no_such_module:own",
        f"{file}:x",
        f"{tmp_path}/nothing.py:own",
    ):
        with pytest.raises(SystemExit) as left:
            main(["validate", "--only", target, "--out", str(tmp_path / "o")])
        assert left.value.code == 2
        assert "only: got" in capfd.readouterr().err


def test_gaussian_laws_in_one_dimension_have_balls():
    one = claim(law=Gaussian([0.4], [[0.7]]))
    assert "enclosure" in one.checks


def test_exact_parameters_are_taken_exactly():
    law = ExactMixture.make(["0.6", "0.4"], ["-1.1", "0.7"], ["0.3", "0.5"])
    verdict, kinds, _ = outcomes(claim(law=law))
    assert set(kinds) == {"proof", "enclosure", "draws"} and verdict.outcome is Outcome.SUPPORTED


class Skewed:
    """A law of a user: log x, x gamma of shape 3, which is smooth on the whole line."""

    dim = 1

    def score(self, at):
        return 3 - np.exp(at)

    def transport(self, u, z):
        from scipy import special

        return np.log(special.gammaincinv(3.0, u))[:, None]


def test_a_law_of_the_users_own_needs_what_the_identity_needs():
    own = {"law": Skewed(), "model": {S: sp.sin(x)}, "left": S * R, "right": -S.diff(x)}
    verdict, kinds, _ = outcomes(claim(**own), "standard")
    assert kinds == {"proof": Outcome.SUPPORTED, "draws": Outcome.SUPPORTED}, str(verdict)
    verdict, kinds, _ = outcomes(claim("curvature", law=Skewed()))
    assert set(kinds) == {"proof"} and any("hessian(x)" in a for a in verdict.assumptions)


def test_too_few_draws_for_a_mutant_leave_undecided():
    def sampler(n, *, rng):
        return LAW.transport(rng.random(n), rng.standard_normal((n, 1)))

    own = claim(sampler=sampler, tolerance=0.1)
    verdict = decide(own, level=1e-6, profile="quick", budget=2000)
    assert verdict.outcome is Outcome.UNDECIDED
    assert all(m.underpowered for m in verdict.survivors) and "would decide" in verdict.explain()
