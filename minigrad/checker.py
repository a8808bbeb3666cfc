"""A gradient checker that names the mistake.

The witness is the slope itself. For y = f(x), a cotangent w and a small step h along entry k,

    (w · f(x + h eₖ) − w · f(x − h eₖ)) / 2h  =  (Jᵀ w)ₖ + O(h²),

and (Jᵀ w)ₖ is what `backward` claims to return when the incoming gradient is w. Here w is random: a
gradient of ones hides much (the rows of a softmax sum to one, so for w = 1 its gradient is zero,
and so is that of a backward that forgot everything).

Where they differ, `mistakes` looks for the reason.

    >>> print(gradcheck(ReLU, np.random.randn(3, 4)))
    ReLU: the gradient of its input agrees with finite differences (12 entries) ...
"""

import html
import inspect
import traceback
from dataclasses import dataclass, field

import numpy as np

from minigrad import promises
from minigrad.core import Op, TensorNode, pull_back, strict, undo_broadcasting
from minigrad.mistakes import diagnose

STEP = 1e-6  # of an entry near 1: small enough for the slope, large enough for rounding
ROUNDING = 20 * np.finfo(float).eps  # of a few operations, relative to the output
MOST_ENTRIES = 5_000


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
        raise TypeError("gradcheck: no floats to differentiate; give np.random.randn(3, 4), say.")
    if entries > MOST_ENTRIES:
        raise ValueError(
            f"gradcheck: {entries} entries, and the function runs twice for each. A small example "
            f"shows a mistake too: use shapes like (3, 4), and {MOST_ENTRIES} entries at most."
        )
    found, rng = {}, np.random.default_rng(0)  # random, but each time the same: reports repeat
    with strict(), np.errstate(all="ignore"):
        try:
            trial = Trial(function, constants, xs, rng)
            found |= dict(analytic=trial.got, numeric=trial.slopes)
            kinks = {i: _compare(trial, i, rng) for i in trial.floats}
            _call_again(trial, rng)
            found["second_order"], remark = _second_order(trial, rng)
        except Mistake as mistake:
            return Report(False, str(mistake), mistake.name, **found | mistake.where)
    at_kinks = sum(int(np.sum(kink)) for kink in kinks.values())
    if at_kinks:
        remark += f". At kinks ({at_kinks} here) any slope between those of the two sides is right"
    n = len(trial.floats)
    whose = "gradient of its input agrees" if n == 1 else f"gradients of its {n} inputs agree"
    counted = f"{entries} {'entries' if entries > 1 else 'entry'}"
    message = f"{trial.name}: the {whose} with finite differences ({counted}){remark}."
    return Report(True, message, **found)


class Trial:
    """One point, one cotangent: what backward returned there, `got`, and the true `slopes`."""

    def __init__(self, function, constants, xs, rng, ones=False):
        self.function, self.constants, self.xs = function, constants, xs
        self.is_op = inspect.isclass(function) and issubclass(function, Op)
        self.name = getattr(function, "__name__", "f").replace("<lambda>", "the function")
        self.where = f"{self.name}{'.backward' * self.is_op}, gradient of input"
        self.floats = [i for i, x in enumerate(xs) if _is_float(x)]
        self.ys, _ = self.forward(xs)
        if not all(map(_identical, self.ys, self.forward(xs)[0])):
            raise Mistake("impure-forward", f"{self.name}: two runs on the same inputs {IMPURE}")
        draw = np.ones if ones else rng.standard_normal
        self.gs = [np.asarray(draw(np.shape(y)))[()] for y in self.ys]
        self.got = self.gradients(xs, self.gs)
        found = [_slopes(self.heights, xs, i) if _is_float(x) else None for i, x in enumerate(xs)]
        self.slopes, self.noise = zip(*[slopes or (None, None) for slopes in found])

    def forward(self, xs):
        """Run it: the outputs, and a function from cotangents to what backward returns."""
        xs, given = [_copy(x) for x in xs], xs
        if self.is_op:
            context = {}
            outputs = self.run("forward", self.function.forward, context, *xs, **self.constants)
            check = lambda y: promises.output_value(self.function, y)
            if len(self.floats) < len(xs):  # the engine says so too
                context["wanted"] = tuple(map(_is_float, xs))

            def pull(*gs):
                shares = self.function.backward(context, *gs)
                return tuple(shares) if isinstance(shares, list) else shares

        else:
            nodes = [TensorNode(x) if _is_float(x) else x for x in xs]
            outputs = self.run("forward", self.function, *nodes, **self.constants)
            check = lambda y: promises.function_value(getattr(y, "value", y))

            def pull(*gs):
                shares = _pull(outputs, gs, nodes)
                return tuple(np.zeros(np.shape(x)) if g is None else g for x, g in zip(xs, shares))

        try:
            ys = tuple(map(check, outputs))
        except TypeError as error:
            raise Mistake("no-floats", f"{self.name}: {error}.") from None
        self.unchanged([f"input {i}" for i in range(len(xs))], given, xs)

        def backward(gs):
            kept = [_copy(g) for g in gs]
            shares = self.run("backward", pull, *kept)
            names = [f"input {i}" for i in range(len(xs))] + ["the incoming gradient"] * len(gs)
            self.unchanged(names, [*given, *gs], [*xs, *kept])
            return shares

        return ys, backward

    def unchanged(self, names, before, after):
        """Raises where an array is not what it was."""
        for name, old, new in zip(names, before, after, strict=True):
            if not _identical(old, new):
                raise Mistake("in-place", f"{self.name} changed {name} in place, {IN_PLACE}")

    def run(self, what, function, *args, **kwargs):
        """Call a function of the reader's. What it raises becomes the report."""
        try:
            return _tuple(function(*args, **kwargs))
        except NotImplementedError:
            raise Mistake("not-written", f"{self.name}: {what} is not written yet.") from None
        except Exception as error:
            line = traceback.extract_tb(error.__traceback__)[-1].line
            message = f"{self.name}: {what} raised {type(error).__name__}: {error}"
            raise Mistake("raises", message + f"\n  in: {line}" * bool(line)) from None

    def gradients(self, xs, gs):
        """What backward returns, made to fit as the engine does."""
        ys, backward = self.forward(xs)
        shares = backward(gs)
        if len(shares) != len(xs):
            what = f"returned {len(shares)} gradients for {len(xs)} inputs: return one for each"
            raise Mistake("number-of-gradients", f"{self.name}.backward {what}, in the same order.")
        return [self.settled(i, g, [np.shape(y) for y in ys]) for i, g in enumerate(shares)]

    def settled(self, i, share, output_shapes):
        """One gradient: floats, summed over the axes along which its input was repeated."""
        if i not in self.floats:
            return None
        if share is None or share is Ellipsis:
            message = f"{self.where} {i} is {share}. Is a return missing?"
            raise Mistake("missing-return", message, input=i)
        share, shape = promises.as_array(share), np.shape(self.xs[i])
        if share.dtype.kind != "f":
            raise Mistake("dtype", f"{self.where} {i} is {share.dtype}: return floats.", input=i)
        if share.shape in output_shapes and promises.broadcasts(shape, share.shape):
            return undo_broadcasting(share, shape)
        return share

    def heights(self, xs):
        """w ∘ f(x): numbers whose sum has that entry's gradient as its slope along an entry."""
        return [w * y for w, y in zip(self.gs, self.forward(xs)[0])]

    def elsewhere(self, rng):
        """Another point, with the same signs, and most likely in the same domain."""
        return [x * rng.uniform(0.7, 0.95, np.shape(x)) if _is_float(x) else x for x in self.xs]

    def agrees(self, i, gradient):
        """Whether this gradient would be right for input i."""
        return np.shape(gradient) == self.slopes[i].shape and not self.wrong(i, gradient).any()

    def wrong(self, i, gradient):
        """Which entries of this gradient would be wrong for input i."""
        return np.asarray(~close(gradient, self.slopes[i], self.noise[i]))


def close(a, b, noise):
    """Whether gradients agree with slopes, entry by entry, up to the noise that the slopes have.

    Slopes may all be of size 1e-8, so the allowance grows with them, and with the largest of them,
    whose rounding disturbs the rest. The fixed 1e-12 is for terms that cancel, but not quite to 0.
    """
    largest = np.max(np.abs(b), initial=0.0, where=np.isfinite(b))
    allowed = 1e-5 * np.minimum(np.abs(a), np.abs(b)) + 1e-8 * largest + noise + 1e-12
    return np.isfinite(a) & np.isfinite(b) & (np.abs(a - b) <= allowed)


def _compare(trial, i, rng):
    """Check the gradient of input i, entry by entry. Returns which entries lie at a kink."""
    got, slopes, x = trial.got[i], trial.slopes[i], np.asarray(trial.xs[i])
    where = f"{trial.where} {i}"
    if got.shape != x.shape:
        name, why = diagnose(trial, i, rng)
        what = f"{where} has shape {got.shape}, but the input has shape {x.shape}."
        raise Mistake(name or "shape", f"{what}\n{why}", input=i)
    wrong, kinks = trial.wrong(i, got), np.zeros(x.shape, bool)
    for k in map(tuple, np.argwhere(wrong)):
        wrong[k] = not _is_rounding(trial.heights, trial.xs, i, k, got[k], slopes[k])
        kinks[k] = wrong[k] and _at_a_kink(trial, i, k)
    wrong &= ~kinks
    if not wrong.any():
        if kinks.size and kinks.all():
            message = "every entry lies at a kink, where nothing can be compared. Try other inputs."
            raise Mistake("kink", f"{where}: {message}", input=i)
        return kinks
    distance = np.where(wrong, np.nan_to_num(np.abs(got - slopes), nan=np.inf), -1.0)
    k = tuple(int(n) for n in np.unravel_index(np.argmax(distance), x.shape))
    what = (
        f"{where}: {wrong.sum()} of {x.size} entries wrong. Where the input{list(k) or ''} is "
        f"{x[k]:.6g}, it says {got[k]:.6g}, but finite differences give {slopes[k]:.6g}."
    )
    if not np.isfinite(slopes[k]):
        what += "\nThe function is not defined, or infinite, close to this entry. Try other inputs."
        raise Mistake("outside-the-domain", what, input=i, entry=k)
    name, why = diagnose(trial, i, rng)
    raise Mistake(name, f"{what}\n{why}", input=i, entry=k)


def _is_rounding(f, arrays, i, k, gradient, slope):
    """Whether rounding moved the slope away: then a step 30 times as wide brings it back.

    For ln(eˣ) − x, say: the result is 0, and does not show how large the numbers were on the way.
    """
    h = 30 * _step(arrays[i], k)
    return abs(gradient - _slope(f, arrays, i, k, -h, h)[0]) < abs(gradient - slope) / 4


def _at_a_kink(trial, i, k):
    """Whether the slopes left and right of an entry differ, and the gradient lies between them."""
    h, noise, got = _step(trial.xs[i], k), trial.noise[i][k], trial.got[i][k]
    side = lambda step: _slope(trial.heights, trial.xs, i, k, 0.0, step)[0]
    left, right, closer = side(-h), side(h), (side(-h / 10), side(h / 10))
    smooth = abs(abs(closer[1] - closer[0]) / abs(right - left) - 0.1) < 0.05
    if smooth or close(left, right, 2 * noise):
        return False  # where a curve only bends, the two sides approach each other as h does 0
    return min(closer) <= got <= max(closer) or any(close(got, s, 10 * noise) for s in closer)


def _call_again(trial, rng):
    """The same call gives the same gradients, whatever was computed in between."""
    call = lambda backward: [np.array(g) for g in backward(trial.gs)]
    (_, backward), (_, other) = trial.forward(trial.xs), trial.forward(trial.xs)
    first, second = call(backward), call(backward)
    trial.forward(trial.elsewhere(rng))
    late = call(other)
    if not all(map(_identical, first, second)):
        raise Mistake("second-call-differs", f"{trial.name}.backward {SECOND_CALL}")
    if not all(map(_identical, first, late)):
        raise Mistake("stale-context", f"{trial.name}.backward {STALE}")


def _second_order(trial, rng):
    """Differentiate backward through nodes, and compare with the differences of backward.

    For random directions v, the number v · (Jᵀ w) is differentiated over x and over w. Returns True
    and a remark; None and a remark where the op can't be run on nodes.
    """
    n, vs = len(trial.xs), [rng.standard_normal(np.shape(x)) for x in trial.xs]
    arrays = [*trial.xs, *trial.gs]
    try:
        nodes = [TensorNode(x) if _is_float(x) else x for x in arrays]
        call = trial.function.do_forward if trial.is_op else trial.function
        ys = _tuple(call(*nodes[:n], **trial.constants))
        if not any(isinstance(y, TensorNode) for y in ys):
            return None, ", all zero: the result is no node, so it depends on no input"
        us = _pull(ys, nodes[n:], nodes[:n], differentiable=True)
        found = _pull(us, vs, nodes)
    except Exception as error:
        return None, f"; second derivatives cannot be had ({type(error).__name__}: {error})"
    gradients = lambda arrays: trial.gradients(arrays[:n], arrays[n:])
    heights = lambda arrays: [v * g for v, g in zip(vs, gradients(arrays)) if g is not None]
    for i, gradient in enumerate(found):
        if _is_float(arrays[i]):
            slopes, noise = _slopes(heights, arrays, i)
            gradient = np.zeros(slopes.shape) if gradient is None else gradient
            for k in map(tuple, np.argwhere(~close(gradient, slopes, noise))):
                rounding = _is_rounding(heights, arrays, i, k, gradient[k], slopes[k])
                if not rounding and not (i < n and _at_a_kink(trial, i, k)):
                    raise Mistake("second-order", f"{trial.name}: {SECOND_ORDER}")
    return True, ", and so do the second derivatives"


def _pull(ys, gs, nodes, **options):
    """pull_back from those of the outputs that are nodes."""
    pairs = [(y, g) for y, g in zip(ys, gs) if isinstance(y, TensorNode)]
    return pull_back(*zip(*pairs), wrt=nodes, **options) if pairs else [None] * len(nodes)


def _slopes(f, arrays, i):
    """The central differences of Σ f(arrays) for every entry of array i, and their noise."""
    slopes, noise = np.zeros(np.shape(arrays[i])), np.zeros(np.shape(arrays[i]))
    for k in np.ndindex(slopes.shape):
        h = _step(arrays[i], k)
        slopes[k], noise[k] = _slope(f, arrays, i, k, -h, h)
    return slopes, noise


def _slope(f, arrays, i, k, left, right):
    """One difference quotient of Σ f(arrays), and how much of it may be rounding.

    Outputs that the entry does not reach are left out: they add noise, or infinities, and no slope.
    """
    start, end = _moved(arrays, i, k, left), _moved(arrays, i, k, right)
    h = end[i][k] - start[i][k]  # not quite right - left: x + h is rounded
    a, b = (np.concatenate([np.ravel(y) for y in f(xs)]) for xs in (start, end))
    a, b = a[a != b], b[a != b]
    return np.sum(b - a) / h, ROUNDING * np.sum(np.maximum(np.abs(a), np.abs(b))) / abs(h)


def _moved(arrays, i, k, step):
    moved = np.array(arrays[i])
    moved[k] += step
    return [*arrays[:i], moved[()], *arrays[i + 1 :]]


def _step(x, k):
    # The root: sin oscillates as fast at a million as at 1, but x + h must differ from x.
    return STEP * np.sqrt(max(1.0, abs(np.asarray(x)[k])))


def _float64(x):
    x = x.value if isinstance(x, TensorNode) else x
    number = isinstance(x, int | float) and not isinstance(x, bool)
    return np.array(x, float)[()] if number or _is_float(x) else x


def _copy(x):
    return np.array(x)[()] if isinstance(x, np.ndarray) else x


def _is_float(x):
    return isinstance(x, np.ndarray | np.floating) and x.dtype.kind == "f"


def _identical(a, b):
    return np.array_equal(a, b, equal_nan=_is_float(a))


def _tuple(x):
    return x if isinstance(x, tuple) else (x,)


IMPURE = "gave different values. Hand random draws and running state in as inputs or constants."
IN_PLACE = "but others still need it. Make a new array, with np.where(mask, x, 0) say, or copy it."
SECOND_CALL = (
    "gives something else when it is called a second time. It must not change what forward kept, "
    "nor add to an old result."
)
STALE = (
    "answers for the latest run of forward, not for its own. Keep what it needs in the context, "
    "not in the class or in a variable outside."
)
SECOND_ORDER = (
    "the gradients are right, but their own derivatives are not. What forward keeps for backward "
    "must be computed by NumPy functions of its inputs."
)
