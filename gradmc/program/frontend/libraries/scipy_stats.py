"""scipy.stats on traced values: log densities, distribution functions and their inverses, frozen laws too.

Log densities that JAX has, or that keep more digits in `densities`, stay as they are. All else is scipy's own formula
of the standard law, compiled along like a function of the user's (`FOLLOWED`), and moved by loc and scale as scipy
does. What scipy itself computes by numerical integration or differentiation has no formula and is refused.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import jax.scipy.stats
import numpy as np
import scipy.stats as stats
from jax.scipy.special import gammaln, xlog1py, xlogy
from scipy._external.array_api_extra import apply_where
from scipy._lib._array_api import xp_promote
from scipy._lib._util import _lazyselect
from scipy.stats._distn_infrastructure import _isintegral, rv_continuous, rv_discrete, rv_frozen, rv_generic

from gradmc.errors import ProgramError
from gradmc.lpdf._special import log1mexp, log_beta, log_ndtr
from gradmc.program.frontend import user_line
from gradmc.program.frontend.densities import log_density
from gradmc.program.frontend.evaluation import Evaluation
from gradmc.program.frontend.libraries import descriptive, incomplete, scipy_multivariate, scipy_special
from gradmc.program.frontend.libraries.arrays import real
from gradmc.program.frontend.libraries.evaluated import Evaluated
from gradmc.program.frontend.libraries.functions import compiled
from gradmc.program.frontend.libraries.unsupported import random_refused

FOLLOWED = frozenset(["scipy.stats._continuous_distns", "scipy.stats._discrete_distns", "scipy.stats._constants"])
"""Modules whose functions are compiled along."""

LOG_DENSITIES = ("logpdf", "logpmf", "pdf", "pmf")
NUMERICAL = frozenset(["_pdf", "_logpdf", "_cdf", "_logcdf", "_sf", "_logsf", "_ppf", "_isf", "_pmf", "_logpmf"])
"""Methods of standard laws; where a law does not define them, they come from another one (`FROM`)."""

FROM: dict[str, tuple[tuple[str, Callable[[Any], Any]], ...]] = {
    "_logpdf": (("_pdf", jnp.log),),
    "_pdf": (("_logpdf", jnp.exp),),
    "_logpmf": (("_pmf", jnp.log),),
    "_pmf": (("_logpmf", jnp.exp),),
    "_logcdf": (("_cdf", jnp.log), ("_sf", lambda p: jnp.log1p(-p))),
    "_cdf": (("_logcdf", jnp.exp), ("_sf", lambda p: 1.0 - p), ("_logsf", lambda p: -jnp.expm1(p))),
    "_logsf": (("_sf", jnp.log), ("_cdf", lambda p: jnp.log1p(-p))),
    "_sf": (("_logsf", jnp.exp), ("_cdf", lambda p: 1.0 - p), ("_logcdf", lambda p: -jnp.expm1(p))),
}
ALL = "cdf logcdf sf logsf ppf isf"
OF_PROBABILITY = {"_ppf": "_isf", "_isf": "_ppf"}
"""The method that gives another one's value at 1 - q."""


def standard(ev: Evaluation, law: Any, name: str, x: Any, shapes: tuple, *, inherited: bool = False) -> Any:
    """A method of the standard law (loc 0, scale 1), by the law's own formula or from another method.

    Args:
        law: a law of scipy.
        name: of the method, "_cdf" and the like.
        x: arguments.
        shapes: shape parameters.
        inherited: whether to leave out the law's own formula, which has called the method it inherits.
    """
    own = OWN.get((type(law), name))
    if own is not None:
        return own(x, *shapes)
    if name in OF_PROBABILITY and type(law) in INVERTED:
        return _inverted(ev, law, name)(*shapes, x)
    if _defines(law, name) and not inherited:
        formula = getattr(law, name)
        found = _followed(ev, formula, x if jnp.ndim(x) else x[None], *shapes)
        return found if jnp.ndim(x) else found.reshape(x.shape)
    for other, made in FROM.get(name, ()):
        if (type(law), other) in OWN or _defines(law, other):
            return made(standard(ev, law, other, x, shapes))
    if name in OF_PROBABILITY and _defines(law, OF_PROBABILITY[name]):
        return standard(ev, law, OF_PROBABILITY[name], 1.0 - x, shapes)
    if name in OF_PROBABILITY and isinstance(law, rv_continuous):
        return _inverted(ev, law, name)(*shapes, x)
    raise ProgramError(
        f"scipy.stats.{law.name}.{name.removeprefix('_')} has no formula that could be differentiated",
        location=user_line.here(),
        remedy="Write the law's formula, or give a function of your own to gm.external, with its gradient.",
    )


NOT_FOLLOWED: dict[str, str] = {
    **dict.fromkeys(["bernoulli", "binom", "nbinom", "poisson", "rdist", "semicircular"], "ppf isf"),
    **dict.fromkeys(["cosine", "genhyperbolic", "geninvgauss", "ncx2", "rice", "skewnorm"], ALL),
    **dict.fromkeys(["vonmises", "vonmises_line", "hypergeom", "skellam", "poisson_binom", "pearson3"], ALL),
    **dict.fromkeys(["irwinhall", "kappa4", "ksone", "kstwo", "kstwobign", "landau", "ncf", "nct"], f"logpdf {ALL}"),
    **dict.fromkeys(["studentized_range", "tukeylambda"], f"logpdf {ALL}"),
    **dict.fromkeys(["nchypergeom_fisher", "nchypergeom_wallenius", "zipfian", "poisson_binom"], f"logpmf {ALL}"),
    "dpareto_lognorm": "sf logsf isf",
    "kappa3": "sf logsf",
    "truncnorm": "isf",
}
"""Methods of laws that have formulas of scipy's which cannot be compiled."""


def has_formula(law: Any, name: str) -> bool:
    """Whether a method of a law, "logpdf" and the like, takes traced values."""
    if name in NOT_FOLLOWED.get(law.name, "").split():
        return False
    if name in LOG_DENSITIES and _density(law, name) is not None:
        return True
    private = f"_{name}"
    places = [private, *(other for other, _ in FROM.get(private, ()))]
    if private in OF_PROBABILITY:
        if type(law) in INVERTED or isinstance(law, rv_continuous):
            return has_formula(law, "cdf" if name == "ppf" else "sf")
        places.append(OF_PROBABILITY[private])
    return any((type(law), place) in OWN or _defines(law, place) for place in places)


def _followed(ev: Evaluation, function: Any, *args: Any) -> Any:
    """What a function of scipy's in Python returns, compiled along."""
    return ev.present(ev.call(function, *args))


def _inverted(ev: Evaluation, law: Any, name: str) -> Callable[..., Any]:
    """A quantile: scipy's own, with the derivative that the distribution function has by implicit differentiation."""
    forward = "_cdf" if name == "_ppf" else "_sf"

    def value(*args: Any) -> Any:
        return getattr(law, name.removeprefix("_"))(args[-1], *args[:-1])

    def inverse(*args: Any) -> Any:
        given = jnp.broadcast_arrays(*map(real, args))
        distribution = compiled(ev, lambda *a: standard(ev, law, forward, a[-1], a[:-1]), *given)
        return incomplete.inverse(value, distribution)(*given)

    return inverse


def _defines(law: Any, name: str) -> bool:
    """Whether a law has a formula of its own for a method."""
    module = getattr(type(law), name).__module__
    return module in FOLLOWED or not module.startswith("scipy.")


def _support(ev: Evaluation, law: Any, shapes: tuple) -> tuple[Any, Any]:
    if type(law) is type(stats.pearson3):  # its formula knows where it ends
        low, high = -np.inf, np.inf
    elif _defines(law, "_get_support"):
        low, high = _followed(ev, law._get_support, *shapes)
    else:
        low, high = law.a, law.b
    return real(low), real(high)


def _allowed(ev: Evaluation, law: Any, shapes: tuple) -> Any:
    if _defines(law, "_argcheck") and type(law) is not type(stats.erlang):  # it warns of shapes between integers
        return _followed(ev, law._argcheck, *shapes)
    return functools.reduce(jnp.logical_and, (s > 0 for s in shapes), jnp.asarray(True))


def _within(low: Any, high: Any) -> Any:
    """A number in the support."""
    below, above = jnp.isfinite(low), jnp.isfinite(high)
    inner = jnp.where(above, 0.5 * (low + jnp.where(above, high, 0.0)), low + 1.0)
    return jnp.where(below, inner, jnp.where(above, high - 1.0, 0.0))


def of_law(ev: Evaluation, law: Any, name: str, *given: Any, **options: Any) -> Any:
    """A method of a law at traced values, parameters as scipy takes them."""
    x = options.pop("q" if name in ("ppf", "isf") else "k" if "k" in options else "x", None)
    x, args = (given[0], given[1:]) if x is None else (x, given)
    shapes, loc, scale = law._parse_args(*args, **options)
    shapes, x, loc, scale = tuple(map(real, shapes)), real(x), real(loc), real(scale)
    found = _density(law, name) if name in LOG_DENSITIES else None
    if found is not None:
        return found(x, *shapes, loc) if name in ("logpmf", "pmf") else found(x, *shapes, loc, scale)
    allowed = jnp.logical_and(_allowed(ev, law, shapes), scale > 0)
    if name in ("ppf", "isf"):
        inside = (x > 0) & (x < 1)
        low, high = _support(ev, law, shapes)
        ends = (low, high) if name == "ppf" else (high, low)
        found = standard(ev, law, f"_{name}", jnp.where(inside, x, 0.5), shapes)
        at_ends = jnp.where(x == 0, ends[0], jnp.where(x == 1, ends[1], jnp.nan))
        return jnp.where(allowed, jnp.where(inside, found, at_ends) * scale + loc, jnp.nan)
    y = (x - loc) / scale
    low, high = _support(ev, law, shapes)
    if isinstance(law, rv_discrete):
        return _discrete(ev, law, name, y, low, high, shapes, allowed)
    inside = (y >= low) & (y <= high) if name in LOG_DENSITIES else (y > low) & (y < high)
    safe = jnp.where(inside, y, _within(low, high))
    found = standard(ev, law, f"_{name}", safe, shapes)
    if name in LOG_DENSITIES:
        found = found - jnp.log(scale) if name == "logpdf" else found / scale
    outside = _beyond(name, y >= high)
    return jnp.where(allowed, jnp.where(inside, found, outside), jnp.nan)


SUMMARIES = frozenset(["mean", "var", "std", "median", "entropy", "interval", "support"])
"""What a law is, and not at which place."""


def summary(ev: Evaluation, law: Any, name: str, *given: Any, **options: Any) -> Any:
    """The mean, variance or the like of a law, parameters as scipy takes them."""
    level = options.pop("confidence", None)
    if name == "interval" and level is None:
        level, *given = given  # type: ignore[assignment]
    shapes, loc, scale = law._parse_args(*given, **options)
    shapes, loc, scale = tuple(map(real, shapes)), real(loc), real(scale)
    allowed = jnp.logical_and(_allowed(ev, law, shapes), scale > 0)
    match name:
        case "median" | "interval":
            tails = (0.5,) if level is None else (0.5 * (1.0 - level), 0.5 * (1.0 + level))
            found = tuple(of_law(ev, law, "ppf", p, *given, **options) for p in tails)
            return found if level is not None else found[0]
        case "support":
            return tuple(jnp.where(allowed, scale * end + loc, jnp.nan) for end in _support(ev, law, shapes))
        case "entropy":
            value = _formula(ev, law, "_entropy", shapes) + (jnp.log(scale) if isinstance(law, rv_continuous) else 0.0)
        case "mean":
            value = loc + scale * _moment(ev, law, 0, shapes)
        case _:
            variance = scale * scale * _moment(ev, law, 1, shapes)
            value = variance if name == "var" else jnp.sqrt(variance)
    return jnp.where(allowed, value, jnp.nan)


def _moment(ev: Evaluation, law: Any, k: int, shapes: tuple) -> Any:
    """Mean (0) or variance (1) of the standard law."""
    found = (_formula(ev, law, "_stats", shapes) if _defines(law, "_stats") else (None, None))[k]
    if found is not None:
        return real(found)
    first = _formula(ev, law, "_munp", (1, *shapes))
    return first if k == 0 else _formula(ev, law, "_munp", (2, *shapes)) - first * first


def _formula(ev: Evaluation, law: Any, name: str, args: tuple) -> Any:
    if not _defines(law, name):
        told = {"_entropy": "entropy"}.get(name, "mean and variance")
        raise ProgramError(
            f"scipy.stats.{law.name} has no formula for its {told}",
            location=user_line.here(),
            remedy="Write the formula, or give a function of your own to gm.external, with its gradient.",
        )
    return _followed(ev, getattr(law, name), *args)


def _beyond(name: str, above: Any) -> Any:
    """A method outside of the support."""
    match name:
        case "logpdf" | "logpmf":
            return -np.inf
        case "pdf" | "pmf":
            return 0.0
        case "cdf":
            return jnp.where(above, 1.0, 0.0)
        case "sf":
            return jnp.where(above, 0.0, 1.0)
        case "logcdf":
            return jnp.where(above, 0.0, -np.inf)
    return jnp.where(above, -np.inf, 0.0)


def _discrete(ev: Evaluation, law: Any, name: str, k: Any, low: Any, high: Any, shapes: tuple, allowed: Any) -> Any:
    if name in LOG_DENSITIES:
        inside = (k >= low) & (k <= high) & (k == jnp.floor(k))
        above: Any = False
    else:
        k = jnp.floor(k)
        inside, above = (k >= low) & (k < high), k >= high
    safe = jnp.where(inside, k, jnp.where(jnp.isfinite(low), low, 0.0))
    found = standard(ev, law, f"_{name}", safe, shapes)
    return jnp.where(allowed, jnp.where(inside, found, _beyond(name, above)), jnp.nan)


def _density(law: Any, name: str) -> Callable[..., Any] | None:
    """A log density that is better than scipy's formula, or its exponential."""
    log = name if name.startswith("log") else f"log{name}"
    if type(getattr(stats, law.name, None)) is not type(law):
        return None
    found = log_density(law.name, log) or getattr(getattr(jax.scipy.stats, law.name, None), log, None)
    if found is None or law.name in BETTER_IN_SCIPY:
        return None
    return found if log == name else lambda *args: jnp.exp(found(*args))


BETTER_IN_SCIPY = frozenset(["nbinom", "wrapcauchy", "vonmises", "gennorm", "t", "geom"])
"""Laws whose log density in JAX has other arguments, fewer digits or no derivative in some of them."""

METHOD_NAMES = frozenset(["logpdf", "logpmf", "pdf", "pmf", "cdf", "logcdf", "sf", "logsf", "ppf", "isf"])


def _method(law: Any, method: Any) -> Callable[..., Any] | Evaluated | None:
    name = method.__name__
    if name in METHOD_NAMES:
        return Evaluated(lambda ev, *args, **options: of_law(ev, law, name, *args, **options))
    if name in SUMMARIES:
        return Evaluated(lambda ev, *args, **options: summary(ev, law, name, *args, **options))
    if name in NUMERICAL:
        inherited = method.__module__ == rv_generic.__module__
        return Evaluated(
            lambda ev, x, *shapes: standard(ev, law, name, real(x), tuple(map(real, shapes)), inherited=inherited)
        )
    if name == "_get_support":
        return lambda *shapes: (law.a, law.b)
    return None


class Frozen:
    """A law with parameters, which may be traced."""

    def __init__(self, ev: Evaluation, law: Any, args: tuple, options: dict[str, Any]) -> None:
        self.ev = ev
        self.dist, self.args, self.kwds = law, args, options

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return _of_frozen(self.ev, self, name)


def _of_frozen(ev: Evaluation, frozen: Any, name: str) -> Callable[..., Any]:
    """A method of a law with parameters."""
    law, given, options = frozen.dist, frozen.args, frozen.kwds
    if name in METHOD_NAMES:
        return lambda x: of_law(ev, law, name, x, *given, **options)
    if name == "interval":
        return lambda confidence: summary(ev, law, name, *given, confidence=confidence, **options)
    if name in SUMMARIES:
        return lambda: summary(ev, law, name, *given, **options)
    if name == "rvs":
        raise random_refused()
    raise ProgramError(
        f"scipy.stats.{law.name}(...).{name} with parameters in it is not compiled",
        location=user_line.here(),
        remedy=f"These are: {', '.join(sorted(METHOD_NAMES | SUMMARIES))}.",
    )


def _frozen_method(frozen: Any, method: Any) -> Evaluated | None:
    name = method.__name__
    if name not in METHOD_NAMES | SUMMARIES:
        return None
    return Evaluated(lambda ev, *args, **options: _of_frozen(ev, frozen, name)(*args, **options))


def _frozen(law: Any) -> Evaluated:
    return Evaluated(lambda ev, *args, **options: Frozen(ev, law, args, options))


# --- laws whose methods call compiled code ---------------------------------------------------------


def _binom_logpmf(k: Any, n: Any, p: Any) -> Any:
    return -jnp.log1p(n) - log_beta(n - k + 1.0, k + 1.0) + xlogy(k, p) + xlog1py(n - k, -p)


def _pearson3_logpdf(x: Any, skew: Any) -> Any:
    """A gamma law of shape 4 / skew**2, turned where the skewness is negative; a normal law at 0."""
    x, skew = jnp.broadcast_arrays(x, skew)
    straight = jnp.abs(skew) < STRAIGHT
    rate = 2.0 / jnp.where(straight, 1.0, skew)
    shape, y = rate * rate, rate * (x + rate)
    inside = y > 0
    log = jnp.log(jnp.where(inside, y, 1.0))
    gamma = jnp.log(jnp.abs(rate)) + (shape - 1.0) * log - y - gammaln(shape)
    normal = -0.5 * (x * x + np.log(2.0 * np.pi))
    return jnp.where(straight, normal, jnp.where(inside, gamma, -np.inf))


STRAIGHT = 1.6e-5
"""The skewness below which scipy takes Pearson's third law for a normal one."""


def _nbinom_logpmf(k: Any, n: Any, p: Any) -> Any:
    return gammaln(n + k) - gammaln(k + 1.0) - gammaln(n) + n * jnp.log(p) + xlog1py(k, -p)


def _hypergeom_logpmf(k: Any, M: Any, n: Any, N: Any) -> Any:
    def choose(a: Any, b: Any) -> Any:
        return -jnp.log1p(a) - log_beta(a - b + 1.0, b + 1.0)

    return choose(n, k) + choose(M - n, N - k) - choose(M, N)


def _beta_logpdf(x: Any, a: Any, b: Any) -> Any:
    return xlogy(a - 1.0, x) + xlog1py(b - 1.0, -x) - log_beta(a, b)


def _special(name: str) -> Callable[..., Any]:
    return scipy_special.TABLE[getattr(scipy_special.sp, name)]


def _reordered(name: str, *order: int) -> Callable[..., Any]:
    """A function of scipy.special as a method whose arguments come in another order."""
    function = _special(name)
    return lambda *args: function(*(args[k] for k in order))


def _t_logpdf(x: Any, df: Any) -> Any:
    rest = jnp.log1p(x * x / df) * (0.5 * (df + 1.0))
    return -log_beta(0.5 * df, 0.5) - 0.5 * jnp.log(df) - rest


def _geom_logpmf(k: Any, p: Any) -> Any:
    return xlog1py(k - 1.0, -p) + jnp.log(p)


def _log_mass(a: Any, b: Any) -> Any:
    """log of the normal mass between a < b, taken in the left tail."""
    right = a > 0
    a, b = jnp.where(right, -b, a), jnp.where(right, -a, b)
    upper = log_ndtr(b)
    return upper + log1mexp(jnp.minimum(log_ndtr(a) - upper, -1e-300))


def _truncnorm_ppf(q: Any, a: Any, b: Any) -> Any:
    right = a > 0
    p = jnp.where(right, 1.0 - q, q)
    a, b = jnp.where(right, -b, a), jnp.where(right, -a, b)
    found = _special("ndtri_exp")(jnp.logaddexp(log_ndtr(a), jnp.log(p) + _log_mass(a, b)))
    return jnp.where(right, -found, found)


def _geninvgauss_logpdf(x: Any, p: Any, b: Any) -> Any:
    return (p - 1.0) * jnp.log(x) - 0.5 * b * (x + 1.0 / x) - np.log(2.0) - (_log_kve(p, b) - b)


def _genhyperbolic_logpdf(x: Any, p: Any, a: Any, b: Any) -> Any:
    t, s = (a + b) * (a - b), jnp.hypot(1.0, x)
    norm = 0.5 * p * jnp.log(t) - 0.5 * np.log(2 * np.pi) - (p - 0.5) * jnp.log(a)
    norm = norm - (_log_kve(p, jnp.sqrt(t)) - jnp.sqrt(t))
    return norm + _log_kve(p - 0.5, a * s) - a * s + b * x + (p - 0.5) * jnp.log(s)


def _log_kve(v: Any, x: Any) -> Any:
    return jnp.log(_special("kve")(v, x))


def _ncx2_logpdf(x: Any, df: Any, nc: Any) -> Any:
    half, root = 0.5 * df - 1.0, jnp.sqrt(x * nc)
    size = 0.5 * (jnp.sqrt(x) - jnp.sqrt(nc)) ** 2
    return np.log(0.5) + 0.5 * half * jnp.log(x / nc) - size + jnp.log(_special("ive")(half, root))


def _skellam_logpmf(k: Any, mu1: Any, mu2: Any) -> Any:
    size = (jnp.sqrt(mu1) - jnp.sqrt(mu2)) ** 2
    return 0.5 * k * jnp.log(mu1 / mu2) - size + jnp.log(_special("ive")(jnp.abs(k), 2.0 * jnp.sqrt(mu1 * mu2)))


INVERTED = frozenset(map(type, [stats.betaprime, stats.invgauss, stats.argus, stats.norminvgauss, stats.wald]))
"""Laws whose quantiles are compiled code or the solution of an equation."""

OWN: dict[tuple[type, str], Callable[..., Any]] = {
    (type(stats.binom), "_logpmf"): _binom_logpmf,
    (type(stats.binom), "_cdf"): _special("bdtr"),
    (type(stats.binom), "_sf"): _special("bdtrc"),
    (type(stats.nbinom), "_logpmf"): _nbinom_logpmf,
    (type(stats.nbinom), "_cdf"): _special("nbdtr"),
    (type(stats.nbinom), "_sf"): _special("nbdtrc"),
    (type(stats.geom), "_logpmf"): _geom_logpmf,
    (type(stats.pearson3), "_logpdf"): _pearson3_logpdf,
    (type(stats.cauchy), "_ppf"): lambda q: jnp.tan(np.pi * (q - 0.5)),
    (type(stats.cauchy), "_isf"): lambda q: jnp.tan(np.pi * (0.5 - q)),
    (type(stats.hypergeom), "_logpmf"): _hypergeom_logpmf,
    (type(stats.beta), "_logpdf"): _beta_logpdf,
    (type(stats.beta), "_cdf"): _reordered("betainc", 1, 2, 0),
    (type(stats.beta), "_sf"): _reordered("betaincc", 1, 2, 0),
    (type(stats.beta), "_ppf"): _reordered("betaincinv", 1, 2, 0),
    (type(stats.beta), "_isf"): _reordered("betainccinv", 1, 2, 0),
    (type(stats.t), "_logpdf"): _t_logpdf,
    (type(stats.t), "_cdf"): _reordered("stdtr", 1, 0),
    (type(stats.t), "_sf"): lambda x, df: _special("stdtr")(df, -x),
    (type(stats.t), "_ppf"): _reordered("stdtrit", 1, 0),
    (type(stats.t), "_isf"): lambda q, df: -_special("stdtrit")(df, q),
    (type(stats.geninvgauss), "_logpdf"): _geninvgauss_logpdf,
    (type(stats.genhyperbolic), "_logpdf"): _genhyperbolic_logpdf,
    (type(stats.ncx2), "_logpdf"): _ncx2_logpdf,
    (type(stats.skellam), "_logpmf"): _skellam_logpmf,
    (type(stats.zipf), "_logpmf"): lambda k, a: -a * jnp.log(k) - jnp.log(_special("zeta")(a)),
    (type(stats.truncnorm), "_logpdf"): lambda x, a, b: -0.5 * (x * x + np.log(2 * np.pi)) - _log_mass(a, b),
    (type(stats.truncnorm), "_logcdf"): lambda x, a, b: _log_mass(a, x) - _log_mass(a, b),
    (type(stats.truncnorm), "_logsf"): lambda x, a, b: _log_mass(x, b) - _log_mass(a, b),
    (type(stats.truncnorm), "_cdf"): lambda x, a, b: jnp.exp(_log_mass(a, x) - _log_mass(a, b)),
    (type(stats.truncnorm), "_sf"): lambda x, a, b: jnp.exp(_log_mass(x, b) - _log_mass(a, b)),
    (type(stats.truncnorm), "_ppf"): _truncnorm_ppf,
    (type(stats.norm), "_logcdf"): _special("log_ndtr"),
    (type(stats.norm), "_logsf"): lambda x: _special("log_ndtr")(-x),
}
"""Methods of standard laws whose formula in scipy is compiled code or loses digits."""


def _apply_where(
    ev: Evaluation, cond: Any, args: Any, f1: Any, f2: Any = None, *, fill_value: Any = None, **_: Any
) -> Any:
    given = args if isinstance(args, tuple | list) else (args,)
    yes = _followed(ev, f1, *given)
    no = fill_value if f2 is None else _followed(ev, f2, *given)
    return jnp.where(cond, yes, no)


def _lazy_select(ev: Evaluation, conditions: Any, functions: Any, arrays: Any, default: Any = 0) -> Any:
    value = default
    for condition, function in list(zip(conditions, functions, strict=True)):  # a later one that holds counts
        value = jnp.where(condition, _followed(ev, function, *arrays), value)
    return value


def _promoted(*args: Any, broadcast: bool = False, force_floating: bool = False, xp: Any = None) -> tuple[Any, ...]:
    made = [None if a is None else real(a) for a in args]
    shape = jnp.broadcast_shapes(*(a.shape for a in made if a is not None)) if broadcast else ()
    return tuple(jnp.broadcast_to(a, shape) if broadcast and a is not None else a for a in made)


TABLE: dict[Any, Callable[..., Any] | Evaluated] = {
    apply_where: Evaluated(_apply_where),
    _lazyselect: Evaluated(_lazy_select),
    xp_promote: _promoted,
    _isintegral: lambda x: x == jnp.round(x),
    **scipy_multivariate.TABLE,
    **descriptive.TABLE,
}
OBJECTS: dict[type, Callable[[Any], Callable[..., Any] | Evaluated]] = {rv_generic: _frozen}
METHODS: dict[type, Callable[[Any, Any], Callable[..., Any] | Evaluated | None]] = {
    rv_frozen: _frozen_method,
    rv_generic: _method,
    **scipy_multivariate.METHODS,
}
