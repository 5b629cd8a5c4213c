"""Loops."""
# ruff: noqa: B007, C417

import collections
import itertools
import math

import numpy as np

from tests.frontend.constructs import supported

X = np.array([0.3, -1.2, 0.8, 2.0, -0.5, 1.1, 0.4, -0.9, 0.2, 1.7])
Y = np.array([1.0, 0.5, -0.3, 0.8, 1.2, -1.1, 0.6, 0.9, -0.7, 0.1])
M = np.arange(30.0).reshape(10, 3) / 10


@supported("loops", "`for i in range(n)`", 0.5, 1.2, x=X, y=Y)
def over_range(a, s, *, x, y):
    lp = 0.0
    for i in range(len(x)):
        lp += -0.5 * ((y[i] - a * x[i]) / s) ** 2 - math.log(s)
    return lp


@supported("loops", "`range` with a start, a step, or counting down", 0.7, x=X)
def range_steps(a, *, x):
    lp = 0.0
    for i in range(1, 10, 2):
        lp += a * x[i] * i
    for i in range(9, -1, -1):
        lp = lp * 0.9 + x[i] * a
    for i in range(8, 0, -3):
        lp += a**2 * x[i]
    return lp


@supported("loops", "an empty range", 0.7, x=X)
def empty_range(a, *, x):
    lp = a
    for i in range(5, 5):
        lp += x[i] * a
    for i in range(3, 0):
        lp = "never"
    return lp


@supported("loops", "`for v in array`", 0.7, x=X)
def over_array(a, *, x):
    lp = 0.0
    for v in x:
        lp += (v - a) ** 2
    return lp


@supported("loops", "`for row in matrix`", 0.7, m=M)
def over_rows(a, *, m):
    lp = 0.0
    for row in m:
        lp += (row[0] - a * row[1]) ** 2 + np.sum(row) * a
    return lp


@supported("loops", "`for v in a parameter vector`", X, s=2.0)
def over_parameter(theta, *, s):
    lp = 0.0
    for v in theta:
        lp -= v * v / s
    return lp


@supported("loops", "`enumerate`, with a start", 0.7, x=X, y=Y)
def enumerated(a, *, x, y):
    lp = 0.0
    for i, v in enumerate(x):
        lp += (v - a * y[i]) ** 2
    for i, v in enumerate(x, 3):
        lp += i * v * a
    return lp


@supported("loops", "`zip`, of unequal lengths too", 0.7, x=X, y=Y)
def zipped(a, *, x, y):
    lp = 0.0
    for u, v in zip(x, y, strict=True):
        lp += (v - a * u) ** 2
    for u, v, k in zip(x, y, range(7), strict=False):
        lp += k * u * v * a
    return lp


@supported("loops", "`reversed`", 0.7, x=X)
def backwards(a, *, x):
    h = 0.0
    for v in reversed(x):
        h = a * h + v
    for i in reversed(range(10)):
        h = a * h + x[i]
    return h


@supported("loops", "`enumerate(zip(...))` and nested tuple targets", 0.7, x=X, y=Y)
def nested_targets(a, *, x, y):
    lp = 0.0
    for i, (u, v) in enumerate(zip(x, y, strict=True)):
        lp += i * (v - a * u) ** 2
    return lp


@supported("loops", "`map` and `filter`", 0.7, x=X)
def mapped(a, *, x):
    lp = 0.0
    for v in map(lambda u: u * a, x):
        lp += v * v
    lp += sum(map(math.exp, a * x))
    return lp + sum(filter(lambda u: u > 0, x)) * a


@supported("loops", "one array in both loops of a pair", X, x=X)
def pairs_of_one(theta, *, x):
    lp = 0.0
    for u in theta:
        for k, v in enumerate(theta):
            lp += (k + u) / (2.0 + v * v)
    for u in x:
        for i, v in enumerate(x):
            lp += (u - theta[i]) ** 2 * v
    return lp


@supported("loops", "nested loops", 0.7, 0.2, m=M)
def nested(a, b, *, m):
    lp = 0.0
    for i in range(m.shape[0]):
        inner = a
        for j in range(m.shape[1]):
            inner += b * m[i, j]
        lp += math.log(1 + inner * inner)
    return lp


@supported("loops", "an inner range that depends on the outer index (triangles)", 0.7, x=X)
def triangle(a, *, x):
    lp = 0.0
    n = len(x)
    for i in range(n):
        for j in range(i):
            lp += a * x[i] * x[j]
        for j in range(i + 1, n):
            lp += math.sin(a * x[i] - x[j])
    return lp


@supported(
    "loops",
    "ragged data: `for k in range(start[g], start[g + 1])`",
    0.7,
    0.3,
    x=X,
    start=np.array([0, 3, 3, 7, 10]),
)
def ragged(a, b, *, x, start):
    lp = 0.0
    for g in range(len(start) - 1):
        total = b * g
        for k in range(start[g], start[g + 1]):
            total += a * x[k]
        lp += total**2
    return lp


@supported("loops", "a recurrence, and a value of the previous iteration", 0.4, 0.3, x=X)
def recurrence(a, b, *, x):
    h = 1.0
    before = 0.0
    lp = 0.0
    for v in x:
        h = a + b * before**2 + 0.5 * h
        lp -= v * v / h + math.log(h)
        before = v
    return lp


@supported("loops", "two recurrences that exchange values", 0.4, 0.3, x=X)
def exchange(a, b, *, x):
    u, v = 1.0, 0.5
    for w in x:
        u, v = v + a * w, u * b
    return u * v


@supported("loops", "`break`, on data", 0.5, x=X)
def break_on_data(a, *, x):
    lp = 0.0
    for v in x:
        if v > 1.5:
            break
        lp += a * v
    return lp


@supported("loops", "`break`, on a parameter", 0.5, x=X)
def break_on_parameter(a, *, x):
    total = 0.0
    for v in x:
        total += a * v * v
        if total > 1.0:
            break
        total += 0.01
    return total


@supported("loops", "`continue`", 0.5, x=X)
def skipping(a, *, x):
    lp = 0.0
    for v in x:
        if v < 0:
            continue
        if v * a > 0.9:
            continue
        lp += a * v
    return lp


@supported("loops", "`break` and `continue` deep inside branches", 0.5, x=X, y=Y)
def deep_jumps(a, *, x, y):
    lp = 0.0
    for i in range(len(x)):
        if x[i] > 0:
            if y[i] < 0:
                continue
            lp += a
            if lp > 2.2:
                if y[i] > 0.5:
                    break
                lp += 0.1 * a
            lp += 0.01
        lp += a * x[i]
    return lp


@supported("loops", "`for ... else`", 0.5, x=X)
def for_else(a, *, x):
    lp = 0.0
    for v in x:
        if v > 5:
            break
        lp += a * v
    else:
        lp += 10.0 * a
    for v in x:
        if v * a > 0.9:
            break
    else:
        lp += 100.0
    return lp


@supported("loops", "`continue` and `break` in the `else` of an inner loop", 0.7, m=M)
def jumps_in_else(a, *, m):
    lp = 0.0
    for row in m:
        for v in row:
            if v * a > 1.0:
                break
            lp += v * a
        else:
            lp += 10.0
            if lp > 60.0:
                break
            continue
        lp -= 1.0
    return lp


@supported("loops", "`break` leaves the inner loop only", 0.5, x=X)
def inner_break(a, *, x):
    lp = 0.0
    for i in range(len(x)):
        for j in range(len(x)):
            if j > i:
                break
            lp += a * x[j]
        lp = lp * 0.9
    return lp


@supported("loops", "`while` with a counter", 0.5, x=X)
def while_counter(a, *, x):
    i = 0
    lp = 0.0
    while i < len(x):
        lp += a * x[i]
        i += 1
    return lp


@supported("loops", "`while` on a parameter", 2.0, reverse=False)
def newton(a):
    z = 1.0
    error = 1.0
    while error > 1e-12:
        new = 0.5 * (z + a / z)
        error = abs(new - z)
        z = new
    return z


@supported("loops", "`while True` with `break`", 2.0, reverse=False)
def while_true(a):
    z = 1.0
    steps = 0
    while True:
        new = 0.5 * (z + a / z)
        steps += 1
        if abs(new - z) < 1e-12 or steps > 50:
            break
        z = new
    return z


@supported("loops", "`while ... else`, and an assignment expression in the test", 0.5, x=X)
def while_else(a, *, x):
    k = 0
    lp = 0.0
    while (k := k + 1) < 6:
        lp += a * x[k]
    else:
        lp += 3.0 * a
    return lp


@supported("loops", "`while` on data whose test changes something", 0.7, x=X)
def acting_test(a, *, x):
    count = 0
    total = 0.0

    def more():
        nonlocal count
        count += 1
        return count < 9

    while more():
        total += a * x[count]
    stack = [1.0, 2.0, -3.0, 4.0]
    while stack.pop() > 0:
        total += a
    return total + count + len(stack)


@supported("loops", "`while True`: what it sets and returns", 1.7)
def endless(a):
    def root(v):
        x = v
        while True:
            new = 0.5 * (x + v / x)
            if abs(new - x) < 1e-13:
                return new
            x = new

    n = 0
    while True:
        step = math.exp(-a * (n + 1))
        n += 1
        if step < 1e-3:
            break
    return root(a) + step


@supported("loops", "bisection, golden section and the like, by comparisons: the derivative is that of the root", 1.7)
def bisection(a):
    lo, hi = 0.0, 10.0
    for _ in range(60):
        mid = 0.5 * (lo + hi)
        if mid - 0.3 * math.sin(mid) > a:
            hi = mid
        else:
            lo = mid
    return -((0.5 * (lo + hi)) ** 2)


@supported(
    "loops", "the loop's variable changed in a loop or branch of its body", 0.7, 0.2, n=[40, 17, 3, 5, 6], x=X, y=Y
)
def variable_changed(a, b, *, n, x, y):
    lp = 0.0
    for v in n:
        k = 0
        while v != 1:
            v = v // 2
            k += 1
        lp += a * k
    for v in x:
        if v * a > 0.3:
            v = b - v
        lp += a * v
    for i, v in enumerate(y):
        for k in range(6):
            v = 0.5 * v + a * k
        while v > 2 * b + i:
            v = v - 1.0
        lp += b * v
    return lp


@supported("loops", "a loop whose length is a parameter", 6.3, x=X, reverse=False)
def length_from_parameter(a, *, x):
    lp = 0.0
    for i in range(int(a)):
        lp += a * x[i]
    return lp


@supported("loops", "the loop's variable after the loop", 0.5, x=X)
def variable_after(a, *, x):
    for i in range(len(x)):
        last = a * x[i]
    return last * i + a


@supported("loops", "the loop's variables after a `break` on a parameter", 0.7, x=X, m=M)
def variables_after_break(a, *, x, m):
    for i in range(len(x)):
        if x[i] * a > 1.0:
            break
    for k, (u, v) in enumerate(itertools.pairwise(x)):
        w = u * a
        if u * a > v:
            continue
        if u * v * a > 0.5:
            break
    for row in m:
        if row[0] * a > 1.0:
            break

    def found(bound):
        for j in range(len(x)):
            if x[j] * a > bound:
                return j
        return 100 * j

    return i * a + x[i] + k * u - v * w + a * (row @ row) + a * found(0.5) + found(99.0)


@supported("loops", "a variable first bound in the loop, of another type before", 0.5, x=X)
def rebound(a, *, x):
    last = "nothing yet"
    text = "a string that stays"
    for i in range(len(x)):
        last = a * x[i]
    return last * len(text)


@supported("loops", "a first iteration that differs: `prev = None`, `if prev is not None`", 0.5, x=X)
def first_differs(a, *, x):
    prev = None
    trend = np.zeros(1)
    total = 0.0
    for v in np.concatenate([x] * 5):
        if prev is not None:
            total += (v - a * prev) ** 2
        prev = v
        trend = 0.5 * trend + a * np.array([v, 1.0])
    return total + np.sum(trend)


@supported("loops", "whole numbers that become floats", 0.5, x=X)
def promoted(a, *, x):
    lp = 0
    count = 1
    for v in x:
        lp += a * v
        count = count * 1.5 if v > 0 else count
    return lp * count


@supported("loops", "counters and flags carried along", 0.5, x=X)
def counters(a, *, x):
    positives = 0
    any_large = False
    sign = 1
    lp = 0.0
    for v in x:
        if v > 0:
            positives += 1
            sign = -sign
        any_large = any_large or v > 1.9
        lp += sign * a * v
    return lp * positives + (1.0 if any_large else 0.0)


@supported(
    "loops",
    "lists of unlike things: iterated in Python",
    0.5,
    groups=[np.array([1.0, 2.0]), np.array([0.5, 0.1, 0.2])],
)
def unlike(a, *, groups):
    lp = 0.0
    for g in groups:
        for v in g:
            lp += a * v
    for name in ["one", "two"]:
        lp += len(name) * a
    return lp


@supported("loops", "lists of tuples of numbers, itertools.product and combinations, np.ndindex", 0.5, x=X, m=M)
def tuples(a, *, x, m):
    lp = 0.0
    for i, j in [(k, (3 * k) % 10) for k in range(10)]:
        lp += a * x[i] * x[j]
    for i, j in itertools.product(range(10), range(3)):
        lp += a * m[i, j]
    for i, j in itertools.combinations(range(6), 2):
        lp += (x[i] - a * x[j]) ** 2
    for i, j in np.ndindex(10, 3):
        lp += m[i, j] ** 2 * a
    return lp + sum(a * x[i] for i, j in itertools.product(range(4), range(5)))


@supported("loops", "lists of lists of numbers, of any length", 0.5, n=40, rows=[[k % 7, 0.5 * k] for k in range(40)])
def lists_of_numbers(a, *, n, rows):
    table = [[0.1 * k, 2.0, (k, k + 1)] for k in range(n)]
    lp = 0.0
    for k, (u, v, (i, j)) in enumerate(table):
        lp += a * u * v * (j - i) + a * a * table[k][0] * rows[k][1]
    for row in table:
        row[0] = row[0] * a
    return lp + sum(math.exp(-row[0]) * row[1] for row in table)


@supported("loops", "an inner range whose ends stand in a list", 0.5, first=[0, 3, 1, 2] * 5, x=X)
def ends_in_a_list(a, *, first, x):
    begin = [int(f) for f in first]
    lp = 0.0
    for i in range(len(begin)):
        for t in range(begin[i], 10):
            lp += a * x[t]
    return lp


@supported("loops", "`break` or `return` on a parameter in a long range: it stops there", 1.7, x=X)
def stops_early(a, *, x):
    def root(v):
        guess = v
        for k in range(100):
            better = 0.5 * (guess + v / guess)
            if abs(better - guess) < 1e-13:
                return better * (k + 1)
            guess = better
        return -1.0

    y, kept = a, np.zeros(40)
    for k in range(40):
        y = y + math.sin(y)
        kept[k] = y + (kept[k - 1] if k > 0 else 0.0)
        if abs(math.sin(y)) < 1e-9:
            break
    else:
        y = -5.0
    lp = y + k * a + kept.sum()
    for v in x:
        lp += root(a + v * v)
    return lp


@supported("loops", "recursion on the index, until it has some value", 0.5, x=X)
def recursion_on_index(a, *, x):
    def moment(n):
        if n == 0:
            return 1.0
        if n == 1:
            return a
        return a * moment(n - 1) + (n - 1) * 0.1 * moment(n - 2)

    lp = 0.0
    for n in range(6):
        lp += moment(n) * x[n]
    return lp


@supported("loops", "`next` of an iterator, `itertools.cycle`, a deque: the loop is written out", 0.7, x=X)
def iterators(a, *, x):
    rest, signs, last = iter(x), itertools.cycle([1.0, -1.0]), collections.deque(maxlen=3)
    lp = next(rest) * a
    for v in rest:
        lp += v * a * a
    for v in x:
        last.append(v * a)
        lp += next(signs) * v * a + sum(last)
    return lp + next(v * a for v in x if v < -1.0) + next((v for v in x if v > 100.0), a)


@supported("loops", "a dict", 0.5, effects={"u": 1.5, "v": -0.5})
def over_dict(a, *, effects):
    lp = 0.0
    for name, value in effects.items():
        lp += value * a
        if name == "v":
            lp += a * a
    for name in effects:
        lp += effects[name] * a
    return lp


@supported("loops", "short lists of numbers and tuples of parameters", 0.5, 0.3)
def short_lists(a, b):
    lp = 0.0
    for p in (a, b):
        lp += math.exp(p)
    for w in [1.0, 0.5, 0.25]:
        lp += w * a * b
    return lp


@supported("loops", "a counter of a loop that decides later ones", 0.5, x=X)
def counter_after(a, *, x):
    count = 0
    last = -1
    lp = 0.0
    for i in range(len(x)):
        lp += a * x[i]
        if x[i] > 0:
            count += 1
            last = i
    while count > 2:
        count -= 1
        lp += x[count] ** 2 * a
    if last > 0:
        lp += np.sum(x[:last]) * a
    return lp * len(np.zeros(last))


@supported(
    "loops",
    "a loop over data only runs on plain values",
    0.5,
    x=X,
    group=np.array([0, 1, 0, 2, 1, 0, 2, 2, 0, 1]),
)
def data_only(a, *, x, group):
    counts = np.zeros(3, dtype=int)
    for i in range(len(group)):
        counts[group[i]] += 1
    theta = np.zeros(counts.max())
    lp = 0.0
    for k in range(3):
        lp += a ** counts[k]
    return lp + len(theta)


@supported("loops", "a list that grows where parameters say, or in a loop that they end", 0.7, 0.4, x=X, y=Y)
def growing_sometimes(a, s, *, x, y):
    out, seen, last = [0.1 * a], [], (0, a)
    for v in x:
        if a * v > 0.1:
            out.append(v * s)
        elif v * s < -0.25:
            for _ in range(6):
                out.append(out[-1] * a)
    for i in range(len(y)):
        if y[i] * a > 0.2:
            seen.append((i, y[i] * s))
            last = seen[-1]
    path = [a]
    for _ in range(40):
        path.append(0.5 * path[-1] + s)
        if abs(path[-1] - path[-2]) < 1e-3:
            break
    path.append(a * s)
    lp = sum(out) + len(out) * s + last[1] * x[last[0]] + path[-2] + path[-1] * len(path)
    for i, v in seen:
        lp += x[i] * v
    return lp


@supported("loops", "lists and generators with a condition on parameters", 0.7, 0.4, x=X, y=Y)
def filtered_by_parameters(a, s, *, x, y):
    large = [v * a for v in x if v * a > 0.1]
    z = np.array(large)
    first = next((v for v in y if v * s < -0.2), 0.0)
    none = next((k for k in range(10) if a * k > 100.0), None)
    lp = np.sum(np.log(z)) + np.mean((z - s) ** 2) + max(large) + min(v * s for v in x if v > a)
    return lp + first * a + (1.0 if none is None else s)


@supported("loops", "`while found is None`", 0.7, 0.4)
def while_none(a, s):
    found, k = None, 0
    while found is None:
        k += 1
        if k * s > 1.1 + a:
            found = k * s
    return found * a


@supported("loops", "lists of two or three numbers that a loop changes", 0.7, 0.4, x=X)
def changed_in_place(a, s, *, x):
    ends, both, sums = [0, 10], [a, s], [0.0, 0, a]
    for i in range(len(x)):
        both[i % 2] += s * x[i]
        both[0], both[1] = both[1], both[0] * 0.9
        sums[2] = sums[0] + a
        sums[0] += x[i] * both[1]
        sums[1] += 1
        ends[0] = ends[1] if i == 4 else ends[0]
    return both[0] + both[1] * a + sum(sums) + ends[0] * a
