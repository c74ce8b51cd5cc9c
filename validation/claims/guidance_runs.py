"""Guided samplers solved exactly: moments of an affine field, and a flow on the line through its nodes."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from scipy import integrate, interpolate

from ...theory.diffusions import VP
from ...theory.guidance import ClassMixture, GaussianObservation
from ...theory.mixtures import Gaussian, GaussianMixture
from ...theory.protocols import Vector
from ...theory.reverse import reverse_drift
from ..claim import Check, Context
from ..evidence import Evidence
from .tools import agreement

WEIGHT = 3.0
START, END = 1.0, 1e-2
NEAR = (
    0.02  #: end of the flow on the line, where the noise is wider than the grid of the tilted law
)
LABEL = 0
PRINTED, EXACT = "guided", "noised-tilted"


@cache
def classes_1d() -> ClassMixture:
    """Two overlapping classes on the line, each bimodal."""
    return ClassMixture(
        [0.4, 0.6],
        [
            GaussianMixture([0.4, 0.6], [[-1.5], [0.2]], [0.2, 0.5]),
            GaussianMixture([0.5, 0.5], [[0.9], [2.4]], [0.25, 0.6]),
        ],
    )


@cache
def observation() -> GaussianObservation:
    """A tilted Gaussian in the plane observed with noise."""
    return GaussianObservation(Gaussian([0.6, -1.0], [[1.2, 0.4], [0.4, 0.5]]), [1.4, 0.3], 0.6)


@cache
def _moments(field: str, eta: float, rtol: float) -> tuple[Vector, Vector]:
    """Mean and covariance at the end, from the moment equations of the affine drift."""
    sde, seen = VP(), observation()
    fields: dict[str, Any] = {
        "guided": seen.guided(WEIGHT),
        "noised-tilted": seen.tilted(WEIGHT),
        "conditional": seen.guided(1.0),
        "opposite": seen.guided(-WEIGHT),
    }
    process = reverse_drift(fields[field], sde, eta)
    corners = np.concatenate([np.zeros((1, 2)), np.eye(2)])

    def right(t: float, y: Vector) -> Vector:
        moved = process(corners, t)
        shift, slope = moved[0], (moved[1:] - moved[0]).T
        mean, cov = y[:2], y[2:].reshape(2, 2)
        # Towards the data t falls, and the noise adds to the covariance.
        change = slope @ cov + cov @ slope.T - float(process.noise(t)) ** 2 * np.eye(2)
        return np.concatenate([slope @ mean + shift, change.ravel()])

    begin = _noised_gaussian(START)
    first = np.concatenate([begin.mean, begin.covariance.ravel()])
    last = integrate.solve_ivp(
        right, (START, END), first, method="DOP853", rtol=rtol, atol=1e-10
    ).y[:, -1]
    return last[:2], last[2:].reshape(2, 2)


def _noised_gaussian(t: float) -> GaussianMixture:
    kernel = VP().kernel(t)
    return observation().tilted(WEIGHT).diffuse(float(kernel.scale), float(kernel.variance))


def gaussian_run(field: str, eta: float) -> Check:
    """Mean and covariance that the process returns against those of the noised tilted Gaussian.

    Args:
        field: ``"guided"``, ``"noised-tilted"``, ``"conditional"`` (weight 1) or ``"opposite"`` (weight of the
            other sign).
        eta: 0 the flow, 1 the reverse SDE.
    """

    def check(ctx: Context) -> Evidence:
        goal = _noised_gaussian(END)
        root = np.linalg.inv(np.linalg.cholesky(goal.covariance))

        def gap(mean: Vector, cov: Vector) -> tuple[float, Vector]:
            found = np.asarray(np.linalg.eigvalsh(root @ cov @ root.T), dtype=np.float64)
            shift = float(np.linalg.norm(root @ (mean - goal.mean)))
            return max(float(np.abs(np.sqrt(found) - 1).max()), shift), found

        (before, _), (value, found) = (gap(*_moments(field, eta, r)) for r in (1e-4, 1e-6))
        name = "flow" if eta == 0 else "reverse SDE"
        return agreement(
            value,
            0.0,
            # the error of the coarser run, which is some twenty times that of the finer one
            bound=abs(value - before) + 1e-8,
            tolerance=1e-3,
            kind="quadrature",
            n=2,
            message=f"the {name} returns {found.min():.4g} to {found.max():.4g} times the variance of the tilted "
            f"Gaussian at weight {WEIGHT:g}",
        )

    return check


def closed_ratios() -> Vector:
    """``S^(1-w) C^w`` over the tilted variance along the eigendirections: what the guided flow returns."""
    seen = observation()
    free = np.linalg.eigvalsh(seen.law.covariances[0])
    given, tilted = (free * seen.noise / (seen.noise + w * free) for w in (1.0, WEIGHT))
    return free ** (1 - WEIGHT) * given**WEIGHT / tilted


@cache
def _tilted_grid() -> tuple[Vector, Vector]:
    """Nodes and weights of the tilted law on the line: exact as soon as the noise is as wide as the spacing."""
    x = np.linspace(-5.5, 6.5, 161)
    log_mass = classes_1d().log_tilted(x[:, None], LABEL, WEIGHT)
    mass = np.exp(log_mass - log_mass.max())
    kept = mass > 1e-16 * mass.sum()
    return x[kept], mass[kept] / mass[kept].sum()


class _NoisedTilted:
    """The tilted law on its grid; only its noised versions are used, which the grid gives to rounding."""

    def diffuse(self, scale: float, variance: float) -> GaussianMixture:
        x, w = _tilted_grid()
        return GaussianMixture(w, scale * x[:, None], np.full(len(x), variance))


NODES = np.linspace(-7.0, 7.0, 121)  #: normal deviations at which the flow on the line starts


@cache
def tilted_at(t: float) -> tuple[float, float]:
    """Mean and standard deviation of the noised tilted law on the line."""
    x, w = _tilted_grid()
    mean = float(w @ x)
    variance = float(w @ (x - mean) ** 2)
    k = VP().kernel(t)
    return float(k.scale) * mean, float(k.scale**2 * variance + k.variance) ** 0.5


def _carried(
    field: str, begin: Vector, times: tuple[float, float], *, rtol: float = 1e-6
) -> Vector:
    """Where the flow on the line carries points from the first time to the second."""
    law = classes_1d()
    fields: dict[str, Any] = {
        "guided": law.guided(LABEL, WEIGHT),
        "noised-tilted": _NoisedTilted(),
        "conditional": law.guided(LABEL, 1.0),
        "unconditional": law.guided(LABEL, 0.0),
    }
    flow = reverse_drift(fields[field], VP(), 0.0)
    return integrate.solve_ivp(
        lambda t, y: flow(y[:, None], float(t))[:, 0],
        times,
        begin,
        method="DOP853",
        rtol=rtol,
        atol=1e-2 * rtol,
    ).y[:, -1]


@cache
def _images(field: str) -> Vector:
    """Ends of the flow from the nodes; at t = 1 the scale is .0066 and the noised law is normal to its cube."""
    mean, std = tilted_at(START)
    return _carried(field, mean + std * NODES, (START, NEAR))


def share_below(field: str, x: float) -> float:
    """Share of the draws of the flow that end below ``x``, between the ends from the nodes."""
    ends = _images(field)
    # The ends increase with the start; a cubic between nodes of which two lie in the gap of the modes.
    k = int(np.clip(np.searchsorted(ends, x), 2, len(ends) - 2))
    near = slice(k - 2, k + 2)
    at = float(interpolate.PchipInterpolator(ends[near], NODES[near])(x))
    return 0.5 * math.erfc(-at / math.sqrt(2))


def share_by_path(field: str, x: float, *, rtol: float) -> float:
    """The same share from the one path that ends at ``x``, followed back to the start."""
    mean, std = tilted_at(START)
    at = float(_carried(field, np.array([x]), (NEAR, START), rtol=rtol)[0])
    return 0.5 * math.erfc((mean - at) / (std * math.sqrt(2)))


def tilted_share(x: float) -> float:
    """Share of the noised tilted law below ``x``."""
    kernel = VP().kernel(NEAR)
    law = _NoisedTilted().diffuse(float(kernel.scale), float(kernel.variance))
    return float(law.cdf(np.array([x])))


def mixture_run(field: str) -> Check:
    """Mean and standard deviation that the flow returns on two classes, from the images of normal nodes."""

    def check(ctx: Context) -> Evidence:
        ends, (goal, width) = _images(field), tilted_at(NEAR)

        def moments(step: int) -> Vector:
            g = np.exp(-0.5 * NODES[::step] ** 2)
            g = g / g.sum()
            centre = float(g @ ends[::step])
            return np.array([centre, float(g @ (ends[::step] - centre) ** 2) ** 0.5])

        fine, coarse = moments(1), moments(2)
        return agreement(
            fine / width,
            np.array([goal, width]) / width,
            # the change to every second node, and the tolerance of the solver summed over some ten steps
            bound=float(np.abs(fine - coarse).max()) / width + 1e-5,
            tolerance=1e-3,
            kind="quadrature",
            n=len(NODES),
            message=f"on two classes the flow returns mean {fine[0]:.4f} and standard deviation {fine[1]:.4f}, the "
            f"tilted law has {goal:.4f} and {width:.4f}",
        )

    return check
