"""Recursion over a tree: Felsenstein's pruning (1981), as people write it."""

import math
import time
from dataclasses import dataclass

import jax
import numpy as np

from gradmc.program.compiler import evaluate
from tests.frontend.laws import agree

DEPTH = 3
TIPS = 2**DEPTH
SITES = np.random.default_rng(1).integers(0, 4, size=(TIPS, 6))


@dataclass(frozen=True)
class Node:
    branch: int
    children: tuple = ()
    tip: int = -1


def grown(depth, first=0, branch=1):
    """A tree of 2**depth tips; the node of branch b has its children at 2b and 2b + 1."""
    if depth == 0:
        return Node(branch, (), first)
    half = 2 ** (depth - 1)
    return Node(branch, (grown(depth - 1, first, 2 * branch), grown(depth - 1, first + half, 2 * branch + 1)))


def below_node(node, lengths, tips):
    if not node.children:
        return [1.0 if tips[node.tip] == s else 0.0 for s in range(4)]
    out = [1.0] * 4
    for child in node.children:
        below = below_node(child, lengths, tips)
        decay = math.exp(-4 / 3 * lengths[child.branch - 1])
        for s in range(4):
            out[s] *= decay * below[s] + (1 - decay) * sum(below) / 4
    return out


def of_nodes(lengths, *, sites, tree):
    lp = -sum(lengths)
    for i in range(sites.shape[1]):
        lp += math.log(sum(below_node(tree, lengths, sites[:, i])) / 4)
    return lp


CHILDREN = np.array([(2 * b, 2 * b + 1) if 2 * b < 2 * TIPS else (-1, -1) for b in range(2 * TIPS)])


def below_row(branch, lengths, tips):
    if CHILDREN[branch, 0] < 0:
        out = np.zeros(4)
        out[tips[branch - TIPS]] = 1.0
        return out
    out = np.ones(4)
    for child in CHILDREN[branch]:
        below = below_row(child, lengths, tips)
        decay = math.exp(-4 / 3 * lengths[child - 1])
        for s in range(4):
            out[s] *= decay * below[s] + (1 - decay) * sum(below) / 4
    return out


def of_rows(lengths, *, sites):
    lp = -sum(lengths)
    for i in range(sites.shape[1]):
        lp += math.log(sum(below_row(1, lengths, sites[:, i])) / 4)
    return lp


LENGTHS = np.linspace(0.1, 0.5, 2 * TIPS - 1)


def test_a_recursion_over_tuples_of_children():
    agree(of_nodes, (LENGTHS,), {"sites": SITES, "tree": grown(DEPTH)})


def test_a_recursion_over_rows_of_an_array_of_children():
    agree(of_rows, (LENGTHS,), {"sites": SITES})


def test_machine_code_grows_as_the_tree_does(x64):
    def lines(depth):
        sites = np.resize(SITES, (2**depth, 6))
        gradient = jax.jit(jax.grad(lambda x: evaluate(of_nodes, (x,), {"sites": sites, "tree": grown(depth)})[0]))
        return gradient.lower(np.full(2 ** (depth + 1) - 1, 0.2)).compile().as_text().count("\n")

    assert lines(3) < 3 * lines(2)  # measured: 2.1; without barriers 4.4


PARENTS = {"A": "n", "B": "n", "n": "root", "C": "root", "D": "root"}
ORDER = list(PARENTS)


def below_name(name, site, lengths):
    if name in site:
        one = np.zeros(4)
        one["ACGT".index(site[name])] = 1.0
        return one
    out = np.ones(4)
    for child, parent in PARENTS.items():
        if parent == name:
            below = below_name(child, site, lengths)
            decay = math.exp(-4 / 3 * lengths[ORDER.index(child)])
            out = out * (decay * below + (1 - decay) * np.sum(below) / 4)
    return out


def of_columns(lengths, *, columns):
    lp = -np.sum(lengths)
    for column in columns:
        lp += math.log(np.sum(below_name("root", column, lengths)) / 4)
    return lp


def of_strings(lengths, *, sequences):
    lp = -np.sum(lengths)
    for i in range(len(sequences["A"])):
        site = {name: letters[i] for name, letters in sequences.items()}
        lp += math.log(np.sum(below_name("root", site, lengths)) / 4)
    return lp


def alignment(sites):
    """Sequences of the leaves as strings, and the columns of the alignment as dicts."""
    rng = np.random.default_rng(20260101)
    sequences = {name: "".join(rng.choice(list("ACGT"), sites)) for name in "ABCD"}
    return sequences, [dict(zip(sequences, letters, strict=True)) for letters in zip(*sequences.values(), strict=True)]


def test_an_alignment_of_ten_thousand_sites_is_traced_as_quickly_as_a_short_one(x64):
    lengths = np.linspace(0.1, 0.5, 5)

    def size(program, data):
        began = time.process_time()
        jaxpr = jax.make_jaxpr(lambda x: evaluate(program, (x,), data)[0])(lengths)
        return str(jaxpr).count("\n"), time.process_time() - began

    few, many = alignment(1_000), alignment(10_000)
    for program, k, name in ((of_strings, 0, "sequences"), (of_columns, 1, "columns")):
        agree(program, (lengths,), {name: alignment(50)[k]})
        lines, seconds = size(program, {name: many[k]})
        assert lines == size(program, {name: few[k]})[0]
        assert seconds < 20.0  # measured: 0.4 and 2.6 of processor time
