"""Why is a gradient wrong?  The catalogue of mistakes that `gradcheck` goes through.

A wrong gradient is repaired: turn its sign, transpose it, sum it. If that does not help, its
backward is repaired. Run on nodes, a backward is a Wengert list like any other computation: so
change one op of that list (another axis, a transposed operand, y in the place of x, one factor
more) and run the list again. A repair that makes the gradient right, at two points and for two
cotangents, *is* the explanation. `explanations` tries them in order, specific ones first.

A mistake has a name and, where the name does not say it all, a detail; `display` has the sentences.
"""

# ruff: noqa: B023  a test is run before the next is asked for, while its loop variables stand still

from contextlib import suppress

import numpy as np

from minigrad import display, ops
from minigrad.core import TensorNode, _raw, undo_broadcasting, wengert_list
from minigrad.promises import as_tuple

_again = lambda record, inputs: record.op.forward({}, *inputs, **record.constants)


class Mistake(Exception):
    """Something is wrong: its name, where it shows, and the facts that its sentence needs."""

    def __init__(self, mistake, input=None, entry=None, **facts):
        self.mistake, self.input, self.entry, self.facts = mistake, input, entry, facts


def diagnose(trial, i, rng, **facts):
    """What is wrong with the gradient of input i: a Mistake, without a name where nothing fits."""
    trials = [trial]
    with suppress(Mistake):  # that point may be outside the domain
        other = trial.at(trial.nearby(rng), rng.standard_normal)
        trials += [other] * bool(np.all(np.isfinite(other.slopes[i])))
    for tries in zip(*(explanations(t, i) for t in trials), strict=False):
        (name, detail), *others = {one[:2] for one in tries}
        if not others and all(_holds(t, i, test) for t, (*_, test) in zip(trials, tries)):
            return Mistake(name, i, detail=detail, **facts)
    return Mistake(None, i, **facts)


def _holds(trial, i, test):
    with suppress(Exception):  # a repair that shapes forbid
        return (found := test()) is True or trial.agrees(i, found)


def explanations(t, i):
    """Yields (name, detail, test). A test returns a repaired gradient, or True or False.

    It is run before the next one is asked for, so it may use the variables of the loop around it.
    """
    g, share, x, slopes = t.got[i], np.asarray(t.shares[i]), np.asarray(t.xs[i]), t.slopes[i]
    wrong = t.wrong(i, g) if g.shape == x.shape else np.ones(x.shape, bool)
    times = lambda factor: t.settled(i, t.forward(t.xs)[1]([factor * w for w in t.gs])[i])
    yield "nan", "", lambda: not np.all(np.isfinite(g))
    yield "zero-everywhere", "", lambda: not np.any(g)
    yield "ignores-the-incoming-gradient", "", lambda: np.array_equal(times(-2.0), g)
    for j in t.floats:
        yield "wrong-order", f"{j}", lambda: j != i and not t.agrees(j) and t.agrees(i, t.shares[j])
    yield "sign", "", lambda: -g
    yield "transposed", "", lambda: np.matrix_transpose(share)
    yield "reshape", f"{x.shape}", lambda: np.reshape(g, x.shape)
    yield "missing-sum", display.REPEATED, lambda: undo_broadcasting(g, x.shape)
    yield "not-linear", "", lambda: not np.allclose(2.0 * g, times(2.0))
    if g.shape == x.shape:
        factor = np.sum(g * slopes) / np.sum(slopes * slopes)
        yield "constant-factor", f"{factor:.4g}", lambda: g / factor
        yield "misplaced", "", lambda: np.allclose(np.sort(g, None), np.sort(slopes, None), 1e-5)
        one_side = wrong.sum() > 1 and any(np.all(wrong == side) for side in (x < 0, x > 0))
        never = lambda: not (g[wrong].any() or times(-1.0)[wrong].any())
        yield "forgotten-entries", "", lambda: never() and not one_side
    nodes = [TensorNode(x) if k in t.floats else x for k, x in enumerate(t.xs)]
    for xs in (nodes, t.xs) if t.is_op else ():
        with suppress(Exception):  # not written with functions that nodes know
            yield from Recording(t, i, xs).explanations()
    yield "not-linear", "", lambda: not np.allclose(-g, times(-1.0))
    yield "float32-noise", "", lambda: any(np.asarray(y).dtype != float for y in t.ys)
    yield "only-right-for-ones", "", lambda: t.at(t.xs).agrees(i)
    for sign, where in (("negative", x < 0), ("positive", x > 0)):
        if np.all(where[wrong]) and 2 * wrong.sum() > where.sum():
            yield f"wrong-where-{sign}", "", lambda: not np.all(where)
    yield "shape", "", lambda: g.shape != x.shape


class Recording(display.Names):
    """The backward of an op as a list: the `steps` that lead to the gradient of input i.

    `xs` are nodes, so that all steps are recorded, or arrays, for a forward that can't take nodes:
    then the list holds the steps that the incoming gradient goes through.

    `nodes`, `values`   {name: the node, or its value} of all that the backward had to work with
    `names`             {id(node): its name}
    """

    def __init__(self, t, i, xs):
        gs, context = [TensorNode(g) for g in t.gs], {}
        ys = t.op.forward(context, *xs, **t.constants)
        before = wengert_list(*[n for n in (ys, *context.values()) if isinstance(n, TensorNode)])
        # 1 * gradient: an op to change, even where the backward has none of its own
        self.result = 1.0 * as_tuple(t.op.backward(context, *gs), (tuple, list))[i]
        self.steps = [record for record in wengert_list(self.result) if record not in before]
        named = {f"context[{key!r}]": value for key, value in context.items()}
        named |= {f"the output{k or ''}": y for k, y in enumerate(as_tuple(ys))}
        named |= {f"input {k}": xs[k] for k in t.floats} | {"the incoming gradient": gs[0]}
        self.nodes = {n: v for n, v in named.items() if hasattr(v, "ndim")}
        self.values = {name: np.asarray(_raw(node)) for name, node in self.nodes.items()}
        self.names = {id(value): name for name, value in reversed(self.nodes.items())}
        self.names[id(self.result)] = self.name(self.result.source.inputs[1])

    def replay(self, node, value):
        """The gradient, if this value stood in the place of this node's."""
        made = {id(node): value}
        for record in self.steps:
            if any(id(a) in made for a in record.inputs):
                outputs = _again(record, [made.get(id(a), _raw(a)) for a in record.inputs])
                made |= zip(map(id, record.outputs), as_tuple(outputs), strict=True)
        return made[id(self.result)]

    def explanations(self):
        """Change one op of the list; or put one value in the place of another."""
        for change in (_rewritten, _sums, _factor):
            for record in reversed(self.steps):
                for name, what, value in change(record, self):
                    where = f"in {self.name(record.outputs[0])}, {what}, and it is right"
                    yield name, where, lambda: self.replay(record.outputs[0], value())
        y = self.values["the output"]
        for old, node in self.nodes.items():
            for new, value in self.values.items():
                name = "input-for-output" if np.array_equal(value, y) else "wrong-operand"
                name = "output-for-input" if np.array_equal(_raw(node), y) else name
                what = f"put {new} in the place of {old}, and it is right"
                yield name, what, lambda: self.replay(node, value)


# One op of the list is changed. Each function yields (name of the mistake, what to do about it,
# a function that computes what the op should have given).


def _operand(record, k, change):
    """What an op gives when operand k is changed first; or the operand, if there is but one."""
    a = [*map(_raw, record.inputs)]
    a[k] = change(a[k])
    return _again(record, a) if len(a) > 1 else a[0]


_not = lambda mask: np.where((mask == 0) | (mask == 1), 1.0 - mask, np.nan)

# (the ops, the operand, the name of the mistake, what to do about the operand, how). Of an op of
# one operand, the last is the function that belongs in its place; np.positive is +a, a itself.
REWRITES = [
    ({ops.Add}, (1, 0), "sign-of-a-term", "subtract {}", np.negative),
    ({ops.Subtract}, (1,), "sign-of-a-term", "add {}", np.negative),
    ({ops.Add, ops.Subtract}, (1, 0), "extra-term", "leave out {}", np.zeros_like),
    ({ops.Negate}, (0,), "sign-of-a-term", "leave out the minus", np.positive),
    ({ops.Sin}, (0,), "wrong-function", "use cos", np.cos),
    ({ops.Cos}, (0,), "wrong-function", "use sin", np.sin),
    ({ops.Log, ops.Exp}, (0,), "wrong-function", "use {} itself", np.positive),
    ({ops.MatMul}, (1, 0), "transposed-operand", "transpose {}", np.matrix_transpose),
    ({ops.Sum}, (0,), "extra-sum", "leave out the sum", np.positive),
    ({ops.Where}, (0,), "wrong-side", "exchange the two sides", _not),
    ({ops.Multiply}, (0, 1), "wrong-side", "take the entries where {} is 0", _not),
    ({ops.Multiply}, (1, 0), "wrong-function", "divide by {}", np.reciprocal),
    ({ops.Divide}, (1,), "wrong-function", "multiply by {}", np.reciprocal),
    ({ops.Multiply, ops.Divide}, (1, 0), "extra-factor", "leave out {}", np.ones_like),
]


def _rewritten(record, recording):
    """One operand changed, or another function of it."""
    for known, operands, name, what, change in REWRITES:
        for k in operands if record.op in known else ():
            operand = recording.name(record.inputs[k])
            yield name, what.format(operand), lambda: _operand(record, k, change)


def _sums(record, recording):
    """A sum over the wrong axis, or none where one belongs; a factor on the wrong side of one."""
    x, y, sums = record.inputs[0], _raw(record.outputs[0]), (ops.Sum, ops.Mean)
    for axis in (None, *range(x.ndim)) if record.op in (*sums, ops.Max) else ():
        along = lambda: record.op.forward({}, _raw(x), **record.constants | {"axis": axis})
        yield "wrong-axis", f"use axis {axis}", along
    if record.op is ops.Max:
        yield "wrong-function", "use the sum", lambda: np.sum(_raw(x), **record.constants)
    for axis in range(y.ndim):
        summed = lambda: np.sum(y, axis=axis, keepdims=True)
        yield "missing-sum", f"sum over axis {axis} (with keepdims=True)", summed
    for k, operand in enumerate(record.inputs):
        inner = getattr(operand, "source", None)
        if record.op is ops.Multiply and inner and inner.op in sums:
            factor = record.inputs[1 - k]
            inside = lambda: _again(inner, [_raw(inner.inputs[0]) * _raw(factor)])
            yield "index-swap", f"{recording.name(factor)} belongs inside the sum", inside
        if record.op in sums and inner and inner.op is ops.Multiply:
            for a, b in (inner.inputs, inner.inputs[::-1]):
                outside = lambda: _again(record, [_raw(b)]) * _raw(a)
                yield "index-swap", f"{recording.name(a)} belongs outside the sum", outside


def _factor(record, recording):
    """A factor too few, or one too many: of the result, or of one of two terms."""
    y, factors = _raw(record.outputs[0]), []
    for name, p in recording.values.items():
        factors += [(name, p), (f"{name}²", p * p), (f"(1 - {name})", 1 - p)]
        factors += [(f"(1 + {name})", 1 + p), (f"(1 - {name}²)", 1 - p * p)]
        factors += [(f"ln {name}", np.log(p)), (f"exp {name}", np.exp(p))]
        axes = range(p.ndim if record.outputs[0] is recording.result else 0)
        factors += [(f"the sum of {name} over axis {k}", p.sum(k, keepdims=True)) for k in axes]
    for name, q in factors:
        yield "missing-factor", f"multiply by {name}", lambda: y * q
        yield "missing-factor", f"divide by {name}", lambda: y / q
        for k, term in enumerate(record.inputs if record.op in (ops.Add, ops.Subtract) else ()):
            if getattr(term, "source", None) not in recording.steps:  # those have their own turn
                what = f"multiply {recording.name(term)} by {name}"
                yield "missing-factor", what, lambda: _operand(record, k, lambda a: a * q)
