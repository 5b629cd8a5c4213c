"""Names from elsewhere are answered with those from here; the page that lists all is that of the code."""

import inspect
from pathlib import Path

import pytest

from gradmc import lpdf
from gradmc.lpdf.names import ELSEWHERE, meant

PAGE = Path(__file__).resolve().parents[2] / "docs" / "distributions.md"
MARK = "<!-- the table: {} -->"


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("inv_gamma", "inverse_gamma"),
        ("inv_gamma_lpdf", "inverse_gamma"),
        ("InverseGamma", "inverse_gamma"),
        ("lkj_corr_cholesky", "lkj_cholesky"),
        ("LKJCholesky", "lkj_cholesky"),
        ("normal_lpdf", "normal"),
        ("Normal", "normal"),
        ("multi_normal_cholesky", "multivariate_normal_cholesky"),
        ("MvNormal", "multivariate_normal or multivariate_normal_cholesky"),
        ("double_exponential_lpdf", "laplace"),
        ("poisson_lpmf", "poisson"),
        ("NegativeBinomial2", "negative_binomial"),
        ("HalfNormal", "half_normal"),
        ("norm", "normal"),
        ("studentt", "student_t"),
        ("exponentail", "exponential"),
    ],
)
def test_a_name_from_elsewhere(name: str, ours: str) -> None:
    with pytest.raises(AttributeError, match=rf"has no '{name}'; here that is {ours}"):
        getattr(lpdf, name)


def test_a_name_from_nowhere() -> None:
    with pytest.raises(AttributeError, match=r"has no 'zzzzqq'; docs/distributions.md lists all"):
        lpdf.zzzzqq  # noqa: B018


def test_names_are_of_functions() -> None:
    assert set(ELSEWHERE) <= set(lpdf.__all__)
    tails = {name for name in lpdf.__all__ if name.endswith("cdf")}
    assert set(lpdf.__all__) - tails == set(ELSEWHERE)
    assert meant("normal", lpdf.__all__) != ["normal"]


def test_the_page_lists_all() -> None:
    """On a failure: put what is printed between the marks."""
    text = PAGE.read_text()
    begin, end = MARK.format("begins"), MARK.format("ends")
    assert text[text.index(begin) + len(begin) : text.index(end)].strip() == table()


def table() -> str:
    """All log densities with their parameters and the names elsewhere."""
    rows = ["| gradmc.lpdf | Stan | NumPyro | PyMC | scipy.stats |", "|---|---|---|---|---|"]
    for name, others in sorted(ELSEWHERE.items()):
        parameters = [p for p in inspect.signature(getattr(lpdf, name)).parameters if p != "pointwise"]
        tails = ", ".join(f"`{name}{end}`" for end in ("_lcdf", "_lccdf") if name + end in lpdf.__all__)
        told = f"`{name}({', '.join(parameters)})`" + (f", {tails}" if tails else "")
        rows.append(f"| {told} | " + " | ".join(f"`{other}`" if other else "" for other in others) + " |")
    return "\n".join(rows)
