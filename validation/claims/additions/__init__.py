"""What entries of the ledger have beside the checks of their sections.

Three kinds, each in modules with ``ADDED: dict[str, Addition]`` by the id of the entry:

* ``proved_*``: derivations as checks of kind ``proof`` (the printed formula, and the corrected one);
* ``enclosed``: the same quantities in ball arithmetic;
* ``consequences_*``: what somebody gets who uses a refuted sentence as printed, in numbers.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...claim import Check, Claim


@dataclass(frozen=True, kw_only=True)
class Addition:
    """Checks, each with mutants, for one entry and for its correction.

    Attributes:
        checks: name -> check, as in a claim.
        mutants: name of a check -> wrong versions.
        assumptions: printed with those of the claim.
        derivations: names of the derivations among the checks.
        corrected: the same for the correction of the entry.
    """

    checks: Mapping[str, Check] = field(default_factory=dict)
    mutants: Mapping[str, Sequence[Check]] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    derivations: tuple[str, ...] = ()
    corrected: Addition | None = None

    def and_corrected(self, other: Addition) -> Addition:
        """This for the printed sentence, ``other`` for its correction."""
        return replace(self, corrected=other)

    def __add__(self, other: Addition) -> Addition:
        """Both.

        Raises:
            ValueError: a name of a check in both.
        """
        twice = sorted(set(self.checks) & set(other.checks))
        if twice:
            raise ValueError(
                f"checks: got {twice[0]!r} in two additions, wanted each name once; rename one"
            )
        inner = [a.corrected for a in (self, other) if a.corrected is not None]
        return Addition(
            checks={**self.checks, **other.checks},
            mutants={**self.mutants, **other.mutants},
            assumptions=(*self.assumptions, *other.assumptions),
            derivations=(*self.derivations, *other.derivations),
            corrected=(inner[0] + inner[1] if len(inner) == 2 else inner[0]) if inner else None,
        )


def additions(modules: Sequence[str]) -> dict[str, Addition]:
    """Additions by entry, from modules given by their absolute names."""
    found: dict[str, Addition] = {}
    for module in modules:
        for id, added in importlib.import_module(module).ADDED.items():
            found[id] = found[id] + added if id in found else added
    return found


def extended(claim: Claim, added: Addition) -> Claim:
    """A claim with further checks, at its end, so that those of the claim keep their streams.

    Raises:
        ValueError: a name that the claim has already, or a correction where it has none.
    """
    twice = sorted(set(claim.checks) & set(added.checks))
    if twice:
        raise ValueError(
            f"checks: got {twice[0]!r} for claim {claim.id!r}, which has it; rename the one that is added"
        )
    correction = claim.correction
    if added.corrected is not None:
        if correction is None:
            raise ValueError(
                f"corrected: got checks for the correction of {claim.id!r}, which has none; put them into checks"
            )
        correction = extended(correction, added.corrected)
    parts = claim.parts
    return Claim(
        claim.id,
        claim.statement,
        checks={**claim.checks, **added.checks},
        mutants={**claim.mutants, **added.mutants},
        source=claim.source,
        assumptions=(*claim.assumptions, *added.assumptions),
        correction=correction,
        finding=parts.finding,
        figure=parts.figure,
        role=parts.role,
        group=parts.group,
        subject=parts.subject,
    )


def derivations_of(added: Addition) -> Iterator[str]:
    """Names of the derivations of an entry and its correction, each once."""
    names = [*added.derivations, *(added.corrected.derivations if added.corrected else ())]
    yield from dict.fromkeys(names)
