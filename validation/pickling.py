"""Tasks as bytes: cloudpickle, with the modules of the user by value."""

from __future__ import annotations

import functools
import site
import sys
import sysconfig
import threading
import types
from typing import Any

from .isolation_errors import CannotPickle

_LOCK = threading.Lock()


@functools.cache
def _installed() -> tuple[str, ...]:
    """Folders whose modules a worker can import as well."""
    paths = sysconfig.get_paths()
    folders = {paths[k] for k in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {*site.getsitepackages(), site.getusersitepackages()}
    return tuple(folder.rstrip("/") + "/" for folder in folders)


def _of_user(name: str, module: types.ModuleType | None) -> bool:
    """Whether a loaded module belongs to the user, and not to an installed package or this one."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or getattr(module, "__name__", None) != name:
        return False
    if name == "__main__" or name.partition(".")[0] == "scoreproof":
        return False  # cloudpickle takes __main__ by value of its own accord
    # Folders of packages that a .pth file or PYTHONPATH adds are not in the list of this environment.
    packaged = any(f"/{folder}/" in file for folder in ("site-packages", "dist-packages"))
    return not (packaged or file.startswith(_installed()))


def dumps(task: Any) -> bytes:
    """Bytes that ``pickle.loads`` turns into the task in a process that lacks the user's modules.

    Code of the user's modules goes by value; where that fails, by reference.

    Raises:
        CannotPickle: neither way works.
    """
    import cloudpickle

    with _LOCK:  # the registry of cloudpickle is global
        before = cloudpickle.list_registry_pickle_by_value()
        own = [m for n, m in list(sys.modules.items()) if _of_user(n, m) and n not in before]
        for module in own:
            cloudpickle.register_pickle_by_value(module)
        try:
            return cloudpickle.dumps(task)
        except Exception:
            pass
        finally:
            for module in own:
                cloudpickle.unregister_pickle_by_value(module)
    try:
        return cloudpickle.dumps(task)
    except Exception as error:
        raise CannotPickle(f"{type(error).__name__}: {error}") from error
