"""scipy's functions on traced values: one compilation for each library."""

import math

import jax
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from scipy import integrate, interpolate, linalg, ndimage, optimize, signal, special, stats
from scipy.spatial import distance

import gradmc as gm
from gradmc import Data, UnitInterval
from gradmc.program.frontend.libraries import hypergeometric, scipy_interpolate
from tests.frontend.libraries.comparing import compare

X = np.linspace(0.0, 2.0, 7)
Y = np.array([0.3, -0.5, 0.2, 0.9, 1.4, 0.7, -0.1])
T = np.linspace(0.0, 3.0, 6)


def test_special_functions() -> None:
    compare(
        {
            "kv": lambda a, b, c: special.kv(b, a) + special.kve(a, b) + special.k0(a) + special.k1e(b),
            "iv": lambda a, b, c: special.iv(b, a) + special.ive(0.5, b) + special.i0(a),
            "jv": lambda a, b, c: special.jv(b, a) + special.yv(a, b) + special.j0(a) + special.y1(b),
            "derivatives": lambda a, b, c: special.jvp(1, a, 2) + special.kvp(0, b) + special.spherical_jn(1, b),
            "airy": lambda a, b, c: special.airy(a)[0] + special.airy(b)[3],
            "elliptic": lambda a, b, c: special.ellipk(a) + special.ellipe(c) + special.ellipkinc(b, c),
            "lambertw": lambda a, b, c: special.lambertw(a).real + special.lambertw(-0.3 * a, -1).real,
            "zeta": lambda a, b, c: special.zeta(b) + special.zeta(b, a),
            "incomplete": lambda a, b, c: special.gammainc(a, b) + special.gammaincc(b, c) + special.betainc(a, b, c),
            "inverses": lambda a, b, c: special.gammaincinv(a, c) + special.betaincinv(a, b, c) + special.stdtrit(b, c),
            "laws": lambda a, b, c: special.stdtr(b, a) + special.fdtr(a, b, c) + special.chdtrc(b, a),
            "voigt": lambda a, b, c: special.voigt_profile(a, b, c),
            "hypergeometric": lambda a, b, c: special.hyp2f1(a, b, 2.3, c) + special.hyp1f1(a, b, c),
            "polynomials": lambda a, b, c: special.eval_legendre(3, a) + special.eval_genlaguerre(2, c, b),
            "integers": lambda a, b, c: special.xlogy(3, a) + special.xlog1py(2, -c) + special.xlogy(0, a),
            "harmonics": lambda a, b, c: (special.sph_harm_y(3, -2, a, b) + special.sph_harm_y(2, 1, b, c)).real,
            "boxcox": lambda a, b, c: special.boxcox(a, c) + special.inv_boxcox(a, b) + special.exprel(c),
            "integrals": lambda a, b, c: special.exp1(a) + special.expi(b) + special.sici(c)[0],
        },
        gradient=1e-6,
    )


def _summaries(law):
    return law.mean() * law.std() + law.var() + law.median() + law.entropy() + law.interval(0.8)[1]


def test_laws() -> None:
    compare(
        {
            "summaries": lambda a, b, c: _summaries(stats.norm(a, b)) + _summaries(stats.gamma(b, scale=a)),
            "moments": lambda a, b, c: (
                stats.beta.mean(a, b) + stats.poisson.var(a) + stats.weibull_min(a, 0.0, b).std()
            ),
            "one_number": lambda a, b, c: (
                stats.genextreme.logpdf(0.3, c, loc=a) + stats.genpareto.logpdf(0.9, c, 0.1, b)
            ),
            "frozen": lambda a, b, c: stats.gamma(a, scale=b).logpdf(Y**2).sum() + stats.norm(0, 1).logcdf(c),
            "tails": lambda a, b, c: stats.weibull_min.logsf(Y**2, a, scale=b).sum() + stats.t.logcdf(Y, b, a).sum(),
            "gev": lambda a, b, c: stats.genextreme.logpdf(Y, -0.1 * c, scale=b).sum() + stats.genpareto.sf(a, c),
            "skewed": lambda a, b, c: stats.laplace_asymmetric.logpdf(Y, b).sum() + stats.exponnorm.logpdf(Y, a).sum(),
            "bounded": lambda a, b, c: stats.truncnorm.logpdf(c, -1, 2, a, b) + stats.powerlaw.logpdf(c, b),
            "outside": lambda a, b, c: stats.uniform.pdf(3.0, a, b) + stats.beta.cdf(1.5, a, b) + c,
            "counts": lambda a, b, c: stats.nbinom.logpmf([0, 3], a, c).sum() + stats.binom.logcdf(2, 5, c),
            "pearson": lambda a, b, c: stats.pearson3.logpdf(Y, c, 0.1, b).sum() + stats.pearson3.logpdf(0.3, -a),
            "cauchy": lambda a, b, c: stats.cauchy.ppf(c, a, b) + stats.wald.ppf(c, a, b),
            "quantiles": lambda a, b, c: stats.norm.ppf(c, a, b) + stats.gamma.ppf(c, a) + stats.exponnorm.ppf(c, a),
            "normal": lambda a, b, c: stats.multivariate_normal.logpdf(Y[:2], [a, b], [[2.0, c], [c, 1.0]]),
            "student": lambda a, b, c: stats.multivariate_t([a, 0.0], np.eye(2) * b, df=3).logpdf(Y[:2]),
            "wishart": lambda a, b, c: stats.wishart.logpdf([[b, c], [c, 2.0]], 4, np.eye(2)),
            "multinomial": lambda a, b, c: stats.multinomial.logpmf([1, 2, 1], 4, [0.1 * b, c, 1.0 - 0.1 * b - c]),
        },
        value=1e-8,
        gradient=1e-6,
    )


def _exchange(t: float, y: np.ndarray, a: float, b: float) -> np.ndarray:
    rate = np.zeros(2)
    for k in range(2):
        rate[k] = (-1) ** k * (b * y[1] - a * y[0])
    return rate


def _ended(t: float, y: np.ndarray, a: float, b: float) -> np.ndarray:
    """The same until 10; the derivative takes the steps as they are, and is to the tolerance that of the solution."""
    rate = np.zeros(2)
    for k in range(2):
        rate[k] = (-1) ** k * (b * y[1] - a * y[0]) if t < 10.0 else 0.0
    return rate


def _stiff(t: float, y: np.ndarray, a: float, b: float) -> list:
    return [-1000.0 * a * (y[0] - math.cos(t)), y[0] - b * y[1]]


def test_differential_equations() -> None:
    def solved(method, a, b, rates=_exchange, **options):
        found = integrate.solve_ivp(rates, (0, 3), [1.0, 0.2], method, T, args=(a, b), **options)
        return np.sum(found.y[0] ** 2) + found.y[1, -1]

    compare(
        {
            "RK45": lambda a, b, c: solved("RK45", a, b),
            "RK23": lambda a, b, c: solved("RK23", a, b, rtol=1e-4),
            "DOP853": lambda a, b, c: solved("DOP853", a, b, rtol=1e-8, atol=1e-9),
            "ended": lambda a, b, c: solved("RK45", a, b, _ended, rtol=1e-8, atol=1e-9),
            "backwards": lambda a, b, c: integrate.solve_ivp(lambda t, y: -a * y, (1, 0), [b]).y[0, -1],
            "dense": lambda a, b, c: integrate.solve_ivp(lambda t, y: -a * y, (0, 1), [b], dense_output=True).sol(c)[0],
        },
        gradient=1e-5,
    )
    compare(
        {
            "odeint": lambda a, b, c: np.sum(
                integrate.odeint(_ended, [1.0, c], T, args=(a, b), tfirst=True, rtol=1e-11, atol=1e-12)[:, 0] ** 2
            ),
            "stiff": lambda a, b, c: integrate.solve_ivp(
                _stiff, (0, 3), [c, 0.0], "LSODA", [1.0, 3.0], args=(a, b), rtol=1e-10, atol=1e-12
            ).y[1, 1],
            "Radau": lambda a, b, c: integrate.solve_ivp(
                _stiff, (0, 3), [c, 0.0], "Radau", [3.0], args=(a, b), rtol=1e-10, atol=1e-12
            ).y[1, 0],
        },
        value=1e-7,
        gradient=1e-5,
    )


def test_integrals() -> None:
    compare(
        {
            "quad": lambda a, b, c: integrate.quad(lambda x: math.exp(-a * x * x), c, b)[0],
            "infinite": lambda a, b, c: integrate.quad(lambda x: math.exp(-a * x * x), -np.inf, np.inf)[0],
            "tail": lambda a, b, c: integrate.quad(lambda x, k: math.exp(-k * x), c, np.inf, args=(b,))[0],
            "peak": lambda a, b, c: integrate.quad(lambda x: 1.0 / (1e-4 * b + (x - c) ** 2), 0, 1, points=[0.4])[0],
            "double": lambda a, b, c: integrate.dblquad(lambda y, x: a * x * y, 0, b, 0, lambda x: c * x)[0],
            "fixed": lambda a, b, c: integrate.fixed_quad(lambda x: np.exp(a * x), 0, b, n=6)[0],
            "simpson": lambda a, b, c: integrate.simpson(np.exp(-a * X), x=X) + integrate.simpson(b * Y[:6], dx=c),
            "cumulative": lambda a, b, c: (
                integrate.cumulative_simpson(np.cos(a * X), x=X).sum()
                + integrate.cumulative_trapezoid(np.cos(b * X), X, initial=0)[3]
            ),
        },
        value=1e-8,
    )


def test_interpolants() -> None:
    compare(
        {
            "cubic": lambda a, b, c: interpolate.CubicSpline(X, Y)(a) + interpolate.CubicSpline(X, Y).derivative()(b),
            "integral": lambda a, b, c: interpolate.CubicSpline(X, Y).integrate(c, a),
            "pchip": lambda a, b, c: (
                interpolate.PchipInterpolator(X, Y)(a) + interpolate.PchipInterpolator(X, Y * a + b)(c)
            ),
            "akima": lambda a, b, c: (
                interpolate.Akima1DInterpolator(X, Y)(a) + interpolate.Akima1DInterpolator(X, Y + a * X**2)(c)
            ),
            "interp1d": lambda a, b, c: interpolate.interp1d(X, Y)(a) + interpolate.interp1d(X, b * Y, "cubic")(c),
            "outside": lambda a, b, c: interpolate.interp1d(X, Y, bounds_error=False, fill_value=3.0)(5 * a) + b,
            "univariate": lambda a, b, c: (
                interpolate.UnivariateSpline(X, Y, s=0.1)(a) + interpolate.InterpolatedUnivariateSpline(X, Y * b)(c)
            ),
            "B-spline": lambda a, b, c: (
                interpolate.splev(a, interpolate.splrep(X, Y)) + interpolate.make_interp_spline(X, Y * b)(c)
            ),
            "through": lambda a, b, c: np.sum(interpolate.CubicSpline(X, a * Y + b * X, bc_type="natural")(T / 2)),
            "clamped": lambda a, b, c: interpolate.CubicSpline(X, a * Y + b * X, bc_type="clamped")(c, 1),
            "grid": lambda a, b, c: (
                interpolate.RegularGridInterpolator((X, X), np.outer(Y, Y))([[a, b]])[0]
                + interpolate.RectBivariateSpline(X, X, np.outer(Y, Y)).ev(a, b)
            ),
            "polynomial": lambda a, b, c: (
                interpolate.BarycentricInterpolator(X, Y)(a) + interpolate.KroghInterpolator(X, Y * b)(c)
            ),
        },
        value=1e-8,
    )


def test_roots_and_minima() -> None:
    def kepler(e, a):
        return e - 0.3 * math.sin(e) - a

    compare(
        {
            "brentq": lambda a, b, c: optimize.brentq(kepler, 0, 10, args=(a,)) * b,
            "newton": lambda a, b, c: optimize.newton(lambda e: kepler(e, a), a),
            "root_scalar": lambda a, b, c: optimize.root_scalar(kepler, args=(b,), bracket=[0, 10]).root,
            "fsolve": lambda a, b, c: optimize.fsolve(lambda z: [z[0] ** 2 + z[1] - b, z[0] - a * z[1]], [1, 1])[1],
            "root": lambda a, b, c: optimize.root(lambda z: [z[0] ** 2 + z[1] - b, z[0] - a * z[1]], [1, 1]).x[0],
            "fixed_point": lambda a, b, c: optimize.fixed_point(lambda e: a + 0.3 * np.sin(e), 0.5),
            "minimum": lambda a, b, c: optimize.minimize_scalar(lambda x: (x - a) ** 2 + c * math.exp(b * x)).fun,
            "at an end": lambda a, b, c: (
                optimize.minimize_scalar(
                    lambda x: (x - 9.0 * b) ** 2, bounds=(0, 1), method="bounded", options={"xatol": 1e-12}
                ).fun
            ),
            "minimize": lambda a, b, c: optimize.minimize(lambda x: (x[0] - a) ** 2 + b * x[1] ** 2 + c, [0, 1]).fun,
        },
        value=1e-6,
        gradient=1e-4,
    )


def test_linear_algebra() -> None:
    S = np.array([[2.1, 0.3, 0.4], [0.3, 1.7, 0.2], [0.4, 0.2, 1.9]])
    Q = scipy.sparse.csr_array(S * (S > 0.25))
    y = np.array([0.3, -1.0, 0.5])
    bands = np.array([[0.0, 0.3, 0.2], [2.0, 3.0, 2.5], [0.4, 0.1, 0.0]])
    compare(
        {
            "sqrtm": lambda a, b, c: np.sum(linalg.sqrtm(S * a + b * np.eye(3))),
            "banded": lambda a, b, c: np.sum(linalg.solve_banded((1, 1), bands * a, y * b) ** 2),
            "symmetric": lambda a, b, c: np.sum(linalg.solveh_banded(bands[:2] * a, y) ** 2),
            "toeplitz": lambda a, b, c: np.sum(linalg.solve_toeplitz([b, a, c], y) ** 2),
            "lyapunov": lambda a, b, c: np.sum(linalg.solve_discrete_lyapunov(S * 0.3 * a, S)),
            "expm": lambda a, b, c: np.sum(linalg.expm(S * c)),
            "sparse": lambda a, b, c: (Q @ np.array([a, b, c])) @ (np.array([a, b, c]) @ Q),
            "dot": lambda a, b, c: Q.dot(np.array([a, b, c]))[1] + scipy.sparse.linalg.spsolve(Q, y * a)[0],
            "cdist": lambda a, b, c: np.sum(np.exp(-distance.cdist([[a, b], [1.0, c]], [[a, b], [0.0, 2.0]]))),
            "squareform": lambda a, b, c: np.sum(distance.squareform(distance.pdist([[a], [b], [c]], "sqeuclidean"))),
            "hankel": lambda a, b, c: np.sum(linalg.hankel([a, b, c], [c, 1.0, 2.0]) @ y),
        },
        value=1e-8,
    )


def test_signals() -> None:
    compare(
        {
            "lfilter": lambda a, b, c: np.sum(signal.lfilter([a, b], [1.0, -c], Y) ** 2),
            "FIR": lambda a, b, c: np.sum(signal.lfilter([a, b, c], 1.0, Y) ** 2),
            "savgol": lambda a, b, c: np.sum(signal.savgol_filter(a * Y + b * X**3, 5, 2) ** 2),
            "fftconvolve": lambda a, b, c: np.sum(signal.fftconvolve(Y, np.array([a, b, c]), "same") ** 2),
            "gaussian": lambda a, b, c: np.sum(ndimage.gaussian_filter(np.outer(Y, X**a), 1.0) ** 2),
        }
    )


@pytest.mark.parametrize("at", [0.02, 0.3, 2.0, 15.0, 90.0])
def test_special_functions_over_their_range(at: float) -> None:
    compare(
        {
            "kve": lambda a, b, c: special.kve(b, a) + special.kve(0.0, a) + special.kve(9.5, a) / special.kve(9.5, at),
            "elliptic": lambda a, b, c: special.ellipk(-a) + special.ellipe(-a),
            "lambertw": lambda a, b, c: special.lambertw(a).real,
            "zeta": lambda a, b, c: special.zeta(1.0 + a),
            "gammainc": lambda a, b, c: special.gammainc(a, at) + special.gammaincc(at, a),
        },
        point=np.array([at, 1.3, 0.4]),
        gradient=1e-6,
    )


GRID = np.random.default_rng(5).normal(size=(5, 4))


def test_what_has_no_compiled_form_is_applied_to_data() -> None:
    @gm.model
    def surface(x: UnitInterval, y: UnitInterval, *, grid: Data):
        over = interpolate.RectBivariateSpline(np.linspace(0, 1, 5), np.linspace(0, 1, 4), grid)
        return over(x, y)[0][0]

    found = gm.density(surface, {"grid": GRID}).log_density({"x": 0.3, "y": 0.6})
    np.testing.assert_allclose(found, surface.fn(0.3, 0.6, grid=GRID), rtol=1e-12)
    assert interpolate.RectBivariateSpline not in scipy_interpolate.TABLE


PARAMETERS = [
    (1.3, 0.7, 2.2, 0.4), (1.3, 0.7, 2.2, 0.99), (1.3, 0.7, 2.2, -0.4), (1.3, 0.7, 2.2, -50.0),
    (-2.5, 3.1, 0.4, 0.9), (4.0, 3.0, 1.5, 0.8), (2.0, -3.0, 1.0, 0.5), (1.0, 1.0, 2.0, 1.0 - 1e-9),
    (30.0, 2.0, 3.0, 0.3), (0.5, 0.5, 1.0, 1.0),
]  # fmt: skip


def test_the_hypergeometric_function_is_scipys_everywhere() -> None:
    """scipy's own values, here within 1e-12 of mpmath's; the last two are left to it."""
    a, b, c, z = np.array(PARAMETERS).T
    with jax.enable_x64(True):
        got = np.asarray(jax.jit(hypergeometric.hyp2f1)(a, b, c, z))
    np.testing.assert_allclose(got, special.hyp2f1(a, b, c, z), rtol=1e-11)
