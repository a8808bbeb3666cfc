"""Why is a gradient wrong?  The catalogue of mistakes that `gradcheck` goes through.

A wrong gradient is repaired: turn its sign, transpose it, sum it. If that does not help, its
backward is repaired. Run on nodes, a backward is a Wengert list like any other computation: so
change one op of that list (another axis, a transposed operand, y in the place of x, one factor
more) and run the list again. A repair that makes the gradient right, at two points and for two
cotangents, *is* the explanation. `explanations` tries them in order, specific ones first.

A mistake has a name and, where the name does not say it all, a detail; `display` has the sentences.
"""

import itertools
from functools import partial

import numpy as np

from minigrad import ops
from minigrad.core import TensorNode, undo_broadcasting, wengert_list
from minigrad.promises import broadcasts

REPEATED = "the input was repeated along an axis, so its gradient is the sum over that axis"


_raw = lambda value: getattr(value, "value", value)
_again = lambda record, inputs: record.op.forward({}, *inputs, **record.constants)


def as_tuple(x, kinds=tuple):
    """One result as several: (x,) where x is not yet a tuple."""
    return tuple(x) if isinstance(x, kinds) else (x,)


class Mistake(Exception):
    """Something is wrong: the name of the mistake, and the facts that its sentence needs."""

    def __init__(self, name, **facts):
        self.name, self.facts = name, facts


def diagnose(trial, i, rng):
    """The name of the mistake in the gradient of input i, and a detail; None where nothing fits."""
    trials = [trial]
    try:
        other = trial.at(trial.nearby(rng), rng)
        trials += [other] * bool(np.all(np.isfinite(other.slopes[i])))
    except Mistake:  # that point was outside the domain
        pass
    for tries in zip(*(explanations(t, i) for t in trials), strict=False):
        same = len({(name, detail) for name, detail, _ in tries}) == 1
        if same and all(_holds(t, i, test) for t, (_, _, test) in zip(trials, tries, strict=True)):
            return tries[0][:2]
    return None, ""


def _holds(trial, i, test):
    try:
        found = test()
    except Exception:  # a repair that shapes forbid
        return False
    return found if isinstance(found, bool) else trial.agrees(i, found)


def explanations(t, i):
    """Yields (name, detail, test). A test returns a repaired gradient, or True or False."""
    g, share, x, slopes = t.got[i], np.asarray(t.shares[i]), np.asarray(t.xs[i]), t.slopes[i]
    times = lambda factor: t.settled(i, t.forward(t.xs)[1]([factor * w for w in t.gs])[i])
    yield "nan", "", lambda: not np.all(np.isfinite(g))
    yield "zero-everywhere", "", lambda: not np.any(g)
    yield "ignores-the-incoming-gradient", "", lambda: np.array_equal(times(-2.0), g)
    for j in t.floats:
        if j != i and not t.agrees(j, t.got[j]):
            yield "wrong-order", f"{j}", lambda j=j: t.settled(i, t.shares[j])
    yield "sign", "", lambda: -g
    yield "transposed", "", lambda: t.settled(i, np.swapaxes(share, -1, -2))
    if broadcasts(x.shape, g.shape):
        yield "missing-sum", REPEATED, lambda: undo_broadcasting(g, x.shape)
    yield "reshape", f"{x.shape}", lambda: np.reshape(g, x.shape)
    yield "not-linear", "", lambda: not np.allclose(2.0 * g, times(2.0))
    if g.shape == x.shape:
        factor, wrong = np.sum(g * slopes) / np.sum(slopes * slopes), t.wrong(i, g)
        yield "constant-factor", f"{factor:.4g}", lambda: g / factor
        ranked = (np.sort(g, axis=None), np.sort(slopes, axis=None))
        yield "misplaced", "", lambda: np.allclose(*ranked, 1e-5, 1e-8)
        one_side = wrong.sum() > 1 and any(np.all(wrong == side) for side in (x < 0, x > 0))
        yield "forgotten-entries", "", lambda: not (g[wrong].any() or one_side)
    nodes = [TensorNode(x) if k in t.floats else x for k, x in enumerate(t.xs)]
    for xs in (nodes, t.xs) if t.is_op else ():
        yield from changed_lists(t, i, xs)
    yield "not-linear", "", lambda: not np.allclose(-g, times(-1.0))
    ones = t.at(t.xs)
    yield "only-right-for-ones", "", lambda: ones.agrees(i, ones.got[i])
    for sign, where in (("negative", x < 0), ("positive", x > 0)):
        if g.shape == x.shape and np.all(where[wrong]) and 2 * wrong.sum() > where.sum():
            yield f"wrong-where-{sign}", "", lambda where=where: not np.all(where)


def changed_lists(t, i, xs):
    """Explanations that change one op, or one value, in the Wengert list of the backward.

    `xs` are nodes, so that all steps are recorded, or arrays, for a forward that can't take nodes:
    then the list holds the steps that the incoming gradient goes through.
    """
    try:
        recording = Recording(t, i, xs)
    except Exception:  # not written with functions that nodes know
        return
    replay, values = recording.replay, recording.values
    for change in (_rewritten, _axis, _index, _factor):
        for record in reversed(recording.steps):
            for name, what, make in change(record, recording):
                where = recording.name(record.outputs[0])
                yield name, f"in {where}, {what}, and it is right", partial(replay, record, make)
    is_output = {n: np.array_equal(value, values["the output"]) for n, value in values.items()}
    for (old, node), (new, value) in itertools.product(recording.nodes.items(), values.items()):
        name = "input-for-output" if is_output[new] else "wrong-operand"
        name = "output-for-input" if is_output[old] else name
        put = partial(replay, known={id(node): value})
        yield name, f"put {new} in the place of {old}, and it is right", put


class Recording:
    """The backward of an op, run on nodes: the `steps` that lead to the gradient of input i.

    `nodes`, `values`   {name: the node, or its value} of all that the backward had to work with
    """

    def __init__(self, t, i, xs):
        gs, context = [TensorNode(g) for g in t.gs], {}
        ys = t.op.forward(context, *xs, **t.constants)
        before = wengert_list(*[n for n in (ys, *context.values()) if isinstance(n, TensorNode)])
        # 1 * gradient: an op to change, even where the backward has none of its own
        self.result = 1.0 * as_tuple(t.op.backward(context, *gs), tuple | list)[i]
        self.steps = [record for record in wengert_list(self.result) if record not in before]
        self.settled = lambda share: t.settled(i, share)
        named = {f"context[{key!r}]": value for key, value in context.items()}
        named |= {f"the output{k or ''}": y for k, y in enumerate(as_tuple(ys))}
        named |= {f"input {k}": xs[k] for k in t.floats}
        named["the incoming gradient"] = gs[0]
        self.nodes = {n: v for n, v in named.items() if hasattr(v, "ndim")}
        self.values = {name: np.asarray(_raw(node)) for name, node in self.nodes.items()}
        self.names = {id(value): name for name, value in reversed(self.nodes.items())}
        self.names[id(self.result)] = self.name(self.result.source.inputs[1])

    def replay(self, changed=None, make=None, known=()):
        """The gradient, if record `changed` gave make(*its inputs), or if values were others."""
        made = dict(known)
        for record in self.steps:
            inputs = [made.get(id(a), _raw(a)) for a in record.inputs]
            outputs = make(*inputs) if record is changed else _again(record, inputs)
            made |= {id(node): y for node, y in zip(record.outputs, as_tuple(outputs), strict=True)}
        return self.settled(made[id(self.result)])

    def name(self, value):
        """What a value is called: context['x'], or multiply(context['x'], ...)."""
        if id(value) in self.names:
            return self.names[id(value)]
        if getattr(value, "source", None) is None:
            return f"{value:.4g}" if np.ndim(value) == 0 else "an array"
        op, inputs = value.source.op, value.source.inputs
        return f"{op.__name__.lower()}({', '.join(map(self.name, inputs))})"


# One op of the list is changed. Each function yields (name of the mistake, what to do about it,
# what the op should compute from its operands instead).

_turned = lambda x: np.swapaxes(x, -1, -2)
_not = lambda mask: np.where((mask == 0) | (mask == 1), 1.0 - mask, np.nan)
_first, _second = lambda a, b: a + 0 * b, lambda a, b: b + 0 * a

# (the op, the name of the mistake, what to do, how). {0} and {1} are the names of the operands.
REWRITES = [
    (ops.Add, "sign-of-a-term", "subtract {1}", lambda a, b: a - b),
    (ops.Add, "sign-of-a-term", "subtract {0}", lambda a, b: b - a),
    (ops.Add, "extra-term", "leave out {1}", _first),
    (ops.Add, "extra-term", "leave out {0}", _second),
    (ops.Subtract, "sign-of-a-term", "add {1}", lambda a, b: a + b),
    (ops.Subtract, "extra-term", "leave out {1}", _first),
    (ops.Subtract, "extra-term", "leave out {0}", lambda a, b: 0 * a - b),
    (ops.Negate, "sign-of-a-term", "leave out the minus", lambda a: a),
    (ops.Sin, "wrong-function", "use cos", np.cos),
    (ops.Cos, "wrong-function", "use sin", np.sin),
    (ops.Log, "wrong-function", "use {0} itself", lambda a: a),
    (ops.Exp, "wrong-function", "use {0} itself", lambda a: a),
    (ops.MatMul, "transposed-operand", "transpose {1}", lambda a, b: a @ _turned(b)),
    (ops.MatMul, "transposed-operand", "transpose {0}", lambda a, b: _turned(a) @ b),
    (ops.Sum, "extra-sum", "leave out the sum", lambda a: a),
    (ops.Where, "wrong-side", "exchange the two sides", lambda m, a, b: np.where(m, b, a)),
    (ops.Multiply, "wrong-side", "take the entries where {0} is 0", lambda a, b: _not(a) * b),
    (ops.Multiply, "wrong-side", "take the entries where {1} is 0", lambda a, b: a * _not(b)),
    (ops.Multiply, "wrong-function", "divide by {1}", lambda a, b: a / b),
    (ops.Multiply, "wrong-function", "divide by {0}", lambda a, b: b / a),
    (ops.Multiply, "extra-factor", "leave out {1}", _first),
    (ops.Multiply, "extra-factor", "leave out {0}", _second),
    (ops.Divide, "wrong-function", "multiply by {1}", lambda a, b: a * b),
    (ops.Divide, "extra-factor", "leave out {1}", _first),
]


def _rewritten(record, recording):
    """Another function of the same operands."""
    for op, name, what, make in REWRITES:
        if op is record.op:
            yield name, what.format(*map(recording.name, record.inputs)), make


def _axis(record, recording):
    """A sum over the wrong axis, or none where one belongs."""
    if record.op in (ops.Sum, ops.Mean, ops.Max):
        for axis in (None, *range(record.inputs[0].ndim)):
            make = lambda x, a=axis: record.op.forward({}, x, **record.constants | {"axis": a})
            yield "wrong-axis", f"use axis {axis}", make
    if record.op is ops.Max:
        yield "wrong-function", "use the sum", lambda x: np.sum(x, **record.constants)
    for axis in range(record.outputs[0].ndim):
        make = lambda *a, axis=axis: np.sum(_again(record, a), axis=axis, keepdims=True)
        yield "missing-sum", f"sum over axis {axis} (with keepdims=True)", make


def _index(record, recording):
    """A factor outside a sum, under the result's index, that belongs inside; or the reverse."""
    sources = [getattr(a, "source", None) for a in record.inputs]
    for slot, source in enumerate(sources if record.op is ops.Multiply else ()):
        if source is not None and source.op in (ops.Sum, ops.Mean):
            terms, factor = source.inputs[0].value, recording.name(record.inputs[1 - slot])
            make = lambda *ab, s=source, t=terms, k=slot: _again(s, [t * ab[1 - k]])
            yield "index-swap", f"{factor} belongs inside the sum", make
    sums = record.op in (ops.Sum, ops.Mean)
    if sums and sources[0] is not None and sources[0].op is ops.Multiply:
        for slot, factor in enumerate(sources[0].inputs):
            a, b = _raw(factor), _raw(sources[0].inputs[1 - slot])
            make = lambda _, a=a, b=b: _again(record, [b]) * a
            yield "index-swap", f"{recording.name(factor)} belongs outside the sum", make


def _factor(record, recording):
    """A factor too few, or one too many: of the result, or of one of two terms."""
    factors = []
    for name, p in recording.values.items():
        factors += [(name, p), (f"{name}²", p * p), (f"(1 - {name})", 1 - p)]
        factors += [(f"(1 + {name})", 1 + p), (f"(1 - {name}²)", 1 - p * p)]
        factors += [(f"ln {name}", np.log(p)), (f"exp {name}", np.exp(p))]
        for axis in range(p.ndim if record.outputs[0] is recording.result else 0):
            total = np.sum(p, axis=axis, keepdims=True)
            factors.append((f"the sum of {name} over axis {axis}", total))
    for name, q in factors:
        yield "missing-factor", f"multiply by {name}", lambda *a, q=q: _again(record, a) * q
        yield "missing-factor", f"divide by {name}", lambda *a, q=q: _again(record, a) / q
        for slot, term in enumerate(record.inputs if record.op in (ops.Add, ops.Subtract) else ()):
            if getattr(term, "source", None) not in recording.steps:  # those have their own turn
                scaled = lambda *a, q=q, k=slot: _again(record, [*a[:k], a[k] * q, *a[k + 1 :]])
                yield "missing-factor", f"multiply {recording.name(term)} by {name}", scaled
