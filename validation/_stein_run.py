"""Stein terms of one stream of draws: effects where they are clipped, an e-process where they are not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from ..numerics import confidence as ci
from ..numerics.bets import VarianceBets
from ..numerics.e_processes import log_mean
from ..numerics.stein import Frame, SteinTerms, Witness
from ..theory.protocols import Vector
from ._user_code import UserCodeError, as_reals, call_user
from .evidence import Evidence, Measured, Outcome
from .verdict import Mutant

KEPT = 512  #: draws that fix bounds, and that the kernel's witness looks at
MARGIN = 2.0  #: second moments under the law are taken to be at most this times their pilot's
_BOUND = 10.0  #: Stein terms are clipped here, in standard deviations, where an effect is bounded
_POWER = -float(special.ndtri(1e-4))
BLIND = "a score does not see the weights of separated modes, so that a law is never supported by it alone"


class SteinRun:
    """Stein terms of one stream; the first batch fixes coordinates and bounds, unless exact draws did."""

    def __init__(self, target: Any, rng: np.random.Generator) -> None:
        self.target, self._rng = target, rng
        self.n, self.log_e = 0, 0.0
        self._terms: SteinTerms | None = None
        self._witness: Witness | None = None
        self._witness_bets: VarianceBets | None = None
        self._sums: ci.PowerSums | None = None
        self.second: Vector = np.zeros(0)
        self._column: list[Vector] = []

    def look(self, pilot: Vector) -> None:
        """Fixes the frame, the directions, the bounds and the kernel's witness on draws that are not tested."""
        law, most = self.target, pilot[:KEPT]
        terms = SteinTerms(Frame.of(pilot), self._rng)
        curvature = terms.curvature(_asked(law.hessian, most, "hessian"))
        self.second = np.maximum(terms.second_moments(MARGIN * curvature), 1e-12)
        self._bets = VarianceBets(self.second)
        half = len(most) // 2
        s = self.score(most)
        witness = Witness(terms.frame, most[:half], s[:half])
        square = float(np.mean(witness(most[half:], s[half:]) ** 2))
        self._witness_bets = VarianceBets(np.array([MARGIN * max(square, 1e-300)]))
        self._terms, self._witness = terms, witness

    def score(self, x: Vector) -> Vector:
        """The score of the law, ``(n, d)``.

        Raises:
            UserCodeError: it raises, or is not finite.
        """
        return _asked(self.target.score, x, "score")

    def add(self, x: Vector) -> None:
        """Adds draws ``(n, d)``."""
        if self._terms is None:
            self.look(x)
            return
        s = self.score(x)
        terms, witness, bets = self._terms, self._witness, self._witness_bets
        assert witness is not None and bets is not None
        for i in range(0, len(x), 4096):
            part, along = x[i : i + 4096], s[i : i + 4096]
            y = terms(part, along)
            self._bets.update(y)
            bets.update(witness(part, along)[:, None])
            unit = np.clip(y / np.sqrt(self.second), -_BOUND, _BOUND)
            sums = ci.PowerSums.of(unit, 0.0)
            self._sums = sums if self._sums is None else self._sums + sums
            self._column.append(unit[:, 0].copy())
        self.n += len(x)
        self.log_e = log_mean([self._bets.log_e, bets.log_e])

    def leading(self) -> tuple[str, float]:
        """The largest mean of the terms, in standard deviations."""
        assert self._terms is not None and self._sums is not None
        j = int(np.argmax(np.abs(self._sums.mean)))
        return self._terms.names[j], float(self._sums.mean[j])

    def effect(self, common: dict[str, Any]) -> Evidence:
        """``max_j |E clip(A psi_j / sd_j, +-10)|``, less the 1/40 that clipping alone may make."""
        if self._sums is None:
            said = "not measured: all draws went into the pilot; 1,000 are a beginning"
            return Evidence(
                check="stein", measured=Measured(0.0, 0.0, math.inf), message=said, **common
            )
        value, low, high = _clipped(self._sums, common["level"])
        return Evidence(
            check="stein",
            measured=Measured(value, low, high),
            detectable=_stein_seen(self.n, self._sums.sums.shape[1], common["level"]),
            message=f"largest Stein term {value:.3g} standard deviations, certified in [{low:.3g}, {high:.3g}]",
            **common,
        )

    def mutants(
        self, *, exact: bool, tolerance: float, level: float, parts: int = 1
    ) -> list[Mutant]:
        """The first term shifted; ``parts`` e-processes are averaged, this one is among them."""
        if self._sums is None:
            said = "all draws went into the pilot"
            check = "exact" if exact else "stein"
            return [
                Mutant(
                    name="shifted",
                    outcome=Outcome.UNDECIDED,
                    check=check,
                    underpowered=True,
                    message=said,
                )
            ]
        size = (0.0 if exact else tolerance) + 2 * _stein_seen(
            self.n, self._sums.sums.shape[1], level
        )
        column = np.concatenate(self._column)
        column = column - column.mean()
        if exact:
            bets = VarianceBets(np.ones(1))
            bets.update((column + size)[:, None])
            log_e = bets.log_e - math.log(2.0 * parts * len(self.second))
            outcome = Outcome.REFUTED if log_e >= -math.log(level) else Outcome.UNDECIDED
            said = f"a term shifted by {size:.3g} standard deviations: log10 e {log_e / math.log(10):.1f}"
            return [Mutant(name="shifted", outcome=outcome, check="exact", message=said)]
        wrong = np.clip(column + size + 1 / (4 * _BOUND), -_BOUND, _BOUND)[:, None]
        sums = ci.PowerSums.of(wrong, 0.0)
        value, low, _ = _clipped(sums, level, members=self._sums.sums.shape[1])
        outcome = Outcome.REFUTED if low > tolerance else Outcome.SUPPORTED
        said = f"a term shifted by {size:.3g} standard deviations, seen as {value:.3g}, at least {low:.3g}"
        return [Mutant(name="shifted", outcome=outcome, check="stein", message=said)]


def _clipped(
    sums: ci.PowerSums, level: float, *, members: int | None = None
) -> tuple[float, float, float]:
    """Largest clipped mean in standard deviations with its bounds.

    ``|E clip(Y)| <= E (|Y| - b)_+ <= E Y^2 / (4 b)`` under the law, which is taken off and added.
    """
    each = level / (2 * (sums.sums.shape[1] if members is None else members))
    ends = (-_BOUND, _BOUND)
    slack = 1 / (4 * _BOUND)
    low = np.maximum(
        ci.betting_lower(sums, ends, 1.0, each), -ci.betting_upper(sums, ends, 1.0, each)
    )
    high = np.maximum(
        ci.betting_upper(sums, ends, 1.0, level / 2), -ci.betting_lower(sums, ends, 1.0, level / 2)
    )
    value = float(np.abs(sums.mean).max())
    bottom = min(max(float(low.max()) - slack, 0.0), value)
    return value, bottom, max(float(high.max()) + slack, value)


def _stein_seen(n: int, members: int, level: float) -> float:
    radius = ci.betting_radius(n, 1.0, 2 * _BOUND, level / (2 * members))
    return radius + 1 / (4 * _BOUND) + _POWER / math.sqrt(n)


def _asked(f: Callable[[Vector], Any], x: Vector, name: str) -> Vector:
    """What the law's own code says at draws ``(n, d)``: a score ``(n, d)`` or Hessians ``(n, d, d)``."""
    said = f"the target's {name}"
    out, _ = as_reals(call_user(f, x.copy(), name=said), name=said)
    wanted = x.shape if name == "score" else (*x.shape, x.shape[1])
    if out.shape != wanted:
        raise UserCodeError(
            f"{said}: got shape {out.shape}, wanted {wanted}; see theory/protocols"
        )
    if not np.isfinite(out).all():
        raise UserCodeError(
            f"{said} is not finite at some draws; restrict the draws to its domain"
        )
    return out
