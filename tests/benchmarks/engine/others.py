"""Other samplers on the log density of gradmc: positions, shape (chains, draws, dim), and gradients, warmup included.

Default settings; starts from uniform(-2, 2).  NumPyro's search for a first step size is not counted.  nutpie is no
dependency of the project: `uv run --with nutpie python -m tests.benchmarks.engine ess` has it.
"""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

import jax
import numpy as np

type Run = Callable[[Any, int], tuple[np.ndarray, float]]

CHAINS, WARMUP, DRAWS = 4, 500, 1000


def numpyro_nuts(target: Any, seed: int) -> tuple[np.ndarray, float]:
    """NumPyro's NUTS, chain after chain."""
    with jax.enable_x64(True):
        sampler = numpyro_sampler(target)
        points = np.random.default_rng(seed).uniform(-2, 2, (CHAINS, target.dim))
        key = jax.random.PRNGKey(seed)
        counted = {"extra_fields": ("num_steps",)}
        sampler.warmup(key, init_params=jax.numpy.asarray(points), collect_warmup=True, **counted)
        gradients = float(sampler.get_extra_fields()["num_steps"].sum())
        sampler.run(sampler.post_warmup_state.rng_key, **counted)
        gradients += float(sampler.get_extra_fields()["num_steps"].sum())
        return np.asarray(sampler.get_samples(group_by_chain=True)), gradients


@cache
def numpyro_sampler(target: Any) -> Any:
    """One sampler for all seeds, so that it compiles once."""
    from numpyro.infer import MCMC, NUTS

    return MCMC(
        NUTS(potential_fn=lambda x: -target(x)),
        num_warmup=WARMUP,
        num_samples=DRAWS,
        num_chains=CHAINS,
        chain_method="sequential",
        progress_bar=False,
    )


def nutpie(adaptation: str) -> Run:
    """nutpie with `adaptation`, "diag" or "low_rank"."""

    def sample(target: Any, seed: int) -> tuple[np.ndarray, float]:
        import nutpie
        from nutpie.compiled_pyfunc import from_pyfunc

        calls = [0]
        with jax.enable_x64(True):
            compiled = nutpie_gradient(target)

        def value_and_grad(x: np.ndarray) -> tuple[float, np.ndarray]:
            calls[0] += 1
            with jax.enable_x64(True):  # in the thread of the sampler
                value, gradient = compiled(x)
            return float(value), np.asarray(gradient)

        model = from_pyfunc(
            target.dim,
            lambda: value_and_grad,
            lambda *_: lambda x: {"x": x},
            [np.dtype(np.float64)],
            [(target.dim,)],
            ["x"],
            make_initial_point_fn=lambda drawn: np.random.default_rng((seed, drawn)).uniform(-2, 2, target.dim),
        )
        settings = {"draws": DRAWS, "tune": WARMUP, "chains": CHAINS, "cores": 1, "seed": seed, "progress_bar": False}
        tree = nutpie.sample(model, adaptation=adaptation, **settings)
        return np.asarray(tree["posterior"]["x"]), float(calls[0])

    return sample


@cache
def nutpie_gradient(target: Any) -> Any:
    """Value and gradient of `target`, compiled for float64 vectors."""
    point = jax.ShapeDtypeStruct((target.dim,), np.float64)
    return jax.jit(jax.value_and_grad(target)).lower(point).compile()


OTHERS: dict[str, Run] = {"NumPyro": numpyro_nuts}
if find_spec("nutpie"):
    OTHERS |= {"nutpie diagonal": nutpie("diag"), "nutpie low rank": nutpie("low_rank")}
