"""Weights of the families of e-processes in their average.

A family of weight w refutes where its own e-process reaches ``1 / (alpha w)``: a weight costs ``-log w`` nats.
Families whose defects are glaring once there are any (repeats, heaps, dependence) need little; those near the limit
of what any test can see get the most, and what samplers are known to get wrong gets more than what is merely possible.
The weights depend on the shape of the law alone and were fixed before the first draw of any run, which is all that
validity asks for.
"""

from __future__ import annotations

from collections.abc import Mapping

from .gaussianise import FEW, FLAT

#: one law in several dimensions; weights are divided by the sum of those that a law has
SHARES: Mapping[str, float] = {
    "labels": 6,
    "mixing": 16,
    "components": 16,
    "refits": 24,
    "drifts": 20,
    "means": 10,
    "all means": 22,
    "scales": 22,
    "profiles": 4,
    "radius": 5,
    "one direction": 12,
    "covariance": 2,
    "pairs": 20,
    "coordinates": 28,
    "marginals": 6,
    "quantiles": 16,
    "histogram": 8,
    "projections": 1,
    "radius histogram": 22,
    "curvature": 5,
    "triples": 11,
    "lag": 5,
    "memory": 1.5,
    "blocks": 8,
    "learned mean": 0.5,
    "learned scale": 0.5,
    "repeats": 0.6,
    "heaps": 0.4,
}
#: the line: little can go wrong but the shape
_LINE: Mapping[str, float] = {
    "means": 18,
    "scales": 28,
    "drifts": 12,
    "marginals": 24,
    "lag": 9,
    "memory": 2,
    "blocks": 5,
    "repeats": 1,
}
#: mixtures on the line: draws count without drawn labels
_MIXED_LINE: Mapping[str, float] = {
    "labels": 2,
    "mixing": 14,
    "components": 2,
    "refits": 20,
    "drifts": 32,
    "means": 1,
    "scales": 2,
    "marginals": 1,
    "quantiles": 21,
    "lag": 5,
    "memory": 1,
    "blocks": 2,
    "repeats": 0.6,
}
#: mixtures of few components in few dimensions: the same
_MIXED_FLAT: Mapping[str, float] = {
    "labels": 2,
    "mixing": 14,
    "components": 4,
    "refits": 74,
    "means": 2,
    "all means": 3,
    "scales": 3,
    "profiles": 2,
    "radius": 3,
    "one direction": 2,
    "covariance": 1,
    "pairs": 2,
    "marginals": 2,
    "histogram": 2,
    "radius histogram": 3,
    "curvature": 2,
    "triples": 2,
    "lag": 3,
    "memory": 1,
    "blocks": 2,
    "projections": 0.3,
    "learned mean": 0.2,
    "learned scale": 0.2,
    "repeats": 0.6,
    "heaps": 0.3,
}
#: other mixtures: components are followed by drawn labels
_MIXED: Mapping[str, float] = {
    "labels": 6,
    "mixing": 16,
    "components": 40,
    "means": 4,
    "all means": 6,
    "scales": 4,
    "profiles": 5,
    "radius": 6,
    "one direction": 5,
    "covariance": 1,
    "pairs": 4,
    "marginals": 3,
    "histogram": 4,
    "radius histogram": 6,
    "lag": 4,
    "memory": 1,
    "blocks": 3,
    "curvature": 2,
    "triples": 3,
}
_ALONE = 18.0  #: weight of the labels where posterior weights are too many to be followed


def shares(components: int, dim: int) -> dict[str, float]:
    """Weights for a law of so many components and dimensions, before they are divided by a sum."""
    special: Mapping[str, float] = {}
    if components == 1:
        special = _LINE if dim == 1 else {}
    elif dim == 1:
        special = _MIXED_LINE
    else:
        special = _MIXED_FLAT if components <= FEW and dim <= FLAT else _MIXED
    out = {**SHARES, **special}
    if components > FEW:
        out["labels"] = _ALONE
    return out
