"""Derivations of the entries on Langevin dynamics."""

from __future__ import annotations

from . import Addition
from .tools import proof

ADDED: dict[str, Addition] = {
    "L1": proof("langevin", wrong=("half-drift", "noise-halved")),
    "L2": proof("langevin", wrong=("drift-doubled", "noise-halved")),
    "L6": proof("ula", wrong=("no-bias", "threshold-doubled"), check="proof-gaussian"),
    "L7": proof("mala", wrong=("no-proposal-ratio", "ratio-turned")),
    "L11": proof("conventions", wrong=("equal-steps", "four")),
}
for _id in ("L4", "L5"):
    ADDED[_id] = proof(
        "ula", printed="no-bias", wrong=("bias-doubled", "threshold-doubled"), check="proof-gaussian"
    ).and_corrected(proof("ula", wrong=("no-bias", "bias-doubled")))
