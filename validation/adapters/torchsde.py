"""The fixed-step solvers of torchsde on the reverse SDE of a problem, in uniform steps of its time."""

from __future__ import annotations

import math
from typing import Any

from ...theory._checks import bad
from ...theory.protocols import Array
from ..problems import Problem
from .adapter import Adapter, library

_INSTALL = "pip install 'scoreproof[torchsde]'"
#: Method: module of its class, its name there, and the calculus that it is written in.
_METHODS = {
    "euler": ("euler", "Euler", "ito"),
    "milstein": ("milstein", "MilsteinIto", "ito"),
    "srk": ("srk", "SRK", "ito"),
    "heun": ("heun", "Heun", "stratonovich"),
    "midpoint": ("midpoint", "Midpoint", "stratonovich"),
    "euler_heun": ("euler_heun", "EulerHeun", "stratonovich"),
    "reversible_heun": ("reversible_heun", "ReversibleHeun", "stratonovich"),
}


def adapter(name: str, options: dict[str, Any], target: str) -> TorchsdeAdapter:
    """The adapter of a method.

    Args:
        name: method of ``torchsde.sdeint``.
        options: none so far.
        target: as the user wrote it.

    Raises:
        ValueError: no such method or option, or a library that is not there.
    """
    library("torchsde", install=_INSTALL)
    if name not in _METHODS:
        raise bad("target", target, f"one of {', '.join(_METHODS)}", "correct the method")
    if options:
        got = f"option {next(iter(options))!r} in {target!r}"
        raise bad("target", got, "no options", "leave it out")
    return TorchsdeAdapter(name, target)


class TorchsdeAdapter(Adapter):
    """A method of torchsde; the noise is additive, so that both calculi agree.

    Args:
        method: its name.
        target: as the user wrote it.
    """

    deterministic = False
    no_clock = "the time is handed over as it is, and steps of the solver are not exact for one point of data"

    def __init__(self, method: str, target: str) -> None:
        self.name, self._method = target, method
        place, kind, self._calculus = _METHODS[method]
        made = getattr(library(f"torchsde._core.methods.{place}", install=_INSTALL), kind)
        self.order = float(made.weak_order)
        self.order_quote = (
            f"“weak_order = {made.weak_order}” (torchsde._core.methods.{place}.{kind})"
        )

    def __call__(self, problem: Problem, n: int, *, steps: int, rng: Any) -> Array:
        """``n`` draws of ``steps`` steps from ``t_max`` to ``t_min``."""
        import torch

        torchsde = library("torchsde", install=_INSTALL)
        start: Any = problem.prior(n, rng=rng)
        begin, end = problem.t_max, problem.t_min
        sde = problem.sde
        # The scheme of order 1.5 takes a diffusion that depends on time alone for what it is only if told so.
        noise = "additive" if self._method == "srk" else "diagonal"

        class Reverse:
            noise_type, sde_type = noise, self._calculus

            def f(self, s: Any, y: Any) -> Any:
                t = min(max(begin - float(s), end), begin)
                pull = float(sde.diffusion(t)) ** 2
                x = y.reshape(start.shape)
                return (pull * problem.score(x, t) - float(sde.drift(t)) * x).reshape(n, -1)

            def g(self, s: Any, y: Any) -> Any:
                t = min(max(begin - float(s), end), begin)
                size = float(sde.diffusion(t))
                if noise == "diagonal":
                    return torch.full_like(y, size)
                return size * torch.eye(y.shape[1], dtype=y.dtype).expand(n, -1, -1)

        flat = start.reshape(n, -1)
        times = torch.tensor([0.0, begin - end], dtype=flat.dtype)
        motion = _motion(torchsde.BaseBrownian)(flat, rng)
        # A little more than the step, so that rounding leaves no sliver of a step at the end.
        step = (begin - end) / steps * (1 + 1e-12)
        out = torchsde.sdeint(Reverse(), flat, times, bm=motion, method=self._method, dt=step)
        return out[-1].reshape(start.shape)


def _motion(base: Any) -> Any:
    """Increments over the steps of a solver with their space-time areas, linear in normals of a generator."""

    class Motion(base):
        def __init__(self, like: Any, rng: Any) -> None:
            self._like, self._rng = like, rng
            self._kept: dict[tuple[float, float], tuple[Any, Any]] = {}

        def __call__(
            self, ta: Any, tb: Any = None, return_U: bool = False, return_A: bool = False
        ) -> Any:
            if tb is None or return_A:
                raise NotImplementedError("increments and space-time areas only")
            key = float(ta), float(tb)
            if key not in self._kept:
                self._kept = {key: self._drawn(key[1] - key[0], return_U)}
            w, u = self._kept[key]
            return (w, u) if return_U else w

        def _drawn(self, h: float, area: bool) -> tuple[Any, Any]:
            w = math.sqrt(h) * self._normal()
            # int_0^h W = h (W/2 + H), H independent of W with variance h/12 (Foster et al. 2020, Def. 1.2).
            return w, h * (0.5 * w + math.sqrt(h / 12) * self._normal()) if area else None

        def _normal(self) -> Any:
            import torch

            x = self._like
            return torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=self._rng)

        def __repr__(self) -> str:
            return "Motion()"

        dtype = property(lambda self: self._like.dtype)
        device = property(lambda self: self._like.device)
        shape = property(lambda self: self._like.shape)
        levy_area_approximation = property(lambda self: "space-time")

    return Motion
