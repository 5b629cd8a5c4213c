"""Every log density against its definition in 80 digits: value and gradient, ends and far tails included."""

import jax
import mpmath as mp
import numpy as np
import pytest

from gradmc import lpdf
from tests.lpdf.definitions import DENSITIES, DIGITS, TAILS, Case

CASES = {
    **DENSITIES,
    **{f"{name}_lcdf": Case(define[0], rows, int(name == "poisson")) for name, (define, rows) in TAILS.items()},
    **{f"{name}_lccdf": Case(define[1], rows, int(name == "poisson")) for name, (define, rows) in TAILS.items()},
}


VECTORS = {  # laws of categories, vectors and matrices
    *("categorical", "categorical_logit", "ordered_logistic", "multinomial", "multinomial_logit"),
    *("dirichlet", "dirichlet_multinomial", "lkj", "lkj_cholesky", "wishart", "inverse_wishart"),
    *("multivariate_normal", "multivariate_normal_cholesky", "multivariate_normal_precision"),
    *("multivariate_student_t_cholesky", "gaussian_random_walk"),
}


def test_every_law_of_numbers_is_in_the_table():
    assert {name for name in lpdf.__all__ if name != "truncated"} == {*CASES, *VECTORS}


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


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name):
    case, function = CASES[name], getattr(lpdf, name)
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


def close(got, expected, tolerance):
    if not np.isfinite(expected):
        return got == expected
    return abs(got - expected) <= tolerance * max(1.0, abs(expected))
