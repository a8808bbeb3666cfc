"""Optimisers: what to do with a gradient once it is there.

    >>> optimiser = SGD(model.parameters(), rate=0.1, momentum=0.9)
    >>> loss.backward()
    >>> clip_by_norm(model.parameters(), 1.0)
    >>> optimiser.step()

Every optimiser here takes the step  w ← w − α d  and they differ in the direction d alone. The
rate α is a number, or a function of the step number: `cosine(0.1, steps=1000)`.
"""

import math
from numbers import Real

import numpy as np

from minigrad.core import TensorNode


class Optimiser:
    """The step w ← w − α d, with the checks, the rate and the state that all optimisers share.

    One of your own needs `direction(w, g, *state)`, which returns d for one parameter with value w
    and gradient g. `STATE` names the arrays that are kept for it, each of the shape of w, zeros at
    first; they are the optimiser's own, so `direction` writes the new state into them. w and g are
    not. `steps` counts from 0 and is already 1 in the first call.

    `rate` is a positive number or a function of the number of steps taken, and may be changed
    between steps. Raises TypeError for a parameter that is not a leaf, ValueError for none at all.
    """

    STATE = ()

    def __init__(self, parameters, rate):
        self.parameters, self.rate, self.steps = _leaves(parameters, self._name), rate, 0
        self.state = [[np.zeros(p.shape, p.dtype) for _ in self.STATE] for p in self.parameters]
        self.rate_now()

    _name = property(lambda self: type(self).__name__)

    def direction(self, w, g, *state):
        raise NotImplementedError(f"{self._name} needs a method direction(self, w, g, *state)")

    def step(self):
        """Move every parameter once.

        Raises ValueError, and moves nothing, where a gradient is NaN or infinite, where none has
        been computed, or where the rate is not a number to step with.
        """
        gradients, rate = _gradients(self.parameters, self._name), self.rate_now()
        self.steps += 1
        for parameter, g, state in zip(self.parameters, gradients, self.state, strict=True):
            w = parameter.value
            d = self.direction(w, g, *state)
            # A new array, not w -= ...: a list recorded before this step still holds the old one,
            # and its derivatives stay those of the point where it was recorded. With the dtype of
            # w, or a setting that came as np.float64 would widen float32.
            parameter.value = np.subtract(w, rate * d, dtype=w.dtype)

    def zero_grad(self):
        """Forget the gradients: `backward` adds to what is there."""
        for parameter in self.parameters:
            parameter.zero_grad()

    def rate_now(self):
        """The rate of the next step. A function may come down to 0; a number is above it."""
        rate = self.rate(self.steps) if callable(self.rate) else self.rate
        least = 0.0 if callable(self.rate) else math.ulp(0.0)
        expected = "a positive number, 0.1 to begin with, or a function of the step that gives one"
        _check(self._name, f"at step {self.steps}, rate", rate, least, math.inf, expected)
        return float(rate)

    def state_dict(self):
        """Copies of all that steps have left behind: {"steps": n, "velocity.0": array, ...}.

        The settings (rate, momentum, ...) are not in it.
        """
        kept = {
            f"{name}.{i}": a for i, s in enumerate(self.state) for name, a in zip(self.STATE, s)
        }
        return {"steps": np.array(self.steps)} | {name: a.copy() for name, a in kept.items()}

    def load_state_dict(self, saved):
        """Go on from a `state_dict`. Raises ValueError, changing nothing, if it is another's."""
        mine = self.state_dict()
        for name in {**mine, **saved}:
            given, expected = _kind(saved.get(name)), _kind(mine.get(name))
            if given != expected:
                raise ValueError(
                    f"{self._name}.load_state_dict: {name} is {given}; expected {expected}. The "
                    "state belongs to another kind of optimiser, or to other parameters."
                )
        self.steps = int(saved["steps"])
        for i, state in enumerate(self.state):
            for name, array in zip(self.STATE, state):
                array[...] = saved[f"{name}.{i}"]


class SGD(Optimiser):
    """Gradient descent, on minibatches called stochastic, with momentum.

    With w a parameter, g its gradient, b its velocity (0 at first), α the `rate`, μ the `momentum`
    and λ the `weight_decay`:

        g ← g + λ w
        b ← μ b + g
        w ← w − α b              `nesterov`:  w ← w − α (g + μ b)

    μ = 0 is plain descent. A steady gradient builds up b to g / (1 − μ): with μ = 0.9, ten times
    the step. Nesterov's direction is the one that b will have after a step more with the same g.

    The decay is *coupled*: it is the gradient of a penalty λ |w|² / 2 in the loss, and goes through
    the velocity like the rest of the gradient. `Adam` decouples it.
    """

    STATE = ("velocity",)

    def __init__(self, parameters, rate, momentum=0.0, nesterov=False, weight_decay=0.0):
        below_1 = "0 <= momentum < 1: from 1 on, the velocity never dies down"
        _check("SGD", "momentum", momentum, 0.0, 1.0, below_1)
        _check("SGD", "weight_decay", weight_decay, 0.0, math.inf, "a number of at least 0")
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay
        super().__init__(parameters, rate)

    def direction(self, w, g, b):
        if self.weight_decay:
            g = g + self.weight_decay * w
        b *= self.momentum
        b += g
        return g + self.momentum * b if self.nesterov else b


class Adam(Optimiser):
    """Steps of one size in every entry, however steep the loss is there.

    With g the gradient, t = 1, 2, ... the number of the step, m and v running means of g and of g²
    (0 at first), β₁ and β₂ the `betas`, ε `epsilon`, α the `rate` and λ the `weight_decay`:

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

    STATE = ("mean", "square")

    def __init__(self, parameters, rate=0.001, betas=(0.9, 0.999), epsilon=1e-8, weight_decay=0.0):
        for beta in betas:
            _check("Adam", "a beta", beta, 0.0, 1.0, "0 <= beta < 1, the share of the old mean")
        _check("Adam", "weight_decay", weight_decay, 0.0, math.inf, "a number of at least 0")
        self.betas, self.epsilon, self.weight_decay = betas, epsilon, weight_decay
        super().__init__(parameters, rate)

    def direction(self, w, g, m, v):
        beta1, beta2 = self.betas
        m += (1.0 - beta1) * (g - m)
        v += (1.0 - beta2) * (g * g - v)
        root = np.sqrt(v / (1.0 - beta2**self.steps))
        return m / (1.0 - beta1**self.steps) / (root + self.epsilon) + self.weight_decay * w


# Gradients that are now and then enormous, as those of recurrent networks are, throw the weights
# far off. Clipped, they make a step of bounded size. For g = (3, 2) and the limit 1:
#   by value  (1, 1)           turned by 11.3 degrees: no longer the steepest way down
#   by norm   (0.832, 0.555)   shorter, the same direction


def clip_by_value(parameters, limit):
    """Cut every entry of every gradient to [−limit, limit]. Raises ValueError, as `step` does."""
    _check("clip_by_value", "limit", limit, math.ulp(0.0), math.inf, "a positive number")
    parameters = _leaves(parameters, "clip_by_value")
    for parameter, g in zip(parameters, _gradients(parameters, "clip_by_value"), strict=True):
        parameter.grad = np.clip(g, -float(limit), float(limit))


def clip_by_norm(parameters, limit):
    """Scale all gradients by one factor, so that their joint norm √(Σ g²) is at most `limit`.

    Returns the norm that they had. Raises ValueError, as `step` does.
    """
    _check("clip_by_norm", "limit", limit, math.ulp(0.0), math.inf, "a positive number")
    parameters = _leaves(parameters, "clip_by_norm")
    gradients = _gradients(parameters, "clip_by_norm")
    # The largest entry goes out in front: its square may overflow where the norm does not.
    largest = max(float(np.abs(g).max(initial=0.0)) for g in gradients) or 1.0
    norm = largest * math.sqrt(sum(float(np.sum((g / largest) ** 2)) for g in gradients))
    if norm > limit:
        for parameter, g in zip(parameters, gradients, strict=True):
            parameter.grad = g * (limit / norm)
    return norm


# Rates that change as training goes on: large while there is far to go, small when the zigzags
# should die down. Each is a function of the number of steps taken, 0 before the first.


def constant(rate):
    """The same rate at every step."""
    return lambda step: rate


def linear(rate, steps, last=0.0):
    """From `rate` to `last` in a straight line, over so many steps; then it stays there."""
    return lambda step: rate + (last - rate) * min(step / steps, 1.0)


def step_decay(rate, every, factor=0.1):
    """The rate times `factor` after `every` so many steps, times its square after twice as many."""
    return lambda step: rate * factor ** (step // every)


def cosine(rate, steps, warmup=0, last=0.0):
    """Up in a straight line over `warmup` steps, then half a wave down to `last` at `steps`.

        α(n) = rate (n + 1) / warmup                                       n < warmup
        α(n) = last + (rate − last) (1 + cos(π (n − warmup) / (steps − warmup))) / 2

    The small first steps let the running means of `Adam`, and the velocities, fill up first.
    """

    def schedule(step):
        if step < warmup:
            return rate * (step + 1) / warmup
        done = min((step - warmup) / (steps - warmup), 1.0)
        return last + (rate - last) * (1.0 + math.cos(math.pi * done)) / 2.0

    return schedule


def _check(who, what, value, least, below, expected):
    if not isinstance(value, Real) or not least <= value < below:
        raise ValueError(f"{who}: {what}={value!r}; expected {expected}")


def _kind(array):
    return "missing" if array is None else f"{np.shape(array)} of {array.dtype}"


def _leaves(parameters, who):
    """The parameters, each once: one that is shared moves once."""
    parameters = list(parameters)
    for position, parameter in enumerate(parameters):
        if not isinstance(parameter, TensorNode) or parameter.source is not None:
            raise TypeError(
                f"{who}: parameter {position} is {parameter!r}; expected a leaf, a TensorNode "
                "that no op computed"
            )
    if not parameters:
        raise ValueError(
            f"{who}: no parameters. Hand them over with model.parameters(); a Module finds those "
            "that are held in its attributes."
        )
    return list(dict.fromkeys(parameters))


def _gradients(parameters, who):
    """Their gradients, zeros where there is none, after a look for what no step could mend."""
    gradients = [parameter.grad for parameter in parameters]
    for position, g in enumerate(gradients):
        # A cheap look first: g · g is not finite when an entry is not (or when it overflows).
        if not math.isfinite(np.vdot(g, g)) and not np.isfinite(g).all():
            bad = np.size(g) - np.isfinite(g).sum()
            raise ValueError(
                f"{who}: {bad} of the {np.size(g)} entries in the gradient of parameter "
                f"{position}, shape {g.shape}, are NaN or infinite. Usually the rate is too "
                "large; else look for a logarithm or a division at 0."
            )
    if all(parameter._grad is None for parameter in parameters):
        raise ValueError(f"{who}: no parameter has a gradient; call loss.backward() first")
    return gradients
