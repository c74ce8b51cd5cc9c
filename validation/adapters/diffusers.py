"""Every scheduler of diffusers on continuous states, driven as its users drive it.

The truth is the diffusion that the scheduler's own training schedule discretises, and the network is the exact
denoiser on it. Where a network trained on that schedule cannot be asked (discrete tokens, inversion, distilled maps)
the adapter refuses in one line.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...theory._checks import bad
from ...theory.protocols import Array
from ..problems import Problem
from .adapter import Adapter, Clock, Gaps, library
from .brownian import noise_sampler
from .diffusers_orders import declared
from .diffusers_refused import REFUSED
from .families import (
    Curve,
    Discrete,
    Family,
    Flow,
    Logged,
    Preconditioned,
    Rising,
    Trigonometric,
)

_INSTALL = "pip install 'scoreproof[diffusers]'"
_OWN = {"clock": ("t", "sigma"), "start": ("marginal", "prior")}
_CLIPS = ("clip_sample", "thresholding")

_REFINED = 256  #: timesteps in training, from which strides of 32, 16, 8, 4 and 2 make a ladder

#: ``(call, told time, what the network is handed) -> what it returns``
Model = Callable[[int, float, Array], Array]


def adapter(name: str, options: dict[str, Any], target: str) -> Adapter:
    """The adapter of a class name and options.

    Args:
        name: class of diffusers.
        options: of the constructor, of ``step``, and ``clock`` or ``start``.
        target: as the user wrote it.

    Raises:
        ValueError: no such class or option, or a scheduler that cannot be driven with an exact denoiser.
    """
    diffusers = library("diffusers", install=_INSTALL)
    if name in REFUSED:
        raise bad("target", target, "a scheduler on continuous states", REFUSED[name])
    if name == "ScoreSdeVeScheduler":
        from .diffusers_ve import ScoreVeAdapter

        return ScoreVeAdapter(diffusers.ScoreSdeVeScheduler, options, target)
    made = getattr(diffusers, name, None) if name.endswith("Scheduler") else None
    if not isinstance(made, type) or not hasattr(made, "step"):
        known = "a scheduler class of diffusers, e.g. DDIMScheduler"
        raise bad("target", target, known, "correct the name")
    return SchedulerAdapter(name, options, target)


class SchedulerAdapter(Adapter):
    """A scheduler of diffusers with an exact network.

    Args:
        kind: name of the class.
        options: see :func:`adapter`. ``clip_sample`` is off unless it is asked for: it is meant for images in
            ``[-1, 1]``, and the problems are not; the name shows it.
        target: as the user wrote it.
    """

    def __init__(self, kind: str, options: dict[str, Any], target: str) -> None:
        self._kind = kind
        made = self._class
        given = dict(options)
        own: dict[str, Any] = {}
        for key, choices in _OWN.items():
            own[key] = given.pop(key, choices[0])
            own[key] = "t" if own[key] == "timestep" else own[key]
            if own[key] not in choices:
                raise bad(
                    "target", f"{key}={own[key]}", f"{key}={'|'.join(choices)}", "correct it"
                )
        config, step = _split(made, given, target)
        self.name = target
        if "clip_sample" in inspect.signature(made).parameters and "clip_sample" not in config:
            config["clip_sample"] = False
            self.name += f"{'&' if '?' in target else '?'}clip_sample=False"
        self._config, self._step = config, step
        self.clock, self._start = own["clock"], own["start"]
        try:
            scheduler = made(**config)
        except Exception as error:
            said = (str(error).splitlines() or [""])[0][:200]
            got = f"{target}, whose constructor raised {type(error).__name__}: {said}"
            raise bad("target", got, "options that it takes", "correct them") from error
        self._template = scheduler  # copied for each run: some constructors take a second
        self._family = _family(scheduler, target)
        self.rungs = _rungs(made, config, self._family)
        self._two_clocks = self._family.unit == "timesteps" and hasattr(scheduler, "sigmas")
        self.order, self.order_quote, self.deterministic = declared(made, scheduler, step)

    @property
    def _class(self) -> Any:
        # By name: a copy in another process imports its own.
        return getattr(library("diffusers", install=_INSTALL), self._kind)

    def truth(self, problem: Problem) -> Problem:
        """The law of the problem under the scheduler's own diffusion."""
        family = self._family
        if problem.sde is family.sde:
            return problem
        return Problem(
            problem.name,
            problem.law,
            family.sde,
            t_min=family.t_min,
            shape=problem.shape,
            start=self._start,
        )

    def on(self, clock: Clock) -> SchedulerAdapter | None:
        """The same scheduler with the network on another clock; None where it holds no levels of its own."""
        if not self._two_clocks:
            return None
        other = copy.copy(self)
        other.clock = clock
        return other

    def __call__(self, problem: Problem, n: int, *, steps: int, rng: Any) -> Array:
        """``n`` draws: ``set_timesteps(steps)``, then ``scale_model_input``, the network and ``step`` at each."""
        truth = self.truth(problem)
        run = Run(copy.deepcopy(self._template), self._family, steps, self._step, rng)

        def model(call: int, told: float, handed: Array) -> Array:
            time = run.family.told(told) if self.clock == "t" else run.used(call)
            x = run.family.seen(handed, time)
            return run.family.output(truth.denoiser(x, time), x, time, run.kind)

        x = truth.prior(n, rng=rng)
        begin = run.used(0)
        if truth.start == "prior":
            spread = float(truth.sde.kernel(truth.t_max).std)
            x = x / spread * float(getattr(run.scheduler, "init_noise_sigma", 1.0))
        else:
            if begin < truth.t_max * (1 - 1e-9):
                x = truth.flow_map(x, truth.t_max, begin)
            x = x * run.family.factor(begin)
        for call in range(run.calls):
            x = run.step(call, x, model)
        if truth is not problem:
            problem.evaluations += truth.evaluations
        return x

    def readings(self, problem: Problem, steps: int) -> tuple[Gaps, ...]:
        """Compares what the network is told with the scheduler's own level, and with the state it is handed."""
        from .diffusers_clock import readings

        template = self._template
        return readings(lambda: copy.deepcopy(template), self._family, steps, self._step)


class Run:
    """One pass of a scheduler over its timesteps.

    Args:
        scheduler: a fresh one.
        family: its conventions.
        steps: for ``set_timesteps``.
        options: of ``step``.
        rng: generator for ``step``.
    """

    def __init__(
        self, scheduler: Any, family: Family, steps: int, options: dict[str, Any], rng: Any
    ) -> None:
        self.scheduler, self.family, self._rng = scheduler, family, rng
        scheduler.set_timesteps(steps)
        times = scheduler.timesteps
        # A schedule of continuous time lists its end, at which the network is not asked.
        self.told = [float(t) for t in (times[:-1] if isinstance(family, Curve) else times)]
        self.kind = str(getattr(scheduler.config, "prediction_type", None) or "epsilon")
        if isinstance(family, Flow):
            self.kind = "flow_prediction"
        elif isinstance(family, Trigonometric):
            self.kind = "v_prediction"
        takes = inspect.signature(scheduler.step).parameters
        self._named = dict(options)
        if "generator" in takes:
            self._named["generator"] = rng
        self._extra = [name for name in ("prev_timestep", "timestep_back") if name in takes]
        self._remembers = "old_pred_original_sample" in takes
        self._old: Any = None

    @property
    def calls(self) -> int:
        """Calls of the network."""
        return len(self.told)

    def used(self, call: int) -> float:
        """Time of the family's diffusion at the level that the scheduler itself uses at a call."""
        sigma = self._own(call)
        return self.family.told(self.told[call]) if sigma is None else self.family.level(sigma)

    def step(self, call: int, x: Array, model: Model) -> Array:
        """The state after one call of the network."""
        t = self.scheduler.timesteps[call]
        if isinstance(self.family, Curve):
            t = t.to(x.dtype).expand(len(x))
        if call == 0 and hasattr(self.scheduler, "noise_sampler"):
            # A Brownian tree, as a path on the generator that is given.
            self.scheduler.noise_sampler = noise_sampler(x, self._rng)
        out = model(call, self.told[call], self._scaled(x, t))
        named = dict(self._named, return_dict=False)
        if self._remembers:
            before = self.scheduler.timesteps[call - 1] if call else None
            made = self.scheduler.step(out, self._old, t, before, x, **named)
            self._old = made[1]
            return made[0]
        if "prev_timestep" in self._extra:
            last = call + 1 == self.calls
            named["prev_timestep"] = None if last else self.scheduler.timesteps[call + 1]
        return self.scheduler.step(out, t, x, **named)[0]

    def _scaled(self, x: Array, t: Any) -> Array:
        scale = getattr(self.scheduler, "scale_model_input", None)
        return x if scale is None else scale(x, t)

    def _own(self, call: int) -> float | None:
        """The scheduler's noise level: of the attributes that hold one, that by which it scales the input."""
        held = getattr(self.scheduler, "sigmas", None)
        if held is None or isinstance(self.family, Trigonometric):
            return None
        candidates = [float(held[call])] if call < len(held) else []
        if call and len(self.told) < 1000:
            middle = getattr(self.scheduler, "sigmas_interpol", None)
            if middle is not None and call < len(middle):
                candidates.append(float(middle[call]))
        mid = getattr(self.scheduler, "mid_point_sigma", None)
        if mid is not None:
            candidates.append(float(mid))
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        import torch

        one = torch.ones((1, 1), dtype=torch.float64)
        ratio = float(self._scaled(one, self.scheduler.timesteps[call]))
        wanted = math.sqrt(max(0.0, 1 / ratio**2 - 1))
        return min(candidates, key=lambda s: abs(s - wanted))


def _split(
    made: type, options: dict[str, Any], target: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the constructor and of ``step``."""
    builds = inspect.signature(made).parameters
    steps = inspect.signature(made.step).parameters  # type: ignore[attr-defined]
    config = {k: v for k, v in options.items() if k in builds}
    step = {k: v for k, v in options.items() if k not in builds and k in steps}
    unknown = [k for k in options if k not in config and k not in step]
    if unknown:
        taken = ", ".join(sorted(set(builds) | set(_OWN)))
        raise bad(
            "target", f"option {unknown[0]!r} in {target!r}", f"one of {taken}", "correct it"
        )
    return config, step


def _family(scheduler: Any, target: str) -> Family:
    """The conventions of a scheduler, from what it holds."""
    config = scheduler.config
    name = type(scheduler).__name__
    variance = str(getattr(config, "variance_type", ""))
    if variance.startswith("learned"):
        remedy = "choose a fixed variance_type: an exact network has no learned one"
        raise bad("target", target, "a fixed variance", remedy)
    if hasattr(config, "sigma_data"):
        cosine = name.startswith("Cosine")
        decode = _from_arc if cosine else _from_log
        return Preconditioned(config.sigma_max, config.sigma_min, config.sigma_data, decode)
    if config.get("invert_sigmas"):
        remedy = "leave invert_sigmas out: its network counts time the other way"
        raise bad("target", target, "a network that is told the level", remedy)
    flows = getattr(config, "use_flow_sigmas", False) or config.get("prediction_type") in (
        "flow_prediction",
    )
    if "FlowMatch" in name or name.startswith("LTX") or flows:
        flow = Flow(int(config.num_train_timesteps))
        flow.t_min = float(config.get("shift_terminal") or flow.t_min)
        return flow
    if name == "MiniMaxH3Scheduler":
        return Rising(1000)
    if name == "DDPMWuerstchenScheduler":
        return Curve(_cosine(config.s, config.scaler), 1e-3)
    if name == "IPNDMScheduler":
        return Trigonometric()
    signal = getattr(scheduler, "alphas_cumprod", None)
    if signal is None:
        raise bad("target", target, "a scheduler with alphas_cumprod", "it is not driven yet")
    continuous = config.get("timestep_type") == "continuous"
    made = Logged if continuous and config.prediction_type == "v_prediction" else Discrete
    family = made(np.asarray(signal, dtype=np.float64), explodes=_explodes(scheduler))
    if config.get("sigma_min"):  # the end of the grid, where its user names it
        family.t_min = family.level(float(config.sigma_min))
    return family


def _rungs(made: Any, config: dict[str, Any], family: Family) -> tuple[int, ...] | None:
    """Step counts at which the grid of a scheduler is refined by halves, as far as whole timesteps allow it."""
    scheduler = made(**config)
    trained = int(getattr(scheduler.config, "num_train_timesteps", 0) or 0)
    if trained < _REFINED or family.unit != "timesteps":
        return None
    if getattr(scheduler.config, "timestep_spacing", "") == "leading":
        return tuple(trained // 2**k for k in (5, 4, 3, 2, 1, 0))
    try:
        scheduler.set_timesteps(8)
    except Exception:  # grids that want more than a step count, which a run will say
        return None
    told = [family.tick(family.told(float(t))) for t in scheduler.timesteps]
    # Grids that hold both ends of training have one stride less than points.
    both = min(told) <= family.tick(1 / trained) + 0.5 and max(told) >= trained - 1.5
    return tuple(2**k + both for k in (4, 5, 6, 7, 8, 9))


def _explodes(scheduler: Any) -> bool:
    """Whether inputs are scaled before the network sees them."""
    import torch

    probe = copy.deepcopy(scheduler)
    probe.set_timesteps(4)
    one = torch.ones((1, 1), dtype=torch.float64)
    return float(probe.scale_model_input(one, probe.timesteps[0])) != 1.0


def _cosine(s: float, scaler: float) -> Callable[[float], float]:
    """``abar`` of Nichol and Dhariwal 2021, Eq. 17, clamped as the scheduler clamps it."""

    def signal(t: float) -> float:
        u = 1 - (1 - t) ** scaler if scaler > 1 else t**scaler
        start, now = (math.cos((v + s) / (1 + s) * 0.5 * math.pi) for v in (0.0, u))
        return min(max((now / start) ** 2, 1e-4), 0.9999)

    return signal


def _from_log(told: float) -> float:
    return math.exp(4 * told)


def _from_arc(told: float) -> float:
    return math.tan(0.5 * math.pi * told)
