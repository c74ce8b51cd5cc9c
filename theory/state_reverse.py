"""Reversal of a diffusion whose coefficients depend on the point.

For ``dx = b(x, t) dt + sigma(x, t) dw`` with ``D = sigma sigma'``, densities ``p_t`` and any ``eta >= 0`` the process

    dx = [b - (1 + eta^2)/2 (div D + D grad log p_t)] dt + eta sigma dw,   time running from t_max to 0,

has the law ``p_t`` at every t, since ``div(D p) = (div D + D grad log p) p``. Without ``div D`` it has not, unless
D is free of x. In a coupled diffusion, whose noise enters the velocity alone, only the velocity's score is used.

Reference:
    Anderson 1982; Haussmann and Pardoux 1986; Song et al. 2021, Eq. 15.
"""

from __future__ import annotations

from typing import Any

from ._checks import bad
from ._rows import per_row
from ._timewise import values
from .arrays import is_array, like
from .general import SDE
from .protocols import Array
from .reverse import DriftOfReversal


class StateReverseDrift(DriftOfReversal):
    """``(x, t) -> b - (1 + eta^2)/2 (div D + D s_t(x))``, see :func:`reverse_drift`.

    Attributes:
        sde: the forward diffusion.
        eta: noise level; ``eta * sigma`` is the diffusion coefficient of the process.
    """

    sde: SDE

    def __init__(self, p: Any, sde: SDE, eta: float) -> None:
        known = hasattr(p, "marginal") or hasattr(sde, "marginal") or callable(p)
        if not known:
            raise bad(
                "p",
                type(p).__name__,
                "an object with marginal(t), or score(x, t)",
                "pass the score as a function of x and t",
            )
        super().__init__(p, sde, eta)

    def __call__(self, x: Array, t: Array) -> Array:
        """``dx/dt`` in forward time.

        Args:
            x: ``(..., d)``.
            t: a time, or one a row, shape ``(...)``.

        Returns:
            Shape ``(..., d)``. Gradients flow in ``x``; in ``t`` where the score is a function.

        Raises:
            ValueError: times out of range, or shapes that do not match.
        """
        pull, t = self._score(x, t)
        pushed = self.sde.divergence(x, t) + self.sde.spread(x, t, pull)
        return self.sde.drift(x, t) - 0.5 * (1 + self.eta**2) * pushed

    def noise(self, x: Array, t: Array) -> Array:
        """Diffusion coefficient ``eta sigma(x, t)``, in the shape of ``sde.diffusion(x, t)``."""
        return self.eta * self.sde.diffusion(x, t)

    def _score(self, x: Array, t: Array) -> tuple[Array, Array]:
        t = self.sde.check_time(t)
        per_row(t, x)
        if callable(self.p) and not hasattr(self.p, "marginal"):
            return self.p(x, t), t
        if is_array(t) and t.ndim > 0:
            return self._grouped(x, t), like(values(t), x)
        at = float(t)
        return self._law(at).score(x), at

    def _marginal(self, t: float) -> Any:
        if hasattr(self.p, "marginal"):
            return self.p.marginal(t)
        given: Any = self.sde  # a diffusion with closed marginals
        return given.marginal(self.p, t)
