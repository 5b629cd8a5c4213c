"""A log density given as a numpyro model, on numpyro's own unconstrained space."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.core import Jaxpr
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from gradmc._numpyro import distributions, load
from gradmc.density import Density, Expanded, Part, Precision, Summand, dtype_of
from gradmc.errors import UsageError
from gradmc.foreign.common import check_names, check_values, default_dims, describe, explaining
from gradmc.program.layout import entry_names


class NumpyroDensity(Density):
    """The log density of a numpyro model on numpyro's own unconstrained space."""

    def __init__(
        self,
        model: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        dtype: np.dtype,
    ) -> None:
        self.dtype = dtype
        self.arguments = ()
        self._model, self._args, self._kwargs = model, args, dict(kwargs)
        with self.scope():
            with explaining(model):
                sites = _sites(model, args, self._kwargs)
            self._latent = tuple(name for name, site in sites.items() if _is_latent(name, site))
            if not self._latent:
                raise UsageError("the numpyro model has no latent continuous sample site, so there is nothing to infer")
            prototype = {name: sites[name]["value"] for name in self._latent}
            with explaining(model):  # once more, but without a random key
                unconstrained = load().infer.util.unconstrain_fn(model, args, self._kwargs, prototype)
            unconstrained = {name: jnp.asarray(unconstrained[name], dtype) for name in self._latent}
            flat, self._unravel = ravel_pytree([unconstrained[name] for name in self._latent])
        self._transformed = {name for name in self._latent if not _is_unbounded(sites[name]["fn"].support)}
        self._supports = {name: _support_name(sites[name]["fn"].support) for name in self._latent}
        self._unconstrained_shapes = tuple(np.shape(unconstrained[name]) for name in self._latent)
        self._shapes = {name: np.shape(value) for name, value in prototype.items()}
        self._deterministic = tuple(name for name, site in sites.items() if site["type"] == "deterministic")
        self._observed = tuple(n for n, s in sites.items() if s["type"] == "sample" and s["is_observed"])
        rename = 'rename it; numpyro.handlers.scope joins names by divider="." as well'
        check_names([*self._latent, *self._deterministic, *self._observed], "site", rename)
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
        self.names = tuple(entry for name in self._latent for entry in entry_names(name, np.shape(unconstrained[name])))

    def __getstate__(self) -> tuple[Callable[..., Any], tuple[Any, ...], Mapping[str, Any], np.dtype]:
        return self._model, self._args, self._kwargs, self.dtype

    def __setstate__(self, state: tuple[Callable[..., Any], tuple[Any, ...], Mapping[str, Any], np.dtype]) -> None:
        NumpyroDensity.__init__(self, *state)

    def _by_name(self, x: Any) -> dict[str, Any]:
        return dict(zip(self._latent, self._unravel(x), strict=True))

    def logdensity(self, x: Float[Array, "dim"], arguments: tuple[Any, ...]) -> Float[Array, ""]:
        """Return the log density at x; pure, to be traced within `scope()`."""
        energy = load().infer.util.potential_energy(self._model, self._args, self._kwargs, self._by_name(x))
        return jnp.asarray(-energy, self.dtype)

    def expand(self, x: Float[Array, "dim"], arguments: tuple[Any, ...]) -> Expanded:
        """Return sample and deterministic sites, and the log density of every observed site."""
        everything = self._all_sites(x)
        values = {name: everything[name] for name in self._latent}
        seeded = load().handlers.seed(load().handlers.substitute(self._model, data=values), jax.random.key(0))
        sites = load().handlers.trace(seeded).get_trace(*self._args, **self._kwargs)
        derived = {name: jnp.asarray(everything[name]) for name in self._deterministic}
        groups: Expanded = {"posterior": {**values, **derived}}
        if self._observed:
            prior = sum(jnp.sum(_site_log_prob(sites[name])) for name in self._latent)
            groups["log_likelihood"] = {name: _site_log_prob(sites[name]) for name in self._observed}
            groups["log_prior"] = {"log_prior": jnp.asarray(prior)}
        return groups

    def unconstrained_by_name(self, x: Float[Array, "dim"]) -> dict[str, Any]:
        """Return the unconstrained coordinates of each site whose support is not the whole space; pure."""
        return {name: part for name, part in self._by_name(x).items() if name in self._transformed}

    def _all_sites(self, x: Any) -> dict[str, Any]:
        return load().infer.util.constrain_fn(
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
        return {group: {n: self._axes(n, leaf.shape) for n, leaf in found.items()} for group, found in shapes.items()}

    def _axes(self, name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
        frames = self._frames.get(name, {})
        defaults = default_dims(name, shape)
        return tuple(
            frames[axis] if axis in frames and self._plates[frames[axis]] == length else default
            for axis, (length, default) in enumerate(zip(shape, defaults, strict=True))
        )

    @property
    def coords(self) -> dict[str, list[Any]]:
        """Labels along the plates: 0, 1, ..."""
        return {name: list(range(size)) for name, size in self._plates.items()}

    def _constrain(self, x: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
        return load().infer.util.constrain_fn(self._model, self._args, self._kwargs, self._by_name(x))

    def _unconstrain(self, values: Mapping[str, Any], arguments: tuple[Any, ...]) -> Any:
        found = load().infer.util.unconstrain_fn(self._model, self._args, self._kwargs, dict(values))
        return jnp.concatenate([jnp.ravel(found[name]) for name in self._latent])

    def _log_density(self, values: Mapping[str, Any], jacobian: bool, arguments: tuple[Any, ...]) -> Any:
        if jacobian:
            return self.logdensity(self._unconstrain(values, arguments), arguments)
        return load().infer.util.log_density(self._model, self._args, self._kwargs, dict(values))[0]

    def _check(self, values: Any) -> str | None:
        check_values(values, self._shapes)
        return None

    def with_precision(self, precision: Precision) -> "NumpyroDensity":
        """The same density in another precision."""
        return NumpyroDensity(self._model, self._args, self._kwargs, dtype_of(precision))

    @property
    def function(self) -> Callable[..., Any]:
        """The user's model."""
        return self._model

    @functools.cached_property
    def parts(self) -> tuple[Part, ...]:
        """The latent sites, in order."""
        sizes = [math.prod(shape) for shape in self._unconstrained_shapes]
        starts = np.cumsum([0, *sizes])
        return tuple(
            Part(name, int(start), size, self._shapes[name], self._supports[name])
            for name, start, size in zip(self._latent, starts, sizes, strict=False)
        )

    @functools.cached_property
    def equations(self) -> Jaxpr:
        """The log density as a jaxpr, a function of the sites' unconstrained coordinates; scopes name the sites."""
        with self.scope():
            return jax.make_jaxpr(self._of_sites((*self._latent, *self._observed)))(*self._zeros())

    def summands(self) -> Iterator[Summand]:
        """The terms of the density, by site."""
        for name in (*self._latent, *self._observed):
            with self.scope():
                yield Summand(name, None, None, jax.make_jaxpr(self._of_sites((name,)))(*self._zeros()))

    def _zeros(self) -> list[Any]:
        return [jnp.zeros(shape, self.dtype) for shape in self._unconstrained_shapes]

    def _of_sites(self, names: tuple[str, ...]) -> Callable[..., Any]:
        """Some sites' part of the log density, a function of the unconstrained coordinates of each latent site."""
        return lambda *parts: self._sum_of_sites(names, parts)

    def _sum_of_sites(self, names: tuple[str, ...], parts: tuple[Any, ...]) -> Any:
        by_name = dict(zip(self._latent, parts, strict=True))
        values = load().infer.util.constrain_fn(self._model, self._args, self._kwargs, by_name)
        seeded = load().handlers.seed(load().handlers.substitute(self._model, data=values), jax.random.key(0))
        sites = load().handlers.trace(seeded).get_trace(*self._args, **self._kwargs)
        total = jnp.zeros((), self.dtype)
        for name in names:
            with jax.named_scope(name):
                total += jnp.sum(_site_log_prob(sites[name]))
                if name in self._transformed:
                    transform = distributions().biject_to(sites[name]["fn"].support)
                    total += jnp.sum(transform.log_abs_det_jacobian(by_name[name], values[name]))
        return total

    def operands(self, x: Any, arguments: tuple[Any, ...]) -> list[Any]:
        """The unconstrained coordinates of each site."""
        return list(self._unravel(x))

    def describe_failure(self, x: Any) -> str:
        """Say which site or coordinate makes the log density or its gradient at x not finite."""
        return describe(self, x)


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


def _sites(model: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The sites of the model at some point; improper priors cannot be drawn from, but have a starting point."""
    handlers = load().handlers
    started = handlers.substitute(handlers.seed(model, jax.random.key(0)), substitute_fn=load().infer.init_to_uniform)
    return handlers.trace(started).get_trace(*args, **kwargs)


def _is_latent(name: str, site: Mapping[str, Any]) -> bool:
    if site["type"] != "sample" or site["is_observed"]:
        return False
    if site["fn"].support.is_discrete:
        raise UsageError(
            f"the latent site {name!r} is discrete; sum it out of the model, Hamiltonian samplers need "
            "continuous parameters"
        )
    return True


def _is_unbounded(support: Any) -> bool:
    return _support_name(support) == "Real"


def _support_name(support: Any) -> str:
    """gradmc's word for a constraint where it has one, else numpyro's."""
    constraints = distributions().constraints
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    if support is constraints.real:
        return "Real"
    return "Positive" if support is constraints.positive else type(support).__name__.strip("_")


def _site_log_prob(site: Mapping[str, Any]) -> Any:
    terms = site["fn"].log_prob(site["value"])
    return terms if site["scale"] is None else site["scale"] * terms
