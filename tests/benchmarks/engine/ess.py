"""Smallest bulk effective sample size per gradient, start and warmup included, against NumPyro and nutpie.

All sample the same density of a flat vector, gradmc's `d(x)`, on every reference posterior: 4 chains x (500 + 1000),
default settings otherwise; medians over seeds.  The smallest is over the unconstrained coordinates.  What was measured
is kept line by line in the file that GRADMC_ESS names, and not measured again.
"""

import json
import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import gradmc as gm
from tests.benchmarks.engine.others import CHAINS, DRAWS, OTHERS, WARMUP
from tests.benchmarks.engine.targets import prepared, run
from tests.posteriordb.reference import COLLECTION, POSTERIORS

SEEDS = range(5)
type Record = dict[tuple[str, str, int], dict[str, float]]


def smallest_ess(positions: np.ndarray) -> float:
    """The smallest bulk ESS of unconstrained coordinates, shape (chains, draws, dim)."""
    import arviz_stats
    from arviz_base import from_dict

    return float(arviz_stats.ess(from_dict({"posterior": {"x": positions}})).x.min())


def ours(target: Any, seed: int) -> tuple[np.ndarray, float]:
    """Positions and gradients of gradmc."""
    flat = gm.from_logdensity(target, np.zeros(target.dim))
    _, gradients, store = run(prepared(flat, seed=seed, chains=CHAINS, warmup=WARMUP, draws=DRAWS))
    group = store.to_datatree()["posterior"]
    return np.concatenate(
        [np.asarray(v).reshape(*v.shape[:2], -1) for v in group.data_vars.values()], axis=2
    ), gradients


ENGINES = {"gradmc": ours, **OTHERS}


def measured(record: Path | None) -> Iterator[Record]:
    """Everything measured so far, after each measurement; seed after seed, so that an early look is a fair one."""
    known: Record = {}
    if record is not None and record.exists():
        known = {(r["posterior"], r["engine"], r["seed"]): r for r in map(json.loads, record.read_text().splitlines())}
    densities = {p.id: gm.density(p.model, p.data()) for p in POSTERIORS}
    for seed in SEEDS:
        for posterior, target in densities.items():
            for engine, sample in ENGINES.items():
                if (posterior, engine, seed) not in known:
                    positions, gradients = sample(target, seed)
                    row = {"ess": smallest_ess(positions), "gradients": gradients}
                    known[posterior, engine, seed] = row
                    if record is not None:
                        with record.open("a") as file:
                            file.write(
                                json.dumps({"posterior": posterior, "engine": engine, "seed": seed, **row}) + "\n"
                            )
                yield known


def rate(known: Record, posterior: str, engine: str) -> float:
    """Median over seeds of ESS per thousand gradients."""
    rows = [row for (p, e, _), row in known.items() if (p, e) == (posterior, engine)]
    return statistics.median(1000 * row["ess"] / row["gradients"] for row in rows) if rows else float("nan")


def show(known: Record) -> None:
    """Print the table: rates, then how many times those of the others gradmc's is."""
    rivals = [engine for engine in ENGINES if engine != "gradmc"]
    print(
        "| posterior | "
        + " | ".join(f"{e}: ESS per 1,000 gradients" for e in ENGINES)
        + " | against NumPyro | nutpie |"
    )
    print("|---|" + "---|" * (len(ENGINES) + 2))
    ratios = {"NumPyro": [], "nutpie": []}
    for posterior in dict.fromkeys(p for p, _, _ in known):
        rates = {engine: rate(known, posterior, engine) for engine in ENGINES}
        best = np.nanmax([rates[engine] for engine in rivals if engine != "NumPyro"] or [np.nan])
        against = {"NumPyro": rates["gradmc"] / rates["NumPyro"], "nutpie": rates["gradmc"] / best}
        for name, value in against.items():
            ratios[name].append(value)
        print(f"| {posterior} | " + " | ".join(f"{r:.3g}" for r in [*rates.values(), *against.values()]) + " |")
    for name, values in ratios.items():
        found = np.asarray(values)[np.isfinite(values)]
        if found.size:
            print(f"against {name}: geometric mean {np.exp(np.log(found).mean()):.2f}, smallest {found.min():.2f}")


def main() -> None:
    """Measure what is not known yet, and print the table."""
    if not COLLECTION.exists():
        print("skipped: the reference posteriors are not present beside the project")
        return
    named = os.environ.get("GRADMC_ESS")
    *_, known = measured(Path(named) if named else None)
    show(known)
