"""What an op promises, and what is said when a promise is broken.

`core` is short because it may rely on these: values are floats, a backward answers for every input
with floats of that input's shape, nobody changes an array that is still needed, and an op run
twice gives the same. Each check says what was given, what was expected, and what to do.
"""

import contextlib

import numpy as np
from numpy import float64

# Their derivative is zero wherever it exists, so a plain array is all there is to say.
_TESTS = "greater greater_equal less less_equal equal not_equal isnan isinf isfinite array_equal"
_STEPS = "sign floor ceil logical_not argmax argmin argsort zeros_like ones_like shape ndim size"
PIECEWISE_CONSTANT = {getattr(np, name) for name in f"{_TESTS} {_STEPS}".split()}


def refuse(reason):
    """A method that NumPy or Python would call, and that has no right answer for a node."""

    def method(self, *args, **kwargs):
        raise TypeError(reason)

    return method


NO_ARRAY = "a node's history would be lost in an array: use node.value, or functions with a rule"
NO_ASSIGNMENT = "a node cannot be changed in place, for ops still need it: np.where(mask, new, old)"
NO_COPY = "a recorded node cannot be copied or pickled, with all it came from: use node.detach()"


class Methods:
    """What a node and a dual number have in common with arrays, by way of NumPy's functions."""

    __slots__ = ()

    T = property(lambda self: np.transpose(self))
    mT = property(lambda self: np.swapaxes(self, -1, -2))
    __neg__ = lambda self: np.negative(self)
    __abs__ = lambda self: np.abs(self)
    # Without it Python asks for [0], and what holds a single number would pass for empty.
    __iter__ = lambda self: (self[i] for i in range(len(self)))
    sum = lambda self, axis=None, keepdims=False: np.sum(self, axis=axis, keepdims=keepdims)
    mean = lambda self, axis=None, keepdims=False: np.mean(self, axis=axis, keepdims=keepdims)
    max = lambda self, axis=None, keepdims=False: np.max(self, axis=axis, keepdims=keepdims)
    reshape = lambda self, *shape: np.reshape(self, shape[0] if len(shape) == 1 else shape)
    transpose = lambda self, *axes: np.transpose(self, axes[0] if len(axes) == 1 else axes or None)


def expect(who, holds, expected, error=ValueError, **given):
    """Where it does not hold, an error: who was given what (of arrays the shapes) instead."""
    if not holds:
        name = who if isinstance(who, str) else getattr(who, "__name__", type(who).__name__)
        told = ", ".join(f"{a} {getattr(v, 'shape', ()) or repr(v)}" for a, v in given.items())
        raise error(f"{name} was given {told}; expected {expected}")


def plain_call(function, method, options):
    """A ufunc on a node is recorded as np.f(x), with no out=, where= or reduce."""
    if method != "__call__" or options:
        what = f"np.{function.__name__}" + f".{method}" * (method != "__call__")
        why = f"only the plain call is recorded, no {', '.join(options) or method}"
        if "out" in options:
            why = "out= would overwrite a value that the backward pass still needs"
        raise TypeError(f"{what} on a node: {why}. Make a new node instead.")


def no_rule(function):
    """Every function of nodes needs a derivative."""
    raise TypeError(
        f"minigrad has no rule for np.{function.__name__}. Write it with functions that have one, "
        "make an Op of your own (forward and backward), or use node.value if no gradient is needed."
    )


def as_tuple(x, kinds=tuple):
    """One result as several: (x,) where x is not yet a tuple."""
    return tuple(x) if isinstance(x, kinds) else (x,)


def as_array(value):
    """An array. A Python number becomes a float, even if it was written without a point."""
    return np.asarray(value, dtype=float if type(value) in (float, int) else None)


def is_float(value):
    """Whether it is a number of NumPy's, or an array, and holds floats."""
    return isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f"


def leaf_value(value):
    """The float or float array of a leaf. A Python number becomes a float; integers are refused."""
    array = as_array(value)
    if array.dtype.kind != "f":
        raise TypeError(
            f"nodes and dual numbers hold floats, not {array.dtype}: a derivative asks what a tiny "
            "step does. Use value.astype(float); constants, labels and indices need no node."
        )
    return array[()]


def seed(output, cotangent):
    """What a backward pass starts with: a number for each entry of the output, in its dtype."""
    if cotangent is None:
        return np.ones(output.shape, output.dtype)[()]
    fits = np.shape(cotangent) == np.shape(output)
    expect("backward", fits, f"one of shape {np.shape(output)}, the output's", cotangent=cotangent)
    is_node = hasattr(cotangent, "source")
    return cotangent if is_node else np.array(cotangent, np.asarray(output).dtype)[()]  # a copy


def function_value(value):
    """What a function to differentiate returns: numbers, even if they depend on no input."""
    numbers = isinstance(value, np.ndarray | np.number | float | int)
    right = "a node, or a constant array or number (is a return missing?)"
    expect("the derivative of a function", numbers, right, TypeError, result=value)
    return value


def output_value(op, value):
    """What a forward returns: a float or an array of floats."""
    if type(value) is float64 or is_float(value):
        return value
    if isinstance(value, float):
        return np.float64(value)
    got = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else repr(value)
    hint = " (is a return missing?)" if value is None else ""
    raise TypeError(f"{op.__name__}.forward must return floats, but gave {got}{hint}")


def one_share_each(record, shares):
    """What a backward returns: a tuple, or list, with one gradient for each input."""
    shares = shares if type(shares) is tuple else as_tuple(shares, (tuple, list))
    if len(shares) != len(record.inputs):
        raise ValueError(
            f"{record.op.__name__}.backward returned {len(shares)} gradients for "
            f"{len(record.inputs)} inputs: return one for each, in the same order"
        )
    return shares


def was_repeated(shape, larger, outputs):
    """Whether a value of this shape was broadcast to a larger one, that of an output."""
    pairs = zip(reversed(shape), reversed(larger), strict=False)
    fits = len(shape) <= len(larger) and all(m in (1, n) for m, n in pairs)
    return fits and larger in map(np.shape, outputs)


def share_fits(record, position, share, node, goutputs):
    """One gradient: floats, of the input's shape, or an output's where the input was broadcast."""
    name = f"{record.op.__name__}.backward, gradient of input {position}"
    if share is None:
        raise ValueError(f"{name}: None, but that input is a node (is a return missing?)")
    share = share if hasattr(share, "dtype") else as_array(share)[()]
    if share.dtype.kind != "f":
        raise TypeError(f"{name}: {share.dtype}, but the input is {node.dtype}: return floats")
    if share.shape != node.shape and not was_repeated(node.shape, share.shape, goutputs):
        raise ValueError(f"{name}: shape {share.shape}, but the input has shape {node.shape}")
    return share


def checksums(inputs=(), **kept):
    """Every array that an op saw or kept, with a fingerprint: [(what it is, array, checksum)]."""
    named = {f"input {i}": value for i, value in enumerate(inputs)}
    for where, values in kept.items():
        named |= {f"{where}[{key!r}]": value for key, value in values.items()}
    return [(what, a, hash(a.tobytes())) for what, x in named.items() for a in _arrays(x)]


def _arrays(value):
    """All arrays in here, also in lists, tuples and dicts."""
    held = list(value.values()) if isinstance(value, dict) else value
    inside = [_arrays(x) for x in held] if isinstance(held, list | tuple) else []
    return [value] if isinstance(value, np.ndarray) else sum(inside, [])


def unchanged(record):
    """No array has been changed in place since the forward pass."""
    changed = [what for what, a, was in record.checksums if hash(a.tobytes()) != was]
    if changed:
        raise ValueError(
            f"{record.op.__name__}: {' and '.join(changed)} changed in place between forward and "
            "backward, or within forward. Make a new array (x = x + 1, not x += 1)."
        )


def same_again(record, again, raw):
    """An op run twice on the same inputs gives the same, up to rounding: it is pure.

    The last bits may differ: np.linalg.norm adds up its squares in another order than np.sum.
    """
    for new, old in zip(as_tuple(again), record.outputs, strict=True):
        if old is not None and not same(raw(new), old.value):
            raise ValueError(
                f"{record.op.__name__}.forward gave another value when run again. An op must be "
                "pure: hand random draws and running state in as inputs or constants."
            )


def same(new, old):
    """The same numbers, up to rounding."""
    equal = np.array_equal(new, old, equal_nan=True)  # nearly always, and ten times as fast
    return equal or (np.shape(new) == old.shape and np.allclose(new, old, equal_nan=True))


def finite(where, what, values, inputs):
    """Debug mode: no NaN and no infinity, or the message says which op made the first, and why."""
    why = "look for a log or root of 0, a division by 0, an exp that overflows, a large rate"
    for i, value in enumerate(as_tuple(values, (tuple, list))):
        numbers = np.asarray(0.0 if value is None else getattr(value, "value", value))
        for entry in map(tuple, np.argwhere(~np.isfinite(numbers)).tolist()):
            number = f"{what} {i} is {numbers[entry]} at entry {entry}"
            floats = [(k, x) for k, x in enumerate(inputs) if np.asarray(x).dtype.kind == "f"]
            ill = [f"input {k} is so already" for k, x in floats if not np.all(np.isfinite(x))]
            raise FloatingPointError(f"{where}: {number}: {[*ill, why][0]}.")


@contextlib.contextmanager
def setting(variable, value):
    """Within this block a context variable has this value."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
