"""Functions of libraries are looked up by themselves: each is JAX's own counterpart, or refused."""

import cmath
import functools
import importlib
import inspect
import math
import operator
import pkgutil
import statistics
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy
import scipy.cluster.vq
import scipy.fft
import scipy.integrate
import scipy.linalg
import scipy.ndimage
import scipy.signal
import scipy.special
import scipy.stats

from gradmc.errors import ProgramError
from gradmc.program.compiler import evaluate
from gradmc.program.exact import is_hashable
from gradmc.program.frontend import builtin, routing
from gradmc.program.frontend.hooks import Hooks
from gradmc.program.frontend.libraries import mirrored, registry

SKIPPED = ("test", "_", "conftest", "f2py", "distutils")
RENAMED = {"asanyarray": "asarray", "ascontiguousarray": "atleast_1d", "psi": "digamma"}


def public_modules(library: ModuleType) -> Iterator[ModuleType]:
    """A library and all of its public modules."""
    yield library
    for found in pkgutil.iter_modules(library.__path__):
        if found.name.startswith(SKIPPED) or (library is scipy and found.name in ("odr", "datasets", "conftest")):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                module = importlib.import_module(f"{library.__name__}.{found.name}")
            except ImportError:
                continue
        yield from public_modules(module) if found.ispkg else [module]


def functions(library: ModuleType) -> Iterator[tuple[str, str, Any]]:
    """Everything public in a library that can be called: module, name, function."""
    for module in public_modules(library):
        for name, function in vars(module).items():
            if not name.startswith("_") and callable(function) and not inspect.isclass(function):
                yield module.__name__, name, function


@pytest.mark.parametrize("library", [np, scipy], ids=["numpy", "scipy"])
def test_every_function_goes_to_its_own_counterpart_or_is_refused(library: ModuleType) -> None:
    homes = {id(vars(importlib.import_module(m))[n]): m for m in reversed(mirrored.NAMESPACES) for n in _names(m)}
    taken = refused = 0
    for module, name, function in functions(library):
        found = registry.find(function)
        if found is None and registry.given_functions(function) is None:
            if function in builtin.HANDLERS or not _is_of(function, library):
                continue
            with pytest.raises(ProgramError, match=r"cannot be applied|must not draw|cannot have values"):
                routing.counterpart(Hooks(), function)
            refused += 1
        elif found is not None and found is mirrored.jaxs(function):
            home = homes[id(function)]
            jaxs = vars(importlib.import_module(mirrored.NAMESPACES[home]))
            own = mirrored.OURS.get(home, {})
            names = {n for n, f in vars(importlib.import_module(home)).items() if f is function}
            assert any(found is jaxs.get(RENAMED.get(n, n)) or found is own.get(n) for n in names), (module, name)
            taken += 1
    assert taken > 50
    assert refused > 200


def _names(module: str) -> list[str]:
    return [n for n, f in vars(importlib.import_module(module)).items() if is_hashable(f)]


def _is_of(function: Any, library: ModuleType) -> bool:
    """Whether a library made a function, rather than imported it from Python."""
    module = getattr(function, "__module__", None) or type(function).__module__
    return module.split(".")[0] == library.__name__ or isinstance(function, np.ufunc)


P, Q, V, W = 0.37, 2.3, np.array([0.3, 0.8, 0.45, 0.1]), np.array([0.9, 0.2, 0.55, 0.6])
M, T = np.array([[2.1, 0.3, 0.4], [0.3, 1.7, 0.2], [0.4, 0.2, 1.9]]), np.array([True, False, True, True])

CALLS: list[tuple[Any, tuple]] = [
    (np.add.reduce, (V,)),
    (np.add.reduce, (T,)),
    (np.add.reduce, (M,)),
    (np.add.accumulate, (V,)),
    (np.multiply.reduce, (V,)),
    (np.multiply.outer, (V, W)),
    (np.subtract.outer, (V, W)),
    (np.maximum.reduce, (M, 1)),
    (np.logical_and.reduce, (T,)),
    (np.remainder, (-V, 0.25)),
    (np.fmod, (-V, 0.25)),
    (np.sign, (V - 0.4,)),
    (np.around, (W * 10, 1)),
    (np.percentile, (V, 30.0)),
    (np.diff, (V, 2)),
    (np.trapezoid, (V, W)),
    (np.convolve, (V, W, "same")),
    (np.correlate, (V, W, "full")),
    (np.cov, (V, W)),
    (np.std, (V, 0)),
    (np.var, (M, 1)),
    (np.interp, (P, np.sort(V), W)),
    (np.polyval, (V, P)),
    (np.nan_to_num, (np.array([1.0, np.inf, np.nan]),)),
    (np.ascontiguousarray, (P,)),
    (np.linalg.norm, (M,)),
    (np.linalg.slogdet, (M,)),
    (np.linalg.pinv, (M,)),
    (np.fft.rfft, (V,)),
    (scipy.special.betaln, (P, Q)),
    (scipy.special.psi, (Q,)),
    (scipy.special.logsumexp, (V,)),
    (scipy.special.xlogy, (V, W)),
    (scipy.special.gammainc, (P, Q)),
    (scipy.linalg.solve_triangular, (M, V[:3])),
    (scipy.linalg.cho_solve, ((np.linalg.cholesky(M), True), V[:3])),
    (scipy.integrate.trapezoid, (V, W)),
    (scipy.fft.dct, (V,)),
    (math.gcd, (12, 18, 27)),
    (math.copysign, (P, -1.0)),
    (math.ldexp, (P, 3)),
    (math.sumprod, (V, W)),
    (cmath.log, (P, 2.0)),
    (cmath.asin, (Q,)),
    (statistics.pvariance, (V,)),
]


def test_counterparts_give_the_same_values() -> None:
    with jax.enable_x64(True):
        for function, args in CALLS:
            got, want = routing.counterpart(Hooks(), function)(*args), function(*args)  # type: ignore[misc]
            for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
                assert np.shape(one) == np.shape(other), function
                np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12, err_msg=str(function))


def test_distributions_are_looked_up_by_themselves() -> None:
    class Doubled(scipy.stats.rv_continuous):
        def _logpdf(self, x: Any) -> Any:
            return -2.0 * x * x

    with jax.enable_x64(True):
        own = jax.jit(lambda p: evaluate(lambda x: Doubled(name="norm").logpdf(x), (p,), {})[0])(0.3)
    np.testing.assert_allclose(own, -2.0 * 0.3 * 0.3, rtol=1e-12)
    density = routing.counterpart(Hooks(), scipy.stats.norm.logpdf)
    assert density is not None
    np.testing.assert_allclose(density(0.3, 0.1, 2.0), scipy.stats.norm.logpdf(0.3, 0.1, 2.0), rtol=1e-5)


@pytest.mark.parametrize(
    "fn",
    [
        lambda a: np.ma.sum(np.array([1.0, 2.0]) * a),
        lambda a: np.roots([1.0, a, 2.0])[0].real,
        lambda a: math.ulp(a),
        lambda a: cmath.isclose(a, 0.5) * 1.0,
        lambda a: scipy.stats.trim_mean([a, 2.0, 3.0], 0.1),
        lambda a: scipy.special.expm1.outer(a, a),
        lambda a: np.exp(a, where=a > 0.1),
        lambda a: statistics.harmonic_mean([a, 2.0]),
    ],
)
def test_namesakes_and_others_are_refused(fn: Any) -> None:
    with jax.enable_x64(True), pytest.raises(ProgramError) as caught:
        jax.jit(lambda p: evaluate(fn, (p,), {})[0])(0.4)
    assert caught.value.location is not None


def test_python_s_own_functions_of_functions() -> None:
    def program(a: Any, y: Any) -> Any:
        doubled = functools.partial(operator.mul, 2.0)
        total = functools.reduce(operator.add, [a, 2.0, a * a], 1.0) + doubled(a)
        return total + operator.truediv(a, 3) + operator.neg(a) + operator.pow(y[0], 2) * a + np.float64(a)

    with jax.enable_x64(True):
        got = jax.jit(lambda p: evaluate(program, (p,), {"y": [3, 4]})[0])(0.4)
    np.testing.assert_allclose(float(got), program(0.4, [3, 4]), rtol=1e-14)


def test_factorisations_and_lists_of_matrices_stay_what_they_are() -> None:
    def program(a: Any) -> Any:
        m = np.eye(3) * a + 0.1
        x = scipy.linalg.cho_solve(scipy.linalg.cho_factor(m), np.array([1.0, 2.0, 3.0]))
        return x @ x + np.linalg.multi_dot([m, np.ones((3, 2)) * a, np.ones(2)]).sum()

    with jax.enable_x64(True):
        got = jax.jit(lambda p: evaluate(program, (p,), {})[0])(0.4)
    np.testing.assert_allclose(float(got), program(0.4), rtol=1e-12)


def test_looking_up_numpy_loads_no_other_library() -> None:
    assert mirrored.jaxs(np.sum) is jnp.sum
    assert mirrored.jaxs(np.emath.sqrt) is None


@pytest.mark.parametrize("name", ["cbrt", "exp10", "exp2", "expm1", "log1p", "log_expit"])
def test_functions_of_scipy_special_that_jax_has_elsewhere(name: str) -> None:
    function = getattr(scipy.special, name)

    def program(p: Any) -> Any:
        return function(p)

    for x in (-0.9, -1e-3, 1e-3, 0.4, 2.0):
        with jax.enable_x64(True):
            found, slope = jax.value_and_grad(lambda p: evaluate(program, (p,), {})[0])(x)
        np.testing.assert_allclose(found, function(x), rtol=1e-13)
        step = 1e-4 * abs(x)
        np.testing.assert_allclose(slope, (function(x + step) - function(x - step)) / (2 * step), rtol=1e-5)


def test_the_page_names_every_library_of_the_registry() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "loops.md").read_text()
    public = [name for name in registry.MODULES if not any(part.startswith("_") for part in name.split("."))]
    assert [name for name in public if f"`{name}" not in page] == []
