"""The ``law`` of a sampler without sampling: the exact affine law, or the pushforward in one dimension."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ...numerics.exact_law import AffineLaw, Observed, Refused, affine_law
from ...numerics.noise_log import NoiseLog, Plan
from ...numerics.pushforward import (
    Distance,
    Levels,
    Pushforward,
    against,
    start_points,
    with_quantiles,
)
from ...theory.empirical import PointMasses
from ...theory.mixtures import GaussianMixture
from ...theory.protocols import Vector
from .._user_code import UserCodeError
from ..evidence import Allowed, Evidence, Kind, Measured, Outcome
from ..problems import Problem
from ..verdict import Diagnosis, Mutant, Verdict
from .behaviour import ROWS, started
from .calls import Call, Caller

_TWINS = 8  #: starting points that are pushed twice: equal outputs mean that nothing else is drawn
_EDGE = 1.01  #: mutants go this much beyond what must be refuted
_FLOOR = 1e-12  #: relative; for ties of a direction


@dataclass(frozen=True)
class Affine:
    """The law of an affine map of normals against a Gaussian."""

    law: AffineLaw
    target: GaussianMixture
    kind: Kind = "exact"

    @property
    def rows(self) -> int:
        """Rows of the batches."""
        return self.law.rows

    @cached_property
    def _gap(self) -> Any:
        return self.law.gap(self.target)

    @property
    def size(self) -> float:
        """``sqrt(tr Cov)`` of the target."""
        return self._gap.size

    @property
    def w2(self) -> Distance:
        """With the bound on rounding."""
        value, error = self._gap.w2(), self.law.radius + self._gap.w2_error
        return Distance(value, max(0.0, value - error), value + error)

    @property
    def spread(self) -> float:
        """``sqrt(tr Cov)`` of the output."""
        return float(np.sqrt(np.trace(self.law.covariance)))

    def shifted(self, by: float) -> Affine:
        """The output moved on, away from the mean of the target."""
        off = self.law.offset - self.target.mean
        length = float(np.linalg.norm(off))
        unit = off / length if length > _FLOOR * self.size else np.eye(len(off))[0]
        return replace(self, law=replace(self.law, offset=self.law.offset + by * unit))

    def scaled(self, factor: float) -> Affine:
        """The output widened about its mean."""
        return replace(self, law=replace(self.law, covariance=factor**2 * self.law.covariance))

    def words(self) -> str:
        """Signed errors along the eigen-directions of the target, the widest last."""
        gap = self._gap
        mean, variance = gap.mean_errors(), gap.variance_errors()
        i, j = int(np.argmax(np.abs(mean))), int(np.argmax(np.abs(variance)))
        return (
            f"KL {gap.kl():.3g}; the mean is off by {mean[i]:+.3g} standard deviations along {_axis(gap, i)}, the "
            f"variance by {100 * variance[j]:+.3g} % along {_axis(gap, j)}"
        )

    def assumption(self) -> str:
        """What the exactness rests on."""
        inside = "; float32 inside: digits beyond the defect are noise" if self.law.single else ""
        also = ", and for rows of an ordinary call," if self.law.compared else ""
        return (
            "the output is an affine map of its normals: superposition holds at 4.5 standard deviations"
            f"{also} to {self.law.defect:.2g}{inside}"
        )


def _axis(gap: Any, k: int) -> str:
    return f"the eigen-direction of standard deviation {np.sqrt(gap.variances[k]):.3g}"


@dataclass(frozen=True)
class Pushed:
    """Outputs at the quantiles of the start, against a one-dimensional law."""

    output: Vector
    levels: Levels
    target: Any
    rows: int
    kind: Kind = "quadrature"

    @cached_property
    def _numbers(self) -> Pushforward:
        return against(self.output, self.target, self.levels)

    @property
    def size(self) -> float:
        """Standard deviation of the target."""
        return float(np.sqrt(np.asarray(self.target.covariance)[0, 0]))

    @property
    def w2(self) -> Distance:
        """With the estimate of its error."""
        return self._numbers.w2

    @property
    def spread(self) -> float:
        """Standard deviation of the output."""
        return self._numbers.std

    def shifted(self, by: float) -> Pushed:
        """As for :class:`Affine`."""
        away = 1.0 if self._numbers.mean >= float(self.target.mean[0]) else -1.0
        return replace(self, output=self.output + by * away)

    def scaled(self, factor: float) -> Pushed:
        """As for :class:`Affine`."""
        mean = self._numbers.mean
        return replace(self, output=mean + factor * (self.output - mean))

    def words(self) -> str:
        """As for :class:`Affine`."""
        n = self._numbers
        mean = (n.mean - float(self.target.mean[0])) / self.size
        folds = f"; the map folds on {n.folds} of its intervals" if n.folds else ""
        return (
            f"W1 {n.w1.value:.3g}, Kolmogorov {n.kolmogorov.value:.3g}; the mean is off by {mean:+.3g} standard "
            f"deviations, the variance by {100 * ((n.std / self.size) ** 2 - 1):+.3g} %{folds}"
        )

    def assumption(self) -> str:
        """As for :class:`Affine`."""
        return (
            f"{len(self.output)} quantiles of the start are pushed through a deterministic sampler"
        )


KnownLaw = Affine | Pushed


@dataclass(frozen=True)
class Prober:
    """Finds the output laws of one sampler on one problem.

    Attributes:
        caller: calls the sampler.
        problem: the problem.
        mixing: what the verdict on independent rows says: True if refuted, None if it says nothing.
    """

    caller: Caller
    problem: Problem
    mixing: bool | None

    def law(self, steps: int, ordinary: Call) -> KnownLaw:
        """The output law after ``steps`` steps.

        Args:
            steps: number of steps.
            ordinary: a recorded call at these steps.

        Raises:
            Refused: with the reason.
        """
        if self.mixing:
            raise Refused("rows depend on each other, see the verdict on rows-independent")
        law = self.problem.law
        gaussian = isinstance(law, GaussianMixture) and law.components == 1
        if gaussian and ordinary.log is not None:
            try:
                return Affine(self._affine(steps, ordinary, ordinary.log), law)
            except Refused:
                if law.dim > 1:
                    raise
        if law.dim > 1:
            raise Refused("the data are not Gaussian, so that the exact score is not affine")
        return self._pushed(steps, ordinary)

    def affine(self, steps: int) -> Affine:
        """The affine law at a step count of which there is no ordinary call yet.

        Raises:
            Refused: with the reason.
        """
        ordinary = self.run(self.problem, ROWS, steps, NoiseLog(ROWS))
        assert ordinary.log is not None  # it was given
        return Affine(self._affine(steps, ordinary, ordinary.log), self.problem.law)

    def pushed(self, steps: int) -> Pushed:
        """The outputs at the quantiles of the start, at a step count of which there is no ordinary call yet.

        Raises:
            Refused: with the reason.
        """
        return self._pushed(steps, self.run(self.problem, ROWS, steps, NoiseLog(ROWS)))

    def single(self, steps: int) -> bool:
        """Whether draws come in float32."""
        return self.run(self.problem, ROWS, steps, NoiseLog(ROWS)).single

    @property
    def quantiles(self) -> Vector:
        """The starting points that are pushed, ``(m, 1)``."""
        return self._start

    def _affine(self, steps: int, ordinary: Call, log: NoiseLog) -> AffineLaw:
        def call(rows: int, plan: Plan) -> Observed:
            one = self.run(self.problem, rows, steps, NoiseLog(rows, plan))
            assert one.log is not None  # it was given
            return Observed(one.draws, one.log)

        return affine_law(call, Observed(ordinary.draws, log), seed=self.caller.seed)

    def _pushed(self, steps: int, ordinary: Call) -> Pushed:
        if self.mixing is None:
            raise Refused("the output does not depend on problem.prior alone")
        start = self._start
        twins = np.linspace(0, len(start) - 1, _TWINS).astype(int)
        rows = np.concatenate([start, start[twins]])
        log = NoiseLog(len(rows))
        call = self.run(started(self.problem, rows, self.caller), len(rows), steps, log)
        y, again = call.draws[: len(start), 0], call.draws[len(start) :, 0]
        # Noise that is drawn and multiplied by zero is none.
        if not np.allclose(y[twins], again, rtol=1e-9, atol=1e-9 * float(np.abs(y).max())):
            if ordinary.log is not None and any(not d.start for d in ordinary.log.draws):
                raise Refused(
                    "the sampler draws noise on the way, and the data are one-dimensional but not Gaussian"
                )
            raise Refused("equal starting points give different outputs: something else is drawn")
        return Pushed(y, self._levels, self._target, len(rows))

    @cached_property
    def _levels(self) -> Levels:
        return Levels.of()

    @cached_property
    def _start(self) -> Vector:
        problem = self.problem
        if problem.start == "prior":
            std = float(problem.sde.kernel(problem.t_max).std)
            return std * self._levels.s[:, None]
        try:
            return start_points(problem.marginal(problem.t_max), self._levels)
        except ValueError as error:
            raise Refused(str(error)) from error

    @cached_property
    def _target(self) -> Any:
        problem = self.problem
        atoms = isinstance(problem.law, PointMasses)
        target = problem.marginal(problem.t_min) if atoms else problem.law
        try:
            with_quantiles(target)
        except ValueError as error:
            raise Refused(str(error)) from error
        return target

    def run(self, problem: Problem, rows: int, steps: int, log: NoiseLog) -> Call:
        """One call from the start of the law's measurement; what fails is :class:`Refused`."""
        rng = self.caller.generator("start", problem.name)
        try:
            return self.caller.run(problem, rows, steps, rng, log=log)
        except UserCodeError as error:
            raise Refused(f"with {rows} rows {error}") from error


def law_verdict(
    known: KnownLaw, share: float, steps: int, subject: dict[str, Any], seed: int
) -> Verdict:
    """The verdict on a law that is known: W2 to the data, allowed up to ``share`` of ``sqrt(tr Cov)``.

    Args:
        known: the law.
        share: below one.
        steps: number of steps.
        subject: of the verdict.
        seed: entropy of the call.
    """
    top = share * known.size
    piece = _piece(known, top, seed)
    width = known.w2.high - known.w2.low
    mutants = [_mutant("output-shifted", known.shifted(_EDGE * (top + 2 * width)), top, seed)]
    if known.spread > _FLOOR * known.size:
        wide = 1 + _EDGE * (top + 2 * width + known.w2.high) / known.spread
        mutants.append(_mutant("output-widened", known.scaled(wide), top, seed))
    refuted = piece.outcome is Outcome.REFUTED
    return Verdict(
        claim="law",
        statement=f"the output of {steps} steps is within {share:.3g} sqrt(tr Cov) of the data in W2",
        assumptions=(known.assumption(), "rows do not depend on each other"),
        subject=subject,
        evidence=(piece,),
        mutants=tuple(mutants),
        diagnosis=Diagnosis(text=piece.message, cause="law", distance=known.w2.value)
        if refuted
        else None,
        exact_refuted=bool(known.w2.low > 0),
        samples_used=known.rows,
        finding=f"W2 to the data is {known.w2.value:.3g} at {steps} steps: {known.words()}.",
    )


def _piece(known: KnownLaw, top: float, seed: int) -> Evidence:
    w2 = known.w2
    return Evidence(
        check="w2",
        kind=known.kind,
        measured=Measured(w2.value, float(w2.low), float(w2.high)),
        allowed=Allowed(0.0, top),
        n=known.rows,
        detectable=float(w2.high - w2.low),
        seed=seed,
        message=f"W2 to the data {w2.value:.3g}, allowed {top:.3g}; {known.words()}",
    )


def _mutant(name: str, known: KnownLaw, top: float, seed: int) -> Mutant:
    piece = _piece(known, top, seed)
    return Mutant(name=name, outcome=piece.outcome, check=piece.check, message=piece.message)
