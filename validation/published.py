"""The table of Pierret & Galerne (ICML 2025) again, every cell by exact laws of samplers that are run.

    python -m scoreproof.validation.published EIGENVALUES.npy [PAGE.md]

Convention of the paper: ``dx = -beta x dt + sqrt(2 beta) dw`` with ``beta = 0.05 + 9.95 t``, which is the variance
preserving diffusion from 0.1 to 20; N grid points uniform in t from 1 to eps, hence N - 1 steps; W2 to the data.
No recursion of the paper is used: the samplers are run, and their affine maps are read off step by step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..numerics.coordinate_law import coordinate_map
from ..numerics.error_budget import exact_reverse
from ..numerics.flow_solvers import RK4, Heun
from ..numerics.gaussian_law import Affine, EigenLaw, GaussianReverse
from ..numerics.rng import normal_like
from ..numerics.solvers import EulerMaruyama, ExponentialEuler, Score, Solver
from ..theory._checks import bad
from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Array, Vector
from ..theory.sde import VP, LinearSDE
from .evidence import Allowed, Evidence, Measured, Outcome
from .published_numbers import COLUMNS, CONTINUOUS, DISCRETE, SOURCE, allowed
from .verdict import Mutant, Report, Verdict

STARTS = ("p_T", "N(0, I)")
_ROUNDING = (
    1e-9  #: relative, far above a thousand steps in float64 and far below half a printed digit
)


@dataclass(frozen=True)
class DiscreteDDPM(Solver):
    """``x' = (x + b score)/sqrt(1 - b) + sqrt(b) z`` with ``b = h g(t)^2``: DDPM with "beta" as its variance.

    Reference: Ho et al. 2020, Algorithm 2.
    """

    @property
    def deterministic(self) -> bool:
        """False."""
        return False

    def step(
        self, x: Array, t: float, s: float, *, score: Score, sde: LinearSDE, rng: Any = None
    ) -> Array:
        """One step, see :meth:`.Solver.step`."""
        b = (t - s) * float(sde.diffusion(t)) ** 2
        return (x + b * score(x, t)) / math.sqrt(1 - b) + math.sqrt(b) * normal_like(x, rng=rng)


SCHEMES: dict[str, Solver] = {
    "EM": EulerMaruyama(),
    "EI": ExponentialEuler(),
    "DDPM": DiscreteDDPM(),
    "Euler": EulerMaruyama(eta=0.0),
    "Heun": Heun(),
    "RK4": RK4(),
}


@dataclass(frozen=True)
class Protocol:
    """How a column's NFE becomes a grid.

    Attributes:
        share: grid points for each evaluation of the column.
        more: steps beyond one less than the points.
    """

    share: float
    more: int = 0

    def steps(self, nfe: int) -> int:
        """Steps of a column."""
        return int(nfe * self.share) - 1 + self.more

    def words(self, scheme: str) -> str:
        """The protocol in words."""
        points = {1.0: "NFE", 0.5: "NFE/2", 0.25: "NFE/4"}[self.share]
        each = SCHEMES[scheme].evaluations
        spent = self.share * each
        told = "" if spent == 1 else f", about {spent:g} NFE evaluations"
        return f"{points}{' + 1' if self.more else ''} grid points{told}"


def stated(scheme: str) -> Protocol:
    """Equal evaluations in a column: a grid of NFE points shared among the evaluations of a step."""
    return Protocol(1 / SCHEMES[scheme].evaluations)


_OTHERS = tuple(Protocol(share, more) for share in (1.0, 0.5, 0.25) for more in (0, 1))


@dataclass(frozen=True)
class Images:
    """Centred Gaussian data in the eigenbasis of their covariance.

    Attributes:
        values: eigenvalues, ``(d,)``, zero or more.
        sde: the diffusion.
    """

    values: Vector
    sde: LinearSDE = VP(0.1, 20.0)  # noqa: RUF009 - frozen

    @classmethod
    def of(cls, values: Any) -> Images:
        """From eigenvalues as they are stored; roundings below zero are taken as zero.

        Raises:
            ValueError: no numbers, or some that are clearly negative.
        """
        given = np.asarray(values, dtype=np.float64).ravel()
        if not given.size or not np.isfinite(given).all() or given.min() < -1e-6 * given.max():
            raise bad("values", f"shape {np.shape(values)}", "eigenvalues", "pass zero or more")
        return cls(np.maximum(given, 0.0))

    @cached_property
    def reverse(self) -> GaussianReverse:
        """Closed forms; the basis is that of the eigenvalues and never written out."""
        return GaussianReverse(self._law(self.values), self.sde)

    def _law(self, variance: Vector) -> EigenLaw:
        return EigenLaw(np.zeros_like(variance), variance, np.zeros((0, 0)))

    def _score(self, x: Array, t: float) -> Array:
        law = self.reverse.marginal(t)
        weights, means = np.ones(1), np.zeros((1, len(self.values)))
        return GaussianMixture(weights, means, law.variance[None]).score(x)

    def run(self, scheme: str, eps: float, steps: int) -> tuple[float, float]:
        """W2 to the data of a scheme, from p_T and from N(0, I)."""
        times = np.linspace(1.0, eps, steps + 1)
        move = coordinate_map(SCHEMES[scheme], self.sde, self._score, times, len(self.values))
        return self._both(move)

    def exact(self, equation: str, eps: float) -> tuple[float, float]:
        """The same without discretisation: ``"SDE"`` the reverse SDE, ``"ODE"`` the probability flow."""
        return self._both(exact_reverse(self.reverse, 1.0, eps, eta=float(equation == "SDE")))

    def _both(self, move: Affine) -> tuple[float, float]:
        data, start = self._law(self.values), self.reverse.marginal(1.0)
        usual = self._law(np.ones_like(self.values))
        return start.push(move).w2(data), usual.push(move).w2(data)


def pierret_galerne(values: Any, *, progress: Callable[[Verdict], None] | None = None) -> Report:
    """Every cell of the table from the eigenvalues of the covariance of CIFAR-10.

    Args:
        values: eigenvalues, ``(3072,)``; those of another data set give another table.
        progress: told of each row when it is there.

    Returns:
        A verdict a row (claim ``published``, role ``printed``): every cell SUPPORTED where the number agrees with the
        printed digits. Where cells do not, the correction names the protocol under which most of them do.

    Raises:
        ValueError: no eigenvalues.
    """
    images = Images.of(values)
    verdicts = []
    for one in _rows(images):
        verdicts.append(one)
        if progress is not None:
            progress(one)
    return Report(verdicts=tuple(verdicts), profile="custom", false_alarm=0.0)


def _rows(images: Images) -> Iterator[Verdict]:
    for equation, eps in CONTINUOUS:
        yield _continuous(images, equation, eps)
    for scheme, eps in DISCRETE:
        yield _discrete(images, scheme, eps)


def _continuous(images: Images, equation: str, eps: str) -> Verdict:
    def numbers(one: Images) -> tuple[float, float]:
        return one.exact(equation, float(eps))

    cells = tuple(_cells("continuous", CONTINUOUS[equation, eps], numbers(images)))
    return _row(equation, eps, cells, _slower(images, numbers, cells))


def _discrete(images: Images, scheme: str, eps: str) -> Verdict:
    known: dict[int, tuple[float, float]] = {}

    def under(protocol: Protocol) -> tuple[Evidence, ...]:
        cells: list[Evidence] = []
        for nfe, words in zip(COLUMNS, DISCRETE[scheme, eps], strict=True):
            steps = protocol.steps(nfe)
            if steps not in known:
                known[steps] = images.run(scheme, float(eps), steps)
            cells += _cells(f"NFE {nfe}", words, known[steps])
        return tuple(cells)

    protocol = stated(scheme)
    cells = under(protocol)
    first = protocol.steps(COLUMNS[0])
    words = DISCRETE[scheme, eps][0]
    mutants = (
        *_slower(images, lambda i: i.run(scheme, float(eps), first), cells),
        _mutant(
            "one-step-less", _cells("NFE 50", words, images.run(scheme, float(eps), first - 1))
        ),
    )
    correction = None
    if any(c.outcome is not Outcome.SUPPORTED for c in cells):
        best = max(_OTHERS, key=lambda p: _agree(under(p)))
        if _agree(under(best)) > _agree(cells):
            correction = _row(scheme, eps, under(best), mutants, role="required", protocol=best)
    return _row(scheme, eps, cells, mutants, protocol=protocol, correction=correction)


def _agree(cells: tuple[Evidence, ...]) -> int:
    return sum(c.outcome is Outcome.SUPPORTED for c in cells)


def _cells(column: str, words: str, found: tuple[float, float]) -> Iterator[Evidence]:
    for start, printed, value in zip(STARTS, words.split(), found, strict=True):
        low, high = allowed(printed)
        error = _ROUNDING * (1 + value)
        yield Evidence(
            check=f"{column}, {start}",
            kind="exact",
            measured=Measured(value, max(0.0, value - error), value + error),
            # A printed zero is exactly zero: what is left is rounding.
            allowed=Allowed(low, high if high > low else high + 4 * error),
            message=f"computed {value:.4g}, printed {printed}",
        )


def _slower(
    images: Images, numbers: Callable[[Images], tuple[float, float]], cells: tuple[Evidence, ...]
) -> tuple[Mutant, ...]:
    """The row without the factor 2 of the convention: ``dx = -beta/2 x dt + sqrt(beta) dw``."""
    found = numbers(Images(images.values, VP(0.05, 10.0)))
    pieces = [
        Evidence(
            check=cell.check,
            kind="exact",
            measured=Measured(value, value, value),
            allowed=cell.allowed,
            message=f"computed {value:.4g}",
        )
        for cell, value in zip(cells, found, strict=False)
    ]
    return (_mutant("without-the-factor-2", pieces),)


def _mutant(name: str, pieces: Any) -> Mutant:
    worst = max(pieces, key=lambda e: e.outcome.severity)
    return Mutant(name=name, outcome=worst.outcome, check=worst.check, message=worst.message)


def _row(
    scheme: str,
    eps: str,
    cells: tuple[Evidence, ...],
    mutants: tuple[Mutant, ...],
    *,
    role: Any = "printed",
    protocol: Protocol | None = None,
    correction: Verdict | None = None,
) -> Verdict:
    words = "" if protocol is None else f" with {protocol.words(scheme)}"
    wrong = [c for c in cells if c.outcome is not Outcome.SUPPORTED]
    said = f"{len(cells) - len(wrong)} of {len(cells)} cells agree with the printed digits"
    rest = "; ".join(f"{c.check}: {c.message}" for c in wrong)
    return Verdict(
        claim="published",
        statement=f"W2 to the data of {scheme} at eps = {eps}{words}, as printed",
        role=role,
        source=(SOURCE,),
        assumptions=("half a unit of the last printed digit to either side",),
        subject={"scheme": scheme, "eps": eps},
        evidence=cells,
        mutants=mutants,
        correction=correction,
        finding=said + (f": {rest}." if rest else "."),
    )


def main() -> None:
    """Prints the rows, and writes the page where a path is given."""
    import sys

    from .published_page import page

    if len(sys.argv) not in (2, 3):
        raise SystemExit(
            "usage: python -m scoreproof.validation.published EIGENVALUES.npy [PAGE.md]"
        )

    def say(one: Verdict) -> None:
        print(f"{one.subject['scheme']:<6} eps {one.subject['eps']:<5} {one.finding}", flush=True)

    report = pierret_galerne(np.load(sys.argv[1]), progress=say)
    if len(sys.argv) == 3:
        from pathlib import Path

        Path(sys.argv[2]).write_text(page(report), encoding="utf-8")


if __name__ == "__main__":
    main()
