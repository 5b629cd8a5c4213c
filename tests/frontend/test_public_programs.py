"""Programs of fifteen fields, made after public ones: they run with no change but declarations.

Each is written anew, in the style of its source (loops, branches, tables and helpers as there), on small data. The
value is plain Python's, the gradient that of differences.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.integrate import odeint
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, logsumexp

from tests.frontend import laws
from tests.frontend.laws import agree

RNG = np.random.default_rng(20260101)


def dual_update(alpha, beta, *, actions, rewards):
    """Q-learning that also updates the arm not taken: github.com/fohria/simfitRLy, ql_dual_update_bandit.py."""
    values = np.array([0.5, 0.5])
    chosen = np.zeros(len(actions))
    for trial, (action, reward) in enumerate(zip(actions, rewards, strict=True)):
        shifted = values - np.max(values)
        p = np.exp(beta * shifted) / np.sum(np.exp(beta * shifted))
        chosen[trial] = p[action]
        surprise, other = reward - values[action], -reward - values[1 - action]
        values[action] += alpha * surprise
        values[1 - action] += alpha * other
    return np.sum(np.log(chosen))


def cost_benefit(rate, noise, start, *, sessions):
    """Rescorla and Wagner's rule with free and forced choices: github.com/wang-yu-hao/cost_benefit, likelihood.py."""
    total = 0.0
    values = [start, start, start]
    for session in sessions:
        for t in range(len(session["choices"])):
            k = session["choices"][t] - 1
            if not session["free"][t]:
                p = 1.0
            else:
                high, low = values[session["best"].index(session["high"][t])], values[session["best"].index(0.2)]
                p = stats.norm.cdf((2 * values[k] - high - low) / (math.sqrt(2.0) * noise))
            values[k] += rate * (session["outcomes"][t] - values[k])
            total += np.log(p)
    return total


def epidemic(beta, gamma, scale, *, cases, times):
    """Cases of an SIR model, Poisson: github.com/oskali/mit_cassandra, sir_utils.py."""

    def model(state, t, params):
        rates = np.zeros(3)
        rates[0] = -params[0] * state[0] * state[1]
        rates[1] = params[0] * state[0] * state[1] - params[1] * state[1]
        rates[2] = params[1] * state[1]
        return rates

    params = np.abs(np.array([beta, gamma, scale]))
    start = [1.0 - cases[0] / params[2], cases[0] / params[2], 0.0]
    found = odeint(model, start, times, args=(params,), rtol=1e-10, atol=1e-12)
    expected = found[:, 1] * params[2]
    return -(sum(expected) - sum(cases * np.log(expected)))


def capture(phi, p, *, X):
    """Cormack, Jolly and Seber: github.com/stan-dev/example-models, misc/ecology/mark-recapture/cjs-K.stan."""
    animals, occasions = X.shape
    first, last = [None] * animals, [-1] * animals
    for i in range(animals):
        for k in range(occasions):
            if X[i, k] == 1:
                first[i] = k if first[i] is None else first[i]
                last[i] = k
    chi = np.ones(occasions)
    k = occasions - 2
    while k >= 0:
        chi[k] = (1 - phi[k]) + phi[k] * (1 - p[k + 1]) * chi[k + 1]
        k -= 1
    lp = 0.0
    for i in range(animals):
        if last[i] >= 0:
            for k in range(first[i] + 1, last[i] + 1):
                lp += math.log(phi[k - 1]) + (math.log(p[k]) if X[i, k] == 1 else math.log1p(-p[k]))
            lp += math.log(chi[last[i]])
    return lp


def football(attack, defence, home, rho, *, games):
    """Dixon and Coles: github.com/giuliofantuzzi/football-goal-based-models, DixonColes_loglike.R."""

    def tau(x, y, lam, mu):
        if x == 0 and y == 0:
            return 1 - lam * mu * rho
        if x == 0 and y == 1:
            return 1 + lam * rho
        if x == 1 and y == 0:
            return 1 + mu * rho
        if x == 1 and y == 1:
            return 1 - rho
        return 1.0

    names = sorted(set(games["home"]))
    total = 0.0
    for game in games.itertuples():
        h, a = names.index(game.home), names.index(game.away)
        lam, mu = attack[h] * defence[a] * home, attack[a] * defence[h]
        total += math.log(tau(game.hg, game.ag, lam, mu)) - lam - mu + game.hg * math.log(lam) + game.ag * math.log(mu)
    return total


def leverage(parameters, *, data):
    """Glosten, Jagannathan and Runkle's GARCH: github.com/burakbayramli/books, GJR_GARCH.py."""
    mu, omega, alpha, gamma, beta = parameters
    eps = data - mu
    sigma2 = np.ones(len(data)) * data.var()
    for t in range(1, len(data)):
        sigma2[t] = omega + alpha * eps[t - 1] ** 2 + gamma * eps[t - 1] ** 2 * (eps[t - 1] < 0) + beta * sigma2[t - 1]
    return -np.sum(0.5 * (np.log(2 * np.pi) + np.log(sigma2) + eps**2 / sigma2))


def autoregression(c, phi, sigma_2, *, data):
    """The exact likelihood of an AR(1): github.com/Andrea21R/Econometrics-Course, maxlik/likelihood/likelihood.py."""
    lik = np.zeros(len(data))
    lik[0] = -0.5 * np.log(sigma_2 / (1 - phi**2)) - (1 - phi**2) / (2 * sigma_2) * (data[0] - c / (1 - phi)) ** 2
    for i in range(1, len(data)):
        lik[i] = -0.5 * np.log(sigma_2) - 0.5 * (data[i] - c - phi * data[i - 1]) ** 2 / sigma_2
    return np.sum(lik - 0.5 * np.log(2 * np.pi))


def inhibited(base, jump, decay, *, events):
    """A point process whose events inhibit: github.com/migmtz/hawkes-inhibition-expon.

    The intensity is the positive part of base + memory; it is 0 until the memory has worn off.
    """
    lp, memory, last = math.log(base) - base * events[0], jump, events[0]
    for t in events[1:]:
        gap = t - last
        silent = math.log(-memory / base) / decay if memory < -base else 0.0
        faded = memory * math.exp(-decay * gap)
        lp -= base * (gap - silent) + memory / decay * (math.exp(-decay * silent) - math.exp(-decay * gap))
        if base + faded <= 0.0:
            return -np.inf
        lp += math.log(base + faded)
        memory, last = faded + jump, t
    return lp


def tree(lengths, rate, *, parents, sites):
    """Felsenstein's pruning with a scale at each node, JC69: github.com/20000705/comp-evo-bio."""

    def transition(length):
        same = 0.25 + 0.75 * math.exp(-4.0 / 3.0 * length * rate)
        other = 0.25 - 0.25 * math.exp(-4.0 / 3.0 * length * rate)
        return np.full((4, 4), other) + (same - other) * np.eye(4)

    def partial(node, site):
        if node in site:
            one = np.zeros(4)
            one["ACGT".index(site[node])] = 1.0
            return one, 0.0
        product, scale = np.ones(4), 0.0
        for child, parent in parents.items():
            if parent == node:
                below, more = partial(child, site)
                product = product * (transition(lengths[order.index(child)]) @ below)
                scale += more
        total = np.sum(product)
        return product / total, scale + math.log(total)

    order = list(parents)
    total = 0.0
    for site in sites:
        root, scale = partial("root", site)
        total += scale + math.log(np.sum(root) / 4.0)
    return total


def occupancy(alpha, beta, *, y, x, K):
    """Occupancy and detection: github.com/XavierMinesParis/SDM, occupancy_detection.py."""
    psi = expit(beta[0] + np.dot(x, beta[1:]))
    p = expit(alpha[0] + np.dot(x, alpha[1:]))
    seen = np.log(psi) + y * np.log(p) + (K - y) * np.log(1 - p)
    never = np.log(psi * (1 - p) ** K + (1 - psi))
    return np.sum((y != 0) * seen + (y == 0) * never)


def hidden(stay, means, *, y):
    """The forward algorithm in logarithms: github.com/maxmouchet/HMMBase.jl, messages_loglog.jl."""
    n = len(means)
    moves = np.log(np.full((n, n), (1 - stay) / (n - 1)) + np.eye(n) * (stay - (1 - stay) / (n - 1)))
    alphas = np.zeros((len(y), n))
    alphas[0, :] = -math.log(n) + stats.norm.logpdf(y[0], means, 1.0)
    for t in range(1, len(y)):
        for i in range(n):
            alphas[t, i] = logsumexp(alphas[t - 1, :] + moves[:, i]) + stats.norm.logpdf(y[t], means[i], 1.0)
    return logsumexp(alphas[-1])


def doses(half_life, peak, noise, *, times, given, y):
    """Repeated doses, absorbed at the rate that puts the peak where it is: github.com/crowsonkb/pharmacokinetics."""
    out = math.log(2.0) / half_life
    low, high = out * (1.0 + 1e-6), out + 100.0
    for _ in range(80):
        into = 0.5 * (low + high)
        if math.log(into / out) / (into - out) > peak:
            low = into
        else:
            high = into
    into = 0.5 * (low + high)
    lp = 0.0
    for t, seen in zip(times, y, strict=True):
        level = 0.0
        for at, amount in given:
            if t < at:
                break
            level += amount * into / (into - out) * (math.exp(-out * (t - at)) - math.exp(-into * (t - at)))
        lp += stats.norm.logpdf(math.log(seen), math.log(level), noise)
    return lp


def velocities(period, passage, c, s, amplitude, log_jitter, *, t, rv, error):
    """A star's velocity around its planet's, Kepler's equation by Newton: github.com/dyahalomi/SRMP, rv_funcs.py."""

    def kepler(mean, e):
        eccentric = mean * 1.0
        change = mean * 0.0 + 1.0
        while change.max() > 1e-10:
            better = eccentric - (eccentric - e * np.sin(eccentric) - mean) / (1.0 - e * np.cos(eccentric))
            change = np.abs(better - eccentric)
            eccentric = better
        return eccentric

    e, omega = c**2 + s**2, np.arctan2(s, c)
    mean = (2.0 * np.pi / period * (t - passage)) % (2.0 * np.pi)
    half = np.sqrt((1.0 + e) / (1.0 - e)) * np.tan(kepler(mean, e) / 2.0)
    anomaly = (np.arctan(half) * 2.0) % (2.0 * np.pi)
    model = amplitude * (e * np.cos(omega) + np.cos(anomaly + omega))
    variance = error**2 + np.exp(2 * log_jitter)
    return -0.5 * np.sum((rv - model) ** 2 / variance + np.log(variance))


def two_steps(parameters, *, first, state, second, reward):
    """Two-step task, its transitions learnt: github.com/ingrdmrtn/gecco_mh, participant_models.py."""
    alpha, beta, learning, stick, surprised = parameters
    moves = np.array([[0.7, 0.3], [0.3, 0.7]])
    below = np.zeros((2, 2))
    p_first, p_second = np.zeros(len(first)), np.zeros(len(first))
    before = None
    for t in range(len(first)):
        bonus = np.zeros(2)
        if t > 0:
            bonus[first[t]] += surprised * (1.0 - moves[first[t - 1], state[t - 1]])
        if before is not None:
            bonus[before] += stick
        values = moves @ np.max(below, axis=1) + bonus
        values -= np.max(values)
        chances = np.exp(beta * values) / np.sum(np.exp(beta * values))
        a, s = first[t], state[t]
        p_first[t] = chances[a]
        here = below[s].copy()
        here -= np.max(here)
        chances = np.exp(beta * here)
        chances /= np.sum(chances)
        p_second[t] = chances[second[t]]
        below[s, second[t]] += alpha * (reward[t] - below[s, second[t]])
        row = moves[a]
        for k in (0, 1):
            target = 1.0 if k == s else 0.0
            row[k] += learning * (target - row[k])
        moves[a] = row / np.sum(row)
        before = a
    return np.sum(np.log(p_first + 1e-12)) + np.sum(np.log(p_second + 1e-12))


def smooth(scale, *, x, y):
    """A Gaussian process, stored into by its transpose: github.com/alexis-roche/scripts, gaussian_process.py."""
    apart = np.zeros((len(x), len(x)))
    apart[:] = x
    apart.T[:] -= x.T
    cov = np.exp(-0.5 * apart**2 / scale**2)
    factor, lower = cho_factor(cov + 1e-2 * np.eye(cov.shape[0]))
    complexity = np.sum(np.log(np.maximum(np.diagonal(factor), 1e-200)))
    return -0.5 * (np.dot(y, cho_solve((factor, lower), y)) + 2 * complexity)


SESSIONS = [
    {
        "choices": [1, 2, 3, 2, 1, 3],
        "free": [True, False, True, True, False, True],
        "best": [1.0, 0.5, 0.2],
        "high": [1.0, 1.0, 0.5, 1.0, 0.5, 0.5],
        "outcomes": [1.0, 0.0, 0.0, 1.0, 1.0, 0.5],
    },
    {
        "choices": [2, 1, 1],
        "free": [True, True, False],
        "best": [0.5, 1.0, 0.2],
        "high": [0.5, 1.0, 1.0],
        "outcomes": [0.3, 1.0, 0.0],
    },
]
GAMES = pd.DataFrame(
    {
        "home": ["Ajax", "Bari", "Como", "Ajax", "Como", "Bari"],
        "away": ["Bari", "Como", "Ajax", "Como", "Bari", "Ajax"],
        "hg": [0, 1, 1, 3, 0, 2],
        "ag": [0, 0, 1, 1, 1, 2],
    }
)
PARENTS = {"A": "n", "B": "n", "n": "root", "C": "root"}
SITES = [dict(zip("ABC", column, strict=True)) for column in ("AAA", "ACA", "GGT", "TTC", "CCC")]
SEEN = (RNG.random((8, 5)) < 0.5).astype(int)
X = RNG.normal(size=(12, 2))
EVENTS = np.cumsum(RNG.exponential(1.0, 15)) + 0.5
TIMES = np.array([0.5, 1.5, 3.0, 5.0, 6.5, 9.0])

PROGRAMS: dict[Callable[..., Any], tuple[tuple, dict[str, Any]]] = {
    dual_update: ((0.3, 2.0), {"actions": RNG.integers(0, 2, 30), "rewards": RNG.integers(0, 2, 30)}),
    cost_benefit: ((0.3, 0.7, 0.5), {"sessions": SESSIONS}),
    epidemic: ((0.9, 0.4, 300.0), {"cases": np.array([3.0, 6, 11, 19, 30, 41]), "times": np.arange(6.0)}),
    capture: ((np.full(4, 0.7), np.full(5, 0.4)), {"X": SEEN}),
    football: ((np.array([1.2, 0.9, 1.1]), np.array([1.0, 1.3, 0.8]), 1.3, -0.1), {"games": GAMES}),
    leverage: ((np.array([0.05, 0.1, 0.05, 0.1, 0.8]),), {"data": RNG.normal(size=40)}),
    autoregression: ((0.2, 0.6, 1.3), {"data": RNG.normal(size=30)}),
    inhibited: ((1.5, -0.3, 1.2), {"events": EVENTS}),
    tree: ((np.array([0.1, 0.2, 0.15, 0.3]), 1.1), {"parents": PARENTS, "sites": SITES}),
    occupancy: (
        (np.array([0.1, 0.3, -0.2]), np.array([0.2, 0.5, 0.4])),
        {"y": np.array([0, 1, 2, 0, 3, 1, 0, 0, 2, 1, 0, 3]), "x": X, "K": 3},
    ),
    hidden: ((0.8, np.array([-1.0, 0.5, 2.0])), {"y": RNG.normal(size=20)}),
    velocities: (
        (5.2, 1.1, 0.4, 0.3, 2.0, -1.0),
        {"t": np.sort(RNG.random(12) * 30), "rv": RNG.normal(size=12), "error": RNG.random(12) * 0.1 + 0.1},
    ),
    two_steps: (
        (np.array([0.3, 3.0, 0.2, 0.3, 0.4]),),
        {
            "first": RNG.integers(0, 2, 40),
            "state": RNG.integers(0, 2, 40),
            "second": RNG.integers(0, 2, 40),
            "reward": RNG.integers(0, 2, 40),
        },
    ),
    smooth: ((1.3,), {"x": np.linspace(0, 5, 10), "y": np.linspace(0, 2, 10) ** 2}),
    doses: (
        (6.0, 2.0, 0.3),
        {"times": TIMES, "given": [(0.0, 1.0), (4.0, 1.0), (8.0, 0.5)], "y": np.array([0.3, 0.6, 0.7, 1.1, 1.4, 1.6])},
    ),
}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_it_runs_as_it_stands(program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    if program is epidemic:  # scipy's integrator keeps to its tolerance, not to the last digit
        monkeypatch.setattr(laws, "VALUE", 1e-9)
    args, data = PROGRAMS[program]
    agree(program, args, data)
