"""scipy.interpolate on traced values: interpolants of data at traced points, and of traced values.

An interpolant of data is scipy's own object, of which the coefficients are taken. Most interpolants are linear in the
values that they go through: scipy, given unit vectors, says what the matrix is. So splines through parameters have
known places (x) and traced values (y).
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.interpolate as si
from scipy.interpolate import PPoly

from gradmc.program.frontend.libraries.arrays import real
from gradmc.program.frontend.libraries.unsupported import refuse
from gradmc.program.frontend.values import CannotRoll, any_traced


def numbers(value: Any) -> Any:
    """Numbers that are known as numpy's array, others as JAX's."""
    return real(value) if any_traced(value) else np.asarray(value, float)


class Piecewise:
    """Polynomials between breakpoints, as scipy's PPoly; the coefficients may be traced.

    Args:
        c: coefficients (k + 1, m, ...), the highest power first, of the distance to the breakpoint on the left.
        x: breakpoints (m + 1,), increasing.
        extrapolate: True, False (NaN outside) or "periodic".
    """

    def __init__(self, c: Any, x: Any, extrapolate: Any = True) -> None:
        self.c, self.x, self.extrapolate = numbers(c), numbers(x), extrapolate

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        """The value, or the nu-th derivative, at x."""
        if nu:
            return self.derivative(nu)(x, extrapolate=extrapolate)
        beyond = self.extrapolate if extrapolate is None else extrapolate
        places, c, v, ends = jnp.asarray(self.x), jnp.asarray(self.c), real(x), (self.x[0], self.x[-1])
        if beyond == "periodic":
            v = ends[0] + jnp.mod(v - ends[0], ends[1] - ends[0])
        k = jnp.clip(jnp.searchsorted(places, v, side="right") - 1, 0, c.shape[1] - 1)
        step = (v - places[k]).reshape(v.shape + (1,) * (c.ndim - 2))
        total = jnp.zeros(v.shape + c.shape[2:])
        for power in c:
            total = total * step + power[k]
        if beyond:
            return total
        inside = ((v >= ends[0]) & (v <= ends[1])).reshape(step.shape)
        return jnp.where(inside, total, jnp.nan)

    def derivative(self, nu: int = 1) -> "Piecewise":
        """The nu-th derivative."""
        c = self.c
        for _ in range(int(nu)):
            powers = np.arange(len(c) - 1, 0, -1.0).reshape(-1, *[1] * (c.ndim - 1))
            c = c[:-1] * powers if len(c) > 1 else jnp.zeros_like(c)
        return Piecewise(c, self.x, self.extrapolate)

    def antiderivative(self, nu: int = 1) -> "Piecewise":
        """The nu-th integral, 0 at the first breakpoint."""
        made = self
        for _ in range(int(nu)):
            c = jnp.asarray(made.c)
            powers = np.arange(len(c), 0, -1.0).reshape(-1, *[1] * (c.ndim - 1))
            c = jnp.concatenate([c / powers, jnp.zeros_like(c[:1])])
            h = jnp.diff(made.x).reshape(-1, *[1] * (c.ndim - 2))
            whole = functools.reduce(lambda total, a: total * h + a, c, jnp.zeros_like(c[0]))
            c = c.at[-1].set(jnp.concatenate([jnp.zeros_like(whole[:1]), jnp.cumsum(whole[:-1], axis=0)]))
            made = Piecewise(c, made.x, False if made.extrapolate == "periodic" else made.extrapolate)
        return made

    def integrate(self, a: Any, b: Any, extrapolate: Any = None) -> Any:
        """The integral from a to b."""
        if self.extrapolate == "periodic":
            raise refuse("the integral of a periodic interpolant", "Add the integrals of its parts.")
        primitive = self.antiderivative()
        return primitive(b, extrapolate=extrapolate) - primitive(a, extrapolate=extrapolate)

    integral = integrate

    def derivatives(self, x: Any) -> Any:
        """The value and all derivatives at x."""
        return jnp.stack([self(x, nu) for nu in range(len(self.c))])


def _of_ppoly(found: Any) -> Piecewise:
    if getattr(found, "axis", 0) != 0:
        raise refuse("an interpolant along another axis than the first", "Move the axis: np.moveaxis(y, axis, 0).")
    return Piecewise(found.c, found.x, found.extrapolate)


def _of_knots(t: Any, c: Any, k: int, extrapolate: Any = True) -> Piecewise:
    """A B-spline; c may have further axes."""
    c = np.asarray(c)
    columns = c.reshape(len(c), -1).T
    made = [PPoly.from_spline((t, column, k)) for column in columns]
    x = np.asarray(made[0].x)
    keep = np.flatnonzero(np.diff(x) > 0)  # knots that coincide
    parts = np.stack([p.c[:, keep] for p in made], axis=-1)
    return Piecewise(parts.reshape(*parts.shape[:2], *c.shape[1:]), np.append(x[keep], x[keep[-1] + 1]), extrapolate)


def _of_bspline(found: Any) -> Piecewise:
    n = len(found.t) - found.k - 1
    low, high = found.t[found.k], found.t[n]
    made = _of_knots(found.t, found.c[:n], found.k, found.extrapolate)
    inside = np.flatnonzero((np.asarray(made.x)[:-1] >= low) & (np.asarray(made.x)[1:] <= high))
    return Piecewise(made.c[:, inside], made.x[inside[0] : inside[-1] + 2], found.extrapolate)


class Bounded:
    """FITPACK's spline of one variable: `ext` says what it is outside of its knots."""

    def __init__(self, spline: Piecewise, ext: Any) -> None:
        self.spline, self.ext = spline, {"extrapolate": 0, "zeros": 1, "raise": 2, "const": 3}.get(ext, ext)

    def __call__(self, x: Any, nu: int = 0, ext: Any = None) -> Any:
        """The value at x; NaN where scipy raises."""
        ext = self.ext if ext is None else {"extrapolate": 0, "zeros": 1, "raise": 2, "const": 3}.get(ext, ext)
        x, low, high = real(x), self.spline.x[0], self.spline.x[-1]
        if ext == 0:
            return self.spline(x, nu)
        inside = (x >= low) & (x <= high)
        found = self.spline(jnp.clip(x, low, high), nu)
        if ext == 3:
            return found if not nu else jnp.where(inside, found, 0.0)
        return jnp.where(inside, found, 0.0 if ext == 1 else jnp.nan)

    def derivative(self, n: int = 1) -> "Bounded":
        """The n-th derivative."""
        return Bounded(self.spline.derivative(n), self.ext if self.ext != 3 else 1)

    def antiderivative(self, n: int = 1) -> "Bounded":
        """The n-th integral."""
        return Bounded(self.spline.antiderivative(n), self.ext)

    def integral(self, a: Any, b: Any) -> Any:
        """The integral from a to b, of 0 outside of the knots."""
        low, high = self.spline.x[0], self.spline.x[-1]
        return self.spline.integrate(jnp.clip(real(a), low, high), jnp.clip(real(b), low, high))


def _of_univariate(found: Any) -> Bounded:
    t, c, k = found._eval_args
    return Bounded(_inner(t, c, k), found.ext)


def _inner(t: Any, c: Any, k: int) -> Piecewise:
    return _of_bspline(si.BSpline(t, np.asarray(c)[: len(t) - k - 1], k))


def _splev(x: Any, tck: Any, der: int = 0, ext: int = 0) -> Any:
    if isinstance(tck, Bounded):
        return tck(x, der, ext)
    t, c, k = (tck.t, tck.c, tck.k) if isinstance(tck, si.BSpline) else tck
    return Bounded(_inner(t, c, k), ext)(x, der)


# --- interpolants of traced values -------------------------------------------------------------------


def _known(x: Any, what: str) -> np.ndarray:
    if any_traced(x):
        raise CannotRoll(f"{what} at places that depend on parameters", "Interpolate by a formula, or linearly.")
    return np.asarray(x, float)


def _linear(make: Callable[[np.ndarray, np.ndarray], Piecewise], x: np.ndarray, y: Any) -> Piecewise:
    """An interpolant that is linear in the values, by those of unit vectors."""
    units = make(x, np.eye(len(x)))
    return Piecewise(jnp.tensordot(units.c, real(y), 1), units.x, units.extrapolate)


def cubic_spline(x: Any, y: Any, axis: int = 0, bc_type: Any = "not-a-knot", extrapolate: Any = None) -> Piecewise:
    """`scipy.interpolate.CubicSpline` through traced values."""
    x = _known(x, "CubicSpline")
    y = jnp.moveaxis(real(y), axis, 0)
    if not isinstance(bc_type, str) and any(not isinstance(b, str) and np.any(np.asarray(b[1])) for b in bc_type):
        raise refuse("CubicSpline(..., bc_type with slopes other than 0)", "Use a name: 'natural', 'clamped'.")
    if bc_type == "periodic":
        y = y.at[-1].set(y[0])
        matrix = np.eye(len(x))
        matrix[-1] = matrix[0]
        units = si.CubicSpline(x, matrix, bc_type=bc_type)
        return Piecewise(
            jnp.tensordot(units.c, y.at[-1].set(0.0), 1), x, "periodic" if extrapolate is None else extrapolate
        )
    if not isinstance(bc_type, str):
        zero = np.zeros(len(x))
        bc_type = tuple(b if isinstance(b, str) else (b[0], zero) for b in bc_type)
    found = _linear(lambda x, y: _of_ppoly(si.CubicSpline(x, y, bc_type=bc_type)), x, y)
    found.extrapolate = True if extrapolate is None else extrapolate
    return found


def hermite(x: Any, y: Any, dydx: Any, axis: int = 0, extrapolate: Any = None) -> Piecewise:
    """`scipy.interpolate.CubicHermiteSpline`."""
    x, y, d = real(x), jnp.moveaxis(real(y), axis, 0), jnp.moveaxis(real(dydx), axis, 0)
    h = jnp.diff(x).reshape(-1, *[1] * (y.ndim - 1))
    slope = jnp.diff(y, axis=0) / h
    t = (d[:-1] + d[1:] - 2.0 * slope) / h
    return Piecewise(jnp.stack([t / h, (slope - d[:-1]) / h - t, d[:-1], y[:-1]]), x, extrapolate in (None, True))


def pchip(x: Any, y: Any, axis: int = 0, extrapolate: Any = None) -> Piecewise:
    """`scipy.interpolate.PchipInterpolator` (Fritsch & Butland 1984)."""
    x, y = real(x), jnp.moveaxis(real(y), axis, 0)
    h = jnp.diff(x).reshape(-1, *[1] * (y.ndim - 1))
    m = jnp.diff(y, axis=0) / h
    if len(y) == 2:
        return hermite(x, y, jnp.concatenate([m, m]), 0, extrapolate)
    w1, w2 = 2.0 * h[1:] + h[:-1], h[1:] + 2.0 * h[:-1]
    rises = m[1:] * m[:-1] > 0
    one, other = jnp.where(rises, m[:-1], 1.0), jnp.where(rises, m[1:], 1.0)
    inner = jnp.where(rises, (w1 + w2) / (w1 / one + w2 / other), 0.0)
    first, last = _pchip_end(h[0], h[1], m[0], m[1]), _pchip_end(h[-1], h[-2], m[-1], m[-2])
    return hermite(x, y, jnp.concatenate([first[None], inner, last[None]]), 0, extrapolate)


def _pchip_end(h0: Any, h1: Any, m0: Any, m1: Any) -> Any:
    d = ((2.0 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
    overshoots = (jnp.sign(m0) != jnp.sign(m1)) & (jnp.abs(d) > 3.0 * jnp.abs(m0))
    return jnp.where(jnp.sign(d) != jnp.sign(m0), 0.0, jnp.where(overshoots, 3.0 * m0, d))


def akima(x: Any, y: Any, axis: int = 0, *, method: str = "akima", extrapolate: Any = None) -> Piecewise:
    """`scipy.interpolate.Akima1DInterpolator` (Akima 1970)."""
    x, y = real(x), jnp.moveaxis(real(y), axis, 0)
    m = jnp.diff(y, axis=0) / jnp.diff(x).reshape(-1, *[1] * (y.ndim - 1))
    before = 2.0 * m[0] - m[1]
    after = 2.0 * m[-1] - m[-2]
    m = jnp.concatenate([(2.0 * before - m[0])[None], before[None], m, after[None], (2.0 * after - m[-1])[None]])
    change = jnp.abs(jnp.diff(m, axis=0))
    if method == "makima":
        change = change + 0.5 * jnp.abs(m[1:] + m[:-1])
    f1, f2 = change[2:], change[:-2]
    whole = f1 + f2
    flat = whole <= 1e-9 * jnp.max(whole)
    slopes = (f1 * m[1:-2] + f2 * m[2:-1]) / jnp.where(flat, 1.0, whole)
    slopes = jnp.where(flat, 0.5 * (m[3:] + m[:-3]) if method == "akima" else 0.0, slopes)
    return hermite(x, y, slopes, 0, False if extrapolate is None else extrapolate)


def bspline_through(
    x: Any, y: Any, k: int = 3, t: Any = None, bc_type: Any = None, axis: int = 0, check_finite: bool = True
) -> Piecewise:
    """`scipy.interpolate.make_interp_spline` through traced values."""
    y = jnp.moveaxis(real(y), axis, 0)
    make = lambda x, units: _of_bspline(si.make_interp_spline(x, units, k, t, bc_type))  # noqa: E731
    return _linear(make, _known(x, "make_interp_spline"), y)


def univariate(
    x: Any, y: Any, w: Any = None, bbox: Any = (None, None), k: int = 3, s: Any = 0, ext: Any = 0,
    check_finite: bool = False,
) -> Bounded:  # fmt: skip
    """FITPACK's interpolating spline through traced values."""
    if s is None or any_traced(s) or float(s) != 0.0:
        raise refuse(
            "a smoothing spline (s > 0) through traced values", "Interpolate (s=0), or smooth the data before."
        )

    def make(x: np.ndarray, units: np.ndarray) -> Piecewise:
        made = [_of_univariate(si.InterpolatedUnivariateSpline(x, u, w, list(bbox), k)).spline for u in units]
        return Piecewise(jnp.stack([m.c for m in made], axis=-1), made[0].x)

    return Bounded(_linear(make, _known(x, "a spline"), y), ext)


def splrep(x: Any, y: Any, w: Any = None, xb: Any = None, xe: Any = None, k: int = 3, task: int = 0, s: Any = None,
           *_: Any, **__: Any) -> Bounded:  # fmt: skip
    """`scipy.interpolate.splrep` through traced values: what `splev` takes."""
    return univariate(x, y, w, (xb, xe), k, 0 if s is None and w is None else s)


class Interp1d:
    """`scipy.interpolate.interp1d`, of data or of traced values; NaN where scipy raises."""

    def __init__(
        self, x: Any, y: Any, kind: Any = "linear", axis: int = -1, copy: Any = True, bounds_error: Any = None,
        fill_value: Any = np.nan, assume_sorted: bool = False,
    ) -> None:  # fmt: skip
        self.x, self.y = numbers(x), jnp.moveaxis(real(y), axis, 0)
        if not assume_sorted and not any_traced(x):
            order = np.argsort(self.x)
            self.x, self.y = self.x[order], self.y[order]
        self.kind, self.fill = kind, fill_value
        degree: Any = {"zero": 0, "slinear": 1, "quadratic": 2, "cubic": 3}.get(kind, kind)
        smooth = isinstance(degree, int) and degree >= 2
        self.spline = bspline_through(self.x, self.y, int(degree)) if smooth else None
        if self.spline is not None and fill_value == "extrapolate":
            self.spline.extrapolate = True

    def __call__(self, x: Any) -> Any:
        """The value at x."""
        v = real(x)
        low, high = self.x[0], self.x[-1]
        if isinstance(self.fill, str):
            return self._inside(v)
        below, above = self.fill if isinstance(self.fill, tuple) else (self.fill, self.fill)
        found = self._inside(jnp.clip(v, low, high))
        shape = v.shape + (1,) * (found.ndim - v.ndim)
        return jnp.where((v < low).reshape(shape), below, jnp.where((v > high).reshape(shape), above, found))

    def _inside(self, v: Any) -> Any:
        if self.spline is not None:
            return jnp.reshape(self.spline(v), v.shape + self.y.shape[1:])  # scipy's own has one axis more
        n = self.x.size
        shape = v.shape + (1,) * (self.y.ndim - 1)
        match self.kind:
            case "nearest" | "nearest-up":
                middles = 0.5 * (self.x[1:] + self.x[:-1])
                side = "left" if self.kind == "nearest" else "right"
                return self.y[jnp.searchsorted(middles, v, side=side)]
            case "previous" | "zero" | 0:
                return self.y[jnp.clip(jnp.searchsorted(self.x, v, side="right") - 1, 0, n - 1)]
            case "next":
                return self.y[jnp.clip(jnp.searchsorted(self.x, v, side="left"), 0, n - 1)]
        k = jnp.clip(jnp.searchsorted(self.x, v) - 1, 0, n - 2)
        x = jnp.asarray(self.x)
        share = ((v - x[k]) / (x[k + 1] - x[k])).reshape(shape)
        return self.y[k] + share * (self.y[k + 1] - self.y[k])


def _of_interp1d(found: Any) -> Interp1d:
    fill = "extrapolate" if getattr(found, "_extrapolate", False) else found.fill_value
    made = Interp1d(found.x, found.y, found._kind, found.axis, fill_value=fill, assume_sorted=True)
    if hasattr(found, "_spline"):
        made.spline = _of_bspline(found._spline)
        made.spline.extrapolate = True
    return made


class Grid:
    """`scipy.interpolate.RegularGridInterpolator`: linear or nearest, of data or of traced values."""

    def __init__(
        self, points: Sequence[Any], values: Any, method: str = "linear", bounds_error: bool = True,
        fill_value: Any = np.nan, **_: Any,
    ) -> None:  # fmt: skip
        if method not in ("linear", "nearest"):
            raise refuse(f"RegularGridInterpolator(..., method={method!r})", "Use 'linear' or 'nearest'.")
        self.points, self.values = [real(p) for p in points], real(values)
        self.method, self.fill = method, np.nan if bounds_error else fill_value

    def __call__(self, xi: Any, method: Any = None) -> Any:
        """The values at points (..., dimension); NaN where scipy raises."""
        if isinstance(xi, tuple):
            xi = jnp.stack(jnp.broadcast_arrays(*map(real, xi)), axis=-1)
        x = real(xi)
        x = x[None] if x.ndim == 1 and len(self.points) > 1 else x[:, None] if x.ndim == 1 else x
        places, shares, inside = [], [], jnp.asarray(True)
        for d, p in enumerate(self.points):
            v = x[..., d]
            k = jnp.clip(jnp.searchsorted(p, v, side="right") - 1, 0, p.size - 2)
            places.append(k)
            shares.append((v - p[k]) / (p[k + 1] - p[k]))
            inside = inside & (v >= p[0]) & (v <= p[-1])
        rest = (1,) * (self.values.ndim - len(self.points))
        if (method or self.method) == "nearest":
            at = tuple(jnp.where(s <= 0.5, k, k + 1) for k, s in zip(places, shares, strict=True))
            total = self.values[at]
        else:
            total = 0.0
            for corner in np.ndindex(*[2] * len(places)):
                weight = functools.reduce(
                    lambda a, b: a * b, (s if c else 1.0 - s for c, s in zip(corner, shares, strict=True))
                )
                at = tuple(k + c for c, k in zip(corner, places, strict=True))
                total = total + weight.reshape(weight.shape + rest) * self.values[at]
        if self.fill is None:
            return total
        return jnp.where(inside.reshape(inside.shape + rest), total, self.fill)


def _of_grid(found: Any) -> Grid:
    return Grid(found.grid, found.values, found.method, found.bounds_error, found.fill_value)


class Barycentric:
    """The polynomial through points, by the barycentric formula (Berrut & Trefethen 2004)."""

    def __init__(self, xi: Any, yi: Any, axis: int = 0, **_: Any) -> None:
        self.x, self.y = real(xi), jnp.moveaxis(real(yi), axis, 0)
        apart = self.x[:, None] - self.x
        self.weights = 1.0 / jnp.prod(jnp.where(np.eye(self.x.size, dtype=bool), 1.0, apart), axis=1)

    def __call__(self, x: Any) -> Any:
        """The value at x, by Lagrange's form, which has derivatives at the points, too."""
        v = real(x)
        away = v[..., None, None] - self.x
        own = np.eye(self.x.size, dtype=bool)
        return jnp.tensordot(jnp.prod(jnp.where(own, 1.0, away), axis=-1) * self.weights, self.y, 1)


class Surface:
    """FITPACK's spline of two variables."""

    def __init__(self, tx: Any, ty: Any, c: Any, kx: int, ky: int) -> None:
        units = [np.eye(len(t) - k - 1) for t, k in ((tx, kx), (ty, ky))]
        self.parts = [_of_bspline(si.BSpline(t, u, k)) for t, u, k in zip((tx, ty), units, (kx, ky), strict=True)]
        self.c = np.asarray(c).reshape(len(units[0]), len(units[1]))

    def ev(self, xi: Any, yi: Any, dx: int = 0, dy: int = 0) -> Any:
        """The values at points."""
        bx, by = (
            p(jnp.clip(real(v), p.x[0], p.x[-1]), n) for p, v, n in zip(self.parts, (xi, yi), (dx, dy), strict=True)
        )
        return jnp.einsum("...i,ij,...j->...", bx, self.c, by)

    def __call__(self, x: Any, y: Any, dx: int = 0, dy: int = 0, grid: bool = True) -> Any:
        """The values on a grid, or at points."""
        if not grid:
            return self.ev(x, y, dx, dy)
        x, y = jnp.atleast_1d(real(x)), jnp.atleast_1d(real(y))
        return self.ev(x[:, None], y[None, :], dx, dy)


def _of_polynomial(found: Any) -> Barycentric:
    return Barycentric(found.xi, np.reshape(found.yi, (len(found.xi), *found._y_extra_shape)))


def _of_surface(found: Any) -> Surface:
    return Surface(*found.tck, *found.degrees)


def _method(made: Callable[[Any], Any], names: frozenset[str]) -> Callable[[Any, Any], Callable[..., Any] | None]:
    """Methods of scipy's object, by those of the one here."""

    def find(found: Any, method: Any) -> Callable[..., Any] | None:
        return getattr(made(found), method.__name__) if method.__name__ in names else None

    return find


OF_SPLINES = frozenset(["__call__", "integrate", "integral", "derivatives"])

TABLE: dict[Any, Callable[..., Any]] = {
    si.CubicSpline: cubic_spline,
    si.CubicHermiteSpline: hermite,
    si.PchipInterpolator: pchip,
    si.pchip_interpolate: lambda xi, yi, x, der=0, axis=0: pchip(xi, yi, axis)(x, der),
    si.Akima1DInterpolator: akima,
    si.make_interp_spline: bspline_through,
    si.InterpolatedUnivariateSpline: lambda x, y, w=None, bbox=(None, None), k=3, ext=0, check_finite=False: univariate(
        x, y, w, bbox, k, 0, ext
    ),
    si.UnivariateSpline: lambda x, y, w=None, bbox=(None, None), k=3, s=None, ext=0, check_finite=False: univariate(
        x, y, w, bbox, k, s, ext
    ),
    si.splrep: splrep,
    si.splev: _splev,
    si.interp1d: Interp1d,
    si.PPoly: Piecewise,
    si.RegularGridInterpolator: Grid,
    si.interpn: lambda points, values, xi, method="linear", bounds_error=True, fill_value=np.nan: Grid(
        points, values, method, bounds_error, fill_value
    )(xi),
    si.BarycentricInterpolator: Barycentric,
    si.KroghInterpolator: Barycentric,
    si.barycentric_interpolate: lambda xi, yi, x, axis=0: Barycentric(xi, yi, axis)(x),
    si.krogh_interpolate: lambda xi, yi, x, der=0, axis=0: Barycentric(xi, yi, axis)(x),
}
OBJECTS: dict[type, Callable[[Any], Callable[..., Any]]] = {
    si.PPoly: _of_ppoly,
    si.BSpline: _of_bspline,
    si.UnivariateSpline: _of_univariate,
    si.interp1d: _of_interp1d,
    si.RegularGridInterpolator: _of_grid,
    si.BarycentricInterpolator: _of_polynomial,
    si.KroghInterpolator: _of_polynomial,
    si.RectBivariateSpline: _of_surface,
}
METHODS: dict[type, Callable[[Any, Any], Callable[..., Any] | None]] = {
    si.PPoly: _method(_of_ppoly, OF_SPLINES),
    si.BSpline: _method(_of_bspline, OF_SPLINES),
    si.UnivariateSpline: _method(_of_univariate, OF_SPLINES),
    si.RectBivariateSpline: _method(_of_surface, frozenset(["__call__", "ev"])),
}
