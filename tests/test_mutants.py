"""Every backward broken on purpose, in many ways: gradcheck must notice each, and say why.

Two kinds of mutants. The general ones spoil whatever a right backward returns, one input at a time.
The particular ones are wrong formulas, of the kind that people write for this op.

With each mutant stands its true cause, in the words of the catalogue: what was done to the formula,
not what the checker makes of it. Two or more names where they are the same mathematics: 1/x in the
place of 1/x² lacks a factor 1/x and has a factor x too many. A cause that the catalogue has no name
for ("missing-term") counts as a miss. `python tests/mutant_report.py` prints who was taken for
whom.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from ops_table import TABLE, label

import minigrad as mg
from minigrad import display, solutions


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


# A factor too few is its inverse too many.
FACTOR = "missing-factor extra-factor"

# (what is done, the true cause): how.
GENERAL = {
    ("sign", "sign"): lambda share, again, gs, shape: -share,
    ("constant factor", "constant-factor"): lambda share, again, gs, shape: 0.5 * share,
    ("slightly off", "constant-factor"): lambda share, again, gs, shape: 1.001 * share,
    ("zero", "zero-everywhere"): lambda share, again, gs, shape: 0.0 * share,
    (
        "ignores the incoming gradient",
        "ignores-the-incoming-gradient",
    ): lambda share, again, gs, shape: again(*map(np.ones_like, gs)),
    ("squares the incoming gradient", "not-linear"): lambda share, again, gs, shape: again(
        *(g * g for g in gs)
    ),
    ("adds one", "not-linear"): lambda share, again, gs, shape: share + 1.0,
    ("transposed", "transposed"): lambda share, again, gs, shape: np.transpose(share),
    ("sums everything", "extra-sum"): lambda share, again, gs, shape: np.sum(share),
    ("backwards", "misplaced"): lambda share, again, gs, shape: np.ravel(share)[::-1].reshape(
        np.shape(share)
    ),
    ("rolled", "misplaced"): lambda share, again, gs, shape: np.roll(share, 1),
    ("no return", "missing-return"): lambda share, again, gs, shape: None,
    ("last entry forgotten", "forgotten-entries extra-factor"): lambda share, again, gs, shape: (
        share * (np.arange(np.size(share)) < np.size(share) - 1).reshape(np.shape(share))
    ),
    ("mean over the repeats", "constant-factor"): reduced(np.mean),
    ("largest of the repeats", "wrong-function missing-sum"): reduced(np.max),
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

# op: {(what is wrong, the true cause): backward}. `c` is the context, `g` the incoming gradient.
PARTICULAR = {
    mg.Add: {
        ("halves", "constant-factor"): lambda c, g: (g / 2, g / 2),
        ("takes one twice", "constant-factor"): lambda c, g: (2 * g, 0 * g),
    },
    mg.Subtract: {
        ("as if it added", "sign"): lambda c, g: (g, g),
        ("other way round", "sign wrong-order"): lambda c, g: (-g, g),
    },
    mg.Multiply: {
        ("own factor", "wrong-order wrong-operand"): lambda c, g: (g * c["x"], g * c["y"]),
        ("sum of both", "extra-term"): lambda c, g: (g * (c["x"] + c["y"]), g * c["x"]),
    },
    mg.Divide: {
        ("1/y for 1/y^2", FACTOR): lambda c, g: (g / c["y"], -g * c["x"] / c["y"]),
        ("sign of the second", "sign"): lambda c, g: (g / c["y"], g * c["x"] / c["y"] ** 2),
        ("multiplies", f"wrong-function {FACTOR}"): lambda c, g: (
            g * c["y"],
            -g * c["x"] / c["y"] ** 2,
        ),
        ("wrong order", "wrong-order"): lambda c, g: (-g * c["x"] / c["y"] ** 2, g / c["y"]),
    },
    mg.Power: {
        ("exponent stays", FACTOR): lambda c, g: (
            g * c["p"] * c["x"] ** c["p"],
            g * c["x"] ** c["p"] * np.log(c["x"]),
        ),
        ("no logarithm", FACTOR): lambda c, g: (
            g * c["p"] * c["x"] ** (c["p"] - 1),
            g * c["x"] ** c["p"],
        ),
        ("no factor p", FACTOR): lambda c, g: (
            g * c["x"] ** (c["p"] - 1),
            g * c["x"] ** c["p"] * np.log(c["x"]),
        ),
    },
    mg.MatMul: {
        ("operands not transposed", "transposed-operand"): lambda c, g: (g @ c["y"], c["x"] @ g),
        ("right not transposed", "transposed-operand"): lambda c, g: (g @ c["y"], c["x"].T @ g),
        ("left not transposed", "transposed-operand"): lambda c, g: (g @ c["y"].T, c["x"] @ g),
        ("wrong order", "wrong-order"): lambda c, g: (c["x"].T @ g, g @ c["y"].T),
        ("order of the product", "wrong-operand"): lambda c, g: (c["y"].T @ g, g @ c["x"].T),
        ("entry by entry", "wrong-function"): lambda c, g: (g * c["y"], g * c["x"]),
    },
    mg.Negate: {
        ("forgets the minus", "sign"): lambda c, g: g,
        ("absolute", "not-linear"): lambda c, g: -np.abs(g),
    },
    mg.Exp: {
        ("power rule", "extra-term"): lambda c, g: g * (c["y"] - 1),
        ("square", FACTOR): lambda c, g: g * c["y"] ** 2,
    },
    mg.Log: {
        ("multiplies", f"wrong-function {FACTOR}"): lambda c, g: g * c["x"],
        ("square", FACTOR): lambda c, g: g / c["x"] ** 2,
        ("log again", "wrong-function output-for-input"): lambda c, g: g / np.log(c["x"]),
    },
    mg.Sin: {
        ("-cos", "sign"): lambda c, g: -g * np.cos(c["x"]),
        ("sin", "wrong-function"): lambda c, g: g * np.sin(c["x"]),
    },
    mg.Cos: {
        ("+sin", "sign"): lambda c, g: g * np.sin(c["x"]),
        ("cos", "wrong-function"): lambda c, g: -g * np.cos(c["x"]),
    },
    mg.Tan: {
        ("1 - y^2", "sign-of-a-term"): lambda c, g: g * (1 - c["y"] ** 2),
        ("1 + y", FACTOR): lambda c, g: g * (1 + c["y"]),
    },
    mg.Tanh: {
        ("1 + y^2", "sign-of-a-term"): lambda c, g: g * (1 + c["y"] ** 2),
        ("1 - y", FACTOR): lambda c, g: g * (1 - c["y"]),
        ("y(1 - y)", "wrong-function"): lambda c, g: g * c["y"] * (1 - c["y"]),
    },
    mg.Sigmoid: {
        ("forgets y", FACTOR): lambda c, g: g * (1 - c["y"]),
        ("forgets 1 - y", FACTOR): lambda c, g: g * c["y"],
        ("1 - y^2", FACTOR): lambda c, g: g * (1 - c["y"] ** 2),
        ("1 + y", "sign-of-a-term"): lambda c, g: g * c["y"] * (1 + c["y"]),
    },
    mg.Sqrt: {
        ("forgets the 2", "constant-factor"): lambda c, g: g / c["y"],
        ("2y", "wrong-function"): lambda c, g: g * 2 * c["y"],
    },
    mg.Abs: {
        ("always 1", f"wrong-where-negative {FACTOR}"): lambda c, g: g,
        ("step", "wrong-where-negative"): lambda c, g: g * (c["x"] > 0),
    },
    mg.Maximum: {
        ("to both", FACTOR): lambda c, g: (g, g),
        ("to the smaller", "wrong-order wrong-side"): lambda c, g: (
            np.where(c["first"], 0, g),
            np.where(c["first"], g, 0),
        ),
        ("halves", FACTOR): lambda c, g: (g / 2, g / 2),
    },
    mg.Where: {
        ("to both", FACTOR): lambda c, g: (None, g, g),
        ("the wrong way", "wrong-order wrong-side"): lambda c, g: (
            None,
            np.where(c["first"], 0, g),
            np.where(c["first"], g, 0),
        ),
    },
    mg.Sum: {
        ("mean", "constant-factor"): lambda c, g: (
            mg.Sum.adjoint(g, *c["shapes"], **c["constants"]) / c["shapes"][0][0]
        ),
        ("spreads the total", "extra-sum constant-factor"): lambda c, g: (
            np.zeros(c["shapes"][0]) + np.sum(g) / 12
        ),
    },
    mg.Max: {
        ("to all", FACTOR): lambda c, g: np.reshape(g, c["count"].shape) + 0 * c["largest"],
        ("to the others", "wrong-side"): lambda c, g: (
            np.reshape(g, c["count"].shape) * (1 - c["largest"] / c["count"])
        ),
    },
    mg.LogSumExp: {
        ("no softmax", FACTOR): lambda c, g: np.reshape(g, c["y"].shape) + 0 * c["x"],
        ("exp of x", FACTOR): lambda c, g: np.reshape(g, c["y"].shape) * np.exp(c["x"]),
        ("softmax of all", "wrong-axis"): lambda c, g: (
            np.reshape(g, c["y"].shape) * np.exp(c["x"]) / np.sum(np.exp(c["x"]))
        ),
    },
    mg.Transpose: {("flips", "misplaced"): lambda c, g: np.transpose(g)[::-1]},
    mg.Index: {("spreads", "extra-sum"): lambda c, g: np.zeros(c["shapes"][0]) + np.sum(g)},
    solutions.ReLU: {
        ("no mask", f"wrong-where-negative {FACTOR}"): lambda c, g: g,
        ("no incoming gradient", "ignores-the-incoming-gradient"): lambda c, g: 1.0 * (c["x"] > 0),
        ("mask of the gradient", "wrong-operand not-linear"): lambda c, g: g * (g > 0),
        ("wrong side", "wrong-side"): lambda c, g: g * (c["x"] < 0),
        ("keeps x", FACTOR): lambda c, g: g * np.maximum(c["x"], 0),
        ("leaks", "wrong-where-negative"): lambda c, g: g * np.where(c["x"] > 0, 1, 0.01),
    },
    solutions.Normalize: {
        ("first term alone", "missing-term"): lambda c, g: g / c["sum"],
        ("sum not kept", "missing-sum"): lambda c, g: g / c["sum"] - g * c["x"] / c["sum"] ** 2,
        ("1/s for 1/s^2", FACTOR): lambda c, g: (
            g / c["sum"] - np.sum(g * c["x"], axis=1, keepdims=True) / c["sum"]
        ),
        ("x outside the sum", "index-swap"): lambda c, g: (
            g / c["sum"] - np.sum(g, axis=1, keepdims=True) * c["x"] / c["sum"] ** 2
        ),
        ("wrong axis", "wrong-axis"): lambda c, g: (
            g / c["sum"] - np.sum(g * c["x"], axis=0, keepdims=True) / c["sum"] ** 2
        ),
        ("plus", "sign-of-a-term"): lambda c, g: (
            g / c["sum"] + np.sum(g * c["x"], axis=1, keepdims=True) / c["sum"] ** 2
        ),
        ("1/s^2 in both", FACTOR): lambda c, g: (
            g / c["sum"] ** 2 - np.sum(g * c["x"], axis=1, keepdims=True) / c["sum"] ** 2
        ),
    },
}


# One input is mistaken for another value that the op kept. For y = √x, 1/2x lacks a factor y; the
# sign of |x| is 1, and so is wrong where x is negative.
CONFUSED = {
    mg.Exp: {("input for output", "input-for-output"): (xy, lambda c, g: g * c["in0"])},
    mg.Log: {("output for input", "output-for-input"): (xy, lambda c, g: g / c["out"])},
    mg.Sin: {("output for input", "output-for-input"): (xy, lambda c, g: g * np.cos(c["out"]))},
    mg.Cos: {("output for input", "output-for-input"): (xy, lambda c, g: -g * np.sin(c["out"]))},
    mg.Tan: {("input for output", "input-for-output"): (xy, lambda c, g: g * (1 + c["in0"] ** 2))},
    mg.Tanh: {("input for output", "input-for-output"): (xy, lambda c, g: g * (1 - c["in0"] ** 2))},
    mg.Sigmoid: {
        ("input for output", "input-for-output"): (xy, lambda c, g: g * c["in0"] * (1 - c["in0"]))
    },
    mg.Sqrt: {
        ("input for output", "input-for-output missing-factor"): (
            xy,
            lambda c, g: g / (2 * c["in0"]),
        )
    },
    mg.Abs: {
        ("output for input", "output-for-input wrong-where-negative missing-factor"): (
            xy,
            lambda c, g: g * np.sign(c["out"]),
        )
    },
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
    """All mutants of one op: (name, true causes, the input that is spoiled or None, the mutant)."""
    floats = [i for i, domain in enumerate(row.domains) if domain != "mask"]
    for (name, causes), how in GENERAL.items():
        for i in floats:
            yield f"{name} (input {i})", causes, i, spoil(row.op, i, how)
    for (name, causes), backward in PARTICULAR.get(row.op, {}).items():
        yield name, causes, None, _broken(row.op, backward)
    for (name, causes), (kept, backward) in CONFUSED.get(row.op, {}).items():
        yield name, causes, None, _broken(_also(row.op, **kept), backward)


def true_causes(row, name, causes, position, inputs, constants):
    """The causes as a set; another where there is only one entry.

    To sum the share of an input of one entry is right, and only its shape is left to mistake. In a
    share of one entry the last one is all there is.
    """
    if name.startswith("sums everything") and inputs[position].size == 1:
        return {"reshape"}
    if name.startswith("last entry"):
        context = {}
        y = row.op.forward(context, *inputs, **constants)
        if np.size(_tuple(row.op.backward(context, np.ones_like(y)))[position]) == 1:
            return {"zero-everywhere"}
    return set(causes.split())


@dataclass
class Examined:
    """One mutant, and what gradcheck said of it at the first case where it differs from its op."""

    op: str
    name: str
    shapes: tuple
    causes: set
    report: object

    named = property(lambda self: self.report.mistake in self.causes)

    def __str__(self):
        true, said = " or ".join(sorted(self.causes)), self.report.mistake
        return f"{self.op}, {self.name}: {true}, taken for {said or 'nothing known'}"


def examine(row, rng):
    """Show every mutant of an op to gradcheck."""
    for name, causes, position, mutant in mutants(row):
        for shapes, constants in cases_for(row):
            inputs = row.inputs(shapes, rng)
            with np.errstate(all="ignore"):
                if is_right(row, mutant, inputs, constants):
                    continue
            report = mg.gradcheck(mutant, *inputs, **constants)
            causes = true_causes(row, name, causes, position, inputs, constants)
            yield Examined(row.name, name, shapes, causes, report)
            break


def share_named(examined):
    """The share of the mutants whose true cause is the first diagnosis."""
    return np.mean([one.named for one in examined])


found = {}


@pytest.mark.parametrize("row", TABLE, ids=label)
def test_every_mutant_is_caught(row, rng):
    examined = list(examine(row, rng))
    survivors = [f"{one.name} at {one.shapes}" for one in examined if one.report]
    assert not survivors
    assert len(examined) >= 8, f"only {examined}: too few ways of breaking {row.name}"
    found[row.name] = examined


def test_the_true_cause_is_named_for_four_mutants_in_five(capsys):
    if len(found) < len(TABLE):
        pytest.skip("measured only when all ops are tried")
    examined = [one for some in found.values() for one in some]
    missed = [str(one) for one in examined if not one.named]
    with capsys.disabled():
        print(f"\n{len(examined)} mutants of {len(found)} ops, all caught by gradcheck.")
        named = f"{share_named(examined):.1%}"
        print(f"The first diagnosis names the true cause of {named}. The others:")
        print(*missed, sep="\n")
    assert len(examined) >= 400
    assert share_named(examined) >= 0.8
    # Nor do the many easy ones hide the rest: formulas as people get them wrong.
    particular = [one for one in examined if "(input" not in one.name]
    assert len(particular) >= 75 and share_named(particular) >= 0.8


def test_the_measure_counts_a_wrong_name_as_a_miss(rng):
    """A checker that always says "sign" would name one cause in seventeen, not all of them."""
    row = next(row for row in TABLE if row.op is mg.Exp)
    examined = list(examine(row, rng))
    assert share_named(examined) > 0.8
    for one in examined:
        one.report.mistake = "sign"
    assert share_named(examined) == np.mean(["sign (" in one.name for one in examined]) < 0.1


def test_every_true_cause_is_a_name_of_the_catalogue():
    """Except where the catalogue has none; a misspelt name would only lower the share."""
    named = {n for row in TABLE for _, causes, _, _ in mutants(row) for n in causes.split()}
    assert named - set(display.DIAGNOSES) - set(display.REFUSALS) == {"missing-term"}


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
