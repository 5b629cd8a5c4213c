"""Counter-based random numbers: the published generator, the right laws, no number used twice."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32 as jax_threefry

from gradmc.density.reach import AS_STAN, ATTEMPTS, reach
from gradmc.kernels import random
from gradmc.kernels.random import (
    LEAF,
    MOMENTUM,
    START,
    TRAJECTORY,
    chain_key,
    normal_vector,
    start_vector,
    threefry,
    uniform,
)
from tests.goodness import assert_frequencies, assert_normal, assert_uniform
from tests.kernels.threefry_reference import threefry_2x32

# Known answers of the Random123 library (kat_vectors, threefry2x32 with 20 rounds): key, counter, result.
KNOWN = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]
DTYPES = [np.dtype(np.float32), np.dtype(np.float64)]


def words_of(values: list[int]) -> jax.Array:
    return jnp.asarray(np.array(values, np.uint32))


@pytest.mark.parametrize(("key", "counter", "result"), KNOWN)
def test_known_answers(key: tuple[int, int], counter: tuple[int, int], result: tuple[int, int]) -> None:
    words = threefry(words_of(list(key)), words_of([counter[0]]), words_of([counter[1]]))
    assert tuple(int(word[0]) for word in words) == result
    assert threefry_2x32(key, counter) == result


def test_agrees_with_jax_and_with_plain_integers(rng: np.random.Generator) -> None:
    key = rng.integers(0, 2**32, 2, dtype=np.uint32)
    first, second = rng.integers(0, 2**32, (2, 50), dtype=np.uint32)
    x, y = threefry(jnp.asarray(key), jnp.asarray(first), jnp.asarray(second))
    theirs = jax_threefry(jnp.asarray(key), jnp.concatenate([jnp.asarray(first), jnp.asarray(second)]))
    np.testing.assert_array_equal(np.concatenate([x, y]), theirs)
    plain = [threefry_2x32((int(key[0]), int(key[1])), (int(a), int(b))) for a, b in zip(first, second, strict=True)]
    np.testing.assert_array_equal(np.transpose(plain), np.stack([x, y]))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_uniform_is_open_and_symmetric(dtype: np.dtype) -> None:
    low, high = uniform(words_of([0]), dtype)[0], uniform(words_of([2**32 - 1]), dtype)[0]
    assert low.dtype == high.dtype == dtype
    assert 0 < low < 1e-6
    assert 1 - 1e-6 < high < 1
    assert float(low) + float(high) == 1.0
    words = words_of([*range(0, 2**32, 2**20 + 1), 2**31 - 1, 2**31])
    values = np.asarray(uniform(words, dtype), float)
    mirrored = np.asarray(uniform(~words, dtype), float)
    np.testing.assert_array_equal(values + mirrored, 1.0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_extreme_words_give_finite_normals(dtype: np.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    for word, extreme in ((0, -1.0), (2**32 - 1, 1.0)):
        monkeypatch.setattr(random, "threefry", lambda key, a, b, word=word: (jnp.full(b.shape, word, jnp.uint32),) * 2)
        z = np.asarray(normal_vector(jnp.zeros(2, jnp.uint32), jnp.uint32(0), 3, dtype))
        assert np.all(np.isfinite(z))
        assert np.all(z * extreme > 5.0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_normals_are_normal(dtype: np.dtype, seed: int) -> None:
    transitions = jnp.arange(20_000, dtype=jnp.uint32)
    draw = jax.jit(jax.vmap(lambda t: normal_vector(jnp.asarray(chain_key(seed, 0)), t, 5, dtype)))
    z = draw(transitions)
    assert z.dtype == dtype
    z = np.asarray(z, float)
    assert_normal(z)
    from scipy import stats

    assert_uniform(stats.norm.cdf(z))  # the coordinates do not depend on each other
    assert_uniform(stats.norm.cdf(np.column_stack([z[:-1, 0], z[1:, 0]])))  # nor do the transitions


def test_starting_points_are_uniform_between_minus_2_and_2(seed: int) -> None:
    """At the first attempts of many chains, and at the later ones in units of how far they reach."""
    keys = jnp.asarray([chain_key(seed, chain) for chain in range(200)])
    attempts = jnp.arange(ATTEMPTS, dtype=jnp.uint32)
    vector = jax.vmap(lambda key, attempt: start_vector(key, attempt, 3, np.dtype(float)), (None, 0))
    x = np.asarray(jax.jit(jax.vmap(vector, (0, None)))(keys, attempts))
    assert np.all(np.abs(x[:, :AS_STAN]) < 2)
    x = x / reach(np.arange(ATTEMPTS))[:, None]
    assert np.all(np.abs(x) < 2)
    assert_uniform((x.reshape(-1, 3) + 2) / 4)


def test_bits_are_balanced(seed: int) -> None:
    x, y = threefry(jnp.asarray(chain_key(seed, 1)), jnp.arange(50_000, dtype=jnp.uint32), jnp.uint32(TRAJECTORY))
    for words in (np.asarray(x), np.asarray(y)):
        ones = ((words[:, None] >> np.arange(32, dtype=np.uint32)) & 1).sum(axis=0)
        for count in ones:
            assert_frequencies(np.array([count, len(words) - count]), np.array([0.5, 0.5]))


def test_events_do_not_overlap() -> None:
    """The numbers of a transition are told apart by their event, up to the largest tree and dimension."""
    steps, coordinates = 2**30 - 1, 2**30
    spans = [
        (int(LEAF), int(LEAF) + steps),
        (int(MOMENTUM), int(MOMENTUM) + coordinates),
        (int(START), int(START) + coordinates),
        (int(TRAJECTORY), int(TRAJECTORY) + 1),
    ]
    spans.sort()
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert spans[-1][1] <= 2**32


def test_chain_keys_are_distinct() -> None:
    """Also for seeds of more than 32 bits, whose words must not be taken for the number of a chain."""
    seeds = [0, 1, 2, 2**32, 2**32 + 1, 2 * 2**32 + 1, 2**64, 2**64 + 1, 2**128 + 1, 2**160]
    keys = {chain_key(seed, chain).tobytes() for seed in seeds for chain in range(50)}
    assert len(keys) == len(seeds) * 50
    assert chain_key(5, 3).dtype == np.uint32
    assert chain_key(5, 3).shape == (2,)
