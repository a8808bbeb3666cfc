"""Losses, and derivatives as functions of functions, against formulas and HIPS autograd."""

import gc
import tracemalloc
import weakref

import autograd
import autograd.numpy as anp
import numpy as np
import pytest

import minigrad as mg
from minigrad.solutions import Normalize, ReLU


def curve(x):
    """From one number to three."""
    return np.stack([np.sin(x), x * x, np.exp(-x)])


def swirl(x, np=np):
    """From four numbers to two."""
    return np.stack([np.sum(x * np.sin(x)), np.prod(x) if np is anp else x[0] * x[1] * x[2] * x[3]])


@pytest.fixture
def x():
    return np.random.default_rng(4).uniform(0.5, 2.0, 4)


def test_jacobian_goes_the_shorter_way_and_says_which(x):
    few_in = mg.jacobian(curve)
    np.testing.assert_allclose(few_in(0.3), [np.cos(0.3), 0.6, -np.exp(-0.3)])
    assert few_in.mode_for(0.3) == "forward"
    few_out = mg.jacobian(swirl)
    expected = autograd.jacobian(lambda x: anp.array([anp.sum(x * anp.sin(x)), anp.prod(x)]))(x)
    np.testing.assert_allclose(few_out(x), expected)
    assert few_out.mode_for(x) == "reverse"
    assert mg.jacobian(swirl, mode="forward").mode_for(x) == "forward"


@pytest.mark.parametrize("f, at", [(curve, 0.3), (swirl, np.array([0.5, 1.0, 1.5, 2.0]))])
def test_both_modes_give_one_jacobian(f, at):
    forward, reverse = mg.jacobian(f, mode="forward"), mg.jacobian(f, mode="reverse")
    np.testing.assert_allclose(forward(at), reverse(at), rtol=1e-13)


def test_jacobian_of_a_matrix_keeps_both_shapes():
    x = np.arange(6.0).reshape(2, 3)
    J = mg.jacobian(lambda x: np.sum(x * x, axis=1))(x)
    assert J.shape == (2, 2, 3)
    np.testing.assert_allclose(J[0], [[0, 2, 4], [0, 0, 0]])


@pytest.mark.parametrize("mode", [None, "forward", "reverse"])
@pytest.mark.parametrize(
    "f, x, shape",
    [
        (lambda x: x * 2.0, np.zeros(0), (0, 0)),
        (lambda x: np.stack([np.sum(x)]), np.zeros((0, 2)), (1, 0, 2)),
        (lambda x: x[:0], np.ones(3), (0, 3)),
    ],
)
def test_a_jacobian_without_entries(f, x, shape, mode):
    assert mg.jacobian(f, mode)(x).shape == shape


def test_a_jacobian_dies_by_reference_counting():
    gc.collect()
    gc.disable()
    try:
        J = mg.jacobian(np.sin)
        J(np.ones(2))
        ghost = weakref.ref(J)
        del J
        assert ghost() is None
    finally:
        gc.enable()


def test_several_arguments_at_once_are_the_pullbacks():
    with pytest.raises(ValueError, match=r"argnum \(0, 1\).*mg.vjp"):
        mg.grad(lambda a, b: a * b, argnum=(0, 1))(1.0, 2.0)


def test_jacobian_refuses_an_unknown_mode():
    with pytest.raises(ValueError, match="'sideways'.*forward.*reverse"):
        mg.jacobian(curve, mode="sideways")


def test_hessian_and_hvp_are_autograds(x):
    v = np.array([1.0, -2.0, 0.5, 3.0])

    def f(x, np):
        return np.sum(np.exp(np.sin(x)) * x) + x[0] * x[1] ** 2 * np.log(x[3])

    expected = autograd.hessian(lambda x: f(x, anp))(x)
    np.testing.assert_allclose(mg.hessian(lambda x: f(x, np))(x), expected, rtol=1e-12)
    np.testing.assert_allclose(mg.hvp(lambda x: f(x, np), x, v), expected @ v, rtol=1e-12)


def test_hvp_through_the_readers_own_ops():
    x, v = np.array([[1.0, 2.0, 3.0]]), np.array([[0.3, -1.0, 2.0]])
    ours = lambda x: np.sum(ReLU.do_forward(Normalize.do_forward(x) - 0.2) ** 3)
    theirs = lambda x: anp.sum(anp.maximum(x / anp.sum(x) - 0.2, 0.0) ** 3)
    expected = autograd.hessian(theirs)(x).reshape(3, 3) @ v[0]
    np.testing.assert_allclose(mg.hvp(ours, x, v)[0], expected, rtol=1e-10)


def test_third_derivative():
    third = mg.grad(mg.grad(mg.grad(lambda x: np.sin(x) * x**3)))
    expected = autograd.grad(autograd.grad(autograd.grad(lambda x: anp.sin(x) * x**3)))
    assert third(2.0) == pytest.approx(expected(2.0), rel=1e-12)


def test_an_inner_gradient_sees_the_outer_variable():
    outer = mg.grad(lambda a: a * mg.grad(lambda x: a * x * x)(3.0))  # a · 6a, derivative 12a
    assert outer(2.0) == pytest.approx(24.0)


def test_an_inner_gradient_at_a_node_holds_still_what_depends_on_it_outside():
    """d/dx (x sin a) at x = a is sin a, whose derivative is cos a: the sine is no function of x."""
    closure = lambda a: mg.grad(lambda x: x * np.sin(a))(a)
    assert closure(0.7) == pytest.approx(np.sin(0.7))
    assert mg.grad(closure)(0.7) == pytest.approx(np.cos(0.7), rel=1e-14)
    in_advance = lambda a: (lambda b: mg.grad(lambda x: x * b)(a))(np.sin(a))
    assert mg.grad(in_advance)(0.7) == pytest.approx(np.cos(0.7), rel=1e-14)
    by_pullback = lambda a: mg.vjp(lambda x, y: x * y, a, np.sin(a))[1](1.0)[0]
    assert mg.grad(by_pullback)(0.7) == pytest.approx(np.cos(0.7), rel=1e-14)
    again = lambda a: mg.checkpoint(lambda x, y: x * y)(a, np.sin(a))
    second = 2 * np.cos(0.7) - 0.7 * np.sin(0.7)
    assert mg.grad(mg.grad(again))(0.7) == pytest.approx(second, rel=1e-14)


def test_an_inner_gradient_leaves_the_outer_list_alone():
    """Only what lies between the inner output and its x is run again."""
    runs = []

    class Sine(mg.Op):
        @staticmethod
        def forward(context, x):
            runs.append("forward")
            context["x"] = x
            return np.sin(x)

        @staticmethod
        def backward(context, gy):
            runs.append("backward")
            return gy * np.cos(context["x"])

    outer = lambda a: mg.grad(lambda x: x * x * x)(Sine.do_forward(a))
    assert mg.grad(outer)(0.5) == pytest.approx(6 * np.sin(0.5) * np.cos(0.5))
    assert runs == ["forward", "backward"]


def chain(x, steps=40):
    for _ in range(steps):
        x = np.tanh(x * 1.01)
    return x


def peak(f, x):
    """The most memory, in bytes, that a forward and a backward pass hold at once."""
    node = mg.TensorNode(x)
    tracemalloc.start()
    f(node).backward()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most, node.grad


def test_checkpoints_give_the_same_gradient_in_less_memory(monkeypatch):
    x = np.linspace(-1.0, 1.0, 20_000)

    def in_pieces(x):
        for _ in range(5):
            x = mg.checkpoint(lambda x: chain(x, 8))(x)
        return x

    whole, expected = peak(chain, x)
    pieces, found = peak(in_pieces, x)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert pieces < 0.5 * whole


def test_a_second_derivative_passes_through_a_checkpoint():
    f = lambda x: mg.checkpoint(lambda x: np.sin(x) * x)(x)
    plain = lambda x: np.sin(x) * x
    assert mg.grad(mg.grad(f))(0.7) == pytest.approx(mg.grad(mg.grad(plain))(0.7), rel=1e-13)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: mg.grad(lambda x: x * x)(np.ones(3)), r"result \(3,\).*one number"),
        (lambda: mg.jvp(np.sin, (np.ones(2),), (np.ones(3),)), r"tangent of its own shape"),
        (lambda: mg.vjp(np.sin, np.ones(2))[1](np.ones(3)), r"cotangent \(3,\); expected"),
        (lambda: mg.mean_squared_error(np.ones((3, 1)), np.ones(3)), r"\(3, 1\).*\(3,\)"),
        (lambda: mg.cross_entropy(np.ones((2, 3)), np.array([0, 3])), r"0 to 2"),
        (lambda: mg.cross_entropy(np.ones((2, 3)), np.array([0.0, 1.0])), r"integers"),
        (lambda: mg.cross_entropy(np.ones((2, 3)), np.array([[0], [1]])), r"\(n, classes\)"),
    ],
)
def test_bad_input_is_told_what_was_expected(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_softmax_stands_a_thousand():
    np.testing.assert_array_equal(mg.softmax(np.array([1000.0, 0.0])), [1.0, 0.0])


def test_a_function_that_ignores_its_input_has_gradient_zero():
    assert mg.grad(lambda x: 3.0)(2.0) == 0.0


def test_gradients_are_arrays_of_ones_own():
    """The adjoint of a sum is a view of one number, that of x + y one array for both."""
    g = mg.grad(np.sum)(np.ones(3))
    g += 1.0
    cotangent = np.ones(2)
    _, pullback = mg.vjp(lambda a, b: a + b, np.ones(2), np.ones(2))
    a, b = pullback(cotangent)
    a[0] = 9.0
    np.testing.assert_array_equal([b, cotangent], np.ones((2, 2)))


def test_a_gradient_within_no_grad():
    with mg.no_grad():
        assert mg.grad(lambda x: x * x)(3.0) == 6.0
        assert mg.grad(mg.grad(lambda x: x**3))(2.0) == pytest.approx(12.0)


def test_a_gradient_within_a_checkpoint():
    slope = lambda x: mg.grad(lambda y: y**3)(x)
    assert mg.grad(mg.checkpoint(slope))(2.0) == pytest.approx(12.0)


def test_a_checkpoint_dies_by_reference_counting():
    gc.collect()
    gc.disable()
    try:
        w = mg.TensorNode(np.ones(3)) * 2.0
        ghost = weakref.ref(w)
        f = lambda w: mg.checkpoint(lambda x: np.sum(x * w))(mg.TensorNode(np.ones(3)))
        f(w).backward()
        del w
        assert ghost() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("answer", [None, "a", (1.0, 2.0)])
def test_a_function_that_returns_no_number_is_refused(answer):
    with pytest.raises(TypeError, match="result.*expected a node.*return missing"):
        mg.grad(lambda x: answer)(2.0)


def test_arguments_are_counted_from_the_end_too():
    assert mg.grad(lambda a, b: a * b, -1)(2.0, 3.0) == 2.0


def test_jvp_where_duals_meet_nodes():
    w, x = mg.TensorNode(np.array([1.0, 2.0])), np.array([3.0, 4.0])
    y, y_dot = mg.jvp(lambda x: w @ x + x @ w, (x,), (np.ones(2),))
    assert (y, y_dot) == (22.0, 6.0)
    cube = lambda x: mg.jvp(lambda x: x * x * x, (x,), (1.0,))[1]
    assert mg.grad(cube)(2.0) == pytest.approx(12.0)


def test_a_jacobian_of_a_jacobian():
    second = mg.jacobian(mg.jacobian(lambda x: np.stack([x[0] * x[1], x[0] ** 2, x[1] ** 3])))
    expected = [[[0, 1], [1, 0]], [[2, 0], [0, 0]], [[0, 0], [0, 12]]]
    np.testing.assert_allclose(second(np.array([1.0, 2.0])), expected)


@pytest.mark.parametrize(
    "reads", [lambda x: x.value, lambda x: x.detach()], ids=["value", "detach"]
)
def test_jvp_of_what_duals_cannot_do_takes_two_pullbacks(reads, rng):
    x, v = rng.normal(size=(2, 3))
    y, tangent = mg.jvp(lambda x: np.exp(x) * np.max(reads(x)), (x,), (v,))
    np.testing.assert_allclose(tangent, np.exp(x) * x.max() * v)  # the maximum is a constant


def test_no_examples_have_no_mean_loss():
    with pytest.raises(ValueError, match=r"scores \(0, 3\).*n at least 1"):
        mg.cross_entropy(np.ones((0, 3)), np.array([], int))


@pytest.mark.parametrize(("argnum", "args"), [(1, (2.0,)), (-2, (2.0,)), (0, ())])
def test_an_argument_that_is_not_there_is_named(argnum, args):
    with pytest.raises(ValueError, match=f"argnum {argnum}.*{len(args)} arguments"):
        mg.grad(lambda x=1.0: x * x, argnum)(*args)


def test_a_checkpoint_of_two_results_is_refused_in_words():
    with pytest.raises(TypeError, match="expected a node"):
        mg.checkpoint(lambda x: (x, x * 2.0))(mg.TensorNode(1.0))


def test_the_norm_of_a_list():
    assert mg.norm([3.0, 4.0]) == 5.0


@pytest.mark.parametrize("outer", ["jvp", "grad", "jacobian"])
@pytest.mark.parametrize("inner", ["jvp", "grad", "jacobian"])
def test_a_derivative_within_a_derivative_is_not_taken_for_it(outer, inner):
    """d/dx (x ∂(x y)/∂y) = d/dx x² = 6 at x = 3; with one ε for both it would be 5."""
    derivative = {
        "jvp": lambda f, x: mg.jvp(f, (x,), (1.0,))[1],
        "grad": lambda f, x: mg.grad(f)(x),
        "jacobian": lambda f, x: mg.jacobian(f, mode="forward")(x),
    }
    within = lambda x: x * derivative[inner](lambda y: x * y, 2.0)
    assert derivative[outer](within, 3.0) == pytest.approx(6.0)
