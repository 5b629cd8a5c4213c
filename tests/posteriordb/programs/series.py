"""Time series of the reference posteriors, hidden Markov models and a differential equation among them."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Interval, Positive, PositiveOrdered, Real, Simplex
from gradmc.lpdf import dirichlet, exponential, half_cauchy, lognormal, normal


@gm.model
def ark(alpha: Real, beta: Real["K"], sigma: Positive, *, y: Data["T"], K: int):
    """Autoregression of order K, conditional on the first K values; beta[0] belongs to the latest value."""
    lp = normal(alpha, 0.0, 10.0) + half_cauchy(sigma, 2.5)
    for k in range(K):
        lp += normal(beta[k], 0.0, 10.0)
    for t in range(K, len(y)):
        mean = alpha
        for k in range(K):
            mean += beta[k] * y[t - 1 - k]
        lp += gm.observe("y", normal(y[t], mean, sigma))
    return lp


@gm.model
def garch11(
    mu: Real,
    alpha0: Positive,
    alpha1: Interval(0, 1),
    beta1: Interval(0, lambda alpha1: 1 - alpha1),
    *,
    y: Data["T"],
    sigma1: Data,
):
    """GARCH(1, 1), uniform on the stationary triangle; the first standard deviation is given."""
    sigma = sigma1
    lp = gm.observe("y", normal(y[0], mu, sigma))
    for t in range(1, len(y)):
        sigma = math.sqrt(alpha0 + alpha1 * (y[t - 1] - mu) ** 2 + beta1 * sigma**2)
        lp += gm.observe("y", normal(y[t], mu, sigma))
    return lp


@gm.model
def hmm_example(theta1: Simplex[2], theta2: Simplex[2], mu: PositiveOrdered[2], *, y: Data["T"]):
    """Two hidden states, normal emissions with standard deviation 1; the forward pass sums over the paths."""
    lp = normal(mu[0], 3.0, 1.0) + normal(mu[1], 10.0, 1.0)
    log_theta = [[math.log(theta1[0]), math.log(theta1[1])], [math.log(theta2[0]), math.log(theta2[1])]]
    forward = [normal(y[0], mu[0], 1.0), normal(y[0], mu[1], 1.0)]
    for t in range(1, len(y)):
        ahead = [0.0, 0.0]
        for k in range(2):
            arrive = np.logaddexp(forward[0] + log_theta[0][k], forward[1] + log_theta[1][k])
            ahead[k] = arrive + normal(y[t], mu[k], 1.0)
        forward = ahead
    return lp + np.logaddexp(forward[0], forward[1])


@gm.model
def hmm_drive_0(
    theta1: Simplex["K"],
    theta2: Simplex["K"],
    phi: PositiveOrdered["K"],
    lambda_: PositiveOrdered["K"],
    *,
    u: Data["T"],
    v: Data["T"],
    alpha: Data["K", "K"],
):
    """Two hidden states, two exponential emissions; the forward pass as three nested loops over arrays."""
    K = len(phi)
    lp = dirichlet(theta1, alpha[0]) + dirichlet(theta2, alpha[1])
    for k in range(K):
        lp += normal(phi[k], 3.0 * k, 1.0) + normal(lambda_[k], 3.0 * k, 1.0)
    log_theta = np.zeros((K, K))
    for k in range(K):
        log_theta[0, k] = math.log(theta1[k])
        log_theta[1, k] = math.log(theta2[k])
    forward = np.zeros((len(u), K))
    for t in range(len(u)):
        for k in range(K):
            emission = exponential(u[t], phi[k]) + exponential(v[t], lambda_[k])
            if t == 0:
                forward[t, k] = emission
            else:
                arrive = -np.inf
                for j in range(K):
                    arrive = np.logaddexp(arrive, forward[t - 1, j] + log_theta[j, k])
                forward[t, k] = emission + arrive
    return lp + np.logaddexp(forward[-1, 0], forward[-1, 1])


@gm.model
def lotka_volterra(
    theta: Positive[4],
    z_init: Positive[2],
    sigma: Positive[2],
    *,
    y_init: Data[2],
    y: Data["T", 2],
    steps_per_year: int = 20,
):
    """Predator and prey: the equations solved by the classical Runge-Kutta rule with fixed steps."""
    lp = normal(theta[0], 1.0, 0.5) + normal(theta[2], 1.0, 0.5)
    lp += normal(theta[1], 0.05, 0.05) + normal(theta[3], 0.05, 0.05)
    for k in range(2):
        lp += lognormal(sigma[k], -1.0, 1.0) + lognormal(z_init[k], math.log(10.0), 1.0)
        lp += lognormal(y_init[k], math.log(z_init[k]), sigma[k])

    def slope(prey, predator):
        return (theta[0] - theta[1] * predator) * prey, (-theta[2] + theta[3] * prey) * predator

    h = 1.0 / steps_per_year
    prey, predator = z_init[0], z_init[1]
    for n in range(len(y)):
        for _ in range(steps_per_year):
            du1, dv1 = slope(prey, predator)
            du2, dv2 = slope(prey + h / 2 * du1, predator + h / 2 * dv1)
            du3, dv3 = slope(prey + h / 2 * du2, predator + h / 2 * dv2)
            du4, dv4 = slope(prey + h * du3, predator + h * dv3)
            prey = prey + h / 6 * (du1 + 2 * du2 + 2 * du3 + du4)
            predator = predator + h / 6 * (dv1 + 2 * dv2 + 2 * dv3 + dv4)
        lp += gm.observe("prey", lognormal(y[n, 0], math.log(prey), sigma[0]))
        lp += gm.observe("predator", lognormal(y[n, 1], math.log(predator), sigma[1]))
    return lp
