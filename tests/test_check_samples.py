"""check_samples: exact draws are SUPPORTED, defective ones REFUTED, failing user code is ERROR."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from scoreproof.numerics import draw
from scoreproof.numerics.convolved import Convolved
from scoreproof.theory import Gaussian, GaussianMixture, PointMasses
from scoreproof.theory.densities_2d import Banana
from scoreproof.validation import PROBLEMS, Outcome, check_samples, samples_needed

LINE = GaussianMixture([0.5, 0.3, 0.2], [[-1.2], [0.4], [2.1]], [0.09, 0.25, 0.5])
PLANE = GaussianMixture(
    [0.6, 0.3, 0.1],
    [[0, 0], [3, 1], [-2, 2.0]],
    [[[1, 0.5], [0.5, 0.8]], [[0.3, -0.1], [-0.1, 0.5]], [[0.4, 0], [0, 0.2]]],
)


def _mixture(dim: int, components: int) -> GaussianMixture:
    rng = np.random.default_rng(dim)
    axes = np.linalg.qr(rng.standard_normal((components, dim, dim)))[0]
    covariances = (axes * np.geomspace(0.02, 2.0, dim)) @ axes.transpose(0, 2, 1)
    weights = np.arange(1, components + 1) / (components * (components + 1) / 2)
    return GaussianMixture(weights, rng.standard_normal((components, dim)), covariances)


_RNG = np.random.default_rng(10)
_AXES = np.linalg.qr(_RNG.standard_normal((10, 10)))[0]
_ROOT = _AXES * np.sqrt(np.geomspace(0.05, 4.0, 10))
TEN = Gaussian(_RNG.standard_normal(10), _ROOT @ _ROOT.T)


def _white(change):
    """A sampler of TEN whose normals ``(n, 10)`` are changed on the way."""

    def sampler(n: int, *, rng: np.random.Generator) -> np.ndarray:
        z = change(rng.standard_normal((n, 10)), rng)
        return TEN.mean + z @ _ROOT.T

    return sampler


def _scaled(j: int, factor: float):
    def change(z, rng):
        z[:, j] *= factor
        return z

    return _white(change)


def _shifted(z, rng):
    z[:, 3] += 0.12
    return z


def _heavy(z, rng):
    return z * np.where(rng.random(len(z)) < 0.01, 2.0, 1.0)[:, None]


def _signs(z, rng):
    wrong = z[:, 0] * z[:, 1] * z[:, 2] < 0
    z[:, 2] *= np.where(wrong & (rng.random(len(z)) < 0.2), -1, 1)
    return z


def _pairs(n: int, *, rng: np.random.Generator) -> np.ndarray:
    return np.repeat(draw(TEN, (n + 1) // 2, rng=rng), 2, axis=0)[:n]


def _chain(n: int, *, rng: np.random.Generator) -> np.ndarray:
    z = rng.standard_normal((n, 10))
    for i in range(1, n):
        z[i] = 0.4 * z[i - 1] + np.sqrt(1 - 0.16) * z[i]
    return TEN.mean + z @ _ROOT.T


def _from(law):
    return lambda n, *, rng: draw(law, n, rng=rng)


DROPPED = GaussianMixture([2 / 3, 1 / 3], PLANE.means[:2], PLANE.covariances[:2])
MOVED = GaussianMixture([0.55, 0.35, 0.1], PLANE.means, PLANE.covariances)


@pytest.mark.statistical
@pytest.mark.parametrize(
    "law", [LINE, PLANE, _mixture(8, 3), Banana()], ids=["1d", "2d", "8d", "banana"]
)
def test_exact_draws_are_supported_under_two_seeds(law) -> None:
    for seed in (0, 1):
        verdict = check_samples(_from(law), law, seed=seed)
        assert verdict.require().exact_refuted is False
        assert len(verdict.mutants) >= 3
        assert {m.outcome for m in verdict.mutants} == {Outcome.REFUTED}
        assert verdict.samples_used <= samples_needed(law)
        assert verdict.claim == "samples"
        for e in verdict.evidence:
            if e.kind == "confidence":
                assert e.deciding
                assert e.detectable is not None
                assert e.level > 0
                assert e.n > 0


@pytest.mark.statistical
def test_exact_draws_in_64_dimensions_are_supported() -> None:
    law = _mixture(64, 3)
    verdict = check_samples(_from(law), law)
    assert verdict.require().exact_refuted is False


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("law", "sampler", "words"),
    [
        (PLANE, _from(DROPPED), "component 2 at (-2, 2) has weight"),
        (TEN, _white(_shifted), "mean of whitened"),
        (TEN, _scaled(0, 1.1), "% too large"),
        (TEN, _scaled(9, 0.85), "% too small"),
        (TEN, _pairs, "repeat"),
        (TEN, _chain, "consecutive draws share"),
        (LINE, lambda n, *, rng: draw(LINE, n, rng=np.random.default_rng(7)), "repeat"),
        (PLANE, lambda n, *, rng: np.zeros((n, 2)), "repeat"),
        (PLANE, lambda n, *, rng: 1e200 * rng.standard_normal((n, 2)), "whitened"),
    ],
    ids=["mode", "mean", "wide", "narrow", "pairs", "chain", "same", "constant", "far"],
)
def test_defects_beyond_the_tolerance_are_refuted_in_words(law, sampler, words) -> None:
    verdict = check_samples(sampler, law)
    assert verdict.outcome is Outcome.REFUTED
    assert verdict.exact_refuted
    assert verdict.diagnosis is not None
    assert words in verdict.diagnosis.text
    with pytest.raises(AssertionError, match="REFUTED"):
        verdict.require()


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("law", "sampler", "family"),
    [
        (PLANE, _from(MOVED), "mixing"),
        (TEN, _white(_heavy), "radius histogram"),
        (TEN, _white(_signs), "triples"),
        (TEN, _pairs, "repeats"),
        (LINE, lambda n, *, rng: draw(LINE, n, rng=rng).clip(-2, 3.4), "repeats"),
        (TEN, _scaled(4, 1.06), "scales"),
    ],
    ids=["weights", "heavy", "signs", "pairs", "clipped", "scale"],
)
def test_small_defects_are_refuted_as_exact_laws(law, sampler, family) -> None:
    verdict = check_samples(sampler, law, exact=True, budget=60_000)
    assert verdict.outcome is Outcome.REFUTED
    assert verdict.samples_used < 60_000
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.cause == family
    assert [e.kind for e in verdict.evidence if e.deciding] == ["test"]
    fine = check_samples(_from(law), law, exact=True, budget=4_000)
    assert fine.outcome is Outcome.UNDECIDED
    assert {m.outcome for m in fine.mutants} == {Outcome.REFUTED}


def test_atoms() -> None:
    rng = np.random.default_rng(0)
    law = PointMasses(rng.random((60, 5)), rng.dirichlet(np.full(60, 3.0)))
    assert check_samples(_from(law), law).outcome is Outcome.SUPPORTED
    first = PointMasses(law.points[:40], law.weights[:40] / law.weights[:40].sum())
    wrong = check_samples(_from(first), law)
    assert wrong.outcome is Outcome.REFUTED
    assert wrong.diagnosis is not None
    assert "components 0 to 39" in wrong.diagnosis.text
    noisy = check_samples(lambda n, *, rng: draw(law, n, rng=rng) + 0.01, law)
    assert noisy.outcome is Outcome.REFUTED
    assert noisy.diagnosis is not None
    assert "none of the atoms" in noisy.diagnosis.text


def test_same_seed_same_verdict_and_global_state_untouched() -> None:
    def sampler(n: int, *, rng: np.random.Generator) -> np.ndarray:
        np.random.seed(3)  # noqa: NPY002
        random.seed(3)
        return draw(LINE, n, rng=rng)

    state, python = np.random.get_state(), random.getstate()  # noqa: NPY002
    one, two = (check_samples(sampler, LINE, budget=5_000, seed=4) for _ in range(2))
    assert _numbers(one) == _numbers(two)
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(a, b) for a, b in zip(state, after, strict=True))
    assert random.getstate() == python


def _numbers(verdict):
    return [(e.check, e.measured, e.log10_e, e.detectable) for e in verdict.evidence]


def _raises(n, *, rng):
    raise RuntimeError("no weights loaded\nsecond line")


def _exits(n, *, rng):
    raise SystemExit(2)


def _some_nan(n, *, rng):
    x = draw(PLANE, n, rng=rng)
    x[17, 1] = np.nan
    return x


@pytest.mark.parametrize(
    ("sampler", "words"),
    [
        (_raises, "draw raised RuntimeError: no weights loaded"),
        (_exits, "draw raised SystemExit"),
        (lambda n: np.zeros((n, 2)), "draw raised TypeError"),
        (_some_nan, "first in row 17"),
        (lambda n, *, rng: np.full((n, 2), np.inf), "inf, first in row 0"),
        (lambda n, *, rng: np.zeros((n, 3)), "shape (500, 3), wanted (500, 2)"),
        (lambda n, *, rng: np.zeros(n), "shape (500,), wanted (500, 2)"),
        (lambda n, *, rng: draw(PLANE, n - 1, rng=rng), "499 rows, fewer"),
        (lambda n, *, rng: draw(PLANE, n, rng=rng) + 0j, "dtype complex128"),
        (lambda n, *, rng: draw(PLANE, n, rng=rng).astype(np.float16), "dtype float16"),
        (lambda n, *, rng: None, "NoneType"),
        (lambda n, *, rng: [], "empty list"),
        (np.full((1000, 2), np.nan), "1000 of 1000 rows"),
        (np.zeros((10, 2)), "got 10 rows"),
    ],
)
def test_failing_user_code_is_an_error(sampler, words) -> None:
    verdict = check_samples(sampler, PLANE)
    assert verdict.outcome is Outcome.ERROR
    assert verdict.user_code_failed
    assert words in verdict.evidence[0].message


@pytest.mark.parametrize("exact", [False, True])
def test_tensors_without_numbers_or_with_few_bits_are_errors(exact) -> None:
    import torch

    def meta(n, *, rng):
        return torch.empty((n, 2), device="meta")

    def sparse(n, *, rng):
        return torch.eye(n)[:, :2].to_sparse()

    def brain(n, *, rng):
        return torch.as_tensor(draw(PLANE, n, rng=rng)).to(torch.bfloat16)

    def whole(n, *, rng):
        return np.rint(draw(PLANE, n, rng=rng)) > 0

    def texts(n, *, rng):
        return np.full((n, 2), "0.5")

    def ragged(n, *, rng):
        return [[1.0, 2.0], [3.0]]

    def more(n, *, rng):
        return draw(PLANE, n + 1, rng=rng)

    for sampler, words in (
        (meta, "tensor on meta that holds no plain numbers"),
        (sparse, "holds no plain numbers"),
        (brain, "dtype bfloat16"),
        (whole, "dtype bool"),
        (texts, "dtype <U3"),
        (ragged, "list"),
        (more, "501 rows, more"),
    ):
        verdict = check_samples(sampler, PLANE, exact=exact, budget=2_000)
        assert verdict.outcome is Outcome.ERROR
        assert verdict.user_code_failed
        assert words in verdict.evidence[0].message


def test_failing_later_loses_nothing_and_says_when() -> None:
    calls = []

    def sampler(n, *, rng):
        calls.append(n)
        if len(calls) == 4:
            raise MemoryError("no room")
        return draw(PLANE, n, rng=rng)

    verdict = check_samples(sampler, PLANE)
    assert verdict.outcome is Outcome.ERROR
    assert verdict.samples_used == sum(calls[:3])
    assert "MemoryError: no room" in verdict.evidence[0].message


@pytest.mark.statistical
@pytest.mark.parametrize("exact", [False, True])
def test_read_only_aliased_and_strided_arrays_are_read_as_they_are(exact) -> None:
    n = samples_needed(TEN) if not exact else 4_000
    held = np.empty((n, 20))[:, ::2]

    def aliased(m, *, rng):
        held[:m] = draw(TEN, m, rng=rng)
        out = held[:m]
        out.flags.writeable = False
        return out

    verdict = check_samples(aliased, TEN, exact=exact, budget=n)
    assert verdict.outcome is (Outcome.UNDECIDED if exact else Outcome.SUPPORTED)
    assert verdict.exact_refuted is False


@pytest.mark.parametrize("exact", [False, True])
def test_rows_that_come_again_are_refuted_and_the_period_is_said(exact) -> None:
    def cycle(n, *, rng):
        return np.tile(draw(PLANE, 250, rng=rng), (n // 250 + 1, 1))[:n]

    verdict = check_samples(cycle, PLANE, exact=exact)
    assert verdict.outcome is Outcome.REFUTED
    assert verdict.diagnosis is not None
    assert "draws repeat every 250" in verdict.diagnosis.text


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("law", "sampler", "words"),
    [
        (TEN, _scaled(0, 1.12), "direction of the smallest eigenvalue"),
        (PLANE, _from(DROPPED), "component 2 at (-2, 2) has weight 0.0"),
        (TEN, _white(_shifted), "mean of"),
        (TEN, _chain, "correlation +0."),
        (TEN, _white(_signs), "coordinates 0, 1, 2 is positive"),
    ],
    ids=["scale", "mode", "mean", "chain", "signs"],
)
def test_an_exact_refutation_is_said_in_numbers_and_drawn(law, sampler, words) -> None:
    from scoreproof.validation.report import draw as picture

    verdict = check_samples(sampler, law, exact=True, budget=60_000)
    assert verdict.outcome is Outcome.REFUTED
    assert verdict.diagnosis is not None
    assert words in verdict.diagnosis.text
    assert verdict.figure is not None
    assert "<svg" in picture(verdict.figure)
    fine = check_samples(_from(law), law, exact=True, budget=1_000)
    assert fine.figure is None


def test_a_sampler_that_hangs_is_an_error() -> None:
    def hangs(n: int, *, rng: np.random.Generator) -> np.ndarray:
        time.sleep(60)
        return np.zeros((n, 2))

    verdict = check_samples(hangs, PLANE, timeout=0.5)
    assert verdict.outcome is Outcome.ERROR
    assert "within 0.5 s" in verdict.evidence[0].message


@pytest.mark.statistical
def test_arrays_tensors_and_single_precision() -> None:
    import torch

    rng = np.random.default_rng(2)
    x = draw(LINE, samples_needed(LINE), rng=rng)
    x.setflags(write=False)
    assert check_samples(x[:, 0], LINE).outcome is Outcome.SUPPORTED
    single = torch.tensor(x, dtype=torch.float32, requires_grad=True)
    # Rounding to float32 repeats hundreds of draws of a one-dimensional law by right.
    assert len(np.unique(x.astype(np.float32))) < len(x) - 10
    verdict = check_samples(single, LINE)
    assert verdict.outcome is Outcome.SUPPORTED
    assert not verdict.exact_refuted

    def on_torch(n, *, rng):
        z = torch.randn(n, 10, generator=rng, dtype=torch.float64)
        return torch.as_tensor(TEN.mean) + z @ torch.as_tensor(_ROOT.T.copy())

    held = np.empty((0, 10))

    def aliased(n, *, rng):
        nonlocal held
        held = np.resize(held, (n, 10)) if held.shape[0] != n else held
        held[:] = draw(TEN, n, rng=rng)
        return held

    assert (
        check_samples(on_torch, TEN, backend="torch", exact=True, budget=2000).exact_refuted
        is False
    )
    assert check_samples(aliased, TEN, exact=True, budget=2000).exact_refuted is False


def test_too_few_draws_are_undecided_and_say_how_many_decide() -> None:
    verdict = check_samples(_from(TEN), TEN, budget=3_000)
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.diagnosis is not None
    assert f"{samples_needed(TEN)} draws decide" in verdict.diagnosis.text
    tiny = check_samples(_from(PLANE), PLANE, budget=64)
    assert tiny.outcome is Outcome.UNDECIDED
    assert any(m.underpowered for m in tiny.mutants)


def test_a_law_without_map_draws_or_score_is_undecided_with_the_reason() -> None:
    class Opaque:
        """Nothing is known of it but its dimension."""

        dim = 2

    verdict = check_samples(_from(PLANE), Opaque())
    assert verdict.outcome is Outcome.UNDECIDED
    assert "no exact Gaussianisation" in verdict.finding
    # a law that can be drawn has other routes
    wrong = check_samples(_from(PLANE), Convolved(Banana(), 0.5, 0.5), budget=8_000)
    assert wrong.outcome is Outcome.REFUTED


def test_rows_of_an_array_that_were_not_read_are_named() -> None:
    x = draw(LINE, 4 * samples_needed(LINE), rng=np.random.default_rng(3))
    verdict = check_samples(x, LINE)
    assert verdict.samples_used < len(x)
    assert f"{verdict.samples_used:,} of {len(x):,} rows" in verdict.finding
    assert (
        check_samples(x[: verdict.samples_used], LINE, budget=verdict.samples_used).finding == ""
    )


def test_needed_samples_grow_with_the_inverse_square() -> None:
    wide, narrow = (samples_needed(TEN, tolerance=t) for t in (0.05, 0.02))
    assert 60_000 < wide < 100_000
    # 2.5^2, with second-order terms that fade and one per cent of search
    assert 6.0 < narrow / wide < 6.5


@pytest.mark.parametrize(
    "named",
    [
        {"tolerance": 0},
        {"tolerance": 2},
        {"false_alarm": 0.7},
        {"budget": 3},
        {"budget": 1000.5},
        {"dtype": "float16"},
        {"backend": "jax"},
        {"seed": -1},
        {"seed": 1.5},
        {"timeout": -1},
        {"device": "nowhere"},
        {"device": "nowhere", "backend": "torch"},
    ],
)
def test_bad_arguments(named) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(named))}: got .*, wanted .*; "):
        check_samples(_from(LINE), LINE, **named)
    with pytest.raises(ValueError, match=r"target: got Problem.*problem\.marginal"):
        check_samples(_from(LINE), PROBLEMS["mixture-1d"])
    with pytest.raises(ValueError, match="target"):
        check_samples(_from(LINE), "normal")
    with pytest.raises(ValueError, match="draw"):
        check_samples(3, LINE)


@pytest.mark.statistical
def test_exact_draws_far_from_the_origin_may_tie() -> None:
    far = Gaussian([2.0**20], [[1.0]])
    for seed in range(3):
        verdict = check_samples(_from(far), far, seed=seed)
        assert verdict.require().exact_refuted is False
        assert all(e.log10_e is None or np.isfinite(e.log10_e) for e in verdict.evidence)


@pytest.mark.statistical
@pytest.mark.parametrize("law", [LINE, PLANE], ids=["1d", "2d"])
def test_every_family_has_a_mutant_that_its_own_family_sees(law) -> None:
    verdict = check_samples(_from(law), law)
    confident = {e.check for e in verdict.evidence if e.kind == "confidence"}
    assert {m.check for m in verdict.mutants} == confident
    for e in verdict.evidence:
        assert e.seed == 0
        assert e.n > 0
        assert 0 < e.level <= 1e-6
    levels = {e.level for e in verdict.evidence if e.kind == "confidence"}
    assert sum(levels) <= 1e-6


@pytest.mark.statistical
def test_mutants_of_refuted_draws_are_judged_too(monkeypatch) -> None:
    from scoreproof.validation import _sample_mutants as mutants

    wrong = check_samples(_white(_shifted), TEN)
    assert wrong.outcome is Outcome.REFUTED
    assert {m.outcome for m in wrong.mutants} == {Outcome.REFUTED}
    # A family that is blind to its own defect makes the check broken, whatever else refutes the draws.
    monkeypatch.setattr(mutants, "_paired", lambda pairs, size: pairs)
    blind = check_samples(_white(_shifted), TEN)
    assert blind.outcome is Outcome.ERROR
    assert blind.broken


def test_clipped_coordinates_are_heaps() -> None:
    verdict = check_samples(
        lambda n, *, rng: draw(PLANE, n, rng=rng).clip(-3.5, 3.5), PLANE, exact=True, budget=20_000
    )
    assert verdict.outcome is Outcome.REFUTED
    assert verdict.diagnosis is not None
    assert "extreme value" in verdict.diagnosis.text
