"""The texts whose sentences the ledger decides, by the three digits under which claims name them."""

from __future__ import annotations

from collections.abc import Mapping

#: What each text calls itself.
TITLES: Mapping[str, str] = {
    "000": "Score-Based Generative Models (course unit 22-05)",
    "001": "Score-Based Diffusion Models: theory from single noise perturbation to SDE formulation",
    "002": "Score Matching: A Unified View of Diffusion Models (lesson)",
    "003": "The Score Function: the direction uphill, without ever knowing the height (essay)",
    "004": "Score-Based Generative Models: Masterclass Notes (lecture)",
}


def texts_of(source: tuple[str, ...]) -> tuple[str, ...]:
    """The three digits that the entries of ``source`` begin with, each once; others are left out."""
    found = (entry.split(",")[0].split()[0] for entry in source if entry.strip())
    return tuple(dict.fromkeys(digits for digits in found if digits in TITLES))
