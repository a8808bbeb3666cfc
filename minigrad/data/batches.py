"""Examples in random order, a few at a time; and some set apart, the same share of each class."""

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
        X, y = [np.asarray(part) if isinstance(part, list | tuple) else part for part in (X, y)]
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


def set_apart(y, shares, seed=0):
    """The part that each example belongs to: 1, 2, ... for the shares set apart, 0 for the rest.

    y (n,) are labels. Of each label's examples the share `shares[0]` is drawn for part 1,
    `shares[1]` for part 2, and so on; the seed decides which.
    """
    part, rng = np.zeros(len(y), int), np.random.default_rng(seed)
    for label in np.unique(y):
        members, start = rng.permutation(np.flatnonzero(y == label)), 0
        for number, share in enumerate(shares, 1):
            stop = start + round(share * len(members))
            part[members[start:stop]] = number
            start = stop
    return part
