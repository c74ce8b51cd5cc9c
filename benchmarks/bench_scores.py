"""Speed and memory of exact scores beside the matrix products that they cannot avoid.

Run ``python benchmarks/bench_scores.py``; ``--threads 1`` limits BLAS and torch to one thread.
"""

from __future__ import annotations

import argparse
import resource
import sys

import numpy as np
from _timing import side_by_side
from scoreproof.theory import VP, GaussianMixture, PointMasses, marginal
from threadpoolctl import threadpool_limits


def peak_megabytes() -> float:
    """Largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def bench_mixture(repeats: int, *, n: int = 10_000, dim: int = 64, size: int = 10) -> None:
    """Ten full covariances in 64-D at one t, float64."""
    import torch

    rng = np.random.default_rng(0)
    roots = rng.standard_normal((size, dim, 2 * dim))
    covariances = roots @ roots.transpose(0, 2, 1) / (2 * dim)
    weights = rng.dirichlet(np.full(size, 5.0))
    means = rng.standard_normal((size, dim))
    p = marginal(GaussianMixture(weights, means, covariances), VP(), 0.05).law
    x = p.transport(rng.random(n), rng.standard_normal((n, dim)))
    matrices = [np.ascontiguousarray(m) for m in p.covariances]
    peer = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.tensor(p.weights)),
        torch.distributions.MultivariateNormal(
            torch.tensor(p.means), covariance_matrix=torch.tensor(p.covariances)
        ),
    )

    def autograd() -> torch.Tensor:
        y = torch.tensor(x, requires_grad=True)
        return torch.autograd.grad(peer.log_prob(y).sum(), y)[0]

    gap = np.abs(autograd().numpy() - p.score(x)).max() / np.abs(p.score(x)).max()
    times = side_by_side(
        {
            "score": lambda: p.score(x),
            "products": lambda: [x @ m for m in matrices],
            "torch autograd": autograd,
        },
        repeats=repeats,
    )
    print(f"mixture: {size} full covariances, d = {dim}, n = {n}, float64")
    print(f"  condition {p.basis.condition:.3g}, largest difference from torch {gap:.1e}")
    print(times.line("score", "products", "wanted: at most 2.5"))
    print(times.line("torch autograd", "score", "wanted: at least 3"))


def bench_points(repeats: int, *, size: int = 60_000, dim: int = 784, n: int = 256) -> None:
    """A data set of 60,000 points with 784 coordinates, a batch of 256."""
    rng = np.random.default_rng(0)
    centre = rng.random(dim)
    points = np.empty((size, dim))
    for rows in np.array_split(points, 100):
        rows[:] = np.clip(0.3 * rng.standard_normal(rows.shape) + centre, 0, 1)
    p = PointMasses(points)
    x = {}
    for std in (0.5, 0.01, 1e-4):
        q = p.diffuse(1.0, std**2)
        x[std] = q.transport(rng.random(n), rng.standard_normal((n, dim)))
        q.score(x[std])
    above = peak_megabytes() - points.nbytes / 1e6
    r = rng.random((n, size))
    print(f"points: K = {size}, d = {dim}, n = {n}, float64")
    for std, y in x.items():
        q = p.diffuse(1.0, std**2)
        times = side_by_side(
            {
                "score": lambda q=q, y=y: q.score(y),
                "products": lambda y=y: (y @ points.T, r @ points),
            },
            repeats=repeats,
        )
        print(times.line("score", "products", f"at noise {std:g}; wanted: at most 1.5"))
    print(f"  peak of the process: data + {above:.0f} MB  wanted: below data + 1000 MB")


def main() -> None:
    """Runs both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=None, help="threads of BLAS and torch")
    parser.add_argument("--repeats", type=int, default=9)
    chosen = parser.parse_args()
    if chosen.threads is not None:
        import torch

        torch.set_num_threads(chosen.threads)
    with threadpool_limits(limits=chosen.threads):
        bench_points(max(3, chosen.repeats // 2))  # first, so that its peak is its own
        bench_mixture(2 * chosen.repeats)


if __name__ == "__main__":
    main()
