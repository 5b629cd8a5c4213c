"""Every log density against its definition in 80 digits: value and gradient, ends and far tails included."""

import jax
import mpmath as mp
import numpy as np
import pytest

from gradmc import lpdf
from tests.lpdf.definitions import DENSITIES, DIGITS, TAILS, TRUNCATED, VECTORS, Case

CASES = {
    **DENSITIES,
    **{f"{name}_lcdf": Case(define[0], rows, int(name == "poisson")) for name, (define, rows) in TAILS.items()},
    **{f"{name}_lccdf": Case(define[1], rows, int(name == "poisson")) for name, (define, rows) in TAILS.items()},
}


def interval(name):
    """A truncated law as a function of numbers alone."""
    law = getattr(lpdf, name.removeprefix("truncated_"))
    return lambda *a: lpdf.truncated(law, *a[:-2], lower=a[-2], upper=a[-1])


def test_every_law_is_in_a_table():
    assert set(lpdf.__all__) == {*CASES, *VECTORS, "dirichlet", "lkj", "ordered_logistic", "truncated"}


def finite(value):
    return value if isinstance(value, mp.mpf) and mp.isfinite(value) else None


def slope(define, row, index):
    """The derivative in one argument, from one side at an end; None where there is none, or an infinite one."""
    step = mp.mpf(10) ** -20 * (abs(row[index]) or mp.mpf(10) ** -20)

    def at(offset):
        moved = list(row)
        moved[index] += offset
        try:
            return finite(define(*moved))
        except (ValueError, ZeroDivisionError):
            return None

    sides = [(offset, value) for offset in (-step, 0, step) if (value := at(offset)) is not None]
    if len(sides) < 2:
        return None
    (first, low), (last, high) = sides[0], sides[-1]
    found = float((high - low) / (last - first))
    return found if abs(found) < 1e25 else None


@pytest.mark.parametrize("name", [*CASES, *TRUNCATED])
def test_value_and_gradient(name):
    case = CASES[name] if name in CASES else TRUNCATED[name]
    function = interval(name) if name in TRUNCATED else getattr(lpdf, name)
    rows = np.array(case.rows)
    moving = tuple(range(case.known, rows.shape[1]))
    with jax.enable_x64(True):
        both = jax.value_and_grad(function, moving) if moving else lambda *a: (function(*a), ())
        values, slopes = jax.device_get(jax.jit(jax.vmap(both))(*rows.T))
    wrong = []
    with mp.workdps(DIGITS):
        for k, row in enumerate(case.rows):
            exact = [mp.mpf(argument) for argument in row]
            expected = float(case.define(*exact))
            if not close(values[k], expected, case.tolerance):
                wrong.append((row, "value", float(values[k]), expected))
            if not np.isfinite(expected):
                continue
            for index, gradient in zip(moving, slopes, strict=True):
                derivative = slope(case.define, exact, index)
                # A rounding error of an argument x changes the value by its size times the slope times x.
                digits = 1e-9 * max(1.0, min(1e3, 1.0 / max(abs(row[index]), 1e-3)))
                if derivative is not None and not close(gradient[k], derivative, digits):
                    wrong.append((row, f"slope {index}", float(gradient[k]), derivative))
    assert not wrong, f"{len(wrong)} wrong: arguments, what, got, expected\n" + "\n".join(map(str, wrong[:12]))


@pytest.mark.parametrize("name", VECTORS)
def test_value_and_gradient_of_vectors(name):
    case, function = VECTORS[name], getattr(lpdf, name)
    moving = tuple(range(case.known, len(case.rows[0])))
    wrong = []
    with jax.enable_x64(True), mp.workdps(DIGITS):
        both = jax.jit(jax.value_and_grad(function, moving))
        for row in case.rows:
            value, slopes = jax.device_get(both(*map(np.asarray, row)))
            exact = [exactly(argument) for argument in row]
            expected = float(case.define(*exact))
            if not close(value, expected, case.tolerance):
                wrong.append((row, "value", float(value), expected))
            for k in moving:
                gradient = np.asarray(slopes[k - case.known])
                for places in together(row[k]):
                    derivative = partial(case.define, exact, k, places)
                    found = float(sum(gradient[at] for at in places))
                    if derivative is not None and not close(found, derivative, 1e-9):
                        wrong.append((row, f"slope {k} at {places}", found, derivative))
    assert not wrong, f"{len(wrong)} wrong: arguments, what, got, expected\n" + "\n".join(map(str, wrong[:12]))


def exactly(argument):
    """An argument with mpmath's numbers for its entries."""
    return [exactly(entry) for entry in argument] if isinstance(argument, list) else mp.mpf(argument)


def together(argument):
    """The entries of an argument that move together: of a symmetric matrix two, of a triangular one those in it."""
    array = np.asarray(argument)
    if array.ndim < 2:
        return [[at] for at in np.ndindex(array.shape)]
    lower = [(i, j) for i, j in np.ndindex(array.shape) if j <= i]
    symmetric = np.array_equal(array, array.T) and np.any(array != np.diag(np.diag(array)))
    return [[(i, j), (j, i)] if symmetric and i != j else [(i, j)] for i, j in lower]


def partial(define, row, index, places):
    """The derivative in entries of one argument that move together."""

    def moved(x):
        def replaced(argument, where):
            if () in where:
                return x
            if not where:
                return argument
            return [replaced(a, [w[1:] for w in where if w[0] == k]) for k, a in enumerate(argument)]

        return define(*(replaced(a, places) if k == index else a for k, a in enumerate(row)))

    start = row[index]
    for k in places[0]:
        start = start[k]
    return slope(moved, [start], 0)


def close(got, expected, tolerance):
    if not np.isfinite(expected):
        return got == expected
    return abs(got - expected) <= tolerance * max(1.0, abs(expected))
