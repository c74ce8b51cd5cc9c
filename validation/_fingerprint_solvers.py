"""Steps of the reference solvers, as they are published, with the places where a pen slips."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..theory.protocols import Vector
from ._fingerprint_course import Course, Level, Slip
from ._fingerprint_slips import (
    DATA,
    DOWN,
    DRIFT,
    HISTORY,
    KEPT,
    LEVEL,
    MIDDLE,
    NOISE,
    ROOT,
    SCALE,
    SINGLE,
    STAGE,
    TIME_STEP,
)

Step = Callable[[Course, Vector, Level, Level], Vector]


def euler_maruyama(c: Course, x: Vector, t: Level, s: Level) -> Vector:
    """``x - h (f x - g^2 score) + g sqrt(h) z`` (Song et al. 2021, App. D)."""
    h, at = c.size(t, s), s if c.slip.late else t
    g = at.diffusion
    pull = g if c.slip.bare else g * g
    out = x - h * (c.slip.drift * at.drift * x - pull * c.score(x, t))
    deviation = {"step": g * h, "bare": g}.get(c.slip.noise, g * math.sqrt(h))
    return out + c.draw(deviation, single=deviation)


def flow_euler(c: Course, x: Vector, t: Level, s: Level) -> Vector:
    """Euler's rule on the probability flow."""
    h, at = c.size(t, s), s if c.slip.late else t
    g = at.diffusion if c.slip.bare else at.diffusion**2
    return x - h * (c.slip.drift * at.drift * x - 0.5 * g * c.score(x, t))


def ddim(eta: float) -> Step:
    """``scale_s x0 + sqrt(sd_s^2 - c^2) eps + c z`` (Song, Meng & Ermon 2021, Eq. 12)."""

    def step(c: Course, x: Vector, t: Level, s: Level) -> Vector:
        _, v = c.truth.between(t.t, s.t)
        added = eta * math.sqrt(v) * s.sd / t.sd
        kept = {"whole": s.sd, "start": t.sd}.get(c.slip.kept)
        if kept is None:
            kept = math.sqrt(max(s.sd**2 - added**2, 0.0))
        out = s.scale * c.data(x, t) + kept * c.noise(x, t)
        return out + c.draw(added, single=added) if added > 0 else out

    return step


def euler_sigma(c: Course, x: Vector, t: Level, s: Level) -> Vector:
    """Euler's rule in ``kappa`` with the slope taken from the denoiser: DDIM, written otherwise."""
    return s.scale * (x / t.scale + (s.kappa - t.kappa) * _slope(c, x, t))


def ancestral(*, forward: bool) -> Step:
    """``(x + v score) / a + c z``, c^2 the posterior or the forward variance (Ho et al. 2020, Eq. 7 and 11)."""

    def step(c: Course, x: Vector, t: Level, s: Level) -> Vector:
        a, v = c.truth.between(t.t, s.t)
        pull = math.sqrt(v) if c.slip.bare else v
        out = x + pull * c.score(x, t)
        out = out if c.slip.unscaled else out / a
        deviation = math.sqrt(v) * (1.0 if forward else s.sd / t.sd)
        return out + c.draw(deviation, single=deviation) if s.sd > 0 else out

    return step


def sigma_ancestral(c: Course, x: Vector, t: Level, s: Level) -> Vector:
    """Euler's rule in ``kappa`` to ``kappa_down``, then noise up to ``kappa_s`` (k-diffusion, ``euler_ancestral``)."""
    up = s.kappa * math.sqrt(max(t.kappa**2 - s.kappa**2, 0.0)) / t.kappa
    down = s.kappa if c.slip.kept == "whole" else s.kappa**2 / t.kappa
    out = s.scale * (x / t.scale + (down - t.kappa) * _slope(c, x, t))
    return out + s.scale * c.draw(up, single=up) if s.sd > 0 else out


def heun_t(c: Course, x: Vector, t: Level, s: Level) -> Vector:
    """Heun's rule on the probability flow in t."""
    h = c.size(t, s)
    here = c.velocity(x, t)
    there = _second(c, x, x - h * here, t, s, c.velocity)
    return x - h * _mean(c, here, there)


def heun_sigma(c: Course, x: Vector, t: Level, s: Level) -> Vector:
    """Heun's rule in ``kappa`` (Karras et al. 2022, Algorithm 1)."""
    u, h = x / t.scale, s.kappa - t.kappa
    here = _slope(c, x, t)
    if s.sd == 0:
        return s.scale * (u + h * here)
    there = _second(c, u, u + h * here, t, s, lambda v, at: _slope(c, at.scale * v, at))
    return s.scale * (u + h * _mean(c, here, there))


def midpoint_t(c: Course, x: Vector, t: Level, s: Level) -> Vector:
    """The midpoint rule on the probability flow in t."""
    h = c.size(t, s)
    part = h if c.slip.stage == "whole" else h / 2
    middle = c.truth.at(t.t - h / 2)
    stage = x - part * c.velocity(x, t)
    return x - h * _second(c, x, stage, t, middle, c.velocity)


def dpm_2(c: Course, x: Vector, t: Level, s: Level) -> Vector:
    """DPM-Solver-2: the slope in ``kappa`` at the geometric middle (Lu et al. 2022a, Algorithm 1)."""
    if s.sd == 0:
        return s.scale * (x / t.scale - t.kappa * _slope(c, x, t))
    middle = c.truth.at(c.truth.middle(math.sqrt(t.kappa * s.kappa)))
    goal = s if c.slip.stage == "whole" else middle
    u = x / t.scale
    stage = u + (goal.kappa - t.kappa) * _slope(c, x, t)
    there = _second(c, u, stage, t, middle, lambda v, at: _slope(c, at.scale * v, at))
    return s.scale * (u + (s.kappa - t.kappa) * there)


def dpm_pp_2s(c: Course, x: Vector, t: Level, s: Level) -> Vector:
    """DPM-Solver++(2S): the prediction of data at the middle in log-SNR (Lu et al. 2022b, Algorithm 1)."""
    if s.sd == 0:
        return s.scale * c.data(x, t)
    middle = c.truth.at(c.truth.middle(math.sqrt(t.kappa * s.kappa)))
    goal = s if c.slip.stage == "whole" else middle
    stage = _exponential(x, t, goal, c.data(x, t)) * (middle.scale / goal.scale)
    return _exponential(x, t, s, _second(c, x, stage, t, middle, c.data))


def dpm_pp_2m(c: Course, x: Vector, t: Level, s: Level) -> Vector:
    """DPM-Solver++(2M) (Lu et al. 2022b, Algorithm 2)."""
    here = c.data(x, t)
    if s.sd == 0:
        return s.scale * here
    earlier = _earlier(c, t, here)
    if earlier is not None:
        back, past = earlier
        w = _weight(c, math.log(back.kappa / t.kappa) / math.log(t.kappa / s.kappa))
        here = (1 + w) * here - w * past
    return _exponential(x, t, s, here)


def adams_exponential(c: Course, x: Vector, t: Level, s: Level) -> Vector:
    """The same with the exact integral of the line through two predictions of data."""
    here = c.data(x, t)
    if s.sd == 0:
        return s.scale * here
    h = math.log(t.kappa / s.kappa)
    out = _exponential(x, t, s, here)
    earlier = _earlier(c, t, here)
    if earlier is not None:
        back, past = earlier
        w = _weight(c, math.log(back.kappa / t.kappa) / h)
        out = out + s.scale * 2 * w * (1 + math.expm1(-h) / h) * (here - past)
    return out


def sde_dpm_pp_2m(c: Course, x: Vector, t: Level, s: Level) -> Vector:
    """SDE-DPM-Solver++(2M), the midpoint form (Lu et al. 2022b, Appendix)."""
    here = c.data(x, t)
    if s.sd == 0:
        return s.scale * here
    h = math.log(t.kappa / s.kappa)
    earlier = _earlier(c, t, here)
    if earlier is not None:
        back, past = earlier
        w = _weight(c, math.log(back.kappa / t.kappa) / h)
        here = (1 + w) * here - w * past
    out = s.sd / t.sd * math.exp(-h) * x - s.scale * math.expm1(-2 * h) * here
    deviation, single = (s.sd * math.sqrt(-math.expm1(-k * h)) for k in (2, 1))
    return out + c.draw(deviation, single=single)


def adams_sigma(c: Course, x: Vector, t: Level, s: Level) -> Vector:
    """Two-step Adams-Bashforth in ``kappa``: the linear multistep of k-diffusion at order 2."""
    here = _slope(c, x, t)
    h = s.kappa - t.kappa
    slope, earlier = here, _earlier(c, t, here)
    if earlier is not None:
        back, past = earlier
        w = _weight(c, (t.kappa - back.kappa) / h)
        slope = (1 + w) * here - w * past
    return s.scale * (x / t.scale + h * slope)


def exponential_euler(c: Course, x: Vector, t: Level, s: Level) -> Vector:
    """Linear part and noise exact, the score frozen (Zhang & Chen 2023, Eq. 8), on the reverse SDE."""
    a, v = c.truth.between(t.t, s.t)
    out = x / a + c.truth.frozen(t.t, s.t) * c.score(x, t)
    deviation = math.sqrt(v) / a
    return out + c.draw(deviation, single=math.sqrt(v))


def corrected(c: Course, x: Vector, t: Level, s: Level) -> Vector:
    """An ancestral step and one Langevin step of ratio 0.1 at its end (Song et al. 2021, Algorithms 4 and 5)."""
    a, v = c.truth.between(t.t, s.t)
    posterior = math.sqrt(v) * s.sd / t.sd
    y = (x + v * c.score(x, t)) / a + c.draw(posterior, single=posterior)
    if s.sd == 0:
        return y
    h = 2 * (0.1 * s.sd) ** 2
    return y + h * c.score(y, s) + c.draw(math.sqrt(2 * h), single=math.sqrt(h))


@dataclass(frozen=True)
class Reference:
    """A published solver.

    Attributes:
        name: as reports call it.
        step: one step.
        order: of the law's error.
        slips: those that its formula has room for, beyond those that all have.
        draws: of noise, in one step.
    """

    name: str
    step: Step
    order: float
    slips: tuple[Slip, ...] = ()
    draws: int = 0


REFERENCES = (
    Reference("Euler-Maruyama", euler_maruyama, 1.0, DRIFT + TIME_STEP + NOISE + ROOT, draws=1),
    Reference("Euler on the probability flow", flow_euler, 1.0, DRIFT + TIME_STEP),
    Reference("DDIM", ddim(0.0), 1.0, DATA + LEVEL),
    Reference("Euler in sigma", euler_sigma, 1.0, DATA),
    Reference("DDIM with eta = 1", ddim(1.0), 1.0, DATA + KEPT + NOISE, draws=1),
    Reference("DDIM with eta = 0.5", ddim(0.5), 1.0, NOISE, draws=1),
    Reference("DDPM, posterior variance", ancestral(forward=False), 1.0, SCALE + NOISE, draws=1),
    Reference("DDPM, forward variance", ancestral(forward=True), 1.0, SCALE + NOISE, draws=1),
    Reference("ancestral Euler in sigma", sigma_ancestral, 1.0, DATA + NOISE + DOWN, draws=1),
    Reference("Heun in t", heun_t, 2.0, DRIFT + STAGE),
    Reference("Heun in sigma", heun_sigma, 2.0, DATA + STAGE),
    Reference("the midpoint rule in t", midpoint_t, 2.0, DRIFT + MIDDLE),
    Reference("DPM-Solver-2", dpm_2, 2.0, DATA + MIDDLE),
    Reference("DPM-Solver++(2S)", dpm_pp_2s, 2.0, DATA + MIDDLE),
    Reference("DPM-Solver++(2M)", dpm_pp_2m, 2.0, DATA + HISTORY),
    Reference("exponential Adams-Bashforth", adams_exponential, 2.0, DATA + HISTORY),
    Reference(
        "SDE-DPM-Solver++(2M)", sde_dpm_pp_2m, 2.0, DATA + HISTORY + NOISE + SINGLE, draws=1
    ),
    Reference("Adams-Bashforth in sigma", adams_sigma, 2.0, DATA + HISTORY),
    Reference(
        "exponential Euler on the reverse SDE", exponential_euler, 1.0, NOISE + SINGLE, draws=1
    ),
    Reference(
        "ancestral steps with a Langevin corrector (biased by design)",
        corrected,
        1.0,
        NOISE + SINGLE,
        draws=2,
    ),
)


def _slope(c: Course, x: Vector, at: Level) -> Vector:
    """``(u - x0) / kappa``, ``u = x / scale``: the slope in ``kappa``."""
    return (x / at.scale - c.data(x, at)) / at.kappa


def _exponential(x: Vector, t: Level, s: Level, data: Vector) -> Vector:
    """The step with clean data held: ``(sd_s / sd_t) x + scale_s (1 - e^-h) x0``."""
    return s.sd / t.sd * x + s.scale * (1 - s.kappa / t.kappa) * data


def _second(
    c: Course, x: Vector, stage: Vector, t: Level, at: Level, field: Callable[[Vector, Level], Vector]
) -> Vector:  # fmt: skip
    slip = c.slip.stage
    return field(x if slip == "point" else stage, t if slip == "time" else at)


def _mean(c: Course, here: Vector, there: Vector) -> Vector:
    if c.slip.stage == "second":
        return there
    return (here + there) * (1.0 if c.slip.stage == "sum" else 0.5)


def _earlier(c: Course, t: Level, here: Vector) -> tuple[Level, Vector] | None:
    """The prediction that the rule takes for that of the step before; the one here is kept."""
    past = list(c.past)
    c.past.insert(0, (t, here))
    if not past:
        return None
    chosen = {"stale": past[min(1, len(past) - 1)], "frozen": past[-1]}.get(
        c.slip.history, past[0]
    )
    return past[0][0], chosen[1]


def _weight(c: Course, r: float) -> float:
    """``1 / (2 r)`` before the difference of two predictions, ``r`` the ratio of the last step to this one."""
    slip = c.slip.history
    w = {"inverted": r / 2, "unhalved": 1 / r, "constant": 0.5}.get(slip, 1 / (2 * r))
    if slip == "swapped":
        return -1 - w  # (1 + w) of the old one, -w of the new one
    return -w if slip == "sign" else w
