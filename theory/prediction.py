"""What a network may predict, and the exact conversions between the five.

With ``x = alpha x_0 + sigma eps`` each target is a linear form ``p x_0 + q eps``:

=========  =============================  ============  ==========  ==========================
target     meaning                        p             q           D = alpha q - sigma p
=========  =============================  ============  ==========  ==========================
noise      eps                            0             1           alpha
score      -eps / sigma                   0             -1/sigma    -alpha/sigma
x0         clean data                     1             0           -sigma
v          alpha eps - sigma x_0          -sigma        alpha       alpha^2 + sigma^2
velocity   dx/dt at fixed (x_0, eps)      alpha'        sigma'      alpha sigma' - sigma alpha'
=========  =============================  ============  ==========  ==========================

so that a target follows from a source and from x by ``[D_target value + (p_t q_s - q_t p_s) x] / D_source``, and
errors scale by ``D_target / D_source``. Conditional means obey the same relations: the mean of ``-eps/sigma``
given x is the score of ``p_t``, the mean of the velocity is the probability flow ``f x - g^2/2 score``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from ._checks import bad
from ._rows import per_row
from ._timewise import on_meta
from .arrays import alike, is_array, namespace
from .linear import Interpolant, Kernel
from .protocols import Array


class Prediction(StrEnum):
    """The five targets; ``v`` is that of Salimans and Ho 2022, ``velocity`` that of flow matching."""

    SCORE = "score"
    NOISE = "noise"
    X0 = "x0"
    V = "v"
    VELOCITY = "velocity"


def convert(
    value: Array,
    x: Array,
    kernel: Kernel,
    *,
    source: Prediction | str,
    target: Prediction | str,
) -> Array:
    """The ``target`` that belongs to ``value``, a prediction of ``source`` at ``x``.

    Args:
        value: ``(..., d)``.
        x: noisy points, ``(..., d)``.
        kernel: ``sde.kernel(t)``; where the velocity takes part, ``sde.interpolant(t)``. Its entries are
            numbers or arrays ``(...)``, one a row.
        source: what ``value`` is.
        target: what is wanted.

    Returns:
        Shape ``(..., d)``.

    Raises:
        ValueError: unknown names, shapes that do not match, a velocity without derivatives, or a conversion
            that is singular there: from noise or score where ``alpha = 0`` (but for noise and score
            themselves), from x0 and to score where ``sigma = 0``, from or to a velocity that is infinite
            or does not determine x0.

    Reference:
        Salimans and Ho 2022, App. D; Kingma and Gao 2023, App. A.1 (the table of parameterisations).
    """
    have, want = _name(source, "source"), _name(target, "target")
    if tuple(value.shape) != tuple(x.shape):
        raise bad("value", f"shape {tuple(value.shape)}", f"{tuple(x.shape)} like x", "match them")
    alike(value, x, "value", "x")
    if have is want:
        return value
    sigma = per_row(kernel.std, x, "kernel")
    if have is Prediction.SCORE:
        value, have = -sigma * value, Prediction.NOISE
    finish = Prediction.NOISE if want is Prediction.SCORE else want
    if have is not finish:
        p, q, ahead = _form(have, kernel, "source")
        p_to, q_to, gained = _form(finish, kernel, "target")
        _regular(ahead, have)
        mixed = per_row((p_to * q - q_to * p) / ahead, x, "kernel")
        value = per_row(gained / ahead, x, "kernel") * value + mixed * x
    if want is Prediction.SCORE:
        _regular(kernel.variance, want)
        return -value / sigma
    return value


def loss_weight(kernel: Kernel, *, source: Prediction | str, target: Prediction | str) -> Array:
    """``w = (D_target / D_source)^2``: ``|error of target|^2 = w |error of source|^2`` for every prediction.

    A loss on ``source`` weighted by ``w`` is the loss on ``target``.

    Args:
        kernel: as in :func:`convert`.
        source: what the network predicts.
        target: in whose units the error is wanted.

    Returns:
        A number, or an array in the shape of the kernel's entries.

    Raises:
        ValueError: as in :func:`convert`.

    Reference:
        Salimans and Ho 2022, Sec. 4 (``SNR + 1`` for v against x0).
    """
    have, want = _name(source, "source"), _name(target, "target")
    one = kernel.scale * 0 + 1.0
    if have is want:
        return one
    weight = one
    if have is Prediction.SCORE:
        weight, have = kernel.variance, Prediction.NOISE
    finish = Prediction.NOISE if want is Prediction.SCORE else want
    if have is not finish:
        ahead = _form(have, kernel, "source")[2]
        _regular(ahead, have)
        weight = weight * (_form(finish, kernel, "target")[2] / ahead) ** 2
    if want is Prediction.SCORE:
        _regular(kernel.variance, want)
        weight = weight / kernel.variance
    return weight


def _form(which: Prediction, kernel: Kernel, argument: str) -> tuple[Array, Array, Array]:
    """``p, q, D`` of a target other than the score."""
    alpha, sigma = kernel.scale, kernel.std
    zero = alpha * 0
    if which is Prediction.NOISE:
        return zero, zero + 1, alpha
    if which is Prediction.X0:
        return zero + 1, zero, -sigma
    if which is Prediction.V:
        return -sigma, alpha, alpha**2 + kernel.variance
    if not isinstance(kernel, Interpolant):
        got, remedy = "velocity without alpha' and sigma'", "pass sde.interpolant(t) as the kernel"
        raise bad(argument, got, "an Interpolant", remedy)
    p, q = kernel.scale_rate, kernel.std_rate
    if _any(q, lambda xp, v: xp.isinf(v)):
        got, wanted = "velocity where sigma' is infinite", "a finite velocity"
        raise bad(argument, got, wanted, "take a later time: sigma grows like sqrt(t) there")
    return p, q, alpha * q - sigma * p


def _regular(pivot: Array, which: Prediction) -> None:
    if _any(pivot, lambda xp, v: v == 0):
        wanted = {
            Prediction.NOISE: "alpha > 0 (pure noise does not show x0)",
            Prediction.X0: "sigma > 0 (clean x does not show the noise)",
            Prediction.SCORE: "sigma > 0 (the score of a point mass is infinite)",
        }.get(which, "a velocity that determines x0 (g > 0)")
        raise bad("kernel", f"a singular conversion with {which}", wanted, "move t off the end")


def _any(v: Array, what: Callable[[Any, Any], Any]) -> bool:
    """Whether some entry is as described; arrays without values are taken to have none."""
    if not is_array(v):
        return bool(what(math, v))
    xp = namespace(v)
    return not on_meta(v) and bool(xp.any(what(xp, v)))


def _name(which: Prediction | str, argument: str) -> Prediction:
    try:
        return Prediction(which)
    except ValueError:
        names = ", ".join(Prediction)
        raise bad(argument, repr(which), f"one of {names}", "correct the name") from None
