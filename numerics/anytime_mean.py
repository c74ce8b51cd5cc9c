"""A mean with one interval that holds at every look: stop at the first look that decides.

Looks are at doubling numbers of draws. The last has four fifths of the level, the others share the rest, and the
intersection of the intervals so far is an interval: whoever stops at a look chosen by what was seen is still covered.
Coefficients of control variates come from an independent pilot, and a trial decides between independent draws and
shifted nets before the first look.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Vector
from .control_variates import Candidate, Control, fit_control, pilot_size, shortest
from .estimate import Estimate
from .features import Features
from .proposals import law_sampling
from .rng import draw
from .rqmc import Design, has_transport, net_means, pays, shifted_nets

_LAST = 0.8  #: share of the level that the last look has
_FIRST = 2_000  #: least independent draws at a look
_LOOKS = 6
_BLOCK = 8192
#: how controls are judged: power of the weights of the pilot, least scale in units of the plain deviation. A small
#: scale gives short intervals, a large one forgives rare wild residuals.
_JUDGES = ((1.0, 0.0), (1.0, 0.003), (1.0, 0.02), (1.0, 0.05), (0.4, 0.02))
_SHARES = (0.4, 0.15, 0.15, 0.1, 0.1, 0.1)  #: of the level, the last without control
_WILD = 4.0  #: plain deviations that are the scale of a last resort, with half of the last share
_TRIED = 1  #: number of the control under which nets are tried
_EPS = float(np.finfo(np.float64).eps)


def anytime_mean(
    values: Callable[[Vector], Vector],
    law: Any,
    *,
    n: int,
    rng: np.random.Generator,
    level: float,
    features: Sequence[Features],
    decided: Callable[[Estimate], bool] = lambda e: False,
) -> Estimate:
    """``E_p f(x)`` with at most ``n`` draws, fewer where ``decided`` says so at a look.

    Args:
        values: f, ``(n, d) -> (n,)``; its code must not enter the features.
        law: p, a law with exact draws.
        n: draws in all, those of pilot and trial included.
        rng: generator.
        level: probability that the interval of any look misses the mean.
        features: candidate families of control variates.
        decided: whether an interval settles what is asked.

    Raises:
        ValueError: fewer than 64 draws.
    """
    if int(n) != n or n < 64:
        raise bad("n", n, "at least 64 draws", "raise the budget")
    pilot_rng, trial_rng, main_rng = rng.spawn(3)
    sampling = law_sampling(law)
    spent = pilot_size(n) if features else n // 20 + 16
    rows, weights = sampling.pilot(spent, pilot_rng)
    controls = fit_control(
        values(rows[0]), rows, features, weights=weights, n=n - spent, level=level, judges=_JUDGES
    )
    plain = controls[0].plain
    controls = (*controls, Control(None, np.zeros(0), plain, plain))
    plan, cost = _plan(values, law, controls, n - spent, level, trial_rng)
    spent += cost
    run = _Run(values, law, controls, plan, main_rng)
    counts = _looks(n - spent if plan is None else (n - spent) // plan.points, plan)
    found: Estimate | None = None
    for j, count in enumerate(counts):
        share = 1.0 if len(counts) == 1 else (1 - _LAST) / (len(counts) - 1)
        if 0 < j == len(counts) - 1:
            share = _LAST
        run.extend(count)
        one = run.estimate(share * level, spent)
        found = replace(one if found is None else _meet(found, one), level=level)
        if math.isnan(found.value) or decided(found):
            break
    assert found is not None  # there is at least one look
    return found


@dataclass(frozen=True)
class _Plan:
    """Nets of ``points`` points, and the standard deviation of their means in units of that of draws."""

    points: int
    ratio: float


def _plan(
    values: Callable[[Vector], Vector],
    law: Any,
    controls: Sequence[Control],
    n: int,
    level: float,
    rng: np.random.Generator,
) -> tuple[_Plan | None, int]:
    """Nets, or None for independent draws; and the draws that the trial cost."""
    design = Design.within(n, _LAST * level) if has_transport(law) else None
    if design is None or not controls[-1].plain > 0:
        return None, 0
    control = controls[_TRIED]
    spread, cost = pays(
        lambda x: control.residual(values(x), (x,)), law, design, _LAST * level, rng
    )
    return (None if math.isnan(spread) else _Plan(design.points, spread / control.scale)), cost


def _looks(total: int, plan: _Plan | None) -> list[int]:
    """Numbers of draws or nets at the looks, the last is ``total``."""
    counts = [total]
    # With fewer than half of the nets the variance has no bound.
    least = _FIRST if plan is None else math.ceil(0.7 * total)
    while len(counts) < _LOOKS and counts[0] // 2 >= least:
        counts.insert(0, counts[0] // 2)
    return counts


def _meet(one: Estimate, other: Estimate) -> Estimate:
    """The later estimate with the intersection of both intervals, or its own where they do not meet."""
    low, high = max(one.low, other.low), min(one.high, other.high)
    if not low <= high:
        return other
    value, detectable = min(max(other.value, low), high), min(one.detectable, other.detectable)
    tight = one if one.half_width < other.half_width else other
    # Both intervals are relied on where either gives an end.
    alone = [e for e in (other, one) if (e.low, e.high) == (low, high)]
    relied = alone[:1] or [one, other]
    return replace(
        other,
        low=low,
        high=high,
        value=value,
        detectable=detectable,
        assumption="; ".join(dict.fromkeys(e.assumption for e in relied)),
        reduction=tight.reduction,
    )


class _Run:
    """Residuals of the main run under all controls: of draws, or means over nets."""

    def __init__(
        self,
        values: Callable[[Vector], Vector],
        law: Any,
        controls: Sequence[Control],
        plan: _Plan | None,
        rng: np.random.Generator,
    ) -> None:
        self._values, self._law, self._controls = values, law, controls
        self._plan, self._rng = plan, rng
        self._rests: list[list[Vector]] = [[] for _ in controls]
        self._count, self._size = 0, 0.0

    def extend(self, count: int) -> None:
        """Draws until there are ``count`` values."""
        points = 1 if self._plan is None else self._plan.points
        while self._count < count:
            more = min(max(1, _BLOCK // points), count - self._count)
            if self._plan is None:
                x = draw(self._law, more, rng=self._rng)
            else:
                x = shifted_nets(self._law, more, points, self._rng)
            f = self._values(x)
            self._count, self._size = self._count + more, self._size + float(np.abs(f).sum())
            seen: dict[int, Vector] = {}  # judges may agree
            for control, rests in zip(self._controls, self._rests, strict=True):
                if id(control) not in seen:
                    seen[id(control)] = net_means(control.residual(f, (x,)), points)
                rests.append(seen[id(control)])

    def estimate(self, level: float, spent: int) -> Estimate:
        """The interval of what has been drawn; ``spent`` draws went before."""
        plan, controls = self._plan, self._controls
        points, ratio = (1, 1.0) if plan is None else (plan.points, plan.ratio)
        common = 8 * _EPS * self._size / (self._count * points)
        floors = [floor for _, floor in _JUDGES] + [0.0]
        # Known from independent nets for one control, and a guess for the others, which costs width at most.
        candidates = [
            Candidate(
                np.concatenate(rests),
                ratio * max(control.scale, floor * control.plain),
                common + control.bias,
                share,
            )
            for control, rests, floor, share in zip(
                controls, self._rests, floors, _SHARES, strict=True
            )
            if control.features is not None or control is controls[-1]
        ]
        last = candidates[-1]
        share = 0.5 * (1.0 if len(candidates) == 1 else last.share)
        wild = replace(last, scale=_WILD * last.scale, share=share)
        candidates = [*candidates[:-1], wild, replace(last, share=share)]
        found = shortest(candidates, level=level, spent=spent)
        if plan is None:
            return found
        return replace(
            found,
            n=spent + self._count * points,
            assumption=f"{found.assumption}, for means over shifted nets of {points} points",
        )
