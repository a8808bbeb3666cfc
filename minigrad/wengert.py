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

from minigrad import core, ops, promises
from minigrad.core import RULES, Op, OpNode, TensorNode

STALE = (
    "a register stands for another number in every run, so what is read, copied or branched on now "
    "goes stale: use NumPy's functions, np.std(x), choose with np.where, look after the run"
)

METADATA = (np.shape, np.ndim, np.size, np.result_type)  # known while a step is recorded


class Register(promises.Methods, np.lib.mixins.NDArrayOperatorsMixin):
    """What stands for a number that is not known yet. What is done with it is noted.

    `keeper`, who keeps the list, is told which of NumPy's functions is called. `made` says where
    the number will come from. In a `Machine` that is (name of an op, its inputs, its constants). In
    a recorded step it is a node or cell that has it already; but only shape and dtype, which stay,
    may be read.
    """

    __slots__ = ("keeper", "made", "name")
    _refuse = promises.refuse(STALE)
    __array__ = __bool__ = __float__ = __int__ = __index__ = __setitem__ = __reduce__ = _refuse
    value = property(_refuse)
    __hash__ = object.__hash__
    __repr__ = lambda self: f"register {self.name!r}"
    __len__ = lambda self: self.shape[0]
    __getitem__ = lambda self, index: self.keeper.noted(operator.getitem, (self, index), {})
    shape, ndim, size, dtype = [property(lambda self, f=f: f(_value(self))) for f in METADATA]
    astype = lambda self, dtype: self.keeper.noted(np.ndarray.astype, (self, dtype), {})

    def __init__(self, keeper, made=None, name=None):
        self.keeper, self.made, self.name = keeper, made, name

    def __getattr__(self, name):
        raise AttributeError(f"{name}: {STALE}")

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        promises.plain_call(ufunc, method, options)
        return self.keeper.noted(ufunc, inputs, {})

    def __array_function__(self, function, types, args, kwargs):
        return self.keeper.noted(function, args, kwargs)


RULES[operator.getitem] = RULES["index"]

# Define, then run.


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
        # Not self.ops = ..., which would declare a register.
        vars(self).update(ops=known, registers=Table(), made=[], defaults={}, parameters=[])
        call = lambda op: lambda *inputs, **constants: self._told(op, inputs, constants)
        vars(self).update({name: call(op) for name, op in known.items()})

    functions = property(lambda self: {name: op.forward for name, op in self.ops.items()})
    derivatives = property(lambda self: {name: op.backward for name, op in self.ops.items()})

    def input(self, name, default=None):
        """Declare a register that `eval` will be handed a value for, or takes the default."""
        if default is not None:
            self.defaults[name] = promises.as_array(default)[()]
        return self._named(name, Register(self))

    def param(self, name, default=None):
        """Declare a register that is to be learned: an input, listed in `parameters`."""
        self.parameters.append(name)
        return self.input(name, default)

    def _named(self, name, new):
        if hasattr(self, name):
            raise ValueError(f"{name!r} is the name of another register, or of an op")
        promises.expect(name, isinstance(new, Register), "a register", TypeError, value=new)
        new.name = name
        vars(self)[name] = self.registers[name] = new
        return new

    __setattr__ = _named  # f.loss = an expression

    def _told(self, op, inputs, constants):
        """A new register, for what the op will make of the inputs."""
        self.made.append(Register(self, (op.__name__.lower(), inputs, constants)))
        return self._named(f"z{len(self.made)}", self.made[-1])

    def noted(self, function, args, kwargs):
        """What one of NumPy's functions makes of registers: its rule says which op to note."""
        if function in promises.PIECEWISE_CONSTANT:
            promises.no_rule(function)
        with promises.setting(core._recording, self._told):
            return core._rule(function)(*args, **kwargs)

    def operation_sequence(self, register):
        """The Wengert list of a register: tuples (name, name of the op, [names of its inputs])."""
        mine = getattr(register, "keeper", None) is self
        promises.expect("operation_sequence", mine, "a register of this machine", loss=register)
        needed, sequence = {register}, []
        for register in reversed(self.made):
            if register in needed:
                op, inputs, _ = register.made
                needed.update([x for x in inputs if isinstance(x, Register)])
                sequence.append((register.name, op, [getattr(x, "name", x) for x in inputs]))
        return sequence[::-1]

    def input_dict(self, **overrides):
        """The values of all registers that have a default, some of them overridden."""
        # By way of the register, so that a name that none has is refused.
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

    def __init__(self, value):
        self.value = value


class Call(Op):
    """A function that nothing flows back through: a comparison, or any function of arguments."""

    forward = lambda context, function, args, kwargs: function(*args, **kwargs)


class Recording:
    """One run of a step, with registers for its arguments: the list, and what runs it again.

    `lines` are core's records, each with the nodes or cells that it fills, and the kind of the
    first. `given` are the cells of the arguments. `leaves`, {leaf: cell}, are the parameters; while
    the step runs, their values are registers, too. `seen` is what must be the same in another
    recording.
    """

    def __init__(self, step, arguments, leaves):
        self.lines, self.seen, self.leaves = [], [], leaves
        self.given = [Cell(x) for x in arguments]
        before = [(leaf, leaf.value, leaf._grad) for leaf in leaves]
        # Of a value shape and dtype are known; of a gradient nothing, not even who keeps the list.
        hidden = [(x, Register(self, leaves[x], id(x)), Register.__new__(Register)) for x in leaves]
        try:
            for leaf, *registers in hidden:
                leaf.value, leaf._grad = registers
            with promises.setting(core._recording, self._told):
                loss = step(*[Register(self, x, f"x{i}") for i, x in enumerate(self.given)])
            if any([x.value is not value or x._grad is not grad for x, value, grad in hidden]):
                raise TypeError(f"compile: the step changes a parameter: {STALE}")
        finally:
            for leaf, value, grad in before:
                leaf.value, leaf._grad = value, grad
        self.seen.append(("its result", self._fingerprint(loss)))
        self.loss = getattr(loss, "made", None)
        is_node = isinstance(self.loss, TensorNode)
        promises.expect("compile", is_node, "a node that the step returns", TypeError, loss=loss)
        self.records = core.wengert_list(self.loss)

    def noted(self, function, args, kwargs):
        """What one of NumPy's functions makes of registers.

        Where something flows back, its rule says which op to note. Else it is noted itself.
        """
        if core._recording.get() != self._told:  # it is over, or interrupted: within no_grad, say
            raise TypeError(STALE)
        if function in METADATA:
            return function(*_each(args, _value))
        flows = []
        _each((args, kwargs), lambda x: flows.append(isinstance(getattr(x, "made", x), TensorNode)))
        if function in promises.PIECEWISE_CONSTANT or not any(flows):
            return self._told(Call, (), {"function": function, "args": args, "kwargs": kwargs})
        return core._rule(function)(*args, **kwargs)

    def _told(self, op, inputs, constants):
        """Run the op, add a line, and return registers for what it made."""
        self.seen.append((op.__name__, _each((inputs, constants), self._fingerprint)))
        inputs, constants = _each((inputs, constants), lambda x: getattr(x, "made", x))
        places = [x if isinstance(x, TensorNode | Cell) else Cell(core._raw(x)) for x in inputs]
        # `core` runs the op, on other nodes of the same numbers, and writes the record; then the
        # inputs of that are the nodes and cells of the list.
        given = [TensorNode(_value(x)) if isinstance(x, TensorNode) else _value(x) for x in places]
        with core.recording():
            made = op.do_forward(*given, **_each(constants, _value))
        filled = [x if isinstance(x, TensorNode) else Cell(x) for x in promises.as_tuple(made)]
        record = getattr(filled[0], "source", None) or OpNode(op, {}, ())
        record.inputs, record.constants, record.checksums = places, constants, None
        self.lines.append((record, filled, _kind(filled[0].value)))
        registers = [Register(self, x, f"z{len(self.lines)}_{i}") for i, x in enumerate(filled)]
        return tuple(registers) if isinstance(made, tuple) else registers[0]

    def _fingerprint(self, x):
        """What tells one input or constant from another, in two recordings."""
        if isinstance(x, np.ndarray):
            return x.shape, x.dtype, hash(x.tobytes())
        if isinstance(x, TensorNode) and x.source is None:
            self.leaves.setdefault(x, Cell(x.value))
            return "parameter", id(x)
        if isinstance(x, TensorNode) or getattr(x, "keeper", self) is not self:
            raise TypeError("compile: a node computed outside the step would go stale")
        return getattr(x, "name", x)

    def run(self, arguments):
        """Run the list: every node and cell gets its new value, of the kind that it had."""
        _fill(self.given, arguments)
        for record, filled, kind in self.lines:
            record.context = {}
            constants = record.constants and _each(record.constants, _value)
            made = record.op.forward(record.context, *[x.value for x in record.inputs], **constants)
            if type(made) is kind or _kind(made) == kind:  # nearly always; the first, of a number
                filled[0].value = made
            else:  # several, or what is no node's value as it is, a Python number
                made = promises.as_tuple(made)
                _fill(filled, [np.float64(x) if type(x) is float else x for x in made])


def _each(value, new):
    """Tuples, lists and dicts, with new(x) for every x in them."""
    if isinstance(value, tuple | list):
        return type(value)([_each(part, new) for part in value])
    if isinstance(value, dict):
        return {key: _each(part, new) for key, part in value.items()}
    return new(value)


def _value(x):
    """What a register stands for now, or a parameter, whose value may be a register."""
    x = x.value if isinstance(x, TensorNode | Cell) else x
    return x.made.value if isinstance(x, Register) else x


def _kind(x):
    """What must stay: of an array shape and dtype, of a number its type."""
    return (x.shape, x.dtype) if isinstance(x, np.ndarray) else type(x)


def _fill(places, values):
    """The next values of nodes and cells, of the same kinds as those before."""
    before, now = [_kind(place.value) for place in places], [*map(_kind, values)]
    stay = "the same shapes and dtypes: mask, do not select; compile the step again for others"
    promises.expect("compile", before == now, stay, recorded=before, now=now)
    for place, value in zip(places, values):
        place.value = value


class compile:
    """`step`, recorded at the first call and replayed from then on.

    `step(*arguments)`, of arrays and Python numbers, returns a node, the loss. A call returns its
    value and adds to the gradients of the parameters, the leaves that the step uses, as `backward`
    does; within `mg.no_grad()` the value alone. Their values are read anew in every call. The first
    call runs the step four times: to find the parameters, to record, to see whether another
    recording is the same, and as it is, for the result. Other numbers and arrays that the step uses
    are taken to stay what they were; within `mg.strict()`, and `mg.debug()`, every call records
    again, and refuses where they did not.

    Raises TypeError for a step that cannot be recorded, ValueError where a shape or dtype changes,
    or recordings differ. Then the gradients are as before. One call at a time: the list has one
    place for each value.
    """

    def __init__(self, step):
        self.step, self.leaves, self.recording = step, {}, None

    def __call__(self, *arguments):
        known = all([isinstance(x, np.ndarray | np.number | int | float) for x in arguments])
        promises.expect("compile", known, "arrays and numbers", TypeError, arguments=arguments)
        arguments = [core._raw(x) for x in arguments]
        _fill(self.leaves.values(), [leaf.value for leaf in self.leaves])
        if self.recording is None or core._modes.get():
            self.recording = self._record(arguments)
        self.recording.run(arguments)
        loss, records = self.recording.loss, self.recording.records
        if core._recording.get():
            core.pull_back([loss], [promises.seed(loss.value, None)], keep=True, records=records)
        return np.array(loss.value)[()]

    def _record(self, arguments):
        """Record twice (and before, to find the parameters), run as it is: all must be the same."""
        _, first, again = [Recording(self.step, arguments, self.leaves) for _ in range(3)]
        before = (self.recording or first).seen
        with core.no_grad():  # last: what a step keeps for its next run is a register till then
            plain = self.step(*arguments).value
        again.run(arguments)
        differs = [a[0] for a, b in zip(before, again.seen) if a != b]
        same = not differs and promises.same(again.loss.value, plain)
        right = "the same: let what is random or changes be an argument; ask for no argument's type"
        promises.expect("compile, recording again,", same, right, another=[*differs, "result"][0])
        return again
