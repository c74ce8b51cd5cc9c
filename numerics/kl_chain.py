"""Entropy and relative entropy along a diffusion: de Bruijn's identity, and a chain of KL divergences.

For ``dx = f x dt + g dw``, two laws ``p_t`` and ``q_t`` that it carries, and ``I(p) = E_p |grad log p|^2``,

    d/dt H(p_t)        = d f + (g^2/2) I(p_t),
    d/dt KL(p_t | q_t) = -(g^2/2) E_p |grad log p_t - grad log q_t|^2.

The second, integrated, makes ``KL(p_0 | q_0)`` the sum of ``KL(p_T | q_T)`` and of the path's share. For a model that
starts at a prior and follows the reverse SDE with a score ``s_theta`` of its own, the same sum bounds from above:

    KL(p_t | p_theta) <= KL(p_T | prior) + 1/2 int_t^T g^2 E |grad log p_s - s_theta|^2 ds,

by Girsanov's theorem and the data-processing inequality. It is no bound for the sampler along the probability flow.
With ``kappa = sd / a`` and noise ``eps = -sd s`` the last term is ``int E |eps - eps_theta|^2 dlog(kappa)``.

Reference:
    Stam 1959; Cover & Thomas 2006, Theorem 17.7.2; Lyu 2009; Song, Durkan, Murray, Ermon 2021, Theorems 1 and 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..theory._checks import bad
from ..theory.marginals import marginal
from ..theory.mixtures import Gaussian, GaussianMixture
from ..theory.protocols import Diffusible, Vector
from ..theory.reverse import reverse_drift
from ..theory.sde import LinearSDE
from .estimate import Estimate, exact_estimate, mean_estimate, quadrature_estimate
from .features import mixture_of
from .objective_constants import fisher_information
from .quadrature import expectation, integrate
from .rng import draw

_EPS = float(np.finfo(np.float64).eps)
_TOLERANCE = 1e-10  #: of quadratures over x, relative to the size of their terms
_PATH = 1e-7  #: of that over time; more would chase the error of the other


@dataclass(frozen=True)
class Draws:
    """How to draw where quadrature ends: more than two dimensions.

    Attributes:
        rng: generator.
        n: draws.
        level: false-alarm rate of the interval.
    """

    rng: np.random.Generator
    n: int = 100_000
    level: float = 1e-9


@dataclass(frozen=True)
class KLBound:
    """The two parts of the bound, see :func:`kl_bound`.

    Attributes:
        start: ``KL(p_T | prior)``.
        path: ``1/2 int g^2 E |grad log p_t - s_theta|^2 dt``.
    """

    start: Estimate
    path: Estimate

    @property
    def total(self) -> Estimate:
        """Their sum: the bound."""
        return self.start + self.path


def entropy(p: Any, *, draws: Draws | None = None) -> Estimate:
    """``H(p) = -E_p log p`` in nats: closed form for a Gaussian, quadrature for d <= 2, else draws.

    Raises:
        ValueError: more than two dimensions, not Gaussian, and no draws.
    """
    one = _gaussian(p)
    if one is not None:
        log_det = float(one.basis.log_det[0])
        return exact_estimate(0.5 * (one.dim * math.log(2 * math.pi * math.e) + log_det))
    return _mean(lambda x: -np.asarray(p.log_prob(x)), p, draws)


def relative_entropy(p: Any, q: Any, *, draws: Draws | None = None) -> Estimate:
    """``KL(p | q) = E_p log(p/q)`` in nats: closed form for two Gaussians, quadrature for d <= 2, else draws.

    Args:
        p: the law under which the mean is taken.
        q: what has ``log_prob``.
        draws: needed in more than two dimensions.

    Raises:
        ValueError: dimensions that differ, or more than two, not Gaussian, and no draws.
    """
    _same_dimension(p, q)
    first, second = _gaussian(p), _gaussian(q)
    if first is not None and second is not None:
        ratio, off = _compared(first, second)
        # (r - 1 - log r) for r = 1 + e without cancellation where e is small
        e = ratio - 1
        value = 0.5 * float(np.sum(e - np.log1p(e)) + off @ off)
        size = 0.5 * float(np.sum(np.abs(e)) + off @ off)
        return exact_estimate(value, rounding=_rounding(first, second) * (size + value))
    return _mean(lambda x: np.asarray(p.log_prob(x)) - np.asarray(q.log_prob(x)), p, draws)


def relative_information(p: Any, q: Any, *, draws: Draws | None = None) -> Estimate:
    """``E_p |grad log p - grad log q|^2``: closed form for two Gaussians, quadrature for d <= 2, else draws.

    Args:
        p: the law under which the mean is taken.
        q: what has ``score``, or a function ``(n, d) -> (n, d)`` in its place.
        draws: needed in more than two dimensions.

    Raises:
        ValueError: dimensions that differ, or more than two, not Gaussian, and no draws.
    """
    if hasattr(q, "score"):
        _same_dimension(p, q)
    first, second = _gaussian(p), _gaussian(q)
    if first is not None and second is not None:
        # The difference of the scores is (P_q - P_p)(x - m_p) + P_q (m_p - m_q).
        precision = [np.linalg.inv(law.covariance) for law in (first, second)]
        slope = precision[1] - precision[0]
        shift = precision[1] @ (first.mean - second.mean)
        value = float(np.trace(slope @ first.covariance @ slope) + shift @ shift)
        size = sum(float(np.abs(np.trace(m @ first.covariance @ m))) for m in precision) + value
        return exact_estimate(value, rounding=_rounding(first, second) * size)
    other = _field(q)

    def square(x: Vector) -> Vector:
        return np.sum((np.asarray(p.score(x)) - other(x)) ** 2, axis=1)

    return _mean(square, p, draws)


def entropy_rate(p: Any, sde: LinearSDE, t: float, *, draws: Draws | None = None) -> Estimate:
    """``d/dt H(p_t) = d f(t) + g(t)^2/2 E |grad log p_t|^2`` (de Bruijn's identity where f = 0).

    Args:
        p: law of ``x_0`` with closed diffusion.
        sde: the forward diffusion.
        t: time.
        draws: needed in more than two dimensions.
    """
    law = marginal(p, sde, t).law
    if law.dim > 2 and _gaussian(law) is None:
        how = _needed(draws, law)
        information = fisher_information(law, n=how.n, rng=how.rng, level=how.level)
    else:
        information = fisher_information(law)
    half = 0.5 * float(sde.diffusion(t)) ** 2
    return information * half + law.dim * float(sde.drift(t))


def relative_entropy_rate(
    p: Any, q: Any, sde: LinearSDE, t: float, *, draws: Draws | None = None
) -> Estimate:
    """``d/dt KL(p_t | q_t) = -g(t)^2/2 E_p |grad log p_t - grad log q_t|^2``.

    Args:
        p: law of ``x_0`` with closed diffusion.
        q: another one.
        sde: the diffusion that carries both.
        t: time.
        draws: needed in more than two dimensions.
    """
    laws = [marginal(law, sde, t).law for law in (p, q)]
    half = 0.5 * float(sde.diffusion(t)) ** 2
    return relative_information(laws[0], laws[1], draws=draws) * -half


def kl_bound(
    p: Any,
    sde: LinearSDE,
    score: Any,
    *,
    t: float = 0.0,
    prior: Any = None,
    draws: Draws | None = None,
) -> KLBound:
    """Bound on ``KL(p_t | p_theta)`` for the sampler that follows the reverse SDE with ``score`` from ``prior`` to t.

    It is attained where ``score`` is that of another law carried by the same diffusion, with its law at ``t_max`` for
    the prior. The integral runs in ``log kappa``, or for ``t = 0`` in ``asinh kappa``; its integrand is in closed form
    for two Gaussians, by quadrature for d <= 2, and from draws of time and place otherwise.

    Args:
        p: law of ``x_0`` with closed diffusion.
        sde: the forward diffusion.
        score: the model: a law with closed diffusion, an object with ``marginal(t)``, or a function of ``x``
            ``(n, d)`` and of a time or, with draws, of one a row ``(n,)``.
        t: time at which the sampler stops.
        prior: what has ``log_prob``, the law at which the sampler starts; None: ``N(0, prior_variance I)``.
        draws: needed in more than two dimensions.

    Raises:
        ValueError: arguments that do not fit.
    """
    if not (isinstance(score, Diffusible) or hasattr(score, "marginal") or callable(score)):
        wanted = "a law with closed diffusion, an object with marginal(t), or score(x, t)"
        raise bad("score", type(score).__name__, wanted, "pass a function of x and t")
    truth, model = reverse_drift(p, sde, 0.0), reverse_drift(score, sde, 0.0)
    kernel = sde.kernel(float(sde.check_time(t)))
    low, top = float(kernel.std / kernel.scale), float(sde.noise_level(sde.t_max))
    if low >= top:
        raise bad("t", f"{t:g}", f"a time before t_max = {sde.t_max:g}", "there is no path left")
    end = marginal(p, sde, sde.t_max).law
    if prior is None:
        prior = Gaussian(np.zeros(end.dim), np.full(end.dim, sde.prior_variance))
    _same_dimension(end, prior, "prior")
    start = relative_entropy(end, prior, draws=None if draws is None else _share(draws))
    clock = _Clock(sde, low, top)
    closed = _gaussian(p) is not None and isinstance(score, Gaussian)
    if end.dim > 2 and not closed:
        how = _share(_needed(draws, end))
        return KLBound(start, _drawn_path(p, truth, model, clock, how))

    rough = [0.0]

    def rate(w: Vector) -> Vector:
        values = []
        for time, weight in zip(*(v.tolist() for v in clock.at(w)), strict=True):
            law = marginal(p, sde, time).law
            other = (
                marginal(score, sde, time).law if closed else lambda x, s=time: model.score(x, s)
            )
            found = relative_information(law, other)
            values.append(weight * found.value)
            rough.append(weight * found.half_width)
        return np.array(values)

    found = integrate(rate, *clock.ends, tolerance=_PATH, rounds=8)
    error = found.error + max(rough) * (clock.ends[1] - clock.ends[0])
    return KLBound(start, quadrature_estimate(found.value, error, n=found.evaluations))


class _Clock:
    """``int g^2/2 h dt = int weight(w) h dw`` with ``w`` the logarithm of kappa, or ``asinh kappa`` down to zero."""

    def __init__(self, sde: LinearSDE, low: float, top: float) -> None:
        self._sde, self._low, self._top = sde, low, top
        self._log = low > 0
        self.ends = (math.log(low), math.log(top)) if self._log else (0.0, math.asinh(top))

    def at(self, w: Vector) -> tuple[Vector, Vector]:
        """Times and weights ``a^2 kappa dkappa/dw``, each ``(n,)``."""
        kappa: Any = np.clip(np.exp(w) if self._log else np.sinh(w), self._low, self._top)
        times: Any = self._sde.time_of_noise_level(kappa)
        rate = kappa if self._log else np.hypot(1.0, kappa)
        weights: Any = np.asarray(self._sde.kernel(times).scale) ** 2 * kappa * rate
        return times, weights


def _drawn_path(p: Any, truth: Any, model: Any, clock: _Clock, how: Draws) -> Estimate:
    """The integral as a mean over a uniform w and a draw of the law at its time."""
    length = clock.ends[1] - clock.ends[0]
    times, weights = clock.at(clock.ends[0] + length * how.rng.random(how.n))
    kernel = truth.sde.kernel(times)
    x = kernel.scale[:, None] * draw(p, how.n, rng=how.rng)
    x = x + np.sqrt(kernel.variance)[:, None] * how.rng.standard_normal(x.shape)
    off = np.asarray(truth.score(x, times)) - np.asarray(model.score(x, times))
    return mean_estimate(length * weights * np.sum(off**2, axis=1), level=how.level)


def _mean(f: Callable[[Vector], Vector], law: Any, draws: Draws | None) -> Estimate:
    if law.dim <= 2:
        found = expectation(f, law, tolerance=_TOLERANCE)
        return quadrature_estimate(found.value, found.error, n=found.evaluations)
    how = _needed(draws, law)
    return mean_estimate(f(draw(law, how.n, rng=how.rng)), level=how.level)


def _share(draws: Draws) -> Draws:
    return Draws(draws.rng, draws.n, draws.level / 2)


def _needed(draws: Draws | None, law: Any) -> Draws:
    if draws is None:
        got = f"None for a law of dimension {law.dim}"
        raise bad("draws", got, "Draws(rng) beyond two dimensions", "pass a generator and n")
    return draws


def _field(q: Any) -> Callable[[Vector], Vector]:
    score = q.score if hasattr(q, "score") else q
    if not callable(score):
        raise bad("q", type(q).__name__, "what has score, or a function of x", "pass a law")

    def field(x: Vector) -> Vector:
        s = np.asarray(score(x), dtype=np.float64)
        if s.shape != x.shape:
            raise bad("q", f"a score of shape {s.shape}", f"{x.shape}", "one vector a point")
        return s

    return field


def _gaussian(law: Any) -> GaussianMixture | None:
    """The law as one Gaussian, or None."""
    mixture = mixture_of(law)
    return mixture if mixture is not None and mixture.components == 1 else None


def _same_dimension(p: Any, q: Any, name: str = "q") -> None:
    other = getattr(q, "dim", p.dim)
    if other != p.dim:
        raise bad(name, f"dimension {other}", f"{p.dim} like p", "compare laws of one space")


def _compared(p: GaussianMixture, q: GaussianMixture) -> tuple[Vector, Vector]:
    """Eigenvalues of ``C_q^-1 C_p`` and ``C_q^-1/2 (m_p - m_q)``."""
    lower: Any = np.linalg.cholesky(q.covariance)
    half: Any = np.linalg.solve(lower, p.covariance)
    ratio: Any = np.linalg.eigvalsh(np.linalg.solve(lower, half.T))
    shift: Any = np.linalg.solve(lower, p.mean - q.mean)
    return ratio, shift


def _rounding(p: GaussianMixture, q: GaussianMixture) -> float:
    """Relative rounding of what is computed from both covariances and their inverses."""
    worst = max(float(np.linalg.cond(law.covariance)) for law in (p, q))
    return 64 * p.dim**2 * _EPS * worst
