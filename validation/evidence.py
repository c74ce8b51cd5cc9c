"""Evidence: an interval for a measured number beside the interval that the claim allows.

The outcome of a piece is computed from the two intervals and is never stored:

* measured inside allowed: SUPPORTED; disjoint: REFUTED; otherwise UNDECIDED;
* a measurement that is not a number: ERROR (user code raised, hung, or returned nonsense);
* kind ``test``: an e-process; REFUTED if e >= 1/level, else UNDECIDED, never SUPPORTED.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, get_args

Kind = Literal["proof", "enclosure", "exact", "quadrature", "confidence", "test"]
KINDS: tuple[Kind, ...] = get_args(Kind)  #: strongest first


class Outcome(StrEnum):
    """What the evidence says; ordered by :attr:`severity`."""

    SUPPORTED = "SUPPORTED"
    REFUTED = "REFUTED"
    UNDECIDED = "UNDECIDED"
    ERROR = "ERROR"

    @property
    def severity(self) -> int:
        """ERROR > REFUTED > UNDECIDED > SUPPORTED, as an integer."""
        return ("SUPPORTED", "UNDECIDED", "REFUTED", "ERROR").index(self.value)


def worst(outcomes: list[Outcome]) -> Outcome:
    """The most severe outcome; SUPPORTED of nothing is UNDECIDED, since nothing was shown."""
    return max(outcomes, key=lambda o: o.severity) if outcomes else Outcome.UNDECIDED


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured number with an interval that holds the true value (in the sense of the kind)."""

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        numbers = (self.value, self.low, self.high)
        if not any(math.isnan(v) for v in numbers) and not self.low <= self.high:
            raise ValueError(
                f"measured: got low {self.low:g} above high {self.high:g}, wanted low <= high; swap them"
            )


@dataclass(frozen=True, slots=True)
class Allowed:
    """The interval that the claim allows for the true value; either end may be infinite."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if math.isnan(self.low) or math.isnan(self.high) or self.low > self.high:
            raise ValueError(
                f"allowed: got [{self.low:g}, {self.high:g}], wanted low <= high; swap the ends"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One measurement of one consequence of a claim.

    Attributes:
        check: name of the check within its claim.
        kind: what sort of error statement it carries (see design of kinds in the README).
        measured: the number and its interval; None for kind ``test``.
        allowed: the interval of the claim; None for kind ``test``.
        deciding: whether the verdict listens to it.
        log10_e: base-10 logarithm of the e-value, kind ``test`` only.
        level: false-alarm rate of this piece; 0 where the error statement is not statistical.
        n: number of draws, evaluations or nodes used.
        detectable: smallest excess over the allowed interval, in units of ``measured``, that is refuted
            with probability 1 - 1e-4 at this ``n``.
        seed: entropy from which the piece drew; None where nothing was drawn.
        seconds: wall time.
        message: one sentence for a reader.
    """

    check: str
    kind: Kind
    measured: Measured | None = None
    allowed: Allowed | None = None
    deciding: bool = True
    log10_e: float | None = None
    level: float = 0.0
    n: int = 0
    detectable: float | None = None
    seed: int | None = None
    seconds: float = 0.0
    message: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(
                f"kind: got {self.kind!r}, wanted one of {', '.join(KINDS)}; correct it"
            )
        if self.kind == "test" and (self.measured or self.allowed):
            if not (self.measured and math.isnan(self.measured.value)):
                raise ValueError(
                    "measured: got an interval, wanted None for kind test; use log10_e"
                )
        elif self.kind != "test" and (self.measured is None or self.allowed is None):
            raise ValueError(
                f"measured, allowed: got None, wanted intervals for kind {self.kind}; pass both"
            )

    @property
    def value(self) -> float:
        """The measured number; NaN for kind ``test``, which measures none."""
        return math.nan if self.measured is None else self.measured.value

    @property
    def outcome(self) -> Outcome:
        """Computed from the intervals (or from the e-value), never set."""
        m = self.measured
        if m is not None and any(math.isnan(v) for v in (m.value, m.low, m.high)):
            return Outcome.ERROR
        if self.kind == "test":
            e, level = self.log10_e, self.level
            if e is None or math.isnan(e):
                return Outcome.ERROR
            return Outcome.REFUTED if level > 0 and e >= -math.log10(level) else Outcome.UNDECIDED
        assert self.measured is not None and self.allowed is not None  # __post_init__ saw to it
        if self.measured.low >= self.allowed.low and self.measured.high <= self.allowed.high:
            return Outcome.SUPPORTED
        if self.measured.high < self.allowed.low or self.measured.low > self.allowed.high:
            return Outcome.REFUTED
        return Outcome.UNDECIDED

    @classmethod
    def error(
        cls, check: str, message: str, *, kind: Kind = "exact", seconds: float = 0.0
    ) -> Evidence:
        """Evidence that user code failed: a measurement that is not a number."""
        nan = Measured(math.nan, math.nan, math.nan)
        return cls(
            check=check,
            kind=kind,
            measured=nan,
            allowed=None if kind == "test" else Allowed(-math.inf, math.inf),
            seconds=seconds,
            message=message,
        )


def interval(
    check: str,
    kind: Kind,
    value: float,
    radius: float,
    allowed: tuple[float, float],
    *,
    deciding: bool = True,
    level: float = 0.0,
    n: int = 0,
    detectable: float | None = None,
    seed: int | None = None,
    message: str = "",
) -> Evidence:
    """Evidence from a value with a symmetric error ``radius`` and the pair of allowed ends."""
    if not math.isfinite(value) or math.isnan(radius):
        return Evidence.error(
            check, message or f"measured {value}, which is not finite", kind=kind
        )
    return Evidence(
        check=check,
        kind=kind,
        measured=Measured(float(value), float(value - radius), float(value + radius)),
        allowed=Allowed(float(allowed[0]), float(allowed[1])),
        deciding=deciding,
        level=level,
        n=int(n),
        detectable=detectable,
        seed=seed,
        message=message,
    )


def plain(data: Any) -> Any:
    """Data that JSON can hold: numbers that are not finite become ``"nan"``, ``"inf"``, ``"-inf"``."""
    if isinstance(data, dict):
        return {str(k): plain(v) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [plain(v) for v in data]
    if isinstance(data, float) and not math.isfinite(data):
        return "nan" if math.isnan(data) else ("inf" if data > 0 else "-inf")
    return data
