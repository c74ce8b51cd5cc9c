"""The ledger: every claim is decided, every wrong formula is refuted, every correction holds.

The claims on objectives have tests of their own, beside the estimators they use.
"""

from __future__ import annotations

import json
import re
from functools import cache

import pytest
from scoreproof.validation import CLAIMS, Outcome, Report
from scoreproof.validation.claim import decide
from scoreproof.validation.report.mathml import typeset

from .crossing import assert_kinds_agree

LEVEL = 1e-8
#: The sentences that come out REFUTED as printed; each has a correction.
REFUTED = {
    *("S4.density", "S4.derivative", "S4.score"),
    *(f"S8.{part}" for part in "abcdefg"),
    *("S9", "S10", "S11", "L4", "L5", "L12", "D3", "D5", "D9", "G3"),
}
DEMANDED = {
    *("S1", "S2", "S3", "S4.step", "S5", "S6", "S7", "S9", "S10", "S11"),
    *(f"L{k}" for k in range(1, 13)),
    *(f"D{k}" for k in range(1, 15)),
    *("D9", "D10", "D11", "D12", "D13", "D14", "G1", "G2", "G3", "N1", "N2"),
    *(f"O{k}" for k in range(1, 28)),
    *REFUTED,
}
#: Real images: seconds to half a minute each.
LONG = {"digits-flow", "digits-reverse-sde", "digits-dsm", "law-photos", "network-oracle"}
OBJECTIVES = {name for name in CLAIMS if name.startswith("O")}
DECIDED = [name for name in CLAIMS if name not in OBJECTIVES]
#: Those that take more than a second at one seed.
COSTLY = {"D9", "G3", "S1", "L1", "L2", "D2", "D3", "D4", "D5", "digits-score", "digits-memorised"}
CHEAP = [
    name
    for name in DECIDED
    if name not in LONG | COSTLY and not name.startswith(("law", "digits"))
]


@cache
def decided(name, seed=0):
    return decide(CLAIMS[name], level=LEVEL, seed=seed, profile="quick")


def everything(claim):
    """A claim and its corrections."""
    return [claim] + ([] if claim.correction is None else everything(claim.correction))


def outcomes(verdict):
    """Outcomes of a verdict, its evidence and its mutants, corrections included."""
    found = []
    for one in verdict.nested():
        found += [one.outcome, *(e.outcome for e in one.evidence)]
        found += [m.outcome for m in one.mutants]
    return found


def test_no_sentence_is_missing():
    assert set(CLAIMS) >= DEMANDED
    assert len(list(CLAIMS)) == len(set(CLAIMS))
    assert {"S4", "S8"}.isdisjoint(CLAIMS)  # these exist as their parts only


@pytest.mark.parametrize("name", list(CLAIMS))
def test_statements_can_be_read(name):
    claim = CLAIMS[name]
    assert claim.id == name
    printed = re.fullmatch(r"[SOLDGN]\d+(\.\w+)?", name) is not None
    assert claim.role == ("printed" if printed else "required")
    assert bool(claim.source) >= printed
    for one in everything(claim):
        assert one.group
        assert one.statement.count("$") % 2 == 0
        for text in (one.statement, *one.assumptions):
            html = typeset(text)
            # a formula that cannot be converted would stand as its source
            assert "<code>" not in html, text
            assert ("<math" in html) == ("$" in text)
    for one in everything(claim)[1:]:
        assert one.role == "required"
        assert one.statement != claim.statement


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if n in LONG else []) for n in DECIDED],
)
def test_decided(name):
    verdict = decided(name)
    assert verdict.outcome is (Outcome.REFUTED if name in REFUTED else Outcome.SUPPORTED), str(
        verdict
    )
    assert (verdict.correction is not None) == (name in REFUTED)
    for one in verdict.nested():
        assert one.mutants
        assert [m for m in one.mutants if m.outcome is not Outcome.REFUTED] == []
        for piece in one.evidence:
            assert piece.outcome is not Outcome.ERROR
            assert piece.level <= LEVEL
            assert piece.n > 0
            assert piece.message
    assert_kinds_agree(verdict)
    if verdict.correction is not None:
        assert verdict.correction.outcome is Outcome.SUPPORTED
        assert verdict.correction.role == "required"
    report = Report(verdicts=(verdict,))
    assert report.exit_status == 0
    text = report.to_json()
    assert Report.from_json(text).to_json() == text
    assert json.loads(text)["verdicts"][0]["claim"] == name


@pytest.mark.parametrize("name", CHEAP)
def test_two_seeds_agree(name):
    assert outcomes(decided(name)) == outcomes(decided(name, 1))


def test_one_seed_gives_the_same_numbers():
    name = "L6"
    again = decide(CLAIMS[name], level=LEVEL, seed=0, profile="quick")
    assert [e.measured for e in again.evidence] == [e.measured for e in decided(name).evidence]


def test_what_is_drawn_names_its_seed():
    """A piece that used its generator says from which seed, whatever kind of evidence it gives."""
    for name in ("O26", "L8", "L11"):
        for piece in decided(name).evidence:
            drawn = piece.kind not in ("proof", "enclosure")
            assert piece.seed == (0 if drawn else None), (name, piece.check)
    assert all(piece.seed is None for piece in decided("S8.a").evidence)


def test_shares_of_random_starts_are_bounded_by_confidence():
    ends = decided("L8").evidence[0]
    assert ends.kind == "confidence"
    assert ends.level > 0
    assert ends.measured is not None
    assert ends.measured.low < ends.measured.value == 1.0
    (few,) = decided("digits-memorised").evidence
    # 400 draws and this level cannot tell 100 % from 95 %, and say so
    assert few.detectable is not None
    assert few.detectable > 0.1
