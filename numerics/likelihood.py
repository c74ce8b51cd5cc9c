"""Log-likelihood by the instantaneous change of variables along the probability flow.

With ``u = x / alpha`` and ``kappa = sd / alpha`` the flow is ``du/dkappa = -kappa S(u, kappa)``, where
``S(u, kappa) = alpha s_t(alpha u)`` is the score of ``q_kappa``, the law of ``x_0 + kappa z``; drift and diffusion
have dropped out. Along it ``d log q_kappa(u) / dkappa = -div(du/dkappa) = kappa div S``, so that

    log p_t(x_t) = log p_T(x_T) + d log(alpha_T / alpha_t) - int_{kappa_t}^{kappa_T} kappa div S dkappa.

The integral runs in ``w`` with ``kappa = sinh w``: like kappa itself near the data, where a smooth law has a smooth
flow down to ``t = 0``, and like its logarithm far from it, where the integrand tends to a constant.

Reference:
    Chen et al. 2018 (neural ordinary differential equations), Theorem 1; Grathwohl et al. 2019, Eq. 7; Song et al.
    2021, Eq. 39; Karras et al. 2022, Eq. 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import integrate

from ..theory._checks import bad, parameter, positive
from ..theory.mixtures import Gaussian
from ..theory.protocols import Diffusible, Vector
from ..theory.sde import LinearSDE
from .divergence import ProbeLaw, directional, exact_divergence, probes
from .score_models import ScoreModel, as_model

_EPS = float(np.finfo(np.float64).eps)
_ROWS = 64  #: rows that share their step sizes
_LOOSER = 30.0  #: ratio of the two tolerances whose results are compared


@dataclass(frozen=True)
class Likelihood:
    """``log p_t(x)`` at n points.

    Attributes:
        value: ``(n,)``.
        error: ``(n,)``: change to a looser tolerance, which bounds the error of the tighter one amply, plus the
            integrated error of the divergence: that of its differences, or the standard error over the probes
            (NaN where one probe leaves it unknown).
        end: the points at ``t_max`` to which the flow carries x, ``(n, d)``.
        change: ``value`` less the log-density of the prior at ``end``, ``(n,)``.
        evaluations: calls of the score along a trajectory, both tolerances together, those that go into
            derivatives not counted.
    """

    value: Vector
    error: Vector
    end: Vector
    change: Vector
    evaluations: int


def flow_log_likelihood(
    score: Any,
    sde: LinearSDE,
    x: Any,
    *,
    t: float = 0.0,
    prior: Any = None,
    count: int = 0,
    probe: ProbeLaw = "rademacher",
    rng: np.random.Generator | None = None,
    rtol: float = 1e-8,
    atol: float = 1e-10,
) -> Likelihood:
    """``log p_t(x)`` of the law that the probability flow of ``score`` carries to ``prior``.

    It is the log-density of the model that samples by that flow, whatever ``score`` is; it is ``log p_t(x)`` of the
    data where ``score`` is the score of the data at every time from t to ``t_max`` and ``prior`` the law there.

    Args:
        score: a law with closed diffusion, an object with ``marginal(t)``, or a function of ``x`` ``(n, d)`` and a
            time that gives ``(n, d)``.
        sde: the forward diffusion.
        x: ``(n, d)``.
        t: time at which x is given; zero where the score exists there.
        prior: what has ``log_prob``, the law at ``t_max``; None: the usual ``N(0, prior_variance I)``.
        count: zero for the exact divergence; else the number of probes of Hutchinson's estimate, held fixed along
            a trajectory, so that its result is unbiased.
        probe: law of the probes, with ``E v v' = I``.
        rng: generator of the probes.
        rtol: relative tolerance of the integrator.
        atol: absolute tolerance of the integrator.

    Raises:
        ValueError: arguments that do not fit, or a score that is not finite on the way.
        ArithmeticError: the integrator gave up, with its reason.
    """
    if not isinstance(sde, LinearSDE):
        raise bad("sde", type(sde).__name__, "a LinearSDE", "see scoreproof.theory, e.g. VP()")
    points = parameter(x, "x", 2)
    n, d = points.shape
    field = _field(score, sde)
    kernel, last = sde.kernel(float(sde.check_time(t))), sde.kernel(sde.t_max)
    alpha, beyond = float(kernel.scale), float(last.scale)
    span = tuple(math.asinh(float(k.std) / float(k.scale)) for k in (kernel, last))
    if span[0] >= span[1]:
        raise bad("t", f"{t:g}", f"a time before t_max = {sde.t_max:g}", "there is no flow left")
    if prior is None:
        prior = Gaussian(np.zeros(d), np.full(d, sde.prior_variance))
    if not callable(getattr(prior, "log_prob", None)):
        got = type(prior).__name__
        raise bad("prior", got, "a law with log_prob", "pass one, or None for the usual prior")
    if count < 0 or (count > 0 and rng is None):
        got = f"{count} with rng {'given' if rng is not None else 'None'}"
        raise bad("count", got, "zero, or probes and their generator", "pass rng")
    positive(rtol, "rtol")
    positive(atol, "atol")
    move = _Move(field, prior, span, alpha, beyond, float(rtol), float(atol))
    value, error, end, change, calls = np.empty(n), np.empty(n), np.empty((n, d)), np.empty(n), 0
    for i in range(0, n, _ROWS):
        at = slice(i, min(i + _ROWS, n))
        vectors = np.empty((count, at.stop - at.start, d))
        for j in range(count):
            assert rng is not None
            vectors[j] = probes(probe, at.stop - at.start, d, rng)
        value[at], error[at], end[at], change[at], used = move(points[at], vectors)
        calls += used
    return Likelihood(value, error, end, change, calls)


@dataclass(frozen=True)
class _Move:
    """From the points of a block to ``t_max``, at two tolerances."""

    field: Callable[[float], tuple[ScoreModel, float]]
    prior: Any
    span: tuple[float, ...]
    alpha: float
    beyond: float
    rtol: float
    atol: float

    def __call__(self, x: Vector, vectors: Vector) -> tuple[Vector, Vector, Vector, Vector, int]:
        """Value, error, end point and change of the density, and the calls of the score."""
        count, (_, d) = len(vectors), x.shape
        right = _right_side(self.field, vectors, d)
        growth, calls = d * math.log(self.beyond / self.alpha), 0
        parts: list[tuple[Vector, Vector, Vector, Vector]] = []
        for factor in (1.0, _LOOSER):
            moved, sums, used = _solve(
                right,
                x / self.alpha,
                self.span,
                1 + max(1, count),
                factor * self.rtol,
                factor * self.atol,
            )
            end = self.beyond * moved
            log_prob = np.asarray(self.prior.log_prob(end), dtype=np.float64)
            parts.append((log_prob, growth - sums[:, :-1], sums[:, -1], end))
            calls += used
        (at_end, change, bound, end), (other_end, other_change, _, _) = parts
        mean = change.mean(axis=1)
        # Both parts, and the whole block, since the difference of one number may pass through zero.
        gap = np.abs(at_end - other_end) + np.abs(mean - other_change.mean(axis=1))
        gap = np.maximum(gap, math.sqrt(float(np.mean(gap**2))))
        rounding = 64 * _EPS * (1 + np.abs(at_end) + np.abs(change).max(axis=1))
        spread = 0.0
        if count:
            spread = change.std(axis=1, ddof=1) / math.sqrt(count) if count > 1 else math.nan
        return at_end + mean, gap + bound + rounding + spread, end, mean, calls


def _field(score: Any, sde: LinearSDE) -> Callable[[float], tuple[ScoreModel, float]]:
    """``kappa -> (s, a)`` with ``S(u, kappa) = a s(a u)``: the score at that noise level."""
    top = float(sde.noise_level(sde.t_max))
    function: Any = score
    direct, closed = hasattr(score, "marginal"), isinstance(score, Diffusible)
    if not (direct or closed or callable(score)):
        wanted = "a law with closed diffusion, an object with marginal(t), or score(x, t)"
        raise bad("score", type(score).__name__, wanted, "pass a function of x and t")

    def at(kappa: float) -> tuple[ScoreModel, float]:
        if closed and not direct:  # the law of x_0 + kappa z, whatever the time
            return as_model(function.diffuse(1.0, kappa**2)), 1.0
        time = float(sde.time_of_noise_level(min(kappa, top)))
        model = (
            as_model(function.marginal(time))
            if direct
            else ScoreModel(lambda y: function(y, time))
        )
        return model, float(sde.kernel(time).scale)

    return at


def _right_side(
    field: Callable[[float], tuple[ScoreModel, float]], vectors: Vector, d: int
) -> Callable[[float, Vector], Vector]:
    """``d/dw`` of ``(u, the integrals of kappa div S, one a probe, the integral of its error)``."""

    def right(w: float, u: Vector) -> Vector:
        # A trial step may look a rounding below t = 0.
        kappa = max(0.0, math.sinh(w))
        model, alpha = field(kappa)
        y = alpha * u
        s = model(y)
        if not np.isfinite(s).all():
            got = f"values that are not finite at noise level {kappa:.4g}"
            raise bad("score", got, "finite values along the flow", "start at a later time t")
        # Differences need a step on the scale over which the noised law changes.
        step = 0.1 * alpha * min(1.0, max(kappa, 1e-3))
        rate = kappa * math.cosh(w) * alpha
        out = np.empty((len(u), d + 1 + max(1, len(vectors))))
        out[:, :d] = -rate * s
        if len(vectors):
            where, along = np.tile(y, (len(vectors), 1)), vectors.reshape(-1, d)
            product, error = directional(model, where, along, step=step)
            traces = np.sum(along * product, axis=1).reshape(len(vectors), -1)
            bounds = np.sum(np.abs(along) * error, axis=1).reshape(len(vectors), -1)
            out[:, d:-1] = rate * alpha * traces.T
            out[:, -1] = rate * alpha * bounds.mean(axis=0)
        else:
            found = exact_divergence(model, y, step=step)
            out[:, d], out[:, -1] = rate * alpha * found.value, rate * alpha * found.error
        return out

    return right


def _solve(
    right: Callable[[float, Vector], Vector],
    start: Vector,
    span: tuple[float, ...],
    columns: int,
    rtol: float,
    atol: float,
) -> tuple[Vector, Vector, int]:
    """End points ``(n, d)``, integrals ``(n, columns)`` and calls of the right side."""
    n, d = start.shape
    state = np.concatenate([start, np.zeros((n, columns))], axis=1)

    def flat(w: float, y: Vector) -> Vector:
        return right(w, y.reshape(state.shape)[:, :d]).ravel()

    solved = integrate.solve_ivp(flat, span, state.ravel(), method="DOP853", rtol=rtol, atol=atol)
    if not solved.success:
        low, high = (math.sinh(w) for w in span)
        raise ArithmeticError(
            f"probability flow at noise levels {low:.4g} to {high:.4g}: {solved.message}"
        )
    out = solved.y[:, -1].reshape(state.shape)
    return out[:, :d], out[:, d:], int(solved.nfev)
