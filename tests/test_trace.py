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


def test_what_json_has_no_numbers_for_is_a_word():
    y = mg.TensorNode(2.0) * np.array([np.nan, np.inf, -np.inf, 1.0])
    (step,) = json.loads(to_json(y))["steps"]
    assert step["value"] == {"shape": [4], "data": ["NaN", "Infinity", "-Infinity", 2.0]}
