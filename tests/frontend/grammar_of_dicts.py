"""Random programs with dicts whose keys are data: stored, read, deleted and asked for along loops.

`program(seed)` is the source text of `def program(p, q, *, names, ids, x)`. Values are squashed, so that rounding does
not grow; a dict is asked for its order only where no parameter decides which keys it has.
"""

import random
from dataclasses import dataclass, field

import numpy as np

N = 11
"""Length of the data."""

HELPERS = """
import copy
import math
from collections import Counter, OrderedDict, defaultdict

def squash(v):
    return 0.5 * math.tanh(v)

def bump(d, k, v):
    d[k] = squash(d.get(k, 0.25) + v)
"""

STARTS = (
    *("{}", "{}", "{}", "dict()", "OrderedDict()", "Counter()"),
    *("defaultdict(float)", "defaultdict(lambda: 0.5)", "defaultdict(lambda: p)"),
    *("{n: 1.0 for n in KEYS}", "dict.fromkeys(KEYS, 0)", "{KEYS[0]: p}", "{KEYS[1]: 2, KEYS[0]: 1.5}"),
)


@dataclass
class Writer:
    """What a program has so far.

    Attributes:
        random: makes the choices.
        dicts: the names of dicts, with the way in which each is indexed.
        torn: dicts of which parameters may decide which keys they have.
        depth: how many branches on parameters are around.
        index: the loop's variable.
    """

    random: random.Random
    dicts: dict[str, str] = field(default_factory=dict)
    torn: set[str] = field(default_factory=set)
    depth: int = 0
    index: str = "i"

    def one(self, *options: str) -> str:
        return self.random.choice(options)

    def owner(self) -> str:
        return self.random.choice(list(self.dicts))

    def key(self, d: str) -> str:
        """A key of the kind that a dict has."""
        i = self.index
        place = self.one(i, i, f"({i} * 3 + 1) % {N}", f"{N} - 1 - {i}")
        return {
            "names": f"names[{place}]",
            "ids": f"ids[{place}]",
            "few": self.one(f"ids[{place}] % 3", f"{i} // 4", "1"),
            "pairs": f"(names[{place}], ids[{i}] % 2)",
        }[self.dicts[d]]

    def number(self) -> str:
        u = self.one("p", "q", "u", "lp", f"x[{self.index}]", "0.3", f"p * x[{self.index}]")
        return self.one(u, f"{u} * 0.5", f"({u} + q)", f"{u} - {self.one('p', 'u', '1.0')}")

    def read(self, d: str) -> str:
        """A read that never raises."""
        k = self.key(d)
        return self.one(
            f"{d}.get({k}, {self.number()})",
            f"({d}[{k}] if {k} in {d} else {self.number()})",
            f"0.1 * len({d})",
            f"({k} in {d}) * 0.3",
            f"sum([{d}[{k}]]) if {k} in {d} else 0.0",
        )

    def statement(self) -> list[str]:
        d = self.owner()
        k, v = self.key(d), f"squash({self.number()})"
        kind = self.random.randrange(17)
        changes = True
        match kind:
            case 0 | 1:
                lines = [f"{d}[{k}] = {v}"]
            case 2:
                lines = [f"{d}[{k}] = squash({d}.get({k}, {self.one('0.0', '1', 'p')}) + {v})"]
            case 3:
                lines = [f"if {k} not in {d}:", f"    {d}[{k}] = {v}", f"{d}[{k}] {self.one('+=', '*=')} 0.5 * {v}"]
            case 4:
                lines = [f"u = squash(u + {d}.setdefault({k}, {v}))"]
            case 5:
                lines = [f"u = squash(u + {d}.pop({k}, {v}))"]
            case 6:
                lines = [f"if {k} in {d}:", f"    del {d}[{k}]"]
            case 7:
                lines = [f"bump({d}, {k}, {self.number()})"]
            case 8:
                lines = ["try:", f"    lp += 0.1 * {d}[{k}]", "except KeyError:", f"    lp += {v}"]
                changes = False
            case 9:
                lines = [f"if {self.index} == {self.random.randrange(N)}:", f"    {d}.clear()"]
            case 10:
                lines = [
                    f"for j in range({self.random.randrange(3, 7)}):",
                    f"    {d}[{self.key(d).replace('[i]', '[j]')}] = {v}",
                ]
            case 11:
                lines = [f"e = {self.one(f'dict({d})', f'{d}.copy()', f'{{**{d}}}', f'copy.copy({d})')}"]
                lines += [f"{d}[{k}] = {v}", f"lp += 0.1 * e.get({k}, 0.5)"]
                if d in self.torn:
                    lines = lines[1:2]
            case 12:
                lines = [f"e = {d}", f"e[{k}] = {v}", f"lp += 0.1 * {d}[{k}]"]
            case 13 if self.depth < 2:
                return self.branch()
            case 14:
                lines = [f"{d}.update({{{k}: {v}}})"]
            case _:
                lines, changes = [f"{self.one('u', 'lp')} = squash(u + {self.read(d)})"], False
        if changes and self.depth:
            self.torn.add(d)
        return lines

    def branch(self) -> list[str]:
        on_data = self.random.random() < 0.5
        test = f"{self.index} % 3 == 1" if on_data else self.one("u > q", "lp * q < 0.1", f"x[{self.index}] > p")
        self.depth += not on_data
        sides = [self.block(2) for _ in range(2)]
        self.depth -= not on_data
        lines = [f"if {test}:", *indent(sides[0])]
        return [*lines, "else:", *indent(sides[1])] if self.random.random() < 0.6 else lines

    def block(self, size: int) -> list[str]:
        return [line for _ in range(self.random.randrange(1, size + 1)) for line in self.statement()]

    def loop(self) -> list[str]:
        head = self.one(
            f"for i in range({N}):",
            f"for i in range({N}):",
            "for i, name in enumerate(names):",
            "for i, (name, k) in enumerate(zip(names, ids)):",
        )
        return [head, *indent(self.block(5))]

    def ending(self, d: str) -> list[str]:
        self.index = str(self.random.randrange(N))
        lines = [f"lp += {self.read(d)}"]
        if d not in self.torn:
            lines.append(
                "lp += "
                + self.one(
                    f"sum((n + 1) * v for n, v in enumerate({d}.values()))",
                    f"sum((n + 1) * {d}[k] for n, k in enumerate({d}))",
                    f"sum((n + 1) * v * (k == list({d})[0]) for n, (k, v) in enumerate({d}.items()))",
                    f"sum({d}.values()) + len({d}.items())",
                    f"sum((n + 1) * v for n, v in enumerate(dict({d}).values()))",
                    f"max([0.0, *{d}.values()])",
                )
            )
        self.index = "i"
        return [*lines, f"for i in range({N}):", f"    lp += 0.1 * {d}.get({self.key(d)}, 0.5)"]


def indent(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


def program(seed: int) -> str:
    """The source text of a random program."""
    w = Writer(random.Random(seed))
    keys = {
        "names": "list(dict.fromkeys(names))",
        "ids": "sorted(set(ids))",
        "few": "[0, 1, 2]",
        "pairs": "[(n, k % 2) for n, k in zip(names, ids)]",
    }
    lines = ["lp, u = p, q"]
    for d in ("d", "c")[: w.random.randrange(1, 3)]:
        w.dicts[d] = w.one(*keys)
        lines.append(f"{d} = {w.one(*STARTS)}".replace("KEYS", keys[w.dicts[d]]))
    for _ in range(w.random.randrange(1, 3)):
        lines += w.loop()
    for d in w.dicts:
        lines += w.ending(d)
    return f"{HELPERS}\n\ndef program(p, q, *, names, ids, x):\n" + "\n".join(indent([*lines, "return squash(lp) + u"]))


def point(seed: int) -> tuple[tuple, dict[str, object]]:
    """Parameters and data."""
    rng = np.random.default_rng(seed)
    names = [f"n{k}" for k in rng.integers(0, 6, N)]
    ids = [int(k) for k in rng.integers(-2, 6, N) * 5]
    return (float(rng.normal()), float(rng.normal())), {"names": names, "ids": ids, "x": rng.normal(size=N)}
