"""Made-up draws for tests of stores: deterministic in (chain, phase, draw), whatever the chunks."""

from collections.abc import Iterator

import numpy as np

from gradmc.results import Groups, Labels, Store

LABELS = Labels(
    dims={"theta": ("school",), "y": ("school",), "sigma": ("school",)},
    coords={"school": list("abcdefgh")},
    data={"y": np.arange(8.0), "sigma": np.ones(8), "label": "x", "settings": {}},
    sampled_variables=("mu", "theta"),
    observed=("y",),
    name="eight_schools",
)


def chunk(chain: int, warmup: bool, start: int, count: int) -> Groups:
    """The draws start .. start + count of a chain."""
    rows = [np.random.default_rng([chain, warmup, i]).normal(size=32) for i in range(start, start + count)]
    x = np.array(rows).reshape(count, 32)
    return {
        "posterior": {"mu": x[:, 0], "theta": x[:, 1:9], "S": x[:, 9:15].reshape(count, 2, 3)},
        "sample_stats": {
            "lp": x[:, 15],
            "energy": x[:, 16],
            "diverging": x[:, 17] > 5,
            "tree_depth": (x[:, 18] > 0).astype(np.int64) + 2,
            "reached_max_treedepth": x[:, 19] > 5,
        },
        "log_likelihood": {"y": x[:, 20:28]},
        "log_prior": {"mu": x[:, 28]},
    }


def feed(store: Store, chain: int, lengths: tuple[int, int], size: int = 37) -> None:
    """Append warmup and draws of a chain up to the given lengths, in chunks of `size`."""
    for warmup, length in zip((True, False), lengths, strict=True):
        for start, count in pieces(store.lengths(warmup)[chain], length, size):
            store.append(chain, warmup, chunk(chain, warmup, start, count))


def pieces(start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    """Split start .. end into pieces of at most `size`."""
    while start < end:
        yield start, min(size, end - start)
        start += size
