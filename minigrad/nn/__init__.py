"""Networks: a module is a function that owns the numbers it is to learn.

    >>> model = MLP([64, 32, 10], activation=ReLU, rng=0)
    >>> loss = cross_entropy(model(X), y)                            # X (n, 64), y (n,)
    >>> loss.backward()
    >>> [parameter.grad for parameter in model.parameters()]

A batch is rows: n examples of d numbers are an array of shape (n, d).
"""

from minigrad.nn.convolution import Conv2d, MaxPool2d
from minigrad.nn.layers import Attention, BatchNorm, Dropout, LayerNorm, Residual
from minigrad.nn.linear import MLP, Linear, as_function, glorot, he
from minigrad.nn.module import Module
from minigrad.nn.recurrent import LSTM, RNN
