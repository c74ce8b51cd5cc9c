"""The page: whole, small, alone, and proof against hostile text."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from scoreproof.validation.evidence import Evidence, Outcome
from scoreproof.validation.report import load, render, save, summary
from scoreproof.validation.report.mathml import typeset
from scoreproof.validation.verdict import Report, Verdict


class Tags(HTMLParser):
    """Collects tags and attributes, and sees that what is opened is closed in order."""

    VOID = frozenset(["meta", "br", "input", "hr", "img", "link"])

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"stray </{tag}>"

    def handle_data(self, data):
        self.text.append(data)


def parsed(page):
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert not tags.open
    return tags


def test_fake_report_has_every_outcome(report):
    assert {v.outcome for v in report.verdicts} == set(Outcome)
    assert {e.kind for v in report.verdicts for e in v.evidence} == {
        "proof",
        "enclosure",
        "exact",
        "quadrature",
        "confidence",
        "test",
    }


def test_page_is_whole_small_and_alone(report):
    page = render(report)
    tags = parsed(page)
    assert len(page.encode()) < 1_000_000
    assert "script" not in tags.seen and "link" not in tags.seen
    loads = [v for k, v in tags.attributes if k in ("src", "href", "xlink:href", "srcset", "data")]
    assert loads and all(v.startswith(("#", "data:image/png;base64,")) for v in loads)
    assert "http:" not in page and "https:" not in page and "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    ids = [v for k, v in tags.attributes if k == "id"]
    assert len(ids) == len(set(ids))
    targets = {v[1:] for k, v in tags.attributes if k == "href" and v.startswith("#")}
    assert targets <= set(ids)
    assert tags.seen.count("h1") == 1 and tags.seen.count("article") == len(report.verdicts) + 1


def test_page_shows_what_was_measured(report):
    page = render(report)
    text = " ".join(" ".join(parsed(page).text).split())
    for shown in ("1.23847100", "REFUTED", "order", "repeated last sigma", "not affine", "2.6.0"):
        assert shown in text
    assert "n too small" in text and "A mutant survived" in text and "wanted one of lines" in text
    assert page.count('class="picture"') == 4
    assert all(f'aria-label="{a}' in page for a in ("Arrows of the score", "Ten digits."))
    assert "<math" in page and "&amp;lt;" not in page


def test_the_table_says_what_went_wrong():
    failed = Verdict(
        claim="finite",
        evidence=(Evidence.error("steps=32", "row 16 is NaN"),),
        finding="Score evaluations: 128.",
    )
    page = render(Report(verdicts=(failed,)))
    row = page.split('<td class="said">')[1].split("</td>")[0]
    assert "row 16 is NaN" in row


def test_hostile_text_stays_text(hostile, tmp_path):
    out = save(hostile, tmp_path)
    page = (out / "index.html").read_text("utf-8")
    tags = parsed(page)
    assert "script" not in tags.seen and "img" not in tags.seen
    assert not [k for k, _ in tags.attributes if k.startswith("on")]
    assert page.count('class="picture"') == 1  # the picture is drawn, its labels tamed
    table = summary(hostile)
    for text in (page, table, (out / "junit.xml").read_text("utf-8")):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ud800]", text)
    ET.parse(out / "junit.xml")
    assert load(out).to_json() == hostile.to_json()


@pytest.mark.parametrize(
    "formula",
    [r"\text{<b onclick='x'>y</b>}", r"\href{javascript:x}{y}", r"\frac{", "&lt", r"\nope"],
)
def test_formulas_that_fail_are_shown_as_source(formula):
    tags = parsed(typeset(f"see ${formula}$"))
    assert tags.seen == ["code"] and not tags.attributes
    assert "".join(tags.text) == f"see {formula}"


def test_formulas_are_typeset():
    tags = parsed(typeset(r"for $x < 1$ and $\log p$ it costs \$5, not $6"))
    assert tags.seen.count("math") == 2 and "mspace" in tags.seen
    words = "".join(tags.text)
    assert words == "for x<1 and logp it costs $5, not $6"


def test_words_within_formulas_are_words():
    found = str(typeset(r"$\mathrm{tr}\,(\nabla s) + \mathrm{const} + \mathrm{d} x$"))
    assert "<mi>tr</mi>" in found and "<mi>const</mi>" in found


def test_page_stays_below_five_megabytes(verdict):
    long = "word " * 400
    piece = verdict("x", 0.5, 0.1, (-1, 1), statement=long, finding=long, figure=None)
    bad = verdict("worst of all", 5, 0.1, (-1, 1))
    many = tuple(replace(piece, claim=f"claim {k}") for k in range(3000))
    page = render(Report(verdicts=(*many, bad)))
    assert len(page.encode()) < 5_000_000
    assert "cards are left out" in page and 'id="claim-worst-of-all"' in page
