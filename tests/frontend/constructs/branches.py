"""Branches and truth values."""
# ruff: noqa: RET503, RET505, SIM108

import math

import numpy as np

from tests.frontend.constructs import supported
from tests.frontend.constructs.loops import X, Y

CENSORED = np.array([True, False, False, True, True, False, False, False, True, False])
T = np.array([0.5, 1.2, 0.8, 2.0, 0.7, 1.1, 0.4, 0.9, 0.2, 1.7])


@supported("branches", "`if`, `elif`, `else` on data in a loop", 1.5, 0.8, t=T, censored=CENSORED)
def on_data(lam, k, *, t, censored):
    lp = 0.0
    for i in range(len(t)):
        if censored[i]:
            lp -= (t[i] / lam) ** k
        elif t[i] > 1.0:
            lp += math.log(k / lam) + (k - 1) * math.log(t[i] / lam) - (t[i] / lam) ** k
        else:
            lp += lam
    return lp


@supported("branches", "`if` on a parameter", 0.73, x=X)
def on_parameter(a, *, x):
    if a > 0.5:
        b = a * 2
    else:
        b = a - 1
    lp = 0.0
    for i in range(len(x)):
        if i < a * 10:
            lp += b * x[i]
        else:
            lp -= x[i] ** 2 * a
    return lp


@supported("branches", "a side that is not taken may be undefined (log of a negative, division by 0)", 0.7, x=X)
def untaken(a, *, x):
    lp = 0.0
    for v in x:
        if v * a > 0:
            lp += math.log(v * a) + math.sqrt(v * a) if v > 0 else 0.0
        elif v != 0:
            lp += a / v
    return lp


@supported("branches", "conditional expressions", 0.7, x=X)
def expressions(a, *, x):
    lp = 0.0
    for v in x:
        lp += a * v if v > 0 else -a * v * v
        lp += (a if a * v > 0.5 else 2 * a) * v
    return lp


@supported("branches", "`and`, `or`, `not`, with their short circuits", 0.7, x=X, y=Y)
def short_circuits(a, *, x, y):
    lp = 0.0
    for i in range(len(x)):
        if i > 0 and x[i - 1] > 0 and not y[i] > 0.9:
            lp += a * x[i]
        if i == len(x) - 1 or x[i + 1] * a > 0.2:
            lp += a * a
    scale = a or 1.0
    other = 0.0 or a
    return lp * scale + other


@supported("branches", "chained comparisons", 0.7, x=X)
def chained(a, *, x):
    lp = 0.0
    for v in x:
        if 0 < v < 1:
            lp += a * v
        if -1 <= a * v <= 0.5 < 2 * a:
            lp += a
    return lp


@supported("branches", "variables assigned on both sides, or kept on one", 0.7, x=X)
def both_sides(a, *, x):
    lp = 0.0
    level = a
    for v in x:
        if v > a:
            level = v * a
            sign = 1.0
        else:
            sign = -1.0
        lp += sign * level
    return lp


@supported("branches", "a store on one side, another array on the other", 0.7, x=X)
def store_or_new(a, *, x):
    p = np.zeros(3)
    if a > 0:
        p[0] = a * 5
    else:
        p = p + 1
    q = [0.0, 1.0]
    if a > 0.5:
        q[0] = a
    else:
        q = [a, a]
    for i in range(len(x)):
        if a * x[i] > 0:
            p[i % 3] += a * x[i]
        else:
            p = p + a
    return np.sum(p) + sum(q)


@supported("branches", "early return", 0.7, x=X)
def early_return(a, *, x):
    if a < 0:
        return -math.inf
    lp = 0.0
    for v in x:
        if v > 1.9:
            return lp + a
        lp += a * v
        if lp > 100:
            return lp * 2
    return lp


@supported("branches", "return on every side", 0.7)
def returns(a):
    if a > 1:
        return a * 2
    elif a > 0.6:
        return math.exp(a)
    else:
        return a - 1


@supported("branches", "a last `if` or `elif` without `else`: NaN where no side returns", 0.7, x=X)
def last_if(a, *, x):
    def sign(v):
        if v > 0:
            return math.log(v)
        if v <= 0:
            return 2 * v

    lp = 0.0
    for v in x:
        lp += sign(a * v)
    if a > 0.8:
        return lp
    elif a > 0.2:
        return 2 * lp


@supported("branches", "None where a search finds nothing, and asking for it", 0.7, x=X)
def found_or_none(a, *, x):
    best = None
    for v in x:
        if a * v > 0.5 and (best is None or a * v < best):
            best = a * v

    def beyond(limit):
        for v in x:
            if a * v > limit:
                return a * v

    far = beyond(5.0)
    return (a if best is None else best) + (a if far is None else far) + (beyond(9.0) or 0.3)


@supported("branches", "appending what may be None on one side, a number on the other", 0.7, x=X)
def appended_or_none(a, *, x):
    def larger(u, v):
        if u > v:
            return u * u
        if u <= v:
            return 2.0 * v

    out, first = [], []
    if a > 0.5:
        first.append(larger(a, 0.3))
    else:
        first.append(1.0)
    for v in x:
        if a * v > 0.1:
            out.append(larger(a, v))
        else:
            out.append(0.5)
    return sum(out) + first[0]


@supported("branches", "`in` and `not in`", 0.7, x=X)
def membership(a, *, x):
    lp = 0.0
    for i in range(len(x)):
        if i in (1, 3, 5):
            lp += a * x[i]
        if i not in range(2, 6):
            lp += a
    return lp + (a if "u" in {"u": 1} else 0.0)


@supported("branches", "comparison with None and of strings", 0.7, mode="full", extra=None)
def none_and_strings(a, *, mode, extra):
    lp = a * 2 if mode == "full" else 0.0
    if extra is None:
        lp += a
    return lp


@supported("branches", "`match` on plain values", 0.7, mode="log")
def matched(a, *, mode):
    match mode:
        case "log":
            value = math.log(a)
        case "id" | "none":
            value = a
        case _:
            value = 0.0
    return value


@supported("branches", "`match` with literals, on numbers, with returns", 2.0, k=3)
def matched_numbers(a, *, k):
    total = 0.0
    for i in range(12):
        match i:
            case 0:
                continue
            case 1 | 2:
                total += a
            case n if n > 7:
                total += n * a
            case _:
                total += 0.1 * i
    match k:
        case 3:
            return total * a
        case _:
            return 0.0


@supported("branches", "`assert`", 0.7, x=X)
def asserted(a, *, x):
    assert len(x) == 10, "ten values"
    assert a > 0
    lp = 0.0
    for v in x:
        assert v * a < 100, f"too large: {v}"
        lp += a * v
    return lp


@supported("branches", "`raise` on a condition that does not hold", 0.7, x=X)
def raising(a, *, x):
    if a < 0:
        raise ValueError("a must be positive")
    if len(x) == 0:
        raise ValueError("no data")
    return sum(a * v for v in x)


@supported("branches", "`try` around plain values", 0.7, x={"u": 1.0})
def trying(a, *, x):
    try:
        value = x["missing"]
    except KeyError:
        value = 2.0
    finally:
        value2 = 1.0
    return a * value + value2


@supported("branches", "`with`", 0.7, x=X)
def with_block(a, *, x):
    with np.errstate(all="ignore"):
        lp = 0.0
        for v in x:
            lp += a * v
    return lp


@supported("branches", "max, min and abs of traced values", 0.7, x=X)
def extremes(a, *, x):
    lp = 0.0
    for v in x:
        lp += max(a * v, 0.0) + min(v, a, 0.3) + abs(v * a)
    return lp


@supported("branches", "an array on one side, a number on the other, beside arrays of the same shape", 0.7, x=X)
def spread(a, *, x):
    def level(k):
        if k > 0:
            return k * x
        return 0.5

    lp = 0.0
    for k in range(-3, 6):
        t = np.exp(0.1 * x) * a if a * k > 1.0 else a
        lp += np.sum((x - t) ** 2) * k + np.sum(x * np.sqrt(t + 3.0)) + np.sum((x - level(a * k)) ** 2)
    return lp
