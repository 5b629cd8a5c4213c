"""Statistical tests with a stated failure budget (style: NumPyro's `gof`).

Each function here raises if its hypothesis is to be rejected at `BUDGET`, the probability that a correct program fails
one call.  Several statistics within a call share the budget (Bonferroni).
"""

import numpy as np
from scipy import stats

BUDGET = 1e-5


def smallest_p_value_of_uniforms(u: np.ndarray) -> float:
    """p-value, Bonferroni-corrected, of the hypothesis that the rows of `u` (n, dim) are iid uniform on the cube.

    Kolmogorov-Smirnov tests of every coordinate and of the radius after mapping to normals; rank correlations of
    pairs of coordinates and of a coordinate with the size of another.
    """
    dim = u.shape[1]
    z = stats.norm.ppf(np.clip(u, 1e-300, 1 - 1e-16))
    p_values = [stats.kstest(u[:, i], "uniform").pvalue for i in range(dim)]
    p_values.append(stats.kstest(stats.chi2(dim).cdf(np.sum(z**2, axis=1)), "uniform").pvalue)
    for i in range(dim):
        for j in range(i):
            for first, second in ((z[:, i], z[:, j]), (abs(z[:, i]), z[:, j]), (z[:, i], abs(z[:, j]))):
                p_values.append(stats.spearmanr(first, second).pvalue)
    return float(min(1.0, len(p_values) * min(p_values)))


def assert_uniform(u: np.ndarray) -> None:
    """The rows of `u` are iid uniform on the unit cube."""
    p = smallest_p_value_of_uniforms(u)
    assert p > BUDGET, f"not uniform: p = {p:.2g}"


def assert_normal(z: np.ndarray) -> None:
    """The entries of `z` are iid standard normal (Kolmogorov-Smirnov, mean, variance)."""
    z = np.ravel(z)
    p_values = [
        stats.kstest(z, "norm").pvalue,
        2 * stats.norm.sf(abs(z.mean()) * np.sqrt(len(z))),
        2 * min(stats.chi2(len(z)).cdf(np.sum(z**2)), stats.chi2(len(z)).sf(np.sum(z**2))),
    ]
    p = len(p_values) * min(p_values)
    assert p > BUDGET, f"not standard normal: p-values {p_values}"


def assert_frequencies(counts: np.ndarray, probabilities: np.ndarray) -> None:
    """Counts come from a multinomial with `probabilities` (chi-squared; cells are pooled until each expects 20)."""
    order = np.argsort(probabilities)
    counts, expected = np.asarray(counts, float)[order], (np.asarray(probabilities) * np.sum(counts))[order]
    assert not counts[expected == 0].any(), "an impossible outcome occurred"
    pooled: list[tuple[float, float]] = []
    for count, mean in zip(counts, expected, strict=True):
        if pooled and pooled[-1][1] < 20:
            count, mean = count + pooled[-1][0], mean + pooled[-1][1]
            pooled.pop()
        pooled.append((count, mean))
    observed, means = np.transpose(pooled)
    p = stats.chisquare(observed, means * observed.sum() / means.sum()).pvalue
    assert p > BUDGET, f"wrong frequencies: p = {p:.2g}"
