"""Every pass of the middle end means what the one before meant (that it is well-formed: `test_laws`)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun

from gradmc.program.middle import LoweringOptions, lower_plain, stages
from gradmc.program.middle.lowering import AFTERWARDS, PASSES, SCHEDULED, holds_ir
from tests.middle.programs import PROGRAMS

P = np.array([0.7, 0.4, 0.9, 1.3])


def test_the_stages_are_the_passes_in_their_order() -> None:
    with jax.enable_x64(True):
        found = list(stages(jax.make_jaxpr(PROGRAMS["garch"])(jnp.asarray(P)), LoweringOptions(), []))
    assert [stage for stage, _ in found] == [*(n for n, _ in PASSES), SCHEDULED, *(n for n, _ in AFTERWARDS)]
    assert holds_ir(found[len(PASSES) - 1][1])
    assert not holds_ir(found[len(PASSES)][1])


@pytest.mark.parametrize("name", ["garch", "kalman", "running_logsumexp"])
def test_every_stage_means_the_same(name: str) -> None:
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(PROGRAMS[name])(jnp.asarray(P))
        with jax.disable_jit():
            (wanted,) = jaxpr_as_fun(lower_plain(closed))(jnp.asarray(P))
            for stage, body in stages(closed, LoweringOptions(), []):
                (value,) = jaxpr_as_fun(lower_plain(body) if holds_ir(body) else body)(jnp.asarray(P))
                np.testing.assert_allclose(value, wanted, rtol=1e-12, err_msg=stage)
