"""Derivations of the entries on Langevin dynamics."""

from __future__ import annotations

from . import Addition
from .tools import proof


def _exactness() -> Addition:
    """No density is stationary for the chain; for a Gaussian, the law that is."""
    every = proof("langevin-step", printed="stationary", wrong=("first-order", "noise-halved"))
    normal = proof(
        "ula",
        printed="no-bias",
        wrong=("bias-doubled", "threshold-doubled"),
        check="proof-gaussian",
    )
    return (every + normal).and_corrected(proof("ula", wrong=("no-bias", "bias-doubled")))


ADDED: dict[str, Addition] = {
    "L1": proof("langevin", wrong=("half-drift", "noise-halved")),
    "L2": proof("langevin", wrong=("drift-doubled", "noise-halved")),
    "L3": proof("langevin-limit", wrong=("stationarity-alone", "score-doubled", "rate-doubled")),
    "L4": _exactness(),
    "L5": _exactness(),
    "L6": proof("ula", wrong=("no-bias", "threshold-doubled"), check="proof-gaussian"),
    "L7": proof("mala", wrong=("no-proposal-ratio", "ratio-turned")),
    "L8": proof("noiseless-ascent", wrong=("descent", "steps-four-times-as-long"))
    + Addition(
        assumptions=(
            "'isolated nondegenerate modes' is read as: all critical points are nondegenerate; where only the modes "
            "are, a point of inflection with score zero holds every start on one side of it",
            "'for small steps': for every step below one over a Lipschitz constant of the score; without such a "
            "constant only for steps that depend on the start",
        )
    ),
    "L9": proof(
        "valley", wrong=("half-for-eighth", "variance-doubled"), check="proof-gaussian-modes"
    ),
    "L10": proof("annealed", wrong=("levels-equal", "bias-halved"), check="proof-gaussian"),
    "L11": proof("conventions", wrong=("equal-steps", "four")),
    "L12": proof(
        "joint-limit", printed="both-limits-suffice", wrong=("bias-doubled", "rate-halved")
    ).and_corrected(proof("joint-limit", wrong=("both-limits-suffice", "rate-halved"))),
}
