"""Deterministic samplers on a mixture, whose score is not affine, against the exact probability flow."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ..numerics.rng import kept_random_state
from ..theory.protocols import Vector
from .adapters.adapter import Adapter
from .problems import PROBLEMS, Problem

COUNTS = (25, 100)
_POINTS = 8
_END = (
    1e-6  #: of the longest time; the flow does not move points between there and the data by 1e-5
)
_KNOWN: dict[
    tuple[float, ...], Vector
] = {}  #: exact ends by diffusion, which many configurations share


class Started(Problem):
    """A problem whose starting points are given."""

    rows: Any

    @classmethod
    def of(cls, problem: Problem, rows: Any) -> Started:
        """The problem with ``rows`` for starting points."""
        made: Any = problem.fresh()
        made.__class__ = cls
        made.rows = rows
        return made

    def prior(self, n: int, *, rng: Any) -> Any:
        """The given points."""
        return self.rows * 1.0


@cache
def _law() -> Any:
    return PROBLEMS["mixture-2d"].law


def mixture_errors(adapter: Adapter, problem: Problem) -> dict[str, Any]:
    """Root mean square distance of eight paths to their exact ends, by step count.

    Args:
        adapter: a deterministic sampler.
        problem: for its diffusion.
    """
    import torch

    low, high = problem.t_min, problem.t_max
    truth = Problem("mixture", _law(), problem.sde, t_min=low, t_max=high)
    start = truth.marginal(truth.t_max)
    u = (np.arange(_POINTS) + 0.5) / _POINTS
    z = np.random.default_rng(11).standard_normal((_POINTS, 2))
    rows = np.asarray(getattr(start, "law", start).transport(u, z))
    wanted = _ends(truth, rows)
    errors = []
    for count in COUNTS:
        given = Started.of(truth, torch.tensor(rows))
        with kept_random_state():
            torch.manual_seed(0)  # for those that draw from the global generator; it is put back
            rng = torch.Generator().manual_seed(1)
            out = adapter(given, _POINTS, steps=count, rng=rng)
        gap = out.detach().numpy().astype(np.float64).reshape(_POINTS, 2) - wanted
        errors.append(float(np.sqrt((gap**2).sum(axis=1).mean())))
    return {"steps": list(COUNTS), "errors": errors}


def _ends(truth: Problem, rows: Vector) -> Vector:
    times = np.linspace(0.1, 1.0, 7) * truth.t_max
    key = (truth.t_max, *(float(truth.sde.kernel(t).variance) for t in times))
    if key not in _KNOWN:
        _KNOWN[key] = np.asarray(truth.flow_map(rows, truth.t_max, _END * truth.t_max))
    return _KNOWN[key]
