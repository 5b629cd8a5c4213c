"""Digests: what a fingerprint tells apart they tell apart, in every process alike; none where a name means nothing."""

import functools
import hashlib
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from gradmc.kernels.nuts import Nuts
from gradmc.program import digest as module
from gradmc.program.digest import digest, digest_of
from gradmc.program.fingerprint import fingerprint
from tests.program.test_fingerprint import CHANGES, closed_over, program

ROOT = Path(__file__).resolve().parents[2]


def test_like_things_are_alike() -> None:
    assert digest_of(program) is not None
    assert digest_of(program) == digest_of(program)
    assert digest_of(closed_over([1.0])) == digest_of(closed_over([1.0]))
    assert digest_of({"b", "a"}) == digest_of({"a", "b"})
    assert digest_of(Nuts(max_tree_depth=7)) == digest_of(Nuts(max_tree_depth=7)) != digest_of(Nuts(max_tree_depth=8))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_every_change_shows(change: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest_of(program)
    with monkeypatch.context() as patch:
        change(patch)
        assert digest_of(program) != before
    assert digest_of(program) == before


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", b"a"),
        (("ab", "c"), ("a", "bc")),
        ((1, (2, 3)), ((1, 2), 3)),
        (("1",), (1,)),
        (True, 1),
        (0.0, -0.0),
        (1.0, 1),
        ([1], (1,)),
        ({"a": 1}, {"a": 2}),
        (frozenset({1, 2}), frozenset({1, 2, 3})),
        (np.exp, np.expm1),
        (np.exp, jnp.exp),
        (scipy.special.expit, scipy.special.logit),
        (int, float),
        (np.zeros(3), np.zeros(3, np.float32)),
        (range(3), range(4)),
    ],
)
def test_unlike_things(one: Any, other: Any) -> None:
    assert None is not digest_of(one) != digest_of(other) is not None


class Pair(NamedTuple):
    a: float
    b: float


def jvp_of(factor: float) -> Any:
    """A function with a derivative rule of the user's, which nothing but the rule tells from another."""

    @jax.custom_jvp
    def square(x: Any) -> Any:
        return x * x

    square.defjvp(lambda primals, tangents: (primals[0] ** 2, factor * primals[0] * tangents[0]))
    return square


def test_a_rule_for_the_derivative_counts() -> None:
    assert fingerprint(jvp_of(2.0)) == fingerprint(jvp_of(2.0))
    assert fingerprint(jvp_of(2.0)) != fingerprint(jvp_of(3.0))


def test_a_ufunc_of_the_users_is_not_one_of_numpys() -> None:
    assert fingerprint(np.frompyfunc(lambda x: x, 1, 1)) is None
    assert fingerprint(np.exp) is not None


def test_a_name_added_to_pythons_own_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    scope: dict[str, Any] = {"__name__": "users"}
    exec("def scaled(x):\n    return x * everywhere", scope)
    found = []
    for value in (1.0, 2.0):
        monkeypatch.setattr(builtins, "everywhere", value, raising=False)
        found.append(fingerprint(scope["scaled"]))
    assert found[0] != found[1]


@pytest.mark.parametrize(
    "thing",
    [
        Pair(1.0, 2.0),  # a class of the user's: what its methods do is not looked at
        pytest.importorskip,  # a library whose version nobody looks at
        closed_over(hashlib.blake2b()),  # an object of C
        closed_over(functools.partial(print, file=sys.stdout)),
    ],
    ids=["class", "library", "C", "file"],
)
def test_none_where_a_name_means_nothing(thing: Any) -> None:
    assert digest_of(thing) is None


def test_none_for_what_has_no_fingerprint() -> None:
    assert digest(None) is None


@pytest.fixture
def fresh() -> Iterator[None]:
    module._constant.cache_clear()
    yield
    module._constant.cache_clear()


@pytest.mark.parametrize("name", module.VERSIONED)
def test_the_version_of_a_library_is_in_its_file(name: str) -> None:
    text, size, _ = module._version(name)
    assert f"{importlib.import_module(name).__version__}" in text
    assert size > 0


@pytest.mark.usefixtures("fresh")
def test_all_around_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def now() -> str | None:
        module._constant.cache_clear()
        return digest_of(1)

    before = now()
    assert before is not None
    told = module._version
    for library in ("scipy", "numpyro"):
        with monkeypatch.context() as patch:
            patch.setattr(module, "_version", lambda n, of=library: ("version = 0.0", 1, 1) if n == of else told(n))
            assert now() != before
    with monkeypatch.context() as patch:
        patch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"] + " --xla_cpu_enable_fast_math=true")
        assert now() != before
    with monkeypatch.context() as patch:
        patch.setattr(module, "processor", lambda: ("another",))
        assert now() != before
    with monkeypatch.context() as patch:
        patch.setattr(module, "processor", lambda: None)
        assert now() is None
    with jax.numpy_dtype_promotion("strict"):
        assert now() != before
    with jax.enable_x64(not jax.config.jax_enable_x64):
        assert now() != before
    with np.errstate(all="raise"):
        assert now() != before
    (tmp_path / "own.py").write_text("a = 1")
    with monkeypatch.context() as patch:
        patch.setattr(module, "PACKAGE", str(tmp_path))
        one = now()
        (tmp_path / "own.py").write_text("a = 22")
        assert now() != one != before
    assert now() == before


def test_where_a_function_stands_does_not_count(tmp_path: Path) -> None:
    """Another kernel names a cell otherwise; comments and lines say nothing about what is computed."""
    found = []
    for name, text in (("one", "def f(x):\n    return x\n"), ("two", "# comment\n\ndef f(x):\n    return x  # x\n")):
        scope: dict[str, Any] = {"__name__": "users"}
        exec(compile(text, str(tmp_path / name), "exec"), scope)
        found.append(scope["f"])
    one, two = found
    assert fingerprint(one) != fingerprint(two)
    assert None is not digest_of(one) == digest_of(two)


def test_none_for_what_prints() -> None:
    def shows(x: float) -> float:
        print(x)
        return x

    assert fingerprint(shows) is not None
    assert digest_of(shows) is None


def test_the_same_in_every_process() -> None:
    imports = "from gradmc.program.digest import digest_of\nfrom tests.program.test_fingerprint import program\n"
    code = imports + "print(digest_of(program, {'a', 'b'}))"
    said = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", code]
        said.add(subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(said) == 1
    assert said != {"None\n"}
