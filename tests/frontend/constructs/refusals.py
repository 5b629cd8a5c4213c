"""What is refused, with the line that is blamed, the message, and the remedy."""
# ruff: noqa: B023, E501, F841, RET503, SIM108

import itertools
import math
import random

import numpy as np
import scipy.linalg
import scipy.signal
import scipy.stats

from tests.frontend.constructs import refused
from tests.frontend.constructs.loops import X

TOTAL = 0.0


@refused(
    "a variable that has a value on one side of a branch only, when it is read",
    0.7,
    x=X,
    line="lp += sign",
    message="'sign' may have no value here: it is assigned on one side of a branch only",
    remedy="Assign it before the loop or branch, so that it has a value on every path.",
)
def one_side(a, *, x):
    lp = 0.0
    for v in x:
        if v * a > 0:
            sign = 1.0
        lp += sign
    return lp


@refused(
    "a variable that is read before it is assigned",
    0.7,
    x=X,
    line="lp += before",
    message="'before' may have no value here",
    remedy="Assign it before the loop or branch, so that it has a value on every path.",
)
def unassigned(a, *, x):
    lp = 0.0
    for v in x:
        lp += before * a
        before = v
    return lp


@refused(
    "a value that is a number on one side of a branch and something else on the other",
    0.7,
    line="return a * len(kind)",
    message="'kind' may have no value here: it is a dict of a number on one side of a branch and a tuple of a number, "
    "a number on the other",
    remedy="Assign it before the loop or branch, so that it has a value on every path.",
)
def unlike_sides(a):
    if a > 0.5:
        kind = {"large": a}
    else:
        kind = (a, 1.0)
    return a * len(kind)


@refused(
    "no value returned on one path",
    0.7,
    line="if a > 0.5",
    message="the return value may have no value here: it is a number on one side of a branch and None on the other",
    remedy="Return a number on every path.",
)
def one_path(a):
    if a > 0.5:
        return a


@refused(
    "`is True`, or `case True`, of a condition that depends on parameters",
    0.7,
    line="if (a > 0.5) is True",
    message="`is` (also: case True, case False) compares a truth value that is not known while compiling",
    remedy="Test the condition itself",
)
def is_true(a):
    if (a > 0.5) is True:
        return a
    return 2 * a


@refused(
    "a search by comparisons that does not say what it searches",
    0.7,
    line="for _ in range(60)",
    message="this loop closes in on a number by comparisons",
    remedy="Or solve by Newton's method",
)
def search_used_within(a):
    lo, hi, total = 0.0, 10.0, 0.0
    for _ in range(60):
        mid = 0.5 * (lo + hi)
        if mid**3 + mid > a:
            hi = mid
        else:
            lo = mid
        total += mid
    return total


@refused(
    "an array that changes its shape in a loop",
    0.7,
    x=X,
    line="for v in np.concatenate",
    message="'out' has shape (3,) at first and (4,) after an iteration",
    remedy="Loop over a range or an array, and index arrays (not lists of unlike things, strings or dicts) with the loop's variable, so that every iteration does the same.",
)
def growing_array(a, *, x):
    out = np.zeros(1)
    for v in np.concatenate([x, x, x]):
        out = np.append(out, a * v)
    return np.sum(out)


@refused(
    "a list that grows and shrinks on the sides of a branch on a parameter",
    0.7,
    x=X,
    line="if a * v > 0.1",
    message="a list grows on one side of a branch only",
    remedy="Append on both sides (a 0.0 where there is nothing), or store into an array that is made before.",
)
def conditional_append(a, *, x):
    out = [0.0]
    for v in x:
        if a * v > 0.1:
            out.append(v)
        elif len(out) > 1:
            out.pop()
    return sum(out)


@refused(
    "a list that grows in a while whose length depends on a parameter",
    2.0,
    line="while error > 1e-6",
    message="a list grows in it, and the number of iterations is not known while compiling",
    remedy="Let the loop be `for _ in range(most):` with a break, or store into an array that is made before it.",
)
def growing_while(a):
    z, error, path = 1.0, 1.0, []
    while error > 1e-6:
        new = 0.5 * (z + a / z)
        error = abs(new - z)
        z = new
        path.append(z)
    return sum(path)


@refused(
    "a slice whose length depends on a parameter",
    2.0,
    x=X,
    line="return np.sum(x[: int(a)])",
    message="a slice has a length that changes from iteration to iteration, or that depends on parameters",
    remedy="Loop over the elements, with an if that says which ones count.",
)
def parameter_slice(a, *, x):
    return np.sum(x[: int(a)])


@refused(
    "a dict or string indexed by a parameter",
    2.0,
    names={0: 1.0, 1: 2.0, 2: 3.0},
    line="return names[int(a)]",
    message="a dict is indexed by a value that is not known while compiling",
    remedy="Put the values into an array, and index that with whole numbers.",
)
def parameter_key(a, *, names):
    return names[int(a)]


@refused(
    "text made from a parameter",
    2.0,
    line='return a * len(f"{a:.3f}")',
    message="the text of a value is needed that is not known while compiling",
    remedy="Make text from data only; to look at values while sampling use gm.record, or jax.debug.print.",
)
def parameter_text(a):
    return a * len(f"{a:.3f}")


@refused(
    "a method of lists on a list of numbers that came as data",
    0.7,
    y=np.array([1.0, 2.0]),
    line="y.append(a)",
    message="an array has no attribute 'append'",
    remedy="",
)
def list_among_data(a, *, y):
    y.append(a)
    return sum(y)


@refused(
    "an index beyond the array",
    0.7,
    x=X,
    line="lp += a * x[10]",
    message="index 10 is out of bounds for axis 0 with size 10",
    remedy="",
)
def beyond(a, *, x):
    lp = 0.0
    lp += a * x[10]
    return lp


@refused(
    "a symbolic index beyond the array",
    0.7,
    x=X,
    line="lp += a * x[i + 1]",
    message="index 10 is out of range for an axis of size 10",
    remedy="Correct the loop's range or the index; indices go from 0 to size - 1, negative ones from the end.",
)
def beyond_in_loop(a, *, x):
    lp = 0.0
    for i in range(len(x)):
        lp += a * x[i + 1]
    return lp


@refused(
    "an exception that the program raises",
    0.7,
    x=X,
    line="raise ValueError",
    message="ValueError: ten values are not enough",
    remedy="",
)
def raises(a, *, x):
    if len(x) < 20:
        raise ValueError("ten values are not enough")
    return a


@refused(
    "a value that depends on parameters where a plain number is needed (a shape)",
    3.0,
    line="return a * len(np.zeros(int(a)))",
    message="a value that depends on the parameters is needed here as a plain number",
    remedy="Use the functions of math, numpy or jax.numpy, and sizes that depend on data only.",
)
def parameter_shape(a):
    return a * len(np.zeros(int(a)))


@refused(
    "a truth value of an array",
    X,
    line="if theta > 0",
    message="The truth value of an array with more than one element is ambiguous",
    remedy="",
)
def array_truth(theta):
    if theta > 0:
        return theta[0]
    return theta[1]


@refused(
    "`match` with patterns of structure, on a value that depends on parameters",
    3.0,
    line="match a",
    message="match cannot look at a value that is not known while compiling",
    remedy="Use if and elif.",
)
def matching(a):
    value = 0.0
    match a:
        case float(b):
            value = b
    return value


@refused(
    "random numbers",
    3.0,
    line="return a + random.random()",
    message="a program must not draw random numbers",
    remedy="Draw them before, and pass them as data; simulators belong into @model.simulator.",
)
def draws(a):
    return a + random.random()


@refused(
    "library functions that have no compiled form",
    X,
    line="return scipy.signal.medfilt(theta, 3).sum()",
    message="scipy.signal._signaltools.medfilt cannot be applied",
    remedy="gm.external(f, gradient=...).",
)
def lacking(theta):
    return scipy.signal.medfilt(theta, 3).sum()


@refused(
    "laws of scipy.stats that have no formula",
    3.0,
    line="return scipy.stats.levy_stable.logpdf(1.0, a, 0.5)",
    message="scipy.stats.levy_stable.logpdf has no formula that could be differentiated",
    remedy="gm.external, with its gradient.",
)
def lacking_scipy(a):
    return scipy.stats.levy_stable.logpdf(1.0, a, 0.5)


@refused(
    "recursion that ends on a parameter",
    3.0,
    line="endless",
    message="the recursion does not end while compiling",
    remedy="use a while loop.",
)
def endless(a):
    return a if a < 0.1 else endless(a * 0.5)


@refused(
    "`break`, `continue` or `return` inside `finally`",
    3.0,
    line="try:",
    message="break, continue or return inside the finally of a try statement, or inside a try with except*",
    remedy="Assign the result to a variable inside it and jump after it.",
)
def jump_in_finally(a):
    try:
        a = a + 1
    except ValueError:
        a = 0.0
    finally:
        return a  # noqa: B012


@refused(
    "a handler that reads what a loop in its `try` may have changed",
    0.7,
    x=X,
    line="return total",
    message="'total' may have no value here: it may have changed before the body of a try raised, or not",
    remedy="Assign it before the loop or branch, so that it has a value on every path.",
)
def partial_total(a, *, x):
    total = 0.0
    try:
        for v in x:
            total += math.log(v + a)
    except ValueError:
        return total
    return total


@refused(
    "a `try` that changes a list of before, and may raise after that",
    0.7,
    line="try:",
    message="this try changes something that was made before it, and may raise after that",
    remedy="Make the array, list or object in the try, or store into it after the try.",
)
def partial_list(a):
    found = []
    try:
        found.append(a)
        found.append(math.log(a))
    except ValueError:
        pass
    return sum(found)


@refused(
    "a `try` that waits for a division by zero, of numbers that may be numpy's",
    0.7,
    line="return 1.0 / scale(a)",
    message="it is not known while compiling whether these are numbers of Python's, which raise it, or of numpy's",
    remedy="Make one of Python's: float(x); or test the divisor by an if.",
)
def unsure_division(a):
    def scale(v):
        return np.exp(v) if v > 0.5 else v

    try:
        return 1.0 / scale(a)
    except ZeroDivisionError:
        return 0.0


@refused(
    "a `try` around a function of a library of which it is not known where it raises",
    0.7,
    line="return scipy.linalg.sqrtm(",
    message="where scipy.linalg",
    remedy="Test what it is given by an if, or call it outside of the try.",
)
def unknown_risk(a):
    try:
        return scipy.linalg.sqrtm(np.array([[a, 0.0], [0.0, 1.0]])).sum()
    except ValueError:
        return 0.0


@refused(
    "`break`, `continue` or `return` inside `match` with patterns of structure",
    0.7,
    x=(1.0, 2.0),
    line="match x:",
    message="break, continue or return inside a match with patterns of structure",
    remedy="Assign the result to a variable inside it and jump after it, or match numbers and strings only.",
)
def jump_in_match(a, *, x):
    match x:
        case (1.0, v):
            return a * v
    return a


@refused(
    "a lambda kept by a comprehension whose variable it reads",
    0.7,
    line="scaled = [lambda v: i * v for i in range(3)]",
    message="reads the comprehension's own variable, which in Python has its last value",
    remedy="Bind the value that is meant: lambda v, i=i: ...",
)
def late_lambdas(a):
    scaled = [lambda v: i * v for i in range(3)]
    return sum(f(a) for f in scaled)


@refused(
    "an array that is one of two, depending on a parameter, stored into by one name and read by another",
    0.7,
    x=X,
    line="return p[0] + q[0]",
    message="an array or list is, depending on a branch, one of several that have names of their own",
    remedy="Copy the array when you keep it under a second name (now = new.copy()).",
)
def one_of_two(a, *, x):
    p = np.zeros(3)
    q = np.ones(3)
    chosen = p if a > 0 else q
    chosen[0] = a
    return p[0] + q[0]


@refused(
    "a list's item under a name of its own, read after a traced loop has stored into the list's items",
    0.7,
    x=X,
    line="return item[1] + rows[0][1]",
    message="one array or list has several names here, and is stored into by one of them and read by another",
    remedy="Copy the array when you keep it under a second name (now = new.copy()).",
)
def item_beside_list(a, *, x):
    rows = [np.zeros(3) for _ in x]
    item = rows[3]
    for i in range(len(x)):
        rows[i][1] += a * x[i]
    return item[1] + rows[0][1]


@refused(
    "an array that a traced loop appended to a list, stored into later, when the list is read",
    0.7,
    x=X,
    line="return sum(np.sum(row) for row in rows)",
    message="one array or list has several names here, and is stored into by one of them and read by another",
    remedy="Copy the array when you keep it under a second name (now = new.copy()).",
)
def appended_and_changed(a, *, x):
    p = np.zeros(3) + a
    rows = []
    for _ in x:
        rows.append(p)
    p[0] += 1
    return sum(np.sum(row) for row in rows)


@refused(
    "an array that a branch puts into a list or dict, stored into later, when that is read",
    0.7,
    line='return held["p"][0]',
    message="an array or list is, depending on a branch, one of several that have names of their own",
    remedy="Copy the array when you keep it under a second name (now = new.copy()).",
)
def held_by_branch(a):
    p = np.zeros(3) + a
    held = {"p": np.ones(3)}
    if a > 0:
        held["p"] = p
    p[0] += 1
    return held["p"][0]


@refused(
    "two names of one array that part in a `while` whose length depends on a parameter",
    0.7,
    x=X,
    line="while s < 20:",
    message="one array or list has several names here, and is stored into by one of them and read by another",
    remedy="Copy the array when you keep it under a second name (now = new.copy()).",
)
def parting_names(a, *, x):
    p = np.zeros(3)
    q = p
    s = 1.0
    while s < 20:
        q[0] += a
        p = p + 1
        s *= 1 + a
    return np.sum(p) + np.sum(q)


@refused(
    "what depends on how many elements a mask of parameters selects",
    0.7,
    x=X,
    line="return np.median(z[z > 0.5])",
    message="how many elements a mask selects is not known while compiling",
    remedy="Use np.where(mask, x, 0.0), or loop over the elements with an if.",
)
def masked_elements(a, *, x):
    z = a * x
    return np.median(z[z > 0.5])


@refused(
    "elements that one mask of parameters selects, stored where another holds",
    0.7,
    x=X,
    line="out[a * x < 0.5] = z[low]",
    message="how many elements a mask selects is not known while compiling",
    remedy="Use np.where(mask, x, 0.0), or loop over the elements with an if.",
)
def other_mask(a, *, x):
    out, z = np.zeros(10), a * x
    low = z < 0.5
    z[0] = 3.0 * a
    out[a * x < 0.5] = z[low]
    return np.sum(out)


@refused(
    "the sum of an array that is a number on one side of a branch",
    0.7,
    x=X,
    line="return np.sum(t)",
    message="'t' may have no value here: it is an array of shape (10,) on one side of a branch and a number on the other",
    remedy="Give it the same shape on both sides, for instance by np.full(n, value) or np.zeros(n) + value.",
)
def sum_of_spread(a, *, x):
    if a > 0.5:
        t = a * x
    else:
        t = a
    return np.sum(t)


@refused(
    "`type()` of a value that depends on parameters",
    0.7,
    line="if type(a) is float",
    message="the type of a value that depends on the parameters is asked for",
    remedy="Use isinstance.",
)
def asks_type(a):
    if type(a) is float:
        return a
    return 2.0 * a


@refused(
    "text and the like, sorted by keys that depend on parameters",
    0.7,
    line="sorted(",
    message="things that are no numbers are sorted by what depends on the parameters",
    remedy="Let the keys be numbers or tuples of them",
)
def traced_key(a):
    words = sorted(["u", "vw"], key=lambda word: len(word) * a)
    return a * len(words[0])


@refused(
    "np.put, np.place, np.putmask, np.put_along_axis",
    0.7,
    line="np.put(z, [0, 1], a)",
    message="numpy.put changes an array in place, which is not followed",
    remedy="Store by a subscript: x[i] = v, or x[mask] = v.",
)
def putting(a):
    z = np.zeros(3)
    np.put(z, [0, 1], a)
    return np.sum(z)


@refused(
    "an iterator made before a long loop that moves on in it, and a deque that it changes",
    0.7,
    x=np.arange(40.0),
    line="for v in x",
    message="an iterator that was made before the loop or branch moves on inside it, and it has more than",
    remedy="Loop over the items themselves, or over zip(...) of what is needed together.",
)
def moving_iterator(a, *, x):
    signs = itertools.cycle([1.0, -1.0])
    lp = 0.0
    for v in x:
        lp += next(signs) * v * a
    return lp


@refused(
    "assignment to a global variable",
    3.0,
    line="global TOTAL",
    message="assigning a global variable",
    remedy="Pass the value as an argument and return the new one.",
)
def sets_global(a):
    global TOTAL
    TOTAL = a
    return TOTAL


def _counter():
    count = 0

    def tick():
        nonlocal count
        count += 1
        return count

    return tick


TICK = _counter()


@refused(
    "a function made outside of the program that sets a `nonlocal` variable",
    0.7,
    x=X,
    line="count += 1",
    message="a function sets 'count', which was made outside of the program and outlasts its evaluation",
    remedy="Make the function in the program, or pass the value as an argument and return the new one.",
)
def lasting_counter(a, *, x):
    return sum(a * v * TICK() for v in x)


SQUARES = {"a": 0.5}


@refused(
    "a list, dict or object made and filled outside of the program, into which the program shows a store that does not run",
    0.7,
    x=X,
    line='SQUARES["a"] = a * a',
    message="'SQUARES' was made and filled outside of the program, which would read it as a constant; but the program also stores into it",
    remedy="Make it in the program, or pass it as data.",
)
def filled_cache(a, *, x):
    if "a" not in SQUARES:
        SQUARES["a"] = a * a
    return SQUARES["a"] * x[0]


SETTINGS = {"scale": {"now": 1.0}}


@refused(
    "an item of a list, dict or object made outside of the program that gets a value that depends on parameters",
    0.7,
    x=X,
    line='scale["now"] = a',
    message="'SETTINGS' was made outside of the program, outlasts its evaluation, and is changed by it",
    remedy="Make it in the program, or pass it as data.",
)
def nested_global(a, *, x):
    scale = SETTINGS["scale"]
    scale["now"] = a
    return scale["now"] * x[0]


HISTORY = {"total": 0.0}


@refused(
    "a list, dict or object made outside of the program that gets a value that depends on parameters",
    0.7,
    x=X,
    line='HISTORY["total"] += a',
    message="'HISTORY' was made outside of the program, outlasts its evaluation, and is changed by it",
    remedy="Make it in the program, or pass it as data.",
)
def lasting_dict(a, *, x):
    HISTORY["total"] += a
    return HISTORY["total"]


@refused(
    "a `while` on a parameter whose test changes something",
    0.7,
    x=X,
    line="while more():",
    message="the test of this while changes something",
    remedy="Write `while True:`, and the test with a break in the body.",
)
def acting_test(a, *, x):
    level = 1.0

    def more():
        nonlocal level
        level *= 1 + a
        return level < 20

    while more():
        pass
    return level


@refused(
    "an assignment expression inside and/or, a conditional expression or a comprehension",
    3.0,
    line="return b if (b := a * 2) > 1 and (c := b) > 2 else c",
    message="an assignment expression (:=)",
    remedy="Assign the variable in a statement of its own before it.",
)
def walrus(a):
    c = 0.0
    return b if (b := a * 2) > 1 and (c := b) > 2 else c


@refused(
    "async code",
    3.0,
    line="async def inner",
    message="async code cannot be compiled",
    remedy="Write the program as an ordinary function.",
)
def with_async(a):
    async def inner():
        return a

    return a


@refused(
    "a class defined inside the program",
    3.0,
    line="class Inner",
    message="a class defined inside a program",
    remedy="Define the class outside of the function.",
)
def with_class(a):
    class Inner:
        pass

    return a


class Doubling(list):
    def __getitem__(self, k):
        return 2.0 * super().__getitem__(k)


@refused(
    "a class derived from `list` or `dict` that has items of its own",
    3.0,
    line="return doubled[0]",
    message="Doubling, a class derived from list, has a method __getitem__ of its own",
    remedy="Hold the list in an attribute of a class that is not derived from it.",
)
def with_a_list_of_its_own_kind(a):
    doubled = Doubling([a])
    return doubled[0]


class Swallowing:
    def __enter__(self):
        return self

    def __exit__(self, kind, *error):
        return kind is ValueError


@refused(
    "an exception that a context manager may swallow, raised on a condition on parameters",
    3.0,
    line="with Swallowing()",
    message="something is raised inside of a `with` whose context manager may swallow it, on a condition on parameters",
    remedy="Use try and except, or contextlib.suppress.",
)
def with_something_swallowed(a):
    with Swallowing():
        if a > 0:
            raise ValueError
    return a


class Particle:
    def __init__(self, at):
        self.at = at


@refused(
    "objects that a long loop makes and keeps in a list",
    3.0,
    line="for k in range(300)",
    message="an object that every iteration makes anew is kept in a list",
    remedy="Keep numbers, tuples or dicts of numbers in the list, or let the loop have 200 iterations at most.",
)
def with_many_objects(a):
    particles = []
    for k in range(300):
        particles.append(Particle(a * k))
    return particles[0].at


@refused(
    "a program that is a generator",
    3.0,
    line="def is_generator",
    message="a generator function cannot be a program",
    remedy="Return the log density.",
)
def is_generator(a):
    yield a


@refused(
    "a program that returns None, or an array",
    X,
    line="def returns_array",
    message="returns_array returned an array of shape (10,)",
    remedy="Return the log density: one number (sum the terms).",
)
def returns_array(theta):
    return theta * 2


@refused(
    "a program that returns nothing",
    3.0,
    line="def returns_nothing",
    message="returns_nothing returned None",
    remedy="Return the log density: a number. Is a return statement missing?",
)
def returns_nothing(a):
    a * 2


@refused(
    "attributes of objects that a long loop makes after it reads them, keys of dicts and members of sets that it makes",
    3.0,
    x=np.arange(1200.0),
    line="for v in x",
    message="attribute 'total' of a Box is read in the loop or branch, and may not be set there",
    remedy="Set the attribute before it, so that it has a value on every path.",
)
def changes_object(a, *, x):
    box, lp = Box(), 0.0
    for v in x:
        if hasattr(box, "total"):
            lp += box.total
        box.total = a * v
    return lp


class Box:
    pass


@refused(
    "an array whose size changes from iteration to iteration of a long loop",
    0.7,
    n=np.array([3, 5, 2, 4] * 10),
    line="for i in range(len(n))",
    message="its body needs the index, or a value computed from it, as a plain number (line ",
    remedy="Give arrays one size for all iterations, that of the largest (np.zeros(max(sizes)))",
)
def changing_size(a, *, n):
    lp = 0.0
    for i in range(len(n)):
        out = np.zeros(min(n[i], 9) + 1)
        for t in range(n[i]):
            out[t + 1] = out[t] + a
        lp += out.sum()
    return lp


@refused(
    "lists of different lengths in a dict, by names that a long loop runs over",
    0.3,
    games=[("ann", "bob"), ("bob", "cy"), ("cy", "ann")] * 9,
    line="for winner, loser in games",
    message="a dict is stored into by a key that changes, and holds things of different structure, or no numbers",
    remedy="Let all items of the dict be numbers, tuples of them, or arrays of one shape; or use an array: index it with places[key].",
)
def lists_by_names(a, *, games):
    last, lp = {}, 0.0
    for winner, loser in games:
        lp += last.get(loser, [0.0])[0] * a
        last[winner] = [lp, 1.0]
    return lp


@refused(
    "a long loop over functions",
    3.0,
    functions=[math.sin, math.cos] * 20,
    line="for f in functions",
    message="one of several functions is called at a symbolic place",
    remedy="Put what the loop needs into arrays, and index those with whole numbers.",
)
def long_unlike(a, *, functions):
    lp = 0.0
    for f in functions:
        lp += f(a)
    return lp


@refused(
    "a difference of whole numbers that may both exceed 64 bits",
    0.7,
    t=[1_700_000_000_000_000_000 + k for k in range(20)],
    line="lp += a * (t[i + 1]",
    message="the leading digits of their difference may cancel",
    remedy="subtract a reference value",
)
def cancelling(a, *, t):
    lp = 0.0
    for i in range(19):
        lp += a * (t[i + 1] * t[i + 1] - t[i] * t[i])
    return lp


@refused(
    "a remainder of whole numbers that may exceed 64 bits",
    0.7,
    y=[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5],
    line="h = (6364136223846793005 * h + v) % 1000003",
    message="rounded, their remainder would be wrong",
    remedy="take the remainder sooner",
)
def long_remainder(a, *, y):
    h = 0
    for v in y:
        if a > 0.0:
            h = (6364136223846793005 * h + v) % 1000003
    return a * h


@refused(
    "an array of whole numbers that its type cannot hold",
    0.7,
    y=np.array([3_000_000_000, 9_000_000_000]),
    line="np.sum(y**2 + 1)",
    message="the whole numbers here reach 8.1e+19, which int64 cannot hold",
    remedy="",
)
def wide_array(a, *, y):
    return a * np.sum(y**2 + 1)


@refused(
    "a library's function that shares only its name with one of jax.numpy",
    0.7,
    line="return np.ma.sqrt(a)",
    message="cannot be applied to a value that is not known while compiling",
    remedy="gm.external(f, gradient=...).",
)
def namesake(a):
    return np.ma.sqrt(a)


@refused(
    "numpy's out= with where=",
    X,
    line="np.exp(theta, out=out, where=X > 0)",
    message="numpy.exp(out=...) cannot be compiled",
    remedy="Assign the result: out[:] = ...",
)
def with_out_and_where(theta):
    out = np.zeros(10)
    np.exp(theta, out=out, where=X > 0)
    return out.sum()


@refused(
    "marks in a loop whose length depends on a parameter",
    3.0,
    x=X,
    line="for i in range(int(a))",
    message="observe() and record() cannot collect along this loop",
    remedy="Mark the value after the loop, or use a for loop over a range of known length.",
)
def marks_in_while(a, *, x):
    from gradmc.program.marks import observe

    lp = 0.0
    for i in range(int(a)):
        lp += observe("x", a * x[i])
    return lp
