"""Define and run: the same ops, told about beforehand, give the same values and adjoints."""

import numpy as np
import pytest
from ops_table import CASES, MASK, label
from test_properties import SHAPES

import minigrad as mg
from minigrad.solutions import Normalize, ReLU
from minigrad.wengert import Machine


@pytest.fixture
def book():
    """The example of the book, f(x₁, x₂) = ln x₁ + x₁ x₂ − sin x₂."""
    f = Machine()
    x1, x2 = f.input("x1", default=2.0), f.input("x2", default=5.0)
    f.loss = np.log(x1) + x1 * x2 - np.sin(x2)
    return f


@pytest.fixture
def network(rng):
    """The source's multilayer perceptron, one-hot targets and all."""
    f = Machine(ReLU)
    x, t = f.input("x", default=rng.random((1, 10))), f.input("t")
    W = f.param("W", default=rng.uniform(-0.5, 0.5, (10, 4)))
    b = f.param("b", default=0.1 * rng.uniform(size=4))
    f.o1 = f.relu(f.matmul(x, W) + b)
    f.outputs = np.exp(f.o1 - f.logsumexp(f.o1, axis=1, keepdims=True))
    f.loss = -np.mean(np.sum(t * np.log(f.outputs), axis=1))
    return f


def test_the_example_of_the_book(book):
    sequence = book.operation_sequence(book.loss)
    assert sequence == [
        ("z1", "log", ["x1"]),
        ("z2", "multiply", ["x1", "x2"]),
        ("z3", "add", ["z1", "z2"]),
        ("z4", "sin", ["x2"]),
        ("loss", "subtract", ["z3", "z4"]),
    ]
    values = book.eval(sequence)
    assert values["loss"] == pytest.approx(11.652071455223084)
    adjoints = book.bprop(sequence, values, loss=np.float64(1.0))
    assert adjoints["x1"] == pytest.approx(5.5)
    assert adjoints["x2"] == pytest.approx(1.716338, abs=5e-7)
    assert set(adjoints) == set(values)


def test_nothing_is_computed_before_eval(monkeypatch):
    def forward(context, x):
        raise AssertionError("computed")

    monkeypatch.setattr(mg.Log, "forward", staticmethod(forward))
    f = Machine()
    f.loss = np.log(f.input("x", default=2.0)) + 1.0
    with pytest.raises(AssertionError, match="computed"):
        f.eval(f.operation_sequence(f.loss))


def test_values_override_defaults(book):
    sequence = book.operation_sequence(book.loss)
    values = book.eval(sequence, {"x1": 3.0})
    assert values["loss"] == pytest.approx(np.log(3.0) + 15.0 - np.sin(5.0))
    assert book.input_dict(x2=1) == {"x1": 2.0, "x2": 1.0}
    assert isinstance(book.input_dict(x2=1)["x2"], np.float64)


def test_the_network_of_the_source(network, rng):
    sequence = network.operation_sequence(network.loss)
    given = {"x": rng.random((6, 10)), "t": np.eye(4)[rng.integers(0, 4, 6)]}
    values = network.eval(sequence, given)
    adjoints = network.bprop(sequence, values, loss=np.float64(1.0))
    W, b = (mg.TensorNode(values[name]) for name in network.parameters)
    loss = mg.cross_entropy(ReLU.do_forward(given["x"] @ W + b), np.argmax(given["t"], axis=1))
    loss.backward()
    np.testing.assert_allclose(values["loss"], loss.value, rtol=1e-13)
    np.testing.assert_allclose(adjoints["W"], W.grad, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(adjoints["b"], b.grad, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(np.sum(values["outputs"], axis=1), 1.0)
    for name, value in values.items():
        assert np.shape(adjoints[name]) == np.shape(value), name


def test_training_by_hand_lowers_the_loss(network, rng):
    sequence = network.operation_sequence(network.loss)
    table = network.input_dict(x=rng.random((6, 10)), t=np.eye(4)[rng.integers(0, 4, 6)])
    losses = []
    for _ in range(200):
        values = network.eval(sequence, table)
        adjoints = network.bprop(sequence, values)
        for name in network.parameters:
            table[name] = table[name] - 0.5 * adjoints[name]
        losses.append(values["loss"])
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize(("row", "shapes", "constants"), CASES, ids=label)
def test_every_op_has_the_adjoints_of_backward(row, shapes, constants, rng):
    inputs = row.inputs(shapes, rng)
    f = Machine(row.op)
    registers = [f.input(f"x{i}", default=x) for i, x in enumerate(inputs)]
    f.loss = getattr(f, row.op.__name__.lower())(*registers, **constants)
    sequence = f.operation_sequence(f.loss)
    values = f.eval(sequence)
    nodes = [mg.TensorNode(x) if d is not MASK else x for x, d in zip(inputs, row.domains)]
    y = row.op.do_forward(*nodes, **constants)
    cotangent = rng.standard_normal(y.shape)
    y.backward(cotangent)
    np.testing.assert_array_equal(values["loss"], y.value)
    adjoints = f.bprop(sequence, values, loss=cotangent)
    for name, node in zip(("x0", "x1", "x2"), nodes):
        if isinstance(node, mg.TensorNode):
            np.testing.assert_array_equal(adjoints[name], node.grad)
        else:
            assert name not in adjoints


@pytest.mark.parametrize("left", SHAPES)
@pytest.mark.parametrize("right", SHAPES)
def test_broadcasts_are_undone_for_every_pair_of_shapes(left, right, rng):
    """The source's own rule fits (N, d) + (d,) alone."""
    f = Machine()
    x, y = (f.input(name, rng.random(s)) for name, s in (("x", left), ("y", right)))
    f.loss = x + y
    sequence = f.operation_sequence(f.loss)
    values = f.eval(sequence)
    adjoints = f.bprop(sequence, values, loss=np.ones_like(values["loss"]))
    for name, shape in (("x", left), ("y", right)):
        n = values["loss"].size / max(1, np.prod(shape))
        np.testing.assert_array_equal(adjoints[name], np.full(shape, n))


def test_what_is_written_with_numpy_is_noted(rng):
    """NumPy's functions, methods, indices, numbers and arrays, here and there."""
    f, X, C = Machine(), rng.random((3, 4)), rng.random((3, 4))

    def expression(x, sigmoid):
        y = np.concatenate([x[:2], 2.0 * x[2:]], axis=0).T @ C + x.reshape(4, 3).sum(axis=1)
        y = sigmoid(np.where(C.T[:, :1] > 0.5, y / 3.0, abs(y) ** 2))
        return np.max(y, axis=None)

    f.loss, x = expression(f.input("x", default=X), f.sigmoid), mg.TensorNode(X)
    y = expression(x, mg.sigmoid)
    y.backward()
    sequence = f.operation_sequence(f.loss)
    values = f.eval(sequence)
    np.testing.assert_array_equal(values["loss"], y.value)
    np.testing.assert_allclose(f.bprop(sequence, values)["x"], x.grad, rtol=1e-13)


def test_a_register_used_twice_adds_up_and_branches_that_lead_nowhere_are_left_out():
    f = Machine()
    x = f.input("x", default=3.0)
    f.unused = np.exp(x)
    f.loss = x * x + x
    sequence = f.operation_sequence(f.loss)
    assert "unused" not in [name for name, *_ in sequence]
    assert f.bprop(sequence, f.eval(sequence))["x"] == 7.0


def test_a_list_of_ten_thousand():
    f = Machine()
    y = x = f.input("x", default=1.0)
    for _ in range(10_000):
        y = y + x
    f.loss = y
    sequence = f.operation_sequence(y)
    assert f.bprop(sequence, f.eval(sequence))["x"] == 10_001.0


def test_the_two_tables():
    f = Machine(ReLU, Normalize)
    assert f.functions["multiply"]({}, 2.0, 3.0) == 6.0
    context = {}
    f.functions["relu"](context, np.array([-1.0, 2.0]))
    np.testing.assert_array_equal(f.derivatives["relu"](context, np.ones(2)), [0.0, 1.0])
    assert f.functions.keys() == f.derivatives.keys() >= {"normalize", "matmul", "logsumexp"}
    assert "mul" not in f.functions  # entry by entry, or the product of matrices?


# What is refused, and in which words.


def refused(error, words, call):
    with pytest.raises(error, match=words):
        call()


def test_names_that_do_not_exist_or_exist_already(book):
    sequence = book.operation_sequence(book.loss)
    x1 = book.registers["x1"]
    refused(AttributeError, "no attribute 'mul'", lambda: book.mul)
    refused(KeyError, "'X1' is not here.*there are x1, x2", lambda: book.eval(sequence, {"X1": 1}))
    refused(ValueError, "'x1' is the name of another", lambda: book.input("x1"))
    refused(ValueError, "'log' is the name of another", lambda: book.param("log"))
    refused(ValueError, "'loss' is the name", lambda: setattr(book, "loss", x1 + 1.0))
    refused(
        TypeError, "y was given value 3.0; expected a register", lambda: setattr(book, "y", 3.0)
    )
    assert "y" not in book.registers


def test_sequences_that_cannot_run(book):
    sequence = book.operation_sequence(book.loss)
    late = "'z1' is not here, or not yet"
    refused(KeyError, late, lambda: book.eval([*sequence[1:3], sequence[0], *sequence[3:]]))
    cycle = [("z1", "sin", ["z2"]), ("z2", "sin", ["z1"])]
    refused(KeyError, "'z2' is not here, or not yet", lambda: book.eval(cycle))
    refused(ValueError, "'z1' has a value already", lambda: book.eval([sequence[0], *sequence]))
    refused(ValueError, "'x1' has a value already", lambda: book.eval([("x1", "sin", ["x2"])]))
    refused(KeyError, "'logg' is not here", lambda: book.eval([("z1", "logg", ["x1"])]))
    refused(KeyError, "'x3' is not here", lambda: book.eval([("z1", "log", ["x3"])]))


def test_missing_values_and_shapes_that_do_not_fit(network, rng):
    sequence = network.operation_sequence(network.loss)
    refused(KeyError, "'t' is not here", lambda: network.eval(sequence))
    shapes = r"MatMul of shapes \(6, 9\) and \(10, 4\)"
    wrong = {"x": rng.random((6, 9)), "t": 1.0}
    refused(ValueError, shapes, lambda: network.eval(sequence, wrong))
    wrong = {"t": 1.0, "W": np.random.uniform(10, 10)}  # a number between 10 and 10, no matrix
    refused(
        ValueError, r"MatMul of shapes \(1, 10\) and \(\)", lambda: network.eval(sequence, wrong)
    )
    values = network.eval(sequence, {"t": np.ones((1, 4))})
    refused(ValueError, "cotangent", lambda: network.bprop(sequence, values, loss=np.ones(3)))


def test_a_register_has_no_number(book):
    x = book.registers["x1"]
    for read in (bool, float, np.asarray, lambda x: x.value):
        refused(TypeError, "register stands for another number", lambda read=read: read(x))
    refused(AttributeError, "a register stands", lambda: len(x))
    for name in ("grad", "shape", "backward", "item", "tolist"):
        refused(AttributeError, f"{name}: a register stands", lambda name=name: getattr(x, name))
    refused(TypeError, "no rule for np.greater", lambda: x > 0)
    refused(TypeError, "no rule for np.fft", lambda: np.fft.fft(x))
    assert repr(x) == "register 'x1'"


@pytest.mark.parametrize("other", ["loss", None, Machine().input("x1", 2.0)], ids=str)
def test_a_list_is_asked_of_a_register_of_the_machine(other):
    with pytest.raises(ValueError, match="expected a register of this machine"):
        Machine().operation_sequence(other)
