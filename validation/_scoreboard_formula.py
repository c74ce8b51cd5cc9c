"""The order of a formula of diffusers apart from start-up, last step and timesteps.

The scheduler's table of noise levels is replaced by one that is uniform in log-SNR between two fixed levels. In its
first calls the state is put back onto the exact path each time, so that the history that a multistep formula
looks back on is exact; from then on it runs by itself, and its end is held against the exact flow. The network is
told the level that the scheduler uses. What is left is the error of the formula.
"""

from __future__ import annotations

import inspect
import math
from itertools import pairwise
from typing import Any

import numpy as np

from ..theory.protocols import Vector
from ._scoreboard_problem import Closed
from .adapters.diffusers import Run, SchedulerAdapter
from .adapters.families import Curve, Flow, Trigonometric

COUNTS = (12, 24, 48, 96)
#: Calls with an exact state: longer than any history, and whole groups of singlestep formulas of order 2 and 3.
_WARM = 6
_HIGH, _LOW = 5.0, 0.3  #: noise to signal at both ends
_OVER = {"lower_order_final": False, "euler_at_final": False, "final_sigmas_type": "sigma_min"}
_GRIDS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas")
_DOUBLE, _SINGLE = 1e-11, 3e-5  #: errors below are rounding, relative to the state


def formula_order(
    adapter: SchedulerAdapter, problem: Any, *, single: bool
) -> dict[str, Any] | None:
    """Local orders of the formula, coarse to fine, and the last that stands out of the rounding.

    Args:
        adapter: a deterministic scheduler.
        problem: the data.
        single: whether numbers inside are float32.

    Returns:
        ``{"steps", "errors", "local", "order"}``, or None where the scheduler holds no table that can be replaced.
    """
    family = adapter._family
    if isinstance(family, Curve | Trigonometric):
        return None
    errors = []
    for count in COUNTS:
        found = _error(adapter, problem, count)
        if found is None:
            return None
        errors.append(found)
    local = [math.log2(a / b) if a > 0 < b else math.nan for a, b in pairwise(errors)]
    limit = _SINGLE if single else _DOUBLE
    loud = [v for v, e in zip(local, errors[1:], strict=True) if e > limit and math.isfinite(v)]
    return {
        "steps": list(COUNTS),
        "errors": errors,
        "local": local,
        "order": loud[-1] if loud else None,
    }


def _error(adapter: SchedulerAdapter, problem: Any, count: int) -> float | None:
    """Root mean square error at the end."""
    run = _run(adapter, count)
    if run is None:
        return None
    family = adapter._family
    truth = Closed.of(adapter.truth(problem))
    times = [run.used(call) for call in range(run.calls)]
    times.append(family.level(float(run.scheduler.sigmas[run.calls])))
    x = path = _start(truth, times[0])

    def model(call: int, told: float, handed: Any) -> Any:
        seen = family.seen(handed, times[call])
        return family.output(truth.denoiser(seen, times[call]), seen, times[call], run.kind)

    for call in range(run.calls):
        if call <= _WARM:
            if hasattr(run.scheduler, "last_sample"):
                run.scheduler.last_sample = None  # or a corrector would carry its start-up along
            x = truth.flow_map(path, times[0], times[call]) * family.factor(times[call])
        x = run.step(call, x, model)
    wanted = truth.flow_map(path, times[0], times[-1]) * family.factor(times[-1])
    return float((x - wanted).square().sum(dim=1).mean().sqrt())


def _run(adapter: SchedulerAdapter, count: int) -> Run | None:
    """A run on the replaced table."""
    import torch

    made = adapter._class
    takes = inspect.signature(made).parameters
    config = {**adapter._config, **{k: v for k, v in _OVER.items() if k in takes}}
    config |= {k: False for k in _GRIDS if k in takes}
    calls = count + _WARM
    run = Run(made(**config), adapter._family, calls, adapter._step, torch.Generator())
    scheduler = run.scheduler
    held = getattr(scheduler, "sigmas", None)
    if held is None or len(held) != calls + 1 or len(run.told) != calls:
        return None
    ratio = math.exp(math.log(_LOW / _HIGH) / count)
    levels = _HIGH * ratio ** np.arange(-_WARM, count + 1)
    flow = isinstance(adapter._family, Flow)
    sigmas = levels / (1 + levels) if flow else levels
    scheduler.sigmas = torch.as_tensor(sigmas)
    scheduler.timesteps = torch.arange(calls, 0, -1, dtype=torch.float64)
    run.told = [float(t) for t in scheduler.timesteps]
    return run


def _start(truth: Closed, time: float) -> Any:
    """Points one standard deviation along each axis and some far out, on the marginal."""
    import torch

    law = truth.marginal(time)
    root = np.linalg.cholesky(np.asarray(law.covariance))
    z: Vector = np.concatenate([np.eye(truth.dim), -2 * np.eye(truth.dim)])
    return torch.as_tensor(np.asarray(law.mean) + z @ root.T)
