"""``compare``: error against work, for many samplers on one problem.

The error is W2 to the data where the law of the output is known without sampling (Gaussian data, or one dimension and
a deterministic sampler). For other deterministic samplers it is the root mean square distance from the exact
probability flow at ``t_min``, path by path. Work is counted in evaluations of the score and measured in seconds.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ..numerics.exact_law import Refused
from ..numerics.noise_log import NoiseLog
from ..numerics.rng import substream
from ..theory._checks import bad
from ..theory.schedules import count
from ._user_code import UserCodeError
from .adapters.adapter import Adapter
from .evidence import plain
from .problems import PROBLEMS, Problem
from .provenance import provenance
from .sampler_checks.behaviour import ROWS, started
from .sampler_checks.calls import Call, Caller, Sampler, backend_of
from .sampler_checks.exact import Prober

SCHEMA = "scoreproof.compare/1"
_PATHS = 256  #: starting points that are followed where the law is not known
_REPEATS, _LONG = 3, 1.0  #: runs that are timed, unless one takes longer than so many seconds


@dataclass(frozen=True)
class Point:
    """One sampler at one step count.

    Attributes:
        target: the sampler.
        steps: number of steps.
        evaluations: of the score.
        seconds: for ``rows`` draws on one thread, the exact score included; the median of three runs.
        error: W2 or path error; NaN where it is not known.
        low: lower end of its interval.
        high: upper end.
        how: ``"exact"`` (affine map), ``"pushed"`` (quantiles), ``"paths"``, or why there is no number.
    """

    target: str
    steps: int
    evaluations: int
    seconds: float
    error: float
    low: float
    high: float
    how: str

    @property
    def known(self) -> bool:
        """Whether there is a number."""
        return bool(np.isfinite(self.error))


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` found.

    Attributes:
        problem: its name.
        size: ``sqrt(tr Cov)`` of the data.
        rows: draws that were timed.
        points: in the order of the samplers, then of steps.
        provenance: versions, machine, seed.
    """

    problem: str
    size: float
    rows: int
    points: tuple[Point, ...]
    provenance: Mapping[str, Any]

    @property
    def targets(self) -> tuple[str, ...]:
        """The samplers, in order."""
        return tuple(dict.fromkeys(p.target for p in self.points))

    def of(self, target: str) -> tuple[Point, ...]:
        """The points of one sampler with a number."""
        return tuple(p for p in self.points if p.target == target and p.known)

    def needed(self, target: str, share: float) -> float:
        """Evaluations for an error of ``share`` of the size, between the step counts that were run; NaN if beyond.

        From the first pair of points between which the error crosses, by a straight line on two log axes.
        """
        wanted = share * self.size
        seen = self.of(target)
        if seen and seen[0].error <= wanted:
            return float(seen[0].evaluations)
        for a, b in pairwise(seen):
            if a.error > wanted >= b.error:
                if b.error <= 0:
                    return float(b.evaluations)
                part = np.log(a.error / wanted) / np.log(a.error / b.error)
                return float(a.evaluations * (b.evaluations / a.evaluations) ** part)
        return float("nan")

    @property
    def figure(self) -> dict[str, Any]:
        """The work-precision diagram, for :func:`scoreproof.validation.report.draw`."""
        from .compare_page import figure

        return figure(self)

    def __str__(self) -> str:
        from .compare_page import table

        return table(self)

    def to_json(self) -> str:
        """JSON text; numbers that are not finite are strings."""
        data = {"schema": SCHEMA, **asdict(self)}
        return json.dumps(plain(data), indent=1, ensure_ascii=False, allow_nan=False)

    def save(self, out: str | Path) -> Path:
        """Writes ``compare.html`` and ``compare.json`` into the folder ``out``.

        Raises:
            ValueError: the folder cannot be made.
        """
        from .compare_page import page
        from .report.files import folder, write

        place = folder(out)
        write(place / "compare.json", self.to_json().encode())
        write(place / "compare.html", page(self).encode())
        return place


def compare(
    samplers: Sequence[Sampler | str] | Mapping[str, Sampler | str],
    *,
    problem: str | Problem = "gaussian-2d",
    steps: Sequence[int] = (8, 16, 32, 64, 128),
    rows: int = 1000,
    seed: int = 0,
    timeout: float | None = None,
    backend: str | None = None,
    progress: Callable[[Point], None] | None = None,
) -> Comparison:
    """Error against work of many samplers.

    Args:
        samplers: functions as for :func:`check_sampler`, adapters, or targets of the command line; with names of
            your own in a mapping. Adapters get the problem's law under the diffusion that they are made for.
        problem: a name or a problem.
        steps: step counts.
        rows: draws of a run that is timed.
        seed: entropy.
        timeout: seconds a call.
        backend: ``"numpy"`` or ``"torch"`` for plain functions.
        progress: told of each point when it is there.

    Raises:
        ValueError: an unknown problem or target, the same name twice, no samplers or steps.
    """
    named = _named(samplers)
    counts = sorted({count(k, "steps") for k in steps})
    if not counts:
        raise bad("steps", "none", "positive integers", "pass e.g. steps=(8, 16, 32)")
    if isinstance(problem, str) and problem not in PROBLEMS:
        raise bad("problem", repr(problem), f"a name among {', '.join(PROBLEMS)}", "correct it")
    chosen = PROBLEMS[problem] if isinstance(problem, str) else problem.fresh()
    drawn = count(rows, "rows")
    begun, started_at = time.perf_counter(), _now()
    points: list[Point] = []
    for name, sampler in named.items():
        truth = sampler.truth(chosen) if isinstance(sampler, Adapter) else chosen
        wanted = sampler.backend if isinstance(sampler, Adapter) else backend
        caller = Caller(sampler, backend_of(wanted, sampler, None), None, timeout, seed)
        for k in counts:
            point = _point(caller, name, _Warm.of(truth), k, drawn)
            points.append(point)
            if progress is not None:
                progress(point)
    size = float(np.sqrt(np.trace(np.atleast_2d(chosen.law.covariance))))
    spent = time.perf_counter() - begun
    told = provenance(seed=seed, started=started_at, seconds=spent)
    return Comparison(chosen.name, size, drawn, tuple(points), told)


def _now() -> str:
    from .provenance import now

    return now()


def _named(
    samplers: Sequence[Sampler | str] | Mapping[str, Sampler | str],
) -> dict[str, Sampler]:
    from .adapters.target import sampler_at

    pairs: list[tuple[str | None, Sampler | str]]
    if isinstance(samplers, Mapping):
        pairs = [(str(name), one) for name, one in samplers.items()]
    else:
        pairs = [(None, one) for one in ([samplers] if isinstance(samplers, str) else samplers)]
    if not pairs:
        raise bad("samplers", "none", "at least one", "pass functions or targets")
    named: dict[str, Sampler] = {}
    for given, one in pairs:
        sampler = sampler_at(one) if isinstance(one, str) else one
        name = given or (one if isinstance(one, str) else _name(sampler))
        if name in named:
            raise bad("samplers", f"{name!r} twice", "each name once", "pass a mapping with names")
        named[name] = sampler
    return named


def _name(sampler: Sampler) -> str:
    return getattr(sampler, "__name__", type(sampler).__name__)


class _Warm(Problem):
    """A problem whose copies share their marginals, so that what is timed is the sampler."""

    @classmethod
    def of(cls, problem: Problem) -> _Warm:
        warm: Any = copy.copy(problem.fresh())
        warm.__class__ = cls
        return warm

    def fresh(self) -> Problem:
        """A copy with its counter at zero."""
        other = copy.copy(self)
        other.evaluations = 0
        return other


def _point(caller: Caller, name: str, problem: Problem, steps: int, rows: int) -> Point:
    rng = caller.generator("start", problem.name)
    nan = float("nan")
    try:
        first = caller.run(problem, ROWS, steps, rng, log=NoiseLog(ROWS))
        seconds = _seconds(caller, problem, rows, steps)
    except UserCodeError as error:
        return Point(name, steps, 0, nan, nan, nan, nan, str(error))
    try:
        error, low, high, how = _error(caller, problem, steps, first)
    except (Refused, UserCodeError) as reason:
        error, low, high, how = nan, nan, nan, str(reason)
    return Point(name, steps, first.evaluations, seconds, error, low, high, how)


def _seconds(caller: Caller, problem: Problem, rows: int, steps: int) -> float:
    from threadpoolctl import threadpool_limits

    times: list[float] = []
    with threadpool_limits(limits=1):
        while len(times) < _REPEATS and sum(times) < _LONG:
            begun = time.perf_counter()
            caller.run(problem, rows, steps, caller.generator("timed", problem.name))
            times.append(time.perf_counter() - begun)
    return median(times)


def _error(
    caller: Caller, problem: Problem, steps: int, first: Call
) -> tuple[float, float, float, str]:
    """Error with its interval, and how it was found."""
    try:
        known = Prober(caller, problem, False).law(steps, first)
        w2 = known.w2
        how = "exact" if known.kind == "exact" else "pushed"
        return w2.value, float(w2.low), float(w2.high), how
    except Refused as reason:
        why = reason
    start = problem.prior(_PATHS, rng=substream(caller.seed, "paths", problem.name))
    begun = started(problem, start.reshape(_PATHS, -1), caller)
    out, again = (
        caller.run(begun, _PATHS, steps, caller.generator(name)).draws for name in ("one", "other")
    )
    if not np.array_equal(out, again):
        raise why
    exact = np.asarray(problem.flow_map(start, problem.t_max, problem.t_min)).reshape(_PATHS, -1)
    squares = ((out - exact) ** 2).sum(axis=1)
    error = float(np.sqrt(squares.mean()))
    # One standard error of the mean square to either side, carried to its root.
    spread = float(squares.std() / np.sqrt(_PATHS))
    low, high = (float(np.sqrt(max(error**2 + s * spread, 0.0))) for s in (-1, 1))
    return error, low, high, "paths"
