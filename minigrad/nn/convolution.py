"""Networks that look at images through a small window.

A batch of n images with c channels of H rows and W columns is an array (n, c, H, W), as in PyTorch.
What a window sees, wherever it stands, becomes a column; a convolution is then a matrix product.
"""

import numpy as np

from minigrad.core import TensorNode
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
from minigrad.ops import LinearMap
from minigrad.promises import expect


class Conv2d(Module):
    """y[·, o, r, s] = b_o + Σ w[o, c, i, j] x[·, c, r + i, s + j], the sum over c, i and j.

    x (n, n_in, H, W), y (n, n_out, H′, W′); `weight` (n_out, n_in, size, size), `bias` (n_out, 1).
    The window moves by `stride` over the image, which gets `padding` zeros on each side:  H′ =
    ⌊(H + 2 padding − size) / stride⌋ + 1. `options` as for `Linear`. Raises ValueError where the
    image has other channels or is smaller than the window. LeCun et al. 1989. (The name is the
    field's; for a convolution in the sense of mathematics the weight would be turned around.)
    """

    def __init__(self, n_in, n_out, size, stride=1, padding=0, **options):
        matrix = Linear(n_in * size * size, n_out, **options).weight.value.T
        self.weight = TensorNode(matrix.reshape(n_out, n_in, size, size))
        self.bias = TensorNode(np.zeros((n_out, 1), matrix.dtype))
        self.stride, self.padding = stride, padding

    def forward(self, x):
        (n_out, n_in, size, _), shape = self.weight.shape, np.shape(x)
        expect(self, len(shape) == 4 and shape[1] == n_in, f"(n, {n_in}, H, W)", x=x)
        seen = Windows.do_forward(x, size=size, stride=self.stride, padding=self.padding)
        rows, *_, columns, n = seen.shape
        seen = np.reshape(seen, (rows, n_in * size * size, columns * n))
        y = np.reshape(self.weight, (n_out, -1)) @ seen + self.bias
        return batch_first(np.reshape(y, (rows, n_out, columns, n)))


class MaxPool2d(Module):
    """The largest number in each window: (n, c, H, W) -> (n, c, H′, W′).

    H′ = ⌊(H − size) / stride⌋ + 1. The stride is the size, if not given: the windows are tiles, and
    rows or columns that do not fill one are left out. Where several numbers of a window are the
    largest, they share its adjoint. Raises ValueError for images smaller than the window.
    """

    def __init__(self, size, stride=None):
        self.size, self.stride = size, stride or size

    def forward(self, x):
        expect(self, np.ndim(x) == 4, "(n, c, H, W)", x=x)
        seen = Windows.do_forward(x, size=self.size, stride=self.stride, padding=0)
        return batch_first(np.max(seen, axis=(2, 3)))


class Windows(LinearMap):
    """All that a window sees: y[r, c, i, j, s, ·] = x[·, c, stride r + i, stride s + j].

    x (n, c, H, W) with `padding` zeros on each side; i, j < `size`. The batch comes last: pixels
    side by side, of all images, are then side by side in memory, and are moved in one go.
    """

    adjoint = lambda gy, shape, **window: Overlap.do_forward(gy, shape=shape, **window)

    def f(x, size, stride, padding):
        x, margin = x.transpose(2, 1, 3, 0), (padding, padding)
        x = np.pad(x, (margin, (0, 0), margin, (0, 0))) if padding else np.ascontiguousarray(x)
        views = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(0, 2))
        return np.array(views[::stride, :, ::stride].transpose(0, 1, 4, 5, 2, 3), order="C")


class Overlap(LinearMap):
    """The other way: each pixel of x, of this `shape`, gets what every place that sees it sends."""

    adjoint = lambda gx, old, shape, **window: Windows.do_forward(gx, **window)

    def f(y, shape, size, stride, padding):
        (n, c, H, W), (rows, _, _, _, columns, _) = shape, y.shape
        x = np.zeros((H + 2 * padding, c, W + 2 * padding, n), y.dtype)
        for i, j in np.ndindex(size, size):
            x[i : i + stride * rows : stride, :, j : j + stride * columns : stride] += y[:, :, i, j]
        return batch_first(x[padding : padding + H, :, padding : padding + W])


def batch_first(x):
    """(H, c, W, n) as (n, c, H, W)."""
    return np.transpose(x, (3, 1, 0, 2))
