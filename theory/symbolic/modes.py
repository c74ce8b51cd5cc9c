"""Langevin dynamics and modes: the time to change modes, steps without noise, annealing on a Gaussian."""

from __future__ import annotations

import sympy as sp

from .derivation import Derivation, Step, equal, positive_step, rule
from .domain import POSITIVE, REAL, UNIT, Domain
from .zero import REFUTED

_X, _D, _S, _E, _C, _A, _B, _Y, _W, _V = sp.symbols("x D s epsilon c a b y w v")
_TH, _PHI, _G, _LIP, _DELTA, _KAPPA = sp.symbols("theta phi g L delta kappa")
_S1, _S2, _R, _REST, _MEAN = sp.symbols("S_1 S_2 r E m")
_HALF = sp.Rational(1, 2)


def valley(wrong: str | None = None) -> Derivation:
    """Between two normal modes the relaxation time is at least ``exp((D - 2s)^2 / (8 s^2))`` up to a factor."""
    eighth = _HALF if wrong == "half-for-eighth" else sp.Rational(1, 8)
    excess = _C * (2 * _S + (4 if wrong == "square-not-complete" else 2) * _C * _S**2)
    edge = (_D / 2 - _S) ** 2
    at = -_S + 2 * _S * _TH  # the valley, |x| < s
    wide = {_D: 2 * _S + _E}
    peak = sp.exp(-edge / (2 * _S**2)) / (sp.sqrt(2 * sp.pi) * _S)
    energy = 2 * peak / _S
    spread = (2 if wrong == "variance-doubled" else 1) * _W * (1 - _W)
    bound = (
        _W
        * (1 - _W)
        * _S**2
        * sp.sqrt(2 * sp.pi)
        / 2
        * sp.exp(eighth * (_D - 2 * _S) ** 2 / _S**2)
    )
    barrier = (_D - 2 * _S) ** 2 / (8 * _S**2)
    rest = 1 - _A - _B
    mean = _B - _A + rest * _Y
    return Derivation(
        "valley",
        title="the time to change modes grows at least exponentially",
        statement="For w N(−D/2, s²) + (1−w) N(D/2, s²), D > 2s, the relaxation time of dX = ∇log q dt + √2 dw, one "
        "over its spectral gap, is at least w(1−w) s² √(π/2) exp((D − 2s)²/(8s²)): more than any exponential e^{cD} "
        "once D is large. The width s includes the noise. In d dimensions with one covariance s²I this holds along "
        "the line through the modes.",
        formula=r"\frac1{\mathrm{gap}}\ \ge\ w(1-w)\,s^2\sqrt{\frac{\pi}{2}}\ e^{(D-2s)^2/(8s^2)}",
        domain=Domain(
            {_X: REAL, _Y: REAL, _W: UNIT, _TH: UNIT, **dict.fromkeys((_D, _S, _E, _C, _A, _B), POSITIVE)}
        ),
        steps=(
            positive_step(
                "in the valley |x| < s the left mode is lower than at its edge",
                ((_D / 2 + _X) ** 2 - edge).subs(_X, at).subs(wide),
                because="x = −s + 2sθ and D = 2s + ε: exponents are compared, the distance to the mode is at least "
                "D/2 − s",
            ),
            positive_step("and so is the right mode", ((_D / 2 - _X) ** 2 - edge).subs(_X, at).subs(wide)),
            equal(
                "energy of the test function f = x/s in the valley, −1 and 1 beyond: at most",
                sp.Derivative(_X / _S, _X) ** 2 * 2 * _S * peak, energy,
                because="f′ = 1/s on a length 2s, where q is at most the density of one mode at the edge",
            ),
            equal(
                "variance of a function that is −1 with mass a, 1 with mass b, y on the rest",
                _A + _B + rest * _Y**2 - mean**2, 4 * _A * _B + rest * (_A * (1 + _Y) ** 2 + _B * (1 - _Y) ** 2),
                because="it is at least 4ab, and the more if y varies; a ≥ w/2 and b ≥ (1−w)/2, since half of each "
                "mode lies beyond its centre",
            ),
            equal("so that the variance of f is at least", 4 * (_W / 2) * ((1 - _W) / 2), spread),
            rule(
                "the gap", "spectral gap", "energy over variance of any test function", relation="is at most",
                by="the variational principle (Rayleigh and Ritz)",
                hypotheses=("the generator is self-adjoint in mean squares under q",),
            ),
            equal("variance over energy", spread / energy, bound, because="a lower bound on the time"),
            equal(
                "its exponent against cD, for every c > 0", barrier - (_C * _D - excess),
                (_D - 2 * _S - 4 * _C * _S**2) ** 2 / (8 * _S**2),
                because="a square is not negative: the time is at least a constant, free of D, times e^{cD}",
            ),
            equal(
                "one width more", barrier.subs(_D, _D + _S) - barrier, (2 * (_D - 2 * _S) + _S) / (8 * _S),
                because="the factor exp of this grows without bound with D",
            ),
        ),
        source="Bovier, Gayrard and Klein 2005 (Eyring and Kramers); here by a test function",
        wrong=wrong,
        mutants={"half-for-eighth": REFUTED, "square-not-complete": REFUTED, "variance-doubled": REFUTED},
    )  # fmt: skip


def noiseless_ascent(wrong: str | None = None) -> Derivation:
    """Steps along the score without noise climb to a mode from almost every start."""
    sign = -1 if wrong == "descent" else 1
    reach = 4 if wrong == "steps-four-times-as-long" else 1
    step = reach * _TH / _LIP
    move = sign * _DELTA * _G
    toward = 1 + sign * step * (-_LIP * _PHI)
    away = 1 + sign * step * (_LIP * _PHI)
    return Derivation(
        "noiseless-ascent",
        title="without noise small steps end at a mode",
        statement="If ∇log p has the Lipschitz constant L and all critical points of p are nondegenerate, the steps "
        "x + δ∇log p with δ < 1/L climb, δ(1 − Lδ/2)|∇log p|² at least; every path ends at a critical point, modes "
        "attract, every other critical point repels along a direction, and the starts that end at one of these have "
        "measure zero.",
        formula=r"\log p(x+\delta\nabla\log p)-\log p(x)\ \ge\ \delta\left(1-\frac{L\delta}2\right)\|\nabla\log p\|^2",
        domain=Domain({_G: REAL, _TH: UNIT, _PHI: UNIT, **dict.fromkeys((_LIP, _DELTA), POSITIVE)}),
        steps=(
            rule(
                "a move u", "log p(x + u)", "log p(x) + g·u − (L/2)|u|², g = ∇log p(x)", relation="is at least",
                by="Taylor's theorem", hypotheses=("∇log p is Lipschitz with constant L", "p is bounded"),
            ),
            equal(
                "for u = δ g, in each coordinate", _G * move - _LIP / 2 * move**2,
                _DELTA * (1 - _LIP * _DELTA / 2) * _G**2,
            ),
            positive_step(
                "which climbs for δ = θ/L, 0 < θ < 1", step * (1 - _LIP * step / 2),
                because="the sum of all |∇log p|² is then finite, so that the score tends to zero",
            ),
            rule(
                "the path", "its limit", "a critical point", relation="is", by="isolated critical points",
                because="it stays where p is at least what it was at the start, a bounded set",
                hypotheses=(
                    "p tends to zero at infinity",
                    "all critical points are nondegenerate, hence isolated (that the modes are does not suffice: a "
                    "point of inflection with score zero attracts from one side)",
                ),
            ),
            positive_step(
                "at a mode each direction contracts: the factor is below 1", 1 - toward,
                because="−Lφ is an eigenvalue of the Hessian of log p there, 0 < φ < 1",
            ),
            positive_step("and above 0", toward),
            positive_step(
                "elsewhere a direction with eigenvalue Lφ expands", away - 1,
                because="a critical point that is no mode has one; with the factors above 0 the step map is "
                "invertible",
            ),
            rule(
                "starts that end at such a point", "their measure", "zero", by="the center-stable manifold theorem",
                hypotheses=("log p is twice continuously differentiable",),
            ),
        ),
        source="Lee et al. 2016, Theorem 4.1; Panageas and Piliouras 2017",
        wrong=wrong,
        mutants={"descent": REFUTED, "steps-four-times-as-long": REFUTED},
    )  # fmt: skip


def annealed(wrong: str | None = None) -> Derivation:
    """Annealed Langevin dynamics on Gaussian data: bias of each level, and what is left of the start."""
    moved = 0 if wrong == "levels-equal" else _S1 - _S2
    target = _V + _S2
    step = _KAPPA * _S2
    excess = _KAPPA / ((4 if wrong == "bias-halved" else 2) - _KAPPA)
    fixed = target / (1 - step / (2 * target))
    before = _V + _S1 + _REST
    after = fixed + _R * (before - fixed)
    factor = 1 - step / target
    large = {_S2: _V + _E}
    steps: tuple[Step, ...] = (
        equal(
            "one step at a level keeps the form", factor**2 * after + 2 * step,
            fixed + _R * factor**2 * (before - fixed),
            because="S₂ = σ² is the level, S₁ that of the level before, d = κσ²; r is the square of the product of "
            "the factors 1 − d/(v+σ²), E what the variance was off by before",
        ),
        equal(
            "what the variance is off by after the level", after - target,
            _R * (_REST + moved) + (1 - _R) * (fixed - target),
            because="a mean of two numbers with weights r and 1 − r: at most the larger of them",
        ),
        positive_step("its own bias, relative to v + σ²: not negative", fixed / target - 1),
        positive_step("and below κ/(2 − κ)", excess - (fixed / target - 1), because="at every level and for all data"),
        rule(
            "all levels after the one at which σ = σ_m", "what the variance is off by at the end",
            "the larger of E_m and κ/(2−κ) (v + σ_m²), plus σ_m² − σ_L²", relation="is at most",
            by="induction over the levels", hypotheses=("σ falls from level to level, and κ < 1",),
            because="the falls of σ² add up to σ_m² − σ_L²; where E_m is negative it is at least E_m, since neither "
            "the falls nor the biases are",
        ),
        positive_step("a step contracts", factor), positive_step("and is below 1", 1 - factor),
        positive_step(
            "where σ² ≥ v, by 1 − κ/2 at least",
            (1 - (3 * _KAPPA / 4 if wrong == "too-fast" else _KAPPA / 2) - factor).subs(large),
            because="σ² = v + ε here: such a level of n steps leaves (1 − κ/2)^{2n} of E and (1 − κ/2)^n of the mean; "
            "one with σ² = η v leaves (1 − κη/(1+η))^{2n}",
        ),
        equal(
            "for the level σ² = ηv (c is η)", 1 - factor.subs(_S2, _C * _V), _KAPPA * _C / (1 + _C),
        ),
        equal("the mean, one step", _MEAN - step * _MEAN / target, factor * _MEAN, because="m is its distance from μ"),
    )  # fmt: skip
    return Derivation(
        "annealed",
        title="annealed Langevin dynamics on a Gaussian",
        statement="For data N(μ, v) along an eigendirection, levels σ₁² > σ₂² > ... > σ_L² and steps d = κσ² (h = "
        "2κσ²), κ < 1: the variance ends above v + σ_L² by at most the larger of E_m and κ/(2−κ)(v + σ_m²), plus "
        "σ_m², for any level m, where E_m is what it was off by after level m. What a level inherits it multiplies "
        "by (1 − κσ²/(v+σ²))^{2n} in n steps, and the distance of the mean by the root of that. So from any Gaussian "
        "start it ends near q_{σ_L} if κ is small and n κσ²/(v+σ²) is large at a level where σ² is small against v.",
        formula=r"V_i-v-\sigma_i^2=r\left(V_{i-1}-v-\sigma_{i-1}^2+\sigma_{i-1}^2-\sigma_i^2\right)+(1-r)\,b_i,\quad"
        r"0\le\frac{b_i}{v+\sigma_i^2}\le\frac{\kappa}{2-\kappa}",
        domain=Domain(
            {
                **dict.fromkeys((_V, _S1, _S2, _E, _C), POSITIVE),
                **dict.fromkeys((_R, _REST, _MEAN), REAL), _KAPPA: UNIT,
            }
        ),
        steps=steps,
        hypotheses=("the data are Gaussian with the exact score at every level",),
        source="Song and Ermon 2019, Algorithm 1; Roberts and Tweedie 1996, Sec. 3.2",
        wrong=wrong,
        mutants={"levels-equal": REFUTED, "bias-halved": REFUTED, "too-fast": REFUTED},
    )  # fmt: skip
