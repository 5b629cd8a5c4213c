"""A store into an array of plain numbers changes nothing that was read of it before."""

import numpy as np
import pytest

from tests.frontend.grammar import compiled
from tests.frontend.laws import agree

READS = {
    "product": "lp += np.sum(p * z)",
    "dot": "lp += np.dot(z, theta)",
    "matmul": "lp += theta @ z",
    "where": "lp += np.sum(np.where(p > 0.0, z, theta))",
    "stack": "lp += np.sum(np.stack([z, theta]))",
    "store": "w = theta * 1.0; w[:] = z; lp += np.sum(w) * p",
    "items": "for a in z: lp += p * a",
    "pairs": "for a, c in zip(z, theta): lp += a * c",
    "subscripts": "for i in range(6): lp += p * z[i]",
    "earlier ones": "for i in range(1, 6): lp += p * z[i] * z[i - 1]",
    "slices": "for i in range(4): lp += p * np.sum(z[i : i + 2])",
    "generator": "lp += sum(a * p for a in z)",
}
STORES = {
    "one": "z[0] = 7.0",
    "all": "z[:] = 7.0",
    "loop": "for k in range(6): z[k] = 0.5 * z[k] + 0.3",
    "function": "fill(z)",
}
PROGRAM = """
import numpy as np

def fill(z):
    for k in range(6):
        z[k] = 2.0

def program(p, theta):
    lp = 0.0
    z = np.zeros(6)
    z[0] = 0.5
    {read}
    {store}
    return lp + p * z[0]
"""


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("store", STORES)
def test_what_was_read_stays(read: str, store: str) -> None:
    program = compiled(PROGRAM.format(read=READS[read], store=STORES[store]))
    agree(program, (0.7, np.linspace(-1.0, 1.5, 6)), {}, differences=False)
