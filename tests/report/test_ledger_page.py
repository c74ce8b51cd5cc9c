"""The ledger's page: an index by text, every printed sentence, nothing from elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from scoreproof.validation.claims.sources import TITLES, texts_of
from scoreproof.validation.report.files import save
from scoreproof.validation.report.ledger import render_ledger

from .test_report_page import parsed


@pytest.fixture
def ledger(report):
    """The report with its printed sentences named like entries, out of order."""
    names = iter(("O10", "S4.density", "O2", "D1"))
    verdicts = tuple(
        replace(v, role="printed", claim=name, source=("001", "003"))
        for v, name in zip(report.verdicts, names, strict=False)
    )
    return replace(report, verdicts=(*verdicts, *report.verdicts[len(verdicts) :]))


def test_sources_are_texts():
    assert texts_of(("000", "001 (boxed)", "000, example 3", "Vincent 2011")) == ("000", "001")
    assert all(re.fullmatch(r"00[0-4]", digits) for digits in TITLES)


def test_page_holds_the_printed_sentences_in_order(ledger):
    page = render_ledger(ledger, derivations={"O2": ["ism", "dsm"]})
    tags = parsed(page)
    assert "script" not in tags.seen
    assert "http:" not in page and "https:" not in page
    ids = [v for k, v in tags.attributes if k == "id"]
    assert len(ids) == len(set(ids))
    hrefs = [v for k, v in tags.attributes if k == "href"]
    inside = {v[1:] for v in hrefs if v.startswith("#")}
    assert inside <= set(ids)
    assert {v for v in hrefs if not v.startswith(("#", "data:"))} == {
        "derivations/ism.html",
        "derivations/dsm.html",
    }
    cards = re.findall(r'<article class="card \w+" id="claim-([^"]+)"', page)
    assert cards == ["S4.density", "O2", "O10", "D1"]
    # The texts that name no entry stand in the index with zeros.
    assert all(title in page for title in TITLES.values())


def test_saved_where_there_are_printed_sentences(ledger, report, tmp_path):
    assert (save(ledger, tmp_path / "a") / "ledger.html").exists()
    bare = replace(report, verdicts=tuple(v for v in report.verdicts if v.role != "printed"))
    assert not (save(bare, tmp_path / "b") / "ledger.html").exists()
