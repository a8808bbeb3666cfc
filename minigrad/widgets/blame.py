"""What shape and blame shows: ops at small shapes, and what becomes of two mistakes in each.

Both mistakes are really made, in an op of the package, one input at a time; what is recorded is
what the package says.
"""

from functools import cache

import numpy as np

import minigrad as mg
from minigrad.core import Op


class LogSoftmax(Op):
    """y_ij = x_ij − ln Σ_k exp(x_ik);  x̄_ij = ȳ_ij − exp(y_ij) Σ_k ȳ_ik."""

    @staticmethod
    def forward(context, x):
        shifted = x - np.max(x, axis=1, keepdims=True)
        context["y"] = y = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
        return y

    @staticmethod
    def backward(context, gy):
        return gy - np.exp(context["y"]) * np.sum(gy, axis=1, keepdims=True)


TWO = [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 3), (2, 1)), ((2, 3), ()), ((2, 1), (1, 3))]
ONE_OF_EACH_ROW, ROW_0_TWICE = ([0, 1], [2, 0]), [0, 0, 1]

# op of the widget -> op of the package, and its settings: shapes of the inputs, constants
OPS = {
    "add": (mg.Add, [(shapes, {}) for shapes in TWO]),
    "multiply": (mg.Multiply, [(shapes, {}) for shapes in TWO]),
    "divide": (mg.Divide, [(shapes, {}) for shapes in TWO]),
    "matmul": (
        mg.MatMul,
        [(s, {}) for s in [((2, 3), (3, 2)), ((2, 3), (3, 3)), ((1, 3), (3, 2))]],
    ),
    "linear": (mg.ops.Affine, [(((2, 3), (3, 2), (2,)), {}), (((3, 2), (2, 2), (2,)), {})]),
    "expand": (mg.Expand, [((s,), {"shape": (2, 3)}) for s in [(2, 1), (1, 3), (3,), ()]]),
    "sum": (mg.Sum, [(((2, 3),), {"axis": axis}) for axis in (1, 0, None)]),
    "max": (mg.Max, [(((2, 3),), {"axis": axis}) for axis in (1, None)]),
    "transpose": (mg.Transpose, [(((2, 3),), {}), (((2, 2),), {})]),
    "index": (mg.Index, [(((2, 3),), {"index": i}) for i in (ONE_OF_EACH_ROW, ROW_0_TWICE)]),
    "exp": (mg.Exp, [(((2, 3),), {})]),
    "sigmoid": (mg.Sigmoid, [(((2, 3),), {})]),
    "log_softmax": (LogSoftmax, [(((2, 3),), {})]),
}

ENTRIES = {
    "matmul": [[1, 2, 3, 4, 5, 6], [1, 0, 2, -1, 0.5, 3, 2, 1, -2]],
    "linear": [[1, 2, 3, 4, 5, 6], [1, 0, 2, -1, 0.5, 3], [0.5, -1]],
    "max": [[1, 5, 2, 4, 0, 4]],
    "exp": [[0, 1, -1, 0.5, 2, -0.5]],
    "sigmoid": [[0, 1, -1, 0.5, 2, -0.5]],
    "log_softmax": [[1, 2, 3, 3, 1, 0]],
}
USUAL = [[1, 2, 3, 4, 5, 6], [2, 4, 5, 1, 8, 10]]


# op -> input -> the line without its transpose.  Each gets the context and the output's adjoint.
DROP = {
    "matmul": {0: lambda c, g: g @ c["y"], 1: lambda c, g: c["x"] @ g},
    "linear": {0: lambda c, g: g @ c["y"], 1: lambda c, g: c["x"] @ g},
    "transpose": {0: lambda c, g: g},
}


def _last_one_wins(c, g):
    x = np.zeros(c["shapes"][0])
    x[c["constants"]["index"]] = g
    return x


FORGET = {
    "add": {0: lambda c, g: g, 1: lambda c, g: g},
    "multiply": {0: lambda c, g: g * c["y"], 1: lambda c, g: g * c["x"]},
    "divide": {0: lambda c, g: g / c["y"], 1: lambda c, g: -g * c["x"] / c["y"] ** 2},
    "linear": {2: lambda c, g: g},
    "expand": {0: lambda c, g: g},
    "index": {0: _last_one_wins},
    "log_softmax": {0: lambda c, g: g - np.exp(c["y"]) * g},
}


def _broken(op, slot, line):
    """The op with one line of its backward replaced."""

    def backward(context, gy):
        shares = op.backward(context, gy)
        shares = list(shares) if isinstance(shares, tuple) else [shares]
        shares[slot] = line(context, gy)
        return tuple(shares)

    return type(op.__name__, (op,), {"backward": staticmethod(backward), "reuses": False})


def said(op, slot, line, inputs, constants):
    """{"verdict": "refused", "mended", "unnoticed" or "right", "words": what the package says}."""
    broken = _broken(op, slot, line)
    cotangent = np.random.default_rng(0).standard_normal(op.do_forward(*inputs, **constants).shape)
    context = {}
    op.forward(context, *inputs, **constants)
    try:
        shape = np.shape(line(context, cotangent))
        nodes = [mg.TensorNode(x) for x in inputs]
        broken.do_forward(*nodes, **constants).backward(cotangent)
    except ValueError as error:
        return {"verdict": "refused", "words": str(error)}
    if shape != np.shape(inputs[slot]):
        return {"verdict": "mended", "words": ""}
    report = mg.gradcheck(broken, *inputs, **constants)
    if report:
        return {"verdict": "right", "words": ""}
    words = str(report).splitlines()
    cause = [line for line in words if line.startswith("Likely cause")]
    return {"verdict": "unnoticed", "words": " ".join([words[0].split(". ")[0] + ".", *cause])}


def entries(name, shapes):
    """The numbers that the widget starts from."""
    pools = ENTRIES.get(name, USUAL)
    return [
        np.reshape(np.array(pool[: int(np.prod(shape))], float), shape)
        for pool, shape in zip(pools, shapes)
    ]


def _index(index):
    parts = index if isinstance(index, tuple) else (index,)
    return {"index": [{"take": list(part)} for part in parts]}


@cache
def recorded():
    """{op: [{shapes, constants, entries, drop, forget}, ...]}, as JSON takes it."""
    found = {}
    for name, (op, settings) in OPS.items():
        found[name] = []
        for shapes, constants in settings:
            inputs = entries(name, shapes)
            mistakes = {
                kind: {
                    str(slot): said(op, slot, line, inputs, constants)
                    for slot, line in table.get(name, {}).items()
                }
                for kind, table in [("drop", DROP), ("forget", FORGET)]
            }
            plain = _index(constants["index"]) if "index" in constants else constants
            plain = {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}
            numbers = [np.ravel(x).tolist() for x in inputs]
            setting = dict(shapes=[list(s) for s in shapes], constants=plain, entries=numbers)
            found[name].append(setting | mistakes)
    return found
