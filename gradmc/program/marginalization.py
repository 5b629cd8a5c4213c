"""Discrete states summed out: `marginalize` within a program, written as a user would write it.

A state with K values has no gradient; what the data say of it is a sum over its values.  For a state on its own that
is a mixture; for a chain of states, each given the one before, the sum over all K**T paths is the forward recursion,
and the probabilities of the states given all data follow backwards (Rabiner 1989, 'A tutorial on hidden Markov
models').  All is computed on the log scale, so that no path is lost to underflow.

The compiler reads these functions like the user's own, so they run as plain Python too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from gradmc.errors import UsageError
from gradmc.program.marks import record

PROBABILITY = "_probability"
FILTERED, TRANSITION = "_filtered", "_transition"

drawing: ContextVar[bool] = ContextVar("gradmc_drawing_states", default=False)


@contextmanager
def for_drawing() -> Iterator[None]:
    """Record, inside the `with` block, what joint draws of the states need."""
    token = drawing.set(True)
    try:
        yield
    finally:
        drawing.reset(token)


def marginalize(name: str, scores: Any, prior: Any = None, transition: Any = None) -> Any:
    """Sum out a discrete state, or a chain of them, and record its probabilities.

    A mixture, in the loop over the data:

        lp += gm.observe("y", gm.marginalize("component", [normal(y[i], mu[k], sigma) for k in range(K)], weight))

    A hidden Markov model: `scores[t, k]` is the log density of what is seen at time t in state k:

        lp += gm.observe("y", gm.marginalize("state", scores, initial, transition)).sum()

    The results hold the probabilities of the states given all data, draw by draw, as NAME_probability, with the states
    along the last axis; `gm.draw_states` draws the states themselves.

    Args:
        name: of the state.
        scores: log density of the data in each state, K numbers, or (n, K) for n states; -inf where a state cannot be.
        prior: probabilities of the states, K numbers that sum to 1: of each state, or of the first of a chain. None
            where the scores have the logarithm of the probabilities in them already.
        transition: for a chain, (K, K): the probabilities of the next state, a row for each state; or (n - 1, K, K).

    Returns:
        The log density of the data, the states summed out: a number for K scores; n numbers for (n, K), whose sum is
        the log density of all: of a chain, each given the data before.

    Raises:
        UsageError: the shapes do not fit.
    """
    if transition is not None:
        return _chain(name, scores, prior, transition)
    if np.ndim(scores) == 1:
        return _state(name, scores, prior)
    _check(np.ndim(scores) == 2, f"scores of the shape {np.shape(scores)}; expected K numbers or (n, K)", name)
    terms = np.zeros(len(scores))
    for i in range(len(scores)):
        terms[i] = _state(name, scores[i], prior)
    return terms


def _state(name: str, scores: Any, prior: Any) -> Any:
    K = len(scores)
    _check(prior is None or np.shape(prior) == (K,), f"{K} scores need {K} probabilities", name)
    joint = np.zeros(K)
    total = -np.inf
    for k in range(K):
        joint[k] = scores[k] if prior is None else scores[k] + np.log(prior[k])
        total = np.logaddexp(total, joint[k])
    record(name + PROBABILITY, np.exp(joint - total))
    return total


def _chain(name: str, scores: Any, prior: Any, transition: Any) -> Any:
    _check(np.ndim(scores) == 2, f"a chain needs scores of the shape (n, K), got {np.shape(scores)}", name)
    T, K = np.shape(scores)
    _check(np.shape(prior) == (K,), f"a chain needs {K} probabilities of its first state", name)
    fits = np.shape(transition) in ((K, K), (T - 1, K, K))
    _check(fits, f"transition must have the shape {(K, K)} or {(T - 1, K, K)}, got {np.shape(transition)}", name)
    varying = np.ndim(transition) == 3
    ahead = np.log(np.asarray(prior))  # log probabilities of the state given the data before
    terms = np.zeros(T)
    predicted = np.zeros((T, K))
    filtered = np.zeros((T, K))
    for t in range(T):
        if t > 0:
            ways = transition[t - 1] if varying else transition
            for k in range(K):
                total = -np.inf
                for j in range(K):
                    total = np.logaddexp(total, filtered[t - 1, j] + np.log(ways[j, k]))
                ahead[k] = total
        total = -np.inf
        for k in range(K):
            total = np.logaddexp(total, ahead[k] + scores[t, k])
        for k in range(K):
            predicted[t, k] = ahead[k]
            filtered[t, k] = ahead[k] + scores[t, k] - total
        terms[t] = total
    record(name + PROBABILITY, _smoothed(predicted, filtered, transition))
    if drawing.get():
        record(name + FILTERED, filtered)
        record(name + TRANSITION, transition)
    return terms


def _smoothed(predicted: Any, filtered: Any, transition: Any) -> Any:
    """Probabilities of the states given all data, (n, K), from their logarithms given those before and until then."""
    T, K = np.shape(filtered)
    varying = np.ndim(transition) == 3
    smoothed = np.zeros((T, K))
    for k in range(K):
        smoothed[T - 1, k] = np.exp(filtered[T - 1, k])
    for s in range(T - 1):
        t = T - 2 - s
        ways = transition[t] if varying else transition
        for j in range(K):
            later = 0.0
            for k in range(K):
                ratio = 0.0 if predicted[t + 1, k] == -np.inf else np.exp(filtered[t, j] - predicted[t + 1, k])
                later += ratio * ways[j, k] * smoothed[t + 1, k]
            smoothed[t, j] = later
    return smoothed


def _check(fits: bool, what: str, name: str) -> None:
    if not fits:
        raise UsageError(f"marginalize({name!r}, ...): {what}")
