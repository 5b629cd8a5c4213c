"""Models and densities travel by value, with their source."""

import linecache
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cloudpickle
import numpy as np
import pytest
from dask import config
from dask.tokenize import tokenize

import gradmc as gm
from gradmc.density.prior import prior_density
from gradmc.errors import UsageError
from gradmc.program import parcel
from gradmc.program.parcel import Parcel, packed, placed

X = np.array([0.1, 0.2, 0.3])
Y = [1.0, 2.0, 3.0]
HELPER = """
SCALE = 2.0


def spread(tau):
    for k in range(30):
        tau = tau + 0.1 * k
    return SCALE + tau
"""
SCRIPT = """
import pickle

import cloudpickle
import helper_that_travels
import numpy as np

import gradmc as gm

SHIFT = np.arange(3.0)


@gm.model
def line(mu: gm.Real, tau: gm.Positive, s: gm.Interval(0, lambda mu: 1 + mu * mu), *, y: gm.Data["n"]):
    lp = gm.lpdf.normal(mu, 0.0, 5.0)
    for j in range(len(y)):
        lp += gm.observe("y", gm.lpdf.normal(y[j], mu + SHIFT[j], helper_that_travels.spread(tau)))
    return lp


@line.simulator
def simulate(rng, mu, tau, s, *, y):
    return {"y": rng.normal(mu, tau, len(y))}


@gm.model
def ill(mu: gm.Real):
    return np.log(mu - mu)


def made(k):
    def square(a):
        return k * a**2

    @gm.model
    def local(mu: gm.Real):
        return -square(mu)

    return local


if __name__ == "__main__":
    density = gm.density(line, {"y": [1.0, 2.0, 3.0]})
    things = {"line": line, "density": density, "ill": ill, "local": made(3.0), "gm": gm}
    for library in (pickle, cloudpickle):
        with open(library.__name__, "wb") as file:
            file.write(library.dumps({**things, "value": float(density([0.1, 0.2, 0.3])), "digest": line.digest}))
"""


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """What a script has pickled, which is no longer there."""
    folder = tmp_path_factory.mktemp("sent")
    script, helper = folder / "script.py", folder / "helper_that_travels.py"
    script.write_text(SCRIPT)
    helper.write_text(HELPER)
    subprocess.run([sys.executable, str(script)], cwd=folder, check=True, timeout=300)
    script.unlink()
    helper.unlink()
    content = {name: (folder / name).read_bytes() for name in ("pickle", "cloudpickle")}
    return SimpleNamespace(script=script, helper=helper, content=content)


@pytest.mark.parametrize("library", ["pickle", "cloudpickle"])
def test_a_script_travels_to_a_process_without_its_files(sent: SimpleNamespace, library: str) -> None:
    things = pickle.loads(sent.content[library])
    assert things["gm"] is gm
    assert things["line"].digest == things["digest"]
    assert float(things["density"](X)) == things["value"]
    assert float(gm.density(things["line"], {"y": Y})(X)) == things["value"]
    assert gm.density(things["local"])([2.0]) == -12.0
    assert things["line"].required_simulator()(np.random.default_rng(1), 0.0, 1.0, 0.5, y=Y)["y"].shape == (3,)


def test_lines_are_told_as_before(sent: SimpleNamespace) -> None:
    things = pickle.loads(sent.content["pickle"])
    told = str(gm.explain(things["line"], {"y": Y}, measure=False))
    assert 'lp += gm.observe("y", gm.lpdf.normal(y[j], mu + SHIFT[j], helper_that_travels.spread(tau)))' in told
    assert f"{sent.helper}:6, in spread" in told
    line = next(k for k, text in enumerate(SCRIPT.splitlines(), 1) if "np.log(mu - mu)" in text)
    failure = gm.density(things["ill"]).describe_failure([0.5])
    assert f"{sent.script}:{line}" in failure
    assert "return np.log(mu - mu)" in failure
    assert any(finding.code for finding in gm.check(things["ill"], fast=True).findings)


def test_another_file_of_that_name_is_not_taken_for_it(sent: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text("text = 1\n")
    assert placed(str(path), "text = 1\n") == str(path)
    other = placed(str(path), "text = 2\n")
    assert other.startswith(f"{path} (sent, ")
    assert linecache.getline(other, 1) == "text = 2\n"
    linecache.checkcache()
    assert linecache.getline(other, 1) == "text = 2\n"


def of_cell(text: str, name: str, **scope: Any) -> dict[str, Any]:
    """What a cell of a notebook defines."""
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    found = {"__name__": "__main__", "gm": gm, **scope}
    exec(compile(text, name, "exec"), found)
    return found


CELL = """
@gm.model
def cell(mu: gm.Real, *, y: gm.Data["n"]):
    lp = 0.0
    for j in range(len(y)):
        lp -= K * (y[j] - mu) ** 2
    return lp
"""


def test_a_cell_of_a_notebook_travels() -> None:
    cell = of_cell(CELL, "<ipython-input-7-abc>", K=2.0)["cell"]
    content = pickle.dumps(cell)
    value = float(gm.density(cell, {"y": Y})([0.5]))
    of_cell(CELL.replace("lp = 0.0", "lp = 1.0"), "<ipython-input-7-abc>", K=2.0)  # the notebook there has another
    again = pickle.loads(content)
    assert float(gm.density(again, {"y": Y})([0.5])) == value
    assert "<ipython-input-7-abc (sent, " in again.fn.__code__.co_filename


def test_digests_tell_programs_apart() -> None:
    digest = of_cell(CELL, "<cell-1>", K=2.0)["cell"].digest
    assert of_cell("\n\n" + CELL, "<cell-2>", K=2.0)["cell"].digest == digest  # elsewhere
    assert of_cell(CELL, "<cell-3>", K=3.0)["cell"].digest != digest  # another global
    assert of_cell(CELL.replace("** 2", "** 4"), "<cell-4>", K=2.0)["cell"].digest != digest
    with_files = CELL.replace("lp = 0.0", "lp = float(open('a').read())")
    assert of_cell(with_files, "<cell-5>", K=2.0)["cell"].digest is None


def test_dask_finds_tokens() -> None:
    first, second = (of_cell(CELL, f"<cell-{k}>", K=2.0)["cell"] for k in (6, 7))
    with config.set({"tokenize.ensure-deterministic": True}):
        assert tokenize(first) == tokenize(second)
        assert tokenize(gm.density(first, {"y": Y})) == tokenize(gm.density(second, {"y": Y}))
        assert tokenize(gm.density(first, {"y": Y})) != tokenize(gm.density(first, {"y": Y[:2]}))
        fit = of_cell("def fit(k):\n    return gm.density(model)([k])\n", "<cell-8>", model=first)["fit"]
        assert tokenize(fit) == tokenize(fit)


def test_other_versions_are_refused() -> None:
    sent = packed([1])
    assert sent.opened() == [1]
    for writer in (("2.7", sent.writer[1]), (sent.writer[0], "0.0.1")):
        with pytest.raises(UsageError, match=r"was pickled by gradmc .* on Python .*; install the same versions"):
            Parcel(writer, sent.content).opened()


def test_what_cannot_travel_is_refused() -> None:
    lock = threading.Lock()

    @gm.model
    def locked(mu: gm.Real):
        with lock:
            return -mu * mu

    with pytest.raises(UsageError, match=r"<model locked.* cannot be sent to another process: .*lock"):
        pickle.dumps(locked)


def test_a_module_that_cannot_travel_stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcel, "LOCK_OF_THIS_TEST", threading.Lock(), raising=False)
    monkeypatch.setattr(parcel, "is_library", lambda file: not file.startswith((__file__, parcel.__file__)))

    @gm.model
    def local(mu: gm.Real):
        return -mu * mu * len(parcel.__name__)

    assert pickle.loads(pickle.dumps(local))(1.0) == local(1.0)


def test_all_densities_travel() -> None:
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    def site(y: Any) -> None:
        numpyro.sample("y", dist.Normal(numpyro.sample("mu", dist.Normal(0, 1)), 1), obs=y)

    @gm.model
    def known(mu: gm.Real, tau: gm.Positive, *, y: gm.Data["n"]):
        return gm.lpdf.normal(mu, 0, 1) + gm.lpdf.exponential(tau, 1.0) + gm.observe("y", gm.lpdf.normal(y, mu, tau))

    densities = [
        gm.from_logdensity(lambda x: -jnp.sum(x["a"] ** 2), {"a": np.zeros(2)}),
        gm.from_numpyro(site, np.ones(3)),
        prior_density(known, {"y": Y}),
        gm.density(known, {"y": Y}, precision="float32"),
    ]
    for density in densities:
        again = pickle.loads(pickle.dumps(density))
        point = np.full(density.dim, 0.3)
        assert again(point) == density(point)
        assert again.dtype == density.dtype
        assert again.names == density.names


def test_a_density_is_not_traced_before_it_is_used() -> None:
    again = pickle.loads(pickle.dumps(gm.density(of_cell(CELL, "<cell-9>", K=2.0)["cell"], {"y": Y})))
    assert "_known" not in vars(again)
    assert again.dim == 1
    assert "_known" not in vars(again)
    assert np.isfinite(again([0.5]))
    assert "_known" in vars(again)


def test_settings_and_results_travel() -> None:
    for thing in (gm.Nuts(max_tree_depth=5), gm.Targets(ess=100), gm.Keep(thin=2), gm.Warmup(), gm.Pathfinder()):
        assert pickle.loads(pickle.dumps(thing)) == thing
    cell = of_cell(CELL, "<cell-10>", K=2.0)["cell"]
    draws = gm.sample(cell, {"y": Y}, seed=1, warmup=50, draws=20, chains=2, progress="none")
    assert pickle.loads(cloudpickle.dumps(draws)).identical(draws)
