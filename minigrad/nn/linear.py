"""Linear maps, what their weights begin as, and the multilayer perceptron made of them."""

import math

import numpy as np

from minigrad.core import Op, TensorNode
from minigrad.nn.module import Module
from minigrad.ops import Affine
from minigrad.promises import expect

# How wide to draw the first weights. Too small and the signal dies on its way through the layers,
# too large and it explodes: the variance that a layer puts out should be the variance that it got.


def he(rng, n_in, n_out):
    """Normal, mean 0, variance 2 / n_in: for ReLU, which lets half of the variance through."""
    return rng.normal(0.0, math.sqrt(2.0 / n_in), (n_in, n_out))


def glorot(rng, n_in, n_out):
    """Uniform in ±√(6 / (n_in + n_out)), variance 2 / (n_in + n_out): for tanh, both ways alike."""
    limit = math.sqrt(6.0 / (n_in + n_out))
    return rng.uniform(-limit, limit, (n_in, n_out))


class Linear(Module):
    """Y = XW + b, with X (n, n_in), W `weight` (n_in, n_out), b `bias` (n_out,), Y (n, n_out).

    `init` is "he", "glorot" or a function (rng, n_in, n_out) -> array; the biases begin at 0. `rng`
    is a NumPy generator or a seed. Raises ValueError where sizes do not fit.
    """

    def __init__(self, n_in, n_out, rng=None, dtype=np.float64, init="he"):
        whole = all(n == int(n) >= 1 for n in (n_in, n_out))
        expect(self, whole, "whole numbers of at least 1", n_in=n_in, n_out=n_out)
        draw = {"he": he, "glorot": glorot}.get(init, init)
        expect(self, callable(draw), "'he', 'glorot' or f(rng, n_in, n_out)", init=init)
        self.weight = TensorNode(draw(np.random.default_rng(rng), n_in, n_out).astype(dtype))
        self.bias = TensorNode(np.zeros(n_out, dtype))

    def forward(self, x):
        n_in, _ = self.weight.shape
        expect(self, np.shape(x)[-1:] == (n_in,), f"(n, {n_in}), a row for each example", x=x)
        return Affine.do_forward(x, self.weight, self.bias)


class MLP(Module):
    """A multilayer perceptron: linear maps with a nonlinear function between them.

    `MLP([64, 32, 10], activation=ReLU)` is  x ↦ ReLU(x W₀ + b₀) W₁ + b₁,  from (n, 64) to (n, 10).
    `activation` is an Op class (your own, say) or a function of a node; so is `output`, which comes
    after the last layer (None: nothing does, as for the scores that `cross_entropy` wants). The
    `options` are those of `Linear`.
    """

    def __init__(self, sizes, activation=np.tanh, output=None, rng=None, **options):
        rng, sizes = np.random.default_rng(rng), list(sizes)
        expect(self, len(sizes) > 1, "at least two: the widths of input and output", sizes=sizes)
        self.layers = [Linear(*pair, rng, **options) for pair in zip(sizes, sizes[1:])]
        between, last = as_function(activation), as_function(output or np.positive)  # x as it is
        self.functions = [between] * (len(sizes) - 2) + [last]

    def forward(self, x):
        for layer, function in zip(self.layers, self.functions):
            x = function(layer(x))
        return x


def as_function(activation):
    """An Op class as the function that runs it; a function as it is. Anything else: TypeError."""
    function = getattr(activation, "do_forward", activation)
    if isinstance(activation, Op) or isinstance(function, type) or not callable(function):
        raise TypeError(f"{activation!r}: expected an Op class (ReLU), no brackets, or a function")
    return function
