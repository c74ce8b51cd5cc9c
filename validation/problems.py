"""Problems: a data law, a diffusion and a time interval, with exact truth for user code to be fed with.

A problem shows itself to a sampler as a score model would: ``score``, ``denoiser``, ``noise`` or
``velocity`` of ``x`` ``(n, *shape)`` at time ``t`` (a scalar or ``(n,)``). Every call of any of the four
counts as one evaluation. :data:`PROBLEMS` is the table of named problems; it is also the table of examples
that the tests run over.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np

from ..numerics.convolved import diffused
from ..numerics.noise_log import drawing
from ..numerics.rng import draw
from ..numerics.solver_grids import KarrasGrid
from ..theory._checks import bad
from ..theory.arrays import host, is_torch_array, like, namespace
from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Array, Vector
from ..theory.sde import LinearSDE
from ._problem_fields import (
    DENOISER,
    NOISE,
    SCORE,
    VELOCITY,
    Field,
    by_rows,
    like_start,
    row_times,
)

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
            ``N(0, s^2 I)`` of samplers, ``s^2`` the variance that the diffusion has added by ``t_max``.

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
            raise bad(
                "law", type(law).__name__, "a law with dim and score", "see scoreproof.theory"
            )
        if not isinstance(sde, LinearSDE):
            raise bad("sde", type(sde).__name__, "a LinearSDE", "see scoreproof.theory, e.g. VP()")
        begin = _time(t_min, "t_min")
        end = sde.t_max if t_max is None else _time(t_max, "t_max")
        if not 0 < begin < end <= sde.t_max * (1 + 1e-12):
            raise bad(
                "t_min, t_max",
                f"{begin:g}, {end:g}",
                f"0 < t_min < t_max <= {sde.t_max:g}",
                "t = 0 is data, where the score need not exist",
            )
        space = (law.dim,) if shape is None else tuple(int(k) for k in shape)
        if int(np.prod(space)) != law.dim or min(space, default=1) < 1:
            raise bad(
                "shape", space, f"{law.dim} numbers in all", "match the dimension of the law"
            )
        if start not in ("marginal", "prior"):
            raise bad("start", repr(start), "'marginal' or 'prior'", "correct it")
        self.name, self.law, self.sde = name, law, sde
        self.t_min, self.t_max, self.shape, self.start = begin, end, space, start
        self.evaluations = 0  #: calls of the four fields, of whatever number of rows
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
        key = float(t)
        if key not in self._marginals:
            self._marginals[key] = diffused(self.law, self.sde, key)
            while len(self._marginals) > _KEPT:
                self._marginals.popitem(last=False)
        return self._marginals[key]

    def score(self, x: Array, t: Array) -> Array:
        """``grad log p_t(x)`` of ``x`` ``(n, *shape)`` at ``t``, a number or ``(n,)``, in the shape of ``x``."""
        return self._field(SCORE, x, t)

    def denoiser(self, x: Array, t: Array) -> Array:
        """``E[x_0 | x_t = x]``, arguments as in :meth:`score`."""
        return self._field(DENOISER, x, t)

    def noise(self, x: Array, t: Array) -> Array:
        """``E[eps | x_t = x] = -sd(t) score``, arguments as in :meth:`score`."""
        return self._field(NOISE, x, t)

    def velocity(self, x: Array, t: Array) -> Array:
        """``f x - g^2/2 score``, the velocity of the probability flow in forward time."""
        return self._field(VELOCITY, x, t)

    def prior(self, n: int, *, rng: Any) -> Array:
        """``n`` starting points ``(n, *shape)`` at ``t_max``; a torch generator gives tensors."""
        if self.start == "marginal":
            return self._draw(self.marginal(self.t_max), n, rng, start=True)
        std = float(self.sde.kernel(self.t_max).std)
        with drawing(start=True, idle_uniforms=True):
            _, z = _noise(n, self.dim, rng)
        return std * z.reshape((n, *self.shape))

    def data(self, n: int, *, t: float = 0.0, rng: Any) -> Array:
        """``n`` exact draws ``(n, *shape)`` of the law of ``x_t``."""
        return self._draw(self.law if t == 0 else self.marginal(t), n, rng)

    def times(self, steps: int) -> Vector:
        """``steps + 1`` decreasing times from ``t_max`` to ``t_min``.

        They are spaced as in Karras et al. 2022, Eq. 5, with rho = 7 in the noise level
        ``sd(t) / scale(t)``; see :class:`..numerics.solver_grids.KarrasGrid`.

        Raises:
            ValueError: ``steps`` is not a positive integer.
        """
        return KarrasGrid(self.sde, self.t_max, self.t_min).times(steps)

    def flow_map(self, x: Array, t: float, s: float) -> Array:
        """The exact probability-flow map from time ``t`` to time ``s``, in either direction.

        Gaussian laws in closed form; one-dimensional laws by ``F_s^{-1}(F_t(x))``; otherwise by an ordinary
        differential equation solved to a relative tolerance of 1e-11. It works in float64; tensors come
        back as tensors, cut from any gradient. No evaluation is counted.

        Args:
            x: points ``(n, *shape)`` at time ``t``.
            t: start, in ``(0, t_max]`` of the diffusion.
            s: end, likewise.

        Raises:
            ValueError: a wrong shape, or times out of range.
            ArithmeticError: the integrator gave up.
        """
        from .flow_map import flow_map

        self._check_shape(x)
        y = np.asarray(host(x), dtype=np.float64).reshape(-1, self.dim)
        moved = flow_map(self, y, float(t), float(s)).reshape(np.shape(host(x)))
        return like(moved, x) if is_torch_array(x) else moved

    def _draw(self, law: Any, n: int, rng: Any, *, start: bool = False) -> Array:
        inner = getattr(law, "law", law)
        idle = isinstance(inner, GaussianMixture) and inner.components == 1
        with drawing(start=start, idle_uniforms=idle):
            return self._drawn(law, n, rng)

    def _drawn(self, law: Any, n: int, rng: Any) -> Array:
        if isinstance(rng, np.random.Generator):
            return draw(law, n, rng=rng).reshape((n, *self.shape))
        u, z = _noise(n, self.dim, rng)
        if hasattr(getattr(law, "law", law), "basis"):
            return law.transport(u, z).reshape((n, *self.shape))
        # Laws whose transport is numpy only: a numpy generator is seeded from the torch one.
        seed = np.random.SeedSequence(np.asarray(host(u[:4]), dtype=np.float64).view(np.uint64))
        points = draw(law, n, rng=np.random.default_rng(seed))
        return like_start(points.reshape((n, *self.shape)), z)

    def _check_shape(self, x: Array) -> None:
        namespace(x)
        if tuple(x.shape[1:]) != self.shape or x.ndim != 1 + len(self.shape):
            raise bad(
                "x",
                f"shape {tuple(x.shape)}",
                f"(n, {', '.join(map(str, self.shape))})",
                "the first axis is the batch",
            )

    def _field(self, field: Field, x: Array, t: Array) -> Array:
        self._check_shape(x)
        self.evaluations += 1
        times = row_times(t, x.shape[0])
        if x.shape[0] == 0:
            return x
        xp = namespace(x)
        rows = xp.reshape(x, (x.shape[0], self.dim))
        return xp.reshape(by_rows(field, self.marginal, rows, times, self.sde), x.shape)

    def __getstate__(self) -> dict[str, Any]:
        """Without the marginals, which can be made again: a copy in another process starts light."""
        return {**self.__dict__, "_marginals": OrderedDict()}

    def __repr__(self) -> str:
        return f"Problem({self.name!r}, dim={self.dim}, sde={self.sde!r}, t=[{self.t_min:g}, {self.t_max:g}])"


def _time(value: Any, argument: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise bad(argument, repr(value)[:60], "a number", "pass a time") from None


def _noise(n: int, dim: int, rng: Any) -> tuple[Array, Array]:
    if int(n) != n or n < 0:
        raise bad("n", n, "a number of draws, zero or more", "pass an integer")
    if isinstance(rng, np.random.Generator):
        return rng.random(n), rng.standard_normal((n, dim))
    if type(rng).__module__.split(".")[0] == "torch":
        from ._noise_torch import noise

        return noise(n, dim, rng)
    raise bad(
        "rng",
        type(rng).__name__,
        "a numpy.random.Generator or a torch.Generator",
        "pass numpy.random.default_rng(0)",
    )


class _Table(Mapping[str, Problem]):
    """Named problems, each built when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Problem] = {}

    def __getitem__(self, name: str) -> Problem:
        from .problem_table import BUILDERS

        if name not in BUILDERS:
            raise KeyError(
                f"problem: got {name!r}, wanted one of {', '.join(BUILDERS)}; correct the name"
            )
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
