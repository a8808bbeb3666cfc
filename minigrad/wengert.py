"""Two more ways to a list: define it and run it, or run once and run the list again.

`core` writes the Wengert list down while a program computes, anew in every run. Here the list comes
first, and is then run as often as one likes: `forward` from first to last, `backward` from last to
first. That is the whole engine, and the ops are the same. Only how the list comes about differs.

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
in place of its arguments, and finds them in place of its parameters: whatever is done with them is
noted, comparisons and indices too, and what cannot be noted is refused.
"""

import difflib
import sys
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from minigrad import core, ops, promises
from minigrad.core import RULES, Op, TensorNode, setting

# The two loops.


class Line(NamedTuple):
    """Of the values at `inputs`, the op makes those at `outputs`.

    `wanted` says which inputs get an adjoint (empty: none does), and `holes` whether constants are
    to be filled in from the values, too.
    """

    op: type
    inputs: tuple
    constants: dict
    outputs: tuple
    wanted: tuple
    holes: bool = False


class Place(int):
    """Where a value stands in a table of values."""


USUAL = {np.ndarray, np.float64, np.float32}  # what ops make


def forward(lines, values, shapes=None):
    """Run the lines first to last: fills the table of values, and gives what each op kept.

    Raises ValueError where an op fails, or makes a shape that is not in the table `shapes`.
    """
    contexts, value_of = [], values.__getitem__
    for op, inputs, constants, outputs, _, holes in lines:
        context = {}
        if holes:
            constants = _replaced(constants, value_of, Place)
        try:
            made = op.forward(context, *map(value_of, inputs), **constants)
        except ValueError as error:
            given = ", ".join(f"{place} {np.shape(values[place])}" for place in inputs)
            raise ValueError(f"{outputs[0]} = {op.__name__} of {given}: {error}") from error
        for place, value in zip(outputs, made if type(made) is tuple else (made,)):
            if type(value) not in USUAL and op is not Call:
                value = promises.output_value(op, value)
            if shapes and value.shape != shapes[place]:
                raise ValueError(
                    f"compile: {op.__name__} made shape {shapes[place]} when it was recorded, and "
                    f"{value.shape} now: in a recorded step shapes stay. Mask, do not select."
                )
            values[place] = value
        contexts.append(context)
    return contexts


def backward(lines, contexts, values, adjoints, leaves=()):
    """Run the lines last to first: completes the adjoints, of which that of the last is given.

    `leaves`, {place: leaf}, are asked for arrays to spare.
    """
    for line, context in zip(reversed(lines), reversed(contexts)):
        op, inputs, _, outputs, wanted, _ = line
        goutputs = tuple(map(adjoints.get, outputs)) if wanted else (None,)
        if goutputs[0] is None and all([g is None for g in goutputs]):
            continue
        if len(goutputs) > 1:  # one that nobody uses has an adjoint of zeros
            zeros = [np.zeros_like(values[place]) for place in outputs]
            goutputs = [zero if g is None else g for g, zero in zip(goutputs, zeros)]
        if False in wanted:
            context["wanted"] = wanted
        if op.reuses:
            context["spare"] = [core.spare(leaves[p]) if p in leaves else None for p in inputs]
        shares = op.backward(context, *goutputs)
        if type(shares) is not tuple or len(shares) != len(inputs):
            shares = promises.one_share_each(line, shares)
        for position, place in enumerate(inputs):
            if wanted[position]:
                share, value = shares[position], values[place]
                if type(share) is not np.float64 or type(value) is not np.float64:
                    share = _fit(line, position, share, value, goutputs)
                before = adjoints.get(place)
                adjoints[place] = share if before is None else before + share


def _fit(line, position, share, value, goutputs):
    """A share as its input needs it: summed where it was repeated, in its own dtype."""
    if getattr(share, "dtype", None) is not value.dtype or share.shape != value.shape:
        share = promises.share_fits(line, position, share, value, goutputs)
        share = core.undo_broadcasting(share.astype(value.dtype, copy=False), value.shape)
    return share


# Registers, and what is noted about them.

METADATA = {np.shape, np.ndim, np.size}  # of a register these are known
_value = TensorNode.value.__get__  # past a register's own `value`, which refuses
_refuse = promises.refuse(
    "a register stands for a number that may be another in every run: read, copied or branched "
    "on now, it would go stale. Choose with np.where(mask, x, y), look at numbers after the run, "
    "leave backward, zero_grad, mg.grad to the caller. In a Machine, your op is f.relu(x)."
)


class Register(NDArrayOperatorsMixin, TensorNode):
    """The place of a value, with the operators, functions and methods of nodes and of arrays.

    `source` is told what is done with it.
    """

    __slots__ = ()

    def __init__(self, value, source, slot):
        TensorNode.value.__set__(self, value)
        self.source, self.slot, self._grad, self._spares = source, slot, None, ()

    value = grad = property(_refuse)
    backward = zero_grad = __index__ = __int__ = __float__ = __array__ = _refuse
    shape = property(lambda self: np.shape(_value(self)))
    ndim = property(lambda self: np.ndim(_value(self)))
    size = property(lambda self: np.size(_value(self)))
    dtype = property(lambda self: np.asarray(_value(self)).dtype)
    __hash__ = object.__hash__
    __len__ = lambda self: len(_value(self))
    __getitem__ = lambda self, index: _note(np.ndarray.__getitem__, self, index)
    __repr__ = lambda self: f"register {self.slot!r}"

    def __bool__(self):
        asking = sys._getframe(1).f_globals.get("__name__", "")
        if not asking.startswith("minigrad.") or not isinstance(self.source, Program):
            _refuse(self)
        answer = bool(_value(self))  # minigrad asks whether an argument is in order
        _note(_expect, self, answer)
        return answer

    def __getattr__(self, name):
        method = None if name.startswith("__") else getattr(np.ndarray, name, None)
        if not callable(method):
            raise AttributeError(f"a register has no attribute {name!r}")
        return lambda *args, **kwargs: _note(method, self, *args, **kwargs)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        promises.plain_call(ufunc, method, options)
        return _note(ufunc, *inputs)

    def __array_function__(self, function, types, args, kwargs):
        return _note(function, *args, **kwargs)


def _note(function, *args, **kwargs):
    """What NumPy is asked to do with registers is noted as an op."""
    nodes, noting = _nodes((args, kwargs)), core._recording.get()
    if not callable(noting):  # nothing is being recorded, or not here: within no_grad, say
        owner = next(node.source for node in nodes if isinstance(node, Register))
        noting = getattr(owner, "told", None) or _refuse(owner)
    if function in METADATA:
        return function(*_replaced(args, _value))
    if noting.__self__.is_plain(function, nodes):
        nested = any([_nodes(x) for x in args if not isinstance(x, TensorNode)])
        inputs, args = ((), args) if nested else (args, ())
        return noting(Call, inputs, {"function": function, "args": args, "kwargs": kwargs})
    rule = RULES.get("index" if function is np.ndarray.__getitem__ else function)
    rule = ops.Where.do_forward if function is np.where else rule or promises.no_rule(function)
    with setting(core._recording, noting):
        return rule(*args, **kwargs)


def _replaced(value, new, kind=TensorNode):
    """Tuples, lists and dicts, with new(x) for every x of a kind."""
    if isinstance(value, kind):
        return new(value)
    if isinstance(value, tuple | list):
        return type(value)([_replaced(part, new, kind) for part in value])
    if isinstance(value, dict):
        return {key: _replaced(part, new, kind) for key, part in value.items()}
    return value


def _nodes(value):
    found = []
    _replaced(value, found.append)
    return found


# Define, then run.


class Machine:
    """Registers by name, and ops by name: f.matmul, f.sigmoid, all those of `minigrad.ops`.

    Ops of your own are handed over, Machine(ReLU), and then are f.relu. `functions` and
    `derivatives` are the two tables, name -> forward and name -> backward.
    """

    def __init__(self, *own):
        every = [v for v in vars(ops).values() if isinstance(v, type) and issubclass(v, Op)]
        known = {op.__name__.lower(): op for op in (*every, *own)}
        vars(self).update(ops=known, registers={}, made={}, defaults={}, parameters=[])

    functions = property(lambda self: {name: op.forward for name, op in self.ops.items()})
    derivatives = property(lambda self: {name: op.backward for name, op in self.ops.items()})

    def input(self, name, default=None):
        """Declare a register that `eval` will be handed a value for, or takes the default."""
        register = self._named(Register(None, self, name), name)
        if default is not None:
            self.defaults[name] = promises.as_array(default)[()]
        return register

    def param(self, name, default=None):
        """Declare a register that is to be learned: an input, listed in `parameters`."""
        self.parameters.append(name)
        return self.input(name, default)

    def _named(self, register, name):
        if name in self.registers or name in self.ops:
            raise ValueError(f"{name!r} is the name of another register, or of an op")
        self.registers.pop(register.slot, None)
        self.registers[name], register.slot = register, name
        return register

    def __setattr__(self, name, register):
        if not isinstance(register, Register) or register not in self.made:
            raise TypeError(f"f.{name} = {register!r}: expected an expression of registers")
        self._named(register, name)

    def __getattr__(self, name):
        if name in self.registers:
            return self.registers[name]
        op = self.ops[_known(name, self.ops, "op or register", self.registers)]
        return lambda *inputs, **constants: self.told(op, inputs, constants)

    is_plain = staticmethod(lambda function, nodes: False)

    def told(self, op, inputs, constants):
        """A new register, for what the op will make of the inputs."""
        inputs = [
            self.input(f"c{len(self.registers) + 1}", x) if isinstance(x, np.ndarray | list) else x
            for x in inputs
        ]
        register = self._named(Register(None, self, None), f"z{len(self.made) + 1}")
        self.made[register] = self.ops.setdefault(op.__name__.lower(), op), inputs, constants
        return register

    def operation_sequence(self, register):
        """The Wengert list of a register: tuples (name, name of the op, [names of its inputs])."""
        needed, stack = set(), [register]
        while stack:
            needed.add(here := stack.pop())
            stack.extend([x for x in _nodes(self.made.get(here, ())) if x not in needed])
        return [
            (here.slot, op.__name__.lower(), [getattr(x, "slot", x) for x in inputs])
            for here, (op, inputs, _) in self.made.items()
            if here in needed
        ]

    def input_dict(self, **overrides):
        """The values of all registers that have a default, some of them overridden."""
        for name in overrides:
            _known(name, self.registers, "register")
        given = {name: promises.as_array(value)[()] for name, value in overrides.items()}
        return self.defaults | given

    def eval(self, sequence, values=()):
        """The values of all registers; `values`, {name: value}, override the defaults."""
        table = self.input_dict(**dict(values))
        forward(self._lines(sequence, table), table)
        return {name: value for name, value in table.items() if isinstance(name, str)}

    def bprop(self, sequence, values, loss=1.0):
        """The adjoints of all registers, {name: adjoint}, given that of the last in the sequence.

        `values` is what `eval` gave. The forward is run again: ops are pure, so it keeps the same.
        """
        last, made = sequence[-1][0], {name for name, *_ in sequence}
        table = {name: value for name, value in values.items() if name not in made}
        lines = self._lines(sequence, table)
        contexts = forward(lines, table)
        adjoints = {last: promises.seed(table[last], loss)}
        backward(lines, contexts, table, adjoints)
        return adjoints

    def _lines(self, sequence, table):
        """The sequence as lines over a table of values; refuses what cannot run in this order."""
        lines, ready, all_names = [], set(table), {name for name, *_ in sequence}
        for name, op, inputs in sequence:
            what = f"{name} = {op}({', '.join(map(str, inputs))})"
            register = self.registers[_known(name, self.registers, "register")]
            if name in ready:
                raise ValueError(f"{what}: {name!r} has a value already; a register is set once")
            for x in inputs:
                if not isinstance(x, str):
                    table[x] = x  # a number stands for itself
                elif x not in ready and x in all_names:
                    raise ValueError(
                        f"{what}: {x!r} is computed only later. List it first; or, if it needs "
                        f"{name!r} in turn, this is a cycle, and neither has a value."
                    )
                elif _known(x, self.registers, "register") not in ready:
                    raise ValueError(f"{what}: {x!r} has no value; none was given, nor a default")
            ready.add(name)
            floats = [np.asarray(table.get(x, 0.0)).dtype.kind == "f" for x in inputs]
            wanted = tuple([isinstance(x, str) and y for x, y in zip(inputs, floats)])
            constants = self.made[register][2] if register in self.made else {}
            op = self.ops[_known(op, self.ops, "op")]
            lines.append(Line(op, tuple(inputs), constants, (name,), wanted))
        return lines


def _known(name, names, what, more=()):
    """The name, if there is one like it; else the error says which are near."""
    if name in names:
        return name
    near = difflib.get_close_matches(str(name), [*names, *more], cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else f": {', '.join([*names, *more])}"
    raise AttributeError(f"no {what} {name!r}{hint}")


# Run once, then run the list.


class Call(Op):
    """A plain function of registers that nothing flows back through: a comparison, an argmax."""

    @staticmethod
    def forward(context, *inputs, function, args, kwargs):
        value = function(*inputs, *args, **kwargs)
        return np.asarray(value)[()] if type(value) in (bool, int, float) else value


def _expect(value, answer):
    if bool(value) is not answer:
        raise Otherwise
    return answer


class Otherwise(Exception):
    """A check that minigrad makes has another answer than when the step was recorded."""


class Program:
    """A recorded step: lines over a table of values, of which the first are the arguments.

    `leaves`, {place: leaf}, are read anew in every run.
    """

    def __init__(self, step, arguments, known_leaves=()):
        self.lines, self.table, self.shapes, self.leaves = [], [], {}, {}
        self.active, self.places = set(), {}
        registers = [self._register(argument) for argument in arguments]
        leaves = [leaf for leaf in known_leaves if type(leaf) is TensorNode]
        with setting(core._recording, self.note):
            try:
                for leaf in leaves:  # now `leaf.value` is refused, too
                    leaf.__class__ = Register
                loss = step(*registers)
            finally:
                for leaf in leaves:
                    leaf.__class__ = TensorNode
        self.loss = self._place(loss)
        if self.loss not in self.active:
            raise TypeError(
                f"compile: the step returned {loss!r}; expected a node computed from parameters, "
                "the loss (is a return missing?)"
            )
        self.value = _value(loss)
        self.seed = np.ones_like(self.value)[()]

    def _register(self, value):
        self.table.append(None)
        return Register(value, self, Place(len(self.table) - 1))

    def _place(self, value):
        """Where a value stands: a register, a leaf, or a constant, which is entered now."""
        is_node = isinstance(value, TensorNode)
        if is_node and value.source is self:
            return value.slot
        if is_node and value.source is not None:
            raise TypeError(
                "compile: the step uses a node that was computed outside of it and would go stale. "
                "Compute it within the step, or hand in its value as an argument."
            )
        if is_node and id(value) in self.places:
            return self.places[id(value)]
        place = Place(len(self.table))
        self.table.append(None if is_node else core._raw(value))
        if is_node:
            self.places[id(value)], self.leaves[place] = place, value
            self.active.add(place)
        return place

    def is_plain(self, function, nodes):
        """Whether nothing flows back: the function is made of steps, or all are arguments."""
        steps = function in promises.PIECEWISE_CONSTANT or function is _expect
        return steps or self.active.isdisjoint(map(self._place, nodes))

    def note(self, op, inputs, constants):
        """Run the op, add a line, and return what it made as registers."""
        number = lambda x: _value(x) if isinstance(x, TensorNode) else core._raw(x)
        with setting(core._recording, True):
            if not _nodes((inputs, constants)):
                return op.do_forward(*inputs, **constants)
            made = op.forward({}, *map(number, inputs), **_replaced(constants, number))
        values = made if isinstance(made, tuple) else (made,)
        if op is not Call:
            values = [promises.output_value(op, value) for value in values]
        elif not isinstance(made, np.ndarray | np.generic):
            raise TypeError(
                f"compile: a function of an argument gave {type(made).__name__}, and only arrays "
                "and numbers are recorded. Compute it before, and hand it in as an argument."
            )
        places = tuple([self._place(x) for x in inputs])
        wanted = tuple([place in self.active for place in places])
        registers = tuple([self._register(value) for value in values])
        outputs = tuple([register.slot for register in registers])
        self.shapes |= {register.slot: register.shape for register in registers}
        if op is Call or not any(wanted):
            wanted = ()
        else:
            self.active.update(outputs)
        holes, constants = bool(_nodes(constants)), _replaced(constants, self._place)
        self.lines.append(Line(op, places, constants, outputs, wanted, holes))
        return registers if isinstance(made, tuple) else registers[0]

    def run(self, arguments):
        """The loss, and {leaf: its adjoint}, an array of its own."""
        values = self.table.copy()
        values[: len(arguments)] = arguments
        for place, leaf in self.leaves.items():
            values[place] = leaf.value
        contexts, adjoints = forward(self.lines, values, self.shapes), {self.loss: self.seed}
        backward(self.lines, contexts, values, adjoints, self.leaves)
        taken, gradients = {id(value) for value in values}, {}
        for place, leaf in self.leaves.items():
            if (g := adjoints.get(place)) is not None:
                lent = isinstance(g, np.ndarray) and (g.base is not None or id(g) in taken)
                gradients[leaf] = g.copy() if lent else g
                taken.add(id(g))
        loss = values[self.loss]
        return loss.copy() if isinstance(loss, np.ndarray) else loss, gradients

    def differs(self, other):
        """The name of the first op that is not the same in another recording; None if all are."""
        pairs = zip_longest(self.prints(), other.prints())
        return next(((one or two)[0] for one, two in pairs if one != two), None)

    def prints(self):
        """What identifies each line, and the place of the result."""
        prints = lambda array: (array.shape, array.dtype, array.tobytes())
        for op, inputs, constants, *_ in self.lines:
            seen = inputs, constants, [self.table[place] for place in inputs]
            yield op.__name__, _replaced(seen, prints, np.ndarray)
        yield "the result", self.loss


class compile:
    """`step`, recorded at the first call and replayed from then on.

    `step(*arguments)`, of arrays and Python numbers, returns a node, the loss. A call returns its
    value and adds to the gradients of the parameters, the leaves that the step uses, as `backward`
    does. Their values are read anew in every call. The first call runs the step three times, to
    find the parameters, to record, and to see whether another recording is the same. Other numbers
    and arrays that the step uses are taken to stay what they were; within `mg.strict()` every call
    records again, and refuses where they did not.

    Raises TypeError for a step that cannot be recorded, ValueError where a shape or dtype changes,
    or recordings differ. Then the gradients are as before.
    """

    def __init__(self, step):
        self.step, self.program, self.kinds = step, None, None

    def __call__(self, *arguments):
        arguments = [_argument(*item) for item in enumerate(arguments)]
        program = self.program
        if program is None:  # the first look finds the leaves, the second watches them, too
            leaves = Program(self.step, arguments).leaves.values()
            program = Program(self.step, arguments, leaves)
        kinds = [_kind(x) for x in (*arguments, *[leaf.value for leaf in program.leaves.values()])]
        if self.program and kinds != self.kinds:
            was, now = next((a, b) for a, b in zip_longest(self.kinds, kinds) if a != b)
            raise ValueError(
                f"compile: recorded with {was}, called with {now}; a recorded step has one shape "
                "and dtype for each argument and parameter. Compile it again for others."
            )
        try:
            loss, gradients = program.run(arguments)
        except Otherwise:
            self.step(*arguments)  # which says what is not in order
            raise
        if self.program is None or "strict" in core._modes.get():
            again = Program(self.step, arguments, program.leaves.values())
            same = np.allclose(loss, again.value, equal_nan=True)
            if what := program.differs(again) or (None if same else "its result"):
                raise ValueError(
                    f"compile: recorded again, the step is not the same: {what} differs. What is "
                    "drawn at random, or changes between calls, must come in as an argument."
                )
        self.program, self.kinds = program, kinds
        sums = {leaf: g if leaf._grad is None else leaf._grad + g for leaf, g in gradients.items()}
        for leaf, gradient in sums.items():
            leaf._grad = gradient
        return loss


def _argument(position, value):
    """An array as it is, a number as Python's."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, np.number):
        return value.item()
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(
            f"compile: argument {position} is {value!r}; expected an array or a number. Parameters "
            "and what is the same in all calls are closed over."
        )
    return value


def _kind(value):
    return (value.shape, value.dtype) if hasattr(value, "dtype") else type(value)
