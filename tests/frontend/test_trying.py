"""`try`: the handler is taken where plain Python raises, for parameters too; values and gradients on both sides."""

import contextlib
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from tests.frontend.laws import agree

S = np.array([[1.0, 0.3, 0.1], [0.3, 1.0, 0.2], [0.1, 0.2, 1.0]])
Y = np.linspace(-1.0, 1.0, 12)


def cholesky(a):
    """Matrices that are not positive definite, or singular."""
    try:
        factor = np.linalg.cholesky(S + a * np.eye(3))
        z = np.linalg.solve(factor, np.arange(3.0))
    except np.linalg.LinAlgError:
        return -1e3 + a
    lp = -0.5 * z @ z - np.log(np.diag(factor)).sum()
    try:
        c = scipy.linalg.cho_factor(S - a * np.eye(3), lower=True)
    except np.linalg.LinAlgError as error:
        lp -= 3.0 * a if isinstance(error, ValueError) else 7.0
    else:
        lp += np.log(np.diag(c[0])).sum()
    finally:
        lp += a
    try:
        return lp + scipy.stats.multivariate_normal.logpdf(np.arange(3.0), np.zeros(3), S - 0.5 * a * np.eye(3))
    except ValueError:
        return lp * a


def math_functions(a):
    """Logarithms, roots, powers, exponentials; what was assigned before."""
    x = 1.0
    try:
        x = a * 2
        v = math.log(a) + math.sqrt(1.5 - a) + x
    except (ValueError, ZeroDivisionError):
        v = x - 5
    try:
        return v - math.exp(300 * a) ** 2 if a > 2 else v + 1 / (a - 1.5)
    except OverflowError:
        return v + a
    except ZeroDivisionError:
        return v + 3 * a


def divisions(a):
    """Python's numbers raise when they are divided by zero, numpy's do not; in a loop both stay what they are."""
    x, array, lp = 1.0, np.array([a, 0.0]), 0.0
    for _ in range(20):
        try:
            step = (x * x - abs(a)) / (2 * x)
        except ZeroDivisionError:
            break
        x = x - step
    with contextlib.suppress(ZeroDivisionError):
        lp = 1.0 / array[1]
        lp = a if lp > 3.0 else 2.0
    return lp + x


def loops(a, *, y):
    """In loops, and around them."""
    lp, out = 0.0, np.zeros(12)
    for i, v in enumerate(y):
        try:
            lp += math.log(v * a + 0.53)
        except ValueError:
            lp -= 3.0 * a
            continue
        try:
            out[i] = math.sqrt(v * a)
        except ValueError:
            out[i] = -2.0 * a
        lp += v
    try:
        for v in y:
            lp += math.log(v * a + 1.01)
        return lp + out.sum()
    except ValueError:
        return -50.0 * a


def whiles(a):
    """In a `while`, of which an iteration raises."""
    x, n = a, 0
    while n < 7:
        try:
            x = math.sqrt(x - 0.05) + 0.1
        except ValueError:
            x = 0.5 - a
        n += 1

    def descend(x):
        while x < 3.0:
            x = x + math.sqrt(x + 1.0)
        return x

    try:
        return x + descend(a)
    except ValueError:
        return x - a


class OddError(Exception):
    pass


def checked(x):
    if x > 0.3:
        raise OddError(f"{x} is too large")
    assert x > -3.0
    return x


def own_errors(a):
    """The program's own exceptions, assertions, handlers that raise again, one try in another."""
    try:
        try:
            r = checked(a)
            r += math.log(r + 1.0)
        except ValueError:
            if a < -2.5:
                raise
            raise OddError from None
    except OddError:
        r = a * 3
    except AssertionError:
        r = -1.0 - a
    except Exception:
        r = 11 * a
    return r


def plain_errors(a):
    """Exceptions that do not depend on parameters, on one side of a branch that does."""
    d = {"u": 1.0}
    try:
        v = d["w"]
    except KeyError:
        v = 2.0
    try:
        w = d["none"] if a > 0 else 3.0 * a
    except KeyError:
        w = 4.0 * a
    it = iter([1.0, 2.0])
    while True:
        try:
            w += next(it) * a
        except StopIteration:
            break
    return v * a + w


def places(a, *, y):
    """Indices beyond an array, whole numbers of what is no number."""
    try:
        return y[int(a * 10 + 0.5)] * a + math.floor(a / a)
    except IndexError:
        return -a


def safely(function):
    @functools.wraps(function)
    def wrapper(*args):
        try:
            return function(*args)
        except (ValueError, ArithmeticError):
            return -1e2 * args[0]

    return wrapper


@safely
def risky(a):
    return math.log(a) / math.sqrt(a)


def decorated(a, *, y):
    """A decorator that catches, and a try around everything."""
    try:
        s, lp = math.sqrt(a), risky(a)
        for i in range(len(y)):
            lp += scipy.stats.norm.logpdf(y[i], a, s)
        if not np.isfinite(lp):
            return -np.inf
        return lp
    except Exception:
        return -100.0 + a + risky(a)


POINTS: list[tuple[Callable[..., Any], tuple[float, ...]]] = [
    (cholesky, (0.4, -2.0, 1.3)),
    (math_functions, (0.4, -2.0, 1.45, 2.5)),
    (divisions, (0.4,)),
    (loops, (0.4, -0.7, 2.0)),
    (whiles, (0.4, -2.0, -0.3)),
    (own_errors, (0.4, -0.5, -2.0, -2.7, -5.0)),
    (plain_errors, (0.4, -2.0)),
    (places, (0.4, 5.0)),
    (decorated, (0.4, -2.0)),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("program", "a"), [(program, a) for program, points in POINTS for a in points])
def test_handlers(program: Callable[..., Any], a: float) -> None:
    agree(program, (a,), {"y": Y} if program in (loops, places, decorated) else {})
