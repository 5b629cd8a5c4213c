"""Log densities and log masses under the field's names, with the parameters of Stan and posteriordb.

All functions have this in common:

* The value comes first, then the parameters, in the order of Stan's functions. Scales are standard
  deviations, never variances; gamma and exponential take rates, inverse gamma a scale.
* Arguments broadcast against each other as in numpy. The result is the **sum** of the terms, a number to be
  added to a log density; with `pointwise=True` it is the array of terms, one per entry (per vector or matrix
  for multivariate laws), as `gm.observe` wants them.
* Outside the support the result is `-inf`. The normalising constants are included.
* Counts may be integers or floats holding integers. Categories are numbered from 0.
* On Python floats and numpy arrays the evaluation is in float64 and returns a Python float (or a numpy
  array), so a program runs as ordinary Python. On JAX values it returns JAX values in their dtype, and can be
  traced, differentiated and vectorised.

The distributions are numpyro's (`numpyro.distributions`), whose objects can also be used directly in a
program.
"""

from typing import Any

from gradmc.lpdf.bounded import (
    beta,
    beta_proportion,
    kumaraswamy,
    log_uniform,
    uniform,
)
from gradmc.lpdf.categories import (
    categorical,
    categorical_logit,
    dirichlet_multinomial,
    multinomial,
    multinomial_logit,
    ordered_logistic,
)
from gradmc.lpdf.counts import (
    bernoulli,
    bernoulli_logit,
    beta_binomial,
    binomial,
    binomial_logit,
    discrete_uniform,
    geometric,
    hurdle_poisson,
    negative_binomial,
    negative_binomial_log,
    poisson,
    poisson_log,
    zero_inflated_negative_binomial,
    zero_inflated_poisson,
)
from gradmc.lpdf.half_line import (
    chi_square,
    exponential,
    frechet,
    gamma,
    gompertz,
    half_cauchy,
    half_normal,
    half_student_t,
    inverse_chi_square,
    inverse_gamma,
    log_logistic,
    lognormal,
    pareto,
    pareto_type_2,
    rayleigh,
    scaled_inverse_chi_square,
    weibull,
)
from gradmc.lpdf.multivariate import (
    dirichlet,
    gaussian_random_walk,
    inverse_wishart,
    lkj,
    lkj_cholesky,
    multivariate_normal,
    multivariate_normal_cholesky,
    multivariate_normal_precision,
    multivariate_student_t_cholesky,
    wishart,
)
from gradmc.lpdf.names import meant
from gradmc.lpdf.real_line import (
    asymmetric_laplace,
    cauchy,
    exp_mod_normal,
    gumbel,
    laplace,
    logistic,
    normal,
    skew_normal,
    student_t,
    von_mises,
)
from gradmc.lpdf.tail_functions import (
    beta_lccdf,
    beta_lcdf,
    cauchy_lccdf,
    cauchy_lcdf,
    exponential_lccdf,
    exponential_lcdf,
    gamma_lccdf,
    gamma_lcdf,
    gompertz_lccdf,
    gompertz_lcdf,
    gumbel_lccdf,
    gumbel_lcdf,
    inverse_gamma_lccdf,
    inverse_gamma_lcdf,
    laplace_lccdf,
    laplace_lcdf,
    logistic_lccdf,
    logistic_lcdf,
    lognormal_lccdf,
    lognormal_lcdf,
    normal_lccdf,
    normal_lcdf,
    pareto_lccdf,
    pareto_lcdf,
    poisson_lccdf,
    poisson_lcdf,
    student_t_lccdf,
    student_t_lcdf,
    uniform_lccdf,
    uniform_lcdf,
    weibull_lccdf,
    weibull_lcdf,
)
from gradmc.lpdf.truncated import truncated

__all__ = [
    "asymmetric_laplace",
    "bernoulli",
    "bernoulli_logit",
    "beta",
    "beta_binomial",
    "beta_lccdf",
    "beta_lcdf",
    "beta_proportion",
    "binomial",
    "binomial_logit",
    "categorical",
    "categorical_logit",
    "cauchy",
    "cauchy_lccdf",
    "cauchy_lcdf",
    "chi_square",
    "dirichlet",
    "dirichlet_multinomial",
    "discrete_uniform",
    "exp_mod_normal",
    "exponential",
    "exponential_lccdf",
    "exponential_lcdf",
    "frechet",
    "gamma",
    "gamma_lccdf",
    "gamma_lcdf",
    "gaussian_random_walk",
    "geometric",
    "gompertz",
    "gompertz_lccdf",
    "gompertz_lcdf",
    "gumbel",
    "gumbel_lccdf",
    "gumbel_lcdf",
    "half_cauchy",
    "half_normal",
    "half_student_t",
    "hurdle_poisson",
    "inverse_chi_square",
    "inverse_gamma",
    "inverse_gamma_lccdf",
    "inverse_gamma_lcdf",
    "inverse_wishart",
    "kumaraswamy",
    "laplace",
    "laplace_lccdf",
    "laplace_lcdf",
    "lkj",
    "lkj_cholesky",
    "log_logistic",
    "log_uniform",
    "logistic",
    "logistic_lccdf",
    "logistic_lcdf",
    "lognormal",
    "lognormal_lccdf",
    "lognormal_lcdf",
    "multinomial",
    "multinomial_logit",
    "multivariate_normal",
    "multivariate_normal_cholesky",
    "multivariate_normal_precision",
    "multivariate_student_t_cholesky",
    "negative_binomial",
    "negative_binomial_log",
    "normal",
    "normal_lccdf",
    "normal_lcdf",
    "ordered_logistic",
    "pareto",
    "pareto_lccdf",
    "pareto_lcdf",
    "pareto_type_2",
    "poisson",
    "poisson_lccdf",
    "poisson_lcdf",
    "poisson_log",
    "rayleigh",
    "scaled_inverse_chi_square",
    "skew_normal",
    "student_t",
    "student_t_lccdf",
    "student_t_lcdf",
    "truncated",
    "uniform",
    "uniform_lccdf",
    "uniform_lcdf",
    "von_mises",
    "weibull",
    "weibull_lccdf",
    "weibull_lcdf",
    "wishart",
    "zero_inflated_negative_binomial",
    "zero_inflated_poisson",
]


def __getattr__(name: str) -> Any:
    """Answer a name from elsewhere with the one from here."""
    if name.startswith("__"):
        raise AttributeError(name)
    found = meant(name, __all__)
    hint = f"; here that is {' or '.join(found)}" if found else "; docs/distributions.md lists all"
    raise AttributeError(f"gradmc.lpdf has no {name!r}{hint}")
