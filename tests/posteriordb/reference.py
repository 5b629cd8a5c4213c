"""The reference posteriors: which program belongs to which folder, and how its files are read.

A folder of the collection holds one posterior: `data.json`, `logp.json` (the log density at eight points less
its value at the first), `reference.json` and `draws.npz` (long runs of another sampler). The collection's own
`compare.py` judges draws. It comes from posteriordb (Magnusson et al. 2025), does not belong to this
repository, and is looked for in `../shared/posteriordb` beside it or where GRADMC_POSTERIORDB says.
"""

import importlib.util
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from gradmc.program.model import Model
from tests.posteriordb.programs import hierarchies, regressions, series

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = Path(os.environ.get("GRADMC_POSTERIORDB", ROOT.parent / "shared" / "posteriordb"))


@dataclass(frozen=True, slots=True)
class Posterior:
    """One reference posterior and the program written for it.

    `columns` names the entries of data.json that the program takes; `extra` are further data of the program.
    `rename` maps names of the collection to names of the program. `from_reference` turns a point of
    logp.json into the program's parameters and returns the constant that its density then differs by.
    """

    folder: str
    model: Model
    columns: tuple[str, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    from_reference: Callable[[dict[str, Any]], tuple[dict[str, Any], float]] | None = None
    absolute: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    slow: bool = False
    label: str = ""

    @property
    def id(self) -> str:
        return self.label or self.folder

    def read(self, name: str) -> Any:
        return json.loads((COLLECTION / self.folder / name).read_text())

    def data(self) -> dict[str, Any]:
        """The program's data: lists of numbers become float arrays, as `gm.sample` would read them."""
        raw = self.read("data.json")
        return {name: as_data(raw[name]) for name in self.columns} | dict(self.extra)

    def points(self) -> tuple[list[dict[str, Any]], list[float], list[float]]:
        """The program's parameters at each point, the constants to subtract, and the wanted differences."""
        file = self.read("logp.json")
        points, constants = [], []
        for point in file["points"]:
            renamed = {self.rename.get(name, name): np.asarray(value, float) for name, value in point.items()}
            values, constant = self.from_reference(renamed) if self.from_reference else (renamed, 0.0)
            points.append(values)
            constants.append(constant)
        return points, constants, file["log_density_minus_first"]


def as_data(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, list) else value


@cache
def judge_module() -> ModuleType:
    """The collection's compare.py."""
    spec = importlib.util.spec_from_file_location("posteriordb_compare", COLLECTION / "compare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def noncentred(values: dict[str, Any]) -> tuple[dict[str, Any], float]:
    """(mu, tau, theta) -> (mu, tau, theta_trans); the density gains the Jacobian, 8 log tau."""
    mu, tau, theta = values["mu"], values["tau"], values["theta"]
    return {"mu": mu, "tau": tau, "theta_trans": (theta - mu) / tau}, len(theta) * float(np.log(tau))


BUSH = ("weight", "diam1", "diam2", "canopy_height", "total_height", "density", "group")
VOTER = ("partyid7", "real_ideo", "race_adj", "age_discrete", "educ1", "gender", "income")
CHILD = ("kid_score", "mom_hs", "mom_iq")
SCHOOL = ("y", "sigma")
# Near the estimates of Carpenter (2018): from random starts many chains stay for long in a minor mode.
LOTKA_VOLTERRA_START = {"theta": [0.55, 0.03, 0.8, 0.024], "z_init": [33.0, 6.0], "sigma": [0.25, 0.25]}
# Near the rates of its description: from random starts about one chain in six stays for hundreds of transitions in a
# minor mode, 60 lower in log density (the reference was warmed up for 35,000).
DRIVE_START = {"theta1": [0.9, 0.1], "theta2": [0.1, 0.9], "phi": [1.5, 5.0], "lambda_": [0.03, 0.08]}

POSTERIORS = (
    Posterior("arK-arK", series.ark, ("y", "K")),
    Posterior(
        "bball_drive_event_0-hmm_drive_0",
        series.hmm_drive_0,
        ("u", "v", "alpha"),
        rename={"lambda": "lambda_"},
        settings={"initial": DRIVE_START},
    ),
    Posterior(
        "diamonds-diamonds",
        regressions.diamonds,
        ("X", "Y"),
        settings={"metric": "dense", "warmup": 500, "draws": 500},
    ),
    Posterior("earnings-earn_height", regressions.earn_height, ("earn", "height")),
    Posterior("earnings-log10earn_height", regressions.log10_earn_height, ("earn", "height")),
    Posterior("earnings-logearn_height_male", regressions.log_earn_height_male, ("earn", "height", "male")),
    Posterior("earnings-logearn_interaction", regressions.log_earn_interaction, ("earn", "height", "male")),
    Posterior(
        "eight_schools-eight_schools_noncentered",
        hierarchies.eight_schools_noncentred,
        SCHOOL,
        from_reference=noncentred,
    ),
    Posterior(
        "eight_schools-eight_schools_noncentered",
        hierarchies.eight_schools_centred,
        SCHOOL,
        label="eight_schools-eight_schools_centered",
    ),
    Posterior("garch-garch11", series.garch11, ("y", "sigma1")),
    Posterior(
        "gp_pois_regr-gp_pois_regr",
        hierarchies.gp_pois_regr,
        ("x", "k"),
        absolute=1e-6,
        settings={"draws": 2500, "target_accept": 0.95},
    ),
    Posterior("hmm_example-hmm_example", series.hmm_example, ("y",)),
    Posterior(
        "hudson_lynx_hare-lotka_volterra",
        series.lotka_volterra,
        ("y_init", "y"),
        absolute=5e-3,
        settings={"initial": LOTKA_VOLTERRA_START},
    ),
    Posterior("kidiq-kidscore_interaction", regressions.kidscore_interaction, CHILD),
    Posterior("kidiq-kidscore_momhsiq", regressions.kidscore_momhsiq, CHILD),
    Posterior("kidiq_with_mom_work-kidscore_interaction_z", regressions.kidscore_interaction_z, CHILD),
    Posterior("kidiq_with_mom_work-kidscore_mom_work", regressions.kidscore_mom_work, ("kid_score", "mom_work")),
    Posterior(
        "kilpisjarvi_mod-kilpisjarvi",
        regressions.kilpisjarvi,
        ("x", "y", "pmualpha", "psalpha", "pmubeta", "psbeta"),
    ),
    Posterior("mesquite-logmesquite_logvas", regressions.logmesquite_logvas, BUSH),
    Posterior("mesquite-logmesquite_logvolume", regressions.logmesquite_logvolume, BUSH[:4]),
    Posterior("mesquite-mesquite", regressions.mesquite, BUSH),
    Posterior("nes1972-nes", regressions.nes, VOTER),
    Posterior("nes1980-nes", regressions.nes, VOTER),
    Posterior("nes2000-nes", regressions.nes, VOTER),
    Posterior("nes_logit_data-nes_logit_model", regressions.nes_logit, ("income", "vote")),
    Posterior("rats_data-rats_model", hierarchies.rats, ("rat", "x", "y", "xbar", "N")),
    Posterior("sblrc-blr", regressions.blr, ("X", "y")),
)
