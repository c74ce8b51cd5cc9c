"""How large regression targets and scores are at a noise level, and what a weight of ``sigma^2`` makes of the loss."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .denoising import EXCHANGE
from .derivation import Derivation, equal, greater, rule, same_integral
from .domain import POSITIVE, REAL, Domain
from .zero import REFUTED

_Y, _E = sp.symbols("y e")
_S, _N, _V, _U = sp.symbols("sigma n v u")
_Q, _M, _MM = (sp.Function(k) for k in ("q", "m", "M"))
_NORMAL = sp.exp(-(_E**2) / 2) / sp.sqrt(2 * sp.pi)
_DOMAIN = Domain(
    {**dict.fromkeys((_Y, _E), REAL), **dict.fromkeys((_S, _N, _V, _U), POSITIVE)},
    {_Q: "positive", _M: "real", _MM: "real"},
)
_TWEEDIE = "the score of q is (E[x|x~] − x~)/σ² (Tweedie's formula)"


def _moments(power: int) -> tuple[Any, Any, Any]:
    """Given y: second moment of the target, square of the score, posterior variance over ``sigma^power``."""
    m, mm = _M(_Y), _MM(_Y)
    return (mm - 2 * _Y * m + _Y**2) / _S**4, ((m - _Y) / _S**2) ** 2, (mm - m**2) / _S**power


def target_size(wrong: str | None = None) -> Derivation:
    """``E|grad log q(x~|x)|^2 = D/sigma^2``; the score has less, by ``E tr Cov[x|x~] / sigma^4``."""
    dim = _N**2  # D, so that its root is n
    power = 1 if wrong == "one-over-sigma" else 2
    square = 1 / _S**power  # E|ε/σ|² of a coordinate; that of x~ − x = σε is σ⁴ times it
    sizes, first, other = "E|x~ − x|²/σ⁴ and D/σ²", dim * square, dim / _S**2
    if wrong == "printed-chain":
        sizes, first, other = "E|x~ − x|²/σ² and √D/σ", _S**2 * dim * square, _N / _S
    target, score, posterior = _moments(2 if wrong == "square-for-fourth" else 4)
    gaussian = dim / (_V + _S**2)
    spread = dim * (1 / (1 / _V + 1 / _S**2)) / _S**4
    return Derivation(
        "target-size",
        title="sizes of the regression target and of the score",
        statement="E|∇log q(x~|x)|² = E|x~ − x|²/σ⁴ = D/σ² for every law, σ and D, and E|∇log q_σ|² = D/σ² − E tr Cov["
        "x|x~]/σ⁴. On N(μ, vI) the latter is D/(v + σ²), which is not proportional to 1/σ²: it stays below D/v. n is "
        "√D, M is E[x²|x~] and m is E[x|x~] of a coordinate.",
        formula=r"E\|\nabla\log q(\tilde x\mid x)\|^2=\frac D{\sigma^2},\quad E\|\nabla\log q_\sigma\|^2"
        r"=\frac D{\sigma^2}-\frac1{\sigma^4}E\,\mathrm{tr}\,\mathrm{Cov}[x\mid\tilde x]",
        domain=_DOMAIN,
        steps=(
            same_integral(
                "one coordinate of the target −ε/σ", (_E / _S) ** 2 * _NORMAL, _NORMAL * square,
                flux={_E: -_E * _NORMAL / _S**2}, hypotheses=("ε ~ N(0, I) is independent of x",),
                because="E ε² = 1; D coordinates give D/σ², and E|x~ − x|² = σ²D",
            ),
            greater(f"{sizes} within a factor 2: the first is not twice as large", 2 * other, first),
            greater("nor half as large", 2 * first, other),
            equal(
                "given x~: the target, the score, and the posterior variance over σ⁴", target, score + posterior,
                because="the second moment is the square of the mean plus the variance; " + _TWEEDIE,
                hypotheses=(EXCHANGE,),
            ),
            equal("on N(μ, vI) the size of the score", dim / _S**2 - spread, gaussian, because="Var = 1/(1/v + 1/σ²)"),
            equal(
                "σ² times it moves with σ", sp.Derivative(_S**2 * gaussian, _S),
                0 if wrong == "proportional" else 2 * _S * dim * _V / (_V + _S**2) ** 2,
                because="it would be constant if the norm were proportional to 1/σ",
            ),
            greater("it is bounded by D/v", dim / _V, gaussian, because="while D/σ² grows without bound"),
        ),
        source="Song and Ermon 2019, Sec. 4.2; Vincent 2011",
        wrong=wrong,
        mutants={
            "printed-chain": REFUTED, "proportional": REFUTED, "one-over-sigma": REFUTED, "square-for-fourth": REFUTED,
        },
    )  # fmt: skip


def balanced_levels(wrong: str | None = None) -> Derivation:
    """``sigma^2 L`` is D for the zero model, and at the optimum ``E tr Cov[x|x~] / sigma^2``."""
    weight = _S if wrong == "weight-sigma" else _S**2
    power = 4 if wrong == "sigma-to-minus-four" else 2
    target, score, posterior = _moments(power)
    t = _S**2
    optimum = _V / (_V + t)  # a coordinate of N(mu, v)
    far, near = (optimum.subs(_S, sp.sqrt(k * _V)) for k in (99 + _U, sp.Rational(1, 9)))
    ends = (10 * far, near) if wrong == "one-order" else (near, 10 * far)
    return Derivation(
        "balanced-levels",
        title="the loss weighted by the noise variance, level by level",
        statement="σ²E|s − ∇log q(x~|x)|² is D at every level for s = 0; at the optimum it is D − σ²E|∇log q_σ|² = "
        "E tr Cov[x|x~]/σ². On N(μ, vI) the latter is Dv/(v + σ²), below D and tr Cov[x]/σ² = Dv/σ² and close to the "
        "smaller of them: from σ² = v/9 to σ² = 99v it falls 90 times. One coordinate is shown.",
        formula=r"\sigma^2L(0)=D,\qquad\sigma^2L(\nabla\log q_\sigma)=D-\sigma^2E\|\nabla\log q_\sigma\|^2"
        r"=\frac1{\sigma^2}E\,\mathrm{tr}\,\mathrm{Cov}[x\mid\tilde x]",
        domain=_DOMAIN,
        steps=(
            same_integral(
                "s = 0: σ² times the square of the target", weight * (_E / _S) ** 2 * _NORMAL, _NORMAL,
                flux={_E: -_E * _NORMAL}, hypotheses=("ε ~ N(0, I) is independent of x",),
                because="one for each of D coordinates, at every level",
            ),
            equal(
                "at the optimum, given x~", _S**2 * (target - score), posterior,
                because="the posterior variance over σ²; " + _TWEEDIE, hypotheses=(EXCHANGE,),
            ),
            equal(
                "on N(μ, v)", 1 / (1 / _V + 1 / t) / _S**power, optimum, because="Var[x|x~] = 1/(1/v + 1/σ²)",
            ),
            equal("below 1, by", 1 - optimum, t / (_V + t), because="it tends to 0 with σ"),
            equal(
                "below v/σ², by", _V / t - optimum, (_V / t) * _V / (_V + t),
                because="relative to v/σ² it tends to 0 as σ grows",
            ),
            greater("two levels, σ² = v/9 and σ² = (99 + u)v: the loss and ten times the loss", *ends),
            rule(
                "any law", "the weighted loss over D for small σ, and over tr Cov[x]/σ² for large",
                "1", relation="tends to", by="continuity of the least mean square error in the noise",
                hypotheses=("E|x|² is finite, and p has a finite Fisher information",),
            ),
        ),
        source="Song and Ermon 2019, Sec. 4.2; Guo, Shamai and Verdú 2005",
        wrong=wrong,
        mutants={"one-order": REFUTED, "weight-sigma": REFUTED, "sigma-to-minus-four": REFUTED},
    )  # fmt: skip
