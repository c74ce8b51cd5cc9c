"""Derivations of the entries on objectives; O20 counts passes through a network, which no formula does."""

from __future__ import annotations

from dataclasses import replace

from . import Addition
from .tools import proof

_MODEL = "in the derivation the model is s = 0 and the codimension is two; its error across the subspace counts"

_DENOISING = proof("dsm", wrong=("target-sign", "square-for-fourth", "no-constant"))
_MINIMISER = proof("denoising-minimum", wrong=("target-sign", "half-left-out"))
_INFORMATION = proof(
    "target-size", wrong=("one-over-sigma", "square-for-fourth"), check="proof-information"
)
_MEAN_OF_DRAWS = proof("one-draw", wrong=("every-draw", "wrong-sign"), check="proof-score")
_DENOISER = proof("tweedie", wrong=("no-square", "wrong-sign"), check="proof-denoiser")
_FOR_EVERY_DRAW = proof(
    "one-draw", printed="every-draw", wrong=("wrong-sign", "variance-for-deviation")
)
_SIZES = proof("target-size", wrong=("printed-chain", "one-over-sigma", "square-for-fourth"))

ADDED: dict[str, Addition] = {
    "O1": proof("ism", wrong=("missing-two", "wrong-sign")),
    "O2": proof("ism", printed="missing-two", wrong=("wrong-sign", "fisher-sign")).and_corrected(
        proof("ism", wrong=("missing-two", "wrong-sign"))
    ),
    "O3": proof("ism", wrong=("fisher-sign", "missing-two"), check="proof-constant")
    + proof("implicit-minimum", wrong=("minimum-zero", "wrong-sign"), check="proof-minimum"),
    "O4": proof(
        "implicit-minimum",
        printed="missing-two",
        wrong=("wrong-sign", "minimum-zero"),
        check="proof-minimiser",
    ).and_corrected(
        proof("implicit-minimum", wrong=("missing-two", "wrong-sign"), check="proof-minimiser")
    ),
    "O5": proof("ssm", wrong=("unit-sphere", "missing-half")),
    "O6": _MINIMISER,
    "O7": proof(
        "denoising-forms",
        printed="sigma-squared-below",
        wrong=("no-half", "noise-with-a-minus"),
    ).and_corrected(
        proof("denoising-forms", wrong=("sigma-squared-below", "no-half", "noise-with-a-minus"))
    ),
    "O8": proof(
        "denoising-forms", wrong=("weight-without-half", "weight-sigma", "noise-with-a-minus")
    ),
    "O9": proof(
        "dsm", printed="no-constant", wrong=("target-sign", "square-for-fourth")
    ).and_corrected(_DENOISING),
    "O10": proof("dsm", wrong=("target-sign", "square-for-fourth")) + _INFORMATION,
    "O11": _DENOISER + _MEAN_OF_DRAWS,
    "O12": _FOR_EVERY_DRAW.and_corrected(
        proof("one-draw", wrong=("every-draw", "wrong-sign", "variance-for-deviation"))
    ),
    "O13": proof("denoiser-link", wrong=("no-square", "wrong-sign")),
    "O14": proof(
        "clean-input",
        printed="score-is-minimiser",
        wrong=("noise-with-a-mean", "no-square"),
    ).and_corrected(_MINIMISER),
    "O15": proof("denoising-minimum", wrong=("negative-weight", "target-sign")),
    "O16": proof(
        "target-size", printed="printed-chain", wrong=("one-over-sigma", "square-for-fourth")
    ).and_corrected(_SIZES),
    "O17": proof(
        "balanced-levels", printed="one-order", wrong=("weight-sigma", "sigma-to-minus-four")
    ).and_corrected(
        proof("balanced-levels", wrong=("one-order", "weight-sigma", "sigma-to-minus-four"))
    ),
    "O18": proof("sde-weight", wrong=("no-square", "vp-mean-for-variance", "ve-missing-two")),
    "O19": proof("loss-weights", wrong=("data-turned", "score-no-square")),
    "O21": proof("blind-weights", wrong=("density-squared", "exponent-doubled")),
    "O22": proof(
        "noised-minimiser", printed="same-minimiser", wrong=("order-two", "heat-without-half")
    ).and_corrected(
        proof(
            "denoising-minimum", wrong=("target-sign", "half-left-out"), check="proof-equivalence"
        )
        + proof("noised-minimiser", wrong=("same-minimiser", "order-two"), check="proof-order")
    ),
    "O23": _FOR_EVERY_DRAW.and_corrected(_MEAN_OF_DRAWS + _DENOISER),
    "O24": proof(
        "target-size", printed="proportional", wrong=("one-over-sigma", "square-for-fourth")
    ).and_corrected(
        proof("target-size", wrong=("proportional", "one-over-sigma", "square-for-fourth"))
    ),
    "O25": proof("by-parts", wrong=("wrong-sign", "half", "no-edge")),
    "O26": proof(
        "kernel-score", wrong=("wrong-sign", "sigma-for-its-square", "variance-for-deviation")
    ),
    "O27": replace(
        proof(
            "off-manifold",
            printed="dominated",
            wrong=("share-of-the-mass", "errors-of-one-size"),
        ),
        assumptions=(_MODEL,),
    ).and_corrected(
        proof("off-manifold", wrong=("dominated", "share-of-the-mass", "errors-of-one-size"))
    ),
}
