"""Langevin chains: unadjusted, Metropolis adjusted, annealed.

The overdamped diffusion ``dX = grad log p dt + sqrt(2) dW`` leaves p stationary. Its Euler step is

    x' = x + h s(x) + sqrt(2 h) z,    z ~ N(0, I),

the one convention of this module. The other common one, ``x + (h'/2) s(x) + sqrt(h') z``, is the same
scheme at ``h' = 2 h`` (:func:`half_convention` converts). A fixed step leaves p only approximately:
for ``N(mu, diag(1/a))`` the stationary variance is ``1 / (a (1 - a h / 2))``, and the chain diverges
for ``h >= 2 / max a`` (:mod:`.gaussian_law` has the exact recursions).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..theory._checks import bad, positive
from ..theory.arrays import device, is_torch_array, like, namespace
from ..theory.protocols import Array, Distribution, Vector
from .rng import normal_like


def half_convention(h: float) -> float:
    """The ``step`` of this module for a text that writes ``x + (h/2) s + sqrt(h) z``: ``h / 2``.

    Raises:
        ValueError: ``h`` is not positive.
    """
    return positive(h, "h") / 2


def ula_step(
    score: Callable[[Array], Array], x: Array, *, step: float, rng: Any, noise: bool = True
) -> Array:
    """One unadjusted Langevin step ``x + h s(x) + sqrt(2 h) z``.

    Args:
        score: ``(n, d) -> (n, d)``.
        x: ``(n, d)``.
        step: h, positive.
        rng: numpy generator, or torch generator for tensors; unused without noise.
        noise: False gives gradient ascent on ``log p``.

    Returns:
        The next points, ``(n, d)``.

    Raises:
        ValueError: a step that is not positive.
    """
    h = positive(step, "step")
    drifted = x + h * score(x)
    return drifted + (2 * h) ** 0.5 * normal_like(x, rng=rng) if noise else drifted


def ula(
    score: Callable[[Array], Array],
    x: Array,
    *,
    step: float,
    n_steps: int,
    rng: Any,
    noise: bool = True,
) -> Array:
    """The unadjusted Langevin algorithm: ``n_steps`` of :func:`ula_step`.

    Args:
        score: ``(n, d) -> (n, d)``.
        x: starting points ``(n, d)``, one chain a row.
        step: h in ``x + h s + sqrt(2 h) z``.
        n_steps: number of steps, zero or more.
        rng: numpy generator, or torch generator for tensors.
        noise: False leaves the noise out.

    Returns:
        Last points of the chains, ``(n, d)``. Their law is not p: its bias is of order h.

    Raises:
        ValueError: a step that is not positive or a negative number of steps.

    Reference: Roberts & Tweedie 1996.
    """
    for _ in range(_count(n_steps)):
        x = ula_step(score, x, step=step, rng=rng, noise=noise)
    return x


@dataclass(frozen=True)
class MALAResult:
    """Last points of the chains and how often a proposal was taken.

    Attributes:
        samples: ``(n, d)``.
        acceptance: accepted share of all proposals, ``nan`` without steps.
        accepted: accepted proposals of each chain, ``(n,)`` of integers.
    """

    samples: Array
    acceptance: float
    accepted: np.ndarray


def mala_log_ratio(law: Distribution, x: Array, y: Array, *, step: float) -> Array:
    """Logarithm of the Metropolis ratio ``p(y) q(y -> x) / (p(x) q(x -> y))``, shape ``(n,)``.

    ``q(x -> y) = N(y; x + h s(x), 2 h I)``. With ``D = y - x`` the two exponents of q are subtracted in
    closed form, ``-1/2 D.(s(x) + s(y)) + h/4 (|s(x)|^2 - |s(y)|^2)``, so no large squares cancel.

    Args:
        law: p, with ``log_prob`` (up to a constant) and ``score``.
        x: ``(n, d)``.
        y: proposals ``(n, d)``.
        step: h.
    """
    xp = namespace(x, y)
    sx, sy = law.score(x), law.score(y)
    return _log_ratio(xp, law.log_prob(x), law.log_prob(y), sx, sy, y - x, positive(step, "step"))


def mala_step(law: Distribution, x: Array, *, step: float, rng: Any) -> tuple[Array, Array]:
    """One Metropolis adjusted Langevin step.

    Args:
        law: p, with ``log_prob`` (up to a constant) and ``score``.
        x: ``(n, d)``.
        step: h of the proposal ``x + h s(x) + sqrt(2 h) z``.
        rng: numpy generator, or torch generator for tensors.

    Returns:
        The next points ``(n, d)`` and which proposals were accepted ``(n,)``.

    Raises:
        ValueError: a step that is not positive.
    """
    h = positive(step, "step")
    xp = namespace(x)
    sx = law.score(x)
    y = x + h * sx + (2 * h) ** 0.5 * normal_like(x, rng=rng)
    log_ratio = _log_ratio(xp, law.log_prob(x), law.log_prob(y), sx, law.score(y), y - x, h)
    # U is in [0, 1), so 1 - U is never zero. An undefined ratio compares false: the chain stays.
    accepted = xp.log1p(-_uniform_like(log_ratio, rng)) < log_ratio
    return xp.where(accepted[..., None], y, x), accepted


def mala(law: Distribution, x: Array, *, step: float, n_steps: int, rng: Any) -> MALAResult:
    """The Metropolis adjusted Langevin algorithm; p is exactly stationary at every step size.

    Args:
        law: p, with ``log_prob`` (up to a constant) and ``score``.
        x: starting points ``(n, d)``, one chain a row.
        step: h of the proposal ``x + h s(x) + sqrt(2 h) z``.
        n_steps: number of steps, zero or more.
        rng: numpy generator, or torch generator for tensors.

    Returns:
        Last points with the acceptance rate. Not checked: whether the chains have forgotten ``x``.

    Raises:
        ValueError: a step that is not positive or a negative number of steps.

    Reference: Roberts & Tweedie 1996; Rossky, Doll & Friedman 1978.
    """
    total = np.zeros(x.shape[:-1], dtype=np.int64)
    count = _count(n_steps)
    for _ in range(count):
        x, accepted = mala_step(law, x, step=step, rng=rng)
        total += _as_numpy(accepted).astype(np.int64)
    rate = float(total.sum()) / (count * total.size) if count and total.size else float("nan")
    return MALAResult(x, rate, total)


def annealed_langevin(
    score: Callable[[Array, float], Array],
    x: Array,
    *,
    sigmas: Sequence[float] | Vector,
    steps: int | Sequence[int],
    relative_step: float,
    rng: Any,
    noise: bool = True,
    denoise: bool = False,
) -> Array:
    """Langevin chains through decreasing noise levels, step ``h_i = relative_step * sigma_i^2``.

    Song & Ermon write ``alpha_i = eps sigma_i^2 / sigma_L^2`` and ``x + (alpha_i / 2) s + sqrt(alpha_i) z``:
    the same at ``relative_step = eps / (2 sigma_L^2)``.

    Args:
        score: ``(x, sigma) -> grad log p_sigma(x)``, ``(n, d) -> (n, d)``.
        x: starting points ``(n, d)``.
        sigmas: noise levels, strictly decreasing and positive, ``(L,)``.
        steps: steps at each level, one number or ``(L,)``.
        relative_step: step over squared level; below 1/2 no level of width ``sigma_i`` overshoots.
        rng: numpy generator, or torch generator for tensors.
        noise: False leaves the noise out.
        denoise: ends with Tweedie's step ``x + sigma_L^2 s``, without noise.

    Returns:
        Last points ``(n, d)``; near ``p_sigma_L`` only if every level had steps enough (not checked).

    Raises:
        ValueError: levels that do not decrease, lengths that do not match, a step that is not positive.

    Reference: Song & Ermon 2019, Algorithm 1; Jolicoeur-Martineau et al. 2021 for the last step.
    """
    levels = _levels(sigmas)
    counts = [steps] * len(levels) if isinstance(steps, int) else list(steps)
    if len(counts) != len(levels):
        raise bad("steps", f"{len(counts)} entries", f"{len(levels)}, one a level", "match sigmas")
    ratio = positive(relative_step, "relative_step")
    for sigma, count in zip(levels, counts, strict=True):
        x = ula(
            _at_level(score, sigma),
            x,
            step=ratio * sigma**2,
            n_steps=count,
            rng=rng,
            noise=noise,
        )
    return x + levels[-1] ** 2 * score(x, levels[-1]) if denoise else x


def _at_level(score: Callable[[Array, float], Array], sigma: float) -> Callable[[Array], Array]:
    return lambda x: score(x, sigma)


def _levels(sigmas: Sequence[float] | Vector) -> list[float]:
    levels = [positive(s, f"sigmas[{i}]") for i, s in enumerate(sigmas)]
    if not levels or any(b >= a for a, b in pairwise(levels)):
        raise bad(
            "sigmas",
            f"{levels[:6]}",
            "strictly decreasing positive levels",
            "sort them, largest first, and drop duplicates",
        )
    return levels


def _log_ratio(
    xp: Any, log_px: Array, log_py: Array, sx: Array, sy: Array, move: Array, h: float
) -> Array:
    across = xp.sum(move * (sx + sy), axis=-1) / 2
    bend = (h / 4) * xp.sum((sx - sy) * (sx + sy), axis=-1)
    return (log_py - log_px) - across + bend


def _uniform_like(x: Array, rng: Any) -> Array:
    if isinstance(rng, np.random.Generator):
        return like(rng.random(tuple(x.shape)), x)
    import torch

    return torch.rand(x.shape, generator=rng, dtype=x.dtype, device=device(x))


def _as_numpy(x: Array) -> Vector:
    return np.asarray(x.detach().cpu() if is_torch_array(x) else x)


def _count(n_steps: int) -> int:
    if int(n_steps) != n_steps or n_steps < 0:
        raise bad("n_steps", n_steps, "a number of steps, zero or more", "pass an integer")
    return int(n_steps)
