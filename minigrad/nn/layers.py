"""Layers that stand between others: noise, normalisation, a way around, attention."""

import numpy as np

from minigrad.core import TensorNode, _recording
from minigrad.dual import Dual
from minigrad.functions import softmax
from minigrad.nn.linear import as_function
from minigrad.nn.module import Module
from minigrad.promises import expect


class Dropout(Module):
    """In training, y = x ∘ m: an entry of m is 0 with probability `rate`, else 1 / (1 − rate).

    So the mean of y is x. After `model.eval()`, y is x. The mask is drawn here, from the module's
    own generator (`rng`: a generator or a seed), and is a constant of the product: ops are pure.
    Raises ValueError for a rate outside 0 ≤ rate < 1, TypeError for integers, which could not hold
    x / (1 − rate), and in training within `mg.compile`. Srivastava et al. 2014.
    """

    def __init__(self, rate=0.5, rng=None):
        expect(self, 0.0 <= rate < 1.0, "the share to drop, 0 <= rate < 1", rate=rate)
        self.rate, self.rng = float(rate), np.random.default_rng(rng)

    def mask(self, shape, dtype):
        """A mask to multiply by; None where there is nothing to drop."""
        outside = "to be applied outside mg.compile; a mask can be handed in"
        if self.training and self.rate:
            expect(self, not callable(_recording.get()), outside, TypeError, rate=self.rate)
            return ((self.rng.random(shape) >= self.rate) / (1.0 - self.rate)).astype(dtype)

    def forward(self, x):
        expect(self, x.dtype.kind == "f", "floats: x.astype(float)", TypeError, dtype=x.dtype.name)
        return masked(x, self.mask(np.shape(x), x.dtype))


def masked(x, mask):
    """x ∘ mask; x where there is no mask."""
    return x if mask is None else x * mask


class LayerNorm(Module):
    """y = γ (x − μ) / √(σ² + ε) + β, with μ and σ² of each row: x (…, n), and y as well.

    No example depends on another, and training and use are alike. γ (n,) is `weight`, β (n,) is
    `bias`. Raises ValueError where rows have another length. Ba, Kiros and Hinton 2016.
    """

    def __init__(self, n, epsilon=1e-5, dtype=np.float64):
        self.weight, self.bias = TensorNode(np.ones(n, dtype)), TensorNode(np.zeros(n, dtype))
        self.epsilon = epsilon

    def forward(self, x):
        fits = np.shape(x)[-1:] == self.weight.shape
        expect(self, fits, f"(…, {self.weight.size})", x=x)
        return self.normalised(x, *moments(x, -1))

    def normalised(self, x, mean, variance):
        """γ (x − μ) / √(σ² + ε) + β, the features along the last axis."""
        return (x - mean) / np.sqrt(variance + self.epsilon) * self.weight + self.bias


class BatchNorm(LayerNorm):
    """y = γ (x − μ) / √(σ² + ε) + β, one γ, β, μ, σ² for each of the n features.

    x (batch, n), or images (batch, n, H, W), whose channels are the features; y has the shape of x.
    In training μ and σ² are the mean and variance of the batch, through which gradients flow. The
    buffers `mean` and `variance` follow them (variance over m − 1), by the share `momentum` of the
    way at each batch that is recorded: not within `no_grad`, not for dual numbers, and once within
    `mg.checkpoint`, which runs twice. After `model.eval()` they stand in for them. γ is `weight`, β
    is `bias`. Raises ValueError for other shapes, and in training for one number in a feature,
    which has no variance. Ioffe and Szegedy 2015.
    """

    def __init__(self, n, momentum=0.1, epsilon=1e-5, dtype=np.float64):
        super().__init__(n, epsilon, dtype)
        self.mean, self.variance = np.zeros(n, dtype), np.ones(n, dtype)
        self.momentum = momentum

    def forward(self, x):
        shape, n = np.shape(x), self.mean.size
        fits = len(shape) in (2, 4) and shape[1] == n and (np.size(x) > n or not self.training)
        wanted = f"(batch, {n}) or (batch, {n}, H, W), in training two numbers a feature"
        expect(self, fits, wanted, x=x)
        x, mean, variance = np.moveaxis(x, 1, -1), self.mean, self.variance
        if self.training:
            mean, variance = moments(x, tuple(range(len(shape) - 1)))
            if _recording.get() and not isinstance(x, Dual):
                m = np.size(x) // n
                self.mean = self.followed(self.mean, mean)
                self.variance = self.followed(self.variance, variance * (m / (m - 1)))
        return np.moveaxis(self.normalised(x, mean, variance), -1, 1)

    def followed(self, buffer, now):
        """The buffer, having gone its share of the way: a new array, for ops may hold the old."""
        now = np.ravel(getattr(now, "value", now))
        return (buffer + self.momentum * (now - buffer)).astype(buffer.dtype)


def moments(x, axis):
    """Mean and variance (over m, not m − 1), with the axes kept."""
    mean = np.mean(x, axis=axis, keepdims=True)
    return mean, np.mean((x - mean) ** 2, axis=axis, keepdims=True)


class Residual(Module):
    """y = x + f(x): the block learns what to change. f, a module or a function, keeps the shape.

    A gradient reaches x unchanged, besides the one through f, however many blocks are stacked.
    Raises ValueError where f(x) has another shape. He, Zhang, Ren and Sun 2016.
    """

    def __init__(self, f):
        self.f = as_function(f)

    def forward(self, x):
        y = self.f(x)
        expect(self, np.shape(y) == np.shape(x), f"{np.shape(x)} as of x", y=y)
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
        fits = min(map(len, (q, k, v))) > 1 and q[-1] == k[-1] and k[-2] == v[-2]
        expect(self, fits, "(…, n, d), (…, m, d), (…, m, e)", queries=q, keys=k, values=v)
        return softmax((Q @ np.swapaxes(K, -1, -2)) * self.scale) @ V
