"""compare: errors are those of the closed recursions, work is counted, table and page hold every number."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from scoreproof.numerics import DDIM, Ancestral, EigenLaw, GaussianReverse, Heun
from scoreproof.numerics.gaussian_law import run
from scoreproof.theory import EDM, VP, Gaussian, GaussianMixture
from scoreproof.validation import Problem
from scoreproof.validation.cli import main
from scoreproof.validation.compare import compare

LAW = Gaussian([1.5, -0.8], [[1.1, 0.55], [0.55, 0.4]])
PLANE = Problem("plane", LAW, EDM(sigma_max=20.0), t_min=0.02)
PAIR = GaussianMixture([0.6, 0.4], [[-1.0, 0.2], [1.5, 0.9]], [[0.3, 0.2], [0.2, 0.5]])
BENT = Problem("bent", PAIR, VP(), t_min=1e-3)
QUICK = {"steps": (8, 16, 32), "rows": 50}


def solved(solver, change=lambda x: x):
    def sampler(problem, n, *, steps, rng):
        x = problem.prior(n, rng=rng)
        return change(solver.sample(problem.score, problem.sde, x, problem.times(steps), rng=rng))

    return sampler


def failing(problem, n, *, steps, rng):
    raise KeyError("broken")


def test_errors_are_those_of_the_closed_recursions():
    found = compare({"ddim": solved(DDIM()), "noisy": solved(Ancestral())}, problem=PLANE, **QUICK)
    reverse = GaussianReverse(EigenLaw.of(LAW), PLANE.sde)
    for name, step in (("ddim", reverse.ddim), ("noisy", reverse.ancestral)):
        for point in found.of(name):
            law = run(reverse.marginal(PLANE.t_max), step, PLANE.times(point.steps))
            assert point.error == pytest.approx(law.w2(reverse.target), rel=1e-8)
            assert point.evaluations == point.steps
            assert point.low <= point.error <= point.high
            assert point.seconds > 0
            assert point.how == "exact"
    # a worse sampler is told from a better one
    worse = compare({"off": solved(DDIM(), lambda x: x + 0.1)}, problem=PLANE, **QUICK)
    assert all(w.error > d.error for w, d in zip(worse.points, found.of("ddim"), strict=True))


def test_evaluations_are_counted_and_not_assumed():
    (point,) = compare({"heun": solved(Heun("sigma"))}, problem=PLANE, steps=[16], rows=50).points
    assert point.evaluations == 32


def test_the_work_for_an_error_lies_between_the_runs():
    found = compare({"heun": solved(Heun("sigma"))}, problem=PLANE, **QUICK)
    first, middle, _ = found.of("heun")
    at = found.needed("heun", np.sqrt(first.error * middle.error) / found.size)
    assert at == pytest.approx(np.sqrt(first.evaluations * middle.evaluations), rel=1e-9)
    assert found.needed("heun", 1e3) == first.evaluations
    assert np.isnan(found.needed("heun", 1e-12))


def test_where_the_law_is_not_known_paths_are_followed():
    found = compare(
        {"heun": solved(Heun("sigma")), "noisy": solved(Ancestral())},
        problem=BENT,
        steps=(16, 32),
        rows=50,
    )
    coarse, fine = found.of("heun")
    assert coarse.how == "paths"
    # of second order, or better where a rule is lucky
    assert fine.error < 0.45 * coarse.error
    (one, _) = (p for p in found.points if p.target == "noisy")
    assert not one.known
    assert "no number" in str(found)
    line = compare({"ddim": solved(DDIM())}, problem="mixture-1d", steps=[16], rows=50)
    assert line.points[0].how == "pushed"


def test_the_table_fits_and_the_page_holds_it(tmp_path):
    named = {
        "a-rather-long-name-of-a-sampler-of-some-library": solved(DDIM()),
        "<heun>": solved(Heun("sigma")),
        "bad": failing,
    }
    seen = []
    found = compare(named, problem=PLANE, **QUICK, progress=seen.append)
    assert tuple(seen) == found.points
    assert max(map(len, str(found).splitlines())) <= 80
    assert "failed: the sampler raised" in str(found)
    page = (found.save(tmp_path / "out") / "compare.html").read_text()
    assert page.count("<svg") == 2
    assert "&lt;heun&gt;" in page
    assert "<heun>" not in page
    assert "<script" not in page
    stored = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert stored["schema"] == "scoreproof.compare/1"
    assert len(stored["points"]) == 9
    assert stored["points"][-1]["error"] == "nan"
    for point in found.of("<heun>"):
        assert f"{point.error:.4g}" in page


def test_samplers_of_different_libraries_beside_a_function():
    for name in ("diffusers", "azula"):
        pytest.importorskip(name)
    found = compare(
        [solved(DDIM()), "diffusers:EulerDiscreteScheduler", "azula:DDIMSampler"],
        problem=PLANE,
        steps=(8, 16),
        rows=20,
    )
    assert found.targets == ("sampler", "diffusers:EulerDiscreteScheduler", "azula:DDIMSampler")
    for target in found.targets:
        coarse, fine = found.of(target)
        assert fine.error < coarse.error


def test_the_command_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.py").write_text(
        "from itertools import pairwise\n"
        "def euler(problem, n, *, steps, rng):\n"
        "    x = problem.prior(n, rng=rng)\n"
        "    for t, s in pairwise(problem.times(steps)):\n"
        "        x = x + (s - t) * problem.velocity(x, t)\n"
        "    return x\n"
        "def broken(problem, n, *, steps, rng):\n"
        "    raise ValueError('no')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    common = ["--steps", "8,16", "--rows", "20", "--problem", "gaussian-1d", "--timeout", "60"]
    with pytest.raises(SystemExit) as left:
        main(["compare", "mine.py:euler", "mine:euler", *common, "--out", "here"])
    assert left.value.code == 0
    said = capsys.readouterr()
    assert "mine.py:euler" in said.out
    assert "evaluations for an error of" in said.out
    assert (tmp_path / "here" / "compare.html").exists()
    with pytest.raises(SystemExit) as left:
        main(["compare", "mine.py:euler", "mine.py:broken", *common, "--json"])
    assert left.value.code == 4
    assert len(json.loads(capsys.readouterr().out)["points"]) == 4
    for wrong, words in (
        (["mine.py:nothing"], "target"),
        (["mine.py:euler", "--steps", "many"], "steps: got 'many'"),
        (["mine.py:euler", "mine.py:euler"], "twice"),
        (["mine.py:euler", "--problem", "nowhere"], "problem: got 'nowhere'"),
        (["mine.py:euler", "--rows", "few"], "rows: got 'few'"),
    ):
        with pytest.raises(SystemExit) as left:
            main(["compare", *wrong])
        assert left.value.code == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("samplers", "given", "words"),
    [
        ([], {}, "samplers: got none"),
        ([failing, failing], {}, "twice"),
        ([failing], {"steps": []}, "steps: got none"),
        ([failing], {"rows": 0}, "rows: got 0"),
    ],
)
def test_arguments_that_cannot_be(samplers, given, words):
    with pytest.raises(ValueError, match=words):
        compare(samplers, problem=PLANE, **given)
