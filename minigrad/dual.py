"""Forward mode: numbers that carry their derivative along.

A dual number is v + v̇ ε with ε² = 0. Multiply two of them,

    (u + u̇ ε)(v + v̇ ε) = u v + (u̇ v + u v̇) ε,

and the product rule has appeared by itself. Every rule below is the first-order Taylor expansion
f(v + v̇ ε) = f(v) + f'(v) v̇ ε, with the primal v on the left and the tangent v̇ on the right.

    >>> x1, x2 = Dual(2.0, 1.0), Dual(5.0, 0.0)             # seed: which direction to move in
    >>> np.log(x1) + x1 * x2 - np.sin(x2)                   # 11.652071 + 5.5 ε
"""

from operator import attrgetter

import numpy as np

from minigrad.promises import PIECEWISE_CONSTANT, Methods, expect, leaf_value, no_rule, refuse


class Dual(Methods, np.lib.mixins.NDArrayOperatorsMixin):
    """primal + tangent ε; both floats, or float arrays of one shape.

    The operators are NumPy's: x + y asks for np.add(x, y), and that comes back to the class. So do
    comparisons, which look at the primal alone: a branch is chosen by the value, not by its slope.
    Raises TypeError for integer arrays and ValueError where the two shapes differ.
    """

    __slots__ = ("primal", "tangent")

    def __init__(self, primal, tangent=0.0):
        self.primal = leaf_value(primal)
        tangent = np.asarray(tangent, dtype=self.dtype)
        expect(Dual, tangent.shape in ((), self.shape), f"shape {self.shape}", tangent=tangent)
        self.tangent = np.broadcast_to(tangent, self.shape)[()]

    shape, ndim = property(attrgetter("primal.shape")), property(attrgetter("primal.ndim"))
    size, dtype = property(attrgetter("primal.size")), property(attrgetter("primal.dtype"))

    def __repr__(self):
        show = lambda x: np.array2string(np.asarray(x), precision=6)
        return f"Dual({show(self.primal)}, {show(self.tangent)})"

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        # x += y asks for out=(x,) and rebinds x to the answer, a new number.
        if method != "__call__" or options or (out and out[0] is not inputs[0]):
            raise TypeError(f"np.{ufunc.__name__} on a dual number: only the plain call is known")
        # A single np.float64 would widen float32; a Python number does not.
        return _apply(ufunc, [x.item() if isinstance(x, np.number) else x for x in inputs], {})

    def __array_function__(self, function, types, args, kwargs):
        return _apply(function, args, kwargs)

    __array__ = refuse("a dual number is no array: use .primal, its value, or .tangent")
    __hash__ = object.__hash__
    __bool__ = lambda self: bool(self.primal)
    __len__ = lambda self: len(self.primal)
    __getitem__ = lambda self, index: Dual(self.primal[index], self.tangent[index])
    astype = lambda self, dtype: Dual(self.primal.astype(dtype), self.tangent.astype(dtype))


def _primal(x):
    return x.primal if isinstance(x, Dual) else x


def _tangent(x):
    return x.tangent if isinstance(x, Dual) else Still()


class Still(float):
    """The tangent of a constant: a zero that stays one even times infinity (0.0 · ∞ is NaN)."""

    __array_ufunc__ = None  # an array leaves its products and sums with this zero to the zero
    __mul__ = __rmul__ = __matmul__ = __rmatmul__ = lambda self, other: self
    __add__ = __radd__ = __rsub__ = lambda self, other: other
    __sub__ = lambda self, other: -other


def _apply(function, args, kwargs):
    if function in LINEAR:
        through = lambda part: function(_parts(part, args[0]), *args[1:], **kwargs)
        return Dual(through(_primal), through(_tangent_like))
    if function in RULES:
        primals, tangents = [_primal(x) for x in args], [_tangent(x) for x in args]
        y = function(*primals, **kwargs)
        return Dual(y, RULES[function](y, primals, tangents, **kwargs) + np.zeros_like(y))
    if function in PIECEWISE_CONSTANT:
        return function(*map(_primal, args), **kwargs)
    return no_rule(function)


def _tangent_like(x):
    return x.tangent if isinstance(x, Dual) else np.zeros_like(x)


def _parts(part, x):
    """Of one argument, or of each in a list, as np.stack gets it."""
    return [part(entry) for entry in x] if isinstance(x, list | tuple) else part(x)


def _power(y, v, t):
    """x^p: moving x gives p x^(p-1) ẋ, moving p gives y ln x ṗ (0 at x = 0)."""
    x, p = v
    slope = p * x ** np.where(p == 0, 1.0, np.asarray(p, float) - 1.0)
    moves = np.count_nonzero(t[1])  # else no logarithm: x may be negative
    return slope * t[0] + (y * np.log(np.where(x == 0, 1.0, x)) * t[1] if moves else 0.0)


def _chosen(choose, v, t, **over):
    """The tangent of np.max or np.min: that of the entry chosen, the mean where several tie."""
    x, *axis = v  # np.max(x, 0) hands the axis over by position
    chosen = x == choose(x, *axis, **over | {"keepdims": True})
    return np.sum(chosen * t[0], *axis, **over) / np.sum(chosen, *axis, **over)


# function: (its value y, the primals v, the tangents v̇) -> ẏ
RULES = {
    np.multiply: lambda y, v, t: t[0] * v[1] + v[0] * t[1],
    np.divide: lambda y, v, t: (t[0] - y * t[1]) / v[1],
    np.power: _power,
    np.matmul: lambda y, v, t: t[0] @ v[1] + v[0] @ t[1],
    np.square: lambda y, v, t: 2.0 * v[0] * t[0],
    np.exp: lambda y, v, t: y * t[0],
    np.log: lambda y, v, t: t[0] / v[0],
    np.sin: lambda y, v, t: np.cos(v[0]) * t[0],
    np.cos: lambda y, v, t: -np.sin(v[0]) * t[0],
    np.tan: lambda y, v, t: (1.0 + y * y) * t[0],
    np.tanh: lambda y, v, t: (1.0 - y * y) * t[0],
    np.sqrt: lambda y, v, t: t[0] / (2.0 * y),
    np.abs: lambda y, v, t: np.sign(v[0]) * t[0],
    np.maximum: lambda y, v, t: np.where(np.greater(*v), *t),
    np.minimum: lambda y, v, t: np.where(np.less(*v), *t),
    np.where: lambda y, v, t: np.where(v[0], t[1], t[2]),
    np.max: lambda y, v, t, **over: _chosen(np.max, v, t, **over),
    np.min: lambda y, v, t, **over: _chosen(np.min, v, t, **over),
    np.add: lambda y, v, t: t[0] + t[1],
    np.subtract: lambda y, v, t: t[0] - t[1],
}

# Linear functions of their first argument: the tangent goes through the same function.
LINEAR = {np.sum, np.mean, np.reshape, np.ravel, np.squeeze, np.expand_dims, np.broadcast_to}
LINEAR |= {np.transpose, np.swapaxes, np.moveaxis, np.concatenate, np.stack}
LINEAR |= {np.negative, np.positive}
