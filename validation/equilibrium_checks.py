"""Kernels that should leave a law as it is: one step from equilibrium, and detailed balance.

A Langevin or corrector step that is started in equilibrium must stay there. Where law and step allow it (Gaussian
data, a step that is affine in its noise) the law after the step is known exactly, and the bias of an unadjusted step
shows to all digits; elsewhere draws are judged as by :func:`check_samples`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..numerics.exact_law import Refused, probe
from ..numerics.noise_log import drawing
from ..numerics.rng import draw, substream
from ..theory._checks import bad, positive
from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Distribution, Vector
from ..theory.schedules import count
from ._user_code import UserCodeError, as_draws, as_reals, call_user, law_or_refuse
from .evidence import Allowed, Evidence, Measured
from .sample_checks import check_samples
from .sampler_checks.exact import Affine, law_verdict
from .verdict import Diagnosis, Mutant, Verdict

_EXACT = 1e-9  #: relative W2 of a kernel that is called exact; its rounding is far below


def check_stationary(
    kernel: Callable[..., Any],
    target: Any,
    *,
    tolerance: float = 0.05,
    exact: bool = False,
    budget: int | None = None,
    false_alarm: float = 1e-6,
    seed: int = 0,
    timeout: float | None = None,
) -> Verdict:
    """Checks that one step of a kernel, started in equilibrium, stays there; claim id ``stationary``.

    Args:
        kernel: ``(x, *, rng) -> x'`` on points ``(n, d)``, rows independent.
        target: a law with exact draws.
        tolerance: W2 in units of ``sqrt(tr Cov)`` where the law after the step is known exactly, else as for
            :func:`check_samples`.
        exact: allow nothing but rounding: a relative W2 of 1e-9 where the law is known, else the refuting machine.
        budget: draws, where draws are needed.
        false_alarm: rate of the check on draws.
        seed: entropy.
        timeout: seconds a call of ``kernel``; then draws are used.

    Raises:
        ValueError: arguments out of range, or a law that cannot be drawn.
    """
    if not callable(kernel):
        raise bad("kernel", type(kernel).__name__, "a function (x, *, rng) -> x'", "pass one")
    if not 0 < positive(tolerance, "tolerance") < 0.5:
        raise bad("tolerance", tolerance, "a number between 0 and 1/2", "pass e.g. 0.05")
    law_or_refuse(target, "target")

    def moved(n: int, *, rng: np.random.Generator) -> Any:
        x = draw(target, n, rng=rng)
        return call_user(kernel, x, name="kernel", timeout=timeout, rng=rng)

    said = "one step of the kernel from draws of the law gives draws of the law"
    subject = {"target": repr(target)}
    why = "the law is not Gaussian" if timeout is None else "calls are isolated"
    if isinstance(target, GaussianMixture) and target.components == 1 and timeout is None:
        try:
            known = _after(kernel, target, seed)
            made = law_verdict(known, _EXACT if exact else tolerance, 1, subject, seed)
            return replace(made, claim="stationary", statement=said, finding=_words(known))
        except Refused as error:
            why = str(error)
        except UserCodeError as error:
            failed = Evidence.error("w2", str(error))
            return Verdict(claim="stationary", statement=said, subject=subject, evidence=(failed,))
    made = check_samples(
        moved,
        target,
        tolerance=tolerance,
        exact=exact,
        budget=budget,
        false_alarm=false_alarm,
        seed=seed,
    )
    assumptions = (*made.assumptions, f"judged on draws: {why}")
    return replace(
        made, claim="stationary", statement=said, subject=subject, assumptions=assumptions
    )


def _after(kernel: Callable[..., Any], target: GaussianMixture, seed: int) -> Affine:
    def sampler(_: Any, n: int, *, steps: int, rng: Any) -> Any:
        with drawing(start=True, idle_uniforms=True):
            x = draw(target, n, rng=rng)
        out = call_user(kernel, x, name="kernel", rng=rng)
        return as_draws(out, n, target.dim, name="kernel")[0]

    return Affine(probe(sampler, None, 1, rng=substream(seed, "stationary"), seed=seed), target)


def _words(known: Affine) -> str:
    return f"W2 after one step is {known.w2.value:.3g}: {known.words()}."


def check_balance(
    log_accept: Callable[[Vector, Vector], Any],
    target: Distribution,
    *,
    step: float,
    budget: int = 4096,
    seed: int = 0,
    timeout: float | None = None,
) -> Verdict:
    """Checks detailed balance of a Metropolis adjusted Langevin rule, point by point; claim id ``balance``.

    With proposals ``q(x, y) = N(y; x + h s(x), 2 h I)`` and acceptance probability a,

        p(x) q(x, y) a(x, y) = p(y) q(y, x) a(y, x)

    must hold at every pair; it is looked at on pairs (x from the law, y proposed), both ways.

    Args:
        log_accept: ``(x (n, d), y (n, d)) -> (n,)``, logarithm of the acceptance probability, zero or below.
        target: p, with ``log_prob``, ``score`` and exact draws.
        step: h of the proposal ``x + h s(x) + sqrt(2 h) z``.
        budget: pairs.
        seed: entropy.
        timeout: seconds a call.

    Raises:
        ValueError: arguments out of range, or a law without density.
    """
    if not callable(log_accept):
        raise bad("log_accept", type(log_accept).__name__, "a function (x, y)", "pass one")
    law_or_refuse(target, "target")
    h, n = positive(step, "step"), count(budget, "budget")
    rng = substream(seed, "balance")
    x = np.asarray(draw(target, n, rng=rng))
    y = x + h * target.score(x) + math.sqrt(2 * h) * rng.standard_normal(x.shape)
    bare = Verdict(
        claim="balance",
        statement="p(x) q(x, y) a(x, y) = p(y) q(y, x) a(y, x) at every pair of points",
        assumptions=(f"proposals x + h s(x) + sqrt(2h) z with h = {h:g}", f"at {n:,} pairs"),
        subject={"target": repr(target)},
    )
    try:
        there, back = (
            _logs(call_user(log_accept, a.copy(), b.copy(), name="log_accept", timeout=timeout), n)
            for a, b in ((x, y), (y, x))
        )
    except UserCodeError as error:
        return replace(bare, evidence=(Evidence.error("balance", str(error)),))
    flow_there, flow_back = _flow(target, x, y, h), _flow(target, y, x, h)
    # Every logarithm is a sum of d squares and a density: its rounding is a few ulps of its size.
    size = float(np.abs(flow_there).max() + np.abs(flow_back).max() + np.abs(there).max() + 1)
    limit = 64 * x.shape[1] * np.finfo(float).eps * size

    def piece(a: Vector, b: Vector) -> Evidence:
        gap = float(np.abs((flow_there + a) - (flow_back + b)).max())
        return Evidence(
            check="balance",
            kind="exact",
            measured=Measured(gap, gap, gap),
            allowed=Allowed(0.0, float(limit)),
            n=n,
            detectable=float(limit),
            seed=seed,
            message=f"the logarithms of the two sides differ by at most {gap:.3g}, rounding is {limit:.2g}",
        )

    found = piece(there, back)

    def chance(logs: Vector) -> Evidence:
        above = float(logs.max())
        return Evidence(
            check="probability",
            kind="exact",
            measured=Measured(above, above, above),
            allowed=Allowed(-math.inf, float(limit)),
            n=n,
            seed=seed,
            message=f"largest logarithm of an acceptance probability {above:.3g}",
        )

    valid = chance(np.maximum(there, back))
    raised = there.copy()
    raised[0] += 4 * limit + 2 * found.value
    worse = piece(raised, back)
    mutant = Mutant(
        name="one-pair-raised", outcome=worse.outcome, check=worse.check, message=worse.message
    )
    # The ratio of the two sides that nobody cut at one; one of every pair is above it.
    uncut = chance(np.abs(flow_back - flow_there) + 2 * limit)
    wrong = "; ".join(e.message for e in (found, valid) if e.outcome != "SUPPORTED")
    return replace(
        bare,
        evidence=(found, valid),
        mutants=(
            mutant,
            Mutant(
                name="ratio-not-cut",
                outcome=uncut.outcome,
                check=uncut.check,
                message=uncut.message,
            ),
        ),
        samples_used=n,
        diagnosis=Diagnosis(text=wrong, cause="balance") if wrong else None,
        finding=f"Mean acceptance {np.exp(there).mean():.3g}; {found.message}.",
    )


def _flow(target: Distribution, x: Vector, y: Vector, h: float) -> Vector:
    """``log p(x) q(x, y)`` up to a constant that both directions share."""
    off = y - x - h * np.asarray(target.score(x))
    return np.asarray(target.log_prob(x)).reshape(-1) - (off**2).sum(axis=1) / (4 * h)


def _logs(values: Any, n: int) -> Vector:
    logs, _ = as_reals(values, name="log_accept")
    if logs.size != n:
        raise UserCodeError(f"log_accept: got shape {logs.shape}, wanted ({n},)")
    if np.isnan(logs).any():
        raise UserCodeError("log_accept: got NaN, wanted logarithms of probabilities")
    # Zero probability either way is balanced; a large negative number stands for it.
    return np.maximum(logs.reshape(n), -1e6)
