"""Functions, numbers and libraries."""

import cmath
import functools
import logging
import math
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
import scipy.stats

from tests.frontend.constructs import supported
from tests.frontend.constructs.loops import X, Y

SCALE = 2.5


def helper(x, a=0.5, *rest, weight=1.0, **more):
    total = x * a * weight + more.get("shift", 0.0)
    for r in rest:
        total += r
    return total


def log_normal(y, mu, sigma):
    if sigma <= 0:
        return -math.inf
    return -0.5 * ((y - mu) / sigma) ** 2 - math.log(sigma)


@supported("functions", "helper functions, with defaults, *args and **kwargs", 0.7, x=X)
def helpers(a, *, x):
    lp = helper(a) + helper(a, a, a, weight=a, shift=2.0)
    for v in x:
        lp += log_normal(v, a, SCALE) + helper(v, weight=a)
    return lp


@functools.cache
def squared(v):
    return v * v


@supported("functions", "helpers with functools.cache or lru_cache", 0.7, x=X)
def cached_helpers(a, *, x):
    lp = squared(a)
    for v in x:
        lp += squared(v) * squared(a * v)
    return lp


@supported("functions", "nested functions, closures and lambdas", 0.7, x=X)
def closures(a, *, x):
    def inner(v):
        total = 0.0
        for k in range(6):
            total += a * v**k
        return total

    square = lambda v, p=2: v**p  # noqa: E731
    lp = 0.0
    for v in x:
        b = a * v
        scaled = lambda w: w * b  # noqa: B023, E731
        lp += inner(v) + square(b) + scaled(v)
    return lp


@supported("functions", "`nonlocal`", 0.7, x=X)
def with_nonlocal(a, *, x):
    total = 0.0

    def add(v):
        nonlocal total
        total += a * v

    for v in x:
        add(v)
    add(1.0)
    return total


@supported("functions", "functions in comprehensions that set `nonlocal` variables", 0.7, x=X)
def nonlocal_in_comprehensions(a, *, x):
    calls = 0

    def count():
        nonlocal calls
        calls += 1

    def term(v):
        count()
        return a * v * calls

    total = sum(term(v) for v in x) + calls
    return total + sum([term(v) for v in x]) * calls + sum(v for v in x if term(v) < 0.1)


@supported("functions", "`nonlocal` in functions that others call or make, and in branches", 0.7, x=X)
def nonlocal_elsewhere(a, *, x):
    previous = None
    total = 0.0
    count = 0

    def add(v):
        nonlocal previous, total
        if previous is not None:
            total -= (v - a * previous) ** 2
        previous = v

    def tick():
        nonlocal count
        count += 1
        return count

    each(add, x)
    step, level = smoother(a)
    each(step, x)
    total += sum(step(v) for v in x) + level()
    if a * x[0] > 0:
        tick()
    for i in range(8):
        own, mine = smoother(a * x[i])
        each(own, x)
        total += mine() * tick() if a * x[i] > 0 else mine()
    return total + previous + level() + count


def each(function, values):
    for v in values:
        function(v)


def smoother(start):
    level = start

    def step(v):
        nonlocal level
        level = 0.9 * level + v
        return level * level

    def present():
        return level

    return step, present


@supported("functions", "recursion that ends on data", 0.7, n=6)
def recursive(a, *, n):
    return a if n == 0 else a * recursive(a, n=n - 1) + n


@supported("functions", "methods, dataclasses and named tuples", 0.7, x=X)
def objects(a, *, x):
    line = Line(a, 0.5)
    point = Point(a, 1.0)
    lp = 0.0
    for v in x:
        lp += line.at(v) + line(v) + point.x * v + point._replace(y=v).y
    return lp


@dataclass
class Line:
    slope: float
    intercept: float

    def at(self, x):
        total = self.intercept
        for _ in range(6):
            total += self.slope * x
        return total

    def __call__(self, x):
        return self.at(x) if x > 0 else 0.0


class Point(NamedTuple):
    x: float
    y: float


@supported("functions", "objects carried by a loop", 0.7, x=X)
def carried_objects(a, *, x):
    point = Point(a, 0.0)
    state = {"u": a, "v": 0.0}
    pair = (a, (0.0, 1))
    for v in x:
        point = Point(point.x * 0.9, point.y + v * point.x)
        state = {"u": state["u"] * 0.5 + v, "v": state["v"] + state["u"]}
        p, (q, k) = pair
        pair = (p * 0.9, (q + v * p, k + 1))
    return point.y + state["v"] + pair[1][0] * pair[1][1]


class Vector:
    def __init__(self, x, y):
        self.x = x
        self.y = math.exp(y)
        self.count = 0

    def __add__(self, other):
        return Vector(self.x + other.x, math.log(self.y + other.y))

    def __rmul__(self, factor):
        return Vector(factor * self.x, math.log(self.y))

    @property
    def norm(self):
        return math.sqrt(self.x**2 + self.y**2)


class Scaled(Vector):
    def __init__(self, x, y, scale):
        super().__init__(x, y)
        self.__scale = scale

    def total(self, values):
        out = 0.0
        for v in values:
            out += self.__scale * v
        return out


@supported("functions", "classes of your own: `__init__`, operators, properties, inheritance", 0.7, x=X)
def classes(a, *, x):
    lp = Scaled(a, 0.3, 2.0).total(a * x) + Scaled(a, a, a).norm
    for v in x:
        u = Vector(a, v) + 2.0 * Vector(v, a)
        lp += u.norm + u.x
    return lp


class Window:
    """The last sum, halved with every item; entered and left."""

    def __init__(self, first):
        self.values = [first, 0.0]

    def __len__(self):
        return len(self.values)

    def __iter__(self):
        yield from self.values

    def __getitem__(self, k):
        return self.values[k]

    def __setitem__(self, k, value):
        self.values[k] = value

    def __contains__(self, value):
        return self.values[0] < value < self.values[1]

    def __lt__(self, other):
        return self.values[0] < other.values[0]

    def __iadd__(self, value):
        self.values[0] = 0.5 * self.values[0] + value
        return self

    def __enter__(self):
        self.values[1] += 1.0
        return self

    def __exit__(self, *error):
        self.values[1] *= 0.5


@supported("functions", "their special methods: `a[k]`, `len`, `in`, `<`, `+=`, iteration, `with`", 0.7, x=X)
def special_methods(a, *, x):
    window, other = Window(a), Window(0.4)
    lp = 0.0
    for v in x:
        window += a * v
        with window as inside:
            inside[1] = inside[1] + v
        lp += sum(window) + len(window) * a
        if window < other:
            lp += window[0]
        if 0.3 in window:
            lp -= a
    return lp


@supported("functions", "attributes and items of dicts that change in a loop or branch", 0.7, x=X)
def changing_objects(a, *, x):
    vector = Vector(a, 0.5)
    totals = {"up": 0.0, "down": a}
    inner = {"deep": [0.0, 1.0]}
    for v in x:
        vector.x += a * v
        vector.count += 1
        if v > 0:
            totals["up"] += v * a
        else:
            totals["down"] -= v
        if v * a > 0.3:
            vector.y = v
        inner["deep"][1] += a
    totals.update(up=totals["up"] * 2)
    return vector.x * vector.count + vector.y + totals["up"] + totals["down"] * a + inner["deep"][1]


@supported("functions", "`functools.partial` and `functools.reduce`", 0.7, x=X)
def partials(a, *, x):
    scaled = functools.partial(helper, weight=a)
    lp = functools.reduce(lambda p, q: p * 0.5 + q * a, [float(v) for v in x])
    for v in x:
        lp += scaled(v)
    return lp


@supported("functions", "functions given to JAX: vmap, scan, jit", 0.7, x=X)
def given_to_jax(a, *, x):
    def term(v):
        total = 0.0
        for k in range(12):
            total += a * v * k
        return total

    return jnp.sum(jax.vmap(term)(jnp.asarray(x))) + jax.jit(term)(2.0) + jitted(a)


@jax.jit
def jitted(a):
    total = 0.0
    for k in range(20):
        total += a * k
    return total


class Learner:
    def __init__(self, rate):
        self.rate, self.value = rate, 0.0

    def update(self, u):
        self.p = 1 / (1 + math.exp(-self.value))
        self.value = self.value + self.rate * (u - self.p)


@supported("functions", "attributes that a long loop makes", 0.3, u=np.arange(60) % 3 > 0)
def made_in_loop(a, *, u):
    learner, lp = Learner(a), 0.0
    for v in u:
        learner.update(v)
        if learner.p > 0.6:
            learner.sure = learner.p * a
        else:
            learner.sure = 0.5
        lp += math.log(learner.p if v else 1 - learner.p) + learner.sure
    return lp + learner.p + learner.sure


@supported("functions", "generator functions: iterated in Python", 0.7)
def from_generator(a):
    return sum(a * v for v in countdown(5)) + math.fsum(a * v for v in [1.0, 2.0])


def countdown(n):
    while n > 0:
        yield n
        n -= 1


GAMES = [("u", "v", 1), ("v", "w", 0), ("u", "w", 1), ("w", "u", 1), ("v", "u", 0)] * 8


@supported("functions", "numbers in a dict, stored by names that a long loop runs over", 0.7, games=GAMES)
def rated(a, *, games):
    rating = {"u": 0.0, "v": 0.1, "w": 0.0}
    lp = 0.0
    for one, other, won in games:
        p = 1.0 / (1.0 + math.exp(rating[other] - rating[one]))
        lp += math.log(p if won else 1.0 - p)
        rating[one] += a * (won - p)
        rating[other] = rating[other] - a * (won - p)
    return lp + rating["w"]


@supported("functions", "a dict whose keys a long loop makes: `get`, `in`, `del`, its order", 0.3, games=GAMES)
def rated_as_they_come(a, *, games):
    rating, played = {}, Counter()
    lp = 0.0
    for n, (one, other, won) in enumerate(games):
        if one not in rating:
            rating[one] = 0.5
        ahead = rating[one] - rating.get(other, 0.5)
        p = 1.0 / (1.0 + math.exp(-ahead))
        lp += math.log(p if won else 1.0 - p)
        rating[one] += a / (1 + played[one]) * (won - p)
        rating[other] = rating.setdefault(other, 0.5) - a * (won - p)
        played[one] += 1
        if n % 7 == 6:
            del rating[other]
    return lp + sum((k + 1) * v for k, v in enumerate(rating.values())) + len(rating) * a


@supported("functions", "pairs of numbers in a dict, by whole numbers and pairs of them", 0.3, x=X)
def believed(a, *, x):
    state, seen, lp = {}, defaultdict(float), 0.0
    for i in range(len(x)):
        mean, variance = state.get(i % 5, (0.0, 1.0))
        lp += -0.5 * (x[i] - mean) ** 2 / (variance + a)
        gain = variance / (variance + a)
        state[i % 5] = (mean + gain * (x[i] - mean), variance * (1.0 - gain))
        seen[i % 2, i % 3] += mean
    return lp + sum(m * v for m, v in state.values()) + sum(w * k[1] for k, w in seen.items())


@supported("functions", "copies of a dict that a loop has changed: `dict(d)`, `{**d}`, `f(**d)`", 0.7, x=X)
def copies_of_dicts(a, *, x):
    totals = {"u": 0.0, "v": a}
    for v in x:
        totals["u"] += a * v * v
    one, other = dict(totals), {**totals, "w": 1.0}
    other.update(totals)
    totals["v"] = 3.0
    return one["u"] + other["u"] * one["v"] + product(**totals)


def product(u, v):
    return u * v


@supported("functions", "a dict that the first iteration of a long loop makes, and the others read", 0.7, x=X)
def states_in_dicts(a, *, x):
    states = ("rain", "sun")
    before = {}
    for i in range(len(x)):
        now = {}
        for state in states:
            come = 0.5 if i == 0 else sum(before[s] * (a if s == state else 1.0 - a) for s in states)
            now[state] = come * math.exp(-((x[i] - (state == "sun")) ** 2))
        before = now
    return math.log(sum(before[s] for s in states))


@supported("numbers", "math functions", 0.71, 0.23)
def maths(a, b):
    lp = math.exp(a) + math.log(a) + math.log(a, 2) + math.log1p(b) + math.expm1(b) + math.sqrt(a) + math.log2(a)
    lp += math.sin(a) + math.cos(b) + math.tan(a) + math.atan2(a, b) + math.tanh(a) + math.asin(b) + math.hypot(a, b)
    lp += math.lgamma(a) + math.gamma(b) + math.erf(a) + math.erfc(b) + math.pow(a, b) + math.fabs(-a)
    lp += math.floor(10 * a) + math.ceil(10 * b) + math.fsum([a, b]) + math.prod([a, b]) + math.copysign(a, -b)
    return lp + (1.0 if math.isfinite(a) and not math.isnan(b) else 0.0) + math.pi + math.inf * 0 if a < 0 else lp


@supported("numbers", "functions of statistics and cmath", 0.7, x=X)
def statistics_and_cmath(a, *, x):
    values = [a * v for v in x]
    spread = statistics.stdev(values) + statistics.pvariance(values) + statistics.variance(values, a)
    total = statistics.mean(values) + statistics.fmean(values, x * x) + statistics.median(values) + spread
    turn = 0j
    for k, v in enumerate(x):
        turn += v * cmath.exp(1j * a * k)
    return total + abs(turn) + cmath.phase(turn) + cmath.sqrt(-a).imag


@supported("numbers", "lists among the arrays that numpy joins", 0.7, x=X)
def joined_lists(a, *, x):
    buffer = np.zeros(3)
    total = 0.0
    for v in x:
        total += a * np.dot(buffer, [0.1, 0.2, 0.3]) * v
        buffer = np.concatenate(([a * v], buffer[:-1]))
    return total + np.sum(np.vstack([[a, 1.0], x[:2]]) ** 2) + np.hstack((buffer, [1, 2]))[4] * a


@supported("numbers", "lists among the options of numpy functions", 0.7, x=X)
def lists_as_options(a, *, x):
    lp = np.average([a, a**2, 0.3], weights=[0.1, 0.2, 0.7]) + np.average(x[:3], weights=(a, 1 - a, 0.5))
    lp += np.average([[a, 2 * a], [1.0, 2.0]], axis=0, weights=[0.3, 0.4])[1]
    return lp + np.sum([[a, 1.0], [2.0, a]], axis=(0, 1)) + np.mean([a, 2.0], where=[True, True])


@supported("numbers", "numpy functions on traced values", np.array([0.7, 0.2, 0.4]), x=X[:3])
def numpys(p, *, x):
    lp = np.sum(np.exp(p) * np.log(p)) + np.dot(p, x) + np.max(p) + np.mean(p) + np.prod(p) + np.linalg.norm(p)
    lp += np.sum(np.where(p > 0.3, p, 0.0)) + np.sum(np.cumsum(p)) + np.sum(np.outer(p, x)) + np.logaddexp(p[0], p[1])
    lp += np.sum(np.concatenate([p, x])) + np.sum(np.stack([p, x]) ** 2) + np.array([p[0], 2.0]).sum()
    lp += np.linalg.slogdet(np.diag(p) + 0.1 * np.eye(3))[1] + np.sum(np.clip(p, 0.3, 0.5)) + np.power(p[0], 2)
    return lp + np.logaddexp.reduce(p) + np.square(p).sum() + np.abs(p).sum() + np.einsum("i,i->", p, x)


@supported("numbers", "jax.numpy functions", np.array([0.7, 0.2, 0.4]), x=X[:3])
def jaxs(p, *, x):
    lp = jnp.sum(jnp.exp(p)) + jax.scipy.special.logsumexp(p) + jax.nn.softplus(p[0]) + jnp.dot(p, x)
    for i in range(3):
        lp += jnp.log(p[i])
    return float(lp)


@supported("numbers", "sizes and conditions that jax.numpy computes from data", 0.7, x=X)
def jaxs_on_data(a, *, x):
    positive = jnp.asarray(x) > 0
    count = jnp.sum(positive) + 1
    lp = 0.0
    for k in range(int(count)):
        lp += a * x[k]
    if positive[0] and jnp.max(jnp.asarray(x)) > 1.9:
        lp += len(np.zeros(int(count - 2))) * a
    return lp + positive.sum().item() * a


@supported("numbers", "scipy.stats log densities and scipy.special", 0.7, 1.3, x=X)
def scipys(a, s, *, x):
    lp = scipy.special.gammaln(a) + scipy.special.expit(a) + scipy.special.logsumexp([a, s])
    for v in x:
        lp += scipy.stats.norm.logpdf(v, a, s) + scipy.stats.t.logpdf(v, 4.0, loc=a, scale=s)
    lp += scipy.special.betaln(9.0 + a, s) + scipy.special.beta(a, 9.0 + s)
    lp += scipy.stats.beta.logpdf(0.3, 8.0 + a, s) + scipy.stats.betabinom.logpmf(3, 10, 9.0 + a, s)
    return lp + scipy.stats.gamma.logpdf(s, 2.0) + scipy.stats.poisson.logpmf(3, s)


@supported("numbers", "`//` and `%` with Python's signs, `divmod`, `**`", 7.3, 2.5)
def divisions(a, b):
    lp = a // b + a % b + (-a) // b + (-a) % b + a % -b + divmod(a, -b)[1]
    for i in range(-6, 7):
        lp += (i // 4) * a + (i % 4) * b + (i % -3) + a**2 + 2.0 ** (i * b / 10) + 2**i
    return lp + pow(a, 2) + b**-1


@supported("numbers", "whole numbers: indices computed with //, %, min and max", 0.7, x=X)
def whole_numbers(a, *, x):
    n = len(x)
    lp = 0.0
    for i in range(30):
        lp += a * x[i // 3] + x[(7 * i) % n] * x[min(i, n - 1)] + x[max(i - 25, 0)] * a * (i & 1)
    return lp + int(3.9) * a + float(3) * a + round(2.567, 1) * a


@supported(
    "numbers", "whole numbers beyond 64 bits: powers, shifts and sums", 0.7, y=[2_000_000_011 + k for k in range(12)]
)
def beyond_64_bits(a, *, y):
    squares = 0
    for v in y:
        if a > 0:
            squares += v * v
    lp = 1e-20 * a * squares
    for i in range(len(y)):
        lp += 1e-30 * a * (y[i] ** 3 - 1) + a / (1 << 6 * i) + (v * v) / (v * (v - 1))
    return lp


@supported("numbers", "truth values in arithmetic: they are 0 and 1", 0.7, differences=False, x=[0.2, -1.0, 0.9])
def truth_in_arithmetic(a, *, x):
    lp = a * ((a > 0) + (a > 0.5) - (a > 5.0)) - a * (-(a > 0.1))
    for v in x:
        lp += a * ((v > 0) + (v < a) + 1)
    return lp


@supported("numbers", "int, float, bool, round and isinstance of traced values", 2.7, differences=False)
def conversions(a):
    lp = int(a) * 1.0 + float(a) + round(a) + round(a, 1) * 0 + (1.0 if bool(a > 0) else 0.0)
    return lp + (a if isinstance(a, float) else 100.0)


@supported("numbers", "f-strings of plain values, and of a short loop's index", 0.7, names=["u", "v"])
def strings(a, *, names):
    table = {f"{name}_{k}": k for k, name in enumerate(names)}
    lp = a * table["v_1"] + len("-".join(names))
    for k in range(8):
        lp += len(f"{k:>3}") * a * k
    return lp


@supported(
    "numbers",
    "np.append and insert, `np.r_`, `np.c_`, np.bincount with weights, lfilter, ranges as arguments of densities",
    0.7,
    x=X,
)
def joining(a, *, x):
    import scipy.signal

    z = (
        np.insert(np.append(np.array([a]), x[:3] * a), 1, a).sum()
        + np.r_[a, x[:3] * a, 1.0].sum()
        + np.sum(np.c_[[a, 2.0], [1.0, a]] ** 2)
    )
    z += np.sum(np.bincount(np.array([0, 2, 1, 2, 0, 1, 1, 0, 2, 2]), weights=a * x, minlength=5) ** 2)
    z += np.sum(scipy.signal.lfilter([a, 0.3], [2.0, -0.5 * a, 0.1], x) ** 2) + np.convolve(a, x).sum()
    return z + scipy.stats.poisson.logpmf(range(3, 9), a).sum() + scipy.special.logsumexp([a, 2.0], b=[1, -0.1])


@supported("numbers", "text of what is not known, logged or told by an exception", 0.7, x=X)
def talking(a, *, x):
    if a < -5.0:
        raise ValueError(f"a is {a:.2f}, " + "expected more than %g" % a)  # noqa: UP031
    lp = 0.0
    for i, v in enumerate(x):
        logging.getLogger(__name__).debug("at %s: %s", i, f"{v * a=}")
        lp += v * a
    return lp


@supported("numbers", "an array of one entry, or a tuple whose first item is the log density", 0.7, x=X)
def with_blobs(a, *, x):
    return np.sum(a * x, keepdims=True), a, {"twice": 2 * a}


@supported("numbers", "marks return their value", 0.7, x=X, y=Y)
def marked(a, *, x, y):
    from gradmc.program.marks import observe, record

    lp = record("twice", 2 * a)
    for i in range(len(x)):
        lp += observe("y", -((y[i] - a * x[i]) ** 2))
    return lp


@supported("functions", "recursion made short by functools.lru_cache", 0.7, 0.4)
def cached(a, s):
    @functools.cache
    def number(n):
        return (a, s)[n] if n < 2 else 0.5 * (number(n - 1) + number(n - 2))

    lp = number(40)
    for k in range(6):
        lp += number(3) * k if lp > k else number(5)
    return lp


class Kernel:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, x, *, power=1.0):
        return self.height(x) ** power


class Bell(Kernel):
    def height(self, x):
        return np.exp(-((x / self.scale) ** 2))


@supported("functions", "objects that are called, by a method of a class above", 0.7, x=X)
def called_objects(a, *, x):
    bell, lp = Bell(a), 0.0
    for v in x:
        lp += bell(v) + bell(v, power=a)
    return lp
