"""Score models on which objectives are compared: linear, bent, and close to the truth.

An identity that holds for every model has to hold for each of them; none is a gradient field, so that
a formula which needs one is caught. Their divergences and derivatives are written out by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from ...numerics.score_models import ScoreModel
from ...theory.protocols import Vector


def zero() -> ScoreModel:
    """``s = 0``."""
    return ScoreModel(
        np.zeros_like, lambda x: np.zeros(len(x)), lambda x, v: np.zeros(np.broadcast(x, v).shape)
    )


@cache
def linear(dim: int) -> ScoreModel:
    """``s(x) = b - A x`` with ``A`` positive but not symmetric."""
    rng = np.random.default_rng(100 + dim)
    a = 0.6 * np.eye(dim) + 0.3 * rng.standard_normal((dim, dim)) / np.sqrt(dim)
    b = 0.5 * rng.standard_normal(dim)
    trace = float(np.trace(a))
    return ScoreModel(
        lambda x: b - x @ a.T,
        lambda x: np.full(len(x), -trace),
        lambda x, v: -v @ a.T,
    )


@cache
def outward(dim: int) -> ScoreModel:
    """The linear model with its sign reversed: far from any score, so that its losses are large."""
    inward = linear(dim)
    trace = float(inward.divergence(np.zeros((1, dim)))[0]) if inward.divergence else 0.0
    origin = inward(np.zeros((1, dim)))[0]
    return ScoreModel(
        lambda x: -inward(x),
        lambda x: np.full(len(x), -trace),
        lambda x, v: origin - inward(v),
    )


@cache
def bent(dim: int) -> ScoreModel:
    """``s(x) = b - A x + W tanh(V x + c)``: a network with one hidden layer of four units."""
    rng = np.random.default_rng(200 + dim)
    a = 0.5 * np.eye(dim) + 0.2 * rng.standard_normal((dim, dim)) / np.sqrt(dim)
    b, c = 0.4 * rng.standard_normal(dim), rng.standard_normal(4)
    w, v = 0.7 * rng.standard_normal((dim, 4)), rng.standard_normal((4, dim)) / np.sqrt(dim)
    inner = np.einsum("ij,ji->j", w, v)

    def slope(x: Vector) -> Vector:
        return 1 - np.tanh(x @ v.T + c) ** 2

    return ScoreModel(
        lambda x: b - x @ a.T + np.tanh(x @ v.T + c) @ w.T,
        lambda x: slope(x) @ inner - np.trace(a),
        lambda x, u: -u @ a.T + (slope(x) * (u @ v.T)) @ w.T,
    )


def rippled(law: Any) -> ScoreModel:
    """``s = 0.9 grad log p + 0.3 sin(K x + c)``: ten per cent too short, with a ripple."""
    rng = np.random.default_rng(300 + law.dim)
    k = 0.8 * rng.standard_normal((law.dim, law.dim)) / np.sqrt(law.dim)
    c = rng.standard_normal(law.dim)

    def jvp(x: Vector, u: Vector) -> Vector:
        curved = np.einsum("nij,nj->ni", law.hessian(x), np.broadcast_to(u, x.shape))
        return 0.9 * curved + 0.3 * np.cos(x @ k.T + c) * (u @ k.T)

    return ScoreModel(
        lambda x: 0.9 * law.score(x) + 0.3 * np.sin(x @ k.T + c),
        lambda x: 0.9 * law.divergence(x) + 0.3 * np.cos(x @ k.T + c) @ np.diag(k),
        jvp,
    )


def fields(law: Any) -> Mapping[str, ScoreModel]:
    """The three models on the space of ``law``, the last one close to its score."""
    return {"linear": linear(law.dim), "bent": bent(law.dim), "rippled": rippled(law)}


def test_fields(dim: int) -> tuple[ScoreModel, ...]:
    """Directions ``h`` along which a first variation is taken: the linear and the bent model."""
    return linear(dim), bent(dim)
