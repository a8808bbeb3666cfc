"""Reverse mode, whole, in one file.

A computation is a list. Every op that runs is numbered and written down: what it computed, from which
inputs. An op can only use values that already exist, so the numbers are a topological order, and the
list (A. Wengert described it in 1964) can be walked in either direction. `backward` walks it from the
last op to the first and hands each op the adjoint of its output; the op answers with the adjoints of its
inputs. That is all that reverse mode is.

Read in this order: `Op.do_forward` writes the list, `wengert_list` reads it, `pull_back` walks it.

    >>> x1, x2 = TensorNode(2.0), TensorNode(5.0)
    >>> y = np.log(x1) + x1 * x2 - np.sin(x2)
    >>> y.backward()
    >>> x1.grad, x2.grad                                                   # 5.5 and 1.716338
"""

import contextlib
import contextvars
import itertools
import weakref

import numpy as np

_numbers = itertools.count()
_recording = contextvars.ContextVar("recording", default=True)
_strict = contextvars.ContextVar("strict", default=False)

_NO_CONSTANTS = {}  # shared: most ops have none, and an empty dict of one's own is 64 bytes

# NumPy function -> what to do when one of its arguments is a node. This file and `ops` fill it.
RULES = {}


class TensorNode:
    """A value in a computation: a float, or an array of floats, that remembers where it came from.

    `value`   the number or array itself
    `source`  the `OpNode` that computed it; None for a leaf, a node that you made yourself
    `grad`    the adjoint: d(loss)/d(value), of the same shape; zeros until `backward` has run

    Raises TypeError for integers: a derivative is a limit of ever smaller steps, and integers have none.
    """

    __slots__ = ("value", "source", "slot", "_grad", "__weakref__")

    def __init__(self, value, source=None, slot=0):
        self.value = _float_array(value) if source is None else value
        self.source, self.slot, self._grad = source, slot, None

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    dtype = property(lambda self: self.value.dtype)
    T = property(lambda self: np.transpose(self))

    @property
    def grad(self):
        """The adjoint of this node: what backward passes added up (leaf) or the last one left (others)."""
        found = self._grad if self.source is None else self.source.adjoints[self.slot]
        return np.zeros_like(self.value) if found is None else found

    @grad.setter
    def grad(self, gradient):
        if self.source is not None:
            raise AttributeError("only a leaf owns its gradient; this node was computed by an op")
        self._grad = gradient

    def backward(self, cotangent=None):
        """Add d(self)/d(leaf) to the `grad` of every leaf below; `cotangent` weighs the entries (ones)."""
        seed = (
            np.ones_like(self.value) if cotangent is None else np.asarray(cotangent, self.dtype)[()]
        )
        if seed.shape != self.shape:
            raise ValueError(
                f"backward: a cotangent of shape {seed.shape} for a node of {self.shape}"
            )
        pull_back([self], [seed], keep=True)

    def zero_grad(self):
        """Forget the gradients of this node and of everything that it was computed from."""
        self._grad = None
        for record in wengert_list(self):
            record.adjoints = (None,) * len(record.adjoints)
            for node in record.nodes():
                node._grad = None

    def detach(self):
        """The same value as a new leaf: nothing flows back through it."""
        return TensorNode(self.value)

    def item(self):
        """The value of a node with one entry, as a Python float."""
        return self.value.item()

    def __repr__(self):
        made_by = f", made by {self.source.op.__name__}" if self.source else ""
        return f"TensorNode({np.array2string(np.asarray(self.value), precision=6)}{made_by})"

    # Everything that NumPy is asked to do with a node comes back here.

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method != "__call__" or kwargs:
            what = f"np.{ufunc.__name__}" + (f".{method}" if method != "__call__" else "")
            why = "out= would overwrite a value that the backward pass still needs"
            detail = why if "out" in kwargs else "only the plain call np.f(x) is recorded"
            raise TypeError(
                f"{what} with {sorted(kwargs)} on a node: {detail}. Make a new node instead."
            )
        return _rule(ufunc)(*inputs)

    def __array_function__(self, function, types, args, kwargs):
        return _rule(function)(*args, **kwargs)

    def __array__(self, *args, **kwargs):
        raise TypeError(
            "a TensorNode cannot become an array: its history would be lost without a word. "
            "Use node.value for the numbers, or a function that minigrad knows to go on recording."
        )

    def __setitem__(self, index, value):
        raise TypeError(
            "a node cannot be changed in place: ops that used it still need the old value. "
            "Build a new one with np.where(mask, new, old) or np.concatenate."
        )

    def __reduce_ex__(self, protocol):
        if self.source is None:
            return TensorNode, (self.value,)
        raise TypeError(
            "a recorded node cannot be copied or pickled: its inputs, and theirs, would be copied with it. "
            "Copy node.value, or node.detach()."
        )

    def __bool__(self):
        return bool(self.value)

    def __len__(self):
        return len(self.value)

    __hash__ = object.__hash__
    # Comparisons are not differentiable: they give plain arrays of True and False.
    __gt__ = lambda self, other: self.value > _raw(other)
    __ge__ = lambda self, other: self.value >= _raw(other)
    __lt__ = lambda self, other: self.value < _raw(other)
    __le__ = lambda self, other: self.value <= _raw(other)
    __eq__ = lambda self, other: self.value == _raw(other)
    __ne__ = lambda self, other: self.value != _raw(other)

    __neg__ = lambda self: Negate.do_forward(self)
    __add__ = lambda self, other: Add.do_forward(self, other)
    __radd__ = lambda self, other: Add.do_forward(other, self)
    __sub__ = lambda self, other: Subtract.do_forward(self, other)
    __rsub__ = lambda self, other: Subtract.do_forward(other, self)
    __mul__ = lambda self, other: Multiply.do_forward(self, other)
    __rmul__ = lambda self, other: Multiply.do_forward(other, self)
    __truediv__ = lambda self, other: Divide.do_forward(self, other)
    __rtruediv__ = lambda self, other: Divide.do_forward(other, self)
    __pow__ = lambda self, other: Power.do_forward(self, other)
    __rpow__ = lambda self, other: Power.do_forward(other, self)
    __matmul__ = lambda self, other: MatMul.do_forward(self, other)
    __rmatmul__ = lambda self, other: MatMul.do_forward(other, self)
    __abs__ = lambda self: np.abs(self)
    __getitem__ = lambda self, index: RULES["index"](self, index)
    sum = lambda self, axis=None, keepdims=False: np.sum(self, axis=axis, keepdims=keepdims)
    mean = lambda self, axis=None, keepdims=False: np.mean(self, axis=axis, keepdims=keepdims)
    max = lambda self, axis=None, keepdims=False: np.max(self, axis=axis, keepdims=keepdims)
    reshape = lambda self, *shape: np.reshape(self, shape[0] if len(shape) == 1 else shape)
    transpose = lambda self, *axes: np.transpose(self, axes or None)


class OpNode:
    """One line of the Wengert list: this op, run on these inputs, gave those outputs."""

    __slots__ = (
        "op",
        "context",
        "inputs",
        "constants",
        "number",
        "adjoints",
        "blanks",
        "checksums",
        "_outputs",
    )

    def __init__(self, op, context, inputs, constants=None):
        self.op, self.context, self.inputs = op, context, inputs
        self.constants = constants or _NO_CONSTANTS
        self.number = next(_numbers)
        self.adjoints, self.blanks, self.checksums, self._outputs = (None,), None, None, ()

    @property
    def outputs(self):
        """The nodes that this op made; None in the place of one that nobody holds any more.

        The references are weak. A node holds on to its source; if the source held on to the node as well,
        the two would keep each other alive, and a graph would outlive its last user.
        """
        return tuple([output() for output in self._outputs])

    @outputs.setter
    def outputs(self, nodes):
        self._outputs = tuple([weakref.ref(node) for node in nodes])
        if (
            len(nodes) > 1
        ):  # an output that nobody uses has an adjoint of zeros, even when it is gone
            self.adjoints = (None,) * len(nodes)
            self.blanks = tuple([(node.shape, node.dtype) for node in nodes])

    def nodes(self):
        """The inputs that are nodes; plain arrays and numbers are constants and take no gradient."""
        return [node for node in self.inputs if isinstance(node, TensorNode)]

    def __repr__(self):
        shapes = ", ".join(str(np.shape(_raw(value))) for value in self.inputs)
        return f"OpNode {self.number}: {self.op.__name__}({shapes})"


class Op:
    """A function and its derivative: two static functions, never an instance.

    `forward(context, *inputs, **constants)` gets arrays, keeps in `context` what the derivative will need,
    and returns an array, or a tuple of arrays. `backward(context, *goutputs)` gets the adjoint of every
    output and returns the adjoint of every input, in order (None for an input without one). Write both with
    NumPy functions: run on nodes instead of arrays, the same two then give derivatives of any order.
    """

    @staticmethod
    def forward(context, *inputs, **constants):
        raise NotImplementedError("an Op needs a static forward(context, *inputs)")

    @staticmethod
    def backward(context, *goutputs):
        raise NotImplementedError("an Op needs a static backward(context, *goutputs)")

    @classmethod
    def do_forward(cls, *inputs, **constants):
        """Run `forward`, write a line into the Wengert list, return the output (or outputs) as nodes."""
        context, raw = {}, tuple([_raw(value) for value in inputs])
        try:
            outputs = cls.forward(context, *raw, **constants)
        except ValueError as error:
            shapes = " and ".join(str(np.shape(value)) for value in raw)
            raise ValueError(f"{cls.__name__} of shapes {shapes}: {error}") from error
        if hasattr(outputs, "tangent"):  # forward mode: the inputs were duals, and so is the output
            return outputs
        several = type(outputs) is tuple
        values = [_output(cls, value) for value in (outputs if several else (outputs,))]
        if _recording.get() and any([isinstance(value, TensorNode) for value in inputs]):
            record = OpNode(cls, context, inputs, constants)
            nodes = tuple([TensorNode(value, record, slot) for slot, value in enumerate(values)])
            record.outputs = nodes
            if _strict.get():
                record.checksums = _checksums(record)
        else:
            nodes = tuple([TensorNode(value) for value in values])
        return nodes if several else nodes[0]


def wengert_list(*nodes):
    """The ops that the nodes were computed by, first to last.

    Only what reaches the nodes is in it: a branch that they don't depend on can't disturb the backward
    pass. There is no recursion, so a chain of a million ops is no harder than a chain of two.
    """
    found, stack = {}, [node.source for node in nodes]
    while stack:
        record = stack.pop()
        if record is not None and record.number not in found:
            found[record.number] = record
            stack.extend([node.source for node in record.inputs if isinstance(node, TensorNode)])
    return [found[number] for number in sorted(found)]


def pull_back(outputs, cotangents, wrt=(), differentiable=False, keep=False):
    """Walk the Wengert list backwards: the adjoints of the nodes `wrt`, given those of `outputs`.

    For a node x with users y1, y2, ... the chain rule says  x̄ = Σ ȳk ∂yk/∂x : every user adds its
    share. All users of x come later in the list than x, so x̄ is complete when its turn comes.

    `keep`            leave the adjoints on the graph, where `node.grad` finds them; leaves add up
    `differentiable`  run each op's forward and backward on nodes, so that this walk is itself recorded
    Raises ValueError or TypeError, naming the op, where a backward breaks its promise.
    """
    adjoints, leaves = {}, {}

    def add(node, share):
        if id(node) in adjoints:
            share = adjoints[id(node)] + share  # used twice, blamed twice
        adjoints[id(node)] = share
        if keep and node.source is None:
            leaves[id(node)] = node

    for node, cotangent in zip(outputs, cotangents, strict=True):
        add(node, cotangent)
    for record in reversed(wengert_list(*outputs)):
        arrived = tuple([adjoints.get(id(node)) for node in record.outputs])
        goutputs = arrived
        if record.blanks:
            goutputs = [
                np.zeros(*blank) if g is None else g for g, blank in zip(arrived, record.blanks)
            ]
        if keep:
            record.adjoints = arrived
        shares = _call_backward(record, goutputs, differentiable)
        for position, (node, share) in enumerate(zip(record.inputs, shares)):
            if isinstance(node, TensorNode):
                share = _fit(record, position, share, node, goutputs[0].shape)
                if keep and node.source is None:
                    share = _owned(share, (*goutputs, *shares[:position], *record.context.values()))
                add(node, share)
    for leaf in leaves.values():
        leaf._grad = adjoints[id(leaf)] if leaf._grad is None else leaf._grad + adjoints[id(leaf)]
    return [adjoints.get(id(node)) for node in wrt]


def undo_broadcasting(gradient, shape):
    """Sum a gradient over the axes along which a value of `shape` was repeated.

    Broadcasting hands one number to many places. Each place sends its blame back, and the blame adds up:
    the adjoint of "repeat" is "sum". Shapes (), (1,), (1, d), (n, 1) and all others fit.
    """
    if gradient.shape == shape:
        return gradient
    new = len(gradient.shape) - len(shape)
    repeated = [
        axis + new for axis, n in enumerate(shape) if n == 1 and gradient.shape[axis + new] != 1
    ]
    total = np.sum(gradient, axis=(*range(new), *repeated), keepdims=True)
    return np.reshape(total, shape)


@contextlib.contextmanager
def no_grad():
    """Compute without writing anything down: results are leaves, and no memory is kept for a backward."""
    token = _recording.set(False)
    try:
        yield
    finally:
        _recording.reset(token)


@contextlib.contextmanager
def strict():
    """Remember a checksum of every array that an op saw, and name the op if one has changed by `backward`."""
    token = _strict.set(True)
    try:
        yield
    finally:
        _strict.reset(token)


# What is below checks the promises that make the above so short.


def _raw(value):
    if isinstance(value, TensorNode):
        return value.value
    return (
        value.item() if isinstance(value, np.number) else value
    )  # a np.float64 would widen float32


def _float_array(value):
    array = np.asarray(value, dtype=float if isinstance(value, float | int) else None)
    if array.dtype.kind != "f" or isinstance(value, bool):
        raise TypeError(
            f"a TensorNode holds floats, not {array.dtype}: a derivative asks what a tiny step does, and "
            "there are no tiny steps between such values. Give it value.astype(float), or keep the plain "
            "array: constants, labels and indices need no node."
        )
    return array[()]


def _output(op, value):
    if isinstance(value, np.ndarray | np.floating) and value.dtype.kind == "f":
        return value
    if isinstance(value, float):
        return np.float64(value)
    got = f"an array of {value.dtype}" if hasattr(value, "dtype") else f"{value!r}"
    hint = " (is a return missing?)" if value is None else ""
    raise TypeError(f"{op.__name__}.forward must return floats, but gave {got}{hint}")


def _call_backward(record, goutputs, differentiable):
    name, context = f"{record.op.__name__}.backward", record.context
    if record.checksums and record.checksums != _checksums(record):
        now = _checksums(record)
        changed = " and ".join(what for what in now if now[what] != record.checksums.get(what))
        raise ValueError(
            f"{record.op.__name__}: {changed} changed in place between forward and backward, so its "
            "derivative would be that of another point. Make a new array (x = x + 1, not x += 1)."
        )
    if differentiable:
        context = {}
        again = record.op.forward(context, *record.inputs, **record.constants)
        for new, old in zip(again if isinstance(again, tuple) else (again,), record.outputs):
            if old is not None and not np.array_equal(_raw(new), old.value, equal_nan=True):
                raise ValueError(
                    f"{record.op.__name__}.forward gave another value when run again. An op must be pure: "
                    "hand random draws and running state in as inputs or constants."
                )
    if len(record.inputs) > len(record.nodes()):  # lets an op skip the gradients of constants
        context["wanted"] = tuple([isinstance(value, TensorNode) for value in record.inputs])
    shares = record.op.backward(context, *goutputs)
    shares = shares if type(shares) is tuple else (shares,)
    if len(shares) != len(record.inputs):
        raise ValueError(
            f"{name} returned {len(shares)} gradients for {len(record.inputs)} inputs: "
            "return one for each input of forward, in the same order"
        )
    return shares


def _fit(record, position, share, node, output_shape):
    name = f"{record.op.__name__}.backward, gradient of input {position}"
    if share is None:
        raise ValueError(f"{name}: None, but that input is a node (is a return missing?)")
    if not hasattr(share, "dtype"):
        share = np.asarray(share)[()]
    if share.dtype != node.dtype:
        if share.dtype.kind != "f":
            raise TypeError(f"{name}: {share.dtype}, but the input is {node.dtype}: return floats")
        # float32 stays float32
        share = (
            RULES["cast"](share, node.dtype)
            if isinstance(share, TensorNode)
            else share.astype(node.dtype)
        )
    if share.shape != node.shape:
        if share.shape != output_shape or not _broadcasts(node.shape, output_shape):
            raise ValueError(
                f"{name}: shape {share.shape}, but the input has shape {node.shape}: "
                "a gradient has one entry for each entry of its input"
            )
        share = undo_broadcasting(share, node.shape)
    return share


def _broadcasts(small, large):
    fits = [m in (1, n) for m, n in zip(reversed(small), reversed(large))]
    return len(small) <= len(large) and all(fits)


def _owned(gradient, others):
    """A leaf's gradient may be changed by its owner (clipped, say), so it must be nobody else's array."""
    lent = isinstance(gradient, np.ndarray) and gradient.base is not None
    return np.array(gradient) if lent or any([gradient is other for other in others]) else gradient


def _checksums(record):
    named = {f"input {i}": _raw(value) for i, value in enumerate(record.inputs)}
    named |= {f"context[{key!r}]": value for key, value in record.context.items()}
    return {what: hash(a.tobytes()) for what, a in named.items() if isinstance(a, np.ndarray)}


def _rule(function):
    if function in RULES:
        return RULES[function]
    if function in PIECEWISE_CONSTANT:
        return lambda *args, **kwargs: function(*map(_raw, args), **kwargs)
    raise TypeError(
        f"minigrad has no rule for np.{function.__name__}. Write it with functions that have one, "
        "make an Op of your own (forward and backward), or use node.value if no gradient is needed."
    )


# Their derivative is zero wherever it exists, so a plain array is all there is to say.
PIECEWISE_CONSTANT = {
    np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal, np.sign, np.floor,
    np.ceil, np.isnan, np.isinf, np.isfinite, np.logical_not, np.argmax, np.argmin, np.argsort,
    np.zeros_like, np.ones_like, np.shape, np.ndim, np.size, np.array_equal,
}  # fmt: skip


# The operators.


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


class Negate(Op):
    """y = −x;  x̄ = −ȳ."""

    @staticmethod
    def forward(context, x):
        return -x

    @staticmethod
    def backward(context, gy):
        return -gy


class Power(Op):
    """z = xᵖ;  x̄ = z̄ p xᵖ⁻¹,  p̄ = z̄ z ln x.

    x⁰ is the constant 1 also at x = 0, so x̄ = 0 there; p̄ at x = 0 is taken as 0, its limit for p > 0.
    """

    @staticmethod
    def forward(context, x, p):
        context["x"], context["p"] = x, p
        return x**p

    @staticmethod
    def backward(context, gz):
        x, p = context["x"], context["p"]
        wanted_x, wanted_p = context.get("wanted", (True, True))
        if not wanted_p and np.ndim(p) == 0:  # the usual case, x**2: one product is enough
            return (gz * (p * x ** (p - 1)) if p != 0 else gz * np.zeros_like(x)), None
        gx = gz * (p * x ** np.where(p == 0, 1.0, p - 1)) if wanted_x else None
        gp = gz * (x**p * np.log(np.where(x == 0, 1.0, x))) if wanted_p else None
        return gx, gp


class MatMul(Op):
    """Z = XY with X (…, n, k), Y (…, k, m);  X̄ = Z̄ Yᵀ,  Ȳ = Xᵀ Z̄.  Vectors and stacks as in np.matmul."""

    @staticmethod
    def forward(context, x, y):
        context["x"], context["y"] = x, y
        return x @ y

    @staticmethod
    def backward(context, gz):
        x, y = context["x"], context["y"]
        wanted_x, wanted_y = context.get("wanted", (True, True))
        # A vector on the left is a matrix of one row, on the right of one column.
        rows = x if x.ndim > 1 else np.reshape(x, (1, -1))
        columns = y if y.ndim > 1 else np.reshape(y, (-1, 1))
        stack = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
        gz = np.reshape(gz, (*stack, rows.shape[-2], columns.shape[-1]))
        gx = undo_broadcasting(gz @ np.swapaxes(columns, -1, -2), rows.shape) if wanted_x else None
        gy = undo_broadcasting(np.swapaxes(rows, -1, -2) @ gz, columns.shape) if wanted_y else None
        return (
            gx if gx is None else np.reshape(gx, x.shape),
            gy if gy is None else np.reshape(gy, y.shape),
        )


for _ufunc, _op in {
    np.add: Add, np.subtract: Subtract, np.multiply: Multiply, np.divide: Divide, np.negative: Negate,
    np.power: Power, np.matmul: MatMul,
}.items():  # fmt: skip
    RULES[_ufunc] = _op.do_forward
