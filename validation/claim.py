"""A claim: a sentence that can be true or false, with the checks that measure its consequences.

A check is a function ``f(ctx) -> Evidence``. A mutant is a function of the same form that feeds the
same check with a wrong formula; it must come out REFUTED in the same run, or the check is broken.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from .evidence import Evidence, Outcome
from .verdict import Mutant, Role, Verdict

Profile = Literal["quick", "standard", "deep"]
BUDGETS: Mapping[str, int] = {"quick": 16_000, "standard": 100_000, "deep": 600_000}


@dataclass(frozen=True, slots=True)
class Context:
    """What a check is given: randomness, its share of the false-alarm budget, draws and time.

    Attributes:
        rng: a fresh generator of the check's own; the same seed gives the same bits.
        level: false-alarm rate that this piece may spend.
        budget: number of draws that it should not exceed.
        deadline: value of ``time.monotonic()`` after which it should give up; None without limit.
        seed: entropy from which ``rng`` was made, for the record.
        profile: ``quick``, ``standard`` or ``deep``.
    """

    rng: np.random.Generator
    level: float
    budget: int
    deadline: float | None = None
    seed: int = 0
    profile: str = "standard"

    @property
    def out_of_time(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() > self.deadline


Check = Callable[[Context], Evidence]


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """Optional parts of a claim that are not part of its statement."""

    finding: Callable[[Mapping[str, Evidence]], str] | None = None
    figure: Callable[[Context], Mapping[str, Any]] | None = None
    role: Role = "required"
    group: str = ""
    subject: Mapping[str, Any] | None = None


class Claim:
    """A sentence with checks and mutants.

    Args:
        id: stable identifier, e.g. ``"O2"``.
        statement: the sentence; text with LaTeX between dollar signs.
        checks: name -> ``f(ctx) -> Evidence``.
        mutants: name of a check -> wrong versions of it, each of which must be REFUTED.
        source: who prints the sentence.
        assumptions: hypotheses, and the numeric reading of vague words.
        correction: the claim that holds instead, where this one does not.
        finding: builds one sentence from the evidence by check name.
        figure: builds numbers for a picture in the report.
        role: ``printed`` for a sentence of a text (its correction is then required).
        group: name under which the command line selects it.
        subject: what the claim is about (problem, target, ...), copied into the verdict.

    Raises:
        ValueError: no check, a check without mutant, or a mutant of a check that does not exist.
    """

    def __init__(
        self,
        id: str,
        statement: str,
        *,
        checks: Mapping[str, Check],
        mutants: Mapping[str, Sequence[Check]],
        source: Sequence[str] = (),
        assumptions: Sequence[str] = (),
        correction: Claim | None = None,
        finding: Callable[[Mapping[str, Evidence]], str] | None = None,
        figure: Callable[[Context], Mapping[str, Any]] | None = None,
        role: Role = "required",
        group: str = "",
        subject: Mapping[str, Any] | None = None,
    ) -> None:
        if not checks:
            raise ValueError(
                f"checks: got none for claim {id!r}, wanted at least one; add a check"
            )
        bare = sorted(set(checks) - {name for name, wrong in mutants.items() if len(wrong)})
        if bare:
            raise ValueError(
                f"mutants: got none for check {bare[0]!r} of claim {id!r}, wanted at least one; add a "
                "wrong formula that the check must refute"
            )
        loose = sorted(set(mutants) - set(checks))
        if loose:
            raise ValueError(
                f"mutants: got {loose[0]!r} in claim {id!r}, wanted names of checks "
                f"({', '.join(checks)}); correct the name"
            )
        self.id = id
        self.statement = statement
        self.checks = dict(checks)
        self.mutants = {name: tuple(wrong) for name, wrong in mutants.items()}
        self.source = tuple(source)
        self.assumptions = tuple(assumptions)
        self.correction = correction
        self.parts = _Parts(
            finding=finding, figure=figure, role=role, group=group, subject=subject
        )

    @property
    def role(self) -> Role:
        """``required``, ``printed`` or ``informative``."""
        return self.parts.role

    @property
    def group(self) -> str:
        """Name under which the command line selects the claim."""
        return self.parts.group

    @property
    def pieces(self) -> int:
        """Number of checks and mutants, corrections included: the parts of a false-alarm budget."""
        own = len(self.checks) + sum(len(w) for w in self.mutants.values())
        return own + (self.correction.pieces if self.correction else 0)

    def __repr__(self) -> str:
        return f"Claim({self.id!r}, {self.statement!r})"


def _run(check: Check, name: str, ctx: Context) -> Evidence:
    """Runs one check; whatever user code does wrong becomes evidence with outcome ERROR."""
    start = time.perf_counter()
    fresh = _position(ctx.rng)
    try:
        evidence = check(ctx)
    except Exception as error:
        return Evidence.error(name, _said(error), seconds=time.perf_counter() - start)
    seconds = time.perf_counter() - start
    if not isinstance(evidence, Evidence):
        return Evidence.error(
            name, f"the check returned {type(evidence).__name__}, wanted Evidence", seconds=seconds
        )
    drew = evidence.seed is None and _position(ctx.rng) != fresh
    seed = ctx.seed if drew else evidence.seed
    return replace(evidence, check=name, seconds=seconds, seed=seed)


def _position(rng: np.random.Generator) -> tuple[str, int]:
    """Where a generator stands: its state, and how many streams were spawned from it."""
    bits = rng.bit_generator
    spawned = getattr(bits.seed_seq, "n_children_spawned", 0)
    return repr(bits.state), spawned


def decide(
    claim: Claim,
    *,
    level: float,
    seed: int = 0,
    profile: str = "standard",
    budget: int | None = None,
    deadline: float | None = None,
) -> Verdict:
    """Runs all checks and mutants of a claim and its corrections.

    Args:
        claim: what to decide.
        level: false-alarm rate for the whole claim, split evenly over its pieces.
        seed: entropy; piece k of the correction of depth j draws from ``SeedSequence([seed, crc(id), j, k])``.
        profile: sets the default budget.
        budget: draws a check; None takes the profile's.
        deadline: ``time.monotonic()`` value after which checks should give up.

    Raises:
        ValueError: unknown profile.
    """
    if profile not in BUDGETS:
        raise ValueError(
            f"profile: got {profile!r}, wanted one of {', '.join(BUDGETS)}; correct it"
        )
    draws = BUDGETS[profile] if budget is None else budget
    common = Context(
        np.random.default_rng(0), level / claim.pieces, draws, deadline, seed, profile
    )
    return _decide(claim, common, depth=0)


def _decide(claim: Claim, common: Context, *, depth: int) -> Verdict:
    counter = 0

    def context() -> Context:
        nonlocal counter
        counter += 1
        # crc32, unlike hash(), is the same in every process.
        entropy = [common.seed, zlib.crc32(claim.id.encode()), depth, counter]
        return replace(common, rng=np.random.default_rng(np.random.SeedSequence(entropy)))

    evidence = {name: _run(check, name, context()) for name, check in claim.checks.items()}
    mutants = [
        _mutant(check, name, k, context())
        for name, wrong in claim.mutants.items()
        for k, check in enumerate(wrong)
    ]
    correction = claim.correction and _decide(claim.correction, common, depth=depth + 1)
    finding, no_finding = _finding(claim, evidence)
    figure, no_figure = _figure(claim, context())
    parts = claim.parts
    return Verdict(
        claim=claim.id,
        statement=claim.statement,
        role=parts.role,
        source=claim.source,
        assumptions=claim.assumptions,
        subject=dict(parts.subject or {}),
        evidence=(*evidence.values(), *no_finding, *no_figure),
        mutants=tuple(mutants),
        correction=correction,
        finding=finding,
        samples_used=sum(e.n for e in evidence.values() if e.kind in ("confidence", "test")),
        figure=figure,
    )


def _mutant(check: Check, name: str, k: int, ctx: Context) -> Mutant:
    piece = _run(check, name, ctx)
    label = getattr(check, "__name__", "mutant")
    return Mutant(
        name=label if label not in ("<lambda>", "mutant", "check") else f"{name}-{k + 1}",
        outcome=piece.outcome,
        check=name,
        # A mutant that ran out of time or of draws was not missed by the check: it was not looked at long enough.
        underpowered=piece.outcome is Outcome.UNDECIDED and (ctx.out_of_time or _too_few(piece)),
        message=piece.message,
    )


def _too_few(piece: Evidence) -> bool:
    """Whether the excess over the allowed interval is less than what the draws of the piece can show."""
    m, a = piece.measured, piece.allowed
    if piece.kind != "confidence" or piece.detectable is None or m is None or a is None:
        return False
    return max(a.low - m.value, m.value - a.high, 0.0) < piece.detectable


def _finding(claim: Claim, evidence: Mapping[str, Evidence]) -> tuple[str, list[Evidence]]:
    """The claim's own sentence; one that cannot be built is an error beside the evidence."""
    build = claim.parts.finding
    if build is None or any(e.outcome is Outcome.ERROR for e in evidence.values()):
        return "", []
    try:
        return build(evidence), []
    except Exception as error:
        return "", [Evidence.error("finding", _said(error))]


def _figure(claim: Claim, ctx: Context) -> tuple[Mapping[str, Any] | None, list[Evidence]]:
    """The claim's picture; one that cannot be built is an error beside the evidence."""
    if claim.parts.figure is None:
        return None, []
    try:
        return claim.parts.figure(ctx), []
    except Exception as error:
        return None, [Evidence.error("figure", _said(error))]


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
