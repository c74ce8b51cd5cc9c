"""Laplace and uniform laws plus Gaussian noise, in closed form.

Both are used where the noise is not far wider than the law; beyond, they cancel and quadrature takes over.
With ``y = x - a location``, ``b = a scale``, ``alpha = sd / b`` and ``u = (alpha +- y / sd)``:

* Laplace: ``p(x) = (1 / 2b) [e^(alpha^2/2 + y/b) Phi(-u_+) + e^(alpha^2/2 - y/b) Phi(-u_-)]``. Its score is
  ``(r_+ - r_-) / b`` with r the shares of the two terms, and from ``p - b^2 p'' = N(y; 0, v)`` follows
  ``(log p)'' = [4 r_+ r_- - N(y; 0, v) / p] / b^2``.
* Uniform on [low, high]: ``p(x) = [Phi(u) - Phi(l)] / (a (high - low))``, ``u = (x - a low)/sd``,
  ``l = (x - a high)/sd``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from ..theory.chains import LOG_2PI
from ..theory.densities_1d import Laplace, Uniform
from ..theory.protocols import Vector

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class ClosedForm:
    """``log p``, score, ``(log p)''`` and cdf, each ``(n,)``, with a rounding bound of the density."""

    log_prob: Vector
    score: Vector
    bend: Vector
    cdf: Vector
    error: Vector


def applies(base: Laplace | Uniform, a: float, v: float) -> bool:
    """Whether the noise is narrow enough for the closed form to keep its digits."""
    sd = math.sqrt(v)
    return sd <= (4.0 if isinstance(base, Laplace) else 0.5) * a * base.scale


def closed_form(base: Laplace | Uniform, a: float, v: float, x: Vector) -> ClosedForm:
    """The law of ``a x_0 + sqrt(v) z`` at ``x`` ``(n,)``."""
    return _laplace(base, a, v, x) if isinstance(base, Laplace) else _uniform(base, a, v, x)


def _log_upper(u: Vector, log_normal: Vector, y: Vector, alpha: float, b: float) -> Vector:
    """``log [e^(alpha^2/2 + y/b) Phi(-u)]`` for ``u = alpha + y/sd``, without overflow on either side."""
    with np.errstate(all="ignore"):
        inside = log_normal + np.log(special.erfcx(u / math.sqrt(2))) + 0.5 * math.log(math.pi / 2)
        outside = 0.5 * alpha**2 + y / b + special.log_ndtr(-u)
    return np.where(u > 0, inside, outside)


def _laplace(base: Laplace, a: float, v: float, x: Vector) -> ClosedForm:
    sd, b = math.sqrt(v), a * base.scale
    y, alpha = x - a * base.location, sd / b
    log_normal = -0.5 * (y / sd) ** 2 - 0.5 * LOG_2PI
    plus = _log_upper(alpha + y / sd, log_normal, y, alpha, b)
    minus = _log_upper(alpha - y / sd, log_normal, -y, alpha, b)
    log_sum = np.logaddexp(plus, minus)
    tanh = np.tanh(0.5 * (plus - minus))
    share = np.exp(plus - log_sum) * np.exp(minus - log_sum)
    bend = (4 * share - np.exp(log_normal - math.log(sd) - log_sum + math.log(2 * b))) / b**2
    # P(X <= x) = Phi(y / sd) + (T_- ... T_+) / 2 by parts; written from the nearer tail.
    side = -np.abs(y)
    low, high = np.where(y > 0, minus, plus), np.where(y > 0, plus, minus)
    tail = special.ndtr(side / sd) + 0.5 * (np.exp(low) - np.exp(high))
    cdf = np.where(y > 0, 1 - tail, tail)
    error = _EPS * (8 + np.abs(log_sum) + alpha**2)
    return ClosedForm(log_sum - math.log(2 * b), tanh / b, bend, cdf, error)


def _excess(u: Vector) -> Vector:
    """``phi(u) / Phi(-u) - u`` for ``u >= 0``: positive, about ``1/u``, from Laplace's continued fraction."""
    with np.errstate(all="ignore"):
        direct = math.sqrt(2 / math.pi) / special.erfcx(u / math.sqrt(2)) - u
        tail = u
        for k in range(40, 1, -1):
            tail = u + k / tail
        return np.where(u < 8, direct, 1 / tail)


def _uniform(base: Uniform, a: float, v: float, x: Vector) -> ClosedForm:
    sd, length = math.sqrt(v), a * base.scale
    # The law is even about its centre: only the half to the right of it is computed.
    y = x - a * (base.low + 0.5 * base.scale)
    sign, size = np.where(y < 0, -1.0, 1.0), np.abs(y)
    u, low = (size + 0.5 * length) / sd, (size - 0.5 * length) / sd
    log_near, log_far = special.log_ndtr(-low), special.log_ndtr(-u)
    ratio = np.exp(log_far - log_near)
    log_mass = log_near + np.log1p(-ratio)
    q_far = np.exp(-0.5 * u * u - 0.5 * LOG_2PI - log_mass)
    # Far outside this overflows, and the other form is taken.
    q_near = np.exp(np.minimum(-0.5 * low * low - 0.5 * LOG_2PI - log_mass, 700.0))
    # Outside, q_near - low is the small excess of a hazard over its argument.
    tail = np.maximum(low, 0.0)
    outside = _excess(tail) + (_excess(tail) + tail) * ratio / (1 - ratio)
    q_near = np.where(low > 0, outside + tail, q_near)
    gap = np.where(low > 0, outside, q_near - low)
    score = sign * (q_far - q_near) / sd
    bend = (-q_near * gap + q_far * (2 * q_near - q_far - u)) / v
    # int_x^inf of [Phi(u) - Phi(l)]: with w(t) = t Phi(-t) - phi(t), the upper tail is (w(u) - w(l)) sd/length.
    upper = (_ramp(low, log_near) - _ramp(u, log_far)) * sd / length
    cdf = np.where(y < 0, upper, 1 - upper)
    error = _EPS * (8 + np.abs(log_mass))
    return ClosedForm(log_mass - math.log(length), score, bend, cdf, error)


def _ramp(t: Vector, log_upper: Vector) -> Vector:
    """``E (z - t)_+ = phi(t) - t Phi(-t)``; for ``t > 0`` by the excess, which does not cancel."""
    tail = np.maximum(t, 0.0)
    plain = np.exp(-0.5 * t * t - 0.5 * LOG_2PI) - t * np.exp(log_upper)
    return np.where(t > 0, np.exp(log_upper) * _excess(tail), plain)
