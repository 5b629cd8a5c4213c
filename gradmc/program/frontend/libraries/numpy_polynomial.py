"""numpy.polynomial and numpy.poly1d: series in six families of polynomials, in traced points or coefficients.

A series is c[0] P[0](x) + c[1] P[1](x) + ..., where P[k + 1] = (a x + b) P[k] - d P[k - 1] with the family's own a, b
and d at k (`RECURRENCES`). Derivatives, integrals and changes of family are linear in the coefficients: numpy, applied
to unit vectors, says what their matrices are. Products are bilinear.
"""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.polynomial import chebyshev, hermite, hermite_e, laguerre, legendre, polynomial
from numpy.polynomial._polybase import ABCPolyBase

from gradmc.program.frontend.libraries.arrays import real

RECURRENCES: dict[str, Callable[[int], tuple[float, float, float]]] = {
    "poly": lambda k: (1.0, 0.0, 0.0),
    "cheb": lambda k: (1.0 if k == 0 else 2.0, 0.0, 1.0),
    "leg": lambda k: ((2 * k + 1) / (k + 1), 0.0, k / (k + 1)),
    "lag": lambda k: (-1.0 / (k + 1), (2 * k + 1) / (k + 1), k / (k + 1)),
    "herm": lambda k: (2.0, 0.0, 2.0 * k),
    "herme": lambda k: (1.0, 0.0, float(k)),
}
MODULES: dict[str, ModuleType] = {
    "poly": polynomial,
    "cheb": chebyshev,
    "leg": legendre,
    "lag": laguerre,
    "herm": hermite,
    "herme": hermite_e,
}


def basis(family: str, x: Any, degree: int) -> list[Any]:
    """P[0](x), ..., P[degree](x)."""
    x = real(x)
    found = [jnp.ones_like(x), x]
    for k in range(degree):
        a, b, d = RECURRENCES[family](k)
        found[k + 1 :] = [(a * x + b) * found[k] - (d * found[k - 1] if k else 0.0)]
    return found[: degree + 1]


def value(family: str, x: Any, c: Any, tensor: bool = True) -> Any:
    """The series with coefficients c along the first axis; with `tensor`, each further entry of c at all x."""
    x, c = real(x), jnp.atleast_1d(real(c))
    if tensor:
        c = c.reshape(c.shape + (1,) * x.ndim)
    return functools.reduce(operator.add, (c[k] * p for k, p in enumerate(basis(family, x, len(c) - 1))))


def on_grid(family: str, *args: Any) -> Any:
    """A series in several variables, at all combinations of their values."""
    *points, c = args
    for x in points:
        c = value(family, x, c)
    return c


def at_points(family: str, *args: Any) -> Any:
    """A series in several variables, at points whose coordinates are given."""
    *points, c = args
    c = value(family, points[0], c)
    for x in points[1:]:
        c = value(family, x, c, tensor=False)
    return c


def vander(family: str, x: Any, deg: Any) -> Any:
    """The polynomials at x along a new last axis."""
    return jnp.stack(basis(family, jnp.atleast_1d(real(x)), int(deg)), axis=-1)


def linear(function: Callable[..., Any], c: Any, *args: Any, **options: Any) -> Any:
    """A function that is linear in coefficients, by its matrix."""
    if options.pop("axis", 0) != 0:
        raise NotImplementedError("coefficients that are not along the first axis")
    c = jnp.atleast_1d(real(c))
    columns = [np.atleast_1d(function(unit, *args, **options)) for unit in np.eye(len(c))]
    matrix = np.zeros((max(map(len, columns)), len(c)))
    for k, column in enumerate(columns):
        matrix[: len(column), k] = column
    return jnp.tensordot(matrix, c, 1)


def product(function: Callable[..., Any], a: Any, b: Any) -> Any:
    """A function that is linear in the coefficients of two series."""
    a, b = jnp.atleast_1d(real(a)), jnp.atleast_1d(real(b))
    units = np.eye(max(len(a), len(b)))
    size = len(a) + len(b) - 1
    tensor = np.zeros((size, len(a), len(b)))
    for i in range(len(a)):
        for j in range(len(b)):
            column = np.atleast_1d(function(units[i, : i + 1], units[j, : j + 1]))
            tensor[: len(column), i, j] = column
    return jnp.einsum("kij,i,j->k", tensor, a, b)


def added(a: Any, b: Any, sign: float = 1.0) -> Any:
    """The sum or difference of two series, the lowest coefficients first."""
    a, b = jnp.atleast_1d(real(a)), jnp.atleast_1d(real(b))
    size = max(len(a), len(b))
    return jnp.pad(a, (0, size - len(a))) + sign * jnp.pad(b, (0, size - len(b)))


def power(multiply: Callable[..., Any], c: Any, n: Any) -> Any:
    """A series multiplied by itself."""
    return functools.reduce(multiply, [c] * int(n), jnp.ones(1))


def from_roots(family: str, roots: Any) -> Any:
    """The series with given roots and leading coefficient 1 as a polynomial in x."""
    module = MODULES[family]
    powers: Any = jnp.ones(1)
    for root in jnp.atleast_1d(real(roots)):
        powers = jnp.pad(powers, (1, 0)) - jnp.pad(root * powers, (0, 1))
    return powers if family == "poly" else linear(getattr(module, f"poly2{family}"), powers)


def fit(family: str, x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None) -> Any:
    """Coefficients of least squares."""
    if full or np.ndim(deg):
        raise NotImplementedError("a fit with full=True or a list of degrees")
    matrix, y = vander(family, x, deg), real(y)
    if w is not None:
        matrix, y = matrix * real(w)[:, None], (y.T * real(w)).T
    scale = jnp.sqrt(jnp.sum(matrix**2, axis=0))
    return (jnp.linalg.lstsq(matrix / scale, y, rcond=rcond)[0].T / scale).T


def _family(family: str) -> dict[Any, Callable[..., Any]]:
    module = MODULES[family]

    def of(name: str) -> Any:
        return getattr(module, name.replace("*", family))

    multiply = functools.partial(product, of("*mul"))
    found = {of("*val"): functools.partial(value, family), of("*vander"): functools.partial(vander, family)}
    found |= {of(n): functools.partial(at_points, family) for n in ("*val2d", "*val3d")}
    found |= {of(n): functools.partial(on_grid, family) for n in ("*grid2d", "*grid3d")}
    found |= {of(n): functools.partial(linear, of(n)) for n in ("*der", "*int", "*mulx")}
    found |= {of("*add"): added, of("*sub"): functools.partial(added, sign=-1.0), of("*mul"): multiply}
    found |= {of("*pow"): lambda c, n, maxpower=None: power(multiply, c, n)}
    found |= {of("*fromroots"): functools.partial(from_roots, family), of("*fit"): functools.partial(fit, family)}
    if family != "poly":
        found |= {of(n): functools.partial(linear, of(n)) for n in ("*2poly", "poly2*")}
    return found


@dataclass(frozen=True, eq=False)
class Series:
    """A series object, as numpy.polynomial's, whose coefficients may be traced.

    Attributes:
        family: of polynomials.
        coef: the coefficients, the lowest first.
        domain: the interval that is mapped to `window` before the polynomials are evaluated.
        window: where the polynomials are evaluated.
    """

    family: str
    coef: Any
    domain: Any
    window: Any

    @property
    def _scale(self) -> tuple[Any, Any]:
        (a, b), (c, d) = self.domain, self.window
        return (b * c - a * d) / (b - a), (d - c) / (b - a)

    def __call__(self, x: Any) -> Any:
        """The value at x."""
        offset, scale = self._scale
        return value(self.family, offset + scale * real(x), self.coef)

    def degree(self) -> int:
        """The number of coefficients less one."""
        return len(self.coef) - 1

    def deriv(self, m: int = 1) -> "Series":
        """The m-th derivative."""
        function = getattr(MODULES[self.family], f"{self.family}der")
        return self._with(linear(function, self.coef, int(m), float(self._scale[1])))

    def integ(self, m: int = 1, k: Any = (), lbnd: Any = None) -> "Series":
        """The m-th integral from `lbnd` (0 if None), without constants."""
        if np.size(k):
            raise NotImplementedError("integration constants")
        offset, scale = self._scale
        start = 0.0 if lbnd is None else offset + scale * lbnd
        function = getattr(MODULES[self.family], f"{self.family}int")
        return self._with(linear(function, self.coef, int(m), (), start, 1.0 / float(scale)))

    def _with(self, coef: Any) -> "Series":
        return Series(self.family, coef, self.domain, self.window)

    def _coef(self, other: Any) -> Any:
        return other.coef if isinstance(other, Series | ABCPolyBase) else other

    def __add__(self, other: Any) -> "Series":
        return self._with(added(self.coef, self._coef(other)))

    def __sub__(self, other: Any) -> "Series":
        return self._with(added(self.coef, self._coef(other), -1.0))

    def __rsub__(self, other: Any) -> "Series":
        return self._with(added(self._coef(other), self.coef, -1.0))

    def __mul__(self, other: Any) -> "Series":
        function = getattr(MODULES[self.family], f"{self.family}mul")
        return self._with(product(function, self.coef, self._coef(other)))

    def __pow__(self, n: int) -> "Series":
        function = getattr(MODULES[self.family], f"{self.family}mul")
        return self._with(power(functools.partial(product, function), self.coef, n))

    def __truediv__(self, number: Any) -> "Series":
        return self._with(real(self.coef) / number)

    def __neg__(self) -> "Series":
        return self._with(-real(self.coef))

    __radd__ = __add__
    __rmul__ = __mul__


KINDS: dict[type, str] = {
    np.polynomial.Polynomial: "poly",
    np.polynomial.Chebyshev: "cheb",
    np.polynomial.Legendre: "leg",
    np.polynomial.Laguerre: "lag",
    np.polynomial.Hermite: "herm",
    np.polynomial.HermiteE: "herme",
}


def _made(kind: Any, coef: Any, domain: Any = None, window: Any = None, symbol: str = "x") -> Series:
    domain, window = (kind.domain if domain is None else domain), (kind.window if window is None else window)
    return Series(KINDS[kind], jnp.atleast_1d(real(coef)), domain, window)


def _of_data(found: Any) -> Series:
    return Series(KINDS[type(found)], found.coef, found.domain, found.window)


@dataclass(frozen=True, eq=False)
class Poly1d:
    """numpy.poly1d whose coefficients, the highest first, may be traced."""

    coeffs: Any

    @property
    def c(self) -> Any:
        """The coefficients."""
        return self.coeffs

    coef = coefficients = c

    @property
    def order(self) -> int:
        """The number of coefficients less one."""
        return len(self.coeffs) - 1

    o = order

    def __len__(self) -> int:
        return self.order

    def __getitem__(self, k: int) -> Any:
        return self.coeffs[self.order - k] if 0 <= k <= self.order else 0.0

    def __call__(self, x: Any) -> Any:
        """The value at x."""
        return jnp.polyval(real(self.coeffs), real(x))

    def deriv(self, m: int = 1) -> "Poly1d":
        """The m-th derivative."""
        return Poly1d(jnp.polyder(real(self.coeffs), int(m)))

    def integ(self, m: int = 1, k: Any = 0) -> "Poly1d":
        """The m-th integral."""
        return Poly1d(jnp.polyint(real(self.coeffs), int(m), None if np.all(np.asarray(k) == 0) else k))

    def _coef(self, other: Any) -> Any:
        return jnp.atleast_1d(real(other.coeffs if isinstance(other, Poly1d | np.poly1d) else other))

    def __add__(self, other: Any) -> "Poly1d":
        return Poly1d(jnp.polyadd(self.coeffs, self._coef(other)))

    def __sub__(self, other: Any) -> "Poly1d":
        return Poly1d(jnp.polysub(self.coeffs, self._coef(other)))

    def __rsub__(self, other: Any) -> "Poly1d":
        return Poly1d(jnp.polysub(self._coef(other), self.coeffs))

    def __mul__(self, other: Any) -> "Poly1d":
        return Poly1d(jnp.convolve(self.coeffs, self._coef(other)))

    def __pow__(self, n: int) -> "Poly1d":
        return Poly1d(power(jnp.convolve, self.coeffs, n))

    def __truediv__(self, number: Any) -> "Poly1d":
        return Poly1d(self.coeffs / number)

    def __neg__(self) -> "Poly1d":
        return Poly1d(-self.coeffs)

    __radd__ = __add__
    __rmul__ = __mul__


def _poly1d(c: Any, r: bool = False, variable: Any = None) -> Poly1d:
    return Poly1d(jnp.poly(real(c)) if r else jnp.atleast_1d(real(c)))


def _polyval(p: Any, x: Any) -> Any:
    return jnp.polyval(real(p.coeffs if isinstance(p, Poly1d | np.poly1d) else p), real(x))


TABLE: dict[Any, Callable[..., Any]] = {
    np.poly1d: _poly1d,
    np.polyval: _polyval,
    **{kind: functools.partial(_made, kind) for kind in KINDS},
    **functools.reduce(operator.or_, map(_family, RECURRENCES)),
}
OBJECTS: dict[type, Callable[[Any], Callable[..., Any]]] = {
    np.poly1d: lambda found: Poly1d(found.coeffs),
    ABCPolyBase: _of_data,
}
