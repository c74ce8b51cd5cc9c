"""Image data that the packages at hand ship: digits and photographs, and mixtures fitted to them.

The digits are scikit-learn's 1,797 images of 8 x 8 pixels (Alpaydin & Kaynak 1998), shifted and scaled by two
numbers to mean zero and standard deviation one half over all pixels. A mixture fitted to them is a *population*
with exact score, from which any number of images can be drawn.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ..numerics.rng import kept_random_state
from ..theory._checks import bad
from ..theory.mixtures import GaussianMixture
from ..theory.protocols import Vector

DIGIT_SHAPE = (1, 8, 8)
PHOTO_SHAPE = (3, 32, 32)


@cache
def digit_images() -> Vector:
    """The 1,797 digits as rows ``(1797, 64)``: mean 0 and standard deviation 0.5 over all entries."""
    with kept_random_state():  # importing it moves the global state of random
        from sklearn.datasets import load_digits

        raw = np.asarray(load_digits(return_X_y=True)[0], dtype=np.float64)
    images = 0.5 * (raw - raw.mean()) / raw.std()
    images.setflags(write=False)
    return images


@cache
def digit_mixture(components: int) -> GaussianMixture:
    """A full-covariance mixture fitted to :func:`digit_images` by EM (regularisation 1e-3, fixed start).

    Args:
        components: number of Gaussians, at least one.

    Raises:
        ValueError: ``components`` is less than one or more than the number of images.
    """
    images = digit_images()
    if not 1 <= components <= len(images):
        raise bad("components", components, f"1 to {len(images)}", "choose a number of Gaussians")
    with kept_random_state():
        from sklearn import mixture

        fitted = mixture.GaussianMixture(
            components, covariance_type="full", reg_covar=1e-3, random_state=0
        ).fit(images)
    weights = np.asarray(fitted.weights_)
    return GaussianMixture(weights / weights.sum(), fitted.means_, fitted.covariances_)


@cache
def photo_patches() -> Vector:
    """Patches of 3 x 32 x 32 of two photographs, every 16 pixels, as rows in ``[-1, 1]``."""
    with kept_random_state():
        from sklearn.datasets import load_sample_images

        photos = load_sample_images().images
    rows = []
    for photo in photos:
        scaled = photo.astype(np.float64) / 127.5 - 1
        windows = np.lib.stride_tricks.sliding_window_view(scaled, (32, 32), axis=(0, 1))
        # (rows, columns, channel, 32, 32): the order of axes that image networks expect
        rows.append(windows[::16, ::16].reshape(-1, int(np.prod(PHOTO_SHAPE))))
    patches = np.concatenate(rows)
    patches.setflags(write=False)
    return patches


@cache
def photo_mixture(components: int = 6, rank: int = 24) -> GaussianMixture:
    """Low-rank Gaussians ``F_k F_k' + noise_k I`` in 3,072 dimensions, one a cluster of patches.

    Each cluster of :func:`photo_patches` (k-means) gets the maximum-likelihood probabilistic PCA of Tipping &
    Bishop (1999, Eq. 7): ``F = U (Lambda - noise I)^(1/2)`` with ``noise`` the mean of the discarded eigenvalues.

    Args:
        components: number of clusters.
        rank: number r of factors a component.
    """
    patches = photo_patches()
    with kept_random_state():
        from sklearn.cluster import KMeans

        labels = KMeans(components, n_init="auto", random_state=0).fit_predict(patches)
    weights, means, factors, noise = [], [], [], []
    for k in range(components):
        own = patches[labels == k]
        centre = own.mean(axis=0)
        _, s, rows = np.linalg.svd(own - centre, full_matrices=False)
        variances = s**2 / len(own)
        rest = variances[rank:].sum() / (own.shape[1] - rank)
        weights.append(len(own) / len(patches))
        means.append(centre)
        factors.append(rows[:rank].T * np.sqrt(np.maximum(variances[:rank] - rest, 0)))
        noise.append(rest)
    return GaussianMixture.low_rank(weights, np.array(means), np.array(factors), noise)
