"""check_score: the exact score is SUPPORTED, damaged networks are REFUTED, failing ones are ERROR."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
import torch
from scoreproof.models.corrupt import Biased, Blurred, Scaled, TimeDropped, TimeSwapped
from scoreproof.models.oracle import Oracle
from scoreproof.theory import VP, GaussianMixture
from scoreproof.validation import PROBLEMS, Outcome, Problem, Report, check_score
from scoreproof.validation._score_ratio import Seen, ratio

LINE = Problem("line", GaussianMixture([0.6, 0.4], [[-1.0], [1.5]], [0.2, 0.5]), VP(), t_min=1e-2)
FEW = {"budget": 3000, "only": ("esm",)}


def _esm(report):
    (verdict,) = report.find("esm")
    return verdict


@pytest.mark.parametrize("name", ("digits", "digits-10", "mixture-8d"))
@pytest.mark.parametrize("torch_module", (False, True))
def test_the_exact_score_is_supported(name, torch_module):
    problem = PROBLEMS[name]
    score = Oracle(problem) if torch_module else problem.score
    report = check_score(score, problem, **FEW)
    verdict = _esm(report)
    assert report.outcome is Outcome.SUPPORTED, str(report)
    assert len(verdict.evidence) == 5
    assert verdict.subject["target"] == ("Oracle" if torch_module else "score")
    for piece in verdict.evidence:
        assert piece.kind == "confidence"
        assert piece.measured is not None
        assert piece.measured.value < 1e-12  # rounding, squared
        # half of the rate for five levels, half for their mutants
        assert piece.level == pytest.approx(1e-6 / 10, rel=1e-12)
        assert piece.n == 3000
        assert piece.seed == 0
        assert piece.detectable is not None
        assert 0 < piece.detectable < math.inf
    assert len(verdict.mutants) == 5
    assert all(m.outcome is Outcome.REFUTED for m in verdict.mutants)


def _damaged(problem):
    exact = Oracle(problem)
    return {
        "scaled": Scaled(exact, 0.7),
        "biased": Biased(exact, 0.4),
        "swapped": TimeSwapped(exact, problem.t_min, problem.t_max),
        "dropped": TimeDropped(exact, 0.05, 0.5),
        "blurred": Blurred(exact),
    }


DEFECTS = ("scaled", "biased", "swapped", "dropped", "blurred")


@pytest.mark.parametrize(
    ("name", "defect"),
    [
        *((name, defect) for name in ("digits", "digits-10") for defect in DEFECTS),
        *(("mixture-8d", defect) for defect in DEFECTS[:-1]),  # blurring needs pixels
    ],
)
def test_damaged_networks_are_refuted(name, defect):
    problem = PROBLEMS[name]
    report = check_score(_damaged(problem)[defect], problem, **FEW)
    verdict = _esm(report)
    assert verdict.outcome is Outcome.REFUTED
    assert report.exit_status == 1
    assert verdict.diagnosis is not None
    assert "beyond the tolerance" in verdict.diagnosis.text
    with pytest.raises(AssertionError, match="noise levels"):
        report.require()


def test_the_size_of_a_known_error_is_measured():
    problem = PROBLEMS["mixture-8d"]
    report = check_score(
        lambda x, t: 0.9 * problem.score(x, t), problem, tolerance=0.02, budget=2000
    )
    verdict = _esm(report)
    assert verdict.outcome is Outcome.SUPPORTED
    for piece in verdict.evidence:
        # (0.1)^2 at every draw: the ratio has no spread at all
        assert piece.measured is not None
        assert piece.measured.value == pytest.approx(0.01, rel=1e-10)
        assert piece.measured.low <= 0.01 * (1 + 1e-10)
        assert piece.measured.high >= 0.01 * (1 - 1e-10)
        assert "relative error 0.1 " in piece.message


@pytest.mark.statistical
def test_the_interval_covers_the_ratio():
    """At level 1e-2 the interval misses in at most one run of a hundred, whatever correlation a and b have."""
    rng, runs, level, n, missed = np.random.default_rng(0), 300, 1e-2, 600, 0
    wrong = 0
    for _ in range(runs):
        z = rng.standard_normal((n, 3))
        norms = (z**2).sum(axis=1)  # E = 3
        errors = (0.3 * z[:, 0] + 0.2 * rng.standard_normal(n)) ** 2  # E = 0.13
        piece = ratio("t", Seen(0.5, errors, norms, 0 * norms), 0.05, level, 0)
        assert piece.measured is not None
        missed += not piece.measured.low <= 0.13 / 3 <= piece.measured.high
        wrong += piece.measured.low <= 0.5 <= piece.measured.high
    assert wrong == 0  # it says something
    # P(Binomial(300, 0.01) > 17) < 1e-8
    assert missed <= 17


@pytest.mark.statistical
def test_detectable_errors_are_detected():
    rng, n, level, tolerance = np.random.default_rng(1), 2000, 1e-4, 0.05

    def look(size):
        z = rng.standard_normal((n, 2))
        errors = size * z[:, 0] ** 2
        return Seen(0.5, errors, (z**2).sum(axis=1), 0 * errors)

    # E a / E b = size / 2
    piece = ratio("t", look(2 * tolerance), tolerance, level, 0)
    assert piece.detectable is not None
    beyond = 2 * (tolerance + 2 * piece.detectable)
    outcomes = [ratio("t", look(beyond), tolerance, level, 0).outcome for _ in range(30)]
    # the spread grows with the size of the defect, which 2 x detectable pays for
    assert outcomes.count(Outcome.REFUTED) >= 29


def test_same_seed_same_numbers():
    problem = PROBLEMS["mixture-8d"]

    def score(x, t):
        return problem.score(x, t) + 0.1 * np.sin(x)

    def numbers(seed):
        evidence = _esm(check_score(score, problem, budget=100, seed=seed)).evidence
        return [e.measured for e in evidence]

    assert numbers(1) == numbers(1)
    assert numbers(1) != numbers(2)


def test_too_few_draws_are_undecided_and_say_how_many_would_do():
    problem = PROBLEMS["mixture-8d"]

    def score(x, t):
        rng = np.random.default_rng(0)
        truth = problem.score(x, t)
        return truth + 0.2 * np.sqrt((truth**2).mean()) * rng.standard_normal(x.shape)

    few = _esm(check_score(score, problem, budget=64))
    assert any("raise budget" in e.message for e in few.evidence)
    assert few.outcome is Outcome.UNDECIDED
    assert all("draws" in e.message for e in few.evidence if e.outcome is Outcome.UNDECIDED)
    many = _esm(check_score(score, problem, budget=4000))
    assert many.outcome is Outcome.SUPPORTED, str(many)


def test_rare_large_scores_get_more_draws_by_default():
    # near its edges a narrow uniform law has all of its score, in one draw of a hundred
    problem = PROBLEMS["uniform-1d"]
    t = 0.3
    few = _esm(check_score(problem.score, problem, times=[t], budget=4000))
    assert few.outcome is Outcome.UNDECIDED
    default = _esm(check_score(problem.score, problem, times=[t]))
    assert default.outcome is Outcome.SUPPORTED
    (piece,) = default.evidence
    assert piece.n in (16_000, 64_000)
    assert piece.level == pytest.approx(0.2 * 1e-6 / 2, rel=1e-12)


def test_a_score_that_is_nowhere_seen_is_undecided():
    law = GaussianMixture([1.0], [[0.0]], [1.0])
    wide = Problem("flat", law, VP(), t_min=1e-2)
    wide.score = lambda x, t: 0 * x  # type: ignore[method-assign]
    verdict = _esm(check_score(lambda x, t: 0 * x, wide, times=[0.5], budget=100))
    assert verdict.outcome is Outcome.UNDECIDED
    assert "later time" in verdict.evidence[0].message


def test_times_and_claims_can_be_chosen():
    report = check_score(LINE.score, LINE, times=[0.5, 0.1], budget=64)
    assert [e.check for e in _esm(report).evidence] == ["t=0.5", "t=0.1"]
    names = {n.claim for n in report.not_checked}
    assert {"dsm-constant", "fokker-planck", "samples"} <= names
    assert all(n.reason for n in report.not_checked)
    only = check_score(LINE.score, LINE, only=("likelihood",), budget=64)
    assert only.verdicts == ()
    assert [n.claim for n in only.not_checked] == ["likelihood"]


def test_report_prints_saves_and_has_no_truth_value(tmp_path):
    report = check_score(LINE.score, LINE, **FEW)
    assert "esm" in str(report)
    report.save(tmp_path / "out")
    text = (tmp_path / "out" / "report.json").read_text()
    assert json.loads(text)["schema"] == "scoreproof.report/1"
    assert Report.from_json(text).to_json() == report.to_json()
    with pytest.raises(TypeError, match="outcome"):
        bool(report)
    with pytest.raises(TypeError, match="outcome"):
        bool(_esm(report))


class Net(torch.nn.Module):
    """A network in float32 with dropout, which must be off."""

    def __init__(self) -> None:
        super().__init__()
        self.one = torch.nn.Linear(1, 1, bias=False)
        self.off = torch.nn.Dropout(0.9)
        torch.nn.init.ones_(self.one.weight)

    def forward(self, x, t):
        assert t.shape == (len(x),)
        assert not torch.is_grad_enabled()
        exact = LINE.score(x, float(t[0]))
        return self.one(self.off(exact))


def test_a_float32_network_and_its_mode():
    net = Net()
    net.off.eval()  # a mixture of modes must come back as it was
    assert net.training
    report = check_score(net, LINE, dtype="float32", **FEW)
    assert report.outcome is Outcome.SUPPORTED, str(report)
    assert net.training
    assert not net.off.training
    wrong = _esm(check_score(net, LINE, **FEW))
    assert wrong.outcome is Outcome.ERROR
    assert "pass dtype='float32'" in wrong.evidence[0].message
    assert net.training


def test_the_mode_comes_back_after_a_failure_too():
    class Fails(Net):
        def forward(self, x, t):
            raise ValueError("no")

    net = Fails().train()
    check_score(net, LINE, **FEW)
    assert net.training


def _failing(change):
    def score(x, t):
        return change(LINE.score(x, t), x, t)

    return score


def _raise(s, x, t):
    raise KeyError("weights")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_raise, ["score raised KeyError"]),
        (lambda s, x, t: np.where(np.arange(len(s))[:, None] == 5, np.nan, s), ["row 5", "NaN"]),
        (lambda s, x, t: s / 0 if t < 0 else s * np.inf, ["inf"]),
        (lambda s, x, t: s[:-1], ["2999 rows, fewer"]),
        (lambda s, x, t: np.hstack([s, s]), ["shape (3000, 2), wanted (3000, 1)"]),
        (lambda s, x, t: s.astype(np.float16), ["float16"]),
        (lambda s, x, t: s + 1j, ["complex"]),
        (lambda s, x, t: None, ["NoneType"]),
    ],
)
def test_failures_are_said_in_one_sentence(change, words):
    report = check_score(_failing(change), LINE, **FEW)
    verdict = _esm(report)
    assert verdict.outcome is Outcome.ERROR
    assert report.exit_status == 4
    assert verdict.diagnosis is not None
    for piece in verdict.evidence:
        assert "\n" not in piece.message
        for word in words:
            assert word in piece.message


def test_other_levels_go_on_after_a_failure():
    def score(x, t):
        if t > 0.9:
            raise ArithmeticError("too noisy")
        return LINE.score(x, t)

    verdict = _esm(check_score(score, LINE, **FEW))
    assert [e.outcome for e in verdict.evidence] == [Outcome.SUPPORTED] * 4 + [Outcome.ERROR]
    assert verdict.outcome is Outcome.ERROR


def test_one_that_hangs_is_stopped():
    def score(x, t):
        if t > 0.9:
            time.sleep(60)
        return LINE.score(x, t)

    verdict = _esm(check_score(score, LINE, times=[0.5, 1.0], timeout=2.0, **FEW))
    assert [e.outcome for e in verdict.evidence] == [Outcome.SUPPORTED, Outcome.ERROR]
    assert "did not return within 2 s" in verdict.evidence[1].message


def test_writing_into_x_and_into_the_global_state_does_no_harm():
    def score(x, t):
        out = LINE.score(x, t)
        x[:] = 0
        np.random.seed(1)  # noqa: NPY002
        torch.manual_seed(1)
        return out

    before = torch.get_rng_state()
    report = check_score(score, LINE, **FEW)
    assert report.outcome is Outcome.SUPPORTED
    assert torch.equal(before, torch.get_rng_state())

    class Writes(torch.nn.Module):
        def forward(self, x, t):
            out = LINE.score(x, t)
            x.zero_()
            return out

    assert check_score(Writes(), LINE, **FEW).outcome is Outcome.SUPPORTED


def test_evaluations_of_the_caller_are_not_touched():
    problem = LINE.fresh()
    check_score(lambda x, t: -x, problem, **FEW)
    assert problem.evaluations == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"score": 3}, ["score: got int"]),
        ({"only": ("esn",)}, ["only: got 'esn'", "esm"]),
        ({"times": []}, ["times: got none"]),
        ({"times": [0.0]}, ["times: got 0", "(0, 1]"]),
        ({"times": [2.0]}, ["times: got 2"]),
        ({"tolerance": -0.1}, ["tolerance: got -0.1"]),
        ({"tolerance": float("nan")}, ["tolerance: got 1 entries"]),
        ({"false_alarm": 0}, ["false_alarm: got 0"]),
        ({"budget": 3}, ["budget: got 3", "64"]),
        ({"timeout": 0}, ["timeout: got 0"]),
        ({"backend": "jax"}, ["backend: got 'jax'"]),
        ({"backend": "numpy", "device": "cuda"}, ["device: got 'cuda'"]),
        ({"device": "nowhere"}, ["device: got 'nowhere'"]),
        ({"dtype": "float16"}, ["dtype: got 'float16'"]),
        ({"problem": "line"}, ["problem: got str"]),
        ({"problem": LINE.law}, ["problem: got GaussianMixture"]),
        ({"data": np.full((5, 1), np.nan)}, ["data: got 5 of 5 rows not finite"]),
        ({"data": np.zeros((0, 1))}, ["data: got no rows"]),
        ({"data": np.zeros((5, 3))}, ["data: got shape (5, 3)"]),
        ({"data": "digits"}, ["data: got dtype"]),
    ],
)
def test_arguments_that_cannot_be(arguments, words):
    given = {"score": LINE.score, **arguments}
    with pytest.raises(ValueError, match=r".*wanted.*;") as raised:
        check_score(given.pop("score"), given.pop("problem", LINE), **given)
    message = str(raised.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_the_picture_can_be_drawn():
    from scoreproof.validation.report.pictures import draw

    (verdict,) = check_score(LINE.score, LINE, **FEW).find("esm")
    assert verdict.figure is not None
    assert draw(verdict.figure).count("<svg") == 1
