"""Objectives in ball arithmetic: O1 to O3, O6 to O10 and O25, as printed and as corrected."""

from __future__ import annotations

from .. import enclosures as e
from . import Addition
from .tools import ball

ADDED: dict[str, Addition] = {
    "O1": ball(
        e.free_of_the_model("1/2", "1/2", 1),
        wrong=[
            ("trace-halved", e.free_of_the_model("1/2", "1/2", "1/2")),
            ("sign-of-the-trace", e.free_of_the_model("1/2", "1/2", -1)),
        ],
    )
    + ball(
        e.constant("1/2", "1/2", 1, "1/2"),
        wrong=[
            ("whole-information", e.constant("1/2", "1/2", 1, 1)),
            ("sign", e.constant("1/2", "1/2", 1, "-1/2")),
        ],
        name="enclosure-constant",
    ),
    "O2": ball(
        e.free_of_the_model(1, 1, 1),
        wrong=[
            ("no-trace", e.free_of_the_model(1, 1, 0)),
            ("sign-of-the-trace", e.free_of_the_model(1, 1, -2)),
        ],
    ).and_corrected(
        ball(
            e.free_of_the_model(1, 1, 2),
            wrong=[
                ("trace-once", e.free_of_the_model(1, 1, 1)),
                ("sign-of-the-trace", e.free_of_the_model(1, 1, -2)),
            ],
        )
    ),
    "O3": ball(
        e.constant(1, 1, 2, 1),
        wrong=[
            ("sign", e.constant(1, 1, 2, -1)),
            ("half-the-information", e.constant(1, 1, 2, "1/2")),
            ("trace-once", e.constant(1, 1, 1, 1)),
        ],
    ),
    "O6": ball(
        e.minimiser(),
        wrong=[
            ("score-of-the-data", e.minimiser(0)),
            ("nine-tenths", e.minimiser(factor="9/10")),
        ],
    ),
    "O7": ball(
        e.noise_form(-2),
        wrong=[("sigma-once", e.noise_form(-1)), ("sigma-squared", e.noise_form(2))],
    ).and_corrected(
        ball(
            e.noise_form(0),
            wrong=[("as-printed", e.noise_form(-2)), ("sigma-squared", e.noise_form(2))],
        )
    ),
    "O8": ball(
        e.noise_weight("1/2", -2),
        wrong=[
            ("no-sigma", e.noise_weight("1/2", 0)),
            ("no-half", e.noise_weight(1, -2)),
            ("sigma-once", e.noise_weight("1/2", -1)),
        ],
    ),
    "O9": ball(
        e.denoising_gap(0),
        wrong=[
            ("half-the-constant", e.denoising_gap("1/2")),
            ("sign-of-the-target", e.denoising_gap(0, -1)),
        ],
    ).and_corrected(
        ball(
            e.denoising_gap(1),
            wrong=[
                ("no-constant", e.denoising_gap(0)),
                ("half-the-constant", e.denoising_gap("1/2")),
                ("sign-of-the-target", e.denoising_gap(1, -1)),
            ],
        )
    ),
    "O10": ball(
        e.denoising_gap_free_of_the_model(),
        wrong=[
            ("sign-of-the-target", e.denoising_gap_free_of_the_model(-1)),
            ("sigma-left-out", e.denoising_gap_free_of_the_model("3/5")),
        ],
    )
    + ball(
        e.denoising_gap(1),
        wrong=[
            ("no-constant", e.denoising_gap(0)),
            ("half-the-constant", e.denoising_gap("1/2")),
        ],
        name="enclosure-constant",
    ),
    "O25": ball(
        e.by_parts(1),
        wrong=[("sign", e.by_parts(-1)), ("half", e.by_parts("1/2"))],
    ),
}
