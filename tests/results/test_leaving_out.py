"""Draws without some of their chains: the others stay as they were, and everything says which are missing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import gradmc as gm
from gradmc.errors import UsageError
from tests.cli.conftest import Gradmc, finished, gradmc

__all__ = ["finished", "gradmc"]


@pytest.fixture
def tree(rng: np.random.Generator) -> Any:
    coords = {"chain": [0, 1, 2, 3], "draw": range(50)}
    posterior = xr.Dataset({"mu": (("chain", "draw"), rng.normal(size=(4, 50)))}, coords)
    data = xr.Dataset({"y": ("n", [1.0, 2.0])})
    made = xr.DataTree.from_dict({"posterior": posterior, "observed_data": data})
    made.attrs = {"start_elbo": [0.0, 1.0, 2.0, 3.0], "seed": 1}
    return made


def test_the_others_stay_and_the_whole_does(tree: Any) -> None:
    rest = gm.without_chains(tree, [1, 2])
    np.testing.assert_array_equal(rest["posterior"]["mu"], tree["posterior"]["mu"][[0, 3]])
    assert list(rest["posterior"]["chain"].values) == [0, 3]
    assert rest.attrs == {"start_elbo": [0.0, 3.0], "seed": 1, "chains_left_out": [1, 2]}
    assert "chains_left_out" not in tree.attrs
    assert gm.without_chains(rest, 0).attrs["chains_left_out"] == [0, 1, 2]
    assert gm.without_chains(tree, []) is tree


def test_verdict_summary_and_report_say_so(tree: Any) -> None:
    rest = gm.without_chains(tree, [1, 2])
    assert "Note: chains 1 and 2 left out: the verdict is about the others." in str(gm.diagnose(rest))
    assert "2 chains of 50 draws, chains 1 and 2 left out" in gm.report(rest).html


def test_what_is_not_there_cannot_be_left_out(tree: Any) -> None:
    with pytest.raises(UsageError, match="no chain 4 to leave out; there are 0, 1, 2, 3"):
        gm.without_chains(tree, 4)
    with pytest.raises(UsageError, match="all chains"):
        gm.without_chains(tree, range(4))
    with pytest.raises(UsageError, match="expected draws with the group 'posterior'"):
        gm.without_chains({}, 1)


def test_on_the_command_line(finished: Path, gradmc: Gradmc, tmp_path: Path) -> None:
    shown = gradmc("summary", finished, "--without-chain", 1)
    assert shown.code == 0
    assert "1 chain of 300 draws, chain 1 left out" in shown.out
    assert gradmc("summary", finished, "--without-chain", 1, "--json").json["summary"]["left_out"] == [1]
    assert "left out" not in gradmc("summary", finished).out
    assert "chain 1 left out" in gradmc("diagnose", finished, "--without-chain", 1).out
    table = gradmc("export", finished, tmp_path / "draws.csv", "--without-chain", 0)
    assert "Chain 0 left out." in table.out
    assert {line.split(",")[0] for line in (tmp_path / "draws.csv").read_text().splitlines()[1:]} == {"1"}
    page = gradmc("report", finished, tmp_path / "page.html", "--without-chain", 1)
    assert page.code == 0
    assert "chain 1 left out" in (tmp_path / "page.html").read_text()
    assert gradmc("report", finished, tmp_path / "page.html").code == 2  # it exists
    assert gradmc("summary", finished, "--without-chain", 7).code == 2
