"""Loops that find a number by comparisons: its derivative is that of the root, or the loop is refused."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.extend
import numpy as np
import pytest

from gradmc.errors import ProgramError
from gradmc.program import ir
from gradmc.program.compiler import evaluate, trace
from gradmc.program.frontend.random_execution import UNKNOWN, sampled
from gradmc.program.frontend.response import _follows
from gradmc.program.frontend.search import Search, Status

X = np.array([0.31, -1.23, 0.83, 2.03, -0.71, 1.13, 0.43, -0.91, 0.23, 1.73])
STEPS = np.random.default_rng(20260101).normal(size=190)
GOLDEN = (3 - math.sqrt(5)) / 2
POINTS = ((0.7, 0.2), (2.3, 1.1))


def kepler(x, a, b):
    return x - 0.3 * math.sin(x) * b - a


def bisection(a, b):
    lo, hi = 0.0, 10.0
    for _ in range(60):
        mid = 0.5 * (lo + hi)
        if kepler(mid, a, b) > 0:
            hi = mid
        else:
            lo = mid
    return -((0.5 * (lo + hi)) ** 2)


def bracket_in_a_list(a, b):
    ends = [0.0, 10.0]
    for _ in range(60):
        mid = 0.5 * (ends[0] + ends[1])
        if kepler(mid, a, b) > 0:
            ends[1] = mid
        else:
            ends[0] = mid
    return -((0.5 * (ends[0] + ends[1])) ** 2)


def ends_that_depend_on_parameters(a, b):
    lo, hi = -a, 9.0 * a + b
    while hi - lo > 1e-14:
        mid = lo + (hi - lo) / 2
        if mid**3 + b * mid < a:
            lo = mid
        else:
            hi = mid
    return lo


def no_root_between_the_ends(a, b):
    lo, hi = a, 10.0
    for _ in range(60):
        mid = 0.5 * (lo + hi)
        if mid + 5 * a > b:
            hi = mid
        else:
            lo = mid
    return a * mid


def signs_compared(a, b):
    lo, hi = -5.0, 5.0
    for _ in range(60):
        mid = (lo + hi) / 2
        if kepler(lo, a, b) * kepler(mid, a, b) <= 0:
            hi = mid
        else:
            lo = mid
    root = lo
    lo, hi = -5.0, 5.0
    for _ in range(60):
        mid = (lo + hi) / 2
        if np.sign(kepler(mid, a, b)) == np.sign(kepler(lo, a, b)):
            lo = mid
        else:
            hi = mid
    return root * a + lo


def value_at_an_end_carried(a, b):
    lo, hi = -5.0, 5.0
    below = kepler(lo, a, b)
    for _ in range(60):
        mid = (lo + hi) / 2
        value = kepler(mid, a, b)
        if below * value <= 0:
            hi = mid
        else:
            lo, below = mid, value
    return lo * b


def ended_early(a, b):
    def solve():
        lo, hi = 0.0, 10.0
        while True:
            mid = 0.5 * (lo + hi)
            value = kepler(mid, a, b)
            if abs(value) < 1e-14 or hi - lo < 1e-15:
                return mid
            if value > 0:
                hi = mid
            elif value < 0:
                lo = mid

    return solve() ** 2


def for_every_datum(a, b):
    lp = 0.0
    for v in X:
        lo, hi = -10.0, 20.0
        for _ in range(60):
            mid = 0.5 * (lo + hi)
            lo, hi = (lo, mid) if kepler(mid, a * v, b) > 0 else (mid, hi)
        lp -= (0.5 * (lo + hi) - b) ** 2
    return lp


def on_arrays(a, b):
    lo, hi = np.full(10, -10.0), np.full(10, 20.0)
    for _ in range(60):
        mid = 0.5 * (lo + hi)
        up = mid - 0.3 * np.sin(mid) * b - a * X > 0
        lo, hi = np.where(up, lo, mid), np.where(up, mid, hi)
    return -np.sum((lo - b) ** 2)


def root_within_a_root(a, b):
    def inner(y):
        lo, hi = 0.0, 10.0
        for _ in range(60):
            mid = 0.5 * (lo + hi)
            if mid**2 > y + a:
                hi = mid
            else:
                lo = mid
        return lo

    lo, hi = 0.0, 10.0
    for _ in range(60):
        mid = 0.5 * (lo + hi)
        if inner(mid) + b * mid > 3:
            hi = mid
        else:
            lo = mid
    return lo


def two_at_once(a, b):
    l1, h1, l2, h2 = 0.0, 5.0, -1.0, 8.0
    for _ in range(60):
        m1, m2 = 0.5 * (l1 + h1), 0.5 * (l2 + h2)
        if m1**3 > a:
            h1 = m1
        else:
            l1 = m1
        if m2 * math.exp(m2) > b:
            h2 = m2
        else:
            l2 = m2
    return l1 * l2


def halved_steps(a, b):
    x, step = 0.0, 5.0
    for _ in range(60):
        step *= 0.5
        if kepler(x, a, b) > 0:
            x -= step
        else:
            x += step
    y, step = 1.5, 1.0
    for _ in range(60):
        y = y - step * np.sign(kepler(y, a, b))
        step *= 0.5
    z = 0.0
    for k in range(60):
        d = 4.0 * 0.5**k
        if kepler(z + d, a, b) < 0:
            z += d
    return x + 2 * y + 3 * z


def steps_halved_on_a_decision(a, b):
    x, step = 0.0, 1.0
    while step > 1e-13:
        if kepler(x, a, b) < 0:
            x += step
        else:
            x -= step
            step /= 10
    y, step, last = 3.0, 0.5, 0.0
    for _ in range(120):
        sign = np.sign(kepler(y, a, b))
        if sign * last > 0:
            step *= 1.2
        elif sign * last < 0:
            step *= 0.5
        y -= sign * step
        last = sign
    return x + 2 * y


def returned_from_the_loop(a, b):
    def solve():
        x, step = 0.0, 1.0
        while True:
            if step < 1e-13:
                return x
            if x + b * x**3 < a:
                x += step
            else:
                x -= step
                step *= 0.5

    return solve() ** 2


def factors(a, b):
    x, factor = 1.0, 2.0
    for _ in range(99):
        if math.log(x) * (1 + b) + x < 3 + a:
            x *= factor
        else:
            x /= factor
        factor = factor**0.7
    return x


def newton_and_others(a, b):
    """These see the parameters by themselves."""
    x = 1.0
    for _ in range(40):
        x = x - kepler(x, a, b) / (1 - 0.3 * b * math.cos(x))
    lo, hi = 0.0, 3.5
    for _ in range(100):
        mid = lo - kepler(lo, a, b) * (hi - lo) / (kepler(hi, a, b) - kepler(lo, a, b))
        if kepler(mid, a, b) > 0:
            hi = mid
        else:
            lo = mid
    return x + mid


def gradient(fn: Callable[..., Any], point: tuple[float, ...]) -> tuple[float, np.ndarray]:
    value, slopes = jax.jit(jax.value_and_grad(lambda p: evaluate(fn, (p[0], p[1]), {})[0]))(jax.numpy.array(point))
    return float(value), np.asarray(slopes)


SOLVED = [
    *(
        bisection,
        bracket_in_a_list,
        ends_that_depend_on_parameters,
        no_root_between_the_ends,
        signs_compared,
        value_at_an_end_carried,
    ),
    *(ended_early, for_every_datum, on_arrays, root_within_a_root, two_at_once, halved_steps, newton_and_others),
    *(steps_halved_on_a_decision, returned_from_the_loop, factors),
]


@pytest.mark.parametrize("fn", SOLVED, ids=lambda f: f.__name__)
def test_a_root_has_its_derivative(fn: Callable[..., Any], x64: None) -> None:
    for point in POINTS:
        value, slopes = gradient(fn, point)
        assert value == pytest.approx(float(fn(*point)), rel=1e-9)
        moved = 1e-5 * np.eye(2)
        differences = [(float(fn(*(point + d))) - float(fn(*(point - d)))) / 2e-5 for d in moved]
        np.testing.assert_allclose(slopes, differences, rtol=1e-6, atol=1e-7)


def cost(x, a, b):
    """Its minimum is a root of exp(x - a) + 2 (x - b)."""
    return math.exp(x - a) + (x - b) ** 2


def golden_section(a, b):
    lo, hi = -5.0, 5.0
    for _ in range(80):
        c, d = lo + GOLDEN * (hi - lo), hi - GOLDEN * (hi - lo)
        if cost(c, a, b) < cost(d, a, b):
            hi = d
        else:
            lo = c
    return 0.5 * (lo + hi)


def golden_section_with_kept_values(a, b):
    lo, hi = -5.0, 5.0
    c, d = lo + GOLDEN * (hi - lo), hi - GOLDEN * (hi - lo)
    fc, fd = cost(c, a, b), cost(d, a, b)
    for _ in range(60):
        if fc < fd:
            hi, d, fd = d, c, fc
            c = lo + GOLDEN * (hi - lo)
            fc = cost(c, a, b)
        else:
            lo, c, fc = c, d, fd
            d = hi - GOLDEN * (hi - lo)
            fd = cost(d, a, b)
    return lo


def thirds(a, b):
    lo, hi = -5.0, 5.0
    while hi - lo > 1e-9:
        c, d = lo + (hi - lo) / 3, hi - (hi - lo) / 3
        if -cost(c, a, b) > -cost(d, a, b):
            hi = d
        else:
            lo = c
    return lo


def best_of_three(a, b):
    lo, hi = -5.0, 5.0
    for _ in range(60):
        mid = (lo + hi) / 2
        left, right = (lo + mid) / 2, (mid + hi) / 2
        if cost(left, a, b) < cost(mid, a, b):
            hi = mid
        elif cost(right, a, b) < cost(mid, a, b):
            lo = mid
        else:
            lo, hi = left, right
    return lo


def neighbours(a, b):
    x, step = 0.0, 2.0
    for _ in range(60):
        left, here, right = cost(x - step, a, b), cost(x, a, b), cost(x + step, a, b)
        if left < here:
            x -= step
        elif right < here:
            x += step
        step *= 0.6
    return x


def pattern(a, b):
    x, step = 0.0, 1.0
    for _ in range(120):
        if cost(x + step, a, b) < cost(x, a, b):
            x += step
        elif cost(x - step, a, b) < cost(x, a, b):
            x -= step
        else:
            step /= 2
    return x


def pattern_that_turns(a, b):
    x, step = 0.0, 1.0
    while abs(step) > 1e-9:
        if cost(x + step, a, b) < cost(x, a, b):
            x += step
            step *= 1.5
        else:
            step = -0.5 * step
    return x


def pattern_with_kept_value(a, b):
    x, step = 0.0, 1.0
    least = cost(x, a, b)
    for _ in range(120):
        up, down = cost(x + step, a, b), cost(x - step, a, b)
        if up < least:
            x, least = x + step, up
        elif down < least:
            x, least = x - step, down
        else:
            step *= 0.5
    return x + 0 * least


def random_steps(a, b):
    x, step = 0.0, 1.0
    for z in STEPS:
        new = x + step * z
        if cost(new, a, b) < cost(x, a, b):
            x = new
        else:
            step *= 0.87
    return x


def nelder_mead(a, b):
    p, q = 0.0, 1.0
    for _ in range(150):
        if cost(q, a, b) < cost(p, a, b):
            p, q = q, p
        r, e = 2 * p - q, 3 * p - 2 * q
        if cost(r, a, b) >= cost(p, a, b):
            q = 0.5 * (p + q)
        elif cost(e, a, b) < cost(r, a, b):
            q = e
        else:
            q = r
    return p


MINIMA = [
    *(golden_section, golden_section_with_kept_values, thirds, best_of_three, neighbours, pattern, pattern_that_turns),
    *(pattern_with_kept_value, random_steps, nelder_mead),
]


@pytest.mark.parametrize("fn", MINIMA, ids=lambda f: f.__name__)
def test_a_minimum_has_its_derivative(fn: Callable[..., Any], x64: None) -> None:
    for a, b in POINTS:
        x, slopes = gradient(fn, (a, b))
        e = math.exp(x - a)
        assert e + 2 * (x - b) == pytest.approx(0.0, abs=1e-6)
        np.testing.assert_allclose(slopes, [e / (e + 2), 2 / (e + 2)], rtol=1e-6)


def least_of_pattern(a, b):
    x, step = 0.0, 1.0
    least = cost(x, a, b)
    for _ in range(120):
        up, down = cost(x + step, a, b), cost(x - step, a, b)
        if up < least:
            x, least = x + step, up
        elif down < least:
            x, least = x - step, down
        else:
            step *= 0.5
    return least


def least_of_golden_section(a, b):
    lo, hi = -5.0, 5.0
    c, d = lo + GOLDEN * (hi - lo), hi - GOLDEN * (hi - lo)
    fc, fd = cost(c, a, b), cost(d, a, b)
    while hi - lo > 1e-8:
        if fc < fd:
            hi, d, fd = d, c, fc
            c = lo + GOLDEN * (hi - lo)
            fc = cost(c, a, b)
        else:
            lo, c, fc = c, d, fd
            d = hi - GOLDEN * (hi - lo)
            fd = cost(d, a, b)
    return min(fc, fd)


@pytest.mark.parametrize("fn", [least_of_pattern, least_of_golden_section], ids=lambda f: f.__name__)
def test_the_least_value_has_its_derivative(fn: Callable[..., Any], x64: None) -> None:
    """With the minimum x it moves as if x stood still."""
    for a, b in POINTS:
        x, _ = gradient(pattern, (a, b))
        value, slopes = gradient(fn, (a, b))
        assert value == pytest.approx(cost(x, a, b), rel=1e-9)
        np.testing.assert_allclose(slopes, [-math.exp(x - a), -2 * (x - b)], rtol=1e-6)


# --- refused -------------------------------------------------------------------------------------


def used_within_the_loop(a, b):
    lo, hi, total = 0.0, 10.0, 0.0
    for _ in range(60):
        mid = 0.5 * (lo + hi)
        if kepler(mid, a, b) > 0:
            hi = mid
        else:
            lo = mid
        total += 0.01 * mid
    return total


def finer_grids(a, b):
    lo, hi = 0.0, 4.0
    for _ in range(12):
        grid = np.linspace(lo, hi, 11)
        k = np.sum(grid - 0.3 * np.sin(grid) * b < a)
        lo, hi = grid[k - 1], grid[k]
    return lo


def loop_of_jax(a, b):
    def body(_, ends):
        lo, hi = ends
        mid = 0.5 * (lo + hi)
        up = mid - 0.3 * jax.numpy.sin(mid) * b > a
        return jax.numpy.where(up, lo, mid), jax.numpy.where(up, mid, hi)

    return jax.lax.fori_loop(0, 60, body, (0.0, 10.0))[0]


def two_numbers(x, y, a, b):
    return (x - a) ** 2 + (y - b) ** 2 + 0.3 * x * y


def coordinates(a, b):
    x, y, step = 0.0, 0.0, 1.0
    while step > 1e-9:
        here = two_numbers(x, y, a, b)
        if two_numbers(x + step, y, a, b) < here:
            x += step
        elif two_numbers(x - step, y, a, b) < here:
            x -= step
        elif two_numbers(x, y + step, a, b) < here:
            y += step
        elif two_numbers(x, y - step, a, b) < here:
            y -= step
        else:
            step /= 2
    return x + 2 * y


def coordinates_of_an_array(a, b):
    z, step = np.zeros(2), 1.0
    for _ in range(90):
        moved = False
        for k in range(2):
            for sign in (-1.0, 1.0):
                new = z.copy()
                new[k] += sign * step
                if two_numbers(new[0], new[1], a, b) < two_numbers(z[0], z[1], a, b):
                    z = new
                    moved = True
        if not moved:
            step /= 2
    return z[0] + 2 * z[1]


def simplex(a, b):
    p, q, r = np.array([0.0, 0.0]), np.array([1.0, 0.0]), np.array([0.0, 1.0])

    def f(v):
        return two_numbers(v[0], v[1], a, b)

    for _ in range(150):
        if f(q) < f(p):
            p, q = q, p
        if f(r) < f(q):
            q, r = r, q
        if f(q) < f(p):
            p, q = q, p
        mirrored = p + q - r
        if f(mirrored) < f(q):
            r = mirrored
        else:
            q, r = 0.5 * (p + q), 0.5 * (p + r)
    return p[0] + 2 * p[1]


def least_absolute_deviations(a, b):
    x, step = 0.0, 1.0
    for _ in range(80):
        here, up, down = (sum(abs(v - y) for v in (a, b, 0.3, 5.0, -4.0)) for y in (x, x + step, x - step))
        if up < here:
            x += step
        elif down < here:
            x -= step
        else:
            step /= 2
    return x


def refined_grids(a, b):
    x, width = 0.0, 3.0
    for _ in range(20):
        least, where = 1e300, x
        for k in range(-5, 6):
            new = x + width * k / 5
            if cost(new, a, b) < least:
                least, where = cost(new, a, b), new
        x, width = where, width / 3
    return x


def digits(a, b):
    x, digit = 0.0, 1.0
    for _ in range(12):
        for _ in range(9):
            if kepler(x + digit, a, b) < 0:
                x += digit
        digit /= 10
    return x


def digits_by_while(a, b):
    x, digit = 0.0, 1.0
    for _ in range(12):
        while kepler(x + digit, a, b) < 0:
            x += digit
        digit /= 10
    return x


def time_of_an_event(a, b):
    t, h, y = 0.0, 0.25, 1.0
    while h > 1e-9:
        new = y * math.exp(-a * h)
        if new < 0.5 * b:
            h /= 2
        else:
            y = new
            t += h
    return t


REFUSED = {
    coordinates: "while step > 1e-9",
    coordinates_of_an_array: "for _ in range(90)",
    simplex: "for _ in range(150)",
    least_absolute_deviations: "for _ in range(80)",
    refined_grids: "for _ in range(20)",
    digits: "for _ in range(12)",
    digits_by_while: "for _ in range(12)",
    time_of_an_event: "while h > 1e-9",
    used_within_the_loop: "for _ in range(60)",
    finer_grids: "for _ in range(12)",
    loop_of_jax: "jax.lax.fori_loop",
}


@pytest.mark.parametrize("fn", REFUSED, ids=lambda f: f.__name__)
def test_other_searches_are_refused(fn: Callable[..., Any], x64: None) -> None:
    with pytest.raises(ProgramError, match="closes in on a number by comparisons") as caught:
        jax.make_jaxpr(lambda a, b: evaluate(fn, (a, b), {})[0])(0.7, 0.2)
    error = caught.value
    assert error.location is not None
    assert error.location.file == __file__
    assert REFUSED[fn] in error.location.text
    assert "Newton" in error.remedy


# --- none of it ----------------------------------------------------------------------------------


def counting(a, b):
    n = 0.0
    for v in X:
        if v * a > 0.13 * n:
            n += 1
    while n < 5 * b:
        n += 1.0
    return a * n


def changepoint_and_maxima(a, b):
    lp, top, where, split = 0.0, -100.0, 0, 0.0
    for t in range(9):
        mu = a if t > a * 3 else b
        lp -= (X[t] - mu) ** 2
        if a * X[t] > top:
            top, where, split = a * X[t], t, 0.5 * (X[t] + X[t + 1])
    return lp + top + X[where] * a + split * b


def sorting(a, b):
    y = a * X
    for _ in range(10):
        for j in range(9):
            if y[j] > y[j + 1]:
                m = y[j]
                y[j] = y[j + 1]
                y[j + 1] = m
    return y[0] + b * y[4]


def line_search(a, b):
    x, step = 1.5, 1.0
    slope = 4 * (x - a) ** 3 + 2 * b * x
    for _ in range(40):
        new = x - step * slope
        if (new - a) ** 4 + b * new**2 > (x - a) ** 4 + b * x**2:
            step *= 0.5
    return x - step * slope


def adaptive_steps(a, b):
    t, h, y, n = 0.0, 0.1, 1.0, 0
    while t < 2.0 and n < 1000:
        n += 1
        h = min(h, 2.0 - t)
        k1 = -a * y
        k2 = -a * (y + h * k1)
        if abs(h * (k2 - k1) / 2) < 1e-4:
            t += h
            y += h * (k1 + k2) / 2
            h *= 1.2
        else:
            h *= 0.5
    return y * b


def learning_and_staircase(a, b):
    q1, q2, level, lp = 0.2, 0.1, 0.5, 0.0
    for v in X:
        if q1 * a > q2 + 0.1:
            q1 += 0.1 * (v - q1)
        else:
            q2 += 0.1 * (v - q2)
        level += -0.1 if level + v > b else 0.1
        lp += a * (q1 - q2) + level
    return lp


def pooled(a, b):
    y = np.zeros(3)
    y[0], y[1], y[2] = a, b, 0.5
    for _ in range(20):
        for i in range(2):
            if y[i] > y[i + 1]:
                m = 0.5 * (y[i] + y[i + 1])
                y[i] = m
                y[i + 1] = m
    return y[0] + 3 * y[2]


def means_that_meet(a, b):
    x, y = a, b
    while abs(x - y) > 1e-12:
        x, y = 0.5 * (x + y), math.sqrt(x * y)
    return x


def search_in_data(a, b):
    lo, hi, s = 0, 9, np.sort(X)
    while hi - lo > 1:
        mid = (lo + hi) // 2
        if s[mid] > a:
            hi = mid
        else:
            lo = mid
    return (a - s[lo]) / (s[lo + 1] - s[lo]) * b


def set_to_constants(a, b):
    u, v = a, b
    for k in range(9):
        if u < 2.0:
            u, v = 0.4, 0.1 * k * v
        else:
            u = v
    return u + v * a


def steps_refined_and_doubled(a, b):
    t, h, y = 0.0, 1.0, 1.0
    for _ in range(400):
        if t >= 2.0:
            break
        if t + h > 2.0:
            h = 2.0 - t
        k1 = -a * y
        k2 = -a * (y + h * k1)
        if abs(h * (k2 - k1) / 2) > 1e-4:
            h /= 2
            continue
        t = t + h
        y = y + h * (k1 + k2) / 2
        if abs(h * (k2 - k1) / 2) < 1e-5:
            h *= 2
    return y * b


def adaptive_quadrature(a, b):
    def g(x):
        return math.exp(-a * x) * math.sin(b * x)

    t, h, total = 0.0, 1.0, 0.0
    while t < 3.0:
        h = min(h, 3.0 - t)
        one = h * (g(t) + 4 * g(t + h / 2) + g(t + h)) / 6
        two = h / 2 * (g(t) + 4 * g(t + h / 4) + 2 * g(t + h / 2) + 4 * g(t + 3 * h / 4) + g(t + h)) / 6
        if abs(one - two) < 1e-7:
            t += h
            total += two
            h *= 2
        else:
            h /= 2
    return total


def damped_newton(a, b):
    x, lam = 1.0, 1.0
    for _ in range(60):
        r = x**3 + b * x - a
        s = 3 * x**2 + b
        new = x - r * s / (s * s + lam)
        if (new**3 + b * new - a) ** 2 < r * r:
            x = new
            lam /= 3
        else:
            lam *= 2
    return x


def backtracking(a, b):
    x = 3.0
    for _ in range(30):
        g = math.exp(x - a) + 2 * (x - b)
        d = -g / (math.exp(x - a) + 2)
        s = 1.0
        while cost(x + s * d, a, b) > cost(x, a, b) + 1e-4 * s * g * d and s > 1e-8:
            s *= 0.5
        x += s * d
    return x


def descent_whose_step_is_kept(a, b):
    x, step = 3.0, 1.0
    for _ in range(200):
        g = math.exp(x - a) + 2 * (x - b)
        new = x - step * g
        if cost(new, a, b) < cost(x, a, b):
            x = new
            step *= 1.1
        else:
            step *= 0.5
    return x


def trust_region(a, b):
    x, r = 3.0, 0.5
    for _ in range(60):
        g = math.exp(x - a) + 2 * (x - b)
        d = -g / (math.exp(x - a) + 2)
        d = min(max(d, -r), r)
        if cost(x + d, a, b) < cost(x, a, b):
            x += d
            r *= 2
        else:
            r *= 0.25
    return x


def two_means(a, b):
    c1, c2 = -1.0, 1.0
    for _ in range(20):
        s1 = n1 = s2 = n2 = 0.0
        for v in X:
            if a * (v - c1) ** 2 < b * (v - c2) ** 2:
                s1 += v
                n1 += 1
            else:
                s2 += v
                n2 += 1
        c1, c2 = s1 / (n1 + 1e-9), s2 / (n2 + 1e-9)
    return c1 * a + c2 * b


def bandit(a, b):
    q1, q2, n1, n2, lp = 0.0, 0.0, 0.0, 0.0, 0.0
    for v in X:
        if q1 * a > q2 + 0.1 * b:
            n1 += 1
            q1 += (v - q1) / n1
        else:
            n2 += 1
            q2 += (v - q2) / n2
        lp += a * q1 - b * q2
    return lp


def forgetting(a, b):
    m, lp = 0.0, 0.0
    for v in X:
        m = 0.5 * m + (0.5 * v if m * a > b * v else 0.0)
        lp += a * m
    return lp


def best_on_a_grid(a, b):
    best, x = 1e300, 0.0
    for v in np.linspace(-3, 3, 201):
        if cost(v, a, b) < best:
            best, x = cost(v, a, b), v
    return x * b


def quantile_of_a_count(a, b):
    k, p = 0, math.exp(-a)
    c = p
    while c < 0.9:
        k += 1
        p *= a / k
        c += p
    return k * b


def search_in_a_table(a, b):
    table = np.zeros(10)
    for k in range(10):
        table[k] = a * k
    lo, hi = 0, 9
    while hi - lo > 1:
        mid = (lo + hi) // 2
        if table[mid] > b:
            hi = mid
        else:
            lo = mid
    return (b - table[lo]) / (table[hi] - table[lo]) + lo


def walk_along_a_grid(a, b):
    x = 0.0
    while x + 0.3 * b * x**3 < a:
        x += 0.001
    return x


def sum_that_ends(a, b):
    lp, w = a, b
    for _ in range(5):
        if lp - 0.7 > b:
            lp += 0.1
            break
        lp += 0.5 * math.tanh(lp)
    total = 0.3
    for v in X:
        if total > a:
            total += w
            break
        if v > 2.0:
            w = b * v
    return lp + total


def raised_entries(a, b):
    z = np.zeros(6)
    for i in range(6):
        if a - 0.3 >= z[-i - 1]:
            z[(i - 2) % 6] += 0.01
    return b * z[0] + z[3] * a


OTHERS = [
    *(counting, changepoint_and_maxima, sorting, line_search, adaptive_steps, learning_and_staircase, pooled),
    *(means_that_meet, search_in_data, newton_and_others, set_to_constants),
    *(
        steps_refined_and_doubled,
        adaptive_quadrature,
        damped_newton,
        backtracking,
        descent_whose_step_is_kept,
        trust_region,
    ),
    *(
        two_means,
        bandit,
        forgetting,
        best_on_a_grid,
        quantile_of_a_count,
        search_in_a_table,
        walk_along_a_grid,
        sum_that_ends,
        raised_entries,
    ),
]


@pytest.mark.parametrize("fn", OTHERS, ids=lambda f: f.__name__)
def test_other_loops_are_left_alone(fn: Callable[..., Any], x64: None) -> None:
    jaxpr = trace(fn, (0.7, 1.3), {}).jaxpr
    search = Search()
    search.follow(jaxpr, [Status(touched=True)] * len(jaxpr.in_avals))
    assert not search.found


def test_rounding_is_no_response() -> None:
    at_rest = np.array([[-999.0, 0.5, *[0.026 + move] * 5] for move in np.linspace(0.0, 1.0, 6)])
    assert _follows(at_rest, np.zeros(6))
    rounded = at_rest.copy()
    rounded[:, 2:] = 0.026 + np.arange(6)[:, None] * 3.5e-18
    assert not _follows(rounded, np.zeros(6))


def test_a_search_with_data_that_are_unknown_while_compiling(x64: None) -> None:
    def weighted(a, *, w):
        lo, hi = 0.0, 10.0
        for _ in range(90):
            mid = w[0] * lo + (1 - w[0]) * hi
            if mid**3 > a:
                hi = mid
            else:
                lo = mid
        return lo

    w = np.array([0.4, 0.6])
    slope = jax.jit(jax.grad(lambda a, w: evaluate(weighted, (a,), {"w": w})[0]))(2.0, w)
    assert float(slope) == pytest.approx(2.0 ** (-2 / 3) / 3, rel=1e-9)


def test_what_is_only_recorded_needs_no_derivative(x64: None) -> None:
    from gradmc.program.marks import record

    def recorded(a, b):
        record("total", used_within_the_loop(a, b))
        return a * b

    assert float(evaluate(recorded, (0.7, 1.3), {}, collect=True)[0]) == pytest.approx(0.91)


def test_loops_within_are_run_on_numbers():
    """A body that is run on random numbers runs its own loops too; what lies beyond an array is not known."""

    def within(start, table):
        def step(i, total):
            after = 0.5 * total + ir.load(table, i)
            return after, after * i

        return ir.for_loop(4, step, start)

    with jax.enable_x64(True):
        for entries in (5, 3):
            table = np.linspace(0.1, 0.9, entries)
            traced = jax.make_jaxpr(within)(0.3, table)
            got = sampled(traced, [np.asarray(0.3), table], np.random.default_rng(1))
            if entries < 4:
                assert all(value is UNKNOWN for value in got)
            else:
                for value, want in zip(got, jax.extend.core.jaxpr_as_fun(traced)(0.3, table), strict=True):
                    np.testing.assert_allclose(value, want, rtol=1e-14)
        assert sampled(traced, [UNKNOWN, table], np.random.default_rng(1)) == [UNKNOWN, UNKNOWN]
