"""Derivations of the entries on scores.

S4, the rest of S8 and S8.g hold exponentials of numbers against decimals, which balls decide and no identity does.
"""

from __future__ import annotations

from dataclasses import replace

from . import Addition
from .tools import proof

_REGION = (
    "in the derivation a region of high density is any small one about the mode of a Gaussian"
)
_LAWS = "the derivation has Student t laws with any number of degrees among the laws"

_TAILS = proof(
    "score-in-tails", printed="grows-everywhere", wrong=("bound-halved", "slope-doubled")
)
_SIZE = proof(
    "noised-far", wrong=("sigma-for-its-square", "quarter-of-the-radius"), check="proof-noised"
)
_ARROWS = proof("steepest-ascent", printed="toward-the-mode", wrong=("descent", "half-the-score"))

ADDED: dict[str, Addition] = {
    "S1": proof("scale-free", wrong=("power", "wrong-sign", "log-partition-left")),
    "S2": proof("gaussian-score", wrong=("no-inverse", "wrong-sign")),
    "S3": proof("mixture-score", wrong=("prior-weights", "no-weights-in-posterior")),
    "S5": proof("denoising-example", wrong=("variance-for-sigma", "loss-halved", "wrong-sign")),
    "S6": proof(
        "subspace-score",
        wrong=("one-over-sigma", "rate-of-a-fixed-point", "dimension-for-codimension"),
    ),
    "S7": proof("quadratic-ascent", wrong=("descent", "equal-lengths")),
    "S8.e": proof(
        "decimal-quotient", printed="last-digit", wrong=("inverted", "two-units-below")
    ).and_corrected(proof("decimal-quotient", wrong=("last-digit", "inverted"))),
    "S9": replace(_TAILS, assumptions=(_LAWS,)).and_corrected(
        _SIZE
        + proof(
            "mixture-tail", wrong=("smallest-variance", "mean-variance"), check="proof-mixture"
        )
    ),
    "S10": replace(_ARROWS, assumptions=(_REGION,)).and_corrected(
        proof("steepest-ascent", wrong=("descent", "half-the-score", "ratio-of-the-deviations"))
    ),
    "S11": proof(
        "far-field", printed="weak-far-out", wrong=("weaker-with-less-noise", "weight-grows")
    ).and_corrected(
        _SIZE
        + proof(
            "far-field",
            wrong=("weak-far-out", "weaker-with-less-noise", "weight-grows"),
            check="proof-far-field",
        )
    ),
}
