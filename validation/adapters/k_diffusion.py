"""Every function of ``k_diffusion.sampling``, on ``x_0 + sigma eps``.

The package imports much that sampling does not need. Its module of samplers is loaded alone; of the module that it
takes one helper from, that helper.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
import types
from pathlib import Path
from typing import Any

from ...theory._checks import bad
from ...theory.diffusions import EDM
from ...theory.protocols import Array
from ..problems import Problem
from .adapter import Adapter, Gaps
from .brownian import noise_sampler
from .watch import Ask, watched

_INSTALL = "run `make peers`"
_GRIDS = {
    "karras": "get_sigmas_karras",
    "exponential": "get_sigmas_exponential",
    "polyexponential": "get_sigmas_polyexponential",
}
_OWN: dict[str, Any] = {
    "sigma_min": 0.01,
    "sigma_max": 80.0,
    "grid": "karras",
    "final": "zero",
    "start": "marginal",
}
#: Order that the docstring of a function declares.
_ORDERS = {
    "sample_euler": 1.0,
    "sample_euler_ancestral": 1.0,
    "sample_heun": 2.0,
    "sample_dpm_2": 2.0,
    "sample_dpm_2_ancestral": 2.0,
    "sample_dpmpp_2s_ancestral": 2.0,
    "sample_dpmpp_2m": 2.0,
    "sample_dpmpp_2m_sde": 2.0,
    "sample_dpmpp_3m_sde": 3.0,
}
_TREES = ("sample_dpmpp_sde", "sample_dpmpp_2m_sde", "sample_dpmpp_3m_sde")


def adapter(name: str, options: dict[str, Any], target: str) -> KDiffusionAdapter:
    """The adapter of a function.

    Args:
        name: ``sample_...``.
        options: of the function, and ``sigma_min``, ``sigma_max``, ``grid``, ``final`` (``zero`` or ``sigma_min``) and
            ``start`` (``marginal`` or ``prior``).
        target: as the user wrote it.

    Raises:
        ValueError: no such function or option, or a library that is not there.
    """
    module = sampling()
    function = getattr(module, name, None)
    if not name.startswith("sample_") or function is None:
        known = ", ".join(k for k in vars(module) if k.startswith("sample_"))
        raise bad("target", target, f"one of {known}", "correct the name")
    taken = {*_OWN, *inspect.signature(function).parameters} - {"model", "x", "sigmas", "n"}
    unknown = [k for k in options if k not in taken]
    if unknown:
        wanted = ", ".join(sorted(taken))
        raise bad("target", f"option {unknown[0]!r} in {target!r}", wanted, "correct it")
    if options.get("grid", "karras") not in _GRIDS:
        raise bad("target", f"grid={options['grid']}", ", ".join(_GRIDS), "correct it")
    return KDiffusionAdapter(name, options, target)


class KDiffusionAdapter(Adapter):
    """A function of k-diffusion; its model is told the level itself, so that there is one clock.

    Args:
        kind: name of the function.
        options: see :func:`adapter`.
        target: as the user wrote it.
    """

    def __init__(self, kind: str, options: dict[str, Any], target: str) -> None:
        self.name, self._kind = target, kind
        own = {key: options.get(key, value) for key, value in _OWN.items()}
        self._grid, self._final, self._start = own["grid"], own["final"], own["start"]
        self._low, self._high = float(own["sigma_min"]), float(own["sigma_max"])
        self._options = {k: v for k, v in options.items() if k not in _OWN}
        self._sde = EDM(1.5 * self._high)  # churning goes up to sqrt(2) times the level
        self.fixed_ends = self._final == "sigma_min"
        noisy = "ancestral" in kind or kind.endswith("_sde")
        silent = self._options.get("eta") == 0
        self.deterministic = None if self._options.get("s_churn") else not noisy or silent
        function = getattr(sampling(), kind)
        if kind in _ORDERS:
            self.order = _ORDERS[kind]
            said = (inspect.getdoc(function) or "").splitlines()[0]
            self.order_quote = f"“{said}” (docstring of k_diffusion.sampling.{kind})"

    def truth(self, problem: Problem) -> Problem:
        """The law under ``x_0 + sigma eps``, sigma from ``sigma_max`` to ``sigma_min``."""
        if problem.sde is self._sde:
            return problem
        return Problem(
            problem.name,
            problem.law,
            self._sde,
            t_min=self._low,
            t_max=self._high,
            shape=problem.shape,
            start=self._start,
        )

    def __call__(self, problem: Problem, n: int, *, steps: int, rng: Any) -> Array:
        """``n`` draws on the grid of ``steps`` steps."""
        truth = self.truth(problem)

        def model(x: Array, sigma: Array) -> Array:
            return truth.denoiser(x, float(sigma[0]))

        out = self._play(truth.prior(n, rng=rng), model, steps, rng)
        if truth is not problem:
            problem.evaluations += truth.evaluations
        return out

    def readings(self, problem: Problem, steps: int) -> tuple[Gaps, ...]:
        """The level of the state at each call, against the level told."""

        def play(start: Any, ask: Ask, rng: Any) -> None:
            self._play(start(self._high), lambda x, sigma: ask(x, float(sigma[0])), steps, rng)

        return watched(play)

    def _play(self, x: Array, model: Any, steps: int, rng: Any) -> Array:
        module = sampling()
        function = getattr(module, self._kind)
        takes = inspect.signature(function).parameters
        named = {"disable": True, **self._options}
        if "noise_sampler" in takes:
            named["noise_sampler"] = self._noise(x, rng)
        if "sigma_min" in takes:
            counted = {"n": steps} if "n" in takes else {}
            return function(model, x, self._low, self._high, **counted, **named)
        fixed = self._final == "sigma_min"
        made = getattr(module, _GRIDS[self._grid])(steps + fixed, self._low, self._high)
        sigmas = (made[:-1] if fixed else made).to(x.dtype)
        return function(model, x, sigmas, **named)

    def _noise(self, x: Array, rng: Any) -> Any:
        import torch

        if self._kind in _TREES:
            # The library's tree, as a path on the generator that is given.
            return noise_sampler(x, rng)
        tensor: Any = x

        def drawn(sigma: Any, sigma_next: Any) -> Array:
            return torch.randn(tensor.shape, dtype=tensor.dtype, generator=rng)

        return drawn


def sampling() -> types.ModuleType:
    """The module ``k_diffusion.sampling``, without the package around it.

    Raises:
        ValueError: it, or something it needs, is not there.
    """
    kept = "scoreproof_k_diffusion"
    if f"{kept}.sampling" in sys.modules:
        return sys.modules[f"{kept}.sampling"]
    found = importlib.util.find_spec("k_diffusion")
    if found is None or not found.submodule_search_locations:
        raise bad("target", "k_diffusion, which is not installed", "it", _INSTALL)
    folder = Path(next(iter(found.submodule_search_locations)))
    package = types.ModuleType(kept)
    package.__path__ = [str(folder)]
    try:
        utils = _helpers(folder / "utils.py", f"{kept}.utils")
        package.utils = utils  # type: ignore[attr-defined]
        sys.modules |= {kept: package, f"{kept}.utils": utils}
        return importlib.import_module(f"{kept}.sampling")
    except (ImportError, OSError) as error:
        for name in (kept, f"{kept}.utils"):
            sys.modules.pop(name, None)
        said = (str(error).splitlines() or [""])[0]
        got = f"k_diffusion.sampling, which cannot be loaded ({said})"
        raise bad("target", got, "all that it needs", _INSTALL) from None


def _helpers(path: Path, name: str) -> types.ModuleType:
    """The one helper that sampling takes from ``utils``, whose own imports are many."""
    module = types.ModuleType(name)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == "append_dims"
    ]
    exec(compile(tree, str(path), "exec"), module.__dict__)
    return module
