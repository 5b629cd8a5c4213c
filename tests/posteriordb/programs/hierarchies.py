"""Hierarchical models and a Gaussian process of the reference posteriors."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import gamma, half_cauchy, half_normal, normal, poisson


@gm.model
def eight_schools_centred(mu: Real, tau: Positive, theta: Real["school"], *, y: Data["school"], sigma: Data["school"]):
    """Effects of coaching in eight schools; theta is a parameter."""
    lp = normal(mu, 0.0, 5.0) + half_cauchy(tau, 5.0)
    for j in range(len(y)):
        lp += normal(theta[j], mu, tau)
        lp += gm.observe("y", normal(y[j], theta[j], sigma[j]))
    return lp


@gm.model
def eight_schools_noncentred(
    mu: Real, tau: Positive, theta_trans: Real["school"], *, y: Data["school"], sigma: Data["school"]
):
    """The same posterior with theta = mu + tau * theta_trans."""
    lp = normal(mu, 0.0, 5.0) + half_cauchy(tau, 5.0)
    for j in range(len(y)):
        theta = gm.record("theta", mu + tau * theta_trans[j])
        lp += normal(theta_trans[j], 0.0, 1.0)
        lp += gm.observe("y", normal(y[j], theta, sigma[j]))
    return lp


@gm.model
def rats(
    alpha: Real["N"],
    beta: Real["N"],
    mu_alpha: Real,
    mu_beta: Real,
    sigma_y: Positive,
    sigma_alpha: Positive,
    sigma_beta: Positive,
    *,
    rat: Data["point"],
    x: Data["point"],
    y: Data["point"],
    xbar: Data,
    N: int,
):
    """Growth of 30 rats: a random intercept and slope each; `rat` counts from 1."""
    lp = normal(mu_alpha, 0.0, 100.0) + normal(mu_beta, 0.0, 100.0)
    for i in range(N):
        lp += normal(alpha[i], mu_alpha, sigma_alpha)
        lp += normal(beta[i], mu_beta, sigma_beta)
    for n in range(len(y)):
        r = rat[n] - 1
        lp += gm.observe("y", normal(y[n], alpha[r] + beta[r] * (x[n] - xbar), sigma_y))
    return lp


@gm.model
def gp_pois_regr(rho: Positive, alpha: Positive, f_tilde: Real["n"], *, x: Data["n"], k: Data["n"]):
    """Counts with a Gaussian process log rate; covariance, Cholesky factor and product as loops."""
    n = len(x)
    lp = gamma(rho, 25.0, 4.0) + half_normal(alpha, 2.0)
    factor = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            entry = alpha**2 * math.exp(-((x[i] - x[j]) ** 2) / (2 * rho**2))
            if i == j:
                entry += 1e-10
            for m in range(j):
                entry -= factor[i, m] * factor[j, m]
            factor[i, j] = math.sqrt(entry) if i == j else entry / factor[j, j]
    for i in range(n):
        f = 0.0
        for j in range(i + 1):
            f += factor[i, j] * f_tilde[j]
        gm.record("f", f)
        lp += normal(f_tilde[i], 0.0, 1.0)
        lp += gm.observe("k", poisson(k[i], math.exp(f)))
    return lp
