"""``scoreproof derive``: a derivation, step by step, or the list of derivations."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path

from ..theory.symbolic.catalogue import DERIVATIONS, derive

_STATUS = {"PROVED": 0, "REFUTED": 1, "UNKNOWN": 3}


def listed(*, as_json: bool = False) -> str:
    """The names with one line each."""
    titles = {name: DERIVATIONS[name]().title for name in DERIVATIONS}
    if as_json:
        return json.dumps(
            {"derivations": [{"name": n, "title": t} for n, t in titles.items()]}, indent=1
        )
    room = max(map(len, titles)) + 2
    return "\n".join(
        f"{name:{room}}{textwrap.shorten(t, 80 - room)}" for name, t in titles.items()
    )


def shown(name: str, *, latex: bool = False, as_json: bool = False) -> tuple[str, int]:
    """One derivation as text, LaTeX or JSON, and the exit status: 0 proved, 1 refuted, 3 not decided.

    Raises:
        ValueError: an unknown name.
    """
    derivation = derive(name)
    if as_json:
        text = json.dumps(
            derivation.as_dict() | {"latex": derivation.latex()}, indent=1, ensure_ascii=False
        )
    else:
        text = derivation.latex() if latex else derivation.text()
    return text, _STATUS[derivation.status]


def pages(folder: Path, name: str | None) -> Iterator[tuple[str, int]]:
    """Writes pages, of one derivation or of all with an index; yields a line and the exit status for each.

    Raises:
        ValueError: an unknown name.
    """
    from .report.derivations import save_index, save_page

    names = list(DERIVATIONS) if name is None else [name]
    room = max(map(len, names)) + 2
    every = []
    for one in names:
        made, wrong = save_page(folder, one)
        every.append((made, wrong))
        refuted = sum(w.status == "REFUTED" for w in wrong)
        tested = sum(c.status is not None for c in made.checked)
        line = f"{one:{room}}{made.status:8} {tested:2} of {len(made.steps):2} steps by machine"
        yield f"{line}, {refuted} of {len(wrong)} wrong versions refuted", _STATUS[made.status]
    last = save_index(folder, every) if name is None else folder / f"{name}.html"
    yield f"page: {last}", 0
