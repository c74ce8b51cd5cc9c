"""Derivations of the entries on stochastic and ordinary differential equations."""

from __future__ import annotations

from . import Addition
from .tools import proof

ADDED: dict[str, Addition] = {
    "D1": proof("exponential-noise", wrong=("noise-halved", "std-for-variance")),
    "D2": proof("reverse-sde", wrong=("wrong-sign", "half-score")),
    "D4": proof("probability-flow", wrong=("full-score", "no-score")),
    "D6": proof("ddpm-limit", wrong=("no-square-term", "wrong-sign"), check="proof-ddpm")
    + proof("smld-limit", wrong=("rate-of-sigma", "missing-two"), check="proof-smld"),
    "D7": proof("euler-step", wrong=("quarter", "missing-half")),
    "D9": proof(
        "reverse-general", printed="no-divergence", wrong=("half-divergence", "half-score")
    ).and_corrected(proof("reverse-general", wrong=("no-divergence", "half-divergence"))),
    "D13": proof("kl-flow", wrong=("missing-half", "wrong-sign"), check="proof-corrected"),
    "D14": proof("likelihood", wrong=("full-score", "no-divergence-of-drift")),
}
