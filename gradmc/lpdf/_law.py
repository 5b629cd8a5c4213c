"""How a log density function of `gradmc.lpdf` is evaluated.

A `Law` is one family of distributions: how to build numpyro's distribution object from the parameters, and
where the density is positive. The same law serves two kinds of caller:

* a program that is being traced or run on JAX values: the result is a JAX value in the dtype of the
  arguments;
* a program that runs as ordinary Python on floats and numpy arrays: the law is evaluated in float64, whatever
  the process-wide setting of JAX is, and a Python float or a numpy array comes back. NumPy does it where it has all
  operations: XLA would compile for each shape.

numpyro does not look at the support unless told to validate, and gives a finite number or NaN outside it. A
law returns `-inf` there, and a zero gradient with respect to the value, so that mixtures and truncated models
are right. When the value is known while tracing (data), the check is done then and leaves no trace.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gradmc._numpy_jaxpr import in_numpy
from gradmc._numpyro import distributions
from gradmc.errors import UsageError

type Value = Any
"""A Python number, a numpy array, a (nested) list of numbers, or a JAX array."""

OFF: dict[str, Any] = {"validate_args": False}
"""Passed to every numpyro distribution: validation costs equations and is done here instead."""


MOST_OPERATIONS = 50
"""A law of more operations is compiled: called often, NumPy would be slower than XLA (measured with `student_t`)."""

SWITCH = threading.RLock()
"""numpyro's validation is a process-wide switch: one thread at a time turns it off and on again."""


class Distributions:
    """`numpyro.distributions` in a context, without validation: imported when something in it is asked for, since to
    import it may take longer than to sample a small model. The densities that most programs use are written out.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._module: ModuleType | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: Any) -> None:
        self._stack.close()

    def __getattr__(self, name: str) -> Any:
        if self._module is None:
            self._module = distributions()
            self._stack.enter_context(SWITCH)
            self._stack.enter_context(self._module.distribution.validation_enabled(False))  # in distributions in others
        return getattr(self._module, name)


@dataclass(frozen=True, eq=False, slots=True)
class Law:
    """One family of distributions.

    Args:
        density: `(d, y, *parameters) -> terms`, where `d` is `numpyro.distributions`, imported if it is used.
        support: `(y, *parameters) -> bool array`; None where the support is the whole space.
        inside: a point of every support, put in place of values outside before the density is evaluated; None
            where the formula is finite and differentiable outside too.
        integers: positions of arguments that must stay integers (category numbers); all others become floats.
        event: number of trailing axes of the value that make up one observation.
    """

    density: Callable[..., Any]
    support: Callable[..., Any] | None = None
    inside: float | None = 1.0
    integers: tuple[int, ...] = ()
    event: int = 0
    plain: dict[Any, Callable[..., Any]] = field(init=False, default_factory=dict)
    """Functions of NumPy arrays, by shapes and dtypes."""

    def terms(self, y: Value, *parameters: Value) -> Any:
        """Return the log density of each observation, `-inf` outside the support."""
        with Distributions() as d:
            return self._terms(d, y, *parameters)

    def _terms(self, d: Any, y: Value, *parameters: Value) -> Any:
        if self.support is None:
            return self.density(d, y, *parameters)
        inside = self.support(y, *parameters)
        if not isinstance(inside, jax.Array) and np.all(inside):  # everything known while tracing
            return self.density(d, y, *parameters)
        if self.inside is not None:
            whole = inside[(..., *[None] * self.event)] if self.event else inside
            y = _select(whole, y, self.inside)
        return _select(inside, self.density(d, y, *parameters), -np.inf)

    def __call__(self, *arguments: Value, pointwise: bool = False) -> Any:
        """Evaluate at the value (first argument) and the parameters; the sum, or each term if `pointwise`.

        Raises:
            UsageError: an argument is complex.
        """
        if _is_complex(arguments):
            raise UsageError("a log density takes real numbers, got a complex one; take its real part or its modulus")
        if any(_is_jax(argument) for argument in arguments):
            dtype = _float_dtype(arguments)
            y, *parameters = (self._traced(i, a, dtype) for i, a in enumerate(arguments))
            terms = self.terms(y, *parameters)
            return terms if pointwise or terms.ndim == 0 else jnp.sum(terms)
        plain = [np.asarray(a, None if i in self.integers else float) for i, a in enumerate(arguments)]
        terms = np.asarray(self._in_numpy(*plain))
        if not pointwise or terms.ndim == 0:
            return float(np.sum(terms))
        return terms

    def _in_numpy(self, *arrays: np.ndarray) -> Any:
        """The terms of NumPy arrays."""
        key = tuple((array.shape, array.dtype) for array in arrays)
        if key not in self.plain:
            with jax.enable_x64(True):
                found = in_numpy(jax.make_jaxpr(self.terms)(*arrays), MOST_OPERATIONS)
            self.plain[key] = self._compiled() if found is None else lambda *given: found(*given)[0]
        return self.plain[key](*arrays)

    def _compiled(self) -> Callable[..., Any]:
        compiled = jax.jit(self.terms)

        def call(*arrays: np.ndarray) -> Any:
            with jax.enable_x64(True), jax.ensure_compile_time_eval():
                return compiled(*arrays)

        return call

    def _traced(self, index: int, argument: Value, dtype: Any) -> Any:
        """Return an argument as the density wants it: floats in one dtype, without needless equations."""
        if isinstance(argument, (list, tuple)):
            argument = jnp.asarray(argument) if _is_jax(argument) else np.asarray(argument)
        if index in self.integers:
            return argument
        if isinstance(argument, jax.Array):
            return argument if jnp.issubdtype(argument.dtype, jnp.floating) else argument.astype(dtype)
        if np.ndim(argument) == 0:
            return float(argument)
        return np.asarray(argument, dtype)


def _select(condition: Any, value: Any, otherwise: float) -> Any:
    """`where`, without its nested call for the most frequent case, a traced number."""
    value = jnp.asarray(value)
    if value.ndim == 0 and jnp.ndim(condition) == 0:
        return lax.select(jnp.asarray(condition), value, jnp.asarray(otherwise, value.dtype))
    return jnp.where(condition, value, otherwise)


def _is_jax(argument: Value) -> bool:
    if isinstance(argument, (list, tuple)):
        return any(_is_jax(item) for item in argument)
    return isinstance(argument, jax.Array)


def _is_complex(argument: Value) -> bool:
    if isinstance(argument, (list, tuple)):
        return any(map(_is_complex, argument))
    return np.iscomplexobj(argument)


def _float_dtype(arguments: tuple[Value, ...]) -> Any:
    """Return the dtype of the floating JAX arguments, or JAX's default float if there is none."""
    floating = [
        argument.dtype
        for argument in arguments
        if isinstance(argument, jax.Array) and jnp.issubdtype(argument.dtype, jnp.floating)
    ]
    return jnp.result_type(*floating) if floating else jnp.result_type(float)
