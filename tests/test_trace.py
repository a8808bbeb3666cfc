"""Evaluation traces: whose value stands in which row."""

import json

import numpy as np
import pytest

import minigrad as mg
from minigrad.trace import to_json, trace


def f(x1, x2, x3=0.0):
    return x1 - 2.0 * x2 + 10.0 * x3


@pytest.mark.parametrize(
    "values, named, y",
    [
        ((2.0, 5.0), {}, -8.0),
        ((), {"x2": 5.0, "x1": 2.0}, -8.0),  # by name, in any order
        ((2.0,), {"x2": 5.0}, -8.0),
        ((2.0, 5.0), {"x3": 1.0}, 2.0),
    ],
)
def test_inputs_go_where_their_names_say(values, named, y):
    traced = trace(f, *values, **named)
    assert traced.output.value == y
    shown = {row.expression: row.primal for row in traced.rows}
    assert (shown["x1"], shown["x2"]) == (2.0, 5.0)


def test_names_that_the_function_does_not_know_are_labels():
    traced = trace(lambda *x: x[0] * x[1], width=2.0, height=3.0)
    assert [row.expression for row in traced.rows] == ["width", "height", "v₋₁ × v₀"]


def test_a_row_reads_as_its_line_of_the_table():
    traced = trace(lambda x: np.sin(x * x) * x, x=2.0)
    assert [repr(row) for row in traced.rows[:2]] == ["v₀ = x = 2", "v₁ = v₀ × v₀ = 4"]


def test_a_row_is_short_where_very_many_paths_lead_to_it():
    doubled = lambda x, times: doubled(x + x, times - 1) if times else x
    assert repr(trace(lambda x: doubled(x, 99), 0.0)["v99"]) == "v₉₉ = v₉₈ + v₉₈ = 0"


class SumAndProduct(mg.Op):
    @staticmethod
    def forward(context, x, y):
        context["x"], context["y"] = x, y
        return x + y, x * y

    @staticmethod
    def backward(context, gs, gp):
        return gs + gp * context["y"], gs + gp * context["x"]


def test_an_op_with_two_outputs_is_told_that_a_line_holds_one():
    f = lambda x, y: SumAndProduct.do_forward(x, y)[0] * 2.0
    with pytest.raises(TypeError, match="SumAndProduct has 2 outputs.*a line of a trace"):
        trace(f, 2.0, 5.0)
    with pytest.raises(TypeError, match="SumAndProduct has 2 outputs.*a line of a trace"):
        to_json(f(mg.TensorNode(2.0), mg.TensorNode(5.0)))


def test_shares_add_up_to_the_adjoint_that_backward_gives():
    weight = mg.TensorNode(3.0)  # used, but not handed over: it has no row
    g = lambda x, unused: np.sin(x * x) * x * weight
    traced = trace(g, x=0.7, unused=1.0, adjoints=True)
    x = mg.TensorNode(0.7)
    g(x, 1.0).backward()
    users = [user for user, _ in traced["v-1"].shares]
    assert users == ["v₃", "v₁", "v₁"]
    assert traced["v-1"].adjoint == sum(share for _, share in traced["v-1"].shares) == x.grad
    assert traced["v0"].adjoint == 0.0


def test_what_json_has_no_numbers_for_is_a_word():
    y = mg.TensorNode(2.0) * np.array([np.nan, np.inf, -np.inf, 1.0])
    (step,) = json.loads(to_json(y))["steps"]
    assert step["value"] == {"shape": [4], "data": ["NaN", "Infinity", "-Infinity", 2.0]}


def test_what_cannot_be_traced_is_told_why():
    with pytest.raises(TypeError, match="nothing was recorded: f returned 3.0"):
        trace(lambda x: 3.0, 2.0)
    with pytest.raises(ValueError, match="a seed of 1 numbers for 2 inputs"):
        trace(f, 2.0, 5.0, seed=(1.0,))
