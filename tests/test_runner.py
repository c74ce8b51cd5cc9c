"""Runs of claims: selection, budgets, the same verdicts everywhere, limits, and resumption."""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scoreproof.validation import claims as ledger
from scoreproof.validation import isolation
from scoreproof.validation.claim import Claim, Context
from scoreproof.validation.evidence import Evidence, Outcome, interval
from scoreproof.validation.plan import plan, select
from scoreproof.validation.runner import Progress, run_claims
from scoreproof.validation.verdict import Report

# Means of 1,000 uniforms: off 1/2 by more than RADIUS with probability 2 exp(-2 n r^2) (Hoeffding),
# which is 4e-35 at r = .2.
N, RADIUS = 1000, 0.2


def mean(shift: float, *, allowed: float = 0.3) -> Callable[[Context], Evidence]:
    def check(ctx: Context) -> Evidence:
        value = float(ctx.rng.random(N).mean()) - 0.5 + shift
        return interval("m", "confidence", value, RADIUS, (-allowed, allowed), n=N, seed=ctx.seed)

    return check


def claim(id: str, shift: float = 0.0, *, allowed: float = 0.3, **parts: Any) -> Claim:
    return Claim(
        id,
        rf"The mean is $\mu = {shift}$",
        checks={"mean": mean(shift, allowed=allowed)},
        mutants={"mean": [mean(9.0)]},
        **parts,
    )


def misbehaving(id: str, action: Callable[[], object]) -> Claim:
    def check(ctx: Context) -> Evidence:
        action()
        return mean(0.0)(ctx)

    return Claim(id, "User code misbehaves", checks={"c": check}, mutants={"c": [mean(9.0)]})


def hang() -> None:
    time.sleep(1000)


def fail() -> None:
    raise RuntimeError("no such luck")


def four() -> list[Claim]:
    correction = claim("F2.corrected")
    return [
        claim("F1", group="laws"),
        claim("F2", 4.0, role="printed", correction=correction, group="ledger"),
        claim("F3.mean", allowed=0.1, group="laws"),
        claim("F4", math.nan, group="digits"),
    ]


def timeless(report: Report) -> str:
    """The JSON of a report without its times."""

    def strip(data: Any) -> Any:
        if isinstance(data, dict):
            times = ("seconds", "started")
            return {k: strip(v) for k, v in data.items() if k not in times}
        return [strip(v) for v in data] if isinstance(data, list) else data

    return json.dumps(strip(json.loads(report.to_json())))


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> dict[str, Claim]:
    claims = {c.id: c for c in four()}
    monkeypatch.setattr(ledger, "CLAIMS", claims)
    return claims


def test_four_outcomes(book: dict[str, Claim]) -> None:
    report = run_claims()
    assert [v.outcome for v in report.verdicts] == ["SUPPORTED", "REFUTED", "UNDECIDED", "ERROR"]
    correction = report.find("F2")[0].correction
    assert correction is not None and correction.outcome is Outcome.SUPPORTED
    assert report.exit_status == 4
    assert set(report.provenance) == {
        "version",
        "python",
        "packages",
        "machine",
        "seed",
        "started",
        "seconds",
    }
    assert set(report.provenance["machine"]) == {"processor", "cores", "system"}
    assert Report.from_json(report.to_json()).to_json() == report.to_json()


@pytest.mark.parametrize(
    ("only", "ids"),
    [
        (None, ["F1", "F2", "F3.mean", "F4"]),
        ("F2", ["F2"]),
        (["F4", "F1", "F4"], ["F1", "F4"]),
        ("laws", ["F1", "F3.mean"]),
        (["digits", "F1"], ["F1", "F4"]),
        ("F3", ["F3.mean"]),
    ],
)
def test_selection(book: dict[str, Claim], only: Any, ids: list[str]) -> None:
    assert [c.id for c in select(only, book)] == ids


def test_selection_of_objects(book: dict[str, Claim]) -> None:
    own = claim("own")
    assert select([own, "F1"], book) == [book["F1"], own]
    other = claim("F1")
    assert select([other, "F2"], book) == [other, book["F2"]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"only": "f2"}, "did you mean F2"),
        ({"only": "legder"}, "did you mean ledger"),
        ({"only": "zzzzzz"}, "scoreproof claims"),
        ({"only": "network"}, "holds no claim"),
        ({"only": []}, "no claim"),
        ({"only": 3}, "only: got int"),
        ({"only": [3]}, "only: got 3"),
        ({"only": [claim("own"), claim("own")]}, "two claims with id 'own'"),
        ({"profile": "fast"}, "quick, standard, deep"),
        ({"seed": -1}, "seed: got -1"),
        ({"seed": 0.5}, "seed: got 0.5"),
        ({"false_alarm": 0.0}, "false_alarm: got 0.0"),
        ({"timeout": 0}, "timeout: got 0"),
        ({"timeout": math.nan}, "timeout: got nan"),
        ({"jobs": 0}, "jobs: got 0"),
        ({"resume": True}, "pass out"),
        ({"executor": 5}, "executor: got int"),
        ({"out": "/dev/null/report"}, "out: got '/dev/null/report'"),
    ],
)
def test_bad_input_is_one_line(
    book: dict[str, Claim], arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match="wanted") as caught:
        run_claims(**arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_budget_is_split_over_all_pieces(book: dict[str, Claim]) -> None:
    jobs = plan(
        book.values(),
        book,
        by_id=False,
        profile="quick",
        seed=0,
        false_alarm=1e-3,
        timeout=None,
    )
    # 2 + (2 + 2 of its correction) + 2 + 2 pieces; sums of four terms are off by at most 4 roundings.
    np.testing.assert_allclose([j.level for j in jobs], [2e-4, 4e-4, 2e-4, 2e-4], rtol=1e-15)
    assert abs(sum(j.level for j in jobs) - 1e-3) <= 4 * np.finfo(float).eps * 1e-3


def threads() -> Executor:
    return ThreadPoolExecutor(3)


def processes() -> Executor:
    return ProcessPoolExecutor(2, mp_context=get_context("spawn"))


def test_same_report_in_workers(book: dict[str, Claim]) -> None:
    here = timeless(run_claims(seed=3))
    assert timeless(run_claims(seed=3, jobs=1)) == here
    assert timeless(run_claims(["F4", "F3", "F2", "F1"], seed=3, jobs=2)) == here
    assert timeless(run_claims(seed=4)) != here


def test_no_more_workers_than_claims(
    book: dict[str, Claim], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Counting(isolation.Pool):
        def __init__(self, jobs: int, **limits: Any) -> None:
            asked.append(jobs)
            super().__init__(min(jobs, 4), **limits)

    monkeypatch.setattr(isolation, "Pool", Counting)
    run_claims(["F1", "F2"], jobs=100_000_000)
    assert asked == [2]


@pytest.mark.parametrize("make", [threads, processes])
def test_same_report_on_executors(book: dict[str, Claim], make: Callable[[], Executor]) -> None:
    with make() as executor:
        assert timeless(run_claims(executor=executor)) == timeless(run_claims())
        assert timeless(run_claims(executor=executor, timeout=60)) == timeless(run_claims())


def test_a_claim_does_not_depend_on_its_company(book: dict[str, Claim]) -> None:
    together, alone = run_claims().find("F1")[0], run_claims("F1").find("F1")[0]
    assert together.evidence[0].measured == alone.evidence[0].measured


def test_user_code_that_misbehaves_is_an_error_and_the_rest_goes_on() -> None:
    bad = [
        misbehaving("raises", fail),
        misbehaving("exits", lambda: sys.exit(1)),
        misbehaving("hangs", hang),
        misbehaving("dies", lambda: os._exit(3)),
    ]
    report = run_claims([*bad, claim("fine")], jobs=2, timeout=1.0)
    said = {v.claim: (v.outcome.value, v.evidence[0].message) for v in report.verdicts}
    assert said.pop("fine") == ("SUPPORTED", "")
    assert {outcome for outcome, _ in said.values()} == {"ERROR"}
    assert said["raises"][1] == "RuntimeError: no such luck"
    assert said["exits"][1] == "SystemExit: 1"
    assert said["hangs"][1].startswith("time limit of 1 s")
    assert "exit status 3" in said["dies"][1]
    assert report.exit_status == 4


@pytest.mark.skipif(sys.platform != "linux", reason="address space is capped on Linux")
@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="no cap beside a CUDA device")
def test_huge_allocation_is_an_error() -> None:
    greedy = misbehaving("greedy", lambda: np.ones(1 << 40))
    report = run_claims([greedy, claim("fine")], memory=1 << 30)
    assert [v.outcome for v in report.verdicts] == ["ERROR", "SUPPORTED"]
    assert "MemoryError" in report.verdicts[0].evidence[0].message


def test_finding_that_raises_is_an_error() -> None:
    report = run_claims(claim("own", finding=lambda evidence: evidence["absent"].message))
    verdict = report.verdicts[0]
    assert verdict.outcome is Outcome.ERROR
    assert verdict.evidence[0].outcome is Outcome.SUPPORTED, "what was measured is kept"
    assert verdict.evidence[-1].message == "KeyError: 'absent'"


def test_arrays_in_pictures_become_lists() -> None:
    def figure(ctx: Context) -> dict[str, Any]:
        return {"kind": "lines", "y": np.array([1.0, math.inf]), "n": np.int64(3)}

    verdict = run_claims(claim("own", figure=figure)).verdicts[0]
    assert verdict.figure == {"kind": "lines", "y": [1.0, "inf"], "n": 3}


def test_what_cannot_be_pickled_runs_here_and_says_so() -> None:
    lock = threading.Lock()
    held = misbehaving("held", lock.locked)
    report = run_claims([held, claim("fine")], jobs=2)
    assert [v.outcome for v in report.verdicts] == ["SUPPORTED", "SUPPORTED"]
    assert "ran in process" in report.verdicts[0].assumptions[-1]
    assert not report.verdicts[1].assumptions


def test_broken_executor_is_an_error_of_its_tasks() -> None:
    dies = misbehaving("dies", lambda: os._exit(3))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        report = run_claims(dies, executor=executor)
    assert "BrokenProcessPool" in report.verdicts[0].evidence[0].message


def test_caller_keeps_its_threads_and_random_state(book: dict[str, Claim]) -> None:
    from threadpoolctl import threadpool_info

    def state() -> tuple[list[int], str]:
        legacy = np.random.get_state()  # noqa: NPY002
        return [library["num_threads"] for library in threadpool_info()], repr(legacy)

    before = state()
    run_claims()
    with ThreadPoolExecutor(3) as executor:
        run_claims(executor=executor)
    assert state() == before


def test_progress(book: dict[str, Claim]) -> None:
    seen: list[Progress] = []
    run_claims(progress=seen.append)
    assert (seen[0].done, seen[0].total, seen[0].verdict) == (0, 4, None)
    finished = [p.verdict.claim for p in seen if p.verdict is not None]
    assert finished == ["F1", "F2", "F3.mean", "F4"]
    assert [p.done for p in seen if p.verdict is not None] == [1, 2, 3, 4]
    assert {p.running for p in seen if p.running} == {("F1",), ("F2",), ("F3.mean",), ("F4",)}


class Stop:
    """Ctrl-C after some verdicts."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, progress: Progress) -> None:
        self.left -= progress.verdict is not None
        if progress.verdict is not None and not self.left:
            raise KeyboardInterrupt


@pytest.mark.parametrize("jobs", [None, 2])
def test_interrupted_run_goes_on(book: dict[str, Claim], tmp_path: Path, jobs: int | None) -> None:
    with pytest.raises(KeyboardInterrupt, match=r"2 of 4 claims; .*resume=True"):
        run_claims(out=tmp_path, progress=Stop(2), jobs=jobs)
    assert len((tmp_path / "journal.jsonl").read_text().splitlines()) == 3
    seen: list[Progress] = []
    report = run_claims(out=tmp_path, resume=True, progress=seen.append)
    assert (seen[0].done, seen[0].resumed) == (2, 2)
    assert len([p for p in seen if p.verdict is not None]) == 2
    assert timeless(report) == timeless(run_claims())
    assert (tmp_path / "report.json").read_text() == report.to_json()


def test_torn_line_is_dropped(book: dict[str, Claim], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_claims(out=tmp_path, progress=Stop(2))
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-9])
    seen: list[Progress] = []
    report = run_claims(out=tmp_path, resume=True, progress=seen.append)
    assert seen[0].resumed == 1
    assert timeless(report) == timeless(run_claims())
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_edited_verdict_is_decided_again(book: dict[str, Claim], tmp_path: Path) -> None:
    run_claims(out=tmp_path)
    journal = tmp_path / "journal.jsonl"
    edited = journal.read_text().replace(
        '"outcome": "REFUTED", "exact', '"outcome": "SUPPORTED", "exact'
    )
    assert edited != journal.read_text()
    journal.write_text(edited)
    assert timeless(run_claims(out=tmp_path, resume=True)) == timeless(run_claims())


def test_resume_of_nothing_runs_everything(book: dict[str, Claim], tmp_path: Path) -> None:
    report = run_claims(out=tmp_path / "new" / "folder", resume=True)
    assert len(report.verdicts) == 4


def test_without_resume_the_journal_starts_anew(book: dict[str, Claim], tmp_path: Path) -> None:
    run_claims(out=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_claims("laws", out=tmp_path, progress=Stop(1))
    assert len((tmp_path / "journal.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"seed": 1}, "a journal with seed 0, wanted seed 1; set seed"),
        ({"profile": "quick"}, "profile 'standard'"),
        ({"false_alarm": 1e-3}, "false_alarm 1e-06"),
        ({"only": "laws"}, "a journal of 4 claims, wanted one of the same 2 claims"),
    ],
)
def test_journal_of_another_run_is_refused(
    book: dict[str, Claim], tmp_path: Path, other: dict[str, Any], words: str
) -> None:
    run_claims(out=tmp_path)
    before = (tmp_path / "journal.jsonl").read_bytes()
    with pytest.raises(ValueError, match="resume: got") as caught:
        run_claims(out=tmp_path, resume=True, **other)
    assert words in str(caught.value)
    assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_claims_cut_by_a_limit_are_tried_again(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    slow = misbehaving("slow", lambda: None if ready.exists() else time.sleep(1000))
    claims = [claim("fine"), slow]
    report = run_claims(claims, out=tmp_path / "out", timeout=0.5)
    assert report.find("slow")[0].outcome is Outcome.ERROR
    ready.touch()
    report = run_claims(claims, out=tmp_path / "out", timeout=0.5, resume=True)
    assert [v.outcome for v in report.verdicts] == ["SUPPORTED", "SUPPORTED"]


def test_two_runs_do_not_share_a_folder(book: dict[str, Claim], tmp_path: Path) -> None:
    def again(progress: Progress) -> None:
        with pytest.raises(ValueError, match="which another run is writing"):
            run_claims("F1", out=tmp_path)

    assert len(run_claims("F2", out=tmp_path, progress=again).verdicts) == 1
    run_claims("F1", out=tmp_path)


def test_deadline_is_before_the_limit() -> None:
    left: list[float] = []

    def check(ctx: Context) -> Evidence:
        assert ctx.deadline is not None
        left.append(ctx.deadline - time.monotonic())
        return mean(left[-1] if 0 < left[-1] < 60 else 9.0, allowed=1e3)(ctx)

    own = Claim("own", "A deadline", checks={"c": check}, mutants={"c": [mean(1e6)]})
    verdict = run_claims(own, timeout=60).verdicts[0]
    assert verdict.evidence[0].outcome is Outcome.SUPPORTED
    assert not left  # it ran elsewhere


def test_ledger_loads_its_sections_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import ModuleType

    first, second = ModuleType("first_section"), ModuleType("second_section")
    vars(first)["CLAIMS"] = (claim("B1"), claim("B2"))
    vars(second)["CLAIMS"] = (claim("A1"),)
    monkeypatch.setitem(sys.modules, "first_section", first)
    monkeypatch.setitem(sys.modules, "second_section", second)
    assert list(ledger.Ledger(("first_section", "second_section"))) == ["B1", "B2", "A1"]
    with pytest.raises(ValueError, match="'B1' a second time"):
        len(ledger.Ledger(("first_section", "first_section")))
    with pytest.raises(KeyError, match="claim: got 'B3', wanted the id of a claim; "):
        ledger.Ledger(("first_section",))["B3"]


def test_claims_of_the_ledger_go_by_id() -> None:
    own = claim("own")
    arguments: dict[str, Any] = dict(profile="quick", seed=0, false_alarm=0.1, timeout=None)
    jobs = plan([own], {"own": own}, by_id=True, **arguments)
    assert jobs[0].claim is None
    assert plan([claim("own")], {"own": own}, by_id=True, **arguments)[0].claim is not None
    assert replace(jobs[0], claim=own) == plan([own], {}, by_id=True, **arguments)[0]
