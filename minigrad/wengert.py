"""Two more ways to a list: define it and run it, or run once and run the list again.

`core` writes the Wengert list down while a program computes, anew in every run. Here the list comes
first, and is then run as often as one likes: from first to last for the values, from last to first
for the adjoints. The ops are the same. Only how the list comes about differs.

A `Machine` is told. Registers have names, and what is said about them is noted and not computed:

    >>> f = Machine()
    >>> x1, x2 = f.input("x1", default=2.0), f.input("x2", default=5.0)
    >>> f.loss = np.log(x1) + x1 * x2 - np.sin(x2)
    >>> sequence = f.operation_sequence(f.loss)
    >>> sequence[0]
    ('z1', 'log', ['x1'])
    >>> values = f.eval(sequence)                           # values["loss"] is 11.652071
    >>> adjoints = f.bprop(sequence, values)                # adjoints["x1"] 5.5, "x2" 1.716338

`compile` watches a step of training once, and spares it the writing from then on:

    >>> fast = compile(lambda X, y: cross_entropy(model(X), y))
    >>> for X, y in batches:
    ...     optimiser.zero_grad()
    ...     loss = fast(X, y)                     # a number; the gradients are in .grad
    ...     optimiser.step()

That is right only if all that the loss depends on is in the list. So the step is handed registers
in place of its arguments, and finds them in place of its parameters' values: whatever is done with
them is noted, comparisons and indices too, and what cannot be noted is refused. The records are
those of `core`, whose `backward` runs on them as on any other; only forward is done here. What
depends on a parameter is a node; what depends on arguments alone is a `Cell`, and as an input of an
op it is a constant, as a plain array would be.
"""

import operator

import numpy as np
from numpy import float64
from numpy.lib.mixins import NDArrayOperatorsMixin

from minigrad import core, ops, promises
from minigrad.core import RULES, Op, OpNode, TensorNode, setting

STALE = (
    "a register stands for another number in every run, so what is read, copied or branched on now "
    "goes stale: use NumPy's functions, np.std(x), choose with np.where, look after the run"
)


class Noted(NDArrayOperatorsMixin, promises.Methods):
    """What stands for a number that is not known yet. What is done with it is noted.

    NumPy's functions have their rules, as for nodes; but the op that a rule runs is `told` to
    whoever keeps the list.
    """

    __slots__ = ()
    _refuse = promises.refuse(STALE)
    value = property(_refuse)
    __array__ = __bool__ = __float__ = __int__ = __index__ = __reduce__ = _refuse
    __hash__ = object.__hash__
    __repr__ = lambda self: "a register"
    __getitem__ = lambda self, index: self._noted(operator.getitem, (self, index), {})

    def __getattr__(self, name):
        raise AttributeError(f"{name}: {STALE}")

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        promises.plain_call(ufunc, method, options)
        return self._noted(ufunc, inputs, {})

    def __array_function__(self, function, types, args, kwargs):
        return self._noted(function, args, kwargs)

    def _noted(self, function, args, kwargs):
        if function not in RULES or function in promises.PIECEWISE_CONSTANT:
            promises.no_rule(function)
        rule = ops.Where.do_forward if function is np.where else RULES[function]  # masks are noted
        with setting(core._recording, self.told):
            return rule(*args, **kwargs)


RULES[operator.getitem] = RULES["index"]

# Define, then run.


class Register(Noted):
    """The place of a value in a `Machine`; `made` is (name of an op, its inputs, its constants)."""

    __slots__ = ("made", "name", "told")
    __repr__ = lambda self: f"register {self.name!r}"

    def __init__(self, told, made=None):
        self.told, self.made = told, made


class Table(dict):
    """Values, registers or ops by name."""

    def __missing__(self, name):
        raise KeyError(f"{name!r} is not here, or not yet; there are {', '.join(self)}")


class Machine:
    """Registers by name, and ops by name: f.matmul, f.sigmoid, all those of `minigrad.ops`.

    Ops of your own are handed over, Machine(ReLU), and then are f.relu. `functions` and
    `derivatives` are the two tables, name -> forward and name -> backward.
    """

    def __init__(self, *own):
        known = Table((op.__name__.lower(), op) for op in (*map(vars(ops).get, ops.__all__), *own))
        vars(self).update(ops=known, registers=Table(), made=[], defaults={}, parameters=[])
        call = lambda op: lambda *inputs, **constants: self._told(op, inputs, constants)
        vars(self).update({name: call(op) for name, op in known.items()})

    functions = property(lambda self: {name: op.forward for name, op in self.ops.items()})
    derivatives = property(lambda self: {name: op.backward for name, op in self.ops.items()})

    def input(self, name, default=None):
        """Declare a register that `eval` will be handed a value for, or takes the default."""
        if default is not None:
            self.defaults[name] = promises.as_array(default)[()]
        return self._named(name, Register(self._told))

    def param(self, name, default=None):
        """Declare a register that is to be learned: an input, listed in `parameters`."""
        self.parameters.append(name)
        return self.input(name, default)

    def _named(self, name, register):
        if hasattr(self, name):
            raise ValueError(f"{name!r} is the name of another register, or of an op")
        register.name = name
        vars(self)[name] = self.registers[name] = register
        return register

    __setattr__ = _named  # f.loss = an expression

    def _told(self, op, inputs, constants):
        """A new register, for what the op will make of the inputs."""
        self.made.append(Register(self._told, (op.__name__.lower(), inputs, constants)))
        return self._named(f"z{len(self.made)}", self.made[-1])

    def operation_sequence(self, register):
        """The Wengert list of a register: tuples (name, name of the op, [names of its inputs])."""
        needed, sequence = {register}, []
        for register in reversed(self.made):
            if register in needed:
                op, inputs, _ = register.made
                needed.update([x for x in inputs if isinstance(x, Register)])
                sequence.append((register.name, op, [getattr(x, "name", x) for x in inputs]))
        return sequence[::-1]

    def input_dict(self, **overrides):
        """The values of all registers that have a default, some of them overridden."""
        given = {self.registers[name].name: value for name, value in overrides.items()}
        return self.defaults | {name: promises.as_array(x)[()] for name, x in given.items()}

    def eval(self, sequence, values=()):
        """The values of all registers; `values`, {name: value}, override the defaults."""
        nodes = self._run(sequence, self.input_dict(**dict(values)))
        return Table({name: getattr(node, "value", node) for name, node in nodes.items()})

    def bprop(self, sequence, values, loss=1.0):
        """The adjoints of all registers, {name: adjoint}, given that of the last in the sequence.

        `values` is what `eval` gave. The ops run again, and now `core` walks what it writes down.
        """
        made = [name for name, *_ in sequence]
        nodes = self._run(sequence, {x: v for x, v in values.items() if x not in made})
        nodes[made[-1]].backward(loss)
        return {x: node.grad for x, node in nodes.items() if isinstance(node, TensorNode)}

    def _run(self, sequence, values):
        """All registers, {name: node}; what is not a float has no adjoint, and stays as it is."""
        floats = {name: np.asarray(x).dtype.kind == "f" for name, x in values.items()}
        nodes = Table({x: TensorNode(v) if floats[x] else v for x, v in values.items()})
        with core.recording():
            for name, op, inputs in sequence:
                if name in nodes:
                    raise ValueError(f"{name!r} has a value already; a register is set once")
                given = [nodes[x] if isinstance(x, str) else x for x in inputs]
                op, constants = self.ops[op], self.registers[name].made[2]
                nodes[name] = op.do_forward(*given, **constants)
        return nodes


# Run once, then run the list.


class Cell:
    """A value that nothing flows back to: an argument, a constant, a mask made of them."""

    def __init__(self, value, slot=0):
        self.value, self.slot = value, slot


METADATA = (np.shape, np.ndim, np.size)  # known while recording, and in a recorded step they stay


class Watched(Noted):
    """A node or a cell, as a step sees it while it is recorded: its value is not to be read."""

    __slots__ = ("node",)

    def __init__(self, node):
        self.node = node

    told = property(lambda self: core._recording.get())
    shape, ndim, size = [property(lambda self, f=f: f(_value(self))) for f in METADATA]
    dtype = property(lambda self: np.asarray(_value(self)).dtype)
    __len__ = lambda self: len(_value(self))
    astype = lambda self, dtype: self._noted(np.ndarray.astype, (self, dtype), {})

    def _noted(self, function, args, kwargs):
        if not callable(self.told):  # the recording is over, or interrupted: within no_grad, say
            self._refuse()
        if function in METADATA:
            return function(*_replaced(args, _value))
        found = []
        _replaced((args, kwargs), lambda x: found.append(getattr(x, "node", x)))
        flows = any([isinstance(node, TensorNode) for node in found])
        if function in promises.PIECEWISE_CONSTANT or not flows:
            return self.told(Call, (), {"function": function, "args": args, "kwargs": kwargs})
        return super()._noted(function, args, kwargs)


class Call(Op):
    """A function that nothing flows back through: a comparison, or any function of arguments."""

    @staticmethod
    def forward(context, function, args, kwargs):
        return function(*args, **kwargs)


def _replaced(value, new, kinds=(Watched, TensorNode, Cell)):
    """Tuples, lists and dicts, with new(x) for every x of these kinds."""
    if isinstance(value, kinds):
        return new(value)
    if isinstance(value, tuple | list):
        return type(value)([_replaced(part, new, kinds) for part in value])
    if isinstance(value, dict):
        return {key: _replaced(part, new, kinds) for key, part in value.items()}
    return value


def _value(x):
    """The number itself; of a watched parameter, the value is a watched cell."""
    while isinstance(x, Watched | TensorNode | Cell):
        x = x.node if isinstance(x, Watched) else x.value
    return x


def _print(x):
    """What tells one input or constant from another, in two recordings."""
    is_array = isinstance(x, np.ndarray)
    return (x.shape, x.dtype, hash(x.tobytes())) if is_array else x.slot or id(x)


def _kind(x):
    return getattr(x, "shape", ()), getattr(x, "dtype", type(x))


def _stays(was, now):
    if was != now:
        raise ValueError(
            f"compile: recorded with {was}, called with {now}: shapes and dtypes stay. "
            "Mask, do not select; compile the step again for others"
        )


class compile:
    """`step`, recorded at the first call and replayed from then on.

    `step(*arguments)`, of arrays and Python numbers, returns a node, the loss. A call returns its
    value and adds to the gradients of the parameters, the leaves that the step uses, as `backward`
    does. Their values are read anew in every call. The first call runs the step three times, to
    find the parameters, to record, and to see whether another recording is the same. Other numbers
    and arrays that the step uses are taken to stay what they were; within `mg.strict()` every call
    records again, and refuses where they did not.

    Raises TypeError for a step that cannot be recorded, ValueError where a shape or dtype changes,
    or recordings differ. Then the gradients are as before. One call at a time: the list has one
    place for each value.
    """

    def __init__(self, step):
        self.step, self.leaves, self.prints = step, {}, None

    def __call__(self, *arguments):
        if not all([isinstance(x, np.ndarray | np.number | int | float) for x in arguments]):
            raise TypeError(f"compile: arguments are arrays and numbers, not {arguments!r}")
        arguments = [core._raw(x) for x in arguments]
        if self.prints is None or "strict" in core._modes.get():
            self._watch(arguments)
        self._forward(arguments)
        loss = np.array(self.loss.value)[()]
        core.pull_back([self.loss], [promises.seed(loss, None)], keep=True, records=self.records)
        for record in self.lines:  # which else would hold on to the parameters' arrays
            record.context = record.adjoints = None
        return loss

    def _watch(self, arguments):
        """Record twice (once more, to find the parameters): what differs would go stale."""
        before = self.prints or [self._record(arguments), self._record(arguments)][1]
        self.prints = None  # not to be kept before it has been compared
        now, recorded = self._record(arguments), self.loss.value
        self._forward(arguments)
        differs = [a[0] for a, b in zip(before, now) if a != b]
        if differs or not promises.same(self.loss.value, recorded):
            raise ValueError(
                f"compile: recorded again, the step is not the same: {[*differs, 'its result'][0]} "
                "differs. What is drawn at random, or changes between calls, must come in as an "
                "argument"
            )
        self.prints = now

    def _record(self, arguments):
        """Run the step; returns what must not change in it, line by line.

        `lines` are core's records, {record: (the nodes or cells that it fills, their kinds)};
        `leaves` are the parameters, {leaf: cell}. While the step runs, their value is watched.
        """
        self.lines, self.seen = {}, []
        self.arguments = [Cell(x, f"argument {i}") for i, x in enumerate(arguments)]
        before = [(leaf, leaf.value, leaf._grad) for leaf in self.leaves]
        try:
            for leaf, cell in self.leaves.items():  # what reads a parameter's value is noted, too
                cell.value, leaf.value, leaf._grad = leaf.value, Watched(cell), Noted()
            with setting(core._recording, self._note):
                loss = self.step(*map(Watched, self.arguments))
                if not all(type(leaf._grad) is Noted for leaf, *_ in before):
                    raise TypeError(f"compile: the step changes a gradient: {STALE}")
        finally:
            for leaf, value, grad in before:
                leaf.value, leaf._grad = value, grad
        if not isinstance(getattr(loss, "node", None), TensorNode):
            raise TypeError(f"compile: expected a step that returns the loss, a node, not {loss!r}")
        self.loss, self.records = loss.node, core.wengert_list(loss.node)
        self.kinds = [_kind(cell.value) for cell in [*self.arguments, *self.leaves.values()]]
        return [*self.seen, ("its result", self.loss.slot)]

    def _note(self, op, inputs, constants):
        """Run the op, add a line, and return what it made, watched."""
        inputs, constants = _replaced((inputs, constants), self._node)
        seen = _replaced((inputs, constants), _print, (TensorNode, Cell, np.ndarray))
        self.seen.append((op.__name__, seen))
        places = [x if isinstance(x, TensorNode | Cell) else Cell(core._raw(x)) for x in inputs]
        nodes = [x for x in places if isinstance(x, TensorNode)]
        record = OpNode(op, {}, places, constants, mixed=len(nodes) < len(places))
        with setting(core._recording, True):
            made = op.forward({}, *map(_value, places), **_replaced(constants, _value))
        several = isinstance(made, tuple)
        place = lambda x: TensorNode(promises.output_value(op, x), record) if nodes else Cell(x)
        filled = [place(value) for value in (made if several else (made,))]
        for i, new in enumerate(filled):
            new.slot = f"output {i} of line {len(self.lines)}"
        if nodes:
            record.outputs = filled if several else filled[0]
        self.lines[record] = filled, [_kind(new.value) for new in filled]
        return tuple(map(Watched, filled)) if several else Watched(filled[0])

    def _node(self, x):
        node = getattr(x, "node", x)
        if isinstance(node, TensorNode) and node.source not in self.lines:
            if node.source is not None:
                raise TypeError("compile: a node computed outside the step would go stale")
            self.leaves.setdefault(node, Cell(node.value, f"parameter {len(self.leaves)}"))
        return node

    def _forward(self, arguments):
        """Run the list: every node and cell gets its new value."""
        cells = [*self.arguments, *self.leaves.values()]
        values = [*arguments, *[leaf.value for leaf in self.leaves]]
        _stays(self.kinds, [_kind(value) for value in values])
        for cell, value in zip(cells, values):
            cell.value = value
        debugging = "debug" in core._modes.get()
        for record, (filled, kinds) in self.lines.items():
            record.context, constants = {}, record.constants
            if constants:
                constants = _replaced(constants, _value)
            given = [x.value for x in record.inputs]
            made = record.op.forward(record.context, *given, **constants)
            if debugging and record.op is not Call:
                promises.finite(record, "output", made, given)
            if type(made) is float64 is type(filled[0].value):  # a number stays one
                filled[0].value = made
                continue
            for place, kind, value in zip(filled, kinds, made if type(made) is tuple else (made,)):
                if type(place) is TensorNode:
                    value = promises.output_value(record.op, value)
                _stays(kind, _kind(value))
                place.value = value
