"""Draws agree with the reference draws, by the collection's own `compare.py`.

Failure budget: each comparison fails a correct sampler with probability at most 0.001 (`alpha`, Bonferroni
over all means, spreads, quantiles and principal axes of the posterior); seeds are fixed. The comparison also
fails when an effective sample size is below 400 or an R-hat above 1.05. The centred eight schools are not
sampled: their funnel defeats any fixed mass matrix, and the non-centred form has the same reference.
"""

from pathlib import Path

import numpy as np
import pytest

import gradmc as gm
from tests.posteriordb.reference import COLLECTION, POSTERIORS, Posterior, judge_module

pytestmark = [
    pytest.mark.skipif(
        not COLLECTION.is_dir(),
        reason="the reference posteriors are not beside the repository (set GRADMC_POSTERIORDB to their folder)",
    ),
    # A few divergent draws come and go with the machine's rounding; the comparison judges whether they matter.
    pytest.mark.filterwarnings("ignore:.* diverged[;,]:gradmc.SamplingWarning"),
]
ALPHA = 0.001
SAMPLED = [posterior for posterior in POSTERIORS if posterior.label == ""]


def parametrised(posterior: Posterior) -> object:
    return pytest.param(posterior, id=posterior.id, marks=[pytest.mark.slow] if posterior.slow else [])


@pytest.mark.parametrize("posterior", [parametrised(posterior) for posterior in SAMPLED])
def test_draws_agree_with_the_reference(posterior: Posterior, tmp_path: Path) -> None:
    settings = {"chains": 4, "warmup": 1000, "draws": 1000, "seed": 20260101} | dict(posterior.settings)
    tree = gm.sample(posterior.model, posterior.data(), progress="none", **settings)
    back = {mine: theirs for theirs, mine in posterior.rename.items()}
    arrays = {back.get(str(name), str(name)): np.asarray(a) for name, a in tree["posterior"].data_vars.items()}
    file = tmp_path / "draws.npz"
    np.savez(file, **arrays)
    verdict = judge_module().main(
        ["--dir", str(COLLECTION), posterior.folder, str(file), "--joint", "--alpha", str(ALPHA)]
    )
    assert verdict == 0, f"compare.py does not accept the draws of {posterior.id} (its table is printed above)"
