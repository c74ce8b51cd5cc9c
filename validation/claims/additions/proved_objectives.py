"""Derivations of the entries on objectives."""

from __future__ import annotations

from . import Addition
from .tools import proof

ADDED: dict[str, Addition] = {
    "O1": proof("ism", wrong=("missing-two", "wrong-sign")),
    "O2": proof("ism", printed="missing-two", wrong=("wrong-sign", "fisher-sign")).and_corrected(
        proof("ism", wrong=("missing-two", "wrong-sign"))
    ),
}
