"""What is built from ops: losses, and derivatives as functions of functions.

`grad(f)` is a function again, so it can be differentiated again: `grad(grad(f))`. That works
because an op's backward, run on nodes instead of arrays, writes its own steps into the Wengert
list.
"""

import contextvars
from contextlib import suppress

import numpy as np

from minigrad import promises
from minigrad.core import RULES, Op, TensorNode, no_grad, pull_back, recording
from minigrad.dual import Dual
from minigrad.ops import CrossEntropy, LogSumExp, Sigmoid
from minigrad.promises import expect, setting

# How many derivatives are being taken of one another now: the inner ones must be recorded.
_depth = contextvars.ContextVar("depth", default=0)


def sigmoid(x):
    """1 / (1 + e⁻ˣ), entry by entry."""
    return Sigmoid.do_forward(x)


def logsumexp(x, axis=-1, keepdims=False):
    """ln Σ eˣ over `axis`, without overflow: a smooth maximum."""
    return LogSumExp.do_forward(x, axis=axis, keepdims=keepdims)


def log_softmax(x, axis=-1):
    """ln of the softmax: x − ln Σ eˣ."""
    return x - logsumexp(x, axis, keepdims=True)


def softmax(x, axis=-1):
    """eˣ / Σ eˣ over `axis`: positive, summing to one. softmax([1000, 0]) is [1, 0], not NaN."""
    return np.exp(log_softmax(x, axis))


def cross_entropy(logits, labels):
    """Mean of −ln softmax(logits)[label] over the rows of a batch.

    `logits` (n, classes): scores, any real numbers; no ReLU or softmax before. `labels` (n,):
    integers. Raises ValueError where the shapes, or the range of the labels, do not fit.
    """
    labels = labels if hasattr(labels, "dtype") else np.asarray(labels)
    return CrossEntropy.do_forward(logits, labels=labels)


def mean_squared_error(predictions, targets):
    """Mean of (prediction − target)² over all entries; the two shapes must agree."""
    p, t = np.shape(predictions), np.shape(targets)
    same = "one shape for both: (n,) − (n, 1), broadcast, would be (n, n)"
    expect(mean_squared_error, p == t, same, predictions=p, targets=t)
    return np.mean((predictions - targets) ** 2)


def norm(x, axis=None, keepdims=False):
    """√Σ x² over `axis`. At x = 0, where it has a kink, the gradient is 0."""
    squares = np.sum(np.square(x), axis=axis, keepdims=keepdims)
    zero = np.equal(squares, 0.0)
    return np.where(zero, 0.0, np.sqrt(np.where(zero, 1.0, squares)))


def _numpys_norm(x, ord=None, axis=None, keepdims=False):
    expect("np.linalg.norm of a node", ord is None, "no ord, only √Σ x²", TypeError, ord=ord)
    return norm(x, axis, keepdims)


RULES[np.linalg.norm] = _numpys_norm


def vjp(f, *inputs):
    """`f` at `inputs`, and its pullback: (y, ȳ -> x̄, or a tuple of them), x̄ = Jᵀ ȳ.

    One run of f, and for each call of the pullback one walk backwards, at the cost of a few runs
    of f. What f does is recorded even within `no_grad`.
    """
    nested = _depth.get() > 0 or any(isinstance(x, TensorNode) for x in inputs)
    with recording(), setting(_depth, _depth.get() + 1):
        # Nodes of its own, even for a node: what f uses besides may depend on that, and is constant
        # here. In d/dx (x · sin a) at x = a the a of the sine stands still.
        nodes = [x * 1.0 if isinstance(x, TensorNode) else TensorNode(x) for x in inputs]
        y = f(*nodes)
    value = promises.function_value(y.value if isinstance(y, TensorNode) else y)

    def pullback(cotangent):
        seed = promises.seed(value, cotangent)
        found = [None] * len(nodes)
        if isinstance(y, TensorNode):  # else f does not depend on its inputs
            again = nested or isinstance(seed, TensorNode)
            found = pull_back([y], [seed], wrt=nodes, differentiable=again)
        found = tuple(np.zeros_like(x.value) if g is None else g for x, g in zip(nodes, found))
        return found if len(found) > 1 else found[0]

    return (y if nested else value), pullback


def value_and_grad(f, argnum=0):
    """A function that gives f's value and its gradient with respect to argument `argnum`.

    Raises ValueError if f does not return a single number, or has no such argument without a name.
    """

    def both(*args, **kwargs):
        fits = isinstance(argnum, int) and -len(args) <= argnum < len(args)
        one = f"one of the {len(args)} arguments without a name; for several, mg.vjp(f, *inputs)"
        expect(grad, fits, one, argnum=argnum)
        position = range(len(args))[argnum]  # -1 is the last

        def f_of_one(x):
            return f(*args[:position], x, *args[position + 1 :], **kwargs)

        y, pullback = vjp(f_of_one, args[position])
        one = "one number: sum or average, or use mg.vjp with a cotangent of that shape"
        expect(grad, np.shape(y) == (), one, result=y)
        return y, pullback(np.ones((), getattr(y, "dtype", float))[()])

    return both


def grad(f, argnum=0):
    """The gradient of a scalar function, as a function: grad(f)(x) has the shape of x.

    >>> grad(lambda x: np.sin(x) * x)(2.0)                      # cos(2) 2 + sin(2)
    """
    both = value_and_grad(f, argnum)
    return lambda *args, **kwargs: both(*args, **kwargs)[1]


def jvp(f, inputs, tangents):
    """`f` at `inputs` and its derivative in the direction `tangents`: (y, ẏ), ẏ = J ẋ.

    Runs f once on dual numbers. If f uses something that has no rule for them, or they meet a node
    (a weight, say), or another derivative is taken around this one, whose ε must not be taken for
    ours, two pullbacks do instead: u ↦ Jᵀu is linear in u, so pulling ẋ back through *it* gives Jẋ.
    """
    shapes = {"inputs": [*map(np.shape, inputs)], "tangents": [*map(np.shape, tangents)]}
    expect(jvp, shapes["inputs"] == shapes["tangents"], "a tangent of its own shape each", **shapes)
    if not _depth.get():
        # What is wrong with f itself is raised again below.
        with suppress(TypeError, AttributeError, ValueError), setting(_depth, 1):
            y = f(*map(Dual, inputs, tangents))
            return (y.primal, y.tangent) if isinstance(y, Dual) else (y, np.zeros_like(y))
    y, pullback = vjp(f, *inputs)
    _, push = vjp(lambda u: _inner(pullback(u), tangents), np.zeros_like(y))
    return y, push(1.0)


def _inner(gradients, tangents):
    return sum(np.sum(g * v) for g, v in zip(promises.as_tuple(gradients), tangents))


def jacobian(f, mode=None):
    """All derivatives of an array by an array: jacobian(f)(x)[i, j] is ∂yᵢ/∂xⱼ.

    Its shape is y.shape + x.shape.

    One pass gives a column (forward mode, one for each entry of x) or a row (reverse mode, one for
    each entry of y), so the shorter side decides; `mode`, "forward" or "reverse", overrules.
    `jacobian(f).mode_for(x)` says which it is.
    """
    expect(jacobian, mode in (None, "forward", "reverse"), "'forward' or 'reverse'", mode=mode)

    def shorter(x, y):
        return mode or ("forward" if np.size(x) < np.size(y) else "reverse")

    def derivative(x):
        y, pullback = vjp(f, x)
        shape = np.shape(y) + np.shape(x)
        if 0 in shape:
            return np.zeros(shape)
        if shorter(x, y) == "reverse":
            entries = [pullback(e) for e in _basis(y)]
            return np.reshape(np.stack(entries), shape)
        entries = [jvp(f, (x,), (e,))[1] for e in _basis(x)]
        return np.reshape(np.stack(entries, axis=-1), shape)

    derivative.mode_for = lambda x: shorter(x, vjp(f, x)[0])
    return derivative


def hessian(f):
    """Second derivatives of a scalar function: hessian(f)(x)[i, j] is ∂²f/∂xᵢ∂xⱼ."""
    return jacobian(grad(f), mode="reverse")


def hvp(f, x, v):
    """The Hessian of `f` at x times v, at the cost of a few gradients: no matrix is made.

    The Hessian is symmetric, so pulling v back through x ↦ ∇f(x) gives Hᵀv = Hv.
    """
    return vjp(grad(f), x)[1](v)


def checkpoint(f):
    """`f` again, but its steps are forgotten after the forward pass, and rerun for the backward.

    Saves the memory of f's notes for one more run of f. Gradients reach the *inputs* of f; a node
    that f uses without being handed it counts as a constant, and so do labels, indices and masks:
    let f find them where it is written. Raises TypeError where f gives anything but one node,
    ValueError where its second run gives another value, as with a `Dropout` within f: draw its mask
    outside.
    """
    return lambda *inputs: Checkpoint.do_forward(*inputs, f=f)


class Checkpoint(Op):
    """y = f(x…);  x̄… = the pullback of f, run for the first time when it is asked for."""

    reference = staticmethod(lambda *inputs, f: f(*inputs))

    @staticmethod
    def forward(context, *inputs, f):
        context["f"], context["inputs"] = f, inputs
        with no_grad():
            y = f(*map(TensorNode, inputs))
        context["y"] = y = promises.function_value(getattr(y, "value", y))
        return y

    @staticmethod
    def backward(context, gy):
        y, pullback = vjp(context["f"], *context["inputs"])
        if not promises.same(getattr(y, "value", y), context["y"]):
            raise ValueError(
                "checkpoint: the function gave another value when run again. Draw what is random "
                "outside, and hand it in: checkpoint(f)(x, dropout.mask(x.shape, x.dtype))"
            )
        return pullback(gy)


def _basis(x):
    """Arrays of the shape of x with a single 1, one for each entry."""
    return np.eye(np.size(x)).reshape(-1, *np.shape(x))


__all__ = [
    n for n, f in globals().items() if getattr(f, "__module__", "") == __name__ and n[0] != "_"
]
