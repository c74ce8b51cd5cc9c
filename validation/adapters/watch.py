"""Where the state of a sampler is whenever it asks its model, for loops that are not ours.

The data are one point, ``x_0 = c``. A sampler whose steps are exact for one point then hands over states
``a c + s eps`` with ``s/a`` the level that it tells. Both are read off by regression on the point, the starting
noise and the draws so far, which is exact: the state is linear in them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...numerics.designed_noise import tapped
from ...numerics.noise_log import NoiseLog
from ...numerics.rng import kept_random_state, torch_generator
from ...theory.protocols import Array
from .adapter import Gaps

_ROWS = 149  #: more than the unknowns of a short run, and no usual number of steps
_HEARD = 1e-6  #: relative residual of the regression

#: ``(state, level told)``: what a model tells the watch; returns the point.
Ask = Callable[[Array, float], Array]


def watched(
    play: Callable[[Callable[[float], Array], Ask, Any], None], *, rounding: float = 1e-6
) -> tuple[Gaps, ...]:
    """The comparison ``state-is-told`` of a loop.

    Args:
        play: ``(start, ask, rng)``: runs the sampler from ``start(level)`` at signal one, with a model that
            calls ``ask`` and returns what it gets.
        rounding: of a level, relative.

    Returns:
        One comparison, or none where draws are not heard.
    """
    import torch

    rng = np.random.default_rng(2)
    point, noise = rng.standard_normal((2, _ROWS, 1))
    c, e = torch.as_tensor(point), torch.as_tensor(noise)
    log, told, gaps = NoiseLog(_ROWS), [], []

    def ask(x: Array, level: float) -> Array:
        drawn = [d.values for d in log.draws if d.values is not None]
        columns = np.concatenate([point, noise, *drawn], axis=1)
        state = np.asarray(x.detach().cpu().numpy(), dtype=np.float64)[:, 0]
        gains, *_ = np.linalg.lstsq(columns, state, rcond=None)
        off = np.abs(columns @ gains - state).max() > _HEARD * np.abs(state).max()
        lost = off or columns.shape[1] > _ROWS // 2
        spread = float(np.linalg.norm(gains[1:]) / gains[0])
        told.append(np.log(level))
        gaps.append(np.nan if lost else np.log(spread) - np.log(level))
        return c

    with kept_random_state():
        torch.manual_seed(0)  # for those that draw from the global generator alone
        generator = torch_generator(rng)
        with tapped(generator, log):
            play(lambda level: c + level * e, ask, generator)
    if not gaps or not np.isfinite(gaps).all():
        return ()
    return (
        Gaps(
            check="state-is-told",
            sentence="the state that the model is handed has the level that it is told",
            gaps=np.array(gaps),
            unit="log sigma",
            resolution=1e-3,
            rounding=rounding,
            where=np.array(told),
        ),
    )
