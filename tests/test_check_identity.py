"""check_identity: Stein and ISM identities, one per cent off, heavy tails, failing terms."""

from __future__ import annotations

import numpy as np
import pytest
from scoreproof.numerics.convolved import Convolved
from scoreproof.theory import GaussianMixture, PointMasses
from scoreproof.theory.densities_1d import StudentT
from scoreproof.validation import Outcome, check_identity


def _law(dim: int) -> GaussianMixture:
    rng = np.random.default_rng(dim)
    a = rng.standard_normal((3, dim, dim))
    covariances = a @ a.transpose(0, 2, 1) / dim + 0.2 * np.eye(dim)
    return GaussianMixture([0.5, 0.3, 0.2], rng.standard_normal((3, dim)), covariances)


def _stein(law, factor: float = 1.0):
    """``x . s + factor d``: mean ``(factor - 1) d``."""
    return lambda x: (x * law.score(x)).sum(axis=1) + factor * law.dim


def _ism(law, factor: float = 1.0):
    """``|s|^2 + factor div s``, whose mean is zero for factor one."""
    return lambda x: (law.score(x) ** 2).sum(axis=1) + factor * law.divergence(x)


@pytest.mark.statistical
@pytest.mark.parametrize("dim", [1, 2, 8])
def test_identities_hold_and_one_per_cent_is_seen(dim: int) -> None:
    law = _law(dim)
    for terms in (_stein, _ism)[dim == 2 :]:
        verdict = check_identity(terms(law), law, tolerance=0.005 * dim, budget=8_000)
        assert verdict.require().exact_refuted is False
        assert {m.outcome for m in verdict.mutants} == {Outcome.REFUTED}
        wrong = check_identity(terms(law, 1.02), law, tolerance=0.005 * dim, budget=8_000)
        assert wrong.outcome is Outcome.REFUTED
        assert wrong.exact_refuted
    kinds = [e.kind for e in verdict.evidence if e.deciding]
    assert kinds == (["quadrature"] if dim <= 2 else ["confidence"])
    both = [e.measured for e in verdict.evidence if e.measured]
    # the two routes agree: their intervals meet
    assert max(m.low for m in both) <= min(m.high for m in both)


@pytest.mark.statistical
def test_atoms_are_summed_and_unknown_laws_sampled() -> None:
    points = np.random.default_rng(3).random((50, 2))
    atoms = PointMasses(points)
    mean = points[:, 0].mean()
    fine = check_identity(lambda x: x[:, 0] - mean, atoms, tolerance=0.05, budget=8_000)
    assert fine.outcome is Outcome.SUPPORTED
    assert [e.kind for e in fine.evidence] == ["exact", "confidence"]

    class Disc:
        dim = 2

        def transport(self, u, z):
            return np.sqrt(u)[:, None] * z / np.linalg.norm(z, axis=1, keepdims=True)

    for radius, outcome in ((0.5, Outcome.SUPPORTED), (0.6, Outcome.REFUTED)):
        verdict = check_identity(
            lambda x, r=radius: (x**2).sum(axis=1) - r, Disc(), tolerance=0.05, budget=8_000
        )
        assert verdict.outcome is outcome
        assert [e.kind for e in verdict.evidence] == ["confidence"]


@pytest.mark.statistical
def test_heavy_tails_are_handled_under_a_printed_assumption() -> None:
    law = StudentT(5.0, 0.5, 0.7)
    third = float(law.covariance[0, 0])
    fine = check_identity(lambda x: (x[:, 0] - 0.5) ** 2 - third, law, tolerance=0.1)
    assert fine.outcome is Outcome.SUPPORTED
    assert any("at most" in a for a in fine.assumptions)
    off = check_identity(lambda x: (x[:, 0] - 0.5) ** 2 - 1.5 * third, law, tolerance=0.1)
    assert off.outcome is Outcome.REFUTED
    assert off.diagnosis is not None
    assert "not zero" in off.diagnosis.text


def test_a_mean_that_does_not_exist_is_not_decided() -> None:
    """Neither x nor x^2 has a mean under a Cauchy law; no tolerance makes one."""
    law = StudentT(1.0, 0.0, 1.0)
    for power, tolerance in ((1, 50.0), (2, 1e9)):
        found = check_identity(
            lambda x, k=power: x[:, 0] ** k, law, tolerance=tolerance, budget=4_000
        )
        assert found.outcome is Outcome.UNDECIDED
        assert any("not all finite" in a for a in found.assumptions)
    # Quadrature finds the mean of what is bounded.
    bounded = check_identity(lambda x: np.sin(x[:, 0]), law, tolerance=0.1, budget=4_000)
    assert bounded.outcome is Outcome.SUPPORTED
    with_noise = Convolved(law, 0.8, 0.3)
    found = check_identity(lambda x: x[:, 0] ** 2, with_noise, tolerance=1e9, budget=4_000)
    assert found.outcome is Outcome.UNDECIDED


def test_same_seed_same_bits() -> None:
    law = _law(8)
    one, two = (
        check_identity(_stein(law), law, tolerance=0.1, budget=4_000, seed=5) for _ in range(2)
    )
    assert [e.measured for e in one.evidence] == [e.measured for e in two.evidence]


def test_torch_terms_and_terms_that_write_into_their_argument() -> None:
    import torch

    law = _law(8)

    def terms(x):
        assert isinstance(x, torch.Tensor)
        return (x * law.score(x)).sum(dim=1) + 8

    verdict = check_identity(terms, law, tolerance=0.1, budget=4_000, backend="torch")
    assert verdict.outcome is Outcome.SUPPORTED

    def rude(x):
        value = _stein(law)(x)
        x[:] = np.nan
        return value

    assert check_identity(rude, law, tolerance=0.1, budget=4_000).outcome is Outcome.SUPPORTED


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (lambda x: 1 / 0, "terms raised ZeroDivisionError"),
        (lambda x: np.where(x[:, 0] > 1, np.nan, 0.0), "not finite, first at x"),
        (lambda x: x, "wanted ("),
        (lambda x: x[:, 0] + 1j, "complex"),
        (lambda x: None, "NoneType"),
    ],
)
def test_failing_terms_are_an_error(terms, words) -> None:
    verdict = check_identity(terms, _law(8), tolerance=0.1, budget=4_000)
    assert verdict.outcome is Outcome.ERROR
    assert words in verdict.evidence[0].message


@pytest.mark.parametrize("dim", [2, 8])
@pytest.mark.parametrize("tolerance", [1e-9, 0.02, 1e3])
def test_terms_that_vanish_everywhere_are_supported(dim: int, tolerance: float) -> None:
    law = _law(dim)

    def twice(x: np.ndarray) -> np.ndarray:
        s = law.score(x)[:, 0]
        return s * 3 - s - 2 * s  # zero up to rounding

    for terms in (lambda x: np.zeros(len(x)), twice):
        verdict = check_identity(terms, law, tolerance=tolerance, budget=4_000)
        assert verdict.outcome is Outcome.SUPPORTED, verdict.explain()
    constant = check_identity(
        lambda x: np.full(len(x), 1.5 * tolerance), law, tolerance=tolerance, budget=4_000
    )
    assert constant.outcome is Outcome.REFUTED


def test_wide_intervals_are_undecided_with_the_size_that_decides() -> None:
    law = _law(8)
    verdict = check_identity(
        lambda x: np.sign(np.sin(40 * x[:, 0])) * 3, law, tolerance=0.01, budget=4_000
    )
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.diagnosis is not None
    assert "draws would decide" in verdict.diagnosis.text


@pytest.mark.parametrize(
    "named",
    [
        {"tolerance": 0.0},
        {"false_alarm": 0.9},
        {"budget": 5},
        {"backend": "jax"},
        {"dtype": "float16"},
        {"seed": -1},
        {"timeout": 0},
        {"device": "nowhere", "backend": "torch"},
    ],
)
def test_bad_arguments(named) -> None:
    law = _law(8)
    with pytest.raises(ValueError, match=f"^{next(iter(named))}: got .*, wanted .*; "):
        check_identity(_stein(law), law, **{"tolerance": 0.1, **named})
    with pytest.raises(ValueError, match="terms"):
        check_identity(3, law, tolerance=0.1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="law"):
        check_identity(_stein(law), "normal", tolerance=0.1)
