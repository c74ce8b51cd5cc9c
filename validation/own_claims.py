"""Claims of users from their files: ``module:object`` and ``path.py:object``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ..theory._checks import bad
from .claim import Claim


def claims_at(target: str) -> list[Claim]:
    """The claims that a target names: a :class:`Claim`, an iterable or mapping of them, or a function that makes one.

    Args:
        target: ``"module:object"`` or ``"path.py:object"``; the object may have dots.

    Raises:
        ValueError: no such file, module or object, a module that raises, or an object that is no claim.
    """
    place, _, name = target.rpartition(":")
    found: Any = _module(place, target)
    for part in name.split("."):
        if not hasattr(found, part):
            wanted = f"an object of {place}"
            raise bad("only", f"{target}, without {part!r}", wanted, "correct the name")
        found = getattr(found, part)
    if callable(found) and not isinstance(found, Claim):
        try:
            found = found()
        except Exception as error:
            raise _failed(target, error) from error
    if isinstance(found, Mapping):
        found = list(found.values())
    claims = [found] if isinstance(found, Claim) else None
    if claims is None and isinstance(found, Iterable) and not isinstance(found, str | bytes):
        claims = list(found)
    if not claims or not all(isinstance(one, Claim) for one in claims):
        got = f"{target}, which is {type(found).__name__}"
        raise bad("only", got, "a Claim or several", "make one with mean_claim or Claim")
    return claims


def _module(place: str, target: str) -> ModuleType:
    path = Path(place)
    try:
        if path.suffix != ".py":
            return importlib.import_module(place)
        if not path.is_file():
            raise bad(
                "only", f"{target}, a file that is not there", "a Python file", "see the path"
            )
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None  # the suffix is .py
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module  # so that pickling finds it, and takes it by value
        spec.loader.exec_module(module)
        return module
    except ValueError as error:
        if str(error).startswith("only: "):
            raise
        raise _failed(target, error) from error
    except (Exception, SystemExit) as error:
        raise _failed(target, error) from error


def _failed(target: str, error: BaseException) -> ValueError:
    said = (str(error).strip().splitlines() or [""])[0][:200]
    got = f"{target}, which raised {type(error).__name__}: {said}"
    return bad("only", got, "a module that can be imported", "run it with python first")
