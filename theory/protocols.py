"""Shapes and conventions of the whole project, written once.

* A point is an array of shape ``(..., d)``; a law has ``dim == d`` and works on the last axis.
  One-dimensional laws take ``(..., 1)``.
* Time runs from data (``t = 0``) to noise (``t = t_max``).
* The score of ``p`` is ``s(x) = grad log p(x)``, shape ``(..., d)``; ``hessian`` is the Hessian of
  ``log p`` (the Jacobian of the score), shape ``(..., d, d)``; ``divergence`` is its trace,
  shape ``(...)``.
* Objectives carry the factor one half, ``J = 1/2 E|.|^2``, unless a claim prints another one.
* Parameters are held as numpy float64; results come in the library, dtype and device of ``x``.
* NaN in ``x`` propagates; NaN in a parameter is refused.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

Array = Any  #: an array of any library that the Python array API standard covers
Vector = np.ndarray[Any, np.dtype[np.float64]]


@runtime_checkable
class ScoreField(Protocol):
    """A vector field that stands for a score: ``score(x)`` of shape ``(..., d)``."""

    @property
    def dim(self) -> int:
        """Dimension d of the space."""
        ...

    def score(self, x: Array) -> Array:
        """``grad log p(x)``, shape ``(..., d)`` like ``x``."""
        ...


@runtime_checkable
class Distribution(ScoreField, Protocol):
    """A law with a density: log-density and its first two derivatives, and two moments."""

    @property
    def mean(self) -> Vector:
        """``E x``, shape ``(d,)``."""
        ...

    @property
    def covariance(self) -> Vector:
        """``Cov x``, shape ``(d, d)``."""
        ...

    def log_prob(self, x: Array) -> Array:
        """``log p(x)``, shape ``(...)``."""
        ...

    def hessian(self, x: Array) -> Array:
        """``grad grad log p(x)``, shape ``(..., d, d)``."""
        ...

    def divergence(self, x: Array) -> Array:
        """``tr grad grad log p(x)``, shape ``(...)``."""
        ...


@runtime_checkable
class Transportable(Protocol):
    """A law from which exact draws are a deterministic map of uniforms and normals."""

    def transport(self, u: Array, z: Array) -> Array:
        """Exact draws ``(n, d)`` from independent ``u ~ U(0, 1)`` ``(n,)``, ``z ~ N(0, I)`` ``(n, d)``."""
        ...


@runtime_checkable
class Diffusible(Protocol):
    """A law whose Gaussian perturbation is known in closed form."""

    def diffuse(self, scale: float, variance: float) -> Distribution:
        """Law of ``scale x + sqrt(variance) z`` with ``x ~ p`` and ``z ~ N(0, I)`` independent."""
        ...
