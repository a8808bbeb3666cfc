"""Optimisers: what to do with a gradient once it is there."""

import math

import numpy as np

from minigrad.core import TensorNode


class SGD:
    """Gradient descent, on minibatches called stochastic, with momentum.

    With w a parameter, g its gradient, b its velocity (0 at first), α the `rate` and μ the
    `momentum`:

        b ← μ b + g
        w ← w − α b

    μ = 0 is plain descent. A steady gradient builds up b to g / (1 − μ): with μ = 0.9, ten times
    the step. `rate` and `momentum` may be changed between steps.
    """

    def __init__(self, parameters, rate, momentum=0.0):
        self.parameters = list(parameters)
        for position, parameter in enumerate(self.parameters):
            if not isinstance(parameter, TensorNode) or parameter.source is not None:
                raise TypeError(
                    f"SGD: parameter {position} is {parameter!r}; expected a leaf, a TensorNode "
                    "that no op computed"
                )
        if not self.parameters:
            raise ValueError(
                "SGD: no parameters. Hand them over with model.parameters(); a Module finds those "
                "that are held in its attributes."
            )
        if not 0.0 < rate < math.inf:
            raise ValueError(f"SGD: rate={rate}; expected a positive number, 0.1 to begin with")
        if not 0.0 <= momentum < 1.0:
            raise ValueError(
                f"SGD: momentum={momentum}; expected 0 <= momentum < 1: from 1 on, the velocity "
                "never dies down"
            )
        self.parameters = list(dict.fromkeys(self.parameters))  # one that is shared moves once
        self.rate, self.momentum = rate, momentum
        self.velocities = [np.zeros(p.shape, p.dtype) for p in self.parameters]

    def step(self):
        """Move every parameter once.

        Raises ValueError where a gradient is NaN or infinite, and moves nothing; or where none has
        been computed.
        """
        rate, momentum = float(self.rate), float(self.momentum)  # a np.float64 would widen float32
        gradients = [parameter.grad for parameter in self.parameters]
        self._check(gradients)
        for parameter, b, g in zip(self.parameters, self.velocities, gradients, strict=True):
            b *= momentum
            b += g
            # A new array, not w -= ...: a list recorded before this step still holds the old one,
            # and its derivatives stay those of the point where it was recorded.
            parameter.value = parameter.value - rate * b

    def zero_grad(self):
        """Forget the gradients: `backward` adds to what is there."""
        for parameter in self.parameters:
            parameter.zero_grad()

    def _check(self, gradients):
        for position, g in enumerate(gradients):
            # A cheap look first: g · g is not finite when an entry is not (or when it overflows).
            if not math.isfinite(np.vdot(g, g)) and not np.isfinite(g).all():
                bad = np.size(g) - np.isfinite(g).sum()
                raise ValueError(
                    f"SGD: {bad} of the {np.size(g)} entries in the gradient of parameter "
                    f"{position}, shape {g.shape}, are NaN or infinite. Usually the rate "
                    f"({self.rate:g}) is too large; else look for a logarithm or a division at 0."
                )
        if all(parameter._grad is None for parameter in self.parameters):
            raise ValueError("SGD: no parameter has a gradient; call loss.backward() before step()")
