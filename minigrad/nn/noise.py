"""Noise, in training, so that no single number is relied upon."""

import numpy as np

from minigrad.nn.module import Module, misfit


class Dropout(Module):
    """In training, y = x ∘ m: an entry of m is 0 with probability `rate`, else 1 / (1 − rate).

    So the mean of y is x. After `model.eval()`, y is x. The mask is drawn here, from the module's
    own generator (`rng`: a generator or a seed), and is a constant of the product: ops are pure.
    Raises ValueError for a rate outside 0 ≤ rate < 1. Srivastava et al. 2014.
    """

    def __init__(self, rate=0.5, rng=None):
        if not 0.0 <= rate < 1.0:
            raise misfit(self, f"rate={rate}", "the share to drop, 0 <= rate < 1")
        self.rate, self.rng = float(rate), np.random.default_rng(rng)

    def mask(self, shape, dtype):
        """A mask to multiply by; None where there is nothing to drop."""
        if self.training and self.rate:
            return ((self.rng.random(shape) >= self.rate) / (1.0 - self.rate)).astype(dtype)

    def forward(self, x):
        return masked(x, self.mask(np.shape(x), x.dtype))


def masked(x, mask):
    """x ∘ mask; x where there is no mask."""
    return x if mask is None else x * mask
