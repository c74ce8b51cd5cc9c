"""The page on samples: its example runs as printed, and it has a row for every sampler of the bank."""

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


def test_the_table_names_what_the_bank_holds() -> None:
    """Builders are named in the sources; making them all would take long."""
    rows = [line.split("|")[1].strip() for line in _between("bank").splitlines() if "|" in line]
    names = rows[2:]  # below the head
    assert len(names) == len(set(names)) == 96
    sources = "".join(p.read_text() for p in (ROOT / "benchmarks" / "bank").glob("*.py"))
    # names are written out, or made of a stem and numbers
    stems = [re.sub(r"^exact_", "", re.match(r"[a-z_]*[a-z]", name)[0]) for name in names]
    assert [s for s in stems if s.split("_random")[0] not in sources] == []


def test_commands_of_the_page_exist() -> None:
    commands = re.findall(r"python (benchmarks/\w+\.py)", PAGE)
    assert len(set(commands)) == 4
    assert all((ROOT / c).exists() for c in commands)
