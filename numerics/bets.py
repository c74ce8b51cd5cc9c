"""Bets on variables that have mean zero under a null: wealth that grows only where the null is wrong.

For a variable ``Y`` with ``E Y = 0`` and ``E Y^2 <= v`` under the null, and any number ``lam``,

    E (1 + lam Y + lam^2 Y^2 / 2) <= 1 + lam^2 v / 2,

and the left side is positive whatever ``Y`` is. The product over independent draws of the ratio of the two is an
e-process, without any bound on the values. Where ``|Y| <= b`` for sure, ``1 + lam Y`` with ``|lam| < 1/b`` is one
that needs no variance. Wealth is kept for a grid of ``lam`` of either sign, and averaged.

References: Catoni 2012; Waudby-Smith and Ramdas 2024; Wang and Ramdas 2023 (infinite variance).
"""

from __future__ import annotations

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Vector
from .e_processes import log_mean

#: bets in units of one over the standard deviation of the null
RATES = (0.5, 0.2, 0.08, 0.03, 0.012, 0.005)


class VarianceBets:
    """Wealth of bets on variables with mean zero and bounded second moments under the null.

    Args:
        second: bounds ``v_j`` on ``E Y_j^2`` under the null, shape ``(m,)``.

    Raises:
        ValueError: a bound that is not positive and finite.
    """

    def __init__(self, second: Vector) -> None:
        v = np.asarray(second, dtype=np.float64)
        if v.ndim != 1 or not (np.isfinite(v) & (v > 0)).all():
            raise bad("second", v, "positive finite numbers, shape (m,)", "pass bounds on E Y^2")
        rates = np.asarray([*RATES, *(-r for r in RATES)])
        self._lam = rates[:, None] / np.sqrt(v)
        self._paid = np.log1p(rates[:, None] ** 2 / 2)
        self._log = np.zeros(self._lam.shape)
        self.n = 0

    def update(self, y: Vector) -> None:
        """Adds draws ``(n, m)``."""
        self.n += len(y)
        for lam, log in zip(self._lam, self._log, strict=True):
            bet = lam * y
            log += np.log1p(bet + bet * bet / 2).sum(axis=0)

    @property
    def logs(self) -> Vector:
        """``log E`` of every variable, averaged over bets; shape ``(m,)``."""
        wealth = self._log - self.n * self._paid
        return np.array([log_mean(column) for column in wealth.T])

    @property
    def log_e(self) -> float:
        """``log E`` averaged over variables and bets."""
        return log_mean(self._log - self.n * self._paid)


class BoundedBets:
    """Wealth of bets on variables in ``[-b, b]`` with mean zero under the null, given the past.

    Args:
        bound: ``b``.
        members: number ``m`` of variables.

    Raises:
        ValueError: a bound that is not positive.
    """

    def __init__(self, bound: float, members: int) -> None:
        if not bound > 0:
            raise bad("bound", bound, "a positive number", "pass a bound on |Y|")
        rates = np.asarray([*RATES, *(-r for r in RATES)])
        self._lam = rates[:, None] / bound
        self._log = np.zeros((len(rates), members))
        self.n = 0

    def update(self, y: Vector) -> None:
        """Adds draws ``(n, m)``."""
        self.n += len(y)
        for lam, log in zip(self._lam, self._log, strict=True):
            log += np.log1p(lam * y).sum(axis=0)

    @property
    def logs(self) -> Vector:
        """``log E`` of every variable, averaged over bets; shape ``(m,)``."""
        return np.array([log_mean(column) for column in self._log.T])

    @property
    def log_e(self) -> float:
        """``log E`` averaged over variables and bets."""
        return log_mean(self._log)
