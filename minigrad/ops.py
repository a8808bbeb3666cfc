"""The other ops: one class each, whose docstring is its mathematics.

Letters: y is the output, ȳ ("y bar") its adjoint, written `gy` in the code; x̄, `gx`, is what a
backward returns. ∘ multiplies entry by entry. At a point where a derivative does not exist, the
docstring says which number stands in for it.

The tables at the end tell NumPy which op belongs to which of its functions, so that `np.exp(node)`
works.
"""

import copy
import math

import numpy as np

from minigrad.core import RULES, Op, _raw, undo_broadcasting
from minigrad.promises import expect

# Arithmetic, behind the operators + - * / ** @.


class Add(Op):
    """z = x + y;  x̄ = z̄,  ȳ = z̄  (summed where broadcast)."""

    @staticmethod
    def forward(context, x, y):
        return x + y

    @staticmethod
    def backward(context, gz):
        return gz, gz


class Subtract(Op):
    """z = x − y;  x̄ = z̄,  ȳ = −z̄."""

    linear = True

    @staticmethod
    def forward(context, x, y):
        return x - y

    @staticmethod
    def backward(context, gz):
        return gz, -gz


class Multiply(Op):
    """z = x ∘ y;  x̄ = z̄ ∘ y,  ȳ = z̄ ∘ x."""

    @staticmethod
    def forward(context, x, y):
        context["x"], context["y"] = x, y
        return x * y

    @staticmethod
    def backward(context, gz):
        return gz * context["y"], gz * context["x"]


class Divide(Op):
    """z = x / y;  x̄ = z̄ / y,  ȳ = −z̄ ∘ x / y² = −x̄ ∘ z."""

    @staticmethod
    def forward(context, x, y):
        context["x"], context["y"] = x, y
        return x / y

    @staticmethod
    def backward(context, gz):
        gx = gz / context["y"]
        return gx, -gx * context["x"] / context["y"]


class Power(Op):
    """z = xᵖ;  x̄ = z̄ p xᵖ⁻¹,  p̄ = z̄ z ln x.

    x⁰ is the constant 1 also at x = 0, so x̄ = 0 there. At x = 0, p̄ is 0 for p ≥ 0 (for p > 0 its
    limit), and NaN for p < 0, where there is no value either.
    """

    @staticmethod
    def forward(context, x, p):
        context["x"], context["p"] = x, p
        return x**p

    @staticmethod
    def backward(context, gz):
        x, p = context["x"], context["p"]
        wanted_x, wanted_p = context.get("wanted", (True, True))
        if not wanted_p and np.ndim(p) == 0 and p != 0:  # the usual cases, x**2 and x**3
            return gz * (p * (x if p == 2 else x ** (p - 1.0))), None
        flat = (p == 0) & (x == 0)  # 0⁰⁻¹ is infinite, but its factor p is 0
        gx = gz * (p * x ** np.where(flat, 1.0, p - 1.0)) if wanted_x else None
        gp = gz * (x**p * np.log(np.where(x == 0, 1.0, x))) if wanted_p else None
        return gx, gp


class MatMul(Op):
    """Z = XY with X (…, n, k), Y (…, k, m);  X̄ = Z̄ Yᵀ,  Ȳ = Xᵀ Z̄.  Also vectors, stacks."""

    @staticmethod
    def forward(context, x, y):
        context["x"], context["y"] = x, y
        return x @ y

    @staticmethod
    def backward(context, gz):
        x, y = context["x"], context["y"]
        # A vector is one row of x or one column of y. Where y is one matrix, all rows meet it.
        rows = x if x.ndim > 1 and y.ndim > 2 else _rows(x)
        columns = y if y.ndim > 1 else y.reshape(-1, 1)
        if rows is not x or columns is not y:
            gz = gz.reshape(*columns.shape[:-2], len(rows), columns.shape[-1])
        wanted_x, wanted_y, *_ = context.get("wanted", (True, True))
        gx = _taken_back(gz @ columns.mT, rows, x) if wanted_x else None
        gy = _taken_back(rows.mT @ gz, columns, y) if wanted_y else None
        return gx, gy


class Affine(Op):
    """Y = XW + b with X (…, n, k), W (k, m), b (m,);  X̄ = Ȳ Wᵀ,  W̄ = Xᵀ Ȳ,  b̄ = Σ of Ȳ's rows."""

    @staticmethod
    def forward(context, x, w, b):
        return MatMul.forward(context, x, w) + b

    @staticmethod
    def backward(context, gy):
        return *MatMul.backward(context, gy), _rows(gy).sum(axis=0)


def _rows(x):
    """A vector as one row, a stack of matrices as the rows of all."""
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def _taken_back(gradient, matrix, x):
    """The adjoint of x from that of the matrix that x was made into.

    Not reshaped where it fits: that would give a view, and a leaf has to make a copy of a view.
    """
    fits = gradient.shape == x.shape
    return gradient if fits else undo_broadcasting(gradient, matrix.shape).reshape(x.shape)


# Functions of one number, entry by entry: x̄ = ȳ ∘ f'(x).


class Entrywise(Op):
    """y = f(x) in each entry;  x̄ = ȳ ∘ f'(x), with f'(x) = slope(x, y): often y is of help."""

    @classmethod
    def forward(cls, context, x):
        context["x"], context["y"] = x, (y := cls.f(x))
        return y

    @classmethod
    def backward(cls, context, gy):
        return gy * cls.slope(context["x"], context["y"])


class Exp(Entrywise):
    """y = eˣ;  x̄ = ȳ ∘ y."""

    f, slope = np.exp, lambda x, y: y


class Log(Entrywise):
    """y = ln x;  x̄ = ȳ / x.  At 0, NumPy's answers: y = −∞, x̄ = ±∞."""

    f, slope = np.log, lambda x, y: 1.0 / x


class Sin(Entrywise):
    """y = sin x (radians);  x̄ = ȳ ∘ cos x."""

    f, slope = np.sin, lambda x, y: np.cos(x)


class Cos(Entrywise):
    """y = cos x (radians);  x̄ = −ȳ ∘ sin x."""

    f, slope = np.cos, lambda x, y: -np.sin(x)


class Tan(Entrywise):
    """y = tan x (radians);  x̄ = ȳ ∘ (1 + y²)."""

    f, slope = np.tan, lambda x, y: 1.0 + y**2


class Tanh(Entrywise):
    """y = tanh x;  x̄ = ȳ ∘ (1 − y²)."""

    f, slope = np.tanh, lambda x, y: 1.0 - y**2


class Sigmoid(Entrywise):
    """y = 1 / (1 + e⁻ˣ);  x̄ = ȳ ∘ y ∘ (1 − y).

    e to a large power overflows, so the power is kept at −|x|: for x < 0 the same fraction is eˣ /
    (1 + eˣ). Not by -abs(x), whose slope at 0 is 0; at a tie both minima take their second.
    """

    f = lambda x: np.exp(np.minimum(x, 0.0)) / (1.0 + np.exp(np.minimum(x, -x)))
    slope = lambda x, y: y * (1.0 - y)


class Sqrt(Entrywise):
    """y = √x;  x̄ = ȳ / (2y).  At 0 the slope is infinite, and so is x̄."""

    f, slope = np.sqrt, lambda x, y: 0.5 / y


class Abs(Entrywise):
    """y = |x|;  x̄ = ȳ ∘ sign x.  At 0, where there is a kink, x̄ = 0."""

    f, slope = np.abs, lambda x, y: np.sign(x)


# Choosing.


class Maximum(Op):
    """z = max(x, y), entry by entry; z̄ goes to the larger.

    A tie goes to y, so that maximum(x, 0), the ReLU, has slope 0 at 0.
    """

    @staticmethod
    def forward(context, x, y):
        context["first"] = np.greater(x, y)
        return np.maximum(x, y)

    @staticmethod
    def backward(context, gz):
        first = context["first"]
        return np.where(first, gz, 0.0), np.where(first, 0.0, gz)


class Where(Op):
    """z = x where the mask holds, y elsewhere;  x̄ = z̄ where it holds, else 0; ȳ the other way.

    Both x and y are computed everywhere. If the one not chosen has an infinite slope, 0 · ∞ makes
    a NaN upstream: choose a harmless argument first (where(m, log(where(m, x, 1)), 0)), then the
    value.
    """

    @staticmethod
    def forward(context, mask, x, y):
        context["first"] = mask
        return np.where(mask, x, y)

    @staticmethod
    def backward(context, gz):
        return None, *Maximum.backward(context, gz)


# Linear maps, y = Ax: A moves numbers about, repeats them or adds them up, and is the same wherever
# x is. Its adjoint Aᵀ sends each number of ȳ back to where it came from.


class LinearMap(Op):
    """y = f(x) = Ax, where A depends on constants alone;  x̄ = Aᵀ ȳ = adjoint(ȳ, shape of x).

    Of several inputs, y = f(x₁, x₂, …) = A₁x₁ + A₂x₂ + …, and adjoint(ȳ, *shapes) gives as many x̄.
    """

    linear = True

    @classmethod
    def forward(cls, context, *xs, **constants):
        context["shapes"] = [getattr(x, "shape", ()) for x in xs]  # () of a number
        context["constants"] = constants
        return cls.f(*xs, **constants)

    @classmethod
    def backward(cls, context, gy):
        return cls.adjoint(gy, *context["shapes"], **context["constants"])


class Negate(LinearMap):
    """y = −x;  x̄ = −ȳ."""

    f, adjoint = lambda x: -x, lambda gy, shape: -gy


class Cast(LinearMap):
    """The same numbers in another float dtype;  x̄ is ȳ, which the engine gives the dtype of x."""

    f, adjoint = lambda x, dtype: x.astype(dtype), lambda gy, shape, dtype: gy


class Reshape(LinearMap):
    """The same entries, in another `shape`; x̄ is ȳ in the shape of x."""

    f, adjoint = lambda x, shape: np.reshape(x, shape), lambda gy, old, shape: np.reshape(gy, old)


class Transpose(LinearMap):
    """Axes in another order (`axes`; reversed if None); x̄ is ȳ with the axes put back."""

    f = np.transpose

    def adjoint(gy, shape, axes=None):
        return np.transpose(gy, axes and tuple(np.argsort([a % len(shape) for a in axes])))


class Expand(LinearMap):
    """x repeated until it has `shape`, as in np.broadcast_to;  x̄ = Σ ȳ over the repeats."""

    f, adjoint = np.broadcast_to, lambda gy, old, shape: undo_broadcasting(gy, old)


class Index(LinearMap):
    """y = x[index];  x̄ is ȳ put back at `index`, zeros elsewhere; taken twice, it gets both."""

    f = lambda x, index: x[index]
    adjoint = lambda gy, shape, index: Scatter.do_forward(gy, shape=shape, index=index)


class Scatter(LinearMap):
    """y = zeros of `shape` with x added at `index`;  x̄ = ȳ[index].  What Index does backwards."""

    adjoint = lambda gy, old, shape, index: gy[index]

    def f(x, shape, index):
        y = np.zeros(shape, np.asarray(x).dtype)
        parts = index if isinstance(index, tuple) else (index,)
        repeats = any(isinstance(part, np.ndarray | list) for part in parts)  # perhaps
        (np.add.at if repeats else np.ndarray.__setitem__)(y, index, x)
        return y


# Over axes.  `axis` is an int, a tuple of ints, or None for all; `keepdims` as in NumPy.


class Sum(LinearMap):
    """y = Σ x over `axis`;  x̄ = ȳ, repeated along it."""

    f = np.sum

    def adjoint(gy, shape, axis=None, keepdims=False):
        axes_lost = shape and axis is not None and not keepdims
        return np.broadcast_to(np.expand_dims(gy, axis) if axes_lost else gy, shape)


class Mean(LinearMap):
    """y = Σ x / n over `axis`;  x̄ = ȳ / n, repeated along it."""

    f = np.mean

    def adjoint(gy, shape, **over):
        return Sum.adjoint(gy / (math.prod(shape) // max(1, np.size(gy))), shape, **over)


class Max(Op):
    """y = max x over `axis`;  ȳ goes to the largest entry.  Entries that tie share it equally."""

    @staticmethod
    def forward(context, x, axis=None, keepdims=False):
        y = np.max(x, axis=axis, keepdims=True)
        context["largest"] = largest = np.equal(x, y)
        context["count"] = np.sum(largest, axis=axis, keepdims=True, dtype=y.dtype)
        return y if keepdims else np.squeeze(y, axis)[()]

    @staticmethod
    def backward(context, gy):
        count = context["count"]
        return context["largest"] * (np.reshape(gy, count.shape) / count)


class LogSumExp(Op):
    """y = ln Σ eˣ over `axis`;  x̄ = ȳ ∘ eˣ⁻ʸ, which is the softmax.

    The largest x is taken out of the sum first, y = m + ln Σ eˣ⁻ᵐ, so that nothing overflows.
    """

    @staticmethod
    def forward(context, x, axis=None, keepdims=False):
        m = np.max(x, axis=axis, keepdims=True)
        m = np.where(np.isfinite(m), m, 0.0)  # −∞ − (−∞) would be NaN
        y = m + np.log(np.sum(np.exp(x - m), axis=axis, keepdims=True))
        context["x"], context["y"] = x, y
        return y if keepdims else np.squeeze(y, axis)[()]

    @staticmethod
    def backward(context, gy):
        x, y = context["x"], context["y"]
        return np.reshape(gy, y.shape) * np.exp(x - y)


class CrossEntropy(Op):
    """L = mean of ln Σ eˣ − xₜ over the rows x of X (n, classes);  X̄ = L̄ (P − T) / n.

    `labels` (n,) names the right class t of each row. T is 1 there and 0 elsewhere, and the softmax
    P = eˣ / Σ eˣ is what the network believes: the gradient is belief minus truth.
    """

    @staticmethod
    def reference(x, labels):
        return np.mean(LogSumExp.do_forward(x, axis=1) - x[np.arange(len(labels)), labels])

    @staticmethod
    def forward(context, x, labels):
        fits = np.ndim(x) == 2 and labels.shape == x.shape[:1] and labels.size
        right = "scores (n, classes) and labels (n,), n at least 1"
        expect(CrossEntropy, fits, right, scores=x, labels=labels)
        # As unsigned numbers negative labels are enormous.
        if labels.dtype.kind not in "iu" or labels.astype(np.uint64).max(initial=0) >= x.shape[1]:
            classes = f"integers from 0 to {x.shape[1] - 1}, the classes"
            raise ValueError(f"labels must be {classes}, not {labels.dtype}: {labels[:5]}...")
        rows, n = np.arange(len(labels)), len(labels)
        x = x - x.max(axis=1, keepdims=True)  # the same softmax, and nothing overflows
        powers = np.exp(x)
        sums = powers.sum(axis=1, keepdims=True)
        context["slope"] = slope = powers / (n * sums)
        slope[rows, labels] -= 1.0 / n
        return (np.log(sums[:, 0]) - x[rows, labels]).sum() / n

    @staticmethod
    def backward(context, gy):
        return gy * context["slope"]


# Several arrays made one.


class Concatenate(LinearMap):
    """Arrays one after the other along `axis`; each gets its own piece of ȳ."""

    f = lambda *arrays, axis=0: np.concatenate(arrays, axis)

    def adjoint(gy, *shapes, axis=0):
        before = (slice(None),) * (axis % len(gy.shape))
        lengths = [shape[axis] for shape in shapes]
        return tuple(gy[*before, end - n : end] for n, end in zip(lengths, np.cumsum(lengths)))


class Stack(LinearMap):
    """Arrays of one shape side by side along a new `axis`; each gets its own slice of ȳ."""

    f = lambda *arrays, axis=0: np.stack(arrays, axis)
    adjoint = lambda gy, *shapes, axis=0: tuple(np.moveaxis(gy, axis, 0))


# What NumPy is told.  Left: its function.  Right: what happens when an argument is a node.


def _axes(op):
    return lambda x, axis=None, *, keepdims=False: op.do_forward(x, axis=axis, keepdims=keepdims)


def _moved(function, act, shape=np.shape):
    """A rule: what becomes of an empty array's shape says how x is to be reshaped or transposed."""
    return lambda x, *args, **kwargs: act(x, function(np.empty(shape(x)), *args, **kwargs).shape)


def _own(index):
    """The index with arrays of its own: the caller's may be shuffled later on."""
    if isinstance(index, tuple):
        return tuple([_own(part) for part in index])
    return copy.deepcopy(index) if isinstance(index, np.ndarray | list) else index


def _concatenate(arrays, axis=0):
    pieces = arrays if axis is not None else [np.ravel(x) for x in arrays]  # None: NumPy flattens
    return Concatenate.do_forward(*pieces, axis=axis or 0)


_FAMILIES = Entrywise, LinearMap
_OPS = [op for kind in (Op, *_FAMILIES) for op in kind.__subclasses__() if op not in _FAMILIES]
__all__ = [op.__name__ for op in _OPS]

for _op in _OPS:  # most have NumPy's names: Exp is np.exp
    _ufunc = getattr(np, _op.__name__.lower(), None)
    if isinstance(_ufunc, np.ufunc):
        RULES[_ufunc] = _op.do_forward

RULES |= {
    np.negative: Negate.do_forward,
    np.minimum: lambda x, y: -np.maximum(-1.0 * x, -1.0 * y),  # of an unsigned 2, -x is 254
    np.where: lambda mask, x, y: Where.do_forward(_raw(mask), x, y),
    np.sum: _axes(Sum),
    np.mean: _axes(Mean),
    np.max: _axes(Max),
    np.min: lambda x, axis=None, *, keepdims=False: -np.max(-x, axis=axis, keepdims=keepdims),
    np.reshape: lambda x, shape: Reshape.do_forward(x, shape=shape),
    np.ravel: lambda x: Reshape.do_forward(x, shape=-1),
    np.transpose: lambda x, axes=None: Transpose.do_forward(x, axes=axes),
    np.broadcast_to: lambda x, shape: Expand.do_forward(x, shape=shape),
    np.concatenate: _concatenate,
    np.stack: lambda arrays, axis=0: Stack.do_forward(*arrays, axis=axis),
    np.dot: lambda x, y: x @ y if np.ndim(x) and np.ndim(y) else x * y,
    np.square: lambda x: x * x,
    np.positive: lambda x: x,
    "index": lambda x, index: Index.do_forward(x, index=_own(index)),
    np.ndarray.astype: lambda x, dtype: Cast.do_forward(x, dtype=dtype),
}

RULES |= {f: _moved(f, np.reshape) for f in (np.squeeze, np.expand_dims)}
# The axes of an array of shape (0, 1, 2, …) are known by their lengths, wherever they have gone.
RULES |= {f: _moved(f, np.transpose, lambda x: range(x.ndim)) for f in (np.swapaxes, np.moveaxis)}

for _function, _call in RULES.items():  # so that "np.sum got an unexpected argument" says np.sum
    if callable(_function) and hasattr(_call, "__qualname__") and not hasattr(_call, "__self__"):
        _call.__qualname__ = f"minigrad's np.{_function.__name__}"
