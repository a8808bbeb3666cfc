"""Blocks that are put together from other modules and functions."""

import numpy as np

from minigrad.functions import softmax
from minigrad.nn.linear import as_function
from minigrad.nn.module import Module, misfit


class Residual(Module):
    """y = x + f(x): the block learns what to change. f, a module or a function, keeps the shape.

    A gradient reaches x unchanged, besides the one through f, however many blocks are stacked.
    Raises ValueError where f(x) has another shape. He, Zhang, Ren and Sun 2016.
    """

    def __init__(self, f):
        self.f = as_function(f)

    def forward(self, x):
        y = self.f(x)
        if np.shape(y) != np.shape(x):
            raise misfit(self, f"f with f(x) of shape {np.shape(y)}", f"that of x, {np.shape(x)}")
        return x + y


class Attention(Module):
    """For each query a mean of the values, weighted by how well its keys fit: softmax(s Q Kᵀ) V.

    Q (…, n, d) queries, K (…, m, d) keys, V (…, m, e) values, the keys themselves if not given; the
    result is (…, n, e). s is `scale`: 1, or, so that the scores keep their variance, 1/√d (Vaswani
    et al. 2017). The softmax is over the keys and does not overflow. Raises ValueError for shapes
    that do not fit. Bahdanau, Cho and Bengio 2015.
    """

    def __init__(self, scale=1.0):
        self.scale = scale

    def forward(self, Q, K, V=None):
        V = K if V is None else V
        q, k, v = map(np.shape, (Q, K, V))
        if min(map(len, (q, k, v))) < 2 or q[-1] != k[-1] or v[-2] != k[-2]:
            wanted = "(…, n, d), (…, m, d), (…, m, e)"
            raise misfit(self, f"queries {q}, keys {k}, values {v}", wanted)
        return softmax((Q @ np.swapaxes(K, -1, -2)) * self.scale) @ V
