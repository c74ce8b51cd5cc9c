"""``check_identity``: is ``E_law[terms(x)] = 0`` within a tolerance?

A finite sum over atoms, or deterministic quadrature in one and two dimensions, decides where its error
lets it. Otherwise, and as a second route, a mean over exact draws with control variates whose mean is
exactly known; their coefficients come from an independent pilot and never from the terms' own code. The interval holds
at all looks at once, so that the run stops at the first that decides. Values need not be bounded: what is assumed of
their tails, a bound on the fourth moment, is among the assumptions of the verdict. Where a trial says that they pay,
draws come in randomly shifted Sobol nets.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..numerics.anytime_mean import anytime_mean
from ..numerics.estimate import Estimate
from ..numerics.rng import substream
from ..numerics.stein_features import identity_features
from ..theory._checks import bad, positive
from ..theory.empirical import PointMasses
from ..theory.protocols import Vector
from ._user_code import (
    UserCodeError,
    as_reals,
    call_user,
    first_infinite_moment,
    law_or_refuse,
    library_of,
)
from .evidence import Allowed, Evidence, Kind, Measured, Outcome, interval
from .verdict import Diagnosis, Mutant, Verdict

_BUDGET = 100_000
_LEAST = 128
_EPS = float(np.finfo(np.float64).eps)


def check_identity(
    terms: Callable[[Any], Any],
    law: Any,
    *,
    tolerance: float,
    budget: int | None = None,
    false_alarm: float = 1e-6,
    seed: int = 0,
    timeout: float | None = None,
    backend: str | None = None,
    device: Any = None,
    dtype: str = "float64",
) -> Verdict:
    """Checks ``E_law[terms(x)] = 0``; claim id ``identity``.

    Args:
        terms: ``(n, d) -> (n,)``, the integrand.
        law: a law with exact draws.
        tolerance: allowed size of the mean, in the units of ``terms``.
        budget: draws at most, a quarter of them for the pilot; None: 100,000.
        false_alarm: probability that the interval misses the mean.
        seed: entropy; the same seed gives the same verdict.
        timeout: seconds for each call of ``terms``; None runs it in process without limit.
        backend: ``"torch"`` hands tensors to ``terms``; None or ``"numpy"`` arrays.
        device: device of the tensors.
        dtype: ``"float64"`` or ``"float32"``, precision of what ``terms`` is given.

    Returns:
        A verdict; what ``terms`` does wrong is in it as ERROR.

    Raises:
        ValueError: arguments out of range, or a law without exact draws.
    """
    if not callable(terms):
        raise bad("terms", type(terms).__name__, "a function (n, d) -> (n,)", "pass a callable")
    if not (tolerance > 0 and math.isfinite(tolerance)):
        raise bad("tolerance", tolerance, "a positive number", "use the units of terms")
    if not 0 < false_alarm < 0.5:
        raise bad("false_alarm", false_alarm, "a probability below 1/2", "pass e.g. 1e-6")
    if budget is not None and (int(budget) != budget or budget < _LEAST):
        raise bad("budget", budget, f"an integer of at least {_LEAST}", "allow more draws")
    backend = library_of(backend, device)
    if dtype not in ("float64", "float32"):
        raise bad("dtype", repr(dtype), "'float64' or 'float32'", "correct it")
    if timeout is not None:
        positive(timeout, "timeout")
    law_or_refuse(law, "law")
    if not (hasattr(law, "transport") or hasattr(law, "draw_with")):
        raise bad("law", type(law).__name__, "a law with exact draws", "use a normalised law")
    f = _Integrand(terms, int(law.dim), timeout, backend, device, dtype)
    n = _BUDGET if budget is None else int(budget)
    bare = Verdict(
        claim="identity",
        statement=f"The mean of the terms over {law!r} is zero, within {tolerance:g}.",
        subject={"law": repr(law)},
    )
    start = time.perf_counter()
    try:
        return _decide(bare, f, law, tolerance, n, false_alarm, seed)
    except UserCodeError as error:
        seconds = time.perf_counter() - start
        failed = Evidence.error("terms", str(error), kind="confidence", seconds=seconds)
        return replace(bare, evidence=(failed,), samples_used=f.rows)


class _Integrand:
    """User code as ``(n, d) -> (n,)`` float64, remembered call by call."""

    def __init__(
        self,
        terms: Callable[[Any], Any],
        dim: int,
        timeout: float | None,
        backend: str | None,
        device: Any,
        dtype: str,
    ) -> None:
        self._terms, self._dim, self._timeout = terms, dim, timeout
        self._torch, self._device, self._dtype = backend == "torch", device, dtype
        self.rows = 0
        self.record: list[tuple[Vector, Vector]] = []  #: first row, values of each call

    @property
    def assumption(self) -> str:
        """What rounding of the arguments adds to the reading; empty in float64."""
        if self._dtype == "float64":
            return ""
        return f"the terms are those at points rounded to {self._dtype}, whose effect is part of the mean"

    def __call__(self, x: Vector) -> Vector:
        n = x.shape[0]
        # A copy: user code may write into what it is given.
        given: Any = np.array(x, dtype=self._dtype)
        if self._torch:
            import torch

            given = torch.as_tensor(given, device=self._device or "cpu")
        found = call_user(self._terms, given, name="terms", timeout=self._timeout)
        values, _ = as_reals(found, name="terms")
        if values.shape not in ((n,), (n, 1)):
            raise UserCodeError(f"terms: got shape {values.shape}, wanted ({n},); one value a row")
        values = values.reshape(n)
        wrong = ~np.isfinite(values)
        if wrong.any():
            at = x[int(np.argmax(wrong))]
            where = np.array2string(at[:4], precision=4, separator=", ")
            raise UserCodeError(
                f"terms: got {int(wrong.sum())} of {n} values not finite, first at x = {where}; wanted finite numbers"
            )
        self.rows += n
        self.record.append((x[:1].copy(), values))
        return values


def _decide(
    bare: Verdict,
    f: _Integrand,
    law: Any,
    tolerance: float,
    n: int,
    level: float,
    seed: int,
) -> Verdict:
    start = time.perf_counter()

    def settled(e: Estimate) -> bool:
        return e.refutes(0.0, tolerance=tolerance) or -tolerance <= e.low <= e.high <= tolerance

    found = _sampled(f, law, n, level, seed, settled)
    seconds = time.perf_counter() - start
    exact = _by_quadrature(f, law, tolerance)
    decided = exact is not None and exact.outcome in (Outcome.SUPPORTED, Outcome.REFUTED)
    order = first_infinite_moment(law)
    unproven = ""
    if not decided and math.isfinite(order):
        # The mean of the terms may not exist, and no tail that an interval could assume is known.
        known = "the moments of the law are not all finite, so that draws bound no mean"
        nothing = {"low": -math.inf, "high": math.inf, "detectable": math.inf}
        found = replace(found, assumption=known, **nothing)
    elif math.isfinite(order):
        unproven = (
            f"{found.assumption}: not known under this law, whose moments of order {order:g} and above are infinite; "
            "the interval of the draws is without guarantee unless the terms grow slowly, and decides nothing"
        )
        found = replace(found, assumption=unproven)
    sampled = _evidence(found, tolerance, seed, seconds, deciding=not decided)
    if unproven:
        sampled = replace(sampled, message=f"{sampled.message}; without guarantee in these tails")
    evidence = (sampled,) if exact is None else (replace(exact, deciding=decided), sampled)
    mutants = [_replayed(f, law, n, level, seed, found, tolerance)]
    if exact is not None and decided:
        mutants.append(_shifted(exact, tolerance))
    first = evidence[0] if decided else sampled
    assert first.measured is not None  # neither kind is a test
    verdict = replace(
        bare,
        evidence=evidence,
        mutants=tuple(mutants),
        samples_used=found.n,
        exact_refuted=not first.measured.low <= 0 <= first.measured.high,
        assumptions=tuple(a for a in (found.assumption, f.assumption) if a),
    )
    return replace(verdict, diagnosis=_diagnosis(verdict, first, found, tolerance))


def _sampled(
    f: Callable[[Vector], Vector],
    law: Any,
    n: int,
    level: float,
    seed: int,
    settled: Callable[[Estimate], bool],
) -> Estimate:
    try:
        families = identity_features(law)
    except ValueError:
        families = []  # nothing with a known mean: plain Monte Carlo
    rng = substream(seed, "identity")
    return anytime_mean(f, law, n=n, rng=rng, level=level, features=families, decided=settled)


def _evidence(
    e: Estimate, tolerance: float, seed: int, seconds: float, *, deciding: bool
) -> Evidence:
    kind: Kind = "quadrature" if e.kind == "quadrature" else "confidence"
    gain = f", control variates worth {e.reduction:.3g} times the draws" if e.reduction > 1 else ""
    text = f"mean {e.value:.4g} in [{e.low:.4g}, {e.high:.4g}]{gain}"
    if math.isinf(e.high):
        text += ", which bounds nothing"
    if math.isnan(e.value):
        return Evidence.error("mean", "the mean is not a number", kind=kind, seconds=seconds)
    return Evidence(
        check="mean",
        kind=kind,
        measured=Measured(e.value, e.low, e.high),
        allowed=Allowed(-tolerance, tolerance),
        deciding=deciding,
        level=e.level,
        n=e.n,
        detectable=e.detectable,
        seed=seed,
        seconds=seconds,
        message=text,
    )


def _by_quadrature(f: _Integrand, law: Any, tolerance: float) -> Evidence | None:
    """The integral: a finite sum over atoms, quadrature in one and two dimensions, None elsewhere."""
    start = time.perf_counter()
    try:
        if isinstance(law, PointMasses):
            parts = law.weights * f(np.asarray(law.points))
            kind: Kind = "exact"
            value, count = math.fsum(parts), len(parts)
            error = 2 * _EPS * float(np.abs(parts).sum())
        elif law.dim <= 2:
            from ..numerics.quadrature import expectation

            found = expectation(f, law)
            value, error, count = found.value, found.error, found.evaluations
            kind = "quadrature"
        else:
            return None
    except (ValueError, UserCodeError):
        # A law that quadrature does not know, or terms that fail where draws never come.
        return None
    piece = interval(
        "integral",
        kind,
        value,
        error,
        (-tolerance, tolerance),
        n=count,
        # What is shifted by less than the last digit of the tolerance is not shifted.
        detectable=2 * error + 8 * _EPS * tolerance,
        message=f"integral {value:.6g} with an error of about {error:.2g}",
    )
    return replace(piece, seconds=time.perf_counter() - start)


def _replayed(
    f: _Integrand, law: Any, n: int, level: float, seed: int, found: Estimate, tolerance: float
) -> Mutant:
    """The terms plus a constant, from values already obtained where the same seed gives the same draws."""
    # Constant terms have intervals of no width; sums of 64 eps are still told from the tolerance.
    size = (tolerance + 2 * found.detectable) * (1 + 64 * _EPS) + 64 * _EPS * abs(found.value)
    if not math.isfinite(size):
        return Mutant(
            name="shifted",
            outcome=Outcome.UNDECIDED,
            check="mean",
            underpowered=True,
            message=f"{n} draws bound nothing under the assumed tails; allow more draws",
        )
    sign = 1.0 if found.value >= 0 else -1.0
    known = iter(f.record[:])

    def moved(x: Vector) -> Vector:
        first, values = next(known, (None, x))
        # A shift in whose rounding the values are lost may change what is drawn.
        same = first is not None and len(values) == len(x) and np.array_equal(first, x[:1])
        return (values if same else f(x)) + sign * size

    wrong = _sampled(moved, law, n, level, seed, lambda e: e.n >= found.n)
    outcome = _evidence(wrong, tolerance, seed, 0.0, deciding=True).outcome
    return Mutant(
        name="shifted",
        outcome=outcome,
        check="mean",
        message=f"terms shifted by {sign * size:.3g}",
    )


def _shifted(exact: Evidence, tolerance: float) -> Mutant:
    """The integral of the terms plus a constant, which moves by that constant."""
    assert exact.measured is not None
    m = exact.measured
    size = tolerance + 2 * (exact.detectable or 0.0)
    off = size if m.value >= 0 else -size
    moved = Measured(m.value + off, m.low + off, m.high + off)
    return Mutant(
        name="shifted-integral",
        outcome=replace(exact, measured=moved).outcome,
        check="integral",
        message=f"integral shifted by {off:.3g}",
    )


def _diagnosis(
    verdict: Verdict, first: Evidence, found: Estimate, tolerance: float
) -> Diagnosis | None:
    outcome, m = verdict.decided, first.measured
    if outcome is Outcome.SUPPORTED or m is None:
        return None
    if outcome is Outcome.REFUTED:
        text = f"the mean is {m.value:.4g}, not zero: certified in [{m.low:.4g}, {m.high:.4g}]"
        return Diagnosis(text=text, distance=abs(m.value))
    gap = abs(tolerance - abs(found.value))
    text = f"the mean is in [{m.low:.4g}, {m.high:.4g}], which is not inside +-{tolerance:g}"
    if gap > 0 and math.isfinite(found.half_width):
        text += f"; about {math.ceil(found.n * (found.half_width / gap) ** 2 * 1.2):,} draws would decide"
    return Diagnosis(text=text, distance=abs(m.value))
