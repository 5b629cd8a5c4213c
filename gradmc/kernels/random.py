"""Counter-based random numbers: every number is a function of (key, counter) and of nothing else.

Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror & Shaw 2011, 'Parallel random numbers: as easy as 1, 2, 3') turns a
key of two 32-bit words and a counter of two 32-bit words into two random words.  The key is (seed, chain); the counter
is (transition, event).  So the draws of a chain depend neither on the other chains nor on how the run was cut.

Events of a transition are numbered without overlap:

- `LEAF + n`       the decisions at the n-th leapfrog step: whether to take the leaf, whether to take its subtree;
- `MOMENTUM + i`   the i-th coordinate of the momentum;
- `BATCH + n`      the rows of the data that the n-th leapfrog step sees, where it sees a batch of them;
- `TRAJECTORY`     the directions of the doublings, or the length of an HMC trajectory;
- `START + i`      the i-th coordinate of a starting point (the transition then counts the tries).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, UInt32

from gradmc.density.reach import reach
from gradmc.kernels.quantile import normal_quantile
from gradmc.records import record

LEAF = np.uint32(0)
BATCH = np.uint32(0x2000_0000)
MOMENTUM = np.uint32(0x4000_0000)
START = np.uint32(0x8000_0000)
TRAJECTORY = np.uint32(0xC000_0000)

START_RADIUS = 2.0  # of random starts (Stan's rule)

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD1_1BDA)


Words = Array | np.ndarray
"""JAX's arrays, or NumPy's, on which the same operators work without compiling."""


def chain_key(seed: int, chain: int) -> np.ndarray:
    """The key of one chain, shape (2,), from a seed of any size and the chain's number."""
    return np.random.SeedSequence(seed, spawn_key=(chain,)).generate_state(2, np.uint32)


def threefry(key: UInt32[Words, "2"], first: Words, second: Words) -> tuple[Any, Any]:
    """Two random words for each counter (first, second); the counters broadcast against each other."""
    keys = (key[0], key[1], key[0] ^ key[1] ^ _PARITY)
    x, y = first + keys[0], second + keys[1]
    for block in range(5):
        for rotation in _ROTATIONS[block % 2]:
            x = x + y
            y = (y << np.uint32(rotation)) | (y >> np.uint32(32 - rotation))
            y = x ^ y
        x = x + keys[(block + 1) % 3]
        y = y + keys[(block + 2) % 3] + np.uint32(block + 1)
    return x, y


@record
class Event:
    """A counter: which event of which transition of which chain."""

    key: UInt32[Array, "2"]
    transition: UInt32[Array, ""]
    number: UInt32[Array, ""]

    def word(self, which: int) -> UInt32[Array, ""]:
        """Random word 0 or 1 of the event.

        The words are hashed where they are used: XLA would hash twice for two words at once, and the second is rare.
        """
        return threefry(self.key, self.transition, self.number)[which]


def batch_rows(event: Event, size: int, rows: int) -> UInt32[Array, "size"]:
    """Numbers of the rows that the step of an event sees: each uniform on 0 to rows - 1, whatever the others are.

    (To a relative error of rows / 2**32 in their probabilities.)
    """
    key = jnp.stack(threefry(event.key, event.transition, BATCH + event.number))
    words = jnp.concatenate(threefry(key, jnp.uint32(0), lax.iota(jnp.uint32, (size + 1) // 2)))
    return words[:size] % np.uint32(rows)


def uniform(word: UInt32[Words, "..."], dtype: jnp.dtype) -> Any:
    """Uniform on the open interval (0, 1) with 32 bits (23 in float32, where one more would round up to 1)."""
    if dtype == jnp.float64:
        return (word.astype(dtype) + 0.5) * 2.0**-32
    return ((word >> np.uint32(9)).astype(dtype) + np.asarray(0.5, dtype)) * np.asarray(2.0**-23, dtype)


def _coordinates(key: jax.Array, transition: jax.Array, event: np.uint32, dim: int, dtype: jnp.dtype) -> jax.Array:
    """Uniform on (-1, 1), symmetric about 0: one word per coordinate, so one hash serves two of them."""
    words = threefry(key, transition, event + lax.iota(jnp.uint32, (dim + 1) // 2))
    return 2 * uniform(jnp.concatenate(words)[:dim], dtype) - 1


def normal_vector(key: jax.Array, transition: jax.Array, dim: int, dtype: jnp.dtype) -> Float[Array, "dim"]:
    """Standard normal momentum of one transition, by inversion.

    A word of 32 bits (23 in float32) per coordinate: the values reach 6.3 (5.3) standard deviations.
    """
    u = _coordinates(key, transition, MOMENTUM, dim, dtype)
    if dtype == jnp.float64:
        return normal_quantile(0.5 * u)
    return lax.erf_inv(u) * np.asarray(np.sqrt(2.0), dtype)


def start_vector(key: jax.Array, attempt: jax.Array, dim: int, dtype: jnp.dtype) -> Float[Array, "dim"]:
    """The starting point of one attempt: uniform(-2, 2) times its `reach`."""
    return reach(attempt, dtype) * START_RADIUS * _coordinates(key, attempt, START, dim, dtype)


def start_on_host(key: np.ndarray, attempt: int, dim: int, dtype: np.dtype) -> np.ndarray:
    """`start_vector` in NumPy: JAX would compile for it."""
    counters = START + np.arange((dim + 1) // 2, dtype=np.uint32)
    with np.errstate(over="ignore"):
        words = np.concatenate(threefry(key, np.asarray(attempt, np.uint32), counters))[:dim]
    return reach(attempt, dtype) * START_RADIUS * (2 * uniform(words, dtype) - 1)
