"""Reverse mode, whole, in one file.

A computation is a list. Every op that runs is numbered and written down: what it computed, from
which inputs. An op can only use values that already exist, so the numbers are a topological order,
and the list (A. Wengert described it in 1964) can be walked in either direction. `backward` walks
it from the last op to the first and hands each op the adjoint of its output; the op answers with
the adjoints of its inputs. That is all that reverse mode is.

Read in this order: `Op.do_forward` writes the list, `wengert_list` reads it, `pull_back` walks it.

    >>> x1, x2 = TensorNode(2.0), TensorNode(5.0)
    >>> y = np.log(x1) + x1 * x2 - np.sin(x2)
    >>> y.backward()
    >>> x1.grad, x2.grad                                                   # 5.5 and 1.716338
"""

import contextvars
import itertools
import sys
import weakref
from operator import attrgetter

import numpy as np
from numpy import float64

from minigrad import promises
from minigrad.promises import setting

_numbers = itertools.count()
_recording = contextvars.ContextVar("recording", default=True)
_modes = contextvars.ContextVar("modes", default=frozenset())  # "strict", "debug"

# Shared: nearly all ops have no constants and one output, whose adjoint is unknown at first.
_NO_CONSTANTS, _UNKNOWN = {}, (None,)

# NumPy function -> what to do when one of its arguments is a node. `ops` fills it.
RULES = {}


def _operator(ufunc):
    """The two methods behind an operator: node ∘ other, and other ∘ node."""
    return (
        lambda self, other: RULES[ufunc](self, other),
        lambda self, other: RULES[ufunc](other, self),
    )


class TensorNode(promises.Methods):
    """A value in a computation: a float, or an array of floats, that remembers where it came from.

    `value`   the number or array itself
    `source`  the `OpNode` that computed it; None for a leaf, a node that you made yourself
    `slot`    which of the outputs of its source it is, counted from 0
    `grad`    the adjoint: d(loss)/d(value), of the same shape; zeros until `backward` has run

    Raises TypeError for integers: a derivative is a limit of ever smaller steps, and integers have
    none.
    """

    __slots__ = ("value", "source", "slot", "_grad", "__weakref__")

    def __init__(self, value, source=None, slot=0):
        self.value = promises.leaf_value(value) if source is None else value
        self.source, self.slot, self._grad = source, slot, None

    shape, ndim = property(attrgetter("value.shape")), property(attrgetter("value.ndim"))
    size, dtype = property(attrgetter("value.size")), property(attrgetter("value.dtype"))

    @property
    def grad(self):
        """The adjoint: in a leaf what all passes added up, elsewhere what the last one left."""
        found = self._grad if self.source is None else self.source.adjoints[self.slot]
        return np.zeros_like(self.value)[()] if found is None else found

    @grad.setter
    def grad(self, gradient):
        if self.source is not None:
            raise AttributeError("only a leaf owns its gradient; this node was computed by an op")
        self._grad = gradient

    def backward(self, cotangent=None):
        """Add d(self)/d(leaf) to the `grad` of every leaf that this node was computed from.

        A node with several entries has no single derivative: theirs are added up, weighted by the
        `cotangent`, an array of the same shape (ones if it is not given).
        """
        pull_back([self], [promises.seed(self.value, _raw(cotangent))], keep=True)

    def zero_grad(self):
        """Forget the gradients of this node and of everything that it was computed from."""
        self._grad = None
        for record in wengert_list(self):
            record.adjoints = _UNKNOWN * len(record.adjoints)
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

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        promises.plain_call(ufunc, method, options)
        return _rule(ufunc)(*inputs)

    def __array_function__(self, function, types, args, kwargs):
        return _rule(function)(*args, **kwargs)

    __array__ = promises.refuse(promises.NO_ARRAY)
    __setitem__ = promises.refuse(promises.NO_ASSIGNMENT)

    def __reduce__(self):
        if self.source is not None:
            raise TypeError(promises.NO_COPY)
        return TensorNode, (self.value,)

    __hash__ = object.__hash__
    __bool__ = lambda self: bool(self.value)
    __len__ = lambda self: len(self.value)
    __add__, __radd__ = _operator(np.add)
    __sub__, __rsub__ = _operator(np.subtract)
    __mul__, __rmul__ = _operator(np.multiply)
    __truediv__, __rtruediv__ = _operator(np.divide)
    __pow__, __rpow__ = _operator(np.power)
    __matmul__, __rmatmul__ = _operator(np.matmul)
    # Comparisons have no derivative: they give plain arrays of True and False.
    __gt__, __lt__ = _operator(np.greater)
    __ge__, __le__ = _operator(np.greater_equal)
    __eq__, __ne__ = _operator(np.equal)[0], _operator(np.not_equal)[0]
    __getitem__ = lambda self, index: RULES["index"](self, index)
    astype = lambda self, dtype: RULES[np.ndarray.astype](self, dtype)


class OpNode:
    """One line of the Wengert list: this op, run on these inputs, gave those outputs.

    `context`     what `forward` kept for `backward`
    `constants`   what `forward` was handed by name
    `number`      its place among all that have run, which is a topological order
    `adjoints`    those of the outputs, as the last `backward` left them
    `blanks`      of several outputs the shapes and dtypes, for the zeros of one that nobody uses
    `checksums`   in strict mode, of all arrays that the op saw or kept
    `mixed`       whether some of its inputs are constants
    """

    __slots__ = ("op", "context", "inputs", "constants", "number", "adjoints", "blanks")
    __slots__ += ("checksums", "mixed", "_outputs")

    def __init__(self, op, context, inputs, constants=None, mixed=True):
        self.op, self.context, self.inputs, self.mixed = op, context, inputs, mixed
        self.constants = constants or _NO_CONSTANTS
        self.number = next(_numbers)
        self.adjoints, self.blanks, self.checksums, self._outputs = _UNKNOWN, None, None, ()

    @property
    def outputs(self):
        """The nodes that this op made; None in the place of one that nobody holds any more.

        The references are weak. A node holds on to its source; if the source held on to the node as
        well, the two would keep each other alive, and a graph would outlive its last user.
        """
        if isinstance(self._outputs, weakref.ref):  # nearly always one, and a tuple costs 56 bytes
            return (self._outputs(),)
        return tuple([output() for output in self._outputs])

    @outputs.setter
    def outputs(self, nodes):
        if isinstance(nodes, TensorNode):
            self._outputs = weakref.ref(nodes)
        else:  # one that nobody uses has an adjoint of zeros, even when it is gone
            self._outputs = tuple([weakref.ref(node) for node in nodes])
            self.adjoints = _UNKNOWN * len(nodes)
            self.blanks = tuple([(node.shape, node.dtype) for node in nodes])

    def nodes(self):
        """The inputs that are nodes. Plain arrays and numbers are constants, without gradient."""
        return [node for node in self.inputs if isinstance(node, TensorNode)]

    def __repr__(self):
        shapes = ", ".join(str(np.shape(_raw(value))) for value in self.inputs)
        return f"OpNode {self.number}: {self.op.__name__}({shapes})"


class Op:
    """A function and its derivative: two static functions, never an instance.

    `forward(context, *inputs, **constants)` gets arrays, keeps in `context` what the derivative
    will need, and returns an array, or a tuple of arrays. `backward(context, *goutputs)` gets the
    adjoint of every output and returns the adjoint of every input, in order (None for a constant).
    Write both with NumPy functions: run on nodes instead of arrays, they then give derivatives of
    any order.

    One key of the `context` is the engine's. Where some inputs are constants, `backward` finds in
    `context["wanted"]` a True for each input whose adjoint will be used, and may skip the others.

    Where the op says `linear = True`, what it keeps in its context does not depend on the values of
    its inputs, and `forward` need not be run again for derivatives of derivatives.

    An op that is fast by means that do not work on nodes (out=, loops over entries) gives beside
    its two functions a static `reference(*inputs, **constants)`, the same function written with
    other ops: derivatives of derivatives go through that.
    """

    linear = False
    reference = None

    @staticmethod
    def forward(context, *inputs, **constants):
        raise NotImplementedError("an Op needs a static forward(context, *inputs)")

    @staticmethod
    def backward(context, *goutputs):
        raise NotImplementedError("an Op needs a static backward(context, *goutputs)")

    @classmethod
    def do_forward(cls, *inputs, **constants):
        """Run `forward`, add a line to the Wengert list, return the output or outputs as nodes.

        Without a node among the inputs there is nothing to record: the outputs come as they are.
        """
        recorded = _recording.get()
        if callable(recorded):  # `wengert` writes a list of its own, and is told instead
            return recorded(cls, inputs, constants)
        context, raw, nodes = {}, [], 0
        for value in inputs:  # one plain loop: of a scalar's microseconds every call takes a tenth
            if isinstance(value, TensorNode):
                value, nodes = value.value, nodes + 1
            elif type(value) is not float:
                value = _raw(value)
            raw.append(value)
        # In strict mode before `forward`, which might change an input itself.
        modes = _modes.get()
        seen = promises.checksums(raw, constants=constants) if "strict" in modes else None
        try:
            outputs = cls.forward(context, *raw, **constants)
        except ValueError as error:
            shapes = " and ".join(str(np.shape(value)) for value in raw)
            raise ValueError(f"{cls.__name__} of shapes {shapes}: {error}") from error
        if not nodes:
            return outputs  # of arrays, an array; of the duals of forward mode, a dual
        record = None
        if recorded:
            record = OpNode(cls, context, inputs, constants, nodes < len(inputs))
        if type(outputs) is tuple:
            values = [promises.output_value(cls, value) for value in outputs]
            made = tuple([TensorNode(value, record, slot) for slot, value in enumerate(values)])
        else:
            made = TensorNode(promises.output_value(cls, outputs), record)
        if record is not None:
            record.outputs = made
            if seen is not None:
                record.checksums = seen + promises.checksums(context=context)
        if "debug" in modes:
            promises.finite(record or cls.__name__, "output", outputs, raw)
        return made


def wengert_list(*nodes):
    """The ops that the nodes were computed by, first to last.

    Only what reaches the nodes is in it: a branch that they don't depend on can't disturb the
    backward pass. There is no recursion: a chain of a million ops is no harder than a chain of two.
    """
    found, stack = {}, [node.source for node in nodes]
    while stack:
        record = stack.pop()
        if record is not None and record.number not in found:
            found[record.number] = record
            for node in record.inputs:
                if isinstance(node, TensorNode):
                    stack.append(node.source)
    return [found[number] for number in sorted(found)]


def pull_back(
    outputs, cotangents, wrt=(), differentiable=False, keep=False, watch=None, records=None
):
    """Walk the Wengert list backwards: the adjoints of the nodes `wrt`, given those of `outputs`.

    For a node x with users y1, y2, ... the chain rule says  x̄ = Σ ȳk ∂yk/∂x : every user adds its
    share. All users of x come later in the list than x, so x̄ is complete when its turn comes.

    `keep`            leave the adjoints on the graph, where `node.grad` finds them; leaves add up
    `differentiable`  run each op's forward and backward on nodes: this walk is then itself recorded
    `watch`           called with each share as it is added: watch(record, node, share)
    `records`         the list to walk, where it is known: wengert_list(*outputs)
    Raises ValueError or TypeError, naming the op, where a backward breaks its promise.
    """
    adjoints, asked, debugging = {}, set(map(id, wrt)), "debug" in _modes.get()

    def add(node, share):
        if node not in adjoints:
            adjoints[node] = share
        elif node.source is None and type(share) is np.ndarray and watch is None:
            adjoints[node] += share  # a leaf's adjoint is its own array: no need for another
        else:
            adjoints[node] = adjoints[node] + share  # used twice, blamed twice

    for node, cotangent in zip(outputs, cotangents, strict=True):
        add(node, cotangent if node.source else cotangent * 1.0)  # for a leaf a copy
    for record in reversed(_downstream(wrt, records or wengert_list(*outputs))):
        made = record.outputs
        goutputs = tuple(map(adjoints.get, made))
        if keep:
            record.adjoints = goutputs
        if record.blanks:
            pairs = zip(goutputs, record.blanks)
            goutputs = [np.zeros(*blank) if g is None else g for g, blank in pairs]
        shares = _shares(record, goutputs, differentiable)
        if debugging:
            promises.finite(record, "gradient of input", shares, map(_raw, record.inputs))
        for position, node in enumerate(record.inputs):
            if isinstance(node, TensorNode):
                number = type(shares[position]) is type(node.value) is float64
                share = shares[position] if number else _fit(record, position, shares, goutputs)
                add(node, share)
                if watch is not None:
                    watch(record, node, share)
        for node in made:  # done with: let go of its adjoint
            if id(node) not in asked:
                adjoints.pop(node, None)
    if keep:
        for leaf, adjoint in adjoints.items():  # of all others it has been let go
            leaf._grad = adjoint if leaf._grad is None else leaf._grad + adjoint
    return [adjoints.get(x) if isinstance(x, TensorNode) else None for x in wrt]


def _downstream(nodes, records):
    """The records that depend on the nodes; all of them where no nodes are asked for.

    Within `grad(grad(f))` this keeps the inner walk off the outer list.
    """
    if not nodes:
        return records
    reached, found = {id(node) for node in nodes}, []
    for record in records:
        if not reached.isdisjoint(map(id, record.inputs)):
            found.append(record)
            reached.update(map(id, record.outputs))
    return found


def undo_broadcasting(gradient, shape):
    """Sum a gradient over the axes along which a value of `shape` was repeated.

    Broadcasting hands one number to many places. Each place sends its blame back, and the blame
    adds up: the adjoint of "repeat" is "sum". Shapes (), (1,), (1, d), (n, 1) and all others fit.
    """
    if gradient.shape == shape:
        return gradient
    new = len(gradient.shape) - len(shape)
    repeated = [new + axis for axis, n in enumerate(shape) if n == 1]
    return np.reshape(np.sum(gradient, axis=(*range(new), *repeated)), shape)


def no_grad():
    """Compute without writing anything down: results are leaves, nothing is kept for a backward."""
    return setting(_recording, False)


def recording():
    """Write everything down, even within `no_grad`."""
    return setting(_recording, True)


def strict():
    """Checksum every array that an op sees; if one has changed by `backward`, name the op."""
    return setting(_modes, _modes.get() | {"strict"})


def debug():
    """Raise FloatingPointError at the op that makes the first NaN or infinity, in either pass."""
    return setting(_modes, _modes.get() | {"debug"})


def _raw(value):
    """What an op computes with: a node's value, a list as an array; other things as they are."""
    if isinstance(value, TensorNode):
        return value.value
    if isinstance(value, np.number):  # np.float64 would widen float32
        return value.item()
    return np.asarray(value) if type(value) is list else value


def _shares(record, goutputs, differentiable):
    """Ask the op of one record for the adjoints of its inputs."""
    op, context = record.op, record.context
    if record.checksums is not None:
        promises.unchanged(record)
    if differentiable and op.reference is not None:
        return _shares_of_reference(record, goutputs)
    if differentiable and not op.linear:
        context, inputs = {}, [x if isinstance(x, TensorNode) else _raw(x) for x in record.inputs]
        again = op.forward(context, *inputs, **record.constants)
        promises.same_again(record, again, _raw)
    if record.mixed:  # an op may skip the gradients of constants; a copy, not to be kept afterwards
        context = {**context, "wanted": tuple([isinstance(x, TensorNode) for x in record.inputs])}
    return promises.one_share_each(record, op.backward(context, *goutputs))


def _shares_of_reference(record, goutputs):
    """The same, differentiably, for an op that names a reference in other ops."""
    with recording():
        # Nodes of its own: the walk ends there, even where one input depends on another.
        inputs = [x * 1.0 if isinstance(x, TensorNode) else x for x in record.inputs]
        again = record.op.reference(*inputs, **record.constants)
        promises.same_again(record, again, _raw)
        shares = pull_back(promises.as_tuple(again), goutputs, wrt=inputs, differentiable=True)
    return [np.zeros_like(_raw(x)) if g is None else g for x, g in zip(inputs, shares)]


def _fit(record, position, shares, goutputs):
    """A share as the input needs it: summed over axes where it was repeated, in its own dtype."""
    alone = sys.getrefcount(shares[position]) == 2  # the tuple's, and the argument here
    share, node = shares[position], record.inputs[position]
    if getattr(share, "dtype", None) is not node.value.dtype or share.shape != node.value.shape:
        share = promises.share_fits(record, position, share, node, goutputs)
        if share.dtype != node.dtype:  # float32 stays float32
            share = share.astype(node.dtype)
        share = undo_broadcasting(share, node.shape)
    if node.source is None and isinstance(share, np.ndarray):
        # A leaf's gradient is added to, and clipped, in place: it must be its own array.
        share = share if alone and share.base is None else np.array(share)
    return share


def _rule(function):
    return RULES[function] if function in RULES else promises.no_rule(function)


for _function in promises.PIECEWISE_CONSTANT:  # no derivative to record: a plain array comes back
    RULES[_function] = lambda *args, _f=_function, **kwargs: _f(*map(_raw, args), **kwargs)
