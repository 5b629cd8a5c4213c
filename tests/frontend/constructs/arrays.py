"""Arrays and lists."""
# ruff: noqa: B007, B033

import copy
import math
import operator

import numpy as np
import pandas as pd

from tests.frontend.constructs import supported
from tests.frontend.constructs.loops import M, X, Y

G = np.array([0, 2, 1, 0, 2, 2, 1, 0, 1, 2])


@supported("arrays", "`alpha[group[i]]`", np.array([0.1, -0.4, 0.7]), x=X, group=G)
def gather(alpha, *, x, group):
    lp = 0.0
    for i in range(len(x)):
        lp -= (x[i] - alpha[group[i]]) ** 2
    return lp


@supported("arrays", "negative and computed indices", np.array([0.1, -0.4, 0.7]), x=X)
def negative(alpha, *, x):
    lp = alpha[-1] * x[-2]
    for i in range(len(x)):
        lp += x[-i - 1] * alpha[i % 3] + x[i - 1] * alpha[-1]
    return lp


@supported("arrays", "`x[i, j]`, `x[i][j]`, `x[i, :]`, `x[:, j]`", 0.3, m=M)
def matrix(a, *, m):
    lp = 0.0
    for i in range(10):
        for j in range(3):
            lp += a * m[i, j] + a * a * m[i][j]
        lp += np.sum(m[i, :] * a) + np.sum(m[i] ** a)
    for j in range(3):
        lp += np.sum(m[:, j]) * a
    for j in range(5):
        lp += np.sum(m[1:8, j % 3]) * a
    return lp


@supported("arrays", "slices and masks of arrays", np.array([0.1, -0.4, 0.7, 0.2]), x=X)
def sliced(theta, *, x):
    return np.sum(theta[1:3]) + np.sum(theta[::-1] * x[:4]) + np.sum(x[x > 0]) * theta[0] + np.sum(theta[[0, 2]])


@supported("arrays", "a window of the data: `y[t - 3:t]`", np.array([0.1, -0.4, 0.7]), y=Y)
def window(phi, *, y):
    lp = 0.0
    for t in range(3, len(y)):
        lp -= (y[t] - np.dot(phi, y[t - 3 : t])) ** 2
    return lp


@supported("arrays", "slices whose length changes: `y[:t]`, `y[max(0, t - 5):t]`", np.array([0.1, -0.4, 0.7]), y=Y)
def up_to_here(phi, *, y):
    lp = 0.0
    for t in range(1, len(y)):
        near = y[max(0, t - 2) : t]
        lp -= np.sum((y[t] - phi[0] * y[:t]) ** 2) + phi[1] * np.mean(near) * len(near) + near[-1] * phi[2]
        for k, v in enumerate(near[::-1]):
            lp += phi[k] * v
    return lp


@supported("arrays", "names, dates and records in arrays, and columns of them", 0.3, x=X)
def named(a, *, x):
    names = np.array(["low", "high", "low", "mid", "high", "mid", "low", "low", "mid", "high"])
    days = np.array(["2026-01-01", "2026-01-04"] * 5, dtype="datetime64[D]")
    rows = np.array([("a", 1.0), ("b", 2.0)] * 5, dtype=[("name", "U1"), ("weight", float)])
    frame = pd.DataFrame({"name": names})
    effects = {"low": -a, "mid": a, "high": a * a}
    lp = 0.0
    for i in range(1, len(x)):
        lp += effects[names[i]] * x[i] + effects[frame["name"].values[i]] + effects[frame["name"][i - 1]]
        lp += a * rows[i]["weight"] * ((days[i] - days[i - 1]) / np.timedelta64(1, "D"))
    for row in rows:
        lp -= a * row["weight"] if row["name"] == "b" else a * a
    return lp


@supported("arrays", "`x[i] = v` and `x[i] += v`", 0.3, x=X)
def stores(a, *, x):
    n = len(x)
    h = np.zeros(n)
    h[0] = a
    for t in range(1, n):
        h[t] = 0.5 * h[t - 1] + a * x[t]
        h[t] += 0.1 * a
    return np.sum(h * h) + h[-1]


@supported("arrays", "`x[i, j] = v`, `x[i][j] = v`, rows and columns", 0.3, x=X)
def matrix_stores(a, *, x):
    n = 5
    k = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            k[i, j] = math.exp(-a * (x[i] - x[j]) ** 2)
        k[i][i] += 0.5
    k[0, :] = a
    k[:, 1] = x[:5] * a
    for j in range(n):
        k[j, :] *= 1.5
        k[:, j] += a
    return np.sum(k * k)


@supported("arrays", "stores under a condition", 0.3, x=X)
def conditional_stores(a, *, x):
    h = np.ones(len(x))
    for i in range(len(x)):
        if x[i] > 0:
            h[i] = a * x[i]
        elif x[i] * a < -0.2:
            h[i] += a
    return np.sum(h)


@supported("arrays", "stores to one place in several iterations, under a condition: the last one counts", 0.7, x=X, g=G)
def stored_again(a, *, x, g):
    by_group, by_parameter, pairs = np.zeros(3), np.zeros(3), np.zeros(3)
    for i in range(len(x)):
        if x[i] > 0:
            by_group[g[i]] = x[i] * a
        if a * x[i] > 0.1 and i + 1 < len(x):
            by_parameter[g[i + 1]] = x[i] * a
        for j in range(len(x)):
            if x[i] > x[j]:
                pairs[g[j]] = x[i] * a
    return sum((k + 1) * (by_group[k] - 2 * by_parameter[k] + 0.5 * pairs[k]) for k in range(3))


@supported("arrays", "a number stored where a later iteration reads", 0.7, x=X)
def stored_number(a, *, x):
    z = np.ones(len(x))
    lp = a
    for i in range(len(x)):
        lp += z[i] * x[i] + a
        z[3] = 0
    return lp * a


@supported("arrays", "both triangles of a matrix, by a loop over one of them", 0.7, x=X)
def triangles(a, *, x):
    n = len(x)
    kernel, lower = np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        lower[i, i] = a
        for j in range(i + 1):
            kernel[i, j] = math.exp(-a * (x[i] - x[j]) ** 2)
            kernel[j, i] = kernel[i, j]
        for j in range(i):
            lower[i, j] = x[j] * a
    last = np.zeros(n)
    for e in range(n):
        for i in range(e, n):
            last[0] = sum(a * x[e] for _ in range(7))
    return np.sum(kernel @ lower @ x * x) + last[0]


@supported("arrays", "other names of the same array (`b = a`)", 0.3, x=X)
def aliases(a, *, x):
    first = np.zeros(4)
    second = first
    copy = first.copy()
    for i in range(4):
        second[i] = a * x[i]
    first[0] = 7.0
    return np.sum(first) + 2 * np.sum(second) + 3 * np.sum(copy)


@supported("arrays", "views: `row = m[i]` and `for row in m`", 0.3, x=X)
def views(a, *, x):
    m = np.zeros((6, 3))
    row = m[2]
    row[1] = a
    for i in range(6):
        r = m[i]
        r[0] = a * x[i]
        r[2] += 0.5
    for r in m:
        r[1] += a
    part = m[1:3]
    part[0, 0] = 9.0
    return np.sum(m * m) + np.sum(row)


@supported("arrays", "views of all of an array: `m.T`, `reshape`, `ravel`, `np.transpose`", 0.3, m=M)
def rearranged(a, *, m):
    z, flat = np.zeros((10, 3)), np.zeros((5, 2))
    t, line = z.T, flat.reshape(10)
    for i in range(3):
        for j in range(10):
            t[i, j] = m[j, i] * a
            if m[j, i] * a > 0.5:
                z[j, i] += 1.0
    for column in np.transpose(z):
        column *= 2.0
    for i in range(10):
        line[i] = m[i, 0] * a
    flat[0] *= 3.0
    np.swapaxes(flat, 0, 1)[1] = np.ravel(flat)[:5]
    return np.sum(z * m) + np.sum(line * m[:, 1]) + t[1, 2]


@supported("arrays", "`x[mask] = v` with a mask that depends on parameters", 0.7, x=X, m=M)
def traced_masks(a, *, x, m):
    z, w = x * a, m * a
    same = z
    same[z > 0.5] = a
    z[z < -0.5] *= 2.0
    w[w[:, 0] > 1.0] = 0.5
    for i in range(10):
        z[z > i * 0.1] += 0.1
    return np.sum(z * x) + np.sum(w * m)


@supported(
    "arrays", "`out[mask] = f(x[mask])`, sums and means of `x[mask]`, with a mask that depends on parameters", 0.7, x=X
)
def masked_by_parameters(a, *, x):
    out = np.zeros(10)
    low = x < a
    out[low] = a * np.log(2.0 + x[low]) ** 2
    out[~low] = x[~low] - np.log(2.0 * x[~(x < a)] - a)
    out[low & (x > -1.0)] *= 2.0
    out[~(x < a)] += np.sqrt(x[~low] - 0.9 * a)
    far = a * x[x > a]
    return np.sum(out) + far.sum() + np.mean(far) + len(far) * a + np.max(far) + far @ x[x > a]


@supported("arrays", "`np.add.at(x, index, v)`, `operator.setitem`", 0.7, x=X, g=G)
def stores_by_functions(a, *, x, g):
    z, w = np.zeros(3), np.zeros(len(x))
    np.add.at(z, g, x * a)
    np.add.at(w, [1, 1, 2], 2.0)
    for i in range(len(x)):
        operator.setitem(w, i, operator.getitem(w, i) + x[i] * a)
    return z[0] - 2.0 * z[1] + np.sum(w * x)


@supported("arrays", "`+=` and the like on whole arrays, in place", 0.3, x=X)
def in_place(a, *, x):
    h = np.zeros(10)
    other = h
    for i in range(8):
        h += a * x
        h[0] -= 0.1
    h *= 2.0
    return np.sum(other * x)


@supported("arrays", "arrays passed to functions that store into them", 0.3, x=X)
def filled_by_function(a, *, x):
    h = np.zeros(10)
    fill(h, a)
    for i in range(10):
        set_item(h, i, h[i] * x[i])
    return np.sum(h)


def fill(h, a):
    for i in range(len(h)):
        h[i] = a * i


def set_item(h, i, v):
    h[i] = v


@supported("arrays", "two buffers exchanged in a loop", np.array([0.1, 0.5, 0.2]), x=X)
def buffers(p, *, x):
    now = np.ones(3)
    new = np.zeros(3)
    for v in x:
        for j in range(3):
            new[j] = now[j] * p[j] + v * now[(j + 1) % 3]
        now, new = new, now
    return np.sum(now)


@supported("arrays", "two names of one buffer (`now = new` without a copy)", np.array([0.1, 0.5, 0.2]), x=X)
def one_buffer(p, *, x):
    now = np.ones(3)
    new = np.zeros(3)
    for v in x:
        for j in range(3):
            new[j] = now[j] * p[j] + v * now[(j + 1) % 3]
        now = new
    now[0] = 5.0
    best = np.zeros(3)
    for k, v in enumerate(x):
        made = p * v
        best = made
        last = made
    last[1] = 7.0
    return np.sum(now) + 2 * np.sum(new) + 3 * np.sum(best) + np.sum(last)


@supported("arrays", "two names of an array, one of which gets a new array in the loop", 0.3, x=X)
def parted_names(a, *, x):
    p = np.zeros(3)
    q = p
    r = np.zeros(3)
    for i in range(len(x)):
        q[i % 3] += a * x[i]
        r = p
        p = p + a
    total = np.sum(p) + 2 * np.sum(q) + 3 * np.sum(r)
    kept = {"u": np.zeros(3)}
    u = kept["u"]
    m = np.zeros((2, 3))
    row = m[0]
    for i in range(len(x)):
        u[1] += a * x[i]
        u = u * a
        m[0, 1] += a
        total += row[1]
        row = row + 0
    for v in x:
        row += a * v
    now = m[1]
    end = now
    for i in range(len(x)):
        end = now
    end[2] = a
    return total + np.sum(u) + np.sum(kept["u"]) + np.sum(row) + np.sum(m)


@supported("arrays", "buffers exchanged in a loop that have further names", 0.3, x=X)
def exchanged_names(a, *, x):
    p = np.zeros(3)
    q = np.ones(3)
    first = p
    for i in range(9):
        p[i % 3] = a * q[1] + x[i]
        p, q = q, p
    first[2] = 5.0
    return np.sum(p) + 2 * np.sum(q) + 4 * np.sum(first)


@supported("arrays", "an array that is kept in a list or dict, and stored into later", 0.3, x=X)
def kept_and_changed(a, *, x):
    every = []
    last = {"p": np.zeros(3)}
    p = np.zeros(3)
    for i in range(len(x)):
        p[i % 3] += a * x[i]
        p = p * a
        every.append(p)
        last["p"] = p
    last["p"][0] = 7.0
    rows = [[0.0] * 3] * 10
    for i in range(len(x)):
        rows[i][1] += a * x[i]
    return sum(np.sum(v) * k for k, v in enumerate(every)) + np.sum(p) + sum(sum(r) for r in rows)


@supported("arrays", "lists stored into arrays, and beside them: `x[:] = [a, b]`, `x * [1, 2]`", 0.3, x=X)
def lists_as_arrays(a, *, x):
    p = np.zeros(3)
    m = np.zeros((2, 3))
    total = 0.0
    for i in range(len(x)):
        p[:] = [a * x[i], a, x[i]]
        p[1:] += (a, a * a)
        m[i % 2] = [a * x[i], a, 1.0]
        m[:, i % 3] += [a, i]
        m += [a, 2.0, 3.0]
        q = p * [0.5, 0.25, 0.1] + (1, a, x[i])
        total += np.dot(q, [0.1, 0.2, 0.3]) + np.sum(q > [0.1, a, 0.3]) + np.sum(np.maximum(q, [0, 0, 1]))
    return total + np.sum(m) + np.sum(p)


@supported("arrays", "an array made anew in every iteration", np.array([0.1, 0.5, 0.2]), x=X)
def fresh(p, *, x):
    now = np.ones(3)
    for v in x:
        new = np.zeros(3)
        for j in range(3):
            new[j] = now[j] * p[j] + v
        now = new
    return np.sum(now * now)


@supported("arrays", "stores of floats into whole-number arrays cut off, as numpy does", 2.7, x=X, differences=False)
def integer_store(a, *, x):
    h = np.zeros(4, dtype=int)
    for i in range(4):
        h[i] = a * (i + 1)
    return a * np.sum(h)


@supported(
    "arrays", "np.fill_diagonal, np.copyto, `x.fill`, `x.sort()`, copies by np.array and copy.deepcopy", 0.3, x=X
)
def numpy_in_place(a, *, x):
    m = np.zeros((3, 3))
    same = m
    np.fill_diagonal(m, a)
    h = np.zeros(10)
    for i in range(10):
        h[i] = a * x[i]
        np.fill_diagonal(m, h[i])
    kept = np.array(h)
    deep = copy.deepcopy([h, {"u": h}])
    np.copyto(h, kept * 2)
    deep[0][0] = 7.0
    part = np.ones(3)
    part.fill(a)
    h.sort()
    return np.sum(same) + np.sum(h * x) + np.sum(kept) + np.sum(deep[0]) + deep[1]["u"][1] + np.sum(part)


@supported("arrays", "array methods and attributes", np.array([0.1, 0.5, 0.2]), m=M)
def methods(p, *, m):
    h = np.zeros((3, 3))
    for i in range(3):
        h[i, 0] = p[i]
    h.fill(0.5) if p.shape[0] == 4 else None
    return h.sum() + p.mean() + (m @ p).max() + h.T[0, 1] + p.dot(p) + p.size + h.ndim + m.dot(p).std()


@supported("lists", "append, then use as an array", 0.3, x=X)
def appended(a, *, x):
    out = []
    for v in x:
        out.append(a * v)
    return np.sum(np.array(out) ** 2) + out[3] + out[-1] + len(out) + sum(out) + max(out)


@supported("lists", "append and read in the same loop: `h.append(... h[t - 1])`", 0.3, x=X)
def append_and_read(a, *, x):
    h = [a]
    for t in range(1, len(x)):
        h.append(0.5 * h[t - 1] + a * x[t])
        h[-1] += 0.01
    return sum(h) + h[-1] * len(h)


@supported("lists", "the last items of a list that grows: `h[-2:]`, `h[t - 2:t]`", 0.3, x=X)
def list_windows(a, *, x):
    h = [a, 0.5]
    for t in range(2, len(x)):
        h.append(0.5 * sum(h[-2:]) + a * x[t])
        h[t] += 0.1 * sum(h[t - 2 : t])
    return sum(h)


@supported("lists", "slices and comprehensions whose length changes along a loop", 0.3, x=X)
def lists_up_to_here(a, *, x):
    values = [a * v for v in x]
    lp = 0.0
    for t in range(1, len(x)):
        weighted = [v * a**j for j, v in enumerate(values[:t])]
        weighted.append(a)
        lp += sum(weighted) / len(weighted) + max(values[max(0, t - 3) : t]) + math.log(1 + np.sum(np.exp(weighted)))
    return lp


@supported("lists", "an empty list that grows and is read", 0.3, x=X)
def from_empty(a, *, x):
    h = []
    for t in range(len(x)):
        if t == 0:
            h.append(a)
        else:
            h.append(h[t - 1] * 0.5 + x[t] * a)
    return sum(h)


@supported("lists", "lists of tuples and of lists", 0.3, x=X)
def of_tuples(a, *, x):
    pairs = []
    rows = []
    for v in x:
        pairs.append((a * v, v))
        rows.append([a, v * a, 1.0])
    lp = 0.0
    for p, q in pairs:
        lp += p * q
    for i in range(len(rows)):
        lp += rows[i][1] * rows[i][0]
    return lp


@supported("lists", "items that are lists or arrays, stored into: `for row in rows: row[0] = v`", 0.3, x=X)
def rows_stored_into(a, *, x):
    rows = [[a * k, 0.0] for k in range(5)]
    arrays = []
    for v in x:
        arrays.append(np.array([a * v, v]))
        for row in rows:
            row[0] = 0.9 * row[0] + v
            row[1] -= (row[0] - a) ** 2
    for array in arrays[:3]:
        array[1] *= 2.0
    for k, array in enumerate(arrays):
        array[0] -= a * k
    return sum(w for _, w in rows) + rows[2][0] + sum(np.sum(array) for array in arrays)


@supported("lists", "append in nested loops, extend, and on both sides of a branch", 0.3, x=X)
def nested_append(a, *, x):
    out = []
    for i in range(5):
        for j in range(6):
            out.append(a * x[i] * x[j])
    for v in x:
        if v > 0:
            out.append(v * a)
        else:
            out.append(-a)
    out.extend([a, a * a])
    return sum(out) + len(out) * a + out[7]


@supported("lists", "append under a condition on data", 0.3, x=X, group=G)
def append_on_data(a, *, x, group):
    first, second, both = [], [1.0], []
    for i in range(len(x)):
        if group[i] == 1:
            first.append(a * x[i])
        if group[i] > 0 and i > 2:
            second.append(x[i])
            if group[i] == 2:
                both.append(a * i)
        both.append(a)
    return sum(first) * len(second) + sum(second) * a + both[4] + both[-2] + len(both)


@supported("lists", "`[v] * n`, stores into lists, lists of lists", 0.3, x=X)
def list_stores(a, *, x):
    h = [0.0] * 10
    for i in range(10):
        h[i] = a * x[i]
    grid = [[0.0] * 3 for _ in range(6)]
    for i in range(6):
        for j in range(3):
            grid[i][j] = a * x[i] * j
    return sum(h) + grid[5][2] + sum(sum(row) for row in grid)


@supported("lists", "`del`, `*=` and `sort`, seen by every name of the list; `append` under another name", 0.7, x=X)
def changed_lists(a, *, x):
    out: list = []
    same, add = out, out.append
    for v in x:
        add(v * a)
    del out[0], out[-2:]
    out *= 2
    out.sort()
    for i in range(12):
        same += [i * a]
    return sum(i * v for i, v in enumerate(same)) + len(out) * a


@supported(
    "lists", "`sorted`, `max` and `min` by keys that depend on parameters; tuples compared, `(a, b) < (c, d)`", 0.7, x=X
)
def ordered(a, *, x):
    pairs = sorted([(k, np.sin(a * k)) for k in range(len(x))], key=lambda pair: pair[1])
    nearest = min(x, key=lambda v: (v - a) ** 2)
    largest = max((v * a, -k) for k, v in enumerate(x))
    return sum((n + 1) * v for n, (_, v) in enumerate(pairs)) + a * nearest + largest[0] * ((a, x[0]) < (a, x[1]))


@supported("lists", "an item under a name of its own, beside stores into the list's items in a loop", 0.3, x=X)
def named_items(a, *, x):
    rows = [np.zeros(3) for _ in x]
    item, lp = rows[3], 0.0
    for i in range(len(x)):
        rows[i][1] += a * x[i]
        item[0] += a
    for i in range(len(x)):
        lp += item[1] * rows[i][0]
        rows[i][1] += a
        rows = list(rows)
    return lp + sum(np.sum(row) * k for k, row in enumerate(rows))


@supported("lists", "concatenation, slices, pop, insert, copy", 0.3, x=X)
def list_methods(a, *, x):
    out = [a * v for v in x] + [a, 2.0]
    last = out.pop()
    out.insert(0, a * a)
    other = out.copy()
    other[0] = 5.0
    out.reverse()
    return sum(out) + last + other[0] + sum(out[2:5]) + len(out)


@supported("lists", "comprehensions, with conditions and nested", 0.3, x=X, m=M)
def comprehensions(a, *, x, m):
    squares = [a * v * v for v in x]
    positive = [v * a for v in x if v > 0]
    table = [[a * v for v in row] for row in m]
    flat = [a * v for row in m for v in row]
    by_name = {k: a * k for k in range(3)}
    return sum(squares) + sum(positive) + table[2][1] + sum(flat) + by_name[2] + len({1, 2, 2})


@supported("lists", "generator expressions under sum, max, min, any, all", 0.3, x=X)
def generators(a, *, x):
    lp = sum(a * v for v in x) + max(a * v for v in x) - min(a * v * v for v in x)
    lp += sum(a * x[i] * x[j] for i in range(len(x)) for j in range(i))
    lp += sum(a * v for v in x if v * a > 0.1)
    if any(v > 1.9 for v in x) and all(a * v < 5 for v in x):
        lp += a
    return lp


@supported("lists", "unpacking, with a star", 0.3, x=X)
def unpacking(a, *, x):
    first, *middle, last = x
    (u, v), w = (a, 2 * a), 3.0
    values = [a * e for e in x]
    p, q, *rest = values
    return first * a + last + sum(middle) * a + u * v * w + p * q + len(rest)
