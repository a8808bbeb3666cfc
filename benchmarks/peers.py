"""Training steps in other libraries, as their own tutorials write them.

Each function takes `scores(parameters, X)` in that library's terms, the starting parameters as
NumPy arrays, and the two constants of SGD; it returns `network(X, y) -> loss`, one step of
training. Importing a library happens here and nowhere else, and an ImportError means that it is
left out.
"""

import numpy as np


def import_torch():
    import torch

    torch.set_num_threads(1)
    return torch


def train_torch(scores, parameters, rate, momentum):
    torch = import_torch()
    tensors = [torch.tensor(w, requires_grad=True) for w in parameters]
    optimiser = torch.optim.SGD(tensors, lr=rate, momentum=momentum)

    def network(X, y):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(scores(tensors, X), y)
        loss.backward()
        optimiser.step()
        return loss.item()

    return network


def torch_batches(batches):
    torch = import_torch()
    return [(torch.from_numpy(X), torch.from_numpy(y)) for X, y in batches]


def train_jax(scores, parameters, rate, momentum):
    import jax

    def loss(weights, X, y):
        z = scores(weights, X)
        chosen = z[jax.numpy.arange(len(y)), y]
        return jax.numpy.mean(jax.nn.logsumexp(z, axis=1) - chosen)

    def step(weights, velocities, X, y):
        now, gradients = jax.value_and_grad(loss)(weights, X, y)
        velocities = [momentum * b + g for b, g in zip(velocities, gradients)]
        return [w - rate * b for w, b in zip(weights, velocities)], velocities, now

    step = jax.jit(step, donate_argnums=(0, 1))
    state = [
        [jax.numpy.array(w) for w in parameters],
        [jax.numpy.zeros(w.shape) for w in parameters],
    ]

    def network(X, y):
        *state[:], now = step(*state, X, y)
        return float(now)

    return network


def jax_batches(batches):
    import jax

    return [(jax.numpy.asarray(X), jax.numpy.asarray(y)) for X, y in batches]


def train_autograd(scores, parameters, rate, momentum):
    import autograd.numpy as anp
    from autograd import value_and_grad

    def loss(weights, X, y):
        z = scores(weights, X)
        z = z - z._value.max(axis=1, keepdims=True)  # a constant, as far as derivatives go
        chosen = z[np.arange(len(y)), y]
        return anp.sum(anp.log(anp.sum(anp.exp(z), axis=1)) - chosen) / len(y)

    both = value_and_grad(loss)
    weights = [np.array(w) for w in parameters]
    velocities = [np.zeros_like(w) for w in parameters]

    def network(X, y):
        now, gradients = both(weights, X, y)
        for w, b, g in zip(weights, velocities, gradients):
            b *= momentum
            b += g
            w -= rate * b
        return now

    return network
