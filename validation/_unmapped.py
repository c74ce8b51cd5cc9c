"""``check_samples`` for laws without an exact map to normals: against exact draws, or by the score alone.

Where the law can be drawn, exact draws stand in for it, and effects are certified on both samples. Where only its
score is known, Stein terms are all there is: they may refute, and never support, since a score does not see
the weights of separated modes. Where laws of projections or of log p are known, they are watched beside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import special

from ..numerics.e_processes import log_mean
from ..numerics.rng import draw, substream
from ..numerics.stein import kernel_stein_discrepancy
from ..numerics.two_sample import (
    RATIO,
    TwoSampleMachine,
    shift_log_wealth,
    two_sample_needed,
)
from ..theory.protocols import Vector
from ._corruptions import CORRUPTED, NAMES, smallest
from ._line_run import UNKNOWN, LineRun, log_density
from ._sample_run import Batches
from ._stein_run import BLIND, KEPT, MARGIN, SteinRun
from ._user_code import as_draws, call_user
from .evidence import Allowed, Evidence, Measured, Outcome
from .verdict import Mutant

_PILOT = 4_000  #: exact draws that fix the coordinates
_STEIN_BUDGET = 50_000
_POWER = -float(special.ndtri(1e-4))


@dataclass
class Unmapped:
    """One stream of draws against a law that has draws, or a score, and no map to normals.

    Args:
        target: the law.
        tolerance: allowed size of every effect.
        exact: decide by the e-process alone.
        false_alarm: level of the run.
        seed: entropy.
    """

    target: Any
    tolerance: float
    exact: bool
    false_alarm: float
    seed: int
    n: int = 0
    peak: float = 0.0
    stein: SteinRun | None = None
    pairs: TwoSampleMachine | None = None
    lines: LineRun | None = None
    _columns: list[tuple[Vector, Vector]] = field(default_factory=list)
    _rows: list[Vector] = field(default_factory=list)
    _seen: float | None = None

    def prepare(self) -> None:
        """Pilots and directions, before any draw is asked for.

        Raises:
            UserCodeError: the law cannot be drawn, or its score or Hessian fails.
        """
        target = self.target
        drawable = hasattr(target, "draw_with") or hasattr(target, "transport")
        if drawable:
            self._pilot = _drawn(target, _PILOT, substream(self.seed, "pilot"))
            levels = log_density(target, self._pilot) if self._levelled else None
            self.pairs = TwoSampleMachine(
                self._pilot, substream(self.seed, "directions"), levels=levels
            )
            self._truth = substream(self.seed, "truth")
        if hasattr(target, "score") and hasattr(target, "hessian"):
            self.stein = SteinRun(target, substream(self.seed, "stein"))
            if drawable:
                self.stein.look(self._pilot)
        if LineRun.knows(target):
            self.lines = LineRun(target, substream(self.seed, "lines"))

    @property
    def _levelled(self) -> bool:
        return hasattr(self.target, "log_prob") or hasattr(self.target, "log_density")

    @property
    def parts(self) -> int:
        """E-processes that are averaged."""
        return sum(part is not None for part in (self.pairs, self.stein, self.lines))

    @property
    def wanted(self) -> int:
        """Draws with which an exact sampler is decided, or those that are worth their cost."""
        if self.pairs is None:
            return _STEIN_BUDGET
        needed = two_sample_needed(
            int(self.target.dim),
            self.pairs.spread,
            tolerance=self.tolerance,
            level=self.false_alarm,
        )
        return min(needed, 1_000_000)

    def go(self, batches: Batches) -> None:
        """Reads all batches, or in exact mode until the e-process decides."""
        for k, size in enumerate(batches.sizes):
            x, _ = batches.make(k, size)
            self._add(x)
            if self.exact and self.peak >= -math.log(self.false_alarm):
                return

    def _add(self, x: Vector) -> None:
        parts = []
        if self.pairs is not None:
            y = _drawn(self.target, RATIO * len(x), self._truth)
            levels = None
            if self._levelled:
                levels = (log_density(self.target, x), log_density(self.target, y[: len(x)]))
            self.pairs.update(x, y, levels)
            parts.append(self.pairs.log_e)
            first = self.pairs.directions[:, 0]
            frame = self.pairs.frame
            self._columns.append((frame.points(x) @ first, frame.points(y) @ first))
        if self.stein is not None:
            self.stein.add(x)
            parts.append(self.stein.log_e)
        if self.lines is not None:
            self.lines.add(x)
            parts.append(self.lines.log_e)
        if self.n < KEPT:
            self._rows.append(x[:KEPT])
        self.n += len(x)
        self.peak = max(self.peak, log_mean(parts) if parts else 0.0)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the bounds take for granted beyond independence."""
        out = ["repeated draws are not looked for: without a map the law of repeats is not known"]
        if self.pairs is not None:
            out.append(f"{RATIO} exact draws of the law stand for it beside every draw")
        if self.stein is not None:
            out.append(
                f"second moments under the law are at most {MARGIN:g} times those found at up to {KEPT} pilot draws: "
                f"of the Stein terms by their exact variance, of the kernel's witness by its mean square; {BLIND}"
            )
        out.append(
            UNKNOWN
            if self.lines is None
            else f"{len(self.lines.lines)} projections or levels whose law is known are watched by the e-process alone"
        )
        return tuple(out)

    @property
    def exact_refuted(self) -> bool:
        """Whether "independent and exactly from the law" is refuted."""
        return self.peak >= -math.log(self.false_alarm)

    def evidence(self, seconds: float) -> tuple[Evidence, ...]:
        """Effects against exact draws, or Stein effects; the e-process; the kernel's discrepancy."""
        out: list[Evidence] = []
        top = Allowed(0.0, self.tolerance)
        common: dict[str, Any] = {
            "kind": "confidence",
            "allowed": top,
            "deciding": not self.exact,
            "level": self.false_alarm,
            "n": self.n,
            "seed": self.seed,
        }
        if self.pairs is not None:
            for e in self.pairs.effects(self.false_alarm):
                said = (
                    f"{e.name} against {RATIO * self.n:,} exact draws: {e.value:.3g}, "
                    f"certified in [{e.low:.3g}, {e.high:.3g}]"
                )
                out.append(
                    Evidence(
                        check=e.name,
                        measured=Measured(e.value, e.low, e.high),
                        detectable=e.detectable,
                        message=said,
                        **common,
                    )
                )
        elif self.stein is not None:
            out.append(self.stein.effect(common))
            out.append(
                Evidence(
                    check="mode-weights",
                    measured=Measured(0.5, 0.0, 1.0),  # all that is known of a probability
                    message=f"not measured: {BLIND}",
                    **{**common, "n": 0},
                )
            )
        else:
            said = "not measured: the law has neither draws nor a score"
            unknown = Measured(0.5, 0.0, 1.0)
            out.append(
                Evidence(check="effects", measured=unknown, message=said, **{**common, "n": 0})
            )
        out.append(self._test(seconds))
        return tuple(out)

    def _test(self, seconds: float) -> Evidence:
        text = (
            f"log10 e reached {self.peak / math.log(10):.2f}, "
            f"{-math.log10(self.false_alarm):.1f} refutes exactness"
        )
        return Evidence(
            check="exact",
            kind="test",
            deciding=self.exact,
            log10_e=self.peak / math.log(10),
            level=self.false_alarm,
            n=self.n,
            detectable=self.detectable,
            seed=self.seed,
            seconds=seconds,
            message=text,
        )

    @property
    def finding(self) -> str:
        """The kernel Stein discrepancy, a number without a guarantee: its law under the target is not known."""
        rows = np.concatenate(self._rows)[:KEPT]
        if self.stein is None or len(rows) < 2:
            return ""
        square, error = kernel_stein_discrepancy(rows, self.stein.score)
        return (
            f"Square of the kernel Stein discrepancy of the first {len(rows)} draws: {square:.3g}, standard error "
            f"about {error:.2g} where the draws are wrong; it decides nothing, its e-process does."
        )

    @property
    def detectable(self) -> float | None:
        """Smallest shift of the first direction that the e-process sees with probability 1 - 1e-4, or infinity.

        The logarithm of a bet's wealth is a sum over independent draws. Its mean and deviation are those on the exact
        draws that stand for the law, one half shifted against the other; the sum is taken as normal.
        """
        if self.pairs is None or not self.n:
            return None
        if self._seen is None:
            self._seen = self._smallest_shift()
        return self._seen

    def _smallest_shift(self) -> float:
        assert self.pairs is not None
        truth = np.concatenate([b for _, b in self._columns])[: 2 * _PILOT]
        half = len(truth) // 2
        first, second = truth[:half], truth[half : 2 * half]
        # The fixed bets share their half of the pairs, and the pairs the run.
        needed = -math.log(self.false_alarm) + math.log(2.0 * self.parts * self.pairs.bets)

        def sees(size: float) -> bool:
            return shift_log_wealth(first + size, second, self.n, _POWER) >= needed

        return smallest(sees, top=20.0)

    def mutants(self, decided: Outcome) -> list[Mutant]:
        """Draws already obtained, corrupted by more than may be overlooked, through the same statistics."""
        known = self.lines is not None and self.exact and self.n > 0
        out = [self.lines.mutant(self.false_alarm, self.parts)] if known and self.lines else []
        if self.pairs is not None:
            return out + self._against_draws(decided)
        if self.stein is None:
            return out
        level = self.false_alarm
        return out + self.stein.mutants(
            exact=self.exact, tolerance=self.tolerance, level=level, parts=self.parts
        )

    def _against_draws(self, decided: Outcome) -> list[Mutant]:
        assert self.pairs is not None
        x = np.concatenate([a for a, _ in self._columns])
        y = np.concatenate([b for _, b in self._columns])
        if decided is Outcome.REFUTED:
            # Draws that are refuted already would hide what the corruption does: exact ones take their place.
            x, y = y[: len(x)], y[len(x) :]
        if self.exact:
            return [self._shifted(x, y)]
        out = []
        for e in self.pairs.effects(self.false_alarm):
            size = self.tolerance + 2 * e.detectable
            if not e.sees_mutants(self.tolerance):
                said = (
                    f"n too small: only defects of {size:.3g} are sure to be seen, "
                    f"and {e.largest:.3g} is the largest"
                )
                out.append(
                    Mutant(
                        name=NAMES[e.name],
                        outcome=Outcome.UNDECIDED,
                        check=e.name,
                        underpowered=True,
                        message=said,
                    )
                )
                continue
            line = self._line(y)
            line.update(CORRUPTED[e.name](x, size)[:, None], y[:, None])
            found = next(f for f in line.effects(self.false_alarm) if f.name == e.name)
            out.append(
                Mutant(
                    name=NAMES[e.name],
                    outcome=Outcome.REFUTED if found.low > self.tolerance else Outcome.SUPPORTED,
                    check=e.name,
                    message=f"corrupted by {size:.3g}, seen as {found.value:.3g}, at least {found.low:.3g}",
                )
            )
        return out

    def _line(self, y: Vector) -> TwoSampleMachine:
        assert self.pairs is not None
        rng = substream(self.seed, "mutants")
        return TwoSampleMachine(y[:_PILOT, None], rng, members=self.pairs.members)

    def _shifted(self, x: Vector, y: Vector) -> Mutant:
        assert self.pairs is not None
        size = 2 * (self.detectable or math.inf)
        if not math.isfinite(size):
            return Mutant(
                name="shifted",
                outcome=Outcome.UNDECIDED,
                check="exact",
                underpowered=True,
                message=f"{len(x)} draws are too few for any shift to be sure to be seen",
            )
        line = self._line(y)
        line.update(x[:, None] + size, y[:, None])
        # The line averages over its own bets and a witness; the run over those of all directions and of all tests.
        log_e = line.log_e - math.log(self.parts * self.pairs.bets / line.bets)
        seen = log_e >= -math.log(self.false_alarm)
        return Mutant(
            name="shifted",
            outcome=Outcome.REFUTED if seen else Outcome.UNDECIDED,
            check="exact",
            message=f"one direction shifted by {size:.3g} standard deviations: log10 e {log_e / math.log(10):.1f}",
        )


def _drawn(target: Any, n: int, rng: np.random.Generator) -> Vector:
    """Exact draws of a law whose code is the user's."""
    found = call_user(draw, target, n, name="the target's draws", rng=rng)
    return as_draws(found, n, int(target.dim), name="the target's draws")[0]
