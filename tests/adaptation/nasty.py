"""Draws and gradients that no estimate may stumble over."""

import numpy as np
from hypothesis import strategies as st

FAULTS = {
    "none": lambda rng, rows: rows,
    "constant column": lambda rng, rows: np.where(np.arange(rows.shape[1]) == 0, 0.1, rows),
    "zero column": lambda rng, rows: np.where(np.arange(rows.shape[1]) == 0, 0.0, rows),
    "stuck": lambda rng, rows: np.tile(rows[:1], (len(rows), 1)),
    "all zero": lambda rng, rows: np.zeros_like(rows),
    "two rows": lambda rng, rows: rows[np.arange(len(rows)) % 2],
    "equal columns": lambda rng, rows: np.tile(rows[:, :1], (1, rows.shape[1])),
    "one outlier": lambda rng, rows: np.where(np.arange(len(rows))[:, None] == 1, 1e112 * rows, rows),
    "growing": lambda rng, rows: rows * np.geomspace(1, 1e112, len(rows))[:, None],
    "wild columns": lambda rng, rows: rows * 10.0 ** rng.uniform(-150, 150, rows.shape[1]),
    "wild numbers": lambda rng, rows: rows * 10.0 ** rng.uniform(-300, 300, rows.shape),
    "huge": lambda rng, rows: 1e308 * np.clip(rows, -1, 1),
    "tiny": lambda rng, rows: 1e-310 * rows,
    "offset": lambda rng, rows: 1e16 + rows,
    "one nan": lambda rng, rows: np.where(np.arange(rows.size).reshape(rows.shape) == 3, np.nan, rows),
    "one infinity": lambda rng, rows: np.where(np.arange(rows.size).reshape(rows.shape) == 3, -np.inf, rows),
    "all infinite": lambda rng, rows: np.full_like(rows, np.inf),
}


@st.composite
def nasty_rows(draw: st.DrawFn, counts: tuple[int, ...], dims: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Draws and gradients, (count, dim): of a correlated normal, then each with a fault of its own."""
    count, dim = draw(st.sampled_from(counts)), draw(st.sampled_from(dims))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    draws = rng.standard_normal((count, dim)) + 10.0 ** draw(st.integers(-3, 9)) * rng.standard_normal((count, 1))
    faults = [FAULTS[draw(st.sampled_from(sorted(FAULTS)))] for _ in range(2)]
    with np.errstate(all="ignore"):
        return faults[0](rng, draws), faults[1](rng, -draws + 0.1 * rng.standard_normal((count, dim)))
