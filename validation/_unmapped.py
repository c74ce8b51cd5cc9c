"""``check_samples`` for laws without an exact map to normals: against exact draws, or by the score alone.

Where the law can be drawn, exact draws stand in for it, and effects are certified on both samples. Where only its
score is known, Stein terms are all there is: they may refute, and never support, since a score does not see
the weights of separated modes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import special

from ..numerics.e_processes import log_mean
from ..numerics.effects import CLIP
from ..numerics.rng import draw, substream
from ..numerics.stein import kernel_stein_discrepancy
from ..numerics.two_sample import RATIO, TwoSampleMachine, two_sample_needed
from ..theory.protocols import Vector
from ._sample_run import Batches
from ._stein_run import BLIND, KEPT, MARGIN, SteinRun
from ._user_code import UserCodeError
from .evidence import Allowed, Evidence, Measured, Outcome
from .verdict import Diagnosis, Mutant, Verdict

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
    _columns: list[tuple[Vector, Vector]] = field(default_factory=list)
    _rows: list[Vector] = field(default_factory=list)

    def __post_init__(self) -> None:
        target = self.target
        drawable = hasattr(target, "draw_with") or hasattr(target, "transport")
        if drawable:
            pilot = draw(target, _PILOT, rng=substream(self.seed, "pilot"))
            self.pairs = TwoSampleMachine(pilot, substream(self.seed, "directions"))
            self._truth = substream(self.seed, "truth")
        if hasattr(target, "score") and hasattr(target, "hessian"):
            self.stein = SteinRun(target, substream(self.seed, "stein"))
            if drawable:
                self.stein.look(pilot)

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
            y = draw(self.target, RATIO * len(x), rng=self._truth)
            self.pairs.update(x, y)
            parts.append(self.pairs.log_e)
            first = self.pairs.directions[:, 0]
            frame = self.pairs.frame
            self._columns.append((frame.points(x) @ first, frame.points(y) @ first))
        if self.stein is not None:
            self.stein.add(x)
            parts.append(self.stein.log_e)
        if self.n < KEPT:
            self._rows.append(x[:KEPT])
        self.n += len(x)
        self.peak = max(self.peak, log_mean(parts) if parts else 0.0)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the bounds take for granted beyond independence."""
        out = []
        if self.pairs is not None:
            out.append(f"{RATIO} exact draws of the law stand for it beside every draw")
        if self.stein is not None:
            out.append(
                f"second moments of the Stein terms under the law are at most {MARGIN:g} times those that their "
                f"exact variance gives at {KEPT} pilot draws; {BLIND}"
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
                    measured=Measured(0.0, 0.0, 1.0),
                    message=f"not measured: {BLIND}",
                    **common,
                )
            )
        out.append(self._test(seconds))
        if self.stein is not None:
            out.append(self._kernel(common))
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
            detectable=self._detectable(),
            seed=self.seed,
            seconds=seconds,
            message=text,
        )

    def _kernel(self, common: dict[str, Any]) -> Evidence:
        rows = np.concatenate(self._rows)[:KEPT]
        square, error = kernel_stein_discrepancy(rows, self.target.score)
        return Evidence(
            check="kernel-stein",
            measured=Measured(square, square - 4 * error, square + 4 * error),
            message=f"square of the kernel Stein discrepancy of the first {len(rows)} draws, "
            f"and four standard errors; {BLIND}",
            **{**common, "deciding": False, "level": 0.0, "n": len(rows)},
        )

    def _detectable(self) -> float | None:
        """A shift in standard deviations that bets on ``tanh`` are sure to see: they lose a factor two at most."""
        if self.pairs is None or not self.n:
            return None
        needed = -math.log(self.false_alarm) + math.log(24.0 * self.pairs.members)
        return 2.5 * (math.sqrt(2 * needed / self.n) + _POWER / math.sqrt(self.n))

    def mutants(self, decided: Outcome) -> list[Mutant]:
        """Draws already obtained, corrupted by more than may be overlooked, through the same statistics."""
        if self.pairs is None:
            return (
                []
                if self.stein is None
                else self.stein.mutants(
                    exact=self.exact, tolerance=self.tolerance, level=self.false_alarm
                )
            )
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
                        name=_NAMES[e.name],
                        outcome=Outcome.UNDECIDED,
                        check=e.name,
                        underpowered=True,
                        message=said,
                    )
                )
                continue
            line = self._line(y)
            line.update(_CORRUPTED[e.name](x, size)[:, None], y[:, None])
            found = next(f for f in line.effects(self.false_alarm) if f.name == e.name)
            out.append(
                Mutant(
                    name=_NAMES[e.name],
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
        size = 2 * (self._detectable() or math.inf)
        line = self._line(y)
        line.update(x[:, None] + size, y[:, None])
        # As in the average over all directions and over both tests.
        log_e = line.log_e - math.log(2.0 * self.pairs.members if self.pairs else 1.0)
        seen = log_e >= -math.log(self.false_alarm)
        return Mutant(
            name="shifted",
            outcome=Outcome.REFUTED if seen else Outcome.UNDECIDED,
            check="exact",
            message=f"one direction shifted by {size:.3g} standard deviations: log10 e {log_e / math.log(10):.1f}",
        )

    def diagnosis(self, outcome: Outcome) -> Diagnosis | None:
        """What is off, worst first."""
        if outcome is Outcome.SUPPORTED and not self.exact_refuted:
            return None
        if self.pairs is not None:
            wrong = [e for e in self.pairs.effects(self.false_alarm) if e.low > self.tolerance]
            if wrong:
                text = "; ".join(
                    f"{e.name} off by {e.signed:+.3g} in direction {e.worst % self.pairs.directions.shape[1]}"
                    for e in wrong[:3]
                )
                return Diagnosis(text=text, cause=wrong[0].name, distance=wrong[0].value)
        if self.stein is not None and self.stein.n:
            name, value = self.stein.leading()
            return Diagnosis(
                text=f"largest Stein term: {name}, {value:+.3g} standard deviations; {BLIND}",
                cause="stein",
                distance=abs(value),
            )
        return None


def judge(run: Unmapped, bare: Verdict, batches: Batches) -> Verdict:
    """The verdict on one stream; what the draws or the law's score do wrong is in it as ERROR."""
    start = time.perf_counter()
    try:
        run.go(batches)
    except UserCodeError as error:
        seconds = time.perf_counter() - start
        failed = Evidence.error("draw", str(error), kind="confidence", seconds=seconds)
        return replace(bare, evidence=(failed,), samples_used=run.n)
    verdict = replace(
        bare,
        evidence=run.evidence(time.perf_counter() - start),
        samples_used=run.n,
        exact_refuted=run.exact_refuted,
        assumptions=(*bare.assumptions, *run.assumptions),
    )
    verdict = replace(verdict, mutants=tuple(run.mutants(verdict.decided)))
    return replace(verdict, diagnosis=run.diagnosis(verdict.decided))


def _moved(x: Vector, size: float) -> Vector:
    """A share ``size`` of all draws carried from above the median to far below."""
    order = np.argsort(x)[::-1]
    out = x.copy()
    out[order[: math.ceil(size * len(x))]] = -CLIP / 2
    return out


def _paired(x: Vector, size: float) -> Vector:
    """Second draws of disjoint pairs put on the side of the first until a share 1/2 + ``size`` agrees."""
    centre = float(np.median(x))
    out, pairs = x - centre, len(x) // 2
    first, second = out[: 2 * pairs : 2], out[1 : 2 * pairs : 2]
    unlike = np.flatnonzero((first > 0) != (second > 0))
    missing = math.ceil((0.5 + size) * pairs) - (pairs - len(unlike))
    turned = unlike[: max(missing, 0)]
    second[turned] = np.copysign(np.maximum(np.abs(second[turned]), 1e-9), first[turned])
    return out + centre


_CORRUPTED: dict[str, Callable[[Vector, float], Vector]] = {
    "cdf": _moved,
    "mean": lambda x, size: x + math.copysign(1.05 * size, float(x.mean())),
    "variance": lambda x, size: x * math.sqrt((1 + size) / min(float(np.mean(x * x)), 1.0)),
    "beyond": lambda x, size: np.where(np.arange(len(x)) < size * len(x), CLIP + 1.0, x),
    "neighbours": _paired,
}
_NAMES = {
    "cdf": "mass-moved",
    "mean": "shifted",
    "variance": "stretched",
    "beyond": "outliers",
    "neighbours": "paired",
}
