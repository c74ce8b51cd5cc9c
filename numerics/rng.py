"""Randomness: named substreams, exact draws from a law, and a bridge to torch generators.

Nothing here, and nothing in the package, reads or writes a global random state.
"""

from __future__ import annotations

import random
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..theory._checks import bad
from ..theory.arrays import device, is_torch_array, like
from ..theory.protocols import Array

if TYPE_CHECKING:
    import torch


def substream(seed: int, *names: str | int) -> np.random.Generator:
    """The generator of a named part of a run: the same seed and names give the same bits.

    Args:
        seed: entropy of the run.
        names: path of the part, e.g. ``("esm", "digits", 3)``.

    Raises:
        ValueError: ``seed`` is no integer or negative.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise bad("seed", repr(seed), "an integer, zero or more", "pass e.g. 0")
    keys = [zlib.crc32(n.encode()) if isinstance(n, str) else int(n) for n in names]
    return np.random.default_rng(np.random.SeedSequence([int(seed), *keys]))


def draw(p: Any, n: int, *, rng: np.random.Generator) -> Array:
    """``n`` independent exact draws of ``p``, shape ``(n, d)`` float64.

    Laws are maps of uniforms and normals (``transport``); a law that is convolved with Gaussian noise
    is drawn by adding that noise.

    Raises:
        ValueError: ``n`` is negative, ``rng`` is no numpy generator, or the law cannot be drawn.
    """
    if not isinstance(rng, np.random.Generator):
        raise bad(
            "rng",
            type(rng).__name__,
            "a numpy.random.Generator",
            "pass numpy.random.default_rng(0)",
        )
    if int(n) != n or n < 0:
        raise bad("n", n, "a number of draws, zero or more", "pass an integer")
    if hasattr(p, "draw_with"):  # Convolved: a draw of the base plus Gaussian noise
        return p.draw_with(n, rng)
    if not hasattr(p, "transport"):
        raise bad(
            "p",
            type(p).__name__,
            "a law with exact draws",
            "use a normalised law of scoreproof.theory",
        )
    return p.transport(rng.random(n), rng.standard_normal((n, p.dim)))


def normal_like(x: Array, *, rng: Any) -> Array:
    """Independent standard normals in the shape, library, dtype and device of ``x``.

    Args:
        x: an array of any library.
        rng: a ``numpy.random.Generator``, or a ``torch.Generator`` when ``x`` is a tensor.

    Raises:
        ValueError: ``rng`` is neither, or a torch generator meets an array that is no tensor.
    """
    if isinstance(rng, np.random.Generator):
        z = rng.standard_normal(tuple(x.shape))
        return z if isinstance(x, np.ndarray) and x.dtype == z.dtype else like(z, x)
    if is_torch_array(x) and type(rng).__module__.startswith("torch"):
        import torch

        return torch.randn(x.shape, generator=rng, dtype=x.dtype, device=device(x))
    raise bad(
        "rng",
        type(rng).__name__,
        "a numpy.random.Generator (or a torch.Generator for tensors)",
        "pass numpy.random.default_rng(0)",
    )


def torch_generator(
    rng: np.random.Generator, device: str | torch.device = "cpu"
) -> torch.Generator:
    """A torch generator on ``device``, seeded by the next 63 bits of ``rng``.

    Raises:
        ValueError: torch has no such device here.
    """
    import torch

    try:
        generator = torch.Generator(device=device)
    except (RuntimeError, AssertionError) as error:
        raise bad(
            "device", repr(str(device)), "a device that torch has here", "pass 'cpu'"
        ) from error
    generator.manual_seed(int(rng.integers(0, 2**63 - 1)))
    return generator


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Restores the global random states of numpy, random and (if it is loaded) torch on leaving."""
    legacy = np.random.get_state()  # noqa: NPY002
    python = random.getstate()
    torch = sys.modules.get("torch")
    cpu = torch.get_rng_state() if torch is not None else None
    cuda = None
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        cuda = torch.cuda.get_rng_state_all()
    try:
        yield
    finally:
        np.random.set_state(legacy)  # noqa: NPY002
        random.setstate(python)
        if torch is not None and cpu is not None:
            torch.set_rng_state(cpu)
            if cuda is not None:
                torch.cuda.set_rng_state_all(cuda)
