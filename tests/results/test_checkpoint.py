"""Checkpoints are whole or ignored."""

from pathlib import Path

import numpy as np
import pytest

from gradmc.results import load_checkpoint, save_checkpoint
from gradmc.results.checkpoint import checkpoint_path, decode, encode

ARRAYS = {"x": np.arange(3.0), "n": np.int64(4), "flags": np.array([[True], [False]]), "e": np.zeros((0, 2))}


def test_round_trip(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, 0) is None
    save_checkpoint(tmp_path, 0, ARRAYS, {"draw": 7})
    loaded = load_checkpoint(tmp_path, 0)
    assert loaded is not None
    assert loaded.meta == {"draw": 7}
    for name, array in ARRAYS.items():
        assert np.array_equal(loaded.arrays[name], array)
        assert loaded.arrays[name].dtype == np.asarray(array).dtype
    loaded.arrays["x"][0] = 1.0


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_a_damaged_checkpoint_falls_back_with_a_warning(tmp_path: Path, damage: str) -> None:
    save_checkpoint(tmp_path, 0, ARRAYS, {"draw": 1})
    save_checkpoint(tmp_path, 0, ARRAYS, {"draw": 2})
    path = checkpoint_path(tmp_path, 0)
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes({"truncate": path.read_bytes()[:-5], "flip": bytes(content), "empty": b""}[damage])
    with pytest.warns(RuntimeWarning, match="is damaged; going on from the one before"):
        loaded = load_checkpoint(tmp_path, 0)
    assert loaded is not None
    assert loaded.meta == {"draw": 1}


def test_without_any_whole_checkpoint_the_chain_starts_again(tmp_path: Path) -> None:
    checkpoint_path(tmp_path, 3).write_bytes(b"nonsense")
    with pytest.warns(RuntimeWarning, match="is damaged; chain 3 starts again from the beginning"):
        assert load_checkpoint(tmp_path, 3) is None


def test_any_damage_is_noticed() -> None:
    content = encode(ARRAYS, {"draw": 1})
    assert decode(content) is not None
    for position in range(0, len(content), 7):
        broken = bytearray(content)
        broken[position] ^= 255
        assert decode(bytes(broken)) is None
