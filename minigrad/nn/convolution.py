"""Networks that look at images through a small window.

A batch of n images with c channels of H rows and W columns is an array (n, c, H, W), as in PyTorch.
What a window sees, wherever it stands, becomes a column; a convolution is then a matrix product.
"""

import numpy as np

from minigrad.core import Op, TensorNode
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
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
        n, *_, rows, columns = seen.shape
        seen = np.reshape(seen, (n, n_in * size * size, rows * columns))
        y = np.reshape(self.weight, (n_out, -1)) @ seen + self.bias
        return np.reshape(y, (n, n_out, rows, columns))


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
        return np.max(seen, axis=(2, 3))


class Windows(Op):
    """All that a window sees: y[·, c, i, j, r, s] = x[·, c, stride r + i, stride s + j].

    x (n, c, H, W) with `padding` zeros on each side; i, j < `size`. Given the `shape` of x, it goes
    the other way, from y to the adjoint of x: a pixel gets what every place that sees it sends.
    """

    linear = True

    @staticmethod
    def forward(context, x, size, stride, padding, shape=None):
        other_way = None if shape else x.shape
        context.update(size=size, stride=stride, padding=padding, shape=other_way)
        if shape:
            *channels, _, _, rows, columns = x.shape
            images = np.zeros((*channels, shape[2] + 2 * padding, shape[3] + 2 * padding), x.dtype)
            for i, j in np.ndindex(size, size):
                to = images[:, :, i : i + stride * rows : stride, j : j + stride * columns : stride]
                to += x[:, :, i, j]
            return images[:, :, padding : padding + shape[2], padding : padding + shape[3]]
        if padding:
            x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        views = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))
        return np.array(views[:, :, ::stride, ::stride].transpose(0, 1, 4, 5, 2, 3), order="C")

    @staticmethod
    def backward(context, gy):
        return Windows.do_forward(gy, **context)
