"""Optimisers: what to do with a gradient once it is there.

    >>> optimiser = SGD(model.parameters(), rate=0.1, momentum=0.9)
    >>> loss.backward()
    >>> clip_by_norm(model.parameters(), 1.0)
    >>> optimiser.step()

Every optimiser here takes the step  w ← w − α d  and they differ in the direction d alone. The
rate α is a number, or a function of the step number: `cosine(0.1, steps=1000)`.
"""

import math

import numpy as np

from minigrad.core import TensorNode
from minigrad.nn import Module
from minigrad.promises import expect


class Optimiser(Module):
    """The step w ← w − α d, with the checks, the rate and the state that all optimisers share.

    One of your own needs `direction(i, w, g)`, which returns d for parameter number i with value w
    and gradient g. What it has to remember is kept in arrays, such as `self.velocity =
    self.zeros()`, and written into them. They are its buffers: `state_dict` and `load_state_dict`,
    which are those of every `Module`, save and restore them, together with the number of `steps`
    taken (already 1 in the first call of `direction`). The settings are not in the state.

    `rate` is a number or a function of the number of steps taken; it and the `settings`, numbers in
    [0, 1), may be changed between steps. Raises TypeError for a parameter that is not a leaf,
    ValueError for none at all and for a number out of its range.
    """

    def __init__(self, parameters, rate, **settings):
        parameters, self.rate, self.steps = list(parameters), rate, np.zeros((), int)
        for position, parameter in enumerate(parameters):
            if not isinstance(parameter, TensorNode) or parameter.source is not None:
                raise TypeError(f"parameter {position} is {parameter!r}, which is no leaf node")
        expect(self, parameters, "model.parameters()", parameters=parameters)
        # Keys, so that one that is shared moves once. They stay in the state of their model.
        self._moved = dict.fromkeys(parameters)
        for name, value in settings.items():
            setattr(self, name, _number(self, name, value, below=1.0))
        self.rate_at(0)

    parameters = lambda self: list(self._moved)

    def zeros(self):
        """An array of zeros for each parameter."""
        return [np.zeros(p.shape, p.dtype) for p in self._moved]

    def rate_at(self, step):
        """The rate after so many steps: a number, or what the function gives."""
        return _number(self, "rate", self.rate(step) if callable(self.rate) else self.rate)

    def step(self):
        """Move every parameter once.

        Raises ValueError, and moves nothing, where a gradient is NaN or infinite, where none has
        been computed, or where the rate is no number of at least 0.
        """
        gradients, taken = _gradients(self, self._moved), int(self.steps)
        rate, self.steps[()] = self.rate_at(taken), taken + 1
        for i, (parameter, g) in enumerate(gradients.items()):
            w = parameter.value
            # Not w -= ...: a list recorded before this step still holds w, and its derivatives stay
            # those of the point where it was recorded. In the dtype of w: a setting that came as
            # np.float64 would widen float32.
            parameter.value = np.multiply(self.direction(i, w, g), -rate, dtype=w.dtype)
            parameter.value += w


class SGD(Optimiser):
    """Gradient descent, on minibatches called stochastic, with momentum.

    With w a parameter, g its gradient, b its velocity (0 at first), α the `rate`, μ the `momentum`
    and λ the `decay`:

        g ← g + λ w
        b ← μ b + g
        w ← w − α b              `nesterov`:  w ← w − α (g + μ b)

    μ = 0 is plain descent. A steady gradient builds up b to g / (1 − μ): with μ = 0.9, ten times
    the step. Nesterov's direction is the one that b will have after a step more with the same g.

    The decay is *coupled*: it is the gradient of a penalty λ |w|² / 2 in the loss, and goes through
    the velocity like the rest of the gradient. `Adam` decouples it.
    """

    def __init__(self, parameters, rate, momentum=0.0, nesterov=False, decay=0.0):
        super().__init__(parameters, rate, momentum=momentum, decay=decay)
        self.nesterov, self.velocity = nesterov, self.zeros()

    def direction(self, i, w, g):
        b, g = self.velocity[i], g + self.decay * w if self.decay else g
        b *= self.momentum
        b += g
        return g + self.momentum * b if self.nesterov else b


class Adam(Optimiser):
    """Steps of one size in every entry, however steep the loss is there.

    With g the gradient, t = 1, 2, ... the number of the step, m and v running means of g and of g²
    (0 at first), β₁, β₂, ε `epsilon`, α the `rate` and λ the `decay`:

        m ← β₁ m + (1 − β₁) g        m̂ = m / (1 − β₁ᵗ)
        v ← β₂ v + (1 − β₂) g²       v̂ = v / (1 − β₂ᵗ)
        w ← w − α (m̂ / (√v̂ + ε) + λ w)

    The means begin at 0 and are too small at first. After t equal gradients m is (1 − β₁ᵗ) g, hence
    the divisor: with it the first step already has size α, whatever the size of g. (Kingma and Ba,
    *Adam: a method for stochastic optimization*, 2015.)

    The decay is *decoupled*: it shrinks w by the factor 1 − αλ and never meets √v̂, which would
    weaken it most where gradients are large. With λ > 0 this is AdamW. (Loshchilov and Hutter,
    *Decoupled weight decay regularization*, 2019.)
    """

    def __init__(self, parameters, rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, decay=0.0):
        super().__init__(parameters, rate, beta1=beta1, beta2=beta2, epsilon=epsilon, decay=decay)
        self.mean, self.square = self.zeros(), self.zeros()

    def direction(self, i, w, g):
        m, v, t = self.mean[i], self.square[i], int(self.steps)
        m += (1.0 - self.beta1) * (g - m)
        v += (1.0 - self.beta2) * (g * g - v)
        root = np.sqrt(v / (1.0 - self.beta2**t))
        return m / (1.0 - self.beta1**t) / (root + self.epsilon) + self.decay * w


# Gradients that are now and then enormous, as those of recurrent networks are, throw the weights
# far off. Clipped, they make a step of bounded size. For g = (3, 2) and the limit 1:
#   by value  (1, 1)           turned by 11.3 degrees: no longer the steepest way down
#   by norm   (0.832, 0.555)   shorter, the same direction


def clip_by_value(parameters, limit):
    """Cut every entry of every gradient to [−limit, limit]. Raises ValueError as `step` does."""
    limit = _number(clip_by_value, "limit", limit)
    for parameter, g in _gradients(clip_by_value, parameters).items():
        parameter.grad = np.clip(g, -limit, limit)


def clip_by_norm(parameters, limit):
    """Scale all gradients by one factor, so that their joint norm √(Σ g²) is at most `limit`.

    Returns the norm that they had. Raises ValueError as `step` does.
    """
    limit, gradients = _number(clip_by_norm, "limit", limit), _gradients(clip_by_norm, parameters)
    # The largest entry goes out in front: its square may overflow where the norm does not.
    largest = max(float(np.abs(g).max(initial=0.0)) for g in gradients.values()) or 1.0
    norm = largest * math.sqrt(sum(np.sum((g / largest) ** 2) for g in gradients.values()))
    for parameter, g in gradients.items() if norm > limit else ():
        parameter.grad = g * (limit / norm)
    return norm


# Rates that change as training goes on: large while there is far to go, small when the zigzags
# should die down. Each is a function of the number of steps taken, 0 before the first; a number
# stands for the constant one.


def linear(rate, steps, last=0.0):
    """From `rate` to `last` in a straight line, over so many steps; there it stays."""
    expect(linear, steps >= 1, "1 step or more", steps=steps)
    return lambda step: rate + (last - rate) * min(step / steps, 1.0)


def step_decay(rate, every, factor=0.1):
    """The rate times `factor` after `every` so many steps, times its square after twice as many."""
    expect(step_decay, every >= 1, "1 step or more", every=every)
    return lambda step: rate * factor ** (step // every)


def cosine(rate, steps, warmup=0, last=0.0):
    """Up in a straight line over `warmup` steps, then half a wave down to `last` at `steps`.

        α(n) = rate (n + 1) / warmup                                                 n < warmup
        α(n) = last + (rate − last) (1 + cos(π (n − warmup) / (steps − warmup))) / 2   then

    The small first steps give the velocities, and the means of `Adam`, time to fill up.
    """
    expect(cosine, 0 <= warmup < steps, "0 <= warmup < steps", warmup=warmup, steps=steps)

    def schedule(step):
        wave = math.cos(math.pi * min(max(step - warmup, 0) / (steps - warmup), 1.0))
        return min((step + 1) / max(warmup, 1), 1.0) * (last + (rate - last) * (1.0 + wave) / 2.0)

    return schedule


def _number(who, name, value, below=math.inf):
    # The words only where they are needed: the rate is looked at in every step.
    if not isinstance(value, float | int | np.number) or not 0.0 <= value < below:
        expect(who, False, f"a number, 0 <= {name} < {below:g}", **{name: value})
    return float(value)


def _gradients(who, parameters):
    """{parameter: gradient, zeros where there is none}; ValueError for what no step could use."""
    gradients = {p: p.grad for p in parameters}
    for position, g in enumerate(gradients.values()):
        # A cheap look first: g · g is not finite when an entry is not (or when it overflows).
        if not math.isfinite(np.vdot(g, g)) and not np.isfinite(g).all():
            why = "no NaN or infinity. Usually the rate is too large; else see mg.debug()"
            expect(who, False, why, parameter=position, gradient=g)
    expect(who, any(p._grad is not None for p in parameters), "loss.backward() first", grad=None)
    return gradients
