"""The figures for accelerators can be had on a processor too, in small sizes."""

import pytest

from tests.benchmarks.accelerator import launches, measure

TEXT = """
%body.1 (p: f64[]) -> f64[] {
  %a = f64[3]{0} fusion(%p), kind=kLoop
  %b = f64[3]{0} add(%a, %a)
  ROOT %c = f64[3]{0} dot(%b, %b)
}

%fused.2 (p: f64[]) -> f64[] {
  %d = f64[3]{0} gather(%p)
}

ENTRY %main (p: f64[]) -> f64[] {
  ROOT %w = f64[3]{0} while(%p), condition=%cond, body=%body.1
}
"""


def test_kernels_are_counted_in_the_body_of_the_loop() -> None:
    assert launches(TEXT) == 2


@pytest.mark.slow
def test_all_figures_of_small_sizes() -> None:
    told = measure(small=True)
    figures = told["figures"]
    assert told["left_out"] == []
    assert [name for name, figure in figures.items() if isinstance(figure, dict) and "error" in figure] == []
    for name in ("eight_schools/nuts", "garch11/chees"):
        assert figures[f"{name}/16"]["least_ess"] > 0
        assert figures[f"{name}/launches"] > 0
