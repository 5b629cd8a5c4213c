"""Draws of another chain or run, and draws that are gone, are told from those that were written."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gradmc.errors import ResumeError
from gradmc.results import Keep, ZarrStore
from gradmc.results.reading import open_draws
from gradmc.results.verifying import verify
from gradmc.results.zarr_format import codec, frame_bytes
from tests.results.fakes import LABELS, chunk, feed

DRAWS = 4200  # two chunks of a scalar
KEEP = Keep(warmup=True, variables=("mu", "theta"))


def write(path: Path, *, first: int = 0, run: str = "this", draws: int = DRAWS) -> ZarrStore:
    """A finished store of two chains; its draws are those of the chains `first` and `first + 1`."""
    store = ZarrStore(path, chains=2, labels=LABELS, keep=KEEP, run=run)
    for chain in (0, 1):
        store.append(chain, True, chunk(chain + first, True, 0, 10))
        store.append(chain, False, chunk(chain + first, False, 0, draws))
    store.finalize({})
    return store


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("written")
    write(path / "draws.zarr")
    write(path / "other.zarr", first=2, run="other")
    return path


@pytest.fixture
def copies(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path / "copies")
    return tmp_path / "copies"


def swap(path: Path) -> None:
    mu = path / "draws.zarr" / "posterior" / "mu" / "c"
    for source, target in (("0", "kept"), ("1", "0"), ("kept", "1")):
        (mu / source).rename(mu / target)


def copy_chunk(path: Path) -> None:
    theta = path / "draws.zarr" / "posterior" / "theta" / "c"
    shutil.copy(theta / "1" / "0" / "0", theta / "0" / "0" / "0")


def take_from_other_run(path: Path) -> None:
    mu = Path("posterior", "mu", "c", "0", "1")
    shutil.copy(path / "other.zarr" / mu, path / "draws.zarr" / mu)


def exchange_warmup(path: Path) -> None:
    mu = path / "draws.zarr" / "warmup_posterior" / "mu" / "c"
    shutil.copy(mu / "0" / "0", mu / "1" / "0")


def cut(path: Path) -> None:
    file = path / "draws.zarr" / "posterior" / "mu" / "c" / "0" / "1"
    file.write_bytes(file.read_bytes()[:-20])


def lose(path: Path) -> None:
    (path / "draws.zarr" / "posterior" / "mu" / "c" / "1" / "0").unlink()


def change_label(path: Path) -> None:
    file = path / "draws.zarr" / "posterior" / "school" / "c" / "0"
    file.write_bytes(codec().encode(codec().decode(file.read_bytes()).replace(b"a", b"z")))


def change_draw_numbers(path: Path) -> None:
    draw = path / "draws.zarr" / "posterior" / "draw" / "c"
    shutil.copy(draw / "1", draw / "0")


def change_metadata(path: Path) -> None:
    file = path / "draws.zarr" / "zarr.json"
    file.write_text(file.read_text().replace('"school"', '"pupils"', 1))


def be_a_bomb(path: Path) -> None:
    """A few bytes that claim to be 64 GiB of zeros."""
    frame = bytes.fromhex("28b52ffd") + bytes([0b1110_0000]) + (2**36).to_bytes(8, "little")
    (path / "draws.zarr" / "posterior" / "mu" / "c" / "0" / "0").write_bytes(frame + bytes(9))


def exchange_stores(path: Path) -> None:
    shutil.rmtree(path / "draws.zarr")
    (path / "other.zarr").rename(path / "draws.zarr")


NOT_THOSE = "are not those that the run wrote"


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (swap, rf"chain 0 in .*posterior/mu {NOT_THOSE}"),
        (copy_chunk, rf"chain 0 in .*posterior/theta {NOT_THOSE}"),
        (take_from_other_run, rf"chain 0 in .*posterior/mu {NOT_THOSE}"),
        (exchange_warmup, rf"chain 1 in .*warmup_posterior/mu {NOT_THOSE}"),
        (cut, r"cannot read draws of chain 0 in .*mu/c/0/1"),
        (lose, r"cannot read draws of chain 1 in .*mu/c/1/0: No such file"),
        (exchange_stores, "holds the draws of another run"),
        (change_label, r"posterior/school/c/0 is not what the run wrote"),
        (change_draw_numbers, r"posterior/draw/c/0 is not what the run wrote"),
        (change_metadata, r"draws.zarr/zarr.json is damaged or was edited"),
        (be_a_bomb, r"cannot read draws of chain 0 in .*mu/c/0/0: it is not a chunk of this array"),
    ],
)
def test_draws_that_are_not_the_runs_are_refused(copies: Path, tamper: Callable[[Path], None], message: str) -> None:
    verify(copies / "draws.zarr", run="this", draws=DRAWS)
    tamper(copies)
    with pytest.raises(ResumeError, match=message):
        verify(copies / "draws.zarr", run="this", draws=DRAWS)


def test_a_store_that_is_still_written_to_is_verified(tmp_path: Path) -> None:
    store = ZarrStore(tmp_path / "draws.zarr", chains=2, labels=LABELS, keep=KEEP)
    for chain in (0, 1):
        store.append(chain, False, chunk(chain, False, 0, 30))
        store.flush([chain])
    store.append(0, False, chunk(0, False, 30, 10))
    verify(tmp_path / "draws.zarr")
    mu = tmp_path / "draws.zarr" / "posterior" / "mu" / "c"
    (mu / "1" / "0").unlink()
    with pytest.raises(ResumeError, match=r"cannot read draws of chain 1 in .*mu/c/1/0: No such file"):
        verify(tmp_path / "draws.zarr")


def test_a_reader_sees_whole_draws_while_a_run_that_goes_on_writes_its_last_ones_again(tmp_path: Path) -> None:
    path = tmp_path / "draws.zarr"
    store = ZarrStore(path, chains=2, labels=LABELS, keep=KEEP)
    for chain in (0, 1):
        store.append(chain, False, chunk(chain, False, 0, 30))
        store.flush([chain])
    again = ZarrStore.resume(path, chains=2, labels=LABELS, keep=KEEP)
    for chain in (0, 1):
        again.truncate([chain], True, np.array([0]))
        again.truncate([chain], False, np.array([10]))
        verify(path)
        again._next_flush[chain] = float("inf")
        again.append(chain, False, chunk(chain, False, 10, 5))
        again._write([chain])
        verify(path)
    assert open_draws(path)["posterior"].sizes["draw"] == 10


@pytest.mark.parametrize("size", [0, 1, 255, 256, 1000, 70_000])
def test_frames_say_how_large_they_are(size: int) -> None:
    assert frame_bytes(codec().encode(b"x" * size)) == size
    assert frame_bytes(b"") is None
    assert frame_bytes(b"x" * 20) is None


def test_too_few_draws_are_refused(written: Path) -> None:
    with pytest.raises(ResumeError, match=r"posterior/mu holds 4200 draws of chain 0, expected 4201"):
        verify(written / "draws.zarr", run="this", draws=DRAWS + 1)


def test_chains_with_the_same_draws_are_refused(tmp_path: Path) -> None:
    store = ZarrStore(tmp_path / "draws.zarr", chains=3, labels=LABELS, keep=KEEP)
    for chain, drawn in enumerate((0, 1, 0)):
        store.append(chain, False, chunk(drawn, False, 0, 20))
    store.finalize({})
    with pytest.raises(ResumeError, match=r"chains 0 and 2 in .* have the same draws"):
        verify(tmp_path / "draws.zarr")


def test_the_store_of_another_run_is_not_resumed(written: Path) -> None:
    with pytest.raises(ResumeError, match=r"other\.zarr holds the draws of another run"):
        ZarrStore.resume(written / "other.zarr", chains=2, labels=LABELS, keep=KEEP, run="this")
    with pytest.raises(ResumeError, match="is not of 3 chains"):
        ZarrStore.resume(written / "draws.zarr", chains=3, labels=LABELS, keep=KEEP, run="this")


def test_draws_that_are_added_afterwards_are_verified_too(copies: Path) -> None:
    path = copies / "draws.zarr"
    store = ZarrStore.resume(path, chains=2, labels=LABELS, keep=KEEP, run="this")
    for chain in (0, 1):
        store.add("posterior_predictive", chain, {"y": chunk(chain, False, 0, 7)["log_likelihood"]["y"]})
    store.finalize({})
    verify(path, run="this")
    shutil.copytree(path / "posterior_predictive" / "y" / "c" / "0", path / "y")
    shutil.copytree(path / "y", path / "posterior_predictive" / "y" / "c" / "1", dirs_exist_ok=True)
    with pytest.raises(ResumeError, match=rf"chain 1 in .*posterior_predictive/y {NOT_THOSE}"):
        verify(path, run="this")
    again = ZarrStore.resume(path, chains=2, labels=LABELS, keep=KEEP, run="this")
    again.finalize({})
    verify(path, run="this", draws=DRAWS)
    assert "gradmc_checksums" not in open_draws(path).attrs


@pytest.mark.parametrize("store", ["memory", "zarr"])
def test_checksums_do_not_depend_on_chunks(tmp_path: Path, store: str) -> None:
    from gradmc.results import MemoryStore

    def make(name: str, size: int) -> MemoryStore | ZarrStore:
        made = (
            MemoryStore(chains=1, labels=LABELS)
            if store == "memory"
            else ZarrStore(tmp_path / name, chains=1, labels=LABELS)
        )
        feed(made, 0, (5, 100), size=size)
        return made

    one, other = make("one", 100), make("other", 7)
    assert one.checksums([0])[0] == other.checksums([0])[0]
    assert one.checksums([0])[0]["posterior/theta"][0] == 100
    feed(other, 0, (5, 130))
    other.flush([0])
    assert one.checksums([0])[0] != other.checksums([0])[0]
    other.truncate([0], False, np.array([100]))
    assert one.checksums([0])[0] == other.checksums([0])[0]
