"""What a notebook shows of models, densities and results: everything that names them, and data as text."""

import numpy as np

import gradmc as gm
from gradmc.diagnostics import Check, Diagnosis
from gradmc.run.optimum import Optimum


@gm.model
def schools(mu: gm.Real, tau: gm.Positive, z: gm.Real["school"], *, y: gm.Data["school"], note: str = "<b>"):
    """Eight schools & <more>."""
    return -(mu**2) - tau - (z**2).sum() - (y * 0).sum()


def test_a_model() -> None:
    shown = schools._repr_html_()
    for text in ("schools", "Real[&#x27;school&#x27;]", "Positive", "Eight schools &amp; &lt;more&gt;.", "needed"):
        assert text in shown
    assert "&#x27;&lt;b&gt;&#x27; by default" in shown
    assert "<more>" not in shown


def test_a_density() -> None:
    shown = gm.density(schools, {"y": [1.0, 2.0, 3.0]})._repr_html_()
    for text in ("Density of schools", "5 coordinates, float64", "Positive", "3 array of float64", "&lt;b&gt;"):
        assert text in shown


def test_a_diagnosis() -> None:
    failed = Check("r_hat", False, 2.0, 1.01, "the chains disagree about a<b>", "draw more")
    shown = Diagnosis((Check("finite", True, 0.0, 0.0, "all draws are finite"), failed))._repr_html_()
    assert shown.index("The chains disagree about a&lt;b&gt;.") < shown.index("All draws are finite.")
    assert "Do not trust these draws yet." in shown
    assert "Advice: draw more." in shown


def test_an_optimum() -> None:
    one = np.array(1.5)
    shown = Optimum(one, -3.0, {"mu": one}, {"mu": np.array(0.5)}, None, False, "it is <flat>", ())._repr_html_()
    assert "NOT CONVERGED: it is &lt;flat&gt;" in shown
    assert "0.5" in shown
