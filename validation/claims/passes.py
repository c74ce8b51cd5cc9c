"""Ledger, what a loss costs: O20, passes counted, not timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from ...numerics.divergence import exact_divergence
from ...numerics.objectives_denoising import DSM
from ...numerics.score_models import ScoreModel
from ...theory.mixtures import Gaussian
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from ..report.pictures import listed
from .tools import EPS, agreement, named, number

DIMS = (1, 2, 5, 16, 64)


class _Counted:
    """``s(x) = tanh(A x)`` with a count of values, forward products and backward passes."""

    def __init__(self, dim: int) -> None:
        rng = np.random.default_rng(dim)
        self.matrix = rng.standard_normal((dim, dim)) / np.sqrt(dim)
        self.values = self.products = self.backward = 0

    def value(self, x: Vector) -> Vector:
        self.values += 1
        return np.tanh(x @ self.matrix.T)

    def jvp(self, x: Vector, v: Vector) -> Vector:
        self.products += 1
        return (v @ self.matrix.T) / np.cosh(x @ self.matrix.T) ** 2

    def tensor(self, y: Any) -> Any:
        """The field on tensors; every backward pass through it is counted."""
        import torch

        counter = self

        class Pass(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, z: Any) -> Any:
                return z.clone()

            @staticmethod
            def backward(ctx: Any, grad: Any) -> Any:
                counter.backward += 1
                return grad

        return torch.tanh(Pass.apply(y) @ torch.as_tensor(self.matrix).T)


@cache
def implicit_passes(dim: int) -> int:
    """Backward passes of reverse-mode differentiation for ``tr grad s`` at a batch of points."""
    from .derivatives import divergence

    field = _Counted(dim)
    x = np.random.default_rng(1).standard_normal((4, dim))
    found = divergence(field.tensor, x)
    truth = ((1 - field.value(x) ** 2) * np.diag(field.matrix)).sum(1)
    if not np.allclose(found, truth, rtol=1e-10, atol=1e-12):
        raise ArithmeticError("the counted passes do not give the trace")
    return field.backward


@cache
def implicit_products(dim: int) -> int:
    """Products with the Jacobian that the library's exact divergence takes."""
    field = _Counted(dim)
    x = np.random.default_rng(1).standard_normal((4, dim))
    exact_divergence(ScoreModel(field.value, None, field.jvp), x)
    return field.products


@cache
def denoising_passes(dim: int) -> int:
    """Passes of the denoising loss of a batch: values, products, and the backward pass of its gradient."""
    import torch

    field = _Counted(dim)
    law = Gaussian(np.zeros(dim), np.eye(dim))
    x0, eps = np.random.default_rng(2).standard_normal((2, 4, dim))
    loss = DSM(law, 1.0, 0.25, factor=1.0)
    loss.terms(ScoreModel(field.value, None, field.jvp), x0, eps)
    y = torch.tensor(x0 + 0.5 * eps, requires_grad=True)
    ((field.tensor(y) + torch.as_tensor(eps) / 0.5) ** 2).sum().backward()
    return field.values + field.products + field.backward


def _per_dimension(passes: Callable[[int], int], what: str) -> Check:
    """``passes / D``, which is one at every D: both ends of its range."""

    def check(ctx: Context) -> Evidence:
        counts = [passes(d) for d in DIMS]
        ratios = np.array(counts) / np.array(DIMS)
        return agreement(
            ratios,
            np.ones(len(DIMS)),
            bound=0.0,
            tolerance=1e-9,
            message=f"{what} for D = {', '.join(map(str, DIMS))}: {', '.join(map(str, counts))}",
        )

    return check


def _constant(passes: Callable[[int], int], what: str) -> Check:
    """Largest over smallest number of passes."""

    def check(ctx: Context) -> Evidence:
        counts = [passes(d) for d in DIMS]
        return number(
            max(counts) / min(counts),
            error=0.0,
            allowed=(1.0, 1.0),
            n=len(DIMS),
            message=f"{what} for D = {', '.join(map(str, DIMS))}: {', '.join(map(str, counts))}",
        )

    return check


def _needed(missing: int, honest: bool = True) -> Check:
    """Traces that ``D - missing`` products leave open: two matrices with the same products, traces one apart."""

    def check(ctx: Context) -> Evidence:
        rng = np.random.default_rng(6)
        gaps = []
        for dim in DIMS:
            matrix = rng.standard_normal((dim, dim))
            probes = rng.standard_normal((dim, dim - missing))
            # a unit vector that no probe sees, from the full basis of the probes' span
            basis = np.linalg.svd(probes, full_matrices=True)[0]
            blind = basis[:, -1]
            other = matrix + np.outer(blind, blind if honest else np.roll(blind, 1))
            seen = np.abs((other - matrix) @ probes).max(initial=0.0)
            # what is seen would give the second matrix away
            gaps.append(float(np.trace(other - matrix)) - float(seen))
        return number(
            min(gaps),
            error=1024 * EPS,
            allowed=(0.5, 1.5),
            n=len(DIMS),
            message=f"two fields with the same D - {missing} products and traces {min(gaps):.3g} apart, D up to "
            f"{max(DIMS)}",
        )

    return check


def _counts_drawn(ctx: Context) -> Mapping[str, Any]:
    return {
        "kind": "lines",
        "title": "Passes through the network for the loss of one batch",
        "alt": "The implicit loss takes as many backward passes as there are dimensions, the denoising one a constant",
        "xlabel": "D",
        "xscale": "log",
        "yscale": "log",
        "series": [
            {
                "label": name,
                "x": listed(np.array(DIMS)),
                "y": listed(np.array([f(d) for d in DIMS])),
                "style": "line+points",
            }
            for name, f in (
                ("implicit, exact trace", implicit_passes),
                ("denoising", denoising_passes),
            )
        ],
    }


def _differences(dim: int) -> int:
    """Values that differences take for the same trace."""
    field = _Counted(dim)
    exact_divergence(ScoreModel(field.value), np.zeros((1, dim)) + 0.3)
    return field.values


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "O20",
        "exact implicit score matching costs $D$ backward passes, denoising score matching a constant number",
        checks={
            "implicit": _per_dimension(implicit_passes, "backward passes for the trace"),
            "products": _per_dimension(implicit_products, "forward products for the trace"),
            "denoising": _constant(denoising_passes, "passes for the denoising loss and gradient"),
            "needed": _needed(1),
        },
        mutants={
            "implicit": [
                named(_per_dimension(lambda d: 1, "passes of one random probe"), "one-probe"),
                named(_per_dimension(_differences, "values for differences"), "differences"),
            ],
            "products": [
                named(_per_dimension(denoising_passes, "passes for denoising"), "denoising")
            ],
            "denoising": [
                named(_constant(implicit_passes, "backward passes for the trace"), "implicit")
            ],
            "needed": [
                named(_needed(0), "one-probe-more"),
                named(_needed(1, honest=False), "trace-not-changed"),
            ],
        },
        source=("000",),
        assumptions=(
            "passes through the network for the loss of one batch, counted; the implicit loss without its gradient "
            "in the parameters, which takes one more pass through all of it",
            f"a network without known structure, D from {DIMS[0]} to {DIMS[-1]}",
        ),
        finding=lambda e: (
            f"{e['implicit'].message}; {e['denoising'].message}. D products are also needed: if n is a unit "
            "vector orthogonal to D - 1 probes, then A and A + n n' have the same products and traces one apart "
            f"(measured {e['needed'].value:.6g}); fewer give an unbiased estimate only, by random probes."
        ),
        figure=_counts_drawn,
        role="printed",
        group="ledger",
    ),
)
