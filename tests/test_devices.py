"""The same numbers on every device as in numpy; accelerators are skipped where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scoreproof.models import Oracle, Scaled
from scoreproof.theory import VP, GaussianMixture, PointMasses, marginal
from scoreproof.validation import PROBLEMS, check_score

MIXTURE = GaussianMixture(
    [0.5, 0.3, 0.2], [[-1.2, 0.3], [0.4, 2.0], [2.1, -1.0]], [0.09, 0.25, 0.5]
)
IMAGES = PointMasses(np.random.default_rng(5).normal(0.4, 1.3, (200, 7)))


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return request.param


@pytest.mark.parametrize("law", [MIXTURE, IMAGES], ids=["mixture", "data"])
@pytest.mark.parametrize("what", ["score", "log_prob", "denoiser", "divergence"])
def test_closed_forms_agree_with_numpy(law, what, device):
    p = marginal(law, VP(), 0.3)
    x = np.random.default_rng(1).normal(size=(50, law.dim))
    there = getattr(p, what)(torch.tensor(x, device=device))
    assert there.device.type == device
    # The same operations in another order of summation: some hundred roundings.
    np.testing.assert_allclose(there.cpu().numpy(), getattr(p, what)(x), rtol=1e-11, atol=1e-11)


def test_draws_and_fields_stay_on_the_device(device):
    problem = PROBLEMS["mixture-2d"]
    rng = torch.Generator(device=device).manual_seed(3)
    x = problem.prior(16, rng=rng)
    t = torch.full((16,), 0.4, device=device, dtype=x.dtype)
    assert x.device.type == problem.score(x, t).device.type == device


def test_score_checks_run_there(device):
    problem = PROBLEMS["mixture-8d"]
    network = Oracle(problem).to(device)
    assert check_score(network, problem, device=device, budget=2000).outcome == "SUPPORTED"
    assert (
        check_score(Scaled(network, 0.5), problem, device=device, budget=2000).outcome == "REFUTED"
    )
