"""`report`: the sections of a run put together."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from gradmc.diagnostics import Diagnosis, Summary, diagnose, summarise
from gradmc.errors import UsageError
from gradmc.markup import Html, element, paragraph
from gradmc.report import figures, sections
from gradmc.report.page import PageSection, Report, render
from gradmc.report.sections import Material
from gradmc.results.leaving_out import in_words

PARTS: tuple[tuple[str, str, Callable[[Material], Html], bool], ...] = (
    ("Verdict", "verdict", sections.verdict, False),
    ("What was run", "run", sections.overview, False),
    ("Summary", "summary-table", sections.summary_table, False),
    ("Worst quantities", "worst", sections.worst_quantities, True),
    ("Divergences", "divergences", sections.divergences, False),
    ("Energies", "energies", sections.energies, True),
    ("Chains and how they started", "chains", sections.chains, False),
    ("Posterior predictive checks", "predictions", sections.predictions, True),
    ("Leave-one-out cross-validation", "loo", sections.cross_validation, False),
    ("Prior sensitivity", "sensitivity", sections.sensitivity, False),
    ("Calibration", "calibration", sections.calibration, False),
    ("Versions and hashes", "provenance", sections.provenance, False),
)
"""Title, anchor, what makes the section, and whether that needs ArviZ's plots."""


def report(
    tree: Any,
    *,
    calibration: Any = None,
    summary: Summary | None = None,
    diagnosis: Diagnosis | None = None,
    manifest: Mapping[str, Any] | None = None,
) -> Report:
    """A page about a run: verdict, summary, plots of the worst quantities, predictions, LOO, how it was made.

    Args:
        tree: a DataTree with the group `posterior`, as `gm.sample` returns; what else it holds decides what is shown.
        calibration: what `gm.calibrate` returned, or its `as_json()`, to be shown too.
        summary: of the posterior, if it is known already.
        diagnosis: of the draws, if it is known already.
        manifest: of the directory of the run, with versions, hashes and configuration.

    Returns:
        A `Report`: shown in a notebook, written by `save(path)`; `html` is one self-contained page of less than 3 MB.

    Raises:
        UsageError: there are no draws, or `calibration` is something else.
    """
    if "posterior" not in getattr(tree, "children", ()) or tree["posterior"].sizes.get("draw", 0) < 4:
        raise UsageError("a report needs draws: expected a DataTree whose group 'posterior' has at least 4 per chain")
    summary = summarise(tree) if summary is None else summary
    subject = Material(
        tree=tree,
        summary=summary,
        diagnosis=diagnose(tree, summary) if diagnosis is None else diagnosis,
        manifest=manifest or {},
        calibration=_calibration(calibration),
    )
    name = str(tree.attrs.get("name", tree.name or "unnamed model"))
    left_out = f", {in_words(summary.left_out)}" if summary.left_out else ""
    lead = f"{summary.chains} chains of {summary.draws:,} draws{left_out}, {len(summary.rows):,} quantities"
    made = [PageSection(title, anchor, _body(make, subject, plots)) for title, anchor, make, plots in PARTS]
    return Report(html=render(f"{name}: report of a run", lead, made), title=f"{name}: report of a run")


def _body(make: Callable[[Material], Html], subject: Material, plots: bool) -> Html:
    """A section, or why there is none: one that fails must not cost the others."""
    if plots and not figures.available():
        return paragraph("Plots need ArviZ and matplotlib: ", element("code", "pip install 'gradmc[plots]'"), ".")
    try:
        return make(subject)
    except Exception as error:
        words = f"This section could not be made: {type(error).__name__}: {error}. The others do not depend on it."
        return element("p", words, class_="failed")


def _calibration(given: Any) -> Mapping[str, Any] | None:
    """The outcome of a calibration as `as_json` gives it.

    Raises:
        UsageError: it is something else.
    """
    if given is None:
        return None
    content = given.as_json() if hasattr(given, "as_json") else given
    needed = ("model", "passed", "replications", "p_values", "failures", "divergences")
    if not isinstance(content, Mapping) or not all(key in content for key in needed):
        raise UsageError(
            "calibration must be what gm.calibrate returns or `gradmc calibrate --json` prints, got "
            f"{json.dumps(content, default=str)[:80]}"
        )
    return content
