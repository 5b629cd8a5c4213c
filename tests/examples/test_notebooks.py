"""Every notebook in `examples/` runs from top to bottom, with few draws.

The cell tagged `parameters` holds the sizes of the runs; the test replaces it.
"""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="notebooks need the extra `notebooks`")
nbclient = pytest.importorskip("nbclient", reason="notebooks need the extra `notebooks`")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SMALL = {"tour": "warmup, n_draws = 200, 200"}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_runs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "commit notebooks without outputs"
    (sizes,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    sizes.source = SMALL[path.stem]
    for cell in notebook.cells:
        if cell.cell_type == "code" and "import arviz" in cell.source:
            cell.source = "import matplotlib\n\nmatplotlib.use('agg')\n" + cell.source
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3")
    client.execute(cwd=str(path.parent))
