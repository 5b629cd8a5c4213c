"""Every notebook in `examples/` runs from top to bottom, with few draws, and keeps the last picture of its progress.

The cell tagged `parameters` holds the sizes of the runs; the test replaces it.
"""

from pathlib import Path

import pytest

from tests.models.shipped import OPTIMIZED, SYSTEMS

nbformat = pytest.importorskip("nbformat", reason="notebooks need the extra `notebooks`")
nbclient = pytest.importorskip("nbclient", reason="notebooks need the extra `notebooks`")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SMALL = {
    "tour": "warmup, n_draws = 200, 200",
    "cnn_digits": "epochs = 2",
    "diffractive_optics": "epochs = 1",
}
SHORT = "warmup, n_draws = 100, 100"
"""Of the notebooks on models."""


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_runs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "commit notebooks without outputs"
    (sizes,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    sizes.source = SMALL.get(path.stem, SHORT)
    for cell in notebook.cells:
        if cell.cell_type == "code" and "import arviz" in cell.source:
            cell.source = "import matplotlib\n\nmatplotlib.use('agg')\n" + cell.source
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3")
    client.execute(cwd=str(path.parent))
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    errors = [output["text"] for output in outputs if output.get("name") == "stderr"]
    if path.stem != "tour":  # runs this short have cause for ours
        errors = [text for text in errors if "SamplingWarning" not in text]
    assert not [text for text in errors if "Tqdm" in text or "gradmc" in text], "of another library's widgets, or ours"
    if path.stem != "tour":
        assert [output for output in outputs if "image/png" in output.get("data", {})], "a picture to look at"
    if "epochs" in sizes.source:  # a descent has no chains
        return
    pictures = [
        output["data"] for output in outputs if "divergences</th>" in output.get("data", {}).get("text/html", "")
    ]
    assert pictures, "the progress display stays"
    for picture in pictures:
        assert set(picture) <= {"text/html", "text/plain"}, "without widgets"
        assert picture["text/html"].count(">done<") == 4, "each chain as it ended"
        assert "elapsed" in picture["text/html"]


def test_every_system_has_a_notebook() -> None:
    assert {*SYSTEMS, *OPTIMIZED} < {path.stem for path in EXAMPLES.glob("*.ipynb")}
