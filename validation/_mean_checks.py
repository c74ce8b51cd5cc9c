"""The three checks of ``mean_claim``: proof, enclosure and draws, each with the right-hand side as an argument."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..numerics.control_variates import Part, controlled_sum
from ..numerics.estimate import Estimate
from ..numerics.features import default_features, mixture_of
from ..numerics.proposals import Sampling, law_sampling
from ..theory.protocols import Vector
from ._mean_identity import MeanIdentity
from ._user_code import as_draws, call_user
from .claim import Check, Context
from .claims.averages import shown
from .claims.ball_evidence import digits_of, equals
from .evidence import Allowed, Evidence, Kind, Measured

LESS = "mean of left less that of right"
_PILOT = 4096  #: draws that give the unit of the tolerance
_FEATURES = 160  #: members of the largest family of control variates


def remaining(ctx: Context) -> float | None:
    """Seconds to the deadline; None without one."""
    return None if ctx.deadline is None else max(ctx.deadline - time.monotonic(), 0.0)


def late(kind: Kind, message: str = "") -> Evidence:
    """Evidence of a check that had no time: nothing is known, so that it is UNDECIDED."""
    return Evidence(
        check="",
        kind=kind,
        measured=Measured(0.0, -math.inf, math.inf),
        allowed=Allowed(0.0, 0.0),
        message=message or "the time limit was reached before this check; allow more seconds",
    )


def unseen(name: str, tolerance: float) -> str:
    """The note on a wrong formula that is too near to the right one for draws."""
    return f"draws do not see {name!r}, which is off by less than {2 * tolerance:g} of their unit; lower tolerance"


def jumping(jump: float) -> str:
    """What the flux does where the law ends or has a kink, see :attr:`MeanIdentity.jumps`."""
    return "may jump, beyond what the law tells," if math.isnan(jump) else f"jumps by {jump:.4g}"


def controlled(law: Any) -> bool:
    """Whether control variates leave so little of the variance that a sixth of the draws is enough."""
    return mixture_of(law) is not None and int(law.dim) <= 2


def proof(identity: MeanIdentity, right: Any) -> Check:
    """The identity for every density and all fields; measured is the number of steps that fail."""

    def check(ctx: Context) -> Evidence:
        from ..theory.symbolic.variations import same_mean

        limit = remaining(ctx)
        if limit == 0:
            return late("proof")
        d = identity.density
        found = same_mean(
            identity.left,
            right,
            flux=dict(zip(d.args, identity.flux, strict=True)),
            density=d,
            fields=tuple(identity.fields),
            domain=identity.domain,
            timeout=limit,
        )
        failing = float(found.status != "PROVED")
        said = {"PROVED": "for all p and fields, ", "REFUTED": "", "UNKNOWN": "not decided: "}
        text = said[found.status] + found.method
        if identity.jumps and not failing:
            place, jump = identity.jumps[0]
            failing = 1.0
            text = (
                f"proved where the flux vanishes at the ends, but under this law it {jumping(jump)} at "
                f"x = {place:g}, so that the proof says nothing of it"
            )
        refuted = float(found.status == "REFUTED")
        return Evidence(
            check="",
            kind="proof",
            measured=Measured(refuted, refuted, failing),
            allowed=Allowed(0.0, 0.0),
            n=1,
            message=text,
        )

    return check


def enclosure(identity: MeanIdentity, right: Any) -> Check:
    """``E left - E right`` at the law and the model as a ball.

    Raises:
        NotInJets: not a polynomial in what is enclosed of a law.
        ValueError: a coefficient that balls do not know.
    """
    from ..numerics.enclosure_jets import enclose_jets
    from ..theory.symbolic.law_jets import as_polynomial

    jets = identity.jets
    terms = as_polynomial(identity.at_law(identity.left - right), jets)
    law = identity.law if identity.exact is None else identity.exact
    _try(law, terms, jets.at[0])

    def check(ctx: Context) -> Evidence:
        limit = remaining(ctx)
        if limit == 0:
            return late("enclosure")
        ball = enclose_jets(law, terms, jets.at[0], digits=digits_of(ctx), seconds=limit)
        found = equals(ball, message=LESS)
        if not ball.narrow and ctx.out_of_time:
            return replace(found, message=f"{found.message}; stopped at the time limit")
        return found

    return check


def _try(law: Any, terms: Any, x: Any) -> None:
    """Refuses now what would be refused when the check runs."""
    from ..numerics.enclosure_expressions import compile_ball
    from ..numerics.enclosure_jets import bound_terms
    from ..numerics.enclosure_laws import exact_law

    p = exact_law(law)
    for coefficient in terms.values():
        compile_ball(coefficient, x)
    bound_terms(p, terms, x, p.box(15))


def draws(
    identity: MeanIdentity,
    right: Any,
    *,
    tolerance: float,
    sampler: Callable[..., Any] | None = None,
) -> Check:
    """``E left - E right`` over draws, within ``tolerance`` root mean squares of both sides together.

    Raises:
        NotInJets: more than two derivatives of the density.
    """
    gap = identity.numeric(identity.left - right)
    sides = [identity.numeric(side) for side in (identity.left, right)]

    def check(ctx: Context) -> Evidence:
        if ctx.out_of_time:
            return late("confidence")
        pilot_rng, rng = ctx.rng.spawn(2)
        n, features = ctx.budget, []
        if sampler is not None:
            sampling = _drawn_by(sampler, identity.dim)
        else:
            sampling = law_sampling(identity.law)
            if mixture_of(identity.law) is not None:  # features whose mean is known exactly
                features = [f for f in default_features(identity.law) if f.size <= _FEATURES][-2:]
            if controlled(identity.law):
                n = min(n, max(16_000, n // 6))
        (x,) = sampling.draw(_PILOT, pilot_rng)
        sizes = [math.sqrt(float(np.mean(side(x) ** 2))) for side in sides]
        unit = sum(sizes) or 1.0
        found = controlled_sum([Part(gap, sampling, features)], n=n, rng=rng, level=ctx.level)
        if math.isnan(found.value) or not math.isfinite(unit):
            return Evidence.error("", f"{LESS} is not a number", kind="confidence")
        allowed = tolerance * unit
        told = f"{LESS}, {allowed:.3g} allowed{_needed(found, allowed)}"
        return shown(found, (-allowed, allowed), ctx, told)

    return check


def seen(identity: MeanIdentity, right: Any, wrong: Any, tolerance: float) -> bool:
    """Whether ``wrong`` is off by more than twice what :func:`draws` allows, on a few draws of the law.

    Raises:
        NotInJets: more than two derivatives of the density.
        ValueError: a law without exact draws.
    """
    (x,) = law_sampling(identity.law).draw(_PILOT, np.random.default_rng(0))
    off = float(np.mean(identity.numeric(wrong - right)(x)))
    sides = [identity.numeric(side)(x) for side in (identity.left, wrong)]
    unit = sum(math.sqrt(float(np.mean(side**2))) for side in sides) or 1.0
    return not abs(off) <= 2 * tolerance * unit


def _drawn_by(sampler: Callable[..., Any], dim: int) -> Sampling:
    def rows(n: int, rng: np.random.Generator) -> tuple[Vector, ...]:
        found = call_user(sampler, n, rng=rng, name="sampler")
        return (as_draws(found, n, dim, name="sampler")[0],)

    return Sampling(rows)


def _needed(found: Estimate, allowed: float) -> str:
    """How many draws would decide; empty where these do."""
    inside = -allowed <= found.low and found.high <= allowed
    if inside or found.refutes(0.0, tolerance=allowed):
        return ""
    room = abs(allowed - abs(found.value))
    if room == 0 or not math.isfinite(found.half_width):
        return ", too few draws"
    n = math.ceil(found.n * (found.half_width / room) ** 2 * 1.2)
    return f", about {n:,} draws would decide"
