"""Scores of conditional laws at a noise level, and the field that does sample a tilted law."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import Derivation, Step, equal, rule
from .domain import POSITIVE, REAL, Domain
from .zero import REFUTED

_X = sp.symbols("x y z")
_Z, _GAMMA = sp.symbols("Z gamma")
_W, _L = sp.symbols("pi1:4"), sp.symbols("L1:4")
_P, _CLASS = sp.Function("p"), sp.Function("q")
_K = [sp.Function(f"k{j}") for j in (1, 2, 3)]
_DOMAIN = Domain(
    {**dict.fromkeys((*_X, _GAMMA), REAL), **dict.fromkeys((_Z, *_W, *_L), POSITIVE)},
    {_P: "positive", _CLASS: "positive", **dict.fromkeys(_K, "positive")},
)
NOISE = "given the clean point the noise does not depend on y"


def _noised(weights: Any) -> Any:
    """``sum_j weight_j k_j(x)``: clean points j with kernels k_j."""
    return sp.Add(*(w * k(*_X) for w, k in zip(weights, _K, strict=True)))


def _exchange(quantity: str) -> Step:
    return rule(
        "any law of the clean point", f"sums over clean points with {quantity}", "integrals over the law of x₀",
        by="linearity",
        hypotheses=("the gradient passes under the integral over x₀ (so it does for Gaussian kernels)",),
    )  # fmt: skip


def conditional_score(wrong: str | None = None) -> Derivation:
    """``grad log p_t(x|y) = grad log p_t(x) + grad log p_t(y|x)`` at every noise level."""
    sign = -1 if wrong == "wrong-sign" else 1
    p, given = _P(*_X), _CLASS(*_X)
    label = given * _Z / p
    total, joint = _noised(_W), _noised([w * c for w, c in zip(_W, _L, strict=True)])
    posterior = [w * k(*_X) / total for w, k in zip(_W, _K, strict=True)]
    if (
        wrong == "prior-mean"
    ):  # the classifier averaged over the data, not over what the noisy point leaves
        posterior = [w / sp.Add(*_W) for w in _W]
    classifier: Any = sp.Add(*(c * a for c, a in zip(_L, posterior, strict=True)))
    if wrong == "classifier-squared":
        classifier = classifier**2
    steps = []
    for v in _X:
        steps += [
            equal(
                f"Bayes' rule, coordinate {v}", sp.Derivative(sp.log(given), v),
                sp.Derivative(sp.log(p), v) + sign * sp.Derivative(sp.log(label), v),
                because="q is p(x|y) at the noise level, Z is p(y), and p(y|x) = q Z / p; Z has no derivative",
            ),
            equal(
                f"with noise on three clean points, coordinate {v}", sp.Derivative(sp.log(joint / _Z), v),
                sp.Derivative(sp.log(total), v) + sign * sp.Derivative(sp.log(classifier), v),
                because="π_j are the weights of the clean points, L_j = p(y|x₀) there, k_j the kernels of the noise; "
                "the classifier of the noisy point is the mean of L over the posterior of x₀",
            ),
        ]  # fmt: skip
    steps.append(
        rule(
            "the classifier of noisy points", "p(y | x_t)", "E[p(y | x₀) | x_t]", by="the tower property",
            hypotheses=(NOISE,),
        )
    )  # fmt: skip
    steps.append(_exchange("weights π_j and classifiers L_j"))
    return Derivation(
        "conditional-score",
        title="the score given a label, at every noise level",
        statement="∇log p(x_t|y) = ∇log p(x_t) + ∇log p(y|x_t) in every coordinate, for all positive laws; the "
        "classifier is that of the noisy point, p(y|x_t) = E[p(y|x₀)|x_t].",
        formula=r"\nabla\log p(x_t\mid y)=\nabla\log p(x_t)+\nabla\log E[p(y\mid x_0)\mid x_t]",
        domain=_DOMAIN,
        steps=steps,
        hypotheses=("p(x_t|y) and p(x_t) are positive and differentiable in x",),
        source="Song et al. 2021, Eq. 14; Dhariwal and Nichol 2021, Sec. 4",
        wrong=wrong,
        mutants={"wrong-sign": REFUTED, "prior-mean": REFUTED, "classifier-squared": REFUTED},
    )


def tilted_score(wrong: str | None = None) -> Derivation:
    """The score of the noised tilted law has the power of the classifier inside the posterior mean."""
    total = _noised(_W)
    powers = [c**_GAMMA for c in _L]
    tilted = _noised([w * c for w, c in zip(_W, powers, strict=True)])
    posterior = [w * k(*_X) / total for w, k in zip(_W, _K, strict=True)]

    def mean(values: Any) -> Any:
        return sp.Add(*(c * a for c, a in zip(values, posterior, strict=True)))

    inside = mean(powers)
    if wrong == "power-outside":
        inside = mean(_L) ** _GAMMA
    if wrong == "no-power":
        inside = mean(_L)
    steps: list[Step] = [
        equal(
            "the noised tilted law is the noised law times a posterior mean", tilted / _Z, total * inside / _Z,
            because="π_j are the weights of the clean points, L_j = p(y|x₀) there, k_j the kernels of the noise, Z "
            "the constant of the tilted law",
        )
    ]  # fmt: skip
    for v in _X:
        steps.append(
            equal(
                f"its score, coordinate {v}", sp.Derivative(sp.log(tilted / _Z), v),
                sp.Derivative(sp.log(total), v) + sp.Derivative(sp.log(inside), v),
            )
        )  # fmt: skip
    for power, name in ((0, "γ = 0"), (1, "γ = 1")):
        steps.append(
            equal(
                f"for {name} it is the guided field, coordinate x",
                sp.Derivative(sp.log(inside.subs(_GAMMA, power)), _X[0]),
                power * sp.Derivative(sp.log(mean(_L)), _X[0]),
                because="then the power may stand outside the mean; for other γ it may not",
            )
        )  # fmt: skip
    steps += [
        _exchange("weights π_j and powers L_j^γ"),
        rule(
            "sampled with this field", "flow or reverse SDE from the noised tilted law", "the tilted law",
            relation="end at",
            by="probability flow and reverse SDE",
            hypotheses=(
                "flow and reverse SDE are solved exactly, with the score of the tilted law as the forward diffusion "
                "noises it",
                NOISE,
            ),
        ),
    ]  # fmt: skip
    return Derivation(
        "tilted-score",
        title="the field that draws from the tilted law",
        statement="The score of the noised tilted law p(x₀) p(y|x₀)^γ / Z is ∇log p_t + ∇log E[p(y|x₀)^γ | x_t]: the "
        "power stands inside the expectation. For γ = 0 and γ = 1 it is the guided field.",
        formula=r"\nabla\log\frac1Z\int p(x_0)\,p(y\mid x_0)^{\gamma}\,k(x_t\mid x_0)\,dx_0=\nabla\log p_t"
        r"+\nabla\log E\left[p(y\mid x_0)^{\gamma}\mid x_t\right]",
        domain=_DOMAIN,
        steps=steps,
        hypotheses=("p(y|x₀) is positive, and its power γ has a finite mean under p",),
        source="Bradley and Nakkiran 2024, Sec. 3; Chung et al. 2023, Eq. 5",
        wrong=wrong,
        mutants={"power-outside": REFUTED, "no-power": REFUTED},
    )
