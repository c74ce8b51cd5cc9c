"""The ledger: every printed formula as a claim with checks and mutants."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from ...theory._checks import bad

if TYPE_CHECKING:
    from ..claim import Claim
    from .additions import Addition

#: Modules of this package, each with ``CLAIMS: tuple[Claim, ...]``, in the order of the ledger.
_SECTIONS: tuple[str, ...] = (
    "scores",
    "decimals",
    "subspace",
    "tails",
    "arrows",
    "far_field",
    "objectives",
    "denoising",
    "equivalence",
    "conditional_scores",
    "single_draws",
    "noise_levels",
    "score_sizes",
    "balance",
    "targets",
    "passes",
    "blindness",
    "off_manifold",
    "stationarity",
    "langevin",
    "ascent",
    "limits",
    "mixing",
    "annealing",
    "step_counts",
    "noising",
    "one_step",
    "diffusions",
    "near_the_data",
    "flow_or_noise",
    "likelihoods",
    "parameter_averages",
    "time_features",
    "reversal_general",
    "starts",
    "schedule_claims",
    "guidance_claims",
    "digits",
    "digits_reversal",
    "problem_laws",
    "networks",
)

#: Modules of :mod:`additions`, each with ``ADDED: dict[str, Addition]``.
_ADDITIONS: tuple[str, ...] = (
    "proved_scores",
    "proved_objectives",
    "proved_langevin",
    "proved_dynamics",
    "proved_guidance",
    "consequences_dynamics",
    "consequences_decimals",
    "consequences_scores",
    "consequences_objectives",
    "consequences_losses",
    "enclosed_objectives",
    "enclosed_scores",
    "enclosed_posteriors",
    "enclosed_levels",
    "enclosed_dynamics",
    "enclosed_laws",
)

__all__ = ["CLAIMS", "Ledger"]


class Ledger(Mapping[str, "Claim"]):
    """Claims by id, in the order of their sections; the sections load on first use.

    Args:
        sections: absolute names of modules that hold ``CLAIMS``.
        additions: absolute names of modules that hold ``ADDED``, see :mod:`additions`.
    """

    def __init__(self, sections: tuple[str, ...], additions: tuple[str, ...] = ()) -> None:
        self._sections = sections
        self._modules = additions

    @cached_property
    def _claims(self) -> dict[str, Claim]:
        from .additions import extended

        claims: dict[str, Claim] = {}
        for section in self._sections:
            for claim in importlib.import_module(section).CLAIMS:
                if claim.id in claims:
                    raise bad(
                        f"CLAIMS of {section}",
                        f"{claim.id!r} a second time",
                        "each id once",
                        "rename one of the two",
                    )
                claims[claim.id] = claim
        for id, added in self._additions.items():
            if id not in claims:
                raise bad("ADDED", repr(id), "the id of a claim", "correct the id")
            claims[id] = extended(claims[id], added)
        return claims

    @cached_property
    def _additions(self) -> dict[str, Addition]:
        from .additions import additions

        return additions(self._modules)

    @property
    def derivations(self) -> dict[str, tuple[str, ...]]:
        """Names of the derivations of every entry that has one, those of its correction included."""
        from .additions import derivations_of

        named = {id: tuple(derivations_of(added)) for id, added in self._additions.items()}
        return {id: names for id, names in named.items() if names}

    def __getitem__(self, id: str) -> Claim:
        if id not in self._claims:
            raise KeyError(
                f"claim: got {id!r}, wanted the id of a claim; `scoreproof claims` lists the ids"
            )
        return self._claims[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._claims)

    def __len__(self) -> int:
        return len(self._claims)

    def __repr__(self) -> str:
        return f"Ledger({', '.join(s.rpartition('.')[2] for s in self._sections)})"


CLAIMS = Ledger(
    tuple(f"{__name__}.{section}" for section in _SECTIONS),
    tuple(f"{__name__}.additions.{module}" for module in _ADDITIONS),
)
