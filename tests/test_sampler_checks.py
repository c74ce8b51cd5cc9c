"""check_sampler: right samplers come out SUPPORTED, wrong ones REFUTED, failing ones ERROR, and the rest goes on."""

from __future__ import annotations

import json
import time
from itertools import pairwise

import numpy as np
import pytest
import torch
from scoreproof.numerics.rng import normal_like
from scoreproof.numerics.solvers import DDIM, Ancestral, EulerMaruyama
from scoreproof.theory import EDM, VP, Gaussian, GaussianMixture, PointMasses
from scoreproof.validation import Outcome, Problem, Report, check_sampler

LINE = Problem(
    "line",
    GaussianMixture([0.6, 0.4], [[-1.0], [1.5]], [0.2, 0.5]),
    VP(),
    t_min=1e-3,
)
PLANE = Problem(
    "plane", Gaussian([1.5, -0.8], [[1.1, 0.55], [0.55, 0.4]]), EDM(sigma_max=20.0), t_min=0.02
)
QUICK = {"tolerance": 0.3, "steps": (32,), "problems": [LINE]}


def _solved(solver):
    def sampler(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        flat = x.reshape(n, -1)
        score = lambda y, t: problem.score(y.reshape(x.shape), t).reshape(n, -1)  # noqa: E731
        out = solver.sample(score, problem.sde, flat, problem.times(steps), rng=rng)
        return out.reshape(x.shape)

    return sampler


ddim, ancestral, euler = _solved(DDIM()), _solved(Ancestral()), _solved(EulerMaruyama())


def exact(problem, n, *, steps, rng):
    """Draws of the marginal at t_min, that use neither score nor steps."""
    return problem.data(n, t=problem.t_min, rng=rng)


def walk(problem, n, *, steps, rng, half=1.0, root=0.5, sign=1.0, reuse=False, spread=1.0):
    """Euler-Maruyama with places for the usual mistakes."""
    x = spread * problem.prior(n, rng=rng)
    times = problem.times(steps)
    z = normal_like(x, rng=rng)
    for t, s in pairwise(times):
        f, g = float(problem.sde.drift(t)), float(problem.sde.diffusion(t))
        x = x - sign * (t - s) * (f * x - half * g**2 * problem.score(x, float(t)))
        z = z if reuse else normal_like(x, rng=rng)
        x = x + g * (t - s) ** root * z
    return x


def slide(problem, n, *, steps, rng, half=0.5, spread=1.0):
    """Euler's rule for the probability flow, likewise."""
    x = spread * problem.prior(n, rng=rng)
    times = problem.times(steps)
    for t, s in pairwise(times):
        f, g = float(problem.sde.drift(t)), float(problem.sde.diffusion(t))
        x = x - (t - s) * (f * x - half * g**2 * problem.score(x, float(t)))
    return x


def _with(sampler, **defect):
    def wrong(problem, n, *, steps, rng):
        return sampler(problem, n, steps=steps, rng=rng, **defect)

    return wrong


def _only(report, claim):
    (verdict,) = report.find(claim)
    return verdict


@pytest.mark.parametrize("sampler", [exact, ddim, ancestral, euler, walk])
def test_right_samplers_are_supported(sampler):
    report = check_sampler(sampler, **{**QUICK, "problems": [LINE, PLANE]})
    assert report.outcome is Outcome.SUPPORTED, str(report)
    assert report.exit_status == 0
    assert len(report.find("law")) == 2
    for verdict in report.verdicts:
        assert verdict.mutants
        assert all(m.outcome is Outcome.REFUTED for m in verdict.mutants)
    again = check_sampler(sampler, **QUICK, seed=1)
    assert again.outcome is Outcome.SUPPORTED, str(again)


@pytest.mark.parametrize(
    "sampler",
    [
        _with(walk, half=0.5),
        _with(walk, root=1.0),
        _with(walk, sign=-1.0),
        _with(walk, reuse=True),
        _with(slide, half=1.0),
        _with(slide, spread=3.0),
        _with(slide, spread=0.2),
    ],
    ids=["half-score", "dt-for-sqrt-dt", "sign", "noise-reused", "flow-twice", "wide", "narrow"],
)
def test_wrong_samplers_are_refuted(sampler):
    report = check_sampler(sampler, **QUICK)
    law = _only(report, "law")
    # a wrong sign blows up: then the sampler fails, or its draws are refuted
    assert law.outcome is Outcome.REFUTED
    assert law.diagnosis is not None
    assert report.exit_status == 1
    with pytest.raises(AssertionError, match="law: REFUTED"):
        report.require()


def test_coarse_steps_are_seen_at_a_fixed_tolerance():
    report = check_sampler(ancestral, problems=[PLANE], steps=(4, 64), tolerance=0.3, order=0.1)
    four, many = report.find("law")
    assert (four.subject["steps"], many.subject["steps"]) == (4, 64)
    assert four.outcome is Outcome.REFUTED
    assert many.outcome is Outcome.SUPPORTED


def test_roles_subjects_and_what_is_not_checked():
    report = check_sampler(ddim, problems=[LINE], steps=(8, 64), tolerance=0.3, budget=2000)
    roles = {v.claim: v.role for v in report.verdicts}
    assert roles == {
        "finite": "required",
        "reproducible": "required",
        "rows-independent": "informative",
        "equivariant": "informative",
        "law": "required",
        "order": "informative",
        "consistent": "required",
    }
    law = _only(report, "law")
    assert law.subject == {
        "problem": "line",
        "target": "sampler",
        "steps": 64,
        "evaluations": 64,
        "clock": "t",
    }
    assert 0 < law.samples_used <= 2000
    assert _only(report, "finite").subject["evaluations"] == [8, 64]
    reasons = {n.claim: n.reason for n in report.not_checked}
    assert set(reasons) == {"step-order", "clock", "law"}
    assert all(reasons.values())
    assert "2.4" in reasons["law"]  # 0.3 * 64 / 8


def test_a_sampler_that_ignores_steps_is_told():
    def fixed(problem, n, *, steps, rng):
        return ddim(problem, n, steps=5, rng=rng)

    report = check_sampler(fixed, problems=[PLANE], steps=(16, 64), tolerance=0.05)
    assert "do not depend on steps" in _only(report, "finite").finding
    assert report.find("law", steps=64)[0].outcome is Outcome.REFUTED
    assert _only(report, "consistent").outcome is Outcome.REFUTED
    told = check_sampler(ddim, problems=[PLANE], steps=(16, 64), tolerance=0.3)
    assert _only(told, "finite").finding == "Score evaluations at 16, 64 steps: 16, 64."


def test_report_prints_saves_and_comes_back(tmp_path):
    report = check_sampler(exact, **QUICK, budget=500)
    assert "reproducible" in str(report)
    report.save(tmp_path / "out")
    text = (tmp_path / "out" / "report.json").read_text()
    assert json.loads(text)["outcome"] == str(report.outcome)
    assert Report.from_json(text).to_json() == report.to_json()
    assert (tmp_path / "out" / "index.html").exists()
    assert (tmp_path / "out" / "junit.xml").exists()
    with pytest.raises(TypeError, match="outcome"):
        bool(report)


def test_same_seed_same_numbers():
    def numbers(seed):
        data = check_sampler(ancestral, **QUICK, budget=500, seed=seed).to_dict()
        for verdict in data["verdicts"]:
            for piece in verdict["evidence"]:
                piece["seconds"] = 0.0
        return data["verdicts"]

    assert numbers(3) == numbers(3)
    assert numbers(3) != numbers(4)


def test_the_sampler_is_called_no_more_than_it_must():
    calls = []

    def counted(problem, n, *, steps, rng):
        calls.append((n, steps))
        return exact(problem, n, steps=steps, rng=rng)

    check_sampler(counted, problems=[LINE], steps=(8, 16), tolerance=0.3, budget=64)
    small = [c for c in calls if c[0] == 37]
    # each step count once, and again with the same, another and a moved start
    assert len(small) == 2 + 3


def test_global_generators_are_told_and_not_counted():
    def careless(problem, n, *, steps, rng):
        legacy = np.random.default_rng(np.random.randint(2**31))  # noqa: NPY002
        return problem.data(n, t=problem.t_min, rng=legacy)

    report = check_sampler(careless, **QUICK)
    verdict = _only(report, "reproducible")
    assert verdict.role == "informative"
    assert verdict.outcome is Outcome.REFUTED
    assert "ignores" in verdict.finding
    assert _only(report, "law").outcome is Outcome.SUPPORTED
    assert report.outcome is Outcome.SUPPORTED

    def half(problem, n, *, steps, rng):
        z = np.random.standard_normal((n, 1))  # noqa: NPY002
        return problem.data(n, t=problem.t_min, rng=rng) + 1e-3 * z

    verdict = _only(check_sampler(half, **QUICK), "reproducible")
    assert verdict.role == "informative"
    assert "besides" in verdict.finding


def test_draws_that_cannot_be_repeated():
    def fresh(problem, n, *, steps, rng):
        return exact(problem, n, steps=steps, rng=np.random.default_rng())

    report = check_sampler(fresh, **QUICK)
    verdict = _only(report, "reproducible")
    assert verdict.role == "required"
    assert verdict.outcome is Outcome.REFUTED
    assert "rows-independent" in {n.claim for n in report.not_checked}
    assert _only(report, "law").outcome is Outcome.SUPPORTED


def test_draws_that_are_always_the_same():
    def frozen(problem, n, *, steps, rng):
        return exact(problem, n, steps=steps, rng=np.random.default_rng(0))

    report = check_sampler(frozen, **QUICK)
    verdict = _only(report, "reproducible")
    assert verdict.outcome is Outcome.REFUTED
    assert [e.check for e in verdict.evidence if e.outcome is Outcome.REFUTED] == ["other-state"]
    # batches repeat one another
    assert _only(report, "law").outcome is not Outcome.SUPPORTED


def test_rows_that_lean_on_each_other():
    def mixed(problem, n, *, steps, rng):
        x = ddim(problem, n, steps=steps, rng=rng)
        return x + 0.01 * (x.mean(axis=0) - problem.law.mean)

    verdict = _only(check_sampler(mixed, **QUICK), "rows-independent")
    assert verdict.outcome is Outcome.REFUTED
    assert verdict.role == "informative"
    assert "changed by" in verdict.finding
    straight = _only(check_sampler(ddim, **QUICK), "rows-independent")
    assert straight.outcome is Outcome.SUPPORTED
    forgetful = check_sampler(exact, **QUICK)
    reasons = {n.claim: n.reason for n in forgetful.not_checked}
    assert "problem.prior" in reasons["rows-independent"]


@pytest.mark.parametrize(
    ("sampler", "declared", "outcome"),
    [
        (ddim, True, Outcome.SUPPORTED),
        (ddim, False, Outcome.REFUTED),
        (ancestral, False, Outcome.SUPPORTED),
        (ancestral, True, Outcome.REFUTED),
    ],
)
def test_declared_determinism_is_checked(sampler, declared, outcome):
    report = check_sampler(sampler, **QUICK, deterministic=declared, budget=64)
    verdict = _only(report, "reproducible")
    assert verdict.outcome is outcome
    assert all(m.outcome is Outcome.REFUTED for m in verdict.mutants)


def test_a_sampler_may_write_into_its_start():
    def writes(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        out = DDIM().sample(problem.score, problem.sde, x.copy(), problem.times(steps), rng=rng)
        x[:] = np.nan
        return out

    for declared in (None, True):
        report = check_sampler(writes, **QUICK, deterministic=declared)
        assert report.outcome is Outcome.SUPPORTED, str(report)


def _returns(change):
    def sampler(problem, n, *, steps, rng):
        return change(exact(problem, n, steps=steps, rng=rng))

    return sampler


def _raises(problem, n, *, steps, rng):
    raise RuntimeError("out of paint\nand of brushes")


def _leaves(problem, n, *, steps, rng):
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("sampler", "words"),
    [
        (_raises, ["the sampler raised RuntimeError: out of paint"]),
        (_leaves, ["raised SystemExit"]),
        (
            _returns(lambda x: np.where(np.arange(len(x))[:, None] == 3, np.nan, x)),
            ["row 3", "NaN"],
        ),
        (_returns(lambda x: x * np.inf), ["inf"]),
        (_returns(lambda x: x[:-1]), ["36 rows, fewer than the 37"]),
        (_returns(lambda x: np.hstack([x, x])), ["shape (37, 2), wanted (37, 1)"]),
        (_returns(lambda x: x.astype(np.float16)), ["float16"]),
        (_returns(lambda x: x + 1j), ["complex"]),
        (_returns(lambda x: None), ["NoneType"]),
        (_returns(lambda x: "draws"), ["real floating-point numbers"]),
    ],
)
def test_failures_are_said_in_one_sentence(sampler, words):
    report = check_sampler(sampler, **{**QUICK, "problems": [LINE, PLANE]})
    assert report.exit_status == 4
    first, _ = report.find("finite")
    assert first.outcome is Outcome.ERROR
    (piece,) = first.evidence
    assert "\n" not in piece.message
    for word in words:
        assert word in piece.message
    skipped = {n.claim for n in report.not_checked if n.subject.get("problem") == "line"}
    assert skipped >= {"law", "reproducible", "rows-independent", "order"}


def test_what_works_goes_on():
    def picky(problem, n, *, steps, rng):
        if steps == 16:
            raise ValueError("sixteen is not for me")
        return exact(problem, n, steps=steps, rng=rng)

    report = check_sampler(picky, problems=[LINE], steps=(16, 32), tolerance=0.3)
    assert report.exit_status == 4
    (verdict,) = report.find("finite")
    outcomes = {e.check: e.outcome for e in verdict.evidence}
    assert outcomes == {"steps=16": Outcome.ERROR, "steps=32": Outcome.SUPPORTED}
    assert _only(report, "reproducible").outcome is Outcome.SUPPORTED
    assert _only(report, "law").subject["steps"] == 32
    assert _only(report, "law").outcome is Outcome.SUPPORTED
    assert [n.subject["steps"] for n in report.not_checked if n.claim == "law"] == [16]


def test_a_failure_that_comes_late_is_kept_beside_the_rest():
    def tired(problem, n, *, steps, rng):
        if n > 37:
            raise MemoryError("too many")
        return exact(problem, n, steps=steps, rng=rng)

    report = check_sampler(tired, **QUICK)
    law = _only(report, "law")
    assert law.outcome is Outcome.ERROR
    assert "the sampler raised MemoryError: too many" in law.evidence[0].message
    assert _only(report, "finite").outcome is Outcome.SUPPORTED


def test_one_that_hangs_is_stopped():
    def hangs(problem, n, *, steps, rng):
        if steps == 4:
            time.sleep(60)
        return exact(problem, n, steps=steps, rng=rng)

    report = check_sampler(hangs, problems=[LINE], steps=(4, 64), tolerance=0.3, timeout=2.0)
    (verdict,) = report.find("finite")
    assert verdict.outcome is Outcome.ERROR
    assert "did not return within 2 s" in verdict.evidence[0].message
    assert _only(report, "law").outcome is Outcome.SUPPORTED
    assert _only(report, "finite").subject["evaluations"] == [0]


def test_torch_samplers_get_tensors_and_a_torch_generator():
    seen = []

    def sampler(problem, n, *, steps, rng):
        seen.append(type(rng))
        x = problem.prior(n, rng=rng)
        assert isinstance(x, torch.Tensor)
        return Ancestral().sample(problem.score, problem.sde, x, problem.times(steps), rng=rng)

    report = check_sampler(sampler, **QUICK, backend="torch")
    assert set(seen) == {torch.Generator}
    assert report.outcome is Outcome.SUPPORTED, str(report)
    wrong = check_sampler(_with(walk, half=0.5), **QUICK, backend="torch")
    assert _only(wrong, "law").outcome is Outcome.REFUTED


def test_draws_in_float32_are_taken():
    report = check_sampler(_returns(lambda x: x.astype(np.float32)), **QUICK, dtype="float32")
    assert report.outcome is Outcome.SUPPORTED, str(report)


def test_images_and_data_sets():
    points = PointMasses(np.array([[0.0, 1.0], [2.0, -1.0], [-1.5, 0.5]]))
    atoms = Problem("atoms", points, VP(), t_min=1e-2, shape=(1, 2))
    report = check_sampler(exact, problems=[atoms], steps=(4,), tolerance=0.3)
    assert report.outcome is Outcome.SUPPORTED, str(report)
    law = _only(report, "law")
    assert "t = 0.01" in law.statement


def test_the_global_state_is_left_alone():
    def loud(problem, n, *, steps, rng):
        np.random.seed(1)  # noqa: NPY002
        torch.manual_seed(1)
        return exact(problem, n, steps=steps, rng=rng)

    before = torch.get_rng_state()
    check_sampler(loud, **QUICK, budget=64)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sampler": 3}, ["sampler: got int"]),
        ({"problems": ["nowhere"]}, ["problems: got 'nowhere'", "gaussian-1d"]),
        ({"problems": []}, ["problems: got none"]),
        ({"problems": [LINE, LINE]}, ["'line' twice"]),
        ({"steps": ()}, ["steps: got ()"]),
        ({"steps": (0, 8)}, ["steps: got (0, 8)"]),
        ({"steps": (2.5,)}, ["steps: got (2.5,)"]),
        ({"steps": 8}, ["steps: got 8"]),
        ({"tolerance": 0.0}, ["tolerance: got 0"]),
        ({"tolerance": 0.7}, ["tolerance: got 0.7", "below 0.5"]),
        ({"false_alarm": -1.0}, ["false_alarm: got -1"]),
        ({"order": 0.0}, ["order: got 0"]),
        ({"budget": 3}, ["budget: got 3", "64"]),
        ({"timeout": -1.0}, ["timeout: got -1"]),
        ({"backend": "jax"}, ["backend: got 'jax'"]),
        ({"backend": "numpy", "device": "cuda"}, ["device: got 'cuda'"]),
        ({"dtype": "float16"}, ["dtype: got 'float16'"]),
    ],
)
def test_arguments_that_cannot_be(arguments, words):
    given = {"sampler": exact, **QUICK, **arguments}
    with pytest.raises(ValueError, match=r".*wanted.*;") as raised:
        check_sampler(given.pop("sampler"), **given)
    message = str(raised.value)
    assert "\n" not in message
    for word in words:
        assert word in message
