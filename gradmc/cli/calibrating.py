"""`gradmc calibrate`: do program, simulator and sampler of a configuration agree?"""

from pathlib import Path

from gradmc.cli.options import Common, Overrides
from gradmc.cli.output import emit
from gradmc.cli.problem import data_of
from gradmc.config import load_config
from gradmc.config.target import load_model


def calibrate(path: Path, overrides: Overrides, *, replications: int, ranked: int, warmup: int, common: Common) -> int:
    """Print the verdict; exit code 4 if ranks are not uniform."""
    from gradmc.calibration import calibrate as calibrate_model

    config = load_config(path, overrides).config
    model = load_model(config.model.target)
    outcome = calibrate_model(
        model,
        data_of(config, model),
        replications=replications,
        ranked=ranked,
        warmup=warmup,
        seed=config.sampler.seed or 0,
    )
    emit(str(outcome), outcome.as_json(), as_json=common.json)
    return outcome.exit_code
