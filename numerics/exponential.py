"""Exponential integrators of the reverse family: one multistep rule that holds most named fast samplers.

With ``kappa = sd/alpha``, ``lambda = -log kappa`` and the prediction of clean data ``D`` or of noise ``eps``, the
reverse family of :mod:`.solvers` is solved by variation of constants; from t down to s, ``h = lambda_s - lambda_t``,

    x_s = (sd_s/sd_t) e^(-eta^2 h) x + (1 + eta^2) alpha_s int_0^h e^(-(1 + eta^2) v) D dv
          + sd_s sqrt(1 - e^(-2 eta^2 h)) z
    x_s = (alpha_s/alpha_t) x - (1 + eta^2) alpha_s int_{kappa_s}^{kappa_t} eps dkappa
          + eta sd_s sqrt(e^(2h) - 1) z

(``v`` runs back from s). A rule puts a polynomial in the place of D or eps, in a chosen variable, through values that
are known: of the step before (multistep) or of stages within the step (singlestep). The integrals of the Lagrange
polynomials are taken by Gauss-Legendre quadrature, so that a rule is determined by its nodes alone.

| published as | parameters |
|---|---|
| DDIM (Song, Meng & Ermon 2021) | order 1 |
| DPM-Solver 2, 3 singlestep (Lu et al. 2022a) | :class:`ExponentialSinglestep`, noise |
| DPM-Solver++ 2S, 2M, 3M and their SDE forms (Lu et al. 2022b) | data; ``eta`` 0 or 1 |
| UniPC (Zhao et al. 2023) | ``corrector=True`` |
| DEIS-tAB (Zhang & Chen 2023) | noise, ``variable="time"`` |
| Adams-Bashforth in sigma, "LMS" (Liu et al. 2022; Karras et al. 2022) | noise, ``variable="noise-level"`` |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from ..theory._checks import bad
from ..theory.protocols import Array, Vector
from ..theory.sde import LinearSDE
from .rng import normal_like
from .solvers import Score, Solver

Prediction = Literal["data", "noise"]
Variable = Literal["log-snr", "noise-level", "time"]

#: Lagrange polynomials of degree 4 times an exponential over steps of up to h = 8: error below 1e-14.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)


@dataclass(frozen=True)
class Rule:
    """What is interpolated, in which variable, and how much noise is added.

    Attributes:
        prediction: clean data or noise.
        variable: of the polynomial: ``lambda``, ``kappa`` or ``t``.
        eta: 0 the probability flow, 1 the reverse SDE.
    """

    prediction: Prediction = "data"
    variable: Variable = "log-snr"
    eta: float = 0.0

    def __post_init__(self) -> None:
        if self.prediction not in ("data", "noise"):
            raise bad("prediction", repr(self.prediction), '"data" or "noise"', "pick one")
        if self.variable not in ("log-snr", "noise-level", "time"):
            wanted = '"log-snr", "noise-level" or "time"'
            raise bad("variable", repr(self.variable), wanted, "pick one")
        if not (math.isfinite(self.eta) and self.eta >= 0):
            raise bad("eta", self.eta, "zero or more", "0 is deterministic, 1 the reverse SDE")

    def predict(self, x: Array, t: float, *, score: Score, sde: LinearSDE) -> Array:
        """``D = (x + sd^2 score) / alpha`` or ``eps = -sd score`` at time t."""
        kernel = sde.kernel(t)
        if self.prediction == "noise":
            return -float(kernel.std) * score(x, t)
        return (x + float(kernel.variance) * score(x, t)) / float(kernel.scale)

    def gain(self, t: float, s: float, sde: LinearSDE) -> float:
        """Factor of x in the step from t to s."""
        if self.prediction == "noise":
            return 1 / float(sde.kernel(t, s).scale)
        now, then = sde.kernel(t), sde.kernel(s)
        if float(then.std) == 0:
            return 0.0
        # e^-h = kappa_s / kappa_t
        shrink = float(then.std / then.scale) / float(now.std / now.scale)
        return float(then.std / now.std) * shrink ** (self.eta**2)

    def noise(self, t: float, s: float, sde: LinearSDE) -> float:
        """Standard deviation of the noise in the step from t to s."""
        then = sde.kernel(s)
        if self.eta == 0 or float(then.std) == 0:
            return 0.0
        h = _log_ratio(sde, t, s)
        if self.prediction == "noise":
            return self.eta * float(then.std) * math.sqrt(math.expm1(2 * h))
        return float(then.std) * math.sqrt(-math.expm1(-2 * self.eta**2 * h))

    def weights(self, t: float, s: float, nodes: Sequence[float], sde: LinearSDE) -> Vector:
        """Weights of the predictions at the times ``nodes`` in the step from t to s.

        Args:
            t: start.
            s: end.
            nodes: distinct times; a single one in a step to kappa = 0, but for noise in ``kappa`` or ``t``.
            sde: the forward diffusion.

        Returns:
            One weight a node: ``(1 + eta^2) alpha_s int ... l_j``, with a minus for noise.
        """
        then, now = sde.kernel(s), sde.kernel(t)
        factor = (1 + self.eta**2) * float(then.scale)
        if self.prediction == "noise":
            top, bottom = (float(k.std / k.scale) for k in (now, then))
            levels, spans = _grid_of_levels(bottom, top)
            return -factor * self._lagrange(levels, nodes, sde) @ spans
        if float(then.std) == 0:
            if len(nodes) > 1:  # the polynomial in lambda has no end there
                raise bad("nodes", len(nodes), "one node in a step to zero noise", "use order 1")
            return np.array([float(then.scale)])
        h, rate = _log_ratio(sde, t, s), 1 + self.eta**2
        v = h * (_NODES + 1) / 2
        levels = float(then.std / then.scale) * np.exp(v)
        return factor * self._lagrange(levels, nodes, sde) @ (h / 2 * _WEIGHTS * np.exp(-rate * v))

    def reaches_zero(self) -> bool:
        """Whether a polynomial can be integrated down to zero noise: noise in ``kappa`` or ``t``."""
        return self.prediction == "noise" and self.variable != "log-snr"

    def _lagrange(self, levels: Vector, nodes: Sequence[float], sde: LinearSDE) -> Vector:
        """Lagrange polynomials of the nodes at noise levels, ``(nodes, levels)``."""
        if len(nodes) == 1:
            return np.ones((1, len(levels)))
        own = np.array([float(sde.noise_level(n)) for n in nodes])
        if self.variable == "log-snr":
            at, own = np.log(levels), np.log(own)
        elif self.variable == "noise-level":
            at = levels
        else:
            at = np.array([float(sde.time_of_noise_level(float(k))) for k in levels])
            own = np.asarray(nodes, dtype=np.float64)
        rows = []
        for j, node in enumerate(own):
            others = np.delete(own, j)
            rows.append(np.prod((at[:, None] - others) / (node - others), axis=1))
        return np.array(rows)


def _grid_of_levels(bottom: float, top: float) -> tuple[Vector, Vector]:
    """Nodes and weights of an integral over kappa; in ``log kappa`` where that is finite."""
    if bottom > 0:
        h = math.log(top / bottom)
        levels = bottom * np.exp(h * (_NODES + 1) / 2)
        return levels, h / 2 * _WEIGHTS * levels
    return top * (_NODES + 1) / 2, top / 2 * _WEIGHTS


def _log_ratio(sde: LinearSDE, t: float, s: float) -> float:
    """``h = log(kappa_t / kappa_s)``, without cancellation: ``kappa_t^2 = kappa_s^2 + v / (a alpha_s)^2``."""
    kernel, then = sde.kernel(t, s), sde.kernel(s)
    rise = float(kernel.variance) / (float(kernel.scale) ** 2 * float(then.variance))
    return 0.5 * math.log1p(rise)


@dataclass(frozen=True)
class ExponentialSinglestep(Solver):
    """Stages within the step: order 1 (DDIM), 2 or 3.

    Stages lie at the shares ``nodes`` of the step in lambda. Order 2 interpolates the start and its stage; order 3
    its last stage (whose value comes from an interpolation of order 2). A step to zero noise is of order 1.

    Attributes:
        stages: 1, 2 or 3: the order, and the number of evaluations a step.
        rule: what is interpolated; polynomials of stages are in lambda.
        nodes: shares of the stages; None for 1/2 (two stages), 1/3 and 2/3 (three).

    Reference: Lu et al. 2022a, Algorithms 1 and 2; Lu et al. 2022b, Algorithm 1.
    """

    stages: int = 2
    rule: Rule = Rule()
    nodes: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.stages not in (1, 2, 3):
            raise bad("stages", self.stages, "1, 2 or 3", "pick one")
        if self.nodes is not None and (
            len(self.nodes) != self.stages - 1
            or any(not 0 < r <= 1 for r in self.nodes)
            or any(a >= b for a, b in pairwise(self.nodes))
        ):
            wanted = f"{self.stages - 1} increasing shares in (0, 1]"
            raise bad("nodes", self.nodes, wanted, "leave it out for the published ones")

    @property
    def deterministic(self) -> bool:
        """True for ``eta = 0``."""
        return self.rule.eta == 0

    @property
    def order(self) -> float:
        """Order of the error in the law: the number of stages without noise, at most 1 with it."""
        return float(self.stages) if self.deterministic else 1.0

    def step(
        self, x: Array, t: float, s: float, *, score: Score, sde: LinearSDE, rng: Any = None
    ) -> Array:
        """One step, see :meth:`Solver.step`."""
        known, times = [self.rule.predict(x, t, score=score, sde=sde)], [t]
        if float(sde.kernel(s).std) > 0:
            for middle in self._stages(t, s, sde):
                stage = combine(self.rule, x, t, middle, known, times, sde, None)
                value = self.rule.predict(stage, middle, score=score, sde=sde)
                # the start and the last stage: with two stages all that is known
                known, times = [known[0], value], [t, middle]
        return combine(self.rule, x, t, s, known, times, sde, rng)

    def _stages(self, t: float, s: float, sde: LinearSDE) -> list[float]:
        shares = self.nodes or {1: (), 2: (0.5,), 3: (1 / 3, 2 / 3)}[self.stages]
        h, top = _log_ratio(sde, t, s), float(sde.noise_level(t))
        return [
            float(sde.time_of_noise_level(top * math.exp(-r * h))) if r < 1 else s for r in shares
        ]


def combine(
    rule: Rule, x: Array, t: float, s: float, known: Sequence[Array], times: Sequence[float],
    sde: LinearSDE, rng: Any,
) -> Array:  # fmt: skip
    """The step from t to s with predictions ``known`` at ``times``; noise only with a generator."""
    out = rule.gain(t, s, sde) * x
    for weight, value in zip(rule.weights(t, s, times, sde), known, strict=True):
        out = out + float(weight) * value
    spread = rule.noise(t, s, sde) if rng is not None else 0.0
    return out + spread * normal_like(x, rng=rng) if spread else out
