"""A setting of ArviZ, read without the rest of it: its package takes xarray and more with it."""

import importlib.util
import sys
from pathlib import Path


def interval_probability() -> float:
    """Probability of the intervals that ArviZ shows (`stats.ci_prob`), as `arvizrc` or the program have set it."""
    if "arviz_base" not in sys.modules:
        package = importlib.util.find_spec("arviz_base")
        file = Path(*(package.submodule_search_locations or ()) if package else (), "rcparams.py")
        if file.exists():
            return _executed(file)
    from arviz_base import rcParams

    return float(rcParams["stats.ci_prob"])


def _executed(file: Path) -> float:
    """The setting as the module of the settings finds it, executed by itself."""
    name = "gradmc.results._rcparams"
    specification = importlib.util.spec_from_file_location(name, file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return float(module.rcParams["stats.ci_prob"])
