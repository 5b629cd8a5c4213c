"""The programs of the loop benchmark, each three times: plain loops, vectorised JAX by hand, `scan` by hand.

A case has a vector of parameters `x`, data (floating-point arrays are arguments of the compiled function,
all others are constants), and up to three versions of one function of both.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, log, pi, sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import logsumexp

LOG_2PI = log(2 * pi)


@dataclass(frozen=True)
class Case:
    """One program: data and start for a size, and its versions."""

    name: str
    sizes: tuple[int, ...]
    make: Callable[[int, np.random.Generator], tuple[np.ndarray, dict[str, Any]]]
    plain: Callable[..., Any]
    by_hand: dict[str, Callable[..., Any]] = field(default_factory=dict)


CASES: list[Case] = []


def case(name: str, sizes: tuple[int, ...], make: Any, plain: Any, **by_hand: Any) -> None:
    CASES.append(Case(name, sizes, make, plain, by_hand))


def scanned(step: Callable[[Any, Any], Any], init: Any, xs: Any) -> Any:
    return lax.scan(lambda c, x: (step(c, x), None), init, xs)[0]


# --- linear regression ---------------------------------------------------------------------------


def regression_data(n, rng):
    x = rng.normal(size=n)
    return np.array([0.1, 0.5, 0.2]), {"x": x, "y": 0.3 + 0.7 * x + rng.normal(size=n)}


def regression_plain(p, *, x, y):
    sigma = exp(p[2])
    lp = 0.0
    for i in range(len(y)):
        mu = p[0] + p[1] * x[i]
        lp += -0.5 * ((y[i] - mu) / sigma) ** 2 - log(sigma)
    return lp


def regression_vector(p, *, x, y):
    sigma = jnp.exp(p[2])
    return jnp.sum(-0.5 * ((y - p[0] - p[1] * x) / sigma) ** 2 - jnp.log(sigma))


def regression_scan(p, *, x, y):
    sigma = jnp.exp(p[2])
    return scanned(lambda lp, xy: lp - 0.5 * ((xy[1] - p[0] - p[1] * xy[0]) / sigma) ** 2 - jnp.log(sigma), 0.0, (x, y))


case(
    "linear regression",
    (100, 1_000, 10_000, 100_000),
    regression_data,
    regression_plain,
    vector=regression_vector,
    scan=regression_scan,
)

# --- GARCH(1,1) ----------------------------------------------------------------------------------


def series(n, rng, dim):
    return np.full(dim, 0.1) + 0.05 * np.arange(dim), {"y": rng.normal(size=n)}


def garch_plain(p, *, y):
    omega, a, b = exp(p[0]), 0.3 / (1 + exp(-p[1])), 0.6 / (1 + exp(-p[2]))
    h = 1.0
    lp = 0.0
    for t in range(1, len(y)):
        h = omega + a * y[t - 1] ** 2 + b * h
        lp += -0.5 * log(h) - 0.5 * y[t] ** 2 / h
    return lp


def garch_parameters(p):
    return jnp.exp(p[0]), 0.3 / (1 + jnp.exp(-p[1])), 0.6 / (1 + jnp.exp(-p[2]))


def garch_scan(p, *, y):
    omega, a, b = garch_parameters(p)

    def step(c, ys):
        lp, h = c
        before, now = ys
        h = omega + a * before**2 + b * h
        return lp - 0.5 * jnp.log(h) - 0.5 * now**2 / h, h

    return scanned(step, (0.0, 1.0), (y[:-1], y[1:]))[0]


def garch_split(p, *, y):
    omega, a, b = garch_parameters(p)

    def step(h, u):
        h = u + b * h
        return h, h

    h = lax.scan(step, 1.0, omega + a * y[:-1] ** 2)[1]
    return jnp.sum(-0.5 * jnp.log(h) - 0.5 * y[1:] ** 2 / h)


case(
    "GARCH",
    (100, 1_000, 10_000),
    lambda n, rng: series(n, rng, 3),
    garch_plain,
    scan=garch_scan,
    split=garch_split,
)

# --- ARMA(1,1) -----------------------------------------------------------------------------------


def arma_plain(p, *, y):
    mu, phi, theta, sigma = p[0], p[1], p[2], exp(p[3])
    err = [0.0] * len(y)
    err[0] = y[0] - mu - phi * mu
    lp = -0.5 * (err[0] / sigma) ** 2 - log(sigma)
    for t in range(1, len(y)):
        nu = mu + phi * y[t - 1] + theta * err[t - 1]
        err[t] = y[t] - nu
        lp += -0.5 * (err[t] / sigma) ** 2 - log(sigma)
    return lp


def arma_scan(p, *, y):
    mu, phi, theta, sigma = p[0], p[1], p[2], jnp.exp(p[3])
    first = y[0] - mu - phi * mu

    def step(c, ys):
        lp, err = c
        err = ys[1] - mu - phi * ys[0] - theta * err
        return lp - 0.5 * (err / sigma) ** 2 - jnp.log(sigma), err

    return scanned(step, (-0.5 * (first / sigma) ** 2 - jnp.log(sigma), first), (y[:-1], y[1:]))[0]


def arma_split(p, *, y):
    mu, phi, theta, sigma = p[0], p[1], p[2], jnp.exp(p[3])
    first = y[0] - mu - phi * mu

    def step(err, u):
        err = u - theta * err
        return err, err

    err = jnp.append(lax.scan(step, first, y[1:] - mu - phi * y[:-1])[1], first)
    return jnp.sum(-0.5 * (err / sigma) ** 2 - jnp.log(sigma))


case("ARMA", (100, 1_000, 10_000), lambda n, rng: series(n, rng, 4), arma_plain, scan=arma_scan, split=arma_split)

# --- item response -------------------------------------------------------------------------------


def items_data(n, rng):
    return 0.1 * rng.normal(size=n + 20), {"y": (rng.random((n, 20)) < 0.5).astype(int), "n": n}


def items_plain(p, *, y, n):
    lp = 0.0
    for i in range(n):
        for j in range(20):
            eta = p[i] - p[n + j]
            lp += y[i, j] * eta - log(1 + exp(eta))
    for k in range(n + 20):
        lp += -0.5 * p[k] ** 2
    return lp


def items_vector(p, *, y, n):
    eta = p[:n, None] - p[None, n:]
    return jnp.sum(y * eta - jnp.log(1 + jnp.exp(eta))) - 0.5 * jnp.sum(p**2)


def items_scan(p, *, y, n):
    def person(lp, row):
        theta, yi = row
        eta = theta - p[n:]
        return lp + jnp.sum(yi * eta - jnp.log(1 + jnp.exp(eta)))

    return scanned(person, 0.0, (p[:n], y)) - 0.5 * jnp.sum(p**2)


case("item response", (20, 200, 1_000), items_data, items_plain, vector=items_vector, scan=items_scan)

# --- hierarchical logistic -----------------------------------------------------------------------


def groups_data(n, rng):
    return 0.1 * rng.normal(size=53), {
        "x": rng.normal(size=n),
        "y": (rng.random(n) < 0.5).astype(int),
        "group": rng.integers(0, 50, n),
    }


def groups_plain(p, *, x, y, group):
    mu, tau, beta = p[50], exp(p[51]), p[52]
    lp = 0.0
    for k in range(50):
        lp += -0.5 * ((p[k] - mu) / tau) ** 2 - log(tau)
    for i in range(len(y)):
        eta = p[group[i]] + beta * x[i]
        lp += y[i] * eta - log(1 + exp(eta))
    return lp


def groups_vector(p, *, x, y, group):
    mu, tau, beta = p[50], jnp.exp(p[51]), p[52]
    eta = p[:50][group] + beta * x
    prior = jnp.sum(-0.5 * ((p[:50] - mu) / tau) ** 2 - jnp.log(tau))
    return prior + jnp.sum(y * eta - jnp.log(1 + jnp.exp(eta)))


def groups_scan(p, *, x, y, group):
    mu, tau, beta = p[50], jnp.exp(p[51]), p[52]

    def step(lp, row):
        xi, yi, g = row
        eta = p[g] + beta * xi
        return lp + yi * eta - jnp.log(1 + jnp.exp(eta))

    prior = jnp.sum(-0.5 * ((p[:50] - mu) / tau) ** 2 - jnp.log(tau))
    return scanned(step, prior, (x, y, group))


case("hierarchical logistic", (500, 5_000, 50_000), groups_data, groups_plain, vector=groups_vector, scan=groups_scan)

# --- hidden Markov model -------------------------------------------------------------------------


def markov_data(n, rng):
    return 0.3 * rng.normal(size=12), {"y": rng.normal(size=n)}


def markov_plain(p, *, y):
    K = 3
    T = len(y)
    logA = np.zeros((K, K))
    for i in range(K):
        norm = 0.0
        for j in range(K):
            norm += exp(p[3 * i + j])
        for j in range(K):
            logA[i, j] = p[3 * i + j] - log(norm)
    alpha = np.zeros((T, K))
    for k in range(K):
        alpha[0, k] = -log(K) - 0.5 * (y[0] - p[9 + k]) ** 2
    for t in range(1, T):
        for j in range(K):
            best = -np.inf
            for i in range(K):
                best = max(best, alpha[t - 1, i] + logA[i, j])
            total = 0.0
            for i in range(K):
                total += exp(alpha[t - 1, i] + logA[i, j] - best)
            alpha[t, j] = best + log(total) - 0.5 * (y[t] - p[9 + j]) ** 2
    top = max(alpha[T - 1, 0], alpha[T - 1, 1], alpha[T - 1, 2])
    total = 0.0
    for k in range(K):
        total += exp(alpha[T - 1, k] - top)
    return top + log(total)


def markov_scan(p, *, y):
    logA = jax.nn.log_softmax(p[:9].reshape(3, 3), axis=1)
    emission = -0.5 * (y[:, None] - p[9:]) ** 2

    def step(alpha, e):
        return logsumexp(alpha[:, None] + logA, axis=0) + e

    return logsumexp(scanned(step, -log(3) + emission[0], emission[1:]))


case("HMM forward", (50, 500, 5_000), markov_data, markov_plain, scan=markov_scan)

# --- AR(5) ---------------------------------------------------------------------------------------


def ar_plain(p, *, y):
    sigma = exp(p[6])
    lp = 0.0
    for t in range(5, len(y)):
        mu = p[5]
        for k in range(5):
            mu += p[k] * y[t - 1 - k]
        lp += -0.5 * ((y[t] - mu) / sigma) ** 2 - log(sigma)
    return lp


def ar_vector(p, *, y):
    sigma = jnp.exp(p[6])
    n = len(y)
    mu = p[5] + sum(p[k] * y[4 - k : n - 1 - k] for k in range(5))
    return jnp.sum(-0.5 * ((y[5:] - mu) / sigma) ** 2 - jnp.log(sigma))


case("AR(5)", (100, 1_000, 10_000), lambda n, rng: series(n, rng, 7), ar_plain, vector=ar_vector)

# --- Lotka-Volterra by Runge-Kutta ---------------------------------------------------------------


def prey_data(n, rng):
    return np.array([-0.6, -3.5, -0.2, -3.6, -1.0]), {"y": np.exp(3 + 0.2 * rng.normal(size=(n, 2)))}


def prey_plain(p, *, y):
    a, b, c, d, sigma = exp(p[0]), exp(p[1]), exp(p[2]), exp(p[3]), exp(p[4])

    def slope(u, v):
        return (a - b * v) * u, (-c + d * u) * v

    u, v = 30.0, 4.0
    h = 0.05
    lp = 0.0
    for t in range(len(y)):
        k1, l1 = slope(u, v)
        k2, l2 = slope(u + h / 2 * k1, v + h / 2 * l1)
        k3, l3 = slope(u + h / 2 * k2, v + h / 2 * l2)
        k4, l4 = slope(u + h * k3, v + h * l3)
        u += h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        v += h / 6 * (l1 + 2 * l2 + 2 * l3 + l4)
        lp += -0.5 * ((log(y[t, 0]) - log(u)) / sigma) ** 2 - log(sigma)
        lp += -0.5 * ((log(y[t, 1]) - log(v)) / sigma) ** 2 - log(sigma)
    return lp


def prey_scan(p, *, y):
    a, b, c, d, sigma = jnp.exp(p)

    def slope(z):
        u, v = z
        return jnp.stack([(a - b * v) * u, (-c + d * u) * v])

    h = 0.05

    def step(z, _):
        k1 = slope(z)
        k2 = slope(z + h / 2 * k1)
        k3 = slope(z + h / 2 * k2)
        k4 = slope(z + h * k3)
        z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return z, z

    z = lax.scan(step, jnp.array([30.0, 4.0]), None, length=len(y))[1]
    return jnp.sum(-0.5 * ((jnp.log(y) - jnp.log(z)) / sigma) ** 2 - jnp.log(sigma))


def prey_scalars(p, *, y):
    a, b, c, d, sigma = jnp.exp(p)

    def slope(u, v):
        return (a - b * v) * u, (-c + d * u) * v

    h = 0.05

    def step(z, _):
        u, v = z
        k1, l1 = slope(u, v)
        k2, l2 = slope(u + h / 2 * k1, v + h / 2 * l1)
        k3, l3 = slope(u + h / 2 * k2, v + h / 2 * l2)
        k4, l4 = slope(u + h * k3, v + h * l3)
        u += h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        v += h / 6 * (l1 + 2 * l2 + 2 * l3 + l4)
        return (u, v), (u, v)

    u, v = lax.scan(step, (30.0, 4.0), None, length=len(y))[1]
    z = jnp.log(jnp.stack([u, v], axis=1))
    return jnp.sum(-0.5 * ((jnp.log(y) - z) / sigma) ** 2 - jnp.log(sigma))


case("Lotka-Volterra", (20, 200, 1_000), prey_data, prey_plain, scan=prey_scan, scalars=prey_scalars)

# --- Kalman filter 2 x 2 -------------------------------------------------------------------------


def kalman_plain(p, *, y):
    q0, q1, r = exp(p[0]), exp(p[1]), exp(p[2])
    F = [[1.0, 1.0], [0.0, 0.9]]
    Q = [[q0, 0.0], [0.0, q1]]
    m = [0.0, 0.0]
    P = [[1.0, 0.0], [0.0, 1.0]]
    lp = 0.0
    for t in range(len(y)):
        mp = [0.0, 0.0]
        for i in range(2):
            for j in range(2):
                mp[i] += F[i][j] * m[j]
        FP = [[0.0, 0.0], [0.0, 0.0]]
        for i in range(2):
            for j in range(2):
                for k in range(2):
                    FP[i][j] += F[i][k] * P[k][j]
        PP = [[0.0, 0.0], [0.0, 0.0]]
        for i in range(2):
            for j in range(2):
                PP[i][j] = Q[i][j]
                for k in range(2):
                    PP[i][j] += FP[i][k] * F[j][k]
        s = PP[0][0] + r
        e = y[t] - mp[0]
        lp += -0.5 * log(s) - 0.5 * e**2 / s
        for i in range(2):
            m[i] = mp[i] + PP[i][0] / s * e
            for j in range(2):
                P[i][j] = PP[i][j] - PP[i][0] * PP[0][j] / s
    return lp


def kalman_scan(p, *, y):
    q0, q1, r = jnp.exp(p[0]), jnp.exp(p[1]), jnp.exp(p[2])
    F = jnp.array([[1.0, 1.0], [0.0, 0.9]])
    Q = jnp.diag(jnp.stack([q0, q1]))

    def step(c, yt):
        m, P, lp = c
        m = F @ m
        P = F @ P @ F.T + Q
        s = P[0, 0] + r
        e = yt - m[0]
        gain = P[:, 0] / s
        return m + gain * e, P - jnp.outer(gain, P[0]), lp - 0.5 * jnp.log(s) - 0.5 * e**2 / s

    return scanned(step, (jnp.zeros(2), jnp.eye(2), 0.0), y)[2]


case("Kalman 2x2", (50, 500, 5_000), lambda n, rng: series(n, rng, 3), kalman_plain, scan=kalman_scan)

# --- survival ------------------------------------------------------------------------------------


def survival_data(n, rng):
    return np.array([0.1, 0.2, 0.3]), {
        "x": rng.normal(size=n),
        "t": rng.exponential(size=n),
        "censored": rng.random(n) < 0.3,
    }


def survival_plain(p, *, x, t, censored):
    shape = exp(p[2])
    lp = 0.0
    for i in range(len(t)):
        scale = exp(p[0] + p[1] * x[i])
        z = (t[i] / scale) ** shape
        if censored[i]:
            lp += -z
        else:
            lp += log(shape / scale) + (shape - 1) * log(t[i] / scale) - z
    return lp


def survival_vector(p, *, x, t, censored):
    shape = jnp.exp(p[2])
    scale = jnp.exp(p[0] + p[1] * x)
    z = (t / scale) ** shape
    return jnp.sum(jnp.where(censored, -z, jnp.log(shape / scale) + (shape - 1) * jnp.log(t / scale) - z))


case("survival", (100, 1_000, 10_000), survival_data, survival_plain, vector=survival_vector)

# --- change point --------------------------------------------------------------------------------


def change_data(n, rng):
    return np.array([0.4 * n, 0.1, 0.9]), {"y": rng.poisson(2.0, n).astype(float)}


def change_plain(p, *, y):
    tau, early, late = p[0], exp(p[1]), exp(p[2])
    lp = 0.0
    for t in range(len(y)):
        rate = early if t < tau else late
        lp += y[t] * log(rate) - rate
    return lp


def change_vector(p, *, y):
    rate = jnp.where(jnp.arange(len(y)) < p[0], jnp.exp(p[1]), jnp.exp(p[2]))
    return jnp.sum(y * jnp.log(rate) - rate)


case("change point", (100, 1_000, 10_000), change_data, change_plain, vector=change_vector)

# --- mixture -------------------------------------------------------------------------------------


def mixture_data(n, rng):
    return np.array([-1.0, 0.0, 1.0, 0.1, 0.2, 0.3]), {"y": rng.normal(size=n)}


def mixture_plain(p, *, y):
    K = 3
    norm = 0.0
    for k in range(K):
        norm += exp(p[3 + k])
    lp = 0.0
    for i in range(len(y)):
        terms = np.zeros(K)
        for k in range(K):
            terms[k] = p[3 + k] - log(norm) - 0.5 * (y[i] - p[k]) ** 2
        top = max(terms[0], terms[1], terms[2])
        total = 0.0
        for k in range(K):
            total += exp(terms[k] - top)
        lp += top + log(total)
    return lp


def mixture_vector(p, *, y):
    terms = jax.nn.log_softmax(p[3:]) - 0.5 * (y[:, None] - p[:3]) ** 2
    return jnp.sum(logsumexp(terms, axis=1))


def mixture_rows(p, *, y):
    terms = jax.nn.log_softmax(p[3:])[:, None] - 0.5 * (y - p[:3, None]) ** 2
    return jnp.sum(logsumexp(terms, axis=0))


case("mixture", (100, 1_000, 10_000), mixture_data, mixture_plain, vector=mixture_vector, rows=mixture_rows)

# --- Gaussian process kernel ---------------------------------------------------------------------


def kernel_data(n, rng):
    x = np.sort(rng.normal(size=n))
    return np.array([0.1, -0.2, 0.3]), {"x": x, "y": rng.normal(size=n)}


def kernel_plain(p, *, x, y):
    n = len(x)
    a, rho, s = exp(2 * p[0]), exp(p[1]), exp(2 * p[2])
    K = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            K[i, j] = a * exp(-0.5 * ((x[i] - x[j]) / rho) ** 2)
            if i == j:
                K[i, j] += s
    lp = 0.0
    for i in range(n):
        for j in range(n):
            lp += -0.5 * y[i] * K[i, j] * y[j] - 0.01 * K[i, j] ** 2
    return lp


def kernel_vector(p, *, x, y):
    a, rho, s = jnp.exp(2 * p[0]), jnp.exp(p[1]), jnp.exp(2 * p[2])
    K = a * jnp.exp(-0.5 * ((x[:, None] - x[None, :]) / rho) ** 2) + s * jnp.eye(len(x))
    return jnp.sum(-0.5 * y[:, None] * K * y[None, :] - 0.01 * K**2)


case("GP kernel", (10, 30, 100), kernel_data, kernel_plain, vector=kernel_vector)

__all__ = ["CASES", "Case", "sqrt"]
