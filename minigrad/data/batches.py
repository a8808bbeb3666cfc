"""Examples in random order, a few at a time."""

import numpy as np


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
