"""Every construct that is refused says so at the user's line, with a remedy."""

import jax
import pytest

from gradmc.errors import ProgramError
from gradmc.program.compiler import evaluate
from gradmc.program.frontend import unrolling
from tests.frontend.constructs import INDEX, Refused, refusals

del refusals  # imported for its entries


@pytest.mark.filterwarnings("ignore::gradmc.program.compiler.UnrolledLoopWarning")
@pytest.mark.parametrize("entry", INDEX.refused, ids=lambda e: e.fn.__name__)
def test_refused(entry: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unrolling, "LIMIT", 20)
    with jax.enable_x64(True):
        args = tuple(jax.numpy.asarray(a) for a in entry.args)
        with pytest.raises(ProgramError) as caught:
            jax.jit(lambda *p: evaluate(entry.fn, p, entry.data, collect=True)[0])(*args)
    error = caught.value
    assert entry.message in error.message
    assert entry.remedy in error.remedy
    assert error.location is not None
    assert error.location.file.endswith("refusals.py")
    assert entry.line in error.location.text
    assert str(error).startswith(f"{error.location.file}:{error.location.line}")
