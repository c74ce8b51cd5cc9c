"""Mixtures with wrong weights, means, widths; modes lost or merged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scoreproof.theory import GaussianMixture

from .entry import Entry, density_entry
from .targets import line, modes, overlapping, plane


def _changed(
    name: str,
    words: str,
    p: Callable[[], GaussianMixture],
    *,
    weights: dict[int, float] | None = None,
    shift: tuple[int, float] | None = None,
    stretch: tuple[int, float] | None = None,
) -> Callable[[], Entry]:
    """Mass added to weights, a mean shifted along the first axis of its component (in sds), a covariance scaled."""

    def build() -> Entry:
        law = p()
        w, mu, c = law.weights.copy(), law.means.copy(), law.covariances.copy()
        for k, mass in (weights or {}).items():
            w[k] += mass
        if shift is not None:
            values, axes = np.linalg.eigh(c[shift[0]])
            mu[shift[0]] += shift[1] * np.sqrt(values[0]) * axes[:, 0]
        if stretch is not None:
            c[stretch[0]] *= 1 + stretch[1]
        keep = w > 1e-12
        q = GaussianMixture(w[keep] / w[keep].sum(), mu[keep], c[keep])
        return density_entry(name, words, law, q)

    return build


def _six() -> GaussianMixture:
    return modes(64, 5)


def _eight() -> GaussianMixture:
    return modes(8, 4)


BUILDERS: tuple[Callable[[], Entry], ...] = (
    _changed(
        "weights_plane", "5 % of the mass moved between modes", plane, weights={0: -0.05, 1: 0.05}
    ),
    _changed(
        "weights_small", "2 % moved to the smallest mode", plane, weights={0: -0.02, 2: 0.02}
    ),
    _changed(
        "weights_line", "4 % moved between touching modes", line, weights={1: -0.04, 2: 0.04}
    ),
    _changed(
        "weights_overlap", "10 % moved, labels unclear", overlapping, weights={0: -0.1, 1: 0.1}
    ),
    _changed(
        "weights_64", "4 % moved between two of five modes", _six, weights={4: -0.04, 1: 0.04}
    ),
    _changed("mode_lost", "the mode of weight .10 is missing", plane, weights={2: -0.1}),
    _changed("mode_lost_64", "the lightest of five modes is missing", _six, weights={0: -1 / 15}),
    _changed("mode_shifted", "one mode shifted by .15 sd", plane, shift=(1, 0.15)),
    _changed("mode_shifted_8", "one of four modes shifted by .1 sd", _eight, shift=(2, 0.1)),
    _changed("mode_wide", "variances of one mode 20 % too large", plane, stretch=(1, 0.2)),
    _changed(
        "mode_wide_64", "variances of one of five modes 2 % too large", _six, stretch=(3, 0.02)
    ),
    _changed("mode_narrow_line", "one variance of three 8 % too small", line, stretch=(0, -0.08)),
)
