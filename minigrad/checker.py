"""A gradient checker that names the mistake.

The witness is the slope itself. For y = f(x), a cotangent w and a small step h along entry k,

    (w · f(x + h eₖ) − w · f(x − h eₖ)) / 2h  =  (Jᵀ w)ₖ + O(h²),

and (Jᵀ w)ₖ is what `backward` claims to return when the incoming gradient is w. Here w is random: a
gradient of ones hides much (the rows of a softmax sum to one, so for w = 1 its gradient is zero,
and so is that of a backward that forgot everything).

A wrong gradient is then repaired: turn its sign, transpose it, multiply it by the input, run
`backward` with x where the op kept y. A repair that makes it right, at two points and for two
cotangents, *is* the explanation. `RULES` holds the repairs in the order in which they are tried.

    >>> print(gradcheck(ReLU, np.random.randn(3, 4)))
    ReLU: the gradients of its 1 input agree with finite differences (12 entries) ...
"""

import contextlib
import html
import inspect
import traceback
from dataclasses import dataclass, field

import numpy as np

from minigrad.core import Op, TensorNode, pull_back, strict, undo_broadcasting

STEP = 1e-6  # times the size of the entry: small enough for the slope, large enough for rounding
MOST_ENTRIES = 5_000
RULES = []  # (name, rule), filled at the end of this file, specific mistakes first


@dataclass(eq=False, repr=False)
class Report:
    """What `gradcheck` found: true when every gradient is right; its text says what is not.

    `mistake`            a short name for the diagnosis, None if there is none
    `input`, `entry`     where the gradient is furthest from the slope: which input, which index
    `analytic, numeric`  one array for each input: what backward returned, and the slopes
    `second_order`       True if second derivatives agree too, None if they could not be had
    """

    right: bool
    message: str
    mistake: str | None = None
    input: int | None = None
    entry: tuple | None = None
    analytic: list = field(default_factory=list)
    numeric: list = field(default_factory=list)
    second_order: bool | None = None

    def __bool__(self):
        return self.right

    def __repr__(self):
        return self.message

    def _repr_html_(self):
        colour, verdict = ("#009E73", "Right") if self.right else ("#D55E00", "Wrong")
        text = html.escape(self.message).replace("\n", "<br>")
        style = f"border-left: 0.3em solid {colour}; padding: 0.3em 0.8em"
        return f'<div class="gradcheck" style="{style}"><strong>{verdict}.</strong> {text}</div>'


class Mistake(Exception):
    """Raised within the checker where something is wrong; `gradcheck` makes it the report."""

    def __init__(self, name, message, **where):
        super().__init__(message)
        self.name, self.where = name, where


def gradcheck(function, *inputs, **constants):
    """Compare the gradients of an op, or of a function of nodes, with finite differences.

    `function`   an `Op` class, or a Python function from nodes to a node or a tuple of nodes
    `inputs`     arrays, numbers, nodes; checked in float64. Integer arrays are constants
    `constants`  handed on by name

    Returns a `Report`. In this order: does it run; is there one gradient for each input; are the
    inputs left alone; shapes; dtypes; every entry; all that a second time; second derivatives.
    Raises TypeError if there is nothing to differentiate, ValueError if there is too much to try.
    """
    xs = [_float64(x) for x in inputs]
    entries = sum(np.size(x) for x in xs if _is_float(x))
    if not entries:
        raise TypeError(
            "gradcheck: no floats among the inputs, so there is nothing to differentiate. Give an "
            "array of floats, such as np.random.randn(3, 4)."
        )
    if entries > MOST_ENTRIES:
        raise ValueError(
            f"gradcheck: the function runs twice for each of {entries} entries. A mistake shows in "
            f"a small example too: use shapes like (3, 4), and {MOST_ENTRIES} entries at most."
        )
    found, rng = {}, np.random.default_rng(0)  # random, but each time the same: reports repeat
    with strict(), np.errstate(all="ignore"):
        try:
            trial = Trial(function, constants, xs, rng)
            found |= dict(analytic=trial.got, numeric=trial.slopes)
            kinks = {i: _compare(trial, i, rng) for i in trial.floats}
            _call_again(trial, rng)
            found["second_order"], remark = _second_order(trial, kinks, rng)
        except Mistake as mistake:
            return Report(False, f"{mistake}", mistake.name, **found | mistake.where)
    n, at_kinks = len(trial.floats), sum(int(np.sum(kink)) for kink in kinks.values())
    if at_kinks:
        remark += f". At {at_kinks} there is a kink: any slope between its two sides is right"
    return Report(
        True,
        f"{trial.name}: the gradients of its {n} input{'s' * (n > 1)} agree with finite differences"
        f" ({entries} {'entries' if entries > 1 else 'entry'}){remark}.",
        **found,
    )


class Trial:
    """One point, one cotangent: what backward returned there, `got`, and the true `slopes`."""

    def __init__(self, function, constants, xs, rng, ones=False):
        self.function, self.constants, self.xs = function, constants, xs
        self.is_op = inspect.isclass(function) and issubclass(function, Op)
        self.name = getattr(function, "__name__", "f").replace("<lambda>", "the function")
        self.floats = [i for i, x in enumerate(xs) if _is_float(x)]
        self.ys, self.context, _ = self.forward(xs)
        if not all(map(_identical, self.ys, self.forward(xs)[0])):
            raise Mistake(
                "impure-forward",
                f"{self.name}: two runs on the same inputs gave different values. An op must be "
                "pure: hand random draws and running state in as inputs or constants.",
            )
        draw = np.ones if ones else rng.standard_normal
        self.gs = [np.asarray(draw(np.shape(y)))[()] for y in self.ys]
        self.got = self.gradients()
        self.slopes = [
            _slopes(self.height, xs, i) if _is_float(x) else None for i, x in enumerate(xs)
        ]

    def forward(self, xs):
        """Run it: the outputs, the context, and a function from cotangents to gradients."""
        if self.is_op:
            context, wanted = {}, tuple(i in self.floats for i in range(len(xs)))
            ys = self.run("forward", self.function.forward, context, *xs, **self.constants)
            if not all(wanted):
                context["wanted"] = wanted  # the engine says so too
            return (
                ys,
                context,
                lambda gs: self.run("backward", self.function.backward, context, *gs),
            )
        nodes = [TensorNode(x) if _is_float(x) else x for x in xs]
        leaves = [x for x in nodes if isinstance(x, TensorNode)]
        outputs = self.run("forward", self.function, *nodes, **self.constants)

        def backward(gs):
            made = [(y, g) for y, g in zip(outputs, gs) if isinstance(y, TensorNode)]
            shares = iter(self.run("backward", lambda: tuple(pull_back(*zip(*made), wrt=leaves))))
            found = [next(shares) if isinstance(x, TensorNode) else None for x in nodes]
            return [np.zeros(np.shape(x)) if g is None else g for x, g in zip(xs, found)]

        return tuple(getattr(y, "value", y) for y in outputs), {}, backward

    def run(self, what, function, *args, **kwargs):
        """Call a function of the reader's; what it raises becomes the report."""
        try:
            result = function(*args, **kwargs)
        except NotImplementedError:
            raise Mistake("not-written", f"{self.name}: {what} is not written yet.") from None
        except Exception as error:
            line = traceback.extract_tb(error.__traceback__)[-1].line
            message = f"{self.name}: {what} raised {type(error).__name__}: {error}"
            raise Mistake("raises", f"{message}\n  in: {line}" if line else message) from None
        return result if isinstance(result, tuple) else (result,)

    def gradients(self, xs=None, gs=None, tamper=None):
        """What backward returns, made to fit as the engine does. `tamper` changes the context."""
        gs = [np.array(g)[()] for g in (gs or self.gs)]
        xs = [np.array(x)[()] if _is_float(x) else x for x in (xs or self.xs)]
        before = [*map(np.array, (*(xs[i] for i in self.floats), *gs))]
        ys, context, backward = self.forward(xs)
        if tamper:
            tamper(context)
        shares = backward(gs)
        if len(shares) != len(xs):
            raise Mistake(
                "number-of-gradients",
                f"{self.name}.backward returned {len(shares)} gradients for {len(xs)} inputs: "
                "return one for each input of forward, in the same order.",
            )
        names = [*(f"input {i}" for i in self.floats), *["the incoming gradient"] * len(gs)]
        after = (*(xs[i] for i in self.floats), *gs)
        for name, old, new in zip(names, before, after):
            if not _identical(old, new):
                raise Mistake(
                    "in-place",
                    f"{self.name} changed {name} in place, but others still need it. Make a new "
                    "array (x * 2, np.where(mask, x, 0)), or work on a copy.",
                )
        return [self.settled(i, share, np.shape(ys[0])) for i, share in enumerate(shares)]

    def settled(self, i, share, output_shape):
        """One gradient as the engine would take it: floats, and with broadcasting undone."""
        if i not in self.floats:
            return None
        where = f"{self.name}.backward, gradient of input {i}"
        if share is None or share is Ellipsis:
            raise Mistake("missing-return", f"{where}: {share}. Is a return missing?", input=i)
        share, shape = np.asarray(share), np.shape(self.xs[i])
        if share.dtype.kind != "f":
            raise Mistake("dtype", f"{where}: {share.dtype}; return floats.", input=i)
        if share.shape == output_shape != shape and _broadcasts(shape, output_shape):
            return undo_broadcasting(share, shape)
        return share

    def height(self, xs):
        """w · f(x): a single number, whose slope along an entry is that entry's gradient."""
        return _dot(self.gs, self.forward(xs)[0])

    def agrees(self, i, gradient):
        """Whether this gradient would be right for input i."""
        slopes = self.slopes[i]
        return np.shape(gradient) == slopes.shape and bool(np.all(self.close(gradient, slopes)))

    def close(self, a, b):
        """Entry by entry: equal up to what rounding does to a finite difference."""
        size = max([1.0, *(float(np.max(np.abs(y), initial=0.0)) for y in self.ys)])
        allowed = 1e-5 * np.minimum(np.abs(a), np.abs(b)) + 1e-7 * size
        return np.isfinite(a) & (np.abs(a - b) <= allowed)


def _compare(trial, i, rng):
    """Check the gradient of input i, entry by entry. Returns which entries lie at a kink."""
    got, slopes, x = trial.got[i], trial.slopes[i], np.asarray(trial.xs[i])
    where = f"{trial.name}{'.backward' * trial.is_op}, gradient of input {i}"
    if got.shape != x.shape:
        name, why = _diagnose(trial, i, rng)
        what = f"{where}: shape {got.shape}, but the input has shape {x.shape}."
        raise Mistake(name or "shape", f"{what}\n{why}", input=i)
    wrong = ~np.asarray(trial.close(got, slopes))
    kinks = np.zeros(x.shape, bool)
    for k in np.ndindex(x.shape):
        kinks[k] = wrong[k] and _at_a_kink(trial, i, k)
    wrong &= ~kinks
    if not wrong.any():
        if kinks.all():
            message = "every entry lies at a kink, so nothing could be compared. Try other inputs."
            raise Mistake("kink", f"{where}: {message}", input=i)
        return kinks
    distance = np.where(wrong, np.nan_to_num(np.abs(got - slopes), nan=np.inf), -1.0)
    k = tuple(int(n) for n in np.unravel_index(np.argmax(distance), x.shape))
    what = (
        f"{where}: {wrong.sum()} of {x.size} entries wrong. Where the input{list(k) or ''} is "
        f"{x[k]:.6g}, backward gives {got[k]:.6g}, finite differences {slopes[k]:.6g}."
    )
    name, why = _diagnose(trial, i, rng)
    raise Mistake(name, f"{what}\n{why}", input=i, entry=k)


def _at_a_kink(trial, i, k):
    """Whether the slopes left and right of an entry differ, and the gradient lies between them."""
    h, y = _step(trial.xs[i], k), trial.height(trial.xs)
    side = lambda step: (trial.height(_moved(trial.xs, i, k, step)) - y) / step
    left, right, closer = side(-h), side(h), (side(-h / 10), side(h / 10))
    if trial.close(left, right) or abs(abs(closer[1] - closer[0]) / abs(right - left) - 0.1) < 0.05:
        return False  # smooth: where a curve bends, the two approach each other as h shrinks
    got = trial.got[i][k]
    return min(closer) <= got <= max(closer) or any(trial.close(got, slope) for slope in closer)


def _call_again(trial, rng):
    """The same call gives the same gradients, whatever was computed in between."""
    _, _, backward = trial.forward(trial.xs)
    first = [np.array(g) for g in backward(trial.gs)]
    second = [np.array(g) for g in backward(trial.gs)]
    if not all(map(_identical, first, second)):
        raise Mistake(
            "second-call-differs",
            f"{trial.name}.backward gives something else when it is called a second time. It must "
            "not change what forward kept, nor add to an old result.",
        )
    _, _, backward = trial.forward(trial.xs)
    trial.forward(_nearby(trial.xs, rng))
    if not all(map(_identical, first, map(np.array, backward(trial.gs)))):
        raise Mistake(
            "stale-context",
            f"{trial.name}.backward answers for the latest run of forward, not for its own. Keep "
            "what it needs in the context, not in the class or in a variable outside.",
        )


def _second_order(trial, kinks, rng):
    """Differentiate backward through nodes, and compare with the differences of backward.

    For random directions v, the number v · (Jᵀ w) is differentiated over x and over w. Returns True
    and a remark; None and a remark where the op can't be run on nodes.
    """
    n, vs = len(trial.xs), [rng.standard_normal(np.shape(x)) for x in trial.xs]
    arrays = [*trial.xs, *trial.gs]
    try:
        nodes = [TensorNode(x) if _is_float(x) else x for x in arrays]
        leaves = [node for node in nodes if isinstance(node, TensorNode)]
        call = trial.function.do_forward if trial.is_op else trial.function
        ys = _tuple(call(*nodes[:n], **trial.constants))
        us = pull_back(ys, nodes[n:], wrt=leaves[: -len(ys)], differentiable=True)
        pairs = [(u, vs[i]) for i, u in zip(trial.floats, us) if isinstance(u, TensorNode)]
        found = pull_back(*zip(*pairs), wrt=leaves) if pairs else [None] * len(leaves)
    except Exception as error:
        return None, f"; second derivatives cannot be had ({type(error).__name__}: {error})"
    height = lambda arrays: _dot(vs, trial.gradients(arrays[:n], arrays[n:]))
    floats = [i for i, x in enumerate(arrays) if _is_float(x)]
    for i, gradient in zip(floats, found):
        slopes = _slopes(height, arrays, i)
        gradient = np.zeros(slopes.shape) if gradient is None else gradient
        if not np.all(trial.close(gradient, slopes) | kinks.get(i, False)):
            raise Mistake(
                "second-order",
                f"{trial.name}: the gradients are right, but their own derivatives are not. What "
                "forward keeps for backward must be computed by NumPy functions of its inputs.",
            )
    return True, ", and so do their own derivatives"


def _diagnose(trial, i, rng):
    """The name of the mistake and the sentence that explains it: the first rule that fits."""
    trials, explained = [trial], None
    try:  # a repair must work at another point too, or it is a coincidence
        other = Trial(trial.function, trial.constants, _nearby(trial.xs, rng), rng)
        trials += [other] * bool(np.all(np.isfinite(other.slopes[i])))
    except Mistake:
        pass
    for name, rule in RULES:
        with contextlib.suppress(Mistake, ValueError, IndexError):  # no repair where shapes forbid
            explained = rule(Case(trials, i))
        if explained:
            return name, f"Likely cause: {explained}."
    return None, "No usual mistake fits. Work out this one entry by hand, and compare."


def _nearby(xs, rng):
    """Another point of the same shapes and signs, and most likely in the same domain."""
    return [x * rng.uniform(0.7, 0.95, np.shape(x)) if _is_float(x) else x for x in xs]


def _slopes(f, arrays, i):
    """The central difference of the number f(arrays) for every entry of array i."""
    slopes = np.zeros(np.shape(arrays[i]))
    for k in np.ndindex(slopes.shape):
        h = _step(arrays[i], k)
        slopes[k] = (f(_moved(arrays, i, k, h)) - f(_moved(arrays, i, k, -h))) / (2 * h)
    return slopes


def _moved(arrays, i, k, step):
    moved = np.array(arrays[i])
    moved[k] += step
    return [*arrays[:i], moved[()], *arrays[i + 1 :]]


def _step(x, k):
    return STEP * max(1.0, abs(np.asarray(x)[k]))


def _dot(us, vs):
    return sum(np.sum(u * v) for u, v in zip(us, vs) if v is not None)


def _float64(x):
    x = x.value if isinstance(x, TensorNode) else x
    number = isinstance(x, int | float) and not isinstance(x, bool)
    return (
        np.asarray(x, float)[()] if number or getattr(x, "dtype", np.dtype(int)).kind == "f" else x
    )


def _is_float(x):
    return isinstance(x, np.ndarray | np.floating) and x.dtype.kind == "f"


def _identical(a, b):
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _tuple(x):
    return x if isinstance(x, tuple) else (x,)


def _broadcasts(shape, larger):
    with contextlib.suppress(ValueError):
        return np.broadcast_shapes(shape, larger) == larger
    return False


# The catalogue of mistakes.


@dataclass
class Case:
    """A wrong gradient, of input i, seen in one or two trials."""

    trials: list
    i: int

    def repaired_by(self, repair):
        """Whether repair(trial) is the right gradient in every trial."""
        return all(trial.agrees(self.i, repair(trial)) for trial in self.trials)

    def every(self, holds):
        """Whether holds(what backward returned, the slopes, trial) in every trial."""
        return all(holds(t.got[self.i], t.slopes[self.i], t) for t in self.trials)

    def repaired_with(self, swap):
        """Name of an entry of the context that, replaced by swap(value, trial), makes it right."""

        def run(trial, key):
            def tamper(context):
                context[key] = swap(context[key], trial)

            return trial.gradients(tamper=tamper)[self.i]

        for key, value in self.trials[0].context.items():
            if isinstance(value, np.ndarray) and swap(value, self.trials[0]) is not None:
                if self.repaired_by(lambda trial: run(trial, key)):  # noqa: B023
                    return f"context[{key!r}]"
        return None


def rule(name):
    """Add a rule to the catalogue."""
    return lambda function: RULES.append((name, function))


@rule("nan")
def _(case):
    if case.every(lambda got, slopes, t: not np.all(np.isfinite(got))):
        return "there are NaNs or infinities in it. Look for 0 / 0, log 0, or a division by zero"


@rule("zero-everywhere")
def _(case):
    if case.every(lambda got, slopes, t: not np.any(got)):
        return "it is zero everywhere, as if the output did not depend on this input"


@rule("ignores-the-incoming-gradient")
def _(case):
    i, twice = case.i, lambda t: t.gradients(t.xs, [2.0 * g for g in t.gs])
    if case.every(lambda got, slopes, t: _identical(got, twice(t)[i])):
        return (
            "it stays the same when the incoming gradient is doubled. The chain rule multiplies: "
            "incoming gradient times local derivative"
        )


@rule("wrong-order")
def _(case):
    for j in case.trials[0].floats:
        if j != case.i and case.repaired_by(lambda t: t.got[j]):  # noqa: B023
            return f"the tuple is in the wrong order: this is found as the gradient of input {j}"


@rule("sign")
def _(case):
    if case.repaired_by(lambda t: -t.got[case.i]):
        return "the sign is wrong: times -1 it is right"


@rule("missing-sum")
def _(case):
    shape = np.shape(case.trials[0].xs[case.i])
    got = case.trials[0].got[case.i].shape
    if got != shape and _broadcasts(shape, got):
        if case.repaired_by(lambda t: undo_broadcasting(t.got[case.i], shape)):
            return (
                "the input was repeated along an axis, so its gradient is the sum along that axis"
            )


@rule("transposed")
def _(case):
    if case.repaired_by(lambda t: np.swapaxes(t.got[case.i], -1, -2)):
        return "it is the transpose of the right one"


@rule("reshape")
def _(case):
    if case.repaired_by(lambda t: np.reshape(t.got[case.i], t.slopes[case.i].shape)):
        return "the numbers are right; give them the shape of the input"


@rule("transposed-operand")
def _(case):
    key = case.repaired_with(lambda a, t: np.swapaxes(a, -1, -2) if a.ndim > 1 else None)
    if key:
        return f"with the transpose of {key} it is right"


@rule("output-for-input")
def _(case):
    key = case.repaired_with(lambda a, t: t.xs[case.i] if _identical(a, t.ys[0]) else None)
    if key:
        return f"{key} holds the output of forward where the input belongs"


@rule("input-for-output")
def _(case):
    key = case.repaired_with(lambda a, t: t.ys[0] if _identical(a, t.xs[case.i]) else None)
    if key:
        return f"{key} holds the input of forward where its output belongs"


@rule("constant-factor")
def _(case):
    i, (got, slopes) = case.i, (case.trials[0].got[case.i], case.trials[0].slopes[case.i])
    if got.shape != slopes.shape or len(case.trials) < 2:
        return None
    factor = float(np.sum(got * slopes) / np.sum(slopes * slopes))
    if factor and case.repaired_by(lambda t: t.got[i] / factor):
        return f"a constant factor: it is {factor:.6g} times the right one"


def _factors(t):
    """Things that a gradient is often forgotten to be multiplied with."""
    for name, value in [(f"input {j}", t.xs[j]) for j in t.floats] + [("the output", t.ys[0])]:
        yield name, value
        yield f"the square of {name}", value**2
        for axis in range(np.ndim(value)):
            yield f"the sum of {name} over axis {axis}", np.sum(value, axis=axis, keepdims=True)
        yield f"(1 - {name})", 1 - value
        yield f"(1 - the square of {name})", 1 - value**2


@rule("missing-factor")
def _(case):
    for n, (name, _) in enumerate(_factors(case.trials[0])):
        for verb, power in (("multiply it by", 1), ("divide it by", -1)):
            repair = lambda t: t.got[case.i] * list(_factors(t))[n][1] ** power  # noqa: B023
            if case.repaired_by(repair):
                return f"a factor is missing: {verb} {name}, and it is right"


@rule("only-right-for-ones")
def _(case):
    t = case.trials[0]
    ones = Trial(t.function, t.constants, t.xs, None, ones=True)
    if ones.agrees(case.i, ones.got[case.i]):
        return (
            "it is right only where the incoming gradient is all ones. Follow one entry of the "
            "incoming gradient at a time: to which entries of the input does it go"
        )


@rule("wrong-where-negative")
def _(case):
    def holds(got, slopes, t):
        wrong, negative = ~t.close(got, slopes), np.asarray(t.xs[case.i]) < 0
        return wrong.any() and (negative[wrong]).all() and not negative.all()

    if case.trials[0].got[case.i].shape == case.trials[0].slopes[case.i].shape and case.every(
        holds
    ):
        return "it is wrong only where the input is negative"


@rule("not-linear")
def _(case):
    i, twice = case.i, lambda t: t.gradients(t.xs, [2.0 * g for g in t.gs])
    if case.every(lambda got, slopes, t: not np.allclose(2.0 * got, twice(t)[i])):
        return "twice the incoming gradient must give twice the result: each term has it once"
