"""Score-matching objectives behind one interface: explicit, implicit, sliced and denoising.

An :class:`Objective` says how its draws are distributed, what one draw contributes, and which functions
of a draw have a known mean. Estimation with control variates and quadrature follow from that.

With ``factor`` c (one half unless given): ``ESM = c E|s - grad log p|^2``, ``ISM = c E[|s|^2 + 2 tr grad s]``,
``DSM = c E|s(x_t) - grad log q(x_t | x_0)|^2``; for smooth decaying densities

    ESM = ISM + c E|grad log p|^2,     DSM = ESM(q_t) + c E tr Cov[grad log q(x_t | x_0) | x_t].

References:
    Hyvaerinen 2005 (ISM), Song, Garg, Shi, Ermon 2019 (SSM), Vincent 2011 (DSM).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Vector
from .control_variates import Part, controlled_sum
from .divergence import Divergence, ProbeLaw, directional, exact_divergence, probes
from .estimate import Estimate, quadrature_estimate
from .features import (
    Features,
    default_features,
    products,
)
from .proposals import Sampling, law_sampling
from .score_models import as_model

MOST_FEATURES = 500  #: members of the largest family of features


class Objective(ABC):
    """What all objectives share: a sum of expectations of terms."""

    @abstractmethod
    def parts(self, score: Any, *, control_variates: bool = True) -> list[Part]:
        """The expectations that add up to the objective of ``score``."""

    @abstractmethod
    def quadrature(self, score: Any) -> Estimate:
        """The objective of ``score`` by deterministic quadrature, in one and two dimensions.

        Raises:
            ValueError: more than two dimensions.
        """

    def estimate(
        self,
        score: Any,
        *,
        n: int,
        rng: np.random.Generator,
        level: float,
        control_variates: bool = True,
    ) -> Estimate:
        """The objective of ``score`` by Monte Carlo.

        Args:
            score: ``(n, d) -> (n, d)``, a :class:`ScoreModel`, or a law (multi-level objectives give
                the level or the time as second argument).
            n: draws in all (a quarter of them fits the control variates).
            rng: generator.
            level: false-alarm rate of the interval.
            control_variates: False for plain Monte Carlo.
        """
        parts = self.parts(score, control_variates=control_variates)
        return controlled_sum(parts, n=n, rng=rng, level=level)


class SingleObjective(Objective):
    """An objective that is one expectation.

    Subclasses provide :attr:`sampling`, :attr:`key`, :meth:`features` and :meth:`contributions`.
    """

    @property
    @abstractmethod
    def sampling(self) -> Sampling:
        """Law of the arrays that one term needs."""

    @property
    @abstractmethod
    def key(self) -> tuple[Any, ...]:
        """What each array of a draw is: objectives with the same key can share draws."""

    @abstractmethod
    def features(self) -> list[Features]:
        """Families of functions of a draw with known mean, from small to large."""

    @abstractmethod
    def contributions(self, score: Any, *draws: Vector) -> tuple[Vector, Vector]:
        """Terms ``(n,)`` and bounds on their numerical error ``(n,)``."""

    def sample(self, n: int, *, rng: np.random.Generator) -> tuple[Vector, ...]:
        """``n`` independent rows of the arrays that :meth:`terms` takes."""
        return self.sampling.draw(n, rng)

    def terms(self, score: Any, *draws: Vector) -> Vector:
        """What each row contributes, ``(n,)``; the objective is its mean."""
        return self.contributions(score, *draws)[0]

    def parts(self, score: Any, *, control_variates: bool = True) -> list[Part]:
        """One part: the terms."""
        families = self.features() if control_variates else []
        return [Part(lambda *draws: self.contributions(score, *draws), self.sampling, families)]


@dataclass(frozen=True)
class _OfLaw(SingleObjective):
    """Objectives whose draws are ``x ~ law``, perhaps beside a probe vector."""

    law: Any
    factor: float = 0.5

    @cached_property
    def _families(self) -> list[Features]:
        return default_features(self.law, most=MOST_FEATURES)

    @property
    def sampling(self) -> Sampling:
        """Rows ``(x,)``."""
        return law_sampling(self.law)

    @property
    def key(self) -> tuple[Any, ...]:
        """The law of x."""
        return (("law", id(self.law)),)

    def features(self) -> list[Features]:
        """See :func:`default_features`."""
        return self._families

    def quadrature(self, score: Any) -> Estimate:
        """See :meth:`Objective.quadrature`."""
        return integrate(lambda x: self.contributions(score, x), self.law)


@dataclass(frozen=True)
class ESM(_OfLaw):
    """``c E_p |s - grad log p|^2``.

    Attributes:
        law: p.
        factor: c.
    """

    def contributions(self, score: Any, *draws: Vector) -> tuple[Vector, Vector]:
        """``c |s(x) - grad log p(x)|^2``."""
        (x,) = draws
        off = as_model(score)(x) - np.asarray(self.law.score(x))
        return self.factor * np.sum(off * off, axis=1), np.zeros(len(x))


@dataclass(frozen=True)
class _Probed(_OfLaw):
    """Objectives of ``x ~ law`` and an independent probe ``v``."""

    probe: ProbeLaw = "rademacher"

    @property
    def sampling(self) -> Sampling:
        """Rows ``(x, v)``."""
        d = self.law.dim
        alone = law_sampling(self.law)
        if alone.wide is None or alone.log_ratio is None:
            return Sampling(
                lambda n, g: (*alone.draw(n, g), probes(self.probe, n, d, g)), arrays=2
            )
        wide, ratio = alone.wide, alone.log_ratio
        return Sampling(
            lambda n, g: (*alone.draw(n, g), probes(self.probe, n, d, g)),
            lambda n, g: (*wide(n, g), probes(self.probe, n, d, g)),
            lambda x, v: ratio(x),
            arrays=2,
        )

    @property
    def key(self) -> tuple[Any, ...]:
        """The laws of x and of v."""
        return (("law", id(self.law)), ("probe", self.probe))

    def features(self) -> list[Features]:
        """Features of x, and their products with ``v_i v_j - E v_i v_j`` where the law of v is known."""
        alone = [f.of(0) for f in self._families]
        if callable(self.probe):
            return alone
        d = self.law.dim
        rows, cols = np.triu_indices(d, 1 if self.probe == "rademacher" else 0)
        if len(rows) == 0:
            return alone
        known = (rows == cols) / (d if self.probe == "sphere" else 1.0)
        pairs = Features(lambda v: v[:, rows] * v[:, cols] - known, len(rows), "probe pairs").of(1)
        found = [*alone[:2], *alone[-2:], *(f + pairs for f in alone[-2:])]
        found += [products(f, pairs) for f in alone if f.error is None]
        return sorted((f for f in found if f.size <= MOST_FEATURES), key=lambda f: f.size)

    def quadrature(self, score: Any) -> Estimate:
        """See :meth:`Objective.quadrature`."""
        d = self.law.dim
        if callable(self.probe) or d > 2:
            raise bad("probe", repr(self.probe), "a named law, d <= 2", "use estimate")
        # Quadratic in v: four corners of the cube are exact for every law with E v v' = I.
        corners = np.array(np.meshgrid(*[[-1.0, 1.0]] * d)).reshape(d, -1).T
        corners = corners / (math.sqrt(d) if self.probe == "sphere" else 1.0)

        def mean(x: Vector) -> tuple[Vector, Vector]:
            found = [self.contributions(score, x, np.broadcast_to(v, x.shape)) for v in corners]
            return (
                np.mean([f[0] for f in found], axis=0),
                np.mean([f[1] for f in found], axis=0),
            )

        return integrate(mean, self.law)


@dataclass(frozen=True)
class ISM(_OfLaw):
    """``c E_p [|s|^2 + trace * tr grad s]``; integration by parts wants ``trace = 2``.

    Attributes:
        law: p.
        factor: c.
        trace: weight of the divergence beside ``|s|^2``.
        divergence: ``exact`` (declared, or by differences with an error estimate) or ``hutchinson``.
        probe: law of the probe of ``hutchinson``.
    """

    trace: float = 2.0
    divergence: Literal["exact", "hutchinson"] = "exact"
    probe: ProbeLaw = "rademacher"

    @property
    def sampling(self) -> Sampling:
        """Rows ``(x,)``, or ``(x, v)`` for Hutchinson's divergence."""
        return super().sampling if self.divergence == "exact" else self._probed.sampling

    @property
    def key(self) -> tuple[Any, ...]:
        """The law of x, and of v if there is one."""
        return super().key if self.divergence == "exact" else self._probed.key

    def features(self) -> list[Features]:
        """Of x, and of the probe if there is one."""
        return super().features() if self.divergence == "exact" else self._probed.features()

    def contributions(self, score: Any, *draws: Vector) -> tuple[Vector, Vector]:
        """``c [|s(x)|^2 + trace * tr grad s(x)]``, the trace perhaps by ``v' (grad s) v``."""
        model, x = as_model(score), draws[0]
        s = model(x)
        if self.divergence == "exact":
            found = exact_divergence(model, x)
        else:
            value, error = directional(model, x, draws[1])
            found = Divergence(
                np.sum(draws[1] * value, axis=1), np.sum(np.abs(draws[1]) * error, axis=1), 1
            )
        weight = self.factor * self.trace
        return self.factor * np.sum(s * s, axis=1) + weight * found.value, abs(
            weight
        ) * found.error

    def quadrature(self, score: Any) -> Estimate:
        """See :meth:`Objective.quadrature`."""
        if self.divergence == "exact":
            return super().quadrature(score)
        return replace(self, divergence="exact").quadrature(score)

    @property
    def _probed(self) -> SSM:
        return SSM(self.law, factor=self.factor, probe=self.probe)


@dataclass(frozen=True)
class SSM(_Probed):
    """Sliced: ``c E [2 v' (grad s) v + (v's)^2]`` over ``x ~ p`` and independent probes v.

    Attributes:
        law: p.
        factor: c.
        probe: law of v.
        reduced: ``|s|^2`` in the place of ``(v's)^2``: less variance, and it needs ``E v v' = I`` exactly.
    """

    reduced: bool = False

    def contributions(self, score: Any, *draws: Vector) -> tuple[Vector, Vector]:
        """``c [2 v' (grad s)(x) v + (v's(x))^2]``."""
        x, v = draws
        model = as_model(score)
        s = model(x)
        slope, error = directional(model, x, v)
        square = np.sum(s * s, axis=1) if self.reduced else np.sum(v * s, axis=1) ** 2
        value = self.factor * (2 * np.sum(v * slope, axis=1) + square)
        return value, 2 * self.factor * np.sum(np.abs(v) * error, axis=1)


def integrate(
    values: Callable[[Vector], tuple[Vector, Vector]], law: Any, *, tolerance: float = 1e-10
) -> Estimate:
    """``E_p f`` by quadrature, ``values(x) = (f(x), bound on its error)``; d <= 2.

    Args:
        values: ``(n, d) -> ((n,), (n,))``.
        law: p.
        tolerance: wanted error relative to ``E|f|``; the error reached is in the result.

    Raises:
        ValueError: more than two dimensions.
    """
    from .quadrature import expectation

    if law.dim > 2:
        raise bad("law", f"dimension {law.dim}", "dimension 1 or 2", "use estimate")
    found = expectation(lambda x: np.stack(values(x), axis=1), law, tolerance=tolerance)
    (value, bias), (error, bias_error) = found.value, found.error
    return quadrature_estimate(
        float(value), float(error + abs(bias) + bias_error), n=int(found.evaluations)
    )
