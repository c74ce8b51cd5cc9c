"""Evidence of kind ``proof`` from a derivation.

Measured is the number of steps that fail: from those that are refuted to those that are not proved. Allowed is
none, so that a derivation is SUPPORTED if all its steps are proved, REFUTED if one is refuted by a point at
which it fails, and UNDECIDED otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..claim import Check, Context
from ..evidence import Allowed, Evidence, Measured
from .tools import named

if TYPE_CHECKING:
    from ...theory.symbolic.derivation import Derivation


def proof_evidence(derivation: Derivation) -> Evidence:
    """The evidence that a derivation is; its steps are checked here."""
    status = [checked.status for checked in derivation.checked]
    refuted = float(status.count("REFUTED"))
    failing = refuted + status.count("UNKNOWN")
    failures = [f"{line}." for line in derivation.failures()]
    if derivation.wrong:
        told = [f'The version "{derivation.wrong}" of: {derivation.title}.', *failures]
    else:
        told = [derivation.statement, *failures]
    if derivation.hypotheses and not derivation.wrong:
        told.append(f"Assumed: {'; '.join(derivation.hypotheses)}.")
    return Evidence(
        check="",
        kind="proof",
        measured=Measured(refuted, refuted, failing),
        allowed=Allowed(0.0, 0.0),
        n=len(status),
        message=" ".join(told),
    )


def proved(derivation: Callable[[], Derivation], name: str = "") -> Check:
    """A check that proves a derivation.

    Args:
        derivation: makes it when the check runs, e.g. ``lambda: derive("ism")``; with ``wrong=...`` a mutant.
        name: under which a mutant is listed.
    """

    def check(ctx: Context) -> Evidence:
        made = derivation()
        if ctx.deadline is not None:
            made = made.limited(max(ctx.deadline - time.monotonic(), 0.1))
        return proof_evidence(made)

    return named(check, name) if name else check


def mutants_of(name: str) -> list[Check]:
    """All mutants of a derivation that a point refutes, as checks under their names."""
    from ...theory.symbolic.catalogue import derive

    def mutant(wrong: str) -> Check:
        return proved(lambda: derive(name, wrong=wrong), wrong)

    return [mutant(wrong) for wrong, status in derive(name).mutants.items() if status == "REFUTED"]
