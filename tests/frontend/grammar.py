"""Random programs: nested loops, branches on data and on parameters, stores, appends, jumps, helper calls.

`programs()` is a Hypothesis strategy of source texts of `def program(p, q, theta, *, x, y, g, b)`. Every variable
is bound before it is read, every index is within bounds, and assigned values are squashed so that rounding does
not grow: plain and compiled results can be compared tightly.
"""

import linecache
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

N = 6
"""Length of all data arrays, of the parameter vector and of the local arrays."""

HELPERS = """
import math
import numpy as np

def squash(v):
    return 0.5 * math.tanh(v)

def piecewise(u, v):
    if u > v:
        return u - 0.5 * v
    total = v
    for k in range(5):
        if k == 3:
            continue
        total += 0.1 * u * k
    return total

def sided(u, v):
    if u > v:
        return 0.3 * u + v
    elif u > -0.5:
        return u * v
    if u <= v:
        return -0.2 * u

def found(u):
    for k in range(6):
        if u * k > 1.0:
            return u * k

def fill(z, u):
    for k in range(6):
        z[k] = 0.5 * z[k] + u * k
        if z[k] > 1.0:
            z[k] = 1.0
    return z[2]
"""

FLOATS = ("p", "q", "u", "v", "w", "lp")
ASSIGNABLE = ("u", "v", "w")


@dataclass
class Scope:
    """What is in reach while a program is being made."""

    draw: Callable[[st.SearchStrategy], Any]
    indices: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    in_loop: bool = False
    depth: int = 0
    count: list[int] = field(default_factory=lambda: [0])

    def one_of(self, options: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(options))

    def inner(self, *, index: str | None = None, items: Sequence[str] = (), loop: bool = True) -> "Scope":
        indices = [*self.indices, index] if index else list(self.indices)
        return Scope(self.draw, indices, [*self.items, *items], self.in_loop or loop, self.depth + 1, self.count)

    def fresh(self, stem: str) -> str:
        self.count[0] += 1
        return f"{stem}{self.count[0]}"


def index(s: Scope) -> str:
    """A whole number within the bounds of the arrays, of either sign."""
    options = ["0", "2", "-1", "k % 6"]
    for i in s.indices:
        options += [
            f"{i} % 6",
            f"g[{i} % 6]",
            f"({i} * 5 + 1) % 6",
            f"-({i} % 6) - 1",
            f"({i} - 2) % 6",
            f"{i} // 2 % 6",
        ]
    return s.one_of(options)


def steady(expression: str) -> str:
    """An addend to `lp` that does not make it grow without bound: in loops `lp += lp * lp` soon is infinite."""
    return f"squash({expression})" if "lp" in expression else expression


def number(s: Scope, depth: int = 2) -> str:
    """A float expression."""
    kind = s.one_of(range(14 if depth else 5))
    if kind < 2:
        return s.one_of([*FLOATS, *s.items])
    if kind == 2:
        return s.one_of(["0.3", "-0.7", "1.1", "2"])
    if kind < 5:
        return f"{s.one_of(['x', 'y', 'theta', 'z', 'h'])}[{index(s)}]"
    a, b = number(s, depth - 1), number(s, depth - 1)
    match kind:
        case 5 | 6:
            return f"({a} {s.one_of(['+', '-'])} {b})"
        case 7:
            return f"({a} * {b})"
        case 8:
            return f"{a} / (1.5 + {b} * {b})"
        case 9:
            return f"math.{s.one_of(['sin', 'tanh', 'cos', 'atan'])}({a})"
        case 10:
            return f"({a} if {condition(s, depth - 1)} else {b})"
        case 11:
            return s.one_of(
                [
                    *(f"max({a}, {b})", f"min({a}, {b})", f"abs({a})", f"squash({a})", f"piecewise({a}, {b})"),
                    *(f"sided({a}, {b})", f"(found({a}) or {b})"),
                ]
            )
        case 12:
            return f"math.log(1.0 + {a} * {a})"
        case _:
            i = s.fresh("c")
            inner = number(s.inner(index=i), 1)
            return f"sum(0.2 * {inner} for {i} in range({s.one_of(['3', '6', '7', *(f'{k} % 6' for k in s.indices)])}))"


def condition(s: Scope, depth: int = 1) -> str:
    """A truth value: of data, of parameters, or of indices."""
    kind = s.one_of(range(8 if depth else 6))
    if kind < 2:
        return f"b[{index(s)}]"
    if kind == 2:
        return f"x[{index(s)}] > 0.1"
    if kind == 3:
        return f"{index(s)} < 3"
    if kind < 6:
        return f"{number(s, 1)} {s.one_of(['<', '>', '<=', '>='])} {number(s, 1)}"
    if kind == 6:
        return f"({condition(s, 0)} {s.one_of(['and', 'or'])} {condition(s, 0)})"
    return s.one_of([f"not {condition(s, 0)}", f"-0.5 < {number(s, 1)} <= 0.8"])


def block(s: Scope, size: int) -> list[str]:
    """Some statements."""
    lines = []
    for _ in range(s.draw(st.integers(1, size))):
        lines += statement(s)
    return lines


def statement(s: Scope) -> list[str]:
    kind = s.one_of(range(16 if s.depth < 3 else 9))
    match kind:
        case 0 | 1:
            return [f"{s.one_of(ASSIGNABLE)} = squash({number(s)})"]
        case 2 | 3:
            return [f"lp += {steady(number(s))}"]
        case 4:
            return [f"z[{index(s)}] = squash({number(s)})"]
        case 5:
            return [f"z[{index(s)}] += 0.1 * {number(s)}"]
        case 6:
            return [s.one_of(["k += 1", "k = k * 2 % 7", "k += g[k % 6]", f"u, v = v, squash({number(s)})"])]
        case 7:
            if not s.in_loop:
                return [f"lp += fill(z, squash({number(s)}))"]
            jump = s.one_of(["break", "continue"])
            return [f"if {condition(s)}:", f"    lp += {steady(number(s, 1))}", f"    {jump}"]
        case 8:
            name = s.one_of(["out", "z2"])
            return (
                [f"out.append({number(s)})"] if name == "out" else ["z2 = z", f"z2[{index(s)}] = squash({number(s)})"]
            )
        case 9 | 10:
            body = block(s.inner(loop=False), 3)
            other = block(s.inner(loop=False), 2) if s.draw(st.booleans()) else []
            lines = [f"if {condition(s)}:", *indent(balanced(body, other))]
            return [*lines, "else:", *indent(balanced(other, body))] if other or appends(body) else lines
        case 15:
            i = s.fresh("k")
            body = repaired(without_appends(block(s.inner(index=i), 2)))
            return [f"{i} = 0", f"while {i} < {s.one_of(['3', '7'])}:", f"    {i} += 1", *indent(body)]
        case _:
            return loop(s)


def appends(lines: Sequence[str]) -> int:
    return sum(line.startswith("out.append") for line in lines)


def balanced(lines: list[str], other: list[str]) -> list[str]:
    """Both sides of a branch must append as often: pad with appends."""
    if any("append" in line and not line.startswith("out.append") for line in [*lines, *other]):
        lines = [line for line in lines if "append" not in line]
        missing = 0
    else:
        missing = max(0, appends(other) - appends(lines))
    padded = [*lines, *["out.append(0.25)"] * missing]
    return padded or ["pass"]


def loop(s: Scope) -> list[str]:
    i = s.fresh("i")
    item = s.fresh("e")
    heads: list[tuple[str, Scope]] = [
        (f"for {i} in range({s.one_of(['6', '8', '1, 7', '9, 0, -2', '0, 9, 3', '2', '0'])}):", s.inner(index=i)),
        (f"for {i}, {item} in enumerate({s.one_of(['x', 'y', 'theta', 'z'])}):", s.inner(index=i, items=[item])),
        (f"for {item} in {s.one_of(['x', 'theta', 'reversed(y)'])}:", s.inner(items=[item])),
        (f"for {item}, {i} in zip(theta, range(2, 12)):", s.inner(index=i, items=[item])),
        *((f"for {i} in range({k}):", s.inner(index=i)) for k in s.indices if not k.startswith("k")),
        *((f"for {i} in range(g[{k} % 6], 6):", s.inner(index=i)) for k in s.indices),
    ]
    head, scope = s.one_of(heads)
    ragged = "g[" in head or (head.startswith(f"for {i} in range(i"))
    body = block(scope, 4)
    if ragged:
        body = [line for line in body if "append" not in line] or ["pass"]
    body = without_appends(body)
    lines = [head, *indent(repaired(body))]
    if s.draw(st.integers(0, 5)) == 0:
        lines += ["else:", *indent([f"lp += {steady(number(s, 1))}"])]
    return lines


def without_appends(lines: list[str]) -> list[str]:
    """A loop that jumps must not append: which iterations do would depend on parameters."""
    if any(line.strip() in ("break", "continue") for line in lines):
        return [line for line in lines if "append" not in line]
    return lines


def repaired(lines: list[str]) -> list[str]:
    """Give blocks that lost their statements a `pass`."""
    out: list[str] = []
    for k, line in enumerate(lines):
        out.append(line)
        if line.rstrip().endswith(":"):
            depth = len(line) - len(line.lstrip())
            after = lines[k + 1] if k + 1 < len(lines) else ""
            if len(after) - len(after.lstrip()) <= depth or not after:
                out.append(" " * (depth + 4) + "pass")
    return out or ["pass"]


def indent(lines: Sequence[str]) -> list[str]:
    return ["    " + line for line in lines]


@st.composite
def programs(draw: Any) -> str:
    """The source of a random program."""
    s = Scope(draw)
    head = ["u, v, w, lp, k = p, 0.5 * q, 0.1, 0.0, 1", "z = np.zeros(6)", "h = z.copy()", "out = [p]", "z2 = z"]
    if draw(st.booleans()):
        head += ["h[1] = q"]
    body = block(s, 5)
    if draw(st.integers(0, 3)) == 0:
        body += [f"if {condition(s)}:", f"    return {number(s)}"]
    lines = ["def program(p, q, theta, *, x, y, g, b):", *indent(repaired([*head, *body, *ending(s)]))]
    return "\n".join([HELPERS.strip(), "", *lines, ""])


def ending(s: Scope) -> list[str]:
    """The last returns: one, or two under an `if` each, without `else`, that cover all cases."""
    last = "return lp + u + v + 0.5 * w + 0.1 * k + sum(out) + np.sum(z * x) + np.sum(h)"
    match s.one_of(range(8)):
        case 0:
            test = condition(s, 0)
            return [f"if {test}:", f"    {last}", f"if not {test}:", f"    return {number(s, 1)}"]
        case 1:
            test, other = condition(s, 0), condition(s, 0)
            first = [f"if {test}:", f"    return {number(s, 1)}"]
            return [*first, f"elif {other}:", f"    {last}", f"elif not {other}:", f"    return {number(s, 1)}"]
        case _:
            return [last]


def compiled(text: str, name: str = "<random program>", around: dict[str, Any] | None = None) -> Callable[..., Any]:
    """The function of a program, its source where the loop compiler finds it; `around`: more that it can use."""
    lines = text.splitlines(keepends=True)
    linecache.cache[name] = (len(text), None, lines, name)
    scope: dict[str, Any] = {**(around or {}), "__name__": "random_program"}
    exec(compile(text, name, "exec"), scope)
    return scope["program"]


def point(seed: int) -> tuple[tuple, dict[str, Any]]:
    """Parameters and data at random."""
    rng = np.random.default_rng(seed)
    args = (rng.normal(), rng.normal(), rng.normal(size=N))
    data = {
        "x": rng.normal(size=N),
        "y": rng.normal(size=N),
        "g": rng.integers(0, N, size=N),
        "b": rng.random(N) < 0.5,
    }
    return args, data
