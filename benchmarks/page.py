"""Puts what a benchmark measured into a page, between two comments that name it."""

from __future__ import annotations

from pathlib import Path


def replace(page: Path, name: str, text: str) -> None:
    """Replaces what is between ``<!-- name -->`` and ``<!-- end of name -->``.

    Raises:
        ValueError: the page lacks one of the comments.
    """
    old = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if begin not in old or end not in old:
        raise ValueError(f"page: got {page} without {begin} and {end}, wanted both; add them")
    head, rest = old.split(begin, 1)
    tail = rest.split(end, 1)[1]
    page.write_text(f"{head}{begin}\n{text.strip()}\n{end}{tail}", encoding="utf-8")
