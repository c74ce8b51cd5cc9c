"""``scoreproof derive``: a derivation, step by step, or the list of derivations."""

from __future__ import annotations

import json
import textwrap

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
