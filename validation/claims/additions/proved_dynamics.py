"""Derivations of the entries on stochastic and ordinary differential equations."""

from __future__ import annotations

from . import Addition
from .tools import proof

ADDED: dict[str, Addition] = {
    "D1": proof("exponential-noise", wrong=("noise-halved", "std-for-variance")),
    "D2": proof("reverse-sde", wrong=("wrong-sign", "half-score")),
    "D3": proof(
        "reverse-drift",
        printed="half-score-full-noise",
        wrong=("full-score-no-noise", "noise-counted-twice"),
    ).and_corrected(
        proof("reverse-drift", wrong=("half-score-full-noise", "noise-counted-twice"))
    ),
    "D4": proof("probability-flow", wrong=("full-score", "no-score")),
    "D5": proof(
        "reverse-drift",
        printed="full-score-no-noise",
        wrong=("half-score-full-noise", "noise-counted-twice"),
    ).and_corrected(proof("reverse-drift", wrong=("full-score-no-noise", "noise-counted-twice"))),
    "D6": proof("ddpm-limit", wrong=("no-square-term", "wrong-sign"), check="proof-ddpm")
    + proof("smld-limit", wrong=("rate-of-sigma", "missing-two"), check="proof-smld"),
    "D7": proof("euler-step", wrong=("quarter", "missing-half")),
    "D8": proof("prior-bound", wrong=("signal-left-out", "twice-as-close"), check="proof-bound"),
    "D9": proof(
        "reverse-general", printed="no-divergence", wrong=("half-divergence", "half-score")
    ).and_corrected(proof("reverse-general", wrong=("no-divergence", "half-divergence"))),
    "D10": proof("stopping-early", wrong=("rate-of-sigma", "bias-halved")),
    "D11": proof("geometric-levels", wrong=("geometric-from-clean-data", "unit-noise")),
    "D12": proof("ve-and-vp", wrong=("no-rescaling", "clock-without-scale")),
    # The flow that keeps an error and the noise that shrinks it; that steps accumulate it is no identity.
    "D13": proof("kl-flow", wrong=("missing-half", "wrong-sign"), check="proof-corrected"),
    "D14": proof("likelihood", wrong=("full-score", "no-divergence-of-drift")),
}
