"""Targets as samplers: own functions, and the libraries where they are installed."""

from __future__ import annotations

import inspect
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from scoreproof.numerics.exact_law import probe
from scoreproof.theory import VP, Gaussian
from scoreproof.validation import Outcome, Problem, check_sampler
from scoreproof.validation.adapters import Adapter, sampler_at
from scoreproof.validation.adapters.brownian import BrownianPath, noise_sampler
from scoreproof.validation.adapters.watch import watched
from scoreproof.validation.cli import main

SPREADS = np.array([0.1, 0.5, 1.0, 2.0])


def _space():
    axes = np.linalg.qr(np.random.default_rng(3).standard_normal((4, 4)))[0]
    mean = np.array([0.5, -1.0, 0.8, 0.3])
    law = Gaussian(mean, axes @ np.diag(SPREADS**2) @ axes.T)
    return Problem("space", law, VP(), t_min=1e-3)


SPACE = _space()
PLANE = Problem("plane", Gaussian([1.5, -0.8], [[1.1, 0.55], [0.55, 0.4]]), VP(), t_min=1e-3)

SOURCE = """
import numpy as np

def euler(problem, n, *, steps, rng):
    x = problem.prior(n, rng=rng)
    times = problem.times(steps)
    for t, s in zip(times[:-1], times[1:]):
        x = x + (s - t) * problem.velocity(x, float(t))
    return x

euler.order, euler.deterministic = 1.0, True

def shifted(problem, n, *, steps, rng):
    return euler(problem, n, steps=steps, rng=rng) + 1.0

def failing(problem, n, *, steps, rng):
    raise RuntimeError("no such luck")

class place:
    within = staticmethod(euler)

constant = 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with a file of samplers, on the path of modules."""
    (tmp_path / "own_samplers.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("own_samplers", None)


def law_of(target: str, steps: int):
    sampler = sampler_at(target)
    problem = sampler.truth(SPACE)
    return probe(sampler, problem, steps, rng=torch.Generator().manual_seed(1))


def w2(target: str, steps: int) -> float:
    return law_of(target, steps).gap(SPACE.law).w2()


def clock_of(target: str, *, steps=(10,)):
    (verdict,) = check_sampler(sampler_at(target), problems=[PLANE], steps=steps).find("clock")
    return verdict


# --- targets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    ["own_samplers:euler", "own_samplers.py:euler", "own_samplers:place.within"],
)
def test_functions_are_found_in_modules_and_files(own, target):
    sampler = sampler_at(target)
    assert isinstance(sampler, Adapter)
    assert (sampler.name, sampler.backend, sampler.clock) == (target, "numpy", "t")
    assert (sampler.order, sampler.deterministic) == (1.0, True)
    x = sampler(PLANE.fresh(), 7, steps=5, rng=np.random.default_rng(0))
    assert x.shape == (7, 2)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("euler", "wanted module:function"),
        ("own_samplers:", "wanted module:function"),
        ("own_samplers:nothing", "without 'nothing'"),
        ("own_samplers:constant", "which is int"),
        ("missing.py:euler", "a file that is not there"),
        ("no_such_module_here:euler", "raised ModuleNotFoundError"),
    ],
)
def test_what_is_no_sampler_is_refused_in_one_line(own, target, said):
    with pytest.raises(ValueError, match=r"^target: got ") as caught:
        sampler_at(target)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["diffusers", "azula.sample", "torchsde"])
def test_a_missing_library_is_one_line_with_the_remedy(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match="pip install") as caught:
        sampler_at(f"{name.split('.')[0]}:Anything")
    assert "\n" not in str(caught.value)


def test_a_function_has_no_clock_of_its_own(own):
    report = check_sampler(sampler_at("own_samplers:euler"), problems=[PLANE], steps=(16,))
    assert not report.find("clock")
    assert any(n.claim == "clock" for n in report.not_checked)


# --- paths of Brownian motion --------------------------------------------------------------------


def test_a_path_has_the_covariance_of_brownian_motion_in_any_order_of_times():
    # One column a normal: the values are exact linear maps of them, so the covariance has no noise.
    times = [5.0, 1.0, 3.0, 2.0, 7.0, 3.0]

    class Counted(BrownianPath):
        made = 0

        def _normal(self):
            unit = torch.zeros(8, dtype=torch.float64)
            unit[self.made] = 1.0
            self.made += 1
            return unit

    path = Counted(torch.zeros(8, dtype=torch.float64), None)
    w = torch.stack([path.at(t) for t in times])
    gaps = np.abs(np.subtract.outer(times, times))
    seen = ((w[:, None] - w[None]) ** 2).sum(-1).numpy()
    # A handful of products and roots of numbers of order one.
    np.testing.assert_allclose(seen, gaps, atol=1e-13)


def test_noise_of_a_path_is_drawn_from_the_generator_that_is_given():
    x = torch.zeros((3, 2), dtype=torch.float64)
    one, two = (noise_sampler(x, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one(2.0, 1.0), two(2.0, 1.0))
    assert not torch.equal(one(1.0, 0.5), one(2.0, 1.0))


# --- diffusers -----------------------------------------------------------------------------------


def _ddim(problem, x, signal, timesteps, stride):
    """Own DDIM: the previous level is ``stride`` below, the last one is clean data."""
    for t in timesteps:
        a = signal[t]
        b = signal[t - stride] if t >= stride else 1.0
        noise = problem.noise(x, (t + 1) / len(signal))
        clean = (x - np.sqrt(1 - a) * noise) / np.sqrt(a)
        x = np.sqrt(b) * clean + np.sqrt(1 - b) * noise
    return x


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_ddim_agrees_with_an_own_one(kind):
    diffusers = pytest.importorskip("diffusers")
    steps, rows = 20, 11
    sampler = sampler_at(f"diffusers:DDIMScheduler?prediction_type={kind}")
    problem = sampler.truth(SPACE)
    seen = sampler(problem, rows, steps=steps, rng=torch.Generator().manual_seed(5))
    start = problem.prior(rows, rng=torch.Generator().manual_seed(5)).numpy()
    signal = diffusers.DDIMScheduler().alphas_cumprod.double().numpy()
    times = np.arange(steps)[::-1] * (1000 // steps)
    start = problem.flow_map(start, 1.0, (times[0] + 1) / 1000)
    wanted = _ddim(problem, start, signal, times, 1000 // steps)
    # Tables are float32: 6e-8 relative, magnified by the gain from the noisiest level to the data, 1 / .0063, and by
    # points of size 5 is 5e-5; the later of the twenty steps, with ever smaller gains, add about as much.
    np.testing.assert_allclose(seen.numpy(), wanted, atol=1e-4)


def test_every_scheduler_of_diffusers_is_driven_or_refused_with_a_reason():
    diffusers = pytest.importorskip("diffusers")
    from scoreproof.validation.adapters.diffusers_refused import REFUSED

    names = [n for n in dir(diffusers) if n.endswith("Scheduler")]
    assert len(names) > 30
    for name in names:
        if name in REFUSED:
            with pytest.raises(ValueError, match="target: got"):
                sampler_at(f"diffusers:{name}")
            continue
        sampler = sampler_at(f"diffusers:{name}")
        problem = sampler.truth(PLANE)
        x = sampler(problem, 6, steps=5, rng=torch.Generator().manual_seed(0))
        assert x.shape == (6, 2), name
        assert x.dtype == torch.float64, name
        assert bool(torch.isfinite(x).all()), name
        assert problem.evaluations >= 4, name


def test_declared_orders_are_quoted_from_the_documentation():
    diffusers = pytest.importorskip("diffusers")
    from scoreproof.validation.adapters.diffusers_refused import REFUSED

    quoted = 0
    for name in [n for n in dir(diffusers) if n.endswith("Scheduler") and n not in REFUSED]:
        sampler = sampler_at(f"diffusers:{name}")
        assert (sampler.order is None) == (not sampler.order_quote), name
        if sampler.order is not None:
            quoted += 1
            made = getattr(diffusers, name)
            text = " ".join(f"{inspect.getdoc(made)} {inspect.getdoc(made.step)}".split())
            assert sampler.order_quote.split("“")[1].split("”")[0] in text, name
    assert quoted >= 12


def test_options_are_read_in_both_forms_and_unknown_ones_are_refused():
    pytest.importorskip("diffusers")
    one = sampler_at("diffusers:DPMSolverMultistepScheduler?solver_order=3&use_karras_sigmas=true")
    two = sampler_at("diffusers:DPMSolverMultistepScheduler:solver_order=3,use_karras_sigmas=True")
    assert one.order == two.order == 3.0
    rng = torch.Generator()
    x, y = (s(s.truth(PLANE), 3, steps=6, rng=rng.manual_seed(1)) for s in (one, two))
    assert torch.equal(x, y)
    for wrong in ("DDIMScheduler?colour=red", "DDIMScheduler?eta", "DDIMScheduler?clock=sun"):
        with pytest.raises(ValueError, match="target: got"):
            sampler_at(f"diffusers:{wrong}")


#: Figures of W2 measured before on other axes and another mean with the same spreads: exact start, data not clipped.
#: Where axes do not matter (isotropic noise) the mean does, by a few per cent.
REFERENCE = [
    ("DDIMScheduler", {10: 0.36, 20: 0.19, 50: 0.078, 100: 0.039}),
    ("DDPMScheduler", {10: 0.55, 20: 0.33, 50: 0.15, 100: 0.081}),
    ("EulerDiscreteScheduler", {10: 0.39, 20: 0.20, 50: 0.079, 100: 0.040}),
    ("EDMDPMSolverMultistepScheduler", {10: 0.35, 20: 0.080, 50: 0.011, 100: 0.0025}),
    ("FlowMatchEulerDiscreteScheduler", {10: 0.34, 20: 0.17, 50: 0.067, 100: 0.033}),
]


@pytest.mark.parametrize(("name", "figures"), REFERENCE, ids=[n for n, _ in REFERENCE])
def test_figures_of_an_earlier_measurement_are_met(name, figures):
    pytest.importorskip("diffusers")
    for steps, wanted in figures.items():
        assert w2(f"diffusers:{name}", steps) == pytest.approx(wanted, rel=0.1), steps


def test_ddim_with_trailing_steps_goes_wrong_where_they_do_not_divide_the_schedule():
    pytest.importorskip("diffusers")
    target = "diffusers:DDIMScheduler?timestep_spacing=trailing"
    even, odd = w2(target, 200), w2(target, 150)
    # More steps would make it 0.027; the stride that is rounded down makes it several times that.
    assert even == pytest.approx(0.021, rel=0.1)
    assert odd > 5 * even
    said = clock_of(target)
    assert said.outcome is Outcome.REFUTED
    assert said.diagnosis is not None
    assert said.diagnosis.text.startswith("state-is-told")
    assert clock_of("diffusers:DDIMScheduler").outcome is Outcome.SUPPORTED


def test_a_shift_that_is_applied_twice_is_refuted_by_the_clock():
    pytest.importorskip("diffusers")
    for name in ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"):
        assert clock_of(f"diffusers:{name}").outcome is Outcome.SUPPORTED
        said = clock_of(f"diffusers:{name}?shift=3.0")
        assert said.outcome is Outcome.REFUTED
        assert [e.check for e in said.evidence if e.outcome is Outcome.REFUTED] == [
            "range-of-training"
        ]
        assert said.mutants
        assert all(m.outcome is Outcome.REFUTED for m in said.mutants)


def test_nan_of_a_scheduler_is_an_error():
    pytest.importorskip("diffusers")
    sampler = sampler_at("diffusers:DDPMScheduler?variance_type=fixed_large_log")
    report = check_sampler(sampler, problems=[PLANE], steps=(10,))
    (verdict,) = report.find("finite")
    assert verdict.outcome is Outcome.ERROR
    assert report.exit_status == 4


def test_both_clocks_are_measured_where_they_can_differ():
    pytest.importorskip("diffusers")
    target = "diffusers:DPMSolverMultistepScheduler?use_karras_sigmas=True"
    report = check_sampler(sampler_at(target), problems=[PLANE], steps=(20, 40))
    assert sorted(v.subject["clock"] for v in report.find("law")) == ["sigma", "sigma", "t", "t"]
    assert sampler_at("diffusers:DDIMScheduler").on("sigma") is None
    # Rounded timesteps show on the clock of a trained network only.
    told, used = w2(target, 100), w2(target + "&clock=sigma", 100)
    assert abs(told - used) > 1e-4


def test_the_usual_start_costs_what_the_prior_is_off():
    pytest.importorskip("diffusers")
    exact, usual = (w2(f"diffusers:PNDMScheduler?start={s}", 100) for s in ("marginal", "prior"))
    assert exact < 1e-3 < usual < 0.05


# --- k-diffusion, azula, torchsde ----------------------------------------------------------------

K_DIFFUSION = [
    "euler", "euler_ancestral", "heun", "dpm_2", "dpm_2_ancestral", "lms", "dpm_fast", "dpm_adaptive",
    "dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m_sde",
]  # fmt: skip


def test_every_function_of_k_diffusion_is_driven():
    pytest.importorskip("torchsde")
    try:
        from scoreproof.validation.adapters.k_diffusion import sampling

        module = sampling()
    except ValueError as error:
        pytest.skip(str(error))
    found = [k.removeprefix("sample_") for k in vars(module) if k.startswith("sample_")]
    assert sorted(found) == sorted(K_DIFFUSION)
    for name in K_DIFFUSION:
        sampler = sampler_at(f"k_diffusion:sample_{name}")
        problem = sampler.truth(SPACE)
        (gaps,) = sampler.readings(problem, 13)
        # Levels go through float32 grids, logarithms and back.
        assert np.abs(gaps.gaps).max() < 1e-4, name
        if name != "dpm_adaptive":
            assert 1e-5 < w2(f"k_diffusion:sample_{name}", 50) < 0.3, name
    assert "k_diffusion" not in sys.modules


def test_the_order_of_heun_in_k_diffusion_is_measured_between_fixed_ends():
    pytest.importorskip("torchsde")
    try:
        sampler = sampler_at("k_diffusion:sample_heun?final=sigma_min&sigma_min=0.05&sigma_max=20")
    except ValueError as error:
        pytest.skip(str(error))
    (order,) = check_sampler(sampler, problems=[PLANE], steps=(32,)).find("order")
    assert order.role == "required"
    assert order.outcome is Outcome.SUPPORTED
    assert "Algorithm 2 (Heun steps)" in order.source[0]


def test_every_sampler_of_azula_is_driven():
    module = pytest.importorskip("azula.sample")
    for name in [n for n in module.__all__ if n != "Sampler"]:
        sampler = sampler_at(f"azula:{name}")
        assert w2(f"azula:{name}", 80) < 0.3, name
        if sampler.order is not None:
            made = getattr(module, name)
            assert sampler.order_quote.split("“")[1].split("”")[0] in (inspect.getdoc(made) or "")
    assert sampler_at("azula:zABSampler?order=3").order == 3.0
    with pytest.raises(ValueError, match="schedule=Sun"):
        sampler_at("azula:EulerSampler?schedule=Sun")


@pytest.mark.parametrize("method", ["euler", "milstein", "srk", "heun", "midpoint", "euler_heun"])
def test_solvers_of_torchsde_come_to_the_data(method):
    pytest.importorskip("torchsde")
    coarse, fine = (w2(f"torchsde:{method}", n) for n in (40, 80))
    assert fine < 0.05
    assert fine < 0.75 * coarse


def test_euler_of_torchsde_is_euler_maruyama():
    pytest.importorskip("torchsde")

    def plain(problem, n, *, steps, rng):
        x, h = problem.prior(n, rng=rng), (problem.t_max - problem.t_min) / steps
        for k in range(steps):
            t = problem.t_max - k * h
            f, g = float(problem.sde.drift(t)), float(problem.sde.diffusion(t))
            x = x + h * (g**2 * problem.score(x, t) - f * x)
            z = torch.randn(x.shape, dtype=x.dtype, generator=rng)
            x = x + g * h**0.5 * z
        return x

    theirs = law_of("torchsde:euler", 20)
    ours = probe(plain, SPACE, 20, rng=torch.Generator().manual_seed(1))
    # Superposition holds to about 1e-12; times are sums of steps of relative error 1e-12.
    np.testing.assert_allclose(theirs.offset, ours.offset, atol=1e-9)
    np.testing.assert_allclose(theirs.covariance, ours.covariance, atol=1e-9)


def test_a_watched_loop_that_tells_another_level_is_seen():
    def loop(lie):
        def play(start, ask, rng):
            levels = [8.0, 4.0, 2.0, 1.0, 0.5]
            x = start(levels[0])
            for k, (a, b) in enumerate(pairwise(levels)):
                clean = ask(x, a * (lie if k == 2 else 1.0))
                down = b * b / a  # ancestral: the noise that is taken off too much is drawn again
                x = clean + down / a * (x - clean)
                z = torch.randn(x.shape, dtype=x.dtype, generator=rng)
                x = x + (b * b - down * down) ** 0.5 * z

        (gaps,) = watched(play)
        return gaps.gaps

    # Regression on the draws is exact up to the rounding of a handful of sums.
    np.testing.assert_allclose(loop(1.0), 0.0, atol=1e-11)
    np.testing.assert_allclose(loop(1.01), [0, 0, -np.log(1.01), 0], atol=1e-11)


# --- command line --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["own_samplers.py:euler", "--steps", "64,128", "--tolerance", "0.2"], 0),
        (["own_samplers:shifted", "--steps", "64"], 1),
        (["own_samplers:failing", "--steps", "8", "16"], 4),
        (["own_samplers:euler", "--steps", "many"], 2),
        (["own_samplers:euler", "--order", "x"], 2),
        (["nothing"], 2),
        (["own_samplers:euler", "astray"], 2),
    ],
)
def test_the_command_answers_with_its_exit_status(own, capsys, words, status):
    with pytest.raises(SystemExit) as left:
        main(["check-sampler", *words, "--problem", "gaussian-1d", "--out", "made"])
    said = capsys.readouterr()
    assert left.value.code == status, said.err
    assert (own / "made" / "report.json").exists() == (status != 2)
    if status == 2:
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == 1
