"""Speed and memory of exact scores beside the matrix products that they cannot avoid.

Run ``python benchmarks/bench_scores.py``; ``--threads 1`` limits BLAS and torch to one thread.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tracemalloc

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
    points = np.clip(rng.standard_normal((size, dim)) * 0.3 + rng.random(dim), 0, 1)
    data = points.nbytes / 1e6
    before = peak_megabytes()
    p = PointMasses(points)
    for std in (0.5, 0.01, 1e-4):
        q = p.diffuse(1.0, std**2)
        x = q.transport(rng.random(n), rng.standard_normal((n, dim)))
        tracemalloc.start()
        q.score(x)
        used = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        r = rng.random((n, size))
        times = side_by_side(
            {
                "score": lambda q=q, x=x: q.score(x),
                "products": lambda x=x, r=r: (x @ points.T, r @ points),
            },
            repeats=repeats,
        )
        print(f"points: K = {size}, d = {dim}, n = {n}, float64, noise {std:g}")
        print(times.line("score", "products", "wanted: at most 1.5"))
        print(f"  working memory of one call {used:.0f} MB")
    print(
        f"  peak {peak_megabytes() - before:.0f} MB above a process that holds {data:.0f} MB of data"
    )


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
        bench_mixture(2 * chosen.repeats)
        bench_points(max(3, chosen.repeats // 2))


if __name__ == "__main__":
    main()
