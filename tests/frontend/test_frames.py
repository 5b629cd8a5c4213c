"""Frames of pandas among the data: columns with traced values do what pandas does with numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import gradmc as gm
from gradmc.errors import ProgramError
from tests.frontend.laws import agree

FRAME = pd.DataFrame(
    {
        "x": [1.0, 2.0, 3.0, 4.5],
        "y": [1.1, np.nan, 3.2, 4.0],
        "g": ["u", "v", "u", "v"],
        "n": np.array([3, 4, 5, 6], np.int32),
        "seen": [True, False, True, True],
        "kind": pd.Categorical(["a", "b", "a", "b"]),
    }
)


def columns(a, *, df):
    """Arithmetic, comparisons, methods that skip what is missing, functions of numpy and scipy."""
    r = (df.y - a * df["x"]) / (1.0 + a)
    lp = -0.5 * (r**2).sum() + r.count() * a + r.mean() + r.std() + r.var() + r.max() + (df.n * a).sum()
    lp += np.sum(np.exp(a * df.x)) + np.sum(scipy.stats.norm.logpdf(df["x"], a, 2.0)) + np.mean(r) + np.abs(-r).sum()
    lp += (df[["x", "n"]] @ np.array([a, 1.0])).sum() + df[["x", "n"]].to_numpy() @ np.array([a, 2.0]) @ df.x.values
    lp += df.x.mul(a).sum() + df["x"].dot(a * df.n) + (df.x > 3.0 * a).sum() * a + len(r) * a
    return lp + (a * df.x).iloc[2] + (a * df.x)[1] + (a * df.x).iloc[1:3].sum() + (a * df.x)[df.seen].sum()


def places(a, *, df):
    """`iloc`, `loc`, `at`, `iat` and columns at a loop's index, rows, groups, records."""
    lp = 0.0
    for i in range(len(df)):
        lp -= (df["x"][i] - a) ** 2 + df.iloc[i]["x"] * a + df.loc[i, "n"] * a + df.x.iloc[i] * df.n.values[i]
        lp += df.iat[i, 0] * a + df.at[i, "n"] * a if df["seen"].iloc[i] else a
    for _, row in df.iterrows():
        if row["g"] == "u" and not np.isnan(row.y):
            lp -= (row.y - a) ** 2
    for row in df.itertuples():
        lp += row.n * a
    for _, part in df.groupby("g"):
        lp += len(part) * a + (part.x * a).sum() * part["n"].max()
    return lp + sum(a * record["x"] for record in df.to_dict("records"))


def more_methods(a, *, df):
    """Choices, comparisons by name, rounding, quantiles, lists; columns in functions of several arrays."""
    r, end = a * df.x - 0.37 * df.n, [a]
    lp = r.where(df.seen, 2.0 * a).sum() + r.mask(df.seen).sum() + r.where(r > -0.6, a).sum() + r.round(1).iloc[1]
    lp += r.lt(-0.6).sum() * a + r.between(-0.6, 0.5).sum() * a + (r >= -0.6).mean() * a + r.eq(r).sum() * a
    lp += r.quantile(0.3) + r.astype(float).mean(skipna=True) + abs(r).max() + (a * df.y).mask(df.seen, 0.0).sum()
    rows = r.tolist() + end
    lp += rows[1] * rows[-1] + len(rows) * a + np.concatenate([r, df.x]).sum() + np.column_stack([r, df.n])[2, 1] * a
    return lp + np.array([a, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])[df.n].sum() + df[["x", "n"]].dot([a, 1.0]).sum()


def chosen(a, *, df):
    """Entries by labels that are no places, by places, by slices of either, and by masks, which labels match."""
    r = a * df.set_index(np.array([5, 7, 6, 9])).x
    back = pd.Series([True, True, False, False], index=[9, 6, 7, 5])
    lp = r.loc[[7, 6]].iloc[0] + r[[9, 5]].iloc[1] + r.loc[7:9].sum() + r[1:3].sum() + r.iloc[1:3].iloc[0]
    lp += r[back].sum() + r.loc[back].iloc[0] + r[back.values].sum() + r.iloc[[0, -1]].sum()
    u = a * df.set_index("g").x
    return lp + u.loc["u"].sum() - 2.0 * u["v"].sum() + sum(r.loc[i] * i for i in r.index)


def labels(a, *, df):
    """A frame whose labels are no places."""
    part = df.dropna()
    lp = 0.0
    for i in part.index:
        lp += a * part.loc[i, "x"] + (a * part.y)[i]
    return lp + (a * part.y)[3] + (part.y * a - part.x).iloc[0]


def series(a, *, y, k):
    """Series of their own."""
    lp = np.sum((y - a) ** 2 * k) + y.mean() * a + np.dot(y, y * a)
    for i in range(len(y)):
        lp += a * y[i] * k.iloc[i]
    for v in y:
        lp -= (v - a) ** 2
    return lp


def methods(a, *, df):
    """Methods that pandas has for columns of data, of columns of traced values with missing entries."""
    r = a * df.x - df.y
    lp = (r.dropna() ** 2).sum() + (r.fillna(a) ** 2).sum() + (r.shift(1) * df.x).sum() + (r.diff() ** 2).mean()
    lp += r.cumsum().sum() + (df.x * a).cumprod().iloc[-1] + r.clip(-0.5, 0.9).sum() + r.shift(-1, fill_value=a).sum()
    lp += (a * df.x).rolling(2).mean().sum() + (a * df.x).rolling(3).std().sum() + (a * df.x).rolling(2).max().sum()
    lp += (
        (r.groupby(df["g"]).sum() * a).sum() + r.groupby(df["g"]).mean().iloc[0] + (r**2).groupby(df.n % 2).max().sum()
    )
    lp += (df.n - df["g"].map({"u": a, "v": a * a})).sum() + r.apply(np.exp).sum() + len(r.dropna()) * a
    lp += (a * df.x).map(lambda v: v * v if v > 1.0 else -v).sum() + r[~r.isna()].sum() + (a * df.x).head(2).sum()
    return lp + (df.x.dropna() * a).reset_index(drop=True)[1] + (a * df.x).tail(3).iloc[0] + df.y.diff().sum() * a


SERIES = {"y": pd.Series([1.0, 2.0, 4.0], name="y"), "k": pd.Series([1, 2, 1])}


@pytest.mark.parametrize(
    ("program", "data"),
    [
        (columns, {"df": FRAME}),
        (places, {"df": FRAME}),
        (more_methods, {"df": FRAME}),
        (chosen, {"df": FRAME}),
        (labels, {"df": FRAME}),
        (methods, {"df": FRAME}),
        (series, SERIES),
    ],
)
def test_frames(program: Callable[..., Any], data: dict[str, Any]) -> None:
    agree(program, (0.4,), data)


def test_a_frame_among_the_data_stays_one() -> None:
    @gm.model
    def program(a: gm.Real, *, df, y):
        return -((df.y - a) ** 2).sum() - np.sum((y - a) ** 2)

    model = program.bind({"df": FRAME, "y": FRAME.x})
    assert model.data["df"] is FRAME
    value = float(gm.density(program, {"df": FRAME, "y": FRAME.x}).log_density({"a": 0.4}))
    np.testing.assert_allclose(value, program(0.4, df=FRAME, y=FRAME.x), rtol=1e-12)


def test_what_is_not_done_is_refused() -> None:
    def ranked(a, *, df):
        return (a * df.x).rank().sum()

    with pytest.raises(ProgramError, match=r"Series\.rank with traced values in it cannot be compiled") as caught:
        agree(ranked, (0.4,), {"df": FRAME})
    assert "to_numpy()" in caught.value.remedy


def test_a_frame_takes_no_columns_that_depend_on_parameters() -> None:
    def program(a, *, df):
        made = df.copy()
        made["z"] = a * df.x
        return made.z.sum()

    with pytest.raises(ProgramError, match="what is stored into a DataFrame") as caught:
        agree(program, (0.4,), {"df": FRAME})
    assert caught.value.location is not None


MATCHED = {
    "added": lambda r, df: r + r[df.y > 0.0],
    "where": lambda r, df: r.where(df.seen.iloc[::-1], 0.0),
    "other": lambda r, df: r.where(df.seen, df.x.iloc[::-1]),
    "mask": lambda r, df: r.mask(df.seen.iloc[::-1], 0.0),
    "fillna": lambda r, df: (r * df.y).fillna(df.x.iloc[::-1]),
    "dot": lambda r, df: r.dot(df.n.iloc[::-1]) * r,
    "product": lambda r, df: (r @ df.n.iloc[::-1]) * r,
}


@pytest.mark.parametrize("name", MATCHED)
def test_columns_of_different_indices_are_refused(name: str) -> None:
    def program(a, *, df):
        return MATCHED[name](a * df.x, df).sum()

    with pytest.raises(ProgramError, match="columns of different indices"):
        agree(program, (0.4,), {"df": FRAME})
