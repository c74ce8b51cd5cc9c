"""How large scores are where the density is low: tails that grow, stay and fall, and noised data far out."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .derivation import Derivation, equal, greater, positive_step, rule
from .domain import POSITIVE, REAL, UNIT, Domain
from .zero import REFUTED

_X, _MU, _A, _B = sp.symbols("x mu m1 m2")
_V, _N, _C, _U, _R, _W, _D, _S, _K, _BIG, _H = sp.symbols("v n c u R w d sigma k M h")
_E = sp.symbols("e1:4")
_F = sp.symbols("d1:4")
_T, _M, _SCORE = sp.symbols("t m s")
_DOMAIN = Domain(
    {
        **dict.fromkeys((_X, _MU, _A, _B, _M, _SCORE, *_E, *_F), REAL), _T: UNIT,
        **dict.fromkeys((_V, _N, _C, _U, _R, _W, _D, _S, _K, _BIG, _H), POSITIVE),
    }
)  # fmt: skip


def score_in_tails(wrong: str | None = None) -> Derivation:
    """Where the density falls the score may grow, stay bounded, fall to zero, or vanish."""
    far = sp.sqrt(_N) + _U  # beyond sqrt(n)
    student = -(_N + 1) / 2 * sp.log(1 + _X**2 / _N)
    size = (_N + 1) * _X / (_N + _X**2)
    change = size.subs(_X, far) - size.subs(_X, far + _H)
    if wrong == "grows-everywhere":
        change = -change
    logistic = -_X / _C - 2 * sp.log(1 + sp.exp(-_X / _C))
    bound = (sp.Rational(1, 2) if wrong == "bound-halved" else 1) / _C
    pair = sp.exp(-((_X - _D) ** 2) / (2 * _V)) + sp.exp(-((_X + _D) ** 2) / (2 * _V))
    normal = -((_X - _MU) ** 2) / (2 * _V)
    slope = 2 if wrong == "slope-doubled" else 1
    at = {_X: _MU + _V * _BIG * (1 + _U)}
    return Derivation(
        "score-in-tails",
        title="the score where the density is low",
        statement="How the score grows where the density falls depends on the law. Normal: |s| = |x − μ|/v, beyond "
        "every bound. Logistic of scale c: |s| < 1/c. Student t, n degrees: |s| = (n + 1)|x|/(n + x²), which falls "
        "beyond √n and tends to 0. Between two equal modes at ±d: s = 0, however low the density. So it is not true "
        "of every law that the score grows without bound where the density is low.",
        formula=r"|s(x)|=\frac{|x-\mu|}v,\quad |s(x)|<\frac1c,\quad |s(x)|=\frac{(n+1)|x|}{n+x^2}\to0",
        domain=_DOMAIN,
        steps=(
            equal("normal law", sp.Derivative(normal, _X), -slope * (_X - _MU) / _V),
            greater(
                "its size exceeds every bound M, at x = μ + vM(1 + u)", ((_X - _MU) / _V).subs(at), _BIG,
            ),
            equal(
                "Student t with n degrees, x > 0: size of the score", -sp.Derivative(student, _X), size,
                because="log p = constant − (n+1)/2 log(1 + x²/n)",
            ),
            positive_step(
                "the density falls at x = √n + u, its logarithm at this rate", size.subs(_X, far),
                because="log p decreases in x > 0, to −∞",
            ),
            positive_step(
                "from x = √n + u to x + h the score "
                + ("grows" if wrong == "grows-everywhere" else "falls"), sp.factor(sp.together(change)),
            ),
            greater("it is below (n + 1)/x, at x = d", (_N + 1) / _D, size.subs(_X, _D), because="so it tends to 0"),
            equal(
                "logistic law of scale c: size of the score", -sp.Derivative(logistic, _X),
                (1 - sp.exp(-_X / _C)) / (1 + sp.exp(-_X / _C)) / _C,
            ),
            greater(
                "it is below 1/c, at x = d > 0", bound, (1 - sp.exp(-_D / _C)) / (1 + sp.exp(-_D / _C)) / _C,
            ),
            equal(
                "two equal modes at ±d: the score between them", sp.Derivative(sp.log(pair), _X), 0,
                using={_X: 0},
            ),
            greater(
                "where the density is less than 2 exp(−d²/(2v)) times that at d",
                2 * sp.exp(-(_D**2) / (2 * _V)) * pair.subs(_X, _D), pair.subs(_X, 0),
                because="it is as low as one likes, for far modes",
            ),
        ),
        source="Hyvärinen 2005, Sec. 2, for the score; the laws are standard",
        wrong=wrong,
        mutants={"grows-everywhere": REFUTED, "bound-halved": REFUTED, "slope-doubled": REFUTED},
    )  # fmt: skip


def _square(v: Any) -> Any:
    return sp.Add(*(a**2 for a in v))


def noised_far(wrong: str | None = None) -> Derivation:
    """``|sigma^2 |s(x)| - |x - c|| <= R`` if the data lie within R of c."""
    power = 1 if wrong == "sigma-for-its-square" else 2
    factor = 16 if wrong == "quarter-of-the-radius" else 1
    turned = -1 if wrong == "wrong-sign" else 1
    m, mm, s = _M, _BIG, _SCORE  # posterior mean, second moment and score, one coordinate
    a = [e - f for e, f in zip(_E, _F, strict=True)]
    dot = sp.Add(*(p * f for p, f in zip(a, _F, strict=True)))
    pairs = ((0, 1), (0, 2), (1, 2))
    cross = sp.Add(*((a[i] * _F[j] - a[j] * _F[i]) ** 2 for i, j in pairs))
    long, wide = sp.sqrt(_square(a)), sp.sqrt(_square(_F))
    return Derivation(
        "noised-far",
        title="the score of noised data far out",
        statement="If the data lie within R of c, then the score of q_σ has | σ²|s(x)| − |x − c| | ≤ R at every x, "
        "for every σ > 0 and in every dimension (d = 3 is written out): its size is (|x − c| ± R)/σ².",
        formula=r"\left|\sigma^2\|s(x)\|-\|x-c\|\right|\le R",
        domain=_DOMAIN.with_symbols({_C: REAL}),
        steps=(
            rule(
                "the score by the posterior mean m", "s(x)", "(m − x)/σ²", by="Tweedie's formula",
                hypotheses=("x is a point of the data plus σ ε, ε ~ N(0, I)",),
            ),
            equal(
                "the posterior mean is within R of c, coordinate by coordinate", mm - 2 * _C * m + _C**2,
                factor * (m - _C) ** 2 + (mm - m**2),
                because="E[|x₀ − c|²|x] ≤ R² is |m − c|² plus a variance; M is the second moment",
            ),
            equal(
                "so σ²s = (m − c) − (x − c)", _S**power * s, turned * ((m - _C) - (_X - _C)),
                using={s: (m - _X) / _S**2},
            ),
            equal(
                "with e = m − c, d = x − c and a = e − d: |e|² − (|a| − |d|)²",
                _square(_E) - (long - wide) ** 2, turned * 2 * (long * wide + dot),
                because="a is σ²s, and e = a + d",
            ),
            equal(
                "the Cauchy-Schwarz inequality, by Lagrange's identity: |a|²|d|² − (a·d)²",
                _square(a) * _square(_F) - dot**2, cross,
                because="so that |a||d| + a·d ≥ 0, and (|a| − |d|)² ≤ |e|² ≤ R²",
            ),
        ),
        source="Efron 2011, Eq. 1.4, for the posterior mean",
        wrong=wrong,
        mutants={"sigma-for-its-square": REFUTED, "quarter-of-the-radius": REFUTED, "wrong-sign": REFUTED},
    )  # fmt: skip


def far_field(wrong: str | None = None) -> Derivation:
    """Far from noised data the score is strong, the stronger the less noise; its weight is what is small."""
    distance = 2 * _R + _U  # more than two radii from c
    ratio = ((distance - _R) / (_S / 2) ** 2) / ((distance + _R) / _S**2)
    if wrong == "weaker-with-less-noise":
        ratio = 1 / ratio
    least = (_R + _S * _N + _U - _R) / _S**2  # size at the distance R + sigma n + u, at least
    gone = -((_U + _H) ** 2) / (2 * _S**2) + _U**2 / (2 * _S**2)
    if wrong == "weight-grows":
        gone = -gone
    return Derivation(
        "far-field",
        title="the far field of a score at a small noise level",
        statement="For data within R of c, whose score has size at least (|x − c| − R)/σ² and at most (|x − c| + R)/"
        "σ²: farther away than R + σ√D it exceeds √D/σ, which bounds its root mean square, so it is not weak; "
        "beyond 2R half the σ makes it more than 4/3 as strong. What is small is the density, at most (2πσ²)^(−D/2) "
        "exp(−(|x − c| − R)²/(2σ²)), and with it the weight in the objective. n is √D.",
        formula=r"\|s(x)\|\ge\frac{\|x-c\|-R}{\sigma^2}>\frac{\sqrt D}\sigma\quad"
        r"\text{for }\|x-c\|>R+\sigma\sqrt D",
        domain=_DOMAIN,
        steps=(
            rule(
                "size of the score", "σ²|s(x)|", "|x − c| ± R", relation="is within", by="the derivation noised-far",
                hypotheses=("the data lie within R of c",),
            ),
            greater(
                "at |x − c| = R + σn + u " + ("√D/σ exceeds it" if wrong == "weak-far-out" else "it exceeds √D/σ"),
                *((_N / _S, least) if wrong == "weak-far-out" else (least, _N / _S)),
                because="E|s|² ≤ E|ε/σ|² = D/σ²: the score is the conditional mean of −ε/σ",
            ),
            greater(
                "at |x − c| = 2R + u: strength with half the σ over that with σ", ratio, sp.Rational(4, 3),
                because="at least 4(|x − c| − R)/(|x − c| + R)",
            ),
            rule(
                "the density there", "q_σ(x)", "(2πσ²)^(−D/2) exp(−(|x − c| − R)²/(2σ²))", relation="is at most",
                by="the triangle inequality", hypotheses=("|x − c| > R, so that every datum is |x − c| − R away",),
            ),
            positive_step(
                "its exponent falls from |x − c| − R = u to u + h by", -gone,
                because="faster than any power of |x − c| grows: q|s|² is integrable and tends to 0",
            ),
        ),
        source="Song and Ermon 2019, Sec. 3.2, for the regions of low density",
        wrong=wrong,
        mutants={"weak-far-out": REFUTED, "weaker-with-less-noise": REFUTED, "weight-grows": REFUTED},
    )  # fmt: skip


def mixture_tail(wrong: str | None = None) -> Derivation:
    """``s(x) ~ -x/v`` far out in an isotropic mixture, v the largest variance."""
    x, big, small = _X, _V + _W, _V
    kept = {"smallest-variance": small, "mean-variance": (big + small) / 2}.get(wrong or "", big)
    score = (1 - _T) * -(x - _A) / big + _T * -(x - _B) / small
    rest = (1 - _T) * _A + _T * (_B * big / small - x * (big / small - 1))
    exponent = -((x - _B) ** 2) / (2 * small) + (x - _A) ** 2 / (2 * big)
    rate = (1 / small - 1 / big) / 2
    return Derivation(
        "mixture-tail",
        title="the score of a Gaussian mixture far out",
        statement="For two isotropic components with variances v + w and v, the score is −x/(v + w) up to a bounded "
        "term far out, whatever their weights and means m1 and m2: the posterior weight t of the narrower one falls "
        "like exp(−x²(1/v − 1/(v + w))/2 + linear). One coordinate is shown; the exponent is a sum over coordinates.",
        formula=r"s(x)=-\frac{x}{v_{\max}}+O(1)",
        domain=_DOMAIN,
        steps=(
            equal(
                "the larger variance times the score, plus x", kept * score + x, rest,
                because="the score of a mixture is the mean of those of its components under posterior weights 1−t, t",
            ),
            greater(
                "t is below the ratio of the two terms", _H / _K, _H / (_H + _K),
                because="h and k are weight times density of the narrower and of the wider component",
            ),
            equal(
                "the exponent of that ratio", exponent,
                -rate * x**2 + (_B / small - _A / big) * x + _A**2 / (2 * big) - _B**2 / (2 * small),
            ),
            positive_step("its quadratic rate is positive", rate, because="so that t and x t tend to 0"),
            rule(
                "several components", "the posterior weights of all but the widest ones", "0", relation="tend to",
                by="the same ratio, for each of them", hypotheses=("finitely many isotropic components",),
            ),
        ),
        source="Bishop 2006, Sec. 9.2, for the posterior weights",
        wrong=wrong,
        mutants={"smallest-variance": REFUTED, "mean-variance": REFUTED},
    )  # fmt: skip
