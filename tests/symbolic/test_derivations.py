"""Every derivation is proved, every mutant of it fails as declared; output; evidence; the command."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from functools import cache

import pytest
import sympy as sp
from scoreproof.theory.symbolic import DERIVATIONS, REAL, Derivation, Domain, derive
from scoreproof.theory.symbolic.derivation import (
    equal,
    positive_step,
    rule,
    same_integral,
    solves,
)
from scoreproof.validation.claim import Claim, decide
from scoreproof.validation.claims.proofs import mutants_of, proof_evidence, proved
from scoreproof.validation.cli import main

NAMES = tuple(DERIVATIONS)


@cache
def of(name, wrong=None):
    """One derivation for all tests, so that its steps are checked once."""
    return derive(name, wrong=wrong)


x, t = sp.symbols("x t")
u = sp.Function("u")
DOMAIN = Domain({x: REAL, t: REAL}, {u: "real"})


@pytest.mark.parametrize("name", NAMES)
def test_derivation_is_proved(name):
    made = of(name)
    assert made.name == name
    assert made.proved, made.failures()
    assert (
        made.seconds < 10
    )  # a bound of hanging, not of speed: the slowest takes about half a second


@pytest.mark.parametrize("name", NAMES)
def test_mutants_fail_as_declared(name):
    declared = of(name).mutants
    assert len(declared) >= 2
    for wrong, status in declared.items():
        mutant = of(name, wrong=wrong)
        assert mutant.status == status, (wrong, mutant.status)
        assert any(c.witness for c in mutant.checked) or status != "REFUTED"


@pytest.mark.parametrize("name", NAMES)
def test_text_fits_a_terminal_and_lists_the_hypotheses(name):
    made = of(name)
    text = made.text()
    assert max(map(len, text.splitlines())) <= 80
    flat = " ".join(text.split())
    for hypothesis in made.hypotheses:
        assert " ".join(hypothesis.split()) in flat
    assert text.splitlines()[-1].endswith("s.") and "PROVED" in flat


@pytest.mark.parametrize("name", NAMES)
def test_mathml_is_well_formed(name):
    fragment = of(name).mathml()
    root = ET.fromstring(f"<div>{fragment}</div>")
    assert len(list(root.iter("{http://www.w3.org/1998/Math/MathML}math"))) >= 2
    assert "\\" not in "".join(root.itertext())


@pytest.mark.parametrize("name", NAMES)
def test_latex_is_balanced(name):
    text = of(name).latex()
    assert text.replace(r"\{", "").count("{") == text.replace(r"\}", "").count("}")
    assert text.count(r"\begin{") == text.count(r"\end{")
    assert text.replace(r"\$", "").count("$") % 2 == 0
    assert text.isascii() or not any(ord(c) > 0x2FF for c in text), {
        c for c in text if ord(c) > 0x2FF
    }


def test_data_are_plain():
    data = derive("vp").as_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["status"] == "PROVED"
    assert all(step["status"] in ("PROVED", None) for step in data["steps"])


def made(*steps, wrong=None, mutants=None):
    return Derivation(
        "test", title="t", statement="s", formula="f", domain=DOMAIN, steps=steps, wrong=wrong,
        mutants=mutants or {"a": "REFUTED", "b": "UNKNOWN"},
    )  # fmt: skip


def test_each_kind_of_step_can_fail():
    U = u(x)
    good = equal("e", (x + 1) ** 2, x**2 + 2 * x + 1)
    bad_steps = {
        "equal": equal("e", (x + 1) ** 2, x**2 + 1),
        "matrix": equal("m", sp.eye(2) * x, sp.diag(x, 1)),
        "integral": same_integral("i", U * U.diff(x), 0, flux={x: U**2}),
        "residual": solves(
            "s", {u(x).diff(x): u(x)}, {u(x): sp.exp(2 * x)}, start={x: 0}, initial={u(x): 1}
        ),
        "initial": solves(
            "s", {u(x).diff(x): u(x)}, {u(x): 2 * sp.exp(x)}, start={x: 0}, initial={u(x): 1}
        ),
        "positive": positive_step("p", x**2 - 1),
    }
    for name, step in bad_steps.items():
        assert made(good, step).status == "REFUTED", name
    unknown = made(good, equal("u", sp.Max(x, 0), x))
    assert unknown.status == "UNKNOWN"
    right = [
        good,
        equal("m", sp.eye(2) * x, sp.diag(x, x)),
        same_integral("i", U * U.diff(x), 0, flux={x: U**2 / 2}),
        solves("s", {u(x).diff(x): u(x)}, {u(x): sp.exp(x)}, start={x: 0}, initial={u(x): 1}),
        positive_step("p", x**2 + 1),
    ]
    assert made(*right).proved


def test_rules_are_not_counted_as_checked():
    assumed = rule("r", "a", "b", by="a theorem", hypotheses=("h",))
    with pytest.raises(ValueError, match="that checks anything"):
        made(assumed)
    both = made(equal("e", x, x), assumed)
    assert both.proved
    assert both.hypotheses == ("h",)
    assert "not checked" in both.text()
    assert "1 of 2 steps checked" in both.text()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: made(equal("e", x, x), mutants={"a": "REFUTED"}), "at least two"),
        (
            lambda: made(equal("e", x, x), mutants={"a": "PROVED", "b": "REFUTED"}),
            "none of them PROVED",
        ),
        (lambda: made(equal("e", x, x), wrong="c"), "wrong: got 'c'"),
        (lambda: equal("e", sp.eye(2), sp.eye(3)), "shape"),
        (lambda: equal("e", sp.eye(2), x), "scalar"),
        (lambda: rule("r", "a", "b", by="c", hypotheses=()), "hypotheses"),
        (lambda: derive("nothing"), "lists the names"),
        (lambda: derive("sub_vp"), "did you mean sub-vp"),
        (lambda: derive("vp", wrong="nothing"), "wrong"),
    ],
)
def test_bad_derivations_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_step_of_undeclared_symbols_is_refused():
    with pytest.raises(ValueError, match="symbol y"):
        _ = made(equal("e", sp.Symbol("y"), 0)).status


def test_a_time_limit_gives_unknown():
    limited = derive("vp").limited(1e-3)
    assert limited.status == "UNKNOWN"
    assert any("time limit" in test.method for c in limited.checked for test in c.tests)


def test_evidence_of_kind_proof():
    good = proof_evidence(derive("ism"))
    assert (good.kind, good.outcome, good.n) == ("proof", "SUPPORTED", 5)
    assert good.measured is not None and (good.measured.low, good.measured.high) == (0, 0)
    assert "Assumed" in good.message
    assert proof_evidence(derive("ism", wrong="missing-two")).outcome == "REFUTED"
    assert proof_evidence(made(equal("u", sp.Max(x, 0), x))).outcome == "UNDECIDED"


def test_a_claim_from_a_derivation():
    claim = Claim(
        "T1", "the identity of implicit score matching",
        checks={"proof": proved(lambda: derive("ism"))}, mutants={"proof": mutants_of("ism")},
    )  # fmt: skip
    verdict = decide(claim, level=1e-6)
    assert verdict.outcome == "SUPPORTED"
    assert {m.outcome for m in verdict.mutants} == {"REFUTED"}
    assert [m.name for m in verdict.mutants] == list(derive("ism").mutants)


def call(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(["derive", *arguments])
    out, err = capsys.readouterr()
    return left.value.code, out, err


def test_command_prints_a_derivation(capsys):
    status, out, err = call(capsys, "vp")
    assert (status, err) == (0, "")
    assert "B = ∫₀ᵗ β" in " ".join(out.split()) and "PROVED" in out
    status, out, _ = call(capsys, "vp", "--latex")
    assert status == 0 and r"\begin{enumerate}" in out
    status, out, _ = call(capsys, "vp", "--json")
    assert status == 0 and json.loads(out)["name"] == "vp"


def test_command_lists_the_names(capsys):
    status, out, _ = call(capsys)
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(NAMES)
    assert max(map(len, out.splitlines())) <= 80
    listed = json.loads(call(capsys, "--json")[1])["derivations"]
    assert [entry["name"] for entry in listed] == list(NAMES)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["twedie"], "did you mean tweedie"),
        (["zzz"], "lists the names"),
        (["vp", "--latex", "--json"], "one of the two"),
    ],
)
def test_command_refuses_in_one_line(capsys, arguments, words):
    status, out, err = call(capsys, *arguments)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1 and words in err


def test_all_derivations_and_mutants_are_quick():
    every = [of(name, wrong) for name in NAMES for wrong in (None, *of(name).mutants)]
    _ = [made.status for made in every]
    assert sum(made.seconds for made in every) < 60  # alone on a core it is about 8
