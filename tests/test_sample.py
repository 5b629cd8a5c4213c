"""`gm.sample`: the pipeline from a model to an ArviZ DataTree."""

import _thread
import importlib
import re
import signal
import warnings
from collections.abc import Iterator
from typing import Any

import arviz_base
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradmc as gm
from gradmc import Data, Positive, Real, session
from gradmc.diagnostics.summary import summarise
from gradmc.errors import DataError, ProgramError, StartError, UsageError
from gradmc.lpdf import half_normal, normal
from gradmc.results.attrs import storable
from gradmc.run.progress import NoProgress
from tests.goodness import assert_normal

STATISTICS = {
    "lp": "f",
    "energy": "f",
    "diverging": "b",
    "acceptance_rate": "f",
    "step_size": "f",
    "tree_depth": "i",
    "n_steps": "i",
    "reached_max_treedepth": "b",
    "energy_error": "f",
    "max_energy_error": "f",
}


@gm.model
def schools(mu: Real, tau: Positive, theta: Real["school"], *, y: Data["school"]):
    lp = normal(mu, 0.0, 1.0) + half_normal(tau, 1.0)
    for j in range(len(y)):
        lp += normal(theta[j], mu, tau) + gm.observe("y", normal(y[j], theta[j], 1.0))
    gm.record("doubled", 2.0 * mu)
    return lp


DATA = {"y": np.array([0.3, -0.5, 1.2])}
pipeline = importlib.import_module("gradmc.sample")  # the package's attribute `sample` is the function
# After a warmup as short as here a draw may diverge; that is the business of other tests.
pytestmark = pytest.mark.filterwarnings("ignore:.* diverged:gradmc.SamplingWarning")
QUICK: dict[str, Any] = {"seed": 3, "chains": 2, "warmup": 60, "draws": 30, "progress": "none"}


@pytest.fixture(scope="module")
def tree() -> Any:
    return gm.sample(schools, DATA, keep_warmup=True, keep_unconstrained=True, **QUICK)


@gm.model
def ragged(mu: Real, *, y):
    lp = normal(mu, 0.0, 1.0)
    for group in y:
        lp += gm.observe("y", normal(np.sum(group), mu, 1.0))
    return lp


class TestNoDrawIsLost:
    def test_to_data_that_results_cannot_hold(self) -> None:
        with pytest.warns(UserWarning, match=r"the results leave out y \(list\)"):
            tree = gm.sample(ragged, {"y": [[1.0, 2.0], [3.0]]}, **QUICK)
        assert tree["log_likelihood"]["y"].shape == (2, 30, 2)
        assert "constant_data" not in tree.children

    @pytest.mark.parametrize("step", ["finalize", "to_datatree"])
    def test_to_a_bug(self, monkeypatch: pytest.MonkeyPatch, tree: Any, step: str) -> None:
        def fail(*_: Any) -> None:
            raise ValueError("inhomogeneous shape")

        monkeypatch.setattr(session.MemoryStore, step, fail)
        with pytest.warns(gm.SamplingWarning, match=r"returned bare, .* raised ValueError: inhomogeneous shape"):
            bare = gm.sample(schools, DATA, **QUICK)
        for group in ("posterior", "sample_stats", "log_likelihood"):
            for name, values in bare[group].data_vars.items():
                np.testing.assert_array_equal(values, tree[group][name])

    @pytest.mark.parametrize(("value", "kind"), [(1j, "complex128"), (jnp.bfloat16(1.0), "bfloat16")])
    def test_to_marks_that_results_cannot_hold(self, value: Any, kind: str) -> None:
        @gm.model
        def marked(mu: Real):
            gm.record("z", mu + value if kind == "complex128" else value)
            return normal(mu, 0.0, 1.0)

        with pytest.raises(ProgramError, match=rf"record\('z', ...\): the results hold .* real numbers, got {kind}"):
            gm.sample(marked, **QUICK)


def normal_density(dim: int = 2) -> gm.Density:
    return gm.from_logdensity(lambda x: -0.5 * jnp.sum(x**2), np.zeros(dim))


class TestTree:
    """What comes back."""

    def test_groups(self, tree: Any) -> None:
        groups = {
            "posterior",
            "sample_stats",
            "log_likelihood",
            "log_prior",
            "observed_data",
            "unconstrained_posterior",
            "warmup_posterior",
            "warmup_sample_stats",
        }
        assert groups <= set(tree.children)

    def test_posterior(self, tree: Any) -> None:
        posterior = tree["posterior"]
        assert set(posterior.data_vars) == {"mu", "tau", "theta", "doubled"}
        assert posterior["theta"].dims == ("chain", "draw", "school")
        assert posterior["theta"].shape == (2, 30, 3)
        assert float(posterior["tau"].min()) > 0
        np.testing.assert_allclose(posterior["doubled"], 2 * posterior["mu"])
        assert tree["warmup_posterior"]["mu"].shape == (2, 60)
        assert tree["log_likelihood"]["y"].shape == (2, 30, 3)

    @pytest.mark.parametrize("group", ["sample_stats", "warmup_sample_stats"])
    def test_statistics_have_the_names_and_kinds_of_arviz(self, tree: Any, group: str) -> None:
        assert {str(n): v.dtype.kind for n, v in tree[group].data_vars.items()} == STATISTICS

    def test_statistics_fit_the_draws(self, tree: Any) -> None:
        """The log density stored is that of the unconstrained draw, which maps to the draw stored."""
        density = gm.density(schools, DATA)
        stats, unconstrained = tree["sample_stats"], tree["unconstrained_posterior"]
        assert set(unconstrained.data_vars) == {"tau"}, "the other parameters are their own coordinates"
        for chain in range(2):
            for i in (0, 29):
                draw = tree["posterior"].isel(chain=chain, draw=i)
                tau = unconstrained["tau"].values[chain, i]
                x = np.concatenate([[draw["mu"].item(), tau], draw["theta"].values])
                assert float(density(x)) == pytest.approx(float(stats["lp"][chain, i]), rel=1e-10)
                assert density.constrain(x)["tau"] == pytest.approx(draw["tau"].item())
        assert np.all(stats["n_steps"] < 2 ** (stats["tree_depth"] + 1))
        assert np.all((stats["acceptance_rate"] >= 0) & (stats["acceptance_rate"] <= 1))
        likelihood = tree["log_likelihood"]["y"].values
        expected = -0.5 * (DATA["y"] - tree["posterior"]["theta"].values) ** 2 - 0.5 * np.log(2 * np.pi)
        np.testing.assert_allclose(likelihood, expected)

    def test_attributes(self, tree: Any) -> None:
        attributes = {**tree.attrs, **tree["posterior"].attrs}
        assert attributes["seed"] == 3
        assert attributes["tuning_steps"] == 60
        assert attributes["n_gradients"] > int(tree["sample_stats"]["n_steps"].sum())

    def test_same_seed_same_draws(self, tree: Any) -> None:
        again = gm.sample(schools, DATA, cores=1, **QUICK)
        np.testing.assert_array_equal(again["posterior"]["theta"], tree["posterior"]["theta"])
        assert "warmup_posterior" not in again.children
        assert "unconstrained_posterior" not in again.children

    def test_arviz_summarises_it(self, tree: Any) -> None:
        from arviz_stats import summary

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sixty draws are few
            table = summary(tree)
        assert {"mu", "tau", "theta[0]"} <= set(table.index)
        assert arviz_base.extract(tree)["mu"].shape == (60,)


class TestDraws:
    """They are draws of the target."""

    @pytest.mark.parametrize("kernel", ["nuts", "hmc"])
    def test_of_a_normal(self, kernel: Any) -> None:
        """Thinned far beyond the correlation time; p < 1e-5."""
        tree = gm.sample(
            normal_density(), kernel=kernel, chains=4, warmup=200, draws=3000, progress="none", keep_unconstrained=True
        )
        assert_normal(tree["posterior"]["x"].values[:, ::10].ravel())

    def test_in_single_precision(self) -> None:
        density = gm.from_logdensity(lambda x: -0.5 * jnp.sum(x**2), np.zeros(2), precision="float32")
        tree = gm.sample(density, **QUICK)
        assert tree["posterior"]["x"].dtype == np.float32
        single = gm.sample(schools, DATA, precision="float32", target_accept=0.95, **QUICK)
        assert single["posterior"]["theta"].dtype == np.float32

    def test_the_process_keeps_its_precision(self) -> None:
        assert not jax.config.jax_enable_x64
        gm.sample(normal_density(), **QUICK)
        assert not jax.config.jax_enable_x64
        assert jnp.ones(1).dtype == jnp.float32

    def test_from_given_starts(self) -> None:
        starts = [
            {"mu": 0.5, "tau": 1.5, "theta": [0.1, 0.2, 0.3]},
            {"mu": -0.5, "tau": 0.5, "theta": [0.0, 0.0, 0.0]},
        ]
        tree = gm.sample(schools, DATA, initial=starts, **QUICK)
        same = gm.sample(schools, DATA, initial=starts[0], **QUICK)
        np.testing.assert_array_equal(tree["posterior"]["mu"][0], same["posterior"]["mu"][0])
        assert not np.array_equal(tree["posterior"]["mu"][1], same["posterior"]["mu"][1])


class TestInterrupt:
    """Ctrl-C."""

    @pytest.fixture(autouse=True)
    def heeded(self) -> Iterator[None]:
        """A shell starts background jobs with Ctrl-C ignored, and the tests may be one."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
        signal.signal(signal.SIGINT, before)

    def test_returns_the_draws_so_far(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Impatient(NoProgress):
            def update(self, status: Any) -> None:
                if status.phase == "sampling" and status.chain == 0 and not self.board.statuses:
                    self.board.put(status)
                    _thread.interrupt_main()

        monkeypatch.setattr(pipeline, "choose_display", lambda _: Impatient())
        with pytest.warns(gm.SamplingWarning, match=r"interrupted: \d+ of 3000000 draws per chain are returned"):
            tree = gm.sample(normal_density(), seed=1, chains=2, warmup=50, draws=3_000_000)
        x = tree["posterior"]["x"].values
        assert x.shape[0] == 2 or x.shape[1] > 0
        assert np.all(np.isfinite(x))
        assert len(np.unique(x[..., 0])) > 1

    def test_before_the_first_draw(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Hasty(NoProgress):
            def update(self, status: Any) -> None:
                if not self.board.statuses:
                    self.board.put(status)
                    _thread.interrupt_main()

        monkeypatch.setattr(pipeline, "choose_display", lambda _: Hasty())
        with pytest.warns(gm.SamplingWarning, match="interrupted: 0 of 10 draws per chain are returned"):
            tree = gm.sample(normal_density(), seed=1, chains=2, warmup=2**29, draws=10)
        assert "posterior" not in tree.children or tree["posterior"].sizes.get("draw", 0) == 0


class TestRefusals:
    """Wrong arguments, before anything is compiled."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"chains": 0}, "chains must be a whole number between 1 and"),
            ({"draws": -1}, "draws must be a whole number between 0 and"),
            ({"target_accept": 1.5}, "target_accept must be a number between 0 and 1"),
            (
                {"kernel": "gibbs"},
                "kernel must be one of 'auto', 'nuts', 'hmc', 'microcanonical', 'chees', 'sghmc'; got 'gibbs'",
            ),
            ({"metric": "unit"}, "metric must be one of"),
            ({"cores": 0}, "cores must be a whole number at least 1"),
            ({"progress": "bar"}, "unknown progress display 'bar'"),
            ({"precision": "float16"}, "precision"),
            ({"initial": [{"mu": 0, "tau": 1, "theta": [0, 0, 0]}]}, "initial has 1 starting points for 4 chains"),
            ({"initial": {"mu": 0, "omega": 1}}, "omega"),
            ({"initial": {"mu": 0, "tau": -1, "theta": [0, 0, 0]}}, "tau"),
            ({"initial": {"mu": 0, "tau": 1, "theta": [0, 0]}}, "theta"),
            ({"initial": 3.0}, "initial must map parameter names to values, .*; got 3.0"),
            ({"initial": "mu"}, "initial must map parameter names to values, .*; got 'mu'"),
            ({"initial": [1, 2, 3, 4]}, r"initial must map parameter names to values, .*; got \[1, 2"),
        ],
    )
    def test_settings(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            gm.sample(schools, DATA, **{"progress": "none", **arguments})

    def test_something_else_than_a_model(self) -> None:
        with pytest.raises(UsageError, match=r"expected a model or a density, got function; decorate .* @gm.model"):
            gm.sample(lambda x: x)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="expected a model or a density, got int"):
            gm.sample(3)  # type: ignore[arg-type]

    def test_data_with_a_density(self) -> None:
        with pytest.raises(UsageError, match="a density has its data already"):
            gm.sample(normal_density(), {"y": 1})

    def test_wrong_data(self) -> None:
        with pytest.raises(DataError, match="y"):
            gm.sample(schools, {}, progress="none")
        with pytest.raises(DataError, match="y"):
            gm.sample(schools, {"y": [1.0, np.nan]}, progress="none")


class TestStart:
    """No valid start: the error names things."""

    def test_a_program_that_is_minus_infinity_everywhere(self) -> None:
        @gm.model
        def hopeless(mu: Real, *, y: Data["n"]):
            return normal(mu, 0.0, 1.0) + gm.observe("y", normal(y, mu, 1.0) - np.inf)

        with pytest.raises(
            StartError, match=re.compile(r"no valid start for chain \d: at 100 starting points.*mu", re.S)
        ):
            gm.sample(hopeless, {"y": [1.0]}, progress="none")

    def test_a_program_whose_gradient_is_no_number(self) -> None:
        @gm.model
        def kinked(mu: Real):
            return normal(mu, 0.0, 1.0) + jnp.sqrt(0.0 * mu)

        with pytest.raises(StartError, match=re.compile("no valid start.*gradient.*mu", re.S)):
            gm.sample(kinked, progress="none")

    def test_a_given_start_outside(self) -> None:
        density = gm.from_logdensity(lambda x: jnp.where(x[0] > 0, -x[0], -jnp.inf), np.zeros(1))
        with pytest.raises(StartError, match="no valid start for chain 0: at the given starting point"):
            gm.sample(density, initial={"x": [-1.0]}, chains=1, progress="none")


@pytest.mark.parametrize(("warmup", "draws"), [(0, 3), (1, 1), (5, 2), (20, 0), (0, 0)])
def test_very_short_runs(warmup: int, draws: int) -> None:
    tree = gm.sample(normal_density(), seed=1, chains=2, warmup=warmup, draws=draws, progress="none")
    if draws:
        assert tree["posterior"]["x"].shape == (2, draws, 2)


def test_no_draws_have_the_groups_that_draws_have() -> None:
    @gm.model
    def regression(slope: Real, noise: Positive, *, y: Data["n"]):
        for v in y:
            gm.observe("y", normal(v, slope, noise))
        gm.record("twice", 2 * slope)
        return normal(slope, 0.0, 1.0) + normal(noise, 0.0, 1.0)

    data = {"y": [0.1, 0.5, 0.9]}
    some, none = (
        gm.sample(regression, data, seed=1, chains=2, warmup=20, draws=n, progress="none", keep_unconstrained=True)
        for n in (5, 0)
    )
    assert list(none.children) == list(some.children)
    for group in ("posterior", "sample_stats", "log_likelihood", "unconstrained_posterior"):
        assert {k: v.dtype for k, v in none[group].data_vars.items()} == {
            k: v.dtype for k, v in some[group].data_vars.items()
        }
        assert none[group].sizes == {**some[group].sizes, "draw": 0}
    assert "only 0 draws" in str(gm.diagnose(none))
    with pytest.raises(UsageError, match="no draws: there is nothing to summarise"):
        summarise(none)


def test_nothing_to_sample() -> None:
    with pytest.raises(UsageError, match="0 unconstrained coordinates, so there is nothing to sample"):
        gm.sample(gm.from_logdensity(lambda x: jnp.sum(x), np.zeros(0)), seed=1)


def test_starting_values_that_are_no_numbers() -> None:
    with pytest.raises(UsageError, match="mu: expected a number or an array of numbers, got 'a'"):
        gm.density(schools, DATA).unconstrain({"mu": "a", "tau": 1.0, "theta": np.zeros(3)})


def test_long_seeds_fit_into_files() -> None:
    # NetCDF has no integers beyond 64 bits.
    assert storable({"seed": 2**64 - 1, "long": 2**64}) == {"seed": 2**64 - 1, "long": str(2**64)}
