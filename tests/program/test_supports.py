"""Laws of supports: round trips, log-determinants, and what lies inside."""

import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from gradmc._numpyro import distributions
from gradmc.errors import DeclarationError
from gradmc.program import supports
from gradmc.program.support import Support
from gradmc.program.supports import Interval

BIJECTIVE: dict[str, tuple[Support, tuple[int, ...]]] = {
    "real": (supports.Real, (2,)),
    "positive": (supports.Positive, ()),
    "negative": (supports.Negative, (2,)),
    "unit interval": (supports.UnitInterval, (2,)),
    "interval": (Interval(-1, 3), ()),
    "interval of arrays": (Interval(np.array([-1.0, 0.0]), np.array([3.0, 0.5])), (2,)),
    "above": (Interval(2, None), (2,)),
    "below": (Interval(-math.inf, 2), ()),
    "no ends": (Interval(None, None), (2,)),
    "simplex": (supports.Simplex, (4,)),
    "simplex of one": (supports.Simplex, (1,)),
    "two simplexes": (supports.Simplex, (2, 3)),
    "ordered": (supports.Ordered, (4,)),
    "ordered of one": (supports.Ordered, (1,)),
    "positive ordered": (supports.PositiveOrdered, (3,)),
    "zero sum": (supports.ZeroSum, (3,)),
    "cholesky of correlation": (supports.CholeskyCorr, (3, 3)),
    "two factors": (supports.CholeskyCorr, (2, 3, 3)),
    "correlation": (supports.Correlation, (3, 3)),
    "cholesky of covariance": (supports.CholeskyCov, (3, 3)),
    "covariance": (supports.Covariance, (3, 3)),
}


def free(name: str, value):
    """Independent coordinates of a value, in which the density is meant."""
    if "simplex" in name or "zero sum" in name:
        return value[..., :-1].ravel()
    if "correlation" in name or "two factors" in name:
        return value[..., *np.tril_indices(value.shape[-1], -1)].ravel()
    if "covariance" in name:
        return value[..., *np.tril_indices(value.shape[-1])].ravel()
    return jnp.ravel(value)


def a_point(support: Support, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).normal(size=support.unconstrained_shape(shape))


@pytest.mark.parametrize("name", BIJECTIVE)
def test_round_trip(name):
    support, shape = BIJECTIVE[name]
    x = a_point(support, shape)
    with jax.enable_x64(True):
        value, _ = support.constrain(jnp.asarray(x), support.bounds)
        assert value.shape == shape
        assert support.contains(np.asarray(value), support.bounds)
        np.testing.assert_allclose(support.unconstrain(value, support.bounds), x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", BIJECTIVE)
def test_log_determinant_is_that_of_the_jacobian(name):
    support, shape = BIJECTIVE[name]
    x = a_point(support, shape)
    with jax.enable_x64(True):
        _, log_det = support.constrain(jnp.asarray(x), support.bounds)

        def flat(coordinates):
            return free(name, support.constrain(coordinates.reshape(x.shape), support.bounds)[0])

        jacobian = jax.jacobian(flat)(jnp.asarray(x).ravel())
        sign, expected = np.linalg.slogdet(jacobian)
    if name == "zero sum":  # its density is with respect to length in the plane of zero sum
        expected += 0.5 * math.log(shape[-1])
    assert abs(sign) == 1
    np.testing.assert_allclose(0.0 if log_det is None else log_det, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", BIJECTIVE)
def test_gradients_are_finite_far_out(name):
    support, shape = BIJECTIVE[name]
    x = 30.0 * np.sign(a_point(support, shape))
    if name in ("covariance", "positive ordered"):
        x = x / 10  # float64 ends there: exp(exp(30))
    with jax.enable_x64(True):

        def total(x):
            return sum(jnp.sum(part) for part in support.constrain(x, support.bounds) if part is not None)

        assert np.all(np.isfinite(jax.grad(total)(jnp.asarray(x))))


MATRICES = {
    "CholeskyCorr": "corr_cholesky",
    "Correlation": "corr_matrix",
    "CholeskyCov": "lower_cholesky",
    "Covariance": "positive_definite",
}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (5, 5), (2, 3, 3)])
def test_matrices_are_numpyros(name, shape):
    support = getattr(supports, name)
    theirs = distributions().biject_to(getattr(distributions().constraints, MATRICES[name]))
    with jax.enable_x64(True):
        x = jnp.asarray(a_point(support, shape))
        value, log_det = support.constrain(x, ())
        expected = theirs(x)
        np.testing.assert_allclose(value, expected, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(log_det, jnp.sum(theirs.log_abs_det_jacobian(x, expected)), rtol=1e-11, atol=1e-12)


def broken_stick(x):
    """A Cholesky factor of a correlation matrix by its definition, with its log-determinant."""
    size = 4
    factor, log_det, entries = mpmath.zeros(size), mpmath.mpf(0), iter(x)
    for i in range(size):
        left = mpmath.mpf(1)
        for j in range(i):
            z = mpmath.tanh(next(entries))
            factor[i, j] = left * z
            log_det += mpmath.log(left * (1 - z**2))  # the Jacobian is triangular
            left *= mpmath.sqrt(1 - z**2)
        factor[i, i] = left
    return factor, log_det


@pytest.mark.parametrize("scale", [1.0, 8.0, 80.0])
def test_correlations_far_out(scale):
    # Up to factors with entries of 1e-70, of which the matrix is singular in floating point.
    x = scale * np.array([0.5, -1.0, 0.8, 0.1, -0.9, 0.7])
    with mpmath.workdps(200):
        factor, log_det = broken_stick(x)
        to_matrix = sum((3 - i) * mpmath.log(factor[i, i]) for i in range(4))
        expected = np.array(factor.tolist(), float)
        log_dets = {supports.CholeskyCorr: float(log_det), supports.Correlation: float(log_det + to_matrix)}
    with jax.enable_x64(True):
        for support, expected_log_det in log_dets.items():
            value, found, log_det = support.factorised(jnp.asarray(x), ())
            np.testing.assert_allclose(value if found is None else found, expected, rtol=1e-12, atol=0)
            assert float(log_det) == pytest.approx(expected_log_det, rel=1e-13)
        back = supports.CholeskyCorr.unconstrain(expected, ())
    np.testing.assert_allclose(back, x, rtol=1e-12)


def test_large_correlation_matrices_start_narrow():
    radii = {size: supports.CholeskyCorr.start_radius((size, size)) for size in (1, 4, 100)}
    assert radii == {1: 2.0, 4: 1.0, 100: 0.2}
    assert supports.Correlation.start_radius((5, 4, 4)) == 1.0
    assert supports.Positive.start_radius((100,)) == 2.0


@pytest.mark.parametrize(
    ("support", "outside"),
    [
        (supports.Real, math.inf),
        (supports.Positive, -1.0),
        (supports.Negative, 1.0),
        (supports.UnitInterval, 1.5),
        (Interval(-1, 3), 3.0),
        (supports.Simplex, np.array([0.4, 0.7])),
        (supports.Ordered, np.array([2.0, 1.0])),
        (supports.PositiveOrdered, np.array([-1.0, 1.0])),
        (supports.ZeroSum, np.array([1.0, 1.0])),
        (supports.CholeskyCorr, np.array([[1.0, 0.0], [0.5, 0.5]])),
        (supports.Correlation, np.array([[1.0, 1.5], [1.5, 1.0]])),
        (supports.CholeskyCov, np.array([[-1.0, 0.0], [0.5, 0.5]])),
        (supports.Covariance, np.array([[1.0, 2.0], [2.0, 1.0]])),
        (supports.UnitVector, np.array([1.0, 1.0])),
        (supports.Circular, 4.0),
    ],
)
def test_values_outside_are_noticed(support, outside):
    assert not support.contains(np.asarray(outside), support.bounds)


@pytest.mark.parametrize(("support", "shape"), [(supports.UnitVector, (3,)), (supports.Circular, (2,))])
def test_directions_come_back(support, shape):
    x = a_point(support, shape)
    with jax.enable_x64(True):
        value, log_density = support.constrain(jnp.asarray(x), ())
        again, _ = support.constrain(support.unconstrain(value, ()), ())
    assert support.contains(np.asarray(value), ())
    np.testing.assert_allclose(again, value, rtol=1e-12)
    assert float(log_density) == pytest.approx(-0.5 * np.sum(x**2))


def test_directions_are_uniform_under_a_flat_density():
    # Under a flat program x is standard normal, so each coordinate of a direction in 3 dimensions is
    # uniform on (-1, 1) (Archimedes), and an angle is uniform. Kolmogorov's bound at p = 1e-6.
    count = 20_000
    bound = 2.7 / math.sqrt(count)
    rng = np.random.default_rng(3)
    with jax.enable_x64(True):
        vectors = np.asarray(supports.UnitVector.constrain(rng.normal(size=(count, 3)), ())[0])
        angles = np.asarray(supports.Circular.constrain(jnp.asarray(rng.normal(size=(count, 2))), ())[0])
    expected = (np.arange(count) + 0.5) / count
    for shares in [*((vectors.T + 1) / 2), angles / (2 * math.pi) + 0.5]:
        assert np.max(np.abs(np.sort(shares) - expected)) < bound


def test_scalar_supports_are_cheap():
    def equations(support):
        with jax.enable_x64(True):
            return len(jax.make_jaxpr(lambda x: support.constrain(x, support.bounds))(np.float64(0.3)).jaxpr.eqns)

    assert equations(supports.Real) == 0
    assert equations(supports.Positive) <= 2
    assert equations(supports.Negative) <= 3
    assert equations(supports.UnitInterval) <= 11


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Interval(2, 1), r"Interval\(2, 1\): expected lower < upper, got an empty interval"),
        (lambda: Interval(1, 1), "expected lower < upper"),
        (lambda: Interval(float("nan"), 1), "the lower end must be a number, got nan"),
        (lambda: Interval([1, 2], [3, 4, 5]), "the ends do not broadcast"),
        (
            lambda: Interval({}, 1),
            "must be a number, an array, a name or a callable, got {} of type dict",
        ),
        (
            lambda: Interval(supports.Real, 1),
            "must be a number, an array, a name or a callable, got Real of type Bijective",
        ),
        (lambda: Interval(True, 2), "the lower end must be a number, got True"),
        (lambda: supports.Real["T * T"], "expected a dimension name, an integer, or sums and differences"),
        (lambda: supports.Real["T -"], "expected a dimension name, an integer, or sums and differences"),
        (lambda: supports.Real[0], "a size must be at least 1, got 0"),
        (lambda: supports.Real[1.5], r"expected a dimension name \(a string\) or an integer, got float"),
        (lambda: supports.Real[()], "expected at least one size"),
        (lambda: supports.Real["draw"], "the dimension name 'draw' is reserved by ArviZ"),
        (lambda: supports.Real[2][3], "already has a shape"),
        (lambda: supports.Real(8), r"Real takes nothing in parentheses; a shape stands in brackets: Real\[8\]"),
        (lambda: supports.Positive(lower=1), "Positive takes nothing in parentheses"),
    ],
)
def test_wrong_supports(make, message):
    with pytest.raises(DeclarationError, match=message):
        make()


def test_supports_show_how_they_were_written():
    assert repr(supports.Real["T - 1", 2]) == "Real['T - 1', 2]"
    assert repr(Interval(0, lambda a: 1 - a)["n"]) == "Interval(0, lambda)['n']"
    assert repr(Interval(-1, "top")) == "Interval(-1, 'top')"
