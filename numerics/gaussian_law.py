"""Exact laws of samplers on a Gaussian target: one affine recursion for each eigen-direction.

With ``x_0 ~ N(mu, Sigma)`` every score is affine and every matrix in sight is a function of ``Sigma``, so a
sampler acts on each eigen-direction by ``x' = gain x + shift + sqrt(noise) z`` and its output law is

    mean' = gain mean + shift,    variance' = gain^2 variance + noise,

with no sampling. The coefficients are written here from the conjugate conditioning of ``x_0`` on ``x_t``,
``E[x_0 | x_t] = mu + (alpha lambda / l_t)(x_t - alpha mu)``, ``l_t = alpha^2 lambda + sd^2``, not from the score
that the solvers are fed: a second route to every one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..theory._checks import bad, positive
from ..theory.mixtures import Gaussian
from ..theory.protocols import Vector
from ..theory.sde import LinearSDE


@dataclass(frozen=True)
class Affine:
    """``x' = gain x + shift + sqrt(noise) z`` in every eigen-direction; all ``(d,)``."""

    gain: Vector
    shift: Vector
    noise: Vector

    def then(self, later: Affine) -> Affine:
        """This step followed by ``later``."""
        return Affine(
            later.gain * self.gain,
            later.gain * self.shift + later.shift,
            later.gain**2 * self.noise + later.noise,
        )


@dataclass(frozen=True)
class EigenLaw:
    """``N(U mean, U diag(variance) U')`` in a fixed orthonormal basis ``U``.

    Attributes:
        mean: ``(d,)`` in eigen-coordinates.
        variance: ``(d,)``.
        vectors: U, ``(d, d)``.
    """

    mean: Vector
    variance: Vector
    vectors: Vector

    @classmethod
    def of(cls, law: Gaussian) -> EigenLaw:
        """A Gaussian in the eigenbasis of its own covariance.

        Raises:
            ValueError: a mixture of more than one component.
        """
        if law.components != 1:
            raise bad(
                "law", f"{law.components} components", "one", "pass a scoreproof.theory.Gaussian"
            )
        values, vectors = np.linalg.eigh(law.covariances[0])
        return cls(vectors.T @ law.means[0], values, vectors)

    def push(self, step: Affine) -> EigenLaw:
        """The law after an affine step."""
        return EigenLaw(
            step.gain * self.mean + step.shift,
            step.gain**2 * self.variance + step.noise,
            self.vectors,
        )

    def diffuse(self, scale: float, variance: float) -> EigenLaw:
        """The law of ``scale x + sqrt(variance) z``."""
        one = np.ones_like(self.mean)
        return self.push(Affine(scale * one, 0 * one, variance * one))

    def w2(self, other: EigenLaw) -> float:
        """Wasserstein-2 distance of two laws in the same basis.

        ``W2^2 = |m - m'|^2 + sum (sd - sd')^2``, the differences of deviations without cancellation as
        ``(v - v') / (sd + sd')``.
        """
        total = np.sqrt(self.variance) + np.sqrt(other.variance)
        spread = (self.variance - other.variance) / np.where(total > 0, total, 1.0)
        return float(np.sqrt(((self.mean - other.mean) ** 2 + spread**2).sum()))

    def gaussian(self) -> tuple[Vector, Vector]:
        """Mean ``(d,)`` and covariance ``(d, d)`` in the original coordinates."""
        return self.vectors @ self.mean, (self.vectors * self.variance) @ self.vectors.T


def ula_affine(target: EigenLaw, *, step: float) -> Affine:
    """``x' = x - h (x - mu)/lambda + sqrt(2h) z`` in every eigen-direction."""
    h = positive(step, "step")
    pull = h / target.variance
    return Affine(1 - pull, pull * target.mean, np.full_like(pull, 2 * h))


def ula_law(target: EigenLaw, start: EigenLaw, *, step: float, n_steps: int) -> EigenLaw:
    """Exact law of the unadjusted Langevin algorithm after ``n_steps``, started from ``start``."""
    law, move = start, ula_affine(target, step=step)
    for _ in range(n_steps):
        law = law.push(move)
    return law


def ula_stationary(target: EigenLaw, *, step: float) -> EigenLaw:
    """Stationary law of the chain: variance ``lambda / (1 - h / (2 lambda))``, mean that of the target.

    Raises:
        ValueError: ``h >= 2 min lambda``, where the chain diverges.
    """
    h = positive(step, "step")
    threshold = 2 * float(target.variance.min())
    if h >= threshold:
        raise bad("step", f"{h:g}", f"a step below {threshold:g}", "the chain diverges beyond it")
    variance = target.variance / (1 - h / (2 * target.variance))
    return EigenLaw(target.mean, variance, target.vectors)


@dataclass(frozen=True)
class GaussianReverse:
    """The reverse-time steps of an SDE whose ``x_0`` is Gaussian, as affine maps.

    Attributes:
        target: law of ``x_0``.
        sde: the forward diffusion.
    """

    target: EigenLaw
    sde: LinearSDE

    def marginal(self, t: float) -> EigenLaw:
        """Exact law of ``x_t``."""
        kernel = self.sde.kernel(float(t))
        return self.target.diffuse(float(kernel.scale), float(kernel.variance))

    def flow(self, t: float, s: float) -> Affine:
        """Exact probability-flow map from t to s: ``m_s + sqrt(l_s / l_t) (x - m_t)``."""
        now, then = self.marginal(t), self.marginal(s)
        gain = np.sqrt(then.variance / now.variance)
        return Affine(gain, then.mean - gain * now.mean, 0 * gain)

    def euler_maruyama(self, t: float, s: float, *, eta: float = 1.0) -> Affine:
        """Euler-Maruyama on the reverse family; ``eta = 0`` is Euler on the probability flow."""
        h, g2 = t - s, self._g2(t)
        rate, offset = self._field(t, eta)
        return Affine(1 - h * rate, -h * offset, np.full_like(rate, eta**2 * g2 * h))

    def heun(self, t: float, s: float) -> Affine:
        """Heun's rule on the probability flow in the variable t."""
        h = t - s
        (r0, q0), (r1, q1) = self._field(t, 0.0), self._field(s, 0.0)
        gain = 1 - h / 2 * (r0 + r1) + h**2 / 2 * r0 * r1
        return Affine(gain, -h / 2 * (q0 + q1) + h**2 / 2 * r1 * q0, 0 * gain)

    def rk4(self, t: float, s: float) -> Affine:
        """The classical Runge-Kutta rule on the probability flow in the variable t."""
        h, one = t - s, np.ones_like(self.target.mean)
        stage, slopes = (one, 0 * one), []
        for time, ahead in ((t, 0.5), ((t + s) / 2, 0.5), ((t + s) / 2, 1.0), (s, 0.0)):
            r, q = self._field(time, 0.0)
            slopes.append((r * stage[0], r * stage[1] + q))
            stage = (one - ahead * h * slopes[-1][0], -ahead * h * slopes[-1][1])
        sums = [h / 6 * (a + 2 * b + 2 * c + d) for a, b, c, d in zip(*slopes, strict=True)]
        return Affine(1 - sums[0], -sums[1], 0 * one)

    def ancestral(self, t: float, s: float, *, forward_variance: bool = False) -> Affine:
        """The DDPM step: Bayes' rule for ``x_s`` given ``x_t`` and ``x_0 = E[x_0 | x_t]``, by precisions."""
        (a, v), (alpha, var) = self._pair(t, s)
        slope, offset = self._denoiser(t)
        if var == 0:
            return Affine(alpha * slope, alpha * offset, 0 * slope)
        precision = 1 / var + a**2 / v
        gain = (alpha / var * slope + a / v) / precision
        spread = v if forward_variance else 1 / precision
        return Affine(gain, alpha / var * offset / precision, np.full_like(gain, spread))

    def ddim(self, t: float, s: float, *, eta: float = 0.0) -> Affine:
        """``x_s = alpha_s x0 + sqrt(var_s - c^2) eps + c z`` with ``c = eta`` times the posterior deviation."""
        (a, v), (alpha, var) = self._pair(t, s)
        slope, offset = self._denoiser(t)
        now = self.sde.kernel(t)
        posterior = 0.0 if var == 0 else 1 / (1 / var + a**2 / v)
        ratio = np.sqrt((var - eta**2 * posterior) / float(now.variance))
        rest = alpha - ratio * float(now.scale)
        noise = np.full_like(slope, eta**2 * posterior)
        return Affine(rest * slope + ratio, rest * offset, noise)

    def heun_sigma(self, t: float, s: float) -> Affine:
        """Heun's rule on ``d u / d kappa = (u - x0) / kappa``, ``u = x / alpha``, ``kappa = sd / alpha``."""
        now, then = self.sde.kernel(t), self.sde.kernel(s)
        k0, k1 = float(now.std / now.scale), float(then.std / then.scale)
        (d0, o0), (d1, o1) = self._denoiser(t), self._denoiser(s)
        r0, q0 = (1 - d0 * float(now.scale)) / k0, -o0 / k0
        h = k1 - k0
        gain, shift = 1 + h * r0, h * q0
        if k1 > 0:
            r1, q1 = (1 - d1 * float(then.scale)) / k1, -o1 / k1
            gain, shift = (
                1 + h / 2 * (r0 + r1 * gain),
                h / 2 * (q0 + r1 * shift + q1),
            )
        alpha = float(then.scale)
        return Affine(gain * alpha / float(now.scale), shift * alpha, 0 * gain)

    def _g2(self, t: float) -> float:
        return float(self.sde.diffusion(t)) ** 2

    def _field(self, t: float, eta: float) -> tuple[Vector, Vector]:
        """The reverse drift ``f x - (1 + eta^2)/2 g^2 score`` as ``(slope, offset)``."""
        law = self.marginal(t)
        pull = (1 + eta**2) / 2 * self._g2(t) / law.variance
        return float(self.sde.drift(t)) + pull, -pull * law.mean

    def _denoiser(self, t: float) -> tuple[Vector, Vector]:
        """``E[x_0 | x_t]`` as ``(slope, offset)``, by conjugacy."""
        alpha = float(self.sde.kernel(t).scale)
        slope = alpha * self.target.variance / self.marginal(t).variance
        return slope, self.target.mean * (1 - slope * alpha)

    def _pair(self, t: float, s: float) -> tuple[tuple[float, float], tuple[float, float]]:
        step, then = self.sde.kernel(t, s), self.sde.kernel(s)
        return (float(step.scale), float(step.variance)), (float(then.scale), float(then.variance))


def run(start: EigenLaw, step: Any, times: Vector) -> EigenLaw:
    """The law after the steps ``step(t, s)`` over consecutive decreasing times.

    Args:
        start: law at ``times[0]``.
        step: ``(t, s) -> Affine``, e.g. a method of :class:`GaussianReverse`.
        times: decreasing, ``(N + 1,)``.
    """
    law = start
    for t, s in pairwise(times):
        law = law.push(step(float(t), float(s)))
    return law
