"""What densities from elsewhere share: error reports and checks of named values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from gradmc.density import Density
from gradmc.errors import GradmcError, ProgramError, UsageError
from gradmc.program.blame import told
from gradmc.program.dims import RESERVED, unfit_name
from gradmc.program.raising import is_of_program, line_of, text_of


@contextmanager
def explaining(fn: Callable[..., Any]) -> Iterator[None]:
    """Turn what a foreign function raises into an error that shows its own file and line."""
    try:
        yield
    except GradmcError:
        raise
    except BaseException as error:
        if not is_of_program(error):
            raise
        file = getattr(getattr(fn, "__code__", None), "co_filename", None)
        raise ProgramError(text_of(error), location=line_of(error, file)) from error


def default_dims(name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return ArviZ's default names of axes."""
    return tuple(f"{name}_dim_{axis}" for axis in range(len(shape)))


def check_names(names: Sequence[str], what: str, rename: str) -> None:
    """Check that names can stand beside each other in group `posterior`.

    Args:
        names: the names.
        what: what they name, for the message.
        rename: how to choose another name, for the message.

    Raises:
        UsageError: a name has another meaning in the results, or comes twice.
    """
    for name in names:
        if name in RESERVED:
            raise UsageError(f"the {what} name {name!r} is reserved by ArviZ for its own dimensions; {rename}")
        if (reason := unfit_name(name)) is not None:
            raise UsageError(f"the {what} name {name!r}: {reason.partition('; ')[0]}; {rename}")
        if names.count(name) > 1:
            raise UsageError(f"the {what} name {name!r} comes twice; {rename}")


def check_values(values: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check names and shapes of named values.

    Raises:
        UsageError: a value is missing, unknown, or of another shape.
    """
    if not isinstance(values, Mapping) or set(values) != set(shapes):
        came = sorted(values) if isinstance(values, Mapping) else type(values).__name__
        raise UsageError(f"expected a dictionary with the entries {sorted(shapes)}, got {came}")
    for name, shape in shapes.items():
        if np.shape(values[name]) != shape:
            raise UsageError(f"{name}: expected shape {shape}, got {np.shape(values[name])}")


def describe(density: Density, x: Any) -> str:
    """Say what is not finite: the value with the marked terms, or components of the gradient."""
    x = np.asarray(x, dtype=density.dtype)
    value, gradient = density.value_and_grad(x)
    culprit = None
    if not (np.isfinite(value) and np.all(np.isfinite(gradient))):
        culprit = density.culprit(x, backward=bool(np.isfinite(value)))
    operation = "" if culprit is None else f"{told(culprit)}\n"
    with density.scope():
        groups = jax.device_get(jax.jit(density.expand)(x, density.arguments))
    at = "at\n" + "\n".join(f"    {name} = {v}" for name, v in groups["posterior"].items())
    if np.isfinite(value):
        bad = [name for name, g in zip(density.names, gradient, strict=True) if not np.isfinite(g)]
        if not bad:
            return f"the log density is {float(value):.6g}, with a finite gradient {at}"
        which = f"but its gradient with respect to {', '.join(bad)} is not finite"
        return f"the log density is {float(value):.6g}, {which}\n{operation}{at}"
    for group in ("log_likelihood", "log_prior"):
        for name, terms in groups.get(group, {}).items():
            wrong = np.argwhere(~np.isfinite(terms))
            if len(wrong):
                where = f"[{', '.join(map(str, wrong[0]))}]" if wrong[0].size else ""
                term = np.asarray(terms)[tuple(wrong[0])]
                return f"the log density is {float(value)}: {name}{where} is {term}\n{operation}{at}"
    return f"the log density is {float(value)}\n{operation}{at}"
