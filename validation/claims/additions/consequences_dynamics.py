"""What the refuted sentences on dynamics do to who uses them as printed."""

from __future__ import annotations

import numpy as np

from ....numerics.gaussian_law import EigenLaw, ula_affine
from ...claim import Check, Context
from ...evidence import Evidence
from ..langevin import TARGET
from ..tools import EPS, number
from . import Addition
from .tools import consequence


def _chain_variance(step: float, times: float, excess: float) -> Check:
    """Variance that ``x + d s + sqrt(2d) z``, ``d = times step``, ends with, over that of the target, less one.

    The prediction is ``1 / (1 - d / (2v)) - 1`` in the worst direction, to a tenth of itself.
    """

    def check(ctx: Context) -> Evidence:
        target = EigenLaw.of(TARGET)
        move = ula_affine(target, step=times * step)
        for _ in range(40):
            move = move.then(move)
        found = float(np.max(target.push(move).variance / target.variance - 1))
        return number(
            found,
            error=64 * EPS / step,
            allowed=(0.9 * excess, 1.1 * excess),
            n=2**40,
            message=f"A sampler that takes its chain of step {step:g} as exact returns draws whose variance is "
            f"{found:.1%} too large in the narrowest direction, however long it runs.",
        )

    return check


def _excess(step: float) -> float:
    v = float(EigenLaw.of(TARGET).variance.min())
    return 1 / (1 - step / (2 * v)) - 1


ADDED: dict[str, Addition] = {
    id: consequence(
        _chain_variance(step, 1.0, _excess(step)),
        wrong=[
            ("step-to-zero", _chain_variance(step, 1e-6, _excess(step))),
            ("half-the-step", _chain_variance(step, 0.5, _excess(step))),
        ],
    )
    for id, step in (("L4", 0.1), ("L5", 0.05))
}
