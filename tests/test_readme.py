"""The README's examples run as printed, and its figure is the one that its command makes."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.S)


def run(code: str, names: dict[str, object], capsys: pytest.CaptureFixture[str]) -> str:
    exec(compile(code, "README.md", "exec"), names)
    return capsys.readouterr().out


def test_the_examples_run_and_print_what_they_say(capsys):
    names: dict[str, object] = {}
    outputs = [run(block, names, capsys) for block in BLOCKS]
    assert len(outputs) == 4
    for block, shown in zip(BLOCKS, outputs, strict=True):
        promised = re.findall(r"# (SUPPORTED|REFUTED)$", block, flags=re.M)
        assert [line for line in shown.split() if line in ("SUPPORTED", "REFUTED")][
            : len(promised)
        ] == promised or not promised
    assert "law" in outputs[1]
    # Digits that cancel depend on the machine.
    printed = re.findall(r"```text\n(.*?)```", README, flags=re.S)
    noise = re.compile(r"-?[\d.]+e-\d+")
    assert noise.sub("#", outputs[3]) == noise.sub("#", printed[0])
    assert all(len(line) <= 80 for line in outputs[3].splitlines())


def test_each_example_is_about_ten_lines():
    assert all(len([line for line in b.splitlines() if line.strip()]) <= 12 for b in BLOCKS)


def test_the_reading_order_names_files_that_exist():
    files = re.findall(r"^\d\. `([^`]+)`", README, flags=re.M)
    assert len(files) == 8
    assert [f for f in files if not (ROOT / f).exists()] == []


def test_the_picture_is_the_one_that_its_command_makes(tmp_path):
    spec = importlib.util.spec_from_file_location("picture", ROOT / "examples" / "picture.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(str(tmp_path / "picture.svg"))
    made, kept = (
        (tmp_path / "picture.svg").read_text(),
        (ROOT / "docs" / "picture.svg").read_text(),
    )
    # Coordinates may differ in a last printed digit between versions of the plotting library.
    assert abs(len(made) - len(kept)) < 0.05 * len(kept)
    assert "make picture" in README
