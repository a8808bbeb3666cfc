"""Normalisation: numbers that a layer finds at the same scale, whatever the layers before it do."""

import numpy as np

from minigrad.core import TensorNode
from minigrad.nn.module import Module, misfit


class BatchNorm(Module):
    """y = γ (x − μ) / √(σ² + ε) + β, one γ, β, μ, σ² for each of the n features.

    x (batch, n), or images (batch, n, H, W), whose channels are the features; y has the shape of x.
    In training μ and σ² are the mean and variance of the batch, through which gradients flow. The
    buffers `mean` and `variance` follow them (variance over m − 1), by the share `momentum` of the
    way at each batch; after `model.eval()` they stand in for them. γ is `weight`, β is `bias`.
    Raises ValueError for other shapes, and in training for one number in a feature, which has no
    variance. Ioffe and Szegedy 2015.
    """

    def __init__(self, n, momentum=0.1, epsilon=1e-5, dtype=np.float64):
        self.weight, self.bias = TensorNode(np.ones(n, dtype)), TensorNode(np.zeros(n, dtype))
        self.mean, self.variance = np.zeros(n, dtype), np.ones(n, dtype)
        self.momentum, self.epsilon = momentum, epsilon

    def forward(self, x):
        shape, n = np.shape(x), self.mean.size
        if len(shape) not in (2, 4) or shape[1] != n or self.training and np.size(x) <= n:
            wanted = f"(batch, {n}) or (batch, {n}, H, W), in training two numbers a feature"
            raise misfit(self, f"shape {shape}", wanted)
        axes, along = (0, 2, 3)[: len(shape) - 1], (n, 1, 1)[: len(shape) - 1]
        mean, variance = np.reshape(self.mean, along), np.reshape(self.variance, along)
        if self.training:
            mean, variance = moments(x, axes)
            m = np.size(x) // n
            self.mean = self._follow(self.mean, mean)
            self.variance = self._follow(self.variance, variance * (m / (m - 1)))
        scaled = (x - mean) / np.sqrt(variance + self.epsilon)
        return scaled * np.reshape(self.weight, along) + np.reshape(self.bias, along)

    def _follow(self, buffer, now):
        now = np.ravel(getattr(now, "value", now))
        return (buffer + self.momentum * (now - buffer)).astype(buffer.dtype)


class LayerNorm(Module):
    """y = γ (x − μ) / √(σ² + ε) + β, with μ and σ² of each row: x (…, n), and y as well.

    No example depends on another, and training and use are alike. γ (n,) is `weight`, β (n,) is
    `bias`. Raises ValueError where rows have another length. Ba, Kiros and Hinton 2016.
    """

    def __init__(self, n, epsilon=1e-5, dtype=np.float64):
        self.weight, self.bias = TensorNode(np.ones(n, dtype)), TensorNode(np.zeros(n, dtype))
        self.epsilon = epsilon

    def forward(self, x):
        if np.shape(x)[-1:] != self.weight.shape:
            raise misfit(self, f"shape {np.shape(x)}", f"(…, {self.weight.size})")
        mean, variance = moments(x, -1)
        return (x - mean) / np.sqrt(variance + self.epsilon) * self.weight + self.bias


def moments(x, axis):
    """Mean and variance (over m, not m − 1), with the axes kept."""
    mean = np.mean(x, axis=axis, keepdims=True)
    return mean, np.mean((x - mean) ** 2, axis=axis, keepdims=True)
