"""Healthy programs get no complaint: the shipped models, the translations of the reference posteriors,
programs that look ill.
"""

from typing import Any

import pytest

from gradmc.check import check
from gradmc.program.model import Model
from tests.check import AMPLE
from tests.check.healthy import CASES
from tests.models.shipped import NAMES, shipped
from tests.posteriordb.reference import COLLECTION, POSTERIORS, Posterior

MEANT = {"first_passage": {"jump"}}
"""What the check says of a shipped model, and rightly so: one step more before the threshold changes a latency by 1e-5,
which shows where the errors of the latencies are taken to be smaller than that."""


@pytest.mark.parametrize("name", NAMES)
def test_shipped_models_are_clean(name: str) -> None:
    model = shipped(name)
    report = check(model.density, seconds=AMPLE)
    complaints = {finding.code for finding in report.findings if finding.severity != "note"}
    assert complaints <= MEANT.get(name, set()), str(report)
    assert name in MEANT or (report.clean and report.exit_code == 0)


@pytest.mark.skipif(
    not COLLECTION.is_dir(),
    reason="the reference posteriors are not beside the repository (set GRADMC_POSTERIORDB to their folder)",
)
@pytest.mark.parametrize("posterior", POSTERIORS, ids=lambda posterior: posterior.id)
def test_translations_are_clean(posterior: Posterior) -> None:
    report = check(posterior.model, posterior.data(), seconds=AMPLE)
    assert report.clean, str(report)


@pytest.mark.parametrize(("model", "data"), CASES, ids=[model.name for model, _ in CASES])
def test_programs_that_look_ill_are_clean(model: Model, data: dict[str, Any]) -> None:
    report = check(model, data, seconds=AMPLE)
    assert report.clean, str(report)
