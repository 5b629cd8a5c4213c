"""Arrays that JAX returns as they are where nothing is to be done: numpy's views are parts of them, its copies not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradmc.program.compiler import evaluate

Y = np.array([0.3, 0.7, 1.1, 2.0])
MADE: dict[str, Callable[[Any], Any]] = {
    "x[:]": lambda x: x[:],
    "x[:n]": lambda x: x[: len(x)],
    "x[0:]": lambda x: x[0:],
    "x[...]": lambda x: x[...],
    "x[None]": lambda x: x[None][0],
    "x[:, None]": lambda x: x[:, None][:, 0],
    "x.T": lambda x: x.T,
    "x.reshape": lambda x: x.reshape(-1),
    "x.ravel": lambda x: x.ravel(),
    "x.real": lambda x: x.real,
    "x.conj": lambda x: x.conj(),
    "np.asarray": np.asarray,
    "np.asarray of floats": lambda x: np.asarray(x, dtype=float),
    "np.atleast_1d": np.atleast_1d,
    "np.ascontiguousarray": np.ascontiguousarray,
    "np.real": np.real,
    "np.squeeze": np.squeeze,
    "np.array": np.array,
    "x.copy": lambda x: x.copy(),
    "x.astype": lambda x: x.astype(float),
    "x.flatten": lambda x: x.flatten(),
    "+x": lambda x: +x,
    "np.positive": np.positive,
    "np.conj": np.conj,
    "np.concatenate": lambda x: np.concatenate([x]),
    "np.hstack": lambda x: np.hstack([x]),
    "np.append": lambda x: np.append(x, []),
    "np.clip": lambda x: np.clip(x, None, None),
    "np.tile": lambda x: np.tile(x, 1),
    "np.pad": lambda x: np.pad(x, 0),
    "np.roll": lambda x: np.roll(x, 0),
    "x ** 1": lambda x: x**1,
}


def stored(make: Callable[[Any], Any], kind: str) -> Callable[..., Any]:
    """A program that makes an array of another one, and stores into both."""

    def program(a, *, y):
        x = np.exp(a * y)
        source = x
        if kind == "filled":
            source = np.zeros(len(y))
            source[:] = x
        elif kind == "stored into":
            x[2] = a
        z = make(source)
        z[0] = 5.0
        source[1] = 7.0
        return np.sum(x * y) * 10 + np.sum(z * y * y) + np.sum(source**2)

    return program


@pytest.mark.parametrize("kind", ["new", "filled", "stored into"])
def test_views_and_copies_are_numpys(kind: str, x64: None) -> None:
    for name, make in MADE.items():
        program = stored(make, kind)
        want = program(0.3, y=Y)
        assert float(evaluate(program, (0.3,), {"y": Y})[0]) == pytest.approx(want, rel=1e-12), name


def test_slices_of_all_of_a_row(x64: None) -> None:
    def program(a, *, y):
        m = np.outer(np.exp(a * y), y)
        row = m[1][: len(y)]
        row[0] = 3.0
        other = m[2][: len(y)][: len(y)]
        other[1] = a
        m[2, 0] = a * a
        kept = []
        kept.extend(m[0][: len(y)] / 2)
        return np.sum(m * m) + np.sum(row) + np.sum(other) + sum(kept)

    assert float(evaluate(program, (0.3,), {"y": Y})[0]) == pytest.approx(program(0.3, y=Y), rel=1e-12)


def test_lists_of_places_whose_length_changes(x64: None) -> None:
    times, seen = np.array([3.0, 1.0, 2.0, 5.0, 4.0, 2.5]), np.array([1, 0, 1, 1, 0, 1])

    def partial_likelihood(a, b):
        eta = a * times + b * np.sin(times)
        lp = 0.0
        for i in range(len(times)):
            if seen[i]:
                risk = [j for j in range(len(times)) if times[j] >= times[i]]
                lp += eta[i] - np.log(np.sum(np.exp(eta[risk])))
        return lp

    assert float(evaluate(partial_likelihood, (0.3, 0.7), {})[0]) == pytest.approx(partial_likelihood(0.3, 0.7))
