"""The estimators for many quantities at once are ArviZ's, quantity by quantity."""

import math
from typing import Any

import arviz_stats
import numpy as np
import pytest
import scipy.fft
import scipy.special
import xarray as xr
from arviz_base import rcParams

from gradmc.diagnostics import estimators, summarise
from gradmc.diagnostics.render import render_table

BEYOND = 1e12
"""R-hat of chains that stand still is this large or larger: the variance within a chain is nothing but rounding."""


def make_draws(chains: int, draws: int) -> np.ndarray:
    """Autoregressions from fast to slow, and quantities that are awkward."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, chains, draws))
    for t in range(1, draws):
        x[:, :, t] += np.linspace(-0.9, 0.99, 24)[:, None] * x[:, :, t - 1]
    x[0] = rng.normal(size=(chains, 1))  # each chain stands still
    x[1] = np.round(x[1])
    x[2] = 1.0
    x[3] = x[3] > 0
    x[4] *= 1e8
    x[5, 0] += 3.0
    x[6] = np.arange(draws)
    x[7, 0, 0] = np.nan
    x[8, -1, -1] = np.inf
    x[9] = np.repeat(x[9, :1], chains, axis=0)
    return x


def as_tree(x: np.ndarray) -> xr.DataTree:
    values = np.moveaxis(x, 0, -1)
    coords = {"letter": list("abc"[: values.shape[-1] // 2])} if values.shape[-1] == 6 else {}
    if coords:
        variables: Any = {"x": (("chain", "draw", "letter", "k"), values.reshape(*values.shape[:2], 3, 2))}
    else:
        variables = {"x": (("chain", "draw", "k"), values)}
    return xr.DataTree.from_dict({"posterior": xr.Dataset(variables, coords=coords)})


@pytest.mark.parametrize(("chains", "draws"), [(4, 500), (1, 101), (2, 37), (3, 4), (2, 5), (2, 6), (2, 3)])
@pytest.mark.filterwarnings("ignore")
def test_the_table_is_arvizs(chains: int, draws: int) -> None:
    tree = as_tree(make_draws(chains, draws))
    with np.errstate(all="ignore"):
        expected = arviz_stats.summary(tree, round_to="none")
    found = summarise(tree)
    assert list(expected.columns) == list(found.columns)
    assert list(expected.index) == [row.name for row in found.rows]
    for column in found.columns:
        ours, arvizs = np.asarray([row[column] for row in found.rows]), expected[column].to_numpy(float)
        rounding = (ours > BEYOND) & (arvizs > BEYOND) & (column == "r_hat")
        np.testing.assert_allclose(ours[~rounding], arvizs[~rounding], rtol=1e-8, atol=1e-8, err_msg=column)


def test_names_are_arvizs() -> None:
    tree = as_tree(np.random.default_rng(1).normal(size=(6, 2, 20)))
    assert [row.name for row in summarise(tree).rows] == list(arviz_stats.summary(tree).index)


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(2).normal(size=(50, 2, 40))
    whole = estimators.estimates(x, probability=0.89)
    monkeypatch.setattr(estimators, "BATCH", 7 * 80)
    for name, values in estimators.estimates(x, probability=0.89).items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-14)


def test_ranks_have_the_scores_of_scipy() -> None:
    for size in (4, 5, 400, 4000):
        expected = scipy.special.ndtri((1.0 + 0.5 * np.arange(2 * size - 1) - 0.375) / (size + 0.25))
        np.testing.assert_allclose(estimators.scores(size), expected, rtol=1e-14, atol=1e-14)


def test_lengths_of_transforms_are_those_of_scipy() -> None:
    lengths = [*range(1, 2000), 65_537, 1_000_001]
    assert [estimators.fast_length(n) for n in lengths] == [scipy.fft.next_fast_len(n, real=True) for n in lengths]


def test_a_long_table_shows_the_worst_rows() -> None:
    x = np.random.default_rng(3).normal(size=(300, 2, 50))
    x[250, 0] += 2.0
    x[123, 0] += 4.0
    lines = render_table(summarise(as_tree(x))).splitlines()
    assert lines[31] == "... of 270 more the 10 worst:"
    assert [line.split()[0] for line in lines[32:34]] == ["x[123]", "x[250]"]
    assert lines[-1] == "... 260 more rows; --all shows them"
    assert len(lines) == 1 + 30 + 1 + 10 + 1


def test_the_probability_is_that_of_arviz() -> None:
    x = np.random.default_rng(4).normal(size=(1, 2, 50))
    percent = f"{100 * float(rcParams['stats.ci_prob']):g}"
    assert f"eti{percent}_lb" in summarise(as_tree(x)).columns
    assert math.isfinite(summarise(as_tree(x)).rows[0][f"eti{percent}_ub"])
