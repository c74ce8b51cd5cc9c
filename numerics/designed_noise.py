"""A numpy generator that tells a :class:`.noise_log.NoiseLog` what is drawn, and draws what the log designs.

It is a ``numpy.random.Generator``, since samplers check for one. Without a plan every method returns the bits
that the plain generator would return.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .noise_log import NoiseLog, listening


class DesignedGenerator(np.random.Generator):
    """Normals are recorded or designed; any other method is noted as other randomness and stays random.

    ``multivariate_normal`` of numpy is a linear map of this object's ``standard_normal``, a documented matter of
    the decomposition alone, so it needs no code of its own; a test holds numpy to it.

    Args:
        bit_generator: source of what is not designed.
        log: where draws are told.
    """

    _log: NoiseLog

    def __init__(self, bit_generator: Any, log: NoiseLog | None = None) -> None:
        super().__init__(bit_generator)
        self._log = NoiseLog(0) if log is None else log

    def standard_normal(  # type: ignore[override]
        self, size: Any = None, dtype: Any = np.float64, out: Any = None
    ) -> Any:
        """As in numpy."""
        shape = _shape(size) if out is None else out.shape
        z = self._log.wanted(shape)
        if z is None:
            drawn = super().standard_normal(size, dtype, out)
            self._log.note(np.asarray(drawn))
            return drawn
        if out is None:
            return z.astype(dtype, copy=False)
        out[...] = z
        return out

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:  # type: ignore[override]
        """As in numpy: ``loc + scale z``."""
        shape = np.broadcast(loc, scale).shape if size is None else _shape(size)
        z = self._log.wanted(shape)
        if z is not None:
            return np.asarray(loc) + np.asarray(scale) * z
        drawn = super().normal(loc, scale, size)
        # Where the scale is zero the noise has no effect, whatever it was.
        spread = np.where(np.asarray(scale) == 0, np.inf, scale)
        self._log.note((np.asarray(drawn) - loc) / spread)
        return drawn

    def random(  # type: ignore[override]
        self, size: Any = None, dtype: Any = np.float64, out: Any = None
    ) -> Any:
        """As in numpy; uniforms that nothing depends on are not drawn where the call is designed."""
        if self._log.idle and self._log.plan is not None and out is None:
            return np.full(_shape(size), 0.5, dtype)
        self._log.other("rng.random")
        return super().random(size, dtype, out)

    def spawn(self, n_children: int) -> list[Any]:
        """As in numpy; the children tell the same log."""
        return [DesignedGenerator(g, self._log) for g in self.bit_generator.spawn(n_children)]  # type: ignore[attr-defined]

    def __reduce__(self) -> Any:
        # A copy in another process could not tell this log: it is a plain generator.
        return np.random.Generator(self.bit_generator).__reduce__()


def _shape(size: Any) -> tuple[int, ...]:
    if type(size) is tuple:
        return size
    if size is None:
        return ()
    return tuple(int(k) for k in size) if np.iterable(size) else (int(size),)


def _noted(name: str) -> Callable[..., Any]:
    plain = getattr(np.random.Generator, name)

    def method(self: DesignedGenerator, *args: Any, **named: Any) -> Any:
        self._log.other(f"rng.{name}")
        return plain(self, *args, **named)

    method.__name__, method.__doc__ = name, plain.__doc__
    return method


_OWN = {"random", "standard_normal", "normal", "multivariate_normal", "spawn", "bit_generator"}
for _name in dir(np.random.Generator):
    if not _name.startswith("_") and _name not in _OWN:
        setattr(DesignedGenerator, _name, _noted(_name))


@contextmanager
def tapped(rng: Any, log: NoiseLog) -> Iterator[Any]:
    """A generator to hand out in the place of ``rng``, whose draws ``log`` hears and designs.

    Args:
        rng: numpy generator, or torch generator; for the latter every draw of torch is heard, of whatever
            generator.
        log: where draws are told; with a plan, draws that bypass the methods are noted on leaving.
    """
    with listening(log):
        if isinstance(rng, np.random.Generator):
            before = rng.bit_generator.state
            yield DesignedGenerator(rng.bit_generator, log)
            if log.plan is not None and not log.heard and rng.bit_generator.state != before:
                log.other("the bit generator behind rng")
        else:
            from .designed_noise_torch import heard_by

            with heard_by(log):
                yield rng
