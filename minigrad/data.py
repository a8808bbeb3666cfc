"""Data to train on, all of it offline: 1,797 real digits, and toys in the plane.

A batch is rows: X (n, d) are n examples of d numbers, y (n,) their labels, integers from 0.
"""

import numpy as np


def digits(test=0.2, seed=0, dtype=np.float64):
    """Handwritten digits, 8 by 8 pixels: `(X, y), (X_test, y_test)`.

    scikit-learn carries 1,797 of them, 174 to 183 of each. X (n, 64) is scaled to [0, 1], y (n,)
    holds 0 to 9. The share `test` of each digit is set aside for testing, drawn by `seed`: the same
    seed, the same split. Raises ImportError where scikit-learn is missing.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "the digits come with scikit-learn, which is not installed: pip install scikit-learn"
        ) from error
    if not 0.0 < test < 1.0:
        raise ValueError(f"digits: test={test}; expected a share between 0 and 1, such as 0.2")
    X, y = load_digits(return_X_y=True)
    X, rng = (X / 16.0).astype(dtype), np.random.default_rng(seed)
    held_out = np.zeros(len(y), bool)
    for digit in range(10):
        members = rng.permutation(np.flatnonzero(y == digit))
        held_out[members[: round(test * len(members))]] = True
    return (X[~held_out], y[~held_out]), (X[held_out], y[held_out])


class minibatches:
    """Pairs (X of a batch, y of the same examples); going through them once is an epoch.

        batches = minibatches(X, y, 32, rng=0)
        for epoch in range(20):
            for X_batch, y_batch in batches: ...

    Each epoch draws a new order, so that no two see the same batches. The last batch holds what is
    left over. `rng` is a NumPy generator or a seed; `size` may be changed at any time. Raises
    ValueError where X and y differ in length.
    """

    def __init__(self, X, y, size, rng=None):
        if len(X) != len(y):
            raise ValueError(
                f"minibatches: {len(X)} examples and {len(y)} labels; expected one label for each"
            )
        if size != int(size) or size < 1:
            raise ValueError(f"minibatches: size={size!r}; expected a whole number of at least 1")
        self.X, self.y, self.size, self.rng = X, y, size, np.random.default_rng(rng)

    def __len__(self):
        return -(-len(self.X) // self.size)

    def __iter__(self):
        order, start = self.rng.permutation(len(self.X)), 0
        while start < len(order):
            chosen = order[start : start + self.size]
            start += len(chosen)
            yield self.X[chosen], self.y[chosen]


# Toys: points X (n, 2) in the plane, and the class y (n,) of each. No straight line separates them.


def moons(n=200, noise=0.1, rng=0):
    """Two half circles that reach into each other."""
    rng, y = np.random.default_rng(rng), np.arange(n) % 2
    angle = np.pi * rng.uniform(0.0, 1.0, n)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1.0 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    return _jitter(np.where(y[:, None] == 0, upper, lower), noise, rng), y


def circles(n=200, noise=0.08, rng=0):
    """A circle of radius 1/2 inside one of radius 1."""
    rng, y = np.random.default_rng(rng), np.arange(n) % 2
    angle, radius = 2 * np.pi * rng.uniform(0.0, 1.0, n), np.where(y == 0, 1.0, 0.5)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return _jitter(points, noise, rng), y


def xor(n=200, noise=0.2, rng=0):
    """Four clouds around (±1, ±1); the class says whether the signs differ."""
    rng, corner = np.random.default_rng(rng), np.arange(n) % 4
    right, top = corner % 2, corner // 2
    return _jitter(np.stack([2.0 * right - 1, 2.0 * top - 1], axis=1), noise, rng), right ^ top


def spirals(n=300, noise=0.05, rng=0, classes=3):
    """Arms that wind once around the origin, one for each class."""
    rng, y = np.random.default_rng(rng), np.arange(n) % classes
    along = np.sqrt(rng.uniform(0.0, 1.0, n))
    angle = 2 * np.pi * (along + y / classes)
    points = np.stack([along * np.cos(angle), along * np.sin(angle)], axis=1)
    return _jitter(points, noise, rng), y


def _jitter(points, noise, rng):
    return points + rng.normal(0.0, noise, points.shape)
