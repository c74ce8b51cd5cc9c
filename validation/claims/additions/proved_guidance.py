"""Derivations of the entries on guidance, training and networks."""

from __future__ import annotations

from . import Addition
from .tools import proof

ADDED: dict[str, Addition] = {
    "G2": proof("guidance", wrong=("weights-not-one", "weight-off-by-one")),
    "N1": proof("ema", wrong=("no-correlation", "as-if-independent")),
    "N2": proof("fourier-features", wrong=("no-two-pi", "variance-for-deviation")),
}
