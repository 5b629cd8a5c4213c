"""Small programs in the loop IR, each a function of a vector of four positive parameters to one number.

They stand for what the front end makes of plain loops; every one must come out of the middle end equal
to its plain meaning in value, reverse and forward gradient.
"""

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from gradmc.program import ir

RNG = np.random.default_rng(20260101)
Y = RNG.normal(size=7)
X = RNG.normal(size=(7, 3))
GROUP = np.array([2, 0, 1, 1, 0, 2, 2])
SKEWED = np.array([0] * 30 + [1, 2, 3])
FLAGS = np.array([True, False, False, True, True, False, True])
PROGRAMS = {}


def program(fn):
    PROGRAMS[fn.__name__] = fn
    return fn


def normal(y, mu, sigma):
    return -0.5 * ((y - mu) / sigma) ** 2 - jnp.log(sigma)


def total(length, term):
    """lp = 0; for i in range(length): lp += term(i)."""
    return ir.for_loop(length, lambda i, lp: (lp + term(i), ()), 0.0)[0]


@program
def linear_regression(p):
    return total(7, lambda i: normal(ir.load(Y, i), p[0] + p[1] * ir.load(X, i, 1), p[2]))


@program
def garch(p):
    def body(t, c):
        lp, h = c
        h = p[0] + p[1] * ir.load(Y, t) ** 2 + 0.3 * p[2] * h
        return (lp + normal(ir.load(Y, t), 0.0, jnp.sqrt(h)), h), ()

    return ir.for_loop(7, body, (0.0, p[3]))[0][0]


@program
def arma(p):
    def body(t, c):
        lp, err = c
        err = ir.load(Y, t + 1) - p[0] - 0.4 * p[1] * ir.load(Y, t) - 0.3 * p[2] * err
        return (lp + normal(err, 0.0, p[3]), err), ()

    return ir.for_loop(6, body, (0.0, 0.1))[0][0]


@program
def arma_with_arrays(p):
    def body(t, c):
        lp, err = c
        t = t + 1
        e = ir.load(Y, t) - p[0] - 0.4 * p[1] * ir.load(Y, t - 1) - 0.3 * p[2] * ir.load(err, t - 1)
        return (lp + normal(e, 0.0, p[3]), ir.store(err, e, t)), ()

    lp, err = ir.for_loop(6, body, (0.0, jnp.zeros(7) + p[0]))[0]
    return lp + jnp.sum(err * Y)


@program
def item_response(p):
    theta, b = p[:2], jnp.stack([p[2], p[3], p[0]])

    def outer(i, lp):
        def inner(j, lp):
            eta = ir.load(theta, i) - ir.load(b, j)
            return lp + ir.load(X, i, j) * eta - jnp.logaddexp(0.0, eta), ()

        return ir.for_loop(3, inner, lp)[0], ()

    return ir.for_loop(2, outer, 0.0)[0]


@program
def hierarchical(p):
    return total(7, lambda i: normal(ir.load(Y, i), ir.load(p, ir.load(GROUP, i)), p[3]))


@program
def skewed_groups(p):
    x = np.linspace(-1, 1, len(SKEWED))
    return total(len(SKEWED), lambda i: jnp.sin(ir.load(p, ir.load(SKEWED, i)) * ir.load(x, i)))


@program
def hidden_markov(p):
    A = jnp.log(jnp.stack([p[:2] / p[:2].sum(), p[2:] / p[2:].sum()]))

    def step(t, alpha):
        def to(j, new):
            acc = ir.for_loop(2, lambda k, a: (jnp.logaddexp(a, ir.load(alpha, k) + ir.load(A, k, j)), ()), -jnp.inf)[0]
            return ir.store(new, acc + normal(ir.load(Y, t), ir.load(p, j), 1.0), j), ()

        return ir.for_loop(2, to, jnp.zeros(2))[0], ()

    return logsumexp(ir.for_loop(7, step, jnp.zeros(2))[0])


@program
def hidden_markov_table(p):
    A = jnp.log(jnp.stack([p[:2] / p[:2].sum(), p[2:] / p[2:].sum()]))

    def step(s, alpha):
        t = s + 1

        def to(j, alpha):
            acc = ir.for_loop(
                2,
                lambda k, a: (jnp.logaddexp(a, ir.load(alpha, t - 1, k) + ir.load(A, k, j)), ()),
                -jnp.inf,
            )[0]
            return ir.store(alpha, acc + normal(ir.load(Y, t), ir.load(p, j), 1.0), t, j), ()

        return ir.for_loop(2, to, alpha)[0], ()

    alpha = ir.for_loop(6, step, jnp.zeros((7, 2)) + p[0])[0]
    return logsumexp(ir.load(alpha, -1)) + 0.1 * jnp.sum(alpha)


@program
def autoregression_inner(p):
    def body(t, lp):
        mu = ir.for_loop(3, lambda k, m: (m + ir.load(p, k) * ir.load(Y, t + 3 - 1 - k), ()), 0.0)[0]
        return lp + normal(ir.load(Y, t + 3), mu, p[3]), ()

    return ir.for_loop(4, body, 0.0)[0]


@program
def lotka_volterra(p):
    def slope(u, v):
        return u * (p[0] - p[1] * v), -v * (p[2] - p[3] * u)

    def body(t, c):
        u, v, lp = c
        a, b = slope(u, v)
        c2, d = slope(u + 0.05 * a, v + 0.05 * b)
        u, v = u + 0.1 * c2, v + 0.1 * d
        return (u, v, lp + normal(ir.load(Y, t), u, 1.0) + normal(ir.load(Y, t), v, 2.0)), ()

    return ir.for_loop(7, body, (1.0, 0.5, 0.0))[0][2]


@program
def kalman(p):
    def body(t, c):
        m, P, lp = c
        P = 0.8 * P + p[0]
        s = P + p[1]
        e = ir.load(Y, t) - m
        lp = lp - 0.5 * jnp.log(s) - 0.5 * e**2 / s
        gain = P / s
        return (p[2] * (m + gain * e), (1 - gain) * P, lp), ()

    return ir.for_loop(7, body, (p[3], 1.0, 0.0))[0][2]


@program
def survival(p):
    def body(i, lp):
        rate = p[0] * jnp.exp(0.1 * p[1] * ir.load(X, i, 0))
        t = ir.load(Y, i) ** 2
        return (
            ir.cond(
                ir.load(FLAGS, i),
                lambda lp: lp - rate * t,
                lambda lp: lp + jnp.log(rate) - rate * t + jnp.log1p(jnp.exp(jnp.sin(rate))) ** 2,
                lp,
            ),
            (),
        )

    return ir.for_loop(7, body, 0.0)[0]


@program
def change_point(p):
    def body(t, lp):
        mu = ir.cond(t < 3 * p[0], lambda: p[1], lambda: p[2])
        return lp + normal(ir.load(Y, t), mu, p[3]), ()

    return ir.for_loop(7, body, 0.0)[0]


@program
def change_point_accumulating(p):
    def body(t, lp):
        y = ir.load(Y, t)
        return ir.cond(
            t < 3 * p[0], lambda lp: lp + normal(y, p[1], p[3]), lambda lp: lp + normal(y, p[2], p[3]), lp
        ), ()

    return ir.for_loop(7, body, 0.0)[0]


@program
def mixture(p):
    def body(i, lp):
        terms = ir.for_loop(
            3, lambda k, a: (ir.store(a, normal(ir.load(Y, i), ir.load(p, k), p[3]), k), ()), jnp.zeros(3)
        )
        return lp + logsumexp(terms[0]), ()

    return ir.for_loop(7, body, 0.0)[0]


@program
def kernel_matrix(p):
    def row(i, K):
        def cell(j, K):
            d = ir.load(Y, i) - ir.load(Y, j)
            k = p[0] * jnp.exp(-0.5 * (d / p[1]) ** 2)
            k = ir.cond(i == j, lambda: k + p[2], lambda: k)
            return ir.store(K, k, i, j), ()

        return ir.for_loop(7, cell, K)[0], ()

    K = ir.for_loop(7, row, jnp.zeros((7, 7)))[0]
    L = jnp.linalg.cholesky(K)
    return -jnp.sum(jnp.log(jnp.diag(L))) + jnp.sum(K * np.outer(Y, Y))


@program
def upper_triangle(p):
    def row(i, lp):
        def cell(j, lp):
            return ir.cond(
                i < j, lambda lp: lp + jnp.exp(ir.load(Y, i) * p[0] - ir.load(Y, j) * p[1]), lambda lp: lp, lp
            ), ()

        return ir.for_loop(7, cell, lp)[0], ()

    return ir.for_loop(7, row, 0.0)[0]


@program
def previous_values(p):
    def body(t, c):
        lp, one, two = c
        y = ir.load(Y, t)
        return (lp + normal(y, p[0] * one + p[1] * two, p[2]), y, one), ()

    lp, one, two = ir.for_loop(7, body, (0.0, p[3], 0.0))[0]
    return lp + one * two


@program
def delayed_parameters(p):
    def body(t, c):
        lp, before = c
        now = jnp.sin(p[0] * ir.load(Y, t))
        return (lp + now * before, now), ()

    return ir.for_loop(7, body, (0.0, p[1]))[0][0]


@program
def second_order(p):
    def body(t, x):
        t = t + 2
        return ir.store(x, 0.3 * p[0] * ir.load(x, t - 1) - 0.2 * p[1] * ir.load(x, t - 2) + ir.load(Y, t), t), ()

    x = ir.for_loop(5, body, jnp.zeros(7) + p[2])[0]
    return jnp.sum(jnp.sin(x) * Y)


@program
def backwards(p):
    def body(k, x):
        t = 5 - k
        return ir.store(x, p[0] * jnp.sin(ir.load(x, t + 1)) + p[1] * ir.load(Y, t), t), ()

    return jnp.sum(ir.for_loop(6, body, jnp.zeros(7) + p[2])[0] ** 2)


@program
def counter(p):
    def body(i, c):
        lp, k = c
        lp = lp + ir.load(Y, i) * ir.load(p, k)
        k = ir.cond(ir.load(FLAGS, i), lambda: k + 1, lambda: k)
        return (lp, k % 4), ()

    lp, k = ir.for_loop(7, body, (0.0, 0))[0]
    return lp + ir.load(p, k)


@program
def break_on_data(p):
    def body(i, c):
        lp, done = c
        done = done | (ir.load(Y, i) > 0.9)
        return (ir.cond(done, lambda lp: lp, lambda lp: lp + jnp.log(p[0]) * ir.load(Y, i), lp), done), ()

    return ir.for_loop(7, body, (0.0, False))[0][0]


@program
def break_on_parameters(p):
    def body(i, c):
        lp, x, done = c

        def go(lp, x):
            x = x * p[0] + p[1]
            return lp + jnp.sqrt(x), x, x > 1.5

        lp, x, done = ir.cond(done, lambda lp, x: (lp, x, True), go, lp, x)
        return (lp, x, done), ()

    return ir.for_loop(7, body, (0.0, p[2], False))[0][0]


@program
def extremes(p):
    def body(i, c):
        high, low, anywhere, everywhere = c
        v = jnp.sin(3 * p[0] * ir.load(Y, i)) + p[1] * i
        return (jnp.maximum(high, v), jnp.minimum(v, low), anywhere | (v > 0), everywhere & (v < 9)), ()

    high, low, anywhere, everywhere = ir.for_loop(7, body, (-jnp.inf, jnp.inf, False, True))[0]
    return high * low + jnp.where(anywhere & everywhere, p[2], 0.0)


@program
def product(p):
    return ir.for_loop(7, lambda i, c: (c * (p[0] + ir.load(Y, i)), ()), p[1])[0]


@program
def running_logsumexp(p):
    return ir.for_loop(7, lambda i, c: (jnp.logaddexp(c, p[0] * ir.load(Y, i)), ()), -jnp.inf)[0]


@program
def prefix_sums(p):
    def body(i, c):
        s, out = c
        s = s + p[0] * ir.load(Y, i)
        return (s, ir.store(out, s, i)), s * p[1]

    (s, out), ys = ir.for_loop(7, body, (p[2], jnp.zeros(7)))
    return jnp.sum(jnp.sin(out) * ys) + s


@program
def permuted_stores(p):
    order = np.array([3, 1, 6, 0, 2, 5, 4])

    def body(i, x):
        return ir.store(x, jnp.exp(p[0] * ir.load(Y, i)), ir.load(order, i)), ()

    return jnp.sum(ir.for_loop(7, body, jnp.zeros(9) + p[1])[0] * np.arange(9))


@program
def strided_stores(p):
    def body(i, x):
        x = ir.store(x, p[0] * ir.load(Y, i), 2 * i)
        return ir.store(x, p[1] * ir.load(Y, i), 2 * i + 1), ()

    return jnp.sum(jnp.sin(ir.for_loop(7, body, jnp.zeros(14))[0]) * np.arange(14))


@program
def repeated_stores(p):
    def body(i, x):
        return ir.store(x, p[0] * ir.load(Y, i), ir.load(GROUP, i)), ()

    return jnp.sum(jnp.sin(ir.for_loop(7, body, jnp.zeros(4) + p[1])[0]) * np.arange(1, 5))


@program
def added_by_group(p):
    def body(i, x):
        g = ir.load(GROUP, i)
        return ir.store(x, ir.load(x, g) + jnp.exp(p[0] * ir.load(Y, i)), g), ()

    return jnp.sum(jnp.sin(ir.for_loop(7, body, jnp.zeros(3) + p[1])[0]) * np.arange(1, 4))


@program
def matrix_vector(p):
    def row(i, mu):
        def cell(j, mu):
            return ir.store(mu, ir.load(mu, i) + ir.load(X, i, j) * ir.load(p, j), i), ()

        return ir.for_loop(3, cell, mu)[0], ()

    mu = ir.for_loop(7, row, jnp.zeros(7))[0]
    return jnp.sum(normal(Y, mu, p[3]))


@program
def rows(p):
    return total(7, lambda i: normal(ir.load(Y, i), ir.load(X, i) @ p[:3], p[3]))


@program
def first_step_apart(p):
    def body(t, c):
        lp, x = c
        x = ir.cond(t == 0, lambda x: p[0] / p[1], lambda x: p[1] * x + p[2] * ir.load(Y, t), x)
        return (lp + normal(ir.load(Y, t), x, p[3]), x), ()

    return ir.for_loop(7, body, (0.0, 0.0))[0][0]


@program
def missing_observations(p):
    def body(t, c):
        lp, x = c
        x = 0.5 * p[0] * x
        lp, x = ir.cond(
            ir.load(FLAGS, t),
            lambda lp, x: (lp, x),
            lambda lp, x: (lp + normal(ir.load(Y, t), x, p[1]), x + jnp.tanh(p[2] * (ir.load(Y, t) - x))),
            lp,
            x,
        )
        return (lp, x), ()

    return ir.for_loop(7, body, (0.0, p[3]))[0][0]


@program
def merged_values(p):
    def body(i, c):
        a = ir.cond(i < 2, lambda: jnp.log(p[0]), lambda: jnp.exp(p[1] * ir.load(Y, i - 2)))
        b = ir.cond(ir.load(FLAGS, i), lambda: 1.0, lambda: 2.0)
        d = ir.cond(ir.load(FLAGS, i), lambda: jnp.exp(jnp.sin(jnp.log(p[2] + i))), lambda: jnp.cos(p[2] * i))
        return c + a * b * d, (a, d)

    total_, (a, d) = ir.for_loop(7, body, 0.0)
    return total_ + jnp.sum(a * d * Y)


@program
def branch_on_parameter_with_stores(p):
    def body(i, c):
        x, z = c
        v = p[0] * ir.load(Y, i)
        x = ir.cond(v > 0, lambda: ir.store(x, jnp.log(v), i), lambda: ir.store(x, v, i))
        z = ir.cond(v > 0, lambda: ir.store(z, jnp.sqrt(v), i), lambda: z)
        return (x, z), ()

    x, z = ir.for_loop(7, body, (jnp.zeros(7), jnp.zeros(7) + p[1]))[0]
    return jnp.sum(x * Y) + jnp.sum(jnp.sin(z))


@program
def many_series(p):
    def series(i, lp):
        def step(t, c):
            lp, h = c
            h = 0.3 * p[0] * h + ir.load(X, t, i)
            return (lp + normal(h, ir.load(p, i), p[3]), h), ()

        return ir.for_loop(7, step, (lp, 0.1 * i))[0][0], ()

    return ir.for_loop(3, series, 0.0)[0]


@program
def vector_state(p):
    def step(t, c):
        lp, z = c
        z = jnp.tanh(np.array([[0.5, 0.1], [0.2, 0.3]]) @ z + p[:2] * ir.load(Y, t))
        return (lp + jnp.sum(z) * p[2], z), ()

    return ir.for_loop(7, step, (0.0, p[2:]))[0][0]


@program
def dynamic_index(p):
    def body(i, lp):
        k = jnp.floor(3 * p[0] + 0.3 * i).astype(int)
        return lp + ir.load(p, k % 4) * ir.load(Y, k % 7 - 7), ()

    return ir.for_loop(5, body, 0.0)[0] + ir.load(p, jnp.floor(2 * p[0]).astype(int))


@program
def tree(p):
    parent = np.array([0, 0, 1, 1, 2, 0, 5])

    def body(i, x):
        i = i + 1
        return ir.store(x, 0.5 * p[0] * ir.load(x, ir.load(parent, i)) + p[1] * ir.load(Y, i), i), ()

    return jnp.sum(jnp.sin(ir.for_loop(6, body, jnp.zeros(7) + p[2])[0]))


@program
def while_inside(p):
    def body(i, lp):
        count, x = ir.while_loop(
            lambda c: c[1] > 0.3, lambda c: (c[0] + 1, c[1] * 0.5 * jnp.tanh(p[0])), (0, p[1] + i), 20
        )
        return lp + x * count, ()

    return ir.for_loop(4, body, 0.0)[0]


@program
def short_loops(p):
    zero = ir.for_loop(0, lambda i, c: (c + p[0], c * p[1]), p[2])
    one = ir.for_loop(1, lambda i, c: (c + p[0], c * p[1]), p[2])
    two = ir.for_loop(2, lambda i, c: (jnp.sin(c) + p[0] * i, c * p[1]), p[2])
    return zero[0] + one[0] * jnp.sum(one[1]) + two[0] * jnp.sum(two[1]) + jnp.sum(zero[1])


@program
def stacked_marks(p):
    def outer(i, c):
        def inner(j, c):
            v = p[0] * ir.load(X, i, j) + i
            return c + v, (v, jnp.sin(p[1]) * j)

        c, ys = ir.for_loop(3, inner, c)
        return c, ys

    total_, (v, w) = ir.for_loop(7, outer, 0.0)
    return total_ + jnp.sum(v * w)


@program
def two_recurrences(p):
    def body(t, c):
        h, m, lp = c
        h = 0.3 * p[0] + 0.4 * h + 0.1 * ir.load(Y, t) ** 2
        m = 0.5 * m + p[1] * jnp.sqrt(h) * ir.load(Y, t)
        return (h, m, lp + normal(m, p[2], jnp.sqrt(h))), ()

    return ir.for_loop(7, body, (1.0, 0.0, 0.0))[0][2]


@program
def whole_rows(p):
    def body(t, z):
        t = t + 1
        return ir.store(z, jnp.tanh(p[:2] * ir.load(z, t - 1) + ir.load(Y, t)), t), ()

    return jnp.sum(ir.for_loop(6, body, jnp.zeros((7, 2)) + p[2])[0] * X[:, :2])


@program
def constant_terms(p):
    def outer(i, lp):
        inner = ir.for_loop(3, lambda j, lp: (lp + jnp.log(p[0]) + ir.load(Y, i) * p[1], ()), lp)[0]
        return ir.cond(ir.load(FLAGS, i), lambda: inner + jnp.log(p[1]), lambda: inner), ()

    return ir.for_loop(7, outer, p[2])[0]


@program
def reads_what_it_just_stored(p):
    def body(t, c):
        x, lp = c
        x = ir.store(x, p[0] * ir.load(Y, t) + ir.load(x, t), t)
        return (x, lp + jnp.sin(ir.load(x, t)) + jnp.cos(ir.load(x, 6 - 6 + 8))), ()

    x, lp = ir.for_loop(7, body, (jnp.zeros(9) + p[1], 0.0))[0]
    return lp + jnp.sum(x)


@program
def reads_ahead(p):
    def body(t, x):
        return ir.store(x, p[0] * ir.load(x, t + 1) + ir.load(Y, t), t), ()

    return jnp.sum(jnp.sin(ir.for_loop(6, body, jnp.linspace(0, 1, 7) * p[1])[0]))


@program
def products(p):
    A = jnp.outer(p, p) + np.arange(16.0).reshape(4, 4)
    B = jnp.stack([p, 2 * p, p**2])

    def body(i, lp):
        row = ir.load(jnp.asarray(X), i)
        batch = jnp.einsum("bij,bjk->bik", jnp.stack([A, A * row[0]]), jnp.stack([A, A]) * p[1])
        return lp + row @ B @ p + jnp.sum(batch) * 1e-3 + jnp.trace(A @ A.T) + jnp.dot(row, row), ()

    return ir.for_loop(7, body, 0.0)[0]


@program
def array_indexing(p):
    index = np.array([3, 0, 0, 2, 1])
    M = jnp.outer(p, p)

    def body(i, lp):
        return lp + jnp.sum(p[index] * Y[:5]) * i + jnp.sum(M[index, 1]) + jnp.sum(jnp.diag(M)[1:3]), ()

    return ir.for_loop(3, body, 0.0)[0] + jnp.sum(M[1:, np.array([[0, 1], [1, 1]])]) + jnp.sum(M[:, p.size - 1])


@program
def log_sum_exp_by_hand(p):
    def body(i, lp):
        x = [p[k] * ir.load(Y, i) for k in range(3)]
        top = jnp.maximum(jnp.maximum(x[0], x[1]), x[2])
        return lp + (top + jnp.log(sum(jnp.exp(v - top) for v in x))), ()

    return ir.for_loop(7, body, 0.0)[0]


@program
def log_sum_exp_by_loops(p):
    def body(i, lp):
        def x(k):
            return ir.load(p, k) * ir.load(Y, i)

        top = ir.for_loop(4, lambda k, m: (jnp.maximum(m, x(k)), ()), -jnp.inf)[0]
        total_ = ir.for_loop(4, lambda k, s: (s + jnp.exp(x(k) - top), ()), 0.0)[0]
        return lp + (top + jnp.log(total_)), ()

    return ir.for_loop(7, body, 0.0)[0]


@program
def not_a_log_sum_exp(p):
    def body(i, lp):
        x = [p[k] * ir.load(Y, i) for k in range(3)]
        top = jnp.maximum(jnp.maximum(x[0], x[1]), x[2])
        first = top + jnp.log(jnp.exp(x[0] - top) + 2 * jnp.exp(x[1] - top))
        other = jnp.maximum(x[0], x[1])
        second = other + jnp.log(jnp.exp(x[0] - other) + jnp.exp(2 * x[1] - 2 * other))
        return lp + first + second + top, ()

    return ir.for_loop(7, body, 0.0)[0]


@program
def numbers_added_to_arrays(p):
    def body(i, carry):
        total, top, some, rows = carry
        v = p[1] * ir.load(Y, i)
        rows = ir.store(rows, ir.load(rows, i % 2) - v, i % 2)
        (some,) = ir.cond(ir.load(Y, i) > 0.0, lambda: [some + v], lambda: [some + jnp.full(3, p[2])], source=None)
        return (total + v, jnp.maximum(top, v), some, rows), ()

    start = (jnp.zeros(3), jnp.full(3, -jnp.inf), jnp.zeros(3), jnp.zeros((2, 3)))
    total_, top, some, rows = ir.for_loop(7, body, start)[0]
    return jnp.sum((total_ + some) * jnp.arange(3.0)) + jnp.sum(top) + jnp.sum(rows * rows)


@program
def one_array_for_two(p):
    """Two carried arrays that every iteration ends as one, of which an element changes."""

    def step(i, arrays):
        new = ir.store(arrays[0], jnp.tanh(p[0] + ir.load(Y, i) * ir.load(arrays[1], 1)), 0)
        return (new, new), ()

    (one, other), _ = ir.for_loop(7, step, (jnp.ones(2) * p[1], jnp.zeros(2) + p[2]))
    return jnp.sum(one) + 2.0 * jnp.sum(other)


TRUTHS = np.zeros((7, 5), bool)
TRUTHS[6, 2:] = True


@program
def rows_of_truth_values(p):
    """A recurrence that reads a row of known truth values in every iteration."""

    def step(i, carry):
        row = ir.load(TRUTHS, i)
        return (jnp.tanh(carry[0] + 0.1 * jnp.sum(jnp.where(row, p[1] * carry[0], p[2]))),), ()

    (end,), _ = ir.for_loop(7, step, (p[0],))
    return end
