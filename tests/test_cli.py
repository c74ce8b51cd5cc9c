"""The command line as a user meets it: output, exit status, interruption, one-line refusals."""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scoreproof.validation import claims as ledger
from scoreproof.validation.cli import main
from scoreproof.validation.cli_ledger import short
from scoreproof.validation.verdict import Report

# A program like the console script, with a small ledger of its own. The claim that waits goes on
# when a file appears, so that a test decides when it ends.
PROGRAM = r"""
import os, sys, time
from scoreproof.validation import claims
from scoreproof.validation.claim import Claim
from scoreproof.validation.evidence import interval

def check(value, allowed=1.0, action=None):
    def run(ctx):
        if action is not None:
            action()
        return interval("c", "confidence", value + 1e-3 * ctx.rng.random(), .1, (-allowed, allowed))
    return run

def claim(id, value=0.0, allowed=1.0, action=None, **parts):
    return Claim(id, r"The mean $\mu_{\nabla}$ of %s is at most one, in words that take up rather more "
                 "than a line of a terminal" % id,
                 checks={"c": check(value, allowed, action)}, mutants={"c": [check(9.0)]}, **parts)

def wait():
    with open("pid", "w") as stream:
        stream.write(str(os.getpid()))
    while not os.path.exists("go"):
        time.sleep(.01)

def fail():
    print("this must not reach standard output")
    raise RuntimeError("no such luck")

claims.CLAIMS = {c.id: c for c in (
    claim("C1", group="laws"),
    claim("C2", 5.0, group="ledger", role="printed", correction=claim("C2.corrected")),
    claim("C3", action=wait, group="digits"),
    claim("C4", allowed=.05),
    claim("C5", 5.0),
    claim("C6", action=fail),
    claim("C7"),
)}
from scoreproof.validation.cli import main
if __name__ == "__main__":
    main()
"""
ENVIRONMENT = {**os.environ, "COLUMNS": "80", "PYTHONPATH": ""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def _listen() -> None:
    """A shell that runs its jobs in the background hands down that Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "program.py", *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_listen,
    )


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    process = start(folder, *arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.fixture
def call(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """The same as :func:`run` without a process of its own for the parent."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(ledger, "CLAIMS", ledger.CLAIMS)  # put back at the end
    runpy.run_path("program.py", run_name="program")

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(list(arguments))
        assert isinstance(caught.value.code, int)
        written = capfd.readouterr()
        return caught.value.code, written.out, written.err

    return call


Call = Callable[..., tuple[int, str, str]]


def wait_for(path: Path) -> None:
    while not (path.exists() and path.read_text()):
        time.sleep(0.01)


def gone(pid: int) -> bool:
    for _ in range(500):
        try:
            with open(f"/proc/{pid}/stat") as stream:
                if stream.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


def timeless(text: str) -> Any:
    def strip(data: Any) -> Any:
        if isinstance(data, dict):
            return {k: strip(v) for k, v in data.items() if k not in ("seconds", "started")}
        return [strip(v) for v in data] if isinstance(data, list) else data

    return strip(json.loads(text))


def journal(folder: Path) -> list[str]:
    """Ids of the verdicts in the journal."""
    text = (folder / "scoreproof-report" / "journal.jsonl").read_text()
    whole = text[: text.rfind("\n") + 1].splitlines()
    return [json.loads(line)["verdict"]["claim"] for line in whole[1:]]


@pytest.mark.parametrize(
    "code",
    [
        "import scoreproof.validation.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass",
        "import scoreproof.validation.cli as c\ntry: c.main([])\nexcept SystemExit: pass",
        "import scoreproof.validation.runner, scoreproof.validation.isolation",
    ],
)
def test_help_imports_nothing_heavy(code: str) -> None:
    heavy = ("torch", "sympy", "matplotlib", "scipy.stats", "sklearn", "diffusers")
    code += f"\nimport sys\nprint('heavy:', [m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.endswith("heavy: []\n"), done.stdout + done.stderr


def test_alone_it_says_what_to_do() -> None:
    for arguments in ([], ["--help"]):
        done = subprocess.run(
            [sys.executable, "-m", "scoreproof.validation", *arguments],
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
        )
        assert done.returncode == 0
        for command in ("validate", "claims", "report"):
            assert f"scoreproof {command}" in done.stdout


@pytest.mark.parametrize(
    ("names", "status"),
    [
        (["C1"], 0),
        (["C2"], 0),  # a printed sentence is refuted, and its correction holds
        (["C1", "C4"], 3),
        (["C4", "C5"], 1),
        (["C5", "C6"], 4),
        (["ledger,C7"], 0),
    ],
)
def test_exit_status(folder: Path, call: Call, names: list[str], status: int) -> None:
    found, out, err = call("validate", "--only", *names, "--jobs", "1")
    assert found == status, err
    report = Report.from_json((folder / "scoreproof-report" / "report.json").read_text())
    assert report.exit_status == status
    assert str(report) in out
    assert out.endswith(f"page: {Path('scoreproof-report') / 'index.html'}\n")
    assert (folder / "scoreproof-report" / "index.html").exists()
    assert f"[{len(report.verdicts)}/{len(report.verdicts)}] {report.verdicts[-1].claim}" in err
    assert "\x1b" not in out + err


def test_json_is_all_that_stands_on_standard_output(folder: Path) -> None:
    status, out, _ = run(folder, "validate", "--only", "C1", "--only", "C6", "--json")
    assert status == 4
    assert Report.from_json(out).to_json() + "\n" == out
    assert out == (folder / "scoreproof-report" / "report.json").read_text() + "\n"


def test_same_report_with_one_job_and_with_two(call: Call) -> None:
    arguments = ("validate", "--only", "C1", "C2", "C4", "C5", "C6", "--json")
    _, one, _ = call(*arguments, "--jobs", "1")
    _, two, _ = call(*arguments, "--jobs", "2", "--out", "other")
    assert timeless(one) == timeless(two)
    _, other, _ = call(*arguments, "--seed", "1")
    assert timeless(one) != timeless(other)


def test_time_limit(folder: Path, call: Call) -> None:
    status, out, _ = call("validate", "--only", "C3", "C7", "--timeout", "0.5", "--json")
    assert status == 4
    first, second = Report.from_json(out).verdicts
    assert first.evidence[0].message.startswith("time limit of 0.5 s exceeded")
    assert second.outcome == "SUPPORTED"
    assert gone(int((folder / "pid").read_text()))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_run_goes_on(folder: Path, call: Call, how: signal.Signals) -> None:
    names = ("validate", "--only", "C1", "C2", "C3", "C7", "--jobs", "1")
    process = start(folder, *names)
    assert process.stderr is not None
    while "] C2" not in process.stderr.readline():
        pass  # the third claim may start before the second is written down
    wait_for(folder / "pid")
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    assert journal(folder) == ["C1", "C2"]
    assert gone(int((folder / "pid").read_text()))
    if how == signal.SIGINT:
        assert process.returncode == 130
        told = "go on with: scoreproof validate --only C1 C2 C3 C7 --jobs 1 --resume"
        assert told in err.splitlines()[-1]
        assert "2 of 4 verdicts" in err.splitlines()[-1]
        assert "Traceback" not in out + err
    (folder / "go").touch()
    status, again, err = call(*names, "--resume", "--json")
    assert status == 0
    assert "resumed: 2 of 4" in err
    assert "] C1" not in err
    assert "] C3" in err
    whole = call(*names, "--out", "whole", "--json")[1]
    assert timeless(again) == timeless(whole)


def test_second_run_in_the_same_folder_is_refused(folder: Path) -> None:
    process = start(folder, "validate", "--only", "C3")
    try:
        wait_for(folder / "pid")
        status, _, err = run(folder, "validate", "--only", "C1")
        assert status == 2
        assert "which another run is writing" in err
    finally:
        (folder / "go").touch()
        process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["validate", "--only", "c1"], "only: got 'c1'"),
        (["validate", "--only", "C1", "--profile", "fast"], "profile: got 'fast'"),
        (["validate", "--only", "C1", "--seed", "-1"], "seed: got -1"),
        (["validate", "--only", "C1", "--seed", "x"], "seed: got 'x', wanted an integer"),
        (["validate", "--only", "C1", "--jobs", "0"], "jobs: got 0"),
        (["validate", "--only", "C1", "--timeout", "soon"], "timeout: got 'soon'"),
        (["validate", "--only", "C1", "--timeout", "-1"], "timeout: got -1"),
        (["validate", "--only", "C1", "--out", "program.py"], "out: got 'program.py'"),
        (["validate", "--only", "C1", "--out", "/dev/null/x"], "out: got '/dev/null/x'"),
        (["validate", "--only", ","], "only: got an empty name"),
        (["validate", "C1"], "write --only C1"),
        (["validate", "--fast"], "--fast"),
        (["falsify"], "'falsify'"),
        (["report"], "see --help"),
        (["report", "missing.json"], "report: got 'missing.json'"),
        (["report", "program.py"], "'program.py'"),
    ],
)
def test_usage_errors_are_one_line(call: Call, arguments: list[str], words: str) -> None:
    status, out, err = call(*arguments)
    assert status == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")
    assert words in err


def test_resume_with_other_options_is_refused(call: Call) -> None:
    assert call("validate", "--only", "C1")[0] == 0
    status, _, err = call("validate", "--only", "C1", "--seed", "5", "--resume")
    assert status == 2
    assert "a journal with seed 0, wanted seed 5" in err


def test_ledger_with_outcomes(call: Call) -> None:
    status, before, _ = call("claims")
    assert status == 0
    assert "no report in scoreproof-report" in before
    call("validate", "--only", "C1", "C2")
    _, out, _ = call("claims")
    lines = out.splitlines()
    assert max(len(line) for line in lines) <= 80
    rows = {line.split()[0]: line.split()[1] for line in lines if line.startswith("C")}
    assert rows == {
        "C1": "SUPPORTED",
        "C2": "REFUTED",
        **dict.fromkeys(["C3", "C4", "C5", "C6", "C7"], "-"),
    }
    assert "The mean μ_∇ of C1" in out
    listed = json.loads(call("claims", "--json")[1])["claims"]
    assert [(c["claim"], c["outcome"]) for c in listed[:3]] == [
        ("C1", "SUPPORTED"),
        ("C2", "REFUTED"),
        ("C3", None),
    ]


def test_report_is_made_again(folder: Path, call: Call) -> None:
    call("validate", "--only", "C1", "C2")
    stored = folder / "scoreproof-report"
    (stored / "index.html").rename(folder / "first.html")
    status, out, _ = call("report", "scoreproof-report/report.json")
    assert status == 0
    assert "page: scoreproof-report/index.html" in out
    assert (stored / "index.html").read_bytes() == (folder / "first.html").read_bytes()
    status, out, _ = call("report", "scoreproof-report", "--out", "copy", "--json")
    assert status == 0
    assert out == (folder / "copy" / "report.json").read_text() + "\n"
    edited = (stored / "report.json").read_text().replace('"REFUTED"', '"SUPPORTED"')
    (folder / "edited.json").write_text(edited)
    status, _, err = call("report", "edited.json")
    assert status == 2
    assert "edited by hand" in err


def test_modules_of_the_working_directory_are_found(folder: Path, call: Call) -> None:
    assert call("claims")[0] == 0
    assert sys.path[0] == str(folder)


def test_closed_pipe_is_no_traceback(folder: Path) -> None:
    line = f"{sys.executable} program.py claims | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        (r"$\nabla_x \log p$ of $\Sigma$", "∇_x log p of Σ"),
        (r"$\frac{1}{2}\,\mathbb{E}\left[\sigma^2\right] \le 1$", "1/2 E[σ^2] ≤ 1"),
        (r"$\tfrac12 \varepsilon$, $\dfrac{a}b$ and $\frac{\sqrt{a}}{b}$", "1/2 ε, a/b and √a/b"),
        (r"$q(\tilde x \mid x_0)$, $\nabla E$", "q(x̃ | x_0), ∇E"),
        (r"$\lambda_i = \frac{1}{2\sigma_i^2}$, $p\,dt$", "λ_i = 1/(2σ_i^2), p dt"),
        (r"$-\varepsilon/\sqrt{1 - \bar\alpha_t}$", "-ε/√(1 - ᾱ_t)"),
    ],
)
def test_statement_on_one_line(statement: str, line: str) -> None:
    assert short(statement) == line


def test_bar_on_a_terminal(folder: Path) -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "program.py", "validate", "--only", "C1", "C7"],
        cwd=folder,
        env={**ENVIRONMENT, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    drawn = b""
    while True:
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # how Linux says that the other end of a terminal was closed
            break
        if not chunk:
            break
        drawn += chunk
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    assert b"\x1b[" in drawn
    assert b"2/2" in drawn
    assert b"C7" in drawn
    assert "\x1b" not in out
