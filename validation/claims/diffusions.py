"""Ledger, stochastic and ordinary differential equations: D1 to D7.

D2 to D5 are one family. Run backwards in time from ``p_T`` with drift ``f x - c g^2 s`` and noise ``eta g dw``, a
process keeps the marginals of ``dx = f x dt + g dw`` exactly when ``c - eta^2/2 = 1/2``, since then

    -d p_t/dt = div(p (f x - c g^2 s)) + (eta^2 g^2 / 2) lap p.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import integrate

from ...theory.diffusions import VE, VP, ExponentialNoise
from ...theory.marginals import marginal
from ...theory.mixtures import Gaussian
from ...theory.protocols import Vector
from ...theory.sde import LinearSDE
from ..claim import Check, Claim, Context
from ..evidence import Evidence
from .laws import points_of, skewed_1d, skewed_2d
from .tools import EPS, agreement, named, number

TIMES = (0.05, 0.2, 0.4, 0.7, 0.95)
START, END = 1.0, 1e-3


def _time_derivative(sde: LinearSDE, law: object, x: Vector, t: float) -> tuple[Vector, float]:
    """``d log p_t(x) / dt`` by two Richardson steps of central differences, and a bound of its error."""

    def central(h: float) -> Vector:
        ahead = marginal(law, sde, t + h).log_prob(x)  # type: ignore[arg-type]
        behind = marginal(law, sde, t - h).log_prob(x)  # type: ignore[arg-type]
        return (ahead - behind) / (2 * h)

    h = 4e-3 * t
    coarse, middle, fine = central(h), central(h / 2), central(h / 4)
    first, second = (4 * middle - coarse) / 3, (4 * fine - middle) / 3
    value = (16 * second - first) / 15
    size = float(np.abs(marginal(law, sde, t).log_prob(x)).max()) + 1  # type: ignore[arg-type]
    return value, float(np.abs(value - second).max()) + 16 * EPS * size / h


def _balance(c: float, eta: float) -> Check:
    """Fokker-Planck residual of the reversed process at five times, divided by p and by the largest term."""

    def check(ctx: Context) -> Evidence:
        rests, bounds = [], []
        for sde in (VP(), VE(sigma_min=0.1, sigma_max=10.0)):
            for law in (skewed_1d(), skewed_2d()):
                for t in TIMES:
                    p_t = marginal(law, sde, t)
                    x = points_of(p_t.law, reach=2.0)
                    f, g2 = float(sde.drift(t)), float(sde.diffusion(t)) ** 2
                    s, div = p_t.score(x), p_t.divergence(x)
                    square = (s**2).sum(1)
                    carried = f * (law.dim + (x * s).sum(1))
                    pulled = -c * g2 * (square + div)
                    spread = 0.5 * eta**2 * g2 * (square + div)
                    slope, error = _time_derivative(sde, law, x, t)
                    size = float(np.abs(carried).max() + g2 * np.abs(square + div).max())
                    rests.append(float(np.abs(carried + pulled + spread + slope).max()) / size)
                    bounds.append(error / size + 256 * EPS)
        return agreement(
            np.array(rests),
            np.zeros(len(rests)),
            bound=max(bounds),
            tolerance=1e-6,
            kind="quadrature",
            n=20 * 64,
            message=f"Fokker-Planck residual relative to its terms: {max(rests):.3g}; two diffusions, two "
            "laws, five times",
        )

    return check


def _returned(c: float, eta: float, v0: float = 0.25) -> Check:
    """Variance at ``t = 1e-3`` of the reversed process started at the exact ``p_1``, N(0.7, v0), VP."""

    def check(ctx: Context) -> Evidence:
        sde, data = VP(), Gaussian([0.7], [v0])

        def right(t: float, y: Vector) -> Vector:
            p_t = marginal(data, sde, t)
            v, m = float(p_t.covariance[0, 0]), float(p_t.mean[0])
            f, g2 = float(sde.drift(t)), float(sde.diffusion(t)) ** 2
            slope = f + c * g2 / v
            return np.array([slope * y[0] - c * g2 * m / v, 2 * slope * y[1] - eta**2 * g2])

        first = marginal(data, sde, START)
        begin = np.array([first.mean[0], first.covariance[0, 0]])
        ends = [
            integrate.solve_ivp(right, (START, END), begin, method="DOP853", rtol=r, atol=1e-14).y[
                1, -1
            ]
            for r in (1e-9, 1e-11)
        ]
        truth = float(marginal(data, sde, END).covariance[0, 0])
        ratio = float(ends[1]) / truth
        return number(
            ratio,
            error=10 * abs(ends[1] - ends[0]) / truth + 1e-12,
            allowed=(1 - 1e-6, 1 + 1e-6),
            kind="quadrature",
            message=f"the reversed process returns {ratio:.6g} times the variance of the data",
        )

    return check


def _reversal(
    id: str,
    statement: str,
    source: tuple[str, ...],
    c: float,
    eta: float,
    correction: Claim | None = None,
) -> Claim:
    candidates = {
        "score-halved": (c / 2, eta),
        "sign-of-the-score": (-c, eta),
        "score-left-out": (0.0, eta),
        "noise-larger": (c, eta + 0.5),
    }
    # Halving the score of a wrong formula may give a right one, which is no mutant.
    wrong = {k: v for k, v in candidates.items() if abs(v[0] - v[1] ** 2 / 2 - 0.5) > 1e-12}
    printed = bool(source)
    return Claim(
        id,
        statement,
        checks={"fokker-planck": _balance(c, eta), "variance": _returned(c, eta)},
        mutants={
            "fokker-planck": [named(_balance(*v), k) for k, v in wrong.items()],
            "variance": [named(_returned(*v), k) for k, v in wrong.items()],
        },
        source=source,
        assumptions=(
            "decided for VP and VE, on mixtures in one and two dimensions and on a Gaussian",
        ),
        correction=correction,
        finding=lambda evidence: evidence["variance"].message + ".",
        role="printed" if printed else "required",
        group="ledger",
    )


def _noise_variance(formula: Callable[[float], float]) -> Check:
    """Variance of ``dx = e^t dw`` from its moment equation ``v' = e^{2t}`` against a formula."""

    def check(ctx: Context) -> Evidence:
        times = np.array([1e-3, 0.3, 1.0, 2.0, 3.0])
        solved = integrate.solve_ivp(
            lambda t, v: np.exp([2 * t]),
            (0, 3),
            [0.0],
            method="DOP853",
            t_eval=times,
            rtol=1e-12,
            atol=1e-16,
        ).y[0]
        return agreement(
            np.array([formula(t) for t in times]) / solved,
            np.ones(len(times)),
            bound=1e-9,
            tolerance=1e-7,
            kind="quadrature",
            message="variance of the kernel against its moment equation at five times up to t = 3",
        )

    return check


def _library_variance(t: float) -> float:
    return float(ExponentialNoise(t_max=4.0).kernel(t).variance)


def _noise_mean(shift: float) -> Check:
    def check(ctx: Context) -> Evidence:
        sde = ExponentialNoise(t_max=4.0)
        scales = np.array([float(sde.kernel(t).scale) for t in (0.1, 1.0, 3.0)])
        return agreement(
            scales + shift,
            np.ones(3),
            bound=4 * EPS,
            tolerance=1e-12,
            message="factor of x_0 in the mean",
        )

    return check


def _growth(formula: Callable[[float], float]) -> Check:
    """Growth of the variance over a unit of time, late: e^2 for exponential growth at rate 2."""

    def check(ctx: Context) -> Evidence:
        rate = float(np.log(formula(4.0) / formula(3.0)))
        return number(
            rate,
            error=1e-12,
            allowed=(1.99, 2.01),
            message=f"the variance grows at rate {rate:.6f} between t = 3 and t = 4",
        )

    return check


def _chain(steps: int, keep: float, noise: float) -> tuple[float, float]:
    """Scale and variance at t = 1 of ``x <- sqrt(1 - keep b) x + sqrt(noise b) z`` with ``b = beta(t_i)/N``."""
    b = VP().beta(np.arange(1, steps + 1) / steps) / steps
    log_keep = np.log1p(-keep * b)
    after = np.concatenate([np.cumsum(log_keep[::-1])[::-1][1:], [0.0]])
    return float(np.exp(0.5 * log_keep.sum())), float((noise * b * np.exp(after)).sum())


def _ddpm(keep: float = 1.0, noise: float = 1.0) -> Check:
    """Kernel of the chain at t = 1, extrapolated to infinitely many steps, against the VP kernel."""

    def check(ctx: Context) -> Evidence:
        sizes = (4096, 8192, 16384, 32768)
        table = np.array([_chain(n, keep, noise) for n in sizes])
        # The error is a series in 1/N: three rounds of Richardson leave O(N^-4).
        rows = [table]
        for k in (1, 2, 3):
            last = rows[-1]
            rows.append((2**k * last[1:] - last[:-1]) / (2**k - 1))
        limit, error = rows[-1][0], float(np.abs(rows[-1][0] - rows[-2][-1]).max())
        kernel = VP().kernel(1.0)
        return agreement(
            limit,
            np.array([kernel.scale, kernel.variance]),
            bound=10 * error + 1e-12,
            tolerance=1e-8,
            kind="quadrature",
            n=sum(sizes),
            message="scale and variance of the discrete chain in the limit against the continuous kernel",
        )

    return check


def _rate(target: float) -> Check:
    def check(ctx: Context) -> Evidence:
        kernel = VP().kernel(1.0)
        errors = [abs(_chain(n, 1.0, 1.0)[0] / kernel.scale - 1) for n in (8192, 16384, 32768)]
        order = float(np.log2(errors[1] / errors[2]))
        before = float(np.log2(errors[0] / errors[1]))
        return number(
            order,
            error=abs(order - before),
            allowed=(target - 0.02, target + 0.02),
            kind="quadrature",
            n=57344,
            message=f"the scale of the DDPM chain converges at order {order:.4f} in 1/N",
        )

    return check


def _smld(g2: Callable[[VE, Vector], Vector]) -> Check:
    """``int_0^t g^2`` against ``sigma_i^2 - sigma_0^2`` of the chain at its own grid points."""

    def check(ctx: Context) -> Evidence:
        sde = VE(sigma_min=0.1, sigma_max=10.0)
        nodes, weights = np.polynomial.legendre.leggauss(40)
        gaps = []
        for t in np.linspace(0.1, 1.0, 10):
            r = 0.5 * t * (nodes + 1)
            continuous = 0.5 * t * float(weights @ g2(sde, r))
            chain = 0.01 * 100 ** (2 * t) - 0.01
            gaps.append(continuous / chain - 1)
        return agreement(
            np.array(gaps),
            np.zeros(10),
            bound=1e-12,
            tolerance=1e-9,
            kind="quadrature",
            n=400,
            message="variance of the continuous VE noise over that of the chain, at ten grid points",
        )

    return check


def _derivative_of_square(sde: VE, t: Vector) -> Vector:
    return np.asarray(sde.diffusion(t)) ** 2


def _one_step(kind: str, drift: float = 0.5, power: float = 0.5) -> Check:
    """Order in the step of the gap between an Euler-Maruyama step and the chain's transition."""

    def check(ctx: Context) -> Evidence:
        h = 2.0 ** -np.arange(8, 13)
        if kind == "ddpm":
            b = VP().beta(0.5) * h
            gaps = np.abs(1 - drift * b - np.sqrt(1 - b)) + np.abs(b ** (2 * power) - b)
        else:
            sde = VE(sigma_min=0.1, sigma_max=10.0)
            step = h ** (2 * power) * float(sde.diffusion(0.5)) ** 2
            chain = np.array([float(sde.kernel(0.5 + d, 0.5).variance) for d in h])
            gaps = np.abs(step - chain)
        orders = np.log2(gaps[:-1] / gaps[1:])
        return number(
            float(orders[-1]),
            error=abs(float(orders[-1] - orders[-2])),
            allowed=(1.95, 2.05),
            kind="quadrature",
            n=len(h),
            message=f"one step and the {kind} transition differ by O(h^{orders[-1]:.3f})",
        )

    return check


_FAMILY = "running backwards in time"
_TRUE_SDE = r"dY = [-b(T-t, Y) + \sigma^2(T-t)\,\nabla\log p_{T-t}(Y)]\,dt + \sigma(T-t)\,dW"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "D1",
        r"$dx = e^t dw$ perturbs data with Gaussian noise of mean zero and variance $v(t)$ with $v' = e^{2t}$, "
        r"exponentially growing",
        checks={
            "mean": _noise_mean(0.0),
            "variance": _noise_variance(_library_variance),
            "growth": _growth(_library_variance),
        },
        mutants={
            "mean": [named(_noise_mean(1e-6), "mean-shifted")],
            "variance": [
                named(_noise_variance(lambda t: np.exp(t) - 1), "e-to-the-t"),
                named(_noise_variance(lambda t: np.exp(2 * t) / 2), "without-start"),
            ],
            "growth": [named(_growth(lambda t: np.exp(t) - 1), "rate-one")],
        },
        source=("001",),
        finding=lambda evidence: (
            "The kernel is N(x_0, (e^{2t} - 1)/2 I); " + evidence["growth"].message + "."
        ),
        role="printed",
        group="ledger",
    ),
    _reversal(
        "D2",
        rf"reverse SDE: $dx = [f - g^2 \nabla\log p_t]\,dt + g\,dw$, time {_FAMILY}",
        ("001", "002"),
        1.0,
        1.0,
    ),
    _reversal(
        "D3",
        r"reverse SDE: $dY = [-b(T-t, Y) + \frac12\sigma^2(T-t)\,\nabla\log p_{T-t}(Y)]\,dt + \sigma(T-t)\,dW$",
        ("004",),
        0.5,
        1.0,
        _reversal(
            "D3", rf"reverse SDE: ${_TRUE_SDE}$: the score enters whole, not halved", (), 1.0, 1.0
        ),
    ),
    _reversal(
        "D4",
        r"probability-flow ODE: $dX = [b - \frac12\sigma^2\nabla\log p_t]\,dt$ has the marginals of the forward "
        "process",
        ("004",),
        0.5,
        0.0,
    ),
    _reversal(
        "D5",
        r"dropping the noise term $g\,dw$ from the reverse SDE, changing nothing else, gives a deterministic "
        "sampler of the same law",
        ("002",),
        1.0,
        0.0,
        _reversal(
            "D5",
            r"dropping the noise term and halving the score, $dx = [f - \frac12 g^2\nabla\log p_t]\,dt$, gives a "
            "deterministic sampler of the same law",
            (),
            0.5,
            0.0,
        ),
    ),
    Claim(
        "D6",
        r"DDPM is $f = -\frac12\beta x$, $g = \sqrt{\beta}$; SMLD is $f = 0$, $g = \sqrt{d\sigma^2/dt}$: limits of "
        "the discrete chains",
        checks={"ddpm": _ddpm(), "rate": _rate(1.0), "smld": _smld(_derivative_of_square)},
        mutants={
            "ddpm": [
                named(_ddpm(keep=2.0), "drift-without-one-half"),
                named(_ddpm(noise=0.5), "noise-variance-halved"),
            ],
            "rate": [named(_rate(2.0), "order-two")],
            "smld": [
                named(_smld(lambda sde, t: np.asarray(sde.diffusion(t))), "g-without-root"),
                named(_smld(lambda sde, t: 0.5 * _derivative_of_square(sde, t)), "halved"),
            ],
        },
        source=("002",),
        finding=lambda evidence: (
            evidence["rate"].message + "; the SMLD chain is exact at its grid points: "
            f"largest relative gap {evidence['smld'].measured.value:.1e}."  # type: ignore[union-attr]
        ),
        role="printed",
        group="ledger",
    ),
    Claim(
        "D7",
        r"one Euler-Maruyama step has the form of the SMLD / DDPM transition",
        checks={"ddpm": _one_step("ddpm"), "smld": _one_step("smld")},
        mutants={
            "ddpm": [named(_one_step("ddpm", drift=1.0), "drift-doubled")],
            "smld": [named(_one_step("smld", power=0.45), "root-of-the-step-missed")],
        },
        source=("004",),
        assumptions=(
            "'has the form' is read as: both are Gaussian with a linear mean, and mean factor and variance "
            "agree to second order in the step",
        ),
        finding=lambda evidence: f"{evidence['ddpm'].message}; {evidence['smld'].message}.",
        role="printed",
        group="ledger",
    ),
)
