"""`gradmc predict`: posterior predictive draws, stored beside the posterior."""

import sys
from pathlib import Path
from typing import Any

from gradmc.cli.options import Common
from gradmc.cli.output import emit
from gradmc.cli.problem import build_problem, check_identity
from gradmc.cli.python_runs import job_of
from gradmc.cli.reporting import open_stored
from gradmc.config import Config
from gradmc.config.places import found
from gradmc.results.labels import Labels
from gradmc.results.lock import locked
from gradmc.results.manifest import is_of_python, run_of
from gradmc.results.mirror import writing
from gradmc.results.prediction import predict_draws
from gradmc.results.run_directory import RunDirectory
from gradmc.results.zarr_store import ZarrStore

GROUP = "posterior_predictive"


def predict(directory: Path | str, *, seed: int | None, common: Common) -> int:
    """Run the simulator for every stored draw."""
    with writing(directory) as run:
        run.refuse_absent()
        return _predict(run, seed, common)


def _predict(run: RunDirectory, seed: int | None, common: Common) -> int:
    manifest = run.read_manifest()
    density, chains = _sampled(run, manifest)
    with locked(run.lock):
        identifier = run_of(manifest)
        tree = open_stored(run)
        store = ZarrStore.resume(run.draws, chains=chains, labels=Labels.of_density(density), run=identifier)
        names: dict[str, None] = {}
        used = int(manifest["seed"]) if seed is None else seed
        for chain, values in predict_draws(density.bound, tree, used):
            store.add(GROUP, chain, values)
            names |= dict.fromkeys(values)
        store.finalize({})
        run.note("predict", command=sys.argv, variables=list(names), seed=used)
    text = f"Stored {', '.join(names)} in group {GROUP} of {run.published}."
    content = {"directory": run.name, "group": GROUP, "variables": list(names), "seed": used}
    emit(text, content, as_json=common.json)
    return 0


def _sampled(run: RunDirectory, manifest: dict[str, Any]) -> tuple[Any, int]:
    """The density that a run sampled, which has not changed, and the number of its chains.

    Raises:
        ResumeError: model or data have changed, or are not to be had.
    """
    if is_of_python(manifest):
        job = job_of(run, manifest)
        job.refuse_changed(manifest)
        return job.work.density, job.work.settings.chains
    problem = build_problem(Config.model_validate(found(manifest, run.path)), seed=manifest["seed"])
    check_identity(manifest["identity"], problem.identity, "predict")
    return problem.density, problem.settings.chains
