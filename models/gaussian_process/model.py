"""Winning times of the Olympic 100 metres: a Gaussian process around a straight line."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Positive, Real
from gradmc.lpdf import half_normal, lognormal, normal


@gm.model
def gaussian_process(
    level: Real,
    trend: Real,
    amplitude: Positive,
    length: Positive,
    sigma: Positive,
    *,
    year: Data["games"],
    time: Data["games"],
):
    """time = level + trend * century + f(year) + error, f with a squared exponential covariance.

    f and the errors are summed out: the times are jointly normal, and their log density is read off the
    Cholesky factor of the covariance, one by one: each observed term is the log density of a time given those before.
    """
    n = len(year)
    lp = normal(level, 10.0, 1.0) + normal(trend, 0.0, 2.0)
    lp += half_normal(amplitude, 0.5) + lognormal(length, math.log(20.0), 0.7) + half_normal(sigma, 0.3)
    covariance = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            covariance[i, j] = amplitude**2 * math.exp(-((year[i] - year[j]) ** 2) / (2 * length**2))
        covariance[i, i] += sigma**2
    factor = np.linalg.cholesky(covariance)
    white = np.zeros(n)  # solves factor @ white = residual, from the top down
    for i in range(n):
        residual = time[i] - level - trend * (year[i] - 1960.0) / 100.0
        for j in range(i):
            residual -= factor[i, j] * white[j]
        white[i] = residual / factor[i, i]
        lp += gm.observe("time", normal(white[i], 0.0, 1.0) - math.log(factor[i, i]))
    return lp


@gaussian_process.simulator
def simulate(rng, level, trend, amplitude, length, sigma, *, year, time):
    """Winning times of the same games in another history."""
    mean = level + trend * (year - 1960.0) / 100.0
    covariance = amplitude**2 * np.exp(-((year[:, None] - year[None, :]) ** 2) / (2 * length**2))
    covariance = covariance + sigma**2 * np.eye(len(year))
    return {"time": rng.multivariate_normal(mean, covariance)}
