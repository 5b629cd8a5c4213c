"""Ten thousand fits of which nothing is made but the results: what many fits cost the process that asks for them."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradmc as gm
from gradmc import many
from gradmc.results.fits import Fit
from gradmc.results.keep import Keep
from gradmc.results.place import place_of

SHAPE = (2, 50)
OPTIONS = {"chains": 2, "draws": 50, "keep": Keep(), "precision": "float64"}


@gm.model
def bowl(mu: gm.Real, *, y: gm.Data["n"]) -> float:
    return gm.lpdf.normal(mu, 0.0, 1.0) + gm.lpdf.normal(y, mu, 1.0)


def made_up(work: Any, data: Any, seed: int, wanted: Mapping[str, str]) -> Fit:
    """In place of a fit."""
    del wanted
    many.work_of(work), data.opened()
    draws = np.random.default_rng(seed).normal(size=SHAPE)
    coords = {"posterior/chain": np.arange(SHAPE[0]), "posterior/draw": np.arange(SHAPE[1])}
    facts = {"seed": seed, "seconds": 0.0, "divergences": 0, "warnings": [], "attributes": {}}
    return Fit({"posterior/mu": draws}, {"posterior/mu": ("chain", "draw")}, coords, facts)


class Generated(Mapping[str, Mapping[str, Any]]):
    """Data sets that are made when they are asked for."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        return {"y": np.full(3, float(name))}

    def __iter__(self) -> Iterator[str]:
        return map(str, range(self._count))

    def __len__(self) -> int:
        return self._count


def resident() -> float:
    """MiB of memory that this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


def measured(client: Any, count: int, place: Path | str) -> dict[str, float]:
    """Fits per second, and by how many MiB the memory of this process grew."""
    before, began = resident(), time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(many, "fit_one", made_up)
        data = many.named(Generated(count))
        tree = many.Many(many.FitTask(bowl, OPTIONS), data, 0, place_of(place)).complete(client)
    assert tree["posterior"]["mu"].shape == (count, *SHAPE)
    return {"per_second": count / (time.monotonic() - began), "grew": resident() - before}


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore:::distributed")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_ten_thousand_fits_take_flat_memory(tmp_path: Path) -> None:
    """Measured: 133 fits a second and 7 kB a fit, on two cores that were shared."""
    distributed = pytest.importorskip("distributed")
    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": ":0", "silence_logs": 50}
    with distributed.LocalCluster(n_workers=2, **options) as cluster, distributed.Client(cluster) as client:
        measured(client, 500, tmp_path / "first")  # libraries are imported
        found = measured(client, 10_000, tmp_path / "many")
    assert found["grew"] < 128
    assert found["per_second"] > 20
