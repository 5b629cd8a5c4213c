"""Log densities on a flat unconstrained vector, with value, gradient and named parameters.

This is what samplers see: `density(model, data)` gives a `Density`, and so do `from_logdensity` and
`from_numpyro` (`gradmc.foreign`). A density is a pure function of the vector and of `arguments`, the tuple of
floating-point data arrays; everything else among the data is built in.

* `d(x)`, `d.value_and_grad(x)`, `d.constrain(x)`, `d.unconstrain(values)`, `d.log_density(values)` are for
  people: they check their input, work in the density's own precision whatever the process-wide setting is,
  and can be used under `jit`, `grad` and `vmap`. Numpy values and lists give numpy values back; JAX values
  give JAX values in their dtype.
* `d.logdensity(x, d.arguments)` and `d.expand(x, d.arguments)` are for samplers: pure, unchecked, to be
  traced within `with d.scope():`.

The log density includes the log-determinants of the maps from unconstrained coordinates, so it is the density
of x. The program is traced once, when the density is made; its errors come then, before any compilation.
"""

import abc
import contextlib
import functools
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.extend.core import Jaxpr
from jaxtyping import Float

from gradmc._process import use_jax
from gradmc.density.memo import Memo
from gradmc.errors import SourceLocation, UsageError
from gradmc.markup import element, table
from gradmc.program.binding import BoundModel
from gradmc.program.fingerprint import digest
from gradmc.program.layout import as_numbers, gathered
from gradmc.program.support import START_RADIUS
from gradmc.program.travelling import Travelling

type Precision = Literal["float64", "float32"]
if TYPE_CHECKING:
    from gradmc.program.blame import Culprit

type Expanded = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Part:
    """A parameter's share of the flat vector.

    Attributes:
        name: the parameter.
        start: its first coordinate.
        size: number of its coordinates.
        shape: its shape as a parameter.
        support: "Real", "Positive", ...: the name of its support.
    """

    name: str
    start: int
    size: int
    shape: tuple[int, ...]
    support: str


@dataclass(frozen=True, slots=True)
class Summand:
    """One of the terms that the log density is the sum of.

    Attributes:
        name: what it is called: its line, or its site.
        location: the line that adds it, where known.
        times: how often that line runs, as far as loops are compiled; None if that is not known.
        equations: the term as a function of what the density's `equations` take, in JAX's own primitives.
    """

    name: str
    location: SourceLocation | None
    times: int | None
    equations: Jaxpr


class Density(Travelling, abc.ABC):
    """A log density on a flat unconstrained vector.

    It is pickled by what it was made from, with the source of its program (`gradmc.program.parcel`), and makes the rest
    again where it is unpickled.

    Attributes:
        dim: number of unconstrained coordinates.
        names: a name for every coordinate, as `log_density` and `unconstrain` take them where a parameter has as many
            entries as coordinates (a simplex has one more).
        arguments: floating-point data arrays, arguments of `logdensity` and `expand`.
        dtype: numpy dtype of the computation.
        start_radius: the largest modulus of an unconstrained coordinate at random starts, a number or shape (dim,).
        bound: the model with its data, or None where the density does not come from a gradmc model.
    """

    dim: int
    names: tuple[str, ...]
    arguments: tuple[Any, ...]
    dtype: np.dtype
    start_radius: float | np.ndarray = START_RADIUS
    bound: BoundModel | None = None

    def __dask_tokenize__(self) -> tuple[str, str]:
        return f"gradmc.{type(self).__name__}", digest(self.__getstate__()) or uuid.uuid4().hex

    def __repr__(self) -> str:
        shown = ", ".join(self.names[:6]) + (", ..." if self.dim > 6 else "")
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return f"<density of {name} in {self.dim} dimension{'s' * (self.dim != 1)}: {shown}>"

    def _repr_html_(self) -> str:
        rows = [
            (part.name, part.support, "scalar" if not part.shape else " x ".join(map(str, part.shape)), part.size)
            for part in self.parts
        ]
        name = getattr(self.function, "__name__", type(self.function).__name__)
        parts = [element("b", f"Density of {name}"), element("div", f"{self.dim} coordinates, {self.dtype}")]
        parts.append(table(("parameter", "support", "shape", "coordinates"), rows, "Parameters"))
        if self.bound is not None and self.bound.data:
            data = [(key, described(value)) for key, value in self.bound.data.items()]
            parts.append(table(("data", ""), data, "Data"))
        return element("div", *parts)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The parameters by the names that `log_density` and `unconstrain` take, with the shapes of their values."""
        return {part.name: part.shape for part in self.parts}

    def scope(self) -> AbstractContextManager[Any]:
        """Return a context in which JAX works in this density's precision.

        Raises:
            UsageError: this process was forked from one in which JAX had worked.
        """
        use_jax()
        return jax.enable_x64(self.dtype == np.float64)

    @abc.abstractmethod
    def logdensity(self, x: Float[Array, "dim"], arguments: tuple[Any, ...]) -> Float[Array, ""]:
        """Return the log density at x; pure, to be traced within `scope()`."""

    @abc.abstractmethod
    def expand(self, x: Float[Array, "dim"], arguments: tuple[Any, ...]) -> Expanded:
        """Return all that the results hold for one draw: `posterior`, and where terms are observed
        `log_likelihood` and `log_prior` (the density of the declared parameters less the observed terms).
        """

    @abc.abstractmethod
    def unconstrained_by_name(self, x: Float[Array, "dim"]) -> dict[str, Any]:
        """Return the unconstrained coordinates of each parameter that is transformed; pure.

        Parameters on the whole real line are left out: their coordinates are their values.
        """

    @abc.abstractmethod
    def describe_failure(self, x: Any) -> str:
        """Say which term, line or parameter makes the log density or its gradient at x not finite."""

    @abc.abstractmethod
    def with_precision(self, precision: Precision) -> "Density":
        """The same density in another precision."""

    @property
    @abc.abstractmethod
    def function(self) -> Callable[..., Any]:
        """The user's function."""

    @functools.cached_property
    @abc.abstractmethod
    def parts(self) -> tuple[Part, ...]:
        """The parameters' shares of the flat vector, in order."""

    @functools.cached_property
    @abc.abstractmethod
    def equations(self) -> Jaxpr:
        """The log density as a function of one array per part, for checks and error messages: loops and branches are
        data, and every equation knows the user's line.
        """

    @abc.abstractmethod
    def operands(self, x: Any, arguments: tuple[Any, ...]) -> list[Any]:
        """What `equations` takes at unconstrained coordinates x; pure, to be traced within `scope()`."""

    def operands_at(self, x: Any) -> list[np.ndarray]:
        """What `equations` takes at unconstrained coordinates x."""
        return [np.asarray(value) for value in self._run("operands", self.operands, self._vector(x))]

    @contextlib.contextmanager
    def differentiating(self) -> Iterator[None]:
        """A context in which the density is differentiated: an error of JAX's there names the user's line."""
        try:
            yield
        except Exception as error:
            from gradmc.program.blame import differentiating

            with differentiating(lambda: self.equations, self.scope):
                raise error

    def summands(self) -> Iterator[Summand]:
        """The terms that the log density is the sum of, one by one; none where they cannot be told apart."""
        return iter(())

    def culprit(self, x: Any, *, backward: bool) -> "Culprit | None":
        """The operation that makes the log density (`backward`: only its gradient) at x not finite."""
        from gradmc.program.blame import culprit_at

        operands = self.operands_at(x)
        with self.scope():
            return culprit_at(self.equations, operands, backward=backward)

    @property
    @abc.abstractmethod
    def group_dims(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Names of the axes of every variable that `expand` returns, by group."""

    @property
    def coords(self) -> dict[str, list[Any]]:
        """Labels along the named axes."""
        return {} if self.bound is None else dict(self.bound.coords)

    @abc.abstractmethod
    def _constrain(self, x: Any, arguments: tuple[Any, ...]) -> dict[str, Any]: ...

    @abc.abstractmethod
    def _unconstrain(self, values: Mapping[str, Any], arguments: tuple[Any, ...]) -> Any: ...

    @abc.abstractmethod
    def _log_density(self, values: Mapping[str, Any], jacobian: bool, arguments: tuple[Any, ...]) -> Any: ...

    @abc.abstractmethod
    def _check(self, values: Any) -> str | None:
        """Check named values; return why they are outside the support, if they are known and are."""

    def __call__(self, x: Any) -> Any:
        """Return the log density of the unconstrained vector.

        Args:
            x: unconstrained coordinates, shape (dim,).

        Returns:
            A number: the log density with respect to x, up to the constant that the program leaves out.

        Raises:
            UsageError: x has another shape or is not numeric.
        """
        return self._run("value", self.logdensity, self._vector(x))

    def value_and_grad(self, x: Any) -> tuple[Any, Any]:
        """Return the log density and its gradient, shape (dim,), at unconstrained coordinates x.

        Raises:
            UsageError: x has another shape or is not numeric.
            ProgramError: JAX has no derivative of something in the program.
        """
        with self.differentiating():
            return self._run("gradient", jax.value_and_grad(self.logdensity), self._vector(x))

    def constrain(self, x: Any) -> dict[str, Any]:
        """Return the parameters by name, in their order, at unconstrained coordinates x, shape (dim,).

        Raises:
            UsageError: x has another shape or is not numeric.
        """
        values = self._run("constrain", self._constrain, self._vector(x))  # JAX sorts dictionaries
        return {part.name: values[part.name] for part in self.parts}

    def unconstrain(self, values: Mapping[str, Any]) -> Any:
        """Return unconstrained coordinates, shape (dim,), of named parameters.

        Args:
            values: a value for every parameter, or for every entry of an array (`theta[0]`, `theta[1]`, ...). Values
                that rounding has put outside their supports (a correlation matrix in single precision, probabilities
                that sum to 0.9999999) are moved into them.

        Raises:
            UsageError: a parameter is missing, unknown, of the wrong shape, outside its support, or on its boundary.
        """
        values = self._rounded(gathered(values, self.shapes))
        outside = self._check(values)
        if outside is not None:
            raise UsageError(outside)
        found = self._run("unconstrain", self._unconstrain, self._named(values))
        if not isinstance(found, Tracer):
            for part in self.parts:
                if not np.all(np.isfinite(np.asarray(found)[part.start : part.start + part.size])):
                    told = np.array2string(np.asarray(values[part.name]), precision=6, threshold=12, separator=", ")
                    raise UsageError(
                        f"{part.name} = {told} lies on the boundary of its support {part.support}, which no chain can "
                        "start from; move it inside"
                    )
        return found

    def _rounded(self, values: Any) -> Any:
        """Named values, of which those that rounding has put outside their supports are moved into them."""
        return values

    def placed(self, x: Any, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters by name at x, shape (dim,), but for some that have these values.

        The coordinates of the others stay, so that one whose support depends on a given value stays in its support.

        Raises:
            UsageError: a parameter is unknown or of the wrong shape.
        """
        x = np.array(x, self.dtype)
        for part in self.parts:
            if part.name in values:
                named = {**self.constrain(x), part.name: values[part.name]}
                self._check(named)
                given = self._run("unconstrain", self._unconstrain, self._named(named))
                share = slice(part.start, part.start + part.size)
                x[share] = np.asarray(given)[share]
        return {**self.constrain(x), **values}

    def log_density(self, values: Mapping[str, Any], *, jacobian: bool = False) -> Any:
        """Return the log density of named parameters.

        Args:
            values: a value for every parameter, or for every entry of an array (`theta[0]`, `theta[1]`, ...).
            jacobian: whether the density is that of the unconstrained coordinates (as `d(x)`) rather than
                that of the parameters as declared (as the program returns it).

        Returns:
            A number; -inf where a known value lies outside its support.

        Raises:
            UsageError: a parameter is missing, unknown, or of the wrong shape.
        """
        values = self._rounded(gathered(values, self.shapes))
        if self._check(values) is not None:
            return -np.inf
        with_jacobian = functools.partial(self._swapped, jacobian=bool(jacobian))
        return self._run(f"log_density {bool(jacobian)}", with_jacobian, self._named(values))

    def _swapped(self, values: Mapping[str, Any], arguments: tuple[Any, ...], *, jacobian: bool) -> Any:
        return self._log_density(values, jacobian, arguments)

    def _vector(self, x: Any) -> Any:
        if not isinstance(x, jax.Array):
            try:
                x = np.asarray(x, dtype=self.dtype)
            except (TypeError, ValueError):
                raise UsageError(f"expected a vector of {self.dim} numbers, got {type(x).__name__}") from None
        if np.shape(x) != (self.dim,):
            raise UsageError(f"expected a vector of shape ({self.dim},), got shape {np.shape(x)}")
        return x

    def _named(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: value if isinstance(value, jax.Array) else as_numbers(name, value, self.dtype)
            for name, value in values.items()
        }

    def _run(self, key: str, fn: Callable[[Any, tuple[Any, ...]], Any], given: Any) -> Any:
        """Apply `fn` in this density's precision and return what kind of values came."""
        leaves = jax.tree.leaves(given)
        with self.scope():
            cast = jax.tree.map(
                lambda leaf: leaf if leaf.dtype == self.dtype else leaf.astype(self.dtype),
                given,
            )
            if any(isinstance(leaf, Tracer) for leaf in leaves):
                result = fn(cast, self.arguments)
            else:
                result = self._compiled(key, fn)(cast, self.arguments)
            if not any(isinstance(leaf, jax.Array) for leaf in leaves):
                return jax.tree.map(lambda leaf: np.asarray(leaf)[()], jax.device_get(result))
            dtype = jnp.result_type(*leaves)
            floating = dtype if jnp.issubdtype(dtype, jnp.floating) else self.dtype
            return jax.tree.map(lambda leaf: leaf.astype(floating), result)

    @property
    def memory(self) -> Memo:
        """What was made for this density and can be used again, compiled code above all."""
        return self._memory

    @functools.cached_property
    def _memory(self) -> Memo:
        return Memo()

    @functools.cached_property
    def _jitted(self) -> dict[str, Callable[..., Any]]:
        return {}

    def _compiled(self, key: str, fn: Callable[..., Any]) -> Callable[..., Any]:
        if key not in self._jitted:
            self._jitted[key] = jax.jit(fn)
        return self._jitted[key]


def described(value: Any) -> str:
    """A datum in a few words."""
    if isinstance(value, np.ndarray):
        return f"{' x '.join(map(str, value.shape))} array of {value.dtype}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def dtype_of(precision: Precision) -> np.dtype:
    """Return the numpy dtype of a precision.

    Raises:
        UsageError: it is neither "float64" nor "float32".
    """
    if precision not in ("float64", "float32"):
        raise UsageError(f'precision must be "float64" or "float32", got {precision!r}')
    return np.dtype(precision)
