"""`gradmc check`: is the model of a configuration differentiable, correct and well posed?"""

from pathlib import Path

from gradmc.cli.options import Common, Overrides
from gradmc.cli.output import emit
from gradmc.cli.problem import data_of
from gradmc.config import load_config
from gradmc.config.target import load_model


def check(path: Path, overrides: Overrides, *, fast: bool, seconds: float, common: Common) -> int:
    """Print the report; exit code 3 if it has an error."""
    from gradmc.check import check as check_model

    config = load_config(path, overrides).config
    model = load_model(config.model.target)
    sampler = config.sampler
    report = check_model(
        model,
        data_of(config, model),
        fast=fast,
        seed=sampler.seed or 0,
        chains=sampler.chains,
        transitions=sampler.warmup + sampler.draws,
        max_loop_iterations=sampler.max_loop_iterations,
        seconds=seconds,
    )
    emit(str(report), report.as_json(), as_json=common.json)
    return report.exit_code
