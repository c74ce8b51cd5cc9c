"""Derivations of the entries on guidance, training and networks."""

from __future__ import annotations

from . import Addition
from .tools import proof

ADDED: dict[str, Addition] = {
    "G1": proof("conditional-score", wrong=("wrong-sign", "prior-mean")),
    "G2": proof("guidance", wrong=("weights-not-one", "weight-off-by-one")),
    "G3": proof(
        "guidance-tilt",
        printed="flow-samples-the-tilt",
        wrong=("field-is-the-score", "noise-dropped"),
    ).and_corrected(
        proof("tilted-score", wrong=("power-outside", "no-power"))
        + proof(
            "guidance-tilt",
            wrong=("field-is-the-score", "flow-samples-the-tilt"),
            check="proof-no-other",
        )
    ),
    "N1": proof("ema", wrong=("no-correlation", "as-if-independent")),
    "N2": proof("fourier-features", wrong=("no-two-pi", "variance-for-deviation")),
}
