"""How long the Jacobian of a small network takes, by three ways: what the cost explorer shows.

The network takes n numbers to m numbers through a hidden layer, y = W₂ tanh(W₁ x). Forward mode
fills its Jacobian column by column, reverse mode row by row, nudging column by column and roughly.
"""

from functools import cache
from time import perf_counter

import numpy as np

from minigrad.functions import jvp, vjp

SIZES = (1, 4, 16, 64, 256)  # of n and m
WIDTHS = (16, 128, 512)


def network(n, m, width):
    """A network of these sizes, and a point to differentiate it at."""
    rng = np.random.default_rng(0)
    W1 = rng.standard_normal((width, n)) / np.sqrt(n)
    W2 = rng.standard_normal((m, width)) / np.sqrt(width)
    return lambda x: W2 @ np.tanh(W1 @ x), rng.standard_normal(n)


def by_forward(f, x):
    """The Jacobian, n forward sweeps: a column for each input."""
    return np.stack([jvp(f, (x,), (e,))[1] for e in np.eye(len(x))], axis=1)


def by_reverse(f, x):
    """The Jacobian, one run and m reverse sweeps: a row for each output."""
    y, pullback = vjp(f, x)
    return np.stack([pullback(e) for e in np.eye(len(y))])


def by_nudges(f, x, h=1e-7):
    """The Jacobian, n + 1 runs: a quotient of differences for each input."""
    y = f(x)
    return np.stack([(f(x + h * e) - y) / h for e in np.eye(len(x))], axis=1)


WAYS = (by_forward, by_reverse, by_nudges)


@cache
def sweep_times(repeats=3):
    """Milliseconds on this machine: rows of n, m, width, then each of WAYS, the best of up to
    `repeats` runs.

    Takes a few seconds, once in a process.
    """
    return [
        [n, m, width, *(_best(way, *network(n, m, width), repeats) for way in WAYS)]
        for width in WIDTHS
        for n in SIZES
        for m in SIZES
    ]


def _best(way, f, x, repeats):
    times = []
    while len(times) < 2 or (len(times) < repeats and sum(times) < 0.03):  # the first may be cold
        start = perf_counter()
        way(f, x)
        times.append(perf_counter() - start)
    return float(f"{1000 * min(times):.3g}")
