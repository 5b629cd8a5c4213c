"""What the log densities are called elsewhere, so that a name from there is answered with the one from here."""

import difflib
import re
from collections.abc import Iterable, Mapping

ELSEWHERE: Mapping[str, tuple[str, str, str, str]] = {
    "asymmetric_laplace": ("", "AsymmetricLaplace", "AsymmetricLaplace", "laplace_asymmetric"),
    "bernoulli": ("bernoulli", "BernoulliProbs", "Bernoulli", "bernoulli"),
    "bernoulli_logit": ("bernoulli_logit", "BernoulliLogits", "Bernoulli", ""),
    "beta": ("beta", "Beta", "Beta", "beta"),
    "beta_binomial": ("beta_binomial", "BetaBinomial", "BetaBinomial", "betabinom"),
    "beta_proportion": ("beta_proportion", "BetaProportion", "Beta", ""),
    "binomial": ("binomial", "BinomialProbs", "Binomial", "binom"),
    "binomial_logit": ("binomial_logit", "BinomialLogits", "Binomial", ""),
    "categorical": ("categorical", "CategoricalProbs", "Categorical", ""),
    "categorical_logit": ("categorical_logit", "CategoricalLogits", "Categorical", ""),
    "cauchy": ("cauchy", "Cauchy", "Cauchy", "cauchy"),
    "chi_square": ("chi_square", "Chi2", "ChiSquared", "chi2"),
    "dirichlet": ("dirichlet", "Dirichlet", "Dirichlet", "dirichlet"),
    "dirichlet_multinomial": ("dirichlet_multinomial", "DirichletMultinomial", "DirichletMultinomial", ""),
    "discrete_uniform": ("discrete_range", "DiscreteUniform", "DiscreteUniform", "randint"),
    "exp_mod_normal": ("exp_mod_normal", "", "ExGaussian", "exponnorm"),
    "exponential": ("exponential", "Exponential", "Exponential", "expon"),
    "frechet": ("frechet", "", "", "invweibull"),
    "gamma": ("gamma", "Gamma", "Gamma", "gamma"),
    "gaussian_random_walk": ("", "GaussianRandomWalk", "GaussianRandomWalk", ""),
    "geometric": ("", "GeometricProbs", "Geometric", "geom"),
    "gompertz": ("", "Gompertz", "", "gompertz"),
    "gumbel": ("gumbel", "Gumbel", "Gumbel", "gumbel_r"),
    "half_cauchy": ("cauchy", "HalfCauchy", "HalfCauchy", "halfcauchy"),
    "half_normal": ("normal", "HalfNormal", "HalfNormal", "halfnorm"),
    "half_student_t": ("student_t", "HalfStudentT", "HalfStudentT", ""),
    "hurdle_poisson": ("", "", "HurdlePoisson", ""),
    "inverse_chi_square": ("inv_chi_square", "", "", ""),
    "inverse_gamma": ("inv_gamma", "InverseGamma", "InverseGamma", "invgamma"),
    "inverse_wishart": ("inv_wishart", "InverseWishart", "", "invwishart"),
    "kumaraswamy": ("", "Kumaraswamy", "Kumaraswamy", ""),
    "laplace": ("double_exponential", "Laplace", "Laplace", "laplace"),
    "lkj": ("lkj_corr", "LKJ", "LKJCorr", ""),
    "lkj_cholesky": ("lkj_corr_cholesky", "LKJCholesky", "LKJCholeskyCov", ""),
    "log_logistic": ("loglogistic", "", "", "fisk"),
    "log_uniform": ("", "LogUniform", "", "loguniform"),
    "logistic": ("logistic", "Logistic", "Logistic", "logistic"),
    "lognormal": ("lognormal", "LogNormal", "LogNormal", "lognorm"),
    "multinomial": ("multinomial", "MultinomialProbs", "Multinomial", "multinomial"),
    "multinomial_logit": ("multinomial_logit", "MultinomialLogits", "", ""),
    "multivariate_normal": ("multi_normal", "MultivariateNormal", "MvNormal", "multivariate_normal"),
    "multivariate_normal_cholesky": ("multi_normal_cholesky", "MultivariateNormal", "MvNormal", ""),
    "multivariate_normal_precision": ("multi_normal_prec", "MultivariateNormal", "MvNormal", ""),
    "multivariate_student_t_cholesky": ("multi_student_t_cholesky", "MultivariateStudentT", "MvStudentT", ""),
    "negative_binomial": ("neg_binomial_2", "NegativeBinomial2", "NegativeBinomial", "nbinom"),
    "negative_binomial_log": ("neg_binomial_2_log", "", "", ""),
    "normal": ("normal", "Normal", "Normal", "norm"),
    "ordered_logistic": ("ordered_logistic", "OrderedLogistic", "OrderedLogistic", ""),
    "pareto": ("pareto", "Pareto", "Pareto", "pareto"),
    "pareto_type_2": ("pareto_type_2", "Lomax", "", "lomax"),
    "poisson": ("poisson", "Poisson", "Poisson", "poisson"),
    "poisson_log": ("poisson_log", "Poisson", "", ""),
    "rayleigh": ("rayleigh", "", "", "rayleigh"),
    "scaled_inverse_chi_square": ("scaled_inv_chi_square", "", "", ""),
    "skew_normal": ("skew_normal", "", "SkewNormal", "skewnorm"),
    "student_t": ("student_t", "StudentT", "StudentT", "t"),
    "truncated": ("", "TruncatedNormal", "Truncated", "truncnorm"),
    "uniform": ("uniform", "Uniform", "Uniform", "uniform"),
    "von_mises": ("von_mises", "VonMises", "VonMises", "vonmises"),
    "weibull": ("weibull", "Weibull", "Weibull", "weibull_min"),
    "wishart": ("wishart", "Wishart", "Wishart", "wishart"),
    "zero_inflated_negative_binomial": ("", "ZeroInflatedNegativeBinomial2", "ZeroInflatedNegativeBinomial", ""),
    "zero_inflated_poisson": ("", "ZeroInflatedPoisson", "ZeroInflatedPoisson", ""),
}
"""Names in Stan, NumPyro, PyMC and `scipy.stats`; parameters may differ (scales for rates, say)."""

OTHER_WORDS = {
    "neg_binomial": "negative_binomial",
    "cauchy_half": "half_cauchy",
    "gaussian": "normal",
    "truncated_normal": "truncated",
    "truncated_cauchy": "truncated",
}
ENDINGS = re.compile(r"_(lpdf|lpmf|lupdf|lupmf|logpdf|logpmf|pdf|pmf|log_prob|logp)$")


def meant(name: str, known: Iterable[str]) -> list[str]:
    """The names from here that someone may mean who writes `name`, likeliest first."""
    known = list(known)
    bare = ENDINGS.sub("", name)
    asked = {bare.lower(), re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", bare).lower()}
    same = [ours for ours in known if ours in asked and ours != name]
    elsewhere = [ours for ours, theirs in ELSEWHERE.items() if {bare, *asked} & {t for t in theirs if t}]
    elsewhere += [ours for ours, theirs in ELSEWHERE.items() if asked & {t.lower() for t in theirs if t}]
    others = [OTHER_WORDS[word] for word in asked if word in OTHER_WORDS]
    found = list(dict.fromkeys(n for n in (*same, *elsewhere, *others) if n in known))
    return found[:4] or difflib.get_close_matches(max(asked, key=len), known, n=3, cutoff=0.6)
