"""How additions are written: proofs, and what a printed formula does to those who use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from ...claim import Check, Context
from ...evidence import Evidence
from ..ball_evidence import attached
from ..proofs import proof_evidence
from ..tools import named
from . import Addition

if TYPE_CHECKING:
    from ....theory.symbolic.derivation import Derivation

CONSEQUENCE = "consequence"  #: name of the check


@cache
def _derived(derivation: str, wrong: str | None) -> Derivation:
    """One derivation for all entries that have it, so that its steps are checked once.

    It takes no time limit: those of the catalogue are known to end within a second, and a limit starts an
    interpreter for every test of every step.
    """
    from ....theory.symbolic.catalogue import derive

    return derive(derivation, wrong=wrong)


def proof(
    derivation: str, *, wrong: Sequence[str], printed: str | None = None, check: str = "proof"
) -> Addition:
    """A derivation of the catalogue as a check.

    Args:
        derivation: its name.
        wrong: names of its wrong versions that are the mutants.
        printed: name of the wrong version that the text prints; None where it prints the right one.
        check: name of the check, for entries with several derivations.
    """

    def version(name: str | None) -> Check:
        def made(ctx: Context) -> Evidence:
            return proof_evidence(_derived(derivation, name))

        return made

    return Addition(
        checks={check: version(printed)},
        mutants={check: [named(version(w), w) for w in wrong]},
        derivations=(derivation,),
    )


def ball(check: Check, *, wrong: Sequence[tuple[str, Check]], name: str = "enclosure") -> Addition:
    """A check by ball arithmetic; a note in its place where python-flint is missing.

    Args:
        check: the check.
        wrong: (name, check) of its mutants.
        name: of the check within the claim.
    """
    checks, mutants, notes = attached({name: check}, {name: [named(f, k) for k, f in wrong]})
    return Addition(checks=checks, mutants=mutants, assumptions=notes)


def consequence(check: Check, *, wrong: Sequence[tuple[str, Check]]) -> Addition:
    """What somebody gets who uses the sentence as printed; it does not decide the entry.

    The check is a prediction of its own, e.g. "a sampler with the printed drift returns variance 1/2": it must
    come out SUPPORTED, and its message is the sentence that the page prints. Among its mutants is the corrected
    formula in the place of the printed one, for which the prediction fails.

    Args:
        check: the check.
        wrong: (name, check) of its mutants.
    """

    def aside(ctx: Context) -> Evidence:
        return replace(check(ctx), deciding=False)

    return Addition(
        checks={CONSEQUENCE: aside}, mutants={CONSEQUENCE: [named(f, k) for k, f in wrong]}
    )
