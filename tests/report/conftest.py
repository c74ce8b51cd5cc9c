"""A report with every outcome, role, kind of evidence and figure, and one made of hostile text."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scoreproof.validation.evidence import Allowed, Evidence, Kind, Measured, Outcome, interval
from scoreproof.validation.verdict import Diagnosis, Mutant, NotChecked, Report, Verdict

KILLED = Mutant(
    name="factor_two",
    outcome=Outcome.REFUTED,
    check="identity",
    message="measured 1.24 [1.22, 1.26], allowed [-0.05, 0.05]",
)


def ladder():
    n = np.array([4, 8, 16, 32, 64, 128])
    series = [
        {"label": "Euler-Maruyama", "x": n.tolist(), "y": (2.0 / n).tolist()},
        {"label": "Heun", "x": n.tolist(), "y": (3.1 / n**2).tolist()},
    ]
    return {
        "kind": "lines",
        "title": "$W_2$ to $p_0$ against steps",
        "alt": "Errors of two samplers against the number of steps on log axes.",
        "caption": "Exact errors; Heun falls with the square of $1/n$.",
        "xlabel": "steps $n$",
        "ylabel": "$W_2$",
        "xscale": "log",
        "yscale": "log",
        "series": [{**s, "style": "line+points"} for s in series],
        "slopes": [-2],
        "levels": [{"y": 1e-3, "label": "tolerance"}],
    }


def score_field():
    g = np.linspace(-4, 4, 33)
    x, y = np.meshgrid(g, g)
    centres = [(-1.5, -0.6), (1.6, 0.9)]
    parts = np.array(
        [
            w * np.exp(-((x - a) ** 2) / 1.0 - (y - b) ** 2 / 2.4)
            for w, (a, b) in zip([0.7, 0.3], centres, strict=True)
        ]
    )
    centre = np.array(centres)[:, :, None, None]
    u = (parts * (centre[:, 0] - x) / 0.5).sum(0) / parts.sum(0)
    v = (parts * (centre[:, 1] - y) / 1.2).sum(0) / parts.sum(0)
    return {
        "kind": "field",
        "title": "Score of a mixture",
        "alt": "Arrows of the score over contours of the log-density of two modes.",
        "x": g.tolist(),
        "y": g.tolist(),
        "u": u.tolist(),
        "v": v.tolist(),
        "density": np.log(parts.sum(0)).tolist(),
        "points": centres,
    }


def contact_sheet():
    rng = np.random.default_rng(5)
    rows = [
        {"label": f"{name}, t = {t}", "images": rng.random((10, 8, 8)).round(2).tolist()}
        for name, t in (("noisy", 0.6), ("denoised", 0.6), ("nearest image", 0))
    ]
    return {"kind": "images", "title": "Denoised digits", "alt": "Ten digits.", "rows": rows}


def budget():
    return {
        "kind": "bars",
        "title": "Error budget",
        "labels": ["start law", "steps", "score", "rounding"],
        "series": [
            {"label": "n = 20", "values": [0.002, 0.081, 0.013, 1e-7]},
            {"label": "n = 200", "values": [0.002, 0.0075, 0.013, 1e-7]},
        ],
        "ylabel": "$W_2$",
        "allowed": [0, 0.05],
    }


def simple(claim, value, radius, allowed, *, kind: Kind = "quadrature", **parts: Any):
    piece = interval(
        "identity",
        kind,
        value,
        radius,
        allowed,
        level=1e-8 if kind == "confidence" else 0.0,
        n=16_000,
        detectable=2e-3,
        seed=7,
        message="difference of the two sides, relative to the larger",
    )
    given: dict[str, Any] = {"mutants": (KILLED,)} | parts
    return Verdict(claim=claim, evidence=(piece,), **given)


@pytest.fixture(scope="session")
def report():
    correction = simple(
        "O1",
        3e-9,
        4e-9,
        (-1e-6, 1e-6),
        statement=r"$\tfrac12 E_p\|s-\nabla\log p\|^2 = E_p[\operatorname{tr}\nabla s+\tfrac12\|s\|^2]+C$",
        finding=r"The constant is $C = \tfrac12 E_p\|\nabla\log p\|^2$.",
    )
    printed = simple(
        "O2",
        1.238471,
        3.1e-7,
        (-1e-6, 1e-6),
        role="printed",
        statement=r"$E_p\|s-\nabla\log p\|^2 = E_p[\|s\|^2 + \operatorname{tr}(\nabla s)] + C$, "
        "C free of $s$",
        source=("001 (boxed)",),
        assumptions=("$p$ smooth, positive, decaying", "same constant for two choices of $s$"),
        correction=correction,
        finding=r"The trace lacks a factor 2: the two sides differ by $1.2385$ for $s = -x/2$.",
        figure=score_field(),
    )
    test = Evidence(
        check="e-process",
        kind="test",
        deciding=False,
        log10_e=9.73,
        level=1e-8,
        n=60_000,
        message="the draws are not exactly from the law",
    )
    samples = Verdict(
        claim="law",
        statement="the sampler draws from $p_0$ within tolerance",
        subject={"target": "module:heun", "problem": "digits-10", "steps": 50},
        evidence=(
            interval("means", "confidence", 0.0213, 0.004, (-0.05, 0.05), level=1e-8, n=60_000),
            interval("cdf", "confidence", 0.047, 0.009, (-math.inf, 0.05), level=1e-8, n=60_000),
            test,
        ),
        mutants=(
            KILLED,
            Mutant(name="tail", outcome=Outcome.UNDECIDED, check="cdf", underpowered=True),
        ),
        exact_refuted=True,
        samples_used=60_000,
        diagnosis=Diagnosis(text="90,000 draws would decide the distance of the cdf."),
        figure=contact_sheet(),
    )
    order = Verdict(
        claim="order",
        statement="the scheme is of second order: $W_2 = O(n^{-2})$",
        subject={"target": "module:ddim", "problem": "gaussian-8d"},
        evidence=(interval("slope", "exact", 1.003, 0.021, (1.8, math.inf), n=6),),
        mutants=(KILLED,),
        diagnosis=Diagnosis(
            text="The last step repeats its noise level.",
            cause="repeated last sigma",
            distance=0.0031,
            runner_up="terminal SNR",
        ),
        figure={"kind": "panels", "panels": [ladder(), budget()]},
    )
    failed = Verdict(
        claim="finite",
        statement="all draws are finite",
        evidence=(Evidence.error("finite", "ValueError: 3 of 1,000 draws are nan", seconds=0.02),),
    )
    broken = simple(
        "D5",
        0.0,
        1e-12,
        (-1e-9, 1e-9),
        kind="exact",
        role="informative",
        mutants=(Mutant(name="sign", outcome=Outcome.SUPPORTED, check="identity"),),
        statement="dropping $g\\,dw$ leaves the law as it is",
    )
    proof = Verdict(
        claim="S2",
        statement=r"score of $N(\mu, \Sigma)$ is $-\Sigma^{-1}(x-\mu)$",
        evidence=(
            Evidence(
                check="derivation",
                kind="proof",
                measured=Measured(0.0, 0.0, 0.0),
                allowed=Allowed(0.0, 0.0),
                message="4 steps, each reduced to zero",
            ),
            interval("balls", "enclosure", 0.0, 1e-28, (-1e-25, 1e-25)),
            interval("far tail", "exact", 2.2e-16, 1e-16, (-1e-14, 1e-14), seed=2**127),
        ),
        mutants=(KILLED,),
        figure={"kind": "hologram", "title": "no such kind"},
    )
    reason = "no exact law: the map is not affine"
    return Report(
        verdicts=(printed, proof, samples, order, failed, broken),
        not_checked=tuple(
            NotChecked(claim=c, subject={"problem": p}, reason=reason)
            for c in ("order", "consistent")
            for p in ("ring", "funnel")
        ),
        provenance={
            "version": "0.1.0",
            "python": "3.11.9",
            "seed": 0,
            "started": "2025-01-01T10:00:00Z",
            "seconds": 41.7,
            "packages": {"numpy": "2.2.0", "torch": "2.6.0", "scipy": "1.15.0"},
            "machine": {"processor": "x86_64", "cores": 2, "system": "Linux"},
        },
        profile="quick",
    )


NASTY = '<script>alert(1)</script><img src=x onerror="alert(2)">\x00\x1b[31m\x07\ud800\u202e]]>--> & "\''


@pytest.fixture(scope="session")
def hostile():
    wrong = replace(KILLED, name=NASTY, message=NASTY)
    piece = replace(simple("a", 0, 1, (2, 3)).evidence[0], check=NASTY, message=NASTY)
    inner = Verdict(claim=NASTY, statement=f"${NASTY}$ {NASTY}", evidence=(piece,))
    figure = ladder() | {"title": NASTY, "alt": NASTY, "caption": NASTY, "xlabel": NASTY}
    outer = replace(
        inner,
        source=(NASTY,),
        assumptions=(NASTY,),
        subject={NASTY: NASTY},
        mutants=(wrong,),
        finding=NASTY,
        diagnosis=Diagnosis(text=NASTY, cause=NASTY),
        figure=figure,
        correction=replace(inner, figure={"kind": NASTY}),
    )
    aside = NotChecked(claim=NASTY, subject={NASTY: NASTY}, reason=NASTY)
    return Report(
        verdicts=(outer,),
        not_checked=(aside,),
        provenance={NASTY: NASTY, "packages": {NASTY: NASTY}},
        profile=NASTY,
    )


@pytest.fixture(scope="session")
def verdict():
    """Builds a verdict of one piece: (claim, value, radius, allowed, kind=..., **fields)."""
    return simple
