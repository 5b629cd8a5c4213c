"""Whatever a program raises is an error of that program; Ctrl-C stays Ctrl-C."""

import asyncio
import signal
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradmc as gm
from gradmc import Interval, Real
from gradmc.check.plain import plain
from gradmc.check.subject import Subject
from gradmc.errors import ProgramError
from gradmc.lpdf import normal
from gradmc.program.failure import run_plainly
from gradmc.program.frontend.heap import Retry
from gradmc.program.raising import is_of_program
from gradmc.results.prediction import simulate


class Odd(BaseException):
    """What is no `Exception`."""


KINDS = [SystemExit(0), SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, Odd("odd"), ValueError]
BY_NAME = [pytest.param(kind, id=repr(kind)) for kind in KINDS]


def fail(kind: Any) -> float:
    raise kind


def leave() -> float:
    sys.exit(0)


def press_ctrl_c() -> float:
    signal.raise_signal(signal.SIGINT)
    return 0.0


def named(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else type(kind).__name__


def model_with(act: Callable[[], float]) -> gm.Model:
    @gm.model
    def acting(mu: Real):
        act()
        return normal(mu, 0.0, 1.0)

    return acting


def density_with(act: Callable[[], float]) -> gm.Density:
    """The density of a model that acts only after it has been traced; so does its simulator."""
    traced: list[bool] = []

    @gm.model
    def acting(mu: Real):
        if len(traced) > 0:
            act()
        return normal(mu, 0.0, 1.0)

    @acting.simulator
    def simulator(rng, mu):
        return {"y": act()}

    density = gm.density(acting)
    traced.append(True)
    return density


@pytest.mark.parametrize("kind", BY_NAME)
def test_what_a_program_raises_is_an_error_at_its_line(kind: Any) -> None:
    with pytest.raises(ProgramError, match=named(kind)) as caught:
        gm.density(model_with(lambda: fail(kind)))
    assert caught.value.location is not None
    assert caught.value.location.file == __file__
    assert caught.value.location.text.strip() in ("act()", "raise kind", "gm.density(model_with(lambda: fail(kind)))")
    with pytest.raises(ProgramError, match=named(kind)):
        gm.from_logdensity(lambda x: fail(kind), np.zeros(1))


@pytest.mark.parametrize("kind", BY_NAME)
def test_what_a_simulator_or_a_bound_raises_is_an_error(kind: Any) -> None:
    bound = density_with(lambda: fail(kind)).bound
    assert bound is not None
    with pytest.raises(ProgramError, match=rf"(?s)raise kind.*the simulator of acting raised {named(kind)}"):
        simulate(bound.model.required_simulator(), bound, {"mu": 0.0}, [1])

    @gm.model
    def bounded(mu: Real, nu: Interval(0.0, lambda mu: fail(kind))):  # pyright: ignore[reportInvalidTypeForm]
        return normal(mu, 0.0, 1.0) + normal(nu, 0.0, 1.0)

    with pytest.raises(ProgramError, match=rf"the bound of nu .* raised {named(kind)}") as caught:
        gm.density(bounded)(np.zeros(2))
    assert caught.value.location is not None


@pytest.mark.parametrize("kind", BY_NAME)
def test_what_a_plain_run_raises_is_found(kind: Any) -> None:
    density = density_with(lambda: fail(kind))
    assert density.bound is not None
    assert named(kind) in run_plainly(density.bound, {"mu": np.asarray(0.0)}).error
    [found] = plain(Subject(density, seed=1))
    assert found.code == "plain-fails"
    assert named(kind) in found.message


def test_sys_exit_is_an_error() -> None:
    with pytest.raises(ProgramError, match="SystemExit: 0"):
        gm.sample(model_with(leave), progress="none")


def test_ctrl_c_stays_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt):
        gm.density(model_with(press_ctrl_c))
    bound = density_with(press_ctrl_c).bound
    assert bound is not None
    with pytest.raises(KeyboardInterrupt):
        simulate(bound.model.required_simulator(), bound, {"mu": 0.0}, [1])
    with pytest.raises(KeyboardInterrupt):
        run_plainly(bound, {"mu": np.asarray(0.0)})


def test_what_the_compiler_throws_to_itself_is_not_the_programs() -> None:
    assert not is_of_program(Retry(0, []))
