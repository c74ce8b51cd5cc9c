"""``check_chains``: Markov chains, whose draws depend on each other.

``check_samples`` takes draws as independent and refutes those of a chain. Chains that were started and run
independently are independent *as chains*: the mean of a bounded function over one chain is one bounded draw, and
intervals over chains hold whatever happens within them. The price is that many chains are needed; few are UNDECIDED,
not judged by an asymptotic formula.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..numerics.gaussianise import gaussianiser
from ..numerics.mcmc import effective_sample_size, rank_rhat
from ..numerics.rng import substream
from ..theory._checks import bad
from ..theory.protocols import Vector
from ..theory.schedules import count
from ._chain_averages import Averages, needed
from ._user_code import UserCodeError, as_draws, as_reals, call_user, law_or_refuse
from .evidence import Allowed, Evidence, Measured
from .verdict import Diagnosis, Verdict

_GOOD_RHAT = 1.01  # Vehtari et al. 2021


def check_chains(
    chains: Callable[..., Any] | Any,
    target: Any,
    *,
    tolerance: float = 0.05,
    budget: tuple[int, int] = (4000, 100),
    burn: int = 0,
    false_alarm: float = 1e-6,
    seed: int = 0,
    timeout: float | None = None,
) -> Verdict:
    """Checks the average law of the draws of independent Markov chains; claim id ``samples``.

    Args:
        chains: array ``(chains, draws, d)``, or ``(n_chains, n_draws, *, rng)`` that returns one. Chains are
            independent of each other; within them anything may depend on anything.
        target: a law with an exact map to normals.
        tolerance: allowed size of every effect: probability for weights and distribution functions, standard
            deviations for means, relative for mean squares (of coordinates clipped at +-3).
        budget: chains and draws that a function is asked for.
        burn: first draws of every chain that are left out.
        false_alarm: probability of a false REFUTED, and of a false SUPPORTED.
        seed: entropy.
        timeout: seconds for a call of ``chains``.

    Returns:
        A verdict with the effects, and effective sample size and R-hat beside them, which do not decide.

    Raises:
        ValueError: arguments out of range, or a law without an exact map to normals.
    """
    if not 0 < tolerance < 0.5:
        raise bad("tolerance", tolerance, "a number between 0 and 1/2", "pass e.g. 0.05")
    if not 0 < false_alarm < 0.5:
        raise bad("false_alarm", false_alarm, "a probability below 1/2", "pass e.g. 1e-6")
    if callable(chains):
        pair = budget if isinstance(budget, tuple) and len(budget) == 2 else None
        if pair is None:
            raise bad("budget", repr(budget), "(chains, draws)", "pass e.g. (4000, 100)")
        budget = count(pair[0], "budget"), count(pair[1], "budget")
    law_or_refuse(target, "target")
    shape = gaussianiser(target)
    bare = Verdict(
        claim="samples",
        statement=f"The draws of the chains have, on average, the law {target!r}, within the tolerance.",
        assumptions=(
            "chains are independent of each other and run alike; within a chain no independence is assumed",
            "coordinates are clipped at 3 standard deviations; nothing is said of what lies beyond",
        ),
        subject={"target": repr(target)},
    )
    start = time.perf_counter()
    try:
        x = _given(chains, int(target.dim), budget, seed, timeout)
        if not 0 <= burn < x.shape[1]:
            raise bad("burn", burn, f"less than the {x.shape[1]} draws of a chain", "keep some")
        kept = x[:, burn:]
    except UserCodeError as error:
        return replace(bare, evidence=(Evidence.error("chains", str(error), kind="confidence"),))
    averages = Averages.of(kept, shape, seed)
    families = averages.families(false_alarm)
    common: dict[str, Any] = {
        "kind": "confidence",
        "allowed": Allowed(0.0, tolerance),
        "level": false_alarm,
        "n": len(kept),
        "seed": seed,
        "seconds": (time.perf_counter() - start) / len(families),
    }
    pieces = [
        Evidence(
            check=f.name,
            measured=Measured(f.value, f.low, f.high),
            detectable=f.detectable,
            message=f"{f.value:.3g} over {len(kept):,} chains, certified in [{f.low:.3g}, {f.high:.3g}]"
            + needed(f, tolerance, len(kept)),
            **common,
        )
        for f in families
    ]
    verdict = replace(
        bare,
        evidence=(*pieces, *_diagnostics(kept)),
        samples_used=kept.shape[0] * kept.shape[1],
        finding=_missing(kept),
        mutants=tuple(averages.mutant(f, false_alarm, tolerance) for f in families),
    )
    wrong = [f for f in families if f.low > tolerance]
    if wrong:
        text = "; ".join(f"{f.name} off by {f.value:.3g}" for f in wrong)
        verdict = replace(verdict, diagnosis=Diagnosis(text=text, cause=wrong[0].name))
    return verdict


def _diagnostics(x: Vector) -> tuple[Evidence, ...]:
    """Effective sample size and R-hat, which tell how well chains mix and decide nothing."""
    if x.shape[1] < 4 or len(x) < 2:
        return ()
    some = x[: min(len(x), 64)]
    try:
        sizes, rhat = effective_sample_size(some), rank_rhat(some)
    except ImportError:
        return ()
    drawn = some.shape[0] * some.shape[1]
    worst, least = float(np.nanmax(rhat)), float(np.nanmin(sizes))
    common: dict[str, Any] = {"kind": "exact", "deciding": False, "n": drawn}
    return (
        Evidence(
            check="r-hat",
            measured=Measured(worst, worst, worst),
            allowed=Allowed(0.0, _GOOD_RHAT),
            message=f"largest rank-normalised split R-hat of {len(some)} chains; does not decide",
            **common,
        ),
        Evidence(
            check="effective-size",
            measured=Measured(least, least, least),
            allowed=Allowed(100.0 * len(some), math.inf),
            message=f"least effective sample size of {drawn:,} draws of {len(some)} chains; does not decide",
            **common,
        ),
    )


def _missing(x: Vector) -> str:
    """Why the two diagnostics are not there, where they are not."""
    if x.shape[1] < 4 or len(x) < 2:
        return "R-hat and effective sample size need two chains of four draws."
    if importlib.util.find_spec("arviz_stats") is None:
        return (
            "R-hat and effective sample size are not computed: pip install 'scoreproof[chains]'."
        )
    return ""


def _given(
    chains: Any, dim: int, budget: tuple[int, int], seed: int, timeout: float | None
) -> Vector:
    if callable(chains):
        m, n = budget
        rng = substream(seed, "chains")
        chains = call_user(chains, m, n, name="chains", timeout=timeout, rng=rng)
        wanted = f"({m}, {n}, {dim})"
    else:
        wanted = f"(chains, draws, {dim})"
    values, _ = as_reals(chains, name="chains")
    shape = values.shape
    if len(shape) == 2 and dim == 1:
        shape = (*shape, 1)
    if len(shape) != 3 or shape[2] != dim or shape[0] < 2:
        raise UserCodeError(f"chains: got shape {shape}, wanted {wanted}")
    return as_draws(values.reshape(-1, dim), None, dim, name="chains")[0].reshape(shape)
