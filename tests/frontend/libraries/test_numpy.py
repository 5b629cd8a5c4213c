"""numpy's polynomials, arrays and linear algebra on traced values."""

import numpy as np
from numpy.polynomial import Chebyshev, Hermite, Laguerre, Legendre, Polynomial
from numpy.polynomial import chebyshev as cheb
from numpy.polynomial import hermite_e as herme
from numpy.polynomial import laguerre as lag
from numpy.polynomial import legendre as leg
from numpy.polynomial import polynomial as poly
from scipy import linalg

from tests.frontend.libraries.comparing import compare

X = np.linspace(-0.8, 0.9, 5)
GRID = np.arange(6.0).reshape(2, 3)


def test_polynomials() -> None:
    compare(
        {
            "polyval": lambda a, b, c: np.sum(poly.polyval(X, [a, b, c])),
            "polyval at a": lambda a, b, c: poly.polyval(a, GRID).sum(),
            "no tensor": lambda a, b, c: poly.polyval(X, np.array([[a] * 5, [b] * 5]), tensor=False).sum(),
            "polyval2d": lambda a, b, c: poly.polyval2d(a, b, GRID),
            "polygrid2d": lambda a, b, c: poly.polygrid2d([a, b], [c, a, 1.0], GRID).sum(),
            "polyder": lambda a, b, c: poly.polyval(0.5, poly.polyder([a, b, c, a * b], 2)),
            "polyint": lambda a, b, c: leg.legval(0.5, leg.legint([a, b, c])),
            "mul": lambda a, b, c: np.sum(cheb.chebmul([a, b], [c, 1.0, a]) ** 2),
            "add": lambda a, b, c: np.sum(np.asarray(poly.polyadd([a, b], [c, 1.0, a])) ** 2),
            "pow": lambda a, b, c: poly.polyval(c, poly.polypow([a, b], 3)),
            "fromroots": lambda a, b, c: lag.lagval(0.3, lag.lagfromroots([a, b, c])),
            "change": lambda a, b, c: np.sum(herme.herme2poly([a, b, c, 1.0]) ** 2),
            "vander": lambda a, b, c: np.sum(cheb.chebvander([a, b], 4) @ np.arange(5.0)),
            "fit": lambda a, b, c: np.sum(poly.polyfit(X, a * X + b * X**2 + c, 2) ** 2 * [1.0, 2.0, 3.0]),
        }
    )


def test_polynomial_objects() -> None:
    compare(
        {
            "poly1d": lambda a, b, c: np.sum(np.poly1d([a, b, c])(X)) + np.poly1d([a, b, c]).order,
            "poly1d of data": lambda a, b, c: np.poly1d([1.0, -2.0, 3.0])(a),
            "poly1d derivative": lambda a, b, c: np.poly1d([a, b, c]).deriv()(b) + np.poly1d([a, b]).integ()(c),
            "poly1d products": lambda a, b, c: (np.poly1d([a, b]) * np.poly1d([c, 1.0]) ** 2 - 1.0)(0.3),
            "Polynomial": lambda a, b, c: Polynomial([a, b, c])(0.3) + Polynomial([1.0, 2.0, 3.0])(a),
            "domain": lambda a, b, c: Chebyshev([a, b, c], domain=[0.0, 3.0])(1.2),
            "derivative": lambda a, b, c: Legendre([a, b, c], domain=[0.0, 3.0]).deriv()(b),
            "integral": lambda a, b, c: Hermite([a, b, c]).integ()(0.4) + Laguerre([a, b]).integ(lbnd=0.5)(c),
            "sums": lambda a, b, c: (Polynomial([a, b]) + Polynomial([c, 1.0, a]) * 2.0)(0.7),
        }
    )


def test_arrays() -> None:
    compare(
        {
            "emath": lambda a, b, c: np.emath.sqrt(-a).imag + np.emath.log(-b).real,
            "fix": lambda a, b, c: np.fix(3.0 * b) + a,
            "append": lambda a, b, c: np.append([a, b], c)[2] * np.insert(np.array([a, b]), 1, c)[1],
            "rows": lambda a, b, c: np.r_[a, b, c] @ np.c_[[a, b, c], [1.0, 2.0, 3.0]][:, 1],
            "bincount": lambda a, b, c: np.bincount([0, 2, 2], weights=[a, b, c])[2],
            "tuples beside an array": lambda a, b, c: np.array([[1.0, 2.0, 0.5]]).dot((a, b, c))[0],
            "digitize": lambda a, b, c: a * np.digitize(b, [0.0, 1.0, 2.0]),
        }
    )


def test_linear_algebra() -> None:
    S = np.array([[2.1, 0.3, 0.4], [0.3, 1.7, 0.2], [0.4, 0.2, 1.9]])
    y = np.array([0.3, -1.0, 0.5])
    compare(
        {
            "solve": lambda a, b, c, S, y: y @ np.linalg.solve(S + a * np.eye(3), y * b),
            "inv": lambda a, b, c, S, y: y @ np.linalg.inv(S + a * np.eye(3)) @ y,
            "scipy solve": lambda a, b, c, S, y: y @ linalg.solve(S + a * np.eye(3), y, assume_a="pos"),
            "det": lambda a, b, c, S, y: np.linalg.det(S * a) + linalg.det(S * b),
            "maximum": lambda a, b, c, S, y: np.max(np.linalg.solve(S + a * np.eye(3), y)),
        },
        {"S": S, "y": y},
    )
