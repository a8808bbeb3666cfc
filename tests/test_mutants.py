"""Every backward broken on purpose, in many ways: gradcheck must notice each of them.

Two kinds of mutants. The general ones spoil whatever a right backward returns, one input at a time.
The particular ones are wrong formulas, of the kind that people write for this op.
"""

import numpy as np
import pytest
from ops_table import TABLE, label

import minigrad as mg
from minigrad import ops, solutions


def spoil(op, position, how):
    """The op, with `how(share, backward again, goutputs, shape)` done to one gradient."""
    shapes = []

    class Mutant(op):
        @staticmethod
        def forward(context, *inputs, **constants):
            shapes[:] = [np.shape(inputs[position])]
            return op.forward(context, *inputs, **constants)

        @staticmethod
        def backward(context, *goutputs):
            again = lambda *gs: _tuple(op.backward(context, *gs))[position]
            shares = list(_tuple(op.backward(context, *goutputs)))
            shares[position] = how(shares[position], again, goutputs, shapes[0])
            return tuple(shares)

    Mutant.__name__ = op.__name__
    return Mutant


def _tuple(x):
    return x if isinstance(x, tuple) else (x,)


def reduced(reduce):
    """Not the sum over the axes along which an input was repeated, but another reduction."""

    def how(share, again, gs, shape):
        if np.shape(share) == shape:  # the op has summed; or nothing was repeated
            return share
        new = np.ndim(share) - len(shape)
        repeated = [new + axis for axis, n in enumerate(shape) if n == 1]
        return np.reshape(reduce(share, axis=(*range(new), *repeated)), shape)

    return how


GENERAL = {
    "sign": lambda share, again, gs, shape: -share,
    "constant factor": lambda share, again, gs, shape: 0.5 * share,
    "slightly off": lambda share, again, gs, shape: 1.001 * share,
    "zero": lambda share, again, gs, shape: 0.0 * share,
    "ignores the incoming gradient": lambda share, again, gs, shape: again(*map(np.ones_like, gs)),
    "squares the incoming gradient": lambda share, again, gs, shape: again(*(g * g for g in gs)),
    "adds one": lambda share, again, gs, shape: share + 1.0,
    "transposed": lambda share, again, gs, shape: np.transpose(share),
    "sums everything": lambda share, again, gs, shape: np.sum(share),
    "backwards": lambda share, again, gs, shape: np.ravel(share)[::-1].reshape(np.shape(share)),
    "rolled": lambda share, again, gs, shape: np.roll(share, 1),
    "no return": lambda share, again, gs, shape: None,
    "last entry forgotten": lambda share, again, gs, shape: (
        share * (np.arange(np.size(share)) < np.size(share) - 1).reshape(np.shape(share))
    ),
    "mean over the repeats": reduced(np.mean),
    "largest of the repeats": reduced(np.max),
}


def _broken(op, backward):
    Mutant = type(op.__name__, (op,), {"backward": staticmethod(backward)})
    return Mutant


def _also(op, **kept):
    """The op with a forward that also keeps more, so that a formula can misuse it."""

    def forward(context, *inputs, **constants):
        y = op.forward(context, *inputs, **constants)
        context.update({name: value(y, *inputs) for name, value in kept.items()})
        return y

    return type(op.__name__, (op,), {"forward": staticmethod(forward)})


xy = dict(in0=lambda y, *inputs: inputs[0], out=lambda y, *inputs: y)

# op: {what is wrong: backward}. `c` is the context, `g` the incoming gradient.
PARTICULAR = {
    mg.Add: {"halves": lambda c, g: (g / 2, g / 2), "takes one twice": lambda c, g: (2 * g, 0 * g)},
    mg.Subtract: {"as if it added": lambda c, g: (g, g), "other way round": lambda c, g: (-g, g)},
    mg.Multiply: {
        "own factor": lambda c, g: (g * c["x"], g * c["y"]),
        "sum of both": lambda c, g: (g * (c["x"] + c["y"]), g * c["x"]),
    },
    mg.Divide: {
        "1/y for 1/y^2": lambda c, g: (g / c["y"], -g * c["x"] / c["y"]),
        "sign of the second": lambda c, g: (g / c["y"], g * c["x"] / c["y"] ** 2),
        "multiplies": lambda c, g: (g * c["y"], -g * c["x"] / c["y"] ** 2),
        "wrong order": lambda c, g: (-g * c["x"] / c["y"] ** 2, g / c["y"]),
    },
    mg.Power: {
        "exponent stays": lambda c, g: (
            g * c["p"] * c["x"] ** c["p"],
            g * c["x"] ** c["p"] * np.log(c["x"]),
        ),
        "no logarithm": lambda c, g: (g * c["p"] * c["x"] ** (c["p"] - 1), g * c["x"] ** c["p"]),
        "no factor p": lambda c, g: (
            g * c["x"] ** (c["p"] - 1),
            g * c["x"] ** c["p"] * np.log(c["x"]),
        ),
    },
    mg.MatMul: {
        "operands not transposed": lambda c, g: (g @ c["y"], c["x"] @ g),
        "right not transposed": lambda c, g: (g @ c["y"], c["x"].T @ g),
        "left not transposed": lambda c, g: (g @ c["y"].T, c["x"] @ g),
        "wrong order": lambda c, g: (c["x"].T @ g, g @ c["y"].T),
        "order of the product": lambda c, g: (c["y"].T @ g, g @ c["x"].T),
        "entry by entry": lambda c, g: (g * c["y"], g * c["x"]),
    },
    mg.Negate: {"forgets the minus": lambda c, g: g, "absolute": lambda c, g: -np.abs(g)},
    mg.Exp: {"power rule": lambda c, g: g * (c["y"] - 1), "square": lambda c, g: g * c["y"] ** 2},
    mg.Log: {
        "multiplies": lambda c, g: g * c["x"],
        "square": lambda c, g: g / c["x"] ** 2,
        "log again": lambda c, g: g / np.log(c["x"]),
    },
    mg.Sin: {"-cos": lambda c, g: -g * np.cos(c["x"]), "sin": lambda c, g: g * np.sin(c["x"])},
    mg.Cos: {"+sin": lambda c, g: g * np.sin(c["x"]), "cos": lambda c, g: -g * np.cos(c["x"])},
    mg.Tan: {"1 - y^2": lambda c, g: g * (1 - c["y"] ** 2), "1 + y": lambda c, g: g * (1 + c["y"])},
    mg.Tanh: {
        "1 + y^2": lambda c, g: g * (1 + c["y"] ** 2),
        "1 - y": lambda c, g: g * (1 - c["y"]),
        "y(1 - y)": lambda c, g: g * c["y"] * (1 - c["y"]),
    },
    mg.Sigmoid: {
        "forgets y": lambda c, g: g * (1 - c["y"]),
        "forgets 1 - y": lambda c, g: g * c["y"],
        "1 - y^2": lambda c, g: g * (1 - c["y"] ** 2),
        "1 + y": lambda c, g: g * c["y"] * (1 + c["y"]),
    },
    mg.Sqrt: {"forgets the 2": lambda c, g: g / c["y"], "2y": lambda c, g: g * 2 * c["y"]},
    mg.Abs: {"always 1": lambda c, g: g, "step": lambda c, g: g * (c["sign"] > 0)},
    mg.Maximum: {
        "to both": lambda c, g: (g, g),
        "to the smaller": lambda c, g: (np.where(c["first"], 0, g), np.where(c["first"], g, 0)),
        "halves": lambda c, g: (g / 2, g / 2),
    },
    mg.Where: {
        "to both": lambda c, g: (None, g, g),
        "the wrong way": lambda c, g: (None, np.where(c["mask"], 0, g), np.where(c["mask"], g, 0)),
    },
    mg.Sum: {
        "mean": lambda c, g: (
            np.broadcast_to(np.reshape(g, ops._kept(c["shape"], c["axis"])), c["shape"])
            / c["shape"][0]
        ),
        "spreads the total": lambda c, g: np.zeros(c["shape"]) + np.sum(g) / 12,
    },
    mg.Max: {
        "to all": lambda c, g: np.reshape(g, c["kept"]) + 0 * c["share"],
        "to the others": lambda c, g: np.reshape(g, c["kept"]) * (1 - c["share"]),
    },
    mg.LogSumExp: {
        "no softmax": lambda c, g: np.reshape(g, c["kept"]) + 0 * c["x"],
        "exp of x": lambda c, g: np.reshape(g, c["kept"]) * np.exp(c["x"]),
        "softmax of all": lambda c, g: (
            np.reshape(g, c["kept"]) * np.exp(c["x"]) / np.sum(np.exp(c["x"]))
        ),
    },
    mg.Transpose: {"flips": lambda c, g: np.transpose(g)[::-1]},
    mg.Index: {"spreads": lambda c, g: np.zeros(c["shape"]) + np.sum(g)},
    solutions.ReLU: {
        "no mask": lambda c, g: g,
        "no incoming gradient": lambda c, g: 1.0 * (c["x"] > 0),
        "mask of the gradient": lambda c, g: g * (g > 0),
        "wrong side": lambda c, g: g * (c["x"] < 0),
        "keeps x": lambda c, g: g * np.maximum(c["x"], 0),
        "leaks": lambda c, g: g * np.where(c["x"] > 0, 1, 0.01),
    },
    solutions.Normalize: {
        "first term alone": lambda c, g: g / c["sum"],
        "sum not kept": lambda c, g: g / c["sum"] - g * c["x"] / c["sum"] ** 2,
        "1/s for 1/s^2": lambda c, g: (
            g / c["sum"] - np.sum(g * c["x"], axis=1, keepdims=True) / c["sum"]
        ),
        "x outside the sum": lambda c, g: (
            g / c["sum"] - np.sum(g, axis=1, keepdims=True) * c["x"] / c["sum"] ** 2
        ),
        "wrong axis": lambda c, g: (
            g / c["sum"] - np.sum(g * c["x"], axis=0, keepdims=True) / c["sum"] ** 2
        ),
        "plus": lambda c, g: (
            g / c["sum"] + np.sum(g * c["x"], axis=1, keepdims=True) / c["sum"] ** 2
        ),
        "1/s^2 in both": lambda c, g: (
            g / c["sum"] ** 2 - np.sum(g * c["x"], axis=1, keepdims=True) / c["sum"] ** 2
        ),
    },
}

# One input is mistaken for another value that the op kept.
CONFUSED = {
    mg.Exp: {"input for output": (xy, lambda c, g: g * c["in0"])},
    mg.Log: {"output for input": (xy, lambda c, g: g / c["out"])},
    mg.Sin: {"output for input": (xy, lambda c, g: g * np.cos(c["out"]))},
    mg.Cos: {"output for input": (xy, lambda c, g: -g * np.sin(c["out"]))},
    mg.Tan: {"input for output": (xy, lambda c, g: g * (1 + c["in0"] ** 2))},
    mg.Tanh: {"input for output": (xy, lambda c, g: g * (1 - c["in0"] ** 2))},
    mg.Sigmoid: {"input for output": (xy, lambda c, g: g * c["in0"] * (1 - c["in0"]))},
    mg.Sqrt: {"input for output": (xy, lambda c, g: g / (2 * c["in0"]))},
    mg.Abs: {"output for input": (xy, lambda c, g: g * np.sign(c["out"]))},
}


def cases_for(row):
    """Shapes at which a mistake can show: matrices, square ones too, and broadcasting."""
    matrices = [case for case in row.cases if max(map(len, case[0])) == 2]
    return matrices or row.cases


def gradients(op, inputs, constants):
    """What the engine makes of an op with a random cotangent; None where it refuses the op."""
    nodes = [mg.TensorNode(x) if x.dtype.kind == "f" else x for x in inputs]
    y = op.do_forward(*nodes, **constants)
    try:
        y.backward(np.random.default_rng(3).standard_normal(y.shape))
    except (TypeError, ValueError):
        return None
    return [x.grad for x in nodes if isinstance(x, mg.TensorNode)]


def is_right(row, mutant, inputs, constants):
    """Whether the mutant gives what the op gives: at these shapes it is no mutant."""
    right, got = (gradients(op, inputs, constants) for op in (row.op, mutant))
    return got is not None and all(np.allclose(a, b, 1e-6, 1e-9) for a, b in zip(right, got))


def mutants(row):
    """All mutants of one op, by name."""
    floats = [i for i, domain in enumerate(row.domains) if domain != "mask"]
    for name, how in GENERAL.items():
        for i in floats:
            yield f"{name} (input {i})", spoil(row.op, i, how)
    for name, backward in PARTICULAR.get(row.op, {}).items():
        yield name, _broken(row.op, backward)
    for name, (kept, backward) in CONFUSED.get(row.op, {}).items():
        yield name, _broken(_also(row.op, **kept), backward)


counted = {}


@pytest.mark.parametrize("row", TABLE, ids=label)
def test_every_mutant_is_caught(row, rng):
    """At the first case where the mutant differs from the op, gradcheck says so."""
    survivors, caught = [], []
    for name, mutant in mutants(row):
        for shapes, constants in cases_for(row):
            inputs = row.inputs(shapes, rng)
            with np.errstate(all="ignore"):
                if is_right(row, mutant, inputs, constants):
                    continue
            report = mg.gradcheck(mutant, *inputs, **constants)
            (survivors if report else caught).append(f"{name} at {shapes}")
            break
    assert not survivors
    assert len(caught) >= 8, f"only {caught}: too few ways of breaking {row.name}"
    counted[row.name] = len(caught)


def test_the_mutants_are_counted(capsys):
    if len(counted) < len(TABLE):
        pytest.skip("counted only when all ops are tried")
    with capsys.disabled():
        print(f"\n{sum(counted.values())} mutants of {len(counted)} ops, all caught by gradcheck")
    assert sum(counted.values()) >= 400


def test_a_checker_that_seeds_with_ones_would_miss_mutants(rng):
    """Why the cotangent is random: rows of Normalize sum to one, so ones see a gradient of zero."""
    zero = _broken(solutions.Normalize, lambda c, g: 0.0 * g)
    x = rng.uniform(0.5, 2.0, (3, 4))
    context = {}
    zero.forward(context, x)
    right_context = {}
    solutions.Normalize.forward(right_context, x)
    ones = np.ones((3, 4))
    blind = solutions.Normalize.backward(right_context, ones) - zero.backward(context, ones)
    assert np.max(np.abs(blind)) < 1e-15
    assert not mg.gradcheck(zero, x)
