"""Modules: functions that own numbers. What they all share: names, modes, and their state."""

import numpy as np

from minigrad import display
from minigrad.core import TensorNode
from minigrad.interop import weights


class Module:
    """Something with parameters and a `forward`; calling the module runs it.

    A parameter, which is learned, is a leaf `TensorNode` held in an attribute. A buffer, which is
    kept up to date in other ways, is an array held in an attribute. Modules inside modules, and
    lists, tuples and dicts of all these, are searched too, in the order in which the attributes
    were first set. A node that an op computed is a result, not a parameter.

    `training` says which mode the module is in; `Dropout` and `BatchNorm` look at it.
    """

    training = True

    def forward(self, *inputs):
        raise NotImplementedError(f"{type(self).__name__} needs a method forward(self, x)")

    def __call__(self, *inputs, **options):
        return self.forward(*inputs, **options)

    def named(self, kind):
        """(name, value) of all that is of this kind in here, once, by the first of its names."""
        return [pair for pair in _found(self, "", {}).values() if isinstance(pair[1], kind)]

    def named_parameters(self):
        """(name, node) pairs, such as ("layers.0.weight", W); a shared parameter is named once."""
        return self.named(TensorNode)

    def parameters(self):
        """The nodes to learn, always in the same order."""
        return [node for _, node in self.named_parameters()]

    def zero_grad(self):
        """Forget the gradients of all parameters: `backward` adds to what is there."""
        for parameter in self.parameters():
            parameter.grad = None

    def train(self, mode=True):
        """Go into training mode, with all modules within; returns the module."""
        for _, module in self.named(Module):
            module.training = mode
        return self

    def eval(self):
        """Leave training mode, to use what has been learned; returns the module."""
        return self.train(False)

    # What there is to keep in a file, as {name: array}, and back.
    state_dict, load_state_dict = weights.state_dict, weights.load_state_dict
    __repr__ = display.module


def _found(value, name, found):
    """`found`, {id: (name, value)}, and every module, leaf and array in here, the holder first."""
    if isinstance(value, Module) and id(value) not in found:  # it may know the one that holds it
        found[id(value)] = name, value
        _found(vars(value), name, found)
    elif isinstance(value, np.ndarray) or isinstance(value, TensorNode) and value.source is None:
        found.setdefault(id(value), (name, value))
    elif isinstance(value, dict | list | tuple):
        for key, inside in value.items() if isinstance(value, dict) else enumerate(value):
            _found(inside, f"{name}.{key}" if name else str(key), found)
    return found
