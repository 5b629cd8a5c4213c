"""`gradmc predict`: posterior predictive draws, stored beside the posterior."""

import sys
from pathlib import Path

from gradmc.cli.options import Common
from gradmc.cli.output import emit
from gradmc.cli.problem import build_problem, check_identity
from gradmc.cli.reporting import open_stored
from gradmc.config import Config
from gradmc.config.places import found
from gradmc.results.labels import Labels
from gradmc.results.lock import locked
from gradmc.results.manifest import run_of
from gradmc.results.prediction import predict_draws
from gradmc.results.run_directory import open_run
from gradmc.results.zarr_store import ZarrStore

GROUP = "posterior_predictive"


def predict(directory: Path, *, seed: int | None, common: Common) -> int:
    """Run the simulator for every stored draw."""
    run = open_run(directory)
    manifest = run.read_manifest()
    config = Config.model_validate(found(manifest, run.path))
    problem = build_problem(config, seed=manifest["seed"])
    check_identity(manifest["identity"], problem.identity, "predict")
    with locked(run.lock):
        identifier = run_of(manifest)
        tree = open_stored(run)
        chains = problem.settings.chains
        store = ZarrStore.resume(run.draws, chains=chains, labels=Labels.of_density(problem.density), run=identifier)
        names: dict[str, None] = {}
        used = int(manifest["seed"]) if seed is None else seed
        for chain, values in predict_draws(problem.density.bound, tree, used):
            store.add(GROUP, chain, values)
            names |= dict.fromkeys(values)
        store.finalize({})
        run.note("predict", command=sys.argv, variables=list(names), seed=used)
    text = f"Stored {', '.join(names)} in group {GROUP} of {run.draws}."
    content = {"directory": str(run.path), "group": GROUP, "variables": list(names), "seed": used}
    emit(text, content, as_json=common.json)
    return 0
