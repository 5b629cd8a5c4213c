"""Smallest bulk effective sample size over the parameters per gradient, warmup included, against NumPyro's NUTS.

Both sample the same density, gradmc's `d(x)`: 4 chains x (500 + 1000), default settings otherwise, gradmc from the
starting points that it finds, whose gradients count, NumPyro from uniform(-2, 2).  NumPyro's search for a first step
size is not counted.  Medians over seeds.
"""

import statistics

import jax
import numpy as np

import gradmc as gm
from tests.benchmarks.engine.targets import prepared, run
from tests.posteriordb.reference import COLLECTION, POSTERIORS

FOLDERS = (
    "eight_schools-eight_schools_noncentered",
    "arK-arK",
    "garch-garch11",
    "rats_data-rats_model",
    "diamonds-diamonds",
)
SEEDS = range(5)
SIZES = {"chains": 4, "warmup": 500, "draws": 1000}


def smallest_ess(positions: np.ndarray) -> float:
    """The smallest bulk ESS of unconstrained coordinates, shape (chains, draws, dim)."""
    import arviz_stats
    from arviz_base import from_dict

    return float(arviz_stats.ess(from_dict({"posterior": {"x": positions}})).x.min())


def ours(target: object, seed: int) -> float:
    """ESS per gradient of gradmc."""
    flat = gm.from_logdensity(target, np.zeros(target.dim))
    _, gradients, store = run(prepared(flat, seed=seed, **SIZES))
    group = store.to_datatree()["posterior"]
    columns = [np.asarray(v).reshape(*v.shape[:2], -1) for v in group.data_vars.values()]
    return smallest_ess(np.concatenate(columns, axis=2)) / gradients


def theirs(target: object, seed: int) -> float:
    """ESS per gradient of NumPyro."""
    from numpyro.infer import MCMC, NUTS

    with jax.enable_x64(True):
        sampler = MCMC(
            NUTS(potential_fn=lambda x: -target(x)),
            num_warmup=SIZES["warmup"],
            num_samples=SIZES["draws"],
            num_chains=SIZES["chains"],
            chain_method="sequential",
            progress_bar=False,
        )
        starts = jax.random.uniform(jax.random.PRNGKey(seed + 100), (SIZES["chains"], target.dim), minval=-2, maxval=2)
        sampler.warmup(jax.random.PRNGKey(seed), init_params=starts, collect_warmup=True, extra_fields=("num_steps",))
        gradients = float(sampler.get_extra_fields()["num_steps"].sum())
        sampler.run(sampler.post_warmup_state.rng_key, extra_fields=("num_steps",))
        gradients += float(sampler.get_extra_fields()["num_steps"].sum())
        return smallest_ess(np.asarray(sampler.get_samples(group_by_chain=True))) / gradients


def main() -> None:
    """Print the table."""
    if not COLLECTION.exists():
        print("skipped: the reference posteriors are not present beside the project")
        return
    print(f"{'posterior':44}{'gradmc':>10}{'NumPyro':>10}{'ratio':>8}")
    ratios = []
    for folder in FOLDERS:
        posterior = next(p for p in POSTERIORS if p.folder == folder)
        target = gm.density(posterior.model, posterior.data())
        mine = statistics.median(ours(target, seed) for seed in SEEDS)
        other = statistics.median(theirs(target, seed) for seed in SEEDS)
        ratios.append(mine / other)
        print(f"{folder:44}{mine:10.5f}{other:10.5f}{mine / other:8.2f}", flush=True)
    print(f"{'geometric mean':64}{float(np.exp(np.mean(np.log(ratios)))):8.2f}")
