"""The page of what works in libraries is made from the registry."""

from pathlib import Path
from typing import Any

import jax
import pytest
import scipy.stats as stats
from scipy.stats._distn_infrastructure import rv_generic

from gradmc.program.compiler import evaluate
from gradmc.program.frontend.libraries.catalogue import OF_LAWS, catalogue, tables
from gradmc.program.frontend.libraries.scipy_stats import has_formula

LAWS = [
    n for n in (entry.split()[0] for entry in catalogue()["scipy.stats"]) if isinstance(getattr(stats, n), rv_generic)
]
PAGE = Path(__file__).resolve().parents[3] / "docs" / "libraries.md"


def test_the_page_lists_what_the_registry_knows() -> None:
    made = tables()
    assert PAGE.read_text().endswith(f"{made}\n"), f"put these lists at the end of docs/libraries.md:\n\n{made}"


def test_what_the_lists_say() -> None:
    found = catalogue()
    assert {"norm", "gamma", "multivariate_normal (logpdf)"} <= set(found["scipy.stats"])
    assert not any(name.startswith("levy_stable") for name in found["scipy.stats"])
    assert {"brentq", "minimize"} <= set(found["scipy.optimize"])
    assert "save" not in found["numpy"]


@pytest.mark.slow
@pytest.mark.parametrize("name", LAWS)
def test_laws_have_the_methods_that_the_page_says(name: str) -> None:
    law = getattr(stats, name)
    shapes = [2.3, 1.4, 3.1, 0.7][: law.numargs]
    for method in ("logpmf" if hasattr(law, "logpmf") else "logpdf", *OF_LAWS):
        if has_formula(law, method):

            def value(x: Any, *, method: str = method) -> Any:
                return getattr(law, method)(x, *[s + 0.0 * x for s in shapes])

            with jax.enable_x64(True):
                jax.make_jaxpr(lambda x, f=value: evaluate(f, (x,), {})[0])(0.4)
