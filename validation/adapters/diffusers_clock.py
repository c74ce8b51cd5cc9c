"""Compares, call by call, what a network is told, what the scheduler uses, and the level of the state it is handed.

The data are one point: ``x_0 = c``. Then every consistent step from an exact state ends in an exact state: its signal
and noise are those of the level that the next call is told. At each call the state is put back onto the level
that the scheduler uses, so that every step is judged alone. Signal and noise of the state after it are read off by
regression on the point, the starting noise and the recorded draws, which is exact: the state is linear in them. Where
it is not (draws that are not heard), that comparison is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...numerics.designed_noise import tapped
from ...numerics.noise_log import NoiseLog
from ...numerics.rng import kept_random_state, torch_generator
from ...theory.protocols import Array, Vector
from .adapter import Gaps
from .families import Family

_ROWS = 149  #: more than the unknowns of a run of the steps below, and no usual number of steps
MOST = 60  #: steps
_HEARD = 1e-4  #: relative residual of the regression, above float32


def readings(
    made: Callable[[], Any], family: Family, steps: int, options: dict[str, Any]
) -> tuple[Gaps, ...]:
    """All comparisons at one step count.

    Args:
        made: makes a fresh scheduler.
        family: its conventions.
        steps: for ``set_timesteps``.
        options: of ``step``.
    """
    import torch

    from .diffusers import Run

    rng = np.random.default_rng(2)
    point, noise = rng.standard_normal((2, _ROWS, 1))
    with kept_random_state():
        torch.manual_seed(0)  # for those that draw from the global generator alone
        log = NoiseLog(_ROWS)
        generator = torch_generator(rng)
        with tapped(generator, log):
            run = Run(made(), family, steps, options, generator)
            told, used, reached = [], [], []
            c, e = torch.as_tensor(point), torch.as_tensor(noise)
            for call in range(run.calls):
                now = run.used(call)
                told.append(family.tick(family.told(run.told[call])))
                used.append(family.tick(now))
                kernel = family.sde.kernel(now)
                x = float(kernel.scale) * c + float(kernel.std) * e

                def model(at: int, told: float, handed: Array, now: float = now) -> Array:
                    return family.output(c, family.seen(handed, now), now, run.kind)

                out = run.step(call, x * family.factor(now), model)
                reached.append(_level(family, out.numpy(), point, noise, log))
    levels = np.array(told)
    state = np.array(reached[:-1]) - levels[1:]
    common: dict[str, Any] = {
        "unit": family.unit,
        "resolution": family.resolution,
        "rounding": family.rounding,
    }
    found = [
        Gaps(
            check="told-is-used",
            sentence="the level that the model is told is the level that the scheduler uses",
            gaps=np.array(used) - levels,
            where=levels,
            **common,
        )
    ]
    if len(state) and np.isfinite(state).all():
        found.append(
            Gaps(
                check="state-is-told",
                sentence="the state that the model is handed has the level that it is told",
                gaps=state,
                where=levels[1:],
                **common,
            )
        )
    return (*found, *_ends(made, family, common))


def _level(family: Family, out: Vector, point: Vector, noise: Vector, log: NoiseLog) -> float:
    drawn = [d.values for d in log.draws if d.values is not None]
    columns = np.concatenate([point, noise, *drawn], axis=1)
    # A Brownian tree draws all its nodes: nothing can be told apart.
    if columns.shape[1] > _ROWS // 2 or not np.isfinite(out).all():
        return float("nan")
    gains, *_ = np.linalg.lstsq(columns, out[:, 0], rcond=None)
    if np.abs(columns @ gains - out[:, 0]).max() > _HEARD * np.abs(out).max():
        return float("nan")
    return family.tick(family.reached(float(gains[0]), float(np.linalg.norm(gains[1:]))))


def _ends(made: Callable[[], Any], family: Family, common: dict[str, Any]) -> tuple[Gaps, ...]:
    """Whether as many steps as in training run over the levels of training, as the constructor lays them out."""
    fresh = made()
    trained, size = (
        getattr(fresh, "timesteps", None),
        getattr(fresh.config, "num_train_timesteps", None),
    )
    if trained is None or size is None or family.unit != "timesteps" or len(trained) != size:
        return ()
    named = ("sigma_min", "sigma_max", "shift_terminal")
    clipped = float(fresh.config.get("lambda_min_clipped", -np.inf)) > -np.inf
    if clipped or any(fresh.config.get(name) is not None for name in named):
        return ()  # the user names other ends than those of training
    if fresh.config.get("use_flow_sigmas"):
        return ()  # the constructor lays out the levels of another diffusion
    offset = float(getattr(fresh.config, "steps_offset", 0) or 0)
    before = np.sort([family.tick(family.told(float(t))) for t in trained])
    try:
        fresh.set_timesteps(int(size))
    except (
        Exception
    ):  # such a step count is not foreseen (shortened schedules): nothing to compare
        return ()
    after = np.sort([family.tick(family.told(float(t))) for t in fresh.timesteps])
    ends = np.array([before[0], before[-1]])
    return (
        Gaps(
            check="range-of-training",
            sentence="as many steps as in training run from the first level of training to the last",
            gaps=np.array([after[0], after[-1]]) - ends,
            where=ends,
            # A grid may leave out one end of training, and start later by its documented offset.
            **{**common, "resolution": 1.0 + common["resolution"] + offset},
        ),
    )
