"""XLA compiles the sampling loop of every small shipped model as one native function.

The Gaussian process is not small in this sense: LAPACK factorises its 30 x 30 covariance five times faster than a loop
that XLA could compile in one piece (value and gradient 10 against 35 microseconds).
"""

import re

import pytest

from gradmc.run.preparing import prepare
from gradmc.run.settings import Settings
from tests.models.shipped import NAMES, SYSTEMS, shipped
from tests.run.test_compiling import entry_of

LIBRARY = {"gaussian_process": "lapack_dpotrf"}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SYSTEMS])
def test_the_sampling_loop_is_one_native_function(name: str) -> None:
    model = shipped(name)
    sampler = prepare(model.density, Settings(seed=1, chains=1, target_accept=model.config.sampler.target_accept))
    text = sampler.plan.compiled.text()
    assert text is not None
    entry = entry_of(text)
    if name in LIBRARY:
        assert LIBRARY[name] in text
        assert re.search(r"\bwhile\(", entry)
    else:
        assert "xla_cpu_small_call" in entry
        assert not re.search(r"\bwhile\(", entry)
