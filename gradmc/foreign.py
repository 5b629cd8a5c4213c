"""Densities that do not come from a gradmc program: a JAX function, or a numpyro model."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gradmc.density import Density, Expanded, Precision, dtype_of
from gradmc.errors import GradmcError, ProgramError, SourceLocation, UsageError
from gradmc.program.dims import RESERVED
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
            self._shapes = tuple(np.shape(leaf) for _, leaf in leaves)
            self._structure = jax.tree.structure(example_position)
            self.dim = int(flat.size)
            self.names = tuple(
                name
                for label, shape in zip(self._labels, self._shapes, strict=True)
                for name in entry_names(label, shape)
            )
            with _explaining(fn):
                result = jax.eval_shape(fn, position)
            self._check_result(result)

    def _check_result(self, result: Any) -> None:
        if np.shape(result) != () or jax.tree.structure(result) != jax.tree.structure(0):
            raise ProgramError(
                f"the log density returned {jax.tree.map(np.shape, result)!r}, expected one number",
                remedy="Sum the terms before returning.",
            )

    def logdensity(self, x: Any, arguments: tuple[Any, ...]) -> Any:
        """Return the log density at x; pure, to be traced within `scope()`."""
        return jnp.asarray(self._fn(self._unravel(x)), self.dtype)

    def expand(self, x: Any, arguments: tuple[Any, ...]) -> Expanded:
        """Return the position, and what the function marked."""
        with collecting() as marks:
            value = self.logdensity(x, arguments)
        observed = {name: _stacked(entries) for name, entries in marks.observe.items()}
        recorded = {name: _stacked(entries) for name, entries in marks.record.items()}
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
        return {
            group: {n: _default_dims(n, leaf.shape) for n, leaf in found.items()}
            for group, found in shapes.items()
        }

    def _constrain(self, x: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
        return dict(zip(self._labels, jax.tree.leaves(self._unravel(x)), strict=True))

    def _unconstrain(self, values: Mapping[str, Any], arguments: tuple[Any, ...]) -> Any:
        return jnp.concatenate([jnp.ravel(values[label]) for label in self._labels])

    def _log_density(self, values: Mapping[str, Any], jacobian: bool, arguments: tuple[Any, ...]) -> Any:
        return self.logdensity(self._unconstrain(values, arguments), arguments)

    def _check(self, values: Any) -> str | None:
        _check_values(values, dict(zip(self._labels, self._shapes, strict=True)))
        return None

    def describe_failure(self, x: Any) -> str:
        """Say which coordinates make the log density or its gradient at x not finite."""
        return _describe(self, x)


class NumpyroDensity(Density):
    """The log density of a numpyro model on numpyro's own unconstrained space."""

    def __init__(
        self,
        model: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        dtype: np.dtype,
    ) -> None:
        from numpyro import handlers
        from numpyro.infer.util import unconstrain_fn

        self.dtype = dtype
        self.arguments = ()
        self._model, self._args, self._kwargs = model, args, dict(kwargs)
        with self.scope():
            seeded = handlers.seed(model, jax.random.key(0))
            with _explaining(model):
                sites = handlers.trace(seeded).get_trace(*args, **self._kwargs)
            self._latent = tuple(name for name, site in sites.items() if _is_latent(name, site))
            if not self._latent:
                raise UsageError(
                    "the numpyro model has no latent continuous sample site, so there is nothing to infer"
                )
            prototype = {name: sites[name]["value"] for name in self._latent}
            unconstrained = unconstrain_fn(model, args, self._kwargs, prototype)
            unconstrained = {name: jnp.asarray(unconstrained[name], dtype) for name in self._latent}
            flat, self._unravel = ravel_pytree([unconstrained[name] for name in self._latent])
        self._shapes = {name: np.shape(value) for name, value in prototype.items()}
        self._deterministic = tuple(name for name, site in sites.items() if site["type"] == "deterministic")
        self._observed = tuple(n for n, s in sites.items() if s["type"] == "sample" and s["is_observed"])
        self._plates = {
            frame.name: frame.size
            for site in sites.values()
            if site["type"] == "sample"
            for frame in site["cond_indep_stack"]
        }
        self._frames = {
            name: {
                len(np.shape(site["value"])) - site["fn"].event_dim + frame.dim: frame.name
                for frame in site["cond_indep_stack"]
            }
            for name, site in sites.items()
            if site["type"] == "sample"
        }
        self.dim = int(flat.size)
        self.names = tuple(
            entry for name in self._latent for entry in entry_names(name, np.shape(unconstrained[name]))
        )

    def _by_name(self, x: Any) -> dict[str, Any]:
        return dict(zip(self._latent, self._unravel(x), strict=True))

    def logdensity(self, x: Any, arguments: tuple[Any, ...]) -> Any:
        """Return the log density at x; pure, to be traced within `scope()`."""
        from numpyro.infer.util import potential_energy

        energy = potential_energy(self._model, self._args, self._kwargs, self._by_name(x))
        return jnp.asarray(-energy, self.dtype)

    def expand(self, x: Any, arguments: tuple[Any, ...]) -> Expanded:
        """Return sample and deterministic sites, and the log density of every observed site."""
        from numpyro import handlers

        everything = self._all_sites(x)
        values = {name: everything[name] for name in self._latent}
        seeded = handlers.seed(handlers.substitute(self._model, data=values), jax.random.key(0))
        sites = handlers.trace(seeded).get_trace(*self._args, **self._kwargs)
        derived = {name: jnp.asarray(everything[name]) for name in self._deterministic}
        groups: Expanded = {"posterior": {**values, **derived}}
        if self._observed:
            prior = sum(jnp.sum(_site_log_prob(sites[name])) for name in self._latent)
            groups["log_likelihood"] = {name: _site_log_prob(sites[name]) for name in self._observed}
            groups["log_prior"] = {"log_prior": jnp.asarray(prior)}
        return groups

    def _all_sites(self, x: Any) -> dict[str, Any]:
        from numpyro.infer.util import constrain_fn

        return constrain_fn(
            self._model,
            self._args,
            self._kwargs,
            self._by_name(x),
            return_deterministic=True,
        )

    @property
    def group_dims(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Names of the axes: plates, and ArviZ's defaults elsewhere."""
        with self.scope():
            shapes = jax.eval_shape(self.expand, jax.ShapeDtypeStruct((self.dim,), self.dtype), ())
        return {
            group: {n: self._axes(n, leaf.shape) for n, leaf in found.items()}
            for group, found in shapes.items()
        }

    def _axes(self, name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
        frames = self._frames.get(name, {})
        defaults = _default_dims(name, shape)
        return tuple(
            frames[axis] if axis in frames and self._plates[frames[axis]] == length else default
            for axis, (length, default) in enumerate(zip(shape, defaults, strict=True))
        )

    @property
    def coords(self) -> dict[str, list[Any]]:
        """Labels along the plates: 0, 1, ..."""
        return {name: list(range(size)) for name, size in self._plates.items()}

    def _constrain(self, x: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
        from numpyro.infer.util import constrain_fn

        return constrain_fn(self._model, self._args, self._kwargs, self._by_name(x))

    def _unconstrain(self, values: Mapping[str, Any], arguments: tuple[Any, ...]) -> Any:
        from numpyro.infer.util import unconstrain_fn

        found = unconstrain_fn(self._model, self._args, self._kwargs, dict(values))
        return jnp.concatenate([jnp.ravel(found[name]) for name in self._latent])

    def _log_density(self, values: Mapping[str, Any], jacobian: bool, arguments: tuple[Any, ...]) -> Any:
        from numpyro.infer.util import log_density

        if jacobian:
            return self.logdensity(self._unconstrain(values, arguments), arguments)
        return log_density(self._model, self._args, self._kwargs, dict(values))[0]

    def _check(self, values: Any) -> str | None:
        _check_values(values, self._shapes)
        return None

    def describe_failure(self, x: Any) -> str:
        """Say which site or coordinate makes the log density or its gradient at x not finite."""
        return _describe(self, x)


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


def from_numpyro(
    model: Callable[..., Any],
    *args: Any,
    precision: Precision = "float64",
    **kwargs: Any,
) -> NumpyroDensity:
    """Return the density of a numpyro model.

    Latent sites become parameters in numpyro's own unconstrained coordinates, deterministic sites are
    recorded, and observed sites give the group `log_likelihood`.

    Args:
        model: a function with numpyro primitives, all of whose latent sites are continuous.
        *args: its positional arguments.
        precision: "float64" or "float32".
        **kwargs: its keyword arguments.

    Raises:
        UsageError: `model` is not callable, or has no latent site, or a discrete one.
    """
    if not callable(model):
        raise UsageError(f"from_numpyro expects a model function first, got {type(model).__name__}")
    return NumpyroDensity(model, args, kwargs, dtype_of(precision))


@contextmanager
def _explaining(fn: Callable[..., Any]) -> Iterator[None]:
    """Turn what a foreign function raises into an error that shows its own file and line."""
    try:
        yield
    except GradmcError:
        raise
    except Exception as error:
        file = getattr(getattr(fn, "__code__", None), "co_filename", None)
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
        last = frames[-1] if frames else None
        where = SourceLocation(last.filename, last.lineno or 0, last.line or "", last.name) if last else None
        raise ProgramError(f"{type(error).__name__}: {error}", location=where) from error


def _is_latent(name: str, site: Mapping[str, Any]) -> bool:
    if site["type"] != "sample" or site["is_observed"]:
        return False
    if name in RESERVED:
        raise UsageError(f"the site name {name!r} is reserved by ArviZ for its own dimensions; rename it")
    if site["fn"].support.is_discrete:
        raise UsageError(
            f"the latent site {name!r} is discrete; sum it out of the model, Hamiltonian samplers need "
            "continuous parameters"
        )
    return True


def _site_log_prob(site: Mapping[str, Any]) -> Any:
    terms = site["fn"].log_prob(site["value"])
    return terms if site["scale"] is None else site["scale"] * terms


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
    return (
        jnp.asarray(entries[0]) if len(entries) == 1 else jnp.stack([jnp.asarray(entry) for entry in entries])
    )


def _default_dims(name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(f"{name}_dim_{axis}" for axis in range(len(shape)))


def _check_values(values: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    if not isinstance(values, Mapping) or set(values) != set(shapes):
        came = sorted(values) if isinstance(values, Mapping) else type(values).__name__
        raise UsageError(f"expected a dictionary with the entries {sorted(shapes)}, got {came}")
    for name, shape in shapes.items():
        if np.shape(values[name]) != shape:
            raise UsageError(f"{name}: expected shape {shape}, got {np.shape(values[name])}")


def _describe(density: Density, x: Any) -> str:
    """Say what is not finite: the value with the marked terms, or components of the gradient."""
    x = np.asarray(x, dtype=density.dtype)
    value, gradient = density.value_and_grad(x)
    with density.scope():
        groups = jax.device_get(jax.jit(density.expand)(x, density.arguments))
    at = "at\n" + "\n".join(f"    {name} = {v}" for name, v in groups["posterior"].items())
    if np.isfinite(value):
        bad = [name for name, g in zip(density.names, gradient, strict=True) if not np.isfinite(g)]
        which = (
            f"but its gradient with respect to {', '.join(bad)} is not finite"
            if bad
            else "with a finite gradient"
        )
        return f"the log density is {float(value):.6g}, {which} {at}"
    for group in ("log_likelihood", "log_prior"):
        for name, terms in groups.get(group, {}).items():
            wrong = np.argwhere(~np.isfinite(terms))
            if len(wrong):
                where = f"[{', '.join(map(str, wrong[0]))}]" if wrong[0].size else ""
                term = np.asarray(terms)[tuple(wrong[0])]
                return f"the log density is {float(value)}: {name}{where} is {term} {at}"
    return f"the log density is {float(value)} {at}"
