"""Out of memory: the message says how many chains fit."""

import re

import jax
import pytest

from gradmc.errors import UsageError
from gradmc.run import device_memory
from gradmc.run.device_memory import explaining_memory


def exhausted() -> Exception:
    return jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 123 bytes.")


@pytest.mark.parametrize(
    ("limit", "each", "said"),
    [
        (10_000_000_000, 10_000_000.0, "4,096 chains, which take 41 GB, at once; about 900 fit"),
        (None, 10_000_000.0, "about 2,048 fit"),
        (10_000_000_000, None, "4,096 chains at once; about 2,048 fit"),
    ],
)
def test_the_number_of_chains_that_fits(
    limit: int | None, each: float | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_memory, "capacity_of_device", lambda: limit)
    monkeypatch.setattr(jax, "local_device_count", lambda: 1)
    with pytest.raises(UsageError, match=re.escape(said)), explaining_memory(4096, each):
        raise exhausted()


def test_other_errors_stay() -> None:
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"), explaining_memory(4, None):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")


def test_what_a_chain_takes_is_xlas_figure() -> None:
    compiled = jax.jit(lambda x: 2 * x).lower(jax.ShapeDtypeStruct((8, 100), "float32")).compile()
    each = device_memory.bytes_per_chain(compiled, 8)
    assert each is not None
    assert 2 * 400 <= each < 4 * 400
