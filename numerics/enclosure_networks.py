"""Tanh networks on the line as exact functions: ``s = W_L tanh(... tanh(W_1 x + b_1) ...) + b_L``."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Vector
from .enclosure import exact, library, rational
from .enclosure_models import ExactScore, Growth
from .score_models import ScoreModel


class TanhScore(ExactScore):
    """A network of linear layers with tanh between them, from one number to one number.

    Args:
        weights: one matrix a layer, ``(out, in)``.
        biases: one vector a layer, ``(out,)``.

    Raises:
        ValueError: shapes that do not follow each other, or numbers that are not finite.
    """

    def __init__(self, weights: Sequence[Any], biases: Sequence[Any]) -> None:
        if len(weights) != len(biases) or not weights:
            got = f"{len(weights)} matrices, {len(biases)} vectors"
            raise bad("biases", got, "one a matrix, and a layer at least", "match the lengths")
        layers = []
        for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
            rows = [[rational(v, f"weights[{k}]") for v in row] for row in w]
            shift = [rational(v, f"biases[{k}]") for v in b]
            if len(rows) != len(shift) or len({len(row) for row in rows}) != 1:
                got = f"{len(rows)} rows, {len(shift)} biases"
                raise bad(f"weights[{k}]", got, "a full matrix with a bias a row", "correct it")
            layers.append((rows, shift))
        sizes = [1, *(len(rows) for rows, _ in layers)]
        inputs = [len(rows[0]) for rows, _ in layers]
        if inputs != sizes[:-1] or sizes[-1] != 1:
            got = " ".join(f"{n}->{m}" for n, m in zip(inputs, sizes[1:], strict=True))
            raise bad("weights", got, "layers from 1 to 1 that fit", "check the transposes")
        self.layers: tuple[tuple[list[list[Fraction]], list[Fraction]], ...] = tuple(layers)

    def value(self, z: Any, analytic: bool) -> Any:
        """See :class:`ExactScore`; poles of tanh give a ball that is not finite."""
        flint = library()
        h = flint.acb_mat([[z]])
        matrices = _matrices(self, flint.ctx.prec)
        for k, (w, b) in enumerate(matrices):
            h = w * h + b
            if k < len(matrices) - 1:
                h = flint.acb_mat([[a.tanh()] for a in h.entries()])
        return h[0, 0]

    def slope(self, z: Any, analytic: bool) -> Any:
        """Forward through the layers, beside the value."""
        return self.values(z, analytic)[1]

    def values(self, z: Any, analytic: bool) -> tuple[Any, Any]:
        """See :class:`ExactScore`."""
        flint = library()
        h, d = flint.acb_mat([[z]]), flint.acb_mat([[1]])
        matrices = _matrices(self, flint.ctx.prec)
        for k, (w, b) in enumerate(matrices):
            h, d = w * h + b, w * d
            if k < len(matrices) - 1:
                t = [a.tanh() for a in h.entries()]
                h = flint.acb_mat([[a] for a in t])
                pairs = zip(d.entries(), t, strict=True)
                d = flint.acb_mat([[u * (1 - a * a)] for u, a in pairs])
        return h[0, 0], d[0, 0]

    def growth(self, reach: int) -> Growth:
        """``|s| <= |b_L| + sum |W_L|`` (linear if there is one layer), ``|s'|`` below the product of the ``|W|``."""
        arb = library().arb
        rows, shift = self.layers[-1]
        last = [abs(shift[0]), sum(map(abs, rows[0]), Fraction(0))]
        value = last if len(self.layers) == 1 else [last[0] + last[1]]
        slope = [Fraction(1)]
        for matrix, _ in self.layers:
            slope = [
                sum((abs(v) * u for v, u in zip(row, slope, strict=True)), Fraction(0))
                for row in matrix
            ]
        return Growth([arb(exact(v)) for v in value], [arb(exact(slope[0]))])

    def floating(self) -> ScoreModel:
        """See :class:`ExactScore`."""
        layers = [
            (np.array(rows, dtype=np.float64), np.array(shift, dtype=np.float64))
            for rows, shift in self.layers
        ]

        def both(x: Vector) -> tuple[Vector, Vector]:
            h, d = x, np.ones_like(x)
            for k, (w, b) in enumerate(layers):
                h, d = h @ w.T + b, d @ w.T
                if k < len(layers) - 1:
                    h = np.tanh(h)
                    d = d * (1 - h * h)
            return h, d

        return ScoreModel(
            lambda x: both(x)[0], lambda x: both(x)[1][:, 0], lambda x, v: both(x)[1] * v
        )


@lru_cache(maxsize=32)
def _matrices(model: TanhScore, bits: int) -> list[tuple[Any, Any]]:
    """The layers in the precision of ``bits``."""
    flint = library()
    return [
        (
            flint.acb_mat([[flint.arb(exact(v)) for v in row] for row in rows]),
            flint.acb_mat([[flint.arb(exact(v))] for v in shift]),
        )
        for rows, shift in model.layers
    ]
