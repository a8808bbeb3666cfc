"""Handwritten digits, MNIST: two networks, and the accuracy that others report for them."""

import time

from minigrad import cross_entropy, sigmoid
from minigrad.data import minibatches
from minigrad.data.images import mnist
from minigrad.nn import MLP
from minigrad.optim import SGD, linear
from minigrad.train import evaluate, step

RECIPES = {
    # One hidden layer of 100 sigmoids. Of the 60,000 images the last 10,000 are for validation.
    "784-100-10": {
        "hidden": 100,
        "pixels": 1.0,
        "rate": 0.1,
        "batch": 32,
        "epochs": 10,
        "held_out": 10_000,
    },
    # vugrad's own: a hidden layer four times as wide as the input, pixels from 0 to 255, batches of
    # 128, and the last 5,000 images to measure on. There: 20 epochs of plain descent. The large
    # pixels matter: they drive the sigmoids into their bends, so that each sees an edge of its own.
    "784-3136-10": {
        "hidden": 3136,
        "pixels": 255.0,
        "rate": 0.01,
        "batch": 128,
        "epochs": 6,
        "held_out": 5_000,
    },
}


def experiment(folder=None):
    """The function to sweep over: `run(seed, **recipe)`; `folder` has the data."""

    def run(seed, hidden, pixels, rate, batch, epochs, held_out):
        """Train with momentum 0.9 and a rate that falls to 0; the last weights are measured."""
        start = time.process_time()
        (X, y), (X_test, y_test) = mnist(folder)
        X, X_test = X * X.dtype.type(pixels), X_test * X.dtype.type(pixels)
        model = MLP([784, hidden, 10], sigmoid, rng=seed, dtype=X.dtype, init="glorot")
        batches = minibatches(X[:-held_out], y[:-held_out], batch, rng=seed)
        rate_now = linear(rate, epochs * len(batches))
        optimiser = SGD(model.parameters(), rate_now, momentum=0.9)
        for _ in range(epochs):
            for each in batches:
                step(model, cross_entropy, optimiser, *each)
        _, valid = evaluate(model, cross_entropy, X[-held_out:], y[-held_out:])
        _, test = evaluate(model, cross_entropy, X_test, y_test)
        seconds = time.process_time() - start
        return {"valid_accuracy": valid, "test_accuracy": test, "cpu_seconds": seconds}

    return run
