"""Ledger, the denoising loss, its minimiser and its two printed forms: O6, O7, O8."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...numerics.objectives import ESM
from ...numerics.objectives_denoising import DSM, integrate_noised
from ...numerics.rng import draw
from ...numerics.score_models import ScoreModel
from ...theory.mixtures import GaussianMixture
from ...theory.protocols import Vector
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .averages import KURTOSIS, TOLERANCE, drawn_mean, information_bound, largest
from .derivatives import gradient, log_kernel
from .fields import bent, linear, rippled
from .grams import LAWS, MODELS, noised
from .laws import skewed_1d, skewed_8d
from .tools import EPS, agreement, named

STDS = (0.3, 0.7)
DRAWN_STD = 0.7  #: noise in eight dimensions
DRAWN = 0.1  #: tolerance on draws, relative to the bound sum_k w_k tr (Sigma_k + sigma^2 I)^-1
SMOOTH = "skewed mixtures in one and two dimensions at sigma = 0.3 and 0.7, in eight at 0.7"
EQUAL = "equal: within 1e-6 by quadrature and a tenth on draws, relative to the information of the noised law"
THREE = "models: a linear one, one with a hidden layer, one 10 % off the truth; no gradient fields"

#: ``(law of x_t, law of x_0) -> field`` that stands for the truth
Truth = Callable[[GaussianMixture, GaussianMixture], Callable[[Vector], Vector]]


def _noisy_score(noisy: GaussianMixture, base: GaussianMixture) -> Callable[[Vector], Vector]:
    return noisy.score


def _clean_score(noisy: GaussianMixture, base: GaussianMixture) -> Callable[[Vector], Vector]:
    return base.score


def _first_variation(truth: str, target: float = -1.0) -> Check:
    """``E h . (truth - target) = 0`` along every model, relative to the information of the noisy law."""

    def check(ctx: Context) -> Evidence:
        rests, units = [], []
        for dim in LAWS:
            for std in STDS:
                g = noised(dim, std)
                rests += [g.inner({h: 1.0}, {truth: 1.0, "target": target}) for h in MODELS]
                units += [g.products[0, 0]] * len(MODELS)
        message = "first variation of the denoising loss at the minimiser, along three fields"
        return largest(rests, units, TOLERANCE, ctx, message)

    return check


def _excess(truth: str, share: float = 0.5) -> Check:
    """``J(s) - J(truth) = share E|s - truth|^2`` for every model."""

    def check(ctx: Context) -> Evidence:
        rests, units = [], []
        for dim in LAWS:
            for std in STDS:
                g = noised(dim, std)
                least = g.square({truth: 1.0, "target": -1.0}) * 0.5
                for name in MODELS:
                    loss = g.square({name: 1.0, "target": -1.0}) * 0.5
                    rests.append(loss - least - g.square({name: 1.0, truth: -1.0}) * share)
                    units.append(g.products[0, 0])
        message = "J(s) - J(s*) - E|s - s*|^2 / 2 over E|s*|^2, three models"
        return largest(rests, units, TOLERANCE, ctx, message)

    return check


def _library(truth: Truth) -> Check:
    """The same with the objectives of the library, whose noise is averaged by a rule of its own, on the line."""

    def check(ctx: Context) -> Evidence:
        base = skewed_1d()
        objective = DSM(base, 1.0, STDS[1] ** 2)
        score = truth(objective.marginal, base)
        least = objective.quadrature(score)
        rests = []
        for model in (linear(1), bent(1)):
            off = ScoreModel(lambda x, m=model: m(x) - score(x) + objective.marginal.score(x))
            rests.append(
                objective.quadrature(model) - least - ESM(objective.marginal).quadrature(off)
            )
        message = (
            "J(s) - J(s*) - E|s - s*|^2 / 2 with the objectives of the library, two models, d = 1"
        )
        return largest(rests, information_bound(objective.marginal), TOLERANCE, ctx, message)

    return check


def _drawn_excess(truth: Truth, share: float = 0.5) -> Check:
    def check(ctx: Context) -> Evidence:
        base = skewed_8d()
        objective = DSM(base, 1.0, DRAWN_STD**2)
        score = truth(objective.marginal, base)
        rests = []
        for model in (bent(8), rippled(objective.marginal)):

            def values(x0: Vector, eps: Vector, model: ScoreModel = model) -> Vector:
                x = x0 + DRAWN_STD * eps
                gain = objective.terms(model, x0, eps) - objective.terms(score, x0, eps)
                return gain - share * ((model(x) - score(x)) ** 2).sum(1)

            rests.append(drawn_mean(values, objective, ctx, pieces=2))
        unit = information_bound(objective.marginal)
        message = "J(s) - J(s*) - E|s - s*|^2 / 2, two models, d = 8"
        return largest(rests, unit, DRAWN, ctx, message)

    return check


def minimiser_checks() -> tuple[dict[str, Check], dict[str, list[Check]]]:
    """Checks, and their mutants, that the score of the noised law is the minimiser."""
    checks = {
        "first-variation": _first_variation("score"),
        "excess": _excess("score"),
        "objectives": _library(_noisy_score),
        "draws": _drawn_excess(_noisy_score),
    }
    mutants = {
        "first-variation": [
            named(_first_variation("data"), "score-of-the-data-law"),
            named(_first_variation("wide"), "noise-too-large"),
            named(_first_variation("score", 1.0), "target-with-a-plus"),
        ],
        "excess": [
            named(_excess("data"), "score-of-the-data-law"),
            named(_excess("wide"), "noise-too-large"),
            named(_excess("score", 1.0), "half-left-out"),
        ],
        "objectives": [named(_library(_clean_score), "score-of-the-data-law")],
        "draws": [
            named(_drawn_excess(_clean_score), "score-of-the-data-law"),
            named(_drawn_excess(_noisy_score, 1.0), "half-left-out"),
        ],
    }
    return checks, mutants


def _sixth() -> Claim:
    checks, mutants = minimiser_checks()
    return Claim(
        "O6",
        r"$J = \frac12 E|s(\tilde x) - \nabla\log p(\tilde x \mid x)|^2$ has as its minimiser the score of "
        r"$q_\sigma$",
        checks=checks,
        mutants=mutants,
        source=("000",),
        assumptions=(
            SMOOTH,
            THREE,
            EQUAL,
            "'minimiser': J(s) - J(s*) = E|s - s*|^2 / 2 for every model",
            KURTOSIS,
        ),
        role="printed",
        group="ledger",
    )


def _printed_loss(
    prefactor: Callable[[float], float],
    other: Callable[[ScoreModel, Vector, Vector, float], Vector],
    stds: tuple[float, ...],
    *,
    as_noise: bool = False,
    drawn: bool,
) -> Check:
    """``J`` from the derivative of the log-kernel over ``prefactor(sigma) E other``, against one.

    Args:
        prefactor: function of sigma.
        other: ``(model, x~, eps, sigma) -> (n,)``, the squared error that the text prints.
        stds: noise levels.
        as_noise: the model predicts noise, and the score is ``-model / sigma``.
        drawn: eight dimensions on draws, else the line by quadrature.
    """

    def check(ctx: Context) -> Evidence:
        base = skewed_8d() if drawn else skewed_1d()
        factors, errors = [], [0.0]
        for std in stds:
            for model in (linear(base.dim), bent(base.dim)):
                scale = -1 / std if as_noise else 1.0
                score = ScoreModel(lambda x, m=model, c=scale: c * m(x))
                if drawn:
                    x0 = draw(base, 2000, rng=ctx.rng)
                    eps = ctx.rng.standard_normal(x0.shape)
                    x = x0 + std * eps
                    goal = gradient(log_kernel(x0, std), x)
                    loss = 0.5 * float(((score(x) - goal) ** 2).sum())
                    shown_loss = float(other(model, x, eps, std).sum())
                else:
                    right = DSM(base, 1.0, std**2).quadrature(score)
                    left = integrate_noised(
                        lambda a, e, m=model, s=std: other(m, a + s * e, e, s), base
                    )
                    loss, shown_loss = right.value, left.value
                    errors.append(right.half_width / loss + left.half_width / shown_loss)
                factors.append(prefactor(std) * shown_loss / loss)
        each = [f"{f:.4g}" for f in factors[::2]]
        return agreement(
            factors,
            np.ones(len(factors)),
            # 16,000 squares are added up, each exact to some units in the last place
            bound=1e5 * EPS + 2 * max(factors) * max(errors),
            tolerance=1e-6,
            kind="exact" if drawn else "quadrature",
            n=2000 * len(factors) if drawn else len(factors),
            message=f"printed over J at sigma = {', '.join(f'{s:g}' for s in stds)}: {', '.join(each)}",
        )

    return check


def _score_error(model: ScoreModel, x: Vector, eps: Vector, std: float) -> Vector:
    return ((model(x) + eps / std) ** 2).sum(1)


def _wrong_sign(model: ScoreModel, x: Vector, eps: Vector, std: float) -> Vector:
    return ((model(x) - eps / std) ** 2).sum(1)


def _noise_error(model: ScoreModel, x: Vector, eps: Vector, std: float) -> Vector:
    return ((model(x) - eps) ** 2).sum(1)


def _prefactor(
    id: str,
    statement: str,
    prefactor: Callable[[float], float],
    error: Callable[[ScoreModel, Vector, Vector, float], Vector],
    wrong: Mapping[str, tuple[Callable[[float], float], Any]],
    **parts: Any,
) -> Claim:
    levels, as_noise = (0.25, 0.5, 1.0, 2.0), error is _noise_error

    def check(one: Callable[[float], float], loss: Any, drawn: bool) -> Check:
        return _printed_loss(one, loss, levels, as_noise=as_noise, drawn=drawn)

    return Claim(
        id,
        statement,
        checks={
            "draws": check(prefactor, error, True),
            "quadrature": check(prefactor, error, False),
        },
        mutants={
            name: [named(check(*v, name == "draws"), k) for k, v in wrong.items()]
            for name in ("draws", "quadrature")
        },
        assumptions=("two models, sigma = 0.25, 0.5, 1 and 2, on the line and on draws in d = 8",),
        group="ledger",
        **parts,
    )


def _seventh() -> Claim:
    wrong: Mapping[str, tuple[Callable[[float], float], Any]] = {
        "noise-with-a-minus": (lambda s: 0.5, _wrong_sign),
        "no-half": (lambda s: 1.0, _score_error),
    }
    return _prefactor(
        "O7",
        r"$J = \frac{1}{2\sigma^2} E|s(x + \sigma\varepsilon) + \varepsilon/\sigma|^2$ for every $\sigma$",
        lambda s: 0.5 / s**2,
        _score_error,
        {**wrong, "sigma-to-the-first": (lambda s: 0.5 / s, _score_error)},
        source=("000",),
        role="printed",
        finding=lambda e: f"It holds where the ratio is one: {e['draws'].message}.",
        correction=_prefactor(
            "O7",
            r"$J = \frac12 E|s(x + \sigma\varepsilon) + \varepsilon/\sigma|^2$ for every $\sigma$",
            lambda s: 0.5,
            _score_error,
            {**wrong, "sigma-squared-below": (lambda s: 0.5 / s**2, _score_error)},
        ),
    )


def _eighth() -> Claim:
    return _prefactor(
        "O8",
        r"with $s = -\varepsilon_\theta/\sigma$, $J = w(\sigma) E|\varepsilon_\theta(x + \sigma\varepsilon) - "
        r"\varepsilon|^2$ with $w$ free of the model: $w = 1/(2\sigma^2)$",
        lambda s: 0.5 / s**2,
        _noise_error,
        {
            "no-sigma": (lambda s: 0.5, _noise_error),
            "sigma-to-the-first": (lambda s: 0.5 / s, _noise_error),
            "noise-over-sigma": (lambda s: 0.5 / s**2, _wrong_sign),
        },
        source=("000",),
        role="printed",
        finding=lambda e: f"w = 1/(2 sigma^2): {e['quadrature'].message}.",
    )


CLAIMS: tuple[Claim, ...] = (_sixth(), _seventh(), _eighth())
