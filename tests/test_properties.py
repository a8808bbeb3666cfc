"""Random programs: reverse mode, forward mode and the slope must agree on every one of them.

A program is a list of steps; each step applies an op to values that exist already, so values are
reused, branches die, and diamonds come up by themselves. The witness that shares no code with
minigrad is the central difference of the same program run on plain arrays.
"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg

# Functions that are smooth and tame on all of ℝ, so that a long program neither overflows nor hits
# an edge of a domain. Written for arrays, nodes and duals alike.
ONE = {
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "negative": lambda x: -x,
    "bell": lambda x: np.exp(-x * x),
    "log": lambda x: np.log(x * x + 1.5),
    "sqrt": lambda x: np.sqrt(x * x + 0.5),
    "power": lambda x: (x * x + 1.0) ** 0.7,
    "tan": lambda x: np.tan(0.7 * np.tanh(x)),
    "row mean": lambda x: np.mean(x, axis=-1, keepdims=True),
    "column sum": lambda x: np.sum(x, axis=0, keepdims=True),
    "transpose": lambda x: np.transpose(x)[:1, :1] + x,
    "slice": lambda x: x[:1] * x,
    "reversed": lambda x: x[::-1, ::-1],
    "softmax": lambda x: np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True),
}
TWO = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / (y * y + 1.0),
    "matmul": lambda x, y: np.tanh(x @ np.transpose(y + np.zeros((2, 3))) @ np.ones((2, 3)) / 3.0),
    "where": lambda x, y: np.where(MASK, x, y),
    "stacked": lambda x, y: np.sum(np.stack([x + ZERO, y + ZERO]), axis=0),
    "joined": lambda x, y: np.concatenate([x + ZERO, y + ZERO], axis=0)[1:3],
    "reshaped": lambda x, y: np.reshape(np.reshape(x + ZERO, (3, 2)), (2, 3)) + y,
}
MASK = np.array([[True, False, True], [False, False, True]])
ZERO = np.zeros((2, 3))
SHAPES = [(), (1,), (1, 3), (2, 1), (2, 3)]  # all broadcast to (2, 3)


@st.composite
def programs(draw):
    """The shapes of the inputs, the steps [(name, places of its arguments)], and a seed."""
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3))
    steps = []
    for _ in range(draw(st.integers(1, 8))):
        name = draw(st.sampled_from(sorted(ONE | TWO)))
        place = st.integers(0, len(shapes) + len(steps) - 1)
        steps.append((name, [draw(place) for _ in range(1 if name in ONE else 2)]))
    return shapes, steps, draw(st.integers(0, 2**32 - 1))


def run(steps, inputs):
    """The value of the last step: a (2, 3) array, whatever the inputs' shapes."""
    values = [x + ZERO for x in inputs]  # every value is (2, 3); the inputs were broadcast to it
    for name, places in steps:
        y = (ONE | TWO)[name](*[values[place] for place in places])
        values.append(np.tanh(y / 3.0) + ZERO)  # tame: all values stay within [-1, 1]
    return values[-1]


def settled(program):
    shapes, steps, seed = program
    rng = np.random.default_rng(seed)
    xs = [np.asarray(rng.uniform(-1.5, 1.5, shape)) for shape in shapes]
    vs = [np.asarray(rng.standard_normal(shape)) for shape in shapes]
    return lambda *inputs: run(steps, inputs), xs, vs, rng.standard_normal((2, 3))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(programs())
def test_reverse_mode_forward_mode_and_the_slope_agree(program):
    """⟨w, J v⟩ three ways: pulled back, pushed forward, and as a difference of two runs."""
    f, xs, vs, w = settled(program)
    nodes = [mg.TensorNode(x) for x in xs]
    y = f(*nodes)
    y.backward(w)
    reverse = sum(np.sum(node.grad * v) for node, v in zip(nodes, vs, strict=True))
    primal, tangent = mg.jvp(f, tuple(xs), tuple(vs))
    forward = np.sum(w * tangent)
    h = 1e-5
    ahead = f(*[x + h * v for x, v in zip(xs, vs, strict=True)])
    behind = f(*[x - h * v for x, v in zip(xs, vs, strict=True)])
    slope = np.sum(w * (ahead - behind)) / (2 * h)
    scale = max(1.0, abs(reverse))
    np.testing.assert_allclose(y.value, f(*xs), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(primal, y.value, rtol=1e-12, atol=1e-14)
    assert abs(forward - reverse) <= 1e-11 * scale
    assert abs(slope - reverse) <= 1e-5 * scale
    for node, x in zip(nodes, xs, strict=True):
        assert np.shape(node.grad) == x.shape


@settings(max_examples=60, deadline=None, derandomize=True)
@given(programs())
def test_hessian_times_vector_is_the_difference_of_two_gradients(program):
    f, xs, vs, w = settled(program)
    x, v, rest = xs[0], vs[0], xs[1:]
    loss = lambda x: np.sum(w * f(x, *rest))
    gradient = mg.grad(loss)
    product = mg.grad(lambda x: np.sum(gradient(x) * v))(x)
    h = 1e-5
    difference = (gradient(x + h * v) - gradient(x - h * v)) / (2 * h)
    scale = max(1.0, float(np.max(np.abs(product))))
    assert np.max(np.abs(product - difference)) <= 1e-4 * scale


@settings(max_examples=100, deadline=None, derandomize=True)
@given(programs())
def test_the_list_is_in_order_and_complete(program):
    """Every input of an op is a leaf or made by an earlier op of the list; no op is in it twice."""
    f, xs, _, _ = settled(program)
    nodes = [mg.TensorNode(x) for x in xs]
    records = mg.wengert_list(f(*nodes))
    made = set()
    for record in records:
        for node in record.inputs:
            if isinstance(node, mg.TensorNode):
                assert node.source is None or node.source.number in made
        assert record.number not in made
        made.add(record.number)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(programs())
def test_backward_is_linear_in_its_cotangent_and_repeats_exactly(program):
    f, xs, _, w = settled(program)

    def pulled(cotangent):
        _, pullback = mg.vjp(f, *xs)
        found = pullback(cotangent)
        return found if isinstance(found, tuple) else (found,)

    once, again, doubled = pulled(w), pulled(w), pulled(2.0 * w)
    for a, b, c in zip(once, again, doubled, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(c, 2.0 * a, rtol=1e-12, atol=1e-14)
