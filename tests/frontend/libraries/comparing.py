"""What every library function must satisfy: the compiled value is plain Python's, the gradient that of differences."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import jaxpr_as_fun

from gradmc.program.compiler import evaluate
from tests.frontend.laws import QUICK

POINT = np.array([0.7, 1.3, 0.4])
STEP = 1e-5


def compare(
    programs: Mapping[str, Callable[..., Any]],
    data: Mapping[str, Any] | None = None,
    *,
    point: np.ndarray = POINT,
    value: float = 1e-9,
    gradient: float = 1e-7,
) -> None:
    """Compare programs of three numbers a, b, c, all compiled together, with themselves in plain Python.

    Args:
        programs: by name.
        data: their keyword arguments.
        point: a, b and c.
        value: relative tolerance of the values.
        gradient: tolerance of the gradients, relative to 1 + the largest.
    """
    given = dict(data or {})

    def together(p: Any) -> Any:
        return jax.numpy.stack([evaluate(f, tuple(p), given)[0] for f in programs.values()])  # type: ignore[arg-type]

    def twice(p: Any) -> tuple[Any, Any]:
        (values,) = traced(p)
        return values, values

    with jax.enable_x64(True):
        traced = jaxpr_as_fun(jax.make_jaxpr(together)(point))
        both = jax.jit(jax.jacrev(twice, has_aux=True), compiler_options=QUICK)
        slopes, got = map(np.asarray, both(point))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for k, (name, program) in enumerate(programs.items()):
            want = program(*point.tolist(), **given)
            np.testing.assert_allclose(got[k], want, rtol=value, atol=1e-12, err_msg=name)
            quotient = differences(lambda p, f=program: f(*p.tolist(), **given), point)
            np.testing.assert_allclose(
                slopes[k], quotient, atol=gradient * (1.0 + np.max(np.abs(quotient))), rtol=0, err_msg=name
            )


def differences(program: Callable[[np.ndarray], Any], point: np.ndarray) -> np.ndarray:
    """Difference quotients of fourth order."""
    found = []
    for unit in np.eye(len(point)):
        at: Sequence[float] = [float(program(point + k * 10 * STEP * unit)) for k in (-2, -1, 1, 2)]
        found.append((at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (120 * STEP))
    return np.array(found)
