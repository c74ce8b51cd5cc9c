"""Problems: a data law, a diffusion and a time interval, with exact truth for user code to be fed with.

A problem shows itself to a sampler as a score model would: ``score``, ``denoiser``, ``noise`` or
``velocity`` of ``x`` ``(n, *shape)`` at time ``t`` (a scalar or ``(n,)``). Every call of any of the four
counts as one evaluation. :data:`PROBLEMS` is the table of named problems; it is also the table of examples
that the tests run over.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import numpy as np

from ..numerics.rng import draw
from ..theory._checks import bad
from ..theory.arrays import is_torch_array, namespace
from ..theory.protocols import Array, Vector
from ..theory.sde import LinearSDE

_KEPT = 512  #: marginals remembered per problem: more than the times of one sampler run


class Problem:
    """A data law ``law`` under the diffusion ``sde`` for ``t`` in ``[t_min, t_max]``.

    Args:
        name: label in reports.
        law: law of ``x_0``, of dimension d.
        sde: the diffusion.
        t_min: end of sampling, positive; the law there is the diffused one.
        t_max: start of sampling; the end of the diffusion's interval by default.
        shape: shape of one ``x`` as user code sees it, with ``prod(shape) == d``; ``(d,)`` by default.
        start: ``"marginal"`` starts samplers at exact draws of ``p_t_max``; ``"prior"`` at the usual
            ``N(0, s^2 I)`` of the diffusion.

    Raises:
        ValueError: times out of order or range, or a shape that does not hold d numbers.
    """

    def __init__(
        self,
        name: str,
        law: Any,
        sde: LinearSDE,
        *,
        t_min: float,
        t_max: float | None = None,
        shape: tuple[int, ...] | None = None,
        start: Literal["marginal", "prior"] = "marginal",
    ) -> None:
        if not hasattr(law, "dim"):
            raise bad("law", type(law).__name__, "a law with dim and score", "see scoreproof.theory")
        if not isinstance(sde, LinearSDE):
            raise bad("sde", type(sde).__name__, "a LinearSDE", "see scoreproof.theory, e.g. VP()")
        end = sde.t_max if t_max is None else float(t_max)
        if not 0 < t_min < end <= sde.t_max * (1 + 1e-12):
            raise bad(
                "t_min, t_max",
                f"{t_min:g}, {end:g}",
                f"0 < t_min < t_max <= {sde.t_max:g}",
                "t = 0 is data, where the score need not exist",
            )
        space = (law.dim,) if shape is None else tuple(int(k) for k in shape)
        if int(np.prod(space)) != law.dim:
            raise bad("shape", space, f"{law.dim} numbers in all", "match the dimension of the law")
        if start not in ("marginal", "prior"):
            raise bad("start", repr(start), "'marginal' or 'prior'", "correct it")
        self.name, self.law, self.sde = name, law, sde
        self.t_min, self.t_max, self.shape, self.start = float(t_min), end, space, start
        self.evaluations = 0
        self._marginals: OrderedDict[float, Any] = OrderedDict()

    @property
    def dim(self) -> int:
        """Dimension d."""
        return self.law.dim

    def fresh(self) -> Problem:
        """The same problem with its counter at zero; the two share nothing that changes."""
        other = copy.copy(self)
        other.evaluations = 0
        other._marginals = OrderedDict(self._marginals)
        return other

    def marginal(self, t: float) -> Any:
        """The exact law of ``x_t``, in closed form or by quadrature.

        Raises:
            ValueError: ``t`` outside ``[0, t_max]`` of the diffusion.
        """
        from ..numerics.convolved import diffused

        key = float(t)
        if key not in self._marginals:
            self._marginals[key] = diffused(self.law, self.sde, key)
            while len(self._marginals) > _KEPT:
                self._marginals.popitem(last=False)
        return self._marginals[key]

    def score(self, x: Array, t: Array) -> Array:
        """``grad log p_t(x)`` of ``x`` ``(n, *shape)``, in the same shape."""
        return self._field(x, t, lambda p, y, _: p.score(y))

    def denoiser(self, x: Array, t: Array) -> Array:
        """``E[x_0 | x_t = x]``."""
        return self._field(x, t, lambda p, y, _: p.denoiser(y))

    def noise(self, x: Array, t: Array) -> Array:
        """``E[eps | x_t = x] = -sd(t) score``."""
        return self._field(x, t, lambda p, y, _: -float(p.kernel.std) * p.score(y))

    def velocity(self, x: Array, t: Array) -> Array:
        """``f x - g^2/2 score``, the velocity of the probability flow in forward time."""

        def flow(p: Any, y: Array, at: float) -> Array:
            f, g = float(self.sde.drift(at)), float(self.sde.diffusion(at))
            return f * y - 0.5 * g**2 * p.score(y)

        return self._field(x, t, flow)

    def prior(self, n: int, *, rng: Any) -> Array:
        """``n`` starting points ``(n, *shape)`` at ``t_max``; a torch generator gives tensors."""
        if self.start == "marginal":
            return self._draw(self.marginal(self.t_max), n, rng)
        std = float(np.sqrt(self.sde.prior_variance))
        _, z = _noise(n, self.dim, rng)
        return std * z.reshape((n, *self.shape))

    def data(self, n: int, *, t: float = 0.0, rng: Any) -> Array:
        """``n`` exact draws ``(n, *shape)`` of the law of ``x_t``."""
        return self._draw(self.law if t == 0 else self.marginal(t), n, rng)

    def times(self, steps: int) -> Vector:
        """``steps + 1`` decreasing times from ``t_max`` to ``t_min``.

        They are spaced as in Karras et al. 2022, Eq. 5, with rho = 7 in the noise-to-signal ratio
        ``sd(t) / scale(t)``.

        Raises:
            ValueError: ``steps`` is not a positive integer.
        """
        if int(steps) != steps or steps < 1:
            raise bad("steps", steps, "a positive integer", "pass at least one step")
        ends = np.array([self._log_ratio(np.array([t]))[0] for t in (self.t_max, self.t_min)])
        top, bottom = np.exp(ends / 7)
        wanted = 7 * np.log(top + np.linspace(0, 1, steps + 1) * (bottom - top))
        low, high = np.full(steps + 1, self.t_min), np.full(steps + 1, self.t_max)
        # The ratio grows with t: bisection to the last bit, in log t where t_min is small.
        for _ in range(200):
            middle = np.sqrt(low * high)
            above = self._log_ratio(middle) > wanted
            high, low = np.where(above, middle, high), np.where(above, low, middle)
        grid = np.sqrt(low * high)
        grid[0], grid[-1] = self.t_max, self.t_min
        return grid

    def flow_map(self, x: Array, t: float, s: float) -> Array:
        """The exact probability-flow map from time ``t`` to time ``s``, in either direction.

        Gaussian laws in closed form; one-dimensional laws by ``F_s^{-1}(F_t(x))``; otherwise by an ordinary
        differential equation solved to a relative tolerance of 1e-11 (DOP853). Numpy float64.
        """
        from .flow_map import flow_map

        y = np.asarray(x, dtype=np.float64).reshape(-1, self.dim)
        return flow_map(self, y, float(t), float(s)).reshape(np.shape(x))

    def _log_ratio(self, t: Vector) -> Vector:
        kernel = self.sde.kernel(t)
        return 0.5 * np.log(kernel.variance) - np.log(kernel.scale)

    def _draw(self, law: Any, n: int, rng: Any) -> Array:
        if isinstance(rng, np.random.Generator):
            return draw(law, n, rng=rng).reshape((n, *self.shape))
        u, z = _noise(n, self.dim, rng)
        if hasattr(law, "transport") and hasattr(getattr(law, "law", law), "basis"):
            return law.transport(u, z).reshape((n, *self.shape))
        # Laws whose transport is numpy only: seed a numpy generator from the torch one.
        seed = np.random.SeedSequence(np.asarray(u[: min(n, 4)].cpu(), dtype=np.float64).view(np.uint64))
        points = draw(law, n, rng=np.random.default_rng(seed))
        return namespace(z).asarray(points, dtype=z.dtype, device=z.device).reshape((n, *self.shape))

    def _field(self, x: Array, t: Array, f: Callable[[Any, Array, float], Array]) -> Array:
        xp = namespace(x)
        if x.ndim != 1 + len(self.shape) or tuple(x.shape[1:]) != self.shape:
            raise bad(
                "x",
                f"shape {tuple(x.shape)}",
                f"(n, {', '.join(map(str, self.shape))})",
                "the first axis is the batch",
            )
        self.evaluations += 1
        y = xp.reshape(x, (x.shape[0], self.dim))
        times = _times(t, x.shape[0])
        if times.size == 1:
            at = float(times[0])
            return xp.reshape(f(self.marginal(at), y, at), x.shape)
        # Rows with the same time share one marginal; their order is restored by the inverse permutation.
        levels, inverse = np.unique(times, return_inverse=True)
        order = np.argsort(inverse, kind="stable")
        rows = [np.flatnonzero(inverse == k) for k in range(levels.size)]
        parts = [
            f(self.marginal(float(at)), y[_index(own, y), ...], float(at))
            for at, own in zip(levels, rows, strict=True)
        ]
        joined = xp.concat(parts, axis=0)
        return xp.reshape(joined[_index(np.argsort(order, kind="stable"), y), ...], x.shape)

    def __repr__(self) -> str:
        return f"Problem({self.name!r}, dim={self.dim}, sde={self.sde!r}, t=[{self.t_min:g}, {self.t_max:g}])"


def _index(rows: Vector, y: Array) -> Array:
    return namespace(y).asarray(rows, device=y.device) if is_torch_array(y) else rows


def _times(t: Array, n: int) -> Vector:
    raw = t.detach().cpu().numpy() if hasattr(t, "detach") else t
    times = np.asarray(raw, dtype=np.float64).reshape(-1)
    if times.size not in (1, n):
        raise bad("t", f"{times.size} times", f"one, or {n}, one a row", "pass a scalar or (n,)")
    if times.size > 1 and (times == times[0]).all():
        return times[:1]
    return times


def _noise(n: int, dim: int, rng: Any) -> tuple[Array, Array]:
    if isinstance(rng, np.random.Generator):
        return rng.random(n), rng.standard_normal((n, dim))
    if type(rng).__module__.split(".")[0] == "torch":
        from ._noise_torch import noise

        return noise(n, dim, rng)
    raise bad("rng", type(rng).__name__, "a numpy.random.Generator or a torch.Generator", "make one")


class _Table(Mapping[str, Problem]):
    """Named problems, each built when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Problem] = {}

    def __getitem__(self, name: str) -> Problem:
        from .problem_table import BUILDERS

        if name not in BUILDERS:
            raise KeyError(f"problem: got {name!r}, wanted one of {', '.join(BUILDERS)}; correct the name")
        if name not in self._made:
            self._made[name] = BUILDERS[name]()
        # A copy: two runs must not share a counter of evaluations.
        return self._made[name].fresh()

    def __iter__(self) -> Iterator[str]:
        from .problem_table import BUILDERS

        return iter(BUILDERS)

    def __len__(self) -> int:
        from .problem_table import BUILDERS

        return len(BUILDERS)


PROBLEMS: Mapping[str, Problem] = _Table()
