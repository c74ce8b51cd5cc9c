"""Additions to entries: what they hold, how they join, and what they refuse."""

from __future__ import annotations

import pytest
from scoreproof.theory.symbolic.catalogue import derive
from scoreproof.validation import CLAIMS, Outcome
from scoreproof.validation.claim import Claim, decide
from scoreproof.validation.claims import Ledger
from scoreproof.validation.claims.additions import Addition, extended
from scoreproof.validation.claims.additions.tools import CONSEQUENCE, consequence, proof
from scoreproof.validation.claims.tools import number
from scoreproof.validation.report.files import save
from scoreproof.validation.verdict import Report

PRINTED = [name for name in CLAIMS if CLAIMS[name].role == "printed"]


def right(ctx):
    return number(1.0, error=0.0, allowed=(0.0, 2.0), message="The number is 1.")


def wrong(ctx):
    return number(3.0, error=0.0, allowed=(0.0, 2.0), message="The number is 3.")


def claim(**rest):
    return Claim(
        "x", "one is below two", checks={"size": right}, mutants={"size": [wrong]}, **rest
    )


@pytest.mark.parametrize("name", PRINTED)
def test_every_entry_has_two_mutants_and_so_has_its_correction(name):
    one = CLAIMS[name]
    while one is not None:
        assert sum(map(len, one.mutants.values())) >= 2, one.statement
        one = one.correction


@pytest.mark.parametrize("name", PRINTED)
def test_a_corrected_entry_says_what_the_printed_one_does_to_its_user(name):
    assert (CONSEQUENCE in CLAIMS[name].checks) == (CLAIMS[name].correction is not None)


def test_derivations_of_entries_exist():
    for id, names in CLAIMS.derivations.items():
        assert CLAIMS[id].role == "printed"
        assert [derive(name).name for name in names] == list(names)


def test_checks_come_after_those_of_the_claim():
    added = Addition(checks={"more": right}, mutants={"more": [wrong]}, assumptions=("a",))
    both = extended(claim(assumptions=("b",)), added)
    assert list(both.checks) == ["size", "more"] and both.assumptions == ("b", "a")
    assert decide(both, level=1e-6).outcome is Outcome.SUPPORTED


def test_names_are_used_once():
    added = Addition(checks={"size": right}, mutants={"size": [wrong]})
    with pytest.raises(ValueError, match="'size' for claim 'x'"):
        extended(claim(), added)
    with pytest.raises(ValueError, match="'size' in two additions"):
        _ = added + added
    with pytest.raises(ValueError, match="which has none"):
        extended(claim(), Addition(corrected=added))
    with pytest.raises(ValueError, match="'nowhere'"):
        Ledger(("scoreproof.validation.claims.langevin",), (__name__,))["L4"]


ADDED = {"nowhere": Addition()}


def test_additions_join_for_the_entry_and_its_correction():
    one = Addition(checks={"a": right}, mutants={"a": [wrong]}).and_corrected(
        Addition(checks={"c": right}, mutants={"c": [wrong]}, derivations=("ism",))
    )
    two = Addition(checks={"b": right}, mutants={"b": [wrong]}, derivations=("dsm",))
    for joined in (one + two, two + one):
        assert set(joined.checks) == {"a", "b"}
        assert joined.corrected is not None and set(joined.corrected.checks) == {"c"}


def test_a_proof_of_the_printed_formula_refutes_it():
    printed = proof("ism", printed="missing-two", wrong=("wrong-sign",))
    verdict = decide(extended(claim(), printed), level=1e-6)
    assert verdict.outcome is Outcome.REFUTED and not verdict.survivors
    piece = verdict.evidence[-1]
    assert (
        piece.kind == "proof" and "missing-two" in piece.message and "REFUTED at" in piece.message
    )


def test_a_consequence_does_not_decide_and_is_told(tmp_path):
    added = consequence(lambda ctx: number(0.5, error=0.0, allowed=(0.4, 0.6), message="Half of it is lost."),
                        wrong=[("corrected", wrong)])  # fmt: skip
    verdict = decide(extended(claim(role="printed", source=("001",)), added), level=1e-6)
    piece = verdict.evidence[-1]
    assert piece.check == CONSEQUENCE and not piece.deciding
    assert verdict.kinds["strongest"] == "exact" and verdict.outcome is Outcome.SUPPORTED
    folder = save(Report(verdicts=(verdict,)), tmp_path)
    told = "<b>For anyone who uses it as printed.</b> Half of it is lost."
    assert told in (folder / "index.html").read_text("utf-8")
    assert told in (folder / "ledger.html").read_text("utf-8")


def test_a_prediction_that_fails_is_not_told(tmp_path):
    added = consequence(wrong, wrong=[("worse", wrong)])
    verdict = decide(extended(claim(role="printed", source=("001",)), added), level=1e-6)
    assert verdict.outcome is Outcome.SUPPORTED  # it does not decide
    page = (save(Report(verdicts=(verdict,)), tmp_path) / "index.html").read_text("utf-8")
    assert "For anyone who uses it" not in page


def test_the_page_links_to_the_derivations_that_lie_beside_it(tmp_path):
    verdict = decide(CLAIMS["O2"], level=1e-6, profile="quick")
    report = Report(verdicts=(verdict,))
    assert "derivations/" not in (save(report, tmp_path) / "ledger.html").read_text("utf-8")
    (tmp_path / "derivations").mkdir()
    (tmp_path / "derivations" / "ism.html").write_text("")
    assert "derivations/ism.html" in (save(report, tmp_path) / "ledger.html").read_text("utf-8")
