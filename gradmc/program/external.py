"""Functions that the host computes while a compiled program runs: black boxes with derivatives of their own.

XLA calls back into Python, which takes tens of microseconds each time and holds the interpreter's lock, so chains in
threads wait for each other. Nothing can be seen inside such a function.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradmc.errors import ProgramError
from gradmc.program.frontend.values import any_traced


def external(function: Callable[..., Any], *, gradient: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """A function that is not compiled but called while the program runs: other code's likelihood, an emulator.

    Args:
        function: of numbers and NumPy arrays of floats; it returns a number, or an array whose shape depends on theirs
            alone. It must not have side effects, and must give the same value for the same arguments.
        gradient: of the same arguments; it returns the derivative with respect to each of them, a tuple (or, if there
            is one argument, the derivative itself), each of the shape of the value followed by that of the argument.
            None: no derivative with respect to any argument is asked for.

    Returns:
        The function to call in the program. With plain numbers it is `function` itself.

    Raises:
        ProgramError: a derivative is needed and there is no `gradient`, or a result has another shape.

    Example:
        loglike = gm.external(code.loglike, gradient=code.gradient)  # then in the program: loglike(theta)
    """
    return External(function, gradient)


class External:
    """See `external`."""

    def __init__(self, function: Callable[..., Any], gradient: Callable[..., Any] | None) -> None:
        self.function = function
        self.gradient = gradient
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self._shapes: dict[Any, tuple[int, ...]] = {}

    def __call__(self, *args: Any) -> Any:
        """The function's value."""
        if not any_traced(args):
            return self.function(*args)
        arrays = [jnp.asarray(a, float) for a in args]
        shape = self._shape(arrays)
        on_host = jax.custom_jvp(lambda *xs: called(self._value(shape), shape, *xs))
        on_host.defjvp(lambda xs, dots: self._derivative(on_host, shape, xs, dots))
        return on_host(*arrays)

    def _shape(self, arrays: list[Any]) -> tuple[int, ...]:
        """The shape of the value: it is called once on ones to see it."""
        key = tuple(a.shape for a in arrays)
        if key not in self._shapes:
            with np.errstate(all="ignore"):
                self._shapes[key] = np.shape(self.function(*map(plain, [np.ones(s) for s in key])))
        return self._shapes[key]

    def _value(self, shape: tuple[int, ...]) -> Callable[..., Any]:
        return lambda *xs: self._checked(self.function(*map(plain, xs)), shape, "the value")

    def _derivative(self, on_host: Any, shape: tuple[int, ...], xs: Any, dots: Any) -> tuple[Any, Any]:
        if self.gradient is None:
            raise ProgramError(
                f"the derivative of the external function {self.__name__} is needed, and it has none",
                remedy="Give it: gm.external(f, gradient=...), a function that returns one derivative per argument.",
            )
        shapes = [(*shape, *x.shape) for x in xs]
        found = _called_many(self._gradient(shapes), shapes, *xs)
        along = [jnp.tensordot(g, d, d.ndim) for g, d in zip(found, dots, strict=True)]
        return on_host(*xs), sum(along[1:], along[0])

    def _gradient(self, shapes: list[tuple[int, ...]]) -> Callable[..., Any]:
        def values(*xs: Any) -> tuple[Any, ...]:
            found = self.gradient(*map(plain, xs))  # type: ignore[misc]
            found = tuple(found) if isinstance(found, tuple | list) and len(shapes) > 1 else (found,)
            if len(found) != len(shapes):
                raise ValueError(f"the gradient of {self.__name__} has {len(found)} parts for {len(shapes)} arguments")
            return tuple(self._checked(f, s, "the gradient") for f, s in zip(found, shapes, strict=True))

        return values

    def _checked(self, value: Any, shape: tuple[int, ...], what: str) -> Any:
        made = np.asarray(value, float)
        if made.shape != shape:
            raise ValueError(f"{what} of the external function {self.__name__} has shape {made.shape}, not {shape}")
        return made


def plain(x: Any) -> Any:
    """What the host's function gets: a float or an array of floats of its own."""
    made = np.array(x, float)
    return made.item() if made.ndim == 0 else made


def called(function: Callable[..., Any], shape: tuple[int, ...], *xs: Any) -> Any:
    """The value of a host's function of arrays."""
    dtype = jnp.result_type(float)
    made = jax.ShapeDtypeStruct(shape, dtype)
    return jax.pure_callback(lambda *a: np.asarray(function(*a), dtype), made, *xs, vmap_method="sequential")


def _called_many(function: Callable[..., Any], shapes: list[tuple[int, ...]], *xs: Any) -> Any:
    dtype = jnp.result_type(float)
    made = [jax.ShapeDtypeStruct(s, dtype) for s in shapes]

    def values(*arrays: Any) -> Any:
        return [np.asarray(v, dtype) for v in function(*arrays)]

    return jax.pure_callback(values, made, *xs, vmap_method="sequential")
