"""The Fokker-Planck solver against closed-form marginals, equilibria and spectra."""

from typing import Any

import numpy as np
import pytest
from scoreproof.numerics.fokker_planck import (
    FokkerPlanck1D,
    FokkerPlanck2D,
)
from scoreproof.numerics.fokker_planck_coefficients import (
    forward_coefficients,
    reverse_coefficients,
)
from scoreproof.numerics.fokker_planck_grid import Grid
from scoreproof.numerics.scharfetter_gummel import bernoulli
from scoreproof.theory import VE, VP, Gaussian, GaussianMixture, LinearSDE, marginal

EPS = np.finfo(np.float64).eps

SKEWED: Any = GaussianMixture([0.3, 0.7], [[-1.5], [0.8]], [0.09, 0.25])
PLANE: Any = GaussianMixture(
    [0.35, 0.65],
    [[-1.2, 0.4], [0.9, -0.5]],
    [[[0.3, 0.1], [0.1, 0.2]], [[0.25, -0.08], [-0.08, 0.35]]],
)
SDES = {
    "vp": VP(),
    "ve": VE(0.05, 2.0),
    "quadrature": LinearSDE(lambda t: 0.4 - t, lambda t: 0.8 + 0.5 * t),
}


def density(law):
    return lambda x: np.exp(law.log_prob(x))


def nodal(problem, law):
    return density(law)(problem.grid.points).reshape(problem.grid.shape)


def local_order(errors):
    """Order extrapolated from successive halvings, with its uncertainty.

    A smooth error c h^2 (1 + e h^2 + ...) has local orders 2 + O(h^2): the next halving changes them by a
    quarter of the last change, all later ones by a third of it. The last change itself bounds that.
    """
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    return orders[-1] + (orders[-1] - orders[-2]) / 3, abs(orders[-1] - orders[-2]) + 0.01


def test_bernoulli_is_stable_and_obeys_its_functional_equation():
    w = np.concatenate([-np.logspace(-12, 3, 61), [0.0], np.logspace(-12, 3, 61)])
    b = bernoulli(w)
    assert np.isfinite(b).all() and (b >= 0).all()
    # B(-w) = B(w) + w; rounding of the larger term
    assert (np.abs(bernoulli(-w) - b - w) <= 4 * EPS * (1 + np.abs(w))).all()
    series = 1 - w / 2 + w**2 / 12
    small = np.abs(w) < 1e-3  # next term w^4/720 is below one rounding
    assert (np.abs(b - series)[small] <= 4 * EPS).all()


def well(slope=1.0):
    return lambda x, t: -slope * (4 * x**3 - 4 * x + 0.5)


def well_density(problem):
    x = problem.grid.points
    return np.exp(-(x**4 - 2 * x**2 + 0.5 * x)).reshape(problem.grid.shape)


@pytest.mark.parametrize(("slope", "diffusion"), [(1.0, 1.0), (0.5, 0.5)])
def test_langevin_leaves_the_double_well_stationary(slope, diffusion):
    problem = FokkerPlanck1D(well(slope), diffusion, low=-3, high=3, cells=300)
    # Gauss rule of 4 nodes is exact for the cubic drift: rounding alone is left.
    assert problem.stationarity_defect(well_density(problem)) <= problem.rounding()


@pytest.mark.parametrize(
    ("slope", "diffusion"),
    [(1.05, 1.0), (-1.0, 1.0), (1.0, 2.0), (1.0, 0.5), (0.5, 1.0)],
    ids=["score-5%-off", "sign", "noise-doubled", "noise-halved", "half-score"],
)
def test_wrong_langevin_dynamics_is_refuted(slope, diffusion):
    problem = FokkerPlanck1D(well(slope), diffusion, low=-3, high=3, cells=300)
    assert problem.stationarity_defect(well_density(problem)) > 1e6 * problem.rounding()


def test_mixture_is_stationary_in_the_plane_and_its_mutants_are_not():
    def defect(factor, diffusion):
        problem = FokkerPlanck2D(
            lambda x, t: factor * PLANE.score(x), diffusion, low=-4.5, high=4.5, cells=64, nodes=8
        )
        return problem.stationarity_defect(nodal(problem, PLANE)), problem.rounding()

    # 8 Gauss nodes err by h^17 on a field of unit scale at h = .14: far below a rounding.
    value, rounding = defect(1.0, 1.0)
    assert value <= rounding
    for factor, diffusion in ((1.05, 1.0), (-1.0, 1.0), (1.0, 2.0)):
        assert defect(factor, diffusion)[0] > 1e6 * rounding


def test_stationary_density_in_one_and_two_dimensions():
    one = FokkerPlanck1D(well(), 1.0, low=-3, high=3, cells=300)
    p = well_density(one)
    p = p / one.grid.mass(p)
    # log p is a sum of 300 increments of size <= 1 with one rounding each, times |log p| <= 100.
    assert np.abs(one.stationary() - p).max() <= 300 * 100 * EPS * p.max()
    target = Gaussian([0.2, -0.1], [[0.8, 0.3], [0.3, 0.5]])
    two = FokkerPlanck2D(lambda x, t: target.score(x), 1.0, low=(-4.5, -4), high=(5, 4), cells=40)
    q = nodal(two, target)
    # a linear solve of condition |L| / gap
    bound = 8 * EPS * np.abs(two.operator().diagonal()).max() / 0.9 * 10
    assert np.abs(two.stationary() - q / two.grid.mass(q)).max() <= bound * q.max()


def test_spectral_gap_of_the_ornstein_uhlenbeck_process():
    theta = 0.7
    gaps = [
        FokkerPlanck1D(
            lambda x, t: -theta * (x - 0.4), 0.3, low=-5, high=6, cells=c
        ).spectral_gap()
        for c in (50, 100, 200)
    ]
    order, slack = local_order([abs(g.value - theta) for g in gaps])
    assert abs(order - 2) <= slack
    assert all(g.contains(theta) for g in gaps)
    assert gaps[-1].half_width < 1e-3 < abs(1.05 * theta - theta)  # sharp enough to see 5 %


def test_spectral_gap_in_the_plane_is_the_smallest_eigenvalue_of_the_precision():
    target = Gaussian([0.2, -0.1], [[0.8, 0.3], [0.3, 0.5]])
    problem = FokkerPlanck2D(
        lambda x, t: target.score(x), 1.0, low=(-4.5, -4), high=(5, 4), cells=32
    )
    gap = problem.spectral_gap()
    exact = np.linalg.eigvalsh(np.linalg.inv(target.covariances[0]))[0]
    assert gap.contains(exact) and not gap.contains(1.05 * exact)


def test_spectral_gap_refuses_a_rotating_drift():
    rotating = FokkerPlanck2D(
        lambda x, t: -x + np.stack([-x[:, 1], x[:, 0]], axis=1), 1.0, low=-4, high=4, cells=24
    )
    with pytest.raises(ValueError, match=r"drift: got .* gradient"):
        rotating.spectral_gap()


def test_gap_of_a_double_well_follows_the_barrier():
    # Kramers: the gap falls like exp(-barrier / D). Energies k (x^2 - 1)^2 have barrier k.
    gaps = []
    for k in (4.0, 6.0, 8.0):
        problem = FokkerPlanck1D(
            lambda x, t, k=k: -4 * k * x * (x**2 - 1), 1.0, low=-2.2, high=2.2, cells=400
        )
        gaps.append(problem.spectral_gap().value)
    slopes = -np.diff(np.log(gaps)) / 2
    # gap ~ (4 sqrt 2 k / pi) e^{-k} (1 - O(1/k)): its log-slope is 1 - 1/k - O(1/k^2), 1/k <= 1/4
    assert ((slopes > 1 - 1 / 4 - 1 / 16) & (slopes < 1)).all()


@pytest.mark.parametrize("name", SDES)
def test_forward_marginals_are_reached_at_second_order(name):
    sde, t = SDES[name], 0.5
    errors = []
    for cells, steps in ((80, 12), (160, 24), (320, 48)):
        problem = FokkerPlanck1D(*forward_coefficients(sde), low=-7, high=7, cells=cells)
        end = problem.evolve(density(SKEWED), 0.0, t, steps=steps)
        errors.append(problem.grid.mass(np.abs(end - nodal(problem, marginal(SKEWED, sde, t)))))
    order, slack = local_order(errors)
    assert abs(order - 2) <= slack, (errors, order)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_reverse_family_recovers_the_marginal_and_its_mutants_do_not(eta):
    sde, start, end = VP(), 0.8, 0.1

    def miss(field, noise=1.0):
        b, d = reverse_coefficients(field, sde, eta=eta, t_max=start)
        problem = FokkerPlanck1D(b, lambda t: noise * d(t), low=-6, high=6, cells=110)
        run = problem.evolve_refined(
            density(marginal(SKEWED, sde, start)), 0.0, start - end, steps=24
        )
        truth = nodal(problem, marginal(SKEWED, sde, end))
        return problem.grid.mass(np.abs(run.density - truth)), run

    exact = lambda x, t: marginal(SKEWED, sde, t).score(x)  # noqa: E731
    distance, run = miss(exact)
    # the change on refinement is three times the error of the finer run
    assert distance <= run.l1
    assert abs(run.mass_defect) < 1e-12
    # Half the score lets the flow run into the walls, where the central flux is no judge.
    weak = 0.5 if eta else 0.9
    for wrong in (
        lambda x, t: weak * exact(x, t),
        lambda x, t: 1.05 * exact(x, t),
        lambda x, t: exact(x, max(t - 0.05, 0.01)),
    ):
        distance, run = miss(wrong)
        assert distance > 2 * run.l1
    if eta:
        distance, run = miss(exact, noise=0.5)
        assert distance > 2 * run.l1


def test_mass_is_kept_to_rounding_and_backward_euler_keeps_the_sign():
    sde = VP()
    problem = FokkerPlanck1D(*forward_coefficients(sde), low=-6, high=6, cells=200)
    before = problem.grid.mass(nodal(problem, SKEWED))
    for method in ("tr-bdf2", "backward-euler"):
        end = problem.evolve(density(SKEWED), 0.0, 1.0, steps=5, method=method)
        # a solve of I - w L loses eps (1 + w |L|) of the mass, ten solves
        stiff = 0.2 * np.abs(problem.operator(1.0).diagonal()).max()
        assert abs(problem.grid.mass(end) - before) <= 10 * 4 * EPS * (1 + stiff)
    spike = np.zeros(problem.grid.shape)
    spike[60] = 1 / problem.grid.spacing[0]
    end = problem.evolve(spike, 0.0, 1.0, steps=3, method="backward-euler")
    assert end.min() >= 0


def test_backward_euler_is_of_first_order_in_time():
    problem = FokkerPlanck1D(
        lambda x, t: -x, 0.3, low=-5, high=5, cells=200, steady=True
    )  # autonomous: one factorisation serves every step
    reference = problem.evolve(density(SKEWED), 0.0, 0.4, steps=400)
    errors = [
        problem.grid.mass(
            np.abs(
                problem.evolve(density(SKEWED), 0.0, 0.4, steps=n, method="backward-euler")
                - reference
            )
        )
        for n in (40, 80, 160)
    ]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    # local orders 1 + O(dt): the last change of them bounds what is left
    assert abs(orders[-1] - 1) <= 2 * abs(orders[-1] - orders[-2]) + 0.01


def test_forward_marginal_in_the_plane():
    sde, t = VP(), 0.4
    problem = FokkerPlanck2D(*forward_coefficients(sde), low=-4.5, high=4.5, cells=48)
    run = problem.evolve_refined(density(PLANE), 0.0, t, steps=10)
    truth = nodal(problem, marginal(PLANE, sde, t))
    assert problem.grid.mass(np.abs(run.density - truth)) <= run.l1
    assert abs(run.mass_defect) < 1e-12
    other = nodal(problem, marginal(PLANE, sde, 1.1 * t))
    assert problem.grid.mass(np.abs(run.density - other)) > 2 * run.l1


def test_steady_coefficients_give_the_same_density():
    args = {"low": -5, "high": 5, "cells": 60}
    runs = [
        FokkerPlanck1D(lambda x, t: -x, 0.3, **args, steady=steady).evolve(
            density(SKEWED), 0.0, 0.4, steps=7
        )
        for steady in (False, True)
    ]
    assert np.array_equal(runs[0], runs[1])


def test_grid_nests_and_measures():
    grid = Grid.box((-1, 0), (2, 1), (6, 4), 2)
    assert grid.volumes.sum() == pytest.approx(3.0, rel=8 * EPS)  # area of the box
    fine = grid.refined()
    assert np.array_equal(fine.axes[0][::2], grid.axes[0])
    assert fine.shape == (13, 9) and grid.points.shape == (35, 2)


@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"low": 3.0}, "high"),
        ({"cells": 1}, "cells"),
        ({"cells": 2.5}, "cells"),
        ({"high": float("nan")}, "high"),
        ({"low": (0.0, 1.0, 2.0)}, "low"),
    ],
)
def test_bad_boxes_are_refused(change, argument):
    args = {"low": -1.0, "high": 1.0, "cells": 10} | change
    with pytest.raises(ValueError, match=f"^{argument}: got "):
        FokkerPlanck1D(lambda x, t: -x, 1.0, **args)


def test_bad_runs_are_refused():
    problem = FokkerPlanck1D(lambda x, t: -x, 1.0, low=-1, high=1, cells=10)
    flat = np.ones(11)
    for call, argument in (
        (lambda: problem.evolve(flat, 1.0, 0.0, steps=2), "steps"),
        (lambda: problem.evolve(flat, 0.0, 1.0, steps=0), "steps"),
        (lambda: problem.evolve(flat[1:], 0.0, 1.0, steps=1), "density"),
        (
            lambda: problem.evolve(flat, 0.0, 1.0, steps=1, method="euler"),  # pyright: ignore[reportArgumentType]
            "method",
        ),
        (
            lambda: FokkerPlanck1D(lambda x, t: -x, -1.0, low=-1, high=1, cells=4).operator(),
            "diffusion",
        ),
        (
            lambda: FokkerPlanck1D(lambda x, t: -x, 0.0, low=-1, high=1, cells=4).spectral_gap(),
            "diffusion",
        ),
        (
            lambda: FokkerPlanck1D(lambda x, t: -x[:, 0], 1.0, low=-1, high=1, cells=4).operator(),
            "drift",
        ),
    ):
        with pytest.raises(ValueError, match=f"^{argument}: got "):
            call()
