"""Models with one illness each, and after them each without it."""

import math

import jax.numpy as jnp
import numpy as np

import gradmc as gm
from gradmc import Data, Interval, Negative, Ordered, Positive, Real
from gradmc.lpdf import gamma, half_cauchy, lognormal, normal, student_t

Y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
S = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
GROUPS = np.concatenate([np.linspace(-8, -4, 10), np.linspace(4, 8, 10)])


@gm.model
def centred(mu: Real, tau: Positive, theta: Real["n"], *, y: Data["n"], s: Data["n"]):
    lp = normal(mu, 0.0, 5.0) + half_cauchy(tau, 5.0)
    for j in range(len(y)):
        lp += normal(theta[j], mu, tau) + normal(y[j], theta[j], s[j])
    return lp


@gm.model
def neal(v: Real, x: Real[30]):
    return normal(v, 0.0, 3.0) + normal(x, 0.0, math.exp(v / 2))


@gm.model
def two_modes(mu: Real):
    return np.logaddexp(normal(mu, -10.0, 0.5), normal(mu, 10.0, 0.5))


@gm.model
def lesser_mode(mu: Real, x: Real[2]):
    """One of two modes holds all of the mass."""
    return np.logaddexp(normal(mu, -10.0, 0.5) - 120.0, normal(mu, 10.0, 0.5)) + normal(x, 0.0, 1.0)


@gm.model
def swapped_labels(m: Real[2], *, y: Data["n"]):
    lp = normal(m, 0.0, 10.0)
    for i in range(len(y)):
        lp += np.logaddexp(normal(y[i], m[0], 1.0), normal(y[i], m[1], 1.0))
    return lp


@gm.model
def heavy_tails(x: Real[20]):
    return student_t(x, 0.5, 0.0, 1.0)


@gm.model
def ridge(a: Real, b: Real):
    return normal(a + b, 0.0, 0.001) + normal(a - b, 0.0, 1.0)


@gm.model
def wall(mu: Real, x: Real):
    lp = normal(x, 0.0, 1.0) + mu
    if mu > 0.0:
        lp = -math.inf
    return lp


@gm.model
def trap(x: Real, y: Real):
    """The gradient is NaN where x < -2, since the square root has no derivative at 0; the density is finite."""
    lp = normal(x, 0.0, 1.0) + normal(y, 0.0, 1.0)
    lp += 0.1 * jnp.sqrt(jnp.maximum(x + 2.0, 0.0))
    return lp


@gm.model
def no_number(x: Real, y: Real):
    lp = normal(x, 0.0, 1.0) + normal(y, 0.0, 1.0)
    lp += 0.01 * math.log(x + 1.5)
    return lp


@gm.model
def only_the_sum(a: Real, b: Real, *, y: Data["n"]):
    return normal(y, a + b, 10.0)


@gm.model
def banana(x: Real, y: Real):
    return normal(x, 0.0, 3.0) + normal(y, x**2, 0.1)


@gm.model
def long_way(x: Real, y: Real):
    """Chains start 10,000 away from the mode of y, where the density falls evenly."""
    return normal(x, 0.0, 1.0) - abs(y - 1e4)


@gm.model
def needle(x: Real):
    """A narrow needle without sides: with a step that suits the rest, a chain that gets there does not get away."""
    lp = normal(x, 0.0, 1.0)
    if abs(x - 0.5) < 0.001:
        lp += 16.0
    return lp


@gm.model
def one_narrow(s: Positive, x: Real):
    return lognormal(s, 0.0, 2.0) + normal(x, 0.0, s)


@gm.model
def precise(p: Real, x: Real[4]):
    return normal(p, 0.0, 2.0) + normal(x, 0.0, 1.0 / (1.0 + math.exp(2.0 * p)))


@gm.model
def steep_wall(x: Real, y: Real):
    return normal(x, 0.0, 1.0) + normal(y, 0.0, 1.0) - math.exp(40.0 * (x - 1.5))


@gm.model
def rough(x: Real[3]):
    """The density jumps at every billionth."""
    lp = normal(x, 0.0, 1.0)
    for i in range(3):
        lp += 50.0 * (math.floor(x[i] * 1e9) % 3)
    return lp


@gm.model
def uneven(x: Real["n"], *, scales: Data["n"]):
    return normal(x, 0.0, scales)


@gm.model
def jumps(x: Real[2]):
    """The density jumps by 1.5, at every quarter."""
    lp = normal(x, 0.0, 1.0)
    for i in range(2):
        lp += 1.5 * (math.floor(x[i] * 4.0) % 2)
    return lp


@gm.model
def linked(x: Real[4]):
    lp = normal(x[0], 0.0, 1.0)
    for i in range(1, 4):
        lp += normal(x[i], x[i - 1], 0.05)
    return lp


@gm.model
def curve(a: Real, b: Real):
    return normal(a, 0.0, 1.0) + normal(b, math.exp(2 * a), 0.05)


@gm.model
def side_funnel(x: Real, y: Real):
    """A lesser mode that narrows."""
    side = normal(x, 30.0, 1.0) + normal(y, 0.0, 0.001 + math.exp(4 * (30.0 - x)))
    return np.logaddexp(normal(x, 0.0, 1.0), side) + normal(y, 0.0, 1.0)


def half_square(x):
    return -0.5 * float(np.sum(x**2))


told_wrongly = gm.external(half_square, gradient=lambda x: -2.0 * x)
told_rightly = gm.external(half_square, gradient=lambda x: -x)


@gm.model
def wrong_gradient(x: Real[2]):
    return told_wrongly(x)


@gm.model
def ratio(mu: Real):
    gm.record("ratio", 1.0 / max(mu, 0.0))
    return normal(mu, 0.0, 1.0)


@gm.model
def lighter_tails_yet(x: Real[20]):
    """No normal approximation has such tails, but chains reach them."""
    return student_t(x, 3.0, 0.0, 1.0)


@gm.model
def healthy(mu: Real, x: Positive[3]):
    return normal(mu, 0.0, 1.0) + gamma(x, 3.0, 2.0)


@gm.model
def non_centred(mu: Real, tau: Positive, z: Real["n"], *, y: Data["n"], s: Data["n"]):
    lp = normal(mu, 0.0, 5.0) + half_cauchy(tau, 5.0)
    for j in range(len(y)):
        lp += normal(z[j], 0.0, 1.0) + normal(y[j], mu + tau * z[j], s[j])
    return lp


@gm.model
def neal_non_centred(v: Real, z: Real[30]):
    return normal(v, 0.0, 3.0) + normal(z, 0.0, 1.0)


@gm.model
def one_of_two_modes(mu: Positive):
    return np.logaddexp(normal(mu, -10.0, 0.5), normal(mu, 10.0, 0.5))


@gm.model
def ordered_labels(m: Ordered[2], *, y: Data["n"]):
    lp = normal(m, 0.0, 10.0)
    for i in range(len(y)):
        lp += np.logaddexp(normal(y[i], m[0], 1.0), normal(y[i], m[1], 1.0))
    return lp


@gm.model
def lighter_tails(x: Real[20]):
    return student_t(x, 5.0, 0.0, 1.0)


@gm.model
def no_wall(mu: Negative, x: Real):
    return normal(x, 0.0, 1.0) + mu


@gm.model
def no_trap(x: Real, y: Real):
    lp = normal(x, 0.0, 1.0) + normal(y, 0.0, 1.0)
    lp += 0.1 * jnp.sqrt(jnp.maximum(x + 2.0, 0.01))
    return lp


@gm.model
def a_number(x: Interval(-1.5, None), y: Real):
    lp = normal(x, 0.0, 1.0) + normal(y, 0.0, 1.0)
    lp += 0.01 * math.log(x + 1.5)
    return lp


@gm.model
def the_sum(total: Real, *, y: Data["n"]):
    return normal(y, total, 10.0)


@gm.model
def straight_banana(x: Real, z: Real):
    gm.record("y", x**2 + 0.02 * z)
    return normal(x, 0.0, 3.0) + normal(z, 0.0, 1.0)


@gm.model
def no_needle(x: Real):
    return normal(x, 0.0, 1.0)


@gm.model
def flat_curve(a: Real, b: Real):
    return normal(a, -1.0, 0.2) + normal(b, math.exp(2 * a), 0.05)


@gm.model
def sum_and_difference(total: Real, gap: Real):
    return normal(total, 0.0, 0.001) + normal(gap, 0.0, 1.0)


@gm.model
def one_non_centred(s: Positive, z: Real):
    return lognormal(s, 0.0, 2.0) + normal(z, 0.0, 1.0)


@gm.model
def precise_non_centred(p: Real, z: Real[4]):
    return normal(p, 0.0, 2.0) + normal(z, 0.0, 1.0)


@gm.model
def smooth(x: Real[3]):
    return normal(x, 0.0, 1.0)


@gm.model
def right_gradient(x: Real[2]):
    return told_rightly(x)


@gm.model
def finite_ratio(mu: Real):
    gm.record("ratio", 1.0 / max(mu, 0.01))
    return normal(mu, 0.0, 1.0)


@gm.model
def wall_as_a_bound(x: Interval(None, 1.5), y: Real):
    return normal(x, 0.0, 1.0) + normal(y, 0.0, 1.0)
