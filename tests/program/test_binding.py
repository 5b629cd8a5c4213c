"""Binding: sizes, dimensions and labels; data in standard form, and data that are refused."""

import math
import threading

import jax
import numpy as np
import pytest

import gradmc as gm
from gradmc.errors import DataError, UsageError
from gradmc.program.data import Data
from gradmc.program.exact import plain_data
from gradmc.program.model import model
from gradmc.program.supports import CholeskyCorr, Interval, Positive, Real, Simplex


@model
def schools(mu: Real, theta: Real["school"], *, y: Data["school"], sigma: Data["school"]):
    return mu


@model
def everything(
    b: Real["T - 1", 2],
    p: Simplex["K"],
    c: CholeskyCorr["K"],
    *,
    x: Data["T", "column"],
    K: int,
    label: str = "none",
    scale: float = 2,
    offset=None,
    options: dict | None = None,
    extra=1.5,
):
    return 0.0


X = np.arange(6.0).reshape(3, 2)


def test_times_that_label_an_axis_stay_times():
    days = np.array(["2020-01-01", "2020-01-02"], "datetime64[ns]")
    bound = schools.bind({"y": [1.0, 2.0], "sigma": [1, 2], "school": days})
    assert [text[:10] for text in bound.coords["school"]] == ["2020-01-01", "2020-01-02"]


def test_sizes_dims_and_coords():
    bound = schools.bind({"y": [1.0, 2.0], "sigma": [1, 2], "school": ["A", "B"]})
    assert bound.sizes == {"school": 2}
    assert bound.dims == {"y": ("school",), "sigma": ("school",), "mu": (), "theta": ("school",)}
    assert bound.coords == {"school": ["A", "B"]}
    assert [p.shape for p in bound.parameters] == [(), (2,)]
    assert schools.bind({"y": [1.0, 2.0], "sigma": [1, 2]}).coords == {"school": [0, 1]}


def test_arithmetic_integers_matrices_and_defaults():
    bound = everything.bind({"x": X, "K": np.int64(3)})
    assert bound.sizes == {"T": 3, "column": 2, "K": 3}
    assert [p.shape for p in bound.parameters] == [(2, 2), (3,), (3, 3)]
    # An arithmetic size and an integer have no name; a dimension named like a datum would collide with it.
    assert bound.dims["b"] == ("b_dim_0", "b_dim_1")
    assert bound.dims["p"] == ("p_dim_0",)
    assert bound.dims["x"] == ("T", "column")
    assert bound.data["label"] == "none"
    assert bound.data["offset"] is None
    assert bound.data["options"] is None
    assert bound.data["scale"] == 2.0
    assert type(bound.data["scale"]) is float
    assert type(bound.data["K"]) is int


def test_square_matrices_have_two_names():
    @model
    def program(c: CholeskyCorr["item"], *, y: Data["item"]):
        return 0.0

    assert program.bind({"y": [1.0, 2.0]}).dims["c"] == ("item", "item_bis")


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1, 2, 3], np.int64),
        (np.array([1, 2, 3], np.uint8), np.int64),
        (np.array([1, 2, 3], np.float32), np.float64),
        ([True, False], np.bool_),
        ([[1.5], [2.5]], np.float64),
        (range(3), np.int64),
        (jax.numpy.arange(3), np.int64),
        (np.ma.array([1.0, 2.0], mask=[False, False]), np.float64),
        (np.array([1, 2.5], dtype=object), np.float64),
    ],
)
def test_arrays_take_their_standard_form(value, dtype):
    @model
    def program(mu: Real, *, y):
        return mu

    array = program.bind({"y": value}).data["y"]
    assert isinstance(array, np.ndarray)
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, np.asarray(value).astype(dtype))


@pytest.mark.parametrize("value", ["text", {"a": 1}, None, ["a", "b"], [[1.0], [1.0, 2.0]]])
def test_other_objects_are_handed_on(value):
    @model
    def program(mu: Real, *, y):
        return mu

    assert program.bind({"y": value}).data["y"] == value


@pytest.mark.parametrize("value", [np.float64(1.5), np.array(1.5), 1.5, np.float32(1.5)])
def test_numbers_become_python_numbers(value):
    @model
    def program(mu: Real, *, y):
        return mu

    assert type(program.bind({"y": value}).data["y"]) is float


def test_records_keep_their_whole_numbers():
    @model
    def program(mu: Real, *, jumps):
        rates = np.array([[0.0, mu], [mu, 0.0]])
        return sum(-rates[a, b] * dt for a, b, dt in jumps)

    jumps = [(0, 1, 0.5), (1, 0, 0.25)]
    assert program.bind({"jumps": jumps}).data["jumps"] == jumps
    assert gm.density(program, {"jumps": jumps}).log_density({"mu": 2.0}) == -1.5
    assert isinstance(program.bind({"jumps": [(1, 2), (3, 4)]}).data["jumps"], np.ndarray)
    assert isinstance(program.bind({"jumps": [[1, 0.5], [0.5, 1]]}).data["jumps"], np.ndarray)
    assert isinstance(program.bind({"jumps": [(1, 0.5), (0.5, 1)]}).data["jumps"], np.ndarray)


def test_data_are_not_shared_with_the_caller():
    y = np.ones(2)
    bound = schools.bind({"y": y, "sigma": [1.0, 1.0]})
    y[0] = 9.0
    assert bound.data["y"][0] == 1.0


@model
def bounded(x: Positive["K"], y: Interval(0, "x"), *, K: int):
    return 0.0


GOOD = {"y": [1.0, 2.0], "sigma": [1.0, 2.0]}
REFUSED = [
    (schools, [1], "expected the data as a dictionary from names to values, got list"),
    (schools, {1: 2.0}, "data are named by strings, got the key 1"),
    (schools, {}, "model schools: missing data 'y', 'sigma'; got no data"),
    (schools, {"y": [1.0]}, "missing data 'sigma'; got 'y'"),
    (schools, {**GOOD, "sigmas": 1}, "unknown data 'sigmas'; did you mean 'sigma'"),
    (schools, {**GOOD, "zzz": 1}, "unknown data 'zzz'; the model takes"),
    (schools, {**GOOD, "theta": [1.0]}, "'theta' is a parameter, not a datum"),
    (
        schools,
        {"y": np.ones(8), "sigma": np.ones(7)},
        "y has 8 entries along 'school', sigma has 7 entries along 'school'",
    ),
    (schools, {**GOOD, "y": 1.0}, r"y: expected an array with 1 axis \(school\), got shape \(\)"),
    (
        schools,
        {**GOOD, "y": np.ones((2, 2))},
        r"y: expected an array with 1 axis \(school\), got shape \(2, 2\)",
    ),
    (schools, {**GOOD, "y": "abc"}, "y: expected an array of numbers, got 'abc' of type str"),
    (
        schools,
        {**GOOD, "y": [[1.0], [1.0, 2.0]]},
        "y: expected an array of numbers, got a list that is not a rect",
    ),
    (schools, {**GOOD, "y": [1.0, math.nan]}, r"y\[1\] is nan: data must be finite"),
    (schools, {**GOOD, "y": [math.inf, math.inf]}, r"y\[0\] is inf \(2 such entries in all\)"),
    (schools, {**GOOD, "y": np.array(["1", "x", "2"])}, r"y: expected an array of numbers, got text, 'x' at \[1\] for"),
    (schools, {**GOOD, "y": [1j, 2.0]}, "y: expected an array of numbers"),
    (schools, {**GOOD, "y": np.ma.array([1.0, 2.0], mask=[True, False])}, "y: a masked array with masked entries"),
    (schools, {**GOOD, "y": np.array([2**64 - 1, 0], np.uint64)}, "does not fit into 64-bit integers"),
    (
        schools,
        {**GOOD, "school": ["A", "B", "C"]},
        "3 labels came for the dimension 'school', which has 2 entries",
    ),
    (everything, {"x": X, "K": 2.5}, "K: expected int, got 2.5 of type float"),
    (everything, {"x": X, "K": True}, "K: expected int, got True of type bool"),
    (everything, {"x": X, "K": 3, "label": 4}, "label: expected str, got 4 of type int"),
    (everything, {"x": X, "K": 3, "scale": math.nan}, "scale is nan"),
    (everything, {"x": X[:0], "K": 3}, "the size 'T - 1' is -1; a size cannot be negative"),
    (bounded, {"K": 3}, r"parameter y: .* a bound of shape \(3,\) does not fit the parameter's shape \(\)"),
    (everything, {"x": X, "K": 0}, "the last size must be at least 1, got 0"),
]


@pytest.mark.parametrize(("program", "data", "message"), REFUSED)
def test_refused_data(program, data, message):
    with pytest.raises(DataError, match=message):
        program.bind(data)


def test_sizes_that_nothing_shows():
    @model
    def program(b: Real["groups"], *, y: Data["group"]):
        return 0.0

    with pytest.raises(DataError, match=r"the size 'groups' is not known.*did you mean 'group'\?"):
        program.bind({"y": [1.0]})


def test_sizes_from_integers_are_checked_against_arrays():
    @model
    def program(b: Real["N"], *, N: int, y: Data["N"]):
        return 0.0

    assert program.bind({"N": 2, "y": [1.0, 2.0]}).parameters[0].shape == (2,)
    with pytest.raises(DataError, match=r"the data value N is 3, y has 2 entries along 'N'"):
        program.bind({"N": 3, "y": [1.0, 2.0]})


def test_sizes_used_as_shapes_must_be_integers():
    @model
    def program(b: Real["N"], *, N):
        return 0.0

    with pytest.raises(DataError, match="'N' is used as a size, so it must be an integer, got float"):
        program.bind({"N": 2.0})


def test_sizes_are_solved_from_arithmetic():
    @model
    def program(b: Real["T"], *, step: Data["T - 1"], y: Data["T"]):
        return 0.0

    assert program.bind({"step": [1.0], "y": [1.0, 2.0]}).sizes == {"T": 2}
    with pytest.raises(DataError, match=r"y has 3 entries along 'T'"):
        program.bind({"step": [1.0], "y": [1.0, 2.0, 3.0]})


def test_integer_axes_are_checked():
    @model
    def program(b: Real, *, y: Data["n", 2]):
        return 0.0

    with pytest.raises(DataError, match="y has 3 entries along '2', expected 2"):
        program.bind({"y": np.ones((4, 3))})


@pytest.mark.parametrize(
    ("upper", "message"),
    [
        (-1.0, "expected lower < upper, got lower = 0.0 and upper = -1.0"),
        ([1.0, -1.0], "expected lower < upper, got lower = 0.0 and upper = -1.0"),
        ([1.0, 2.0, 3.0], r"a bound of shape \(3,\) does not fit the parameter's shape \(2,\)"),
        ("high", "must be a number or an array, got str"),
    ],
)
def test_bounds_from_data_are_checked(upper, message):
    @model
    def program(b: Interval(0, "upper")["n"], *, upper, y: Data["n"]):
        return 0.0

    with pytest.raises(DataError, match=message):
        program.bind({"upper": upper, "y": [1.0, 2.0]})


def test_a_model_without_data_binds_to_nothing():
    @model
    def program(s: Positive):
        return -s

    assert program.bind().data == {}


def test_iterators_are_refused():
    @model
    def program(a: Real, *, y):
        return sum(y) * a

    for y in ((v for v in (1.0, 2.0)), iter([1.0, 2.0]), map(float, [1])):
        with pytest.raises(DataError, match=r"y: a \w+ can be read once only, and the program runs more often; pass a"):
            program.bind({"y": y})


def test_what_cannot_be_copied_is_given_as_it_is():
    lock, row = threading.Lock(), [1.0]
    given = plain_data({"some": {"lock": lock, "row": row}})
    assert given["some"]["lock"] is lock
    assert given["some"]["row"] == row
    assert given["some"]["row"] is not row


@model
def effects(mu: Real, z: Real["J"], w: Real["J + 1"], *, y: Data["n"] = ()):
    return mu


def test_a_declared_dimension_may_come_as_its_size() -> None:
    bound = effects.bind({"J": 3})
    assert [p.shape for p in bound.parameters] == [(), (3,), (4,)]
    assert bound.dims["z"] == ("J",)
    assert bound.coords["J"] == [0, 1, 2]
    assert "J" not in bound.data
    assert effects.bind({"J": ["a", "b"]}).coords["J"] == ["a", "b"]
    assert effects.bind({"J": np.int64(2)}).parameters[1].shape == (2,)


def test_a_size_must_agree_with_the_data_and_be_a_whole_number() -> None:
    with pytest.raises(DataError, match="the data value n is 3, y has 2 entries along 'n'"):
        effects.bind({"J": 1, "n": 3, "y": [1.0, 2.0]})
    for wrong in (2.0, True, -1, "three", [[1]]):
        with pytest.raises(DataError, match="'J' is a dimension: expected its size, a whole number"):
            effects.bind({"J": wrong})


@pytest.mark.parametrize("size", [10**12, 10**9])
def test_more_parameters_than_fit_into_memory_are_refused(size: int) -> None:
    @gm.model
    def many(a: Real["K"], *, K: int):
        return -0.5 * np.sum(a**2)

    with pytest.raises(UsageError, match=f"the model has {size:,} parameters"):
        gm.density(many, {"K": size})
