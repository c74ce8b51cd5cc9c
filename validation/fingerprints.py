"""Fingerprints: which known mistake in which published solver makes exactly the law that was measured.

Every reference solver is run with every slip that its formula has room for, on the grid and at the number of steps of
the sampler in question; on Gaussian data the result is an affine map ``x = shift + gain x_T + sqrt(noise) z``, known
without sampling. The measured map is held against all of them. The distance is

    |b - b'|^2 + |(A - A') Cov(x_T)^{1/2}|_F^2 + |C^{1/2} - C'^{1/2}|_F^2

that is, W2 of the outputs given the same start, averaged over the start (where C and C' commute, as they do for these
solvers; otherwise a little more). Where the start is not that of the problem, the laws of the outputs are compared
alone, with the same formula for ``A = 0``.

A mutation is named only if the measured map is equal to its up to rounding, or nearer than a twentieth of the
distance from the nearest sound solver and a fifth of that from the next mutation; otherwise the cause is
:data:`NONE`, not a guess. Mutations with equal maps cannot be told apart and are named together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from ..numerics.exact_law import AffineLaw, probe
from ..numerics.gaussian_law import EigenLaw
from ..numerics.solver_grids import LogSNRGrid, UniformGrid
from ..theory.protocols import Vector
from ._fingerprint_course import Course, Print, Slip, Truth
from ._fingerprint_slips import COMMON, SOUND
from ._fingerprint_solvers import REFERENCES, Reference
from .problems import Problem
from .verdict import Diagnosis

NONE = "none of the known mutations"
_HUGE = 1e100  #: beyond it, or where it is not finite, a map is left out
_SHARE = 0.05  #: of the distance to the nearest sound solver
_APART = 0.2  #: of the distance to the next mutation
_ROUNDING = (
    1e-7  #: of the size of the output: roots of singular covariances keep half of the digits
)
_ON = 0.4  #: of the times told lie on the grid: with two stages a step every second one does
_SHOWN = 4  #: names of one group


@dataclass(frozen=True)
class Mutation:
    """A reference solver with a slip, or without one.

    Attributes:
        solver: the reference.
        slip: what is wrong; without a name the solver is sound.
    """

    solver: Reference
    slip: Slip

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.slip.name

    def __str__(self) -> str:
        return self.solver.name if self.sound else f"{self.slip.name} (in {self.solver.name})"


#: Every solver with every slip that it has room for; the sound ones first.
MUTATIONS: tuple[Mutation, ...] = (
    *(Mutation(solver, slip) for slip in SOUND for solver in REFERENCES),
    *(Mutation(solver, slip) for solver in REFERENCES for slip in (*solver.slips, *COMMON)),
)


@dataclass(frozen=True)
class Fingerprint:
    """The affine map of one mutation at one number of steps.

    Attributes:
        mutation: solver and slip.
        grid: which grid, in words; empty for ``problem.times``.
        image: the map.
    """

    mutation: Mutation
    grid: str
    image: Print


def fingerprints(
    problem: Problem, steps: int, *, told: Sequence[float] | None = None
) -> list[Fingerprint]:
    """All maps, each as it stands at the end of the grid and with one denoising step behind.

    Args:
        problem: with a Gaussian law.
        steps: number of steps.
        told: times that the model was told, where they are known; they show which grid is used.

    Raises:
        ValueError: a law that is not Gaussian.
    """
    truth = Truth(EigenLaw.of(problem.law), problem.sde)
    found = []
    with np.errstate(all="ignore"):  # wrong formulas overflow where right ones do not
        for words, grid in _grids(problem, steps, told):
            for mutation in MUTATIONS:
                try:
                    course = Course(truth, grid, mutation.slip, mutation.solver.draws)
                    image = course.run(mutation.solver.step)
                except (ArithmeticError, ValueError):
                    continue  # this slip has no value here
                if not all(
                    (np.abs(v) < _HUGE).all() for v in (image.shift, image.gain, image.noise)
                ):
                    continue
                found.append(Fingerprint(mutation, words, image))
                end = truth.at(float(grid[-1]))
                if end.sd > 0:
                    found.append(Fingerprint(mutation, words, image.denoised(end, truth.law)))
    return found


def nearest(
    law: AffineLaw,
    problem: Problem,
    steps: int,
    *,
    told: Sequence[float] | None = None,
    order: float | None = None,
) -> Diagnosis:
    """The mutation whose map is nearest to a measured one, or none.

    Args:
        law: measured, see :func:`scoreproof.numerics.probe`.
        problem: with a Gaussian law.
        steps: number of steps.
        told: times that the model was told, where they are known.
        order: declared; a sound method of a lower order is then named as the cause.

    Returns:
        ``cause`` names the mutation, or says that it is none of the known ones; ``distance`` is that of the nearest
        map whatever it is, and ``runner_up`` names the next one with its distance.

    Raises:
        ValueError: a law that is not Gaussian.
    """
    known = fingerprints(problem, steps, told=told)
    away = _distances(law, problem, known)
    ranks = np.argsort(away, kind="stable")
    size = float(np.abs(law.offset).max() + np.sqrt(np.trace(law.covariance)))
    rounding = 3 * law.radius + _ROUNDING * size
    sound = np.array([one.mutation.sound for one in known])
    best, defect = float(away[ranks[0]]), float(away[sound].min())
    first = [known[k] for k in ranks if away[k] <= best + rounding]
    rest = [k for k in ranks[len(first) :]]
    runner, after = _runner(known, away, rest, first)
    if defect <= best + rounding:
        return _sound(first, best, rounding, runner, steps, order)
    clear = best <= _SHARE * defect and best <= _APART * after
    named = best <= rounding or clear
    text = (
        f"likely cause: {_listed(first)}. At {steps} steps its output is {best:.2g} in W2 away, given the start; that "
        f"of the nearest sound solver {defect:.2g}"
    )
    if not named:
        text = (
            f"{NONE}: at {steps} steps the nearest output is {best:.2g} in W2 away, given the start, that of the "
            f"nearest sound solver {defect:.2g}"
        )
    return Diagnosis(
        text=text, cause=_listed(first) if named else NONE, distance=best, runner_up=runner
    )


def _sound(
    first: list[Fingerprint],
    best: float,
    rounding: float,
    runner: str | None,
    steps: int,
    order: float | None,
) -> Diagnosis:
    names = list(dict.fromkeys(str(one.mutation) for one in first if one.mutation.sound))
    if best > rounding:
        text = (
            f"{NONE}: at {steps} steps the nearest output is that of {names[0]}, a sound solver, {best:.2g} in W2 "
            "away, given the start"
        )
        return Diagnosis(text=text, cause=NONE, distance=best, runner_up=runner)
    method = next(one.mutation.solver for one in first if one.mutation.sound)
    equal = " = ".join(names[:_SHOWN])
    cause = NONE
    if order is not None and method.order < order:
        cause = f"a method of order {method.order:g}: {equal}"
    text = (
        f"{cause}: at {steps} steps the output is that of {equal}, a sound method of order {method.order:g}; what is "
        "left is the error of its steps"
    )
    return Diagnosis(text=text, cause=cause, distance=best, runner_up=runner)


def _runner(
    known: list[Fingerprint], away: Vector, rest: list[int], first: list[Fingerprint]
) -> tuple[str | None, float]:
    """The next other mutation in words, and its distance."""
    taken = {str(one.mutation) for one in first}
    for k in rest:
        if str(known[k].mutation) not in taken:
            return f"{known[k].mutation}, {away[k]:.2g} away", float(away[k])
    return None, np.inf


def _listed(group: list[Fingerprint]) -> str:
    """Names of equal maps: slips with the solvers that they are made in."""
    wrong = [one.mutation for one in group if not one.mutation.sound]
    pairs = sorted({(m.slip.name, m.solver.name) for m in wrong}, key=lambda p: _place(wrong, p))
    said = []
    for slip, several in groupby(pairs, key=lambda p: p[0]):
        said.append(f"{slip} (in {', '.join(dict.fromkeys(name for _, name in several))})")
    more = f" = {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
    return " = ".join(said[:_SHOWN]) + more


def _place(wrong: list[Mutation], pair: tuple[str, str]) -> tuple[int, int]:
    slips = [m.slip.name for m in wrong]
    return slips.index(pair[0]), [m.solver.name for m in wrong].index(pair[1])


def _distances(law: AffineLaw, problem: Problem, known: list[Fingerprint]) -> Vector:
    """From the measured map to every known one, in eigen-coordinates."""
    basis = EigenLaw.of(problem.law).vectors
    shift, gain, noise = (
        np.stack([getattr(one.image, name) for one in known])
        for name in ("shift", "gain", "noise")
    )
    offset = basis.T @ law.offset
    begin = probe(_prior, problem, 1, rng=np.random.default_rng(0))
    mean, root = basis.T @ begin.offset, basis.T @ _responses(begin).T
    start = law.start
    if start is not None and start.shape[1] == root.shape[1]:
        # every row of A L is a multiple of that of L and a rest which no reference has
        here, sizes = basis.T @ start, (root**2).sum(1)
        along = (here * root).sum(1) / sizes
        rest = here - along[:, None] * root
        total = ((offset - (gain * mean + shift)) ** 2).sum(1) + (rest**2).sum()
        total += ((along - gain) ** 2 * sizes).sum(1)
        spread = law.covariance - start @ start.T
    else:  # a start of its own: N(0, sd^2)
        total = ((offset - shift) ** 2).sum(1)
        noise = noise + gain**2 * float(problem.sde.kernel(problem.t_max).variance)
        spread = law.covariance
    inner = _root(basis.T @ spread @ basis)
    own = np.diag(inner)
    total += ((own - np.sqrt(noise)) ** 2).sum(1) + ((inner - np.diag(own)) ** 2).sum()
    return np.sqrt(total)


def _prior(problem: Problem, n: int, *, steps: int, rng: np.random.Generator) -> Vector:
    return problem.prior(n, rng=rng)


def _responses(law: AffineLaw) -> Vector:
    if law.responses is None:
        raise ValueError("dimension: got one whose start is too large to keep; take a smaller one")
    return law.responses


def _root(matrix: Vector) -> Vector:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def _grids(problem: Problem, steps: int, told: Sequence[float] | None) -> list[tuple[str, Vector]]:
    """Grids that the sampler may have used; one if the times told are on it."""
    own = problem.times(steps)
    if told is None:
        return [("", own)]
    seen = np.unique(np.asarray(told, dtype=np.float64))[::-1]
    ends = {"t_max": problem.t_max, "t_min": problem.t_min}
    kinds = [
        ("", own),
        ("on a grid uniform in t", UniformGrid(*ends.values()).times(steps)),
        ("on a grid uniform in log-SNR", LogSNRGrid(problem.sde, *ends.values()).times(steps)),
    ]
    for kind in kinds:
        if seen.size > 1 and _within(seen, kind[1]):
            return [kind]
    for part, words in ((seen, "on the times told"), (seen[::2], "on every second time told")):
        for end in (problem.t_min, 0.0):
            inner = part[part > end * (1 + 1e-9)]
            if inner.size > 1 and inner[0] <= problem.sde.t_max * (1 + 1e-12):
                kinds.append((words, np.append(inner, end)))
    return kinds


def _within(times: Vector, grid: Vector) -> bool:
    near = np.abs(times[:, None] - grid).min(axis=1)
    return bool((near <= 1e-9 * grid[0]).mean() >= _ON)
