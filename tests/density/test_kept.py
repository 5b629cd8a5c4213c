"""What was made of a program is found by later processes, which trace nothing; never for another program."""

import functools
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradmc as gm
from gradmc.density import kept, known
from gradmc.density.kept import Shelf, shelf
from gradmc.density.program_density import ProgramDensity
from gradmc.errors import SelfCheckError
from gradmc.run.kept_code import settle, take
from tests.density.test_known import Y, data, line

pytestmark = pytest.mark.filterwarnings("ignore::gradmc.SamplingWarning")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of this test's own, and nothing known in this process."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    known.forget()
    yield tmp_path / "cache" / "gradmc" / "programs"
    known.forget()


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is traced."""
    from gradmc.program import tracing as program

    made: list[str] = []
    original = program.trace

    def counted(*arguments: Any, **options: Any) -> Any:
        made.append("trace")
        return original(*arguments, **options)

    monkeypatch.setattr(program, "trace", counted)
    return made


def asked(model: Any = line, given: Any = None) -> Any:
    """A density of which everything is asked that the results need, as another process would begin."""
    known.forget()
    density = gm.density(model, data() if given is None else given)
    assert density.group_dims
    return density


def sample(model: Any, data: Any, **settings: Any) -> Any:
    """A short run, after which everything is kept that is to be kept."""
    draws = gm.sample(model, data, **{"seed": 1, "chains": 2, "warmup": 20, "draws": 10, "progress": "none"} | settings)
    settle()
    return draws


run = functools.partial(sample, line)


def test_a_later_process_traces_nothing_and_draws_the_same(traces: list[str]) -> None:
    first = run(data())
    assert len(traces) == 2
    known.forget()  # all that this process knows, as if another had begun
    second = run(data())
    other = run(data(y=np.array([3.0, 1.0, 2.0])))
    assert len(traces) == 2
    for name in first.posterior:
        np.testing.assert_array_equal(first.posterior[name], second.posterior[name])
    assert second.attrs["self_check_value"] == second.attrs["self_check_gradient"] == "agrees"
    assert second.posterior.equals(first.posterior)
    assert not other.posterior.equals(first.posterior)
    known.forget()
    traced = gm.density(line, data())
    named = traced.log_density({"a": 0.1, "b": np.exp(0.2)}, jacobian=True)
    assert traced([0.1, 0.2]) == pytest.approx(named)
    assert len(traces) == 3  # what was not kept is traced when it is asked for


def test_other_settings_are_other_code(cache: Path) -> None:
    for number, settings in enumerate(({}, {"metric": "diagonal"}), start=1):
        run(data(), **settings)
        assert sum(1 for _ in cache.glob("*/advance-*")) == number


@pytest.mark.parametrize(
    ("changed", "anew"),
    [({"y": Y + 1}, False), ({"x": [0.3, -1.2, 0.9]}, False), ({"k": 3}, True), ({"x": [0.3, -1.2, 0.8, 0.1]}, True)],
)
def test_other_data_are_another_program_where_they_are_built_in(
    changed: dict[str, Any], anew: bool, traces: list[str]
) -> None:
    asked()
    traces.clear()
    other = asked(given=data(**changed))
    assert (traces != []) == anew
    known.forget()
    assert other([0.1, 0.2]) == gm.density(line, data(**changed))([0.1, 0.2])


def test_a_changed_global_is_another_program(traces: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = asked()([0.1, 0.0])
    monkeypatch.setattr(sys.modules[line.fn.__module__], "RATE", 3.0)
    assert asked()([0.1, 0.0]) == pytest.approx(before - 2.0)
    monkeypatch.undo()
    assert asked()([0.1, 0.0]) == before


def test_what_is_kept_of_another_program_does_not_decide(cache: Path, traces: list[str]) -> None:
    """As if two programs had one digest: the self-check finds out, and the program is traced after all."""

    @gm.model
    def other(a: gm.Real, b: gm.Positive, *, x: gm.Data, y: gm.Data["n"], k: gm.Data) -> float:
        return -b - a * a - 0.1 * np.sum((y - k * b) ** 2) - 0.0 * np.sum(x)

    run(data())
    right = sample(other, data())
    wrong, mine = (gm.density(model, data()).shelf for model in (line, other))
    assert wrong is not None
    assert mine is not None
    for name in ("advance", "expand"):
        (source,), (target,) = (list(place.folder.glob(f"{name}-*")) for place in (wrong, mine))
        body = wrong.take(source.name)
        assert body is not None
        mine.put(target.name, body)
    known.forget()
    traces.clear()
    found = sample(other, data())
    assert traces != []
    assert found.posterior.equals(right.posterior)
    known.forget()
    traces.clear()
    assert sample(other, data()).posterior.equals(right.posterior)
    assert traces == []  # and what is kept now is right


def test_a_program_that_is_compiled_wrongly_is_still_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    run(data())
    known.forget()
    monkeypatch.setattr("gradmc.selfcheck.comparison.SelfCheck._judge", lambda *_: "differs")
    with pytest.raises(SelfCheckError, match="run as plain Python"):
        run(data())


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "renamed", "garbage"])
def test_damaged_files_count_for_absent(harm: str, cache: Path) -> None:
    place = Shelf(cache / "word")
    for name in ("one", "two"):
        place.put(name, name.encode() * 100)
    assert place.take("one") == b"one" * 100
    file = place.folder / "one"
    body = file.read_bytes()
    changed = {
        "cut": body[: len(body) // 2],
        "flipped": body[:-1] + bytes([body[-1] ^ 1]),
        "empty": b"",
        "renamed": (place.folder / "two").read_bytes(),
        "garbage": b"x" * len(body),
    }
    file.write_bytes(changed[harm])
    assert place.take("one") is None
    assert place.take("two") == b"two" * 100


def test_code_that_cannot_be_loaded_is_compiled_and_kept_again(cache: Path, traces: list[str]) -> None:
    first = run(data())
    for file in cache.glob("*/advance-*"):
        place = Shelf(file.parent)
        place.put(file.name, b"null\nnot what XLA has written")
        assert take(place, file.name, ()) is None
    known.forget()
    assert run(data()).posterior.equals(first.posterior)
    known.forget()
    traces.clear()
    assert run(data()).posterior.equals(first.posterior)
    assert traces == []


def test_nothing_is_read_where_others_can_write(cache: Path, traces: list[str]) -> None:
    asked()
    for folder in [*cache.glob("*"), cache]:
        folder.chmod(0o777)
    traces.clear()
    asked()
    assert len(traces) == 2


def test_nothing_is_kept_on_request(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADMC_CACHE", "off")
    asked()
    assert not cache.exists()
    assert shelf("word") is None


def test_a_cache_that_cannot_be_written_keeps_nothing(cache: Path) -> None:
    cache.parent.parent.mkdir(parents=True)
    cache.parent.write_text("a file")
    place = shelf("word")
    assert place is None
    place = Shelf(cache / "word")
    place.put("facts", b"{}")
    assert place.take("facts") is None


def test_what_warns_while_it_is_traced_is_not_kept(cache: Path) -> None:
    @gm.model
    def warning(a: gm.Real, *, y: gm.Data["n"]) -> float:
        import warnings

        warnings.warn("look", UserWarning, stacklevel=1)
        return -a * a

    for _ in range(2):
        with pytest.warns(UserWarning, match="look"):
            asked(warning, {"y": [1.0]})
    assert not list(cache.glob("*/facts"))


def test_the_oldest_go_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 3)
    places = [Shelf(cache / f"p{k}") for k in range(5)]
    for k, place in enumerate(places):
        place.put("facts", b"{}")
        os.utime(place.folder, (k, k))
    assert [place.folder.exists() for place in places] == [False, False, True, True, True]
    monkeypatch.setattr(kept, "MOST_BYTES", 1)
    Shelf(cache / "large").put("code", bytes(100))
    assert [path.name for path in cache.iterdir()] == ["large"]


def test_facts_that_json_changes_are_not_kept(cache: Path) -> None:
    place = Shelf(cache / "word")
    place.put_facts({"coords": {1: [2]}})
    assert place.facts() is None
    place.put_facts({"coords": {"n": ["a", 1, 2.5]}})
    assert place.facts() == {"coords": {"n": ["a", 1, 2.5]}}


def test_labels_told_while_tracing_are_kept(traces: list[str]) -> None:
    @gm.model
    def told(a: gm.Real[2], *, n: int = 3) -> float:
        gm.record("twice", 2 * a, dims={"side": ["left", "right"]})
        return -np.sum(a**2)

    first = asked(told, {})
    traces.clear()
    second = asked(told, {})
    assert second.coords == first.coords
    assert second.coords["side"] == ["left", "right"]
    assert second.group_dims == first.group_dims
    assert traces == []


def test_the_prior_has_a_place_of_its_own(traces: list[str]) -> None:
    @gm.model
    def model(a: gm.Real, *, y: float) -> float:
        return -a * a + gm.observe("y", -((a - y) ** 2))

    for make, groups in ((gm.density, {"posterior", "log_likelihood", "log_prior"}), (gm.prior_density, {"posterior"})):
        known.forget()
        assert set(make(model, {"y": 3.0}).group_dims) == groups
        known.forget()
        traces.clear()
        assert set(make(model, {"y": 3.0}).group_dims) == groups
        assert traces == []
    prior = gm.prior_density(model, {"y": 3.0})
    assert isinstance(prior, ProgramDensity)
    assert prior([1.0]) == -1.0  # traced now, without the likelihood


@pytest.mark.slow
def test_two_processes(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "model.py").write_text(
        textwrap.dedent(
            """
            import gradmc as gm
            import scipy.stats
            from gradmc.lpdf import normal
            from scipy.stats import t

            SCALE = 2.0

            @gm.model
            def line(a: gm.Real, b: gm.Positive["n"], *, y: gm.Data["n"]):
                lp = normal(a, 0.0, SCALE) + t.logpdf(a, 4)
                for i in range(len(y)):
                    lp += gm.observe("y", normal(y[i], a, b[i])) + scipy.stats.gamma.logpdf(b[i], 2)
                return lp
            """
        )
    )
    (tmp_path / "main.py").write_text(
        textwrap.dedent(
            """
            import json, sys
            import gradmc as gm
            from gradmc.program import tracing as program
            from model import line
            traces, original = [], program.trace
            program.trace = lambda *a, **o: (traces.append(1), original(*a, **o))[1]
            draws = gm.sample(line, {"y": [1.0, 2.0, 0.5]}, seed=1, warmup=100, draws=50, progress="none")
            needed = "numpyro.distributions" in sys.modules
            values = draws.posterior["b"].values.tolist()
            print(json.dumps([len(traces), values, draws.attrs["self_check_value"], needed]))
            """
        )
    )

    (tmp_path / "plain.py").write_text(
        textwrap.dedent(
            """
            import json, sys
            import gradmc as gm
            from model import line
            gm.sample(line, {"y": [1.0, 2.0, 0.5]}, seed=1, warmup=100, draws=50, progress="none")
            slow = ("gradmc.program.frontend.hooks", "gradmc.program.middle", "numpyro.distributions")
            print(json.dumps([name for name in slow if name in sys.modules]))
            """
        )
    )

    def process(script: str = "main.py") -> Any:
        command = [sys.executable, "-W", "ignore", str(tmp_path / script)]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    first, second = process(), process()
    assert first[0] == 2
    assert second[0] == 0
    assert first[1:3] == second[1:3]
    assert not second[3], "numpyro takes longer to import than this run"
    assert process("plain.py") == [], "nor is anything imported that traces and compiles"
    text = (tmp_path / "model.py").read_text()
    for changed in (text.replace("SCALE = 2.0", "SCALE = 2.5"), text.replace("logpdf(a, 4)", "logpdf(a, 5)")):
        (tmp_path / "model.py").write_text(changed)
        third = process()
        assert third[0] == 2
        assert third[1] != first[1]
