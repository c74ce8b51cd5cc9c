"""Problems with a defect of known size: a score that errs, numbers that are rounded at every call of the model."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np

from ...theory.arrays import is_torch_array, namespace
from ...theory.protocols import Array
from .._problem_fields import Field
from ..problems import Problem

Rounding = Literal["float32", "bfloat16"]
#: ``(x (n, *shape), t) -> error of the score``, like x
ScoreError = Callable[[Array, float], Array]
Share = Callable[[float], float]  #: ``t -> eps``: the score is multiplied by ``1 + eps``


class Erring(Problem):
    """A problem whose score is ``score + error``; denoiser, noise and velocity are those of that score."""

    _error: Callable[[Any, Array, float], Array]

    @classmethod
    def scaled(cls, problem: Problem, share: Share) -> Self:
        """The score times ``1 + share(t)``."""
        return cls._of(problem, lambda p, x, t: float(share(t)) * p.score(x))

    @classmethod
    def added(cls, problem: Problem, error: ScoreError) -> Self:
        """The score plus ``error(x, t)``."""

        def flat(p: Any, x: Array, t: float) -> Array:
            xp = namespace(x)
            return xp.reshape(error(xp.reshape(x, (-1, *problem.shape)), t), x.shape)

        return cls._of(problem, flat)

    @classmethod
    def _of(cls, problem: Problem, error: Callable[[Any, Array, float], Array]) -> Self:
        erring: Any = copy.copy(problem.fresh())
        erring.__class__ = cls
        erring._error = error
        return erring

    def _field(self, field: Field, x: Array, t: Array) -> Array:
        def value(p: Any, y: Array, sde: Any, time: float) -> Array:
            _, pull = field.parts(p, sde, time)
            return field.value(p, y, sde, time) + pull * self._error(p, y, time)

        return super()._field(Field(value, field.parts), x, t)


class Rounded(Problem):
    """A problem whose starting points, arguments and answers are rounded to fewer bits."""

    _inner: Problem
    _round: Callable[[Array], Array]

    @classmethod
    def of(cls, problem: Problem, dtype: Rounding) -> Self:
        """``problem`` through a model in ``dtype``."""
        rounded: Any = copy.copy(problem.fresh())
        rounded.__class__ = cls
        rounded._inner, rounded._round = problem.fresh(), lambda x: rounded_to(x, dtype)
        return rounded

    def prior(self, n: int, *, rng: Any) -> Array:
        """Starting points, rounded."""
        return self._round(self._inner.prior(n, rng=rng))

    def _field(self, field: Field, x: Array, t: Array) -> Array:
        self.evaluations += 1
        return self._round(self._inner._field(field, self._round(x), t))


def rounded_to(x: Array, dtype: Rounding) -> Array:
    """``x`` rounded to float32 or bfloat16, ties to even, in its own dtype."""
    if is_torch_array(x):
        import torch

        return x.to(getattr(torch, dtype)).to(x.dtype)
    single = np.asarray(x, dtype=np.float32)
    if dtype == "bfloat16":
        bits = single.view(np.uint32)
        # Half of the last kept bit, and one less where that bit is even: ties go to even.
        kept = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(
            0xFFFF0000
        )
        single = np.where(np.isfinite(single), kept.view(np.float32), single)
    return single.astype(np.asarray(x).dtype)
