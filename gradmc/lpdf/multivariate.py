"""Log densities of vectors and matrices; one observation is the last axis or the last two.

See `gradmc.lpdf` for what all functions have in common.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import gammaln

from gradmc.lpdf._law import OFF, Law, Value
from gradmc.lpdf._special import log_beta, log_gamma_rest, log_ratio


def _inside_simplex(y: Value, *_: Value) -> Any:
    return (y >= 0).all(-1)


def _dirichlet(d: Any, y: Value, alpha: Value) -> Any:
    # Powers of y over the mean: without the large terms of log gamma functions.
    alpha = jnp.asarray(alpha)
    total = jnp.sum(alpha, axis=-1, keepdims=True)
    flat = (alpha == 1) & (y == 0)
    power = (alpha - 1.0) * log_ratio(jnp.where(flat, 0.0, (total * y - alpha) / alpha), total * y / alpha)
    each = power + jnp.log(total) - jnp.log(alpha) - log_gamma_rest(alpha)
    return jnp.sum(each, axis=-1) + log_gamma_rest(total)[..., 0]


def _lkj(factor: Value, eta: Value, below: float) -> Any:
    """The LKJ law by the Cholesky factor L; numpyro's refuses a matrix of one entry.

    The density with respect to the matrix is det(R)^(eta - 1) over a constant (Lewandowski, Kurowicka & Joe 2009),
    where det(R) is the product of the L[i, i]^2. With respect to L (`below` is 1) each L[i, i] also has the number of
    entries below it as a power.
    """
    factor = jnp.asarray(factor)
    eta = jnp.asarray(eta, factor.dtype)[..., None]
    size = factor.shape[-1]
    k = np.arange(1, size)  # rows after the first; also columns, counted from the last
    power = 2.0 * (eta - 1.0) + below * (size - 1.0 - k)
    half = 0.5 * k
    constant = half * math.log(math.pi) - gammaln(half) + log_beta(eta + 0.5 * (size - 1) - half, half)
    return jnp.sum(power * jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)[..., 1:]) - constant, axis=-1)


def _student_t_cholesky(d: Any, y: Value, nu: Value, mu: Value, cholesky: Value) -> Any:
    """numpyro's loses its digits as nu grows, in a difference of log gamma functions."""
    size = float(y.shape[-1])
    shape = jnp.broadcast_shapes(y.shape[:-1], jnp.shape(mu)[:-1], jnp.shape(cholesky)[:-2], jnp.shape(nu))
    factor = jnp.broadcast_to(cholesky, (*shape, *jnp.shape(cholesky)[-2:]))
    z = solve_triangular(factor, jnp.broadcast_to(y - mu, (*shape, y.shape[-1]))[..., None], lower=True)[..., 0]
    constant = math.lgamma(0.5 * size) - 0.5 * size * math.log(math.pi)
    spread = jnp.sum(jnp.log(jnp.diagonal(cholesky, axis1=-2, axis2=-1)), axis=-1)
    power = -0.5 * (nu + size) * jnp.log1p(jnp.sum(z * z, axis=-1) / nu)
    return constant - log_beta(0.5 * nu, 0.5 * size) - 0.5 * size * jnp.log(nu) - spread + power


def _normal_precision(d: Any, y: Value, mu: Value, precision: Value) -> Any:
    """numpyro's inverts the matrix, and loses digits of slopes far out."""
    factor = jnp.linalg.cholesky(jnp.asarray(precision))
    z = jnp.sum(factor * (y - mu)[..., :, None], axis=-2)
    spread = jnp.sum(jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)), axis=-1)
    return spread - 0.5 * jnp.sum(z * z, axis=-1) - 0.5 * y.shape[-1] * math.log(2 * math.pi)


_DIRICHLET = Law(_dirichlet, _inside_simplex, inside=0.5, event=1)
_NORMAL = Law(
    lambda d, y, mu, covariance: d.MultivariateNormal(mu, covariance_matrix=covariance, **OFF).log_prob(y),
    event=1,
)
_NORMAL_PRECISION = Law(_normal_precision, event=1)
_NORMAL_CHOLESKY = Law(
    lambda d, y, mu, cholesky: d.MultivariateNormal(mu, scale_tril=cholesky, **OFF).log_prob(y), event=1
)
_STUDENT_T_CHOLESKY = Law(_student_t_cholesky, event=1)
_LKJ = Law(lambda d, y, eta: _lkj(jnp.linalg.cholesky(y), eta, 0.0), event=2)
_LKJ_CHOLESKY = Law(lambda d, y, eta: _lkj(y, eta, 1.0), event=2)
_WISHART = Law(lambda d, y, nu, scale: d.Wishart(nu, scale_matrix=scale, **OFF).log_prob(y), event=2)
_INVERSE_WISHART = Law(lambda d, y, nu, scale: d.InverseWishart(nu, scale_matrix=scale, **OFF).log_prob(y), event=2)
_GAUSSIAN_RANDOM_WALK = Law(
    lambda d, y, sigma: d.GaussianRandomWalk(sigma, num_steps=y.shape[-1], **OFF).log_prob(y), event=1
)


def dirichlet(y: Value, alpha: Value, *, pointwise: bool = False) -> Any:
    """Dirichlet.

    Args:
        y: probabilities, shape (..., K), >= 0 and summing to 1 (support `Simplex`).
        alpha: concentrations, shape (..., K), > 0; ones give the uniform law.
        pointwise: return one term per vector instead of their sum.
    """
    return _DIRICHLET(y, alpha, pointwise=pointwise)


def multivariate_normal(y: Value, mu: Value, covariance: Value, *, pointwise: bool = False) -> Any:
    """Multivariate normal by its covariance matrix.

    Args:
        y: value, shape (..., K).
        mu: mean, shape (..., K) or a number.
        covariance: covariance matrix, shape (..., K, K), symmetric positive definite.
        pointwise: return one term per vector instead of their sum.
    """
    return _NORMAL(y, mu, covariance, pointwise=pointwise)


def multivariate_normal_precision(y: Value, mu: Value, precision: Value, *, pointwise: bool = False) -> Any:
    """Multivariate normal by the inverse of its covariance matrix.

    Args:
        y: value, shape (..., K).
        mu: mean, shape (..., K) or a number.
        precision: inverse covariance matrix, shape (..., K, K), symmetric positive definite.
        pointwise: return one term per vector instead of their sum.
    """
    return _NORMAL_PRECISION(y, mu, precision, pointwise=pointwise)


def multivariate_normal_cholesky(y: Value, mu: Value, cholesky: Value, *, pointwise: bool = False) -> Any:
    """Multivariate normal by the Cholesky factor of its covariance matrix; the cheapest form.

    Args:
        y: value, shape (..., K).
        mu: mean, shape (..., K) or a number.
        cholesky: lower triangular L with covariance L L^T, shape (..., K, K), positive diagonal.
        pointwise: return one term per vector instead of their sum.
    """
    return _NORMAL_CHOLESKY(y, mu, cholesky, pointwise=pointwise)


def multivariate_student_t_cholesky(y: Value, nu: Value, mu: Value, cholesky: Value, *, pointwise: bool = False) -> Any:
    """Multivariate Student's t by the Cholesky factor of its scale matrix.

    Args:
        y: value, shape (..., K).
        nu: degrees of freedom, > 0.
        mu: location, shape (..., K) or a number.
        cholesky: lower triangular L with scale matrix L L^T, shape (..., K, K), positive diagonal.
        pointwise: return one term per vector instead of their sum.
    """
    return _STUDENT_T_CHOLESKY(y, nu, mu, cholesky, pointwise=pointwise)


def lkj(y: Value, eta: Value, *, pointwise: bool = False) -> Any:
    """LKJ law of a correlation matrix: density proportional to det(y)^(eta - 1), normalised.

    Args:
        y: correlation matrix, shape (..., K, K) (support `Correlation`).
        eta: shape, > 0; 1 is uniform, larger values concentrate at the identity.
        pointwise: return one term per matrix instead of their sum.
    """
    return _LKJ(y, eta, pointwise=pointwise)


def lkj_cholesky(y: Value, eta: Value, *, pointwise: bool = False) -> Any:
    """Law of the Cholesky factor of an LKJ(eta) correlation matrix (Stan's lkj_corr_cholesky), normalised.

    Args:
        y: Cholesky factor, shape (..., K, K) (support `CholeskyCorr`).
        eta: shape, > 0; 1 is uniform over correlation matrices.
        pointwise: return one term per matrix instead of their sum.
    """
    return _LKJ_CHOLESKY(y, eta, pointwise=pointwise)


def wishart(y: Value, nu: Value, scale: Value, *, pointwise: bool = False) -> Any:
    """Wishart with mean nu * scale.

    Args:
        y: symmetric positive definite matrix, shape (..., K, K).
        nu: degrees of freedom, > K - 1.
        scale: scale matrix, shape (..., K, K), symmetric positive definite.
        pointwise: return one term per matrix instead of their sum.
    """
    return _WISHART(y, nu, scale, pointwise=pointwise)


def inverse_wishart(y: Value, nu: Value, scale: Value, *, pointwise: bool = False) -> Any:
    """Inverse Wishart with mean scale / (nu - K - 1) for nu > K + 1.

    Args:
        y: symmetric positive definite matrix, shape (..., K, K).
        nu: degrees of freedom, > K - 1.
        scale: scale matrix, shape (..., K, K), symmetric positive definite.
        pointwise: return one term per matrix instead of their sum.
    """
    return _INVERSE_WISHART(y, nu, scale, pointwise=pointwise)


def gaussian_random_walk(y: Value, sigma: Value, *, pointwise: bool = False) -> Any:
    """Random walk from 0 with normal steps: y[0] and y[t] - y[t - 1] are Normal(0, sigma).

    Args:
        y: path, shape (..., T).
        sigma: standard deviation of a step, > 0.
        pointwise: return one term per path instead of their sum.
    """
    return _GAUSSIAN_RANDOM_WALK(y, sigma, pointwise=pointwise)
