"""Why is a gradient wrong?  The catalogue of mistakes that `gradcheck` goes through.

A wrong gradient is repaired: turn its sign, transpose it, sum it. If that does not help, its
backward is repaired. Run on nodes, a backward is a Wengert list like any other computation: so
change one op of that list (another axis, a transposed operand, y in the place of x, one factor
more) and run the list again. A repair that makes the gradient right, at two points and for two
cotangents, *is* the explanation. `explanations` tries them in order, specific ones first.
"""

import itertools

import numpy as np

from minigrad.core import TensorNode, undo_broadcasting, wengert_list
from minigrad.ops import Add, Cos, Divide, MatMul, Max, Mean, Multiply, Negate, Sin, Subtract, Sum
from minigrad.promises import broadcasts

UNKNOWN = "No usual mistake fits. Work out this one entry by hand, and compare."


def diagnose(trial, i, rng):
    """The name of the mistake in the gradient of input i, or None, and a sentence about it."""
    trials = [trial]
    try:
        other = type(trial)(trial.function, trial.constants, trial.elsewhere(rng), rng)
        trials += [other] * bool(np.all(np.isfinite(other.slopes[i])))
    except Exception:  # that point was outside the domain
        pass
    for tries in zip(*(explanations(t, i) for t in trials), strict=False):
        name, sentence, _ = tries[0]
        same = all(other[:2] == (name, sentence) for other in tries)
        if same and all(_holds(t, i, test) for t, (_, _, test) in zip(trials, tries, strict=True)):
            return name, f"Likely cause: {sentence}."
    return None, UNKNOWN


def _holds(trial, i, test):
    try:
        found = test()
    except (ValueError, IndexError, TypeError, AttributeError):  # a repair that shapes forbid
        return False
    return found if isinstance(found, bool) else trial.agrees(i, found)


def explanations(t, i):
    """Yields (name, sentence, test). A test returns a repaired gradient, or True or False."""
    g, x, slopes = t.got[i], np.asarray(t.xs[i]), t.slopes[i]
    twice = lambda: t.gradients(t.xs, [2.0 * w for w in t.gs])[i]
    yield (
        "nan",
        "there is a NaN or an infinity. Look for a division by zero, 0/0, log 0",
        lambda: not np.all(np.isfinite(g)),
    )
    yield "zero-everywhere", "it is zero everywhere: this input is forgotten", lambda: not np.any(g)
    yield (
        "ignores-the-incoming-gradient",
        "it stays the same when the incoming gradient is doubled. The chain rule: incoming "
        "gradient times local derivative",
        lambda: np.array_equal(twice(), g),
    )
    for j in t.floats:
        if j != i and not t.agrees(j, t.got[j]):
            sentence = f"wrong order: what is returned for input {j} is the gradient of input {i}"
            yield "wrong-order", sentence, lambda j=j: t.got[j]
    yield "sign", "the sign is wrong: times -1 it is right", lambda: -g
    if x.shape != g.shape and broadcasts(x.shape, g.shape):
        yield (
            "missing-sum",
            "the input was repeated along an axis, so its gradient is the sum over that axis",
            lambda: undo_broadcasting(g, x.shape),
        )
    yield "transposed", "it is the transpose of the right one", lambda: np.swapaxes(g, -1, -2)
    if g.shape != x.shape:
        sentence = f"the numbers are right. Reshape them to {x.shape}"
        yield "reshape", sentence, lambda: np.reshape(g, x.shape)
    else:
        factor = np.sum(g * slopes) / np.sum(slopes * slopes)
        sentence = f"a constant factor: it is {factor:.4g} times the right one"
        yield "constant-factor", sentence, lambda: g / factor
    yield (
        "not-linear",
        "a gradient doubles with the incoming gradient: each term holds it once",
        lambda: not np.allclose(2.0 * g, twice()),
    )
    if t.is_op:
        yield from _changed_lists(t, i)
    ones = type(t)(t.function, t.constants, t.xs, None, ones=True)
    yield (
        "only-right-for-ones",
        "it is right only where the incoming gradient is all ones. Ask of one entry of the "
        "incoming gradient at a time: which entries of the input does it reach",
        lambda: ones.agrees(i, ones.got[i]),
    )
    wrong = t.wrong(i, g) if g.shape == x.shape else np.ones(x.shape, bool)
    for name, where in (("negative", x < 0), ("positive", x > 0)):
        sentence = f"it is wrong only where the input is {name}"
        all_there = np.all(where[wrong]) and not np.all(where) and 2 * wrong.sum() > where.sum()
        yield f"wrong-where-{name}", sentence, lambda all_there=bool(all_there): all_there


def _changed_lists(t, i):
    """Explanations that change one op, or one value, in the Wengert list of the backward."""
    recording = _record(t, i)
    if recording is None:
        return
    result, named, steps, describe = recording
    values = {name: np.asarray(getattr(value, "value", value)) for name, value in named}

    def replay(changed=None, make=None, known=()):
        """The gradient, if record `changed` gave make(*its inputs), or if values were others."""
        made = dict(known)
        for record in steps:
            inputs = [made.get(id(a), getattr(a, "value", a)) for a in record.inputs]
            if record is changed:
                outputs = make(*inputs)
            else:
                outputs = _again(record, inputs)
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            made |= {id(node): y for node, y in zip(record.outputs, outputs, strict=True)}
        return t.settled(i, made[id(result)], [np.shape(y) for y in t.ys])

    for change in CHANGES:
        for record in reversed(steps):
            operands = [(describe(a), np.asarray(getattr(a, "value", a))) for a in record.inputs]
            here = describe(record.outputs[0])
            for name, sentence, make in change(record, operands, values, describe):
                make_it = lambda record=record, make=make: replay(record, make)
                yield name, f"in {here}, {sentence}, and it is right", make_it
    for (old, node), (new, value) in itertools.product(named, values.items()):
        if value.shape == values[old].shape and not np.array_equal(value, values[old]):
            name = "wrong-operand"
            if np.array_equal(values[old], values["the output"]):
                name = "output-for-input"
            elif np.array_equal(value, values["the output"]):
                name = "input-for-output"
            make_it = lambda node=node, value=value: replay(known={id(node): value})
            yield name, f"put {new} in the place of {old}, and it is right", make_it


def _record(t, i):
    """Run backward on nodes: the gradient of input i, the named values, the list, and its names."""
    nodes = [TensorNode(x) if k in t.floats else x for k, x in enumerate(t.xs)]
    seeds, context = [TensorNode(g) for g in t.gs], {}
    try:
        y = t.function.forward(context, *nodes, **t.constants)
        before = wengert_list(*[n for n in (y, *context.values()) if isinstance(n, TensorNode)])
        shares = t.function.backward(context, *seeds)
        # 1 * gradient: an op to change, even where the backward has none of its own
        result = 1.0 * (shares if isinstance(shares, tuple) else (shares,))[i]
        steps = [record for record in wengert_list(result) if record not in before]
    except Exception:  # not written with functions that nodes know
        return None
    outputs = y if isinstance(y, tuple) else (y,)
    named = [(f"context[{key!r}]", value) for key, value in context.items()]
    named = [(n, v) for n, v in named if isinstance(v, TensorNode | np.ndarray)]
    named += [(f"the output{k or ''}", y) for k, y in enumerate(outputs)]
    named += [(f"input {k}", nodes[k]) for k in t.floats]
    named += [("the incoming gradient", seed) for seed in seeds]
    names = {id(value): name for name, value in reversed(named)}

    def describe(value):
        source = getattr(value, "source", None)
        if id(value) in names or source is None:
            return names.get(id(value)) or (f"{value:.4g}" if np.ndim(value) == 0 else "an array")
        if value is result:
            return describe(source.inputs[1])
        return f"{source.op.__name__.lower()}({', '.join(map(describe, source.inputs))})"

    return result, named, steps, describe


# One kind of change each: from a record, its operands as (name, value) and the named values, yields
# (name of the mistake, what to do about it, what the op should compute from its operands instead).


def _term(record, operands, values, describe):
    """A term with the wrong sign, a sine for a cosine."""
    op, names = record.op, [name for name, _ in operands]
    if op is Add:
        yield "sign-of-a-term", f"subtract {names[1]}", lambda a, b: a - b
        yield "sign-of-a-term", f"subtract {names[0]}", lambda a, b: b - a
    if op is Subtract:
        yield "sign-of-a-term", f"add {names[1]}", lambda a, b: a + b
    if op is Negate:
        yield "sign-of-a-term", "leave out the minus", lambda a: a
    if op in (Sin, Cos):
        other = {Sin: Cos, Cos: Sin}[op]
        yield "wrong-function", f"use {other.__name__.lower()}", lambda a: other.forward({}, a)


def _transpose(record, operands, values, describe):
    """A product of matrices in which one should be transposed."""
    if record.op is MatMul:
        turn = lambda x: np.swapaxes(x, -1, -2)
        yield "transposed-operand", f"transpose {operands[1][0]}", lambda a, b: a @ turn(b)
        yield "transposed-operand", f"transpose {operands[0][0]}", lambda a, b: turn(a) @ b


def _axis(record, operands, values, describe):
    """A sum over the wrong axis, or none where one belongs."""
    if record.op in (Sum, Mean, Max):
        for axis in (None, *range(operands[0][1].ndim)):
            constants = record.constants | {"axis": axis}
            make = lambda x, constants=constants: record.op.forward({}, x, **constants)
            yield "wrong-axis", f"use axis {axis}", make
    for axis in range(record.outputs[0].ndim):
        make = lambda *a, axis=axis: np.sum(_again(record, a), axis=axis, keepdims=True)
        yield "missing-sum", f"sum over axis {axis} (with keepdims=True)", make


def _index(record, operands, values, describe):
    """A factor outside a sum, under the result's index, that belongs inside; or the reverse."""
    sources = [getattr(a, "source", None) for a in record.inputs]
    for slot, source in enumerate(sources if record.op is Multiply else ()):
        if source is not None and source.op is Sum:
            terms = source.inputs[0].value
            make = lambda *ab, s=source, t=terms, k=slot: _again(s, [t * ab[1 - k]])
            yield "index-swap", f"{operands[1 - slot][0]} belongs inside the sum", make
    if record.op is Sum and sources[0] is not None and sources[0].op is Multiply:
        a, b = (getattr(x, "value", x) for x in sources[0].inputs)
        first, second = map(describe, sources[0].inputs)
        yield "index-swap", f"{second} belongs outside the sum", lambda _: _again(record, [a]) * b
        yield "index-swap", f"{first} belongs outside the sum", lambda _: _again(record, [b]) * a


def _factor(record, operands, values, describe):
    """A factor too few, or one too many."""
    whole = record.op is Multiply and operands[0][0] == "1"
    factors = []
    for name, p in values.items():
        factors += [(name, p), (f"{name}²", p * p), (f"(1 - {name})", 1 - p)]
        factors += [(f"(1 + {name})", 1 + p), (f"(1 - {name}²)", 1 - p * p)]
        for axis in range(p.ndim * whole):
            total = np.sum(p, axis=axis, keepdims=True)
            factors.append((f"the sum of {name} over axis {axis}", total))
    for name, q in factors:
        yield "missing-factor", f"multiply by {name}", lambda *a, q=q: _again(record, a) * q
        yield "missing-factor", f"divide by {name}", lambda *a, q=q: _again(record, a) / q
    if record.op in (Multiply, Divide) and not whole:
        yield "extra-factor", f"leave out {operands[1][0]}", lambda a, b: a + 0 * b
    if record.op is Multiply and not whole:
        yield "extra-factor", f"leave out {operands[0][0]}", lambda a, b: b + 0 * a


def _again(record, inputs):
    return record.op.forward({}, *inputs, **record.constants)


CHANGES = [_term, _transpose, _axis, _index, _factor]
