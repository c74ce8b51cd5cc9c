"""Ledger, samplers: D13, what becomes of errors under the probability flow and under the reverse SDE.

For Gaussian data with variance lambda along an eigendirection and ``S_t = a_t^2 lambda + v_t``, an error of the mean
at time t reaches ``t = 0`` multiplied by

    flow: sqrt(S_0 / S_t),   reverse SDE: a_t lambda / S_t = corr(x_0, x_t) sqrt(S_0 / S_t),

since the reverse SDE draws ``x_0`` from its law given ``x_t``. For any data the exact flow is invertible, so that
every divergence between two laws that it carries stays what it is; under the reverse SDE none of them grows.
What the noise does to the errors that a step makes is another matter: Euler's rule makes other errors with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from ...numerics.gaussian_law import Affine, EigenLaw, GaussianReverse, run
from ...numerics.quadrature import integrate
from ...theory.mixtures import Gaussian
from ...theory.protocols import Vector
from ...theory.sde import VP
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report import listed
from .tools import EPS, agreement, named, number

VP_ = VP()
START, END = 1.0, 1e-3
#: directions that are much wider or much narrower than the noise, where Euler's rule on the flow is the worse one
FAR = Gaussian([1.0, -0.5], [25.0, 0.05])
#: directions about as wide as the noise, where it is the better one
NEAR = Gaussian([0.3, -0.5], [0.25, 1.4])
MIXED = Gaussian([0.0, 0.0, 0.0], [25.0, 0.5, 0.05])
STEPS = 200


def _euler_error(data: Gaussian, eta: float, steps: int) -> float:
    """W2 at the end between Euler's rule and the exact law; both start from the exact ``p_1``."""
    reverse = GaussianReverse(EigenLaw.of(data), VP_)
    times = np.linspace(START, END, steps + 1)
    law = run(reverse.marginal(START), lambda t, s: reverse.euler_maruyama(t, s, eta=eta), times)
    return law.w2(reverse.marginal(END))


def _accumulates(
    data: Gaussian,
    allowed: tuple[float, float],
    *,
    etas: tuple[float, float] = (0.0, 1.0),
    deciding: bool = True,
) -> Check:
    """W2 of Euler's rule on the flow over that of Euler-Maruyama on the reverse SDE, equal steps."""

    def check(ctx: Context) -> Evidence:
        first, second = (_euler_error(data, eta, STEPS) for eta in etas)
        variances = ", ".join(f"{v:g}" for v in np.diag(data.covariance))
        found = number(
            first / second,
            # W2 here is a difference of numbers of size one, after STEPS roundings.
            error=64 * STEPS * EPS * (1 + first / second) / min(first, second),
            allowed=allowed,
            n=2 * STEPS,
            message=f"variances {variances}, {STEPS} steps: W2 {first:.3g} by Euler's rule on the flow, {second:.3g} "
            "on the reverse SDE",
        )
        return replace(found, deciding=deciding)

    return check


@cache
def _kick(t: float, eta: float) -> tuple[Vector, float]:
    """What Euler's rule leaves at END of a unit error of the mean put in at t, step to zero, and its error."""
    reverse = GaussianReverse(EigenLaw.of(MIXED), VP_)
    rows = []
    for steps in (40, 80, 160, 320):
        times = np.linspace(t, END, steps + 1)
        gains = [reverse.euler_maruyama(a, b, eta=eta).gain for a, b in pairwise(times.tolist())]
        rows.append(np.prod(gains, axis=0))
    # The error is a series in the step: three rounds leave O(h^4).
    for k in (1, 2, 3):
        last = rows[-1]
        rows = [(2**k * fine - coarse) / (2**k - 1) for coarse, fine in pairwise(rows)]
    return rows[0], float(np.abs(rows[0] - last).max())


def _forgetting(power: float = 1.0, eta: float = 1.0) -> Check:
    """Share left by Euler's rule on the reverse SDE over that on the flow, step to zero, against the correlation."""

    def check(ctx: Context) -> Evidence:
        reverse = GaussianReverse(EigenLaw.of(MIXED), VP_)
        end, gaps, bounds = reverse.marginal(END), [], []
        for t in (0.15, 0.6):
            now, link = reverse.marginal(t), VP_.kernel(t, END)
            correlation = float(link.scale) * np.sqrt(end.variance / now.variance)
            (noisy, first), (plain, second) = _kick(t, eta), _kick(t, 0.0)
            gaps.append(noisy / plain - correlation**power)
            bounds.append((first + second) / float(plain.min()))
        return agreement(
            np.stack(gaps),
            np.zeros((len(gaps), MIXED.dim)),
            bound=max(bounds),
            tolerance=1e-3,
            kind="quadrature",
            n=4 * 600,
            message="what is left of an error of the mean, reverse SDE over flow, against the correlation of x_0 "
            f"and x_t; from t = 0.15 to 0.6, variances {', '.join(f'{v:g}' for v in np.diag(MIXED.covariance))}",
        )

    return check


def _bridge(reverse: GaussianReverse, t: float, s: float) -> Affine:
    """The exact law of ``x_s`` given ``x_t``: the reverse SDE from t to s."""
    now, then = reverse.marginal(t), reverse.marginal(s)
    gain = float(VP_.kernel(t, s).scale) * then.variance / now.variance
    return Affine(gain, then.mean - gain * now.mean, then.variance - gain**2 * now.variance)


def _kl(p: EigenLaw, q: EigenLaw) -> float:
    """``KL(p || q)`` of two Gaussians in one basis."""
    ratio = p.variance / q.variance
    return 0.5 * float(np.sum(ratio - 1 - np.log(ratio) + (p.mean - q.mean) ** 2 / q.variance))


def _divergence_left(noise: bool, allowed: tuple[float, float], *, euler: bool = False) -> Check:
    """Smallest or largest ``KL`` at the end over ``KL`` where the error enters, at four times."""

    def check(ctx: Context) -> Evidence:
        reverse = GaussianReverse(EigenLaw.of(NEAR), VP_)
        shares = []
        for t in (0.1, 0.2, 0.4, 0.8):
            right = reverse.marginal(t)
            wrong = EigenLaw(right.mean + 0.4, right.variance * [1.6, 0.7], right.vectors)
            move = _bridge(reverse, t, END) if noise else reverse.flow(t, END)
            if euler:
                move = reverse.euler_maruyama(t, END, eta=0.0)
            shares.append(_kl(wrong.push(move), reverse.marginal(END)) / _kl(wrong, right))
        k = int(np.argmax(np.abs(np.array(shares) - 1))) if not noise else int(np.argmax(shares))
        name = "reverse SDE" if noise else "flow"
        return number(
            shares[k],
            error=1e4
            * EPS,  # a handful of operations on numbers of size one, over KL of about 0.2
            allowed=allowed,
            n=len(shares),
            message=f"KL to the right law, exact {name}, over that where the error enters: "
            + ", ".join(f"{v:.3g}" for v in shares)
            + " from t = 0.1, 0.2, 0.4, 0.8",
        )

    return check


def _score_error(
    until: float, allowed: tuple[float, float], *, share: float = 1.0, deciding: bool = True
) -> Check:
    """Error of the mean that a constant error of the score on ``[END, until]`` leaves, reverse SDE over flow."""

    def check(ctx: Context) -> Evidence:
        reverse = GaussianReverse(EigenLaw.of(NEAR), VP_)
        end = reverse.marginal(END).variance

        def left(t: Vector) -> Vector:
            rows = []
            for time in t:
                s_t, link = reverse.marginal(time).variance, VP_.kernel(float(time), END)
                g2 = float(VP_.diffusion(float(time))) ** 2
                flow = 0.5 * g2 * np.sqrt(end / s_t)
                rows.append([*flow, *(share * g2 * float(link.scale) * end / s_t)])
            return np.array(rows)

        found = integrate(left, END, until, tolerance=1e-9)
        ratio, rough = found.value[2:] / found.value[:2], found.error[2:] / found.value[:2]
        k = int(np.argmax(np.abs(np.log(ratio))))
        piece = number(
            float(ratio[k]),
            error=float(rough[k] + ratio[k] * found.error[k] / found.value[k]),
            allowed=allowed,
            kind="quadrature",
            n=found.evaluations,
            message=f"a constant error of the score up to t = {until:g} shifts the mean under the reverse SDE by "
            f"{ratio[k]:.3g} times what it does under the flow",
        )
        return replace(piece, deciding=deciding)

    return check


def _ladders(ctx: Context) -> Mapping[str, Any]:
    """W2 of both rules against the number of steps, on both targets."""
    sizes = np.unique(np.geomspace(20, 500, 8).astype(int))
    series = []
    for name, data in (("25 and 0.05", FAR), ("0.25 and 1.4", NEAR)):
        for eta, what in ((0.0, "flow"), (1.0, "reverse SDE")):
            series.append(
                {
                    "label": f"{what}, variances {name}",
                    "x": listed(sizes.astype(float)),
                    "y": listed(np.array([_euler_error(data, eta, int(n)) for n in sizes])),
                    "style": "line+points" if eta == 0 else "dashed",
                }
            )
    return {
        "kind": "lines",
        "title": "Euler's rule on the flow and on the reverse SDE",
        "alt": "Wasserstein errors against the number of steps: the flow has the larger one for very wide and "
        "narrow directions, the smaller one for directions as wide as the noise",
        "xlabel": "steps N",
        "xscale": "log",
        "yscale": "log",
        "series": series,
    }


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "D13",
        "the ODE sampler may accumulate discretisation errors that the noise of the SDE sampler corrects",
        checks={
            "accumulates": _accumulates(FAR, (1.2, np.inf)),
            "kept": _divergence_left(False, (1 - 1e-9, 1 + 1e-9)),
            "corrected": _divergence_left(True, (0.0, 0.9)),
            "forgetting": _forgetting(),
            "opposite": _accumulates(NEAR, (0.0, 0.8), deciding=False),
            "score": _score_error(1.0, (0.0, 0.8), deciding=False),
            "score-late": _score_error(0.05, (1.2, np.inf), deciding=False),
        },
        mutants={
            "accumulates": [
                named(_accumulates(FAR, (1.2, np.inf), etas=(1.0, 0.0)), "rules-swapped"),
                named(_accumulates(FAR, (1.2, np.inf), etas=(0.0, 0.0)), "no-noise"),
            ],
            "kept": [
                named(_divergence_left(True, (1 - 1e-9, 1 + 1e-9)), "with-noise"),
                named(_divergence_left(False, (1 - 1e-9, 1 + 1e-9), euler=True), "one-euler-step"),
            ],
            "corrected": [
                named(_divergence_left(False, (0.0, 0.9)), "without-noise"),
                named(_divergence_left(True, (0.0, 0.5)), "half-from-every-time"),
            ],
            "forgetting": [
                named(_forgetting(eta=0.0), "without-noise"),
                named(_forgetting(power=2.0), "correlation-squared"),
            ],
            "opposite": [
                named(_accumulates(FAR, (0.0, 0.8), deciding=False), "other-target"),
                named(
                    _accumulates(NEAR, (0.0, 0.8), etas=(1.0, 0.0), deciding=False),
                    "rules-swapped",
                ),
            ],
            "score": [
                named(_score_error(0.05, (0.0, 0.8), deciding=False), "late"),
                named(
                    _score_error(1.0, (0.0, 0.8), share=5.0, deciding=False), "score-five-times"
                ),
            ],
            "score-late": [
                named(
                    _score_error(0.05, (1.2, np.inf), share=0.5, deciding=False), "score-halved"
                ),
                named(_score_error(1.0, (1.2, np.inf), deciding=False), "from-the-start"),
            ],
        },
        source=("004",),
        assumptions=(
            "'may' is read as: for some data, equal steps of Euler's rule, from the exact law at t = 1, end farther "
            "from the data (W2) on the flow than on the reverse SDE, by a fifth at least",
            "'corrects' is read as: an error that is already there shrinks under the exact reverse SDE (its KL by a "
            "tenth at least), while the exact flow keeps it",
            "decided for VP on Gaussians, where every law in sight is exact",
        ),
        finding=lambda evidence: (
            f"Noise may help: {evidence['accumulates'].message}. Or harm: {evidence['opposite'].message}. The exact "
            "flow keeps every divergence from the right law; the reverse SDE leaves of an error of the mean what the "
            f"flow leaves times corr(x_0, x_t); {evidence['corrected'].message}. "
            f"As to the score, {evidence['score'].message}; but {evidence['score-late'].message}: "
            "near the data the score enters the reverse SDE twice as strongly, and little of the path is left to "
            "forget."
        ),
        figure=_ladders,
        role="printed",
        group="ledger",
    ),
)
