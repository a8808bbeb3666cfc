"""The two ops that the reader writes in the chapter "Extend it". Try them before you read on."""

import numpy as np

from minigrad.core import Op


class ReLU(Op):
    """y = max(x, 0);  x̄ = ȳ where x > 0, else 0. At the kink, x = 0, the slope is taken as 0.

    `np.where(x > 0, x, 0)` would turn a NaN into 0 and hide where it came from; `np.maximum` keeps
    it.
    """

    @staticmethod
    def forward(context, x):
        context["x"] = x
        return np.maximum(x, 0.0)

    @staticmethod
    def backward(context, gy):
        return gy * (context["x"] > 0.0)


class Normalize(Op):
    """Rows of X (n, d) divided by their sums s:  y_ij = x_ij / s_i.

    Entry x_ij is in y_ij, and in every other y_ib through the sum:  ∂y_ib/∂x_ij = δ_bj / s_i −
    x_ib / s_i², so  x̄_ij = ȳ_ij / s_i − Σ_b ȳ_ib x_ib / s_i².  A row that sums to 0 has no normal
    form: the result is infinite or NaN, as NumPy divides.
    """

    @staticmethod
    def forward(context, x):
        context["x"], context["sum"] = x, np.sum(x, axis=1, keepdims=True)
        return x / context["sum"]

    @staticmethod
    def backward(context, gy):
        x, s = context["x"], context["sum"]
        return gy / s - np.sum(gy * x, axis=1, keepdims=True) / (s * s)
