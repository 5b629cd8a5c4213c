"""The tail functions by name: `name_lcdf` and `name_lccdf`; `gradmc.lpdf.tails` holds the formulas.

The parameters are those of the log density of the same name, documented there. All take the value first and
return the sum of the terms, or each term with `pointwise=True`.
"""

from typing import Any

from gradmc.lpdf._law import Value
from gradmc.lpdf.tails import LOWER, UPPER


def normal_lcdf(y: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """log P(Y <= y) for the law of `normal` with the same parameters."""
    return LOWER["normal"](y, mu, sigma, pointwise=pointwise)


def normal_lccdf(y: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """log P(Y > y) for the law of `normal` with the same parameters."""
    return UPPER["normal"](y, mu, sigma, pointwise=pointwise)


def lognormal_lcdf(y: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """log P(Y <= y) for the law of `lognormal` with the same parameters."""
    return LOWER["lognormal"](y, mu, sigma, pointwise=pointwise)


def lognormal_lccdf(y: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """log P(Y > y) for the law of `lognormal` with the same parameters."""
    return UPPER["lognormal"](y, mu, sigma, pointwise=pointwise)


def student_t_lcdf(y: Value, nu: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """log P(Y <= y) for the law of `student_t` with the same parameters."""
    return LOWER["student_t"](y, nu, mu, sigma, pointwise=pointwise)


def student_t_lccdf(y: Value, nu: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """log P(Y > y) for the law of `student_t` with the same parameters."""
    return UPPER["student_t"](y, nu, mu, sigma, pointwise=pointwise)


def cauchy_lcdf(y: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """log P(Y <= y) for the law of `cauchy` with the same parameters."""
    return LOWER["cauchy"](y, mu, sigma, pointwise=pointwise)


def cauchy_lccdf(y: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """log P(Y > y) for the law of `cauchy` with the same parameters."""
    return UPPER["cauchy"](y, mu, sigma, pointwise=pointwise)


def laplace_lcdf(y: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """log P(Y <= y) for the law of `laplace` with the same parameters."""
    return LOWER["laplace"](y, mu, sigma, pointwise=pointwise)


def laplace_lccdf(y: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """log P(Y > y) for the law of `laplace` with the same parameters."""
    return UPPER["laplace"](y, mu, sigma, pointwise=pointwise)


def logistic_lcdf(y: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """log P(Y <= y) for the law of `logistic` with the same parameters."""
    return LOWER["logistic"](y, mu, sigma, pointwise=pointwise)


def logistic_lccdf(y: Value, mu: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """log P(Y > y) for the law of `logistic` with the same parameters."""
    return UPPER["logistic"](y, mu, sigma, pointwise=pointwise)


def gumbel_lcdf(y: Value, mu: Value, beta: Value, *, pointwise: bool = False) -> Any:
    """log P(Y <= y) for the law of `gumbel` with the same parameters."""
    return LOWER["gumbel"](y, mu, beta, pointwise=pointwise)


def gumbel_lccdf(y: Value, mu: Value, beta: Value, *, pointwise: bool = False) -> Any:
    """log P(Y > y) for the law of `gumbel` with the same parameters."""
    return UPPER["gumbel"](y, mu, beta, pointwise=pointwise)


def exponential_lcdf(y: Value, rate: Value, *, pointwise: bool = False) -> Any:
    """log P(Y <= y) for the law of `exponential` with the same parameters."""
    return LOWER["exponential"](y, rate, pointwise=pointwise)


def exponential_lccdf(y: Value, rate: Value, *, pointwise: bool = False) -> Any:
    """log P(Y > y) for the law of `exponential` with the same parameters."""
    return UPPER["exponential"](y, rate, pointwise=pointwise)


def weibull_lcdf(y: Value, shape: Value, scale: Value, *, pointwise: bool = False) -> Any:
    """log P(Y <= y) for the law of `weibull` with the same parameters."""
    return LOWER["weibull"](y, shape, scale, pointwise=pointwise)


def weibull_lccdf(y: Value, shape: Value, scale: Value, *, pointwise: bool = False) -> Any:
    """log P(Y > y) for the law of `weibull` with the same parameters."""
    return UPPER["weibull"](y, shape, scale, pointwise=pointwise)


def gompertz_lcdf(y: Value, shape: Value, rate: Value, *, pointwise: bool = False) -> Any:
    """log P(Y <= y) for the law of `gompertz` with the same parameters."""
    return LOWER["gompertz"](y, shape, rate, pointwise=pointwise)


def gompertz_lccdf(y: Value, shape: Value, rate: Value, *, pointwise: bool = False) -> Any:
    """log P(Y > y) for the law of `gompertz` with the same parameters."""
    return UPPER["gompertz"](y, shape, rate, pointwise=pointwise)


def pareto_lcdf(y: Value, lower: Value, shape: Value, *, pointwise: bool = False) -> Any:
    """log P(Y <= y) for the law of `pareto` with the same parameters."""
    return LOWER["pareto"](y, lower, shape, pointwise=pointwise)


def pareto_lccdf(y: Value, lower: Value, shape: Value, *, pointwise: bool = False) -> Any:
    """log P(Y > y) for the law of `pareto` with the same parameters."""
    return UPPER["pareto"](y, lower, shape, pointwise=pointwise)


def gamma_lcdf(y: Value, shape: Value, rate: Value, *, pointwise: bool = False) -> Any:
    """log P(Y <= y) for the law of `gamma` with the same parameters."""
    return LOWER["gamma"](y, shape, rate, pointwise=pointwise)


def gamma_lccdf(y: Value, shape: Value, rate: Value, *, pointwise: bool = False) -> Any:
    """log P(Y > y) for the law of `gamma` with the same parameters."""
    return UPPER["gamma"](y, shape, rate, pointwise=pointwise)


def inverse_gamma_lcdf(y: Value, shape: Value, scale: Value, *, pointwise: bool = False) -> Any:
    """log P(Y <= y) for the law of `inverse_gamma` with the same parameters."""
    return LOWER["inverse_gamma"](y, shape, scale, pointwise=pointwise)


def inverse_gamma_lccdf(y: Value, shape: Value, scale: Value, *, pointwise: bool = False) -> Any:
    """log P(Y > y) for the law of `inverse_gamma` with the same parameters."""
    return UPPER["inverse_gamma"](y, shape, scale, pointwise=pointwise)


def uniform_lcdf(y: Value, lower: Value, upper: Value, *, pointwise: bool = False) -> Any:
    """log P(Y <= y) for the law of `uniform` with the same parameters."""
    return LOWER["uniform"](y, lower, upper, pointwise=pointwise)


def uniform_lccdf(y: Value, lower: Value, upper: Value, *, pointwise: bool = False) -> Any:
    """log P(Y > y) for the law of `uniform` with the same parameters."""
    return UPPER["uniform"](y, lower, upper, pointwise=pointwise)


def beta_lcdf(y: Value, alpha: Value, beta: Value, *, pointwise: bool = False) -> Any:
    """log P(Y <= y) for the law of `beta` with the same parameters."""
    return LOWER["beta"](y, alpha, beta, pointwise=pointwise)


def beta_lccdf(y: Value, alpha: Value, beta: Value, *, pointwise: bool = False) -> Any:
    """log P(Y > y) for the law of `beta` with the same parameters."""
    return UPPER["beta"](y, alpha, beta, pointwise=pointwise)


def poisson_lcdf(y: Value, rate: Value, *, pointwise: bool = False) -> Any:
    """log P(Y <= y) for the law of `poisson` with the same parameters."""
    return LOWER["poisson"](y, rate, pointwise=pointwise)


def poisson_lccdf(y: Value, rate: Value, *, pointwise: bool = False) -> Any:
    """log P(Y > y) for the law of `poisson` with the same parameters."""
    return UPPER["poisson"](y, rate, pointwise=pointwise)
