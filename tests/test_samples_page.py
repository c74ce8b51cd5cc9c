"""The page on samples: its example runs as printed, and what it says was measured comes from commands that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "samples.md").read_text(encoding="utf-8")


def _between(name: str) -> str:
    return PAGE.split(f"<!-- {name} -->")[1].split(f"<!-- end of {name} -->")[0]


def test_the_example_runs_and_prints_what_it_says(capsys) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
    exec(compile(block, "samples.md", "exec"), {})
    (promised,) = re.findall(r"# (SUPPORTED False)$", block, flags=re.M)
    assert capsys.readouterr().out.split() == promised.split()


def test_what_was_measured_is_in_its_place() -> None:
    rows = [line.split("|")[1].strip() for line in _between("bank").splitlines() if "|" in line]
    assert len(rows) == len(set(rows)) > 95
    refuted = {
        line.split("|")[1].strip(): line
        for line in _between("bank").splitlines()[2:]
        if "|" in line
    }
    fine = [line for line in refuted.values() if "| none |" in line]
    assert len(fine) > 20
    assert all("| 0 of 20 |" in line for line in fine)
    assert "correct samplers, " in _between("baselines")
    assert "TOO MANY" not in _between("alarms")
    assert "not supported" not in _between("problems")


def test_commands_of_the_page_exist() -> None:
    commands = set(re.findall(r"python (benchmarks/\w+\.py)", PAGE))
    assert len(commands) == 5
    assert [c for c in commands if not (ROOT / c).exists()] == []
