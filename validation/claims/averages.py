"""Expectations for the claims on objectives, and evidence from them.

One and two dimensions by quadrature, eight by exact draws with control variates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ...numerics.control_variates import Part, controlled_sum
from ...numerics.estimate import Estimate, quadrature_estimate
from ...numerics.features import Features
from ...numerics.objectives import SingleObjective
from ...theory.mixtures import GaussianMixture
from ...theory.protocols import Vector
from ..claim import Context
from ..evidence import KINDS, Allowed, Evidence, Measured
from .tools import EPS

TOLERANCE = 1e-6  #: of identities decided by quadrature, relative to the size of their terms
#: what the intervals of :func:`drawn_mean` take for granted
KURTOSIS = "on draws the kurtosis of the terms is at most 10, or three times that of the sample where that is more"
_NEGLIGIBLE = -42.0  #: log of a weight below which a node of a grid is left out: 1e-18


def grid_means(
    values: Callable[[Vector], Vector], law: GaussianMixture, *, detail: float | None = None
) -> list[Estimate]:
    """``int values(x) dx`` of every column of ``values``, ``(n, m)``, for functions that decay like ``law``; d <= 2.

    The trapezoidal rule, whose error falls faster than any power of the step for analytic functions, on one
    regular grid where the density of ``law`` is not negligible; the error is the change to a step a third
    longer, that of the coarser grid, which bounds that of the finer one amply, and what the nodes left out hold
    if the functions are there at most four times as large, relative to the density, as at the others.

    Args:
        values: functions of x.
        law: says where to look.
        detail: smallest length over which the functions change; None: that of the law.
    """
    least = math.sqrt(float(law.basis.eigenvalues().min()))
    step = (0.1 if law.dim == 1 else 0.3) * (least if detail is None else min(least, detail))
    spread = 9 * np.sqrt(np.array([c.diagonal() for c in law.covariances]))
    low, high = (law.means - spread).min(axis=0), (law.means + spread).max(axis=0)
    found: list[Vector] = []
    nodes, cut = 0, np.zeros(1)
    for h in (step, 4 * step / 3):
        axes = [np.arange(a, b + h, h) for a, b in zip(low, high, strict=True)]
        x = np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=1)
        log_mass = law.log_prob(x) + law.dim * math.log(h)
        kept = log_mass > _NEGLIGIBLE
        terms = values(x[kept]) * h**law.dim
        found.append(terms.sum(axis=0))
        nodes += int(kept.sum())
        relative = np.abs(terms / np.exp(log_mass[kept])[:, None]).max(axis=0)
        cut = np.maximum(cut, 4 * relative * np.exp(log_mass[~kept]).sum())
    fine, coarse = found
    error = np.abs(fine - coarse) + cut + 64 * EPS * (1 + np.abs(fine))
    return [
        quadrature_estimate(float(v), float(e), n=nodes) for v, e in zip(fine, error, strict=True)
    ]


def affordable(objective: SingleObjective, most: int = 60) -> list[Features]:
    """The two largest families of control variates with at most ``most`` members."""
    if most == 0:
        return []
    return sorted((f for f in objective.features() if f.size <= most), key=lambda f: f.size)[-2:]


def drawn_mean(
    values: Callable[..., Vector],
    objective: SingleObjective,
    ctx: Context,
    *,
    pieces: int = 1,
    most: int = 60,
) -> Estimate:
    """``E values(draw)``, ``(n,)``, over the draws of ``objective``, with its control variates.

    Args:
        values: a function of the arrays of one draw.
        objective: says how the arrays are drawn.
        ctx: budget, level and generator.
        pieces: number of calls of one check that share budget and level.
        most: members of the largest family of control variates; zero for plain Monte Carlo.
    """
    families = affordable(objective, most)
    part = Part(values, objective.sampling, families)
    # A sixth of the standard budget is enough for every tolerance here; deeper profiles draw more.
    n = min(ctx.budget // pieces, max(16_000, ctx.budget // 6))
    return controlled_sum([part], n=n, rng=ctx.rng, level=ctx.level / pieces)


def information_bound(law: GaussianMixture) -> float:
    """``sum_k w_k tr Sigma_k^-1``, an upper bound of ``E|grad log p|^2``: the unit of relative errors."""
    return float(law.weights @ law.basis.trace(lambda v: 1 / v))


def largest(
    estimates: Sequence[Estimate],
    units: Sequence[float] | float,
    tolerance: float,
    ctx: Context,
    message: str,
    *,
    deciding: bool = True,
) -> Evidence:
    """Evidence on ``max |value| / unit`` over estimates that should all be zero, allowed ``[0, tolerance]``."""
    sizes = np.broadcast_to(np.asarray(units, dtype=np.float64), (len(estimates),)).tolist()
    low, high, value, effect = [], [], [], []
    for e, unit in zip(estimates, sizes, strict=True):
        ends = abs(e.low) / unit, abs(e.high) / unit
        low.append(0.0 if e.low <= 0 <= e.high else min(ends))
        high.append(max(ends))
        value.append(abs(e.value) / unit)
        effect.append(e.detectable / unit)
    measured = Measured(max(value), max(low), max(high))
    text = f"{message}: largest {max(value):.3g}"
    return _evidence(estimates, measured, (0.0, tolerance), max(effect), ctx, text, deciding)


def shown(
    estimate: Estimate,
    allowed: tuple[float, float],
    ctx: Context,
    message: str,
    *,
    deciding: bool = True,
) -> Evidence:
    """Evidence from one estimate and the interval that the claim allows."""
    measured = Measured(estimate.value, estimate.low, estimate.high)
    text = f"{message}: {estimate.value:.4g}"
    return _evidence([estimate], measured, allowed, estimate.detectable, ctx, text, deciding)


def ratio(top: Estimate, bottom: Estimate) -> Estimate:
    """``top / bottom`` of two positive numbers, by interval arithmetic.

    Its upper end is infinite where the interval of ``bottom`` reaches zero.
    """
    low = max(top.low, 0.0) / bottom.high
    high = top.high / bottom.low if bottom.low > 0 else math.inf
    both = top + bottom
    value = top.value / bottom.value
    ends = min(low, value), max(high, value)
    return Estimate(value, *ends, both.level, both.n, both.kind, ends[1] - ends[0])


def hull(values: Sequence[Estimate], pick: Callable[[Sequence[float]], float]) -> Estimate:
    """The largest (``pick`` is ``max``) or smallest (``min``) of several numbers, with an interval for it."""
    found = [e.value for e in values]
    one = values[found.index(pick(found))]
    ends = pick([e.low for e in values]), pick([e.high for e in values])
    kind = max((e.kind for e in values), key=KINDS.index)
    n = sum(e.n for e in values if e.kind == kind)
    return replace(one, low=ends[0], high=ends[1], n=n, kind=kind)


def number_of(evidence: Evidence) -> float:
    """The value that was measured; NaN where there is none."""
    return math.nan if evidence.measured is None else evidence.measured.value


def _evidence(
    estimates: Sequence[Estimate],
    measured: Measured,
    allowed: tuple[float, float],
    detectable: float,
    ctx: Context,
    message: str,
    deciding: bool,
) -> Evidence:
    drawn = any(e.kind == "confidence" for e in estimates)
    return Evidence(
        check="",
        kind="confidence" if drawn else "quadrature",
        measured=measured,
        allowed=Allowed(*allowed),
        deciding=deciding,
        level=ctx.level if drawn else 0.0,
        n=sum(e.n for e in estimates),
        detectable=detectable if drawn else None,
        seed=ctx.seed if drawn else None,
        message=message,
    )
