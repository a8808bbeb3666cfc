"""mg.gradcheck: a right op is right, and each mistake's canonical example gets the right name."""

import re

import numpy as np
import pytest
from ops_table import TABLE, label

import minigrad as mg
from minigrad import checker, display
from minigrad.solutions import Normalize, ReLU

X = np.array([[0.3, -1.2, 0.7], [1.9, -0.4, -2.2], [0.6, 1.1, -0.8]])
POSITIVE = np.abs(X) + 0.2


def op(forward, backward, name="Mine"):
    return type(
        name, (mg.Op,), {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    )


def of(right, backward, name="Mine"):
    """A right forward with another backward."""
    return op(right.forward, backward, name)


def keeping(**kept):
    """A forward that computes y and keeps x and y: `keeping(y=np.sin)`."""

    def forward(context, x):
        context["x"] = x
        context["y"] = kept["y"](x)
        return context["y"]

    return forward


# Right.


def test_the_report_of_a_right_op():
    report = mg.gradcheck(ReLU, X)
    assert report
    assert str(report) == (
        "ReLU: the gradient of its input agrees with finite differences (9 entries), "
        "and so do the second derivatives."
    )
    assert report.mistake is report.input is report.entry is None
    assert report.second_order is True
    np.testing.assert_allclose(report.analytic[0], report.numeric[0], rtol=1e-6)
    assert np.linalg.norm(report.analytic[0]) > 0


def test_functions_of_nodes_are_checked_like_ops():
    f = lambda x1, x2: np.log(x1) + x1 * x2 - np.sin(x2)
    report = mg.gradcheck(f, 2.0, 5.0)
    assert report and report.second_order is True
    assert str(report).startswith("the function: the gradients of its 2 inputs agree")
    ratio = report.analytic[0] / report.analytic[1]
    assert ratio == pytest.approx(5.5 / (2 - np.cos(5)), rel=1e-12)


def test_nodes_numbers_constants_and_integer_arrays():
    assert mg.gradcheck(mg.Multiply, mg.TensorNode(X), 3)
    assert mg.gradcheck(mg.Sum, X, axis=1, keepdims=True)
    labels = np.array([0, 2, 1])
    report = mg.gradcheck(mg.cross_entropy, X, labels)
    assert report
    assert report.analytic[1] is None
    assert mg.gradcheck(mg.Where, X > 0, X, 2 * X)
    assert mg.gradcheck(mg.Tanh, X.astype(np.float32))  # checked in float64


def test_several_outputs_and_an_output_that_depends_on_nothing():
    both = lambda x: (np.sin(x), np.exp(x))
    assert mg.gradcheck(both, X)
    assert mg.gradcheck(lambda x: (x * 2.0, np.ones(3)), X)
    assert mg.gradcheck(lambda x, y: x * 2.0, X, X)  # y is not used: its gradient is zero


def test_broadcasting_that_the_engine_undoes_is_no_mistake():
    """A backward may return the shape of the output: core sums it, and gradcheck agrees."""
    assert mg.gradcheck(of(mg.Add, lambda c, g: (g, g)), X, X[0])
    assert mg.gradcheck(of(mg.Multiply, lambda c, g: (g * c["y"], g * c["x"])), X, X[:, :1])


def test_the_inputs_are_left_alone():
    x = X.copy()
    mg.gradcheck(ReLU, x)
    np.testing.assert_array_equal(x, X)
    node = mg.TensorNode(x)
    mg.gradcheck(ReLU, node)
    assert np.all(node.grad == 0)


def test_the_same_report_each_time():
    wrong = of(mg.Sin, lambda c, g: g * np.sin(c["x"]))
    assert str(mg.gradcheck(wrong, X)) == str(mg.gradcheck(wrong, X))


# The names of mistakes.


def normalize(backward):
    return of(Normalize, backward, "Normalize")


scratch = {}


def remembers_outside():
    def forward(context, x):
        scratch["x"] = x
        return np.sin(x)

    return op(forward, lambda c, g: g * np.cos(scratch["x"]))


def adds_up():
    def backward(context, g):
        context["sum"] = context.get("sum", 0.0) + g * np.cos(context["x"])
        return context["sum"]

    return of(mg.Sin, backward)


def masks_in_place(context, g):
    g[context["x"] <= 0] = 0.0
    return g


def clips_in_place(context, x):
    context["x"] = x.copy()
    x[x < 0] = 0.0
    return x


def draws(context, x):
    context["mask"] = np.random.random(np.shape(x)) < 0.5
    return x * context["mask"]


def squares_in_a_loop(context, x):
    """A forward that no node can take: the list of its backward is recorded beside arrays."""
    context["x"] = np.array([entry for entry in x.flat]).reshape(x.shape)
    return context["x"] ** 2


def untracked(context, x):
    context["y"] = y = np.exp(getattr(x, "value", x))
    return np.exp(x) if isinstance(x, mg.TensorNode) else y


MISTAKES = [
    # name, op, inputs, what the message must say
    ("sign", of(mg.Sin, lambda c, g: -g * np.cos(c["x"])), (X,), "sign"),
    ("constant-factor", of(mg.Sin, lambda c, g: 2 * g * np.cos(c["x"])), (X,), "2 times"),
    (
        "constant-factor",
        of(mg.Mean, lambda c, g: np.broadcast_to(g, c["shapes"][0])),
        (X,),
        "9 times",
    ),
    ("ignores-the-incoming-gradient", of(mg.Sin, lambda c, g: np.cos(c["x"])), (X,), "chain rule"),
    ("ignores-the-incoming-gradient", of(ReLU, lambda c, g: 1.0 * (c["x"] > 0)), (X,), "doubled"),
    ("zero-everywhere", normalize(lambda c, g: 0 * g), (POSITIVE,), "forgotten"),
    ("nan", of(mg.Log, lambda c, g: g / (c["x"] - c["x"])), (POSITIVE,), "NaN or an infinity"),
    (
        "wrong-order",
        of(mg.Divide, lambda c, g: (-g * c["x"] / c["y"] ** 2, g / c["y"])),
        (X, POSITIVE),
        "gradient of input 0",
    ),
    (
        "wrong-order",
        of(mg.MatMul, lambda c, g: (c["x"].T @ g, g @ c["y"].T)),
        (X, POSITIVE),
        "order",
    ),
    ("transposed", of(mg.Transpose, lambda c, g: g), (X,), "transpose"),
    (
        "transposed",
        of(mg.MatMul, lambda c, g: (c["y"] @ g.T, c["x"].T @ g)),
        (X, X[:, :2]),
        "transp",
    ),
    (
        "transposed-operand",
        of(mg.MatMul, lambda c, g: (g @ c["y"], c["x"].T @ g)),
        (X, POSITIVE),
        r"transpose context\['y'\]",
    ),
    (
        "missing-sum",
        op(
            lambda c, x: np.sum(x * POSITIVE, axis=1),  # x (3,) is repeated, y is (3,) again
            lambda c, g: g[:, None] * POSITIVE,
        ),
        (X[0],),
        "sum over that axis",
    ),
    (
        "missing-sum",
        normalize(lambda c, g: g / c["sum"] - g * c["x"] / c["sum"] ** 2),
        (POSITIVE,),
        "axis 1",
    ),
    (
        "wrong-axis",
        normalize(
            lambda c, g: g / c["sum"] - np.sum(g * c["x"], axis=0, keepdims=True) / c["sum"] ** 2
        ),
        (POSITIVE,),
        "axis 1",
    ),
    (
        "index-swap",
        normalize(
            lambda c, g: g / c["sum"] - np.sum(g, axis=1, keepdims=True) * c["x"] / c["sum"] ** 2
        ),
        (POSITIVE,),
        r"context\['x'\] belongs inside the sum, and",
    ),
    (
        "missing-factor",
        normalize(lambda c, g: g / c["sum"] - np.sum(g * c["x"], axis=1, keepdims=True) / c["sum"]),
        (POSITIVE,),
        r"divide by context\['sum'\]",
    ),
    (
        "missing-factor",
        of(mg.Divide, lambda c, g: (g / c["y"], -g * c["x"] / c["y"])),
        (X, POSITIVE),
        r"divide by context\['y'\]",
    ),
    (
        "missing-factor",
        of(mg.Sigmoid, lambda c, g: g * (1 - c["y"])),
        (X,),
        r"multiply by context\['y'\]",
    ),
    (
        "missing-factor",
        of(mg.Sigmoid, lambda c, g: g * c["y"]),
        (X,),
        r"multiply by \(1 - context\['y'\]\)",
    ),
    (
        "sign-of-a-term",
        normalize(
            lambda c, g: g / c["sum"] + np.sum(g * c["x"], axis=1, keepdims=True) / c["sum"] ** 2
        ),
        (POSITIVE,),
        "subtract",
    ),
    ("sign-of-a-term", of(mg.Tanh, lambda c, g: g * (1 + c["y"] * c["y"])), (X,), "subtract"),
    ("wrong-function", of(mg.Sin, lambda c, g: g * np.sin(c["x"])), (X,), "use cos"),
    (
        "output-for-input",
        op(keeping(y=np.sin), lambda c, g: g * np.cos(c["y"])),
        (X,),
        r"context\['x'\] in the place of context\['y'\]",
    ),
    (
        "input-for-output",
        op(keeping(y=np.tanh), lambda c, g: g * (1 - c["x"] * c["x"])),
        (X,),
        r"context\['y'\] in the place of context\['x'\]",
    ),
    (
        "wrong-operand",
        of(mg.Multiply, lambda c, g: (g * c["x"], 2.0 * g)),
        (X, POSITIVE),
        r"put context\['y'\] in the place of context\['x'\]",
    ),
    ("extra-term", of(mg.Exp, lambda c, g: g * (c["y"] - 1.0)), (X,), "leave out 1"),
    (
        "extra-term",
        of(mg.Multiply, lambda c, g: (g * (c["x"] + c["y"]), g * c["x"])),
        (X, POSITIVE),
        r"leave out context\['x'\]",
    ),
    ("extra-factor", of(mg.Sin, lambda c, g: g * c["x"] * np.cos(c["x"])), (X,), "leave out"),
    (
        "extra-sum",
        of(mg.Sin, lambda c, g: np.sum(g * np.cos(c["x"]), axis=0)),
        (X,),
        "leave out the sum",
    ),
    (
        "wrong-function",
        of(mg.Log, lambda c, g: g * c["x"]),
        (POSITIVE,),
        r"divide by context\['x'\]",
    ),
    ("wrong-function", of(mg.Log, lambda c, g: g / np.log(c["x"])), (POSITIVE,), "itself"),
    (
        "wrong-function",
        of(mg.Multiply, lambda c, g: (g / c["y"], g * c["x"])),
        (X, POSITIVE),
        r"multiply by context\['y'\]",
    ),
    (
        "sign-of-a-term",
        op(
            keeping(y=lambda x: -np.log(1.0 + np.exp(-x))),
            lambda c, g: g / (1.0 + np.exp(-c["x"])),
        ),
        (X,),
        "leave out the minus",
    ),
    (
        "wrong-function",
        of(mg.Expand, lambda c, g: np.max(g, axis=0)),
        (X[0], {"shape": (4, 3)}),
        "use the sum",
    ),
    (
        "extra-term",
        of(mg.Cos, lambda c, g: g * (1.0 - np.sin(c["x"]))),
        (X,),
        "leave out 1",
    ),
    (
        "missing-factor",
        of(mg.Power, lambda c, g: (g * c["p"] * c["x"] ** (c["p"] - 1.0), g * c["x"] ** c["p"])),
        (POSITIVE, X),
        r"multiply by ln context\['x'\]",
    ),
    (
        "missing-factor",
        of(mg.LogSumExp, lambda c, g: g * np.exp(c["x"])),
        (X, {"axis": None}),
        r"divide by exp context\['y'\]",
    ),
    (
        "missing-factor",
        op(squares_in_a_loop, lambda c, g: g * 2.0),
        (X,),
        r"multiply by context\['x'\]",
    ),
    (
        "wrong-where-negative",
        op(
            lambda c, x: c.setdefault("y", np.where(x > 0, x, 0.1 * x)),
            lambda c, g: g * (c["y"] > 0),
        ),
        (X,),
        "where the input is negative",
    ),
    ("wrong-side", of(ReLU, lambda c, g: g * (c["x"] < 0)), (X,), "is 0"),
    ("wrong-side", of(ReLU, lambda c, g: np.where(c["x"] > 0, 0.0, g)), (X,), "exchange"),
    (
        "misplaced",
        of(mg.Sin, lambda c, g: np.roll(g * np.cos(c["x"]), 1)),
        (X,),
        "in other entries",
    ),
    (
        "forgotten-entries",
        of(mg.Sin, lambda c, g: g * np.cos(c["x"]) * (np.arange(9).reshape(3, 3) < 8)),
        (X,),
        "all zero",
    ),
    ("not-linear", of(mg.Sin, lambda c, g: g * g * np.cos(c["x"])), (X,), "each term"),
    ("not-linear", of(mg.Sin, lambda c, g: g * np.cos(c["x"]) + 1.0), (X,), "each term"),
    ("not-linear", of(mg.Negate, lambda c, g: -np.abs(g)), (X,), "each term"),
    ("not-linear", of(ReLU, lambda c, g: g * (g > 0)), (X,), "each term"),
    (
        "only-right-for-ones",
        of(mg.Sum, lambda c, g: np.zeros(c["shapes"][0]) + np.mean(g)),
        (X, {"axis": 0}),
        "all ones",
    ),
    ("wrong-where-negative", of(ReLU, lambda c, g: g), (X,), "only where the input is negative"),
    (
        "wrong-where-positive",
        of(mg.Abs, lambda c, g: g * np.where(c["x"] > 0, 3.0, -1.0)),
        (X,),
        "positive",
    ),
    ("reshape", of(mg.Reshape, lambda c, g: g), (X, {"shape": (9,)}), r"Reshape them to \(3, 3\)"),
    (
        "shape",
        of(mg.Sum, lambda c, g: np.ones(2) * g),
        (X,),
        r"shape \(2,\).*\(3, 3\).*an entry for each",
    ),
    ("number-of-gradients", of(mg.Sin, lambda c, g: (g, g)), (X,), "2 gradients for 1 inputs"),
    ("number-of-gradients", of(mg.Multiply, lambda c, g: g * c["y"]), (X, X), "1 gradients for 2"),
    ("missing-return", of(mg.Sin, lambda c, g: None), (X,), "return missing"),
    ("missing-return", of(mg.Sin, lambda c, g: ...), (X,), "return missing"),
    ("dtype", of(mg.Sin, lambda c, g: (g * np.cos(c["x"])).astype(int)), (X,), "int64"),
    ("dtype", of(mg.Sin, lambda c, g: (g for _ in "a")), (X,), "is object: return floats"),
    ("dtype", of(mg.Sin, lambda c, g: (g * np.cos(c["x"])).astype("f")), (X,), "is float32"),
    (
        "float32-noise",
        op(keeping(y=lambda x: np.sin(x).astype("f")), lambda c, g: g * np.cos(c["x"])),
        (X,),
        "Keep the input's dtype",
    ),
    ("in-place", of(ReLU, masks_in_place), (X,), "the incoming gradient in place"),
    ("in-place", op(clips_in_place, lambda c, g: g * (c["x"] > 0)), (X,), "input 0 in place"),
    ("second-call-differs", adds_up(), (X,), "second time"),
    ("second-call-differs", of(mg.Sin, lambda c, g: g * np.random.rand()), (X,), "at random"),
    ("stale-context", remembers_outside(), (X,), "in the context"),
    ("impure-forward", op(draws, lambda c, g: g * c["mask"]), (X,), "random draws"),
    ("second-order", op(untracked, lambda c, g: g * c["y"]), (X,), "their own derivatives"),
    ("kink", ReLU, (np.zeros(3),), "every entry lies at a kink"),
    ("rounding", op(lambda c, x: 1e10 + x, lambda c, g: g), (X,), "lost in the rounding"),
    ("kink", mg.Sin, (np.array([1e15]),), "turns back and forth within a step"),
    ("outside-the-domain", mg.Log, (np.array([1.0, 0.0]),), "not defined"),
    ("raises", of(mg.Sin, lambda c, g: g * c["z"]), (X,), "KeyError: 'z'"),
    ("raises", op(lambda c, x: x @ np.ones(7), lambda c, g: g), (X,), "forward raised ValueError"),
    ("not-written", type("Empty", (mg.Op,), {}), (X,), "forward is not written"),
    (
        "not-written",
        type("Half", (mg.Op,), {"forward": mg.Sin.forward}),
        (X,),
        "backward is not wr",
    ),
]


@pytest.mark.parametrize(
    "name, mine, inputs, says", MISTAKES, ids=lambda v: v if isinstance(v, str) else ""
)
def test_each_mistake_is_called_by_its_name(name, mine, inputs, says):
    constants = inputs[-1] if isinstance(inputs[-1], dict) else {}
    report = mg.gradcheck(mine, *[x for x in inputs if x is not constants], **constants)
    assert not report, report
    assert report.mistake == name, report
    assert says is None or re.search(says, str(report), re.S), report


def test_every_name_of_the_catalogue_has_its_canonical_mistake():
    names = {name for name, *_ in MISTAKES} | {"no-floats"}  # which has a test of its own
    assert names - {"outside-the-domain"} == {*display.DIAGNOSES, *display.REFUSALS}
    assert len(names) >= 18


def test_a_wrong_entry_is_shown_with_both_numbers():
    def backward(context, g):
        share = g * np.cos(context["x"])
        spoiled = np.zeros_like(share)
        spoiled[1, 2] = g[0, 0]
        return share + spoiled

    report = mg.gradcheck(of(mg.Sin, backward, "Sine"), X)
    assert not report
    assert report.input == 0 and report.entry == (1, 2)
    got, right = report.analytic[0][1, 2], report.numeric[0][1, 2]
    assert abs(got - right) > 0.01
    assert "Sine.backward, gradient of input 0: 1 of 9 entries wrong" in str(report)
    assert "input[1, 2] is -2.2" in str(report)
    assert f"{got:.6g}" in str(report) and f"{right:.6g}" in str(report)
    assert "No usual mistake fits" in str(report)


def test_one_number_is_no_coincidence():
    """At one point any wrong number is a constant times the right one: a second point tells."""
    report = mg.gradcheck(of(mg.Sin, lambda c, g: g * np.sin(c["x"])), 2.0)
    assert report.mistake == "wrong-function", report
    report = mg.gradcheck(of(mg.Sin, lambda c, g: 3.0 * g * np.cos(c["x"])), 2.0)
    assert report.mistake == "constant-factor", report


def test_a_mistake_in_the_second_input_names_it():
    wrong = of(mg.Multiply, lambda c, g: (g * c["y"], -g * c["x"]))
    report = mg.gradcheck(wrong, X, POSITIVE)
    assert report.input == 1 and report.mistake == "sign"
    assert "gradient of input 1" in str(report)


def test_a_wrong_op_inside_a_function_is_found():
    wrong = of(mg.Sin, lambda c, g: 2 * g * np.cos(c["x"]))
    report = mg.gradcheck(lambda x: wrong.do_forward(x * x), X)
    assert not report and report.mistake == "constant-factor"
    refused = of(mg.Sin, lambda c, g: g[0])
    report = mg.gradcheck(lambda x: refused.do_forward(x * x), X)
    assert report.mistake == "raises" and "shape (3,)" in str(report)


# Kinks and tolerances.


def test_at_a_kink_any_slope_between_the_sides_is_right():
    x = np.array([0.0, 1.0, -2.0])
    for slope_at_zero in (0.0, 0.3, 1.0):
        backward = lambda c, g, s=slope_at_zero: g * np.where(c["x"] > 0, 1.0, s * (c["x"] == 0))
        report = mg.gradcheck(of(ReLU, backward), x)
        assert report, report
        assert "kink" in str(report)
    beyond = of(ReLU, lambda c, g: g * np.where(c["x"] > 0, 1.0, 1.5 * (c["x"] == 0)))
    assert not mg.gradcheck(beyond, x)
    assert mg.gradcheck(mg.Abs, np.array([0.0, 3.0]))
    assert mg.gradcheck(mg.Max, np.array([2.0, 2.0, 1.0]))


def test_a_kink_closer_than_the_step_is_no_mistake():
    x = np.array([3e-7, -3e-7, 1.0])
    assert mg.gradcheck(ReLU, x)
    assert not mg.gradcheck(of(ReLU, lambda c, g: 0.5 * g), x)


def test_a_kink_does_not_excuse_the_other_entries():
    x = np.array([0.0, 1.0, 2.0])
    report = mg.gradcheck(of(ReLU, lambda c, g: 2 * g * (c["x"] > 0)), x)
    assert not report and report.entry[0] in (1, 2)


@pytest.mark.parametrize("x", [2.0, X, np.array([0.0, 1e-3, 5.0])], ids=["number", "X", "mixed"])
@pytest.mark.parametrize("f, slope", [(lambda c, x: 1e8 + x, 1.0), (lambda c, x: 1e-8 * x, 1e-8)])
def test_large_values_and_small_slopes_hide_no_mistake(f, slope, x):
    assert mg.gradcheck(op(f, lambda c, g: slope * g), x)
    for factor in (5.0, -1.0):
        report = mg.gradcheck(op(f, lambda c, g, k=factor * slope: k * g), x)
        assert not report, report


@pytest.mark.parametrize("x", [2.0, X], ids=["number", "X"])
def test_an_output_that_is_large_against_its_slope_hides_no_mistake(x):
    """Nor does a step so narrow that the output stays where it is, as for a gradient of 0."""
    far = lambda c, factor: op(lambda context, x: c + x, lambda context, g: factor * g)
    assert mg.gradcheck(far(1e8, 1.0), x) and mg.gradcheck(far(1e9, 1.0), x)
    assert not mg.gradcheck(far(1e8, 1.1), x)
    for factor in (0.0, 2.0, -1.0):
        assert not mg.gradcheck(far(1e8, factor), x)
        assert not mg.gradcheck(far(1e9, factor), x)
    assert mg.gradcheck(far(1e10, -1.0), x).mistake == "rounding"


def test_an_entry_outside_the_domain_says_nothing_about_the_others():
    report = mg.gradcheck(mg.Log, np.array([1.0, 0.0]))
    assert report.entry == (1,) and "1 of 2 entries wrong" in str(report)
    report = mg.gradcheck(mg.Log, np.array([1.0, -1.0]))  # not defined, from both sides
    assert report.mistake == "outside-the-domain" and report.entry == (1,)
    assert "1 of 2 entries wrong" in str(report) and np.isnan(report.numeric[0][1])
    both = op(lambda c, x: np.log([x[0], x[0] - 2.0]), lambda c, g: g[:1] - g[1:])
    assert mg.gradcheck(both, np.array([1.0])).mistake == "outside-the-domain"
    assert mg.gradcheck(lambda x: (np.sin(x), np.array([np.nan, 1.0])), X)
    infinite = op(lambda c, x: np.where(x > 0, np.inf, x), lambda c, g: 5.0 * g)
    assert mg.gradcheck(infinite, np.array([-1.0, 0.0])).entry == (0,)


def test_a_small_slope_beside_a_large_one_counts_too():
    f = lambda c, x, y: 1e-6 * x + y
    assert mg.gradcheck(op(f, lambda c, g: (1e-6 * g, g)), X, X)
    assert not mg.gradcheck(op(f, lambda c, g: (2e-6 * g, g)), X, X)


@pytest.mark.parametrize("f", [np.sin, np.cos, np.log, np.sqrt, lambda x: x**3, mg.logsumexp])
def test_right_ops_pass_at_a_million(f, rng):
    report = mg.gradcheck(f, 1e6 * rng.uniform(0.5, 2.0, 3))
    assert report, report


@pytest.mark.parametrize(
    "f", [lambda x: np.log(np.exp(x)) - x, lambda x: (1.0 + 1e-6 * x) - 1.0, lambda x: x / x]
)
def test_rounding_on_the_way_is_no_mistake(f, rng):
    report = mg.gradcheck(f, rng.standard_normal(20))
    assert report, report


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("f", [np.log, np.sqrt, lambda x: 1 / x, lambda x: x**3, np.tanh, np.sin])
def test_right_ops_pass_at_every_scale(f, scale, rng):
    report = mg.gradcheck(f, scale * rng.uniform(0.5, 2.0, (3, 2)))
    assert report, report


LARGEST = {"Exp": 20.0, "Power": 5.0}  # beyond, they overflow


@pytest.mark.parametrize("row", TABLE, ids=label)
def test_all_ops_are_right_at_random_scales(row, rng):
    """From 1e-4 to 1e4, each input at its own. A row of one entry, Normalize makes a constant."""
    cases = [case for case in row.cases if row.name != "Normalize" or case[0][0][-1:] != (1,)]
    largest = LARGEST.get(row.name, np.inf)
    for _ in range(12):
        shapes, constants = cases[rng.integers(len(cases))]
        xs = row.inputs(shapes, rng)
        for k in [k for k, x in enumerate(xs) if x.dtype.kind == "f"]:
            xs[k] = np.clip(xs[k] * 10.0 ** rng.uniform(-4, 4), -largest, largest)
        report = mg.gradcheck(row.op, *xs, **constants)
        assert report, (xs, report)


@pytest.mark.parametrize(
    "f", [np.log, lambda x: x * np.log(x), lambda x: x**-2, lambda x: x**3, mg.norm]
)
def test_a_curve_that_bends_within_a_step_is_no_mistake(f, rng):
    """Close to 0 the step is long: 1e-7 lies within it, and ln is not defined on its other side."""
    for scale in (1e-7, 1e-6, 1e-5, 1e-4):
        x = scale * rng.uniform(0.5, 2.0, (2, 3))
        report = mg.gradcheck(f, x)
        assert report, report
    assert mg.gradcheck(lambda x: f(-x), -x)


@pytest.mark.parametrize("factor", [1.001, -1.0])
def test_a_curve_that_bends_within_a_step_excuses_no_mistake(factor, rng):
    for scale in (1e-7, 1e-6, 1e-5, 1e-4):
        wrong = of(mg.Log, lambda c, g: factor * g / c["x"])
        assert not mg.gradcheck(wrong, scale * rng.uniform(0.5, 2.0, (2, 3)))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_an_error_of_one_part_in_a_thousand_is_seen_at_every_scale(scale, rng):
    wrong = of(mg.Multiply, lambda c, g: (g * c["y"], 1.001 * g * c["x"]))
    report = mg.gradcheck(wrong, scale * rng.uniform(0.5, 2.0, 3), rng.uniform(0.5, 2.0, 3))
    assert report.mistake == "constant-factor" and "1.001 times" in str(report)


def test_an_op_that_nodes_cannot_run_is_right_to_first_order():
    def backward(context, g):
        gx = g.copy()
        gx[context["x"] <= 0] = 0.0
        return gx

    report = mg.gradcheck(of(ReLU, backward), X)
    assert report
    assert report.second_order is None
    assert "second derivatives cannot be had" in str(report)


def test_a_result_without_floats_is_told_what_was_expected():
    report = mg.gradcheck(lambda x: None, 1.0)
    assert report.mistake == "no-floats" and "None; expected a node" in str(report)
    report = mg.gradcheck(op(lambda c, x: None, lambda c, g: g), X)
    assert report.mistake == "no-floats" and "return missing" in str(report)
    report = mg.gradcheck(op(lambda c, x: np.sign(x).astype(int), lambda c, g: 0.0 * g), X)
    assert report.mistake == "no-floats" and "int64" in str(report)


def test_a_result_that_depends_on_nothing_has_gradient_zero():
    report = mg.gradcheck(lambda x: 3.0, X)
    assert report and "it depends on no input" in str(report)
    report = mg.gradcheck(lambda x: (x * 2.0, np.ones(3)), X)
    assert report.second_order is True


def test_a_second_derivative_that_is_wrong_in_one_entry_is_found(rng):
    """Along a random direction, too: no entry is hidden by the 143 others."""

    def forward(context, x):
        last = np.arange(np.size(x)).reshape(np.shape(x)) == np.size(x) - 1
        context["slope"] = np.where(last, np.cos(getattr(x, "value", x)), np.cos(x))
        return np.sin(x)

    report = mg.gradcheck(op(forward, lambda c, g: g * c["slope"]), rng.uniform(1.0, 2.0, (12, 12)))
    assert report.mistake == "second-order"


def test_kinks_do_not_hide_a_wrong_second_derivative(rng):
    """At a kink the direction tells nothing; then every entry has a turn."""
    kinked = lambda c, x: np.maximum(x, 0.0) + untracked(c, x)
    backward = lambda c, g: g * c["y"] + g * (c["x"] > 0)
    keep = lambda c, x: (c.update(x=x), kinked(c, x))[1]
    report = mg.gradcheck(op(keep, backward), np.array([0.0, 1.0, 2.0]))
    assert report.mistake == "second-order"


def test_an_entry_costs_two_runs_of_the_op(rng):
    runs = []

    def forward(context, x):
        runs.append(1)
        context["x"] = x
        return np.sin(x)

    counted = op(forward, lambda c, g: g * np.cos(c["x"]))
    assert mg.gradcheck(counted, rng.standard_normal((10, 10)))
    assert 200 < len(runs) < 250


# Misuse.


def test_nothing_to_differentiate_is_an_error():
    with pytest.raises(TypeError, match="no floats to differentiate"):
        mg.gradcheck(ReLU, np.arange(3))
    with pytest.raises(TypeError, match="no floats"):
        mg.gradcheck(ReLU)


def test_a_class_that_is_no_op_is_a_function():
    report = mg.gradcheck(int, X)
    assert report.mistake == "raises" and "TypeError" in str(report)


def test_too_many_entries_are_an_error_that_says_what_to_do():
    with pytest.raises(ValueError, match=r"entries 10000.*shapes like \(3, 4\)"):
        mg.gradcheck(ReLU, np.ones((100, 100)))


def test_the_checker_does_not_use_the_ops_that_it_checks(monkeypatch):
    """Break Multiply and Sum for everybody: the verdict on Sin must not change."""
    monkeypatch.setattr(mg.Multiply, "backward", staticmethod(lambda c, g: (-g, -g)))
    monkeypatch.setattr(mg.Sum, "backward", staticmethod(lambda c, g: None))
    monkeypatch.setattr(checker, "_second_order", lambda *args: (None, ""))
    assert mg.gradcheck(mg.Sin, X)
    assert mg.gradcheck(of(mg.Sin, lambda c, g: -g * np.cos(c["x"])), X).mistake == "sign"


class Exchanged(mg.Op):
    """x², whose backward has x where the incoming gradient belongs: 2 x x instead of 2 x g."""

    @staticmethod
    def forward(context, x):
        context["x"] = x
        return x**2

    @staticmethod
    def backward(context, g):
        return 2 * context["x"] * context["x"]


@pytest.mark.parametrize("seed", range(10))
def test_no_seed_of_the_readers_hides_that_input_and_incoming_gradient_are_exchanged(seed):
    """An input drawn as the cotangent is drawn would equal it, and the two could be exchanged."""
    np.random.seed(seed)
    for draw in (np.random.default_rng(seed).standard_normal, lambda s: np.random.randn(*s)):
        assert not mg.gradcheck(Exchanged, draw((3, 4)))
