"""Incomplete gamma and beta functions, the distribution functions made of them, and their inverses.

The functions are those of `gradmc.lpdf._incomplete`, with derivatives in all arguments. The inverses take their values
from scipy and their derivatives from the implicit function theorem: where F(shapes, y) = p,

    dy = (dp - dF/dshapes dshapes) / (dF/dy).
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special as sp

from gradmc.lpdf._incomplete import beta_tail, gamma_tails
from gradmc.lpdf._special import log_ndtr
from gradmc.lpdf.tails import student_t_lower
from gradmc.program.frontend.libraries.arrays import at_once, real
from gradmc.program.frontend.libraries.host import on_host


def gammainc(a: Any, x: Any) -> Any:
    """The regularised lower incomplete gamma function."""
    return _gamma(a, x, 0, 0.0)


def gammaincc(a: Any, x: Any) -> Any:
    """The regularised upper incomplete gamma function."""
    return _gamma(a, x, 1, 1.0)


def _gamma(a: Any, x: Any, side: int, at_zero: float) -> Any:
    a, x = jnp.broadcast_arrays(real(a), real(x))
    inside = (x > 0) & (x < np.inf)
    found = jnp.exp(gamma_tails(a, jnp.where(inside, x, 1.0))[side])
    return jnp.where(inside, found, jnp.where(x == 0, at_zero, jnp.where(x > 0, 1.0 - at_zero, jnp.nan)))


def betainc(a: Any, b: Any, x: Any) -> Any:
    """The regularised incomplete beta function."""
    a, b, x = jnp.broadcast_arrays(real(a), real(b), real(x))
    return _beta(a, b, x, 1.0 - x)


def betaincc(a: Any, b: Any, x: Any) -> Any:
    """1 less the regularised incomplete beta function."""
    a, b, x = jnp.broadcast_arrays(real(a), real(b), real(x))
    return _beta(b, a, 1.0 - x, x)


def _beta(a: Any, b: Any, x: Any, y: Any) -> Any:
    inside = (x > 0) & (y > 0)
    found = jnp.exp(beta_tail(a, b, jnp.where(inside, x, 0.5), jnp.where(inside, y, 0.5)))
    return jnp.where(inside, found, jnp.where(x == 0, 0.0, jnp.where(y == 0, 1.0, jnp.nan)))


def fdtr(dfn: Any, dfd: Any, x: Any) -> Any:
    """The distribution function of the F law."""
    dfn, dfd, x = jnp.broadcast_arrays(real(dfn), real(dfd), real(x))
    whole = dfd + dfn * x
    return jnp.where(x > 0, _beta(0.5 * dfn, 0.5 * dfd, dfn * x / whole, dfd / whole), 0.0)


def fdtrc(dfn: Any, dfd: Any, x: Any) -> Any:
    """1 less the distribution function of the F law."""
    dfn, dfd, x = jnp.broadcast_arrays(real(dfn), real(dfd), real(x))
    whole = dfd + dfn * x
    return jnp.where(x > 0, _beta(0.5 * dfd, 0.5 * dfn, dfd / whole, dfn * x / whole), 1.0)


def stdtr(df: Any, t: Any) -> Any:
    """The distribution function of Student's t."""
    df, t = jnp.broadcast_arrays(real(df), real(t))
    return jnp.exp(student_t_lower(t, df, 0.0, 1.0))


def ndtr(x: Any) -> Any:
    """The distribution function of the normal law."""
    return jax.scipy.special.ndtr(real(x))


def bdtr(k: Any, n: Any, p: Any) -> Any:
    """The distribution function of the binomial law."""
    k, n, p = jnp.broadcast_arrays(jnp.floor(real(k)), real(n), real(p))
    inside = (k >= 0) & (k < n)
    found = betaincc(jnp.where(inside, k, 0.0) + 1.0, jnp.where(inside, n - k, 1.0), p)
    return jnp.where(inside, found, jnp.where(k < 0, 0.0, 1.0))


def bdtrc(k: Any, n: Any, p: Any) -> Any:
    """1 less the distribution function of the binomial law."""
    k, n, p = jnp.broadcast_arrays(jnp.floor(real(k)), real(n), real(p))
    inside = (k >= 0) & (k < n)
    found = betainc(jnp.where(inside, k, 0.0) + 1.0, jnp.where(inside, n - k, 1.0), p)
    return jnp.where(inside, found, jnp.where(k < 0, 1.0, 0.0))


def nbdtr(k: Any, n: Any, p: Any) -> Any:
    """The distribution function of the negative binomial law."""
    k = jnp.floor(real(k))
    return jnp.where(k >= 0, betainc(n, jnp.maximum(k, 0.0) + 1.0, p), 0.0)


def nbdtrc(k: Any, n: Any, p: Any) -> Any:
    """1 less the distribution function of the negative binomial law."""
    k = jnp.floor(real(k))
    return jnp.where(k >= 0, betaincc(n, jnp.maximum(k, 0.0) + 1.0, p), 1.0)


def pdtr(k: Any, m: Any) -> Any:
    """The distribution function of the Poisson law."""
    k = jnp.floor(real(k))
    return jnp.where(k >= 0, gammaincc(jnp.maximum(k, 0.0) + 1.0, m), 0.0)


def pdtrc(k: Any, m: Any) -> Any:
    """1 less the distribution function of the Poisson law."""
    k = jnp.floor(real(k))
    return jnp.where(k >= 0, gammainc(jnp.maximum(k, 0.0) + 1.0, m), 1.0)


def inverse(function: Callable[..., Any], forward: Callable[..., Any], sought: int = -1) -> Callable[..., Any]:
    """The inverse in one argument, the last by default, of a function that is increasing or decreasing in it.

    Args:
        function: scipy's, of the same arguments with the function's value in the place of the one sought.
        forward: the function itself.
        sought: the place of that argument.
    """
    value = on_host(function)

    @jax.custom_jvp
    def call(*args: Any) -> Any:
        return value(*args)

    @call.defjvp
    def jvp(args: Sequence[Any], dots: Sequence[Any]) -> tuple[Any, Any]:
        y = call(*args)
        at = len(args) + sought if sought < 0 else sought

        def moved(x: Any, *others: Any) -> Any:
            return forward(*others[:at], x, *others[at:])

        others, other_dots = ([*v[:at], *v[at + 1 :]] for v in (args, dots))
        _, slope = jax.jvp(lambda x: moved(x, *others), (y,), (jnp.ones_like(y),))
        _, drift = jax.jvp(lambda *o: moved(y, *o), tuple(others), tuple(other_dots)) if others else (0.0, 0.0)
        return y, (dots[at] - drift) / slope

    return at_once(lambda *args: call(*jnp.broadcast_arrays(*args)))


def chdtr(v: Any, x: Any) -> Any:
    """The distribution function of the chi-squared law."""
    return gammainc(0.5 * real(v), 0.5 * real(x))


def chdtrc(v: Any, x: Any) -> Any:
    """1 less the distribution function of the chi-squared law."""
    return gammaincc(0.5 * real(v), 0.5 * real(x))


def _log_ndtr(x: Any) -> Any:
    return log_ndtr(real(x))


TABLE: dict[Any, Callable[..., Any]] = {
    sp.gammainc: at_once(gammainc),
    sp.gammaincc: at_once(gammaincc),
    sp.betainc: at_once(betainc),
    sp.betaincc: at_once(betaincc),
    sp.fdtr: at_once(fdtr),
    sp.fdtrc: at_once(fdtrc),
    sp.stdtr: at_once(stdtr),
    sp.chdtr: at_once(chdtr),
    sp.chdtrc: at_once(chdtrc),
    sp.bdtr: at_once(bdtr),
    sp.bdtrc: at_once(bdtrc),
    sp.nbdtr: at_once(nbdtr),
    sp.nbdtrc: at_once(nbdtrc),
    sp.pdtr: at_once(pdtr),
    sp.pdtrc: at_once(pdtrc),
    sp.gdtr: at_once(lambda a, b, x: gammainc(b, a * x)),
    sp.gdtrc: at_once(lambda a, b, x: gammaincc(b, a * x)),
    sp.log_ndtr: _log_ndtr,
    sp.gammaincinv: inverse(sp.gammaincinv, gammainc),
    sp.gammainccinv: inverse(sp.gammainccinv, gammaincc),
    sp.betaincinv: inverse(sp.betaincinv, betainc),
    sp.betainccinv: inverse(sp.betainccinv, betaincc),
    sp.chdtri: inverse(sp.chdtri, chdtrc),
    sp.fdtri: inverse(sp.fdtri, fdtr),
    sp.stdtrit: inverse(sp.stdtrit, stdtr),
    sp.ndtri_exp: inverse(sp.ndtri_exp, _log_ndtr),
    sp.ndtri: inverse(sp.ndtri, ndtr),
}
