"""Roots that the library finds where the derivative, or whether it raises, is not known."""

import numpy as np
import pytest
from scipy import optimize

import gradmc as gm
from gradmc import Real
from gradmc.errors import ProgramError


def test_the_root_of_a_jump_has_no_derivative() -> None:
    """It moves with the parameter, of which the function's slopes say nothing: NaN, not 0."""

    @gm.model
    def at_a_jump(a: Real):
        return optimize.brentq(lambda x: 1.0 if x > a else -1.0, 0, 5)

    value, gradient = gm.density(at_a_jump).value_and_grad(np.array([0.73]))
    assert float(value) == pytest.approx(0.73, abs=1e-8)
    assert np.isnan(gradient).all()


def test_a_try_around_a_search_for_a_root_is_refused() -> None:
    """It would raise where the bracket has no change of sign, which depends on the parameter."""

    @gm.model
    def guarded(a: Real):
        try:
            return optimize.brentq(lambda x: x**2 - a, 0, 0.5)
        except ValueError:
            return -a

    with pytest.raises(ProgramError, match=r"a try waits for ValueError, and where .*brentq raises is not known"):
        gm.density(guarded)
