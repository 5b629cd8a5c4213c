"""Dicts whose keys are data: random programs equal plain Python, and long loops are traced once."""

import math
import warnings

import jax
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as replay
from hypothesis import strategies as st

from gradmc.program.compiler import UnrolledLoopWarning
from tests.frontend.grammar import compiled
from tests.frontend.grammar_of_dicts import point, program
from tests.frontend.laws import agree

COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}


def check(number: int) -> None:
    """A random program and point: value, and gradient in reverse and forward mode."""
    fn, (args, data) = compiled(program(number), f"<dicts {number}>"), point(number)
    agree(fn, args, data, differences=False, data_as_arguments=number % 2 == 1)


@pytest.mark.parametrize("number", [*range(12), 275])
def test_some_programs(number: int) -> None:
    check(number)


@pytest.mark.slow
def test_new_programs(seed: int) -> None:
    """40 programs, others in every session."""

    @replay(seed)
    @settings(max_examples=40, database=None, phases=[Phase.generate], **COMMON)
    @given(st.integers(100, 1_000_000))
    def some(number: int) -> None:
        check(number)
        jax.clear_caches()

    some()


GAMES = [(f"p{k * 7 % 23}", f"p{(k * 5 + 1) % 19}") for k in range(300)]


def ratings(a, *, games):
    rating, lp = {}, 0.0
    for winner, loser in games:
        ahead = rating.get(winner, 1.5) - rating.get(loser, 1.5)
        lp -= math.log1p(math.exp(-ahead))
        step = a / (1.0 + math.exp(ahead))
        rating[winner] = rating.get(winner, 1.5) + step
        rating[loser] = rating.get(loser, 1.5) - step
    return lp + sum(k * v for k, v in enumerate(rating.values()))


@pytest.mark.parametrize("keys", [str, lambda name: int(name[1:]) * 3 - 4], ids=["names", "numbers"])
def test_a_loop_of_three_hundred_games_is_traced_once(keys) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnrolledLoopWarning)
        agree(ratings, (0.3,), {"games": [(keys(w), keys(v)) for w, v in GAMES]})
