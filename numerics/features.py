"""Functions whose mean under a law is known exactly: the raw material of control variates.

Every family is computed from the parameters of the law (weights, means, covariances, moments) by code
of its own; none of it calls a score, so that a wrong score cannot cancel itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from scipy import special

from ..theory._checks import bad, parameter
from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Vector
from .rng import substream


@dataclass(frozen=True)
class Features:
    """``m`` functions of a draw with mean zero.

    Attributes:
        evaluate: the arrays of a draw, each with n rows, to ``(n, m)``.
        size: m.
        name: for messages.
        error: bound on each mean's distance from zero, ``(m,)``; None for exactly zero.
    """

    evaluate: Callable[..., Vector]
    size: int
    name: str
    error: Vector | None = None

    def of(self, *slots: int) -> Features:
        """The same functions of the arrays at positions ``slots`` of a longer draw."""
        inner = self.evaluate
        return Features(
            lambda *draws: inner(*(draws[i] for i in slots)), self.size, self.name, self.error
        )

    def __add__(self, other: Features) -> Features:
        """Both families, on the same draw."""
        a, b = self, other
        error = None
        if a.error is not None or b.error is not None:
            parts = [np.zeros(f.size) if f.error is None else f.error for f in (a, b)]
            error = np.concatenate(parts)
        return Features(
            lambda *draws: np.concatenate([a.evaluate(*draws), b.evaluate(*draws)], axis=1),
            a.size + b.size,
            f"{a.name} + {b.name}",
            error,
        )


def products(one: Features, other: Features) -> Features:
    """``F``, ``G`` and all ``F_i G_j`` for ``F`` and ``G`` of *independent* parts of the same draw."""
    f, g = one, other
    if f.error is not None or g.error is not None:
        raise bad(
            "error", "means known up to an error", "exact means", "use features of a mixture"
        )

    def evaluate(*draws: Vector) -> Vector:
        a, b = f.evaluate(*draws), g.evaluate(*draws)
        both = (a[:, :, None] * b[:, None, :]).reshape(a.shape[0], -1)
        return np.concatenate([a, b, both], axis=1)

    return Features(evaluate, f.size + g.size + f.size * g.size, f"({f.name}) x ({g.name})")


def mixture_of(law: Any) -> GaussianMixture | None:
    """The Gaussian mixture that ``law`` is, or is a marginal of; None if it is none."""
    inner = getattr(law, "law", law)
    return inner if isinstance(inner, GaussianMixture) else None


def hermite_features(dim: int, degree: int, *, diagonal: bool = False) -> Features:
    """Products of normalised Hermite polynomials ``prod_i He_{a_i}(z_i) / sqrt(a_i!)`` of ``z ~ N(0, I)``.

    Args:
        dim: d.
        degree: all multi-indices with ``1 <= |a| <= degree``.
        diagonal: only powers of single coordinates.
    """
    indices = _multi_indices(dim, degree, diagonal)
    return Features(
        lambda z: _hermite_products(z, indices, degree), len(indices), f"Hermite {degree}"
    )


def rao_features(law: GaussianMixture, degree: int, *, diagonal: bool = False) -> Features:
    """``r_k(x) - w_k`` and ``r_k(x) H_a(z_k)``, ``z_k = Sigma_k^{-1/2} (x - mu_k)``, ``1 <= |a| <= degree``.

    Since ``r_k p = w_k N(mu_k, Sigma_k)``, ``E r_k H_a(z_k) = w_k E H_a(z) = 0`` for Hermite products.
    """
    indices = _multi_indices(law.dim, degree, diagonal)
    log_norm = np.log(law.weights) - 0.5 * law.basis.log_det
    size = law.components * len(indices) + law.components - 1

    def evaluate(x: Vector) -> Vector:
        z = law.basis.apply(lambda v: v**-0.5, x[None] - law.means[:, None, :])
        r = special.softmax(log_norm[:, None] - 0.5 * np.sum(z * z, axis=-1), axis=0)
        parts = [(r[:-1] - law.weights[:-1, None]).T]
        parts += [
            r[k, :, None] * _hermite_products(z[k], indices, degree) for k in range(law.components)
        ]
        return np.concatenate(parts, axis=1)

    return Features(evaluate, size, f"posterior weights x Hermite {degree}")


def moment_features(law: Any, degree: int = 2) -> Features:
    """``y_i`` and ``y_i y_j - delta_ij`` for the whitened ``y = lambda^{-1/2} U'(x - mean)``.

    Only mean and covariance ``U lambda U'`` of the law are used; directions without variance are left out.
    """
    mean = np.asarray(law.mean)
    lam, u = np.linalg.eigh(np.asarray(law.covariance))
    kept = lam > 1e-10 * lam[-1]
    white = u[:, kept] / np.sqrt(lam[kept])
    rows, cols = np.triu_indices(white.shape[1])
    delta = (rows == cols).astype(np.float64)

    def evaluate(x: Vector) -> Vector:
        y = (x - mean) @ white
        return y if degree < 2 else np.concatenate([y, y[:, rows] * y[:, cols] - delta], axis=1)

    size = white.shape[1] + (len(rows) if degree > 1 else 0)
    return Features(evaluate, size, f"moments {degree}")


def characteristic_function(law: GaussianMixture, frequencies: Vector) -> Vector:
    """``E exp(i w'x) = sum_k w_k exp(i w'mu_k - w'Sigma_k w / 2)``.

    Args:
        law: the mixture.
        frequencies: ``(m, d)``.

    Returns:
        Complex ``(m,)``.
    """
    w = np.asarray(frequencies, dtype=np.float64)
    spread = law.basis.apply(lambda v: v, np.broadcast_to(w, (law.components, *w.shape)))
    square = np.sum(spread * w, axis=-1)
    return law.weights @ np.exp(1j * law.means @ w.T - 0.5 * square)


def cf_features(law: GaussianMixture, frequencies: Any) -> Features:
    """``cos w'x - Re phi(w)`` and ``sin w'x - Im phi(w)`` with the characteristic function ``phi``."""
    w = parameter(frequencies, "frequencies", 2)
    phi = characteristic_function(law, w)
    known = np.concatenate([phi.real, phi.imag])

    def evaluate(x: Vector) -> Vector:
        phase = x @ w.T
        return np.concatenate([np.cos(phase), np.sin(phase)], axis=1) - known

    return Features(evaluate, 2 * len(w), f"{len(w)} frequencies")


def noised_cf_features(
    base: GaussianMixture, scale: float, variance: float, frequencies: Any, degree: int = 2
) -> Features:
    """``exp(i w'x_t) He_j(eps_i)``, ``j <= degree``, of pairs ``(x_0, eps)`` with ``x_t = a x_0 + sd eps``.

    ``E exp(i w'x_t) He_j(eps_i) = phi_0(a w) exp(-v |w|^2 / 2) (i sd w_i)^j``: real and imaginary parts
    are centred with it. Only independence of ``x_0`` and ``eps`` enters.
    """
    w = parameter(frequencies, "frequencies", 2)
    sd = math.sqrt(variance)
    phi = characteristic_function(base, scale * w) * np.exp(
        -0.5 * variance * np.sum(w * w, axis=1)
    )
    powers = [phi[:, None] * (1j * sd * w) ** j for j in range(1, degree + 1)]
    known = np.concatenate([phi[:, None], *powers], axis=1).ravel()

    def evaluate(x0: Vector, eps: Vector) -> Vector:
        wave = np.exp(1j * ((scale * x0 + sd * eps) @ w.T))
        table = [
            np.ones((len(eps), 1)),
            *(special.eval_hermitenorm(j, eps) for j in range(1, degree + 1)),
        ]
        tests = np.concatenate(table, axis=1)
        out = (wave[:, :, None] * tests[:, None, :]).reshape(len(eps), -1) - known
        return np.concatenate([np.real(out), np.imag(out)], axis=1)

    return Features(evaluate, 2 * known.size, f"{len(w)} frequencies x Hermite {degree}")


def legendre_features(degree: int) -> Features:
    """``sqrt(2j+1) P_j(2u - 1)``, ``1 <= j <= degree``, of ``u ~ U(0, 1)`` ``(n,)``."""
    orders = np.arange(1, degree + 1)

    def evaluate(u: Vector) -> Vector:
        return np.sqrt(2 * orders + 1) * special.eval_legendre(orders, 2 * u[:, None] - 1)

    return Features(evaluate, degree, f"Legendre {degree}")


def quadrature_features(law: Any, degree: int = 8) -> Features:
    """``T_a(tanh y_1) T_b(tanh y_2)`` of the standardised coordinates, centred by quadrature (d <= 2).

    Bounded, so that a law without moments has them; the error of the quadrature goes into ``error``.

    Raises:
        ValueError: more than two dimensions.
    """
    if law.dim > 2:
        raise bad("law", f"dimension {law.dim}", "dimension 1 or 2", "use moment_features")
    from .quadrature import expectation

    mean, sd = _location(law)
    indices = _multi_indices(law.dim, degree, False)
    shape = np.zeros((len(indices), law.dim), dtype=int)
    for row, index in enumerate(indices):
        for i, power in index:
            shape[row, i] = power

    def raw(x: Vector) -> Vector:
        table = special.eval_chebyt(
            np.arange(degree + 1)[:, None, None], np.tanh((x - mean) / (2 * sd))[None]
        )
        out = np.ones((len(x), len(indices)))
        for i in range(law.dim):
            out *= table[shape[:, i], :, i].T
        return out

    found = expectation(raw, law)
    known, error = np.asarray(found.value), np.asarray(found.error)
    return Features(
        lambda x: raw(x) - known, len(indices), f"Chebyshev {degree} by quadrature", error
    )


def _location(law: Any) -> tuple[Vector, Vector]:
    """Standardisation of the coordinates that does not need moments to exist."""
    with np.errstate(all="ignore"):
        try:
            mean = np.asarray(law.mean, dtype=np.float64)
            sd = np.sqrt(np.diag(np.asarray(law.covariance, dtype=np.float64)))
        except (ValueError, NotImplementedError, AttributeError):
            return np.zeros(law.dim), np.ones(law.dim)
    usable = np.isfinite(mean) & np.isfinite(sd) & (sd > 0)
    return np.where(usable, mean, 0.0), np.where(usable, sd, 1.0)


def fourier_grid(law: GaussianMixture, count: int, *, reach: float = 5.5) -> Vector:
    """Frequencies for :func:`cf_features`, ``(count, d)``.

    In one dimension the harmonics of the interval that holds every component to ``reach`` standard
    deviations; in more, fixed pseudo-random whitened directions of length up to four.
    """
    if law.dim == 1:
        sd = np.sqrt(np.broadcast_to(law.basis.eigenvalues()[:, :1], law.means.shape))
        low, high = np.min(law.means - reach * sd), np.max(law.means + reach * sd)
        return np.pi * np.arange(1, count + 1)[:, None] / (high - low)
    rng = substream(0, "frequencies", law.dim, count)
    directions = rng.standard_normal((count, law.dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = 0.3 + 3.7 * (np.arange(count)[:, None] + 0.5) / count
    root = np.linalg.cholesky(law.covariance)
    return np.linalg.solve(root.T, (directions * lengths).T).T


def default_features(law: Any, *, most: int = 600) -> list[Features]:
    """Families for functions of ``x ~ law``, from small to large, none larger than ``most``.

    Mixtures: moments, posterior weights times Hermite polynomials, characteristic function. Other
    laws: bounded features centred by quadrature in one and two dimensions, moments beyond where they are known.
    """
    mixture = mixture_of(law)
    if mixture is None:
        if law.dim <= 2:
            return [quadrature_features(law)]
        known = hasattr(law, "mean") and hasattr(law, "covariance")
        return [moment_features(law, 1)] if known else []
    d = law.dim
    families = [moment_features(mixture, 1), moment_features(mixture, 2), rao_features(mixture, 1)]
    families += [rao_features(mixture, 2, diagonal=True), rao_features(mixture, 2)]
    # (degree of the polynomials, number of waves), by what cut the width most in each dimension
    steps = {1: ((2, 30), (6, 30), (4, 60)), 2: ((4, 0), (6, 30), (8, 60)), 3: ((3, 0), (4, 60))}
    for degree, count in steps.get(d, ()):
        family = rao_features(mixture, degree)
        waves = cf_features(mixture, fourier_grid(mixture, count)) if count else None
        families.append(family if waves is None else family + waves)
    return [f for f in families if f.size <= most]


def _multi_indices(dim: int, degree: int, diagonal: bool) -> list[tuple[tuple[int, int], ...]]:
    """Multi-indices as tuples of ``(coordinate, power)``."""
    if diagonal:
        return [((i, g),) for g in range(1, degree + 1) for i in range(dim)]
    found: list[tuple[tuple[int, int], ...]] = []
    for g in range(1, degree + 1):
        for chosen in combinations_with_replacement(range(dim), g):
            found.append(tuple((i, chosen.count(i)) for i in sorted(set(chosen))))
    return found


def _hermite_products(
    z: Vector, indices: Sequence[tuple[tuple[int, int], ...]], degree: int
) -> Vector:
    """``prod He_power(z_i) / sqrt(power!)``, shape ``(n, len(indices))``."""
    table = [np.ones_like(z), z]
    for g in range(1, degree):
        # Normalised recursion: sqrt(g+1) h_{g+1} = z h_g - sqrt(g) h_{g-1}.
        table.append((z * table[g] - math.sqrt(g) * table[g - 1]) / math.sqrt(g + 1))
    out = np.empty((z.shape[0], len(indices)))
    for column, index in enumerate(indices):
        value = table[index[0][1]][:, index[0][0]]
        for i, power in index[1:]:
            value = value * table[power][:, i]
        out[:, column] = value
    return out
