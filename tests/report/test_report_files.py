"""Reports on disk, in the terminal and for build servers."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from scoreproof.validation.evidence import Evidence, Outcome, interval
from scoreproof.validation.report import load, render, save, summary
from scoreproof.validation.report.junit import junit
from scoreproof.validation.report.text import columns
from scoreproof.validation.verdict import NotChecked, Report, Verdict


def test_saved_report_comes_back(report, tmp_path):
    out = save(report, tmp_path / "a" / "b")
    names = ["index.html", "junit.xml", "ledger.html", "report.json"]
    assert sorted(p.name for p in out.iterdir()) == names
    again = load(out)
    assert again.to_json() == report.to_json()
    assert render(again) == render(report)
    assert load(out / "report.json").outcome is report.outcome
    assert str(again) == summary(report)


def test_summary_fits_a_terminal(report):
    wide = replace(report.verdicts[0], claim="得分匹配" * 30, subject={"problem": "x" * 200})
    table = summary(report.with_verdicts((*report.verdicts, wide)))
    lines = table.splitlines()
    assert max(map(columns, lines)) <= 80
    rows = [
        r for r in lines if re.search(r"SUPPORTED|REFUTED|UNDECIDED|ERROR", r) and r[:4].strip()
    ]
    assert len(rows) == 7 + 2 + 1  # verdicts, corrections, the closing line
    assert any(r.startswith("  corrected") and "SUPPORTED" in r for r in rows)
    assert "not checked (4)" in table and "order (x2), consistent (x2)" in table
    assert "false-alarm rate 1e-06, 41.7 s" in lines[-1]


def sizes(**ends) -> tuple[Evidence, ...]:
    return tuple(
        interval(name, "confidence", value, radius, (0, 0.05), level=1e-8, n=100)
        for name, (value, radius) in ends.items()
    )


def laws(*subjects, evidence: tuple[Evidence, ...]) -> list[str]:
    verdicts = tuple(Verdict(claim="law", subject=s, evidence=evidence) for s in subjects)
    return summary(Report(verdicts=verdicts)).splitlines()[2:]


def test_a_row_shows_the_size_that_is_nearest_to_its_tolerance():
    first, *_ = laws({}, evidence=sizes(weights=(0.002, 0.002), variance=(0.04, 0.009)))
    assert first.split()[3:] == ["confidence", "0.04", "<=", "0.05", "(variance)"]


def test_the_kind_in_a_row_is_that_of_its_number():
    exact = interval("repeats", "exact", 0, 0, (0, 0.05))
    first, *_ = laws({}, evidence=(exact, *sizes(variance=(0.09, 0.009))))
    assert first.split()[2:5] == ["REFUTED", "confidence", "0.09"]


def test_names_hold_what_tells_verdicts_apart_and_no_more():
    seen = [{"target": "ddim", "steps": k, "evaluations": 2 * k} for k in (16, 64)]
    names = [
        row[:26].split(" required")[0].strip() for row in laws(*seen, evidence=sizes(a=(0, 0)))
    ]
    assert names[:2] == ["law (steps 16)", "law (steps 64)"]


def test_an_error_is_told_in_full():
    message = (
        "the sampler: got 1 of 32 rows not finite (NaN, first in row 16), wanted finite numbers"
    )
    lines = laws({}, evidence=(Evidence.error("a", message), Evidence.error("b", message)))
    told = [line.strip() for line in lines if line.startswith("    ")]
    assert " ".join(told) == message
    assert not [
        line for line in laws({}, evidence=(Evidence.error("a", "no"),)) if line[:1] == " "
    ]
    open_ended = Verdict(claim="c", finding="not decided: no exact map to normals is known")
    assert open_ended.finding in summary(Report(verdicts=(open_ended,)))


def test_what_was_not_checked_is_said_with_its_reason():
    subject = {"problem": "mixture-2d", "target": "network"}
    names = (
        "dsm-constant",
        "ism-constant",
        "conservative",
        "fokker-planck",
        "calibration",
        "memorisation",
    )
    items = tuple(NotChecked(claim=n, subject=subject, reason="not asked for") for n in names)
    text = " ".join(summary(Report(not_checked=items)).split())
    assert f"{', '.join(names)} (problem mixture-2d, target network): not asked for" in text


def test_empty_report_is_a_report(tmp_path):
    empty = Report()
    assert load(save(empty, tmp_path)).outcome is Outcome.UNDECIDED
    assert "0 verdicts: none" in summary(empty)
    assert "Nothing was checked" in render(empty)


def part(node, path) -> ET.Element:
    found = node.find(path)
    assert found is not None
    return found


def said(node, path, attribute=None) -> str:
    found = part(node, path)
    text = found.text if attribute is None else found.get(attribute)
    assert text is not None
    return text


def test_junit_maps_outcomes(report):
    root = ET.fromstring(junit(report))
    suite = part(root, "testsuite")
    cases = {str(c.get("name")): c for c in suite.iter("testcase")}
    assert suite.get("tests") == "11" and root.get("failures") == "1"
    assert suite.get("errors") == "2" and suite.get("skipped") == "5"
    printed = cases["O2"]
    assert printed.get("classname") == "O/O2" and [c.tag for c in printed] == ["system-out"]
    assert "REFUTED" in said(printed, "system-out")
    assert cases["O2 corrected"].find("failure") is None
    order = next(c for n, c in cases.items() if n.startswith("order [target"))
    assert "repeats its noise level" in said(order, "failure", "message")
    law = next(c for n, c in cases.items() if n.startswith("law"))
    assert said(law, "skipped", "message").startswith("UNDECIDED: 90,000 draws")
    assert "nan" in said(cases["finite"], "error")
    assert "sign" in said(cases["D5"], "error", "message")


def test_printed_and_refuted_without_correction_is_no_pass(report):
    bare = replace(report.verdicts[0], correction=None)
    case = part(ET.fromstring(junit(Report(verdicts=(bare,)))), ".//testcase")
    assert "no correction" in said(case, "skipped", "message")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"outcome": "REFUTED",\n   "exact',
            '"outcome": "SUPPORTED",\n   "exact',
            "edited by hand",
        ),
        ('"outcome": "ERROR",\n "not', '"outcome": "SUPPORTED",\n "not', "edited by hand"),
        ("scoreproof.report/1", "scoreproof.report/0", "schema"),
        ('"kind": "proof"', '"kind": "belief"', "kind"),
        ('"statement"', '"sentence"', "part missing"),
        ('"evidence": [', '"evidence": [3, ', "part missing"),
        ("{", "", "line 2"),
    ],
)
def test_bad_json_gives_one_line(report, tmp_path, old, new, message):
    text = report.to_json()
    assert old in text
    path = tmp_path / "report.json"
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_bad_paths_give_one_line(report, tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        load(tmp_path / "missing.json")
    with pytest.raises(ValueError, match="report"):
        load(tmp_path)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="UTF-8"):
        load(tmp_path / "bytes")
    with pytest.raises(ValueError, match=r"out: got .*name another folder") as caught:
        save(report, tmp_path / "bytes")
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="out: got"):
        save(report, tmp_path / "bytes" / "below")
    with pytest.raises(ValueError, match="out: got"):
        save(report, "a\0b")
    (tmp_path / "d" / "report.json").mkdir(parents=True)
    with pytest.raises(ValueError, match="out: got"):
        save(report, tmp_path / "d")
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["report.json"]  # no leftovers


def test_import_is_light():
    code = (
        "import sys, scoreproof.validation.report as r; r.load; r.summary; "
        "sys.exit(bool({'matplotlib', 'jinja2', 'latex2mathml'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
