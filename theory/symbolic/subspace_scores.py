"""Data on a subspace: the score across it, and where the objective of data near it has its weight."""

from __future__ import annotations

import sympy as sp

from .denoising import EXCHANGE
from .derivation import DECAY, Derivation, equal, greater, rule, same_integral
from .domain import POSITIVE, REAL, Domain
from .zero import REFUTED

_U, _W, _A, _B, _R = sp.symbols("u w a b r")
_S, _K, _BIG, _V, _D, _TAU, _Z = sp.symbols("sigma k M v d tau z")
_P, _Q = sp.Function("p"), sp.Function("q")
_DOMAIN = Domain(
    {
        **dict.fromkeys((_U, _W, _A, _B, _R, *sp.symbols("r1:4")), REAL),
        **dict.fromkeys((_S, _K, _BIG, _V, _D, _TAU, _Z), POSITIVE),
    },
    {_P: "positive", _Q: "positive"},
)


def subspace_score(wrong: str | None = None) -> Derivation:
    """Across the subspace the score is ``-r/sigma^2``, and ``codimension/sigma^2`` in mean square."""
    power = 1 if wrong == "one-over-sigma" else 2
    square = 4 if wrong == "rate-of-a-fixed-point" else 2
    counted = 5 if wrong == "dimension-for-codimension" else 3  # a plane in five dimensions
    three = sp.symbols("r1:4")
    cube = sp.exp(-sp.Add(*(c**2 for c in three)) / (2 * _S**2))
    across = sp.exp(-(_R**2) / (2 * _S**2)) / (sp.sqrt(2 * sp.pi) * _S)
    along, offset = (_U - _A) ** 2 + (_W - _B) ** 2, _R**2
    kernel = sp.exp(-(along + offset) / (2 * _S**2))
    product = sp.exp(-along / (2 * _S**2)) * sp.exp(-offset / (2 * _S**2))
    law = _Q(_U, _W) * across
    small, tiny = {_S: sp.sqrt(_D / (_BIG * (1 + _V)))}, {_S: sp.sqrt(_K) / (_BIG * (1 + _V))}
    return Derivation(
        "subspace-score",
        title="the score across a subspace that holds the data",
        statement="For data on a linear subspace, noised by σε, the score across it is exactly −r/σ² at the offset r "
        "from it, whatever the law on it; its mean square is k/σ² with k the codimension. Both exceed every bound M "
        "as σ → 0: the first at any fixed point off the subspace. u and w are coordinates along it, r is one across.",
        formula=r"\nabla_r\log q_\sigma=-\frac r{\sigma^2},\qquad E\|\nabla_r\log q_\sigma\|^2=\frac k{\sigma^2}",
        domain=_DOMAIN,
        steps=(
            equal(
                "the kernel of a datum (a, b, 0) is a product", _P(_A, _B) * kernel, _P(_A, _B) * product,
                because="the noise is isotropic, so that axes along and across may be used",
            ),
            rule(
                "integrated over the data", "q_σ(u, w, r)", "q(u, w) N(r; 0, σ²), q the noised law on the subspace",
                by="linearity of the integral", hypotheses=("the data lie on the subspace r = 0",),
            ),
            equal(
                "the score across", sp.Derivative(sp.log(law), _R), -_R / _S**power, because="q(u, w) has no r in it",
            ),
            greater(
                "at |r| = d its size exceeds M once σ² = d/(M(1 + v))", (_D / _S**power).subs(small), _BIG,
            ),
            same_integral(
                "mean square of three coordinates across", sp.Add(*(c**2 for c in three)) / _S**4 * cube,
                counted / _S**square * cube, flux={c: -c / _S**2 * cube for c in three}, hypotheses=(DECAY,),
                because="E r_i² = σ²: one for each, so that k of them give k/σ²",
            ),
            greater(
                "the root of k/σ² exceeds M once σ = √k/(M(1 + v))", (_K / _S**square).subs(tiny), _BIG**2,
            ),
        ),
        hypotheses=(EXCHANGE,),
        source="Song and Ermon 2019, Sec. 3.1; Pidstrigach 2022",
        wrong=wrong,
        mutants={"one-over-sigma": REFUTED, "rate-of-a-fixed-point": REFUTED, "dimension-for-codimension": REFUTED},
    )  # fmt: skip


def off_manifold(wrong: str | None = None) -> Derivation:
    """The far part of the objective about a subspace is a ratio of incomplete gamma functions, and is small."""
    grow = {"share-of-the-mass": 0, "errors-of-one-size": 0}.get(wrong or "", 2)
    height = sp.exp(-(_D**2) / (2 * _TAU**2))
    radial = _D ** (_K - 1 + grow) * height / _TAU**4
    z = _D**2 / (2 * _TAU**2)
    gamma = z ** (_K / 2) * sp.exp(-z) * sp.diff(z, _D)  # integrand of Gamma(k/2 + 1, z)
    factor = (2 * _TAU**2) ** (_K / 2) / _TAU**2
    tail = (1 + _Z) * sp.exp(-_Z)
    start, below = 3 + _V, 1 + _Z + _Z**2 / 2
    ends = (sp.Rational(1, 2), ((1 + _Z) / below).subs(_Z, start))
    if wrong == "dominated":
        ends = (tail.subs(_Z, start), sp.Rational(1, 2))
    mass = tail if wrong == "share-of-the-mass" else sp.exp(-_Z)
    return Derivation(
        "off-manifold",
        title="where the objective of data near a subspace has its weight",
        statement="For data with Gaussian thickness τ about a subspace of codimension k, the share of E|∇log p|² "
        "across it from offsets beyond R is Γ(k/2 + 1, z)/Γ(k/2 + 1) with z = R²/(2τ²). For k = 2 it is (1 + z)e⁻ᶻ, "
        "where the mass beyond R is e⁻ᶻ: less than half once z > 3, where fewer than one of e³ ≈ 20 samples lies, "
        "and it tends to 0. An error of size B there adds B² times the mass.",
        formula=r"\frac{E\left[\|\nabla_r\log p\|^2;\,r>R\right]}{E\|\nabla_r\log p\|^2}"
        r"=\frac{\Gamma(\frac k2+1,\frac{R^2}{2\tau^2})}{\Gamma(\frac k2+1)}",
        domain=_DOMAIN,
        steps=(
            rule(
                "across the subspace, at the distance d", "p |∇_r log p|², integrated over the sphere of radius d",
                "d^(k−1) e^{−d²/(2τ²)} (d/τ²)², times a constant", relation="is proportional to",
                by="spherical coordinates", hypotheses=("p is a law on the subspace times N(0, τ² I) across it",),
            ),
            equal(
                "in the variable z = d²/(2τ²)", radial, factor * gamma,
                because="the integrand of Γ(k/2 + 1, z) times dz; constants cancel in the share",
            ),
            equal(
                "k = 2: the share beyond z", sp.Derivative(tail, _Z), -_Z * sp.exp(-_Z),
                because="the antiderivative of z e⁻ᶻ: −(1 + z)e⁻ᶻ, which is −1 at z = 0",
            ),
            equal(
                "k = 2: the mass beyond z", sp.Derivative(mass, _Z), -sp.exp(-_Z), because="e⁻ᶻ is 1 at z = 0",
            ),
            rule(
                "a bound of the share", "(1 + z)e⁻ᶻ", "(1 + z)/(1 + z + z²/2)", relation="<",
                by="the series of the exponential", hypotheses=("z > 0",),
            ),
            greater(
                "at z = 3 + v the share is " + ("more than half" if wrong == "dominated" else "less than half"),
                *ends,
            ),
        ),
        source="DLMF 8.2, for the incomplete gamma function",
        wrong=wrong,
        mutants={"dominated": REFUTED, "share-of-the-mass": REFUTED, "errors-of-one-size": REFUTED},
    )  # fmt: skip
