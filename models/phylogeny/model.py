"""The tree of the apes from mitochondrial DNA: pruning (Felsenstein 1981) with Kimura's model (1980)."""

import math

import numpy as np

import gradmc as gm
from gradmc import Data, Positive
from gradmc.lpdf import exponential, lognormal

AFRICAN = ((("human", 0), ("chimpanzee", 1), 5), ("gorilla", 2), 6)
ORANGUTAN, GIBBON = ("orangutan", 3), ("gibbon", 4)
"""A leaf is its name and the number of its branch; an inner node its two children and the number of the branch above.

These three subtrees meet in one node: the model is reversible, so the root may be anywhere (Felsenstein 1981).
"""

LEAVES = ("human", "chimpanzee", "gorilla", "orangutan", "gibbon")


def transitions(length, kappa):
    """Probabilities of the base at the lower end of a branch given that at the upper: A, C, G, T in order.

    `length` is the expected number of substitutions; transitions (A-G, C-T) are `kappa` times as frequent as each
    transversion.
    """
    beta = 1.0 / (kappa + 2.0)
    slow, fast = math.exp(-4.0 * beta * length), math.exp(-2.0 * (kappa + 1.0) * beta * length)
    same = 0.25 + 0.25 * slow + 0.5 * fast
    transition = 0.25 + 0.25 * slow - 0.5 * fast
    transversion = 0.25 - 0.25 * slow
    P = np.zeros((4, 4))
    for a in range(4):
        for b in range(4):
            P[a, b] = same if a == b else transition if (a + b) % 2 == 0 else transversion
    return P


def below(node, site, P):
    """Probability of the bases at the leaves below a node, given each base at the upper end of its branch, (4,)."""
    if len(node) == 2:
        name, branch = node
        return P[branch, :, site[name]]
    left, right, branch = node
    return P[branch] @ (below(left, site, P) * below(right, site, P))


@gm.model
def phylogeny(
    length: Positive["branch"],
    kappa: Positive,
    *,
    human: Data["pattern"],
    chimpanzee: Data["pattern"],
    gorilla: Data["pattern"],
    orangutan: Data["pattern"],
    gibbon: Data["pattern"],
    count: Data["pattern"],
    branch: int = 7,
):
    """Sites evolve alike and independently; each pattern of bases at the leaves occurs `count` times."""
    lp = lognormal(kappa, math.log(4.0), 1.0)
    P = np.zeros((branch, 4, 4))
    for k in range(branch):
        lp += exponential(length[k], 10.0)
        P[k] = transitions(length[k], kappa)
    for i in range(len(count)):
        site = {
            "human": human[i],
            "chimpanzee": chimpanzee[i],
            "gorilla": gorilla[i],
            "orangutan": orangutan[i],
            "gibbon": gibbon[i],
        }
        at_root = below(AFRICAN, site, P) * below(ORANGUTAN, site, P) * below(GIBBON, site, P)
        lp += gm.observe("count", count[i] * math.log(np.sum(at_root) / 4.0))
    return lp


@phylogeny.simulator
def simulate(rng, length, kappa, *, human, chimpanzee, gorilla, orangutan, gibbon, count, branch=7):
    """How often each of the patterns occurs among as many sites; the sites with others are not counted."""
    P = np.array([transitions(length[k], kappa) for k in range(branch)])
    columns = {"human": human, "chimpanzee": chimpanzee, "gorilla": gorilla, "orangutan": orangutan, "gibbon": gibbon}
    seen = np.zeros(len(count), int)
    known = {tuple(int(columns[leaf][i]) for leaf in LEAVES): i for i in range(len(count))}
    for _ in range(int(np.sum(count))):
        bases, base = {}, rng.integers(4)
        for subtree in (AFRICAN, ORANGUTAN, GIBBON):
            evolve(rng, subtree, base, P, bases)
        at = known.get(tuple(bases[leaf] for leaf in LEAVES))
        if at is not None:
            seen[at] += 1
    return {"count": seen}


def evolve(rng, node, base, P, bases):
    """Bases at the leaves below a node, from that at the upper end of its branch."""
    base = int(rng.choice(4, p=P[node[-1], base]))
    if len(node) == 2:
        bases[node[0]] = base
    else:
        evolve(rng, node[0], base, P, bases)
        evolve(rng, node[1], base, P, bases)
