"""Common tests of "these draws have that law", each at a given level, as they are found in libraries and papers.

One-sample tests know the target: Kolmogorov-Smirnov (scipy) and Anderson-Darling of every coordinate against its
exact distribution function, the Dvoretzky-Kiefer-Wolfowitz band with Massart's constant that statistical tests of
TensorFlow Probability use, and the kernel Stein discrepancy (Chwialkowski, Strathmann and Gretton 2016; Liu, Lee and
Jordan 2016; inverse multiquadric kernel, Gorham and Mackey 2017) with the wild bootstrap. Two-sample tests get as
many exact draws of the target: maximum mean discrepancy (Gretton et al. 2012; Gaussian kernel, median distance as
bandwidth), the same with 250 random Fourier frequencies (Rahimi and Recht 2007), which reads all draws where the
kernel matrix would be too large, energy distance (Székely and Rizzo 2013), and classifiers (Lopez-Paz and Oquab
2017). Kernels, energy distance and classifiers see coordinates whitened by the pooled sample, or the
discrepancy of the small eigen-directions would be lost.

A permutation test of B = 999 that is to reject at .001 must see no permutation at or above the observed statistic:
it ends at the first that is, with the same outcome.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from marginal_cdfs import Coordinates
from scipy import special, stats

LEVEL = 1e-3
CAP = 4_000  #: draws that tests with a matrix of all pairs read at most
_PERMUTATIONS = math.ceil(1 / LEVEL) - 1
_FREQUENCIES = 250
_BATCH = 50  #: permutations handled at a time


def kolmogorov_smirnov(x: np.ndarray, law: Coordinates) -> bool:
    """Two-sided test of scipy for every coordinate, Bonferroni; conservative for atoms."""
    gaps = [_gap(u, law.discrete) for u in law.uniforms(x)]
    return float(stats.kstwo.sf(max(gaps), len(x))) <= LEVEL / len(gaps)


def dkwm(x: np.ndarray, law: Coordinates) -> bool:
    """Whether an empirical distribution function leaves the band ``sqrt(log(2 d / level) / (2 n))``."""
    gaps = [_gap(u, law.discrete) for u in law.uniforms(x)]
    return max(gaps) > math.sqrt(math.log(2 * len(gaps) / LEVEL) / (2 * len(x)))


def _gap(u: np.ndarray, discrete: bool) -> float:
    if not discrete:
        return float(stats.kstest(u, "uniform").statistic)
    # Atoms: the empirical law and the right one are compared where both are continuous from the right.
    levels = np.unique(u)
    below = np.searchsorted(np.sort(u), levels, side="right") / len(u)
    return float(np.abs(below - levels).max())


def anderson_darling(x: np.ndarray, law: Coordinates) -> bool:
    """``A^2`` of every coordinate against its exact law, Bonferroni.

    In the limit ``A^2`` is ``sum_j chi2_1 / (j (j + 1))``, whose tail is ``sqrt(3) P(chi2_1 > 2 a)`` (Zolotarev 1961):
    a tenth too small at the level .001.
    """
    squares = [_squared(u) for u in law.uniforms(x)]
    return _tail(max(squares)) <= LEVEL / len(squares)


def _squared(u: np.ndarray) -> float:
    n, s = len(u), np.sort(u).clip(1e-300, 1 - 2.0**-53)
    odd = 2 * np.arange(1, n + 1) - 1
    return -n - float(odd @ (np.log(s) + np.log1p(-s[::-1]))) / n


def _tail(a: float) -> float:
    return math.sqrt(3) * float(stats.chi2.sf(2 * a, 1))


def _white(x: np.ndarray, y: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, ...]:
    """Both samples whitened by mean and covariance of ``basis``, and the root ``L`` of that covariance."""
    mean = basis.mean(axis=0)
    root = np.linalg.cholesky(np.atleast_2d(np.cov(basis.T)))
    a, b = (np.linalg.solve(root, (v - mean).T).T for v in (x, y))
    return a, b, root


def _square_distances(z: np.ndarray) -> np.ndarray:
    z = z.astype(np.float32)
    s = np.einsum("ij,ij->i", z, z)
    d = z @ z.T
    d *= -2
    d += s[:, None]
    d += s[None]
    np.maximum(d, 0, out=d)
    np.fill_diagonal(d, 0)
    return d


def _median(z: np.ndarray) -> float:
    """Median squared distance of some pairs."""
    d = _square_distances(z[:: max(1, len(z) // 1000)])
    return float(np.median(d[np.triu_indices(len(d), 1)]))


def _beaten(
    values: Callable[[np.ndarray], np.ndarray],
    first: np.ndarray,
    rng: np.random.Generator,
    *,
    flips: bool = False,
) -> bool:
    """Whether a statistic of signs is larger at ``first`` than at all permutations (or random signs)."""
    observed, done, size = float(values(first[None])[0]), 0, 1
    while done < _PERMUTATIONS:
        size = min(2 * size, _BATCH, _PERMUTATIONS - done)
        if flips:
            signs = rng.choice(np.array([-1, 1], np.float32), size=(size, len(first)))
        else:
            signs = rng.permuted(np.tile(first, (size, 1)), axis=1)
        if (values(signs) >= observed).any():
            return False
        done += size
    return True


def _labels(n: int, m: int) -> np.ndarray:
    return np.r_[np.ones(n), -np.ones(m)].astype(np.float32)


class Pairs:
    """All squared distances of the pooled whitened sample, the first CAP of either, for the tests that need them."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        a, b, _ = _white(x[:CAP], y[:CAP], np.concatenate([x[:CAP], y[:CAP]]))
        self._pooled, self._labels = np.concatenate([a, b]), _labels(len(a), len(b))
        self._square = _square_distances(self._pooled)
        self._kernel = np.empty_like(self._square)

    def mmd(self, rng: np.random.Generator) -> bool:
        """``s' K s`` with the Gaussian kernel."""
        k = np.multiply(self._square, np.float32(-0.5 / _median(self._pooled)), out=self._kernel)
        np.exp(k, out=k)
        return _beaten(lambda s: np.einsum("ij,ij->i", s @ k, s), self._labels, rng)

    def energy(self, rng: np.random.Generator) -> bool:
        """``- s' |x - y| s``."""
        k = np.sqrt(self._square, out=self._kernel)
        return _beaten(lambda s: -np.einsum("ij,ij->i", s @ k, s), self._labels, rng)


def mmd_features(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> bool:
    """The Gaussian kernel by random Fourier frequencies: all draws of both samples."""
    a, b, _ = _white(x, y, np.concatenate([x, y]))
    pooled = np.concatenate([a, b])
    w = rng.standard_normal((pooled.shape[1], _FREQUENCIES)) / math.sqrt(_median(pooled))
    angle = (pooled @ w).astype(np.float32)
    f = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    return _beaten(lambda s: np.square(s @ f).sum(axis=1), _labels(len(a), len(b)), rng)


def stein(
    x: np.ndarray,
    y: np.ndarray,
    score: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
) -> bool:
    """Kernel Stein discrepancy of the first CAP draws; ``y``, exact draws, only scales the coordinates."""
    z, reference, root = _white(x[:CAP], y[:CAP], y[:CAP])
    s = np.asarray(score(x[:CAP])) @ root  # the score of the whitened law
    inverse = np.float32(1 / _median(reference))
    d = z.shape[1]
    square = _square_distances(z)
    # with k = (1 + |r|^2/l^2)^(-1/2): s.s' k + r.(s - s') k^3/l^2 + d k^3/l^2 - 3 |r|^2 k^5/l^4, |r|^2/l^2 = 1/k^2 - 1
    square *= inverse
    square += 1
    k = 1 / np.sqrt(square)
    cube = k / square
    own = np.einsum("ij,ij->i", z, s).astype(np.float32)
    cross = (z @ s.T).astype(np.float32)
    h = -cross - cross.T
    h += own[:, None] + np.float32(d)
    h += own[None]
    h -= 3 * (1 - 1 / square)
    h *= inverse * cube
    h += (s @ s.T).astype(np.float32) * k
    np.fill_diagonal(h, 0)
    first = np.ones(len(z), np.float32)
    return _beaten(lambda w: np.einsum("ij,ij->i", w @ h, w), first, rng, flips=True)


def classifier(kind: str, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> bool:
    """A classifier learned from one half: whether it is right beyond chance on the other, by the binomial law."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    a, b, _ = _white(x, y, np.concatenate([x, y]))
    data, labels = np.concatenate([a, b]), np.r_[np.ones(len(a)), np.zeros(len(b))]
    order = rng.permutation(len(data))
    train, test = order[::2], order[1::2]
    model: Any = LogisticRegression()
    if kind == "mlp":
        # some 2,000 steps where there are few draws, twenty epochs where there are many
        epochs = min(max(20, 2_000 // math.ceil(len(train) / 256)), 300)
        batch: Any = 256
        model = MLPClassifier(
            (32, 32), batch_size=batch, max_iter=epochs, random_state=int(rng.integers(2**31))
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of not having converged
        model.fit(data[train], labels[train])
    right = int((model.predict(data[test]) == labels[test]).sum())
    return float(special.bdtrc(right - 1, len(test), 0.5)) <= LEVEL
