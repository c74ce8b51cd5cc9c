"""Verdicts, claims and reports: roles, mutants, exit status, JSON, and no truth value."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scoreproof.validation import Claim, Outcome, Report
from scoreproof.validation.claim import BUDGETS, decide
from scoreproof.validation.evidence import Allowed, Evidence, Measured, interval
from scoreproof.validation.verdict import Diagnosis, Mutant, NotChecked, Verdict

S, R, U, E = Outcome.SUPPORTED, Outcome.REFUTED, Outcome.UNDECIDED, Outcome.ERROR
_VALUES = {S: (0.5, 0.1), R: (3.0, 0.1), U: (1.0, 0.1), E: (math.nan, 0.0)}


def piece(outcome, **more):
    value, radius = _VALUES[outcome]
    return replace(interval("c", "exact", value, radius, (0.0, 1.0)), **more)


def mutant(outcome=R, **more):
    return Mutant(name="m", outcome=outcome, check="c", **more)


DEAD = (mutant(),)


def verdict(*outcomes, mutants=DEAD, **more):
    return Verdict(claim="X", evidence=tuple(map(piece, outcomes)), mutants=mutants, **more)


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ((S,), S),
        ((S, S), S),
        ((S, U), U),
        ((S, R), R),
        ((U, R), R),
        ((R, E), E),
        ((), U),
    ],
)
def test_deciding_evidence_decides(outcomes, said):
    assert verdict(*outcomes).outcome is said


def test_evidence_that_does_not_decide_is_not_heard():
    mixed = Verdict(claim="X", evidence=(piece(S), piece(R, deciding=False)))
    assert mixed.outcome is S
    alone = Verdict(claim="X", evidence=(piece(S, deciding=False),))
    assert alone.outcome is U
    assert alone.kinds == {"strongest": None, "weakest": None}


@pytest.mark.parametrize(
    ("said", "survivor", "underpowered", "outcome"),
    [
        (S, S, False, E),
        (S, U, False, E),
        (S, E, False, E),
        (R, S, False, E),
        (S, U, True, U),
        (S, S, True, U),
        (R, U, True, R),
        (U, U, True, U),
        (E, U, True, E),
        (S, R, False, S),
        (S, R, True, S),
    ],
)
def test_mutants_that_survive(said, survivor, underpowered, outcome):
    one = verdict(said, mutants=(mutant(), mutant(survivor, underpowered=underpowered)))
    assert one.outcome is outcome
    assert one.decided is said
    assert one.broken is (survivor is not R and not underpowered)
    assert one.user_code_failed is (said is E)


def test_kinds():
    kinds = ("confidence", "exact", "quadrature")
    both = Verdict(claim="X", evidence=tuple(piece(S, kind=k) for k in kinds))
    assert both.kinds == {"strongest": "exact", "weakest": "confidence"}


@pytest.mark.parametrize(
    ("verdicts", "outcome", "status"),
    [
        ([verdict(S)], S, 0),
        ([verdict(S), verdict(U)], U, 3),
        ([verdict(R), verdict(U)], R, 1),
        ([verdict(E), verdict(R)], E, 4),
        ([verdict(S, mutants=(mutant(S),))], E, 1),
        ([verdict(S, mutants=(mutant(S),)), verdict(E)], E, 4),
        ([verdict(S), verdict(R, role="informative")], S, 0),
        ([verdict(S), verdict(E, role="informative")], E, 4),
        ([verdict(S), verdict(R, role="printed")], S, 0),
        ([verdict(R, role="printed", correction=verdict(S))], S, 0),
        ([verdict(R, role="printed", correction=verdict(R))], R, 1),
        ([verdict(R, role="printed", correction=verdict(U))], U, 3),
        ([verdict(R, role="printed", correction=verdict(R, role="printed"))], S, 0),
        ([verdict(R, role="printed", correction=verdict(S, correction=verdict(R)))], R, 1),
        ([verdict(S, role="printed", mutants=(mutant(S),))], E, 1),
        ([verdict(R, role="printed")], S, 0),
        ([verdict(U, role="printed")], U, 3),
        ([], U, 3),
    ],
)
def test_outcome_and_exit_status_of_a_report(verdicts, outcome, status):
    report = Report(verdicts=tuple(verdicts))
    assert report.outcome is outcome
    assert report.exit_status == status


def test_require():
    assert verdict(S).require().outcome is S
    assert verdict(U).require(not_refuted=True).outcome is U
    diagnosis = Diagnosis(text="too wide by half", cause="spread", distance=0.5)
    wrong = verdict(R, diagnosis=diagnosis)
    for call in (wrong.require, lambda: wrong.require(not_refuted=True)):
        with pytest.raises(AssertionError, match="too wide by half"):
            call()
    for outcome in (U, E):
        with pytest.raises(AssertionError, match="X"):
            verdict(outcome).require()
    with pytest.raises(AssertionError, match="ERROR"):
        verdict(E).require(not_refuted=True)
    with pytest.raises(AssertionError, match="mutant m came out SUPPORTED"):
        verdict(S, mutants=(mutant(S),)).require()
    good = Report(verdicts=(verdict(S), verdict(R, role="informative")))
    assert good.require() is good
    with pytest.raises(AssertionError, match="empty"):
        Report().require()
    with pytest.raises(AssertionError, match="X: REFUTED"):
        Report(verdicts=(verdict(S), verdict(R))).require()
    Report(verdicts=(verdict(S), verdict(U))).require(not_refuted=True)


def test_no_truth_value():
    for thing in (verdict(S), Report(verdicts=(verdict(S),))):
        with pytest.raises(TypeError, match="outcome"):
            bool(thing)


def test_find():
    report = Report(
        verdicts=(
            verdict(S, subject={"problem": "a", "steps": 8}),
            verdict(R, subject={"problem": "a", "steps": 16}),
        )
    )
    assert len(report.find("X")) == 2
    assert report.find("X", steps=16)[0].outcome is R
    assert report.find("X", steps=16, problem="b") == []
    assert report.find("Y") == []


def full_report():
    strange = Evidence(
        check="c",
        kind="confidence",
        measured=Measured(0.5, -math.inf, math.inf),
        allowed=Allowed(0.0, math.inf),
        level=1e-6,
        n=100,
        detectable=math.inf,
        seed=3,
        seconds=0.5,
        message="m",
    )
    test = Evidence(check="e", kind="test", log10_e=math.inf, level=1e-6, deciding=False)
    whole = Verdict(
        claim="O2",
        statement="$a$ < b",
        role="printed",
        source=("somebody",),
        assumptions=("smooth",),
        subject={"problem": "p", "steps": 8},
        evidence=(strange, test, Evidence.error("x", "no"), piece(R)),
        mutants=(mutant(), mutant(U, underpowered=True, message="few")),
        diagnosis=Diagnosis(text="t", cause="c", distance=math.nan, runner_up="r"),
        correction=verdict(S, role="required"),
        finding="f",
        exact_refuted=True,
        samples_used=100,
        figure={"kind": "lines", "x": [1.0, 2.0]},
    )
    return Report(
        verdicts=(whole, verdict(S)),
        not_checked=(NotChecked(claim="order", subject={"problem": "p"}, reason="none"),),
        provenance={"seed": 1},
        profile="quick",
        false_alarm=1e-5,
    )


def test_json_round_trip():
    report = full_report()
    text = report.to_json()
    back = Report.from_json(text)
    assert back.to_json() == text
    assert back.outcome is report.outcome
    assert [v.outcome for v in back.verdicts] == [v.outcome for v in report.verdicts]
    first = back.verdicts[0]
    assert first.evidence[0].measured == Measured(0.5, -math.inf, math.inf)
    assert first.evidence[1].log10_e == math.inf
    assert first.correction is not None
    assert first.diagnosis is not None
    assert str(first.diagnosis.distance) == "nan"
    data = json.loads(text)
    assert data["schema"] == "scoreproof.report/1"
    assert "NaN" not in text
    assert "Infinity" not in text
    assert data["verdicts"][0]["kinds"] == {"strongest": "exact", "weakest": "confidence"}


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d["verdicts"][1].update(outcome="REFUTED"),
        lambda d: d["verdicts"][0].update(outcome="SUPPORTED"),
        lambda d: d["verdicts"][0]["correction"].update(outcome="UNDECIDED"),
        lambda d: d["verdicts"][1]["evidence"][0]["measured"].update(high=7.0, value=7.0, low=7.0),
        lambda d: d["verdicts"][1]["mutants"][0].update(outcome="SUPPORTED"),
    ],
)
def test_an_outcome_that_was_edited_by_hand_is_refused(edit):
    data = json.loads(full_report().to_json())
    edit(data)
    with pytest.raises(ValueError, match="edited by hand"):
        Report.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["[]", "{}", '{"schema": "other/1"}', "3"])
def test_another_file_is_refused(text):
    with pytest.raises(ValueError, match="schema: got"):
        Report.from_json(text)


# Claims


def yes(ctx):
    return piece(S)


def no(ctx):
    return piece(R)


def claim(**more):
    given = {"checks": {"a": yes}, "mutants": {"a": [no]}, **more}
    return Claim("X", "a sentence", **given)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"checks": {}}, "checks: got none"),
        ({"mutants": {}}, "mutants: got none for check 'a'"),
        ({"mutants": {"a": []}}, "mutants: got none for check 'a'"),
        ({"mutants": {"a": [no], "b": [no]}}, "mutants: got 'b'"),
    ],
)
def test_claims_that_cannot_be(parts, words):
    with pytest.raises(ValueError, match="wanted") as raised:
        claim(**parts)
    assert words in str(raised.value)


def test_decide():
    said = decide(claim(), level=1e-6)
    assert said.outcome is S
    assert said.claim == "X"
    assert [m.name for m in said.mutants] == ["no"]
    assert [e.check for e in said.evidence] == ["a"]
    assert decide(claim(mutants={"a": [yes]}), level=1e-6).outcome is E


def test_what_a_check_does_wrong_is_evidence():
    def raises(ctx):
        raise ZeroDivisionError("by\nzero")

    said = decide(claim(checks={"a": raises}), level=1e-6)
    assert said.outcome is E
    assert said.user_code_failed
    assert said.evidence[0].message == "ZeroDivisionError: by"
    said = decide(claim(checks={"a": lambda ctx: 3}), level=1e-6)
    assert said.outcome is E
    assert "returned int" in said.evidence[0].message


def test_level_budget_and_randomness_are_shared_out():
    seen = []

    def look(ctx):
        seen.append((ctx.level, ctx.budget, ctx.rng.random(), ctx.profile))
        return piece(S)

    def wrong(ctx):
        seen.append((ctx.level, ctx.budget, ctx.rng.random(), ctx.profile))
        return piece(R)

    inner = Claim("Y", "it holds", checks={"a": look}, mutants={"a": [wrong]})
    outer = claim(
        checks={"a": look, "b": look}, mutants={"a": [wrong], "b": [wrong]}, correction=inner
    )
    assert outer.pieces == 6
    decide(outer, level=6e-6, profile="quick")
    assert len(seen) == 6
    assert sum(s[0] for s in seen) == pytest.approx(6e-6, rel=1e-12)
    assert {s[1] for s in seen} == {BUDGETS["quick"]}
    assert len({s[2] for s in seen}) == 6
    first, seen[:] = list(seen), []
    decide(outer, level=6e-6, profile="quick")
    assert seen == first
    seen.clear()
    decide(outer, level=6e-6, profile="quick", seed=1, budget=7)
    assert {s[1] for s in seen} == {7}
    assert not {s[2] for s in seen} & {s[2] for s in first}
    with pytest.raises(ValueError, match="profile: got 'slow'"):
        decide(outer, level=1e-6, profile="slow")


def test_findings_and_figures_come_from_numbers():
    made = claim(
        finding=lambda evidence: f"value {evidence['a'].measured.value}",
        figure=lambda ctx: {"kind": "lines", "x": [float(ctx.rng.random())]},
        role="printed",
        subject={"problem": "p"},
        correction=claim(),
    )
    said = decide(made, level=1e-6)
    assert said.finding == "value 0.5"
    assert said.figure is not None
    assert 0 <= said.figure["x"][0] < 1
    assert said.role == "printed"
    assert said.subject == {"problem": "p"}
    assert said.correction is not None
    assert said.correction.role == "required"

    def fails(ctx):
        raise ValueError("no")

    silent = decide(claim(checks={"a": fails}, finding=lambda e: "said anyway"), level=1e-6)
    assert silent.finding == ""


def test_a_deadline_is_seen():
    def patient(ctx):
        return piece(U if ctx.out_of_time else S)

    late = decide(claim(checks={"a": patient}), level=1e-6, deadline=0.0)
    assert late.outcome is U
    assert decide(claim(checks={"a": patient}), level=1e-6).outcome is S


def test_contexts_are_seeded_by_claim():
    seen = {}

    def of(name):
        def look(ctx):
            seen[name] = ctx.rng.random()
            assert isinstance(ctx.rng, np.random.Generator)
            return piece(S)

        return look

    for name in ("A", "B"):
        decide(Claim(name, "s", checks={"a": of(name)}, mutants={"a": [no]}), level=1e-6)
    assert seen["A"] != seen["B"]
