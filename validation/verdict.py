"""Verdicts and reports: pure data, with outcomes computed from the evidence, and a JSON round trip.

Any deciding ERROR, else any deciding REFUTED decides; all deciding SUPPORTED gives SUPPORTED; else
UNDECIDED. A mutant that is not refuted means that the check cannot see what it must see: the
verdict becomes ERROR, or UNDECIDED where the mutant says that n was too small to show it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

from .evidence import KINDS, Allowed, Evidence, Measured, Outcome, plain, worst

SCHEMA = "scoreproof.report/1"
Role = Literal["required", "printed", "informative"]

__all__ = [
    "SCHEMA",
    "Diagnosis",
    "Evidence",
    "Mutant",
    "NotChecked",
    "Outcome",
    "Report",
    "Role",
    "Verdict",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A wrong formula, map or draw that the check was fed with, and what the check said."""

    name: str
    outcome: Outcome
    check: str = ""
    underpowered: bool = False  #: the check says that its n cannot show this defect
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What is wrong, in words and numbers; ``cause`` names the nearest known defect."""

    text: str
    cause: str | None = None
    distance: float | None = None
    runner_up: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotChecked:
    """A claim that does not apply, or could not be checked, and why."""

    claim: str
    subject: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""


def _no_truth(thing: str) -> TypeError:
    return TypeError(
        f"a {thing} has four outcomes and no truth value; "
        f"compare {thing}.outcome with Outcome.SUPPORTED, or call {thing}.require()"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the evidence says about one claim on one subject."""

    claim: str
    statement: str = ""
    role: Role = "required"
    source: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    subject: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    mutants: tuple[Mutant, ...] = ()
    diagnosis: Diagnosis | None = None
    correction: Verdict | None = None
    finding: str = ""
    exact_refuted: bool | None = None
    samples_used: int = 0
    figure: Mapping[str, Any] | None = None  #: numbers that the report draws, see report/pictures

    @property
    def decided(self) -> Outcome:
        """Outcome of the evidence alone, before the mutants are heard."""
        deciding = [e.outcome for e in self.evidence if e.deciding]
        if not deciding:
            return Outcome.UNDECIDED
        return worst(deciding)

    @property
    def survivors(self) -> tuple[Mutant, ...]:
        """Mutants that the check should have refuted and did not."""
        return tuple(m for m in self.mutants if m.outcome is not Outcome.REFUTED)

    @property
    def broken(self) -> bool:
        """Whether a mutant survived that the check was able to see."""
        return any(not m.underpowered for m in self.survivors)

    @property
    def outcome(self) -> Outcome:
        """The outcome, computed from evidence and mutants."""
        said = self.decided
        if said is Outcome.ERROR or self.broken:
            return Outcome.ERROR
        if self.survivors and said is Outcome.SUPPORTED:
            return Outcome.UNDECIDED
        return said

    @property
    def kinds(self) -> dict[str, str | None]:
        """Strongest and weakest kind among the deciding evidence."""
        ranks = sorted(KINDS.index(e.kind) for e in self.evidence if e.deciding)
        if not ranks:
            return {"strongest": None, "weakest": None}
        return {"strongest": KINDS[ranks[0]], "weakest": KINDS[ranks[-1]]}

    @property
    def user_code_failed(self) -> bool:
        """Whether some deciding evidence is ERROR, as opposed to a check that is broken."""
        return self.decided is Outcome.ERROR

    def nested(self) -> Iterator[Verdict]:
        """This verdict and its corrections, outermost first."""
        verdict: Verdict | None = self
        while verdict is not None:
            yield verdict
            verdict = verdict.correction

    def explain(self) -> str:
        """One paragraph for an error message: outcome, diagnosis, deciding evidence."""
        lines = [f"{self.claim}: {self.outcome}"]
        if self.diagnosis:
            lines.append(self.diagnosis.text)
        for e in self.evidence:
            if e.deciding and e.outcome is not Outcome.SUPPORTED:
                lines.append(f"  {e.check} ({e.kind}): {e.outcome}. {e.message}")
        for m in self.survivors:
            lines.append(
                f"  mutant {m.name} came out {m.outcome}: {m.message or 'the check is broken'}"
            )
        return "\n".join(lines)

    def require(self, *, not_refuted: bool = False) -> Self:
        """Raises unless SUPPORTED (or, with ``not_refuted``, unless SUPPORTED or UNDECIDED).

        Raises:
            AssertionError: with the diagnosis.
        """
        fine = (Outcome.SUPPORTED, Outcome.UNDECIDED) if not_refuted else (Outcome.SUPPORTED,)
        if self.outcome not in fine:
            raise AssertionError(self.explain())
        return self

    def __bool__(self) -> bool:
        raise _no_truth("verdict")

    def __str__(self) -> str:
        return self.explain()

    def to_dict(self) -> dict[str, Any]:
        """The verdict as in ``report.json``."""
        return {
            "claim": self.claim,
            "role": self.role,
            "statement": self.statement,
            "source": list(self.source),
            "assumptions": list(self.assumptions),
            "subject": dict(self.subject),
            "outcome": str(self.outcome),
            "exact_refuted": self.exact_refuted,
            "samples_used": self.samples_used,
            "kinds": self.kinds,
            "evidence": [asdict(e) for e in self.evidence],
            "diagnosis": asdict(self.diagnosis) if self.diagnosis else None,
            "correction": None if self.correction is None else self.correction.to_dict(),
            "mutants": [asdict(m) for m in self.mutants],
            "finding": self.finding,
            "figure": dict(self.figure) if self.figure else None,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        """Inverse of :meth:`to_dict`; the stored outcome must be the one that the evidence gives.

        Raises:
            ValueError: the outcome in the data is not that of its evidence.
        """
        verdict = cls(
            claim=data["claim"],
            statement=data["statement"],
            role=data["role"],
            source=tuple(data["source"]),
            assumptions=tuple(data["assumptions"]),
            subject=dict(data["subject"]),
            evidence=tuple(_evidence(e) for e in data["evidence"]),
            mutants=tuple(
                Mutant(**{**m, "outcome": Outcome(m["outcome"])}) for m in data["mutants"]
            ),
            diagnosis=Diagnosis(**_numbers(data["diagnosis"])) if data["diagnosis"] else None,
            correction=cls.from_dict(data["correction"]) if data["correction"] else None,
            finding=data["finding"],
            exact_refuted=data["exact_refuted"],
            samples_used=data["samples_used"],
            figure=data.get("figure"),
        )
        if str(verdict.outcome) != data["outcome"]:
            raise ValueError(
                f"outcome of {verdict.claim}: got {data['outcome']}, wanted {verdict.outcome}, which its "
                "evidence gives; the file was edited by hand, run the check again"
            )
        return verdict


def _number(value: Any) -> Any:
    return float(value) if value in ("nan", "inf", "-inf") else value


_TEXT = frozenset({"check", "kind", "message", "text", "cause", "runner_up"})


def _numbers(data: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v if k in _TEXT else _number(v) for k, v in data.items()}


def _evidence(data: Mapping[str, Any]) -> Evidence:
    names = {f.name for f in fields(Evidence)}
    plain_fields = {k: v for k, v in _numbers(data).items() if k in names}
    if data["measured"]:
        plain_fields["measured"] = Measured(**_numbers(data["measured"]))
    if data["allowed"]:
        plain_fields["allowed"] = Allowed(**_numbers(data["allowed"]))
    return Evidence(**plain_fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A run: verdicts, what was not checked, and where the numbers come from."""

    verdicts: tuple[Verdict, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    profile: str = "standard"
    false_alarm: float = 1e-6

    def _counted(self) -> Iterator[Verdict]:
        for top in self.verdicts:
            for verdict in top.nested():
                if verdict.role == "required" or verdict.outcome is Outcome.ERROR:
                    yield verdict

    @property
    def outcome(self) -> Outcome:
        """Worst outcome over required verdicts, corrections too; ERROR counts in every role.

        A run of printed sentences alone (whose corrections are required) is judged by those.
        """
        counted = [v.outcome for v in self._counted()]
        if not counted and self.verdicts:
            undecided = any(v.outcome is Outcome.UNDECIDED for v in self.verdicts)
            return Outcome.UNDECIDED if undecided else Outcome.SUPPORTED
        return worst(counted)

    @property
    def exit_status(self) -> int:
        """4 user code failed, else 1 something required is refuted or a mutant survived, else 3, else 0."""
        counted = list(self._counted())
        if any(v.user_code_failed for v in counted):
            return 4
        if any(v.broken or v.outcome is Outcome.REFUTED for v in counted):
            return 1
        return 0 if self.outcome is Outcome.SUPPORTED else 3

    def find(self, claim: str, **subject: Any) -> list[Verdict]:
        """Verdicts of a claim id whose subject has all the given entries."""
        return [
            v
            for v in self.verdicts
            if v.claim == claim and all(v.subject.get(k) == w for k, w in subject.items())
        ]

    def require(self, *, not_refuted: bool = False) -> Self:
        """Raises unless every required verdict is SUPPORTED (or, with ``not_refuted``, not refuted).

        Raises:
            AssertionError: naming each verdict that fails, with its diagnosis.
        """
        fine = (Outcome.SUPPORTED, Outcome.UNDECIDED) if not_refuted else (Outcome.SUPPORTED,)
        failed = [v for v in self._counted() if v.outcome not in fine]
        if failed or not self.verdicts:
            raise AssertionError("\n".join(v.explain() for v in failed) or "the report is empty")
        return self

    def __bool__(self) -> bool:
        raise _no_truth("report")

    def __str__(self) -> str:
        from .report.text import summary  # the table is presentation, not data

        return summary(self)

    def save(self, out: str | Path) -> Path:
        """Writes ``index.html``, ``report.json`` and ``junit.xml`` into the folder ``out``.

        Raises:
            ValueError: the folder cannot be made.
        """
        from .report.files import save

        return save(self, out)

    def to_dict(self) -> dict[str, Any]:
        """The report as in ``report.json``."""
        return {
            "schema": SCHEMA,
            "provenance": dict(self.provenance),
            "profile": self.profile,
            "false_alarm": self.false_alarm,
            "outcome": str(self.outcome),
            "not_checked": [
                {"claim": n.claim, "subject": dict(n.subject), "reason": n.reason}
                for n in self.not_checked
            ],
            "verdicts": [v.to_dict() for v in self.verdicts],
        }

    def to_json(self) -> str:
        """JSON text, stable in the order of keys."""
        return json.dumps(plain(self.to_dict()), indent=1, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Inverse of :meth:`to_json`.

        Raises:
            ValueError: not JSON, another schema, or an outcome that its evidence does not give.
        """
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            got = data.get("schema") if isinstance(data, dict) else type(data).__name__
            raise ValueError(
                f"schema: got {got!r}, wanted {SCHEMA!r}; pass a report.json of scoreproof"
            )
        return cls(
            verdicts=tuple(Verdict.from_dict(v) for v in data["verdicts"]),
            not_checked=tuple(NotChecked(**n) for n in data["not_checked"]),
            provenance=data["provenance"],
            profile=data["profile"],
            false_alarm=_number(data["false_alarm"]),
        )

    def with_verdicts(self, verdicts: Sequence[Verdict]) -> Report:
        """The same run with other verdicts."""
        return replace(self, verdicts=tuple(verdicts))
