"""Each fault that made a run wrong in silence is put back, one at a time: the run itself must say so."""

import inspect
import math
import threading
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradmc as gm
from gradmc.errors import SelfCheckError
from gradmc.kernels.random import chain_key, start_on_host
from gradmc.program.frontend import implicit
from gradmc.program.frontend.libraries import numpy_arrays, standard_library
from gradmc.program.model import Model
from gradmc.selfcheck import comparison as selfcheck
from gradmc.session import SamplingWarning
from tests.selfcheck import faults

QUICK: dict[str, Any] = {"seed": 2, "chains": 1, "warmup": 0, "draws": 4, "progress": "none"}
pytestmark = pytest.mark.filterwarnings("ignore:.* (diverged|accepted).*:gradmc.SamplingWarning")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, plain runs may end."""
    monkeypatch.setattr(selfcheck, "SECONDS", 60.0)


def line_of(function: Any, text: str) -> str:
    """`file:line` of the line of a function that holds a text."""
    lines, first = inspect.getsourcelines(getattr(function, "fn", function))
    return (
        f"{inspect.getsourcefile(getattr(function, 'fn', function))}:{first + [text in x for x in lines].index(True)}"
    )


def error_of(model: Model, data: Any = None) -> SelfCheckError:
    with pytest.raises(SelfCheckError, match="run as plain Python") as caught:
        gm.sample(model, data, **QUICK)
    assert caught.value.exit_code == 3
    assert "check=False" in str(caught.value)
    return caught.value


def warning_of(model: Any, data: Any = None, **options: Any) -> tuple[str, Any]:
    with pytest.warns(SamplingWarning) as caught:
        tree = gm.sample(model, data, **QUICK | options)
    return str(caught[0].message), tree


class TestValues:
    """A different value stops the run."""

    def test_missing_side_becomes_zero(self) -> None:
        with faults.miscompiled(faults.last_if_without_else, faults.missing_side_is_zero):
            error = error_of(faults.last_if_without_else)
        assert line_of(faults.piece, "y = 0.5") in str(error)
        assert "x = " in str(error)

    def test_whole_numbers_overflow(self) -> None:
        data = {"counts": [3000] * 7}
        with faults.miscompiled(faults.product_of_counts, faults.product_in_64_bits):
            error = error_of(faults.product_of_counts, data)
        assert line_of(faults.product_of_counts, "# <--") in str(error)

    def test_function_of_the_same_name_that_is_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(numpy_arrays.TABLE, np.emath.sqrt, jnp.sqrt)
        error = error_of(faults.imaginary_root)
        assert "the compiled program gives nan" in str(error)
        assert line_of(faults.imaginary_root, "emath") in str(error)

    def test_function_with_another_value(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(standard_library.TABLE, math.log, jnp.log10)
        error = error_of(faults.logarithm)
        assert line_of(faults.logarithm, "lp += ") in str(error)
        assert "y is " in str(error)

    def test_exception_that_is_lost(self) -> None:
        with faults.miscompiled(faults.reading, faults.reading_of_anything):
            error = error_of(faults.reading, {"low": -3.0})
        assert "raises ValueError: out of the range of the instrument" in str(error)
        assert line_of(faults.reading, "raise") in str(error)

    def test_result_that_is_forgotten(self) -> None:
        with faults.miscompiled(faults.returns_nothing, faults.ends):
            assert "returns None" in str(error_of(faults.returns_nothing))

    def test_sampled_all_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(standard_library.TABLE, math.log, jnp.log10)
        tree = gm.sample(faults.logarithm, check=False, **QUICK)
        assert tree.attrs["self_check_value"] == "unchecked: switched off"
        (own,) = (check for check in gm.diagnose(tree).checks if check.name == "self_check")
        assert own.passed is None


class TestGradients:
    """A different gradient is a warning."""

    def test_bisection_by_hand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Differentiated as it stands: nothing that it is computed from depends on a."""
        monkeypatch.setattr(implicit, "solved", lambda jaxpr, parameters: jaxpr)
        said, tree = warning_of(faults.equilibrium)
        assert "the derivative with respect to a is " in said
        assert line_of(faults.equilibrium, "# <--") in said
        assert tree.attrs["self_check_value"] == "agrees"
        (own,) = (check for check in gm.diagnose(tree).checks if check.name == "self_check")
        assert own.passed is False
        assert said in own.finding

    def test_gradient_that_is_not_a_number(self) -> None:
        seeds = (seed for seed in range(100) if start_on_host(chain_key(seed, 0), 0, 1, np.dtype(float))[0] > 0.0)
        said, _ = warning_of(faults.half_rough, seed=next(seeds))
        assert "its gradient with respect to x is not" in said
        assert line_of(faults.half_rough, "# <--") in said

    def test_stopped_gradient(self) -> None:
        said, _ = warning_of(gm.from_logdensity(faults.stopped, np.zeros(())))
        assert "by differences" in said
        assert line_of(faults.stopped, "stop_gradient") in said

    def test_custom_derivative(self) -> None:
        @jax.custom_jvp
        def cube(x: Any) -> Any:
            return x**3

        cube.defjvp(lambda given, moved: (given[0] ** 3, 2 * given[0] ** 2 * moved[0]))
        density = gm.from_logdensity(lambda x: -jnp.sum(x**2) - 0.1 * cube(x[1]), np.zeros(3))
        said, tree = warning_of(density)
        assert density.names[1] in said
        assert tree.attrs["self_check_value"] == "unchecked: not a plain Python program"


def test_plain_run_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selfcheck, "SECONDS", 0.1)
    with faults.miscompiled(faults.never_ends, faults.ends):
        tree = gm.sample(faults.never_ends, **QUICK)
    assert tree.attrs["self_check_value"] == "unchecked: plain Python takes longer than 0.1 s"
    assert tree.attrs["self_check_gradient"] == "agrees"
    assert not [thread for thread in threading.enumerate() if thread.name == selfcheck.THREAD]
