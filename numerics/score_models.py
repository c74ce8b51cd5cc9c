"""A score model as the objectives see it: a vector field, and whatever derivatives it declares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Vector


@dataclass(frozen=True)
class ScoreModel:
    """A vector field on numpy float64 with optional exact derivatives.

    Attributes:
        value: ``(n, d) -> (n, d)``.
        divergence: ``(n, d) -> (n,)``, trace of the Jacobian; None: found by differences.
        jvp: ``(x, v) -> (grad s)(x) v``, ``(n, d)``; None: found by differences.
    """

    value: Callable[[Vector], Vector]
    divergence: Callable[[Vector], Vector] | None = None
    jvp: Callable[[Vector, Vector], Vector] | None = None

    def __call__(self, x: Vector) -> Vector:
        """``s(x)``, shape and finiteness as the model gives them.

        Raises:
            ValueError: the shape of the result is not that of ``x``.
        """
        s = np.asarray(self.value(x), dtype=np.float64)
        if s.shape != x.shape:
            raise bad("score", f"shape {s.shape}", f"{x.shape}", "return one vector a point")
        return s


def as_model(score: Any) -> ScoreModel:
    """A :class:`ScoreModel` from a callable, or from a law with ``score``, ``divergence``, ``hessian``.

    Raises:
        ValueError: neither callable nor an object with a score.
    """
    if isinstance(score, ScoreModel):
        return score
    if hasattr(score, "score"):
        hessian = getattr(score, "hessian", None)
        product = None if hessian is None else _product(hessian)
        return ScoreModel(score.score, getattr(score, "divergence", None), product)
    if not callable(score):
        raise bad("score", type(score).__name__, "a function x -> s(x)", "pass a callable")
    value = cast(Callable[[Vector], Vector], score)
    return ScoreModel(value, getattr(score, "divergence", None), getattr(score, "jvp", None))


def _product(hessian: Callable[[Vector], Vector]) -> Callable[[Vector, Vector], Vector]:
    return lambda x, v: np.einsum("nij,nj->ni", hessian(x), v)


def torch_model(module: Any, *, dtype: Any = None, device: Any = None) -> ScoreModel:
    """A torch field ``(n, d) -> (n, d)`` as a model on numpy, with derivatives by autograd.

    Rows must not influence each other, which holds in eval mode.

    Args:
        module: a callable on tensors.
        dtype: of the tensors it gets; None: float64.
        device: of the tensors it gets; None: CPU.
    """
    import torch

    kind = torch.float64 if dtype is None else dtype

    def tensor(x: Vector) -> Any:
        return torch.tensor(x, dtype=kind, device=device)

    def value(x: Vector) -> Vector:
        with torch.no_grad():
            return module(tensor(x)).double().cpu().numpy()

    def divergence(x: Vector) -> Vector:
        with torch.enable_grad():
            y = tensor(x).requires_grad_(True)
            s = module(y)
            total = torch.zeros(len(x), dtype=torch.float64)
            for i in range(x.shape[1]):
                (g,) = torch.autograd.grad(s[:, i].sum(), y, retain_graph=True, allow_unused=True)
                if g is not None:
                    total += g[:, i].double().cpu()
        return total.numpy()

    def jvp(x: Vector, v: Vector) -> Vector:
        out = torch.func.jvp(module, (tensor(x),), (tensor(v),))[1]
        return out.detach().double().cpu().numpy()

    return ScoreModel(value, divergence, jvp)
