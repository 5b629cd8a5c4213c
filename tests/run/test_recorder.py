"""A checkpoint is taken only by the chain and run that wrote it, with the draws before it."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from gradmc.errors import ResumeError
from gradmc.results import ZarrStore
from gradmc.run.recorder import Recorder
from tests.results.fakes import LABELS, feed


@dataclass
class FakeLane:
    chains: tuple[int, ...]
    done: int = 0


@dataclass
class FakeSampler:
    lanes: list[FakeLane] = field(default_factory=lambda: [FakeLane((0,)), FakeLane((1,))])

    def save(self, lane: FakeLane) -> dict[str, np.ndarray]:
        return {"done": np.asarray(lane.done)}

    def restore(self, lane: FakeLane, arrays: Mapping[str, np.ndarray]) -> None:
        lane.done = int(arrays["done"])


def recorder(path: Path, run: str = "this", *, resume: bool = False) -> Recorder:
    make = ZarrStore.resume if resume else ZarrStore
    (path / "state").mkdir(parents=True, exist_ok=True)
    store = make(path / "draws.zarr", chains=2, labels=LABELS, run=run)
    return Recorder(sampler=FakeSampler(), store=store, directory=path / "state", interval=0.0, run=run)


def record(path: Path, run: str = "this", *, draws: tuple[int, int] = (40, 60)) -> None:
    """Two checkpoints of each chain, the last with so many draws."""
    kept = recorder(path, run)
    for share in (0.5, 1.0):
        for lane, length in zip(kept.sampler.lanes, draws, strict=True):
            feed(kept.store, lane.chains[0], (0, int(share * length)))
            lane.done = int(share * length)
        kept.save_all()


def other_chain(path: Path) -> None:
    shutil.copy(path / "state" / "chain-1.checkpoint", path / "state" / "chain-0.checkpoint")


def other_chain_with_its_draws(path: Path) -> None:
    other_chain(path)
    for array in (path / "draws.zarr").glob("*/*/c/1"):
        shutil.copytree(array, array.parent / "0", dirs_exist_ok=True)


def other_run(path: Path) -> None:
    shutil.copy(path.parent / "other" / "state" / "chain-1.checkpoint", path / "state" / "chain-1.checkpoint")


def draws_of_other_chain(path: Path) -> None:
    mu = path / "draws.zarr" / "posterior" / "mu" / "c"
    shutil.copytree(mu / "1", mu / "0", dirs_exist_ok=True)


def an_array_gone(path: Path) -> None:
    shutil.rmtree(path / "draws.zarr" / "log_likelihood" / "y" / "c" / "1")


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (other_chain, r"chain-0\.checkpoint is the checkpoint of chain 1, expected that of chain 0 of this run"),
        (other_chain_with_its_draws, r"chain-0\.checkpoint is the checkpoint of chain 1, expected that of chain 0"),
        (other_run, r"chain-1\.checkpoint is the checkpoint of another run, expected that of chain 1 of this run"),
        (draws_of_other_chain, r"the draws of chain 0 in posterior/mu are not those before .*chain-0\.checkpoint"),
        (an_array_gone, r"cannot read draws of chain 1 in .*log_likelihood/y/c/1/0/0: No such file"),
    ],
)
def test_what_is_not_the_runs_own_is_refused(tmp_path: Path, tamper: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "this"
    record(path)
    record(tmp_path / "other", "other")
    assert recorder(path, resume=True).restore_all() == 2
    tamper(path)
    with pytest.raises(ResumeError, match=message):
        recorder(path, resume=True).restore_all()


def test_the_checkpoint_before_the_last_goes_with_the_draws_before_it(tmp_path: Path) -> None:
    record(tmp_path)
    (tmp_path / "state" / "chain-0.checkpoint").write_bytes(b"cut")
    kept = recorder(tmp_path, resume=True)
    with pytest.warns(RuntimeWarning, match="is damaged; going on from the one before it"):
        assert kept.restore_all() == 2
    assert [kept.store.lengths(False)[chain] for chain in (0, 1)] == [20, 60]


def test_a_chain_without_a_checkpoint_starts_again(tmp_path: Path) -> None:
    record(tmp_path)
    for file in (tmp_path / "state").glob("chain-1.*"):
        file.unlink()
    kept = recorder(tmp_path, resume=True)
    assert kept.restore_all() == 1
    assert [kept.store.lengths(False)[chain] for chain in (0, 1)] == [40, 0]
