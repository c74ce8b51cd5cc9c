"""The scoreboard: its problem, its rules on rows made by hand, its page, and every reproduction."""

from __future__ import annotations

import importlib
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from scoreproof.validation import _scoreboard_causes as causes
from scoreproof.validation._scoreboard_options import configurations
from scoreproof.validation._scoreboard_page import render
from scoreproof.validation._scoreboard_problem import Closed, space
from scoreproof.validation._scoreboard_row import failure, measure
from scoreproof.validation._scoreboard_rules import accusations, judged
from scoreproof.validation.provenance import version
from scoreproof.validation.scoreboard import plain, run_scoreboard

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "docs" / "reproductions").glob("*.py"))


def row(**changes):
    """A sound row of first order."""
    counts = (7, 10, 13, 20, 25, 30, 50, 100, 150, 200, 300)
    w2 = {str(n): 4.0 / n for n in counts}
    floor = {"w2": 1e-4, "near": "the data", "gap": 1e-4, "error": 1e-4, "explained": 0.0}
    clock = {
        "w2": w2,
        "evaluations": {str(n): n for n in counts},
        "by_evaluations": {"50": {"steps": 50, "evaluations": 50, "w2": 0.08}},
        "local": [0.95, 0.98, 0.99],
        "order": [1.0, 0.98, 1.02],
        "fixed_ends": True,
        "radius": 1e-12,
        "floor": floor,
    }
    made = {
        "target": "diffusers:MadeUp",
        "library": "diffusers",
        "name": "MadeUp",
        "declared": 1.0,
        "failures": [],
        "exact": True,
        "clocks": {"t": clock},
        "told": [],
        "end": {},
    }
    return {**made, **changes}


def clock(**changes):
    return {"clocks": {"t": {**row()["clocks"]["t"], **changes}}}


# --- what is measured -----------------------------------------------------------------------------


def test_the_closed_network_is_that_of_the_problem():
    problem = space()
    closed = Closed.of(problem)
    x = problem.prior(5, rng=torch.Generator().manual_seed(0))
    for t in (1e-3, 0.2, 1.0):
        for name in ("denoiser", "score", "noise"):
            one, two = (getattr(p, name)(x, t) for p in (closed, problem))
            # Gains up to 1/t_min in the score; a few products of order one besides.
            np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=1e-9, atol=1e-9)
    moved = closed.flow_map(x, 1.0, 0.1).numpy()
    np.testing.assert_allclose(moved, problem.flow_map(x, 1.0, 0.1).numpy(), atol=1e-11)
    assert len(closed.levels) == 9
    assert closed.evaluations == 9


def test_there_are_hundreds_of_configurations_each_once():
    found = configurations()
    assert len(found) >= 300
    assert len(set(found)) == len(found)
    with pytest.raises(ValueError, match="only"):
        configurations("nothing")


def test_failures_are_told_apart():
    assert failure(ValueError("no"))["kind"] == "ours"
    pytest.importorskip("diffusers")
    refused = measure("diffusers:DPMSolverMultistepScheduler?algorithm_type=dpmsolver")
    assert refused["failures"][0]["kind"] == "refused"
    assert accusations(refused) == []
    said = accusations(measure("diffusers:DDPMScheduler?variance_type=fixed_large_log"))
    assert [a["rule"] for a in said] == ["nan"]


@pytest.mark.parametrize(
    "target",
    [
        "DDIMScheduler",
        "DPMSolverMultistepScheduler?use_karras_sigmas=True",
        "EDMDPMSolverMultistepScheduler",
        "FlowMatchHeunDiscreteScheduler",
    ],
)
def test_sound_configurations_are_not_accused(target):
    pytest.importorskip("diffusers")
    found = measure(f"diffusers:{target}")
    assert found["exact"]
    assert found["failures"] == []
    assert accusations(found) == []


def test_orders_of_formulas_are_those_of_the_papers():
    pytest.importorskip("diffusers")
    from scoreproof.validation._scoreboard_formula import formula_order
    from scoreproof.validation.adapters import sampler_at
    from scoreproof.validation.adapters.diffusers import SchedulerAdapter

    for name, wanted in (
        ("EulerDiscreteScheduler", 1.0),
        ("DPMSolverMultistepScheduler", 2.0),
        ("DPMSolverSinglestepScheduler?solver_order=3", 3.0),
        ("UniPCMultistepScheduler?solver_order=3", 4.0),
        ("LMSDiscreteScheduler", 4.0),
    ):
        sampler = sampler_at(f"diffusers:{name}")
        assert isinstance(sampler, SchedulerAdapter)
        found = formula_order(sampler, space(), single=False)
        assert found is not None
        # Local orders are p + O(h) at steps of .03 in log-SNR.
        assert found["order"] == pytest.approx(wanted, abs=0.12), name


# --- rules ----------------------------------------------------------------------------------------


def test_a_sound_row_is_not_accused():
    assert accusations(row()) == []


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("law", clock(w2={**row()["clocks"]["t"]["w2"], "150": 0.2})),
        ("stalls", clock(w2=dict.fromkeys(row()["clocks"]["t"]["w2"], 0.5))),
        (
            "floor",
            clock(
                w2={k: 0.03 + v for k, v in row()["clocks"]["t"]["w2"].items()},
                floor={"w2": 0.03, "near": "the data", "gap": 0.03, "error": 1e-3, "explained": 0},
            ),
        ),
        ("order", {"declared": 2.0}),
        ("order", {"formula": {"order": 2.05, "local": [2.2, 2.1, 2.05]}, "declared": 3.0}),
        (
            "crash",
            {"failures": [{"at": 13, "kind": "crash", "type": "E", "place": "", "message": ""}]},
        ),
        ("idle-step", {"end": {"idle": True, "output": 0.1}}),
        (
            "told-is-used",
            {
                "told": [
                    {
                        "check": "told-is-used",
                        "gap": 0.9,
                        "allowed": 0.51,
                        "unit": "timesteps",
                        "steps": 13,
                        "where": 3.0,
                    }
                ]
            },
        ),
    ],
)
def test_each_rule_accuses(rule, changes):
    found = accusations(row(**changes))
    assert [a["rule"] for a in found] == [rule]
    board = judged([row(**changes)])
    assert board["rows"][0]["accusations"][0]["class"] == causes.OURS  # nobody knows this class
    assert board["rows"][0]["status"] == "accused"


def test_a_floor_that_is_explained_is_none():
    floor = {"w2": 0.1, "near": "the data, denoised", "gap": 1e-4, "error": 1e-4, "explained": 0.1}
    w2 = {k: 0.1 + v for k, v in row()["clocks"]["t"]["w2"].items()}
    assert accusations(row(**clock(w2=w2, floor=floor))) == []


# --- causes and their scripts ---------------------------------------------------------------------


def test_causes_are_whole_and_have_their_scripts():
    names = [cause.name for cause in causes.causes()]
    assert len(set(names)) == len(names)
    kinds = {causes.CONTRADICTS, causes.FAILS, causes.LIMIT}
    for cause in causes.causes():
        assert cause.kind in kinds, cause.name
        assert ":" in cause.place, cause.name
        assert cause.quote, cause.name
        # What is called a defect is shown.
        assert cause.script or cause.kind == causes.LIMIT, cause.name
    assert {p.stem for p in SCRIPTS} == {c.name for c in causes.causes() if c.script}


PINNED = {"diffusers": "0.42.1", "azula": "0.11.1"}


@pytest.mark.parametrize("library", PINNED)
def test_causes_quote_the_documentation_and_point_into_the_source(library):
    if version(library) != PINNED[library]:
        pytest.skip(f"needs {library} {PINNED[library]}")
    home = Path(importlib.import_module(library).__file__ or "").parent

    def words(text):
        return " ".join(re.findall(r"\w+", re.sub(r"\]\(https?://[^)]*\)", "", text))).lower()

    whole = " ".join(words(p.read_text("utf-8")) for p in sorted(home.rglob("*.py")) if near(p))
    for cause in causes.causes():
        if cause.library != library:
            continue
        for quoted in re.findall("“([^”]*)”", cause.quote):
            assert words(quoted) in whole, cause.name
        name, line = cause.place.split(":")
        lines = (home.parent / name).read_text("utf-8").splitlines()
        assert lines[int(line) - 1].strip(), cause.name


def near(path):
    return "schedulers" in path.parts or "azula" in path.parts


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
@pytest.mark.filterwarnings("ignore::Warning")  # of the libraries, about their own future
def test_reproductions_are_short_and_show_the_defect(script, capsys):
    text = script.read_text("utf-8")
    assert len(text.splitlines()) <= 25
    library = next(k for k in ("diffusers", "azula", "torchsde", "k_diffusion") if k in text)
    pytest.importorskip(library)
    lines = [
        line.split()[1] for line in text.splitlines() if line.startswith(("import ", "from "))
    ]
    assert {line.split(".")[0] for line in lines} <= {"math", "numpy", "torch", library}
    runpy.run_path(str(script), run_name="__main__")
    assert "DEFECT" in capsys.readouterr().out


# --- the whole ------------------------------------------------------------------------------------


def test_a_small_board_is_written_and_taken_up_again(tmp_path):
    pytest.importorskip("diffusers")
    targets = [
        "diffusers:DDIMScheduler",
        "diffusers:FlowMatchEulerDiscreteScheduler?shift=3.0",
        "diffusers:KDPM2DiscreteScheduler?prediction_type=sample",
    ]
    seen = []

    def progress(done, whole, one):
        seen.append(one["target"])

    board = run_scoreboard(tmp_path, jobs=1, targets=targets, progress=progress)
    assert [r["status"] for r in board["rows"]] == ["sound", "accused", "refused"]
    assert [d["name"] for d in board["defects"]] == ["flow-match-shift-twice"]
    assert sorted(seen) == sorted(targets)
    stored = json.loads((tmp_path / "scoreboard.json").read_text("utf-8"))
    assert stored["rows"] == board["rows"]
    again = run_scoreboard(tmp_path, jobs=1, targets=targets, resume=True, progress=progress)
    assert again["rows"] == board["rows"]
    assert len(seen) == len(targets)  # nothing was measured twice
    page = (tmp_path / "scoreboard.html").read_text("utf-8")
    assert "shift=3.0" in page
    assert "http://" not in page


def test_names_are_escaped_on_the_page():
    made = row(target="diffusers:<b>&", name="<b>")
    provenance = {
        "releases": {"diffusers": "1"},
        "packages": {},
        "machine": {},
        "version": "0",
        "python": "3",
        "started": "",
        "seconds": 1.0,
    }
    page = render({"provenance": provenance, **judged([made])})
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;" in page


def test_numbers_that_are_not_finite_are_strings():
    assert plain({"a": [float("nan"), float("inf"), 1.0]}) == {"a": ["nan", "inf", 1.0]}
