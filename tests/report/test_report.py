"""A report: every section renders, whatever names the data bear, and the page needs nothing from elsewhere."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import gradmc as gm
from gradmc.diagnostics import Row, summarise
from gradmc.errors import UsageError
from gradmc.printable import CONTROL
from gradmc.report import Report
from gradmc.report.build import PARTS
from tests.browser import CHROMIUM, MISSING, chromium

EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "$x_{$",
    "</script><b>",
    "&amp;",
    "a/b",
    "'",
    "\x1b[31m\x9b2J\u202e\x07",
]
CALIBRATION = {
    "model": "<b>funnel</b>",
    "passed": False,
    "replications": 100,
    "p_values": {"mu": 0.4, "<i>tau</i>": 1e-6},
    "failures": ["<i>tau</i>"],
    "divergences": 2,
}


def make_tree(rng: np.random.Generator, *, labels: list[str], draws: int = 200, whole: bool = True) -> Any:
    """Draws of `mu`, `tau` and `theta[label]`, with divergences at small tau; all groups, or the posterior alone."""
    shape, dims = (4, draws), ("chain", "draw")
    tau = np.exp(rng.normal(size=shape))
    theta = rng.normal(size=(*shape, len(labels)))
    coords = {"chain": np.arange(4), "draw": np.arange(draws), "unit": labels}
    real = (*dims, "unit")

    def group(**arrays: Any) -> xr.Dataset:
        found = xr.Dataset(arrays)
        return found.assign_coords({name: coords[name] for name in found.dims})

    groups = {"posterior": group(mu=(dims, rng.normal(size=shape)), tau=(dims, tau), theta=(real, theta))}
    if whole:
        groups |= {
            "sample_stats": group(
                diverging=(dims, tau < np.quantile(tau, 0.02)),
                energy=(dims, rng.normal(size=shape)),
                acceptance_rate=(dims, rng.uniform(0.7, 1, size=shape)),
                step_size=(dims, np.full(shape, 0.3)),
                n_steps=(dims, np.full(shape, 7)),
                lp=(dims, rng.normal(size=shape)),
            ),
            "log_likelihood": group(y=(real, -(theta**2))),
            "log_prior": group(log_prior=(dims, -(tau**2))),
            "posterior_predictive": group(y=(real, rng.normal(size=theta.shape))),
            "observed_data": group(y=("unit", np.arange(len(labels)))),
        }
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {"name": "funnel</title>", "start": "pathfinder", "start_elbo": [1.0, 2.0, 3.0, 4.0], "seed": 1}
    return tree


@pytest.fixture(scope="module")
def evil() -> Report:
    """A report of a run with all groups and with the worst of names."""
    tree = make_tree(np.random.default_rng(1), labels=EVIL)
    manifest = {"command": ["gradmc", "</script>"], "status": "finished", "config": {"a": "</pre><script>"}}
    return gm.report(tree, calibration=CALIBRATION, manifest=manifest)


class Elements(HTMLParser):
    """All elements of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_every_section_renders(evil: Report) -> None:
    assert "could not be made" not in evil.html
    for title, anchor, _, _ in PARTS:
        assert f'<h2 id="{anchor}-title">{title}</h2>' in evil.html
    images = Elements(evil.html).named("img")
    assert len(images) >= 2 * 4 + 5  # traces, ranks; pairs, energies, predictions, LOO-PIT, Pareto k
    assert all(image["alt"] for image in images)
    assert len(evil.html.encode()) < 3e6


def test_names_from_data_stay_text(evil: Report) -> None:
    elements = Elements(evil.html)
    assert [set(script) for script in elements.named("script")] == [{"type", "id"}, set()]
    assert not elements.named("b")
    assert not elements.named("i")
    assert all(not name.startswith("on") for _, attributes in elements.found for name in attributes)
    data = re.search(r'<script type="application/json" id="summary-data">(.*?)</script>', evil.html, re.DOTALL)
    assert data is not None
    names = [row[0] for row in json.loads(data[1])["rows"]]
    assert [name for name in names if name.startswith("theta")] == [f"theta[{label}]" for label in EVIL]


def test_nothing_in_the_page_turns_or_rings(evil: Report) -> None:
    assert not CONTROL.search(evil.html)


def test_the_page_needs_nothing_from_elsewhere(evil: Report) -> None:
    for _, attributes in Elements(evil.html).found:
        for name in ("src", "href", "srcset", "action"):
            assert (attributes.get(name) or "#").startswith(("data:image/", "#"))
    assert "@import" not in evil.html
    assert "url(" not in evil.html


def test_a_bare_posterior_has_a_report(rng: np.random.Generator) -> None:
    made = gm.report(make_tree(rng, labels=["a"], whole=False))
    assert "could not be made" not in made.html
    assert "gm.observe" in made.html


def test_thousands_of_quantities_stay_under_3_mb(rng: np.random.Generator) -> None:
    tree = make_tree(rng, labels=["a"], draws=8, whole=False)
    few = summarise(tree)
    longer = [Row(f"theta[{'long name ' * 8}{i}]", few.rows[0].values) for i in range(12_000)]
    made = gm.report(tree, summary=replace(few, rows=(*few.rows, *longer)))
    assert "that are worst off" in made.html
    assert 1e6 < len(made.html.encode()) < 3e6


def test_a_section_that_fails_says_so_and_costs_no_other(rng: np.random.Generator) -> None:
    tree = make_tree(rng, labels=["a", "b"])
    tree["log_likelihood"] = xr.Dataset({"y": ("unit", [1.0, 2.0])})
    made = gm.report(tree)
    assert made.html.count("This section could not be made") >= 1
    assert '<h2 id="provenance-title">' in made.html


def test_no_draws_and_no_calibration_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(UsageError, match="a report needs draws"):
        gm.report(make_tree(rng, labels=["a"], draws=2))
    with pytest.raises(UsageError, match="calibration must be what"):
        gm.report(make_tree(rng, labels=["a"]), calibration={"p": 1})


def test_a_notebook_shows_it_in_a_frame_of_its_own(evil: Report, tmp_path: Path) -> None:
    frames = Elements(evil._repr_html_()).found
    assert [tag for tag, _ in frames] == ["iframe"]
    assert frames[0][1]["srcdoc"] == evil.html
    assert frames[0][1]["sandbox"] == "allow-scripts"
    assert evil.save(tmp_path / "page.html").read_text() == evil.html
    assert "MB" in repr(evil)


@pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
def test_in_a_browser_it_renders_sorts_and_filters(evil: Report, tmp_path: Path) -> None:
    address = evil.save(tmp_path / "page.html").as_uri()
    with chromium() as page:
        for width in (390, 1200):
            page.open(address, width)
            assert page.run("document.documentElement.scrollWidth <= innerWidth"), f"scrolls sideways at {width}"
            broken = page.run(
                "Promise.all([...document.images].map(i => (i.loading = 'eager', i.decode().catch(() => i.alt))))"
                ".then(found => found.filter(x => x))"
            )
            assert broken == []
            assert page.errors == []
        first = "document.querySelector('#summary tbody tr td').textContent"
        click = "document.querySelectorAll('#summary thead button')[1].click()"
        up = page.run(f"{click}, {first}")
        down = page.run(f"{click}, {first}")
        assert float(up) < float(down)
        assert page.run("document.querySelector('th[aria-sort]').getAttribute('aria-sort')") == "descending"
        type_in = "(f => { f.value = 'TAU'; f.dispatchEvent(new Event('input')); })(document.getElementById('filter'))"
        assert page.run(f"{type_in}, document.querySelectorAll('#summary tbody tr').length") == 1
        assert page.run("document.getElementById('shown').textContent") == "1 of 9 quantities"
        took = page.run("performance.getEntriesByType('navigation')[0].loadEventEnd")
        assert took < 3000  # a second on a machine at rest
        assert page.errors == []
