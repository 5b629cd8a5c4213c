"""Searches that ask for log densities and gradients, many of them together.

A *search* is a generator: it yields points of shape (n, dim), is sent the log densities (n,) and gradients (n, dim)
there, and returns what it found.  `together` moves several searches in step, so that one call of the compiled function
answers all their questions of a round, and a search reads as if it ran alone.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np

type Answer = tuple[np.ndarray, np.ndarray]
"""Log densities (n,) and gradients (n, dim); not finite where there are none."""

type Evaluate = Callable[[np.ndarray], Answer]
"""Answers for points of shape (n, dim)."""

type Explore = Callable[[np.ndarray, Sequence[int]], tuple[np.ndarray, int]]
"""Where scouts come to, (n, dim), that begin at points (n, dim), and the gradients they took.

Scouts are short chains of the run's kernel; they have numbers, which decide what is random.
"""

type Search[R] = Generator[np.ndarray, Answer, R]


def together[R](searches: Sequence[Search[R]], evaluate: Evaluate) -> list[R]:
    """Run searches to their ends, a round of questions at a time; their results in the given order."""
    results: list[Any] = [None] * len(searches)
    questions: dict[int, np.ndarray] = {}

    def advance(k: int, answer: Answer | None) -> None:
        try:
            questions[k] = next(searches[k]) if answer is None else searches[k].send(answer)
        except StopIteration as end:
            results[k] = end.value

    for k in range(len(searches)):
        advance(k, None)
    while questions:
        asked, questions = questions, {}
        values, gradients = evaluate(np.concatenate(list(asked.values())))
        row = 0
        for k, points in asked.items():
            rows = slice(row, row := row + len(points))
            advance(k, (values[rows], gradients[rows]))
    return results
