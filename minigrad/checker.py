"""A gradient checker that names the mistake.

The witness is the slope itself. For y = f(x), a cotangent w and a small step h along entry k,

    (w · f(x + h eₖ) − w · f(x − h eₖ)) / 2h  =  (Jᵀ w)ₖ + O(h²),

and (Jᵀ w)ₖ is what `backward` claims to return when the incoming gradient is w. Here w is random: a
gradient of ones hides much (the rows of a softmax sum to one, so for w = 1 its gradient is zero,
and so is that of a backward that forgot everything).

Where they differ, `mistakes` looks for the reason, and `display` says what was found.

    >>> print(gradcheck(ReLU, np.random.randn(3, 4)))
    ReLU: the gradient of its input agrees with finite differences (12 entries) ...
"""

from copy import copy

import numpy as np

from minigrad import display, promises
from minigrad.core import Op, TensorNode, pull_back, strict, undo_broadcasting
from minigrad.mistakes import Mistake, diagnose
from minigrad.promises import as_tuple, is_float

STEP = 1e-6  # of an entry near 1: small enough for the slope, large enough for rounding
ROUNDING = 4 * np.finfo(float).eps  # of an operation or two, relative to the output
MOST_ENTRIES = 5_000


class Report(display.Verdict):
    """What `gradcheck` found: true when every gradient is right; its text says what is not.

    `right`              the verdict
    `name`               of what was checked
    `mistake`            a short name for the diagnosis, None if there is none
    `input`, `entry`     where the gradient is furthest from the slope: which input, which index
    `analytic, numeric`  one array for each input: what backward returned, and the slopes
    `second_order`       True if second derivatives agree too, None if they could not be had
    `facts`              what else there is to say, for the sentences in `display`
    """

    mistake = input = entry = second_order = None
    right, analytic, numeric = True, (), ()

    def __init__(self, name, **facts):
        self.name, self.facts = name, facts

    __bool__ = lambda self: self.right


def gradcheck(function, *inputs, **constants):
    """Compare the gradients of an op, or of a function of nodes, with finite differences.

    `function`   an `Op` class, or a Python function from nodes to a node or a tuple of nodes
    `inputs`     arrays, numbers, nodes; checked in float64. Integer arrays are constants
    `constants`  handed on by name

    Returns a `Report`. In this order: does it run, and give the same twice; are the inputs left
    alone; is there one gradient for each; dtypes; the same gradients on a second call; shapes;
    every entry; second derivatives.
    Raises TypeError if there is nothing to differentiate, ValueError if there is too much to try.
    """
    xs = [getattr(x, "value", x) for x in inputs]
    xs = [np.array(x, float)[()] if is_float(promises.as_array(x)) else x for x in xs]
    entries = sum(np.size(x) for x in xs if is_float(x))
    if not entries:
        raise TypeError("gradcheck: no floats to differentiate; give np.random.randn(3, 4), say.")
    fewer = f"{MOST_ENTRIES} at most: shapes like (3, 4) show a mistake too, and take less time"
    promises.expect(gradcheck, entries <= MOST_ENTRIES, fewer, entries=entries)
    name = getattr(function, "__name__", "f").replace("<lambda>", "the function")
    report = Report(name, entries=entries, is_op=hasattr(function, "do_forward"))
    # Random, but each time the same: reports repeat. Of a seed that nobody types: an input that the
    # reader drew from default_rng(0) would equal the cotangent, and the two could be exchanged.
    rng = np.random.default_rng([*b"gradcheck"])
    with np.errstate(all="ignore"):
        try:
            trial = Trial(function, constants, xs, rng.standard_normal)
            report.analytic, report.numeric = trial.got, trial.slopes
            _call_again(trial, rng)
            report.facts["kinks"] = sum(_compare(trial, i, rng) for i in trial.floats)
            report.second_order, report.facts["reason"] = _second_order(trial, rng)
        except Mistake as error:
            vars(report).update(vars(error), right=False, facts=report.facts | error.facts)
    return report


class Trial:
    """One point, one cotangent: what backward returned there, `got`, and the true `slopes`.

    `noise` says how much of each slope may be rounding. `draw` makes the cotangent, of the shape
    that it is given.
    """

    def __init__(self, function, constants, xs, draw=np.ones):
        self.function, self.constants, self.xs = function, constants, xs
        self.is_op = hasattr(function, "do_forward")
        self.op = function if self.is_op else _as_op(function)
        self.floats = [i for i, x in enumerate(xs) if is_float(x)]
        with strict():  # here alone: it takes half of the time
            (self.ys, self.backward), (again, self.other) = self.forward(xs), self.forward(xs)
            _same("impure-forward", self.ys, again)
            self.gs = [np.asarray(draw(np.shape(y)))[()] for y in self.ys]
            self.shares = self.backward(self.gs)
        self.got, self.slopes, self.noise = ([None] * len(xs) for _ in range(3))
        for i in self.floats:
            self.got[i] = self.settled(i, self.shares[i])
            found = np.array([self.slope(i, k, -1, 1) for k in np.ndindex(np.shape(xs[i]))])
            self.slopes[i], self.noise[i] = found.T.reshape(2, *np.shape(xs[i]))

    def forward(self, xs):
        """Run it: the outputs, and a function from cotangents to what backward returns."""
        given, context = [copy(x) for x in xs], {}
        ys = as_tuple(self.run("forward", context, *given, **self.constants))
        try:
            check = lambda y: promises.output_value(self.op, y)
            ys = tuple(map(check if self.is_op else promises.function_value, ys))
        except TypeError as error:
            raise Mistake("no-floats", error=error) from None
        context["wanted"] = tuple(map(is_float, xs))  # as the engine says where some are not

        def backward(gs):
            seeds = [copy(g) for g in gs]
            shares = as_tuple(self.run("backward", context, *seeds), (tuple, list))
            names = [f"input {i}" for i in range(len(xs))] + ["the incoming gradient"] * len(gs)
            for name, old, new in zip(names, [*xs, *gs], [*given, *seeds], strict=True):
                _same("in-place", [old], [new], what=name)
            if len(shares) != len(xs):
                raise Mistake("number-of-gradients", found=len(shares), expected=len(xs))
            return [copy(share) if is_float(share) else share for share in shares]

        return ys, backward

    def run(self, what, *args, **constants):
        """Call forward or backward, the reader's code. What it raises becomes the report."""
        try:
            return getattr(self.op, what)(*args, **constants)
        except Exception as error:
            name = "not-written" if isinstance(error, NotImplementedError) else "raises"
            raise Mistake(name, what=what, **display.raised(error)) from None

    def settled(self, i, share):
        """A share made to fit as the engine does: summed where the input was repeated."""
        shape = np.shape(self.xs[i])
        if self.is_op and (share is None or share is Ellipsis):
            raise Mistake("missing-return", input=i, found=share)
        share = np.zeros(shape) if share is None else promises.as_array(share)
        if share.dtype != float:
            raise Mistake("dtype", input=i, found=share.dtype)
        repeated = promises.was_repeated(shape, share.shape, self.ys)
        return undo_broadcasting(share, shape) if repeated else share

    def at(self, xs, draw=np.ones):
        """The same function elsewhere, with another incoming gradient."""
        return Trial(self.function, self.constants, xs, draw)

    def nearby(self, rng):
        """Another point, with the same signs, and most likely in the same domain."""
        return [x * rng.uniform(0.7, 0.95, np.shape(x)) if is_float(x) else x for x in self.xs]

    def agrees(self, i, share=None):
        """Whether the gradient of input i is right; or would be, if this were returned."""
        got = self.got[i] if share is None else self.settled(i, share)
        return got.shape == self.slopes[i].shape and not self.wrong(i, got).any()

    def wrong(self, i, got):
        """Which entries of this gradient would be wrong for input i."""
        return np.asarray(~close(got, self.slopes[i], self.noise[i]))

    def slope(self, i, k, left, right):
        """One difference quotient of Σ w ∘ f, and how much of it may be rounding.

        From `left` to `right` steps beside entry k of input i. Outputs that the entry does not
        reach are left out: they add noise, or infinities, and no slope. A NaN differs from itself:
        whether it was reached is not known, so it counts where nothing else does.
        """
        (start, a), (end, b) = self.heights(i, k, left), self.heights(i, k, right)
        h = end - start  # not quite what was asked for: x + h is rounded
        moved = a != b
        known = moved & ((a == a) | (b == b))
        moved = known if known.any() else moved
        a, b = a[moved], b[moved]
        return (b - a).sum() / h, ROUNDING * np.fmax(np.abs(a), np.abs(b)).sum() / abs(h)

    def heights(self, i, k, steps):
        """Entry k of input i, moved by some steps, and what w ∘ f is there."""
        x = np.array(self.xs[i])
        # The root: sin oscillates as fast at a million as at 1, but x + h must differ from x.
        x[k] += steps * STEP * max(1.0, abs(x[k])) ** 0.5
        ys, _ = self.forward([*self.xs[:i], x[()], *self.xs[i + 1 :]])
        return x[k], np.concatenate([[], *((w * y).ravel() for w, y in zip(self.gs, ys))])

    def is_the_step(self, i, k):
        """Whether the step moved the slope away from the gradient, and another one brings it back.

        A wider one after rounding. For ln(eˣ) − x, say: the result is 0, and does not show how
        large the numbers were before. A narrower one where the curve bends within a step, as ln x
        does beside 0: that slope must agree by itself, and so well that no rounding helped it.
        """
        got, wide = self.got[i][k], self.slope(i, k, -30, 30)[0]
        closer = abs(got - wide) < abs(got - self.slopes[i][k]) / 4
        narrow = lambda s: close(got, self.slope(i, k, -s, s)[0], -self.noise[i][k] / s)
        return closer or any(map(narrow, (1 / 30, 1 / 900, 1 / 27_000)))

    def is_kink(self, i, k):
        """Whether the slopes left and right of an entry differ, and the gradient lies between."""
        got, noise = self.got[i][k], self.noise[i][k]
        left, right, *closer = [self.slope(i, k, 0, s)[0] for s in (-1, 1, -0.1, 0.1)]
        smooth = abs(abs(closer[1] - closer[0]) / abs(right - left) - 0.1) < 0.05
        if smooth or close(left, right, 2 * noise):
            return False  # where a curve only bends, the two sides approach each other as h does 0
        return min(closer) <= got <= max(closer) or any(close(got, s, 10 * noise) for s in closer)

    def judged(self, i):
        """Which entries of the gradient of input i have no excuse; how many have a kink for one."""
        wrong, kinks = self.wrong(i, self.got[i]), 0
        for k in map(tuple, np.argwhere(wrong)):
            wrong[k] = not self.is_the_step(i, k)
            if wrong[k] and self.is_kink(i, k):
                wrong[k], kinks = False, kinks + 1
        return wrong, kinks


def close(a, b, noise):
    """Whether gradients agree with slopes, entry by entry, up to the noise that the slopes have.

    Slopes may all be of size 1e-8, so the allowance grows with them, and with the largest of them,
    whose rounding disturbs the rest. The fixed 1e-12 is for terms that cancel, but not quite to 0.
    """
    largest = np.max(np.abs(b), initial=0.0, where=np.isfinite(b))
    allowed = 1e-5 * np.minimum(np.abs(a), np.abs(b)) + 1e-8 * largest + noise + 1e-12
    return np.isfinite(a) & np.isfinite(b) & (np.abs(a - b) <= allowed)


def _compare(trial, i, rng):
    """Check the gradient of input i, entry by entry. Returns how many entries lie at a kink."""
    got, slopes, x = trial.got[i], trial.slopes[i], np.asarray(trial.xs[i])
    if got.shape != x.shape:
        raise diagnose(trial, i, rng, found=got.shape, expected=x.shape)
    if trial.noise[i].max(initial=1e-6) > np.abs([got, slopes]).max(initial=1e-6):
        raise Mistake("rounding", i)
    wrong, kinks = trial.judged(i)
    if kinks and kinks == x.size:
        raise Mistake("kink", i)
    if wrong.any():
        distance = np.nan_to_num(np.abs(got - slopes), nan=np.inf)
        k = max(map(tuple, np.argwhere(wrong).tolist()), key=distance.__getitem__)
        spot = dict(entry=k, at=x[k], wrong=wrong)
        if not np.isfinite(slopes[k]) or any(np.isnan(y).any() for y in trial.ys):
            raise Mistake("outside-the-domain", i, **spot)
        raise diagnose(trial, i, rng, **spot)
    return kinks


def _call_again(trial, rng):
    """The same call gives the same gradients, whatever was computed in between."""
    trial.forward(trial.nearby(rng))
    once, again = trial.other(trial.gs), trial.other(trial.gs)
    _same("second-call-differs", once, again)
    _same("stale-context", trial.shares, again)


def _second_order(trial, rng):
    """Differentiate backward through nodes, and compare with differences of what it returns.

    That is a trial of one more function of nodes: of x and w ↦ Jᵀw. First along a random direction
    of each, which takes two runs for each; where that shows a mistake, or a kink, entry by entry.
    Returns True; None where there is no node to differentiate; None and the reason where the op
    can't be run on nodes.
    """
    n, call = len(trial.xs), trial.function.do_forward if trial.is_op else trial.function
    xs = [*trial.xs, *trial.gs]
    # No entry of a direction is small, or it would hide what is wrong there.
    us = [(u := rng.standard_normal(np.shape(x))) + np.sign(u) for x in xs]

    def pulled(*nodes):
        ys = as_tuple(call(*nodes[:n], **trial.constants))
        shares = _pull(ys, nodes[n:], nodes[:n], differentiable=True)
        return tuple(share for share in shares if share is not None)

    def along(*steps):
        return pulled(*[x + s * u if is_float(x) else x for x, s, u in zip(xs, steps, us)])

    try:
        second = Trial(along, {}, [*np.zeros(len(xs))], rng.standard_normal)
        if not all(map(second.agrees, second.floats)):
            second = Trial(pulled, {}, xs, rng.standard_normal)
    except Mistake as error:
        return None, error.facts.get("error", error.mistake)
    if any(second.judged(i)[0].any() for i in second.floats):
        raise Mistake("second-order")
    return (True if second.ys else None), ""


def _as_op(function):
    """A function of nodes as an op: its backward walks the list that its forward recorded."""

    def forward(context, *xs, **constants):
        context["nodes"] = nodes = [TensorNode(x) if is_float(x) else x for x in xs]
        context["ys"] = ys = as_tuple(function(*nodes, **constants))
        return tuple(getattr(y, "value", y) for y in ys)

    backward = lambda context, *gs: _pull(context["ys"], gs, context["nodes"])
    return type("Recorded", (Op,), {"forward": forward, "backward": backward})


def _pull(ys, gs, nodes, **options):
    """pull_back from those of the outputs that are nodes."""
    pairs = [(y, g) for y, g in zip(ys, gs) if isinstance(y, TensorNode)]
    return pull_back(*zip(*pairs), wrt=nodes, **options) if pairs else [None] * len(nodes)


def _same(mistake, first, again, **facts):
    """The same numbers both times, or it is this mistake."""
    if not all(np.array_equal(a, b, equal_nan=is_float(a)) for a, b in zip(first, again)):
        raise Mistake(mistake, **facts)
