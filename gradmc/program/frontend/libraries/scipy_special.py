"""scipy.special on traced values.

What JAX has and differentiates stays JAX's (`mirrored`). The rest is here, or computed by scipy itself while the
program runs (`host`).
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
import numpy as np
import scipy.special as sp

from gradmc.program.frontend.libraries import bessel, elliptic, hypergeometric, incomplete
from gradmc.program.frontend.libraries.arrays import at_once, real
from gradmc.program.frontend.libraries.host import BY_DIFFERENCES, on_host
from gradmc.program.frontend.libraries.numpy_polynomial import Poly1d, basis
from gradmc.program.frontend.values import CannotRoll, any_traced

EULER_TERMS = 12
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)
HALLEY_STEPS = 12


def zeta(x: Any, q: Any = None) -> Any:
    """Hurwitz's zeta function of q > 0 (Riemann's if q is None), by Euler and Maclaurin's formula (DLMF 25.11.7)."""
    s, q = jnp.broadcast_arrays(real(x), jnp.ones(()) if q is None else real(q))
    pole = s == 1.0
    s = jnp.where(pole, 2.0, s)
    end = q + EULER_TERMS
    total = sum((q + k) ** -s for k in range(EULER_TERMS))
    total = total + end ** (1.0 - s) / (s - 1.0) + 0.5 * end**-s
    term = s * end ** (-s - 1.0)
    for j, number in enumerate(BERNOULLI):
        total = total + number / float(sp.factorial(2 * j + 2)) * term
        term = term * (s + 2 * j + 1) * (s + 2 * j + 2) / (end * end)
    return jnp.where(pole, np.inf, total)


def lambertw(z: Any, k: int = 0, tol: float = 1e-8) -> Any:
    """Lambert's W of real z from -1/e on, as a complex number; k is 0 or -1. NaN elsewhere, where scipy's is complex.

    By Halley's method, from the expansion at the branch point or the logarithm.
    """
    if int(k) not in (0, -1) or jnp.iscomplexobj(z):
        raise NotImplementedError("scipy.special.lambertw of complex numbers, or branches other than 0 and -1")
    z = real(z)
    excess = np.e * z + 1.0
    inside = (excess > 0) & ((z < 0) if k else (z == z))
    safe = jnp.where(inside, z, -0.2)
    return jnp.where(
        inside, at_once(lambda z: _lambert(z, int(k)))(safe), jnp.where(excess == 0, -1.0, jnp.nan)
    ).astype(complex)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _lambert(z: Any, k: int) -> Any:
    p = jnp.sqrt(2.0 * jnp.maximum(np.e * z + 1.0, 0.0))
    sign = -1.0 if k else 1.0
    near = -1.0 + sign * p - p * p / 3.0 + sign * 11.0 / 72.0 * p**3
    if k:
        log = jnp.log(-jnp.where(z < 0, z, -0.1))
        far = log - jnp.log(-log)
        w = jnp.where(z > -0.25, far, near)
    else:
        log = jnp.log(jnp.where(z > 1.0, z, 3.0))
        w = jnp.where(z < -0.25, near, jnp.where(z > 3.0, log - jnp.log(log), jnp.log1p(jnp.maximum(z, -0.9))))
    for _ in range(HALLEY_STEPS):
        e = jnp.exp(w)
        f = w * e - z
        slope = e * (w + 1.0)
        step = f / (slope - (w + 2.0) * f / (2.0 * w + 2.0))
        w = jnp.where(jnp.isfinite(step), w - step, w)
    return w


@_lambert.defjvp
def _lambert_jvp(k: int, primals: Any, tangents: Any) -> tuple[Any, Any]:
    w = _lambert(primals[0], k)
    return w, tangents[0] / (jnp.exp(w) * (1.0 + w))


def voigt_profile(x: Any, sigma: Any, gamma: Any) -> Any:
    """The density of a normal number with standard deviation sigma plus a Cauchy number of half-width gamma."""
    x, sigma, gamma = jnp.broadcast_arrays(real(x), real(sigma), real(gamma))
    smooth = sigma > 0
    scale = jnp.where(smooth, sigma, 1.0) * np.sqrt(2.0)
    normal = jsp.wofz((x + 1j * gamma) / scale).real / (scale * np.sqrt(np.pi))
    cauchy = gamma / (np.pi * (x * x + gamma * gamma))
    return jnp.where(smooth, normal, cauchy)


def inv_boxcox(y: Any, lmbda: Any) -> Any:
    """x where (x^lmbda - 1) / lmbda = y."""
    return jnp.exp(_log_inverse(y, lmbda))


def _log_inverse(y: Any, lmbda: Any) -> Any:
    y, lmbda = jnp.broadcast_arrays(real(y), real(lmbda))
    small = jnp.abs(lmbda * y) < 1e-5
    u, safe = lmbda * y, jnp.where(small, 1.0, lmbda)
    series = y * (1.0 - u * (0.5 - u * (1.0 / 3.0 - 0.25 * u)))
    return jnp.where(small, series, jnp.log1p(jnp.where(small, 0.5, u)) / safe)


def boxcox(x: Any, lmbda: Any) -> Any:
    """(x^lmbda - 1) / lmbda, log x where lmbda is 0."""
    return _expm1_over(jnp.log(real(x)), lmbda)


def _expm1_over(log: Any, lmbda: Any) -> Any:
    log, lmbda = jnp.broadcast_arrays(log, real(lmbda))
    u = lmbda * log
    small = jnp.abs(u) < 1e-5
    series = log * (1.0 + u * (0.5 + u * (1.0 / 6.0 + u / 24.0)))
    return jnp.where(small, series, jnp.expm1(jnp.where(small, 1.0, u)) / jnp.where(small, 1.0, lmbda))


def exprel(x: Any) -> Any:
    """(exp(x) - 1) / x."""
    return _expm1_over(jnp.ones(()), x)


def binom(n: Any, k: Any) -> Any:
    """The binomial coefficient of real n and k, 0 <= k <= n."""
    from gradmc.lpdf._special import log_beta

    n, k = real(n), real(k)
    return jnp.exp(-log_beta(n - k + 1.0, k + 1.0)) / (n + 1.0)


def powm1(x: Any, y: Any) -> Any:
    """x^y - 1."""
    return jnp.expm1(real(y) * jnp.log(real(x)))


def cosm1(x: Any) -> Any:
    """cos(x) - 1."""
    return -2.0 * jnp.sin(0.5 * real(x)) ** 2


def huber(delta: Any, r: Any) -> Any:
    """Huber's loss."""
    delta, r = real(delta), real(r)
    size = jnp.abs(r)
    return jnp.where(size <= delta, 0.5 * r * r, delta * (size - 0.5 * delta))


def pseudo_huber(delta: Any, r: Any) -> Any:
    """The smooth form of Huber's loss."""
    u = (real(r) / delta) ** 2
    return delta * delta * u / (jnp.sqrt(1.0 + u) + 1.0)


def _named(family: str) -> Callable[..., Any]:
    return lambda n, x: basis(family, x, int(n))[-1]


def _by_recurrence(step: Callable[..., tuple[Any, Any, Any]], first: Callable[..., Any]) -> Callable[..., Any]:
    """A family with parameters: P[k + 1] = (a x + b) P[k] - d P[k - 1]."""

    def value(n: Any, *args: Any) -> Any:
        *parameters, x = map(real, args)
        before, now = jnp.ones_like(x), first(*parameters, x)
        if int(n) == 0:
            return before
        for k in range(1, int(n)):
            a, b, d = step(k, *parameters)
            before, now = now, (a * x + b) * now - d * before
        return now

    return value


def _jacobi_step(k: int, a: Any, b: Any) -> tuple[Any, Any, Any]:
    n, c = k + 1, 2 * (k + 1) + a + b
    scale = 2 * n * (n + a + b) * (c - 2)
    return (
        (c - 1) * c * (c - 2) / scale,
        (c - 1) * (a * a - b * b) / scale,
        2 * (n + a - 1) * (n + b - 1) * c / scale,
    )


_hyp0f1 = on_host(sp.hyp0f1, BY_DIFFERENCES, lambda v, z: _hyp0f1(v + 1.0, z) / v)
_hyp1f1 = on_host(sp.hyp1f1, BY_DIFFERENCES, BY_DIFFERENCES, lambda a, b, z: a / b * _hyp1f1(a + 1.0, b + 1.0, z))
_hyperu = on_host(sp.hyperu, BY_DIFFERENCES, BY_DIFFERENCES, lambda a, b, z: -a * _hyperu(a + 1.0, b + 1.0, z))


ufuncs = importlib.import_module("scipy.special._ufuncs")
OF_LAWS = {"_binom_cdf": sp.bdtr, "_binom_sf": sp.bdtrc, "_nbinom_cdf": sp.nbdtr, "_nbinom_sf": sp.nbdtrc}
"""Functions without a public name that the laws of scipy.stats call, and public ones that are the same."""


def _log_expit(x: Any) -> Any:
    return -jnp.logaddexp(0.0, -real(x))


def _multiplied(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of JAX whose first argument multiplies, and may be a whole number."""
    return lambda x, y, out=None: function(real(x), real(y))


def sph_harm_y(n: Any, m: Any, theta: Any, phi: Any, **options: Any) -> Any:
    """`scipy.special.sph_harm_y` of whole numbers n and m that are known."""
    if options or any_traced((n, m)):
        raise CannotRoll(
            "scipy.special.sph_harm_y needs plain numbers as degree and order, and gives no derivatives (diff_n)",
            "Let n and m be data, and leave diff_n out.",
        )
    most = max(int(np.max(n)), 1)
    n, m, theta, phi = jnp.broadcast_arrays(np.asarray(n), np.asarray(m), real(theta), real(phi))
    found = jsp.sph_harm_y(jnp.ravel(n), jnp.ravel(m), jnp.ravel(theta), jnp.ravel(phi), n_max=most)
    return jnp.where(jnp.abs(m) > n, 0.0, found.reshape(n.shape))


TABLE: dict[Any, Callable[..., Any]] = {
    sp.sph_harm_y: sph_harm_y,
    **bessel.TABLE,
    **elliptic.TABLE,
    **hypergeometric.TABLE,
    **incomplete.TABLE,
    sp.xlogy: _multiplied(jsp.xlogy),
    sp.xlog1py: _multiplied(jsp.xlog1py),
    **{getattr(ufuncs, name): incomplete.TABLE[same] for name, same in OF_LAWS.items()},
    sp.zeta: lambda x, q=None: at_once(zeta)(x) if q is None else at_once(zeta)(x, q),
    sp.zetac: lambda x: zeta(x) - 1.0,
    sp.lambertw: lambertw,
    sp.voigt_profile: at_once(voigt_profile),
    sp.inv_boxcox: inv_boxcox,
    sp.inv_boxcox1p: lambda y, lmbda: jnp.expm1(_log_inverse(y, lmbda)),
    sp.boxcox: boxcox,
    sp.boxcox1p: lambda x, lmbda: _expm1_over(jnp.log1p(real(x)), lmbda),
    sp.exprel: exprel,
    sp.binom: binom,
    sp.powm1: powm1,
    sp.cosm1: cosm1,
    sp.huber: huber,
    sp.pseudo_huber: pseudo_huber,
    sp.log_expit: _log_expit,
    sp.softplus: lambda x: jnp.logaddexp(0.0, real(x)),
    sp.rgamma: lambda x: 1.0 / jsp.gamma(real(x)),
    sp.erfi: on_host(sp.erfi, lambda x: 2.0 / np.sqrt(np.pi) * jnp.exp(x * x)),
    sp.sinc: lambda x: jnp.sinc(real(x)),
    sp.round: lambda x: jnp.round(real(x)),
    sp.radian: lambda d, m, s: jnp.radians(real(d) + real(m) / 60.0 + real(s) / 3600.0),
    sp.sindg: lambda x: jnp.sin(jnp.radians(real(x))),
    sp.cosdg: lambda x: jnp.cos(jnp.radians(real(x))),
    sp.tandg: lambda x: jnp.tan(jnp.radians(real(x))),
    sp.hyp0f1: _hyp0f1,
    sp.hyp1f1: _hyp1f1,
    sp.hyperu: _hyperu,
    sp.wrightomega: on_host(sp.wrightomega, lambda z: 1.0 - 1.0 / (1.0 + _omega(z))),
    sp.eval_legendre: _named("leg"),
    sp.eval_chebyt: _named("cheb"),
    sp.eval_hermite: _named("herm"),
    sp.eval_hermitenorm: _named("herme"),
    sp.eval_laguerre: _named("lag"),
    sp.eval_chebyu: _by_recurrence(lambda k: (2.0, 0.0, 1.0), lambda x: 2.0 * x),
    sp.eval_genlaguerre: _by_recurrence(
        lambda k, a: (-1.0 / (k + 1), (2 * k + 1 + a) / (k + 1), (k + a) / (k + 1)), lambda a, x: 1.0 + a - x
    ),
    sp.eval_gegenbauer: _by_recurrence(
        lambda k, a: (2 * (k + a) / (k + 1), 0.0, (k + 2 * a - 1) / (k + 1)), lambda a, x: 2.0 * a * x
    ),
    sp.eval_jacobi: _by_recurrence(_jacobi_step, lambda a, b, x: 0.5 * (a - b) + (1.0 + 0.5 * (a + b)) * x),
}


def _omega(z: Any) -> Any:
    return TABLE[sp.wrightomega](z)


OBJECTS: dict[type, Callable[[Any], Callable[..., Any]]] = {np.poly1d: lambda found: Poly1d(found.coeffs)}
"""What `scipy.special.legendre(n)` and its like give are polynomials by their coefficients."""
