"""Modules: functions that own numbers. What they all share: names, modes, and their state."""

import numpy as np

from minigrad.core import TensorNode


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

    def __call__(self, *inputs):
        return self.forward(*inputs)

    def modules(self):
        """This module and all modules within, each once."""
        return [module for _, module in _once(self, Module)]

    def named_parameters(self):
        """(name, node) pairs, such as ("layers.0.weight", W); a shared parameter is named once."""
        return _once(self, TensorNode)

    def parameters(self):
        """The nodes to learn, always in the same order."""
        return [node for _, node in self.named_parameters()]

    def zero_grad(self):
        """Forget the gradients of all parameters: `backward` adds to what is there."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def train(self, mode=True):
        """Go into training mode, with all modules within; returns the module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self):
        """Leave training mode, to use what has been learned; returns the module."""
        return self.train(False)

    def state_dict(self):
        """{name: array} of all parameters, then all buffers: copies, which training won't change.

        `minigrad.interop.save` writes it to a file.
        """
        return {name: np.array(_array(held), order="C") for name, held in self._state().items()}

    def load_state_dict(self, state):
        """Take over what `state_dict` gave, all of it or nothing.

        `state` {name: array} has the names of this module's own state, each with the same shape and
        dtype. Raises TypeError where it is no dict, and ValueError that names every entry that is
        missing, unexpected or does not fit; the module is then as it was.
        """
        if not isinstance(state, dict):
            raise TypeError(
                f"load_state_dict: {state!r}; expected a dict {{name: array}}, such as "
                "minigrad.interop.load(path) reads from a file"
            )
        own = self._state()
        wrong = [f"{name}: missing from the state" for name in own if name not in state]
        wrong += [f"{name}: unknown to the module" for name in state if name not in own]
        for name in filter(state.__contains__, own):
            given, fits = _kind(state[name]), _kind(_array(own[name]))
            if given != fits:
                wrong.append(f"{name}: {given} in the state, {fits} in the module")
        if wrong:
            raise ValueError(
                f"load_state_dict: not the state of this {type(self).__name__}, which was left as "
                "it is. Build the module as it was when it was saved.\n  " + "\n  ".join(wrong)
            )
        for name, held in own.items():
            if isinstance(held, TensorNode):
                held.value = np.array(state[name])[()]
            else:
                held[...] = state[name]

    def _state(self):
        return dict(_once(self, TensorNode) + _once(self, np.ndarray))

    def __repr__(self):
        lines = [f"{name:<20} {node.shape}" for name, node in self.named_parameters()]
        total = sum(node.size for node in self.parameters())
        return "\n  ".join([f"{type(self).__name__}, {total:,} parameters", *lines])


def _once(module, kind):
    """(name, value) of everything of this kind in a module; of two names it is the first."""
    found = {}
    for name, value in _walk(module, ""):
        if isinstance(value, kind):
            found.setdefault(id(value), (name, value))
    return list(found.values())


def _walk(value, name, above=()):
    """(name, value) of every module, leaf and array in here, the holder before what it holds."""
    if isinstance(value, np.ndarray) or isinstance(value, TensorNode) and value.source is None:
        yield name, value
    elif isinstance(value, Module):
        if value not in above:  # a module may know the one that holds it
            yield name, value
            yield from _walk(vars(value), name, (*above, value))
    elif isinstance(value, dict | list | tuple):
        for key, inside in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _walk(inside, f"{name}.{key}" if name else str(key), above)


def _array(held):
    return held.value if isinstance(held, TensorNode) else held


def _kind(array):
    array = np.asarray(array)
    return f"{array.dtype} {array.shape}"
