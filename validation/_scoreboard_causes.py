"""Causes of what the rules of the scoreboard accuse, looked up by hand in the sources of the pinned releases.

They explain; they accuse nothing. The entries are in ``scoreboard_causes.json``. An entry names the rules and
configurations that it explains, the place in the source, the sentence of the documentation that is contradicted (or
that states the limit), the public issue where one is known, and a script in ``docs/reproductions`` that shows it with
numpy, torch and the library alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

CONTRADICTS = "contradicts its documentation"
FAILS = "crashes or NaN"
LIMIT = "design limit, documented"
OURS = "ours to explain"


@dataclass(frozen=True)
class Cause:
    """One cause.

    Attributes:
        name: of the entry and of its script.
        kind: class of the defect.
        title: one line.
        library: whose.
        classes: names that it concerns.
        rules: rules that it explains.
        also: rules that it explains where one of ``rules`` accuses the same row.
        options: alternatives; each maps options to the values of which one must be set.
        place: file and line of the cause.
        cause: what the source does, and what would be right.
        quote: sentence of the documentation, with its place.
        issues: public threads.
        script: whether there is a script of that name.
    """

    name: str
    kind: str
    title: str
    library: str
    classes: tuple[str, ...]
    rules: tuple[str, ...]
    place: str
    cause: str
    quote: str = ""
    also: tuple[str, ...] = ()
    options: tuple[Mapping[str, list[str]], ...] = ()
    issues: tuple[str, ...] = ()
    script: bool = True

    def explains(self, row: dict[str, Any], rule: str, accused: set[str]) -> bool:
        """Whether a rule's accusation of a row, which all of ``accused`` accuse, falls under this cause."""
        if row["library"] != self.library or row["name"] not in self.classes:
            return False
        # What one law shows another shows too.
        followed = rule in (*self.also, "mixture") and accused & set(self.rules)
        if rule not in self.rules and not followed:
            return False
        chosen = chosen_options(row["target"])
        return not self.options or any(
            all(chosen.get(k, "") in values for k, values in one.items()) for one in self.options
        )

    def as_dict(self) -> dict[str, Any]:
        """For the JSON."""
        return {
            "name": self.name,
            "class": self.kind,
            "title": self.title,
            "library": self.library,
            "place": self.place,
            "cause": self.cause,
            "quote": self.quote,
            "issues": list(self.issues),
            "script": f"reproductions/{self.name}.py" if self.script else None,
        }


def chosen_options(target: str) -> dict[str, str]:
    """The options of a target, as written."""
    _, _, tail = target.partition("?")
    return dict(part.split("=", 1) for part in tail.split("&")) if tail else {}


@cache
def causes() -> tuple[Cause, ...]:
    """All entries, in the order in which they are asked."""
    text = (resources.files(__package__ or __name__) / "scoreboard_causes.json").read_text("utf-8")
    return tuple(Cause(**_frozen(one)) for one in json.loads(text))


def _frozen(one: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in one.items()}
