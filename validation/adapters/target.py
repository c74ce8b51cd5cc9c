"""Targets of the command line, ``library:Name?key=value&key=value``, as samplers."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from ...theory._checks import bad
from ...theory.protocols import Array
from ..problems import Problem
from .adapter import Adapter

LIBRARIES = ("diffusers", "k_diffusion", "azula", "torchsde")
_FORMS = (
    "module:function, path.py:function, diffusers:ClassName?key=value&key=value, k_diffusion:sample_x, "
    "azula:ClassName or torchsde:method"
)


def sampler_at(target: str) -> Adapter:
    """The sampler that a target names.

    ====================================  ========================================================
    ``module:function``                   a function ``(problem, n, *, steps, rng) -> (n, *shape)``
    ``path.py:function``                  the same, in a file
    ``diffusers:ClassName``               a scheduler of diffusers
    ``k_diffusion:sample_x``              a function of ``k_diffusion.sampling``
    ``azula:ClassName``                   a sampler of azula
    ``torchsde:method``                   a solver of torchsde on the reverse SDE
    ====================================  ========================================================

    Options follow as ``?key=value&key=value`` or ``:key=value,key=value``: whatever the library's own
    constructor or step takes, and what its adapter adds, e.g. ``clock=sigma``. An adapter of a library is returned
    as it is.

    Args:
        target: the string.

    Raises:
        ValueError: another form, an unknown name or option, a library or file that is not there.
    """
    place, colon, rest = target.partition(":")
    if not colon or not place or not rest:
        raise bad("target", repr(target), _FORMS, "name the function after a colon")
    if place in LIBRARIES:
        name, options = _options(rest, target)
        module = importlib.import_module(f".{place}", __package__)
        return module.adapter(name, options, target)
    return FunctionAdapter(target, _function(target))


class FunctionAdapter(Adapter):
    """A Python function; it may declare ``order``, ``order_quote``, ``deterministic`` and ``backend`` as attributes.

    Args:
        name: what reports call it.
        function: ``(problem, n, *, steps, rng) -> (n, *shape)``.
    """

    def __init__(self, name: str, function: Any) -> None:
        self.name, self.function = name, function
        self.order = getattr(function, "order", None)
        self.order_quote = getattr(function, "order_quote", "")
        self.deterministic = getattr(function, "deterministic", None)
        self.backend = getattr(function, "backend", "numpy")

    def __call__(self, problem: Problem, n: int, *, steps: int, rng: Any) -> Array:
        """What the function returns."""
        return self.function(problem, n, steps=steps, rng=rng)


def _options(rest: str, target: str) -> tuple[str, dict[str, Any]]:
    mark, between = ("?", "&") if "?" in rest else (":", ",")
    name, found, tail = rest.partition(mark)
    if not found:
        return name, {}
    options: dict[str, Any] = {}
    for part in tail.split(between):
        key, equals, value = part.partition("=")
        if not equals or not key.strip().isidentifier():
            raise bad("target", f"{part!r} in {target!r}", "key=value", "separate options with &")
        options[key.strip()] = _value(value.strip())
    return name, options


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text  # names of choices are written without quotes


def _function(target: str) -> Any:
    place, _, name = target.rpartition(":")
    found: Any = _module(place, target)
    for part in name.split("."):
        if not hasattr(found, part):
            wanted = f"a function of {place}"
            raise bad("target", f"{target}, without {part!r}", wanted, "correct the name")
        found = getattr(found, part)
    if not callable(found):
        got = f"{target}, which is {type(found).__name__}"
        raise bad("target", got, "a function (problem, n, *, steps, rng)", "name one")
    return found


def _module(place: str, target: str) -> ModuleType:
    path = Path(place)
    try:
        if path.suffix != ".py":
            return importlib.import_module(place)
        if not path.is_file():
            got = f"{target}, a file that is not there"
            raise bad("target", got, "a Python file", "see the path")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None  # the suffix is .py
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module  # so that pickling finds it, and takes it by value
        spec.loader.exec_module(module)
        return module
    except Exception as error:
        if str(error).startswith("target: "):
            raise
        said = (str(error).strip().splitlines() or [""])[0][:200]
        got = f"{target}, which raised {type(error).__name__}: {said}"
        raise bad("target", got, "a module that can be imported", "run it with python") from error
