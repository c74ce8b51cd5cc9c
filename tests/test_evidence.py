"""Evidence: the outcome follows from two intervals, or from an e-value, and from nothing else."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoreproof.validation.evidence import (
    KINDS,
    Allowed,
    Evidence,
    Kind,
    Measured,
    Outcome,
    interval,
    plain,
    worst,
)

INF = math.inf
NAN = math.nan
MEASURING = [k for k in KINDS if k != "test"]


def _piece(low, high, allowed, *, value=None, kind: Kind = "exact"):
    middle = (0.5 * (low + high) if math.isfinite(low + high) else low) if value is None else value
    return Evidence(
        check="c", kind=kind, measured=Measured(middle, low, high), allowed=Allowed(*allowed)
    )


@pytest.mark.parametrize(
    ("low", "high", "allowed", "outcome"),
    [
        (0.1, 0.2, (0.0, 1.0), "SUPPORTED"),
        (0.0, 1.0, (0.0, 1.0), "SUPPORTED"),
        (0.0, 0.0, (0.0, 0.0), "SUPPORTED"),
        (1.1, 1.2, (0.0, 1.0), "REFUTED"),
        (-0.2, -0.1, (0.0, 1.0), "REFUTED"),
        (1e-300, 1e-300, (0.0, 0.0), "REFUTED"),
        (0.9, 1.1, (0.0, 1.0), "UNDECIDED"),
        (1.0, 1.1, (0.0, 1.0), "UNDECIDED"),
        (-1.0, 2.0, (0.0, 1.0), "UNDECIDED"),
        (0.0, INF, (0.0, 1.0), "UNDECIDED"),
        (0.0, INF, (0.0, INF), "SUPPORTED"),
        (2.0, INF, (0.0, 1.0), "REFUTED"),
        (-INF, INF, (0.0, 1.0), "UNDECIDED"),
        (-INF, INF, (-INF, INF), "SUPPORTED"),
        (-INF, -1.0, (0.0, INF), "REFUTED"),
        (INF, INF, (0.0, 1.0), "REFUTED"),
        (5.0, 6.0, (4.8, INF), "SUPPORTED"),
    ],
)
@pytest.mark.parametrize("kind", MEASURING)
def test_outcome_of_two_intervals(low, high, allowed, outcome, kind):
    assert _piece(low, high, allowed, kind=kind).outcome is Outcome(outcome)


ENDS = st.floats(-1e6, 1e6)


@given(ENDS, ENDS, ENDS, ENDS)
def test_the_three_outcomes_exclude_each_other(a, b, c, d):
    (low, high), (least, most) = sorted((a, b)), sorted((c, d))
    outcome = _piece(low, high, (least, most)).outcome
    inside = least <= low and high <= most
    disjoint = high < least or most < low
    expected = "SUPPORTED" if inside else "REFUTED" if disjoint else "UNDECIDED"
    assert outcome == expected


@pytest.mark.parametrize("numbers", [(NAN, 0.0, 1.0), (0.5, NAN, 1.0), (0.5, 0.0, NAN)])
def test_what_is_not_a_number_is_an_error(numbers):
    piece = Evidence(
        check="c", kind="exact", measured=Measured(*numbers), allowed=Allowed(-INF, INF)
    )
    assert piece.outcome is Outcome.ERROR


@pytest.mark.parametrize(
    ("log10_e", "level", "outcome"),
    [
        (6.0, 1e-6, "REFUTED"),
        (5.999, 1e-6, "UNDECIDED"),
        (300.0, 1e-6, "REFUTED"),
        (-4.0, 1e-6, "UNDECIDED"),
        (-INF, 1e-6, "UNDECIDED"),
        (INF, 1e-6, "REFUTED"),
        (INF, 0.0, "UNDECIDED"),
        (NAN, 1e-6, "ERROR"),
        (None, 1e-6, "ERROR"),
    ],
)
def test_a_test_refutes_or_stays_silent(log10_e, level, outcome):
    piece = Evidence(check="c", kind="test", log10_e=log10_e, level=level)
    assert piece.outcome is Outcome(outcome)


def test_errors():
    for kind in KINDS:
        piece = Evidence.error("c", "it hung", kind=kind, seconds=2.0)
        assert piece.outcome is Outcome.ERROR
        assert (piece.message, piece.seconds) == ("it hung", 2.0)


def test_outcomes_cannot_be_set():
    piece = _piece(0.0, 1.0, (0.0, 2.0))
    with pytest.raises((AttributeError, TypeError)):
        piece.outcome = Outcome.REFUTED  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises((AttributeError, TypeError)):
        piece.measured = None  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Measured(0.0, 1.0, 0.0), "low 1 above high 0"),
        (lambda: Allowed(1.0, 0.0), "allowed: got"),
        (lambda: Allowed(NAN, 0.0), "allowed: got"),
        (
            lambda: Evidence(check="c", kind="hunch", log10_e=1.0),  # pyright: ignore[reportArgumentType]
            "kind: got 'hunch'",
        ),
        (lambda: Evidence(check="c", kind="exact"), "measured, allowed: got None"),
        (
            lambda: Evidence(check="c", kind="exact", measured=Measured(0, 0, 0)),
            "measured, allowed: got None",
        ),
        (
            lambda: Evidence(
                check="c", kind="test", measured=Measured(0, 0, 0), allowed=Allowed(0, 1)
            ),
            "use log10_e",
        ),
        (
            lambda: Evidence(check="c", kind="test", allowed=Allowed(0, 1)),
            "use log10_e",
        ),
    ],
)
def test_evidence_that_cannot_be(make, words):
    with pytest.raises(ValueError, match="wanted") as raised:
        make()
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_interval_helper():
    piece = interval("c", "quadrature", 1.0, 0.25, (0.0, 2.0), n=3, message="m")
    assert piece.measured == Measured(1.0, 0.75, 1.25)
    assert piece.outcome is Outcome.SUPPORTED
    assert interval("c", "exact", NAN, 0.1, (0, 1)).outcome is Outcome.ERROR
    assert interval("c", "exact", INF, 0.1, (0, 1)).outcome is Outcome.ERROR
    assert interval("c", "exact", 0.5, NAN, (0, 1)).outcome is Outcome.ERROR
    assert interval("c", "exact", 0.5, INF, (0, 1)).outcome is Outcome.UNDECIDED


def test_worst():
    s, r, u, e = Outcome.SUPPORTED, Outcome.REFUTED, Outcome.UNDECIDED, Outcome.ERROR
    assert worst([]) is u
    assert worst([s]) is s
    assert worst([s, u]) is u
    assert worst([u, r, s]) is r
    assert worst([r, e, u]) is e
    assert [o.severity for o in (s, u, r, e)] == [0, 1, 2, 3]
    assert str(s) == "SUPPORTED"


def test_plain_spells_what_json_cannot():
    data = {"a": [NAN, INF, -INF, 1.5, None, True, "x"], 3: (1, {"b": INF})}
    assert plain(data) == {
        "a": ["nan", "inf", "-inf", 1.5, None, True, "x"],
        "3": [1, {"b": "inf"}],
    }
