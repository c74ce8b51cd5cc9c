"""The way of a sampler on Gaussian data, from the calls of the model: exact laws of the states, and maps of the steps.

In a run on designed noise the state handed to the model is an affine map of the noise like the output. The state at
one call as a map of the state at the call before is the step. It is fitted on the responses to noise that is already
in the state; what remains is the noise of the step. Where noise that came in earlier acts on a step past the state
(a stochastic multistep rule, noise used twice) there is no such map, and the remainder says so. A deterministic
multistep rule has one: its history is a function of the state, by way of the steps before, exact up to their own local
errors, which are one order higher than what they do to this step.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from ...numerics.exact_law import Refused
from ...numerics.gaussian_law import EigenLaw, GaussianReverse
from ...numerics.noise_log import NoiseLog, Plan, rows_for
from ...theory.arrays import host
from ...theory.protocols import Array, Vector
from .._problem_fields import Field, row_times
from ..problems import Problem
from .behaviour import ROWS
from .calls import Call, Seen
from .exact import Prober

_MOST = 40_000_000  #: numbers in all states of one run
_REST = 1e-6  #: share of old noise that may act past the state: rounding of a float64 fit


class Watched(Problem):
    """A problem that keeps what the model is asked."""

    seen: list[tuple[float, Vector]]

    @classmethod
    def of(cls, problem: Problem) -> Watched:
        """A copy that watches; copies of it tell the same list."""
        watched: Any = copy.copy(problem)
        watched.__class__ = cls
        watched.seen = []
        return watched

    def _field(self, field: Field, x: Array, t: Array) -> Array:
        times = row_times(t, x.shape[0])
        rows = np.array(host(x), dtype=np.float64).reshape(x.shape[0], -1)
        self.seen.append((float(times[0]) if times.size == 1 else math.nan, rows))
        return super()._field(field, x, t)


@dataclass(frozen=True)
class Step:
    """One step as an affine map: ``x' = gain x + shift + N(0, noise)``, and the times at its ends."""

    t: float
    s: float
    gain: Vector
    shift: Vector
    noise: Vector
    past: float  #: share of old noise that acts past the state


@dataclass(frozen=True)
class Trajectory:
    """The states of one designed run.

    Attributes:
        steps: number of steps asked for.
        told: the time that the model was told at each call.
        times: those of the states, and the end.
        base: states without noise, ``(k, d)``.
        responses: to every noise coordinate, ``(k, coordinates, d)``.
        problem: the problem.
        defects: largest departure of each state from superposition, ``(k,)``.
    """

    steps: int
    told: tuple[float, ...]
    times: Vector
    base: Vector
    responses: Vector
    problem: Problem
    defects: Vector

    @cached_property
    def reverse(self) -> GaussianReverse:
        """The exact laws."""
        return GaussianReverse(EigenLaw.of(self.problem.law), self.problem.sde)

    @cached_property
    def _eigen(self) -> tuple[Vector, Vector]:
        basis = self.reverse.target.vectors
        return self.base @ basis, self.responses @ basis

    @cached_property
    def moves(self) -> tuple[Step, ...]:
        """The steps between states, in eigen-coordinates."""
        base, responses = self._eigen
        return tuple(
            _step(t, s, base[k : k + 2], responses[k : k + 2])
            for k, (t, s) in enumerate(pairwise(self.times))
        )

    @property
    def deterministic(self) -> bool:
        """Whether no step adds noise."""
        return all(np.trace(m.noise) <= 1e-20 * np.trace(m.gain @ m.gain.T) for m in self.moves)

    @property
    def past(self) -> float:
        """Largest share of old noise that acts past the state."""
        return max(m.past for m in self.moves)

    @cached_property
    def drift(self) -> Vector:
        """How far the law of every state is from the exact marginal at the time told, ``(k,)``, as in ``local``."""
        base, responses = self._eigen
        return np.array(
            [
                _gap(m, r.T @ r, self.reverse.marginal(t))
                for m, r, t in zip(base, responses, self.times, strict=True)
            ]
        )

    @cached_property
    def local(self) -> Vector:
        """Error of every step from the exact marginal at its start, in standard deviations of that at its end.

        A deterministic step is held against the exact flow map, in the root mean square over the marginal; one
        with noise by W2 of its law from the exact marginal. Both are taken in coordinates in which the exact
        marginal is the standard normal: an error is what it is in the output, were the rest of the way exact.
        """
        if self.deterministic:
            return np.sqrt((self.signed**2).sum(axis=1))
        found = []
        for move in self.moves:
            now, then = self.reverse.marginal(move.t), self.reverse.marginal(move.s)
            covariance = (move.gain * now.variance) @ move.gain.T + move.noise
            found.append(_gap(move.gain @ now.mean + move.shift, covariance, then))
        return np.array(found)

    @cached_property
    def signed(self) -> Vector:
        """The same errors with their signs: of the mean, and of the map or the covariance, ``(k, d + d^2)``."""
        still, found = self.deterministic, []
        for move in self.moves:
            now, then = self.reverse.marginal(move.t), self.reverse.marginal(move.s)
            root = np.sqrt(then.variance)
            if still:
                flow = np.diag(self.reverse.flow(move.t, move.s).gain)
                off = (move.gain - flow) * np.sqrt(now.variance) / root[:, None]
            else:
                covariance = (move.gain * now.variance) @ move.gain.T + move.noise
                off = (covariance - np.diag(then.variance)) / np.outer(root, root)
            mean = (move.gain @ now.mean + move.shift - then.mean) / root
            found.append(np.concatenate([mean, off.ravel()]))
        return np.array(found)

    @cached_property
    def rounding(self) -> float:
        """Size below which a local error is not looked at."""
        least = [math.sqrt(self.reverse.marginal(t).variance.min()) for t in self.times]
        return max(1e-12, 10 * float((self.defects / least).max()))

    @property
    def history(self) -> bool:
        """Whether old noise acts past the state, beyond the rounding of a fit."""
        sizes = np.abs(self.responses).max(axis=(1, 2))
        return self.past > max(_REST, 100 * float((self.defects / sizes).max()))


def times_told(prober: Prober, steps: int) -> tuple[float, ...] | None:
    """The times that the model is told in one run; None where they are not one a call, or no call is seen.

    Raises:
        Refused: the sampler fails.
    """
    call = prober.run(Watched.of(prober.problem), ROWS, steps, NoiseLog(ROWS))
    told = tuple(t for t, _ in call.seen)
    return told if told and all(map(math.isfinite, told)) else None


def follow(prober: Prober, steps: int) -> Trajectory:
    """The trajectory at a number of steps.

    Raises:
        Refused: no affine map, calls that are not the same number at every step, or too many numbers.
    """
    problem = prober.problem
    ordinary = prober.run(Watched.of(problem), ROWS, steps, NoiseLog(ROWS))
    log = ordinary.log
    assert log is not None  # it was given
    if log.others:
        raise Refused(f"randomness other than normals: {', '.join(log.others[:3])}")
    total, calls = log.coordinates, len(ordinary.seen)
    if not calls:
        raise Refused("no call of the model was seen")
    if calls * (total + 1) * problem.dim > _MOST:
        raise Refused(f"the states of {steps} steps are more than {_MOST:.0e} numbers")
    plan = Plan(rows_for(total), 0, total, total, prober.caller.seed)
    out = _designed(prober, plan, steps)
    assert out.log is not None
    if out.log.quick and out.log.coordinates != total:
        out = _designed(prober, replace(plan, thorough=True), steps)
        assert out.log is not None
    if out.log.coordinates != total or len(out.seen) != calls:
        raise Refused("draws or calls of the model depend on the number of rows")
    return _arranged(problem, steps, out.seen, out.draws, plan, out.log)


def _designed(prober: Prober, plan: Plan, steps: int) -> Call:
    return prober.run(Watched.of(prober.problem), plan.rows, steps, NoiseLog(plan.rows, plan))


def _arranged(
    problem: Problem, steps: int, seen: Seen, output: Vector, plan: Plan,
    log: NoiseLog,
) -> Trajectory:  # fmt: skip
    told = tuple(t for t, _ in seen)
    if not all(map(math.isfinite, told)) or any(len(x) != plan.rows for _, x in seen):
        raise Refused("the model is told one time a row, or asked of some rows only")
    each = max(1, math.ceil((len(seen) - 1) / steps) if len(seen) > 1 else 1)
    if len(seen) not in {each * steps, each * steps - 1, each * steps + 1}:
        reason = f"{len(seen)} calls of the model are not the same number in each of {steps} steps"
        raise Refused(reason)
    picked = seen[::each]
    # With one call more than steps the last one is at the end, whatever is made of it.
    if len(picked) == steps + 1:
        states, times = [x for _, x in picked], [t for t, _ in picked]
    else:
        states, times = [*(x for _, x in picked), output], [t for t, _ in picked]
        times.append(problem.t_min if times[-1] > problem.t_min else 0.0)
    if any(a <= b for a, b in pairwise(times)):
        raise Refused("the times told to the model do not fall from step to step")
    if not _alike(told, times, each):
        raise Refused("the calls of the model are not placed alike in all steps")
    rows = np.stack(states)
    base = rows[:, 0]
    responses = rows[:, plan.impulses] - base[:, None]
    far = rows[:, plan.combinations] - base[:, None]
    defects = np.abs(far - log.combinations @ responses).max(axis=(1, 2))
    return Trajectory(steps, told, np.array(times), base, responses, problem, defects)


def _alike(told: tuple[float, ...], times: list[float], each: int) -> bool:
    """Whether the stages lie at the start, inside or at the end of every step alike."""
    places = set()
    for k, (t, s) in enumerate(pairwise(times)):
        inner = told[k * each + 1 : (k + 1) * each]
        if len(inner) == each - 1:  # the last step may have fewer
            places.add(tuple((r > s) + (r >= s) + (r >= t) + (r > t) for r in inner))
    return len(places) <= 1


def _step(t: float, s: float, base: Vector, responses: Vector) -> Step:
    now, then = responses
    old, new = _loud(now), _loud(then)
    gain = _fitted(now[old], then[old])
    rest = then[old] - now[old] @ gain.T
    fresh = then[new & ~old]
    past = float(np.linalg.norm(rest) / max(np.linalg.norm(then[new]), 1e-300))
    return Step(t, s, gain, base[1] - gain @ base[0], fresh.T @ fresh, past)


def _loud(rows: Vector) -> np.ndarray:
    """Rows that are there: noise that was forgotten long ago leaves numbers near the least ones that exist."""
    sizes = np.abs(rows).max(axis=1)
    return sizes > 1e-14 * sizes.max()


def _fitted(now: Vector, then: Vector) -> Vector:
    """The matrix that takes rows of ``now`` to those of ``then``, by least squares."""
    if len(now) >= now.shape[1]:
        q, r = np.linalg.qr(now)
        sizes = np.abs(np.diag(r))
        if sizes.min() > 1e-9 * sizes.max():
            return np.asarray(np.linalg.solve(r, q.T @ then).T, dtype=np.float64)
    return np.asarray(np.linalg.lstsq(now, then, rcond=None)[0].T, dtype=np.float64)


def _gap(mean: Vector, covariance: Vector, exact: EigenLaw) -> float:
    """W2 to the standard normal in the coordinates in which the exact law is that."""
    root = np.sqrt(exact.variance)
    off = (covariance - np.diag(exact.variance)) / np.outer(root, root)
    # eigenvalues of the difference keep their digits where it is small: sqrt(1 + e) - 1 = e / (1 + sqrt(1 + e))
    e = np.maximum(np.linalg.eigvalsh((off + off.T) / 2), -1.0)
    spread = e / (1 + np.sqrt(1 + e))
    return math.sqrt((((mean - exact.mean) / root) ** 2).sum() + (spread**2).sum())
