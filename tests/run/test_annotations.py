"""The annotated shapes and dtypes of the engine hold: every function is type-checked while a machine is traced.

Constructors of records are left out: a record with a leading axis (of chains, of rows) is built by `jax.tree.map` on
purpose.
"""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from beartype import beartype
from beartype.roar import BeartypeDecorHintException
from jaxtyping import TypeCheckError, jaxtyped

from gradmc.adaptation.diagonal import Diagonal
from gradmc.adaptation.schedule import make_schedule
from gradmc.adaptation.warmup import Warmup
from gradmc.adaptation.windowed import Dense, LowRank
from gradmc.kernels import metric as metric_module
from gradmc.kernels.hmc import Hmc
from gradmc.kernels.microcanonical import Microcanonical
from gradmc.kernels.nuts import Nuts
from gradmc.kernels.random import chain_key
from gradmc.run.machine import Machine
from tests.targets import standard_normal

ENGINE = [
    importlib.import_module(f"gradmc.{name}")
    for name in (
        "kernels.random",
        "kernels.metric",
        "kernels.hamiltonian",
        "kernels.kernel",
        "kernels.nuts",
        "kernels.hmc",
        "kernels.microcanonical",
        "adaptation.step_size",
        "adaptation.diagonal",
        "adaptation.warmup",
        "adaptation.windowed",
        "run.machine",
    )
]
NAMES = {module.__name__ for module in ENGINE}


def checked(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The function with its annotations enforced; None where a protocol cannot be checked at run time."""
    try:
        return jaxtyped(typechecker=beartype)(function)
    except BeartypeDecorHintException:
        return None


@pytest.fixture
def enforced(monkeypatch: pytest.MonkeyPatch) -> int:
    """Enforce annotations of all functions and methods of the engine; gives their number."""
    wrapped: dict[Any, Callable[..., Any]] = {}
    for owner in owners():
        for name, value in list(vars(owner).items()):
            if inspect.isfunction(value) and value.__module__ in NAMES and not name.startswith("__"):
                if value not in wrapped:
                    wrapped[value] = checked(value) or value
                monkeypatch.setattr(owner, name, wrapped[value])
    return sum(wrapper is not function for function, wrapper in wrapped.items())


def owners() -> list[Any]:
    """The modules of the engine and their classes."""
    classes = [c for m in ENGINE for c in vars(m).values() if inspect.isclass(c) and c.__module__ == m.__name__]
    return [*ENGINE, *classes]


def trace(machine: Machine) -> None:
    jax.eval_shape(
        lambda state, *rest: machine.advance(state, *rest, 16),
        machine.initial(chain_key(0, 0), position=np.ones(machine.dim)),
        jax.tree.map(jax.numpy.asarray, make_schedule(10, dtype=machine.dtype)),
        (),
        jax.ShapeDtypeStruct((), np.int32),
        jax.ShapeDtypeStruct((), np.int32),
    )


@pytest.mark.parametrize("adaptation", [Diagonal(), Dense(), LowRank()])
@pytest.mark.parametrize("kernel", [Nuts(), Hmc(), Microcanonical()])
def test_annotations_hold(kernel: Any, adaptation: Any, enforced: int, strict: None) -> None:
    assert enforced > 40
    trace(
        Machine(log_density=standard_normal, kernel=kernel, adaptation=Warmup(adaptation), dim=3, dtype=np.dtype(float))
    )


def test_a_wrong_shape_is_caught(enforced: int, x64: None) -> None:
    metric = metric_module.DiagonalMetric(scale=jax.numpy.ones(2))
    with pytest.raises(TypeCheckError, match="momentum"):
        metric.push(jax.numpy.ones((2, 2)))
