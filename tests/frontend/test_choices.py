"""Long loops over things that are no numbers: letters, names, records, rows of a frame; traced once."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gradmc.program.compiler import UnrolledLoopWarning
from tests.frontend.laws import agree

P = np.array([0.1, 0.2, 0.3, 0.4])
TEXT = "".join("ACGT"[(k * k + k // 3) % 4] for k in range(300))
SEQUENCES = {"one": TEXT, "two": TEXT[::-1], "three": TEXT[7:] + TEXT[:7]}
MATCHES = pd.DataFrame({"home": list(TEXT), "away": list(TEXT[::-1]), "goals": [k % 5 for k in range(300)]})
RECORDS = [{"group": "u" if k % 3 else "v", "y": 0.1 * k, "pair": (k % 4, "w")} for k in range(250)]


def alignment(p, *, sequences):
    """Letters of sequences in a dict, compared, looked up, found."""
    index = {c: k for k, c in enumerate("ACGT")}
    names, lp, last = sorted(sequences), 0.0, "A"
    for i in range(len(sequences["one"])):
        x, y = sequences["one"][i], sequences["two"][i]
        if x == y:
            lp += math.log(p[index[x]])
        elif x in "AG" and y not in ("C", "T"):
            lp += p[0] * p["ACGT".index(x)]
        for name in names:
            lp += p[index[sequences[name][i]]] * len(name)
        if last == x:
            lp += p[1]
        last = x
    return lp


def football(p, *, matches):
    """Rows of a frame, with names in it."""
    teams = {t: k for k, t in enumerate("ACGT")}
    lp = 0.0
    for m in matches.itertuples():
        i, j = teams[m.home], teams[m.away]
        rate = np.exp(p[i] - p[j])
        lp += m.goals * np.log(rate) - rate
    for k, row in matches.iterrows():
        lp += p[teams[row["home"]]] * row.goals * k
    return lp


def records(p, *, records):
    """Dicts, tuples in them, parameters by name."""
    means = {"u": p[0], "v": p[1]}
    lp = 0.0
    for r in records:
        i, kind = r["pair"]
        lp -= (r["y"] - means[r["group"]]) ** 2 * i + len(kind) * p[2]
    for k, (group, y) in enumerate([(r["group"], r["y"]) for r in records]):
        lp += means[group] * y if group.upper() == "U" else p[3] * k
    return lp + sum(means[r["group"]] for r in records)


class Counter:
    def __init__(self, k: int) -> None:
        self.k, self.n = k, 0

    def score(self) -> int:
        self.n += 1
        return self.k * self.n


def changing(p):
    """What changes an object is not done for all of them at once."""
    counters = [Counter(k) for k in range(12)]
    lp = 0.0
    for _ in range(2):
        for c in counters:
            lp += c.score() * p[0]
    functions = [math.sin, math.cos, math.exp] * 4
    for f in functions:
        lp += f(p[1])
    return lp + sum(c.n for c in counters) * p[2]


DATA: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (alignment, {"sequences": SEQUENCES}),
    (football, {"matches": MATCHES}),
    (records, {"records": RECORDS}),
    (changing, {}),
]


@pytest.mark.parametrize(("program", "data"), DATA)
def test_choices(program: Callable[..., Any], data: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnrolledLoopWarning)
        agree(program, (P,), data)
