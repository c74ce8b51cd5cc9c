r"""Derivations: named steps, each checked by machine, with every hypothesis listed.

How to write one (``theory/symbolic/identities.py`` has short examples)::

    def tweedie(wrong: str | None = None) -> Derivation:
        x, y = sp.symbols("x y")
        ...
        domain = Domain({x: REAL, y: REAL, sigma: POSITIVE}, {p: "positive"})
        factor = {"no-square": sigma}.get(wrong, sigma**2)        # a mutant changes one formula
        return Derivation(
            "tweedie", title="...", statement="... plain text, Unicode", formula=r"... LaTeX",
            domain=domain,
            steps=(
                equal("name", left, right, because="why"),
                same_integral("name", left, right, flux={x: p * s}, because="..."),
                solves("name", {m(t).diff(t): f * m(t)}, {m(t): closed form}, start={...}),
                positive_step("name", expr),
                rule("name", "before, in words", "after", by="dominated convergence", hypotheses=(...)),
            ),
            hypotheses=("p is positive and smooth",),
            wrong=wrong, mutants={"no-square": REFUTED},
        )

Steps that check something: :func:`equal` (pointwise equality; matrices entry by entry), :func:`same_integral`
(integrands that differ by the divergence of an explicit flux), :func:`solves` (residuals of differential
equations and initial values), :func:`positive_step`, :func:`greater`. :func:`rule` checks nothing: it names a
theorem whose hypotheses are printed as "not checked". A derivation is PROVED if every checking step is and there
is one.

A universal claim is a pointwise identity in undefined functions, which then holds for all of them. Mutants are
the same factory called with ``wrong=name``: they must not be proved, with the status that is declared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import sympy as sp

from .._checks import bad
from .domain import Domain
from .positivity import is_positive
from .zero import PROVED, REFUTED, UNKNOWN, Status, ZeroTest, is_zero

DECAY = "p and the fields are smooth, and the flux decays at infinity (its integral over far spheres tends to 0)"
LINEAR_ODE = "a linear differential equation with locally integrable coefficients has one solution"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One line of a derivation.

    Attributes:
        name: heading.
        shown: pairs (left, right) that are printed as equations; expressions, or text for rules.
        relation: sign between the two sides.
        checks: expressions that must be zero.
        above: expressions that must be positive.
        because: one sentence.
        by: theorem that is used and not checked; empty for none.
        hypotheses: what is assumed and not checked.
        using: equations that hold by hypothesis or by an earlier step, as replacements.
    """

    name: str
    shown: tuple[tuple[Any, Any], ...] = ()
    relation: str = "="
    checks: tuple[Any, ...] = ()
    above: tuple[Any, ...] = ()
    because: str = ""
    by: str = ""
    hypotheses: tuple[str, ...] = ()
    using: Mapping[Any, Any] = field(default_factory=dict)

    def run(self, domain: Domain, timeout: float | None = None) -> Iterator[ZeroTest]:
        """The tests of the step, in order."""
        for expr in self.checks:
            if timeout is None:
                yield _tested(sp.sympify(expr), domain, tuple(self.using.items()))
            else:
                yield is_zero(expr, domain=domain, using=self.using, timeout=timeout)
        for expr in self.above:
            yield is_positive(expr, domain=domain)


@lru_cache(maxsize=4096)
def _tested(expr: Any, domain: Domain, using: tuple[Any, ...]) -> ZeroTest:
    """A derivation and its wrong versions have most of their steps in common."""
    return is_zero(expr, domain=domain, using=dict(using))


def equal(
    name: str,
    left: Any,
    right: Any,
    *,
    because: str = "",
    using: Mapping[Any, Any] | None = None,
    hypotheses: Sequence[str] = (),
) -> Step:
    """``left = right`` at every point of the domain; matrices entry by entry.

    Raises:
        ValueError: matrices of different shapes.
    """
    return Step(
        name=name, shown=((left, right),), checks=differences(left, right), because=because,
        using=dict(using or {}), hypotheses=tuple(hypotheses),
    )  # fmt: skip


def same_integral(
    name: str,
    left: Any,
    right: Any,
    *,
    flux: Mapping[sp.Symbol, Any],
    because: str = "",
    using: Mapping[Any, Any] | None = None,
    hypotheses: Sequence[str] = (DECAY,),
) -> Step:
    """``int left = int right``: the integrands differ by the divergence of ``flux``.

    Checked: ``left - right = sum_i d flux_i / dx_i`` at every point. Not checked: that the flux decays.
    """
    divergence = sp.Add(*(sp.diff(part, x) for x, part in flux.items()))
    shown = sp.Add(
        *(sp.Derivative(part, x, evaluate=False) for x, part in flux.items()), evaluate=False
    )
    return Step(
        name=name,
        shown=((left, sp.Add(right, shown, evaluate=False) if right != 0 else shown),),
        checks=(left - right - divergence,),
        because=because or "the integrals agree, since that of a divergence is zero",
        by="integration by parts",
        using=dict(using or {}),
        hypotheses=tuple(hypotheses),
    )


def solves(
    name: str,
    equations: Mapping[Any, Any],
    solution: Mapping[Any, Any],
    *,
    start: Mapping[sp.Symbol, Any],
    initial: Mapping[Any, Any],
    because: str = "",
    using: Mapping[Any, Any] | None = None,
    hypotheses: Sequence[str] = (LINEAR_ODE,),
) -> Step:
    """A closed form is the solution of a linear initial value problem: residual and initial value are zero.

    Args:
        name: heading.
        equations: derivative -> right-hand side, e.g. ``{v(t).diff(t): 2*f*v(t) + g2}``.
        solution: unknown -> closed form, e.g. ``{v(t): ...}``.
        start: ``{t: 0}``.
        initial: unknown -> value at the start.
        because: one sentence.
        using: hypotheses as replacements, applied to residuals and initial values.
        hypotheses: what is not checked: uniqueness, by default.
    """
    known = dict(solution)
    residuals, first = [], []
    for rate, right in equations.items():
        unknown = rate.expr
        moving = sp.diff(known[unknown], *((v, n) for v, n in rate.variable_count))
        residuals.append(moving - sp.sympify(right).xreplace(known))
    for unknown, value in initial.items():
        first.append(sp.sympify(known[unknown]).subs(dict(start)) - value)
    return Step(
        name=name,
        shown=(*equations.items(), *known.items()),
        checks=(*residuals, *first),
        because=because or "the closed form has residual zero and the right initial value",
        by="uniqueness of the initial value problem",
        using=dict(using or {}),
        hypotheses=tuple(hypotheses),
    )


def positive_step(name: str, expr: Any, *, because: str = "") -> Step:
    """``expr > 0`` at every point of the domain."""
    return Step(name=name, shown=((expr, 0),), relation=">", above=(expr,), because=because)


def greater(name: str, left: Any, right: Any, *, because: str = "") -> Step:
    """``left > right`` at every point of the domain."""
    return Step(
        name=name, shown=((left, right),), relation=">", above=(sp.sympify(left) - right,), because=because,
    )  # fmt: skip


def rule(
    name: str,
    before: Any,
    after: Any,
    *,
    by: str,
    hypotheses: Sequence[str],
    because: str = "",
    relation: str = "=",
) -> Step:
    """A named theorem, which is not checked.

    Raises:
        ValueError: no hypothesis.
    """
    if not hypotheses:
        raise bad("hypotheses", "none", "what the rule needs", f"say when {by} holds")
    return Step(
        name=name, shown=((before, after),), relation=relation, because=because, by=by,
        hypotheses=tuple(hypotheses),
    )  # fmt: skip


def differences(left: Any, right: Any) -> tuple[Any, ...]:
    """The expressions that are zero if two sides are equal.

    Raises:
        ValueError: matrices of different shapes.
    """
    if isinstance(left, sp.MatrixBase) or isinstance(right, sp.MatrixBase):
        shapes = [getattr(side, "shape", "a scalar") for side in (left, right)]
        if shapes[0] != shapes[1]:
            raise bad("right", f"shape {shapes[1]}", f"shape {shapes[0]} like left", "correct it")
        return tuple(sp.Matrix(left) - sp.Matrix(right))
    return (sp.sympify(left) - sp.sympify(right),)


@dataclass(frozen=True)
class Checked:
    """A step with the results of its tests."""

    step: Step
    tests: tuple[ZeroTest, ...]
    seconds: float

    @property
    def status(self) -> Status | None:
        """Worst of the tests; None for a step that checks nothing."""
        found = {test.status for test in self.tests}
        return next((s for s in (REFUTED, UNKNOWN, PROVED) if s in found), None)

    @property
    def witness(self) -> Mapping[str, str] | None:
        """Where it fails."""
        return next((t.witness for t in self.tests if t.witness is not None), None)


class Derivation:
    """Named steps that together prove a statement; see the module for how to write one.

    Args:
        name: as the command line calls it.
        title: one line.
        statement: what is proved, plain text with Unicode signs.
        formula: the same as LaTeX without dollar signs.
        domain: symbols and functions of all steps.
        steps: in order.
        hypotheses: assumed throughout.
        source: author, year, equation.
        wrong: name of the mutant that this is, None for the derivation itself.
        mutants: name -> status that it has; at least two. They are made by the same factory.

    Raises:
        ValueError: fewer than two mutants, a mutant declared PROVED, an unknown ``wrong``, no checking step.
    """

    def __init__(
        self,
        name: str,
        *,
        title: str,
        statement: str,
        formula: str,
        domain: Domain,
        steps: Sequence[Step],
        mutants: Mapping[str, Status],
        hypotheses: Sequence[str] = (),
        source: str = "",
        wrong: str | None = None,
    ) -> None:
        if len(mutants) < 2 or PROVED in mutants.values():
            raise bad(
                "mutants", f"{dict(mutants)} in {name}", "at least two, none of them PROVED", "add wrong formulas",
            )  # fmt: skip
        if wrong is not None and wrong not in mutants:
            raise bad("wrong", repr(wrong), f"one of {', '.join(mutants)}", "correct the name")
        if not any(step.checks or step.above for step in steps):
            raise bad(
                "steps", f"no step of {name} that checks anything", "at least one", "add an equality",
            )  # fmt: skip
        self.name, self.title, self.statement, self.formula = name, title, statement, formula
        self.domain, self.steps, self.mutants = domain, tuple(steps), dict(mutants)
        self.source, self.wrong, self.timeout = source, wrong, None
        self._hypotheses = tuple(hypotheses)

    @property
    def hypotheses(self) -> tuple[str, ...]:
        """All that is assumed and not checked, each once."""
        every = [*self._hypotheses, *(h for step in self.steps for h in step.hypotheses)]
        return tuple(dict.fromkeys(every))

    @cached_property
    def checked(self) -> tuple[Checked, ...]:
        """All steps with their results; computed on first use."""
        found = []
        for step in self.steps:
            start = time.perf_counter()
            tests = tuple(step.run(self.domain, self.timeout))
            found.append(Checked(step, tests, time.perf_counter() - start))
        return tuple(found)

    @property
    def status(self) -> Status:
        """PROVED if every checking step is; REFUTED if some step is; else UNKNOWN."""
        found = {c.status for c in self.checked}
        return REFUTED if REFUTED in found else UNKNOWN if UNKNOWN in found else PROVED

    @property
    def proved(self) -> bool:
        """Whether the status is PROVED."""
        return self.status == PROVED

    @property
    def seconds(self) -> float:
        """Time that the checks took."""
        return sum(c.seconds for c in self.checked)

    def limited(self, timeout: float) -> Derivation:
        """The same derivation with every test in a subprocess that is ended after ``timeout`` seconds."""
        other = Derivation.__new__(Derivation)
        other.__dict__ |= {k: v for k, v in self.__dict__.items() if k != "checked"}
        other.timeout = timeout
        return other

    def failures(self) -> list[str]:
        """One sentence for each step that is not proved."""
        return [
            f"{c.step.name}: {c.status}" + (f" at {point(c.witness)}" if c.witness else "")
            for c in self.checked
            if c.status not in (PROVED, None)
        ]

    def text(self) -> str:
        """Plain text of at most 80 columns."""
        from .printing import as_text

        return as_text(self)

    def latex(self) -> str:
        """LaTeX source, to be included in a document that loads amsmath."""
        from .printing import as_latex

        return as_latex(self)

    def mathml(self) -> str:
        """HTML fragment with formulas in MathML."""
        from .printing import as_mathml

        return as_mathml(self)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        from .printing import as_dict

        return as_dict(self)

    def __repr__(self) -> str:
        return f"Derivation({self.name!r}, {len(self.steps)} steps)"


Factory = Callable[..., Derivation]


def point(witness: Mapping[str, str]) -> str:
    """A witness in one line."""
    return ", ".join(f"{k} = {v}" for k, v in witness.items()) or "every point"


def renamed(derivation: Derivation, **changes: Any) -> Derivation:
    """A copy with other attributes, e.g. ``name``."""
    other = Derivation.__new__(Derivation)
    other.__dict__ |= {k: v for k, v in derivation.__dict__.items() if k != "checked"} | changes
    return other


__all__ = [
    "DECAY", "LINEAR_ODE", "Checked", "Derivation", "Factory", "Step", "differences", "equal", "greater", "point",
    "positive_step", "renamed", "replace", "rule", "same_integral", "solves",
]  # fmt: skip
