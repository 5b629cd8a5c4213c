"""Arguments as they are called in Stan, NumPyro, PyMC and BlackJAX, so that one is answered with the name from here."""

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gradmc.errors import UsageError

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "draws": (
        "num_samples",
        "iter_sampling",
        "iter",
        "n_iter",
        "n_draws",
        "num_draws",
        "ndraws",
        "samples",
        "n_samples",
    ),
    "warmup": ("num_warmup", "iter_warmup", "tune", "n_tune", "burn", "burnin", "burn_in", "n_warmup", "num_burnin"),
    "chains": ("num_chains", "n_chains", "nchains"),
    "target_accept": ("adapt_delta", "target_accept_prob", "target_acceptance_rate", "delta", "accept_target"),
    "max_tree_depth": ("max_treedepth", "max_num_doublings", "max_depth"),
    "seed": ("random_seed", "rng_key", "rng", "random_state", "key", "prng_key"),
    "initial": ("init", "inits", "initvals", "init_params", "initial_values", "initial_position", "start_values"),
    "start": ("init_strategy", "jitter"),
    "cores": ("parallel_chains", "mp_cores", "num_cores", "n_jobs", "threads", "num_threads", "chain_method"),
    "metric": ("dense_mass", "inv_metric", "mass_matrix", "inverse_mass_matrix", "scaling"),
    "step_size": ("stepsize", "epsilon"),
    "integration_time": ("trajectory_length", "path_length", "num_steps"),
    "progress": ("progressbar", "progress_bar", "show_progress", "show_console", "refresh", "verbose"),
    "kernel": ("step", "sampler", "algorithm", "nuts_sampler"),
    "keep_warmup": ("save_warmup", "discard_tuned_samples", "collect_warmup"),
    "thin": ("thinning",),
    "output": ("output_dir", "sample_file"),
    "restarts": ("n_restarts", "num_restarts"),
}
"""Our name of an argument -> names elsewhere; what they mean may differ (a count with or without warmup, say)."""


def meant(name: str, known: Iterable[str]) -> str:
    """The one of our names that somebody may mean who writes `name`, or an empty string."""
    known = list(known)
    plain = name.lower().replace("-", "_")
    for ours, theirs in ARGUMENTS.items():
        if plain in theirs and ours in known:
            return ours
    close = difflib.get_close_matches(plain, known, n=1, cutoff=0.6)
    return close[0] if close else ""


def explaining[F: Callable[..., Any]](function: F) -> F:
    """A function that answers an argument it does not have with the one that is meant.

    Data given as arguments of their own are answered with the dictionary that they belong in.

    Raises:
        UsageError: an argument has no such name.
    """
    signature = inspect.signature(function)
    keywords = {name for name, p in signature.parameters.items() if p.kind is not inspect.Parameter.POSITIONAL_ONLY}

    @functools.wraps(function)
    def explained(*args: Any, **kwargs: Any) -> Any:
        if not keywords.issuperset(kwargs):
            _refuse(function.__name__, keywords, args, kwargs)
        return function(*args, **kwargs)

    return explained  # pyright: ignore[reportReturnType]


def _refuse(function: str, keywords: set[str], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Say what is wrong with the names of arguments."""
    unknown = [name for name in kwargs if name not in keywords]
    model = args[0] if args else kwargs.get("model")
    fields = {field.name for field in getattr(model, "data", ())}
    data = [name for name in unknown if name in fields]
    if data and "data" in keywords:
        inside = ", ".join(f'"{name}": ...' for name in data)
        raise UsageError(f"{', '.join(data)}: data come as one dictionary: gm.{function}(model, {{{inside}}})")
    hints = [
        f"{name!r}; did you mean {ours}?" if (ours := meant(name, keywords)) else f"{name!r}; {_listed(keywords)}"
        for name in unknown
    ]
    raise UsageError("\n  ".join(f"gm.{function} has no argument {hint}" for hint in hints))


def _listed(keywords: set[str]) -> str:
    return f"its arguments are {', '.join(sorted(keywords))}"
