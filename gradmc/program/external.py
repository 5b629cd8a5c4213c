"""Functions that the host computes while a compiled program runs: black boxes with derivatives of their own.

XLA calls back into Python, which takes tens of microseconds each time and holds the interpreter's lock, so chains in
threads wait for each other. Nothing can be seen inside such a function.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from gradmc.errors import ProgramError


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
        if not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(args)):
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
    return on_host(lambda *a: [function(*a)], [shape], *xs)[0]


def _called_many(function: Callable[..., Any], shapes: list[tuple[int, ...]], *xs: Any) -> Any:
    return on_host(function, shapes, *xs)


def on_host(
    function: Callable[..., Any], shapes: list[tuple[int, ...]], *xs: Any, dtype: Any = None, batched: bool = False
) -> list[Any]:
    """What a host's function of NumPy arrays returns, a list of arrays.

    XLA calls it from threads that know nothing of the scope in which JAX has 64 bits, and JAX would round what goes in
    and out to 32. So numbers of 64 bits travel as pairs of whole numbers of 32.

    Args:
        function: of arrays.
        shapes: those of its results.
        xs: its arguments.
        dtype: of the results; by default that of floats.
        batched: whether it takes further axes in front of all arguments at once, and has them in its results.
    """
    dtype = np.dtype(jnp.result_type(float) if dtype is None else dtype)
    given = [jnp.asarray(x) for x in xs]
    kinds = [np.dtype(x.dtype) for x in given]
    words = dtype.itemsize // 4

    def values(*arrays: Any) -> list[Any]:
        read = [_from_words(np.asarray(a), kind) for a, kind in zip(arrays, kinds, strict=True)]
        return [_to_words(np.array(v, dtype, order="C")) for v in function(*read)]

    made = [jax.ShapeDtypeStruct((*s, words), np.uint32) for s in shapes]
    method = "broadcast_all" if batched else "sequential"
    packed = [jax.lax.bitcast_convert_type(x, np.uint32).reshape(*x.shape, -1) for x in given]
    found = jax.pure_callback(values, made, *packed, vmap_method=method)
    return [_unpacked(v, dtype) for v in found]


def _unpacked(words: Any, dtype: np.dtype) -> Any:
    if dtype.kind == "c":
        half = words.shape[-1] // 2
        part = np.dtype(f"f{dtype.itemsize // 2}")
        return jax.lax.complex(_unpacked(words[..., :half], part), _unpacked(words[..., half:], part))
    return jax.lax.bitcast_convert_type(words if dtype.itemsize == 8 else words[..., 0], dtype)


def _to_words(array: np.ndarray) -> np.ndarray:
    return array.reshape(*array.shape, 1).view(np.uint32)


def _from_words(words: np.ndarray, kind: np.dtype) -> np.ndarray:
    return np.ascontiguousarray(words).view(kind)[..., 0]
