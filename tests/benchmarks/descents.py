"""Benchmark: steps of `gm.optimize` against JAX and Optax written by hand.

    python -m tests.benchmarks.descents [--repeats N]

An epoch of Adam over batches of 64 digits, by the program of `models/cnn_digits` with twelve filters, in plain loops,
and by convolutions of JAX. Both start at the same position, see the same batches, take turns and must end at the same
position; printed is processor time for each step, and the median of the ratios within a turn.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import gradmc as gm
from gradmc.run.descending import Steps
from gradmc.run.descent import Descent, DescentPlan, prepare
from tests.models.shipped import shipped

RATE, BATCH, FILTERS = 0.02, 64, 12


def by_hand(image: Any, digit: Any, rows: int, unflatten: Callable[[Any], dict[str, Any]]) -> Callable[..., Any]:
    """An epoch of Adam on minus the log density per row, estimated from batches."""
    method = optax.adam(RATE)

    def log_prior(p: dict[str, Any]) -> Any:
        def normal(x: Any, sigma: float) -> Any:
            return -0.5 * jnp.sum((x / sigma) ** 2)

        return normal(p["kernel"], 2.0) + normal(p["bias"], 1.0) + normal(p["weight"], 2.0) + normal(p["shift"], 1.0)

    def log_likelihood(p: dict[str, Any], pictures: Any, digits: Any) -> Any:
        maps = jax.lax.conv(pictures[:, None] / 16.0, p["kernel"][:, None], (1, 1), "VALID")
        maps = jnp.maximum(maps + p["bias"][:, None, None], 0.0)
        flat = maps.reshape(BATCH, -1, 3, 2, 3, 2).mean(axis=(3, 5)).reshape(BATCH, -1)
        odds = jax.nn.log_softmax(flat @ p["weight"].T + p["shift"])
        return jnp.sum(jnp.take_along_axis(odds, digits[:, None], axis=1))

    def loss(x: Any, chosen: Any) -> Any:
        p = unflatten(x)
        return -(log_prior(p) + rows / BATCH * log_likelihood(p, image[chosen], digit[chosen])) / rows

    def epoch(x: Any, order: Any) -> Any:
        def step(carry: Any, chosen: Any) -> Any:
            x, memory = carry
            updates, memory = method.update(jax.grad(loss)(x, chosen), memory)
            return (x + updates, memory), None

        return jax.lax.scan(step, (x, method.init(x)), order)[0][0]

    return jax.jit(epoch)


def ours(descent: Descent) -> Callable[..., Any]:
    """An epoch of `gm.optimize`."""
    steps = Steps.compiled(descent)
    walk = steps.first()

    def epoch(x: Any, order: Any) -> Any:
        del x  # the walk begins there
        return steps.advance(walk, jnp.int32(len(order)), order, steps.arrays, descent.density.arguments).position

    return epoch


def timed(epoch: Callable[..., Any], x: Any, order: Any) -> float:
    """Processor time of an epoch, by step."""
    began = time.process_time()
    jax.block_until_ready(epoch(x, order))
    return (time.process_time() - began) / len(order)


def compare(repeats: int) -> tuple[float, float, float]:
    """Seconds for a step of ours, of the one by hand, and the median of their ratios."""
    system = shipped("cnn_digits")
    data = {**system.data, "filters": FILTERS}
    density = gm.density(system.model, data)
    plan = DescentPlan(method="adam", batch={"n": BATCH}, epochs=1, learning_rate=RATE)
    descent = prepare(density, plan, jacobian=False, initial=0.1)
    with density.scope():
        image, digit = jnp.asarray(data["image"], float), jnp.asarray(data["digit"])
        hand = by_hand(image, digit, len(descent.rows), density.constrain)
        own, x, order = ours(descent), jnp.asarray(descent.start), jnp.asarray(descent.order(0))
        np.testing.assert_allclose(own(x, order), hand(x, order), rtol=1e-6, atol=1e-8)
        times = np.array([[timed(own, x, order), timed(hand, x, order)] for _ in range(repeats)])
    return (*np.median(times, axis=0), float(np.median(times[:, 0] / times[:, 1])))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=7)
    own, hand, ratio = compare(parser.parse_args().repeats)
    print(f"gm.optimize {1e3 * own:.2f} ms a step, by hand {1e3 * hand:.2f} ms, ratio {ratio:.2f}")
