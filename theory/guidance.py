"""Guidance: class-conditional mixtures, their classifier at every noise level, and the guided fields.

With ``p = sum_y pi_y p(.|y)`` and the noising kernel independent of y, the class stays attached to the point:

* ``p_t = sum_y pi_y p_t(.|y)``, and the classifier of noisy points is ``p(y|x_t) = pi_y p_t(x_t|y) / p_t(x_t)``;
* ``grad log p(y|x_t) = grad log p_t(x_t|y) - grad log p_t(x_t) = sum_j p(j|x_t) [s_y - s_j]``;
* classifier guidance ``s + w grad log p(y|x_t)`` and classifier-free guidance ``(1 - w) s + w s_y`` are one field.

For w other than 0 and 1 this field is not the score of any diffused law: at t = 0 it is the score of the tilted law
``p(x) p(y|x)^w / Z``, but the noised tilted law has ``s + grad log E[p(y|x_0)^w | x_t]`` instead.

Reference:
    Dhariwal and Nichol 2021, Sec. 4; Ho and Salimans 2022, Eq. 6 (their weight is w - 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ._checks import bad, parameter, positive, simplex
from .arrays import as_points, like, logsumexp, namespace, softmax, uniforms_and_normals
from .mixtures import Gaussian, GaussianMixture
from .protocols import Array, Diffusible, Vector


class ClassMixture:
    """``p(x) = sum_y pi_y p(x|y)`` with a Gaussian mixture for each class.

    It is a law with closed diffusion: :meth:`diffuse` noises every class.

    Args:
        probabilities: ``pi``, ``(Y,)``, positive, sum one.
        laws: ``p(.|y)``, one a class, all of one dimension.

    Raises:
        ValueError: probabilities off the simplex, or laws that are no mixtures of one dimension.
    """

    def __init__(self, probabilities: Any, laws: Sequence[GaussianMixture]) -> None:
        given = tuple(laws)
        wrong = [type(law).__name__ for law in given if not isinstance(law, GaussianMixture)]
        if wrong or not given:
            got = wrong[0] if wrong else "none"
            raise bad("laws", got, "a GaussianMixture for each class", "wrap single Gaussians too")
        dims = sorted({law.dim for law in given})
        if len(dims) > 1:
            raise bad("laws", f"dimensions {dims}", "one dimension", "check the class laws")
        self.probabilities = simplex(probabilities, "probabilities", len(given))
        self.laws = given

    @property
    def dim(self) -> int:
        """Dimension d."""
        return self.laws[0].dim

    @property
    def classes(self) -> int:
        """Number Y of classes."""
        return len(self.laws)

    def conditional(self, label: int) -> GaussianMixture:
        """``p(.|y)``.

        Raises:
            ValueError: a label that is not in ``0 .. Y-1``.
        """
        return self.laws[self._label(label)]

    @cached_property
    def mean(self) -> Vector:
        """``E x``, shape ``(d,)``."""
        return self.probabilities @ np.stack([law.mean for law in self.laws])

    @cached_property
    def covariance(self) -> Vector:
        """``Cov x``, shape ``(d, d)``, by the law of total covariance."""
        off = np.stack([law.mean for law in self.laws]) - self.mean
        within = np.stack([law.covariance for law in self.laws])
        return np.tensordot(self.probabilities, within + off[:, :, None] * off[:, None, :], axes=1)

    def diffuse(self, scale: float, variance: float) -> ClassMixture:
        """Law of ``(scale x + sqrt(variance) z, y)``.

        Raises:
            ValueError: a negative variance, numbers that are not finite, or both zero.
        """
        return ClassMixture(
            self.probabilities, [law.diffuse(scale, variance) for law in self.laws]
        )

    def log_prob(self, x: Array) -> Array:
        """``log p(x)``, shape ``(...)``."""
        return logsumexp(self._log_joint(x))

    def log_classifier(self, x: Array) -> Array:
        """``log p(y|x)`` of every class, shape ``(..., Y)``."""
        joint = self._log_joint(x)
        return joint - logsumexp(joint)[..., None]

    def score(self, x: Array) -> Array:
        """``grad log p = sum_y p(y|x) s_y``, shape ``(..., d)``."""
        r, scores = self._parts(x)
        return namespace(r).sum(r[..., None] * scores, axis=-2)

    def classifier_score(self, x: Array, label: int) -> Array:
        """``grad log p(y|x) = sum_j p(j|x) (s_y - s_j)``, shape ``(..., d)``; zero where y is certain."""
        y = self._label(label)
        r, scores = self._parts(x)
        return namespace(r).sum(r[..., None] * (scores[..., y : y + 1, :] - scores), axis=-2)

    def hessian(self, x: Array) -> Array:
        """``sum_y p(y|x) [H_y + (s_y - s)(s_y - s)']``, shape ``(..., d, d)``."""
        xp, (r, off) = namespace(x), self._spread(x)
        inner = xp.stack([law.hessian(x) for law in self.laws], axis=-3)
        outer = off[..., :, None] * off[..., None, :]
        return xp.sum(r[..., None, None] * (inner + outer), axis=-3)

    def divergence(self, x: Array) -> Array:
        """Trace of :meth:`hessian`, shape ``(...)``."""
        xp, (r, off) = namespace(x), self._spread(x)
        inner = xp.stack([law.divergence(x) for law in self.laws], axis=-1)
        return xp.sum(r * (inner + xp.sum(off * off, axis=-1)), axis=-1)

    def guided(self, label: int, weight: float) -> Guided:
        """The field ``s + w grad log p(y|x)``, at every noise level."""
        return Guided(self, self.conditional(label), weight)

    def log_tilted(self, x: Array, label: int, weight: float) -> Array:
        """``log p(x) + w log p(y|x)``, the tilted law up to its constant, shape ``(...)``."""
        y, w = self._label(label), float(parameter(weight, "weight", 0))
        joint = self._log_joint(x)
        return (1 - w) * logsumexp(joint) + w * joint[..., y]

    def transport(self, u: Array, z: Array) -> Array:
        """Exact draws of x: ``u`` picks the class, what is left of it the component, see :class:`Transportable`."""
        xp = uniforms_and_normals(u, z, self.dim)
        out, start = z * 0, 0.0
        for pi, law in zip(self.probabilities.tolist(), self.laws, strict=True):
            inside = (u >= start) & (u < start + pi)
            rest = xp.where(inside, (u - start) / pi, u * 0 + 0.5)
            out = xp.where(inside[..., None], law.transport(rest, z), out)
            start += pi
        # The sum of the probabilities may round to less than one.
        last = (u >= start)[..., None]
        return xp.where(last, self.laws[-1].transport(u * 0 + 0.5, z), out)

    def _label(self, label: int) -> int:
        if isinstance(label, bool) or not isinstance(label, int | np.integer):
            raise bad("label", repr(label)[:40], "an integer", "labels count from 0")
        if not 0 <= label < self.classes:
            raise bad("label", label, f"0 .. {self.classes - 1}", "labels count from 0")
        return int(label)

    def _log_joint(self, x: Array) -> Array:
        y = as_points(x, self.dim)
        logs = [
            law.log_prob(y) + math.log(pi)
            for pi, law in zip(self.probabilities.tolist(), self.laws, strict=True)
        ]
        return namespace(y).stack(logs, axis=-1)

    def _parts(self, x: Array) -> tuple[Array, Array]:
        """``p(y|x)`` ``(..., Y)`` and ``s_y`` ``(..., Y, d)``."""
        scores = namespace(x).stack([law.score(x) for law in self.laws], axis=-2)
        return softmax(self._log_joint(x)), scores

    def _spread(self, x: Array) -> tuple[Array, Array]:
        r, scores = self._parts(x)
        mean = namespace(x).sum(r[..., None] * scores, axis=-2)
        return r, scores - mean[..., None, :]

    def __repr__(self) -> str:
        return f"ClassMixture(classes={self.classes}, dim={self.dim})"


class Guided:
    """``(1 - w) grad log p + w grad log p(.|y)``, the guided field at every noise level.

    It diffuses like a law, so that ``reverse_drift(guided, sde)`` and ``probability_flow(guided, sde)`` are the
    processes that a guided sampler discretises.

    Args:
        law: p, with closed diffusion.
        conditional: ``p(.|y)``, likewise.
        weight: w; 0 is unconditional, 1 conditional.

    Raises:
        ValueError: laws without closed diffusion or of different dimension, or a weight that is not finite.
    """

    def __init__(self, law: Any, conditional: Any, weight: float) -> None:
        for argument, p in (("law", law), ("conditional", conditional)):
            if not isinstance(p, Diffusible):
                raise bad(
                    argument, type(p).__name__, "a law with closed diffusion", "use a mixture"
                )
        if law.dim != conditional.dim:
            raise bad("conditional", f"dimension {conditional.dim}", f"{law.dim}", "match the law")
        self.law, self.conditional = law, conditional
        self.weight = float(parameter(weight, "weight", 0))

    @property
    def dim(self) -> int:
        """Dimension d."""
        return self.law.dim

    def score(self, x: Array) -> Array:
        """The field, shape ``(..., d)``."""
        return (1 - self.weight) * self.law.score(x) + self.weight * self.conditional.score(x)

    def diffuse(self, scale: float, variance: float) -> Any:
        """The guided field of the noised laws."""
        noised = self.law.diffuse(scale, variance), self.conditional.diffuse(scale, variance)
        return Guided(*noised, self.weight)

    def __repr__(self) -> str:
        return f"Guided({self.law!r}, weight={self.weight:g})"


class GaussianObservation:
    """``x ~ N(mu, Sigma)`` observed as ``y = x + sqrt(r) z``: guidance where everything is Gaussian.

    Along an eigendirection of variance S the conditional variance is ``C = S r/(S + r)``; the tilted law has
    variance ``1/((1 - w)/S + w/C)``, while the probability flow of the guided field, run from a diffused law that
    has forgotten S and C, returns ``S^(1-w) C^w``.

    Args:
        law: ``N(mu, Sigma)``.
        value: y, ``(d,)``.
        noise: r.

    Raises:
        ValueError: a law that is not one Gaussian, a value of another length, or noise that is not positive.
    """

    def __init__(self, law: GaussianMixture, value: Any, noise: float) -> None:
        if not isinstance(law, GaussianMixture) or law.components != 1:
            raise bad("law", repr(law)[:60], "one Gaussian", "use ClassMixture for mixtures")
        self.law, self.noise = law, positive(noise, "noise")
        self.value = parameter(value, "value", 1)
        if self.value.shape[0] != law.dim:
            raise bad("value", f"shape {self.value.shape}", f"({law.dim},)", "match the law")

    def tilted(self, weight: float) -> Gaussian:
        """``p(x) p(y|x)^w / Z``; ``weight = 1`` is the conditional law.

        Raises:
            ValueError: a weight so negative that there is no such law.
        """
        w = float(parameter(weight, "weight", 0))
        values, vectors = np.linalg.eigh(self.law.covariances[0])
        if not (self.noise + w * values > 0).all():
            least = f"more than {-self.noise / values.max():.4g}"
            raise bad("weight", f"{w:g}", least, "the tilted density does not decay")
        mean = self.law.means[0]
        pulled = vectors @ (
            w * values / (self.noise + w * values) * (vectors.T @ (self.value - mean))
        )
        spread = values * self.noise / (self.noise + w * values)
        return Gaussian(mean + pulled, (vectors * spread) @ vectors.T)

    def log_likelihood(self, x: Array) -> Array:
        """``log p(y|x)``, shape ``(...)``."""
        y = as_points(x, self.law.dim)
        off = y - like(self.value, y)
        constant = 0.5 * self.law.dim * math.log(2 * math.pi * self.noise)
        return -0.5 * namespace(y).sum(off * off, axis=-1) / self.noise - constant

    def guided(self, weight: float) -> Guided:
        """The field ``s + w grad log p(y|x)``, at every noise level."""
        return Guided(self.law, self.tilted(1.0), weight)

    def __repr__(self) -> str:
        return f"GaussianObservation({self.law!r}, noise={self.noise:g})"
