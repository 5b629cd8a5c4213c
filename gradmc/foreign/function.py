"""A log density given as a JAX function of a position."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.core import Jaxpr
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from gradmc.density import Density, Expanded, Part, Precision, dtype_of
from gradmc.errors import ProgramError, UsageError
from gradmc.foreign.common import check_names, check_values, default_dims, describe, explaining
from gradmc.program.layout import entry_names
from gradmc.program.marks import collecting


class FunctionDensity(Density):
    """A log density given as a JAX function of a position (a pytree); all coordinates are unconstrained."""

    def __init__(self, fn: Callable[[Any], Any], example_position: Any, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.arguments = ()
        self._fn = fn
        with self.scope():
            leaves = jax.tree_util.tree_leaves_with_path(example_position)
            position = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), example_position)
            flat, self._unravel = ravel_pytree(position)
            self._labels = tuple(_label(path) for path, _ in leaves)
            check_names(self._labels, "entry", "rename the entry of the position")
            self._shapes = tuple(np.shape(leaf) for _, leaf in leaves)
            self._structure = jax.tree.structure(example_position)
            self.dim = int(flat.size)
            self.names = tuple(
                name
                for label, shape in zip(self._labels, self._shapes, strict=True)
                for name in entry_names(label, shape)
            )
            with explaining(fn):
                result = jax.eval_shape(fn, position)
            self._check_result(result)

    def __getstate__(self) -> tuple[Callable[[Any], Any], Any, np.dtype]:
        return self._fn, self._example(), self.dtype

    def __setstate__(self, state: tuple[Callable[[Any], Any], Any, np.dtype]) -> None:
        FunctionDensity.__init__(self, *state)

    def _example(self) -> Any:
        """A position of the right structure and shapes."""
        return jax.tree.unflatten(self._structure, [np.zeros(shape) for shape in self._shapes])

    def _check_result(self, result: Any) -> None:
        if np.shape(result) != () or jax.tree.structure(result) != jax.tree.structure(0):
            raise ProgramError(
                f"the log density returned {jax.tree.map(np.shape, result)!r}, expected one number",
                remedy="Sum the terms before returning.",
            )
        if jnp.issubdtype(jnp.result_type(result), jnp.complexfloating):
            raise ProgramError(
                "the log density returned a complex number, expected a real one",
                remedy="Return the real part: jnp.real(...).",
            )

    def logdensity(self, x: Float[Array, "dim"], arguments: tuple[Any, ...]) -> Float[Array, ""]:
        """Return the log density at x; pure, to be traced within `scope()`."""
        return jnp.asarray(self._fn(self._unravel(x)), self.dtype)

    def expand(self, x: Float[Array, "dim"], arguments: tuple[Any, ...]) -> Expanded:
        """Return the position, and what the function marked."""
        with collecting() as marks:
            value = self.logdensity(x, arguments)
        observed = {name: _stacked(entries) for name, entries in marks.observe.items()}
        recorded = {name: _stacked(entries) for name, entries in marks.record.items()}
        check_names([*self._labels, *recorded], "variable", "give the derived quantity another name")
        check_names(list(observed), "term", "rename it")
        groups: Expanded = {"posterior": {**self._constrain(x, arguments), **recorded}}
        if observed:
            groups["log_likelihood"] = observed
            groups["log_prior"] = {"log_prior": value - sum(jnp.sum(terms) for terms in observed.values())}
        return groups

    @property
    def group_dims(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Names of the axes of every variable that `expand` returns: ArviZ's defaults."""
        with self.scope():
            shapes = jax.eval_shape(self.expand, jax.ShapeDtypeStruct((self.dim,), self.dtype), ())
        return {group: {n: default_dims(n, leaf.shape) for n, leaf in found.items()} for group, found in shapes.items()}

    def unconstrained_by_name(self, x: Float[Array, "dim"]) -> dict[str, Any]:
        """Return nothing: no coordinate is transformed."""
        return {}

    def _constrain(self, x: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
        return dict(zip(self._labels, jax.tree.leaves(self._unravel(x)), strict=True))

    def _unconstrain(self, values: Mapping[str, Any], arguments: tuple[Any, ...]) -> Any:
        return jnp.concatenate([jnp.ravel(values[label]) for label in self._labels])

    def _log_density(self, values: Mapping[str, Any], jacobian: bool, arguments: tuple[Any, ...]) -> Any:
        return self.logdensity(self._unconstrain(values, arguments), arguments)

    def _check(self, values: Any) -> str | None:
        check_values(values, dict(zip(self._labels, self._shapes, strict=True)))
        return None

    def with_precision(self, precision: Precision) -> "FunctionDensity":
        """The same density in another precision."""
        return FunctionDensity(self._fn, self._example(), dtype_of(precision))

    @property
    def function(self) -> Callable[..., Any]:
        """The user's function."""
        return self._fn

    @functools.cached_property
    def parts(self) -> tuple[Part, ...]:
        """The leaves of the position, in order."""
        sizes = [math.prod(shape) for shape in self._shapes]
        starts = np.cumsum([0, *sizes])
        return tuple(
            Part(name, int(start), size, shape, "Real")
            for name, start, size, shape in zip(self._labels, starts, sizes, self._shapes, strict=False)
        )

    @functools.cached_property
    def equations(self) -> Jaxpr:
        """The log density as a jaxpr, a function of the leaves of the position."""

        def run(*leaves: Any) -> Any:
            return jnp.asarray(self._fn(jax.tree.unflatten(self._structure, leaves)), self.dtype)

        with self.scope():
            return jax.make_jaxpr(run)(*(jnp.zeros(shape, self.dtype) for shape in self._shapes))

    def operands(self, x: Any, arguments: tuple[Any, ...]) -> list[Any]:
        """The leaves of the position at coordinates x."""
        return jax.tree.leaves(self._unravel(x))

    def describe_failure(self, x: Any) -> str:
        """Say which coordinates make the log density or its gradient at x not finite."""
        return describe(self, x)


def from_logdensity(
    fn: Callable[[Any], Any], example_position: Any, *, precision: Precision = "float64"
) -> FunctionDensity:
    """Return a density from a log density function written in JAX.

    Args:
        fn: position -> log density (a number). All coordinates must be unconstrained: transformations and
            their Jacobians are the function's own business here.
        example_position: a position, for its structure and shapes: an array, a number, a dictionary or any
            pytree of them. The leaves' names become the variables of the results (`x` for a bare array).
        precision: "float64" or "float32".

    Returns:
        The density on the flat vector of all leaves.

    Raises:
        UsageError: `fn` is not callable, or the position holds no numbers.
        ProgramError: `fn` does not return one number.
    """
    if not callable(fn):
        raise UsageError(f"from_logdensity expects a function first, got {type(fn).__name__}")
    leaves = jax.tree.leaves(example_position)
    if not leaves or any(_kind(leaf) not in "fiu" for leaf in leaves):
        raise UsageError(
            "from_logdensity expects a position of real numbers (an array, a number, a dictionary of them), "
            f"got {example_position!r}"
        )
    return FunctionDensity(fn, example_position, dtype_of(precision))


def _kind(leaf: Any) -> str:
    try:
        return np.asarray(leaf).dtype.kind
    except (TypeError, ValueError):
        return "O"


def _label(path: tuple[Any, ...]) -> str:
    """Return the name of a leaf: its keys joined by dots, or `x` for a bare array."""
    keys = [str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))) for key in path]
    return ".".join(keys) if keys else "x"


def _stacked(entries: list[Any]) -> Any:
    return jnp.asarray(entries[0]) if len(entries) == 1 else jnp.stack([jnp.asarray(entry) for entry in entries])
