"""Bad parameters and bad points: one line that names the argument, what came, what was wanted, the remedy."""

import numpy as np
import pytest
import torch
from scoreproof.theory import VP, Gaussian, GaussianMixture, PointMasses, marginal

LAW = GaussianMixture([0.3, 0.7], [[0.0, 1.0, 2.0], [3.0, -1.0, 0.5]], np.array([0.5, 2.0]))
EYE = np.eye(2)
W, M = [0.5, 0.5], np.zeros((2, 2))
MIXTURES = {
    "mixtures: weights do not sum to one": (
        lambda: GaussianMixture([0.5, 0.6], M, [1.0, 1.0]),
        "weights",
    ),
    "mixtures: negative weight": (lambda: GaussianMixture([1.5, -0.5], M, [1.0, 1.0]), "weights"),
    "mixtures: too few weights": (lambda: GaussianMixture([1.0], M, [1.0, 1.0]), "weights"),
    "mixtures: NaN weight": (lambda: GaussianMixture([np.nan, 1.0], M, [1.0, 1.0]), "weights"),
    "mixtures: NaN mean": (lambda: GaussianMixture(W, M * np.nan, [1.0, 1.0]), "means"),
    "mixtures: means are a vector": (lambda: GaussianMixture(W, M[0], [1.0, 1.0]), "means"),
    "mixtures: no components": (lambda: GaussianMixture([], np.zeros((0, 2)), []), "means"),
    "mixtures: text": (lambda: GaussianMixture(W, "ab", [1.0, 1.0]), "means"),
    "mixtures: complex": (lambda: GaussianMixture(W, M + 1j, [1.0, 1.0]), "means"),
    "mixtures: too few covariances": (lambda: GaussianMixture(W, M, [1.0]), "covariances"),
    "mixtures: covariances of another size": (
        lambda: GaussianMixture(W, M, np.ones((2, 3))),
        "covariances",
    ),
    "mixtures: not square": (lambda: GaussianMixture(W, M, np.ones((2, 2, 3))), "covariances"),
    "mixtures: not symmetric": (
        lambda: GaussianMixture(W, M, np.stack([EYE, [[1.0, 0.5], [0.0, 1.0]]])),
        r"covariances\[1\]",
    ),
    "mixtures: not definite": (
        lambda: GaussianMixture(W, M, np.stack([EYE, [[1.0, 2.0], [2.0, 1.0]]])),
        r"covariances\[1\]",
    ),
    "mixtures: singular": (lambda: Gaussian([0.0, 0.0], np.ones((2, 2))), "covariance"),
    "mixtures: zero variance": (lambda: GaussianMixture(W, M, [1.0, 0.0]), "covariances"),
    "mixtures: infinite": (lambda: Gaussian([0.0, 0.0], [1.0, np.inf]), "covariance"),
    "mixtures: covariance of another size": (
        lambda: Gaussian([0.0, 0.0], np.eye(3)),
        "covariance",
    ),
    "mixtures: noise": (
        lambda: GaussianMixture.low_rank(W, M, np.ones((2, 2, 1)), [0.0, 1.0]),
        "noise",
    ),
    "mixtures: noise length": (
        lambda: GaussianMixture.low_rank(W, M, np.ones((2, 2, 1)), [1.0]),
        "noise",
    ),
    "mixtures: factors": (
        lambda: GaussianMixture.low_rank(W, M, np.ones((2, 3, 1)), [1.0, 1.0]),
        "factors",
    ),
    "mixtures: x of another size": (lambda: LAW.score(np.zeros((4, 2))), "x"),
    "mixtures: x a list": (lambda: LAW.score([0.0, 0.0, 0.0]), "x"),
    "mixtures: x complex": (lambda: LAW.log_prob(np.zeros(3) + 1j), "x"),
    "mixtures: variance": (lambda: LAW.diffuse(1.0, -0.1), "variance"),
    "mixtures: scale": (lambda: LAW.diffuse(np.nan, 0.1), "scale"),
    "mixtures: nothing left": (lambda: LAW.diffuse(0.0, 0.0), "variance"),
    "mixtures: direction": (lambda: LAW.project([1.0, 0.0]), "direction"),
    "mixtures: zero direction": (lambda: LAW.project(np.zeros(3)), "direction"),
    "mixtures: cdf in 3-D": (lambda: LAW.cdf(np.zeros((1, 3))), "cdf"),
    "mixtures: cdf of a tensor": (lambda: Gaussian([0.0], 1.0).cdf(torch.zeros(1, 1)), "cdf"),
    "mixtures: quantile": (lambda: Gaussian([0.0], 1.0).quantile(np.array([1.5])), "u"),
    "mixtures: draws": (lambda: LAW.transport(np.zeros(3), np.zeros((4, 3))), "u"),
    "mixtures: draws of two dtypes": (
        lambda: LAW.transport(np.zeros(4, dtype=np.float32), np.zeros((4, 3))),
        "u",
    ),
}


SET = PointMasses(np.arange(15.0).reshape(3, 5) ** 2)
POINTS = {
    "points: empty": (lambda: PointMasses(np.zeros((0, 3))), "points"),
    "points: one axis": (lambda: PointMasses(np.zeros(3)), "points"),
    "points: images not flattened": (lambda: PointMasses(np.zeros((5, 8, 8))), "points"),
    "points: NaN": (lambda: PointMasses([[0.0, np.nan]]), "points"),
    "points: infinite": (lambda: PointMasses([[0.0, np.inf]]), "points"),
    "points: text": (lambda: PointMasses([["a", "b"]]), "points"),
    "points: weights": (lambda: PointMasses([[0.0], [1.0]], [0.5, 0.6]), "weights"),
    "points: zero weight": (lambda: PointMasses([[0.0], [1.0]], [1.0, 0.0]), "weights"),
    "points: number of weights": (lambda: PointMasses([[0.0], [1.0]], [1.0]), "weights"),
    "points: NaN weight": (lambda: PointMasses([[0.0], [1.0]], [0.5, np.nan]), "weights"),
    "points: log_prob": (lambda: SET.log_prob(np.zeros(5)), "log_prob"),
    "points: score": (lambda: SET.score(np.zeros(5)), "score"),
    "points: divergence": (lambda: SET.divergence(np.zeros(5)), "divergence"),
    "points: hessian": (lambda: SET.hessian(np.zeros(5)), "hessian"),
    "points: marginal at t = 0": (lambda: marginal(SET, VP(), 0.0).score(np.zeros(5)), "score"),
    "points: denoiser at t = 0": (
        lambda: marginal(SET, VP(), 0.0).denoiser(np.zeros(5)),
        "variance",
    ),
    "points: negative variance": (lambda: SET.diffuse(1.0, -1.0), "variance"),
    "points: NaN variance": (lambda: SET.diffuse(1.0, np.nan), "variance"),
    "points: nothing left": (lambda: SET.diffuse(0.0, 0.0), "variance"),
    "points: x of another size": (lambda: SET.diffuse(1.0, 1.0).score(np.zeros((2, 4))), "x"),
    "points: x a list": (lambda: SET.diffuse(1.0, 1.0).score([0.0] * 5), "x"),
    "points: draws": (lambda: SET.transport(np.zeros(3), np.zeros((4, 5))), "u"),
    "points: draws of two dtypes": (
        lambda: SET.transport(torch.zeros(4), torch.zeros(4, 5, dtype=torch.float64)),
        "u",
    ),
    "points: draws on two devices": (
        lambda: SET.transport(torch.zeros(4), torch.zeros(4, 5, device="meta")),
        "u",
    ),
    "points: t out of range": (lambda: marginal(SET, VP(), 1.5), "t"),
}


@pytest.mark.parametrize("case", [*MIXTURES, *POINTS])
def test_bad_input(case: str) -> None:
    call, argument = {**MIXTURES, **POINTS}[case]
    with pytest.raises(ValueError, match=f"^{argument}: got .*, wanted .*; .+") as error:
        call()
    assert "\n" not in str(error.value)
