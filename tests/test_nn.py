"""Modules: the parameters that they find, what they compute, and what they say to bad input."""

import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn import MLP, Linear, Module
from minigrad.solutions import ReLU


class TwoPaths(Module):
    """What `named` must find: a node, a module, a list, a dict, a node that has two names."""

    def __init__(self):
        self.scale = mg.TensorNode(2.0)
        self.first = Linear(3, 4, rng=0)
        self.rest = [Linear(4, 4, rng=1), {"last": Linear(4, 2, rng=2)}]
        self.again = self.first.weight
        self.width = 4

    def forward(self, x):
        self.hidden = np.tanh(self.first(x)) * self.scale
        return self.rest[1]["last"](self.rest[0](self.hidden))


def test_parameters_are_found_once_and_always_in_the_same_order():
    model = TwoPaths()
    expected = [
        "scale", "first.weight", "first.bias", "rest.0.weight", "rest.0.bias", "rest.1.last.weight",
        "rest.1.last.bias",
    ]  # fmt: skip
    assert [name for name, _ in model.named_parameters()] == expected
    model(np.ones((5, 3)))  # leaves a computed node in an attribute: a result is not a parameter
    assert [name for name, _ in model.named_parameters()] == expected
    assert model.parameters()[1] is model.first.weight


def test_modes_reach_every_module_within():
    model = TwoPaths()
    model.again_below = {"deep": [MLP([2, 2], rng=0)]}
    modules = [module for _, module in model.named(Module)]
    assert len(modules) == 6 and modules[0] is model
    assert all(module.training for module in modules)
    assert model.eval() is model
    assert not any(module.training for module in modules)
    assert model.train() is model
    assert all(module.training for module in modules)


def test_a_model_can_be_pickled_and_sent_to_another_process():
    model = MLP([3, 4, 2], ReLU, rng=0)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again(np.ones((1, 3))).value, model(np.ones((1, 3))).value)


def test_linear_is_xw_plus_b():
    layer = Linear(2, 3, rng=0)
    layer.weight.value = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    layer.bias.value = np.array([0.5, 0.0, -0.5])
    assert layer(np.array([[1.0, 10.0]])).value.tolist() == [[41.5, 52.0, 62.5]]


def test_gradients_of_linear_by_hand():
    x, layer = np.array([[1.0, 2.0], [3.0, 4.0]]), Linear(2, 1, rng=0)
    layer(x).sum().backward()  # d/dW Σ(XW + b) = Xᵀ1, d/db = number of rows
    assert layer.weight.grad.tolist() == [[4.0], [6.0]]
    assert layer.bias.grad.tolist() == [2.0]
    layer.zero_grad()
    assert not layer.weight.grad.any() and not layer.bias.grad.any()


def test_mlp_against_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 5)), rng.integers(0, 3, 7)
    model = MLP([5, 8, 6, 3], activation=ReLU, rng=1)
    mg.cross_entropy(model(x), y).backward()
    peers = [torch.tensor(p.value, requires_grad=True) for p in model.parameters()]
    hidden = torch.tensor(x)
    for depth in range(3):
        hidden = hidden @ peers[2 * depth] + peers[2 * depth + 1]
        hidden = torch.relu(hidden) if depth < 2 else hidden
    torch.nn.functional.cross_entropy(hidden, torch.tensor(y)).backward()
    for (name, parameter), peer in zip(model.named_parameters(), peers, strict=True):
        assert parameter.grad == pytest.approx(peer.grad.numpy(), abs=1e-12), name


def test_mlp_by_hand():
    model = MLP([1, 2, 1], activation=ReLU, rng=0)
    first, last = model.layers
    first.weight.value, first.bias.value = np.array([[1.0, -1.0]]), np.array([0.0, 1.0])
    last.weight.value, last.bias.value = np.array([[10.0], [100.0]]), np.array([1.0])
    # x = 2: hidden (2, -1) -> (2, 0), out 21.   x = -3: hidden (-3, 4) -> (0, 4), out 401.
    assert model(np.array([[2.0], [-3.0]])).value.tolist() == [[21.0], [401.0]]


@pytest.mark.parametrize(
    "activation", [ReLU, mg.Tanh, np.tanh, mg.sigmoid, lambda x: x * x], ids=str
)
def test_any_op_or_function_is_an_activation(activation):
    model = MLP([3, 4, 2], activation=activation, rng=0)
    model(np.ones((2, 3))).sum().backward()
    assert all(p.grad.shape == p.shape for p in model.parameters())
    assert model.layers[0].weight.grad.any()


def test_output_comes_after_the_last_layer_only():
    x = np.random.default_rng(0).normal(size=(6, 3))
    plain, clipped = (MLP([3, 4, 2], ReLU, output=f, rng=5)(x).value for f in (None, ReLU))
    assert (plain < 0).any()
    assert np.array_equal(clipped, np.maximum(plain, 0.0))


def test_initialisations_have_the_variance_that_they_promise():
    weights = {init: Linear(400, 100, rng=0, init=init).weight.value for init in ("he", "glorot")}
    assert weights["he"].var() == pytest.approx(2 / 400, rel=0.03)
    assert weights["glorot"].var() == pytest.approx(2 / 500, rel=0.03)
    assert np.abs(weights["glorot"]).max() <= np.sqrt(6 / 500)
    ones = Linear(2, 2, init=lambda rng, n_in, n_out: np.ones((n_in, n_out)))
    assert ones.weight.value.tolist() == [[1, 1], [1, 1]]


def test_he_keeps_the_signal_alive_through_twenty_relu_layers():
    x = np.random.default_rng(0).normal(size=(50, 200))
    spread = {
        init: MLP([200] * 21, ReLU, rng=0, init=init)(x).value.std() for init in ("he", "glorot")
    }
    assert 0.3 < spread["he"] < 3.0  # each layer keeps the variance
    assert spread["glorot"] < 0.01  # each layer halves it: 2⁻¹⁰ after twenty


def test_the_same_seed_gives_the_same_network_and_layers_differ():
    a, b, c = (MLP([4, 4, 4], rng=seed) for seed in (0, 0, 1))
    assert np.array_equal(a.layers[0].weight.value, b.layers[0].weight.value)
    assert not np.array_equal(a.layers[0].weight.value, c.layers[0].weight.value)
    assert not np.array_equal(a.layers[0].weight.value, a.layers[1].weight.value)


def test_float32_stays_float32():
    model = MLP([3, 4, 2], activation=ReLU, rng=0, dtype=np.float32)
    loss = mg.cross_entropy(model(np.ones((2, 3), np.float32)), np.array([0, 1]))
    loss.backward()
    assert loss.dtype == np.float32
    assert {p.dtype for p in model.parameters()} == {np.dtype("f4")}
    assert {p.grad.dtype for p in model.parameters()} == {np.dtype("f4")}


def test_a_module_shows_its_parameters():
    shown = repr(MLP([64, 32, 10], rng=0))
    assert "MLP, 2,410 parameters" in shown
    assert "layers.1.weight" in shown and "(32, 10)" in shown


@pytest.mark.parametrize(
    "wrong, error, words",
    [
        (lambda: Linear(64, 32, rng=0)(np.ones((5, 63))), ValueError, ["(5, 63)", "(n, 64)"]),
        (
            lambda: Linear(64, 32, rng=0)(np.ones((64, 5))),
            ValueError,
            ["(64, 5)", "a row for each example"],
        ),
        (lambda: Linear(3, 2, rng=0)(2.0), ValueError, ["2.0", "(n, 3)"]),
        (lambda: Linear(0, 2), ValueError, ["n_in", "0"]),
        (lambda: Linear(3, 2.5), ValueError, ["n_out", "2.5"]),
        (lambda: Linear(3, 2, init="xavier"), ValueError, ["'xavier'", "'glorot'"]),
        (lambda: MLP([10], ReLU), ValueError, ["[10]", "at least two"]),
        (lambda: MLP([2, 3, 1], "relu"), TypeError, ["'relu'", "an Op class (ReLU)"]),
        (lambda: MLP([2, 3, 1], ReLU()), TypeError, ["brackets"]),
        (lambda: Module()(1.0), NotImplementedError, ["forward(self, x)"]),
    ],
)
def test_bad_input_gets_an_error_that_teaches(wrong, error, words):
    with pytest.raises(error) as caught:
        wrong()
    for word in words:
        assert word in str(caught.value)


def test_a_module_may_know_the_module_that_holds_it():
    inner, outer = Linear(2, 2, rng=0), TwoPaths()
    inner.holder, outer.inner = outer, inner
    assert [name for name, _ in outer.named_parameters()][-2:] == ["inner.weight", "inner.bias"]
    assert [name for name, _ in inner.named_parameters()][:2] == ["weight", "bias"]
