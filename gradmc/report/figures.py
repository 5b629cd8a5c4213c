"""The pictures of a report, drawn by ArviZ and embedded in the page.

Each is small, so that a phone can show it whole; those with thousands of points are PNG, the others SVG.
"""

import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

SIZE = (4.8, 2.7)  # inches
DOTS_PER_INCH = 140
TRACE_DRAWS = 1000  # per chain
PAIR_DRAWS = 300  # per chain, beside the divergent ones

type Image = tuple[bytes, str]
"""A file and its type."""


def available() -> bool:
    """Whether ArviZ's plots and matplotlib are installed."""
    return find_spec("arviz_plots") is not None and find_spec("matplotlib") is not None


@dataclass(frozen=True, slots=True)
class Draws:
    """Draws of some scalar quantities, with the statistics of the sampler.

    Args:
        values: name -> shape (chain, draw).
        statistics: name -> shape (chain, draw); `diverging` and `energy` are used.
    """

    values: Mapping[str, np.ndarray]
    statistics: Mapping[str, np.ndarray]

    def tree(self, kept: np.ndarray | slice = slice(None)) -> Any:
        """As ArviZ wants them, under names that are neither mathematics to matplotlib nor paths to xarray."""
        import xarray as xr

        def group(arrays: Mapping[str, np.ndarray]) -> Any:
            found = {name: (("chain", "draw"), array[:, kept]) for name, array in arrays.items()}
            chains, count = next(iter(arrays.values())).shape
            return xr.Dataset(found, coords={"chain": np.arange(chains), "draw": np.arange(count)[kept]})

        def plain(name: str) -> str:
            return name.replace("$", r"\$").replace("/", "\N{DIVISION SLASH}")

        groups = {"posterior": {plain(name): array for name, array in self.values.items()}}
        groups["sample_stats"] = dict(self.statistics)
        return xr.DataTree.from_dict({name: group(arrays) for name, arrays in groups.items() if arrays})

    def thinned(self, most: int, *, and_divergent: bool = False) -> Any:
        """About `most` draws of each chain, evenly spread, and the divergent ones on request."""
        count = next(iter(self.values.values())).shape[1]
        kept = np.zeros(count, bool)
        kept[:: max(1, -(-count // most))] = True
        if and_divergent and "diverging" in self.statistics:
            kept |= self.statistics["diverging"].astype(bool).any(axis=0)
        return self.tree(np.flatnonzero(kept))


def trace(draws: Draws) -> Image:
    """The values of one quantity, draw after draw, a line for each chain."""
    visuals = {"trace": {"alpha": 0.7, "width": 0.7}, "title": False}
    return _drawn(lambda plots, common: plots.plot_trace(draws.thinned(TRACE_DRAWS), visuals=visuals, **common))


def rank(draws: Draws) -> Image:
    """How far the ranks of each chain's draws among all draws are from uniform, with a test of whether by chance."""
    return _drawn(lambda plots, common: plots.plot_rank(draws.tree(), visuals={"title": False}, **common))


def pair(draws: Draws) -> Image:
    """Quantities against one another, divergent draws marked."""
    side = max(3.6, 1.7 * len(draws.values))
    diverging = draws.statistics.get("diverging")
    marked = diverging is not None and bool(np.any(diverging))

    def draw(plots: Any, common: dict[str, Any]) -> None:
        common["figure_kwargs"] = {"figsize": (side, side)}
        tree = draws.thinned(PAIR_DRAWS, and_divergent=True)
        plots.plot_pair(tree, visuals={"divergence": marked, "scatter": {"alpha": 0.25}}, **common)

    return _drawn(draw)


def energy(draws: Draws) -> Image:
    """The energies visited beside the energies that a new momentum gives."""
    return _drawn(lambda plots, common: plots.plot_energy(draws.tree(), **common))


def predictive(tree: Any, variable: str) -> Image:
    """The distribution of data simulated from the posterior beside that of the data observed."""
    discrete = tree["posterior_predictive"][variable].dtype.kind in "biu"
    kind = "ecdf" if discrete else "kde"
    return _drawn(
        lambda plots, common: plots.plot_ppc_dist(
            tree, var_names=[variable], kind=kind, num_samples=50, visuals={"title": False}, **common
        ),
        vector=True,
    )


def loo_pit(tree: Any, variable: str) -> Image:
    """Whether each observation lies among its predictions from the others as it should."""
    visuals = {"title": False}
    return _drawn(
        lambda plots, common: plots.plot_loo_pit(tree, var_names=[variable], visuals=visuals, **common), vector=True
    )


def pareto(estimate: Any) -> Image:
    """The Pareto k of each observation."""
    return _drawn(lambda plots, common: plots.plot_khat(estimate, **common), vector=estimate.n_data_points < 500)


def _drawn(draw: Callable[[Any, dict[str, Any]], Any], *, vector: bool = False) -> Image:
    """What a function draws, as a file: SVG, or PNG."""
    import arviz_plots
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    with _settings(pyplot):
        before = set(pyplot.get_fignums())
        draw(arviz_plots, {"backend": "matplotlib", "figure_kwargs": {"figsize": SIZE}})
        numbers = [number for number in pyplot.get_fignums() if number not in before]
        try:
            figure: Figure = pyplot.figure(numbers[-1])
            return _file(figure, vector=vector)
        finally:
            for number in numbers:
                pyplot.close(number)


@contextmanager
def _settings(pyplot: Any) -> Iterator[None]:
    """ArviZ's style, for the time of one picture: the caller's settings and figures stay as they are."""
    import matplotlib

    interactive = matplotlib.is_interactive()
    with pyplot.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyplot.ioff()
        pyplot.style.use(["default", "arviz-variat"])
        matplotlib.rcParams.update({"font.size": 9, "legend.fontsize": 8, "svg.fonttype": "path"})
        yield
    if interactive:
        pyplot.ion()


def _file(figure: Any, *, vector: bool) -> Image:
    for axes in figure.axes:
        for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
            text.set_fontsize(9)
        axes.tick_params(labelsize=8)
    file = io.BytesIO()
    if vector:
        figure.savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue(), "image/svg+xml"
    figure.savefig(file, format="png", dpi=DOTS_PER_INCH)
    return file.getvalue(), "image/png"
