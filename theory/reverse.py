"""Reversal of a linear diffusion: one family of processes that all have the marginals ``p_t``.

For ``dx = f x dt + g dw`` with score ``s_t = grad log p_t`` and any ``eta >= 0`` the process

    dx = [f x - (1 + eta^2)/2 g^2 s_t(x)] dt + eta g dw,   time running from t_max to 0,

has the law ``p_t`` at every t: its Fokker-Planck equation
``d_t p = -div(drift p) - (eta^2/2) g^2 lap p`` is that of the forward diffusion because
``s p = grad p``. ``eta = 0`` is the probability flow, ``eta = 1`` the reversal of Anderson.

Reference:
    Anderson 1982; Song et al. 2021, Eqs. 6 and 13; Karras et al. 2022, Eq. 6.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ._checks import bad
from ._rows import mixture_score, per_row
from ._timewise import on_meta, values
from .arrays import as_points, is_array, like, namespace
from .general import SDE
from .marginals import marginal
from .mixtures import GaussianMixture
from .protocols import Array, Diffusible, Vector
from .sde import Kernel, LinearSDE

if TYPE_CHECKING:
    from .state_reverse import StateReverseDrift

_KEPT = 64  #: marginals remembered by one reversal


class DriftOfReversal:
    """Base of the reversals: what they share is the score of ``p_t``, at one time or at one a row."""

    def __init__(self, p: Any, sde: Any, eta: float) -> None:
        try:
            self.eta = float(eta)
        except (TypeError, ValueError):
            self.eta = math.nan
        if not (0 <= self.eta < math.inf):
            raise bad("eta", repr(eta)[:40], "a number >= 0", "0 is the flow, 1 the reverse SDE")
        self.p: Any = p
        self.sde = sde
        self._kept: OrderedDict[float, Any] = OrderedDict()

    def score(self, x: Array, t: Array) -> Array:
        """``s_t(x)``, shape ``(..., d)``, for ``x`` ``(..., d)`` and a time, or one a row."""
        return self._score(x, t)[0]

    def _score(self, x: Array, t: Array) -> tuple[Array, Array]:
        """The score, and ``t`` as the coefficients shall see it: with gradients only if the score has them."""
        raise AttributeError("_score")

    def _marginal(self, t: float) -> Any:
        """The law of ``x_t``."""
        raise AttributeError("_marginal")

    def _grouped(self, x: Array, t: Array) -> Array:
        if on_meta(t):
            raise bad("t", "an array without values", "times", "pass one number for all rows")
        xp = namespace(x)
        flat = xp.reshape(x, (-1, x.shape[-1]))
        times, where = np.unique(values(t).ravel(), return_inverse=True)
        order = np.argsort(where.ravel(), kind="stable")
        edges = np.searchsorted(where.ravel()[order], np.arange(len(times) + 1))
        parts = []
        for i, at in enumerate(times):
            rows = xp.astype(like(order[edges[i] : edges[i + 1]], flat), xp.int64)
            parts.append(self._law(float(at)).score(xp.take(flat, rows, axis=0)))
        back = xp.astype(like(np.argsort(order), flat), xp.int64)
        joined = xp.concat(parts, axis=0) if parts else flat
        return xp.reshape(xp.take(joined, back, axis=0), x.shape)

    def _law(self, t: float) -> Any:
        if t in self._kept:
            self._kept.move_to_end(t)
            return self._kept[t]
        self._kept[t] = self._marginal(t)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return self._kept[t]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.p!r}, {self.sde!r}, eta={self.eta:g})"


class ReverseDrift(DriftOfReversal):
    """``(x, t) -> f x - (1 + eta^2)/2 g^2 s_t(x)``, see :func:`reverse_drift`.

    Attributes:
        sde: the forward diffusion.
        eta: noise level; ``eta * g`` is the diffusion coefficient of the process.
    """

    sde: LinearSDE

    def __init__(self, p: Any, sde: LinearSDE, eta: float) -> None:
        if not (isinstance(p, Diffusible) or hasattr(p, "marginal") or callable(p)):
            raise bad(
                "p",
                type(p).__name__,
                "a law with closed diffusion, an object with marginal(t), or score(x, t)",
                "pass the score as a function of x and t",
            )
        super().__init__(p, sde, eta)

    def __call__(self, x: Array, t: Array) -> Array:
        """``dx/dt`` in forward time.

        Args:
            x: ``(..., d)``.
            t: a time, or one a row, shape ``(...)``.

        Returns:
            Shape ``(..., d)``. Gradients flow in ``x``; in ``t`` where it is one time a row of a mixture, or
            where the score is a function.

        Raises:
            ValueError: times out of range, or shapes that do not match.
        """
        pull, t = self._score(x, t)
        f, g = per_row(self.sde.drift(t), x), per_row(self.sde.diffusion(t), x)
        return f * x - 0.5 * (1 + self.eta**2) * g**2 * pull

    def noise(self, t: Array) -> Array:
        """Diffusion coefficient ``eta g(t)``, in the shape of ``t``."""
        return self.eta * self.sde.diffusion(t)

    def _score(self, x: Array, t: Array) -> tuple[Array, Array]:
        t = self.sde.check_time(t)
        per_row(t, x)
        if not (isinstance(self.p, Diffusible) or hasattr(self.p, "marginal")):
            return self.p(x, t), t
        if is_array(t) and t.ndim > 0:
            if isinstance(self.p, GaussianMixture):
                return self._rowwise(x, t), t
            return self._grouped(x, t), like(values(t), x)
        at = float(t)
        return self._law(at).score(x), at

    def _rowwise(self, x: Array, t: Array) -> Array:
        y = as_points(x, self.p.dim)
        xp = namespace(y)
        kernel = self.sde.kernel(xp.reshape(t, (-1,)))
        flat = xp.reshape(y, (-1, self.p.dim))
        return xp.reshape(mixture_score(self.p, flat, kernel.scale, kernel.variance), y.shape)

    def _marginal(self, t: float) -> Any:
        direct = not isinstance(self.p, Diffusible)
        return self.p.marginal(t) if direct else marginal(self.p, self.sde, t)


@overload
def reverse_drift(p: Any, sde: LinearSDE, eta: float = 1.0) -> ReverseDrift: ...
@overload
def reverse_drift(p: Any, sde: SDE, eta: float = 1.0) -> StateReverseDrift: ...
def reverse_drift(
    p: Any, sde: LinearSDE | SDE, eta: float = 1.0
) -> ReverseDrift | StateReverseDrift:
    """``f x - (1 + eta^2)/2 g^2 s_t(x)``: drift, in forward time, of the reversal with noise ``eta g``.

    For an :class:`SDE` with coefficients of ``(x, t)`` it is ``b - (1 + eta^2)/2 (div D + D s_t)``, with
    ``D = sigma sigma'``, see ``state_reverse.py``.

    Args:
        p: law of ``x_0`` with closed diffusion; or an object whose ``marginal(t)`` has a score; or the score
            itself, a function of ``x`` ``(..., d)`` and ``t``. For an :class:`SDE` that has no closed marginals
            it must be one of the last two.
        sde: the forward diffusion.
        eta: 1 the reverse SDE, 0 the probability flow, any other value >= 0 a process between or beyond.

    Returns:
        A callable ``(x, t) -> dx/dt`` with ``noise(t)``, or ``noise(x, t)`` for an :class:`SDE`, and
        ``score(x, t)``; a sampler that steps from t to ``t - h`` moves by ``-h`` times it plus ``eta g sqrt(h) z``.

    Raises:
        ValueError: ``p`` gives no score, ``sde`` is no diffusion of this package, or ``eta`` is negative.
    """
    if isinstance(sde, LinearSDE):
        return ReverseDrift(p, sde, eta)
    if isinstance(sde, SDE):
        from .state_reverse import StateReverseDrift

        return StateReverseDrift(p, sde, eta)
    raise bad(
        "sde", type(sde).__name__, "a LinearSDE or an SDE", "see scoreproof.theory, e.g. VP()"
    )


@overload
def probability_flow(p: Any, sde: LinearSDE) -> ReverseDrift: ...
@overload
def probability_flow(p: Any, sde: SDE) -> StateReverseDrift: ...
def probability_flow(p: Any, sde: LinearSDE | SDE) -> ReverseDrift | StateReverseDrift:
    """``f x - g^2/2 s_t(x)``, the velocity that carries ``p_t``: :func:`reverse_drift` with ``eta = 0``.

    Raises:
        ValueError: see :func:`reverse_drift`.
    """
    return reverse_drift(p, sde, 0.0)


@dataclass(frozen=True, eq=False)
class GaussianFlow:
    """``x -> end + Q diag(gain) Q' (x - start)``, see :func:`gaussian_flow`.

    Attributes:
        law: law of ``x_0``.
        start: kernel of the time at which ``x`` is given.
        end: kernel of the time to which it is carried.
    """

    law: GaussianMixture
    start: Kernel
    end: Kernel

    def __call__(self, x: Array) -> Array:
        """``x_s`` of ``x_t = x``, shape ``(..., d)``."""
        y = as_points(x, self.law.dim)
        xp = namespace(y)
        flat = xp.reshape(y, (1, -1, self.law.dim))
        mean = self.law.means[0]
        moved = self.law.basis.apply(self._gain, flat - like(self.start.scale * mean, flat))
        return xp.reshape(moved + like(self.end.scale * mean, flat), y.shape)

    @property
    def matrix(self) -> Vector:
        """Its Jacobian, shape ``(d, d)``."""
        return self.law.basis.matrix(self._gain)[0]

    @property
    def shift(self) -> Vector:
        """Image of the origin, shape ``(d,)``."""
        mean = self.law.means[0]
        return self.end.scale * mean - self.matrix @ (self.start.scale * mean)

    def _gain(self, eigenvalue: Vector) -> Vector:
        then = self.start.scale**2 * eigenvalue + self.start.variance
        return np.sqrt((self.end.scale**2 * eigenvalue + self.end.variance) / then)


def gaussian_flow(p: GaussianMixture, sde: LinearSDE, t: float, s: float) -> GaussianFlow:
    """The exact probability-flow map from time t to time s for Gaussian data, in either direction.

    For ``p = N(mu, Q diag(lambda) Q')`` the flow ``dx = [f x + g^2/2 S_t^{-1} (x - a_t mu)] dt`` is linear in the
    eigenbasis, ``S_t = a_t^2 lambda + v_t``, and ``S' = 2 f S + g^2`` makes ``(x - a_t mu)/sqrt(S_t)`` constant:

        x_s = a_s mu + Q diag(sqrt(S_s / S_t)) Q' (x_t - a_t mu).

    Args:
        p: a Gaussian (a mixture of one component).
        sde: the forward diffusion.
        t: time at which ``x`` is given.
        s: time to which it is carried.

    Returns:
        A callable ``x (..., d) -> (..., d)`` with ``matrix`` and ``shift``.

    Raises:
        ValueError: ``p`` is not one Gaussian, or times out of range.
    """
    if not isinstance(p, GaussianMixture) or p.components != 1:
        got = repr(p)[:60]
        raise bad("p", got, "one Gaussian", "integrate probability_flow for other laws")
    late, early = sde.kernel(float(t)), sde.kernel(float(s))
    return GaussianFlow(p, late, early)
