"""Ledger, Langevin dynamics: L1 and L2, the diffusions that leave a density stationary."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...theory.mixtures import GaussianMixture
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .derivatives import divergence, laplacian
from .laws import points_of, skewed_1d, skewed_2d, skewed_8d
from .tools import EPS, agreement, named


def _stationary(pull: float, spread: float) -> Check:
    """``-div(pull p s) + spread lap p`` with derivatives of the density itself, relative to its terms."""

    def check(ctx: Context) -> Evidence:
        rests, size = [], 0.0
        for law in (skewed_1d(), skewed_2d(), skewed_8d()):
            x = points_of(law, reach=2.0)

            def density(y: Any, law: GaussianMixture = law) -> Any:
                return law.log_prob(y).exp()

            def flux(y: Any, law: GaussianMixture = law) -> Any:
                return law.log_prob(y).exp()[:, None] * law.score(y)

            p = np.exp(law.log_prob(x))
            out = pull * divergence(flux, x) / p
            back = spread * laplacian(density, x) / p
            size = max(size, float(np.abs(out).max()))
            rests.append(back - out)
        rest = np.concatenate(rests)
        return agreement(
            rest / size,
            np.zeros_like(rest),
            # two second derivatives in up to 8 dimensions, relative to their largest value
            bound=4096 * EPS,
            tolerance=1e-8,
            message="Fokker-Planck right-hand side at p over the size of its terms, d = 1, 2, 8",
        )

    return check


def _weak(pull: float, spread: float) -> Check:
    """``E_p[pull s . grad phi + spread lap phi] = 0`` for plane waves phi, by quadrature."""

    def check(ctx: Context) -> Evidence:
        from ...numerics.quadrature import expectation

        worst, error, nodes = 0.0, 0.0, 0
        waves = np.array([[0.7, -0.4], [1.3, 0.9], [-0.5, 1.6]])
        for law in (skewed_1d(), skewed_2d()):
            for wave in waves[:, : law.dim]:

                def term(x: Vector, w: Vector = wave, law: GaussianMixture = law) -> Vector:
                    phase = x @ w + 0.3
                    along = -np.sin(phase)[:, None] * w
                    return pull * (law.score(x) * along).sum(1) - spread * (w @ w) * np.cos(phase)

                found = expectation(term, law)
                worst = max(worst, abs(float(found.value)))
                error = max(error, float(found.error))
                nodes += found.evaluations
        return agreement(
            worst,
            0.0,
            bound=error,
            tolerance=1e-7,
            kind="quadrature",
            n=nodes,
            message="mean of the generator applied to three plane waves, in one and two dimensions",
        )

    return check


def _stationarity(
    id: str, equation: str, source: tuple[str, ...], pull: float, spread: float
) -> Claim:
    wrong = {
        "noise-halved": (pull, spread / 2),
        "score-halved": (pull / 2, spread),
        "sign-of-the-score": (-pull, spread),
    }
    return Claim(
        id,
        rf"${equation}$ leaves $p$ stationary: its Fokker-Planck right-hand side vanishes at $p$",
        checks={"pointwise": _stationary(pull, spread), "weak": _weak(pull, spread)},
        mutants={
            "pointwise": [named(_stationary(*v), k) for k, v in wrong.items()],
            "weak": [named(_weak(*v), k) for k, v in wrong.items()],
        },
        source=source,
        assumptions=("decided on skewed mixtures in one, two and eight dimensions",),
        finding=lambda evidence: (
            r"With a drift $c\nabla\log p$ and a noise of variance $2b$ a unit of time the right-hand side is "
            r"$(b - c)\,\Delta p$: it vanishes at every p exactly for b = c, "
            f"here {spread:g} and {pull:g} (gap {evidence['pointwise'].value:.1g} of its terms)."
        ),
        role="printed",
        group="ledger",
    )


CLAIMS: tuple[Claim, ...] = (
    _stationarity(
        "L1", r"dX = \nabla\log p\,dt + \sqrt{2}\,dW", ("001", "004"), pull=1.0, spread=1.0
    ),
    _stationarity("L2", r"dX = \frac12\nabla\log p\,dt + dW", ("000",), pull=0.5, spread=0.5),
)
