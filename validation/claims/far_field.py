"""Ledger, the score far from the data at a small noise level: S11."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report.pictures import listed
from .laws import skewed_1d
from .score_sizes import information
from .tails import CENTRE, RADIUS, SMALL, bounds, disc, length, outside
from .tools import EPS, named, number

FAR = 10.0  #: standard deviations


def _weak(kind: str) -> Check:
    """Smallest ``|s_sigma(x)|`` ten standard deviations out, in units of its root mean square."""

    def check(ctx: Context) -> Evidence:
        law = skewed_1d()
        sd = math.sqrt(float(law.covariance[0, 0]))
        x = law.mean + FAR * sd * np.array([[-1.0], [1.0]])
        found, where, error = math.inf, "", 0.0
        for std in SMALL:
            noised = law.diffuse(1.0, std**2)
            nearest = law.means[np.argmin(np.abs(x - law.means[:, 0]), axis=1)]
            size = {
                "score": length(noised, x),
                "half": 0.5 * length(noised, x),
                "conditional": np.abs(nearest - x)[:, 0] / std**2,
            }[kind]
            unit = information(1, std)
            root = math.sqrt(unit.value)
            ratio = float(size.min()) / root
            if ratio < found:
                found, where = ratio, f"|s| = {size.min():.4g}, root mean square {root:.4g}"
                error = ratio * (unit.half_width / unit.value + 64 * EPS)
        return number(
            found,
            error=error,
            allowed=(0.0, 1.0),
            kind="quadrature",
            n=2 * len(SMALL),
            message=f"{FAR:g} standard deviations out the score of the noised mixture is at least "
            f"{found:.3g} times its root mean square ({where})",
        )

    return check


def _weak_data(noise: float, factor: float = 1.0) -> Check:
    """The same for noised data, whose root mean square is at most ``sqrt(d) / sigma``."""

    def check(ctx: Context) -> Evidence:
        x, distance = outside()
        x = x[distance > FAR * RADIUS]
        ratios = [
            float(length(disc().diffuse(1.0, (noise * s) ** 2), x).min()) * s / math.sqrt(2)
            for s in SMALL
        ]
        least = factor * min(ratios)
        return number(
            least,
            error=1e-9 * least,
            allowed=(0.0, 1.0),
            n=len(x) * len(SMALL),
            message=f"beyond {FAR:g} radii of the data the score is at least {least:.3g} times sqrt(d)/sigma, "
            "a bound of its root mean square",
        )

    return check


def _stronger(upward: bool = False, slope: bool = False) -> Check:
    """Smallest ``|s_{sigma/2}(x)| / |s_sigma(x)|`` outside the data."""

    def check(ctx: Context) -> Evidence:
        x, _ = outside()
        ratios = []
        for std in SMALL:
            large, small = (
                length(disc().diffuse(1.0, s**2), x) * (s**2 if slope else 1.0)
                for s in (std, std / 2)
            )
            ratios.append(large / small if upward else small / large)
        least = float(np.min(ratios))
        return number(
            least,
            error=1e-9 * least,
            allowed=(1.5, math.inf),
            n=len(x) * len(SMALL),
            message=f"halving sigma multiplies the far score by at least {least:.4g}",
        )

    return check


def _weight(power: float, std: float = SMALL[1]) -> Check:
    """Share of ``int q^power |s|^2`` beyond ten standard deviations of the data."""

    def check(ctx: Context) -> Evidence:
        law = skewed_1d()
        noised = law.diffuse(1.0, std**2)
        sd = math.sqrt(float(law.covariance[0, 0]))
        shares = []
        for count in (40_001, 60_001):
            x = float(law.mean[0]) + np.linspace(-40 * sd, 40 * sd, count)
            values = length(noised, x[:, None]) ** 2
            values = values * np.exp(power * noised.log_prob(x[:, None]))
            beyond = np.abs(x - float(law.mean[0])) > FAR * sd
            shares.append(float(values[beyond].sum() / values.sum()))
        return number(
            shares[1],
            error=abs(shares[1] - shares[0]) + 64 * EPS * shares[1],
            allowed=(0.0, 1e-12),
            kind="quadrature",
            n=100_002,
            message=f"share of the objective of s = 0 beyond {FAR:g} standard deviations, sigma = {std:g}: "
            f"{shares[1]:.2g}",
        )

    return check


def _eleventh() -> Claim:
    return Claim(
        "S11",
        "with a single small noise level the far-field score is still weak",
        checks={"mixture": _weak("score"), "data": _weak_data(1.0)},
        mutants={
            "mixture": [
                named(_weak("conditional"), "conditional-score"),
                named(_weak("half"), "half-the-score"),
            ],
            "data": [
                named(_weak_data(0.5), "half-the-noise"),
                named(_weak_data(1.0, 0.5), "half-the-score"),
            ],
        },
        source=("003",),
        assumptions=(
            "the exact score, not a learned one; 'far-field': ten standard deviations of the data, or ten radii; "
            "'weak': no larger than its root mean square under the noised law",
            f"sigma = {', '.join(f'{s:g}' for s in SMALL)}, against data of size about one",
        ),
        finding=lambda e: (
            f"{e['mixture'].message}; {e['data'].message}. Less noise makes it stronger, not weaker; it is the "
            "weight of the far field in the objective that is missing, so a learned score is arbitrary there."
        ),
        figure=_far_drawn,
        role="printed",
        group="ledger",
        correction=Claim(
            "S11",
            r"for data within a radius $R$ of $c$ the score of $q_\sigma$ is $(|x - c| \pm R)/\sigma^2$ in size, "
            r"the stronger the smaller $\sigma$; what is weak is its weight in the objective",
            checks={
                "size": bounds(2.0),
                "stronger": _stronger(),
                "weight": _weight(1.0),
            },
            mutants={
                "size": [
                    named(bounds(1.0), "sigma-for-its-square"),
                    named(bounds(2.0, RADIUS / 4), "quarter-of-the-radius"),
                ],
                "stronger": [
                    named(_stronger(upward=True), "weaker-with-less-noise"),
                    named(_stronger(slope=True), "step-of-the-denoiser"),
                ],
                "weight": [
                    named(_weight(0.0), "without-the-density"),
                    named(_weight(1.0, 20.0), "large-noise"),
                ],
            },
            assumptions=(
                f"forty points in a disc of radius {RADIUS:g}; the weight on a skewed mixture on the line",
            ),
            group="ledger",
        ),
    )


def _far_drawn(ctx: Context) -> Mapping[str, Any]:
    """The score ten radii out and its root mean square, against sigma."""
    stds = np.geomspace(0.01, 30.0, 30)
    x = CENTRE + FAR * RADIUS * np.array([[0.6, 0.8]])
    laws = [disc().diffuse(1.0, s**2) for s in stds]
    sample = np.random.default_rng(1).standard_normal((400, 2))
    at = disc().points[np.arange(400) % 40]
    rms = [
        math.sqrt(float(np.mean(length(q, at + s * sample) ** 2)))
        for q, s in zip(laws, stds, strict=True)
    ]
    return {
        "kind": "lines",
        "title": "Score ten radii away from the data",
        "alt": "The far score falls with sigma and lies above the root mean square until sigma is large",
        "xlabel": r"$\sigma$",
        "xscale": "log",
        "yscale": "log",
        "series": [
            {
                "label": "ten radii out",
                "x": listed(stds),
                "y": [listed(length(q, x)[0]) for q in laws],
            },
            {
                "label": "root mean square (400 draws)",
                "x": listed(stds),
                "y": listed(np.array(rms)),
            },
        ],
    }


CLAIMS: tuple[Claim, ...] = (_eleventh(),)
