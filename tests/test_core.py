"""Reverse mode: right where other libraries go wrong, and refusing what it cannot do right."""

import copy
import gc
import pickle
import subprocess
import sys
import time
import warnings
import weakref

import numpy as np
import pytest

import minigrad as mg
from minigrad.solutions import ReLU


def grads(f, *inputs):
    """The gradients of a scalar function, by backward()."""
    nodes = [mg.TensorNode(x) for x in inputs]
    f(*nodes).backward()
    return [node.grad for node in nodes]


# Golden numbers: worked out by others, on paper or in other libraries.


def test_the_trace_of_the_survey():
    """y = ln x1 + x1 x2 - sin x2 at (2, 5), as in the survey of Baydin et al. (2018)."""
    x1, x2 = mg.TensorNode(2.0), mg.TensorNode(5.0)
    y = np.log(x1) + x1 * x2 - np.sin(x2)
    y.backward()
    assert y.value == pytest.approx(11.652071, abs=5e-7)
    assert x1.grad == pytest.approx(5.5, abs=1e-15)
    assert x2.grad == pytest.approx(1.716338, abs=5e-7)
    assert [record.op.__name__ for record in mg.wengert_list(y)] == [
        "Log", "Multiply", "Add", "Sin", "Subtract",
    ]  # fmt: skip


def test_domkes_function():
    """f = exp(eˣ + e²ˣ) + sin(eˣ + e²ˣ) at 0, from Domke's notes, by the program he gives."""
    x = mg.TensorNode(0.0)
    a = np.exp(x)
    b = a**2
    c = a + b
    d, e = np.exp(c), np.sin(c)
    f = d + e
    f.backward()
    assert f.value == pytest.approx(8.298354, abs=5e-7)
    assert x.grad == pytest.approx(20.918728, abs=5e-7)
    assert c.grad == pytest.approx(np.e**2 + np.cos(2), rel=1e-14)


def test_levis_diamond():
    """x -> p -> (q, r) -> s = q + r -> t: p has two users, and its adjoint is the sum of both."""
    x = mg.TensorNode(0.3)
    p = np.sin(x)
    q, r = p * p, np.exp(p)
    s = q + r
    t = np.log(s)
    t.backward()
    ds = 1 / (np.sin(0.3) ** 2 + np.exp(np.sin(0.3)))
    dp = ds * (2 * np.sin(0.3) + np.exp(np.sin(0.3)))
    assert s.grad == pytest.approx(ds, rel=1e-14)
    assert q.grad == r.grad == pytest.approx(ds, rel=1e-14)
    assert p.grad == pytest.approx(dp, rel=1e-14)
    assert x.grad == pytest.approx(dp * np.cos(0.3), rel=1e-14)


def test_the_jacobian_of_normalize():
    """At (1, 2, 3), where the source document prints two wrong signs: 1/36 [[5,-1,-1],...]."""
    from minigrad.solutions import Normalize

    rows = []
    for w in np.eye(3):
        x = mg.TensorNode([[1.0, 2.0, 3.0]])
        Normalize.do_forward(x).backward(w[None])
        rows.append(x.grad[0])
    expected = np.array([[5, -1, -1], [-2, 4, -2], [-3, -3, 3]]) / 36
    np.testing.assert_allclose(rows, expected, rtol=1e-14)


# The source documents' code, as it stands.


def test_the_first_steps_of_the_report():
    import minigrad as vg

    a = vg.TensorNode(np.random.randn(2, 2))
    b = vg.TensorNode(np.random.randn(2, 2))
    c = vg.Add.do_forward(a, b)
    np.testing.assert_array_equal(c.value, a.value + b.value)
    assert isinstance(c.source, vg.OpNode)
    assert c.source.op is vg.Add
    assert c.source.inputs[0] is a and c.source.inputs[1] is b
    assert c.source.outputs[0] is c
    np.testing.assert_array_equal(a.grad, np.zeros((2, 2)))
    c.backward()
    c.backward()  # gradients of several passes add up
    np.testing.assert_array_equal(a.grad, 2 * np.ones((2, 2)))


def test_relu_of_the_report():
    from minigrad import Op

    class ReLU(Op):
        """
        ReLU activation function
        """

        @staticmethod
        def forward(context, input):
            context["relu_input"] = input
            return np.where(input > 0.0, input, 0.0)

        @staticmethod
        def backward(context, goutput):
            input = context["relu_input"]
            return goutput * np.where(input > 0.0, 1.0, 0.0)

    x = np.array([[-1.0, 0.5], [2.0, -3.0]])
    node = mg.TensorNode(x)
    y = ReLU.do_forward(node)
    np.testing.assert_array_equal(y.value, [[0, 0.5], [2, 0]])
    y.backward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    np.testing.assert_array_equal(node.grad, [[0, 2], [3, 0]])
    assert mg.gradcheck(ReLU, x)
    report = mg.gradcheck(ReLU, x)
    assert report.second_order is True  # two static functions, and any order of derivative


def test_normalize_of_vugrad():
    from minigrad import Op

    class Normalize(Op):
        @staticmethod
        def forward(context, x):
            sumd = x.sum(axis=1, keepdims=True)
            context["x"], context["sumd"] = x, sumd
            return x / sumd

        @staticmethod
        def backward(context, go):
            x, sumd = context["x"], context["sumd"]
            return (go / sumd) - ((go * x) / (sumd * sumd)).sum(axis=1, keepdims=True)

    report = mg.gradcheck(Normalize, np.random.default_rng(0).uniform(0.5, 2.0, (3, 4)))
    assert report, report
    assert report.second_order is True


def test_the_residual_network_of_the_report():
    """The forward pass of its MLP, verbatim but for the layers, which are its layer1 to layer3."""
    import minigrad as vg

    class MLP:
        def __init__(self, residual):
            rng = np.random.default_rng(5)
            self.residual = residual
            sizes = [(4, 8), (8, 8), (8, 3)]
            self.weights = [vg.TensorNode(rng.normal(0, 0.5, size)) for size in sizes]
            self.layer1, self.layer2, self.layer3 = (
                lambda x, w=w: vg.MatMul.do_forward(x, w) for w in self.weights
            )

        def forward(self, input):
            hidden_1 = self.layer1(input)

            # non-linearity
            hidden_1 = vg.Sigmoid.do_forward(hidden_1)

            # second layer
            hidden_2 = self.layer2(hidden_1)

            # non-linearity and adding residual connection
            if self.residual:
                hidden_2 = vg.Sigmoid.do_forward(hidden_2) + hidden_1
            else:
                hidden_2 = vg.Sigmoid.do_forward(hidden_2)

            # third layer
            output = self.layer3(hidden_2)
            return output

    x = np.random.default_rng(6).normal(size=(5, 4))
    for residual in (True, False):
        network = MLP(residual)
        output = network.forward(vg.TensorNode(x))
        output.backward()
        sigmoid = lambda z: 1 / (1 + np.exp(-z))
        w1, w2, w3 = (w.value for w in network.weights)
        h1 = sigmoid(x @ w1)
        s2 = sigmoid(h1 @ w2)
        g = np.ones((5, 3)) @ w3.T
        g1 = (g * s2 * (1 - s2)) @ w2.T + residual * g
        np.testing.assert_allclose(
            network.weights[2].grad, (s2 + residual * h1).T @ np.ones((5, 3))
        )
        np.testing.assert_allclose(network.weights[1].grad, h1.T @ (g * s2 * (1 - s2)))
        np.testing.assert_allclose(network.weights[0].grad, x.T @ (g1 * h1 * (1 - h1)))


def test_ops_of_several_inputs_and_outputs_are_tuples():
    class Split(mg.Op):
        @staticmethod
        def forward(context, x, y):
            context["x"], context["y"] = x, y
            return x * y, x + y, x - y

        @staticmethod
        def backward(context, gproduct, gsum, gdifference):
            x, y = context["x"], context["y"]
            return gproduct * y + gsum + gdifference, gproduct * x + gsum - gdifference

    x, y = mg.TensorNode([1.0, 2.0]), mg.TensorNode([3.0, 5.0])
    product, total, difference = Split.do_forward(x, y)
    assert product.source is total.source
    assert product.source.outputs[1] is total
    (product + difference).sum().backward()  # the sum is never used: its adjoint is zero
    np.testing.assert_array_equal(x.grad, [4, 6])
    np.testing.assert_array_equal(y.grad, [0, 1])
    assert mg.gradcheck(Split, np.array([1.0, 2.0]), np.array([3.0, 5.0]))
    del product, total  # an output that nobody holds any more takes nothing with it
    x.zero_grad(), y.zero_grad()
    difference.backward()
    np.testing.assert_array_equal(y.grad, [-1, -1])


def test_a_share_may_have_the_shape_of_any_output():
    class DotAndSum(mg.Op):
        @staticmethod
        def forward(context, x, y):
            context["x"], context["y"] = x, y
            return np.sum(x * y), x + y

        @staticmethod
        def backward(context, gdot, gsum):
            return gdot * context["y"] + gsum, gdot * context["x"] + gsum

    x, y = mg.TensorNode([[1.0, 2.0], [3.0, 4.0]]), mg.TensorNode([5.0, 6.0])
    dot, total = DotAndSum.do_forward(x, y)
    (dot + np.sum(total)).backward()
    np.testing.assert_array_equal(y.grad, [1 + 3 + 2, 2 + 4 + 2])
    assert mg.gradcheck(DotAndSum, x, y)


def test_shares_may_come_as_a_list_and_as_a_python_number():
    x, y = mg.TensorNode(2.0), mg.TensorNode(3.0)
    in_a_list = broken(lambda context, g: [g * context["y"], 0])
    in_a_list.do_forward(x, y).backward()
    assert (x.grad, y.grad) == (3.0, 0.0)
    assert y.grad.dtype == np.float64
    right = broken(lambda context, g: [g * context["y"], g * context["x"]])
    assert mg.gradcheck(right, 2.0, 3.0)


# Right where others are wrong.


def test_a_branch_that_never_reaches_the_loss_changes_nothing():
    """vugrad counts visits, waits for the branch for ever, and leaves zeros without a word."""
    w = mg.TensorNode([1.0, 2.0])
    hidden = w * 3.0
    metric = np.exp(hidden).sum()  # printed, never part of the loss
    loss = (hidden * hidden).sum()
    loss.backward()
    np.testing.assert_array_equal(w.grad, 18 * w.value)
    assert metric.source not in mg.wengert_list(loss)


def test_a_node_used_twice_gets_both_shares():
    (g,) = grads(lambda x: x + x, 3.0)
    assert g == 2.0
    (g,) = grads(lambda x: x * x, 3.0)
    assert g == 6.0
    (g,) = grads(lambda x: np.sum(np.stack([x, x, x]) * 2.0), np.ones(2))
    np.testing.assert_array_equal(g, [6, 6])


def test_a_diamond_in_which_one_side_is_longer():
    (g,) = grads(lambda x: x * np.sin(np.cos(np.exp(x))), 0.5)
    e, h = np.exp(0.5), 0.5
    right = np.sin(np.cos(e)) - h * np.cos(np.cos(e)) * np.sin(e) * e
    assert g == pytest.approx(right, rel=1e-14)


def test_backward_twice_adds_to_leaves_and_corrupts_nothing():
    """Where once gives 32, micrograd then says 96: it walks over the old adjoints again."""
    x = mg.TensorNode(2.0)
    y = x * x
    z = y * y
    z.backward()
    assert x.grad == 32.0 and y.grad == 8.0
    z.backward()
    assert x.grad == 64.0
    assert y.grad == 8.0  # an intermediate shows the last pass
    x.zero_grad()
    z.backward()
    assert x.grad == 32.0


def test_only_a_leaf_takes_a_gradient():
    x = mg.TensorNode(2.0)
    y = x * x
    x.grad = 3.0
    assert x.grad == 3.0
    with pytest.raises(AttributeError, match="only a leaf owns its gradient"):
        y.grad = 3.0


def test_two_losses_over_one_part_add_up():
    x = mg.TensorNode(2.0)
    shared = np.exp(x)
    (3.0 * shared).backward()
    (shared * shared).backward()
    assert x.grad == pytest.approx(3 * np.exp(2) + 2 * np.exp(4), rel=1e-14)


def test_a_gradient_belongs_to_its_leaf_alone():
    """x + y hands one array to both: clipping one gradient in place must not clip the other."""
    x, y = mg.TensorNode(np.ones(3)), mg.TensorNode(np.ones(3))
    seed = np.array([1.0, 2.0, 3.0])
    (x + y).backward(seed)
    x.grad[:] = 0.0
    np.testing.assert_array_equal(y.grad, [1, 2, 3])
    np.testing.assert_array_equal(seed, [1, 2, 3])
    z = mg.TensorNode(np.ones(3))
    kept = z.reshape(3, 1)
    kept.backward()
    z.grad[:] = 7.0
    np.testing.assert_array_equal(kept.grad, np.ones((3, 1)))


@pytest.mark.parametrize("second", [lambda g: g, lambda g: g[::-1][::-1]])
def test_a_leaf_that_shares_an_array_with_another_input_adds_up_in_its_own(second):
    """The leaf adds up in place; what its neighbour got must not grow with it."""

    class Twice(mg.Op):
        @staticmethod
        def forward(context, x, y):
            return 2.0 * (x + y)

        @staticmethod
        def backward(context, gz):
            g = 2.0 * gz
            return g, second(g)

    x = mg.TensorNode(np.ones(2))
    h = np.sin(x)
    late = x * 3.0  # between sine and Twice on the way back, and with a share for x
    (Twice.do_forward(x, h) + late).sum().backward()
    np.testing.assert_array_equal(h.grad, [2.0, 2.0])
    np.testing.assert_allclose(x.grad, 2.0 + 3.0 + 2.0 * np.cos([1.0, 1.0]))


def test_the_callers_cotangents_stay_as_they_are():
    from minigrad.core import pull_back

    x, seeds = mg.TensorNode(np.ones(2)), [np.ones(2), np.ones(2)]
    (found,) = pull_back([x, x * 2.0], seeds, wrt=[x])
    np.testing.assert_array_equal(found, [3, 3])
    np.testing.assert_array_equal(seeds, np.ones((2, 2)))


def test_a_leaf_that_is_its_own_loss_does_not_keep_the_callers_array():
    x, seed = mg.TensorNode(np.ones(2)), np.ones(2)
    x.backward(seed)
    x.grad[0] = 7.0
    np.testing.assert_array_equal(seed, [1, 1])


def test_the_gradient_of_a_number_is_a_number():
    x, y, unused = mg.TensorNode(1.0), mg.TensorNode(2.0), mg.TensorNode(3.0)
    (x + y).backward()
    assert all(isinstance(node.grad, np.float64) for node in (x, y, unused))


def test_zeroing_a_diamond_of_depth_25_is_fast():
    """2^25 paths, 25 ops. vugrad walks the paths: 88 seconds."""
    x = mg.TensorNode(1.0)
    y = x
    for _ in range(25):
        y = y + y
    y.backward()
    assert x.grad == 2.0**25
    start = time.perf_counter()
    y.zero_grad()
    assert time.perf_counter() - start < 0.1
    assert x.grad == 0.0


def test_zero_grad_clears_everything_upstream():
    x, w = mg.TensorNode([1.0, 2.0]), mg.TensorNode([3.0, 4.0])
    hidden = x * w
    loss = hidden.sum()
    loss.backward()
    assert np.all(hidden.grad == 1.0)
    loss.zero_grad()
    for node in (x, w, hidden, loss):
        np.testing.assert_array_equal(node.grad, np.zeros_like(node.value))


def test_a_gradient_reads_as_zeros_before_backward():
    x = mg.TensorNode(np.ones((2, 3), np.float32))
    y = x * 2.0
    for node in (x, y):
        np.testing.assert_array_equal(node.grad, np.zeros((2, 3)))
        assert node.grad.dtype == np.float32


def test_backward_of_an_array_is_seeded_with_ones():
    (g,) = grads(lambda x: x * x, np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(g, [2, 4, 6])


def test_adding_in_another_order_builds_its_own_list():
    """Numbers are creation order, also when the graph was built backwards."""
    x, y = mg.TensorNode(2.0), mg.TensorNode(3.0)
    late = y * y
    early = x * late
    records = mg.wengert_list(early + late)
    assert [record.number for record in records] == sorted(record.number for record in records)
    assert len(records) == 3


# Depth and memory.


@pytest.mark.relaxed
@pytest.mark.slow
def test_a_chain_of_a_million_ops():
    """Built, walked backwards, freed: no recursion anywhere. micrograd stops at 1,000."""
    start = time.process_time()
    x = mg.TensorNode(1.0)
    y = x
    for _ in range(1_000_000):
        y = y + 1e-6
    y.backward()
    assert y.value == pytest.approx(2.0)
    assert x.grad == 1.0
    del y
    assert time.process_time() - start < 60.0


def test_graphs_die_by_reference_counting_alone():
    """With the garbage collector off, the last reference takes the graph with it."""
    gc.collect()
    gc.disable()
    try:
        x = mg.TensorNode(np.ones(3))
        hidden = np.exp(x) * 2.0
        loss = hidden.sum()
        loss.backward()
        loss.backward()
        ghosts = [weakref.ref(node) for node in (hidden, loss)]
        del hidden
        assert ghosts[0]() is not None  # the loss still needs it
        del loss
        assert [ghost() for ghost in ghosts] == [None, None]
    finally:
        gc.enable()


def test_higher_derivatives_die_by_reference_counting_too():
    gc.collect()
    gc.disable()
    try:
        seen = []

        def f(x):
            y = x * x * x
            seen.append(weakref.ref(y))
            return y

        assert mg.grad(mg.grad(f))(2.0) == pytest.approx(12.0)
        assert [ghost() for ghost in seen] == [None] * len(seen)
    finally:
        gc.enable()


@pytest.mark.relaxed
@pytest.mark.parametrize(("pulled_back", "most"), [(False, 600), (True, 640)])
@pytest.mark.parametrize(
    "step", [lambda y, w: y * 1.0001, lambda y, w: y + w], ids=["* 1.0001", "+ w"]
)
def test_a_scalar_op_costs_at_most_600_bytes(step, pulled_back, most):
    """With the adjoint that `node.grad` finds after the way back, a few more."""
    import tracemalloc

    x = mg.TensorNode(1.0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        y = x
        for _ in range(10_000):
            y = step(y, x)
        if pulled_back:
            y.backward()
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert used / 10_000 <= most


def test_no_grad_writes_nothing_down():
    x = mg.TensorNode(2.0)
    with mg.no_grad():
        y = x * x
        assert y.source is None
    assert (x * x).source is not None


# Kinks, ties and edges: which number stands in for a derivative that does not exist.


def test_relu_at_zero_has_slope_zero():
    (g,) = grads(lambda x: ReLU.do_forward(x), np.array([-1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(g, [0, 0, 1])
    (g,) = grads(lambda x: np.maximum(x, 0.0), np.array([-1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(g, [0, 0, 1])  # half in autograd, JAX and PyTorch


def test_relu_keeps_a_nan_in_sight():
    assert np.isnan(ReLU.do_forward(mg.TensorNode([np.nan])).value[0])


def test_abs_at_zero_has_slope_zero():
    (g,) = grads(np.abs, np.array([-2.0, 0.0, 2.0]))
    np.testing.assert_array_equal(g, [-1, 0, 1])  # 1 at 0 in JAX


def test_ties_of_max_share_equally():
    (g,) = grads(np.max, np.array([3.0, 1.0, 3.0, 3.0]))
    np.testing.assert_allclose(g, [1 / 3, 0, 1 / 3, 1 / 3])
    (g,) = grads(lambda x: np.max(x, axis=1), np.array([[2.0, 2.0], [1.0, 5.0]]))
    np.testing.assert_array_equal(g, [[0.5, 0.5], [0, 1]])


def test_a_tie_of_maximum_goes_to_the_second():
    x, y = grads(np.maximum, np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    np.testing.assert_array_equal(x, [0, 1])
    np.testing.assert_array_equal(y, [1, 0])


def test_norm_at_zero_has_gradient_zero():
    """NaN in autograd and in JAX."""
    (g,) = grads(mg.norm, np.zeros(3))
    np.testing.assert_array_equal(g, np.zeros(3))
    (g,) = grads(mg.norm, np.array([3.0, 4.0]))
    np.testing.assert_allclose(g, [0.6, 0.8])
    (g,) = grads(np.linalg.norm, np.array([3.0, 4.0]))
    np.testing.assert_allclose(g, [0.6, 0.8])


def test_log_and_sqrt_at_zero_are_infinite_as_their_formulas_say():
    with np.errstate(divide="ignore"):
        x = mg.TensorNode(np.array([0.0, 1.0]))
        y = np.log(x)
        y.backward()
        np.testing.assert_array_equal(y.value, [-np.inf, 0])
        np.testing.assert_array_equal(x.grad, [np.inf, 1])
        (g,) = grads(np.sqrt, np.array([0.0, 4.0]))
        np.testing.assert_array_equal(g, [np.inf, 0.25])


def test_powers_at_zero():
    """x**0 is the constant 1; micrograd divides by zero there."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for exponent, slopes in {0: [0, 0], 1: [1, 1], 2: [0, 4], 3: [0, 12]}.items():
            (g,) = grads(lambda x, p=exponent: x**p, np.array([0.0, 2.0]))
            np.testing.assert_array_equal(g, slopes)
            x, p = grads(lambda x, p: x**p, np.array([0.0, 2.0]), np.full(2, float(exponent)))
            np.testing.assert_array_equal(x, slopes)
            np.testing.assert_allclose(p, [0, 2.0**exponent * np.log(2)])
        (g,) = grads(lambda x: x**2, np.array([-3.0]))
        np.testing.assert_array_equal(g, [-6])  # a negative base, an integer exponent


def test_powers_with_exponent_zero_have_their_mixed_second_derivative():
    """∂²xᵖ/∂x∂p = xᵖ⁻¹ (1 + p ln x), which is 1/x at p = 0."""
    second = mg.jacobian(mg.grad(lambda v: v[0] ** v[1]))(np.array([2.0, 0.0]))
    np.testing.assert_allclose(second, [[0.0, 0.5], [0.5, np.log(2.0) ** 2]], rtol=1e-14)


def test_where_hides_a_value_but_not_an_infinite_slope():
    """where(x > 0, log x, 0) at 0 is NaN in every library; choosing the argument first is not."""
    x = np.array([0.0, 2.0])
    with np.errstate(all="ignore"):
        (trap,) = grads(lambda x: np.where(x > 0, np.log(x), 0.0), x)
    assert np.isnan(trap[0])
    (g,) = grads(lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 0.0), x)
    np.testing.assert_array_equal(g, [0, 0.5])


def test_softmax_of_a_thousand_does_not_overflow():
    x = mg.TensorNode(np.array([[1000.0, 0.0, -1000.0]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = mg.softmax(x)
        loss = mg.cross_entropy(x, np.array([1]))
        loss.backward()
    np.testing.assert_array_equal(y.value, [[1, 0, 0]])
    assert loss.value == 1000.0
    np.testing.assert_array_equal(x.grad, [[1, -1, 0]])


def test_sigmoid_and_logsumexp_far_out():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (g,) = grads(mg.sigmoid, np.array([-1000.0, 0.0, 1000.0]))
        np.testing.assert_array_equal(g, [0, 0.25, 0])
        (g,) = grads(mg.logsumexp, np.array([-1e300, 0.0, 1000.0]))
        np.testing.assert_array_equal(g, [0, 0, 1])


# NumPy: on either side of an operator, and behind its own functions.


@pytest.mark.parametrize("other", [2, 2.0, np.float64(2), np.int64(2), np.full((2, 2), 2.0)])
def test_numbers_and_arrays_on_either_side(other):
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    number = np.asarray(other, float)
    for f, right in [
        (lambda a: a + other, np.ones((2, 2))),
        (lambda a: other + a, np.ones((2, 2))),
        (lambda a: a - other, np.ones((2, 2))),
        (lambda a: other - a, -np.ones((2, 2))),
        (lambda a: a * other, number * np.ones((2, 2))),
        (lambda a: other * a, number * np.ones((2, 2))),
        (lambda a: a / other, 1 / number * np.ones((2, 2))),
        (lambda a: other / a, -number / x**2),
        (lambda a: a**other, number * x ** (number - 1)),
        (lambda a: other**a, number**x * np.log(number)),
    ]:
        node = mg.TensorNode(x)
        y = f(node)
        assert isinstance(y, mg.TensorNode)
        np.testing.assert_array_equal(y.value, f(x))
        y.backward()
        np.testing.assert_allclose(node.grad, right, rtol=1e-14)


def test_matmul_on_either_side():
    x, m = mg.TensorNode(np.arange(6.0).reshape(2, 3)), np.arange(6.0).reshape(3, 2)
    for y in (x @ m, m @ x):
        assert isinstance(y, mg.TensorNode)
        x.grad = None
        y.backward()
        ones = np.ones(y.shape)
        np.testing.assert_array_equal(x.grad, ones @ m.T if y.shape == (2, 2) else m.T @ ones)


def test_numpy_functions_dispatch_on_nodes():
    x = mg.TensorNode(np.array([[1.0, 4.0], [9.0, 2.0]]))
    for y in (
        np.exp(x), np.sqrt(x), np.sum(x, axis=0), np.mean(x), np.max(x, axis=1), np.min(x),
        np.reshape(x, 4), np.transpose(x), np.concatenate([x, x]), np.stack([x, x.value]),
        np.where(x > 2, x, 0.0), np.squeeze(x), np.maximum(0.0, x), np.minimum(x, 2.0),
        np.dot(x, x), np.square(x), np.swapaxes(x, 0, 1), np.broadcast_to(x, (3, 2, 2)),
        np.expand_dims(x, 0), np.ravel(x), np.abs(-x),
    ):  # fmt: skip
        assert isinstance(y, mg.TensorNode)
        assert y.source is not None


def test_lists_beside_a_node_are_arrays():
    x = mg.TensorNode([[1.0, 2.0], [3.0, 4.0]])
    np.sum(x @ [1.0, 2.0]).backward()
    np.testing.assert_array_equal(x.grad, [[1, 2], [1, 2]])
    x.zero_grad()
    np.sum(x ** [1, 2]).backward()
    np.testing.assert_array_equal(x.grad, [[1, 4], [1, 8]])
    square = lambda v: np.sum(v ** [2, 2] @ [[1.0], [10.0]])
    np.testing.assert_array_equal(mg.hessian(square)(np.ones(2)), [[2, 0], [0, 20]])


def test_concatenation_without_an_axis_flattens():
    x, y = mg.TensorNode([[1.0, 2.0]]), mg.TensorNode([3.0])
    z = np.concatenate([x, y, [[4.0]]], axis=None)
    np.testing.assert_array_equal(z.value, [1, 2, 3, 4])
    z.backward([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(x.grad, [[1, 2]])
    np.testing.assert_array_equal(y.grad, [3])


def test_iteration_is_over_rows_and_a_number_has_none():
    rows = list(mg.TensorNode(np.eye(2)))
    np.testing.assert_array_equal([row.value for row in rows], np.eye(2))
    assert rows[0].source.op is mg.Index
    for number in (mg.TensorNode(2.0), mg.Dual(2.0)):
        with pytest.raises(TypeError, match="no len"):
            sum(number)  # was 0: the rows of a number, none of them, added up


@pytest.mark.parametrize("x", [mg.TensorNode(np.ones((2, 3))), mg.Dual(np.ones((2, 3)))])
def test_transpose_takes_its_axes_as_numpy_does(x):
    for y in (x.T, x.transpose(), x.transpose(1, 0), x.transpose((1, 0)), x.transpose(-1, 0)):
        assert y.shape == (3, 2)


def test_a_sum_over_the_axis_of_a_number():
    x = mg.TensorNode(2.0)
    np.sum(x, axis=0).backward()
    assert x.grad == 1.0


def test_a_mask_may_be_a_node():
    x = mg.TensorNode(np.array([0.0, 2.0]))
    np.where(x, x * x, 5.0).backward()
    np.testing.assert_array_equal(x.grad, [0, 4])


def test_a_dual_and_a_node_do_not_mix():
    with pytest.raises(TypeError, match=r"Add.forward must return floats, but gave Dual"):
        mg.TensorNode(1.0) + mg.Dual(1.0)


def test_a_minimum_with_unsigned_integers():
    x = mg.TensorNode(np.array([1.0, 3.0]))
    np.testing.assert_array_equal(np.minimum(x, np.array([2, 2], np.uint8)).value, [1, 2])


def test_arguments_that_a_rule_does_not_know_are_refused():
    x = mg.TensorNode(np.ones((2, 2)))
    with pytest.raises(TypeError, match=r"np\.sum.*'dtype'"):
        np.sum(x, dtype=np.float32)
    with pytest.raises(TypeError, match=r"np\.max.*positional"):
        np.max(x, 0, None)  # NumPy's third is out, not keepdims
    with pytest.raises(TypeError, match="ord 1; expected no ord, only √Σ x²"):
        np.linalg.norm(x, 1)  # NumPy's second is ord, not axis
    with pytest.raises(TypeError, match=r"np\.add\.reduce on a node"):
        np.add.reduce(x)


def test_a_numpy_function_without_a_rule_is_named():
    with pytest.raises(TypeError, match=r"no rule for np\.fft|no rule for np\.cumsum"):
        np.cumsum(mg.TensorNode(np.ones(3)))
    with pytest.raises(TypeError, match="no rule for np.arctan2"):
        np.arctan2(mg.TensorNode(1.0), 2.0)


def test_comparisons_give_plain_arrays():
    x = mg.TensorNode(np.array([1.0, -1.0]))
    for mask in (x > 0, x >= 0, x < 0, x <= 0, x == 1.0, x != 1.0, np.greater(x, 0), 0 < x):
        assert isinstance(mask, np.ndarray) and mask.dtype == bool


# float32.


@pytest.mark.parametrize("scalar", [2, 2.0, np.float64(2.0), np.int64(2)])
def test_float32_survives_scalars_of_other_types(scalar):
    x = mg.TensorNode(np.ones(3, np.float32))
    for y in (
        x * scalar,
        scalar * x,
        x + scalar,
        scalar - x,
        x / scalar,
        scalar / x,
        x**scalar,
        np.maximum(x, scalar),
    ):
        assert y.dtype == np.float32
        x.grad = None
        y.backward()
        assert x.grad.dtype == np.float32


def test_float32_survives_losses_and_higher_derivatives():
    x = np.ones((2, 3), np.float32)
    for f in (
        lambda x: mg.cross_entropy(x, np.array([0, 1])),
        lambda x: mg.mean_squared_error(x, np.zeros((2, 3), np.float32)),
        lambda x: mg.norm(x),
        lambda x: np.sum(mg.softmax(x) ** 2),
        lambda x: np.mean(np.where(x > 0, x, 0.0)),
    ):
        value, gradient = mg.value_and_grad(f)(x)
        assert value.dtype == gradient.dtype == np.float32
        second = mg.grad(lambda x, f=f: np.sum(mg.grad(f)(x) ** 2))(x)
        assert second.dtype == np.float32


# Refused, with a reason.


@pytest.mark.parametrize("value", [np.arange(3), [1, 2, 3], True, np.array([True]), 1j, "a", None])
def test_leaves_that_are_not_floats_are_refused(value):
    with pytest.raises(TypeError, match="hold floats"):
        mg.TensorNode(value)


def test_a_python_number_becomes_a_float():
    for value in (2, 2.0):
        assert mg.TensorNode(value).dtype == np.float64


def test_strict_mode_finds_an_array_changed_in_place_and_names_the_op():
    data = np.array([1.0, 2.0])
    x = mg.TensorNode(data)
    y = np.sin(x)
    data *= 10  # the node holds this array
    with pytest.raises(
        ValueError, match=r"Sin: input 0.*changed in place between forward and backward"
    ):
        y.backward()


def test_strict_mode_blames_a_forward_that_changes_its_own_input():
    class Doubles(mg.Op):
        @staticmethod
        def forward(context, x):
            x *= 2.0
            return x + 0.0

        @staticmethod
        def backward(context, gy):
            return 2.0 * gy

    hidden = np.exp(mg.TensorNode([1.0, 2.0]))
    with pytest.raises(ValueError, match="^Doubles: input 0 changed in place"):
        Doubles.do_forward(hidden).backward()


def test_strict_mode_watches_constants_too():
    class Scale(mg.Op):
        @staticmethod
        def forward(context, x, by):
            context["again"] = lambda: by
            return x * by

        @staticmethod
        def backward(context, gy):
            return gy * context["again"]()

    by = np.array([1.0, 2.0])
    y = Scale.do_forward(mg.TensorNode([1.0, 2.0]), by=by)
    by[0] = 5.0
    with pytest.raises(ValueError, match=r"^Scale: constants\['by'\] changed in place"):
        y.backward()


@pytest.mark.parametrize("wrap", [lambda i: i, lambda i: (i, i), lambda i: (slice(None), i)])
def test_an_index_belongs_to_the_node_that_it_made(wrap):
    x, index = mg.TensorNode(np.arange(9.0).reshape(3, 3)), np.array([0, 2])
    expected = np.zeros((3, 3))
    expected[wrap(index.copy())] = 1.0
    y = x[wrap(index)]
    index[:] = 1
    y.backward()
    np.testing.assert_array_equal(x.grad, expected)


def test_strict_mode_watches_plain_inputs_and_the_context_too():
    class Double(mg.Op):
        scratch = np.array([2.0, 2.0])

        @staticmethod
        def forward(context, x):
            context["two"] = Double.scratch
            return x * Double.scratch

        @staticmethod
        def backward(context, gy):
            return gy * context["two"]

    y = Double.do_forward(mg.TensorNode([1.0, 2.0]))
    Double.scratch[0] = 3.0
    with pytest.raises(ValueError, match=r"Double: context\['two'\] changed in place"):
        y.backward()
    constant = np.array([1.0, 2.0])
    y = mg.TensorNode([1.0, 2.0]) * constant
    constant[0] = 5.0
    with pytest.raises(ValueError, match="Multiply: input 1"):
        y.backward()


def test_strict_mode_lets_a_backward_use_up_its_context():
    class Once(mg.Op):
        @staticmethod
        def forward(context, x):
            context["slope"] = 2.0 * x
            return x * x

        @staticmethod
        def backward(context, gy):
            return gy * context.pop("slope")

    with mg.strict():
        y = Once.do_forward(mg.TensorNode(np.ones(2)))
        y.backward()
        with pytest.raises(KeyError, match="^'slope'$"):  # the op's own mistake, under its own name
            y.backward()


@pytest.mark.relaxed
def test_without_strict_mode_nothing_is_checked():
    data = np.array([1.0, 2.0])
    x = mg.TensorNode(data)
    y = np.exp(x)
    data *= 10
    y.backward()


def broken(backward):
    return type("Broken", (mg.Multiply,), {"backward": staticmethod(backward)})


@pytest.mark.parametrize(
    "backward, error, message",
    [
        (lambda c, g: (g[:2], g), ValueError, r"gradient of input 0: shape \(2,\).*shape \(3,\)"),
        (lambda c, g: (g, np.sum(g)), ValueError, r"gradient of input 1: shape \(\).*shape \(3,\)"),
        (lambda c, g: g, ValueError, "returned 1 gradients for 2 inputs"),
        (lambda c, g: (g, g, g), ValueError, "returned 3 gradients for 2 inputs"),
        (lambda c, g: None, ValueError, "returned 1 gradients for 2 inputs"),
        (lambda c, g: (None, g), ValueError, "gradient of input 0: None.*return missing"),
        (lambda c, g: (g > 0, g), TypeError, "gradient of input 0: bool"),
        (lambda c, g: (g.astype(int), g), TypeError, "gradient of input 0: int64"),
        (lambda c, g: (1j * g, g), TypeError, "gradient of input 0: complex128"),
    ],
)
def test_a_backward_that_breaks_its_promise_is_refused(backward, error, message):
    x, y = mg.TensorNode(np.ones(3)), mg.TensorNode(np.ones(3))
    with pytest.raises(error, match=message):
        broken(backward).do_forward(x, y).backward()


@pytest.mark.parametrize("value", [None, 3, np.arange(3), "text", np.array([True])])
def test_a_forward_that_returns_no_floats_is_refused(value):
    op = type("Odd", (mg.Op,), {"forward": staticmethod(lambda context, x: value)})
    with pytest.raises(TypeError, match="Odd.forward must return floats"):
        op.do_forward(mg.TensorNode(1.0))


def test_shapes_that_cannot_be_broadcast_are_named():
    with pytest.raises(ValueError, match=r"Add of shapes \(2,\) and \(3,\)"):
        mg.TensorNode(np.ones(2)) + np.ones(3)
    with pytest.raises(ValueError, match=r"MatMul of shapes \(2, 3\) and \(2, 3\)"):
        mg.TensorNode(np.ones((2, 3))) @ np.ones((2, 3))


def test_a_cotangent_of_another_shape_is_refused():
    y = mg.TensorNode(np.ones((2, 3))) * 2.0
    with pytest.raises(
        ValueError, match=r"cotangent \(3,\); expected one of shape \(2, 3\), the output"
    ):
        y.backward(np.ones(3))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_recorded_node_is_neither_copied_nor_pickled(duplicate):
    y = mg.TensorNode(2.0) * 3.0
    with pytest.raises(TypeError, match="recorded node cannot be copied or pickled"):
        duplicate(y)
    leaf = mg.TensorNode([1.0, 2.0])
    made = duplicate(leaf)
    made = pickle.loads(made) if isinstance(made, bytes) else made
    np.testing.assert_array_equal(made.value, leaf.value)


def test_a_node_does_not_become_a_number_or_an_array_silently():
    x = mg.TensorNode(2.0)
    assert not hasattr(x, "__float__")
    with pytest.raises(TypeError):
        float(x)
    with pytest.raises(TypeError, match="history would be lost"):
        np.asarray(x)
    with pytest.raises(TypeError, match="history would be lost"):
        np.array([x, x])
    assert x.item() == 2.0


def test_a_node_cannot_be_changed_in_place():
    x = mg.TensorNode(np.ones(3))
    with pytest.raises(TypeError, match="cannot be changed in place"):
        x[0] = 2.0
    with pytest.raises(TypeError, match="out= would overwrite"):
        np.exp(x, out=np.zeros(3))
    with pytest.raises(TypeError, match="out= would overwrite"):
        np.add(x, x, out=np.zeros(3))
    array = np.zeros(3)
    with pytest.raises(TypeError):
        array += x
    with pytest.raises(TypeError, match=r"np\.add\.reduce|np\.add"):
        np.add.reduce(x)
    before = x
    x += 1.0  # rebinds the name to a new node: that is what Python does without __iadd__
    assert x is not before and np.all(before.value == 1.0)


def test_an_impure_op_is_refused_when_it_is_run_again():
    class Dropout(mg.Op):
        @staticmethod
        def forward(context, x):
            context["mask"] = np.random.random(np.shape(x)) < 0.5
            return np.where(context["mask"], x, 0.0)

        @staticmethod
        def backward(context, gy):
            return np.where(context["mask"], gy, 0.0)

    f = lambda x: np.sum(Dropout.do_forward(x) ** 2)
    with pytest.raises(ValueError, match="gave another value when run again.*pure"):
        mg.grad(lambda x: np.sum(mg.grad(f)(x)))(np.ones(20))


def test_a_pure_op_may_differ_in_the_last_bits_when_it_is_run_again():
    """On arrays np.linalg.norm is BLAS's, on nodes a sum of squares: a third of these differ."""

    class Unit(mg.Op):
        @staticmethod
        def forward(context, x):
            context["x"], context["n"] = x, np.linalg.norm(x)
            return x / context["n"]

        @staticmethod
        def backward(context, gy):
            x, n = context["x"], context["n"]
            return gy / n - x * np.sum(gy * x) / n**3

    rng = np.random.default_rng(0)
    for n in range(2, 60):
        x = rng.normal(size=n)
        mg.hvp(lambda x: np.sum(Unit.do_forward(x) ** 3), x, x)


def test_losses_explain_shapes_and_labels():
    logits = mg.TensorNode(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="expected scores .n, classes. and labels .n,."):
        mg.cross_entropy(logits, np.array([0, 1, 2]))
    with pytest.raises(ValueError, match="from 0 to 2"):
        mg.cross_entropy(logits, np.array([0, 3]))
    with pytest.raises(ValueError, match="expected one shape"):
        mg.mean_squared_error(np.zeros(3), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="expected one number"):
        mg.grad(lambda x: x * 2.0)(np.ones(3))


# Debug mode: the op that makes the first NaN or infinity.


@pytest.mark.parametrize(
    "f, x, says",
    [
        (np.log, [1.0, 0.0], r"OpNode \d+: Log\(\(2,\)\): output 0 is -inf at entry \(1,\).*log"),
        (lambda x: 1.0 / x, [2.0, 0.0], r"Divide.*output 0 is inf at entry \(1,\).*division by 0"),
        (lambda x: np.exp(1000.0 * x), [1.0], r"Exp.*is inf.*overflows"),
        (lambda x: np.sum(np.sqrt(x)), [1.0, 0.0], r"Sqrt.*gradient of input 0 is inf.*root of 0"),
        (lambda x: x * 1e300 * 1e300, 2.0, r"Multiply.*is inf at entry \(\).*large rate"),
        (lambda x: x + np.array([0.0, np.nan]), [1.0, 2.0], r"Add.*is nan.*input 1 is so already"),
        (lambda x: np.mean(x) * 0.0, [np.inf], r"Mean.*is inf.*input 0 is so already"),
    ],
)
def test_debug_mode_names_the_op_that_makes_the_first_infinity(f, x, says):
    with np.errstate(all="ignore"):
        f(mg.TensorNode(x)).backward()  # off by default
        with mg.debug(), pytest.raises(FloatingPointError, match=says):
            f(mg.TensorNode(x)).backward()
        f(mg.TensorNode(x)).backward()  # and off again


def test_debug_mode_sees_what_is_not_recorded_and_walks_over_walks():
    with mg.debug(), np.errstate(all="ignore"):
        with mg.no_grad(), pytest.raises(FloatingPointError, match="^Log: output 0 is -inf"):
            np.log(mg.TensorNode(0.0))
        with pytest.raises(FloatingPointError, match=r"Divide.*is inf.*division by 0"):
            mg.grad(mg.grad(np.sqrt))(0.0)  # the backward of the root is ops, too: ȳ / (2y)
        assert mg.grad(mg.grad(lambda x: x**3))(2.0) == pytest.approx(12.0)
        product, total = Halves.do_forward(mg.TensorNode(np.ones(4)))
        np.sum(product * total).backward()


class Halves(mg.Op):
    """Two outputs."""

    @staticmethod
    def forward(context, x):
        return x[:2] * 1.0, x[2:] * 1.0

    @staticmethod
    def backward(context, gfirst, gsecond):
        return np.concatenate([gfirst, gsecond])


# Arrays that are written over: only those that nobody else holds.


def network(n=128):
    """A product that is large enough for its arrays to be kept, and a step of it."""
    from minigrad.optim import SGD

    rng = np.random.default_rng(3)
    w, x = mg.TensorNode(rng.standard_normal((n, n))), rng.standard_normal((n, n))
    sgd = SGD([w], rate=1e-4, momentum=0.5)

    def step():
        sgd.zero_grad()
        loss = np.sum((x @ w) ** 2)
        loss.backward()
        sgd.step()
        return loss

    return w, step


@pytest.mark.relaxed
def test_arrays_of_gradients_and_values_are_used_again():
    w, step = network()
    seen = set()
    for _ in range(6):
        step()
        seen |= {w.grad.ctypes.data, w.value.ctypes.data}
    assert len(seen) <= 4


@pytest.mark.relaxed
@pytest.mark.parametrize("hold", [lambda a: a, lambda a: a[3:], lambda a: memoryview(a), iter])
def test_an_old_gradient_or_value_that_somebody_holds_never_changes(hold):
    w, step = network()
    held, copies = [], []
    for _ in range(8):
        losses = step()  # noqa: F841  its list is held until the next
        for array in (w.grad, w.value):
            held.append(hold(array))
            copies.append(np.array(array if hold is iter else np.asarray(held[-1])))
    for kept, copy_ in zip(held, copies, strict=True):
        np.testing.assert_array_equal(np.asarray(list(kept) if hold is iter else kept), copy_)


def test_steps_are_the_same_whether_or_not_somebody_watches():
    (w, step), (watched, other_step) = network(), network()
    kept = []
    for _ in range(6):
        step()
        kept.append((other_step(), watched.grad, watched.value))
    np.testing.assert_array_equal(w.value, watched.value)


@pytest.mark.relaxed
def test_a_list_recorded_before_steps_keeps_its_point():
    """The derivative of a loss is that of the point where it was recorded, steps later too."""
    w, step = network()
    early = np.sum(w * w)
    point = w.value.copy()
    for _ in range(4):
        step()
    w.zero_grad()
    early.backward()
    np.testing.assert_array_equal(w.grad, 2.0 * point)


def test_an_array_that_belongs_to_another_is_not_written_over():
    """The first value of a leaf may be a view of somebody's data, or read-only."""
    data = np.random.default_rng(0).standard_normal((2, 128, 128))
    before, (w, step) = data.copy(), network()
    for value in (data[0], np.broadcast_to(data[1, 0], (128, 128))):
        w.value = value
        del value
        for _ in range(4):
            step()
    np.testing.assert_array_equal(data, before)
    frozen = data[1].copy()
    frozen.flags.writeable = False
    w.value = frozen
    del frozen
    for _ in range(4):
        step()


def test_a_value_of_another_shape_or_dtype_gets_arrays_of_its_own():
    w = mg.TensorNode(np.ones((128, 128)))
    for value in (np.ones((128, 200)), np.ones((128, 200), np.float32), np.ones((128, 64))):
        np.sum(np.ones((4, 128)) @ w).backward()
        w.zero_grad()
        w.value = value
        np.sum(np.ones((4, 128)) @ w).backward()
        assert w.grad.shape == value.shape and w.grad.dtype == value.dtype
        np.testing.assert_array_equal(w.grad, 4.0)
        w.zero_grad()


# Derivatives of derivatives.


class Softplus(mg.Op):
    """ln(1 + eˣ), with out=, which a node refuses: hence the reference."""

    runs = []

    @staticmethod
    def forward(context, x, scale=1.0):
        context["x"], context["scale"] = x, scale
        return np.log1p(np.exp(x * scale), out=np.empty(np.shape(x)))

    @staticmethod
    def backward(context, gy):
        y = np.exp(-context["x"] * context["scale"], out=np.empty(np.shape(context["x"])))
        y += 1.0
        return gy * context["scale"] / y

    @staticmethod
    def reference(x, scale=1.0):
        Softplus.runs.append(scale)
        return np.log(1.0 + np.exp(x * scale))


def test_an_op_with_buffers_names_a_reference_for_higher_orders():
    assert mg.gradcheck(Softplus, np.array([0.5, -1.0]), scale=2.0).second_order is True
    x, plain = np.array([0.5, -1.0]), lambda x: np.sum(np.log(1.0 + np.exp(2.0 * x)))
    f = lambda x: np.sum(Softplus.do_forward(x, scale=2.0))
    Softplus.runs.clear()
    np.testing.assert_allclose(mg.grad(f)(x), mg.grad(plain)(x), rtol=1e-14)
    assert not Softplus.runs  # the first order does without
    np.testing.assert_allclose(mg.hessian(f)(x), mg.hessian(plain)(x), rtol=1e-14)
    assert Softplus.runs
    third = lambda f: mg.grad(lambda x: np.sum(mg.grad(lambda x: np.sum(mg.grad(f)(x)))(x)))(x)
    np.testing.assert_allclose(third(f), third(plain), rtol=1e-12)
    _, push = mg.jvp(f, (x,), (np.ones(2),))
    np.testing.assert_allclose(push, np.sum(mg.grad(plain)(x)))


class Product(mg.Multiply):
    """A product of two, with a reference; the tests hand it inputs that depend on each other."""

    @staticmethod
    def reference(x, y):
        return x * y


def test_a_reference_whose_inputs_depend_on_each_other_counts_nothing_twice():
    """d²/dx² of x sin x, where the product gets x and sin x."""
    f = lambda x: Product.do_forward(x, np.sin(x))
    assert mg.grad(f)(0.7) == pytest.approx(np.sin(0.7) + 0.7 * np.cos(0.7), rel=1e-14)
    second = 2 * np.cos(0.7) - 0.7 * np.sin(0.7)
    assert mg.grad(mg.grad(f))(0.7) == pytest.approx(second, rel=1e-14)


def test_a_reference_that_computes_something_else_is_refused():
    wrong = type("Wrong", (Product,), {"reference": staticmethod(lambda x, y: x + y)})
    with pytest.raises(ValueError, match="Wrong.forward gave another value"):
        mg.grad(mg.grad(lambda x: wrong.do_forward(x, x)))(3.0)


def test_a_reference_may_ignore_an_input():
    first = type("First", (Product,), {"reference": staticmethod(lambda x, y: x * 0.0)})
    f = lambda x: first.do_forward(x, x * 0.0)
    assert mg.grad(mg.grad(f))(3.0) == 0.0


def test_derivatives_of_any_order():
    f = lambda x: np.sin(x) * np.exp(x)
    g, right = f, [f]
    for _ in range(4):
        g = mg.grad(g)
        right.append(g)
    s, c, e = np.sin(0.7), np.cos(0.7), np.exp(0.7)
    expected = [s * e, (s + c) * e, 2 * c * e, 2 * (c - s) * e, -4 * s * e]
    for order, value in enumerate(expected):
        found = right[order](mg.TensorNode(0.7)).value if order == 0 else right[order](0.7)
        assert found == pytest.approx(value, rel=1e-12)


def test_a_gradient_within_a_gradient_knows_which_x_is_which():
    """d/dx (x · d/dy (x y)) = d/dx x² = 2x: the inner gradient must not swallow the outer x."""
    outer = mg.grad(lambda x: x * mg.grad(lambda y: x * y)(1.0))
    assert outer(3.0) == pytest.approx(6.0)


def test_strict_mode_takes_a_new_value_for_no_change_in_place(rng):
    """An optimiser's step gives a parameter a new array; the old list still has the old one."""
    with mg.strict():
        w = mg.TensorNode(rng.normal(size=3))
        loss = np.sum(w * w)
        loss.backward()
        before = w.grad.copy()
        w.value = w.value - 0.1
        loss.backward()
    np.testing.assert_array_equal(w.grad, 2 * before)


@pytest.mark.parametrize("hide", [lambda a: [a], lambda a: (1, {"deep": [a]}), lambda a: {"k": a}])
def test_strict_mode_looks_into_what_the_context_holds(hide):
    class Kept(mg.Op):
        @staticmethod
        def forward(context, x):
            context["kept"] = hide(kept := np.exp(x))
            context["also"] = kept
            return x * 2.0

        @staticmethod
        def backward(context, g):
            return g * 2.0

    with mg.strict():
        y = Kept.do_forward(mg.TensorNode([1.0, 2.0]))
        kept = y.source.context.pop("also")
        kept[0] = 0.0
        with pytest.raises(ValueError, match="Kept: context.'kept'.* changed in place"):
            y.backward()


@pytest.mark.parametrize("other", [None, "linear", object()])
def test_debug_mode_looks_at_floats_alone(other):
    class Moded(mg.Op):
        @staticmethod
        def forward(context, x, mode):
            return x * 2.0

        @staticmethod
        def backward(context, g):
            return g * 2.0, None

    with mg.debug():
        assert Moded.do_forward(mg.TensorNode(1.0), other).value == 2.0
        with pytest.raises(FloatingPointError, match="Moded.* input 0 is so already"):
            Moded.do_forward(mg.TensorNode(np.inf), other)


def test_the_cotangent_of_backward_may_be_a_node():
    x = mg.TensorNode([1.0, 2.0])
    (x * x).backward(mg.TensorNode([1.0, 10.0]))
    assert type(x.grad) is np.ndarray and x.grad.tolist() == [2.0, 40.0]


def test_the_modules_are_there_without_an_import_of_their_own():
    code = "import minigrad as mg; print(mg.nn.MLP, mg.optim.SGD, mg.train.fit, mg.data.digits)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = mg.nothing


def test_a_node_in_another_dtype_has_its_gradient_in_its_own(rng):
    x = mg.TensorNode(rng.normal(size=3).astype(np.float32))
    y = x.astype(float)
    assert y.dtype == np.float64
    np.sum(y**2).backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_allclose(x.grad, 2 * x.value)
