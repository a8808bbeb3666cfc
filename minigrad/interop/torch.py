"""Ops cross over: one written for minigrad works in a PyTorch program, and the other way round.

Both libraries ask for the same two things: a function y = f(x), and its pullback, which makes
x̄ = Jᵀȳ from ȳ. The pullback, seen as a function of x *and* ȳ, can be handed over just as f was; it
has a pullback too, and so on. That one step, said once in each direction, gives derivatives of
every order.

    >>> relu = mg.to_torch(ReLU)                                   # the reader's op, for tensors
    >>> relu(torch.randn(3, 4, requires_grad=True)).sum().backward()
    >>> Softplus = mg.from_torch(torch.nn.functional.softplus)     # torch's function, for nodes
    >>> Softplus.do_forward(mg.TensorNode(np.ones(3))).backward()

An array and its tensor are two views of one memory. There are copies only of single numbers, of
arrays that are read-only or run backwards, and of a result that is a part of another array:
PyTorch would not know that to change the one in place changes the other.
"""

import functools
from itertools import compress

import numpy as np

from minigrad.core import Op, TensorNode, pull_back, recording

try:
    import torch
except ModuleNotFoundError as missing:
    raise ImportError(
        'mg.to_torch, mg.from_torch need PyTorch: pip install "torch>=2.4"'
    ) from missing


def to_torch(op):
    """The op as a function of tensors, differentiable by PyTorch: a `torch.autograd.Function`.

    It takes the op's inputs and constants; it gives tensors of the shapes and dtypes of the op's
    outputs. Tensors with `requires_grad` get gradients, other tensors, arrays and numbers get none.
    With `create_graph=True` the op's own backward runs on nodes: it can be differentiated again.

    Raises TypeError for anything but an op. The function raises TypeError for tensors that NumPy
    cannot read (on a GPU, sparse), for integers (booleans, as masks, are welcome), for a tensor
    among the constants, and for a second derivative through a NumPy function without a rule.
    """
    if not (isinstance(op, type) and issubclass(op, Op)):
        raise TypeError(f"to_torch: expected a subclass of minigrad.Op, but got {op!r}")

    def on_tensors(*inputs, **constants):
        if tensors := [name for name, c in constants.items() if torch.is_tensor(c)]:
            raise TypeError(f"{op.__name__}: constants get no gradient; give {tensors[0]}.numpy()")
        return OfNodes.apply(functools.partial(op.do_forward, **constants), *inputs)

    return _named_after(op, on_tensors)


def from_torch(function):
    """A function of tensors as an op: a `torch.autograd.Function`, a torch function, a module.

    The op's inputs reach it as tensors of their shapes and dtypes (Python numbers as numbers), the
    op's constants as keyword arguments; what it returns, one tensor or several, is the op's output.
    Derivatives are PyTorch's, of every order that `function` has. The parameters of a module are
    constants; to train them, make them inputs: from_torch(lambda x, w: x @ w.T), say.

    Raises TypeError for a class where an instance is meant (torch.nn.ReLU for torch.nn.ReLU()).
    The op raises TypeError where `function` returns anything but float tensors that NumPy can read.
    """
    call = function
    if isinstance(function, type):
        call = function.apply if issubclass(function, torch.autograd.Function) else None
    if not callable(call):
        raise TypeError(f"from_torch: a function or module (say torch.nn.ReLU()), not {function!r}")

    class Converted(OfTensors):
        @staticmethod
        def forward(context, *inputs, **constants):
            return OfTensors.forward(context, *inputs, f=functools.partial(call, **constants))

    return _named_after(function, Converted)


class OfNodes(torch.autograd.Function):
    """y… = f(x…), where f is a function of nodes;  x̄… = its pullback, of nodes as well."""

    @staticmethod
    def forward(ctx, f, *inputs):
        values = [_value(x) if torch.is_tensor(x) else x for x in inputs]
        with recording():  # it is PyTorch's no_grad that counts here, not minigrad's
            found = f(*values)
        ctx.f, ctx.values, ctx.ys = f, values, _tuple(found)
        outputs = _tensors(ctx.ys, apart_from=values)
        # Saved for one reason: backward then notices if any of them was changed in place.
        ctx.save_for_backward(*[x if torch.is_tensor(x) else None for x in inputs], *outputs)
        return outputs if isinstance(found, tuple) else outputs[0]

    @staticmethod
    def backward(ctx, *gys):
        values, wanted = ctx.values, [isinstance(x, TensorNode) for x in ctx.values]
        inputs = [value if x is None else x for x, value in zip(ctx.saved_tensors, values)]
        if torch.is_grad_enabled():  # create_graph=True: this step will itself be differentiated
            try:
                found = OfNodes.apply(_pullback(ctx.f, _pull_nodes, wanted), *inputs, *gys)
            except TypeError as error:
                raise TypeError(f"create_graph=True, a second derivative: {error}") from error
        else:
            gys = [_array(g) for g in gys]
            found = _pull_nodes(ctx.ys, gys, compress(values, wanted))
            found = _tensors(found, apart_from=[*values, *gys])
        return None, *_one_each(found, wanted)


def _pullback(f, pull, wanted):
    """(x…, ȳ…) ↦ x̄…, of nodes or tensors as f is, to be differentiated in its turn."""
    n = len(wanted)
    return lambda *a: pull(_tuple(f(*a[:n])), a[n:], compress(a, wanted), again=True)


def _pull_nodes(ys, gys, xs, again=False):
    """The adjoints of the inputs xs, by minigrad; zeros where no output depends on one."""
    xs, depend = list(xs), [isinstance(y, TensorNode) for y in ys]
    ys, gys = list(compress(ys, depend)), compress(gys, depend)
    found = pull_back(ys, gys, wrt=xs, differentiable=again)
    return tuple(np.zeros_like(x.value) if g is None else g for x, g in zip(xs, found))


class OfTensors(Op):
    """y… = f(x…), where f is a function of tensors;  x̄… = its pullback, of tensors as well."""

    @staticmethod
    @torch.inference_mode(False)  # it is minigrad that asks for gradients, and PyTorch obeys
    def forward(context, *inputs, f):
        context.update(f=f, inputs=inputs, wanted=[isinstance(x, TensorNode) for x in inputs])
        if any(context["wanted"]):  # the engine will differentiate backward: nodes in, nodes out
            return OfTensors.do_forward(*inputs, f=f)
        xs = [x if type(x) in (bool, int, float) else _tensor(x) for x in inputs]
        context["wanted"] = [torch.is_tensor(x) and x.is_floating_point() for x in xs]
        with torch.enable_grad():
            found = f(*[x.requires_grad_() if w else x for x, w in zip(xs, context["wanted"])])
        context.update(xs=xs, ys=_tuple(found))
        outputs = tuple(_array(y) for y in context["ys"])
        return outputs if isinstance(found, tuple) else outputs[0]

    @staticmethod
    @torch.inference_mode(False)
    def backward(context, *gys):
        inputs, wanted = context["inputs"], context["wanted"]
        if "xs" in context:
            xs, gys = compress(context["xs"], wanted), [_tensor(g) for g in gys]
            found = [_array(g) for g in _pull_tensors(context["ys"], gys, xs)]
        else:
            pullback = _pullback(context["f"], _pull_tensors, wanted)
            found = OfTensors.do_forward(*inputs, *gys, f=pullback)
        return _one_each(found, wanted)


def _pull_tensors(ys, gys, xs, again=False):
    """The adjoints of the inputs xs, by PyTorch; zeros where no output depends on one."""
    xs, depend = list(xs), [y.requires_grad for y in ys]
    ys, gys = list(compress(ys, depend)), [torch.as_tensor(g) for g in compress(gys, depend)]
    how = {"retain_graph": True, "create_graph": again, "materialize_grads": True}
    return torch.autograd.grad(ys, xs, gys, **how)


def _value(x):
    """A tensor for an op of minigrad's: a leaf where a gradient is needed, else a plain array."""
    return TensorNode(_array(x)) if x.requires_grad else _array(x)


def _array(x):
    """The memory of a tensor as an array; a single number as a NumPy number."""
    if not torch.is_tensor(x):
        raise TypeError(f"the torch function must return tensors, but it returned {x!r}")
    if x.device.type != "cpu" or x.layout is not torch.strided:
        raise TypeError(f"a tensor on {x.device}, {x.layout}: NumPy reads x.cpu().to_dense() only")
    if not (x.is_floating_point() or x.dtype is torch.bool):  # a boolean is a mask
        raise TypeError(f"a tensor of {x.dtype}: {NO_FLOATS}")
    return x.detach().numpy()[()]


def _tensor(array, apart_from=()):
    """The memory of an array as a tensor; a copy where PyTorch cannot have it."""
    array = np.asarray(array)
    welcome = array.flags.writeable and min(array.strides, default=0) >= 0
    shared = any(np.may_share_memory(array, other) for other in apart_from)
    return torch.from_numpy(array if welcome and not shared else array.copy())


def _tensors(values, apart_from):
    """One tensor for each node or array, sharing no memory with one another or with the others."""
    arrays, others = ([getattr(v, "value", v) for v in vs] for vs in (values, apart_from))
    return tuple(_tensor(array, others + arrays[:i]) for i, array in enumerate(arrays))


def _tuple(found):
    return found if isinstance(found, tuple) else (found,)


def _one_each(found, wanted):
    """A gradient for each input that wants one, None for the others."""
    found = iter(found)
    return tuple(next(found) if w else None for w in wanted)


def _named_after(original, new):
    new.__name__ = new.__qualname__ = getattr(original, "__name__", type(original).__name__)
    new.__doc__ = original.__doc__
    return new


NO_FLOATS = "integers have no tiny steps; give floats, x.double(), or, for constants, x.numpy()"
