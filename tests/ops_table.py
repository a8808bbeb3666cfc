"""One table of all ops, that drives every test of ops.

A row says where an op is defined (the domain of each input), at which shapes and constants to try
it, and what it is in the words of three others: HIPS autograd, sympy and PyTorch. An op of minigrad
that is not in the table fails `test_ops.test_every_op_is_in_the_table`.
"""

from dataclasses import dataclass, field

import numpy as np
import sympy

import minigrad as mg
from minigrad import functions, ops, solutions

# Each can be broadcast against each other one.
SHAPES = [(), (1,), (1, 3), (4, 1), (4, 3)]
MASK = "mask"  # the domain of an input of True and False, which takes no gradient

ANY, POSITIVE, UNIT = (-2.0, 2.0), (0.5, 2.0), (-1.2, 1.2)


@dataclass
class Row:
    """One op.

    `domains`   (low, high) of the entries of each input, or MASK
    `cases`     [(shapes of the inputs, constants), ...]
    `autograd`  the same function, of (autograd.numpy, *arrays, **constants)
    `torch`     of (torch, *tensors, **constants)
    `sympy`     of (*arrays of symbols, **constants)
    `zero_from` the order from which on all derivatives are zero: 2 for an op without a curve
                (piecewise linear), 3 for a product of two inputs, None if that never happens
    """

    op: type
    domains: list
    cases: list
    autograd: callable
    torch: callable
    sympy: callable
    zero_from: int | None = None
    name: str = field(init=False)

    def __post_init__(self):
        self.name = self.op.__name__

    def inputs(self, shapes, rng, dtype=float):
        """Random inputs from the domains. No two entries are equal: ties have their own tests."""
        made = []
        for domain, shape in zip(self.domains, shapes, strict=True):
            if domain is MASK:
                made.append(np.asarray(rng.random(shape) < 0.5))
            else:
                n = int(np.prod(shape))
                places = (rng.permutation(n) + rng.uniform(0.2, 0.8, n)) / n
                values = domain[0] + (domain[1] - domain[0]) * places
                made.append(np.asarray(values.reshape(shape), dtype))
        return made


def entrywise(function):
    """A sympy function on arrays of symbols."""
    return np.vectorize(function, otypes=[object])


ONE = [((shape,), {}) for shape in SHAPES]
TWO = [((left, right), {}) for left in SHAPES for right in SHAPES]
AXES = [
    (((4, 3),), {"axis": axis, "keepdims": keep})
    for axis in (None, 0, 1, -1, (0, 1))
    for keep in (False, True)
] + [(((),), {}), (((3,),), {"axis": 0}), (((2, 3, 4),), {"axis": (0, -1)})]
MATRICES = [
    (((4, 2), (2, 3)), {}),
    (((3, 3), (3, 3)), {}),
    (((3,), (3,)), {}),
    (((3,), (3, 2)), {}),
    (((2, 3), (3,)), {}),
    (((1, 3), (3, 1)), {}),
    (((5, 2, 3), (3, 2)), {}),
    (((2, 3), (5, 3, 2)), {}),
    (((5, 1, 2, 3), (4, 3, 2)), {}),
    (((3,), (4, 3, 2)), {}),
    (((4, 2, 3), (3,)), {}),
]
INDICES = [
    ((4, 3), 1),
    ((4, 3), (2, 1)),
    ((4, 3), slice(1, None, 2)),
    ((4, 3), (slice(None), -1)),
    ((4, 3), (slice(None), None, 1)),
    ((4, 3), ([0, 2, 2], [1, 0, 0])),  # the same entry twice: it gets both gradients
    ((4, 3), np.array([[0, 1], [1, 3]])),
    ((4, 3), np.arange(12).reshape(4, 3) % 5 == 0),
    ((3,), Ellipsis),
    ((), ()),
]


def unary(op, domain, autograd, torch, formula, zero_from=None):
    return Row(op, [domain], ONE, autograd, torch, entrywise(formula), zero_from)


def binary(op, domains, both, torch=None, formula=None, zero_from=None):
    """`both` is written with operators, and so serves autograd, PyTorch and sympy alike."""
    plain = lambda _, x, y: both(x, y)
    return Row(op, domains, TWO, plain, torch or plain, formula or both, zero_from)


def over_axes(op, autograd, torch, formula, zero_from=None):
    """`formula` takes all entries that are reduced to one."""

    def symbols(x, axis=None, keepdims=False):
        axes = (
            tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        )
        axes = {a % x.ndim for a in axes}
        kept = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
        groups = {}
        for k in np.ndindex(x.shape):
            groups.setdefault(tuple(0 if a in axes else n for a, n in enumerate(k)), []).append(
                x[k]
            )
        y = np.empty(kept, object)
        for k, entries in groups.items():
            y[k] = formula(*entries)
        return y if keepdims else np.squeeze(y, tuple(sorted(axes)))

    cases = AXES if op is not ops.LogSumExp else AXES[:-3] + AXES[-2:]
    return Row(op, [ANY], cases, autograd, torch, symbols, zero_from)


def torch_axes(function, all_at_once):
    def on_tensors(torch, x, axis=None, keepdims=False):
        axis = tuple(range(x.ndim)) if axis is None else axis
        return function(torch, x, axis, keepdims) if x.ndim else all_at_once(x)

    return on_tensors


def cross_entropy_of(np_, x, labels):
    """Written out, with one-hot labels and no care for large logits."""
    hot = np.eye(x.shape[1])[labels]
    return np_.sum(np_.log(np_.sum(np_.exp(x), axis=1)) - np_.sum(hot * x, axis=1)) / len(hot)


class NamesOfSympy:
    """The few functions of `cross_entropy_of`, on arrays of symbols."""

    sum, exp, log = np.sum, entrywise(sympy.exp), entrywise(sympy.log)


def scatter(np_, x, shape, index):
    """Zeros with x put at rows that do not repeat, which is all that the reference must do."""
    rows = [x[list(index).index(n)] if n in index else 0.0 * x[0] for n in range(shape[0])]
    return np_.stack(rows)


def pieces(n):
    return [ANY] * n


TABLE = [
    binary(mg.Add, [ANY, ANY], lambda x, y: x + y, zero_from=2),
    binary(mg.Subtract, [ANY, ANY], lambda x, y: x - y, zero_from=2),
    binary(mg.Multiply, [ANY, ANY], lambda x, y: x * y, zero_from=3),
    binary(mg.Divide, [ANY, POSITIVE], lambda x, y: x / y),
    binary(mg.Power, [POSITIVE, ANY], lambda x, y: x**y),
    Row(
        mg.Maximum,
        [ANY, ANY],
        TWO,
        lambda np_, x, y: np_.maximum(x, y),
        lambda torch, x, y: torch.maximum(x, y),
        np.vectorize(sympy.Max, otypes=[object]),
        zero_from=2,
    ),
    Row(
        mg.Where,
        [MASK, ANY, ANY],
        [
            ((a, b, c), {})
            for a, b, c in [((4, 3), (4, 3), (4, 3)), ((4, 1), (1, 3), ()), ((), (1,), (4, 1))]
        ],
        lambda np_, mask, x, y: mask * x + ~mask * y,  # autograd's own where can't broadcast
        lambda torch, mask, x, y: torch.where(mask, x, y),
        np.where,
        zero_from=2,
    ),
    Row(
        mg.MatMul,
        [ANY, ANY],
        MATRICES,
        lambda np_, x, y: np_.matmul(x, y),
        lambda torch, x, y: torch.matmul(x, y),
        np.matmul,
        zero_from=3,
    ),
    Row(
        ops.Affine,
        [ANY, ANY, ANY],
        [((shape, (2, 3), (3,)), {}) for shape in [(4, 2), (1, 2), (2,), (5, 4, 2)]],
        lambda np_, x, w, b: np_.matmul(x, w) + b,
        lambda torch, x, w, b: torch.nn.functional.linear(x, w.T, b),
        lambda x, w, b: np.matmul(x, w) + b,
        zero_from=3,
    ),
    unary(mg.Negate, ANY, lambda np_, x: -x, lambda torch, x: -x, lambda x: -x, zero_from=2),
    unary(mg.Exp, ANY, lambda np_, x: np_.exp(x), lambda torch, x: torch.exp(x), sympy.exp),
    unary(mg.Log, POSITIVE, lambda np_, x: np_.log(x), lambda torch, x: torch.log(x), sympy.log),
    unary(mg.Sin, ANY, lambda np_, x: np_.sin(x), lambda torch, x: torch.sin(x), sympy.sin),
    unary(mg.Cos, ANY, lambda np_, x: np_.cos(x), lambda torch, x: torch.cos(x), sympy.cos),
    unary(mg.Tan, UNIT, lambda np_, x: np_.tan(x), lambda torch, x: torch.tan(x), sympy.tan),
    unary(mg.Tanh, ANY, lambda np_, x: np_.tanh(x), lambda torch, x: torch.tanh(x), sympy.tanh),
    unary(
        mg.Sqrt, POSITIVE, lambda np_, x: np_.sqrt(x), lambda torch, x: torch.sqrt(x), sympy.sqrt
    ),
    unary(
        mg.Sigmoid,
        ANY,
        lambda np_, x: 1.0 / (1.0 + np_.exp(-x)),
        lambda torch, x: torch.sigmoid(x),
        lambda x: 1 / (1 + sympy.exp(-x)),
    ),
    unary(
        mg.Abs,
        ANY,
        lambda np_, x: np_.abs(x),
        lambda torch, x: torch.abs(x),
        sympy.Abs,
        zero_from=2,
    ),
    unary(
        solutions.ReLU,
        ANY,
        lambda np_, x: np_.where(x > 0, x, 0.0),
        lambda torch, x: torch.relu(x),
        lambda x: sympy.Max(x, 0),
        zero_from=2,
    ),
    Row(
        solutions.Normalize,
        [POSITIVE],
        [(((4, 3),), {}), (((1, 3),), {}), (((4, 1),), {})],
        lambda np_, x: x / np_.sum(x, axis=1, keepdims=True),
        lambda torch, x: x / torch.sum(x, dim=1, keepdim=True),
        lambda x: x / np.sum(x, axis=1, keepdims=True),
    ),
    over_axes(
        mg.Sum,
        lambda np_, x, **c: np_.sum(x, **c),
        torch_axes(lambda torch, x, a, k: torch.sum(x, a, k), lambda x: x + 0.0),
        lambda *entries: sum(entries),
        zero_from=2,
    ),
    over_axes(
        mg.Mean,
        lambda np_, x, **c: np_.mean(x, **c),
        torch_axes(lambda torch, x, a, k: torch.mean(x, a, k), lambda x: x + 0.0),
        lambda *entries: sum(entries) / sympy.Integer(len(entries)),
        zero_from=2,
    ),
    over_axes(
        mg.Max,
        lambda np_, x, **c: np_.max(x, **c),
        torch_axes(lambda torch, x, a, k: torch.amax(x, a, k), lambda x: x + 0.0),
        sympy.Max,
        zero_from=2,
    ),
    over_axes(
        mg.LogSumExp,
        lambda np_, x, **c: np_.log(np_.sum(np_.exp(x), **c)),
        torch_axes(lambda torch, x, a, k: torch.logsumexp(x, a, k), lambda x: x + 0.0),
        lambda *entries: sympy.log(sum(map(sympy.exp, entries))),
    ),
    Row(
        ops.CrossEntropy,
        [ANY],
        [
            (((4, 3),), {"labels": np.array([0, 2, 1, 1])}),
            (((1, 3),), {"labels": np.array([2])}),
            (((3, 2),), {"labels": np.array([1, 0, 1], np.uint8)}),
        ],
        lambda np_, x, labels: cross_entropy_of(np_, x, labels),
        lambda torch, x, labels: torch.nn.functional.cross_entropy(
            x, torch.tensor(labels.astype(int))
        ),
        lambda x, labels: cross_entropy_of(NamesOfSympy, x, labels),
    ),
    Row(
        mg.Reshape,
        [ANY],
        [(((4, 3),), {"shape": (2, 6)}), (((4, 3),), {"shape": -1}), (((),), {"shape": (1, 1)})],
        lambda np_, x, shape: np_.reshape(x, shape),
        lambda torch, x, shape: torch.reshape(x, shape if isinstance(shape, tuple) else (shape,)),
        lambda x, shape: np.reshape(x, shape),
        zero_from=2,
    ),
    Row(
        mg.Transpose,
        [ANY],
        [
            (((4, 3),), {}),
            (((3, 3),), {}),
            (((2, 3, 4),), {"axes": (1, 2, 0)}),
            (((2, 3, 4),), {"axes": (0, -1, 1)}),
            (((3,),), {}),
        ],
        # autograd gets the gradient of negative axes wrong
        lambda np_, x, axes=None: np_.transpose(x, axes and [a % x.ndim for a in axes]),
        lambda torch, x, axes=None: torch.permute(x, axes or tuple(reversed(range(x.ndim)))),
        lambda x, axes=None: np.transpose(x, axes),
        zero_from=2,
    ),
    Row(
        mg.Expand,
        [ANY],
        [((shape,), {"shape": (4, 3)}) for shape in SHAPES] + [(((4, 1),), {"shape": (2, 4, 3)})],
        lambda np_, x, shape: x * np.ones(shape),
        lambda torch, x, shape: x.expand(shape),
        lambda x, shape: np.broadcast_to(x, shape),
        zero_from=2,
    ),
    Row(
        mg.Index,
        [ANY],
        [((shape,), {"index": index}) for shape, index in INDICES],
        lambda np_, x, index: x[index],
        lambda torch, x, index: x[index],
        lambda x, index: np.asarray(x[index]),
        zero_from=2,
    ),
    Row(
        ops.Scatter,
        [ANY],
        [(((2, 3),), {"shape": (4, 3), "index": [2, 0]})],
        scatter,
        scatter,
        lambda x, shape, index: scatter(np, x, shape, index),
        zero_from=2,
    ),
    Row(
        mg.Concatenate,
        pieces(3),
        [(((4, 3), (1, 3), (2, 3)), {"axis": 0}), (((2, 1), (2, 2), (2, 3)), {"axis": -1})],
        lambda np_, *arrays, axis: np_.concatenate(arrays, axis),
        lambda torch, *arrays, axis: torch.cat(arrays, axis),
        lambda *arrays, axis: np.concatenate(arrays, axis),
        zero_from=2,
    ),
    Row(
        mg.Stack,
        pieces(2),
        [
            ((shape, shape), {"axis": axis})
            for shape, axis in [((), 0), ((3,), 1), ((4, 3), -1), ((4, 3), 1)]
        ],
        lambda np_, *arrays, axis: np_.stack(arrays, axis),
        lambda torch, *arrays, axis: torch.stack(arrays, axis),
        lambda *arrays, axis: np.stack(arrays, axis),
        zero_from=2,
    ),
    Row(
        ops.Cast,
        [ANY],
        [((shape,), {"dtype": np.dtype(float)}) for shape in SHAPES],
        lambda np_, x, dtype: x * 1.0,
        lambda torch, x, dtype: x.to(torch.float64),
        lambda x, dtype: x,
        zero_from=2,
    ),
    Row(
        functions.Checkpoint,
        [ANY],
        [((shape,), {"f": np.sin}) for shape in SHAPES],
        lambda np_, x, f: np_.sin(x),
        lambda torch, x, f: torch.sin(x),
        lambda x, f: entrywise(sympy.sin)(x),
    ),
]

# Every row at every one of its cases, for pytest.mark.parametrize.
CASES = [(row, shapes, constants) for row in TABLE for shapes, constants in row.cases]


def label(value):
    """The name of a parametrised test."""
    return value.name if isinstance(value, Row) else str(value).replace(" ", "")
