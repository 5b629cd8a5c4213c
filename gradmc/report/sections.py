"""The sections of a report: each a heading and what stands below it, made of a run's draws and its manifest."""

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gradmc.diagnostics import Diagnosis, Summary
from gradmc.diagnostics.locate import where_they_lie
from gradmc.diagnostics.render import cell
from gradmc.markup import Html, element, facts, join, paragraph, picture, table
from gradmc.report import figures
from gradmc.report.choice import select, worst_first

WORST = 4
"""Quantities shown in pictures."""

LONGEST_TABLE = 10_000
"""Rows of the summary table that a page still opens quickly with; beyond, the worst are shown."""

MOST_POINTWISE = 20_000_000
"""Pointwise log likelihoods (draws x observations) that LOO is computed for in a report."""

MOST_TERMS = 6
"""Terms of the likelihood that LOO is shown for."""

LONGEST_DATA = 1_200_000
"""Characters of the summary table's data: with the pictures, of less than 1.5 MB, a page stays under 3 MB."""

MARKS = {True: ("pass", "passed"), False: ("fail", "failed"), None: ("open", "not judged")}


@dataclass(frozen=True)
class Material:
    """What a report is about.

    Args:
        tree: the DataTree of a run.
        summary: the table of its posterior.
        diagnosis: the checks of its draws.
        manifest: of the run's directory; empty for draws that never had one.
        calibration: what `gradmc calibrate --json` printed, or None.
    """

    tree: Any
    summary: Summary
    diagnosis: Diagnosis
    manifest: Mapping[str, Any]
    calibration: Mapping[str, Any] | None

    @cached_property
    def worst(self) -> list[str]:
        """The quantities that are worst off, and with divergences the one that tells where they are."""
        names = [row.name for row in worst_first(self.summary)]
        lean = self.lean
        first = [] if lean is None else [lean.name]
        return list(dict.fromkeys([*first, *names]))[:WORST]

    @cached_property
    def statistics(self) -> dict[str, np.ndarray]:
        """The statistics of the sampler, each of shape (chain, draw)."""
        if "sample_stats" not in self.tree.children:
            return {}
        data = self.tree["sample_stats"].to_dataset()
        return {
            str(name): array.transpose("chain", "draw").values
            for name, array in data.data_vars.items()
            if set(array.dims) == {"chain", "draw"}
        }

    @cached_property
    def lean(self) -> Any:
        """Where divergences lie, or None."""
        return where_they_lie(self.tree, self.statistics["diverging"]) if "diverging" in self.statistics else None

    def draws(self, names: Sequence[str]) -> figures.Draws:
        """The draws of some quantities."""
        return figures.Draws(select(self.tree, names), self.statistics)


def overview(subject: Material) -> Html:
    """What was run."""
    attributes, manifest, summary = subject.tree.attrs, subject.manifest, subject.summary
    pairs: list[tuple[str, object]] = [
        ("Model", attributes.get("name", subject.tree.name or "unnamed")),
        (
            "Draws",
            f"{summary.chains} chains of {summary.draws:,} after {attributes.get('tuning_steps', '?')} of warmup",
        ),
        ("Quantities", f"{len(summary.rows):,}"),
    ]
    for name, key in (("Sampler", "kernel"), ("Mass matrix", "metric"), ("Acceptance aimed at", "target_accept")):
        if key in attributes:
            pairs.append((name, attributes[key]))
    for name, key in (("Compiling", "compile_time"), ("Sampling", "sampling_time")):
        if key in attributes:
            pairs.append((name, f"{float(attributes[key]):.1f} s"))
    if "n_gradients" in attributes:
        pairs.append(("Gradients", f"{int(attributes['n_gradients']):,}"))
    pairs.append(("Seed", attributes.get("seed", "unknown")))
    pairs.append(("Made", str(attributes.get("created_at", "unknown"))[:19].replace("T", " ")))
    if manifest:
        pairs.append(("Ended", f"{manifest.get('status')}, sessions: {len(manifest.get('sessions', []))}"))
    if manifest.get("command"):
        pairs.append(("Command", element("code", " ".join(map(str, manifest["command"])))))
    return facts(pairs)


def verdict(subject: Material) -> Html:
    """Whether to trust the draws, check by check, with advice."""
    diagnosis = subject.diagnosis
    words = "The draws look trustworthy." if diagnosis.passed else "Do not trust these draws yet."
    items = []
    for check in sorted(diagnosis.checks, key=lambda check: (check.passed is not False, check.passed is True)):
        mark, said = MARKS[check.passed]
        text = [element("span", said, class_="mark"), f" {check.finding[:1].upper()}{check.finding[1:]}."]
        if check.passed is False and check.advice:
            text.append(element("p", element("strong", "Advice: "), f"{check.advice}.", class_="advice"))
        items.append(element("li", *text, class_=mark))
    banner = element("p", words, class_=f"verdict {MARKS[diagnosis.passed][0]}")
    return join([banner, element("ul", *items, class_="checks")])


def summary_table(subject: Material) -> Html:
    """The summary table: sorted and filtered by the page's script, and all there without it up to a hundred rows."""
    summary = subject.summary
    rows, note = summary.rows, ""
    longest = max(len(row.name) for row in rows) + 8 * len(summary.columns)
    most = min(LONGEST_TABLE, LONGEST_DATA // longest)
    if len(rows) > most:
        rows = tuple(worst_first(summary)[:most])
        note = f"Of {len(summary.rows):,} quantities these are the {most:,} that are worst off."
    content = {
        "columns": ["quantity", *summary.columns],
        "rows": [[row.name, *(cell(row, column) for column in summary.columns)] for row in rows],
    }
    head = element("tr", *(element("th", name, scope="col") for name in content["columns"]))
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", value) for value in row[1:]))
        for row in content["rows"][:100]
    ]
    caption = "Mean, standard deviation, 89 % interval, effective sample sizes, R-hat and Monte Carlo errors"
    box = element(
        "div",
        element("table", element("caption", caption), element("thead", head), element("tbody", *body), id="summary"),
        class_="scroll tall",
        tabindex="0",
        role="region",
        aria_label="Summary table",
    )
    data = Html(json.dumps(content).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
    script = element("script", data, type="application/json", id="summary-data")
    controls = element(
        "div",
        element("label", "Filter by name ", element("input", type="search", id="filter"), for_="filter"),
        element("output", f"{len(rows):,} quantities", id="shown", for_="filter"),
        class_="controls",
        id="controls",
        hidden=True,
    )
    more = element("button", "Show more rows", type="button", id="more", hidden=True)
    return join([paragraph(note) if note else "", controls, box, more, script])


def worst_quantities(subject: Material) -> Html:
    """Trace, ranks and pairs of the quantities that are worst off."""
    names = subject.worst
    if not names:
        return paragraph("All quantities are constant: there is nothing to show.")
    rows = {row.name: row for row in subject.summary.rows}
    cards = []
    for name in names:
        draws = subject.draws([name])
        row = rows[name]
        r_hat, bulk, tail = (cell(row, column) for column in ("r_hat", "ess_bulk", "ess_tail"))
        numbers = f"R-hat {r_hat}, effective draws {bulk} (bulk), {tail} (tail)"
        if not all(np.all(np.isfinite(values)) for values in draws.values.values()):
            cards.append(element("section", element("h3", name), paragraph("Some of its draws are not finite.")))
            continue
        pictures = [
            _figure(figures.trace(draws), f"Trace of {name}, a line per chain", f": {numbers}"),
            _figure(figures.rank(draws), f"Ranks of {name} by chain: small p if chains disagree", f"; {numbers}"),
        ]
        cards.append(
            element("section", element("h3", name), paragraph(numbers), element("div", *pictures, class_="pictures"))
        )
    intro = (
        "The quantities with the largest R-hat and the fewest effective draws. Traces should look alike and show no "
        "trend; the ranks of a chain's draws among all draws should be spread evenly (curves near 0, p above 0.01)."
    )
    return join([paragraph(intro), *cards, _pairs(subject, names)])


def _pairs(subject: Material, names: Sequence[str]) -> Html:
    draws = subject.draws(names)
    finite = {name: values for name, values in draws.values.items() if np.all(np.isfinite(values))}
    if len(finite) < 2:
        return Html("")
    diverged = int(np.sum(subject.statistics.get("diverging", 0)))
    marked = f"; the {diverged} divergent draws are marked" if diverged else ""
    alt = f"Scatter plots of {', '.join(finite)} against one another{marked}"
    image = _figure(figures.pair(figures.Draws(finite, draws.statistics)), alt)
    return element("section", element("h3", "Against one another"), image)


def chains(subject: Material) -> Html:
    """Each chain: how it started and how it went."""
    attributes, statistics = subject.tree.attrs, subject.statistics
    numbers = [int(number) for number in subject.tree["posterior"]["chain"].values]
    columns: dict[str, list[object]] = {}
    for key, name, digits in (("start_path", "path", "d"), ("start_elbo", "start ELBO", ".2f")):
        values = attributes.get(key)
        if values is not None and len(values) == len(numbers):
            columns[name] = [format(value, digits) for value in values]
    for key, name, of, digits in (
        ("step_size", "step size", lambda values: values[:, -1], ".3g"),
        ("acceptance_rate", "acceptance", lambda values: values.mean(axis=1), ".2f"),
        ("n_steps", "steps per draw", lambda values: values.mean(axis=1), ".1f"),
        ("diverging", "divergences", lambda values: values.sum(axis=1), ".0f"),
        ("energy", "BFMI", _bfmi, ".2f"),
        ("lp", "log density", lambda values: values.mean(axis=1), ".2f"),
    ):
        if key in statistics:
            columns[name] = [format(value, digits) for value in of(np.asarray(statistics[key], float))]
    note = attributes.get("start_note")
    words = f"Chains started by {attributes.get('start', 'an unknown method')}{f': {note}' if note else ''}."
    if not columns:
        return paragraph(words)
    rows = [[f"chain {number}", *(column[i] for column in columns.values())] for i, number in enumerate(numbers)]
    return join([paragraph(words), table(["", *columns], rows, "The chains")])


def _bfmi(energy: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1, ddof=1)


def energies(subject: Material) -> Html:
    """Whether momenta reach the whole range of energies."""
    if "energy" not in subject.statistics:
        return paragraph("The sampler gave no energies.")
    alt = (
        "Distribution of the energies visited (marginal) and of their changes from draw to draw (transition), chain by "
        "chain: the two should be about as wide"
    )
    return _figure(figures.energy(figures.Draws({}, subject.statistics)), alt)


def divergences(subject: Material) -> Html:
    """How many draws diverged, and where."""
    diverging = subject.statistics.get("diverging")
    if diverging is None:
        return paragraph("The sampler gave no divergences.")
    count = int(np.sum(diverging))
    if not count:
        return paragraph("No divergences.")
    words = f"{count:,} of {diverging.size:,} draws diverged."
    lean = subject.lean
    if lean is None:
        return paragraph(f"{words} No single quantity tells where.")
    where = (
        f" They lie mostly where {lean.name} is {lean.side}: its median is {lean.there:.3g} there and "
        f"{lean.elsewhere:.3g} elsewhere. They are marked in the scatter plots above."
    )
    return paragraph(words, where)


def predictions(subject: Material) -> Html:
    """Data simulated from the posterior beside the data observed."""
    tree = subject.tree
    if "posterior_predictive" not in tree.children:
        return paragraph(
            "No simulated data. If the model has a simulator, ",
            element("code", "gradmc predict RUN"),
            " (",
            element("code", "gm.predict"),
            " in Python) adds them.",
        )
    observed = tree["observed_data"].data_vars if "observed_data" in tree.children else {}
    shared = [str(name) for name in tree["posterior_predictive"].data_vars if name in observed]
    if not shared:
        return paragraph("Nothing that was simulated was also observed.")
    pieces = [paragraph("Data simulated from the posterior should look like the data observed.")]
    for name in shared[:WORST]:
        small = _predictive_tree(subject, name)
        ordinary = f"Data observed for {name} (dark) among 50 data sets simulated from the posterior"
        shown = [_figure(figures.predictive(small, name), ordinary)]
        if "log_likelihood" in small.children and name in small["log_likelihood"].data_vars:
            pit = (
                f"Calibration of the predictions of {name}: where each observation lies among its predictions from the "
                "other data; small p if not evenly spread, as in a model that predicts well"
            )
            shown.append(_figure(figures.loo_pit(small, name), pit))
        pieces.append(element("section", element("h3", name), element("div", *shown, class_="pictures")))
    return join(pieces)


def _predictive_tree(subject: Material, name: str) -> Any:
    """What the plots of predictions need, with draws thinned; whole numbers beside real predictions are real."""
    import xarray as xr

    step = max(1, subject.summary.draws // 250)
    groups = {}
    for group in ("posterior_predictive", "log_likelihood"):
        if group in subject.tree.children and name in subject.tree[group].data_vars:
            groups[group] = subject.tree[group].to_dataset()[[name]].isel(draw=slice(None, None, step)).load()
    observed = subject.tree["observed_data"].to_dataset()[[name]].load()
    if groups["posterior_predictive"][name].dtype.kind == "f":
        observed = observed.astype(float)
    worst = subject.draws(subject.worst[:1]).thinned(-(-subject.summary.draws // step))["posterior"].to_dataset()
    return xr.DataTree.from_dict({"posterior": worst, **groups, "observed_data": observed})


def cross_validation(subject: Material) -> Html:
    """Expected predictive accuracy by leave-one-out cross-validation."""
    tree = subject.tree
    if "log_likelihood" not in tree.children:
        return paragraph(
            "No pointwise log likelihood. Mark the terms of the likelihood with ",
            element("code", "gm.observe"),
            " to compare models.",
        )
    from arviz_stats.loo import loo

    pieces: list[Html] = []
    variables = list(tree["log_likelihood"].data_vars.items())
    if len(variables) > MOST_TERMS:
        pieces.append(paragraph(f"The first {MOST_TERMS} of {len(variables)} terms of the likelihood."))
    for name, array in variables[:MOST_TERMS]:
        heading = element("h3", name)
        if array.size > MOST_POINTWISE:
            words = f"{array.size:,} pointwise values are too many for a report; use arviz_stats.loo_subsample."
            pieces.append(element("section", heading, paragraph(words)))
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is said below
            estimate: Any = loo(tree, var_name=str(name))
        bad = int(np.sum(estimate.pareto_k.values > estimate.good_k))
        pairs = [
            ("elpd", f"{estimate.elpd:.2f}, standard error {estimate.se:.2f}"),
            ("Effective parameters", f"{estimate.p:.2f}"),
            ("Observations", f"{estimate.n_data_points:,}"),
        ]
        words = (
            f"{bad} of {estimate.n_data_points:,} observations {'has' if bad == 1 else 'have'} a Pareto k above "
            f"{estimate.good_k:.2f}, too influential for this estimate, which is too optimistic."
            if bad
            else f"All Pareto k are at most {estimate.good_k:.2f}: the estimate can be trusted."
        )
        shown = [facts(pairs), paragraph(words)]
        if figures.available():
            alt = f"Pareto k of each observation of {name}; above {estimate.good_k:.2f} the estimate is unreliable"
            shown.append(_figure(figures.pareto(estimate), alt))
        pieces.append(element("section", heading, *shown))
    return join(pieces)


def sensitivity(subject: Material) -> Html:
    """How much the posterior would change with a stronger or weaker prior or likelihood."""
    tree = subject.tree
    if not {"log_prior", "log_likelihood"} <= set(tree.children):
        return paragraph("Needs a program that marks its likelihood with ", element("code", "gm.observe"), ".")
    import logging

    import xarray as xr
    from arviz_stats.psense import psense_summary

    names = [row.name for row in subject.summary.rows if not row.constant and math.isfinite(row["mean"])][:50]
    arrays = enumerate(select(tree, names).values())  # by number: a DataTree takes no names with a slash
    posterior = xr.Dataset({f"q{number}": (("chain", "draw"), array) for number, array in arrays})
    groups = {"posterior": posterior, **{group: tree[group].to_dataset() for group in ("log_prior", "log_likelihood")}}
    logger = logging.getLogger("arviz_stats.psense")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it says what the table says, and where to read about it
    try:
        found: Any = psense_summary(xr.DataTree.from_dict(groups), round_to=6)
    finally:
        logger.setLevel(level)
    rows = [
        [name, f"{float(row['prior']):.3f}", f"{float(row['likelihood']):.3f}", _said(str(row["diagnosis"]))]
        for name, (_, row) in zip(names, found.iterrows(), strict=True)
    ]
    count = sum(row[3] != "" for row in rows)
    words = (
        f"How far the posterior moves if prior or likelihood are raised to a power near 1 (above 0.05 is worth a look; "
        f"Kallioinen et al. 2024). {count} of {len(rows)} quantities are."
    )
    return join([paragraph(words), table(["", "prior", "likelihood", "may be"], rows, "Sensitivity")])


def _said(diagnosis: str) -> str:
    return "" if diagnosis == "✓" else diagnosis.removeprefix("potential ")


def calibration(subject: Material) -> Html:
    """Simulation-based calibration, where it was made."""
    made = subject.calibration
    if made is None:
        return paragraph(
            "Not made. ",
            element("code", "gradmc calibrate run.toml --json > calibration.json"),
            " checks that program, simulator and sampler agree; ",
            element("code", "gradmc report RUN --calibration calibration.json"),
            " shows the outcome here.",
        )
    verdict = "is calibrated" if made["passed"] else "is NOT calibrated"
    words = f"{made['model']} {verdict}: {made['replications']} replications, {made['divergences']} divergences."
    rows = [
        [name, f"{p:.3g}", "not uniform" if name in made["failures"] else "may be uniform"]
        for name, p in sorted(made["p_values"].items(), key=lambda item: item[1])[:100]
    ]
    return join([paragraph(words), table(["", "p-value", "ranks"], rows, "Ranks of the true values")])


def provenance(subject: Material) -> Html:
    """Versions and hashes: what is needed to repeat the run."""
    attributes, manifest = subject.tree.attrs, subject.manifest
    pairs: list[tuple[str, object]] = []
    if "gradmc_run" in attributes:
        pairs.append(("Run", element("code", attributes["gradmc_run"])))
    hashes = manifest.get("identity") or {
        key.removesuffix("_hash"): value for key, value in attributes.items() if key.endswith("_hash")
    }
    pairs += [(f"Hash of {name}", element("code", value)) for name, value in hashes.items()]
    versions = manifest.get("versions") or {"gradmc": attributes.get("inference_library_version", "unknown")}
    pairs += [(name, version) for name, version in versions.items()]
    pairs += [(f"Machine: {name}", value) for name, value in manifest.get("machine", {}).items()]
    shown = [facts(pairs)]
    if manifest.get("config"):
        shown.append(
            element(
                "details",
                element("summary", "Configuration"),
                element("pre", json.dumps(manifest["config"], indent=2, default=str)),
            )
        )
    return join(shown)


def _figure(image: figures.Image, caption: str, more: str = "") -> Html:
    """A picture; who cannot see it is told `more` than the caption says."""
    content, kind = image
    return picture(content, kind, f"{caption}{more}.", f"{caption}.")
