"""The samplers of azula, with the exact denoiser on their own schedule.

With ``y = x / alpha`` any schedule is ``y = x_0 + (sigma/alpha) eps``: the truth is stated in that form, and states go
to azula and back by the factor alpha.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

from ...theory._checks import bad
from ...theory.diffusions import EDM
from ...theory.protocols import Array
from ..problems import Problem
from .adapter import Adapter, Gaps, library
from .watch import Ask, watched

_INSTALL = "pip install 'scoreproof[azula]'"
_OWN: dict[str, Any] = {"schedule": "VPSchedule", "start": "marginal"}
_SCHEDULE = ("alpha_min", "sigma_min", "sigma_max", "gamma")
_FIRST = "order: The order :math:`n` of the multi-step method."
#: Class: order (None: the option ``order``) and the sentence of its docstring.
_ORDERS: dict[str, tuple[float | None, str]] = {
    "EulerSampler": (1.0, "Creates a explicit Euler (1st order) sampler."),
    "HeunSampler": (2.0, "Creates a explicit Heun (2nd order) sampler."),
    "zABSampler": (None, _FIRST),
    "vABSampler": (None, _FIRST),
    "zEABSampler": (None, _FIRST),
    "xEABSampler": (None, _FIRST),
    "REABSampler": (None, _FIRST),
}


def adapter(name: str, options: dict[str, Any], target: str) -> AzulaAdapter:
    """The adapter of a class.

    Args:
        name: class of ``azula.sample``.
        options: of its constructor, of its schedule, ``schedule`` (a class of ``azula.noise``) and ``start``
            (``marginal`` or ``prior``).
        target: as the user wrote it.

    Raises:
        ValueError: no such class or option, or a library that is not there.
    """
    module = library("azula.sample", install=_INSTALL)
    made = getattr(module, name, None)
    if not isinstance(made, type) or not name.endswith("Sampler") or name == "Sampler":
        known = [k for k in module.__all__ if k != "Sampler"]
        raise bad("target", target, f"one of {', '.join(known)}", "correct the name")
    return AzulaAdapter(name, options, target)


class AzulaAdapter(Adapter):
    """A sampler of azula; its model decodes the time by the schedule that the sampler steps by, so one clock.

    Args:
        kind: name of the class.
        options: see :func:`adapter`.
        target: as the user wrote it.
    """

    def __init__(self, kind: str, options: dict[str, Any], target: str) -> None:
        self.name, self._kind = target, kind
        made = getattr(library("azula.sample", install=_INSTALL), kind)
        noise = library("azula.noise", install=_INSTALL)
        self._start = options.get("start", "marginal")
        wanted = str(options.get("schedule", _OWN["schedule"]))
        self._named = wanted if wanted.endswith("Schedule") else f"{wanted}Schedule"
        known = [k for k in dir(noise) if k.endswith("Schedule") and k != "Schedule"]
        if self._named not in known:
            raise bad("target", f"schedule={wanted}", ", ".join(known), "correct it")
        takes = inspect.signature(made).parameters
        shaped = inspect.signature(getattr(noise, self._named)).parameters
        self._schedule = {k: options[k] for k in _SCHEDULE if k in options and k in shaped}
        rest = {k: v for k, v in options.items() if k not in _OWN and k not in self._schedule}
        taken = {*takes, "start", "stop"} - {"denoiser", "kwargs"}
        unknown = [k for k in rest if k not in taken]
        if unknown:
            all_of = ", ".join(sorted({*taken, *_OWN, *shaped}))
            raise bad("target", f"option {unknown[0]!r} in {target!r}", all_of, "correct it")
        self._options = rest
        self._high, self._low = self._level(1.0), self._level(0.0)
        self._sde = EDM(self._high * (1 + 1e-6))
        default = {"DDIMSampler": 0.0, "ItoSampler": 1.0}.get(kind)
        eta = rest.get("eta", default)
        noisy = kind in ("DDPMSampler", "PCSampler") or bool(eta)
        self.deterministic = not noisy
        self._exact = kind not in ("ItoSampler", "REABSampler")
        if not self._exact:
            self.no_clock = (
                "the model decodes the time by the sampler's own schedule, and steps of its formula are not exact "
                "for one point of data"
            )
        if kind in _ORDERS:
            order, sentence = _ORDERS[kind]
            self.order = float(rest.get("order", 2)) if order is None else order
            self.order_quote = f"“{sentence}” (docstring of azula.sample.{kind})"

    def truth(self, problem: Problem) -> Problem:
        """The law under ``x_0 + (sigma/alpha) eps``, over the levels of the schedule."""
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
        """``n`` draws of ``steps`` steps."""
        truth = self.truth(problem)
        out = self._play(truth.prior(n, rng=rng), truth.denoiser, steps)
        if truth is not problem:
            problem.evaluations += truth.evaluations
        return out

    def readings(self, problem: Problem, steps: int) -> tuple[Gaps, ...]:
        """The level of the state at each call, against that of the time told."""
        if not self._exact:
            return ()  # see no_clock

        def play(start: Any, ask: Ask, rng: Any) -> None:
            self._play(start(self._high), ask, steps)

        return watched(play)

    def _play(self, y: Array, denoise: Any, steps: int) -> Array:
        import torch

        sample: Any = library("azula.sample", install=_INSTALL)
        posterior = library("azula.denoise", install=_INSTALL).DiracPosterior
        schedule = self._made_schedule()

        class Exact(library("azula.denoise", install=_INSTALL).Denoiser):
            def __init__(self) -> None:
                super().__init__()
                self.schedule = schedule

            def forward(self, x_t: Array, t: Array, **named: Any) -> Any:
                alpha, sigma = (float(v.reshape(-1)[0]) for v in schedule(t))
                return posterior(mean=denoise(x_t / alpha, sigma / alpha))

        sampler = getattr(sample, self._kind)(
            Exact(), steps=steps, silent=True, dtype=torch.float64, **self._options
        )
        first, last = (
            float(schedule(torch.tensor(t, dtype=torch.float64))[0]) for t in (1.0, 0.0)
        )
        return sampler(y * first) / last

    def _made_schedule(self) -> Any:
        noise = library("azula.noise", install=_INSTALL)
        return getattr(noise, self._named)(**self._schedule)

    def _level(self, t: float) -> float:
        import torch

        alpha, sigma = self._made_schedule()(torch.tensor(t, dtype=torch.float64))
        level = float(sigma) / float(alpha)
        if not (math.isfinite(level) and level > 0):
            wanted = "sigma / alpha positive and finite at both ends"
            raise bad(
                "target", f"{self._named} with {level:g} at t = {t:g}", wanted, "raise the ends"
            )
        return level
