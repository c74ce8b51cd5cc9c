"""Laws plus Gaussian noise where no closed diffusion exists: ``x = scale x_0 + sqrt(variance) z``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import special

from ..theory._checks import bad, positive
from ..theory.arrays import as_points
from ..theory.chains import Chain
from ..theory.densities_1d import Laplace, LocationScale, Logistic, StudentT, Uniform
from ..theory.densities_2d import Ring
from ..theory.marginals import Marginal, marginal
from ..theory.protocols import Diffusible, Vector
from ..theory.sde import Kernel, LinearSDE
from .kronrod import posterior
from .latent import ChainLatent, Latent, LineLatent, RingLatent, TailLatent
from .noisy_closed import ClosedForm, applies, closed_form

_ROWS = 1024  #: points that are integrated together: about 50 MB


class Convolved:
    """The law of ``scale x_0 + sqrt(variance) z``, ``x_0 ~ base``, ``z ~ N(0, I)``, by quadrature.

    One latent number carries each law (``x_0`` itself in 1-D, the first coordinate of a chain, the
    radius of a ring), so that every point costs one adaptive Gauss-Kronrod integral in the log domain.
    Laplace and uniform laws use their closed forms while the noise is not wide. All in numpy float64.

    Args:
        base: a law of ``theory.densities_1d`` or ``theory.densities_2d``.
        scale: a, positive.
        variance: positive; ``1e-16`` is fine.

    Raises:
        ValueError: another kind of law, or numbers that are not positive.
    """

    def __init__(self, base: Any, scale: float, variance: float) -> None:
        if isinstance(base, Diffusible):
            raise bad(
                "base", type(base).__name__, "a law without closed diffusion", "use base.diffuse"
            )
        if not isinstance(base, LocationScale | Chain | Ring):
            raise bad(
                "base",
                type(base).__name__,
                "a normalised law of theory.densities_1d or densities_2d",
                "use one of them; an Energy has no constant to convolve",
            )
        self.base: Any = base
        self.scale, self.variance = positive(scale, "scale"), positive(variance, "variance")

    @property
    def dim(self) -> int:
        """Dimension d."""
        return self.base.dim

    @property
    def mean(self) -> Vector:
        """``scale E x_0``, shape ``(d,)``."""
        return self.scale * self.base.mean

    @property
    def covariance(self) -> Vector:
        """``scale^2 Cov x_0 + variance I``, shape ``(d, d)``."""
        return self.scale**2 * self.base.covariance + self.variance * np.eye(self.dim)

    def log_prob(self, x: Any) -> Vector:
        """``log p_t(x)``, shape ``(...)`` for ``x`` of shape ``(..., d)``.

        Raises:
            ValueError: ``x`` is no numpy array of shape ``(..., d)``.
        """
        return self._rows(x, lambda c: c.log_prob, lambda m, q: q.log_total, ())

    def score(self, x: Any) -> Vector:
        """``grad log p_t(x)``, shape ``(..., d)``."""
        return self._rows(x, lambda c: c.score[:, None], lambda m, q: m.score(q), (self.dim,))

    def hessian(self, x: Any) -> Vector:
        """``grad grad log p_t(x)``, shape ``(..., d, d)``."""
        shape = (self.dim, self.dim)
        return self._rows(x, lambda c: c.bend[:, None, None], lambda m, q: m.hessian(q), shape)

    def divergence(self, x: Any) -> Vector:
        """Trace of :meth:`hessian`, shape ``(...)``."""
        return np.trace(self.hessian(x), axis1=-2, axis2=-1)

    def denoiser(self, x: Any) -> Vector:
        """``E[x_0 | x_t = x]``, shape ``(..., d)``."""
        y = self._points(x)
        if self._closed:
            return (y + self.variance * self.score(y)) / self.scale
        return self._rows(y, None, lambda m, q: m.denoiser(q), (self.dim,))

    def relative_error(self, x: Any) -> Vector:
        """Estimated relative error of the density at ``x``, rounding included, shape ``(...)``."""
        return self._rows(x, lambda c: c.error, lambda m, q: q.error, ())

    def cdf(self, x: Any) -> Vector:
        """``P(x_t <= x)`` in one dimension, shape ``(...)``; the lower tail keeps its relative accuracy.

        Raises:
            ValueError: in two dimensions.
        """
        if not isinstance(self.base, LocationScale):
            raise bad(
                "cdf", f"a law of dimension {self.dim}", "dimension 1", "use log_prob, or draws"
            )
        y = self._points(x)
        if not self._even:
            return self._lower(y)
        # Only lower tails are integrated; by symmetry of the base upper ones are mirrored.
        centre = self.scale * self._centre
        lower = centre - np.abs(y - centre)
        tail = self._lower(lower)
        return np.where(y[..., 0] > centre, 1 - tail, tail)

    def _lower(self, y: Vector) -> Vector:
        return self._rows(y, lambda c: c.cdf, lambda m, q: np.exp(q.log_total), (), tail=True)

    def quantile(self, u: Any) -> Vector:
        """The inverse of :meth:`cdf`: ``u`` of shape ``(...)`` gives ``x`` of shape ``(..., 1)``.

        Newton steps on the log of the nearer tail, kept inside a bracket.

        Raises:
            ValueError: in two dimensions, or ``u`` outside [0, 1].
        """
        level = np.asarray(u, dtype=np.float64)
        if (level < 0).any() or (level > 1).any():
            raise bad(
                "u", f"{np.nanmin(level):g} to {np.nanmax(level):g}", "[0, 1]", "pass levels"
            )
        flat = level.ravel()
        out = np.where(flat == 0, -np.inf, np.where(flat == 1, np.inf, np.nan))
        todo = np.flatnonzero((flat > 0) & (flat < 1))
        goal, centre, sd = flat[todo], 0.0, math.sqrt(self.variance)
        if self._even:  # every level is found in the lower tail
            goal, centre = np.minimum(goal, 1 - goal), self.scale * self._centre
            high = np.full(goal.shape, centre)
        else:
            rest = (1 - goal) / 2
            high = self.scale * self.base.quantile(1 - rest)[:, 0] - sd * special.ndtri(rest)
        # P(a X + sd z < q_X + q_z) <= 2 max of the two tails.
        low = self.scale * self.base.quantile(goal / 2)[:, 0] + sd * special.ndtri(goal / 2)
        s = low + (high - low) / 2
        alive = np.arange(len(goal))
        for _ in range(80):
            if not len(alive):
                break
            at = s[alive]
            mass = self.cdf(at[:, None])
            with np.errstate(all="ignore"):
                slope = np.exp(self.log_prob(at[:, None])) / mass
                new = at - np.log(mass / goal[alive]) / slope
            above = mass > goal[alive]
            high[alive] = np.where(above, at, high[alive])
            low[alive] = np.where(above, low[alive], at)
            inside = (new >= low[alive]) & (new <= high[alive])
            new = np.where(inside, new, 0.5 * (low[alive] + high[alive]))
            s[alive] = new
            alive = alive[np.abs(new - at) > 4e-16 * (np.abs(at) + math.sqrt(self.variance))]
        mirrored = self._even & (flat[todo] > 0.5)
        out[todo] = np.where(mirrored, 2 * centre - s, s)
        return out.reshape(level.shape)[..., None]

    def draw_with(self, n: int, rng: np.random.Generator) -> Vector:
        """``n`` exact independent draws ``(n, d)``: a draw of the base plus the noise."""
        x = self.base.transport(rng.random(n), rng.standard_normal((n, self.dim)))
        noise = rng.standard_normal((n, self.dim))
        return self.scale * np.asarray(x) + math.sqrt(self.variance) * noise

    @property
    def _even(self) -> bool:
        """Whether the base is known to be symmetric about its centre."""
        return isinstance(self.base, Laplace | Uniform | Logistic | StudentT)

    @cached_property
    def _centre(self) -> float:
        base = self.base
        return base.low + 0.5 * base.scale if isinstance(base, Uniform) else base.location

    @cached_property
    def _closed(self) -> bool:
        return isinstance(self.base, Laplace | Uniform) and applies(
            self.base, self.scale, self.variance
        )

    def _points(self, x: Any) -> Vector:
        if not isinstance(x, np.ndarray):
            raise bad("x", type(x).__name__, "a numpy array", "convert it with numpy.asarray")
        return as_points(x, self.dim).astype(np.float64)

    def _latent(self, x: Vector, tail: bool) -> Latent:
        base, a, v = self.base, self.scale, self.variance
        if isinstance(base, Chain):
            return ChainLatent(base, a, v, x)
        if isinstance(base, Ring):
            return RingLatent(base, a, v, x)
        return TailLatent(base, a, v, x, _log_cdf(base)) if tail else LineLatent(base, a, v, x)

    def _rows(
        self,
        x: Any,
        closed: Callable[[ClosedForm], Vector] | None,
        latent: Callable[[Any, Any], Vector],
        shape: tuple[int, ...],
        *,
        tail: bool = False,
    ) -> Vector:
        """Blocks of finite rows through the closed form or the quadrature; other rows become NaN."""
        y = self._points(x)
        flat = y.reshape(-1, self.dim)
        out = np.full((len(flat), *shape), np.nan)
        good = np.flatnonzero(np.isfinite(flat).all(axis=1))
        for i in range(0, len(good), _ROWS):
            rows = good[i : i + _ROWS]
            block = flat[rows]
            if self._closed and closed is not None:
                form = closed_form(self.base, self.scale, self.variance, block[:, 0])
                out[rows] = closed(form)
            else:
                model: Any = self._latent(block, tail)
                out[rows] = latent(model, posterior(model.log_integrand, model.edges()))
        return out.reshape((*y.shape[:-1], *shape))

    def __repr__(self) -> str:
        return f"Convolved({self.base!r}, scale={self.scale:g}, variance={self.variance:g})"


@dataclass(frozen=True)
class NumericalMarginal(Marginal):
    """A :class:`Marginal` whose law is a :class:`Convolved` (or, at t = 0, the base itself)."""

    def denoiser(self, x: Any) -> Vector:
        """``E[x_0 | x_t = x]``, shape ``(..., d)``, by quadrature."""
        return self.law.denoiser(x) if isinstance(self.law, Convolved) else x / self.kernel.scale

    def draw_with(self, n: int, rng: np.random.Generator) -> Vector:
        """``n`` exact independent draws ``(n, d)``."""
        if isinstance(self.law, Convolved):
            return self.law.draw_with(n, rng)
        return self.law.transport(rng.random(n), rng.standard_normal((n, self.dim)))


def diffused(p: Any, sde: LinearSDE, t: float) -> Marginal:
    """The law of ``x_t`` for any law: in closed form where there is one, else by quadrature.

    Args:
        p: law of ``x_0``.
        sde: linear diffusion.
        t: time in ``[0, t_max]``.

    Raises:
        ValueError: ``t`` out of range, or a law that has neither form.
    """
    if isinstance(p, Diffusible):
        return marginal(p, sde, t)
    kernel = sde.kernel(float(t))
    scale, variance = float(kernel.scale), float(kernel.variance)
    if variance == 0 and scale == 1:
        return NumericalMarginal(p, p, Kernel(scale, variance))
    return NumericalMarginal(p, Convolved(p, scale, variance), Kernel(scale, variance))


def _log_cdf(base: LocationScale) -> Callable[[Vector], Vector]:
    """``log F_0`` of a one-dimensional law, from the lower tail upwards."""

    def logistic(s: Vector) -> Vector:
        return special.log_expit((s - base.location) / base.scale)

    def plain(s: Vector) -> Vector:
        with np.errstate(divide="ignore"):
            return np.log(base.cdf(s[..., None]))

    def laplace(s: Vector) -> Vector:
        z = (s - base.location) / base.scale
        return np.where(z < 0, z - math.log(2), np.log1p(-0.5 * np.exp(-np.abs(z))))

    if isinstance(base, Logistic):
        return logistic
    if isinstance(base, Laplace):
        return laplace
    if isinstance(base, StudentT):
        return _log_student(base)
    return plain


def _log_student(base: StudentT) -> Callable[[Vector], Vector]:
    def log_cdf(s: Vector) -> Vector:
        z = (s - base.location) / base.scale
        tail = special.stdtr(base.df, -np.abs(z))
        with np.errstate(divide="ignore"):
            return np.where(z < 0, np.log(tail), np.log1p(-tail))

    return log_cdf
