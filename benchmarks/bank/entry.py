"""One sampler of the bank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scoreproof.numerics import draw as exact_draws

from .limits import Moments, blind_list_size, drawn_moments, gaussian_moments

Draw = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Entry:
    """A sampler with the law that it should have and, where known, the law that it has.

    Attributes:
        name: short name.
        target: the law that is claimed, one of the library.
        draw: ``(n, *, rng) -> (n, d)``.
        defect: what is wrong, in words; empty for a correct sampler.
        law: exact law of the output, with ``log_prob``; None where it is known by its moments only, or not at all.
        moments: of ``log(q/p)``; None where it is infinite or not known.
        size: Neyman-Pearson sample size; None where not known.
        blind: size of the best test that does not know the direction; None where the direction can be known.
        single: whether the draws are rounded to float32 inside.
    """

    name: str
    target: Any
    draw: Draw
    defect: str = ""
    law: Any = None
    moments: Moments | None = None
    size: int | None = None
    blind: int | None = None
    single: bool = False

    @property
    def limit(self) -> int:
        """Draws by which nine of ten runs are to stop: the larger of 500, 2.5 NP and 1.5 blind."""
        return max(500, int(2.5 * (self.size or 0)), int(1.5 * (self.blind or 0)))


def draws_of(law: Any) -> Draw:
    """Exact independent draws of ``law``."""

    def draw(n: int, *, rng: np.random.Generator) -> np.ndarray:
        return law.sample(n, rng) if hasattr(law, "sample") else exact_draws(law, n, rng=rng)

    return draw


def gaussian_entry(
    name: str,
    defect: str,
    target: Any,
    law: Any,
    *,
    blind: int | None = None,
    listed: int = 0,
) -> Entry:
    """Both laws Gaussian: numbers in closed form; ``listed`` directions among which nothing tells the right one."""
    found = gaussian_moments(target, law)
    if listed:
        blind = blind_list_size(found, listed)
    return Entry(name, target, draws_of(law), defect, law, found, found.size, blind)


def density_entry(
    name: str,
    defect: str,
    target: Any,
    law: Any,
    *,
    moments: Moments | None = None,
    blind: int | None = None,
) -> Entry:
    """Both laws with a density; moments from exact draws unless given."""
    found = drawn_moments(target, law) if moments is None else moments
    return Entry(name, target, draws_of(law), defect, law, found, found.size, blind)
